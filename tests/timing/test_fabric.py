"""The compiled chip of `burst`: where it must grow, what plays share, and tiles that change places.

That it says what processes say, for any network, chip, policy and work: test_fidelity and test_timeline.
"""

from __future__ import annotations

import random
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import exchanged
from networks import random_network
from played import play
from random_chips import assert_same, changed, random_work

from imcsim.base.errors import ImcsimError
from imcsim.hardware.events import Event
from imcsim.hardware.exit_counts import ExitCounts
from imcsim.mapping import Placement, place
from imcsim.mapping.kernels import exchange
from imcsim.network.graph import INPUT, LIF, Conv2d, Flatten, Linear, Network, Pool2d
from imcsim.simulation.schedule import Schedule, join, schedule
from imcsim.timing import Layout, Recorder, Timing, parse
from imcsim.timing.fabric import chip as fabric
from imcsim.timing.fabric.memory import PlayMemory

SKIP = {"activity.skip_zero_reads": True, "activity.spike_coding": "aer", "cells.rows": 8}


def network() -> Network:
    return random_network(np.random.default_rng(1), residual=True, depth=4, size=6)


@pytest.mark.parametrize("gating", ["none", "idle_tiles"])
@pytest.mark.parametrize("policy", ["pipeline", "speculate", "interleave:12"])
def test_more_jobs_under_way_than_there_was_room_for(
    policy: str, gating: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wider: list[int] = []
    lay_out = PlayMemory._lay_out

    def noted(self: PlayMemory, ring: int) -> None:
        wider.append(ring)
        lay_out(self, ring)

    monkeypatch.setattr(PlayMemory, "_lay_out", noted)
    monkeypatch.setattr(fabric, "FIRST_JOBS", 1)
    # A slow link makes rows of many timesteps queue up in front of the last layer.
    config = changed("dtsnn_32nm", SKIP | {"clock.gating": gating, "encoder.mode": "recompute"})
    placement = place(network(), config)
    images, timesteps = 14, 6
    exits = [timesteps if policy == "pipeline" else 1 + k % 4 for k in range(images)]
    work = random_work(np.random.default_rng(3), placement, images, timesteps, 0.3)
    about = {"issue": parse(policy), "work": work}
    line = play(placement, config, exits, timesteps, **about)
    assert wider[0] == 1
    assert max(wider) > 1
    assert_same(line, play(placement, config, exits, timesteps, recorder=Recorder(), **about))
    # Room that was there from the start changes nothing.
    monkeypatch.setattr(fabric, "FIRST_JOBS", 1024)
    assert_same(line, play(placement, config, exits, timesteps, **about))


def leftover() -> Network:
    """A pool leaves the last row of its layer over, which no class output hangs on."""

    def conv(name: str, source: str) -> Conv2d:
        return Conv2d(name, (source,), np.ones((1, 1, 1, 1), np.int8), np.ones(1), np.zeros(1))

    nodes = (
        conv("conv0", INPUT),
        LIF("lif0", ("conv0",), 0.5, 1.0, "hard"),
        conv("conv1", "lif0"),
        LIF("lif1", ("conv1",), 0.5, 1.0, "hard"),
        Pool2d("pool", ("lif1",), "max", (1, 1), (2, 1)),
        Flatten("flatten", ("pool",)),
        Linear("classes", ("flatten",), np.ones((2, 9), np.int8), np.ones(2), np.zeros(2)),
    )
    return Network("leftover", (1, 2, 9), 1, 0.5, 2, 3, 4, nodes)


@pytest.mark.parametrize("policy", ["wait", "speculate", "interleave:2"])
def test_rows_left_over_when_their_image_has_gone_do_its_own_work(policy: str) -> None:
    # Two positions of a row take long in conv1, whose rows of many positions are slow: the verdict on the
    # first row comes before the second row has begun.
    slow = {
        "cells.read_pulse_ns": 20.0,
        "mapping.replication": "none",
        "tile.output_rows": 1,
        "noc.flit_bits": 4,
    }
    config = changed("dtsnn_32nm", SKIP | slow)
    placement = place(leftover(), config)
    for seed in range(8):
        work = random_work(np.random.default_rng(seed), placement, 5, 3, 0.5)
        about = {"issue": parse(policy), "work": work}
        line = play(placement, config, [1, 2, 1, 1, 1], 3, **about)
        assert_same(line, play(placement, config, [1, 2, 1, 1, 1], 3, recorder=Recorder(), **about))


def test_times_beyond_any_count_are_refused() -> None:
    config = changed("dtsnn_32nm", {"adc.conversion_cycles": 10**19})
    with pytest.raises(ImcsimError, match="more cycles than can be counted"):
        Layout(place(network(), config), config)


def test_plays_leave_nothing_behind_in_the_layout() -> None:
    config = changed("dtsnn_32nm", SKIP)
    placement = place(network(), config)
    layout = Layout(placement, config)
    before = layout.memory.copy()
    work = random_work(np.random.default_rng(3), placement, 3, 4, 0.3)
    for image in work:
        one = play(placement, config, [4], 4, work=[image], layout=layout)
        assert_same(one, play(placement, config, [4], 4, work=[image]))
    assert np.array_equal(layout.memory, before)


@pytest.mark.parametrize(
    ("changes", "streams", "parts"),
    [
        ({"adc.conversion_cycles": 9, "noc.hop_cycles": 3}, True, True),
        ({"cells.read_pulse_ns": 50.0, "clock.gating": "idle_tiles"}, True, True),
        ({"technology.memory": "cacti_least_read", "offchip_link.bits_per_cycle": 3}, True, True),
        ({"encoder.mode": "recompute", "clock.gating": "idle_tiles"}, True, False),
        ({"activity.spike_coding": "aer"}, True, False),
        ({"lif.lanes": 3}, True, False),
        ({"pooling.lanes": 3}, True, False),
        ({"tile.bus_bits": 3}, True, False),
        ({"tile.input_sets": 5}, True, False),
        ({"tile_buffer.width_bits": 2}, True, False),
        ({"adder_tree.level_cycles": 7}, True, False),
        ({"column_mux.columns_per_adc": 4}, True, False),
        ({"lif.membrane_bits": 20}, True, False),
        ({"tile_buffer.capacity_bytes": 1 << 20}, False, False),
        ({"lif.partial_sum_bits": 31}, False, False),
        ({"mapping.replication": "none"}, False, False),
        ({"mapping.placement": "rows"}, None, None),
        ({"cells.rows": 4}, False, False),
    ],
    ids=lambda given: "-".join(given) if isinstance(given, dict) else "",
)
def test_a_layout_like_another_is_the_one_it_would_be_by_itself(
    changes: dict[str, object], streams: bool | None, parts: bool | None
) -> None:
    config = changed("dtsnn_32nm", {"cells.rows": 8})
    other = changed("dtsnn_32nm", {"cells.rows": 8} | changes)
    first, alone = place(network(), config), place(network(), other)
    layout = Layout(first, config)
    alike = alone.sharing(first)
    found, wanted = Layout(alike, other, layout), Layout(alone, other)
    assert np.array_equal(found.memory, wanted.memory)
    for name in ("by_map", "most_reads", "rows_of_a_job", "edges", "parts", "streams", "outputs"):
        assert np.array_equal(getattr(found, name), getattr(wanted, name)), name
    if streams is not None:
        assert (found._of_parts.wired is layout._of_parts.wired) == streams
        assert (found._of_parts is layout._of_parts) == parts


def played(placement: Placement, workers: int, policy: str, images: int = 7) -> Schedule:
    config = changed("dtsnn_32nm", SKIP)
    work = random_work(np.random.default_rng(4), placement, images, 3, 0.3)
    return schedule(placement, config, Timing(3, parse(policy)), dynamic=True, work=work, workers=workers)


def same(one: Schedule, other: Schedule) -> None:
    for field in fields(Schedule):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, dict):
            assert a.keys() == b.keys()
            assert all(np.array_equal(a[key], b[key]) for key in a)
        elif isinstance(a, ExitCounts):
            assert np.array_equal(a, b)
        else:
            assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("policy", ["wait", "speculate"])
def test_any_number_of_workers_plays_the_same(policy: str) -> None:
    placement = place(network(), changed("dtsnn_32nm", SKIP))
    same(played(placement, 1, policy), played(placement, 3, policy))


def test_counts_that_all_images_have_alike_are_kept_once() -> None:
    placement = place(network(), changed("dtsnn_32nm", SKIP))
    config = changed("dtsnn_32nm", SKIP)
    work = random_work(np.random.default_rng(4), placement, 7, 3, 0.3)
    whole = schedule(placement, config, Timing(3), dynamic=True, work=work)
    some = [
        schedule(placement, config, Timing(3), dynamic=True, work=work[a:b])
        for a, b in ((0, 3), (3, 6), (6, 7))
    ]
    joined = join(some)
    same(joined, whole)
    for found in (joined, whole):
        assert found.fixed[Event.LIF_UPDATES].alike
        assert not found.fixed[Event.CROSSBAR_READS].alike


@given(st.integers(0, 2**32 - 1), st.integers(1, 14), st.integers(1, 400))
@settings(deadline=None, max_examples=40, derandomize=True)
def test_tiles_change_places_as_stated(seed: int, sites: int, steps: int) -> None:
    rng = np.random.default_rng(seed)
    between = rng.integers(0, 50, (sites, sites)).astype(float) * (rng.random((sites, sites)) < 0.4)
    between += between.T
    np.fill_diagonal(between, 0)
    at = rng.permutation(36)[:sites]
    distance = (abs(at[:, None] % 6 - at % 6) + abs(at[:, None] // 6 - at // 6)).astype(float)
    corner = rng.integers(0, 50, sites).astype(float)
    moved = between @ distance + np.outer(corner, (at % 6 + at // 6).astype(float))
    start = 0.2 * float(moved.trace()) / sites
    count = 16 * steps + 1000
    draw = random.Random(seed)
    words = np.array([draw.getrandbits(32) for _ in range(count)], np.uint32)
    flat, found = (between.ravel(), distance.ravel(), moved.flatten()), np.empty(sites, np.int64)
    exchange(*flat, words, steps, start, 0.9, (np.empty(2 * sites, np.int64), np.empty(2 * sites)), found)
    assert found.tolist() == exchanged(between, distance, moved, random.Random(seed), steps, start, 0.9)
