"""What decides how long an image stays: the training loss and the exit rule."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from imcsim.base.plurals import counted
from imcsim.report.figures.drawing import BLUE, HALO, INK, ORANGE, PAPER, figure, legend
from imcsim.report.page.exhibits import Exhibit
from imcsim.report.page.grids import Cell, Grid
from imcsim.report.page.tables import Column
from imcsim.report.reproduction.wording import (
    accuracy_cell,
    difference_cell,
    file_name,
    last_name,
    points,
    shown_change,
    static_name,
)
from imcsim.report.units import percent
from imcsim.results.reproduction.document import NetworkPart, Reproduction
from imcsim.results.reproduction.ways import RuleWay

LOSSES = {"running": "loss on every timestep", "final": "loss on the last output alone"}
BRACKETS = "accuracy (points)"
RULES = {"entropy": "entropy", "max_softmax": "max-softmax", "margin": "margin"}


# --- the loss


def losses(document: Reproduction) -> list[Exhibit]:
    """For each network accuracy against T with either loss, and the dynamic runs."""
    return [_losses(part) for part in document.networks if part.losses]


def _losses(part: NetworkPart) -> Exhibit:
    said = ", ".join(
        f"{percent(one.comparison.static[0].accuracy)} % with the {LOSSES[one.loss]}" for one in part.losses
    )
    rows = [
        [one.loss, policy, t, row.accuracy, row.accuracy_low, row.accuracy_high]
        for one in part.losses
        for policy, t, row in (
            *(("static", s.timesteps, s) for s in one.comparison.static),
            ("dynamic", one.comparison.dynamic.mean_timesteps, one.comparison.dynamic),
        )
    ]
    images = part.losses[0].comparison.meta.images
    return Exhibit(
        f"losses_{file_name(part.key)}",
        f"{part.title}: after one timestep {said}",
        f"{counted(images, 'test image')}; bars: 95 % intervals. Lines: static runs; stars: dynamic ones, "
        "at their mean timesteps. “Every timestep” is the loss on the running mean after each.",
        lambda: _draw_losses(part),
        ("loss", "policy", "timesteps", "accuracy", "accuracy_low", "accuracy_high"),
        rows,
    )


def _draw_losses(part: NetworkPart) -> Figure:
    made, (axes,) = figure(2.8)
    for one, colour, mark, aside in zip(part.losses, (BLUE, ORANGE), "os", (-0.03, 0.03), strict=False):
        static, dynamic = one.comparison.static, one.comparison.dynamic
        axes.errorbar(  # intervals beside each other
            [s.timesteps + aside for s in static], [100 * s.accuracy for s in static],
            yerr=[[100 * (s.accuracy - s.accuracy_low) for s in static],
                  [100 * (s.accuracy_high - s.accuracy) for s in static]],
            color=colour, marker=mark, elinewidth=0.8, capsize=2, label=f"{LOSSES[one.loss]} (95 % interval)",
        )  # fmt: skip
        axes.plot([dynamic.mean_timesteps], [100 * dynamic.accuracy], linestyle="none",
                  marker="*", markersize=11, color=colour, markeredgecolor=INK, markeredgewidth=0.6,
                  zorder=5)  # fmt: skip
    axes.set_xticks([s.timesteps for s in part.losses[0].comparison.static])
    axes.set_xlabel("timesteps T, or mean timesteps")
    axes.set_ylabel("accuracy (%)")
    axes.grid()
    star = Line2D([], [], linestyle="none", marker="*", markersize=11, color=PAPER, markeredgecolor=INK,
                  markeredgewidth=0.6, label="dynamic, at its mean timesteps")  # fmt: skip
    legend(made, [*axes.get_legend_handles_labels()[0], star], ncols=1)
    return made


def loss_grids(document: Reproduction) -> list[Grid]:
    """For each network what either loss comes to."""
    found = []
    for part in document.networks:
        columns = [Column("loss", "", "", False), Column("mean_timesteps", "mean T"),
                   Column("edp", "EDP", "mean of products"), Column("dynamic", "dynamic", "%"),
                   Column("difference", "dynamic − static", "points"),
                   Column("static_t1", static_name(1), "%"), Column("static", _last(part), "%")]  # fmt: skip
        rows: list[list[Cell | str]] = []
        data: list[list[Any]] = []
        for one in part.losses:
            result = one.comparison
            first, last, dynamic = result.static[0], result.static[-1], result.dynamic
            rows.append(
                [LOSSES[one.loss], f"{dynamic.mean_timesteps:.2f}",
                 shown_change(result.reduction.edp_mean_of_products), accuracy_cell(dynamic),
                 difference_cell(one.against_static), accuracy_cell(first), accuracy_cell(last)]
            )  # fmt: skip
            data.append([one.loss, first.accuracy, last.accuracy, dynamic.accuracy,
                         one.against_static.difference, dynamic.mean_timesteps,
                         result.reduction.edp_mean_of_products])  # fmt: skip
        title = f"{part.title}: {_loss_finding(part)}"
        found.append(
            Grid(f"losses_{file_name(part.key)}_table", title, columns, rows,
                 ("loss", "accuracy_t1", "accuracy_static", "accuracy_dynamic", "difference",
                  "mean_timesteps", "edp_reduction"), data,
                 f"{counted(part.losses[0].comparison.meta.images, 'test image')}; each with its own "
                 "threshold, chosen on "
                 "validation images; EDP against the static run of the same network.", wide=True)
        )  # fmt: skip
    return found


def _loss_finding(part: NetworkPart) -> str:
    if len(part.losses) < 2:
        return "one loss"
    first, second = part.losses[0], part.losses[1]
    a, b = (one.comparison.dynamic.mean_timesteps for one in (first, second))
    return (
        f"images stay {a:.2f} timesteps with the {LOSSES[first.loss]}, {b:.2f} with the {LOSSES[second.loss]}"
    )


# --- the rule


def _rule_name(way: RuleWay) -> str:
    return f"{RULES.get(way.rule, way.rule)} ({way.accumulation})"


def _last(part: NetworkPart) -> str:
    return last_name(part.chips[0].comparison.static)


def rules(document: Reproduction) -> list[Exhibit]:
    """For each network the EDP that is left with each exit rule and accumulation."""
    return [_rules(part) for part in document.networks if part.rules]


def _rules(part: NetworkPart) -> Exhibit:
    mine = [way for way in part.rules if way.loss == part.rules[0].loss]
    paper = next((w for w in mine if (w.rule, w.accumulation) == ("entropy", "mean")), mine[0])
    # Which rule is best is judged on validation images; that the paper's is no worse there is enough.
    best = min([paper, *mine], key=lambda way: way.validation.edp_mean_of_products)
    saved = shown_change(paper.reduction.edp_mean_of_products)
    title = (
        f"on validation images no rule beats the paper’s, {_rule_name(paper)}: EDP {saved}"
        if best is paper
        else f"the best rule on validation images, {_rule_name(best)}, gets EDP "
        f"{shown_change(best.reduction.edp_mean_of_products)}, the paper’s, {_rule_name(paper)}, {saved}"
    )
    rows = [
        [w.loss, w.rule, w.accumulation, w.threshold, w.test.accuracy, w.test.accuracy_low,
         w.test.accuracy_high, w.test.against_static.difference, w.test.against_static.low,
         w.test.against_static.high, w.test.mean_timesteps, w.reduction.edp_mean_of_products,
         w.validation.accuracy, w.validation.mean_timesteps]
        for w in part.rules
    ]  # fmt: skip
    return Exhibit(
        f"rules_{file_name(part.key)}",
        f"{part.title}: {title}",
        f"EDP (mean of products) of {counted(part.rules[0].test.images, 'test image')} in % of "
        f"{_last(part)} of the "
        "same network; beside it the change of accuracy in points. Every rule has its own threshold, "
        f"chosen on {counted(part.rules[0].validation.images, 'validation image')}.",
        lambda: _draw_rules(part),
        ("loss", "rule", "accumulation", "threshold", "accuracy", "accuracy_low", "accuracy_high",
         "difference", "difference_low", "difference_high", "mean_timesteps", "edp_reduction",
         "validation_accuracy", "validation_mean_timesteps"),
        rows,
    )  # fmt: skip


def _draw_rules(part: NetworkPart) -> Figure:
    names = list(dict.fromkeys(_rule_name(way) for way in part.rules))
    kinds = list(dict.fromkeys(way.loss for way in part.rules))
    made, (axes,) = figure(0.85 + (0.3 if len(kinds) == 1 else 0.44) * len(names))
    most = max(100 * (1 - way.reduction.edp_mean_of_products) for way in part.rules)
    for k, (loss, colour, mark) in enumerate(zip(kinds, (BLUE, ORANGE), "os", strict=False)):
        for way in part.rules:
            if way.loss != loss:
                continue
            left = 100 * (1 - way.reduction.edp_mean_of_products)
            at = names.index(_rule_name(way)) + (0 if len(kinds) == 1 else 0.4 * (k - 0.5))
            axes.plot([0, left], [at, at], color=colour, linewidth=0.8, alpha=0.6)
            first = next(w for w in part.rules if w.loss == loss)
            axes.plot(left, at, color=colour, marker=mark, linestyle="none",
                      label=LOSSES[loss] if way is first else None)  # fmt: skip
            change = points(way.test.against_static.difference)
            axes.annotate(f"{left:.1f} %  ({change})", (left, at), xytext=(5, 0), textcoords="offset points",
                          va="center", fontsize=6.5, path_effects=HALO)  # fmt: skip
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, most * 1.55 or 1.0)
    made.supxlabel(f"EDP (% of {_last(part)}); in brackets: {BRACKETS}", fontsize=8)
    axes.grid(axis="x")
    if len(kinds) > 1:
        legend(made, ncols=1)
    return made


def rule_grids(document: Reproduction) -> list[Grid]:
    """For each network every rule with its figures."""
    columns = [Column("rule", "", "", False), Column("edp", "EDP", "mean of products"),
               Column("mean_timesteps", "mean T"), Column("difference", "dynamic − static", "points"),
               Column("accuracy", "accuracy", "%"), Column("threshold", "threshold")]  # fmt: skip
    found = []
    for part in document.networks:
        if not part.rules:
            continue
        rows: list[list[Cell | str]] = [
            [Cell(_rule_name(w), below=LOSSES[w.loss]), shown_change(w.reduction.edp_mean_of_products),
             f"{w.test.mean_timesteps:.3f}", difference_cell(w.test.against_static), accuracy_cell(w.test),
             f"{w.threshold:.4g}"]
            for w in part.rules
        ]  # fmt: skip
        spread = [w.test.mean_timesteps for w in part.rules if w.loss == part.rules[0].loss]
        found.append(
            Grid(f"rules_{file_name(part.key)}_table",
                 f"{part.title}: mean timesteps lie between {min(spread):.2f} and {max(spread):.2f} "
                 f"({LOSSES[part.rules[0].loss]})",
                 columns, rows,
                 ("loss", "rule", "accumulation", "threshold", "accuracy", "difference", "mean_timesteps",
                  "edp_reduction"),
                 [[w.loss, w.rule, w.accumulation, w.threshold, w.test.accuracy,
                   w.test.against_static.difference, w.test.mean_timesteps,
                   w.reduction.edp_mean_of_products] for w in part.rules],
                 f"{counted(part.rules[0].test.images, 'test image')}.")
        )  # fmt: skip
    return found
