"""numba's machine code, which never runs for other sources than its own.

numba keeps machine code beside a module (or in ``NUMBA_CACHE_DIR``, or in the user's own cache) and throws
it away when the module's file changes. But constants and functions of other modules are compiled in as well.
Here code is kept for the sources of all modules of the package that a kernel's module imports, directly or
not. Several processes may compile at once; where nothing can be written, every run compiles anew.
"""

from __future__ import annotations

import hashlib
import pickle
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numba
import numba.extending
from numba.core.caching import FunctionCache, IndexDataCacheFile

from imcsim.base.compiled import Compiled, ErrorModel


def dispatcher(function: Callable[..., Any], error_model: ErrorModel, inner: bool) -> Any:
    """What compiles `function` at a call, for the types of its arguments; see `compiled`."""
    made = numba.njit(nogil=True, error_model=error_model, no_cpython_wrapper=inner, no_cfunc_wrapper=inner)(
        function
    )
    if not numba.config.DISABLE_JIT:
        with suppress(RuntimeError):  # there is no place for it
            made._cache = _Kept(function)
    return made


@numba.extending.typeof_impl.register(Compiled)  # type: ignore[untyped-decorator]
def _type_of(function: Compiled, context: Any) -> Any:
    """To the compiler, a function that a kernel calls is its dispatcher."""
    return numba.typeof(function.code)


_BROKEN = (EOFError, pickle.UnpicklingError)
"""What reading a file raises that is not whole."""


class _Kept(FunctionCache):  # type: ignore[misc]
    """numba's cache of one function, for certain sources. A file that cannot be read or written is none."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file = _Files(self._cache_path, self._impl.filename_base, sources(function.__module__))

    def load_overload(self, signature: Any, context: Any) -> Any:
        with suppress(OSError):
            return super().load_overload(signature, context)
        return None

    def save_overload(self, signature: Any, data: Any) -> None:
        with suppress(OSError):
            super().save_overload(signature, data)


class _Files(IndexDataCacheFile):  # type: ignore[misc]
    """Files of machine code, named after what they hold.

    numba numbers them, and two processes that compile for different arguments at the same time may give the
    same number to both.
    """

    def save(self, key: Any, data: Any) -> None:
        about = repr((self._version, self._source_stamp, key))
        name = f"{self._base}{hashlib.sha256(about.encode()).hexdigest()[:24]}.nbc"
        self._save_data(name, data)
        known = {**self._load_index(), key: name}
        self._save_index(known)
        for path in Path(self._cache_path).glob(f"{self._base}*.nbc"):
            if path.name not in known.values():  # of sources that are no more, or to be compiled once more
                path.unlink(missing_ok=True)

    def load(self, key: Any) -> Any:
        with suppress(*_BROKEN):
            return super().load(key)
        return None

    def _load_index(self) -> dict[Any, str]:
        with suppress(*_BROKEN):
            return dict(super()._load_index())
        return {}

    @property
    def _base(self) -> str:
        return cast(str, self._index_name).removesuffix("nbi")


@lru_cache
def sources(module: str) -> str:
    """A hash over the sources of `module` and all modules of its package that it imports, directly or not."""
    found: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in found and (source := _source(name)) is not None:
            found[name] = source
            waiting += _imported(source, module.partition(".")[0])
    return hashlib.sha256(repr(sorted(found.items())).encode()).hexdigest()


def _source(module: str) -> str | None:
    """The text of a module that is loaded; None for other names that are imported."""
    loader: Any = getattr(sys.modules.get(module), "__loader__", None)
    source: str | None = loader.get_source(module) if hasattr(loader, "get_source") else None
    return source


def _imported(source: str, package: str) -> Iterator[str]:
    """What a source imports from `package`: modules, and names that may be modules."""
    for found in _IMPORT.finditer(source):
        module, names = found["module"], found["several"] or found["names"] or ""
        if module.partition(".")[0] == package:
            yield module
            yield from (f"{module}.{name}" for name in re.findall(r"\w+", names))


_IMPORT = re.compile(
    r"^\s*(?:from|import)\s+(?P<module>[\w.]+)(?:\s+import\s+(?:\((?P<several>[^)]*)\)|(?P<names>.*)))?",
    re.MULTILINE,
)
