"""Law 5: `reference` and `burst` agree to the cycle and in every count, errors included.

`reference` plays every crossbar read as a process that takes a crossbar and its ADCs, `burst` a row at a time
through a compiled recurrence. Whatever network, chip, issue policy, arrivals and work hypothesis can think
of, their timelines are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from networks import random_images, random_network, vgg_like
from random_chips import (
    POLICIES,
    any_network,
    assert_same,
    changed,
    chips,
    outcome,
    plays,
    random_work,
    with_own_parameters,
)

from imcsim.functional.program.program import build
from imcsim.functional.run import calibrated_converters, run
from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.events import Event
from imcsim.mapping import Placement, place
from imcsim.network.graph import INPUT, LIF, Add, Conv2d, Flatten, Linear, Network, Node, Pool2d
from imcsim.simulation.chip import numerics
from imcsim.simulation.counts import image_work, recorded_nodes
from imcsim.timing import ImageWork, Timeline, parse
from imcsim.timing.recorder import Recorder

CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def property_test(examples: int) -> Callable[[Any], Any]:
    """Every day the same examples."""
    return settings(
        deadline=None,
        max_examples=examples,
        derandomize=True,
        suppress_health_check=CHECKS,
    )


def search(examples: int) -> Callable[[Any], Any]:
    """Other examples every time."""
    return settings(deadline=None, max_examples=examples, derandomize=False, suppress_health_check=CHECKS)


def compared(placement: Placement, config: HardwareConfig, **about: Any) -> Timeline | str:
    """What both fidelities say."""
    fine, quick = (outcome(placement, config, fidelity=kind, **about) for kind in ("reference", "burst"))
    assert_same(fine, quick)
    return quick


# Any network, chip and policy

BOTH = ("dtsnn_32nm", "spikesim_65nm")


def check_anything(data: st.DataObject) -> None:
    drive = data.draw(st.sampled_from(("bits", "pulses")))
    network, config = data.draw(any_network()), data.draw(chips(BOTH, cells__input_drive=drive))
    if data.draw(st.sampled_from((False, False, True))):
        network, config = with_own_parameters(network, config)
    compared(place(network, config), config, **data.draw(plays()))


@given(st.data())
@property_test(60)
def test_any_network_chip_and_policy(data: st.DataObject) -> None:
    check_anything(data)


@given(any_network(activations=True), chips(BOTH, encoder__mode="recompute"), plays(timesteps=1))
@property_test(40)
def test_any_network_of_activations(network: Network, config: HardwareConfig, how: dict[str, Any]) -> None:
    """Values of several bits, activation units of any number of lanes, no state: the same to the cycle."""
    compared(place(network, config), config, **how)


@pytest.mark.slow
@given(st.data())
@search(1500)
def test_many_networks_chips_and_policies(data: st.DataObject) -> None:
    check_anything(data)


def check_any_work(data: st.DataObject) -> None:
    network = data.draw(any_network(max_size=5))
    config = data.draw(
        chips(
            BOTH,
            activity__skip_zero_reads=data.draw(st.booleans()),
            activity__spike_coding=data.draw(st.sampled_from(("aer", "bitmap"))),
        )
    )
    placement, about = place(network, config), data.draw(plays())
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    density = data.draw(st.sampled_from((0.3, 0.0, 0.9)))
    about["work"] = random_work(rng, placement, len(about["exits"]), about["timesteps"], density)
    compared(placement, config, **about)


@given(st.data())
@property_test(40)
def test_any_silent_reads_and_events(data: st.DataObject) -> None:
    check_any_work(data)


@pytest.mark.slow
@given(st.data())
@search(1000)
def test_many_silent_reads_and_events(data: st.DataObject) -> None:
    check_any_work(data)


# What must be among the cases, and is not left to chance

TALL = {
    "cells.rows": 4, "cells.columns": 8, "tile.crossbars_per_pe": 2, "tile.pes_per_tile": 2,
    "column_mux.columns_per_adc": 4,
}  # fmt: skip


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("mode", "residual"), [("keep", True), ("keep", False), ("recompute", True)])
def test_layers_spread_over_tiles(residual: bool, mode: str, policy: str) -> None:
    network = random_network(np.random.default_rng(1), residual=residual, size=4, channels=4)
    config = changed("dtsnn_32nm", TALL | {"encoder.mode": mode})
    placement = place(network, config)
    assert any(part.head != part.index for part in placement.parts)
    exits = [3, 3, 3] if policy == "pipeline" else [2, 3, 1]
    line = compared(placement, config, exits=exits, timesteps=3, issue=parse(policy))
    assert isinstance(line, Timeline)
    assert line.count(Event.PARTIAL_SUM_ADDS).any()


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", BOTH)
def test_copies_in_shared_tiles(name: str, policy: str) -> None:
    values = {
        "mapping.replication": "balanced", "mapping.extra_crossbars": 30, "mapping.share_tiles": True,
        "cells.rows": 16, "cells.columns": 8, "tile.pes_per_tile": 4,
    }  # fmt: skip
    network = random_network(np.random.default_rng(2), average=True, depth=3, size=7)
    config = changed(name, values)
    placement = place(network, config)
    assert max(layer.copies for layer in placement.layers) > 1
    stages = [{p.stage for p in placement.parts if p.tile == tile} for tile in range(placement.tiles)]
    assert max(len(here) for here in stages) > 1
    exits = [3, 3] if policy == "pipeline" else [1, 2]
    assert isinstance(compared(placement, config, exits=exits, timesteps=3, issue=parse(policy)), Timeline)


@pytest.mark.parametrize("policy", ["wait", "speculate"])
def test_the_shape_of_the_default_network(policy: str) -> None:
    network = vgg_like(np.random.default_rng(3), plan=(12, "M", 20, 20, "M", 24), size=12, timesteps=2)
    config = changed("dtsnn_32nm", {"cells.rows": 32, "cells.columns": 32})
    line = compared(place(network, config), config, exits=[1, 2], timesteps=2, issue=parse(policy))
    assert isinstance(line, Timeline)


# Work of real runs


def real_work(
    network: Network, config: HardwareConfig, placement: Placement, images: int, timesteps: int
) -> list[ImageWork]:
    """The work of random images, from their spikes."""
    program = build(network, numerics(config))
    shown = random_images(np.random.default_rng(7), network.input_shape, images)
    converters = calibrated_converters(program, shown, timesteps, 1)
    activity = run(
        program, shown, timesteps, converters, workers=1, record=recorded_nodes(program, placement)
    )
    return image_work(program, placement, activity.recorded)


CODINGS = [(True, "bitmap"), (False, "aer"), (True, "aer")]
KINDS = ("plain", "residual", "average")


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("number", range(3), ids=KINDS)
def test_real_spikes(number: int, policy: str) -> None:
    kind = KINDS[number]
    skip, coding = CODINGS[(number + POLICIES.index(policy)) % 3]
    network = random_network(
        np.random.default_rng(POLICIES.index(policy)),
        residual=kind == "residual",
        average=kind == "average",
        size=5,
        depth=3,
        channels=3,
    )
    values = {
        "activity.skip_zero_reads": skip, "activity.spike_coding": coding, "noc.flit_bits": 4,
        "cells.rows": 4, "cells.columns": 8, "tile.crossbars_per_pe": 2,
    }  # fmt: skip
    config = changed("dtsnn_32nm", values)
    placement = place(network, config)
    work = real_work(network, config, placement, 3, 3)
    exits = [3, 3, 3] if policy == "pipeline" else [1, 3, 2]
    about = {"exits": exits, "timesteps": 3, "issue": parse(policy)}
    line = compared(placement, config, work=work, **about)
    assert isinstance(line, Timeline)
    assert line.count(Event.SKIPPED_READS).any() == skip
    without = outcome(placement, config, **about)
    assert isinstance(without, Timeline)
    assert not np.array_equal(line.counts, without.counts)


# Lock-ups


def shortcut_past(depth: int) -> Network:
    """A shortcut over `depth` convolutions: its rows wait until the last of them has caught up."""

    def conv(name: str, source: str, inner: int) -> Conv2d:
        weight = np.ones((32, inner, 3, 3), np.int8)
        return Conv2d(name, (source,), weight, np.ones(32), np.zeros(32), padding=(1, 1))

    nodes: list[Node] = [conv("conv0", INPUT, 1), LIF("lif0", ("conv0",), 0.5, 1.0, "hard")]
    for k in range(1, depth + 1):
        nodes.append(conv(f"conv{k}", f"lif{k - 1}", 32))
        if k < depth:
            nodes.append(LIF(f"lif{k}", (f"conv{k}",), 0.5, 1.0, "hard"))
    last = Linear("fc", ("flat",), np.ones((2, 32 * 64), np.int8), np.ones(2), np.zeros(2))
    nodes += [
        Add("add", (f"conv{depth}", "lif0")),
        LIF("last", ("add",), 0.5, 1.0, "hard"),
        Flatten("flat", ("last",)),
        last,
    ]
    return Network("past", (1, 8, 8), 1, 1.0, 2, 2, 4, tuple(nodes))


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("depth", "bytes_", "locks"), [(5, 256, True), (6, 320, True), (3, 640, False)])
def test_lock_ups_are_the_same(depth: int, bytes_: int, locks: bool, policy: str) -> None:
    config = changed("dtsnn_32nm", {"tile_buffer.capacity_bytes": bytes_, "tile.output_rows": 1})
    placement = place(shortcut_past(depth), config)
    exits = [2, 2] if policy == "pipeline" else [1, 2]
    said = compared(placement, config, exits=exits, timesteps=2, issue=parse(policy))
    assert isinstance(said, str) == locks
    if isinstance(said, str):
        assert "locks up at cycle" in said


@pytest.mark.parametrize("policy", POLICIES)
def test_buffers_that_stall_but_do_not_lock(policy: str) -> None:
    network = shortcut_past(2)
    slow, fast = (
        changed("dtsnn_32nm", {"tile_buffer.capacity_bytes": size, "tile.output_rows": rows})
        for size, rows in ((256, 1), (1 << 20, 8))
    )
    exits = [2, 2] if policy == "pipeline" else [2, 1]
    about: dict[str, Any] = {"exits": exits, "timesteps": 2, "issue": parse(policy)}
    lines = [compared(place(network, config), config, **about) for config in (slow, fast)]
    assert all(isinstance(line, Timeline) for line in lines)
    assert lines[0].cycles > lines[1].cycles  # type: ignore[union-attr]


# Work that is cancelled


def slow_shortcut() -> Network:
    """Rows of `main` wait for those of `slow`, and `last` reads them; nothing hangs on its lowest row."""

    def conv(name: str, source: str, inner: int, outer: int, kernel: tuple[int, int], **about: Any) -> Conv2d:
        weight = np.ones((outer, inner, *kernel), np.int8)
        return Conv2d(name, (source,), weight, np.ones(outer), np.zeros(outer), **about)

    def lif(name: str, source: str) -> LIF:
        return LIF(name, (source,), 0.5, 1.0, "hard")

    nodes: list[Node] = [
        conv("first", INPUT, 1, 9, (1, 1)), lif("lif0", "first"),
        conv("main", "lif0", 9, 9, (3, 3), padding=(1, 1)), conv("slow", "lif0", 9, 9, (1, 1)),
        Add("add", ("main", "slow")), lif("lif1", "add"),
        conv("last", "lif1", 9, 1, (2, 1), stride=(2, 1)),
        Pool2d("pool", ("last",), "max", (1, 1), (2, 1), (0, 0)), lif("lif2", "pool"),
        Pool2d("rest", ("lif2",), "max", (1, 1), (2, 1), (0, 0)), Flatten("flat", ("rest",)),
        Linear("classes", ("flat",), np.ones((2, 1), np.int8), np.ones(2), np.zeros(2)),
    ]  # fmt: skip
    return Network("slow", (1, 6, 1), 1, 1.0, 2, 3, 4, tuple(nodes))


@pytest.mark.parametrize("seed", [3, 5])
@pytest.mark.parametrize("lanes", [32, 1])
@pytest.mark.parametrize("exits", [[1], [2, 1]])
def test_void_rows_do_not_overtake_what_is_under_way(exits: list[int], lanes: int, seed: int) -> None:
    """Once an image exits, its later timesteps are void at once; the rows of the exit timestep, which are
    still on their way to layers that no class hangs on, arrive before them all the same.
    """
    values = {
        "cells.rows": 16, "cells.columns": 16, "tile.crossbars_per_pe": 9, "lif.lanes": lanes,
        "activity.skip_zero_reads": True, "activity.spike_coding": "aer",
    }  # fmt: skip
    config = changed("spikesim_65nm", values)
    placement = place(slow_shortcut(), config)
    work = random_work(np.random.default_rng(seed), placement, len(exits), 3, 0.3)
    about: dict[str, Any] = {"exits": exits, "timesteps": 3, "issue": parse("speculate"), "work": work}
    line = compared(placement, config, **about)
    recorder = Recorder()
    assert_same(line, outcome(placement, config, fidelity="reference", recorder=recorder, **about))
    assert isinstance(line, Timeline)
    main, last = line.layers.index("main"), line.layers.index("last")
    for job in range(len(line.image)):
        arrived = [one.ended for one in recorder.of("send") if (one.job, one.layer) == (job, main)]
        rows = [one for one in recorder.of("fetch") if (one.job, one.layer) == (job, last)]
        assert rows or line.cancelled[job] >= 0
        assert all(one.began >= arrived[2 * one.row + 1] for one in rows)


# Arrivals


@given(st.lists(st.integers(0, 4000), min_size=1, max_size=5), st.sampled_from(POLICIES))
@property_test(12)
def test_arrivals_at_any_cycle(gaps: list[int], policy: str) -> None:
    network = random_network(np.random.default_rng(4), size=5)
    config = changed("dtsnn_32nm", {"cells.rows": 16})
    cycles = [int(n) for n in np.cumsum(gaps)]
    exits = [2] * len(gaps) if policy == "pipeline" else [1 + k % 2 for k in range(len(gaps))]
    line = compared(
        place(network, config), config, exits=exits, timesteps=2, issue=parse(policy),
        arrivals=cycles,
    )  # fmt: skip
    assert isinstance(line, Timeline)
    assert line.arrival.tolist() == cycles
    assert (line.departure > line.arrival).all()
