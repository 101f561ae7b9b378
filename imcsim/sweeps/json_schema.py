"""The JSON schema of a sweep's spec, for editors: the model's own, with what may stand for several values."""

from __future__ import annotations

from typing import Any

from imcsim.studies.settings import SETTINGS
from imcsim.sweeps.spec import SpecModel

Node = dict[str, Any]

_NUMBERS: Node = {"type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 3}
_FORMS = {
    "range": "First, last, step.",
    "linspace": "First, last, how many: equal steps.",
    "log": "First, last, how many: equal ratios.",
}
_AXIS = "#/$defs/Axis"
_ABOUT = ("title", "default", "description")


def json_schema() -> Node:
    """JSON schema (draft 2020-12) of a spec. Whether a dotted key is one of the chip is judged when it is
    read.
    """
    schema = SpecModel.model_json_schema()
    properties: dict[str, Node] = schema["properties"]
    for key in SETTINGS:
        about = {name: properties[key].pop(name) for name in _ABOUT if name in properties[key]}
        properties[key] = about | {"anyOf": [properties[key], {"$ref": _AXIS}]}
    axes = {"type": "object", "additionalProperties": {"$ref": _AXIS}}
    properties["axes"] |= axes
    properties["zip"] |= {"type": "array", "items": axes}
    forms = [
        {
            "type": "object",
            "properties": {form: _NUMBERS | {"description": about}},
            "required": [form],
            "additionalProperties": False,
        }
        for form, about in _FORMS.items()
    ]
    values = {"type": "array", "minItems": 1}
    schema["$defs"] = schema.get("$defs", {}) | {"Axis": {"anyOf": [values, *forms]}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "imcsim sweep spec",
    }
