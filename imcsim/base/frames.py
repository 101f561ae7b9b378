"""Rows as pandas data frames, where pandas is installed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from imcsim.base.errors import ImcsimError


def frame(rows: Iterable[Mapping[str, Any]]) -> Any:
    """A data frame with a row for each mapping, columns in the order of the first one.

    Raises ImcsimError where pandas is missing.
    """
    try:
        import pandas
    except ImportError:
        raise ImcsimError("data frames need pandas", fix="pip install 'imcsim[frames]'") from None
    return pandas.DataFrame([dict(row) for row in rows])


class Framed:
    """A result document that can be a data frame."""

    def rows(self) -> list[dict[str, Any]]:
        """A comparison: one row for static T = 1, ..., T max each, then one for dynamic; other documents: one
        row. Numbers and texts of the document by name; those of nested parts have the part's name in front.
        Thresholds and temperatures of single timesteps are ``thresholds_t1`` and so on.
        """
        data = cast(Mapping[str, Any], self.model_dump())  # type: ignore[attr-defined]
        about = _plain(data["meta"], "")
        if "static" not in data:
            outcome = data.get("outcome", data)
            policy = {k: v for k, v in _plain(data["policy"], "").items() if k != "timesteps"}
            kept = {k: v for k, v in _plain(outcome, "").items() if not k.startswith(("meta_", "policy_"))}
            return [{**_less(policy, "kind"), "policy": data["policy"]["kind"], **kept, **_about(about)}]
        dynamic = _plain(data["dynamic"], "") | _plain({"reduction": data["reduction"]}, "")
        static = [{"policy": "static", **_plain(one, "")} for one in data["static"]]
        last = {"policy": "dynamic", "timesteps": data["meta"]["timesteps"], **dynamic}
        names = dict.fromkeys(key for row in (*static, last) for key in row)
        return [
            {
                **{key: row.get(key) for key in names},
                **_about(about),
                # A static run has the issue policy that suits it best, whatever the dynamic one has.
                "issue": row.get("issue") or about["policy"],
            }
            for row in (*static, last)
        ]

    def to_frame(self) -> Any:
        """`rows` as a pandas data frame. Raises ImcsimError where pandas is missing."""
        return frame(self.rows())


def _about(meta: Mapping[str, Any]) -> dict[str, Any]:
    """What was run, under names that no figure has."""
    names = {"policy": "issue", "timesteps": "timesteps_max"}
    return {names.get(key, key): value for key, value in meta.items()}


def _less(row: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {k: v for k, v in row.items() if k != key}


def _plain(data: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Numbers and texts of nested mappings; lists of figures are left to the document."""
    found: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, Mapping):
            found |= _plain(value, f"{prefix}{key}_")
        elif key in ("thresholds", "temperatures"):
            found |= {f"{prefix}{key}_t{t}": one for t, one in enumerate(value, 1)}
        elif not isinstance(value, list | tuple):
            found[prefix + key] = value
    return found
