"""What the benchmarks share: who runs where and for how long, and the table of results.

    python benchmarks/common.py --table

writes the table of README.md anew from results.csv. A script measures two sides by turns, each in a process
of its own, so that neither warms, or adds to, the memory of the other, and ends with `finish`.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import os
import platform
import re
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from types import TracebackType
from typing import Any, Self

FOLDER = Path(__file__).resolve().parent
RESULTS, PAGE = FOLDER / "results.csv", FOLDER / "README.md"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
COLUMNS = ("script", "measures", "ours", "theirs", "ratio", "peak_mb", "processor", "date")

NO_SAVE = "--no-save"
PROCESSOR = "--processor-time"

REST_SECONDS = 0.2
"""Between turns: threads of the other side that still wait for work go to sleep."""


# --- the machine


def processor() -> str:
    """The name of the processor, and the instructions for long vectors that it has."""
    try:
        about = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    lines = dict(line.split(":", 1) for line in about.splitlines() if ":" in line)
    found = {key.strip(): value.strip() for key, value in lines.items()}
    name = found.get("model name", platform.machine())
    flags = found.get("flags", "").split()
    if os.environ.get(LIMITED) == "avx2":
        return f"{name} limited to AVX2"
    vectors = next((name for flag, name in _VECTORS if flag in flags), "")
    return " ".join(filter(None, (name, vectors)))


_VECTORS = (("avx512f", "AVX-512"), ("avx2", "AVX2"))

LIMITED = "ATEN_CPU_CAPABILITY"
"""The variable by which PyTorch is told what vectors it may use."""


_NEWER = re.compile("avx512|avx10|avxvnni|gfni|amx")
"""Instructions that Zen 3 does not have."""


def limited_to_avx2() -> dict[str, str]:
    """What the environment of a script must say for both sides to compute as on a processor without AVX-512.

    Kernels are compiled for Zen 3, PyTorch and oneDNN choose theirs for AVX2. Clock, caches and what a core
    does in a cycle stay those of this machine.
    """
    import llvmlite.binding

    host = llvmlite.binding.get_host_cpu_features().items()
    features = [f"{'+' if there and not _NEWER.match(name) else '-'}{name}" for name, there in host]
    return {
        "NUMBA_CPU_NAME": "znver3",
        "NUMBA_CPU_FEATURES": ",".join(features),
        LIMITED: "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    }


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> str:
    """Processor and cores, as the table names them."""
    count = cores()
    return f"{processor()}, {count} core{'s' if count > 1 else ''}"


def peak_mb() -> float:
    """The most memory that this process has had, MB (10**6 bytes)."""
    try:  # that of this program alone, not of the one that started it
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        pass
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


# --- taking turns


class Side:
    """A process of its own that keeps what it has made: `make` is called once, then what it returned.

    `make` is a function of a module; what goes in and out can be pickled.
    """

    def __init__(self, make: Callable[..., Callable[..., Any]], *about: Any) -> None:
        self._pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        self._pool.submit(_make, make, about).result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._pool.shutdown()

    def run(self, *about: Any) -> tuple[float, Any]:
        """One turn: seconds, and what came out."""
        return self._pool.submit(_run, about, PROCESSOR in sys.argv).result()

    def peak_mb(self) -> float:
        """The most memory that the process has had so far."""
        return self._pool.submit(peak_mb).result()


_made: list[Callable[..., Any]] = []


def _make(make: Callable[..., Callable[..., Any]], about: Sequence[Any]) -> None:
    _made[:] = [make(*about)]


def _run(about: Sequence[Any], processor: bool) -> tuple[float, Any]:
    clock = time.process_time if processor else time.perf_counter
    begun = clock()
    out = _made[0](*about)
    return clock() - begun, out


@dataclass
class Turns:
    """The seconds of each turn of a side, and what came out of its last one."""

    seconds: list[float] = field(default_factory=list)
    out: Any = None

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def by_turns(sides: Mapping[str, Callable[[], tuple[float, Any]]], runs: int) -> dict[str, Turns]:
    """Run all sides one after the other, `runs` times; each returns its seconds and what came out."""
    turns = {name: Turns() for name in sides}
    for _ in range(runs):
        for name, run in sides.items():
            time.sleep(REST_SECONDS)
            seconds, turns[name].out = run()
            turns[name].seconds.append(seconds)
    return turns


# --- results


def arguments(about: str | None, **defaults: int) -> argparse.ArgumentParser:
    """The options that all scripts have. `defaults` are integers; `--quick` stands for the smallest run."""
    lines = (about or "").split("\n")
    parser = argparse.ArgumentParser(description=lines[0])
    for name, value in defaults.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value, metavar="N")
    parser.add_argument("--quick", action="store_true", help="as small as can be; no row is written")
    parser.add_argument(NO_SAVE, action="store_true", help="write no row")
    parser.add_argument(
        PROCESSOR, action="store_true", help="count processor seconds of all cores: where others compute too"
    )
    return parser


def skip(why: str) -> None:
    """End a script whose peer is not there."""
    print(f"skipped: {why}")
    raise SystemExit(0)


def finish(
    script: str,
    measures: str,
    *,
    ours: str,
    theirs: str,
    ratio: float,
    peak: Iterable[float] = (),
    save: bool = True,
) -> None:
    """Write a row of the table (with `save`), and the last line of a script's output.

    `ratio` is ours over theirs, above 1 where we are faster (or smaller). `peak`: MB, ours, then theirs.
    """
    if PROCESSOR in sys.argv:
        measures += ", in processor seconds of all cores"
    peaks = list(peak)
    memory = " / ".join(f"{mb:,.0f}" for mb in peaks)
    today = datetime.date.today().isoformat()
    row = (script, measures, ours, theirs, f"{ratio:.3g}", memory, machine(), today)
    if save and NO_SAVE not in sys.argv:
        write(merged(read(), dict(zip(COLUMNS, row, strict=True))))
        print(f"row written: {RESULTS.name}")
    print(f"processor: {machine()}")
    if memory:
        print(f"peak memory, MB{', ours / theirs' if len(peaks) > 1 else ''}: {memory}")
    print(f"ratio: {ratio:.3g}")


Row = dict[str, str]


def read(path: Path = RESULTS) -> list[Row]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def merged(rows: Sequence[Row], row: Row) -> list[Row]:
    """`rows` with `row` in place of the one of the same script, measure and processor, else with it added."""
    key = ("script", "measures", "processor")
    kept = [one for one in rows if any(one[name] != row[name] for name in key)]
    return sorted([*kept, row], key=lambda one: [one[name] for name in key])


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a table."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write(rows: Sequence[Row], path: Path = RESULTS, page: Path = PAGE) -> None:
    """Write the rows, and the table of the page that shows them."""
    write_csv(path, COLUMNS, rows)
    page.write_text(with_table(page.read_text(encoding="utf-8"), rows), encoding="utf-8")


def table(rows: Sequence[Row]) -> str:
    head = ("script", "measures", "ours", "theirs", "ratio", "peak, MB (ours / theirs)", "processor", "date")
    lines = [head, ["---"] * 4 + ["--:"] * 2 + ["---"] * 2]
    lines += [[f"`{row['script']}`", *(row[name] for name in COLUMNS[1:])] for row in rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def with_table(page: str, rows: Sequence[Row]) -> str:
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{table(rows)}\n{END}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--table", action="store_true", help="write the table of README.md from results.csv")
    about = parser.parse_args()
    if about.table:
        write(read())
    print(table(read()))


if __name__ == "__main__":
    main()
