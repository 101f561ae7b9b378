"""Rate encoding: a pixel spikes at each timestep with a probability that is its brightness.

Pixel code p of 255 spikes with probability p / 255 in each timestep, independently of all others (Bernoulli
draws: a Poisson process seen through timesteps, at most one spike in each). The draws of an image at a
timestep come from a counter-based generator (Philox 4x64, Salmon et al., SC 2011) whose key is the seed and
whose counter starts at (image, timestep), so they depend on nothing else: a shorter run is the beginning of
a longer one, and neither the number of images nor that of workers changes an image's spikes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imcsim.inputs.encoding import FrameEncoding

LARGEST_CODE = 255


def rate_encode(
    images: NDArray[np.uint8], timesteps: int, seed: int, indices: NDArray[np.int64] | None = None
) -> NDArray[np.uint8]:
    """Spikes 0 or 1, uint8 ``[N, T, C, H, W]``, for images uint8 ``[N, C, H, W]``.

    `indices` are the positions of the images in their set (0, 1, .. by default); `seed` lies in 0 to 2**64-1.
    """
    numbers = np.arange(len(images)) if indices is None else indices
    spikes = np.empty((len(images), timesteps, *images.shape[1:]), np.uint8)
    for image, number, out in zip(images, numbers, spikes, strict=True):
        flat = image.reshape(-1)
        for t in range(timesteps):
            # (word * 255) >> 32 is uniform over 0 .. 254, so it lies below p with probability p / 255.
            draws = _words(seed, int(number), t, flat.size).astype(np.uint64) * LARGEST_CODE >> 32
            out[t] = (draws < flat).reshape(image.shape)
    return spikes


class RateEncoding(FrameEncoding):
    """The encoding ``rate``."""

    def frames(
        self, images: NDArray[np.uint8], timesteps: int, seed: int, numbers: NDArray[np.int64]
    ) -> NDArray[np.uint8]:
        return rate_encode(images, timesteps, seed, numbers)


def _words(seed: int, image: int, timestep: int, count: int) -> NDArray[np.uint32]:
    """`count` words of 32 random bits."""
    key, counter = np.array([seed, 0], np.uint64), np.array([0, 0, timestep, image], np.uint64)
    generator = np.random.Philox(key=key, counter=counter)
    raw = np.asarray(generator.random_raw((count + 1) // 2), "<u8")
    return raw.view("<u4")[:count]
