"""Where energy and area of a few points go."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from matplotlib import colormaps
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from imcsim.report.figures.drawing import GREY, ON_DARK, ON_LIGHT, PAPER, STACK, dark, figure, legend
from imcsim.report.page.exhibits import Exhibit
from imcsim.report.site.study import Parts, StudyPoint
from imcsim.report.units import AREA, ENERGY, Unit, fitting, number, pretty

Choice = tuple[StudyPoint, str]
Bars = list[tuple[str, Mapping[str, float]]]
MOST_LAYERS = 12


def label(choice: Choice, alone: bool = False) -> str:
    """The number of a point, if there are several."""
    return "" if alone else f"point {choice[0].index}"


def breakdowns(chosen: Sequence[Choice], parts: Mapping[int, Parts]) -> list[Exhibit]:
    """Energy by component, by layer, and area by component."""
    alone = len(chosen) == 1
    components: Bars = []
    layers: Bars = []
    areas: Bars = []
    rows: dict[str, list[list[object]]] = {"components": [], "layers": [], "areas": []}
    for choice in chosen:
        point = choice[0]
        part = parts.get(point.index, Parts())
        for policy, energies in (("static, T max", part.static), ("dynamic", part.dynamic)):
            if energies:
                components.append((_lines(label(choice, alone), policy), energies))
                rows["components"] += [
                    [point.index, policy.split(",")[0], name, pj] for name, pj in energies.items()
                ]
        if part.layers:
            layers.append((label(choice, alone) or "all images", part.layers))
            rows["layers"] += [[point.index, name, pj] for name, pj in part.layers.items()]
        if part.areas:
            areas.append((label(choice, alone) or "chip", part.areas))
            rows["areas"] += [[point.index, name, area] for name, area in part.areas.items()]
    policy = "dynamic" if all(parts.get(p.index, Parts()).dynamic for p, _ in chosen) else "run"
    found = []
    if components:
        found.append(
            Exhibit(
                "energy_by_component", "Energy by component",
                "Mean per image. Small components are summed; the data has all of them.",
                lambda: _bars(components, ENERGY, "energy per image", _by_size),
                ("point", "policy", "component", "energy_pj"), rows["components"],
            )
        )  # fmt: skip
    if layers:
        found.append(
            Exhibit(
                "energy_by_layer", "Energy by layer",
                f"Mean per image, {policy}; layers in the order of the network. "
                "“static” is what no layer causes: leakage and clock.",
                lambda: _bars(layers, ENERGY, "energy per image", _in_order),
                ("point", "layer", "energy_pj"), rows["layers"],
            )
        )  # fmt: skip
    if areas and any(sum(values.values()) for _, values in areas):
        found.append(
            Exhibit(
                "area_by_component", "Area by component", "All instances on the chip together.",
                lambda: _bars(areas, AREA, "area", _by_size),
                ("point", "component", "area_um2"), rows["areas"],
            )
        )  # fmt: skip
    return found


def _lines(first: str, second: str) -> str:
    return f"{first}\n{second}" if first else second


Parted = tuple[list[tuple[str, str]], list[list[float]]]


def _by_size(bars: Bars) -> Parted:
    """Names with colours, and values by name and bar: the largest, then all others as one."""
    names = list(dict.fromkeys(name for _, values in bars for name in values))
    names.sort(key=lambda name: -max(values.get(name, 0.0) for _, values in bars))
    shown, rest = names[: len(STACK)], names[len(STACK) :]
    rest = [name for name in rest if any(values.get(name) for _, values in bars)]
    parts = list(zip(shown, STACK, strict=False))
    table = [[values.get(name, 0.0) for _, values in bars] for name in shown]
    if rest:
        parts.append((f"{len(rest)} others" if len(rest) > 1 else rest[0], GREY))
        table.append([sum(values.get(name, 0.0) for name in rest) for _, values in bars])
    return parts, table


def _in_order(bars: Bars) -> Parted:
    """As `_by_size`, but in the order of the network, in shades that follow it."""
    names = list(dict.fromkeys(name for _, values in bars for name in values))
    standing = [name for name in names if name == "static"]
    names = [name for name in names if name != "static"]
    large = sorted(names, key=lambda name: -max(values.get(name, 0.0) for _, values in bars))[:MOST_LAYERS]
    shown = [name for name in names if name in large]
    rest = [name for name in names if name not in large]
    shades = colormaps["viridis"].resampled(max(len(shown), 2))
    parts = [(name, to_hex(shades(k))) for k, name in enumerate(shown)]
    table = [[values.get(name, 0.0) for _, values in bars] for name in shown]
    if rest:
        parts.append((f"{len(rest)} others", GREY))
        table.append([sum(values.get(name, 0.0) for name in rest) for _, values in bars])
    for name in standing:
        parts.append((name, "#d0d0d0"))
        table.append([values.get(name, 0.0) for _, values in bars])
    return parts, table


def _bars(bars: Bars, units: tuple[Unit, ...], what: str, parted: Callable[[Bars], Parted]) -> Figure:
    totals = [sum(values.values()) for _, values in bars]
    unit = fitting(units, totals)
    parts, table = parted(bars)
    made, (axes,) = figure(0.75 + max(0.34 * len(bars), 0.115 * len(parts)), wide=True)
    left = [0.0] * len(bars)
    most = max(totals) or 1.0
    for (name, colour), values in zip(parts, table, strict=True):
        widths = [value / unit.per_base for value in values]
        drawn = axes.barh(
            range(len(bars)), widths, left=left, height=0.72, color=colour, edgecolor=PAPER, linewidth=0.5,
            label=name,
        )  # fmt: skip
        shares = [
            f"{100 * value / total:.0f}%" if total and value / most > 0.045 else ""
            for value, total in zip(values, totals, strict=True)
        ]
        axes.bar_label(
            drawn, shares, label_type="center", fontsize=6, color=ON_DARK if dark(colour) else ON_LIGHT
        )
        left = [a + b for a, b in zip(left, widths, strict=True)]
    for place, total in enumerate(left):
        axes.annotate(
            number(total, 3),
            (total, place),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
        )
    axes.set_yticks(range(len(bars)), [name for name, _ in bars])
    axes.set_ylim(len(bars) - 0.5, -0.5)
    axes.set_xlim(0, (most / unit.per_base) * 1.09)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(f"{what} ({pretty(unit)})")
    legend(made, loc="outside right center", ncols=1)
    return made
