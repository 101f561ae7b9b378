"""The tables of a sweep's store: their columns, and what each column may hold.

A store is a file, and files are not trusted: every value that is read is checked here. JSON becomes data.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any

from imcsim.sweeps.rows import EFFICIENCY, JUDGED, SPREADS

MOST_VALUE_BYTES = 8 << 20
"""The longest text that a store may hold in one place."""

_MOST_COUNT = 1 << 53  # every whole number below is a float too
_MOST_TIMESTEPS = 1 << 16
_LONGEST_NAME = 10_000
_DEEPEST = 20


class Unsound(ValueError):
    """What is wrong with a value, for a message that says where."""


def _count(value: Any) -> int:
    return _whole(value, 0, _MOST_COUNT)


def _seed(value: Any) -> int:
    return _whole(value, -(1 << 63), (1 << 63) - 1)


def _timesteps(value: Any) -> int:
    return _whole(value, 1, _MOST_TIMESTEPS)


def _whole(value: Any, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise Unsound(f"must be a whole number from {low} to {high}")
    return value


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not abs(value) < math.inf or abs(value) > 1e300:
        raise Unsound("must be a finite number")
    return value  # type: ignore[no-any-return]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Unsound("must be text")
    if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
        raise Unsound("must be text in UTF-8")
    return value


def _name(value: Any) -> str:
    if len(_text(value)) > _LONGEST_NAME:
        raise Unsound(f"must be a text of at most {_LONGEST_NAME} characters")
    return value  # type: ignore[no-any-return]


def _one_of(*names: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value not in names:
            raise Unsound(f"must be {' or '.join(names)}")
        return value  # type: ignore[no-any-return]

    return check


def _json(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Text whose JSON passes `check`."""

    def decoded(value: Any) -> Any:
        try:
            return check(json.loads(_text(value), parse_constant=_no_number))
        except Unsound:
            raise
        except (ValueError, RecursionError):
            raise Unsound("must be JSON") from None

    return decoded


def _no_number(name: str) -> float:
    raise Unsound(f"{name} is no number")


def _plain(value: Any, depth: int = 0) -> Any:
    """Data as it may stand in a spec or a setting."""
    if depth > _DEEPEST:
        raise Unsound(f"is nested more than {_DEEPEST} deep")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return _seed(value)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, str):
        return _name(value)
    for part in chain(value, value.values()) if isinstance(value, dict) else value:
        _plain(part, depth + 1)
    return value


def _section(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Unsound("must be a JSON object")
    found: dict[str, Any] = _plain(value)
    return found


def _setting(value: Any) -> dict[str, Any]:
    found = _section(value)
    for key in ("hardware", "model", "inputs"):
        _name(found.get(key))
    return found


def _figures(value: Any) -> dict[str, float]:
    if not isinstance(value, dict):
        raise Unsound("must be a JSON object of numbers")
    return {_name(name): _number(figure) for name, figure in value.items()}


def _numbers(value: Any) -> list[float]:
    if not isinstance(value, list) or len(value) > _MOST_TIMESTEPS:
        raise Unsound("must be a JSON list of numbers")
    return [_number(one) for one in value]


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise Unsound("must be a JSON list of texts")
    return [_name(one) for one in value]


def _spec(value: Any) -> dict[str, Any]:
    """What a spec says, as far as it is looked at again."""
    found = _section(value)
    groups = found.get("zip") or []
    if not isinstance(groups, list) or not all(isinstance(group, dict) for group in groups):
        raise Unsound("zip must be a list of JSON objects")
    if not isinstance(found.get("set") or {}, dict):
        raise Unsound("set must be a JSON object")
    return found


def _contents(value: Any) -> dict[str, str]:
    found = _section(value)
    for one in found.values():
        _name(one)
    return found


Check = Callable[[Any], Any]
_REAL: tuple[str, Check] = ("REAL", _number)
_NAME: tuple[str, Check] = ("TEXT", _name)
_COUNT: tuple[str, Check] = ("INTEGER", _count)

POINTS: Mapping[str, tuple[str, Check]] = {
    "point": ("INTEGER PRIMARY KEY", _count), "axes": ("TEXT NOT NULL", _json(_section)),
    "config_sha256": _NAME, "config": ("TEXT", _json(_section)),
    "setting": ("TEXT NOT NULL", _json(_setting)),
    "seed": ("INTEGER NOT NULL", _seed), "version": ("TEXT NOT NULL", _name),
    "status": ("TEXT NOT NULL CHECK (status IN ('done', 'failed'))", _one_of("done", "failed")),
    "error": ("TEXT", _text), "seconds": _REAL, "network": _NAME, "network_sha256": _NAME, "inputs": _NAME,
    "inputs_sha256": _NAME, "images": _COUNT, "timesteps": ("INTEGER", _timesteps), "tiles": _COUNT,
    "crossbars": _COUNT, "area_um2": _REAL, "areas_um2": ("TEXT", _json(_figures)),
    "checker_energy_share": _REAL, "warnings": ("TEXT", _json(_texts)), "result_sha256": _NAME,
    "chips": _COUNT,
    "programming_energy_pj": _REAL, "programming_time_ns": _REAL, "accounting": _NAME, "rows_sha256": _NAME,
}  # fmt: skip
RESULTS: Mapping[str, tuple[str, Check]] = {
    "point": ("INTEGER NOT NULL REFERENCES points(point)", _count),
    "policy": (
        "TEXT NOT NULL CHECK (policy IN ('static', 'dynamic', 'dynamic_once'))",
        _one_of("static", "dynamic", "dynamic_once"),
    ),
    "timesteps": ("INTEGER NOT NULL", _timesteps),
    "issue": ("TEXT", _one_of("wait", "pipeline")),
    "mean_timesteps": _REAL, "rule": _NAME, "threshold": _REAL, "thresholds": ("TEXT", _json(_numbers)),
    "threshold_source": _NAME,
    "accuracy": _REAL, "accuracy_low": _REAL, "accuracy_high": _REAL, "energy_pj": _REAL,
    "latency_ns": _REAL, "latency_p50_ns": _REAL, "latency_p95_ns": _REAL, "latency_p99_ns": _REAL,
    "edp_mean_of_products": _REAL, "edp_product_of_means": _REAL, "cancelled_energy_pj": _REAL,
    "energy_without_checker_pj": _REAL, "latency_without_checker_ns": _REAL,
    "components": ("TEXT", _json(_figures)), "layers": ("TEXT", _json(_figures)),
    "exit_fraction": ("TEXT", _json(_numbers)),
    **dict.fromkeys((*chain(*SPREADS.values()), *EFFICIENCY, *JUDGED), _REAL),
}  # fmt: skip
META: Mapping[str, Check] = {
    "spec": _json(_spec), "contents": _json(_contents), "keys": _json(_texts), "name": _name,
    "spec_sha256": _name, "version": _name, "code": _name, "created": _name, "search": _json(_section),
}  # fmt: skip
"""Entries of ``meta``; `points` is a count in text."""

LATER = frozenset(
    (
        "chips", "thresholds", "programming_energy_pj", "programming_time_ns", "accounting", "rows_sha256",
        *EFFICIENCY,
        *JUDGED, *chain(*SPREADS.values()),
    )
)  # fmt: skip
"""Columns that stores of before do not have."""

_NEEDED = {
    "points": ("point", "axes", "setting", "seed", "version", "status"),
    "results": ("point", "policy", "timesteps", "mean_timesteps", "accuracy", "energy_pj", "latency_ns",
                "edp_mean_of_products", "edp_product_of_means"),
}  # fmt: skip
"""Columns that are never null."""

_NEEDED_WHEN_DONE = ("config_sha256", "images", "timesteps", "tiles", "crossbars", "area_um2", "areas_um2",
                     "result_sha256")  # fmt: skip


def check_value(table: str, column: str, value: Any) -> Any:
    """A value that was read, JSON as data. Raises Unsound; null is left to `check_row`."""
    if value is None:
        return None
    return (POINTS if table == "points" else RESULTS)[column][1](value)


def check_row(table: str, row: Mapping[str, Any]) -> None:
    """What the values of a row must be together, once each has been checked. Raises Unsound."""
    needed = _NEEDED[table]
    if table == "points":
        needed += _NEEDED_WHEN_DONE if row["status"] == "done" else ("error",)
    for column in needed:
        if row.get(column) is None:
            raise Unsound(f"{column} is missing")
    if table == "points" and row["status"] == "failed" and not row["error"].strip():
        raise Unsound("error is empty")


def check_meta(key: str, value: Any) -> str:
    """An entry of ``meta`` as it stands there. Raises Unsound."""
    found = _text(value)
    if key == "points":
        if not (found.isascii() and found.isdigit() and len(found) < 16):
            raise Unsound("must be a whole number")
    elif key in META:
        META[key](found)
    return found
