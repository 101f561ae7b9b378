"""Two chips, or two results: what is different, and what that does to every component."""

from __future__ import annotations

from dataclasses import dataclass

from imcsim import hardware
from imcsim.base.errors import ImcsimError
from imcsim.diffs.changes import Change, ValueChange
from imcsim.diffs.chips import ChipDiff, diff_chips
from imcsim.diffs.reading import Kind, kind_of, named, read_result
from imcsim.diffs.results import Piece, ResultDiff, results_diff
from imcsim.hardware.config import Hardware
from imcsim.results.meta import HardwareMeta

__all__ = [
    "Change", "ChipDiff", "Diff", "Kind", "Piece", "ResultDiff", "Side", "ValueChange", "diff_chips",
    "diff_results", "kind_of", "read_result", "results_diff",
]  # fmt: skip


@dataclass(frozen=True)
class Side:
    """What is compared: what the user named it, and the chip."""

    given: str
    hardware: str
    sha256: str


@dataclass(frozen=True)
class Diff:
    """`chip` is None for results of chips whose files are not known, `results` for chips that were not
    simulated.
    """

    kind: Kind
    a: Side
    b: Side
    chip: ChipDiff | None
    results: ResultDiff | None


def diff_results(given_a: str, given_b: str) -> Diff:
    """Two results of the same command. Raises ImcsimError where they are not."""
    both = named(given_a), named(given_b)
    kinds = both[0].kind, both[1].kind
    if kinds[0] != kinds[1]:
        names = ["a chip" if kind == "hardware" else f"a result of {kind}" for kind in kinds]
        raise ImcsimError(
            f"{given_a} is {names[0]}, {given_b} is {names[1]}: they cannot be compared",
            fix="give two chips, or two results of the same command",
        )
    a, b = both[0].result(), both[1].result()
    same = a.meta.hardware == b.meta.hardware
    first = _known_chip(a.meta.hardware)
    known = first, first if same else _known_chip(b.meta.hardware)
    chip = diff_chips(known[0], known[1]) if known[0] is not None and known[1] is not None else None
    sides = [
        Side(given, r.meta.hardware.name, r.meta.hardware.sha256) for given, r in ((given_a, a), (given_b, b))
    ]
    return Diff(kinds[0], sides[0], sides[1], chip, results_diff(a, b))


def _known_chip(meta: HardwareMeta) -> Hardware | None:
    """The chip of a result, where it is one that comes with imcsim, with what was laid over it."""
    overrides = meta.overrides or {}
    # The hash covers the name; a file that comes with imcsim has that of its chip.
    for name in {meta.name} & set(hardware.names()) if "name" not in overrides else hardware.names():
        try:
            found = hardware.load(name, overrides)
        except ImcsimError:
            continue
        if found.sha256 == meta.sha256:
            return found
    return None
