"""The figures that estimators rest on: one YAML file for each estimator, every entry with mark and source."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import yaml

Entry = dict[str, Any]


@cache
def figures(name: str) -> dict[str, Entry]:
    """The entries of ``hardware/figures/<name>.yaml``: each has a ``value``, a ``mark`` and a ``source``."""
    text = (files("imcsim.hardware") / "figures" / f"{name}.yaml").read_text(encoding="utf-8")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    entries: dict[str, Entry] = yaml.load(text, Loader=loader)
    return entries


def of_preset(name: str, preset: str, key: str, given: float | None) -> float:
    """A figure of one of the presets in ``hardware/figures/<name>.yaml``, or what is given in its place."""
    return float(figures(name)[preset]["value"][key] if given is None else given)


def by_node(entry: Entry, *path: int) -> dict[float, float]:
    """One figure over nodes: the entry's ``value`` is a table by node, `path` leads into each of its rows."""
    found = {}
    for node, row in entry["value"].items():
        for step in path:
            row = row[step]
        found[float(node)] = float(row)
    return found
