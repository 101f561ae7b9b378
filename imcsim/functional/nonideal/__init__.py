"""What is wrong with real cells, wires and converters, as the values of a chip see it.

Conductances are in cell levels: a cell at level l of 0 .. L conducts ``l + off_level``, and ``off_level`` is
what a cell at level 0 conducts. From a programmed level to a code, in this order: stuck cells (stuck.py),
programming variation (variation.py), drift (drift.py), wires (ir_drop.py), read noise (read_noise.py), the
current of the reference column taken off (on_off.py), and the converter's gain, offset and noise
(converter.py). `programming.programmed` goes from levels to cells.

A chip is one draw of all this: `seed` and `chip` say which. A layer of which the chip holds several copies
has the same cells in each of them; on a real chip every copy would have its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from imcsim.base.choices import Distribution
from imcsim.functional.nonideal.ir_drop import Circuit


@dataclass(frozen=True)
class Variation:
    """Spread of programmed conductances. sigma: standard deviation over mean, one for each level, or none."""

    kind: Distribution = "lognormal"
    sigma: tuple[float, ...] = ()


@dataclass(frozen=True)
class Stuck:
    """Fractions of cells that are stuck at the largest and at the smallest conductance."""

    on_rate: float = 0.0
    off_rate: float = 0.0


@dataclass(frozen=True)
class Drift:
    """Power law with an exponent for each cell, `time_s` after programming; see drift.py."""

    exponent: float = 0.0
    exponent_sigma: float = 0.0
    time_s: float = 1.0
    reference_time_s: float = 1.0


@dataclass(frozen=True)
class ConverterErrors:
    """Spread of offsets (in converter steps) and gains over ADCs, and noise of a conversion (in steps)."""

    offset_lsb: float = 0.0
    gain_sigma: float = 0.0
    noise_lsb: float = 0.0


@dataclass(frozen=True)
class NonIdeal:
    """One chip with its errors. None takes the place of a `NonIdeal` whose magnitudes are all 0.

    columns: of a crossbar, without its reference column. off_level: 0 where cells at level 0 conduct nothing.
    level_siemens: the conductance of one level, 0 where it plays no part. read_noise: standard deviation of a
    cell's conductance from read to read, over its mean.
    """

    seed: int
    chip: int
    largest_level: int
    columns: int
    columns_per_adc: int
    off_level: float = 0.0
    level_siemens: float = 0.0
    reference_column: bool = True
    variation: Variation = field(default_factory=Variation)
    stuck: Stuck = field(default_factory=Stuck)
    drift: Drift = field(default_factory=Drift)
    read_noise: float = 0.0
    wires: Circuit = field(default_factory=Circuit)
    converter: ConverterErrors = field(default_factory=ConverterErrors)
    calibrated_itself: bool = False
    """Whether ADC scales are set on this very chip, not on the one that it was to be."""
    neurons_recalibrated: bool = False
    """Whether neurons are set anew for the currents of this very chip; see functional.recalibration."""
    encoder_kept: bool = False
    """Whether a layer that reads the image does so once, and not at each timestep with other noise."""

    def designed(self) -> NonIdeal | None:
        """The chip that this one was to be; None where that is an ideal one.

        The current of cells at level 0 is no error where nothing takes it off: ADCs must be made for it.
        """
        if self.referenced or not self.off_level:
            return None
        return NonIdeal(
            self.seed, self.chip, self.largest_level, self.columns, self.columns_per_adc, self.off_level,
            reference_column=False,
        )  # fmt: skip

    @property
    def referenced(self) -> bool:
        """Whether crossbars have a reference column whose current is taken off."""
        return self.reference_column and self.off_level > 0

    @property
    def noisy(self) -> bool:
        """Whether two reads of the same cells differ."""
        return self.read_noise > 0 or self.converter.noise_lsb > 0
