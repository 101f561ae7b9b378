"""Which type of tile a layer stands on: by hand, by the first rule that takes it, or the chip's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

OWN = ""
"""The chip's own type of tile, which the sections of its file describe."""

OWN_WORD = "chip"
"""How a file calls it."""

Position = Literal["first", "last", "first_or_last"]


@dataclass(frozen=True)
class Rule:
    """The layers that a type takes: all of these conditions must hold, those that are given.

    Rows are those of the layer's weight matrix, its fan-in. Layers are first and last among those with
    weights, in the order of the network.
    """

    rows_at_least: int | None = None
    rows_at_most: int | None = None
    position: Position | None = None

    def takes(self, rows: int, *, first: bool, last: bool) -> bool:
        """Whether a layer of so many rows at that place belongs to it."""
        places = {"first": first, "last": last, "first_or_last": first or last}
        return (
            (self.rows_at_least is None or rows >= self.rows_at_least)
            and (self.rows_at_most is None or rows <= self.rows_at_most)
            and (self.position is None or places[self.position])
        )


@dataclass(frozen=True)
class Assignment:
    """Types by the name of the layer, which come first, and rules by type, in their order."""

    by_hand: tuple[tuple[str, str], ...] = ()
    rules: tuple[tuple[str, Rule], ...] = ()

    def types_of(self, layers: Sequence[tuple[str, int]]) -> dict[str, str]:
        """The type of each of a network's layers with weights, given as name and rows, in their order."""
        if not self.by_hand and not self.rules:
            return {name: OWN for name, _ in layers}
        named, found = dict(self.by_hand), {}
        for k, (name, rows) in enumerate(layers):
            first, last = k == 0, k == len(layers) - 1
            by_rule = (kind for kind, rule in self.rules if rule.takes(rows, first=first, last=last))
            found[name] = named[name] if name in named else next(by_rule, OWN)
        return found


NO_TYPES = Assignment()
"""All layers on the chip's own tiles."""
