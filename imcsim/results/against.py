"""Static and dynamic timesteps beside another network on the same images: an ANN, say.

Each of the three stands as a chip of its own would be built for it: static runs and the other network have no
exit checker, neither its energy and time nor its area; the dynamic run has it. Throughput is that of a chip
which always has a next image: static runs are pipelined, the dynamic run has the issue policy of the
comparison.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from imcsim.results.costs import ComponentCost
from imcsim.results.figures import Accuracy, product_of_means
from imcsim.results.meta import Meta
from imcsim.results.model import Amount, DocumentPart, derived, require

RunName = Literal["static", "dynamic", "against"]


class SideRun(Accuracy):
    """One of the three: means over the images."""

    run: RunName
    network: str
    hardware: str
    mean_timesteps: Amount
    energy_pj: Amount
    latency_ns: Amount
    edp_mean_of_products: Amount
    edp_product_of_means: Amount = product_of_means()
    area_um2: Amount
    images_per_s: Amount


class Ratio(DocumentPart):
    """A run over that of the other network: below 1 it takes less (of throughput: it gives less)."""

    run: Literal["static", "dynamic"]
    accuracy_difference: float
    """Accuracy less that of the other network, a share of the images."""
    energy: Amount
    latency: Amount
    edp_mean_of_products: Amount
    """Of the means over the images of energy x latency."""
    area: Amount
    images_per_s: Amount


class Against(DocumentPart):
    """Static T max, dynamic timesteps and another network, side by side."""

    meta: Meta
    """What the other network ran on."""
    kind: Literal["ann", "snn"]
    """Whether it computes with activations, in one timestep, or with spikes."""
    activation_bits: tuple[Annotated[int, Field(ge=1, le=8)], ...]
    """Bits of the activations of each layer; empty for spikes."""
    runs: tuple[SideRun, SideRun, SideRun]
    ratios: tuple[Ratio, Ratio] = derived(
        lambda against: tuple(_ratio(one, against.runs[2]) for one in against.runs[:2]),
        "do not follow from the runs",
    )
    components: tuple[ComponentCost, ...]
    """Where the energy of the other network goes, an exit checker included."""
    warnings: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check_runs(self) -> Self:
        names = [one.run for one in self.runs]
        require(names == ["static", "dynamic", "against"], "the runs are static, dynamic, against")
        require((self.kind == "ann") == bool(self.activation_bits), "activations have bits, spikes have none")
        return self


def _ratio(one: SideRun, other: SideRun) -> Ratio:
    def over(a: float, b: float) -> float:
        return a / b if b else 0.0

    run: Literal["static", "dynamic"] = "static" if one.run == "static" else "dynamic"
    return Ratio(
        run=run,
        accuracy_difference=one.accuracy - other.accuracy,
        energy=over(one.energy_pj, other.energy_pj),
        latency=over(one.latency_ns, other.latency_ns),
        edp_mean_of_products=over(one.edp_mean_of_products, other.edp_mean_of_products),
        area=over(one.area_um2, other.area_um2),
        images_per_s=over(one.images_per_s, other.images_per_s),
    )
