"""The hardware floor: configs, components and their estimators, events, ledger prices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imcsim.hardware.config import Hardware as Hardware
    from imcsim.hardware.config import HardwareConfig as HardwareConfig

__all__ = [
    "describe",
    "left_out",
    "load",
    "names",
    "sources",
    "tried_alternatives",
    "warnings",
    "without_use",
    "would_not_follow",
]


def names() -> list[str]:
    """Names of the configs that come with imcsim."""
    from imcsim.hardware.files import names as built_in

    return built_in()


def load(name_or_path: str | Path, overrides: Mapping[str, object] | None = None) -> Hardware:
    """Load a built-in config by name, or a YAML file by path, with `overrides` (dotted key to value) laid
    over it.

    Raises ImcsimError for an unknown name, and whatever `load_config` raises.

    Args:
        name_or_path: A chip that comes with imcsim, or a YAML file.
        overrides: Other values by dotted key, as ``{"adc.bits": 5}``. None: none.
    """
    from imcsim.base.errors import ImcsimError
    from imcsim.hardware.component import ESTIMATE
    from imcsim.hardware.config import Hardware, HardwareConfig
    from imcsim.hardware.estimators.estimator import check_named, with_times
    from imcsim.hardware.files import find
    from imcsim.hardware.layers import plain_value
    from imcsim.hardware.loader import config_hash, load_config
    from imcsim.hardware.quantity import UNSOURCED, Provenance, unit_of
    from imcsim.hardware.reference_tables import read_tables

    path = find(name_or_path)
    config, provenance, _ = load_config(path, HardwareConfig, overrides=overrides)
    if config.reference_tables:
        # Their names are relative to the file that gives them, which may be one that `path` extends.
        named = provenance.get("reference_tables")
        folder = (path if named is None or named.file is None else named.file).parent
        files = [folder / name for name in config.reference_tables]
        actions = {
            name: [str(e) for e in component.charges(config)] for name, component in config.components()
        }
        config = config.with_reference(read_tables(files, actions))
    check_named(config, provenance, path)
    config, times = with_times(config)
    for key, source in times.items():
        provenance[key] = replace(provenance[key], mark="derived", source=ESTIMATE, citation=source, note="")
    for key in [key for key in provenance if key.split(".")[0] == "estimators"]:
        del provenance[key]  # every figure of an estimator says where it comes from
    for key, estimate in config.estimates().items():
        about = provenance.get(key) or Provenance(unit_of(key.rsplit(".", 1)[-1]), "derived")
        provenance[key] = replace(about, mark="derived", source=ESTIMATE, citation=estimate.rule, note="")
    provenance.pop("reference_tables", None)  # every figure of a table says where it comes from
    unsourced = tuple(key for key, about in provenance.items() if about.mark == UNSOURCED)
    given = {key: plain_value(key, value) for key, value in (overrides or {}).items()}
    sha256 = config_hash(config, config.reference.values(), config.left_out)
    hardware = Hardware(config, provenance, unsourced, sha256, path, given)
    if config.strict and (found := warnings(hardware)):
        raise ImcsimError("; ".join(found), file=path, key="strict", fix="see `imcsim hardware check`")
    return hardware


def warnings(hardware: Hardware) -> tuple[str, ...]:
    """What a reader should know of a chip's figures before quoting a result of it, by the names of keys."""
    from imcsim.hardware import conditions

    return conditions.warnings(hardware, lambda path: _plain(path, path.stat().st_mtime_ns))


@lru_cache(maxsize=8)
def _plain(path: Path, written_ns: int) -> HardwareConfig:
    """The chip of a file, as last written, without overrides."""
    return load(path).config


def without_use(hardware: Hardware) -> list[str]:
    """Keys whose values play no part on this chip: others would change nothing."""
    from imcsim.hardware import conditions

    return conditions.without_use(hardware.config)


def would_not_follow(hardware: Hardware) -> list[tuple[str, str]]:
    """Keys of figures that would follow neither another node nor other sizes, each with the reason."""
    from imcsim.hardware import conditions

    return conditions.would_not_follow(hardware)


def sources(hardware: Hardware) -> dict[str, str]:
    """The citations that a config's values name, by their short names."""
    cited = (about for about in hardware.provenance.values() if about.citation and about.source != "estimate")
    return {about.source: about.citation for about in cited}


def tried_alternatives(hardware: Hardware) -> list[tuple[str, str, str, str, str]]:
    """What ranges try on a chip: kind, group and name of each alternative, what it sets, and its source."""
    from imcsim.hardware.alternatives import alternatives_of, cited, leaves

    rows: list[tuple[str, str, str, str, str]] = []
    for one in alternatives_of(hardware.config):
        keys = [f"{key}={value}" for key, value in leaves(one.changes)]
        origin = (
            cited(one, hardware.config)
            or f"{hardware.path.name}, alternatives.{one.kind}.{one.group}.{one.name}"
        )
        rows.append((one.kind, one.group, one.name, ", ".join(keys), origin))
    return rows


def left_out() -> list[tuple[str, str, str]]:
    """What no component is charged for: what it is, a bound on its share, and where the bound comes from."""
    from imcsim.hardware.estimators.figures import figures

    return [(what, bound, why) for what, bound, why in figures("periphery")["left_out"]["value"].values()]


def describe(hardware: Hardware, *, short: bool = False) -> list[tuple[str, str, str, str, str]]:
    """Rows of key, value, unit, mark and source for every value of a config.

    With `short` a source is the short name under which `sources` has its citation.

    A figure that the file leaves to an estimator is shown as computed, with the rule as its source. Figures
    of reference tables and of plug-ins' estimators follow under ``component.event``, ``component.area`` and
    ``component.leakage``.

    Args:
        hardware: The chip.
        short: Whether sources are named, not cited.
    """
    from imcsim.hardware.conditions import value_of
    from imcsim.hardware.estimators.estimator import shown_figures

    rows = []
    config = hardware.config
    values = config.model_dump(mode="json", by_alias=True)
    estimates = config.estimates()
    for key, about in hardware.provenance.items():
        value = value_of(values, key)
        shown = f"{estimates[key].value:.6g}" if key in estimates else str(value)
        name = about.source if short and about.source != "estimate" else about.citation or about.source
        note = f" - {about.note}" if about.note else ""
        rows.append((key, shown, about.unit, about.mark, f"{name}{note}"))
    for key, number, unit, source in shown_figures(config):
        by = f"estimator {config.estimators[key.split('.')[0]]}: {source}"
        rows.append((key, f"{number:.6g}", unit, "derived", by))
    for figure in config.reference.origins:
        place = f"{figure.file}:{figure.line}" if figure.line else figure.file
        rows.append((figure.key, f"{figure.value:.6g}", figure.unit, "given", f"reference table {place}"))
    return rows
