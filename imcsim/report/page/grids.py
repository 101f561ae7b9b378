"""Tables that stand as they are, without a script, and pictures with what is known of them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imcsim.report.page.tables import Column

Tone = Literal["", "good", "bad", "strong", "faint"]
ENLARGED = 5
"""Pixels of the file of a picture that a pixel becomes."""


@dataclass(frozen=True)
class Cell:
    """What a cell says. `mark` tells how sure a published figure is; `below` is small and under the text.

    A tone only underlines what the text says: a reader who sees no colours misses nothing.
    """

    text: str
    mark: str = ""
    below: str = ""
    tone: Tone = ""


@dataclass(frozen=True)
class Grid:
    """A small table: the first cell of each row is its heading. `data` are the raw figures of its CSV."""

    name: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell | str]]
    data_columns: Sequence[str]
    data: Sequence[Sequence[Any]]
    caption: str = ""
    wide: bool = False
    """Whether it takes the width of the page, not half of it."""


def cells(grid: Grid) -> list[list[Cell]]:
    """Its rows as cells. Raises ValueError where a row does not fit the columns."""
    rows = [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in grid.rows]
    if any(len(row) != len(grid.columns) for row in rows):
        raise ValueError(f"{grid.name}: a row does not fit the {len(grid.columns)} columns")
    return rows


@dataclass(frozen=True)
class Bar:
    """One line of a card: a figure between 0 and 1 as text and as a bar."""

    label: str
    value: float
    text: str
    after: str = ""


@dataclass(frozen=True)
class Card:
    """A picture (PNG) and, below it, what is known of it. `limit` draws a line across the bars."""

    name: str
    png: bytes
    described: str
    """What a reader who cannot see the picture is told."""
    title: str
    text: str
    tone: Tone = ""
    bars: Sequence[Bar] = ()
    limit: float | None = None


def enlarged(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG of uint8 ``[channels, height, width]`` (one or three channels), each pixel a square.

    Raises ValueError for other shapes.
    """
    if pixels.ndim != 3 or pixels.shape[0] not in (1, 3) or pixels.dtype != np.uint8:
        raise ValueError(f"no picture is {pixels.dtype} {pixels.shape}")
    shown = np.repeat(np.repeat(pixels, ENLARGED, axis=1), ENLARGED, axis=2)
    flat = shown[0] if shown.shape[0] == 1 else np.moveaxis(shown, 0, -1)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(flat)).save(buffer, "png", optimize=True)
    return buffer.getvalue()
