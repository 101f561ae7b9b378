"""Errors of cells and converters: their laws, their statistics, and the section that asks for it."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import vgg_like

import imcsim.hardware
from imcsim.base.choices import Distribution, Encoding
from imcsim.base.errors import ImcsimError
from imcsim.base.nonideal import ConverterErrors, Drift, Stuck, Variation
from imcsim.diffs.chips import diff_chips
from imcsim.functional.nonideal import DrawnChip, programming
from imcsim.functional.nonideal import read_noise as reads
from imcsim.functional.nonideal.columns import lay_columns
from imcsim.functional.nonideal.converter import adc_errors, codes, noise_steps
from imcsim.functional.nonideal.draws import Purpose, generator
from imcsim.functional.nonideal.on_off import digital_offset, level_siemens, off_level
from imcsim.functional.nonideal.programming import LEVEL_FRACTION_BITS, programmed
from imcsim.functional.nonideal.variation import varied
from imcsim.hardware.config import Hardware
from imcsim.hardware.schema import json_schema
from imcsim.mapping import place
from imcsim.network.cells import to_cells
from imcsim.simulation.cache import value_numerics
from imcsim.simulation.chip import nonideal, numerics
from imcsim.sweeps.rows import _recorded

CHIP = DrawnChip(seed=7, chip=0, largest_level=15, columns=64, columns_per_adc=8)
OFF = 15 / 9
"""What a cell at level 0 conducts where R_off is ten times R_on."""

GOLDEN_UNIFORM = [0.5764677373746127, 0.5625266992617208, 0.9075115746084731]
GOLDEN_WORDS = [1161594909, 436902292, 1716682072, 1861188860]

HASHES = {
    "dtsnn_32nm": "05251f20e6b9f673283abef772ba479e9409be383902ced540a119adebf556a3",
    "isaac_32nm": "ab6348f6d95510670d1de23a9739e86cdaaba3e722287dd0ea31003bedbee433",
    "spikesim_65nm": "d4d765d9db2dc47ef66287ef0095942d2584bccf63db9d4c5295fdb830f26a9e",
}


def levels_of(rows: int, columns: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 16, (rows, columns)).astype(np.int16)


def chip_with(**errors: Any) -> DrawnChip:
    return replace(CHIP, **errors)


def spread(sigma: float | tuple[float, ...], kind: Distribution = "lognormal") -> Variation:
    return Variation(kind=kind, sigma=sigma if isinstance(sigma, tuple) else (sigma,) * 16)


def near(found: float, expected: float, sigmas: float, standard_error: float) -> bool:
    return abs(found - expected) <= sigmas * standard_error


# From levels to cells


@pytest.mark.parametrize(
    "chip",
    [
        CHIP,
        chip_with(
            variation=spread(0.0),
            stuck=Stuck(on_rate=0, off_rate=0),
            drift=Drift(exponent=0.05, exponent_sigma=0.01, time_s=10.0, reference_time_s=10.0),
        ),
        chip_with(drift=Drift(exponent=0.0, exponent_sigma=0.0, time_s=1e6)),
        chip_with(off_level=OFF),  # a reference column of ideal cells
    ],
)
def test_without_errors_cells_are_their_levels_to_the_bit(chip: DrawnChip) -> None:
    levels = levels_of(100, 96)
    cells = programmed(levels, 2, chip, 3)
    assert cells.levels().dtype == np.float32
    assert np.array_equal(cells.levels(), levels)
    above = cells.row_levels() / 2**LEVEL_FRACTION_BITS - levels.sum(axis=1)
    columns = levels.shape[1] + (cells.columns.crossbars if chip.referenced else 0)
    assert np.allclose(above, chip.off_level * columns, atol=2**-LEVEL_FRACTION_BITS)


@pytest.mark.parametrize("kind", ["normal", "lognormal"])
@pytest.mark.parametrize("off", [0.0, OFF])
def test_the_variance_of_a_dot_product_is_its_closed_form(kind: Distribution, off: float) -> None:
    """``Var sum_i G_i = sum_i (sigma(l_i) G_i)^2`` over the driven rows, and the reference's part."""
    sigma = tuple(0.05 + 0.01 * level for level in range(16))
    driven = np.array([0, 3, 15, 7, 7, 1, 12, 0, 9, 15])
    columns = 20_000
    levels = np.repeat(driven[:, None], columns, axis=1).astype(np.int16)
    # One column a crossbar: then no two columns have the same reference.
    chip = chip_with(variation=spread(sigma, kind), off_level=off, columns=1, columns_per_adc=1)
    sums = programmed(levels, 1, chip, 0).levels().astype(np.float64).sum(axis=0)
    parts = [(sigma[level] * (level + off)) ** 2 + (sigma[0] * off) ** 2 for level in driven]
    variance = sum(parts)
    assert near(sums.mean(), driven.sum(), 4, math.sqrt(variance / columns))
    assert near(sums.var(), variance, 5, variance * math.sqrt(2 / columns))


def test_columns_of_a_crossbar_share_the_errors_of_its_reference() -> None:
    chip = chip_with(variation=spread((0.2, *[0.0] * 15)), off_level=OFF, columns=4, columns_per_adc=2)
    levels = np.full((50, 12), 5, np.int16)  # sigma 0 at level 5: only the reference varies
    seen = programmed(levels, 2, chip, 0).levels()  # 6 channels of 2 slices, two channels a crossbar
    assert np.all(seen[:, [0, 1, 6, 7]] == seen[:, :1])
    assert np.all(seen[:, 0] != seen[:, 2])


@pytest.mark.parametrize("kind", ["normal", "lognormal"])
def test_sigma_is_the_standard_deviation_over_the_mean(kind: Distribution) -> None:
    gaussian = np.random.default_rng(5).standard_normal(400_000)
    found = varied(np.full(400_000, 3.0), np.zeros(400_000, np.int16), gaussian, kind, [0.2])
    assert found.mean() == pytest.approx(3, rel=2e-3)
    assert found.std() / found.mean() == pytest.approx(0.2, rel=5e-3)
    assert found.min() > 0
    logs = np.log(found)
    skewness = float(np.mean((logs - logs.mean()) ** 3) / logs.std() ** 3)
    assert (abs(skewness) < 0.02) == (kind == "lognormal")


def test_conductances_are_never_negative() -> None:
    found = varied(np.full(1000, 2.0), np.zeros(1000, np.int16), np.linspace(-9, 9, 1000), "normal", [0.5])
    assert found.min() == 0
    assert found.max() > 2


def test_as_many_cells_are_stuck_as_the_rates_say() -> None:
    levels = np.full((1000, 1000), 6, np.int16)
    for on, off in ((0.0904, 0.0175), (0.0, 0.001), (0.4, 0.6)):
        seen = programmed(levels, 1, chip_with(stuck=Stuck(on_rate=on, off_rate=off)), 2).levels()
        assert set(np.unique(seen)) <= {0.0, 6.0, 15.0}
        for rate, value in ((on, 15), (off, 0)):
            count = int((seen == value).sum())
            assert near(count, 1e6 * rate, 4, math.sqrt(1e6 * rate * (1 - rate)))
            # By position: no row or column has more of them than chance allows.
            for axis in (0, 1):
                lines = (seen == value).sum(axis=axis)
                assert np.abs(lines - 1000 * rate).max() <= 5.5 * math.sqrt(1000 * rate * (1 - rate)) + 1


def test_a_higher_rate_keeps_the_cells_that_are_stuck() -> None:
    levels = levels_of(200, 200)
    few, many = (
        programmed(levels, 1, chip_with(stuck=Stuck(on_rate=r, off_rate=r)), 2).levels() for r in (0.02, 0.05)
    )
    changed = few != levels
    assert changed.sum() < (many != levels).sum()
    assert np.array_equal(few[changed], many[changed])


def test_stuck_cells_vary_and_drift_like_others() -> None:
    chip = chip_with(
        stuck=Stuck(on_rate=1.0, off_rate=0.0),
        variation=spread(0.1),
        drift=Drift(exponent=0.1, exponent_sigma=0.0, time_s=100.0),
    )
    seen = programmed(levels_of(100, 100), 1, chip, 0).levels()
    assert seen.mean() == pytest.approx(15 * 100**-0.1, rel=5e-3)
    assert seen.std() / seen.mean() == pytest.approx(0.1, rel=0.05)


def test_drift_is_a_power_law() -> None:
    levels = np.full((300, 300), 10, np.int16)
    fixed = programmed(
        levels,
        1,
        chip_with(drift=Drift(exponent=0.05, exponent_sigma=0.0, time_s=1e4, reference_time_s=10.0)),
        0,
    ).levels()
    assert np.allclose(fixed, 10 * 1000**-0.05, rtol=1e-6)
    day, month = (
        np.log(
            programmed(
                levels, 1, chip_with(drift=Drift(exponent=0.05, exponent_sigma=0.02, time_s=t)), 0
            ).conductance
            / 10
        )
        for t in (86_400.0, 2_592_000.0)
    )
    nu = -day / math.log(86_400)
    assert near(nu.mean(), 0.05, 4, 0.02 / 300)
    assert near(nu.std(), 0.02, 4, 0.02 / 300 / math.sqrt(2))
    assert np.allclose(day / math.log(86_400), month / math.log(2_592_000))  # the same cells, later


def test_programming_follows_the_order_of_effects() -> None:
    """Stuck first, then variation of what the cell then is, then drift of all of it, off current included."""
    levels = levels_of(40, 30)
    chip = chip_with(
        stuck=Stuck(on_rate=0.1, off_rate=0.1),
        variation=spread(tuple(0.01 * k for k in range(16)), "normal"),
        drift=Drift(exponent=0.03, exponent_sigma=0.01, time_s=1e3),
        off_level=OFF,
        reference_column=False,
        chip=4,
    )
    shape = levels.shape
    uniform = generator(7, 4, 9, Purpose.STUCK).random(shape)
    z = generator(7, 4, 9, Purpose.VARIATION).standard_normal(shape, np.float32).astype(float)
    y = generator(7, 4, 9, Purpose.DRIFT).standard_normal(shape, np.float32).astype(float)
    expected = np.empty(shape)
    for at in np.ndindex(shape):
        level = 15 if uniform[at] < 0.1 else 0 if uniform[at] >= 0.9 else levels[at]
        expected[at] = (level + OFF) * max(1 + 0.01 * level * z[at], 0) * 1000 ** -(0.03 + 0.01 * y[at])
    cells = programmed(levels, 1, chip, 9)
    assert cells.reference is None
    assert np.allclose(cells.conductance, expected, rtol=1e-12)
    counted = expected.sum(axis=1) * 2**LEVEL_FRACTION_BITS
    assert np.abs(cells.row_levels() - counted).max() <= 0.51


def test_cells_do_not_depend_on_how_many_are_programmed_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    chip = chip_with(
        stuck=Stuck(on_rate=0.1, off_rate=0.1),
        variation=spread(0.2),
        drift=Drift(exponent=0.1, exponent_sigma=0.1, time_s=9.0),
        off_level=OFF,
    )
    levels = levels_of(33, 21)
    whole = programmed(levels, 3, chip, 0)
    monkeypatch.setattr(programming, "CELLS_AT_A_TIME", 64)
    pieces = programmed(levels, 3, chip, 0)
    assert np.array_equal(pieces.conductance, whole.conductance)
    assert whole.reference is not None
    assert np.array_equal(pieces.reference, whole.reference)


def test_energy_and_noise_count_the_reference_column() -> None:
    chip = chip_with(off_level=OFF, variation=spread(0.2), columns=8)
    levels = levels_of(20, 32)
    cells = programmed(levels, 2, chip, 0)
    assert cells.reference is not None
    assert cells.reference.shape == (20, 4)
    total = cells.conductance.sum(axis=1) + cells.reference.sum(axis=1)
    assert np.abs(cells.row_levels() - total * 4096).max() <= 0.51
    column = 17  # slice 1 of channel 1, on crossbar 0
    assert cells.columns.crossbar[column] == 0
    expected = cells.conductance[:, column] ** 2 + cells.reference[:, 0] ** 2
    assert np.allclose(cells.squares()[:, column], expected, rtol=1e-6)


# Finite on/off ratio


def test_the_off_level_follows_the_resistances() -> None:
    on, off = 1 / 20_000, 1 / 200_000
    assert off_level(20_000, 200_000, 15) == pytest.approx(off / ((on - off) / 15))
    assert level_siemens(20_000, 200_000, 15) == pytest.approx((on - off) / 15)
    # All levels together: G(l) = (l + r) step, from G_off to G_on.
    step, r = level_siemens(20_000, 200_000, 15), off_level(20_000, 200_000, 15)
    assert r * step == pytest.approx(off)
    assert (15 + r) * step == pytest.approx(on)


@pytest.mark.parametrize("encoding", ["offset", "differential", "twos_complement"])
def test_what_stays_of_the_off_current_without_a_reference_column(encoding: Encoding) -> None:
    weight = np.random.default_rng(1).integers(-127, 128, (5, 40))
    columns = to_cells(weight, 8, 4, encoding)
    levels = columns.levels.reshape(-1, 40).T
    chip = chip_with(off_level=OFF, reference_column=False)
    seen = programmed(levels, len(columns.factor), chip, 0).levels().reshape(40, -1, 5)
    offset = digital_offset(columns.offset, columns.factor, OFF)
    read = np.einsum("rsc,s->c", seen.astype(float), columns.factor) + offset * 40
    left = (read - weight.sum(axis=1)) / 40
    assert np.allclose(left, left[0], atol=1e-4)
    match encoding:
        case "differential":
            assert abs(left[0]) < 1e-4
        case "offset":
            assert abs(left[0]) <= 0.5
            assert left[0] == pytest.approx(OFF * 17 - round(OFF * 17), abs=1e-4)
        case "twos_complement":
            assert left[0] == pytest.approx(OFF * (1 + 16 - 128), abs=1e-3)
    assert digital_offset(columns.offset, columns.factor, 0.0) == columns.offset


# One chip, many chips


def test_a_chip_is_the_same_whenever_it_is_drawn() -> None:
    chip = chip_with(
        variation=spread(0.2),
        stuck=Stuck(on_rate=0.01, off_rate=0.01),
        drift=Drift(exponent=0.01, exponent_sigma=0.01, time_s=9.0),
        off_level=OFF,
    )
    levels = levels_of(64, 64)
    forward = [programmed(levels, 2, chip, layer).levels() for layer in range(3)]
    backward = [programmed(levels, 2, chip, layer).levels() for layer in (2, 1, 0)][::-1]
    assert all(np.array_equal(a, b) for a, b in zip(forward, backward, strict=True))
    others = [
        forward[1],
        programmed(levels, 2, replace(chip, chip=1), 0).levels(),
        programmed(levels, 2, replace(chip, seed=8), 0).levels(),
    ]
    for other in others:
        apart = (forward[0] - levels).ravel(), (other - levels).ravel()
        assert abs(np.corrcoef(*apart)[0, 1]) < 0.08
    # More of one error draws the others alike.
    worse = programmed(
        levels, 2, replace(chip, drift=Drift(exponent=0.02, exponent_sigma=0.01, time_s=9.0)), 0
    ).conductance
    ratio = worse / programmed(levels, 2, chip, 0).conductance
    assert np.allclose(ratio, 9**-0.01)


def test_a_larger_sigma_leaves_the_draw_alone() -> None:
    levels = levels_of(30, 30) + 1
    small, large = (
        programmed(levels % 16, 1, chip_with(variation=spread(s, "normal")), 0).levels() for s in (0.1, 0.2)
    )
    assert np.allclose(large - levels % 16, 2 * (small - levels % 16), atol=1e-5)


def test_streams_are_what_they_were() -> None:
    """A result of today can be had again: keys and their meaning stay."""
    uniform = generator(7, 3, 2, Purpose.STUCK).random(3)
    assert uniform == pytest.approx(GOLDEN_UNIFORM, abs=1e-12)
    key = reads.read_key(reads.moment_key(reads.layer_key(7, 3, 2), 11, 2, 1), 5, 1, 4)
    assert [int(w) for w in reads.words(key, np.arange(4))] == GOLDEN_WORDS
    assert sorted(Purpose) == list(range(len(Purpose)))
    assert len({repr(generator(1, 0, 0, p).random(2)) for p in Purpose}) == len(Purpose)


# Columns and converters


@settings(max_examples=60, deadline=None)
@given(
    slices=st.integers(1, 5), channels=st.integers(1, 70), adcs=st.integers(1, 8), per_adc=st.integers(1, 9)
)
def test_columns_fill_crossbars_without_gaps(slices: int, channels: int, adcs: int, per_adc: int) -> None:
    columns = max(adcs * per_adc, slices)
    at = lay_columns(slices, channels, columns, per_adc)
    taken = Counter(zip(at.crossbar.tolist(), at.place.tolist(), strict=True))
    assert max(taken.values()) == 1
    assert int(at.place.max()) < columns
    assert set(at.crossbar.tolist()) == set(range(at.crossbars))
    for crossbar in range(at.crossbars):
        places = sorted(at.place[at.crossbar == crossbar].tolist())
        assert places == list(range(len(places)))
    # The slices of a weight are neighbours on one crossbar.
    crossbar, place_ = at.crossbar.reshape(slices, channels), at.place.reshape(slices, channels)
    assert np.all(crossbar == crossbar[0])
    assert np.all(np.diff(place_, axis=0) == 1)
    assert np.array_equal(at.adc, at.place // per_adc)
    assert int(at.adc.max()) < at.adcs


@pytest.mark.parametrize("encoding", ["offset", "differential"])
def test_columns_lie_as_the_layers_are_cut(encoding: Encoding) -> None:
    config = imcsim.hardware.load("dtsnn_32nm", {"cells.encoding": encoding}).config
    for layer in place(vgg_like(np.random.default_rng(0)), config).layers:
        at = lay_columns(layer.slices, layer.stage.out_channels, config.cells.columns, 8)
        assert at.crossbars == layer.columns
        assert at.adcs == config.adcs_per_crossbar
        assert Counter(at.crossbar.tolist())[0] <= layer.channels_per_column * layer.slices


def test_columns_that_share_an_adc_share_its_errors() -> None:
    chip = chip_with(
        converter=ConverterErrors(offset_lsb=2.0, gain_sigma=0.05, noise_lsb=0.0),
        columns=16,
        columns_per_adc=4,
    )
    gain, offset = adc_errors(30, 2, 40, chip, 5)
    at = lay_columns(2, 40, 16, 4)
    for errors in (gain, offset):
        assert errors.shape == (30, 80)
        each = {}
        for block in range(30):
            for column in range(80):
                key = block, int(at.crossbar[column]), int(at.adc[column])
                each.setdefault(key, set()).add(float(errors[block, column]))
        assert all(len(values) == 1 for values in each.values())
        assert len(set.union(*each.values())) == len(each) == 30 * 5 * 4
    count = 30 * 5 * 4
    values = np.unique(gain), np.unique(offset)
    assert near(values[0].mean(), 1, 4, 0.05 / math.sqrt(count))
    assert near(values[0].std(), 0.05, 4, 0.05 / math.sqrt(2 * count))
    assert near(values[1].std(), 2, 4, 2 / math.sqrt(2 * count))
    again = adc_errors(30, 2, 40, chip, 5)
    other = adc_errors(30, 2, 40, replace(chip, chip=1), 5)
    assert np.array_equal(again[0], gain)
    assert np.all(other[0] != gain)


def test_without_errors_a_converter_is_ideal_to_the_bit() -> None:
    gain, offset = adc_errors(3, 2, 8, CHIP, 0)
    assert np.all(gain == 1)
    assert np.all(offset == 0)
    sums = np.arange(70_000)
    for shift in range(9):
        for largest in (15, 255, 2**30):
            ideal = np.minimum((sums + ((1 << shift) >> 1)) >> shift, largest)
            scale = np.full(len(sums), 2.0**-shift, np.float32)
            none = np.zeros(len(sums), np.float32)
            found = codes(sums.astype(np.float32), scale, none, noise_steps(none, scale, 0, 0), largest)
            assert np.array_equal(found, ideal)


def test_gain_offset_and_noise_move_codes_by_steps() -> None:
    sums = np.array([0, 100, 100, 100, 100, 4000], np.float32)
    scale = np.array([1, 1, 1.1, 1, 1, 1], np.float32) / 4
    offset = np.array([-3, 0, 0, 2, 0, 0], np.float32)
    noise = np.array([0, 0, 0, 0, -1.2, 0], np.float32)
    assert codes(sums, scale, offset, noise, 255).tolist() == [0, 25, 28, 27, 24, 255]


def test_noise_of_a_conversion_is_that_of_its_cells_and_its_own() -> None:
    """Against cells that are drawn one by one at every read."""
    rng = np.random.default_rng(3)
    conductance = rng.uniform(0, 16, 40)
    gain, step, sigma, own = 1.05, 8.0, 0.03, 0.4
    cells = conductance * (1 + sigma * rng.standard_normal((40_000, 40)))
    current = cells.sum(axis=1) * gain / step + own * rng.standard_normal(40_000)
    squares = np.array([(conductance**2).sum()], np.float32)
    expected = noise_steps(squares, np.array([gain / step], np.float32), sigma, own)[0]
    assert near(current.std(), expected, 4, float(expected) / math.sqrt(2 * 40_000))


# Draws at each read


def plain_draw(seed: int, chip: int, layer: int, at: tuple[int, int, int, int, int, int], blocks: int) -> Any:
    """`read_noise` in whole numbers of any size, one draw.

    at: image, timestep, plane, position, block, column.
    """
    image, timestep, plane, position, block, column = at

    def split(state: int, index: int) -> int:
        z = (state + (index + 1) * 0x9E3779B97F4A7C15) % 2**64
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
        return z ^ z >> 31

    sequence = np.random.SeedSequence(seed, spawn_key=(chip, layer, 8))
    key = int(sequence.generate_state(1, np.uint64)[0])
    key = split(split(split(key, image), timestep * 64 + plane), position * blocks + block)
    w = (key % 2**32 + column * 0x9E3779B9) % 2**32
    w = (w ^ w >> 16) * 0x21F0AAAD % 2**32 ^ key >> 32
    w = (w ^ w >> 15) * 0x735A2D97 % 2**32
    w ^= w >> 15
    f = np.float32
    x = f(2 * (w % 1024 + (w >> 11) % 1024 + (w >> 22)) - 3069) * f(1 / 1024)
    square = x * x
    inner = f(0.0286024) + square * (f(-0.0070919) + square * f(0.0011346))
    return w, x * (f(0.9428533) + square * inner)


@settings(max_examples=50, deadline=None)
@given(
    st.integers(0, 2**40), st.integers(0, 30), st.integers(0, 30),
    st.tuples(
        st.integers(0, 10_000), st.integers(0, 255), st.integers(0, 8), st.integers(0, 4000),
        st.integers(0, 71), st.integers(0, 2000),
    ),
)  # fmt: skip
def test_draws_equal_their_plain_statement(
    seed: int, chip: int, layer: int, at: tuple[int, int, int, int, int, int]
) -> None:
    word, z = plain_draw(seed, chip, layer, at, 72)
    moment = reads.moment_key(reads.layer_key(seed, chip, layer), *at[:3])
    words = reads.words(reads.read_key(moment, at[3], at[4], 72), [at[5], at[5] + 1])
    assert int(words[0]) == word
    found = reads.gaussian(words)
    assert found.dtype == np.float32
    assert found[0] == z


def many_draws(count: int = 400, columns: int = 500, seed: int = 1) -> np.ndarray[Any, Any]:
    moment = reads.moment_key(reads.layer_key(seed, 0, 0), 3, 1, 0)
    key = reads.read_key(moment, np.arange(count), 2, 4)
    return reads.gaussian(reads.words(key[:, None], np.arange(columns)[None, :]))


def kolmogorov(sample: np.ndarray[Any, Any]) -> float:
    """The largest distance between the distribution of a sample and the normal one."""
    values = np.sort(sample.ravel().astype(float))
    normal = np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in values])
    steps = np.arange(len(values) + 1) / len(values)
    return float(max(np.abs(steps[1:] - normal).max(), np.abs(steps[:-1] - normal).max()))


def test_draws_are_normal() -> None:
    sample = many_draws().astype(float).ravel()
    n = len(sample)
    assert kolmogorov(sample) < 1.95 / math.sqrt(n)  # exceeded once in a thousand samples
    assert near(sample.mean(), 0, 4, 1 / math.sqrt(n))
    assert near(sample.var(), 1, 4, math.sqrt(2 / n))
    assert near(float(np.mean(sample**3)), 0, 4, math.sqrt(15 / n))
    assert near(float(np.mean(sample**4)), 3, 4, math.sqrt(96 / n))
    beyond = 2 * (1 - NormalDist().cdf(3))
    assert near(int((np.abs(sample) > 3).sum()), n * beyond, 4, math.sqrt(n * beyond))


def test_the_gaussian_of_all_words_has_mean_0_and_variance_1() -> None:
    """Over the exact distribution of the sum of three fields, not a sample."""
    one = np.ones(1024)
    chance = np.convolve(np.convolve(one, one), one) / 1024.0**3
    total = np.arange(len(chance))
    first, rest = np.minimum(total, 1023), np.maximum(total - 1023, 0)
    second, third = np.minimum(rest, 1023), np.maximum(rest - 1023, 0)
    z = reads.gaussian((first | second << 11 | third << 22).astype(np.uint32)).astype(float)
    assert np.all(np.diff(z) > 0)
    assert np.allclose(z, -z[::-1])
    assert abs(chance @ z**2 - 1) < 1e-6
    assert abs(chance @ z**4 - 3) < 2e-3
    assert 4.3 < z.max() < 4.4


def test_draws_of_neighbours_are_independent() -> None:
    """Over columns, positions, blocks, input bits, timesteps, images, layers and chips."""
    columns = np.arange(256)[None, :]

    def drawn(
        *, chip: int = 0, layer: int = 0, image: int = 0, step: int = 0, plane: int = 0, block: int = 0
    ) -> Any:
        moment = reads.moment_key(reads.layer_key(1, chip, layer), image, step, plane)
        key = reads.read_key(moment, np.arange(256), block, 3)
        return reads.gaussian(reads.words(key[:, None], columns)).astype(float)

    base = drawn()
    others = [
        drawn(chip=1), drawn(layer=1), drawn(image=1), drawn(step=1), drawn(plane=1), drawn(block=1),
        np.roll(base, 1, axis=0), np.roll(base, 1, axis=1), np.roll(base, 2, axis=1),
    ]  # fmt: skip
    for other in others:
        assert not np.array_equal(base, other)
        for one, two in ((base, other), (base**2, other**2)):
            assert abs(np.corrcoef(one.ravel(), two.ravel())[0, 1]) < 4.5 / 256
    # Sums over a read, and over a column, spread as independent draws do.
    for axis in (0, 1):
        assert near(base.sum(axis=axis).var() / 256, 1, 4.5, math.sqrt(2 / 256))


def test_no_two_reads_have_the_same_key() -> None:
    key = reads.layer_key(0, 0, 0)
    found: set[int] = set()
    for image in range(3):
        for step in range(3):
            for plane in range(3):
                moment = reads.moment_key(key, image, step, plane)
                found |= set(
                    reads.read_key(moment, np.arange(300)[:, None], np.arange(9), 9).ravel().tolist()
                )
    assert len(found) == 27 * 2700


# The section of a hardware file


def load(overrides: dict[str, object], name: str = "dtsnn_32nm") -> Hardware:
    return imcsim.hardware.load(name, overrides)


@pytest.mark.parametrize("name", HASHES)
def test_chips_without_errors_keep_their_hash(name: str) -> None:
    assert imcsim.hardware.load(name).sha256 == HASHES[name]
    zeros = load({"nonideal.variation.sigma": 0, "nonideal.stuck.on_rate": 0.0}, name)
    assert zeros.sha256 == HASHES[name]
    assert "nonideal" not in _recorded(zeros.config)
    assert nonideal(zeros.config) is None
    assert not diff_chips(zeros, imcsim.hardware.load(name)).values
    assert ("nonideal.variation.sigma", "0.0") in [row[:2] for row in imcsim.hardware.describe(zeros)]
    assert "nonideal" not in value_numerics(numerics(zeros.config))


def test_errors_change_the_hash_and_are_shown() -> None:
    chip = load({"nonideal.variation.sigma": 0.2})
    assert chip.sha256 != HASHES["dtsnn_32nm"]
    assert chip.sha256 != load({"nonideal.variation.sigma": 0.3}).sha256
    assert _recorded(chip.config)["nonideal"]["variation"]["sigma"] == 0.2
    row = next(r for r in imcsim.hardware.describe(chip) if r[0] == "nonideal.variation.sigma")
    assert row[1:4] == ("0.2", "", "given")
    (change,) = diff_chips(load({}), chip).values
    assert (change.key, change.a, change.b) == ("nonideal.variation.sigma", 0.0, 0.2)


def test_the_shipped_chip_with_errors() -> None:
    chip = imcsim.hardware.load("dtsnn_32nm_nonideal")
    assert chip.unsourced == ()
    found = nonideal(chip.config, seed=5, chip=2)
    assert found is not None
    assert (found.seed, found.chip) == (5, 2)
    assert found.variation == Variation(kind="normal", sigma=0.2)
    assert found.sigmas == (0.2,) * 16
    assert found.off_level == pytest.approx(OFF)
    assert found.level_siemens == pytest.approx((1 / 20_000 - 1 / 200_000) / 15)
    assert (found.columns, found.columns_per_adc) == (64, 8)
    assert not found.wires.ideal
    assert found.noisy
    assert found.referenced
    blocks = chip.config.nonideal.model_dump(mode="json")
    keys = {f"nonideal.{b}.{key}": value for b, values in blocks.items() for key, value in values.items()}
    same = load(keys)
    assert same.config.nonideal == chip.config.nonideal
    assert {value.key.split(".")[0] for value in diff_chips(load({}), chip).values} <= {
        "name", "description", "cells", "nonideal",
    }  # fmt: skip


def test_each_magnitude_alone_makes_a_chip_nonideal() -> None:
    alone: dict[str, object] = {
        "variation.sigma": 0.1, "on_off.finite": True, "stuck.on_rate": 0.1, "stuck.off_rate": 0.1,
        "read_noise.sigma": 0.1, "wires.wordline_ohm": 1.0, "wires.bitline_ohm": 1.0, "wires.driver_ohm": 1.0,
        "wires.sense_ohm": 1.0, "converter.offset_lsb": 1, "converter.gain_sigma": 0.1,
        "converter.noise_lsb": 1,
    }  # fmt: skip
    for key, value in alone.items():
        found = nonideal(load({f"nonideal.{key}": value}).config)
        assert found is not None, key
        assert found != chip_with(seed=0), key
    drift = {"nonideal.drift.exponent": 0.1, "nonideal.drift.time_s": 10}
    assert nonideal(load(dict(drift)).config) is not None
    assert nonideal(load({"nonideal.drift.exponent": 0.1}).config) is None
    assert nonideal(load({"nonideal.drift.time_s": 10}).config) is None
    assert nonideal(load({"nonideal.on_off.reference_column": False}).config) is None


WRONG: list[tuple[dict[str, object], str]] = [
    ({"variation.sigma": -0.1}, "nonideal.variation.sigma: expected a number from 0 to 100"),
    ({"variation.sigma": "much"}, "nonideal.variation.sigma: expected a number from 0 to 100"),
    ({"variation.sigma": [0.1, 0.2]}, "lists 2 numbers, but a cell of cells.cell_bits 4 has 16 levels"),
    ({"variation.sigma": [0.1] * 15 + [-1]}, "expected a number from 0 to 100, got -1"),
    ({"variation.kind": "gauss"}, "'normal' or 'lognormal'"),
    ({"variation.sgima": 0.1}, "did you mean 'nonideal.variation.sigma'?"),
    ({"stuck.on_rate": 1.5}, "nonideal.stuck.on_rate: expected a number from 0"),
    ({"stuck.off_rate": -0.5}, "nonideal.stuck.off_rate: expected a number from 0"),
    ({"stuck.on_rate": 0.7, "stuck.off_rate": 0.6}, "on_rate 0.7 and off_rate 0.6 come to more than 1"),
    ({"drift.time_s": 0.5}, "time_s 0.5 is before reference_time_s 1"),
    ({"drift.reference_time_s": 0}, "expected a number above 0"),
    ({"drift.exponent": -0.1}, "expected a number from 0 to 10,"),
    ({"on_off.finite": 1}, "expected true or false"),
    ({"wires.inactive": "floating"}, "'grounded' or 'gated'"),
    ({"converter.offset_lsb": [1]}, "expected a number from 0 to 1000000"),
]


@pytest.mark.parametrize(("errors", "message"), WRONG, ids=[message[:40] for _, message in WRONG])
def test_wrong_values_are_refused(errors: dict[str, object], message: str) -> None:
    with pytest.raises(ImcsimError) as raised:
        load({f"nonideal.{key}": value for key, value in errors.items()})
    assert message in str(raised.value)


@pytest.mark.parametrize("key", ["on_off.finite", "wires.wordline_ohm", "wires.sense_ohm"])
def test_what_needs_ohms_needs_cells_that_know_them(key: str) -> None:
    wanted: dict[str, object] = {f"nonideal.{key}": True if key.endswith("finite") else 2.0}
    driven: dict[str, object] = {"cells.kind": "driven", "cells.power_uw": 300}
    with pytest.raises(ImcsimError, match=rf"nonideal.{key} needs .*cells.kind driven .*use cells.kind cond"):
        load(wanted | driven)
    with pytest.raises(ImcsimError, match=r"needs cells.r_off_ohm above cells.r_on_ohm, not 20000 and 20000"):
        load({**wanted, "cells.r_off_ohm": 20_000})
    assert nonideal(load(driven | {"nonideal.variation.sigma": 0.1}).config) is not None


def test_one_sigma_for_each_level() -> None:
    sigma = [0.01 * k for k in range(16)]
    found = nonideal(load({"nonideal.variation.sigma": sigma}).config)
    assert found is not None
    assert found.variation.sigma == tuple(sigma)
    assert load({"nonideal.variation.sigma": [0.0] * 16}).config.nonideal.active is False


def test_a_file_may_extend_a_chip_with_errors(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "extends: dtsnn_32nm_nonideal\nname: mine\nnonideal:\n  variation: {kind: lognormal}\n"
        "  drift:\n    time_s: {value: 3600, unit: s, mark: given, source: user}\n"
    )
    chip = imcsim.hardware.load(file).config.nonideal
    assert chip.variation.kind == "lognormal"
    assert chip.variation.sigma == 0.2
    assert chip.drift.time_s == 3600
    assert chip.drift.exponent == 0.0018
    file.write_text("extends: dtsnn_32nm\nnonideal:\n  stuck:\n    on_rate: 0.9\n    off_rate: 0.9\n")
    with pytest.raises(ImcsimError) as raised:
        imcsim.hardware.load(file)
    assert (raised.value.line, raised.value.key) == (3, "nonideal.stuck")
    file.write_text(
        "extends: dtsnn_32nm\nnonideal:\n  drift:\n"
        "    time_s: {value: 1, unit: h, mark: given, source: user}\n"
    )
    with pytest.raises(ImcsimError, match=r"the unit is 'h', but the name of the key says 's'"):
        imcsim.hardware.load(file)


def test_the_schema_knows_the_section() -> None:
    yaml = pytest.importorskip("yaml")
    check = jsonschema.Draft202012Validator(json_schema())
    folder = Path(imcsim.hardware.load("dtsnn_32nm_nonideal").path).parent
    for name in ("dtsnn_32nm", "dtsnn_32nm_nonideal"):
        check.validate(yaml.safe_load((folder / f"{name}.yaml").read_text()))
    small = {"extends": "dtsnn_32nm", "nonideal": {"variation": {"sigma": [0.1] * 16}}}
    check.validate(small)
    json.dumps(json_schema())
    for wrong in ({"sigma": -1}, {"sigma": "x"}, {"kind": "gauss"}, {"spread": 1}):
        with pytest.raises(jsonschema.ValidationError):
            check.validate({"extends": "dtsnn_32nm", "nonideal": {"variation": wrong}})


def test_any_key_is_an_axis_of_a_sweep(tmp_path: Path) -> None:
    from imcsim.sweeps.spec import load_spec

    each = [0.1] * 8 + [0.2] * 8
    file = tmp_path / "sweep.yaml"
    file.write_text(
        "hardware: dtsnn_32nm_nonideal\naxes:\n"
        f"  nonideal.variation.sigma: [0, 0.1, {each}]\n"
        "  nonideal.on_off.finite: [true, false]\n"
        "constraints: [nonideal.drift.time_s > 1]\n"
    )
    points = list(load_spec(file).points())
    assert len(points) == 6
    assert [p.setting.overrides["nonideal.variation.sigma"] for p in points][::2] == [0, 0.1, each]
    chips = [imcsim.hardware.load(p.setting.hardware, p.setting.overrides) for p in points]
    assert len({chip.sha256 for chip in chips}) == 6


def test_values_of_a_chip_with_errors_are_kept_under_their_own_name() -> None:
    plain = numerics(load({}).config)
    one = nonideal(load({"nonideal.variation.sigma": 0.1}).config, seed=1, chip=0)
    other = nonideal(load({"nonideal.variation.sigma": 0.1}).config, seed=1, chip=1)
    said = [json.dumps(value_numerics(replace(plain, nonideal=n))) for n in (None, one, other)]
    assert len(set(said)) == 3
    assert replace(plain, nonideal=one).ideal() == plain.ideal()
