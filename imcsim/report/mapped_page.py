"""What a search for a mapping found, as a page: the front against area, and the two mappings side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from imcsim._version import __version__
from imcsim.base.plurals import counted
from imcsim.report.figures.mapped import front_figure
from imcsim.report.page.exhibits import Exhibit
from imcsim.report.page.grids import Grid
from imcsim.report.page.page import Section, compose
from imcsim.report.page.tables import Column
from imcsim.report.terminal.mapped import NAMES, shown_objective, side_by_side
from imcsim.report.units import percent
from imcsim.results.mapped import MappingSearch

_CAPTION = (
    "Every mapping within the budget that was tried, played by the timing engine and priced, each image "
    "until its exit. The line joins those of which none with as little area is as good. {count} mappings, "
    "{front} of them on the front."
)
_HEADS = ("", "as in the file", "found", "change")


def search_page(
    found: MappingSearch, columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> dict[str, bytes]:
    """Contents of the page's files, by name. `columns` and `rows` are those of all that was tried."""
    name, shown = NAMES[found.objective], NAMES[shown_objective(found)]
    exhibit = Exhibit(
        "front",
        f"{shown[0].upper()}{shown[1:]} against area",
        _CAPTION.format(count=len(found.tried), front=len(found.front)),
        lambda: front_figure(found),
        columns,
        rows,
    )
    both = side_by_side(found)
    heads = [Column(f"column{k}", title, "", k > 0) for k, title in enumerate(_HEADS)]
    grid = Grid("both", "The mapping of the file and the one found", heads, both, _HEADS, both, wide=True)
    facts = [
        ("Network", found.network),
        ("Chip", found.hardware),
        ("Objective", name),
        ("Budget", str(found.budget)),
        ("Images", f"{counted(found.images, 'validation image')}, each until its exit"),
        ("Accuracy", f"{percent(found.accuracy)} % on the chip of the file, no less on any other"),
        ("Version", __version__),
    ]
    sections = [
        Section("found", "What was found", grids=(grid,)),
        Section("front", "Front", exhibits=(exhibit,)),
    ]
    return compose(f"Mapping of {found.network}", facts, (), sections, lambda *_: None)
