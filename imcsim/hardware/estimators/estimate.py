"""What an estimator returns."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """One computed figure, in the unit of the key it stands for, and the rule with its source in words."""

    value: float
    rule: str


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
        return Estimate(self.energy_pj, self.rule)

    @property
    def area(self) -> Estimate:
        return Estimate(self.area_um2, self.rule)
