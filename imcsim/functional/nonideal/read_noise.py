"""Noise that is drawn anew at each read: the cells' and the converter's.

Each cell's conductance differs from read to read by ``sigma G z``, independently of the other cells. IBM's
aihwkit (released code) calls for short-term noise of about 1 % of the largest weight, the same for all cells,
with the RRAM of Wan et al., "A compute-in-memory chip based on resistive random-access memory", Nature 608,
2022. A column's current, of driven cells with conductances G_i, then has the standard deviation ``sigma
sqrt(sum_i G_i^2)``, so one draw for each conversion does for all of its cells. The converter's own noise is
independent of it, and both are one draw (converter.noise_steps).

A draw belongs to a conversion, not to an order: it is computed from seed, chip, layer, image, timestep, input
bit, output position, block and column. So it does not depend on how images are spread over processes.

- `layer_key`, `moment_key` and `read_key` lead to a 64-bit key of one read (a block, driven once): outputs of
  SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
- `words` makes a 32-bit word for each column of it: a Weyl sequence through a mixing function of two
  multiplications (constants: Wellons, "Prospecting for hash functions", 2018), with the key's other half
  between the rounds.
- `gaussian` adds up three fields of ten bits, and an odd polynomial straightens the tails: Teichroew's method
  (Knuth, "The Art of Computer Programming", volume 2, 3.4.1, for twelve uniform numbers). Mean 0, standard
  deviation 1, kurtosis 2.999; the distribution is within 0.0008 of the normal one, and ends at 4.3.

Kernels compute the same to the bit: 32-bit words that wrap around, single-precision products and sums in the
order that is written here, none of them fused.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.functional.nonideal.draws import Purpose, sequence

Words = NDArray[np.uint64]

GOLDEN_64 = 0x9E3779B97F4A7C15
MIX_64 = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
GOLDEN_32 = 0x9E3779B9
MIX_32 = (0x21F0AAAD, 0x735A2D97)

FIELD = 1023
"""A field of ten bits."""

CENTRE = 3 * FIELD
"""Three fields add up to this on average, doubled."""

SCALE = 2.0**-10
"""The doubled sum less `CENTRE`, times this, has the standard deviation 1."""

ODD = (0.9428533, 0.0286024, -0.0070919, 0.0011346)
"""Polynomial in the scaled sum: what goes with its powers 1, 3, 5 and 7. Fitted by least squares to the
normal quantiles of the sums' distribution, and scaled to a variance of 1.
"""

MOST_PLANES = 64
"""More input bits than any layer has: they and the timestep are one counter."""


def layer_key(seed: int, chip: int, layer: int) -> int:
    """Key of the reads of one layer, 64 bits."""
    return int(sequence(seed, chip, layer, Purpose.READS).generate_state(1, np.uint64)[0])


def moment_key(layer: int | Words, image: Any, timestep: Any, plane: Any) -> Words:
    """Key of one input bit of one image at one timestep, uint64. `layer` is a `layer_key`."""
    return _split(_split(layer, image), _word(timestep) * np.uint64(MOST_PLANES) + _word(plane))


def read_key(moment: int | Words, position: Any, block: Any, blocks: int) -> Words:
    """Key of the read of one block of `blocks` at one output position (rows first), uint64."""
    return _split(moment, _word(position) * np.uint64(blocks) + _word(block))


def words(read: int | Words, columns: Any) -> NDArray[np.uint32]:
    """A word for each of `columns` (their numbers in the layer) of a read, or of each of several."""
    key = _word(read)
    low = (key & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    high = (key >> np.uint64(32)).astype(np.uint32)
    word = low + np.atleast_1d(columns).astype(np.uint32) * np.uint32(GOLDEN_32)
    word ^= word >> np.uint32(16)
    word *= np.uint32(MIX_32[0])
    word = word ^ high
    word ^= word >> np.uint32(15)
    word *= np.uint32(MIX_32[1])
    word ^= word >> np.uint32(15)
    return word


def gaussian(word: NDArray[np.uint32]) -> NDArray[np.float32]:
    """A standard normal number from each word, float32."""
    field = np.uint32(FIELD)
    total = (word & field) + ((word >> np.uint32(11)) & field) + (word >> np.uint32(22))
    x = (2 * total.astype(np.int32) - np.int32(CENTRE)).astype(np.float32) * np.float32(SCALE)
    square = x * x
    one, three, five, seven = (np.float32(c) for c in ODD)
    z: NDArray[np.float32] = x * (one + square * (three + square * (five + square * seven)))
    return z


def _split(state: int | Words, index: Any) -> Words:
    """Output number `index` of the SplitMix64 generator that begins at `state`."""
    z: Words = _word(state) + (_word(index) + np.uint64(1)) * np.uint64(GOLDEN_64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(MIX_64[0])
    z = (z ^ (z >> np.uint64(27))) * np.uint64(MIX_64[1])
    return z ^ (z >> np.uint64(31))


def _word(value: Any) -> Words:
    """At least one dimension: numpy warns when single numbers wrap around."""
    return np.atleast_1d(value).astype(np.uint64)
