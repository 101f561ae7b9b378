"""Commands in processes of their own that start at once, to be killed by the hundred.

Most of a command's time is the import of its modules and the loading of its kernels. A first process does
that once and forks; each child is a session of its own and runs `imcsim.__main__.main` to the interpreter's
end, as ``python -m imcsim`` does. The first process keeps the pictures that it has drawn, too, which
take most of the time of a page: a child that is to draw the same ones has their bytes. A fresh process is
started where the imports themselves are to be struck.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
MARK = "IMCSIM_KILL_MARK"
LONGEST_S = 600.0


@dataclass
class Started:
    """A command that runs: its process, which is a session too, and where its stderr goes."""

    launcher: Launcher
    pid: int
    mark: str
    errors: Path
    popen: subprocess.Popen[bytes] | None = None
    began: float = field(default_factory=time.monotonic)

    def send(self, number: int) -> bool:
        """Send a signal. Tells whether the process was past the interpreter's own start by then: SIGTERM was
        caught, or ignored as at its end. False too where it has ended, which `wait` tells apart.
        """
        listening = False
        try:
            for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
                if line.startswith(("SigCgt:", "SigIgn:")):
                    listening |= bool(int(line.split()[1], 16) >> (signal.SIGTERM - 1) & 1)
            os.kill(self.pid, number)
        except OSError:
            pass
        return listening

    def wait(self) -> tuple[int, str]:
        """Status (negative: the signal that killed it) and stderr. Raises TimeoutError."""
        if self.popen is not None:
            try:
                status = self.popen.wait(LONGEST_S)
            except subprocess.TimeoutExpired:
                raise TimeoutError from None
        else:
            status = self.launcher.ask("wait", pid=self.pid)
        # One that was struck before it could say anything has no such file.
        return status, self.errors.read_text(errors="replace") if self.errors.exists() else ""

    def left_over(self, patience_s: float = 15.0) -> list[int]:
        """Processes of the session, or that carry the mark, after all that was to end had time to."""
        end = time.monotonic() + patience_s
        while True:
            found = [pid for pid in map(_number, Path("/proc").iterdir()) if pid and self._owns(pid)]
            if not found or time.monotonic() > end:
                return found
            time.sleep(0.1)

    def _owns(self, pid: int) -> bool:
        try:
            state, _, _, session = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:4]
            marked = self.mark.encode() in Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return False
        return state != "Z" and (marked or int(session) == self.pid)


def _number(place: Path) -> int:
    return int(place.name) if place.name.isdigit() else 0


class Launcher:
    """Starts commands; those that are not `fresh` are forked from one process that has all in memory."""

    def __init__(self) -> None:
        self.place = Path(tempfile.mkdtemp(prefix="imcsim-kills-"))
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.count = 0

    def ask(self, do: str, **about: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps({"do": do, **about}), file=self.process.stdin, flush=True)
        said = json.loads(self.process.stdout.readline())
        if said is None:
            raise TimeoutError
        return said

    def warm(self, arguments: list[str], folder: Path) -> None:
        """Run a command in the first process, for what it imports and compiles."""
        self.ask("warm", arguments=arguments, folder=str(folder))

    def start(self, arguments: list[str], folder: Path, *, fresh: bool = False, **more: str) -> Started:
        self.count += 1
        mark, errors = f"imcsim-{os.getpid()}-{self.count}.", self.place / str(self.count)
        environment = {MARK: mark, **more}
        if not fresh:
            about = {"arguments": arguments, "folder": str(folder), "errors": str(errors)}
            return Started(self, self.ask("start", environment=environment, **about), mark, errors)
        with errors.open("wb") as file:
            popen = subprocess.Popen(
                [sys.executable, "-m", "imcsim", *arguments],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=file,
                start_new_session=True,
            )
        return Started(self, popen.pid, mark, errors, popen)

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()
        shutil.rmtree(self.place)


def serve() -> int:
    """The first process: a line of JSON for each request, a line for each answer."""
    from imcsim.__main__ import main
    from imcsim.commands.cli import main as run
    from imcsim.report.figures import drawing

    drawing._files = _drawn_once(drawing._files)
    sys.path[:] = [str(ROOT), *sys.path[1:]]
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    _onto(os.devnull, 1)
    for line in sys.stdin:
        request = json.loads(line)
        said: Any = True
        if request["do"] == "warm":
            os.chdir(request["folder"])
            run(request["arguments"])
            _forget()
            # A child that ends looks through all objects; those of the first process are no concern of its,
            # and to copy their pages takes longer than most commands.
            gc.collect()
            gc.freeze()
        elif request["do"] == "wait":
            said = _waited_for(request["pid"])
        else:
            said = os.fork()
            if said == 0:
                os.setsid()
                os.chdir(request["folder"])
                os.environ.update(request["environment"])
                _onto(os.devnull, 0)
                _onto(request["errors"], 2)
                answers.close()
                signal.signal(signal.SIGINT, signal.default_int_handler)
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                sys.argv = ["imcsim", *request["arguments"]]
                return main()
        print(json.dumps(said), file=answers)
    return 0


def _onto(path: str, number: int) -> None:
    opened = os.open(path, os.O_RDWR | os.O_CREAT)
    os.dup2(opened, number)
    os.close(opened)


def _forget() -> None:
    """A fresh process remembers no values of earlier points."""
    tasks = sys.modules.get("imcsim.sweeps.tasks")
    if tasks is not None:
        tasks._PROCESS = tasks._Process()  # type: ignore[attr-defined]


def _drawn_once(draw: Any) -> Any:
    """`drawing._files`, which keeps what it has drawn by all that the figures show."""
    drawn: dict[str, Any] = {}

    def files(figure: Any, formats: Any, *about: Any) -> Any:
        key = f"{_shown_by(figure)} {tuple(formats)} {about}"
        if key not in drawn:
            drawn[key] = draw(figure, formats, *about)
        return drawn[key]

    return files


def _shown_by(figure: Any) -> str:
    """A hash of a figure's parts: their kinds, texts, places and colours."""
    import matplotlib

    hashed = hashlib.sha256(repr((matplotlib.rcParams["svg.hashsalt"], figure.get_size_inches())).encode())
    for part in figure.findobj():
        hashed.update(type(part).__name__.encode())
        for name in _SHOWN:
            if hasattr(part, name):
                hashed.update(_bytes_of(getattr(part, name)()))
    return hashed.hexdigest()


_SHOWN = (
    "get_text", "get_position", "get_xydata", "get_path", "get_paths", "get_offsets", "get_array",
    "get_color", "get_facecolor", "get_edgecolor", "get_hatch", "get_linestyle", "get_linewidth",
    "get_alpha", "get_visible",
)  # fmt: skip


def _bytes_of(value: Any) -> bytes:
    if isinstance(value, list | tuple):
        return b"".join(map(_bytes_of, value))
    value = getattr(value, "vertices", value)
    return value.tobytes() if hasattr(value, "tobytes") else repr(value).encode()


def _waited_for(pid: int) -> int | None:
    end = time.monotonic() + LONGEST_S
    while time.monotonic() < end:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    return None


if __name__ == "__main__":
    sys.exit(serve())
