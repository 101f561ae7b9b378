"""What every component of the chip has in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from imcsim.hardware.estimators.estimate import Estimate
from imcsim.hardware.estimators.estimator import plugged_figures
from imcsim.hardware.estimators.supply import at_supply
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]

ESTIMATE: Literal["estimate"] = "estimate"
Figure = NonNegative | Literal["estimate"]
"""A figure given by hand, or the word ``estimate``: then the block's estimator computes it from the rest of
the config.
"""

Scope = Literal["crossbar", "pe", "tile", "chip"]
"""What a component is part of. All but ``chip`` are parts of a tile, and are gated with it."""


class Block(BaseModel):
    """A section of a hardware file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    def estimates(self, chip: HardwareConfig) -> Mapping[str, Estimate]:
        """The computed figure of every key that may say ``estimate``, by key.

        Raises ImcsimError where the rule does not reach the config's node.
        """
        return {}

    def computed(self, chip: HardwareConfig) -> Mapping[str, Estimate]:
        """`estimates` at the chip's supply."""
        found = self.estimates(chip)
        volt = chip.technology.supply_v
        if volt == "nominal":
            return found
        return {key: at_supply(one, volt, chip.technology.node_nm) for key, one in found.items()}

    def figure(self, key: str, chip: HardwareConfig) -> float:
        """The number at `key`, computed where the file says ``estimate``."""
        value = getattr(self, key)
        if value != ESTIMATE:
            return float(value)
        known: Mapping[str, Estimate] = self._once("estimates", chip, self.computed)
        return known[key].value

    def _once(self, what: str, chip: HardwareConfig, compute: Callable[[HardwareConfig], Any]) -> Any:
        """Compute a figure of this block on `chip` once: most rest on figures of many other components."""
        found = chip.figures.get((id(self), what))
        if found is None or found[0] is not self:  # another block that had this identity
            found = chip.figures[id(self), what] = self, compute(chip)
        return found[1]


class Component(Block):
    """Fields are the component's config block; methods are its estimator.

    `charges` gives pJ for one event, `area_um2` and `leakage_uw` are for one instance, and there are
    `instances` of it on the chip. Subclasses say what they are by the methods with an underscore; figures of
    an estimator that the chip names take their place here, and figures from a reference table that of both.
    """

    block: ClassVar[str]
    """Key of the config block."""
    scope: ClassVar[Scope]

    def charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        """Energy in pJ of each event that this component pays for."""
        known: Mapping[Event, float] = self._once("charges", chip, self._paid)
        return known

    def _paid(self, chip: HardwareConfig) -> Mapping[Event, float]:
        computed = plugged_figures(chip, self).energy_pj
        own = {event: computed.get(event, energy) for event, energy in self._charges(chip).items()}
        table = chip.reference.energy_pj.get(self.block, {})
        return {event: table.get(event, energy) for event, energy in own.items()}

    def area_um2(self, chip: HardwareConfig) -> float:
        """Area of one instance in um2."""
        return float(self._once("area", chip, self._covered))

    def _covered(self, chip: HardwareConfig) -> float:
        area = chip.reference.area_um2.get(self.block)
        if area is None:
            area = plugged_figures(chip, self).area_um2
        return self._area_um2(chip) if area is None else area

    def leakage_uw(self, chip: HardwareConfig) -> float:
        """Static power of one instance in uW."""
        return float(self._once("leakage", chip, self._leaked))

    def _leaked(self, chip: HardwareConfig) -> float:
        leakage = chip.reference.leakage_pj.get(self.block)
        if leakage is not None:
            return leakage / chip.technology.clock_ns * 1e3
        computed = plugged_figures(chip, self).leakage_uw
        return self._leakage_uw(chip) if computed is None else computed

    def standing_energy_pj(self, chip: HardwareConfig) -> float:
        """Energy in pJ of one instance in a clock cycle in which it is powered: 1 uW over 1 ns is 1e-3 pJ."""
        return self.leakage_uw(chip) * chip.technology.clock_ns * 1e-3

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        """How many instances a chip of this size has."""
        raise NotImplementedError

    def stands(self, size: ChipSize) -> bool:
        """Whether a chip built for such a network has this component at all."""
        return True

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        raise NotImplementedError

    def _area_um2(self, chip: HardwareConfig) -> float:
        raise NotImplementedError

    def _leakage_uw(self, chip: HardwareConfig) -> float:
        return 0.0


class Extra(Component):
    """A component that takes no area and that a chip may do without: at most one, where it is `present`."""

    @property
    def present(self) -> bool:
        """Whether the chip has it."""
        raise NotImplementedError

    def stands(self, size: ChipSize) -> bool:
        return self.present

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return int(self.present)

    def _area_um2(self, chip: HardwareConfig) -> float:
        return 0.0


@dataclass(frozen=True)
class Reach:
    """How far wires reach over a chip, in sides of a tile: that of a verdict to the farthest tile, and the
    longest link of the network on chip; of several chips over that where it is most.
    """

    verdict_pitches: int
    longest_link: int = 1
    package_links: int = 0
    """Links between chips that a verdict passes, one after the other, to the farthest of them."""


@dataclass(frozen=True)
class ChipSize:
    """What mapping a network took. Tiles are whole tiles, so crossbars and PEs include unused ones.

    parts: parts of layers in tiles; each has neurons, adders, pooling and an output register of its own.
    state_bits: membrane and stored-current bits of each part that has any. delay_bits: of the spikes that
    parts keep for later timesteps. output_row_bits: of the output rows that all parts may hold. channels:
    output channels of all parts that have neurons. activates: the chip is built with activation units in the
    place of LIF units. parameter_bits: of the words that each neuron of a part has for itself, an entry for
    each of them: a threshold, a leak, a synapse.
    """

    tiles: int
    pes: int
    crossbars: int
    state_bits: tuple[int, ...] = ()
    parts: int = 0
    output_row_bits: int = 0
    channels: int = 0
    delay_bits: tuple[int, ...] = ()
    activates: bool = False
    parameter_bits: tuple[int, ...] = ()
    routers: int | None = None
    """Of the network on chip; None: one for each tile."""
    chips: int = 1
    """Chips of the package; each has what a chip has once."""
    of_types: tuple[TypeSize, ...] = ()
    """What there is of each type of tile, the chip's own first; empty where all tiles are alike."""

    @property
    def memory_bits(self) -> int:
        """Bits of state that the chip must hold."""
        return sum(self.state_bits) + sum(self.delay_bits) + sum(self.parameter_bits)

    def holding(self, images: int) -> ChipSize:
        """The same chip with the state of so many images at a time."""
        return replace(
            self,
            state_bits=tuple(bits * images for bits in self.state_bits),
            delay_bits=tuple(bits * images for bits in self.delay_bits),
        )

    @property
    def ports(self) -> int:
        """Sets of what a part has of its own; every tile has at least one."""
        return max(self.parts, self.tiles)


@dataclass(frozen=True)
class TypeSize:
    """The tiles of one type. `columns` are the layers of the ledger that they do the work of; the chip's own
    type pays for what is of no layer, too.
    """

    tile_type: str
    columns: tuple[int, ...]
    size: ChipSize
