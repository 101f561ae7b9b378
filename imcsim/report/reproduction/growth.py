"""Energy and latency of static runs against the number of timesteps."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from imcsim.base.plurals import counted
from imcsim.report.figures.drawing import BLUE, GREEN, INK, ORANGE, VERMILION, figure, legend
from imcsim.report.page.exhibits import Exhibit
from imcsim.report.page.grids import Cell, Grid
from imcsim.report.page.tables import Column
from imcsim.report.reproduction.wording import (
    about,
    chip_names,
    file_name,
    find,
    main_chip,
    published_cell,
    times,
    value_text,
)
from imcsim.results.reproduction.document import NetworkPart, Reproduction
from imcsim.results.reproduction.figures import PublishedFigure


def growths(document: Reproduction) -> list[Exhibit]:
    """For each network the ratios over T = 1, with the paper's points and its affine law."""
    return [_growth(document, part) for part in document.networks if main_chip(part).growth.points]


def _papers(document: Reproduction) -> tuple[PublishedFigure | None, PublishedFigure | None]:
    return find(document, "energy_t8"), find(document, "latency_t8")


def _growth(document: Reproduction, part: NetworkPart) -> Exhibit:
    grown = main_chip(part).growth
    last = grown.points[-1]
    energy, latency = _papers(document)
    beside = (
        f" (paper: {value_text(energy.value, energy.unit)} and {value_text(latency.value, latency.unit)})"
        if energy is not None and latency is not None and last.timesteps == 8
        else ""
    )
    rows = [
        [chip.width, p.timesteps, p.energy_pj, p.latency_ns, p.energy_ratio, p.latency_ratio,
         p.published_energy_ratio, p.supposed_energy_ratio]
        for chip in part.chips
        for p in chip.growth.points
    ]  # fmt: skip
    return Exhibit(
        f"growth_{file_name(part.key)}",
        f"{part.title}: T = {last.timesteps} costs {times(last.energy_ratio)} the energy and "
        f"{times(last.latency_ratio)} the latency of T = 1{beside}",
        f"Static runs of {counted(grown.images, 'test image')}, all relative to T = 1. Dashed: the affine "
        "law that "
        "follows from the paper’s energy at T = 8 (derived). Dotted: what if digital peripherals were "
        "charged once per inference, a hypothesis about the paper. The title is about the "
        f"{chip_names(part)[-1]} chip.{about(part, 'energy_t8')}",
        lambda: _draw(document, part),
        ("chip", "timesteps", "energy_pj", "latency_ns", "energy_ratio", "latency_ratio",
         "paper_affine_law", "energy_ratio_peripherals_once"),
        rows,
    )  # fmt: skip


def _draw(document: Reproduction, part: NetworkPart) -> Figure:
    made, (axes,) = figure(3.1)
    chips = list(zip(part.chips, chip_names(part), strict=True))
    solid = [(f"latency, {name}", [p.latency_ratio for p in chip.growth.points]) for chip, name in chips]
    solid += [(f"energy, {name}", [p.energy_ratio for p in chip.growth.points]) for chip, name in chips]
    colours = (ORANGE, VERMILION, BLUE, GREEN) if len(chips) > 1 else (ORANGE, BLUE)
    for size, mark, colour, (label, ratios) in zip((9, 7, 5, 3), "osDo", colours, solid, strict=False):
        # All grow alike: each shows behind the next.
        axes.plot([p.timesteps for p in main_chip(part).growth.points], ratios, color=colour, marker=mark,
                  markersize=size, linewidth=size / 2, label=label)  # fmt: skip
    points = main_chip(part).growth.points
    main = GREEN if len(part.chips) > 1 else BLUE
    axes.plot([p.timesteps for p in points], [p.supposed_energy_ratio for p in points], color=main,
              linestyle=":", linewidth=1.2, label="energy, peripherals once")  # fmt: skip
    axes.plot([p.timesteps for p in points], [p.published_energy_ratio for p in points], color=INK,
              linestyle="--", linewidth=1, label="energy, paper’s affine law")  # fmt: skip
    for one, mark, name in zip(_papers(document), "sP", ("energy", "latency"), strict=True):
        if one is not None:
            axes.plot([8], [one.value], linestyle="none", marker=mark, markersize=6.5, markerfacecolor="none",
                      color=INK, label=f"{name}, paper: {value_text(one.value, one.unit)}")  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    axes.set_xlabel("timesteps T")
    axes.set_ylabel("relative to T = 1")
    axes.set_ylim(bottom=0)
    axes.grid()
    legend(made, columnspacing=1, handletextpad=0.4)
    return made


_HYPOTHESIS = "hypothesis: digital peripherals charged once per inference"


def _ratio(value: float | None) -> str:
    return "" if value is None else times(value)


def growth_grids(document: Reproduction) -> list[Grid]:
    """For each network the figures of the law, beside the paper's."""
    found = []
    energy, latency = _papers(document)
    for part in document.networks:
        names = chip_names(part)
        last = main_chip(part).growth.points[-1:]
        if not last:
            continue
        most = last[0].timesteps
        ends = [chip.growth.points[-1] for chip in part.chips]
        at_eight = most == 8
        law = find(document, "intercept")
        rows: list[list[Cell | str]] = [
            [f"energy at T = {most} over T = 1", *(times(p.energy_ratio) for p in ends),
             published_cell(energy if at_eight else None)],
            [f"latency at T = {most} over T = 1", *(times(p.latency_ratio) for p in ends),
             published_cell(latency if at_eight else None)],
            [Cell("spent once per image", below="as a share of E(1)"),
             *(f"{chip.growth.intercept:.3f}" for chip in part.chips), published_cell(law)],
            ["EDP at T = 4 over T = 1", *(_ratio(chip.growth.edp_ratio) for chip in part.chips),
             published_cell(find(document, "edp_t4"))],
            [Cell(f"what if: energy at T = {most} over T = 1", below=_HYPOTHESIS),
             *(times(p.supposed_energy_ratio) for p in ends), published_cell(energy if at_eight else None)],
            [Cell("what if: spent once per image", below=_HYPOTHESIS),
             *(f"{chip.growth.supposed_intercept:.3f}" for chip in part.chips), published_cell(law)],
            [Cell("what if: EDP at T = 4 over T = 1", below=_HYPOTHESIS),
             *(_ratio(chip.growth.supposed_edp_ratio) for chip in part.chips),
             published_cell(find(document, "edp_t4"))],
        ]  # fmt: skip
        found.append(
            Grid(
                f"growth_law_{file_name(part.key)}",
                f"{part.title}: the law behind it",
                [Column("figure", "", "", False), *(Column(n, n) for n in names), Column("paper", "paper")],
                rows,
                ("chip", "timesteps", "energy_ratio", "latency_ratio", "intercept", "edp_ratio_t4",
                 "supposed_energy_ratio", "supposed_intercept", "supposed_edp_ratio_t4"),
                [[c.width, p.timesteps, p.energy_ratio, p.latency_ratio, c.growth.intercept,
                  c.growth.edp_ratio, p.supposed_energy_ratio, c.growth.supposed_intercept,
                  c.growth.supposed_edp_ratio]
                 for c, p in zip(part.chips, ends, strict=True)],
                f"{counted(main_chip(part).growth.images, 'image')}.{about(part, 'intercept')}",
            )
        )  # fmt: skip
    return found
