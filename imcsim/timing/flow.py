"""Rows on their way from one part of the chip to another: who waits for whom."""

from __future__ import annotations

import heapq
from collections.abc import Generator, Iterable
from itertools import count
from typing import Any

import simpy

Wait = Generator[simpy.Event, Any, None]


class Rows:
    """Rows that have arrived so far. A process can wait until there are a number of them."""

    def __init__(self, env: simpy.Environment) -> None:
        self._env = env
        self.total = 0
        self._waiting: list[tuple[int, int, simpy.Event]] = []
        self._order = count()

    def arrive(self) -> None:
        """One more row is there."""
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

    A sender takes room before a row leaves, so a row in the mesh always has a place to go; a receiver that is full
    stops its sender.
    """

    def __init__(self, env: simpy.Environment, name: str, room: int, source: object, target: object) -> None:
        self.name = name
        self.source = source
        self.target = target
        self.room = simpy.Container(env, capacity=room, init=room)
        self.rows = Rows(env)
        self.queue: simpy.Store = simpy.Store(env)

    def free(self, rows: int) -> None:
        """Give back the room of `rows` rows."""
        if rows > 0:
            self.room.put(rows)

    def __repr__(self) -> str:
        return f"{self.name} ({self.room.capacity - self.room.level} of {self.room.capacity} rows taken)"


def all_reach(env: simpy.Environment, channels: Iterable[Channel], total: int) -> simpy.Event:
    """An event that happens once every channel has brought `total` rows."""
    return env.all_of([c.rows.reach(total) for c in channels if c.rows.total < total])
