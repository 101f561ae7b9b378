"""A placed chip as the memory that its kernels play in: made once, copied for every play."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imcsim.base.errors import ImcsimError
from imcsim.hardware.components.package import RATE_UNIT
from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.events import Event
from imcsim.mapping import Edge, Placement
from imcsim.mapping.topologies import Link
from imcsim.timing.fabric.kernels import records as k
from imcsim.timing.figures import Counts, PartFigures, part_figures
from imcsim.timing.link_times import head_cycles
from imcsim.timing.processes.row_kernels import STATE_SIZE
from imcsim.timing.timeline import EVENT_INDEX, EVENTS, layer_names
from imcsim.timing.wiring import Output, PartWiring, Stream, Wiring, way, wire

BUCKETS = 1024
"""Of the wheel of cycles, a power of two. What happens later goes round."""

_VARIANTS = ((False, True), (False, False), (True, True), (True, False))
"""Whether a row is stored, and whether its timestep is the first, in the order of `P_COUNTS`."""


@dataclass(frozen=True)
class _Addresses:
    """Where the records of each kind begin, in the order in which they stand in the memory, and where the
    tables of numbers behind them do.
    """

    parts: int
    streams: int
    outputs: int
    slots: int
    links: int
    tables: int

    @classmethod
    def of(cls, wiring: Wiring, links: int) -> _Addresses:
        parts = k.G_SIZE + 2 * BUCKETS
        streams = parts + len(wiring.parts) * k.P_SIZE
        outputs = streams + len(wiring.streams) * k.S_SIZE
        slots = outputs + sum(len(part.outputs) for part in wiring.parts) * k.O_SIZE
        first_link = slots + sum(_slots(part) for part in wiring.parts) * k.Q_SIZE
        return cls(parts, streams, outputs, slots, first_link, first_link + links * k.L_SIZE)


class Layout:
    """A chip on which nothing has happened yet.

    memory: int64, see `kernels.records`; what grows with the jobs under way is not in it. parts, streams,
    outputs: the slices of it that hold their records, which are `P_SIZE`, `S_SIZE` and `O_SIZE` long.
    by_map: whether a part takes up image maps only and not every job, bool ``[parts]``. most_reads: of a row.
    rows_of_a_job: of all parts together. edges: those that may travel as addresses, in the order of `O_EDGE`.

    Raises ImcsimError as `play` does, where a layer's rows do not fit its buffer.
    """

    def __init__(self, placement: Placement, config: HardwareConfig) -> None:
        self.placement, self.config = placement, config
        wiring, figures = wire(placement, config), part_figures(placement, config)
        self._layers = len(layer_names(placement))
        routes = [way(placement, stream) for stream in wiring.streams]
        links = dict.fromkeys(link for route in routes for link in route)
        self._at = at = _Addresses.of(wiring, len(links))
        self._link_at = {link: at.links + n * k.L_SIZE for n, link in enumerate(links)}
        self._tables: list[int] = []
        self._paths: dict[tuple[Link, ...], tuple[int, int]] = {}
        self.edges: list[Edge] = []

        parts: list[list[int]] = []
        outputs: list[list[int]] = []
        slots: list[list[int]] = []
        for one, wired in zip(figures, wiring.parts, strict=True):
            record = self._part(one, wired)
            record[k.P_OUTPUTS] = at.outputs + len(outputs) * k.O_SIZE
            record[k.P_SLOTS] = at.slots + len(slots) * k.Q_SIZE
            outputs += [self._output(one, out) for out in wired.outputs]
            record[k.P_OUTPUTS_END] = at.outputs + len(outputs) * k.O_SIZE
            slots += [self._slot(one)] * _slots(wired)
            parts.append(record)
        streams = [self._stream(stream, route) for stream, route in zip(wiring.streams, routes, strict=True)]
        for n, out in enumerate(out for part in wiring.parts for out in part.outputs):
            for stream in out.streams:
                streams[stream.rank][k.S_OUTPUT] = at.outputs + n * k.O_SIZE
                streams[stream.rank][k.S_HEIGHT] = out.height
        answers = self._streams(wiring.answers)
        scratch = self._zeros(max(_state_size(one) for one in figures))

        records = [*parts, *streams, *outputs, *slots, *map(self._link, links)]
        self.memory = np.zeros(at.tables + len(self._tables), np.int64)
        try:
            self.memory[at.parts : at.tables] = [n for record in records for n in record]
            self.memory[at.tables :] = self._tables
        except OverflowError:
            raise ImcsimError(
                f"a step on {config.name} takes more cycles than can be counted",
                fix="give shorter times, or a longer technology.clock_ns",
            ) from None
        self.parts, self.streams, self.outputs = (
            slice(at.parts, at.streams), slice(at.streams, at.outputs), slice(at.outputs, at.slots),
        )  # fmt: skip
        self.by_map = np.array([one.keeps and not one.is_head for one in figures], np.bool_)
        self.most_reads = max(
            len(one.waves)
            * one.part.copy_count
            * one.reads_of_position
            * one.layer.turns
            * len(one.row_blocks)
            for one in figures
        )
        self.rows_of_a_job = sum(one.layer.bands for one in figures)
        self._head(len(wiring.images), answers, scratch)

    def _head(self, images: int, answers: tuple[int, int], scratch: int) -> None:
        m, config = self.memory, self.config
        bits = self.placement.graph.image_bits
        m[k.G_FLIT_BITS], m[k.G_RATE_UNIT] = config.noc.flit_bits, RATE_UNIT
        m[k.G_LOAD], m[k.G_IMAGE_BITS] = config.load_cycles(bits), bits
        m[k.G_KEEPS] = config.encoder.mode == "keep"
        m[k.G_GATED] = config.clock.gating == "idle_tiles"
        m[k.G_IMAGE_PLACE] = self._place(Event.IMAGE_BITS, 0)
        m[k.G_GLOBAL_WRITE_PLACE] = self._place(Event.GLOBAL_BUFFER_WRITE_BITS, 0)
        m[k.G_GLOBAL_READ_PLACE] = self._place(Event.GLOBAL_BUFFER_READ_BITS, 0)
        # Behind the counts of a job the first and the last cycle of each layer.
        m[k.G_COUNTS] = (len(EVENTS) + 2) * self._layers
        m[k.G_SCRATCH], m[k.G_WHEEL], m[k.G_BUCKETS] = scratch, k.G_SIZE, BUCKETS
        m[k.G_PARTS], m[k.G_PARTS_END] = self.parts.start, self.parts.stop
        m[k.G_IMAGES], m[k.G_IMAGES_END] = self.streams.stop - images * k.S_SIZE, self.streams.stop
        m[k.G_ANSWERS], m[k.G_ANSWERS_END] = answers
        m[k.G_WOKEN] = m[k.G_DECIDING] = k.LAST
        m[k.G_WANTED] = k.NEVER

    # --- tables of numbers

    def _table(self, numbers: list[int]) -> tuple[int, int]:
        """Numbers that follow each other: where they begin and end."""
        first = self._at.tables + len(self._tables)
        self._tables += numbers
        return first, first + len(numbers)

    def _zeros(self, size: int) -> int:
        """Where `size` zeros begin."""
        return self._table([0] * size)[0]

    def _streams(self, streams: tuple[Stream, ...]) -> tuple[int, int]:
        """A table of the addresses of streams."""
        return self._table([self._stream_at(stream) for stream in streams])

    def _counted(self, counts: Counts, layer: int) -> int:
        """Where the table of a count begins: how many entries, then places and numbers."""
        pairs = [(self._place(event, layer), number) for event, number in counts.items() if number]
        return self._table([len(pairs), *(n for pair in pairs for n in pair)])[0]

    def _place(self, event: Event, layer: int) -> int:
        """Where an event of a layer is counted, among the counts of a job."""
        return EVENT_INDEX[event] * self._layers + layer

    # --- records

    def _part_at(self, part: int) -> int:
        return self._at.parts + part * k.P_SIZE

    def _stream_at(self, stream: Stream) -> int:
        return self._at.streams + stream.rank * k.S_SIZE

    def _part(self, one: PartFigures, wired: PartWiring) -> list[int]:
        """A part, but for the addresses of its outputs and slots."""
        stage, part, layer, waves = one.stage, one.part, one.layer, one.waves
        edge = wired.inputs[0].edge
        assert edge is not None
        r = [0] * k.P_SIZE
        r[k.KIND] = k.PART
        r[k.P_HEAD], r[k.P_FIRES], r[k.P_KEEPS] = one.is_head, one.fires, one.keeps
        r[k.P_ROWS], r[k.P_PLANES], r[k.P_TREE] = layer.bands, one.reads_of_position, one.tree_cycles
        r[k.P_BAND] = layer.row_copies
        r[k.P_SENSE], r[k.P_CONVERT] = one.sense_cycles, one.config.convert_cycles
        r[k.P_SETS] = one.config.tile.input_sets
        r[k.P_COPIES], r[k.P_BLOCKS] = part.copy_count, len(one.row_blocks)
        r[k.P_TURNS], (r[k.P_TURNS_OF], _) = layer.turns, self._table(list(one.turns))
        r[k.P_WAVE_COUNT] = len(waves)
        r[k.P_WAVES], _ = self._table(
            [wave.copies for wave in waves]
            + [wave.fetch_cycles for wave in waves]
            + [wave.lif_cycles for wave in waves]
            + [wave.write_cycles for wave in waves]
        )
        r[k.P_INPUTS], r[k.P_INPUTS_END] = self._streams(wired.inputs)
        r[k.P_INPUT_HEIGHT], r[k.P_INPUT_IMAGE] = edge.height, wired.inputs[0].source is None
        bands = range(layer.bands)
        last = [layer.last_row(band) for band in bands]
        r[k.P_ROW_TABLE], _ = self._table(
            [n for y in last for n in (stage.rows_needed(y, edge.height), stage.rows_done(y, edge.height))]
        )
        r[k.P_PARTIALS], r[k.P_PARTIALS_END] = self._streams(wired.partials)
        r[k.P_RESIDUALS], r[k.P_RESIDUALS_END] = self._streams(wired.residuals)
        r[k.P_TILE], r[k.P_STAGE], r[k.P_POOL_VALUES] = part.tile, stage.index, one.pool_values
        r[k.P_POOL_PLACE] = self._place(Event.POOL_OPERATIONS, stage.index + 1)
        r[k.P_BEGUN_PLACE] = len(EVENTS) * self._layers + stage.index + 1
        r[k.P_ENDED_PLACE] = r[k.P_BEGUN_PLACE] + self._layers
        r[k.P_SLOT_COUNT], r[k.P_ROOM] = _slots(wired), wired.room
        r[k.P_WIDTH], r[k.P_POSITIONS] = stage.out_width, stage.positions
        r[k.P_ALL_COPIES], r[k.P_COPY0] = layer.copies, part.copies[0]
        r[k.P_ALL_BLOCKS], r[k.P_BLOCK0] = layer.rows.crossbars, one.row_blocks.start
        rows_counted = [one.row_counts(stored=stored, first=first) for stored, first in _VARIANTS]
        r[k.P_COUNTS], _ = self._table([self._counted(row, stage.index + 1) for row in rows_counted])
        r[k.P_RUNS], r[k.P_RUNS_END] = self._table(
            [n for blocks in one.alike for n in self._run(one, blocks)]
        )
        if one.fires_behind_pool:
            complete = [layer.rows_behind_pool(band) for band in bands]
            r[k.P_FIRE_ROWS], _ = self._table([n for c in complete for n in (c, one.behind_pool_cycles(c))])
            fired = [
                self._counted(one.behind_pool(1, first=first), stage.index + 1) for first in (True, False)
            ]
            r[k.P_FIRE_COUNTS], _ = self._table(fired)
        r[k.P_TIMES] = self._zeros(_state_size(one))
        return r

    def _run(self, one: PartFigures, blocks: range) -> list[int]:
        """Row blocks whose reads count the same."""
        r = [0] * k.RUN_SIZE
        r[k.RUN_BLOCKS], r[k.RUN_ALL] = len(blocks), one.row_reads(blocks)
        read, left_out = (one.row_read_counts(blocks, *n) for n in ((1, 0), (0, 1)))
        r[k.RUN_COUNTS] = self._counted(read, one.stage.index + 1)
        r[k.RUN_SKIP_COUNTS] = self._counted(left_out, one.stage.index + 1)
        return r

    def _slot(self, one: PartFigures) -> list[int]:
        r = [0] * k.Q_SIZE
        r[k.KIND], r[k.Q_PART] = k.SLOT, self._part_at(one.part.index)
        return r

    def _output(self, one: PartFigures, out: Output) -> list[int]:
        edge, part, layer = out.edge, one.part, one.layer
        r = [0] * k.O_SIZE
        r[k.O_PART], r[k.O_HEIGHT], r[k.O_OWN] = self._part_at(part.index), out.height, out.own_height
        r[k.O_STRIDE], r[k.O_PADDING], r[k.O_BAND] = out.stride, out.padding, out.rows_of_band
        after = [out.rows_after(y) for y in range(out.own_height)]
        r[k.O_AFTER], _ = self._table(
            [n for rows in after for n in (rows.start, len(rows), one.pool_cycles(edge, len(rows)))]
        )
        # Its streams have ranks in turn.
        r[k.O_STREAMS] = self._stream_at(out.streams[0])
        r[k.O_STREAMS_END] = self._stream_at(out.streams[-1]) + k.S_SIZE
        r[k.O_BITS], r[k.O_EDGE] = one.packet_bits(edge), -1
        if edge is not None and edge.node and self.config.activity.spike_coding == "aer":
            if edge not in self.edges:
                self.edges.append(edge)
            mine = layer.pooled_channels(part, edge)
            r[k.O_EDGE], r[k.O_FIRST] = self.edges.index(edge), mine.start
            r[k.O_CHANNELS], r[k.O_EDGE_CHANNELS] = len(mine), edge.channels
            r[k.O_SHARE], r[k.O_COPIES] = part.copy_count, layer.copies
            r[k.O_EVENT_BITS] = one.address_bits(edge)
        return r

    def _link(self, link: Link) -> list[int]:
        r = [0] * k.L_SIZE
        r[k.KIND], r[k.L_CYCLES] = k.LINK, head_cycles(link, self.config)
        if link.between_chips:
            r[k.L_RATE] = self.config.package.bits_per_megacycle(self.config)
        return r

    def _stream(self, stream: Stream, links: tuple[Link, ...]) -> list[int]:
        """A stream, but for the address of its output; the image has none."""
        r = [0] * k.S_SIZE
        r[k.KIND], r[k.S_ROOM], r[k.S_ROW] = k.SENDER, stream.room, -1
        if links not in self._paths:
            self._paths[links] = self._table([self._link_at[link] for link in links])
        r[k.S_PATH], r[k.S_PATH_END] = self._paths[links]
        r[k.S_ROUTERS] = sum(link.routers for link in links)
        r[k.S_PITCHES] = sum(link.pitches for link in links)
        moved = Event.NOC_VALUE_BITS if stream.carries_values else Event.NOC_CURRENT_BITS
        r[k.S_LINKS] = sum(link.between_chips for link in links)
        r[k.S_LINKS_PLACE] = self._place(Event.PACKAGE_BITS, stream.layer)
        r[k.S_HOPS_PLACE] = self._place(Event.FLIT_HOPS, stream.layer)
        r[k.S_MOVED_PLACE] = self._place(moved, stream.layer)
        if stream.source is None and stream.edge is not None:
            r[k.KIND], r[k.S_HEIGHT], r[k.S_BITS] = k.IMAGE, stream.edge.height, stream.edge.row_bits
        if stream.target is not None:
            receiver = self.placement.parts[stream.target]
            r[k.S_TARGET], r[k.S_DELAY] = self._part_at(stream.target), stream.delay
            written = Event.DELAY_WRITE_BITS if stream.delay else Event.TILE_BUFFER_WRITE_BITS
            r[k.S_WRITE_PLACE] = self._place(written, receiver.stage + 1)
        elif stream.edge is not None:
            r[k.S_WRITE_PLACE] = self._place(Event.GLOBAL_BUFFER_WRITE_BITS, stream.layer)
        return r


def _state_size(one: PartFigures) -> int:
    """What a row of a part leaves behind for the next one."""
    units = one.part.copy_count * len(one.row_blocks)
    return STATE_SIZE + 2 * one.config.tile.input_sets + 2 * units


def _slots(part: PartWiring) -> int:
    """Rows under way that there is a slot for. A row may give its place back before it has been pooled, so
    there are more slots than places.
    """
    return 2 * part.room + 2
