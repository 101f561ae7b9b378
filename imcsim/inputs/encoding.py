"""How still images become frames: what an encoding of inputs is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray


class FrameEncoding(ABC):
    """Turns still images into a frame for each timestep.

    The frames of an image follow from its pixels, the seed and the image's number alone: neither from the
    other images nor from how many timesteps are asked for, so that a shorter run is the beginning of a longer
    one, and a run of some of the images shows what a run of all of them does.
    """

    spikes: ClassVar[bool] = True
    """Whether the values are spikes, 0 or 1; else pixel codes of 0 to 255."""

    @abstractmethod
    def frames(
        self, images: NDArray[np.uint8], timesteps: int, seed: int, numbers: NDArray[np.int64]
    ) -> NDArray[np.uint8]:
        """Frames, uint8 ``[N, T, C, H, W]``: of spikes 0 and 1, or of pixel codes.

        Args:
            images: The still images, uint8 ``[N, C, H, W]``.
            timesteps: T, how many frames are made of each.
            seed: Of all random draws, 0 to 2**64 - 1.
            numbers: The positions of the images in their set, int64 ``[N]``.
        """
