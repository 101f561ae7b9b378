"""Writes what stands in docs/api.md below its mark: the public interface, from signatures and docstrings.

`python docs/make_api.py` writes it, `--check` says whether it is as it should be. The page is plain Markdown,
so that it reads the same on a code host and in the Sphinx site. An argument or a field that no
docstring explains is an error.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import inspect
import re
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from imcsim.results.schemas import KINDS, json_schema
from imcsim.studies.settings import DECLARED, CompareOptions

PAGE = Path(__file__).with_name("api.md")
MARK = "<!-- From here on written by docs/make_api.py, from docstrings: mend those, and run it. -->\n"

CONTENTS: Mapping[str, Mapping[str, str]] = {
    "Run networks on chips": {
        "imcsim.api": "compare compare_chips run stream sweep load_result",
    },
    "Live PyTorch modules": {
        "imcsim.api": "from_torch Monitor",
        "imcsim.importers.live.network": "TorchNetwork",
        "imcsim.importers.live.checking": "ModuleCheck LayerCheck Difference",
    },
    "Load and save": {
        "imcsim.hardware": "names load describe",
        "imcsim.network": "names load save fingerprint",
        "imcsim.inputs": "names load save describe paired",
    },
    "Show results": {
        "imcsim.base.presented": "Presented",
        "imcsim.results.model": "to_json",
        "imcsim.results.schemas": "json_schema",
    },
    "Results of a comparison": {
        "imcsim.results.comparison": "CompareResult StaticPoint Dynamic CurvePoint ScalingPoint "
        "SensitivityPoint",
        "imcsim.results.outcomes": "ImageOutcomes AtThreshold",
        "imcsim.results.figures": "Reduction ValidationFigures",
    },
    "Results of a run and of a stream": {
        "imcsim.results.run": "RunResult Policy Outcome",
        "imcsim.results.stream": "StreamResult StreamArrivals TileUse",
    },
    "Results of many chips": {
        "imcsim.results.chips.document": "ChipsResult",
        "imcsim.results.chips.one_chip": "OneChip StaticRun DynamicRun Moved",
        "imcsim.results.chips.summary": "StaticSpread DynamicSpread ExitSpread",
        "imcsim.results.chips.spread": "Spread",
        "imcsim.studies.chips.comparing": "Stopped",
    },
    "Parts of all results": {
        "imcsim.results.meta": "Meta HardwareMeta NetworkMeta InputsMeta",
        "imcsim.results.costs": "ComponentCost Action LayerCost CheckerCost",
    },
    "Sweeps and searches": {
        "imcsim.sweeps.spec": "load_spec Spec SweepPoint SweepAxis",
        "imcsim.sweeps.store": "Store open_store",
        "imcsim.searches.spec": "load_search Search",
        "imcsim.searches": "search",
    },
    "Options": {"imcsim.studies.settings": "CompareOptions"},
    "Choosing thresholds": {
        "imcsim.studies.thresholds": "one_for_all one_for_each",
        "imcsim.studies.registers": "Judges registers_within",
        "imcsim.studies.temperatures": "fitted",
        "imcsim.results.statistics": "wilson_interval paired_interval student_975",
    },
    "Full width from a narrow network": {
        "imcsim.network.widen": "widen",
        "imcsim.studies.widened": "widened_experiment widened_activity",
    },
    "Plug-ins": {
        "imcsim.plugins": "ExitRule CheckWork Units ClassOutputs CheckerNumerics final Estimator "
        "EstimatedFigures CellErrors Programming FrameEncoding",
    },
    "Errors": {"imcsim.base.errors": "ImcsimError"},
}
"""Sections, the modules that users import from, and what each gives."""

TOLD = ("imcsim.api", "imcsim.plugins")
"""Modules whose docstring stands above what they give, without its first paragraph."""

FIGURES = "What each figure means, and how it is computed, stands in [results](results.md)."

MEMBERS = {
    "Spec": "name keys sha256 points",
    "Store": "path spec keys planned points rows table outcomes front counts to_frame close",
}
"""Members of a class that are for users, where not all are."""

SHORT = {
    "imcsim.hardware": "hardware.",
    "imcsim.network": "network.",
    "imcsim.inputs": "inputs.",
    "imcsim.searches": "searches.",
}
"""Modules whose names stand before those of their functions, several of which have the same."""

UNITS = {
    "_pj": "pJ", "_ns": "ns", "_us": "us", "_s": "s", "_um2": "um2", "_uw": "uW", "_mm2": "mm2",
    "_cycles": "cycles", "_bits": "bits", "_bytes": "bytes", "_nm": "nm",
}  # fmt: skip
WIDTH = 88
"""Columns of a signature."""


class Unexplained(Exception):
    """An argument without a word in its docstring."""


@dataclasses.dataclass(frozen=True)
class Item:
    """Something that the page explains: what it is, its heading, and how a program imports it."""

    thing: Any
    heading: str
    origin: str

    @property
    def anchor(self) -> str:
        """Of its heading, as code hosts and Sphinx make it."""
        return re.sub(r"[^\w-]", "", self.heading.lower())


def items() -> dict[str, list[Item]]:
    """What the page explains, by section."""
    found: dict[str, list[Item]] = {}
    for section, modules in CONTENTS.items():
        for module, names in modules.items():
            for name in names.split():
                thing = getattr(importlib.import_module(module), name)
                short = SHORT.get(module, "")
                origin = "imcsim" if module == "imcsim.api" else module
                found.setdefault(section, []).append(Item(thing, short + name, origin))
    return found


def page() -> str:
    """All that stands below the mark."""
    for kind in KINDS:  # which gives each field of a document its text
        json_schema(kind)
    sections = items()
    writer = Writer({item.heading: item for group in sections.values() for item in group})
    parts = [MARK, "| section | what it has |\n|---|---|"]
    for section, group in sections.items():
        links = ", ".join(f"[`{item.heading}`](#{item.anchor})" for item in group)
        parts[-1] += f"\n| [{section}](#{_slug(section)}) | {links} |"
    for section, group in sections.items():
        parts.append(f"## {section}")
        for module in CONTENTS[section]:
            if module in TOLD and section != "Live PyTorch modules":
                about = Docstring(sys.modules[module])
                parts += writer.text(about.text.partition("\n\n")[2])
        if section.startswith(("Results", "Parts")):
            parts.append(FIGURES)
        for item in group:
            parts += writer.item(item)
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


class Writer:
    """Writes items as Markdown, with links between them."""

    def __init__(self, known: Mapping[str, Item]) -> None:
        self.known = known
        self.by_class = {item.thing.__name__: item for item in known.values() if inspect.isclass(item.thing)}

    def item(self, item: Item) -> Iterator[str]:
        yield f"### {item.heading}"
        if inspect.isclass(item.thing):
            yield from self._class(item)
        else:
            yield from self._function(item.thing, item.heading, item.origin)

    # --- functions

    def _function(self, function: Callable[..., Any], shown: str, origin: str | None) -> Iterator[str]:
        function = inspect.unwrap(function)
        about = Docstring(function)
        parameters = _parameters(function)
        heading = shown if origin is None or "." in shown else f"{origin}.{shown}"
        if "." in shown and origin is not None:
            heading = f"imcsim.{shown}"
        yield f"```python\n{signature(heading, parameters)}\n```"
        yield from self.text(about.text)
        yield from self._arguments(function, about, parameters)
        returned = function.__annotations__.get("return")
        kind = self.type_of(returned, function) if returned not in (None, "None") else None
        if kind:
            told = self.inline(about.returns) if about.returns else ""
            yield f"**Returns** {kind}" + (f": {told}" if told else ".")
        if about.raises:
            yield "**Raises**"
            yield "\n".join(
                f"- {self._code(f'`{name}`')}: {self.inline(text)}" for name, text in about.raises
            )
        if about.example:
            yield f"```pycon\n{about.example}\n```"

    def _arguments(
        self, function: Any, about: Docstring, parameters: list[inspect.Parameter]
    ) -> Iterator[str]:
        if not parameters:
            return
        rows = []
        for one in parameters:
            text = about.arguments.get(one.name)
            if text is None:
                raise Unexplained(f"{function.__module__}.{function.__qualname__}: {one.name}")
            default = "required" if one.default is one.empty else f"`{_value(one.default)}`"
            rows.append([f"`{one.name}`", self.type_of(one.annotation, function), default, self.inline(text)])
        yield table(["argument", "type", "default", "meaning"], rows)

    # --- classes

    def _class(self, item: Item) -> Iterator[str]:
        kind = item.thing
        made = _made_by_users(kind)
        about = Docstring(kind)
        if made:
            parameters = _parameters(kind.__init__)
            yield f"```python\n{signature(f'{item.origin}.{kind.__name__}', parameters)}\n```"
        else:
            yield f"```python\nfrom {item.origin} import {kind.__name__}\n```"
        yield from self.text(about.text)
        if made:
            yield from self._arguments(kind.__init__, about, _parameters(kind.__init__))
        else:
            yield from self._fields(kind)
        shown = [base for base in kind.__mro__[1:] if base.__name__ in self.by_class]
        if shown:
            links = " and ".join(self._code(f"`{one.__name__}`") for one in shown)
            yield f"It also has what {links} has."
        if about.example:
            yield f"```pycon\n{about.example}\n```"
        for name, member in vars(kind).items():
            yield from self._member(kind, name, member)

    def _member(self, kind: type, name: str, member: Any) -> Iterator[str]:
        plain = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        if kind.__name__ in MEMBERS and name not in MEMBERS[kind.__name__].split():
            return
        called = name == "__call__"
        if (name.startswith(("_", "model_")) and not called) or not (inspect.getdoc(plain) or "").strip():
            return
        if isinstance(member, property) or hasattr(member, "func"):
            getter = getattr(member, "fget", None) or member.func
            about = Docstring(getter)
            yield f"#### {kind.__name__}.{name}"
            got = self.type_of(getter.__annotations__.get("return"), getter)
            yield f"Property, {got}."
            yield from self.text(about.text)
        elif inspect.isfunction(plain):
            yield f"#### {kind.__name__}, called" if called else f"#### {kind.__name__}.{name}"
            yield from self._method(plain, kind.__name__.lower() if called else f"{kind.__name__}.{name}")

    def _method(self, function: Callable[..., Any], shown: str) -> Iterator[str]:
        """A method: the arguments that its docstring does not list stand in the text, by their names."""
        parameters = _parameters(function)
        about = Docstring(function)
        yield f"```python\n{signature(shown, parameters)}\n```"
        yield from self.text(about.text)
        for one in parameters:
            if one.name not in about.arguments and not re.search(rf"\b{one.name}\b", about.all):
                raise Unexplained(f"{function.__module__}.{function.__qualname__}: {one.name}")
        rows = []
        for one in parameters:
            default = "required" if one.default is one.empty else f"`{_value(one.default)}`"
            text = self.inline(about.arguments.get(one.name, ""))
            rows.append([f"`{one.name}`", self.type_of(one.annotation, function), default, text])
        if rows:
            yield table(["argument", "type", "default", "meaning"], rows)
        returned = function.__annotations__.get("return")
        if returned not in (None, "None"):
            yield f"**Returns** {self.type_of(returned, function)}" + (
                f": {self.inline(about.returns)}" if about.returns else "."
            )

    def _fields(self, kind: type) -> Iterator[str]:
        rows = []
        for name, annotation, default, text, where in _fields_of(kind):
            if not text and kind.__module__.startswith("imcsim"):
                raise Unexplained(f"{kind.__module__}.{kind.__qualname__}: {name}")
            given = "" if default is inspect.Parameter.empty else f"`{_value(default)}`"
            unit = next((unit for end, unit in UNITS.items() if name.endswith(end)), "")
            if name.startswith("edp_") and "reduction" not in name:
                unit = "pJ ns"
            rows.append([f"`{name}`", self.type_of(annotation, where), unit, given, self.inline(text)])
        if rows:
            yield table(["field", "type", "unit", "default", "meaning"], rows)

    # --- text and types

    def text(self, text: str) -> Iterator[str]:
        for part in re.split(r"\n\s*\n", text):
            if part.strip():
                listed = part.lstrip().startswith("- ")
                yield self.inline(part if listed else " ".join(part.split()))

    def inline(self, text: str) -> str:
        """A docstring's text in Markdown: names in code style, linked where the page explains them."""
        pieces = re.split(r"(``[^`]+``|`[^`]+`)", text)
        return "".join(self._code(one) if one.startswith("`") else _plain(one) for one in pieces)

    def _code(self, piece: str) -> str:
        name = piece.strip("`")
        item = self.known.get(name.removeprefix("imcsim.")) or self.by_class.get(name.rpartition(".")[2])
        if item is not None and not piece.startswith("``"):
            return f"[`{name}`](#{item.anchor})"
        return f"`{name}`"

    def type_of(self, annotation: Any, where: Any) -> str:
        """A type in words, without the names of typing."""
        if isinstance(annotation, str):
            annotation = eval(annotation, _Names(where))
        return self._words(annotation)

    def _words(self, kind: Any) -> str:
        origin, given = typing.get_origin(kind), typing.get_args(kind)
        if kind is None or kind is types.NoneType:
            return "None"
        if kind is typing.Self:
            return "the same class"
        if kind is Any or kind is object:
            return "object"
        if kind is Ellipsis or isinstance(kind, typing.TypeVar):
            return "object"
        if origin is typing.Annotated:
            return self._words(given[0]) + _bounds(given[1:])
        if origin in (typing.Union, types.UnionType):
            parts = [self._words(one) for one in given]
            return _either(["another object" if one == "object" else one for one in dict.fromkeys(parts)])
        if origin is typing.Literal:
            return _either([f'`"{one}"`' if isinstance(one, str) else f"`{one}`" for one in given])
        if origin is None:
            name = getattr(kind, "__name__", str(kind))
            item = self.by_class.get(name)
            return name if item is None else f"[{name}](#{item.anchor})"
        name = getattr(origin, "__name__", str(origin))
        if name == "ndarray":
            inner = typing.get_args(given[1]) if len(given) > 1 else ()
            what = self._words(inner[0]) if inner else "object"
            return "array" if what in ("object", "generic") else f"array of {what}"
        if name == "Callable":
            return "function"
        if name == "Integer" or name == "integer":
            return "integer"
        if name in ("Mapping", "dict"):
            return f"{name.lower()} of {self._words(given[0])} to {self._words(given[1])}"
        if name == "tuple" and Ellipsis not in given:
            return "(" + ", ".join(self._words(one) for one in given) + ")"
        inside = [self._words(one) for one in given if one is not Ellipsis]
        return f"{name.lower()} of {inside[0]}" if inside and inside[0] != "object" else name.lower()


class _Names(dict[str, Any]):
    """The names of a module; those that only type checkers import are classes of that name."""

    def __init__(self, where: Any) -> None:
        module = sys.modules[where.__module__]
        super().__init__({**vars(typing), **vars(module)})

    def __missing__(self, name: str) -> Any:
        if name in vars(__import__("builtins")):
            return vars(__import__("builtins"))[name]
        return type(name, (), {})


class Docstring:
    """The parts of a docstring: text, arguments, what it returns and raises, and its example."""

    def __init__(self, thing: Any) -> None:
        self.all = inspect.getdoc(thing) or ""
        self.arguments: dict[str, str] = {}
        self.raises: list[tuple[str, str]] = []
        self.returns = ""
        text, self.example = _apart(self.all)
        found = re.split(r"^(Args|Returns|Raises):\n", text, flags=re.MULTILINE)
        self.text, named = found[0], dict(zip(found[1::2], found[2::2], strict=True))
        for title, block in named.items():
            indented, rest = _indented(block)
            self.text += "\n\n" + rest
            if title == "Returns":
                self.returns = " ".join(indented.split())
                continue
            for name, said in _entries(indented):
                if title == "Args":
                    self.arguments[name] = said
                else:
                    self.raises.append((name, said))


def signature(name: str, parameters: list[inspect.Parameter]) -> str:
    """A call with its defaults, without types, in lines of `WIDTH` columns."""
    parts, keyword = [], False
    for one in parameters:
        if one.kind is one.KEYWORD_ONLY and not keyword:
            parts.append("*")
            keyword = True
        parts.append(one.name if one.default is one.empty else f"{one.name}={_value(one.default)}")
    whole = f"{name}({', '.join(parts)})"
    if len(whole) <= WIDTH:
        return whole
    lines = [f"{name}(", "   "]
    for part in parts:
        if len(lines[-1]) + len(part) + 2 > WIDTH:
            lines.append("   ")
        lines[-1] += f" {part},"
    return "\n".join([*lines, ")"])


def table(columns: list[str], rows: list[list[str]]) -> str:
    """A Markdown table, without columns in which nothing stands."""
    keep = [k for k, _ in enumerate(columns) if any(row[k] for row in rows)]
    lines = [[columns[k] for k in keep], ["---"] * len(keep), *([row[k] for k in keep] for row in rows)]
    return "\n".join("| " + " | ".join(_cell(one) for one in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return re.sub(r"(?<!\\)\|", r"\\|", " ".join(text.split()))


def _fields_of(kind: type) -> Iterator[tuple[str, Any, Any, str, Any]]:
    """Name, type, default and text of each field, and the class whose names its type uses."""
    empty = inspect.Parameter.empty
    if issubclass(kind, BaseModel):
        for name, about in kind.model_fields.items():
            yield name, _annotated(about), _default(about), about.description or "", kind
    elif kind is CompareOptions:
        for one in dataclasses.fields(kind):
            declared = DECLARED[one.name]
            yield one.name, declared.type, declared.default, declared.docstring, kind
    elif dataclasses.is_dataclass(kind):
        texts = _texts_below(kind)
        for one in dataclasses.fields(kind):
            if not one.name.startswith("_"):
                default = empty if one.default is dataclasses.MISSING else one.default
                where = next(c for c in kind.__mro__ if one.name in inspect.get_annotations(c))
                yield one.name, one.type, default, texts.get(one.name, ""), where
    else:
        texts = _texts_below(kind)
        for name, annotation in inspect.get_annotations(kind).items():
            if not name.startswith("_"):
                plain = re.sub(r"^ClassVar\[(.*)\]$", r"\1", annotation)
                yield name, plain, getattr(kind, name, empty), texts.get(name, ""), kind


def _annotated(about: FieldInfo) -> Any:
    return typing.Annotated[(about.annotation, *about.metadata)] if about.metadata else about.annotation


def _default(about: FieldInfo) -> Any:
    return inspect.Parameter.empty if about.default is PydanticUndefined else about.default


def _texts_below(kind: type) -> dict[str, str]:
    """The text below each field of a class, those of its bases too."""
    below = re.compile(r'^    (\w+): [^\n]*\n    """(.*?)"""', re.MULTILINE | re.DOTALL)
    bases = [one for one in kind.__mro__[::-1] if one.__module__.startswith("imcsim")]
    found = [pair for one in bases for pair in below.findall(inspect.getsource(one))]
    return {name: " ".join(text.split()) for name, text in found}


def _made_by_users(kind: type) -> bool:
    """Whether users call the class: it has a constructor of its own whose arguments it explains."""
    return "__init__" in vars(kind) and bool(Docstring(kind).arguments)


def _parameters(function: Any) -> list[inspect.Parameter]:
    found = inspect.signature(inspect.unwrap(function)).parameters.values()
    return [one for one in found if one.name not in ("self", "cls")]


def _apart(text: str) -> tuple[str, str]:
    """A docstring without its example, and the example."""
    begin = text.find(">>> ")
    if begin < 0:
        return text, ""
    rest = text[begin:].split("\n\n")
    return text[:begin] + "\n\n".join(rest[1:]), rest[0].rstrip()


def _indented(block: str) -> tuple[str, str]:
    """The lines of a section of a docstring, and what follows it."""
    lines = block.split("\n")
    end = next((k for k, line in enumerate(lines) if line and not line.startswith("    ")), len(lines))
    return "\n".join(lines[:end]), "\n".join(lines[end:])


def _entries(block: str) -> Iterator[tuple[str, str]]:
    """``name: text`` with more lines further in."""
    for part in re.split(r"^    (?=\S)", block, flags=re.MULTILINE):
        name, colon, text = part.partition(": ")
        if colon:
            yield name.strip(), " ".join(text.split())


def _bounds(metadata: tuple[Any, ...]) -> str:
    """What numbers may be, from the marks of annotated types."""
    marks = [mark for one in metadata for mark in (getattr(one, "metadata", None) or [one])]
    low = next((mark.ge for mark in marks if hasattr(mark, "ge")), None)
    above = next((mark.gt for mark in marks if hasattr(mark, "gt")), None)
    high = next((mark.le for mark in marks if hasattr(mark, "le")), None)
    if low is not None and high is not None:
        return f" ({low:g} to {high:g})"
    if above is not None:
        return f" (above {above:g})"
    return "" if low is None else f" (from {low:g})"


def _either(words: list[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _value(value: Any) -> str:
    """A default as a program writes it."""
    if isinstance(value, Path):
        return repr(str(value))
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _plain(text: str) -> str:
    """Text in which nothing is a sign of Markdown."""
    text = re.sub(r"([*<$])", r"\\\1", text)
    return re.sub(r"\bdocs/(\w+)\.md\b", r"[\1](\1.md)", text)


def _slug(title: str) -> str:
    return re.sub(r"[^\w-]", "", title.lower().replace(" ", "-"))


def whole() -> str:
    """What docs/api.md should be."""
    head, mark, _ = PAGE.read_text(encoding="utf-8").partition(MARK)
    if not mark:
        raise SystemExit(f"{PAGE}: the mark is missing: {MARK}")
    return head + page()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="only say whether the page is as it should be")
    check = parser.parse_args().check
    wanted = whole()
    if check:
        current = PAGE.read_text(encoding="utf-8") == wanted
        print("docs/api.md is as it should be" if current else "run python docs/make_api.py")
        return 0 if current else 1
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
