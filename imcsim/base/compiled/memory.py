"""Numbers at an address, for kernels that read and write a large memory at many places.

Of an array numba keeps owner, length, shape and strides as well: it passes all of them on at each call,
counts who holds the array, and asks at each place whether it counts from the end. To compile this takes
longer than the kernel itself. `Numbers` is an address and the type of what is there; that a place is there is
not checked, nor that somebody still holds the array: the kernel's caller does.
"""

from __future__ import annotations

import operator
from typing import Any

import numba.extending
from numba import types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature


class Numbers(types.Type):  # type: ignore[misc]
    """The numba type of an address of numbers of one type."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        super().__init__(name=f"Numbers({dtype})")

    @property
    def key(self) -> Any:
        """What tells such types apart."""
        return self.dtype


@numba.extending.register_model(Numbers)
class _Address(numba.extending.models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Numbers) -> None:
        super().__init__(manager, kind, manager.lookup(kind.dtype).get_data_type().as_pointer())


@infer_global(operator.getitem)
class _Read(AbstractTemplate):  # type: ignore[misc]
    def generic(self, args: Any, kws: Any) -> Any:
        """How ``numbers[at]`` is typed; asked for by numba."""
        if isinstance(args[0], Numbers) and isinstance(args[1], types.Integer):
            return signature(args[0].dtype, args[0], types.intp)
        return None


@infer_global(operator.setitem)
class _Write(AbstractTemplate):  # type: ignore[misc]
    def generic(self, args: Any, kws: Any) -> Any:
        """How ``numbers[at] = value`` is typed; asked for by numba."""
        if isinstance(args[0], Numbers) and isinstance(args[1], types.Integer):
            return signature(types.void, args[0], types.intp, args[0].dtype)
        return None


@numba.extending.lower_builtin(operator.getitem, Numbers, types.Integer)  # type: ignore[untyped-decorator]
def _read(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    kind, place = signature.args[0].dtype, builder.gep(arguments[0], [arguments[1]])
    return context.data_model_manager[kind].from_data(builder, builder.load(place))


@numba.extending.lower_builtin(operator.setitem, Numbers, types.Integer, types.Any)  # type: ignore[untyped-decorator]
def _write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    kind, place = signature.args[0].dtype, builder.gep(arguments[0], [arguments[1]])
    builder.store(context.data_model_manager[kind].as_data(builder, arguments[2]), place)
    return context.get_dummy_value()


@numba.extending.intrinsic  # type: ignore[untyped-decorator]
def numbers(typing: Any, array: Any) -> Any:
    """The numbers of a contiguous array, which its caller holds."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        from numba.np.arrayobj import make_array

        return make_array(array)(context, builder, arguments[0]).data

    return Numbers(array.dtype)(array), generate


@numba.extending.intrinsic  # type: ignore[untyped-decorator]
def after(typing: Any, numbers: Any, first: Any) -> Any:
    """The numbers from the place `first` on."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.gep(arguments[0], [arguments[1]])

    return numbers(numbers, types.intp), generate
