"""Which parts of plug-ins a run uses, as its results name them."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

from imcsim.base.errors import ImcsimError
from imcsim.base.plugins import Origin
from imcsim.exits import RULES
from imcsim.functional.nonideal.cell_errors import CELL_ERRORS
from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.estimators.estimator import ESTIMATORS
from imcsim.inputs import Inputs, encoding_origin
from imcsim.inputs.encodings import DIRECT, ENCODINGS
from imcsim.results.meta import PluginMeta
from imcsim.studies.loading import Loader
from imcsim.studies.settings import RunSettings


def used(config: HardwareConfig, rule: str, inputs: Iterable[Inputs | None]) -> tuple[Origin, ...]:
    """Where the parts of plug-ins come from that a run on a chip uses, sorted; nothing for parts of ours."""
    found = {encoding_origin(one) for one in inputs if one is not None}
    return _sorted(found | _of_chip(config) | {RULES.origin(rule)})


NAMING = ("estimators", "nonideal.cell_errors")
"""Beginnings of keys of the chip that name parts of plug-ins."""


def names_a_part(key: str) -> bool:
    """Whether a setting, or a key of the chip, may name a part of a plug-in."""
    return key in ("hardware", "rule", "encoding") or key.startswith(NAMING)


def used_by(settings: Iterable[RunSettings], loader: Loader) -> tuple[Origin, ...]:
    """The same of all these settings, before their inputs are read.

    What one of them names and is not there is left out: its own run says so.
    """
    found: set[Origin | None] = set()
    seen: set[str] = set()
    for setting in settings:
        naming = {key: value for key, value in setting.overrides.items() if key.startswith(NAMING)}
        key = repr((str(setting.hardware), naming, setting.options.rule, setting.encoding))
        if key not in seen:
            seen.add(key)
            found |= _named(setting, naming, loader)
    return _sorted(found)


def _named(setting: RunSettings, naming: dict[str, object], loader: Loader) -> set[Origin | None]:
    found: set[Origin | None] = set()
    with suppress(ImcsimError):
        found.add(RULES.origin(setting.options.rule))
    if setting.encoding not in (None, DIRECT):
        with suppress(ImcsimError):
            found.add(ENCODINGS.origin(str(setting.encoding)))
    # Other keys name no part; where the file is not sound without them, all are taken.
    for overrides in (naming, setting.overrides):
        with suppress(ImcsimError):
            return found | _of_chip(loader.hardware(replace(setting, overrides=overrides)).config)
    return found


def as_meta(origins: Iterable[Origin]) -> tuple[PluginMeta, ...] | None:
    """As results name them; None where there are none."""
    return tuple(PluginMeta.model_validate(origin.provenance) for origin in origins) or None


def _of_chip(config: HardwareConfig) -> set[Origin | None]:
    found = {ESTIMATORS.origin(name) for name in config.estimators.values()}
    model = config.nonideal.cell_errors.model
    return found | ({CELL_ERRORS.origin(model)} if model else set())


def _sorted(found: Iterable[Origin | None]) -> tuple[Origin, ...]:
    given = [origin for origin in found if origin is not None]
    return tuple(sorted(given, key=lambda origin: (origin.kind, origin.name)))
