"""Strict reading of YAML files, with the line of every key.

Only plain data is read: mappings with text keys, lists, text, numbers, ``true``, ``false`` and ``null``, by
the rules of YAML 1.2's core schema (``on`` and ``no`` are text, ``1e-3`` is a number). The tree is built
straight from the parser's events, so tags, anchors and deep nesting are refused before anything is made of
them, and nothing here recurses.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.reader import Reader

from imcsim.base.errors import ImcsimError, cannot_read
from imcsim.base.files import read_ordinary

DEEPEST = 40
"""Levels of mappings and lists that a document may have."""

KeyPath = tuple[str | int, ...]
"""Where a value stands: the keys and list positions (from 0) that lead to it."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = {"", "~", "null", "Null", "NULL"}
_BOOLEAN = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OTHER_BASE = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_NUMBER_BEGINS = frozenset("+-.0123456789")
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")
_LONGEST_NUMBER = 100
_LONGEST_KEY = 200


@dataclass(frozen=True)
class YamlDocument:
    """One YAML file: `data` is made of dict, list, str, int, float, bool and None only."""

    path: Path
    data: Any
    _lines: dict[KeyPath, int] = field(repr=False)

    def line(self, path: KeyPath) -> int | None:
        """The line, from 1, of the key (or list entry) at `path`; None where the file has no such key."""
        return self._lines.get(path)

    def error(self, path: KeyPath, message: str, *, fix: str | None = None) -> ImcsimError:
        """An error about the value at `path`, with the line of it or of the nearest section around it."""
        line = next(
            (self._lines[path[:n]] for n in range(len(path), -1, -1) if path[:n] in self._lines), None
        )
        return ImcsimError(message, file=self.path, line=line, key=dotted(path) or None, fix=fix)


def dotted(path: Iterable[str | int]) -> str:
    """`path` as people write it: ``("adc", "table", 2)`` is ``adc.table[2]``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def read_yaml(path: str | Path, *, max_bytes: int = 1_000_000) -> YamlDocument:
    """Read the one YAML document in the file `path`, of at most `max_bytes` bytes.

    Raises ImcsimError, naming file and line, where the file is missing, a folder, too large or not UTF-8, and
    where it has a syntax error, no document or several, a tag, an anchor or alias, a key that is repeated or
    not text, a number that is not finite, or more than 40 levels.
    """
    path = Path(path)
    document = parse_yaml(_read_text(path, max_bytes), path)
    if document.data is None:
        raise ImcsimError(
            "the file is empty", file=path, fix="write the settings into it, as `key: value` lines"
        )
    return document


def parse_yaml(text: str, path: str | Path) -> YamlDocument:
    """Read the one YAML document in `text`, which stands in the file `path`; no text at all is None.

    Raises ImcsimError as `read_yaml` does for what stands in a file.
    """
    path = Path(path)
    bad = Reader.NON_PRINTABLE.search(text)
    if bad:
        raise ImcsimError(
            f"the character {bad.group()!a} may not stand in a YAML file",
            file=path,
            line=text.count("\n", 0, bad.start()) + 1,
            fix="remove it; is this a text file?",
        )
    builder = _Builder(path)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except yaml.YAMLError as error:
        raise _syntax_error(path, error) from None
    return YamlDocument(path, builder.data, builder.lines)


def _read_text(path: Path, max_bytes: int) -> str:
    try:
        if path.is_dir():
            raise ImcsimError("this is a folder", file=path, fix="name a YAML file")
        if path.exists() and not path.is_file():
            raise ImcsimError("this is not an ordinary file", file=path, fix="name a YAML file")
        raw = read_ordinary(path, max_bytes)
    except FileNotFoundError:
        raise ImcsimError("there is no such file", file=path, fix="check the path") from None
    except OSError as error:
        raise cannot_read(path, error) from None
    except UnicodeError:  # a lone surrogate in the name
        raise ImcsimError(f"not a file name: {str(path)!a}", fix="name a YAML file") from None
    except ValueError as error:
        if "\0" in str(path):
            raise ImcsimError(f"not a file name: {str(path)!a}", fix="name a YAML file") from None
        raise ImcsimError(str(error), file=path, fix="is this the right file?") from None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ImcsimError("the text is not UTF-8", file=path, line=line, fix="save it as UTF-8") from None


def _syntax_error(path: Path, error: yaml.YAMLError) -> ImcsimError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
    if (
        "maximum nesting depth" in problem
    ):  # the parser's own limit, which it may reach before it hands out events
        line = None if mark is None else mark.line + 1
        return ImcsimError(
            f"more than {DEEPEST} levels of nesting", file=path, line=line, fix="make the file flatter"
        )
    where = "" if mark is None else f" at column {mark.column + 1}"
    return ImcsimError(
        f"not valid YAML{where}: {problem}",
        file=path,
        line=None if mark is None else mark.line + 1,
        fix="check indentation, colons and quotes there",
    )


@dataclass
class _Level:
    """A mapping or list that is still open; `key` waits for its value."""

    holder: dict[str, Any] | list[Any]
    path: KeyPath
    key: str | None = None


class _Builder:
    """Turns parser events into plain data, refusing what is not plain."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data: Any = None
        self.lines: dict[KeyPath, int] = {}
        self._open: list[_Level] = []
        self._documents = 0

    def take(self, event: Any) -> None:
        """Add one event of the parser."""
        line = event.start_mark.line + 1
        match event:
            case yaml.ScalarEvent():  # most events are one
                self._refuse_extras(event, line)
                self._add_scalar(event, line)
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise self._error(line, "a second document starts here", "keep one document in a file")
            case yaml.AliasEvent():
                raise self._error(
                    line, f"the alias *{event.anchor:.40} is not allowed", "write the value out"
                )
            case yaml.MappingStartEvent():
                self._refuse_extras(event, line)
                self._enter({}, line)
            case yaml.SequenceStartEvent():
                self._refuse_extras(event, line)
                self._enter([], line)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._open.pop()
            case _:
                pass  # start and end of stream and document carry no data

    def _error(self, line: int, message: str, fix: str) -> ImcsimError:
        key = None
        if self._open:
            level = self._open[-1]
            key = dotted(level.path if level.key is None else (*level.path, level.key)) or None
        return ImcsimError(message, file=self.path, line=line, key=key, fix=fix)

    def _refuse_extras(self, event: Any, line: int) -> None:
        if event.anchor is not None:
            raise self._error(
                line, f"the anchor &{event.anchor:.40} is not allowed", "write the value out where needed"
            )
        if event.tag is not None:
            raise self._error(
                line, f"the tag {_short(event.tag)} is not allowed", "write plain values without tags"
            )

    def _enter(self, holder: dict[str, Any] | list[Any], line: int) -> None:
        level = self._open[-1] if self._open else None
        if level is not None and isinstance(level.holder, dict) and level.key is None:
            raise self._error(
                line, "a key must be text, not a list or mapping", "write a plain word as the key"
            )
        if len(self._open) >= DEEPEST:
            raise self._error(line, f"more than {DEEPEST} levels of nesting", "make the file flatter")
        self._open.append(_Level(holder, self._place(holder, line)))

    def _add_scalar(self, event: Any, line: int) -> None:
        value = self._scalar(event, line)
        level = self._open[-1] if self._open else None
        if level is None or not isinstance(level.holder, dict) or level.key is not None:
            self._place(value, line)
            return
        if not isinstance(value, str):
            raise self._error(
                line, f"the key {_short(event.value)} is not text", "put it in quotes or rename it"
            )
        if not value.isprintable() or len(value) > _LONGEST_KEY:
            raise self._error(line, f"the key {_short(value)} is too long or unprintable", "rename it")
        if value in level.holder:
            first = self.lines[(*level.path, value)]
            raise self._error(
                line, f"the key {value!r} was given before, on line {first}", "remove one of them"
            )
        level.key = value
        self.lines[(*level.path, value)] = line

    def _place(self, value: Any, line: int) -> KeyPath:
        """Put `value` where it belongs and return its path."""
        if not self._open:
            self.data = value
            path: KeyPath = ()
        else:
            level = self._open[-1]
            if isinstance(level.holder, list):
                path = (*level.path, len(level.holder))
                level.holder.append(value)
            else:
                assert level.key is not None
                path = (*level.path, level.key)
                level.holder[level.key] = value
                level.key = None
        self.lines.setdefault(path, line)
        return path

    def _scalar(self, event: Any, line: int) -> str | int | float | bool | None:
        text: str = event.value
        if event.style not in (None, ""):  # quoted and block text is text
            return self._text(text, line)
        if text in _NULL:
            return None
        if text in _BOOLEAN:
            return _BOOLEAN[text]
        number = _number(text)
        if number is None:
            return self._text(text, line)
        if not math.isfinite(number):
            raise self._error(line, f"{_short(text)} is not a finite number", "write a finite number")
        return number

    def _text(self, text: str, line: int) -> str:
        if _HALF_CHARACTER.search(text):
            raise self._error(line, f"{_short(text)} holds half a character", "write the character itself")
        return text


def _number(text: str) -> int | float | None:
    """The number that `text` spells, infinite or NaN where it is beyond use; None where it spells none."""
    if text[:1] not in _NUMBER_BEGINS:  # as most texts do
        return None
    if _NOT_FINITE.fullmatch(text):
        return math.nan
    if not (_FLOAT.fullmatch(text) or _OTHER_BASE.fullmatch(text)):
        return None
    if len(text) > _LONGEST_NUMBER:
        return math.nan
    if _INTEGER.fullmatch(text):
        return int(text)
    return int(text, 0) if _OTHER_BASE.fullmatch(text) else float(text)


def _short(text: str) -> str:
    return ascii(text if len(text) <= 40 else text[:37] + "...")
