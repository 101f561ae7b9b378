"""Feedback and delays in values: against the equations of the graph, timestep by timestep."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from networks import forward, random_images, recurrent_network

from imcsim.functional.program.numerics import Numerics
from imcsim.functional.program.program import Program, build
from imcsim.functional.run import Activity, ideal_converters, run
from imcsim.network.graph import INPUT, LIF, Delay, Linear, Network, Pool2d

CHIP = Numerics(16, "im2col", "offset", 2, 5, "ideal", 100.0, 24)


def played(program: Program, images: Any, timesteps: int, **about: Any) -> Activity:
    return run(program, images, timesteps, ideal_converters(program), **about)


@pytest.mark.parametrize("output", ["linear", "lif", "li"])
@pytest.mark.parametrize("seed", range(4))
def test_every_spike_is_that_of_the_equations(seed: int, output: Any) -> None:
    rng = np.random.default_rng(seed)
    network = recurrent_network(rng, output=output)
    images = random_images(rng, network.input_shape, 3)
    program = build(network, CHIP.ideal())
    assert 1 <= program.feedback <= 3
    kept = {node.name for node in network.nodes if isinstance(node, LIF | Delay | Pool2d)}
    got = played(program, images, network.timesteps, record=kept, workers=1)
    wanted = forward(network, images, network.timesteps)
    for name in kept:
        spikes = np.moveaxis(got.recorded[name], -1, 2).reshape(3, network.timesteps, -1)
        assert np.array_equal(spikes, np.moveaxis(wanted[name], 0, 1).reshape(3, network.timesteps, -1)), name
    assert any(wanted[name].any() for name in ("lif1", "lif2", "lif3"))
    last = network.nodes[-1]
    real = np.moveaxis(wanted[last.name], 0, 1).reshape(got.outputs.shape)
    # Two roundings of half a step of the class outputs.
    assert np.abs(got.outputs / 2.0**CHIP.checker.fraction_bits - real).max() <= 2.0**-11


def test_feedback_changes_what_happens() -> None:
    rng = np.random.default_rng(5)
    network = recurrent_network(rng)
    images = random_images(rng, network.input_shape, 4)
    later = tuple(replace(n, timesteps=200) if isinstance(n, Delay) else n for n in network.nodes)
    with_it, without = (
        played(build(net, CHIP), images, 6, workers=1) for net in (network, replace(network, nodes=later))
    )
    assert np.array_equal(with_it.spikes[:, 0], without.spikes[:, 0])
    assert not np.array_equal(with_it.spikes, without.spikes)


def test_neither_threads_nor_blocks_change_values(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    network = recurrent_network(rng)
    late = tuple(replace(n, timesteps=n.timesteps + 2) if isinstance(n, Delay) else n for n in network.nodes)
    program = build(replace(network, nodes=late), CHIP)
    assert program.feedback >= 3
    images = random_images(rng, network.input_shape, 5)
    one = played(program, images, 7, workers=1)
    monkeypatch.setattr(Program, "feedback", property(lambda _: 1))
    other = played(program, images, 7, workers=3)
    for key in ("spikes", "outputs", "active_rows", "active_levels", "active_reads"):
        assert np.array_equal(getattr(one, key), getattr(other, key)), key


def test_a_delay_without_feedback_is_a_shift_in_time() -> None:
    rng = np.random.default_rng(7)
    ones = np.ones(3)
    nodes = (
        Linear("fc", (INPUT,), rng.integers(-7, 8, (3, 8)).astype(np.int8), ones, 0 * ones),
        LIF("lif", ("fc",), 0.5, 3.0, "soft"),
        Delay("late", ("lif",), 2),
        Linear("out", ("late",), np.eye(3, dtype=np.int8), ones, 0 * ones),
    )
    network = Network("late", (8, 1, 1), 8, 2.0**-6, 3, 6, 4, nodes)
    program = build(network, CHIP.ideal())
    assert program.feedback == 0
    frames = rng.integers(0, 256, (4, 6, 8, 1, 1)).astype(np.uint8)
    got = played(program, frames, 6, record={"lif", "late"}, workers=1)
    assert got.recorded["lif"].any()
    assert not got.recorded["late"][:, :2].any()
    assert np.array_equal(got.recorded["late"][:, 2:], got.recorded["lif"][:, :-2])
    # Rows are driven by what the delay gives, not by what it takes.
    assert np.array_equal(got.active_rows[:, :, 1], got.recorded["late"].sum((2, 3, 4)))
