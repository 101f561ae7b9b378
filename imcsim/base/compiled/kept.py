"""Machine code that never runs for other sources than its own, and never damaged.

Constants and functions of other modules are compiled into a kernel. So code is kept for the sources of all
modules of the package that the kernel's module imports, directly or not, and for the versions of Python,
numba and llvmlite. Each file holds one kernel for the types of its arguments, under a name that says what it
is for; its first bytes are a checksum over all the others. A file that does not fit is removed, and the
kernel is compiled anew.

`places` says where code is kept. Several processes may compile at once: files are written whole, and none
lists the others. Where nothing can be written, every run compiles anew.
"""

from __future__ import annotations

import hashlib
import pickle
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numba.extending
from numba.core.compiler import CompileResult
from numba.core.registry import cpu_target
from numba.core.runtime import rtsys
from numba.core.serialize import dumps

from imcsim.base.choices import ErrorModel
from imcsim.base.compiled import memory as memory
from imcsim.base.compiled.pipeline import ForTypes, Pipeline
from imcsim.base.compiled.places import place_for
from imcsim.base.compiled.watched import tell
from imcsim.base.files import PARTIAL, read_ordinary, written_whole
from imcsim.base.notes import note_once


def dispatcher(function: Callable[..., Any], error_model: ErrorModel, inner: bool) -> Any:
    """What compiles `function` at a call, for the types of its arguments; see `compiled`."""
    made = numba.njit(
        nogil=True,
        error_model=error_model,
        no_cpython_wrapper=inner,
        no_cfunc_wrapper=True,
        pipeline_class=Pipeline,
    )(function)
    if not inner and not numba.config.DISABLE_JIT:
        folder = place_for(function.__code__.co_filename)
        if folder is not None:
            made._cache = Kept(function, folder)
    return made


_known: set[type] = set()


def known_to_numba(kind: type) -> None:
    """Let the compiler take an object of `kind`, which kernels call, for its dispatcher `code`."""
    if kind in _known:
        return
    _known.add(kind)

    @numba.extending.typeof_impl.register(kind)  # type: ignore[untyped-decorator]
    def _type_of(function: Any, context: Any) -> Any:
        if isinstance(function.code, numba.core.dispatcher.Dispatcher):
            return ForTypes(function.code)
        return cpu_target.typing_context.resolve_value_type(function.code)


class Kept:
    """The code of one function in `folder`: numba asks for it before it compiles, and hands in the rest."""

    def __init__(self, function: Callable[..., Any], folder: Path) -> None:
        code = function.__code__
        name = re.sub(r"[^\w.]", "", f"{Path(code.co_filename).stem}.{function.__qualname__}")
        self._folder, self._name = folder, function.__qualname__.strip("_").replace("_", " ")
        self._base = f"{name}-{code.co_firstlineno}.{sys.implementation.cache_tag}-"
        closure = dumps([cell.cell_contents for cell in function.__closure__ or ()])
        made_by = (sys.version, numba.__version__, llvmlite.__version__, sources(function.__module__))
        self._about = repr((made_by, name, code.co_firstlineno, _hash(code.co_code), _hash(closure)))
        self._stamp = _hash(self._about.encode())[:16]

    @property
    def cache_path(self) -> str:
        """Where the code lies; numba's figures about its caches name it."""
        return str(self._folder)

    def load_overload(self, signature: Any, context: Any) -> Any:
        """The kernel for a signature, or None; called by numba."""
        rtsys.initialize(context)
        about = self._key(signature, context.codegen())
        path = self._path(about)
        try:
            raw = read_ordinary(path, _LARGEST_KERNEL)
        except (OSError, ValueError):
            tell(self._name)
            return None
        try:
            return CompileResult._rebuild(context, *_unsealed(raw, about))
        except Exception:  # what unpickling and linking raise has no common class
            with suppress(OSError):
                path.unlink()
                text = f"{path}: a damaged kernel was removed from the cache and is compiled anew"
                note_once(text, kind="damaged kernel")
            tell(self._name)
            return None

    def save_overload(self, signature: Any, result: Any) -> None:
        """Keep a kernel; called by numba."""
        tell(None)
        if result.library.has_dynamic_globals or any(not lifted.can_cache for lifted in result.lifted):
            return
        about = self._key(signature, result.codegen)
        path = self._path(about)
        with suppress(OSError):  # there may be no room for it
            with written_whole(path) as temporary:
                temporary.write_bytes(_sealed(about, result._reduce()))
            self._tidy()

    def _tidy(self) -> None:
        """Remove code of sources that are no more, and what a killed process left half written."""
        for other in self._folder.glob(f"{self._base}*.nbc"):
            if not other.name.startswith(f"{self._base}{self._stamp}"):
                other.unlink(missing_ok=True)
        for half in self._folder.glob(f".*{PARTIAL}"):
            if half.stat().st_mtime < time.time() - _LONGEST_WRITE_S:
                half.unlink(missing_ok=True)

    def flush(self) -> None:
        """Nothing waits to be written."""

    def _key(self, signature: Any, codegen: Any) -> str:
        return repr((self._about, signature, codegen.magic_tuple()))

    def _path(self, about: str) -> Path:
        return self._folder / f"{self._base}{self._stamp}-{_hash(about.encode())[:24]}.nbc"


_LONGEST_WRITE_S = 600.0
_CHECKSUM_BYTES = hashlib.sha256().digest_size
_LARGEST_KERNEL = 1 << 26


def _sealed(about: str, payload: Any) -> bytes:
    """What a kernel is for and its code, behind a checksum over both."""
    content: bytes = dumps((about, payload))
    return hashlib.sha256(content).digest() + content


def _unsealed(raw: bytes, about: str) -> Any:
    """The code in `raw`. Raises ValueError where it is damaged, or that of something else."""
    checksum, content = raw[:_CHECKSUM_BYTES], raw[_CHECKSUM_BYTES:]
    if hashlib.sha256(content).digest() != checksum:
        raise ValueError("damaged")
    kept_for, payload = pickle.loads(content)
    if kept_for != about:
        raise ValueError("code of something else")
    return payload


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


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
