"""DT-SNN's VGG-16 on `dtsnn_32nm`: how latency and energy grow with T, component shares, the checker's share.

Weights are random, and thresholds set for a spike rate of 15 %: all energies but those of cells and wordline
drivers depend on shapes and timing alone. What the paper does not say is estimated in the config, so most
rows show its figures beside ours without a verdict; `assumptions` says what each estimate moves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import imcsim.hardware
from imcsim.hardware.accounting import PERIPHERALS
from imcsim.hardware.events import CHECKER_EVENTS
from imcsim.inputs import Inputs
from imcsim.simulation.simulate import Simulation
from imcsim.validate.chips import Counts, simulated
from imcsim.validate.networks import random_images, vgg16
from imcsim.validate.published import PAPER, figure
from imcsim.validate.row import ValidationRow

SOURCE = PAPER
SPIKE_RATE = 0.15
SEED = 0
IMAGES = 2
TIMESTEPS = 8
SHARES_AT = 4
"""The paper does not say at which T it splits the energy; four is what it compares with."""

CROSSBARS = frozenset({"cells", "clamp", "sample_hold", "column_mux", "adc", "converter_reference"})

Values = NDArray[np.float64]
Shares = tuple[float, float, float]
"""Per cent in digital peripherals, in crossbars with their ADCs, in the rest."""
PAPER_SHARES: Shares = (
    float(figure("share.peripherals").value),
    float(figure("share.crossbars").value),
    float(figure("share.rest").value),
)
GROUPS = ("digital peripherals", "crossbars and ADCs", "the rest")


@dataclass(frozen=True, eq=False)
class Vgg16:
    """VGG-16 simulated on the default chip, and its images."""

    simulation: Simulation
    inputs: Inputs


def vgg16_run() -> Vgg16:
    """Static runs of 1 to 8 timesteps."""
    network = vgg16(SPIKE_RATE, SEED)
    inputs = random_images(network.input_shape, network.input_bits, IMAGES, SEED + 1)
    return Vgg16(simulated(network, imcsim.hardware.load("dtsnn_32nm"), inputs, TIMESTEPS), inputs)


def curves(simulation: Simulation) -> tuple[Values, Values]:
    """Mean energy (pJ) and latency (ns) of static runs of 1, 2, .. T timesteps, float64 ``[T]``."""
    return simulation.static.energy_pj.mean(axis=0), simulation.static.latency_ns.mean(axis=0)


def intercept(energy: Values) -> float:
    """The part of a run of one timestep that is not spent again at every further one: ``1 - slope``, with the
    slope between the first and the last T, as 4.9x at T = 8 makes it 0.443 for the paper.
    """
    return float(1 - (energy[-1] - energy[0]) / (len(energy) - 1) / energy[0])


def shares(energy: Mapping[str, float]) -> Shares:
    """Per cent of the three groups, from energies by component."""
    whole = sum(energy.values())
    peripherals = 100 * sum(energy[name] for name in PERIPHERALS) / whole
    crossbars = 100 * sum(energy[name] for name in CROSSBARS) / whole
    return peripherals, crossbars, 100 - peripherals - crossbars


def growth_rows(run: Vgg16) -> Iterator[ValidationRow]:
    """How latency and energy grow with T: what the chip's config was chosen for, and a law of the ledger."""
    energy, latency = curves(run.simulation)
    steps = np.arange(1, TIMESTEPS + 1)
    line = np.polyval(np.polyfit(steps, energy, 1), steps)
    slower = figure("latency_t8")
    yield ValidationRow(
        "growth", slower.name, slower.value, latency[-1] / latency[0], slower.unit, 0.05, SOURCE, "paper",
        note="copies of layers and the encoder were chosen for it; the image is loaded once",
    )  # fmt: skip
    yield ValidationRow(
        "growth", "largest distance of E(T) from a straight line", 0,
        100 * float(np.abs(energy / line - 1).max()), "%", 1.0, "energy is affine in T", "derived",
        points=True, note="spikes differ from timestep to timestep",
    )  # fmt: skip


def dtsnn_rows(run: Vgg16) -> Iterator[ValidationRow]:
    """Energy's growth with T, shares and checker: none of them was put in."""
    energy, latency = curves(run.simulation)
    once = intercept(energy)
    yield _beside("energy_t8", energy[-1] / energy[0])
    yield _beside("intercept", once)
    yield _beside("slope", 1 - once)
    needed = figure("intercept").value / figure("slope").value
    yield ValidationRow(
        "dtsnn", "energy spent once an inference", needed * (1 - once) * energy[0] * 1e-6,
        once * energy[0] * 1e-6, "uJ", None, "what 0.443 needs at our slope", "derived",
    )  # fmt: skip
    growth = energy[3] * latency[3] / (energy[0] * latency[0])
    yield _beside("edp_t4", growth)
    counts = Counts(run.simulation, SHARES_AT)
    for name, paper, ours in zip(GROUPS, PAPER_SHARES, shares(counts.energy_pj()), strict=True):
        yield ValidationRow("dtsnn", f"share of {name}", paper, ours, "%", None, SOURCE, "paper", points=True)
    check = Counts(run.simulation, 1).energy_pj(events=CHECKER_EVENTS)["checker"]
    yield ValidationRow(
        "dtsnn", "a check over one timestep", figure("check").value,
        check / (energy[SHARES_AT - 1] / SHARES_AT), "", None, SOURCE, "est",
        note="estimated for the paper, not published: shown, not judged",
    )  # fmt: skip


def _beside(key: str, got: float) -> ValidationRow:
    """A published figure beside ours, without a verdict."""
    paper = figure(key)
    return ValidationRow("dtsnn", paper.name, paper.value, got, paper.unit, None, paper.source, paper.mark)
