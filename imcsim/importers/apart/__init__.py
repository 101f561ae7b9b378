"""Files that a large library has to open (HDF5, protobuf) are opened in a process of their own.

Such a library may crash, hang or fill the memory on a damaged or hostile file, and nothing inside the process
can stop it. `read_apart` starts a child that only turns the file into plain numbers and text; time and memory
of the child are bounded, and what it hands back is checked like any file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.importers.importing.files import file_size
from imcsim.network.arrays import read_npz

Arrays = dict[str, NDArray[Any]]
Answer = tuple[dict[str, Any], Arrays]
"""What the modules of this package make of a file: a document in plain types, and arrays by name."""

MAX_BYTES = 1 << 30
"""Largest file, and most bytes of arrays, that are read."""

CPU_SECONDS = 6.0
"""What a child may compute on a small file; larger files get a second more for each 5 MB."""

_WALL_FACTOR = 10  # a busy machine gives a process a part of its time only
_BYTES_PER_SECOND = 5_000_000
_MEMORY = 1 << 30  # beyond what the libraries take, and eight times the file


def read_apart(kind: str, path: Path) -> tuple[dict[str, Any], Arrays]:
    """What the child module `kind` of this package makes of the file `path`: a document and arrays by name.

    Raises ImcsimError for what the child refuses, and where it fails or takes too much time or memory.
    """
    size = file_size(path, MAX_BYTES)
    beside = path.with_name(path.name + ".data")  # where exporters of ONNX put the weights
    if kind == "onnx_graph" and beside.is_file():
        size += min(beside.stat().st_size, MAX_BYTES)  # 0 where the exporter kept all weights in the model
    cpu = CPU_SECONDS + size / _BYTES_PER_SECOND
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    environment["HDF5_PLUGIN_PRELOAD"] = "::"  # no filters from shared libraries
    with tempfile.TemporaryDirectory(prefix="imcsim-") as folder:
        answer = Path(folder) / "answer.npz"
        command = [sys.executable, "-P", "-m", f"{__name__}.child", kind, str(path.absolute()), str(answer)]
        try:
            done = subprocess.run(
                [*command, str(cpu), str(_MEMORY + 8 * size)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_WALL_FACTOR * cpu,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise _gave_up(path, "it takes too long to read") from None
        except OSError as error:
            raise ImcsimError(
                f"cannot start a process to read it: {error.strerror}",
                file=path,
                fix="free memory or processes",
            ) from None
        if done.returncode != 0 or not answer.is_file():
            raise _gave_up(path, "reading it breaks the library that opens such files, or takes too long")
        stored = read_npz(answer, max_members=1 << 16)
    document = json.loads(stored.pop("document").tobytes().decode())
    if "error" in document:
        found = document["error"]
        raise ImcsimError(found["message"], file=path, key=found["key"], fix=found["fix"])
    return document, stored


def _gave_up(path: Path, what: str) -> ImcsimError:
    return ImcsimError(what, file=path, fix="the file is damaged; write or fetch it again")


def encode(document: dict[str, Any]) -> NDArray[np.uint8]:
    """The document as the bytes that travel from the child."""
    return np.frombuffer(json.dumps(document).encode(), np.uint8)
