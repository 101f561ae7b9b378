"""A hash over the code that results follow from, which is compared beside the version.

The version stays the same from one commit to the next. Results of different code must not end up in one
table, nor may values that other code computed be taken up. Plug-ins have hashes of their own (see
`imcsim.base.plugins`), which are compared in the same places.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

_SHOWN = 12
_SHOWS_ONLY = ("commands", "report")
"""Packages that nothing which computes a result may import; the floors of ``.importlinter`` see to that."""

_NO_CODE = ("hw_configs", "models", "schema.json")
"""Chips, networks and inputs count by their own hashes, where they are used."""


@lru_cache
def code_sha256() -> str:
    """A hash over the sources and data of the package, but those that only show results."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        place = path.relative_to(root)
        if not path.is_file() or "__pycache__" in place.parts or place.parts[0] in _SHOWS_ONLY:
            continue
        if any(part.startswith(".") or part.endswith((".pyc", *_NO_CODE)) for part in place.parts):
            continue
        content = path.read_bytes()
        digest.update(f"{place.as_posix()}\n{len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def shown_code(sha256: str) -> str:
    """So much of the hash as a message shows."""
    return sha256[:_SHOWN]
