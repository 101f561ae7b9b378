"""What a network of activations costs: closed forms of its shapes and bits, areas, and one timestep."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ann import codes, random_ann
from networks import random_images

import imcsim
import imcsim.hardware
from imcsim.base.errors import ImcsimError
from imcsim.functional.run import run
from imcsim.hardware.config import Hardware
from imcsim.hardware.events import Event
from imcsim.inputs import Inputs
from imcsim.network.graph import LIF, Network, Relu
from imcsim.network.rows import row_layout
from imcsim.simulation.chip import make_chip
from imcsim.simulation.simulate import Simulation, simulate
from imcsim.timing import Timing, parse

CHIP = imcsim.hardware.load("dtsnn_32nm")


def network(bits: int = 3, **options: Any) -> Network:
    rng = np.random.default_rng(11)
    return random_ann(rng, bits=(bits, bits), channels=9, weight_bits=8, **options)


def shown(net: Network, count: int = 3) -> Inputs:
    images = random_images(np.random.default_rng(6), net.input_shape, count)
    return Inputs(images, np.zeros(count, np.int64), "images", "unknown", "2" * 64, net.classes)


def simulated(net: Network, hardware: Hardware = CHIP, fidelity: Any = "burst") -> Simulation:
    images = shown(net)
    chip = make_chip(net, hardware, images, Timing(1, parse("wait"), fidelity, True, False, "entropy"))
    return simulate(chip, images, workers=1)


def total(found: Simulation) -> dict[Event, int]:
    return {event: int(n.sum()) for event, n in found.static.ledger.totals(np.ones(3, np.int64)).items()}


@pytest.mark.parametrize("kind", [{}, {"residual": True, "average": True}])
@pytest.mark.parametrize("bits", [1, 4])
def test_counts_are_closed_forms(kind: dict[str, Any], bits: int) -> None:
    net = network(bits, **kind)
    found = simulated(net)
    counts, images = total(found), 3
    played = codes(net, shown(net).images, 16)
    # What the chip itself saw, whose converters round.
    names = {layer.inputs[0] for layer in net.weighted} | {n.name for n in net.nodes if isinstance(n, Relu)}
    program, converters = found.chip.program, found.chip.converters
    seen = run(program, shown(net).images, 1, converters, workers=1, record=names).recorded
    reads = conversions = neurons = synaptic = 0
    for layer, step in zip(net.weighted, found.chip.program.crossbar_layers, strict=True):
        layout = row_layout(layer, CHIP.config.cells.rows, "im2col", None)
        values = seen[layer.inputs[0]]
        # As many reads as the largest value has bits.
        largest = 255 if layer.inputs[0] == "input" else _largest(net, layer.inputs[0])
        planes = largest.bit_length()
        assert step.planes == planes
        positions = played[layer.name][0, 0].size if played[layer.name].ndim == 4 else 1
        slices = len(step.crossbars.factor)
        conversions += images * positions * planes * layout.blocks * slices * len(layer.weight)
        columns = -(-len(layer.weight) * slices // CHIP.config.cells.columns)
        reads += images * positions * planes * layout.blocks * columns
        if layer.name == "fc":
            set_bits = sum(int(((values >> b) & 1).sum()) for b in range(planes))
            synaptic += set_bits * len(layer.weight)
    for node in net.nodes:
        neurons += images * played[node.name][0].size if isinstance(node, Relu) else 0
    assert counts[Event.CONVERSIONS] == counts[Event.SHIFT_ADDS] == conversions
    assert counts[Event.CROSSBAR_READS] == reads
    assert counts[Event.ACTIVATIONS] == neurons
    ledger = found.static.ledger
    place = ledger.layers.index("fc")
    at_end = ledger.totals(np.ones(3, np.int64))[Event.SYNAPTIC_OPERATIONS][0, place]
    assert at_end == synaptic
    assert Event.LIF_UPDATES not in counts or counts[Event.LIF_UPDATES] == 0
    stateful = (
        Event.MEMBRANE_READ_BITS,
        Event.MEMBRANE_WRITE_BITS,
        Event.CURRENT_READ_BITS,
        Event.CURRENT_WRITE_BITS,
    )
    assert all(counts.get(event, 0) == 0 for event in stateful)
    above = sum(np.count_nonzero(seen[n.name]) for n in net.nodes if isinstance(n, Relu))
    assert counts[Event.SPIKES] == above


def _largest(net: Network, name: str) -> int:
    node = net.node(name)
    if isinstance(node, Relu):
        return node.top
    before = _largest(net, node.inputs[0])
    return before * 4 if getattr(node, "kind", "") == "average" else before


def test_fidelities_agree_and_so_does_energy() -> None:
    net = network(residual=True)
    fine, quick = (simulated(net, fidelity=kind) for kind in ("reference", "burst"))
    np.testing.assert_array_equal(fine.static.latency_ns, quick.static.latency_ns)
    np.testing.assert_array_equal(fine.static.energy_pj, quick.static.energy_pj)


def test_a_chip_has_lif_or_activation_units() -> None:
    net = network()
    spiking = tuple(
        LIF(node.name, node.inputs, 0.5, 1.0, "hard") if isinstance(node, Relu) else node
        for node in net.nodes
    )
    ann, snn = simulated(net), simulated(replace(net, nodes=spiking))
    areas = [
        {
            name: part.area_um2(CHIP.config) * part.instances(CHIP.config, one.chip.size)
            for name, part in CHIP.config.components_of(one.chip.size)
        }
        for one in (ann, snn)
    ]
    assert "lif" not in areas[0]
    assert "activation" not in areas[1]
    assert areas[0]["state_memory"] == 0 < areas[1]["state_memory"]
    lanes = CHIP.config.lif.lanes * ann.chip.size.ports
    unit = CHIP.config.activation
    assert areas[0]["activation"] == pytest.approx(unit.area_um2(CHIP.config) * lanes)
    paid = {(c.component, c.event): c.energy_pj for c in ann.chip.prices()}
    assert paid["activation", Event.ACTIVATIONS] == unit.figure("operation_energy_pj", CHIP.config)
    assert all(component != "lif" for component, _ in paid)
    # A layer behind them reads three bits, so it takes three times the conversions of a timestep.
    place = ann.static.ledger.layers.index("conv2")
    each = [
        int(one.static.ledger.totals(np.ones(3, np.int64))[Event.CONVERSIONS][0, place]) for one in (ann, snn)
    ]
    assert each[0] == 3 * each[1]


def test_the_unit_follows_its_bits_and_lanes() -> None:
    wide, one = (
        imcsim.hardware.load("dtsnn_32nm", {key: value})
        for key, value in (("activation.multiplier_bits", 24), ("activation.lanes", 1))
    )
    energy = [c.config.activation.figure("operation_energy_pj", c.config) for c in (CHIP, wide)]
    assert energy[1] > energy[0] > 0
    net = network()
    assert simulated(net, one).static.latency_ns[0, 0] > simulated(net).static.latency_ns[0, 0]
    assert imcsim.hardware.load("dtsnn_32nm").sha256 == CHIP.sha256 != wide.sha256


def test_one_timestep_only() -> None:
    net = network()
    with pytest.raises(ImcsimError, match="which has one timestep, not 4"):
        imcsim.run(net, inputs=shown(net), policy="static", timesteps=4)
