"""Wrong values of options and arguments: one line that says what to do, before any work."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest

import imcsim
from imcsim.base.errors import ImcsimError
from imcsim.commands.cli import main


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("compare --images 0", "'--images': 0 is less than 1 (see imcsim compare --help)"),
        ("compare --images 1.5", "'--images': '1.5' is not a whole number (see imcsim compare --help)"),
        ("compare --seed -1", "'--seed': -1 does not lie between 0 and 9223372036854775807 (see"),
        ("stream --rate -1", "'--rate': -1.0 is not above 0 (see imcsim stream --help)"),
        ("stream --rate x", "'--rate': 'x' is not a number (see imcsim stream --help)"),
        ("compare --fidelity brst", "'brst' is not one of 'reference', 'burst' (did you mean 'burst'?)"),
        ("schema hardwre", "(did you mean 'hardware'?)"),
        ("schema foo", "'KIND': 'foo' is not one of"),
        ("completion cmd", "'SHELL': 'cmd' is not one of"),
        ("compare --issue pipelin", "(did you mean 'pipeline'?; use wait, pipeline, "),
        ("compare --model vgg", "'vgg16_final_cifar10' or 'vgg16_running_cifar10'?)"),
        ("hardware check dtsnn_32nm --set adc.preset=kul_sar", "(did you mean 'kull_sar'?)"),
        ("compare --memory x", "'--memory': 'x' is no size (write bytes, or as 512M or 1.5G)"),
        (
            "compare --rule entrpy",
            "no exit rule 'entrpy' (did you mean 'entropy'?; --plugin FILE adds others)",
        ),
        ("compare --set", "option '--set' requires an argument (write it behind the option)"),
        ("completion", "Choose from: bash, zsh, fish, powershell (see imcsim completion --help)"),
        ("report . --points x", "'--points': give numbers of points, such as 0,7 (see"),
        ("run --threshold 0.3 --hardware ''", "no built-in hardware config is called '', and no such file"),
        ("run --threshold 0.3 --model ''", "there is no network '' (name a bundle's folder"),
        ("run --threshold 0.3 --inputs ''", "there are no inputs '' (name an .npz"),
        ("trace record -o x.txt", "x.txt: traces are written as .npz (end the name with .npz)"),
        (
            "compare --images 99999 --threshold 0.3",
            "(ask for 1 to 1000, or leave images out for all)",
        ),
        ("hardware check dtsnn_32nm --set mapping.copies=1", "unknown key (known here: replication, "),
        (
            "hardware check dtsnn_32nm --set estimators.adc=x",
            "override estimators.adc: there is no estimator",
        ),
        (
            "map --model vgg7_cifar10 --set mesh.columns=2 --set mesh.rows=2",
            "vgg7_cifar10: mesh.columns: the network needs 9 tiles, the mesh has 2 x 2 = 4: 5 short",
        ),
    ],
)
def test_a_wrong_value_is_one_line_that_says_what_to_do(
    arguments: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(shlex.split(arguments)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert said in line
    assert line.count("(see imcsim") <= 1
    assert ") (" not in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("address", ["", "nowhere"])
def test_an_address_without_a_port_is_refused(address: str, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("distributed")
    assert main(["compare", "--images", "2", "--threshold", "0.3", "--scheduler", address]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "missing port number" in line
    assert "(give an address such as tcp://host:8786, " in line


IMAGES = np.zeros((2, 3, 32, 32), np.uint8), np.zeros(2, np.int64)


@pytest.mark.parametrize(
    ("name", "keywords", "said"),
    [
        ("run", {"policy": "statc"}, r"policy: expected one of 'static', 'dynamic', .*did you mean 'static'"),
        ("stream", {"arrivals": 5}, r"arrivals: expected one of 'closed', .* got 5 \(give one of these\)"),
        ("stream", {"copies": 1.5}, r"copies: 1.5 copies of a chip cannot be played \(use 1 to"),
        ("stream", {"arrivals": "poisson", "rate": "x"}, r"rate: .*\(give a rate, as 1000\)"),
        ("compare", {"against": 5}, r"against: cannot be int \(give a name, a path, or a loaded Network"),
        ("compare", {"against": "vgg7_cifar10", "against_hardware": 5}, r"against_hardware: cannot be int"),
    ],
)
def test_a_wrong_value_in_python_is_told_by_its_keyword(
    name: str, keywords: dict[str, object], said: str
) -> None:
    with pytest.raises(ImcsimError, match=said):
        getattr(imcsim, name)("vgg7_cifar10", inputs=IMAGES, threshold=0.3, **keywords)


def test_what_is_no_result_or_no_images_is_told(tmp_path: Path) -> None:
    (tmp_path / "first.json").write_text("{}")
    with pytest.raises(ImcsimError, match=r"there is no file or folder .*did you mean '.*first.json'"):
        imcsim.load_result(tmp_path / "frist.json")
    with pytest.raises(ImcsimError, match=r"there is no file or folder 'quite' \(give a JSON file"):
        imcsim.load_result("quite")
    with pytest.raises(ImcsimError, match="this is no result"):
        imcsim.load_result("dtsnn_32nm")
    with pytest.raises(ImcsimError, match="inputs: cannot be int"):
        imcsim.Monitor(5)


@pytest.mark.parametrize(
    ("shape", "labels", "said"),
    [
        ((2, 3, 16, 32), [0, 1], "the images are 3 x 16 x 32, but the network takes 3 x 32 x 32"),
        ((2, 3, 32, 32), [0, 99], "labels reach 99, but the network has 10 classes"),
    ],
)
def test_inputs_that_do_not_fit_are_told_by_their_file(
    shape: tuple[int, ...], labels: list[int], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.npz"
    np.savez(file, images=np.zeros(shape, np.uint8), labels=np.array(labels))
    assert main(["run", "--model", "vgg7_cifar10", "--inputs", str(file), "--threshold", "0.3"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {file}: {said} (")


def test_an_estimator_that_is_not_there_is_told_by_the_line_of_the_chip(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, chip = tmp_path / "base.yaml", tmp_path / "chip.yaml"
    base.write_text("extends: dtsnn_32nm\nestimators:\n  adc: mine\n")
    chip.write_text("extends: base.yaml\nname: chip\n")
    for file in (base, chip):
        assert main(["hardware", "check", str(file)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"error: {base}:3: estimators.adc: there is no estimator 'mine' (known are")
