"""The JSON schema of ``network.yaml``, for editors. Which keys a node may have is said once, in
network.schema; what a schema cannot say is still judged when the network is loaded.
"""

from __future__ import annotations

from typing import Any

from imcsim.network.parameters import MAX_ACTIVATION_BITS, MAX_DELAY, MAX_REFRACTORY, MAX_SPIKES
from imcsim.network.schema import _KEYS, _OPTIONAL, SCHEMA

Node = dict[str, Any]

_PAIR: Node = {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 2, "maxItems": 2}
_ONE_OR_PAIR: Node = {"anyOf": [{"type": "integer", "minimum": 0}, _PAIR]}
_ARRAY: Node = {"type": "string", "description": "Name of the array in weights.npz."}
_NUMBER: Node = {
    "anyOf": [{"type": "number"}, {"type": "string"}],
    "description": "A number, or the array in weights.npz that holds one per channel.",
}

_VALUES: dict[str, Node] = {
    "weight": _ARRAY,
    "bias": _ARRAY,
    "stride": _PAIR,
    "padding": _PAIR,
    "dilation": _PAIR,
    "groups": {"type": "integer", "minimum": 1},
    "weight_bits": {"type": "integer", "minimum": 1, "maximum": 16},
    "leak": _NUMBER,
    "threshold": _NUMBER,
    "synapse": _NUMBER,
    "floor": _NUMBER,
    "initial": _NUMBER,
    "drift": _NUMBER,
    "max_spikes": {"type": "integer", "minimum": 1, "maximum": MAX_SPIKES},
    "refractory": {"type": "integer", "minimum": 0, "maximum": MAX_REFRACTORY},
    "bits": {"type": "integer", "minimum": 1, "maximum": MAX_ACTIVATION_BITS},
    "step": {
        "type": "number",
        "exclusiveMinimum": 0,
        "description": "What one step of an activation is worth.",
    },
    "reset": {"enum": ["hard", "soft", "none"]},
    "fires": {"enum": ["at", "above"]},
    "reset_at": {"enum": ["now", "next"]},
    "pooling": {"enum": ["average", "max", "sum"]},
    "size": _ONE_OR_PAIR,
}
_OTHERWISE: dict[tuple[str, str], Node] = {
    ("pool2d", "stride"): _ONE_OR_PAIR,
    ("pool2d", "padding"): _ONE_OR_PAIR,
    ("add", "scale"): {"type": "number"},
    ("delay", "weight"): _NUMBER,
    ("delay", "timesteps"): {"type": "integer", "minimum": 1, "maximum": MAX_DELAY},
    ("conv2d", "scale"): _ARRAY,
    ("linear", "scale"): _ARRAY,
}
"""Keys that mean another thing in some kinds of node."""


def json_schema() -> Node:
    """JSON schema (draft 2020-12) of a network's description."""
    image: dict[str, Node] = {
        "shape": {
            "type": "array",
            "items": {"type": "integer", "minimum": 1},
            "minItems": 3,
            "maxItems": 3,
            "description": "Channels, rows, columns.",
        },
        "bits": {"type": "integer", "minimum": 1},
        "scale": {"type": "number", "description": "Worth of pixel code 1."},
        "padding": {"type": "array", "items": {"type": "integer"}},
    }
    top: dict[str, Node] = {
        "schema": {"const": SCHEMA},
        "name": {"type": "string"},
        "input": _section(image, optional=("padding",)),
        "classes": {"type": "integer", "minimum": 1},
        "votes": {"type": "integer", "minimum": 1, "description": "Outputs that are averaged per class."},
        "timesteps": {"type": "integer", "minimum": 1},
        "weight_bits": _VALUES["weight_bits"],
        "nodes": {"type": "array", "minItems": 1, "items": {"oneOf": [_node(kind) for kind in _KEYS]}},
        "provenance": {"type": "object"},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "imcsim network.yaml",
        **_section(top, optional=("provenance", "votes")),
    }


def _node(kind: str) -> Node:
    optional = _OPTIONAL.get(kind, ())
    own = {key: _OTHERWISE.get((kind, key)) or _VALUES[key] for key in (*_KEYS[kind], *optional)}
    common: dict[str, Node] = {
        "name": {"type": "string"},
        "kind": {"const": kind},
        "inputs": {"type": "array", "items": {"type": "string"}, "minItems": 1},
    }
    return _section(common | own, optional=optional)


def _section(properties: dict[str, Node], *, optional: tuple[str, ...] = ()) -> Node:
    return {
        "type": "object",
        "properties": properties,
        "required": [key for key in properties if key not in optional],
        "additionalProperties": False,
    }
