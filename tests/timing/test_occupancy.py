"""What bounds a layer: closed forms of its resources against what the `reference` fidelity records."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from networks import mixed_network, random_images, random_network
from random_chips import any_network, changed, chips

import imcsim.hardware
from imcsim.base.choices import Fidelity
from imcsim.hardware.config import HardwareConfig
from imcsim.inputs import Inputs
from imcsim.mapping import Placement, place
from imcsim.network.graph import Network
from imcsim.results.efficiency import LayerEfficiency
from imcsim.studies.comparison import run
from imcsim.studies.settings import CompareOptions
from imcsim.timing import RESOURCES, Recorder, Slice, Timing, occupancies, play


def recorded(placement: Placement, config: HardwareConfig, timesteps: int) -> tuple[Recorder, np.ndarray]:
    recorder = Recorder()
    timing = Timing(timesteps, fidelity="reference")
    line = play(placement, config, [timesteps], timing, recorder=recorder)
    return recorder, np.where(line.begun >= 0, line.ended - line.begun, 0)


def most(slices: list[Slice], config: HardwareConfig, planes: int, delayed: bool) -> dict[str, int]:
    """Cycles of the busiest tile, crossbar and link, of the slices of one layer and timestep."""
    sums: dict[str, Counter[object]] = defaultdict(Counter)
    for one in slices:
        cycles = one.ended - one.began
        unit = (one.part, one.unit)
        if one.kind == "fetch":
            sums["in"][one.part] += -(-one.number // config.tile.bus_bits)
            width = config.state_memory.width_bits
            read = -(-one.number // width) if delayed else config.tile_buffer.access_cycles(one.number)
            sums["buffer"][one.part] += read
            sums["fetch"][one.part] += cycles
        elif one.kind == "write":
            sums["out"][one.part] += cycles
        elif one.kind == "read":
            sums["crossbar"][unit] += config.read_cycles(planes)
            sums["taken"][unit] += cycles
        elif one.kind == "convert":
            sums["adc"][unit] += cycles
        elif one.kind == "fire":
            sums["neurons"][one.part] += cycles
        elif one.kind == "hop":
            assert one.link is not None
            sums["package" if one.link.between_chips else "mesh"][one.link] += cycles
    found = {kind: max(counts.values()) for kind, counts in sums.items()}
    # Nothing is faster than what bounds it, nor is a crossbar free while its sample waits for the ADCs.
    assert found.get("fetch", 0) >= max(found.get("in", 0), found.get("buffer", 0))
    assert found.get("taken", 0) >= found.get("crossbar", 0)
    bus = max(found.get("in", 0), found.get("out", 0))
    names = (*RESOURCES, "package") if config.package.chips > 1 else RESOURCES
    return {"bus": bus} | {name: found.get(name, 0) for name in names if name != "bus"}


def check_against_reference(network: Network, config: HardwareConfig) -> None:
    placement = place(network, config)
    recorder, spans = recorded(placement, config, 2)
    for k, occupancy in enumerate(occupancies(placement, config)):
        layer = placement.layers[k]
        keeps = layer.stage.reads_image and config.encoder.mode == "keep"
        for job in (0, 1):
            mine = [one for one in recorder.slices if one.job == job and one.layer == k + 1]
            expected = occupancy.stored if keeps and job else occupancy.computed
            delayed = any(e.delay for e in placement.graph.inputs(layer.stage) if e.role == "input")
            assert most(mine, config, layer.stage.planes, delayed) == dict(expected)
            on_tiles = {name: cycles for name, cycles in expected.items() if name not in ("mesh", "package")}
            assert all(cycles <= spans[job, k + 1] for cycles in on_tiles.values())


@given(st.data())
@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
def test_resources_work_as_long_as_the_reference_records(data: st.DataObject) -> None:
    dense = {"activity.skip_zero_reads": False, "activity.spike_coding": "bitmap"}
    network = data.draw(any_network(max_size=4))
    config = data.draw(chips(("dtsnn_32nm", "spikesim_65nm"), tile_buffer__capacity_bytes=1 << 16))
    activity = config.activity.model_copy(update={key.split(".")[1]: value for key, value in dense.items()})
    check_against_reference(network, config.model_copy(update={"activity": activity}))


@pytest.mark.parametrize("mode", ["keep", "recompute"])
@pytest.mark.parametrize("output", ["li", "linear"])
def test_resources_of_a_network_with_branches(mode: str, output: str) -> None:
    network = mixed_network(np.random.default_rng(5), output=output)
    check_against_reference(network, changed("dtsnn_32nm", {"encoder.mode": mode}))


@pytest.mark.parametrize("mode", ["keep", "recompute"])
def test_links_between_chips_are_a_resource(mode: str) -> None:
    network = mixed_network(np.random.default_rng(5), output="li")
    values = {"encoder.mode": mode, "package.chips": 3, "package.bits_per_ns": 10.0}
    config = changed("dtsnn_32nm", values)
    check_against_reference(network, config)
    found = occupancies(place(network, config), config)
    assert any(one.computed["package"] for one in found)
    plain = changed("dtsnn_32nm", {"encoder.mode": mode})
    assert all("package" not in one.computed for one in occupancies(place(network, plain), plain))


def layers_of(network: Network, fidelity: Fidelity, **overrides: object) -> tuple[LayerEfficiency, ...]:
    hardware = imcsim.hardware.load("dtsnn_32nm", {k.replace("__", "."): v for k, v in overrides.items()})
    rng = np.random.default_rng(2)
    images = random_images(rng, network.input_shape, 3)
    inputs = Inputs(images, rng.integers(0, network.classes, 3), "images", "unknown", "", network.classes)
    options = CompareOptions(workers=1, timesteps=2, fidelity=fidelity)
    return run(network, hardware, inputs, None, options, policy="static").outcome.layer_efficiency


@pytest.mark.parametrize(
    "overrides",
    [{}, {"activity__skip_zero_reads": True, "activity__spike_coding": "aer"}],
    ids=["dense", "by spikes"],
)
def test_both_fidelities_say_the_same_of_every_layer(overrides: dict[str, object]) -> None:
    """Law 5, of what bounds a layer, and of its latency, utilisation and energy."""
    network = random_network(np.random.default_rng(8), depth=3, classes=4, timesteps=2, channels=6)
    assert layers_of(network, "reference", **overrides) == layers_of(network, "burst", **overrides)


def bound(**overrides: object) -> str | None:
    network = random_network(np.random.default_rng(8), depth=2, classes=4, timesteps=2, channels=16)
    return layers_of(network, "burst", **overrides)[2].bound_by


def test_a_narrow_part_bounds_a_layer() -> None:
    """Whatever is made slow enough is what bounds the layer."""
    slow: dict[str, dict[str, object]] = {
        "adc": {"adc__conversion_cycles": 50},
        "crossbar": {"cells__read_pulse_ns": 900.0},
        "bus": {"tile__bus_bits": 1},
        "buffer": {"tile_buffer__width_bits": 1},
        "neurons": {"lif__lanes": 1, "tile__bus_bits": 4096},
        "mesh": {"noc__flit_bits": 1},
    }
    assert {name: bound(**overrides) for name, overrides in slow.items()} == {name: name for name in slow}
