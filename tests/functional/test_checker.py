"""The exit checker in fixed point against float64, its registers, and what follows from a threshold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from imcsim.base.choices import Rule
from imcsim.functional import checker
from imcsim.functional.program.numerics import CheckerNumerics

RULES: tuple[Rule, ...] = ("entropy", "max_softmax", "margin")
FORMATS = st.builds(
    CheckerNumerics,
    fraction_bits=st.integers(4, 16),
    table_bits=st.sampled_from([6, 8, 12, 16, 24]),
    exp_entries=st.sampled_from([64, 256, 1024, 4096]),
    exp_range=st.sampled_from([8.0, 11.5, 16.0]),
    log_entries=st.sampled_from([16, 128, 512, 2048]),
)


def exact(z: NDArray[np.float64], rule: Rule) -> NDArray[np.float64]:
    """Entropy in nats, ``1 - p1`` or ``1 - (p1 - p2)`` of the softmax of ``[..., K]``."""
    shifted = np.exp(z - z.max(axis=-1, keepdims=True))
    p = np.sort(shifted / shifted.sum(axis=-1, keepdims=True), axis=-1)
    if rule == "entropy":
        return np.asarray(-(p * np.log(np.maximum(p, 1e-300))).sum(axis=-1))
    return np.asarray(1 - p[..., -1] if rule == "max_softmax" else 1 - p[..., -1] + p[..., -2])


def bound(classes: int, numerics: CheckerNumerics, rule: Rule) -> float:
    """The largest error that words and tables of this size can cause, in the unit of `exact`.

    A table entry stands for differences up to half a step away, which changes exp by a factor within
    ``1 +- r``; it is rounded by half of the last bit; beyond the table it is 0. Let e be the words, q their
    shares and m the mean of -z under q. The entropy ``ln E - sum q z`` changes with a word by at most
    ``(1 - z + m) / E`` in size, and E is at least the word of 1. In the mean over q that is at most
    ``1 + 2 m``, and m is at most ln K for the exact shares.
    """
    step = numerics.exp_range / numerics.exp_entries
    one = 2 ** (numerics.table_bits - 1) - 1
    r = math.exp(step / 2) - 1
    rounding = classes * 0.5 / one
    reach = numerics.exp_range - step
    tail = classes * math.exp(-reach)
    if rule != "entropy":
        # A share changes by no more than its own words do, and all of them together.
        return 2 * (2 * r + rounding + tail)
    m = (1 + r) / (1 - r) * math.log(classes) + rounding * numerics.exp_range
    words = r / (1 - r) * (1 + 2 * m) + rounding * (1 + numerics.exp_range + m) + tail * (1 + reach + m)
    octaves = math.log2(classes * 2**numerics.table_bits)
    logarithm = 0.5 / numerics.log_entries + (2 + octaves) * 0.5 / 2**numerics.fraction_bits
    return words + logarithm


@st.composite
def outputs(draw: st.DrawFn) -> tuple[CheckerNumerics, NDArray[np.int64]]:
    numerics = draw(FORMATS)
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    classes = draw(st.sampled_from([2, 3, 10, 100, 200]))
    spread = draw(st.sampled_from([0.0, 0.1, 1.0, 4.0, 30.0]))
    values = rng.normal(size=(5, 3, classes)) * spread * 2**numerics.fraction_bits
    return numerics, np.rint(values).astype(np.int64)


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=80, deadline=None)
@given(case=outputs())
def test_fixed_point_stays_within_the_error_of_its_tables(
    rule: Rule, case: tuple[CheckerNumerics, NDArray[np.int64]]
) -> None:
    numerics, values = case
    a, b = checker.uncertainty(values, rule, checker.tables(numerics))
    assert a.shape == b.shape == values.shape[:2]
    assert (a >= 0).all()
    assert (b > 0).all()
    found = a / b / 2**numerics.fraction_bits
    wanted = exact(values / 2**numerics.fraction_bits, rule)
    assert np.abs(found - wanted).max() <= bound(values.shape[2], numerics, rule)


def test_default_tables_are_good_to_a_hundredth() -> None:
    """The bound is worth something: with the default tables it is below 0.025 of the normalised entropy."""
    numerics = CheckerNumerics()
    assert bound(10, numerics, "entropy") / math.log(10) < 0.025
    values = np.rint(np.random.default_rng(1).normal(size=(2000, 1, 10)) * 2 * 2**12).astype(np.int64)
    a, b = checker.uncertainty(values, "entropy", checker.tables(numerics))
    error = np.abs(a / b / 2**12 - exact(values / 2**12, "entropy")) / math.log(10)
    assert error.max() < 0.004
    assert error.mean() < 0.001


@pytest.mark.parametrize("rule", RULES)
def test_decisions_are_those_of_float64(rule: Rule) -> None:
    """Wherever the exact value is further from the threshold than tables and register may err."""
    numerics = CheckerNumerics()
    rng = np.random.default_rng(2)
    values = np.rint(rng.normal(size=(500, 4, 10)) * rng.uniform(0.2, 5, (500, 1, 1)) * 2**12).astype(
        np.int64
    )
    required = checker.required_register(*checker.uncertainty(values, rule, checker.tables(numerics)))
    unit = math.log(10) if rule == "entropy" else 1.0
    normal = exact(values / 2**12, rule) / unit
    slack = bound(10, numerics, rule) / unit + 2.0**-12
    for threshold in (0.05, 0.1, 0.3, 0.5, 0.9):
        leaves = required <= checker.register(threshold, rule, 10, numerics)
        sure = np.abs(normal - threshold) > slack
        assert sure.mean() > 0.5
        assert np.array_equal(leaves[sure], (normal < threshold)[sure])


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("entropy", math.log(4)), ("max_softmax", 0.75), ("margin", 1.0)],
)
def test_equal_classes_are_most_uncertain(rule: Rule, expected: float) -> None:
    a, b = checker.uncertainty(np.full((1, 1, 4), 77), rule, checker.tables(CheckerNumerics()))
    assert a[0, 0] / b[0, 0] / 2**12 == pytest.approx(expected, abs=0.002)


@pytest.mark.parametrize("rule", RULES)
def test_a_clear_winner_is_certain_and_far_classes_do_not_overflow(rule: Rule) -> None:
    values = np.array([[[2**37, -(2**37), 0, 5]]])
    a, b = checker.uncertainty(values, rule, checker.tables(CheckerNumerics()))
    assert a[0, 0] <= b[0, 0] * 4, "at most four counts of 2**-12"


def test_two_classes_by_hand() -> None:
    """Logits 1 and 0: p = 0.7311, 0.2689; entropy 0.5822, 1 - p1 = 0.2689, 1 - (p1 - p2) = 0.5379."""
    for rule, expected in zip(RULES, (0.5822, 0.2689, 0.5379), strict=True):
        a, b = checker.uncertainty(np.array([[[2**12, 0]]]), rule, checker.tables(CheckerNumerics()))
        assert a[0, 0] / b[0, 0] / 2**12 == pytest.approx(expected, abs=0.002)


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(RULES), st.integers(2, 1000), st.integers(4, 16), st.floats(0, 1), st.floats(0, 1))
def test_register_round_trip(rule: Rule, classes: int, bits: int, one: float, other: float) -> None:
    """A threshold survives its register but for half a count, in order, from 0 to 0."""
    numerics = CheckerNumerics(fraction_bits=bits)
    word = checker.register(one, rule, classes, numerics)
    full = checker.scale(rule, classes, numerics)
    assert abs(word - one * full) <= 0.5
    assert checker.register(word / full, rule, classes, numerics) == word
    assert (one <= other) <= (word <= checker.register(other, rule, classes, numerics))
    assert checker.register(0.0, rule, classes, numerics) == 0


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**12), st.integers(1, 10**9))
def test_required_register_is_the_smallest_that_lets_go(a: int, b: int) -> None:
    needed = int(checker.required_register(np.array([a]), np.array([b]))[0])
    assert a < needed * b
    assert needed == 0 or not a < (needed - 1) * b


@settings(max_examples=60, deadline=None)
@given(outputs(), st.sampled_from(RULES), st.integers(0, 2**17), st.integers(0, 2**17))
def test_exit_timesteps(
    case: tuple[CheckerNumerics, NDArray[np.int64]], rule: Rule, first: int, second: int
) -> None:
    """Law 6 at its root: register 0 never leaves early, and a larger one never leaves later."""
    numerics, values = case
    required = checker.required_register(*checker.uncertainty(values, rule, checker.tables(numerics)))
    before = required.copy()
    low, high = sorted((first, second))
    at_low, at_high = (checker.exit_timesteps(required, word) for word in (low, high))
    assert (at_high <= at_low).all()
    assert checker.exit_timesteps(required, 0).tolist() == [3] * len(values)
    assert checker.exit_timesteps(required, int(required.max())).tolist() == [1] * len(values)
    assert np.array_equal(required, before), "the caller's array is left alone"
    for stay, needed in zip(at_low, required, strict=True):
        good = [t for t in range(1, 4) if needed[t - 1] <= low]
        assert stay == (good[0] if good else 3)


def test_threshold_one_leaves_at_once() -> None:
    """H < 1 holds as soon as classes differ."""
    numerics = CheckerNumerics()
    values = np.array([[[4000, 0, 0]] * 2])
    required = checker.required_register(*checker.uncertainty(values, "entropy", checker.tables(numerics)))
    word = checker.register(1.0, "entropy", 3, numerics)
    assert checker.exit_timesteps(required, word)[0] == 1


def test_sum_and_mean() -> None:
    """The mean is the sum times a stored 1/t of 16 bits, rounded to one count."""
    values = np.random.default_rng(3).integers(-(2**20), 2**20, (20, 9, 5))
    total = np.cumsum(values, axis=1)
    assert np.array_equal(checker.accumulate(values, "sum"), total)
    mean = checker.accumulate(values, "mean")
    steps = np.arange(1, 10)[None, :, None]
    assert np.array_equal(mean[:, 0], values[:, 0])
    assert np.array_equal(mean[:, [1, 3, 7]], np.floor(total / steps + 0.5)[:, [1, 3, 7]]), (
        "1/2, 1/4, 1/8 are exact"
    )
    assert (np.abs(mean - total / steps) <= 0.5 + np.abs(total) * 2.0**-17).all()


def test_mean_has_room_for_the_largest_outputs() -> None:
    """37-bit class outputs over 256 timesteps, as the program promises."""
    values = np.full((1, 256, 2), 2**37 - 1)
    values[..., 1] *= -1
    mean = checker.accumulate(values, "mean")
    assert (np.abs(mean[..., 0] / (2.0**37 - 1) - 1) < 256 * 2.0**-17).all()
    assert (mean[..., 1] < 0).all()


def test_predictions() -> None:
    """The largest running sum, the lower class on a tie."""
    values = np.array([[[1, 3, 2], [5, 0, 0], [0, 3, 4]]])
    # Sums: 1 3 2; 6 3 2; 6 6 6.
    assert checker.predictions(values).tolist() == [[1, 0, 0]]
    rng = np.random.default_rng(4)
    many = rng.integers(-5, 6, (50, 4, 3))
    for n, t in np.ndindex(50, 4):
        total = many[n, : t + 1].sum(axis=0).tolist()
        assert checker.predictions(many)[n, t] == total.index(max(total))


def test_tables() -> None:
    """Sizes, ends, and words that fit their width."""
    numerics = CheckerNumerics(fraction_bits=10, table_bits=8, exp_entries=64, exp_range=8.0, log_entries=32)
    table = checker.tables(numerics)
    assert (len(table.exp), len(table.log)) == (64, 32)
    assert table.one == table.exp[0] == 127
    assert (np.diff(table.exp) <= 0).all()
    assert table.exp[8] == round(127 * math.exp(-1))
    assert (np.diff(table.log) > 0).all()
    assert table.log[0] == round(1024 * math.log(1 + 0.5 / 32))
    assert table.log.max() < 1024 * math.log(2)
