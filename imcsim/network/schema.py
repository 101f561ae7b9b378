"""A network as the plain document that `network.yaml` holds, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.base.names import suggestion
from imcsim.base.yamlfile import KeyPath, YamlDocument
from imcsim.network.graph import (
    KINDS,
    LI,
    LIF,
    Add,
    Conv2d,
    Delay,
    Flatten,
    Linear,
    Network,
    Node,
    PerChannel,
    Pool2d,
    Relu,
    kind,
)
from imcsim.network.section import YamlSection

SCHEMA = 1
Arrays = Mapping[str, NDArray[Any]]

_TOP = ("schema", "name", "input", "classes", "votes", "timesteps", "weight_bits", "nodes", "provenance")
_COMMON = ("name", "kind", "inputs")
_ARRAYS = ("weight", "scale", "bias")
_KEYS: Mapping[str, tuple[str, ...]] = {
    "conv2d": (*_ARRAYS, "stride", "padding"),
    "linear": _ARRAYS,
    "lif": ("leak", "threshold", "reset"),
    "li": ("leak",),
    "relu": ("bits", "step"),
    "pool2d": ("pooling", "size", "stride"),
    "flatten": (),
    "add": ("scale",),
    "delay": ("timesteps",),
}
_OPTIONAL: Mapping[str, tuple[str, ...]] = {
    "conv2d": ("dilation", "groups", "weight_bits"),
    "linear": ("weight_bits",),
    "lif": ("fires", "reset_at", "synapse", "floor", "initial", "drift", "max_spikes", "refractory"),
    "li": ("synapse",),
    "pool2d": ("padding",),
    "delay": ("weight",),
}
"""Keys that are left out where they say nothing new; so files from before them keep their fingerprint."""

_PER_CHANNEL = ("leak", "threshold", "synapse", "floor", "initial", "drift", "weight")
_DEEPEST_PROVENANCE = 20


def to_document(network: Network) -> dict[str, Any]:
    """The description of `network` in plain types; arrays stand as their names ``<node>.weight`` and so on.

    Raises ImcsimError where the provenance holds more than text, finite numbers, lists and mappings.
    """
    image: dict[str, Any] = {
        "shape": [int(n) for n in network.input_shape],
        "bits": int(network.input_bits),
        "scale": float(network.input_scale),
    }
    if any(network.input_padding):
        image["padding"] = [int(n) for n in network.input_padding]
    return {
        "schema": SCHEMA,
        "name": network.name,
        "input": image,
        "classes": int(network.classes),
        **({} if network.votes == 1 else {"votes": int(network.votes)}),
        "timesteps": int(network.timesteps),
        "weight_bits": int(network.weight_bits),
        "nodes": [_from_node(node) for node in network.nodes],
        "provenance": _plain(network.provenance, ("provenance",)),
    }


def arrays(network: Network) -> dict[str, NDArray[Any]]:
    """The arrays of `network` by name, as stored: the smallest integers, and float64, little-endian."""
    found: dict[str, NDArray[Any]] = {}
    for layer in network.weighted:
        found[f"{layer.name}.weight"] = layer.weight.astype(_weight_type(network.bits_of(layer)))
        found[f"{layer.name}.scale"] = layer.scale.astype("<f8")
        found[f"{layer.name}.bias"] = layer.bias.astype("<f8")
    for node in network.nodes:
        if isinstance(node, LIF | LI | Delay):
            for key in _PER_CHANNEL:
                value = getattr(node, key, None)
                if isinstance(value, np.ndarray):
                    found[f"{node.name}.{key}"] = value.astype("<f8")
    return found


def from_document(document: YamlDocument, stored: Arrays) -> Network:
    """Build the network that `document` describes from the arrays `stored`; its rules are not yet checked.

    Raises ImcsimError with the line for unknown or missing keys, wrong types, and missing or unused arrays.
    """
    top = YamlSection(document, (), _TOP, optional=("provenance", "votes"))
    if top.integer("schema") != SCHEMA:
        raise top.error(
            "schema", f"schema {top.integer('schema')} is not known", f"this version reads {SCHEMA}"
        )
    image = YamlSection(document, ("input",), ("shape", "bits", "scale", "padding"), optional=("padding",))
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
        input_padding=image.integers("padding") if "padding" in image.data else (),
        votes=top.integer("votes") if "votes" in top.data else 1,
    )


def _from_node(node: Node) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": node.name, "kind": kind(node), "inputs": list(node.inputs)}
    match node:
        case Conv2d() | Linear():
            entry |= {key: f"{node.name}.{key}" for key in _ARRAYS}
            entry |= {} if node.weight_bits is None else {"weight_bits": int(node.weight_bits)}
            if isinstance(node, Conv2d):
                entry |= {"stride": list(node.stride), "padding": list(node.padding)}
                if node.dilation != (1, 1):
                    entry["dilation"] = list(node.dilation)
                if node.groups != 1:
                    entry["groups"] = int(node.groups)
        case LIF():
            entry |= {"leak": _stated(node, "leak"), "threshold": _stated(node, "threshold")}
            entry["reset"] = node.reset
            entry |= {} if node.fires == "at" else {"fires": node.fires}
            entry |= {} if node.reset_at == "now" else {"reset_at": node.reset_at}
            entry |= {} if node.synapse is None else {"synapse": _stated(node, "synapse")}
            entry |= {} if node.floor is None else {"floor": _stated(node, "floor")}
            for key in ("initial", "drift"):
                if isinstance(value := getattr(node, key), np.ndarray) or value != 0:
                    entry[key] = _stated(node, key)
            entry |= {} if node.max_spikes == 1 else {"max_spikes": int(node.max_spikes)}
            entry |= {} if node.refractory == 0 else {"refractory": int(node.refractory)}
        case LI():
            entry["leak"] = _stated(node, "leak")
            entry |= {} if node.synapse is None else {"synapse": _stated(node, "synapse")}
        case Relu():
            entry |= {"bits": int(node.bits), "step": float(node.step)}
        case Pool2d():
            entry |= {"pooling": node.kind, "size": _square(node.size), "stride": _square(node.stride)}
            if node.padding != (0, 0):
                entry["padding"] = _square(node.padding)
        case Add():
            entry["scale"] = float(node.scale)
        case Delay():
            entry["timesteps"] = int(node.timesteps)
            if isinstance(node.weight, np.ndarray) or node.weight != 1:
                entry["weight"] = _stated(node, "weight")
        case Flatten():
            pass
    return entry


def _stated(node: LIF | LI | Delay, key: str) -> float | str:
    """A number, or the name of the array that holds one per channel."""
    value = getattr(node, key)
    return f"{node.name}.{key}" if isinstance(value, np.ndarray) else float(value)


def _square(pair: tuple[int, int]) -> int | list[int]:
    """One integer where rows and columns are alike."""
    return int(pair[0]) if pair[0] == pair[1] else [int(n) for n in pair]


def _to_node(document: YamlDocument, index: int, weight_bits: int, stored: Arrays, used: set[str]) -> Node:
    path: KeyPath = ("nodes", index)
    entry = document.data["nodes"][index]
    what = entry.get("kind") if isinstance(entry, dict) else None
    if not isinstance(what, str) or what not in KINDS:
        fix = suggestion(what, KINDS, "use one of " + ", ".join(KINDS))
        raise document.error(
            (*path, "kind"), f"{what!r} is no kind of node" if what else "the kind is missing", fix=fix
        )
    more = _OPTIONAL.get(what, ())
    section = YamlSection(document, path, (*_COMMON, *_KEYS[what], *more), optional=more)
    name, inputs = section.text("name"), section.texts("inputs")
    one = cast("tuple[str]", inputs)  # counted when the rules are checked
    if what in ("conv2d", "linear"):
        weight, scale, bias = (_array(section, key, stored, used) for key in _ARRAYS)
        own = section.integer("weight_bits") if "weight_bits" in section.data else None
        weight = _shrunk(weight, weight_bits if own is None else own)
        scale, bias = (v.astype(np.float64) if v.dtype.kind == "f" else v for v in (scale, bias))
        if what == "linear":
            return Linear(name, one, weight, scale, bias, own)
        stride = cast("tuple[int, int]", section.integers("stride", 2))
        padding = cast("tuple[int, int]", section.integers("padding", 2))
        dilation = section.integers("dilation", 2) if "dilation" in section.data else (1, 1)
        groups = section.integer("groups") if "groups" in section.data else 1
        window = (stride, padding, cast("tuple[int, int]", dilation))
        return Conv2d(name, one, weight, scale, bias, *window, groups, own)
    if what in ("lif", "li"):
        return _neurons(what, name, one, section, stored, used)
    if what == "relu":
        return Relu(name, one, section.integer("bits"), section.number("step"))
    if what == "pool2d":
        pooling = cast("Literal['average', 'max', 'sum']", section.text("pooling"))
        padded = section.pair("padding") if "padding" in section.data else (0, 0)
        return Pool2d(name, one, pooling, section.pair("size"), section.pair("stride"), padded)
    if what == "delay":
        weighs = _number(section, "weight", stored, used) if "weight" in section.data else 1.0
        return Delay(name, one, section.integer("timesteps"), weighs)
    if what == "add":
        return Add(name, inputs, section.number("scale"))
    return Flatten(name, one)


def _neurons(
    what: str, name: str, inputs: tuple[str], section: YamlSection, stored: Arrays, used: set[str]
) -> LIF | LI:
    def number(key: str) -> PerChannel:
        return _number(section, key, stored, used)

    leak, synapse = number("leak"), number("synapse") if "synapse" in section.data else None
    if what == "li":
        return LI(name, inputs, leak, synapse)
    fires = section.text("fires") if "fires" in section.data else "at"
    reset_at = section.text("reset_at") if "reset_at" in section.data else "now"
    return LIF(
        name,
        inputs,
        leak,
        number("threshold"),
        cast("Literal['hard', 'soft', 'none']", section.text("reset")),
        cast("Literal['at', 'above']", fires),
        cast("Literal['now', 'next']", reset_at),
        synapse,
        number("floor") if "floor" in section.data else None,
        number("initial") if "initial" in section.data else 0.0,
        number("drift") if "drift" in section.data else 0.0,
        section.integer("max_spikes") if "max_spikes" in section.data else 1,
        section.integer("refractory") if "refractory" in section.data else 0,
    )


def _number(section: YamlSection, key: str, stored: Arrays, used: set[str]) -> PerChannel:
    """A number, or the array of that name."""
    if not isinstance(section.data[key], str):
        return section.number(key)
    if section.data[key] not in stored:
        raise section.error(
            key,
            f"must be a number, not {section.data[key]!r}"[:200],
            f"weights.npz may hold one number per channel as {section.data['name']}.{key}",
        )
    values = _array(section, key, stored, used)
    return values.astype(np.float64) if values.dtype.kind == "f" else values


def _array(section: YamlSection, key: str, stored: Arrays, used: set[str]) -> NDArray[Any]:
    name = section.text(key)
    if name not in stored:
        fix = suggestion(name, stored, "save the network again")
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
