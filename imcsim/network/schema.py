"""A network as the plain document that `network.yaml` holds, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from imcsim.errors import ImcsimError
from imcsim.names import nearest
from imcsim.network.graph import KINDS, LIF, Add, Conv2d, Flatten, Linear, Network, Node, Pool2d, kind
from imcsim.yamlfile import KeyPath, YamlDocument

SCHEMA = 1
Arrays = Mapping[str, NDArray[Any]]

_TOP = ("schema", "name", "input", "classes", "timesteps", "weight_bits", "nodes", "provenance")
_COMMON = ("name", "kind", "inputs")
_ARRAYS = ("weight", "scale", "bias")
_KEYS: Mapping[str, tuple[str, ...]] = {
    "conv2d": (*_ARRAYS, "stride", "padding"),
    "linear": _ARRAYS,
    "lif": ("leak", "threshold", "reset"),
    "pool2d": ("pooling", "size", "stride"),
    "flatten": (),
    "add": ("scale",),
}
_DEEPEST_PROVENANCE = 20


def to_document(network: Network) -> dict[str, Any]:
    """The description of `network` in plain types; arrays stand as their names ``<node>.weight`` and so on.

    Raises ImcsimError where the provenance holds more than text, finite numbers, lists and mappings.
    """
    return {
        "schema": SCHEMA,
        "name": network.name,
        "input": {
            "shape": [int(n) for n in network.input_shape],
            "bits": int(network.input_bits),
            "scale": float(network.input_scale),
        },
        "classes": int(network.classes),
        "timesteps": int(network.timesteps),
        "weight_bits": int(network.weight_bits),
        "nodes": [_from_node(node) for node in network.nodes],
        "provenance": _plain(network.provenance, ("provenance",)),
    }


def arrays(network: Network) -> dict[str, NDArray[Any]]:
    """The arrays of `network` by name, as stored: the smallest integers, and float64, little-endian."""
    found: dict[str, NDArray[Any]] = {}
    for node in network.weighted:
        found[f"{node.name}.weight"] = node.weight.astype(_weight_type(network.weight_bits))
        found[f"{node.name}.scale"] = node.scale.astype("<f8")
        found[f"{node.name}.bias"] = node.bias.astype("<f8")
    return found


def from_document(document: YamlDocument, stored: Arrays) -> Network:
    """Build the network that `document` describes from the arrays `stored`; its rules are not yet checked.

    Raises ImcsimError with the line for unknown or missing keys, wrong types, and missing or unused arrays.
    """
    top = _Section(document, (), _TOP, optional=("provenance",))
    if top.integer("schema") != SCHEMA:
        raise top.error(
            "schema", f"schema {top.integer('schema')} is not known", f"this version reads {SCHEMA}"
        )
    image = _Section(document, ("input",), ("shape", "bits", "scale"))
    weight_bits = top.integer("weight_bits")
    entries = top.data["nodes"]
    if not isinstance(entries, list):
        raise top.error("nodes", "must be a list of nodes", "start each node with `- name:`")
    used: set[str] = set()
    nodes = tuple(_to_node(document, index, weight_bits, stored, used) for index in range(len(entries)))
    unused = sorted(set(stored) - used)
    if unused:
        raise ImcsimError(
            f"no node names the array {unused[0]!r} of weights.npz",
            file=document.path,
            fix="remove it or name it",
        )
    provenance = top.data.get("provenance", {})
    if not isinstance(provenance, dict):
        raise top.error("provenance", "must be a mapping", "write `key: value` lines")
    return Network(
        name=top.text("name"),
        input_shape=cast("tuple[int, int, int]", image.integers("shape", 3)),
        input_bits=image.integer("bits"),
        input_scale=image.number("scale"),
        classes=top.integer("classes"),
        timesteps=top.integer("timesteps"),
        weight_bits=weight_bits,
        nodes=nodes,
        provenance=provenance,
    )


def _from_node(node: Node) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": node.name, "kind": kind(node), "inputs": list(node.inputs)}
    match node:
        case Conv2d() | Linear():
            entry |= {key: f"{node.name}.{key}" for key in _ARRAYS}
            if isinstance(node, Conv2d):
                entry |= {"stride": list(node.stride), "padding": list(node.padding)}
        case LIF():
            entry |= {"leak": float(node.leak), "threshold": float(node.threshold), "reset": node.reset}
        case Pool2d():
            entry |= {"pooling": node.kind, "size": node.size, "stride": node.stride}
        case Add():
            entry["scale"] = float(node.scale)
        case Flatten():
            pass
    return entry


def _to_node(document: YamlDocument, index: int, weight_bits: int, stored: Arrays, used: set[str]) -> Node:
    path: KeyPath = ("nodes", index)
    entry = document.data["nodes"][index]
    what = entry.get("kind") if isinstance(entry, dict) else None
    if not isinstance(what, str) or what not in KINDS:
        guess = nearest(what, KINDS) if isinstance(what, str) else None
        fix = f"did you mean {guess!r}?" if guess else "use one of " + ", ".join(KINDS)
        raise document.error(
            (*path, "kind"), f"{what!r} is no kind of node" if what else "the kind is missing", fix=fix
        )
    section = _Section(document, path, (*_COMMON, *_KEYS[what]))
    name, inputs = section.text("name"), section.texts("inputs")
    one, two = (
        cast("tuple[str]", inputs),
        cast("tuple[str, str]", inputs),
    )  # counted when the rules are checked
    if what in ("conv2d", "linear"):
        weight, scale, bias = (_array(section, key, stored, used) for key in _ARRAYS)
        weight = _shrunk(weight, weight_bits)
        scale, bias = (v.astype(np.float64) if v.dtype.kind == "f" else v for v in (scale, bias))
        if what == "linear":
            return Linear(name, one, weight, scale, bias)
        stride = cast("tuple[int, int]", section.integers("stride", 2))
        padding = cast("tuple[int, int]", section.integers("padding", 2))
        return Conv2d(name, one, weight, scale, bias, stride, padding)
    if what == "lif":
        reset = cast("Literal['hard', 'soft']", section.text("reset"))
        return LIF(name, one, section.number("leak"), section.number("threshold"), reset)
    if what == "pool2d":
        pooling = cast("Literal['average', 'max']", section.text("pooling"))
        return Pool2d(name, one, pooling, section.integer("size"), section.integer("stride"))
    if what == "add":
        return Add(name, two, section.number("scale"))
    return Flatten(name, one)


def _array(section: _Section, key: str, stored: Arrays, used: set[str]) -> NDArray[Any]:
    name = section.text(key)
    if name not in stored:
        guess = nearest(name, stored)
        fix = f"did you mean {guess!r}?" if guess else "save the network again"
        raise section.error(key, f"weights.npz holds no array {name!r}", fix)
    used.add(name)
    return stored[name]


def _weight_type(bits: int) -> np.dtype[Any]:
    return np.dtype("<i1" if bits <= 8 else "<i2")


def _shrunk(weight: NDArray[Any], bits: int) -> NDArray[Any]:
    """`weight` in the smallest integer type; as it is where that would change values."""
    if weight.dtype.kind not in "iu" or weight.size == 0:
        return weight
    small = np.iinfo(_weight_type(bits))
    if int(weight.min()) < small.min or int(weight.max()) > small.max:
        return weight
    return weight.astype(_weight_type(bits))


def _plain(value: Any, path: tuple[str, ...]) -> Any:
    """`value` in dicts and lists only."""
    if len(path) <= _DEEPEST_PROVENANCE:
        if isinstance(value, Mapping):
            if all(isinstance(k, str) and k.isprintable() for k in value):
                return {k: _plain(v, (*path, k)) for k, v in value.items()}
        elif isinstance(value, list | tuple):
            return [_plain(v, path) for v in value]
        elif isinstance(value, str):
            if not any("\ud800" <= c <= "\udfff" for c in value):
                return value
        elif value is None or (isinstance(value, int | float) and abs(value) < 1e99):
            return value
    raise ImcsimError(
        "provenance holds something that YAML cannot keep",
        key=".".join(path[:4]),
        fix="use text, finite numbers, true, false, lists and mappings",
    )


class _Section:
    """One mapping of the document whose keys are known; values come out with their type checked."""

    def __init__(
        self, document: YamlDocument, path: KeyPath, keys: tuple[str, ...], optional: tuple[str, ...] = ()
    ) -> None:
        self.document, self.path = document, path
        data = document.data
        for part in path:
            data = data[part]
        if not isinstance(data, dict):
            raise document.error(path, "must be a mapping", fix="write `key: value` lines")
        self.data: dict[str, Any] = data
        for key in data:
            if key not in keys:
                guess = nearest(key, keys)
                raise self.error(
                    key,
                    "this key is not known",
                    f"did you mean {guess!r}?" if guess else "use " + ", ".join(keys),
                )
        for key in keys:
            if key not in data and key not in optional:
                raise document.error(path, f"the key {key!r} is missing", fix="add it")

    def error(self, key: str, message: str, fix: str | None = None) -> ImcsimError:
        return self.document.error((*self.path, key), message, fix=fix)

    def integer(self, key: str) -> int:
        return int(self._typed(key, int, "an integer"))

    def number(self, key: str) -> float:
        return float(self._typed(key, int | float, "a number"))

    def text(self, key: str) -> str:
        return str(self._typed(key, str, "text"))

    def integers(self, key: str, count: int) -> tuple[int, ...]:
        value = self.data[key]
        if (
            not isinstance(value, list)
            or len(value) != count
            or not all(isinstance(n, int) and not isinstance(n, bool) for n in value)
        ):
            raise self.error(key, f"must be a list of {count} integers")
        return tuple(value)

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.data[key]
        if not isinstance(value, list) or not all(isinstance(n, str) for n in value):
            raise self.error(key, "must be a list of names", "write for example [conv1]")
        return tuple(value)

    def _typed(self, key: str, kind: Any, what: str) -> Any:
        value = self.data[key]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise self.error(key, f"must be {what}, not {value!r}"[:200])
        return value
