"""The contract of encodings of inputs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imcsim.base.plugins import Origin
from imcsim.inputs.encoding import FrameEncoding
from imcsim.inputs.encodings import checked_frames
from imcsim.plugins.contracts.finding import Finding, findings, hold

SEEDS = (0, 7, 2**63 - 1)
OWN = Origin("encodings", "own", "imcsim", "", "")


def encoding_contract(encoding: FrameEncoding, origin: Origin | None) -> list[Finding]:
    """What every encoding keeps; origin: of a plug-in's."""
    images = np.random.default_rng(3).integers(0, 256, (5, 2, 6, 4)).astype(np.uint8)
    images[0], images[1] = 0, 255
    numbers = np.arange(5)

    def asked(
        some: NDArray[np.uint8], timesteps: int, seed: int, which: NDArray[np.int64]
    ) -> NDArray[np.uint8]:
        return checked_frames(encoding, origin or OWN, some, timesteps, seed, which)

    def gives_frames() -> None:
        """Each image has a frame for each timestep, of its own shape; spikes are 0 or 1."""
        for seed in SEEDS:
            for timesteps in (1, 4, 16):
                asked(images, timesteps, seed, numbers)

    def repeats() -> None:
        """The same seed gives the same frames, and images are left as they are."""
        before = images.copy()
        for seed in SEEDS:
            first, second = asked(images, 4, seed, numbers), asked(images, 4, seed, numbers)
            hold(np.array_equal(first, second), f"two calls with seed {seed} differ")
        hold(np.array_equal(before, images), "the images were changed")

    def begins_alike() -> None:
        """A shorter run is the beginning of a longer one."""
        for seed in SEEDS:
            long, short = asked(images, 8, seed, numbers), asked(images, 3, seed, numbers)
            hold(np.array_equal(long[:, :3], short), "the first 3 of 8 timesteps are not those of 3")

    def images_are_apart() -> None:
        """The frames of an image follow from it and its number, whatever other images there are."""
        whole = asked(images, 4, 7, numbers)
        alone = asked(images[3:], 4, 7, numbers[3:])
        hold(np.array_equal(whole[3:], alone), "images 3 and 4 alone have other frames than among others")

    return findings((gives_frames, repeats, begins_alike, images_are_apart), origin)
