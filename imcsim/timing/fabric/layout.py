"""A placed chip as the memory that its kernels play in: made once, copied for every play."""

from __future__ import annotations

from typing import Any

import numpy as np

from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.events import Event
from imcsim.mapping import IMAGE, Edge, Placement
from imcsim.timing.fabric.kernels import records as k
from imcsim.timing.issue import Timing
from imcsim.timing.jobs import Job
from imcsim.timing.processes.burst import BurstPart
from imcsim.timing.processes.chip import ORIGIN, ProcessEngine
from imcsim.timing.processes.flow import Channel
from imcsim.timing.processes.mesh import Hop, Node
from imcsim.timing.processes.part import Output
from imcsim.timing.processes.row_kernels import STATE_SIZE
from imcsim.timing.timeline import EVENT_INDEX, EVENTS

BUCKETS = 1024
"""Of the wheel of cycles, a power of two. What happens later goes round."""

_VARIANTS = ((False, 0), (False, 1), (True, 0), (True, 1))
"""Whether a row is stored, and its timestep (later ones are as 1)."""


_Sender = tuple[BurstPart | None, int, Channel]
"""Whose rows go into a channel (None: the image's), and the number of the output."""


class Layout:
    """A chip on which nothing has happened yet.

    memory: int64, see `kernels.records`; what grows with the jobs under way is not in it. parts,
    streams, outputs: the slices of it that hold their records, which are `P_SIZE`, `S_SIZE` and `O_SIZE`
    long. by_map: whether a part takes up image maps only and not every job, bool ``[parts]``. most_reads: of
    a row. edges: those that may travel as addresses, in the order of `O_EDGE`.

    Raises ImcsimError as `play` does, where a layer's rows do not fit its buffer.
    """

    def __init__(self, placement: Placement, config: HardwareConfig) -> None:
        self.placement, self.config = placement, config
        chip = ProcessEngine(placement, config, [], Timing(1))
        self._chip = chip
        self._layers = len(chip.names)
        parts = [part for part in chip.parts if isinstance(part, BurstPart)]
        outputs = [(part, out) for part in parts for out in part.outputs]
        slots = sum(_slots(part) for part in parts)
        senders: list[_Sender] = [
            (part, n, channel) for n, (part, out) in enumerate(outputs) for channel in out.channels
        ]
        senders += [(None, -1, channel) for _, channel in chip.image_channels]
        self._links: dict[Hop, int] = {}
        self._routes: dict[tuple[Node, Node], tuple[Hop, ...]] = {}
        routes = [self._route(part, channel) for part, _, channel in senders]

        wheel = k.G_SIZE
        at = wheel + 2 * BUCKETS
        self.parts = slice(at, at := at + len(parts) * k.P_SIZE)
        self.streams = slice(at, at := at + len(senders) * k.S_SIZE)
        self.outputs = slice(at, at := at + len(outputs) * k.O_SIZE)
        self._slots = at
        self._link0 = at + slots * k.Q_SIZE
        self._flat0 = self._link0 + len(self._links) * k.L_SIZE
        self._flat: list[int] = []
        self._paths: dict[Any, tuple[int, int]] = {}
        self.edges: list[Edge] = []
        self._stream_of = {
            id(sender[2]): self.streams.start + n * k.S_SIZE for n, sender in enumerate(senders)
        }
        records: list[list[int]] = []
        self._output_records: list[list[int]] = []
        self._slot_records: list[list[int]] = []
        counts = _Counts(chip)
        for part in parts:
            records.append(self._part(part, counts))
        streams = [self._stream(sender, routes[n]) for n, sender in enumerate(senders)]
        for (edge, _), stream in zip(reversed(chip.image_channels), reversed(streams), strict=False):
            stream[k.S_HEIGHT], stream[k.S_BITS] = edge.height, edge.row_bits
        links = [[0, 0, k.LINK, 0] + [0] * (k.L_SIZE - 4)] * len(self._links)
        answers = self._list([self._stream_of[id(channel)] for channel in chip.class_channels])

        units = max(record[k.P_COPIES] * record[k.P_BLOCKS] for record in records)
        scratch = self._room(STATE_SIZE + 2 * config.tile.input_sets + 2 * units)
        tables = (records, streams, self._output_records, self._slot_records, links)
        self.memory = np.zeros(self._flat0 + len(self._flat), np.int64)
        at = self.parts.start
        for table in tables:
            for record in table:
                self.memory[at : at + len(record)] = record
                at += len(record)
        assert at == self._flat0
        self.memory[self._flat0 :] = self._flat
        self.by_map = np.array([chip.keeps(part.stage) and not part.is_head for part in parts], np.bool_)
        self.most_reads = max(
            r[k.P_WAVE_COUNT] * r[k.P_COPIES] * r[k.P_PLANES] * r[k.P_BLOCKS] for r in records
        )
        self.rows_of_a_job = sum(part.stage.out_height for part in parts)
        self._head(wheel, answers, scratch)
        del self._chip

    def _head(self, wheel: int, answers: tuple[int, int], scratch: int) -> None:
        m, config, chip = self.memory, self.config, self._chip
        bits = self.placement.graph.image_bits
        m[k.G_SENSE], m[k.G_CONVERT] = config.sense_cycles, config.convert_cycles
        m[k.G_HOP], m[k.G_FLIT_BITS] = config.noc.hop_cycles, config.noc.flit_bits
        m[k.G_LOAD], m[k.G_IMAGE_BITS] = -(-bits // config.offchip_link.bits_per_cycle), bits
        m[k.G_KEEPS] = config.encoder.mode == "keep"
        m[k.G_GATED] = config.clock.gating == "idle_tiles"
        m[k.G_IMAGE_PLACE] = self._place(Event.IMAGE_BITS, 0)
        m[k.G_GLOBAL_WRITE_PLACE] = self._place(Event.GLOBAL_BUFFER_WRITE_BITS, 0)
        m[k.G_GLOBAL_READ_PLACE] = self._place(Event.GLOBAL_BUFFER_READ_BITS, 0)
        m[k.G_COUNTS], m[k.G_SETS] = len(EVENTS) * self._layers, config.tile.input_sets
        m[k.G_SCRATCH], m[k.G_WHEEL], m[k.G_BUCKETS] = scratch, wheel, BUCKETS
        m[k.G_PARTS], m[k.G_PARTS_END] = self.parts.start, self.parts.stop
        images = len(chip.image_channels) * k.S_SIZE
        m[k.G_IMAGES], m[k.G_IMAGES_END] = self.streams.stop - images, self.streams.stop
        m[k.G_ANSWERS], m[k.G_ANSWERS_END] = answers
        m[k.G_WOKEN] = m[k.G_DECIDING] = k.LAST
        m[k.G_WANTED] = k.NEVER

    def _place(self, event: Event, layer: int) -> int:
        """Where an event of a layer is counted, among the counts of a job."""
        return EVENT_INDEX[event] * self._layers + layer

    def _list(self, numbers: list[int]) -> tuple[int, int]:
        """Numbers that follow each other: where they begin and end."""
        first = self._flat0 + len(self._flat)
        self._flat += numbers
        return first, first + len(numbers)

    def _room(self, size: int) -> int:
        """Zeros, `size` of them."""
        return self._list([0] * size)[0]

    # --- parts

    def _part(self, part: BurstPart, counts: _Counts) -> list[int]:
        stage, placed, layer = part.stage, part.part, part.layer
        r = [0] * k.P_SIZE
        r[k.KIND] = k.PART
        r[k.P_HEAD], r[k.P_FIRES], r[k.P_KEEPS] = part.is_head, part.fires, self._chip.keeps(stage)
        r[k.P_ROWS], r[k.P_PLANES], r[k.P_TREE] = stage.out_height, stage.planes, part.tree_cycles
        r[k.P_COPIES], r[k.P_BLOCKS] = placed.copy_count, placed.blocks[1] - placed.blocks[0]
        waves = (part.wave_copies, part.wave_fetch, part.wave_lif, part.wave_write)
        r[k.P_WAVES], _ = self._list([int(n) for figures in waves for n in figures])
        r[k.P_WAVE_COUNT] = len(part.wave_copies)
        (edge, channels), *others = part.inputs
        assert not others, "a crossbar reads one stream"
        r[k.P_INPUTS], r[k.P_INPUTS_END] = self._streams(channels)
        r[k.P_INPUT_HEIGHT], r[k.P_INPUT_IMAGE] = edge.height, edge.source == IMAGE
        rows = range(stage.out_height)
        r[k.P_ROW_TABLE], _ = self._list(
            [n for y in rows for n in (stage.rows_needed(y, edge.height), stage.rows_done(y, edge.height))]
        )
        r[k.P_PARTIALS], r[k.P_PARTIALS_END] = self._streams(part.partials)
        r[k.P_RESIDUALS], r[k.P_RESIDUALS_END] = self._streams(part.residuals)
        address = self._address(part)
        r[k.P_OUTPUTS] = self.outputs.start + len(self._output_records) * k.O_SIZE
        for out in part.outputs:
            self._output_records.append(self._output(part, out, address))
        r[k.P_OUTPUTS_END] = self.outputs.start + len(self._output_records) * k.O_SIZE
        r[k.P_TILE], r[k.P_STAGE], r[k.P_POOL_VALUES] = placed.tile, stage.index, part.pool_values
        r[k.P_POOL_PLACE] = self._place(Event.POOL_OPERATIONS, stage.index + 1)
        r[k.P_SLOTS] = self._slots + len(self._slot_records) * k.Q_SIZE
        r[k.P_SLOT_COUNT] = _slots(part)
        slot = [0] * k.Q_SIZE
        slot[k.KIND], slot[k.Q_PART] = k.SLOT, address
        self._slot_records += [slot] * _slots(part)
        r[k.P_WIDTH], r[k.P_POSITIONS], r[k.P_READS] = stage.out_width, stage.positions, part.reads_of_a_row
        r[k.P_ALL_COPIES], r[k.P_COPY0] = layer.copies, placed.copies[0]
        r[k.P_ALL_BLOCKS], r[k.P_BLOCK0] = layer.blocks, placed.blocks[0]
        lists = [self._counted(found, stage.index + 1) for found in counts.of(part)]
        r[k.P_COUNTS], _ = self._list(lists[:4])
        r[k.P_READ_COUNTS], r[k.P_SKIP_COUNTS] = lists[4:]
        units = r[k.P_COPIES] * r[k.P_BLOCKS]
        r[k.P_TIMES] = self._room(STATE_SIZE + 2 * self.config.tile.input_sets + 2 * units)
        r[k.P_ROOM] = part.out_room.capacity
        return r

    def _address(self, part: BurstPart) -> int:
        return self.parts.start + part.part.index * k.P_SIZE

    def _streams(self, channels: list[Channel]) -> tuple[int, int]:
        return self._list([self._stream_of[id(channel)] for channel in channels])

    def _counted(self, found: dict[Event, int], layer: int) -> int:
        pairs = [(self._place(event, layer), number) for event, number in found.items() if number]
        return self._list([len(pairs), *(n for pair in pairs for n in pair)])[0]

    def _output(self, part: BurstPart, out: Output, address: int) -> list[int]:
        edge, placed, layer = out.edge, part.part, part.layer
        r = [0] * k.O_SIZE
        r[k.O_PART], r[k.O_HEIGHT], r[k.O_OWN] = address, out.height, part.stage.out_height
        r[k.O_STRIDE], r[k.O_PADDING] = out.stride, out.padding
        after = [out.rows_after(y) for y in range(part.stage.out_height)]
        r[k.O_AFTER], _ = self._list(
            [n for rows in after for n in (rows.start, len(rows), part.pool_cycles(edge, len(rows)))]
        )
        r[k.O_STREAMS] = self._stream_of[id(out.channels[0])]
        r[k.O_STREAMS_END] = r[k.O_STREAMS] + len(out.channels) * k.S_SIZE
        r[k.O_BITS], r[k.O_EDGE] = part.plain_bits(edge), -1
        r[k.O_VALUES] = edge is not None and bool(edge.node)
        if edge is not None and edge.node and self.config.activity.spike_coding == "aer":
            if edge not in self.edges:
                self.edges.append(edge)
            r[k.O_EDGE] = self.edges.index(edge)
            r[k.O_FIRST] = placed.columns[0] * layer.channels_per_column
            r[k.O_CHANNELS], r[k.O_EDGE_CHANNELS] = placed.channels, edge.channels
            r[k.O_SHARE], r[k.O_COPIES] = placed.copy_count, layer.copies
            r[k.O_EVENT_BITS] = self._chip.event_bits(edge, placed)
        return r

    # --- streams

    def _route(self, part: BurstPart | None, channel: Channel) -> tuple[Hop, ...]:
        """The links of a stream; none within a tile."""
        positions, target = self.placement.positions, channel.target
        to = target.part.tile if isinstance(target, BurstPart) else None
        tile = None if part is None else part.part.tile
        if to is not None and tile == to:
            return ()
        ends = (ORIGIN if end is None else positions[end] for end in (tile, to))
        way = next(ends), next(ends)
        if way not in self._routes:
            self._routes[way] = tuple(link.hop for link in self._chip.mesh.path(*way))
            for hop in self._routes[way]:
                self._links.setdefault(hop, len(self._links))
        return self._routes[way]

    def _stream(self, sender: _Sender, route: tuple[Hop, ...]) -> list[int]:
        part, output, channel = sender
        layer = 0 if part is None else part.stage.index + 1
        r = [0] * k.S_SIZE
        r[k.KIND], r[k.S_ROOM] = k.IMAGE, channel.room.capacity
        if route not in self._paths:
            self._paths[route] = self._list([self._link0 + self._links[hop] * k.L_SIZE for hop in route])
        r[k.S_PATH], r[k.S_PATH_END] = self._paths[route]
        r[k.S_HOPS_PLACE] = self._place(Event.FLIT_HOPS, layer)
        moved = Event.NOC_VALUE_BITS
        r[k.S_ROW] = -1
        if part is not None:
            r[k.KIND], r[k.S_OUTPUT] = k.SENDER, self.outputs.start + output * k.O_SIZE
            r[k.S_HEIGHT] = self._output_records[output][k.O_HEIGHT]
            if not self._output_records[output][k.O_VALUES]:
                moved = Event.NOC_CURRENT_BITS
        r[k.S_MOVED_PLACE] = self._place(moved, layer)
        target = channel.target
        if isinstance(target, BurstPart):
            r[k.S_TARGET] = self._address(target)
            r[k.S_WRITE_PLACE] = self._place(Event.TILE_BUFFER_WRITE_BITS, target.stage.index + 1)
        return r


def _slots(part: BurstPart) -> int:
    """Rows under way that there is a slot for. A row may give its place back before it has been pooled, so
    there are more slots than places.
    """
    return 2 * part.out_room.capacity + 2


class _Counts:
    """What a row and a read of a part count."""

    def __init__(self, chip: ProcessEngine) -> None:
        self._found: dict[Event, int] = {}
        chip.counter = self  # type: ignore[assignment]
        event = chip.env.event()
        self._jobs = [Job(t, 0, t, 0, event, event, 0) for t in range(2)]

    def add(self, event: Event, job: int, layer: int, number: int) -> None:
        self._found[event] = self._found.get(event, 0) + number

    def _take(self) -> dict[Event, int]:
        found, self._found = self._found, {}
        return found

    def of(self, part: BurstPart) -> list[dict[Event, int]]:
        """Of a row in all variants, of a read, and of one that is left out."""
        counted = []
        for stored, timestep in _VARIANTS:
            part.count_row(self._jobs[timestep], stored)
            counted.append(self._take())
        for taken, skipped in ((1, 0), (0, 1)):
            part.count_crossbars(self._jobs[0], taken, skipped)
            counted.append(self._take())
        return counted
