"""What may be chosen, joined: the combination that costs least, and what each choice adds to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from matplotlib.figure import Figure

from imcsim.base.plurals import counted
from imcsim.report.figures.drawing import BLUE, GREEN, HALO, MUTED, ORANGE, VERMILION, figure, legend
from imcsim.report.page.exhibits import Exhibit
from imcsim.report.page.grids import Cell, Grid, Tone
from imcsim.report.page.tables import Column, Table
from imcsim.report.reproduction.decisions import BRACKETS
from imcsim.report.reproduction.wording import (
    HELD,
    accuracy_cell,
    chip_names,
    compared,
    difference_cell,
    file_name,
    last_name,
    main_chip,
    points,
    shown_change,
)
from imcsim.report.units import percent, thresholds
from imcsim.results.reproduction.document import NetworkPart, OnChip, Reproduction
from imcsim.results.reproduction.ways import Choices, Joint, Step, Way

NAMES = {"loss": "training loss", "accumulation": "accumulation", "rule": "exit rule",
         "thresholds": "thresholds", "issue": "issue policy", "encoder": "encoder"}  # fmt: skip
_COLUMNS = ("chip", "way", "choice", "loss", "accumulation", "rule", "thresholds", "issue", "encoder",
            "threshold", "accuracy", "accuracy_low", "accuracy_high", "difference", "difference_low",
            "difference_high", "mean_timesteps", "energy_pj", "latency_ns", "edp_mean_of_products",
            "edp_reduction", "validation_accuracy", "validation_edp")  # fmt: skip


def joints(document: Reproduction) -> list[Exhibit]:
    """For each network the ablation on the chip of the paper's width."""
    return [_joint(part) for part in document.networks]


def _lines(joint: Joint) -> Iterator[tuple[str, str, Way | None]]:
    """Label, choice and way of each row: base, each alone, all, all without each."""
    yield "the paper’s way", "", joint.base
    for step in joint.alone:
        yield f"{NAMES[step.choice]}: {step.best}", step.choice, step.way
    if joint.alone:
        yield "all joined", "", joint.best
    if joint.held is not None:
        yield HELD, "", joint.held
    for step in joint.without:
        yield f"all, but {NAMES[step.choice]}: {step.base}", step.choice, step.way


def _saved(way: Way) -> float:
    return way.reduction.edp_mean_of_products


def _strongest(joint: Joint) -> Step | None:
    """The choice without which the joined ones lose most."""
    return min(
        (step for step in joint.without if step.way), key=lambda s: _saved(s.way or joint.best), default=None
    )


def _finding(joint: Joint) -> str:
    if not joint.alone:
        return "no other choice has less EDP than the paper’s way"
    best, base = shown_change(_saved(joint.best)), shown_change(_saved(joint.base))
    if best == base:
        return f"choices joined and the paper’s way get the same EDP, {best}"
    if _saved(joint.best) < _saved(joint.base):
        return f"what is best on validation images is not on test images: EDP {best}, the paper’s way {base}"
    said = f"choices joined get EDP {best}, the paper’s way {base}"
    most = _strongest(joint)
    without = best if most is None or most.way is None else shown_change(_saved(most.way))
    if most is None or without == best or _saved(most.way or joint.best) > _saved(joint.best):
        return said
    return f"{said}; most depends on the {NAMES[most.choice]} ({without} without it)"


def _joint(part: NetworkPart) -> Exhibit:
    chip = main_chip(part)
    joint, result = chip.joint, chip.comparison
    rows = [row for one in part.chips for row in _data(one)]
    seen = joint.base.validation.images
    return Exhibit(
        f"joint_{file_name(part.key)}",
        f"{part.title}, {chip_names(part)[-1]}: {_finding(joint)}",
        f"EDP (mean of products) of {counted(joint.base.test.images, 'test image')} in % of "
        f"{last_name(result.static)} of the paper’s way; in brackets the change of accuracy in points. Of "
        f"{len(joint.candidates)} combinations all that may be the best were judged, on {seen:,} validation "
        "images alone; only those shown were looked at on test images. All joined: "
        f"{compared(joint.best.test.against_static, last_name(result.static))}.",
        lambda: _draw(chip),
        _COLUMNS,
        rows,
    )


def _data(chip: OnChip) -> Iterator[list[Any]]:
    for label, choice, way in _lines(chip.joint):
        if way is None:
            yield [chip.width, label, choice, *[None] * (len(_COLUMNS) - 3)]
            continue
        test, against = way.test, way.test.against_static
        yield [chip.width, label, choice, *way.choices.model_dump().values(),
               " ".join(map(repr, way.threshold)),
               test.accuracy, test.accuracy_low, test.accuracy_high, against.difference, against.low,
               against.high, test.mean_timesteps, test.energy_pj, test.latency_ns, test.edp_mean_of_products,
               _saved(way), way.validation.accuracy, way.validation.edp_mean_of_products]  # fmt: skip


def _draw(chip: OnChip) -> Figure:
    lines = list(_lines(chip.joint))
    made, (axes,) = figure(0.95 + 0.27 * len(lines))
    most = max(100 * (1 - _saved(way)) for _, _, way in lines if way)
    for at, (label, _, way) in enumerate(lines):
        if way is None:
            axes.annotate("no threshold keeps the accuracy", (0, at), xytext=(4, 0), va="center",
                          fontsize=6.5, textcoords="offset points", color=MUTED,
                          path_effects=HALO)  # fmt: skip
            continue
        colour, mark, kind = (
            (GREEN, "D", "joined") if label in ("all joined", HELD)
            else (BLUE, "o", "the paper’s way") if label == "the paper’s way"
            else (VERMILION, "s", "joined, without one") if label.startswith("all, but")
            else (ORANGE, "^", "one choice alone")
        )  # fmt: skip
        known = axes.get_legend_handles_labels()[1]
        left = 100 * (1 - _saved(way))
        axes.plot([0, left], [at, at], color=colour, linewidth=0.8, alpha=0.6)
        axes.plot(left, at, color=colour, marker=mark, linestyle="none", markersize=5,
                  label=None if kind in known else kind)  # fmt: skip
        axes.annotate(
            f"{left:.1f} %  ({points(way.test.against_static.difference)})", (left, at), xytext=(5, 0),
            textcoords="offset points", va="center", fontsize=6.5, path_effects=HALO,
        )  # fmt: skip
    axes.axvline(100 * (1 - _saved(chip.joint.base)), color=MUTED, linestyle=":", linewidth=1, zorder=0,
                 label="as the paper’s way")  # fmt: skip
    axes.set_yticks(range(len(lines)), [label for label, _, _ in lines])
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, most * 1.75 or 1.0)
    made.supxlabel(f"EDP (% of static T = {chip.comparison.meta.timesteps}); in brackets: {BRACKETS}",
                   fontsize=8)  # fmt: skip
    axes.grid(axis="x")
    legend(made, columnspacing=1, handletextpad=0.3)
    return made


def joint_grids(document: Reproduction) -> list[Grid]:
    """For each network the ablation in figures, on the chip of the paper's width; the data has all chips."""
    return [_grid(part, main_chip(part), chip_names(part)[-1]) for part in document.networks]


def _grid(part: NetworkPart, chip: OnChip, name: str) -> Grid:
    columns = [Column("way", "", "", False), Column("edp", "EDP", "mean of products"),
               Column("mean_timesteps", "mean T"), Column("difference", "against static", "points"),
               Column("accuracy", "accuracy", "%"), Column("energy", "energy"), Column("latency", "latency"),
               Column("threshold", "threshold")]  # fmt: skip
    rows: list[list[Cell | str]] = []
    for label, choice, way in _lines(chip.joint):
        if way is None:
            rows.append([Cell(label, below="no threshold keeps the accuracy", tone="faint"), *["–"] * 7])
            continue
        tone: Tone = "" if choice else "strong"
        test = way.test
        rows.append(
            [Cell(label, tone=tone, below=_described(way.choices) if not choice else ""),
             Cell(shown_change(_saved(way)), tone=tone), f"{test.mean_timesteps:.3f}",
             difference_cell(test.against_static),
             accuracy_cell(test),
             shown_change(way.reduction.energy), shown_change(way.reduction.latency),
             thresholds(way.threshold)]
        )  # fmt: skip
    last = last_name(chip.comparison.static)
    return Grid(
        f"joint_{file_name(part.key)}_table",
        f"{part.title}, {name}: {_finding(chip.joint)}",
        columns, rows, _COLUMNS, [row for one in part.chips for row in _data(one)],
        f"{counted(chip.joint.base.test.images, 'test image')}; changes against {last} of the paper’s way "
        "on the same chip.",
        wide=True,
    )  # fmt: skip


def _described(choices: Choices) -> str:
    return ", ".join(
        (f"loss {choices.loss}", choices.accumulation, choices.rule.replace("_", "-"),
         "one threshold" if choices.thresholds == "one" else "a threshold for each timestep", choices.issue,
         f"encoder {choices.encoder}")
    )  # fmt: skip


def candidates(document: Reproduction) -> Table:
    """Every combination that may be the best as it was judged, on validation images, relative to the base."""
    columns = [Column("network", "network", "", False), Column("chip", "chip", "", False),
               *(Column(key, name, "", False) for key, name in NAMES.items()),
               Column("accuracy", "accuracy", "%"), Column("mean_timesteps", "mean T"),
               Column("edp", "EDP", "% of the paper’s way")]  # fmt: skip
    rows: list[list[str]] = []
    for part in document.networks:
        for chip, name in zip(part.chips, chip_names(part), strict=True):
            whole = chip.joint.base.validation.edp_mean_of_products or 1.0
            ordered = sorted(
                chip.joint.candidates,
                key=lambda c: (c.edp_mean_of_products is None, c.edp_mean_of_products or 0.0),
            )
            for one in ordered:
                if one.outcome == "dominated":
                    continue
                figures = (
                    ["loses accuracy", "", ""]
                    if one.accuracy is None or one.mean_timesteps is None or one.edp_mean_of_products is None
                    else [percent(one.accuracy, 2), f"{one.mean_timesteps:.3f}",
                          f"{100 * one.edp_mean_of_products / whole:.2f}"]
                )  # fmt: skip
                rows.append([part.title, name, *map(str, one.choices.model_dump().values()), *figures])
    return Table("combinations", columns, rows)
