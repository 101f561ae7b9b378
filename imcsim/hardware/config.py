"""The hardware config: one block a component, validated once, frozen afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from imcsim.base.choices import GroupedLayers
from imcsim.base.names import suggestion
from imcsim.base.nonideal import NonIdeal
from imcsim.base.tile_types import OWN, OWN_WORD, Assignment
from imcsim.hardware.accounting import Accounting
from imcsim.hardware.alternatives import Alternatives
from imcsim.hardware.component import (
    ESTIMATE,
    Block,
    ChipSize,
    Component,
    Count,
    Figure,
    NonNegative,
    Positive,
)
from imcsim.hardware.components.accumulator import Accumulator
from imcsim.hardware.components.activation import Activation
from imcsim.hardware.components.adc import Adc
from imcsim.hardware.components.adder_tree import AdderTree
from imcsim.hardware.components.cells import Cells, ConductanceCells
from imcsim.hardware.components.checker import Checker
from imcsim.hardware.components.clamp import Clamp
from imcsim.hardware.components.clock import Clock
from imcsim.hardware.components.column_mux import ColumnMux
from imcsim.hardware.components.controller import Controller
from imcsim.hardware.components.converter_reference import ConverterReference
from imcsim.hardware.components.dram import Dram
from imcsim.hardware.components.global_buffer import GlobalBuffer
from imcsim.hardware.components.htree import Htree
from imcsim.hardware.components.lif import Lif
from imcsim.hardware.components.noc import Noc
from imcsim.hardware.components.offchip_link import OffchipLink
from imcsim.hardware.components.output_store import OutputStore
from imcsim.hardware.components.package import MOST_CHIPS, Package
from imcsim.hardware.components.parameter_store import ParameterStore
from imcsim.hardware.components.pe_buffer import PeBuffer
from imcsim.hardware.components.pooling import Pooling
from imcsim.hardware.components.register import Registers
from imcsim.hardware.components.reload import Reload
from imcsim.hardware.components.residual_adder import ResidualAdder
from imcsim.hardware.components.row_counter import RowCounter
from imcsim.hardware.components.sample_hold import SampleHold
from imcsim.hardware.components.shift_add import ShiftAdd
from imcsim.hardware.components.sram import Sram
from imcsim.hardware.components.state_memory import StateMemory
from imcsim.hardware.components.tile_buffer import TileBuffer
from imcsim.hardware.components.wordline_driver import WordlineDriver
from imcsim.hardware.components.write_access import WriteAccess
from imcsim.hardware.estimators import logic, wires
from imcsim.hardware.estimators.array import supply_v
from imcsim.hardware.estimators.estimate import Estimate
from imcsim.hardware.estimators.leakage import Level, logic_leakage_uw_per_um2
from imcsim.hardware.estimators.memory import MemoryModel
from imcsim.hardware.estimators.supply import at_supply
from imcsim.hardware.estimators.wires import WireKind
from imcsim.hardware.explain import RefusedPart, RefusedValue, explain, shape_of
from imcsim.hardware.programming import ProgrammingConfig
from imcsim.hardware.quantity import Provenance
from imcsim.hardware.reference_tables import ReferenceFigures
from imcsim.hardware.tile_types import ALIKE, TileType, TypeName, laid_over

_FROZEN = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


class Technology(Block):
    """Figures of the node that several components use.

    Where sources of an estimate differ, `leakage`, `wires` and `memory` say which one is followed.
    """

    node_nm: Positive
    clock_ns: Annotated[float, Field(ge=1e-3, allow_inf_nan=False)]
    supply_v: Annotated[float, Field(gt=0, le=5)] | Literal["nominal"] = "nominal"
    """Supply of logic, converters and drivers; ``nominal`` is the node's, for which estimates stand."""
    kelvin: Literal[300, 330, 360]
    """Temperature that leakage is taken at."""
    leakage: Level
    """Which of three sources static power is estimated by."""
    logic_leakage_uw_per_um2: Figure
    wires: WireKind
    """Which of three sources the energy of wires is estimated by."""
    wire_energy_pj_per_mm: Figure
    """One toggled bit over one mm."""
    memory: MemoryModel = "cacti"
    """Which model the energies and areas of SRAM are estimated by."""

    def estimates(self, chip: HardwareConfig) -> Mapping[str, Estimate]:
        return {
            "wire_energy_pj_per_mm": wires.wire_energy_pj_per_mm(self.wires, self.node_nm),
            "logic_leakage_uw_per_um2": logic_leakage_uw_per_um2(self.leakage, self.node_nm, self.kelvin),
        }

    @property
    def volts(self) -> float:
        """The supply."""
        return supply_v(self.node_nm) if self.supply_v == "nominal" else self.supply_v

    @property
    def energy_ratio(self) -> float:
        """Energy of switching at the supply over that at the nominal one."""
        return 1.0 if self.supply_v == "nominal" else (self.supply_v / supply_v(self.node_nm)) ** 2

    def warnings(self) -> Iterator[str]:
        """What a reader should know of the clock."""
        least = logic.clock_ns(self.node_nm)
        if self.supply_v != "nominal":
            least = at_supply(least, self.supply_v, self.node_nm)
        if self.clock_ns < least.value * (1 - 1e-9):
            yield (
                f"technology.clock_ns is {self.clock_ns:g}, and logic takes {least.value:.3g} ns at "
                f"{self.node_nm:g} nm ({least.rule}): its figures, and what is given in cycles, hold for "
                f"longer cycles"
            )

    def wire_pj_per_mm(self, chip: HardwareConfig) -> float:
        """One toggled bit over one mm, pJ."""
        return self.figure("wire_energy_pj_per_mm", chip)

    def logic_leakage_uw(self, area_um2: float, chip: HardwareConfig) -> float:
        """Static power of logic of this area, uW."""
        return self.figure("logic_leakage_uw_per_um2", chip) * area_um2


class TileConfig(BaseModel):
    """How crossbars are grouped, and the bus from the tile buffer."""

    model_config = _FROZEN
    crossbars_per_pe: Count
    pes_per_tile: Count
    adcs: Literal["crossbar", "pe"]
    """Whether each crossbar has its own ADCs, or the crossbars of a PE share one set."""
    bus_bits: Count
    """Bits that the tile buffer delivers in a cycle."""
    input_sets: Count
    """Windows that may wait in front of the crossbars (2 = double buffering)."""
    output_rows: Count
    """Output rows that a tile may hold before they have left."""


class MeshConfig(BaseModel):
    """The mesh of tiles; 0 columns and rows means as large as the network needs."""

    model_config = _FROZEN
    columns: Annotated[int, Field(ge=0, le=1024)]
    rows: Annotated[int, Field(ge=0, le=1024)]


class MappingConfig(BaseModel):
    """How layers are laid over the chip."""

    model_config = _FROZEN
    replication: Literal["none", "balanced", "latency", "throughput", "edp"] | dict[str, Count]
    """Copies of layers: none, until reads in turn are even, for an objective (see mapping.copies), or so many
    of each layer by name.
    """
    extra_crossbars: Annotated[int, Field(ge=0)]
    """Crossbars that copies may take, unless they are given by hand."""
    extra_tiles: Annotated[int, Field(ge=0)] | None = None
    """Tiles that they may take, if that is a limit."""
    extra_area_mm2: NonNegative | None = None
    """Area of tiles that they may take, if that is a limit."""
    expected_timesteps: Annotated[float, Field(ge=1, allow_inf_nan=False)] | None = None
    """Mean number of timesteps of an image, by which an objective weighs what is done once; the network's own
    if not given.
    """
    share_tiles: bool
    """Whether a layer may start in the tile in which the layer before it ends; a PE always belongs to one
    layer.
    """
    placement: Literal["path", "rows", "annealed"]
    """Tiles on the mesh: back and forth along its rows, row by row, or exchanged until flits take few hops.
    """
    grouped_layers: GroupedLayers = "dense"
    """Depthwise and grouped convolutions as the dense matrix with its zeros, or group by group along the
    diagonals of crossbars, of which only the cells of weights are programmed.
    """
    tile_types: dict[str, str] = {}
    """The type of tile of layers by name, ``chip`` for the chip's own; others go by rules of the types."""
    chips: dict[str, Annotated[int, Field(ge=0, lt=MOST_CHIPS)]] = {}
    """Of a package: the chip, from 0, of layers by name; layers in between stand where the one before does.
    Left out, layers are cut where fewest flits cross (see mapping.partition).
    """
    IMBALANCE: ClassVar[float] = 0.1
    chip_imbalance: NonNegative = IMBALANCE
    """Of a package whose chips are as large as needed: the tiles that the largest may have above what an
    even cut would give it, as a share.
    """


class EncoderConfig(BaseModel):
    """The first layer, which reads the image: run it at every timestep, or once and keep its currents."""

    model_config = _FROZEN
    mode: Literal["recompute", "keep"]


class ActivityConfig(BaseModel):
    """What the chip makes of inputs that are mostly silent."""

    model_config = _FROZEN
    skip_zero_reads: bool = False
    """A block without an active row is not read; costs neither time nor energy."""
    spike_coding: Literal["bitmap", "aer"] = "bitmap"
    """Spikes on the mesh: a bit for each neuron, or an address for each spike."""
    toggling: Literal["given", "counted"] = "given"
    """Toggled bits on buses: the given rates, or counted from the values that follow each other."""


class _Figures(dict[tuple[int, str], Any]):
    """What was computed of a config, which is no part of it: configs are equal whatever of them is known."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Figures)

    __hash__ = None


class HardwareConfig(BaseModel):
    """A chip. Blocks are described where they are declared; `components` are those that cost something."""

    model_config = _FROZEN
    schema_: Annotated[Literal[1], Field(alias="schema")]
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
    description: str
    strict: bool = False
    """Refuse the chip where figures do not hold for it (see hardware.conditions), instead of warning."""
    reference_tables: tuple[str, ...] = ()
    """Files of energy and area reference tables, relative to the hardware file (see
    hardware.reference_tables).
    """
    technology: Technology
    clock: Clock
    controller: Controller
    tile: TileConfig
    mesh: MeshConfig
    mapping: MappingConfig
    encoder: EncoderConfig
    activity: ActivityConfig = ActivityConfig()
    cells: Cells
    wordline_driver: WordlineDriver
    write_access: WriteAccess
    row_counter: RowCounter
    clamp: Clamp
    sample_hold: SampleHold
    column_mux: ColumnMux
    adc: Adc
    converter_reference: ConverterReference
    shift_add: ShiftAdd
    adder_tree: AdderTree
    registers: Registers
    sram: Sram
    pe_buffer: PeBuffer
    tile_buffer: TileBuffer
    global_buffer: GlobalBuffer
    htree: Htree
    noc: Noc
    lif: Lif
    activation: Activation = Activation()
    state_memory: StateMemory
    output_store: OutputStore
    parameter_store: ParameterStore
    pooling: Pooling
    residual_adder: ResidualAdder
    accumulator: Accumulator
    checker: Checker
    offchip_link: OffchipLink
    dram: Dram = Dram()
    package: Package = Package()
    reload: Reload = Reload()
    nonideal: NonIdeal = NonIdeal()
    programming: ProgrammingConfig = ProgrammingConfig()
    accounting: Accounting = "every_event"
    """Which events are charged (see hardware.accounting); all of them, unless a hypothesis is tried."""
    estimators: dict[str, str] = {}
    """Estimators of plug-ins, by the component whose figures they compute (see
    hardware.estimators.estimator).
    """
    tile_types: dict[TypeName, TileType] = {}
    """Tiles that differ from the chip's own, by name (see hardware.tile_types)."""
    alternatives: Alternatives = Alternatives()
    _reference: ReferenceFigures = PrivateAttr(default_factory=ReferenceFigures)
    _figures: _Figures = PrivateAttr(default_factory=lambda: _Figures())

    @model_validator(mode="after")
    def _fits_together(self) -> HardwareConfig:
        if self.cells.columns % self.column_mux.columns_per_adc:
            raise ValueError(
                f"cells.columns {self.cells.columns} is no multiple of column_mux.columns_per_adc "
                f"{self.column_mux.columns_per_adc}"
            )
        if (self.mesh.columns == 0) != (self.mesh.rows == 0):
            raise ValueError("mesh.columns and mesh.rows are both 0 (as large as needed) or both above 0")
        if (self.cells.row_order == "kernel_position") != (self.tile.adcs == "pe"):
            raise ValueError(
                "cells.row_order kernel_position merges the currents of a PE's crossbars, so it goes with "
                "tile.adcs pe; im2col goes with tile.adcs crossbar"
            )
        self._has_cells_for(self.nonideal)
        self._can_pulse()
        blocks = [name for name, _ in self.components()]
        for name in self.estimators:
            if name not in blocks:
                hint = suggestion(name, blocks, f"components are {', '.join(blocks)}")
                message = f"there is no component {name!r:.60}"
                raise RefusedPart(RefusedValue(("estimators", name), message, hint))
        self._types_fit()
        self._chips_fit()
        self._can_reload()
        return self

    def _chips_fit(self) -> None:
        for layer, chip in self.mapping.chips.items():
            if chip >= self.package.chips:
                message = f"there is no chip {chip}: package.chips is {self.package.chips}"
                fix = f"use 0 to {self.package.chips - 1}, or set package.chips to {chip + 1}"
                raise RefusedPart(RefusedValue(("mapping", "chips", layer), message, fix))

    def _types_fit(self) -> None:
        known = (OWN_WORD, *self.tile_types)
        for layer, kind in self.mapping.tile_types.items():
            if kind not in known:
                at = ("mapping", "tile_types", layer)
                hint = suggestion(kind, known, f"types are {', '.join(known)}")
                raise RefusedPart(RefusedValue(at, f"there is no tile type {kind!r:.60}", hint))
        if OWN_WORD in self.tile_types:
            message = f"{OWN_WORD} is the chip's own type of tile, which its sections describe"
            raise RefusedPart(RefusedValue(("tile_types", OWN_WORD), message, "give this one another name"))
        if not self.tile_types:
            return
        for given, what in ((self.nonideal.active, "nonideal"), (bool(self.estimators), "estimators")):
            if given:
                message = f"{what} is for chips whose tiles are all alike"
                raise RefusedPart(RefusedValue(("tile_types",), message, f"leave tile_types or {what} out"))
        if self.clock.gating == "idle_tiles":
            message = "clock.gating idle_tiles is for chips whose tiles are all alike"
            raise RefusedPart(RefusedValue(("tile_types",), message, "set clock.gating to none"))
        for name, one in self.tile_types.items():
            for section, key in ALIKE:
                if key in one.changes.get(section, {}):
                    place = ("tile_types", name, section, key)
                    message = f"all tiles of a chip have the same {section}.{key}"
                    raise RefusedPart(RefusedValue(place, message, f"set it in {section}"))
            self._type_made(name)

    def _can_reload(self) -> None:
        if not self.reload.present:
            if self.reload != Reload():
                message = "reload is for a chip of a size of its own"
                raise RefusedPart(RefusedValue(("reload", "tiles"), message, "give it a number of tiles"))
            return
        refused = (
            (not self.dram.present, ("dram", "preset"), "none", "set it to lpddr4, lpddr5 or hbm2"),
            (bool(self.tile_types), ("tile_types",), "types of tile", "leave tile_types out"),
            (self.package.chips > 1, ("package", "chips"), "a package", "set it to 1"),
            (self.nonideal.active, ("nonideal",), "errors of cells", "leave nonideal out"),
            (self.activity.toggling == "counted", ("activity", "toggling"), "counted", "set it to given"),
            (self.activity.skip_zero_reads, ("activity", "skip_zero_reads"), "true", "set it to false"),
            (self.activity.spike_coding == "aer", ("activity", "spike_coding"), "aer", "set it to bitmap"),
            (self.mesh.columns > 0, ("mesh", "columns"), "a mesh of given size", "set it to 0"),
        )
        for given, place, what, fix in refused:
            if given:
                raise RefusedPart(RefusedValue(place, f"{what} does not go with reload.tiles", fix))

    def _can_pulse(self) -> None:
        drive = self.cells.input_drive
        if drive == "bits":
            return
        if self.cells.kind in ("driven", "given"):
            raise ValueError(
                f"cells.input_drive {drive} needs cells whose energy follows their inputs, but cells.kind "
                f"{self.cells.kind} does not: use cells.kind conductance or capacitive"
            )
        if drive == "levels" and self.cells.kind != "capacitive":
            raise ValueError(
                "cells.input_drive levels is for cells whose energy goes with the voltage of an input: use "
                "cells.kind capacitive, or cells.input_drive pulses"
            )
        if self.nonideal.active:
            raise ValueError(
                f"cells.input_drive {drive} is for ideal cells, wires and converters: leave nonideal out"
            )

    def _has_cells_for(self, nonideal: NonIdeal) -> None:
        sigma, levels = nonideal.variation.sigma, 1 << self.cells.cell_bits
        if isinstance(sigma, tuple) and len(sigma) != levels:
            raise ValueError(
                f"nonideal.variation.sigma lists {len(sigma)} numbers, but a cell of cells.cell_bits "
                f"{self.cells.cell_bits} has {levels} levels: give one number, or {levels}"
            )
        key = nonideal.needs_ohms
        if not key:
            return
        if not isinstance(self.cells, ConductanceCells):
            raise ValueError(
                f"{key} needs to know what cells conduct (cells.r_on_ohm, cells.r_off_ohm), but cells.kind "
                f"{self.cells.kind} does not: use cells.kind conductance"
            )
        if self.cells.r_off_ohm <= self.cells.r_on_ohm:
            raise ValueError(
                f"{key} needs cells.r_off_ohm above cells.r_on_ohm, not {self.cells.r_off_ohm:g} and "
                f"{self.cells.r_on_ohm:g}"
            )

    def components(self) -> Iterator[tuple[str, Component]]:
        """Name and block of every component that costs energy or area, in the order of the file."""
        for name in type(self).model_fields:
            block = getattr(self, name)
            if isinstance(block, Component):
                yield name, block

    def stated_components(self) -> Iterator[tuple[str, Component]]:
        """Those of `components` that the file says anything of."""
        left_out = self.left_out
        return ((name, component) for name, component in self.components() if name not in left_out)

    def components_of(self, size: ChipSize) -> Iterator[tuple[str, Component]]:
        """Those of `components` that a chip of this size has (see `Component.stands`)."""
        return ((name, component) for name, component in self.components() if component.stands(size))

    @property
    def reference(self) -> ReferenceFigures:
        """What the reference tables say; it takes the place of the blocks' own figures."""
        return self._reference

    @property
    def left_out(self) -> frozenset[str]:
        """Sections, and dotted keys, that hashes and records leave out: alternatives, which are no part of
        the chip, and those that are younger than the others, where they are at their defaults.

        So a chip has the hash that it had before there were such sections.
        """
        unused = {
            "strict": True,
            "nonideal": self.nonideal == NonIdeal(),
            "estimators": not self.estimators,
            "activation": self.activation == Activation(),
            "dram": self.dram == Dram(),
            "package": self.package == Package(),
            "reload": self.reload == Reload(),
            "technology.supply_v": self.technology.supply_v == "nominal",
            "cells.input_drive": self.cells.input_drive == "bits",
            "cells.parallel_rows": self.cells.parallel_rows == "all",
            "mapping.grouped_layers": self.mapping.grouped_layers == "dense",
            "lif.parameters": not self.lif.parameters_of_neurons,
            "programming": self.programming == ProgrammingConfig(),
            "programming.endurance_writes": self.programming != ProgrammingConfig()
            and self.programming.endurance_writes is None,
            "accounting": self.accounting == "every_event",
            "technology.memory": self.technology.memory == "cacti",
            "mapping.extra_tiles": self.mapping.extra_tiles is None,
            "mapping.extra_area_mm2": self.mapping.extra_area_mm2 is None,
            "mapping.expected_timesteps": self.mapping.expected_timesteps is None,
            "noc.topology": self.noc.topology == "mesh",
            "mapping.tile_types": not self.mapping.tile_types,
            "mapping.chips": not self.mapping.chips,
            "mapping.chip_imbalance": self.mapping.chip_imbalance == MappingConfig.IMBALANCE,
            "tile_types": not self.tile_types,
        }
        for name, preset in self.adc.presets.items():
            unused[f"adc.presets.{name}.for_rates_mhz"] = preset.for_rates_mhz is None
        return frozenset({"alternatives", *(name for name, left in unused.items() if left)})

    @property
    def figures(self) -> dict[tuple[int, str], Any]:
        """What was computed of the config so far, with the block it belongs to (see `Block.figure`)."""
        private = self.__pydantic_private__  # asked for so often that the attribute's own way counts
        assert private is not None
        found: _Figures = private["_figures"]
        return found

    def with_mapping(self, **values: Any) -> Self:
        """The chip with other values of the section ``mapping``, which are not checked."""
        return self.model_copy(update={"mapping": self.mapping.model_copy(update=values)})

    def __copy__(self) -> Self:
        copy = super().__copy__()
        copy._figures = _Figures()  # a copy is made to be changed
        return copy

    def __getstate__(self) -> dict[Any, Any]:
        state = super().__getstate__()
        private = {**(state["__pydantic_private__"] or {}), "_figures": _Figures()}
        return {**state, "__pydantic_private__": private}

    def of_type(self, tile_type: str) -> HardwareConfig:
        """The chip as tiles of a type see it: with its values in the place of the chip's. The chip itself for
        `OWN`.

        Figures of reference tables hold for the components of a type that it says nothing of.
        """
        if tile_type == OWN:
            return self
        at = 0, f"tile type {tile_type}"
        if at not in self._figures:
            self._figures[at] = self._type_made(tile_type)
        made: HardwareConfig = self._figures[at]
        return made

    def _type_made(self, name: str) -> HardwareConfig:
        changes = self.tile_types[name].changes
        plain = self.model_copy(update={"tile_types": {}}).with_mapping(tile_types={})
        if not changes:
            return plain.with_reference(self.reference)
        chip = plain.model_dump(mode="json", by_alias=True)
        values = laid_over(changes, chip, shape_of(HardwareConfig))
        try:
            made = type(self).model_validate_json(json.dumps(values, allow_nan=False))
        except ValidationError as error:
            problem = explain(error, type(self), values)[0]
            place = ("tile_types", name, *problem.path)
            raise RefusedPart(RefusedValue(place, problem.message, problem.fix)) from None
        return made.with_reference(self.reference.without(changes))

    @property
    def assignment(self) -> Assignment:
        """Which layers stand on which type of tile."""
        by_hand = {k: OWN if kind == OWN_WORD else kind for k, kind in self.mapping.tile_types.items()}
        rules = {name: kind.takes.rule for name, kind in self.tile_types.items() if kind.takes is not None}
        return Assignment(tuple(by_hand.items()), tuple(rules.items()))

    def built(self, name: str, size: ChipSize) -> tuple[BuiltShare, ...]:
        """What a chip of this size has of a component: one share, or one for each of its types of tile."""
        component = getattr(self, name)
        if component.scope == "chip" or not size.of_types:
            return (BuiltShare(self, component, size),)
        chips = [(self.of_type(one.tile_type), one) for one in size.of_types]
        return tuple(BuiltShare(chip, getattr(chip, name), one.size, one.columns) for chip, one in chips)

    def instances_of(self, name: str, size: ChipSize) -> int:
        """Instances of a component on a chip of this size, on tiles of all types."""
        return sum(share.instances for share in self.built(name, size))

    def component_area_um2(self, name: str, size: ChipSize) -> float:
        """Area of all instances of a component on a chip of this size."""
        return of_all_instances(self.built(name, size), lambda share: share.component.area_um2(share.chip))

    def with_reference(self, reference: ReferenceFigures) -> HardwareConfig:
        """A copy whose components take the figures of `reference`."""
        copy = self.model_copy()
        copy._reference = reference
        return copy

    def with_exit_rule(self, rule: str) -> HardwareConfig:
        """A copy whose checker is built for the exit rule of this name (see `imcsim.exits`)."""
        return self.model_copy(update={"checker": self.checker.built_for(rule)})

    def estimates(self) -> dict[str, Estimate]:
        """Every figure of which the file says ``estimate``, by dotted key; not those of a section that it
        leaves out, which counts for networks of activations alone.
        """
        found = {}
        for name in type(self).model_fields:
            block = getattr(self, name)
            if isinstance(block, Block) and name not in self.left_out:
                wanted = [key for key, value in _leaves(block.model_dump()) if value == ESTIMATE]
                known = block.computed(self) if wanted else {}
                found.update({f"{name}.{key}": known[key] for key in wanted})
        return found

    def warnings(self) -> tuple[str, ...]:
        """What a reader should know of the chip's figures before quoting a result, by the names of keys."""
        return (*self.adc.warnings(self), *self.technology.warnings())

    def tile_area_um2(self, without: str = "") -> float:
        """Area of one tile with all that belongs to it, the block `without` left out."""
        at = 0, f"tile area without {without}"
        if at not in self._figures:
            self._figures[at] = sum(
                component.area_um2(self) * component.instances(self, self.one_tile)
                for name, component in self.components()
                if component.scope != "chip" and name != without
            )
        return float(self._figures[at])

    def area_um2(self, size: ChipSize) -> float:
        """Area of a whole chip of this size."""
        return float(sum(self.component_area_um2(name, size) for name, _ in self.components()))

    @property
    def one_tile(self) -> ChipSize:
        """The size of a chip of one tile without state memory."""
        return ChipSize(1, self.tile.pes_per_tile, self.crossbars_per_tile)

    @property
    def crossbars_per_tile(self) -> int:
        return self.tile.crossbars_per_pe * self.tile.pes_per_tile

    @property
    def adcs_per_crossbar(self) -> int:
        return self.cells.columns // self.column_mux.columns_per_adc

    def adc_count(self, size: ChipSize) -> int:
        """ADCs on a chip of this size."""
        groups = size.crossbars if self.tile.adcs == "crossbar" else size.pes
        return groups * self.adcs_per_crossbar

    @property
    def sense_cycles(self) -> int:
        """Cycles of one read pulse."""
        pulse_ns = self.cells.pulse_ns(self)
        return max(1, -(-round(pulse_ns * 1e6) // round(self.technology.clock_ns * 1e6)))

    def read_cycles(self, input_bits: int) -> int:
        """Cycles for which a read of inputs of so many bits takes a crossbar."""
        pulses = (1 << input_bits) - 1 if self.cells.input_drive == "pulses" else 0
        return pulses + self.sense_cycles

    def load_cycles(self, bits: int) -> int:
        """Cycles to bring `bits` bits onto the chip: over the link, or as fast as the DRAM behind it gives
        them where that takes longer.
        """
        if not bits:
            return 0
        over_link = -(-bits // self.offchip_link.bits_per_cycle)
        return max(over_link, self.dram.transfer_cycles(bits, self)) + self.dram.latency_cycles(self)

    def reads_of(self, input_bits: int) -> int:
        """Reads that inputs of so many bits take."""
        return input_bits if self.cells.input_drive == "bits" else 1

    @property
    def convert_cycles(self) -> int:
        """Cycles to convert all columns of one read."""
        return self.column_mux.columns_per_adc * self.adc.cycles(self)


@dataclass(frozen=True)
class BuiltShare:
    """A component on a chip, or on those of its tiles that are of one type. `columns` are the layers of the
    ledger that these pay for; None: all of them.
    """

    chip: HardwareConfig
    component: Component
    size: ChipSize
    columns: tuple[int, ...] | None = None

    @property
    def instances(self) -> int:
        return self.component.instances(self.chip, self.size)


def of_all_instances(shares: Iterable[BuiltShare], each: Callable[[BuiltShare], float]) -> float:
    """A figure that an instance has, of all of them. Equal ones are counted before they are multiplied, so
    types of tile that do not differ in it have the sum of a chip of one type, to the last digit.
    """
    counts: dict[float, int] = {}
    for share in shares:
        figure = each(share)
        counts[figure] = counts.get(figure, 0) + share.instances
    return sum(figure * count for figure, count in counts.items())


def _leaves(section: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in section.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


@dataclass(frozen=True)
class Hardware:
    """A validated config with the provenance of every value, its hash, where it was read, and what was laid
    over the file (dotted key to value).
    """

    config: HardwareConfig
    provenance: Mapping[str, Provenance]
    unsourced: tuple[str, ...]
    sha256: str
    path: Path
    overrides: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.config.name
