"""What the user names: a chip, or a result in a file or a folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from imcsim import hardware as chips
from imcsim.base.errors import ImcsimError, cannot_read
from imcsim.base.files import read_ordinary
from imcsim.base.keywords import known_keywords
from imcsim.base.names import did_you_mean, nearest, refusal, shown
from imcsim.results.chips.document import ChipsResult
from imcsim.results.comparison import CompareResult
from imcsim.results.outcomes import ImageOutcomes
from imcsim.results.run import RunResult
from imcsim.results.stream import StreamResult

Result = CompareResult | RunResult | StreamResult
Kind = Literal["hardware", "compare", "run", "stream"]

_MODELS: dict[Kind, type[Result]] = {"compare": CompareResult, "run": RunResult, "stream": StreamResult}

RESULT = "result.json"
"""The document in a folder that ``--out`` wrote."""

OUTCOMES = "images.json"
"""What each image of a comparison did, beside its document."""

MOST_BYTES = 16_000_000
_LARGEST, _LARGEST_COUNT = 1e300, 1 << 63
_LONGEST_KEY = 200
_YAML = (".yaml", ".yml")
_RESULT_WANTED = "give a JSON file or a folder of --out"
_WANTED = "give a chip, a result file, or a folder that --out wrote"


@dataclass(frozen=True)
class Named:
    """What the user named, and its JSON where it is no chip; read once, checked when it is asked for."""

    given: str
    kind: Kind
    file: Path | None = None
    data: Any = None

    def result(self) -> Result:
        """The result document. Raises ImcsimError for a chip, and where it is not sound."""
        if self.file is None or self.kind == "hardware":
            raise _no_result(self.given)
        found: Result = _checked(self.file, self.data, _MODELS[self.kind])
        beside = self.file.parent / OUTCOMES
        if isinstance(found, CompareResult) and Path(self.given).is_dir() and beside.is_file():
            outcomes: ImageOutcomes = _checked(beside, _document(beside), ImageOutcomes)
            with suppress(ValueError):  # the folder has had another comparison in it before
                return found.with_outcomes(outcomes)
        return found


def named(given: str) -> Named:
    """A chip, or a result and of which command. Raises ImcsimError for anything else."""
    file = _result_file(given)
    if file is None:
        if given not in chips.names() and not _is_there(given):
            raise _nothing(given)
        return Named(given, "hardware")
    data = _document(file)
    return Named(given, _kind(file, data), file, data)


def kind_of(given: str) -> Kind:
    """What `given` names: a chip, or a result and of which command. Raises ImcsimError for anything else."""
    return named(given).kind


def read_result(given: str) -> Result:
    """The result document in a JSON file, or in a folder of ``--out``. Raises ImcsimError."""
    return named(given).result()


@known_keywords
def load_result(path: str | Path) -> Result | ChipsResult:
    """The result that ``save``, ``--json`` or ``--out`` wrote to a JSON file or a folder.

    Raises ImcsimError where it cannot be read, or contradicts itself.

    Args:
        path: The JSON file, or the folder of ``save`` or ``--out``.
    """
    file, data = _read(str(path))
    if isinstance(data, dict) and {"meta", "instances"} <= set(data):
        chips_result: ChipsResult = _checked(file, data, ChipsResult)
        return chips_result
    return Named(str(path), _kind(file, data), file, data).result()


def _read(given: str) -> tuple[Path, Any]:
    if given not in chips.names() and not _is_there(given):
        raise _nothing(given, result=True)
    file = _result_file(given)
    if file is None:
        raise _no_result(given)
    return file, _document(file)


def _no_result(given: str) -> ImcsimError:
    return ImcsimError("this is no result", file=given, fix=_RESULT_WANTED)


def _checked(file: Path, data: Any, model: type[Any]) -> Any:
    from pydantic import ValidationError

    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or None
        raise ImcsimError(
            f"the result is not sound: {refusal(first)}", file=file, key=place, fix="run the command again"
        ) from None


def _result_file(given: str) -> Path | None:
    """The file of a result; None where `given` names a chip. Raises ImcsimError for a folder without."""
    path = Path(given)
    try:
        folder, file = bool(given) and path.is_dir(), path.is_file()
    except (OSError, ValueError):  # no name that a file may have
        folder = file = False
    if folder:
        if given in chips.names():
            return None
        if not (path / RESULT).is_file():
            what = "a network" if (path / "network.yaml").is_file() else f"a folder without {RESULT}"
            raise ImcsimError(f"this is {what}", file=given, fix=_WANTED)
        return path / RESULT
    if path.suffix == ".json" or (file and path.suffix not in _YAML):
        return path
    return None


def _is_there(given: str) -> bool:
    try:
        return bool(given) and Path(given).exists()
    except (OSError, ValueError):  # no name that a file may have
        return False


def _nothing(given: str, *, result: bool = False) -> ImcsimError:
    """What to raise where `given` names no file and, unless a `result` is wanted, no chip either."""
    from imcsim import inputs, network

    for names, what in ((network.names(), "a network"), (inputs.names(), "inputs")):
        if given in names:
            return ImcsimError(f"{given!r} names {what}, neither a chip nor a result", fix=_WANTED)
    path = Path(given)
    known = {} if result else {name: name for name in chips.names()}
    with suppress(OSError, ValueError):
        known |= {one.stem: str(one) for one in path.parent.iterdir()}
    close = nearest(path.stem, known)
    what, wanted = "chip, file or folder", f"{_WANTED}; built-in chips: {', '.join(chips.names())}"
    if result:
        what, wanted = "file or folder", _RESULT_WANTED
    fix = did_you_mean([known[close]]) if close else wanted
    return ImcsimError(f"there is no {what} {given[:200]!a}", fix=fix)


def _document(file: Path) -> Any:
    try:
        raw = read_ordinary(file, MOST_BYTES)
    except FileNotFoundError:
        raise _nothing(str(file)) from None
    except OSError as error:
        raise cannot_read(file, error, "the result") from None
    except ValueError as error:
        raise ImcsimError(str(error), file=file, fix="is it a result?") from None
    try:
        data = json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else None
        raise ImcsimError(
            "this is no JSON", file=file, line=line, fix="give what --json or --out wrote"
        ) from None
    for key, value in _numbers(data):
        largest = _LARGEST if isinstance(value, float) else _LARGEST_COUNT
        if not abs(value) < largest:
            raise ImcsimError(
                f"the number {shown(value)} is out of range: it must lie within -{largest} and {largest}",
                file=file,
                key=key,
                fix="run the command again",
            )
    return data


def _numbers(data: Any) -> Iterator[tuple[str, float]]:
    """All numbers of a document with their dotted keys."""
    waiting: list[tuple[str, Any]] = [("", data)]
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [(f"{key}.{name}"[-_LONGEST_KEY:].lstrip("."), part) for name, part in value.items()]
        elif isinstance(value, list):
            waiting += [
                (f"{key}.{index}"[-_LONGEST_KEY:].lstrip("."), part) for index, part in enumerate(value)
            ]
        elif isinstance(value, int | float):
            yield key, value


def _kind(file: Path, data: Any) -> Kind:
    keys = set(data) if isinstance(data, dict) else set()
    if {"meta", "instances"} <= keys:
        raise ImcsimError(
            "this is a result of compare --chips: many chips, which diff and report do not take",
            file=file,
            fix="the folder of --out has its figures, tables and caption already; for a page, or to diff, "
            "run one of the chips: compare --chip N --out DIR",
        )
    if "meta" in keys:
        signs: tuple[tuple[str, Kind], ...] = (
            ("static", "compare"),
            ("outcome", "run"),
            ("arrivals", "stream"),
        )
        for sign, kind in signs:
            if sign in keys:
                return kind
    raise ImcsimError(
        "this is no result of compare, run or stream", file=file, fix="give what their --json or --out wrote"
    )
