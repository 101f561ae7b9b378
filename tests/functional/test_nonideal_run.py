"""Chips with errors, played: reads against their plain statement, energy, calibration, and draws."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import random_images, random_network
from numpy.typing import NDArray
from test_kernels import GEOMETRY, Case

import imcsim.hardware
from imcsim.base.choices import LEVEL_FRACTION_BITS
from imcsim.base.errors import ImcsimError
from imcsim.base.nonideal import ConverterErrors, Stuck, Variation
from imcsim.functional.crossbars.erring import ErringCrossbars, erring_crossbars
from imcsim.functional.crossbars.programmed import RealCrossbars, real_crossbars
from imcsim.functional.nonideal import DrawnChip
from imcsim.functional.nonideal import read_noise as reads
from imcsim.functional.nonideal.converter import adc_errors, codes, noise_steps
from imcsim.functional.nonideal.programming import programmed
from imcsim.functional.nonideal_chip import densities, on_real_chip
from imcsim.functional.program.program import build
from imcsim.functional.run import calibrated_converters, exact, ideal_converters, run
from imcsim.hardware.config import Hardware
from imcsim.hardware.events import Event
from imcsim.inputs import Inputs
from imcsim.results.model import to_json
from imcsim.simulation.chip import make_chip, nonideal, numerics, program_chip
from imcsim.simulation.simulate import Simulation, simulate
from imcsim.simulation.values import COMPUTED, ActivityRequest
from imcsim.studies.comparison import compare
from imcsim.studies.experiment import Experiment
from imcsim.studies.settings import CompareOptions
from imcsim.studies.widened import widened_experiment
from imcsim.timing import Issue, Timing

PARTS = 1 << LEVEL_FRACTION_BITS
COUNTS = ("active_rows", "active_reads", "spikes", "outputs")
"""What an ideal chip and one whose errors are all 0 have alike."""


def real(case: Case, levels: NDArray[np.float64], step: int = 1) -> RealCrossbars:
    counts = np.rint(levels.sum(axis=1) * PARTS).astype(np.int64)
    return real_crossbars(case.crossbars, levels.astype(np.float32), counts, case.offset, step)


@settings(max_examples=40, deadline=None)
@given(GEOMETRY, st.integers(0, 5), st.integers(1, 14))
def test_real_cells_at_whole_levels_are_ideal_to_the_bit(
    geometry: dict[str, Any], shift: int, adc_bits: int
) -> None:
    case = Case(geometry)
    shifts = np.maximum(case.rng.integers(shift - 2, shift + 1, len(case.factor)), 0)
    out, counts = case.compiled(shifts, 2**adc_bits - 1, np.int64)
    same = np.full_like(out, -77)
    cells = real(case, case.levels.astype(np.float64), 1 << int(shifts.max()))
    found = cells.read(
        case.inputs, case.planes, shifts, 2**adc_bits - 1, case.stride, case.padding, same
    )  # fmt: skip
    assert np.array_equal(same, out)
    assert np.array_equal(found[:, [0, 2]], counts[:, [0, 2]])
    assert np.array_equal(found[:, 1], PARTS * counts[:, 1])
    assert np.array_equal(cells.real_levels, case.levels)


@settings(max_examples=60, deadline=None)
@given(GEOMETRY, st.integers(0, 5), st.integers(1, 10), st.sampled_from([0.01, 0.3, 2.0]), st.booleans())
def test_reads_of_real_cells(
    geometry: dict[str, Any], shift: int, adc_bits: int, spread: float, relative: bool
) -> None:
    """Cells above, below and beyond their levels, also below 0 (less than the reference column's); or such
    that one of each two differential cells stays 0, which are read as pairs.
    """
    case = Case(geometry)
    shifts = np.maximum(case.rng.integers(shift - 2, shift + 1, len(case.factor)), 0)
    levels = case.levels + spread * case.rng.standard_normal(case.levels.shape)
    if relative:
        levels = case.levels * np.maximum(1 + spread * case.rng.standard_normal(case.levels.shape), 0)
    cells = real(case, levels, 1 << int(shifts.max()))
    if relative and geometry["encoding"] == "differential":
        assert cells.pairs is not None
    out = np.full((len(case.inputs), *case.out_size, len(case.weight)), -77, np.int64)
    counts = cells.read(case.inputs, case.planes, shifts, 2**adc_bits - 1, case.stride, case.padding, out)
    single = np.abs(levels).max() * 2.0**-24  # levels are handed over in single precision
    assert np.abs(cells.real_levels - levels).max() <= 2.0 ** -(cells.fraction_bits + 1) + single + 1e-6
    plain = naive.crossbar_reads(
        case.inputs, case.planes, case.at, cells.real_levels, case.factor, case.offset, shifts,
        2**adc_bits - 1, case.stride, case.padding,
    )  # fmt: skip
    assert np.array_equal(out, plain.sums)
    assert counts[:, 0].tolist() == plain.active_rows.tolist()
    assert counts[:, 2].tolist() == plain.active_reads.tolist()
    assert np.allclose(counts[:, 1] / PARTS, plain.active_levels, atol=0.1 * len(levels) + 1, rtol=1e-3)


@settings(max_examples=20, deadline=None)
@given(GEOMETRY, st.lists(st.integers(1, 400), min_size=1, max_size=4, unique=True))
def test_real_column_sums_beyond_bounds(geometry: dict[str, Any], bounds: list[int]) -> None:
    case = Case(geometry)
    cells = real(case, case.levels + case.rng.standard_normal(case.levels.shape))
    ascending = np.array(sorted(bounds), np.int64)
    sums, beyond = cells.sums_beyond(
        case.inputs, case.planes, ascending, case.stride, case.padding, case.out_size
    )
    plain = naive.crossbar_reads(
        case.inputs, case.planes, case.at, cells.real_levels, case.factor, case.offset,
        np.zeros(len(case.factor), np.int64), 1, case.stride, case.padding,
    )  # fmt: skip
    assert (sums, beyond.tolist()) == naive.sums_beyond(plain, len(case.factor), len(case.weight), ascending)


@pytest.mark.parametrize("cell_bits", [4, 8])
def test_words_are_as_short_as_sums_allow(cell_bits: int) -> None:
    geometry = {
        "height": 3, "width": 3, "channels": 64, "out": 70, "kernel": (2, 2), "stride": (1, 1),
        "pad": (0, 0), "rows": 64, "order": "im2col", "encoding": "offset", "weight_bits": 8,
        "cell_bits": cell_bits, "planes": 1, "density": 1.0, "seed": 3,
    }  # fmt: skip
    case = Case(geometry)
    cells = real(case, case.levels * 1.01, 4)
    assert (cells.word, cells.fraction_bits) == ((np.int16, 5) if cell_bits == 4 else (np.int32, 12))
    out = np.empty((2, *case.out_size, 70), np.int32)
    shifts = np.full(len(case.factor), 2)
    cells.read(case.inputs, 1, shifts, 2**12, case.stride, case.padding, out)
    plain = naive.crossbar_reads(
        case.inputs, 1, case.at, cells.real_levels, case.factor, case.offset, shifts, 2**12, case.stride,
        case.padding,
    )  # fmt: skip
    assert np.array_equal(out, plain.sums)


# Whole networks

T = 3


NET = random_network(np.random.default_rng(11), depth=2, classes=5, timesteps=T, channels=8)


def images(seed: int, count: int = 12) -> Inputs:
    rng = np.random.default_rng(seed)
    shown = random_images(rng, NET.input_shape, count)
    return Inputs(shown, rng.integers(0, 5, count), f"images{seed}", "unknown", f"{seed:064x}", 5)


TEST, HELD_OUT = images(1), images(2)


def chip(**errors: Any) -> Hardware:
    """The default chip with errors: ``variation__sigma`` for ``nonideal.variation.sigma``."""
    keys = {f"nonideal.{key.replace('__', '.')}": value for key, value in errors.items()}
    return imcsim.hardware.load("dtsnn_32nm", keys)


def simulated(hardware: Hardware, seed: int = 0, number: int = 0) -> Simulation:
    made = make_chip(NET, hardware, HELD_OUT, Timing(T, Issue()), seed=seed, number=number)
    return simulate(made, TEST, workers=1)


def test_a_chip_whose_errors_are_all_0_is_ideal_to_the_bit() -> None:
    """As said by the config, and through the arithmetic of real cells: values, counts and energy."""
    plain = simulated(chip())
    off = simulated(chip(variation__sigma=0, drift__time_s=1e6, stuck__on_rate=0))
    for name in (*COUNTS, "active_levels"):
        assert np.array_equal(getattr(plain.activity, name), getattr(off.activity, name))
    assert plain.dynamic.energy_pj.tolist() == off.dynamic.energy_pj.tolist()
    program, converters = plain.chip.program, plain.chip.converters
    errorless = DrawnChip(seed=0, chip=0, largest_level=15, columns=64, columns_per_adc=8)
    held = on_real_chip(program, errorless, {})
    assert all(isinstance(layer.crossbars, RealCrossbars) for layer in held.crossbar_layers)
    found = run(held, TEST.images, T, converters)
    for name in COUNTS:
        assert np.array_equal(getattr(plain.activity, name), getattr(found, name))
    assert np.array_equal(found.active_levels, PARTS * plain.activity.active_levels)
    for made in (calibrated_converters(held, HELD_OUT.images, T), ideal_converters(held)):
        same = calibrated_converters if made.shift == converters.shift else ideal_converters
        other = same(program, HELD_OUT.images, T) if same is calibrated_converters else same(program)
        assert {k: v.tolist() for k, v in made.shift.items()} == {
            k: v.tolist() for k, v in other.shift.items()
        }


def test_energy_is_that_of_the_cells_as_they_are() -> None:
    """The energy of the first layer's cells, from its programmed conductances and driven rows."""
    hardware = chip(variation__sigma=0.3, stuck__on_rate=0.05)
    done = simulated(hardware, seed=4)
    layer = done.chip.program.crossbar_layers[0]
    errors = nonideal(hardware.config, 4)
    assert errors is not None
    cells = programmed(layer.crossbars.levels, len(layer.crossbars.factor), errors, 0)
    conducts = cells.conductance.sum(axis=1)
    source = run(done.chip.program, TEST.images, T, done.chip.converters, record={layer.source})
    value = source.recorded[layer.source][:, 0]
    bits = np.unpackbits(value[..., None], axis=-1).sum(axis=-1, dtype=np.int64)
    at, (down, right) = layer.layout, layer.padding
    (height, width), total = value.shape[1:3], np.zeros(len(value))
    framed = np.pad(bits, ((0, 0), (down,) * 2, (right,) * 2, (0, 0)))
    for i in range(len(at.row)):
        rows = conducts[at.row[i] : at.row[i] + at.last[i] - at.first[i]]
        seen = framed[:, at.ky[i] : at.ky[i] + height, at.kx[i] : at.kx[i] + width, at.first[i] : at.last[i]]
        total += (seen.sum(axis=(1, 2)) * rows).sum(axis=1)
    counted = done.dynamic.ledger.varied[Event.ACTIVE_LEVELS][:, 0, 1]
    assert counted / PARTS == pytest.approx(total, rel=1e-5)
    config, ideal = hardware.config, chip().config
    price = config.cells.charges(config)[Event.ACTIVE_LEVELS]
    assert price * PARTS == ideal.cells.charges(ideal)[Event.ACTIVE_LEVELS]


def test_each_number_is_another_chip_and_each_seed() -> None:
    hardware = chip(variation__sigma=0.2)
    first, again, other, seeded = (simulated(hardware, *key) for key in ((1, 0), (1, 0), (1, 1), (2, 0)))
    assert np.array_equal(first.activity.outputs, again.activity.outputs)
    assert not np.array_equal(first.activity.outputs, other.activity.outputs)
    assert not np.array_equal(first.activity.outputs, seeded.activity.outputs)
    few = run(first.chip.program, TEST.images[5:7], T, first.chip.converters, workers=1)
    assert np.array_equal(few.outputs, first.activity.outputs[5:7]), "cells stay as they were programmed"


def test_small_errors_do_little_and_large_ones_much() -> None:
    plain = simulated(chip()).activity.outputs
    moved = [
        np.abs(simulated(chip(variation__sigma=sigma)).activity.outputs - plain).mean()
        for sigma in (0.0001, 0.05, 0.5)
    ]
    assert moved[0] < moved[1] < moved[2]


def test_wires_take_current_and_energy() -> None:
    """Columns lose current; rows that are driven draw less. Gated arrays lose less, where few are driven."""
    plain = simulated(chip())
    taken = {}
    for inactive in ("grounded", "gated"):
        done = simulated(chip(wires__wordline_ohm=20, wires__bitline_ohm=20, wires__inactive=inactive))
        pairs = zip(done.chip.program.crossbar_layers, plain.chip.program.crossbar_layers, strict=True)
        ratios = []
        for found, designed in pairs:
            assert isinstance(found.crossbars, RealCrossbars)
            ratios.append(found.crossbars.real_levels.sum() / designed.crossbars.levels.sum())
        taken[inactive] = np.array(ratios)
        assert (done.activity.active_levels[:, 0, 0] < PARTS * plain.activity.active_levels[:, 0, 0]).all()
    assert (taken["grounded"] < taken["gated"]).all()
    assert (taken["gated"] < 1).all()


def test_densities_are_shares_of_driven_rows() -> None:
    program = build(NET, numerics(chip().config))
    found = densities(program, HELD_OUT.images, T)
    activity = run(program, HELD_OUT.images, T, exact(program), record={program.crossbar_layers[-1].source})
    last = program.crossbar_layers[-1]
    assert found[last.name] == pytest.approx(activity.recorded[last.source].mean())
    assert all(0 <= share <= 1 for share in found.values())


def test_converters_are_set_on_the_ideal_chip_or_on_the_chip_itself() -> None:
    """All cells are stuck on, and sums are as large as they can be: a chip that is calibrated itself covers
    them.
    """
    errors = {"stuck__on_rate": 1.0}
    plain = simulated(chip()).chip.converters.shift
    ideal = simulated(chip(**errors)).chip.converters.shift
    itself = simulated(chip(**errors, converter__calibrated_on="chip")).chip.converters.shift
    assert {k: v.tolist() for k, v in ideal.items()} == {k: v.tolist() for k, v in plain.items()}
    assert all((itself[name] >= plain[name]).all() for name in plain)
    assert any((itself[name] > plain[name]).any() for name in plain)


def test_the_current_of_cells_at_level_0_needs_a_larger_full_scale() -> None:
    """Without a reference column it comes on top of every sum; it is taken off where rows are counted."""
    scale = {"adc.full_scale": "ideal", "cells.r_off_ohm": 40_000.0}
    bare = imcsim.hardware.load(
        "dtsnn_32nm",
        {**scale, "nonideal.on_off.finite": True, "nonideal.on_off.reference_column": False},
    )
    plain = imcsim.hardware.load("dtsnn_32nm", scale)
    found, designed = (program_chip(NET, one.config, HELD_OUT) for one in (bare, plain))
    for layer, ideal in zip(found[0].crossbar_layers, designed[0].crossbar_layers, strict=True):
        rows = int(layer.layout.block_rows.max())
        step = int(found[1].shift[layer.name][0])
        assert found[1].largest_code << step >= rows * (15 + 15)
        assert layer.crossbars.offset == ideal.crossbars.offset - 15 * int(layer.crossbars.factor.sum())
        assert isinstance(layer.crossbars, RealCrossbars)
        assert np.array_equal(layer.crossbars.real_levels, ideal.crossbars.levels + np.float32(15))


def test_cells_that_conduct_too_much_are_refused() -> None:
    program = build(NET, numerics(chip().config))
    huge = DrawnChip(
        0, 0, 15, 64, 8, variation=Variation(kind="lognormal", sigma=(100.0,) * 16), stuck=Stuck(on_rate=1.0)
    )
    huge = replace(huge, off_level=1e4, reference_column=False)
    with pytest.raises(ImcsimError, match="conduct so much more"):
        on_real_chip(program, huge, {})


def test_a_comparison_says_that_the_chip_has_errors() -> None:
    options = CompareOptions(threshold=0.3, workers=1, seed=3)
    plain, real = (
        Experiment.make(NET, one, TEST, HELD_OUT, options, None)
        for one in (chip(), chip(variation__sigma=0.2))
    )
    said = [line for line in real.warnings() if "nonideal" in line]
    assert len(said) == 1
    assert "number 0 of seed 3" in said[0]
    assert not any("nonideal" in line for line in plain.warnings())
    with pytest.raises(ImcsimError, match="errors of their own"):
        widened_experiment(real, 2)


def test_results_do_not_depend_on_workers() -> None:
    hardware = chip(variation__sigma=0.2, wires__bitline_ohm=1)
    one, two = (
        compare(NET, hardware, TEST, HELD_OUT, CompareOptions(threshold=0.3, workers=workers))
        for workers in (1, 2)
    )
    assert to_json(one) == to_json(two)


# Converters that err, and noise


def erring(case: Case, levels: NDArray[np.float64], errors: DrawnChip, step: int) -> ErringCrossbars:
    return erring_crossbars(real(case, levels, step), np.square(levels).astype(np.float32), errors, 3)


def statement(
    case: Case, levels: NDArray[np.float64], cells: ErringCrossbars, shifts: NDArray[np.int64], largest: int
) -> naive.Convert:
    """The codes of a read as `converter.codes` states them, each read with draws of its own."""
    errors, used = cells.chip, case.levels.shape[1]
    # A crossbar's converters are the same in each of its turns.
    gain, offset = (
        each[case.at.crossbar]
        for each in adc_errors(case.at.crossbars, len(case.factor), len(case.weight), errors, 3)
    )
    step = np.repeat(np.float32(2.0) ** -shifts.astype(np.float32), len(case.weight))
    squares = np.zeros(case.levels.shape)
    if errors.read_noise:
        squares = cells.squares
        assert np.allclose(squares, levels**2, atol=2.0 ** -(cells.squares_fraction + 1) + 1e-3)
    key = reads.layer_key(errors.seed, errors.chip, 3)

    def convert(
        column: NDArray[Any], block: int, image: int, position: int, plane: int, driven: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        scale = gain[block] * step
        variance = squares[driven].sum(axis=0).astype(np.float32)
        noise = noise_steps(variance, scale, errors.read_noise, errors.converter.noise_lsb)
        moment = reads.moment_key(key, 40 + image, 2, plane)
        read = reads.read_key(moment, position, block, case.at.blocks)
        draw = reads.gaussian(reads.words(read, np.arange(used)))
        sums = column.reshape(-1).astype(np.float32)
        return codes(sums, scale, offset[block], noise * draw, largest).reshape(column.shape)

    return convert


@settings(max_examples=60, deadline=None)
@given(
    GEOMETRY, st.integers(0, 4), st.integers(1, 10), st.sampled_from([0.0, 0.05]),
    st.sampled_from([0.0, 0.7]), st.sampled_from([0.0, 0.1]),
)  # fmt: skip
def test_reads_that_err_are_their_plain_statement(
    geometry: dict[str, Any], shift: int, adc_bits: int, read_noise: float, lsb: float, gain: float
) -> None:
    """To the bit: ADCs with offset and gain of their own, noise of cells and of converters, or neither."""
    case = Case(geometry)
    shifts = np.maximum(case.rng.integers(shift - 2, shift + 1, len(case.factor)), 0)
    levels = np.maximum(case.levels + 0.3 * case.rng.standard_normal(case.levels.shape), 0)
    errors = DrawnChip(
        5,
        1,
        15,
        64,
        8,
        read_noise=read_noise,
        converter=ConverterErrors(offset_lsb=gain and 0.6, gain_sigma=gain, noise_lsb=lsb),
    )
    cells, largest = erring(case, levels, errors, 1 << int(shifts.max())), 2**adc_bits - 1
    out = np.full((len(case.inputs), *case.out_size, len(case.weight)), -77, np.int64)
    moments = np.arange(40, 40 + len(case.inputs)), np.full(len(case.inputs), 2)
    counts = cells.read(
        case.inputs, case.planes, shifts, largest, case.stride, case.padding, out, moments
    )  # fmt: skip
    plain = naive.crossbar_reads(
        case.inputs, case.planes, case.at, cells.real_levels, case.factor, case.offset, shifts, largest,
        case.stride, case.padding, statement(case, levels, cells, shifts, largest),
    )  # fmt: skip
    assert np.array_equal(out, plain.sums)
    assert counts[:, 0].tolist() == plain.active_rows.tolist()
    assert counts[:, 2].tolist() == plain.active_reads.tolist()


@settings(max_examples=20, deadline=None)
@given(GEOMETRY, st.integers(0, 4), st.integers(1, 10))
def test_converters_that_do_not_err_are_ideal_to_the_bit(
    geometry: dict[str, Any], shift: int, adc_bits: int
) -> None:
    case = Case(geometry)
    shifts = np.full(len(case.factor), shift)
    out, _ = case.compiled(shifts, 2**adc_bits - 1, np.int64)
    cells = erring(case, case.levels.astype(np.float64), DrawnChip(5, 1, 15, 64, 8), 1 << shift)
    same = np.full_like(out, -77)
    cells.read(case.inputs, case.planes, shifts, 2**adc_bits - 1, case.stride, case.padding, same)
    assert np.array_equal(same, out)


NOISES = {"read_noise__sigma": 0.05, "converter__noise_lsb": 0.5, "converter__gain_sigma": 0.01}


def test_noise_is_that_of_an_image_and_a_timestep() -> None:
    """It does not depend on which images are run together, in how many threads, or as which piece."""
    done = simulated(chip(**NOISES))
    program, converters = done.chip.program, done.chip.converters
    few = run(program, TEST.images[5:9], T, converters, workers=2, numbers=np.arange(5, 9))
    assert np.array_equal(few.outputs, done.activity.outputs[5:9])
    other = run(program, TEST.images[5:9], T, converters, workers=2)
    assert not np.array_equal(other.outputs, few.outputs)
    at = COMPUTED.activity(ActivityRequest(program, converters, TEST, T, at=slice(5, 9)))
    assert np.array_equal(at.outputs, few.outputs)


def test_an_encoder_that_is_kept_is_read_once() -> None:
    """Else the image is read at each timestep, with other noise."""
    found = {}
    for mode in ("keep", "recompute"):
        keys = {"nonideal.read_noise.sigma": 0.1, "encoder.mode": mode}
        hardware = imcsim.hardware.load("dtsnn_32nm", keys)
        program, converters = program_chip(NET, hardware.config, HELD_OUT)
        first = program.crossbar_layers[0].name
        found[mode] = run(program, TEST.images, T, converters, record={first}).recorded[first]
    kept, again = found["keep"], found["recompute"]
    assert all(np.array_equal(kept[:, 0], kept[:, t]) for t in range(T))
    assert np.array_equal(again[:, 0], kept[:, 0])
    assert not np.array_equal(again[:, 0], again[:, 1])


def test_a_picked_image_has_its_own_noise() -> None:
    options, hardware = CompareOptions(threshold=0.3, workers=1), chip(**NOISES)
    whole = Experiment.make(NET, hardware, TEST, HELD_OUT, options, None)
    picked = Experiment.make(NET, hardware, TEST, HELD_OUT, options, None, picked=[7])
    assert np.array_equal(picked.images.activity.outputs[0], whole.images.activity.outputs[7])
