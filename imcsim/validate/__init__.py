"""Validation: published and hand-made figures beside ours, with the deviation that each is allowed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from imcsim._version import __version__
from imcsim.validate.assumptions import ASSUMPTIONS, FITTED, AssumptionOutcome, Fit, fit, outcomes
from imcsim.validate.by_hand import by_hand_rows
from imcsim.validate.dtsnn import dtsnn_rows, vgg16_run
from imcsim.validate.isaac import isaac_rows
from imcsim.validate.row import ValidationRow
from imcsim.validate.spikesim import spikesim_rows

__all__ = [
    "FITTED",
    "AssumptionOutcome",
    "Fit",
    "Validation",
    "ValidationRow",
    "by_hand_rows",
    "isaac_rows",
    "spikesim_rows",
    "validate",
]

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Validation:
    """All rows; what each assumption about DT-SNN's chip moves; and the assumptions that fit its shares."""

    rows: Sequence[ValidationRow]
    outcomes: Sequence[AssumptionOutcome]
    fit: Fit

    @property
    def passed(self) -> bool:
        """Whether no row deviates by more than it may."""
        return all(row.passed is not False for row in self.rows)

    def document(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "version": __version__,
            "passed": self.passed,
            "rows": [row.document() for row in self.rows],
            "assumptions": [asdict(outcome) for outcome in self.outcomes],
            "fit": asdict(self.fit),
        }


def validate(progress: Progress | None = None) -> Validation:
    """Run everything; about half a minute. `progress` hears the stage, steps done and all steps."""
    steps = 5 + len(ASSUMPTIONS)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress("validation", done, steps)

    rows: list[ValidationRow] = []
    for part in (spikesim_rows, by_hand_rows, isaac_rows):
        rows += part()
        step()
    run = vgg16_run()
    step()
    rows += dtsnn_rows(run)
    moved = []
    for outcome in outcomes(run):
        moved.append(outcome)
        step()
    fitted = fit(run)
    step()
    return Validation(tuple(rows), tuple(moved), fitted)
