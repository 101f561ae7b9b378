"""What a network is shown, and what is known about it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.base.plurals import counted
from imcsim.inputs.made import MadeFrames
from imcsim.network.arrays import MAX_BYTES

Split = Literal["test", "validation", "unknown"]
SPLITS = ("test", "validation", "unknown")
Coding = str
"""How values come into timesteps: ``direct``, the same at each; ``frames``, a given frame at each;
``events``, binned; else the name of the encoding that made the frames, such as ``rate``.
"""

MAX_CLASSES = 1 << 16
CALIBRATION_IMAGES = 32
CALIBRATION_TIMESTEPS = 4
"""Fixed, so that ADC scales do not depend on T max and a short run is the beginning of a longer one."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """images: uint8 ``[N, C, H, W]``, the same at every timestep, or ``[N, T, C, H, W]``, one frame for each.

    Where these would fill memory they are `MadeFrames`, of which any part can be read as of an array.

    labels: int64 ``[N]``, empty where there are none. `sha256` is over both. `split` says which part of the
    data set they are; `classes` is the number of labels, if known. `spikes`: the values are spikes, 0 or 1,
    for certain. `about` says how they were made (a seed, say).
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    name: str
    split: Split
    sha256: str
    classes: int | None = None
    coding: Coding = "direct"
    spikes: bool = False
    about: Mapping[str, Any] = field(default_factory=dict)
    lead: NDArray[np.uint8] | None = None
    """More timesteps of the first images than are shown, where ADC scales need them (see `calibration`)."""
    recorded: Mapping[str, Any] | None = None
    """Of a trace: its description."""
    picked: NDArray[np.int64] | None = None
    """Which of the inputs these are, where they are not all or the first ones."""
    file: Path | None = None
    """The file or folder that they were read from, where the user named one; errors name it."""

    @property
    def _key(self) -> str | None:
        """What errors say where there is no file."""
        return self.name if self.file is None else None

    @property
    def numbers(self) -> NDArray[np.int64]:
        """The number of each image, int64 ``[N]``: noise depends on it."""
        return np.arange(len(self.images)) if self.picked is None else self.picked

    @property
    def timed(self) -> bool:
        """Whether there is a frame for each timestep."""
        return self.images.ndim == 5

    @property
    def frames(self) -> int | None:
        """Timesteps that there are frames for; None where the images serve any number."""
        return int(self.images.shape[1]) if self.timed else None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of what enters at a timestep."""
        return cast(tuple[int, int, int], tuple(int(n) for n in self.images.shape[-3:]))

    @property
    def calibration(self) -> NDArray[np.uint8]:
        """The first images, on which ADC scales are set; a frame per timestep where they are timed."""
        if self.lead is not None:
            return self.lead
        few = self.images[:CALIBRATION_IMAGES]
        return few[:, :CALIBRATION_TIMESTEPS] if self.timed else few

    @property
    def calibration_sha256(self) -> str:
        """The hash of the images on which ADC scales are set."""
        few = self.calibration
        digest = hashlib.sha256(f"{list(few.shape)}\n".encode())
        digest.update(few.tobytes())
        return digest.hexdigest()

    def first(self, timesteps: int) -> Inputs:
        """What a run of so many timesteps shows. Raises ImcsimError where there are fewer frames."""
        if self.frames is None or self.frames == timesteps:
            return self
        if self.frames < timesteps:
            raise ImcsimError(
                f"there are frames for {counted(self.frames, 'timestep')}, {timesteps} are to be run",
                file=self.file,
                key=self._key,
                fix=f"run at most {self.frames}, or give inputs with more frames",
            )
        shown = contiguous(self.images[:, :timesteps])
        lead = self.calibration if timesteps < CALIBRATION_TIMESTEPS else None
        return replace(self, images=shown, sha256=fingerprint(shown, self.labels), lead=lead)

    def require(self, *, shape: tuple[int, int, int], bits: int, classes: int) -> None:
        """Raise ImcsimError unless a network for `shape`, `bits` a pixel and `classes` fits them."""
        if self.shape != shape:
            ours, theirs = (" x ".join(map(str, s)) for s in (self.shape, shape))
            last = (self.shape[2], self.shape[0], self.shape[1])
            turn = f"images.transpose({'0, 1, 4, 2, 3' if self.timed else '0, 3, 1, 2'})"
            fix = f"channels come first: store {turn}" if last == shape else "use fitting inputs"
            if shape == (math.prod(self.shape), 1, 1):  # a file says nothing of the image behind its row
                fix = f"import the network with --input-shape {'x'.join(map(str, self.shape))}"
            raise ImcsimError(
                f"the images are {ours}, but the network takes {theirs}",
                file=self.file,
                key=self._key,
                fix=fix,
            )
        largest = int(self.images.max())
        if bits > 1 and (self.spikes or (self.timed and largest == 1)):
            raise ImcsimError(
                f"these inputs are spikes, but the network was trained for {bits}-bit images",
                file=self.file,
                key=self._key,
                fix="use images with direct encoding, or import the network with --input-bits 1",
            )
        if largest >= 1 << bits:
            spiking = bits == 1 and not self.timed
            raise ImcsimError(
                f"pixels reach {largest}, beyond the {bits} bits that the network takes"
                if not spiking
                else f"pixels reach {largest}, but the network takes spikes (1 bit)",
                file=self.file,
                key=self._key,
                fix="encode them as spikes (encoding rate)"
                if spiking
                else f"use images of {bits} bits, or import the network with --input-bits 8",
            )
        if len(self.labels) and int(self.labels.max()) >= classes:
            raise ImcsimError(
                f"labels reach {int(self.labels.max())}, but the network has {classes} classes",
                file=self.file,
                key=self._key,
                fix="are these the inputs of this network? Classes are numbered from 0",
            )


@dataclass(eq=False)
class Source:
    """What a reader found in a file: values as stored, labels or None, and what it knows of them."""

    path: Path
    images: NDArray[np.uint8]
    labels: NDArray[np.int64] | None
    split: Split = "unknown"
    classes: int | None = None
    coding: Coding = "direct"
    spikes: bool = False
    about: dict[str, Any] = field(default_factory=dict)
    indices: NDArray[np.int64] | None = None
    """Positions in the whole set, where `images` are some of it."""


def finished(source: Source, *, name: str | None = None) -> Inputs:
    """Inputs of a source."""
    labels = np.empty(0, np.int64) if source.labels is None else source.labels
    images = contiguous(source.images)
    return Inputs(
        images,
        labels,
        source.path.stem if name is None else name,
        source.split,
        fingerprint(images, labels),
        source.classes,
        source.coding,
        source.spikes,
        source.about,
    )


def fingerprint(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> str:
    """SHA-256 over shape, values and labels."""
    if isinstance(images, MadeFrames):
        digest = images.sha256
        digest.update(labels.astype("<i8").tobytes())
        return str(digest.hexdigest())
    digest = hashlib.sha256(f"{list(images.shape)}\n".encode())
    for image in [images] if images.flags.c_contiguous else images:
        digest.update(np.ascontiguousarray(image).data)
    digest.update(labels.astype("<i8").tobytes())
    return digest.hexdigest()


def contiguous(images: Any) -> Any:
    """Images one after the other in memory; those that are made later, or stay on disk, are left alone."""
    return images if isinstance(images, MadeFrames | np.memmap) else np.ascontiguousarray(images)


def check_count(path: Path, limit: int | None, held: int) -> int:
    """How many of `held` images are used. Raises ImcsimError where `limit` asks for more, or for none."""
    if limit is None:
        return held
    if limit < 1:
        raise ImcsimError(f"{limit} images were asked for", fix="ask for at least one")
    if limit > held:
        raise ImcsimError(
            f"{limit} images were asked for, but it holds {held}",
            file=path,
            fix=f"ask for 1 to {held}, or leave images out for all",
        )
    return limit


def check_room(path: str | Path, values: int, what: str, most: int = MAX_BYTES) -> None:
    """Raise ImcsimError before more memory is taken than any inputs may have."""
    if values > most:
        raise ImcsimError(
            f"{what} take {values} bytes; at most {most} are held", file=path, fix="use fewer images"
        )


def check_labels(
    path: str | Path, labels: NDArray[Any], images: int, classes: int | None
) -> NDArray[np.int64]:
    """Labels as int64. Raises ImcsimError unless there is a fitting integer for each image."""
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise ImcsimError(
            f"labels must be integers [N], not {labels.dtype} {list(labels.shape)}",
            file=path,
            key="labels",
            fix="store one class number for each image, as np.int64",
        )
    if len(labels) != images:
        raise ImcsimError(
            f"there are {images} images but {len(labels)} labels",
            file=path,
            key="labels",
            fix="store one label for each image",
        )
    lowest, highest = int(labels.min(initial=0)), int(labels.max(initial=0))
    if lowest < 0 or highest >= (classes or MAX_CLASSES):
        raise ImcsimError(
            f"labels go from {lowest} to {highest}, but must lie in 0 to {(classes or MAX_CLASSES) - 1}",
            file=path,
            key="labels",
            fix="number classes from 0, or store classes, how many there are",
        )
    return labels.astype(np.int64)
