"""Reads state dicts of PyTorch, without unpickling anything but tensors and plain containers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from imcsim.importers.apart import read_apart

PREFIXES = ("module.", "_orig_mod.", "model.")
"""What wrappers (DataParallel, torch.compile, Lightning) put in front of every name."""


def tensors(path: Path) -> dict[str, NDArray[Any]]:
    """All tensors by name, without the wrappers' prefixes; needs the extra ``torch``.

    A state dict in a checkpoint is found by itself. Raises ImcsimError for legacy pickles, TorchScript,
    classes other than tensors, tensors whose shapes repeat their data, and damaged files.
    """
    document, arrays = read_apart("torch_zip", path)
    found = {name: arrays[key] for name, key in document["tensors"].items()}
    return stripped(found)


def stripped(found: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """`found` without a prefix that all names have."""
    for _ in range(3):
        for prefix in PREFIXES:
            if found and all(name.startswith(prefix) and len(name) > len(prefix) for name in found):
                found = {name.removeprefix(prefix): value for name, value in found.items()}
    return found
