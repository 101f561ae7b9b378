"""What every unit of the chip did, and when: written down while the engine plays, where somebody asks for it.

The engine tells its recorder of each piece of work when it ends; nothing is scheduled for it, so that what is
played is the same with and without. What tiles do inside is told by the ``reference`` fidelity only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from imcsim.mapping.topologies import Link
from imcsim.timing.jobs import Job

Kind = Literal[
    "load", "fetch", "drive", "read", "convert", "fire", "write", "pool", "send", "hop", "accumulate", "check"
]
"""``load``: an image onto the chip. In a tile, ``fetch``: window columns from its buffer; ``drive``: its
crossbars with one input bit, until all of them have been sampled; ``read``: one crossbar driven and sensed;
``convert``: the ADCs behind one; ``fire``: the neurons of a wave; ``write``: a wave into the output register;
``pool``: pooling of a row. ``send``: a row, from its sender until its receiver has it; ``hop``: its flits
over one link. ``accumulate`` and ``check``: the class outputs, and the exit checker.
"""


class Slice(NamedTuple):
    """One piece of work, from cycle `began` until `ended`.

    `job` is the number of the timestep in the order of issue; `layer` counts as in the ledger (0: the image);
    `part` is that of the placement and `tile` its tile, -1 for what belongs to none; `row` is the own output
    row (of ``send`` and ``hop`` unknown, -1). `link` is one that flits go over. `unit` is copy, column and
    row block of a crossbar. `number` counts reads, conversions of a column, positions, bits or flits.
    """

    kind: Kind
    job: int
    layer: int
    began: int
    ended: int
    number: int
    part: int = -1
    tile: int = -1
    row: int = -1
    unit: tuple[int, int, int] | None = None
    link: Link | None = None


class Recorder:
    """Collects the slices of one play, in the order in which they end (hops: in which they begin)."""

    def __init__(self) -> None:
        self.slices: list[Slice] = []
        self._sending: dict[int, tuple[int, int]] = {}

    def note(self, done: Slice) -> None:
        """Write down a piece of work."""
        self.slices.append(done)

    def sends(self, rank: int, job: Job, layer: int) -> None:
        """Whose row the sender `rank` has on the mesh from now on; it sends one after the other."""
        self._sending[rank] = job.number, layer

    def hop(self, link: Link, rank: int, held: tuple[int, int], flits: int) -> None:
        """A link has been granted to the sender `rank`, from a cycle on and for so many of them."""
        job, layer = self._sending[rank]
        self.slices.append(Slice("hop", job, layer, held[0], sum(held), flits, link=link))

    def of(self, *kinds: Kind) -> Sequence[Slice]:
        """The slices of some kinds."""
        return [slice_ for slice_ in self.slices if slice_.kind in kinds]
