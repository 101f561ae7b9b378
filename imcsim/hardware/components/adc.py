"""ADC: energy, area and time of one conversion, from a named preset.

A preset is one converter: its energy, area and conversion time come from one source, which speaks for some
bits, rates and nodes. Published converters of equal bits at one node differ by more than ten times, so a
config lists several and names the one in use; reports show what the others would change. A preset's figures
are given, or say ``estimate`` and follow its `model` over bits, rate and node (estimators.adc has the rules).
The cycles of a conversion follow from its time and the clock.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from imcsim.base.choices import FullScale
from imcsim.base.names import suggestion
from imcsim.hardware.component import ESTIMATE, Block, ChipSize, Component, Count, Figure, Positive
from imcsim.hardware.estimators import adc
from imcsim.hardware.estimators.estimate import Estimate
from imcsim.hardware.estimators.figures import figures
from imcsim.hardware.events import Event
from imcsim.hardware.explain import RefusedPart, RefusedValue

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig

_KINDS = {
    "survey_fit": ("sar", "flash"),
    "neurosim": ("sar", "flash", "sense"),
    "isaac": ("sar",),
    "kull": ("sar",),
}
_CLOSE = 1e-6
_Range = Annotated[list[float], Field(min_length=2, max_length=2)]


class AdcPreset(Block):
    """One converter: successive approximation (``sar``), ``flash``, or a sense amplifier (``sense``), which
    decides one bit at once or several with a ramp.

    `model` says which rule computes the figures that say ``estimate``; ``given`` computes none.
    ``survey_fit`` takes the rate from `conversion_time_ns`; where that says ``estimate``, it is as fast as to
    convert the columns of a read while the next one is made.
    """

    kind: Literal["sar", "flash", "sense"]
    model: Literal["given", "survey_fit", "neurosim", "isaac", "kull"]
    conversion_energy_pj: Figure
    converter_area_um2: Figure
    conversion_time_ns: Positive | Literal["estimate"]
    effective_bits: Positive | None = None
    """Of the converter as measured; without it what converters of its bits usually have."""
    for_bits: _Range | None = None
    """Bits for which the source speaks, from and to; a model knows its own."""
    for_rates_mhz: _Range | None = None
    """Conversions per microsecond for which the source speaks, from and to; a model knows its own."""
    for_nodes_nm: _Range | None = None
    """Nodes for which the source speaks, from and to; a model knows its own."""

    @model_validator(mode="after")
    def _has_a_model(self) -> AdcPreset:
        figure_keys = (self.conversion_energy_pj, self.converter_area_um2, self.conversion_time_ns)
        if self.model == "given":
            if ESTIMATE in figure_keys:
                raise ValueError("model given needs all figures as numbers; other models may say estimate")
        elif self.kind not in _KINDS[self.model]:
            raise ValueError(f"model {self.model} is a {' or '.join(_KINDS[self.model])} converter")
        return self

    def estimates(self, chip: HardwareConfig) -> Mapping[str, Estimate]:
        found = self._conversion(chip)
        if found is None:
            return {}
        return {
            "conversion_energy_pj": found.cost.energy,
            "converter_area_um2": found.cost.area,
            "conversion_time_ns": found.time,
        }

    def time_ns(self, chip: HardwareConfig) -> float:
        """Time of one conversion, ns."""
        return self.figure("conversion_time_ns", chip)

    def warnings(self, name: str, chip: HardwareConfig) -> Iterator[str]:
        """Where the preset is asked for what its source does not speak for."""
        bits, node = chip.adc.bits, chip.technology.node_nm
        about = {} if self.model == "given" else figures("adc")[self._entry]
        for_bits = self.for_bits or about.get("for_bits")
        for_nodes = self.for_nodes_nm or about.get("for_nodes_nm")
        for_rates, rate = self.for_rates_mhz or self._rates_mhz(chip), 1e3 / self.time_ns(chip)
        if for_bits and not for_bits[0] <= bits <= for_bits[1]:
            yield f"adc.presets.{name} speaks for {_range(for_bits)} bits, and adc.bits is {bits}"
        if for_rates and not for_rates[0] * (1 - _CLOSE) <= rate <= for_rates[1] * (1 + _CLOSE):
            yield f"adc.presets.{name} speaks for {_range(for_rates)} MS/s, and converts at {rate:.4g} MS/s"
        if for_nodes and not for_nodes[0] <= node <= for_nodes[1]:
            yield f"adc.presets.{name} speaks for {_range(for_nodes)} nm, and technology.node_nm is {node:g}"

    def _rates_mhz(self, chip: HardwareConfig) -> list[float] | None:
        """Those of the model: of the converters that it was fitted to, or up to the rate of its circuits."""
        if self.model == "given":
            return None
        fitted: list[float] | None = figures("adc")[self._entry].get("for_rates_mhz")
        found = self._conversion(chip)
        return fitted if fitted or found is None else [0.0, 1e3 / found.time_ns]

    def _asked_ns(self, chip: HardwareConfig) -> float:
        """Time of a conversion that is asked of the converter."""
        if self.conversion_time_ns == ESTIMATE:
            return chip.cells.pulse_ns(chip) / chip.column_mux.columns_per_adc
        return float(self.conversion_time_ns)

    @property
    def _entry(self) -> str:
        return f"neurosim_{self.kind}" if self.model == "neurosim" else self.model

    def _conversion(self, chip: HardwareConfig) -> adc.Conversion | None:
        bits, node = chip.adc.bits, chip.technology.node_nm
        match self._entry:
            case "survey_fit":
                return adc.survey_fit(bits, 1e9 / self._asked_ns(chip), node)
            case "neurosim_sar":
                return adc.neurosim_sar(bits, node)
            case "neurosim_flash":
                return adc.neurosim_flash(bits, node)
            case "neurosim_sense":
                return adc.neurosim_sense(bits, node)
            case "isaac":
                return adc.isaac(bits, node)
            case "kull":
                return adc.kull(bits, node)
            case _:
                return None


class Adc(Component):
    """`bits` sets rounding and clipping; `full_scale` and `percentile` set the step (see
    functional.numerics).

    `conversion_cycles` as a number takes the place of what follows from the preset's time and the clock.
    """

    block = "adc"
    scope = "crossbar"
    bits: Annotated[int, Field(ge=1, le=14)]
    full_scale: FullScale
    percentile: Annotated[float, Field(gt=50, le=100)]
    conversion_cycles: Count | Literal["estimate"] = "estimate"
    preset: str
    presets: Annotated[dict[str, AdcPreset], Field(min_length=1)]

    @model_validator(mode="after")
    def _preset_exists(self) -> Adc:
        odd = [name for name in self.presets if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name)]
        if odd:
            raise ValueError(f"the preset name {odd[0]!a:.70} may have only letters, digits, - and _")
        if self.preset not in self.presets:
            known = ", ".join(sorted(self.presets))
            message = f"preset {self.preset!r} is not one of {known}"
            raise RefusedPart(
                RefusedValue(("preset",), message, suggestion(self.preset, self.presets) or None)
            )
        return self

    @property
    def used(self) -> AdcPreset:
        """The preset in use."""
        return self.presets[self.preset]

    def conversion_energy_pj(self, chip: HardwareConfig) -> float:
        """Energy of one conversion with the preset in use."""
        return self.charges(chip)[Event.CONVERSIONS]

    def cycles(self, chip: HardwareConfig) -> int:
        """Clock cycles of one conversion."""
        return int(self.figure("conversion_cycles", chip))

    def estimates(self, chip: HardwareConfig) -> Mapping[str, Estimate]:
        found = {
            f"presets.{name}.{key}": estimate
            for name, preset in self.presets.items()
            for key, estimate in preset.estimates(chip).items()
        }
        time, clock = self.used.time_ns(chip), chip.technology.clock_ns
        found["conversion_cycles"] = Estimate(
            max(1, math.ceil(time / clock - 1e-9)),
            f"{time:.4g} ns of {self.preset} at a clock of {clock:g} ns",
        )
        return found

    def warnings(self, chip: HardwareConfig) -> Iterator[str]:
        """What a reader should know of the converter in use before quoting a figure."""
        used, energy = self.used, self.conversion_energy_pj(chip)
        yield from used.warnings(self.preset, chip)
        time = used.time_ns(chip)
        if self.conversion_cycles != ESTIMATE:
            forced = int(self.conversion_cycles) * chip.technology.clock_ns
            if forced < time * (1 - 1e-9):
                yield (
                    f"adc.conversion_cycles gives {self.preset} {forced:.3g} ns for a conversion that takes "
                    f"{time:.3g} ns: {energy * 1e3 / 2**self.bits:.3g} fJ per conversion step at "
                    f"{1e3 / forced:.4g} MS/s"
                )
            time = forced
        effective = used.effective_bits or _effective(used, self.bits)
        best = adc.best_energy_pj(effective, 1e9 / time)
        if best is not None and energy < best:
            yield (
                f"adc.preset {self.preset} converts {self.bits} bits ({effective:.3g} effective) at "
                f"{1e3 / time:.4g} MS/s for {energy:.3g} pJ; the best published converter needs {best:g} pJ"
            )

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        return {Event.CONVERSIONS: self.used.figure("conversion_energy_pj", chip)}

    def _area_um2(self, chip: HardwareConfig) -> float:
        return self.used.figure("converter_area_um2", chip)

    def _leakage_uw(self, chip: HardwareConfig) -> float:
        return chip.technology.logic_leakage_uw(self.area_um2(chip), chip)

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return chip.adc_count(size)


def _effective(preset: AdcPreset, bits: int) -> float:
    about = figures("adc")["kull"]
    if preset.model == "kull" and bits == about["bits"]:
        return float(about["effective_bits"])
    return adc.effective_bits(bits)


def _range(ends: list[float]) -> str:
    if not ends[0]:
        return f"up to {ends[1]:.4g}"
    return f"{ends[0]:g}" if ends[0] == ends[1] else f"{ends[0]:g} to {ends[1]:g}"
