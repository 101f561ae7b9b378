"""Estimators of plug-ins: energy, area, leakage and time of a component, from the chip's config and node.

A chip's file names the estimator of a component (``estimators: {adc: my_adc}``). What it computes takes the
place of the block's own figures, also of those that the file gives; figures of reference tables take the
place of both. Energy, area and leakage are asked for whenever the chip is priced, times once, when the chip
is loaded.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ValidationError

from imcsim.base.errors import ImcsimError
from imcsim.base.names import refusal, suggestion
from imcsim.base.plugins import Kind, Origin, blamed

if TYPE_CHECKING:
    from pathlib import Path

    from imcsim.hardware.component import Component
    from imcsim.hardware.config import HardwareConfig
    from imcsim.hardware.quantity import Provenance

TIMES = ("_cycles", "_ns")
"""Ends of the keys that are times."""


@dataclass(frozen=True)
class EstimatedFigures:
    """What an estimator computes of one component; what it leaves out stays as the chip's file has it."""

    source: str
    """The equations and where they come from, in words."""
    energy_pj: Mapping[str, float] = field(default_factory=dict)
    """Of one event that the component pays for, by the event's name."""
    area_um2: float | None = None
    """Of one instance."""
    leakage_uw: float | None = None
    """Of one instance."""
    times: Mapping[str, float] = field(default_factory=dict)
    """By keys of the component's block that end in ``_cycles`` (whole numbers) or ``_ns``, such as
    ``conversion_cycles``."""


class Estimator(ABC):
    """Computes figures of components."""

    blocks: ClassVar[tuple[str, ...]] = ()
    """The components that it is for, such as ``("adc",)``; none means any."""

    @abstractmethod
    def figures(self, chip: HardwareConfig, block: str) -> EstimatedFigures:
        """The figures of a component of a chip; the same whenever it is asked.

        Args:
            chip: It has all keys of the hardware file (``chip.technology.node_nm``, ``chip.adc.bits``), and
                its components compute their own figures (``chip.adc.area_um2(chip)``), without any estimator.
            block: The component, such as ``adc``.
        """


ESTIMATORS: Kind[Estimator] = Kind("estimators", Estimator, {})
"""All estimators, by name. The rules of our own components stand with them, and in this package."""

NOTHING = EstimatedFigures("")


def check_named(chip: HardwareConfig, provenance: Mapping[str, Provenance], file: Path) -> None:
    """Raise ImcsimError, with the line of the chip's `file`, where there is no estimator that it names."""
    for block, name in chip.estimators.items():
        try:
            ESTIMATORS.get(name)
        except ImcsimError as error:
            if error.file is not None or error.key is not None:  # a plug-in is broken, not the chip
                raise
            key = f"estimators.{block}"
            about = provenance.get(key)
            if about is None or about.line is None:
                raise ImcsimError(error.message, key=f"override {key}", fix=error.fix) from None
            place = about.file or file
            raise ImcsimError(error.message, file=place, line=about.line, key=key, fix=error.fix) from None


def plugged_figures(chip: HardwareConfig, component: Component) -> EstimatedFigures:
    """What the estimator computes that the chip names for a component; nothing where it names none.

    Raises ImcsimError, with the plug-in's file and line, for what is no figure of the component.
    """
    name = chip.estimators.get(component.block)
    if name is None:
        return NOTHING
    plain = chip.model_copy(update={"estimators": {}})
    estimator, origin = ESTIMATORS.get(name), ESTIMATORS.origin(name)
    assert origin is not None
    if estimator.blocks and component.block not in estimator.blocks:
        fix = f"estimator {name} is for {', '.join(estimator.blocks)}"
        raise ImcsimError("this estimator is not for it", key=f"estimators.{component.block}", fix=fix)
    with blamed(origin, f"figures of {component.block} failed"):
        found = estimator.figures(plain, component.block)
    check_figures(found, origin, component, plain)
    return found


def check_figures(found: object, origin: Origin, component: Component, chip: HardwareConfig) -> None:
    """Raise ImcsimError unless an estimator's answer fits a component of a chip without estimators."""
    block = component.block
    if not isinstance(found, EstimatedFigures):
        raise origin.error(f"figures of {block}: expected EstimatedFigures, got {found!r:.60}")
    if not isinstance(found.source, str) or not found.source.strip():
        raise origin.error(f"figures of {block}: source must say where the equations come from")
    times = [key for key in type(component).model_fields if key.endswith(TIMES)]
    _check_keys(found.energy_pj, [str(e) for e in component.charges(chip)], origin, f"energy_pj of {block}")
    _check_keys(found.times, times, origin, f"times of {block}")
    named: dict[str, object] = {"area_um2": found.area_um2, "leakage_uw": found.leakage_uw}
    named |= {f"energy_pj of {key}": value for key, value in found.energy_pj.items()}
    named |= {f"times of {key}": value for key, value in found.times.items()}
    for what, value in named.items():
        if value is None:
            continue
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value < 0:  # type: ignore[arg-type, operator]
            message = f"{what}: expected a number of at least 0, got {value!r:.60}"
            raise origin.error(f"figures of {block}: {message}")


def _check_keys(given: Mapping[str, float], known: Iterable[str], origin: Origin, what: str) -> None:
    known = list(known)
    for key in given:
        if key not in known:
            hint = suggestion(str(key), known, f"there are {', '.join(known) or 'none'}")
            raise origin.error(f"{what}: there is no {key!r:.60}; {hint}")


def with_times(chip: HardwareConfig) -> tuple[HardwareConfig, dict[str, str]]:
    """The chip with the times that its estimators compute, and, by dotted key, where these come from.

    Raises ImcsimError for an estimator that is not there, is broken, or gives a time that the block refuses.
    """
    changed: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for name, component in chip.components():
        found = plugged_figures(chip, component)
        if not found.times:
            continue
        try:
            changed[name] = type(component).model_validate({**component.model_dump(), **found.times})
        except ValidationError as error:
            origin = ESTIMATORS.origin(chip.estimators[name])
            first = error.errors(include_url=False)[0]
            key = ".".join(str(part) for part in (name, *first["loc"]))
            assert origin is not None
            raise origin.error(f"times of {key}: {refusal(first)}, got {first['input']!r:.60}") from None
        sources |= {f"{name}.{key}": found.source for key in found.times}
    return (chip.model_copy(update=changed) if changed else chip), sources


def shown_figures(chip: HardwareConfig) -> list[tuple[str, float, str, str]]:
    """Key, value, unit and source of all energies, areas and leakages that estimators of the chip compute."""
    rows = []
    for name, component in chip.components():
        found = plugged_figures(chip, component)
        rows += [(f"{name}.{key}", value, "pJ", found.source) for key, value in found.energy_pj.items()]
        if found.area_um2 is not None:
            rows.append((f"{name}.area", found.area_um2, "um2", found.source))
        if found.leakage_uw is not None:
            rows.append((f"{name}.leakage", found.leakage_uw, "uW", found.source))
    return rows
