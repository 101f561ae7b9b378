"""What differs between two sides, one figure or setting at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Change:
    """One figure of both sides; None on the side that has none."""

    name: str
    a: float | None
    b: float | None

    @property
    def change(self) -> float | None:
        """b - a."""
        return None if self.a is None or self.b is None else self.b - self.a

    @property
    def relative(self) -> float | None:
        """b / a - 1; None where there is no such quotient."""
        return self.b / self.a - 1 if self.a and self.b is not None else None


@dataclass(frozen=True)
class ValueChange:
    """A setting that differs: its value and mark on both sides, None where it is not there. Unit "" for
    words and plain numbers.
    """

    key: str
    a: Any
    b: Any
    unit: str = ""
    mark_a: str | None = None
    mark_b: str | None = None


def changed(a: Mapping[str, float], b: Mapping[str, float]) -> tuple[Change, ...]:
    return tuple(change for change in paired(a, b) if change.a != change.b)


def paired(a: Mapping[str, float | None], b: Mapping[str, float | None]) -> Iterator[Change]:
    for name in dict.fromkeys([*a, *b]):
        yield Change(name, a.get(name), b.get(name))


def leaves(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested values by dotted key."""
    for key, value in data.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
