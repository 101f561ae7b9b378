"""Points and their results as rows of the store, by column."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from imcsim._version import __version__
from imcsim.hardware.config import Hardware, HardwareConfig
from imcsim.hardware.loader import excluded
from imcsim.results.chips.document import ChipsResult
from imcsim.results.chips.spread import Spread
from imcsim.results.chips.summary import DynamicSpread, StaticSpread
from imcsim.results.comparison import CompareResult
from imcsim.results.efficiency import Efficiency
from imcsim.results.meta import Meta
from imcsim.results.model import to_json
from imcsim.results.model import to_json as chips_to_json
from imcsim.studies.experiment import Experiment
from imcsim.studies.judged import Judged, JudgedRuns
from imcsim.studies.settings import FILES, SETTINGS, RunSettings
from imcsim.sweeps.spec import SweepPoint

SPREADS = {
    "accuracy": ("accuracy_std", "accuracy_worst"),
    "mean_timesteps": ("mean_timesteps_std", "mean_timesteps_worst"),
    "energy_pj": ("energy_std_pj", "energy_worst_pj"),
    "latency_ns": ("latency_std_ns", "latency_worst_ns"),
    "edp_mean_of_products": ("edp_mean_of_products_std", "edp_mean_of_products_worst"),
}
"""Columns of figures that differ from chip to chip: of their means, and of the standard deviation over chips
and the worst chip.
"""

EFFICIENCY = (
    "energy_pj_per_synaptic_operation", "tops", "tops_per_w", "tops_per_mm2", "inferences_per_s",
    "inferences_per_j", "average_power_uw", "power_density_mw_per_mm2",
)  # fmt: skip
"""Columns of efficiency, of the dynamic run and of static T max. Operations are those of one input bit and a
weight of the network's width.
"""


@dataclass(frozen=True)
class Record:
    """A point and its results as the store keeps them, by column."""

    point: dict[str, Any]
    results: tuple[dict[str, Any], ...] = ()


def failed(point: SweepPoint, error: str, hardware: Hardware | None = None) -> Record:
    """The record of a point that has no result."""
    return Record(_about(point, hardware) | {"status": "failed", "error": error})


def _about(point: SweepPoint, hardware: Hardware | None) -> dict[str, Any]:
    return {
        "point": point.index,
        "axes": _json(point.values),
        "config_sha256": None if hardware is None else hardware.sha256,
        "config": None if hardware is None else _json(_recorded(hardware.config)),
        "setting": _json(_recorded_settings(point.setting)),
        "seed": point.setting.options.seed,
        "version": __version__,
    }


def _recorded(config: HardwareConfig) -> dict[str, Any]:
    return config.model_dump(mode="json", by_alias=True, exclude=excluded(config.left_out))


def _recorded_settings(settings: RunSettings) -> dict[str, Any]:
    """All settings of a point but the config's values, as plain data. The seed has a column of its own."""
    values = settings.values()
    files = {key: None if values[key] is None else str(values[key]) for key in FILES}
    others = {key: values[key] for key in SETTINGS if key not in (*FILES, "seed")}
    return {**files, **others, "overrides": dict(settings.overrides)}


JUDGED = (
    "validation_accuracy", "validation_energy_pj", "validation_latency_ns", "validation_edp_mean_of_products",
)  # fmt: skip
"""Columns of figures on the validation images, by which fronts are chosen."""


def done(
    point: SweepPoint, hardware: Hardware, result: CompareResult, judged: JudgedRuns | None = None
) -> Record:
    """The record of a point that ran on one chip; `judged` are its runs on validation images."""
    dynamic = result.dynamic
    about = _about(point, hardware) | _ran(result.meta, result.warnings, to_json(result))
    about |= {
        "areas_um2": _json({c.name: c.area_um2 for c in result.components}),
        "checker_energy_share": result.checker.energy_share_of_one_timestep,
        "programming_energy_pj": result.programming.energy_pj,
        "programming_time_ns": result.programming.time_ns,
    }
    shared = ("accuracy", "accuracy_low", "accuracy_high", "energy_pj", "latency_ns")
    products = ("edp_mean_of_products", "edp_product_of_means")
    rows: list[dict[str, Any]] = []
    for k, one in enumerate(result.static):
        last = one is result.static[-1]
        parts = _json({c.name: c.static_energy_pj for c in result.components}) if last else None
        rows.append(
            {
                "policy": "static",
                "timesteps": one.timesteps,
                "issue": one.issue,
                "mean_timesteps": float(one.timesteps),
                **{key: getattr(one, key) for key in (*shared, *products)},
                "energy_without_checker_pj": one.energy_without_checker_pj,
                "latency_without_checker_ns": one.latency_without_checker_ns,
                "components": parts,
                **_judged(None if judged is None else judged.static[k]),
                **(_efficiency(result.static_efficiency) if last else {}),
            }
        )
    more = ("latency_p50_ns", "latency_p95_ns", "latency_p99_ns", "cancelled_energy_pj")
    rows.append(
        {
            "policy": "dynamic",
            "timesteps": result.meta.timesteps,
            "mean_timesteps": dynamic.mean_timesteps,
            "rule": dynamic.rule,
            "threshold": dynamic.threshold,
            **({} if dynamic.thresholds is None else {"thresholds": _json(dynamic.thresholds)}),
            "threshold_source": dynamic.threshold_source,
            **{key: getattr(dynamic, key) for key in (*shared, *more, *products)},
            "components": _json({c.name: c.energy_pj for c in result.components}),
            "layers": _json({la.name: la.energy_pj for la in result.layers}),
            "exit_fraction": _json(dynamic.exit_fraction),
            **_judged(None if judged is None else judged.dynamic),
            **_efficiency(result.efficiency),
        }
    )
    return Record(about, tuple({"point": point.index, **row} for row in rows))


def _judged(run: Judged | None) -> dict[str, float]:
    """The columns of `JUDGED`."""
    return {} if run is None else {f"validation_{name}": value for name, value in vars(run).items()}


def _efficiency(run: Efficiency) -> dict[str, float | None]:
    """The columns of `EFFICIENCY`."""
    return {name: getattr(run.native if name.startswith("tops") else run, name) for name in EFFICIENCY}


def done_on_many(point: SweepPoint, experiment: Experiment, result: ChipsResult) -> Record:
    """The record of a point that ran on many chips, of which `experiment` is the first: means over them, and
    how far they spread. Figures of single components and layers are not known.
    """
    config, size = experiment.chip.config, experiment.chip.size
    areas = {name: config.component_area_um2(name, size) for name, _ in config.components_of(size)}
    about = _about(point, experiment.hardware) | _ran(result.meta, result.warnings, chips_to_json(result))
    about |= {"areas_um2": _json(areas), "chips": result.chips}
    rows: list[dict[str, Any]] = []
    for one in result.static:
        rows.append(
            {
                "policy": "static",
                "timesteps": one.timesteps,
                "mean_timesteps": float(one.timesteps),
                **_over_chips(one),
                "edp_product_of_means": one.edp_product_of_means.mean,
            }
        )
    for policy, left in result.policies():
        # Where each timestep has a threshold, and those of the chips differ, there is none to name.
        each = {getattr(chip, policy).thresholds for chip in result.instances} - {None}
        rows.append(
            {
                "policy": policy,
                "timesteps": result.meta.timesteps,
                "rule": result.rule,
                "threshold": None if left.threshold is None else left.threshold.mean,
                "thresholds": _json(each.pop()) if len(each) == 1 else None,
                "threshold_source": result.threshold_source,
                **_over_chips(left),
                "edp_product_of_means": left.edp_product_of_means.mean,
                "exit_fraction": _json([leaves.fraction.mean for leaves in left.exits]),
            }
        )
    return Record(about, tuple({"point": point.index, **row} for row in rows))


def _over_chips(run: StaticSpread | DynamicSpread) -> dict[str, Any]:
    """Means over the chips by column, the interval of the mean accuracy, and the spreads."""
    found: dict[str, Any] = {"accuracy_low": run.accuracy.mean_low, "accuracy_high": run.accuracy.mean_high}
    for figure, (std, worst) in SPREADS.items():
        over: Spread | None = getattr(run, figure, None)
        if over is not None:
            found |= {figure: over.mean, std: over.std, worst: over.worst}
    return found


def _ran(meta: Meta, warnings: Sequence[str], document: str) -> dict[str, Any]:
    return {
        "status": "done",
        "network": meta.network.name,
        "network_sha256": meta.network.sha256,
        "inputs": meta.inputs.name,
        "inputs_sha256": meta.inputs.sha256,
        "images": meta.images,
        "timesteps": meta.timesteps,
        "tiles": meta.hardware.tiles,
        "crossbars": meta.hardware.crossbars,
        "area_um2": meta.hardware.area_um2,
        "accounting": meta.hardware.accounting,
        "warnings": _json(warnings),
        "result_sha256": hashlib.sha256(document.encode()).hexdigest(),
    }


def _json(data: Any) -> str:
    return json.dumps(data, separators=(",", ":"), allow_nan=False)
