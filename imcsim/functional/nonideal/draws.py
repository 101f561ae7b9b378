"""Random numbers of a chip that are drawn once, when it is programmed.

Each draw has a stream of its own, keyed by seed, chip, layer and purpose: it does not depend on what else was
drawn, in which order, or by which process. Magnitudes are no part of the key, so a chip whose sigma is larger
has the same cells, only worse. Philox is a counter-based generator (Salmon et al., "Parallel random numbers:
as easy as 1, 2, 3", SC 2011).
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What is drawn. The numbers are part of the keys: never give one to something else."""

    STUCK = 0
    VARIATION = 1
    DRIFT = 2
    REFERENCE_STUCK = 3
    REFERENCE_VARIATION = 4
    REFERENCE_DRIFT = 5
    ADC_OFFSET = 6
    ADC_GAIN = 7
    READS = 8
    PLUGGED = 9
    REFERENCE_PLUGGED = 10


def sequence(seed: int, chip: int, layer: int, purpose: Purpose) -> np.random.SeedSequence:
    """The key of one stream; all at least 0."""
    return np.random.SeedSequence(seed, spawn_key=(chip, layer, int(purpose)))


def generator(seed: int, chip: int, layer: int, purpose: Purpose) -> np.random.Generator:
    """One stream of random numbers, from its beginning."""
    return np.random.Generator(np.random.Philox(sequence(seed, chip, layer, purpose)))
