"""The mappings that a search has tried, one a line of a file, so that a search that was stopped goes on.

The first line says what is searched: the network, the chip of the file, the images, the options that change a
figure, and the code. A line is written as soon as its mapping has been played, with a hash over what it
says; a last line that was cut off is played again. Where the file is removed or replaced meanwhile, it is
written anew, with all that is known.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

from imcsim.base.errors import ImcsimError
from imcsim.base.files import new_folders, read_ordinary, written_whole
from imcsim.results.mapped import ADCS, Mapped

FILE = "tried.jsonl"

MOST_BYTES = 256_000_000
_LARGEST, _LARGEST_COUNT, _LONGEST = 1e300, 1 << 53, 1000


@dataclass
class TriedMappings:
    """Mappings by the hash of their chip. None: one that does not fit, or locks up. Without a file they are
    kept for one search alone. `head`: the file's first line.
    """

    path: Path | None = None
    known: dict[str, Mapped | None] = field(default_factory=dict)
    head: str = ""
    _identity: tuple[int, int, int] | None = None

    @classmethod
    def of_folder(cls, folder: str | Path, about: Mapping[str, Any]) -> TriedMappings:
        """Those of a folder, which is made if there is none.

        Raises ImcsimError where it holds those of another search, cannot be read, or is damaged.
        """
        path, head = Path(folder) / FILE, json.dumps(dict(about), sort_keys=True)
        lines = _text(path).split("\n")
        whole, cut = lines[:-1], lines[-1:] != [""]
        if whole and whole[0] != head:
            raise ImcsimError(
                "it holds what another search has tried", file=path, fix="give another folder, or delete it"
            )
        known = dict(_read(path, number, line) for number, line in enumerate(whole[1:], 2))
        tried = cls(path, known, head)
        if not whole or cut:
            tried._write_anew(path)
        else:
            tried._identity = _identity(path.stat())
        return tried

    def put(self, chip_sha256: str, mapped: Mapped | None) -> None:
        """Keep a mapping. Raises ImcsimError where it cannot be written."""
        self.known[chip_sha256] = mapped
        if self.path is None:
            return
        try:
            same = self._append(self.path, _line(chip_sha256, mapped))
        except (FileNotFoundError, NotADirectoryError):
            same = False
        except OSError as error:
            raise _not_written(self.path, error) from None
        if not same:
            self._write_anew(self.path)

    def _append(self, path: Path, line: str) -> bool:
        """Write a line, if the file is the one that was left. Raises OSError."""
        # Not made where it is missing: what was tried before would not be in it.
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND), "a", encoding="utf-8") as file:
            if _identity(os.fstat(file.fileno())) != self._identity:
                return False
            file.write(line)
            file.flush()
            self._identity = _identity(os.fstat(file.fileno()))
        return True

    def _write_anew(self, path: Path) -> None:
        """Write the whole file, and the folder with it."""
        text = "".join([f"{self.head}\n", *(_line(*one) for one in self.known.items())])
        try:
            with new_folders(path.parent), written_whole(path) as temporary:
                temporary.write_text(text, "utf-8")
            self._identity = _identity(path.stat())
        except OSError as error:
            raise _not_written(path, error) from None


def _not_written(path: Path, error: OSError) -> ImcsimError:
    return ImcsimError(
        f"cannot be written: {error.strerror or error}", file=path, fix="make room on the disk, and go on"
    )


def _identity(found: os.stat_result) -> tuple[int, int, int]:
    """Of a file as it was left; a new one may get the number of one that was removed."""
    return found.st_dev, found.st_ino, found.st_size


def _text(path: Path) -> str:
    """What is in the file, nothing where there is none. Raises ImcsimError."""
    fix = "give another folder, or delete it"
    try:
        return read_ordinary(path, MOST_BYTES).decode()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ImcsimError(f"cannot be read: {error.strerror or error}", file=path, fix=fix) from None
    except UnicodeDecodeError:
        raise ImcsimError("it is no text in UTF-8", file=path, fix=fix) from None
    except ValueError as error:
        raise ImcsimError(str(error), file=path, fix=fix) from None


def _line(chip_sha256: str, mapped: Mapped | None) -> str:
    entry = {"chip": chip_sha256, "mapped": None if mapped is None else asdict(mapped)}
    return json.dumps({**entry, "sha256": entry_sha256(entry)}) + "\n"


def entry_sha256(entry: Mapping[str, Any]) -> str:
    """The hash of what a line says: a flipped bit in a figure looks like any other figure."""
    return sha256(json.dumps(dict(entry), sort_keys=True).encode()).hexdigest()


def _read(path: Path, number: int, line: str) -> tuple[str, Mapped | None]:
    try:
        entry = json.loads(line)
        chip, values, kept = entry["chip"], entry["mapped"], entry["sha256"]
        if not _name(chip) or kept != entry_sha256({"chip": chip, "mapped": values}):
            raise ValueError
        if values is None:
            return chip, None
        mapped = Mapped(**values)
        for one in fields(mapped):
            if not _SOUND[str(one.type)](getattr(mapped, one.name)):
                raise ValueError
        if mapped.row_order not in ADCS:
            raise ValueError
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ImcsimError(
            "this line is damaged, or none that a search wrote", file=path, line=number, fix="delete the line"
        ) from None
    return chip, mapped


def _name(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST and value.isprintable()


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _LARGEST_COUNT


def _figure(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= _LARGEST  # NaN is neither


def _named(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and all(_name(k) and check(v) for k, v in value.items())


_SOUND: dict[str, Callable[[Any], bool]] = {
    "bool": lambda value: isinstance(value, bool),
    "str": _name,
    "int": _count,
    "float": _figure,
    "Mapping[str, int]": _named(_count),
    "Mapping[str, str]": _named(_name),
}
"""What a value may be, by its type in `Mapped`."""
