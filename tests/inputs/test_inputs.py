"""Input files: read as written, and refused in one clear line where they are not what they should be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imcsim import inputs
from imcsim.base.errors import ImcsimError
from imcsim.network.arrays import write_npz

IMAGES = np.arange(5 * 3 * 2 * 2, dtype=np.uint8).reshape(5, 3, 2, 2)
LABELS = np.array([0, 3, 1, 2, 3])


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(1, 9),
    limit=st.integers(1, 9),
    split=st.sampled_from(["test", "validation", "unknown"]),
)
def test_inputs_come_back_as_they_were_and_a_limit_is_a_prefix(
    tmp_path_factory: pytest.TempPathFactory, seed: int, count: int, limit: int, split: inputs.Split
) -> None:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, 2, 3, 4)).astype(np.uint8)
    labels = rng.integers(0, 7, count).astype(np.uint8)
    path = tmp_path_factory.mktemp("inputs") / "mine.npz"
    inputs.save(path, images, labels, split=split, classes=7)
    whole = inputs.load(path)
    assert np.array_equal(whole.images, images)
    assert np.array_equal(whole.labels, labels)
    assert whole.labels.dtype == np.int64
    assert (whole.name, whole.split, whole.classes) == ("mine", split, 7)
    raw = path.read_bytes()
    inputs.save(path, whole.images, whole.labels, split=split, classes=7)
    assert path.read_bytes() == raw
    if limit > count:
        with pytest.raises(ImcsimError, match=f"{limit} images were asked for, but it holds {count}"):
            inputs.load(path, limit)
    else:
        some = inputs.load(path, limit)
        assert np.array_equal(some.images, images[:limit])
        assert len(some.labels) == limit
        assert (some.sha256 == whole.sha256) == (limit == count)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"images": None}, "it holds no array 'images'"),
    ({"labels": None}, "it holds no array 'labels'"),
    ({"images": None, "image": IMAGES}, "image: inputs hold no such array (did you mean 'images'?)"),
    (
        {"images": IMAGES.astype(np.float32)},
        "images: images must be uint8 [N, C, H, W], not float32 [5, 3, 2, 2]",
    ),
    ({"images": IMAGES[:, 0]}, "not uint8 [5, 2, 2]"),
    ({"images": IMAGES[:0], "labels": LABELS[:0]}, "not uint8 [0, 3, 2, 2]"),
    ({"labels": LABELS[:4]}, "labels: there are 5 images but 4 labels"),
    ({"labels": LABELS * 1.0}, "labels: labels must be integers [N], not float64 [5]"),
    ({"labels": LABELS[:, None]}, "labels must be integers [N], not int64 [5, 1]"),
    ({"labels": LABELS - 1}, "labels go from -1 to 2"),
    ({"labels": LABELS * 2**40}, "but must lie in 0 to 65535"),
    ({"classes": np.array(3)}, "labels go from 0 to 3, but must lie in 0 to 2"),
    ({"classes": np.array(1.5)}, "classes: must be one integer"),
    ({"split": np.array("train")}, "split: must be one of test, validation, unknown"),
    ({"split": np.array(["test"])}, "split: must be one of"),
]


@pytest.mark.parametrize(("change", "message"), BAD, ids=[m[:40] for _, m in BAD])
def test_broken_inputs_are_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    stored = {"images": IMAGES, "labels": LABELS, **change}
    path = tmp_path / "mine.npz"
    write_npz(path, {k: v for k, v in stored.items() if v is not None})
    with pytest.raises(ImcsimError) as caught:
        inputs.load(path)
    assert message in str(caught.value)
    assert "mine.npz" in str(caught.value)


def test_optional_members_may_be_left_out(tmp_path: Path) -> None:
    write_npz(tmp_path / "a.npz", {"images": IMAGES, "labels": LABELS.astype(">u2")})
    loaded = inputs.load(tmp_path / "a.npz")
    assert (loaded.split, loaded.classes) == ("unknown", None)
    assert loaded.labels.tolist() == [0, 3, 1, 2, 3]


def test_no_image_at_all_is_refused(tmp_path: Path) -> None:
    inputs.save(tmp_path / "a.npz", IMAGES, LABELS)
    for limit in (0, -3):
        with pytest.raises(ImcsimError, match="ask for at least one"):
            inputs.load(tmp_path / "a.npz", limit)


def test_a_network_that_cannot_take_them_is_told_why(tmp_path: Path) -> None:
    inputs.save(tmp_path / "a.npz", IMAGES, LABELS)
    loaded = inputs.load(tmp_path / "a.npz")
    loaded.require(shape=(3, 2, 2), bits=6, classes=4)
    for wanted, message in (
        ({"shape": (3, 2, 3)}, "the images are 3 x 2 x 2, but the network takes 3 x 2 x 3"),
        ({"bits": 5}, "pixels reach 59, beyond the 5 bits"),
        ({"classes": 3}, "labels reach 3, but the network has 3 classes"),
    ):
        fits: dict[str, Any] = {"shape": (3, 2, 2), "bits": 8, "classes": 4}
        with pytest.raises(ImcsimError) as caught:
            loaded.require(**(fits | wanted))
        assert message in str(caught.value)


def test_inputs_are_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models/inputs").mkdir(parents=True)
    inputs.save(tmp_path / "models/inputs/pets_test.npz", IMAGES, LABELS, split="test")
    monkeypatch.setattr("imcsim.inputs.data_dirs", lambda kind: (tmp_path / kind,))
    assert inputs.names() == ["pets_test"]
    assert inputs.load("pets_test", 2).split == "test"
    for bad, message in (
        ("pet_test", "there are no inputs 'pet_test' (did you mean 'pets_test'?)"),
        ("qqq", "or built-in inputs: pets_test"),
        (tmp_path, "holds no PNG or JPEG images"),
        ("x\0y", "there are no inputs"),
    ):
        with pytest.raises(ImcsimError) as caught:
            inputs.load(bad)
        assert message in str(caught.value)


def test_built_in_data_is_looked_for_in_the_package_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imcsim.base.resources import data_dirs

    (tmp_path / "imcsim").mkdir()
    (tmp_path / "models").mkdir()
    monkeypatch.setattr("importlib.resources.files", lambda package: tmp_path / package)
    assert data_dirs("models") == (tmp_path / "models",)
    assert data_dirs("hw_configs") == ()
    (tmp_path / "imcsim/data/models").mkdir(parents=True)
    assert data_dirs("models") == (tmp_path / "imcsim/data/models",)
