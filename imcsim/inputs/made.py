"""Frames that are made when they are read: of events, or by an encoding, where all would fill memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.base.memory import budget_bytes

Frames = NDArray[np.uint8]
Make = Callable[[NDArray[np.int64], int], Frames]
"""Makes the frames of some images, by their places, for so many timesteps from the first on: ``[n, T, C, H,
W]``.
"""

MAX_MADE_BYTES = 1 << 35
"""More is never made: each of them is made twice, to be hashed and to be played."""

SHARE = 8
"""Frames that take more than this part of the memory for values are made when they are read."""


def made_later(values: int) -> bool:
    """Whether so many values are too many to be held."""
    return values > budget_bytes() // SHARE


class MadeFrames:
    """Stands for an array of frames, uint8 ``[N, T, C, H, W]``. What is read of it is an array, made then;
    but all of it, and all of it for fewer timesteps, is still made later.

    largest: the largest value, where it is known.
    """

    ndim = 5

    def __init__(self, shape: tuple[int, ...], make: Make, largest: int | None = None) -> None:
        self.dtype: np.dtype[Any] = np.dtype(np.uint8)
        self.shape, self._make, self._largest = tuple(int(n) for n in shape), make, largest

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        return self.size

    def __getitem__(self, index: Any) -> Any:
        images, *rest = index if isinstance(index, tuple) else (index,)
        times, *rest = rest or [slice(None)]
        every = isinstance(images, slice) and images.indices(len(self)) == (0, len(self), 1)
        if every and not rest and isinstance(times, slice) and not times.start and times.step is None:
            timesteps = len(range(*times.indices(self.shape[1])))
            return self if timesteps == self.shape[1] else self._shorter(timesteps)
        places = np.arange(len(self))[images]
        last = self.shape[1]
        if isinstance(times, slice) and (times.step is None or times.step > 0):
            last = max(times.indices(self.shape[1])[1], 1)
        frames = self._make(np.atleast_1d(places), last)
        if np.ndim(places) == 0:
            return frames[0][(times, *rest)]
        return frames[(slice(None), times, *rest)]

    def astype(self, dtype: Any) -> MadeFrames:
        """The same values in another type."""
        make = self._make
        other = MadeFrames(self.shape, lambda places, last: make(places, last).astype(dtype), self._largest)
        other.dtype = np.dtype(dtype)
        return other

    def _shorter(self, timesteps: int) -> MadeFrames:
        return MadeFrames((len(self), timesteps, *self.shape[2:]), self._make, self._largest)

    def __iter__(self) -> Iterator[Frames]:
        for block in self.blocks():
            yield from block

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        frames = self._make(np.arange(len(self)), self.shape[1])
        return frames if dtype is None else frames.astype(dtype)

    def blocks(self) -> Iterator[Frames]:
        """All frames, some images at a time."""
        one = max(self.size // max(len(self), 1), 1)
        some = max(budget_bytes() // (4 * SHARE) // one, 1)
        for start in range(0, len(self), some):
            yield self._make(np.arange(start, min(start + some, len(self))), self.shape[1])

    def max(self) -> int:
        return self._pass[1] if self._largest is None else self._largest

    @property
    def digests(self) -> list[bytes]:
        """A hash of each image's frames."""
        return self._pass[0]

    @property
    def sha256(self) -> Any:
        """The hash of all values, to which more may be added."""
        return self._pass[2].copy()

    @cached_property
    def _pass(self) -> tuple[list[bytes], int, Any]:
        """What is known once all frames have been made."""
        digests, largest = [], 0
        whole = hashlib.sha256(f"{list(self.shape)}\n".encode())
        for block in self.blocks():
            largest = max(largest, int(block.max(initial=0)))
            for image in block:
                whole.update(np.ascontiguousarray(image).data)
                digests.append(image_digest(image))
        return digests, largest, whole


def image_digest(image: Frames) -> bytes:
    """A hash of the values of one image."""
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()


def image_digests(images: Any) -> list[bytes]:
    """Those of all images, in order."""
    return images.digests if isinstance(images, MadeFrames) else [image_digest(image) for image in images]
