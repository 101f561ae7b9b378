"""The laws of the whole simulator: what adds up, what equals a closed form, what never gets worse."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from networks import forward, mixed_network, random_images, random_network
from numpy.typing import NDArray
from plain import plain_compare

import imcsim.hardware
from imcsim.functional.run import run as play_values
from imcsim.hardware.config import Hardware
from imcsim.hardware.events import Event
from imcsim.inputs import Inputs
from imcsim.network import shapes
from imcsim.network.graph import INPUT, LI, LIF, Add, Conv2d, Flatten, Linear, Network, Pool2d
from imcsim.results.model import to_json
from imcsim.simulation.chip import make_chip
from imcsim.simulation.simulate import ExitCosts, Simulation, simulate
from imcsim.studies.comparison import compare
from imcsim.studies.settings import CompareOptions
from imcsim.timing import Issue, Timing

IMAGES = 24


def hardware(name: str = "dtsnn_32nm", **overrides: object) -> Hardware:
    """A built-in config; ``adc__bits`` stands for ``adc.bits``."""
    return imcsim.hardware.load(name, {k.replace("__", "."): v for k, v in overrides.items()})


def labelled(network: Network, seed: int, count: int = IMAGES) -> Inputs:
    """Random images, most of them labelled as the network sees them after its last timestep."""
    rng = np.random.default_rng(seed)
    images = random_images(rng, network.input_shape, count)
    outputs = forward(network, images, network.timesteps)[network.nodes[-1].name]
    labels = outputs.sum(0).reshape(count, -1).argmax(1)
    labels = np.where(rng.random(count) < 0.25, rng.integers(0, network.classes, count), labels)
    return Inputs(
        images, labels.astype(np.int64), f"images{seed}", "unknown", f"{seed:064x}", network.classes
    )


def simulated(network: Network, chip: Hardware, timesteps: int = 3, issue: Issue | None = None) -> Simulation:
    """The images of ``labelled(network, 1)``, to T max."""
    inputs = labelled(network, 1)
    return simulate(
        make_chip(network, chip, inputs, Timing(timesteps, issue or Issue()), workers=1), inputs, workers=1
    )


def whole(run: ExitCosts, event: Event) -> NDArray[np.int64]:
    """Counts of one image that stays to T max, ``[T, layers]``."""
    return run.ledger.fixed[event][0, -1]


def net(seed: int = 0, **settings: Any) -> Network:
    if "output" in settings:
        return mixed_network(np.random.default_rng(seed), **settings)
    return random_network(np.random.default_rng(seed), **({"depth": 3, "timesteps": 4} | settings))


# Law 1


@pytest.mark.parametrize("issue", [Issue(), Issue("speculate"), Issue("interleave", 2)], ids=str)
@pytest.mark.parametrize("name", ["dtsnn_32nm", "spikesim_65nm"])
def test_sums_of_the_ledger(name: str, issue: Issue) -> None:
    chip = hardware(name, technology__logic_leakage_uw_per_um2=0.01)
    run = simulated(net(residual=True), chip, issue=issue)
    prices, stay = run.chip.prices(), np.random.default_rng(3).integers(1, 4, IMAGES)
    for ran in (run.dynamic, run.static):
        ledger = ran.ledger
        totals, cancelled = ledger.totals(stay), ledger.cancelled(stay)
        assert set(totals) == set(ledger.fixed) | set(ledger.varied)
        assert not set(ledger.fixed) & set(ledger.varied)
        for event, table in totals.items():
            assert table.dtype == np.int64
            assert table.shape == (3, len(ledger.layers))
            # image by image
            alone = np.zeros_like(table)
            for k, t in enumerate(stay):
                counts = ledger.image_counts(event, int(t) - 1)
                alone += counts[0 if len(counts) == 1 else k]
            assert (alone == table).all(), event
            assert table.sum(0).sum() == table.sum(1).sum() == table.sum()
            assert (cancelled[event] <= table).all(), event
            assert (cancelled[event] >= 0).all(), event
            if ran is run.static or issue.kind != "speculate":
                assert not cancelled[event].any(), event
        components: dict[str, float] = {}
        layers, timesteps = np.zeros(len(ledger.layers)), np.zeros(3)
        for charge in prices:
            if charge.event in totals:
                table = totals[charge.event] * charge.energy_pj
                components[charge.component] = components.get(charge.component, 0.0) + math.fsum(
                    table.ravel()
                )
                layers += table.sum(0)
                timesteps += table.sum(1)
        images = ran.energy_pj[np.arange(IMAGES), stay - 1].sum()
        for total in (math.fsum(components.values()), layers.sum(), timesteps.sum()):
            assert total == pytest.approx(images, rel=1e-9)


def test_leaving_later_adds_whole_timesteps() -> None:
    """Under ``wait`` the ledger of exit t is the beginning of the ledger of exit T."""
    ledger = simulated(net(1, residual=True), hardware()).static.ledger
    for event in ledger.events:
        last = ledger.image_counts(event, 2)
        for t in range(3):
            counts = ledger.image_counts(event, t)
            if event in ledger.fixed:
                assert (counts[:, : t + 1] == last[:, : t + 1]).all(), event
                assert not counts[:, t + 1 :].any(), event
            else:
                assert (counts[:, : t + 1] == ledger.varied[event][:, : t + 1]).all(), event
                assert not counts[:, t + 1 :].any(), event


def test_the_document_says_what_the_ledger_says() -> None:
    network, chip = net(1), hardware()
    inputs = labelled(network, 1)
    result = plain_compare(network, chip, inputs, None, CompareOptions(threshold=0.3, timesteps=3, workers=1))
    run = simulated(network, chip)
    share = np.array(result.dynamic.exit_fraction) * IMAGES
    assert share.round() == pytest.approx(share)
    assert 0 < share[0] < IMAGES
    # Fixed events depend only on how many images run each timestep.
    running = np.cumsum(share[::-1])[::-1]
    for component in result.components:
        for action in component.actions:
            standing = action.name in ("leakage", "clock", "control")
            event = Event.POWERED_CYCLES if standing else Event(action.name)
            ledger = run.dynamic.ledger
            count = action.count * IMAGES
            assert count == pytest.approx(round(count), abs=1e-6)
            if event in ledger.fixed:
                assert round(count) == round(float(running @ whole(run.dynamic, event).sum(1)))
            assert action.energy_pj == pytest.approx(action.count * action.energy_pj_each, rel=1e-12)
    assert math.fsum(c.energy_pj for c in result.components) == pytest.approx(
        result.dynamic.energy_pj, rel=1e-9
    )
    assert math.fsum(la.energy_pj for la in result.layers) == pytest.approx(
        result.dynamic.energy_pj, rel=1e-9
    )
    assert math.fsum(la.share for la in result.layers) == pytest.approx(1)
    assert [la.name for la in result.layers] == [
        "input",
        *[n.name for n in network.weighted],
        "output",
        "static",
    ]
    assert math.fsum(c.area_um2 for c in result.components) == pytest.approx(result.meta.hardware.area_um2)


# Law 2: nothing below uses the engine, the kernels' counts or the mapping

ONES = np.array([int(k).bit_count() for k in range(256)])


def planes(network: Network, node: Conv2d | Linear) -> int:
    """Bits of an input value."""
    source = network.node(node.inputs[0]) if node.inputs[0] != INPUT else None
    if source is None:
        return network.input_bits
    largest = 1
    while isinstance(source, Flatten | Pool2d):
        if isinstance(source, Pool2d) and source.kind != "max":
            largest *= math.prod(source.size)
        source = network.node(source.inputs[0])
    assert isinstance(source, LIF)
    return (largest * source.max_spikes).bit_length()


def window_sums(
    values: NDArray[Any], node: Conv2d | Linear, weight: NDArray[Any], border: Any = 0
) -> NDArray[np.int64]:
    """``popcount(x) * weight[ky, kx, c]`` summed over all windows: ``[N, T]`` of ``[N, T, H, W, C]``."""
    bits = ONES[values]
    if isinstance(node, Linear):
        return np.asarray((bits.reshape(*bits.shape[:2], -1) * weight.ravel()).sum(-1))
    (top, left), (down, right) = node.padding, node.stride
    full = (*bits.shape[:2], bits.shape[2] + 2 * top, bits.shape[3] + 2 * left, bits.shape[4])
    padded = np.broadcast_to(ONES[border], full).copy()
    padded[:, :, top : top + bits.shape[2], left : left + bits.shape[3]] = bits
    # A dilated kernel is a larger one with holes.
    (apart, aside), (tall, wide) = node.dilation, weight.shape[:2]
    spread = np.zeros(((tall - 1) * apart + 1, (wide - 1) * aside + 1, weight.shape[2]), np.int64)
    spread[::apart, ::aside] = weight
    weight = spread
    height = (padded.shape[2] - weight.shape[0]) // down + 1
    width = (padded.shape[3] - weight.shape[1]) // right + 1
    total = np.zeros(values.shape[:2], np.int64)
    for y in range(height):
        for x in range(width):
            window = padded[
                :, :, y * down : y * down + weight.shape[0], x * right : x * right + weight.shape[1]
            ]
            total += (window * weight).sum((2, 3, 4))
    return total


def level_sums(network: Network, node: Conv2d | Linear, cell_bits: int) -> NDArray[np.int64]:
    """Levels on a wordline for offset weights, ``[kH, kW, Cin]``: the digits of ``w + 2**(b - 1)``."""
    weight = node.weight.astype(np.int64)
    if isinstance(node, Conv2d) and node.groups > 1:
        outer, inner = len(weight) // node.groups, weight.shape[1]
        dense = np.zeros((len(weight), inner * node.groups, *weight.shape[2:]), np.int64)
        for o, kernel in enumerate(weight):
            dense[o, o // outer * inner : (o // outer + 1) * inner] = kernel
        weight = dense
    shifted = weight + 2 ** (network.weight_bits - 1)
    digits = np.zeros_like(shifted)
    while shifted.any():
        digits += shifted % 2**cell_bits
        shifted //= 2**cell_bits
    total = digits.sum(0)
    return total.transpose(1, 2, 0) if total.ndim == 3 else total[None, None]


CASES = (
    [
        ("dtsnn_32nm", {"encoder__mode": mode, "mapping__replication": copies}, settings)
        for mode in ("keep", "recompute")
        for copies in ("none", "balanced")
        for settings in (
            {"channels": 20, "size": 9, "weight_bits": 8},
            {"residual": True, "classes": 3},
            {"average": True, "residual": True, "weight_bits": 3},
            {"output": "lif"},
            {"output": "li", "weight_bits": 5, "seed": 9},
            {"output": "linear", "seed": 17},
        )
    ]
    + [
        ("dtsnn_32nm", {"cells__parallel_rows": 8}, {"channels": 20, "size": 9, "weight_bits": 8}),
        ("dtsnn_32nm", {"cells__parallel_rows": 24, "encoder__mode": "recompute"}, {"residual": True}),
        ("spikesim_65nm", {"cells__parallel_rows": 3, "cells__rows": 8}, {"channels": 20, "size": 9}),
    ]
    + [
        ("spikesim_65nm", {"encoder__mode": mode, "cells__rows": 8}, settings)
        for mode in ("keep", "recompute")
        for settings in (
            {"channels": 20, "size": 9},
            {"residual": True, "average": True},
            {"output": "linear"},
        )
    ]
)


@pytest.mark.parametrize(("name", "overrides", "settings"), CASES)
def test_counts_equal_closed_forms(name: str, overrides: dict[str, Any], settings: dict[str, Any]) -> None:
    network, timesteps = net(**({"seed": 4} | settings)), 3
    chip = hardware(name, **overrides)
    run = simulated(network, chip, timesteps)
    config, ledger, sizes = chip.config, run.static.ledger, shapes(network)
    sources = {node.inputs[0] for node in network.weighted} | {
        n.name for n in network.nodes if isinstance(n, LIF)
    }
    inputs = labelled(network, 1)
    recorded = play_values(
        run.chip.program, inputs.images, timesteps, run.chip.converters, record=sources
    ).recorded
    index = {layer: k for k, layer in enumerate(ledger.layers)}

    def fixed(event: Event, layer: str) -> list[int]:
        if event not in ledger.fixed:
            return [0] * timesteps
        return [int(n) for n in whole(run.static, event)[:, index[layer]]]

    slices = -(-network.weight_bits // config.cells.cell_bits)
    for node in network.weighted:
        shape = sizes[node.name]
        positions, outer = math.prod(shape[1:]), shape[0]
        kernel = node.weight.shape[2:] if isinstance(node, Conv2d) else (1, 1)
        groups = node.groups if isinstance(node, Conv2d) else 1
        inner = node.weight.shape[1] * groups  # zeros stand where groups do not meet
        columns = -(-outer // (config.cells.columns // slices))
        if config.cells.row_order == "im2col":
            blocks, crossbars = -(-math.prod(kernel) * inner // config.cells.rows), 1
        else:
            blocks, crossbars = -(-inner // config.cells.rows), math.prod(kernel)
        filling = math.prod(kernel) * inner if config.cells.row_order == "im2col" else inner
        turns = sum(
            -(-min(config.cells.rows, filling - first) // config.cells.rows_at_once)
            for first in range(0, filling, config.cells.rows)
        )
        reading = node.inputs[0] == INPUT
        once = reading and config.encoder.mode == "keep"
        runs = [1, 0, 0] if once else [1, 1, 1]
        bits = planes(network, node)
        reads = positions * bits * turns * columns * crossbars
        assert fixed(Event.CROSSBAR_READS, node.name) == [reads * r for r in runs]
        assert fixed(Event.CROSSBAR_PHASES, node.name) == [reads * 8 * r for r in runs]
        conversions = positions * bits * turns * outer * slices
        assert fixed(Event.CONVERSIONS, node.name) == [conversions * r for r in runs]
        assert fixed(Event.SHIFT_ADDS, node.name) == [conversions * r for r in runs]
        # every block but the first is added on, and the offset once more
        assert fixed(Event.PARTIAL_SUM_ADDS, node.name) == [positions * outer * blocks * r for r in runs]
        stored = positions * outer * config.lif.partial_sum_bits * once
        assert fixed(Event.CURRENT_WRITE_BITS, node.name) == [stored, 0, 0]
        assert fixed(Event.CURRENT_READ_BITS, node.name) == [0, stored, stored]
        if config.cells.row_order == "kernel_position":
            cycles = positions * bits * turns * columns
            assert fixed(Event.PE_CYCLES, node.name) == [cycles * r for r in runs]
            assert fixed(Event.PE_PHASES, node.name) == [cycles * 8 * r for r in runs]
        # what depends on values
        values = np.asarray(recorded[node.inputs[0]])
        flat = (1, 1, inner) if isinstance(node, Linear) else (*kernel, inner)
        border = np.array(network.input_padding) if reading and network.input_padding else 0
        all_levels = level_sums(network, node, config.cells.cell_bits)
        rows = window_sums(values, node, np.ones(flat, np.int64), border) * np.array(runs)
        levels = window_sums(values, node, all_levels, border) * np.array(runs)
        at = (slice(None), slice(None), index[node.name])
        assert (ledger.varied[Event.SYNAPTIC_OPERATIONS][at] == rows * outer // groups).all()
        assert (ledger.varied[Event.ACTIVE_WORDLINES][at] == rows * columns).all()
        assert (ledger.varied[Event.ACTIVE_CELLS][at] == rows * outer * slices).all()
        assert (ledger.varied[Event.ACTIVE_LEVELS][at] == levels).all()
    neurons = [n for n in network.nodes if isinstance(n, LIF | LI)]
    updates = whole(run.static, Event.LIF_UPDATES).sum(1)
    # A synaptic current is a second word of state; each bit of the spikes beyond the first is an update.
    words = {n.name: 1 if n.synapse is None else 2 for n in neurons}
    rests = {n.name: n.refractory.bit_length() for n in neurons if isinstance(n, LIF)}
    several = {n.name: n.max_spikes.bit_length() - 1 for n in neurons if isinstance(n, LIF)}
    turns = sum(math.prod(sizes[n]) * (words[n] + several.get(n, 0)) for n in words)
    assert updates.tolist() == [turns] * timesteps
    held = sum(math.prod(sizes[n]) * (words[n] * config.lif.membrane_bits + rests.get(n, 0)) for n in words)
    membranes = np.full(timesteps, held)
    assert (whole(run.static, Event.MEMBRANE_WRITE_BITS).sum(1) == membranes).all()
    # At the first timestep every potential is known and is not read.
    assert whole(run.static, Event.MEMBRANE_READ_BITS).sum(1).tolist() == [0, *membranes[1:]]
    kept = sum(math.prod(sizes[n.name]) for n in network.weighted if n.inputs[0] == INPUT)
    kept *= config.lif.partial_sum_bits if config.encoder.mode == "keep" else 0
    assert run.chip.size.memory_bits == held + kept
    firing = [n.name for n in neurons if isinstance(n, LIF)]
    spikes = sum(np.asarray(recorded[name]).sum((2, 3, 4), dtype=np.int64) for name in firing)
    assert (ledger.varied[Event.SPIKES].sum(2) == spikes).all()
    assert spikes.sum() > 0
    adds = sum(math.prod(sizes[n.name]) * (len(n.inputs) - 1) for n in network.nodes if isinstance(n, Add))
    if adds:
        assert whole(run.static, Event.RESIDUAL_ADDS).sum(1).tolist() == [adds] * timesteps
    pools = sum(math.prod(sizes[n.name]) * math.prod(n.size) for n in network.nodes if isinstance(n, Pool2d))
    if pools:
        assert whole(run.static, Event.POOL_OPERATIONS).sum(1).tolist() == [pools] * timesteps
    image = math.prod(network.input_shape) * network.input_bits
    assert fixed(Event.IMAGE_BITS, "input") == fixed(Event.GLOBAL_BUFFER_WRITE_BITS, "input") == [image, 0, 0]
    assert fixed(Event.GLOBAL_BUFFER_READ_BITS, "input") == [image * r for r in runs_of_the_image(config)]
    assert fixed(Event.ACCUMULATOR_ADDS, "output") == [2 * network.classes] * timesteps
    assert fixed(Event.CHECKER_EXP_LOOKUPS, "output") == [network.classes] * timesteps


def runs_of_the_image(config: Any) -> list[int]:
    return [1, 0, 0] if config.encoder.mode == "keep" else [1, 1, 1]


def test_copies_move_work_but_do_not_change_it() -> None:
    network = net(4, channels=20, size=9)
    one, many = (simulated(network, hardware(mapping__replication=how)) for how in ("none", "balanced"))
    assert max(layer.copies for layer in many.chip.placement.layers) > 1
    assert (many.static.latency_ns < one.static.latency_ns).all()
    same = (
        Event.CROSSBAR_READS, Event.CONVERSIONS, Event.LIF_UPDATES, Event.PARTIAL_SUM_ADDS,
        Event.OUTPUT_REGISTER_BITS,
        Event.PE_BUFFER_READ_BITS, Event.INPUT_REGISTER_BITS, Event.IMAGE_BITS,
    )  # fmt: skip
    for event in same:
        assert (whole(one.static, event) == whole(many.static, event)).all(), event
    for event, table in one.static.ledger.varied.items():
        assert (table == many.static.ledger.varied[event]).all(), event


# Law 4


def test_workers_do_not_change_a_byte() -> None:
    network = net(2, residual=True)
    inputs, validation = labelled(network, 1, 40), labelled(network, 2, 40)
    texts = {
        to_json(compare(network, hardware(), inputs, validation, CompareOptions(workers=workers)))
        for workers in (1, 2, 2)
    }
    assert len(texts) == 1


# Law 6


@pytest.mark.parametrize("issue", ["wait", "speculate", "interleave:2"])
@pytest.mark.parametrize(
    ("rule", "accumulation"),
    [("entropy", "mean"), ("entropy", "sum"), ("max_softmax", "mean"), ("margin", "sum")],
)
def test_threshold_zero_is_static(rule: Any, accumulation: Any, issue: str) -> None:
    network = net(3)
    options = CompareOptions(threshold=0.0, rule=rule, accumulation=accumulation, workers=1, issue=issue)
    result = plain_compare(network, hardware(), labelled(network, 1), None, options)
    own = result.opponents[issue == "speculate"]  # a chip that runs ahead runs static timesteps ahead too
    last, dynamic = own.static[-1], result.dynamic
    assert last.issue == ("pipeline" if issue == "speculate" else "wait")
    assert dynamic.exit_fraction == (0, 0, 0, 1)
    assert dynamic.mean_timesteps == 4
    for key in (
        "accuracy", "accuracy_low", "accuracy_high", "energy_pj", "latency_ns", "edp_mean_of_products",
        "edp_product_of_means",
    ):  # fmt: skip
        assert getattr(dynamic, key) == getattr(last, key), key
    assert dynamic.latency_p50_ns == dynamic.latency_p99_ns == last.latency_ns
    assert set(result.reductions[issue == "speculate"].model_dump(exclude={"issue"}).values()) == {0.0}
    if last.issue == result.static[-1].issue:
        assert all(c.energy_pj == c.static_energy_pj for c in result.components)
    else:  # the better opponent takes less EDP for the same answers
        assert result.static[-1].edp_mean_of_products <= last.edp_mean_of_products
        assert result.static[-1].accuracy == last.accuracy


@pytest.mark.parametrize("issue", ["wait", "speculate", "interleave:2"])
@pytest.mark.parametrize("rule", ["entropy", "max_softmax", "margin"])
def test_cost_never_grows_with_the_threshold(rule: Any, issue: str) -> None:
    network = net(3)
    options = CompareOptions(threshold=0.5, rule=rule, workers=1, issue=issue)
    result = plain_compare(network, hardware(), labelled(network, 1), None, options)
    assert len(result.curve) > 5
    thresholds = [point.threshold for point in result.curve]
    assert thresholds == sorted(thresholds)
    assert (thresholds[0], thresholds[-1]) == (0, 1)
    for key in ("mean_timesteps", "energy_pj", "latency_ns", "edp_mean_of_products", "edp_product_of_means"):
        values = [getattr(point, key) for point in result.curve]
        assert all(b <= a * (1 + 1e-12) for a, b in pairwise(values)), key
        assert values[-1] < values[0]


@pytest.mark.parametrize("issue", ["wait", "speculate"])
@pytest.mark.parametrize("size", [8, 9])
@pytest.mark.parametrize(("mode", "full_scale"), [("keep", "calibrated"), ("recompute", "ideal")])
def test_a_static_point_is_the_run_of_that_length(mode: str, full_scale: str, size: int, issue: str) -> None:
    # Odd sizes leave a row over that no pool takes: it is computed and paid for all the same.
    network = net(5, residual=size == 8, average=True, size=size)
    chip = hardware(encoder__mode=mode, adc__full_scale=full_scale, adc__bits=5)
    inputs = labelled(network, 1)
    options = CompareOptions(threshold=0.2, workers=1, issue=issue)
    long = plain_compare(network, chip, inputs, None, options)
    for timesteps in (1, 3):
        short = plain_compare(network, chip, inputs, None, replace(options, timesteps=timesteps))
        assert short.meta.timesteps == timesteps
        assert short.static == long.static[:timesteps]
        for few, all_of_them in zip(short.opponents, long.opponents, strict=True):
            assert few.static == all_of_them.static[:timesteps]
