"""A figure of the page with its data, and its rendering as SVG, PDF and PNG.

Inside the page the SVG takes its colours from the page's style, so that it can be read on light and on dark;
the files stand on white.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, NullFormatter
from PIL import Image

from imcsim.report.figures.comparison import BLUE, VERMILION
from imcsim.report.units import AREA, ENERGY, TIME, Unit, fitting, product

FORMATS = ("svg", "pdf", "png")
INK, PAPER, GRID, MUTED = "#1a1a1a", "#ffffff", "#e4e4e4", "#767676"
ON_DARK, ON_LIGHT = "#fefefe", "#111112"
"""Text on a patch of colour: the page does not change it."""
SHADES = {
    INK: "currentColor",
    PAPER: "var(--figure)",
    GRID: "var(--grid)",
    MUTED: "var(--muted)",
    BLUE.lower(): "var(--blue)",
    VERMILION.lower(): "var(--vermilion)",
}
HALO = [withStroke(linewidth=2, foreground=PAPER)]
MOST_VECTORS = 1500
"""Points of a scatter up to which each is drawn as a shape; more are one picture inside the figure."""

_DPI, _LAYER_DPI = 300, 200
_STYLE: dict[str, Any] = {
    "figure.dpi": _DPI, "savefig.dpi": _DPI, "font.size": 8, "axes.titlesize": 8, "axes.labelsize": 8,
    "xtick.labelsize": 7, "ytick.labelsize": 7, "legend.fontsize": 7, "legend.frameon": False,
    "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True, "axes.linewidth": 0.7,
    "lines.linewidth": 1.3, "lines.markersize": 4, "text.color": INK, "axes.edgecolor": INK,
    "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "grid.color": GRID, "hatch.color": MUTED,
    "figure.facecolor": PAPER, "axes.facecolor": PAPER, "savefig.facecolor": PAPER, "pdf.fonttype": 42,
    "text.parse_math": False,
    "axes.formatter.useoffset": False, "axes.formatter.limits": (-5, 6),
}  # fmt: skip


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

    files: dict[str, bytes]
    inline: str
    wide: bool
    """Whether it takes the width of a page, not of a column."""


def render(exhibit: Exhibit) -> Rendered:
    """Draw it. The bytes depend on the exhibit alone."""
    # Ids of clip paths and glyphs stand in one page with those of all other figures.
    with matplotlib.style.context(["default", {**_STYLE, "svg.hashsalt": exhibit.name}]):
        figure = exhibit.draw()
        png = _bytes(figure, "png", exhibit.photographs)
        figure.set_layout_engine(None)  # that of the PNG holds for all
        files = {
            "svg": _bytes(figure, "svg", exhibit.photographs),
            "pdf": _bytes(figure, "pdf"),
            "png": png,
        }
    return Rendered(files, _inline(files["svg"].decode(), exhibit), figure.get_figwidth() > 5)


def _bytes(figure: Figure, kind: str, photographs: bool = False) -> bytes:
    buffer = io.BytesIO()
    # Neither dates nor versions: the file is to depend on what it shows alone.
    about: dict[str, dict[str, Any]] = {
        "svg": {"Date": None, "Creator": None},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
        "png": {"Software": None},
    }
    dpi = _DPI if kind == "png" else _LAYER_DPI
    figure.savefig(buffer, format=kind, dpi=dpi, metadata=about[kind])
    if kind == "svg":
        return _slim(buffer.getvalue().decode(), photographs).encode()
    return _few_colours(buffer) if kind == "png" and not photographs else buffer.getvalue()


def _slim(svg: str, photographs: bool) -> str:
    """Numbers without the millionths of a point that matplotlib writes; pictures, but photographs, with few
    colours.
    """
    parts = re.split(r"(data:image/png;base64,[A-Za-z0-9+/=\s]+)", svg)
    for k, part in enumerate(parts):
        if k % 2 and photographs:
            continue
        if k % 2:
            head, data = part.split(",", 1)
            picture = _few_colours(io.BytesIO(base64.b64decode(data)), "RGBA")
            parts[k] = f"{head},{base64.b64encode(picture).decode()}"
        else:
            parts[k] = re.sub(r"-?\d+\.\d{3,}", lambda found: f"{float(found[0]):.5g}", part)
    return re.sub(r' id="image\w+"', "", "".join(parts))  # equal pictures would have equal ids


def _few_colours(png: io.BytesIO, mode: Literal["RGB", "RGBA"] = "RGB") -> bytes:
    """The same picture with a palette, at a third of the size; white stays white."""
    how = Image.Quantize.FASTOCTREE if mode == "RGBA" else Image.Quantize.MEDIANCUT
    picture = Image.open(png).convert(mode).quantize(256, method=how, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    picture.save(buffer, "png", optimize=True, dpi=(_DPI, _DPI))
    return buffer.getvalue()


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


@dataclass(frozen=True)
class Scale:
    """What an axis of a figure shows, in which unit."""

    label: str
    unit: Unit

    def __call__(self, value: float) -> float:
        return value / self.unit.per_base

    @property
    def title(self) -> str:
        return f"{self.label} ({pretty(self.unit)})"

    @property
    def brief(self) -> str:
        """For small panels: without what the caption says."""
        return self.title.replace(" per image", "").replace(", mean over images", "")


def pretty(unit: Unit) -> str:
    """The unit's name with µ and ² (and J times s as such)."""
    parts = (p.replace("um2", "µm²").replace("mm2", "mm²") for p in unit.name.split())
    return " ".join("µ" + p[1:] if p in ("us", "uJ") else p for p in parts)


def scales(outcomes: Sequence[Any]) -> dict[str, Scale]:
    """Scales for energy, latency, edp and area that fit the outcomes; a figure uses one each."""
    energy = fitting(ENERGY, (one.energy_pj for one in outcomes))
    latency = fitting(TIME, (one.latency_ns for one in outcomes))
    return {
        "energy": Scale("energy per image", energy),
        "latency": Scale("latency per image", latency),
        "edp": Scale("EDP, mean over images", product(energy, latency)),
        "area": Scale("area", fitting(AREA, (one.area_um2 for one in outcomes))),
    }


def logarithmic(axis: Any) -> None:
    """A log scale with plain numbers."""
    getattr(axis.axes, f"set_{axis.axis_name}scale")("log")
    low, high = axis.get_view_interval()
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    if high / low < 30:
        from matplotlib.ticker import LogLocator

        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_minor_formatter(NullFormatter())


def figure(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure of `width` x `height` inches with a grid of axes, row by row."""
    made = Figure(figsize=(width, height), layout="constrained")
    axes = made.subplots(rows, columns, squeeze=False)
    return made, list(axes.flat)
