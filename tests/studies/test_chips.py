"""Many programmed chips of one design: each against a run of its own, what is said of all, the command."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from latex import check_fits
from networks import forward, random_images, random_network
from plain import plain_compare
from pydantic import ValidationError
from rich.console import Console
from sweep_files import write_files

import imcsim
import imcsim.hardware
from imcsim.base.errors import ImcsimError
from imcsim.commands.cli import main
from imcsim.hardware.config import Hardware
from imcsim.inputs import Inputs
from imcsim.report.documents import csv_tables
from imcsim.report.figures.chips import exits
from imcsim.report.figures.drawing import FORMATS
from imcsim.report.paper import caption
from imcsim.report.paper_chips import chips_files
from imcsim.report.terminal.chips import chips_report
from imcsim.results.chips.document import ChipsResult
from imcsim.results.chips.one_chip import DynamicRun, OneChip
from imcsim.results.chips.spread import spread
from imcsim.results.comparison import CompareResult
from imcsim.results.model import to_json
from imcsim.results.schemas import json_schema
from imcsim.results.statistics import student_975
from imcsim.studies.chips import Stopped, compare_chips
from imcsim.studies.chips.comparing import _shares
from imcsim.studies.decider import right_after
from imcsim.studies.experiment import Experiment
from imcsim.studies.settings import CompareOptions

CLASSES, T = 4, 3
NET = random_network(np.random.default_rng(5), depth=2, classes=CLASSES, timesteps=T)
ERRORS = {
    "nonideal.variation.sigma": 0.2,
    "nonideal.read_noise.sigma": 0.05,
    "nonideal.stuck.off_rate": 0.01,
    "nonideal.converter.offset_lsb": 0.5,
}
DESIGN = {"cells.encoding": "differential"}
IDEAL = imcsim.hardware.load("dtsnn_32nm", DESIGN)
ERRING = imcsim.hardware.load("dtsnn_32nm", DESIGN | ERRORS)
SERIAL = CompareOptions(workers=1)


def shown(seed: int, count: int = 40, wrong: float = 0.2) -> Inputs:
    """Images of which the network has most right."""
    rng = np.random.default_rng(seed)
    images = random_images(rng, NET.input_shape, count)
    labels = forward(NET, images, T)[NET.nodes[-1].name].sum(0).argmax(1)
    labels = np.where(rng.random(count) < wrong, (labels + 1) % CLASSES, labels)
    return Inputs(images, labels, f"images{seed}", "unknown", f"{seed:064x}", CLASSES)


SHOWN, HELD_OUT = shown(1), shown(2)


def many(chips: int = 4, hardware: Hardware = ERRING, **options: Any) -> ChipsResult:
    return compare_chips(NET, hardware, SHOWN, HELD_OUT, CompareOptions(**options), chips)


@pytest.fixture(scope="module")
def four() -> ChipsResult:
    return many()


# One figure over the chips


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30), st.booleans())
@settings(deadline=None, max_examples=50)
def test_a_spread_in_closed_form(values: list[float], larger_is_better: bool) -> None:
    stats = pytest.importorskip("scipy.stats")
    numbers = [7 + 2 * k for k in range(len(values))]
    found = spread(0.25, values, numbers, larger_is_better=larger_is_better)
    assert found.ideal == 0.25
    assert found.mean == pytest.approx(statistics.fmean(values), abs=1e-12)
    assert found.std == pytest.approx(statistics.stdev(values), abs=1e-12)
    assert min(values) <= found.mean <= max(values)
    ends = sorted(values)[:: len(values) - 1]
    assert [found.worst, found.best] == (ends if larger_is_better else ends[::-1])
    assert found.worst_chip == numbers[values.index(found.worst)]
    half = stats.t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
    assert found.mean_low == pytest.approx(found.mean - half, abs=1e-9)
    assert found.mean_high == pytest.approx(found.mean + half, abs=1e-9)


def test_intervals_are_cut_where_no_figure_can_lie() -> None:
    found = spread(0.5, [0.1, 0.9], [0, 1], within=(0.0, 1.0))
    assert (found.mean_low, found.mean_high) == (0.0, 1.0)
    assert (spread(0.5, [0.1, 0.9], [0, 1]).mean_low or 0.0) < 0


def test_a_single_chip_has_no_spread() -> None:
    found = spread(0.5, [0.4], [3])
    assert (found.mean, found.worst, found.best, found.worst_chip) == (0.4, 0.4, 0.4, 3)
    assert found.std is found.mean_low is found.mean_high is None


def test_points_of_student_s_t() -> None:
    stats = pytest.importorskip("scipy.stats")
    for freedom in (*range(1, 121), 1000, 9999):
        assert student_975(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-9), freedom
    assert student_975(9) == pytest.approx(2.262157, abs=1e-6)  # as tables have it


# Each chip


def same_figures(one: OneChip, alone: CompareResult, run: DynamicRun | None = None) -> None:
    """Whether one of many is what a comparison of it alone says, to the last bit. Static runs of many chips
    are played as the run's own issue policy says: pipelined where it runs ahead.
    """
    issue = "pipeline" if str(alone.meta.policy).startswith("speculate") else "wait"
    ((opponent, against),) = (
        pair for pair in zip(alone.opponents, alone.reductions, strict=True) if pair[0].issue == issue
    )
    assert against.issue == issue
    for mine, its in zip(one.static, opponent.static, strict=True):
        for key in type(mine).model_fields:
            assert getattr(mine, key) == getattr(its, key), key
    run = run or one.dynamic
    for key in set(DynamicRun.model_fields) - {"exit_accuracy", "edp_reduction"}:
        assert getattr(run, key) == getattr(alone.dynamic, key), key
    assert run.edp_reduction == against.edp_mean_of_products


def test_each_chip_is_the_one_that_runs_alone(four: ChipsResult) -> None:
    assert [one.chip for one in four.instances] == [0, 1, 2, 3]
    for number in (0, 3):
        same_figures(
            four.instances[number],
            plain_compare(NET, ERRING, SHOWN, HELD_OUT, replace(SERIAL, chip=number)),
        )


def test_the_ideal_chip_is_the_design_without_errors(four: ChipsResult) -> None:
    same_figures(four.ideal, plain_compare(NET, IDEAL, SHOWN, HELD_OUT, SERIAL))


def test_the_figure_says_where_it_cuts_deviations(four: ChipsResult) -> None:
    def label(std: float) -> str:
        every = [
            one.model_copy(update={"fraction": one.fraction.model_copy(update={"mean": 0.25, "std": std})})
            for one in four.dynamic.exits
        ]
        dynamic = four.dynamic.model_copy(update={"exits": tuple(every)})
        shown = four.model_copy(update={"dynamic": dynamic, "dynamic_once": None})
        return next(x for x in exits(shown).axes[0].get_legend_handles_labels()[1] if x.startswith("±"))

    assert (label(0.2), label(0.3)) == ("± std", "± std, cut at 0 and 100 %")


def test_once_for_all_is_the_ideal_chip_s_threshold(four: ChipsResult) -> None:
    ideal, one = four.ideal.dynamic.threshold, four.instances[2]
    assert one.dynamic_once is not None
    assert ideal == one.dynamic_once.threshold
    assert one.dynamic.threshold != ideal  # else this shows nothing
    given_it = plain_compare(NET, ERRING, SHOWN, HELD_OUT, replace(SERIAL, chip=2, threshold=ideal))
    same_figures(one, given_it, one.dynamic_once)


def test_numbers_start_at_the_chip_that_is_asked_for(four: ChipsResult) -> None:
    later = many(2, chip=2, workers=1)
    assert later.first_chip == 2
    assert later.instances == four.instances[2:]
    assert later.ideal == four.ideal


@pytest.mark.parametrize("workers", [1, 3, 7])
def test_any_number_of_workers_gives_the_same_bytes(four: ChipsResult, workers: int) -> None:
    assert to_json(many(workers=workers)) == to_json(four)


def test_rounds_of_chips_are_full() -> None:
    assert _shares(19, 16) == (10, 2)
    assert _shares(4, 16) == (4, 4)
    assert _shares(40, 2) == (2, 1)
    for chips in range(1, 40):
        for workers in range(1, 20):
            at_once, each = _shares(chips, workers)
            assert at_once <= min(chips, workers)
            assert workers <= at_once * each < workers + at_once


def test_energy_is_of_the_conductances_of_each_chip(four: ChipsResult) -> None:
    energies = [one.static[-1].energy_pj for one in (four.ideal, *four.instances)]
    assert len(set(energies)) == 5
    alike = many(2, imcsim.hardware.load("dtsnn_32nm", DESIGN | {"nonideal.converter.gain_sigma": 1e-9}))
    first, second = (one.static[-1].energy_pj for one in alike.instances)
    assert first == second  # cells of all chips conduct alike


# Images that move


def test_moved_images_and_exits_counted_one_by_one(four: ChipsResult) -> None:
    benches = [
        Experiment.make(NET, hardware, SHOWN, HELD_OUT, replace(SERIAL, chip=number), None)
        for hardware, number in ((IDEAL, 0), (ERRING, 0), (ERRING, 1), (ERRING, 2), (ERRING, 3))
    ]
    choices = [bench.choose() for bench in benches]
    for once in (False, True):
        words = [choices[0] if once else choice for choice in choices]
        stays = [b.exits(b.images, c).tolist() for b, c in zip(benches, words, strict=True)]
        rights = [right_after(bench.images, SHOWN) for bench in benches]
        total: dict[str, int] = {}
        left = [[0, 0] for _ in range(T)]
        for chip in range(1, 5):
            counts = dict.fromkeys(type(four.dynamic.moved).model_fields, 0)
            for image in range(len(SHOWN.labels)):
                ideal, here = stays[0][image], stays[chip][image]
                kind = "earlier" if here < ideal else "later" if here > ideal else "same"
                right = bool(rights[chip][image, here - 1])
                counts[kind] += 1
                counts[f"{kind}_wrong"] += not right
                counts[f"{kind}_lost"] += not right and bool(rights[0][image, ideal - 1])
                left[here - 1][0] += 1
                left[here - 1][1] += right
            one = four.instances[chip - 1]
            moved = one.moved_once if once else one.moved
            assert moved is not None
            assert moved.model_dump() == counts
            total = {key: total.get(key, 0) + count for key, count in counts.items()}
        over = four.dynamic_once if once else four.dynamic
        assert over is not None
        assert over.moved.model_dump() == total
        assert total["earlier"] > 0 < total["later"]
        for at, (count, right) in enumerate(left):
            assert over.exits[at].accuracy == (right / count if count else None)
            assert over.exits[at].fraction.mean == pytest.approx(count / (4 * len(SHOWN.labels)))


def test_an_exit_is_as_accurate_as_those_who_take_it(four: ChipsResult) -> None:
    bench = Experiment.make(NET, ERRING, SHOWN, HELD_OUT, replace(SERIAL, chip=1), None)
    stay = bench.exits(bench.images, bench.choose())
    right = right_after(bench.images, SHOWN)
    for t, said in enumerate(four.instances[1].dynamic.exit_accuracy, 1):
        who = [image for image in range(len(stay)) if stay[image] == t]
        assert said == (sum(right[image, t - 1] for image in who) / len(who) if who else None)


def test_an_exit_at_which_all_are_wrong_is_not_one_that_nobody_takes() -> None:
    wrong = replace(SHOWN, labels=(SHOWN.labels + 1) % CLASSES)
    constant = replace(wrong, labels=np.full_like(wrong.labels, CLASSES - 1))
    for inputs in (wrong, constant):
        found = compare_chips(NET, ERRING, inputs, None, replace(SERIAL, threshold=0.0), 2)
        assert found.ideal.dynamic.exit_accuracy[:-1] == (None,) * (T - 1)
        assert found.dynamic.exits[-1].accuracy == pytest.approx(found.dynamic.accuracy.mean)


# What else may be asked


def test_a_given_threshold_is_the_same_on_all_chips() -> None:
    found = many(2, threshold=0.3)
    assert found.threshold_source == "given"
    assert found.dynamic_once is found.ideal.dynamic_once is None
    assert all(one.dynamic_once is one.moved_once is None for one in found.instances)
    assert {one.dynamic.threshold for one in (found.ideal, *found.instances)} == {0.3}


def test_thresholds_of_each_timestep() -> None:
    found = many(3, thresholds="each")
    for number in (0, 2):
        its = plain_compare(NET, ERRING, SHOWN, HELD_OUT, replace(SERIAL, chip=number, thresholds="each"))
        same_figures(found.instances[number], its)
    assert ChipsResult.model_validate_json(to_json(found)) == found
    given_them = many(2, threshold=(0.3, 0.2))
    assert given_them.dynamic.threshold is None
    assert given_them.instances[0].dynamic.thresholds == (0.3, 0.2)


@pytest.mark.parametrize(
    "options",
    [{"timesteps": 1}, {"issue": "speculate"}, {"issue": "interleave:2"}, {"rule": "margin", "timesteps": 2}],
)
def test_other_runs(options: dict[str, Any]) -> None:
    found = many(2, **options)
    for one in found.instances:
        its = plain_compare(NET, ERRING, SHOWN, HELD_OUT, CompareOptions(**options, chip=one.chip or 0))
        same_figures(one, its)


def test_inputs_with_a_frame_for_each_timestep() -> None:
    rng = np.random.default_rng(4)
    frames = np.stack([random_images(rng, NET.input_shape, 12) for _ in range(T)], axis=1)
    timed = replace(SHOWN, images=frames, labels=SHOWN.labels[:12])
    found = compare_chips(NET, ERRING, timed, None, replace(SERIAL, threshold=0.3), 2)
    alone = plain_compare(NET, ERRING, timed, None, replace(SERIAL, threshold=0.3, chip=1))
    same_figures(found.instances[1], alone)
    ideal = plain_compare(NET, IDEAL, timed, None, replace(SERIAL, threshold=0.3))
    same_figures(found.ideal, ideal)
    assert any("recomputes" in warning for warning in found.warnings)


def test_neurons_that_were_calibrated_on_reported_images_are_told_of() -> None:
    anew = {"nonideal.neurons.calibrated_on": "chip"}
    for adc, what in (("ideal", "the neurons"), ("calibrated", "the ADC scales and the neurons")):
        hardware = imcsim.hardware.load("dtsnn_32nm", DESIGN | ERRORS | anew | {"adc.full_scale": adc})
        told = f"without validation images {what} were calibrated on the first reported images"
        given_it = replace(SERIAL, threshold=0.3)
        assert told in compare_chips(NET, hardware, SHOWN, None, given_it, 1).warnings
        assert told in plain_compare(NET, hardware, SHOWN, None, given_it).warnings
        assert told not in compare_chips(NET, hardware, SHOWN, HELD_OUT, given_it, 1).warnings


def test_chips_whose_time_depends_on_values() -> None:
    skipping = {"activity.skip_zero_reads": True, "activity.toggling": "counted"}
    hardware = imcsim.hardware.load("dtsnn_32nm", DESIGN | ERRORS | skipping)
    found = compare_chips(NET, hardware, SHOWN, HELD_OUT, SERIAL, 2)
    alone = plain_compare(NET, hardware, SHOWN, HELD_OUT, replace(SERIAL, chip=1))
    same_figures(found.instances[1], alone)


def test_chips_without_errors_are_all_the_same() -> None:
    found = many(3, IDEAL)
    assert len({to_json(one.model_copy(update={"chip": 0})) for one in found.instances}) == 1
    same_figures(found.instances[2], plain_compare(NET, IDEAL, SHOWN, HELD_OUT, SERIAL))
    assert found.dynamic.moved.same == found.dynamic.moved.images == 3 * len(SHOWN.labels)
    assert found.dynamic.accuracy.std == 0
    assert any("no errors" in warning for warning in found.warnings)


def test_one_image_on_one_chip() -> None:
    few = replace(SHOWN, images=SHOWN.images[:1], labels=SHOWN.labels[:1])
    found = compare_chips(NET, ERRING, few, HELD_OUT, SERIAL, 1)
    assert found.dynamic.moved.images == 1
    assert found.static[0].energy_pj.std is None


@pytest.mark.parametrize("chips", [0, -1, 10_001, 2.0, True, "2"])
def test_numbers_of_chips_that_cannot_be(chips: Any) -> None:
    with pytest.raises(ImcsimError, match="cannot run"):
        compare_chips(NET, ERRING, SHOWN, HELD_OUT, SERIAL, chips)


def test_other_refusals() -> None:
    with pytest.raises(ImcsimError, match="no chip beyond"):
        many(2, chip=2**31 - 1)
    with pytest.raises(ImcsimError, match="pipeline"):
        many(2, issue="pipeline")
    with pytest.raises(ImcsimError, match="no validation images"):
        compare_chips(NET, ERRING, SHOWN, None, SERIAL, 2)


def test_from_python() -> None:
    found = imcsim.compare_chips(NET, ERRING, SHOWN, HELD_OUT, chips=2, chip=1, workers=1)
    assert found == many(2, chip=1)
    assert imcsim.compare_chips(NET, IDEAL, SHOWN, HELD_OUT).chips == 20
    with pytest.raises(TypeError, match="chip_count"):
        imcsim.compare_chips(NET, ERRING, SHOWN, HELD_OUT, chip_count=2)  # type: ignore[call-arg]


# Interrupted


def test_chips_that_were_ready_are_not_lost(four: ChipsResult) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        if (stage, done) == ("chips", 2):
            raise KeyboardInterrupt

    with pytest.raises(Stopped) as stopped:
        compare_chips(NET, ERRING, SHOWN, HELD_OUT, CompareOptions(workers=2), 60, stop)
    found = stopped.value.result
    assert 2 <= found.chips < 60
    assert found.warnings[-1] == f"stopped after {found.chips} of 60 chips"
    ready = {one.chip: one for one in found.instances}
    assert all(ready.get(one.chip, one) == one for one in four.instances)


def test_before_a_chip_is_ready_there_is_nothing() -> None:
    def stop(stage: str, done: int, total: int) -> None:
        if stage.startswith("ideal chip"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as stopped:
        compare_chips(NET, ERRING, SHOWN, HELD_OUT, SERIAL, 2, stop)
    assert not isinstance(stopped.value, Stopped)


# The document


def test_the_document_obeys_its_schema(four: ChipsResult) -> None:
    validator = jsonschema.Draft202012Validator(json_schema("chips"))
    data = json.loads(to_json(four))
    assert list(validator.iter_errors(data)) == []
    data["instances"][0]["dynamic"]["energy_pj"] = -1
    assert list(validator.iter_errors(data))


def test_json_round_trip(four: ChipsResult) -> None:
    text = to_json(four)
    assert ChipsResult.model_validate_json(text) == four
    assert list(json.loads(text)) == list(ChipsResult.model_fields)


BREAKS: dict[str, tuple[tuple[str | int, ...], Any, str]] = {
    "chips": (("chips",), lambda v: v + 1, "number of instances"),
    "order": (("instances",), lambda v: v[::-1], "out of order"),
    "first": (("first_chip",), lambda v: v + 1, "first_chip"),
    "ideal": (("ideal", "chip"), lambda v: 0, "say how many"),
    "no moved": (("instances", 1, "moved"), lambda v: None, "say how many"),
    "moved": (("instances", 0, "moved", "same"), lambda v: v + 1, "every image once"),
    "wrong": (("instances", 0, "moved", "later_wrong"), lambda v: 99, "more images are wrong"),
    "accuracy": (("instances", 2, "dynamic", "accuracy"), lambda v: v - 0.025, "add up to the accuracy"),
    "exits": (("instances", 2, "dynamic", "mean_timesteps"), lambda v: v + 0.1, "mean_timesteps"),
    "edp": (("instances", 2, "static", 0, "energy_pj"), lambda v: 2 * v, "edp_product_of_means"),
    "saved": (("instances", 2, "dynamic", "edp_reduction"), lambda v: v + 0.1, "edp_reduction is not"),
    "source": (("threshold_source",), lambda v: "given", "validation_images"),
    "mean": (("dynamic", "accuracy", "mean"), lambda v: v + 0.01, "dynamic.accuracy.mean does"),
    "worst": (
        ("static", 0, "energy_pj", "worst_chip"),
        lambda v: 9,
        "static.0.energy_pj.worst_chip does not follow",
    ),
    "total": (
        ("dynamic_once", "moved", "earlier"),
        lambda v: v + 1,
        "dynamic_once.moved.earlier does not follow",
    ),
    "exit": (
        ("dynamic", "exits", 2, "accuracy"),
        lambda v: 0.123,
        "dynamic.exits.2.accuracy does not follow",
    ),
    "figures": (("instances", 3, "static", 2, "energy_pj"), lambda v: float("nan"), "finite"),
    "T": (("meta", "timesteps"), lambda v: v + 1, "T = 1, ..., T max"),
    "once": (("instances", 1, "dynamic_once"), lambda v: None, "dynamic_once"),
}


@pytest.mark.parametrize("what", BREAKS)
def test_a_document_that_contradicts_itself_is_refused(what: str, four: ChipsResult) -> None:
    path, change, message = BREAKS[what]
    data = part = json.loads(to_json(four))
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = change(part[path[-1]])
    if what == "moved":  # what is said of all chips would contradict it first
        for key in ("dynamic", "dynamic_once"):
            del data[key]
    with pytest.raises(ValidationError, match=message):
        ChipsResult.model_validate(data)


def test_what_is_said_of_all_chips_need_not_be_stated(four: ChipsResult) -> None:
    data = json.loads(to_json(four))
    for key in ("chips", "first_chip", "static", "dynamic", "dynamic_once"):
        del data[key]
    assert to_json(ChipsResult.model_validate(data)) == to_json(four)


def test_rows(four: ChipsResult) -> None:
    rows = four.rows()
    assert len(rows) == 5 * (T + 2)
    assert len({tuple(row) for row in rows}) == 1
    assert [row["chip"] for row in rows[:: T + 2]] == [None, 0, 1, 2, 3]
    assert [row["policy"] for row in rows[: T + 2]] == ["static"] * T + ["dynamic", "dynamic_once"]
    last = rows[-1]
    assert (last["earlier"], last["exit_fraction_t3"]) == (
        four.instances[-1].moved_once.earlier,  # type: ignore[union-attr]
        four.instances[-1].dynamic_once.exit_fraction[2],  # type: ignore[union-attr]
    )
    frame = four.to_frame()
    mean = frame[(frame["policy"] == "dynamic") & frame["chip"].notna()]["energy_pj"].mean()
    assert mean == pytest.approx(four.dynamic.energy_pj.mean)


def test_tables_as_csv(four: ChipsResult) -> None:
    tables = {name: list(csv.DictReader(io.StringIO(text))) for name, text in csv_tables(four).items()}
    assert list(tables) == ["instances.csv", "summary.csv", "exits.csv", "moved.csv"]
    assert len(tables["instances.csv"]) == 5 * (T + 2)
    summary = {(row["policy"], row["timesteps"], row["figure"]): row for row in tables["summary.csv"]}
    worst = summary["static", "2", "accuracy"]
    assert float(worst["worst"]) == four.static[1].accuracy.worst
    assert int(worst["worst_chip"]) == four.static[1].accuracy.worst_chip
    assert ("dynamic_once", "3", "edp_reduction") in summary
    assert [row["policy"] for row in tables["exits.csv"]] == ["dynamic"] * T + ["dynamic_once"] * T
    assert int(tables["moved.csv"][0]["later"]) == four.dynamic.moved.later


# For a reader


def printed(result: ChipsResult, width: int = 80) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, color_system=None, highlight=False).print(chips_report(result))
    return stream.getvalue()


def test_tables_fit_80_columns_and_say_it_all(four: ChipsResult) -> None:
    text = printed(four)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    words = [word for word in text.split() if "─" not in word]
    assert words == [word for word in printed(four, 200).split() if "─" not in word]  # none is folded
    rows = {line.split("  ")[0].strip(): line.split() for line in text.splitlines()}
    over = four.static[1].accuracy
    figures = [over.ideal, over.mean, over.mean_low, over.mean_high, over.std, over.worst]
    accuracies = next(line for line in text.splitlines() if "static T=2" in line)
    said = accuracies.replace("[", "").replace("]", "").replace(",", "").split()[2:]
    assert said == [*(f"{100 * (one or 0):.2f}" for one in figures), str(over.worst_chip)]
    assert rows["later"][1:3] == ["once", str(four.dynamic_once.moved.later)]  # type: ignore[union-attr]
    assert "4 programmed chips, numbers 0 to 3" in text
    assert f"Early exit against static T={T}, wait, on the same chip" in text
    assert "by --issue speculate" in " ".join(text.split())
    assert f"of {4 * 40} images (4 chips x 40)" in text


def test_tables_of_a_given_threshold_and_a_single_chip() -> None:
    found = many(1, threshold=0.3)
    text = printed(found)
    assert "threshold 0.3, given by the user" in text
    assert "once" not in text
    assert "1 programmed chips, number 0" not in text
    assert "one programmed chip, number 0" in text
    assert "nan" not in text.lower()


# For a paper


def test_a_paper_has_one_table_of_all_ways_to_run_the_chips(four: ChipsResult) -> None:
    """Means, intervals and spreads are those of the summary; savings those of each chip, by hand."""
    files = chips_files(four)
    rows = {row["run"]: row for row in csv.DictReader(io.StringIO(files["table.csv"]))}
    assert list(rows) == ["T=1", "T=2, wait", "T=3, wait", "dynamic, own", "dynamic, once"]
    assert all(cell != "" for row in rows.values() for cell in row.values())
    for name, over in (("T=2, wait", four.static[1]), ("dynamic, once", four.dynamic_once)):
        assert over is not None
        row = rows[name]
        assert float(row["accuracy"]) == over.accuracy.mean
        assert float(row["accuracy_low"]) == over.accuracy.mean_low
        assert float(row["accuracy_std"]) == over.accuracy.std
        assert float(row["energy_pj_std"]) == over.energy_pj.std
        assert float(row["edp_mean_of_products"]) == over.edp_mean_of_products.mean
    assert float(rows["dynamic, own"]["mean_timesteps_std"]) == four.dynamic.mean_timesteps.std
    caption = files["caption.txt"]
    energies = [1 - one.dynamic.energy_pj / one.static[-1].energy_pj for one in four.instances]
    for words in (
        "4 programmed chips, numbers 0 to 3 of seed 0, all with the same 40 images",
        four.meta.network.name, four.meta.hardware.name, f"Against static T={T}, wait, on the same chip",
        f"the dynamic runs save: own: {100 * sum(energies) / 4:.1f} % of the energy",
        f"{100 * four.dynamic.edp_reduction.mean:.1f} % of the EDP", "compared by --issue speculate",
        "intervals of that mean", four.meta.hardware.sha256[:12],
    ):  # fmt: skip
        assert words in caption
    lines = [line for line in files["table.tex"].splitlines() if line.endswith(r"\\")]
    assert len({line.count(" & ") for line in lines}) == 1
    assert len(lines) == 2 + len(rows)


def test_the_opponent_is_named_as_it_was_issued() -> None:
    """Ahead under speculate: its static runs are those that a comparison calls pipelined."""
    found = many(2, issue="speculate")
    alone = plain_compare(NET, ERRING, SHOWN, HELD_OUT, CompareOptions(issue="speculate"))
    (piped,) = (one for one in alone.opponents if one.issue == "pipeline")
    assert found.static_issue == "pipeline"
    assert found.instances[0].static[-1].latency_ns == pytest.approx(piped.static[-1].latency_ns)
    for text in (printed(found), chips_files(found)["caption.txt"]):
        assert "against static T=3, pipeline, on the same chip" in text.replace("Against", "against")
        assert "--issue speculate" not in text
    waiting = many(2, issue="interleave:2")
    assert waiting.static_issue == "wait"
    alone = plain_compare(NET, ERRING, SHOWN, HELD_OUT, CompareOptions(issue="interleave:2"))
    (waits,) = (one for one in alone.opponents if one.issue == "wait")
    assert waiting.instances[0].static[-1].latency_ns == pytest.approx(waits.static[-1].latency_ns)


def test_a_single_chip_or_timestep_has_a_table_without_what_it_lacks() -> None:
    files = chips_files(many(1, threshold=0.3))
    (row,) = (r for r in csv.DictReader(io.StringIO(files["table.csv"])) if r["run"] == "dynamic")
    assert row["accuracy_low"] == row["accuracy_std"] == ""
    assert "one programmed chip, number 0 of seed 0" in files["caption.txt"]
    assert "nan" not in files["table.csv"]
    once = many(2, timesteps=1)
    assert "saves" not in chips_files(once)["caption.txt"]
    assert "static T=1 on the same chip" in printed(once)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex on PATH")
@pytest.mark.parametrize("chips", [1, 2])
@pytest.mark.parametrize("layout", ["twocolumn", "onecolumn"])
def test_latex_sets_the_table_within_the_page(tmp_path: Path, chips: int, layout: str) -> None:
    check_fits(tmp_path, chips_files(many(chips))["table.tex"], layout)


# The command


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chips")
    write_files(folder)
    return folder


def command(stored: Path, *more: str) -> list[str]:
    about = ["--model", str(stored / "net"), "--inputs", str(stored / "test.npz")]
    held_out = ["--validation", str(stored / "held.npz")]
    return ["compare", *about, *held_out, "--hardware", "dtsnn_32nm_nonideal", *more]


@pytest.mark.parametrize("number", ["0", "3"])
def test_one_of_many_is_what_compare_gives(
    stored: Path, capsys: pytest.CaptureFixture[str], number: str
) -> None:
    assert main(command(stored, "--chip", number, "--json", "-", "--quiet")) == 0
    alone = CompareResult.model_validate_json(capsys.readouterr().out)
    assert main(command(stored, "--chip", number, "--json", "-", "--quiet", "--chips", "1")) == 0
    found = ChipsResult.model_validate_json(capsys.readouterr().out)
    assert found.first_chip == int(number)
    assert f"these are the results of one chip, number {number} of seed 0; others differ." in caption(alone)
    same_figures(found.instances[0], alone)


@pytest.mark.usefixtures("rough_figures")
def test_everything_is_delivered(stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, target = tmp_path / "out", tmp_path / "a.json"
    for _ in range(2):
        assert main(command(stored, "--chips", "2", "--out", str(out), "--json", str(target))) == 0
        first = {path: path.read_bytes() for path in out.rglob("*.*")}
    names = {str(path.relative_to(out)) for path in first}
    assert names == {
        "result.json", "instances.csv", "summary.csv", "exits.csv", "moved.csv",
        "table.csv", "table.tex", "caption.txt",
        *(f"figures/{name}.{kind}" for name in ("accuracy_timesteps", "exits") for kind in FORMATS),
    }  # fmt: skip
    assert {path: path.read_bytes() for path in out.rglob("*.*")} == first
    assert target.read_bytes() == (out / "result.json").read_bytes()
    assert "Early exit against static T=3" in capsys.readouterr().out
    for reader in (["report", str(out)], ["diff", str(out), str(target)]):
        assert main(reader) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert len(said.err.splitlines()) == 1
        assert "a result of compare --chips" in said.err
        assert "has its figures, tables and caption already" in said.err
        assert "compare --chip N --out" in said.err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("--chips 0", "0 does not lie between 1 and 10000"),
        ("--chips 10001", "10001 does not lie between 1 and 10000"),
        ("--chips 2 --chip 2147483647", "no chip beyond"),
        ("--chips 2 --issue pipeline", "a pipeline has no early exit"),
        ("--chips 2 --threshold 0.1,0.2,0.3", "3 thresholds do not go with T = 3"),
        ("--chips 2 --set nonideal.variation.sigma=60", "digital sums may overflow"),
    ],
)
def test_what_cannot_be_is_one_message(
    stored: Path, capsys: pytest.CaptureFixture[str], more: str, message: str
) -> None:
    assert main(command(stored, *more.split())) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert "Traceback" not in said.err
    assert said.out == ""


def test_an_error_of_a_later_chip_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    once = Experiment.on_chip

    def broken(self: Experiment, number: int | None, **about: Any) -> Experiment:
        if number == 2:
            raise ImcsimError("sums overflow", key="conv1", fix="use smaller ones")
        return once(self, number, **about)

    monkeypatch.setattr(Experiment, "on_chip", broken)
    with pytest.raises(ImcsimError, match=r"^conv1: chip 2: sums overflow \(use smaller ones\)$"):
        many(4)


STOPPABLE = """
import signal
import sys
from contextlib import contextmanager
import imcsim.commands.simulate as simulate

@contextmanager
def bars(quiet):
    yield lambda stage, done, total: stage == "chips" and print(stage, done, file=sys.stderr, flush=True)

simulate.progress_bars = bars
signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell has it ignored
from imcsim.commands.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_delivers_what_is_ready(stored: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = command(stored, "--chips", "10000", "--json", "-", "--out", str(out))
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(
        [sys.executable, "-c", STOPPABLE, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        while process.stderr.readline().strip() not in ("chips 3", ""):
            pass
        process.send_signal(signal.SIGINT)
        begun = time.monotonic()
        text, errors = process.communicate(timeout=300)
    finally:
        process.kill()
    assert time.monotonic() - begun < 200  # all chips would take many minutes
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert errors.rstrip().endswith("interrupted")
    found = ChipsResult.model_validate_json(text)
    assert 3 <= found.chips < 10_000
    assert f"stopped after {found.chips} of 10000 chips" in found.warnings
    assert f"stopped after {found.chips}" in errors  # the tables: JSON has the standard output
    assert (out / "result.json").read_text() == text


@pytest.mark.parametrize("kind", ["compare", "run", "stream"])
def test_which_chip_changes_nothing_on_an_ideal_one(
    stored: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    found = {}
    for hardware in ("dtsnn_32nm", "dtsnn_32nm_nonideal"):
        for number in ("0", "3"):
            arguments = command(stored, "--hardware", hardware, "--chip", number, "--json", "-", "--quiet")
            assert main([kind, *arguments[1:]]) == 0
            found[hardware, number] = capsys.readouterr().out
    assert found["dtsnn_32nm", "0"] == found["dtsnn_32nm", "3"]
    assert found["dtsnn_32nm_nonideal", "0"] != found["dtsnn_32nm_nonideal", "3"]


@pytest.mark.parametrize(
    ("lead", "kind", "tail"),
    [("timeline", "json", ()), ("trace record", "npz", ("--layers", "all"))],
)
def test_timelines_and_traces_take_a_chip(
    stored: Path, tmp_path: Path, lead: str, kind: str, tail: tuple[str, ...]
) -> None:
    found = {}
    for hardware in ("dtsnn_32nm", "dtsnn_32nm_nonideal"):
        for number in ("0", "3"):
            target = tmp_path / f"{hardware}{number}.{kind}"
            arguments = command(stored, "--hardware", hardware, "--chip", number)[1:]
            assert main([*lead.split(), *arguments, *tail, "--quiet", "-o", str(target)]) == 0
            found[hardware, number] = target.read_bytes()
    assert found["dtsnn_32nm", "0"] == found["dtsnn_32nm", "3"]
    if kind == "npz":  # when an image leaves may be the same on both
        assert found["dtsnn_32nm_nonideal", "0"] != found["dtsnn_32nm_nonideal", "3"]
