"""Weights as cell levels: every encoding gives the weights back, from levels a cell can hold."""

from __future__ import annotations

import numpy as np
import pytest

from imcsim.base.choices import Encoding
from imcsim.network.cells import slice_count, to_cells

ENCODINGS: tuple[Encoding, ...] = ("offset", "differential", "twos_complement")


def symmetric(bits: int) -> np.ndarray:
    """All weights of the symmetric range, or 4,001 of them with both ends."""
    largest = 2 ** (bits - 1) - 1
    return np.unique(np.linspace(-largest, largest, min(2 * largest + 1, 4001)).round().astype(np.int64))


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("cell_bits", range(1, 9))
@pytest.mark.parametrize("weight_bits", range(2, 17))
def test_cells_give_back_the_weights(encoding: Encoding, cell_bits: int, weight_bits: int) -> None:
    weight = symmetric(weight_bits)[None, :]
    cells = to_cells(weight, weight_bits, cell_bits, encoding)
    levels = cells.levels.astype(np.int64)
    assert levels.shape == (slice_count(weight_bits, cell_bits, encoding), *weight.shape)
    assert levels.min() >= 0
    assert levels.max() < 2**cell_bits
    assert np.array_equal(np.tensordot(cells.factor, levels, 1) + cells.offset, weight)


@pytest.mark.parametrize(
    ("encoding", "weight_bits", "cell_bits", "slices"),
    [
        ("offset", 8, 4, 2),
        ("offset", 8, 3, 3),
        ("offset", 2, 8, 1),
        ("differential", 8, 4, 4),  # 7 bits of magnitude in two cells, two columns
        ("differential", 9, 4, 4),
        ("differential", 2, 1, 2),
        ("twos_complement", 8, 4, 3),  # 7 bits in two cells, and the sign
        ("twos_complement", 8, 1, 8),
        ("twos_complement", 2, 8, 2),
    ],
)
def test_number_of_slices(encoding: Encoding, weight_bits: int, cell_bits: int, slices: int) -> None:
    assert slice_count(weight_bits, cell_bits, encoding) == slices


def test_offset_is_shifted_by_half_the_range() -> None:
    cells = to_cells(np.array([[-8, 0, 7]]), 4, 2, "offset")
    assert cells.levels.tolist() == [[[0, 0, 3]], [[0, 2, 3]]]
    assert (cells.factor.tolist(), cells.offset) == ([1, 4], -8)


def test_differential_holds_a_weight_on_one_side_only() -> None:
    weight = np.arange(-127, 128)[None, :]
    cells = to_cells(weight, 8, 4, "differential")
    positive, negative = cells.factor > 0, cells.factor < 0
    assert not cells.levels[positive][:, weight <= 0].any()
    assert not cells.levels[negative][:, weight >= 0].any()
    assert cells.offset == 0


@pytest.mark.parametrize("bits", [2, 5, 8, 16])
def test_twos_complement_reaches_the_lowest_weight(bits: int) -> None:
    weight = np.array([[-(2 ** (bits - 1)), -1, 0]])
    cells = to_cells(weight, bits, 3, "twos_complement")
    assert np.array_equal(np.tensordot(cells.factor, cells.levels.astype(np.int64), 1), weight)
    assert cells.levels[-1].tolist() == [[1, 1, 0]], "the last column is the sign"


def test_narrow_integer_types_do_not_overflow() -> None:
    """Adding 128 to int8 weights would wrap if it were done in their own type."""
    weight = np.array([[-127, 0, 127]], np.int8)
    for encoding in ENCODINGS:
        cells = to_cells(weight, 8, 8, encoding)
        total = np.tensordot(cells.factor, cells.levels.astype(np.int64), 1) + cells.offset
        assert total.tolist() == [[-127, 0, 127]]
