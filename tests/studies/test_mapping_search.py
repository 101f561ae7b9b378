"""The search for a mapping: what it says is what a run on that chip says, and the best of what it tried."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import vgg_like

import imcsim.hardware
import imcsim.network
from imcsim.base.errors import ImcsimError
from imcsim.commands.cli import main
from imcsim.functional.run import Activity
from imcsim.hardware.config import Hardware
from imcsim.inputs import Inputs, save
from imcsim.mapping import place
from imcsim.network.graph import Network
from imcsim.report.mapped import chip_file, mappings_csv, search_json, write_search
from imcsim.results.mapped import Budget, Goal, Mapped, MappingSearch, Objective
from imcsim.simulation.values import ActivityRequest, Computed
from imcsim.studies import mapping_search, mapping_variants
from imcsim.studies.comparison import run
from imcsim.studies.mapping_search import search_mapping
from imcsim.studies.mapping_variants import OnImages
from imcsim.studies.settings import CompareOptions
from imcsim.studies.tried_mappings import FILE, TriedMappings, entry_sha256

NETWORK = replace(
    vgg_like(np.random.default_rng(3), plan=(4, "M", 8), size=8, classes=3, timesteps=3), name="small"
)
OPTIONS = CompareOptions(workers=1, threshold=0.9)


def images() -> Inputs:
    rng = np.random.default_rng(4)
    shown = rng.integers(0, 256, (6, 3, 8, 8), np.uint8)
    return Inputs(shown, rng.integers(0, 3, 6), "images", "validation", "3" * 64, 3)


def chip(**overrides: object) -> Hardware:
    values = {"tile.crossbars_per_pe": 2, "tile.pes_per_tile": 2, "mapping.replication": "none"}
    return imcsim.hardware.load(
        "dtsnn_32nm", values | {k.replace("__", "."): v for k, v in overrides.items()}
    )


def found(objective: Objective, budget: Budget | None = None) -> MappingSearch:
    return search_mapping(NETWORK, chip(), images(), Goal(objective, budget), OPTIONS)


@pytest.fixture(scope="module")
def for_edp() -> MappingSearch:
    return found("edp", Budget(crossbars=60))


def test_the_best_is_what_a_run_on_that_chip_comes_to(for_edp: MappingSearch) -> None:
    for one in (for_edp.given, for_edp.best):
        overrides = {key.replace(".", "__"): value for key, value in one.overrides.items()}
        hardware = chip(**overrides)
        outcome = run(NETWORK, hardware, images(), None, OPTIONS).outcome
        assert one.energy_pj == pytest.approx(outcome.energy_pj, rel=1e-12)
        assert one.latency_ns == pytest.approx(outcome.latency_ns, rel=1e-12)
        assert one.edp_pj_ns == pytest.approx(outcome.edp_mean_of_products, rel=1e-12)
        placed = place(NETWORK, hardware.config)
        assert (one.tiles, one.crossbars) == (placed.tiles, placed.crossbars)
    assert for_edp.mean_timesteps == outcome.mean_timesteps
    assert for_edp.best.edp_pj_ns < 0.7 * for_edp.given.edp_pj_ns


def test_nothing_that_was_tried_is_better_or_breaks_the_budget(for_edp: MappingSearch) -> None:
    assert all(for_edp.budget.holds(one) for one in for_edp.tried)
    assert for_edp.best.edp_pj_ns == min(one.edp_pj_ns for one in for_edp.tried)
    front = for_edp.front
    assert [one.area_mm2 for one in front] == sorted({one.area_mm2 for one in front})
    for one in for_edp.tried:
        assert any(o.area_mm2 <= one.area_mm2 and o.edp_pj_ns <= one.edp_pj_ns for o in front)


@pytest.mark.parametrize(
    "objective", ["latency", *(pytest.param(o, marks=pytest.mark.slow) for o in ("throughput", "energy"))]
)
def test_a_larger_budget_is_never_worse(objective: Objective) -> None:
    some = [found(objective, Budget(tiles=tiles)).best.figure(objective) for tiles in (4, 9)]
    assert some == sorted(some, reverse=True)


@pytest.mark.slow
def test_without_a_budget_the_chip_grows_no_larger() -> None:
    free = found("latency")
    assert free.best.area_mm2 <= free.given.area_mm2 * (1 + 1e-9)
    assert found("area").best.area_mm2 <= free.best.area_mm2


def test_images_cannot_follow_each_other_faster_than_the_interval(for_edp: MappingSearch) -> None:
    one = for_edp.best
    hardware = chip(**{key.replace(".", "__"): value for key, value in one.overrides.items()})
    stream = imcsim.stream(
        NETWORK, hardware, images(), policy="dynamic", threshold=0.9, issue="interleave:3", workers=1
    )
    assert stream.throughput_images_per_s <= 1.0001e9 / one.interval_ns


def test_a_chip_file_of_it_is_the_chip(for_edp: MappingSearch, tmp_path: Path) -> None:
    target = tmp_path / "chip.yaml"
    target.write_text(chip_file(for_edp, chip(), target))
    again = imcsim.hardware.load(target)
    expected = chip(**{key.replace(".", "__"): value for key, value in for_edp.best.overrides.items()})
    named = {"name": again.config.name, "description": again.config.description}
    assert again.config == expected.config.model_copy(update=named)
    assert again.provenance["mapping.replication"].mark == "derived"
    other = tmp_path / "deep" / "chip.yaml"
    other.parent.mkdir()
    other.write_text(chip_file(for_edp, again, other))
    assert imcsim.hardware.load(other).config.mapping == again.config.mapping


TYPES: dict[str, object] = {
    "tile.crossbars_per_pe": 9,
    "tile_types.small.cells.rows": 32,
    "tile_types.small.cells.columns": 32,
    "tile_types.rough.adc.bits": 2,
    "mapping.tile_types": {"fc": "small"},
}


def of_types(budget: Budget) -> MappingSearch:
    return search_mapping(NETWORK, chip(**TYPES), images(), Goal("energy", budget, True), OPTIONS)


@pytest.fixture(scope="module")
def with_types() -> Iterator[MappingSearch]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(mapping_search, "_MOST_GRANTS", 1)
        yield of_types(Budget(tiles=6))


def test_types_of_tile_are_searched_too(with_types: MappingSearch) -> None:
    found = with_types
    assert found.given.tile_types == {"conv1": "chip", "conv2": "chip", "fc": "small"}
    assert found.best.tile_types != found.given.tile_types
    kinds = {kind for one in found.tried for kind in one.tile_types.values()}
    assert {"chip", "small"} <= kinds
    assert {one.row_order for one in found.tried} == {"im2col", "kernel_position"}
    assert found.best.energy_pj == min(one.energy_pj for one in found.tried)
    assert all(one.right >= found.given.right for one in found.tried)
    for one in (found.given, found.best, next(o for o in found.tried if o.row_order == "kernel_position")):
        outcome = run(NETWORK, chip(**{**TYPES, **one.overrides}), images(), None, OPTIONS).outcome
        assert one.energy_pj == pytest.approx(outcome.energy_pj, rel=1e-12)
        assert one.latency_ns == pytest.approx(outcome.latency_ns, rel=1e-12)
        assert one.mean_timesteps == outcome.mean_timesteps
        assert one.right == round(outcome.accuracy * found.images)


@pytest.mark.slow
def test_with_types_a_larger_budget_is_never_worse() -> None:
    some = [of_types(Budget(tiles=tiles)).best.energy_pj for tiles in (3, 4, 8)]
    assert some == sorted(some, reverse=True)


def test_a_chip_file_says_which_layers_stand_on_which_tiles(
    with_types: MappingSearch, tmp_path: Path
) -> None:
    target = tmp_path / "chip.yaml"
    target.write_text(chip_file(with_types, chip(**TYPES), target))
    again = imcsim.hardware.load(target).config
    assert again.mapping.tile_types == with_types.best.tile_types
    expected = chip(**{**TYPES, **with_types.best.overrides}).config
    named = {"name": again.name, "description": again.description}
    assert again == expected.model_copy(update=named)
    rows = list(csv.DictReader(mappings_csv(with_types).splitlines()))
    assert rows[0]["tile_types"] == "conv1:chip conv2:chip fc:small"


def test_what_loses_accuracy_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    real = OnImages.of

    def fewer_on_rough_tiles(network: Network, hardware: Hardware, *about: Any) -> OnImages:
        judged = real(network, hardware, *about)
        rough = "rough" in hardware.config.mapping.tile_types.values()
        return replace(judged, right=4 - rough)

    monkeypatch.setattr(OnImages, "of", fewer_on_rough_tiles)
    monkeypatch.setattr(mapping_search, "_configs", lambda *about: ())
    types = {"tile_types.rough.adc.bits": 2, "mapping.replication": "none"}
    found = search_mapping(NETWORK, chip(**types), images(), Goal("area"), OPTIONS)
    assert found.less_accurate == 4  # each of three layers, and all
    assert {kind for one in found.tried for kind in one.tile_types.values()} == {"chip"}


def test_moves_are_joined_best_first_and_none_is_listed_twice() -> None:
    types = {"a": "chip", "b": "chip", "c": "x"}
    moves = [
        ({**types, "a": "x"}, 7.0), ({**types, "a": "y"}, 5.0), ({**types, "b": "x"}, 9.0),
        ({**types, "b": "y"}, 11.0), ({**types, "c": "chip"}, 4.0),
    ]  # fmt: skip
    assert list(mapping_variants.single_moves({"a": "chip", "c": "x"}, ("chip", "x"))) == [
        {"a": "x", "c": "x"}, {"a": "chip", "c": "chip"},
    ]  # fmt: skip
    assert list(mapping_variants.joined_moves(types, moves, 10.0, ("chip", "x"))) == [
        {"a": "chip", "b": "chip", "c": "chip"},
        {"a": "y", "b": "chip", "c": "chip"},
        {"a": "y", "b": "x", "c": "chip"},
        {"a": "x", "b": "x", "c": "x"},
    ]
    assert list(mapping_variants.joined_moves(types, moves, 4.0, ())) == []


def test_files(for_edp: MappingSearch, tmp_path: Path) -> None:
    write_search(for_edp, tmp_path)
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {
        "mapping.json", "mappings.csv", "index.html", "figures/front.png", "figures/front.svg",
        "figures/front.pdf", "data/front.csv", "data/both.csv",
    }  # fmt: skip
    page = (tmp_path / "index.html").read_text()
    assert "<svg" in page
    assert page.count(f"{for_edp.best.area_mm2:.4g}") >= 1
    on_front = list(csv.DictReader((tmp_path / "data" / "front.csv").open()))
    assert [row["front"] for row in on_front].count("True") == len(for_edp.front)
    document = json.loads((tmp_path / "mapping.json").read_text())
    assert document["best"]["edp_pj_ns"] == for_edp.best.edp_pj_ns
    assert document["tried"] == len(for_edp.tried)
    rows = list(csv.DictReader((tmp_path / "mappings.csv").open()))
    assert len(rows) == document["tried"]
    assert sum(row["best"] == "True" for row in rows) == 1


@pytest.mark.slow
def test_the_same_search_finds_the_same(for_edp: MappingSearch) -> None:
    assert search_json(for_edp) == search_json(found("edp", Budget(crossbars=60)))


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    imcsim.network.save(NETWORK, tmp_path / "net")
    shown = images()
    save(tmp_path / "held.npz", shown.images, shown.labels, split="validation", classes=3)
    common = ["map", "--model", str(tmp_path / "net"), "--validation", str(tmp_path / "held.npz")]
    search = [
        *common,
        "--optimise",
        "latency",
        "--budget",
        "40 crossbars",
        "--workers",
        "1",
        "--threshold",
        "0.9",
    ]
    assert main([*search, "-o", str(tmp_path / "chip.yaml"), "--json", str(tmp_path / "found.json")]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert "?" not in text
    assert "Mapping of small on dtsnn_32nm for the least latency" in text
    best = json.loads((tmp_path / "found.json").read_text())["best"]
    config = imcsim.hardware.load(tmp_path / "chip.yaml").config
    assert place(NETWORK, config).crossbars == best["crossbars"]
    assert main([*common, "--budget", "3tiles"]) == 2
    assert "--budget goes with --optimise" in capsys.readouterr().err
    assert main([*search, "--crossbars", "32,0"]) == 2
    assert "give sizes of crossbars such as 32,128" in capsys.readouterr().err
    assert main([*common, "--row-orders"]) == 2
    assert "--row-orders goes with --optimise" in capsys.readouterr().err
    assert main([*search, "--budget", "3 apples"]) == 2
    assert "give one such as 600crossbars, 12tiles or 20mm2" in capsys.readouterr().err


def test_the_images_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that choose the threshold are those that judge."""
    played: list[int] = []
    real = Computed.activity

    def counting(self: Computed, request: ActivityRequest) -> Activity:
        played.append(len(request.inputs.images))
        return real(self, request)

    monkeypatch.setattr(Computed, "activity", counting)
    search_mapping(NETWORK, chip(), images(), Goal("area", Budget(tiles=3)), CompareOptions(workers=1))
    assert played == [6]


def test_a_budget_that_nothing_meets() -> None:
    with pytest.raises(ImcsimError, match="stays within 1 tile: the smallest takes"):
        found("latency", Budget(tiles=1))


@pytest.mark.parametrize("text", ["", "12", "tiles", "0tiles", "1.5tiles", "-3mm2", "12tiles2", "nanmm2"])
def test_what_is_no_budget(text: str) -> None:
    with pytest.raises(ValueError, match="budget"):
        Budget.parse(text)


def test_budgets() -> None:
    assert Budget.parse("12tiles") == Budget(tiles=12)
    assert Budget.parse(" 600 crossbars ") == Budget(crossbars=600)
    assert Budget.parse("20.5 mm2") == Budget(area_mm2=20.5)


class _Stopped(Exception):
    """What a user's Ctrl-C stands for."""


def test_a_search_that_was_stopped_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was played before it was stopped is not played again, a line that was cut off is."""
    played, real = [], mapping_search._played

    def play(*about: Any) -> Mapped:
        if len(played) == 5:
            raise _Stopped
        played.append(about)
        return real(*about)

    def again() -> MappingSearch:
        return search_mapping(
            NETWORK, chip(), images(), Goal("edp", Budget(crossbars=14)), OPTIONS, folder=tmp_path
        )

    monkeypatch.setattr(mapping_search, "_played", play)
    with pytest.raises(_Stopped):
        again()
    file = tmp_path / FILE
    text = file.read_text()
    assert text.count("\n") == 6
    file.write_text(text[:-10])
    played.clear()
    monkeypatch.setattr(mapping_search, "_played", lambda *about: played.append(about) or real(*about))
    resumed = again()
    assert len(played) == len(resumed.tried) - 4
    played.clear()
    assert search_json(again()) == search_json(resumed)
    assert not played
    monkeypatch.setattr(mapping_search, "_played", real)
    whole = found("edp", Budget(crossbars=14))
    assert (whole.best, whole.tried) == (resumed.best, resumed.tried)
    with pytest.raises(ImcsimError, match="what another search has tried"):
        search_mapping(
            NETWORK, chip(adc__bits=7), images(), Goal("edp", Budget(crossbars=14)), OPTIONS, folder=tmp_path
        )
    file.write_text(file.read_text() + "{}\n")
    with pytest.raises(ImcsimError, match="none that a search wrote"):
        again()


MAPPED = Mapped({"conv": 2}, False, "snake", 8, "im2col", {}, 4, 1, 0.5)


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_what_was_tried_is_there_though_its_file_vanished(tmp_path: Path, how: str) -> None:
    folder = tmp_path / "out"
    tried = TriedMappings.of_folder(folder, {"a": 1})
    tried.put("x", MAPPED)
    shutil.rmtree(folder)
    if how == "replaced":
        folder.mkdir()
        (folder / FILE).write_text("")
    tried.put("y", None)
    tried.put("z", MAPPED)
    assert TriedMappings.of_folder(folder, {"a": 1}).known == {"x": MAPPED, "y": None, "z": MAPPED}


@pytest.mark.parametrize(
    ("key", "value"),
    [("tiles", "1"), ("tiles", -1), ("tiles", 1 << 60), ("area_mm2", float("nan")), ("copies", {"conv": "2"}),
     ("copies", [2]), ("share_tiles", 0), ("placement", "\0"), ("row_order", "other"), ("extra", 1)],
)  # fmt: skip
def test_lines_of_other_types_are_refused(tmp_path: Path, key: str, value: Any) -> None:
    entry = {"chip": "x", "mapped": {**asdict(MAPPED), key: value}}
    line = json.dumps({**entry, "sha256": entry_sha256(entry)})
    (tmp_path / FILE).write_text(f'{{"a": 1}}\n{line}\n')
    with pytest.raises(ImcsimError, match=r"jsonl:2: this line is damaged, or none that a search wrote"):
        TriedMappings.of_folder(tmp_path, {"a": 1})


def test_a_figure_that_was_changed_is_refused(tmp_path: Path) -> None:
    TriedMappings.of_folder(tmp_path, {"a": 1}).put("x", MAPPED)
    text = (tmp_path / FILE).read_text()
    assert '"columns_per_adc": 8' in text
    (tmp_path / FILE).write_text(text.replace('"columns_per_adc": 8', '"columns_per_adc": 9'))
    with pytest.raises(ImcsimError, match="jsonl:2: this line is damaged"):
        TriedMappings.of_folder(tmp_path, {"a": 1})


def test_a_pipe_and_other_bytes_are_no_file_of_tried_mappings(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / FILE)
    with pytest.raises(ImcsimError, match="not an ordinary file"):
        TriedMappings.of_folder(tmp_path, {})
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).write_bytes(b"\xff\n")
    with pytest.raises(ImcsimError, match="UTF-8"):
        TriedMappings.of_folder(tmp_path, {})
