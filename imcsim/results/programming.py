"""What writing the network's weights into the cells takes, once, and when that has paid."""

from __future__ import annotations

from typing import Any

from imcsim.results.model import Amount, Count, DocumentPart, Positive, derived

SPENT = 0.01
"""Programming is amortised when it is this share of all energy that the chip has taken."""


def _each(part: Any) -> float:
    """Energy of one pulse and the read behind it, pJ."""
    energy: float = part.pulse_energy_pj + part.verify_energy_pj
    return energy


class ProgrammingCost(DocumentPart):
    """All cells that hold a weight, each written with pulses and, where it is verified, read behind each; and
    the words of thresholds and biases.
    """

    method: str
    source: str
    """Of pulses, their length and voltage, with how sure they are; of those that the chip's file does not
    give.
    """
    cells: Count
    cells_in_turn: Count
    """Cells of the crossbars that one set of write access has, which are written one after the other."""
    cells_at_once: Positive
    """Cells that a set writes at a time."""
    pulses: Amount
    """Of one cell, on average."""
    pulse_ns: Amount
    pulse_energy_pj: Amount
    verify_ns: Amount
    verify_energy_pj: Amount
    parameters_energy_pj: Amount = 0.0
    """Of all thresholds and biases, which are written while cells take their pulses; documents of before have
    none.
    """
    inference_energy_pj: Amount
    """Of the run that the document is about."""
    inference_ns: Amount
    energy_pj: Amount = derived(
        lambda part: part.cells * part.pulses * _each(part) + part.parameters_energy_pj,
        "is not what the pulses of all cells and the thresholds and biases cost",
    )
    """Of the whole chip, once."""
    time_ns: Amount = derived(
        lambda part: (
            -(-part.cells_in_turn // part.cells_at_once) * part.pulses * (part.pulse_ns + part.verify_ns)
        ),
        "is not what the pulses of cells_in_turn take",
    )
    """Of the whole chip, once; all sets of write access work at the same time."""
    inferences_of_equal_energy: Amount | None = derived(
        lambda part: part.energy_pj / part.inference_energy_pj if part.inference_energy_pj else None,
        "is not energy_pj / inference_energy_pj",
    )
    inferences_of_equal_time: Amount | None = derived(
        lambda part: part.time_ns / part.inference_ns if part.inference_ns else None,
        "is not time_ns / inference_ns",
    )
    amortised_inferences: Amount | None = derived(
        lambda part: (
            None
            if part.inferences_of_equal_energy is None
            else part.inferences_of_equal_energy * (1 - SPENT) / SPENT
        ),
        "is not that after which programming is a hundredth of all energy",
    )
    """After so many inferences programming is a hundredth of all energy that the chip has taken."""
