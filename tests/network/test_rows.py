"""Rows of a layer over crossbars: each input has one row, blocks hold what the order says."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imcsim.base.choices import RowOrder
from imcsim.network.graph import Conv2d, Linear
from imcsim.network.rows import layout, row_layout

SIZES = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 40), st.integers(1, 24))
ORDERS = st.sampled_from(["im2col", "kernel_position"])


@settings(max_examples=80, deadline=None)
@given(SIZES, ORDERS)
def test_every_input_has_one_row(sizes: tuple[int, int, int, int], order: RowOrder) -> None:
    height, width, channels, rows = sizes
    at = layout((height, width), channels, rows, order)
    places = naive.row_of_input(at)
    assert len(places) == height * width * channels == at.rows
    assert sorted(row for row, _ in places.values()) == list(range(at.rows))
    assert (np.diff(at.block) >= 0).all()
    assert at.block_rows.sum() == at.rows
    assert np.array_equal(at.block_rows, np.bincount([block for _, block in places.values()]))


@settings(max_examples=60, deadline=None)
@given(SIZES)
def test_im2col_fills_blocks_in_order(sizes: tuple[int, int, int, int]) -> None:
    height, width, channels, rows = sizes
    at = layout((height, width), channels, rows, "im2col")
    for (ky, kx, channel), (row, block) in naive.row_of_input(at).items():
        assert row == (ky * width + kx) * channels + channel
        assert block == row // rows
    assert at.blocks == -(-height * width * channels // rows)


@settings(max_examples=60, deadline=None)
@given(SIZES)
def test_kernel_position_keeps_a_channel_group_together(sizes: tuple[int, int, int, int]) -> None:
    height, width, channels, rows = sizes
    at = layout((height, width), channels, rows, "kernel_position")
    for (_, _, channel), (_, block) in naive.row_of_input(at).items():
        assert block == channel // rows
    assert at.blocks == -(-channels // rows)
    assert at.block_rows.max() == height * width * min(rows, channels)


@settings(max_examples=80, deadline=None)
@given(SIZES, ORDERS, st.integers(1, 30))
def test_rows_driven_in_turns_stay_in_their_crossbars(
    sizes: tuple[int, int, int, int], order: RowOrder, parallel: int
) -> None:
    """Turns cut each crossbar's rows and nothing else: a block holds up to `parallel` of one crossbar."""
    height, width, channels, rows = sizes
    whole = naive.row_of_input(layout((height, width), channels, rows, order))
    at = layout((height, width), channels, rows, order, parallel=parallel)
    merged = 1 if order == "im2col" else height * width
    for (ky, kx, channel), (_, block) in naive.row_of_input(at).items():
        assert at.crossbar[block] == whole[ky, kx, channel][1]
        inside = channel if order == "kernel_position" else (ky * width + kx) * channels + channel
        assert at.turn[block] == inside % rows // min(parallel, rows)
    assert at.block_rows.max() <= merged * parallel
    assert at.crossbars == layout((height, width), channels, rows, order).blocks
    filled = at.crossbar_rows // merged
    assert at.turns.tolist() == [-(-int(n) // min(parallel, rows)) for n in filled]
    unlimited = layout((height, width), channels, rows, order, parallel=rows)
    assert np.array_equal(unlimited.block, layout((height, width), channels, rows, order).block)


@pytest.mark.parametrize("order", ["im2col", "kernel_position"])
@pytest.mark.parametrize("rows", [1, 4, 7, 64])
def test_weights_are_put_on_the_rows_of_their_inputs(order: RowOrder, rows: int) -> None:
    weight = np.arange(2 * 5 * 3 * 2).reshape(2, 5, 3, 2)
    ones = np.ones(2)
    at = row_layout(Conv2d("c", ("input",), weight, ones, ones), rows, order)
    ordered = at.order(weight)
    for (ky, kx, channel), (row, _) in naive.row_of_input(at).items():
        assert ordered[:, row].tolist() == weight[:, channel, ky, kx].tolist()


def test_linear_layers_have_one_kernel_position() -> None:
    weight = np.zeros((3, 130), np.int8)
    ones = np.ones(3)
    at = row_layout(Linear("fc", ("flatten",), weight, ones, ones), 64, "im2col")
    assert (at.kernel, at.channels, at.rows, at.block_rows.tolist()) == ((1, 1), 130, 130, [64, 64, 2])
