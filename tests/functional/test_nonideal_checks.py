"""Errors of cells, wires and converters against closed forms, through whole programs and in each mapping."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import naive
import numpy as np
import pytest
from numpy.typing import NDArray
from test_nonideal_models import kolmogorov, near
from test_nonideal_run import HELD_OUT, NET, TEST, T

import imcsim.hardware
from imcsim.base.choices import LEVEL_FRACTION_BITS, Distribution, Encoding
from imcsim.base.errors import ImcsimError
from imcsim.base.nonideal import ConverterErrors, Drift, Stuck, Variation, Wires
from imcsim.commands.cli import main
from imcsim.functional.crossbars.erring import ErringCrossbars, erring_crossbars
from imcsim.functional.crossbars.programmed import RealCrossbars
from imcsim.functional.nonideal import DrawnChip
from imcsim.functional.nonideal.exact import Crossbar
from imcsim.functional.nonideal.programming import programmed
from imcsim.functional.nonideal_chip import on_real_chip
from imcsim.functional.program.layers import CrossbarLayer, Program
from imcsim.functional.program.program import build
from imcsim.functional.run import Activity, exact, ideal_converters, run
from imcsim.hardware.events import Event
from imcsim.network.cells import to_cells
from imcsim.network.graph import Linear, Network
from imcsim.simulation.chip import make_chip, nonideal, numerics
from imcsim.simulation.simulate import simulate
from imcsim.timing import Issue, Timing

ENCODINGS: tuple[Encoding, ...] = ("offset", "differential", "twos_complement")

IDEAL = DrawnChip(seed=3, chip=1, largest_level=15, columns=64, columns_per_adc=8)

SMALL: dict[str, dict[str, Any]] = {
    "variation.sigma, normal": {"variation": Variation(kind="normal", sigma=(1e-12,) * 16)},
    "variation.sigma, lognormal": {"variation": Variation(kind="lognormal", sigma=(1e-12,) * 16)},
    "on_off.finite": {"off_level": 1e-12},
    "on_off.finite, no reference": {"off_level": 1e-12, "reference_column": False},
    "stuck.on_rate": {"stuck": Stuck(on_rate=1e-12, off_rate=0)},
    "stuck.off_rate": {"stuck": Stuck(on_rate=0, off_rate=1e-12)},
    "drift.exponent": {"drift": Drift(exponent=1e-12, exponent_sigma=0, time_s=1e6)},
    "drift.exponent_sigma": {"drift": Drift(exponent=0, exponent_sigma=1e-12, time_s=1e6)},
    "read_noise.sigma": {"read_noise": 1e-12},
    "wires.wordline_ohm": {"wires": Wires(wordline_ohm=1e-9, inactive="gated"), "level_siemens": 3e-6},
    "wires.bitline_ohm": {"wires": Wires(wordline_ohm=0, bitline_ohm=1e-9), "level_siemens": 3e-6},
    "wires.driver_ohm": {
        "wires": Wires(wordline_ohm=0, bitline_ohm=0, driver_ohm=1e-9),
        "level_siemens": 3e-6,
    },
    "wires.sense_ohm": {
        "wires": Wires(wordline_ohm=0, bitline_ohm=0, driver_ohm=0, sense_ohm=1e-9),
        "level_siemens": 3e-6,
    },
    "converter.offset_lsb": {"converter": ConverterErrors(offset_lsb=1e-12, gain_sigma=0, noise_lsb=0)},
    "converter.gain_sigma": {"converter": ConverterErrors(offset_lsb=0, gain_sigma=1e-12, noise_lsb=0)},
    "converter.noise_lsb": {"converter": ConverterErrors(offset_lsb=0, gain_sigma=0, noise_lsb=1e-12)},
}


def played(program: Program, adc: bool = True) -> Activity:
    converters = ideal_converters(program) if adc else exact(program)
    return run(program, TEST.images[:6], T, converters, workers=1)


def same(one: Activity, other: Activity, parts: int) -> None:
    for name in ("outputs", "spikes", "active_rows", "active_reads"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    assert np.array_equal(one.active_levels * parts, other.active_levels)


def plain(encoding: Encoding) -> Program:
    return build(NET, numerics(imcsim.hardware.load("dtsnn_32nm", {"cells.encoding": encoding}).config))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_each_error_that_vanishes_leaves_the_ideal_chip_to_the_bit(encoding: Encoding) -> None:
    """Each through its own arithmetic, with a magnitude that rounding loses; then all of them at 0."""
    program = plain(encoding)
    expected = played(program)
    density = dict.fromkeys((layer.name for layer in program.crossbar_layers), 0.2)
    for name, errors in SMALL.items():
        real = on_real_chip(program, replace(IDEAL, **errors), density)
        assert all(isinstance(layer.crossbars, RealCrossbars) for layer in real.crossbar_layers), name
        same(expected, played(real), 1 << LEVEL_FRACTION_BITS)

    def erring(layer: CrossbarLayer, number: int) -> CrossbarLayer:
        squares = np.square(layer.crossbars.levels).astype(np.float32)
        assert isinstance(layer.crossbars, RealCrossbars)
        found = erring_crossbars(layer.crossbars, squares, IDEAL, number)
        assert isinstance(found, ErringCrossbars)
        return replace(layer, crossbars=found)

    zero = on_real_chip(program, IDEAL, {})
    same(expected, played(zero), 1 << LEVEL_FRACTION_BITS)
    steps = tuple(erring(s, k) if isinstance(s, CrossbarLayer) else s for k, s in enumerate(zero.steps))
    same(expected, played(replace(zero, steps=steps)), 1 << LEVEL_FRACTION_BITS)


def test_each_key_at_0_is_an_ideal_chip() -> None:
    ideal = imcsim.hardware.load("dtsnn_32nm").sha256
    for key in (
        "variation.sigma", "stuck.on_rate", "stuck.off_rate", "drift.exponent", "drift.exponent_sigma",
        "read_noise.sigma", "wires.wordline_ohm", "wires.bitline_ohm", "wires.driver_ohm", "wires.sense_ohm",
        "converter.offset_lsb", "converter.gain_sigma", "converter.noise_lsb",
    ):  # fmt: skip
        chip = imcsim.hardware.load("dtsnn_32nm", {f"nonideal.{key}": 0})
        assert nonideal(chip.config) is None, key
        assert chip.sha256 == ideal, key


# One column of weights in thousands of channels: each has a crossbar, and so a reference column, of its own

ROWS, CHANNELS = 24, 4000
WEIGHT = np.random.default_rng(8).integers(40, 128, ROWS) * np.where(np.arange(ROWS) % 2, 1, -1)
"""No column of any mapping is nearly empty: sums stay above 0, where an ADC would cut them off."""
OFF = 15 / 9


def wide(encoding: Encoding, channels: int = CHANNELS) -> Program:
    """``ROWS`` binary inputs, of which the first 20 will be 1."""
    layer = Linear(
        "sums", ("input",), np.tile(WEIGHT, (channels, 1)), np.full(channels, 1e-4), np.zeros(channels)
    )
    network = Network("wide", (1, 1, ROWS), 1, 1.0, channels, T, 8, (layer,))
    return build(network, numerics(imcsim.hardware.load("dtsnn_32nm", {"cells.encoding": encoding}).config))


def sums_of(program: Program, errors: DrawnChip, images: int = 1) -> NDArray[np.int64]:
    """Digital sums ``[images, T, channels]`` with ADCs that round to a level and do not clip."""
    real = on_real_chip(program, errors, {})
    shown = np.zeros((images, 1, 1, ROWS), np.uint8)
    shown[..., :DRIVEN] = 1
    found = run(real, shown, T, exact(program), workers=1, record={"sums"}).recorded["sums"]
    return np.broadcast_to(found, (images, T, *found.shape[2:])).reshape(images, T, -1)


DRIVEN = 20


def slices_of(encoding: Encoding) -> tuple[NDArray[np.int64], NDArray[Any], int]:
    """Factors, driven levels ``[slices, DRIVEN]``, and columns of a crossbar with one channel."""
    cells = to_cells(WEIGHT[None], 8, 4, encoding)
    return cells.factor, cells.levels[:, 0, :DRIVEN], len(cells.factor)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("kind", ["normal", "lognormal"])
@pytest.mark.parametrize("off", [0.0, OFF])
def test_the_variance_of_a_digital_sum_is_its_closed_form(
    encoding: Encoding, kind: Distribution, off: float
) -> None:
    """``sum_s f_s^2 (sum_i (sigma(l_i) G_i)^2 + 1/12) + (sum_s f_s)^2 sum_i (sigma(0) G_off)^2``.

    s: the slices of a weight, with the factors f; i: the driven rows. 1/12 is what rounding to a level adds.
    The reference column is taken off all slices, so its errors add up before they are squared.
    """
    sigma = tuple(0.25 - 0.012 * level for level in range(16))  # a sign's sum spreads over a level, too
    factor, levels, slices = slices_of(encoding)
    errors = replace(
        IDEAL, columns=slices, columns_per_adc=1, off_level=off, variation=Variation(kind=kind, sigma=sigma)
    )
    found = sums_of(wide(encoding), errors)[0, 0]
    spread = np.asarray(sigma)[levels]
    each = ((spread * (levels + off)) ** 2).sum(axis=1) + 1 / 12
    shared = DRIVEN * (sigma[0] * off) ** 2
    variance = float((factor**2 * each).sum() + factor.sum() ** 2 * shared)
    assert near(found.mean(), WEIGHT[:DRIVEN].sum(), 4, math.sqrt(variance / CHANNELS))
    kurtosis = 1.0 if kind == "lognormal" else 0.0  # of the sum, at most
    assert near(found.var(), variance, 4.5, variance * math.sqrt((2 + kurtosis) / CHANNELS))


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("reference", [True, False])
def test_the_current_of_cells_at_level_0_in_each_mapping(encoding: Encoding, reference: bool) -> None:
    """Gone with a reference column; without one it cancels, is counted off, or stays (two's complement)."""
    program = wide(encoding, 5)
    factor, _, slices = slices_of(encoding)
    errors = replace(IDEAL, columns=slices, off_level=3.0, reference_column=reference)
    left = sums_of(program, errors)[0, 0] - int(WEIGHT[:DRIVEN].sum())
    stays = encoding == "twos_complement" and not reference
    assert left.tolist() == [3 * DRIVEN * int(factor.sum()) if stays else 0] * 5


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_stuck_cell_counts_with_the_factor_of_its_column(encoding: Encoding) -> None:
    """All cells stuck: each slice of each driven row counts 15 times its factor, or 0."""
    factor, _, slices = slices_of(encoding)
    program = wide(encoding, 3)
    offset = program.crossbar_layers[0].crossbars.offset
    off = sums_of(program, replace(IDEAL, columns=slices, stuck=Stuck(on_rate=0.0, off_rate=1.0)))[0, 0]
    assert off.tolist() == [DRIVEN * offset] * 3
    on = replace(IDEAL, columns=slices, stuck=Stuck(on_rate=1.0, off_rate=0.0))
    if encoding != "twos_complement":
        assert sums_of(program, on)[0, 0].tolist() == [DRIVEN * (15 * int(factor.sum()) + offset)] * 3
        return
    # Signs that are 15 instead of 1 or 0 are more than digital words were made for. A tenth of them is not.
    with pytest.raises(ImcsimError, match="conduct so much more"):
        sums_of(program, on)
    some = replace(IDEAL, columns=slices, stuck=Stuck(on_rate=0.1, off_rate=0.0))
    held = programmed(program.crossbar_layers[0].crossbars.levels, slices, some, 0).levels()[:DRIVEN]
    expected = np.einsum("rsc,s->c", held.reshape(DRIVEN, slices, 3), factor)
    assert (held[:, 6:] == 15).any()
    assert sums_of(program, some)[0, 0].tolist() == expected.tolist()


@pytest.mark.parametrize("sigma", [3e-5, 1e-3, 4e-3, 0.02])
def test_the_smallest_variation_shows_in_the_cells_that_are_held(sigma: float) -> None:
    program = wide("offset", 200)
    levels = program.crossbar_layers[0].crossbars.levels.astype(np.float64)
    real = on_real_chip(program, replace(IDEAL, variation=Variation(kind="normal", sigma=(sigma,) * 16)), {})
    cells = real.crossbar_layers[0].crossbars
    assert isinstance(cells, RealCrossbars)
    if sigma in (3e-5, 0.02):
        assert cells.word == (np.int16 if sigma > 0.01 else np.int32)
    moved = np.square(cells.real_levels - levels).mean()
    assert moved == pytest.approx(sigma**2 * np.square(levels).mean(), rel=0.1)


# Draws of cells


def test_stuck_cells_are_as_many_as_the_rates_say_wherever_one_looks() -> None:
    """Chi-square: of the counts over cells, and of their spread over rows, columns and squares of cells."""
    on, off, size = 0.03, 0.07, 640
    for seed in range(4):
        chip = replace(IDEAL, seed=seed, stuck=Stuck(on_rate=on, off_rate=off))
        seen = programmed(np.full((size, size), 6, np.int16), 1, chip, 2).levels()
        for value, rate in ((15, on), (0, off)):
            stuck = seen == value
            counts = {
                "rows": stuck.sum(axis=0), "columns": stuck.sum(axis=1),
                "squares": stuck.reshape(40, 16, 40, 16).sum(axis=(1, 3)).ravel(),
            }  # fmt: skip
            for name, count in counts.items():
                cells = size * size / len(count)
                chi = float(((count - cells * rate) ** 2 / (cells * rate * (1 - rate))).sum())
                assert near(chi, len(count), 4.5, math.sqrt(2 * len(count))), name


def test_whether_a_cell_is_stuck_says_nothing_about_others() -> None:
    """Neighbours, the same cell of another layer, chip or seed, and what the cell was to be."""
    size, rate = 700, 0.1
    levels = np.random.default_rng(2).integers(1, 15, (size, size)).astype(np.int16)

    def stuck(**other: int) -> NDArray[np.bool_]:
        layer = other.pop("layer", 2)
        chip = replace(IDEAL, stuck=Stuck(on_rate=rate, off_rate=0), **other)
        return np.asarray(programmed(levels, 1, chip, layer).levels() == 15)

    base = stuck()
    others = {
        "below": np.roll(base, 1, axis=0), "beside": np.roll(base, 1, axis=1), "across": base.T,
        "layer": stuck(layer=3), "chip": stuck(chip=2), "seed": stuck(seed=4), "level": levels > 7,
    }  # fmt: skip
    for name, other in others.items():
        share = float(other.mean())
        both, among = float((base & other).mean()), rate * share
        assert near(both, among, 4.5, math.sqrt(among * (1 - among)) / size), name


# Noise of reads, through the program


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("noise", ["cells", "converter"])
def test_noise_of_a_sum_is_normal_and_anew_at_each_read(encoding: Encoding, noise: str) -> None:
    """Over images, timesteps and channels: variance in closed form, distribution, no two alike."""
    read, lsb = (0.2, 0.0) if noise == "cells" else (0.0, 5.0)
    errors = replace(
        IDEAL,
        off_level=OFF,
        read_noise=read,
        converter=ConverterErrors(offset_lsb=0, gain_sigma=0, noise_lsb=lsb),
    )
    factor, levels, _ = slices_of(encoding)
    images, channels = 64, 40
    found = sums_of(wide(encoding, channels), errors, images) - int(WEIGHT[:DRIVEN].sum())
    # The reference is read for each conversion.
    squares = ((levels + OFF) ** 2).sum(axis=1) + DRIVEN * OFF**2
    variance = float((factor**2 * (read**2 * squares + lsb**2 + 1 / 12)).sum())
    count = found.size
    z = found / math.sqrt(variance)
    assert near(z.mean(), 0, 4, 1 / math.sqrt(count))
    assert near(z.var(), 1, 4.5, math.sqrt(2 / count))
    step = math.gcd(*(int(f) for f in factor)) / math.sqrt(variance)
    assert kolmogorov(z) < 1.95 / math.sqrt(count) + 0.2 * step  # half a step, where sums are rounded
    for axis, size in enumerate(found.shape):
        lines = np.moveaxis(z, axis, 0).reshape(size, -1)
        assert len(np.unique(lines, axis=0)) == size
        # The mean of independent numbers spreads as one over their root.
        assert near(lines.mean(axis=0).var() * size, 1, 5, math.sqrt(2 / lines.shape[1]))
        shifted = float(np.mean(lines[1:] * lines[:-1]))
        assert near(shifted, 0, 4.5, 1 / math.sqrt(lines[1:].size))


def test_noise_does_not_depend_on_how_images_are_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over threads, and over the pieces in which they go through a layer."""
    errors = replace(
        IDEAL, read_noise=0.1, converter=ConverterErrors(offset_lsb=0.5, gain_sigma=0.01, noise_lsb=0.5)
    )
    real = on_real_chip(plain("differential"), errors, {})
    converters = ideal_converters(real)
    images = np.concatenate([TEST.images, HELD_OUT.images, TEST.images[::-1]])
    whole = run(real, images, T, converters, workers=1).outputs
    for pieces, workers in ((5, 1), (7, 2), (100, 3)):
        monkeypatch.setattr("imcsim.functional.in_flight.CHUNK_IMAGES", pieces)
        assert np.array_equal(run(real, images, T, converters, workers=workers).outputs, whole)
    assert not np.array_equal(whole[:12], whole[-12:][::-1]), "each image has noise of its own"


def test_converters_that_are_off_by_thousands_of_steps_overflow_no_sum() -> None:
    rng = np.random.default_rng(1)
    weight = rng.integers(-128, 128, (4, 1500))
    net = Network(
        "wide", (1500, 1, 1), 8, 1 / 255, 4, 1, 8,
        (Linear("fc", ("input",), weight, np.full(4, 1e-6), np.zeros(4)),),
    )  # fmt: skip
    config = imcsim.hardware.load("dtsnn_32nm", {"cells.rows": 4, "adc.bits": 14}).config
    errors = replace(IDEAL, converter=ConverterErrors(offset_lsb=16_000.0))
    real = on_real_chip(build(net, numerics(config)), errors, {})
    images = rng.integers(0, 256, (2, 1500, 1, 1)).astype(np.uint8)
    found = run(real, images, 1, ideal_converters(real), workers=1, record={"fc"}).recorded["fc"]
    steps = tuple(
        replace(s, accumulator=np.dtype(np.int64)) if isinstance(s, CrossbarLayer) else s for s in real.steps
    )
    wide = run(replace(real, steps=steps), images, 1, ideal_converters(real), workers=1, record={"fc"})
    assert np.abs(wide.recorded["fc"]).max() > 1 << 31
    assert np.array_equal(found, wide.recorded["fc"])


# Energy


@pytest.mark.parametrize("inactive", ["grounded", "gated"])
def test_energy_of_an_array_is_that_of_its_real_cells_behind_their_wires(inactive: str) -> None:
    """The first layer's ledger against power that the exact solver finds for each read of the image."""
    pytest.importorskip("scipy")
    keys: dict[str, object] = {
        "variation.sigma": 0.3, "stuck.on_rate": 0.02, "drift.exponent": 0.03, "drift.time_s": 1e4,
        "on_off.finite": True, "wires.wordline_ohm": 80.0, "wires.bitline_ohm": 60.0,
        "wires.inactive": inactive,
    }  # fmt: skip
    chosen = {f"nonideal.{key}": value for key, value in keys.items()}
    hardware = imcsim.hardware.load("dtsnn_32nm", {**chosen, "cells.row_order": "im2col"})
    config, few = hardware.config, replace(TEST, images=TEST.images[:1], labels=TEST.labels[:1])
    done = simulate(make_chip(NET, hardware, HELD_OUT, Timing(1, Issue()), seed=4), few, workers=1)
    counted = done.dynamic.ledger.varied
    price = config.cells.charges(config)
    layer, at = done.chip.program.crossbar_layers[0], (0, 0, 1)
    energy_pj = sum(
        counted[event][at] * price.get(event, 0.0) for event in (Event.ACTIVE_LEVELS, Event.ACTIVE_CELLS)
    )

    errors = nonideal(config, 4)
    assert errors is not None
    cells = programmed(layer.crossbars.levels, len(layer.crossbars.factor), errors, 0)
    assert cells.reference is not None
    assert cells.columns.crossbars == layer.layout.blocks == 1
    order = np.argsort(cells.columns.place)
    siemens = np.column_stack([cells.conductance[:, order], cells.reference]) * errors.level_siemens
    active = driven_rows(layer, few.images[0])
    volt, pulse_s = config.cells.v_read_v, config.cells.pulse_ns(config) * 1e-9
    power_w = Crossbar(siemens, errors.wires).read(active, volt).power_w.sum()
    assert energy_pj == pytest.approx(power_w * pulse_s * 1e12, rel=0.02)
    # (The simulator's ladders take the mean number of active rows.) Another one without wires, and with the
    # cells as they were to be:
    bare_w = volt**2 * (active @ siemens.sum(axis=1)).sum()
    assert bare_w > 1.1 * power_w
    was = (layer.crossbars.levels.sum(axis=1) + siemens.shape[1] * OFF) * errors.level_siemens
    assert abs(volt**2 * (active @ was).sum() / bare_w - 1) > 0.05


def test_energy_stays_that_of_the_cells_when_most_of_their_current_is_gone() -> None:
    """Cells at level 0 that conduct most of the current, and lose it: ``(l + r) (t / t_0)^-nu``."""
    keys: dict[str, object] = {
        "cells.encoding": "differential", "cells.r_off_ohm": 40_000.0, "nonideal.on_off.finite": True,
        "nonideal.on_off.reference_column": False,
    }  # fmt: skip
    drift: dict[str, object] = {"nonideal.drift.exponent": 0.5, "nonideal.drift.time_s": 1e4}
    array_pj = {}
    for name, more in {"plain": {}, "finite": keys, "drifted": keys | drift}.items():
        said = keys | {"nonideal.on_off.finite": False} if name == "plain" else more
        hardware = imcsim.hardware.load("dtsnn_32nm", said)
        done = simulate(make_chip(NET, hardware, HELD_OUT, Timing(1, Issue()), seed=4), TEST, workers=1)
        price, counted = hardware.config.cells.charges(hardware.config), done.dynamic.ledger.varied
        assert all((counts >= 0).all() for counts in counted.values()), name
        # Of the first layer, whose inputs are the same on all of them.
        array_pj[name] = sum(counted[event][:, :, 1].sum() * one for event, one in price.items())
    assert array_pj["finite"] == pytest.approx(array_pj["plain"], rel=1e-9)
    assert array_pj["drifted"] == pytest.approx(array_pj["finite"] / 100, rel=1e-4)


def driven_rows(layer: CrossbarLayer, image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Rows that one image drives ``[reads, rows]``: at each position of the window, for each bit."""
    (down, right), (height, width) = layer.padding, layer.out_shape[:2]
    framed = np.pad(image, ((0, 0), (down, down), (right, right)))
    driven = np.zeros((height, width, layer.planes, layer.layout.rows))
    for (ky, kx, channel), (row, _) in naive.row_of_input(layer.layout).items():
        seen = framed[channel, ky : ky + height, kx : kx + width]
        for plane in range(layer.planes):
            driven[:, :, plane, row] = seen >> plane & 1
    return driven.reshape(-1, layer.layout.rows)


# Values that no chip has

HOSTILE = (".nan", ".inf", "-.inf", "1e400", "1e308", "-1", "nan", "text", "true", "null", "{}", "[]", '""')


def test_hostile_values_of_every_key_are_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = imcsim.hardware.load("dtsnn_32nm").config.nonideal.model_dump(mode="json")
    keys = [(f"{block}.{key}", default) for block in blocks for key, default in blocks[block].items()]
    values = itertools.cycle(HOSTILE)  # 13 of them, and each key gets four: all kinds of keys see all values
    for key, default in keys:
        for value in itertools.islice(values, 4):
            allowed = isinstance(default, bool) and value == "true"
            if allowed or (key, value) == ("drift.time_s", "1e308"):
                continue
            setting = f"nonideal.{key}={value}"
            assert main(["compare", "--images", "1", "--set", setting]) == 2, setting
            said = capsys.readouterr()
            assert said.err.startswith(f"error: override nonideal.{key}: "), setting
            assert said.err.count("\n") == 1, setting
            assert not said.out, setting


def test_as_many_sigmas_as_levels_are_asked_for_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    for count in (2, 15, 17):
        setting = f"nonideal.variation.sigma={[0.1] * count}"
        assert main(["compare", "--images", "1", "--set", setting]) == 2
        said = capsys.readouterr().err
        assert f"nonideal.variation.sigma lists {count} numbers" in said
        assert "give one number, or 16" in said
        assert said.count("\n") == 1


@pytest.mark.parametrize(
    "errors",
    [
        {"variation": Variation(kind="lognormal", sigma=(100.0,) * 16)},
        {"variation": Variation(kind="normal", sigma=(100.0,) * 16)},
        {"drift": Drift(exponent=0.0, exponent_sigma=10.0, time_s=1e308)},
        {"off_level": 1e300},
        {"off_level": 1e300, "reference_column": False},
    ],
)
@pytest.mark.filterwarnings("error")
def test_cells_beyond_all_numbers_are_refused(errors: dict[str, Any]) -> None:
    with pytest.raises(ImcsimError, match="conduct so much more"):
        on_real_chip(wide("offset", 40), replace(IDEAL, **errors), {})
