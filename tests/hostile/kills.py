"""Kills at random moments: ``python tests/hostile/kills.py --kills 100 --signals 50 --out kills.csv``.

A sweep, a search or a reproduction is killed by SIGKILL again and again, each time in a new moment, and run
to its end. Then nothing that was there may be lost or computed anew, nothing may be there twice or half
written, no process may be left over, and the files must be those of a run that nothing stopped. Workers are
killed too, which the run outlives. Every command gets SIGINT and SIGTERM, while modules are imported and
kernels compiled too: it ends with status 130 and one line, or is done.

With ``--out`` the table is written after each row, and where the kills are stopped (Ctrl-C, SIGTERM). Rows
that it holds already go on to the numbers that are asked for.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import hashlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent / "helpers"), str(ROOT)]

from launching import Launcher, Started  # noqa: E402

FAULTS = ("lost", "doubled", "half_written", "orphaned", "other")
COLUMNS = ("what", "signal", "sent", "compiling", *(name.replace("_", "-") for name in FAULTS), "seconds")
FRESH_EVERY, COMPILING_EVERY = 25, 25
KERNELS = "imcsim-kernels"
JOURNAL = "study.journal"


STOP = threading.Event()
"""Set where no more signals are to be sent."""


@dataclass
class Toll:
    """What came of all signals to one command."""

    what: str
    number: str
    sent: int = 0
    compiling: int = 0
    lost: int = 0
    doubled: int = 0
    half_written: int = 0
    orphaned: int = 0
    other: int = 0
    seconds: float = 0.0

    @property
    def sound(self) -> bool:
        return not any(getattr(self, name) for name in FAULTS)

    def row(self) -> list[Any]:
        faults = [getattr(self, name) for name in FAULTS]
        return [self.what, self.number, self.sent, self.compiling, *faults, round(self.seconds)]

    def strange(self, *about: Any) -> None:
        """Count something that has no column of its own, and show it."""
        self.other += 1
        print("   ", self.what, self.number, *about, flush=True)


@dataclass(frozen=True)
class Place:
    """A folder with what commands need, and one for kernels that are compiled anew."""

    folder: Path
    kernels: Path
    launcher: Launcher

    def run(self, arguments: list[str], *, fresh: bool = False, **more: str) -> tuple[int, str, float]:
        """Status, stderr and seconds of a command that nothing stops."""
        started = self.launcher.start(arguments, self.folder, fresh=fresh, **more)
        status, errors = started.wait()
        return status, errors, time.monotonic() - started.began


@contextmanager
def a_place(made: Path, launcher: Launcher) -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="imcsim-kills-") as name:
        folder = Path(shutil.copytree(made, Path(name) / "files"))
        yield Place(folder, Path(name) / "kernels", launcher)


def held(store: Path) -> tuple[dict[Any, str], int]:
    """The hash of each point's result, and how many rows are there twice or belong to no point."""
    if not store.exists():
        return {}, 0
    with closing(sqlite3.connect(store)) as connection:
        try:
            rows = connection.execute("SELECT point, coalesce(result_sha256, error) FROM points").fetchall()
            loose = connection.execute(
                "SELECT count(*) FROM results WHERE point NOT IN (SELECT point FROM points)"
            ).fetchone()[0]
            sound = connection.execute("PRAGMA quick_check").fetchone() == ("ok",)
        except sqlite3.OperationalError:  # killed before there was a table
            return {}, 0
    return dict(rows), len(rows) - len(dict(rows)) + loose + (not sound)


def hashes(folder: Path) -> dict[Any, str]:
    """The hash of each file by its name, but for SQLite's own (a lock too) and those that are not whole."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
        and not (".sqlite" in path.name or path.name.startswith(".lock"))
        and path.suffix != ".partial"
        and path.name != JOURNAL
    }


def broken_journals(folder: Path) -> int:
    """Lines of a search's journal, which has times and names of its own, that are not whole."""
    broken = 0
    for path in folder.rglob(JOURNAL):
        for line in path.read_bytes().split(b"\n")[:-1]:
            try:
                json.loads(line)
            except ValueError:
                broken += 1
        broken += not path.read_bytes().endswith(b"\n")
    return broken


def killed(
    what: str, arguments: list[str], count: int, draw: random.Random, place: Place, compiles: bool = True
) -> Toll:
    """Kill a command `count` times; it is run to its end after some kills each, then begun anew."""
    toll, begun = Toll(what, "SIGKILL"), time.monotonic()
    out = place.folder / "out"
    place.launcher.warm([*arguments, "--out", "warm"], place.folder)
    status, errors, longest = place.run([*arguments, "--out", "calm"])
    if status != 0:
        raise RuntimeError(f"{what} does not run: {errors}")
    whole = hashes(place.folder / "calm")
    cold_longest = 0.0

    def look(before: dict[Any, str]) -> dict[Any, str]:
        rows, doubled = held(out / "sweep.sqlite")
        files = hashes(out) if out.exists() else {}
        # What is kept or written is there as a whole, the same as in a run that nothing stopped.
        broken, now = files.items() - whole.items(), {**rows, **files}
        lost = before.items() - now.items()
        toll.half_written += len(broken)
        toll.doubled += doubled
        toll.lost += len(lost)
        if broken or lost:
            print("   ", what, "broken", broken, "lost", lost, flush=True)
        return now

    while toll.sent < count and not STOP.is_set():
        shutil.rmtree(out, ignore_errors=True)
        before: dict[Any, str] = {}
        for _ in range(min(8, count - toll.sent)):
            if STOP.is_set():
                break
            cold = compiles and toll.sent % COMPILING_EVERY == COMPILING_EVERY - 1
            more = {"NUMBA_CACHE_DIR": str(place.kernels)} if cold else {}
            if cold and not cold_longest:
                some_kernels(place.kernels, draw)
                *_, cold_longest = place.run([*arguments, "--out", "cold"], fresh=True, **more)
            if cold:
                some_kernels(place.kernels, draw)
            process = place.launcher.start([*arguments, "--out", "out"], place.folder, fresh=cold, **more)
            time.sleep(draw.random() * (cold_longest if cold else 1.1 * longest))
            process.send(signal.SIGKILL)
            process.wait()
            toll.sent += 1
            toll.compiling += cold
            toll.half_written += broken_kernels(place.kernels)
            toll.orphaned += len(process.left_over())
            before = look(before)
        status, errors, _ = place.run([*arguments, "--out", "out"])
        if status != 0 or "Traceback" in errors:
            toll.strange("ends with", status, errors[-600:])
        now = look(before)
        toll.half_written += len(whole.items() - now.items()) + len(list(out.rglob("*.partial")))
        toll.half_written += broken_journals(out)
    toll.seconds = time.monotonic() - begun
    return toll


def bereft(
    what: str,
    arguments: list[str],
    count: int,
    draw: random.Random,
    place: Place,
    workers: Callable[[Started], list[int]],
) -> Toll:
    """Kill workers, one or two in a run, which replaces them and ends as if nothing had been."""
    toll, begun = Toll(what, "SIGKILL"), time.monotonic()
    place.launcher.warm([*arguments, "--out", "warm"], place.folder)
    status, errors, longest = place.run([*arguments, "--out", "calm"])
    if status != 0:
        raise RuntimeError(f"{what} does not run: {errors}")
    whole = hashes(place.folder / "calm")
    rows, _ = held(place.folder / "calm" / "sweep.sqlite")
    out = place.folder / "out"
    while toll.sent < count and not STOP.is_set():
        shutil.rmtree(out, ignore_errors=True)
        process = place.launcher.start([*arguments, "--out", "out"], place.folder)
        for _ in range(draw.choice((1, 2))):
            time.sleep(draw.random() * 0.7 * longest)
            found = workers(process)
            if found:
                os.kill(draw.choice(found), signal.SIGKILL)
                toll.sent += 1
        status, errors = process.wait()
        if status != 0 or "Traceback" in errors:
            toll.strange("ends with", status, errors[-600:])
        toll.orphaned += len(process.left_over())
        now, doubled = held(out / "sweep.sqlite")
        toll.doubled += doubled
        toll.lost += len(rows.items() - now.items())
        toll.half_written += len(hashes(out).items() ^ whole.items()) + len(list(out.rglob("*.partial")))
        toll.half_written += broken_journals(out)
    toll.seconds = time.monotonic() - begun
    return toll


def signalled(
    what: str, arguments: list[str], counts: dict[signal.Signals, int], draw: random.Random, place: Place
) -> list[Toll]:
    """Send each signal so many times to a command, now and then in a process whose imports are struck too,
    or while kernels are compiled. Files are there as of a run that nothing stopped, or not at all; those of
    an earlier run stay.
    """
    kept = set(hashes(place.folder))
    place.launcher.warm(arguments, place.folder)
    *calm, longest = place.run(arguments)
    first = hashes(place.folder)
    fresh_status, fresh_errors, fresh_longest = place.run(arguments, fresh=True)
    whole = hashes(place.folder)
    # Of what is new with each run (a time that something took), only the name can be compared.
    same = {name for name in whole if name in kept or whole[name] == first.get(name)}
    if calm[0] not in (0, 1) or calm[0] != fresh_status:
        raise RuntimeError(f"{what} does not run: {calm} {fresh_status, fresh_errors}")

    def one(number: signal.Signals, count: int) -> Toll:
        toll, begun = Toll(what, number.name), time.monotonic()
        for k in range(count):
            if STOP.is_set():
                break
            if k % 2 == 0:
                for name in set(hashes(place.folder)) - kept:
                    (place.folder / name).unlink()
                shutil.rmtree(place.folder / "out", ignore_errors=True)
            before = set(hashes(place.folder))
            cold = what in COMPILED and k % COMPILING_EVERY == COMPILING_EVERY - 1
            fresh = cold or k % FRESH_EVERY == FRESH_EVERY // 2
            more = {"NUMBA_CACHE_DIR": str(place.kernels)} if cold else {}
            if cold:
                some_kernels(place.kernels, draw)
            process = place.launcher.start(arguments, place.folder, fresh=fresh, **more)
            most = (fresh_longest if fresh else longest) * (2 if cold else 1)
            time.sleep(0.02 * fresh + draw.random() * 1.05 * most)
            listening = process.send(number)
            status, errors = process.wait()
            toll.sent += 1
            toll.compiling += cold
            # Before a line of ours has run, the interpreter answers by itself.
            starting = not listening and status in (-number, 1, 130) and "imcsim/" not in errors
            if [status, errors] not in ([130, "interrupted\n"], calm) and not starting:
                toll.strange("ends with", status, errors[-600:], "listening" if listening else "")
            toll.orphaned += len(process.left_over())
            now = hashes(place.folder)
            toll.lost += len(before - set(now))
            broken = [
                name for name in now if name not in whole or (name in same and now[name] != whole[name])
            ]
            toll.half_written += len(broken)
            if broken:
                print("   ", what, number.name, "broken", broken, "fresh" if fresh else "", flush=True)
            toll.half_written += len([*place.folder.rglob("*.partial"), *place.kernels.rglob("*.partial")])
            toll.half_written += broken_kernels(place.kernels)
            toll.doubled += held(place.folder / "out" / "sweep.sqlite")[1]
        toll.seconds = time.monotonic() - begun
        return toll

    return [one(number, count) for number, count in counts.items()]


def some_kernels(place: Path, draw: random.Random) -> None:
    """Fill a cache of kernels with most of those that this checkout keeps; the others are compiled anew."""
    shutil.rmtree(place, ignore_errors=True)
    for kept in (ROOT / "imcsim").rglob(f"__pycache__/{KERNELS}"):
        source = kept.parents[1]
        own = place / f"{source.name}_{hashlib.sha256(str(source).encode()).hexdigest()[:32]}"
        own.mkdir(parents=True, mode=0o700)
        for path in sorted(kept.glob("*.nbc")):
            if draw.random() < 0.9:
                shutil.copy(path, own)


def broken_kernels(place: Path) -> int:
    """Kernels whose checksum does not fit."""
    found = [path.read_bytes() for path in place.rglob("*.nbc")]
    return sum(hashlib.sha256(raw[32:]).digest() != raw[:32] for raw in found)


@contextmanager
def cluster() -> Iterator[tuple[str, int]]:
    """The address of a Dask cluster of two processes, and the process that has made it."""
    code = (
        "import distributed, sys\n"
        "if __name__ == '__main__':\n"
        "    made = distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True,\n"
        "                                    dashboard_address=None, host='127.0.0.1')\n"
        "    print(made.scheduler_address, flush=True)\n"
        "    sys.stdin.read()\n"
        "    made.close()\n"
    )
    with tempfile.TemporaryDirectory(prefix="imcsim-kills-") as name:
        (Path(name) / "made.py").write_text(code)
        process = subprocess.Popen(
            [sys.executable, "made.py"],
            cwd=name,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process.pid
        process.stdin.close()
        process.wait()


def workers_of(pid: int) -> list[int]:
    """Children of a process that work for it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        threads = Path(f"/proc/{pid}/task").iterdir()
        children += [one for task in threads for one in (task / "children").read_text().split()]
        commands = {int(one): Path(f"/proc/{one}/cmdline").read_bytes() for one in children}
    except OSError:
        return []
    return [one for one, command in commands.items() if b"spawn_main" in command]


def still_there(pid: int, first: list[int], _: Started) -> list[int]:
    """Those of the first workers that live."""
    return [worker for worker in workers_of(pid) if worker in first]


def files(folder: Path) -> Path:
    """What the commands need."""
    from dataclasses import replace

    import numpy as np
    from networks import vgg_like
    from readers import _nir
    from sample_results import compare_result
    from sweep_files import base, write_files, write_spec

    import imcsim.network
    from imcsim.commands.cli import main as run
    from imcsim.results.model import to_json

    write_files(folder, images=6)
    axes = {"adc.bits": [4, 99], "noc.flit_bits": [32, 64], "threshold": [None, 0.3]}
    write_spec(folder, base(axes=axes))
    search = base(
        axes={"adc.bits": [4, 5], "noc.flit_bits": [32, 64]}, objectives=["edp", "accuracy"], trials=4
    )
    write_spec(folder, search, "search.yaml")
    write_spec(folder, base(axes={"threshold": [0.2, 0.3]}), "short.yaml")
    (folder / "result.json").write_text(to_json(compare_result()))
    (folder / "folder").mkdir()
    _nir(folder / "folder")
    for seed, loss in enumerate(("running", "final")):
        network = vgg_like(
            np.random.default_rng(seed), plan=(4, "M", "M", "M", 4), size=32, classes=10, timesteps=2
        )
        name = f"vgg16_{loss}_cifar10"
        imcsim.network.save(replace(network, name=name), folder / "models" / name)
    here = Path.cwd()
    os.chdir(folder)
    run(["sweep", "short.yaml", "--out", "swept", "--workers", "1", "--quiet"])
    run(["trace", "record", *IMAGES, "-o", "recorded.npz", "--quiet"])
    os.chdir(here)
    return folder


IMAGES = ["--model", "net", "--inputs", "test.npz"]
REPRODUCE = [
    "reproduce", "--networks", "vgg16", "--models", "models", "--images", "2", "--validation-images", "2",
]  # fmt: skip
COMMANDS: dict[str, list[str]] = {
    "compare": ["compare", *IMAGES, "--threshold", "0.3", "--json", "out.json", "--quiet"],
    "compare --against": [
        "compare",
        *IMAGES,
        "--against",
        "net",
        "--threshold",
        "0.3",
        "--json",
        "out.json",
        "--quiet",
    ],
    "run": ["run", *IMAGES, "--policy", "static", "--json", "out.json", "--quiet"],
    "stream": ["stream", *IMAGES, "--policy", "static", "--json", "out.json", "--quiet"],
    "sweep": ["sweep", "short.yaml", "--out", "out", "--workers", "2", "--quiet"],
    "search": ["search", "search.yaml", "--out", "out", "--workers", "1", "--quiet"],
    "reproduce": [*REPRODUCE, "--out", "out", "--quiet"],
    "report": ["report", "swept", "--out", "out", "--quiet"],
    "import": ["import", "folder/sound.nir", "-o", "out"],
    "map": ["map", "--model", "net"],
    "map --optimise": [
        "map",
        "--model",
        "net",
        "--validation",
        "test.npz",
        "--optimise",
        "edp",
        "--images",
        "4",
        "--json",
        "out.json",
    ],
    "timeline": ["timeline", *IMAGES, "--policy", "static", "-o", "out.json", "--png", "out.png", "--quiet"],
    "trace record": ["trace", "record", *IMAGES, "-o", "out.npz", "--quiet"],
    "trace info": ["trace", "info", "recorded.npz"],
    "diff": ["diff", "result.json", "result.json"],
    "hardware list": ["hardware", "list"],
    "hardware show": ["hardware", "show", "dtsnn_32nm"],
    "hardware check": ["hardware", "check", "dtsnn_32nm", "--model", "net"],
    "model list": ["model", "list"],
    "model show": ["model", "show", "net"],
    "model check": ["model", "check", "net"],
    "inputs list": ["inputs", "list"],
    "inputs show": ["inputs", "show", "test.npz"],
    "inputs convert": ["inputs", "convert", "test.npz", "-o", "out.npz"],
    "plugins list": ["plugins", "list"],
    "plugins check": ["plugins", "check", "entropy"],
    "validate": ["validate", "--verification", "--out", "out"],
    "warm-up": ["warm-up", "--quiet"],
    "info": ["info"],
    "schema": ["schema", "result"],
    "completion": ["completion", "bash"],
}
COMPILED = (
    "compare", "compare --against", "run", "stream", "sweep", "search", "reproduce", "map --optimise",
    "timeline", "trace record", "validate", "warm-up",
)  # fmt: skip
"""Commands that have kernels compiled."""
KILLED = {
    "sweep": ["sweep", "spec.yaml", "--quiet"],
    "search": ["search", "search.yaml", "--quiet"],
    "reproduce": [*REPRODUCE, "--quiet"],
}


Make = Callable[[], list[Toll]]


def tolls(
    kills: int, signals: int, seed: int, made: Path, sent: Callable[[str, str], int]
) -> Iterator[tuple[str, int, Make]]:
    """What is run, how many signals its rows of the table still lack, and how those rows are made. `sent`:
    how many signals a row has.
    """
    launcher = Launcher()

    def lacking(what: str, number: signal.Signals) -> int:
        return max(0, (kills if number == signal.SIGKILL else signals) - sent(what, number.name))

    def make(
        toll: Callable[..., Any], what: str, arguments: list[str], rest: Any, part: int = 0, **more: Any
    ) -> Any:
        draw = random.Random(f"{seed} {what} {rest} {part}")
        with a_place(made, launcher) as place:
            return toll(what, arguments, rest, draw=draw, place=place, **more)

    def all_signals(what: str, arguments: list[str]) -> tuple[str, int, Make]:
        counts = {number: lacking(what, number) for number in (signal.SIGINT, signal.SIGTERM)}
        return what, sum(counts.values()), lambda: make(signalled, what, arguments, counts)

    def all_kills(toll: Callable[..., Toll], what: str, arguments: list[str], **more: Any) -> Any:
        lack = lacking(what, signal.SIGKILL)
        return what, lack, lambda: [make(toll, what, arguments, lack, **more)]

    def on_cluster(what: str, arguments: list[str], worker: bool) -> tuple[str, int, Make]:
        lack = lacking(what, signal.SIGKILL)

        def run() -> list[Toll]:
            found: list[Toll] = []
            while (rest := lack - sum(toll.sent for toll in found)) > 0 and not STOP.is_set():
                with cluster() as (address, pid):
                    there = [*arguments, "--scheduler", address]
                    if not worker:
                        return [make(killed, what, there, lack, compiles=False)]
                    # Each worker is killed once: Dask gives up one that dies as it begins, and a sweep on a
                    # cluster that has lost all of them waits for new ones.
                    first = workers_of(pid)
                    count = min(rest, len(first))
                    found.append(
                        make(bereft, what, there, count, rest, workers=partial(still_there, pid, first))
                    )
            return found

        return what, lack, run

    for what, arguments in COMMANDS.items():
        yield all_signals(what, arguments)
    for kind, arguments in KILLED.items():
        for workers in (1, 2):
            here = [*arguments, "--workers", str(workers)]
            yield all_kills(killed, f"{kind}, {workers} worker{'s' * (workers > 1)}", here)
        if kind != "reproduce":  # its workers are threads, and all are on one machine
            yield all_kills(
                bereft, f"{kind}, a worker of 2", here, workers=lambda process: workers_of(process.pid)
            )
            yield on_cluster(f"{kind}, cluster", arguments, False)
            yield on_cluster(f"{kind}, a worker of a cluster", arguments, True)
    launcher.close()


def add(rows: dict[tuple[str, str], list[str]], toll: Toll, seed: int) -> None:
    """Add a toll to its row of the table."""
    what, number, *counts = toll.row()
    if (what, number) in rows:
        counts = [int(old) + new for old, new in zip(rows[what, number][2:], counts, strict=False)]
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    rows[what, number] = [str(cell) for cell in (what, number, *counts, seed, today)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--kills", type=int, default=100, help="SIGKILLs for each way to run a sweep, search or reproduction"
    )
    parser.add_argument("--signals", type=int, default=50, help="SIGINTs, and SIGTERMs, for each command")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="words, by commas: what is run has one in its name")
    parser.add_argument("--out", type=Path, help="CSV file; rows that it holds go on")
    options = parser.parse_args()
    # A shell's background jobs ignore SIGINT, and so would all commands that are to be interrupted.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: STOP.set())
    rows: dict[tuple[str, str], list[str]] = {}
    if options.out and options.out.exists():
        with options.out.open(newline="") as file:
            rows = {(row[0], row[1]): row for row in list(csv.reader(file))[1:]}

    def sent(what: str, number: str) -> int:
        return int(rows[what, number][2]) if (what, number) in rows else 0

    with tempfile.TemporaryDirectory(prefix="imcsim-kills-") as name:
        made = files(Path(name))
        for what, lack, make in tolls(options.kills, options.signals, options.seed, made, sent):
            if STOP.is_set() or lack == 0 or not any(word in what for word in options.only.split(",")):
                continue
            for toll in filter(lambda toll: toll.sent, make()):
                add(rows, toll, options.seed)
                print(*toll.row(), sep="\t", flush=True)
            if options.out:
                with options.out.open("w", newline="") as file:
                    writer = csv.writer(file, lineterminator="\n")
                    writer.writerow([*COLUMNS, "seed", "date"])
                    writer.writerows(rows.values())
    sound = all(set(row[4 : 4 + len(FAULTS)]) == {"0"} for row in rows.values())
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
