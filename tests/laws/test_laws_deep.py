"""Laws 1 to 7 as properties of random networks on random chips, to 16 timesteps.

`test_laws` holds a few chosen chips to every count; here hypothesis chooses.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from networks import random_images, random_network
from plain import plain_compare
from random_chips import any_network, assert_same, built_in, changed, chips, outcome
from test_laws import planes, window_sums

from imcsim.functional.run import run as play_values
from imcsim.hardware.config import Hardware, HardwareConfig
from imcsim.hardware.events import Event
from imcsim.inputs import Inputs
from imcsim.mapping import IMAGE, Placement, place
from imcsim.mapping.topologies import Link
from imcsim.network import shapes
from imcsim.network.graph import INPUT, LIF, Conv2d, Network
from imcsim.results.comparison import CompareResult
from imcsim.results.model import to_json
from imcsim.simulation.chip import make_chip
from imcsim.simulation.simulate import Simulation, simulate
from imcsim.studies.comparison import compare
from imcsim.studies.settings import CompareOptions
from imcsim.timing import Timeline, Timing, parse

BOTH = ("dtsnn_32nm", "spikesim_65nm")
LEAVING = ("wait", "speculate", "interleave:2")
IMAGES = 6

CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def everyday(examples: int) -> Callable[[Any], Any]:
    return settings(deadline=None, max_examples=examples, derandomize=True, suppress_health_check=CHECKS)


def search(examples: int) -> Callable[[Any], Any]:
    return settings(deadline=None, max_examples=examples, suppress_health_check=CHECKS)


@st.composite
def spiking(draw: st.DrawFn) -> Network:
    """A small network that really spikes."""
    return random_network(
        np.random.default_rng(draw(st.integers(0, 2**16))),
        residual=draw(st.booleans()),
        average=draw(st.booleans()),
        size=draw(st.integers(4, 7)),
        depth=draw(st.integers(1, 3)),
        classes=draw(st.integers(2, 4)),
        channels=draw(st.integers(2, 5)),
        weight_bits=draw(st.sampled_from((4, 2, 8))),
        leak=draw(st.sampled_from((0.5, 1.0))),
        reset=draw(st.sampled_from(("hard", "soft"))),
    )


@st.composite
def hardwares(draw: st.DrawFn, **given: Any) -> Hardware:
    """Any chip that can hold such a network; time may depend on values."""
    fixed = {
        "tile_buffer__capacity_bytes": 4096,
        "activity__skip_zero_reads": draw(st.booleans()),
        "activity__spike_coding": draw(st.sampled_from(("bitmap", "aer"))),
    }
    config = draw(chips(BOTH, **fixed | given))
    return replace(built_in(config.name), config=config)


def images(network: Network, count: int = IMAGES) -> Inputs:
    rng = np.random.default_rng(4)
    shown = random_images(rng, network.input_shape, count)
    labels = rng.integers(0, network.classes, count)
    return Inputs(shown, labels, "images", "unknown", "0" * 64, network.classes)


TIMESTEPS = st.sampled_from((3, 1, 2, 8, 16))


# Laws 1 and 2: sums and closed forms


def simulated(network: Network, chip: Hardware, timesteps: int, policy: str) -> Simulation:
    shown = images(network)
    made = make_chip(network, chip, shown, Timing(timesteps, parse(policy)), workers=1)
    return simulate(made, shown, workers=1)


def check_sums(data: st.DataObject) -> None:
    network, chip = data.draw(spiking()), data.draw(hardwares())
    timesteps, policy = data.draw(TIMESTEPS), data.draw(st.sampled_from(LEAVING))
    run = simulated(network, chip, timesteps, policy)
    stay = np.array([data.draw(st.integers(1, timesteps)) for _ in range(IMAGES)])
    for ran in (run.dynamic, run.static):
        ledger, prices = ran.ledger, run.chip.prices()
        totals = ledger.totals(stay)
        by_component: dict[str, float] = {}
        by_layer, by_timestep = np.zeros(len(ledger.layers)), np.zeros(timesteps)
        for event, table in totals.items():
            one_by_one = np.zeros_like(table)
            for k, leaves in enumerate(stay):
                counts = ledger.image_counts(event, int(leaves) - 1)
                one_by_one += counts[0 if len(counts) == 1 else k]
            assert np.array_equal(one_by_one, table), event
            assert table.sum(axis=0).sum() == table.sum(axis=1).sum() == table.sum(), event
            assert (table >= 0).all(), event
        for charge in prices:
            if charge.event in totals:
                priced = totals[charge.event] * charge.energy_pj
                by_component[charge.component] = by_component.get(charge.component, 0) + priced.sum()
                by_layer += priced.sum(axis=0)
                by_timestep += priced.sum(axis=1)
        whole = ran.energy_pj[np.arange(IMAGES), stay - 1].sum()
        for sums in (list(by_component.values()), by_layer, by_timestep):
            assert math.fsum(sums) == pytest.approx(whole, rel=1e-9)
        # Powered from arrival to leaving, cycle by cycle.
        clock = chip.config.technology.clock_ns
        powered = totals[Event.POWERED_CYCLES].sum() * clock
        assert powered == pytest.approx(ran.latency_ns[np.arange(IMAGES), stay - 1].sum(), rel=1e-9)


@given(st.data())
@everyday(5)
def test_ledgers_add_up(data: st.DataObject) -> None:
    check_sums(data)


@pytest.mark.slow
@given(st.data())
@search(150)
def test_many_ledgers_add_up(data: st.DataObject) -> None:
    check_sums(data)


def check_closed_forms(data: st.DataObject) -> None:
    """Counts from shapes and spikes alone, however the chip is built and whatever it skips."""
    network, chip = data.draw(spiking()), data.draw(hardwares())
    timesteps = data.draw(TIMESTEPS)
    run = simulated(network, chip, timesteps, "wait")
    config, ledger, sizes = chip.config, run.static.ledger, shapes(network)
    nodes = {n.inputs[0] for n in network.weighted} | {n.name for n in network.nodes if isinstance(n, LIF)}
    recorded = play_values(
        run.chip.program, images(network).images, timesteps, run.chip.converters, record=nodes, workers=1
    ).recorded
    index = {name: k for k, name in enumerate(ledger.layers)}

    def counted(event: Event, layer: str) -> Any:
        """Counts of each image that stays, ``[images, T]``."""
        if event not in ledger.events:
            return np.zeros((IMAGES, timesteps), np.int64)
        counts = ledger.image_counts(event, timesteps - 1)[:, :, index[layer]]
        return np.broadcast_to(counts, (IMAGES, timesteps))

    slices = -(-network.weight_bits // config.cells.cell_bits)
    for node in network.weighted:
        outer, *place_shape = sizes[node.name]
        kernel = node.weight.shape[2:] if isinstance(node, Conv2d) else (1, 1)
        inner, positions = node.weight.shape[1], math.prod(place_shape)
        columns = -(-outer // (config.cells.columns // slices))
        # Rows that fill crossbars, each read in as many turns as its rows take.
        im2col = config.cells.row_order == "im2col"
        filling, crossbars = (math.prod(kernel) * inner, 1) if im2col else (inner, math.prod(kernel))
        full, left = divmod(filling, config.cells.rows)
        at_once = config.cells.rows if config.cells.parallel_rows == "all" else config.cells.parallel_rows
        blocks = full * -(-config.cells.rows // at_once) + -(-left // at_once)
        runs = np.ones(timesteps, np.int64)
        if node.inputs[0] == INPUT and config.encoder.mode == "keep":
            runs[1:] = 0
        reads, skipped = (counted(e, node.name) for e in (Event.CROSSBAR_READS, Event.SKIPPED_READS))
        every = positions * planes(network, node) * blocks * columns * crossbars
        assert np.array_equal(reads + skipped, np.broadcast_to(every * runs, reads.shape))
        if not config.activity.skip_zero_reads:
            assert not skipped.any()
        # A read of one column of crossbars converts its outputs, every slice.
        conversions = counted(Event.CONVERSIONS, node.name)
        assert np.array_equal(conversions * columns * crossbars, reads * outer * slices)
        assert np.array_equal(counted(Event.SHIFT_ADDS, node.name), conversions)
        ones = np.ones((1, 1, inner) if len(sizes[node.name]) == 1 else (*kernel, inner), np.int64)
        rows = window_sums(np.asarray(recorded[node.inputs[0]]), node, ones) * runs
        assert np.array_equal(counted(Event.SYNAPTIC_OPERATIONS, node.name), rows * outer)
        assert np.array_equal(counted(Event.ACTIVE_WORDLINES, node.name), rows * columns)
        assert np.array_equal(counted(Event.ACTIVE_CELLS, node.name), rows * outer * slices)
    neurons = [n.name for n in network.nodes if isinstance(n, LIF)]
    updates = sum(math.prod(sizes[name]) for name in neurons)
    everywhere = ledger.image_counts(Event.LIF_UPDATES, timesteps - 1).sum(axis=2)
    assert (everywhere == updates).all()
    spikes = sum(np.asarray(recorded[name]).sum((2, 3, 4), dtype=np.int64) for name in neurons)
    assert np.array_equal(ledger.varied[Event.SPIKES].sum(axis=2), spikes)


@given(st.data())
@everyday(10)
def test_counts_equal_closed_forms(data: st.DataObject) -> None:
    check_closed_forms(data)


@pytest.mark.slow
@given(st.data())
@search(200)
def test_many_counts_equal_closed_forms(data: st.DataObject) -> None:
    check_closed_forms(data)


# Law 3: on a chip whose ADCs cover every sum, values are those of an independent implementation


def check_values(data: st.DataObject) -> None:
    torch_twin = pytest.importorskip("test_functional_torch")
    network, timesteps = data.draw(spiking()), data.draw(TIMESTEPS)
    # 16 rows of cells with 15 levels: a column's sum is 240 at most, and 8 bits count to 255.
    chip = data.draw(hardwares(cells__rows=data.draw(st.sampled_from((16, 8, 5)))))
    config = changed(
        chip.config.name,
        {"cells.rows": chip.config.cells.rows, "adc.full_scale": "ideal", "adc.bits": 8},
    )
    if config.cells.row_order == "kernel_position":
        # The currents of all kernel positions meet before the ADC.
        config = config.model_copy(update={"adc": config.adc.model_copy(update={"bits": 12})})
    run = simulated(network, replace(chip, config=config), timesteps, "wait")
    shown = images(network).images
    expected = torch_twin.integers(network, run.chip.program, shown, timesteps)
    outputs = expected[network.nodes[-1].name].permute(1, 0, 2).numpy()
    assert np.array_equal(run.activity.outputs, outputs)
    for k, name in enumerate(run.activity.neuron_layers):
        spikes = expected[name].flatten(2).sum(dim=2).T.numpy()
        assert np.array_equal(run.activity.spikes[:, :, k], spikes)


@given(st.data())
@everyday(8)
def test_values_equal_torch(data: st.DataObject) -> None:
    check_values(data)


@pytest.mark.slow
@given(st.data())
@search(150)
def test_many_values_equal_torch(data: st.DataObject) -> None:
    check_values(data)


# Laws 4 and 5: workers and fidelities change nothing


def check_documents(data: st.DataObject, how: Callable[..., CompareResult]) -> None:
    network, chip = data.draw(spiking()), data.draw(hardwares())
    timesteps = data.draw(st.sampled_from((2, 1, 4)))
    policy = data.draw(st.sampled_from(LEAVING))
    shown = images(network, 2)

    def made(**options: Any) -> CompareResult:
        about = {"timesteps": timesteps, "threshold": 0.6, "workers": 1, "issue": policy} | options
        return how(network, chip, shown, None, CompareOptions(**about))

    one = made()
    assert to_json(made(workers=3)) == to_json(one)
    fine = made(fidelity="reference")
    assert fine.model_copy(update={"meta": one.meta}) == one


@given(st.data())
@everyday(5)
def test_workers_and_fidelities_give_the_same_document(data: st.DataObject) -> None:
    check_documents(data, plain_compare)


@pytest.mark.slow
@given(st.data())
@search(60)
def test_many_documents_are_the_same(data: st.DataObject) -> None:
    check_documents(data, compare)


@pytest.mark.parametrize("policy", LEAVING)
def test_fidelities_agree_to_sixteen_timesteps(policy: str) -> None:
    network = random_network(np.random.default_rng(2), residual=True, size=5, channels=3)
    config = changed("dtsnn_32nm", {"cells.rows": 16, "encoder.mode": "recompute"})
    placement = place(network, config)
    about = {"exits": [16, 9], "timesteps": 16, "issue": parse(policy)}
    assert_same(*(outcome(placement, config, **about, fidelity=kind) for kind in ("reference", "burst")))


# Law 6: thresholds


def check_thresholds(data: st.DataObject) -> None:
    network, chip = data.draw(spiking()), data.draw(hardwares())
    timesteps, policy = data.draw(TIMESTEPS), data.draw(st.sampled_from(LEAVING))
    shown = images(network)
    options = CompareOptions(timesteps=timesteps, threshold=0.0, workers=1, issue=policy)
    result = plain_compare(network, chip, shown, None, options)
    # Threshold 0 is static T under the same issue policy.
    statics = {opponent.issue: opponent.static for opponent in result.opponents}
    last, dynamic = statics["pipeline" if policy == "speculate" else "wait"][-1], result.dynamic
    assert dynamic.mean_timesteps == timesteps
    assert (dynamic.accuracy, dynamic.exit_fraction[-1]) == (last.accuracy, 1)
    if policy != "speculate":
        for key in ("energy_pj", "latency_ns", "edp_mean_of_products", "edp_product_of_means"):
            assert getattr(dynamic, key) == getattr(last, key), key
    else:
        # A static chip knows that nobody stays longer; one that speculates finds out. At T max they agree.
        assert dynamic.energy_pj == pytest.approx(last.energy_pj, rel=1e-12)
        assert dynamic.latency_ns == last.latency_ns
    # Cost never grows with the threshold.
    assert [p.threshold for p in result.curve] == sorted(p.threshold for p in result.curve)
    for key in ("mean_timesteps", "energy_pj", "latency_ns", "edp_mean_of_products"):
        values = [getattr(point, key) for point in result.curve]
        assert all(b <= a * (1 + 1e-12) for a, b in pairwise(values)), key
    # Static costs grow with T, and a shorter run is the beginning of a longer one.
    for static in statics.values():
        for key in ("energy_pj", "latency_ns"):
            values = [getattr(point, key) for point in static]
            assert all(a < b for a, b in pairwise(values)), key
    shorter = data.draw(st.integers(1, timesteps))
    short = plain_compare(network, chip, shown, None, replace(options, timesteps=shorter))
    assert short.static == result.static[:shorter]
    assert [o.static for o in short.opponents] == [o.static[:shorter] for o in result.opponents]


@given(st.data())
@everyday(5)
def test_thresholds(data: st.DataObject) -> None:
    check_thresholds(data)


@pytest.mark.slow
@given(st.data())
@search(120)
def test_many_thresholds(data: st.DataObject) -> None:
    check_thresholds(data)


# Law 7: more hardware is never slower

MORE: dict[str, tuple[int, ...]] = {
    "column_mux.columns_per_adc": (16, 8, 4, 1),
    "noc.flit_bits": (2, 5, 16, 32, 128),
    "lif.lanes": (1, 2, 4, 32),
    "tile.bus_bits": (8, 30, 256),
    "adc.conversion_cycles": (4, 2, 1),
}
"""From less hardware to more."""


def shared_links(placement: Placement) -> bool:
    """Whether two streams of rows meet on a link, so that who comes first depends on time.

    An image's rows have all passed before its class outputs come back, so these two do not count as meeting.
    """
    users: dict[Link, set[str]] = {}

    def use(name: str, source: int | None, target: int | None) -> None:
        if source == target:
            return
        for link in placement.route(source, target):
            users.setdefault(link, set()).add(name)

    heads = [p for p in placement.parts if p.head == p.index]
    for edge in placement.graph.edges:
        for reader in placement.parts_of(edge.target):
            if edge.source == IMAGE:
                use(f"image to {reader.index}", None, reader.tile)
            for sender in heads:
                if sender.stage == edge.source:
                    use(f"{sender.index} to {reader.index}", sender.tile, reader.tile)
    for part in placement.parts:
        if part.head != part.index:
            use(f"sums of {part.index}", part.tile, placement.parts[part.head].tile)
        elif placement.layers[part.stage].stage.is_output:
            use(f"answer of {part.index}", part.tile, None)
    return any(
        sorted(n.split()[0] for n in names) != ["answer", "image"]
        for names in users.values()
        if len(names) > 1
    )


def verdicts(network: Network, config: HardwareConfig, key: str) -> list[Any]:
    """Verdicts of one image on chips with more and more hardware, and the same copies of layers: a policy may
    give others to another chip.
    """
    block, field = key.split(".")
    copies = {layer.stage.name: layer.copies for layer in place(network, config).layers}
    by_hand = config.mapping.model_copy(update={"replication": copies})
    config = config.model_copy(update={"mapping": by_hand})
    lines = []
    for value in MORE[key]:
        changed_block = getattr(config, block).model_copy(update={field: value})
        more = config.model_copy(update={block: changed_block})
        line = outcome(place(network, more), more, exits=[2], timesteps=2)
        assume(isinstance(line, Timeline))
        assert isinstance(line, Timeline)
        lines.append(line.verdict)
    return lines


def check_monotone(data: st.DataObject, key: str) -> None:
    """Exactly so where no link is contended: then times are maxima and sums of durations."""
    network = data.draw(any_network(max_size=5))
    config = data.draw(
        chips(cells__columns=16, cells__rows=64, tile__pes_per_tile=2, tile__crossbars_per_pe=4)
    )
    assume(not shared_links(place(network, config)))
    for less, more in pairwise(verdicts(network, config, key)):
        assert (more <= less).all()


@pytest.mark.parametrize("key", MORE)
@given(st.data())
@everyday(15)
def test_more_hardware_is_never_slower_where_rows_do_not_meet(key: str, data: st.DataObject) -> None:
    check_monotone(data, key)


@pytest.mark.slow
@pytest.mark.parametrize("key", MORE)
@given(st.data())
@search(200)
def test_much_more_hardware_is_never_slower_where_rows_do_not_meet(key: str, data: st.DataObject) -> None:
    check_monotone(data, key)


ANOMALY = 0.15
"""Links serve who has waited longest, so where rows meet a faster part may send its row just before a more
urgent one. Such anomalies (Graham, 1969) are rare and were never seen above 7 %.
"""


def check_nearly_monotone(data: st.DataObject, key: str) -> None:
    network = data.draw(any_network(max_size=5))
    config = data.draw(chips(cells__columns=16, tile__pes_per_tile=1, tile__crossbars_per_pe=2))
    for less, more in pairwise(verdicts(network, config, key)):
        assert (more <= less * (1 + ANOMALY)).all()


@pytest.mark.parametrize("key", MORE)
@given(st.data())
@everyday(15)
def test_more_hardware_is_hardly_ever_slower_where_rows_meet(key: str, data: st.DataObject) -> None:
    check_nearly_monotone(data, key)


@pytest.mark.slow
@pytest.mark.parametrize("key", MORE)
@given(st.data())
@search(300)
def test_much_more_hardware_is_hardly_ever_slower_where_rows_meet(key: str, data: st.DataObject) -> None:
    check_nearly_monotone(data, key)
