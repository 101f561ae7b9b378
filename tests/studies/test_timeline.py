"""Timelines: what a recorder writes down against the engine's own totals, the trace against its format."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from networks import random_images, random_network
from random_chips import any_network, assert_same, built_in, changed, chips, outcome, plays
from random_chips import random_work as work_of

from imcsim.base.errors import ImcsimError
from imcsim.commands.cli import main
from imcsim.hardware.config import Hardware
from imcsim.hardware.events import Event
from imcsim.inputs import Inputs
from imcsim.mapping import place
from imcsim.network.graph import Network
from imcsim.report.figures import timeline
from imcsim.report.perfetto import CHECKER, IMAGES, MESH, TILE, trace_events, trace_json
from imcsim.studies.comparison import run
from imcsim.studies.settings import CompareOptions
from imcsim.studies.timelines import Recorded, record
from imcsim.timing import Recorder, Timeline

POLICIES = ("wait", "speculate", "interleave:2")
Policy = Literal["static", "dynamic"]


def network() -> Network:
    return random_network(np.random.default_rng(1), depth=3, size=6)


def inputs(count: int = 6) -> Inputs:
    rng = np.random.default_rng(3)
    net = network()
    labels = rng.integers(0, net.classes, count)
    return Inputs(
        random_images(rng, net.input_shape, count), labels, "images", "unknown", "0" * 64, net.classes
    )


def chip(**values: Any) -> Hardware:
    name = values.pop("name", "dtsnn_32nm")
    return replace(built_in(name), config=changed(name, {k.replace("__", "."): v for k, v in values.items()}))


def recorded(
    issue: str = "wait", images: tuple[int, ...] = (2,), threshold: float = 0.7, policy: Policy = "dynamic",
    hardware: Hardware | None = None,
) -> Recorded:  # fmt: skip
    options = CompareOptions(threshold=threshold, issue=issue, workers=1)
    return record(network(), hardware or chip(), inputs(), None, images, options, policy=policy)


# --- the recorder and the engine


@given(st.data())
@settings(deadline=None, max_examples=25, derandomize=True, suppress_health_check=list(HealthCheck))
def test_recording_changes_nothing_and_adds_up_to_the_engine_s_totals(data: st.DataObject) -> None:
    skips = data.draw(st.booleans())
    coding = data.draw(st.sampled_from(("aer", "bitmap")))
    both = ("dtsnn_32nm", "spikesim_65nm")
    config = data.draw(chips(both, activity__skip_zero_reads=skips, activity__spike_coding=coding))
    placement, about = place(data.draw(any_network(max_size=5)), config), data.draw(plays())
    if skips or coding == "aer":
        rng = np.random.default_rng(data.draw(st.integers(0, 99)))
        about["work"] = work_of(rng, placement, len(about["exits"]), about["timesteps"], 0.4)
    recorder = Recorder()
    line = outcome(placement, config, fidelity="reference", recorder=recorder, **about)
    assert_same(line, outcome(placement, config, fidelity="reference", **about))
    quick = Recorder()
    assert_same(line, outcome(placement, config, fidelity="burst", recorder=quick, **about))
    if isinstance(line, str):
        return
    check_totals(placement, line, recorder)
    # Links, buffers and the checker are the same in both fidelities.
    for kind in ("send", "hop", "load", "accumulate", "check", "pool"):
        assert sorted(s[:9] for s in quick.of(kind)) == sorted(s[:9] for s in recorder.of(kind))


def check_totals(placement: Any, line: Timeline, recorder: Recorder) -> None:
    busy: Counter[int] = Counter()
    reads: Counter[int] = Counter()
    conversions = loads = 0
    for one in recorder.slices:
        assert 0 <= one.began <= one.ended
        if one.kind == "drive":
            busy[one.tile] += one.ended - one.began
        elif one.kind == "read":
            reads[one.job] += placement.layers[one.layer - 1].unit_crossbars
        elif one.kind == "convert":
            conversions += one.number
        elif one.kind == "load":
            loads += one.number
    assert [busy[tile] for tile in range(placement.tiles)] == line.busy_cycles.tolist()
    assert [reads[job] for job in range(len(line.issued))] == line.count(Event.CROSSBAR_READS).sum(1).tolist()
    assert conversions == line.count(Event.CONVERSIONS).sum()
    assert loads == line.count(Event.IMAGE_BITS).sum()
    assert (
        sum(one.number for one in recorder.of("hop"))
        == line.link_cycles
        == sum(one.ended - one.began for one in recorder.of("hop"))
    )
    checks = {one.job: (one.began, one.ended) for one in recorder.of("check")}
    finished = np.flatnonzero(line.verdict >= 0)
    assert checks == {int(j): (int(line.answer[j]), int(line.verdict[j])) for j in finished}


@pytest.mark.parametrize("name", ["dtsnn_32nm", "spikesim_65nm", "isaac_32nm"])
def test_units_do_one_thing_at_a_time(name: str) -> None:
    found = recorded(hardware=chip(name=name))
    lanes: dict[Any, list[tuple[int, int]]] = defaultdict(list)
    for one in found.slices:
        if one.kind in ("fetch", "drive", "fire", "write", "read", "convert", "hop"):
            lanes[one.kind, one.part, one.unit, one.link].append((one.began, one.ended))
    for key, spans in lanes.items():
        spans.sort()
        for (_, ended), (began, _) in itertools.pairwise(spans):
            assert ended <= began, key


# --- what is recorded


@pytest.mark.parametrize("issue", POLICIES)
@pytest.mark.parametrize("policy", ["static", "dynamic"])
def test_latency_and_energy_are_those_of_a_run(issue: str, policy: Policy) -> None:
    found = recorded(issue, policy=policy)
    one = replace(inputs(), images=inputs().images[2:3], labels=inputs().labels[2:3])
    options = CompareOptions(threshold=0.7, issue=issue, workers=1)
    alone = run(network(), chip(), one, inputs(), options, policy=policy).outcome
    shown = found.images[0]
    assert (found.line.departure[0] - found.line.arrival[0]) * found.clock_ns == alone.latency_ns
    assert shown.energy_pj == pytest.approx(alone.energy_pj, rel=1e-12)
    assert shown.timesteps == alone.mean_timesteps
    if issue == "wait":
        assert found.last_cycle == found.line.cycles


def test_an_image_that_is_not_there_is_refused() -> None:
    with pytest.raises(ImcsimError, match="there is no image 6"):
        recorded(images=(6,))


# --- the trace


def loads(found: Recorded, detail: Literal["rows", "reads"] = "rows") -> dict[str, Any]:
    document: dict[str, Any] = json.loads(trace_json(found, detail))
    return document


@pytest.mark.parametrize("detail", ["rows", "reads"])
@pytest.mark.parametrize(("issue", "clock_ns"), [*zip(POLICIES, (1.0, 0.833, 2.0), strict=True)])
def test_the_trace_keeps_to_its_format(issue: str, clock_ns: float, detail: Literal["rows", "reads"]) -> None:
    found = recorded(issue, images=(2, 0, 4), hardware=chip(technology__clock_ns=clock_ns))
    document = loads(found, detail)
    named = {(e["pid"], e["tid"]) for e in document["traceEvents"] if e["name"] == "thread_name"}
    places = {e["pid"] for e in document["traceEvents"] if e["name"] == "process_name"}
    spans: dict[Any, list[tuple[int, int]]] = defaultdict(list)
    for event in document["traceEvents"]:
        assert event["ph"] in ("M", "X", "i")
        assert event["pid"] in places
        if event["ph"] == "M":
            continue
        assert (event["pid"], event["tid"]) in named
        if event["ph"] == "X":
            began, ended = event["args"]["from_cycle"], event["args"]["to_cycle"]
            assert event["ts"] == pytest.approx(began * found.clock_ns / 1000, rel=1e-15, abs=1e-15)
            assert event["dur"] == pytest.approx((ended - began) * found.clock_ns / 1000, rel=1e-15)
            # Viewers work in whole nanoseconds, cutting off the rest.
            start = int(event["ts"] * 1000.0)
            spans[event["pid"], event["tid"]].append((start, start + int(event["dur"] * 1000.0)))
        else:
            assert event["s"] in ("g", "t")
    for lane in spans.values():  # slices of a thread must not overlap
        lane.sort()
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(lane))
    stamps = [e["ts"] for e in document["traceEvents"] if e["ph"] != "M"]
    assert stamps == sorted(stamps)


@pytest.mark.parametrize("detail", ["rows", "reads"])
def test_slices_add_up_to_the_totals(detail: Literal["rows", "reads"]) -> None:
    found = recorded("speculate", images=(2, 0))
    document = loads(found, detail)
    busy: Counter[int] = Counter()
    reads: Counter[str] = Counter()
    flits = 0
    for event in document["traceEvents"]:
        if event["ph"] != "X":
            continue
        args = event["args"]
        if event["pid"] == MESH:
            flits += args["flits"]
        elif (
            TILE <= event["pid"] < MESH
            and "crossbar_reads" in args
            and "crossbars" in thread(document, event)
        ):
            busy[event["pid"] - TILE] += args["busy_cycles"]
            reads[args["layer"]] += args["crossbar_reads"]
    line = found.line
    assert [busy[k] for k in range(len(found.tiles))] == document["otherData"]["tile_busy_cycles"]
    assert flits == document["otherData"]["link_cycles"] == line.link_cycles
    counted = dict(zip(line.layers, line.count(Event.CROSSBAR_READS).sum(0).tolist(), strict=True))
    assert reads == Counter({name: number for name, number in counted.items() if number})


def thread(document: dict[str, Any], event: dict[str, Any]) -> str:
    key = "thread_name", event["pid"], event["tid"]
    return next(
        str(e["args"]["name"]) for e in document["traceEvents"] if (e["name"], e["pid"], e["tid"]) == key
    )


def test_the_last_event_is_the_latency() -> None:
    found = recorded("wait")
    events = [e for e in trace_events(found) if e["ph"] != "M"]
    last = max(e["ts"] + e.get("dur", 0) for e in events)
    assert last == pytest.approx(found.line.cycles * found.clock_ns / 1000, rel=1e-12)
    (leaves,) = [e for e in events if e["cat"] == "exit"]
    assert leaves["ts"] == pytest.approx(last, rel=1e-12)
    assert (leaves["s"], leaves["pid"], leaves["args"]["cycle"]) == ("g", CHECKER, found.line.cycles)
    assert leaves["args"]["timestep"] == found.images[0].timesteps


def test_timesteps_exits_and_cancelled_work_are_marked() -> None:
    found = recorded("speculate", threshold=1.0)
    assert found.images[0].timesteps == 1
    events = trace_events(found)
    steps = [e for e in events if e["pid"] == IMAGES and e["name"].startswith("timestep")]
    assert len(steps) == len(found.line.issued) > 1
    gone = [e for e in events if e.get("cat") == "cancelled"]
    assert {e["args"]["timestep"] for e in gone} == set(range(2, len(steps) + 1))
    assert all(e["name"].endswith("(cancelled)") and e["cname"] == "terrible" for e in gone)
    work = [e for e in events if e["ph"] == "X" and e["pid"] >= TILE and e["args"]["timestep"] > 1]
    assert work
    assert all(e["cat"] == "cancelled" for e in work)
    kept = [e for e in trace_events(recorded("wait", threshold=1.0)) if e.get("cat") == "cancelled"]
    assert kept == []


def test_a_row_is_one_slice_unless_reads_are_asked_for() -> None:
    found = recorded()
    rows, reads = (len(trace_events(found, detail)) for detail in ("rows", "reads"))
    assert rows < reads
    assert sum(s.kind == "read" for s in found.slices) < reads
    crossbars = [e for e in trace_events(found) if e["ph"] == "X" and "crossbar_reads" in e["args"]]
    places = [
        (e["args"]["layer"], e["args"]["row"], e["args"]["timestep"], e["pid"], e["tid"]) for e in crossbars
    ]
    assert len(places) == len(set(places))


# --- the picture


def test_the_picture_has_a_row_a_tile_and_a_line_an_exit() -> None:
    found = recorded("speculate", images=(2, 0), threshold=1.0)
    axes = timeline.timeline_figure(found).axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert [name.split(":")[0] for name in names if name.startswith("tile")] == [
        f"tile {k}" for k in range(len(found.tiles))
    ]
    exits = [line.get_xdata()[0] for line in axes.get_lines() if len(set(line.get_xdata())) == 1]
    ends = [int(c) * found.clock_ns for c in found.line.departure]
    assert len(exits) == 2
    assert exits[1] / exits[0] == pytest.approx(ends[1] / ends[0])
    assert any(text.get_text().startswith("image 2 leaves") for text in axes.texts)


@pytest.mark.parametrize("hair", [0.4, 3.0])
def test_no_slice_of_the_picture_is_narrower_than_a_hair(
    hair: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of few cycles beside a long line: a bar with its edge is as wide as a hair at least."""
    monkeypatch.setattr(timeline, "_HAIR_PT", hair)
    axes = timeline.timeline_figure(recorded("speculate", images=(2, 0), threshold=1.0)).axes[0]
    axes.figure.draw_without_rendering()
    drawn = []
    for bars in axes.collections:
        edges = itertools.cycle(np.atleast_1d(bars.get_linewidth()))
        for path, edge in zip(bars.get_paths(), edges, strict=False):
            ends = axes.transData.transform(path.vertices)[:, 0]
            drawn.append(((ends.max() - ends.min()) * 72 / axes.figure.dpi, edge))
    assert min(width + edge for width, edge in drawn) > 0.9 * hair
    assert hair < 1 or min(width for width, _ in drawn) < 0.9 * hair


# --- the command


def test_the_command_writes_trace_and_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace, picture = tmp_path / "t.json", tmp_path / "t.svg"
    arguments = ["timeline", "--image", "1", "--threshold", "0.3", "--set", "adc.bits=6", "--quiet"]
    assert main([*arguments, "-o", str(trace), "--png", str(picture)]) == 0
    document = json.loads(trace.read_text())
    assert document["otherData"]["images"][0]["image"] == 1
    assert trace.stat().st_size < 2_000_000
    assert picture.read_text().startswith("<?xml")
    again = tmp_path / "again.json"
    assert main([*arguments, "-o", str(again)]) == 0
    assert again.read_bytes() == trace.read_bytes()
    capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "t.json", "--png", "t.gif"], "end it with .png or .svg or .pdf"),
        (["-o", "gone/t.json"], "its folder does not exist"),
        (["-o", "t.svg", "--png", "t.svg"], "name the same file"),
        (["-o", "t.json", "--image", "100000", "--threshold", "0.2"], "there is no image 100000"),
        (
            ["-o", "t.json", "--issue", "pipeline", "--threshold", "0.2"],
            "a pipeline has no early exit",
        ),
        (["-o", "t.json", "--policy", "static", "--threshold", "0.2"], "belongs to --policy dynamic"),
        (["-o", "t.json", "--image", "-1"], "-1"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    tmp_path: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["timeline", *arguments]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert list(tmp_path.iterdir()) == []


def test_perfetto_s_trace_processor_answers(tmp_path: Path) -> None:
    """The query of docs/timeline.md, asked of Perfetto's own program: the totals of the engine come out."""
    perfetto = pytest.importorskip("perfetto.trace_processor")
    program = shutil.which("trace_processor_shell") or shutil.which("trace_processor")
    if program is None:  # the package would fetch it from outside
        pytest.skip("no trace_processor_shell on PATH")
    shown = recorded("speculate", (2, 3))
    target = tmp_path / "trace.json"
    target.write_text(trace_json(shown))
    page = (Path(__file__).parents[2] / "docs" / "timeline.md").read_text(encoding="utf-8")
    (query,) = re.findall(r'BUSY = """(.*?)"""', page, re.DOTALL)
    config = perfetto.TraceProcessorConfig(bin_path=program)
    with perfetto.TraceProcessor(trace=str(target), config=config) as trace:
        busy = {row.tile.split()[1]: row.busy_cycles for row in trace.query(query)}
        (count,) = trace.query("SELECT COUNT(*) AS slices FROM slice WHERE dur >= 0")
    assert count.slices >= sum(event["ph"] == "X" for event in trace_events(shown))
    wanted = {str(k): int(n) for k, n in enumerate(shown.line.busy_cycles) if n}
    assert busy == wanted
