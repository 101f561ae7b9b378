"""Encoding ``saccade``: at each timestep the image is seen one pixel to a side, as by an eye that moves.

The way of an image is drawn by the seed and the image's number, timestep by timestep, so that a shorter run
is the beginning of a longer one. Pixels that come in at the edge repeat the one beside them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imcsim.plugins import FrameEncoding

SHIFTS = ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0))


class Saccade(FrameEncoding):
    """Frames are pixel codes, so any network for images takes them."""

    spikes = False

    def frames(
        self, images: NDArray[np.uint8], timesteps: int, seed: int, numbers: NDArray[np.int64]
    ) -> NDArray[np.uint8]:
        padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
        height, width = images.shape[2:]
        frames = np.empty((len(images), timesteps, *images.shape[1:]), np.uint8)
        for image, number in enumerate(numbers):
            draws = np.random.default_rng([seed, int(number)])
            for t in range(timesteps):
                down, right = SHIFTS[draws.integers(len(SHIFTS))]
                frames[image, t] = padded[
                    image, :, 1 + down : 1 + down + height, 1 + right : 1 + right + width
                ]
        return frames
