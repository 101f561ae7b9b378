"""Neurons with thresholds, leaks and synapses of their own: values, words, memory and reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import random_images
from random_chips import assert_same, changed, outcome

from imcsim.base.errors import ImcsimError
from imcsim.functional.program.program import build
from imcsim.functional.run import exact, run
from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.events import Event
from imcsim.importers.folding.fold import fold
from imcsim.importers.importing.float_run import run as run_float
from imcsim.importers.importing.layers import Neuron, ReadFlatten, ReadModel, Weights
from imcsim.mapping import place
from imcsim.network import load, save, validate
from imcsim.network.graph import INPUT, LIF, Conv2d, Flatten, Linear, Network
from imcsim.simulation.chip import numerics
from imcsim.timing.figures import part_figures

MAP = (12, 11)
"""More neurons than the kernel plays at a time."""
SHOWN = random_images(np.random.default_rng(3), (2, *MAP), 3)
T = 4
CHIP = {"lif.parameters": "neuron", "cells.encoding": "differential"}


def own(seed: int = 5, **about: Any) -> Network:
    """Parameters that are short binary fractions, so that every sum is exact."""
    rng = np.random.default_rng(seed)
    shape = (4, *MAP)
    parameters = {
        "leak": rng.integers(0, 9, shape) / 8.0,
        "threshold": rng.integers(2, 17, shape) / 4.0,
        "synapse": None,
    } | about
    weight = rng.integers(-7, 8, (4, 2, 3, 3)).astype(np.int8)
    classes = rng.integers(-7, 8, (3, 528)).astype(np.int8)
    nodes = (
        Conv2d("conv", (INPUT,), weight, np.full(4, 0.25), np.full(4, 0.5), (1, 1), (1, 1)),
        LIF("lif", ("conv",), reset="soft", **parameters),  # type: ignore[arg-type]
        Flatten("flatten", ("lif",)),
        Linear("classes", ("flatten",), classes, np.full(3, 0.25), np.zeros(3)),
    )
    return Network("own", (2, *MAP), 8, 2.0**-8, 3, T, 4, nodes)


def spikes(network: Network, block: int | None = None) -> Any:
    program = build(network, numerics(changed("dtsnn_32nm", CHIP)))
    return run(program, SHOWN, T, exact(program), workers=1, record={"lif"}).recorded["lif"]


def by_hand(network: Network) -> Any:
    """Spikes ``[N, T, H, W, C]`` from the equations, neuron by neuron."""
    conv, lif = network.node("conv"), network.node("lif")
    assert isinstance(conv, Conv2d)
    assert isinstance(lif, LIF)
    x = np.pad(SHOWN * network.input_scale, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))
    current = np.einsum("nchwyx,ocyx->nohw", windows, conv.weight) * 0.25 + 0.5
    threshold = np.asarray(lif.threshold).reshape(4, *np.shape(lif.threshold)[1:] or (1, 1))
    u, i, out = np.zeros_like(current), np.zeros_like(current), []
    for _ in range(T):
        i = current if lif.synapse is None else lif.synapse * i + current
        u = lif.leak * u + i
        fired = u >= threshold
        u = u - threshold * fired
        out.append(fired)
    return np.stack(out, axis=1).transpose(0, 1, 3, 4, 2)


SYNAPSE = np.random.default_rng(8).integers(0, 5, (4, *MAP)) / 4.0


@pytest.mark.parametrize(
    "about",
    [{}, {"leak": 0.5}, {"threshold": np.array([1.0, 2.0, 3.0, 4.0])}, {"synapse": SYNAPSE}],
    ids=["both", "thresholds", "leaks", "synapses"],
)
def test_values_equal_the_equations(about: dict[str, Any]) -> None:
    network = own(**about)
    validate(network)
    found = spikes(network)
    assert np.array_equal(found, by_hand(network))
    assert 0.1 < found.mean() < 0.9


def test_the_same_number_for_each_neuron_is_a_channel_s() -> None:
    each = np.array([1.0, 2.0, 1.5, 3.0])
    of_channels, of_neurons = (
        own(leak=0.5, threshold=value)
        for value in (each, np.broadcast_to(each[:, None, None], (4, *MAP)).copy())
    )
    assert np.array_equal(spikes(of_channels), spikes(of_neurons))


def test_a_chip_holds_them_where_its_file_says_so() -> None:
    with pytest.raises(
        ImcsimError, match="neurons of layer conv have thresholds or leaks of their own"
    ) as error:
        place(own(), changed("dtsnn_32nm", {}))
    assert error.value.key == "lif.parameters"
    place(own(), changed("dtsnn_32nm", CHIP))


def test_memory_and_reads_go_with_the_words() -> None:
    """A word of the membrane's width for each parameter: in banks of its own, read at every update."""
    config = changed("dtsnn_32nm", CHIP)
    neurons, bits = 4 * 12 * 11, config.lif.membrane_bits
    for about, words in (({}, 2), ({"leak": 0.5}, 1), ({"synapse": SYNAPSE}, 3)):
        network = own(**about)
        size = place(network, config).size
        assert size.parameter_bits == (neurons * bits,) * words
        held = size.holding(3)
        assert held.parameter_bits == size.parameter_bits
        assert sum(held.state_bits) == 3 * sum(size.state_bits)
        assert held.memory_bits == sum(held.state_bits) + words * neurons * bits
        banks = config.state_memory.instances(config, size)
        of_channels = place(own(leak=0.5, threshold=1.0), config).size
        if "synapse" not in about:
            fewer = config.state_memory.instances(config, of_channels)
            assert banks - fewer == words * config.state_memory.banks(config, neurons * bits)
        for one in part_figures(place(network, config), config):
            if one.stage.name != "conv" or not one.is_head:
                continue
            states, outputs = one.stage.states, one.positions * one.part.channels
            first, later = (one.row_counts(stored=False, first=first) for first in (True, False))
            assert first[Event.MEMBRANE_READ_BITS] == outputs * words * bits
            assert later[Event.MEMBRANE_READ_BITS] == outputs * (words + states) * bits
            assert later[Event.MEMBRANE_WRITE_BITS] == outputs * states * bits


def test_fidelities_agree() -> None:
    config: HardwareConfig = changed("dtsnn_32nm", CHIP)
    placement, about = place(own(), config), {"exits": [T, 2], "timesteps": T}
    assert_same(*(outcome(placement, config, **about, fidelity=kind) for kind in ("reference", "burst")))


def test_they_come_back_as_they_were_written(tmp_path: Path) -> None:
    network = own(synapse=SYNAPSE)
    save(network, tmp_path / "own")
    one, other = network.node("lif"), load(tmp_path / "own").node("lif")
    for key in ("leak", "threshold", "synapse"):
        assert np.array_equal(getattr(one, key), getattr(other, key))


def test_other_sizes_are_refused() -> None:
    network = own()
    nodes = [replace(n, threshold=np.ones((4, 11, 12))) if n.name == "lif" else n for n in network.nodes]
    with pytest.raises(
        ImcsimError, match="threshold has 4 x 11 x 12 values, but 'conv' gives 4 x 12 x 11 neurons"
    ):
        validate(replace(network, nodes=tuple(nodes)))
    with pytest.raises(ImcsimError, match=r"drift must be a number, or one per channel, not \[4, 12, 11\]"):
        validate(own(drift=np.ones((4, *MAP))))


def test_importers_keep_what_each_neuron_has() -> None:
    """Time constants of each neuron also scale what enters: the thresholds take that up."""
    rng = np.random.default_rng(2)
    shape = (4, *MAP)
    decay = 2.0 ** -rng.integers(1, 4, shape)
    layers = (
        Weights("conv", ("input",), rng.integers(-7, 8, (4, 2, 3, 3)) / 4.0, np.full(4, 1.0), padding=(1, 1)),
        Neuron("lif", ("conv",), leak=1.0 - decay, threshold=0.5, gain=decay, drift=0.0),
        ReadFlatten("flat", ("lif",)),
        Weights("out", ("flat",), rng.integers(-7, 8, (3, 528)) / 4.0),
    )
    network = fold(ReadModel("net", (2, *MAP), layers, "out", {}))
    lif = next(node for node in network.nodes if isinstance(node, LIF))
    assert np.shape(lif.leak) == np.shape(lif.threshold) == shape
    frames = rng.integers(0, 2, (3, T, 2, *MAP)).astype(np.uint8)
    found = run_float(replace(network, input_bits=1, input_scale=1.0), frames, T, record=["lif"]).spikes[
        "lif"
    ]
    x = np.pad(frames.astype(float), ((0, 0), (0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(3, 4))
    current = np.einsum("ntchwyx,ocyx->ntohw", windows, layers[0].weight) + 1.0
    u = np.zeros((3, *shape))
    for t in range(T):
        u = (1.0 - decay) * u + decay * current[:, t]
        assert np.array_equal(found[:, t], u >= 0.5)
        u = np.where(u >= 0.5, 0.0, u)
    assert 0.02 < found.mean() < 0.9
