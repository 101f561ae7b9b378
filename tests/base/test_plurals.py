"""Counts in words, and where users meet them."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import numpy as np
import pytest
from networks import random_images, random_network

import imcsim.base.plurals
import imcsim.inputs
import imcsim.network
from imcsim.commands.cli import main


def test_the_example_runs() -> None:
    found = doctest.testmod(imcsim.base.plurals)
    assert (found.failed, found.attempted) == (0, 1)


@pytest.mark.usefixtures("rough_figures")
def test_one_image_is_an_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(1)
    network = random_network(rng, depth=3, size=6)
    imcsim.network.save(network, tmp_path / "net")
    images = random_images(rng, network.input_shape, 2)
    imcsim.inputs.save(tmp_path / "images.npz", images, np.zeros(2, np.int64), split="test")
    run = ["--model", str(tmp_path / "net"), "--inputs", str(tmp_path / "images.npz"), "--threshold", "0.3"]
    out = tmp_path / "out"
    assert main(["compare", *run, "--images", "1", "--workers", "1", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"\(test\), 1 image *$", printed, re.MULTILINE)
    assert "means over 1 image of" in (out / "caption.txt").read_text()
    assert main(["report", str(out), "--out", str(tmp_path / "page")]) == 0
    said = capsys.readouterr().out
    assert said.startswith("1 point; ")
    for text in (printed, said, (out / "caption.txt").read_text()):
        assert "1 images" not in text
        assert "1 points" not in text
