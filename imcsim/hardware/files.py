"""Hardware files: where they lie, and the files that they extend.

A file with ``extends: NAME`` holds only what differs from another one: a config that comes with imcsim, by
its name, or a YAML file, by its path relative to the file that extends it. The other file may itself extend
one.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from imcsim.base.errors import ImcsimError
from imcsim.base.names import shown, suggestion
from imcsim.base.resources import data_dirs
from imcsim.base.yamlfile import YamlDocument, read_yaml

EXTENDS = "extends"
"""The top-level key that names the file whose values a file starts from."""

MOST_FILES = 16
"""Files that may extend each other in a row."""

_YAML = (".yaml", ".yml")


def names() -> list[str]:
    """Names of the configs that come with imcsim."""
    found = {p.stem for folder in data_dirs("hw_configs") for p in Path(str(folder)).glob("*.yaml")}
    return sorted(found)


def find(name_or_path: str | Path) -> Path:
    """The file of a built-in config's name, or a path as it is. Raises ImcsimError for an unknown name."""
    path = Path(name_or_path)
    if path.suffix in _YAML or (str(name_or_path) and path.exists()):
        return path
    known = names()
    if str(name_or_path) not in known:
        raise ImcsimError(
            f"no built-in hardware config is called {str(name_or_path)!r}, and no such file exists",
            fix=suggestion(str(name_or_path), known, f"built in: {', '.join(known)}"),
        )
    return _built_in(str(name_or_path))


def read_chain(path: str | Path) -> list[YamlDocument]:
    """The file `path`, the file that it extends, the one that that extends, and so on.

    Raises ImcsimError for whatever `read_yaml` refuses, for a file without keys, and, with file and line,
    for a wrong ``extends``, a file that comes to extend itself, and more than 16 files in a row.
    """
    chain = [_read(Path(path))]
    seen = {_identity(chain[0].path)}
    while EXTENDS in chain[-1].data:
        document = chain[-1]
        base = _base(document)
        if _identity(base) in seen:
            raise document.error(
                (EXTENDS,), "the file comes to extend itself", fix="let the last file extend none"
            )
        if len(chain) == MOST_FILES:
            raise document.error(
                (EXTENDS,), f"more than {MOST_FILES} files extend each other", fix="write some into one"
            )
        seen.add(_identity(base))
        chain.append(_read(base))
    return chain


def extended(path: Path) -> Path | None:
    """The file that the file `path` extends; None where it extends none."""
    return _extended(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _extended(path: Path, written_ns: int) -> Path | None:
    document = _read(path)
    return _base(document) if EXTENDS in document.data else None


def _read(path: Path) -> YamlDocument:
    if path.parent in data_dirs("hw_configs"):
        try:
            about = path.stat()
        except OSError:
            return _read_anew(path)
        return _read_once(path, about.st_mtime_ns, about.st_size)
    return _read_anew(path)


@lru_cache(maxsize=32)
def _read_once(path: Path, written_ns: int, size: int) -> YamlDocument:
    """A file that comes with imcsim, as last written: every point of a sweep starts from it."""
    return _read_anew(path)


def _read_anew(path: Path) -> YamlDocument:
    document = read_yaml(path)
    if not isinstance(document.data, dict):
        raise document.error((), "expected `key: value` lines", fix="is this a hardware file?")
    return document


def _base(document: YamlDocument) -> Path:
    """The file that `document` extends."""
    name: Any = document.data[EXTENDS]
    if not isinstance(name, str) or not name.strip():
        what = "nothing" if name == "" else shown(name)
        fix = f"built in: {', '.join(names())}; or the path of a .yaml file, relative to this one"
        raise document.error((EXTENDS,), f"expected the name of a chip or of a file, got {what}", fix=fix)
    known = names()
    if name in known:
        return _built_in(name)
    path = document.path.parent / name
    try:
        there = path.is_file()
    except (OSError, ValueError):  # a NUL in the name, or more letters than one may have
        there = False
    if there:
        return path
    if path.suffix in _YAML:
        fix = "the path is relative to this file"
        raise document.error((EXTENDS,), f"there is no file {str(path)!r}", fix=fix)
    fix = suggestion(name, known, f"built in: {', '.join(known)}; or the path of a .yaml file")
    raise document.error((EXTENDS,), f"no built-in chip is called {name!r}", fix=fix)


def _built_in(name: str) -> Path:
    folders = (Path(str(folder)) for folder in data_dirs("hw_configs"))
    return next(file for folder in folders if (file := folder / f"{name}.yaml").exists())


def _identity(path: Path) -> Path:
    return path.resolve()
