"""Comparisons and single runs: how the threshold is chosen; every figure recomputed from single images."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from networks import forward, random_images, random_network
from numpy.typing import NDArray
from plain import plain_compare
from played import play

import imcsim.hardware
from imcsim.base.errors import ImcsimError
from imcsim.exits import named
from imcsim.exits.outputs import ClassOutputs
from imcsim.exits.softmax import SoftmaxRule, tables
from imcsim.hardware.config import Hardware
from imcsim.hardware.estimators import nodes
from imcsim.hardware.events import CHECKER_EVENTS, Event
from imcsim.hardware.ledger import charges, energy_pj
from imcsim.inputs import Inputs
from imcsim.network.graph import Linear, Network
from imcsim.results.comparison import CompareResult
from imcsim.results.model import to_json
from imcsim.results.run import RunResult
from imcsim.results.schemas import json_schema
from imcsim.simulation.chip import make_chip
from imcsim.simulation.simulate import Simulation, simulate
from imcsim.studies.comparison import compare, run
from imcsim.studies.settings import CompareOptions
from imcsim.timing import Issue, Timeline, Timing

ONE = CompareOptions(workers=1)
CLASSES = 5


def hardware(**overrides: object) -> Hardware:
    return imcsim.hardware.load("dtsnn_32nm", {k.replace("__", "."): v for k, v in overrides.items()})


@cache
def network() -> Network:
    return random_network(np.random.default_rng(11), depth=2, classes=CLASSES, timesteps=4, channels=8)


@cache
def labelled(seed: int, count: int = 60) -> Inputs:
    """Random images, most of them labelled as the network sees them after four timesteps."""
    rng = np.random.default_rng(seed)
    images = random_images(rng, network().input_shape, count)
    labels = forward(network(), images, 4)[network().nodes[-1].name].sum(0).argmax(1)
    labels = np.where(rng.random(count) < 0.3, rng.integers(0, CLASSES, count), labels)
    return Inputs(images, labels.astype(np.int64), f"images{seed}", "unknown", f"{seed:064x}", CLASSES)


TEST, HELD_OUT = labelled(1), labelled(2)


@cache
def compared() -> CompareResult:
    return compare(network(), hardware(), TEST, HELD_OUT, ONE)


@cache
def simulation(which: str = "test", *, mean: bool = True) -> Simulation:
    """The images (calibrated as `compared` is), simulated to T max."""
    chip = make_chip(network(), hardware(), HELD_OUT, Timing(4, Issue(), mean=mean), workers=1)
    return simulate(chip, TEST if which == "test" else HELD_OUT, workers=1)


@cache
def timeline() -> Timeline:
    """One image that stays for four timesteps."""
    chip = simulation().chip
    return play(chip.placement, chip.config, [4], 4)


def decided(outputs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Class after each timestep, ``[N, T]``: the largest running sum."""
    return np.array([[np.argmax(image[: t + 1].sum(0)) for t in range(len(image))] for image in outputs])


@cache
def measure(sim: Simulation, rule: Any, accumulation: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rule's numerator and denominator for each image and timestep; 1 where it has no denominator."""
    outputs, checker = ClassOutputs.of(sim.activity.outputs, accumulation), sim.chip.program.numerics.checker
    one = named(rule)
    if isinstance(one, SoftmaxRule):
        return one.fraction(outputs.accumulated, tables(checker))
    scores = one.scores(outputs, checker)
    return scores, np.ones_like(scores)


def stays(sim: Simulation, word: int, rule: Any, accumulation: Any) -> NDArray[np.int64]:
    """When each image leaves, comparing as the chip does: numerator < word x denominator."""
    top, bottom = measure(sim, rule, accumulation)
    stay = np.full(len(top), top.shape[1])
    for t in range(top.shape[1] - 1, 0, -1):
        stay[top[:, t - 1] < word * bottom[:, t - 1]] = t
    return stay


# The threshold


@pytest.mark.parametrize("rule", ["entropy", "max_softmax", "margin"])
@pytest.mark.parametrize("accumulation", ["mean", "sum"])
def test_the_threshold_is_the_largest_without_loss(rule: Any, accumulation: Any) -> None:
    options = CompareOptions(rule=rule, accumulation=accumulation, workers=1)
    result = plain_compare(network(), hardware(), TEST, HELD_OUT, options)
    sim = simulation("validation")
    numerics = sim.chip.program.numerics.checker
    right = decided(sim.activity.outputs) == HELD_OUT.labels[:, None]

    def score(stay: NDArray[np.int64]) -> int:
        return int(right[np.arange(len(stay)), stay - 1].sum())

    goal = int(right[:, -1].sum())
    largest = named(rule).word(1.0, CLASSES, numerics)
    step = max(1, largest // 3000)
    fair = [
        word for word in range(0, largest + 1, step) if score(stays(sim, word, rule, accumulation)) >= goal
    ]
    cheapest = stays(sim, fair[-1], rule, accumulation)
    about = result.dynamic.validation
    assert result.dynamic.threshold_source == "validation"
    assert about is not None
    assert about.images == len(HELD_OUT.labels)
    assert about.accuracy_static == goal / about.images
    assert about.accuracy_dynamic >= about.accuracy_static
    chosen = stays(sim, named(rule).word(result.dynamic.threshold, CLASSES, numerics), rule, accumulation)
    assert about.accuracy_dynamic == score(chosen) / about.images
    assert about.mean_timesteps == pytest.approx(chosen.mean())
    # Nothing cheaper is fair. (With coarse steps the search may miss a register between two of its own.)
    assert chosen.mean() <= cheapest.mean()
    if step == 1:
        assert chosen.tolist() == cheapest.tolist()
    word = named(rule).word(result.dynamic.threshold, CLASSES, numerics)
    later = {tuple(stays(sim, w, rule, accumulation).tolist()) for w in range(word + 1, largest + 1, step)}
    assert all(score(np.array(stay)) < goal for stay in later - {tuple(chosen.tolist())})


def test_the_threshold_knows_nothing_of_the_reported_labels() -> None:
    shuffled = replace(TEST, labels=np.random.default_rng(0).permutation(TEST.labels))
    other = plain_compare(network(), hardware(), shuffled, HELD_OUT, ONE)
    mine = compared()
    assert other.dynamic.threshold == mine.dynamic.threshold
    assert other.dynamic.validation == mine.dynamic.validation
    assert other.dynamic.exit_fraction == mine.dynamic.exit_fraction
    assert other.dynamic.energy_pj == mine.dynamic.energy_pj
    assert other.dynamic.accuracy != mine.dynamic.accuracy


def test_other_images_do_not_change_the_threshold() -> None:
    assert (
        plain_compare(network(), hardware(), labelled(3, 10), HELD_OUT, ONE).dynamic.threshold
        == compared().dynamic.threshold
    )


def test_a_given_threshold_is_taken_as_it_is() -> None:
    result = plain_compare(network(), hardware(), TEST, HELD_OUT, replace(ONE, threshold=0.123))
    assert (result.dynamic.threshold, result.dynamic.threshold_source) == (0.123, "given")
    assert result.dynamic.validation is None
    assert 0.123 in [point.threshold for point in result.curve]


def test_the_chosen_threshold_given_again_changes_nothing() -> None:
    again = plain_compare(
        network(), hardware(), TEST, HELD_OUT, replace(ONE, threshold=compared().dynamic.threshold)
    )
    assert again.reduction == compared().reduction
    assert again.dynamic.exit_fraction == compared().dynamic.exit_fraction
    assert again.curve == compared().curve


def test_without_threshold_or_validation_there_is_nothing_to_choose_on() -> None:
    for call in (compare, run):
        with pytest.raises(ImcsimError, match="no validation images") as caught:
            call(network(), hardware(), TEST, None, ONE)
        assert "threshold" in (caught.value.fix or "")


def test_one_timestep_leaves_nothing_to_choose() -> None:
    result = plain_compare(network(), hardware(), TEST, HELD_OUT, replace(ONE, timesteps=1))
    assert result.dynamic.threshold == 0
    assert result.dynamic.exit_fraction == (1.0,)
    assert set(result.reduction.model_dump().values()) == {0.0}


def test_a_network_that_never_says_anything_can_be_compared() -> None:
    # Three equal outputs: the entropy is 1, as near as the tables come, and the register for 1 is rounded up.
    silent = random_network(np.random.default_rng(0), classes=3, timesteps=3)
    last = silent.nodes[-1]
    assert isinstance(last, Linear)
    silent = replace(
        silent, nodes=(*silent.nodes[:-1], replace(last, weight=0 * last.weight, bias=0 * last.bias))
    )
    images = random_images(np.random.default_rng(1), silent.input_shape, 6)
    inputs = Inputs(images, np.zeros(6, np.int64), "silent", "unknown", "0" * 64, 3)
    result = plain_compare(silent, hardware(), inputs, inputs, ONE)
    assert result.dynamic.accuracy == 1
    assert result.dynamic.threshold <= 1
    assert all(point.threshold <= 1 for point in result.curve)


# Figures


def test_the_document_obeys_the_shipped_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json_schema("result")
    validator = jsonschema.Draft202012Validator(schema)  # which is sound: see tests/results/test_schemas.py
    single = run(network(), hardware(), TEST, HELD_OUT, ONE)
    for text in (to_json(compared()), to_json(single)):
        document = json.loads(text)
        validator.validate(document)
        document["meta"]["images"] = 0
        assert not validator.is_valid(document)


def figures(sim: Simulation, inputs: Inputs, stay: NDArray[np.int64]) -> dict[str, Any]:
    """What a run says, image by image in plain Python."""
    choice, line = decided(sim.activity.outputs), timeline()
    energies, latencies, right = [], [], 0
    for k, t in enumerate(stay):
        energies.append(float(sim.dynamic.energy_pj[k, t - 1]))
        latencies.append(float(line.verdict[t - 1]))
        right += int(choice[k, t - 1] == inputs.labels[k])
    count, order = len(stay), sorted(latencies)
    mean_energy, mean_latency = math.fsum(energies) / count, math.fsum(latencies) / count
    return {
        "accuracy": right / count,
        "mean_timesteps": float(sum(stay) / count),
        "exit_fraction": tuple(float(np.mean([t == k for t in stay])) for k in range(1, 5)),
        "energy_pj": mean_energy,
        "latency_ns": mean_latency,
        "latency_p50_ns": order[math.ceil(0.50 * count) - 1],
        "latency_p95_ns": order[math.ceil(0.95 * count) - 1],
        "latency_p99_ns": order[math.ceil(0.99 * count) - 1],
        "edp_mean_of_products": math.fsum(e * d for e, d in zip(energies, latencies, strict=True)) / count,
        "edp_product_of_means": mean_energy * mean_latency,
    }


def test_every_figure_follows_from_the_images() -> None:
    result, sim = compared(), simulation()
    numerics = sim.chip.program.numerics.checker
    stay = stays(sim, named("entropy").word(result.dynamic.threshold, CLASSES, numerics), "entropy", "mean")
    assert 1 < stay.mean() < 4
    mine = figures(sim, TEST, stay)
    for key, value in mine.items():
        assert getattr(result.dynamic, key) == pytest.approx(value, rel=1e-9), key
    waiting, pipelined = (one.static for one in result.opponents)
    for t, point in enumerate(waiting, 1):
        static = figures(sim, TEST, np.full(len(stay), t))
        for key in ("accuracy", "energy_pj", "latency_ns", "edp_mean_of_products", "edp_product_of_means"):
            assert getattr(point, key) == pytest.approx(static[key], rel=1e-9), key
        assert point.edp_pj_ns == point.edp_mean_of_products
        scale = result.scaling[t - 1]
        assert scale.energy_ratio == pytest.approx(point.energy_pj / waiting[0].energy_pj)
        assert scale.latency_ratio == pytest.approx(point.latency_ns / waiting[0].latency_ns)
    whole = figures(sim, TEST, np.full(len(stay), 4))
    last = pipelined[-1]
    ahead = {key: getattr(last, key) for key in whole if hasattr(last, key)}
    for less, before in zip(result.reductions, (whole, ahead), strict=True):
        for name, key in (("energy", "energy_pj"), ("latency", "latency_ns")):
            assert getattr(less, name) == pytest.approx(1 - mine[key] / before[key])
        for key in ("edp_mean_of_products", "edp_product_of_means"):
            assert getattr(less, key) == pytest.approx(1 - mine[key] / before[key])
    easy = result.reductions[0]
    assert 0 < easy.energy < easy.edp_mean_of_products < 1
    assert result.reduction.edp_mean_of_products == min(r.edp_mean_of_products for r in result.reductions)


def test_points_of_the_curve_follow_from_the_images() -> None:
    result, sim = compared(), simulation()
    numerics = sim.chip.program.numerics.checker
    for point in result.curve[::7]:
        word = named("entropy").word(point.threshold, CLASSES, numerics)
        mine = figures(sim, TEST, stays(sim, word, "entropy", "mean"))
        for key in ("accuracy", "mean_timesteps", "energy_pj", "latency_ns", "edp_mean_of_products"):
            assert getattr(point, key) == pytest.approx(mine[key], rel=1e-9), key


def test_what_the_checker_adds() -> None:
    result, sim = compared(), simulation()
    config, prices, line = hardware().config, sim.chip.prices(), timeline()
    checker = config.checker
    # A verdict crosses the mesh from corner to corner, 0.289 ns for each mm at 32 nm, and ends in every tile.
    placed = sim.chip.placement
    link_mm = config.noc.figure("link_length_mm", config)
    way = math.ceil((sum(placed.chips[0].mesh) - 2) * link_mm * 0.289)
    each = 2 * CLASSES * checker.class_cycles + checker.final_cycles + way
    check = sum(c.energy_pj * line.count(c.event)[0].sum() for c in prices if c.event in CHECKER_EVENTS)
    by_hand = (
        (CLASSES + 1) * checker.figure("compare_energy_pj", config)
        + (3 * CLASSES + 1) * checker.figure("add_energy_pj", config)
        + (CLASSES + 1) * checker.figure("lookup_energy_pj", config)
        + (2 * CLASSES + 2) * checker.figure("multiply_energy_pj", config)
        + placed.tiles * (0.201 * link_mm + 0.009 * nodes.energy_ratio(40, 32))
    )
    assert check == pytest.approx(by_hand)
    assert result.checker.cycles_per_check == each
    assert result.checker.energy_pj_per_check == pytest.approx(by_hand)
    assert result.checker.energy_share_of_one_timestep == pytest.approx(
        by_hand / (result.opponents[0].static[-1].energy_pj / 4)
    )
    leakage = {c.component: c.energy_pj for c in prices if c.event == Event.POWERED_CYCLES}
    for t, point in enumerate(result.opponents[0].static, 1):
        cycles = int(line.verdict[t - 1])
        assert point.latency_without_checker_ns == cycles - t * each
        saved = t * by_hand + leakage["checker"] * cycles
        saved += t * each * sum(v for k, v in leakage.items() if k != "checker")
        assert point.energy_pj - point.energy_without_checker_pj == pytest.approx(saved, rel=1e-6)


@pytest.mark.parametrize("policy", ["static", "dynamic"])
def test_a_run_agrees_with_the_comparison(policy: Any) -> None:
    result: RunResult = run(network(), hardware(), TEST, HELD_OUT, ONE, policy=policy)
    both = compared()
    assert result.meta == both.meta
    assert result.warnings == both.warnings
    assert result.policy.kind == policy
    outcome = result.outcome
    if policy == "static":
        assert result.policy.threshold is None
        assert outcome.exit_fraction == (0, 0, 0, 1)
        expected: Any = both.opponents[0].static[-1]
        keys = ["accuracy", "energy_pj", "latency_ns", "edp_mean_of_products", "edp_product_of_means"]
        ahead = run(network(), hardware(), TEST, HELD_OUT, replace(ONE, issue="pipeline"), policy=policy)
        assert [p.issue for p in both.static] == ["wait", *["pipeline"] * 3]  # alike at T = 1, then faster
        assert all(getattr(ahead.outcome, key) == getattr(both.static[-1], key) for key in keys)
        parts = [c.static_energy_pj for c in both.components]
        assert [c.energy_pj for c in ahead.outcome.components] == parts
    else:
        assert result.policy.threshold == both.dynamic.threshold
        assert result.policy.validation == both.dynamic.validation
        expected, keys = (
            both.dynamic,
            ["exit_fraction", "mean_timesteps", "accuracy_low", "energy_pj", "latency_p95_ns"],
        )
        assert outcome.layers == both.layers
        for mine, theirs in zip(outcome.components, both.components, strict=True):
            assert mine == theirs.model_copy(update={"static_energy_pj": None})
    for key in keys:
        assert getattr(outcome, key) == getattr(expected, key), key
    assert outcome.checker is not None
    # Of a timestep of the run itself, which need not know what a static one would have cost.
    own = outcome.checker.energy_pj_per_check / (outcome.energy_pj / outcome.mean_timesteps)
    assert outcome.checker.energy_share_of_one_timestep == pytest.approx(own, rel=1e-12)
    share = both.checker.energy_share_of_one_timestep
    assert outcome.checker.model_copy(update={"energy_share_of_one_timestep": share}) == both.checker
    assert (outcome.checker == both.checker) == (policy == "static")


def test_sensitivity_prices_the_same_counts_again() -> None:
    result = compared()
    presets = hardware().config.adc.presets
    assert [p.name for p in result.sensitivity] == list(presets)
    assert [p.name for p in result.sensitivity if p.used] == [hardware().config.adc.preset]
    used = next(p for p in result.sensitivity if p.used)
    assert used.static_energy_pj == result.static[-1].energy_pj
    assert used.dynamic_energy_pj == result.dynamic.energy_pj
    assert used.reduction == result.reduction
    for point in result.sensitivity:
        # A chip built with that preset says the same, of static runs under the same issue policy.
        chip = plain_compare(network(), hardware(adc__preset=point.name), TEST, HELD_OUT, ONE)
        assert chip.dynamic.energy_pj == pytest.approx(point.dynamic_energy_pj, rel=1e-12)
        against = [(o.static[-1], r) for o, r in zip(chip.opponents, chip.reductions, strict=True)]
        static, reduction = next(pair for pair in against if pair[0].issue == result.static[-1].issue)
        assert static.energy_pj == pytest.approx(point.static_energy_pj, rel=1e-12)
        assert reduction.energy == pytest.approx(point.reduction.energy, rel=1e-9)
        assert chip.dynamic.threshold == result.dynamic.threshold


def test_converters_of_one_size_and_speed_differ_by_their_conversions() -> None:
    alike: dict[str, object] = {"converter_reference__energy_share": 0, "converter_reference__area_share": 0}
    for name in hardware().config.adc.presets:
        alike |= {
            f"adc__presets__{name}__converter_area_um2": 1500,
            f"adc__presets__{name}__conversion_time_ns": 1,
        }
    result = compare(network(), hardware(**alike), TEST, HELD_OUT, ONE)
    conversions = simulation().static.ledger.fixed[Event.CONVERSIONS][0, -1].sum()
    used = next(p for p in result.sensitivity if p.used)
    for point in result.sensitivity:
        more = conversions * (point.conversion_energy_pj - used.conversion_energy_pj)
        assert point.static_energy_pj - used.static_energy_pj == pytest.approx(more, rel=1e-9), point.name


def test_energy_is_a_pure_function_of_the_ledger() -> None:
    sim = simulation()
    again = energy_pj(sim.static.ledger, charges(sim.chip.config, sim.chip.size))
    assert (again == sim.static.energy_pj).all()


def test_layers_and_spike_rates() -> None:
    result, sim = compared(), simulation()
    numerics = sim.chip.program.numerics.checker
    stay = stays(sim, named("entropy").word(result.dynamic.threshold, CLASSES, numerics), "entropy", "mean")
    rows = {layer.name: layer for layer in result.layers}
    fired = dict(zip(["conv1", "conv2"], sim.activity.spikes.transpose(2, 0, 1), strict=True))
    neurons = {"conv1": 8 * 64, "conv2": rows["conv2"].columns * 16}
    for name, counts in fired.items():
        spikes = sum(int(counts[k, :t].sum()) for k, t in enumerate(stay))
        rate = rows[name].spike_rate
        assert rate == pytest.approx(spikes / (neurons[name] * stay.sum()))
        assert rate is not None
        assert 0 < rate < 1
    assert rows["fc"].spike_rate is None
    assert [rows[name].kind for name in ("conv1", "fc", "input", "output", "static")] == [
        "conv", "linear", "input", "output", "static",
    ]  # fmt: skip
    assert rows["conv1"].rows == 18
    assert sum(layer.crossbars for layer in result.layers) == result.meta.hardware.crossbars


def test_meta_says_what_was_run() -> None:
    meta = compared().meta
    assert (meta.images, meta.timesteps, meta.seed) == (60, 4, 0)
    assert meta.hardware.name == "dtsnn_32nm"
    assert meta.hardware.sha256 == hardware().sha256
    assert meta.inputs.sha256 == TEST.sha256
    assert meta.network.layers == 3
    assert meta.network.weights == sum(node.weight.size for node in network().weighted)
    assert plain_compare(network(), hardware(), TEST, HELD_OUT, replace(ONE, seed=7)).meta.seed == 7


def test_accuracies_of_the_bundle_are_passed_on() -> None:
    stated = {
        "accuracy": {"float_per_timestep": [0.5, 0.625], "quantised_per_timestep": (0.25,), "images": 10}
    }
    meta = plain_compare(replace(network(), provenance=stated), hardware(), TEST, HELD_OUT, ONE).meta.network
    assert meta.accuracy_float_per_timestep == (0.5, 0.625)
    assert meta.accuracy_quantised_per_timestep == (0.25,)
    assert compared().meta.network.accuracy_float_per_timestep is None


# Warnings and errors


def test_warnings() -> None:
    given = replace(ONE, threshold=0.2)
    assert compared().warnings == ()
    assert (
        "calibrated on the first reported images"
        in plain_compare(network(), hardware(), TEST, None, given).warnings[0]
    )
    assert plain_compare(network(), hardware(adc__full_scale="ideal"), TEST, None, given).warnings == ()
    marked = replace(TEST, split="validation")
    assert (
        "marked as validation images"
        in plain_compare(network(), hardware(), marked, HELD_OUT, given).warnings[0]
    )
    same = plain_compare(network(), hardware(), TEST, TEST, ONE).warnings
    assert same == ("60 of the 60 reported images are validation images too",)
    images = np.concatenate([HELD_OUT.images[:2], TEST.images[2:5]])
    part = Inputs(images, TEST.labels[:5], "part", "test", "1" * 64, CLASSES)
    assert plain_compare(network(), hardware(), part, HELD_OUT, ONE).warnings == (
        "2 of the 5 reported images are validation images too",
    )
    unsourced = replace(hardware(), unsourced=("noc.flit_bits",))
    assert plain_compare(network(), unsourced, TEST, HELD_OUT, given).warnings == (
        "1 hardware value has no source",
    )


@pytest.mark.parametrize("which", ["inputs", "validation"])
def test_images_that_do_not_fit_are_refused(which: str) -> None:
    wrong = replace(TEST, images=TEST.images[:, :, :7])
    pair = (wrong, HELD_OUT) if which == "inputs" else (TEST, wrong)
    with pytest.raises(ImcsimError, match="the images are 2 x 7 x 8, but the network takes 2 x 8 x 8"):
        compare(network(), hardware(), *pair, ONE)
    labels = replace(TEST, labels=TEST.labels + 1)
    pair = (labels, HELD_OUT) if which == "inputs" else (TEST, labels)
    with pytest.raises(ImcsimError, match="labels reach 5, but the network has 5 classes"):
        compare(network(), hardware(), *pair, ONE)


def test_progress_tells_of_every_image() -> None:
    told: list[tuple[str, int, int]] = []
    compare(network(), hardware(), TEST, labelled(4, 20), ONE, lambda *step: told.append(step))
    stages = list(dict.fromkeys(stage for stage, _, _ in told))
    assert stages == ["validation images", "images"]
    for stage, total in (("validation images", 20), ("images", 60)):
        counts = [done for name, done, _ in told if name == stage]
        assert counts == sorted(counts)
        assert counts[-1] == total
        assert {whole for name, _, whole in told if name == stage} == {total}


def test_a_static_run_does_not_look_at_validation_images() -> None:
    told: list[str] = []
    run(network(), hardware(), TEST, HELD_OUT, ONE, lambda stage, *_: told.append(stage), policy="static")
    assert set(told) == {"images"}
