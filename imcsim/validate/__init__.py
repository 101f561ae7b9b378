"""Verification and validation: expected figures beside ours, with the deviation that each is allowed.

Verification recomputes what follows from figures that were put in: it shows that the simulator computes what
its constants and formulas say. Validation holds our figures against published ones that were not put in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from imcsim._version import __version__
from imcsim.base.progress import Progress
from imcsim.validate.assumptions import ASSUMPTIONS, FITTED, AssumptionOutcome, Fit, fit, outcomes
from imcsim.validate.by_hand import by_hand_rows
from imcsim.validate.dtsnn import dtsnn_rows, growth_rows, vgg16_run
from imcsim.validate.hypotheses import Accounting, accountings
from imcsim.validate.isaac import isaac_rows
from imcsim.validate.row import ValidationRow
from imcsim.validate.silicon import SiliconRow, measured_chips, silicon_rows
from imcsim.validate.spikesim import spikesim_rows

__all__ = [
    "FITTED",
    "Accounting",
    "AssumptionOutcome",
    "Fit",
    "JudgedRows",
    "SiliconRow",
    "Validation",
    "ValidationRow",
    "Verification",
    "by_hand_rows",
    "isaac_rows",
    "spikesim_rows",
    "validate",
    "verify",
]


@dataclass(frozen=True)
class JudgedRows:
    """Rows, and whether they pass. `kind` names what they show."""

    kind: ClassVar[str]
    rows: Sequence[ValidationRow]

    @property
    def passed(self) -> bool:
        """Whether no row deviates by more than it may."""
        return all(row.passed is not False for row in self.rows)

    def document(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "version": __version__,
            "kind": self.kind,
            "passed": self.passed,
            "rows": [row.document() for row in self.rows],
        }


@dataclass(frozen=True)
class Verification(JudgedRows):
    """Figures that follow from what was put in."""

    kind = "verification"


@dataclass(frozen=True)
class Validation(JudgedRows):
    """Published figures that were not put in; what each assumption about DT-SNN's chip moves; the assumptions
    that fit its shares; ways to count its energy; and measured chips beside their blind predictions.
    """

    kind = "validation"
    outcomes: Sequence[AssumptionOutcome]
    fit: Fit
    accountings: Sequence[Accounting]
    silicon: Sequence[SiliconRow] = ()

    def document(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            **super().document(),
            "silicon": [row.document() for row in self.silicon],
            "assumptions": [asdict(outcome) for outcome in self.outcomes],
            "fit": asdict(self.fit),
            "accountings": [asdict(accounting) for accounting in self.accountings],
        }


def verify(progress: Progress | None = None) -> Verification:
    """Recompute what follows from the constants; about twenty seconds. `progress` hears the stage, steps done
    and all steps.
    """
    step = _Steps("verification", 4, progress)
    rows: list[ValidationRow] = []
    for part in (spikesim_rows, by_hand_rows, isaac_rows):
        rows += part()
        step.done()
    rows += growth_rows(vgg16_run())
    step.done()
    return Verification(tuple(rows))


def validate(progress: Progress | None = None) -> Validation:
    """Hold our figures against published and measured ones; about a minute.

    `progress` hears as in `verify`.
    """
    chips = measured_chips()
    step = _Steps("validation", 3 + len(ASSUMPTIONS) + len(chips), progress)
    silicon: list[SiliconRow] = []
    for chip in chips:
        silicon += silicon_rows((chip,))
        step.done()
    run = vgg16_run()
    step.done()
    rows = tuple(dtsnn_rows(run))
    moved = []
    for outcome in outcomes(run):
        moved.append(outcome)
        step.done()
    fitted = fit(run)
    step.done()
    counted = tuple(accountings(run))
    step.done()
    return Validation(rows, tuple(moved), fitted, counted, tuple(silicon))


class _Steps:
    """Tells `progress` of every step that is done."""

    def __init__(self, stage: str, steps: int, progress: Progress | None) -> None:
        self.stage, self.steps, self.progress = stage, steps, progress
        self.so_far = 0

    def done(self) -> None:
        self.so_far += 1
        if self.progress is not None:
            self.progress(self.stage, self.so_far, self.steps)
