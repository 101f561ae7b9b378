"""Ways to count the energy of DT-SNN's VGG-16 over timesteps: ours, and a hypothesis about the paper's.

The paper's energy grows 4.9 times from T = 1 to T = 8 while its latency grows 8 times. Its text does not say
what it spends once. The hypothesis: it charges the digital peripherals, 45 % of its energy, once per
inference, and all else once per timestep. This is a what-if: no other figure of the package is counted so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from imcsim.hardware.accounting import PERIPHERALS
from imcsim.validate.chips import Counts
from imcsim.validate.dtsnn import (
    PAPER_SHARES,
    SHARES_AT,
    TIMESTEPS,
    Values,
    Vgg16,
    curves,
    intercept,
)
from imcsim.validate.published import figure


@dataclass(frozen=True)
class Accounting:
    """How energy and latency grow with T under one way to count the energy.

    hypothesis: whether it is a guess of what the paper did. energy_ratio: E(8) over E(1). edp_ratio: energy x
    latency of T = 4 over that of T = 1. latency_ratio: T = 8 over T = 1.
    """

    name: str
    hypothesis: bool
    energy_ratio: float
    intercept: float
    edp_ratio: float
    latency_ratio: float


def accountings(run: Vgg16) -> Iterator[Accounting]:
    """Every event paid for, on our chip; the hypothesis on our chip, and on the paper's shares; the paper."""
    energy, latency = curves(run.simulation)
    yield _of("every event is paid for, our chip", energy, latency, hypothesis=False)
    yield _of("peripherals once per inference, our chip", peripherals_once(run), latency, hypothesis=True)
    steps = np.arange(1.0, TIMESTEPS + 1)
    shares = _paper_growth(steps)
    proportional = steps * figure("latency_t8").value / TIMESTEPS
    yield _of("peripherals once per inference, the paper's shares", shares, proportional, hypothesis=True)
    yield Accounting(
        "the paper's own figures", False, figure("energy_t8").value, figure("intercept").value,
        figure("edp_t4").value, figure("latency_t8").value,
    )  # fmt: skip


def peripherals_once(run: Vgg16) -> Values:
    """Energy of static runs of 1, 2, .. T timesteps, pJ ``[T]``, if the digital peripherals (`PERIPHERALS`)
    were paid for in the first timestep only.
    """
    by_timestep = [Counts(run.simulation, t).energy_pj() for t in range(1, TIMESTEPS + 1)]
    once = sum(by_timestep[0][name] for name in PERIPHERALS)
    return np.array(
        [once + sum(pj for name, pj in each.items() if name not in PERIPHERALS) for each in by_timestep]
    )


def _paper_growth(steps: Values) -> Values:
    """E(T) / E(1) from the paper's shares alone: its peripherals once, the rest in every timestep."""
    once = PAPER_SHARES[0] / 100
    return once + (1 - once) * steps


def _of(name: str, energy: Values, latency: Values, *, hypothesis: bool) -> Accounting:
    at = SHARES_AT - 1
    return Accounting(
        name=name,
        hypothesis=hypothesis,
        energy_ratio=float(energy[-1] / energy[0]),
        intercept=intercept(energy),
        edp_ratio=float(energy[at] * latency[at] / (energy[0] * latency[0])),
        latency_ratio=float(latency[-1] / latency[0]),
    )
