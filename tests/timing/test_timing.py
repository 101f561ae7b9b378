"""The timing floor against cycle counts worked by hand, and what must hold for any network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import random_network, vgg_like
from played import play

import imcsim.hardware
from imcsim.base.choices import Fidelity
from imcsim.base.errors import ImcsimError
from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.events import Event
from imcsim.mapping import place
from imcsim.mapping.topologies import Mesh
from imcsim.network.graph import INPUT, LIF, Add, Conv2d, Flatten, Linear, Network, Node, Pool2d
from imcsim.timing import Timeline
from imcsim.timing.processes.flow import Channel, Room, Rows, missing
from imcsim.timing.processes.links import Links


def chip(name: str = "dtsnn_32nm", **overrides: object) -> HardwareConfig:
    """A built-in config with its tiles in a row; ``adc__bits`` stands for ``adc.bits``."""
    overrides = {"mapping__placement": "path", **overrides}
    return imcsim.hardware.load(name, {k.replace("__", "."): v for k, v in overrides.items()}).config


def timeline(network: Network, config: HardwareConfig, timesteps: int = 2, **settings: Any) -> Timeline:
    """One image that stays for all timesteps."""
    return play(place(network, config), config, [timesteps], timesteps, **settings)


def ones(*shape: int) -> Any:
    return np.ones(shape, np.int8)


def units(count: int) -> tuple[Any, Any]:
    return np.ones(count), np.zeros(count)


# Everything that the counts below use. Sense 8 cycles (7.9 ns at 1 ns), convert 8 columns x 1 cycle.
HAND = {
    "mapping__replication": "none",
    "mapping__share_tiles": False,
    "mapping__placement": "path",
    "offchip_link__bits_per_cycle": 1,
    "tile__bus_bits": 256,
    "tile__input_sets": 2,
    "tile__output_rows": 2,
    "noc__flit_bits": 32,
    "noc__hop_cycles": 2,
    "lif__lanes": 32,
    "lif__partial_sum_bits": 20,
    "adder_tree__level_cycles": 1,
    "accumulator__class_cycles": 1,
    "checker__class_cycles": 1,
    "checker__final_cycles": 4,
    "checker__verdict_cycles": 2,
    "cells__read_pulse_ns": 7.9,
    "adc__conversion_cycles": 1,
    "column_mux__columns_per_adc": 8,
}


def one_layer() -> Network:
    """A classifier that reads a 2 x 2 image of 8 bits."""
    node = Linear("fc", (INPUT,), ones(2, 4), *units(2))
    return Network("one", (1, 2, 2), 8, 1.0, 2, 2, 4, (node,))


def two_layers() -> Network:
    """1 x 1 convolution of a 2 x 2 image of 1 bit, two channels of neurons, and a classifier."""
    nodes = (
        Conv2d("conv", (INPUT,), ones(2, 1, 1, 1), *units(2)),
        LIF("lif", ("conv",), 0.5, 1.0, "hard"),
        Flatten("flat", ("lif",)),
        Linear("fc", ("flat",), ones(2, 8), *units(2)),
    )
    return Network("two", (1, 2, 2), 1, 1.0, 2, 2, 4, nodes)


FIDELITIES = pytest.mark.parametrize("fidelity", ["reference", "burst"])


@FIDELITIES
def test_one_layer_by_hand(fidelity: Fidelity) -> None:
    # Image: 32 bits at 8 a cycle, on the chip at 4. Each of its 2 rows has 16 bits = 1 head flit + 1; from
    # the global buffer to the tile at the same node is one hop: 2 + 1 cycles. A row follows when the one
    # before it has arrived: rows at 7 and 10. The classifier needs both. Fetch of 4 x 8 bits: 1 -> 11. Eight
    # input bits, a sense of 8 each, while the ADCs convert the one before: samples at 19, 27, .., 75; last
    # code at 83. Tree of one block: 1 -> 84. 2 x 20 bits into the output register: 1 -> 85. Packet of 40 bits
    # = 1 + 2 flits, one hop: 2 + 2 -> 89. Accumulator 2 classes: 91. Check 2 x 2 + 4: 99; the tiles know it 2
    # later: 101. Second timestep: the same without the 4 cycles of loading: 97 more.
    config = chip(**HAND | {"offchip_link__bits_per_cycle": 8, "encoder__mode": "recompute"})
    recompute = timeline(one_layer(), config, fidelity=fidelity)
    assert recompute.answer.tolist() == [91, 188]
    assert recompute.verdict.tolist() == [101, 198]
    # Stored currents take the tree's cycle (1), then register (1), packet (4), accumulator (2), check (10).
    config = chip(**HAND | {"offchip_link__bits_per_cycle": 8, "encoder__mode": "keep"})
    keep = timeline(one_layer(), config, fidelity=fidelity)
    assert keep.verdict.tolist() == [101, 119]


@FIDELITIES
def test_two_layers_by_hand(fidelity: Fidelity) -> None:
    # Image: 4 bits at 1 a cycle: 4. Rows of 2 bits = 2 flits, one hop: at 7 and 10.
    # Conv (tile at (0, 0)), two waves a row, W0 .. W3:
    #   W0 fetch 7-8, sense 8-16, convert 16-24, tree 25, fire 26, write 27
    #   W1 fetch 8-9, sense 16-24 (after W0), convert 24-32, tree 33, fire 34, write 35: row 0 is done
    #   W2 needs a window set (W0's, free at 16): fetch 16-17; a sum set (W0's, free when it has fired, 26):
    #      sense 26-34, convert 34-42, tree 43, fire 44, write 45
    #   W3 window set of W1 at 24: fetch 24-25; sum set of W1 and the drivers at 34: sense 34-42, convert
    #      42-50, tree 51, fire 52, write 53: row 1 is done
    # A row of 4 bits = 2 flits to the tile at (1, 0): out along x and into the tile, 2 hops: 2 x 2 + 1 = 5.
    # Rows at 40 and 58. Classifier: fetch 59, sense 67, convert 75, tree 76, write 77; 40 bits = 3 flits,
    # back along x and out, 2 hops: 83. Accumulator 85, check 93, known to the tiles at 95. Second timestep:
    # 4 cycles of loading less, 91 more.
    config = chip(**HAND | {"encoder__mode": "recompute"})
    placed = place(two_layers(), config)
    assert placed.positions == ((0, 0), (1, 0))
    assert timeline(two_layers(), config, fidelity=fidelity).verdict.tolist() == [95, 95 + 91]
    # Stored currents, from 95: W0 and W1 pass the tree until 96, fire 97, 98 and write 98, 99; W2 takes W0's
    # sum set at 97, W3 W1's at 98: tree 98, 99, fire 99, 100, write 100, 101. Row 0 leaves at 99, arrives
    # 104; row 1 leaves then and arrives 109; the classifier takes 25 to the far side as before (58 -> 83):
    # 134, accumulator 136, check 144, known at 146.
    config = chip(**HAND | {"encoder__mode": "keep"})
    assert timeline(two_layers(), config, fidelity=fidelity).verdict.tolist() == [95, 146]


@FIDELITIES
def test_two_copies_halve_the_waves_of_the_row(fidelity: Fidelity) -> None:
    # One wave a row, both positions at once. Fetch of both 1 x 1 windows: 8; sense 16, convert 24, tree 25,
    # fire 26, write 27: row 0 at 32. Row 1 has arrived at 10: fetch 11, sense 16-24, convert 32, tree 33,
    # fire 34, write 35; it arrives at 40. Classifier 25 later: 65, accumulator 67, check 75,
    # known to the tiles at 77.
    config = chip(**HAND | {"mapping__replication": "balanced", "mapping__extra_crossbars": 1})
    placed = place(two_layers(), config)
    assert placed.layers[0].copies == 2
    assert timeline(two_layers(), config, 1, fidelity=fidelity).verdict.tolist() == [77]


# The mesh


def route(source: tuple[int, int], target: tuple[int, int]) -> list[tuple[Any, ...]]:
    """The ends of the links between two sites of a mesh."""
    return [link.ends for link in Mesh((7, 7), 49).route(source, target)]


def test_route_goes_along_x_then_y_then_out() -> None:
    assert route((0, 0), (2, 1)) == [((0, 0), (1, 0)), ((1, 0), (2, 0)), ((2, 0), (2, 1)), ((2, 1), (2, 1))]
    assert route((2, 1), (0, 0)) == [((2, 1), (1, 1)), ((1, 1), (0, 1)), ((0, 1), (0, 0)), ((0, 0), (0, 0))]
    assert route((3, 3), (3, 3)) == [((3, 3), (3, 3))]


@given(st.tuples(*[st.integers(0, 6)] * 4))
@settings(deadline=None, max_examples=30)
def test_route_is_a_shortest_path(ends: tuple[int, int, int, int]) -> None:
    source, target = (ends[0], ends[1]), (ends[2], ends[3])
    links = route(source, target)
    assert len(links) == abs(ends[0] - ends[2]) + abs(ends[1] - ends[3]) + 1
    assert links[0][0] == source
    assert all(a[1] == b[0] for a, b in pairwise(links))
    assert all(abs(a[0] - b[0]) + abs(a[1] - b[1]) == 1 for a, b in links[:-1])


def sent(
    packets: Sequence[tuple[int, tuple[int, int], tuple[int, int], int]], hop_cycles: int = 2
) -> list[int]:
    """When each packet (start, source, target, flits) has arrived."""
    env = simpy.Environment()
    links, mesh = Links(env, chip(noc__flit_bits=32, noc__hop_cycles=hop_cycles)), Mesh((7, 7), 49)
    arrived = [0] * len(packets)

    def carry(k: int, start: int, source: Any, target: Any, flits: int) -> Any:
        yield env.timeout(start)
        yield from links.send(mesh.route(source, target), flits, k)
        arrived[k] = int(env.now)

    for k, packet in enumerate(packets):
        env.process(carry(k, *packet))
    env.run()
    return arrived


@pytest.mark.parametrize("hop_cycles", [1, 2, 5])
@pytest.mark.parametrize("flits", [1, 2, 9])
@pytest.mark.parametrize("target", [(0, 0), (1, 0), (3, 2)])
def test_a_lone_packet_takes_a_hop_a_link_and_a_cycle_a_flit(
    target: tuple[int, int], flits: int, hop_cycles: int
) -> None:
    hops = target[0] + target[1] + 1
    assert sent([(7, (0, 0), target, flits)], hop_cycles) == [7 + hops * hop_cycles + flits - 1]


def test_two_packets_share_a_link() -> None:
    # A holds the link (0,0)-(1,0) for its 5 flits, 0 to 5. B, offered at 1, gets it at 5: 5 + 2 x 2 + 3 - 1.
    assert sent([(0, (0, 0), (1, 0), 5), (1, (0, 0), (1, 0), 3)]) == [2 * 2 + 4, 5 + 2 * 2 + 2]
    # Different links: nobody waits.
    assert sent([(0, (0, 0), (1, 0), 5), (1, (0, 1), (1, 1), 3)]) == [8, 1 + 4 + 2]
    # Two sources, one target: they meet at its port. A's head holds it from 2 to 7, B's head is there at 3.
    assert sent([(0, (0, 0), (1, 0), 5), (1, (2, 0), (1, 0), 3)]) == [8, 7 + 2 + 2]


def test_flits_of_a_packet() -> None:
    links = Links(simpy.Environment(), chip(noc__flit_bits=32))
    assert [links.flits(bits) for bits in (0, 1, 32, 33, 64)] == [1, 2, 2, 3, 3]


# Rows and channels


def test_rows_wake_those_that_wait_for_them() -> None:
    env = simpy.Environment()
    rows = Rows(env)
    woken: list[tuple[int, int]] = []

    def wait(total: int) -> Any:
        yield rows.reach(total)
        woken.append((total, int(env.now)))

    def arrive() -> Any:
        for _ in range(3):
            yield env.timeout(10)
            rows.arrive()

    for total in (3, 1, 0, 2, 1):
        env.process(wait(total))
    env.process(arrive())
    env.run()
    assert woken == [(0, 0), (1, 10), (1, 10), (2, 20), (3, 30)]
    assert rows.reach(3).triggered
    assert not rows.reach(4).triggered


def test_a_full_channel_stops_its_sender() -> None:
    env = simpy.Environment()
    channel = Channel(env, "rows", 2)
    left: list[int] = []

    def send() -> Any:
        for _ in range(5):
            wait = channel.room.take()
            if wait is not None:
                yield wait
            left.append(int(env.now))
            channel.arrive()

    def receive() -> Any:
        yield from missing([channel], 2)
        yield env.timeout(50)
        channel.free(0)
        yield env.timeout(50)
        channel.free(2)
        yield env.timeout(50)
        channel.free(1)

    env.process(send())
    env.process(receive())
    env.run()
    assert left == [0, 0, 100, 100, 150]
    assert str(channel) == "rows (2 of 2 rows taken)"
    assert missing([channel], 5) == []


def test_rows_that_nobody_needs_take_no_room() -> None:
    env = simpy.Environment()
    channel = Channel(env, "rows", 1)
    channel.free(2)
    for _ in range(2):
        assert channel.room.take() is None
        channel.arrive()
        assert channel.room.level == 1
    # A void row is counted, and frees nothing that it never took.
    channel.arrive(void=True)
    channel.free(1)
    assert (channel.rows.total, channel.room.level) == (3, 1)


def test_room_is_given_in_the_order_of_asking() -> None:
    env = simpy.Environment()
    room = Room(env, 1)
    assert room.take() is None
    first, second = room.take(), room.take()
    assert first is not None
    assert second is not None
    room.give()
    assert (first.triggered, second.triggered) == (True, False)
    room.give(2)
    assert second.triggered
    assert room.take() is None
    assert room.take() is not None


# Any network


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("mode", ["keep", "recompute"])
def test_timesteps_after_the_first_take_equally_long(residual: bool, seed: int, mode: str) -> None:
    network = random_network(np.random.default_rng(seed), residual=residual, depth=3, channels=4)
    line = timeline(network, chip(encoder__mode=mode), 4)
    steps = np.diff(line.verdict)
    assert len(set(steps.tolist())) == 1
    first = int(line.verdict[0])
    if mode == "keep":
        assert steps[0] < first
    else:  # loading the image comes once
        link = chip().offchip_link.bits_per_cycle
        assert first - steps[0] == -(-2 * 8 * 8 * 8 // link)
    for event in Event:
        table = line.count(event)
        assert (table[2:] == table[1]).all(), event


@pytest.mark.parametrize("name", ["dtsnn_32nm", "spikesim_65nm"])
@pytest.mark.parametrize("seed", range(3))
def test_the_fidelities_agree(seed: int, name: str) -> None:
    """Law 5."""
    network = random_network(
        np.random.default_rng(seed), residual=seed == 1, depth=3, size=7, average=seed == 2
    )
    fine, quick = (timeline(network, chip(name), 2, fidelity=kind) for kind in ("reference", "burst"))
    for field in ("issued", "answer", "verdict", "departure", "counts", "busy_cycles"):
        assert (getattr(fine, field) == getattr(quick, field)).all(), field
    assert fine.link_cycles == quick.link_cycles


@pytest.mark.parametrize("residual", [False, True])
def test_a_longer_run_begins_like_a_shorter_one(residual: bool) -> None:
    network = random_network(np.random.default_rng(5), residual=residual, depth=3, channels=4)
    long, short = timeline(network, chip(), 4), timeline(network, chip(), 2)
    assert (long.verdict[:2] == short.verdict).all()
    assert (long.answer[:2] == short.answer).all()
    for event in Event:
        assert (long.count(event)[:2] == short.count(event)).all(), event


def test_keep_and_recompute_agree_on_the_first_timestep() -> None:
    network = random_network(np.random.default_rng(2), depth=3)
    keep, again = (timeline(network, chip(encoder__mode=mode), 3) for mode in ("keep", "recompute"))
    assert keep.verdict[0] == again.verdict[0]
    assert (keep.verdict[1:] < again.verdict[1:]).all()
    reads = [line.count(Event.CROSSBAR_READS)[:, 1] for line in (keep, again)]
    assert reads[0][1:].tolist() == [0, 0]
    assert (reads[1] == reads[1][0]).all()
    assert reads[0][0] == reads[1][0]
    currents = 8 * 8 * 6 * chip().lif.partial_sum_bits
    assert keep.count(Event.CURRENT_WRITE_BITS)[:, 1].tolist() == [currents, 0, 0]
    assert keep.count(Event.CURRENT_READ_BITS)[:, 1].tolist() == [0, currents, currents]
    assert not again.count(Event.CURRENT_READ_BITS).any()
    # The neurons fire at every timestep either way.
    assert (keep.count(Event.LIF_UPDATES) == again.count(Event.LIF_UPDATES)).all()


def test_the_checker_speaks_after_the_answer() -> None:
    network = random_network(np.random.default_rng(2), classes=5)
    config = chip(checker__class_cycles=3, checker__final_cycles=7, checker__verdict_cycles=5)
    line = timeline(network, config, 3)
    assert (line.verdict - line.answer).tolist() == [2 * 5 * 3 + 7 + 5] * 3


def test_the_mean_costs_a_product_a_class() -> None:
    network = random_network(np.random.default_rng(2), classes=5)
    placed = place(network, chip())
    with_mean, without = (play(placed, chip(), [2], 2, mean=mean) for mean in (True, False))
    key = Event.CHECKER_MULTIPLIES
    assert with_mean.count(key).sum(1).tolist() == [12, 12]
    assert without.count(key).sum(1).tolist() == [7, 7]


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("column_mux__columns_per_adc", (64, 16, 8, 4, 1)),
        ("noc__flit_bits", (4, 16, 32, 128)),
        ("lif__lanes", (1, 4, 32, 256)),
        ("tile__bus_bits", (16, 64, 256)),
        ("offchip_link__bits_per_cycle", (1, 8, 128)),
        ("adder_tree__level_cycles", (4, 2, 1)),
    ],
)
def test_more_hardware_is_never_slower(key: str, values: tuple[int, ...]) -> None:
    """Law 7, for a given way of the verdict: one that is estimated grows with the tiles."""
    networks = [
        random_network(
            np.random.default_rng(seed), residual=seed % 2 == 1, depth=3, channels=5, average=seed == 2
        )
        for seed in range(4)
    ]
    networks.append(vgg_like(np.random.default_rng(7), plan=(16, "M", 24, 80), size=6, timesteps=2))
    for mode in ("keep", "recompute"):
        for network in networks:
            fixed = {"encoder__mode": mode, "checker__verdict_cycles": 2}
            lines = [timeline(network, chip(**fixed, **{key: value})) for value in values]
            cycles = np.array([line.verdict for line in lines])
            assert (np.diff(cycles, axis=0) <= 0).all(), (network.name, mode, cycles.tolist())


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_residual_networks_run(seed: int, average: bool) -> None:
    network = random_network(np.random.default_rng(seed), residual=True, depth=4, average=average, size=7)
    line = timeline(network, chip(), 3)
    assert (np.diff(line.verdict) > 0).all()
    places = {layer.stage.name: layer.stage for layer in place(network, chip()).layers}
    adds = line.count(Event.RESIDUAL_ADDS)
    for name, stage in places.items():
        k = line.layers.index(name)
        adding = name.endswith("conv2")
        assert adds[:, k].tolist() == [stage.positions * stage.out_channels * adding] * 3


def pooled(size: int, pool: int, stride: int) -> Network:
    """A convolution whose rows do not fit the pool behind it."""
    out = (size - pool) // stride + 1
    nodes = (
        Conv2d("conv", (INPUT,), ones(2, 1, 3, 3), *units(2), padding=(1, 1)),
        LIF("lif", ("conv",), 0.5, 1.0, "hard"),
        Pool2d("pool", ("lif",), "max", (pool, pool), (stride, stride)),
        Flatten("flat", ("pool",)),
        Linear("fc", ("flat",), ones(2, 2 * out * out), *units(2)),
    )
    return Network("pooled", (1, size, size), 1, 1.0, 2, 2, 4, nodes)


@pytest.mark.parametrize("output_rows", [1, 2])
@pytest.mark.parametrize(
    ("size", "pool", "stride"), [(5, 2, 2), (7, 2, 3), (6, 3, 1), (8, 1, 3), (7, 3, 2), (9, 2, 7)]
)
def test_rows_that_a_pool_leaves_over_lock_nothing(
    size: int, pool: int, stride: int, output_rows: int
) -> None:
    line = timeline(pooled(size, pool, stride), chip(tile__output_rows=output_rows), 3)
    out = (size - pool) // stride + 1
    assert line.count(Event.POOL_OPERATIONS).sum(1).tolist() == [2 * out * out * pool * pool] * 3
    assert line.count(Event.LIF_UPDATES).sum(1).tolist() == [2 * size * size] * 3


# Buffers


def test_a_buffer_below_one_window_is_refused() -> None:
    network = random_network(np.random.default_rng(0), depth=2, channels=32, size=16, in_channels=1)
    # conv2 reads 8 pooled rows of 8 x 32 bits, three at a time: 96 bytes. The advice is what the neediest
    # layer takes: the classifier holds all 8 rows of 8 x 35 bits, 280 bytes.
    with pytest.raises(ImcsimError, match="conv2 needs 3 input rows of 256 bits") as caught:
        timeline(network, chip(tile_buffer__capacity_bytes=95))
    assert caught.value.key == "tile_buffer.capacity_bytes"
    assert caught.value.fix == "set it to at least 280"


def test_the_advised_buffer_is_enough() -> None:
    def sized(capacity: int) -> HardwareConfig:
        # A larger buffer makes tiles larger, and the way of a verdict longer where that is estimated.
        return chip(tile_buffer__capacity_bytes=capacity, checker__verdict_cycles=2)

    network = random_network(np.random.default_rng(0), depth=2, channels=32, size=16)
    capacity, line = 64, None
    while line is None:
        try:
            line = timeline(network, sized(capacity))
        except ImcsimError as error:
            advised = int((error.fix or "").rsplit(" ", 1)[1])
            if advised <= capacity:
                pytest.fail(f"{capacity} bytes are not enough, but the advice is {advised}")
            capacity = advised
    assert line.verdict[-1] >= timeline(network, sized(1 << 20)).verdict[-1]


def shortcut_past(depth: int) -> Network:
    """A shortcut over `depth` convolutions: its rows wait until the last of them has caught up."""
    nodes: list[Node] = [
        Conv2d("conv0", (INPUT,), ones(32, 1, 3, 3), *units(32), padding=(1, 1)),
        LIF("lif0", ("conv0",), 0.5, 1.0, "hard"),
    ]
    for k in range(1, depth + 1):
        nodes.append(Conv2d(f"conv{k}", (f"lif{k - 1}",), ones(32, 32, 3, 3), *units(32), padding=(1, 1)))
        if k < depth:
            nodes.append(LIF(f"lif{k}", (f"conv{k}",), 0.5, 1.0, "hard"))
    nodes += [
        Add("add", (f"conv{depth}", "lif0")),
        LIF("last", ("add",), 0.5, 1.0, "hard"),
        Flatten("flat", ("last",)),
        Linear("fc", ("flat",), ones(2, 32 * 64), *units(2)),
    ]
    return Network("past", (1, 8, 8), 1, 1.0, 2, 2, 4, tuple(nodes))


def test_a_lock_up_is_found_and_named() -> None:
    # The shortcut's share of the buffer holds 4 rows of 256 bits (256 B / 2 streams); conv5 needs row 5 and
    # more of lif0 to have passed four convolutions before it can take the first. Nobody can go on.
    network = shortcut_past(5)
    with pytest.raises(
        ImcsimError, match=r"locks up at cycle [0-9]+.*rows from conv0 to conv5 .4 of 4 rows taken."
    ) as e:
        timeline(network, chip(tile_buffer__capacity_bytes=256, tile__output_rows=1))
    assert e.value.key == "tile_buffer.capacity_bytes"
    assert "enlarge" in (e.value.fix or "")
    assert timeline(network, chip(tile_buffer__capacity_bytes=640)).verdict[-1] > 0


def test_an_image_larger_than_its_buffer_is_refused() -> None:
    node = Linear("fc", (INPUT,), ones(2, 4096), *units(2))
    network = replace(one_layer(), input_shape=(1, 64, 64), nodes=(node,))
    with pytest.raises(ImcsimError, match="take 4096 bytes, the global buffer has 4095") as caught:
        timeline(network, chip(global_buffer__capacity_bytes=4095))
    assert caught.value.key == "global_buffer.capacity_bytes"


def test_kernel_position_chips_run() -> None:
    network = random_network(np.random.default_rng(3), residual=True, depth=3)
    line = timeline(network, chip("spikesim_65nm"), 3)
    steps = np.diff(line.verdict)
    assert steps[0] == steps[1] > 0
