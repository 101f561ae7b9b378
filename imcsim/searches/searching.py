"""A search from its spec to its front: propose, run, judge, and show the front on the reported images.

Every point is judged on validation images, so that nothing is selected on the images that are reported. The
points of the front are then run once on those.

The store of a search, ``DIR/sweep.sqlite``, is that of a sweep: its rows are the points on the validation
images. ``DIR/front`` is a sweep of its own: the front's points, by the same numbers, on the reported images.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from imcsim._version import __version__
from imcsim.base.code import code_sha256
from imcsim.base.errors import ImcsimError
from imcsim.base.progress import Progress
from imcsim.inputs import encoding_of
from imcsim.searches.goals import figures, front
from imcsim.searches.proposals import Proposals, Verdict, import_optuna
from imcsim.searches.spec import Search
from imcsim.searches.table import write_front
from imcsim.studies.loading import Loader, validation_of
from imcsim.studies.plugged import names_a_part
from imcsim.studies.settings import RunSettings
from imcsim.sweeps.constraints import BadConstraint
from imcsim.sweeps.plan import make_plan
from imcsim.sweeps.pools import WorkerPool, pool
from imcsim.sweeps.spec import SweepPoint
from imcsim.sweeps.store import Store, alone, create_store
from imcsim.sweeps.sweeping import (
    Dispatcher,
    Summary,
    check_made_for,
    check_same,
    contents,
    made_folder,
    plugins_meta,
    sweep_up,
)
from imcsim.sweeps.tasks import WorkerFault

FRONT = "front"
"""The folder of the front's own sweep, inside that of the search."""

STUDY = "study.journal"
"""The trials as an Optuna journal."""


def search(
    spec: Search,
    folder: str | Path,
    *,
    trials: int | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: Progress | None = None,
    summary: Summary | None = None,
) -> Store:
    """Try `trials` points (None: as many as the spec says), and write the front of all that were tried.

    A point that `folder` holds is not run again, so stopped at any moment, the same call goes on, and more
    trials go on from fewer. `workers` are processes (None: one for each processor), `scheduler` the address
    of a Dask scheduler instead; neither changes a result. Raises ImcsimError where Optuna is missing, where
    there are no validation images, and as `sweeps.sweep` does; a point that fails is a row.

    Args:
        spec: What `load_search` gives.
        folder: Where the store lies, and the front.
        trials: How many points are tried. None: as many as the spec says.
        workers: Processes of this machine. None: one for each processor.
        scheduler: Address of a Dask scheduler, in place of them.
        progress: Called with a stage, how much of it is done and how much there is.
        summary: Receives how many points were run, and how many values were found.
    """
    folder, summary = Path(folder), summary or Summary()
    loader, wanted = Loader(), trials or spec.trials
    proposals = Proposals(spec, loader)
    on_validation(spec.sweep.base, loader)
    with made_folder(folder), alone(folder):
        check_made_for(folder, spec.sha256)
        meta = _meta(spec, wanted, loader)
        store = create_store(folder, meta)
        try:
            check_same(store, meta)
            wanted = max(wanted, 1 + max(store.finished(), default=-1))
            store.put_meta("points", str(wanted))
            sweep_up(folder)
            processes = 1 if scheduler is not None else max(1, min(workers or os.cpu_count() or 1, wanted))
            threads = 1 if scheduler is not None else max(1, (os.cpu_count() or 1) // processes)
            with pool(processes, scheduler) as hands:
                runner = _Runner(spec, loader, hands, threads, folder)
                points = _explore(runner, store, proposals, wanted, progress, summary)
                store.put_meta("points", str(len(points)))
                store.write_table()
                proposals.save(folder / STUDY)
                _show(runner, store, points, progress)
                store.verify()
        except BaseException as error:
            store.close()
            if isinstance(error, WorkerFault):
                raise error.told() from None
            raise
        return store


def _explore(
    runner: _Runner,
    store: Store,
    proposals: Proposals,
    wanted: int,
    progress: Progress | None,
    summary: Summary,
) -> list[SweepPoint]:
    """Ask for points and run them, batch by batch; those that the store holds are only looked up."""
    spec = runner.spec
    held = {row["point"]: row for row in store.outcomes()}
    points: list[SweepPoint] = []
    while len(points) < wanted and not proposals.exhausted:
        batch = proposals.ask(min(spec.batch, wanted - len(points)))
        missing = [point for point in batch if point.index not in held]
        for point in batch:
            if point.index in held and held[point.index]["axes"] != dict(point.values):
                raise ImcsimError(
                    "another version of Optuna tries other points than this folder holds",
                    file=store.folder,
                    fix="install the one that the search was begun with, or choose another folder",
                )
        if missing:
            done = len(points) + len(batch) - len(missing)
            runner.run(store, [runner.judged(point) for point in missing], done, wanted, progress, summary)
            held |= {row["point"]: row for row in store.outcomes(missing[0].index)}
        for point in batch:
            proposals.tell(point.index, _verdict(spec, held[point.index], point))
        points += batch
        summary.earlier += len(batch) - len(missing)
    summary.points = len(points)
    summary.failed = sum(held[point.index]["status"] == "failed" for point in points)
    return points


def _show(runner: _Runner, store: Store, points: list[SweepPoint], progress: Progress | None) -> None:
    """Find the front and run its points on the reported images."""
    spec = runner.spec
    outcomes = {row["point"]: row for row in store.outcomes()}
    sound = []
    for point in points:
        verdict = _verdict(spec, outcomes[point.index], point)
        if verdict.figures is not None and not any(verdict.violations):
            sound.append((point, verdict.figures))
    best = [sound[k][0] for k in front([row for _, row in sound], spec.objectives)]
    folder = store.folder / FRONT
    folder.mkdir(exist_ok=True)
    about = {key: value for key, value in store.meta.items() if key != "search"}
    with create_store(folder, {**about, "name": f"front of {spec.sweep.name}"}) as shown:
        shown.keep_only(point.index for point in best)
        held = shown.finished()
        missing = [point for point in best if point.index not in held]
        if missing:
            runner.run(shown, missing, len(best) - len(missing), len(best), progress, Summary(), "front")
        shown.put_meta("points", str(len(best)))
        shown.write_table()
        shown.verify()
        write_front(store, shown, spec, outcomes)


@dataclass
class _Runner:
    """Runs points; all of them use the kept values in `folder`."""

    spec: Search
    loader: Loader
    hands: WorkerPool
    threads: int
    folder: Path
    _ghosts: list[SweepPoint] = field(default_factory=list)

    def run(
        self,
        store: Store,
        points: list[SweepPoint],
        done: int,
        total: int,
        progress: Progress | None,
        summary: Summary,
        stage: str = "points",
    ) -> None:
        """Run points and write their rows. `done` of `total` were done before."""
        if not self._ghosts:
            self._ghosts = list(_corners(self.spec, self.loader))
        # What values are computed for the longest T that any point of the search may have, serves them all.
        plan = make_plan([*points, *self._ghosts], self.loader)
        own = Summary()

        def tell(_: str, now: int, all_: int) -> None:
            if progress is not None:
                progress(stage, done + now, total)

        Dispatcher(store, plan, points, self.hands, self.threads, tell, own, self.folder).run()
        summary.computed += own.computed
        summary.reused += own.reused

    def judged(self, point: SweepPoint) -> SweepPoint:
        """The point on the validation images."""
        return replace(point, setting=on_validation(point.setting, self.loader))


def on_validation(setting: RunSettings, loader: Loader) -> RunSettings:
    """The setting with its validation images in the place of the reported ones. Raises ImcsimError where it
    has none.
    """
    held_out = validation_of(setting)
    if held_out is None:
        raise ImcsimError(
            "a search judges points on validation images, and there are none",
            key="validation",
            fix="give validation: other labelled images than inputs",
        )
    encoding = setting.encoding
    try:
        if encoding is None:  # a trace of encoded images brings its encoding with it
            encoding = encoding_of(loader.inputs(setting))
    except ImcsimError:  # the point's own row says so
        pass
    return replace(setting, inputs=held_out, validation=held_out, labels=None, encoding=encoding)


def _corners(spec: Search, loader: Loader) -> Iterator[SweepPoint]:
    """Points of unused numbers, with every network and T that the axes allow, on both sets of images."""
    index = 0
    for point in _over(spec, {"model", "timesteps"}):
        for setting in (point.setting, on_validation(point.setting, loader)):
            index -= 1
            # Which chips run them says nothing about how long they are run.
            yield SweepPoint(index, point.values, replace(setting, chips=None))


def _over(spec: Search, keys: set[str]) -> Iterator[SweepPoint]:
    """Points with every value of these keys, whatever constraints say; other axes stay at their first."""
    axes = tuple(
        axis if keys & set(axis.keys) else replace(axis, rows=axis.rows[:1]) for axis in spec.sweep.axes
    )
    return replace(spec.sweep, axes=axes, constraints=()).points()


def _verdict(spec: Search, outcome: dict[str, Any], point: SweepPoint) -> Verdict:
    if outcome["status"] != "done":
        return Verdict(None)
    found = figures(outcome)
    known: dict[str, Any] = {**point.setting.values(), **spec.sweep.base.overrides, **point.values, **found}
    away = []
    for limit in spec.limits:
        try:
            away.append(limit.violation(known))
        except BadConstraint as error:
            raise ImcsimError(
                str(error), file=spec.sweep.path, key="constraints", fix="mend it, or leave it out"
            ) from None
    return Verdict(tuple(float(outcome[one.column]) for one in spec.objectives), tuple(away))


def _meta(spec: Search, wanted: int, loader: Loader) -> dict[str, str]:
    named = list(_over(spec, {"model", *(key for key in spec.sweep.keys if names_a_part(key))}))
    return {
        **plugins_meta(named, loader),
        "spec": json.dumps(dict(spec.data)),
        "spec_sha256": spec.sha256,
        "contents": json.dumps(contents(spec.sweep, named, loader), sort_keys=True),
        "version": __version__,
        "code": code_sha256(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "name": spec.sweep.name,
        "keys": json.dumps(spec.sweep.keys),
        "points": str(wanted),
        "search": json.dumps({"objectives": [one.name for one in spec.objectives], "sampler": spec.sampler}),
        "optuna": import_optuna().__version__,
    }


__all__ = ["FRONT", "STUDY", "on_validation", "search"]
