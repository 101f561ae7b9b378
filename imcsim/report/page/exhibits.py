"""A figure of the page with its data, and its rendering as SVG, PDF and PNG.

Inside the page the SVG takes its colours from the page's style, so that it can be read on light and on dark;
the files stand on white.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from imcsim.report.figures.drawing import BLUE, GRID, INK, MUTED, PAPER, VERMILION, Format, draw_one

FORMATS: tuple[Format, ...] = ("svg", "pdf", "png")
SHADES = {
    INK: "currentColor",
    PAPER: "var(--figure)",
    GRID: "var(--grid)",
    MUTED: "var(--muted)",
    BLUE.lower(): "var(--blue)",
    VERMILION.lower(): "var(--vermilion)",
}


@dataclass(frozen=True)
class Exhibit:
    """A figure, what it says, and its data. `name` is that of its files; `draw` gives the figure."""

    name: str
    title: str
    caption: str
    draw: Callable[[], Figure]
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    data: str = ""
    """Name of the data, where several figures show the same."""
    photographs: bool = False
    """Whether it shows photographs, which 256 colours would spoil."""


@dataclass(frozen=True)
class Rendered:
    """The files of a figure by format, and the SVG for the inside of a page."""

    files: dict[Format, bytes]
    inline: str
    wide: bool
    """Whether it takes the width of a page, not of a column."""


def render(exhibit: Exhibit) -> Rendered:
    """Draw it. The bytes depend on the exhibit alone."""
    # Ids of clip paths and glyphs stand in one page with those of all other figures.
    drawn, width = draw_one(exhibit.draw, FORMATS, exhibit.name, photographs=exhibit.photographs)
    return Rendered(drawn, _inline(drawn["svg"].decode(), exhibit), width > 5)


def salt(name: str) -> str:
    """`name` as part of an id."""
    return "fig_" + re.sub(r"\W", "_", name)


def _inline(svg: str, exhibit: Exhibit) -> str:
    """The `svg` element, with the page's colours and ids of its own."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    own = salt(exhibit.name)
    svg = re.sub(r'(\bid="|"#|url\(#)', rf"\g<1>{own}-", svg)
    svg = re.sub("|".join(SHADES), lambda found: SHADES[found[0]], svg)
    svg = re.sub(r"\s*\n\s*", "\n", svg)
    return re.sub(
        r'<svg [^>]*?viewBox="([^"]*)"[^>]*>',
        lambda found: (
            f'<svg xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="{found[1]}" role="img" '
            f'style="max-width:{float(found[1].split()[2]) / 72 * 1.5:.2f}in" aria-labelledby="{own}-title">'
        ),
        svg,
        count=1,
    ).strip()
