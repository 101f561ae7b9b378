"""Figures that architecture papers report: energy per operation, rates, power, and the energy of each layer.

An *operation* is half of a multiply-accumulate: papers count two for each. On the crossbars one bit of an
input meets one weight, so an input of b bits takes b of these multiply-accumulates. All that a layer of this
shape has are counted, whether or not an input is 0: as of a dense network. A *synaptic operation* is one of
them whose input bit is 1: a spike that reaches one weight. Work that an exit cancelled is not counted.

Three widths of the same operations stand side by side. ``native``: one input bit with a weight of the
network's own width. ``one_bit``: a weight of w bits counts w times, as in papers that normalise to 1 x 1 bit.
``eight_bit``: w / 64 of it, as 8 x 8 bits take 64 of those.

The *latency* of a layer goes from its first row of a timestep until its last one is done, summed over the
timesteps; layers overlap, so these do not sum to the latency of the run. For how long each of its resources
works (`busy_ns`) follows from the work alone: of the tile, crossbar or link where it is longest; of crossbars
and ADCs with their share of skipped reads taken off. The one that works longest *bounds* the layer, and
its share of the latency is the layer's utilisation: for the rest of the time it waits, for rows of the
layer before or for room behind it. Above 1, the mesh still carries rows when the layer is done.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Protocol

from imcsim.results.model import Amount, DocumentPart, Positive, Share, derived, require, same


class OperationRate(DocumentPart):
    """Operations of one width."""

    tops: Amount
    """10**12 operations per second."""
    tops_per_w: Amount
    """Operations per pJ."""
    tops_per_mm2: Amount


def _rate(factor: Any) -> Any:
    """The field of the rates at a width; `factor` gives operations of that width for a native one."""
    return derived(
        lambda part: _operation_rate(
            part.operations * factor(part), part.energy_pj, part.latency_ns, part.area_um2
        ),
        "does not follow from operations, energy_pj, latency_ns and area_um2",
    )


def _operation_rate(operations: float, energy_pj: float, latency_ns: float, area_um2: float) -> OperationRate:
    # Operations per ns are 10**9 per second: a thousandth of 10**12.
    tops = _over(operations, latency_ns) * 1e-3
    return OperationRate(
        tops=tops,
        tops_per_w=_over(operations, energy_pj),
        tops_per_mm2=_over(tops, area_um2 * 1e-6),
    )


def _over(amount: float, by: float) -> float:
    """A quotient; 0 where there is nothing to divide by, as on a chip that is priced at nothing."""
    return amount / by if by else 0.0


class OperationRates(DocumentPart):
    """Operations over a time, at three widths (see this module)."""

    energy_pj: Amount
    """Of the operations."""
    latency_ns: Amount
    """The time that they take."""
    area_um2: Amount
    weight_bits: Positive
    operations: Amount
    """Of one input bit and a weight of `weight_bits`."""
    native: OperationRate = _rate(lambda part: 1.0)
    one_bit: OperationRate = _rate(lambda part: float(part.weight_bits))
    eight_bit: OperationRate = _rate(lambda part: part.weight_bits / 64)
    average_power_uw: Amount = derived(
        lambda part: _over(part.energy_pj, part.latency_ns) * 1e3, "is not energy_pj / latency_ns"
    )
    power_density_mw_per_mm2: Amount = derived(
        lambda part: _over(part.average_power_uw * 1e-3, part.area_um2 * 1e-6),
        "is not average_power_uw / area_um2",
    )


class Efficiency(OperationRates):
    """What an image achieves: means over the images, one image on the chip at a time."""

    synaptic_operations: Amount
    """Input bits at 1, once for each weight that they reach."""
    energy_pj_per_synaptic_operation: Amount | None = derived(
        lambda part: part.energy_pj / part.synaptic_operations if part.synaptic_operations else None,
        "is not energy_pj / synaptic_operations",
    )
    """All energy of the chip, leakage included; None where no input was ever 1."""
    accumulates: Amount
    """Synaptic operations of layers that read spikes."""
    multiply_accumulates: Amount
    """Of layers that read an image of several bits, zeros included, once for each time they ran."""
    dense_multiply_accumulates: Amount
    """Of the network without spikes: each weight once at each position."""
    accumulate_pj: Amount
    """What the naive estimates take an addition for."""
    multiply_accumulate_pj: Amount
    naive_node_nm: Amount
    naive_energy_pj: Amount = derived(
        lambda part: (
            part.accumulates * part.accumulate_pj + part.multiply_accumulates * part.multiply_accumulate_pj
        ),
        "is not what accumulates and multiply_accumulates cost",
    )
    """What papers on spiking networks print of such a run: arithmetic alone."""
    naive_dense_energy_pj: Amount = derived(
        lambda part: part.dense_multiply_accumulates * part.multiply_accumulate_pj,
        "is not what dense_multiply_accumulates cost",
    )
    """What they print of the network without spikes."""
    inferences_per_s: Amount = derived(lambda part: _over(1e9, part.latency_ns), "is not 1 / latency_ns")
    inferences_per_j: Amount = derived(lambda part: _over(1e12, part.energy_pj), "is not 1 / energy_pj")


class PeakEfficiency(OperationRates):
    """The chip with every crossbar read as often as sensing and ADCs allow, all rows driven, in one such
    interval (`latency_ns`). `average_power_uw` is then its peak power.
    """


class LayerEfficiency(DocumentPart):
    """One layer of the dynamic run, or of the only one: means per image."""

    name: str
    operations: Amount
    synaptic_operations: Amount
    skipped_reads: Share
    """Of its crossbar reads, those left out because no row was active."""
    energy_pj_by_component: dict[str, Amount]
    """Components that take no energy in it are left out."""
    latency_ns: Amount | None
    """From its first row until its last, over all timesteps of an image; None of what has no crossbars."""
    busy_ns: dict[str, Amount]
    """For how long each resource works: ``bus``, ``buffer``, ``crossbar``, ``adc``, ``neurons``, ``mesh``."""
    cells_used: Share | None
    """Of the cells of its crossbars, those that hold a weight of it."""
    bound_by: str | None = derived(
        lambda part: max(part.busy_ns, key=part.busy_ns.__getitem__) if part.busy_ns else None,
        "is not what works longest",
    )
    """The resource that works longest, the first of equal ones."""
    utilisation: Share | None = derived(
        lambda part: part.busy_ns[part.bound_by] / part.latency_ns if part.latency_ns else None,
        "is not the share of latency_ns for which bound_by works",
    )
    energy_pj: Amount = derived(
        lambda part: math.fsum(part.energy_pj_by_component.values()), "is not the sum over components"
    )
    edp_pj_ns: Amount | None = derived(
        lambda part: None if part.latency_ns is None else part.energy_pj * part.latency_ns,
        "is not energy_pj x latency_ns",
    )
    energy_pj_per_synaptic_operation: Amount | None = derived(
        lambda part: part.energy_pj / part.synaptic_operations if part.synaptic_operations else None,
        "is not energy_pj / synaptic_operations",
    )


class _Costs(Protocol):
    """Any part that states what a run cost."""

    @property
    def energy_pj(self) -> float: ...
    @property
    def latency_ns(self) -> float: ...


def check_efficiency(whole: Efficiency, layers: Iterable[LayerEfficiency] | None, run: _Costs) -> None:
    """Refuse figures of another run, and layers that do not sum to their run."""
    require(same(whole.energy_pj, run.energy_pj), "the efficiency has another energy than its run")
    require(same(whole.latency_ns, run.latency_ns), "the efficiency has another latency than its run")
    if layers is not None:
        check_sums(whole, layers, run.energy_pj)


def check_sums(whole: Efficiency, layers: Iterable[LayerEfficiency], energy_pj: float) -> None:
    """Refuse layers that do not sum to the whole."""
    layers = tuple(layers)
    energy = math.fsum(layer.energy_pj for layer in layers)
    require(same(energy, energy_pj), "the layers' components do not sum to the energy")
    reached = math.fsum(layer.synaptic_operations for layer in layers)
    require(same(reached, whole.synaptic_operations), "the layers' synaptic operations do not sum up")
