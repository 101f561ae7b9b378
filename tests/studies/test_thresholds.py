"""A threshold for each timestep: the choice against brute force, its laws, and every place that shows it."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import forward, random_images, random_network
from numpy.typing import NDArray
from plain import plain_compare
from pydantic import ValidationError
from rich.console import Console
from sweep_files import alone, base, write_files, write_spec

import imcsim
import imcsim.hardware
from imcsim.base.errors import ImcsimError
from imcsim.commands.cli import main
from imcsim.diffs.results import results_diff
from imcsim.exits.outputs import exit_timesteps
from imcsim.inputs import Inputs
from imcsim.report.documents import csv_tables
from imcsim.report.figures.comparison import accuracy_edp
from imcsim.report.site.choosing import base_point
from imcsim.report.site.heat import heat_map
from imcsim.report.site.pareto import pareto
from imcsim.report.site.read import read
from imcsim.report.site.sensitivity import sensitivities
from imcsim.report.site.tables import front_table, points_table
from imcsim.report.terminal.tables import compare_report
from imcsim.results.comparison import CompareResult
from imcsim.results.model import to_json
from imcsim.results.run import Policy
from imcsim.studies import thresholds
from imcsim.studies.comparison import compare, compare_of, run, run_of
from imcsim.studies.experiment import Experiment
from imcsim.studies.settings import CompareOptions
from imcsim.studies.streaming import stream_of
from imcsim.studies.thresholds import one_for_all, one_for_each
from imcsim.sweeps import load_spec, open_store, sweep

Case = tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.float64]]


def drawn(seed: int, images: int, timesteps: int, *, words: int = 400) -> Case:
    """Images of all kinds: sure ones, doubtful ones, some that are right first and wrong later."""
    rng = np.random.default_rng(seed)
    needed = np.maximum(1, (rng.beta(0.5, 1.5, (images, timesteps)) * words).astype(np.int64))
    right = rng.random((images, timesteps)) < np.clip(1 - needed / words, 0.2, 0.95)
    return needed, right, np.cumsum(rng.uniform(0.5, 1.5, (images, timesteps)), axis=1) ** 2


def judged(case: Case, registers: Any) -> tuple[int, float]:
    """Images that are right, and the mean cost, image by image."""
    right, costs = 0, []
    for needed, answers, cost in zip(*case, strict=True):
        at = next((t for t, word in enumerate(registers) if needed[t] <= word), len(needed) - 1)
        right += bool(answers[at])
        costs.append(float(cost[at]))
    return right, sum(costs) / len(costs)


def words_of(case: Case, t: int, largest: int) -> list[int]:
    return [0, *sorted({int(word) for word in case[0][:, t] if word <= largest})]


# The choice


@pytest.mark.parametrize(("images", "timesteps"), [(30, 3), (30, 2), (12, 4)])
@pytest.mark.parametrize("largest", [1000, 120])
def test_the_choice_is_the_best_of_all(images: int, timesteps: int, largest: int) -> None:
    for seed in range(3):
        case = drawn(seed, images, timesteps)
        goal = int(case[1][:, -1].sum())
        every = product(*(words_of(case, t, largest) for t in range(timesteps - 1)))
        costs = [cost for right, cost in (judged(case, words) for words in every) if right >= goal]
        chosen = one_for_each(*case, largest)
        right, cost = judged(case, chosen)
        assert chosen.max() <= largest
        assert right >= goal
        assert cost == pytest.approx(min(costs), rel=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 25), st.integers(1, 5), st.sampled_from([4, 400]), st.data())
def test_one_for_all_is_the_largest_word_that_loses_nothing(
    seed: int, images: int, timesteps: int, words: int, data: st.DataObject
) -> None:
    case = drawn(seed, images, timesteps, words=words)
    largest = data.draw(st.integers(0, words))
    goal = data.draw(st.none() | st.integers(0, images))
    chosen = one_for_all(case[0], case[1], largest, goal=goal)
    wanted = int(case[1][:, -1].sum()) if goal is None else goal
    tried = sorted({int(word) for word in case[0][:, :-1].ravel() if word <= largest})
    fair = [word for word in tried if judged(case, [word] * (timesteps - 1))[0] >= wanted]
    assert chosen == (fair[-1] if fair else 0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 300), st.integers(1, 7), st.none() | st.floats(0, 1.1))
def test_each_is_never_worse_than_one(seed: int, images: int, timesteps: int, share: float | None) -> None:
    case = drawn(seed, images, timesteps)
    goal = None if share is None else int(share * images)
    one = [one_for_all(case[0], case[1], 300, goal=goal)] * (timesteps - 1)
    each = one_for_each(*case, 300, goal=goal)
    assert each.shape == (timesteps - 1,)
    assert np.array_equal(each, one_for_each(*case, 300, goal=goal))
    wanted = int(case[1][:, -1].sum()) if goal is None else goal
    (before, dear), (after, cheap) = judged(case, one), judged(case, each)
    if before >= wanted:
        assert cheap <= dear
    if after < wanted:
        assert each.tolist() == one == [0] * (timesteps - 1)
    if each.tolist() != one:  # smaller words let other images go
        left = exit_timesteps(case[0], each)
        for t in np.flatnonzero(each):
            assert (exit_timesteps(case[0], each - (np.arange(timesteps - 1) == t)) != left).any()


def test_many_registers_are_chosen_in_rounds_that_grow_with_their_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And lose nothing, and cost far less than one word for all."""
    rng, images, timesteps = np.random.default_rng(0), 120, 150
    score = np.cumsum(rng.normal(0, 1.5, (images, timesteps)) + rng.normal(0.25, 0.2, (images, 1)), axis=1)
    score /= np.arange(1, timesteps + 1)
    needed = 1 + (4096 * np.exp(-3 * np.abs(score))).astype(np.int64)
    cost = np.broadcast_to(np.arange(1.0, timesteps + 1) ** 2, score.shape)
    judged: list[int] = []
    best_of = thresholds._RegisterSearch._best_of
    monkeypatch.setattr(
        thresholds._RegisterSearch, "_best_of", lambda *given: (judged.append(1), best_of(*given))[1]
    )
    words = thresholds.one_for_each(needed, score > 0, cost, 4097)
    assert len(judged) <= thresholds.MAX_ROUNDS * timesteps, "all pairs would take a hundred times as many"
    common = np.full(timesteps - 1, thresholds.one_for_all(needed, score > 0, 4097))

    def of(registers: np.ndarray) -> tuple[int, float]:
        at = np.arange(images), exit_timesteps(needed, registers) - 1
        return int((score > 0)[at].sum()), float(cost[at].mean())

    assert of(words)[0] >= int((score > 0)[:, -1].sum())
    assert of(words)[1] < 0.5 * of(common)[1]


def test_the_search_of_many_images_finds_what_brute_force_of_a_coarse_grid_finds() -> None:
    case = drawn(7, 1500, 4, words=30_000)
    goal = int(case[1][:, -1].sum())
    each = one_for_each(*case, 30_000)
    grids = [np.quantile(case[0][:, t], np.linspace(0, 1, 9), method="inverted_cdf") for t in range(3)]
    rows = np.arange(len(case[0]))
    for words in product(*grids):
        stay = exit_timesteps(case[0], np.array(words)) - 1
        if case[1][rows, stay].sum() >= goal:
            assert judged(case, each)[1] <= case[2][rows, stay].mean()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 6), st.data())
def test_nobody_leaves_later_when_a_register_grows(seed: int, timesteps: int, data: st.DataObject) -> None:
    needed, _, cost = drawn(seed, 40, timesteps)
    words = np.array(data.draw(st.lists(st.integers(0, 400), min_size=timesteps - 1, max_size=timesteps - 1)))
    more = words + (np.arange(timesteps - 1) == data.draw(st.integers(0, timesteps - 2))) * data.draw(
        st.integers(0, 400)
    )
    before, after = exit_timesteps(needed, words), exit_timesteps(needed, more)
    rows = np.arange(len(needed))
    assert (after <= before).all()
    assert cost[rows, after - 1].mean() <= cost[rows, before - 1].mean()
    assert np.array_equal(
        exit_timesteps(needed, np.full(timesteps - 1, words[0])), exit_timesteps(needed, int(words[0]))
    )


# Comparisons

CLASSES = 5


def labelled(seed: int, images: int = 60) -> Inputs:
    """Random images, most of them labelled as the network sees them after four timesteps."""
    rng = np.random.default_rng(seed)
    shown = random_images(rng, network().input_shape, images)
    labels = forward(network(), shown, 4)[network().nodes[-1].name].sum(0).argmax(1)
    labels = np.where(rng.random(images) < 0.3, rng.integers(0, CLASSES, images), labels)
    return Inputs(shown, labels.astype(np.int64), f"images{seed}", "unknown", f"{seed:064x}", CLASSES)


@cache
def network() -> Any:
    return random_network(np.random.default_rng(11), depth=2, classes=CLASSES, timesteps=4, channels=8)


@cache
def bench(issue: str = "wait") -> Experiment:
    chip = imcsim.hardware.load("dtsnn_32nm")
    options = CompareOptions(workers=1, issue=issue)
    return Experiment.make(network(), chip, labelled(1), labelled(2), options, None)


def asked(issue: str = "wait", **options: Any) -> Experiment:
    """The experiment with other options of who leaves when."""
    return replace(bench(issue), options=replace(bench(issue).options, **options))


@cache
def each() -> CompareResult:
    return compare_of(asked(thresholds="each"))


@pytest.mark.parametrize("rule", ["entropy", "max_softmax", "margin"])
@pytest.mark.parametrize("issue", ["wait", "speculate"])
def test_each_saves_on_the_validation_images_without_loss(rule: Any, issue: str) -> None:
    held_out = bench(issue).held_out
    assert held_out is not None
    products = held_out.dynamic.energy_pj * held_out.dynamic.latency_ns
    means = []
    for how in ("one", "each"):
        one = asked(issue, rule=rule, thresholds=how)
        choice = one.choose()
        stay = one.exits(held_out, choice)
        means.append(products[np.arange(len(stay)), stay - 1].mean())
        about = choice.validation
        assert about is not None
        assert about.accuracy_dynamic >= about.accuracy_static
        assert about.mean_timesteps == pytest.approx(stay.mean())
        assert choice.registers.shape == (3,)
        assert choice.thresholds == tuple(one.threshold_of(int(word)) for word in choice.registers)
    assert means[1] <= means[0]
    if rule == "entropy" and issue == "wait":
        assert means[1] < means[0], "these images have room for more than one threshold"


def test_the_choice_knows_nothing_of_the_reported_images() -> None:
    shuffled = replace(labelled(3), labels=np.random.default_rng(0).permutation(labelled(3).labels))
    options = CompareOptions(workers=1, thresholds="each")
    other = plain_compare(network(), bench().hardware, shuffled, labelled(2), options)
    assert other.dynamic.thresholds == each().dynamic.thresholds
    assert other.dynamic.validation == each().dynamic.validation


def test_the_chosen_thresholds_given_again_change_no_figure() -> None:
    thresholds = each().dynamic.thresholds
    assert thresholds is not None
    again = compare_of(asked(threshold=thresholds))
    assert again.dynamic.threshold_source == "given"
    left_out = {"threshold_source", "validation"}
    assert again.dynamic.model_dump(exclude=left_out) == each().dynamic.model_dump(exclude=left_out)
    assert (again.reduction, again.curve) == (each().reduction, each().curve)
    registers = asked(threshold=thresholds).choose().registers
    assert np.array_equal(registers, asked(thresholds="each").choose().registers)


@pytest.mark.parametrize("threshold", [0.0, 0.123, 0.7, 1.0])
def test_equal_thresholds_are_one_threshold_to_the_byte(threshold: float) -> None:
    one = asked(threshold=threshold)
    same = asked(threshold=[threshold] * 3)
    assert to_json(compare_of(same)) == to_json(compare_of(one))
    assert to_json(run_of(same)) == to_json(run_of(one))
    assert '"thresholds"' not in to_json(compare_of(one))


def test_the_document_of_one_threshold_has_no_place_for_several() -> None:
    text = to_json(compare_of(bench()))
    dynamic = json.loads(text)["dynamic"]
    assert isinstance(dynamic["threshold"], float)
    assert "thresholds" not in dynamic
    assert CompareResult.model_validate_json(text).dynamic.thresholds is None


@pytest.mark.parametrize("issue", ["wait", "speculate"])
def test_zeros_are_static(issue: str) -> None:
    result = compare_of(asked(issue, threshold=(0.0, 0.0, 0.0)))
    assert result.dynamic.exit_fraction == (0, 0, 0, 1)
    # Where others leave early, those who stay cost the same.
    early = compare_of(asked(issue, threshold=(0.0, 0.4, 0.0)))
    assert early.dynamic.exit_fraction[0] == early.dynamic.exit_fraction[2] == 0


@pytest.mark.parametrize("issue", ["wait", "speculate", "interleave:2"])
def test_cost_never_grows_with_any_threshold(issue: str) -> None:
    start = (0.2, 0.3, 0.1)
    before = compare_of(asked(issue, threshold=start)).dynamic
    for k in range(3):
        more = tuple(0.6 if j == k else one for j, one in enumerate(start))
        after = compare_of(asked(issue, threshold=more)).dynamic
        for key in ("mean_timesteps", "energy_pj", "latency_ns", "edp_mean_of_products"):
            assert getattr(after, key) <= getattr(before, key) * (1 + 1e-12), key


def test_the_curve_is_that_of_one_threshold() -> None:
    one = compare_of(bench())
    given = {point.threshold: point for point in one.curve}
    for point in each().curve:
        assert given[point.threshold] == point
    assert one.dynamic.threshold in given


def test_two_timesteps_have_one_threshold_either_way() -> None:
    results = [
        plain_compare(
            network(), bench().hardware, labelled(1), labelled(2),
            CompareOptions(workers=1, timesteps=2, thresholds=how),  # type: ignore[arg-type]
        )
        for how in ("one", "each")
    ]  # fmt: skip
    assert to_json(results[0]) == to_json(results[1])


def test_one_timestep_has_no_threshold_to_choose() -> None:
    about = network(), bench().hardware, labelled(1, 8), labelled(2)
    results = [
        plain_compare(*about, CompareOptions(workers=1, timesteps=1, **how))  # type: ignore[arg-type]
        for how in ({}, {"thresholds": "each"}, {"threshold": ()})
    ]
    assert {result.dynamic.threshold for result in results} == {0}
    assert to_json(results[0]) == to_json(results[1])


@pytest.mark.parametrize(("given", "timesteps"), [((0.3, 0.2), 4), ((0.3,) * 4, 4), ((), 2), ((0.1,), 1)])
def test_another_number_of_thresholds_is_refused(given: tuple[float, ...], timesteps: int) -> None:
    options = CompareOptions(workers=1, threshold=given, timesteps=timesteps)
    for call in (compare, run):
        with pytest.raises(ImcsimError, match=f"^threshold: {len(given)} thresholds .* T = {timesteps}"):
            call(network(), bench().hardware, labelled(1), None, options)
    if timesteps == 4:
        with pytest.raises(ImcsimError, match="T = 4"):
            asked(threshold=given).choose()


def test_lists_and_arrays_are_taken_as_thresholds() -> None:
    wanted = CompareOptions(threshold=(0.25, 0.5))
    assert CompareOptions(threshold=[0.25, 0.5]) == wanted  # type: ignore[arg-type]
    assert CompareOptions(threshold=np.array([0.25, 0.5])) == wanted  # type: ignore[arg-type]
    assert CompareOptions(threshold=0.5).threshold == 0.5


# What is written and shown


def test_documents_that_contradict_themselves_are_refused() -> None:
    data = json.loads(to_json(each()))
    for change, why in (
        ({"threshold": 0.3}, "either threshold or thresholds"),
        ({"thresholds": None}, "either threshold or thresholds"),
        ({"thresholds": [0.1, 0.2]}, "T max - 1"),
        ({"thresholds": [0.1, 0.2, 1.5]}, "less than or equal to 1"),
    ):
        with pytest.raises(ValidationError, match=why):
            CompareResult.model_validate(data | {"dynamic": data["dynamic"] | change})
    policy = json.loads(run_of(asked(thresholds="each")).policy.model_dump_json())
    for change, why in (
        ({"threshold": 0.3}, "either threshold or thresholds"),
        ({"thresholds": None}, "a dynamic policy needs"),
        ({"timesteps": 5}, "T max - 1"),
        ({"kind": "static"}, "no exit rule"),
    ):
        with pytest.raises(ValidationError, match=why):
            Policy.model_validate(policy | change)


def test_every_document_and_table_has_all_thresholds() -> None:
    thresholds = each().dynamic.thresholds
    assert thresholds is not None
    assert json.loads(to_json(each()))["dynamic"]["thresholds"] == list(thresholds)
    assert CompareResult.model_validate_json(to_json(each())) == each()
    one, several = run_of(asked(thresholds="each")), stream_of(asked(thresholds="each"))
    assert one.policy.thresholds == several.policy.thresholds == thresholds
    for result, name in ((each(), "dynamic.csv"), (one, "outcome.csv"), (several, "stream.csv")):
        row = next(csv.DictReader(csv_tables(result)[name].splitlines()))
        assert row["threshold"] == ""
        assert [float(row[f"thresholds_t{t}"]) for t in (1, 2, 3)] == list(thresholds)
        row = result.rows()[-1]
        assert [row[f"thresholds_t{t}"] for t in (1, 2, 3)] == list(thresholds)
    for result in (compare_of(bench()), run_of(bench())):
        assert not any(key.startswith("thresholds") for key in result.rows()[-1])
        assert "thresholds" not in "".join(csv_tables(result).values())


def test_reports_show_all_thresholds() -> None:
    thresholds = each().dynamic.thresholds
    assert thresholds is not None
    listed = ", ".join(f"{one:.4g}" for one in thresholds)
    console = Console(width=400, file=io.StringIO())
    console.print(compare_report(each()))
    assert f"thresholds {listed} after T = 1 to 3, chosen on 60 validation" in console.file.getvalue()  # type: ignore[attr-defined]
    labels = accuracy_edp(each()).axes[0].get_legend_handles_labels()[1]
    assert f"thresholds used, {listed}" in labels
    assert "dynamic, one threshold for all T" in labels  # which the star need not lie on


def test_a_diff_names_what_was_chosen() -> None:
    changes = {c.key: (c.a, c.b) for c in results_diff(compare_of(bench()), each()).settings}
    used = compare_of(bench()).dynamic.threshold
    assert changes == {"threshold": (used, None), "thresholds": (None, each().dynamic.thresholds)}
    changes = {
        c.key: (c.a, c.b) for c in results_diff(run_of(asked(thresholds="each")), run_of(bench())).settings
    }
    assert changes == {"threshold": (None, used), "thresholds": (each().dynamic.thresholds, None)}


# Files and commands


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    write_files(folder)
    return folder


def command(files: Path, *more: str) -> list[str]:
    return [
        "--model", str(files / "net"), "--inputs", str(files / "test.npz"), "--validation",
        str(files / "held.npz"), "--workers", "1", "--quiet", *more,
    ]  # fmt: skip


@pytest.mark.usefixtures("rough_figures")
def test_the_command_line_takes_and_chooses_several(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *command(files, "--thresholds", "each", "--out", str(tmp_path / "out"))]) == 0
    chosen = json.loads((tmp_path / "out" / "result.json").read_text())["dynamic"]
    assert len(chosen["thresholds"]) == 2
    study = read(tmp_path / "out")
    exhibit = pareto(study)[0]
    assert " ".join(map(repr, chosen["thresholds"])) in [row[4] for row in exhibit.rows]
    labels = exhibit.draw().axes[0].get_legend_handles_labels()[1]
    assert "thresholds used" in labels
    listed = ", ".join(f"{one:.4g}" for one in chosen["thresholds"])
    assert listed in points_table(study).rows[0]
    given = ",".join(map(repr, chosen["thresholds"]))
    capsys.readouterr()
    for name in ("compare", "run", "stream"):
        assert main([name, *command(files, "--threshold", given, "--json", "-")]) == 0
        found = json.loads(capsys.readouterr().out)
        decided = found["dynamic"] if name == "compare" else found["policy"]
        assert decided["thresholds"] == chosen["thresholds"]
    assert main(["timeline", *command(files, "--threshold", given, "-o", str(tmp_path / "t.json"))]) == 0


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("--threshold 0.3,0.2,0.1", "3 thresholds do not go with T = 3 (give one, or 2"),
        ("--threshold 0.3,", "'' is not a number"),
        ("--threshold 0.3;0.2", "'0.3;0.2' is not a number"),
        ("--threshold 0.3,nan", "nan does not lie between 0 and 1"),
        ("--threshold 0.3,1.2", "1.2 does not lie between 0 and 1"),
        ("--thresholds both", "'both' is not one of 'one', 'each'"),
        ("--thresholds each --threshold 0.3", "--threshold gives them"),
    ],
)
def test_the_command_line_refuses(
    options: str, why: str, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *command(files, *options.split())]) == 2
    assert why in capsys.readouterr().err
    if options.startswith("--thresholds each"):
        assert main(["run", "--policy", "static", *command(files, "--thresholds", "each")]) == 2
        assert "belongs to --policy dynamic" in capsys.readouterr().err


def test_python_takes_and_refuses_the_same(files: Path) -> None:
    about: dict[str, Any] = {
        "model": files / "net", "inputs": files / "test.npz", "validation": files / "held.npz", "workers": 1,
    }  # fmt: skip
    chosen = imcsim.compare(**about, thresholds="each").dynamic
    again = imcsim.compare(**about, threshold=list(chosen.thresholds or ())).dynamic
    assert again.exit_fraction == chosen.exit_fraction
    wrong: tuple[dict[str, Any], ...] = (
        {"threshold": [0.1, 1.1]}, {"threshold": [0.1, "a"]}, {"threshold": [0.1]}, {"thresholds": "all"},
        {"thresholds": "each", "threshold": 0.2},
    )  # fmt: skip
    for options in wrong:
        with pytest.raises(ImcsimError, match="threshold"):
            imcsim.compare(**about, **options)


def test_sweeps_have_axes_of_both_kinds(files: Path, tmp_path: Path) -> None:
    axes = {"threshold": [None, 0.3, [0.6, 0.1], [0.1, 0.2, 0.3]], "thresholds": ["one", "each"]}
    spec = base(axes=axes, constraints=["threshold == null or thresholds == 'one'"])
    loaded = load_spec(write_spec(files, spec))
    out = tmp_path / "out"
    with sweep(loaded, out, workers=1) as store:
        rows = list(store.points())
        dynamic = {row["point"]: row for row in store.rows("dynamic")}
        table = list(store.table())
    assert [row["status"] for row in rows] == ["done"] * 4 + ["failed"]
    assert "3 thresholds do not go with T = 3" in rows[-1]["error"]
    points = list(loaded.points())
    for point in points[:-1]:
        result = alone(point)
        row = dynamic[point.index]
        each = result.dynamic.thresholds
        assert (row["threshold"], row["thresholds"]) == (result.dynamic.threshold, each and list(each))
        assert row["edp_mean_of_products"] == result.dynamic.edp_mean_of_products
    assert [row["thresholds"] is not None for row in dynamic.values()] == [False, True, False, True]
    assert table[3]["dynamic_thresholds"] == "0.6 0.1"
    assert table[3]["threshold"] == [0.6, 0.1]
    assert table[0]["dynamic_thresholds"] is None
    study = read(out)
    assert "0.6, 0.1" in points_table(study).rows[3]
    start = base_point(study)
    found = sensitivities(study, start)
    assert {"threshold", "thresholds"} <= {word for one in found for word in one.title.split()}
    for one in [*found, heat_map(study, start, *study.axes)]:
        one.draw()
    # A sweep without such points has no such column.
    with sweep(load_spec(write_spec(files, base(axes={"threshold": [0.2]}))), tmp_path / "two", workers=1):
        pass
    assert "thresholds" not in (tmp_path / "two" / "table.csv").read_text()


def test_a_sweep_without_a_place_for_several_is_still_read(files: Path, tmp_path: Path) -> None:
    import sqlite3

    sweep(load_spec(write_spec(files, base(axes={"threshold": [0.2]}))), tmp_path, workers=1).close()
    with sqlite3.connect(tmp_path / "sweep.sqlite") as connection:
        (view,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'sweep'").fetchone()
        connection.execute("DROP VIEW sweep")
        connection.execute("ALTER TABLE results DROP COLUMN thresholds")
        for column in ("d.thresholds AS dynamic_thresholds, ", "o.thresholds AS dynamic_once_thresholds, "):
            view = view.replace(column, "")
        connection.execute(view)
    with open_store(tmp_path) as store:
        assert [row["dynamic_threshold"] for row in store.table()] == [0.2]
    assert [one.threshold for one in read(tmp_path).outcomes("dynamic")] == [0.2]


@pytest.mark.parametrize("value", [[0.1, 1.5], [0.1, "a"], [[0.1, 0.2]], {"a": 0.1}])
def test_specs_refuse_what_is_no_threshold(value: Any, files: Path) -> None:
    with pytest.raises(ImcsimError, match=r"axes.threshold\[1\]: expected a number from 0 to 1"):
        load_spec(write_spec(files, base(axes={"threshold": [0.2, value]})))


@pytest.mark.usefixtures("rough_figures")
def test_searches_show_all_thresholds(files: Path, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    spec = base(
        axes={"thresholds": ["one", "each"], "threshold": [None, [0.3, 0.2]]}, objectives=["edp"], trials=4
    )
    write_spec(files, spec)
    out = tmp_path / "out"
    assert main(["search", str(files / "spec.yaml"), "--out", str(out), "--workers", "1", "--quiet"]) == 0
    with open_store(out) as store:
        front = store.front()
    assert front[0]["thresholds"] in ("one", "each")
    shown = front_table(read(out))
    assert shown is not None
    at = [column.key for column in shown.columns].index("test_thresholds")
    for row, cells in zip(front, shown.rows, strict=True):
        each = [float(one) for one in (row["test_thresholds"] or "").split()]
        assert len(each) == (2 if row["test_threshold"] is None else 0)
        assert cells[at] == ", ".join(f"{one:.4g}" for one in each)
