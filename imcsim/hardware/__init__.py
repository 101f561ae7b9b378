"""The hardware floor: configs, components and their estimators, events, ledger prices."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imcsim.hardware.config import Hardware as Hardware

__all__ = ["describe", "load", "names"]


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
    from imcsim.hardware.config import Hardware, HardwareConfig
    from imcsim.hardware.loader import config_hash, load_config
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
            p for folder in data_dirs("hw_configs") if (p := Path(str(folder)) / f"{name_or_path}.yaml").exists()
        )
    config, provenance, unsourced = load_config(path, HardwareConfig, overrides=overrides)
    return Hardware(config, provenance, tuple(unsourced), config_hash(config), path)


def describe(hardware: Hardware) -> list[tuple[str, str, str, str, str]]:
    """Rows of key, value, unit, mark and source for every value of a config."""
    rows = []
    values = hardware.config.model_dump(mode="json", by_alias=True)
    for key, about in hardware.provenance.items():
        value: object = values
        for part in key.split("."):
            assert isinstance(value, dict)
            value = value[part]
        note = f" - {about.note}" if about.note else ""
        rows.append((key, str(value), about.unit, about.mark, f"{about.citation or about.source}{note}"))
    return rows
