"""A NIR file as plain nodes.

NIR files are HDF5 (https://neuroir.org): the group ``node`` holds ``type`` and the fields of the node; a
graph has a group ``nodes`` and a list ``edges``. Only hard links and datasets stored in the file itself are
followed, and the size of every dataset is looked at before it is read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.importers.apart import Answer

MAX_NODES = 5000
MAX_EDGES = 20_000
MAX_ITEMS = 1000
"""Most nodes, edges, and entries of one group outside `nodes`."""

DEEPEST = 8
"""Levels of graphs inside graphs."""

MAX_BYTES = 1 << 30
MAX_EXPANSION = 1100
"""Largest ratio of unpacked to stored size; deflate reaches 1032 on equal numbers."""

_SLACK = 64 << 20
_SMALL = 16  # numbers that travel in the document itself


class _Walk:
    def __init__(self, size: int) -> None:
        self.room = min(MAX_BYTES, MAX_EXPANSION * size + _SLACK)
        self.nodes = 0
        self.arrays: dict[str, NDArray[Any]] = {}

    def node(self, group: h5py.Group, place: str, depth: int) -> dict[str, Any]:
        """The node in `group`: its type, its fields and, for a graph, its nodes and edges."""
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise ImcsimError(f"it holds more than {MAX_NODES} nodes", fix="is it a NIR file?")
        kind = self._text(self._dataset(group, "type", place), place)
        found: dict[str, Any] = {"type": kind, "fields": {}}
        for name in self._names(group, place, MAX_ITEMS):
            if name in ("type", "metadata", "nodes", "edges"):
                continue
            found["fields"][name] = self._value(self._dataset(group, name, place), f"{place}.{name}")
        if kind == "NIRGraph":
            if depth >= DEEPEST:
                raise ImcsimError(f"more than {DEEPEST} levels of graphs", key=place, fix="flatten the graph")
            inside = self._item(group, "nodes", place)
            if not isinstance(inside, h5py.Group):
                raise ImcsimError("a graph without nodes", key=place, fix="write the file again")
            found["nodes"] = {}
            for name in self._names(inside, place, MAX_NODES):
                below = self._item(inside, name, place)
                where = f"{place}.{name}" if place else name
                if not isinstance(below, h5py.Group):
                    raise ImcsimError("this node is not a group", key=where, fix="write the file again")
                found["nodes"][name] = self.node(below, where, depth + 1)
            found["edges"] = self._edges(self._dataset(group, "edges", place), place)
        return found

    def _names(self, group: h5py.Group, place: str, most: int) -> list[str]:
        if len(group) > most:
            raise ImcsimError(
                f"it holds more than {most} entries", key=place or None, fix="is it a NIR file?"
            )
        return [str(name) for name in group]

    def _item(self, group: h5py.Group, name: str, place: str) -> Any:
        link = group.get(name, getlink=True)
        if link is None:
            raise ImcsimError(f"the field {name!a} is missing", key=place or None, fix="write the file again")
        if not isinstance(link, h5py.HardLink):
            raise ImcsimError(
                f"{name!a} is a link to another place",
                key=place or None,
                fix="store the data in the file itself",
            )
        return group[name]

    def _dataset(self, group: h5py.Group, name: str, place: str) -> h5py.Dataset:
        item = self._item(group, name, place)
        where = f"{place}.{name}" if place else name
        if not isinstance(item, h5py.Dataset):
            raise ImcsimError("this field is not an array", key=where, fix="write the file again")
        if item.external or item.is_virtual:
            raise ImcsimError("its data lie in another file", key=where, fix="store them in the file itself")
        if item.shape is None or len(item.shape) > 8:
            raise ImcsimError("an array of this shape is not read", key=where, fix="use at most 8 axes")
        number = item.dtype.kind in "biuf" and item.dtype.itemsize <= 8
        if not number and h5py.check_string_dtype(item.dtype) is None:
            raise ImcsimError(
                f"arrays of {item.dtype!s:.40} are not read",
                key=where,
                fix="store numbers of at most 8 bytes",
            )
        self.room -= int(item.size) * max(item.dtype.itemsize, 1)
        if self.room < 0:
            raise ImcsimError(
                f"the array {list(item.shape)} is larger than such a file may hold",
                key=where,
                fix="write the file again, with arrays of the network's sizes",
            )
        return item

    def _text(self, item: h5py.Dataset, place: str) -> str:
        if item.shape != () or h5py.check_string_dtype(item.dtype) is None:
            raise ImcsimError(
                "the type of the node is not text", key=place or None, fix="write the file again"
            )
        return _plain(item[()])[:200]

    def _value(self, item: h5py.Dataset, place: str) -> Any:
        if h5py.check_string_dtype(item.dtype) is not None:
            if item.shape == ():
                return {"text": _plain(item[()])[:200]}
            raise ImcsimError("a list of text is not read here", key=place, fix="write the file again")
        value = np.asarray(item[()])
        value = value.astype(value.dtype.newbyteorder("="))
        if value.size <= _SMALL:
            return {"dtype": str(value.dtype), "shape": list(value.shape), "data": value.ravel().tolist()}
        name = f"a{len(self.arrays)}"
        self.arrays[name] = value
        return {"dtype": str(value.dtype), "array": name}

    def _edges(self, item: h5py.Dataset, place: str) -> list[list[str]]:
        if item.size == 0:
            return []
        if len(item.shape) != 2 or item.shape[1] != 2 or h5py.check_string_dtype(item.dtype) is None:
            raise ImcsimError(
                "the edges are not pairs of names", key=place or None, fix="write the file again"
            )
        if item.shape[0] > MAX_EDGES:
            raise ImcsimError(
                f"it holds more than {MAX_EDGES} edges", key=place or None, fix="is it the right file?"
            )
        return [[_plain(a), _plain(b)] for a, b in item[()]]


def _plain(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def read(path: Path) -> Answer:
    """The version and the outermost node of the NIR file `path`. Raises ImcsimError and what h5py raises."""
    with h5py.File(path, "r") as file:
        link = file.get("node", getlink=True)
        if not isinstance(link, h5py.HardLink) or not isinstance(file["node"], h5py.Group):
            raise ImcsimError("this HDF5 file holds no NIR graph", fix="write it with nir.write")
        walk = _Walk(path.stat().st_size)
        version = file["version"] if isinstance(file.get("version", getlink=True), h5py.HardLink) else None
        text = _plain(version[()])[:40] if isinstance(version, h5py.Dataset) and version.shape == () else ""
        return {"version": text, "node": walk.node(file["node"], "", 0)}, walk.arrays
