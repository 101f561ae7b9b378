"""Tables: against the cheapest static network of equal accuracy; ways to choose thresholds."""

from __future__ import annotations

from typing import Any

from imcsim.report.page.grids import Cell, Grid, Tone
from imcsim.report.page.tables import Column
from imcsim.report.reproduction.wording import (
    HELD,
    accuracy_cell,
    chip_names,
    difference_cell,
    file_name,
    interval,
    last_name,
    shown_change,
    static_name,
)
from imcsim.report.units import criterion, percent, thresholds
from imcsim.results.reproduction.document import NetworkPart, Reproduction

WAYS = {"base": "the paper’s way", "best": "all joined", "held": HELD}
_EQUAL = ("chip", "way", "issue", "network", "trained", "timesteps", "accuracy", "accuracy_low",
          "accuracy_high", "difference", "difference_low", "difference_high", "mean_timesteps",
          "edp_mean_of_products", "edp_reduction", "energy_reduction", "latency_reduction")  # fmt: skip
_CHOSEN = ("max_loss", "thresholds", "temperatures", "threshold", "accuracy", "difference", "difference_low",
           "difference_high", "mean_timesteps", "edp_mean_of_products", "edp_reduction",
           "validation_difference")  # fmt: skip


def equal_grids(document: Reproduction) -> list[Grid]:
    """For each network the dynamic runs against the cheapest static run of equal accuracy."""
    return [_equal(part) for part in document.networks if any(c.joint.equals for c in part.chips)]


def _equal(part: NetworkPart) -> Grid:
    columns = [Column("way", "", "", False), Column("opponent", "static opponent", "", False),
               Column("accuracy", "its accuracy", "%"), Column("difference", "dynamic against it", "points"),
               Column("timesteps", "timesteps", "mean, and its"), Column("edp", "EDP", "mean of products"),
               Column("energy", "energy"), Column("latency", "latency")]  # fmt: skip
    rows: list[list[Cell | str]] = []
    data: list[list[Any]] = []
    for chip, name in zip(part.chips, chip_names(part), strict=True):
        for key, way, one in chip.joint.equals:
            saved, test = one.reduction, one.test
            tone: Tone = "" if key == "base" else "strong"
            rows.append(
                [Cell(WAYS[key], below=name, tone=tone),
                 Cell(f"{static_name(one.timesteps)}, {one.issue}", below=f"trained {_with(one.trained)}"),
                 Cell(percent(one.accuracy, 2), below=interval(one.accuracy_low, one.accuracy_high)),
                 difference_cell(test), f"{way.test.mean_timesteps:.3f} / {one.timesteps}",
                 Cell(shown_change(saved.edp_mean_of_products), tone=tone), shown_change(saved.energy),
                 shown_change(saved.latency)]
            )  # fmt: skip
            data.append(
                [chip.width, key, one.issue, one.network, one.trained, one.timesteps, one.accuracy,
                 one.accuracy_low, one.accuracy_high, test.difference, test.low, test.high,
                 way.test.mean_timesteps, one.edp_mean_of_products, saved.edp_mean_of_products, saved.energy,
                 saved.latency]
            )  # fmt: skip
    return Grid(
        f"equal_{file_name(part.key)}",
        f"{part.title}: against the cheapest static run of equal accuracy",
        columns, rows, _EQUAL, data,
        "Static runs of all networks at all T, waiting as in the paper or pipelined. Of equal accuracy is "
        "one whose 95 % interval of the paired difference to the dynamic run reaches 0 and rules out a loss "
        "of more than a point, on validation images. Figures are of test images.",
        wide=True,
    )  # fmt: skip


def _with(trained: str) -> str:
    return trained if trained.startswith("for") else f"with {trained}"


def choosing_grids(document: Reproduction) -> list[Grid]:
    """For each network the paper's rule with thresholds chosen in several ways."""
    return [_choosing(part) for part in document.networks]


def _choosing(part: NetworkPart) -> Grid:
    columns = [Column("criterion", "no loss by", "", False), Column("thresholds", "thresholds", "", False),
               Column("temperatures", "temperatures", "", False), Column("accuracy", "accuracy", "%"),
               Column("difference", "against static", "points"), Column("mean_timesteps", "mean T"),
               Column("edp", "EDP", "mean of products"), Column("threshold", "threshold")]  # fmt: skip
    rows: list[list[Cell | str]] = []
    data: list[list[Any]] = []
    for one in part.choosing:
        test, against = one.test, one.test.against_static
        scaled = "none" if one.temperatures == "one" else "each"
        rows.append(
            [criterion(one.max_loss), one.thresholds, scaled, accuracy_cell(test), difference_cell(against),
             f"{test.mean_timesteps:.3f}", shown_change(one.reduction.edp_mean_of_products),
             thresholds(one.threshold)]
        )  # fmt: skip
        data.append(
            [one.max_loss, one.thresholds, one.temperatures, " ".join(map(repr, one.threshold)),
             test.accuracy, against.difference, against.low, against.high, test.mean_timesteps,
             test.edp_mean_of_products, one.reduction.edp_mean_of_products,
             one.validation.against_static.difference]
        )  # fmt: skip
    chip = part.chips[0]
    return Grid(
        f"choosing_{file_name(part.key)}",
        f"{part.title}, {chip_names(part)[0]}: ways to choose thresholds",
        columns, rows, _CHOSEN, data,
        f"The paper’s rule; changes against {last_name(chip.comparison.static)}. Count: as many validation "
        "images right as there. Bound: a loss of so many points is ruled out by a 95 % interval on images "
        "that chose nothing.",
        wide=True,
    )  # fmt: skip
