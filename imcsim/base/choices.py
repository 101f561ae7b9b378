"""Names of alternatives, a unit and a bound that several floors share."""

from __future__ import annotations

from typing import Literal

Encoding = Literal["offset", "differential", "twos_complement"]
"""How a signed weight is held in cells; see network.cells."""

RowOrder = Literal["im2col", "kernel_position"]
"""How a layer's rows are laid over crossbars; see network.rows."""

GroupedLayers = Literal["dense", "diagonal"]
"""How depthwise and grouped convolutions are laid over crossbars; see network.rows."""

NocTopology = Literal["mesh", "ring", "tree", "concentrated_mesh"]
"""How the tiles of a chip are joined."""

InputDrive = Literal["bits", "pulses", "levels"]
"""How a value of several bits drives its row: a read, with conversions, for each bit; or one read with one
conversion, in which the row is driven for as many clock cycles as the value says, or by as large a voltage.
See functional.crossbars.
"""

FULL_INPUT = 255
"""Parts of the largest input in which levels are counted that inputs drive by their voltage."""

FullScale = Literal["ideal", "calibrated"]
"""What the ADC's range covers; see functional.numerics."""

InputEncoding = str
"""How images enter, by name: ``direct``, the same pixels at every timestep; ``rate``, as random spikes; or an
encoding of a plug-in. See inputs.encodings.
"""
INPUT_ENCODINGS = ("direct", "rate")
"""Those that come with imcsim."""

Distribution = Literal["normal", "lognormal"]
"""How conductances spread around what was to be programmed; see functional.nonideal.variation."""

InactiveRows = Literal["grounded", "gated"]
"""What rows that are not driven are to wires; see functional.nonideal.ir_drop."""

CalibratedOn = Literal["ideal", "chip"]
"""Which chip calibration images are run on, to set ADC scales: as it was to be, or with its errors."""

Rule = str
"""An exit rule by name: one of ours, or one of a plug-in. See exits."""
EXIT_RULES = ("entropy", "max_softmax", "margin")
"""Those that come with imcsim."""

Accumulation = Literal["mean", "sum"]
"""How the checker combines timesteps; see exits.outputs."""

Thresholds = Literal["one", "each"]
"""Whether one threshold is chosen for all timesteps, or one for each; see studies.thresholds."""

Temperatures = Literal["one", "each"]
"""Whether the checker takes its outputs as they are, or divided by a temperature for each timestep; see
studies.temperatures.
"""

Fidelity = Literal["reference", "burst"]
"""How finely time is played; both agree to the cycle. See timing."""

MAX_TIMESTEPS = 4096
"""The largest T of a network, of inputs with a frame for each timestep, and of a run."""

LEVEL_FRACTION_BITS = 12
"""Fraction bits of the levels that the energy of cells with errors is counted in."""

ErrorModel = Literal["python", "numpy"]
"""What a kernel does with a division by zero: raise as Python does, or give an infinity as numpy does."""
