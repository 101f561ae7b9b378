"""Rows of numbers that stay in the processor's vector registers, as values that kernels can use.

A loop that adds up rows of an array stores its sums after each row. A `Vector` is a local value of fixed
length, so the sums of a whole read stay in registers. LLVM cuts a vector to the registers that a processor
has: there is nothing here for one kind of processor.

Integers wrap around as numpy's do. `at` counts elements of a contiguous array of one dimension, or of its
`numbers`; that ``at + count`` elements are there is not checked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numba.extending
import numpy as np
from llvmlite import ir
from numba import types
from numba.np.arrayobj import make_array

from imcsim.base.compiled.memory import Numbers

Function = Callable[..., Any]


def vectors(plain: Function) -> Callable[[Function], Function]:
    """What kernels call: without `typing`, the first argument of the function that says how it is made.

    `plain` says the same in numpy; it is called where numba is told not to compile.
    """

    def made(function: Function) -> Function:
        if numba.config.DISABLE_JIT:
            return plain
        return cast(Function, numba.extending.intrinsic(prefer_literal=True)(function))

    return made


class Vector(types.Type):  # type: ignore[misc]
    """The numba type of `count` numbers of one type."""

    def __init__(self, dtype: Any, count: int) -> None:
        self.dtype, self.count = dtype, count
        super().__init__(name=f"Vector({dtype} x {count})")


def _model(manager: Any, kind: Vector) -> Any:
    element = manager.lookup(kind.dtype).get_value_type()
    return numba.extending.models.PrimitiveModel(manager, kind, ir.VectorType(element, kind.count))


numba.extending.register_model(Vector)(_model)


def _address(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    """Of the first number of an array, or of bare `numbers`."""
    return array if isinstance(kind, Numbers) else make_array(kind)(context, builder, array).data


def _place(context: Any, builder: Any, array_type: Any, array: Any, at: Any, vector: Any) -> Any:
    """The address of ``array[at:]`` as that of a vector."""
    data = _address(context, builder, array_type, array)
    return builder.bitcast(builder.gep(data, [at]), vector.as_pointer())


@vectors(lambda array, at, count: array[at : at + count].copy())
def load(typing: Any, array: Any, at: Any, count: Any) -> Any:
    """``array[at : at + count]``; `count` is a constant."""
    result = Vector(array.dtype, count.literal_value)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = context.get_value_type(result)
        value = builder.load(_place(context, builder, array, arguments[0], arguments[1], kind))
        value.align = array.dtype.bitwidth // 8
        return value

    return result(array, types.intp, count), generate


@vectors(lambda array, at, values: array.__setitem__(slice(at, at + len(values)), values))
def store(typing: Any, array: Any, at: Any, values: Any) -> Any:
    """``array[at : at + count] = values``"""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value = arguments[2]
        place = _place(context, builder, array, arguments[0], arguments[1], value.type)
        builder.store(value, place).align = array.dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.void(array, types.intp, values), generate


@vectors(lambda array, count: np.zeros(count, array.dtype))
def zeros(typing: Any, array: Any, count: Any) -> Any:
    """`count` zeros, a constant number of them, of the type of `array`."""
    result = Vector(array.dtype, count.literal_value)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return ir.Constant(context.get_value_type(result), None)

    return result(array, count), generate


@vectors(lambda array, value, count: np.full(count, value).astype(array.dtype))
def full(typing: Any, array: Any, value: Any, count: Any) -> Any:
    """`count` times `value`, a constant number of them, as the type of `array`."""
    result = Vector(array.dtype, count.literal_value)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = context.get_value_type(result)
        one = context.cast(builder, arguments[1], value, array.dtype)
        single = builder.insert_element(ir.Constant(kind, ir.Undefined), one, ir.Constant(ir.IntType(32), 0))
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), result.count), None)
        return builder.shuffle_vector(single, ir.Constant(kind, ir.Undefined), lanes)

    return result(array, value, count), generate


@vectors(lambda one, other: one + other)
def add(typing: Any, one: Any, other: Any) -> Any:
    """``one + other``"""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        operation = builder.fadd if isinstance(one.dtype, types.Float) else builder.add
        return operation(*arguments)

    return one(one, other), generate


@vectors(lambda one, other: one * other)
def times(typing: Any, one: Any, other: Any) -> Any:
    """``one * other``"""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        operation = builder.fmul if isinstance(one.dtype, types.Float) else builder.mul
        return operation(*arguments)

    return one(one, other), generate


@vectors(lambda values, by: values >> by)
def shifted(typing: Any, values: Any, by: Any) -> Any:
    """``values >> by`` of integers, each by its own number of bits."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return (builder.ashr if values.dtype.signed else builder.lshr)(*arguments)

    return values(values, by), generate


@vectors(lambda one, other: np.minimum(one, other))
def smaller(typing: Any, one: Any, other: Any) -> Any:
    """The smaller one of each two integers."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        compared = builder.icmp_signed if one.dtype.signed else builder.icmp_unsigned
        return builder.select(compared("<", *arguments), *arguments)

    return one(one, other), generate


@vectors(lambda values: np.maximum(values, 0))
def not_negative(typing: Any, values: Any) -> Any:
    """Integers, with 0 in place of those below 0; unsigned ones as they are."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if not values.dtype.signed:
            return arguments[0]
        nothing = ir.Constant(arguments[0].type, None)
        return builder.select(builder.icmp_signed(">", arguments[0], nothing), arguments[0], nothing)

    return values(values), generate


@vectors(lambda values, array: values.astype(array.dtype))
def converted(typing: Any, values: Any, array: Any) -> Any:
    """Integers as the longer or shorter ones of `array`."""
    result = Vector(array.dtype, values.count)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        more = array.dtype.bitwidth - values.dtype.bitwidth
        if more == 0:
            return arguments[0]
        extend = builder.sext if values.dtype.signed else builder.zext
        return (extend if more > 0 else builder.trunc)(arguments[0], context.get_value_type(result))

    return result(values, array), generate


@vectors(lambda values, bit: sum(1 << k for k, value in enumerate(values) if int(value) >> bit & 1))
def set_bits(typing: Any, values: Any, bit: Any) -> Any:
    """Which of 64 integers have a bit set, as the bits of one integer, the first one lowest."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = arguments[0].type
        one = context.cast(builder, arguments[1], bit, values.dtype)
        mask = builder.shl(ir.Constant(kind.element, 1), one)
        single = builder.insert_element(ir.Constant(kind, ir.Undefined), mask, ir.Constant(ir.IntType(32), 0))
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), values.count), None)
        masks = builder.shuffle_vector(single, ir.Constant(kind, ir.Undefined), lanes)
        is_set = builder.icmp_unsigned("!=", builder.and_(arguments[0], masks), ir.Constant(kind, None))
        return builder.bitcast(is_set, ir.IntType(64))

    return types.int64(values, bit), generate


@vectors(lambda bits: int(bits).bit_count())
def ones(typing: Any, bits: Any) -> Any:
    """How many bits of an integer are set."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.int64), generate


def _sum_of_rows(table: Any, columns: int, rows: Any, first: int, last: int, at: int, count: int) -> Any:
    total = np.zeros(count, table.dtype)
    for row in rows[first:last]:
        total += table[row * columns + at :][:count]
    return total


@vectors(_sum_of_rows)
def sum_of_rows(
    typing: Any, table: Any, columns: Any, rows: Any, first: Any, last: Any, at: Any, count: Any
) -> Any:
    """``sum(table[rows[e] * columns + at :][:count] for e in range(first, last))``; `count` is a constant."""
    result = Vector(table.dtype, count.literal_value)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = context.get_value_type(result)

        def values(place: Any) -> tuple[Any, ...]:
            value = builder.load(builder.bitcast(place, kind.as_pointer()))
            value.align = table.dtype.bitwidth // 8
            return (value,)

        return summed(context, builder, table, rows, arguments, (kind,), values)[0]

    return result(table, types.intp, rows, types.intp, types.intp, types.intp, count), generate


def summed(
    context: Any, builder: Any, table: Any, rows: Any, arguments: Any, kinds: Any, values: Any
) -> tuple[Any, ...]:
    """A loop over rows: the sums of what `values` makes of the place of each, one after the other."""
    columns, first, last, at = (arguments[k] for k in (1, 3, 4, 5))
    data = _address(context, builder, table, arguments[0])
    plus = builder.fadd if isinstance(table.dtype, types.Float) else builder.add
    begin = builder.block
    loop, done = builder.append_basic_block("row"), builder.append_basic_block("summed")
    place = _address(context, builder, rows, arguments[2])
    builder.cbranch(builder.icmp_signed("<", first, last), loop, done)
    with builder.goto_block(loop):
        e, totals = builder.phi(first.type), [builder.phi(kind) for kind in kinds]
        row = builder.sext(builder.load(builder.gep(place, [e])), first.type)
        start = builder.add(builder.mul(row, columns), at)
        more = [
            plus(total, value)
            for total, value in zip(totals, values(builder.gep(data, [start])), strict=True)
        ]
        following = builder.add(e, ir.Constant(first.type, 1))
        e.add_incoming(first, begin)
        e.add_incoming(following, loop)
        for total, value in zip(totals, more, strict=True):
            total.add_incoming(ir.Constant(total.type, None), begin)
            total.add_incoming(value, loop)
        again = builder.cbranch(builder.icmp_signed("<", following, last), loop, done)
        again.set_metadata("llvm.loop", _not_unrolled(builder.module))
    builder.position_at_end(done)
    found = [builder.phi(kind) for kind in kinds]
    for final, value in zip(found, more, strict=True):
        final.add_incoming(ir.Constant(final.type, None), begin)
        final.add_incoming(value, loop)
    return tuple(found)


def _not_unrolled(module: Any) -> Any:
    """Marks a loop that takes few turns, a number that changes each time: unrolled, it is slower."""
    option = module.add_metadata(["llvm.loop.unroll.disable"])
    mark = module.add_metadata([option])
    mark.operands = (mark, option)  # a loop's mark begins with itself
    return mark
