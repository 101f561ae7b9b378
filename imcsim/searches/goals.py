"""What a search is after: figures that shall be small or large; and the points that are the best trades."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Objective:
    """A figure by the name that specs use, the store's column that holds it, and which way is better."""

    name: str
    column: str
    larger: bool = False


OBJECTIVES = {
    one.name: one
    for one in (
        Objective("energy", "energy_pj"),
        Objective("latency", "latency_ns"),
        Objective("latency_p99", "latency_p99_ns"),
        Objective("edp", "edp_mean_of_products"),
        Objective("area", "area_um2"),
        Objective("accuracy", "accuracy", larger=True),
    )
}
FIGURES = {**{name: one.column for name, one in OBJECTIVES.items()}, "mean_timesteps": "mean_timesteps"}
"""Figures of a result that constraints may name, and their columns, whose ends are the units."""
COLUMNS = tuple(FIGURES.values())


def figures(outcome: Mapping[str, Any]) -> dict[str, float]:
    """The figures that a point has, by every name that a constraint may use."""
    had = {name: column for name, column in FIGURES.items() if outcome[column] is not None}
    by_name = {name: float(outcome[column]) for name, column in had.items()}
    return by_name | {column: by_name[name] for name, column in had.items()}


def front(rows: Sequence[Sequence[float]], objectives: Sequence[Objective]) -> list[int]:
    """Which rows no other row beats: none is as good in every objective and better in one.

    A row holds the objectives' figures. Rows that are equal stand together. Returns positions, in order.
    """
    if not rows:
        return []
    signs = np.array([-1.0 if one.larger else 1.0 for one in objectives])
    costs: NDArray[np.float64] = np.asarray(rows, np.float64) * signs
    kept: list[int] = []
    for k, cost in enumerate(costs):
        beaten = (costs <= cost).all(axis=1) & (costs < cost).any(axis=1)
        if not beaten.any():
            kept.append(k)
    return kept
