"""The contract of exit rules."""

from __future__ import annotations

from dataclasses import fields
from itertools import pairwise

import numpy as np

from imcsim.base.plugins import Origin
from imcsim.exits.checked import CheckedRule
from imcsim.exits.numerics import CheckerNumerics
from imcsim.exits.outputs import ClassOutputs, exit_timesteps
from imcsim.exits.rule import ExitRule
from imcsim.plugins.contracts.finding import Finding, findings, hold

CLASSES = (2, 3, 10, 100)
FORMATS = (CheckerNumerics(), CheckerNumerics(6, 8, 64, 8.0, 32), CheckerNumerics(16, 24, 4096, 16.0, 2048))
OWN = Origin("exit_rules", "own", "imcsim", "", "")


def exit_rule_contract(rule: ExitRule, origin: Origin | None) -> list[Finding]:
    """What every exit rule keeps; origin: of a plug-in's."""
    asked = CheckedRule(rule, origin or OWN)
    cases = [
        (numerics, ClassOutputs(sums, mean))
        for numerics in FORMATS
        for classes in CLASSES
        for mean in (False, True)
        for sums in _sums(classes, numerics)
    ]

    def one_score_each() -> None:
        """Scores are whole numbers of at least 0, one for each image and timestep; outputs are left alone."""
        for numerics, outputs in cases:
            asked.scores(outputs, numerics)

    def repeats() -> None:
        """The same outputs give the same scores."""
        for numerics, outputs in cases:
            first, second = asked.scores(outputs, numerics), asked.scores(outputs, numerics)
            hold(np.array_equal(first, second), "two calls differ")

    def sees_no_future() -> None:
        """A score follows from the timesteps so far alone."""
        for numerics, outputs in cases:
            short = ClassOutputs(outputs.sums[:, :2], outputs.mean)
            same = np.array_equal(asked.scores(outputs, numerics)[:, :2], asked.scores(short, numerics))
            hold(same, "scores of timesteps 1 and 2 change when timestep 3 is there")

    def images_are_apart() -> None:
        """The scores of an image do not depend on other images."""
        for numerics, outputs in cases:
            alone = ClassOutputs(outputs.sums[1:2], outputs.mean)
            same = np.array_equal(asked.scores(outputs, numerics)[1:2], asked.scores(alone, numerics))
            hold(same, "an image alone has other scores than among others")

    def registers_rise() -> None:
        """Words rise with the threshold, from 0 for 0, and stand for thresholds that rise to 1."""
        grid = [k / 40 for k in range(41)]
        for numerics in FORMATS:
            for classes in CLASSES:
                words = [asked.word(threshold, classes, numerics) for threshold in grid]
                hold(words[0] == 0, f"word(0) is {words[0]}")
                hold(all(a <= b for a, b in pairwise(words)), "a larger threshold has a smaller word")
                hold(words[-1] > 0, "word(1) is 0, so no image could ever leave early")
                told = [asked.threshold(word, classes, numerics) for word in words]
                hold(told[0] == 0, f"threshold(0) is {told[0]}")
                hold(told[-1] == 1, f"threshold(word(1)) is {told[-1]}")
                hold(all(a <= b for a, b in pairwise(told)), "a larger word stands for a smaller threshold")
                again = [asked.word(threshold, classes, numerics) for threshold in told]
                hold(again == words, "word(threshold(word)) is another word")

    def more_leave_earlier() -> None:
        """With register 0 no image leaves early; a larger register never makes an image stay longer."""
        for numerics, outputs in cases:
            required = asked.required(outputs, numerics)
            last = outputs.sums.shape[1]
            hold((exit_timesteps(required, 0) == last).all(), "an image leaves early with register 0")
            full = asked.word(1.0, outputs.sums.shape[2], numerics)
            stays = [exit_timesteps(required, word) for word in range(0, full + 1, max(full // 16, 1))]
            hold(all((b <= a).all() for a, b in pairwise(stays)), "a larger register keeps an image longer")

    def counts_its_work() -> None:
        """Operations and cycles are whole numbers that do not fall with more classes or slower units."""
        for mean in (False, True):
            works = [asked.work(classes, mean) for classes in CLASSES]
            for name in (one.name for one in fields(works[0])):
                counts = [getattr(work, name) for work in works]
                hold(counts == sorted(counts), f"{name} falls with more classes: {counts}")
        cycles = [asked.cycles(classes, 1, 4) for classes in CLASSES]
        hold(cycles == sorted(cycles), f"cycles fall with more classes: {cycles}")
        hold(asked.cycles(10, 2, 4) >= asked.cycles(10, 1, 4), "cycles fall with slower classes")
        hold(asked.cycles(10, 1, 9) >= asked.cycles(10, 1, 4), "cycles fall with a slower end")

    def has_its_units() -> None:
        """What a check uses is there: units of logic for its operations, tables for its look-ups."""
        for mean in (False, True):
            work, units = asked.work(10, mean), asked.units
            for count, there, what in (
                (work.compares, units.comparators, "comparators"),
                (work.adds, units.adders, "adders"),
                (work.multiplies, units.multipliers, "multipliers"),
                (work.exp_lookups, units.exp_table, "exp_table"),
                (work.log_lookups, units.log_table, "log_table"),
            ):
                hold(not count or there, f"work counts {count} operations of {what}, units have none")

    clauses = (
        one_score_each, repeats, sees_no_future, images_are_apart, registers_rise, more_leave_earlier,
        counts_its_work, has_its_units,
    )  # fmt: skip
    return findings(clauses, origin)


def _sums(classes: int, numerics: CheckerNumerics) -> list[np.ndarray[tuple[int, ...], np.dtype[np.int64]]]:
    """Running sums of 6 images over 3 timesteps: random ones, equal ones, and as far apart as words allow."""
    rng = np.random.default_rng(classes)
    one = 1 << numerics.fraction_bits
    steps = [np.rint(rng.normal(size=(6, 3, classes)) * spread * one) for spread in (0.1, 1, 10)]
    steps.append(np.zeros((6, 3, classes)))
    far = np.full((6, 3, classes), -(2.0**36))
    far[:, :, 0] = 2.0**36
    steps.append(far)
    return [np.cumsum(step.astype(np.int64), axis=1) for step in steps]
