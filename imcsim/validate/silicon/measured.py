"""Measured figures of chips with their conditions, from ``chips.yaml``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import yaml

Scope = Literal["core", "chip"]


@dataclass(frozen=True)
class Operation:
    """What is measured: products of matrices with vectors, one after the other.

    rows, outputs: of the matrix that a core holds. weight_bits: of its elements. cores: that work at a time,
    each on what the one before it puts out. columns_per_output: columns that count as outputs of their own,
    where a chip's operations are of single bits.
    """

    rows: int
    outputs: int
    weight_bits: int
    cores: int = 1
    columns_per_output: int = 1

    @property
    def operations(self) -> int:
        """Multiplications and additions of one product in all cores."""
        return 2 * self.rows * self.outputs * self.columns_per_output * self.cores


@dataclass(frozen=True)
class Setting:
    """One way in which a chip was measured.

    figures: what was measured. overrides: what of the chip's file is set so. reads: of which an operation
    consists, each of which drives the share `driven` of the rows. inputs, weights: their share of the largest
    value, all alike; random where there is none.
    """

    name: str
    input_bits: int
    figures: Mapping[str, float]
    overrides: Mapping[str, Any] = field(default_factory=dict)
    reads: int = 1
    driven: float = 1.0
    inputs: float | None = None
    weights: float | None = None


@dataclass(frozen=True)
class MeasuredChip:
    """A chip. hardware: the name of its file. copies: cores of the figure over cores that are simulated.

    groups: components of the simulated chip by the name under which the paper has them. A ``core`` is what
    belongs to a crossbar; a ``chip`` is all.
    """

    name: str
    title: str
    hardware: str
    about: str
    source: str
    mark: str
    operation: Operation
    scope: Scope
    settings: Sequence[Setting]
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    copies: int = 1


@dataclass(frozen=True)
class FigureKind:
    """A kind of figure and its unit."""

    name: str
    unit: str


KINDS = {
    "tops": FigureKind("throughput", "TOPS"),
    "tops_per_w": FigureKind("efficiency", "TOPS/W"),
    "tops_per_mm2": FigureKind("density", "TOPS/mm2"),
    "fj_per_op": FigureKind("per operation", "fJ"),
    "pj": FigureKind("per conversion", "pJ"),
    "um2": FigureKind("area", "um2"),
    "um2_per_column": FigureKind("area per column", "um2"),
}
"""What can be measured, by the first word of its key; a group of components follows behind a dot."""


@cache
def measured_chips() -> tuple[MeasuredChip, ...]:
    """All measured chips, in the order of the file."""
    text = (files("imcsim.validate.silicon") / "chips.yaml").read_text(encoding="utf-8")
    return tuple(_chip(name, entry) for name, entry in yaml.safe_load(text).items())


def _chip(name: str, entry: dict[str, Any]) -> MeasuredChip:
    settings = tuple(_setting(one) for one in entry.pop("settings"))
    return MeasuredChip(name=name, operation=Operation(**entry.pop("operation")), settings=settings, **entry)


def _setting(entry: dict[str, Any]) -> Setting:
    figures = {key: float(value) for key, value in entry.pop("measured").items()}
    return Setting(figures=figures, **entry)
