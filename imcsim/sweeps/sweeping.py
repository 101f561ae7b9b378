"""A sweep from its spec to its table: plan, run what is missing, write each point as it ends."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from imcsim._version import __version__
from imcsim.base.code import code_sha256, shown_code
from imcsim.base.errors import ImcsimError, cannot_read, cannot_write
from imcsim.base.files import PARTIAL, file_number, new_folders
from imcsim.base.plugins import Origin, loaded_files
from imcsim.base.progress import Progress
from imcsim.inputs import find as find_inputs
from imcsim.studies.loading import Loader, network_sha256, validation_of
from imcsim.studies.plugged import used_by
from imcsim.studies.settings import RunSettings
from imcsim.sweeps.lost import StoreLost
from imcsim.sweeps.plan import Plan, make_plan
from imcsim.sweeps.pools import AHEAD, MAX_ATTEMPTS, WorkerPool, pool
from imcsim.sweeps.reading import SQLITE_ERRORS
from imcsim.sweeps.rows import failed
from imcsim.sweeps.spec import Spec, SweepPoint
from imcsim.sweeps.store import STORE, Store, alone, create_store, open_store
from imcsim.sweeps.tasks import ACTIVITY, Task, WorkerFault

MAX_POINTS_A_TASK = 16


@dataclass
class Summary:
    """What one call of `sweep` did: points run now and before, runs of values computed and found."""

    points: int = 0
    earlier: int = 0
    failed: int = 0
    computed: int = 0
    reused: int = 0


def sweep(
    spec: Spec,
    folder: str | Path,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    retry_failed: bool = False,
    progress: Progress | None = None,
    summary: Summary | None = None,
) -> Store:
    """ValueRun the points of `spec` that `folder` does not hold yet, and write its table.

    `workers`: processes (None: one for each processor); `scheduler`: address of a Dask scheduler instead.
    Neither changes a row. `retry_failed` runs failed points again. Stopped at any moment, the same call
    goes on. Raises ImcsimError where the folder holds another sweep or cannot be written, and for a cluster
    that cannot be used; a point that fails is a row.
    """
    folder, summary = Path(folder), summary or Summary()
    with made_folder(folder), alone(folder):
        loader = Loader()
        check_made_for(folder, spec.sha256)
        points = list(spec.points(loader))
        meta = _meta(spec, points, loader)
        store = create_store(folder, meta)
        try:
            check_same(store, meta)
            sweep_up(folder)
            if retry_failed:
                store.forget_failed()
            held = store.finished()
            missing = [point for point in points if point.index not in held]
            summary.points, summary.earlier = len(points), len(held)
            plan = make_plan(points, loader) if missing else Plan()
            processes = max(1, min(workers or os.cpu_count() or 1, len(missing)))
            threads = 1 if scheduler is not None else max(1, (os.cpu_count() or 1) // processes)
            with pool(processes, scheduler) as hands:
                Dispatcher(store, plan, missing, hands, threads, progress, summary).run()
            summary.failed = store.counts()["failed"]
            store.write_table()
            store.verify()
        except BaseException as error:
            store.close()
            if isinstance(error, WorkerFault):
                raise error.told() from None
            raise
        return store


def contents(spec: Spec, points: list[SweepPoint], loader: Loader) -> dict[str, str]:
    """Hashes of all files that the points name; a file that cannot be read has an empty one."""
    found: dict[str, str] = {}

    def note(key: str, read: Callable[[RunSettings], str], setting: RunSettings) -> None:
        if key not in found:
            try:
                found[key] = read(setting)
            except ImcsimError:
                found[key] = ""

    for origin in used_by((point.setting for point in points), loader):
        found[f"plugin {origin.key}"] = origin.sha256
    for point in points:
        setting = point.setting
        plain = RunSettings(hardware=setting.hardware, model=setting.model)
        note(f"hardware {setting.hardware}", lambda s: loader.hardware(s).sha256, plain)
        note(f"model {setting.model}", lambda s: network_sha256(loader.network(s)), plain)
        for name in (setting.inputs, _quiet(setting), setting.labels):
            if name is not None:
                note(f"file {name}", lambda s: _file_sha256(s.inputs), replace(setting, inputs=name))
    return found


def _quiet(setting: RunSettings) -> str | Path | None:
    try:
        return validation_of(setting)
    except ImcsimError:
        return None


def _file_sha256(name: str | Path) -> str:
    """Of a file; of a folder, over names, sizes and bytes of its files."""
    import hashlib

    path = Path(name) if Path(name).is_file() else find_inputs(name)
    digest = hashlib.sha256()
    try:
        for one in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
            digest.update(f"{one.relative_to(path)}\n{one.stat().st_size}\n".encode())
            with one.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
    except OSError as error:
        raise cannot_read(path, error) from None
    return digest.hexdigest()


def plugins_meta(points: Iterable[SweepPoint], loader: Loader) -> dict[str, str]:
    """What a store says of the parts of plug-ins that its points use; nothing where they use none."""
    origins = used_by((point.setting for point in points), loader)
    return {"plugins": json.dumps([origin.provenance for origin in origins])} if origins else {}


def _meta(spec: Spec, points: list[SweepPoint], loader: Loader) -> dict[str, str]:
    return {
        **plugins_meta(points, loader),
        "spec": json.dumps(dict(spec.data)),
        "spec_sha256": spec.sha256,
        "contents": json.dumps(contents(spec, points, loader), sort_keys=True),
        "version": __version__,
        "code": code_sha256(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "name": spec.name,
        "keys": json.dumps(spec.keys),
        "points": str(len(points)),
    }


_ANOTHER = "choose another folder, or remove this one"


def check_made_for(folder: Path, sha256: str) -> None:
    """Refuse a changed spec before its points are counted."""
    if not (folder / STORE).exists():
        return
    with open_store(folder) as store:
        about = store.meta
    if about.get("spec_sha256", sha256) != sha256:
        raise ImcsimError("this folder holds the sweep of another spec", file=folder, fix=_ANOTHER)
    if about.get("version", __version__) != __version__:
        message = f"this folder was begun by imcsim {about['version']}, this is {__version__}"
        raise ImcsimError(message, file=folder, fix=_ANOTHER)
    if about and about.get("code") != code_sha256():
        begun = shown_code(about["code"]) if "code" in about else "that were not noted"
        raise ImcsimError(
            f"this folder was begun by imcsim {__version__} with other sources: {begun}, "
            f"these are {shown_code(code_sha256())}",
            file=folder,
            fix=f"go on with those, or {_ANOTHER}",
        )


def check_same(store: Store, meta: Mapping[str, str]) -> None:
    before, now = json.loads(store.meta["contents"]), json.loads(meta["contents"])
    for key in sorted({*before, *now}):
        if before.get(key) != now.get(key):
            raise ImcsimError(
                f"{key.split(' ', 1)[1]} has changed since this sweep was begun",
                file=store.folder,
                fix=_ANOTHER,
            )


@contextmanager
def made_folder(folder: Path) -> Iterator[None]:
    """Make the folder of a sweep. A sweep that fails before it has a value leaves nothing behind, and what
    somebody else has put in the folder's place as it is.
    """
    fresh = not folder.exists()
    try:
        with new_folders(folder):
            number = file_number(folder)
            try:
                yield
            except StoreLost:
                raise
            except BaseException:
                if fresh:
                    _remove_unused(folder, number)
                raise
    except OSError as error:
        raise cannot_write(error.filename or folder, error) from None


def _remove_unused(folder: Path, number: tuple[int, int]) -> None:
    """Remove what a sweep has made in its folder, the one of this number, if that holds no point."""
    own = (STORE, f"{STORE}-journal", f"{STORE}-wal", f"{STORE}-shm", ".lock", ".lock-journal")
    with suppress(OSError, ImcsimError):
        if file_number(folder) != number:
            return
        with alone(folder):  # not that of another one that has just begun
            if any(path.name not in own for path in folder.iterdir()) or _holds_points(folder / STORE):
                return
            for name in own:
                (folder / name).unlink(missing_ok=True)


def _holds_points(path: Path) -> bool:
    """Whether the store may hold a point. It is looked at as it lies there: a full disk allows no more."""
    if not path.exists() or not path.stat().st_size:
        return False
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size:  # what it holds is not in the file yet
        return True
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)) as connection:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'points'").fetchall():
                return False
            return bool(connection.execute("SELECT 1 FROM points LIMIT 1").fetchall())
    except SQLITE_ERRORS:
        return True


def sweep_up(folder: Path) -> None:
    """Remove what a killed sweep left half written in its folder, and locks that libraries laid beside."""
    for place in (folder, folder / ACTIVITY):
        for path in place.glob(f"*{PARTIAL}*"):
            with suppress(OSError):
                path.unlink()


@dataclass
class Dispatcher:
    """Hands out runs, then the points that needed them, and writes what comes back."""

    store: Store
    plan: Plan
    missing: list[SweepPoint]
    hands: WorkerPool
    threads: int | None
    progress: Progress | None
    summary: Summary
    home: Path | None = None
    """Whose kept values are used, where they are not the store's own folder's."""
    _ready: deque[Task] = field(default_factory=deque)
    _suspects: deque[Task] = field(default_factory=deque)
    _attempts: dict[str, int] = field(default_factory=dict)
    _over: set[str] = field(default_factory=set)
    _out: int = 0
    _origins: tuple[Origin, ...] = ()
    _begun: float = field(default_factory=time.perf_counter)

    def run(self) -> None:
        self._origins = used_by((point.setting for point in self.missing), Loader())
        waiting = self._group()
        wanted = {key for needs in waiting for key in needs}
        runs = {key: run for key, run in self.plan.runs.items() if key in wanted}
        done, known = 0, -1
        self._tell(done)
        while True:
            if known != len(self._over):
                known = len(self._over)
                for key in [k for k, run in runs.items() if run.after is None or run.after in self._over]:
                    self._ready.append(self._task(run=runs.pop(key)))
                for needs in [n for n in waiting if self._over.issuperset(n)]:
                    self._ready.extend(self._tasks(waiting.pop(needs)))
            self._hand_out()
            if not self._out:
                break
            for task, outcome in self.hands.take():
                self._out -= 1
                if outcome is None:
                    done += self._lost(task)
                    continue
                if task.run is not None:
                    self._over.add(task.run.key)
                for record in outcome.records:
                    self.store.add(record)
                done += len(outcome.records)
                self.summary.computed += outcome.computed
                self.summary.reused += outcome.reused
            self._tell(done)

    def _hand_out(self) -> None:
        if self._suspects:  # alone, so that a second death has one possible cause
            if not self._out:
                self.hands.submit(self._suspects.popleft())
                self._out += 1
            return
        room = self.hands.slots * AHEAD
        while self._ready and self._out < room:
            self.hands.submit(self._ready.popleft())
            self._out += 1

    def _lost(self, task: Task) -> int:
        """A worker died at or beside a task: try again; give up in the end. Returns points given up."""
        count = self._attempts[task.key] = self._attempts.get(task.key, 0) + 1
        if count < MAX_ATTEMPTS:
            self._suspects.append(task)
            return 0
        if task.run is not None:  # its points will tell
            self._over.add(task.run.key)
            return 0
        if len(task.points) > 1:
            self._suspects.extend(self._task(points=(one,)) for one in task.points)
            for one in task.points:
                self._attempts[f"points-{one[0].index}"] = MAX_ATTEMPTS - 1
            return 0
        self.store.add(failed(task.points[0][0], f"the worker died {MAX_ATTEMPTS} times at this point"))
        return 1

    def _group(self) -> dict[tuple[str, ...], list[SweepPoint]]:
        """Missing points by the runs that they need."""
        groups: dict[tuple[str, ...], list[SweepPoint]] = {}
        for point in self.missing:
            groups.setdefault(self.plan.needs[point.index].runs, []).append(point)
        return groups

    def _tasks(self, points: list[SweepPoint]) -> Iterator[Task]:
        slots = self.hands.slots
        size = 1
        if slots > 1:
            size = min(MAX_POINTS_A_TASK, max(1, len(self.missing) // (4 * slots)))
        for start in range(0, len(points), size):
            some = points[start : start + size]
            yield self._task(points=tuple((point, self.plan.needs[point.index]) for point in some))

    def _task(self, **what: Any) -> Task:
        folder = str((self.home or self.store.folder).resolve())
        about = folder, self.threads, __version__, code_sha256(), loaded_files(), self._origins
        return Task(*about, **what)

    def _tell(self, done: int) -> None:
        if self.progress is not None:
            self.progress("points", self.summary.earlier + done, self.summary.points)


__all__ = ["Summary", "WorkerFault", "contents", "sweep"]
