"""One image on a chip that loads groups of layers one after the other (see mapping.reload).

Its timesteps are played in blocks, of as many as a load serves. A block goes through the groups in turn: the
group's weights are loaded, the block's timesteps follow each other through it without waiting, and when the
last of its rows is done the next group is loaded. Nothing overlaps with a load. The checker looks at the
outputs where a block ends. So a block takes the sum of its loads and of its groups, each of which is a chip
of its own to the timing engine, in either fidelity.

A load takes the DRAM's latency, and then the longest of: its bits over DRAM or link, their way over the mesh
(they come in at the corner, so many bits per cycle as a flit has), and writing the cells. Sets of write
access work at the same time, each on its crossbars in turn (hardware.programming).

Under ``wait`` a block begins with the verdict on the one before it. Under ``pipeline`` and ``speculate`` its
first group is loaded while the checker looks at the outputs; where the image exits, that load has been begun
for nothing, and its share of bits and cells is charged, rounded down. Nothing else begins before a verdict.

Counts of a load stand in the first timestep of its block. An image that is to be over within a block has a
block that is so much shorter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from imcsim.base.errors import ImcsimError
from imcsim.base.plurals import counted
from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.events import Event
from imcsim.hardware.programming import writing_ns
from imcsim.mapping import Placement
from imcsim.mapping.reload import encoding, stored_rows
from imcsim.simulation.exits import Counts, Exits, layer_cycles
from imcsim.timing import EVENT_INDEX, EVENTS, Issue, Timing, play

PLAYED: tuple[str, ...] = ("wait", "pipeline", "speculate")
"""Issue policies: whether a block waits for the verdict on the one before it."""


@dataclass(frozen=True)
class Load:
    """What one load of a group takes. counts: by layer of the group, then by event."""

    cycles: int
    counts: tuple[dict[Event, int], ...]

    def total(self, event: Event) -> int:
        """How often an event happens, over all layers."""
        return sum(events.get(event, 0) for events in self.counts)


@dataclass(frozen=True, eq=False)
class _GroupRun:
    """Some timesteps of a block on one group. counts: ``[timesteps, events, layers of the ledger]``."""

    cycles: int
    """Until all of it is done."""
    ended: int
    """Until its last row is done."""
    answer: int
    """Until the last outputs have been accumulated; without a check."""
    check: int
    """What the checker takes behind that."""
    counts: Counts
    layer_cycles: Counts
    busy_cycles: Counts


@dataclass(frozen=True, eq=False)
class _ImageRun:
    """An image until it is over, as in `Exits`. counts: also of a timestep in which a load was begun for
    nothing.
    """

    departure: int
    check: int
    counts: Counts
    layer_cycles: Counts
    busy_cycles: Counts


def blocks(timesteps: int, each: int) -> Iterator[range]:
    """The timesteps of each block, of so many."""
    return (range(first, min(first + each, timesteps)) for first in range(0, timesteps, each))


def exit_points(placement: Placement, config: HardwareConfig, timesteps: int) -> tuple[int, ...]:
    """The timesteps, of so many, after which an image may exit: where blocks end; all of them on a chip that
    holds its network.
    """
    each = config.reload.block_of(timesteps) if placement.loads else 1
    return tuple(block.stop for block in blocks(timesteps, each))


def reloading(placement: Placement, config: HardwareConfig, timing: Timing, *, dynamic: bool) -> Exits:
    """Play one image for each exit timestep on a chip whose layers take turns.

    Raises ImcsimError for an issue policy that such a chip does not play, and where rows between groups do
    not fit the global buffer.
    """
    if timing.issue.kind not in PLAYED:
        raise ImcsimError(
            f"layers take turns on this chip, which does not go with {timing.issue}",
            key="issue",
            fix="use wait or speculate",
        )
    check_stored(placement, config, timing)
    return _Reloading(placement, config, timing, dynamic=dynamic).exits()


class _Reloading:
    """A chip, its groups, and what has been played on them."""

    def __init__(
        self, placement: Placement, config: HardwareConfig, timing: Timing, *, dynamic: bool
    ) -> None:
        self.placement, self.config, self.timing, self.dynamic = placement, config, timing, dynamic
        self.each = config.reload.block_of(timing.timesteps)
        self.loads, self.later = (
            [load_of(load, config, again=again) for load in placement.loads] for again in (False, True)
        )
        self._stored = stored_rows(placement)
        self._known: dict[tuple[int, bool, int], _GroupRun] = {}

    @cached_property
    def _first_layers(self) -> list[int]:
        """The number of each group's first layer."""
        sizes = [len(load.layers) for load in self.placement.loads]
        return [sum(sizes[:k]) for k in range(len(sizes))]

    def exits(self) -> Exits:
        """The image for every exit timestep."""
        runs = [self._run(e) for e in range(1, self.timing.timesteps + 1)]
        longest, spans = runs[-1].counts, np.cumsum(runs[-1].layer_cycles, axis=0)
        changes = [np.zeros((0, 5), np.int64)]
        for at, run in enumerate(runs[:-1]):
            more = run.counts.copy()
            more[: at + 1] -= longest[: at + 1]
            where = np.nonzero(more)
            changes.append(np.stack([np.full_like(where[0], at), *where, more[where]], axis=1))
            spans[at] = run.layer_cycles.sum(axis=0)
        return Exits(
            departure=[run.departure for run in runs],
            check=[run.check for run in runs],
            longest=longest,
            changes=np.concatenate(changes),
            busy_cycles=runs[-1].busy_cycles,
            layer_cycles=spans,
        )

    def _run(self, timesteps: int) -> _ImageRun:
        """An image that is over after so many timesteps."""
        waits = not self.timing.issue.runs_ahead
        now = departure = check = 0
        counts, spans = list[Counts](), list[Counts]()
        busy = np.zeros(self.placement.tiles, np.int64)
        for block in blocks(timesteps, self.each):
            loads, before = self.later if block.start else self.loads, departure
            if not waits and self.dynamic and block.start:
                now = max(now, departure - loads[0].cycles)  # no row begins before the verdict
            played = [self._block(group, block) for group in range(len(loads))]
            last = played[-1]
            now += sum(load.cycles for load in loads) + sum(one.cycles for one in played[:-1])
            departure = now + last.answer + last.check
            now += last.cycles if waits else max(last.answer, last.ended)
            check = check + last.check if waits else last.check
            here = sum((one.counts for one in played), np.zeros_like(last.counts))
            self._count_loads(here[0], loads)
            here[0, EVENT_INDEX[Event.POWERED_CYCLES], -1] = departure - before
            counts.append(here)
            spans.append(sum((one.layer_cycles for one in played), np.zeros_like(last.layer_cycles)))
            busy += sum((one.busy_cycles for one in played), np.zeros_like(busy))
        if not waits and self.dynamic and timesteps < self.timing.timesteps:
            counts.append(self._begun_for_nothing(departure - now))
        return _ImageRun(departure, check, np.concatenate(counts), np.concatenate(spans), busy)

    def _begun_for_nothing(self, cycles: int) -> Counts:
        """The part of the next block's first load that was done before the verdict."""
        load = self.later[0]
        counts = np.zeros((1, len(EVENTS), len(self.placement.layers) + 3), np.int64)
        for k, events in enumerate(load.counts):
            for event, number in events.items():
                done = number * min(cycles, load.cycles) // load.cycles
                counts[0, EVENT_INDEX[event], k + 1] = done
        return counts

    def _count_loads(self, counts: Counts, loads: list[Load]) -> None:
        """Count the loads of a block, ``[events, layers]``."""
        for first, load in zip(self._first_layers, loads, strict=True):
            for k, events in enumerate(load.counts):
                for event, number in events.items():
                    counts[EVENT_INDEX[event], first + k + 1] += number
        if self.config.clock.gating == "idle_tiles":
            powered = sum(load.cycles for load in loads) * self.placement.tiles
            counts[EVENT_INDEX[Event.POWERED_TILE_CYCLES], -1] += powered

    def _block(self, group: int, block: range) -> _GroupRun:
        """The timesteps of a block on a group; those of later blocks are like each other."""
        key = group, block.start > 0, len(block)
        if key not in self._known:
            self._known[key] = self._play(group, block)
        return self._known[key]

    def _play(self, group: int, block: range) -> _GroupRun:
        load, config = self.placement.loads[group], self.config
        chip = encoding(config, load.graph)
        from_dram = config.reload.spikes == "dram" and group > 0
        if from_dram:
            fetched = sum(rows.bits for rows in self._stored if group in rows.read)
            graph = replace(load.graph, image_bits=fetched)
            load = replace(load, graph=graph)
        timing = replace(
            self.timing,
            timesteps=block.stop,
            issue=Issue("pipeline"),
            first=block.start,
            checks_last=True,
            timed=from_dram or (self.timing.timed and group == 0),
        )
        line = play(load, chip, [block.stop], timing)
        counts = self._of_ledger(line.counts, group)
        if from_dram:
            image, stored = EVENT_INDEX[Event.IMAGE_BITS], EVENT_INDEX[Event.STORED_BITS]
            counts[:, stored], counts[:, image] = counts[:, image], 0
        if config.reload.spikes == "dram":
            written = sum(rows.bits for rows in self._stored if rows.made == group)
            counts[:, EVENT_INDEX[Event.STORED_BITS], 0] += written
        began = int(line.arrival[0])
        check = int(line.verdict[-1] - line.answer[-1])
        return _GroupRun(
            cycles=max(int(line.departure[0]), int(line.ended.max())) - began,
            ended=int(line.ended.max()) - began,
            answer=int(line.answer[-1]) - began,
            check=check,
            counts=counts,
            layer_cycles=self._of_ledger(layer_cycles(line.begun, line.ended)[:, None], group)[:, 0],
            busy_cycles=line.busy_cycles,
        )

    def _of_ledger(self, counts: Counts, group: int) -> Counts:
        """Counts of a group's layers, ``[jobs, events, layers]``, among those of all layers."""
        first, layers = self._first_layers[group], len(self.placement.loads[group].layers)
        whole = np.zeros((*counts.shape[:2], len(self.placement.layers) + 3), np.int64)
        whole[:, :, 0], whole[:, :, -2:] = counts[:, :, 0], counts[:, :, -2:]
        whole[:, :, first + 1 : first + 1 + layers] = counts[:, :, 1:-2]
        return whole


def load_of(load: Placement, config: HardwareConfig, *, again: bool) -> Load:
    """What it takes to load a group. `again`: for a later block, in which layers that keep their currents
    need no weights.
    """
    written = [one for one in load.layers if not (again and one.stage.keeps_currents(config))]
    if not written:
        return Load(0, tuple({} for _ in load.layers))
    counts: list[dict[Event, int]] = []
    flits_of_all = 0
    for k, layer in enumerate(load.layers):
        if layer not in written:
            counts.append({})
            continue
        weights = layer.stage.rows * (layer.stage.out_channels // layer.stage.groups)
        bits, moved, hopped = weights * layer.stage.weight_bits, 0, 0
        for part in load.parts_of(k):
            mine = -(-bits * part.units // (layer.blocks * layer.columns))
            flits, links = 1 + -(-mine // config.noc.flit_bits), load.route(None, part.tile)
            flits_of_all += flits
            moved += mine * sum(link.pitches for link in links)
            hopped += flits * sum(link.routers for link in links)
        counts.append(
            {
                Event.WEIGHT_BITS: bits,
                Event.CELL_WRITES: weights * layer.slices * layer.copies,
                Event.NOC_CURRENT_BITS: moved,
                Event.FLIT_HOPS: hopped,
            }
        )
    bits = sum(events.get(Event.WEIGHT_BITS, 0) for events in counts)
    written_ns = writing_ns(config, sum(layer.crossbars for layer in written))
    latency = config.dram.latency_cycles(config)
    cycles = latency + max(
        config.load_cycles(bits) - latency, flits_of_all, math.ceil(written_ns / config.technology.clock_ns)
    )
    return Load(cycles, tuple(counts))


def check_stored(placement: Placement, config: HardwareConfig, timing: Timing) -> None:
    """Raise ImcsimError where what waits in the global buffer does not fit.

    An image stays there as long as it is read again: while the first group plays, and until the last block
    where the encoder recomputes it. Rows wait for all timesteps of a block; of those in the DRAM a timestep
    is there at a time.
    """
    each, rows = config.reload.block_of(timing.timesteps), stored_rows(placement)
    several = each < timing.timesteps and config.encoder.mode == "recompute" and not timing.timed
    most = 0
    for group in range(len(placement.loads)):
        if config.reload.spikes == "dram":
            held = sum(one.bits for one in rows if group in one.read)
        else:
            held = each * sum(one.bits for one in rows if one.made <= group <= max(one.read))
        most = max(most, held + (placement.graph.image_bits if several or group == 0 else 0))
    if most > config.global_buffer.capacity_bytes * 8:
        ways = [f"set it to at least {-(-most // 8)}"]
        if config.reload.spikes != "dram":
            ways.append("set reload.spikes to dram")
            if each > 1:
                ways.append("set reload.timesteps to less")
        raise ImcsimError(
            f"what waits for a group of layers takes {-(-most // 8)} bytes with "
            f"{counted(each, 'timestep')} per load, "
            f"the global buffer has {config.global_buffer.capacity_bytes}",
            key="global_buffer.capacity_bytes",
            fix=", or ".join(ways),
        )
