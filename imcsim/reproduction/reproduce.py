"""One document of all networks: each one's part is made, or taken up from an earlier run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim._version import __version__
from imcsim.base.progress import Progress
from imcsim.inputs import Inputs
from imcsim.reproduction.network import network_part
from imcsim.reproduction.plan import (
    CLASS_NAMES,
    HARDWARE,
    INPUTS,
    VALIDATION,
    Subject,
    chosen,
    fingerprint,
    read_images,
    read_subjects,
)
from imcsim.reproduction.store import read_part, write_part
from imcsim.reproduction.verdicts import published
from imcsim.results.reproduction.document import Reproduction, ReproductionMeta


@dataclass(frozen=True, eq=False)
class Reproduced:
    """The document, and the pixels of its example images, uint8 ``[3, H, W]`` by index."""

    document: Reproduction
    pictures: Mapping[int, NDArray[np.uint8]]


def reproduce(
    folder: str | Path,
    *,
    images: int | None = None,
    validation_images: int | None = None,
    networks: Sequence[str] | None = None,
    models: str | Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Reproduced:
    """Run the paper's networks on their chips and put them beside the paper.

    `images` and `validation_images` are the first so many of the built-in ones (None: all). `networks` are
    keys of `setting.NETWORKS` (None: all), `models` a folder with their bundles (None: the built-in ones).
    What is computed is kept in `folder` and taken up by the next run. `workers` never changes a result.
    Raises ImcsimError where a network is missing, there are too few images, or a file cannot be written.
    """
    wanted = chosen(networks)
    subjects = read_subjects(wanted, models)
    shown = read_images(INPUTS, images)
    held_out = read_images(VALIDATION, validation_images)
    said = {
        "images": images, "validation-images": validation_images,
        "networks": None if networks is None else ",".join(one.key for one in wanted),
    }  # fmt: skip
    command = "imcsim reproduce " + "".join(f"--{k} {v} " for k, v in said.items() if v is not None)
    return reproduce_subjects(
        subjects, shown, held_out, Path(folder), f"{command}--out DIR", workers=workers, progress=progress
    )


def reproduce_subjects(
    subjects: Sequence[Subject],
    inputs: Inputs,
    validation: Inputs,
    folder: Path,
    command: str,
    *,
    class_names: Sequence[str] = CLASS_NAMES,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Reproduced:
    """The document of these networks and images. Parts that `folder` holds already are not made again."""
    parts = []
    for subject in subjects:
        key = fingerprint(subject, inputs, validation)
        part = read_part(folder, subject.about.key, key)
        if part is None:
            part = network_part(subject, inputs, validation, key, folder, workers, progress)
            write_part(folder, part)
        parts.append(part)
    meta: dict[str, Any] = {
        "version": __version__,
        "command": command,
        "hardware": HARDWARE,
        "inputs": inputs.name,
        "validation": validation.name,
        "images": len(inputs.images),
        "validation_images": len(validation.images),
    }
    document = Reproduction(
        meta=ReproductionMeta(**meta),
        class_names=tuple(class_names),
        networks=tuple(parts),
        published=published(),
    )
    shown = {example.index for part in parts for example in part.examples}
    return Reproduced(document, {k: inputs.images[k] for k in sorted(shown)})
