"""A widened network computes the same function; what it costs, derived from the narrow one's run, is what it
costs when it is run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from networks import forward, mixed_network, random_images, random_network, vgg_like
from random_chips import any_network
from wide_networks import resnet19

import imcsim.hardware
import imcsim.network
import imcsim.simulation.values
from imcsim.base.errors import ImcsimError
from imcsim.functional.program.program import build
from imcsim.functional.run import Activity, ideal_converters
from imcsim.functional.run import run as play_values
from imcsim.hardware.config import Hardware
from imcsim.hardware.events import Event
from imcsim.inputs import Inputs
from imcsim.mapping import place
from imcsim.network import problems, shapes
from imcsim.network.graph import INPUT, LI, LIF, Add, Conv2d, Flatten, Linear, Network, Pool2d
from imcsim.network.widen import copies, widen
from imcsim.results.model import to_json
from imcsim.simulation.chip import numerics
from imcsim.simulation.counts import travelling
from imcsim.studies.comparison import compare_of, run_of
from imcsim.studies.experiment import Experiment
from imcsim.studies.settings import CompareOptions
from imcsim.studies.streaming import stream_of
from imcsim.studies.widened import widened_activity, widened_experiment

IMAGES = 6

KINDS: dict[str, Callable[[np.random.Generator], Network]] = {
    "vgg": lambda rng: vgg_like(rng, plan=(4, "M", 6, "M", 5), size=8, classes=5, timesteps=3),
    "average": lambda rng: random_network(rng, average=True, depth=3),
    "residual": lambda rng: random_network(rng, residual=True, depth=3, average=True),
    "mixed": lambda rng: mixed_network(rng, timesteps=3),
    "spikes out": lambda rng: mixed_network(rng, output="lif", timesteps=3),
    "membranes out": lambda rng: mixed_network(rng, output="li", timesteps=3),
}
"""Maps of 2 x 2 that are flattened; averages; identity and strided shortcuts; dilated, grouped and depthwise
convolutions, a border around the image and neurons with parameters of their own."""


@cache
def narrow(kind: str, seed: int = 0) -> Network:
    return KINDS[kind](np.random.default_rng(seed))


@cache
def images(kind: str, seed: int) -> Inputs:
    """Labelled mostly as the network sees them."""
    network, rng = narrow(kind), np.random.default_rng(seed)
    drawn = random_images(rng, network.input_shape, 2 * IMAGES)
    outputs = forward(network, drawn, network.timesteps)[network.nodes[-1].name]
    labels = outputs.sum(0).reshape(len(drawn), -1).argmax(1)
    labels[::4] = rng.integers(0, network.classes, len(labels[::4]))
    return Inputs(drawn, labels.astype(np.int64), f"i{seed}", "unknown", f"{seed:064x}", network.classes)


def hardware(**changed: Any) -> Hardware:
    """A chip whose ADCs are exact: 10 bits for 64 rows of 4-bit cells."""
    exact = {"adc.bits": 10, "adc.full_scale": "ideal"}
    return imcsim.hardware.load("dtsnn_32nm", exact | {k.replace("__", "."): v for k, v in changed.items()})


def bench(
    network: Network, chip: Hardware, kind: str, *, held_out: bool = True, **options: Any
) -> Experiment:
    validation = images(kind, 2) if held_out else None
    return Experiment.make(
        network, chip, images(kind, 1), validation, CompareOptions(workers=1, **options), None
    )


# The network


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_the_function_is_the_same(kind: str, factor: int) -> None:
    """Every spike and class output, by an independent forward pass in floating point."""
    network = narrow(kind)
    wide = widen(network, factor)
    drawn = images(kind, 1).images[:IMAGES]
    one, other = (forward(n, drawn, network.timesteps) for n in (network, wide))
    copied = copies(network, factor)
    for node in network.nodes:
        source = node.inputs[0] if isinstance(node, Flatten) else node.name
        expected = one[source].repeat(int(copied[node.name]), axis=2)
        assert np.array_equal(expected.reshape(other[node.name].shape), other[node.name]), node.name
    assert other[network.nodes[-1].name].shape[2] == network.classes


def test_a_factor_that_is_no_power_of_two_only_rounds_scales() -> None:
    network = narrow("residual")
    drawn = images("residual", 1).images[:IMAGES]
    one, other = (forward(n, drawn, 3)["fc"] for n in (network, widen(network, 3)))
    assert np.allclose(one, other, rtol=1e-12, atol=1e-12)


def test_the_quarter_of_resnet19_widens_to_resnet19() -> None:
    """As many channels, crossbars and tiles as the network of the paper."""
    quarter = _scaled_down(resnet19(), 4)
    wide, full = widen(quarter, 4), resnet19()
    assert shapes(wide) == shapes(full)
    chip = imcsim.hardware.load("dtsnn_32nm", {"mapping.placement": "path"}).config
    one, other = place(wide, chip), place(full, chip)
    assert one.graph == other.graph
    assert [la.crossbars for la in one.layers] == [la.crossbars for la in other.layers]
    assert (one.parts, one.positions, one.size) == (other.parts, other.positions, other.size)


def _scaled_down(network: Network, factor: int) -> Network:
    """`network` with a part of its channels, but for image and classes."""
    nodes = []
    for node in network.nodes:
        if isinstance(node, Conv2d | Linear):
            outer = len(node.weight) if node is network.nodes[-1] else len(node.weight) // factor
            inner = node.weight.shape[1] if INPUT in node.inputs else node.weight.shape[1] // factor
            node = replace(
                node, weight=node.weight[:outer, :inner], scale=node.scale[:outer], bias=node.bias[:outer]
            )
        nodes.append(node)
    return replace(network, nodes=tuple(nodes))


def test_weights_stay_integers_and_the_name_says_what_it_is(tmp_path: Path) -> None:
    network = imcsim.network.load("vgg7_cifar10")
    wide = widen(network, 4)
    assert wide.name == "vgg7_cifar10_x4"
    assert wide.provenance["widened"]["network"] == network.name
    assert wide.provenance["widened"]["sha256"] == network.sha256
    assert wide.provenance["widened"]["factor"] == 4
    assert wide.provenance["accuracy"] == network.provenance["accuracy"]
    for one, other in zip(network.weighted, wide.weighted, strict=True):
        assert other.weight.dtype == one.weight.dtype
        assert set(np.unique(other.weight)) == set(np.unique(one.weight))
    imcsim.network.save(wide, tmp_path / "wide")
    assert imcsim.network.load(tmp_path / "wide").sha256 == wide.sha256
    assert widen(network, 1) is network
    long = replace(network, name="n" * 64)
    assert widen(long, 16).name == "n" * 60 + "_x16"


BY_LAYER: dict[str, dict[str, int | Fraction]] = {
    "whole": {"conv1": 4, "conv2": 2},
    "halves": {"conv1": Fraction(3, 2), "conv2": Fraction(4, 3), "conv3": Fraction(7, 5)},
    "both": {"conv1": 2, "conv2": Fraction(5, 2), "conv3": 3},
}
"""For layers of 4, 6 and 5 channels, the last of which the classifier reads as maps of 2 x 2."""


@pytest.mark.parametrize("kind", BY_LAYER)
def test_layers_may_have_factors_of_their_own(kind: str) -> None:
    """The same function; of a factor that is not whole, the first channels stand once more."""
    network, factor = narrow("vgg"), BY_LAYER[kind]
    wide = widen(network, factor)
    drawn = images("vgg", 1).images[:IMAGES]
    one, other = (forward(n, drawn, network.timesteps) for n in (network, wide))
    assert np.allclose(one["fc"], other["fc"], rtol=1e-12, atol=1e-12)
    layers = [node for node in network.weighted if isinstance(node, Conv2d)]
    assert [len(n.weight) for n in wide.weighted] == [
        *(int(len(n.weight) * factor.get(n.name, 1)) for n in layers), network.classes,
    ]  # fmt: skip
    if kind == "halves":
        assert np.array_equal(one["lif1"].repeat([2, 2, 1, 1], axis=2), other["lif1"])
    assert wide.name == "vgg_like_wide"
    assert wide.provenance["widened"]["factor"]["conv1"] == str(factor["conv1"])
    assert widen(network, dict.fromkeys(factor, 1)) is network


def test_activity_by_layer_is_that_of_a_run_or_its_mean_over_choices() -> None:
    """Exact where factors are powers of two; else the mean over which channels stand once more."""
    rng = np.random.default_rng(4)
    network = narrow("vgg")
    drawn = random_images(rng, network.input_shape, 4)
    both(network, hardware(), {"conv1": 4, "conv2": 2}, drawn)
    program = build(network, numerics(hardware().config))
    activity = play_values(program, drawn, network.timesteps, ideal_converters(program), workers=1)
    derived = widened_activity(activity, network, {"conv1": Fraction(3, 2)})
    assert np.array_equal(derived.active_rows[..., 0], activity.active_rows[..., 0])
    assert np.array_equal(derived.active_rows[..., 1], (3 * activity.active_rows[..., 1] + 1) // 2)
    assert np.array_equal(derived.active_rows[..., 2:], activity.active_rows[..., 2:])
    for layer in (0, 1):
        expected = (3 * activity.active_levels[..., layer] + 1) // 2
        assert np.array_equal(derived.active_levels[..., layer], expected)
    found = []
    for order in ([0, 1, 2, 3], [2, 3, 0, 1]):  # each channel stands twice in one of two networks
        other = _reordered(network, order)
        made = build(widen(other, {"conv1": Fraction(3, 2)}), numerics(hardware().config))
        found.append(play_values(made, drawn, network.timesteps, ideal_converters(made), workers=1))
    rows, spikes = (sum(getattr(a, of) for a in found) for of in ("active_rows", "spikes"))
    assert np.abs(rows - 2 * derived.active_rows).max() <= 1
    assert np.abs(spikes - 2 * derived.spikes).max() <= 1


def _reordered(network: Network, order: list[int]) -> Network:
    """The same function with the channels of its first layer in another order."""
    first, second = (network.node(name) for name in ("conv1", "conv2"))
    assert isinstance(first, Conv2d)
    assert isinstance(second, Conv2d)
    changed = {
        "conv1": replace(first, weight=first.weight[order], scale=first.scale[order], bias=first.bias[order]),
        "conv2": replace(second, weight=second.weight[:, order]),
    }
    return replace(network, nodes=tuple(changed.get(node.name, node) for node in network.nodes))


@pytest.mark.parametrize(
    ("kind", "factor", "message"),
    [
        ("vgg", {"conv": 2}, "'conv' is no layer with weights"),
        ("vgg", {"fc": 2}, "fc have the same channels, those of the class outputs"),
        ("vgg", {"conv1": Fraction(1, 2)}, "at least 1, not Fraction"),
        ("vgg", {"conv1": 1.5}, "at least 1, not 1.5"),
        ("vgg", {"conv1": True}, "at least 1, not True"),
        ("vgg", {"conv1": Fraction(4, 3)}, "conv1 has 4 channels, of which 4/3 times are no whole number"),
    ],
)
def test_impossible_factors_of_layers_are_refused(kind: str, factor: Any, message: str) -> None:
    with pytest.raises(ImcsimError, match=message):
        widen(narrow(kind), factor)


def test_channels_that_are_added_need_one_factor() -> None:
    network = narrow("residual")
    add = next(node for node in network.nodes if isinstance(node, Add))
    layers = {n.name for n in network.weighted}
    first = next(name for name in add.inputs if name in layers)
    with pytest.raises(ImcsimError, match="have the same channels, but factors of 1 and 2"):
        widen(network, {first: 2})


def test_groups_need_whole_factors() -> None:
    network = narrow("mixed")
    with pytest.raises(ImcsimError, match="grouped is grouped: its groups would differ"):
        widen(network, {"grouped": Fraction(4, 3)})


@pytest.mark.parametrize("factor", [0, -1, 1.5, True, 10**6, "4"])
def test_impossible_factors_are_refused(factor: Any) -> None:
    with pytest.raises(ImcsimError, match="factor"):
        widen(narrow("vgg"), factor)


def test_channels_of_the_class_outputs_are_not_copied() -> None:
    """Also where spikes meet the outputs directly, and where those spikes are read elsewhere."""
    ones, nothing = np.ones(4), np.zeros(4)

    def conv(name: str, source: str) -> Conv2d:
        return Conv2d(name, (source,), np.ones((4, 4, 1, 1), np.int8), ones, nothing)

    first = Conv2d("a", (INPUT,), np.ones((4, 3, 1, 1), np.int8), ones, nothing)
    nodes = (
        first, LIF("s", ("a",), 0.5, 1.0, "hard"), conv("b", "s"), LIF("t", ("b",), 0.5, 1.0, "hard"),
        conv("c", "t"), Add("add", ("c", "s")), LI("out", ("add",), 0.5),
    )  # fmt: skip
    network = Network("n", (3, 1, 1), 1, 1.0, 4, 2, 4, nodes)
    wide = widen(network, 4)
    assert {n: c for n, c in copies(network, 4).items() if c == 1}.keys() == {
        INPUT, "a", "s", "c", "add", "out",
    }  # fmt: skip
    assert [n.weight.shape[:2] for n in wide.weighted] == [(4, 3), (16, 4), (4, 16)]
    assert [n.scale[0] for n in wide.weighted] == [1.0, 1.0, 0.25]


# What images do


def same(one: Activity, other: Activity) -> None:
    """Equal in all but reads, which are not derived."""
    for field in fields(Activity):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if field.name == "toggles":
            assert a.keys() == b.keys()
            assert all(np.array_equal(a[node], b[node]) for node in a)
        elif field.name not in ("active_reads", "recorded"):
            assert np.array_equal(a, b), field.name


def both(network: Network, chip: Hardware, factor: int, drawn: Any) -> None:
    """Run the wide network, and derive what it does."""
    found = []
    for one in (network, widen(network, factor)):
        program = build(one, numerics(chip.config))
        nodes = travelling(place(one, chip.config))
        found.append(
            play_values(
                program, drawn, network.timesteps, ideal_converters(program), workers=1, toggles=nodes
            )
        )
    derived = widened_activity(found[0], network, factor)
    same(derived, found[1])
    assert (derived.active_reads == -1).all()
    assert not derived.recorded
    assert derived.toggles


@settings(max_examples=12, deadline=None)
@given(
    kind=st.sampled_from(sorted(KINDS)),
    seed=st.integers(0, 2**16),
    factor=st.sampled_from((2, 4)),
    encoding=st.sampled_from(("offset", "differential", "twos_complement")),
)
def test_activity_is_that_of_a_run(kind: str, seed: int, factor: int, encoding: str) -> None:
    rng = np.random.default_rng(seed)
    network = KINDS[kind](rng)
    drawn = random_images(rng, network.input_shape, 4)
    both(network, hardware(cells__encoding=encoding), factor, drawn)


@settings(max_examples=20, deadline=None)
@given(network=any_network(max_size=5), data=st.data())
def test_shapes_and_activity_of_any_graph(network: Network, data: st.DataObject) -> None:
    assume(not list(problems(network)))
    once, copied = shapes(network), copies(network, 2)
    rows = (node for node in network.nodes if isinstance(node, Pool2d) and len(once[node.name]) == 1)
    if any(copied[node.name] > 1 for node in rows):
        with pytest.raises(ImcsimError, match="pools neighbours in a row of values"):
            widen(network, 2)
        return
    wide = widen(network, 2)
    twice = shapes(wide)
    assert all(twice[n] == (once[n][0] * copied[n], *once[n][1:]) for n in once)
    assert set(copied.values()) <= {1, 2}
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    drawn = rng.integers(0, 1 << network.input_bits, (2, *network.input_shape)).astype(np.uint8)
    both(network, hardware(), 2, drawn)


# What they cost


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        ("vgg", {"encoder__mode": "keep", "activity__toggling": "counted"}),
        ("vgg", {"encoder__mode": "recompute", "cells__rows": 16, "cells__columns": 16}),
        ("residual", {"activity__toggling": "counted", "tile__crossbars_per_pe": 2, "tile__pes_per_tile": 2}),
        ("residual", {"encoder__mode": "recompute", "activity__toggling": "counted"}),
        ("mixed", {"activity__toggling": "counted"}),
        ("spikes out", {}),
        ("membranes out", {"clock__gating": "idle_tiles"}),
    ],
)
@pytest.mark.parametrize("issue", ["wait", "speculate"])
def test_costs_are_those_of_a_run_of_the_wide_network(kind: str, changed: Any, issue: str) -> None:
    chip = hardware(mapping__placement="path", **changed)
    options: dict[str, Any] = {"issue": issue, "thresholds": "each" if issue == "speculate" else "one"}
    derived = widened_experiment(bench(narrow(kind), chip, kind, **options), 4)
    run = bench(widen(narrow(kind), 4), chip, kind, **options)
    same(derived.images.activity, run.images.activity)
    assert derived.held_out is not None
    assert run.held_out is not None
    same(derived.held_out.activity, run.held_out.activity)
    for mine, its in (
        (derived.images.dynamic, run.images.dynamic),
        (derived.images.static, run.images.static),
        (derived.held_out.dynamic, run.held_out.dynamic),
    ):
        assert np.array_equal(mine.energy_pj, its.energy_pj)
        assert np.array_equal(mine.latency_ns, its.latency_ns)
        for counts, expected in (
            (mine.ledger.fixed, its.ledger.fixed),
            (mine.ledger.varied, its.ledger.varied),
        ):
            assert counts.keys() == expected.keys()
            assert all(np.array_equal(counts[event], expected[event]) for event in counts)
    assert ("activity__toggling" in changed) == (Event.HTREE_TOGGLES in derived.images.static.ledger.varied)
    assert to_json(compare_of(derived)) == to_json(compare_of(run))
    if issue == "wait":
        assert to_json(stream_of(derived, policy="static")) == to_json(stream_of(run, policy="static"))


@pytest.mark.parametrize("changed", [{}, {"adc__bits": 5, "adc__full_scale": "calibrated"}])
def test_no_image_is_run_and_values_stay_the_narrow_networks(
    changed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Accuracy, exits, threshold and spike rates too where ADCs round and clip."""
    small = bench(narrow("vgg"), hardware(**changed), "vgg")
    monkeypatch.setattr(
        imcsim.simulation.values, "run_program", lambda *a, **k: pytest.fail("ran the images")
    )
    wide = widened_experiment(small, 4)
    one, other = compare_of(small), compare_of(wide)
    for result in ("accuracy", "mean_timesteps", "exit_fraction", "threshold", "validation"):
        assert getattr(one.dynamic, result) == getattr(other.dynamic, result)
    assert [p.accuracy for p in one.static] == [p.accuracy for p in other.static]
    assert [la.spike_rate for la in one.layers] == [la.spike_rate for la in other.layers]
    assert other.static[-1].energy_pj > 1.4 * one.static[-1].energy_pj
    assert other.meta.network.name == "vgg_like_x4"
    assert other.meta.network.weights == sum(n.weight.size for n in widen(narrow("vgg"), 4).weighted)
    assert [w for w in other.warnings if w not in one.warnings] == [
        "vgg_like_x4 is a narrower network with each channel several times: costs are those of the wide "
        "chip, spike rates and accuracy those of the narrow network"
    ]
    for issue in ("speculate", "interleave:2"):
        later = wide.with_issue(issue)
        assert later.images.activity is wide.images.activity
        assert later.meta() == widened_experiment(small.with_issue(issue), 4).meta()
        assert to_json(run_of(later)) == to_json(run_of(widened_experiment(small.with_issue(issue), 4)))


def test_inputs_with_frames_beside_validation_images_without() -> None:
    network, rng = narrow("vgg"), np.random.default_rng(5)
    frames = rng.integers(0, 256, (IMAGES, 3, *network.input_shape)).astype(np.uint8)
    timed = Inputs(frames, np.zeros(IMAGES, np.int64), "timed", "unknown", "0" * 64, network.classes)
    about = hardware(mapping__placement="path"), timed, images("vgg", 2), CompareOptions(workers=1), None
    derived = widened_experiment(Experiment.make(network, *about), 2)
    assert to_json(compare_of(derived)) == to_json(compare_of(Experiment.make(widen(network, 2), *about)))


def test_a_threshold_given_needs_no_validation_images() -> None:
    small = bench(narrow("vgg"), hardware(), "vgg", held_out=False, threshold=0.5)
    wide = widened_experiment(small, 2)
    assert wide.held_out is None
    assert compare_of(wide).dynamic.threshold == 0.5


@pytest.mark.parametrize(
    "changed", [{"activity__skip_zero_reads": True}, {"activity__spike_coding": "aer"}], ids=str
)
def test_time_that_depends_on_values_is_refused(changed: Any) -> None:
    small = bench(narrow("vgg"), hardware(**changed), "vgg", threshold=0.5)
    with pytest.raises(ImcsimError, match="time depends on every single value") as error:
        widened_experiment(small, 2)
    assert error.value.key == next(iter(changed)).replace("__", ".")


def test_a_wide_network_that_does_not_fit_the_chip_is_refused() -> None:
    small = bench(narrow("vgg"), hardware(mesh__columns=3, mesh__rows=2), "vgg")
    with pytest.raises(ImcsimError, match="mesh"):
        widened_experiment(small, 64)
