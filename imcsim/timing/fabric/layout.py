"""A placed chip as the memory that its kernels play in: made once, copied for every play."""

from __future__ import annotations

from imcsim.base.errors import ImcsimError
from imcsim.hardware.components.package import RATE_UNIT
from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.events import Event
from imcsim.mapping import Placement
from imcsim.mapping.topologies import Link
from imcsim.timing.fabric.kernels import records as k
from imcsim.timing.fabric.part_records import PartRecords
from imcsim.timing.fabric.wired import BUCKETS
from imcsim.timing.link_times import head_cycles
from imcsim.timing.timeline import EVENTS


class Layout:
    """A chip on which nothing has happened yet.

    memory: int64, see `kernels.records`; what grows with the jobs under way is not in it. parts, streams,
    outputs: the slices of it that hold their records, which are `P_SIZE`, `S_SIZE` and `O_SIZE` long.
    by_map: whether a part takes up image maps only and not every job, bool ``[parts]``. most_reads: of a row.
    rows_of_a_job: of all parts together. edges: those that may travel as addresses, in the order of `O_EDGE`.

    With a layout `like` it, of a chip on which everything may stand in the same places, its streams are not
    laid out again, nor are its parts where they do the same.

    Raises ImcsimError as `play` does, where a layer's rows do not fit its buffer.
    """

    def __init__(self, placement: Placement, config: HardwareConfig, like: Layout | None = None) -> None:
        self.placement, self.config = placement, config
        try:
            parts = PartRecords.of(placement, config, None if like is None else like._of_parts)
            self._of_parts: PartRecords = parts
            self.memory, at = parts.memory.copy(), parts.wired.at
            self.parts, self.streams = slice(at.parts, at.streams), slice(at.streams, at.outputs)
            self.outputs = slice(at.outputs, at.slots)
            self._timed()
        except OverflowError:
            raise ImcsimError(
                f"a step on {config.name} takes more cycles than can be counted",
                fix="give shorter times, or a longer technology.clock_ns",
            ) from None
        self.edges, self.by_map = parts.edges, parts.by_map
        self.most_reads, self.rows_of_a_job = parts.most_reads, parts.rows_of_a_job
        self._head()

    def _timed(self) -> None:
        """Write down how long reads and links take."""
        wired, parts = self._of_parts.wired, self.memory[self.parts].reshape(-1, k.P_SIZE)
        of_layers = []
        for layer in self.placement.layers:
            chip = self.config.of_type(layer.tile_type)
            of_layers.append((chip.read_cycles(layer.stage.planes), chip.convert_cycles))
        parts[:, [k.P_SENSE, k.P_CONVERT]] = [of_layers[part.stage] for part in self.placement.parts]
        links = [n for link in wired.links for n in self._link(link)]
        self.memory[wired.at.links : wired.at.tables] = links

    def _head(self) -> None:
        m, config, of_parts = self.memory, self.config, self._of_parts
        wired = of_parts.wired
        bits = self.placement.graph.image_bits
        m[k.G_FLIT_BITS], m[k.G_RATE_UNIT] = config.noc.flit_bits, RATE_UNIT
        m[k.G_LOAD], m[k.G_IMAGE_BITS] = config.load_cycles(bits), bits
        m[k.G_KEEPS] = config.encoder.mode == "keep"
        m[k.G_GATED] = config.clock.gating == "idle_tiles"
        m[k.G_IMAGE_PLACE] = wired.place(Event.IMAGE_BITS, 0)
        m[k.G_GLOBAL_WRITE_PLACE] = wired.place(Event.GLOBAL_BUFFER_WRITE_BITS, 0)
        m[k.G_GLOBAL_READ_PLACE] = wired.place(Event.GLOBAL_BUFFER_READ_BITS, 0)
        # Behind the counts of a job the first and the last cycle of each layer.
        m[k.G_COUNTS] = (len(EVENTS) + 2) * wired.layers
        m[k.G_SCRATCH], m[k.G_WHEEL], m[k.G_BUCKETS] = of_parts.scratch, k.G_SIZE, BUCKETS
        m[k.G_PARTS], m[k.G_PARTS_END] = self.parts.start, self.parts.stop
        m[k.G_IMAGES_END] = self.streams.stop
        m[k.G_IMAGES] = self.streams.stop - len(wired.wiring.images) * k.S_SIZE
        m[k.G_ANSWERS], m[k.G_ANSWERS_END] = of_parts.answers
        m[k.G_WOKEN] = m[k.G_DECIDING] = k.LAST
        m[k.G_WANTED] = k.NEVER

    def _link(self, link: Link) -> list[int]:
        r = [0] * k.L_SIZE
        r[k.KIND], r[k.L_CYCLES] = k.LINK, head_cycles(link, self.config)
        if link.between_chips:
            r[k.L_RATE] = self.config.package.bits_per_megacycle(self.config)
        return r
