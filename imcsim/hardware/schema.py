"""The JSON schema of hardware files, for editors: the model's own, as files are written.

Three things are added to what the model says: a figure may stand with its provenance (hardware.quantity), the
file may name its ``sources``, and with ``extends`` it may leave out whatever the other file gives. What a
schema cannot say - that a source exists, that blocks fit each other - is judged when the file is loaded.
"""

from __future__ import annotations

from typing import Any

from imcsim.hardware.files import EXTENDS, names
from imcsim.hardware.layers import SOURCES
from imcsim.hardware.quantity import MARKS, USER, unit_of

Node = dict[str, Any]

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_REF = "#/$defs/"
_PART = "Part of "
"""How the definition of a section is named in which nothing is required."""


def json_schema() -> Node:
    """JSON schema (draft 2020-12) of a hardware file."""
    from imcsim.hardware.config import HardwareConfig

    model = HardwareConfig.model_json_schema(by_alias=True)
    root = "HardwareConfig"
    sections: dict[str, Node] = model.pop("$defs") | {root: model}
    whole = {name: _section(node, sections, part=False) for name, node in sections.items()}
    part = {_PART + name: _section(node, sections, part=True) for name, node in sections.items()}
    for node in (whole[root], part[_PART + root]):
        node["properties"] |= {EXTENDS: _extends(), SOURCES: _SOURCES}
    return {
        "$schema": DRAFT,
        "title": "imcsim hardware file",
        "type": "object",
        "if": {"required": [EXTENDS]},
        "then": {"$ref": _REF + _PART + root},
        "else": {"$ref": _REF + root},
        "$defs": whole | part | _PROVENANCE,
    }


_PROVENANCE: dict[str, Node] = {
    "Mark": {
        "enum": list(MARKS),
        "description": "; ".join(f"{mark}: {means}" for mark, means in MARKS.items()),
    },
    "Source": {"type": "string", "description": f"A name from sources:, or {USER}."},
    "GivenByUser": {
        "if": {"properties": {"source": {"const": USER}}},
        "then": {"properties": {"mark": {"const": "given"}}},
    },
}
_SOURCES: Node = {
    "type": "object",
    "description": "Citations, by the names that values use.",
    "additionalProperties": {"type": "string", "pattern": r"\S"},
}


_HOLDS: Node = {
    "description": "What the value holds for: for each key of the chip a number, a range or a word.",
    "type": "object",
    "minProperties": 1,
    "additionalProperties": {
        "anyOf": [
            {"type": "number"},
            {"type": "string"},
            {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
        ]
    },
}


def _extends() -> Node:
    return {
        "description": "The chip whose values this file starts from: "
        f"{', '.join(names())}, or the path of a YAML file, relative to this one.",
        "anyOf": [{"enum": names()}, {"type": "string", "pattern": r"\S"}],
    }


def _section(node: Node, sections: dict[str, Node], *, part: bool) -> Node:
    """A definition as it may be written; of a `part` nothing is required."""
    found = {key: value for key, value in node.items() if not (part and key == "required")}
    if "properties" in node:
        found["properties"] = {
            key: _value(below, key, sections, part=part) for key, below in node["properties"].items()
        }
    return found


def _value(node: Node, key: str, sections: dict[str, Node], *, part: bool) -> Node:
    """What may stand behind `key`: a section, or a value with or without its provenance."""
    about = {name: node[name] for name in ("title", "description", "default") if name in node}
    if "$ref" in node:
        name = node["$ref"].removeprefix(_REF)
        if "properties" in sections[name]:
            return about | {"$ref": _REF + (_PART if part else "") + name}
        return about | _with_provenance(sections[name], key)
    kinds = node.get("oneOf", [])
    if kinds and all("$ref" in kind for kind in kinds):
        # A part need not say its kind, and then more than one may fit.
        return about | {
            "anyOf" if part else "oneOf": [_value(kind, key, sections, part=part) for kind in kinds]
        }
    below = node.get("additionalProperties")
    if node.get("type") == "object" and isinstance(below, dict):
        whole = {name: value for name, value in node.items() if name != "additionalProperties"}
        if part:
            whole.pop("minProperties", None)
        return whole | {"additionalProperties": _value(below, key, sections, part=part)}
    return about | _with_provenance({name: node[name] for name in node if name not in about}, key)


def _with_provenance(value: Node, key: str) -> Node:
    unit = unit_of(key)
    units: list[Any] = [unit] if unit else ["1", 1, ""]
    sourced = {
        "type": "object",
        "properties": {
            "value": value,
            "unit": {"enum": units},
            "mark": {"$ref": _REF + "Mark"},
            "source": {"$ref": _REF + "Source"},
            "note": {"type": "string"},
            "holds": _HOLDS,
        },
        "required": ["value", "mark", "source"],
        "additionalProperties": False,
        "allOf": [{"$ref": _REF + "GivenByUser"}],
    }
    return {"anyOf": [value, sourced]}
