"""What is wrong with real cells, wires and converters, declared once.

These classes are both the section ``nonideal`` of a hardware file and what the models of errors take. All
errors are off unless a file asks for them: every magnitude is 0 by default. Equations and sources stand with
the models, in imcsim.functional.nonideal.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from imcsim.base.choices import CalibratedOn, Distribution, InactiveRows

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(ge=0, le=1)]
Spread = Annotated[float, Field(ge=0, le=100)]
"""A standard deviation over a mean."""
Exponent = Annotated[float, Field(ge=0, le=10)]
Ohms = Annotated[float, Field(ge=0, le=10**9)]
Steps = Annotated[float, Field(ge=0, le=10**6)]
"""Bounds are far beyond what a chip works with: they keep numbers from overflowing."""


class Errors(BaseModel):
    """What all sections have in common: they are frozen, and know no other keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


class Variation(Errors):
    """Spread of programmed conductances from cell to cell."""

    kind: Distribution = "lognormal"
    sigma: Spread | Annotated[tuple[Spread, ...], Field(min_length=2)] = 0.0
    """Standard deviation over mean: one number, or one for each level of a cell, level 0 first."""

    def sigmas(self, levels: int) -> tuple[float, ...]:
        """Sigma of each of a cell's `levels`."""
        return self.sigma if isinstance(self.sigma, tuple) else (float(self.sigma),) * levels

    @property
    def varies(self) -> bool:
        """Whether conductances spread at all."""
        return any(self.sigmas(1))


class OnOff(Errors):
    """Whether cells at level 0 conduct."""

    finite: bool = False
    """They do, as ``cells.r_off_ohm`` says."""
    reference_column: bool = True
    """Each crossbar has a further column of cells at level 0, whose current is taken off the others'."""


class Stuck(Errors):
    """Cells that cannot be programmed."""

    on_rate: Rate = 0.0
    """Fraction of cells that always conduct as much as they can."""
    off_rate: Rate = 0.0
    """Fraction of cells that always conduct as little as they can."""

    @model_validator(mode="after")
    def _at_most_all(self) -> Stuck:
        if self.on_rate + self.off_rate > 1:
            raise ValueError(
                f"on_rate {self.on_rate:g} and off_rate {self.off_rate:g} come to more than 1: a cell is "
                "stuck at one of them"
            )
        return self


class Drift(Errors):
    """Conductances fall with the time since programming: ``(time_s / reference_time_s) ** -exponent``."""

    exponent: Exponent = 0.0
    exponent_sigma: Exponent = 0.0
    """Standard deviation of the exponent from cell to cell."""
    time_s: Positive = 1.0
    """When the chip is used, since it was programmed."""
    reference_time_s: Positive = 1.0
    """When conductances were as programmed."""

    @model_validator(mode="after")
    def _after_programming(self) -> Drift:
        if self.time_s < self.reference_time_s:
            raise ValueError(
                f"time_s {self.time_s:g} is before reference_time_s {self.reference_time_s:g}, when "
                "conductances are as programmed"
            )
        return self

    @property
    def drifts(self) -> bool:
        """Whether conductances are no longer as programmed."""
        return self.time_s > self.reference_time_s and bool(self.exponent or self.exponent_sigma)


class ReadNoise(Errors):
    """Noise of the cells, drawn anew at each read."""

    sigma: Spread = 0.0
    """Standard deviation of a cell's conductance over its mean."""


class Wires(Errors):
    """Resistance of the wires of a crossbar, which take a part of the voltage (IR drop).

    One pitch lies between the driver and the first cell, and between the last cell and the end.
    """

    wordline_ohm: Ohms = 0.0
    """From one cell to the next along a wordline."""
    bitline_ohm: Ohms = 0.0
    """From one cell to the next along a bitline."""
    driver_ohm: Ohms = 0.0
    """Of a wordline's driver."""
    sense_ohm: Ohms = 0.0
    """Between a bitline's end and its virtual ground."""
    inactive: InactiveRows = "grounded"
    """Rows that are not driven: held at 0 V, or cut off by the access transistors of their cells."""

    @property
    def ideal(self) -> bool:
        """No resistance anywhere."""
        return not (self.wordline_ohm or self.bitline_ohm or self.driver_ohm or self.sense_ohm)


class ConverterErrors(Errors):
    """Errors of the ADCs, in steps of the converter (LSB)."""

    offset_lsb: Steps = 0.0
    """Standard deviation of the offset from ADC to ADC."""
    gain_sigma: Spread = 0.0
    """Standard deviation of the gain, which is 1 on average, from ADC to ADC."""
    noise_lsb: Steps = 0.0
    """Standard deviation of the noise of a conversion."""
    calibrated_on: CalibratedOn = "ideal"
    """Where ADC scales are set, with ``adc.full_scale: calibrated``: once on the ideal chip, or on each chip
    itself.
    """

    @property
    def differ(self) -> bool:
        """Whether one ADC converts otherwise than another."""
        return bool(self.offset_lsb or self.gain_sigma)

    @property
    def err(self) -> bool:
        """Whether conversions differ from those of an ideal converter."""
        return self.differ or bool(self.noise_lsb)


class Neurons(Errors):
    """What is done about errors in the neurons."""

    calibrated_on: CalibratedOn = "ideal"
    """Where thresholds and biases (batch norm) of hidden neurons, and the scale of class outputs, are set:
    once on the ideal chip, or anew on each chip, for the currents that it has.
    """


class PluggedErrors(Errors):
    """Errors of cells by a model of a plug-in (see functional.nonideal.cell_errors)."""

    model: Annotated[str, Field(pattern=r"^([a-z][a-z0-9_]{0,63})?$")] = ""
    """Name of the model; none by default."""
    parameters: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = {}
    """Numbers of the model, by its own names; those left out have the model's defaults."""
    time_s: Positive = 1.0
    """When the chip is used, since it was programmed."""


class NonIdeal(Errors):
    """Errors of cells, wires and converters; all off by default."""

    variation: Variation = Variation()
    on_off: OnOff = OnOff()
    stuck: Stuck = Stuck()
    drift: Drift = Drift()
    read_noise: ReadNoise = ReadNoise()
    wires: Wires = Wires()
    converter: ConverterErrors = ConverterErrors()
    neurons: Neurons = Neurons()
    cell_errors: PluggedErrors = PluggedErrors()

    @model_serializer(mode="wrap")
    def _without_plugged(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # A chip has the hash that it had before there were plug-ins.
        written: dict[str, Any] = whole(self)
        if self.cell_errors == PluggedErrors():
            written.pop("cell_errors", None)
        return written

    @property
    def needs_ohms(self) -> str:
        """The first key in use that asks what cells conduct in siemens, "" for none."""
        if self.on_off.finite:
            return "nonideal.on_off.finite"
        for key in ("wordline_ohm", "bitline_ohm", "driver_ohm", "sense_ohm"):
            if getattr(self.wires, key):
                return f"nonideal.wires.{key}"
        return ""

    @property
    def active(self) -> bool:
        """Whether anything differs from an ideal chip."""
        return bool(
            self.variation.varies
            or self.needs_ohms
            or self.stuck.on_rate
            or self.stuck.off_rate
            or self.drift.drifts
            or self.cell_errors.model
            or self.read_noise.sigma
            or self.converter.err
        )
