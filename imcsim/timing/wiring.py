"""Who sends rows to whom on a placed chip, and how much room there is for them.

All of it follows from the placement and the config before anything happens: the processes make channels of
it, the compiled fabric addresses in its memory.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, NamedTuple

from imcsim.base.errors import ImcsimError
from imcsim.base.plurals import counted
from imcsim.hardware.config import HardwareConfig
from imcsim.mapping import IMAGE, Edge, LayerPlacement, Part, Placement
from imcsim.mapping.stages import CurrentPool, rows_after
from imcsim.mapping.topologies import Link

STORED_ROOM = 1 << 40
"""Rows for which the global buffer has a place; whether it holds them is known before (mapping.reload)."""


@dataclass(frozen=True, eq=False)
class Stream:
    """Rows from one sender to one receiver; `name` says in messages what they are."""

    rank: int
    """Of senders that ask for a link in the same cycle the one with the lower rank goes first."""
    name: str
    layer: int
    """The layer of the ledger that sends; 0 is the input."""
    source: int | None
    """The part that sends; None: the global buffer sends the image."""
    target: int | None
    """The part that receives; None: the checker receives class outputs, or the global buffer stored rows."""
    edge: Edge | None
    """None for partial sums and class outputs."""
    room: int
    """Rows for which the receiver has a place."""

    @property
    def role(self) -> Literal["input", "side", "sums"]:
        """What the rows are to their receiver."""
        return "sums" if self.edge is None else self.edge.role

    @property
    def delay(self) -> int:
        """Timesteps after which the receiver works on the rows."""
        return 0 if self.edge is None else self.edge.delay

    def lag(self, images: int) -> int:
        """Jobs that may lie between one that gives rows and the one that works on them, on a chip that holds
        `images` images. An image's timesteps come in turn with those of the others, so that the maps of
        another are never more than this behind.
        """
        return self.delay * images

    def places(self, images: int) -> int:
        """Rows for which the receiver has a place on a chip that holds `images` images."""
        return self.room * images if self.delay else self.room

    @property
    def answer_rows(self) -> int:
        """Of what leaves the tiles, rows per timestep: class outputs are one."""
        return 1 if self.edge is None else self.edge.height

    @property
    def carries_values(self) -> bool:
        """Whether pixels, spikes or the like travel, and not sums."""
        return self.edge is not None and bool(self.edge.node)


@dataclass(frozen=True, eq=False)
class Output:
    """Rows that a part puts out, the same ones to every receiver.

    Rows of an `edge` are pooled before they leave, those without (partial sums and class outputs) are not,
    and leave band by band. But class outputs of neurons behind a pool of currents (`pool`) have fewer rows
    than the part itself, which makes `own_height` bands of `band` rows in a timestep.
    """

    edge: Edge | None
    own_height: int
    streams: tuple[Stream, ...] = ()
    pool: CurrentPool | None = None
    band: int = 1

    @property
    def whole(self) -> bool:
        """Whether whole bands leave, and not rows."""
        return self.edge is None and self.pool is None

    @property
    def height(self) -> int:
        """Rows delivered in a timestep."""
        if self.edge is not None:
            return self.edge.height
        return self.own_height if self.pool is None else self.pool.height

    @property
    def size(self) -> int:
        """Own rows under a pooling window."""
        if self.edge is not None:
            return self.edge.pool_size
        return 1 if self.pool is None else self.pool.size[0]

    @property
    def stride(self) -> int:
        """Own rows from one pooling window to the next."""
        if self.edge is not None:
            return self.edge.pool_stride
        return 1 if self.pool is None else self.pool.stride[0]

    @property
    def padding(self) -> int:
        """Rows of padding above the first own row."""
        if self.edge is not None:
            return self.edge.pool_padding
        return 0 if self.pool is None else self.pool.padding[0]

    @property
    def rows_of_band(self) -> int:
        """Own rows that count for those that leave, of each band."""
        return 1 if self.whole else self.band

    def rows_after(self, y: int) -> range:
        """The delivered rows that are complete once own band y is done (see `stages.rows_after`)."""
        rows = self.rows_of_band
        complete = [
            row
            for own in range(y * rows, (y + 1) * rows)
            for row in rows_after(
                own, self.own_height * rows, self.height, self.size, self.stride, self.padding
            )
        ]
        return range(complete[0], complete[-1] + 1) if complete else range(0)

    def first_own_band(self, row: int) -> int:
        """The first own band that delivered row `row` needs."""
        return max(0, row * self.stride - self.padding) // self.rows_of_band


@dataclass(frozen=True, eq=False)
class PartWiring:
    """What comes into a part, and what it puts out."""

    room: int
    """Bands of output rows for which the tile has a place: some to send from, and those that a pool still
    needs.
    """
    inputs: tuple[Stream, ...]
    """The rows that its crossbars read; each sender has a share of every row."""
    partials: tuple[Stream, ...]
    """Sums of this layer's other parts, a row for every output row."""
    residuals: tuple[Stream, ...]
    """Shortcut currents or spikes, a row for every output row."""
    outputs: tuple[Output, ...]


@dataclass(frozen=True, eq=False)
class Wiring:
    """All parts of a chip, and all streams by rank. `images` are those that bring the image, the last ones;
    `answers` bring class outputs to the checker, and rows to the global buffer.
    """

    parts: tuple[PartWiring, ...]
    streams: tuple[Stream, ...]
    images: tuple[Stream, ...]
    answers: tuple[Stream, ...]


class _Link(NamedTuple):
    """A stream that has no rank yet."""

    name: str
    layer: int
    source: int | None
    target: int | None
    edge: Edge | None
    room: int


def wire(placement: Placement, config: HardwareConfig) -> Wiring:
    """Connect all parts of a chip.

    Raises ImcsimError where a part's share of the tile buffer does not hold the rows that it needs at a time.
    """
    links = _links(placement, config)
    # A part's outputs come in the order in which receivers ask for them, the image after all parts. Two edges
    # of a graph may say the same, so it is asked which one of them it is.
    first: dict[tuple[int | None, int], int] = {}
    for n, link in enumerate(links):
        first.setdefault((link.source, id(link.edge)), n)

    def turn(n: int) -> tuple[int, int, int]:
        source, edge = links[n].source, links[n].edge
        after_all = len(placement.parts)
        return after_all if source is None else source, 0 if source is None else first[source, id(edge)], n

    order = sorted(range(len(links)), key=turn)
    streams = tuple(Stream(rank, *links[n]) for rank, n in enumerate(order))
    incoming: defaultdict[tuple[int | None, str], list[Stream]] = defaultdict(list)
    for _, stream in sorted(zip(order, streams, strict=True), key=lambda pair: pair[0]):
        incoming[stream.target, stream.role].append(stream)
    outputs: defaultdict[int | None, list[Output]] = defaultdict(list)
    for (source, _), some in groupby(streams, key=lambda stream: (stream.source, id(stream.edge))):
        if source is not None:
            shared = tuple(some)
            part = placement.parts[source]
            layer = placement.layers[part.stage]
            pool = layer.stage.pool if part.head == part.index else None
            outputs[source].append(Output(shared[0].edge, layer.bands, shared, pool, layer.row_copies))
    return Wiring(
        parts=tuple(
            PartWiring(
                room=config.of_type(placement.layers[part.stage].tile_type).tile.output_rows
                + max((-(-(out.size - 1) // out.rows_of_band) for out in outputs[part.index]), default=0),
                inputs=tuple(incoming[part.index, "input"]),
                partials=tuple(incoming[part.index, "sums"]),
                residuals=tuple(incoming[part.index, "side"]),
                outputs=tuple(outputs[part.index]),
            )
            for part in placement.parts
        ),
        streams=streams,
        images=tuple(stream for stream in streams if stream.source is None),
        answers=tuple(stream for stream in streams if stream.target is None),
    )


def _links(placement: Placement, config: HardwareConfig) -> list[_Link]:
    """All streams, by receiver: first those into parts, then class outputs and what is stored."""
    sharing = _streams_into_tiles(placement)
    heads: defaultdict[int, list[Part]] = defaultdict(list)
    for part in placement.parts:
        if part.head == part.index:
            heads[part.stage].append(part)
    links = []
    for part in placement.parts:
        stage = placement.graph.stages[part.stage]
        chip = config.of_type(placement.layers[part.stage].tile_type)
        for edge in edges_into(placement, part):
            needed = _rows_at_once(edge, placement.layers[part.stage])
            # Delayed rows have a memory that is made for them.
            waiting = (edge.delay + 1) * edge.height
            room = waiting if edge.delay else _room(chip, edge.row_bits, sharing[part.tile])
            if room < needed:
                raise ImcsimError(
                    f"layer {stage.name} needs {counted(needed, 'input row')} of {edge.row_bits} bits at a "
                    f"time; its share of the tile buffer holds {room}",
                    key="tile_buffer.capacity_bytes",
                    fix=f"set it to at least {_smallest_buffer(placement, sharing)}",
                )
            if edge.source == IMAGE:
                links.append(_Link(f"image rows for {stage.name}", 0, None, part.index, edge, room))
            for source in heads[edge.source]:
                if edge.stays and source is not part:
                    continue
                name = f"rows from {placement.graph.stages[source.stage].name} to {stage.name}"
                links.append(_Link(name, source.stage + 1, source.index, part.index, edge, room))
        if part.head != part.index:
            band = stage.out_width * placement.layers[part.stage].row_copies
            bits = band * part.channels * config.lif.partial_sum_bits
            head = placement.parts[part.head]
            # A head adds a row up as it comes, so one row's place is enough even in a smaller buffer.
            room = max(1, _room(chip, bits, sharing[head.tile]))
            name = f"partial sums of {stage.name}"
            links.append(_Link(name, part.stage + 1, part.index, part.head, None, room))
    for stage in placement.graph.stages:
        if stage.is_output:
            name = f"class outputs of {stage.name}"
            links += [_Link(name, stage.index + 1, part.index, None, None, 1) for part in heads[stage.index]]
    for edge in placement.graph.stored:
        name = f"rows from {placement.graph.stages[edge.source].name} to the global buffer"
        links += [
            _Link(name, part.stage + 1, part.index, None, edge, STORED_ROOM) for part in heads[edge.source]
        ]
    return links


def edges_into(placement: Placement, part: Part) -> list[Edge]:
    """The edges whose rows a part receives; shortcuts end at the head, which has the neurons."""
    edges = placement.graph.inputs(placement.graph.stages[part.stage])
    return [edge for edge in edges if edge.role == "input" or part.head == part.index]


def _streams_into_tiles(placement: Placement) -> list[int]:
    """For each tile the streams of rows that share its buffer; one edge into one part is one stream."""
    streams = [0] * placement.tiles
    for part in placement.parts:
        streams[part.tile] += sum(not edge.delay for edge in edges_into(placement, part))
        if part.head != part.index:
            streams[placement.parts[part.head].tile] += 1
    return streams


def _room(config: HardwareConfig, row_bits: int, streams: int) -> int:
    """Rows that fit into a stream's share of the tile buffer."""
    return config.tile_buffer.capacity_bytes * 8 // streams // row_bits


def _rows_at_once(edge: Edge, layer: LayerPlacement) -> int:
    """Rows of a stream that a part must hold to go on: the windows of a band for a convolution, all for a
    linear layer.
    """
    stage = layer.stage
    if edge.role == "side":
        return layer.row_copies
    window = stage.extent[0] + (layer.row_copies - 1) * stage.stride[0]
    return min(edge.height, window if stage.kind == "conv" else edge.height)


def _smallest_buffer(placement: Placement, sharing: list[int]) -> int:
    """Bytes of a tile buffer that holds what every layer needs, so that one correction is enough."""
    return max(
        -(-_rows_at_once(edge, placement.layers[part.stage]) * edge.row_bits * sharing[part.tile] // 8)
        for part in placement.parts
        for edge in edges_into(placement, part)
        if not edge.delay
    )


def way(placement: Placement, stream: Stream) -> tuple[Link, ...]:
    """The links of a stream, in their order; none where it stays within a tile."""
    source, target = (
        None if end is None else placement.parts[end].tile for end in (stream.source, stream.target)
    )
    return placement.route(source, target)
