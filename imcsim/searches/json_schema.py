"""The JSON schema of a search's spec, for editors: that of a sweep with ranges and what is searched for."""

from __future__ import annotations

from typing import Any

from imcsim.searches.goals import OBJECTIVES
from imcsim.searches.ranges import RANGES
from imcsim.searches.spec import FIXED, SearchModel
from imcsim.studies.settings import SETTINGS
from imcsim.sweeps.json_schema import json_schema as of_sweeps

Node = dict[str, Any]

_ENDS: Node = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
_ABOUT = {
    "between": "Any value from the first to the second.",
    "log_between": "Any value between; equal ratios have the same chance.",
}


def json_schema() -> Node:
    """JSON schema (draft 2020-12) of a spec. Whether a dotted key is one of the chip is judged when it is
    read.
    """
    schema, own = of_sweeps(), SearchModel.model_json_schema()
    properties: Node = schema["properties"]
    properties |= own["properties"]
    properties["objectives"]["items"] = {"enum": list(OBJECTIVES)}
    properties["objectives"]["uniqueItems"] = True
    ranges = [
        {
            "type": "object",
            "properties": {name: _ENDS | {"description": _ABOUT[name]}},
            "required": [name],
            "additionalProperties": False,
        }
        for name in RANGES
    ]
    schema["$defs"]["Range"] = {"anyOf": [{"$ref": "#/$defs/Axis"}, *ranges]}
    properties["axes"]["additionalProperties"] = {"$ref": "#/$defs/Range"}
    for key in SETTINGS:
        several = {"$ref": "#/$defs/Axis"}
        options: list[Node] = properties[key]["anyOf"]
        if several in options:
            options.remove(several)
            if key not in FIXED:
                options.append({"$ref": "#/$defs/Range"})
    schema["required"] = ["objectives"]
    return {**schema, "title": "imcsim search spec"}
