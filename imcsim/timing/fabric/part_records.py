"""What of a placed chip's memory follows from the places and figures of its parts: all records but links.

Chips that differ in how long a read takes, in links or in prices only have it in common, as a comparison's
mostly do.
"""

from __future__ import annotations

import numpy as np

from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.events import Event
from imcsim.mapping import Edge, Placement
from imcsim.timing.fabric.kernels import records as k
from imcsim.timing.fabric.wired import Wired, slots_of
from imcsim.timing.figures import Counts, PartFigures, part_figures, read_of
from imcsim.timing.processes.row_kernels import STATE_SIZE
from imcsim.timing.timeline import EVENTS
from imcsim.timing.wiring import Output, PartWiring, Stream

_VARIANTS = ((False, True), (False, False), (True, True), (True, False))
"""Whether a row is stored, and whether its timestep is the first, in the order of `P_COUNTS`."""


class PartRecords:
    """The memory of a layout, with a head and links of zeros, and parts whose reads take no time.

    wired: the streams. The other attributes are those of a `Layout`; answers: where the table of the streams
    that bring class outputs begins and ends. scratch: where there is room for the state of any row.

    Raises ImcsimError where a layer's rows do not fit its buffer.
    """

    def __init__(self, placement: Placement, config: HardwareConfig, wired: Wired) -> None:
        self.wired, self._read = wired, read_of(placement, config)
        self._coding = config.activity.spike_coding
        wiring, figures, at = wired.wiring, part_figures(placement, config), wired.at
        self._tables = wired.tables.copy()
        self.edges: list[Edge] = []

        parts: list[list[int]] = []
        outputs: list[list[int]] = []
        slots: list[list[int]] = []
        for one, wires in zip(figures, wiring.parts, strict=True):
            record = self._part(one, wires)
            record[k.P_OUTPUTS] = at.outputs + len(outputs) * k.O_SIZE
            record[k.P_SLOTS] = at.slots + len(slots) * k.Q_SIZE
            outputs += [self._output(one, out) for out in wires.outputs]
            record[k.P_OUTPUTS_END] = at.outputs + len(outputs) * k.O_SIZE
            slots += [self._slot(one)] * slots_of(wires)
            parts.append(record)
        self.answers = self._streams(wiring.answers)
        self.scratch = self._zeros(max(_state_size(one) for one in figures))

        self.memory = np.zeros(at.tables + len(self._tables), np.int64)
        self.memory[at.parts : at.streams] = [n for record in parts for n in record]
        self.memory[at.streams : at.outputs] = wired.streams
        self.memory[at.outputs : at.links] = [n for record in [*outputs, *slots] for n in record]
        self.memory[at.tables :] = self._tables
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

    @classmethod
    def of(cls, placement: Placement, config: HardwareConfig, like: PartRecords | None) -> PartRecords:
        """Those of a chip; `like` itself where it serves this chip as well."""
        wired = Wired.of(placement, config, None if like is None else like.wired)
        if like is not None and wired is like.wired and like._serves(placement, config):
            return like
        return cls(placement, config, wired)

    def _serves(self, placement: Placement, config: HardwareConfig) -> bool:
        return (read_of(placement, config), config.activity.spike_coding) == (self._read, self._coding)

    # --- tables of numbers

    def _table(self, numbers: list[int]) -> tuple[int, int]:
        """Numbers that follow each other: where they begin and end."""
        first = self.wired.at.tables + len(self._tables)
        self._tables += numbers
        return first, first + len(numbers)

    def _zeros(self, size: int) -> int:
        """Where `size` zeros begin."""
        return self._table([0] * size)[0]

    def _streams(self, streams: tuple[Stream, ...]) -> tuple[int, int]:
        """A table of the addresses of streams."""
        return self._table([self.wired.at.stream(stream) for stream in streams])

    def _counted(self, counts: Counts, layer: int) -> int:
        """Where the table of a count begins: how many entries, then places and numbers."""
        pairs = [(self.wired.place(event, layer), number) for event, number in counts.items() if number]
        return self._table([len(pairs), *(n for pair in pairs for n in pair)])[0]

    # --- records

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
        r[k.P_POOL_PLACE] = self.wired.place(Event.POOL_OPERATIONS, stage.index + 1)
        r[k.P_BEGUN_PLACE] = len(EVENTS) * self.wired.layers + stage.index + 1
        r[k.P_ENDED_PLACE] = r[k.P_BEGUN_PLACE] + self.wired.layers
        r[k.P_SLOT_COUNT], r[k.P_ROOM] = slots_of(wired), wired.room
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
        r[k.KIND], r[k.Q_PART] = k.SLOT, self.wired.at.part(one.part.index)
        return r

    def _output(self, one: PartFigures, out: Output) -> list[int]:
        edge, part, layer = out.edge, one.part, one.layer
        r = [0] * k.O_SIZE
        r[k.O_PART], r[k.O_HEIGHT], r[k.O_OWN] = self.wired.at.part(part.index), out.height, out.own_height
        r[k.O_STRIDE], r[k.O_PADDING], r[k.O_BAND] = out.stride, out.padding, out.rows_of_band
        after = [out.rows_after(y) for y in range(out.own_height)]
        r[k.O_AFTER], _ = self._table(
            [n for rows in after for n in (rows.start, len(rows), one.pool_cycles(edge, len(rows)))]
        )
        # Its streams have ranks in turn.
        r[k.O_STREAMS] = self.wired.at.stream(out.streams[0])
        r[k.O_STREAMS_END] = self.wired.at.stream(out.streams[-1]) + k.S_SIZE
        r[k.O_BITS], r[k.O_EDGE] = one.packet_bits(edge), -1
        if edge is not None and edge.node and self._coding == "aer":
            if edge not in self.edges:
                self.edges.append(edge)
            mine = layer.pooled_channels(part, edge)
            r[k.O_EDGE], r[k.O_FIRST] = self.edges.index(edge), mine.start
            r[k.O_CHANNELS], r[k.O_EDGE_CHANNELS] = len(mine), edge.channels
            r[k.O_SHARE], r[k.O_COPIES] = part.copy_count, layer.copies
            r[k.O_EVENT_BITS] = one.address_bits(edge)
        return r


def _state_size(one: PartFigures) -> int:
    """What a row of a part leaves behind for the next one."""
    units = one.part.copy_count * len(one.row_blocks)
    return STATE_SIZE + 2 * one.config.tile.input_sets + 2 * units
