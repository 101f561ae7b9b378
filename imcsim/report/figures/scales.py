"""Axes of energy, latency, EDP and area, each in a unit that fits what is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from imcsim.report.units import AREA, ENERGY, TIME, Unit, fitting, pretty, product


@dataclass(frozen=True)
class Scale:
    """What an axis of a figure shows, in which unit."""

    label: str
    unit: Unit

    def __call__(self, value: float) -> float:
        return value / self.unit.per_base

    @property
    def title(self) -> str:
        return f"{self.label} ({pretty(self.unit)})"

    @property
    def brief(self) -> str:
        """For small panels: without what the caption says."""
        return self.title.replace(" per image", "").replace(", mean over images", "")


def scales(outcomes: Sequence[Any]) -> dict[str, Scale]:
    """Scales for energy, latency, edp and area that fit the outcomes; a figure uses one each."""
    energy = fitting(ENERGY, (one.energy_pj for one in outcomes))
    latency = fitting(TIME, (one.latency_ns for one in outcomes))
    return {
        "energy": Scale("energy per image", energy),
        "latency": Scale("latency per image", latency),
        "edp": Scale("EDP, mean over images", product(energy, latency)),
        "area": Scale("area", fitting(AREA, (one.area_um2 for one in outcomes))),
    }
