"""``compare --against``: SNN static, SNN dynamic and another network side by side, in every output."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ann import random_ann
from networks import random_images, random_network

import imcsim
import imcsim.hardware
import imcsim.inputs
import imcsim.network
from imcsim.base.errors import ImcsimError
from imcsim.commands.cli import main
from imcsim.results.comparison import CompareResult

CLASSES = 4


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a spiking network, an ANN of its shape, and images."""
    folder = tmp_path_factory.mktemp("against")
    net = random_network(np.random.default_rng(8), classes=CLASSES, timesteps=3)
    imcsim.network.save(net, folder / "snn")
    imcsim.network.save(random_ann(np.random.default_rng(8), bits=(3, 3), classes=CLASSES), folder / "ann")
    for seed, name in enumerate(("inputs", "validation")):
        rng = np.random.default_rng(seed)
        images = random_images(rng, net.input_shape, 12)
        imcsim.inputs.save(
            folder / f"{name}.npz", images, rng.integers(0, CLASSES, 12), split="test", classes=CLASSES
        )
    return folder


def arguments(stored: Path, *more: str) -> list[str]:
    files = ["--model", str(stored / "snn"), "--inputs", str(stored / "inputs.npz")]
    files += ["--validation", str(stored / "validation.npz"), "--threshold", "0.4"]
    return ["compare", *files, "--workers", "1", *more]


def compared(stored: Path, *, alternatives: bool = False, **more: Any) -> CompareResult:
    return imcsim.compare(
        stored / "snn", inputs=stored / "inputs.npz", validation=stored / "validation.npz", threshold=0.4,
        workers=1, overrides={"alternatives.shared": alternatives}, **more,
    )  # fmt: skip


def test_three_runs_side_by_side(stored: Path) -> None:
    found = compared(stored, against=stored / "ann", alternatives=True)
    against = found.against
    assert against is not None
    assert (against.kind, against.activation_bits) == ("ann", (3, 3))
    static, dynamic, ann = against.runs
    last = found.static[-1]
    assert static.energy_pj == pytest.approx(last.energy_without_checker_pj)
    assert static.latency_ns == pytest.approx(last.latency_without_checker_ns)
    assert (dynamic.energy_pj, dynamic.latency_ns) == (found.dynamic.energy_pj, found.dynamic.latency_ns)
    assert dynamic.edp_mean_of_products == pytest.approx(found.dynamic.edp_mean_of_products)
    # The dynamic run's chip has the checker, whose area the static one saves.
    chip = imcsim.hardware.load("dtsnn_32nm").config
    assert dynamic.area_um2 == found.meta.hardware.area_um2
    assert dynamic.area_um2 - static.area_um2 == pytest.approx(chip.checker.area_um2(chip))
    # The other network is what it is by itself.
    alone = imcsim.run(
        stored / "ann", inputs=stored / "inputs.npz", validation=stored / "validation.npz", policy="static",
        workers=1,
    )  # fmt: skip
    assert ann.accuracy == alone.outcome.accuracy
    assert ann.energy_pj < alone.outcome.energy_pj
    assert ann.energy_pj == pytest.approx(alone.outcome.energy_pj, rel=0.02)
    assert against.meta.network.name == "ann"
    assert against.meta.timesteps == 1
    assert [c.name for c in against.components if c.name in ("lif", "activation")] == ["activation"]
    assert found.ranges == compared(stored, alternatives=True).ranges
    assert found.ranges is not None
    assert found.ranges.alternatives
    for one, ratio in zip(against.runs, against.ratios, strict=False):
        assert ratio.energy == pytest.approx(one.energy_pj / ann.energy_pj)
        assert ratio.images_per_s == pytest.approx(one.images_per_s / ann.images_per_s)


def test_throughput_is_that_of_a_stream(stored: Path) -> None:
    found = compared(stored, against=stored / "ann").against
    assert found is not None
    stream = imcsim.stream(
        stored / "ann", inputs=stored / "inputs.npz", validation=stored / "validation.npz", policy="static",
        issue="pipeline", workers=1,
    )  # fmt: skip
    assert found.runs[2].images_per_s == pytest.approx(12 / (stream.makespan_ns * 1e-9))
    # Images that follow each other through the layers are faster than one after the other.
    assert found.runs[2].images_per_s > 1e9 / found.runs[2].latency_ns


def test_a_chip_of_its_own(stored: Path) -> None:
    slow = compared(
        stored, against=stored / "ann", against_hardware={"extends": "dtsnn_32nm", "adc.conversion_cycles": 9}
    ).against
    same = compared(stored, against=stored / "ann").against
    assert slow is not None
    assert same is not None
    assert slow.runs[:2] == same.runs[:2]
    assert slow.runs[2].latency_ns > same.runs[2].latency_ns
    assert slow.meta.hardware.overrides == {"adc.conversion_cycles": 9}
    with pytest.raises(ImcsimError, match="this is the chip of another network"):
        compared(stored, against_hardware="dtsnn_32nm")


def test_another_spiking_network_runs_to_its_own_timesteps(stored: Path) -> None:
    other = replace(imcsim.network.load(stored / "snn"), timesteps=2, name="shorter", sha256="")
    found = compared(stored, against=other)
    assert found.against is not None
    assert (found.against.kind, found.against.activation_bits) == ("snn", ())
    assert found.against.runs[2].mean_timesteps == 2
    assert found.against.runs[2].energy_pj == pytest.approx(found.static[1].energy_without_checker_pj)


@pytest.mark.usefixtures("rough_figures")
def test_every_output_has_it(stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "out"
    command = arguments(stored, "--against", str(stored / "ann"), "--out", str(folder), "--json", "-")
    assert main([*command, "--against-hardware", "spikesim_65nm"]) == 0
    shown = capsys.readouterr()
    document = json.loads(shown.out)
    assert [run["run"] for run in document["against"]["runs"]] == ["static", "dynamic", "against"]
    assert document["against"]["runs"][2]["hardware"] == "spikesim_65nm"
    assert "Beside ann on the same images" in shown.err
    assert "ANN, 3 bits" in shown.err
    with (folder / "against.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["energy_pj"]) for row in rows] == [
        run["energy_pj"] for run in document["against"]["runs"]
    ]
    assert {row["component"] if "component" in row else row["name"] for row in csv.DictReader(
        (folder / "against_components.csv").open()
    )} >= {"activation", "adc"}  # fmt: skip
    with (folder / "table.csv").open() as file:
        *others, last = csv.DictReader(file)
    assert (last["run"], last["energy_pj"]) == ("ANN, 3 bits", rows[2]["energy_pj"])
    assert others[-1]["run"] == "dynamic"
    assert "ANN, 3 bits & 1.000" in (folder / "table.tex").read_text()
    text = (folder / "caption.txt").read_text()
    assert "The row ANN, 3 bits is ann (" in text
    assert "on spikesim_65nm (" in text
    # What the caption says of the static run without its checker is the row of against.csv.
    assert f"takes {float(rows[0]['energy_pj']) / 1e3:.4g} nJ" in text
    read = imcsim.load_result(folder)
    assert isinstance(read, CompareResult)
    assert read.against is not None
    assert read.against.model_dump() == CompareResult.model_validate(document).against.model_dump()  # type: ignore[union-attr]
    assert main(["report", str(folder), "--quiet"]) == 0
    page = (folder / "report" / "index.html").read_text()
    assert "Beside ann on the same images" in page
    assert "ANN, 3 bits" in page


def test_without_it_the_document_is_as_before(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(stored, "--json", "-", "--quiet")) == 0
    assert "against" not in json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--against-hardware", "dtsnn_32nm"), "is the chip of the network of --against"),
        (("--against", "ann", "--chips", "2"), "--against stands beside one chip"),
        (("--against", "no_such_network"), "no_such_network"),
        (("--against", "vgg7_cifar10"), "vgg7_cifar10"),
    ],
)
def test_what_does_not_go_together(
    stored: Path, more: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(stored, *more)) != 0
    assert says in capsys.readouterr().err


def test_an_ann_sees_no_frames(stored: Path) -> None:
    with pytest.raises(ImcsimError, match="sees one image, not frames"):
        compared(stored, against=stored / "ann", encoding="rate")
