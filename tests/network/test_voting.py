"""Voting layers: a class output is the average of several outputs, in values, time and import."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import frameworks
import numpy as np
import pytest
from networks import forward, mixed_network, random_images
from random_chips import assert_same, changed, outcome

from imcsim.functional.program.numerics import Numerics
from imcsim.functional.program.program import build
from imcsim.functional.run import ideal_converters, run
from imcsim.hardware.events import Event
from imcsim.importers import Image, ReadOptions, import_model
from imcsim.importers.importing.float_run import run as run_float
from imcsim.mapping import place
from imcsim.network import Network, describe, load, problems, save
from imcsim.timing import Timeline

CHIP = Numerics(16, "im2col", "offset", 2, 5, "ideal", 100.0, 24)


def voting(output: Any, votes: int = 3) -> Network:
    """A network with any output of 6 values, which vote for two classes."""
    network = mixed_network(np.random.default_rng(3), output=output, classes=6)
    return replace(network, classes=6 // votes, votes=votes)


@pytest.mark.parametrize("output", ["linear", "lif", "li"])
def test_class_outputs_are_averages(output: Any) -> None:
    network = voting(output)
    assert list(problems(network)) == []
    images = random_images(np.random.default_rng(1), network.input_shape, 3)
    program = build(network, CHIP.ideal())
    got = run(program, images, 4, ideal_converters(program), workers=1).outputs
    last = np.moveaxis(forward(network, images, 4)[network.nodes[-1].name], 0, 1)
    wanted = last.reshape(3, 4, 2, 3).mean(axis=3)
    assert got.shape == (3, 4, 2)
    # A rounding of the sum, and one of the bias of each vote.
    assert (
        np.abs(got / 2.0**CHIP.checker.fraction_bits - wanted).max() <= 2.5 / 2.0**CHIP.checker.fraction_bits
    )


def test_every_vote_is_sent_and_accumulated() -> None:
    network, config = voting("lif"), changed("dtsnn_32nm", {})
    placement = place(network, config)
    about: Any = {"exits": [2, 4], "timesteps": 4}
    lines = [outcome(placement, config, fidelity=kind, **about) for kind in ("reference", "burst")]
    assert_same(*lines)
    line, alone = lines[0], outcome(place(voting("lif", 1), config), config, **about)
    assert isinstance(line, Timeline)
    assert isinstance(alone, Timeline)
    for event in (Event.ACCUMULATOR_ADDS, Event.ACCUMULATOR_MULTIPLIES):
        assert np.array_equal(line.count(event), alone.count(event))
    # Six outputs are added up as six classes are; the check is of two classes.
    assert np.array_equal(line.answer - line.issued, alone.answer - alone.issued)
    saved = (alone.verdict - alone.answer) - (line.verdict - line.answer)
    assert set(saved.tolist()) == {config.checker.cycles(6) - config.checker.cycles(2)}
    assert saved[0] > 0


def test_rules_and_files(tmp_path: Path) -> None:
    network = voting("lif")
    save(network, tmp_path / "n")
    assert load(tmp_path / "n").votes == 3
    assert describe(network)[-1].detail == "averages of 3 outputs each"
    wrong = next(problems(replace(network, votes=2)))
    assert "2 classes of 2 votes" in wrong.message
    assert any("votes" in p.key for p in problems(replace(network, votes=0)))


def test_spikingjelly_voting_layer(tmp_path: Path) -> None:
    """Its VotingLayer behind the last neurons, through a list of layers."""
    frameworks.need("spikingjelly")
    import torch
    from spikingjelly.activation_based import layer, neuron
    from torch import nn

    module = frameworks.on_grid(
        nn.Sequential(
            layer.Linear(12, 20),
            neuron.LIFNode(tau=2.0, decay_input=False, v_threshold=4.0),
            layer.VotingLayer(10),
        )
    )
    torch.save(module.state_dict(), tmp_path / "net.pt")
    (tmp_path / "net.yaml").write_text(
        "input: {shape: [12]}\nclasses: 2\nneuron: {tau: 2.0, input: undecayed, threshold: 4.0}\nlayers:\n"
        "  - {kind: linear, prefix: '0'}\n  - kind: neuron\n  - {kind: voting, size: 10}\n"
    )
    imported = import_model(
        tmp_path / "net.pt", options=ReadOptions(layers_file=tmp_path / "net.yaml"), image=Image(1, 1.0)
    )
    seen = np.random.default_rng(0).integers(0, 2, (4, 8, 12, 1, 1)).astype(np.uint8)
    wanted = []
    for frames in seen:
        module[1].reset()
        with torch.no_grad():
            wanted.append([module(torch.tensor(f.reshape(1, 12)).float()).numpy()[0] for f in frames])
    ours = run_float(imported.real, seen, 8).outputs
    np.testing.assert_allclose(ours, np.array(wanted), atol=1e-6)
    program = build(imported.network, CHIP.ideal())
    got = run(program, seen, 8, ideal_converters(program), workers=1).outputs
    assert np.abs(got / 2.0**CHIP.checker.fraction_bits - np.array(wanted)).max() <= 2.0**-12
    assert 0.05 < np.array(wanted).mean() < 0.95


def test_averages_of_a_row_become_part_of_the_weights_behind_them(tmp_path: Path) -> None:
    frameworks.need("spikingjelly")
    import torch
    from spikingjelly.activation_based import layer, neuron
    from torch import nn

    def neurons(threshold: float) -> Any:
        return neuron.LIFNode(tau=2.0, decay_input=False, v_threshold=threshold)

    parts = layer.Linear(12, 20), neurons(4.0), layer.VotingLayer(4), layer.Linear(5, 3), neurons(1.0)
    module = frameworks.on_grid(nn.Sequential(*parts))
    torch.save(module.state_dict(), tmp_path / "net.pt")
    (tmp_path / "net.yaml").write_text(
        "input: {shape: [12]}\nclasses: 3\nneuron: {tau: 2.0, input: undecayed, threshold: 4.0}\nlayers:\n"
        "  - {kind: linear, prefix: '0'}\n  - kind: neuron\n  - {kind: voting, size: 4}\n"
        "  - {kind: linear, prefix: '3'}\n  - {kind: neuron, threshold: 1.0}\n"
    )
    options = ReadOptions(layers_file=tmp_path / "net.yaml")
    imported = import_model(tmp_path / "net.pt", options=options, image=Image(1, 1.0))
    assert [w.weight.shape for w in imported.network.weighted] == [(20, 12), (3, 20)]
    seen = np.random.default_rng(0).integers(0, 2, (4, 8, 12, 1, 1)).astype(np.uint8)
    program = build(imported.network, CHIP.ideal())
    last = imported.network.nodes[-1].name
    got = run(program, seen, 8, ideal_converters(program), record={last}, workers=1).recorded[last]
    for frames, ours in zip(seen, got.reshape(4, 8, 3), strict=True):
        for part in (module[1], module[4]):
            part.reset()
        with torch.no_grad():
            wanted = [module(torch.tensor(f.reshape(1, 12)).float()).numpy()[0] for f in frames]
        assert np.array_equal(ours, np.array(wanted))
    assert 0.05 < got.mean() < 0.95
