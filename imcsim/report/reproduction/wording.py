"""How the page says figures: signs, intervals, chips, published figures with their marks."""

from __future__ import annotations

import re
from collections.abc import Sequence

from imcsim.report.page.grids import Cell, Tone
from imcsim.report.units import percent
from imcsim.reproduction.verdicts import SPIKES
from imcsim.results.comparison import Dynamic, StaticPoint
from imcsim.results.reproduction.document import NetworkPart, OnChip, Reproduction
from imcsim.results.reproduction.figures import Beside, Figures, Paired, PublishedFigure, width_words

MARKS = {
    "paper": "read in the paper’s own text",
    "code": "read in its released code",
    "2nd": "another author’s account of it",
    "est": "estimated; not a figure of the paper",
    "derived": "arithmetic on the others",
}
"""What the marks beside published figures mean."""
HELD = "the best that is held"
"""The joint choice whose accuracy is held on validation images that did not choose it."""
NBSP = "\N{NO-BREAK SPACE}"


def file_name(text: str) -> str:
    """`text` as part of the name of a file."""
    return re.sub(r"[^A-Za-z0-9.-]", "_", text)


def minus(text: str) -> str:
    """Hyphens before digits as minus signs."""
    return re.sub(r"-(?=[\d.])", "−", text)


def shown_change(reduction: float, decimals: int = 1) -> str:
    """0.8 is −80.0 %."""
    value = round(-100 * reduction, decimals)
    return minus(f"{value:+.{decimals}f}{NBSP}%") if value else f"{0:.{decimals}f}{NBSP}%"


def times(value: float) -> str:
    """A ratio."""
    return f"{value:.2f}×"


def points(difference: float) -> str:
    """A difference of two fractions, in percentage points."""
    value = round(100 * difference, 2)
    return minus(f"{value:+.2f}") if value else "0.00"


def interval(low: float, high: float) -> str:
    """An interval of accuracy, %."""
    return f"[{percent(low, 2)}, {percent(high, 2)}]"


def accuracy_cell(row: Figures | StaticPoint | Dynamic, tone: Tone = "") -> Cell:
    """An accuracy with its interval, %."""
    return Cell(percent(row.accuracy, 2), below=interval(row.accuracy_low, row.accuracy_high), tone=tone)


def difference_cell(paired: Paired) -> Cell:
    """A paired difference with its interval, in percentage points."""
    return Cell(points(paired.difference), below=f"[{points(paired.low)}, {points(paired.high)}]")


def compared(paired: Paired, reference: str) -> str:
    """What the paired difference says, in words."""
    if paired.verdict == "equal":
        return f"accuracy not distinguishable from {reference}"
    if paired.verdict == "unclear":
        return f"too few images to rule out a loss of accuracy against {reference}"
    how = "higher" if paired.difference > 0 else "lower"
    size = percent(abs(paired.difference), 2)
    return f"accuracy {size} points {how} than {reference}"


def static_name(timesteps: int) -> str:
    return f"static{NBSP}T{NBSP}={NBSP}{timesteps}"


def last_name(row: Sequence[StaticPoint]) -> str:
    return static_name(row[-1].timesteps)


def width_name(chip: OnChip) -> str:
    return width_words(chip.channels)


def chip_names(part: NetworkPart) -> list[str]:
    """A name for each chip that says whose spikes it runs."""
    return [width_name(chip) if chip.own_spikes else f"{width_name(chip)}*" for chip in part.chips]


def main_chip(part: NetworkPart) -> OnChip:
    """That of the paper's width where there is one."""
    return part.chips[-1]


def find(document: Reproduction, key: str) -> PublishedFigure | None:
    """The published figure of that key, if there is one."""
    return next((one for one in document.published if one.key == key), None)


def own_notes(one: Beside) -> list[str]:
    """What is said of a figure of ours beside a published one, but whose spikes it has."""
    return [note for note in one.note.split("; ") if note not in ("", SPIKES)]


def about(part: NetworkPart, key: str) -> str:
    """What must be known of a published figure of that key beside this network's, as a sentence."""
    notes = dict.fromkeys(note for b in part.beside if b.published.key == key for note in own_notes(b))
    said = "; ".join(notes)
    return f" {said[0].upper()}{said[1:]}." if said else ""


def value_text(value: float, unit: str, *, ours: bool = False) -> str:
    """A figure in a published figure's unit; ours in per cent has one decimal."""
    if ours and unit == "%":
        return minus(f"{value:.1f}{NBSP}%")
    if abs(value) < 1e-3 and value:
        text = f"{value:.1e}".replace("e-0", " × 10^-").replace("e-", " × 10^-")
        mantissa, _, power = text.partition(" × 10^")
        return f"{minus(mantissa)} × 10{power.translate(_RAISED)}"
    text = minus(f"{value:.4g}")
    joint = {"": "", "x": "×"}.get(unit, f"{NBSP}{unit}")
    return f"{text}{joint}"


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def published_cell(one: PublishedFigure | None) -> Cell:
    """The published figure with its mark; empty where there is none."""
    return Cell("–", tone="faint") if one is None else Cell(value_text(one.value, one.unit), one.mark)


def saved_cell(one: PublishedFigure | None) -> Cell:
    """A published saving (in per cent) as the change it means."""
    return (
        published_cell(None)
        if one is None
        else Cell(shown_change(one.value / 100, 0 if one.value % 1 == 0 else 1), one.mark)
    )
