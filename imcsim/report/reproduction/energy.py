"""Where the energy goes, and what the checker adds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from imcsim.report.figures.drawing import (
    BLUE,
    GREY,
    ON_DARK,
    ON_LIGHT,
    ORANGE,
    PAPER,
    SKY,
    STACK,
    dark,
    figure,
    legend,
)
from imcsim.report.page.exhibits import Exhibit
from imcsim.report.page.grids import Cell, Grid
from imcsim.report.page.tables import Column
from imcsim.report.reproduction.wording import (
    chip_names,
    file_name,
    find,
    last_name,
    main_chip,
    published_cell,
    value_text,
)
from imcsim.report.units import AREA, ENERGY, fitting, percent, pretty
from imcsim.results.reproduction.document import NetworkPart, OnChip, Reproduction

Segments = Sequence[tuple[str, str, Sequence[float]]]
"""Name, colour and per cent in each bar, one after the other."""


def energies(document: Reproduction) -> list[Exhibit]:
    """For each network the energy by component, and by the paper's groups."""
    return [one for part in document.networks for one in (_components(part), _groups(document, part))]


def _components(part: NetworkPart) -> Exhibit:
    chip = main_chip(part)
    result, last = chip.comparison, last_name(chip.comparison.static)
    rows = [
        [one.width, c.name, c.static_energy_pj, c.energy_pj, c.area_um2, c.count]
        for one in part.chips
        for c in one.comparison.components
    ]
    large = max(result.components, key=lambda c: c.static_energy_pj or 0.0)
    whole = result.static[-1].energy_pj or 1.0
    totals = "; ".join(
        f"{name} {unit(one.comparison.static[-1].energy_pj)} {pretty(unit)}"
        for name, one in zip(chip_names(part), part.chips, strict=True)
        for unit in (fitting(ENERGY, [one.comparison.static[-1].energy_pj]),)
    )
    return Exhibit(
        f"energy_{file_name(part.key)}",
        f"{part.title}: most energy goes to {large.name}, {percent((large.static_energy_pj or 0) / whole)} % "
        f"of {last}; early exit takes {percent(result.reduction.energy)} % off",
        f"Energy by component, each chip in % of its {last} ({totals} per image), {result.meta.images:,} "
        "test images. Small components are summed; the data has all of them.",
        lambda: _draw_components(part),
        ("chip", "component", "static_energy_pj", "dynamic_energy_pj", "area_um2", "instances"),
        rows,
    )


def _draw_components(part: NetworkPart) -> Figure:
    bars: list[tuple[str, dict[str, float]]] = []
    for name, chip in zip(chip_names(part), part.chips, strict=True):
        result = chip.comparison
        whole = result.static[-1].energy_pj or 1.0
        bars.append((f"{name}\nT = {result.meta.timesteps}",
                     {c.name: 100 * (c.static_energy_pj or 0.0) / whole
                      for c in result.components}))  # fmt: skip
        bars.append((f"{name}\ndynamic", {c.name: 100 * c.energy_pj / whole for c in result.components}))
    names = list(dict.fromkeys(name for _, values in bars for name in values))
    names.sort(key=lambda name: -max(values.get(name, 0.0) for _, values in bars))
    shown, rest = names[: len(STACK)], names[len(STACK) :]
    parts = [(name, colour, [values.get(name, 0.0) for _, values in bars])
             for name, colour in zip(shown, STACK, strict=False)]  # fmt: skip
    if rest:
        others = [sum(values.get(name, 0.0) for name in rest) for _, values in bars]
        parts.append((f"{len(rest)} others" if len(rest) > 1 else rest[0], GREY, others))
    return stacked(
        [name for name, _ in bars], parts, f"energy (% of {last_name(part.chips[0].comparison.static)})"
    )


def stacked(names: Sequence[str], parts: Segments, label: str) -> Figure:
    """Horizontal bars of per cent, a column wide, with their parts named below."""
    lines = -(-len(parts) // 3)
    made, (axes,) = figure(0.7 + 0.36 * len(names) + 0.17 * lines)
    left = [0.0] * len(names)
    for name, shade, values in parts:
        colour = _kept(shade)
        drawn = axes.barh(range(len(names)), values, left=left, height=0.74, color=colour, edgecolor=PAPER,
                          linewidth=0.5, label=name)  # fmt: skip
        axes.bar_label(drawn, [f"{v:.0f}" if v > 5.5 else "" for v in values], label_type="center",
                       fontsize=6.5, color=ON_DARK if dark(colour) else ON_LIGHT)  # fmt: skip
        left = [a + b for a, b in zip(left, values, strict=True)]
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(0, 100.5)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(label)
    legend(made, loc="outside lower center", ncols=3, columnspacing=1, handlelength=1, handletextpad=0.4)
    return made


def _kept(colour: str) -> str:
    """A colour that looks the same, but that the page does not make lighter in the dark: letters on it could
    not be read then.
    """
    return f"{colour[:-1]}{'1' if colour[-1] != '1' else '2'}"


def _groups(document: Reproduction, part: NetworkPart) -> Exhibit:
    chip = main_chip(part)
    rows = [
        [one.width, g.name, " ".join(g.components), g.published_share, g.static_share, g.dynamic_share]
        for one in part.chips
        for g in one.groups
    ]
    said = "; ".join(
        f"{g.name} {100 * g.static_share:.0f} % ({100 * g.published_share:.0f} %)" for g in chip.groups
    )
    held = ". ".join(f"{g.name}: {', '.join(g.components)}" for g in chip.groups)
    return Exhibit(
        f"groups_{file_name(part.key)}",
        f"{part.title}, in the paper’s groups (the paper’s share in brackets): {said}",
        f"Shares of the energy of {last_name(chip.comparison.static)}; the title is about the "
        f"{chip_names(part)[-1]} chip. The paper does not say at which T it splits the energy. {held}.",
        lambda: _draw_groups(part),
        ("chip", "group", "components", "paper_share", "static_share", "dynamic_share"),
        rows,
    )


def _draw_groups(part: NetworkPart) -> Figure:
    groups = main_chip(part).groups
    last = f"T = {part.chips[0].comparison.meta.timesteps}"
    names = ["paper"]
    columns = [[100 * g.published_share for g in groups]]
    for name, chip in zip(chip_names(part), part.chips, strict=True):
        names += [f"{name}\n{last}", f"{name}\ndynamic"]
        columns += [[100 * g.static_share for g in chip.groups], [100 * g.dynamic_share for g in chip.groups]]
    parts = [
        (group.name, colour, [column[k] for column in columns])
        for k, (group, colour) in enumerate(zip(groups, (BLUE, ORANGE, SKY), strict=False))
    ]
    return stacked(names, parts, "share of the energy (%)")


def overheads(document: Reproduction) -> list[Grid]:
    """For each network what one check takes, against a timestep and against the chip."""
    return [_overhead(document, part) for part in document.networks]


def _shares(chip: OnChip) -> tuple[float, float, float]:
    """Of a check: its share of the energy and latency of one timestep, and of the chip's area."""
    result = chip.comparison
    last, hardware = result.static[-1], result.meta.hardware
    timestep = last.latency_ns / last.timesteps
    return (
        result.checker.energy_share_of_one_timestep,
        result.checker.cycles_per_check * hardware.clock_ns / timestep if timestep else 0.0,
        result.checker.area_um2 / hardware.area_um2 if hardware.area_um2 else 0.0,
    )


def _overhead(document: Reproduction, part: NetworkPart) -> Grid:
    names, chips = chip_names(part), part.chips
    shares = [_shares(chip) for chip in chips]
    one = find(document, "check")
    energy, area = ENERGY[0], fitting(AREA, [c.comparison.checker.area_um2 for c in chips])
    nothing = published_cell(None)
    rows: list[list[Cell | str]] = [
        ["energy of a check over that of a timestep", *(value_text(s[0], "") for s in shares),
         published_cell(one)],
        ["latency of a check over that of a timestep", *(f"{percent(s[1], 2)} %" for s in shares), nothing],
        ["area over the chip’s", *(f"{percent(s[2], 2)} %" for s in shares), nothing],
        ["energy of a check", *(f"{energy(c.comparison.checker.energy_pj_per_check)} pJ" for c in chips),
         nothing],
        ["cycles of a check", *(f"{c.comparison.checker.cycles_per_check:.4g}" for c in chips), nothing],
        ["area", *(f"{area(c.comparison.checker.area_um2)} {pretty(area)}" for c in chips), nothing],
    ]  # fmt: skip
    data: list[list[Any]] = [
        [c.width, *s, c.comparison.checker.energy_pj_per_check, c.comparison.checker.cycles_per_check,
         c.comparison.checker.area_um2]
        for c, s in zip(chips, shares, strict=True)
    ]  # fmt: skip
    main = shares[-1]
    return Grid(
        f"checker_cost_{file_name(part.key)}",
        f"{part.title}: a check takes {value_text(main[0], '')} of a timestep’s energy, "
        f"{percent(main[1], 2)} % of its latency and {percent(main[2], 2)} % of the chip’s area",
        [Column("figure", "", "", False), *(Column(n, n) for n in names), Column("paper", "paper")],
        rows,
        ("chip", "energy_share", "latency_share", "area_share", "energy_pj", "cycles", "area_um2"),
        data,
        f"Over a timestep of {last_name(chips[0].comparison.static)}, {chips[0].comparison.meta.images:,} "
        "test images.",
    )  # fmt: skip
