"""Progress of long work on the terminal."""

from __future__ import annotations

from threading import Lock
from types import TracebackType
from typing import Self, TextIO

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from imcsim.report.terminal.tables import console


class ProgressBars:
    """One bar for each stage, on `stream`. Called with (stage, done, total); a total of 0 is unknown."""

    def __init__(self, stream: TextIO) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console(stream),
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._lock = Lock()  # kernels are compiled in threads
        self._spinner: TaskID | None = None
        self._kernels: list[str] = []
        self._compiled = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def compiling(self, kernel: str | None) -> None:
        """Show that `kernel` is being compiled, its parts meanwhile too; None: the last one told was."""
        with self._lock:
            if kernel is None:
                self._compiled += 1
                self._kernels[-1:] = []
            else:
                self._kernels.append(kernel)
            now = self._kernels[0] if self._kernels else None
            if self._spinner is None:
                self._spinner = self._progress.add_task("", total=None)
            self._progress.update(
                self._spinner,
                description=f"compiling {now} (first run only)" if now else "kernels are compiled",
                completed=self._compiled,
                visible=now is not None,
            )

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show that `done` of `total` pieces of `stage` are ready."""
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=total or None)
        self._progress.update(self._tasks[stage], completed=done, total=total or None)
