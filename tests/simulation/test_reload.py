"""Networks larger than the chip: groups of layers that are loaded in turn, against a chip that holds them."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from networks import random_images, random_network
from random_chips import any_network, chips

import imcsim
from imcsim.base.errors import ImcsimError
from imcsim.hardware.config import Hardware, HardwareConfig
from imcsim.hardware.events import Event
from imcsim.hardware.programming import cell_writing, writing_ns
from imcsim.inputs import Inputs
from imcsim.mapping import IMAGE, Placement, floorplan, place
from imcsim.network.graph import Delay, Network
from imcsim.report.floorplan import write_floorplan
from imcsim.report.terminal.efficiency import reload_lines
from imcsim.results.run import RunResult
from imcsim.simulation.schedule import Schedule, schedule
from imcsim.studies.comparison import run
from imcsim.studies.settings import CompareOptions
from imcsim.timing import Timing, parse

SMALL: dict[str, Any] = {
    "cells.rows": 16, "cells.columns": 16, "tile.crossbars_per_pe": 2, "tile.pes_per_tile": 4,
    "mapping.extra_crossbars": 6, "dram.preset": "lpddr4", "programming.method": "sram",
}  # fmt: skip
T = 4

WORK = (
    Event.CROSSBAR_READS, Event.CROSSBAR_PHASES, Event.CONVERSIONS, Event.SHIFT_ADDS, Event.LIF_UPDATES,
    Event.MEMBRANE_READ_BITS, Event.MEMBRANE_WRITE_BITS, Event.CURRENT_READ_BITS, Event.CURRENT_WRITE_BITS,
    Event.POOL_OPERATIONS, Event.RESIDUAL_ADDS, Event.OUTPUT_REGISTER_BITS, Event.ACCUMULATOR_ADDS,
    Event.ACCUMULATOR_MULTIPLIES, Event.IMAGE_BITS, Event.RESULT_BITS,
)  # fmt: skip
"""What a layer does for an image, wherever it stands; equal on any chip where copies are."""


def chip(**changes: Any) -> Hardware:
    values = SMALL | {key.replace("__", "."): value for key, value in changes.items()}
    return imcsim.hardware.load("dtsnn_32nm", values)


@cache
def network(seed: int) -> Network:
    rng = np.random.default_rng(seed)
    return random_network(
        rng, residual=seed % 3 == 1, average=seed % 3 == 2, depth=3, size=6, timesteps=T, in_channels=2
    )


def cut(seed: int, tiles: int | None = None, **changes: Any) -> tuple[Placement, Hardware]:
    """The network on the smallest chip that can hold each of its layers, or one of so many tiles."""
    if tiles is None:
        large = place(network(seed), chip(mapping__replication="none").config)
        tiles = max(len({part.tile for part in large.parts_of(k)}) for k in range(len(large.layers)))
    hardware = chip(reload__tiles=tiles, **changes)
    return place(network(seed), hardware.config), hardware


def played(
    placement: Placement, hardware: Hardware, issue: str = "wait", *, dynamic: bool = False, **about: Any
) -> Schedule:
    return schedule(placement, hardware.config, Timing(T, parse(issue), **about), dynamic=dynamic)


def assert_equal(one: Schedule, other: Schedule) -> None:
    for key in ("departure", "check", "layer_cycles", "busy_cycles"):
        assert np.array_equal(getattr(one, key), getattr(other, key)), key
    assert one.fixed.keys() == other.fixed.keys()
    for event, counts in one.fixed.items():
        assert np.array_equal(np.asarray(counts), np.asarray(other.fixed[event])), event


CASES = [
    (seed, timesteps, spikes, encoder)
    for seed in range(3)
    for timesteps, spikes, encoder in (
        (1, "global_buffer", "keep"),
        (3, "dram", "recompute"),
        ("all", "dram", "keep"),
    )
]


@pytest.mark.parametrize(("seed", "timesteps", "spikes", "encoder"), CASES)
def test_fidelities_agree_to_the_cycle(seed: int, timesteps: Any, spikes: str, encoder: str) -> None:
    placement, hardware = cut(seed, reload__timesteps=timesteps, reload__spikes=spikes, encoder__mode=encoder)
    assert len(placement.loads) > 1
    assert_equal(*(played(placement, hardware, fidelity=kind) for kind in ("burst", "reference")))


@pytest.mark.parametrize(("seed", "timesteps", "spikes", "encoder"), CASES)
def test_layers_do_what_they_do_on_a_chip_that_holds_them(
    seed: int, timesteps: Any, spikes: str, encoder: str
) -> None:
    changes = {"encoder__mode": encoder, "mapping__replication": "none"}
    placement, hardware = cut(seed, reload__timesteps=timesteps, reload__spikes=spikes, **changes)
    large = place(network(seed), chip(**changes).config)
    here, there = played(placement, hardware), played(large, chip(**changes), "pipeline")
    for event in WORK:
        if event in there.fixed:
            for exit_index in range(T):
                assert np.array_equal(here.fixed[event].of(exit_index), there.fixed[event].of(exit_index)), (
                    event
                )
        else:
            assert event not in here.fixed


@pytest.mark.parametrize(("seed", "timesteps", "spikes", "encoder"), CASES)
def test_what_is_more_follows_a_closed_form(seed: int, timesteps: Any, spikes: str, encoder: str) -> None:
    placement, hardware = cut(seed, reload__timesteps=timesteps, reload__spikes=spikes, encoder__mode=encoder)
    here, config = played(placement, hardware), hardware.config
    each = T if timesteps == "all" else timesteps
    group = [n for n, load in enumerate(placement.loads) for _ in load.layers]
    first_layer = {layer.stage.name for layer in placement.layers if layer.stage.reads_image}
    between = {
        (edge.source, edge.node, edge.height, edge.row_bits): edge
        for edge in placement.graph.edges
        if edge.source != IMAGE and group[edge.source] != group[edge.target]
    }
    crossing = sum(edge.height * edge.row_bits for edge in between.values())
    for exit_index in range(T):
        loads = -(-(exit_index + 1) // each)
        weights = cells = 0
        for layer in placement.layers:
            node = network(seed).node(layer.stage.name)
            once = layer.stage.name in first_layer and encoder == "keep"
            size = int(np.asarray(node.weight).size)  # type: ignore[union-attr]
            weights += size * layer.stage.weight_bits * (1 if once else loads)
            cells += size * layer.slices * layer.copies * (1 if once else loads)
        counts = {event: int(here.fixed[event].of(exit_index).sum()) for event in here.fixed}
        assert counts[Event.WEIGHT_BITS] == weights
        assert counts[Event.CELL_WRITES] == cells
        reads = {
            (edge.source, edge.node, group[edge.target], edge.height, edge.row_bits)
            for edge in placement.graph.edges
            if edge.source != IMAGE and group[edge.source] != group[edge.target]
        }
        if spikes == "dram":
            fetched = sum(height * bits for *_, height, bits in reads)
            assert counts[Event.STORED_BITS] == (crossing + fetched) * (exit_index + 1)
        else:
            fetched = 0
            assert Event.STORED_BITS not in counts
        image = placement.graph.image_bits
        written = image + (crossing + fetched) * (exit_index + 1)
        assert counts[Event.GLOBAL_BUFFER_WRITE_BITS] == pytest.approx(written, rel=0.02)
    assert config.reload.present


def test_an_image_takes_its_loads_and_its_groups_one_after_the_other() -> None:
    placement, hardware = cut(0, mapping__replication="none", reload__timesteps=2)
    config = hardware.config
    here = played(placement, hardware)
    clock = config.technology.clock_ns
    least = sum(
        math.ceil(writing_ns(config, sum(layer.crossbars for layer in load.layers)) / clock)
        for load in placement.loads
    )
    assert here.departure[0, 0] > least
    # A second block loads everything again but the first layer, whose currents are kept.
    assert here.departure[0, 2] - here.departure[0, 1] > 0.5 * least
    assert here.departure[0, 1] - here.departure[0, 0] < here.departure[0, 2] - here.departure[0, 1]
    pipelined = played(placement, hardware, "pipeline")
    assert pipelined.departure[0, 1] == here.departure[0, 1]
    assert pipelined.departure[0, 3] == here.departure[0, 3] - here.check[0, 1]


def test_speculation_pays_for_the_load_that_it_began() -> None:
    placement, hardware = cut(0, reload__timesteps=2, encoder__mode="recompute")
    waits, ahead = (played(placement, hardware, issue, dynamic=True) for issue in ("wait", "speculate"))
    assert ahead.departure[0, 1] == waits.departure[0, 1]
    assert ahead.departure[0, 3] < waits.departure[0, 3]
    counts = ahead.fixed[Event.CELL_WRITES]
    begun = counts.of(1)[0, 2].sum()
    assert 0 < begun < counts.of(3)[0, 2].sum()
    assert not counts.of(3)[0, 3].any()


def test_a_chip_that_holds_its_network_is_as_before() -> None:
    large = place(network(1), chip().config)
    hardware = chip(reload__tiles=large.tiles)
    placement = place(network(1), hardware.config)
    assert placement.loads == ()
    assert placement.size == large.size
    for fidelity in ("burst", "reference"):
        assert_equal(
            played(placement, hardware, "speculate", dynamic=True, fidelity=fidelity),
            played(large, chip(), "speculate", dynamic=True, fidelity=fidelity),
        )


def ran(seed: int = 0, **changes: Any) -> RunResult:
    _, hardware = cut(seed, **changes)
    rng = np.random.default_rng(3)
    images = random_images(rng, network(seed).input_shape, 12)
    inputs = Inputs(images, rng.integers(0, 4, 12), "made", "unknown", "0" * 64, 4)
    return run(network(seed), hardware, inputs, None, CompareOptions(threshold=0.7, workers=1))


@pytest.mark.parametrize(("timesteps", "exits"), [(1, {1, 2, 3, 4}), (2, {2, 4}), (3, {3, 4}), ("all", {4})])
def test_images_exit_where_a_load_ends(timesteps: Any, exits: set[int]) -> None:
    outcome = ran(reload__timesteps=timesteps).outcome
    found = {t for t, share in enumerate(outcome.exit_fraction, 1) if share}
    assert found <= exits
    assert found == exits or timesteps in (1, 3)
    energies = {part.name: part.energy_pj for part in outcome.components}
    one = cell_writing(chip().config)
    action = next(part for part in outcome.components if part.name == "reload").actions[0]
    assert action.energy_pj_each == one.pulses * (one.pulse_energy_pj + one.verify_energy_pj)
    assert energies["reload"] > 0
    assert sum(energies.values()) == pytest.approx(outcome.energy_pj)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"reload.tiles": 3, "dram.preset": "none"}, "dram.preset"),
        ({"reload.timesteps": 3}, "reload.tiles"),
        ({"reload.tiles": 3, "activity.spike_coding": "aer"}, "activity.spike_coding"),
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ImcsimError, match=said):
        imcsim.hardware.load("dtsnn_32nm", SMALL | changes)


def test_what_does_not_fit_is_refused_with_what_would() -> None:
    with pytest.raises(ImcsimError, match="alone needs"):
        cut(0, 1, tile__pes_per_tile=1)
    placement, hardware = cut(0, reload__timesteps="all", global_buffer__capacity_bytes=80)
    with pytest.raises(ImcsimError, match=r"global_buffer\.capacity_bytes") as caught:
        played(placement, hardware)
    assert caught.value.fix is not None
    enough = int(caught.value.fix.split(",")[0].split()[-1])
    for bytes_, fits in ((enough, True), (enough - 1, False)):
        placement, hardware = cut(0, reload__timesteps="all", global_buffer__capacity_bytes=bytes_)
        if fits:
            played(placement, hardware)
        else:
            with pytest.raises(ImcsimError):
                played(placement, hardware)
    with pytest.raises(ImcsimError, match="interleave"):
        played(*cut(0), "interleave:2")


def test_results_name_loads_and_how_long_cells_last() -> None:
    changes = {"reload__timesteps": 2, "encoder__mode": "recompute", "programming__method": "fefet"}
    result = ran(**changes)
    outcome, cost = result.outcome, result.outcome.reload
    assert cost is not None
    placement, hardware = cut(0, **changes)
    blocks = sum(share * -(-t // 2) for t, share in enumerate(outcome.exit_fraction, 1))
    assert cost.blocks == pytest.approx(blocks)
    assert [group.layers for group in cost.groups] == [
        tuple(layer.stage.name for layer in load.layers) for load in placement.loads
    ]
    on_tile = [sum(any(p.tile == tile for p in load.parts) for load in placement.loads) for tile in range(2)]
    assert cost.writes == pytest.approx(max(on_tile) * blocks)
    one = cell_writing(hardware.config)
    assert cost.endurance_writes == one.endurance_writes == 5e6
    assert cost.images_until_worn == pytest.approx(5e6 / cost.writes)
    assert cost.worn_after_s == pytest.approx(cost.images_until_worn * outcome.latency_ns * 1e-9)
    paid = sum(
        action.energy_pj
        for part in outcome.components
        for action in part.actions
        if action.name in ("weight_bits", "cell_writes")
    )
    assert cost.energy_pj == pytest.approx(paid)
    assert cost.time_ns == pytest.approx(blocks * sum(group.time_ns for group in cost.groups))
    again = ran(**changes, programming__endurance_writes=10.0).outcome.reload
    assert again is not None
    assert again.images_until_worn == pytest.approx(10 / cost.writes)
    shown = type(result).model_validate_json(result.model_dump_json())
    assert shown.outcome.reload == cost


def test_cells_of_every_kind_say_what_a_write_takes() -> None:
    config = chip(programming__method="fefet", programming__cells_at_once="row").config
    one = cell_writing(config)
    assert one.pulse_energy_pj == pytest.approx(9e-3)  # 1 fF at 3 V
    assert (one.pulses, one.pulse_ns) == (5, 250)
    slow = chip(programming__method="fefet").config
    assert writing_ns(slow, 2) == pytest.approx(16 * writing_ns(config, 2))
    assert writing_ns(config, 2) == pytest.approx(2 * 16 * 5 * (250 + one.verify_ns))
    kinds = {kind: cell_writing(chip(programming__method=kind).config) for kind in ("sram", "rram", "pcm")}
    assert kinds["sram"].endurance_writes is None
    assert kinds["rram"].endurance_writes < kinds["pcm"].endurance_writes  # type: ignore[operator]


def test_map_shows_groups_by_themselves(tmp_path: Path) -> None:
    placement, hardware = cut(0)
    plan = floorplan(placement, hardware.config)
    assert len(plan.groups) == len(placement.loads) > 1
    assert [layer.name for group in plan.groups for layer in group.layers] == [
        layer.name for layer in plan.layers
    ]
    for group in plan.groups:
        assert len(group.tiles) == placement.tiles
        assert all(tile.crossbars_used <= tile.crossbars for tile in group.tiles)
    used = sum(layer.cells_used for layer in plan.layers)
    config = hardware.config
    whole = placement.size.crossbars * config.cells.rows * config.cells.columns
    assert plan.cell_utilisation == pytest.approx(used / whole / len(plan.groups))
    files = {path.name for path in write_floorplan(plan, "network", "chip", tmp_path)}
    assert files >= {f"floorplan_{n}.svg" for n in range(1, 1 + len(plan.groups))}
    found = json.loads((tmp_path / "floorplan.json").read_text())
    assert len(found["groups"]) == len(plan.groups)
    # A chip that is larger than its network has empty tiles.
    large = floorplan(place(network(0), chip(reload__tiles=40).config), chip(reload__tiles=40).config)
    assert large.groups == ()
    assert large.tiles[-1].crossbars_used == 0


@st.composite
def small_chips(draw: st.DrawFn) -> tuple[Network, HardwareConfig, Placement]:
    """Any network without delays, a chip that holds each of its layers, and the network on a large one."""
    shown, config = draw(any_network(max_size=5)), draw(chips())
    assume(not any(isinstance(node, Delay) for node in shown.nodes))
    one_copy = config.mapping.model_copy(update={"replication": "none"})
    try:
        large = place(shown, config.model_copy(update={"mapping": one_copy}))
        tiles = max(len({part.tile for part in large.parts_of(k)}) for k in range(len(large.layers)))
        reload = config.reload.model_copy(
            update={
                "tiles": tiles + draw(st.integers(0, 2)),
                "timesteps": draw(st.sampled_from((1, 2, "all"))),
                "spikes": draw(st.sampled_from(("global_buffer", "dram"))),
            }
        )
        dram = config.dram.model_copy(update={"preset": "lpddr4"})
        config = config.model_copy(update={"reload": reload, "dram": dram})
        assume(len(place(shown, config).loads) > 1)
    except ImcsimError:
        assume(False)
    return shown, config, large


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(small_chips(), st.sampled_from(("wait", "pipeline")), st.booleans())
def test_any_network_on_any_small_chip(
    made: tuple[Network, HardwareConfig, Placement], issue: str, timed: bool
) -> None:
    shown, config, large = made
    timed &= config.encoder.mode == "recompute"
    placement, timing = place(shown, config), Timing(3, parse(issue), timed=timed)
    found: list[Schedule | str] = []
    for fidelity in ("burst", "reference"):
        try:
            found.append(schedule(placement, config, replace(timing, fidelity=fidelity), dynamic=False))
        except ImcsimError as error:
            found.append(str(error))
    here, there = found
    if isinstance(here, str) or isinstance(there, str):
        assert here == there
        return
    assert_equal(here, there)
    try:
        whole = schedule(large, config, timing, dynamic=False)
    except ImcsimError:
        return  # the small chip has more room for rows
    for event in set(WORK) - {Event.OUTPUT_REGISTER_BITS}:  # parts of a spread layer latch their sums as well
        if event in whole.fixed or event in here.fixed:
            both = (np.asarray(one.fixed[event]).sum(axis=2) for one in (here, whole))
            assert np.array_equal(*both), event


@pytest.mark.parametrize("seed", range(3))
def test_membranes_of_one_group_at_a_time_take_less_memory(seed: int) -> None:
    """With all timesteps per load a tile has banks for any one group; else for all of them."""
    kept, shared = (cut(seed, reload__timesteps=timesteps)[0] for timesteps in (1, "all"))
    large = place(network(seed), chip(mapping__replication="none").config)
    assert sum(kept.size.state_bits) >= sum(large.size.state_bits)
    assert sum(shared.size.state_bits) < sum(kept.size.state_bits)
    assert sum(shared.size.state_bits) >= max(sum(load.size.state_bits) for load in shared.loads)
    assert shared.size.channels == kept.size.channels == sum(load.size.channels for load in kept.loads)
    assert shared.size.tiles == kept.size.tiles == kept.tiles


def test_reports_say_how_often_groups_are_loaded() -> None:
    cost = ran(reload__timesteps=2, programming__method="pcm").outcome.reload
    first, second = reload_lines(cost, "dynamic")
    assert f"loads {len(cost.groups)} groups of layers in turn" in first  # type: ignore[union-attr]
    assert "(pcm)" in second
    assert len(reload_lines(ran(reload__timesteps=2).outcome.reload, "dynamic")) == 1  # SRAM does not wear
    assert reload_lines(None, "dynamic") == []
