"""Images as arrays: ``.npz`` files with images and labels, and ``.npy`` files with labels beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.base.names import suggestion
from imcsim.inputs.data import MAX_CLASSES, SPLITS, Source, Split, check_labels
from imcsim.network.arrays import read_npy, read_npz

MAX_IMAGE_BYTES = 1 << 40
"""Images stay on disk where they are large, so that memory need not hold them."""

MEMBERS = ("images", "labels", "split", "classes")


def read_images(path: Path, *, labelled: bool, labels_file: Path | None) -> Source:
    """The images of an ``.npz`` file; its labels may be missing where they are not needed, or in
    `labels_file`.
    """
    stored = read_npz(path, max_bytes=MAX_IMAGE_BYTES)
    check_names(path, stored, MEMBERS)
    if "images" not in stored or ("labels" not in stored and labelled and labels_file is None):
        missing = "labels" if "images" in stored else "images"
        raise ImcsimError(
            f"it holds no array {missing!r}",
            file=path,
            fix="store `images` and `labels`" if labelled else "store `images`",
        )
    images, spikes = _images(path, stored["images"])
    classes = read_classes(path, stored.get("classes"))
    found = labels_in(path, stored, len(images), classes, labels_file)
    return _source(path, images, found, spikes, read_split(path, stored.get("split")), classes)


def read_array(path: Path, *, labelled: bool, labels_file: Path | None) -> Source:
    """The images of an ``.npy`` file, with the labels of ``<name>.labels.npy`` or of `labels_file`."""
    images, spikes = _images(path, read_npy(path, max_bytes=MAX_IMAGE_BYTES))
    beside = path.with_name(f"{path.stem}.labels.npy") if labels_file is None else labels_file
    if labels_file is None and not beside.is_file():
        if labelled:
            raise ImcsimError(
                "there are no labels for these images",
                file=path,
                fix=f"store them in {beside.name} beside it, or name their file",
            )
        return _source(path, images, None, spikes)
    return _source(path, images, read_labels(beside, len(images), None), spikes)


def check_names(path: Path, stored: Iterable[str], members: Sequence[str]) -> None:
    """Raise ImcsimError for an array of a file that is none of `members`."""
    for key in stored:
        if key not in members:
            fix = suggestion(key, members, "remove it")
            raise ImcsimError("inputs hold no such array", file=path, key=key, fix=fix)


def labels_in(
    path: Path,
    stored: Mapping[str, NDArray[Any]],
    images: int,
    classes: int | None,
    labels_file: Path | None,
) -> NDArray[np.int64] | None:
    """The labels of a file or of `labels_file`, one for each image; None where there are none."""
    if labels_file is not None:
        return read_labels(labels_file, images, classes)
    return check_labels(path, stored["labels"], images, classes) if "labels" in stored else None


def read_labels(path: Path, images: int, classes: int | None) -> NDArray[np.int64]:
    """The labels of an ``.npy`` file, one for each image."""
    if path.suffix.lower() != ".npy":
        raise ImcsimError(
            "labels of arrays are read from .npy files", file=path, fix="store them with numpy.save"
        )
    return check_labels(path, read_npy(path), images, classes)


def _source(
    path: Path,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64] | None,
    spikes: bool,
    split: Split = "unknown",
    classes: int | None = None,
) -> Source:
    coding = "frames" if images.ndim == 5 else "direct"
    return Source(path, images, labels, split, classes, cast(Any, coding), spikes)


def _images(path: Path, images: NDArray[Any]) -> tuple[NDArray[np.uint8], bool]:
    """Images as uint8, and whether they are spikes for certain."""
    if images.dtype not in (np.uint8, np.bool_) or images.ndim not in (4, 5) or 0 in images.shape:
        raise ImcsimError(
            f"images must be uint8 [N, C, H, W], not {images.dtype} {list(images.shape)}",
            file=path,
            key="images",
            fix=_remedy(images),
        )
    if images.dtype == np.uint8:
        return images, False
    stored = images.view(np.uint8)  # a file may hold any byte for true
    if isinstance(images, np.memmap):  # it stays on disk, unless it has to be changed
        return (stored if int(stored.max()) <= 1 else np.minimum(stored, 1)), True
    return np.minimum(stored, 1, out=stored), True


def _remedy(images: NDArray[Any]) -> str | None:
    if 0 in images.shape:
        return "there is no image in it"
    if images.dtype not in (np.uint8, np.bool_):
        if images.dtype.kind == "f":
            return "for pixels from 0 to 1 store np.round(images * 255).astype(np.uint8)"
        return "store images.astype(np.uint8), if its numbers lie in 0 to 255"
    if images.ndim == 2:
        return (
            f"for rows of values store images.reshape(-1, {images.shape[1]}, 1, 1), or the image's own shape"
        )
    if images.ndim == 3:
        return "for grey images store images[:, None]"
    return "or [N, T, C, H, W] with a frame per timestep"


def read_classes(path: Path, value: NDArray[Any] | None) -> int | None:
    if value is None:
        return None
    if value.ndim != 0 or value.dtype.kind not in "iu" or not 2 <= int(value) <= MAX_CLASSES:
        raise ImcsimError(
            f"must be one integer from 2 to {MAX_CLASSES}",
            file=path,
            key="classes",
            fix="store np.array(10) for ten classes",
        )
    return int(value)


def read_split(path: Path, value: NDArray[Any] | None) -> Split:
    if value is None:
        return "unknown"
    if value.ndim != 0 or str(value) not in SPLITS:
        raise ImcsimError(
            "must be one of " + ", ".join(SPLITS),
            file=path,
            key="split",
            fix=suggestion(str(value), SPLITS, "store one of these words, or leave it out"),
        )
    return cast(Split, str(value))
