"""What each layer of a comparison or a run takes, on the page."""

from __future__ import annotations

from collections.abc import Sequence

from imcsim.report.figures.layers import layer_heat, layer_time
from imcsim.report.page.exhibits import Exhibit
from imcsim.report.page.tables import Column, Table
from imcsim.report.terminal.efficiency import TIME_LINE, layers_cells, resources_of, time_cells
from imcsim.report.units import typeset
from imcsim.results.efficiency import LayerEfficiency


def layer_exhibits(work: Sequence[LayerEfficiency]) -> list[Exhibit]:
    """What bounds each layer, and its energy by component."""
    found = []
    resources = resources_of(work)
    if any(layer.latency_ns for layer in work):
        found.append(
            Exhibit(
                "layer_time", "What bounds each layer", TIME_LINE, lambda: layer_time(work),
                ("layer", "latency_ns", "bound_by", "utilisation", *(f"busy_{n}_ns" for n in resources)),
                [
                    [la.name, la.latency_ns, la.bound_by, la.utilisation, *map(la.busy_ns.get, resources)]
                    for la in work
                    if la.latency_ns is not None
                ],
            )
        )  # fmt: skip
    found.append(
        Exhibit(
            "layer_heat", "Energy by layer and component",
            "Mean per image; cells without a colour take less than a hundred-thousandth of the largest.",
            lambda: layer_heat(work), ("layer", "component", "energy_pj"),
            [[la.name, name, pj] for la in work for name, pj in la.energy_pj_by_component.items()],
        )
    )  # fmt: skip
    return found


def layers_table(work: Sequence[LayerEfficiency]) -> Table:
    """Latency, bound, utilisation, EDP and energy of every layer; the heat map has the components."""
    _, times, rows = time_cells(work)
    _, energies, more = layers_cells(work, "energy")
    of_time = {row[0]: row[1:] for row in rows}
    last = slice(-3, None)
    columns = [_column(title, title not in _WORDS) for title in (*times, *energies[last])]
    cells = [[row[0], *of_time.get(row[0], [""] * (len(times) - 1)), *row[last]] for row in more]
    return Table("layers", columns, cells)


_WORDS = ("layer", "bound\nby")
_LONG = ("bound\nby", "cells\nused, %", "pJ per\nsyn. op.", "skipped\nreads, %")
"""Titles that go on in their second line; of all others that is the unit."""


def _column(title: str, is_number: bool) -> Column:
    """A column of a terminal's table."""
    name, _, unit = title.replace("\n", " ").partition(", ") if title in _LONG else title.partition("\n")
    return Column(name.replace(" ", "_").replace(".", ""), name, typeset(unit), is_number)
