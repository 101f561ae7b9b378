"""`imcsim reproduce`: choices on validation images alone, an exact checker, combinations, taking up again."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import forward, random_images, vgg_like

import imcsim.hardware
import imcsim.report.reproduction
from imcsim.base.errors import ImcsimError
from imcsim.base.resources import data_dirs
from imcsim.commands import cli
from imcsim.exits.entropy import Entropy
from imcsim.exits.numerics import CheckerNumerics
from imcsim.exits.outputs import ClassOutputs
from imcsim.exits.softmax import tables
from imcsim.inputs import Inputs
from imcsim.inputs.data import fingerprint as images_sha256
from imcsim.network.graph import Conv2d, Network
from imcsim.reproduction import network as part
from imcsim.reproduction import reproduce as reproducing
from imcsim.reproduction.combinations import Judge, Outputs, Prices, base_choices, combinations, joint
from imcsim.reproduction.decisions import paired
from imcsim.reproduction.exact import checker_agreement, exact_entropy
from imcsim.reproduction.examples import examples
from imcsim.reproduction.plan import PaperNetwork, Subject, chosen, fingerprint, subject
from imcsim.reproduction.reproduce import Reproduced, reproduce_subjects
from imcsim.reproduction.store import VALUES, ValuesInPieces, write_part
from imcsim.reproduction.verdicts import aims
from imcsim.results.model import to_json
from imcsim.results.reproduction.document import NetworkPart, Reproduction
from imcsim.results.reproduction.figures import Figures, Loss, Paired
from imcsim.results.reproduction.ways import Joint, Way
from imcsim.results.schemas import json_schema
from imcsim.simulation.values import ActivityRequest
from imcsim.studies.comparison import compare_of
from imcsim.studies.experiment import Experiment
from imcsim.studies.loading import network_sha256
from imcsim.studies.settings import CompareOptions

CLASSES, TIMESTEPS, TEST, VALIDATION = 4, 4, 40, 48
ABOUT = PaperNetwork("vgg16", "VGG-16", {"running": "a", "final": "b"}, channels=(8, 12))
"""So called for its published figures; the networks are small random ones of half its width."""


@cache
def network(seed: int) -> Network:
    plan = (4, "M", 6)
    made = vgg_like(np.random.default_rng(seed), plan=plan, size=8, classes=CLASSES, timesteps=TIMESTEPS)
    return replace(made, name=f"random{seed}", provenance={"training": {"seed": seed}})


@cache
def images(split: str) -> Inputs:
    """Labels are the first network's own answers, but for a third: so some images leave wrongly."""
    rng = np.random.default_rng(len(split))
    drawn = random_images(rng, network(1).input_shape, TEST if split == "test" else VALIDATION)
    last = forward(network(1), drawn, TIMESTEPS)[network(1).nodes[-1].name]
    labels = last.sum(0).argmax(1).astype(np.int64)
    other = rng.random(len(labels)) < 1 / 3
    labels[other] = rng.integers(0, CLASSES, int(other.sum()))
    return Inputs(drawn, labels, split, split, images_sha256(drawn, labels), CLASSES)  # type: ignore[arg-type]


@cache
def a_subject() -> Subject:
    return subject(ABOUT, {"running": network(1), "final": network(2)}, imcsim.hardware.load("dtsnn_32nm"))


def made(folder: Path, inputs: Inputs | None = None, validation: Inputs | None = None) -> Reproduced:
    return reproduce_subjects(
        [a_subject()],
        inputs or images("test"),
        validation or images("validation"),
        folder,
        "imcsim",
        workers=1,
    )


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory: pytest.TempPathFactory) -> Reproduced:
    return made(tmp_path_factory.mktemp("reproduction"))


@cache
def benches() -> Mapping[Loss, Experiment]:
    return {
        loss: Experiment.make(
            one, a_subject().hardware, images("test"), images("validation"), CompareOptions(workers=1), None
        )
        for loss, one in a_subject().networks.items()
    }


def only(document: Reproduction) -> NetworkPart:
    (found,) = document.networks
    return found


# The document


def test_the_base_is_what_compare_finds(reproduced: Reproduced) -> None:
    """Decisions, figures and prices of the combinations agree with the comparison made the usual way."""
    for chip in only(reproduced.document).chips:
        comparison, base = chip.comparison, chip.joint.base
        assert base.threshold == (comparison.dynamic.threshold,)
        for key in ("accuracy", "mean_timesteps", "exit_fraction"):
            assert getattr(base.test, key) == getattr(comparison.dynamic, key)
        for key in ("energy_pj", "latency_ns", "edp_mean_of_products", "edp_product_of_means"):
            assert getattr(base.test, key) == pytest.approx(getattr(comparison.dynamic, key), rel=1e-12)
        for key, value in comparison.reduction:
            assert getattr(base.reduction, key) == pytest.approx(value, abs=1e-12)
        assert chip.against_static == base.test.against_static
        first, last = comparison.static[0], comparison.static[-1]
        assert chip.cap.edp_mean_of_products == pytest.approx(
            1 - first.edp_mean_of_products / last.edp_mean_of_products
        )
        assert sum(group.static_share for group in chip.groups) == pytest.approx(1)
        assert sum(group.published_share for group in chip.groups) == pytest.approx(1)
        # Of the images run longer, the first four timesteps cost what they cost in the comparison.
        assert len(chip.growth.points) == 8
        assert chip.growth.images == TEST
        assert chip.growth.supposed_intercept > chip.growth.intercept
        for point in chip.growth.points[1:]:
            assert 1 < point.supposed_energy_ratio < point.energy_ratio
        four = chip.growth.points[3]
        assert chip.growth.edp_ratio == pytest.approx(four.energy_ratio * four.latency_ratio)
        supposed = four.supposed_energy_ratio * four.latency_ratio
        assert chip.growth.supposed_edp_ratio == pytest.approx(supposed)
        for point, static in zip(chip.growth.points, comparison.static, strict=False):
            assert point.energy_pj == pytest.approx(static.energy_pj, rel=1e-12)
            assert point.latency_ns == pytest.approx(static.latency_ns, rel=1e-12)


def test_other_rules_are_what_compare_finds_with_them(reproduced: Reproduced) -> None:
    ways = only(reproduced.document).rules
    assert len(ways) == 12
    for way in ways[:6:2] + ways[7::4]:
        options = CompareOptions(workers=1, rule=way.rule, accumulation=way.accumulation)
        again = compare_of(
            Experiment.make(
                a_subject().networks[way.loss], a_subject().hardware, images("test"), images("validation"),
                options, None,
            ),
            part.PAPERS_WAY,
        )  # fmt: skip
        assert way.threshold == again.dynamic.threshold
        assert way.test.energy_pj == pytest.approx(again.dynamic.energy_pj, rel=1e-12)
        assert way.test.accuracy == again.dynamic.accuracy
        assert way.reduction.edp_mean_of_products == pytest.approx(
            again.reduction.edp_mean_of_products, abs=1e-12
        )


def test_the_full_chip_takes_exits_from_the_narrow_network(reproduced: Reproduced) -> None:
    narrow, full = only(reproduced.document).chips
    assert (narrow.width, full.width) == ("narrow", "full")
    assert (narrow.channels, full.channels) == ((0.5, 0.5), (1.0, 1.0))
    assert (narrow.own_spikes, full.own_spikes) == (True, False)
    assert narrow.comparison.dynamic.exit_fraction == full.comparison.dynamic.exit_fraction
    assert narrow.comparison.static[-1].accuracy == full.comparison.static[-1].accuracy
    assert full.comparison.static[0].energy_pj > narrow.comparison.static[0].energy_pj
    assert "half" in full.title


def test_the_document_survives_json_and_meets_its_schema(reproduced: Reproduced) -> None:
    text = to_json(reproduced.document, indent=1)
    assert Reproduction.model_validate_json(text) == reproduced.document
    validator = jsonschema.Draft202012Validator(json_schema("reproduction"))
    assert list(validator.iter_errors(json.loads(text))) == []
    assert str(data_dirs("models")[0]) not in text


def test_examples_are_as_they_say(reproduced: Reproduced) -> None:
    shown = only(reproduced.document).examples
    assert {example.leaves for example in shown} <= {1, TIMESTEPS}
    assert shown
    for example in shown:
        assert example.label == images("test").labels[example.index]
        assert (reproduced.pictures[example.index] == images("test").images[example.index]).all()
    early = [example for example in shown if example.leaves == 1]
    assert [e.right for e in early] == sorted((e.right for e in early), reverse=True)


def test_examples_are_the_first_of_each_class() -> None:
    bench = benches()["running"]
    answers = np.argmax(np.cumsum(bench.images.activity.outputs, axis=1), axis=2)
    right = np.flatnonzero(answers[:, 0] == bench.inputs.labels)
    found = examples(bench, np.ones(TEST, np.int64))
    assert {e.index for e in found if e.right} <= set(right.tolist())
    for label in set(bench.inputs.labels[right].tolist()):
        first = next(k for k in right if bench.inputs.labels[k] == label)
        assert first in {e.index for e in found}


# Choices


def test_test_labels_choose_nothing(reproduced: Reproduced, tmp_path: Path) -> None:
    """With the labels of the test images shuffled, every threshold and every combination stays."""
    labels = np.random.default_rng(0).permutation(images("test").labels)
    shuffled = replace(images("test"), labels=labels, sha256=images_sha256(images("test").images, labels))
    narrow_alone = replace(a_subject(), factors=(Fraction(1), Fraction(1)))
    run = reproduce_subjects([narrow_alone], shuffled, images("validation"), tmp_path, "imcsim", workers=1)
    before, after = only(reproduced.document), only(run.document)
    assert before.chips[0].joint.base.test.accuracy != after.chips[0].joint.base.test.accuracy
    for old, new in zip(before.chips, after.chips, strict=False):
        assert old.comparison.dynamic.threshold == new.comparison.dynamic.threshold
        assert old.joint.candidates == new.joint.candidates
        for one, other in zip(_ways(old.joint), _ways(new.joint), strict=True):
            assert (one.label, one.choices, one.threshold) == (other.label, other.choices, other.threshold)
            assert _costs(one.validation) == _costs(other.validation)
    assert [w.threshold for w in before.rules] == [w.threshold for w in after.rules]
    assert before.checker.threshold == after.checker.threshold


def _ways(found: Joint) -> list[Way]:
    steps = (*found.alone, *found.without)
    return [found.base, found.best, *(step.way for step in steps if step.way is not None)]


def _costs(figures: Figures) -> tuple[float, ...]:
    return figures.accuracy, figures.mean_timesteps, figures.edp_mean_of_products


def test_the_best_is_the_best_of_all_and_keeps_the_accuracy(reproduced: Reproduced) -> None:
    for chip in only(reproduced.document).chips:
        found = chip.joint
        floor = found.base.validation.accuracy - found.base.validation.against_static.difference
        assert found.best.validation.edp_mean_of_products <= found.base.validation.edp_mean_of_products
        judged = [c for c in found.candidates if c.outcome == "judged"]
        costs = [c.edp_mean_of_products for c in judged if c.edp_mean_of_products is not None]
        assert found.best.validation.edp_mean_of_products == min(costs)
        assert all(c.accuracy is not None and c.accuracy >= floor - 1e-12 for c in judged)
        for way in _ways(found):
            assert way.validation.edp_mean_of_products >= min(costs) * (1 - 1e-12)
        for step in (*found.alone, *found.without):
            assert step.base != step.best
            assert step.base == getattr(found.base.choices, step.choice)
            assert step.best == getattr(found.best.choices, step.choice)
        assert {s.choice for s in found.alone} == {s.choice for s in found.without}


def test_what_is_passed_over_could_not_have_won() -> None:
    """Judged all the same, a dominated combination of one threshold is no better than the best."""
    judge = Judge(Outputs(benches()), Prices(benches(), 1))
    base = base_choices(benches()["running"])
    found = joint(judge, base, ("running", "final"))
    everything = combinations(base, ("running", "final"))
    assert len(everything) == len(set(everything)) == 96
    passed = [c.choices for c in found.candidates if c.outcome == "dominated"]
    assert passed
    for one in passed:
        words = judge.choose(one)
        if words is not None:
            cost = judge.figures(one, words, "validation").edp_mean_of_products
            assert cost >= found.best.validation.edp_mean_of_products


def test_schedules_are_those_of_a_chip_made_so() -> None:
    """Another encoder and issue policy, from values that are there, cost what an experiment made so costs."""
    base = base_choices(benches()["running"])
    one = base.model_copy(
        update={"loss": "final", "issue": "speculate", "encoder": "recompute", "accumulation": "sum"}
    )
    hardware = imcsim.hardware.load("dtsnn_32nm", {"encoder.mode": "recompute"})
    options = CompareOptions(workers=1, issue="speculate", accumulation="sum")
    again = Experiment.make(network(2), hardware, images("test"), images("validation"), options, None)
    prices = Prices(benches(), 1)
    prices.costs(one.model_copy(update={"loss": "running"}), "test")  # played for the other network
    costs = prices.costs(one, "test")
    np.testing.assert_allclose(costs.energy_pj, again.images.dynamic.energy_pj, rtol=1e-12)
    np.testing.assert_array_equal(costs.latency_ns, again.images.dynamic.latency_ns)


# Paired differences and aims


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
@settings(max_examples=30, deadline=None)
def test_paired_differences(pairs: list[tuple[bool, bool]]) -> None:
    answers, reference = (np.array(side) for side in zip(*pairs, strict=True))
    found, turned = paired(answers, reference), paired(reference, answers)
    assert found.difference == pytest.approx(answers.mean() - reference.mean())
    assert (found.gained, found.lost) == (turned.lost, turned.gained)
    assert (found.low, found.high) == pytest.approx((-turned.high, -turned.low))
    # Images on which both agree narrow the interval, and change nothing else.
    more = np.concatenate([answers, np.ones(40, bool)])
    wider = paired(more, np.concatenate([reference, np.ones(40, bool)]))
    assert wider.high - wider.low < found.high - found.low + 1e-12


def test_a_paired_interval_by_hand() -> None:
    """10 gained and 20 lost of 1,000: (11 - 21) / 1002 +- 1.96 sqrt((32/1002 - (10/1002)^2) / 1002)."""
    answers = np.array([True] * 10 + [False] * 20 + [True] * 970)
    reference = np.array([False] * 10 + [True] * 20 + [True] * 970)
    found = paired(answers, reference)
    spread = 1.959964 * math.sqrt((32 / 1002 - (10 / 1002) ** 2) / 1002)
    assert found.difference == pytest.approx(-0.01)
    assert found.low == pytest.approx(-10 / 1002 - spread, rel=1e-6)
    assert found.high == pytest.approx(-10 / 1002 + spread, rel=1e-6)


@pytest.mark.parametrize(
    ("timesteps", "saved", "high", "met"),
    [
        (1.46, 0.80, 0.001, (True, True)),
        (1.47, 0.80, 0.001, (False, True)),
        (1.46, 0.79, 0.001, (True, False)),
        (1.0, 0.92, -0.001, (False, False)),
        (1.0, 0.92, 0.02, (False, False)),  # so few images that a loss of two points could hide
    ],
)
def test_aims_are_met_at_no_loss_of_accuracy_only(
    reproduced: Reproduced, timesteps: float, saved: float, high: float, met: tuple[bool, bool]
) -> None:
    chip = only(reproduced.document).chips[0]
    comparison = chip.comparison
    pair = Paired(difference=-0.002, low=min(-0.003, -high), high=high, gained=1, lost=3)
    dynamic = comparison.dynamic.model_copy(update={"mean_timesteps": timesteps})
    reduction = comparison.reduction.model_copy(update={"edp_mean_of_products": saved})
    comparison = comparison.model_copy(update={"dynamic": dynamic, "reduction": reduction})
    changed = chip.model_copy(update={"comparison": comparison, "against_static": pair})
    found = [aim for aim in aims("vgg16", "VGG-16", [changed]) if aim.way == "base"]
    assert [aim.key for aim in found] == ["mean_timesteps", "edp"]
    assert tuple(aim.met for aim in found) == met
    assert all(aim.text.endswith(": met") is aim.met for aim in found)
    assert aims("lenet", "LeNet", [changed]) == ()


# The exact checker


def _entropy_by_scipy(outputs: np.ndarray[Any, Any], bits: int, mean: bool) -> np.ndarray[Any, Any]:
    scipy_special = pytest.importorskip("scipy.special")
    total = np.cumsum(outputs, axis=1).astype(np.float64)
    if mean:
        total = total / np.arange(1, outputs.shape[1] + 1)[:, None]
    p = scipy_special.softmax(total / 2**bits, axis=2)
    found: np.ndarray[Any, Any] = scipy_special.entr(p).sum(axis=2) / math.log(outputs.shape[2])
    return found


@pytest.mark.parametrize("accumulation", ["mean", "sum"])
def test_exact_entropy(accumulation: str) -> None:
    outputs = np.random.default_rng(0).integers(-40_000, 40_000, (30, 4, 10))
    expected = _entropy_by_scipy(outputs, 12, accumulation == "mean")
    np.testing.assert_allclose(exact_entropy(outputs, 12, accumulation), expected, atol=1e-12)  # type: ignore[arg-type]


def test_the_checker_s_disagreements_are_counted_by_an_independent_loop() -> None:
    rng = np.random.default_rng(1)
    outputs = rng.integers(-9_000, 9_000, (60, 4, 5))
    labels = rng.integers(0, 5, 60)
    own = CheckerNumerics(exp_entries=64, log_entries=32)
    found = checker_agreement(outputs, labels, 0.6, own)
    exact = _entropy_by_scipy(outputs, 12, mean=True)
    (used,) = (s for s in found.sizes if s.used and s.varied == "tables")
    assert (used.exp_entries, used.log_entries, used.table_bytes) == (64, 32, (64 + 32) * 16 // 8)
    numerator, total = Entropy().fraction(ClassOutputs.of(outputs, "mean").accumulated, tables(own))
    word = round(0.6 * math.log(5) * 4096)
    differ = exits = predictions = 0
    for n in range(60):
        fixed = [int(numerator[n, t]) < word * int(total[n, t]) for t in range(3)]
        real = [bool(exact[n, t] < 0.6) for t in range(3)]
        differ += sum(a != b for a, b in zip(fixed, real, strict=True))
        ours, theirs = ((*v, True).index(True) for v in (fixed, real))
        exits += ours != theirs
        answers = np.cumsum(outputs[n], axis=0).argmax(axis=1)
        predictions += bool(answers[ours] != answers[theirs])
    assert (used.decisions_differ, used.exits_differ, used.predictions_differ) == (differ, exits, predictions)
    assert differ > 0
    assert (found.images, found.decisions) == (60, 180)
    for varied in ("tables", "exp_entries", "log_entries", "table_bits", "fraction_bits"):
        series = [s for s in found.sizes if s.varied == varied]
        assert sum(s.used for s in series) == 1
    by_entries = [s.decisions_differ for s in found.sizes if s.varied == "tables"]
    assert by_entries[0] > by_entries[-1]


# Taking up again


def test_an_interrupted_run_goes_on(
    reproduced: Reproduced, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imcsim.reproduction.store.KEPT_IMAGES", 16)

    def interrupted(stage: str, done: int, total: int) -> None:
        if "final" in stage and done >= 32:
            raise KeyboardInterrupt

    subjects, shown, held_out = [a_subject()], images("test"), images("validation")
    with pytest.raises(KeyboardInterrupt):
        reproduce_subjects(subjects, shown, held_out, tmp_path, "imcsim", workers=1, progress=interrupted)
    assert not list(tmp_path.glob("parts/*"))
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob(f"{VALUES}/*/*.npz")}
    assert len(kept) >= 8  # scales, and pieces of 16 images: 3 + 3 of one network, at least 1 of the other
    document = reproduce_subjects(subjects, shown, held_out, tmp_path, "imcsim", workers=1).document
    assert document == reproduced.document
    assert all(path.stat().st_mtime_ns == before for path, before in kept.items())

    def never(*_: Any) -> None:
        raise AssertionError("made again")

    monkeypatch.setattr(reproducing, "network_part", never)
    again = reproduce_subjects(subjects, shown, held_out, tmp_path, "imcsim", workers=1).document
    assert again == reproduced.document


def test_a_part_of_other_images_or_a_damaged_one_is_made_again(
    reproduced: Reproduced, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def counted(subject: Subject, inputs: Inputs, validation: Inputs, key: str, *_: Any) -> NetworkPart:
        calls.append(key)
        return only(reproduced.document).model_copy(update={"fingerprint": key})

    monkeypatch.setattr(reproducing, "network_part", counted)
    made(tmp_path)
    made(tmp_path)
    assert len(calls) == 1
    made(tmp_path, replace(images("test"), sha256="1" * 64))
    assert len(set(calls)) == 2
    part = tmp_path / "parts" / "vgg16.json"
    part.write_text("{")
    made(tmp_path)
    assert len(calls) == 3
    changed = re.sub(r'("energy_pj": \d)', r"\g<1>1", part.read_text(), count=1)
    assert changed != part.read_text()
    part.write_text(changed)
    made(tmp_path)
    assert len(calls) == 4


def test_a_fingerprint_is_over_all_that_a_part_follows_from() -> None:
    base = a_subject()
    shown, held_out = images("test"), images("validation")
    other = imcsim.hardware.load("dtsnn_32nm", {"adc.bits": 6})
    others = [
        fingerprint(base, shown, held_out),
        fingerprint(base, replace(shown, sha256="2" * 64), held_out),
        fingerprint(base, shown, replace(held_out, sha256="2" * 64)),
        fingerprint(replace(base, networks={**base.networks, "final": network(1)}), shown, held_out),
        fingerprint(replace(base, hardware=other), shown, held_out),
    ]
    assert len(set(others)) == len(others)


def test_values_in_pieces_are_the_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imcsim.reproduction.store.KEPT_IMAGES", 7)
    bench = benches()["running"]
    chip, whole = bench.chip, bench.images.activity
    heard: list[tuple[int, int]] = []
    for turn in range(2):
        store = ValuesInPieces(tmp_path, network_sha256(network(1)))
        found = store.activity(
            ActivityRequest(
                chip.program, chip.converters, images("test"), TIMESTEPS, workers=1,
                progress=lambda stage, done, total: heard.append((done, total)),
            )
        )  # fmt: skip
        assert store.computed == (math.ceil(TEST / 7) if turn == 0 else 0)
        for key in ("active_rows", "active_levels", "spikes", "outputs"):
            np.testing.assert_array_equal(getattr(found, key), getattr(whole, key))
    assert heard[-1] == (TEST, TEST)
    with pytest.raises(ImcsimError, match="in pieces"):
        store.activity(
            ActivityRequest(chip.program, chip.converters, images("test"), TIMESTEPS, at=slice(0, 3))
        )


# Settings and the command


def test_networks_by_name() -> None:
    assert [one.key for one in chosen(None)] == ["vgg16", "resnet19"]
    assert [one.key for one in chosen(["resnet19", "vgg16"])] == ["vgg16", "resnet19"]
    with pytest.raises(ImcsimError, match="did you mean 'vgg16'"):
        chosen(["vgg61"])
    with pytest.raises(ImcsimError, match="no network is named"):
        chosen([])


def test_widths_must_fit_the_paper_s() -> None:
    hardware = a_subject().hardware
    assert subject(ABOUT, {"running": network(1)}, hardware).factors == (2, 2)
    assert subject(replace(ABOUT, channels=(4, 9)), {"running": network(1)}, hardware).factors == (1, 1.5)
    with pytest.raises(ImcsimError, match="conv2 has 6 channels, VGG-16 has 5 there"):
        subject(replace(ABOUT, channels=(8, 5)), {"running": network(1)}, hardware)
    with pytest.raises(ImcsimError, match="has 2 convolutions, VGG-16 has 3"):
        subject(replace(ABOUT, channels=(8, 8, 8)), {"running": network(1)}, hardware)
    wider = replace(network(2), nodes=tuple(_wider(node) for node in network(2).nodes))
    with pytest.raises(ImcsimError, match="differ in width"):
        subject(ABOUT, {"running": network(1), "final": wider}, hardware)


def _wider(node: Any) -> Any:
    if isinstance(node, Conv2d) and node.name == "conv1":
        return replace(node, weight=np.concatenate([node.weight, node.weight]))
    return node


def test_networks_that_have_seen_the_validation_images_are_named() -> None:
    held_out = replace(images("validation"), name="cifar10_validation_all")
    (remark,) = part._remarks(a_subject(), held_out)  # the second one's seed is 2
    assert "random2 was trained with seed 2" in remark
    assert not list(part._remarks(a_subject(), images("validation")))


def test_a_network_at_full_width_has_one_chip(tmp_path: Path) -> None:
    about = replace(ABOUT, key="own", title="own", channels=(4, 6))
    one = subject(about, {"running": network(1), "final": network(2)}, a_subject().hardware)
    found = part.network_part(one, images("test"), images("validation"), "", tmp_path, 1)
    assert [chip.width for chip in found.chips] == ["narrow"]
    assert found.chips[0].title == "full width, as trained"
    assert found.aims == ()


def test_layers_may_be_narrower_by_factors_of_their_own(tmp_path: Path) -> None:
    about = replace(ABOUT, key="own", title="own", channels=(6, 12))
    one = subject(about, {"running": network(1), "final": network(2)}, a_subject().hardware)
    narrow, full = part.network_part(one, images("test"), images("validation"), "", tmp_path, 1).chips
    assert narrow.title == "½ to 0.667 width, as trained"
    assert narrow.channels == (pytest.approx(2 / 3), 0.5)
    assert full.channels == (1, 1)
    assert full.comparison.meta.network.weights == 6 * 27 + 12 * 6 * 9 + 4 * 12 * 16


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models", "{empty}"], "missing networks: vgg16_running_cifar10, vgg16_final_cifar10, resnet19_"),
        (["--networks", "lenet"], "'lenet' is none of the paper's networks"),
        (["--out", "{file}/below"], "is a file, not a folder"),
    ],
)
def test_command_errors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    places = {"empty": tmp_path / "empty", "file": tmp_path / "file"}
    places["empty"].mkdir()
    places["file"].write_text("")
    given = [argument.format(**places) for argument in arguments]
    if "--out" not in given:
        given += ["--out", str(tmp_path / "out")]
    assert cli.main(["reproduce", *given]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1


def test_the_missing_networks_leave_others_to_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for loss in ("running", "final"):
        (tmp_path / f"vgg16_{loss}_cifar10").mkdir()
    status = cli.main(["reproduce", "--models", str(tmp_path), "--out", str(tmp_path / "out")])
    assert status == 2
    assert "--networks vgg16 can be run" in capsys.readouterr().err


def test_the_command_needs_a_folder() -> None:
    assert CliRunner().invoke(cli.cli, ["reproduce"]).exit_code == 2


def test_the_command_writes_document_and_page_and_prints_a_table(
    reproduced: Reproduced,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def drawn(document: Reproduction, pictures: Mapping[int, Any], progress: Any) -> dict[str, bytes]:
        assert document == reproduced.document
        assert pictures == reproduced.pictures
        shutil.rmtree(out, ignore_errors=True)  # as somebody may while figures are drawn
        return {"index.html": b"page"}

    out = tmp_path / "out"
    (out / "parts").mkdir(parents=True)
    monkeypatch.setattr(reproducing, "reproduce", lambda *_, **__: reproduced)
    monkeypatch.setattr(imcsim.report.reproduction, "page_contents", drawn)
    assert cli.main(["reproduce", "--out", str(out)]) == 0
    written = Reproduction.model_validate_json((out / "reproduction.json").read_text())
    assert written == reproduced.document
    assert (out / "index.html").read_bytes() == b"page"
    shown = capsys.readouterr().out
    assert "DT-SNN (paper)" in shown
    assert "met" in shown
    assert "index.html" in shown
    dynamic = only(reproduced.document).chips[0].comparison.dynamic
    assert f"{dynamic.mean_timesteps:.3f}" in shown


def test_a_part_that_cannot_be_written_is_one_clear_line(
    reproduced: Reproduced, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "parts").write_text("")
    with pytest.raises(ImcsimError, match=r"vgg16\.json: cannot be written"):
        write_part(tmp_path, only(reproduced.document))
    (tmp_path / "parts").unlink()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ImcsimError, match="No space left"):
        write_part(tmp_path, only(reproduced.document))
    assert not (tmp_path / "parts").exists()  # no empty folder stays
