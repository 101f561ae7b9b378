"""What of a placed chip's memory follows from where everything stands: the streams and their ways.

Chips that differ in times and prices only have it in common, and a comparison tries dozens of those.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.events import Event
from imcsim.mapping import Placement
from imcsim.mapping.topologies import Link
from imcsim.timing.fabric.kernels import records as k
from imcsim.timing.timeline import EVENT_INDEX, layer_names
from imcsim.timing.wiring import PartWiring, Stream, Wiring, way, wire

BUCKETS = 1024
"""Of the wheel of cycles, a power of two. What happens later goes round."""


@dataclass(frozen=True)
class Addresses:
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
    def of(cls, wiring: Wiring, links: int) -> Addresses:
        parts = k.G_SIZE + 2 * BUCKETS
        streams = parts + len(wiring.parts) * k.P_SIZE
        outputs = streams + len(wiring.streams) * k.S_SIZE
        slots = outputs + sum(len(part.outputs) for part in wiring.parts) * k.O_SIZE
        first_link = slots + sum(slots_of(part) for part in wiring.parts) * k.Q_SIZE
        return cls(parts, streams, outputs, slots, first_link, first_link + links * k.L_SIZE)

    def part(self, index: int) -> int:
        return self.parts + index * k.P_SIZE

    def stream(self, stream: Stream) -> int:
        return self.streams + stream.rank * k.S_SIZE


def slots_of(part: PartWiring) -> int:
    """Rows under way that there is a slot for. A row may give its place back before it has been pooled, so
    there are more slots than places.
    """
    return 2 * part.room + 2


class _Path(NamedTuple):
    """The links of a route: where the table of their addresses begins and ends, and what they add up to."""

    first: int
    end: int
    routers: int
    pitches: int
    between_chips: int


class Wired:
    """The streams of a placed chip.

    at: where records stand. links: those in use, in the order of their records. streams: their records, one
    after the other. tables: the numbers at the beginning of the tables.

    Raises ImcsimError where a layer's rows do not fit its buffer.
    """

    def __init__(self, placement: Placement, config: HardwareConfig) -> None:
        self._placement, self._rooms = placement, _rooms(placement, config)
        self.wiring = wiring = wire(placement, config)
        self.layers = len(layer_names(placement))
        routes = [way(placement, stream) for stream in wiring.streams]
        # Streams between the same places share one route, so that routes are told apart by the object.
        different = {id(route): route for route in routes}
        self.links = tuple(dict.fromkeys(link for route in different.values() for link in route))
        self.at = at = Addresses.of(wiring, len(self.links))
        self.tables: list[int] = []
        link_at = {link: at.links + n * k.L_SIZE for n, link in enumerate(self.links)}
        paths = {name: self._path(route, link_at) for name, route in different.items()}
        records = [
            self._stream(stream, paths[id(route)])
            for stream, route in zip(wiring.streams, routes, strict=True)
        ]
        for n, out in enumerate(out for part in wiring.parts for out in part.outputs):
            for stream in out.streams:
                records[stream.rank][k.S_OUTPUT] = at.outputs + n * k.O_SIZE
                records[stream.rank][k.S_HEIGHT] = out.height
        self.streams = [n for record in records for n in record]

    @classmethod
    def of(cls, placement: Placement, config: HardwareConfig, like: Wired | None) -> Wired:
        """That of a chip; `like` itself where it serves this chip as well."""
        return like if like is not None and like._serves(placement, config) else cls(placement, config)

    def _serves(self, placement: Placement, config: HardwareConfig) -> bool:
        own = self._placement
        return (
            placement.layers is own.layers
            and placement.graph is own.graph
            and (placement.parts, placement.positions) == (own.parts, own.positions)
            and (placement.chips, placement.arrangement) == (own.chips, own.arrangement)
            and _rooms(placement, config) == self._rooms
        )

    def place(self, event: Event, layer: int) -> int:
        """Where an event of a layer is counted, among the counts of a job."""
        return EVENT_INDEX[event] * self.layers + layer

    def _path(self, links: tuple[Link, ...], link_at: dict[Link, int]) -> _Path:
        first = self.at.tables + len(self.tables)
        self.tables += [link_at[link] for link in links]
        return _Path(
            first,
            first + len(links),
            routers=sum(link.routers for link in links),
            pitches=sum(link.pitches for link in links),
            between_chips=sum(link.between_chips for link in links),
        )

    def _stream(self, stream: Stream, path: _Path) -> list[int]:
        """A stream, but for the address of its output; the image has none."""
        r = [0] * k.S_SIZE
        r[k.KIND], r[k.S_ROOM], r[k.S_ROW] = k.SENDER, stream.room, -1
        r[k.S_PATH], r[k.S_PATH_END] = path.first, path.end
        r[k.S_ROUTERS], r[k.S_PITCHES], r[k.S_LINKS] = path.routers, path.pitches, path.between_chips
        moved = Event.NOC_VALUE_BITS if stream.carries_values else Event.NOC_CURRENT_BITS
        r[k.S_LINKS_PLACE] = self.place(Event.PACKAGE_BITS, stream.layer)
        r[k.S_HOPS_PLACE] = self.place(Event.FLIT_HOPS, stream.layer)
        r[k.S_MOVED_PLACE] = self.place(moved, stream.layer)
        if stream.source is None and stream.edge is not None:
            r[k.KIND], r[k.S_HEIGHT], r[k.S_BITS] = k.IMAGE, stream.edge.height, stream.edge.row_bits
        if stream.target is not None:
            receiver = self._placement.parts[stream.target]
            r[k.S_TARGET], r[k.S_DELAY] = self.at.part(stream.target), stream.delay
            written = Event.DELAY_WRITE_BITS if stream.delay else Event.TILE_BUFFER_WRITE_BITS
            r[k.S_WRITE_PLACE] = self.place(written, receiver.stage + 1)
        elif stream.edge is not None:
            r[k.S_WRITE_PLACE] = self.place(Event.GLOBAL_BUFFER_WRITE_BITS, stream.layer)
        return r


def _rooms(placement: Placement, config: HardwareConfig) -> tuple[int, ...]:
    """All that `wire` reads of a config: places for rows in the tiles of each layer, and bits of a sum."""
    chips = [config.of_type(layer.tile_type) for layer in placement.layers]
    places = [n for chip in chips for n in (chip.tile.output_rows, chip.tile_buffer.capacity_bytes)]
    return config.lif.partial_sum_bits, *places
