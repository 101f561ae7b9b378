"""What a comparison or a run may be told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from imcsim.base.choices import Accumulation, Fidelity, InputEncoding, Rule, Thresholds

DEFAULT_HARDWARE = "dtsnn_32nm"
DEFAULT_MODEL = "vgg7_cifar10"
DEFAULT_INPUTS = "cifar10_test"
DEFAULT_VALIDATION = "cifar10_validation"
MAX_TIMESTEPS = 16
MOST_CHIPS = 2**31
"""Chips that a seed draws."""
MOST_AT_ONCE = 10_000
"""Chips of one comparison."""


@dataclass(frozen=True)
class CompareOptions:
    """Settings of `compare` and `run`.

    `timesteps` is T max (None: the network's own). `threshold` lies in [0, 1]; several are one for each of
    the timesteps 1 to T max - 1, after which an image may leave early (None: chosen on validation images).
    `thresholds` says how they are chosen, where none is given: one for all timesteps, or one for ``each``,
    which costs less and fits the validation images more closely, their chance too (see `thresholds`). `seed`
    feeds every random draw. `workers` is the number of processes (None: one for each processor); it never
    changes a result. `chip` says which of the chips that the seed draws is run, where cells, wires or
    converters have errors. `issue` is an issue policy (``wait``, ``speculate``, ..., see timing.issue),
    `fidelity` that of the timing; both fidelities agree to the cycle.
    """

    timesteps: int | None = None
    threshold: float | tuple[float, ...] | None = None
    thresholds: Thresholds = "one"
    rule: Rule = "entropy"
    accumulation: Accumulation = "mean"
    seed: int = 0
    chip: int = 0
    workers: int | None = None
    issue: str = "wait"
    fidelity: Fidelity = "burst"

    def __post_init__(self) -> None:
        if isinstance(self.threshold, Iterable):  # a list, as files have it, or an array
            object.__setattr__(self, "threshold", tuple(map(float, self.threshold)))


@dataclass(frozen=True)
class Setting:
    """All of a comparison, by names and files: what is played on what, and how.

    `overrides` are laid over the hardware file (dotted key to value). Without `validation`, the built-in
    inputs bring their own. `images` is how many of the inputs are run (None: all); `encoding`, `labels` and
    `bin_us` are those of `inputs.load`. `chips` is how many programmed chips are compared, from
    ``options.chip`` on (None: that one by itself).
    """

    hardware: str | Path = DEFAULT_HARDWARE
    overrides: Mapping[str, object] = field(default_factory=dict)
    model: str | Path = DEFAULT_MODEL
    inputs: str | Path = DEFAULT_INPUTS
    validation: str | Path | None = None
    images: int | None = None
    encoding: InputEncoding | None = None
    labels: str | Path | None = None
    bin_us: int | None = None
    chips: int | None = None
    options: CompareOptions = CompareOptions()
