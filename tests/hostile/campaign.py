"""Damaged files for every reader, by the thousand: ``python tests/hostile/campaign.py --tries 100000``.

Each reader works in a process of its own that is watched: a try that takes longer than 10 s is a hang, an
error other than ImcsimError is an internal error, and whatever starts a program, opens a connection or writes
outside the folder is noted as executed. Try k of a reader is drawn from the seed and k alone, so any try can
be made again: ``--only NAME --first K --tries 1 --keep DIR``.

The table is printed and, with ``--out``, written as CSV.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import faulthandler
import os
import resource
import select
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "helpers"), str(HERE.parents[1])]

HANG_S = 10.0
MOST_BYTES = 2 << 30
COLUMNS = (
    "reader", "tries", "read", "refused", "internal errors", "hangs", "crashes", "executed", "peak MiB",
    "in process", "seconds",
)  # fmt: skip


@dataclass
class Outcome:
    """What came of the tries of one reader."""

    reader: str
    tries: int = 0
    read: int = 0
    refused: int = 0
    internal: list[str] = field(default_factory=list)
    hangs: list[str] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)
    executed: list[str] = field(default_factory=list)
    peak_mib: int = 0
    inside: bool = True
    seconds: float = 0.0

    @property
    def sound(self) -> bool:
        lists = (self.internal, self.hangs, self.crashes, self.executed)
        return not any(lists) and self.peak_mib << 20 < MOST_BYTES

    def row(self) -> list[Any]:
        lists = (self.internal, self.hangs, self.crashes, self.executed)
        counts = [len(found) for found in lists]
        place = "this" if self.inside else "child"
        return [
            self.reader,
            self.tries,
            self.read,
            self.refused,
            *counts,
            self.peak_mib,
            place,
            round(self.seconds),
        ]


def tries(
    name: str, seed: int, first: int, count: int, folder: Path, seconds: float
) -> Iterator[tuple[int, str]]:
    """Number and outcome of each try, in this process: ``read``, ``refused`` or what went wrong."""
    from readers import READERS

    from imcsim.base.errors import ImcsimError

    reader = next(one for one in READERS if one.name == name)
    folder.mkdir(parents=True, exist_ok=True)
    made = reader.make(folder)
    executed = watch(folder)
    until = time.monotonic() + seconds
    for index in range(first, first + count):
        if time.monotonic() > until:
            return
        draw = Random(f"{seed} {name} {index}")
        path = reader.damage(draw, made, folder)
        executed.clear()
        try:
            reader.use(path, made)
            outcome = "read"
        except ImcsimError as error:
            outcome = "refused" if str(error) else "internal: an empty message"
        except MemoryError:
            outcome = "internal: MemoryError"
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            outcome = (
                f"internal: {type(error).__name__}: {error} at {Path(place.filename).name}:{place.lineno}"
            )
        if executed or Path("executed").exists():
            outcome = f"executed: {executed[:1]}"
        yield index, " ".join(outcome.split())[:300]


def watch(folder: Path) -> list[str]:
    """A list that fills with what is done beyond reading."""
    found: list[str] = []
    allowed = (str(folder), tempfile.gettempdir(), "/dev/null")
    programs = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.connect")

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in programs:
            if event == "subprocess.Popen" and "imcsim.importers.apart.child" in str(arguments):
                return
            found.append(f"{event} {arguments!r:.100}")
        elif event == "open" and all(isinstance(one, str) for one in arguments[:2]):
            place, mode = arguments[:2]
            if set(mode) & set("wax+") and not place.startswith(allowed) and "__pycache__" not in place:
                found.append(f"{event} {arguments!r:.100}")

    sys.addaudithook(hook)
    return found


def work(options: argparse.Namespace) -> int:
    """The watched process: a line for each try on stdout."""
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30))
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    if not options.apart:
        from readers import use_readers_here

        use_readers_here()
    folder = Path(options.keep or tempfile.mkdtemp(prefix="imcsim-hostile-"))
    os.chdir(folder)
    print("ready", file=out)
    for index, outcome in tries(
        options.only, options.seed, options.first, options.tries, folder.resolve(), options.seconds
    ):
        print(index, outcome, file=out)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print("peak", peak >> 10, file=out)
    return 0


def campaign(
    name: str, seed: int, count: int, *, seconds: float = 1e9, apart: bool = False, first: int = 0
) -> Outcome:
    """All tries of one reader, whatever its processes do."""
    outcome, begun = Outcome(name, inside=not apart), time.monotonic()
    at, end = first, first + count
    while at < end and time.monotonic() - begun < seconds:
        command = [
            sys.executable, str(HERE / "campaign.py"), "--work", "--only", name, "--seed", str(seed),
            "--first", str(at), "--tries", str(end - at),
            "--seconds", str(seconds - (time.monotonic() - begun)), *(["--apart"] if apart else []),
        ]  # fmt: skip
        with tempfile.TemporaryDirectory(prefix="imcsim-hostile-") as keep:
            process = subprocess.Popen(
                [*command, "--keep", keep], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            at = _watch(process, outcome, at)
    outcome.seconds = time.monotonic() - begun
    return outcome


def processor_seconds(pid: int) -> float:
    """Processor time of a process, its children and those that have ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0.0
    ticks = sum(int(field) for field in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK") + sum(processor_seconds(int(child)) for child in children)


def _watch(process: subprocess.Popen[str], outcome: Outcome, at: int) -> int:
    """Take what the process says until it ends or hangs; returns the next try."""
    assert process.stdout is not None
    assert process.stderr is not None
    began, used, beginning = time.monotonic(), 0.0, True
    while True:
        ready, _, _ = select.select([process.stdout], [], [], 2.0)
        if not ready:
            # A busy machine gives a process a part of its time only, so its own time counts, and the wall
            # clock only where it waits for something.
            spent, waited = processor_seconds(process.pid) - used, time.monotonic() - began
            if beginning or (spent < HANG_S and waited < 24 * HANG_S):
                continue
            process.kill()
            process.wait()
            outcome.hangs.append(f"try {at}")
            outcome.tries += 1
            return at + 1
        line = process.stdout.readline()
        if not line:
            break
        head, _, said = line.strip().partition(" ")
        began, used, beginning = time.monotonic(), processor_seconds(process.pid), False
        if head == "ready":
            continue
        if head == "peak":
            outcome.peak_mib = max(outcome.peak_mib, int(said))
            continue
        at = int(head) + 1
        outcome.tries += 1
        if said in ("read", "refused"):
            setattr(outcome, said, getattr(outcome, said) + 1)
        else:
            kind = outcome.executed if said.startswith("executed") else outcome.internal
            kind.append(f"try {head}: {said}")
    process.wait()
    if process.returncode != 0:
        text = process.stderr.read().strip().splitlines()
        outcome.crashes.append(f"try {at}: status {process.returncode}: {' '.join(text[-3:])[:300]}")
        outcome.tries += 1
        return at + 1
    return 1 << 62


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=1000, help="of each reader")
    parser.add_argument(
        "--apart-tries", type=int, default=0, help="of readers that start a process, as they do"
    )
    parser.add_argument("--seconds", type=float, default=1e9, help="most for each reader")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="one reader")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--out", help="CSV file")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--apart", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--keep", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        return work(options)
    from readers import READERS

    outcomes = []
    for reader in READERS:
        if options.only not in (None, reader.name):
            continue
        runs = [(options.tries, False)]
        if reader.starts_process and options.apart_tries:
            runs.append((options.apart_tries, True))
        for count, apart in runs:
            found = campaign(
                reader.name, options.seed, count, seconds=options.seconds, apart=apart, first=options.first
            )
            outcomes.append(found)
            print(*found.row(), sep="\t", flush=True)
            for what in (*found.internal, *found.hangs, *found.crashes, *found.executed)[:20]:
                print("   ", what, flush=True)
    if options.out:
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        with Path(options.out).open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([*COLUMNS, "seed", "date"])
            writer.writerows([*one.row(), options.seed, today] for one in outcomes)
    return 0 if all(one.sound for one in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
