"""Reads the folder of a sweep, a search, or one comparison or run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from imcsim.base.errors import ImcsimError
from imcsim.base.plurals import counted
from imcsim.diffs.reading import read_result
from imcsim.report.site.study import (
    JudgedFigures,
    Kind,
    Parts,
    PointFigures,
    Study,
    StudyAxis,
    StudyPoint,
    text,
)
from imcsim.report.terminal.efficiency import programming_line, reload_lines
from imcsim.results.comparison import CompareResult
from imcsim.results.costs import ComponentCost, LayerCost
from imcsim.results.meta import PluginMeta
from imcsim.results.run import RunResult
from imcsim.results.statistics import wilson_interval
from imcsim.results.stream import StreamResult
from imcsim.searches.searching import FRONT
from imcsim.studies.settings import CHOOSING, DECLARED
from imcsim.sweeps import Store, open_store
from imcsim.sweeps.rows import JUDGED
from imcsim.sweeps.store import STORE


def read(folder: str | Path) -> Study:
    """The study in `folder`, without parts of its points (see `with_parts`).

    Raises ImcsimError where the folder holds none, or none with a point in it.
    """
    folder = Path(folder)
    if (folder / STORE).is_file():
        with open_store(folder) as store:
            study = _sweep(store)
            store.check_sums()
            return study
    if (folder / "result.json").is_file():
        result = read_result(str(folder))
        if isinstance(result, StreamResult):
            raise ImcsimError("a stream has no page", file=folder, fix="its figures are in its own folder")
        return _compared(result)
    fix = "name the folder that `imcsim sweep`, `imcsim search` or `imcsim compare --out` wrote"
    what = "there is no sweep and no result here"
    if not folder.is_dir():
        what = "this is no folder" if folder.exists() else "there is no such folder"
    raise ImcsimError(what, file=folder, fix=fix)


def with_parts(study: Study, folder: str | Path, points: Sequence[int]) -> Mapping[int, Parts]:
    """Where the energy and area of these points go. Only these are read: a store may hold a million."""
    if study.parts or not (Path(folder) / STORE).is_file():
        return study.parts
    wanted = dict.fromkeys(points)
    with open_store(folder) as store:
        areas = {row["point"]: row["areas_um2"] for row in store.points() if row["point"] in wanted}
        static: dict[int, Mapping[str, float]] = {}
        dynamic: dict[int, Mapping[str, Any]] = {}
        for row in store.rows():
            if row["point"] not in wanted:
                continue
            if row["policy"] == "static" and row["components"] is not None:
                static[row["point"]] = row["components"]
            elif row["policy"] == "dynamic":
                dynamic[row["point"]] = row
    return {
        index: Parts(
            dynamic=dynamic.get(index, {}).get("components") or {},
            static=static.get(index, {}),
            layers=dynamic.get(index, {}).get("layers") or {},
            areas=areas.get(index) or {},
            exits=tuple(dynamic.get(index, {}).get("exit_fraction") or ()),
        )
        for index in wanted
    }


def _sweep(store: Store) -> Study:
    if "spec" not in store.meta:
        raise ImcsimError("the sweep has not begun", file=store.folder / STORE, fix="run it again")
    about: dict[int, dict[str, Any]] = {}
    seen: dict[str, dict[str, None]] = {}
    warnings: dict[str, int] = {}
    chips: dict[int, int] = {}
    setting: Mapping[str, Any] = {}
    kept = ("point", "axes", "config_sha256", "error", "area_um2", "timesteps", "images")
    for row in store.points():
        about[row["point"]] = {name: row[name] for name in kept} | {"issue": row["setting"].get("issue")}
        for name in ("network", "inputs", "images", "timesteps", "seed", "version"):
            if row[name] is not None:
                seen.setdefault(name, {})[text(row[name])] = None
        if row["setting"].get("hardware"):
            seen.setdefault("hardware", {})[Path(text(row["setting"]["hardware"])).name] = None
        if row.get("chips") is not None:
            chips[row["chips"]] = chips.get(row["chips"], 0) + 1
        for warning in row["warnings"] or ():
            warnings[warning] = warnings.get(warning, 0) + 1
        setting = setting or row["setting"]
    if not about:
        raise ImcsimError("no point has ended yet", file=store.folder / STORE, fix="run the sweep first")
    static: dict[int, list[PointFigures]] = {}
    dynamic: dict[int, PointFigures] = {}
    for row in store.rows():
        outcome = _outcome(row, about[row["point"]]["area_um2"] or 0.0)
        if outcome.policy == "static":
            static.setdefault(outcome.point, []).append(outcome)
        elif outcome.policy == "dynamic":
            dynamic[outcome.point] = replace(outcome, issue=about[outcome.point]["issue"])
    points = tuple(
        StudyPoint(
            index, row["axes"], row["error"], row["config_sha256"] or "",
            tuple(static.get(index, ())), dynamic.get(index),
        )
        for index, row in about.items()
    )  # fmt: skip
    kind: Kind = "search" if "search" in store.meta else "sweep"
    done = sum(point.ended for point in points)
    count = f"{len(points)} of {store.planned} ran" if len(points) < store.planned else f"{len(points)}"
    facts = (
        ("Points", f"{count}, {len(points) - done} failed"),
        *(
            ("Judged on" if kind == "search" and name == "inputs" else label, _few(seen.get(name, {})))
            for label, name in _FACTS
        ),
        *((("Chips", ", ".join(map(str, sorted(chips)))),) if chips else ()),
        *_common(store, setting),
        ("Spec", f"sha256 {store.meta['spec_sha256'][:16]}"),
        *_plugins(json.loads(store.meta.get("plugins", "[]"))),
    )
    total = len(points)
    if kind == "search":  # those of validation images are as they must be; what counts is said of the front
        warnings, total = _front_warnings(store)
    else:
        warnings = _over_chips(chips) | warnings
    counts = tuple(f"{w} ({n} of {counted(total, 'point')})" for w, n in warnings.items())
    return Study(
        kind, store.meta.get("name", ""), facts, _axes(store, points), points, store.planned, {},
        min((row["images"] for row in about.values() if row["images"]), default=None),
        _base(store, setting), front=tuple(store.front()), warnings=counts,
    )  # fmt: skip


def _common(store: Store, setting: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """The facts of what all points have in common: keys of the chip that the spec sets, and settings that are
    not as usual.
    """
    changed = [f"{key} = {text(value)}" for key, value in (store.spec.get("set") or {}).items()]
    others = [
        f"{key} {text(value)}"
        for key, value in setting.items()
        if key in _SAID and key not in store.keys and value != DECLARED[key].default
    ]
    facts = ("Changed", ", ".join(changed)), ("Settings", ", ".join(others))
    return tuple(fact for fact in facts if fact[1])


_SAID = ("encoding", "threshold", *CHOOSING, "rule", "accumulation", "issue", "chip")
"""Settings that change what figures mean."""


def _plugins(used: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, str], ...]:
    """The fact of which parts of plug-ins were used; none where there were none."""
    texts = [PluginMeta.model_validate(one).text for one in used]
    return (("Plug-ins", "; ".join(texts)),) if texts else ()


def _over_chips(chips: Mapping[int, int]) -> dict[str, int]:
    """What figures are where points ran on many chips, and of how many points that is so."""
    counts = " or ".join(map(str, sorted(chips)))
    said = (
        f"figures are means over {counts} programmed chips, with the threshold that was given or chosen on "
        "each chip; intervals of accuracy are those of the mean"
    )
    return {said: sum(chips.values())} if chips else {}


def _front_warnings(store: Store) -> tuple[dict[str, int], int]:
    """What was said of the front's points on the reported images, how often, and how many points it has."""
    found: dict[str, int] = {}
    folder = store.folder / FRONT
    if not (folder / STORE).is_file():
        return found, 0
    with open_store(folder) as front:
        rows = list(front.points())
        front.check_sums()
    chips: dict[int, int] = {}
    for row in rows:
        if row.get("chips") is not None:
            chips[row["chips"]] = chips.get(row["chips"], 0) + 1
        for warning in row["warnings"] or ():
            found[warning] = found.get(warning, 0) + 1
    return _over_chips(chips) | found, len(rows)


_FACTS = (
    ("Hardware", "hardware"), ("Network", "network"), ("Inputs", "inputs"), ("Images", "images"),
    ("T max", "timesteps"), ("Seed", "seed"), ("imcsim", "version"),
)  # fmt: skip


def _few(found: Mapping[str, None]) -> str:
    names = list(found)
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


_ENDS = ("accuracy_low", "accuracy_high")


def _outcome(row: Mapping[str, Any], area_um2: float) -> PointFigures:
    # One chip alone among many has no interval.
    low, high = (row["accuracy"] if row[key] is None else row[key] for key in _ENDS)
    return PointFigures(
        row["point"], row["policy"], row["timesteps"], row["accuracy"], low, high, row["energy_pj"],
        row["latency_ns"], row["edp_mean_of_products"], area_um2, row["mean_timesteps"],
        _used(row["threshold"], row.get("thresholds")), row["latency_p99_ns"], row.get("accuracy_std"),
        row.get("accuracy_worst"), row.get("issue"), _judged(row, area_um2),
    )  # fmt: skip


def _judged(row: Mapping[str, Any], area_um2: float) -> JudgedFigures | None:
    accuracy, energy_pj, latency_ns, edp_pj_ns = (row.get(name) for name in JUDGED)
    if accuracy is None or energy_pj is None or latency_ns is None or edp_pj_ns is None:
        return None
    return JudgedFigures(accuracy, energy_pj, latency_ns, edp_pj_ns, area_um2)


def _used(threshold: float | None, each: Sequence[float] | None) -> float | tuple[float, ...] | None:
    """The threshold of all timesteps, else those of the timesteps."""
    return threshold if each is None else tuple(each)


def _axes(store: Store, points: Sequence[StudyPoint]) -> tuple[StudyAxis, ...]:
    """The axes in the spec's order; keys that it zips are one."""
    groups = [tuple(group) for group in store.spec.get("zip") or ()]
    axes: dict[tuple[str, ...], None] = {}
    for key in store.keys:
        axes[next((group for group in groups if key in group), (key,))] = None
    found = []
    for keys in axes:
        rows = {
            tuple(text(point.values.get(k)) for k in keys): tuple(_fixed(point.values.get(k)) for k in keys)
            for point in points
        }
        found.append(StudyAxis(keys, tuple(rows.values())))
    return tuple(found)


def _fixed(value: Any) -> Any:
    """A value of an axis as one that may be part of a key."""
    return tuple(map(_fixed, value)) if isinstance(value, list) else value


def _base(store: Store, setting: Mapping[str, Any]) -> dict[str, Any]:
    """What each axis has where the spec does not change it, as far as that is known.

    Keys of the chip are read from its own file, if that is still the one that the sweep used.
    """
    import json

    import imcsim.hardware

    known: dict[str, Any] = {
        "threshold": None, "thresholds": "one", "timesteps": None, "rule": "entropy", "issue": "wait",
        "chip": 0, "chips": None,
    }  # fmt: skip
    if "hardware" in store.keys:
        return known
    try:
        chip = imcsim.hardware.load(setting["hardware"], store.spec.get("set") or None)
    except ImcsimError:  # the file is gone; points tell the rest
        return known
    plain = imcsim.hardware.load(setting["hardware"])
    if plain.sha256 not in json.loads(store.meta.get("contents", "{}")).values():
        return known
    values: Any = chip.config.model_dump(mode="json", by_alias=True)
    for key in store.keys:
        if "." not in key:
            continue
        value = values
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        known[key] = value
    return known


def _compared(result: CompareResult | RunResult) -> Study:
    meta = result.meta
    area = meta.hardware.area_um2
    static: tuple[PointFigures, ...]
    dynamic: PointFigures | None
    facts: tuple[tuple[str, str], ...] = (
        ("Hardware", meta.hardware.name),
        ("Changed", ", ".join(f"{k} = {text(v)}" for k, v in (meta.hardware.overrides or {}).items())),
        ("Accounting", meta.hardware.accounting or ""),
        ("Network", meta.network.name),
        ("Inputs", f"{meta.inputs.name} ({meta.inputs.split})"),
        ("Images", str(meta.images)),
        ("Seed", str(meta.seed)),
        ("Config", f"sha256 {meta.hardware.sha256[:16]}"),
        ("imcsim", meta.version),
        *_plugins([one.model_dump() for one in meta.plugins or ()]),
    )
    facts = tuple((name, value) for name, value in facts if value)
    if isinstance(result, RunResult):
        out, policy = result.outcome, result.policy
        one = PointFigures(
            0, policy.kind, policy.timesteps, out.accuracy, out.accuracy_low, out.accuracy_high,
            out.energy_pj, out.latency_ns, out.edp_mean_of_products, area, out.mean_timesteps,
            _used(policy.threshold, policy.thresholds), out.latency_p99_ns,
        )  # fmt: skip
        static, dynamic = ((one,), None) if policy.kind == "static" else ((), one)
        energies = {c.name: c.energy_pj for c in out.components}
        kept = {"static": energies} if policy.kind == "static" else {"dynamic": energies}
        parts = Parts(**kept, **_rest(out.components, out.layers), exits=out.exit_fraction)
        kind: Kind = "run"
        curve: tuple[PointFigures, ...] = ()
    else:
        static = tuple(
            PointFigures(
                0, "static", p.timesteps, p.accuracy, p.accuracy_low, p.accuracy_high, p.energy_pj,
                p.latency_ns, p.edp_mean_of_products, area, float(p.timesteps), issue=p.issue,
            )
            for p in result.static
        )  # fmt: skip
        d = result.dynamic
        dynamic = PointFigures(
            0, "dynamic", meta.timesteps, d.accuracy, d.accuracy_low, d.accuracy_high, d.energy_pj,
            d.latency_ns, d.edp_mean_of_products, area, d.mean_timesteps, _used(d.threshold, d.thresholds),
            d.latency_p99_ns,
        )  # fmt: skip
        # The document has no interval for these; it follows from the count of right answers.
        curve = tuple(
            PointFigures(
                0, "dynamic", meta.timesteps, c.accuracy,
                *wilson_interval(round(c.accuracy * meta.images), meta.images), c.energy_pj, c.latency_ns,
                c.edp_mean_of_products, area, c.mean_timesteps, c.threshold,
            )
            for c in result.curve
            if c.threshold != d.threshold
        )  # fmt: skip
        parts = Parts(
            dynamic={c.name: c.energy_pj for c in result.components},
            static={c.name: c.static_energy_pj or 0.0 for c in result.components},
            **_rest(result.components, result.layers),
            exits=d.exit_fraction,
        )
        kind = "comparison"
    point = StudyPoint(0, {}, None, meta.hardware.sha256, static, dynamic)
    name = f"{meta.network.name} on {meta.hardware.name}"
    found = result.ranges if isinstance(result, CompareResult) else None
    whole = result if isinstance(result, CompareResult) else result.outcome
    work = whole.layer_efficiency
    run = "dynamic" if isinstance(result, CompareResult) else result.policy.kind
    loading = [("Loading", line) for line in reload_lines(whole.reload, run)]
    facts = (*facts, ("Programming", programming_line(whole.programming)), *loading)
    return Study(
        kind, name, facts, (), (point,), 1, {0: parts}, meta.images, curve=curve, warnings=result.warnings,
        work=work, ranges=found, compared=result if isinstance(result, CompareResult) else None,
    )  # fmt: skip


def _rest(components: Sequence[ComponentCost], layers: Sequence[LayerCost]) -> dict[str, Any]:
    return {
        "layers": {la.name: la.energy_pj for la in layers},
        "areas": {c.name: c.area_um2 for c in components},
    }
