"""Who sends to whom, and what parts count, on any placement: nothing is lost, doubled or overbooked."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_chips import any_network, chips

from imcsim.base.errors import ImcsimError
from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.events import Event
from imcsim.mapping import IMAGE, Placement, place
from imcsim.mapping.topologies import Mesh
from imcsim.network.graph import Network
from imcsim.timing.figures import part_figures
from imcsim.timing.wiring import Wiring, way, wire

EVERYDAY = settings(deadline=None, max_examples=25, derandomize=True)


def wired(network: Network, config: HardwareConfig) -> tuple[Placement, Wiring]:
    placement = place(network, config)
    try:
        return placement, wire(placement, config)
    except ImcsimError:  # a buffer that does not hold a window
        assume(False)
        raise


@given(any_network(), chips())
@EVERYDAY
def test_every_receiver_hears_every_sender_once(network: Network, config: HardwareConfig) -> None:
    placement, wiring = wired(network, config)
    heads = [part for part in placement.parts if part.head == part.index]
    wanted: Counter[tuple[int | None, int | None, int | None]] = Counter()
    for number, edge in enumerate(placement.graph.edges):
        senders = [None] if edge.source == IMAGE else [p.index for p in heads if p.stage == edge.source]
        receivers = placement.parts_of(edge.target) if edge.role == "input" else heads
        for target in receivers:
            if target.stage == edge.target:
                wanted.update((source, target.index, number) for source in senders)
    for part in placement.parts:
        if part.head != part.index:
            wanted[part.index, part.head, None] += 1
        elif placement.graph.stages[part.stage].is_output:
            wanted[part.index, None, None] += 1
    numbers = {id(edge): n for n, edge in enumerate(placement.graph.edges)}
    found = Counter((s.source, s.target, numbers.get(id(s.edge))) for s in wiring.streams)
    assert found == wanted
    # The same streams, seen from both ends.
    out = [s for part in wiring.parts for one in part.outputs for s in one.streams]
    into = [s for part in wiring.parts for s in (*part.inputs, *part.partials, *part.residuals)]
    assert [s.rank for s in [*out, *wiring.images]] == list(range(len(wiring.streams)))
    assert sorted(s.rank for s in [*into, *wiring.answers]) == list(range(len(wiring.streams)))
    for part, one in zip(placement.parts, wiring.parts, strict=True):
        assert all(s.source == part.index for output in one.outputs for s in output.streams)
        assert all(s.target == part.index for s in (*one.inputs, *one.partials, *one.residuals))


@given(any_network(), chips())
@EVERYDAY
def test_rooms_fit_into_tile_buffers(network: Network, config: HardwareConfig) -> None:
    placement, wiring = wired(network, config)
    held = [0] * placement.tiles
    for part, one in zip(placement.parts, wiring.parts, strict=True):
        # Senders of one edge share its rows, so their rooms are the same place; delayed rows have a memory.
        shared = {id(s.edge): s for s in (*one.inputs, *one.residuals) if not s.delay}
        for stream in shared.values():
            assert stream.edge is not None
            held[part.tile] += stream.room * stream.edge.row_bits
    assert all(bits <= config.tile_buffer.capacity_bytes * 8 for bits in held)


@given(any_network(), chips(), st.booleans())
@EVERYDAY
def test_parts_of_a_layer_do_its_work_together(network: Network, config: HardwareConfig, first: bool) -> None:
    placement = place(network, config)
    figures = part_figures(placement, config)
    for layer in placement.layers:
        stage, mine = layer.stage, [one for one in figures if one.stage is layer.stage]
        rows: Counter[Event] = Counter()
        for one in mine:
            for blocks in one.alike:
                rows.update(one.row_read_counts(blocks, one.row_reads(blocks), 0))
            if one.is_head:
                rows.update(one.fire(one.positions, stored=False, first=first))
            if one.fires_behind_pool:
                rows.update(one.behind_pool(1, first=first))
        # Of a band of rows, where copies work on several at a time.
        width = stage.out_width * layer.row_copies
        outputs = width * stage.out_channels
        fired = outputs if stage.pool is None else stage.pool.width * stage.out_channels
        # A crossbar of n rows, p of them at once, is read n / p times, rounded up, for each input bit.
        at_once = config.cells.rows_at_once
        turns = [-(-int(rows) // at_once) for rows in layer.rows.crossbar_rows]
        blocks = sum(turns) * layer.columns_of_set
        # Each set of groups is converted for the blocks of its own rows; a dense layer is one set.
        of_set = [
            len(layer.group_sets.groups_of(k)) * stage.out_channels // layer.group_sets.groups
            for k in range(layer.sets)
        ]
        converted = sum(n * of_set[k // layer.blocks] for k, n in enumerate(turns))
        assert rows[Event.CROSSBAR_READS] == width * stage.planes * blocks * layer.unit_crossbars
        assert rows[Event.CONVERSIONS] == width * converted * stage.planes * layer.slices
        updates = stage.states + stage.spike_bits - 1 if stage.neurons else 0
        assert rows[Event.LIF_UPDATES] == fired * updates
        assert (rows[Event.MEMBRANE_READ_BITS] == 0) == (first or not stage.neurons)
        assert sum(one.pool_values for one in mine) == stage.pool_inputs
        # Skipped reads stand for reads, one for one.
        for one in mine:
            for blocks in one.alike:
                reads = one.row_reads(blocks)
                taken = one.row_read_counts(blocks, reads, 0)[Event.CROSSBAR_READS]
                assert one.row_read_counts(blocks, 0, reads)[Event.SKIPPED_READS] == taken


@pytest.mark.parametrize("target", [(0, 0), (3, 0), (0, 2), (2, 3)])
def test_a_route_ends_at_the_local_port(target: tuple[int, int]) -> None:
    way = [link.ends for link in Mesh((4, 4), 16).route((1, 1), target)]
    assert way[0][0] == (1, 1)
    assert way[-1] == (target, target)
    assert all(before[1] == after[0] for before, after in pairwise(way))
    assert len(way) == abs(target[0] - 1) + abs(target[1] - 1) + 1


@given(any_network(), chips(noc__topology="mesh"))
@EVERYDAY
def test_streams_within_a_tile_stay_off_the_mesh(network: Network, config: HardwareConfig) -> None:
    placement, wiring = wired(network, config)
    for stream in wiring.streams:
        tiles = [None if n is None else placement.parts[n].tile for n in (stream.source, stream.target)]
        links = way(placement, stream)
        assert (not links) == (tiles[0] == tiles[1] and tiles[0] is not None)
        if links:
            ends = links[0].ends[0], links[-1].ends[1]
            assert ends == tuple((0, 0) if t is None else placement.positions[t] for t in tiles)
