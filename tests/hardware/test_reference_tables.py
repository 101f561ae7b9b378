"""Accelergy's energy and area tables in place of a config's own figures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import imcsim.hardware
from imcsim.base.errors import ImcsimError
from imcsim.hardware.component import ChipSize
from imcsim.hardware.events import Event
from imcsim.hardware.ledger import charges

ROOT = Path(__file__).parents[2]
SIZE = ChipSize(2, 16, 128, (1000,))
TABLES = """\
ERT:
  version: 0.4
  tables:
  - name: system.chip.tile[1..8].adc[1..64]
    actions:
    - name: conversions
      arguments: {}
      energy: 0.31
  - name: lif
    actions:
    - {name: lif_updates, arguments: null, energy: 2}
    - {name: leakage, energy: 0.25}
ART:
  version: '0.4'
  tables:
  - name: system.chip.tile[1..8].adc[1..64]
    area: 412.5
"""


def load(folder: Path, *tables: str, **overrides: object) -> imcsim.hardware.Hardware:
    """dtsnn_32nm with the given reference tables beside it."""
    names = []
    for number, text in enumerate(tables):
        (folder / f"table{number}.yaml").write_text(text, encoding="utf-8")
        names.append(f"table{number}.yaml")
    chip = (ROOT / "hw_configs" / "dtsnn_32nm.yaml").read_text(encoding="utf-8")
    file = folder / "chip.yaml"
    file.write_text(f"{chip}\nreference_tables: [{', '.join(names)}]\n", encoding="utf-8")
    return imcsim.hardware.load(file, {k.replace("__", "."): v for k, v in overrides.items()})


def refusal(folder: Path, *tables: str) -> ImcsimError:
    with pytest.raises(ImcsimError) as caught:
        load(folder, *tables)
    return caught.value


def changed(old: str, new: str) -> str:
    assert TABLES.count(old) == 1
    return TABLES.replace(old, new)


def test_a_table_s_figures_replace_the_component_s(tmp_path: Path) -> None:
    plain, config = imcsim.hardware.load("dtsnn_32nm").config, load(tmp_path, TABLES).config
    assert config.adc.charges(config) == {Event.CONVERSIONS: 0.31}
    assert config.adc.area_um2(config) == 412.5
    assert config.lif.charges(config) == {Event.LIF_UPDATES: 2.0}
    # The way of a bit within and between tiles goes with their area, and so with that of the table.
    named = {"adc", "lif", "htree", "noc", "state_memory", "checker"}
    for (name, mine), (_, theirs) in zip(config.components(), plain.components(), strict=True):
        if name not in named:
            assert mine.charges(config) == theirs.charges(plain), name
        if name != "adc":
            assert mine.area_um2(config) == theirs.area_um2(plain)
        if name not in ("adc", "lif"):  # converters leak by their area
            assert mine.leakage_uw(config) == theirs.leakage_uw(plain)


def test_a_table_s_leakage_is_pj_a_cycle_and_instance(tmp_path: Path) -> None:
    config = load(tmp_path, TABLES, technology__clock_ns=2.0).config
    (standing,) = (
        c.energy_pj for c in charges(config, SIZE) if c.component == "lif" and c.event == Event.POWERED_CYCLES
    )
    assert standing == pytest.approx(0.25 * SIZE.tiles * config.lif.lanes)


def test_a_table_stands_for_every_adc_preset(tmp_path: Path) -> None:
    config = load(tmp_path, TABLES, adc__preset="survey_fit").config
    assert config.adc.conversion_energy_pj(config) == 0.31
    copy = config.model_copy(update={"adc": config.adc.model_copy(update={"preset": "isaac_sar"})})
    assert copy.adc.conversion_energy_pj(copy) == 0.31


def test_table_figures_are_shown_as_given_with_their_place(tmp_path: Path) -> None:
    hardware = load(tmp_path, TABLES)
    rows = {row[0]: row[1:] for row in imcsim.hardware.describe(hardware)}
    assert rows["adc.conversions"] == ("0.31", "pJ", "given", "reference table table0.yaml:8")
    assert rows["adc.area"] == ("412.5", "um2", "given", "reference table table0.yaml:17")
    assert rows["lif.leakage"][:3] == ("0.25", "pJ", "given")
    assert hardware.unsourced == ()


def test_the_hash_covers_the_figures_and_not_the_files(tmp_path: Path) -> None:
    for name in "abcd":
        (tmp_path / name).mkdir()
    plain = imcsim.hardware.load("dtsnn_32nm").sha256
    one = load(tmp_path / "a", TABLES).sha256
    energies, areas = TABLES.split("ART:")
    two = load(tmp_path / "b", energies, "ART:" + areas).sha256
    other = load(tmp_path / "c", changed("0.31", "0.32")).sha256
    assert one == two
    assert len({plain, one, other}) == 3
    (tmp_path / "d" / "chip.yaml").write_text(
        (ROOT / "hw_configs" / "dtsnn_32nm.yaml").read_text(encoding="utf-8"), encoding="utf-8"
    )
    assert imcsim.hardware.load(tmp_path / "d" / "chip.yaml").sha256 == plain


@pytest.mark.parametrize(
    ("old", "new", "line", "text"),
    [
        ("name: lif\n", "name: lyf\n", 9, "unknown component 'lyf' (did you mean 'lif'?)"),
        ("name: lif\n", "name: zzzz\n", 9, "unknown component 'zzzz' (known here: clock, controller, cells,"),
        ("conversions", "convertions", 6, "unknown action 'convertions' (did you mean 'conversions'?)"),
        ("lif_updates", "shift_adds", 11, "unknown action 'shift_adds' (known here: lif_updates, leakage)"),
        ("energy: 0.31", "energy: -1", 8, "expected a number of at least 0, got -1"),
        ("energy: 0.31", "energy: 1e31", 8, "expected a number of at most 1e+30, got 1e+31"),
        ("energy: 0.31", "energy: true", 8, "expected a number of at least 0, got true"),
        ("area: 412.5", "area: big", 17, "expected a number of at least 0, got the text 'big'"),
        ("area: 412.5", "aera: 1", 16, "expected a number of at least 0, got nothing"),
        ("    actions:\n    - name: conv", "    acts:\n    - name: conv", 4, "expected a list of actions"),
        ("energy: 0.25}", "energy: 1}\n    - {name: leakage, energy: 2}", 13, "lif.leakage is given twice"),
        ("ERT:", "ETR:", 1, "this is no reference table (its top keys are ERT (energies) and ART (areas))"),
    ],
)
def test_wrong_tables_are_refused_with_their_line(
    tmp_path: Path, old: str, new: str, line: int, text: str
) -> None:
    error = refusal(tmp_path, changed(old, new))
    assert text in str(error)
    assert error.line == line
    assert Path(str(error.file)).name == "table0.yaml"


@pytest.mark.parametrize(
    "table", ["- 1\n", "ERT: {}\n", "ERT: 3\n", "ERT:\n  tables:\n  - 4\n", "ART:\n  tables: x\n"]
)
def test_files_of_another_shape_are_refused(tmp_path: Path, table: str) -> None:
    assert Path(str(refusal(tmp_path, table).file)).name == "table0.yaml"


def test_a_figure_in_two_files_is_refused(tmp_path: Path) -> None:
    error = refusal(tmp_path, TABLES, TABLES)
    assert "given twice, first in table0.yaml:8" in str(error)
    assert Path(str(error.file)).name == "table1.yaml"


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    chip = (ROOT / "hw_configs" / "dtsnn_32nm.yaml").read_text(encoding="utf-8")
    (tmp_path / "chip.yaml").write_text(f"{chip}\nreference_tables: [none.yaml]\n", encoding="utf-8")
    with pytest.raises(ImcsimError, match="there is no such file") as caught:
        imcsim.hardware.load(tmp_path / "chip.yaml")
    assert Path(str(caught.value.file)) == tmp_path / "none.yaml"


def test_tables_of_accelergy_s_other_release_read_the_same(tmp_path: Path) -> None:
    """Release 0.3 writes the version as a number and no arguments as null."""
    old = TABLES.replace("0.4", "0.3").replace("arguments: {}", "arguments: null")
    assert load(tmp_path, old).config.reference.energy_pj["adc"] == {Event.CONVERSIONS: 0.31}


def test_the_example_in_the_docs_is_a_table(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "components.md").read_text(encoding="utf-8")
    example = re.search(r"```yaml\n(ERT:.*?)```", text, re.DOTALL)
    assert example
    config = load(tmp_path, example[1]).config
    assert config.adc.charges(config) == {Event.CONVERSIONS: 0.31}
    assert config.tile_buffer.charges(config)[Event.TILE_BUFFER_READ_BITS] == 0.02
