"""Grouped convolutions along the diagonals of crossbars: the values of the dense matrix, on fewer cells.

Closed forms are computed from shapes and spikes alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from networks import mixed_network, random_images
from random_chips import assert_same, changed, outcome

from imcsim.functional.nonideal_chip import on_real_chip
from imcsim.functional.program.program import build
from imcsim.functional.run import Activity, calibrated_converters, exact, full_scale, run
from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.events import Event
from imcsim.mapping import floorplan, place
from imcsim.network.graph import INPUT, LIF, Conv2d, Flatten, Linear, Network
from imcsim.network.rows import group_sets
from imcsim.simulation.chip import nonideal, numerics
from imcsim.simulation.counts import image_work, lower, recorded_nodes
from imcsim.timing.figures import part_figures

ENCODINGS = ("offset", "differential", "twos_complement")
BOTH = pytest.mark.parametrize("name", ["dtsnn_32nm", "spikesim_65nm"])
SHOWN = random_images(np.random.default_rng(3), (2, 7, 8), 3)


def chip(name: str, how: str, **values: Any) -> HardwareConfig:
    given = {key.replace("__", "."): value for key, value in values.items()}
    return changed(name, {"tile.crossbars_per_pe": 9, "mapping.grouped_layers": how} | given)


def ran(network: Network, config: HardwareConfig, *, ideal: bool = True) -> Activity:
    program = build(network, numerics(config))
    converters = exact(program) if ideal else calibrated_converters(program, SHOWN, 2, 1)
    return run(program, SHOWN, 2, converters, workers=1)


def depthwise(channels: int = 6, multiplier: int = 2, bits: int = 4, groups: int | None = None) -> Network:
    """A convolution, one of `groups` groups (a channel each), and class outputs."""
    rng, groups = np.random.default_rng(4), groups or channels
    low = -(1 << (bits - 1)) + 1

    def weights(*shape: int) -> Any:
        drawn = rng.integers(low, -low + 1, shape) if bits > 1 else rng.choice((-1, 1), shape)
        return drawn.astype(np.int16)

    outer = channels * multiplier
    first, second = weights(channels, 2, 3, 3), weights(outer, channels // groups, 3, 3)
    one, two = np.full(channels, 1.0 / (1 << bits)), np.full(outer, 4.0 / (1 << bits))
    nodes = (
        Conv2d("first", (INPUT,), first, one, 0 * one + 0.3, (1, 1), (1, 1)),
        LIF("lif1", ("first",), 0.5, 1.0, "hard"),
        Conv2d("grouped", ("lif1",), second, two, 0 * two + 0.2, (2, 1), (1, 1), (1, 2), groups),
        LIF("lif2", ("grouped",), 0.5, 1.0, "soft"),
        Flatten("flatten", ("lif2",)),
        Linear(
            "classes", ("flatten",), weights(3, outer * 4 * 6), np.full(3, 1.0 / (1 << bits)), np.zeros(3)
        ),
    )
    return Network("depthwise", (2, 7, 8), 8, 1 / 255, 3, 2, bits, nodes)


# Values


@BOTH
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("bits", [4, 8])
def test_values_are_those_of_the_dense_matrix(name: str, encoding: str, bits: int) -> None:
    for seed, (rows, at_once) in enumerate(((64, "all"), (9, 4), (20, 20))):
        network = mixed_network(np.random.default_rng(seed), weight_bits=bits)
        given = {"cells__encoding": encoding, "cells__rows": rows, "cells__parallel_rows": at_once}
        dense, packed = (ran(network, chip(name, how, **given)) for how in ("dense", "diagonal"))
        assert np.array_equal(packed.outputs, dense.outputs)
        assert np.array_equal(packed.spikes, dense.spikes)
        assert packed.spikes.any()


def test_one_bit_needs_no_zeros_between_groups() -> None:
    """One bit holds the zeros of the dense matrix in differential cells only; along a diagonal are none."""
    network = depthwise(bits=1)
    expected = ran(network, chip("dtsnn_32nm", "dense", cells__encoding="differential"))
    for encoding in ENCODINGS:
        found = ran(network, chip("dtsnn_32nm", "diagonal", cells__encoding=encoding))
        assert np.array_equal(found.outputs, expected.outputs)
        assert np.array_equal(found.spikes, expected.spikes)
    assert expected.spikes.all()


@pytest.mark.parametrize("drive", ["pulses", "levels"])
def test_values_of_several_bits_in_one_read(drive: str) -> None:
    network = depthwise()
    nodes = tuple(replace(n, max_spikes=5) if n.name == "lif1" else n for n in network.nodes)
    network = replace(network, nodes=nodes)
    dense, packed = (
        ran(network, chip("dtsnn_32nm", how, cells__input_drive=drive, cells__encoding="offset"))
        for how in ("dense", "diagonal")
    )
    assert np.array_equal(packed.outputs, dense.outputs)


def test_an_adc_covers_the_rows_of_a_group() -> None:
    """Rows of other groups add nothing to a column, so that the full scale is that of one group."""
    config = chip("dtsnn_32nm", "diagonal", adc__full_scale="ideal")
    program = build(depthwise(), numerics(config))
    layer = program.crossbar_layers[1]
    assert layer.crossbars.rows_of_a_sum == 9
    assert full_scale(layer, program.numerics) == 9 * 15
    dense = build(depthwise(), numerics(chip("dtsnn_32nm", "dense")))
    assert full_scale(dense.crossbar_layers[1], dense.numerics) == 54 * 15


def test_errors_of_cells_are_drawn_set_by_set() -> None:
    network = depthwise()
    config = chip("dtsnn_32nm_nonideal", "diagonal", cells__rows=18)
    program = build(network, numerics(config))
    errors = nonideal(config, 3)
    assert errors is not None

    def outputs() -> Any:
        real = on_real_chip(program, errors, {}, 1)
        return run(real, SHOWN, 2, calibrated_converters(program, SHOWN, 2, 1), workers=1).outputs

    assert np.array_equal(outputs(), outputs())
    ideal = ran(network, config, ideal=False).outputs
    assert not np.array_equal(outputs(), ideal)
    real = on_real_chip(program, errors, {}, 1).crossbar_layers[1].crossbars
    levels = [one.real_levels for one in real.sets]  # type: ignore[union-attr]
    assert len(levels) == 3
    assert not np.array_equal(levels[0], levels[1])


# Places, cells and counts


def test_as_many_groups_share_a_crossbar_as_fit() -> None:
    assert [group_sets(128, 9, 8, (128, 128)).size for _ in range(1)] == [13]  # 14 fit, in ten even sets
    assert group_sets(128, 9, 8, (128, 128)).sets == 10
    assert group_sets(6, 9, 70, (64, 64)).size == 1  # a group of its own on two crossbars
    assert group_sets(6, 9, 8, (64, 64)).sets == 1


@pytest.mark.parametrize(
    ("rows", "columns", "channels", "multiplier", "groups"),
    [(64, 64, 6, 2, 6), (20, 64, 6, 2, 6), (64, 8, 6, 2, 6), (16, 8, 8, 3, 2), (5, 4, 4, 1, 4)],
)
def test_cells_crossbars_and_reads(
    rows: int, columns: int, channels: int, multiplier: int, groups: int
) -> None:
    """Closed forms: a crossbar holds floor(R / rows) or floor(C / columns) groups, whichever is less."""
    network = depthwise(channels, multiplier, groups=groups)
    about = {"cells__rows": rows, "cells__columns": columns, "cells__cell_bits": 4}
    about |= {"cells__encoding": "offset"}
    config = chip("dtsnn_32nm", "diagonal", **about)
    placement = place(network, config)
    layer = placement.layers[1]
    inner, outer = channels // groups, channels * multiplier // groups
    fit = min(rows // (9 * inner), columns // outer)
    sets = -(-groups // fit) if fit else groups
    blocks, across = (1, 1) if fit else (-(-9 * inner // rows), -(-outer // columns))
    assert layer.crossbars == sets * blocks * across
    plan = floorplan(placement, config)
    assert plan.layers[1].cells_used == channels * multiplier * 9 * inner
    fewer = place(network, chip("dtsnn_32nm", "dense", **about))
    assert layer.crossbars <= fewer.layers[1].crossbars
    program = build(network, numerics(config))
    activity = run(program, SHOWN, 2, exact(program), workers=1, record=recorded_nodes(program, placement))
    counts = lower(activity, program, placement, config)
    inputs = np.asarray(activity.recorded["lif1"]).astype(np.int64)
    driven = window_rows(inputs)
    at = (slice(None), slice(None), 2)
    assert np.array_equal(counts[Event.ACTIVE_WORDLINES][at], driven * across)
    assert np.array_equal(counts[Event.SYNAPTIC_OPERATIONS][at], driven * outer)
    of_set = -(-groups // sets) * outer
    assert np.array_equal(counts[Event.ACTIVE_CELLS][at], driven * of_set)
    total: dict[Event, int] = {}
    for one in part_figures(placement, config):
        if one.stage.name == "grouped":
            for run_of in one.alike:
                for event, number in one.row_read_counts(run_of, one.row_reads(run_of), 0).items():
                    total[event] = total.get(event, 0) + number
    assert total[Event.CROSSBAR_READS] == 6 * sets * blocks * across
    assert total[Event.CONVERSIONS] == 6 * channels * multiplier * blocks
    work = image_work(program, placement, activity.recorded)
    assert work[0].active[1].shape == (2, 24, layer.turns, sets * blocks)


def window_rows(inputs: Any) -> Any:
    """Rows that windows of the grouped layer of `depthwise` drive, ``[images, T]``."""
    framed = np.pad(inputs, ((0, 0), (0, 0), (1, 1), (1, 1), (0, 0)))
    total = np.zeros(inputs.shape[:2], np.int64)
    for ky in range(3):
        for kx in range(3):
            total += framed[:, :, ky : ky + 7 : 2, 2 * kx : 2 * kx + 6].sum((2, 3, 4))
    return total


@BOTH
@pytest.mark.parametrize("skips", [False, True])
def test_both_fidelities_play_sets_that_differ(name: str, skips: bool) -> None:
    """Sets over several parts, the last one with fewer groups, each with silent reads of its own."""
    network = depthwise(10, 3)
    config = chip(
        name, "diagonal", cells__rows=30, cells__columns=24, cells__parallel_rows=7, tile__pes_per_tile=1,
        activity__skip_zero_reads=skips,
    )  # fmt: skip
    if name == "dtsnn_32nm":
        config = changed_tile(config)
    placement = place(network, config)
    layer = placement.layers[1]
    assert layer.sets > 1
    assert layer.rows.crossbars == layer.sets * layer.blocks
    program = build(network, numerics(config))
    activity = run(program, SHOWN, 2, exact(program), workers=1, record=recorded_nodes(program, placement))
    work = image_work(program, placement, activity.recorded) if skips else None
    about = {"exits": [2, 1, 2], "timesteps": 2, "work": work}
    assert_same(*(outcome(placement, config, **about, fidelity=kind) for kind in ("reference", "burst")))


def changed_tile(config: HardwareConfig) -> HardwareConfig:
    """Two crossbars to a PE, so that parts begin and end within the layer."""
    return config.model_copy(update={"tile": config.tile.model_copy(update={"crossbars_per_pe": 2})})


def test_conversions_go_with_crossbars_that_hold_weights() -> None:
    """A depthwise layer of 16 channels: 144 rows in three blocks, each converted for all channels, or three
    crossbars with 6, 6 and 4 channels each.
    """
    converted = {}
    for how in ("dense", "diagonal"):
        config = chip("dtsnn_32nm", how)
        placement = place(depthwise(16, 1), config)
        assert placement.layers[1].crossbars == 3
        converted[how] = sum(
            one.row_read_counts(blocks, one.row_reads(blocks), 0)[Event.CONVERSIONS]
            for one in part_figures(placement, config)
            if one.stage.name == "grouped"
            for blocks in one.alike
        )
    slices = placement.layers[1].slices
    assert converted == {"dense": 6 * 3 * 16 * slices, "diagonal": 6 * 16 * slices}
