"""A floorplan as files: JSON, CSV tables and a drawing."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from imcsim.base.progress import Progress
from imcsim.mapping import Floorplan
from imcsim.report.files import csv_text, write_contents


def floorplan_json(plan: Floorplan, network: str, hardware: str) -> str:
    """The floorplan as a JSON document; shares from 0 to 1, tiles and layers counted from 0. Of a mesh its
    topology goes without saying, and of a single chip that it is one. Groups that are loaded in turn have
    floorplans of their own.
    """
    return json.dumps({"network": network, "hardware": hardware, **_written(plan)}, indent=1) + "\n"


def _written(plan: Floorplan) -> dict[str, Any]:
    found = asdict(plan)
    del found["groups"]
    if plan.topology == "mesh":
        del found["topology"]
    if len(plan.chips) == 1:
        found = {"mesh": plan.chips[0].mesh} | found
        for key in ("chips", "arrangement", "package_flits"):
            del found[key]
        for tile in found["tiles"]:
            del tile["chip"]
    if plan.groups:
        found["groups"] = [_written(group) for group in plan.groups]
    return found


def write_floorplan(
    plan: Floorplan, network: str, hardware: str, folder: str | Path, progress: Progress | None = None
) -> list[Path]:
    """Write ``floorplan.json``, ``floorplan.svg``, ``.png``, ``layers.csv`` and ``tiles.csv``; returns them.

    Of groups of layers that are loaded in turn, each has a drawing: ``floorplan_1.svg`` and so on.

    Raises ImcsimError naming the file that cannot be written.
    """
    from imcsim.report.figures.floorplan import floorplan_figure

    contents = {"floorplan.json": floorplan_json(plan, network, hardware).encode()}
    contents |= {name: text.encode() for name, text in floorplan_csv(plan).items()}
    for number, group in enumerate(plan.groups or (plan,), 1):
        if progress is not None:
            progress("drawings", number - 1, len(plan.groups) or 1)
        title, end = (f", group {number}", f"_{number}") if plan.groups else ("", "")
        drawn = floorplan_figure(group, f"{network} on {hardware}{title}")
        contents |= {name.replace("floorplan", f"floorplan{end}"): data for name, data in drawn.items()}
    return write_contents(folder, contents)


def floorplan_csv(plan: Floorplan) -> dict[str, str]:
    """``layers.csv`` and ``tiles.csv`` as text. Lists of tiles and layers are separated by spaces; tiles say
    which chip they stand on where there are several, and which group they hold where groups are loaded in
    turn.
    """
    layers = [asdict(layer) | {"tiles": " ".join(map(str, layer.tiles))} for layer in plan.layers]
    tiles: list[dict[str, Any]] = []
    together = [(n, group, tile) for n, group in enumerate(plan.groups or (plan,), 1) for tile in group.tiles]
    for number, group, tile in together:
        row = asdict(tile) | ({"group": number} if plan.groups else {})
        x, y = row.pop("position")
        if len(plan.chips) == 1:
            del row["chip"]
        names = " ".join(group.layers[k].name for k, _ in tile.layers)
        tiles.append({"index": row.pop("index"), "x": x, "y": y} | row | {"layers": names})
    return {
        f"{name}.csv": csv_text(list(rows[0]), [list(row.values()) for row in rows])
        for name, rows in (("layers", layers), ("tiles", tiles))
    }
