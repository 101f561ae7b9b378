"""The `reference` fidelity: every wave is a process, every crossbar read takes a crossbar and its ADCs.

This is the specification; `burst` must agree with it to the cycle.
"""

from __future__ import annotations

from dataclasses import dataclass

import simpy

from imcsim.hardware.events import Event
from imcsim.timing.jobs import Job
from imcsim.timing.processes.flow import Room, Wait
from imcsim.timing.processes.part import PartProcess, Row


class Unit:
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

    def prepare(self) -> None:
        env, tile = self.env, self.engine.config.tile
        self.windows = Room(env, tile.input_sets)
        self.sums = Room(env, tile.input_sets)
        self.drive = simpy.Resource(env, capacity=1)
        self.lif = simpy.Resource(env, capacity=1)
        self.write = simpy.Resource(env, capacity=1)
        self.previous = Turn(env.event().succeed(), env.event().succeed())
        self.units = {
            (copy, column, block): Unit(env, self.column_channels(column), (copy, column, block))
            for copy in range(self.part.copy_count)
            for column in range(*self.part.columns)
            for block in range(*self.part.blocks)
        }
        super().prepare()

    def begin(self, job: Job, y: int, stored: bool) -> Row:
        row = Row(self.env.event(), self.env.event())
        self.env.process(self._row(job, y, stored, row))
        return row

    def _row(self, job: Job, y: int, stored: bool, row: Row) -> Wait:
        waves = []
        for wave in range(self.layer.waves_per_row):
            copies = self.copies(wave)
            if copies == 0:
                continue
            if not stored:
                wait = self.windows.take()
                if wait is not None:
                    yield wait
                began = self.env.now
                yield self.env.timeout(self.fetch_cycles(wave, copies))
                bits = self.fetch_bits(wave, copies)
                self.note("fetch", job, y, began, bits)
                self.count_fetches(job, bits, self.pe_bits(bits), copies)
            turn = Turn(self.env.event(), self.env.event())
            waves.append(self.env.process(self._wave(job, y, wave, copies, stored, self.previous, turn)))
            self.previous = turn
        row.fetched.succeed()
        yield self.env.all_of(waves)
        row.done.succeed()

    def _wave(
        self,
        job: Job,
        y: int,
        wave: int,
        copies: int,
        stored: bool,
        previous: Turn,
        turn: Turn,
    ) -> Wait:
        """One position a copy, from crossbars to output register. Waves are added up in their order."""
        wait = self.sums.take()
        if wait is not None:
            yield wait
        if not stored:
            yield from self._read(job, y, wave, copies)
        if not previous.added.processed:
            yield previous.added
        turn.added.succeed()
        # Stored currents take the same way to the neurons, so that waves cannot overtake each other.
        yield self.env.timeout(self.tree_cycles)
        if not stored:
            self.count_sums(job, copies)
        if self.is_head:
            events = self.missing_sides(job, y, stored)
            if events:
                yield self.env.all_of(events)
            # Nor can they where an earlier wave still waits for partial sums.
            if not previous.complete.processed:
                yield previous.complete
            turn.complete.succeed()
            if self.stage.neurons:
                with self.lif.request() as request:
                    yield request
                    began = self.env.now
                    yield self.env.timeout(self.lif_cycles(copies))
                    self.note("fire", job, y, began, copies)
            self.count_fire(job, copies, stored)
        self.sums.give()
        with self.write.request() as request:
            yield request
            began = self.env.now
            yield self.env.timeout(self.write_cycles(copies))
            self.note("write", job, y, began, copies)
        self.count_write(job, copies)

    def _read(self, job: Job, y: int, wave: int, copies: int) -> Wait:
        """Drive the wordlines once for each input bit; ends when the last code is out of the ADCs."""
        conversions: list[simpy.Event] = []
        with self.drive.request() as request:
            yield request
            for plane in range(self.stage.planes):
                sampled = []
                for copy in range(copies):
                    for block in range(*self.part.blocks):
                        if not self.is_active(job, y, wave, copy, block, plane):
                            self.count_skipped(job, self.part.columns[1] - self.part.columns[0])
                            continue
                        for column in range(*self.part.columns):
                            sample = self.env.event()
                            unit = self.units[copy, column, block]
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

    def _crossbar(self, job: Job, y: int, unit: Unit, sampled: simpy.Event) -> Wait:
        """One read: sense, wait for the ADCs, hand the sample over, convert column after column."""
        config = self.engine.config
        with unit.array.request() as array:
            yield array
            began = self.env.now
            yield self.env.timeout(config.sense_cycles)
            adcs = unit.adcs.request()
            yield adcs
        sampled.succeed()
        self.note("read", job, y, began, 1, unit.place)
        began = self.env.now
        yield self.env.timeout(config.convert_cycles)
        self.note("convert", job, y, began, unit.channels * self.layer.slices, unit.place)
        unit.adcs.release(adcs)
        self.count_reads(job, 1, unit.channels)

    def is_active(self, job: Job, y: int, wave: int, copy: int, block: int, plane: int) -> bool:
        """Whether a block has a row to drive; always so unless silent reads are skipped."""
        active = self.engine.active(self.stage, job)
        if active is None:
            return True
        position = y * self.stage.out_width + wave * self.layer.copies + self.part.copies[0] + copy
        return bool(active[position, plane, block])

    def count_skipped(self, job: Job, reads: int) -> None:
        self.engine.count(Event.SKIPPED_READS, job, self.stage, reads * self.layer.unit_crossbars)
