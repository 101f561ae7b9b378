"""How numba compiles our kernels: as it does by itself, without what nobody asks for.

Left to itself it spends half of its time on three things.

- It looks up each call by the types of its arguments and the options of the compilation, of which there is an
  object for every function; to compare two of them it asks for two dozen options, one by one. See `Options`.
- It optimises a function that only kernels call by itself, makes machine code of it, and does both again in
  each kernel that calls it. See `Library`.
- It compiles a function that is called with a constant once more for this. See `ForTypes`.
"""

from __future__ import annotations

from typing import Any

import numba.extending
from numba._dynfunc import make_function
from numba.core import types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler, Flags
from numba.core.types.misc import unliteral


class Options(Flags):  # type: ignore[misc]
    """Options of a compilation that know whether they equal others without asking for each of them."""

    __slots__ = ()

    def __init__(self, copy_from: Any = None) -> None:
        super().__init__()
        self._values.update(_DEFAULTS)
        if copy_from is not None:
            self._values.update(copy_from._values)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if isinstance(other, Options):
            return bool(self._values == other._values)
        if isinstance(other, Flags):
            return bool(self._values == {**_DEFAULTS, **other._values})
        return NotImplemented

    def __hash__(self) -> int:
        return _HASH


_DEFAULTS = Flags().values()
_HASH = hash(Flags())
"""numba's hash of options, which is that of their names."""


class Library(JITCodeLibrary):  # type: ignore[misc]
    """The code of a function that only kernels call: theirs is optimised and made machine code, not this.

    But what is inlined by force is optimised by itself, too: loops over reads are faster by a seventh for it.
    """

    def __init__(self, codegen: Any, name: str, optimised: bool) -> None:
        super().__init__(codegen, name)
        self._optimised = optimised

    def _optimize_final_module(self) -> None:
        """Called by numba, as the next one."""
        if self._optimised:
            super()._optimize_final_module()

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._verify_declare_only_symbols()
        self._finalized = True


class Pipeline(Compiler):  # type: ignore[misc]
    """numba's own stages with such options; what has no wrapper is a part of kernels."""

    def __init__(
        self, typing: Any, target: Any, library: Any, args: Any, returns: Any, flags: Any, names: Any
    ) -> None:
        super().__init__(typing, target, library, args, returns, Options(flags), names)
        if flags.no_cpython_wrapper and library is None:
            state = self.state
            state.library = Library(state.targetctx.codegen(), "part", bool(flags.forceinline))
            state.targetctx.get_executable = _not_to_be_called


def _not_to_be_called(library: Any, about: Any, environment: Any) -> Any:
    """What stands for the machine code of a part, as numba has it for functions without a wrapper."""
    return make_function(about.lookup_module(), about.qualname, "", 0, environment, (library,))


class ForTypes(types.Dispatcher):
    """The type of a function that is compiled for types of arguments, and not once more for constants."""

    def get_call_type(self, context: Any, args: Any, kws: Any) -> Any:
        """The signature of a call; asked for by numba."""
        plain = tuple(unliteral(one) for one in args)
        return super().get_call_type(context, plain, {key: unliteral(one) for key, one in kws.items()})


numba.extending.register_model(ForTypes)(numba.extending.models.OpaqueModel)
