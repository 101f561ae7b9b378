"""What a search for a mapping found, as files: JSON, a table, the front drawn, and a chip's file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from imcsim._version import __version__
from imcsim.base.plurals import counted
from imcsim.hardware.config import Hardware
from imcsim.hardware.files import names
from imcsim.report.files import csv_text, write_contents
from imcsim.report.terminal.mapped import NAMES
from imcsim.results.mapped import Mapped, MappingSearch

_SOURCE = "mapping_search"


def search_json(found: MappingSearch) -> str:
    """The search as a JSON document: what was asked, the mapping of the file, the best one, and the front."""
    values = asdict(found)
    values.pop("tried")
    counts = {"tried": len(found.tried), "front": [asdict(one) for one in found.front]}
    return json.dumps(values | counts, indent=1) + "\n"


def write_search(found: MappingSearch, folder: str | Path) -> list[Path]:
    """Write ``mapping.json``, ``mappings.csv`` with all that was tried, and the page of the front.

    Raises ImcsimError naming the file that cannot be written.
    """
    from imcsim.report.mapped_page import search_page

    contents = {"mapping.json": search_json(found).encode(), "mappings.csv": mappings_csv(found).encode()}
    return write_contents(folder, contents | search_page(found, *_rows(found)))


def mappings_csv(found: MappingSearch) -> str:
    """All mappings that were tried, one a row; copies as ``layer:number``, separated by spaces."""
    return csv_text(*_rows(found))


def _rows(found: MappingSearch) -> tuple[list[str], list[list[Any]]]:
    rows = [_row(one, found) for one in found.tried]
    return list(rows[0]), [list(row.values()) for row in rows]


def _row(one: Mapped, found: MappingSearch) -> dict[str, Any]:
    copies = " ".join(f"{name}:{n}" for name, n in one.copies.items())
    marks = {"best": one is found.best, "given": one is found.given, "front": one in found.front}
    types = " ".join(f"{name}:{kind}" for name, kind in one.tile_types.items())
    return asdict(one) | {"copies": copies, "tile_types": types} | marks


def chip_file(found: MappingSearch, hardware: Hardware, target: str | Path) -> str:
    """A chip's file that maps as the search found: it extends the chip that was searched for, and is to stand
    at `target`.
    """
    base: str | None = next((name for name in names() if hardware.path.stem == name), None)
    if base is None or "hw_configs" not in hardware.path.parts:
        base = os.path.relpath(hardware.path, Path(target).resolve().parent)
    values = {**hardware.overrides, **found.best.overrides}
    sections: dict[str, Any] = {}
    for key, value in values.items():
        *path, last = key.split(".")
        section = sections
        for name in path:
            section = section.setdefault(name, {})
        section[last] = {"value": _plain(value), "mark": "derived", "source": _SOURCE}
    source = (
        f"imcsim map --optimise {found.objective} --budget '{found.budget}' for {found.network}, "
        f"{counted(found.images, 'image')}, imcsim {__version__}"
    )
    document = {
        "extends": base,
        "name": f"{hardware.name}_mapped"[:64],
        "description": f"{hardware.name}, mapped for the least {NAMES[found.objective]} of {found.network}",
        "sources": {_SOURCE: source},
        **sections,
    }
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000)


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value
