"""Installed packages that offer parts, by entry points of the groups ``imcsim.<kind>``."""

from __future__ import annotations

import hashlib
import importlib.util
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from threading import RLock

from imcsim.base.errors import ImcsimError
from imcsim.base.plugins.origin import Origin

_lock = RLock()
_entries: dict[str, dict[str, EntryPoint]] = {}
_hashes: dict[str, str] = {}


def installed(kind: str) -> dict[str, EntryPoint]:
    """The entry points of a kind, by name; of several with one name the first by package."""
    with _lock:
        if kind not in _entries:
            found: dict[str, EntryPoint] = {}
            for entry in sorted(entry_points(group=f"imcsim.{kind}"), key=lambda e: (e.name, e.value)):
                found.setdefault(entry.name, entry)
            _entries[kind] = found
        return _entries[kind]


def origin_of(kind: str, entry: EntryPoint) -> Origin:
    """Where the part of an entry point comes from, without importing it. Raises ImcsimError."""
    place = _package(entry)
    source, version = (entry.dist.name, entry.dist.version) if entry.dist else (entry.module, "")
    return Origin(kind, entry.name, source, version, _package_hash(place), str(place))


def drop() -> None:
    """Look for installed packages anew."""
    with _lock:
        _entries.clear()
        _hashes.clear()


def _package(entry: EntryPoint) -> Path:
    """The file or folder of the package that an entry point leads to. Raises ImcsimError."""
    root = entry.module.split(".")[0]
    try:
        spec = importlib.util.find_spec(root)
    except (ImportError, ValueError):
        spec = None
    if spec is None or spec.origin is None:
        message = f"the package {root!r} of this plug-in cannot be found"
        raise ImcsimError(message, key=f"{entry.group} {entry.name}", fix="install it again")
    return Path(spec.origin).parent if spec.submodule_search_locations else Path(spec.origin)


def _package_hash(place: Path) -> str:
    """Over names and bytes of all files of a package but what Python compiled."""
    if str(place) not in _hashes:
        digest = hashlib.sha256()
        if place.is_file():
            digest.update(place.read_bytes())
        else:
            for one in sorted(p for p in place.rglob("*") if p.is_file() and "__pycache__" not in p.parts):
                content = one.read_bytes()
                digest.update(f"{one.relative_to(place).as_posix()}\n{len(content)}\n".encode())
                digest.update(content)
        _hashes[str(place)] = digest.hexdigest()
    return _hashes[str(place)]
