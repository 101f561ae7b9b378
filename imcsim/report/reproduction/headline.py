"""What was aimed at and what came out, and static against dynamic timesteps, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from imcsim.base.plurals import counted
from imcsim.report.page.grids import Cell, Grid, Tone
from imcsim.report.page.tables import Column
from imcsim.report.reproduction.wording import (
    HELD,
    about,
    accuracy_cell,
    chip_names,
    compared,
    difference_cell,
    file_name,
    find,
    last_name,
    main_chip,
    points,
    published_cell,
    saved_cell,
    shown_change,
    static_name,
)
from imcsim.report.units import ENERGY, TIME, fitting, number, percent, pretty, product
from imcsim.results.comparison import Dynamic, StaticPoint
from imcsim.results.reproduction.document import Aim, NetworkPart, OnChip, Reproduction
from imcsim.results.reproduction.figures import Judged, Paired

Rows = list[list[Cell | str]]


def headlines(document: Reproduction) -> list[Grid]:
    """For each network ours on each chip beside the paper's."""
    return [_headline(document, part) for part in document.networks]


def verdicts(document: Reproduction) -> str:
    """A paragraph for each network: both ways to run against the aims, and the cap, on the widest chip."""
    return "\n\n".join(_verdicts(document, part) for part in document.networks)


def _cap(document: Reproduction, chip: OnChip) -> str:
    """How much early exit could save, here and by the paper's law, and what makes the difference."""
    here = shown_change(chip.cap.edp_mean_of_products)
    cap, once = find(document, "cap"), find(document, "intercept")
    said = f"If every image left after one timestep, the EDP would be {here}"
    if cap is None or once is None:
        return f"{said}."
    # Where later timesteps spike more than the first, the line through the energies begins below zero.
    share = f"{percent(chip.growth.intercept)} %" if chip.growth.intercept > 0 else "nothing"
    return (
        f"{said}, {shown_change(cap.value / 100)} by the paper’s law: here "
        f"{share} of the energy of one timestep is spent once per image, there "
        f"{percent(once.value)} %."
    )


def _verdicts(document: Reproduction, part: NetworkPart) -> str:
    chip = main_chip(part)
    said = []
    for way, name in WAYS.items():
        aims = [aim for aim in part.aims if (aim.chip, aim.way) == (chip.width, way)]
        if not aims:
            continue
        met = sum(aim.met for aim in aims)
        how = "all aims" if met == len(aims) else f"{met} of {len(aims)} aims"
        figures = ", ".join(_got(aim) for aim in aims)
        pair = _pair(chip, way)
        meets = "meet" if way == "best" else "meets"
        spread = f"[{points(pair.low)}, {points(pair.high)}]"
        change = f"accuracy changes by {points(pair.difference)} points {spread}"
        said.append(f"{name} {meets} {how}: {figures}; {change}.")
    said.append(_cap(document, chip))
    return f"{part.title}, {chip_names(part)[-1]}. {' '.join(said)}"


WAYS: dict[Judged, str] = {
    "base": "The paper’s way",
    "best": "All choices joined",
    "held": HELD.capitalize(),
}


def _got(aim: Aim) -> str:
    return f"{aim.got:.2f} timesteps" if aim.key == "mean_timesteps" else f"EDP {shown_change(aim.got)}"


def _aimed(aim: Aim) -> str:
    return f"at most {aim.aim:.2f}" if aim.key == "mean_timesteps" else shown_change(aim.aim, 0)


def _headline(document: Reproduction, part: NetworkPart) -> Grid:
    names, chips, last = chip_names(part), part.chips, last_name(part.chips[0].comparison.static)
    columns = [Column("figure", "", "", False), *(Column(name, name) for name in names),
               Column("paper", "paper")]  # fmt: skip
    nothing = published_cell(None)

    def paper(key: str) -> Cell:
        return published_cell(find(document, key))

    def change(name: str, key: str, source: Cell) -> list[Cell | str]:
        saved = [shown_change(getattr(chip.comparison.reduction, key)) for chip in chips]
        return [name, *(Cell(text, tone="strong") for text in saved), source]

    def cap(name: str, key: str, source: Cell) -> list[Cell | str]:
        return [name, *(shown_change(getattr(chip.cap, key)) for chip in chips), source]

    saved = saved_cell(find(document, f"{part.key}.edp"))
    rows: Rows = [
        ["mean timesteps",
         *(Cell(f"{c.comparison.dynamic.mean_timesteps:.2f}", tone="strong") for c in chips),
         paper(f"{part.key}.mean_timesteps")],
        [f"accuracy, {last}, %", *(_accuracy(c.comparison.static[-1], c) for c in chips), nothing],
        ["accuracy, dynamic, %", *(_accuracy(c.comparison.dynamic, c) for c in chips), nothing],
        [Cell("difference, points", below="paired, 95 % interval"),
         *(difference_cell(c.against_static) for c in chips), nothing],
        change("EDP, mean of products", "edp_mean_of_products", saved),
        change("EDP, product of means", "edp_product_of_means", saved),
        change("energy", "energy", nothing),
        change("latency", "latency", nothing),
        [Cell("EDP, all choices joined", below="mean of products"),
         *(shown_change(c.joint.best.reduction.edp_mean_of_products) for c in chips), nothing],
        [Cell(f"EDP, {HELD}", below="no loss on images that did not choose it"),
         *("none" if c.joint.held is None else shown_change(c.joint.held.reduction.edp_mean_of_products)
           for c in chips), nothing],
        cap("cap: EDP if all left at T = 1", "edp_mean_of_products",
            saved_cell(find(document, "cap"))),
        *_aims(part),
    ]  # fmt: skip
    data = [
        [c.width, d.accuracy, d.accuracy_low, d.accuracy_high, c.comparison.static[-1].accuracy,
         c.against_static.difference, c.against_static.low, c.against_static.high, d.mean_timesteps,
         *r.model_dump().values(), *c.cap.model_dump().values()]
        for c in chips
        for d, r in ((c.comparison.dynamic, c.comparison.reduction),)
    ]  # fmt: skip
    changes = list(chips[0].cap.model_dump())
    main = main_chip(part)
    less = shown_change(main.comparison.reduction.edp_mean_of_products)
    title = (
        f"{part.title}: {main.comparison.dynamic.mean_timesteps:.2f} timesteps on average, EDP {less} "
        f"against {last}; {compared(main.against_static, last)}"
    )
    borrowed = (
        f"* {main.title}: its spikes, outputs and exits are those of the narrow network, whose channels it "
        "repeats. "
        if not main.own_spikes
        else ""
    )
    told = about(part, "cap").strip()
    cap_note = f"Of the cap: {told}" if told else ""
    return Grid(
        f"headline_{file_name(part.key)}", title, columns, rows,
        ("chip", "accuracy_dynamic", "accuracy_low", "accuracy_high", "accuracy_static", "difference",
         "difference_low", "difference_high", "mean_timesteps", *(f"reduction_{k}" for k in changes),
         *(f"cap_{k}" for k in changes)),
        data,
        f"{counted(main.comparison.meta.images, 'test image')}; changes are against {last} of the same "
        f"network on the same chip. {borrowed}{cap_note}",
    )  # fmt: skip


def _accuracy(row: StaticPoint | Dynamic, chip: OnChip) -> Cell:
    return accuracy_cell(row, "" if chip.own_spikes else "faint")


def _aims(part: NetworkPart) -> Rows:
    """A row for each aim and way to run: met or not on each chip, and why not."""
    rows: Rows = []
    for way, name in WAYS.items():
        for key in dict.fromkeys(aim.key for aim in part.aims):
            aims = {aim.chip: aim for aim in part.aims if (aim.key, aim.way) == (key, way)}
            if not aims:
                continue
            first = next(iter(aims.values()))
            wanted = f"{_aimed(first)} timesteps" if key == "mean_timesteps" else f"EDP {_aimed(first)}"
            rows.append([Cell(f"aim: {wanted}", below=f"{name.lower()}; no loss of accuracy"),
                         *(_verdict(aims.get(chip.width), _pair(chip, way)) for chip in part.chips),
                         published_cell(None)])  # fmt: skip
    return rows


def _pair(chip: OnChip, way: Judged) -> Paired:
    return chip.against_static if way == "base" else dict(chip.joint.ways)[way].test.against_static


def _verdict(aim: Aim | None, pair: Paired) -> Cell:
    if aim is None:
        return published_cell(None)
    if aim.met:
        return Cell("met", below=_got(aim), tone="good")
    timesteps = aim.key == "mean_timesteps"
    short = aim.got > aim.aim if timesteps else aim.got < aim.aim
    why = [f"{_got(aim)}"] if short else []
    lost = "accuracy is lost" if pair.verdict == "lower" else "too few images to rule out a loss of accuracy"
    why += [] if aim.no_loss else [lost]
    return Cell("not met", below="; ".join(why), tone="bad")


def runs(document: Reproduction) -> list[Grid]:
    """For each network and chip static T = 1, 2, ... and dynamic."""
    return [
        _runs(part, chip, name)
        for part in document.networks
        for chip, name in zip(part.chips, chip_names(part), strict=True)
    ]


def _runs(part: NetworkPart, chip: OnChip, name: str) -> Grid:
    result = chip.comparison
    every: Sequence[StaticPoint | Dynamic] = [*result.static, result.dynamic]
    energy = fitting(ENERGY, (row.energy_pj for row in every))
    time = fitting(TIME, (row.latency_ns for row in every))
    edp = product(energy, time)
    columns = [
        Column("run", "", "", False), Column("accuracy", "accuracy", "%, 95 % interval"),
        Column("mean_timesteps", "mean T"),
        Column("edp_mean_of_products", "EDP", f"mean of products, {pretty(edp)}"),
        Column("edp_product_of_means", "EDP", f"product of means, {pretty(edp)}"),
        Column("energy", "energy", pretty(energy)), Column("latency", "latency", pretty(time)),
    ]  # fmt: skip
    rows: Rows = []
    for row in every:
        static = isinstance(row, StaticPoint)
        timesteps = row.timesteps if isinstance(row, StaticPoint) else row.mean_timesteps
        texts = [number(timesteps, 3), edp(row.edp_mean_of_products), edp(row.edp_product_of_means),
                 energy(row.energy_pj), time(row.latency_ns)]  # fmt: skip
        tone: Tone = "" if static else "strong"
        rows.append(
            [Cell(static_name(int(timesteps)) if static else "dynamic", tone=tone),
             accuracy_cell(row, tone),
             *(Cell(text, tone=tone) for text in texts)]
        )  # fmt: skip
    less, last = result.reduction, result.static[-1]
    rows.append(
        [f"change against T = {last.timesteps}", difference_cell(chip.against_static),
         shown_change(1 - result.dynamic.mean_timesteps / last.timesteps),
         shown_change(less.edp_mean_of_products), shown_change(less.edp_product_of_means),
         shown_change(less.energy), shown_change(less.latency)]
    )  # fmt: skip
    fields = ("accuracy", "accuracy_low", "accuracy_high", "energy_pj", "latency_ns", "edp_mean_of_products",
              "edp_product_of_means")  # fmt: skip
    data: list[list[Any]] = [
        ["static" if isinstance(row, StaticPoint) else "dynamic",
         row.timesteps if isinstance(row, StaticPoint) else row.mean_timesteps,
         *(getattr(row, field) for field in fields)]
        for row in every
    ]  # fmt: skip
    seen = result.dynamic.validation
    chosen = (
        f"chosen on {counted(seen.images, 'validation image')}, there {percent(seen.accuracy_dynamic, 2)} % "
        f"(static {percent(seen.accuracy_static, 2)} %)"
        if seen
        else "given"
    )
    return Grid(
        f"runs_{file_name(part.key)}_{chip.width}",
        f"{part.title}, {name}: early exit changes energy by {shown_change(less.energy)} and latency by "
        f"{shown_change(less.latency)}",
        columns, rows, ("policy", "mean_timesteps", *fields), data,
        f"Means per image, {counted(result.meta.images, 'test image')}. Threshold "
        f"{_threshold(result.dynamic)}, {chosen}. Change of accuracy in points, paired.",
        wide=True,
    )  # fmt: skip


def _threshold(dynamic: Any) -> str:
    each = getattr(dynamic, "thresholds", None)
    return ", ".join(f"{one:.4g}" for one in each) if each else f"{dynamic.threshold:.4g}"
