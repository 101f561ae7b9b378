"""The `reference` fidelity: every wave is a process, every crossbar read takes a crossbar and its ADCs.

This is the specification; `burst` must agree with it to the cycle.
"""

from __future__ import annotations

from dataclasses import dataclass

import simpy

from imcsim.timing.figures import PartFigures, Wave
from imcsim.timing.jobs import Job
from imcsim.timing.processes.flow import Room, Wait
from imcsim.timing.processes.part import PartProcess, RowEvents, Surroundings
from imcsim.timing.wiring import PartWiring


class CrossbarUnit:
    """One crossbar with its ADCs (or one PE whose crossbars share them)."""

    def __init__(self, env: simpy.Environment, channels: int, place: tuple[int, int, int]) -> None:
        self.array = simpy.Resource(env, capacity=1)
        self.adcs = simpy.Resource(env, capacity=1)
        self.channels = channels
        self.place = place
        """Copy, column and row block."""


@dataclass
class Turn:
    """How far a wave has come: the next one follows. `added`: its row blocks are added up. `complete`: so are
    partial sums and residuals from elsewhere.
    """

    added: simpy.Event
    complete: simpy.Event


class ReferencePart(PartProcess):
    """Plays a row wave by wave and read by read."""

    def __init__(self, around: Surroundings, figures: PartFigures, wiring: PartWiring) -> None:
        super().__init__(around, figures, wiring)
        env, part = around.env, figures.part
        self.windows = Room(env, figures.config.tile.input_sets)
        self.sums = Room(env, figures.config.tile.input_sets)
        self.drive = simpy.Resource(env, capacity=1)
        self.lif = simpy.Resource(env, capacity=1)
        self.write = simpy.Resource(env, capacity=1)
        self.previous = Turn(env.event().succeed(), env.event().succeed())
        self.units = {
            (copy, column, block): CrossbarUnit(
                env, figures.layer.channels_of((column, column + 1)), (copy, column, block)
            )
            for copy in range(part.copy_count)
            for column in range(*part.columns)
            for block in range(*part.blocks)
        }
        self.busy_cycles = 0

    def driven_cycles(self) -> int:
        return self.busy_cycles

    def begin(self, job: Job, y: int, stored: bool) -> RowEvents:
        row = RowEvents(self.env.event(), self.env.event())
        self.env.process(self._row(job, y, stored, row))
        return row

    def _row(self, job: Job, y: int, stored: bool, row: RowEvents) -> Wait:
        """Fetch window after window, and let a wave go off with each."""
        waves, figures = [], self.figures
        for wave in figures.waves:
            if not stored:
                wait = self.windows.take()
                if wait is not None:
                    yield wait
                began = self.env.now
                yield self.env.timeout(wave.fetch_cycles)
                bits = wave.fetch_bits
                self.note("fetch", job, y, began, bits)
                self.count(job, figures.fetches(bits, figures.pe_bits(bits), wave.copies))
            turn = Turn(self.env.event(), self.env.event())
            waves.append(self.env.process(self._wave(job, y, wave, stored, self.previous, turn)))
            self.previous = turn
        row.fetched.succeed()
        yield self.env.all_of(waves)
        row.done.succeed()

    def _wave(self, job: Job, y: int, wave: Wave, stored: bool, previous: Turn, turn: Turn) -> Wait:
        """One position per copy, from crossbars to output register. Waves are added up in their order."""
        figures = self.figures
        wait = self.sums.take()
        if wait is not None:
            yield wait
        if not stored:
            yield from self._read(job, y, wave)
        if not previous.added.processed:
            yield previous.added
        turn.added.succeed()
        # Stored currents take the same way to the neurons, so that waves cannot overtake each other.
        yield self.env.timeout(figures.tree_cycles)
        if not stored:
            self.count(job, figures.sums(wave.copies))
        if figures.is_head:
            events = self.missing_sides(job, y, stored)
            if events:
                yield self.env.all_of(events)
            # Nor can they where an earlier wave still waits for partial sums.
            if not previous.complete.processed:
                yield previous.complete
            turn.complete.succeed()
            if figures.fires:
                with self.lif.request() as request:
                    yield request
                    began = self.env.now
                    yield self.env.timeout(wave.lif_cycles)
                    self.note("fire", job, y, began, wave.copies)
            self.count(job, figures.fire(wave.copies, stored=stored, first=job.timestep == 0))
        self.sums.give()
        with self.write.request() as request:
            yield request
            began = self.env.now
            yield self.env.timeout(wave.write_cycles)
            self.note("write", job, y, began, wave.copies)
        self.count(job, figures.write(wave.copies))

    def _read(self, job: Job, y: int, wave: Wave) -> Wait:
        """Drive the wordlines for each read of the position, in as many turns as it takes; ends when the last
        code is out of the ADCs.
        """
        conversions: list[simpy.Event] = []
        turns, figures = self.figures.layer.turns, self.figures
        with self.drive.request() as request:
            yield request
            for drive in range(figures.reads_of_position * turns):
                sampled = []
                for copy in range(wave.copies):
                    for number, columns in enumerate(figures.columns_of):
                        if drive % turns >= figures.turns[number]:
                            continue
                        block = figures.row_blocks[number]
                        if not self._is_active(job, y, wave.number, copy, block, drive):
                            self.count(job, figures.skipped(1, len(columns)))
                            continue
                        for column in columns:
                            sample = self.env.event()
                            unit = self.units[copy, column, block % figures.layer.blocks]
                            conversions.append(self.env.process(self._crossbar(job, y, unit, sample)))
                            sampled.append(sample)
                began = self.env.now
                if sampled:
                    yield self.env.all_of(sampled)
                    self.note("drive", job, y, began, len(sampled))
                self.busy_cycles += int(self.env.now - began)
            self.windows.give()
        if conversions:
            yield self.env.all_of(conversions)

    def _crossbar(self, job: Job, y: int, unit: CrossbarUnit, sampled: simpy.Event) -> Wait:
        """One read: sense, wait for the ADCs, hand the sample over, convert column after column."""
        config = self.figures.config
        with unit.array.request() as array:
            yield array
            began = self.env.now
            yield self.env.timeout(self.figures.sense_cycles)
            adcs = unit.adcs.request()
            yield adcs
        sampled.succeed()
        self.note("read", job, y, began, 1, unit.place)
        began = self.env.now
        yield self.env.timeout(config.convert_cycles)
        self.note("convert", job, y, began, unit.channels * self.figures.layer.slices, unit.place)
        unit.adcs.release(adcs)
        self.count(job, self.figures.reads(1, unit.channels))

    def _is_active(self, job: Job, y: int, wave: int, copy: int, block: int, drive: int) -> bool:
        """Whether a block has a row to drive; always so unless silent reads are skipped."""
        active = self.around.active(self.stage, job)
        if active is None:
            return True
        column, row = divmod(self.part.copies[0] + copy, self.layer.row_copies)
        x = wave * self.layer.columns_at_once + column
        return bool(active[(y * self.layer.row_copies + row) * self.stage.out_width + x, drive, block])
