"""Measured chips: blind files, figures that follow from counts, and their tables."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.text import Text

import imcsim.hardware
from imcsim.hardware.events import Event
from imcsim.report.figures.silicon import predicted_against_measured
from imcsim.report.terminal.validation import (
    silicon_cells,
    summary_cells,
    validation_markdown,
    validation_report,
)
from imcsim.report.validation import validation_files
from imcsim.validate import Fit, Validation
from imcsim.validate.silicon import SiliconRow, measured_chips, medians, silicon_rows
from imcsim.validate.silicon.measured import KINDS, MeasuredChip

CHIPS = {chip.name: chip for chip in measured_chips()}
FOLDER = Path(__file__).parents[2] / "hw_configs"


def only(name: str, setting: int = 0) -> MeasuredChip:
    """A chip with one of its settings."""
    return replace(CHIPS[name], settings=(CHIPS[name].settings[setting],))


# Blindness


def values_of(section: Any) -> list[Any]:
    """The values that a chip's file states."""
    if isinstance(section, dict):
        if "value" in section:
            return [section["value"]]
        return [value for part in section.values() for value in values_of(part)]
    return []


@pytest.mark.parametrize("name", CHIPS)
def test_no_measured_figure_stands_in_the_file_of_its_chip(name: str) -> None:
    chip = CHIPS[name]
    stated = values_of(yaml.safe_load((FOLDER / f"{chip.hardware}.yaml").read_text(encoding="utf-8")))
    stated += [value for setting in chip.settings for value in setting.overrides.values()]
    measured = {value for setting in chip.settings for value in setting.figures.values()}
    assert not measured & {value for value in stated if isinstance(value, int | float)}


@pytest.mark.parametrize("name", sorted({chip.hardware for chip in CHIPS.values()}))
def test_energies_areas_and_times_of_measured_chips_are_estimated(name: str) -> None:
    chip, base = imcsim.hardware.load(name), imcsim.hardware.load("estimated")
    physical = ("_pj", "_um2", "_uw", "_ns", "_pj_per_mm", "_uw_per_um2")
    given = {
        key
        for key, about in chip.provenance.items()
        if key.endswith(physical) and about.source != "estimate" and key not in ("technology.clock_ns",)
    }
    inherited = {key for key in given if chip.provenance[key] == base.provenance.get(key)}
    own = given - {key for key in given if chip.provenance[key].source == "imcsim"} - inherited
    allowed = {
        "neurram_130nm": {"wordline_driver.row_energy_pj", "adc.presets.survey_fit.conversion_time_ns"}
    }
    assert {key for key in own if chip.provenance[key].source != "isaac"} == allowed.get(name, set())


# Figures by hand


def test_neurram_s_first_setting_by_hand() -> None:
    rows = {row.figure: row for row in silicon_rows((only("neurram"),))}
    config = imcsim.hardware.load("neurram_130nm", dict(only("neurram").settings[0].overrides)).config
    operations = 2 * 256 * 128
    # A conversion of 900 ns hides the read; 48 cores.
    assert rows["tops"].predicted == pytest.approx(48 * operations / 904 * 1e-3, rel=0.01)
    price = config.wordline_driver.charges(config)[Event.ACTIVE_WORDLINES]
    price += config.write_access.charges(config)[Event.ACTIVE_WORDLINES]
    # Half of the rows have a 1; what stands leaks little over the time.
    assert rows["fj_per_op.wordline"].predicted == pytest.approx(128 * price / operations * 1e3, rel=0.15)
    assert rows["fj_per_op.wordline"].carried_by == "wordline_driver"
    parts = sum(rows[f"fj_per_op.{group}"].predicted for group in ("wordline", "neuron", "input"))
    assert 1e3 / parts == pytest.approx(rows["tops_per_w"].predicted)
    assert rows["tops"].other == rows["tops"].predicted
    assert rows["tops_per_w"].other > rows["tops_per_w"].predicted


def test_a_chain_of_cores_does_one_product_in_each() -> None:
    one = replace(only("pcm64"), operation=replace(CHIPS["pcm64"].operation, cores=1, rows=64, outputs=64))
    three = replace(one, operation=replace(one.operation, cores=3))
    (tops1, _), (tops3, _) = (list(silicon_rows((chip,))) for chip in (one, three))
    assert tops3.predicted == pytest.approx(3 * tops1.predicted, rel=0.05)


# Rows and tables


def row(predicted: float, measured: float, title: str = "a chip", figure: str = "tops_per_w") -> SiliconRow:
    kind = KINDS[figure.split(".")[0]]
    return SiliconRow(
        "chip",
        title,
        "8 bits",
        figure,
        kind.unit,
        predicted,
        measured,
        2 * predicted,
        "adc",
        0.75,
        "s",
        "paper",
    )


def test_errors_are_signed_and_factors_are_not() -> None:
    low, high = row(5, 10), row(20, 10)
    assert (low.error, high.error) == (-0.5, 1.0)
    assert low.factor == high.factor == 2
    assert low.document()["factor"] == 2


def test_medians_of_each_chip_and_of_all() -> None:
    rows = [row(10, 10), row(40, 10), row(30, 10), row(10, 60, "another")]
    assert medians(rows) == {"a chip": (3, 3, 4), "another": (1, 6, 6), "": (4, 3.5, 6)}
    assert summary_cells(rows)[-1] == ["all", "4", "3.50", "6.00", "1 of 4"]


def test_cells_and_tables_say_what_carries_a_figure() -> None:
    (cells,) = silicon_cells([row(0.1122, 0.372, figure="pj.adc")])
    assert cells == [
        "8 bits",
        "per conversion, adc",
        "0.112",
        "0.372",
        "pJ",
        "-70 %",
        "3.32",
        "0.224",
        "adc 75 %",
    ]
    shown = validation_markdown(Validation((), (), Fit({}, (1.0, 2.0, 97.0)), (), (row(5, 10),)))
    assert "| 8 bits | efficiency | 5 | 10 | TOPS/W | -50 % | 2.00 | 10 | adc 75 % |" in shown


def test_the_last_line_sums_the_chips_up() -> None:
    result = Validation((), (), Fit({}, (1.0, 2.0, 97.0)), (), (row(10, 10), row(40, 10), row(30, 10)))
    lines = [str(part) for part in validation_report(result).renderables if isinstance(part, Text)]
    assert lines[-1] == (
        "1 of 3 figures of measured chips are predicted within a factor of 2; the median factor is 3.00, "
        "the largest 4.00"
    )
    assert not any("judged" in line for line in lines)


def many_rows() -> list[SiliconRow]:
    """Two chips of which several figures lie close together."""
    near = [row(10 + k, 11, "a chip") for k in range(6)]
    return [*near, row(300, 20, "another"), row(2, 1, "another", "tops"), row(5e5, 1e6, "another", "um2.adc")]


@pytest.mark.usefixtures("rough_figures")
def test_the_page_says_first_what_each_kind_shows_and_has_the_figure() -> None:
    result = Validation((), (), Fit({}, (1.0, 2.0, 97.0)), (), tuple(many_rows()))
    found = validation_files(result, lambda *step: None)
    page = found["index.html"].decode()
    head = page[page.index("<dl") : page.index("</dl>")]
    assert head.index("<dt>Verification</dt>") < head.index("<dt>Validation</dt>") < head.index("Version")
    assert "follow from what was put in" in head
    assert "were not put in" in head
    kinds = {name for name in found if name.startswith("figures/")}
    assert kinds == {f"figures/predicted-against-measured.{kind}" for kind in ("svg", "pdf", "png")}
    table = found["data/predicted-against-measured.csv"].decode().splitlines()
    assert len(table) == 1 + len(many_rows())
    assert found == validation_files(result, lambda *step: None)  # the same bytes


def test_names_in_the_figure_lie_neither_on_points_nor_on_each_other() -> None:
    made = predicted_against_measured(many_rows())
    made.draw_without_rendering()
    named = 0
    for axis in made.axes:
        boxes = [text.get_window_extent() for text in axis.texts]
        named += len(boxes)
        assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
        marks = [
            axis.transData.transform(line.get_xydata()[0])
            for line in axis.lines
            if line.get_marker() != "None"
        ]
        assert not any(box.contains(*mark) for box in boxes for mark in marks)
    assert named >= 4
    (legend,) = made.legends
    box, whole = legend.get_window_extent(), made.bbox
    assert whole.x0 <= box.x0 < box.x1 <= whole.x1


def test_every_figure_has_a_kind_and_its_components_exist() -> None:
    for chip in CHIPS.values():
        names = {name for name, _ in imcsim.hardware.load(chip.hardware).config.components()}
        assert {name for group in chip.groups.values() for name in group} <= names
        for setting in chip.settings:
            for key, value in setting.figures.items():
                kind, _, group = key.partition(".")
                assert kind in KINDS
                assert value > 0
                assert not group or group in chip.groups
