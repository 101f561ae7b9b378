"""Vectors of short unsigned integers, beside `simd`: sums that stop at the largest number, means, and two
neighbours as one longer integer.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from imcsim.functional.crossbars.simd import Vector, summed, vectors


@vectors(lambda one, other: one - other)
def less(typing: Any, one: Any, other: Any) -> Any:
    """``one - other``, of integers."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.sub(*arguments)

    return one(one, other), generate


@vectors(lambda one, other: one + np.minimum(other, ~one))
def capped_sum(typing: Any, one: Any, other: Any) -> Any:
    """``min(one + other, the largest number)``, of unsigned integers."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        room = builder.not_(arguments[0])
        return builder.add(
            arguments[0], builder.select(builder.icmp_unsigned("<", arguments[1], room), arguments[1], room)
        )

    return one(one, other), generate


@vectors(lambda one, other: (one | other) - ((one ^ other) >> 1))
def mean(typing: Any, one: Any, other: Any) -> Any:
    """``(one + other + 1) >> 1``, of unsigned integers, as if they were longer."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        longer = ir.VectorType(ir.IntType(2 * one.dtype.bitwidth), one.count)
        total = builder.add(*(builder.zext(each, longer) for each in arguments))
        ones = ir.Constant(longer, [1] * one.count)
        return builder.trunc(builder.lshr(builder.add(total, ones), ones), arguments[0].type)

    return one(one, other), generate


@vectors(lambda values, array: values.view(array.dtype))
def pairs(typing: Any, values: Any, array: Any) -> Any:
    """Two neighbours each as one integer of the type of `array`, which is twice as long."""
    result = Vector(array.dtype, values.count // 2)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(result))

    return result(values, array), generate


@vectors(lambda values: values >> (4 * values.itemsize))
def odd_ones(typing: Any, values: Any) -> Any:
    """The second one of each of `pairs`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        by = ir.Constant(arguments[0].type, [values.dtype.bitwidth // 2] * values.count)
        return builder.lshr(arguments[0], by)

    return values(values), generate


def _interleaved(words: Any, odd: Any) -> Any:
    return np.stack([words - (odd << (4 * odd.itemsize)), odd], 1).ravel()


@vectors(_interleaved)
def interleaved(typing: Any, words: Any, odd: Any) -> Any:
    """Of sums of `pairs`, and of the second ones of them: the sums of first and second ones, by turns."""
    result = Vector(words.dtype, 2 * words.count)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = arguments[0].type
        by = ir.Constant(kind, [words.dtype.bitwidth // 2] * words.count)
        even = builder.sub(arguments[0], builder.shl(arguments[1], by))
        order = [place for k in range(words.count) for place in (k, words.count + k)]
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), result.count), order)
        return builder.shuffle_vector(even, arguments[1], lanes)

    return result(words, odd), generate


class _Halves:
    """Sums of both halves of bytes, in three instructions a row, without a mask.

    In words of two bytes ``l0 + 16 h0 + 256 (l1 + 16 h1)``, rows are added up byte by byte, as they are and
    moved by 4 bits: what wraps around are sums of ``l0 + 16 h0`` and ``l1 + 16 h1``, and of ``h0 + 16 l1``
    and ``h1``. Sums of halves fit a byte. So the last one is that of h1, it tells what h1 has in that of
    ``l1 + 16 h1``, and so on to l0. Values are added as they come: few are in registers beside the sums.
    """

    def __init__(self, length: int) -> None:
        self.kind = ir.VectorType(ir.IntType(8), length)
        self._words = ir.VectorType(ir.IntType(16), length // 2)

    def values(self, builder: Any, place: Any) -> Iterator[Any]:
        """What a row at a place adds to the two sums."""
        packed = builder.load(builder.bitcast(place, self.kind.as_pointer()))
        packed.align = 1
        yield packed
        yield self._moved(builder.lshr, builder, packed, 0xFFFF)

    def low_and_high(self, builder: Any, total: Any, moved: Any) -> Any:
        """The sums of low halves, then those of high ones, of the two sums."""
        total = builder.sub(total, self._moved(builder.shl, builder, moved, 0xF000))
        moved = builder.sub(moved, self._moved(builder.lshr, builder, total, 0x00F0))
        total = builder.sub(total, self._moved(builder.shl, builder, moved, 0x00F0))
        count = 2 * self.kind.count
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), count), list(range(count)))
        return builder.shuffle_vector(total, moved, lanes)

    def _moved(self, shift: Any, builder: Any, values: Any, mask: int) -> Any:
        """Words moved by 4 bits, and of that what `mask` lets through."""
        four, let = (ir.Constant(self._words, [number] * self._words.count) for number in (4, mask))
        words = builder.and_(shift(builder.bitcast(values, self._words), four), let)
        return builder.bitcast(words, self.kind)


def _sum_of_packed_rows(
    table: Any, columns: int, rows: Any, first: int, last: int, at: int, count: int
) -> Any:
    packed = [table[row * columns + at :][: count // 2] for row in rows[first:last]]
    both = [np.concatenate((each & 15, each >> 4)) for each in packed]
    return np.sum(both, axis=0, dtype=table.dtype) if both else np.zeros(count, table.dtype)


@vectors(_sum_of_packed_rows)
def sum_of_packed_rows(
    typing: Any, table: Any, columns: Any, rows: Any, first: Any, last: Any, at: Any, count: Any
) -> Any:
    """`sum_of_rows` of bytes that hold two numbers each; `columns` and `at` count bytes.

    First come the sums of the low halves of ``count // 2`` bytes, then those of the high halves.
    """
    result = Vector(table.dtype, count.literal_value)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        halves = _Halves(result.count // 2)

        values = partial(halves.values, builder)
        sums = summed(context, builder, table, rows, arguments, (halves.kind,) * 2, values)
        return halves.low_and_high(builder, *sums)

    return result(table, types.intp, rows, types.intp, types.intp, types.intp, count), generate


def _sums_of_packed_rows(
    table: Any, columns: int, rows: Any, first: int, last: int, at: int, second: int, third: int, count: int
) -> Any:
    each = (at, second, third)
    return tuple(_sum_of_packed_rows(table, columns, rows, first, last, one, count) for one in each)


@vectors(_sums_of_packed_rows)
def sums_of_packed_rows(
    typing: Any,
    table: Any,
    columns: Any,
    rows: Any,
    first: Any,
    last: Any,
    at: Any,
    second: Any,
    third: Any,
    count: Any,
) -> Any:
    """`sum_of_packed_rows` at three places."""
    one = Vector(table.dtype, count.literal_value)
    result = types.UniTuple(one, 3)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        halves = _Halves(one.count // 2)
        further = [builder.sub(arguments[k], arguments[5]) for k in (6, 7)]

        def values(place: Any) -> Iterator[Any]:
            yield from halves.values(builder, place)
            for by in further:
                yield from halves.values(builder, builder.gep(place, [by]))

        sums = summed(context, builder, table, rows, arguments, (halves.kind,) * 6, values)
        joined = [halves.low_and_high(builder, *sums[k : k + 2]) for k in (0, 2, 4)]
        return context.make_tuple(builder, signature.return_type, joined)

    return result(
        table, types.intp, rows, types.intp, types.intp, types.intp, types.intp, types.intp, count
    ), generate


def _sums_of_signed_rows(
    table: Any, columns: int, rows: Any, first: int, last: int, at: int, count: int
) -> Any:
    each = np.array([table[row * columns + at :][:count] for row in rows[first:last]]).reshape(-1, count)
    return tuple(np.maximum(one, 0).sum(axis=0, dtype=table.dtype) for one in (each, -each))


@vectors(_sums_of_signed_rows)
def sums_of_signed_rows(
    typing: Any, table: Any, columns: Any, rows: Any, first: Any, last: Any, at: Any, count: Any
) -> Any:
    """`sum_of_rows` over numbers above 0, and less that over numbers below 0."""
    one = Vector(table.dtype, count.literal_value)
    result = types.Tuple((one, one))

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = context.get_value_type(one)
        nothing = ir.Constant(kind, None)

        def values(place: Any) -> tuple[Any, ...]:
            number = builder.load(builder.bitcast(place, kind.as_pointer()))
            number.align = table.dtype.bitwidth // 8
            return builder.select(builder.icmp_signed(">", number, nothing), number, nothing), number

        above, total = summed(context, builder, table, rows, arguments, (kind, kind), values)
        return context.make_tuple(builder, result, (above, builder.sub(above, total)))

    return result(table, types.intp, rows, types.intp, types.intp, types.intp, count), generate


@vectors(lambda values, by: values << by)
def raised(typing: Any, values: Any, by: Any) -> Any:
    """``values << by`` of integers, each by its own number of bits."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.shl(*arguments)

    return values(values, by), generate


@vectors(lambda one, other: np.maximum(one, other))
def larger(typing: Any, one: Any, other: Any) -> Any:
    """The larger one of each two signed integers."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.select(builder.icmp_signed(">", *arguments), *arguments)

    return one(one, other), generate


@vectors(lambda one, other, array: (one >= other).astype(array.dtype))
def at_least(typing: Any, one: Any, other: Any, array: Any) -> Any:
    """1 where a signed integer is at least the other one, else 0, in words of `array`."""
    result = Vector(array.dtype, one.count)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.zext(builder.icmp_signed(">=", *arguments[:2]), context.get_value_type(result))

    return result(one, other, array), generate


@vectors(lambda which, one, other: np.where(which, one, other))
def selected(typing: Any, which: Any, one: Any, other: Any) -> Any:
    """`one` where `which` is 1, `other` where it is 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        nothing = ir.Constant(arguments[0].type, None)
        return builder.select(builder.icmp_unsigned("!=", arguments[0], nothing), *arguments[1:])

    return one(which, one, other), generate


@vectors(lambda values: int(values.sum()))
def total(typing: Any, values: Any) -> Any:
    """The sum of unsigned integers, which their type holds."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = arguments[0].type
        element = context.get_value_type(values.dtype)
        name = f"llvm.vector.reduce.add.v{values.count}i{values.dtype.bitwidth}"
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(element, [kind]), name)
        return builder.zext(builder.call(function, [arguments[0]]), ir.IntType(64))

    return types.int64(values), generate
