"""What the units of a chip did, as a trace that ui.perfetto.dev and chrome://tracing open.

Format: Trace Event Format (its JSON object form), documented with Chromium's catapult. A *process* is a place
on the chip (the images, the global buffer, a tile, the mesh, the exit checker), a *thread* is a unit in it.
``ts`` and ``dur`` are microseconds of the chip's clock; ``args`` has the cycles. Work of a unit that
overlaps is spread over several threads, since a thread of the format cannot hold it. docs/timeline.md says
what stands where.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from imcsim.base.errors import ImcsimError
from imcsim.mapping.topologies import named
from imcsim.studies.timelines import Recorded
from imcsim.timing import Slice

Detail = Literal["rows", "reads"]

FORMAT_VERSION = 1
MOST_EVENTS = 2_000_000
"""Events of the largest trace that is written; the viewer has trouble with more."""

IMAGES, BUFFER, CHECKER, TILE, MESH = 1, 2, 3, 10, 100_000
"""Process numbers; tile k is ``TILE + k``."""

_UNITS = {
    "fetch": "input fetch",
    "drive": "crossbars",
    "convert": "ADC groups",
    "fire": "LIF",
    "write": "output register",
    "pool": "pooling",
    "send": "output port",
}
"""Units of a layer in a tile, in the order of the threads. A ``read`` belongs to the crossbars."""

_NUMBERS = {
    "fetch": "bits",
    "drive": "crossbar_reads",
    "read": "crossbar_reads",
    "convert": "conversions",
    "fire": "positions",
    "write": "positions",
    "pool": "values",
    "send": "bits",
    "hop": "flits",
    "load": "bits",
    "accumulate": "classes",
    "check": "classes",
}
CANCELLED = "cancelled"
_CANCELLED_COLOUR = "terrible"


@dataclass
class _Thread:
    """One unit: its name, and its slices as (began, ended, name, category, args, colour)."""

    process: int
    order: int
    name: str
    slices: list[tuple[int, int, str, str, dict[str, Any], str | None]] = field(default_factory=list)


def trace_json(recorded: Recorded, detail: Detail = "rows") -> str:
    """The trace as JSON text, an event a line. `detail` ``rows``: the work of a unit for one output row is
    one slice; ``reads``: every crossbar read, conversion and wave is. Raises ImcsimError for a trace of more
    than two million events.
    """
    events = trace_events(recorded, detail)
    if len(events) > MOST_EVENTS:
        raise ImcsimError(
            f"the trace would have {len(events):,} events, more than viewers take",
            fix="leave out --detail reads" if detail == "reads" else "show fewer images",
        )
    about = json.dumps(about_trace(recorded, detail), allow_nan=False)
    lines = ",\n".join(json.dumps(event, allow_nan=False) for event in events)
    return f'{{"displayTimeUnit": "ns",\n"otherData": {about},\n"traceEvents": [\n{lines}\n]}}\n'


def about_trace(recorded: Recorded, detail: Detail) -> dict[str, Any]:
    """What was played, and the totals that the events add up to."""
    line, meta = recorded.line, recorded.meta
    return {
        "format": f"imcsim timeline {FORMAT_VERSION}",
        "version": meta.version,
        "hardware": meta.hardware.name,
        "hardware_sha256": meta.hardware.sha256,
        "network": meta.network.name,
        "inputs": meta.inputs.name,
        "issue": meta.policy,
        **({"plugins": [one.model_dump() for one in meta.plugins]} if meta.plugins else {}),
        "detail": detail,
        "clock_ns": recorded.clock_ns,
        "cycles": line.cycles,
        "last_cycle": recorded.last_cycle,
        "policy": recorded.policy.model_dump(exclude={"validation"}),
        "images": [
            {
                "image": shown.image,
                "label": shown.label,
                "prediction": shown.prediction,
                "timesteps": shown.timesteps,
                "arrival_cycle": int(line.arrival[k]),
                "departure_cycle": int(line.departure[k]),
                "latency_ns": int(line.departure[k] - line.arrival[k]) * recorded.clock_ns,
                "energy_pj": shown.energy_pj,
            }
            for k, shown in enumerate(recorded.images)
        ],
        "tile_busy_cycles": [int(n) for n in line.busy_cycles],
        "link_cycles": int(line.link_cycles),
    }


def trace_events(recorded: Recorded, detail: Detail = "rows") -> list[dict[str, Any]]:
    """The events of the trace: names of places first, then slices and verdicts, by their beginning."""
    threads = [*_timestep_threads(recorded), *_unit_threads(recorded, detail)]
    threads.sort(key=lambda thread: (thread.process, thread.order, thread.name))
    clock = recorded.clock_ns
    names: list[dict[str, Any]] = []
    for process, name in _processes(recorded):
        names.append(_named("process_name", process, 0, {"name": name}))
        names.append(_named("process_sort_index", process, 0, {"sort_index": process}))
    found: list[dict[str, Any]] = []
    numbers: dict[int, int] = defaultdict(int)
    for thread in threads:
        lanes = list(_lanes(thread.slices))
        for lane, slices in enumerate(lanes):
            number = numbers[thread.process] = numbers[thread.process] + 1
            name = thread.name if len(lanes) == 1 else f"{thread.name} [{lane + 1}]"
            names.append(_named("thread_name", thread.process, number, {"name": name}))
            names.append(_named("thread_sort_index", thread.process, number, {"sort_index": number}))
            for began, ended, title, category, args, colour in slices:
                event = {
                    "ph": "X", "name": title, "cat": category, "pid": thread.process, "tid": number,
                    "ts": _us(began * clock), "dur": _us((ended - began) * clock),
                    "args": {"from_cycle": began, "to_cycle": ended, **args},
                }  # fmt: skip
                found.append(event if colour is None else event | {"cname": colour})
    verdicts = numbers[CHECKER] + 1
    names.append(_named("thread_name", CHECKER, verdicts, {"name": "verdicts"}))
    names.append(_named("thread_sort_index", CHECKER, verdicts, {"sort_index": verdicts}))
    found += _verdicts(recorded, verdicts)
    found.sort(key=lambda event: event["ts"])
    return names + found


def _us(ns: float) -> float:
    """Microseconds. Viewers multiply by 1000 and cut off what is behind the point; whole ns stay whole then,
    and slices that follow each other do not come to overlap.
    """
    us = ns / 1000
    return math.nextafter(us, math.inf) if us * 1000 < ns else us


def _named(what: str, process: int, thread: int, args: dict[str, Any]) -> dict[str, Any]:
    return {"ph": "M", "name": what, "pid": process, "tid": thread, "args": args}


def _processes(recorded: Recorded) -> Iterator[tuple[int, str]]:
    yield IMAGES, "images"
    yield BUFFER, "global buffer (0, 0)"
    yield CHECKER, "exit checker (0, 0)"
    several = any(tile.chip for tile in recorded.tiles)
    for k, tile in enumerate(recorded.tiles):
        on = f" of chip {tile.chip}" if several else ""
        yield TILE + k, f"tile {k}{on} at {tile.position}: {', '.join(tile.layers) or 'empty'}"
    yield MESH, "mesh links"


def _lanes(
    slices: list[tuple[int, int, str, str, dict[str, Any], str | None]],
) -> Iterator[list[tuple[int, int, str, str, dict[str, Any], str | None]]]:
    """`slices` in as few lists as it takes for those in one list not to overlap."""
    lanes: list[list[Any]] = []
    for one in sorted(slices, key=lambda s: s[:2]):
        lane = next((lane for lane in lanes if lane[-1][1] <= one[0]), None)
        if lane is None:
            lanes.append([one])
        else:
            lane.append(one)
    yield from lanes


def _timestep_threads(recorded: Recorded) -> Iterator[_Thread]:
    """Images from arrival to departure, and timesteps from their issue to their verdict. A cancelled timestep
    lasts until nothing of it moves any more.
    """
    line = recorded.line
    shown = _Thread(IMAGES, 0, "images")
    for k, image in enumerate(recorded.images):
        args = {"label": image.label, "prediction": image.prediction, "timesteps": image.timesteps}
        arrival, departure = int(line.arrival[k]), int(line.departure[k])
        shown.slices.append((arrival, departure, f"image {image.image}", "image", args, None))
    yield shown
    last: dict[int, int] = defaultdict(int)
    for one in recorded.slices:
        last[one.job] = max(last[one.job], one.ended)
    thread = _Thread(IMAGES, 1, "timesteps")
    for job in range(len(line.issued)):
        cancelled = recorded.cancelled(job)
        ended = max(last[job], int(line.issued[job])) if cancelled else int(line.verdict[job])
        title, category, colour = _title(recorded, job, "")
        args = {"image": recorded.images[line.image[job]].image, "timestep": int(line.timestep[job]) + 1}
        if cancelled:
            args["cancelled_cycle"] = int(line.cancelled[job])
        thread.slices.append((int(line.issued[job]), ended, title, category or "timestep", args, colour))
    yield thread


def _unit_threads(recorded: Recorded, detail: Detail) -> Iterator[_Thread]:
    """The work of all units."""
    threads: dict[Hashable, _Thread] = {}
    groups: dict[Hashable, list[Slice]] = defaultdict(list)
    for one in recorded.slices:
        if one.kind == "read" and detail == "rows":
            continue  # what the crossbars' slices say already
        whole_row = detail == "rows" and one.row >= 0
        key = (one.kind, one.part, one.job, one.row) if whole_row else (*one,)
        groups[key].append(one)
    for group in groups.values():
        first = group[0]
        process, order, name = _thread_of(recorded, first, detail)
        thread = threads.setdefault((process, order, name), _Thread(process, order, name))
        thread.slices.append(_slice(recorded, group))
    return iter(threads.values())


def _thread_of(recorded: Recorded, one: Slice, detail: Detail) -> tuple[int, int, str]:
    """Process, order in it, and name of the unit that did this."""
    layers = recorded.line.layers
    if one.kind == "hop":
        assert one.link is not None
        return MESH, 0, named(one.link)
    if one.kind in ("accumulate", "check"):
        return CHECKER, one.kind == "check", "accumulator" if one.kind == "accumulate" else "checker"
    if one.kind == "load":
        return BUFFER, 0, "off-chip link"
    if one.tile < 0:
        return BUFFER, 1, "output port"
    layer = layers[one.layer]
    order = one.layer * 1000 + list(_UNITS).index("drive" if one.kind == "read" else one.kind) * 100
    name = f"{layer} {_UNITS.get(one.kind, '')}"
    if one.kind == "read" or (one.kind == "convert" and detail == "reads"):
        assert one.unit is not None
        copy, column, block = one.unit
        what = "crossbar" if one.kind == "read" else "ADC group"
        return TILE + one.tile, order + 1, f"{layer} {what}: copy {copy}, column {column}, block {block}"
    return TILE + one.tile, order, name


def _slice(recorded: Recorded, group: list[Slice]) -> tuple[int, int, str, str, dict[str, Any], str | None]:
    """One slice for pieces of work of one kind, job and row."""
    first = group[0]
    line = recorded.line
    args: dict[str, Any] = {
        "image": recorded.images[line.image[first.job]].image,
        "timestep": int(line.timestep[first.job]) + 1,
        "layer": line.layers[first.layer],
    }
    what = ""
    if first.row >= 0:
        args["row"] = first.row
        what = f" row {first.row}"
    number = sum(one.number for one in group)
    if first.kind in ("drive", "read"):
        number *= recorded.unit_crossbars[line.layers[first.layer]]
    args[_NUMBERS[first.kind]] = number
    if first.kind != "convert" or len(group) == 1:  # the ADC groups of a row work side by side
        args["busy_cycles"] = sum(one.ended - one.began for one in group)
    title, category, colour = _title(recorded, first.job, f"{line.layers[first.layer]}{what} ")
    return (
        min(one.began for one in group), max(one.ended for one in group), title,
        category or first.kind, args, colour,
    )  # fmt: skip


def _title(recorded: Recorded, job: int, what: str) -> tuple[str, str, str | None]:
    """Name, category ("" where the kind of work says it) and colour of what belongs to a job."""
    timestep = int(recorded.line.timestep[job]) + 1
    title = f"{what}t{timestep}" if what else f"timestep {timestep}"
    if len(recorded.images) > 1:
        title += f" of image {recorded.images[recorded.line.image[job]].image}"
    if recorded.cancelled(job):
        return f"{title} (cancelled)", CANCELLED, _CANCELLED_COLOUR
    return title, "", None


def _verdicts(recorded: Recorded, thread: int) -> Iterable[dict[str, Any]]:
    """What the checker said, as instants: an exit is drawn over the whole view."""
    line = recorded.line
    for job, cycle in enumerate(line.verdict):
        if cycle < 0:
            continue
        shown = recorded.images[line.image[job]]
        timestep = int(line.timestep[job]) + 1
        leaves = timestep == shown.timesteps
        name = f"image {shown.image} leaves after timestep {timestep}" if leaves else "go on"
        yield {
            "ph": "i", "s": "g" if leaves else "t", "name": name, "cat": "exit" if leaves else "go on",
            "pid": CHECKER, "tid": thread, "ts": _us(int(cycle) * recorded.clock_ns),
            "args": {"cycle": int(cycle), "image": shown.image, "timestep": timestep},
            **({"cname": "good"} if leaves else {}),
        }  # fmt: skip
