"""Exit rules in fixed point against float64, their registers, and what a check of each does and costs."""

from __future__ import annotations

import math
from dataclasses import astuple
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import imcsim.hardware
from imcsim.base.choices import Rule
from imcsim.exits import OWN, named
from imcsim.exits.entropy import Entropy
from imcsim.exits.max_softmax import MaxSoftmax
from imcsim.exits.numerics import CheckerNumerics
from imcsim.exits.outputs import ClassOutputs, exit_timesteps, predictions
from imcsim.exits.softmax import SoftmaxRule, tables
from imcsim.hardware.events import Event

RULES: tuple[Rule, ...] = ("entropy", "max_softmax", "margin")
SOFTMAX: dict[str, SoftmaxRule] = {"entropy": Entropy(), "max_softmax": MaxSoftmax()}
FORMATS = st.builds(
    CheckerNumerics,
    fraction_bits=st.integers(4, 16),
    table_bits=st.sampled_from([6, 8, 12, 16, 24]),
    exp_entries=st.sampled_from([64, 256, 1024, 4096]),
    exp_range=st.sampled_from([8.0, 11.5, 16.0]),
    log_entries=st.sampled_from([16, 128, 512, 2048]),
)


def exact(z: NDArray[np.float64], rule: str) -> NDArray[np.float64]:
    """Entropy in nats or ``1 - p1`` of the softmax of ``[..., K]``; ``1 - (p1 - p2)`` of that of the leading
    two.
    """
    if rule == "margin":
        z = np.sort(z, axis=-1)[..., -2:]
    shifted = np.exp(z - z.max(axis=-1, keepdims=True))
    p = np.sort(shifted / shifted.sum(axis=-1, keepdims=True), axis=-1)
    if rule == "entropy":
        return np.asarray(-(p * np.log(np.maximum(p, 1e-300))).sum(axis=-1))
    # Without the cancellation of 1 - p: certain outputs are told apart to the last bit.
    return np.asarray(p[..., :-1].sum(axis=-1) if rule == "max_softmax" else 2 * p[..., 0])


def bound(classes: int, numerics: CheckerNumerics, rule: str) -> float:
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


@pytest.mark.parametrize("rule", SOFTMAX)
@settings(max_examples=80, deadline=None)
@given(case=outputs())
def test_fixed_point_stays_within_the_error_of_its_tables(
    rule: str, case: tuple[CheckerNumerics, NDArray[np.int64]]
) -> None:
    numerics, values = case
    a, b = SOFTMAX[rule].fraction(values, tables(numerics))
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
    a, b = Entropy().fraction(values, tables(numerics))
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
    required = named(rule).required(ClassOutputs(values, mean=False), numerics)
    unit = math.log(10) if rule == "entropy" else 1.0
    normal = exact(values / 2**12, rule) / unit
    # The lead of the margin is exact, and its register holds a count of 2**-12 nats: h moves by h / 2 of it.
    slack = 2.0**-13 if rule == "margin" else bound(10, numerics, rule) / unit + 2.0**-12
    for threshold in (0.05, 0.1, 0.3, 0.5, 0.9):
        leaves = required <= named(rule).word(threshold, 10, numerics)
        sure = np.abs(normal - threshold) > slack
        assert sure.mean() > 0.5
        assert np.array_equal(leaves[sure], (normal < threshold)[sure])


@pytest.mark.parametrize(
    ("rule", "expected"), [("entropy", math.log(4)), ("max_softmax", 0.75), ("margin", 16.0)]
)
def test_equal_classes_are_most_uncertain(rule: Rule, expected: float) -> None:
    """The margin's register counts from the largest lead, 16, down."""
    scores = named(rule).scores(ClassOutputs(np.full((1, 1, 4), 77), mean=False), CheckerNumerics())
    assert scores[0, 0] / 2**12 == pytest.approx(expected, abs=0.002)


@pytest.mark.parametrize("rule", RULES)
def test_a_clear_winner_is_certain_and_far_classes_do_not_overflow(rule: Rule) -> None:
    values = np.array([[[2**37, -(2**37), 0, 5]]])
    scores = named(rule).scores(ClassOutputs(values, mean=False), CheckerNumerics())
    assert 0 <= scores[0, 0] <= 4, "at most four counts of 2**-12"


def test_two_classes_by_hand() -> None:
    """Logits 1 and 0: p = 0.7311, 0.2689; entropy 0.5822, 1 - p1 = 0.2689, 1 - (p1 - p2) = 0.5379."""
    values, numerics = ClassOutputs(np.array([[[2**12, 0]]]), mean=False), CheckerNumerics()
    for rule, unit, expected in zip(RULES, (math.log(2), 1, 1), (0.5822, 0.2689, 0.5379), strict=True):
        score = int(named(rule).scores(values, numerics)[0, 0])
        assert named(rule).threshold(score, 2, numerics) * unit == pytest.approx(expected, abs=0.002)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(RULES),
    st.integers(2, 1000),
    st.integers(4, 16),
    st.sampled_from([1.0, 8.0, 16.0, 64.0]),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_register_round_trip(
    rule: Rule, classes: int, bits: int, reach: float, one: float, other: float
) -> None:
    """A threshold survives its register but for half a count, in order, from 0 to 0 and from 1 to 1."""
    numerics = CheckerNumerics(fraction_bits=bits, exp_range=reach)
    about, exit_rule = (classes, numerics), named(rule)
    word, full = exit_rule.word(one, *about), exit_rule.word(1.0, *about)
    if rule != "margin":
        assert abs(word - one * exit_rule.scale(*about)) <= 0.5
    for some in (word, full // 2, full // 1000, 1):
        assert exit_rule.word(exit_rule.threshold(some, *about), *about) == some
    if one <= other:
        assert word <= exit_rule.word(other, *about)
    assert exit_rule.word(0.0, *about) == 0
    assert exit_rule.threshold(0, *about) == 0.0
    assert exit_rule.threshold(full, *about) == 1.0
    assert 0 <= exit_rule.threshold(word, *about) <= 1


@settings(max_examples=60, deadline=None)
@given(st.floats(1e-4, 1.0), st.integers(4, 16))
def test_the_margin_register_asks_for_the_lead_of_two_classes(threshold: float, bits: int) -> None:
    """A lead of g nats gives the softmax of two classes 1 - (p1 - p2) = 2 / (exp(g) + 1), within a count."""
    rule, numerics = named("margin"), CheckerNumerics(fraction_bits=bits)
    word = rule.word(threshold, 10, numerics)
    asked = 16.0 - word / 2**bits
    assert abs(asked - math.log(2 / threshold - 1)) <= 2.0 ** -(bits + 1) + 1e-9


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 16 << 8), st.booleans())
def test_margin_by_fractions(seed: int, word: int, mean: bool) -> None:
    """An image leaves where its two best classes are further apart than the register says: exactly, also
    where running means are no whole numbers.
    """
    rng = np.random.default_rng(seed)
    values = rng.integers(-(2**11), 2**11, (4, 3, rng.integers(2, 6)))
    numerics = CheckerNumerics(fraction_bits=8)
    required = named("margin").required(ClassOutputs.of(values, "mean" if mean else "sum"), numerics)
    asked = Fraction((16 << 8) - word, 256)
    for n, t in np.ndindex(4, 3):
        ranked = sorted(Fraction(int(v), 256) for v in values[n, : t + 1].sum(axis=0))
        lead = (ranked[-1] - ranked[-2]) / (t + 1 if mean else 1)
        assert (required[n, t] <= word) == (word > 0 and lead > asked)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**12), st.integers(1, 10**9))
def test_required_register_is_the_smallest_that_lets_go(a: int, b: int) -> None:
    class Given(MaxSoftmax):
        def fraction(self, accumulated, table):  # type: ignore[no-untyped-def]
            return np.array([[a]]), np.array([[b]])

    needed = int(
        Given().required(ClassOutputs(np.zeros((1, 1, 2), np.int64), mean=False), CheckerNumerics())[0, 0]
    )
    assert a < needed * b
    assert needed == 0 or not a < (needed - 1) * b


@settings(max_examples=60, deadline=None)
@given(outputs(), st.sampled_from(RULES), st.integers(0, 2**17), st.integers(0, 2**17))
def test_exit_timesteps(
    case: tuple[CheckerNumerics, NDArray[np.int64]], rule: Rule, first: int, second: int
) -> None:
    """Law 6 at its root: register 0 never leaves early, and a larger one never leaves later."""
    numerics, values = case
    required = named(rule).required(ClassOutputs(values, mean=False), numerics)
    before = required.copy()
    low, high = sorted((first, second))
    at_low, at_high = (exit_timesteps(required, word) for word in (low, high))
    assert (at_high <= at_low).all()
    assert exit_timesteps(required, 0).tolist() == [3] * len(values)
    assert exit_timesteps(required, int(required.max())).tolist() == [1] * len(values)
    assert np.array_equal(required, before), "the caller's array is left alone"
    for stay, needed in zip(at_low, required, strict=True):
        good = [t for t in range(1, 4) if needed[t - 1] <= low]
        assert stay == (good[0] if good else 3)


def test_threshold_one_leaves_at_once() -> None:
    """H < 1 holds as soon as classes differ."""
    numerics = CheckerNumerics()
    values = np.array([[[4000, 0, 0]] * 2])
    required = named("entropy").required(ClassOutputs(values, mean=False), numerics)
    word = named("entropy").word(1.0, 3, numerics)
    assert exit_timesteps(required, word)[0] == 1


def test_sum_and_mean() -> None:
    """The mean is the sum times a stored 1/t of 16 bits, rounded to one count."""
    values = np.random.default_rng(3).integers(-(2**20), 2**20, (20, 9, 5))
    total = np.cumsum(values, axis=1)
    assert np.array_equal(ClassOutputs.of(values, "sum").accumulated, total)
    mean = ClassOutputs.of(values, "mean").accumulated
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
    mean = ClassOutputs.of(values, "mean").accumulated
    assert (np.abs(mean[..., 0] / (2.0**37 - 1) - 1) < 256 * 2.0**-17).all()
    assert (mean[..., 1] < 0).all()


def test_predictions() -> None:
    """The largest running sum, the lower class on a tie."""
    values = np.array([[[1, 3, 2], [5, 0, 0], [0, 3, 4]]])
    # Sums: 1 3 2; 6 3 2; 6 6 6.
    assert predictions(values).tolist() == [[1, 0, 0]]
    rng = np.random.default_rng(4)
    many = rng.integers(-5, 6, (50, 4, 3))
    for n, t in np.ndindex(50, 4):
        total = many[n, : t + 1].sum(axis=0).tolist()
        assert predictions(many)[n, t] == total.index(max(total))


def test_tables() -> None:
    """Sizes, ends, and words that fit their width."""
    numerics = CheckerNumerics(fraction_bits=10, table_bits=8, exp_entries=64, exp_range=8.0, log_entries=32)
    table = tables(numerics)
    assert (len(table.exp), len(table.log)) == (64, 32)
    assert table.one == table.exp[0] == 127
    assert (np.diff(table.exp) <= 0).all()
    assert table.exp[8] == round(127 * math.exp(-1))
    assert (np.diff(table.log) > 0).all()
    assert table.log[0] == round(1024 * math.log(1 + 0.5 / 32))
    assert table.log.max() < 1024 * math.log(2)


# What a check costs

WORK = {
    "entropy": (lambda k, mean: (k + 1, 3 * k + 1, k + 2 + mean * k, k, 1)),
    "max_softmax": (lambda k, mean: (k + 1, 2 * k + 1, 1 + mean * k, k, 0)),
    "margin": (lambda k, mean: (2 * k + 1, 1, 0, 0, 0)),
}
"""Comparisons, additions, products, looked up exponentials and logarithms of a check of K classes."""


@pytest.mark.parametrize("rule", OWN)
@pytest.mark.parametrize("classes", [2, 10, 100])
@pytest.mark.parametrize("mean", [True, False])
def test_a_check_does_what_its_rule_needs(rule: str, classes: int, mean: bool) -> None:
    assert astuple(named(rule).work(classes, mean)) == WORK[rule](classes, mean)


@pytest.mark.parametrize(
    ("rule", "passes", "steps"), [("entropy", 2, 4), ("max_softmax", 2, 2), ("margin", 1, 2)]
)
def test_cycles_of_a_check(rule: str, passes: int, steps: int) -> None:
    """So many passes over the classes, then so many of the four last steps of an entropy check."""
    assert named(rule).cycles(10, 1, 4) == passes * 10 + steps
    assert named(rule).cycles(7, 3, 8) == passes * 21 + 2 * steps
    assert named(rule).cycles(2, 1, 1) == passes * 2 + 1, "a step takes at least a part of a cycle"


def test_a_check_on_the_default_chip_by_hand() -> None:
    """Prices of `dtsnn_32nm`: Aladdin's at 40 nm (product of 16 x 16 bits 12.68 / 4, addition 0.21,
    comparison 0.0295 pJ; 1587.5, 278 and 71 um2), 0.66065 times the energy and 0.60054 times the area at
    32 nm (Stillmaker and Baas 2017); tables of 1024 and 512 words of 16 bits. 10 classes on running means.
    """
    config = imcsim.hardware.load("dtsnn_32nm").config
    scale, shrink, look = 0.660648, 0.600537, config.checker.figure("lookup_energy_pj", config)
    assert look == pytest.approx(config.sram.read_pj(1024 * 16, 16, config)), "a word of 2 KB"
    whole = 1587.5 + 2 * 278 + 71
    expected = {
        "entropy": (scale * (11 * 0.0295 + 31 * 0.21 + 22 * 3.17) + 11 * look, shrink * whole),
        "max_softmax": (scale * (11 * 0.0295 + 21 * 0.21 + 11 * 3.17) + 10 * look, shrink * whole),
        "margin": (scale * (21 * 0.0295 + 0.21), shrink * (278 + 2 * 71)),
    }
    for rule, (energy_pj, logic_um2) in expected.items():
        checker = config.with_exit_rule(rule).checker
        charges = checker.charges(config)
        found = sum(charges[event] * count for event, count in checker.events(10, mean=True, tiles=0).items())
        assert found == pytest.approx(energy_pj, rel=1e-5)
        tables_bits = {"entropy": 1536, "max_softmax": 1024, "margin": 0}[rule] * 16
        tables_um2 = config.sram.area_um2(tables_bits, 16, config)
        assert (tables_um2 == 0) == (rule == "margin")
        assert checker.area_um2(config) == pytest.approx(logic_um2 + tables_um2, rel=1e-5)
        assert checker.leakage_uw(config) == pytest.approx(
            config.technology.logic_leakage_uw(logic_um2, config)
            + config.sram.leakage_uw(tables_bits, config),
            rel=1e-5,
        )
    assert Event.CHECKER_LOG_LOOKUPS not in config.with_exit_rule("max_softmax").checker.events(
        10, mean=True, tiles=0
    )
    assert config.checker.rule is OWN["entropy"], "the chip's own config is left alone"
