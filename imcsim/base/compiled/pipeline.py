"""How numba compiles our kernels: as it does by itself, without what nobody asks for.

Left to itself it spends most of its time on these things.

- It looks up each call by the types of its arguments and the options of the compilation, of which there is an
  object for every function; to compare two of them it asks for two dozen options, one by one. See `Options`.
- It optimises a function that only kernels call by itself, makes machine code of it, and does both again in
  each kernel that calls it. See `PartCode`.
- It compiles a function that is called with a constant once more for this. See `ForTypes`.
- It asks anew what an operator means wherever there is one. See `operators`.
- It looks through a function after each of two dozen stages, of which kernels need half. See `STAGES`.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numba.extending
from numba._dynfunc import make_function
from numba.core import ir, typed_passes, types, untyped_passes
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler, Flags
from numba.core.compiler_machinery import FunctionPass, PassManager, register_pass
from numba.core.types.misc import unliteral

from imcsim.base.compiled.operators import Typing
from imcsim.base.garbage import not_collected


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


class KernelCode(JITCodeLibrary):  # type: ignore[misc]
    """The code of a kernel, optimised once: numba does so twice, for those who count holders of arrays."""

    def _optimize_final_module(self) -> None:
        """Called by numba."""
        passes, options = self._codegen._module_pass_manager()
        passes.run(self._final_module, options)


class PartCode(KernelCode):
    """The code of a function that only kernels call: theirs is optimised and made machine code, not this.

    But what is inlined by force is optimised by itself, too: loops over reads are faster by a seventh for it.
    """

    def __init__(self, codegen: Any, name: str, optimised: bool) -> None:
        super().__init__(codegen, name)
        self._optimised = optimised

    def _optimize_functions(self, module: Any) -> None:
        """Called by numba, as the next ones."""
        if self._optimised:
            super()._optimize_functions(module)
        else:
            module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
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
        self.state.typingctx = self.state.targetctx.typing_context = Typing(typing)
        if library is not None:
            return
        state = self.state
        codegen = state.targetctx.codegen()
        if flags.no_cpython_wrapper:
            state.library = PartCode(codegen, "part", bool(flags.forceinline))
            state.targetctx.get_executable = _not_to_be_called
        else:
            state.library = KernelCode(codegen, "kernel")
            state.library.enable_object_caching()

    def compile_extra(self, function: Any) -> Any:
        """The machine code of a function; asked for by numba."""
        # What a compilation makes lasts until its end.
        with not_collected():
            return super().compile_extra(function)

    def define_pipelines(self) -> list[PassManager]:
        """The stages of a compilation; asked for by numba."""
        stages = Stages("kernel")
        for stage in STAGES:
            stages.add_pass(stage, stage.__name__)
        stages.finalize()
        return [stages]


class Stages(PassManager):  # type: ignore[misc]
    """Stages after which nothing is looked at again that the next ones do not ask for."""

    _ENFORCING = False


@register_pass(mutates_CFG=False, analysis_only=False)
class NamedConstants(FunctionPass):  # type: ignore[misc]
    """Whole numbers that are read from a module by name are constants."""

    _name = "named_constants"

    def __init__(self) -> None:
        super().__init__()

    def run_pass(self, state: Any) -> bool:
        """Called by numba."""
        for block in state.func_ir.blocks.values():
            modules: dict[str, ModuleType] = {}
            for one in block.find_insts(ir.Assign):
                value, name = one.value, one.target.name
                if isinstance(value, ir.Global) and isinstance(value.value, ModuleType):
                    modules[name] = value.value
                elif isinstance(value, ir.Expr) and value.op == "getattr" and value.value.name in modules:
                    number = getattr(modules[value.value.name], value.attr)
                    if type(number) is int:
                        one.value = ir.Global(value.attr, number, value.loc)
                        said = state.func_ir._definitions[name]
                        said[:] = [one.value if other is value else other for other in said]
        return True


STAGES = (
    untyped_passes.TranslateByteCode,
    NamedConstants,
    untyped_passes.FixupArgs,
    untyped_passes.IRProcessing,
    untyped_passes.RewriteSemanticConstants,
    untyped_passes.DeadBranchPrune,
    untyped_passes.GenericRewrites,
    untyped_passes.FindLiterallyCalls,
    untyped_passes.ReconstructSSA,
    typed_passes.NopythonTypeInference,
    typed_passes.PreLowerStripPhis,
    typed_passes.InlineOverloads,
    typed_passes.NoPythonSupportedFeatureValidation,
    typed_passes.IRLegalization,
    typed_passes.AnnotateTypes,
    typed_passes.NativeLowering,
    typed_passes.NoPythonBackend,
)
"""numba's own stages but those for what no kernel has: closures, `with`, exceptions with arguments, sums of
whole arrays, functions to be inlined.
"""


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
