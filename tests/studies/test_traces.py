"""Recorded traces: they hold what was played, give its report again, and are read without trust."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import forward, random_images, random_network

import imcsim.hardware
import imcsim.inputs
import imcsim.network
import imcsim.studies.traces
from imcsim.base.errors import ImcsimError
from imcsim.commands.cli import main
from imcsim.functional.program.program import build
from imcsim.functional.run import calibrated_converters, run
from imcsim.inputs.trace import pack_values, unpack_values
from imcsim.network.arrays import read_npz, write_npz
from imcsim.network.graph import INPUT, LIF
from imcsim.simulation.chip import numerics

T = 3


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Networks for images and for spikes, and inputs of all kinds, small."""
    folder = tmp_path_factory.mktemp("traces")
    net = random_network(np.random.default_rng(5), depth=2, size=6, timesteps=T)
    imcsim.network.save(net, folder / "net")
    imcsim.network.save(replace(net, input_bits=1, input_scale=1.0), folder / "spiking")
    for seed, name in enumerate(("test", "others")):
        rng = np.random.default_rng(seed)
        images = random_images(rng, net.input_shape, 36)
        labels = forward(net, images, T)["fc"].sum(0).argmax(1)
        split: Any = "test" if name == "test" else "validation"
        imcsim.inputs.save(folder / f"{name}.npz", images, labels, split=split, classes=4)
        spikes = (rng.random((36, 5, *net.input_shape)) < 0.4).astype(np.uint8)
        imcsim.inputs.save(folder / f"{name}_frames.npz", spikes, labels, split=split)
        count = 6000
        limits = {"t": 10_000, "x": 6, "y": 6, "p": 2, "sample": 36}
        events = {key: rng.integers(0, limit, count) for key, limit in limits.items()}
        write_npz(folder / f"{name}_events.npz", events | {"labels": labels})
    return folder


KINDS = {
    "direct": ("net", "", []),
    "rate": ("spiking", "", ["--encoding", "rate", "--seed", "3"]),
    "frames": ("spiking", "_frames", []),
    "events": ("spiking", "_events", []),
    "bins": ("spiking", "_events", ["--bin-us", "900"]),
}


def settings_of(place: Path, kind: str) -> tuple[list[str], str, list[str]]:
    """Model and validation, inputs, encoding."""
    model, suffix, encoding = KINDS[kind]
    shared = ["--model", str(place / model), "--validation", str(place / f"others{suffix}.npz")]
    return shared, str(place / f"test{suffix}.npz"), encoding


def report(*arguments: str) -> bytes:
    """The JSON that a command writes."""
    target = Path(os.environ["PYTEST_REPORT"])
    assert main([*arguments, "--quiet", "--json", str(target)]) == 0, arguments
    return target.read_bytes()


@pytest.fixture(autouse=True)
def _target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_REPORT", str(tmp_path / "report.json"))


# Playing back


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "command", ["compare --set alternatives.shared=false", "run", "stream --issue speculate"]
)
def test_a_trace_gives_the_report_of_the_run_that_recorded_it(
    place: Path, tmp_path: Path, kind: str, command: str
) -> None:
    shared, source, encoding = settings_of(place, kind)
    trace = str(tmp_path / "trace.npz")
    assert main(["trace", "record", "-o", trace, "--inputs", source, *shared, *encoding, "--quiet"]) == 0
    wanted = report(*command.split(), "--inputs", source, *shared, *encoding)
    assert report(*command.split(), "--inputs", trace, *shared, *encoding) == wanted
    # Fewer images, fewer timesteps, and without saying again how images were encoded.
    fewer = ["--images", "7", "--timesteps", "2", *encoding]
    wanted = report(*command.split(), "--inputs", source, *shared, *fewer)
    assert report(*command.split(), "--inputs", trace, *shared, *fewer) == wanted or kind == "events"
    if kind == "rate":
        wanted = report(*command.split(), "--inputs", source, *shared, *encoding)
        assert report(*command.split(), "--inputs", trace, *shared, "--seed", "3") == wanted
        assert report(*command.split(), "--inputs", trace, *shared) == wanted  # the seed is the trace's


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", ["2", "3"])
def test_adc_scales_set_on_the_trace_itself(place: Path, tmp_path: Path, kind: str, steps: str) -> None:
    """Without validation images, also where a run is shorter than what ADC scales are set on."""
    _, source, encoding = settings_of(place, kind)
    about = ["--model", str(place / KINDS[kind][0]), "--timesteps", steps, "--images", "9", *encoding]
    trace = str(tmp_path / "trace.npz")
    assert main(["trace", "record", "-o", trace, "--inputs", source, *about, "--quiet"]) == 0
    assert imcsim.studies.traces.load(trace).frames.shape[1] == int(steps)
    static = ["run", "--policy", "static", *about]
    wanted = report(*static, "--inputs", source)
    assert report(*static, "--inputs", trace) == wanted
    # A trace of a trace is the same trace.
    again = str(tmp_path / "again.npz")
    assert main(["trace", "record", "-o", again, "--inputs", trace, *about, "--quiet"]) == 0
    assert Path(again).read_bytes() == Path(trace).read_bytes()


def test_a_trace_of_the_default_images_brings_their_validation_images(tmp_path: Path) -> None:
    trace = str(tmp_path / "trace.npz")
    assert main(["trace", "record", "-o", trace, "--images", "6", "--quiet"]) == 0
    few = ["--timesteps", "2", "--threshold", "0.3"]
    assert report("compare", "--inputs", trace, *few) == report("compare", "--images", "6", *few)


def test_a_trace_is_played_as_it_was_recorded(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind, extra, message in (
        ("direct", ["--encoding", "rate"], "recorded with direct encoding"),
        ("frames", ["--encoding", "rate"], "holds spikes already"),
        ("events", ["--bin-us", "7"], "not recorded with such timesteps"),
        ("rate", ["--timesteps", "4"], "there are frames for 3 timesteps, 4 are to be run"),
        ("rate", ["--labels", "x.npy"], "a trace has its own labels"),
        ("rate", ["--images", "50"], "50 images were asked for, but it holds 36"),
    ):
        _, source, encoding = settings_of(place, kind)
        model = ["--model", str(place / KINDS[kind][0])]
        trace = str(tmp_path / "trace.npz")
        assert main(["trace", "record", "-o", trace, "--inputs", source, *model, *encoding, "--quiet"]) == 0
        capsys.readouterr()
        assert main(["run", "--policy", "static", "--inputs", trace, *model, *extra]) == 2
        assert message in capsys.readouterr().err


# What is in it


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    images=st.integers(1, 70),
    steps=st.integers(1, 3),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5)),
    bits=st.integers(1, 8),
)
def test_packed_values_come_back(seed: int, images: int, steps: int, shape: Any, bits: int) -> None:
    values = np.random.default_rng(seed).integers(0, 1 << bits, (images, steps, *shape)).astype(np.uint8)
    packed = pack_values(values, bits)
    assert packed.shape == (images, steps, bits, -(-int(np.prod(shape)) // 8))
    assert np.array_equal(unpack_values(packed, shape), values)


@pytest.mark.parametrize("kind", ["direct", "frames"])
@pytest.mark.parametrize("ideal", [False, True])
def test_frames_and_spikes_are_those_of_the_run(place: Path, tmp_path: Path, kind: str, ideal: bool) -> None:
    net = imcsim.network.load(place / KINDS[kind][0])
    inputs, others = (
        imcsim.inputs.load(place / f"{name}{KINDS[kind][1]}.npz") for name in ("test", "others")
    )
    chip = imcsim.hardware.load("dtsnn_32nm", {"adc.bits": 4})
    path = tmp_path / "trace.npz"
    found = imcsim.studies.traces.record(
        net, chip, inputs, path, validation=others, layers="all", ideal=ideal
    )
    program = build(net, numerics(chip.config).ideal() if ideal else numerics(chip.config))
    # ADC scales are set on four timesteps, though three are run.
    calibration = others.images[:32] if kind == "direct" else others.images[:32, :4]
    scales = calibrated_converters(program, calibration, 4)
    names = [node.name for node in net.nodes if isinstance(node, LIF)]
    played = run(program, inputs.images, T, scales, record={INPUT, *names}).recorded
    assert list(found.spikes) == names
    assert found.frames.shape == (36, T, *net.input_shape)
    assert np.array_equal(found.frames, played[INPUT].transpose(0, 1, 4, 2, 3))
    assert found.stored_frames == (1 if kind == "direct" else T)
    for name in names:
        assert np.array_equal(found.spikes[name], played[name].transpose(0, 1, 4, 2, 3)), name
        assert found.spikes[name].any()
    assert np.array_equal(found.labels, inputs.labels)
    if ideal and kind == "direct":
        plain = forward(net, inputs.images, T)
        for name in names:
            assert np.array_equal(found.spikes[name], plain[name].transpose(1, 0, 2, 3, 4)), name
    with pytest.raises(KeyError):
        found.spikes["fc"]


def test_memory_changes_no_trace(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many images are recorded together as there is room for."""
    given = imcsim.network.load(place / "spiking"), imcsim.hardware.load("dtsnn_32nm")
    images = imcsim.inputs.load(place / "test_frames.npz")
    imcsim.studies.traces.record(*given, images, tmp_path / "whole.npz", layers="all")
    monkeypatch.setattr("imcsim.functional.in_flight.budget_bytes", lambda: 1)
    imcsim.studies.traces.record(*given, images, tmp_path / "one.npz", layers="all")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()


def test_some_layers_and_unknown_ones(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, source, _ = settings_of(place, "direct")
    trace, model = str(tmp_path / "trace.npz"), ["--model", str(place / "net")]
    record = ["trace", "record", "-o", trace, "--inputs", source, *model]
    assert main([*record, "--layers", "lif2"]) == 0
    assert list(imcsim.studies.traces.load(trace).spikes) == ["lif2"]
    before = Path(trace).read_bytes()
    assert main([*record, "--layers", "lif22"]) == 2
    assert "there is no LIF layer 'lif22' (did you mean 'lif2'?)" in capsys.readouterr().err
    assert main([*record, "--layers", "fc"]) == 2
    assert Path(trace).read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["trace.npz"]
    assert main(["trace", "record", "-o", str(tmp_path / "no" / "x.npz"), "--inputs", source, *model]) == 2


def test_unlabelled_inputs_are_recorded_but_not_run(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "bare.npy", imcsim.inputs.load(place / "test.npz").images)
    trace, model = str(tmp_path / "trace.npz"), ["--model", str(place / "net")]
    assert main(["trace", "record", "-o", trace, "--inputs", str(tmp_path / "bare.npy"), *model]) == 0
    assert main(["run", "--policy", "static", "--inputs", trace, *model]) == 2
    assert "recorded without labels" in capsys.readouterr().err


def test_info_says_what_is_in_it(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shared, source, encoding = settings_of(place, "rate")
    trace = str(tmp_path / "trace.npz")
    assert (
        main(["trace", "record", "-o", trace, "--inputs", source, *shared, *encoding, "--layers", "all"]) == 0
    )
    capsys.readouterr()
    assert main(["trace", "info", trace]) == 0
    text = capsys.readouterr().out
    found = imcsim.studies.traces.load(trace)
    for name, spikes in found.spikes.items():
        assert f"{spikes.mean():.4f}" in text, name
    each = found.frames.reshape(36, T, -1).sum(axis=(0, 2)) / 36
    assert ", ".join(f"{n:.1f}" for n in each) in text
    assert "3 frames, one per timestep" in text
    source_sha = imcsim.inputs.load(source).sha256
    assert source_sha in text
    assert found.about["sha256"] in text
    assert main(["trace", "info", source]) == 2
    assert "this is no trace" in capsys.readouterr().err
    assert main(["inputs", "show", trace]) == 0


def test_writing_stops_whole(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupted recording leaves the file that was there, and nothing else."""
    net, chip = imcsim.network.load(place / "net"), imcsim.hardware.load("dtsnn_32nm")
    inputs = imcsim.inputs.load(place / "test.npz")
    path = tmp_path / "trace.npz"
    path.write_bytes(b"before")

    def interrupt(stage: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        imcsim.studies.traces.record(net, chip, inputs, path, layers="all", progress=interrupt)
    assert path.read_bytes() == b"before"
    assert [p.name for p in tmp_path.iterdir()] == ["trace.npz"]
    monkeypatch.setattr("imcsim.studies.traces.MAX_BYTES", 100)
    with pytest.raises(ImcsimError, match="record fewer images"):
        imcsim.studies.traces.record(net, chip, inputs, path)


# Without trust


@pytest.fixture(scope="module")
def sound(place: Path) -> Path:
    net, chip = imcsim.network.load(place / "spiking"), imcsim.hardware.load("dtsnn_32nm")
    inputs = imcsim.inputs.load(place / "test_frames.npz", 4)
    imcsim.studies.traces.record(net, chip, inputs, place / "sound.npz", layers=["lif1"])
    return place / "sound.npz"


def _read_all(path: Path) -> None:
    """Everything that is read of a trace."""
    trace = imcsim.studies.traces.load(path)
    imcsim.inputs.load(path)
    trace.spikes["lif1"].sum()


def _about(stored: dict[str, Any], **change: Any) -> Any:
    return np.array(json.dumps(json.loads(str(stored["about"])) | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: {"trace": np.array(2)}, "traces of version 1"),
        (lambda s: {"trace": np.array("x")}, "traces of version 1"),
        (lambda s: {"about": np.array("{")}, "the description is broken"),
        (lambda s: {"about": np.array("[" * 100_000)}, "the description is broken"),
        (lambda s: {"about": np.array(3)}, "about: must be a text"),
        (lambda s: {"about": np.array("x" * 2_000_000)}, "about: must be a text"),
        (lambda s: {"about": _about(s, shape=[2, 6])}, "the description is broken"),
        (lambda s: {"about": _about(s, shape=[2, 6, 2**23])}, "frames: must be uint8"),
        (lambda s: {"about": _about(s, bits=True)}, "the description is broken"),
        (lambda s: {"about": _about(s, bits=8)}, "frames: must be uint8"),
        (lambda s: {"about": _about(s, timesteps=9)}, "it holds 3 frames for 9 timesteps"),
        (lambda s: {"about": _about(s, coding="direct")}, "it holds 3 frames for 3 timesteps"),
        (lambda s: {"about": _about(s, inputs={"seed": ["x"] * 9})}, "the description is broken"),
        (lambda s: {"about": _about(s, sha256="0" * 64)}, "are not those recorded"),
        (lambda s: {"frames": s["frames"] ^ 1}, "are not those recorded"),
        (lambda s: {"frames": s["frames"][0]}, "frames: must be uint8"),
        (lambda s: {"frames": s["frames"] * 1.0}, "frames: must be uint8"),
        (lambda s: {"frames": s["frames"][:0]}, "frames: must be uint8"),
        (lambda s: {"labels": s["labels"][:2]}, "there are 4 images but 2 labels"),
        (lambda s: {"labels": s["labels"] - 9}, "labels go from"),
        (lambda s: {"labels": np.array(1)}, "labels must be integers"),
        (lambda s: {"lead": s["frames"][:, :, :, :1]}, "lead: must be uint8"),
        (lambda s: {"spikes_0": s["spikes_0"][:1]}, "spikes_0: must be uint8 [4, 3"),
        (lambda s: {"spikes_0": None}, "it holds no array 'spikes_0'"),
        (lambda s: {"frames": None}, "it holds no array 'frames'"),
        (lambda s: {"about": None}, "it holds no array 'about'"),
    ],
)
def test_broken_traces_are_refused(sound: Path, tmp_path: Path, change: Any, message: str) -> None:
    stored = read_npz(sound)
    changed = stored | change(stored)
    path = tmp_path / "bad.npz"
    write_npz(path, {k: v for k, v in changed.items() if v is not None})
    with pytest.raises(ImcsimError) as caught:
        _read_all(path)
    assert message in str(caught.value)
    assert "bad.npz" in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_flipped_bytes_are_refused_or_harmless(
    sound: Path, tmp_path_factory: pytest.TempPathFactory, data: Any
) -> None:
    raw = bytearray(sound.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(raw) - 1), min_size=1, max_size=4)):
        raw[place] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("flipped") / "a.npz"
    path.write_bytes(bytes(raw[: data.draw(st.integers(len(raw) // 2, len(raw)))]))
    found = "a.npz"
    try:
        _read_all(path)
    except ImcsimError as error:
        found = str(error)
    assert "a.npz" in found


def test_silent_layers_can_be_read_again(place: Path, tmp_path: Path) -> None:
    net = imcsim.network.load(place / "spiking")
    shape = (200, T, *net.input_shape)
    imcsim.inputs.save(tmp_path / "dark.npz", np.zeros(shape, bool), np.zeros(200, int))
    dark = imcsim.inputs.load(tmp_path / "dark.npz")
    found = imcsim.studies.traces.record(
        net, imcsim.hardware.load("dtsnn_32nm"), dark, tmp_path / "t.npz", layers="all"
    )
    assert not found.frames.any()
    assert found.spikes["lif1"].shape[:2] == (200, T)
