"""Figures that do not hold for a chip say so by name, and --strict refuses them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import imcsim.hardware
import imcsim.network
from imcsim.base.errors import ImcsimError
from imcsim.hardware.conditions import PHYSICAL
from imcsim.hardware.config import Hardware
from imcsim.timing.fits import too_small


def load(name: str | Path = "dtsnn_32nm", **overrides: object) -> Hardware:
    return imcsim.hardware.load(name, {k.replace("__", "."): v for k, v in overrides.items()})


def extending(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(f"extends: dtsnn_32nm\nname: mine\nsources: {{me: a note of mine}}\n{text}")
    return path


BEYOND_THE_SURVEY = ("pcm64_14nm", "sinangil_7nm")
"""Measured chips whose nodes the fit of converters does not reach, or only below what was ever built."""


ELSEWHERE = ("jia_65nm", "neurram_130nm", "wang_22nm")
"""Measured chips of other nodes than that of the file that they extend."""
LINK = "offchip_link.bit_energy_pj is given and does not follow technology.node_nm: no rule computes it"


@pytest.mark.parametrize("name", sorted(set(imcsim.hardware.names()) - set(BEYOND_THE_SURVEY)))
def test_built_in_chips_hold_as_they_are(name: str) -> None:
    found = [w for w in imcsim.hardware.warnings(load(name)) if name not in SLOWER or CLOCK not in w]
    assert found == ([LINK] if name in ELSEWHERE else [])


CLOCK = "technology.clock_ns is 1, and logic takes "
SLOWER = ("jia_65nm", "neurram_130nm")
"""Measured chips of old nodes, which have the clock of the file that they extend."""


@pytest.mark.parametrize(
    ("changes", "least"),
    [
        ({"technology__clock_ns": 0.5}, "0.8 ns at 32 nm"),
        ({"technology__node_nm": 130.0}, "3.25 ns at 130 nm"),
        ({"technology__supply_v": 0.6}, "1.53 ns at 32 nm"),
        ({"technology__clock_ns": 0.8}, ""),
        ({"technology__clock_ns": 0.4, "technology__node_nm": 16.0}, ""),
        ({"technology__clock_ns": 0.4, "technology__node_nm": 16.01}, "0.4 ns at 16.01 nm"),
    ],
)
def test_a_clock_too_short_for_logic_is_named(changes: dict[str, object], least: str) -> None:
    """1 ns at 40 nm, with the feature size and with the delay of gates at the supply."""
    said = [w for w in imcsim.hardware.warnings(load(**changes)) if w.startswith("technology.clock_ns is ")]
    assert len(said) == bool(least)
    assert all(f"and logic takes {least} (Aladdin" in w for w in said)


@pytest.mark.parametrize("name", SLOWER)
def test_chips_of_old_nodes_say_that_their_clock_is_fast(name: str) -> None:
    assert sum(CLOCK in w for w in imcsim.hardware.warnings(load(name))) == 1


@pytest.mark.parametrize("name", BEYOND_THE_SURVEY)
def test_chips_of_advanced_nodes_say_what_their_converter_is(name: str) -> None:
    found = imcsim.hardware.warnings(load(name))
    assert any("the best published converter needs" in warning for warning in found)
    assert all("survey_fit" in warning for warning in found if warning != LINK)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"technology__node_nm": 14.0}, "offchip_link.bit_energy_pj is given and does not follow"),
        ({"technology__node_nm": 22.0}, "offchip_link.bit_energy_pj is given and does not follow"),
        ({"adc__bits": 5}, "adc.presets.kull_sar speaks for 8 bits"),
    ],
)
def test_what_does_not_follow_is_named(changes: dict[str, object], named: str) -> None:
    assert any(named in warning for warning in imcsim.hardware.warnings(load(**changes)))
    with pytest.raises(ImcsimError, match=r"speaks for|holds for|does not follow"):
        load(**changes, strict=True)


def test_a_strict_chip_without_warnings_loads_and_is_the_same_chip() -> None:
    assert load(strict=True).sha256 == load().sha256


def test_a_value_says_for_what_it_holds(tmp_path: Path) -> None:
    path = extending(
        tmp_path,
        "noc:\n  router_energy_pj: {value: 2.5, unit: pJ, mark: est, source: me, "
        "holds: {noc.flit_bits: [16, 32], cells.kind: conductance}}\n",
    )
    assert imcsim.hardware.warnings(load(path)) == ()
    (found,) = imcsim.hardware.warnings(load(path, noc__flit_bits=64))
    assert found == "noc.router_energy_pj holds for noc.flit_bits 16 to 32, and noc.flit_bits is 64"


@pytest.mark.parametrize(
    ("holds", "message"),
    [
        ("{noc.flits: 3}", "no key of this chip"),
        ("{noc.flit_bits: [32, 16]}", "expected a number, a range or a word"),
        ("{noc.flit_bits: true}", "expected a number, a range or a word"),
        ("[noc.flit_bits]", "expected the keys"),
        ("{}", "expected the keys"),
    ],
)
def test_conditions_that_make_no_sense_are_refused(tmp_path: Path, holds: str, message: str) -> None:
    text = f"noc:\n  router_energy_pj: {{value: 2.5, unit: pJ, mark: est, source: me, holds: {holds}}}\n"
    with pytest.raises(ImcsimError, match=message):
        imcsim.hardware.warnings(load(extending(tmp_path, text)))


def test_a_given_figure_whose_rule_would_have_changed_it_is_named(tmp_path: Path) -> None:
    area = "{value: 40000, unit: um2, mark: est, source: me}"
    path = extending(tmp_path, f"noc:\n  router_area_um2: {area}\n")
    (found,) = imcsim.hardware.warnings(load(path, noc__flit_bits=64))
    assert (
        found == "noc.router_area_um2 is given and does not follow noc.flit_bits: its rule would make it x 2"
    )
    # What an override gives is asked for.
    assert imcsim.hardware.warnings(load(path, noc__flit_bits=64, noc__router_area_um2=80_000)) == ()


def test_a_file_that_extends_another_is_held_to_the_same(tmp_path: Path) -> None:
    """What it changes there, and what it inherits, as if it had been given by `--set`."""
    there = imcsim.hardware.warnings(load(extending(tmp_path, "technology:\n  node_nm: 22.0\n")))
    given = imcsim.hardware.warnings(load(technology__node_nm=22.0))
    assert sorted(there) == sorted(given)
    assert any("offchip_link.bit_energy_pj is given and does not follow" in line for line in there)
    # A figure of its own is meant for its own node.
    own = "technology:\n  node_nm: 22.0\noffchip_link:\n  bit_energy_pj: 0.1\n"
    assert not any("bit_energy" in w for w in imcsim.hardware.warnings(load(extending(tmp_path, own))))
    area = "{value: 40000, unit: um2, mark: est, source: me}"
    path = extending(tmp_path, f"noc:\n  router_area_um2: {area}\n")
    above = tmp_path / "above.yaml"
    above.write_text(f"extends: {path.name}\nname: above\nnoc: {{flit_bits: 64}}\n")
    assert imcsim.hardware.warnings(load(above)) == (
        "noc.router_area_um2 is given and does not follow noc.flit_bits: its rule would make it x 2",
    )
    with pytest.raises(ImcsimError, match="does not follow"):
        load(above, strict=True)


def numbers(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from numbers(value, f"{prefix}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{prefix}{key}", value


@pytest.mark.parametrize("name", ["dtsnn_32nm", "isaac_32nm", "spikesim_65nm"])
@pytest.mark.parametrize("node", [22.0, 45.0])
def test_another_node_moves_or_names_every_physical_figure(name: str, node: float) -> None:
    """No figure of energy, area, power or time stays as it is without being named."""
    before, after = load(name), load(name, technology__node_nm=node)
    named = " ".join(imcsim.hardware.warnings(after))
    shown = {row[0]: row for row in imcsim.hardware.describe(before)}
    fixed = {"technology.clock_ns"}
    # A capacitor has the density of its metal; converters of one published time keep it, and say their node.
    fixed |= {k for k in shown if "conversion_time_ns" in k or k == "sample_hold.column_area_um2"}
    for row in imcsim.hardware.describe(after):
        key, value, unit = row[0], row[1], row[2]
        if unit.split("/")[0] not in PHYSICAL or key in fixed:
            continue
        if value == shown[key][1] and value not in ("0", "0.0") and not after.provenance[key].holds:
            assert key in named, key


@pytest.mark.parametrize("key", ["cells.rows", "cells.columns"])
def test_larger_crossbars_are_read_slower_and_are_larger(key: str) -> None:
    small, large = load(), imcsim.hardware.load("dtsnn_32nm", {key: 128})
    assert imcsim.hardware.warnings(large) == ()
    assert large.config.cells.pulse_ns(large.config) > small.config.cells.pulse_ns(small.config)
    assert large.config.cells.area_um2(large.config) == 2 * small.config.cells.area_um2(small.config)


def test_what_is_too_small_is_said_at_once_with_sizes_that_do() -> None:
    network = imcsim.network.load("vgg7_cifar10")
    assert too_small(network, load().config) == []
    small = {"mesh__columns": 2, "mesh__rows": 2, "tile_buffer__capacity_bytes": 64}
    found = too_small(network, load(**small, global_buffer__capacity_bytes=64).config)
    assert [line.split(":")[0] for line in found] == [
        "mesh.columns", "tile_buffer.capacity_bytes", "global_buffer.capacity_bytes"
    ]  # fmt: skip
    grown = {"mesh__columns": 3, "mesh__rows": 3, "global_buffer__capacity_bytes": 3072}
    assert too_small(network, load(**grown).config) == []
