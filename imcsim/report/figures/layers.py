"""Energy by layer and component as a heat map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from imcsim.report.figures.drawing import figure
from imcsim.report.units import ENERGY, fitting, pretty
from imcsim.results.efficiency import LayerEfficiency

DECADES = 5
"""Cells below the largest by more than this stay white."""


def layer_heat(layers: Sequence[LayerEfficiency]) -> Figure:
    """One cell for each layer and component that takes energy in it, on a scale of `DECADES` decades."""
    names = list(dict.fromkeys(name for layer in layers for name in layer.energy_pj_by_component))
    names.sort(key=lambda name: -sum(layer.energy_pj_by_component.get(name, 0.0) for layer in layers))
    unit = fitting(ENERGY, (pj for layer in layers for pj in layer.energy_pj_by_component.values()))
    cells = np.array([[layer.energy_pj_by_component.get(name, 0.0) for name in names] for layer in layers])
    cells = cells.reshape(len(layers), len(names)) / unit.per_base
    drawn, (axes,) = figure(max(4.0, 1.8 + 0.32 * len(names)), max(2.4, 1.6 + 0.22 * len(layers)))
    if cells.any():
        most = float(cells.max())
        image = axes.imshow(
            np.ma.masked_less_equal(cells, most * 10.0**-DECADES),
            norm=LogNorm(most * 10.0**-DECADES, most), cmap="viridis", aspect="auto",
        )  # fmt: skip
        plain = FuncFormatter(lambda value, _: f"{value:g}")
        drawn.colorbar(image, ax=axes, format=plain, label=f"energy per image, {pretty(unit)}")
    axes.set_xticks(range(len(names)), [name.replace("_", " ") for name in names], rotation=60, ha="right")
    axes.set_yticks(range(len(layers)), [layer.name for layer in layers])
    axes.grid(visible=False)
    return drawn
