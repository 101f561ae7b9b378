"""Readers that start a process, started often: the child is forked, not begun anew.

`imcsim.importers.apart` starts a Python that imports a large library and reads one file, which takes seconds.
Here a first process imports the libraries and forks; each child runs `imcsim.importers.apart.child.answer`
with the same arguments and sets itself the same bounds on time and memory.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


class ForkedChildren:
    """What `imcsim.importers.apart` takes from `subprocess`, with children of a process that is there."""

    DEVNULL = subprocess.DEVNULL
    TimeoutExpired = subprocess.TimeoutExpired

    def __init__(self) -> None:
        self._server: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start the first process."""
        self._server = subprocess.Popen(
            [sys.executable, "-P", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "HDF5_PLUGIN_PRELOAD": "::"},
        )

    def close(self) -> None:
        """End the first process."""
        if self._server is not None:
            assert self._server.stdin is not None
            self._server.stdin.close()
            self._server.wait()
            self._server = None

    def run(self, command: list[str], *, timeout: float, **about: Any) -> subprocess.CompletedProcess[bytes]:
        """As `subprocess.run` does for ``python -P -m imcsim.importers.apart.child ...``."""
        if self._server is None:
            self.start()
        assert self._server is not None
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        assert command[1:4] == ["-P", "-m", "imcsim.importers.apart.child"]
        print(json.dumps([command[4:], timeout, str(Path.cwd())]), file=self._server.stdin, flush=True)
        status = json.loads(self._server.stdout.readline())
        if status is None:
            raise subprocess.TimeoutExpired(command, timeout)
        return subprocess.CompletedProcess(command, status)


@contextmanager
def forked_readers() -> Iterator[ForkedChildren]:
    """Readers fork their processes from one that is started when the first of them is."""
    from imcsim.importers import apart

    before, made = apart.subprocess, ForkedChildren()
    apart.subprocess = made  # type: ignore[assignment]
    try:
        yield made
    finally:
        made.close()
        apart.subprocess = before


def serve() -> None:
    """The first process: a line of JSON for each request, the child's status for each answer."""
    from imcsim.importers.apart import child

    answers = os.fdopen(os.dup(1), "w", buffering=1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 1)
    known: set[str] = set()
    for line in sys.stdin:
        arguments, timeout, folder = json.loads(line)
        kind = arguments[0]
        if kind not in known:
            importlib.import_module(f"imcsim.importers.apart.{kind}")
            importlib.import_module(child._KINDS[kind][2])
            known.add(kind)
            gc.collect()
            gc.freeze()  # no child looks through what is there already
        pid = os.fork()
        if pid == 0:
            os.dup2(nothing, 0)
            os.dup2(nothing, 2)
            os.chdir(folder)
            sys.argv = ["child", *arguments]
            try:
                child.answer()
                os._exit(0)
            except BaseException:
                os._exit(1)
        print(json.dumps(_waited_for(pid, timeout)), file=answers)


def _waited_for(pid: int, timeout: float) -> int | None:
    """The status of a child; None for one that took too long and was killed."""
    ended = os.pidfd_open(pid)
    try:
        in_time, _, _ = select.select([ended], [], [], timeout)
        if not in_time:
            os.kill(pid, 9)
    finally:
        os.close(ended)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return status if in_time else None


if __name__ == "__main__":
    serve()
