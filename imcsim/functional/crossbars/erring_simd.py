"""Vectors for ADCs that err, beside `simd`: numbers in single precision, normal numbers, and codes.

A compiler that cuts a loop over columns by itself computes one register's columns after the other, and each
waits for its own results. Several registers' columns are computed side by side here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from imcsim.functional.crossbars.simd import Vector, vectors
from imcsim.functional.nonideal import read_noise
from imcsim.functional.nonideal.read_noise import CENTRE, FIELD, MIX_32, ODD, SCALE

_ODD = tuple(
    float(np.float32(c) * np.float32(2 * SCALE) ** power) for c, power in zip(ODD, (1, 3, 5, 7), strict=True)
)
"""As `read_noise.ODD`, for sums that are not scaled: powers of two change no bit."""


def _several(kind: Any, number: float) -> ir.Constant:
    """A vector of one number."""
    return ir.Constant(kind, [number] * kind.count)


def _float_kind(count: int) -> Any:
    return ir.VectorType(ir.FloatType(), count)


@vectors(lambda values: values.astype(np.float32))
def floats(typing: Any, values: Any) -> Any:
    """Integers of up to 32 bits, the unsigned ones below ``2**31``, in single precision."""
    result = Vector(types.float32, values.count)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        whole = arguments[0]
        if values.dtype.bitwidth < 32:
            longer = ir.VectorType(ir.IntType(32), values.count)
            whole = (builder.sext if values.dtype.signed else builder.zext)(whole, longer)
        return builder.sitofp(whole, _float_kind(values.count))

    return result(values), generate


def _unpaired(values: Any) -> Any:
    first = values[0::2].view(f"u{values.itemsize}").astype(np.int32)
    return first, values[1::2].astype(np.int32)


@vectors(_unpaired)
def unpaired(typing: Any, values: Any) -> Any:
    """The first ones of pairs of integers, unsigned and below ``2**31``, and the second ones, as int32."""
    result = Vector(types.int32, values.count // 2)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        both = arguments[0]
        if values.dtype.bitwidth == 16:  # a pair is one word of 32 bits, its first one lowest
            words = builder.bitcast(both, context.get_value_type(result))
            first = builder.and_(words, _several(words.type, (1 << 16) - 1))
            return context.make_tuple(
                builder, signature.return_type, [first, builder.ashr(words, _several(words.type, 16))]
            )
        lanes, nothing = ir.VectorType(ir.IntType(32), result.count), ir.Constant(both.type, ir.Undefined)
        places = (list(range(begin, values.count, 2)) for begin in (0, 1))
        parts = [builder.shuffle_vector(both, nothing, ir.Constant(lanes, some)) for some in places]
        return context.make_tuple(builder, signature.return_type, parts)

    return types.Tuple((result, result))(values), generate


@vectors(np.sqrt)
def root(typing: Any, values: Any) -> Any:
    """The square roots of floats."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = arguments[0].type
        name, about = f"llvm.sqrt.v{values.count}f32", ir.FunctionType(kind, [kind])
        square_root = builder.module.globals.get(name) or ir.Function(builder.module, about, name)
        return builder.call(square_root, arguments)

    return values(values), generate


@vectors(lambda found, top: np.minimum(np.maximum(found, np.float32(0)), top).astype(np.int32))
def clipped(typing: Any, found: Any, top: Any) -> Any:
    """``min(max(floor(found), 0), top)`` of floats, as int32."""
    result = Vector(types.int32, found.count)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = arguments[0].type
        least, single = _several(kind, 0.0), ir.Constant(kind, ir.Undefined)
        single = builder.insert_element(single, arguments[1], ir.Constant(ir.IntType(32), 0))
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), found.count), None)
        most = builder.shuffle_vector(single, ir.Constant(kind, ir.Undefined), lanes)
        above = builder.select(builder.fcmp_ordered(">", arguments[0], least), arguments[0], least)
        below = builder.select(builder.fcmp_ordered("<", above, most), above, most)
        return builder.fptosi(below, context.get_value_type(result))

    return result(found, types.float32), generate


def _normals(weyl: Any, low: Any, high: Any) -> Any:
    columns = np.arange(len(weyl))
    first = weyl[:1].astype(np.uint64) + np.uint64(low)
    return read_noise.gaussian(
        read_noise.words(first & np.uint64(0xFFFFFFFF) | np.uint64(high) << np.uint64(32), columns)
    )


@vectors(_normals)
def normals(typing: Any, weyl: Any, low: Any, high: Any) -> Any:
    """`read_noise.gaussian` of `read_noise.words` of a read's key, in two halves; weyl: the columns' numbers
    times ``GOLDEN_32``.

    What is scaled there by a power of two is not here, and the polynomial is: to the bit the same.
    """
    result = Vector(types.float32, weyl.count)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind, real = arguments[0].type, _float_kind(weyl.count)
        whole = ir.IntType(32)

        def everywhere(number: Any) -> Any:
            single = builder.insert_element(ir.Constant(kind, ir.Undefined), number, ir.Constant(whole, 0))
            lanes = ir.Constant(ir.VectorType(whole, weyl.count), None)
            return builder.shuffle_vector(single, ir.Constant(kind, ir.Undefined), lanes)

        def down(values: Any, by: int) -> Any:
            return builder.lshr(values, _several(kind, by))

        def low_bits(values: Any) -> Any:
            return builder.and_(values, _several(kind, FIELD))

        # What a shift of the key's half gives is known beforehand.
        half = builder.xor(arguments[2], builder.lshr(arguments[2], ir.Constant(whole, 15)))
        word = builder.add(arguments[0], everywhere(arguments[1]))
        word = builder.mul(builder.xor(word, down(word, 16)), _several(kind, MIX_32[0]))
        word = builder.xor(builder.xor(word, down(word, 15)), everywhere(half))
        word = builder.mul(word, _several(kind, MIX_32[1]))
        word = builder.xor(word, down(word, 15))
        total = builder.add(builder.add(low_bits(word), low_bits(down(word, 11))), down(word, 22))
        x = builder.fsub(builder.sitofp(total, real), _several(real, CENTRE / 2))
        square = builder.fmul(x, x)
        found = _several(real, _ODD[3])
        for factor in _ODD[2::-1]:
            found = builder.fadd(builder.fmul(square, found), _several(real, factor))
        return builder.fmul(x, found)

    return result(weyl, types.uint32, types.uint32), generate
