"""Where a plug-in's part comes from, and how it is blamed for what it does wrong."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from imcsim.base.errors import ImcsimError

KINDS = ("exit_rules", "estimators", "cell_errors", "encodings")
"""What a plug-in file may define, and, after ``imcsim.``, the groups of entry points."""


@dataclass(frozen=True)
class Origin:
    """Where a part comes from: its kind and name, the package or file, its version, a hash of its content.

    version: of the package, or ``__version__`` of the file, "" where it says none. sha256: of the file, or of
    all files of the package. place: the file, or the folder of the package.
    """

    kind: str
    name: str
    source: str
    version: str
    sha256: str
    place: str = field(compare=False, default="")

    @property
    def key(self) -> str:
        """How messages name the part, such as "exit rule patience"."""
        return f"{self.kind.removesuffix('s').replace('_', ' ')} {self.name}"

    @property
    def provenance(self) -> dict[str, str]:
        """What results say of the part; where it lay on a disk is not part of it."""
        about = {"kind": self.kind, "name": self.name, "source": self.source, "version": self.version}
        return {**about, "sha256": self.sha256}

    def error(self, message: str, line: int | None = None, file: str | Path | None = None) -> ImcsimError:
        """An error that names the part, and the file and line where it is wrong."""
        fix = f"imcsim plugins check {self.name} says more"
        return ImcsimError(message, file=file or self.place, line=line, key=self.key, fix=fix)


@contextmanager
def blamed(origin: Origin | None, what: str = "failed") -> Iterator[None]:
    """Turn whatever a plug-in's part raises into an ImcsimError with the plug-in's file and line.

    Errors of a part that comes with imcsim (origin None) are left alone.
    """
    try:
        yield
    except (ImcsimError, MemoryError):
        raise
    except Exception as error:
        if origin is None:
            raise
        file, line = line_in(error, origin.place)
        raise origin.error(f"{what}: {told(error)}", line, file) from error


def line_in(error: BaseException, place: str) -> tuple[str, int | None]:
    """The innermost line of a plug-in's own files that an error went through."""
    if isinstance(error, SyntaxError) and error.filename and within(error.filename, place):
        return error.filename, error.lineno
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if within(frame.filename, place):
            return frame.filename, frame.lineno
    return place, None


def within(file: str, place: str) -> bool:
    """Whether `file` is, or is one of, a plug-in's own files."""
    return file == place or Path(place) in Path(file).parents


def told(error: BaseException) -> str:
    """An exception in one line."""
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
