"""Tables of a page that sort and filter: cells as text, one unit for each column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

FIRST = 100
"""Rows that stand in the page itself; the rest appears with its script."""


@dataclass(frozen=True)
class Column:
    """`key` is what filters call it, `unit` stands below its title."""

    key: str
    title: str
    unit: str = ""
    is_number: bool = True


@dataclass(frozen=True)
class Table:
    """A table that sorts and filters. `note` stands below it."""

    name: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    note: str = ""
