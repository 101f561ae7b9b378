"""Pack all test images, and all validation images, of a packed ``cifar10.npz`` as built-in inputs of imcsim.

    python models/training/pack_inputs.py --data PATH --out models

Writes ``inputs/cifar10_test_all.npz`` and ``inputs/cifar10_validation_all.npz``. JPEG data are copied as they
are, never coded anew. Classes take turns, so the first images are those of ``cifar10_test`` and
``cifar10_validation`` as export.py writes them, and the first 10, 20, ... images are balanced.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cifar10
import numpy as np

from imcsim.base.errors import ImcsimError
from imcsim.inputs.packs import save_pack

HELD_OUT, SEED = 5000, 1
"""Of the shipped networks: VALIDATION_IMAGES and the default seed of train.py."""


def in_turn(labels: np.ndarray) -> np.ndarray:
    """Positions, the first image of each class before the second of any, as long as classes last."""
    rank = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        mine = np.flatnonzero(labels == label)
        rank[mine] = np.arange(len(mine))
    return np.lexsort((labels, rank))


def held_out(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Positions in the training images of those that train.py holds out, in its order."""
    # Positions in the place of images come back as images do.
    positions = cifar10.Split(np.arange(len(labels)), labels)
    return cifar10.hold_out(positions, count, seed)[1].images


def chosen(labels: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """`positions` in the order in which they are packed."""
    return positions[in_turn(labels[positions])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, type=Path, help="a packed cifar10.npz, or its folder")
    parser.add_argument("--out", default=Path("models"), type=Path, help="folder whose inputs are written")
    parser.add_argument("--held-out", default=HELD_OUT, type=int, help="validation images")
    parser.add_argument("--seed", default=SEED, type=int, help="of the choice of validation images")
    args = parser.parse_args()
    data = args.data / "cifar10.npz" if args.data.is_dir() else args.data
    if data.suffix != ".npz" or not data.is_file():
        raise SystemExit(f"{data}: there is no such packed file; only JPEG data can be copied")
    (args.out / "inputs").mkdir(parents=True, exist_ok=True)
    with np.load(data, allow_pickle=False) as stored:
        header, classes = stored["jpeg_header"].tobytes(), len(stored["classes"])
        for part, split in (("test", "test"), ("train", "validation")):
            labels, offsets = stored[f"{part}_labels"].astype(np.int64), stored[f"{part}_offsets"]
            positions = np.arange(len(labels))
            if split == "validation":
                positions = held_out(labels, args.held_out, args.seed)
            order, scan = chosen(labels, positions), stored[f"{part}_scan"].tobytes()
            path = args.out / "inputs" / f"cifar10_{split}_all.npz"
            scans = [scan[offsets[k] : offsets[k + 1]] for k in order]
            save_pack(path, header, scans, labels[order], split=split, classes=classes)
            print(f"{path}: {len(order)} images, {path.stat().st_size} bytes")


if __name__ == "__main__":
    try:
        main()
    except ImcsimError as error:
        raise SystemExit(f"error: {error}") from None
