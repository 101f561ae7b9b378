"""Encodings of inputs by name, and their answers, checked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.base.plugins import Kind, Origin, blamed
from imcsim.inputs.data import CALIBRATION_TIMESTEPS, Inputs, Source, check_room, finished
from imcsim.inputs.encoding import FrameEncoding
from imcsim.inputs.made import MAX_MADE_BYTES, MadeFrames, made_later
from imcsim.inputs.rate import RateEncoding

DIRECT = "direct"
"""Images enter at every timestep as they are: nothing is encoded."""

_KEPT = ("source", "version", "sha256")

ENCODINGS: Kind[FrameEncoding] = Kind("encodings", FrameEncoding, {"rate": RateEncoding()})
"""All encodings, by name: our own, and those of plug-ins."""


def encoded(source: Source, encoding: str, timesteps: int | None, seed: int, name: str) -> Source:
    """Images as frames, for as many timesteps as a run, or the setting of ADC scales, needs.

    Raises ImcsimError for inputs that have frames or are spikes already, where `timesteps` is missing, for an
    encoding that is not there, and for frames that are none.
    """
    if source.images.ndim == 5 or source.spikes:
        raise ImcsimError(
            "these inputs have a frame for each timestep already"
            if source.images.ndim == 5
            else "these inputs are spikes already",
            file=source.path,
            fix="leave --encoding out",
        )
    made, origin = ENCODINGS.get(encoding), ENCODINGS.origin(encoding)
    if timesteps is None:
        raise ImcsimError(f"{encoding} encoding needs a number of timesteps", key=name, fix="give timesteps")
    count = max(timesteps, CALIBRATION_TIMESTEPS)
    check_room(source.path, source.images.size * count, "the spikes", MAX_MADE_BYTES)
    still = finished(source, name=name)
    numbers = np.arange(len(source.images)) if source.indices is None else source.indices

    def make(places: NDArray[np.int64], timesteps: int) -> NDArray[np.uint8]:
        return checked_frames(made, origin, still.images[places], timesteps, seed, numbers[places])

    shape = (len(still.images), count, *still.shape)
    frames: Any = (
        MadeFrames(shape, make, largest=1 if made.spikes else None)
        if made_later(source.images.size * count)
        else make(np.arange(len(still.images)), count)
    )
    about: dict[str, Any] = {**source.about, "seed": seed, "images_sha256": still.sha256}
    if origin is not None:
        about |= {f"encoding_{key}": getattr(origin, key) for key in _KEPT}
    return replace(source, images=frames, coding=encoding, spikes=made.spikes, about=about)


def checked_frames(
    encoding: FrameEncoding,
    origin: Origin | None,
    images: NDArray[np.uint8],
    timesteps: int,
    seed: int,
    numbers: NDArray[np.int64],
) -> NDArray[np.uint8]:
    """The frames of `encoding`. Raises ImcsimError, in a plug-in's name, for what are no such frames."""
    with blamed(origin, "frames failed"):
        found = np.asarray(encoding.frames(images, timesteps, seed, numbers))
    if origin is None:
        return found
    wanted = (len(images), timesteps, *images.shape[1:])
    if found.dtype not in (np.uint8, np.bool_) or found.shape != wanted:
        message = f"frames: expected uint8 {list(wanted)}, got {found.dtype} {list(found.shape)}"
        raise origin.error(message)
    if encoding.spikes and found.size and int(found.max()) > 1:
        raise origin.error(f"frames: spikes are 0 or 1, not {int(found.max())}")
    return found.astype(np.uint8)


def encoding_origin(inputs: Inputs) -> Origin | None:
    """The plug-in whose encoding made the frames of `inputs`, as it was then; None where none did."""
    if "encoding_sha256" not in inputs.about:
        return None
    return Origin(
        "encodings", inputs.coding, *(str(inputs.about.get(f"encoding_{key}", "")) for key in _KEPT)
    )


def encoding_of(inputs: Inputs) -> str | None:
    """The encoding that made the frames of `inputs`, also of those in a trace; None where none did."""
    return None if inputs.coding in (DIRECT, "frames", "events") else inputs.coding
