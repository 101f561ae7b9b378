"""The front as a table: what its points cost on the validation images that they were judged on, and on the
reported images.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from imcsim.base.cells import csv_cell
from imcsim.base.errors import cannot_write
from imcsim.base.files import written_whole
from imcsim.searches.goals import COLUMNS
from imcsim.searches.spec import Search
from imcsim.sweeps.rows import SPREADS
from imcsim.sweeps.store import Store

TABLE = "front.csv"

_SHOWN = (
    "accuracy", "accuracy_low", "accuracy_high", "mean_timesteps", "threshold", "thresholds", "energy_pj",
    "latency_ns", "latency_p50_ns", "latency_p99_ns", "edp_mean_of_products", "edp_product_of_means",
    *chain(*SPREADS.values()),
)  # fmt: skip
_STATIC = ("accuracy", "energy_pj", "latency_ns", "edp_mean_of_products")


def write_front(
    store: Store, shown: Store, search: Search, outcomes: Mapping[int, Mapping[str, Any]]
) -> None:
    """Write the table ``front`` of the store and ``front.csv``.

    There is one row per point: its axes; ``area_um2``; ``validation_...`` figures that it was judged by;
    ``test_...`` of the same point on the reported images, ``test_static_...`` those of static T max; `error`
    where that run failed.
    """
    keys = search.sweep.keys
    rows = []
    for row in shown.table():
        judged = outcomes[row["point"]]
        rows.append(
            {
                "point": row["point"],
                **{key: judged["axes"][key] for key in keys},
                **({} if "area_um2" in keys else {"area_um2": judged["area_um2"]}),
                **{f"validation_{name}": judged[name] for name in COLUMNS if name != "area_um2"},
                **{f"test_{name}": row[f"dynamic_{name}"] for name in _SHOWN if f"dynamic_{name}" in row},
                **{f"test_static_{name}": row[f"static_{name}"] for name in _STATIC},
                "config_sha256": row["config_sha256"],
                "error": row["error"],
            }
        )
    columns = list(rows[0]) if rows else ["point", *keys]
    store.write_front(columns[1:], [{k: _plain(v) for k, v in row.items()} for row in rows])
    _write(store.folder / TABLE, columns, rows)


def _write(path: Path, columns: list[str], rows: list[dict[str, Any]]) -> None:
    try:
        with written_whole(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([csv_cell(name) for name in columns])
            writer.writerows([_cell(value) for value in row.values()] for row in rows)
    except OSError as error:
        raise cannot_write(path, error) from None


def _cell(value: Any) -> Any:
    return repr(value) if isinstance(value, float) else "" if value is None else csv_cell(value)


def _plain(value: Any) -> Any:
    """What SQLite can hold."""
    return value if value is None or isinstance(value, int | float | str) else str(value)
