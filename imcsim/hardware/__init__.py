"""The hardware floor: configs, components and their estimators, events, ledger prices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imcsim.hardware.config import Hardware as Hardware

__all__ = ["describe", "load", "names", "sources"]


def names() -> list[str]:
    """Names of the configs that come with imcsim."""
    from imcsim.resources import data_dirs

    found = {p.stem for folder in data_dirs("hw_configs") for p in Path(str(folder)).glob("*.yaml")}
    return sorted(found)


def load(name_or_path: str | Path, overrides: Mapping[str, object] | None = None) -> Hardware:
    """Load a built-in config by name, or a YAML file by path.

    Raises ImcsimError for an unknown name, and whatever `load_config` raises.
    """
    from imcsim.errors import ImcsimError
    from imcsim.hardware.component import ESTIMATE
    from imcsim.hardware.config import Hardware, HardwareConfig
    from imcsim.hardware.loader import config_hash, load_config
    from imcsim.hardware.quantity import UNSOURCED
    from imcsim.hardware.reference_tables import read_tables
    from imcsim.names import nearest
    from imcsim.resources import data_dirs

    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml") and not path.exists():
        known = names()
        if str(name_or_path) not in known:
            close = nearest(str(name_or_path), known)
            raise ImcsimError(
                f"no built-in hardware config is called {str(name_or_path)!r}, and no such file exists",
                fix=f"did you mean {close}?" if close else f"built in: {', '.join(known)}",
            )
        path = next(
            p
            for folder in data_dirs("hw_configs")
            if (p := Path(str(folder)) / f"{name_or_path}.yaml").exists()
        )
    config, provenance, _ = load_config(path, HardwareConfig, overrides=overrides)
    if config.reference_tables:
        files = [path.parent / name for name in config.reference_tables]
        actions = {
            name: [str(e) for e in component.charges(config)] for name, component in config.components()
        }
        config = config.with_reference(read_tables(files, actions))
    for key, estimate in config.estimates().items():
        provenance[key] = replace(
            provenance[key], mark="derived", source=ESTIMATE, citation=estimate.rule, note=""
        )
    provenance.pop("reference_tables", None)  # every figure of a table says where it comes from
    unsourced = tuple(key for key, about in provenance.items() if about.mark == UNSOURCED)
    return Hardware(config, provenance, unsourced, config_hash(config, config.reference.values()), path)


def sources(hardware: Hardware) -> dict[str, str]:
    """The citations that a config's values name, by their short names."""
    cited = (about for about in hardware.provenance.values() if about.citation and about.source != "estimate")
    return {about.source: about.citation for about in cited}


def describe(hardware: Hardware, *, short: bool = False) -> list[tuple[str, str, str, str, str]]:
    """Rows of key, value, unit, mark and source for every value of a config.

    With `short` a source is the short name under which `sources` has its citation.

    A figure that the file leaves to an estimator is shown as computed, with the rule as its source. Figures
    of reference tables follow under ``component.event``, ``component.area`` and ``component.leakage``.
    """
    rows = []
    config = hardware.config
    values = config.model_dump(mode="json", by_alias=True)
    estimates = config.estimates()
    for key, about in hardware.provenance.items():
        value: object = values
        for part in key.split("."):
            assert isinstance(value, dict)
            value = value[part]
        shown = f"{estimates[key].value:.6g}" if key in estimates else str(value)
        name = about.source if short and about.source != "estimate" else about.citation or about.source
        note = f" - {about.note}" if about.note else ""
        rows.append((key, shown, about.unit, about.mark, f"{name}{note}"))
    for figure in config.reference.origins:
        place = f"{figure.file}:{figure.line}" if figure.line else figure.file
        rows.append((figure.key, f"{figure.value:.6g}", figure.unit, "given", f"reference table {place}"))
    return rows
