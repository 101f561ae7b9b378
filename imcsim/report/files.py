"""Files of reports, written so that no reader ever finds half a file; CSV text.

Everything is rendered in memory first, then written beside its target under a temporary name, and only when
all of it is on the disk does it take its place. A full disk, a missing permission or Ctrl-C leaves what was
there before.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from imcsim.base.cells import csv_cell
from imcsim.base.errors import ImcsimError, cannot_write
from imcsim.base.files import new_folders, temporary_name, write_through, written_whole


def write_contents(folder: str | Path, contents: Mapping[str, bytes]) -> list[Path]:
    """Write files, by their names inside `folder`, all or none; makes folders. Raises ImcsimError."""
    folder = Path(folder)
    check_writable(folder, folder=True)
    files = {folder / name: data for name, data in contents.items()}
    with _named(folder), new_folders(*sorted({path.parent for path in files})):
        _write(files)
    return list(files)


def write_text(text: str, path: str | Path) -> None:
    """Write `text` to `path`, replacing what is there. Raises ImcsimError naming the file."""
    _write({Path(path): text.encode()})


def write_files(contents: Mapping[str | Path, bytes]) -> None:
    """Write files by their names, all or none, replacing what is there. Raises ImcsimError naming one."""
    _write({Path(name): data for name, data in contents.items()})


def check_writable(path: str | Path, *, folder: bool = False) -> None:
    """Raise ImcsimError if `path` cannot be written; to be called before long work. Leaves nothing behind.

    `path` is a file or, with `folder`, a folder to be made or filled.
    """
    if not str(path):
        raise ImcsimError("the name of a file or folder to write is empty", fix="give it a name")
    path = Path(path)
    with _named(path):
        if folder:
            place = _existing_folder(path)
        elif path.is_dir():
            raise ImcsimError("is a folder, not a file", file=path, fix="give the name of a file")
        elif path.exists() and not path.is_file():
            return  # a pipe or a device: opening it to try would already be using it
        else:
            place = path.resolve().parent
            if not place.is_dir():
                raise ImcsimError(
                    "its folder does not exist", file=path, fix=f"make the folder {place} first"
                )
        probe = place / temporary_name()
        probe.touch()
        probe.unlink()


def csv_text(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A header line and `rows` as comma-separated values."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([csv_cell(name) for name in columns])
    writer.writerows([csv_cell(cell) for cell in row] for row in rows)
    return buffer.getvalue()


def _existing_folder(path: Path) -> Path:
    """`path` or the nearest folder above it that is there."""
    for place in (path, *path.absolute().parents):
        if place.is_dir():
            return place
        if place.exists() or place.is_symlink():
            raise ImcsimError("is a file, not a folder", file=place, fix="name a folder or remove the file")
    raise ImcsimError("no folder above it exists", file=path, fix="name a folder that is there")


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses into one line that names `path`."""
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error) from error
    except ValueError as error:  # a name with a null character
        raise ImcsimError(f"cannot be written: {error}", file=path, fix="give it another name") from error


def _write(contents: Mapping[Path, bytes]) -> None:
    """Write all files or none: each beside its target first, then all take their places."""
    with ExitStack() as waiting:
        for path, data in contents.items():
            waiting.enter_context(_named(path))
            if path.exists() and not path.is_file() and not path.is_dir():
                path.write_bytes(data)  # a pipe or a device cannot be replaced, only written to
            else:
                write_through(waiting.enter_context(written_whole(path)), data)


_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{",
    "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$",
}  # fmt: skip


def latex_text(text: str) -> str:
    """`text` with the signs escaped that LaTeX would obey."""
    return "".join(_LATEX.get(c, c) for c in text).replace("--", "-{}-")  # no dash for an option
