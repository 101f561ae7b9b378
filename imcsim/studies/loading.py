"""Networks, chips and inputs by name or file, each read once; what commands leave out is filled in here."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import imcsim.hardware
import imcsim.inputs
import imcsim.network
from imcsim.base.choices import InputEncoding
from imcsim.base.errors import ImcsimError
from imcsim.hardware.config import Hardware
from imcsim.inputs import Inputs
from imcsim.inputs.data import check_count, fingerprint
from imcsim.network.graph import Network
from imcsim.studies.settings import RunSettings

Loaded = TypeVar("Loaded")

_MAX_KEPT = 8


@dataclass
class Loader:
    """Reads what settings name, and keeps the last few things it read; several threads may share one."""

    _kept: dict[str, dict[Hashable, Any]] = field(default_factory=dict)
    _lock: Any = field(default_factory=Lock)

    def network(self, setting: RunSettings) -> Network:
        """Raises ImcsimError as `network.load` does."""
        return self._get("network", str(setting.model), lambda: imcsim.network.load(setting.model))

    def hardware(self, setting: RunSettings) -> Hardware:
        """The chip with its overrides. Raises ImcsimError as `hardware.load` does."""
        key = (str(setting.hardware), repr(sorted(setting.overrides.items())))
        overrides = dict(setting.overrides)
        return self._get("hardware", key, lambda: imcsim.hardware.load(setting.hardware, overrides))

    def inputs(self, setting: RunSettings, *, labelled: bool = True) -> Inputs:
        """The images that are reported. Raises ImcsimError as `inputs.load` does."""
        about = {"labels": setting.labels, "labelled": labelled}
        return self._inputs(setting, setting.inputs, setting.encoding, setting.images, **about)

    def validation(self, setting: RunSettings, shown: Inputs | None = None) -> Inputs | None:
        """The images that calibrate, and on which a threshold is chosen, encoded like the inputs.

        `shown` are the inputs where they were loaded otherwise.
        """
        name = validation_of(setting)
        if name is None:
            return None
        encoding = setting.encoding
        if encoding is None:  # a trace of encoded images brings its encoding with it
            encoding = imcsim.inputs.encoding_of(shown or self.inputs(setting))
        return self._inputs(setting, name, encoding)

    def _inputs(
        self,
        setting: RunSettings,
        name: str | Path,
        encoding: InputEncoding | None,
        *limit: int | None,
        **more: Any,
    ) -> Inputs:
        network = self.network(setting)
        about: dict[str, Any] = {
            "encoding": encoding,
            "timesteps": timesteps_of(setting, network),
            "seed": setting.options.seed,
            "shape": network.input_shape,
            "bin_us": setting.bin_us,
            **more,
        }
        key = (str(name), repr((limit, about)))
        return self._get("inputs", key, lambda: imcsim.inputs.load(name, *limit, **about))

    def _get(self, kind: str, key: Hashable, read: Callable[[], Loaded]) -> Loaded:
        with self._lock:
            kept = self._kept.setdefault(kind, {})
            if key in kept:
                kept[key] = kept.pop(key)  # the last used stands last
                found: Loaded = kept[key]
                return found
        result = read()
        with self._lock:
            kept[key] = result
            while len(kept) > _MAX_KEPT:
                kept.pop(next(iter(kept)))
        return result


def validation_of(setting: RunSettings) -> str | Path | None:
    """The validation images of a setting: those given, else those that go with its inputs, if any do."""
    if setting.validation is not None:
        return setting.validation
    return imcsim.inputs.paired(setting.inputs)


def timesteps_of(setting: RunSettings, network: Network) -> int:
    """T max."""
    return setting.options.timesteps or network.timesteps


def network_sha256(network: Network) -> str:
    """The hash of a network's content, also of one that was made in memory."""
    return network.sha256 or imcsim.network.fingerprint(network)


def check_given(key: str, given: object, loaded: type) -> None:
    """Raise ImcsimError for what is neither the name or file of something nor the thing itself, `loaded`."""
    if not isinstance(given, str | Path | loaded):
        fix = f"give a name, a path, or a loaded {loaded.__name__}"
        raise ImcsimError(f"cannot be {type(given).__name__}", key=key, fix=fix)


def load_given(
    settings: RunSettings,
    model: str | Path | Network,
    hardware: str | Path | Hardware,
    inputs: str | Path | Inputs,
    validation: str | Path | Inputs | None,
) -> tuple[Network, Hardware, Inputs, Inputs | None]:
    """The network, the chip, the inputs and the validation images of `settings`, each given by name, by file
    or as an object that was loaded before. Raises ImcsimError for anything else.
    """
    for key, given, loaded in (
        ("model", model, Network), ("hardware", hardware, Hardware),
        ("inputs", inputs, Inputs), ("validation", validation or "", Inputs),
    ):  # fmt: skip
        check_given(key, given, loaded)
    loader = _Given()
    if isinstance(model, Network):
        loader.given_network = model
    else:
        settings = replace(settings, model=model)
    if isinstance(hardware, Hardware):
        if settings.overrides:
            fix = "give the chip by its name or file, or load it with the overrides"
            raise ImcsimError("overrides change a file, not a loaded chip", key="overrides", fix=fix)
        chip = hardware
    else:
        chip = loader.hardware(replace(settings, hardware=hardware))
    if not isinstance(inputs, Inputs):
        settings = replace(settings, inputs=inputs)
        shown = loader.inputs(settings)
    else:
        shown = inputs if settings.images is None else _few(inputs, settings.images)
    if isinstance(validation, Inputs):
        held_out: Inputs | None = validation
    elif validation is not None:
        held_out = loader.validation(replace(settings, validation=validation), shown)
    else:
        held_out = None if isinstance(inputs, Inputs) else loader.validation(settings)
    return loader.network(settings), chip, shown, held_out


class _Given(Loader):
    """A loader that may be given a network."""

    given_network: Network | None = None

    def network(self, setting: RunSettings) -> Network:
        return super().network(setting) if self.given_network is None else self.given_network


def _few(inputs: Inputs, images: int) -> Inputs:
    """The first images of loaded inputs."""
    count = check_count(Path(inputs.name), images, len(inputs.images))
    shown, labels = inputs.images[:count], inputs.labels[:count]
    lead = None if inputs.lead is None else inputs.lead[:count]
    return replace(inputs, images=shown, labels=labels, sha256=fingerprint(shown, labels), lead=lead)
