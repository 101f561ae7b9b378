"""What a search for a mapping found, as tables."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from imcsim.base.plurals import counted
from imcsim.base.tile_types import OWN_WORD
from imcsim.report.terminal.grid import table
from imcsim.report.units import ENERGY, TIME, Unit, change, fitting, number, percent, product
from imcsim.results.mapped import Mapped, MappingSearch, Objective

MOST_OF_FRONT = 12
"""Mappings of the front that are printed."""


NAMES: dict[Objective, str] = {
    "latency": "latency", "throughput": "time between images", "energy": "energy", "edp": "EDP",
    "area": "area",
}  # fmt: skip
"""What the figure of each objective is called."""


def shown_objective(found: MappingSearch) -> Objective:
    """What a figure or table shows against area: the objective, or the EDP where that is area itself."""
    return "edp" if found.objective == "area" else found.objective


def unit_of(objective: Objective, mappings: tuple[Mapped, ...]) -> Unit:
    """The unit in which all figures of an objective are read."""
    energy = fitting(ENERGY, (one.energy_pj for one in mappings))
    time = fitting(TIME, (one.latency_ns for one in mappings))
    return {"energy": energy, "edp": product(energy, time)}.get(objective, time)


def search_report(found: MappingSearch) -> Group:
    """The mapping of the file beside the one that was found, and the front; in the width of the terminal."""
    parts: list[RenderableType] = [
        _both(found),
        Text(
            f"Judged by the timing engine on {counted(found.images, 'validation image')}, each until its "
            "exit.\n"
            f"{len(found.tried)} mappings within {found.budget} tried.{_left_out(found)}\n"
        ),
    ]
    if found.objective != "area":
        parts.append(_front(found))
    return Group(*parts)


def _left_out(found: MappingSearch) -> str:
    if not found.less_accurate:
        return ""
    return (
        f" Left out for fewer images that are right: {found.less_accurate} ways\n"
        "to assign layers to types of tile, or to order rows."
    )


def types_text(one: Mapped) -> str:
    """``conv2 small``: the layers that do not stand on the chip's own type of tile."""
    return ", ".join(f"{name} {kind}" for name, kind in one.tile_types.items() if kind != OWN_WORD) or "none"


def copies_text(one: Mapped) -> str:
    """``conv1 32, conv2 4``: the layers that have copies."""
    return ", ".join(f"{name} {n}" for name, n in one.copies.items() if n > 1) or "none"


def _both(found: MappingSearch) -> Table:
    title = f"Mapping of {found.network} on {found.hardware} for the least {NAMES[found.objective]}"
    return table(title, ["", "as in the file", "found", ""], side_by_side(found))


def side_by_side(found: MappingSearch) -> list[tuple[str, str, str, str]]:
    """The mapping of the file beside the one that was found: what, ours, theirs, change."""
    shares = ("no", "yes")
    rows: list[tuple[str, str, str, str]] = [
        ("copies", copies_text(found.given), copies_text(found.best), ""),
        *(
            [("other tiles", types_text(found.given), types_text(found.best), "")]
            * bool(found.given.tile_types)
        ),
        *([("row order", found.given.row_order, found.best.row_order, "")] * _orders_differ(found)),
        ("layers share tiles", shares[found.given.share_tiles], shares[found.best.share_tiles], ""),
        ("placement", found.given.placement, found.best.placement, ""),
        ("columns per ADC", str(found.given.columns_per_adc), str(found.best.columns_per_adc), ""),
        ("crossbars", f"{found.given.crossbars:,}", f"{found.best.crossbars:,}", ""),
        ("tiles", f"{found.given.tiles:,}", f"{found.best.tiles:,}", ""),
        _row("area (mm2)", found.given.area_mm2, found.best.area_mm2, 1),
        ("accuracy (%)", _accuracy(found, found.given), _accuracy(found, found.best), ""),
        _row("mean timesteps", found.given.mean_timesteps, found.best.mean_timesteps, 1),
    ]
    objectives: tuple[Objective, ...] = ("latency", "throughput", "energy", "edp")
    for objective in objectives:
        unit = unit_of(objective, found.tried)
        ours, theirs = (one.figure(objective) for one in (found.given, found.best))
        rows.append(_row(f"{NAMES[objective]} ({unit.name})", ours, theirs, unit.per_base))
    return rows


def _accuracy(found: MappingSearch, one: Mapped) -> str:
    return percent(one.right / found.images)


def _orders_differ(found: MappingSearch) -> bool:
    return len({one.row_order for one in found.tried}) > 1


def _row(name: str, ours: float, theirs: float, per_base: float) -> tuple[str, str, str, str]:
    return name, number(ours / per_base), number(theirs / per_base), change(1 - theirs / ours)


def _front(found: MappingSearch) -> Group:
    objective = shown_objective(found)
    unit = unit_of(objective, found.tried)
    shown = found.front[-MOST_OF_FRONT:]
    rows = [
        (
            copies_text(one),
            ("no", "yes")[one.share_tiles],
            str(one.columns_per_adc),
            str(one.tiles),
            number(one.area_mm2),
            unit(one.figure(objective)),
        )
        for one in shown
    ]
    columns = [
        "copies",
        "tiles\nshared",
        "columns\nper ADC",
        "tiles",
        "area\nmm2",
        f"{NAMES[objective]}\n{unit.name}",
    ]
    left_out = len(found.front) - len(shown)
    title = "Front against area" + (f" (the {left_out} smallest chips left out)" if left_out else "")
    return Group(Text(), table(title, columns, rows))
