"""The figures of docs/packages.md, from the sweep that stands there."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from imcsim.commands.cli import main
from imcsim.hardware.estimators.figures import figures

PAGE = (Path(__file__).parents[2] / "docs" / "packages.md").read_text()

COLUMNS = (
    ("area_um2", 1e6), ("static_energy_pj", 1e6), ("static_latency_ns", 1e3), ("dynamic_energy_pj", 1e6),
    ("dynamic_latency_ns", 1e3), ("dynamic_edp_mean_of_products", 1e9),
)  # fmt: skip


def rows_of(table: str) -> list[list[str]]:
    """The rows of the table that begins with this header."""
    lines = PAGE[PAGE.index(table) :].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return cells[
        2 : 2 + next((n for n, line in enumerate(lines) if not line.startswith("|")), len(lines)) - 2
    ]


def test_links_are_those_of_the_presets() -> None:
    rows = rows_of("| `package.link` |")
    assert len(rows) == 3
    for name, *shown, _ in rows:
        known = figures("package")[name.strip("`")]["value"]
        keys = ("bit_energy_pj", "bits_per_ns", "latency_ns", "port_area_um2", "port_power_uw")
        values = [known[key] / scale for key, scale in zip(keys, (1, 1, 1, 1e6, 1e3), strict=True)]
        assert [float(cell) for cell in shown] == pytest.approx(values)


@pytest.mark.slow
def test_the_table_is_what_the_sweep_says(tmp_path: Path) -> None:
    spec = tmp_path / "packages.yaml"
    blocks = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    spec.write_text(next(block for block in blocks if "axes:" in block))
    assert main(["sweep", str(spec), "--out", str(tmp_path / "found"), "--workers", "1"]) == 0
    with (tmp_path / "found" / "table.csv").open() as file:
        found = {(row["package.chips"], row["package.link"]): row for row in csv.DictReader(file)}
    shown = rows_of("| chips | link |")
    assert len(shown) == 7
    for chips, link, *cells in shown:
        row = found[chips, "interposer" if link == "-" else link]
        for cell, (column, scale) in zip(cells, COLUMNS, strict=True):
            digits = len(cell.partition(".")[2])
            assert f"{float(row[column]) / scale:.{digits}f}" == cell, (chips, link, column)


@pytest.mark.slow
def test_the_streams_are_what_the_command_says(capsys: pytest.CaptureFixture[str]) -> None:
    command = re.search(r"`imcsim (stream [^`]*)`, with", PAGE)
    assert command is not None
    shown = rows_of("| copies | chips of each |")
    assert len(shown) == 6
    for copies, chips, *cells in shown:
        options = ["--copies", copies, "--set", f"package.chips={chips}", "--json", "-", "--quiet"]
        assert main([*command[1].split(), *options, "--workers", "1"]) == 0
        found = json.loads(capsys.readouterr().out)
        figures_found = (
            found["efficiency"]["area_um2"] / 1e6, found["throughput_images_per_s"],
            found["latency_ns"] / 1e3, found["latency_p99_ns"] / 1e3,
            found["energy_pj"] / 1e6, found["leakage_energy_pj"] / 1e6,
        )  # fmt: skip
        for cell, figure in zip(cells, figures_found, strict=True):
            digits = len(cell.partition(".")[2])
            assert f"{figure:,.{digits}f}" == cell, (copies, chips, cell)
