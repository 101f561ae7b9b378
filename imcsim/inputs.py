"""Labelled images: what a network is shown."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from imcsim.errors import ImcsimError
from imcsim.names import nearest
from imcsim.network.arrays import read_npz, write_npz
from imcsim.resources import data_dirs

Split = Literal["test", "validation", "unknown"]
SPLITS = ("test", "validation", "unknown")
MAX_CLASSES = 1 << 16
_MEMBERS = ("images", "labels", "split", "classes")


@dataclass(frozen=True, eq=False)
class Inputs:
    """images: uint8 ``[N, C, H, W]``; labels: int64 ``[N]``; `sha256` is over both.

    `split` says which part of the data set they are; `classes` is the number of labels, if known.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    name: str
    split: Split
    sha256: str
    classes: int | None = None

    def require(self, *, shape: tuple[int, int, int], bits: int, classes: int) -> None:
        """Raise ImcsimError unless a network for `shape`, `bits` a pixel and `classes` fits them."""
        if self.images.shape[1:] != shape:
            ours, theirs = (" x ".join(map(str, s)) for s in (self.images.shape[1:], shape))
            raise ImcsimError(
                f"the images are {ours}, but the network takes {theirs}",
                key=self.name,
                fix="use fitting inputs",
            )
        if int(self.images.max()) >= 1 << bits:
            raise ImcsimError(
                f"pixels reach {int(self.images.max())}, beyond the {bits} bits that the network takes",
                key=self.name,
            )
        if int(self.labels.max()) >= classes:
            raise ImcsimError(
                f"labels reach {int(self.labels.max())}, but the network has {classes} classes", key=self.name
            )


def names() -> list[str]:
    """Names of the built-in inputs."""
    return sorted(path.stem for path in _built_in())


def load(name_or_path: str | Path, limit: int | None = None) -> Inputs:
    """Read built-in inputs by name, or an ``.npz`` file; only the first `limit` images where given.

    The file holds ``images`` (uint8 ``[N, C, H, W]``) and ``labels`` (integers ``[N]``, from 0), and may hold
    ``split`` (``test``, ``validation`` or ``unknown``) and ``classes`` (their number). A built-in name wins
    over a file of that name. Raises ImcsimError for anything else, and for fewer than `limit` images.
    """
    path = _find(name_or_path)
    stored = read_npz(path)
    for key in stored:
        if key not in _MEMBERS:
            guess = nearest(key, _MEMBERS)
            fix = f"did you mean {guess!r}?" if guess else "remove it"
            raise ImcsimError("inputs hold no such array", file=path, key=key, fix=fix)
    for key in _MEMBERS[:2]:
        if key not in stored:
            raise ImcsimError(f"it holds no array {key!r}", file=path, fix="store `images` and `labels`")
    images, labels = stored["images"], stored["labels"]
    if images.dtype != np.uint8 or images.ndim != 4 or 0 in images.shape:
        raise ImcsimError(
            f"images must be uint8 [N, C, H, W], not {images.dtype} {list(images.shape)}",
            file=path,
            key="images",
        )
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise ImcsimError(
            f"labels must be integers [N], not {labels.dtype} {list(labels.shape)}", file=path, key="labels"
        )
    if len(labels) != len(images):
        raise ImcsimError(f"there are {len(images)} images but {len(labels)} labels", file=path, key="labels")
    classes = _classes(path, stored.get("classes"))
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest >= (classes or MAX_CLASSES):
        raise ImcsimError(
            f"labels go from {lowest} to {highest}, but must lie in 0 to {(classes or MAX_CLASSES) - 1}",
            file=path,
            key="labels",
        )
    if limit is not None:
        if limit < 1:
            raise ImcsimError(f"{limit} images were asked for", fix="ask for at least one")
        if limit > len(images):
            raise ImcsimError(f"{limit} images were asked for, but it holds {len(images)}", file=path)
        images, labels = images[:limit], labels[:limit]
    labels = labels.astype(np.int64)
    split = _split(path, stored.get("split"))
    return Inputs(images, labels, path.stem, split, _sha256(images, labels), classes)


def save(
    path: str | Path,
    images: NDArray[np.uint8],
    labels: NDArray[np.integer[Any]],
    *,
    split: Split = "unknown",
    classes: int | None = None,
) -> None:
    """Write images and labels to an ``.npz`` file that `load` reads; equal inputs give equal bytes.

    Raises ImcsimError where the file cannot be written.
    """
    stored: dict[str, NDArray[Any]] = {
        "images": images,
        "labels": labels.astype("<i8"),
        "split": np.array(split),
    }
    if classes is not None:
        stored["classes"] = np.array(classes, "<i8")
    write_npz(path, stored)


def _built_in() -> list[Path]:
    return [path for folder in data_dirs("models") for path in (folder / "inputs").glob("*.npz")]


def _find(name_or_path: str | Path) -> Path:
    built_in = {path.stem: path for path in _built_in()}
    if isinstance(name_or_path, str) and name_or_path in built_in:
        return built_in[name_or_path]
    path = Path(name_or_path)
    try:
        found = path.exists()
    except (OSError, ValueError):  # too long, or with characters no file name has
        found = False
    if found:
        return path
    guess = nearest(str(name_or_path), built_in)
    known = ", ".join(sorted(built_in)) or "none"
    raise ImcsimError(
        f"there are no inputs {str(name_or_path)[:200]!a}",
        fix=f"did you mean {guess!r}?" if guess else f"name an .npz file, or built-in inputs: {known}",
    )


def _classes(path: Path, value: NDArray[Any] | None) -> int | None:
    if value is None:
        return None
    if value.ndim != 0 or value.dtype.kind not in "iu" or not 2 <= int(value) <= MAX_CLASSES:
        raise ImcsimError(f"must be one integer from 2 to {MAX_CLASSES}", file=path, key="classes")
    return int(value)


def _split(path: Path, value: NDArray[Any] | None) -> Split:
    if value is None:
        return "unknown"
    if value.ndim != 0 or str(value) not in SPLITS:
        raise ImcsimError("must be one of " + ", ".join(SPLITS), file=path, key="split")
    return cast(Split, str(value))


def _sha256(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> str:
    digest = hashlib.sha256(f"{list(images.shape)}\n".encode())
    digest.update(np.ascontiguousarray(images).tobytes())
    digest.update(labels.astype("<i8").tobytes())
    return digest.hexdigest()
