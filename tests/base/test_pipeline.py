"""Kernels compiled without what nobody asks for: the same options are equal, parts are compiled once."""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest

from imcsim.base.compiled import after, compiled, numbers
from imcsim.functional import kernels
from imcsim.timing.fabric.kernels import records
from tests.helpers import naive

numba = pytest.importorskip("numba")


def _described() -> list[Any]:
    from numba.core.compiler import Flags

    found = [Flags() for _ in range(4)]
    found[1].nrt = False  # as by default, but said
    found[2].nrt = True
    found[3].error_model = "numpy"
    return found


def test_options_are_equal_where_numba_says_so() -> None:
    from imcsim.base.compiled.pipeline import Options

    flags = _described()
    for (a, first), (b, second) in product(enumerate(flags), repeat=2):
        same = first == second
        assert same == (a == b or {a, b} == {0, 1})
        assert (Options(first) == Options(second)) == (Options(first) == second) == same
        assert (first == Options(second)) == same
        assert hash(Options(first)) == hash(second)
        assert Options(first).copy() == first
    assert Options(flags[0]) != "options"


def _added(values: Any, first: Any, second: Any) -> Any:
    return values[first] + second


_part = compiled(_added, inner=True)


def _outer(values: Any, first: Any) -> Any:
    return _part(values, 0, 1) + _part(values, first, 2) + _part(values, 1, first)


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")
def test_parts_are_compiled_once_for_their_types_and_not_kept() -> None:
    values = np.array([3, 50, 700])
    part: Any = _part
    assert part.code.signatures == []
    assert numba.njit(_outer)(values, 2) == (3 + 1) + (700 + 2) + (50 + 2)
    assert len(part.code.signatures) == 1
    assert type(part.code._cache).__name__ == "NullCache"


def _moved(memory: Any, flags: Any, steps: int) -> Any:
    memory, flags = numbers(memory), numbers(flags)
    phase = memory[0]
    for step in range(steps):
        # A name that is a constant on one way only stays what it is on the others.
        if memory[step] > records.PART:
            phase = records.LINK
        if phase == records.LINK:
            memory[step] += 100
            flags[step] = not flags[step]
        memory[step] += _counted(after(memory, step))
    return phase


@partial(compiled, inner=True)
def _counted(some: Any) -> Any:
    return 2000 + some[1]


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")
def test_numbers_at_an_address_are_those_of_the_array() -> None:
    memory, flags = np.array([1, 1, 9, 1, 5, 7]), np.array([True, False, True, False])
    assert compiled(_moved)(memory, flags, 4) == records.LINK
    assert memory.tolist() == [2002, 2010, 2110, 2106, 5, 7]
    assert flags.tolist() == [True, False, False, True]


@pytest.mark.parametrize("sums", [False, True])
@pytest.mark.parametrize(("size", "stride", "padding"), [((5, 2), (3, 4), (4, 1)), ((1, 1), (7, 7), (0, 0))])
def test_pools_whose_windows_lie_in_the_padding(sums: bool, size: Any, stride: Any, padding: Any) -> None:
    inputs = np.random.default_rng(1).integers(0, 9, (2, 3, 6, 2)).astype(np.uint8)
    extent = [(inputs.shape[k + 1] + 2 * padding[k] - size[k]) // stride[k] + 1 for k in range(2)]
    out = np.empty((2, *extent, 2), np.uint8)
    kernels.pool(inputs, size, stride, padding, sums, out)
    assert np.array_equal(out, naive.pool(inputs, size, stride, padding, sums))
