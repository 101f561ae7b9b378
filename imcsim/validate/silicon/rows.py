"""Predicted, measured, how far apart, and which component carries the prediction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import imcsim.hardware
from imcsim.validate.silicon.measured import KINDS, MeasuredChip, Setting, measured_chips
from imcsim.validate.silicon.product import ProductCost, Products

OTHER = "neurosim_sar"
"""The converter with which energies and areas are predicted once more, at the same times."""


@dataclass(frozen=True)
class SiliconRow:
    """One measured figure beside its blind prediction.

    figure: its key in ``chips.yaml``. other: the prediction with the converter `OTHER`. carried_by: the
    component with the largest part of the prediction, or what bounds the time, and its share.
    """

    chip: str
    title: str
    setting: str
    figure: str
    unit: str
    predicted: float
    measured: float
    other: float
    carried_by: str
    share: float
    source: str
    mark: str

    @property
    def error(self) -> float:
        """Relative and signed: 0.2 is 20 % too high."""
        return self.predicted / self.measured - 1

    @property
    def factor(self) -> float:
        """The larger of both over the smaller."""
        return max(self.predicted / self.measured, self.measured / self.predicted)

    def document(self) -> dict[str, Any]:
        """Plain values, with error and factor."""
        return {**asdict(self), "error": self.error, "factor": self.factor}


def silicon_rows(chips: Sequence[MeasuredChip] | None = None) -> Iterator[SiliconRow]:
    """The rows of all chips, or of some."""
    for chip in measured_chips() if chips is None else chips:
        for setting in chip.settings:
            hardware = imcsim.hardware.load(chip.hardware, dict(setting.overrides))
            played = Products(hardware, chip, setting)
            changed = {
                "adc.preset": OTHER,
                "adc.conversion_cycles": hardware.config.adc.cycles(hardware.config),
            }
            other = imcsim.hardware.load(chip.hardware, {**setting.overrides, **changed}).config
            costs = played.cost(), played.cost(other.with_exit_rule(played.long.chip.timing.rule))
            for key in setting.figures:
                yield _row(chip, setting, key, costs)


def medians(rows: Sequence[SiliconRow]) -> dict[str, tuple[int, float, float]]:
    """By chip's title, and for all rows under "": how many, the median factor, and the largest."""
    titles = dict.fromkeys(row.title for row in rows)
    groups = {title: [row.factor for row in rows if row.title == title] for title in titles}
    groups[""] = [row.factor for row in rows]
    return {title: (len(found), median(found), max(found)) for title, found in groups.items() if found}


def _row(
    chip: MeasuredChip, setting: Setting, key: str, costs: tuple[ProductCost, ProductCost]
) -> SiliconRow:
    kind, _, group = key.partition(".")
    members = chip.groups[group] if group else None
    (predicted, parts), (other, _) = (_predicted(kind, members, cost, chip.copies) for cost in costs)
    carried, share = costs[0].bound, 1.0
    if kind != "tops":
        carried = max(parts, key=lambda name: parts[name])
        share = parts[carried] / sum(parts.values())
    return SiliconRow(
        chip.name, chip.title, setting.name, key, KINDS[kind].unit, predicted, setting.figures[key], other,
        carried, share, chip.source, chip.mark,
    )  # fmt: skip


def _predicted(
    kind: str, group: Sequence[str] | None, cost: ProductCost, copies: int
) -> tuple[float, Mapping[str, float]]:
    """The figure, and the parts of the energy or area that it rests on."""
    energy, area = (
        {name: part for name, part in parts.items() if group is None or name in group}
        for parts in (cost.energy_pj, cost.area_um2)
    )
    tops = cost.operations / cost.time_ns * 1e-3
    whole_pj, whole_um2 = sum(energy.values()), sum(area.values())
    figures = {
        "tops": (copies * tops, energy),
        "tops_per_w": (cost.operations / whole_pj, energy),
        "tops_per_mm2": (tops / (whole_um2 * 1e-6), area),
        "fj_per_op": (whole_pj / cost.operations * 1e3, energy),
        "pj": (whole_pj / cost.conversions, energy),
        "um2": (whole_um2, area),
        "um2_per_column": (whole_um2 / cost.columns, area),
    }
    return figures[kind]
