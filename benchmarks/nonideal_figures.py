"""Tables and figures of nonideal_study.py, from its rows alone."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MultipleLocator, NullLocator

from imcsim.report.figures import drawing
from imcsim.report.figures.drawing import BLUE, ORANGE, draw, letter

Row = dict[str, str]

DYNAMIC = (
    ("dynamic", "dynamic, threshold of each chip", BLUE, "o-"),
    ("dynamic_once", "dynamic, threshold of the ideal chip", ORANGE, "s--"),
)
STATIC_COLOURS = ("#c8c8c8", "#a0a0a0", "#707070", "#303030")
"""Of T = 1, 2, 3, 4; the last one for all that follow."""

PANELS: tuple[tuple[str, str, float], ...] = (
    ("accuracy", "accuracy (%)", 100.0),
    ("mean_timesteps", "mean timesteps", 1.0),
    ("edp_pj_ns", "EDP (µJ µs)", 1e-9),
)
APART = 0.3
"""How far the outermost of several runs stands from its mark on the axis."""
AXES = {
    "sigma": "sigma / mu (%)",
    "crossbar": "rows and columns",
    "drift": "time since programming",
}
TABLED: dict[str, tuple[str, ...]] = {
    "sigma": ("0", "0.02", "0.05", "0.1", "0.2"),
    "drift": ("20", "10000", "3.15e+08"),
}
"""Where a table leaves points out that the figure has."""

HEADS = (
    "", "ideal chip, dynamic, %", "static T = 1, %", "static T = 4, %", "dynamic, %", "timesteps",
    "EDP saved, %", "once for all, %", "timesteps", "EDP saved, %", "earlier, % (wrong)", "later, % (wrong)",
)  # fmt: skip


def value(row: Row, name: str) -> float:
    return float(row[name]) if row[name] else 0.0


def of(rows: Sequence[Row], **about: str) -> list[Row]:
    return [row for row in rows if all(row[key] == wanted for key, wanted in about.items())]


def ticks(figure: str, x: str) -> str:
    """How a point is called on its axis and in its table."""
    number = float(x) if figure != "remedies" else 0.0
    if figure == "sigma":
        return f"{100 * number:g}"
    if figure == "crossbar":
        return x
    if figure == "remedies":
        return x
    return DURATIONS.get(x, f"{number:g} s")


DURATIONS = {"100": "100 s", "10000": "3 h", "1e+06": "12 d", "3.15e+08": "10 y"}


# --- tables


def with_tables(page: str, rows: Sequence[Row]) -> str:
    """The page with a table between the two marks of each study that has rows."""
    for figure in dict.fromkeys(row["figure"] for row in rows):
        begin, end = f"<!-- {figure}: begin -->", f"<!-- {figure}: end -->"
        if begin in page:
            before, rest = page.split(begin)
            page = f"{before}{begin}\n{table(of(rows, figure=figure))}\n{end}{rest.split(end)[1]}"
    return page


def table(rows: Sequence[Row]) -> str:
    """A line for each point of one study; accuracies as mean ± standard deviation over chips (worst)."""
    figure = rows[0]["figure"]
    lines = []
    for series, x in dict.fromkeys((row["series"], row["x"]) for row in rows):
        if x not in TABLED.get(figure, (x,)):
            continue
        mine = of(rows, series=series, x=x)
        static, (own,), (once,) = (of(mine, policy=p) for p in ("static", "dynamic", "dynamic_once"))
        images = int(once["images"]) * int(once["chips"])
        moves = [
            f"{100 * int(once[way]) / images:.0f} ({100 * int(once[f'{way}_wrong']) / images:.0f})"
            for way in ("earlier", "later")
        ]
        ideal = f"{100 * value(once, 'accuracy_ideal'):.1f}"
        cells = [f"{series}: {ticks(figure, x)}", ideal, accuracy(static[0]), accuracy(static[-1])]
        for row in (own, once):
            cells += [
                accuracy(row),
                f"{value(row, 'mean_timesteps_mean'):.2f}",
                f"{100 * value(row, 'edp_reduction_mean'):.0f}",
            ]
        lines.append([*cells, *moves])
    heads = [f"{AXES.get(figure, 'network: remedies')}", *HEADS[1:]]
    rule = ["---"] + ["--:"] * (len(heads) - 1)
    text = "\n".join("| " + " | ".join(cells) + " |" for cells in (heads, rule, *lines))
    return f"{text}\n\n{about(rows)}"


def accuracy(row: Row) -> str:
    mean, worst = (100 * value(row, f"accuracy_{end}") for end in ("mean", "worst"))
    if not row["accuracy_std"]:
        return f"{mean:.1f}"
    return f"{mean:.1f} ± {100 * value(row, 'accuracy_std'):.1f} ({worst:.1f})"


def about(rows: Sequence[Row]) -> str:
    """On what it was measured."""

    def each(name: str) -> list[int]:
        return sorted({int(row[name]) for row in rows}, reverse=True)

    def told(name: str) -> str:
        return " or ".join(f"{n:,}" for n in each(name))

    many = [n for n in each("chips") if n > 1]
    one = "one chip" if not many else "" if 1 not in each("chips") else " (one where all are alike)"
    chips = " or ".join(map(str, many)) + " chips" if many else ""
    return (
        f"Measured on {told('images')} test images and {chips}{one}; thresholds chosen on "
        f"{told('validation_images')} validation images."
    )


# --- figures


def draw_figures(rows: Sequence[Row]) -> dict[str, bytes]:
    """``nonideal_sigma.png`` and so on, of the studies that have rows."""
    studies = dict.fromkeys(row["figure"] for row in rows)

    def made() -> dict[str, Figure]:
        return {
            f"nonideal_{name}": (dots if name == "remedies" else lines)(of(rows, figure=name))
            for name in studies
        }

    return draw(made, ["png"])


def lines(rows: Sequence[Row]) -> Figure:
    """Accuracy, timesteps and EDP, one below the other; the series side by side."""
    figure = rows[0]["figure"]
    series = list(dict.fromkeys(row["series"] for row in rows))
    drawn, every = drawing.figure(5.0, len(PANELS), len(series), wide=True, sharex="col", sharey="row")
    grid = [every[k : k + len(series)] for k in range(0, len(every), len(series))]
    for down, (name, label, unit) in enumerate(PANELS):
        for across, one in enumerate(series):
            axes, mine = grid[down][across], of(rows, series=one)
            xs = list(dict.fromkeys(row["x"] for row in mine))
            # Accuracies of all runs lie on each other: each has a place of its own beside the mark.
            places = [*range(len(_static(mine))), *DYNAMIC]
            apart = APART if name == "accuracy" else 0.0
            shifts = [apart * (2 * k / (len(places) - 1) - 1) for k in range(len(places))]
            for t, static in enumerate(_static(mine)):
                means = [unit * value(row, f"{name}_mean") for row in static]
                at = [k + shifts[t] for k in range(len(means))]
                axes.plot(
                    at, means, color=_grey(t), linewidth=0.8, zorder=2.5, label=f"static T = {t + 1}",
                    marker="." if apart else None, markersize=3,
                )  # fmt: skip
            ideal = [unit * value(row, f"{name}_ideal") for row in of(mine, policy="dynamic_once")]
            axes.plot(ideal, ":", color="black", linewidth=1, label="dynamic, ideal chip")
            limits = _limits(mine, name, unit)
            for shift, (policy, text, colour, style) in zip(shifts[-len(DYNAMIC) :], DYNAMIC, strict=True):
                _band(axes, of(mine, policy=policy), (name, unit, limits, shift), (colour, style, text))
            axes.set_xticks(range(len(xs)), [ticks(figure, x) for x in xs], fontsize=7)
            axes.set_xlim(-0.45, len(xs) - 0.55)
            if down == 0:
                axes.set_title(one.replace(", ", ",\n"), fontsize=7.5)
                axes.axhline(10, color="black", linewidth=0.5, linestyle=(0, (1, 3)), label="chance")
                axes.set_ylim(0, 100)
            elif name == "mean_timesteps":
                axes.set_ylim(0.8, 0.2 + len(_static(mine)))
            else:
                axes.set_yscale("log")
                _plain(axes.yaxis)
        grid[down][0].set_ylabel(label)
    drawn.supxlabel(AXES[figure], fontsize=8)
    letter(every)
    handles, texts = grid[0][0].get_legend_handles_labels()
    drawn.legend(handles, texts, loc="outside upper center", ncols=4)
    return drawn


def _static(rows: Sequence[Row]) -> list[list[Row]]:
    static = of(rows, policy="static")
    return [of(static, timesteps=t) for t in dict.fromkeys(row["timesteps"] for row in static)]


def _grey(t: int) -> str:
    return STATIC_COLOURS[min(t, len(STATIC_COLOURS) - 1)]


def _band(
    axes: Axes,
    rows: Sequence[Row],
    figure: tuple[str, float, tuple[float, float], float],
    look: tuple[str, str, str],
) -> None:
    """Means, and a standard deviation to both sides. figure: its name, unit, limits, and how far it stands
    beside the marks; look: colour, style and name.
    """
    (name, unit, limits, shift), (colour, style, text) = figure, look
    low, means, high = zip(*(_range(row, name, unit, limits) for row in rows), strict=True)
    at = [k + shift for k in range(len(rows))]
    axes.plot(at, means, style, color=colour, linewidth=0.8 if shift else 2, markersize=3, label=text)
    if shift:
        away = [
            [m - a for m, a in zip(means, low, strict=True)],
            [b - m for m, b in zip(means, high, strict=True)],
        ]
        axes.errorbar(at, means, yerr=away, fmt="none", ecolor=colour, elinewidth=0.8)
    else:
        axes.fill_between(at, low, high, color=colour, alpha=0.2, linewidth=0)


def _range(row: Row, name: str, unit: float, limits: tuple[float, float]) -> tuple[float, float, float]:
    """The mean, and a standard deviation below and above it."""
    mean, spread = (unit * value(row, f"{name}_{end}") for end in ("mean", "std"))
    return min(max(mean - spread, limits[0]), mean), mean, max(min(mean + spread, limits[1]), mean)


def _limits(rows: Sequence[Row], name: str, unit: float) -> tuple[float, float]:
    """What no chip is beyond: an image stays for 1 to T max timesteps, whatever the spread of their means."""
    if name == "accuracy":
        return 0.0, 100.0
    static = [unit * value(row, f"{name}_mean") for row in of(rows, policy="static")]
    return min(static), max(static)


def _plain(axis: Axis) -> None:
    """Plain numbers on a logarithmic axis."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axis.set_minor_locator(NullLocator())


def dots(rows: Sequence[Row]) -> Figure:
    """A line for each remedy: static T = 1 .. 4 as ticks, dynamic as dots with spread."""
    places = list(dict.fromkeys((row["series"], row["x"]) for row in rows))
    drawn, panels = drawing.figure(1.3 + 0.2 * len(places), 1, len(PANELS), wide=True, sharey=True)
    at, labels = _heights(places)
    for axes, (name, label, unit) in zip(panels, PANELS, strict=True):
        for height, (series, x) in zip(at, places, strict=True):
            mine = of(rows, series=series, x=x)
            for t, (static,) in enumerate(_static(mine)):
                mean = unit * value(static, f"{name}_mean")
                axes.plot(mean, height, "|", color=_grey(t), markersize=8, markeredgewidth=1.4, zorder=1)
            ideal = unit * value(of(mine, policy="dynamic_once")[0], f"{name}_ideal")
            axes.plot(ideal, height, "D", color="black", markersize=3.5, fillstyle="none", zorder=3)
            for (policy, _, colour, style), shift in zip(DYNAMIC, (-0.14, 0.14), strict=True):
                (row,) = of(mine, policy=policy)
                low, mean, high = _range(row, name, unit, _limits(mine, name, unit))
                axes.errorbar(
                    mean, height + shift, xerr=[[mean - low], [high - mean]], fmt=style[0], color=colour,
                    markersize=4, elinewidth=1.2,
                )  # fmt: skip
        axes.set_xlabel(label)
        if name == "accuracy":
            axes.set_xlim(0, 100)
        elif name == "mean_timesteps":
            axes.xaxis.set_major_locator(MultipleLocator(1))
        else:
            axes.set_xscale("log")
            _plain(axes.xaxis)
    letter(panels)
    panels[0].set_yticks(at, labels)
    panels[0].set_ylim(max(at) + 0.6, -1.4)
    for series in dict.fromkeys(series for series, _ in places):
        first = next(h for h, one in zip(at, places, strict=True) if one[0] == series)
        panels[0].annotate(
            series, (0, first - 0.75), xycoords=("axes fraction", "data"), fontweight="bold", fontsize=7,
            xytext=(-4, 0), textcoords="offset points", va="center", ha="right",
        )  # fmt: skip
    for t in range(len(_static(of(rows, series=places[0][0], x=places[0][1])))):
        panels[0].plot([], [], "|", color=_grey(t), markeredgewidth=1.4, label=f"static T = {t + 1}")
    panels[0].plot([], [], "D", color="black", markersize=3.5, fillstyle="none", label="dynamic, ideal chip")
    for _, text, colour, style in DYNAMIC:
        panels[0].plot([], [], style[0], color=colour, markersize=4, label=text)
    drawn.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return drawn


def _heights(places: Sequence[tuple[str, str]]) -> tuple[list[float], list[str]]:
    """Heights, with a gap before each series, and what stands beside them."""
    heights: list[float] = []
    for k, (series, _) in enumerate(places):
        new = k == 0 or series != places[k - 1][0]
        heights.append((heights[-1] + 1 if heights else 0.0) + (1.2 if new and heights else 0.0))
    return heights, [x for _, x in places]
