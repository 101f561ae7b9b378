"""How every figure is drawn: one style, the colours, and the bytes of its files.

The bytes depend on what a figure shows alone. Only matplotlib's objects are used, never pyplot, so nothing
opens a window or leaks state into a caller's figures. Colours are those of M. Okabe and K. Ito, Color
Universal Design (2008), which colour-blind readers can tell apart.
"""

from __future__ import annotations

import base64
import io
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from matplotlib.transforms import Bbox
from PIL import Image

from imcsim.base.progress import Progress

Format = Literal["svg", "pdf", "png"]
FORMATS: tuple[Format, ...] = ("png", "svg", "pdf")
"""Of the figures beside a result."""

BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, YELLOW = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#F0E442",
)
STACK = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION, YELLOW)
GREY = "#999999"
INK, PAPER, GRID, MUTED = "#1a1a1a", "#ffffff", "#e4e4e4", "#767676"
ON_DARK, ON_LIGHT = "#fefefe", "#111112"
"""Text on a patch of colour: the page does not change it."""
HALO = [withStroke(linewidth=2, foreground=PAPER)]
MOST_VECTORS = 1500
"""Points of a scatter up to which each is drawn as a shape; more are one picture inside the figure."""

COLUMN, PAGE = 3.5, 7.0
"""Widths of figures in inches: one column of a paper, and both. There is no other."""

_Place = Literal[
    "outside upper center", "outside upper right", "outside right upper", "outside right center",
    "outside lower center", "outside lower left",
]  # fmt: skip

_NAME = (0.1, 0.08)
"""Width and height of a short name beside a point, with what is to stay free around it, in axes."""
_LETTER = 0.024
"""Width of one of its letters."""

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


def draw(
    make: Callable[[], Mapping[str, Figure]],
    formats: Iterable[Format] = FORMATS,
    progress: Progress | None = None,
) -> dict[str, bytes]:
    """The figures that `make` gives (name to figure) as files: ``exits.png`` and so on.

    progress: told of the stage ``figures``, and how many of them are ready.
    """
    drawn = dict[str, bytes]()
    with matplotlib.style.context(["default", {**_STYLE, "svg.hashsalt": "imcsim"}]):
        made = make()
        for done, (name, figure) in enumerate(made.items(), 1):
            drawn |= {f"{name}.{kind}": data for kind, data in _files(figure, formats).items()}
            if progress is not None:
                progress("figures", done, len(made))
    return drawn


def styled(make: Callable[[], dict[str, Figure]]) -> dict[str, Figure]:
    """The figures that `make` gives, as objects in the style of the others."""
    with matplotlib.style.context(["default", _STYLE]):
        return make()


def draw_one(
    make: Callable[[], Figure], formats: Iterable[Format], salt: str, *, photographs: bool = False
) -> tuple[dict[Format, bytes], float]:
    """The figure that `make` gives, by format, and its width in inches.

    salt: goes into the ids of the SVG, for a page in which several stand. photographs: the figure shows some,
    which 256 colours would spoil.
    """
    with matplotlib.style.context(["default", {**_STYLE, "svg.hashsalt": salt}]):
        figure = make()
        return _files(figure, formats, photographs), figure.get_figwidth()


def _files(figure: Figure, formats: Iterable[Format], photographs: bool = False) -> dict[Format, bytes]:
    png = _bytes(figure, "png", photographs)
    figure.set_layout_engine(None)  # that of the PNG holds for all
    return {kind: png if kind == "png" else _bytes(figure, kind, photographs) for kind in formats}


def _bytes(figure: Figure, kind: Format, photographs: bool = False) -> bytes:
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


def figure(
    height: float = 2.6, rows: int = 1, columns: int = 1, *, wide: bool = False, **grid: Any
) -> tuple[Figure, list[Axes]]:
    """A figure of `height` inches, a column wide or, if `wide`, a page, with a grid of axes, row by row.

    grid: goes to ``Figure.subplots``.
    """
    made = Figure(figsize=(PAGE if wide else COLUMN, height), layout="constrained")
    axes = made.subplots(rows, columns, squeeze=False, **grid)
    return made, list(axes.flat)


def legend(
    made: Figure,
    handles: Sequence[Any] | None = None,
    *,
    ncols: int = 2,
    loc: _Place = "outside upper center",
    **look: Any,
) -> None:
    """The legend of a figure, beside its panels: in `ncols` columns or, where these are wider than the
    figure, in fewer; names that are too long for one go on in the next line.

    handles: what it names, by their labels; None are those of all panels. look: goes to ``Figure.legend``.
    """
    if handles is None:
        handles = [one for axes in made.axes for one in axes.get_legend_handles_labels()[0]]
    names = [str(one.get_label()) for one in handles]
    # Letters of few dots, on a screen, are wider.
    room = 0.97 * made.bbox.width
    measure = RendererAgg(1, 1, made.dpi)  # type: ignore[no-untyped-call]
    for longest, count in [(None, k) for k in range(ncols, 0, -1)] + [(k, 1) for k in range(60, 10, -2)]:
        said = names if longest is None else ["\n".join(textwrap.wrap(name, longest)) for name in names]
        drawn = made.legend(handles, said, loc=loc, ncols=count, **look)
        if drawn.get_window_extent(measure).width <= room:
            return
        drawn.remove()
    made.legend(handles, said, loc=loc, ncols=1, **look)


def mark_mean(axes: Axes, mean: float, label: str, colour: str = VERMILION, marker: str = "v") -> None:
    """A mean on the horizontal axis, as a mark at its upper edge: a line would cross what stands below."""
    axes.plot(
        [mean], [0.985], transform=axes.get_xaxis_transform(), linestyle="none", marker=marker, markersize=6,
        color=colour, clip_on=False, zorder=6, label=label,
    )  # fmt: skip


def name_intervals(
    axes: Axes, named: Sequence[tuple[str, float, float, float]], curve: Sequence[tuple[float, float]],
    marks: Sequence[tuple[float, float]] = (),
) -> None:  # fmt: skip
    """Name vertical intervals, each ``(name, x, low, high)``: below them, or above where `curve` runs below
    or one of `marks` stands there. A name that would lie on an earlier one stands above or, where it
    would there too, is left out.

    The limits and scales of `axes` have to be set.
    """
    axes.autoscale_view()
    to_axes = axes.transData + axes.transAxes.inverted()
    at = to_axes.transform(sorted(curve)) if len(curve) else np.empty((0, 2))
    taken: list[Bbox] = []
    for name, x, low, high in named:
        place, bottom = to_axes.transform((x, low))
        left, right = place - _NAME[0] / 2, place + _NAME[0] / 2
        if len(at) and left < at[-1, 0] and right > at[0, 0]:
            heights = np.interp(np.linspace(left, right, 20), at[:, 0], at[:, 1])
            above = bool(((heights < bottom) & (heights > bottom - _NAME[1])).any())
        else:
            above = False
        for across, up in to_axes.transform(marks) if len(marks) else ():
            above |= bool(left < across < right and bottom - _NAME[1] < up < bottom)
        width = _LETTER * len(name)
        for way in (True,) if above else (False, True):
            up = to_axes.transform((x, high if way else low))[1] + (0.5 if way else -0.5) * _NAME[1]
            box = Bbox.from_extents(
                place - width / 2, up - _NAME[1] / 2, place + width / 2, up + _NAME[1] / 2
            )
            if not box.count_overlaps(taken):
                break
        else:
            continue
        above = way
        taken.append(box)
        axes.annotate(
            name, (x, high if above else low), xytext=(0, 3 if above else -3), textcoords="offset points",
            ha="center", va="bottom" if above else "top", fontsize=7, color=VERMILION, path_effects=HALO,
        )  # fmt: skip


def letter(panels: Iterable[Axes]) -> None:
    """Name panels (a), (b), ... above their upper left corner, as captions of papers call them."""
    for panel, name in zip(panels, "abcdefghijklmnopqrstuvwxyz", strict=False):
        panel.annotate(
            f"({name})", (0, 1), xycoords="axes fraction", xytext=(-2, 3), textcoords="offset points",
            ha="right", va="bottom", fontsize=8, fontweight="bold", annotation_clip=False,
        )  # fmt: skip


def logarithmic(axis: Any) -> None:
    """A log scale with plain numbers."""
    getattr(axis.axes, f"set_{axis.axis_name}scale")("log")
    low, high = axis.get_view_interval()
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    if high / low < 60:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_minor_formatter(NullFormatter())


def dark(colour: str) -> bool:
    """Whether text on this colour should be light."""
    red, green, blue = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    return 0.3 * red + 0.59 * green + 0.11 * blue < 0.52
