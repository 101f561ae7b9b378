"""The Python interface: ``imcsim.compare``, ``run``, ``stream`` and ``sweep``, as the commands of that name;
``compare_chips`` is ``imcsim compare --chips``.

Networks, chips and inputs are given by name, by file, or as objects that were loaded before. Results have
``to_frame()``, which needs the extra ``frames``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from imcsim.base.choices import InputEncoding
from imcsim.base.errors import ImcsimError
from imcsim.base.names import nearest
from imcsim.hardware.config import Hardware
from imcsim.inputs import Inputs
from imcsim.network.graph import Network
from imcsim.results.chips.document import ChipsResult
from imcsim.results.comparison import CompareResult
from imcsim.results.run import RunResult
from imcsim.results.stream import StreamResult
from imcsim.simulation.values import Progress
from imcsim.studies import comparison, streaming
from imcsim.studies.chips import comparing
from imcsim.studies.loading import Shelf
from imcsim.studies.options import DEFAULT_HARDWARE, DEFAULT_INPUTS, DEFAULT_MODEL, CompareOptions, Setting
from imcsim.sweeps import Store, load_spec
from imcsim.sweeps import sweep as run_sweep
from imcsim.sweeps.spec import check_settings

Policy = Literal["static", "dynamic"]


def compare(
    model: str | Path | Network = DEFAULT_MODEL,
    hardware: str | Path | Hardware = DEFAULT_HARDWARE,
    inputs: str | Path | Inputs = DEFAULT_INPUTS,
    validation: str | Path | Inputs | None = None,
    *,
    overrides: Mapping[str, object] | None = None,
    images: int | None = None,
    encoding: InputEncoding | None = None,
    labels: str | Path | None = None,
    bin_us: int | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> CompareResult:
    """Static T = 1 .. T max against leaving early, on one chip.

    `overrides` change keys of the hardware file (``{"adc.bits": 5}``); `images` is how many of the inputs
    are run; `encoding`, `labels` and `bin_us` are those of `inputs.load`; `options` are the fields of
    `options.CompareOptions` (timesteps, threshold, thresholds, rule, accumulation, seed, workers, issue,
    fidelity); `threshold` is a number, or one for each timestep after which an image may leave early.
    Without `validation`, built-in inputs bring their own. Raises ImcsimError for whatever does not fit.

    >>> import imcsim
    >>> imcsim.compare(images=10, threshold=0.3, overrides={"adc.bits": 5}).dynamic.mean_timesteps <= 4
    True
    """
    setting = _setting(overrides, images, encoding, labels, bin_us, options)
    return comparison.compare(
        *_loaded(setting, model, hardware, inputs, validation), setting.options, progress
    )


def compare_chips(
    model: str | Path | Network = DEFAULT_MODEL,
    hardware: str | Path | Hardware = DEFAULT_HARDWARE,
    inputs: str | Path | Inputs = DEFAULT_INPUTS,
    validation: str | Path | Inputs | None = None,
    *,
    chips: int = 20,
    overrides: Mapping[str, object] | None = None,
    images: int | None = None,
    encoding: InputEncoding | None = None,
    labels: str | Path | None = None,
    bin_us: int | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> ChipsResult:
    """`compare` on so many programmed `chips` of one design, and on the ideal one, for all of them the same
    images: mean, spread and worst of every figure, and which images leave earlier or later.

    The chips are those with the numbers `chip` (an option; 0) and on that the seed draws. Other arguments and
    errors are those of `compare`. Interrupted by Ctrl-C after some chips, it raises `chips.Stopped`, a
    KeyboardInterrupt that has their result.

    >>> import imcsim
    >>> varied = {"nonideal.variation.sigma": 0.02}
    >>> found = imcsim.compare_chips(chips=2, images=10, threshold=0.3, overrides=varied)
    >>> [one.chip for one in found.instances], found.dynamic.moved.images
    ([0, 1], 20)
    """
    setting = _setting(overrides, images, encoding, labels, bin_us, options)
    about = _loaded(setting, model, hardware, inputs, validation)
    return comparing.compare_chips(*about, setting.options, chips, progress)


def run(
    model: str | Path | Network = DEFAULT_MODEL,
    hardware: str | Path | Hardware = DEFAULT_HARDWARE,
    inputs: str | Path | Inputs = DEFAULT_INPUTS,
    validation: str | Path | Inputs | None = None,
    *,
    policy: Policy = "dynamic",
    overrides: Mapping[str, object] | None = None,
    images: int | None = None,
    encoding: InputEncoding | None = None,
    labels: str | Path | None = None,
    bin_us: int | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> RunResult:
    """One policy on one chip: what it costs, and where. Arguments and errors are those of `compare`."""
    setting = _setting(overrides, images, encoding, labels, bin_us, options)
    about = _loaded(setting, model, hardware, inputs, validation)
    return comparison.run(*about, setting.options, progress, policy=policy)


def stream(
    model: str | Path | Network = DEFAULT_MODEL,
    hardware: str | Path | Hardware = DEFAULT_HARDWARE,
    inputs: str | Path | Inputs = DEFAULT_INPUTS,
    validation: str | Path | Inputs | None = None,
    *,
    policy: Policy = "dynamic",
    arrivals: Literal["closed", "periodic", "poisson"] = "closed",
    rate: float | None = None,
    overrides: Mapping[str, object] | None = None,
    images: int | None = None,
    encoding: InputEncoding | None = None,
    labels: str | Path | None = None,
    bin_us: int | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> StreamResult:
    """A stream of images on one chip; `rate` is in images a second. Else as `compare`."""
    setting = _setting(overrides, images, encoding, labels, bin_us, options)
    about = _loaded(setting, model, hardware, inputs, validation)
    arriving = streaming.StreamOptions(arrivals, rate)
    return streaming.stream(*about, setting.options, arriving, progress, policy=policy)


def sweep(
    spec: str | Path | Mapping[str, Any],
    out: str | Path | None = None,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    retry_failed: bool = False,
    progress: Progress | None = None,
) -> Store:
    """Run every point of a spec, a YAML file or a mapping of the same form (see `sweeps.spec`).

    `out` is the sweep's folder, in which a stopped sweep goes on; None is a passing one that goes with the
    store. The store has ``points()``, ``rows()``, ``to_frame()``. Its `workers` (processes) do not run the
    caller's script, which needs no ``if __name__ == "__main__"``. Raises ImcsimError for a spec that is not
    sound and a folder of another sweep; a point that fails is a row.
    """
    loaded = load_spec(spec)
    keep = None if out is not None else tempfile.TemporaryDirectory(prefix="imcsim-sweep-")
    folder = keep.name if keep is not None else out
    assert folder is not None
    store = run_sweep(
        loaded, folder, workers=workers, scheduler=scheduler, retry_failed=retry_failed, progress=progress
    )
    store.keep = keep
    return store


def _setting(
    overrides: Mapping[str, object] | None,
    images: int | None,
    encoding: InputEncoding | None,
    labels: str | Path | None,
    bin_us: int | None,
    options: Mapping[str, Any],
) -> Setting:
    known = list(CompareOptions.__dataclass_fields__)
    for name in options:
        if name not in known:
            close = nearest(name, known)
            fix = f"did you mean {close}?" if close else f"options are {', '.join(known)}"
            raise ImcsimError("there is no such option", key=name, fix=fix)
    check_settings({"images": images, "encoding": encoding, "bin_us": bin_us, **options})
    if options.get("thresholds") == "each" and options.get("threshold") is not None:
        fix = "leave one of them out"
        raise ImcsimError(
            "it says how thresholds are chosen, threshold gives them", key="thresholds", fix=fix
        )
    if overrides is not None and not isinstance(overrides, Mapping):
        raise ImcsimError("no mapping", key="overrides", fix='write {"adc.bits": 5}')
    return Setting(
        overrides=dict(overrides or {}),
        images=images,
        encoding=encoding,
        labels=labels,
        bin_us=bin_us,
        options=CompareOptions(**options),
    )


def _loaded(
    setting: Setting,
    model: str | Path | Network,
    hardware: str | Path | Hardware,
    inputs: str | Path | Inputs,
    validation: str | Path | Inputs | None,
) -> tuple[Network, Hardware, Inputs, Inputs | None]:
    """What was given, loaded where it is a name or a file."""
    for key, given, loaded in (
        ("model", model, Network), ("hardware", hardware, Hardware),
        ("inputs", inputs, Inputs), ("validation", validation or "", Inputs),
    ):  # fmt: skip
        if not isinstance(given, str | Path | loaded):
            fix = f"give a name, a path, or a loaded {loaded.__name__}"
            raise ImcsimError(f"cannot be {type(given).__name__}", key=key, fix=fix)
    shelf = _Given()
    if isinstance(model, Network):
        shelf.given_network = model
    else:
        setting = replace(setting, model=model)
    if isinstance(hardware, Hardware):
        if setting.overrides:
            fix = "give the chip by its name or file, or load it with the overrides"
            raise ImcsimError("overrides change a file, not a loaded chip", key="overrides", fix=fix)
        chip = hardware
    else:
        chip = shelf.hardware(replace(setting, hardware=hardware))
    if not isinstance(inputs, Inputs):
        setting = replace(setting, inputs=inputs)
        shown = shelf.inputs(setting)
    else:
        shown = inputs if setting.images is None else _few(inputs, setting.images)
    if isinstance(validation, Inputs):
        held_out: Inputs | None = validation
    elif validation is not None:
        held_out = shelf.validation(replace(setting, validation=validation), shown)
    else:
        held_out = None if isinstance(inputs, Inputs) else shelf.validation(setting)
    return shelf.network(setting), chip, shown, held_out


class _Given(Shelf):
    """A shelf on which a network may lie already."""

    given_network: Network | None = None

    def network(self, setting: Setting) -> Network:
        return super().network(setting) if self.given_network is None else self.given_network


def _few(inputs: Inputs, images: int) -> Inputs:
    """The first images of loaded inputs."""
    from imcsim.inputs.data import check_count, fingerprint

    count = check_count(Path(inputs.name), images, len(inputs.images))
    shown, labels = inputs.images[:count], inputs.labels[:count]
    lead = None if inputs.lead is None else inputs.lead[:count]
    return replace(inputs, images=shown, labels=labels, sha256=fingerprint(shown, labels), lead=lead)
