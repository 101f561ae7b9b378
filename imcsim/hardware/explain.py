"""What a config model expects, in plain words, and what is wrong with values it refused.

The words come from the model's JSON schema, so ranges and choices are declared once, in the model. Which
value is wrong is pydantic's verdict alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ValidationError

from imcsim.base.names import did_you_mean, nearest, refusal, shown, suggestion
from imcsim.base.yamlfile import KeyPath, dotted

KIND = "kind"
"""The key that chooses among the variants of a component."""

MOST_EXPLAINED = 100
"""Problems that `explain` looks at; a list of a million wrong entries should not take minutes to refuse."""

_MOST_LISTED = 12
_Node = dict[str, Any]


@dataclass(frozen=True)
class RefusedValue:
    """One refused value: where it stands among the values, what is wrong, and how to mend it."""

    path: KeyPath
    message: str
    fix: str | None = None
    missing: bool = False
    """Whether nothing stands there, and something should."""


class RefusedPart(ValueError):
    """What a validator of a whole model raises about a value deep in it, which `explain` passes on: its path
    begins at the model.
    """

    def __init__(self, problem: RefusedValue) -> None:
        super().__init__(problem.message)
        self.problem = problem


def explain(error: ValidationError, model: type[BaseModel], values: Any) -> list[RefusedValue]:
    """The first hundred problems in `values`: unknown keys, then wrong values, then missing keys.

    An unknown key comes first because a misspelt one is often the reason why another is missing.
    """
    shape = shape_of(model)
    ranked: dict[KeyPath, tuple[int, RefusedValue]] = {}
    details = sorted(error.errors(include_url=False), key=lambda detail: detail["type"] != "extra_forbidden")
    for detail in details[:MOST_EXPLAINED]:
        rank, problem = _explain_one(detail, shape, values)
        # A union reports every alternative; the shape's words already cover all of them.
        if problem.path not in ranked:
            ranked[problem.path] = (rank, problem)
    return [problem for _, problem in sorted(ranked.values(), key=lambda pair: pair[0])]


def _explain_one(detail: Any, shape: Shape, values: Any) -> tuple[int, RefusedValue]:
    kind: str = detail["type"]
    path = _data_path(detail, values)
    match kind:
        case "extra_forbidden":
            return 0, RefusedValue(path, "unknown key", shape.advice(path, values))
        case "union_tag_invalid" | "union_tag_not_found":
            path = (*path, KIND)
            if kind == "union_tag_not_found" and not isinstance(value_at(values, path[:-1]), dict):
                path = path[:-1]
        case "value_error" | "assertion_error":
            cause = detail["ctx"]["error"]
            if isinstance(cause, RefusedPart):
                return 1, replace(cause.problem, path=(*path, *cause.problem.path))
            return 1, RefusedValue(path, refusal(detail))
    expected = shape.words(path, values)
    if kind == "missing" or (kind == "union_tag_not_found" and path[-1:] == (KIND,)):
        what = "an entry" if path and isinstance(path[-1], int) else "the key"
        wanted = f"; expected {expected}" if expected else ""
        return 2, RefusedValue(path, f"{what} is missing{wanted}", missing=True)
    if not expected:
        return 1, RefusedValue(path, refusal(detail))
    value = value_at(values, path)
    fix = suggestion(value, shape.choices(path, values))
    if isinstance(value, dict) and not expected.startswith("a section"):
        fix = "write only the value, or {value: ..., unit: ..., mark: ..., source: ...}"
    return 1, RefusedValue(path, f"expected {expected}, got {shown(value)}", fix)


def value_at(values: Any, path: KeyPath) -> Any:
    """The value at `path`, None where there is none."""
    for part in path:
        try:
            values = values[part]
        except (KeyError, IndexError, TypeError):
            return None
    return values


def _data_path(detail: Any, values: Any) -> KeyPath:
    """Where pydantic's location stands in the data: without the names of union branches that it mixes in."""
    path: list[str | int] = []
    loc = detail["loc"]
    branch_possible = False
    for position, part in enumerate(loc):
        last = position == len(loc) - 1
        if isinstance(values, dict):
            # The branch name follows the union's key; one of the section's own keys may be spelt like it.
            is_branch = branch_possible and not last and values.get(KIND) == part
            if not is_branch and (part in values or (last and detail["type"] == "missing")):
                path.append(part)
                values = values.get(part)
                branch_possible = True
                continue
        elif isinstance(values, list) and isinstance(part, int):
            path.append(part)
            values = values[part] if part < len(values) else None
            branch_possible = True
            continue
        branch_possible = False
    return tuple(path)


class Shape:
    """What may stand where in a config of type `model`."""

    def __init__(self, model: type[BaseModel]) -> None:
        self._root: _Node = model.model_json_schema()
        self._defs: dict[str, _Node] = self._root.get("$defs", {})

    def keys(self) -> list[str]:
        """Every dotted key of every variant, sections included, in the order of the model."""
        return list(dict.fromkeys(self._walk(self._root, (), ())))

    def words(self, path: KeyPath, values: Any) -> str:
        """What is expected at `path`, "" where nothing is."""
        nodes = self._nodes(path, values)
        return _either(list(dict.fromkeys(self._describe(node) for node in nodes)))

    def choices(self, path: KeyPath, values: Any) -> list[str]:
        """The words that are allowed at `path`."""
        return [c for node in self._nodes(path, values) for c in _choices(node) or [] if isinstance(c, str)]

    def knows(self, key: str, path: KeyPath, values: Any) -> bool:
        """Whether the section at `path`, of the kind that `values` has there, may hold `key`."""
        nodes = self._nodes(path, values)
        return any(_step(node, key) for node in nodes) or not nodes

    def advice(self, path: KeyPath, values: Any) -> str:
        """What the unknown key at `path` may have been meant to be."""
        *around, key = path
        section = tuple(around)
        known = [name for node in self._nodes(section, values) for name in node.get("properties", {})]
        close = nearest(str(key), known)
        if close:
            return did_you_mean([dotted((*section, close))])
        other_kinds = [
            str(kind)
            for node in self._nodes(section, values, any_kind=True)
            if key in node.get("properties", {})
            for kind in _choices(node["properties"].get(KIND, {})) or []
        ]
        if other_kinds:
            return f"it belongs to kind {_either(other_kinds)}"
        everywhere = self.keys()
        last = str(key).rsplit(".", 1)[-1]
        # Among all keys of a chip some look like any word.
        same_name = nearest(last, {name.rsplit(".", 1)[-1] for name in everywhere}, likeness=0.75)
        if same_name:
            places = [name for name in everywhere if name.rsplit(".", 1)[-1] == same_name]
            return did_you_mean(places[:3])
        if 0 < len(known) <= _MOST_LISTED:
            return f"known here: {', '.join(known)}"
        return "remove it"

    def _nodes(self, path: KeyPath, values: Any, *, any_kind: bool = False) -> list[_Node]:
        """The schema nodes that describe the value at `path`, one for each alternative.

        Variants of another kind than the one in `values` are left out, unless `any_kind` asks for them or
        the kind is unknown.
        """
        nodes = self._alternatives(self._root)
        for position, part in enumerate(path):
            nodes = [
                below for node in nodes for step in _step(node, part) for below in self._alternatives(step)
            ]
            if part != KIND and not (any_kind and position == len(path) - 1):
                nodes = _of_kind(nodes, value_at(values, path[: position + 1]))
        return nodes

    def _alternatives(self, node: _Node) -> list[_Node]:
        if "$ref" in node:
            return self._alternatives(self._defs[node["$ref"].removeprefix("#/$defs/")])
        for union in ("anyOf", "oneOf"):
            if union in node:
                return [found for branch in node[union] for found in self._alternatives(branch)]
        return [node]

    def _walk(self, node: _Node, path: KeyPath, seen: tuple[int, ...]) -> Iterator[str]:
        for branch in self._alternatives(node):
            if id(branch) in seen:  # a model that contains itself
                continue
            for key, below in branch.get("properties", {}).items():
                yield dotted((*path, key))
                yield from self._walk(below, (*path, key), (*seen, id(branch)))

    def _describe(self, node: _Node) -> str:
        choices = _choices(node)
        if choices is not None:
            return _either([shown(c).removeprefix("the text ") for c in choices])
        match node.get("type"):
            case "integer":
                return "a whole number" + _range(node)
            case "number":
                return "a number" + _range(node)
            case "boolean":
                return "true or false"
            case "null":
                return "nothing"
            case "string":
                return "text" + _sizes(node, "Length", "characters") + _pattern(node)
            case "object":
                return "a section of `key: value` lines"
            case "array":
                return self._describe_list(node)
            case _:
                return "a value"

    def _describe_list(self, node: _Node) -> str:
        if "prefixItems" in node:
            entries = [self._entry(item) for item in node["prefixItems"]]
            return f"a list of {len(entries)} entries ({', '.join(entries)})"
        entry = self._entry(node.get("items", {}))
        return "a list" + _sizes(node, "Items", "entries") + (f", each {entry}" if entry != "a value" else "")

    def _entry(self, node: _Node) -> str:
        return _either([self._describe(branch) for branch in self._alternatives(node)])


@lru_cache(maxsize=16)
def shape_of(model: type[BaseModel]) -> Shape:
    """The shape of a model, made once: a sweep loads a chip for every point."""
    return Shape(model)


def _step(node: _Node, part: str | int) -> list[_Node]:
    if isinstance(part, int):
        fixed: list[_Node] = node.get("prefixItems", [])
        below = fixed[part] if part < len(fixed) else node.get("items")
    else:
        below = node.get("properties", {}).get(part, node.get("additionalProperties"))
    return [below] if isinstance(below, dict) else []


def _of_kind(nodes: list[_Node], value: Any) -> list[_Node]:
    if len(nodes) < 2 or not isinstance(value, dict) or KIND not in value:
        return nodes
    wanted = value[KIND]
    return [n for n in nodes if wanted in (_choices(n.get("properties", {}).get(KIND, {})) or [])] or nodes


def _choices(node: _Node) -> list[Any] | None:
    if "const" in node:
        return [node["const"]]
    choices: list[Any] | None = node.get("enum")
    return choices


def _range(node: _Node) -> str:
    low, high = node.get("minimum"), node.get("maximum")
    above, below = node.get("exclusiveMinimum"), node.get("exclusiveMaximum")
    steps = f", a multiple of {node['multipleOf']}" if "multipleOf" in node else ""
    if low is not None and high is not None:
        return f" from {low} to {high}{steps}"
    bounds = [
        f"{word} {bound}"
        for word, bound in (("at least", low), ("above", above), ("at most", high), ("below", below))
        if bound is not None
    ]
    return (" " + " and ".join(bounds) if bounds else "") + steps


def _sizes(node: _Node, what: str, unit: str) -> str:
    least, most = node.get(f"min{what}"), node.get(f"max{what}")
    if least is not None and most is not None:
        return f" of {least} to {most} {unit}" if least != most else f" of {least} {unit}"
    if least is not None:
        return f" of at least {least} {unit}" if least != 1 else ", not empty"
    return f" of at most {most} {unit}" if most is not None else ""


def _pattern(node: _Node) -> str:
    return f" of the form {node['pattern']}" if "pattern" in node else ""


def _either(words: Sequence[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
