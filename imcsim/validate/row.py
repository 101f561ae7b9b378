"""One row: what a figure should be, what we get, and how far apart they may be."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Part = Literal["spikesim", "dtsnn", "by_hand", "isaac", "growth"]


@dataclass(frozen=True)
class ValidationRow:
    """A checked figure, or (`allowed` None) one that is only shown beside ours.

    The deviation is relative, ``got / expected - 1``; with `points` it is the difference ``got - expected``
    in the row's own unit, for shares whose published value has few digits. `mark` says how sure the expected
    figure is (see hardware.quantity.MARKS), `note` why a deviation is allowed or not judged.
    """

    part: Part
    name: str
    expected: float
    got: float
    unit: str
    allowed: float | None
    source: str
    mark: str
    points: bool = False
    note: str = ""

    @property
    def deviation(self) -> float:
        """Relative, or in the row's unit with `points`."""
        return float(self.got - self.expected if self.points else self.got / self.expected - 1)

    @property
    def passed(self) -> bool | None:
        """Whether the deviation is within what is allowed; None where it is not judged."""
        return None if self.allowed is None else abs(self.deviation) <= self.allowed

    def document(self) -> dict[str, Any]:
        """The row as plain values, with deviation and verdict."""
        return {**asdict(self), "deviation": self.deviation, "passed": self.passed}
