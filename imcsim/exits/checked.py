"""The exit rule of a plug-in, whose answers are checked before anybody computes with them."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray

from imcsim.base.plugins import Origin, blamed
from imcsim.exits.numerics import CheckerNumerics
from imcsim.exits.outputs import ClassOutputs
from imcsim.exits.rule import CheckWork, ExitRule, Units

MAX_WORD = 1 << 62


class CheckedRule(ExitRule):
    """A rule that refuses what no checker could compute, in the name of the plug-in's file."""

    def __init__(self, rule: ExitRule, origin: Origin) -> None:
        self._rule, self._origin = rule, origin
        self.title = str(getattr(rule, "title", origin.name))  # type: ignore[misc]
        units = getattr(rule, "units", None)
        if not isinstance(units, Units):
            raise origin.error(f"units: expected Units, got {units!r:.60}")
        self.units = units  # type: ignore[misc]

    def scores(self, outputs: ClassOutputs, checker: CheckerNumerics) -> NDArray[np.int64]:
        sums = outputs.sums.view()
        sums.flags.writeable = False
        with blamed(self._origin, "scores failed"):
            found = np.asarray(self._rule.scores(replace(outputs, sums=sums), checker))
        wanted = outputs.sums.shape[:2]
        if found.dtype.kind not in "iu" or found.shape != wanted:
            message = f"scores: expected integers {list(wanted)}, got {found.dtype} {list(found.shape)}"
            raise self._origin.error(message)
        if found.size and not 0 <= int(found.min()) <= int(found.max()) < MAX_WORD:
            raise self._origin.error(f"scores: {int(found.min())} to {int(found.max())}; the least is 0")
        return found.astype(np.int64)

    def scale(self, classes: int, checker: CheckerNumerics) -> float:
        with blamed(self._origin, "scale failed"):
            found = float(self._rule.scale(classes, checker))
        if not (math.isfinite(found) and found > 0):
            raise self._origin.error(f"scale: expected a number above 0, got {found}")
        return found

    def word(self, threshold: float, classes: int, checker: CheckerNumerics) -> int:
        with blamed(self._origin, "word failed"):
            found = self._rule.word(threshold, classes, checker)
        return self._whole("word", found, 0)

    def threshold(self, word: int, classes: int, checker: CheckerNumerics) -> float:
        with blamed(self._origin, "threshold failed"):
            found = float(self._rule.threshold(word, classes, checker))
        if not 0 <= found <= 1:
            raise self._origin.error(f"threshold: expected 0 to 1, got {found} for the word {word}")
        return found

    def work(self, classes: int, mean: bool) -> CheckWork:
        with blamed(self._origin, "work failed"):
            found = self._rule.work(classes, mean)
        if not isinstance(found, CheckWork):
            raise self._origin.error(f"work: expected CheckWork, got {found!r:.60}")
        for one in fields(found):
            self._whole(f"work: {one.name}", getattr(found, one.name), 0)
        return found

    def cycles(self, classes: int, class_cycles: int, final_cycles: int) -> int:
        with blamed(self._origin, "cycles failed"):
            found = self._rule.cycles(classes, class_cycles, final_cycles)
        return self._whole("cycles", found, 1)

    def _whole(self, what: str, found: object, least: int) -> int:
        whole = isinstance(found, int | np.integer) and not isinstance(found, bool)
        if not whole or not least <= int(found) < MAX_WORD:  # type: ignore[call-overload]
            message = f"{what}: expected a whole number of at least {least}, got {found!r:.60}"
            raise self._origin.error(message)
        return int(found)  # type: ignore[call-overload, no-any-return]
