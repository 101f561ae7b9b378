"""Layers drawn: their energy by component as a heat map, and what bounds them in time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter

from imcsim.report.figures.drawing import GREY, GRID, INK, PAPER, STACK, figure, legend
from imcsim.report.terminal.efficiency import resources_of
from imcsim.report.units import ENERGY, TIME, fitting, number, pretty
from imcsim.results.efficiency import LayerEfficiency

DECADES = 5
"""Cells below the largest by more than this stay white."""

_MOST_IN_COLUMN = 8
"""Components whose cells and names a column has room for."""


def layer_figures(layers: Sequence[LayerEfficiency]) -> dict[str, Figure]:
    """All figures of some layers, by name; none where there are none."""
    if not layers:
        return {}
    drawn = {"layer_heat": layer_heat(layers)}
    if any(layer.latency_ns for layer in layers):
        drawn["layer_time"] = layer_time(layers)
    return drawn


def layer_time(layers: Sequence[LayerEfficiency]) -> Figure:
    """A grey bar for the latency of each layer, and in it a line for each resource, as long as it works; that
    of what bounds the layer is thick.
    """
    shown = [layer for layer in layers if layer.latency_ns is not None]
    unit = fitting(TIME, (layer.latency_ns or 0.0 for layer in shown))
    drawn, (axes,) = figure(max(1.8, 0.7 + 0.36 * len(shown)), wide=True)
    for place, layer in enumerate(shown):
        axes.barh(place, (layer.latency_ns or 0.0) / unit.per_base, height=0.86, color=GRID, zorder=1)
    working = {name for layer in shown for name, busy in layer.busy_ns.items() if busy}
    colours = dict(zip(resources_of(shown), STACK, strict=False))  # the same whichever of them work
    resources = {name: title for name, title in resources_of(shown).items() if name in working}
    for turn, name in enumerate(resources):
        offset = (turn - (len(resources) - 1) / 2) * 0.13
        for bounds, height in ((False, 0.05), (True, 0.13)):
            rows = [k for k, layer in enumerate(shown) if (layer.bound_by == name) is bounds]
            axes.barh(
                [k + offset for k in rows], [shown[k].busy_ns.get(name, 0.0) / unit.per_base for k in rows],
                height=height, color=colours[name], zorder=2,
                edgecolor=INK if bounds else "none", linewidth=0.4 if bounds else 0.0,
            )  # fmt: skip
    axes.set_yticks(range(len(shown)), [layer.name for layer in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(f"time per image ({pretty(unit)})")
    named = [Patch(color=colours[name], label=f"{title} works") for name, title in resources.items()]
    named.append(Patch(facecolor=PAPER, edgecolor=INK, linewidth=0.6, label="bounds the layer"))
    named.append(Patch(color=GRID, label="first row until last"))
    legend(drawn, named, loc="outside right center", ncols=1)
    return drawn


def layer_heat(layers: Sequence[LayerEfficiency]) -> Figure:
    """One cell for each layer and component that takes energy in it, on a scale of `DECADES` decades."""
    names = list(dict.fromkeys(name for layer in layers for name in layer.energy_pj_by_component))
    names.sort(key=lambda name: -sum(layer.energy_pj_by_component.get(name, 0.0) for layer in layers))
    unit = fitting(ENERGY, (pj for layer in layers for pj in layer.energy_pj_by_component.values()))
    cells = np.array([[layer.energy_pj_by_component.get(name, 0.0) for name in names] for layer in layers])
    cells = cells.reshape(len(layers), len(names)) / unit.per_base
    drawn, (axes,) = figure(max(2.4, 1.6 + 0.22 * len(layers)), wide=len(names) > _MOST_IN_COLUMN)
    if cells.any():
        most = float(cells.max())
        least = most * 10.0**-DECADES
        image = axes.imshow(
            np.ma.masked_less_equal(cells, least), norm=LogNorm(least, most), cmap="viridis", aspect="auto",
        )  # fmt: skip
        plain = FuncFormatter(lambda value, _: f"{value:g}")
        drawn.colorbar(image, ax=axes, format=plain, label=f"energy per image ({pretty(unit)})")
        if (cells <= least).any():
            small = fitting(ENERGY, [least * unit.per_base])
            little = f"none, or less than {number(least * unit.per_base / small.per_base, 2)} {pretty(small)}"
            legend(drawn, [Patch(facecolor=PAPER, edgecolor=GREY, label=little)], loc="outside upper right")
    axes.set_xticks(range(len(names)), [name.replace("_", " ") for name in names], rotation=60, ha="right")
    axes.set_yticks(range(len(layers)), [layer.name for layer in layers])
    axes.grid(visible=False)
    return drawn
