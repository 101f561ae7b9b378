"""A value in a hardware file together with where it comes from.

A sourced value is written as a mapping::

    conversion_energy_pj: {value: 1.667, unit: pJ, mark: derived, source: isaac, note: 16 mW for 8 ADCs}

`mark` says how sure the figure is, `source` names an entry of the file's ``sources:``. The end of a key's
name says its unit; a `unit` that contradicts it is an error, nothing is converted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imcsim.base.names import shown, suggestion
from imcsim.base.yamlfile import KeyPath, YamlDocument

MARKS = {
    "paper": "read in the paper's own text",
    "code": "read in released code",
    "2nd": "another paper's or reader's account",
    "est": "recalled or estimated",
    "derived": "arithmetic on other figures",
    "given": "chosen by the user",
}
"""How sure a figure is. A plain value without these details has the mark ``unsourced``."""

UNSOURCED = "unsourced"
USER = "user"
"""The source of values with the mark ``given``; it needs no entry in ``sources:``."""

LABELS = frozenset({"schema", "kind", "name", "description"})
"""Keys that name a thing rather than measure it; written plainly, they need no source."""

UNITS = {
    "ps": "ps",
    "ns": "ns",
    "s": "s",
    "cycles": "cycle",
    "mhz": "MHz",
    "ghz": "GHz",
    "fj": "fJ",
    "pj": "pJ",
    "nj": "nJ",
    "nw": "nW",
    "uw": "uW",
    "mw": "mW",
    "um2": "um2",
    "mm2": "mm2",
    "nm": "nm",
    "um": "um",
    "mm": "mm",
    "v": "V",
    "mv": "mV",
    "ohm": "Ohm",
    "ff": "fF",
    "bits": "bit",
    "bytes": "B",
    "lsb": "LSB",
}
"""The unit that the last word of a key's name demands."""

_PER = {"bit": "bit", "byte": "B", "cycle": "cycle"} | UNITS
_WHOLE_NAMES = {"bits", "bytes", "cycles"}
_KEYS = ("value", "unit", "mark", "source", "note", "holds")

Condition = tuple[float, float] | str
"""What a key must be: a range, from and to, or a word."""


@dataclass(frozen=True)
class Provenance:
    """Where one value comes from.

    `unit` is "" for plain numbers and choices; `line` is None for an override. `file` is the extended file
    that an inherited value stands in, None for the file itself. `holds` are the conditions under which the
    value is right, by the dotted keys that they are about.
    """

    unit: str
    mark: str
    source: str = ""
    citation: str = ""
    note: str = ""
    line: int | None = None
    file: Path | None = None
    holds: Mapping[str, Condition] = field(default_factory=dict)


def unit_of(name: str) -> str:
    """The unit that the key `name` demands, "" where it demands none.

    ``read_pj`` is in pJ, ``wire_pj_per_mm`` in pJ/mm; in ``energy_pj_by_bits`` (a table over bits) the
    figures are in pJ.
    """
    base, *per = name.split("_by_")[0].split("_per_")
    word = base.rsplit("_", 1)[-1]
    unit = UNITS.get(word, "") if word != base or word in _WHOLE_NAMES else ""
    if not per or not unit:
        return unit
    return "/".join([unit, *(_PER.get(part, part) for text in per for part in text.split("_"))])


def is_quantity(data: Any) -> bool:
    """Whether `data` is a sourced value (or an attempt at one) rather than a section."""
    return isinstance(data, dict) and ("value" in data or "mark" in data)


def plain_provenance(path: KeyPath, *, line: int | None, given: bool = False) -> Provenance:
    """The provenance of a value written without details: ``unsourced``, or ``given`` by the user."""
    unit = _demanded(path)
    return Provenance(unit, "given", USER, line=line) if given else Provenance(unit, UNSOURCED, line=line)


def read_quantity(
    document: YamlDocument, path: KeyPath, data: Mapping[str, Any], sources: Mapping[str, str]
) -> tuple[Any, Provenance]:
    """Split the mapping `data`, found at `path`, into its value and its provenance.

    Raises ImcsimError for an unknown or missing detail and an unknown mark or source. The value itself is not
    judged here, and the unit is taken from the name of the key; see `check_unit`.
    """
    for key in data:
        if key not in _KEYS:
            fix = suggestion(key, _KEYS, f"a sourced value has {', '.join(_KEYS)}")
            raise document.error((*path, key), f"unknown detail {key!r} of a sourced value", fix=fix)
    for key in ("value", "mark", "source"):
        if key not in data:
            fix = "write {value: ..., unit: ..., mark: ..., source: ...}, or only the value"
            raise document.error(path, f"a sourced value needs {key!r}", fix=fix)
    mark = _text(document, path, data, "mark")
    if mark not in MARKS:
        raise document.error((*path, "mark"), f"unknown mark {mark!r}", fix=f"use one of {', '.join(MARKS)}")
    source = _text(document, path, data, "source")
    if source == USER and mark != "given":
        fix = "write mark: given, or name the source"
        raise document.error(
            (*path, "source"), f"the source {USER!r} does not go with mark {mark!r}", fix=fix
        )
    if source != USER and source not in sources:
        fix = suggestion(source, sources, "add it under sources: at the top of the file")
        raise document.error((*path, "source"), f"there is no source {source!r}", fix=fix)
    return data["value"], Provenance(
        unit=_demanded(path),
        mark=mark,
        source=source,
        citation=sources.get(source, ""),
        note=_text(document, path, data, "note") if "note" in data else "",
        line=document.line(path),
        holds=_conditions(document, path, data["holds"]) if "holds" in data else {},
    )


def _conditions(document: YamlDocument, path: KeyPath, data: Any) -> dict[str, Condition]:
    """``{technology.node_nm: 32, adc.bits: [4, 8]}``. Raises ImcsimError for anything else."""
    place = (*path, "holds")
    fix = "write {technology.node_nm: 32, adc.bits: [4, 8]}: a number, a range or a word for each key"
    if not isinstance(data, dict) or not data:
        raise document.error(place, "expected the keys that the value holds for", fix=fix)
    found: dict[str, Condition] = {}
    for key, wanted in data.items():
        ends = wanted if isinstance(wanted, list) else [wanted, wanted]
        numbers = all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends)
        if isinstance(wanted, str):
            found[str(key)] = wanted
        elif numbers and len(ends) == 2 and ends[0] <= ends[1]:
            found[str(key)] = (float(ends[0]), float(ends[1]))
        else:
            raise document.error(place, f"expected a number, a range or a word at {key!a:.70}", fix=fix)
    return found


def read_sources(document: YamlDocument, data: Any) -> dict[str, str]:
    """The section ``sources:``, a full citation for every key. Raises ImcsimError for anything else."""
    if not isinstance(data, dict):
        raise document.error(("sources",), "expected a section", fix="write `key: full citation` lines")
    for key, citation in data.items():
        if not isinstance(citation, str) or not citation.strip():
            raise document.error(("sources", key), "expected a citation", fix="write it as text in quotes")
    return data


def _demanded(path: KeyPath) -> str:
    name = next((part for part in reversed(path) if isinstance(part, str)), "")
    return unit_of(name)


def check_unit(document: YamlDocument, path: KeyPath, data: Mapping[str, Any]) -> None:
    """Compare the unit that the mapping `data` gives, if any, with the one that the key's name demands.

    Apart from `read_quantity` because a misspelt key is the better complaint. Raises ImcsimError naming both.
    """
    demanded = _demanded(path)
    if "unit" not in data:
        return
    # `unit: 1` is how a plain number is often written, and YAML reads it as a number.
    unit = (
        "1"
        if data["unit"] == 1 and not isinstance(data["unit"], bool)
        else _text(document, path, data, "unit")
    )
    if unit in (demanded, demanded or "1"):
        return
    if demanded:
        message, fix = (
            f"the unit is {unit!r}, but the name of the key says {demanded!r}",
            f"write it in {demanded}",
        )
    else:
        message, fix = (
            f"the unit is {unit!r}, but the name of the key says none",
            "leave out unit, or write 1",
        )
    raise document.error((*path, "unit"), message, fix=fix)


def _text(document: YamlDocument, path: KeyPath, data: Mapping[str, Any], key: str) -> str:
    text = data[key]
    if not isinstance(text, str):
        raise document.error(
            (*path, key), f"expected text, got {shown(text)}", fix="write text, in quotes if needed"
        )
    return text
