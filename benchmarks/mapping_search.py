"""The mapping that a search finds, beside the default one and one made by hand, at equal area.

    python benchmarks/mapping_search.py [--only vgg16] [--images 200] [--docs docs] [--quick]

For VGG-16 and ResNet-19, as trained, on the default chip: the default mapping, the one of
`hand_made/NETWORK.yaml`, and what `imcsim map --optimise edp` finds with no more area than each of them.
Writes mapping_search.csv and, with `--docs`, the table of docs/mapping.md. Nothing here is about speed.
Rows of a network that is not asked for stay as they are.
"""

from __future__ import annotations

import argparse
import csv
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import common

import imcsim.hardware
import imcsim.inputs
import imcsim.network
from imcsim.results.mapped import Goal, Mapped
from imcsim.studies.mapping_search import search_mapping
from imcsim.studies.settings import CompareOptions

FOLDER = Path(__file__).resolve().parent
TABLE = FOLDER / "mapping_search.csv"
SETTINGS: dict[str, dict[str, Any]] = {"vgg16": {}, "resnet19": {"tile_buffer.capacity_bytes": 40960}}
SHOWN = {"vgg16": "VGG-16", "resnet19": "ResNet-19"}
COLUMNS = ("network", "mapping", "images", "accuracy", "mean_timesteps", "tiles", "crossbars", "area_mm2",
           "latency_ns", "interval_ns", "energy_pj", "edp_pj_ns")  # fmt: skip
HEADS = "| | mapping | tiles | area, mm2 | latency, us | energy, uJ | EDP, uJ us | EDP against the first |"


def rows_of(name: str, images: int) -> list[dict[str, Any]]:
    """What each mapping of a network comes to, on its first validation images."""
    network = imcsim.network.load(f"{name}_running_cifar10")
    held = imcsim.inputs.load("cifar10_validation")
    held = replace(held, images=held.images[:images], labels=held.labels[:images])
    chips = {
        "default": imcsim.hardware.load("dtsnn_32nm", SETTINGS[name]),
        "by hand": imcsim.hardware.load(str(FOLDER / "hand_made" / f"{name}.yaml")),
    }
    rows = []
    for made, chip in chips.items():
        found = search_mapping(network, chip, held, Goal("edp"), CompareOptions())
        for what, one in ((made, found.given), (f"searched, area of {made}", found.best)):
            rows.append(_row(name, what, images, one))
            print(f"{name:10} {what:26} {one.area_mm2:6.2f} mm2  EDP {one.edp_pj_ns * 1e-9:9.3f} uJ us")
    return rows


def _row(network: str, mapping: str, images: int, one: Mapped) -> dict[str, Any]:
    facts = {"network": network, "mapping": mapping, "images": images, "accuracy": one.right / images}
    return facts | {name: getattr(one, name) for name in COLUMNS if name not in facts}


def table(rows: list[dict[str, str]]) -> str:
    """The rows as docs/mapping.md shows them."""
    lines = [HEADS, "|---|---|---:|---:|---:|---:|---:|---:|"]
    first: dict[str, float] = {}
    for row in rows:
        edp = float(row["edp_pj_ns"]) * 1e-9
        least = first.setdefault(row["network"], edp)
        change = "" if row["mapping"] == "default" else f"{100 * (edp / least - 1):+.1f} %"
        latency, energy = float(row["latency_ns"]) * 1e-3, float(row["energy_pj"]) * 1e-6
        cells = (
            SHOWN[row["network"]], row["mapping"], row["tiles"], f"{float(row['area_mm2']):.2f}",
            f"{latency:.3g}", f"{energy:.4g}", f"{edp:.4g}", change,
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def write_docs(folder: Path, rows: list[dict[str, str]]) -> None:
    """Put the table between its marks in the page."""
    page = folder / "mapping.md"
    marks = "<!-- mapping_search: begin -->", "<!-- mapping_search: end -->"
    text, count = re.subn(
        f"{marks[0]}.*?{marks[1]}",
        lambda _: f"{marks[0]}\n{table(rows)}\n{marks[1]}",
        page.read_text("utf-8"),
        flags=re.DOTALL,
    )
    if count != 1:
        raise SystemExit(f"{page} has no {marks[0]} ... {marks[1]}")
    page.write_text(text, "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--docs", type=Path, help="folder of mapping.md")
    parser.add_argument("--quick", action="store_true", help="ten images of VGG-16; nothing is written")
    about = parser.parse_args()
    if about.quick:
        rows_of("vgg16", 10)
        return
    known = list(csv.DictReader(TABLE.open(encoding="utf-8"))) if TABLE.exists() else []
    for name in about.only:
        fresh = [{k: str(v) for k, v in row.items()} for row in rows_of(name, about.images)]
        known = [row for row in known if row["network"] != name] + fresh
        known.sort(key=lambda row: list(SETTINGS).index(row["network"]))
        common.write_csv(TABLE, COLUMNS, known)
    if about.docs is not None:
        write_docs(about.docs, known)


if __name__ == "__main__":
    main()
