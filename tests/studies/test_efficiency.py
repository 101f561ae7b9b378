"""Figures that papers ask for: against closed forms by hand, and against sums that other code makes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from networks import mixed_network, random_images, random_network
from plain import plain_compare
from pydantic import ValidationError

import imcsim.hardware
from imcsim.hardware.naive import naive_energies
from imcsim.hardware.tile_budget import tile_power_mw
from imcsim.inputs import Inputs
from imcsim.network import shapes
from imcsim.network.graph import Conv2d, Linear, Network
from imcsim.results.comparison import CompareResult
from imcsim.results.model import to_json
from imcsim.results.run import RunResult
from imcsim.studies.comparison import run
from imcsim.studies.settings import CompareOptions
from imcsim.validate.by_hand import one_read, ones

ONE = CompareOptions(workers=1)


def images_of(network: Network, count: int, seed: int = 1) -> Inputs:
    rng = np.random.default_rng(seed)
    images = random_images(rng, network.input_shape, count)
    return Inputs(images, rng.integers(0, network.classes, count), "images", "unknown", "", network.classes)


def alone(network: Network, inputs: Inputs, timesteps: int, **overrides: Any) -> RunResult:
    hardware = imcsim.hardware.load(
        "dtsnn_32nm", {key.replace("__", "."): value for key, value in overrides.items()}
    )
    options = CompareOptions(workers=1, timesteps=timesteps)
    return run(network, hardware, inputs, None, options, policy="static")


@pytest.fixture(scope="module")
def compared() -> CompareResult:
    network = random_network(np.random.default_rng(11), depth=2, classes=5, timesteps=3, channels=8)
    hardware = imcsim.hardware.load("dtsnn_32nm")
    options = CompareOptions(workers=1, threshold=0.5)
    return plain_compare(network, hardware, images_of(network, 20), None, options)


def test_operations_of_one_read_by_hand() -> None:
    network = one_read()
    result = alone(network, ones(network), 1)
    whole, (_, read, fc, *_) = result.outcome.efficiency, result.outcome.layer_efficiency
    # 64 inputs of one bit, all 1, meet 32 channels; all neurons fire and meet 10 classes.
    assert (read.synaptic_operations, read.operations) == (64 * 32, 2 * 64 * 32)
    assert (fc.synaptic_operations, fc.operations) == (32 * 10, 2 * 32 * 10)
    assert whole.synaptic_operations == 64 * 32 + 32 * 10
    assert whole.operations == 2 * whole.synaptic_operations
    # An image of one bit is spikes like any other.
    assert (whole.accumulates, whole.multiply_accumulates) == (64 * 32 + 32 * 10, 0)
    assert whole.dense_multiply_accumulates == 64 * 32 + 32 * 10
    assert whole.naive_energy_pj == pytest.approx(0.9 * (64 * 32 + 32 * 10))
    assert whole.naive_dense_energy_pj == pytest.approx(4.6 * (64 * 32 + 32 * 10))
    # Operations per ns are thousandths of 10**12 per second.
    assert whole.native.tops == pytest.approx(whole.operations / result.outcome.latency_ns / 1000)
    assert whole.native.tops_per_w == pytest.approx(whole.operations / result.outcome.energy_pj)
    watts = whole.average_power_uw * 1e-6
    assert watts * result.outcome.latency_ns * 1e-9 == pytest.approx(result.outcome.energy_pj * 1e-12)
    assert whole.native.tops / watts == pytest.approx(whole.native.tops_per_w)
    assert whole.inferences_per_j == pytest.approx(1 / (result.outcome.energy_pj * 1e-12))
    assert whole.inferences_per_s == pytest.approx(1 / (result.outcome.latency_ns * 1e-9))
    # 8-bit weights: a 1 x 8 bit operation is 8 of 1 x 1 bit, and an eighth of 8 x 8 bit.
    assert whole.one_bit.tops == pytest.approx(8 * whole.native.tops)
    assert whole.eight_bit.tops_per_mm2 == pytest.approx(whole.native.tops_per_mm2 / 8)


@pytest.mark.parametrize("encoder", ["keep", "recompute"])
def test_operations_follow_from_the_shapes(encoder: str) -> None:
    """Each weight once at each position, in every timestep but for a kept encoder; grouped ones as such."""
    network = mixed_network(np.random.default_rng(5), output="li")
    result = alone(network, images_of(network, 2), 3, encoder__mode=encoder)
    got = {layer.name: layer.operations for layer in result.outcome.layer_efficiency}
    sizes, dense = shapes(network), 0
    for node in network.nodes:
        if not isinstance(node, Conv2d | Linear):
            continue
        positions = int(np.prod(sizes[node.name][1:])) if isinstance(node, Conv2d) else 1
        dense += node.weight.size * positions
        if "image" not in node.inputs and node.inputs[0] != "input":
            assert got[node.name] % (2 * 3 * node.weight.size * positions) == 0
            assert got[node.name] > 0
        else:
            times = 1 if encoder == "keep" else 3
            assert got[node.name] == 2 * network.input_bits * times * node.weight.size * positions
    assert result.outcome.efficiency.dense_multiply_accumulates == dense
    # No more inputs can be 1 than there are.
    for layer in result.outcome.layer_efficiency:
        assert 2 * layer.synaptic_operations <= layer.operations


def test_layers_and_components_sum_to_what_other_tables_say(compared: CompareResult) -> None:
    assert [layer.name for layer in compared.layer_efficiency] == [layer.name for layer in compared.layers]
    for work, cost in zip(compared.layer_efficiency, compared.layers, strict=True):
        assert work.energy_pj == pytest.approx(cost.energy_pj)
    for component in compared.components:
        over = sum(w.energy_pj_by_component.get(component.name, 0) for w in compared.layer_efficiency)
        assert over == pytest.approx(component.energy_pj)
    dynamic, static = compared.efficiency, compared.static_efficiency
    assert dynamic.energy_pj == compared.dynamic.energy_pj
    assert static.latency_ns == compared.static[-1].latency_ns
    assert dynamic.area_um2 == compared.meta.hardware.area_um2
    assert sum(w.operations for w in compared.layer_efficiency) == pytest.approx(dynamic.operations)
    # What exits early does less of everything.
    assert compared.dynamic.mean_timesteps < 3
    assert dynamic.synaptic_operations < static.synaptic_operations
    assert dynamic.multiply_accumulates == static.multiply_accumulates > 0
    assert dynamic.dense_multiply_accumulates == static.dense_multiply_accumulates


def test_cancelled_work_is_no_operation() -> None:
    network = random_network(np.random.default_rng(11), depth=2, classes=5, timesteps=3, channels=8)
    hardware, images = imcsim.hardware.load("dtsnn_32nm"), images_of(network, 10)
    wait, ahead = (
        plain_compare(network, hardware, images, None, CompareOptions(workers=1, threshold=0.5, issue=issue))
        for issue in ("wait", "speculate")
    )
    assert ahead.dynamic.cancelled_energy_pj > 0
    assert ahead.efficiency.synaptic_operations == wait.efficiency.synaptic_operations
    assert ahead.efficiency.operations == wait.efficiency.operations


def test_peak_is_the_chip_with_all_crossbars_read(compared: CompareResult) -> None:
    config = imcsim.hardware.load("dtsnn_32nm").config
    peak, tiles = compared.peak, compared.meta.hardware.tiles
    interval_ns = max(config.sense_cycles, config.convert_cycles) * config.technology.clock_ns
    # A weight of 4 bits takes a cell of 4: 64 x 64 weights in a crossbar of 64 x 64.
    assert peak.latency_ns == pytest.approx(interval_ns)
    assert peak.operations == tiles * config.crossbars_per_tile * 64 * 64 * 2
    power_mw = tiles * tile_power_mw(config, cells_per_weight=1)
    assert peak.average_power_uw * 1e-3 == pytest.approx(power_mw, rel=0.01)
    assert peak.average_power_uw * 1e-3 >= power_mw
    for run_ in (compared.efficiency, compared.static_efficiency):
        assert run_.native.tops < peak.native.tops
        assert run_.average_power_uw < peak.average_power_uw


def test_skipped_reads_are_their_share_of_all() -> None:
    network = one_read()
    dark = ones(network)
    dark.images[:] = 0
    result = alone(network, dark, 1, activity__skip_zero_reads=True)
    read, fc = result.outcome.layer_efficiency[1:3]
    assert read.skipped_reads == 1
    assert fc.skipped_reads == 1
    assert read.energy_pj_per_synaptic_operation is None
    assert result.outcome.efficiency.energy_pj_per_synaptic_operation is None
    lit = alone(network, ones(network), 1, activity__skip_zero_reads=True)
    assert lit.outcome.layer_efficiency[1].skipped_reads == 0


def test_naive_energies_have_a_source() -> None:
    naive = naive_energies()
    assert (naive.accumulate_pj, naive.multiply_accumulate_pj, naive.node_nm) == (0.9, 4.6, 45)


@pytest.mark.parametrize(
    ("path", "factor", "message"),
    [
        (("efficiency", "energy_pj"), 2.0, "does not follow from|is not energy_pj"),
        (("efficiency", "native", "tops"), 1.01, "native.tops does not follow"),
        (("efficiency", "naive_energy_pj"), 1.01, "is not what accumulates"),
        (("static_efficiency", "inferences_per_s"), 1.01, "is not 1 / latency_ns"),
        (("layer_efficiency", 1, "synaptic_operations"), 2.0, "is not energy_pj / synaptic_operations"),
        (("peak", "average_power_uw"), 1.01, "is not energy_pj / latency_ns"),
    ],
)
def test_a_document_whose_figures_disagree_is_refused(
    compared: CompareResult, path: tuple[Any, ...], factor: float, message: str
) -> None:
    document = json.loads(to_json(compared))
    CompareResult.model_validate(document)
    part = document
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] *= factor
    with pytest.raises(ValidationError, match=message):
        CompareResult.model_validate(document)


def test_figures_of_another_run_are_refused(compared: CompareResult) -> None:
    document = json.loads(to_json(compared))
    document["efficiency"], document["static_efficiency"] = (
        document["static_efficiency"], document["efficiency"],
    )  # fmt: skip
    with pytest.raises(ValidationError, match="another energy than its run"):
        CompareResult.model_validate(document)
