"""Read CIFAR-10 from a path, without unpickling anything.

Two layouts are understood:

- a packed file ``cifar10.npz`` (or the folder that holds it): one shared JPEG header, and one
  entropy-coded scan an image (``train_scan``, ``train_offsets``, ``train_labels``, same for ``test``);
- the folder ``cifar-10-batches-bin`` of the binary version of the original data set.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True)
class Split:
    """Images ``uint8 [N, 3, 32, 32]`` and labels ``int64 [N]``."""

    images: np.ndarray
    labels: np.ndarray


def layout(path: str | Path) -> str:
    """Which copy of the pixels lies at `path`: a packed one is JPEG, hence slightly lossy."""
    path = Path(path)
    packed = (path / "cifar10.npz").exists() if path.is_dir() else path.suffix == ".npz"
    return "JPEG copy" if packed else "original binary version"


def load(path: str | Path, split: str) -> Split:
    """Return the ``train`` or ``test`` split found at `path`."""
    path = Path(path)
    packed = path / "cifar10.npz" if path.is_dir() else path
    if packed.suffix == ".npz" and packed.exists():
        return _load_packed(packed, split)
    if (path / "test_batch.bin").exists():
        return _load_binary(path, split)
    raise SystemExit(f"{path}: neither a packed cifar10.npz nor a cifar-10-batches-bin folder")


def fingerprint(split: Split) -> str:
    """SHA-256 over the pixels and labels: two copies of the data set are equal when it is."""
    digest = hashlib.sha256(np.ascontiguousarray(split.images).tobytes())
    digest.update(split.labels.astype(np.uint8).tobytes())
    return digest.hexdigest()


def _load_packed(path: Path, split: str) -> Split:
    from PIL import Image

    with np.load(path, allow_pickle=False) as pack:
        header = pack["jpeg_header"].tobytes()
        scans, offsets = pack[f"{split}_scan"].tobytes(), pack[f"{split}_offsets"]
        labels = pack[f"{split}_labels"].astype(np.int64)
    images = np.empty((len(labels), 32, 32, 3), np.uint8)
    for i in range(len(labels)):
        jpeg = header + scans[offsets[i] : offsets[i + 1]] + b"\xff\xd9"
        images[i] = np.asarray(Image.open(BytesIO(jpeg)))
    return Split(np.ascontiguousarray(images.transpose(0, 3, 1, 2)), labels)


def _load_binary(path: Path, split: str) -> Split:
    names = ["test_batch.bin"] if split == "test" else [f"data_batch_{k}.bin" for k in range(1, 6)]
    rows = np.concatenate([np.fromfile(path / n, np.uint8).reshape(-1, 3073) for n in names])
    images = rows[:, 1:].reshape(-1, 3, 32, 32)
    return Split(np.ascontiguousarray(images), rows[:, 0].astype(np.int64))


def hold_out(train: Split, count: int, seed: int) -> tuple[Split, Split]:
    """Split off `count` validation images, the same number of each class, by `seed`."""
    rng = np.random.default_rng(seed)
    per_class = count // len(CLASSES)
    held = np.concatenate(
        [rng.permutation(np.flatnonzero(train.labels == k))[:per_class] for k in range(len(CLASSES))]
    )
    mask = np.zeros(len(train.labels), bool)
    mask[held] = True
    keep, val = np.flatnonzero(~mask), rng.permutation(held)
    return Split(train.images[keep], train.labels[keep]), Split(train.images[val], train.labels[val])
