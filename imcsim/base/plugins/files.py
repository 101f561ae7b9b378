"""Plug-in files that a user names: each is run once, as a module, and offers its parts by name."""

from __future__ import annotations

import ast
import hashlib
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from types import ModuleType

from imcsim.base.errors import ImcsimError
from imcsim.base.files import read_ordinary
from imcsim.base.names import shown
from imcsim.base.plugins.origin import KINDS, Origin, line_in, told

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_MOST_BYTES = 1 << 24


@dataclass(frozen=True)
class PluginFile:
    """A file that a user named, as it is carried to other processes: its path and its content."""

    path: str
    content: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, eq=False)
class _Loaded:
    file: PluginFile
    module: ModuleType


_lock = RLock()
_files: dict[str, _Loaded] = {}


def load_file(path: str | Path) -> PluginFile:
    """Run the plug-in file `path` and offer its parts by their names; again only if it has changed.

    Raises ImcsimError, with file and line, for a file that cannot be read or run, and one without parts.
    """
    try:
        place = Path(path).resolve(strict=True)
        file = PluginFile(str(place), read_ordinary(place, _MOST_BYTES))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ImcsimError(
            f"the plug-in cannot be read: {reason}", file=path, fix="name a Python file"
        ) from None
    return _loaded(file).file


def load_files(paths: Iterable[str | Path]) -> tuple[PluginFile, ...]:
    """`load_file` for each of `paths`."""
    return tuple(load_file(path) for path in paths)


def files() -> tuple[PluginFile, ...]:
    """The plug-in files that this process has loaded."""
    return tuple(loaded.file for loaded in _files.values())


def adopt(wanted: Iterable[PluginFile]) -> bool:
    """Offer the parts of exactly these files, as another process read them; says whether that is a change.

    The files themselves need not be there.
    """
    with _lock:
        wanted = tuple(wanted)
        if wanted == files():
            return False
        drop()
        for file in wanted:
            _loaded(file)
        return True


def drop() -> None:
    """Offer no parts of files any more."""
    with _lock:
        _files.clear()


def offers(kind: str) -> dict[str, list[tuple[Origin, object]]]:
    """What the loaded files give for each name of a kind."""
    found: dict[str, list[tuple[Origin, object]]] = {}
    with _lock:
        loaded = list(_files.values())
    for one in loaded:
        file, version = one.file, str(getattr(one.module, "__version__", ""))
        for name, part in getattr(one.module, kind, {}).items():
            origin = Origin(kind, name, Path(file.path).name, version, file.sha256, file.path)
            found.setdefault(name, []).append((origin, part))
    return found


def line_of(place: str, name: str) -> int | None:
    """The line on which the loaded file at `place` gives `name` a value."""
    loaded = _files.get(place)
    return None if loaded is None else _assignment(loaded.file.content, name)


def _loaded(file: PluginFile) -> _Loaded:
    with _lock:
        found = _files.get(file.path)
        if found is None or found.file != file:
            found = _Loaded(file, _run(file))
            _files[file.path] = found
        return found


def _run(file: PluginFile) -> ModuleType:
    name = f"imcsim_plugin_{file.sha256[:16]}"
    module = ModuleType(name)
    module.__file__ = file.path
    # Classes of the module find it by its name, as data classes do.
    sys.modules[name] = module
    try:
        exec(compile(file.content, file.path, "exec", dont_inherit=True), module.__dict__)
    except SyntaxError as error:
        raise ImcsimError(
            f"the plug-in is no Python: {error.msg}", file=file.path, line=error.lineno, fix="mend that line"
        ) from None
    except ImcsimError:
        raise
    except (Exception, SystemExit) as error:
        raise ImcsimError(
            f"the plug-in cannot be loaded: {told(error)}",
            file=file.path,
            line=line_in(error, file.path)[1],
            fix="mend that line, or install what it needs",
        ) from error
    given = [kind for kind in KINDS if hasattr(module, kind)]
    if not given:
        fix = "define one of " + ", ".join(f"{kind} = {{name: part}}" for kind in KINDS)
        raise ImcsimError("the plug-in offers nothing", file=file.path, fix=fix)
    for kind in given:
        parts = getattr(module, kind)
        line = _assignment(file.content, kind)
        if not isinstance(parts, Mapping):
            message = f"expected a mapping from name to part, got {shown(parts)}"
            raise ImcsimError(
                message, file=file.path, line=line, key=kind, fix=f"write {kind} = {{name: part}}"
            )
        for name in parts:
            _check_name(name, kind, file.path, line)
    return module


def _check_name(name: object, kind: str, file: str | Path, line: int | None) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ImcsimError(
            f"{name!r:.60} is no name for a part",
            file=file,
            line=line,
            key=kind,
            fix="use a to z, 0 to 9 and _, from a letter on",
        )


def _assignment(content: bytes, name: str) -> int | None:
    """The line on which a module gives `name` a value."""
    for node in ast.parse(content).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return node.lineno
    return None
