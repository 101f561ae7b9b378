"""How far the figures of a comparison may be off, on the page."""

from __future__ import annotations

from imcsim.report.figures.tornado import panels, tornado
from imcsim.report.page.exhibits import Exhibit
from imcsim.report.page.tables import Column, Table
from imcsim.report.terminal.ranges import COLUMNS, range_rows
from imcsim.report.units import typeset
from imcsim.results.ranges import ABSOLUTE, RELATIVE, Ranges, value_of


def tornadoes(ranges: Ranges) -> list[Exhibit]:
    """One figure with a chart for each figure that an alternative moves."""
    shown = panels(ranges)
    if not shown:
        return []
    names = (*ABSOLUTE, *(f"reduction.{name}" for name in RELATIVE))
    rows = [
        [one.kind, one.group, one.name, one.used, *(value_of(one, name) for name in names)]
        for one in ranges.alternatives
    ]
    return [
        Exhibit(
            "tornado", "What each alternative moves",
            "One alternative at a time, all else as the chip is. Bars of a group are its least and its most.",
            lambda: tornado(ranges, shown), ("kind", "group", "alternative", "used", *names), rows,
        )
    ]  # fmt: skip


def ranges_table(ranges: Ranges, timesteps: int) -> Table:
    """Every interval that an alternative moves."""
    columns = [Column(key.replace(" ", "_"), key, "", False) for key in COLUMNS]
    return Table("ranges", columns, [tuple(map(typeset, row)) for row in range_rows(ranges, timesteps)])
