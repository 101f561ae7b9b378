"""Weights of one bit, and bits of their own for some layers: cells, values, mapping, time, import."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import forward, random_images, random_network
from random_chips import assert_same, changed, outcome

from imcsim.base.choices import Encoding
from imcsim.base.errors import ImcsimError
from imcsim.functional.program.program import build
from imcsim.functional.run import ideal_converters, run
from imcsim.hardware.events import Event
from imcsim.importers.importing.float_network import FloatNetwork, FloatWeights
from imcsim.importers.quantising.quantise import quantise
from imcsim.mapping import place
from imcsim.network import LIF, Conv2d, Linear, Network, load, problems, save
from imcsim.network.cells import slice_count, to_cells
from imcsim.simulation.chip import numerics
from imcsim.timing import Timeline

ENCODINGS: tuple[Encoding, ...] = ("offset", "differential", "twos_complement")


def mixed(seed: int = 0, first: int = 1, last: int = 6) -> Network:
    """A network of 4 bits whose first layer has `first` bits and whose classifier has `last`."""
    rng = np.random.default_rng(seed)
    network = random_network(rng, size=5)
    nodes: list[Any] = list(network.nodes)
    for n, bits in ((0, first), (len(nodes) - 1, last)):
        limit = max(2 ** (bits - 1) - 1, 1)
        weight = rng.integers(-limit, limit + 1, nodes[n].weight.shape)
        weight = np.where(weight == 0, 1, weight) if bits == 1 else weight
        nodes[n] = replace(nodes[n], weight=weight.astype(np.int8), weight_bits=bits)
    return replace(network, nodes=tuple(nodes))


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("cell_bits", [1, 4])
def test_cells_of_one_bit(encoding: Encoding, cell_bits: int) -> None:
    weight = np.array([[-1, 1, 1, -1]], np.int8)
    cells = to_cells(weight, 1, cell_bits, encoding)
    levels = cells.levels.astype(np.int64)
    assert levels.shape[0] == slice_count(1, cell_bits, encoding) == (2 if encoding == "differential" else 1)
    assert set(levels.ravel().tolist()) == {0, 1}
    assert np.array_equal(np.tensordot(cells.factor, levels, 1) + cells.offset, weight)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_layer_has_its_own_cells_and_the_values_of_the_equations(encoding: Encoding) -> None:
    network = mixed()
    assert list(problems(network)) == []
    config = changed("dtsnn_32nm", {"cells.encoding": encoding, "cells.cell_bits": 2})
    program = build(network, replace(numerics(config).ideal()))
    bits = {layer.name: network.bits_of(layer) for layer in network.weighted}
    assert sorted(set(bits.values())) == [1, 4, 6]
    for layer in program.crossbar_layers:
        assert len(layer.crossbars.factor) == slice_count(bits[layer.name], 2, encoding)
    images = random_images(np.random.default_rng(1), network.input_shape, 3)
    names = {node.name for node in network.nodes if isinstance(node, LIF)}
    got = run(program, images, 3, ideal_converters(program), record=names, workers=1)
    wanted = forward(network, images, 3)
    for name in names:
        assert np.array_equal(np.moveaxis(got.recorded[name], -1, 2), np.moveaxis(wanted[name], 0, 1)), name
    placement = place(network, config)
    for placed in placement.layers:
        assert placed.slices == slice_count(bits[placed.stage.name], 2, encoding)
    lines = [
        outcome(placement, config, exits=[2, 3], timesteps=3, fidelity=f) for f in ("reference", "burst")
    ]
    assert_same(*lines)
    line = lines[0]
    assert isinstance(line, Timeline)
    # Conversions are reads of a block times its columns: so many more with more slices.
    conversions = line.count(Event.CONVERSIONS).sum(axis=0)
    for k, placed in enumerate(placement.layers):
        reads = placed.blocks * placed.stage.positions * placed.stage.planes * len(line.timestep)
        kept = placed.stage.reads_image and config.encoder.mode == "keep"
        reads = reads // len(line.timestep) * 2 if kept else reads
        assert conversions[k + 1] == reads * placed.stage.out_channels * placed.slices


def test_rules_and_files(tmp_path: Path) -> None:
    network = mixed()
    save(network, tmp_path / "n")
    again = load(tmp_path / "n")
    assert [layer.weight_bits for layer in again.weighted] == [
        layer.weight_bits for layer in network.weighted
    ]
    assert again.weighted[0].weight.dtype == np.int8
    wrong = {
        "weights of 1 bit are -1 or 1": {"weight": np.zeros_like(network.weighted[0].weight)},
        "weight_bits must be an integer from 1 to 16": {"weight_bits": 17},
        "keep them within -3 to 3": {"weight_bits": 3, "weight": 4 * network.weighted[0].weight},
    }
    for said, values in wrong.items():
        bad = replace(network, nodes=(replace(network.nodes[0], **values), *network.nodes[1:]))
        assert any(said in f"{p.message}; {p.fix}" for p in problems(bad)), said


def test_one_bit_has_no_zero_between_groups() -> None:
    network = mixed()
    first = network.nodes[0]
    assert isinstance(first, Conv2d)
    grouped = replace(first, weight=first.weight[:, :1], groups=2)
    network = replace(network, nodes=(grouped, *network.nodes[1:]))
    config = changed("dtsnn_32nm", {})
    with pytest.raises(ImcsimError, match="one bit does not hold"):
        build(network, numerics(config))
    build(network, numerics(changed("dtsnn_32nm", {"cells.encoding": "differential"})))


def test_import_gives_signs_worth_the_mean_size() -> None:
    weight = np.array([[0.5, -0.5, 0.5], [0.1, -0.3, 0.0]])
    layers = (
        FloatWeights("fc", ("input",), weight, np.ones(2), np.zeros(2), weight_bits=1),
        LIF("lif", ("fc",), 1.0, 1.0, "soft"),
        FloatWeights("out", ("lif",), np.array([[0.5, 0.25], [1.0, -0.25]]), np.ones(2), np.zeros(2)),
    )
    network = quantise(FloatNetwork("net", (3, 1, 1), 1, 1.0, 2, 4, layers), weight_bits=5)
    fc, out = network.weighted
    assert isinstance(fc, Linear)
    assert fc.weight.tolist() == [[1, -1, 1], [1, -1, 1]]
    np.testing.assert_allclose(fc.scale, [0.5, 0.4 / 3])
    assert (network.bits_of(fc), network.bits_of(out)) == (1, 5)
