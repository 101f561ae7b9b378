"""What differs between two results of the same command."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from imcsim.base.errors import ImcsimError
from imcsim.diffs.changes import Change, ValueChange, leaves, paired
from imcsim.diffs.reading import Kind, Result
from imcsim.results.comparison import CompareResult
from imcsim.results.costs import ComponentCost
from imcsim.results.run import RunResult
from imcsim.results.stream import StreamResult


@dataclass(frozen=True)
class Piece:
    """A component or layer of both results: its figures, by their names in the result."""

    name: str
    figures: tuple[Change, ...]

    def figure(self, name: str) -> Change:
        return next(f for f in self.figures if f.name == name)


@dataclass(frozen=True)
class ResultDiff:
    """What differs between two results of a kind: settings first, then every figure, the same ones too.

    Energies are pJ per image. actions: count, and energy of each, of what components did, where they differ.
    """

    kind: Kind
    settings: tuple[ValueChange, ...]
    figures: tuple[Change, ...]
    components: tuple[Piece, ...]
    actions: tuple[Piece, ...]
    layers: tuple[Piece, ...]
    bounds: tuple[ValueChange, ...]
    """What bounds a layer, where that differs."""


def results_diff(a: Result, b: Result) -> ResultDiff:
    """What differs between two results of the same kind."""
    if type(a) is not type(b):
        raise ImcsimError("the results are of different commands", fix="give two of the same")
    kinds: dict[type[Result], Kind] = {
        CompareResult: "compare",
        RunResult: "run",
        StreamResult: "stream",
    }
    parts = [_parts(result) for result in (a, b)]
    return ResultDiff(
        kind=kinds[type(a)],
        settings=tuple(_settings(a, b)),
        figures=tuple(paired(_figures(a), _figures(b))),
        components=_pieces([part[0] for part in parts], _COMPONENT),
        actions=tuple(
            piece
            for piece in _pieces([_actions(part[0]) for part in parts], ("count", "energy_pj_each"))
            if any(figure.a != figure.b for figure in piece.figures)
        ),
        layers=_pieces([part[1] for part in parts], _LAYER),
        bounds=tuple(_bounds(a, b)),
    )


_COMPONENT = ("energy_pj", "share", "static_energy_pj", "area_um2", "count")
_LAYER = (
    "energy_pj", "share", "spike_rate", "crossbars", "tiles", "copies", "latency_ns", "utilisation",
    "edp_pj_ns", "skipped_reads", "synaptic_operations",
)  # fmt: skip
_EFFICIENCY = (
    "synaptic_operations", "energy_pj_per_synaptic_operation", "inferences_per_s", "inferences_per_j",
    "average_power_uw", "power_density_mw_per_mm2",
)  # fmt: skip
_PROGRAMMING = ("energy_pj", "time_ns", "amortised_inferences")
_NO_FIGURES = frozenset({"schema_version", "threshold", "timesteps", "edp_pj_ns"})


def _parts(result: Result) -> tuple[Sequence[ComponentCost], list[dict[str, Any]]]:
    """Components, and layers with all that is said of them."""
    whole = result.outcome if isinstance(result, RunResult) else result
    work = {layer.name: layer.model_dump() for layer in whole.layer_efficiency}
    layers = [work.get(layer.name, {}) | layer.model_dump() for layer in whole.layers]
    return () if isinstance(whole, StreamResult) else whole.components, layers


def _bounds(a: Result, b: Result) -> Iterator[ValueChange]:
    mine, theirs = ({la["name"]: la.get("bound_by") for la in _parts(one)[1]} for one in (a, b))
    for name in dict.fromkeys([*mine, *theirs]):
        if mine.get(name) != theirs.get(name):
            yield ValueChange(name, mine.get(name), theirs.get(name))


def _actions(components: Sequence[ComponentCost]) -> list[dict[str, Any]]:
    return [
        {"name": f"{c.name}.{a.name}", "count": a.count, "energy_pj_each": a.energy_pj_each}
        for c in components
        for a in c.actions
    ]


def _pieces(sides: Sequence[Sequence[Any]], keys: Sequence[str]) -> tuple[Piece, ...]:
    a, b = (
        {p["name"]: p for p in (one if isinstance(one, dict) else one.model_dump() for one in side)}
        for side in sides
    )
    return tuple(
        Piece(name, tuple(Change(key, a.get(name, {}).get(key), b.get(name, {}).get(key)) for key in keys))
        for name in dict.fromkeys([*a, *b])
    )


def _figures(result: Result) -> dict[str, float | None]:
    """Every figure of the whole, by its place in the document."""
    whole = result.outcome if isinstance(result, RunResult) else result
    found: dict[str, float | None] = {"area_um2": result.meta.hardware.area_um2}
    found |= {f"efficiency.{name}": getattr(whole.efficiency, name) for name in _EFFICIENCY}
    found |= _numbers(whole.efficiency.native, "efficiency.")
    found |= {f"programming.{name}": getattr(whole.programming, name) for name in _PROGRAMMING}
    if isinstance(result, CompareResult):
        found |= _numbers(result.static[-1], "static T max.") | _numbers(result.dynamic, "dynamic.")
        found |= _numbers(result.reduction, "reduction.") | _numbers(result.checker, "checker.")
        for one, less in zip(result.opponents, result.reductions, strict=True):
            found |= _numbers(one.static[-1], f"static T max ({one.issue}).")
            found |= _numbers(less, f"reduction against {one.issue}.")
        return found
    if isinstance(result, RunResult):
        checker = {} if result.outcome.checker is None else _numbers(result.outcome.checker, "checker.")
        return found | _numbers(result.outcome) | checker
    return found | _numbers(result)


def _numbers(model: Any, prefix: str = "") -> dict[str, float | None]:
    return {
        f"{prefix}{name}": float(value)
        for name in type(model).model_fields
        if isinstance(value := getattr(model, name), int | float) and name not in _NO_FIGURES
    }


def _settings(a: Result, b: Result) -> Iterator[ValueChange]:
    """What was asked for, and of which chip and network; figures of the outcome are no settings."""
    mine, theirs = (dict(leaves(_asked(result))) for result in (a, b))
    for key in dict.fromkeys([*mine, *theirs]):
        if mine.get(key) != theirs.get(key):
            yield ValueChange(key, mine.get(key), theirs.get(key))


_CHOSEN = ("thresholds", "temperatures", "max_loss")


def _asked(result: Result) -> dict[str, Any]:
    found = result.meta.model_dump(exclude={"hardware": {"area_um2"}, "network": {"layers", "weights"}})
    found["issue"] = found.pop("policy")
    if isinstance(result, CompareResult):
        keys = {"rule", "accumulation", "threshold", *_CHOSEN, "threshold_source"}
        return found | result.dynamic.model_dump(include=keys)
    found |= result.policy.model_dump(exclude={"validation", "timesteps", "kind"}, exclude_none=True)
    found["policy"] = result.policy.kind
    if isinstance(result, StreamResult):
        found["arrivals"] = result.arrivals.model_dump()
    return found
