"""The comparison at any other threshold, moved by hand: from the outcomes of its images, in the page."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from imcsim.report.page.interactive import Interactive
from imcsim.report.terminal.tables import static_name
from imcsim.report.units import ENERGY, TIME, Unit, change, fitting, number, percent, pretty, product
from imcsim.results.comparison import CompareResult, Dynamic, StaticPoint
from imcsim.results.statistics import NORMAL_975

MOST_SLIDERS = 15
"""Thresholds of single timesteps up to which each has a slider."""


def threshold_slider(result: CompareResult) -> Interactive | None:
    """Sliders that move all figures of the dynamic run; None where the outcomes of its images are not known,
    or where no image may exit early.
    """
    outcomes = result.outcomes
    if outcomes is None or outcomes.timesteps == 1:
        return None
    dynamic, static = result.dynamic, result.static[-1]
    early = outcomes.timesteps - 1
    energy = fitting(ENERGY, (dynamic.energy_pj, static.energy_pj))
    time = fitting(TIME, (dynamic.latency_ns, static.latency_ns))
    edp = product(energy, time)
    units: dict[str, tuple[str, Unit | None]] = {
        "accuracy": ("accuracy", None),
        "mean_timesteps": ("mean timesteps", None),
        "energy_pj": ("energy", energy),
        "latency_ns": ("latency", time),
        "edp_mean_of_products": ("EDP, mean of products", edp),
        "edp_product_of_means": ("EDP, product of means", edp),
    }
    rows = [_row(key, title, unit, dynamic, static) for key, (title, unit) in units.items()]
    place = files("imcsim.report.site") / "static"
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    html = environment.from_string((place / "thresholds.html").read_text("utf-8")).render(
        early=early,
        shown_each=2 <= early <= MOST_SLIDERS,
        rows=rows,
        static_name=static_name(static),
        exits=[{"text": percent(share), "value": share} for share in dynamic.exit_fraction],
    )
    stated = dynamic.thresholds or (dynamic.threshold,) * early
    data = {
        "outcomes": outcomes.model_dump(),
        "thresholds": stated,
        "rows": [{name: row[name] for name in ("key", "per_base")} | {"static": row["raw"]} for row in rows],
        "z": NORMAL_975,
    }
    return Interactive(
        "thresholds",
        Markup(html),
        (place / "thresholds.css").read_text("utf-8"),
        (place / "thresholds.js").read_text("utf-8"),
        data,
    )


def _row(key: str, title: str, unit: Unit | None, dynamic: Dynamic, static: StaticPoint) -> dict[str, Any]:
    """A figure of both runs as texts."""
    ours: float = getattr(dynamic, key)
    theirs = float(static.timesteps) if key == "mean_timesteps" else float(getattr(static, key))
    row: dict[str, Any] = {"key": key, "title": title, "raw": theirs, "per_base": 1.0, "unit": ""}
    if key == "accuracy":
        points = 100 * (ours - theirs)
        return row | {
            "unit": "%", "dynamic": _with_interval(dynamic), "static": _with_interval(static),
            "change": f"{points:+.1f} points" if points else "0.0 points",
        }  # fmt: skip
    moved = change(1 - ours / theirs).replace(" ", "\N{NO-BREAK SPACE}") if theirs else ""
    if unit is None:
        return row | {"dynamic": f"{ours:.3f}", "static": f"{theirs:.3f}", "change": moved}
    return row | {
        "unit": pretty(unit), "per_base": unit.per_base, "change": moved,
        "dynamic": number(ours / unit.per_base), "static": number(theirs / unit.per_base),
    }  # fmt: skip


def _with_interval(run: Dynamic | StaticPoint) -> str:
    ends = f"[{percent(run.accuracy_low)}, {percent(run.accuracy_high)}]"
    return f"{percent(run.accuracy)} {ends}"
