"""Rows on their way from one part of the chip to another: who waits for whom, and for how much room."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Generator, Iterable
from itertools import count
from typing import Any

import simpy
from simpy.events import EventPriority

Wait = Generator[simpy.Event, Any, None]

LATE = EventPriority(2)
"""SimPy priority after all ordinary events of a cycle, for decisions that must see all its requests."""


def late(env: simpy.Environment) -> simpy.Event:
    """An event that happens at the end of the current cycle, after all ordinary events."""
    event = env.event()
    event._ok, event._value = True, None
    env.schedule(event, priority=LATE)
    return event


class Room:
    """Places that can be taken and given back. Whoever finds none waits in line."""

    def __init__(self, env: simpy.Environment, capacity: int) -> None:
        self._env = env
        self.capacity = self.level = capacity
        self._waiting: deque[simpy.Event] = deque()

    def take(self) -> simpy.Event | None:
        """Take a place; None when there is one, else an event that happens once it is taken."""
        if self.level > 0 and not self._waiting:
            self.level -= 1
            return None
        event = self._env.event()
        self._waiting.append(event)
        return event

    def give(self, places: int = 1) -> None:
        """Give places back."""
        self.level += places
        while self.level > 0 and self._waiting:
            self.level -= 1
            self._waiting.popleft().succeed()


class Rows:
    """Rows that have arrived so far. A process can wait until there are a number of them."""

    def __init__(self, env: simpy.Environment) -> None:
        self._env = env
        self.total = 0
        self._waiting: list[tuple[int, int, simpy.Event]] = []
        self._order = count()

    def arrive(self) -> None:
        """Count one more row, and let those go on who waited for it."""
        self.total += 1
        while self._waiting and self._waiting[0][0] <= self.total:
            heapq.heappop(self._waiting)[2].succeed()

    def reach(self, total: int) -> simpy.Event:
        """An event that happens once `total` rows have arrived."""
        event = self._env.event()
        if total <= self.total:
            event.succeed()
        else:
            heapq.heappush(self._waiting, (total, next(self._order), event))
        return event


class Channel:
    """Rows from one part to another: room for some of them at the receiver, and a count of those that came.

    A sender takes room before a row leaves, so a row in the mesh always has a place to go; a receiver that is
    full stops its sender. Rows of cancelled work arrive as void ones: they are counted, and take no room.
    With a delay rows are freed some jobs after those that they came with, so that many void ones come first.
    """

    def __init__(self, env: simpy.Environment, name: str, room: int, void: int = 0) -> None:
        self.name = name
        self.room = Room(env, room)
        self.rows = Rows(env)
        self.rows.total = void
        self._held: deque[bool] = deque([False] * void)
        self._freed = 0
        """Rows, counted from the first, whose room is not needed any more."""

    def arrive(self, *, void: bool = False) -> None:
        """A row has come."""
        if self.rows.total < self._freed:
            if not void:
                self.room.give()
        else:
            self._held.append(not void)
        self.rows.arrive()

    def free(self, rows: int) -> None:
        """The next `rows` rows are not needed any more, whether or not they have come yet."""
        held = 0
        for _ in range(rows):
            self._freed += 1
            if self._held:
                held += self._held.popleft()
        if held:
            self.room.give(held)

    def __repr__(self) -> str:
        return f"{self.name} ({self.room.capacity - self.room.level} of {self.room.capacity} rows taken)"


def missing(channels: Iterable[Channel], total: int) -> list[simpy.Event]:
    """Events that happen when channels that have not brought `total` rows yet have done so."""
    return [c.rows.reach(total) for c in channels if c.rows.total < total]
