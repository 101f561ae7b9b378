"""Vectors in kernels against numpy: whatever their length, words and places."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest

from imcsim.base.compiled import compiled, numbers
from imcsim.functional.crossbars.erring_simd import clipped, floats, normals, root, unpaired
from imcsim.functional.crossbars.short_simd import (
    at_least,
    capped_sum,
    interleaved,
    larger,
    less,
    mean,
    odd_ones,
    pairs,
    raised,
    selected,
    sum_of_packed_rows,
    sums_of_packed_rows,
    sums_of_signed_rows,
    total,
)
from imcsim.functional.crossbars.simd import (
    add,
    converted,
    full,
    load,
    ones,
    set_bits,
    shifted,
    smaller,
    store,
    sum_of_rows,
    times,
    zeros,
)
from imcsim.functional.nonideal import read_noise

WORDS = (np.uint8, np.uint16, np.uint32, np.int32, np.float32)


@numba.njit
def _rows(table: Any, columns: int, rows: Any, first: int, last: int, at: int, out: Any) -> None:
    store(out, 1, sum_of_rows(table, columns, rows, first, last, at, 40))


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize(("first", "last"), [(0, 0), (3, 3), (2, 1), (0, 1), (2, 9)])
def test_sums_of_rows(word: Any, first: int, last: int) -> None:
    """Whole numbers, which floats hold too; sums wrap around as the words do. Nothing beyond is written."""
    rng = np.random.default_rng(last)
    table = rng.integers(0, 200, (20, 50)).astype(word)
    rows = rng.integers(0, 20, 9).astype(np.int32)
    out = np.full(42, 7, word)
    _rows(table.ravel(), 50, rows, first, last, 5, out)
    assert out[1:41].tolist() == table[rows[first:last], 5:45].sum(axis=0, dtype=word).tolist()
    assert out[[0, 41]].tolist() == [7, 7]


@numba.njit
def _codes(sums: Any, half: Any, shift: Any, top: int, out: Any) -> None:
    total = add(converted(load(sums, 0, 24), out), load(half, 0, 24))
    store(out, 0, add(smaller(shifted(total, load(shift, 0, 24)), full(out, top, 24)), zeros(out, 24)))


@pytest.mark.parametrize("word", [np.uint16, np.uint32])
@pytest.mark.parametrize("top", [3, 40, 255])
def test_codes_of_converters(word: Any, top: int) -> None:
    sums = np.arange(232, 256).astype(np.uint8)
    shift = np.tile(np.arange(6), 4).astype(word)
    half = ((1 << shift) >> 1).astype(word)
    out = np.zeros(24, word)
    _codes(sums, half, shift, top, out)
    expected = [min((int(s) + (2**k) // 2) // 2**k, top) for s, k in zip(sums, shift.tolist(), strict=True)]
    assert out.tolist() == expected


@numba.njit
def _bits(values: Any, bit: int) -> Any:
    bits = set_bits(load(values, 0, 64), bit)
    return ones(bits), [place for place in range(64) if (bits >> place) & 1]


@pytest.mark.parametrize("bit", range(8))
def test_set_bits(bit: int) -> None:
    """The highest place is the sign of the word that holds the bits."""
    values = np.random.default_rng(bit).integers(0, 256, 64).astype(np.uint8)
    values[[0, 63]] = 255
    count, places = _bits(values, bit)
    assert list(places) == np.flatnonzero(values >> bit & 1).tolist()
    assert count == len(places)
    assert _bits(np.zeros(64, np.uint8), bit)[0] == 0


def _of_numbers(table: Any, rows: Any, out: Any) -> None:
    bare = numbers(table)
    store(numbers(out), 1, add(load(bare, 2, 3), sum_of_rows(bare, 4, numbers(rows), 0, 2, 1, 3)))


def test_vectors_of_bare_numbers_are_those_of_the_array() -> None:
    table, out = np.arange(12, dtype=np.int32), np.zeros(4, np.int32)
    compiled(_of_numbers)(table, np.array([2, 1], np.int32), out)
    assert out.tolist() == [0, 2 + 9 + 5, 3 + 10 + 6, 4 + 11 + 7]


@numba.njit
def _packed_rows(table: Any, rows: Any, first: int, last: int, out: Any) -> None:
    store(out, 1, sum_of_packed_rows(table, 50, rows, first, last, 5, 80))


@pytest.mark.parametrize(("first", "last"), [(0, 0), (2, 1), (0, 1), (1, 9)])
def test_sums_of_packed_rows(first: int, last: int) -> None:
    rng = np.random.default_rng(last)
    low, high = rng.integers(0, 16, (2, 20, 50)).astype(np.uint8)
    rows = rng.integers(0, 20, 9).astype(np.int32)
    out = np.full(82, 7, np.uint8)
    _packed_rows((low | high << 4).ravel(), rows, first, last, out)
    expected = [half[rows[first:last], 5:45].sum(axis=0).tolist() for half in (low, high)]
    assert out[1:81].tolist() == expected[0] + expected[1]
    assert out[[0, 81]].tolist() == [7, 7]


def test_sums_of_packed_rows_that_a_byte_just_holds() -> None:
    rng = np.random.default_rng(0)
    low, high = 15 * (rng.random((2, 17, 50)) < 0.9).astype(np.uint8)
    low[:, 5:15], high[:, 10:20] = 15, 15
    out = np.zeros(82, np.uint8)
    _packed_rows((low | high << 4).ravel(), np.arange(17, dtype=np.int32), 0, 17, out)
    expected = [half[:, 5:45].sum(axis=0, dtype=int).tolist() for half in (low, high)]
    assert out[1:81].tolist() == expected[0] + expected[1]


@numba.njit
def _three_packed_sums(table: Any, rows: Any, out: Any) -> None:
    for k, one in enumerate(sums_of_packed_rows(table, 50, rows, 1, 9, 5, 0, 12, 64)):
        store(out, 64 * k, one)


def test_sums_of_packed_rows_at_three_places() -> None:
    rng = np.random.default_rng(0)
    low, high = rng.integers(0, 16, (2, 20, 50)).astype(np.uint8)
    rows, out = rng.integers(0, 20, 9).astype(np.int32), np.zeros(192, np.uint8)
    _three_packed_sums((low | high << 4).ravel(), rows, out)
    expected = [half[rows[1:], at : at + 32].sum(axis=0) for at in (5, 0, 12) for half in (low, high)]
    assert out.tolist() == np.concatenate(expected).tolist()


@numba.njit
def _both(one: Any, other: Any, capped: Any, middle: Any, difference: Any) -> None:
    for at in range(0, one.shape[0], 64):
        first, second = load(one, at, 64), load(other, at, 64)
        store(capped, at, capped_sum(first, second))
        store(middle, at, mean(first, second))
        store(difference, at, less(first, second))


def test_sums_means_and_differences_of_all_bytes() -> None:
    one, other = (each.ravel().astype(np.uint8) for each in np.divmod(np.arange(1 << 16), 256))
    capped, middle, difference = np.empty((3, 1 << 16), np.uint8)
    _both(one, other, capped, middle, difference)
    long = one.astype(int) + other
    assert np.array_equal(capped, np.minimum(long, 255))
    assert np.array_equal(middle, (long + 1) >> 1)
    assert np.array_equal(difference, one - other)


@numba.njit
def _sums_of_pairs(values: Any, out: Any) -> None:
    words, second = pairs(zeros(values, 64), out), pairs(zeros(values, 64), out)
    for at in range(0, values.shape[0], 64):
        both = pairs(load(values, at, 64), out)
        words, second = add(words, both), add(second, odd_ones(both))
    store(out, 0, interleaved(words, second))


def test_sums_of_pairs() -> None:
    """The first ones of pairs are told from words that have wrapped around."""
    values = np.random.default_rng(0).integers(0, 256, (250, 64)).astype(np.uint8)
    values[:, 0] = 255
    out = np.zeros(64, np.uint16)
    _sums_of_pairs(values.ravel(), out)
    assert out.tolist() == values.sum(axis=0, dtype=int).tolist()


@numba.njit
def _signed(table: Any, columns: int, rows: Any, first: int, last: int, above: Any, below: Any) -> None:
    one, other = sums_of_signed_rows(table, columns, rows, first, last, 5, 40)
    store(above, 0, one)
    store(below, 0, other)


@pytest.mark.parametrize("word", [np.int16, np.int32])
@pytest.mark.parametrize(("first", "last"), [(0, 0), (0, 1), (2, 9)])
def test_sums_of_signed_rows(word: Any, first: int, last: int) -> None:
    """Up to the largest sums that the words hold, on either side."""
    rng = np.random.default_rng(last)
    largest = np.iinfo(word).max // 9
    table = rng.integers(-largest, largest + 1, (20, 50)).astype(word)
    table[:, 5:7] = largest, -largest
    rows = rng.integers(0, 20, 9).astype(np.int32)
    above, below = np.full((2, 40), 7, word)
    _signed(table.ravel(), 50, rows, first, last, above, below)
    some = table[rows[first:last], 5:45].astype(int)
    assert above.tolist() == np.maximum(some, 0).sum(axis=0).tolist()
    assert below.tolist() == np.maximum(-some, 0).sum(axis=0).tolist()


@numba.njit
def _two(values: Any, first: Any, second: Any) -> None:
    one, other = unpaired(load(values, 0, 96))
    store(first, 0, one)
    store(second, 0, other)


@pytest.mark.parametrize(("word", "most"), [(np.int16, 2**16 - 1), (np.int32, 2**31 - 1)])
def test_unpaired(word: Any, most: int) -> None:
    """The first one of a pair is unsigned: as one of `word`, the largest ones of 16 bits are negative."""
    pairs = np.stack(
        [np.linspace(0, most, 48), np.linspace(np.iinfo(word).min, np.iinfo(word).max, 48)], axis=1
    )
    values = pairs.astype(np.int64).astype(word).ravel()
    first, second = np.empty((2, 48), np.int32)
    _two(values, first, second)
    assert first.tolist() == pairs[:, 0].astype(np.int64).tolist()
    assert second.tolist() == pairs[:, 1].astype(np.int64).tolist()


@numba.njit
def _noisy(sums: Any, weyl: Any, low: Any, high: Any, top: Any, normal: Any, sigma: Any, codes: Any) -> None:
    drawn, wide = normals(load(weyl, 0, 48), low, high), root(floats(load(sums, 0, 48)))
    store(normal, 0, drawn)
    store(sigma, 0, wide)
    store(codes, 0, clipped(times(wide, drawn), top))


@pytest.mark.parametrize("word", [np.uint8, np.int16, np.uint16, np.int32])
@pytest.mark.parametrize("key", [0, 0x0123456789ABCDEF, 2**64 - 1])
def test_codes_of_noise(word: Any, key: int) -> None:
    """To the bit what `read_noise` states, for columns whose numbers wrap around."""
    sums = np.random.default_rng(0).integers(0, np.iinfo(word).max, 48).astype(word)
    weyl = (np.arange(48) * read_noise.GOLDEN_32).astype(np.uint32)
    (normal, sigma), codes = np.empty((2, 48), np.float32), np.empty(48, np.int32)
    _noisy(sums, weyl, np.uint32(key & 0xFFFFFFFF), np.uint32(key >> 32), np.float32(9), normal, sigma, codes)
    expected = read_noise.gaussian(read_noise.words(key, np.arange(48)))
    assert normal.tobytes() == expected.tobytes()
    assert sigma.tobytes() == np.sqrt(sums.astype(np.float32)).tobytes()
    assert codes.tolist() == np.clip(np.floor(sigma * expected), 0, 9).tolist()


@numba.njit
def _of_signed(one: Any, other: Any, by: Any, out: Any, is_least: Any) -> int:
    first, second = load(one, 0, 8), load(other, 0, 8)
    reached = at_least(first, second, is_least)
    store(is_least, 0, reached)
    found = (
        times(first, second), raised(first, load(by, 0, 8)), larger(first, second),
        selected(reached, first, zeros(one, 8)),
    )  # fmt: skip
    for k, each in enumerate(numba.literal_unroll(found)):
        store(out, 8 * k, converted(each, out))
    return total(reached)


def test_signed_integers() -> None:
    one = np.array([-5, -1, 0, 3, 7, -8, 2, 2], np.int32)
    other, by = np.array([4, -1, 1, 2, 7, -9, 3, 2], np.int32), np.arange(8, dtype=np.int32)
    out, is_least = np.zeros(32, np.int64), np.zeros(8, np.uint8)
    assert _of_signed(one, other, by, out, is_least) == 5
    assert is_least.tolist() == (one >= other).tolist()
    expected = one * other, one << by, np.maximum(one, other), np.where(one >= other, one, 0)
    assert out.tolist() == np.concatenate(expected).tolist()
