"""Values that a user's commands keep: taken up by runs with the same ones, by no others, never damaged."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import forward, random_images, random_network

import imcsim.hardware
from imcsim.hardware.config import Hardware
from imcsim.inputs import Inputs
from imcsim.inputs.data import fingerprint
from imcsim.network.graph import Network
from imcsim.results.model import to_json
from imcsim.simulation import kept_values as module
from imcsim.simulation.kept_values import OFF, VALUES, VARIABLE, KeptValues, folder_of_values, kept_values
from imcsim.simulation.values import COMPUTED, Values
from imcsim.studies.comparison import run
from imcsim.studies.settings import CompareOptions


@cache
def network() -> Network:
    return random_network(np.random.default_rng(11), depth=2, classes=5, timesteps=4, channels=8)


@cache
def hardware(**overrides: Any) -> Hardware:
    return imcsim.hardware.load("dtsnn_32nm", {key.replace("__", "."): v for key, v in overrides.items()})


@cache
def images(seed: int = 1) -> Inputs:
    shown = random_images(np.random.default_rng(seed), network().input_shape, 6)
    labels = forward(network(), shown, 4)[network().nodes[-1].name].sum(0).argmax(1).astype(np.int64)
    return Inputs(shown, labels, "images", "unknown", fingerprint(shown, labels), 5)


def ran(values: Values, shown: Inputs | None = None, threshold: float = 0.4, **overrides: Any) -> str:
    options = CompareOptions(workers=1, threshold=threshold)
    about = network(), hardware(**overrides), shown or images(), images(2)
    return to_json(run(*about, options, policy="static" if threshold == 1 else "dynamic", values=values))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache" / VALUES


def fresh() -> KeptValues:
    """Those of a new process."""
    found = kept_values(network())
    assert isinstance(found, KeptValues)
    return found


def test_what_is_kept_serves_other_prices_times_and_thresholds(folder: Path) -> None:
    first = fresh()
    assert ran(first, threshold=1) == ran(COMPUTED, threshold=1)
    assert (first.computed, first.reused) == (2, 0)  # ADC scales, and what the images do
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    overrides: dict[str, Any]
    for overrides in ({}, {"technology__clock_ns": 2.0}, {"adc__preset": "isaac_sar"}):
        again = fresh()
        assert ran(again, threshold=1, **overrides) == ran(COMPUTED, threshold=1, **overrides)
        assert (again.computed, again.reused) == (0, 2)


def test_other_values_are_computed(folder: Path) -> None:
    ran(fresh(), threshold=1)
    other = fresh()
    assert ran(other, images(3), threshold=1) == ran(COMPUTED, images(3), threshold=1)
    assert (other.computed, other.reused) == (1, 1)  # on the same ADC scales
    other = fresh()
    assert ran(other, threshold=1, adc__bits=6) == ran(COMPUTED, threshold=1, adc__bits=6)
    assert other.reused == 0
    picked = fresh()
    some = replace(images(), picked=np.arange(6)[::-1].copy())  # other noise
    assert ran(picked, some, threshold=1) == ran(COMPUTED, some, threshold=1)
    assert (picked.computed, picked.reused) == (0, 1)


def test_damage_is_harmless(folder: Path) -> None:
    expected = ran(fresh(), threshold=1)
    for path in sorted(folder.iterdir()):
        sound = path.read_bytes()
        for damaged in (sound[: len(sound) // 2], b"", sound[:-60] + bytes(60)):
            path.write_bytes(damaged)
            again = fresh()
            assert ran(again, threshold=1) == expected
            assert again.computed == 1
            assert path.read_bytes() == sound


def test_what_was_used_longest_ago_goes_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran(fresh(), threshold=1)
    for k, path in enumerate(sorted(folder.iterdir())):
        os.utime(path, (k, k))
    ran(fresh(), threshold=1)  # used just now
    old = folder / "run-old.npz"
    old.write_bytes(bytes(100))
    os.utime(old, (5, 5))
    kept = sum(path.stat().st_size for path in folder.iterdir())
    monkeypatch.setattr(module, "MOST_BYTES", kept + 50)
    ran(fresh(), images(3), threshold=1)
    assert not old.exists()
    assert list(folder.glob("run-*"))
    monkeypatch.setattr(module, "MOST_BYTES", 1)
    ran(fresh(), images(4), threshold=1)
    assert list(folder.iterdir()) == []
    monkeypatch.setattr(module, "LARGEST_BYTES", 10)
    ran(fresh(), threshold=1)
    assert list(folder.iterdir()) == []


def test_where_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, OFF)
    assert folder_of_values() is None
    assert kept_values(network()) is COMPUTED
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert folder_of_values() == tmp_path / VALUES
    (tmp_path / VALUES).touch()
    assert kept_values(network()) is COMPUTED
    (tmp_path / VALUES).unlink()
    assert isinstance(kept_values(network()), KeptValues)


@pytest.mark.skipif(os.name == "nt", reason="rights are other there")
@pytest.mark.parametrize("inside", [False, True])
def test_a_folder_that_others_can_write_is_not_used(folder: Path, inside: bool) -> None:
    folder.mkdir(parents=True)
    (folder if inside else folder.parent).chmod(0o777)
    assert kept_values(network()) is COMPUTED
