"""Tables that fit the width that there is, and lists of values whose remarks may be long."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from copy import copy

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding, PaddingDimensions
from rich.table import Table
from rich.text import Text

_PADDINGS: tuple[PaddingDimensions, ...] = ((0, 1), (0, 1, 0, 0), (0, 0))
"""Of cells, from the widest on; one more blank lies between two cells."""
_UNLIMITED = 10_000
"""Characters, more than any table is wide."""


def plain(text: str) -> Text:
    """`text` as it stands: no markup, and no control character that a terminal would obey."""
    return Text("".join(c if c.isprintable() else "?" for c in text))


class FittingTable(Table):
    """A table that is no wider than the console, unless a single column of figures beside its labels is.

    Where it is too wide its columns move together. Where that is not enough, the columns that do not fit
    follow in another table below it, beside the labels again.
    """

    labels: int = 1
    """How many of the first columns stand in every part. All of them: words, which are folded instead."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.title is not None:
            yield self.title  # as wide as the console, not as the table
        for part in self._parts(console, options):
            yield from Table.__rich_console__(part, console, options)

    def _parts(self, console: Console, options: ConsoleOptions) -> list[FittingTable]:
        """As few tables as fit, each with about as many columns, as far apart as fits."""
        labels, others = range(self.labels), range(self.labels, len(self.columns))
        unlimited = options.update(max_width=_UNLIMITED)

        def fits(part: FittingTable) -> bool:
            return part.__rich_measure__(console, unlimited).maximum <= options.max_width

        for pieces in range(1, max(len(others), 1) + 1):
            each = math.ceil(len(others) / pieces)
            shares = [others[start : start + each] for start in range(0, len(others), each or 1)] or [others]
            for padding in _PADDINGS:
                parts = [self._of([*labels, *share], padding) for share in shares]
                if all(map(fits, parts)):
                    return parts
        return parts

    def _of(self, columns: Sequence[int], padding: PaddingDimensions) -> FittingTable:
        """This table with some of its columns and no title."""
        part = copy(self)
        part.title = None
        part.padding = padding
        part.columns = [copy(self.columns[old]) for old in columns]
        for index, column in enumerate(part.columns):
            column._index = index  # what rich finds a column's neighbours by
        return part


class Listing:
    """Rows of short cells, each with a remark: beside them where it fits, else in lines of its own below."""

    def __init__(self, title: str, rows: Iterable[Sequence[str]]) -> None:
        """`rows` all have the same number of cells; the last one is the remark."""
        self.title = title
        self.rows = [[plain(cell).plain for cell in row] for row in rows]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(self.title, style="bold")
        yield Text()
        short = [row[:-1] for row in self.rows]
        widths = [max(map(len, column)) for column in zip(*short, strict=True)]
        for cells, row in zip(short, self.rows, strict=True):
            line = "  ".join(f"{cell:{width}}" for cell, width in zip(cells, widths, strict=True))
            if len(line) + 2 + len(row[-1]) <= options.max_width:
                yield Text(f"{line}  {row[-1]}".rstrip())
                continue
            yield Text(line.rstrip(), overflow="fold")
            yield Padding(Text(row[-1], style="dim", overflow="fold"), (0, 0, 0, 4))
        yield Text()


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1
) -> FittingTable:
    """A table of text; the first `left` columns are aligned left, the others, of numbers, right.

    A table of words alone may hold long ones: those are folded, but for the names in the first column.
    """
    words = left == len(columns)
    grid = FittingTable(box=box.SIMPLE_HEAD, pad_edge=False)
    grid.title = Text(title, style="bold") if title else None
    grid.labels, grid.show_header = left, any(columns)
    for index, column in enumerate(columns):
        grid.add_column(
            Text(column),
            justify="left" if index < left else "right",
            vertical="top" if words else "bottom",  # headers of numbers may have two lines
            overflow="fold",
            no_wrap=words and index == 0,
            max_width=16 if words and 0 < index < len(columns) - 1 else None,
        )
    for row in rows:
        grid.add_row(*(plain(cell) for cell in row))
    return grid
