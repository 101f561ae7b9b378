"""Python that is forked from a process in which numba has compiled before, so that it begins at once.

``python forked.py`` is that process: it takes a line of JSON for each child and answers with its status.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path


class Forked:
    """Runs code as ``python -c`` does, in children of one process."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._server = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=environment,
        )  # fmt: skip

    def run(self, code: str, paths: list[str], environment: dict[str, str]) -> tuple[int, str, str]:
        """Exit status, stdout and stderr of `code`, with `paths` before all others."""
        server = self._server
        assert server.stdin is not None
        assert server.stdout is not None
        with tempfile.NamedTemporaryFile() as out, tempfile.NamedTemporaryFile() as said:
            print(json.dumps([code, paths, environment, out.name, said.name]), file=server.stdin, flush=True)
            status = int(server.stdout.readline())
            return status, Path(out.name).read_text(), Path(said.name).read_text()

    def close(self) -> None:
        """End the process."""
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait()


def serve() -> None:
    """The process that forks."""
    import numba

    import imcsim.base.compiled.kept  # noqa: F401

    for number in (1, 0.5):
        numba.njit(lambda x: x * 2 + 1)(number)
    for line in sys.stdin:
        code, paths, environment, *files = json.loads(line)
        child = os.fork()
        if child == 0:
            for stream, file in zip((1, 2), files, strict=True):
                os.dup2(os.open(file, os.O_WRONLY), stream)
            os.environ.update(environment)
            sys.path[:0] = paths
            status = 0
            try:
                exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
            except BaseException:
                traceback.print_exc()
                status = 1
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    serve()
