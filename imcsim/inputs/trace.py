"""The file of a recorded trace: frames and spikes as packed bits, and where they come from.

An ``.npz`` with ``trace`` (the version, 1), ``about`` (JSON), ``labels`` (integers, one per image),
``frames`` and ``spikes_0``, ``spikes_1``, ... (one for each recorded layer). Bits are packed with
``numpy.packbits`` over the last axis, which runs over channels, rows and columns of a map: ``frames`` is
uint8 ``[images, frames, bits, bytes]``, bit 0 of the values first, ``spikes_k`` ``[images, timesteps,
bytes]``, or ``[images, timesteps, bits, bytes]`` of a layer whose neurons may fire several times per
timestep: ``about`` gives its ``bits``. ``about`` holds the shapes. Images that enter alike at every
timestep are stored once: frames is 1.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from imcsim.base.choices import MAX_TIMESTEPS
from imcsim.base.errors import ImcsimError
from imcsim.base.plurals import counted
from imcsim.inputs.data import (
    CALIBRATION_IMAGES,
    MAX_CLASSES,
    SPLITS,
    Inputs,
    check_count,
    check_labels,
    check_room,
    fingerprint,
)
from imcsim.network.arrays import read_npz

TRACE = "trace"
VERSION = 1
MAX_ABOUT = 1 << 20
CODING = re.compile(r"[a-z][a-z0-9_]{0,63}")
_AGAIN = "record it again with imcsim trace record"
_CHUNK = 64

Bits = NDArray[np.uint8]
Shape = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Trace:
    """A trace as read. `about` holds everything that is neither a frame nor a spike.

    name, split, classes, sha256: of the inputs that were played. coding: how they entered (``direct``,
    ``frames``, ``events``, or by an encoding such as ``rate``). timesteps: how many were recorded;
    bits: of a value.
    """

    path: Path
    about: Mapping[str, Any]
    labels: NDArray[np.int64]
    packed: Bits
    lead: Bits | None

    @property
    def timesteps(self) -> int:
        return int(self.about["timesteps"])

    @property
    def bits(self) -> int:
        return int(self.about["bits"])

    @property
    def stored_frames(self) -> int:
        """Frames in the file: 1 where images enter alike at every timestep."""
        return int(self.packed.shape[1])

    @property
    def shape(self) -> Shape:
        return cast(Shape, tuple(self.about["shape"]))

    @property
    def frames(self) -> Bits:
        """What entered the chip, uint8 ``[images, timesteps, channels, height, width]``."""
        frames = unpack_values(self.packed, self.shape)
        return np.broadcast_to(frames, (len(frames), self.timesteps, *self.shape))

    @property
    def spikes(self) -> Mapping[str, Bits]:
        """Spikes of each recorded layer, 0 or 1 or how many, uint8 ``[images, timesteps, channels, height,
        width]``; each is read from the file when it is asked for.
        """
        return _Spikes(self)

    def packed_spikes(self, layer: str) -> Bits:
        """Bits of a layer as stored. Raises KeyError for a layer that was not recorded."""
        names = [entry["name"] for entry in self.about["layers"]]
        if layer not in names:
            raise KeyError(layer)
        index = names.index(layer)
        entry = self.about["layers"][index]
        key, shape, planes = f"spikes_{index}", tuple(entry["shape"]), entry.get("bits", 1)
        stored = read_npz(self.path, wanted=lambda name: name == key)
        if key not in stored:
            raise ImcsimError(f"it holds no array {key!r}", file=self.path, fix=_AGAIN)
        bits = stored[key]
        several = (planes,) if planes > 1 else ()
        wanted = (len(self.packed), self.timesteps, *several, -(-math.prod(shape) // 8))
        if bits.dtype != np.uint8 or bits.shape != wanted:
            raise ImcsimError(
                f"must be uint8 {list(wanted)}, not {bits.dtype} {list(bits.shape)}",
                file=self.path,
                key=key,
                fix=_AGAIN,
            )
        return bits


class _Spikes(Mapping[str, Bits]):
    def __init__(self, trace: Trace) -> None:
        self._trace = trace

    def __getitem__(self, layer: str) -> Bits:
        packed = self._trace.packed_spikes(layer)
        shape = tuple(next(e["shape"] for e in self._trace.about["layers"] if e["name"] == layer))
        check_room(self._trace.path, packed.size * 8, f"the spikes of {layer}")
        if packed.ndim == 4:
            return unpack_values(packed, shape)
        flat = np.unpackbits(packed, axis=-1, count=math.prod(shape))
        return flat.reshape(*packed.shape[:2], *shape)

    def __contains__(self, layer: object) -> bool:
        return layer in list(self)

    def __iter__(self) -> Iterator[str]:
        return (entry["name"] for entry in self._trace.about["layers"])

    def __len__(self) -> int:
        return len(self._trace.about["layers"])


def pack_values(values: Bits, bits: int) -> Bits:
    """Values uint8 ``[N, T, C, H, W]`` below ``2**bits`` as packed planes ``[N, T, bits, bytes]``."""
    flat = values.reshape(*values.shape[:2], 1, -1)
    planes = (flat >> np.arange(bits, dtype=np.uint8)[:, None]) & 1
    return np.packbits(planes, axis=-1)


def unpack_values(packed: Bits, shape: Shape) -> Bits:
    """The values behind packed planes ``[N, T, bits, bytes]``, some images at a time."""
    images, frames, bits, _ = packed.shape
    values = np.zeros((images, frames, math.prod(shape)), np.uint8)
    for start in range(0, images, _CHUNK):
        at = slice(start, start + _CHUNK)
        for plane in range(bits):
            found = np.unpackbits(packed[at, :, plane], axis=-1, count=math.prod(shape))
            values[at] |= found << np.uint8(plane)
    return values.reshape(images, frames, *shape)


def load_trace(path: str | Path) -> Trace:
    """Read a trace; spikes of layers stay in the file until they are asked for.

    Raises ImcsimError for a file that is none, or that does not fit together.
    """
    path = Path(path)
    stored = read_npz(path, wanted=lambda name: not name.startswith("spikes_"))
    for key in (TRACE, "about", "labels", "frames"):
        if key not in stored:
            raise ImcsimError(f"this is no trace: it holds no array {key!r}", file=path, fix=_AGAIN)
    version = stored[TRACE]
    if version.ndim != 0 or version.dtype.kind not in "iu" or int(version) != VERSION:
        raise ImcsimError(f"traces of version {VERSION} are read", file=path, key=TRACE, fix=_AGAIN)
    about = _about(path, stored["about"])
    packed = _planes(path, "frames", stored["frames"], about)
    timesteps, frames = about["timesteps"], packed.shape[1]
    if frames != (1 if about["coding"] == "direct" else timesteps):
        raise ImcsimError(
            f"it holds {counted(frames, 'frame')} for {counted(timesteps, 'timestep')}",
            file=path,
            key="frames",
            fix=_AGAIN,
        )
    labels = stored["labels"]
    if labels.size or labels.ndim != 1:
        labels = check_labels(path, labels, len(packed), about["classes"])
    lead = None
    if "lead" in stored:
        lead = _planes(path, "lead", stored["lead"], about)
        if len(lead) > CALIBRATION_IMAGES:
            raise ImcsimError("it holds too many images", file=path, key="lead", fix=_AGAIN)
    return Trace(path, about, labels.astype(np.int64), packed, lead)


def read_about(path: Path) -> dict[str, Any]:
    """The description of a trace alone. Raises ImcsimError as `load_trace` does."""
    stored = read_npz(path, wanted=lambda name: name == "about")
    if "about" not in stored:
        raise ImcsimError("this is no trace: it holds no array 'about'", file=path, fix=_AGAIN)
    return _about(path, stored["about"])


def play_back(trace: Trace, limit: int | None, *, labelled: bool) -> Inputs:
    """The inputs that were recorded: same values, name, split and hash."""
    if labelled and not len(trace.labels):
        raise ImcsimError("it was recorded without labels", file=trace.path, fix="record labelled inputs")
    about, count = trace.about, check_count(trace.path, limit, len(trace.packed))
    images = unpack_values(trace.packed[:count], trace.shape)
    if about["coding"] == "direct":
        images = images[:, 0]
    images, labels = np.ascontiguousarray(images), trace.labels[:count]
    sha256 = fingerprint(images, labels)
    if count == len(trace.packed) and sha256 != about["sha256"]:
        raise ImcsimError("its frames or labels are not those recorded", file=trace.path, fix=_AGAIN)
    lead = None if trace.lead is None else unpack_values(trace.lead[:count], trace.shape)
    return Inputs(
        images, labels, about["name"], about["split"], sha256, about["classes"], about["coding"],
        about["spikes"], dict(about["inputs"]), lead, dict(about),
    )  # fmt: skip


def _planes(path: Path, key: str, packed: NDArray[Any], about: dict[str, Any]) -> Bits:
    size = math.prod(about["shape"])
    wanted = (about["bits"], -(-size // 8))
    if packed.dtype != np.uint8 or packed.ndim != 4 or packed.shape[2:] != wanted or 0 in packed.shape:
        raise ImcsimError(
            f"must be uint8 [images, frames, {wanted[0]}, {wanted[1]}], not {packed.dtype} "
            f"{list(packed.shape)}",
            file=path,
            key=key,
            fix=_AGAIN,
        )
    check_room(path, packed.shape[0] * packed.shape[1] * size, "the frames")
    return packed


def _about(path: Path, text: NDArray[Any]) -> dict[str, Any]:
    """The description, with everything in it that is used checked."""
    if text.ndim != 0 or text.dtype.kind != "U" or text.dtype.itemsize > 4 * MAX_ABOUT:
        raise ImcsimError("must be a text", file=path, key="about", fix=_AGAIN)
    codes = text.astype(text.dtype.newbyteorder("=")).reshape(1).view(np.uint32)
    try:  # NumPy makes strings of numbers that are no characters, over which Python's own parser falls
        about = json.loads(str(text)) if (codes <= sys.maxunicode).all() else None
        sound = _sound(about)
    except (ValueError, RecursionError, KeyError, TypeError):
        sound = False
    if not sound:
        raise ImcsimError("the description is broken", file=path, key="about", fix=_AGAIN)
    return cast(dict[str, Any], about)


def _sound(about: Any) -> bool:
    def whole(value: Any, low: int, high: int) -> bool:
        return type(value) is int and low <= value <= high

    def shape(value: Any) -> bool:
        return isinstance(value, list) and len(value) == 3 and all(whole(n, 1, 1 << 24) for n in value)

    def text(value: Any, longest: int = 1000) -> bool:
        return isinstance(value, str) and len(value) <= longest

    layers = about["layers"]
    names = [layer["name"] for layer in layers]
    sources = [about["network"], about["hardware"], about["inputs"]]
    return (
        shape(about["shape"])
        and whole(about["bits"], 1, 8)
        and whole(about["timesteps"], 1, MAX_TIMESTEPS)
        and CODING.fullmatch(about["coding"]) is not None
        and about["split"] in SPLITS
        and (about["classes"] is None or whole(about["classes"], 2, MAX_CLASSES))
        and type(about["spikes"]) is bool
        and type(about["ideal"]) is bool
        and all(text(about[key]) for key in ("name", "sha256"))
        and all(isinstance(source, dict) for source in sources)
        and all(text(v) or v is None or type(v) is int for source in sources for v in source.values())
        and all(
            shape(layer["shape"]) and text(layer["name"], 64) and whole(layer.get("bits", 1), 1, 8)
            for layer in layers
        )
        and len(set(names)) == len(names)
        and (about["validation"] is None or text(about["validation"]))
    )
