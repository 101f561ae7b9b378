"""Errors of the ADCs: each has an offset and a gain of its own, and each conversion has noise.

A column's sum s (in levels) becomes the code

``min(max(floor(gain s / step + offset + noise + 1/2), 0), largest)``

with ``gain = 1 + gain_sigma z`` and ``offset = offset_lsb z`` for each ADC, and ``noise = noise_lsb z`` for
each conversion, offset and noise in steps of the converter. Columns that share an ADC share its offset and
gain. A converter knows no negative numbers: a sum below 0, as a reference column can leave, gives code 0. A
read that drives no row gives code 0 as well, offset and noise or not: its codes are not taken. Source of the
static errors: IEEE Std 1241-2010, terminology and test methods for ADCs. Without errors the code is that of
an ideal converter, to the bit, for sums below 2^23.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imcsim.functional.nonideal import DrawnChip
from imcsim.functional.nonideal.columns import lay_columns
from imcsim.functional.nonideal.draws import Purpose, generator


def adc_errors(
    crossbars: int, slices: int, channels: int, chip: DrawnChip, layer: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Gain, and offset in steps, of each column in each of the crossbars that the rows fill, float32
    ``[crossbars, slices * Cout]``.

    Exactly 1 and 0 where the chip's converters have no such errors.
    """
    columns = lay_columns(slices, channels, chip.columns, chip.columns_per_adc)

    def drawn(purpose: Purpose, sigma: float) -> NDArray[np.float64]:
        each = generator(chip.seed, chip.chip, layer, purpose).standard_normal(
            (crossbars, columns.crossbars, columns.adcs)
        )
        return sigma * each[:, columns.crossbar, columns.adc]

    gain = 1 + drawn(Purpose.ADC_GAIN, chip.converter.gain_sigma)
    offset = drawn(Purpose.ADC_OFFSET, chip.converter.offset_lsb)
    return gain.astype(np.float32), offset.astype(np.float32)


def noise_steps(
    squares: NDArray[np.float32], scale: NDArray[np.float32], read_noise: float, noise_lsb: float
) -> NDArray[np.float32]:
    """Standard deviation of a conversion in steps: the cells' noise through the gain, and the converter's.

    squares: `Cells.squares`, summed over the driven rows. scale: steps that a level makes, ``gain / step``.
    """
    cells = np.float32(read_noise) * scale
    steps: NDArray[np.float32] = np.sqrt(squares * (cells * cells) + np.float32(noise_lsb) ** 2)
    return steps


def codes(
    sums: NDArray[np.float32],
    scale: NDArray[np.float32],
    offset: NDArray[np.float32],
    noise: NDArray[np.float32] | float,
    largest: int,
) -> NDArray[np.int64]:
    """Codes of column sums, in the order of operations that kernels keep to; noise in steps.

    scale is ``gain * 2**-shift``; all float32, and every sum and product is rounded to float32.
    """
    found = sums * scale + (offset + np.float32(0.5)) + np.asarray(noise, np.float32)
    code: NDArray[np.int64] = np.clip(np.floor(found), 0, largest).astype(np.int64)
    return code
