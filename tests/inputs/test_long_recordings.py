"""Event recordings over hundreds of timesteps: binned, played in blocks, timed and priced."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import random_network

import imcsim
import imcsim.inputs
from imcsim.functional import run as playing
from imcsim.functional.in_flight import InFlight
from imcsim.functional.program.program import build
from imcsim.functional.run import exact, run
from imcsim.hardware import load
from imcsim.network.graph import Network
from imcsim.simulation.chip import numerics

T = 300


def recordings(folder: Path, count: int = 2) -> Path:
    """Recordings of 8 x 8 pixels over 0.3 s, whose events come in bursts."""
    rng = np.random.default_rng(1)
    t = np.sort(rng.integers(0, 300_000, 6_000 * count)) // 3_000 * 3_000 + rng.integers(
        0, 3_000, 6_000 * count
    )
    about: dict[str, Any] = {
        "t": t, "x": rng.integers(0, 8, t.size), "y": rng.integers(0, 8, t.size),
        "p": rng.integers(0, 2, t.size), "sample": rng.integers(0, count, t.size),
        "labels": np.arange(count), "width": 8, "height": 8, "classes": 4,
    }  # fmt: skip
    np.savez(folder / "events.npz", **about)
    return folder / "events.npz"


def network() -> Network:
    net = random_network(np.random.default_rng(2), size=8, channels=4, depth=2, timesteps=T)
    return replace(net, input_bits=1, input_scale=1.0)


def test_blocks_of_timesteps_give_the_same_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All 300 timesteps together, or 7 at a time: the same spikes and outputs in every one."""
    shown = imcsim.inputs.load(recordings(tmp_path), timesteps=T)
    assert shown.images.shape == (2, T, 2, 8, 8)
    program = build(network(), numerics(load("dtsnn_32nm").config))
    found = []
    for block in (T, 7):
        monkeypatch.setattr(playing, "in_flight", lambda *_, block=block: InFlight(1, block))
        found.append(run(program, np.asarray(shown.images[:]), T, exact(program), workers=1))
    one, other = found
    for key in ("outputs", "spikes", "active_rows", "active_levels", "active_reads"):
        assert np.array_equal(getattr(one, key), getattr(other, key)), key
    # Events go on to the end, and so do spikes.
    assert (one.spikes.sum(axis=(0, 2)) > 0).all()


@pytest.mark.slow
def test_a_recording_of_300_timesteps_on_a_chip(tmp_path: Path) -> None:
    """Nothing exits at a threshold of 0: twice the timesteps cost twice the energy and time, but for what is
    loaded once.
    """
    shown = imcsim.inputs.load(recordings(tmp_path), timesteps=T)
    half, whole = (
        imcsim.run(network(), "dtsnn_32nm", shown, timesteps=t, threshold=0.0, workers=1).outcome
        for t in (T // 2, T)
    )
    assert (half.mean_timesteps, whole.mean_timesteps) == (T // 2, T)
    assert whole.energy_pj / half.energy_pj == pytest.approx(2.0, rel=0.02)
    assert whole.latency_ns / half.latency_ns == pytest.approx(2.0, rel=0.02)
    assert len(whole.exit_fraction) == T
