"""What is wrong with real cells, wires and converters, as the values of a chip see it.

Conductances are in cell levels: a cell at level l of 0 .. L conducts ``l + off_level``, and ``off_level`` is
what a cell at level 0 conducts. From a programmed level to a code, in this order: stuck cells (stuck.py), a
model of a plug-in (cell_errors.py), programming variation (variation.py), drift (drift.py), wires
(ir_drop.py), read noise (read_noise.py), the current of the reference column taken off (on_off.py), and the
converter's gain, offset and noise (converter.py). `programming.programmed` goes from levels to cells.

A chip is one draw of all this: `seed` and `chip` say which. A layer of which the chip holds several copies
has the same cells in each of them; on a real chip every copy would have its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from imcsim.base.nonideal import ConverterErrors, Drift, Stuck, Variation, Wires
from imcsim.functional.nonideal.cell_errors import PluggedCells


@dataclass(frozen=True)
class DrawnChip:
    """One chip with its errors. None takes the place of a `DrawnChip` whose magnitudes are all 0.

    Args:
        seed: of all draws.
        chip: the number of this chip among those that `seed` draws.
        largest_level: of a cell.
        columns: of a crossbar, without its reference column.
        columns_per_adc: that share a converter.
        off_level: what a cell at level 0 conducts, in levels; 0 where it conducts nothing.
        level_siemens: the conductance of one level, 0 where it plays no part.
        reference_column: whether a column of cells at level 0 is taken off the others.
        read_noise: standard deviation of a cell's conductance from read to read, over its mean.
        variation, stuck, drift, wires, converter: as the section ``nonideal`` of a chip declares them.
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
    wires: Wires = field(default_factory=Wires)
    converter: ConverterErrors = field(default_factory=ConverterErrors)
    neurons_recalibrated: bool = False
    """Whether neurons are set anew for the currents of this very chip; see functional.recalibration."""
    encoder_kept: bool = False
    """Whether a layer that reads the image does so once, and not at each timestep with other noise."""

    cell_errors: PluggedCells | None = None
    """A model of a plug-in that cells are programmed by; None for none."""

    @property
    def calibrated_itself(self) -> bool:
        """Whether ADC scales are set on this very chip, not on the one that it was to be."""
        return self.converter.calibrated_on == "chip"

    @property
    def sigmas(self) -> tuple[float, ...]:
        """Spread of programmed conductances over their mean, for each level."""
        return self.variation.sigmas(self.largest_level + 1)

    def designed(self) -> DrawnChip | None:
        """The chip that this one was to be; None where that is an ideal one.

        The current of cells at level 0 is no error where nothing takes it off: ADCs must be made for it.
        """
        if self.referenced or not self.off_level:
            return None
        return DrawnChip(
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
