"""The settings of a run, each declared once: its name, type, default, bounds and what it means.

From these declarations come the options of the command line (`imcsim.commands.options`), what the spec of a
sweep may hold (`imcsim.studies.checking`), and the settings that a sweep's store keeps of each point. The
keywords of `imcsim.compare` and its like are spelled out there for editors, and a test holds them to the
declarations. Nothing heavy is imported here, so that ``imcsim --help`` answers at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from imcsim.base.choices import (
    MAX_TIMESTEPS,
    Accumulation,
    Fidelity,
    InputEncoding,
    Rule,
    Temperatures,
    Thresholds,
)

DEFAULT_HARDWARE = "dtsnn_32nm"
DEFAULT_MODEL = "vgg16_running_cifar10"
DEFAULT_INPUTS = "cifar10_test"
DEFAULT_VALIDATION = "cifar10_validation"
MAX_CHIPS = 2**31
"""Chips that a seed draws."""
MAX_CHIPS_AT_ONCE = 10_000
"""Chips of one comparison."""


CHOOSING = ("thresholds", "max_loss", "temperatures")
"""Settings that say how thresholds are chosen: they do not go with thresholds that are given."""


@dataclass(frozen=True)
class Meaning:
    """What a setting means, and what it may be besides its type.

    `text` is one or more sentences, shown by the command line, by editors and in docstrings. `unset` says in
    a few words what stands in its place where it is not given (needed where the default is None). Numbers,
    also each of several, lie between `low` and `high`, both included. `metavar` is what the command line
    calls its value.
    """

    text: str
    unset: str | None = None
    low: int | None = None
    high: int | None = None
    metavar: str | None = None


@dataclass(frozen=True)
class CompareOptions:
    """How a network is run on a chip: timesteps, exit rule, issue policy, random draws.

    `workers` never changes a result. Both kinds of `fidelity` agree to the cycle. For issue policies see
    `imcsim.timing.parse`, for ways to choose thresholds `imcsim.studies.thresholds`.
    """

    timesteps: Annotated[
        int | None,
        Meaning(
            "T max, the most timesteps that an image runs.", "the network's own", low=1, high=MAX_TIMESTEPS
        ),
    ] = None
    threshold: Annotated[
        float | tuple[float, ...] | None,
        Meaning(
            "Exit threshold, 0 to 1, or T max - 1 of them: one for each timestep after which an image may "
            "exit early.",
            "chosen on the validation images",
            low=0,
            high=1,
            metavar="FLOAT[,FLOAT...]",
        ),
    ] = None
    thresholds: Annotated[
        Thresholds,
        Meaning(
            "Choose one threshold for all timesteps, or one for each: cheaper, but it fits the validation "
            "images more closely, their chance too."
        ),
    ] = "one"
    max_loss: Annotated[
        float | None,
        Meaning(
            "Loss of accuracy against T max that chosen thresholds must rule out, as a share of the images "
            "(0.005: half a point), by a 95 % bound that is cross-fitted on the validation images.",
            "as many validation images right as with T max",
            low=0,
            high=1,
            metavar="FLOAT",
        ),
    ] = None
    temperatures: Annotated[
        Temperatures,
        Meaning(
            "Divide the mean outputs that the exit rule sees by 1 (one), or by a temperature for each "
            "timestep, fitted on the validation images."
        ),
    ] = "one"
    rule: Annotated[
        Rule,
        Meaning(
            "Exit rule, what decides that an image may exit early: entropy, max_softmax, margin, or one of a "
            "plug-in.",
            metavar="NAME",
        ),
    ] = "entropy"
    accumulation: Annotated[
        Accumulation, Meaning("How the outputs of the timesteps so far are combined.")
    ] = "mean"
    issue: Annotated[
        str,
        Meaning(
            "Issue policy, when the next timestep enters: wait, speculate, interleave:K, or pipeline, which "
            "has no early exit.",
            metavar="POLICY",
        ),
    ] = "wait"
    fidelity: Annotated[Fidelity, Meaning("How finely time is played; both agree to the cycle.")] = "burst"
    seed: Annotated[int, Meaning("Seed of every random draw.", low=0, high=2**63 - 1, metavar="INTEGER")] = 0
    chip: Annotated[
        int,
        Meaning(
            "Which of the chips that the seed draws is run, where cells, wires or ADCs have errors.",
            low=0,
            high=MAX_CHIPS - 1,
            metavar="NUMBER",
        ),
    ] = 0
    workers: Annotated[
        int | None,
        Meaning("How many processors work; no result depends on it.", "all there are", low=1, high=1024),
    ] = None

    def __post_init__(self) -> None:
        if isinstance(self.threshold, Iterable):  # a list, as files have it, or an array
            object.__setattr__(self, "threshold", tuple(map(float, self.threshold)))

    @property
    def choosing(self) -> str | None:
        """A setting that says how thresholds are chosen and is not as usual, if there is one."""
        usual = {one.name: one.default for one in fields(self)}
        return next((key for key in CHOOSING if getattr(self, key) != usual[key]), None)


@dataclass(frozen=True)
class RunSettings:
    """All of a run, by names and files: which network runs on which chip, on which inputs, and how."""

    hardware: Annotated[str | Path, Meaning("Chip, by name or file.", metavar="NAME|FILE")] = DEFAULT_HARDWARE
    overrides: Annotated[
        Mapping[str, object],
        Meaning("Other values for keys of the chip, as adc.bits=5.", metavar="KEY=VALUE"),
    ] = field(default_factory=dict)
    model: Annotated[str | Path, Meaning("Trained network, by name or folder.", metavar="NAME|DIR")] = (
        DEFAULT_MODEL
    )
    inputs: Annotated[
        str | Path,
        Meaning("Images, events or a trace to run, by name, file or folder.", metavar="NAME|FILE|DIR"),
    ] = DEFAULT_INPUTS
    validation: Annotated[
        str | Path | None,
        Meaning(
            "Other images, on which the ADCs are calibrated and the threshold is chosen.",
            f"built-in ones that go with the inputs, such as {DEFAULT_VALIDATION}",
            metavar="NAME|FILE|DIR",
        ),
    ] = None
    images: Annotated[
        int | None, Meaning("How many of the inputs are run, from the first on.", "all of them", low=1)
    ] = None
    encoding: Annotated[
        InputEncoding | None,
        Meaning(
            "Images enter as they are at every timestep (direct), as random spikes (rate), or by an encoding "
            "of a plug-in.",
            "direct",
            metavar="NAME",
        ),
    ] = None
    labels: Annotated[
        str | Path | None,
        Meaning(
            "Labels of inputs that hold none: .npy, or .csv for a folder of images.",
            "none",
            metavar="FILE",
        ),
    ] = None
    bin_us: Annotated[
        int | None,
        Meaning(
            "Length of a timestep of events, in microseconds.",
            "each recording in equal parts",
            low=1,
            metavar="MICROSECONDS",
        ),
    ] = None
    plugins: Annotated[
        tuple[str, ...],
        Meaning(
            "Files of plug-ins, which add exit rules, estimators, models of cell errors and encodings.",
            metavar="FILE",
        ),
    ] = ()
    chips: Annotated[
        int | None,
        Meaning(
            "Run so many programmed chips, with the numbers from chip on, and the ideal one: what errors do "
            "to early exit.",
            "one chip by itself",
            low=1,
            high=MAX_CHIPS_AT_ONCE,
            metavar="INTEGER",
        ),
    ] = None
    options: CompareOptions = CompareOptions()

    def changed(self, values: Mapping[str, Any]) -> RunSettings:
        """These settings with other values: by the names of settings, else by dotted keys of the chip."""
        own = {key: value for key, value in values.items() if key in _names(RunSettings)}
        options = {key: value for key, value in values.items() if key in _names(CompareOptions)}
        config = {key: value for key, value in values.items() if key not in own and key not in options}
        overrides = {**own.pop("overrides", self.overrides), **config}
        return replace(self, **own, overrides=overrides, options=replace(self.options, **options))

    def values(self) -> dict[str, Any]:
        """The values of `SETTINGS` by name."""
        return {name: getattr(self if hasattr(self, name) else self.options, name) for name in SETTINGS}


@dataclass(frozen=True)
class Declaration:
    """One setting as it is declared. `type` is its Python type."""

    name: str
    type: Any
    default: Any
    meaning: Meaning

    @property
    def docstring(self) -> str:
        """What docstrings say of it."""
        if self.default is not None or self.meaning.unset is None:
            return self.meaning.text
        return f"{self.meaning.text} None: {self.meaning.unset}."


@cache
def _names(kind: type) -> tuple[str, ...]:
    """The settings that a class declares."""
    hints = get_type_hints(kind, include_extras=True)
    return tuple(name for name, hint in hints.items() if hasattr(hint, "__metadata__"))


def _declared() -> dict[str, Declaration]:
    found = {}
    for kind in (RunSettings, CompareOptions):
        hints = get_type_hints(kind, include_extras=True)
        for one in fields(kind):
            if one.name in _names(kind):
                default = one.default if one.default is not MISSING else None
                hint = hints[one.name]
                found[one.name] = Declaration(one.name, hint.__origin__, default, hint.__metadata__[0])
    return found


DECLARED: Mapping[str, Declaration] = _declared()
"""Every setting of a run by name."""

FILES = ("hardware", "model", "inputs", "validation", "labels")
"""Settings that may name files."""
SETTINGS = tuple(name for name in DECLARED if name not in ("overrides", "plugins", "workers"))
"""Settings that decide what a run finds, but for keys of the chip: the spec of a sweep may vary them. Files
of plug-ins only offer further names.
"""
