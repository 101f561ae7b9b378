"""Kernels as machine code: made when they are first called, and kept between runs (see `kept`).

To import numba takes longer than all else that a run needs before it begins. So a kernel's module does not
import it: what `compiled` returns does, at its first call.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, update_wrapper
from typing import Any, TypeVar, cast

from imcsim.base.choices import ErrorModel

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F, *, error_model: ErrorModel = "python", inner: bool = False) -> F:
    """Compile `function` when it is first called, without the interpreter lock, and keep the machine code.

    With `error_model` ``numpy`` a division by zero raises nothing. An `inner` one is called by compiled
    functions only.
    """
    return cast(F, Compiled(function, error_model, inner))


class Compiled:
    """A function that is called as machine code, from Python or from another one."""

    def __init__(self, function: Callable[..., Any], error_model: ErrorModel, inner: bool) -> None:
        self._how = function, error_model, inner
        update_wrapper(self, function)

    @cached_property
    def code(self) -> Any:
        """numba's dispatcher; the function itself where numba is told not to compile."""
        from imcsim.base.compiled.kept import dispatcher, known_to_numba

        known_to_numba(Compiled)
        known_to_numba(BuiltIn)
        return dispatcher(*self._how)

    def __call__(self, *arguments: Any) -> Any:
        return self.code(*arguments)


class BuiltIn:
    """A function of `memory`, which imports numba, for kernels; `plain` is the same in numpy."""

    def __init__(self, name: str, plain: Callable[..., Any]) -> None:
        self._name, self._plain = name, plain

    @cached_property
    def code(self) -> Any:
        """What numba makes machine code of."""
        from imcsim.base.compiled import memory

        return getattr(memory, self._name)

    def __call__(self, *arguments: Any) -> Any:
        return self._plain(*arguments)


numbers = BuiltIn("numbers", lambda array: array)
"""The numbers of a contiguous array of one dimension, without its length: compiled in half of the time."""

after = BuiltIn("after", lambda array, first: array[first:])
"""``after(numbers, first)``: those from the place `first` on."""
