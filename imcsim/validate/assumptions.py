"""What the estimates in `dtsnn_32nm` do to the comparison with the paper: one at a time, and three fitted."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import imcsim.hardware
from imcsim.validate.chips import Counts, changed, on_other_chip
from imcsim.validate.dtsnn import PAPER_SHARES, SHARES_AT, Shares, Vgg16, curves, intercept, shares


@dataclass(frozen=True)
class Assumption:
    """An assumption that might be otherwise. `played`: it changes mapping or timing, not prices alone."""

    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    played: bool = False


ASSUMPTIONS = (
    Assumption("as shipped"),
    Assumption("encoder recomputes", {"encoder.mode": "recompute"}, True),
    Assumption("no copies of layers", {"mapping.replication": "none"}, True),
    Assumption("idle tiles gated", {"clock.gating": "idle_tiles"}, True),
    Assumption("tile buffer of 40 KB", {"tile_buffer.capacity_bytes": 40960}, True),
    Assumption("PE buffer of 20 KB", {"pe_buffer.capacity_bytes": 20480}),
    Assumption("image from DRAM, 3.5 pJ/bit", {"offchip_link.bit_energy_pj": 3.5}),
    Assumption("image from DRAM, 20 pJ/bit", {"offchip_link.bit_energy_pj": 20.0}),
    Assumption("ADC preset isaac_sar", {"adc.preset": "isaac_sar"}, True),
    Assumption("ADC preset survey_fit", {"adc.preset": "survey_fit"}, True),
    Assumption("ADC preset neurosim_sar", {"adc.preset": "neurosim_sar"}, True),
    Assumption("ADC preset neurosim_flash", {"adc.preset": "neurosim_flash"}, True),
    Assumption("ADC of 5 bits", {"adc.bits": 5}, True),
    Assumption("H-tree of 1 mm", {"htree.length_mm": 1.0}),
    Assumption("links of 2 mm", {"noc.link_length_mm": 2.0}),
    Assumption("no leakage of logic", {"technology.logic_leakage_uw_per_um2": 0.0}),
    Assumption("leakage low", {"technology.leakage": "low"}),
    Assumption("leakage high", {"technology.leakage": "high"}),
    Assumption("bare wires", {"technology.wires": "bare"}),
    Assumption("wires of CACTI 7", {"technology.wires": "cacti"}),
    Assumption("clamp of 0.1 GHz", {"cells.clamp_bandwidth_ghz": 0.1}, True),
    Assumption("no clock tree", {"clock.tile_cycle_energy_pj": 0.0}),
    Assumption("V_read 0.3 V", {"cells.v_read_v": 0.3}),
)

FITTED: Mapping[str, tuple[float, ...]] = {
    "adc.bits": (4, 5, 6, 7, 8),
    "htree.length_mm": (0.3, 0.6, 0.9, 1.2),
    "noc.link_length_mm": (0.6, 1.2, 1.8, 2.4),
}
"""Keys, estimated or computed, that the fit may set, and the values it may choose from: half to twice the
lengths computed, and any resolution from that of one cell to the one shipped.
"""


@dataclass(frozen=True)
class AssumptionOutcome:
    """The comparison under one assumption.

    mark: how sure the shipped value is that was changed; empty where none was. shares, energy_pj: at T = 4.
    latency_ratio: T = 8 over T = 1.
    """

    name: str
    mark: str
    intercept: float
    latency_ratio: float
    shares: Shares
    energy_pj: float


@dataclass(frozen=True)
class Fit:
    """Values of `FITTED` with which the shares come closest to the paper's, and the shares."""

    values: Mapping[str, float]
    shares: Shares


def outcomes(run: Vgg16) -> Iterator[AssumptionOutcome]:
    """One for each of `ASSUMPTIONS`, the others left alone."""
    marks = imcsim.hardware.load("dtsnn_32nm").provenance
    for change in ASSUMPTIONS:
        config = changed(run.simulation.chip.config, change.changes)
        ran = on_other_chip(run.simulation, config, run.inputs, played=change.played)
        energy, latency = curves(ran)
        yield AssumptionOutcome(
            name=change.name,
            mark=", ".join(sorted({marks[key].mark for key in change.changes})),
            intercept=intercept(energy),
            latency_ratio=float(latency[-1] / latency[0]),
            shares=shares(Counts(ran, SHARES_AT).energy_pj()),
            energy_pj=float(energy[SHARES_AT - 1]),
        )


def fit(run: Vgg16) -> Fit:
    """The least sum of squared distances to the paper's shares, over all combinations of `FITTED`; prices
    alone.
    """
    counts = Counts(run.simulation, SHARES_AT)
    best: tuple[float, Fit] | None = None
    for chosen in itertools.product(*FITTED.values()):
        values = dict(zip(FITTED, chosen, strict=True))
        ours = shares(counts.energy_pj(changed(counts.config, values)))
        distance = sum((a - b) ** 2 for a, b in zip(ours, PAPER_SHARES, strict=True))
        if best is None or distance < best[0]:
            best = distance, Fit(values, ours)
    assert best is not None
    return best[1]
