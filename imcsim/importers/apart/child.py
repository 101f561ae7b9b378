"""The child process: bounds on time and memory, and one answer, whatever happens.

Run as ``python -m imcsim.importers.apart.child KIND FILE ANSWER CPU_SECONDS MEMORY_BYTES``.
"""

from __future__ import annotations

import importlib
import math
import os
import re
import sys
import time
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.importers.apart import encode

_KINDS = {
    "hdf5": ("NIR file", "nir", "h5py"),
    "onnx_graph": ("ONNX file", "onnx", "onnx"),
}
"""For each module: what it reads, the optional dependency of imcsim, and its library."""


def answer() -> None:
    """Read the file and write what comes of it: a document and arrays, or an error."""
    kind, path, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    cpu_seconds, memory_bytes = float(sys.argv[4]), int(sys.argv[5])
    what, extra, library = _KINDS[kind]
    arrays: dict[str, NDArray[Any]] = {}
    Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    try:
        _bound_time(cpu_seconds)
        module = importlib.import_module(f"imcsim.importers.apart.{kind}")
        importlib.import_module(library)
        _bound_time(cpu_seconds)
        _bound_memory(memory_bytes)
        document, arrays = module.read(path)
    except ImcsimError as error:
        document = _error(error.message, error.key, error.fix)
    except ModuleNotFoundError as error:
        name = (error.name or library).split(".")[0]
        document = _error(f"reading a {what} needs {name}", None, f"pip install 'imcsim[{extra}]'")
    except MemoryError:
        document = _error("it asks for more memory than such a file may take", None, "is it damaged?")
    except BaseException as error:  # what the libraries raise on broken files has no common class
        line = " ".join(str(error).split())[:200]
        why = _cut_off(line) or line or type(error).__name__
        document = _error(f"not a sound {what}: {why}", None, "fetch or write it again")
    np.savez(out, allow_pickle=False, **{**arrays, "document": encode(document)})


def _error(message: str, key: str | None, fix: str | None) -> dict[str, Any]:
    plain = [None if t is None else _printable(t) for t in (message, key, fix)]
    return {"error": dict(zip(("message", "key", "fix"), plain, strict=True))}


def _cut_off(line: str) -> str | None:
    """What HDF5 and protobuf say of a file that ends early, in plain words."""
    sizes = re.search(r"truncated file: eof = (\d+), .*stored_eof = (\d+)", line)
    if sizes is not None:
        return f"it is cut off, {sizes[1]} of {sizes[2]} bytes are there"
    return "it is cut off or damaged" if "Error parsing message" in line else None


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() and not "\ud800" <= c <= "\udfff" else "?" for c in text)[:400]


def _end_with_parent(parent: int) -> None:
    """Who is killed cannot end its child, and nobody waits for the answer."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


def _bound_time(cpu_seconds: float) -> None:
    """From now on this process may compute for so long; the parent's clock is the only bound on Windows."""
    try:
        import resource
    except ImportError:
        return
    seconds = math.ceil(time.process_time() + cpu_seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.getrlimit(resource.RLIMIT_CPU)[1]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _bound_memory(memory_bytes: int) -> None:
    """From now on this process may take so much memory more, where the system can bound it."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * os.sysconf("SC_PAGE_SIZE") + memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    except (ImportError, OSError, ValueError):
        pass


if __name__ == "__main__":
    answer()
