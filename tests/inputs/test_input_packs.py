"""Packs of JPEG data: the images that come with imcsim, and files that are refused or decode otherwise."""

from __future__ import annotations

import sys
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import vgg_like
from numpy.typing import NDArray

import imcsim
from imcsim import inputs
from imcsim.base.errors import ImcsimError
from imcsim.commands.cli import main
from imcsim.inputs.packs import save_pack
from imcsim.network.arrays import read_npz, write_npz
from imcsim.studies.loading import validation_of
from imcsim.studies.settings import RunSettings

Image: Any = pytest.importorskip("PIL.Image")
sys.path.insert(0, str(Path(__file__).parents[2] / "models" / "training"))
cifar10: Any = pytest.importorskip("cifar10")
pack_inputs: Any = pytest.importorskip("pack_inputs")

EOI = b"\xff\xd9"
LABELS = np.array([0, 3, 1, 2, 3])


def jpegs(count: int, channels: int = 3, height: int = 8, width: int = 8, **how: Any) -> list[bytes]:
    """Whole JPEG files of random smooth images, all with one header."""
    rng = np.random.default_rng(channels * height + width)
    coarse = rng.integers(0, 256, (count, -(-height // 4), -(-width // 4), channels)).astype(np.uint8)
    fine = coarse.repeat(4, axis=1).repeat(4, axis=2)[:, :height, :width]
    files = []
    for image in fine:
        file = BytesIO()
        Image.fromarray(image[..., 0] if channels == 1 else image).save(file, "JPEG", **how)
        files.append(file.getvalue())
    return files


def cut(files: list[bytes]) -> tuple[bytes, list[bytes]]:
    """The header that JPEG files share, and the data of each: up to and after the segment SOS."""
    at = files[0].index(b"\xff\xda")
    at += 2 + int.from_bytes(files[0][at + 2 : at + 4])
    assert all(file.startswith(files[0][:at]) and file.endswith(EOI) for file in files)
    return files[0][:at], [file[at : -len(EOI)] for file in files]


def pixels(files: list[bytes]) -> NDArray[np.uint8]:
    """What pillow makes of the whole files."""
    found = np.stack([np.asarray(Image.open(BytesIO(file))) for file in files])
    return found[:, None] if found.ndim == 3 else found.transpose(0, 3, 1, 2)


def pack(path: Path, **change: Any) -> Path:
    """A pack of five images with some of its arrays changed, or left out (None)."""
    save_pack(path, *cut(jpegs(5)), LABELS, split="test", classes=4)
    stored = {**read_npz(path), **change}
    write_npz(path, {name: array for name, array in stored.items() if array is not None})
    return path


def refused(path: Path | str, *parts: str, **how: Any) -> None:
    with pytest.raises(ImcsimError) as caught:
        inputs.load(path, **how)
    text = str(caught.value)
    assert "\n" not in text
    for part in parts:
        assert part in text


# As written


@pytest.mark.parametrize(
    ("shape", "how"),
    [
        ((3, 8, 16), {}),
        ((1, 5, 7), {}),
        ((3, 33, 20), {"quality": 30, "restart_marker_blocks": 1}),
        ((3, 1, 1), {"subsampling": 0}),
    ],
)
def test_images_are_those_of_the_jpeg_files(
    tmp_path: Path, shape: tuple[int, int, int], how: dict[str, Any]
) -> None:
    files = jpegs(5, *shape, **how)
    header, scans = cut(files)
    save_pack(tmp_path / "pets.npz", header, scans, LABELS, split="validation", classes=7)
    whole = inputs.load(tmp_path / "pets.npz")
    assert np.array_equal(whole.images, pixels(files))
    assert (whole.name, whole.split, whole.classes, whole.about) == ("pets", "validation", 7, {})
    assert whole.labels.tolist() == LABELS.tolist()
    some = inputs.load(tmp_path / "pets.npz", 2)
    assert np.array_equal(some.images, whole.images[:2])
    assert some.labels.tolist() == [0, 3]
    stored = read_npz(tmp_path / "pets.npz")
    assert stored["scan"].tobytes() == b"".join(scans), "copied, not coded anew"
    assert stored["crc32"].tolist() == [zlib.crc32(image.tobytes()) for image in whole.images]
    raw = (tmp_path / "pets.npz").read_bytes()
    save_pack(tmp_path / "pets.npz", header, scans, LABELS, split="validation", classes=7)
    assert (tmp_path / "pets.npz").read_bytes() == raw
    # The same images as pixels are the same inputs.
    inputs.save(tmp_path / "pixels.npz", whole.images, whole.labels)
    assert inputs.load(tmp_path / "pixels.npz").sha256 == whole.sha256


def test_only_the_images_that_are_wanted_are_decoded(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.npz")
    stored = read_npz(path)
    stored["scan"][stored["offsets"][3] :] = 0  # codes of no sound image
    write_npz(path, stored)
    assert inputs.load(path, 3).about == {}
    assert inputs.load(path, 5).about["other_pixels"] == 2


def test_labels_may_be_missing_or_in_another_file(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.npz", labels=None, split=None, classes=None, crc32=None)
    refused(path, "a.npz", "it holds no array 'labels'")
    bare = inputs.load(path, labelled=False)
    assert (len(bare.labels), bare.split, bare.classes) == (0, "unknown", None)
    np.save(tmp_path / "l.npy", LABELS)
    assert inputs.load(path, 3, labels=tmp_path / "l.npy").labels.tolist() == [0, 3, 1]


def test_a_pack_is_converted_shown_and_turned_into_spikes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = str(pack(tmp_path / "a.npz")), str(tmp_path / "b.npz")
    assert main(["inputs", "convert", path, "-o", out, "--images", "4"]) == 0
    assert np.array_equal(inputs.load(out).images, inputs.load(path, 4).images)
    assert (inputs.load(out).split, inputs.load(out).classes) == ("test", 4)
    assert main(["inputs", "show", path]) == 0
    shown = capsys.readouterr().out
    assert "3 x 8 x 8" in shown
    assert "decoder" not in shown
    spikes = inputs.load(path, 4, encoding="rate", timesteps=2, seed=3)
    assert spikes.sha256 == inputs.load(out, encoding="rate", timesteps=2, seed=3).sha256


# Other decoders


def test_other_pixels_are_read_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = pack(tmp_path / "pets.npz")
    stored = read_npz(path)
    stored["crc32"][[1, 4]] ^= 1  # as another decoder would have left it
    write_npz(path, stored)
    found = inputs.load(path)
    assert found.about["other_pixels"] == 2
    assert "pillow" in found.about["decoder"]
    assert inputs.load(path, 1).about == {}
    assert main(["inputs", "show", str(path)]) == 0
    assert "2 JPEG images of pets have other pixels here" in " ".join(capsys.readouterr().out.split())
    network = vgg_like(np.random.default_rng(1), plan=[4, "M"], size=8)
    told = imcsim.run(network, inputs=path, validation=path, threshold=0.2, timesteps=2, workers=1).warnings
    assert sum("2 JPEG images of pets have other pixels here" in text for text in told) == 2
    told = imcsim.run(network, inputs=path, images=1, threshold=0.2, timesteps=2, workers=1).warnings
    assert not any("JPEG" in text for text in told)


# Refused


def large(side: int) -> NDArray[np.uint8]:
    """A header that claims images of side x side pixels."""
    header = bytearray(cut(jpegs(1))[0])
    at = header.index(b"\xff\xc0")
    header[at + 5 : at + 9] = side.to_bytes(2) * 2
    return np.frombuffer(bytes(header), np.uint8)


def row(data: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8)


HEADER, SCANS = cut(jpegs(5))
ENDS = np.cumsum([0, *map(len, SCANS)])
HIDDEN = [SCANS[0], jpegs(1, 3, 64, 64)[0], *SCANS[2:]]
BARE = {"labels": None, "crc32": None}
PROGRESSIVE = jpegs(1, progressive=True)[0]
BAD: list[tuple[dict[str, Any], str]] = [
    ({"scan": None}, "it holds no array 'scan'"),
    ({"offsets": None}, "it holds no array 'offsets'"),
    ({"offset": np.arange(2)}, "offset: inputs hold no such array (did you mean 'offsets'?)"),
    ({"scan": row(b"".join(SCANS)).astype(np.int16)}, "scan: must be uint8 [bytes], not int16"),
    ({"jpeg_header": row(HEADER)[None]}, f"jpeg_header: must be uint8 [bytes], not uint8 [1, {len(HEADER)}]"),
    ({"offsets": ENDS * 1.0}, "offsets: must be integers [N + 1], not float64 [6]"),
    ({"offsets": ENDS[:, None]}, "offsets: must be integers"),
    ({"offsets": ENDS[:1], "labels": LABELS[:0]}, "offsets: there is no image in it"),
    ({"offsets": ENDS[:0]}, "offsets: there is no image in it"),
    ({"offsets": ENDS[[0, 2, 1, 3, 4, 5]]}, "offsets: must rise from 0 to"),
    ({"offsets": ENDS[[0, 1, 1, 3, 4, 5]]}, "offsets: must rise"),
    ({"offsets": np.append(ENDS[:-1], ENDS[-1] + 1)}, "offsets: must rise"),
    ({"offsets": np.append(ENDS[:-1], -1)}, "offsets: must rise"),
    ({"offsets": ENDS + np.array([-1, 0, 0, 0, 0, 0])}, "offsets: must rise"),
    ({"offsets": np.array([0, 2**64 - 1, 3, 4, 5, ENDS[-1]], np.uint64)}, "offsets: must rise"),
    ({"offsets": ENDS[:-1]}, "offsets: must rise"),
    ({"scan": row(b"")}, "offsets: must rise from 0 to 0"),
    ({"jpeg_header": row(b"")}, "jpeg_header: is no JPEG header"),
    ({"jpeg_header": row(HEADER[:-1])}, "jpeg_header: is no JPEG header"),
    ({"jpeg_header": row(HEADER + b"\0")}, "jpeg_header: is no JPEG header"),
    ({"jpeg_header": row(PROGRESSIVE[:-2])}, "jpeg_header: is no JPEG header"),
    ({"jpeg_header": row(HEADER[:2] + b"\xff\xfe\xff\xff" + bytes(65533) + HEADER[2:])}, "is no JPEG header"),
    ({"jpeg_header": row(HEADER.replace(b"\xff\xc0", b"\xff\xfe"))}, "image 0 (from 0) is no sound JPEG"),
    ({"jpeg_header": large(0)}, "image 0 (from 0) is no sound JPEG"),
    ({"jpeg_header": large(5000)}, "jpeg_header: images are 5000 x 5000 pixels; at most"),
    ({"jpeg_header": large(65535)}, "image 0 (from 0) is no sound JPEG image: Image size"),
    (
        {**BARE, "jpeg_header": large(4000), "scan": row(bytes(400)), "offsets": np.arange(401)},
        "the images take 19200000000 bytes",
    ),
    (
        {"scan": row(b"".join(HIDDEN)), "offsets": np.cumsum([0, *map(len, HIDDEN)])},
        "scan: the data of image 1 (from 0) are no JPEG scan: there is a marker in them",
    ),
    (
        {
            **BARE,
            "scan": row(SCANS[0] + b"\xff\0"),
            "offsets": len(SCANS[0]) * np.array([0, 1, 1]) + [0, 1, 2],
        },
        "the data of image 0 (from 0) are no JPEG scan",
    ),
    ({"scan": row(b"".join(SCANS)[:-1] + b"\xff")}, "the data of image 4 (from 0) are no JPEG scan"),
    ({"crc32": np.zeros(4, np.uint32)}, "crc32: must be uint32 [5], not uint32 [4]"),
    ({"crc32": np.zeros(5)}, "crc32: must be uint32 [5], not float64 [5]"),
    ({"labels": LABELS[:4]}, "labels: there are 5 images but 4 labels"),
    ({"classes": np.array(3)}, "labels go from 0 to 3"),
    ({"split": np.array("train")}, "split: must be one of"),
]


@pytest.mark.parametrize(("change", "message"), BAD, ids=[f"{k} {m[:30]}" for k, (_, m) in enumerate(BAD)])
def test_hostile_packs_are_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    refused(pack(tmp_path / "bad.npz", **change), "bad.npz", message, labelled=False)


def test_a_refusal_is_one_line_and_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = pack(tmp_path / "bad.npz", offsets=ENDS[::-1])
    for command in (["inputs", "show", str(path)], ["run", "--inputs", str(path), "--threshold", "0.1"]):
        assert main(command) == 2
        said = capsys.readouterr().err
        assert "offsets: must rise" in " ".join(said.split())
        assert "Traceback" not in said
    assert main(["inputs", "show", str(pack(tmp_path / "good.npz"))]) == 0
    refused(tmp_path / "good.npz", "6 images were asked for, but it holds 5", limit=6)
    refused(tmp_path / "good.npz", "ask for at least one", limit=0)
    refused(tmp_path / "good.npz", "only events are binned", bin_us=5)


def test_a_pack_that_would_not_be_read_is_not_written(tmp_path: Path) -> None:
    header, scans = cut(jpegs(2))
    for arguments, message in (
        ((header, []), "there is no image in it"),
        ((header, [scans[0], b""]), "offsets: must rise"),
        ((header[:-3], scans), "is no JPEG header"),
        ((header, [scans[0], jpegs(1)[0]]), "the data of image 1 (from 0) are no JPEG scan"),
        ((header, scans, LABELS), "there are 2 images but 5 labels"),
    ):
        with pytest.raises(ImcsimError) as caught:
            save_pack(tmp_path / "a.npz", *arguments)
        assert message in str(caught.value)
        assert not (tmp_path / "a.npz").exists()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_packs_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    folder = tmp_path_factory.mktemp("packs")
    path = pack(folder / "a.npz")
    if data.draw(st.booleans(), "in the archive"):
        raw = bytearray(path.read_bytes())
        if data.draw(st.booleans(), "cut off"):
            raw = raw[: data.draw(st.integers(0, len(raw) - 1))]
        else:
            raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
        path.write_bytes(raw)
    else:
        stored = read_npz(path)
        array = stored[data.draw(st.sampled_from(["jpeg_header", "scan"]))]
        for _ in range(data.draw(st.integers(1, 4))):
            array[data.draw(st.integers(0, array.size - 1))] = data.draw(st.integers(0, 255))
        write_npz(path, stored)
    try:
        said = "a.npz" if len(inputs.load(path, labelled=False).images) == 5 else ""
    except ImcsimError as error:
        said = str(error)
    assert "a.npz" in said
    assert "\n" not in said


def test_without_pillow_the_fix_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pack(tmp_path / "a.npz")
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    monkeypatch.setitem(sys.modules, "PIL", None)
    refused(path, "a.npz", "pip install 'imcsim[images]'")


# What comes with imcsim


@pytest.mark.parametrize(("split", "per_class"), [("test", 1000), ("validation", 500)])
def test_built_in_packs_go_on_from_the_small_sets(split: str, per_class: int) -> None:
    whole, small = inputs.load(f"cifar10_{split}_all"), inputs.load(f"cifar10_{split}")
    assert whole.images.shape == (10 * per_class, 3, 32, 32)
    assert np.array_equal(whole.labels.reshape(-1, 10), np.tile(np.arange(10), (per_class, 1)))
    assert (whole.split, whole.classes) == (small.split, small.classes) == (split, 10)
    if "other_pixels" in whole.about:
        pytest.skip("another JPEG decoder than the small sets were made with")
    assert np.array_equal(whole.images[:1000], small.images)
    assert inputs.load(f"cifar10_{split}_all", 1000).sha256 == small.sha256
    # As models/README.md has them.
    assert whole.sha256.startswith({"test": "a5ab6900efc6", "validation": "d84321930233"}[split])


def test_built_in_test_images_are_paired_with_validation_images(tmp_path: Path) -> None:
    assert {"cifar10_test", "cifar10_test_all", "cifar10_validation", "cifar10_validation_all"} <= set(
        inputs.names()
    )
    assert inputs.paired("cifar10_test") == "cifar10_validation"
    assert inputs.paired("cifar10_test_all") == "cifar10_validation_all"
    assert inputs.paired("cifar10_validation_all") is None
    assert inputs.paired(pack(tmp_path / "cifar10_test_all.npz")) is None
    assert validation_of(RunSettings(inputs="cifar10_test_all")) == "cifar10_validation_all"
    assert validation_of(RunSettings(inputs="cifar10_test_all", validation="mine.npz")) == "mine.npz"
    assert validation_of(RunSettings()) == "cifar10_validation"


# The script that packs them


def test_the_script_packs_what_training_tests_and_holds_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(7)
    labels = {"train": rng.permutation(np.arange(80) % 10), "test": rng.permutation(np.arange(37) % 10)}
    header, scans = cut(jpegs(117, 3, 32, 32))
    stored = {"jpeg_header": row(header), "classes": np.array(cifar10.CLASSES)}
    for part, some in (("train", scans[:80]), ("test", scans[80:])):
        stored[f"{part}_scan"] = row(b"".join(some))
        stored[f"{part}_offsets"] = np.cumsum([0, *map(len, some)])
        stored[f"{part}_labels"] = labels[part].astype(np.uint8)
    np.savez(tmp_path / "cifar10.npz", **stored)
    command = ["pack_inputs.py", "--data", str(tmp_path), "--out", str(tmp_path), "--held-out", "30"]
    monkeypatch.setattr(sys, "argv", command)
    pack_inputs.main()
    _, held = cifar10.hold_out(cifar10.load(tmp_path, "train"), 30, 1)
    for split, wanted in (("validation", held), ("test", cifar10.load(tmp_path, "test"))):
        found = inputs.load(tmp_path / "inputs" / f"cifar10_{split}_all.npz")
        assert (found.split, found.classes) == (split, 10)
        assert found.labels[:30].reshape(3, 10).tolist() == [list(range(10))] * 3
        assert len(found.labels) == len(wanted.labels)
        for k in range(10):
            mine = wanted.images[wanted.labels == k]
            assert np.array_equal(found.images[found.labels == k], mine), "in their order"


def test_classes_take_turns_as_long_as_they_last() -> None:
    assert pack_inputs.in_turn(np.array([1, 1, 0, 1, 2, 0])).tolist() == [2, 0, 4, 5, 1, 3]
    torch: Any = pytest.importorskip("torch")
    assert torch
    train: Any = pytest.importorskip("train")
    assert train.VALIDATION_IMAGES == pack_inputs.HELD_OUT
