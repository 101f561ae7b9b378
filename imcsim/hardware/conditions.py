"""Whether a chip's figures hold for the chip: what does not follow a change says so, by name.

A value in a chip's file may state the conditions that it holds for (``holds``, see `quantity`). A figure that
is given as a number where a rule could compute it holds for the chip of its file; where an override, or a
file that extends it, changes what the rule depends on, the figure does not follow, and neither does one that
no rule computes once the node changes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from imcsim.base.errors import ImcsimError
from imcsim.base.names import suggestion
from imcsim.hardware.alternatives import leaves
from imcsim.hardware.component import ESTIMATE, Block
from imcsim.hardware.config import Hardware, HardwareConfig
from imcsim.hardware.effects import perturbed, with_values, without_effect
from imcsim.hardware.files import extended
from imcsim.hardware.quantity import Condition, Provenance

NODE = "technology.node_nm"

PHYSICAL = ("pJ", "um2", "uW", "ns")
"""Units of figures that belong to a node, alone or before a slash."""

NODE_FREE = frozenset({"technology.clock_ns"})
"""Choices of a design in such a unit, which no node changes."""

_CLOSE = 1e-6


def warnings(hardware: Hardware, plain: Callable[[Path], HardwareConfig]) -> tuple[str, ...]:
    """What a reader should know of a chip's figures before quoting a result of it, by the names of keys.

    `plain` reads a chip's file without overrides. Raises ImcsimError where a condition is about a key that no
    chip has.
    """
    values = hardware.config.model_dump(mode="json", by_alias=True)
    broken = _broken(values, hardware)
    idle = _idle(hardware, plain)
    types = _of_types(hardware)
    return (*hardware.config.warnings(), *broken, *_unfollowed(hardware, plain), *types, *idle)


def _of_types(hardware: Hardware) -> Iterator[str]:
    """What a reader should know of tiles of other types: their converters, and given figures of the chip that
    do not follow what a type changes.
    """
    chip = hardware.config
    known = {key: about for key, about in hardware.provenance.items() if not key.startswith("tile_types.")}
    for name, kind in chip.tile_types.items():
        typed, changed = chip.of_type(name), [key for key, _ in leaves(kind.changes)]
        own = [line for line in typed.warnings() if line not in chip.warnings()]
        for line in (*own, *_left_behind(chip, typed, known, changed)):
            yield f"tile_types.{name}: {line}"


def _idle(hardware: Hardware, plain: Callable[[Path], HardwareConfig]) -> Iterator[str]:
    """Overrides that change nothing, each by itself."""
    if not hardware.overrides:
        return
    base = plain(hardware.path).model_dump(mode="json", by_alias=True)
    before = {key: value_of(base, key) for key in hardware.overrides}
    others = with_values(hardware.config, before)
    for key in without_effect(hardware.config, others):
        yield f"{key} is set and changes nothing on this chip: {_IDLE}"


_IDLE = "a given figure stands where it would count, or what it belongs to is off"


def without_use(config: HardwareConfig) -> list[str]:
    """Keys of a chip whose values play no part: another value would change nothing."""
    return list(without_effect(config, perturbed(config)))


def would_not_follow(hardware: Hardware) -> list[tuple[str, str]]:
    """Keys of figures that would follow neither another node nor other sizes, each with the reason."""
    known, found = _estimates(hardware.config), []
    values = hardware.config.model_dump(mode="json", by_alias=True)
    for key, about in hardware.provenance.items():
        if about.source != ESTIMATE and _is_physical(key, about) and _moves(values, key):
            reason = "a rule could compute it: say estimate" if key in known else "no rule computes it"
            held = f"; holds for {_text(about.holds)}" if about.holds else ""
            found.append((key, f"given; {reason}{held}"))
    return found


def _broken(values: Mapping[str, Any], hardware: Hardware) -> Iterator[str]:
    for key, about in hardware.provenance.items():
        for other, wanted in about.holds.items():
            current = value_of(values, other)
            if current is None:
                raise ImcsimError(
                    f"holds for {other!a:.70}, which is no key of this chip",
                    file=hardware.path,
                    key=key,
                    fix=suggestion(other, (name for name, _ in leaves(values)), "name a key of the chip"),
                )
            if not _met(current, wanted):
                yield f"{key} holds for {_text({other: wanted})}, and {other} is {current}"


def _unfollowed(hardware: Hardware, plain: Callable[[Path], HardwareConfig]) -> Iterator[str]:
    """Given figures that should have changed with the overrides, or with what a file says otherwise than the
    one that it extends: by their own rule, or because the node is another.
    """
    if hardware.overrides:
        names = tuple(hardware.overrides)
        mine = {key: about for key, about in hardware.provenance.items() if about.mark != "given"}
        yield from _left_behind(plain(hardware.path), hardware.config, mine, names)
    above = extended(hardware.path)
    if above is not None:
        inherited = {key: about for key, about in hardware.provenance.items() if about.file is not None}
        own = tuple(
            key for key, about in hardware.provenance.items() if about.file is None and about.mark != "given"
        )
        yield from _left_behind(plain(above), plain(hardware.path), inherited, own)


def _left_behind(
    base: HardwareConfig,
    config: HardwareConfig,
    known: Mapping[str, Provenance],
    changed: Sequence[str],
) -> Iterator[str]:
    """Of the `known` figures those that are as in `base` though what has `changed` should have moved them."""
    before, after = _estimates(base), _estimates(config)
    was, values = (chip.model_dump(mode="json", by_alias=True) for chip in (base, config))
    moved = [key for key in changed if value_of(was, key) != value_of(values, key)]
    names = ", ".join(sorted(key for key in moved if key not in after))
    another_node = base.technology.node_nm != config.technology.node_nm
    for key, about in known.items():
        if about.source == ESTIMATE or about.holds or value_of(was, key) != value_of(values, key):
            continue  # computed, under conditions of its own, or another figure
        factor = after[key] / before[key] if before.get(key) and key in after else 1.0
        if abs(factor - 1) > _CLOSE:
            yield f"{key} is given and does not follow {names}: its rule would make it x {factor:.3g}"
        elif another_node and _is_physical(key, about) and _moves(values, key):
            yield f"{key} is given and does not follow {NODE}: no rule computes it"


def _moves(values: Mapping[str, Any], key: str) -> bool:
    """Whether a figure should have moved with the node: nothing is nothing at any, and the rate that is asked
    of a fit is a choice.
    """
    preset, _, last = key.rpartition(".")
    asked = last == "conversion_time_ns" and value_of(values, f"{preset}.model") == "survey_fit"
    return bool(value_of(values, key)) and not asked


def _is_physical(key: str, about: Provenance) -> bool:
    return about.unit.split("/")[0] in PHYSICAL and key not in NODE_FREE


def _estimates(config: HardwareConfig) -> dict[str, float]:
    """What rules would give for every key that may say ``estimate``, whether it does or not."""
    found: dict[str, float] = {}
    for name in type(config).model_fields:
        block = getattr(config, name)
        if isinstance(block, Block):
            try:
                estimates = block.computed(config)
            except ImcsimError:
                continue  # a node that no rule reaches
            found.update({f"{name}.{key}": estimate.value for key, estimate in estimates.items()})
    return found


_INDEX = re.compile(r"\[(\d{1,9})\]\.?")


def value_of(values: Any, key: str) -> Any:
    """The value at a dotted key, as ``adc.presets[2].bits``; names may have dots themselves. None: there is
    none.
    """
    if not key:
        return values
    if isinstance(values, list):
        index = _INDEX.match(key)
        if index is None or int(index[1]) >= len(values):
            return None
        return value_of(values[int(index[1])], key[index.end() :])
    if isinstance(values, Mapping):
        for name, value in values.items():
            rest = key[len(name) :] if key.startswith(str(name)) else None
            if rest is not None and (not rest or rest[0] in ".["):
                found = value_of(value, rest.removeprefix("."))
                if found is not None:
                    return found
    return None


def _met(current: Any, wanted: Condition) -> bool:
    if isinstance(wanted, str):
        return bool(current == wanted)
    if isinstance(current, bool) or not isinstance(current, int | float):
        return False
    return wanted[0] * (1 - _CLOSE) <= current <= wanted[1] * (1 + _CLOSE)


def _text(conditions: Mapping[str, Condition]) -> str:
    def one(wanted: Condition) -> str:
        if isinstance(wanted, str):
            return wanted
        low, high = wanted
        return f"{low:g}" if low == high else f"{low:g} to {high:g}"

    return ", ".join(f"{key} {one(wanted)}" for key, wanted in conditions.items())
