"""How the operators of a kernel are typed: asked of numba once for operands of the same types.

A kernel adds, compares and reads a place hundreds of times, of a few types. For each of these numba goes
through all that anything may mean by the operator, several times where one operand is a constant, and does so
again when it makes code of it.
"""

from __future__ import annotations

import operator
from typing import Any

import numba.extending
from numba.core import errors, types


class Operator(types.Function):
    """A function of numba's own, which knows what it was typed as before."""

    def __init__(self, function: Any) -> None:
        self.__dict__ = function.__dict__

    def get_call_type(self, context: Any, args: Any, kws: Any) -> Any:
        """The signature of a call; asked for by numba."""
        if kws:
            return super().get_call_type(context, args, kws)
        about = self.key, tuple(args)
        if about in _refused:
            raise _refused[about]
        if about not in _typed:
            try:
                _typed[about] = super().get_call_type(context, args, kws)
            except errors.TypingError as error:
                _refused[about] = error
                raise
        return _typed[about]


numba.extending.register_model(Operator)(numba.extending.models.OpaqueModel)

_typed: dict[Any, Any] = {}
_refused: dict[Any, errors.TypingError] = {}


class Typing:
    """numba's context of types, in which its functions are `Operator`."""

    def __init__(self, context: Any) -> None:
        self._context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def resolve_value_type(self, value: Any) -> Any:
        """The type of a value; asked for by numba."""
        found = self._context.resolve_value_type(value)
        return Operator(found) if type(found) is types.Function else found

    def resolve_function_type(self, function: Any, args: Any, kws: Any) -> Any:
        """The signature of a call; asked for by numba."""
        if isinstance(function, Operator):
            return function.get_call_type(self._context, args, kws)
        return self._context.resolve_function_type(function, args, kws)

    def resolve_setitem(self, target: Any, index: Any, value: Any) -> Any:
        """The signature of an assignment to a place; asked for by numba."""
        function = self.resolve_value_type(operator.setitem)
        return function.get_call_type(self._context, (target, index, value), {})
