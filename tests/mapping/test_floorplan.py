"""The floorplan as tables, JSON, CSV and drawing."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from rich.console import Console
from wide_networks import VGG16, resnet19, vgg

import imcsim.hardware
from imcsim.mapping import ChipRow, Floorplan, floorplan, place
from imcsim.network import Network
from imcsim.report.figures import floorplan as floorplan_figure
from imcsim.report.floorplan import floorplan_csv, floorplan_json, write_floorplan
from imcsim.report.terminal.floorplan import MOST_TILES, floorplan_report, ranges

SMALL = (32, "M", 64, 64, "M", 128, 128, "M", 128)


def plan_of(network: Network, name: str = "dtsnn_32nm", **overrides: object) -> Floorplan:
    overrides = {"mapping.placement": "path"} | {k.replace("__", "."): v for k, v in overrides.items()}
    config = imcsim.hardware.load(name, overrides).config
    return floorplan(place(network, config), config)


@pytest.fixture(scope="module")
def small() -> Floorplan:
    """Seven layers, the first four in one tile."""
    return plan_of(vgg(SMALL), "spikesim_65nm")


@pytest.fixture(scope="module")
def deep() -> Floorplan:
    return plan_of(resnet19(), mapping__share_tiles=True)


def printed(plan: Floorplan) -> str:
    stream = io.StringIO()
    Console(file=stream, width=80, markup=False, highlight=False, color_system=None).print(
        floorplan_report(plan, "net", "chip")
    )
    return stream.getvalue()


def drawn(plan: Floorplan) -> Figure:
    return floorplan_figure._figure(plan, "net on chip")


def boxes(figure: Figure) -> list[Rectangle]:
    return [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]


@pytest.mark.parametrize(
    ("numbers", "text"),
    [((), ""), ((3,), "3"), ((3, 4), "3-4"), ((0, 2, 3, 4, 9), "0, 2-4, 9"), ((1, 3, 5), "1, 3, 5")],
)
def test_ranges(numbers: tuple[int, ...], text: str) -> None:
    assert ranges(numbers) == text


def test_a_line_for_every_layer_and_tile(small: Floorplan) -> None:
    text = printed(small)
    lines = [line.split() for line in text.splitlines()]
    # conv4 of 9 x 64 x 128 weights in 2 slices: one block, 4 columns, PEs of 9 crossbars, 8 x 8 positions.
    assert ["3", "conv4", "576", "x", "128", "1", "x", "4", "1", "36", "4", "0-1", "64", "100.0"] in lines
    assert any(line[:2] == ["0", "0,"] and "72 of 72" in " ".join(line) for line in lines)
    assert text.count("*") == 2  # the slowest layer, and the explanation
    assert any("1,024 x 8*" in line and "conv1" in line for line in text.splitlines())
    assert "257 of 576 crossbars and 57 of 64 PEs used; 37.7 % of the cells" in " ".join(text.split())


def test_many_tiles_are_summed_up_and_all_fits_80_columns(deep: Floorplan) -> None:
    assert len(deep.tiles) > MOST_TILES
    text = printed(deep)
    assert max(map(len, text.splitlines())) <= 80
    full = sum(tile.crossbars_used == tile.crossbars for tile in deep.tiles)
    assert f"{full} with every crossbar in use, {len(deep.tiles) - full} with some free" in " ".join(
        text.split()
    )
    assert "block2.1.shortcut" in text  # not folded
    assert "1,024*" in text


def test_long_and_strange_names_fold_but_numbers_do_not(small: Floorplan) -> None:
    name = "[red]" + "layer" * 20 + "\x1b[2J"
    layers = (replace(small.layers[0], name=name), *small.layers[1:])
    text = printed(replace(small, layers=layers))
    assert max(map(len, text.splitlines())) <= 80
    assert "[red]" in text
    assert "\x1b" not in text
    assert "1,152 x 128" in text


def test_json_holds_the_whole_plan(small: Floorplan) -> None:
    data = json.loads(floorplan_json(small, "net", "chip"))
    assert (data["network"], data["hardware"], data["mesh"]) == ("net", "chip", [3, 3])
    assert [layer["name"] for layer in data["layers"]] == [layer.name for layer in small.layers]
    assert data["tiles"][0]["layers"] == [[0, 9], [1, 18], [2, 18], [3, 27]]
    assert data["crossbars_used"] == sum(tile["crossbars_used"] for tile in data["tiles"])
    assert data["area_um2"] == small.area_um2


def test_csv_has_a_row_for_every_layer_and_tile(small: Floorplan) -> None:
    tables = {name: list(csv.DictReader(io.StringIO(text))) for name, text in floorplan_csv(small).items()}
    assert set(tables) == {"layers.csv", "tiles.csv"}
    assert [row["name"] for row in tables["layers.csv"]] == [layer.name for layer in small.layers]
    assert tables["layers.csv"][-1]["tiles"] == "3 4 5 6 7"
    assert [int(row["index"]) for row in tables["tiles.csv"]] == list(range(8))
    assert tables["tiles.csv"][0]["layers"] == "conv1 conv2 conv3 conv4"
    assert [(int(row["x"]), int(row["y"])) for row in tables["tiles.csv"]] == [
        t.position for t in small.tiles
    ]


def test_layers_have_colours_of_their_own() -> None:
    colours = [to_hex(floorplan_figure.colour(k)) for k in range(21)]
    assert len(set(colours)) == 21
    assert colours[0] == "#0072b2"  # Okabe and Ito's blue
    assert to_hex(floorplan_figure.colour(21)) == colours[0]


def test_tiles_are_filled_as_far_as_their_crossbars_are_used(small: Floorplan) -> None:
    figure = drawn(small)
    for tile in small.tiles:
        x, y = tile.position
        inside = [b for b in boxes(figure) if abs(b.get_x() + b.get_width() / 2 - x) < 0.01]
        bottom = y + 0.45
        for layer, crossbars in tile.layers:
            (fill,) = [
                b
                for b in inside
                if to_hex(b.get_facecolor()) == to_hex(floorplan_figure.colour(layer))
                and abs(b.get_y() - y) < 0.5
            ]
            assert fill.get_height() == pytest.approx(0.9 * crossbars / tile.crossbars)
            assert fill.get_y() + fill.get_height() == pytest.approx(bottom)  # one on top of the other
            bottom = fill.get_y()
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert "76 %" in texts
    for tile in small.tiles:  # by the numbers of the timeline and the trace
        (number,) = [t for t in figure.axes[0].texts if t.get_text() == str(tile.index)]
        assert number.get_position()[0] == tile.position[0]
        assert abs(number.get_position()[1] - tile.position[1]) < 0.2
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names[:2] == ["conv1: 0", "conv2: 0"]
    assert names[len(small.layers) - 1].endswith(": 3-7")
    assert names[-1] == "global buffer, checker"


def test_the_corner_stands_beside_the_first_position(small: Floorplan) -> None:
    (corner,) = [b for b in boxes(drawn(small)) if to_hex(b.get_facecolor()) == "#333333"]
    assert corner.get_x() + corner.get_width() < -0.45
    assert abs(corner.get_y() + corner.get_height() / 2) < 0.01


def test_free_positions_are_outlined_and_a_large_mesh_is_cut_off(small: Floorplan) -> None:
    def free(plan: Floorplan) -> int:
        return sum(b.get_linestyle() in (":", "dotted") for b in boxes(drawn(plan)))

    assert free(small) == 1
    wide = replace(small, chips=(replace(small.chips[0], mesh=(1024, 1024)),))
    assert free(wide) == 1
    apart = replace(small, tiles=(*small.tiles[:-1], replace(small.tiles[-1], position=(5, 2))))
    assert free(apart) == 6 * 3 - 8


def test_the_drawing_depends_on_the_plan_alone(small: Floorplan) -> None:
    first = floorplan_figure.floorplan_figure(small, "net on chip")
    assert set(first) == {"floorplan.pdf", "floorplan.png", "floorplan.svg"}
    assert first["floorplan.png"].startswith(b"\x89PNG")
    assert b"<svg" in first["floorplan.svg"]
    assert floorplan_figure.floorplan_figure(small, "net on chip") == first


@pytest.mark.parametrize("count", [1, 400])
def test_few_and_very_many_tiles_can_be_drawn(small: Floorplan, count: int) -> None:
    tiles = tuple(replace(small.tiles[0], index=k, position=(k % 20, k // 20)) for k in range(count))
    figure = drawn(replace(small, tiles=tiles, chips=(replace(small.chips[0], mesh=(20, 20)),)))
    figure.draw_without_rendering()
    width, height = figure.get_size_inches()
    assert width == (3.5 if count == 1 else 7.0)
    assert 1 < height < 9


@pytest.mark.usefixtures("rough_figures")
def test_a_name_with_dollars_is_no_mathematics(small: Floorplan) -> None:
    layers = (replace(small.layers[0], name=r"a$\frac$b"), *small.layers[1:])
    floorplan_figure.floorplan_figure(replace(small, layers=layers), "$x^$ on y")


@pytest.mark.usefixtures("rough_figures")
def test_everything_is_written(small: Floorplan, tmp_path: object) -> None:
    from pathlib import Path

    folder = Path(str(tmp_path)) / "new" / "plan"
    written = write_floorplan(small, "net", "chip", folder)
    names = {"floorplan.json", "floorplan.pdf", "floorplan.svg", "floorplan.png", "layers.csv", "tiles.csv"}
    assert {path.name for path in written} == names == {path.name for path in folder.iterdir()}
    assert (folder / "floorplan.json").read_text() == floorplan_json(small, "net", "chip")


def test_the_area_is_that_of_the_components() -> None:
    config = imcsim.hardware.load("dtsnn_32nm").config
    placed = place(vgg(VGG16), config)
    plan = floorplan(placed, config)
    total = sum(c.area_um2(config) * c.instances(config, placed.size) for _, c in config.components())
    assert plan.area_um2 == total > 0


def test_a_package_is_drawn_chip_by_chip(small: Floorplan) -> None:
    """Frames, numbers and links of two chips; tiles of the second stand right of the first."""
    halves = [ChipRow(k, (3, 3), 3, (), (1 - k,)) for k in range(2)]
    tiles = tuple(replace(tile, chip=k % 2) for k, tile in enumerate(small.tiles))
    plan = replace(small, tiles=tiles, chips=tuple(halves))
    axes = drawn(plan).axes[0]
    words = [text.get_text() for text in axes.texts]
    assert {"chip 0", "chip 1"} <= set(words)
    at = {text.get_text(): text.get_position()[0] for text in axes.texts}
    for tile in plan.tiles:
        assert (at[str(tile.index)] >= 3) == (tile.chip == 1)
    links = [line for line in axes.lines if len(line.get_xdata()) == 4]
    assert len(links) == 1
    data = json.loads(floorplan_json(plan, "net", "package"))
    assert [chip["joined_to"] for chip in data["chips"]] == [[1], [0]]
    assert [tile["chip"] for tile in data["tiles"]] == [tile.chip for tile in tiles]
    assert "chip" in floorplan_csv(plan)["tiles.csv"].splitlines()[0].split(",")
