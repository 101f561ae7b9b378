"""The layers of a hardware config: a file over the files that it extends, overrides on top.

Each file is split into its values and where they come from. How two layers make one: a section is merged key
by key; everything else, a list too, takes the place of what was there. Where a section changes its ``kind``,
what the layer below says in it stays only where the new kind knows the key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from imcsim.base.errors import ImcsimError
from imcsim.base.names import shown
from imcsim.base.yamlfile import DEEPEST, KeyPath, YamlDocument, dotted
from imcsim.hardware.explain import KIND, RefusedValue, Shape, value_at
from imcsim.hardware.files import EXTENDS
from imcsim.hardware.quantity import (
    LABELS,
    Provenance,
    is_quantity,
    plain_provenance,
    read_quantity,
    read_sources,
)

T = TypeVar("T")

SOURCES = "sources"
"""The top-level key, beside `EXTENDS`, that is not part of the model: citations, by the names that values
use.
"""


@dataclass
class ConfigLayer:
    """Values on their own, and what is known about each by its path.

    `document` is the file itself, `below` the files that it extends. details: of sourced values, as they are
    written. owners: the file of every value that is no section. overridden: what no file gives.
    """

    document: YamlDocument
    below: tuple[YamlDocument, ...] = ()
    values: dict[str, Any] = field(default_factory=dict)
    provenance: dict[KeyPath, Provenance] = field(default_factory=dict)
    details: dict[KeyPath, dict[str, Any]] = field(default_factory=dict)
    owners: dict[KeyPath, YamlDocument] = field(default_factory=dict)
    overridden: list[KeyPath] = field(default_factory=list)

    def over(self, base: ConfigLayer, shape: Shape) -> ConfigLayer:
        """This layer over `base`, which it extends. Inherited values keep where they come from."""
        merged = ConfigLayer(self.document, (base.document, *base.below))
        replaced: list[KeyPath] = []
        changed: list[KeyPath] = []

        def lay(over: Any, under: Any, path: KeyPath) -> Any:
            sections = isinstance(over, dict) and isinstance(under, dict)
            if not sections or path in self.owners or path in base.owners:
                replaced.append(path)
                return over
            if KIND in over and over[KIND] != under.get(KIND, over[KIND]):
                changed.append(path)
            both = {
                key: lay(over[key], value, (*path, key)) if key in over else value
                for key, value in under.items()
            }
            return both | {key: value for key, value in over.items() if key not in both}

        merged.values = lay(self.values, base.values, ())
        for path in changed:
            section, mine = value_at(merged.values, path), value_at(self.values, path)
            for key in [k for k in section if k not in mine and not shape.knows(k, path, merged.values)]:
                del section[key]
                replaced.append((*path, key))
        merged.provenance = {
            place: about if about.file else replace(about, file=base.document.path)
            for place, about in _without(base.provenance, replaced).items()
        } | self.provenance
        merged.details = _without(base.details, replaced) | self.details
        merged.owners = _without(base.owners, replaced) | self.owners
        return merged

    def override(self, key: str, value: object, shape: Shape) -> None:
        """Set the value at the dotted `key`, making sections on the way where there are none."""
        parts: tuple[str, ...] = tuple(key.split(".")) if isinstance(key, str) else ()
        if not all(parts) or not 0 < len(parts) <= DEEPEST:
            raise ImcsimError(f"{key!a} is not a dotted key", key="override", fix="write it like adc.bits")
        if parts[0] in (SOURCES, EXTENDS):
            raise ImcsimError("only a file has this key", key=f"override {key}", fix="leave it out")
        plain = plain_value(key, value)
        if is_quantity(plain):
            raise ImcsimError(
                "a value that is given here has no source of its own",
                key=f"override {key}",
                fix="write only the value",
            )
        section = self.values
        for position, part in enumerate(parts[:-1]):
            below = section.setdefault(part, {})
            if not isinstance(below, dict):
                at = dotted(parts[: position + 1])
                raise ImcsimError(
                    f"{at} is a value, not a section", key=f"override {key}", fix=f"override {at}"
                )
            section = below
        before = section.get(parts[-1], plain)
        section[parts[-1]] = plain
        gone: list[KeyPath] = [parts]
        if parts[-1] == KIND and before != plain:
            gone += self._let_go(parts[:-1], section, shape)
        for known in (self.provenance, self.details, self.owners):
            kept = _without(known, gone)
            known.clear()
            known.update(kept)  # type: ignore[arg-type]
        self.overridden.append(parts)
        for place in _leaves(plain, parts):
            self.provenance[place] = plain_provenance(place, line=None, given=True)

    def _let_go(self, path: KeyPath, section: dict[str, Any], shape: Shape) -> list[KeyPath]:
        """Take what files say from a section whose new kind does not know it; returns what went."""
        gone: list[KeyPath] = []
        for key in [k for k in section if not shape.knows(k, path, self.values)]:
            place = (*path, key)
            if not any(given[: len(place)] == place for given in self.overridden):
                del section[key]
                gone.append(place)
        return gone

    def rename_sources(self, names: set[str]) -> None:
        """Tell sources of this file from those to which a file above gave the same names."""
        for place, about in self.provenance.items():
            if about.source in names:
                name = f"{about.source} ({self.document.path.stem})"
                self.provenance[place] = replace(about, source=name)

    def error(self, problem: RefusedValue) -> ImcsimError:
        """`problem` with the line in its file, or with the override that caused it."""
        place = problem.path
        document = self._document_of(place)
        in_file = document.line(place) is not None
        for given in self.overridden:
            if given == place[: len(given)] or (given[: len(place)] == place and not in_file):
                inside, fix = len(place) > len(given), problem.fix
                if inside and fix is None and problem.missing:
                    section = dotted(given)
                    fix = f"{section} gives the whole section anew; to change one key, write {section}.KEY"
                return ImcsimError(
                    problem.message, key=f"override {dotted(place if inside else given)}", fix=fix
                )
        for length in range(1, len(place)):
            if place[:length] in self.details:
                place = (*place[:length], "value", *place[length:])
                break
        return ImcsimError(
            problem.message,
            file=document.path,
            line=document.error(place, "").line,
            key=dotted(problem.path) or None,
            fix=problem.fix,
        )

    def _document_of(self, place: KeyPath) -> YamlDocument:
        """The file in which to mend the value, or the missing value, at `place`."""
        for length in range(len(place), 0, -1):
            if place[:length] in self.owners:
                return self.owners[place[:length]]
        for length in range(len(place), 0, -1):
            for document in (self.document, *self.below):
                if document.line(place[:length]) is not None:
                    return document
        return self.document


def separate_all(documents: Sequence[YamlDocument]) -> list[ConfigLayer]:
    """Each file's own layer, in their order (a file before the one that it extends).

    A file may name sources of the files that it extends. Where it gives one of their names to another
    citation, theirs goes with its file's name. Raises ImcsimError for wrong sources and sourced values.
    """
    layers: list[ConfigLayer] = []
    inherited: dict[str, str] = {}
    for document in reversed(documents):
        own = read_sources(document, document.data.get(SOURCES, {}))
        clashing = {name for name in own if inherited.get(name, own[name]) != own[name]}
        if clashing:
            for layer in layers:
                layer.rename_sources(clashing)
        inherited |= own
        layers.insert(0, _separate(document, inherited))
    return layers


def _separate(document: YamlDocument, sources: Mapping[str, str]) -> ConfigLayer:
    layer = ConfigLayer(document)
    data = {key: value for key, value in document.data.items() if key not in (SOURCES, EXTENDS)}

    def split(data: Any, path: KeyPath) -> Any:
        if path and is_quantity(data):
            layer.details[path] = data
            layer.owners[path] = document
            value, layer.provenance[path] = read_quantity(document, path, data, sources)
            return value
        if isinstance(data, dict):
            return {key: split(value, (*path, key)) for key, value in data.items()}
        if isinstance(data, list) and any(isinstance(entry, dict) for entry in data):
            return [split(entry, (*path, position)) for position, entry in enumerate(data)]
        layer.owners[path] = document
        if not path or path[-1] not in LABELS:
            layer.provenance[path] = plain_provenance(path, line=document.line(path))
        return data

    layer.values = split(data, ())
    return layer


def _without(known: Mapping[KeyPath, T], gone: Sequence[KeyPath]) -> dict[KeyPath, T]:
    """`known` without all that stands at or below one of the paths `gone`."""
    away = set(gone)
    return {
        place: about
        for place, about in known.items()
        if not any(place[:length] in away for length in range(len(place) + 1))
    }


def _leaves(data: Any, path: KeyPath) -> list[KeyPath]:
    if isinstance(data, dict):
        return [leaf for key, value in data.items() for leaf in _leaves(value, (*path, key))]
    return [path]


def plain_value(key: str, value: object) -> Any:
    """`value` as a file would have held it. NumPy numbers and arrays become plain ones."""
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, default=lambda odd: odd.tolist())
        text.encode()
        plain = json.loads(text)
    except (TypeError, ValueError, AttributeError, RecursionError):
        plain = None
        refused = True
    else:
        refused = _deeper(plain, DEEPEST)
    if refused:
        fix = "give a finite number, text, true or false, or a list of these"
        raise ImcsimError(f"{shown(value)} cannot be a value", key=f"override {key}", fix=fix)
    return plain


def _deeper(data: Any, levels: int) -> bool:
    """Whether `data` has more than `levels` levels of lists and sections."""
    below = data.values() if isinstance(data, dict) else data if isinstance(data, list) else None
    return below is not None and (levels == 0 or any(_deeper(entry, levels - 1) for entry in below))
