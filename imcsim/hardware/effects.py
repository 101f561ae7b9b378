"""Keys of a chip's file that do nothing on that chip.

A figure that is given makes what its estimate would follow idle: the bias of a clamp whose energy is a
number, the source of a leakage that is one. So do choices: where converters are calibrated that have no
errors. `acting` is all that a chip is charged for, takes time by, or computes values by; two chips of which
it is the same give the same results for every network.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from imcsim.base.arrangements import links_between
from imcsim.base.errors import ImcsimError
from imcsim.base.nonideal import NonIdeal
from imcsim.hardware.alternatives import leaves
from imcsim.hardware.component import ChipSize, Reach
from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.programming import cell_writing

_SIZES = (
    ChipSize(9, 72, 576, (40_000, 3_000), 12, 9_000, 700),
    ChipSize(2, 31, 97, (700,), 3, 400, 40),
    ChipSize(9, 72, 576, (), 12, 9_000, 700, activates=True),
)
"""Made-up chips, on which components are counted."""

_LABELS = ("schema", "name", "description", "strict", "alternatives", "reference_tables")
"""What is no part of a chip."""

_WHOLE = ("tile", "mesh", "encoder", "estimators", "programming", "accounting", "reload")
"""Sections whose every key acts by itself."""

_SINGLE = (
    "technology.clock_ns", "activity.skip_zero_reads", "activity.spike_coding",
    "cells.rows", "cells.columns", "cells.cell_bits", "cells.encoding", "cells.row_order",
    "cells.input_drive",
    "column_mux.columns_per_adc", "adc.bits", "adc.full_scale", "adder_tree.level_cycles",
    "tile_buffer.capacity_bytes", "tile_buffer.width_bits", "global_buffer.capacity_bytes",
    "noc.flit_bits", "noc.hop_cycles", "noc.topology", "lif.lanes", "lif.parameters", "lif.membrane_bits",
    "lif.partial_sum_bits", "activation.lanes", "activation.multiplier_bits",
    "pooling.lanes", "accumulator.class_cycles", "checker.class_cycles", "checker.final_cycles",
    "checker.fraction_bits", "checker.table_bits", "checker.exp_entries", "checker.exp_range",
    "checker.log_entries", "offchip_link.bits_per_cycle", "mapping.share_tiles",
    "mapping.placement", "mapping.grouped_layers", "mapping.tile_types",
)  # fmt: skip
"""Keys that set cycles, counts or values by themselves, whatever else the chip has."""


def acting(config: HardwareConfig) -> dict[str, Any]:
    """What a chip's results follow from: prices, sizes, times, and the keys that act by themselves."""
    values = config.model_dump(mode="json", by_alias=True)
    found: dict[str, Any] = {name: values[name] for name in _WHOLE}
    found |= {key: _at(values, key) for key in _SINGLE}
    for name, component in config.stated_components():
        counts = [component.instances(config, size) for size in _SIZES]
        prices = {event: pj for event, pj in component.charges(config).items() if pj}
        areas = [component.area_um2(config) * n for n in counts]
        powers = [component.standing_energy_pj(config) * n for n in counts]
        if prices or any(areas) or any(powers):  # else it is as if it were not there
            found |= {f"{name}: prices": prices, f"{name}: area": areas, f"{name}: power": powers}
    for name, preset in config.adc.presets.items():  # what other converters would change is part of results
        found[f"adc: {name}, said"] = (
            preset.effective_bits, preset.for_bits, preset.for_rates_mhz, preset.for_nodes_nm
        )  # fmt: skip
        found[f"adc: {name}"] = [
            preset.figure(key, config)
            for key in ("conversion_energy_pj", "converter_area_um2", "conversion_time_ns")
        ]
    words_pj = config.parameter_store.figure("bit_write_energy_pj", config)
    found["written"] = cell_writing(config), config.write_access.shared_by, words_pj
    checker = config.checker
    found["cycles"] = [
        config.sense_cycles,
        config.convert_cycles,
        [config.load_cycles(bits) for bits in (1, 24_576, 1_000_000)],
        [checker.way_cycles(Reach(pitches), config) for pitches in (1, 4, 14, 78)],
        [config.noc.link_cycles(pitches, config) for pitches in (1, 2, 8)],
    ]
    found["types of tiles"] = {
        name: (kind.takes, acting(config.of_type(name))) for name, kind in config.tile_types.items()
    }
    found["package"] = _package(config)
    found["rows at once"] = config.cells.rows_at_once
    found["copies"] = _copies(config)
    gated = any(c.standing_energy_pj(config) for _, c in config.stated_components() if c.scope != "chip")
    found["gating"] = config.clock.gating if gated else None
    found["percentile"] = config.adc.percentile if config.adc.full_scale == "calibrated" else None
    found["errors"] = _errors(config)
    found["said"] = [w for w in config.warnings() if w.startswith("adc")]
    return found


def _package(config: HardwareConfig) -> object:
    """What the chips of a package do in time; nothing of a single one."""
    package, mapping = config.package, config.mapping
    if package.chips == 1:
        return None
    cut = mapping.chips or (None if config.mesh.columns else mapping.chip_imbalance)
    times = package.bits_per_megacycle(config), package.latency_cycles(config)
    return package.chips, links_between(package.arrangement, package.chips), cut, times


def _copies(config: HardwareConfig) -> object:
    """What copies of layers follow from."""
    mapping = config.mapping
    policy = mapping.replication
    if policy == "none" or isinstance(policy, dict):
        return policy
    if mapping.extra_crossbars == 0:
        return "none"
    budget = mapping.extra_crossbars, mapping.extra_tiles, mapping.extra_area_mm2
    return policy, budget, None if policy == "balanced" else mapping.expected_timesteps


def without_effect(config: HardwareConfig, others: Mapping[str, HardwareConfig]) -> Iterator[str]:
    """Of the chips that differ from `config` in one key each, the keys that change nothing."""
    here = acting(config)
    for key, other in others.items():
        if key.split(".")[0] in _LABELS:
            continue
        try:
            same = acting(other) == here
        except ImcsimError:
            continue  # a node that no rule reaches
        if same:
            yield key


def _errors(config: HardwareConfig) -> NonIdeal | None:
    """The errors of a chip, with what plays no part in them at its default; None for a chip without any."""
    errors = config.nonideal
    if not errors.active:
        return None
    plain = NonIdeal()
    idle: dict[str, Any] = {}
    if not errors.variation.varies:
        idle["variation"] = plain.variation
    if not errors.on_off.finite:
        idle["on_off"] = plain.on_off
    if not errors.drift.drifts:
        idle["drift"] = plain.drift
    elif errors.drift.time_s:
        # Only their ratio counts.
        ratio = errors.drift.time_s / errors.drift.reference_time_s
        idle["drift"] = errors.drift.model_copy(update={"time_s": ratio, "reference_time_s": 1.0})
    if errors.wires.ideal:
        idle["wires"] = plain.wires
    if config.adc.full_scale != "calibrated":
        idle["converter"] = errors.converter.model_copy(update={"calibrated_on": "ideal"})
    if not errors.cell_errors.model:
        idle["cell_errors"] = plain.cell_errors
    return errors.model_copy(update=idle)


def _at(values: Mapping[str, Any], key: str) -> Any:
    section, name = key.split(".")
    return values[section].get(name)


def with_values(config: HardwareConfig, values: Mapping[str, Any]) -> dict[str, HardwareConfig]:
    """`config` with another value of one key each; keys are left out that do not take theirs."""
    found = {key: _with_value(config, key, value) for key, value in values.items()}
    return {key: other for key, other in found.items() if other is not None}


def perturbed(config: HardwareConfig) -> dict[str, HardwareConfig]:
    """`config` with another value of every key for which one is found, each by itself."""
    words, found = choices(type(config)), {}
    for key, value in leaves(config.model_dump(mode="json", by_alias=True, exclude=set(_LABELS))):
        for candidate in _candidates(value, words.get(key.split(".")[-1], ())):
            other = _with_value(config, key, candidate)
            if other is not None:
                found[key] = other
                break
    return found


def _candidates(value: Any, words: tuple[str, ...]) -> Iterator[Any]:
    """Values that a key may have besides this one, the likeliest first."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float):
        yield from (2 * value or 1, value - 1, value + 1, 1.5 * value or 0.5, 0.99 * value, 300, 330)
    elif value is None or isinstance(value, str):
        yield from (word for word in words if word != value)
        yield from (12345.0, 2.5, 7, 2, 4)  # 7: no cycles that an estimate is likely to give
    elif isinstance(value, list) and value and isinstance(value[0], list):
        yield [[at, 2 * pj] for at, pj in value]


def _with_value(config: HardwareConfig, key: str, value: Any) -> HardwareConfig | None:
    *sections, last = key.split(".")
    changed = config.model_dump(mode="json", by_alias=True)
    section: Any = changed
    for part in sections:
        section = section.get(part) if isinstance(section, dict) else None
    if not isinstance(section, dict) or last not in section or section[last] == value:
        return None
    section[last] = value
    try:
        other = type(config).model_validate_json(json.dumps(changed, allow_nan=False))
    except ValidationError:
        return None
    return other.with_reference(config.reference)


def choices(model: type[BaseModel]) -> dict[str, tuple[str, ...]]:
    """Words that keys choose between, by the last part of their names."""
    found: dict[str, tuple[str, ...]] = {}

    def walk(node: Any, name: str) -> None:
        if isinstance(node, dict):
            if "enum" in node:
                found[name] = (*found.get(name, ()), *(w for w in node["enum"] if isinstance(w, str)))
            for key, below in node.items():
                if key == "properties":
                    for prop, about in below.items():
                        walk(about, prop)
                elif key == "$defs":
                    for about in below.values():
                        walk(about, "")
                else:
                    walk(below, name)
        elif isinstance(node, list):
            for below in node:
                walk(below, name)

    walk(model.model_json_schema(), "")
    return found
