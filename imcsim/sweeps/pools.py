"""Who does the tasks: this process, processes on this machine, or a Dask cluster. All give the same rows.

A pool takes tasks and gives back pairs of task and outcome in any order; None stands for a worker that died
at it (or beside it), which is not the task's fault until it happens again.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sys
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait as wait_for
from queue import Empty, SimpleQueue
from threading import Thread
from types import ModuleType
from typing import Any, Protocol

from imcsim.base.errors import ImcsimError
from imcsim.base.notes import note_once
from imcsim.sweeps.tasks import Task, TaskOutcome, execute

Done = tuple[Task, TaskOutcome | None]

MAX_ATTEMPTS = 3
"""A task at which so many workers died is given up."""

AHEAD = 2
"""Tasks that wait at each worker, so that none is idle."""

_COUNT_EVERY_S = 2.0
"""How often a cluster is asked for its workers, which come and go."""


class WorkerPool(Protocol):
    """`slots`: how many tasks it works on at a time."""

    @property
    def slots(self) -> int: ...

    def submit(self, task: Task) -> None: ...

    def take(self) -> list[Done]:
        """Tasks that have ended, at least one; waits for it. Raises what a task raised."""
        ...


class InProcess:
    """This process, one task after the other."""

    slots = 1

    def __init__(self) -> None:
        self._waiting: deque[Task] = deque()

    def submit(self, task: Task) -> None:
        self._waiting.append(task)

    def take(self) -> list[Done]:
        task = self._waiting.popleft()
        return [(task, execute(task))]


class Processes:
    """Processes on this machine, each a fresh interpreter. They end when this one does, however it ends."""

    def __init__(self, workers: int) -> None:
        self.slots = workers
        self._running: dict[Future[TaskOutcome], Task] = {}
        self._pool = self._fresh()

    def _fresh(self) -> ProcessPoolExecutor:
        spawn = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self.slots, mp_context=spawn, initializer=_begin)

    def submit(self, task: Task) -> None:
        with _deaf_children(), _without_main():
            try:
                future = self._pool.submit(execute, task)
            except BrokenProcessPool:  # a worker died while none had work; this one has not begun
                self._pool.shutdown(wait=False, cancel_futures=True)
                self._pool = self._fresh()
                future = self._pool.submit(execute, task)
        self._running[future] = task

    def take(self) -> list[Done]:
        ended, _ = wait(self._running, return_when=FIRST_COMPLETED)
        done: list[Done] = []
        broken = False
        for future in ended:
            task = self._running.pop(future)
            try:
                done.append((task, future.result()))
            except BrokenProcessPool:
                broken = True
                done.append((task, None))
        if broken:  # the executor gives up on all that it had
            done += [(task, None) for task in self._running.values()]
            self._running.clear()
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = self._fresh()
        return done

    def close(self) -> None:
        processes = list((getattr(self._pool, "_processes", None) or {}).values())
        manager = getattr(self._pool, "_executor_manager_thread", None)
        with suppress(OSError):
            self._pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            with suppress(OSError, AttributeError, ValueError):
                process.terminate()
        if manager is not None:
            # Python wakes this thread when it ends, and fails in many lines where it just closes its pipe.
            manager.join(timeout=10)


class Cluster:
    """A Dask cluster, by the address of its scheduler. Workers need imcsim and the sweep's files."""

    def __init__(self, address: str) -> None:
        try:
            import distributed
        except ImportError:
            raise ImcsimError(
                "a Dask cluster needs dask.distributed", key="scheduler", fix="pip install 'imcsim[cluster]'"
            ) from None
        kind: Any = distributed.Client
        self._client = kind.__new__(kind)
        try:
            kind.__init__(self._client, address, timeout="20s", set_as_default=False)
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            self._client.status = "closed"  # half made, it would wait for its own end, and print a traceback
            text = str(error).split("\n")[0] or type(error).__name__
            raise ImcsimError(
                f"no Dask scheduler answers at {address!r}: {text}",
                key="scheduler",
                fix="give an address such as tcp://host:8786, or tls://host:8786 where Dask is to encrypt",
            ) from None
        self._running: dict[Any, Any] = {}
        self._ended: SimpleQueue[Any] = SimpleQueue()
        self._attempts = 0
        self._threads = 1
        self._counted = -_COUNT_EVERY_S

    @property
    def slots(self) -> int:
        """Threads of all workers; at least one, for workers may still come."""
        now = time.monotonic()
        if now > self._counted + _COUNT_EVERY_S:
            self._counted = now
            with suppress(Exception):
                self._threads = max(1, int(sum(self._client.nthreads().values())))
        return self._threads

    def held(self, content: bytes, name: str) -> Any:
        """What stands for `content` among the arguments of tasks: sent once, and anew where it is lost."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it is large
            return self._client.submit(_itself, content, key=f"imcsim-held-{name}")

    def submit(self, task: Any, do: Callable[..., Any] = execute, *more: Any) -> None:
        """Let a worker do a task, as ``do(task, *more)``; `more` may be what is `held`."""
        self._attempts += 1
        key = f"imcsim-{task.key}-{self._attempts}-{os.getpid()}"
        future = self._client.submit(do, task, *more, key=key, pure=False, retries=2)
        self._running[future] = task
        future.add_done_callback(self._ended.put)

    def take(self) -> list[tuple[Any, Any]]:
        from distributed.scheduler import KilledWorker

        future = self._next()
        task = self._running.pop(future)
        try:
            return [(task, future.result())]
        except (KilledWorker, CancelledError, asyncio.CancelledError):
            if self._client.status != "running":
                raise _lost_scheduler() from None
            return [(task, None)]

    def _next(self) -> Any:
        """The next task that ended. Raises ImcsimError where the scheduler is gone."""
        while True:
            with suppress(Empty):
                return self._ended.get(timeout=5)
            if self._client.status not in ("running", "connecting"):
                raise _lost_scheduler()
            with suppress(Exception):  # of a scheduler that is about to go
                if not self._client.nthreads():
                    note_once("the cluster has no worker; waiting until one comes", kind="no worker")

    def close(self) -> None:
        with suppress(Exception):
            self._client.cancel(list(self._running), force=True)
        with suppress(Exception):
            self._client.close(timeout=5)


def _itself(content: bytes) -> bytes:
    """A task by which a cluster holds something, and can make it anew where a worker dies with it."""
    return content


def _lost_scheduler() -> ImcsimError:
    fix = "start it again and run the same command: what is done is kept"
    return ImcsimError("the Dask scheduler has gone away", key="scheduler", fix=fix)


@contextmanager
def pool(workers: int, scheduler: str | None) -> Iterator[WorkerPool]:
    """The pool for so many processes, or for a cluster. Raises ImcsimError where the cluster is not there."""
    if scheduler is None and workers == 1:
        yield InProcess()
        return
    found = Cluster(scheduler) if scheduler is not None else Processes(workers)
    try:
        yield found
    finally:
        found.close()


@contextmanager
def _deaf_children() -> Iterator[None]:
    """Processes that begin here never hear Ctrl-C, which is the parent's business; it hears it afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _without_main() -> Iterator[None]:
    """Processes that begin here do not run the caller's script again: no task needs it, and a script without
    ``if __name__ == "__main__"`` would begin its sweep in each of them.
    """
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


def _begin() -> None:
    """In a fresh process: it does not hear Ctrl-C, and ends with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        Thread(target=_end_with, args=(parent.sentinel, os._exit), daemon=True).start()


def _end_with(sentinel: int, end: Callable[[int], Any]) -> None:
    wait_for([sentinel])
    end(1)
