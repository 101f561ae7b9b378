"""What the hardware does with numbers, compiled where numpy is slow: pools, silent reads, toggled bits.

Kernels take and return raw arrays, and import nothing of ours but what compiles them. Maps are
``[..., H, W, C]`` with channels last, as a tile receives them. Each kernel has a plain numpy statement of the
same thing in ``tests/helpers/naive.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from imcsim.base.compiled import compiled

F = TypeVar("F", bound=Callable[..., Any])

HARD, SOFT, NONE = 0, 1, 2
"""How a spike resets a membrane."""

LINE = 128
"""Numbers of a row of cells that are read together where chips err: so many cells, or half as many and their
squares.
"""


def jit(function: F) -> F:
    """Compile without the interpreter lock, and keep the machine code between runs."""
    return compiled(function, error_model="numpy")


def step(function: F) -> F:
    """Compile a part of a kernel, which only kernels call."""
    return compiled(function, error_model="numpy", inner=True)


def pool(
    inputs: NDArray[np.uint8],
    size: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    sums: bool,
    out: NDArray[np.uint8],
) -> None:
    """Sum (an average is divided later, by the scale) or maximum over windows, padded with zeros;
    ``[n, H, W, C]``. numpy is as fast at it as a kernel, which would have to be compiled.
    """
    join = np.add if sums else np.maximum
    out[...] = 0
    for down in range(size[0]):
        rows, from_rows = _inside(down - padding[0], stride[0], inputs.shape[1], out.shape[1])
        for right in range(size[1]):
            columns, from_columns = _inside(right - padding[1], stride[1], inputs.shape[2], out.shape[2])
            target = out[:, rows, columns]
            join(target, inputs[:, from_rows, from_columns], out=target)


def _inside(offset: int, stride: int, length: int, count: int) -> tuple[slice, slice]:
    """Which of `count` windows have no padding at ``offset`` from their corner, and their pixels there."""
    first = max(-(offset // stride), 0)
    end = max(min((length - 1 - offset) // stride + 1, count), first)
    begin = first * stride + offset
    return slice(first, end), slice(begin, begin + (end - first) * stride, stride)


@jit
def pool_currents(
    sums: NDArray[Any],
    size: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    adding: bool,
    out: NDArray[np.int64],
) -> None:
    """Sum or maximum of currents over windows, of what lies in the map; ``[n, H, W, C]``. Every window holds
    something of the map.
    """
    images, out_height, out_width, channels = out.shape
    height, width = sums.shape[1], sums.shape[2]
    for n in range(images):
        for y in range(out_height):
            top = y * stride[0] - padding[0]
            for x in range(out_width):
                left = x * stride[1] - padding[1]
                target = out[n, y, x]
                target[:] = 0 if adding else np.iinfo(np.int64).min
                for iy in range(max(top, 0), min(top + size[0], height)):
                    for ix in range(max(left, 0), min(left + size[1], width)):
                        source = sums[n, iy, ix]
                        for c in range(channels):
                            if adding:
                                target[c] += source[c]
                            else:
                                target[c] = max(target[c], np.int64(source[c]))


@jit
def active_blocks(
    inputs: NDArray[np.uint8],
    planes: int,
    ky: NDArray[np.int32],
    kx: NDArray[np.int32],
    first: NDArray[np.int32],
    last: NDArray[np.int32],
    block: NDArray[np.int32],
    stride: tuple[int, int],
    padding: tuple[int, int],
    out_size: tuple[int, int],
    active: NDArray[np.bool_],
) -> None:
    """Set active ``[n, positions, planes, blocks]`` where a block drives a row; see `read_kernels`."""
    images, height, width, _ = inputs.shape
    segments = block.shape[0]
    # Segments of other places in the window that read the same channels are of one kind.
    kind = np.empty(segments, np.int32)
    example = np.empty(segments, np.int32)
    kinds = 0
    for s in range(segments):
        k = 0
        while k < kinds and (first[example[k]] != first[s] or last[example[k]] != last[s]):
            k += 1
        if k == kinds:
            example[k] = s
            kinds += 1
        kind[s] = k
    driven = np.empty((height * width, kinds), np.uint8)
    for n in range(images):
        for y in range(height):
            for x in range(width):
                source = inputs[n, y, x]
                for k in range(kinds):
                    together = np.uint8(0)
                    for c in range(first[example[k]], last[example[k]]):
                        together |= source[c]
                    driven[y * width + x, k] = together
        active[n] = False
        for oy in range(out_size[0]):
            for ox in range(out_size[1]):
                target = active[n, oy * out_size[1] + ox]
                for s in range(segments):
                    iy = oy * stride[0] - padding[0] + ky[s]
                    ix = ox * stride[1] - padding[1] + kx[s]
                    if iy < 0 or iy >= height or ix < 0 or ix >= width:
                        continue
                    bits = driven[iy * width + ix, kind[s]]
                    for plane in range(planes):
                        target[plane, block[s]] |= (bits >> plane) & 1


@jit
def activate(
    totals: NDArray[Any],
    multiplier: NDArray[np.int64],
    bias: NDArray[np.int64],
    right: NDArray[np.int64],
    top: int,
    codes: NDArray[np.uint8],
    counts: NDArray[np.int64],
) -> None:
    """``min(max((total * multiplier + bias + half) >> right, 0), top)`` of each channel, half that of
    ``2**right``. totals, codes uint8 ``[n, P, C]``; counts ``[n]`` receives how many codes are above 0.
    """
    images, positions, channels = codes.shape
    for n in range(images):
        above = 0
        for p in range(positions):
            for c in range(channels):
                total = np.int64(totals[n, p, c]) * multiplier[c] + bias[c]
                code = min(max((total + ((1 << right[c]) >> 1)) >> right[c], 0), top)
                codes[n, p, c] = code
                above += code > 0
        counts[n] = above


@jit
def bus_toggles(inputs: NDArray[np.uint8], toggles: NDArray[np.int64]) -> None:
    """Bits that change between neighbouring pixel words of each row, ``[n, H]``; a row starts from zeros."""
    images, height, width, channels = inputs.shape
    for n in range(images):
        for y in range(height):
            row = inputs[n, y].reshape(width * channels)
            before = row[: (width - 1) * channels]
            total = 0
            for i in range(channels):
                total += _ones(row[i])
            for i in range((width - 1) * channels):
                total += _ones(row[channels + i] ^ before[i])
            toggles[n, y] = total


@jit
def _ones(word: Any) -> Any:
    """How many bits of a byte are set: sums of two, of four, of eight bits."""
    word = np.uint8(word - ((word >> 1) & 0x55))
    word = np.uint8((word & 0x33) + ((word >> 2) & 0x33))
    return np.uint8((word + (word >> 4)) & 0x0F)
