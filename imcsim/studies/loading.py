"""Networks, chips and inputs by name or file, each read once; what commands leave out is filled in here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import imcsim.hardware
import imcsim.inputs
import imcsim.network
from imcsim.base.choices import InputEncoding
from imcsim.hardware.config import Hardware
from imcsim.inputs import Inputs
from imcsim.network.graph import Network
from imcsim.studies.options import CompareOptions, Setting

Loaded = TypeVar("Loaded")

_MOST_KEPT = 8


@dataclass
class Shelf:
    """Keeps the last few things that were read; several threads may share one."""

    _kept: dict[str, dict[Hashable, Any]] = field(default_factory=dict)
    _lock: Any = field(default_factory=Lock)

    def network(self, setting: Setting) -> Network:
        """Raises ImcsimError as `network.load` does."""
        return self._get("network", str(setting.model), lambda: imcsim.network.load(setting.model))

    def hardware(self, setting: Setting) -> Hardware:
        """The chip with its overrides. Raises ImcsimError as `hardware.load` does."""
        key = (str(setting.hardware), repr(sorted(setting.overrides.items())))
        overrides = dict(setting.overrides)
        return self._get("hardware", key, lambda: imcsim.hardware.load(setting.hardware, overrides))

    def inputs(self, setting: Setting, *, labelled: bool = True) -> Inputs:
        """The images that are reported. Raises ImcsimError as `inputs.load` does."""
        about = {"labels": setting.labels, "labelled": labelled}
        return self._inputs(setting, setting.inputs, setting.encoding, setting.images, **about)

    def validation(self, setting: Setting, shown: Inputs | None = None) -> Inputs | None:
        """The images that calibrate, and on which a threshold is chosen, encoded like the inputs.

        `shown` are the inputs where they were loaded otherwise.
        """
        name = validation_of(setting)
        if name is None:
            return None
        encoding = setting.encoding
        # A trace of random spikes brings its encoding with it.
        if encoding is None and (shown or self.inputs(setting)).coding == "rate":
            encoding = "rate"
        return self._inputs(setting, name, encoding)

    def _inputs(
        self,
        setting: Setting,
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
        made = read()
        with self._lock:
            kept[key] = made
            while len(kept) > _MOST_KEPT:
                kept.pop(next(iter(kept)))
        return made


def validation_of(setting: Setting) -> str | Path | None:
    """The validation images of a setting: those given, else those that go with its inputs, if any do."""
    if setting.validation is not None:
        return setting.validation
    return imcsim.inputs.paired(setting.inputs)


def timesteps_of(setting: Setting, network: Network) -> int:
    """T max."""
    return setting.options.timesteps or network.timesteps


def network_sha256(network: Network) -> str:
    """The hash of a network's content, also of one that was made in memory."""
    return network.sha256 or imcsim.network.fingerprint(network)


def calibration_sha256(inputs: Inputs) -> str:
    """The hash of the images that ADC scales are set on."""
    few = inputs.calibration
    digest = hashlib.sha256(f"{list(few.shape)}\n".encode())
    digest.update(few.tobytes())
    return digest.hexdigest()


def changed(setting: Setting, values: Mapping[str, Any]) -> Setting:
    """The setting with other values: names of its own fields or of its options, else keys of the config."""
    own = {key: value for key, value in values.items() if key in Setting.__dataclass_fields__}
    options = {key: value for key, value in values.items() if key in CompareOptions.__dataclass_fields__}
    config = {key: value for key, value in values.items() if key not in own and key not in options}
    return replace(
        setting,
        **own,
        options=replace(setting.options, **options),
        overrides={**setting.overrides, **config},
    )
