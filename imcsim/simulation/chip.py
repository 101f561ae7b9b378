"""A network on one chip, ready for images: placed, programmed, calibrated, and its schedules played.

A run to T max serves every smaller T and every threshold: what an image does in its first timesteps does not
depend on when it exits, and the schedules know the cost of every exit. The values serve every exit rule; as
rules take different cycles, each has schedules of its own.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property

from imcsim.base.errors import ImcsimError
from imcsim.base.garbage import not_collected
from imcsim.base.nonideal import NonIdeal
from imcsim.functional.nonideal import DrawnChip
from imcsim.functional.nonideal.cell_errors import PluggedCells
from imcsim.functional.nonideal.on_off import level_siemens, off_level
from imcsim.functional.nonideal_chip import on_real_chip
from imcsim.functional.program.numerics import Numerics
from imcsim.functional.program.program import Program, build
from imcsim.functional.recalibration import recalibrated
from imcsim.functional.run import Converters
from imcsim.hardware.component import ChipSize
from imcsim.hardware.components.cells import ConductanceCells
from imcsim.hardware.config import Hardware, HardwareConfig
from imcsim.hardware.ledger import Charge, charges
from imcsim.inputs import Inputs
from imcsim.mapping import Placement, place
from imcsim.network.graph import Network
from imcsim.simulation.schedule import Schedule, layout_of, schedule, schedules
from imcsim.simulation.values import COMPUTED, Values
from imcsim.timing import Issue, Layout, Timing
from imcsim.timing.occupancy import Occupancy, occupancies

NO_ERRORS = NonIdeal()
"""What a config says of an ideal chip's cells, wires and converters."""


def numerics(config: HardwareConfig) -> Numerics:
    """The part of a config that changes values."""
    return Numerics(
        rows=config.cells.rows,
        row_order=config.cells.row_order,
        encoding=config.cells.encoding,
        cell_bits=config.cells.cell_bits,
        adc_bits=config.adc.bits,
        full_scale=config.adc.full_scale,
        percentile=config.adc.percentile,
        membrane_bits=config.lif.membrane_bits,
        checker=config.checker.numerics,
        input_drive=config.cells.input_drive,
        parallel_rows=config.cells.rows_at_once,
        rescale_bits=config.activation.multiplier_bits,
        diagonal_columns=config.cells.columns if config.mapping.grouped_layers == "diagonal" else None,
        types=tuple((name, numerics(config.of_type(name))) for name in config.tile_types),
        assignment=config.assignment,
    )


def nonideal(config: HardwareConfig, seed: int = 0, chip: int = 0) -> DrawnChip | None:
    """The errors of chip number `chip` of a `seed`; None where the config asks for none."""
    errors = config.nonideal
    if not errors.active:
        return None
    largest = (1 << config.cells.cell_bits) - 1
    off, siemens = 0.0, 0.0
    if isinstance(config.cells, ConductanceCells) and errors.needs_ohms:
        ohms = config.cells.r_on_ohm, config.cells.r_off_ohm
        off = off_level(*ohms, largest) if errors.on_off.finite else 0.0
        siemens = level_siemens(*ohms, largest)
    return DrawnChip(
        seed=seed,
        chip=chip,
        largest_level=largest,
        columns=config.cells.columns,
        columns_per_adc=config.column_mux.columns_per_adc,
        off_level=off,
        level_siemens=siemens,
        reference_column=errors.on_off.reference_column,
        variation=errors.variation,
        stuck=errors.stuck,
        drift=errors.drift,
        read_noise=errors.read_noise.sigma,
        wires=errors.wires,
        converter=errors.converter,
        neurons_recalibrated=errors.neurons.calibrated_on == "chip",
        encoder_kept=config.encoder.mode == "keep",
        cell_errors=PluggedCells.of(errors.cell_errors),
    )


@dataclass(frozen=True, eq=False)
class Chip:
    """A network placed on a chip and calibrated. Serves any images, or any timed inputs.

    `config` is `stated`, the chip's own, but that the checker is built for the exit rule, and that an encoder
    recomputes where inputs change at each timestep, or where there is only one. `dynamic` and `static` are
    the schedules of images that may exit early and of static runs. They are None where time depends on
    values, so that every image has its own.
    """

    network: Network
    config: HardwareConfig
    placement: Placement
    program: Program
    converters: Converters
    timing: Timing
    dynamic: Schedule | None
    static: Schedule | None
    stated: HardwareConfig
    layout: Layout | None
    """What plays of this chip share (see `layout_of`)."""

    @property
    def size(self) -> ChipSize:
        return self.placement.size

    def prices(self) -> tuple[Charge, ...]:
        """What each event costs on this chip, leakage included."""
        return self._prices

    @cached_property
    def _prices(self) -> tuple[Charge, ...]:
        return charges(self.config, self.size)

    @cached_property
    def occupancies(self) -> tuple[Occupancy, ...]:
        """For how long each layer needs each of its resources in a timestep."""
        return occupancies(self.placement, self.config)

    def issued(
        self, issue: Issue, *, dynamic: bool, exits: Collection[int] | None = None, workers: int | None = None
    ) -> Schedule:
        """The schedule of static or `dynamic` runs under another issue policy, played once only. Time must
        not depend on values. `exits` as for `schedule`.
        """
        asked = issue, dynamic, None if exits is None else frozenset(exits)
        if asked not in self._issued:
            self._issued[asked] = schedule(
                self.placement, self.config, replace(self.timing, issue=issue), dynamic=dynamic,
                layout=self.layout, workers=workers, exits=exits,
            )  # fmt: skip
        return self._issued[asked]

    @cached_property
    def _issued(self) -> dict[tuple[Issue, bool, frozenset[int] | None], Schedule]:
        return {}


def without_errors(config: HardwareConfig) -> HardwareConfig:
    """The config with ideal cells, wires and converters."""
    return config.model_copy(update={"nonideal": NO_ERRORS})


def depends_on_values(config: HardwareConfig) -> bool:
    """Whether the time an image takes depends on its values."""
    return config.activity.skip_zero_reads or config.activity.spike_coding == "aer"


def make_chip(
    network: Network,
    hardware: Hardware,
    calibration: Inputs,
    timing: Timing,
    *,
    workers: int | None = None,
    values: Values = COMPUTED,
    seed: int = 0,
    number: int = 0,
) -> Chip:
    """Place `network`, set the ADC scales on the first images of `calibration`, and play the schedules.

    A chip that interleaves images holds the membranes of all of them. Where the config asks for errors, the
    chip is `number` of those that `seed` draws.
    """
    config = hardware.config

    def programmed() -> tuple[Program, Converters]:
        return program_chip(network, config, calibration, seed, number, workers, values)

    if (workers or os.cpu_count() or 1) == 1:
        return _chip(network, *programmed(), _stand(network, config, timing))
    # Where it all stands does not depend on what it computes with.
    with ThreadPoolExecutor(max_workers=1) as pool:
        stands = pool.submit(_stand, network, config, timing)
        program, converters = programmed()
        return _chip(network, program, converters, stands.result())


def with_cells(
    chip: Chip,
    calibration: Inputs,
    seed: int,
    number: int | None,
    *,
    workers: int | None = None,
    values: Values = COMPUTED,
) -> Chip:
    """The same chip with the cells, wires and converters of another one, as `make_chip` programs it; with
    ideal ones where `number` is None.
    """
    config, stated = chip.config, chip.stated
    if number is None:
        config, stated = without_errors(config), without_errors(stated)
    program, converters = program_chip(chip.network, stated, calibration, seed, number or 0, workers, values)
    return replace(chip, config=config, stated=stated, program=program, converters=converters)


def program_chip(
    network: Network,
    config: HardwareConfig,
    calibration: Inputs,
    seed: int = 0,
    number: int = 0,
    workers: int | None = None,
    values: Values = COMPUTED,
) -> tuple[Program, Converters]:
    """What a chip computes with, its errors included, and ADC scales from the first images of `calibration`.

    These images also tell how many rows are active in a read, where wires have resistance, and what currents
    neurons have, where they are calibrated on the chip. See `make_chip`.
    """
    program = build(network, numerics(config))
    errors = nonideal(config, seed, number)
    if errors is None:
        return program, values.converters(program, calibration, workers)
    density = {} if errors.wires.ideal else values.densities(program, calibration, workers)
    real = on_real_chip(program, errors, density, workers)
    designed = errors.designed()
    plain = program if designed is None else on_real_chip(program, designed, {}, workers)
    converters = values.converters(real if errors.calibrated_itself else plain, calibration, workers)
    if errors.neurons_recalibrated:
        real = recalibrated(real, values.channels(real, plain, converters, calibration, workers))
    return real, converters


def calibrate(program: Program, calibration: Inputs, workers: int | None = None) -> Converters:
    """The ADC scales that the first images of `calibration` call for."""
    return COMPUTED.converters(program, calibration, workers)


def with_timing(chip: Chip, timing: Timing) -> Chip:
    """The same chip, calibrated alike, with another issue policy, T max or fidelity, or for timed inputs."""
    return _chip(chip.network, chip.program, chip.converters, _stand(chip.network, chip.stated, timing))


def with_prices(chip: Chip, config: HardwareConfig) -> Chip:
    """The same chip in the same time with other prices, of which alone `config` differs from its own."""
    built = config.with_exit_rule(chip.timing.rule).model_copy(update={"encoder": chip.config.encoder})
    return replace(chip, config=built, stated=config)


def with_figures(chip: Chip, config: HardwareConfig, exits: Collection[int] | None = None) -> Chip:
    """The same chip and the same values with other figures of time, energy or area, of which `config` differs
    from the chip's own config in nothing that changes values. `exits` as for `schedules`.

    Its time is played in the burst fidelity: a comparison tries dozens of such chips, and the fidelities
    agree to the cycle.
    """
    stands = _stand(chip.network, config, replace(chip.timing, fidelity="burst"), chip)
    return _chip(chip.network, chip.program, chip.converters, stands, exits)


@dataclass(frozen=True, eq=False)
class _Stands:
    """Where a network stands on a chip; the fields are those of a `Chip`."""

    stated: HardwareConfig
    config: HardwareConfig
    placement: Placement
    timing: Timing
    layout: Layout | None


def _stand(network: Network, stated: HardwareConfig, timing: Timing, like: Chip | None = None) -> _Stands:
    """`like`: a chip of the network whose routes, streams and parts may serve again."""
    if network.is_ann and timing.timesteps != 1:
        raise ImcsimError(
            f"{network.name} is a network of activations (relu), which has one timestep, "
            f"not {timing.timesteps}",
            key="timesteps",
            fix="use 1, or leave it out",
        )
    config = stated.with_exit_rule(timing.rule)
    if (timing.timed or network.is_ann) and stated.encoder.mode == "keep":
        recomputes = stated.encoder.model_copy(update={"mode": "recompute"})
        config = config.model_copy(update={"encoder": recomputes})
    with not_collected():
        placement = place(network, config)
        if like is not None:
            placement = placement.sharing(like.placement)
        placement = replace(placement, size=placement.size.holding(timing.issue.images_on_chip))
        layout = layout_of(placement, config, timing, None if like is None else like.layout)
    return _Stands(stated, config, placement, timing, layout)


def _chip(
    network: Network,
    program: Program,
    converters: Converters,
    stands: _Stands,
    exits: Collection[int] | None = None,
) -> Chip:
    """The chip with its schedules."""
    config, placement, timing, layout = stands.config, stands.placement, stands.timing, stands.layout
    dynamic = static = None
    if not depends_on_values(config):
        dynamic, static = schedules(placement, config, timing, None, layout, exits=exits)
    return Chip(
        network, config, placement, program, converters, timing, dynamic, static, stands.stated, layout
    )
