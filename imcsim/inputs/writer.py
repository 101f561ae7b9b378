"""Arrays written to one ``.npz`` piece by piece, so that what is written need not fit into memory."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.base.files import written_whole
from imcsim.network.arrays import MAX_EXPANSION

_LATE_FAILURE = "choose a folder with room to write in"


class NpzWriter:
    """A context that leaves a whole file, or (after an error) what was there before. Equal arrays give equal
    bytes.

    Raises ImcsimError where the file cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._spools: dict[str, tuple[IO[bytes], tuple[int, ...], np.dtype[Any]]] = {}

    def put(self, name: str, array: NDArray[Any]) -> None:
        """Store an array under a new name."""
        self._write(name, array.shape, array)

    def add(self, name: str, rows: NDArray[Any]) -> None:
        """Append rows (the first axis) to an array; the first ones begin it."""
        before = self._spools[name][1][0] if name in self._spools else 0
        self._write(name, (before + len(rows), *rows.shape[1:]), rows)

    def _write(self, name: str, shape: tuple[int, ...], array: NDArray[Any]) -> None:
        try:
            if name in self._spools:
                file = self._spools[name][0]
            else:
                file = tempfile.TemporaryFile(dir=self.path.parent)  # noqa: SIM115 (closed in __exit__)
            self._spools[name] = file, shape, array.dtype
            file.write(np.ascontiguousarray(array).tobytes())
        except OSError as error:
            raise self._failed(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        except OSError as failure:
            raise self._failed(failure) from None
        finally:
            for file, _, _ in self._spools.values():
                with suppress(OSError):  # what a full disk did not take is not missed: it has been said
                    file.close()

    def _failed(self, error: OSError) -> ImcsimError:
        return ImcsimError(f"cannot write the file: {error.strerror}", file=self.path, fix=_LATE_FAILURE)

    def _finish(self) -> None:
        with written_whole(self.path) as temporary:
            unpacked = self._pack(temporary, zipfile.ZIP_DEFLATED)
            if unpacked > MAX_EXPANSION * temporary.stat().st_size:
                # So much silence looks like a zip bomb to a reader.
                self._pack(temporary, zipfile.ZIP_STORED)

    def _pack(self, target: Path, method: int) -> int:
        """Write the archive; returns the unpacked size."""
        total = 0
        with zipfile.ZipFile(target, "w") as archive:
            for name, (file, shape, dtype) in self._spools.items():
                header = BytesIO()
                np.lib.format.write_array_header_1_0(
                    header,
                    {
                        "descr": np.lib.format.dtype_to_descr(dtype),
                        "fortran_order": False,
                        "shape": shape,
                    },
                )
                about = zipfile.ZipInfo(f"{name}.npy")  # dated 1980: no time of writing in the file
                about.compress_type = method
                file.seek(0)
                with archive.open(about, "w", force_zip64=True) as member:
                    member.write(header.getvalue())
                    shutil.copyfileobj(file, member, 1 << 20)
                total += about.file_size
        return total
