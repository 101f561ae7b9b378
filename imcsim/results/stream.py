"""The document of `imcsim stream`: images one after the other."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from imcsim.base.presented import Presented
from imcsim.results.costs import LayerCost
from imcsim.results.efficiency import Efficiency, LayerEfficiency, PeakEfficiency, check_sums
from imcsim.results.figures import Accuracy, check_exits
from imcsim.results.meta import Meta
from imcsim.results.model import (
    RELATIVE_TOLERANCE,
    Amount,
    Count,
    DocumentPart,
    Fraction,
    Positive,
    derived,
    require,
    same,
    without_nothing,
)
from imcsim.results.programming import ProgrammingCost
from imcsim.results.run import Policy


class StreamArrivals(DocumentPart):
    """How the images of a stream came."""

    kind: Literal["closed", "periodic", "poisson"]
    """One image after the other as the chip takes them, at equal distances, or at random."""
    images_per_s: Amount | None
    """None in a closed loop, where each image comes as soon as the chip takes it."""

    @model_validator(mode="after")
    def _check_rate(self) -> Self:
        require((self.images_per_s is None) == (self.kind == "closed"), "all arrivals but closed have a rate")
        return self


class TileUse(DocumentPart):
    """One tile of a stream's chip."""

    tile: Count
    """Its number, from 0."""
    layers: tuple[str, ...]
    """The layers that stand on it."""
    utilisation: Amount
    """Share of the time in which its crossbars were driven or sensed (above 1 where layers share it); of
    copies of the chip the mean.
    """


_PERCENTILE = "is not that of latency_percentiles_ns"


def _ascending(latencies_ns: tuple[float, ...]) -> tuple[float, ...]:
    require(list(latencies_ns) == sorted(latencies_ns), "latency percentiles out of order")
    return latencies_ns


class StreamResult(Presented, Accuracy):
    """A stream of images on one chip, or on copies of it. Energies are means per image, with the leakage of
    all copies over the whole time.
    """

    schema_version: Literal[2] = 2
    meta: Meta
    policy: Policy
    """What decided how long an image stayed."""
    arrivals: StreamArrivals
    """How the images came."""
    copies: Positive | None = None
    """Of the whole chip, behind a dispatcher; left out where there is one alone."""
    mean_timesteps: Amount
    exit_fraction: tuple[Fraction, ...]
    makespan_ns: Amount
    """From the first image's arrival until the last one has left."""
    throughput_images_per_s: Amount = derived(
        lambda result: result.meta.images / (result.makespan_ns * 1e-9), "is not images / makespan_ns"
    )
    """Images over the time until the last one has left."""
    latency_ns: Amount
    """Mean time from an image's arrival until it leaves."""
    latency_p50_ns: Amount = derived(lambda result: result.latency_percentiles_ns[50], _PERCENTILE)
    latency_p95_ns: Amount = derived(lambda result: result.latency_percentiles_ns[95], _PERCENTILE)
    latency_p99_ns: Amount = derived(lambda result: result.latency_percentiles_ns[99], _PERCENTILE)
    latency_percentiles_ns: Annotated[
        tuple[Amount, ...], Field(min_length=101, max_length=101), AfterValidator(_ascending)
    ]
    """The shortest latency, the percentiles 1 to 99, and the longest; each is the latency of an image."""
    energy_pj: Amount
    """Mean per image, leakage included."""
    cancelled_energy_pj: Amount
    """The part spent on timesteps that were begun before the checker let their image go."""
    leakage_energy_pj: Amount
    """The part that leaks."""
    edp_of_latency: Amount = derived(
        lambda result: result.energy_pj * result.latency_ns, "is not energy_pj x latency_ns"
    )
    """Mean energy x mean latency, pJ ns."""
    edp_of_interval: Amount = derived(
        lambda result: result.energy_pj * result.makespan_ns / result.meta.images,
        "is not energy_pj x makespan_ns / images",
    )
    """Mean energy x mean time between departures, pJ ns: what counts where images queue."""
    tiles: tuple[TileUse, ...]
    """How much each tile was used."""
    flits_a_cycle_and_router: Amount
    """Flits that a router passes on in a clock cycle, mean over time and routers."""
    link_utilisation: Amount | None = None
    """Share of the time in which a link between chips carries flits one way, their mean; left out where there
    is one chip.
    """
    layers: tuple[LayerCost, ...]
    """Each layer on the chip."""
    efficiency: Efficiency
    """Its `latency_ns` is the mean time between departures: rates are those of the stream."""
    peak: PeakEfficiency
    """What the chip could do at most."""
    programming: ProgrammingCost
    """Writing the weights, once."""
    layer_efficiency: tuple[LayerEfficiency, ...]
    """The efficiency of each layer."""
    warnings: tuple[str, ...] = ()

    @model_serializer(mode="wrap")
    def _without_nothing(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_nothing(whole(self), "copies", "link_utilisation")

    @model_validator(mode="after")
    def _check_document(self) -> Self:
        require(self.policy.timesteps == self.meta.timesteps, "policy.timesteps differs from meta.timesteps")
        require(len(self.exit_fraction) == self.meta.timesteps, "exit_fraction must have T max entries")
        check_exits(self.exit_fraction, self.mean_timesteps)
        interval_ns = self.makespan_ns / self.meta.images
        require(same(self.efficiency.energy_pj, self.energy_pj), "the efficiency has another energy")
        require(same(self.efficiency.latency_ns, interval_ns), "the efficiency has another interval")
        check_sums(self.efficiency, self.layer_efficiency, self.energy_pj)
        at = self.latency_percentiles_ns
        require(
            at[0] * (1 - RELATIVE_TOLERANCE) <= self.latency_ns <= at[-1] * (1 + RELATIVE_TOLERANCE),
            "latency_ns lies outside the latencies",
        )
        require(
            self.cancelled_energy_pj + self.leakage_energy_pj <= self.energy_pj * (1 + RELATIVE_TOLERANCE),
            "cancelled work and leakage exceed the energy",
        )
        require(
            len(self.tiles) == self.meta.hardware.tiles
            and all(t.tile == k for k, t in enumerate(self.tiles)),
            "tiles must hold every tile of the chip in order",
        )
        return self
