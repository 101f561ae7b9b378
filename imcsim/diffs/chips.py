"""What differs between two chips, without a simulation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from imcsim.diffs.changes import Change, ValueChange, changed, leaves
from imcsim.hardware.config import Hardware


@dataclass(frozen=True)
class ChipDiff:
    """What differs between two chips, without a simulation.

    values: settings. estimates: figures that estimators compute, by key. energy_pj: of one event, by
    component and event. area_um2, leakage_uw: of one instance, by component. Only what differs is listed.
    """

    values: tuple[ValueChange, ...]
    estimates: tuple[Change, ...]
    energy_pj: tuple[Change, ...]
    area_um2: tuple[Change, ...]
    leakage_uw: tuple[Change, ...]


def diff_chips(a: Hardware, b: Hardware) -> ChipDiff:
    """What differs between two chips: values, and what follows from them for single events and instances."""
    estimates = [{key: e.value for key, e in chip.config.estimates().items()} for chip in (a, b)]
    return ChipDiff(
        values=tuple(_values(a, b)),
        estimates=changed(*estimates),
        energy_pj=changed(*(_energies(chip) for chip in (a, b))),
        area_um2=changed(
            *({n: c.area_um2(chip.config) for n, c in chip.config.stated_components()} for chip in (a, b))
        ),
        leakage_uw=changed(
            *({n: c.leakage_uw(chip.config) for n, c in chip.config.stated_components()} for chip in (a, b))
        ),
    )


def _energies(chip: Hardware) -> dict[str, float]:
    return {
        f"{name}.{event}": energy
        for name, component in chip.config.stated_components()
        for event, energy in component.charges(chip.config).items()
    }


def _values(a: Hardware, b: Hardware) -> Iterator[ValueChange]:
    """Settings that differ, in the order of the file; figures of reference tables last. Of a figure left to
    an estimator the file says only that; what it comes to is listed apart.
    """
    mine, theirs = (dict(leaves(_dump(chip))) for chip in (a, b))
    for key in dict.fromkeys([*mine, *theirs]):
        if mine.get(key) == theirs.get(key) and type(mine.get(key)) is type(theirs.get(key)):
            continue
        origins = [chip.provenance.get(key) for chip in (a, b)]
        marks = [
            about.mark if about is not None and key in values else None
            for about, values in zip(origins, (mine, theirs), strict=True)
        ]
        unit = next((about.unit for about in origins if about is not None), "")
        yield ValueChange(key, mine.get(key), theirs.get(key), unit, marks[0], marks[1])


def _dump(chip: Hardware) -> dict[str, Any]:
    values = chip.config.model_dump(mode="json", by_alias=True, exclude={"reference_tables"})
    tables = chip.config.reference.values()
    return values | ({"reference table": tables} if tables else {})
