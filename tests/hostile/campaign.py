"""Damaged files for every reader, by the thousand: ``python tests/hostile/campaign.py --tries 100000``.

Each reader works in a process of its own that is watched: a try that takes longer than 10 s is a hang, an
error other than ImcsimError is an internal error, and whatever starts a program, opens a connection or writes
outside the folder is noted as executed. A reader that starts a process for each file forks it here, with the
same bounds (see `forking`). Try k of a reader is drawn from the seed and k alone, so any try can be made
again: ``--work --only NAME --first K --tries 1 --keep DIR``.

With ``--out`` the table is written as CSV after every slice of tries, and a campaign that was stopped goes on
where that table ends. What went wrong stands in a second file beside it (``*-faults.csv``): the next campaign
makes these tries again first, so after a fault is mended its try counts as what it is now.
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
import threading
import time
import traceback
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "helpers"), str(HERE.parents[1])]

HANG_S = 10.0
BEGINNING_S = 600.0
MOST_BYTES = 2 << 30
APART_SLICE = 4
"""A slice of a reader that starts a process is this much shorter."""
KINDS = ("internal errors", "hangs", "crashes", "executed")
BEGINNINGS = ("internal error", "hang", "crash", "executed")
"""How the account of a fault of each kind begins."""
COLUMNS = ("reader", "tries", "read", "refused", *KINDS, "peak MiB", "seconds", "seed", "date")
FILES = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where damaged files are written: in memory, where there is such a place."""


FAULTS = ("reader", "kind", "try", "what")


@dataclass
class Outcome:
    """What came of the tries of one reader. `faults`: kind, number and account of each that went wrong."""

    reader: str
    tries: int = 0
    read: int = 0
    refused: int = 0
    faults: list[tuple[str, int, str]] = field(default_factory=list)
    peak_mib: int = 0
    seconds: float = 0.0
    date: str = ""

    @property
    def sound(self) -> bool:
        return not self.faults and self.peak_mib << 20 < MOST_BYTES

    def row(self) -> list[Any]:
        counts = [sum(kind == one for kind, _, _ in self.faults) for one in KINDS]
        seconds = round(self.seconds)
        return [self.reader, self.tries, self.read, self.refused, *counts, self.peak_mib, seconds]

    def note(self, index: int, said: str) -> None:
        """A try's outcome as `tries` gives it, or the kind of a fault, a colon and more."""
        self.tries += 1
        if said in ("read", "refused"):
            setattr(self, said, getattr(self, said) + 1)
        else:
            kind = next((KINDS[k] for k, one in enumerate(BEGINNINGS) if said.startswith(one)), KINDS[0])
            self.faults.append((kind, index, said))


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
    seen: list[str] = []
    # What a library says of odd numbers would stand on the user's screen without place or fix.
    warnings.simplefilter("always", RuntimeWarning)
    warnings.showwarning = lambda message, kind, *place: seen.append(
        f"{kind.__name__}: {message} at {place[:2]}"
    )
    until = time.monotonic() + seconds
    for index in range(first, first + count):
        if time.monotonic() > until:
            return
        draw = Random(f"{seed} {name} {index}")
        path = reader.damage(draw, made, folder)
        executed.clear()
        seen.clear()
        try:
            reader.use(path, made)
            outcome = "read"
            if seen:
                outcome = f"internal error: a warning: {seen[0]}"
        except ImcsimError as error:
            outcome = "refused" if str(error) else "internal error: an empty message"
        except MemoryError:
            outcome = "internal error: MemoryError"
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            outcome = (
                f"internal error: {type(error).__name__}: {error} "
                f"at {Path(place.filename).name}:{place.lineno}"
            )
        if executed or Path("executed").exists():
            outcome = f"executed: {executed[:1]}"
        yield index, " ".join(outcome.split())[:300]


_WATCHED: list[tuple[tuple[str, ...], list[str]]] = []
"""Where the last reader that was watched may write, and what it did."""
PROGRAMS = {"os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.connect"}


def watch(folder: Path) -> list[str]:
    """A list that fills with what is done beyond reading."""
    if not _WATCHED:
        sys.addaudithook(_heard)  # for as long as the process lives
    found: list[str] = []
    _WATCHED[:] = [((str(folder), tempfile.gettempdir(), "/dev/null"), found)]
    return found


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    if event in PROGRAMS:
        _WATCHED[0][1].append(f"{event} {arguments!r:.100}")
    elif event == "open" and all(isinstance(one, str) for one in arguments[:2]):
        place, mode = arguments[:2]
        allowed, found = _WATCHED[0]
        if set(mode) & set("wax+") and not place.startswith(allowed) and "__pycache__" not in place:
            found.append(f"{event} {arguments!r:.100}")


def work(options: argparse.Namespace) -> int:
    """The watched process: a line for each try on stdout."""
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30))
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    folder = Path(options.keep or tempfile.mkdtemp(prefix="imcsim-hostile-"))
    os.chdir(folder)
    from readers import READERS, forked_readers

    with forked_readers() as children:
        if any(reader.starts_process for reader in READERS if reader.name == options.only):
            children.start()
        print("ready", file=out)
        for index, outcome in tries(
            options.only, options.seed, options.first, options.tries, folder.resolve(), options.seconds
        ):
            print(index, outcome, file=out)
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print("peak", peak >> 10, file=out)
    return 0


def campaign(name: str, seed: int, count: int, *, first: int = 0, seconds: float = 1e9) -> Outcome:
    """Tries of one reader, whatever its processes do."""
    outcome, begun = Outcome(name), time.monotonic()
    at, end = first, first + count
    while at < end and time.monotonic() - begun < seconds:
        command = [
            sys.executable, str(HERE / "campaign.py"), "--work", "--only", name, "--seed", str(seed),
            "--first", str(at), "--tries", str(end - at),
            "--seconds", str(seconds - (time.monotonic() - begun)),
        ]  # fmt: skip
        with tempfile.TemporaryDirectory(prefix="imcsim-hostile-", dir=FILES) as keep:
            process = subprocess.Popen(
                [*command, "--keep", keep],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, "TMPDIR": keep},
            )
            try:
                at = _watch(process, outcome, at)
            finally:
                process.kill()
                process.wait()
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
            most = BEGINNING_S if beginning else HANG_S
            if spent < most and waited < 24 * most:
                continue
            outcome.note(at, "hang")
            return at + 1
        line = process.stdout.readline()
        if not line:
            break
        head, _, said = line.strip().partition(" ")
        began, used = time.monotonic(), processor_seconds(process.pid)
        beginning = head == "ready"  # sound files are made then, and kernels compiled for them
        if head == "ready":
            continue
        if head == "peak":
            outcome.peak_mib = max(outcome.peak_mib, int(said))
            continue
        outcome.note(int(head), said)
        at = int(head) + 1
    process.wait()
    if process.returncode != 0:
        text = process.stderr.read().strip().splitlines()
        outcome.note(at, f"crash: status {process.returncode}: {' '.join(text[-3:])[:300]}")
        return at + 1
    return 1 << 62


def _fault_file(table: Path) -> Path:
    return table.with_name(f"{table.stem}-faults.csv")


def begun_before(table: Path, seed: int) -> dict[str, Outcome]:
    """The outcomes that a table holds which this seed began. Raises SystemExit for that of another seed."""
    found: dict[str, Outcome] = {}
    if not table.exists():
        return found
    with table.open(newline="") as file:
        for row in csv.DictReader(file):
            if row["seed"] != str(seed):
                raise SystemExit(f"{table}: it holds tries of seed {row['seed']}")
            numbers = [int(row[key]) for key in ("tries", "read", "refused")]
            one = Outcome(row["reader"], *numbers, [], int(row["peak MiB"]))
            one.seconds, one.date = float(row["seconds"]), row["date"]
            found[one.reader] = one
    if _fault_file(table).exists():
        with _fault_file(table).open(newline="") as file:
            for row in csv.DictReader(file):
                found[row["reader"]].faults.append((row["kind"], int(row["try"]), row["what"]))
    return found


def write(table: Path, seed: int, outcomes: Iterable[Outcome]) -> None:
    """The table, and beside it what went wrong, if anything did."""
    from imcsim.base.files import written_whole

    outcomes = list(outcomes)
    with written_whole(table) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([*one.row(), seed, one.date] for one in outcomes)
    faults = [(one.reader, *fault) for one in outcomes for fault in one.faults]
    _fault_file(table).unlink(missing_ok=True)
    if faults:
        with _fault_file(table).open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(FAULTS)
            writer.writerows(faults)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=1000, help="of each reader, those before included")
    parser.add_argument(
        "--apart-tries", type=int, help="of each reader that starts a process; as many as of others"
    )
    parser.add_argument("--seconds", type=float, default=1e9, help="most for the whole campaign")
    parser.add_argument("--slice", type=int, default=2000, help="tries of a reader in a row")
    parser.add_argument("--jobs", type=int, default=1, help="readers at work at once")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="words, by commas: a reader's name holds one; after --work its name")
    parser.add_argument("--first", type=int, default=0, help="number of the first try, without --out")
    parser.add_argument("--out", type=Path, help="CSV file; a campaign that it holds goes on")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--keep", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        return work(options)
    from readers import READERS

    before = begun_before(options.out, options.seed) if options.out else {}
    apart = {reader.name for reader in READERS if reader.starts_process}
    targets = {
        reader.name: (reader.name in apart and options.apart_tries) or options.tries
        for reader in READERS
        if any(word in reader.name for word in (options.only or "").split(","))
    }
    # In the order of the table, which keeps the readers that this run leaves alone.
    names = [reader.name for reader in READERS if reader.name in before or reader.name in targets]
    outcomes = {name: before.get(name, Outcome(name)) for name in names}
    until, lock = time.monotonic() + options.seconds, threading.Lock()

    def one_slice(name: str) -> None:
        outcome = outcomes[name]
        count = min(options.slice // (APART_SLICE if name in apart else 1), targets[name] - outcome.tries)
        left = until - time.monotonic()
        if count <= 0 or left <= 0:
            return
        first = options.first + outcome.tries
        found = campaign(name, options.seed, count, first=first, seconds=left)
        with lock:
            add(outcome, found)
            finish(outcome)

    def again(name: str) -> None:
        outcome = outcomes[name]
        old, outcome.faults = outcome.faults, []
        for _, index, _ in old:
            found = campaign(name, options.seed, 1, first=index)
            with lock:
                add(outcome, found)
                outcome.tries -= 1
        finish(outcome)

    def finish(outcome: Outcome) -> None:
        outcome.date = datetime.datetime.now(datetime.UTC).date().isoformat()
        if options.out:
            write(options.out, options.seed, (one for one in outcomes.values() if one.tries))
        print(*outcome.row(), sep="\t", flush=True)
        for fault in outcome.faults[-20:]:
            print("   ", *fault, flush=True)

    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(again, [name for name in targets if outcomes[name].faults]))
        while time.monotonic() < until:
            unfinished = [name for name in targets if outcomes[name].tries < targets[name]]
            if not unfinished:
                break
            list(pool.map(one_slice, unfinished))
    return 0 if all(outcomes[name].sound for name in targets) else 1


def add(outcome: Outcome, more: Outcome) -> None:
    """Add the tries of `more` to `outcome`."""
    for key in ("tries", "read", "refused", "seconds"):
        setattr(outcome, key, getattr(outcome, key) + getattr(more, key))
    outcome.faults += more.faults
    outcome.peak_mib = max(outcome.peak_mib, more.peak_mib)


if __name__ == "__main__":
    sys.exit(main())
