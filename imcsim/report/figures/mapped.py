"""The mappings that a search tried, and its front: what the objective comes to against area."""

from __future__ import annotations

from matplotlib.figure import Figure

from imcsim.report.figures.drawing import BLUE, GREY, INK, VERMILION, figure, legend, logarithmic
from imcsim.report.terminal.mapped import NAMES, shown_objective, unit_of
from imcsim.report.units import pretty
from imcsim.results.mapped import Mapped, MappingSearch


def front_figure(found: MappingSearch) -> Figure:
    """All that was tried, the front, the mapping of the file and the one that was found."""
    objective = shown_objective(found)
    unit = unit_of(objective, found.tried)

    def at(one: Mapped) -> tuple[float, float]:
        return one.area_mm2, one.figure(objective) / unit.per_base

    made, (axes,) = figure()
    areas, figures = zip(*map(at, found.tried), strict=True)
    axes.scatter(areas, figures, s=7, color=GREY, label="tried", linewidths=0)
    if found.objective != "area":
        axes.plot(*zip(*map(at, found.front), strict=True), "o-", color=BLUE, ms=3.5, lw=1, label="front")
    axes.plot(*at(found.given), "s", color=INK, ms=5, mfc="none", label="as in the file")
    axes.plot(*at(found.best), "D", color=VERMILION, ms=5, mfc="none", label="found")
    logarithmic(axes.yaxis)
    axes.set_xlabel("area (mm²)")
    axes.set_ylabel(f"{NAMES[objective]} ({pretty(unit)})")
    legend(made, ncols=4, handletextpad=0.2, columnspacing=0.9)
    return made
