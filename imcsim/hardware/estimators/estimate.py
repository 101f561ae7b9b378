"""What an estimator returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Estimate:
    """One computed figure, in the unit of the key it stands for, and the rule with its source in words.

    follows: what becomes of it at another supply than the node's: an ``energy`` goes with its square,
    ``power`` is proportional to it, a ``delay`` is that of gates; "" does not follow it.
    """

    value: float
    rule: str
    follows: Literal["", "energy", "power", "delay"] = ""


@dataclass(frozen=True)
class Cost:
    """What a unit costs: pJ an operation, um2, and the rule."""

    energy_pj: float
    area_um2: float
    rule: str

    def __add__(self, other: Cost) -> Cost:
        rules = dict.fromkeys([*self.rule.split("; "), *other.rule.split("; ")])
        return Cost(self.energy_pj + other.energy_pj, self.area_um2 + other.area_um2, "; ".join(rules))

    @property
    def energy(self) -> Estimate:
        return Estimate(self.energy_pj, self.rule, "energy")

    @property
    def area(self) -> Estimate:
        return Estimate(self.area_um2, self.rule)
