"""Kills at random moments: ``python tests/hostile/kills.py --kills 100 --signals 50 --out kills.csv``.

A sweep or a search is killed by SIGKILL again and again, each time in a new moment, and run to its end. Then
nothing that was there may be lost or computed anew, nothing may be there twice or half written, no process
may be left over, and the table must be that of a run that nothing stopped. Every command gets SIGINT and
SIGTERM, while modules are imported and kernels compiled too: it ends with status 130 and one line, or is
done.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE.parent / "helpers"), str(ROOT)]

COLUMNS = ("what", "signal", "sent", "lost", "doubled", "half-written", "orphaned", "other", "seconds")


@dataclass
class Toll:
    """What came of all signals to one command."""

    what: str
    number: str
    sent: int = 0
    lost: int = 0
    doubled: int = 0
    half_written: int = 0
    orphaned: int = 0
    other: int = 0
    seconds: float = 0.0

    @property
    def sound(self) -> bool:
        return not any((self.lost, self.doubled, self.half_written, self.orphaned, self.other))

    def row(self) -> list[Any]:
        counts = [self.sent, self.lost, self.doubled, self.half_written, self.orphaned, self.other]
        return [self.what, self.number, *counts, round(self.seconds)]


def start(arguments: list[str], folder: Path, mark: str, **more: str) -> subprocess.Popen[str]:
    """A command in a session of its own; all its processes carry `mark` in their environment."""
    return subprocess.Popen(
        [sys.executable, "-m", "imcsim", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "IMCSIM_KILL_MARK": mark, **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def left_over(mark: str, patience_s: float = 15.0) -> list[int]:
    """Processes that carry the mark after all that was to end had time to."""
    end = time.monotonic() + patience_s
    while True:
        found = []
        for place in Path("/proc").iterdir():
            try:
                ours = place.name.isdigit() and mark.encode() in (place / "environ").read_bytes()
                if ours and "State:\tZ" not in (place / "status").read_text():
                    found.append(int(place.name))
            except OSError:
                continue
        if not found or time.monotonic() > end:
            return found
        time.sleep(0.1)


def held(store: Path) -> tuple[dict[int, str], int]:
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


def killed(
    what: str, arguments: list[str], tables: list[str], count: int, draw: random.Random, made: Path
) -> Toll:
    """Kill a sweep or a search `count` times; it is run to its end after some kills each, then begun anew."""
    toll, begun = Toll(what, "SIGKILL"), time.monotonic()
    folder = Path(shutil.copytree(made, Path(tempfile.mkdtemp(prefix="imcsim-kills-")) / "files"))
    calm = start([*arguments, "--out", "calm"], folder, "calm")
    started = time.monotonic()
    calm.communicate()
    longest = time.monotonic() - started
    if calm.returncode != 0:
        raise RuntimeError(f"{what} does not run")
    whole = [(folder / "calm" / table).read_bytes() for table in tables]
    sent, out = 0, folder / "out"
    while sent < count:
        shutil.rmtree(out, ignore_errors=True)
        before: dict[int, str] = {}
        for _ in range(min(8, count - sent)):
            mark = f"imcsim-{os.getpid()}-{draw.randrange(1 << 60)}"
            process = start([*arguments, "--out", "out"], folder, mark)
            time.sleep(draw.random() * 1.1 * longest)
            process.kill()
            process.communicate()
            sent += 1
            toll.orphaned += len(left_over(mark))
            now, doubled = held(out / "sweep.sqlite")
            toll.lost += len(before.items() - now.items())
            toll.doubled += doubled
            before = now
        process = start([*arguments, "--out", "out"], folder, "last")
        _, errors = process.communicate()
        toll.other += process.returncode != 0 or "Traceback" in errors
        now, doubled = held(out / "sweep.sqlite")
        toll.lost += len(before.items() - now.items())
        toll.doubled += doubled
        toll.half_written += len(list(out.rglob("*.partial")))
        toll.half_written += [(out / table).read_bytes() for table in tables] != whole
    toll.sent, toll.seconds = sent, time.monotonic() - begun
    shutil.rmtree(folder.parent)
    return toll


def signalled(
    what: str, arguments: list[str], count: int, number: signal.Signals, draw: random.Random, made: Path
) -> Toll:
    """Send a signal to a command `count` times; every fourth time its kernels are compiled anew."""
    toll, begun = Toll(what, number.name), time.monotonic()
    folder = Path(shutil.copytree(made, Path(tempfile.mkdtemp(prefix="imcsim-kills-")) / "files"))
    longest = 0.0
    for k in range(count + 1):
        for path in [*folder.glob("out*"), *folder.glob("made*")]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        kept = set(folder.rglob("*"))
        mark = f"imcsim-{os.getpid()}-{draw.randrange(1 << 60)}"
        cold = {"NUMBA_CACHE_DIR": str(folder.parent / f"kernels{k}")} if k % 4 == 3 else {}
        started = time.monotonic()
        process = start(arguments, folder, mark, **cold)
        if k:
            time.sleep(0.05 + draw.random() * (1.05 if not cold else 3) * longest)
            process.send_signal(number)
        _, errors = process.communicate()
        if not k:
            longest = time.monotonic() - started
            if process.returncode not in (0, 1):
                raise RuntimeError(f"{what} does not run: {errors}")
            continue
        toll.sent += 1
        if (process.returncode, errors) not in ((130, "interrupted\n"), (0, ""), (1, "")):
            # Before a line of ours has run, the interpreter answers itself.
            starting = process.returncode in (-number, 1, 130) and "imcsim/" not in errors
            toll.other += not starting
            if not starting:
                print(what, process.returncode, errors[-600:], flush=True)
        toll.orphaned += len(left_over(mark))
        new = [path for path in folder.rglob("*") if path not in kept and path.is_file()]
        toll.half_written += sum(path.name.endswith((".partial", ".tmp")) for path in new)
        for path in new:
            if path.suffix == ".json":
                try:
                    json.loads(path.read_text())
                except ValueError:
                    toll.half_written += 1
        shutil.rmtree(folder.parent / f"kernels{k}", ignore_errors=True)
    toll.seconds = time.monotonic() - begun
    shutil.rmtree(folder.parent)
    return toll


@contextmanager
def cluster() -> Iterator[str]:
    """The address of a Dask cluster of two processes."""
    import distributed

    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as made:
        yield made.scheduler_address


def files(folder: Path) -> Path:
    """What the commands need."""
    from sample_results import compare_result
    from sweep_files import base, write_files, write_spec

    from imcsim.results.model import to_json

    write_files(folder)
    write_spec(
        folder, base(axes={"adc.bits": [4, 5, 99], "noc.flit_bits": [16, 32, 64], "threshold": [None, 0.3]})
    )
    search = base(
        axes={"adc.bits": [4, 5, 6], "noc.flit_bits": [16, 32, 64]}, objectives=["edp", "accuracy"], trials=9
    )
    write_spec(folder, search, "search.yaml")
    (folder / "result.json").write_text(to_json(compare_result()))
    return folder


IMAGES = ["--model", "net", "--inputs", "test.npz"]
COMMANDS: dict[str, list[str]] = {
    "compare": ["compare", *IMAGES, "--validation", "held.npz", "--out", "out", "--quiet"],
    "run": ["run", *IMAGES, "--policy", "static", "--json", "out.json", "--quiet"],
    "stream": ["stream", *IMAGES, "--policy", "static", "--json", "out.json", "--quiet"],
    "map": ["map", "--model", "net"],
    "timeline": ["timeline", *IMAGES, "--policy", "static", "-o", "out.json", "--png", "out.png", "--quiet"],
    "trace record": ["trace", "record", *IMAGES, "-o", "out.npz", "--quiet"],
    "sweep": ["sweep", "spec.yaml", "--out", "out", "--workers", "2", "--quiet"],
    "search": ["search", "search.yaml", "--out", "out", "--workers", "2", "--quiet"],
    "diff": ["diff", "result.json", "result.json"],
    "hardware show": ["hardware", "show", "dtsnn_32nm"],
    "model show": ["model", "show", "net"],
    "inputs show": ["inputs", "show", "test.npz"],
    "inputs convert": ["inputs", "convert", "test.npz", "-o", "out.npz"],
    "validate": ["validate"],
    "schema": ["schema", "result"],
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--kills", type=int, default=100, help="SIGKILLs for each way to run a sweep or search"
    )
    parser.add_argument("--signals", type=int, default=50, help="SIGINTs, and SIGTERMs, for each command")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="a word that the names of what is run must hold")
    parser.add_argument("--out", help="CSV file")
    options = parser.parse_args()
    draw, tolls = random.Random(options.seed), []

    def note(toll: Toll) -> None:
        tolls.append(toll)
        print(*toll.row(), sep="\t", flush=True)

    with tempfile.TemporaryDirectory(prefix="imcsim-kills-") as place:
        made = files(Path(place))
        for kind, spec, tables in (
            ("sweep", "spec.yaml", ["table.csv"]),
            ("search", "search.yaml", ["table.csv", "front.csv"]),
        ):
            for how, extra in (
                ("1 worker", ["--workers", "1"]),
                ("2 workers", ["--workers", "2"]),
                ("cluster", []),
            ):
                what = f"{kind}, {how}"
                if options.kills and (options.only or "") in what:
                    with cluster() if not extra else nullcontext("") as address:
                        where = extra or ["--scheduler", address]
                        note(killed(what, [kind, spec, *where, "--quiet"], tables, options.kills, draw, made))
        for what, arguments in COMMANDS.items():
            for number in (signal.SIGINT, signal.SIGTERM):
                if options.signals and (options.only or "") in what:
                    note(signalled(what, arguments, options.signals, number, draw, made))
    if options.out:
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        with Path(options.out).open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([*COLUMNS, "seed", "date"])
            writer.writerows([*toll.row(), options.seed, today] for toll in tolls)
    return 0 if all(toll.sound for toll in tolls) else 1


if __name__ == "__main__":
    sys.exit(main())
