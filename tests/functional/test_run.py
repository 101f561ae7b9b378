"""Running programs: counts, chunks, workers, calibration of the converters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import naive
import networks
import numpy as np
import pytest
from numpy.typing import NDArray

from imcsim.functional.in_flight import in_flight
from imcsim.functional.nonideal import DrawnChip
from imcsim.functional.nonideal_chip import on_real_chip
from imcsim.functional.program.numerics import Numerics
from imcsim.functional.program.program import (
    CrossbarLayer,
    FlattenLayer,
    NeuronLayer,
    PoolLayer,
    Program,
    build,
)
from imcsim.functional.run import (
    CHUNK_IMAGES,
    Activity,
    Converters,
    calibrated_converters,
    ideal_converters,
    run,
    step_shift,
)
from imcsim.network.graph import INPUT, LIF, Network

CHIP = Numerics(16, "im2col", "offset", 2, 5, "ideal", 100.0, 12)


def network_and_images(seed: int, count: int, **options: Any) -> tuple[Network, NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    network = networks.random_network(rng, **options)
    return network, networks.random_images(rng, network.input_shape, count)


def assert_same(one: Activity, other: Activity) -> None:
    assert (one.layers, one.neuron_layers) == (other.layers, other.neuron_layers)
    for name in ("active_rows", "active_levels", "active_reads", "spikes", "outputs"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    assert one.recorded.keys() == other.recorded.keys()
    for name, values in one.recorded.items():
        assert np.array_equal(values, other.recorded[name]), name


def everything(program: Program) -> set[str]:
    return {INPUT, *(step.name for step in program.steps)}


@pytest.mark.parametrize("count", [1, CHUNK_IMAGES - 1, CHUNK_IMAGES, CHUNK_IMAGES + 1, 2 * CHUNK_IMAGES + 1])
def test_workers_and_chunks_change_nothing(count: int) -> None:
    """Law 4, and an image does not know the others: each one alone gives the same."""
    network, images = network_and_images(1, count, residual=True, depth=2)
    program = build(network, CHIP)
    converters = ideal_converters(program)
    runs = [
        run(program, images, 3, converters, workers=workers, record=everything(program))
        for workers in (1, 2, 3)
    ]
    for other in runs[1:]:
        assert_same(runs[0], other)
    assert (runs[0].images, runs[0].timesteps) == (count, 3)
    for n in (0, count - 1):
        alone = run(program, images[n : n + 1], 3, converters, workers=1)
        assert np.array_equal(alone.outputs[0], runs[0].outputs[n])
        assert np.array_equal(alone.active_levels[0], runs[0].active_levels[n])


@pytest.mark.parametrize("kind", [{"residual": True}, {"average": True}, {"reset": "soft", "leak": 1.0}])
def test_a_short_run_is_the_beginning_of_a_long_one(kind: dict[str, Any]) -> None:
    network, images = network_and_images(2, 5, depth=3, **kind)
    program = build(network, CHIP)
    converters = ideal_converters(program)
    short = run(program, images, 2, converters, record=everything(program))
    long = run(program, images, 4, converters, record=everything(program))
    for name in ("active_rows", "active_levels", "active_reads", "spikes", "outputs"):
        assert np.array_equal(getattr(short, name), getattr(long, name)[:, :2]), name
    for name, values in short.recorded.items():
        assert np.array_equal(values, long.recorded[name][:, :2]), name


@pytest.mark.parametrize("kind", [{"residual": True}, {"average": True}, {"reset": "soft", "leak": 0.75}])
@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize("room", [1, 5_000])
def test_memory_changes_nothing(
    kind: dict[str, Any], timed: bool, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However few images and timesteps memory has room for: what neurons keep goes from block to block."""
    network, images = network_and_images(4, 5, depth=3, **kind)
    if timed:
        rng = np.random.default_rng(1)
        images = rng.integers(0, 256, (5, 7, *images.shape[1:]), dtype=np.uint8)
    program = build(network, CHIP)
    nodes = everything(program)
    about: Any = {"workers": 2, "record": nodes, "toggles": {INPUT}}
    whole = run(program, images, 7, ideal_converters(program), **about)
    blocks = in_flight(program, images.shape[-3:], timed, 5, 7, 2)
    assert blocks.timesteps == 7
    monkeypatch.setattr("imcsim.functional.in_flight.CHUNK_BYTES", room)
    blocks = in_flight(program, images.shape[-3:], timed, 5, 7, 2)
    assert blocks.timesteps < 7
    assert_same(whole, cut := run(program, images, 7, ideal_converters(program), **about))
    assert np.array_equal(whole.toggles[INPUT], cut.toggles[INPUT])


@pytest.mark.parametrize("kind", ["plain", "late", "recurrent", "noisy"])
@pytest.mark.parametrize("timed", [False, True])
def test_images_go_when_they_are_not_needed_any_more(kind: str, timed: bool) -> None:
    """What an image does until then does not depend on which others are left."""
    network, images = network_and_images(7, 24, depth=2, residual=True)
    if kind == "late":
        late = {"reset_at": "next", "refractory": 1}
        nodes = [replace(n, **late) if isinstance(n, LIF) else n for n in network.nodes]
        network = replace(network, nodes=tuple(nodes))
    elif kind == "recurrent":
        network = networks.recurrent_network(np.random.default_rng(4), timesteps=6)
        images = networks.random_images(np.random.default_rng(5), network.input_shape, 24)
    if timed:
        shape = 24, 6, *images.shape[1:]
        images = np.random.default_rng(1).integers(0, 1 << network.input_bits, shape, dtype=np.uint8)
    program = build(network, CHIP)
    if kind == "noisy":
        program = on_real_chip(program, DrawnChip(3, 1, 3, 16, 4, read_noise=0.05), {})
    about: Any = {"record": everything(program), "toggles": {INPUT}, "numbers": np.arange(24)[::-1].copy()}
    whole = run(program, images, 6, ideal_converters(program), workers=1, **about)

    def lasting(outputs: NDArray[np.int64]) -> NDArray[np.int64]:
        """As long as their outputs say, once they say it; one timestep more than it takes to say it."""
        said = np.cumsum(outputs @ (1 + np.arange(outputs.shape[2])), axis=1) % 5 < 2
        said[:, 0] &= outputs[:, 0].any(axis=1)
        return np.where(said.any(axis=1), np.minimum(said.argmax(axis=1) + 2, 6), 6)

    lasts = lasting(whole.outputs)
    assert len(set(lasts.tolist())) > 2
    needed = np.arange(6) < lasts[:, None]
    for workers in (1, 3):
        some = run(program, images, 6, ideal_converters(program), workers=workers, lasting=lasting, **about)
        assert not some.outputs[~needed].any()
        for name in ("outputs", "spikes", "active_rows", "active_levels", "active_reads"):
            assert np.array_equal(getattr(some, name)[needed], getattr(whole, name)[needed]), name
        for kept, every in ((some.recorded, whole.recorded), (some.toggles, whole.toggles)):
            for name, values in kept.items():
                assert np.array_equal(values[needed], every[name][needed]), name


def weight_of(network: Network, layer: CrossbarLayer) -> NDArray[np.int64]:
    weight = next(n.weight for n in network.weighted if n.name == layer.name).astype(np.int64)
    return weight if weight.ndim == 4 else weight[:, :, None, None]


def play(layer: CrossbarLayer, values: NDArray[Any], converters: Converters) -> naive.Reads:
    """The plain twin on recorded values ``[n, H, W, C]``."""
    cells = layer.crossbars
    return naive.crossbar_reads(
        values, layer.planes, cells.layout, cells.levels, cells.factor, cells.offset,
        converters.shift[layer.name], converters.largest_code, layer.stride, layer.padding,
    )  # fmt: skip


@pytest.mark.parametrize("order", ["im2col", "kernel_position"])
@pytest.mark.parametrize("encoding", ["offset", "differential", "twos_complement"])
@pytest.mark.parametrize("kind", [{"residual": True, "size": 6}, {"average": True, "size": 6}])
def test_every_step_from_recorded_values(order: Any, encoding: Any, kind: dict[str, Any]) -> None:
    """Each step of a run, played by its plain twin from what was recorded before it: values and counts."""
    network, images = network_and_images(3, 2, depth=3, channels=3, **kind)
    program = build(network, replace(CHIP, row_order=order, encoding=encoding))
    converters = ideal_converters(program)
    activity = run(program, images, 2, converters, record=everything(program))
    values = activity.recorded
    assert np.array_equal(values[INPUT][:, 1], images.transpose(0, 2, 3, 1))
    counts = (activity.active_rows, activity.active_levels, activity.active_reads)
    for step in program.steps:
        at = values.get(step.source)
        for t in range(2):
            if isinstance(step, CrossbarLayer):
                assert at is not None
                k = activity.layers.index(step.name)
                reads = play(step, at[:, t], converters)
                assert np.array_equal(values[step.name][:, t], reads.sums)
                wanted = (reads.active_rows, reads.active_levels, reads.active_reads)
                for found, expected in zip(counts, wanted, strict=True):
                    assert np.array_equal(found[:, t, k], expected)
                # Rows also in closed form: each set bit of the input drives one row a window that holds it.
                bits = sum((at[:, t] >> b & 1).astype(np.int64) for b in range(step.planes))
                ones = np.ones((1, *weight_of(network, step).shape[1:]), np.int64)
                windows = naive.convolution(bits, ones, step.stride, step.padding)
                assert np.array_equal(activity.active_rows[:, t, k], windows.sum(axis=(1, 2, 3)))
            elif isinstance(step, PoolLayer):
                assert at is not None
                pooled = naive.pool(at[:, t], step.size, step.stride, step.padding, step.sums)
                assert np.array_equal(values[step.name][:, t], pooled)
            elif isinstance(step, FlattenLayer):
                assert at is not None
                row = at[:, t].transpose(0, 3, 1, 2).reshape(2, 1, 1, -1)
                assert np.array_equal(values[step.name][:, t], row)
            else:
                k = activity.neuron_layers.index(step.name)
                spikes = values[step.name][:, t]
                assert isinstance(step, NeuronLayer)
                assert spikes.max(initial=0) <= step.max_spikes
                assert np.array_equal(activity.spikes[:, t, k], spikes.sum(axis=(1, 2, 3)))
    for step in program.neuron_layers:
        assert isinstance(step, NeuronLayer)
        current: Any = 0
        for branch in step.branches:
            product = values[branch.source].astype(object) * branch.multiplier.astype(object)
            current = current + (product * 2 + 2 ** branch.right.astype(object)) // 2 ** (
                branch.right.astype(object) + 1
            )
        current = current if step.branches else values[step.source]
        shape = (2, 2, -1, current.shape[-1])
        plain = naive.lif(
            current.reshape(shape), step.left, step.right, step.bias, step.threshold, step.above, step.leak,
            step.synapse, step.decay_bits, step.reset, step.late, step.limit, 2, step.floor, step.initial,
            step.drift, step.max_spikes, step.refractory,
        )  # fmt: skip
        assert np.array_equal(values[step.name].reshape(shape), plain)


def test_outputs_are_scaled_sums() -> None:
    """Class outputs in 2**-fraction_bits are the real currents of the last layer, to one count."""
    network, images = network_and_images(4, 4, depth=2)
    program = build(network, CHIP)
    last = network.weighted[-1]
    activity = run(program, images, 3, ideal_converters(program), record={last.name})
    real = activity.recorded[last.name].reshape(4, 3, -1) * last.scale + last.bias
    assert np.abs(activity.outputs / 2**12 - real).max() <= 1.5 / 2**12 + np.abs(real).max() * 2.0**-12


@pytest.mark.parametrize("percentile", [50.0, 99.0, 99.9, 100.0])
@pytest.mark.parametrize("encoding", ["offset", "differential", "twos_complement"])
def test_calibrated_steps_cover_the_percentile(percentile: float, encoding: Any) -> None:
    """Against numpy's percentile of all column sums that the recorded inputs give, slice by slice."""
    network, images = network_and_images(5, 3, depth=2, size=6, average=True)
    chip = replace(CHIP, encoding=encoding, adc_bits=3, full_scale="calibrated", percentile=percentile)
    program = build(network, chip)
    found = calibrated_converters(program, images, 2, workers=2)
    assert found.largest_code == 7
    exact = build(network, chip)
    none = {la.name: np.zeros(len(la.crossbars.factor), np.int64) for la in exact.crossbar_layers}
    free = Converters(none, 2**30)
    values = run(exact, images, 2, free, record=everything(exact)).recorded
    shifts = set()
    for layer in program.crossbar_layers:
        inputs = values[layer.source]
        columns = np.stack(play(layer, inputs.reshape(-1, *inputs.shape[2:]), free).columns)
        for s in range(len(layer.crossbars.factor)):
            scale = np.percentile(columns[:, s], percentile, method="inverted_cdf")
            wanted = next(k for k in range(40) if 7 * 2**k >= scale)
            assert found.shift[layer.name][s] == wanted
            shifts.add(wanted)
    assert len(shifts) > 1 or percentile == 50.0


def test_calibration_changes_nothing_where_the_scale_is_ideal() -> None:
    network, images = network_and_images(6, 2)
    for chip in (CHIP, CHIP.ideal(), replace(CHIP, adc_bits=None, full_scale="calibrated")):
        program = build(network, chip)
        one, other = ideal_converters(program), calibrated_converters(program, images, 2)
        assert one.largest_code == other.largest_code
        assert {k: v.tolist() for k, v in one.shift.items()} == {
            k: v.tolist() for k, v in other.shift.items()
        }


def test_dark_images_calibrate_to_single_steps() -> None:
    """No read has a row active: there is no sum to cover."""
    network, images = network_and_images(7, 2, in_channels=1)
    dead = replace(
        network,
        nodes=tuple(replace(n, bias=n.bias * 0 - 1) if n in network.weighted else n for n in network.nodes),
    )
    program = build(dead, replace(CHIP, full_scale="calibrated", percentile=99.0))
    converters = calibrated_converters(program, images * 0, 2)
    assert all((shift == 0).all() for shift in converters.shift.values())


@pytest.mark.parametrize(
    ("full_scale", "largest", "shift"),
    [(0, 15, 0), (15, 15, 0), (16, 15, 1), (30, 15, 1), (31, 15, 2), (960, 15, 6), (961, 15, 7), (5, 1, 3)],
)
def test_step_shift(full_scale: int, largest: int, shift: int) -> None:
    assert step_shift(full_scale, largest) == shift


def test_ideal_steps_cover_the_tallest_block_and_no_more() -> None:
    network, _ = network_and_images(8, 1, depth=3, channels=7)
    for order in ("im2col", "kernel_position"):
        program = build(network, replace(CHIP, row_order=order))  # type: ignore[arg-type]
        for layer in program.crossbar_layers:
            full = 3 * int(layer.layout.block_rows.max())
            (shift,) = set(ideal_converters(program).shift[layer.name].tolist())
            assert 31 << shift >= full
            assert shift == 0 or 31 << (shift - 1) < full


def test_progress_counts_images_and_errors_stop_the_run() -> None:
    network, images = network_and_images(9, 2 * CHUNK_IMAGES + 3)
    program = build(network, CHIP)
    seen: list[tuple[str, int, int]] = []
    run(
        program, images, 1, ideal_converters(program), workers=2, stage="here",
        progress=lambda *step: seen.append(step),
    )  # fmt: skip
    assert [stage for stage, _, _ in seen] == ["here"] * 3
    done = [count for _, count, _ in seen]
    assert done == sorted(done)
    assert seen[-1][1:] == (len(images), len(images))

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(program, images, 1, ideal_converters(program), workers=1, progress=interrupt)
