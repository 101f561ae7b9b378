"""Where the energy and the area go: by component and action, by layer, and the exit checker's part."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Self

from pydantic import model_validator

from imcsim.results.model import Amount, Count, DocumentPart, Share, require, same


class Action(DocumentPart):
    """One kind of event of a component."""

    name: str
    """Of the kind of event."""
    count: Amount
    """Mean per image."""
    energy_pj_each: Amount
    """Mean over the events, where the energy depends on what happened."""
    energy_pj: Amount
    """Mean per image."""


class ComponentCost(DocumentPart):
    """One kind of component, all its instances together."""

    name: str
    """Of the kind of component."""
    energy_pj: Amount
    """Mean per image, of the dynamic run where there are both."""
    share: Share
    """Of the energy of that run."""
    static_energy_pj: Amount | None
    """The same in the static run of T max; None in the result of a single policy."""
    area_um2: Amount
    """All instances together."""
    count: Count
    """Instances on the chip."""
    actions: tuple[Action, ...]
    """What its energy was spent on, by kind of event."""

    @model_validator(mode="after")
    def _check_actions(self) -> Self:
        total = math.fsum(action.energy_pj for action in self.actions)
        require(same(total, self.energy_pj), f"{self.name}: its actions do not sum to its energy")
        return self


class LayerCost(DocumentPart):
    """One layer on the chip. Energy is the mean per image, of the dynamic run where there are both."""

    name: str
    """Of the layer."""
    kind: str
    """What the layer computes."""
    rows: Count
    """Rows of its weight matrix."""
    columns: Count
    """Columns of its weight matrix, slices included."""
    crossbars: Count
    """Crossbars that it takes, those of its copies included."""
    tiles: Count
    """Tiles that it stands on."""
    copies: Count
    """How many times the layer stands on the chip."""
    energy_pj: Amount
    share: Share
    """Of the energy of all layers."""
    spike_rate: Amount | None
    """Spikes per neuron and timestep of its output, above 1 where neurons fire several times per timestep;
    None for the classifier, which has no neurons.
    """


class CheckerCost(DocumentPart):
    """The unit that decides whether an image may leave."""

    energy_share_of_one_timestep: Share
    """Of an average timestep: of static runs of T max in a comparison, else of the run itself."""
    energy_pj_per_check: Amount
    """Of one look at the outputs of a timestep."""
    cycles_per_check: Amount
    """Clock cycles of one look."""
    area_um2: Amount
    """Of the checker."""


def check_components(components: Iterable[ComponentCost], energy_pj: float) -> None:
    components = tuple(components)
    require(
        same(math.fsum(c.energy_pj for c in components), energy_pj),
        "the components do not sum to the energy",
    )
    for component in components:
        share = component.energy_pj / energy_pj if energy_pj else 0.0
        require(same(component.share, share), f"{component.name}: share is not its energy over the total")
