"""What an addition and a multiplication cost in the estimates that papers on spiking networks print.

Such an estimate counts operations and multiplies them with the energy of an arithmetic unit alone: no memory,
no wires, no conversion, no leakage. It is shown beside our figures and enters none of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml


@dataclass(frozen=True)
class NaiveEnergies:
    """pJ for each operation, and the node in nm for which they hold."""

    accumulate_pj: float
    multiply_accumulate_pj: float
    node_nm: float


@cache
def naive_energies() -> NaiveEnergies:
    """The figures of ``hardware/figures/operations.yaml``, where their source stands."""
    text = (files("imcsim.hardware") / "figures" / "operations.yaml").read_text(encoding="utf-8")
    entries: dict[str, dict[str, Any]] = yaml.safe_load(text)
    add, both = entries["accumulate"], entries["multiply_accumulate"]
    return NaiveEnergies(float(add["energy_pj"]), float(both["energy_pj"]), float(add["node_nm"]))
