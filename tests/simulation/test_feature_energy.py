"""Energy in closed form for what neurons may have in front of them, give, and get back.

Events are counted by hand from shapes and recorded spikes, and priced with what the chip's file says an event
costs; nothing of the engine takes part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from networks import random_images
from random_chips import built_in, changed

from imcsim.functional.run import run as play_values
from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.events import Event
from imcsim.inputs import Inputs
from imcsim.network import validate
from imcsim.network.graph import INPUT, LIF, Add, Conv2d, Delay, Flatten, Linear, Network, Node, Pool2d
from imcsim.simulation.chip import make_chip
from imcsim.simulation.simulate import Simulation, simulate
from imcsim.timing import Timing, parse

T, IMAGES = 3, 2
ENCODER = {"encoder.mode": "recompute", "cells.encoding": "differential", "mapping.replication": "none"}


def simulated(nodes: tuple[Node, ...], shape: tuple[int, int, int], **values: Any) -> Simulation:
    network = Network("energy", shape, 8, 2.0**-8, 2, T, 4, nodes)
    validate(network)
    about = ENCODER | {key.replace("__", "."): value for key, value in values.items()}
    hardware = replace(built_in("dtsnn_32nm"), config=changed("dtsnn_32nm", about))
    images = random_images(np.random.default_rng(3), shape, IMAGES)
    shown = Inputs(images, np.zeros(IMAGES, np.int64), "images", "unknown", "2" * 64, 2)
    chip = make_chip(network, hardware, shown, Timing(T, parse("wait")), workers=1)
    return simulate(chip, shown, workers=1)


def weights(outer: int, inner: int, *kernel: int, seed: int = 1) -> Any:
    return np.random.default_rng(seed).integers(-7, 8, (outer, inner, *kernel)).astype(np.int8)


def fc(name: str, source: str, inner: int, outer: int, seed: int = 1) -> Linear:
    return Linear(
        name, (source,), weights(outer, inner, seed=seed), np.full(outer, 0.25), np.full(outer, 0.1)
    )


def spent(ran: Simulation, component: str, layer: str) -> Any:
    """Energy of a component in a layer, of T timesteps, pJ ``[images]``."""
    ledger = ran.static.ledger
    at, total = ledger.layers.index(layer), np.zeros(IMAGES)
    for charge in ran.chip.prices():
        if charge.component == component and charge.event in ledger.events:
            counts = ledger.image_counts(charge.event, T - 1)[:, :, at].sum(axis=1)
            total = total + np.broadcast_to(counts, (IMAGES,)) * charge.energy_pj
    return total


def priced(config: HardwareConfig, component: str, counts: Mapping[Event, Any]) -> Any:
    """What so many events cost in a component, by the chip's file."""
    prices = dict(config.components())[component].charges(config)
    assert counts.keys() & prices.keys(), component
    return sum(prices.get(event, 0.0) * np.asarray(number, float) for event, number in counts.items())


def recorded(ran: Simulation, node: str) -> Any:
    """Values of a node, ``[images, T, H, W, C]``."""
    images = random_images(np.random.default_rng(3), INPUT_SHAPES[ran.chip.network.input_shape], IMAGES)
    found = play_values(ran.chip.program, images, T, ran.chip.converters, workers=1, record={node})
    return found.recorded[node]


INPUT_SHAPES = {shape: shape for shape in ((1, 6, 6), (6, 1, 1))}


def state(neurons: int, config: HardwareConfig) -> dict[Event, int]:
    """Membranes of an image: written in every timestep, read in all but the first."""
    bits = neurons * config.lif.membrane_bits
    return {Event.MEMBRANE_WRITE_BITS: T * bits, Event.MEMBRANE_READ_BITS: (T - 1) * bits}


@pytest.mark.parametrize("kind", ["max", "average"])
def test_pooled_currents(kind: Any) -> None:
    """A comparison or addition for each sum under a window of 2 x 2, and a neuron for each window: 3 x 3 in 4
    channels, a quarter of the sums.
    """
    nodes = (
        Conv2d("conv", (INPUT,), weights(4, 1, 3, 3), np.full(4, 0.25), np.full(4, 0.1), (1, 1), (1, 1)),
        Pool2d("pool", ("conv",), kind, (2, 2), (2, 2)), LIF("lif", ("pool",), 0.5, 1.0, "hard"),
        Flatten("flat", ("lif",)), fc("out", "flat", 36, 2),
    )  # fmt: skip
    ran = simulated(nodes, (1, 6, 6))
    config, sums, neurons = ran.chip.config, 6 * 6 * 4, 3 * 3 * 4
    about: dict[str, dict[Event, int]] = {
        "pooling": {Event.POOL_OPERATIONS: T * sums},
        "lif": {Event.LIF_UPDATES: T * neurons},
        "state_memory": state(neurons, config),
        "parameter_store": {Event.LIF_UPDATES: T * neurons},
    }
    for component, counts in about.items():
        assert spent(ran, component, "conv") == pytest.approx(priced(config, component, counts), rel=1e-12)
    assert config.pooling.charges(config)[Event.POOL_OPERATIONS] > 0


@pytest.mark.parametrize("drive", ["bits", "pulses"])
def test_values_of_several_bits(drive: str) -> None:
    """Up to 5 spikes and one more that is added, 3 bits: updates of the lanes, the adder, and the reads and
    conversions of the weights behind, bit by bit or once for all.
    """
    nodes = (
        fc("one", INPUT, 6, 10), LIF("lif1", ("one",), 0.5, 0.5, "soft", max_spikes=5),
        fc("two", "lif1", 10, 10, seed=2), LIF("lif2", ("two",), 0.5, 1.0, "soft"),
        Add("sum", ("lif1", "lif2")), fc("out", "sum", 10, 2),
    )  # fmt: skip
    ran = simulated(nodes, (6, 1, 1), cells__input_drive=drive)
    config = ran.chip.config
    slices = 2  # differential: a cell on either side
    reads = 3 if drive == "bits" else 1
    assert spent(ran, "lif", "one") == pytest.approx(
        priced(config, "lif", {Event.LIF_UPDATES: T * 10 * 3}), rel=1e-12
    )
    adds = priced(config, "residual_adder", {Event.RESIDUAL_ADDS: T * 10})
    assert spent(ran, "residual_adder", "two") == pytest.approx(adds, rel=1e-12)
    converted = {Event.CONVERSIONS: T * reads * 2 * slices}
    assert spent(ran, "adc", "out") == pytest.approx(priced(config, "adc", converted), rel=1e-12)
    shifted = {Event.SHIFT_ADDS: T * reads * 2 * slices}
    assert spent(ran, "shift_add", "out") == pytest.approx(priced(config, "shift_add", shifted), rel=1e-12)
    # Rows that are driven: the set bits of every value, or every value above 0.
    values = recorded(ran, "sum")[:, :, 0, 0]
    assert values.max() > 2
    bits = (values[..., None] >> np.arange(3)) & 1 if drive == "bits" else values[..., None] > 0
    rows = bits.sum(axis=(1, 2, 3))
    driven = priced(config, "wordline_driver", {Event.ACTIVE_WORDLINES: rows})
    assert spent(ran, "wordline_driver", "out") == pytest.approx(driven, rel=1e-12)


@pytest.mark.parametrize("one_to_one", [True, False])
def test_feedback(one_to_one: bool) -> None:
    """Spikes of the timestep before: written once, read once, and added, each with or without weights."""
    back: tuple[Node, ...] = (Delay("back", ("lif",), 1, -0.5 if one_to_one else 1.0), fc("fc", INPUT, 6, 10))
    if not one_to_one:
        back += (fc("rec", "back", 10, 10, seed=2),)
    nodes = (
        *back, Add("add", ("fc", "back" if one_to_one else "rec")), LIF("lif", ("add",), 0.5, 0.5, "soft"),
        fc("out", "lif", 10, 2),
    )  # fmt: skip
    ran = simulated(nodes, (6, 1, 1))
    config = ran.chip.config
    kept = {Event.DELAY_WRITE_BITS: T * 10, Event.DELAY_READ_BITS: T * 10}
    here = "fc" if one_to_one else "rec"
    membranes = state(10, config)
    counts = kept | (membranes if one_to_one else {})
    assert spent(ran, "state_memory", here) == pytest.approx(
        priced(config, "state_memory", counts), rel=1e-12
    )
    if not one_to_one:
        plain = priced(config, "state_memory", membranes)
        assert spent(ran, "state_memory", "fc") == pytest.approx(plain, rel=1e-12)
        converted = {Event.CONVERSIONS: T * 10 * 2}
        assert spent(ran, "adc", "rec") == pytest.approx(priced(config, "adc", converted), rel=1e-12)
        # Nothing comes back in the first timestep; later, what fired before.
        fired = recorded(ran, "lif")[:, : T - 1].sum(axis=(1, 2, 3, 4))
        driven = priced(config, "wordline_driver", {Event.ACTIVE_WORDLINES: fired})
        assert spent(ran, "wordline_driver", "rec") == pytest.approx(driven, rel=1e-12)
    adds = priced(config, "residual_adder", {Event.RESIDUAL_ADDS: T * 10})
    assert spent(ran, "residual_adder", "fc") == pytest.approx(adds, rel=1e-12)
