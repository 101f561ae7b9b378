"""Arrays, folders of images, events and random spikes: read as documented, refused in one clear line."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import imcsim.inputs
from imcsim import inputs
from imcsim.base.errors import ImcsimError
from imcsim.commands.cli import main
from imcsim.inputs.data import fingerprint
from imcsim.inputs.events import Events, bin_events
from imcsim.inputs.made import MadeFrames, image_digests
from imcsim.inputs.rate import rate_encode
from imcsim.network.arrays import write_npz

IMAGES = np.arange(5 * 3 * 2 * 4, dtype=np.uint8).reshape(5, 3, 2, 4)
LABELS = np.array([0, 3, 1, 2, 3])


def refused(path: Path | str, *parts: str, **settings: Any) -> None:
    with pytest.raises(ImcsimError) as caught:
        inputs.load(path, **settings)
    text = str(caught.value)
    assert "\n" not in text
    for part in parts:
        assert part in text


# Arrays


def test_frames_and_booleans(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 2, (5, 6, 2, 3, 4)).astype(np.uint8)
    inputs.save(tmp_path / "a.npz", frames, LABELS)
    inputs.save(tmp_path / "b.npz", frames.astype(bool), LABELS)
    whole, spikes = inputs.load(tmp_path / "a.npz"), inputs.load(tmp_path / "b.npz")
    assert (whole.timed, whole.frames, whole.shape) == (True, 6, (2, 3, 4))
    assert np.array_equal(spikes.images, frames)
    assert spikes.images.dtype == np.uint8
    assert (whole.spikes, spikes.spikes) == (False, True)
    some = inputs.load(tmp_path / "a.npz", 3, timesteps=2)
    assert np.array_equal(some.images, frames[:3, :2])
    assert np.array_equal(some.calibration, frames[:3, :4])
    refused(tmp_path / "a.npz", "frames for 6 timesteps, 7 are to be run", timesteps=7)
    refused(tmp_path / "a.npz", "a frame for each timestep already", timesteps=2, encoding="rate")
    still = inputs.load(_saved(tmp_path / "c.npz", IMAGES))
    assert (still.timed, still.frames) == (False, None)


def _saved(path: Path, images: NDArray[Any]) -> Path:
    write_npz(path, {"images": images, "labels": LABELS})
    return path


def test_arrays_of_one_file(tmp_path: Path) -> None:
    path = tmp_path / "pets.npy"
    np.save(path, np.asfortranarray(IMAGES))
    refused(path, "there are no labels for these images", "pets.labels.npy")
    bare = inputs.load(path, labelled=False)
    assert len(bare.labels) == 0
    assert np.array_equal(bare.images, IMAGES)
    np.save(tmp_path / "pets.labels.npy", LABELS)
    np.save(tmp_path / "other.npy", LABELS[::-1])
    beside, named = inputs.load(path, 3), inputs.load(path, labels=tmp_path / "other.npy")
    assert (beside.labels.tolist(), beside.name) == ([0, 3, 1], "pets")
    assert named.labels.tolist() == [3, 2, 1, 3, 0]
    np.save(tmp_path / "other.npy", LABELS[:2])
    refused(path, "other.npy", "there are 5 images but 2 labels", labels=tmp_path / "other.npy")


def test_real_numbers_are_refused_with_the_way_to_convert_them(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", IMAGES / 255)
    refused(tmp_path / "a.npy", "a.npy", "np.round(images * 255).astype(np.uint8)")
    np.save(tmp_path / "a.npy", IMAGES.astype(np.int64))
    refused(tmp_path / "a.npy", "images.astype(np.uint8)")
    np.save(tmp_path / "a.npy", IMAGES[:, 0])
    refused(tmp_path / "a.npy", "images[:, None]")
    swapped = inputs.load(_saved(tmp_path / "b.npz", IMAGES.transpose(0, 2, 3, 1)))
    with pytest.raises(ImcsimError, match=r"images\.transpose\(0, 3, 1, 2\)"):
        swapped.require(shape=(3, 2, 4), bits=8, classes=4)


def test_hostile_arrays_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, IMAGES)
    sound = path.read_bytes()
    for broken in (sound[:-1], sound + b"x", sound[:40], b"", b"PK\x03\x04" + sound):
        path.write_bytes(broken)
        refused(path, "a.npy", labelled=False)
    path.write_bytes(sound.replace(b"(5, 3, 2, 4), ", b"(9**9,3,2,4),"))
    refused(path, "a.npy", labelled=False)
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    refused(path, "arrays of 'object' are not read", labelled=False)


# Folders


def _pictures(folder: Path, classes: dict[str, list[str]], shape: tuple[int, ...] = (6, 5, 3)) -> Any:
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(1)
    found = {}
    for name, files in classes.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for file in files:
            pixels = rng.integers(0, 256, shape).astype(np.uint8)
            image.fromarray(pixels).save(folder / name / file)
            found[f"{name}/{file}"] = pixels
    return found


def test_a_folder_of_classes(tmp_path: Path) -> None:
    made = _pictures(tmp_path / "pets", {"dog": ["b.png", "a.png", "c.PNG"], "cat": ["x.png", "y.png"]})
    (tmp_path / "pets" / ".hidden").write_text("")
    loaded = inputs.load(tmp_path / "pets")
    names = ["cat/x.png", "cat/y.png", "dog/a.png", "dog/b.png", "dog/c.PNG"]
    assert np.array_equal(loaded.images, np.stack([made[n].transpose(2, 0, 1) for n in names]))
    assert loaded.labels.tolist() == [0, 0, 1, 1, 1]
    assert (loaded.name, loaded.classes, loaded.shape) == ("pets", 2, (3, 6, 5))
    some = inputs.load(tmp_path / "pets", 3)
    assert some.labels.tolist() == [0, 0, 1]
    assert np.array_equal(some.images, loaded.images[:3])
    assert inputs.load(tmp_path / "pets", 2).labels.tolist() == [0, 1]
    refused(tmp_path / "pets", "6 images were asked for, but it holds 5", limit=6)
    # The random spikes of an image are those it has in the whole folder.
    spikes = [inputs.load(tmp_path / "pets", n, encoding="rate", timesteps=4).images for n in (None, 2)]
    assert np.array_equal(spikes[0][[0, 2]], spikes[1])


def test_a_folder_with_a_table(tmp_path: Path) -> None:
    made = _pictures(tmp_path, {"flat": ["a.png", "b.jpg", "c.jpeg"]}, (4, 4))
    folder = tmp_path / "flat"
    refused(folder, "there are no labels for these images", "labels.csv")
    assert inputs.load(folder, labelled=False).images.shape == (3, 1, 4, 4)
    (folder / "labels.csv").write_text("file,label\nc.jpeg,7\na.png,0\nb.jpg,2\n")
    loaded = inputs.load(folder)
    assert loaded.labels.tolist() == [7, 0, 2]
    assert np.array_equal(loaded.images[1, 0], made["flat/a.png"])
    (folder / "labels.csv").write_text("file,label\na.png,dog\nb.jpg,cat\nc.jpeg,dog\n")
    assert inputs.load(folder).labels.tolist() == [1, 0, 1]
    for text, message in (
        ("a.png,1\n", "its first line must be file,label"),
        ("file,label\na.png,1\n", "b.jpg: has no label"),
        ("file,label\nz.png,1\n", "labels.csv:2: there is no image 'z.png'"),
        ("file,label\n../flat/a.png,1\n", "there is no image"),
        ("file,label\na.png\n", "must hold a file and a label"),
        ("file,label\na.png,1\na.png,2\n", "labels.csv:3: there is no image 'a.png'"),
        ("file,label\na.png,99999\nb.jpg,1\nc.jpeg,1", "must lie in 0 to 65535"),
    ):
        (folder / "labels.csv").write_text(text)
        refused(folder, message)
    elsewhere = tmp_path / "mine.csv"
    elsewhere.write_text("file,label\na.png,0\nb.jpg,1\nc.jpeg,0\n")
    assert inputs.load(folder, labels=elsewhere).labels.tolist() == [0, 1, 0]


def test_unlike_and_unfit_images_are_named(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    folder = tmp_path / "a"
    _pictures(tmp_path, {"a": ["1.png"]})
    for name, other, message in (
        ("2.png", image.new("RGB", (7, 6)), "2.png: is 6 x 7 pixels, but 1.png is 6 x 5"),
        ("2.png", image.new("L", (5, 6)), "2.png: is grey, but 1.png is RGB"),
        ("2.png", image.new("RGBA", (5, 6)), "2.png: has mode RGBA"),
        ("2.png", image.new("I;16", (5, 6)), "2.png: has mode I;16"),
        ("2.bmp", image.new("RGB", (5, 6)), "2.bmp: this is no PNG or JPEG image"),
    ):
        other.save(folder / name)
        refused(folder, message, labelled=False)
        (folder / name).unlink()
    (folder / "sub").mkdir()
    refused(folder, "holds images and sub-folders", labelled=False)
    refused(folder / "sub", "holds no PNG or JPEG images")
    refused(folder / "1.png", "this is one image", "name the folder")


def _png(width: int, height: int, data: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [5000, 20_000, 2**31 - 1])
def test_decompression_bombs_are_refused(tmp_path: Path, side: int) -> None:
    pytest.importorskip("PIL.Image")
    (tmp_path / "bomb.png").write_bytes(_png(side, side, zlib.compress(bytes(1 << 20))))
    refused(tmp_path, "bomb.png", labelled=False)


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_damaged_images_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    folder = tmp_path_factory.mktemp("images")
    kind = data.draw(st.sampled_from(["png", "jpg"]))
    _pictures(folder, {"": [f"a.{kind}"]})
    raw = bytearray((folder / f"a.{kind}").read_bytes())
    if data.draw(st.booleans()):
        raw = raw[: data.draw(st.integers(0, len(raw) - 1))]
    for place in data.draw(st.lists(st.integers(0, max(0, len(raw) - 1)), max_size=4)):
        if raw:
            raw[place] ^= data.draw(st.integers(1, 255))
    (folder / f"a.{kind}").write_bytes(bytes(raw))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            found = f"a.{kind}" if inputs.load(folder, labelled=False).images.size else ""
        except ImcsimError as error:
            found = str(error)
    assert f"a.{kind}" in found


def test_without_pillow_the_fix_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    monkeypatch.setitem(__import__("sys").modules, "PIL.Image", None)
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    refused(tmp_path, "pip install 'imcsim[images]'", labelled=False)


# Random spikes


def test_a_pixel_spikes_with_the_probability_of_its_code() -> None:
    codes = np.array([0, 1, 64, 128, 254, 255], np.uint8)
    images = np.broadcast_to(codes[:, None, None], (1, 6, 1, 4000)).astype(np.uint8)
    rates = rate_encode(images, 8, 0).mean(axis=(0, 1, 3, 4))
    expected = codes / 255
    spread = np.sqrt(expected * (1 - expected) / (8 * 4000))
    assert (np.abs(rates - expected) <= 5 * spread).all()
    assert rates[0] == 0
    assert rates[-1] == 1


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**63 - 1), count=st.integers(1, 5), steps=st.integers(1, 5))
def test_spikes_depend_on_seed_image_and_timestep_alone(seed: int, count: int, steps: int) -> None:
    images = np.random.default_rng(0).integers(60, 200, (5, 3, 4, 5)).astype(np.uint8)
    whole = rate_encode(images, 5, seed)
    assert np.array_equal(rate_encode(images[:count], steps, seed), whole[:count, :steps])
    alone = rate_encode(images[-1:], 5, seed, np.array([4]))
    assert np.array_equal(alone[0], whole[4])
    assert not np.array_equal(rate_encode(images, 5, seed ^ 1), whole)
    same = rate_encode(np.repeat(images[:1], 2, axis=0), 5, seed)
    assert not np.array_equal(same[0], same[1])
    assert not np.array_equal(same[0, 0], same[0, 1])


def test_neighbouring_draws_are_independent() -> None:
    """Correlation of neighbouring images, timesteps and pixels of one brightness is what chance gives."""
    spikes = rate_encode(np.full((40, 1, 32, 32), 128, np.uint8), 20, 7).astype(float) - 0.5
    for a, b in (
        (spikes[1:], spikes[:-1]),
        (spikes[:, 1:], spikes[:, :-1]),
        (spikes[..., 1:], spikes[..., :-1]),
    ):
        assert abs((a * b).mean() * 4) < 5 / np.sqrt(a.size)


def test_loading_with_rate_encoding(tmp_path: Path) -> None:
    path = _saved(tmp_path / "a.npz", IMAGES)
    loaded = inputs.load(path, encoding="rate", timesteps=2, seed=3)
    assert np.array_equal(loaded.images, rate_encode(IMAGES, 2, 3))
    assert (loaded.coding, loaded.spikes, loaded.frames) == ("rate", True, 2)
    assert loaded.calibration.shape[:2] == (5, 4)
    refused(path, "rate encoding needs a number of timesteps", encoding="rate")
    refused(_saved(tmp_path / "b.npz", IMAGES > 5), "are spikes already", encoding="rate", timesteps=2)


# Events


def _events(rng: np.random.Generator, count: int, samples: int) -> dict[str, NDArray[Any]]:
    return {
        "t": rng.integers(0, 1000, count),
        "x": rng.integers(0, 6, count).astype(np.uint16),
        "y": rng.integers(0, 5, count).astype(np.uint16),
        "p": rng.integers(0, 2, count).astype(bool),
        "sample": rng.integers(0, samples, count),
        "labels": rng.integers(0, 3, samples),
    }


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(1, 60),
    samples=st.integers(1, 4),
    steps=st.integers(1, 6),
    bin_us=st.none() | st.integers(1, 400),
)
def test_events_fall_into_the_bins_of_a_plain_loop(
    seed: int, count: int, samples: int, steps: int, bin_us: int | None
) -> None:
    made = _events(np.random.default_rng(seed), count, samples)
    wanted = np.zeros((samples, steps, 2, 5, 6), np.uint8)
    for n in range(samples):
        mine = [k for k in range(count) if made["sample"][k] == n]
        if not mine:
            continue
        begin, end = min(int(made["t"][k]) for k in mine), max(int(made["t"][k]) for k in mine)
        for k in mine:
            since = int(made["t"][k]) - begin
            # Cut [begin, end + 1) into equal parts, compared in whole numbers.
            step = next((s for s in range(steps) if since * steps < (s + 1) * (end + 1 - begin)), steps)
            if bin_us is not None:
                step = since // bin_us
            if step < steps:
                wanted[n, step, int(made["p"][k]), int(made["y"][k]), int(made["x"][k])] = 1
    columns = (made[key].astype(np.int64) for key in ("t", "x", "y"))
    events = Events(*columns, made["p"], made["sample"], len(wanted))
    found = bin_events(events, wanted.shape, bin_us)
    later = MadeFrames(wanted.shape, events.maker(wanted.shape, bin_us), 1)
    assert np.array_equal(later, wanted)
    assert np.array_equal(later[:, :1][:], wanted[:, :1])
    assert np.array_equal(later[np.arange(len(wanted))[::-1]], wanted[::-1])
    assert fingerprint(later, np.arange(3)) == fingerprint(wanted, np.arange(3))
    assert image_digests(later) == image_digests(wanted)
    assert np.array_equal(found, wanted)


def test_events_of_a_file(tmp_path: Path) -> None:
    made = _events(np.random.default_rng(0), 200, 3)
    path = tmp_path / "dvs.npz"
    write_npz(path, made)
    refused(path, "events need a number of timesteps")
    loaded = inputs.load(path, timesteps=4)
    assert loaded.images.shape == (3, 4, 2, 5, 6)
    assert (loaded.coding, loaded.spikes) == ("events", True)
    assert loaded.labels.tolist() == made["labels"].tolist()
    assert np.array_equal(inputs.load(path, 2, timesteps=4).images, loaded.images[:2])
    assert inputs.load(path, timesteps=4, shape=(2, 8, 9)).shape == (2, 8, 9)
    # Bins of a fixed length: a shorter run is the beginning of a longer one.
    long, short = (inputs.load(path, timesteps=t, bin_us=100) for t in (8, 2))
    assert np.array_equal(long.images[:, :2], short.images)
    assert np.array_equal(long.calibration, short.calibration)
    # Signed polarities, and whole numbers stored as real ones.
    write_npz(path, made | {"p": made["p"].astype(np.int8) * 2 - 1, "t": made["t"].astype(float)})
    assert np.array_equal(inputs.load(path, timesteps=4).images, loaded.images)
    write_npz(path, {k: v for k, v in made.items() if k not in ("sample", "labels")})
    assert inputs.load(path, timesteps=4, labelled=False).images.shape[0] == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"t": None}, "it holds no array 't'"),
        ({"labels": None}, "it holds no array 'labels'"),
        ({"q": np.zeros(3)}, "event files hold no such array"),
        ({"t": np.linspace(0, 1, 9)}, "t: must be whole numbers (store np.round(t * 1e6)"),
        ({"t": np.full(9, np.nan)}, "t: must be whole numbers"),
        ({"t": np.full(9, -(2**63))}, "t: times go beyond"),
        ({"t": np.full(9, 2**64 - 1, np.uint64)}, "t: holds numbers beyond 64 bits"),
        ({"p": np.full(9, 2)}, "p: polarities must be 0 or 1"),
        ({"x": np.arange(8)}, "x: there are 9 times but 8 of x"),
        ({"x": np.full(9, -1)}, "x: places go from -1"),
        ({"x": np.full(9, 2**40)}, "x: places go from"),
        ({"width": np.array(3)}, "x: places go from 0 to 8, but must lie in 0 to 2"),
        ({"height": np.array(2**40)}, "height: must be one integer from 1"),
        ({"sample": np.full(9, 5)}, "sample: there is no recording 5"),
        ({"sample": np.full(9, -1)}, "sample: recordings are numbered from 0"),
        ({"labels": np.array([0.5])}, "labels must be integers"),
        ({"labels": np.zeros((1, 1), int)}, "labels must be integers"),
        ({key: np.arange(0) for key in ("t", "x", "y", "p", "labels")}, "there is no event in it"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_broken_events_are_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    stored = {"t": np.arange(9), "x": np.arange(9), "y": np.arange(9), "p": np.arange(9) % 2}
    stored |= {"labels": np.array([1])} | change
    write_npz(tmp_path / "a.npz", {k: v for k, v in stored.items() if v is not None})
    refused(tmp_path / "a.npz", "a.npz", message, timesteps=3)


def test_events_that_would_fill_the_memory_are_refused(tmp_path: Path) -> None:
    stored = {key: np.zeros(1, int) for key in ("t", "x", "y", "p")}
    side = np.array(8000)
    write_npz(tmp_path / "a.npz", stored | {"labels": np.zeros(100, int), "width": side, "height": side})
    refused(tmp_path / "a.npz", "the frames take", timesteps=4)
    write_npz(tmp_path / "a.npz", stored | {"sample": np.array([2**40])})
    refused(tmp_path / "a.npz", "there is no recording", timesteps=4, labelled=False)


def test_only_events_are_binned(tmp_path: Path) -> None:
    refused(_saved(tmp_path / "a.npz", IMAGES), "bin_us: only events are binned", bin_us=5)


# The command line


def test_anything_is_shown_and_converted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = _events(np.random.default_rng(0), 200, 3)
    write_npz(tmp_path / "dvs.npz", made)
    assert main(["inputs", "show", str(tmp_path / "dvs.npz")]) == 0
    shown = capsys.readouterr().out
    assert "200" in shown
    assert "5 (seen) x 6 (seen)" in shown
    out = str(tmp_path / "out.npz")
    assert main(["inputs", "convert", str(tmp_path / "dvs.npz"), "-o", out, "--timesteps", "4"]) == 0
    back = inputs.load(out)
    assert np.array_equal(back.images, inputs.load(tmp_path / "dvs.npz", timesteps=4).images)
    assert back.spikes
    assert main(["inputs", "show", out]) == 0
    assert "4, one per timestep" in capsys.readouterr().out
    _pictures(tmp_path / "pets", {"cat": ["a.png"], "dog": ["b.jpg"]})
    assert main(["inputs", "convert", str(tmp_path / "pets"), "-o", out, "--split", "test"]) == 0
    back, folder = inputs.load(out), inputs.load(tmp_path / "pets")
    assert (back.sha256, back.split, back.classes) == (folder.sha256, "test", 2)
    encoded = ["--encoding", "rate", "--timesteps", "5", "--seed", "4"]
    assert main(["inputs", "convert", str(tmp_path / "pets"), "-o", out, *encoded]) == 0
    assert np.array_equal(inputs.load(out).images, rate_encode(folder.images, 5, 4))
    np.save(tmp_path / "bare.npy", IMAGES)
    assert main(["inputs", "convert", str(tmp_path / "bare.npy"), "-o", out]) == 0
    refused(out, "it holds no array 'labels'")
    capsys.readouterr()
    assert main(["inputs", "convert", str(tmp_path / "bare.npy"), "-o", "x.npy"]) == 2
    assert main(["inputs", "convert", str(tmp_path / "dvs.npz"), "-o", out]) == 2
    assert "events need a number of timesteps" in capsys.readouterr().err


def test_silent_frames_can_be_read_again(tmp_path: Path) -> None:
    """Zeros pack so well that a reader takes them for a zip bomb; they are stored otherwise."""
    frames = np.zeros((40, 8, 2, 64, 64), bool)
    inputs.save(tmp_path / "a.npz", frames, np.zeros(40, int))
    assert not inputs.load(tmp_path / "a.npz").images.any()


def test_inputs_that_memory_cannot_hold_are_read_as_they_are_played(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames are made when they are read, arrays stay on disk: values, hashes and files are the same."""
    rng = np.random.default_rng(3)
    columns = {"t": rng.integers(0, 900, 500), "sample": np.sort(rng.integers(0, 5, 500))}
    columns |= {key: rng.integers(0, 6, 500) for key in "xy"} | {"p": rng.integers(0, 2, 500)}
    write_npz(tmp_path / "events.npz", columns | {"labels": np.arange(5)})
    still, labels = rng.integers(0, 256, (5, 2, 4, 4)).astype(np.uint8), np.arange(5)
    imcsim.inputs.save(tmp_path / "still.npz", still, labels)
    np.save(tmp_path / "still.npy", still)
    np.save(tmp_path / "still.labels.npy", labels)
    imcsim.inputs.save(tmp_path / "spikes.npz", rng.integers(0, 2, (5, 3, 2, 4, 4)) > 0, labels)

    def everything() -> list[imcsim.inputs.Inputs]:
        return [
            imcsim.inputs.load(tmp_path / "events.npz", timesteps=6),
            imcsim.inputs.load(tmp_path / "events.npz", timesteps=6, limit=3),
            imcsim.inputs.load(tmp_path / "events.npz", timesteps=3, bin_us=100),
            imcsim.inputs.load(tmp_path / "still.npz", encoding="rate", timesteps=3, seed=7),
            imcsim.inputs.load(tmp_path / "still.npz"),
            imcsim.inputs.load(tmp_path / "still.npy"),
            imcsim.inputs.load(tmp_path / "spikes.npz", timesteps=2),
        ]

    held = everything()
    monkeypatch.setattr("imcsim.inputs.made.SHARE", 1 << 40)
    monkeypatch.setattr("imcsim.network.arrays.MAPPED_BYTES", 1)
    monkeypatch.setattr("imcsim.network.arrays.budget_bytes", lambda: 1)
    for one, other in zip(held, everything(), strict=True):
        assert isinstance(one.images, np.ndarray)
        assert isinstance(other.images, MadeFrames | np.memmap) or not other.images.flags.owndata
        assert (other.images.shape, other.sha256) == (one.images.shape, one.sha256)
        assert np.array_equal(other.images, one.images)
        assert np.array_equal(other.images[1:3], one.images[1:3])
        assert np.array_equal(other.calibration, one.calibration)
        other.require(shape=one.shape, bits=8 if one.coding == "direct" else 1, classes=5)
    made = everything()[0]
    imcsim.inputs.save(tmp_path / "made.npz", made.images, made.labels)
    assert np.array_equal(imcsim.inputs.load(tmp_path / "made.npz").images, held[0].images)
