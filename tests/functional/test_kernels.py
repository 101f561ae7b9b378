"""Compiled kernels against their plain twins in `naive`, and against closed forms."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import naive
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from imcsim.base.choices import Encoding, RowOrder
from imcsim.functional import kernels, membrane_kernels
from imcsim.functional.crossbars import crossbars, read_kernels
from imcsim.functional.crossbars.crossbars import Crossbars
from imcsim.functional.program.layers import word_of
from imcsim.network.cells import CellColumns, to_cells
from imcsim.network.rows import RowLayout, layout

QUICK = settings(max_examples=60, deadline=None)
IDEAL = 2**30
NO_STATE = np.empty((0, membrane_kernels.STATES, 0), np.int64)

GEOMETRY = st.fixed_dictionaries(
    {
        "height": st.integers(3, 6),
        "width": st.integers(3, 5),
        "channels": st.integers(1, 7),
        "out": st.integers(1, 4),
        "kernel": st.tuples(st.integers(1, 3), st.integers(1, 3)),
        "stride": st.tuples(st.integers(1, 3), st.integers(1, 2)),
        "pad": st.tuples(st.integers(0, 2), st.integers(0, 2)),
        "dilation": st.tuples(st.integers(1, 3), st.integers(1, 2)),
        "rows": st.integers(1, 30),
        "parallel": st.one_of(st.none(), st.integers(1, 32)),
        "order": st.sampled_from(["im2col", "kernel_position"]),
        "encoding": st.sampled_from(["offset", "differential", "twos_complement"]),
        "weight_bits": st.integers(2, 16),
        "cell_bits": st.integers(1, 8),
        "planes": st.integers(1, 8),
        "density": st.sampled_from([0.0, 0.1, 0.5, 1.0]),
        "seed": st.integers(0, 2**31),
    }
)


class Case:
    """One random layer with its inputs, and both ways to play it."""

    def __init__(self, geometry: dict[str, Any]) -> None:
        self.rng = rng = np.random.default_rng(geometry["seed"])
        kernel, self.stride, self.planes = geometry["kernel"], geometry["stride"], geometry["planes"]
        self.padding = geometry["pad"]
        size = (geometry["height"], geometry["width"])
        dilation = tuple(
            d if (k - 1) * d < s + 2 * p else 1
            for d, k, s, p in zip(geometry.get("dilation", (1, 1)), kernel, size, self.padding, strict=True)
        )
        order: RowOrder = geometry["order"]
        encoding: Encoding = geometry["encoding"]
        self.at: RowLayout = layout(
            kernel, geometry["channels"], geometry["rows"], order, dilation, geometry.get("parallel")
        )
        bits = geometry["weight_bits"]
        limit = 2 ** (bits - 1) - 1
        self.weight = rng.integers(-limit, limit + 1, (geometry["out"], geometry["channels"], *kernel))
        cells: CellColumns = to_cells(self.at.order(self.weight), bits, geometry["cell_bits"], encoding)
        self.factor, self.offset = cells.factor, cells.offset
        self.levels: NDArray[Any] = np.ascontiguousarray(cells.levels.reshape(-1, self.at.rows).T)
        shape = (2, geometry["height"], geometry["width"], geometry["channels"])
        pixels = rng.integers(1, 2**self.planes, shape)
        self.inputs = (pixels * (rng.random(shape) < geometry["density"])).astype(np.uint8)
        self.largest_sum = int(self.at.block_rows.max()) * (2 ** geometry["cell_bits"] - 1)

    @property
    def out_size(self) -> tuple[int, int]:
        down, right = (
            (size + 2 * pad - (k - 1) * apart - 1) // step + 1
            for size, pad, k, apart, step in zip(
                self.inputs.shape[1:3],
                self.padding,
                self.at.kernel,
                self.at.dilation,
                self.stride,
                strict=True,
            )
        )
        return down, right

    @property
    def crossbars(self) -> Crossbars:
        return Crossbars(self.at, self.levels, self.factor, self.offset)

    def compiled(
        self, shift: NDArray[np.int64], largest: int, accumulator: type
    ) -> tuple[NDArray[Any], NDArray[np.int64]]:
        out = np.full((len(self.inputs), *self.out_size, len(self.weight)), -77, accumulator)
        counts = self.crossbars.read(self.inputs, self.planes, shift, largest, self.stride, self.padding, out)
        return out, counts

    def plain(self, shift: NDArray[np.int64], largest: int) -> naive.Reads:
        return naive.crossbar_reads(
            self.inputs, self.planes, self.at, self.levels, self.factor, self.offset, shift, largest,
            self.stride, self.padding,
        )  # fmt: skip


@QUICK
@given(GEOMETRY)
def test_ideal_reads_are_the_convolution(geometry: dict[str, Any]) -> None:
    """Law 3 for one layer: whatever the encoding, slices and blocks, the sums are the integer convolution."""
    case = Case(geometry)
    out, _ = case.compiled(np.zeros(len(case.factor), np.int64), IDEAL, np.int64)
    assert np.array_equal(
        out, naive.convolution(case.inputs, case.weight, case.stride, case.padding, case.at.dilation)
    )


@QUICK
@given(GEOMETRY, st.integers(0, 7), st.integers(1, 14))
def test_reads_with_a_real_converter(geometry: dict[str, Any], shift: int, adc_bits: int) -> None:
    """Rounding and clipping, a step of its own for each slice, and all counts."""
    case = Case(geometry)
    shifts = np.maximum(case.rng.integers(shift - 2, shift + 1, len(case.factor)), 0)
    largest = 2**adc_bits - 1
    out, counts = case.compiled(shifts, largest, np.int64)
    plain = case.plain(shifts, largest)
    assert np.array_equal(out, plain.sums)
    assert counts[:, 0].tolist() == plain.active_rows.tolist()
    assert counts[:, 1].tolist() == plain.active_levels.tolist()
    assert counts[:, 2].tolist() == plain.active_reads.tolist()
    if np.abs(plain.sums).max() * 2 < 2**30 and geometry["weight_bits"] <= 8:
        short, _ = case.compiled(shifts, largest, np.int32)
        assert np.array_equal(short, plain.sums), "a short accumulator gives the same"


@QUICK
@given(GEOMETRY, st.lists(st.integers(1, 400), min_size=1, max_size=4, unique=True))
def test_column_sums_beyond_bounds(geometry: dict[str, Any], bounds: list[int]) -> None:
    case = Case(geometry)
    ascending = np.array(sorted(bounds), np.int64)
    sums, beyond = case.crossbars.sums_beyond(
        case.inputs, case.planes, ascending, case.stride, case.padding, case.out_size
    )
    plain = case.plain(np.zeros(len(case.factor), np.int64), IDEAL)
    assert (sums, beyond.tolist()) == naive.sums_beyond(plain, len(case.factor), len(case.weight), ascending)


@QUICK
@given(GEOMETRY)
def test_events_are_the_bits_of_the_inputs(geometry: dict[str, Any]) -> None:
    """All places of a map, in order; and edges cut each pixel's into pieces."""
    case = Case(geometry)
    wide = case.rng.random() < 0.5  # more channels than are looked at together
    inputs = np.repeat(case.inputs, 70, axis=3) if wide else case.inputs
    edges = np.unique([0, *case.rng.integers(0, inputs.shape[3], 2), inputs.shape[3]]).astype(np.int32)
    pixels = inputs.reshape(2, -1, inputs.shape[3])
    starts = np.full((2, case.planes, pixels.shape[1], len(edges)), -7, np.int32)
    events = np.full(inputs.size * case.planes + read_kernels.COPIED, -7, np.int32)
    read_kernels.find_events(pixels.reshape(-1), edges, starts.shape, starts.reshape(-1), events)
    for n, plane, pixel in np.ndindex(starts.shape[:3]):
        expected = np.flatnonzero(pixels[n, pixel] >> plane & 1)
        at = starts[n, plane, pixel]
        assert events[at[0] : at[-1]].tolist() == (pixel * inputs.shape[3] + expected).tolist()
        assert (at - at[0]).tolist() == np.searchsorted(expected, edges).tolist()


@pytest.mark.parametrize("rows", [16, 40, 300])
@pytest.mark.parametrize("out", [30, 65, 200])
@pytest.mark.parametrize(("shift", "other"), [(0, 0), (1, 0), (1, 1), (3, 2)])
def test_rows_of_several_vectors(rows: int, out: int, shift: int, other: int) -> None:
    """More columns than are added up together, more rows than fit their words, and several groups.

    Bytes hold cells and codes where slices have one step, of up to two levels; and cells where all codes are
    sums, up to 300 rows of 15 levels.
    """
    geometry = {
        "height": 2, "width": 2, "channels": 300, "out": out, "kernel": (2, 2), "stride": (1, 1),
        "pad": (1, 0), "rows": rows, "order": "im2col", "encoding": "offset", "weight_bits": 8,
        "cell_bits": 4, "planes": 1, "density": 0.5, "seed": rows + out + shift,
    }  # fmt: skip
    case = Case(geometry)
    shifts = np.array([shift, other])
    for largest in (255, 200, 15 * rows - 1, 15 * rows, IDEAL):
        out_sums, counts = case.compiled(shifts, largest, np.int32)
        plain = case.plain(shifts, largest)
        assert np.array_equal(out_sums, plain.sums)
        assert counts[:, 2].tolist() == plain.active_reads.tolist()


@pytest.mark.parametrize(("planes", "out", "stride", "dilation"), [
    (1, 70, (1, 1), (1, 1)), (3, 30, (2, 1), (1, 1)), (2, 150, (1, 1), (2, 1)), (1, 64, (1, 2), (1, 1)),
    (1, 131, (1, 1), (1, 1)),
])  # fmt: skip
def test_reads_pixel_by_pixel(
    planes: int, out: int, stride: tuple[int, int], dilation: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """Blocks of one pixel's channels, with and without loss, few images at a time: as window by window."""
    channels, rows = (63, 63) if out == 131 else (128, 64)
    geometry = {
        "height": 6, "width": 8, "channels": channels, "out": out, "kernel": (3, 3), "stride": stride,
        "pad": (1, 1), "dilation": dilation, "rows": rows, "order": "im2col", "encoding": "offset",
        "weight_bits": 8, "cell_bits": 4, "planes": planes, "density": 0.5, "seed": planes + out,
    }  # fmt: skip
    case = Case(geometry)
    about = case.inputs.shape[1:3], case.stride, case.padding, case.out_size
    by_pixel = case.crossbars._pixel_reads(*about)
    assert by_pixel is not None
    assert len(by_pixel.lists) == channels // rows
    for cache in (crossbars.CACHE_BYTES, 1):
        monkeypatch.setattr(crossbars, "CACHE_BYTES", cache)
        for shift, largest in ((0, 255), (1, 255), (1, 40), (0, IDEAL)):
            shifts = np.array([shift, shift])
            sums, counts = case.compiled(shifts, largest, np.int32 if cache == 1 else np.int64)
            plain = case.plain(shifts, largest)
            assert np.array_equal(sums, plain.sums)
            assert counts[:, 0].tolist() == plain.active_rows.tolist()
            assert counts[:, 2].tolist() == plain.active_reads.tolist()


def test_which_layers_are_read_pixel_by_pixel() -> None:
    """Those whose blocks have the channels of one pixel, where most reads of three count; of one list the
    codes must fit a word of 16 bits.
    """
    geometry = {
        "height": 6, "width": 6, "channels": 64, "out": 2, "kernel": (3, 3), "stride": (1, 1), "pad": (1, 1),
        "rows": 64, "order": "im2col", "encoding": "offset", "weight_bits": 8, "cell_bits": 4, "planes": 1,
        "density": 0.5, "seed": 1,
    }  # fmt: skip

    def found(**other: Any) -> Any:
        case = Case(geometry | other)
        return case.crossbars._pixel_reads(case.inputs.shape[1:3], case.stride, case.padding, case.out_size)

    assert found() is not None
    assert found(rows=80) is None, "blocks of more than one pixel"
    assert found(channels=3) is None, "a block of all pixels"
    assert found(order="kernel_position") is None, "a block of all pixels"
    assert found(kernel=(1, 1), pad=(0, 0)) is None, "a pixel drives one window"
    assert found(height=2, width=2) is None, "most windows lie outside"
    large = found(kernel=(9, 9), pad=(4, 4), height=12, width=12)
    assert large.groups(15, 255).tolist() == [0, 1]
    assert large.groups(15, IDEAL) is None
    several = found(channels=640, kernel=(4, 4), height=9, width=9)
    assert several.groups(15, IDEAL).tolist() == [0, 4, 8, 10]


@pytest.mark.parametrize("cell_bits", [2, 4])
def test_groups_of_blocks_change_nothing(cell_bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither does listing the events of few images at a time."""
    geometry = {
        "height": 4, "width": 3, "channels": 7, "out": 3, "kernel": (3, 3), "stride": (1, 1),
        "pad": (1, 1), "rows": 5, "order": "im2col", "encoding": "differential", "weight_bits": 8,
        "cell_bits": cell_bits, "planes": 3, "density": 0.5, "seed": 5,
    }  # fmt: skip
    case = Case(geometry)
    shifts = np.array([1, 0, 1, 0, 0, 0, 1, 0] if cell_bits == 2 else [1, 1, 1, 1])
    out, counts = case.compiled(shifts, 7, np.int64)
    assert len(case.crossbars.groups) == len(case.crossbars.packed_groups) == 2
    monkeypatch.setattr(crossbars, "CACHE_BYTES", 1000)
    monkeypatch.setattr(crossbars, "EVENTS", 1)
    assert len(case.crossbars.groups) > len(case.crossbars.packed_groups) > 3
    again, same = case.compiled(shifts, 7, np.int64)
    assert np.array_equal(out, again)
    assert np.array_equal(counts, same)
    assert np.array_equal(out, case.plain(shifts, 7).sums)


@QUICK
@given(GEOMETRY)
def test_active_blocks(geometry: dict[str, Any]) -> None:
    """Block by block what `crossbar_reads` counts as reads with a row active."""
    case = Case(geometry)
    positions = case.out_size[0] * case.out_size[1]
    active = np.ones((len(case.inputs), positions, case.planes, case.at.blocks), bool)
    at = case.at
    kernels.active_blocks(
        case.inputs, case.planes, at.down, at.right, at.first, at.last, at.block, case.stride,
        case.padding, case.out_size, active,
    )  # fmt: skip
    plain = naive.active_blocks(case.inputs, case.planes, at, case.stride, case.padding, case.out_size)
    assert np.array_equal(active, plain)
    _, counts = case.compiled(np.zeros(len(case.factor), np.int64), IDEAL, np.int64)
    assert active.sum(axis=(1, 2, 3)).tolist() == counts[:, 2].tolist()


@QUICK
@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 9), st.integers(0, 8), st.integers(0, 2**31))
def test_bus_toggles(height: int, width: int, channels: int, bits: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    inputs = rng.integers(0, 2**bits, (2, height, width, channels)).astype(np.uint8)
    toggles = np.full((2, height), -1, np.int64)
    kernels.bus_toggles(inputs, toggles)
    assert np.array_equal(toggles, naive.bus_toggles(inputs))


def test_bus_toggles_by_hand() -> None:
    """Words 0b101, 0b110, 0b110: two bits rise, two change, none changes."""
    toggles = np.zeros((1, 1), np.int64)
    kernels.bus_toggles(np.array([[[[5], [6], [6]]]], np.uint8), toggles)
    assert toggles.tolist() == [[4]]


def test_converter_rounds_halves_up_and_clips() -> None:
    """One row of levels 0 to 15, one read each: step 4, codes up to 2."""
    levels = np.arange(16, dtype=np.int16)[None, :]
    cells = Crossbars(layout((1, 1), 1, 1, "im2col"), levels, np.array([1]), 0)
    out = np.empty((1, 1, 1, 16), np.int32)
    counts = cells.read(np.ones((1, 1, 1, 1), np.uint8), 1, np.array([2]), 2, (1, 1), (0, 0), out)
    assert out[0, 0, 0].tolist() == [0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8]
    assert counts.tolist() == [[1, 120, 1]]


def test_largest_sums_do_not_overflow() -> None:
    """16-bit weights, 8-bit inputs and one bit a cell, all at their ends; a one-bit converter as well."""
    for encoding in ("offset", "differential", "twos_complement"):
        for sign in (-1, 1):
            geometry = {
                "height": 1, "width": 1, "channels": 600, "out": 1, "kernel": (1, 1), "stride": (1, 1),
                "pad": (0, 0), "rows": 256, "order": "im2col", "encoding": encoding, "weight_bits": 16,
                "cell_bits": 1, "planes": 8, "density": 1.0, "seed": 0,
            }  # fmt: skip
            case = Case(geometry)
            weight = np.full((1, 600), sign * 32767)
            cells = to_cells(weight, 16, 1, encoding)
            case.levels = np.ascontiguousarray(cells.levels.reshape(-1, 600).T)
            case.inputs[:] = 255
            for shift, largest in ((0, IDEAL), (8, 1)):
                shifts = np.full(len(case.factor), shift)
                out, _ = case.compiled(shifts, largest, np.int64)
                assert np.array_equal(out, case.plain(shifts, largest).sums)
                if shift == 0:
                    assert out.ravel().tolist() == [sign * 32767 * 255 * 600] * 2


LIF = st.fixed_dictionaries(
    {
        "leaks": st.lists(st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]), min_size=4, max_size=4),
        "synapses": st.none() | st.lists(st.sampled_from([0.0, 0.5, 0.7, 1.0]), min_size=4, max_size=4),
        "decay_bits": st.sampled_from([15, 43, 48]),
        "reset": st.sampled_from(["hard", "soft", "none"]),
        "late": st.booleans(),
        "above": st.booleans(),
        "timesteps": st.integers(1, 5),
        "stored": st.booleans(),
        "membrane_bits": st.sampled_from([8, 12, 16, 32, 48, 56]),
        "shift": st.integers(-12, 20),
        "wide": st.booleans(),
        "floor": st.booleans(),
        "initial": st.booleans(),
        "drift": st.booleans(),
        "most": st.sampled_from([1, 1, 2, 5, 255]),
        "refractory": st.sampled_from([0, 0, 1, 3]),
        "seed": st.integers(0, 2**31),
    }
)


@settings(max_examples=200, deadline=None)
@given(LIF)
def test_neurons(setting: dict[str, Any]) -> None:
    """All leaks, resets, synapses and alignments, with membranes that often run into their ends."""
    rng = np.random.default_rng(setting["seed"])
    bits = setting["decay_bits"]
    limit = 2 ** (min(setting["membrane_bits"], 48 if bits == 15 else 56) - 1) - 1
    timesteps, channels = setting["timesteps"], 4
    shifts = setting["shift"] + rng.integers(-2, 3, channels)
    left, right = np.maximum(shifts, 0), np.maximum(-shifts, 0)
    # Small ones are met exactly, which `above` turns down.
    threshold = rng.integers(1, 4 if rng.random() < 0.3 else max(limit // 4, 2), channels)
    bias = rng.integers(-limit // 3, limit // 3 + 1, channels)
    spread = max(int(limit / 2.0 ** float(setting["shift"])), 4)
    spread = min(spread, 2**40 if setting["wide"] else 2**30)
    current = rng.integers(-spread, spread + 1, (2, 1 if setting["stored"] else timesteps, 3, channels))
    current = current.astype(np.int64 if setting["wide"] else np.int32)
    leak, synapse = (
        np.rint(np.array(d or []) * 2.0**bits).astype(np.int64)
        for d in (setting["leaks"], setting["synapses"])
    )
    spikes = np.full((2, timesteps, 3, channels), 9, np.uint8)
    counts = np.full((2, timesteps), -1, np.int64)
    reset, late, above = setting["reset"], setting["late"], setting["above"]
    most, refractory = setting["most"], setting["refractory"]
    late, above = late and most == 1 and refractory == 0, above and most == 1
    nothing = np.zeros(0, np.int64)
    floor = rng.integers(-limit // 2, 1, channels) if setting["floor"] else nothing
    initial = rng.integers(-limit // 2, limit // 2, channels) if setting["initial"] else nothing
    drift = rng.integers(-limit // 8, limit // 8 + 1, channels) if setting["drift"] else nothing
    code = {"hard": kernels.HARD, "soft": kernels.SOFT, "none": kernels.NONE}[reset]
    more = membrane_kernels.more_of(synapse, late, floor, initial, drift, most, refractory)
    membrane_kernels.lif(
        current, left, right, bias, threshold, above, leak, bits, code, limit, more, NO_STATE, True, spikes,
        counts,
    )  # fmt: skip
    about: Any = SimpleNamespace(left=left, right=right, bias=bias, limit=limit, decay_bits=bits)
    word = word_of(about, int(np.abs(current).max()))
    plain = naive.lif(
        current, left, right, bias, threshold, above, leak, synapse, bits, reset, late, limit, timesteps,
        floor, initial, drift, most, refractory,
    )  # fmt: skip
    assert np.array_equal(spikes, plain)
    assert np.array_equal(counts, plain.sum(axis=(2, 3)))
    # The same in two blocks of timesteps, with what neurons keep in between.
    state, cut = np.full((2, membrane_kernels.STATES, 12), 7, np.int64), int(rng.integers(1, timesteps + 1))
    integrated = np.full(spikes.shape, 9, np.int64)
    state_of_integrators = state.copy()
    for times in (slice(0, cut), slice(cut, timesteps)) if cut < timesteps else (slice(0, timesteps),):
        entering = np.ascontiguousarray(current if setting["stored"] else current[:, times])
        some, number = np.empty_like(spikes[:, times]), np.empty_like(counts[:, times])
        membrane_kernels.lif(
            entering, left, right, bias, threshold, above, leak, bits, code, limit, more, state,
            times.start == 0, some, number, word,
        )  # fmt: skip
        assert np.array_equal(some, spikes[:, times])
        assert np.array_equal(number, counts[:, times])
        piece = np.empty(some.shape, np.int64)
        membrane_kernels.integrate(
            entering, left, right, bias, leak, synapse, bits, limit, state_of_integrators, times.start == 0,
            piece,
        )  # fmt: skip
        integrated[:, times] = piece
    membranes = np.full(spikes.shape, 9, np.int64)
    membrane_kernels.integrate(
        current, left, right, bias, leak, synapse, bits, limit, NO_STATE, True, membranes
    )
    assert np.array_equal(membranes, integrated)
    assert np.array_equal(
        membranes, naive.integrate(current, left, right, bias, leak, synapse, bits, limit, timesteps)
    )


def neuron(
    currents: list[int], leak: float, threshold: int, *, hard: bool, limit: int = 2**15 - 1, **more: Any
) -> list[int]:
    """Spikes of one neuron."""
    given = np.array(currents, np.int32).reshape(1, -1, 1, 1)
    spikes = np.empty(given.shape, np.uint8)
    counts = np.empty(given.shape[:2], np.int64)
    zero = np.zeros(1, np.int64)
    synapse = np.array([round(s * 2**15) for s in more.get("synapse", ())], np.int64)
    membrane_kernels.lif(
        given, zero, zero, zero, np.array([threshold]), more.get("above", False),
        np.array([round(leak * 2**15)]), 15, kernels.HARD if hard else kernels.SOFT, limit,
        membrane_kernels.more_of(
            synapse, more.get("late", False),
            *(np.array(more.get(key, ()), np.int64) for key in ("floor", "initial", "drift")),
            more.get("most", 1), more.get("refractory", 0),
        ),
        NO_STATE, True, spikes, counts,
    )  # fmt: skip
    return [int(s) for s in spikes.ravel()]


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ({"hard": True, "late": True}, [0, 1, 0, 0, 1]),  # 6, 12, 0 (the current is lost), 6, 12
        ({"hard": False, "late": True}, [0, 1, 0, 1, 1]),  # 6, 12, 8, 14, 10
        ({"hard": False, "late": True, "above": True}, [0, 1, 0, 1, 0]),  # the last 10 is not above 10
        ({"hard": True, "synapse": [0.5]}, [0, 1, 1, 1, 1]),  # 6, 9, 10, 11, 11: 6, 15, 10, 11, 11
    ],
)
def test_late_resets_and_synapses_by_hand(setting: dict[str, Any], expected: list[int]) -> None:
    assert neuron([6] * 5, 1.0, 10, **setting) == expected


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ({"hard": False, "most": 3}, [3, 2, 0, 0]),  # 35 is three and 5; 25; -35 to -30; 4 to -26
        ({"hard": False, "most": 2}, [2, 2, 0, 1]),  # 35 to 15; 35 to 15; -40; 14
        ({"hard": True, "most": 9}, [3, 2, 0, 0]),  # 35 to 0; 20 to 0; -55; -1
        ({"hard": False, "most": 9, "floor": [-6]}, [3, 2, 0, 4]),  # -6 in place of -50, then 48
        ({"hard": False, "floor": [0], "initial": [-30]}, [0, 1, 0, 1]),  # 5; 25 to 15; 0 for -40; 54
        ({"hard": True, "refractory": 2, "initial": [-30]}, [0, 1, 0, 0]),
        ({"hard": True, "drift": [-26]}, [0, 0, 0, 0]),  # 9, 3, -78, -50
    ],
)
def test_several_spikes_and_floors_by_hand(setting: dict[str, Any], expected: list[int]) -> None:
    assert neuron([35, 20, -55, 54], 1.0, 10, **setting) == expected


@pytest.mark.parametrize("hard", [True, False])
def test_refractory_timesteps_by_hand(hard: bool) -> None:
    """Two timesteps of rest after each spike, whatever comes in; a soft reset leaves 2, then 4."""
    assert neuron([12] * 7, 1.0, 10, hard=hard, refractory=2) == [1, 0, 0, 1, 0, 0, 1]
    later = [0, 1, 0, 0, 1, 0, 0] if hard else [0, 1, 0, 1, 0, 1, 0]
    assert neuron([9] * 7, 1.0, 10, hard=hard, refractory=1) == later


@pytest.mark.parametrize(
    ("leak", "hard", "expected"),
    [
        (1.0, True, [0, 1, 0, 1, 0]),  # 6, 12 -> 0, 6, 12 -> 0, 6
        (1.0, False, [0, 1, 0, 1, 1]),  # 6, 12 -> 2, 8, 14 -> 4, 10 -> 0
        (0.5, True, [0, 0, 1, 0, 0]),  # 6, 9, 10 -> 0, 6, 9
        (0.5, False, [0, 0, 1, 0, 0]),
        (0.0, True, [0, 0, 0, 0, 0]),
    ],
)
def test_neuron_by_hand(leak: float, hard: bool, expected: list[int]) -> None:
    assert neuron([6] * 5, leak, 10, hard=hard) == expected


def test_leak_rounds_towards_minus_infinity() -> None:
    """-1 halved is -1, as an arithmetic shift gives: the membrane stays one count below zero."""
    assert neuron([-1, 10, 0], 0.5, 10, hard=True) == [0, 0, 0]
    assert neuron([0, 10, 0], 0.5, 10, hard=True) == [0, 1, 0]


def test_membrane_saturates() -> None:
    """At +-127: -1000 leaves -128, from which 100 twice reaches 72; else it would stay below zero."""
    assert neuron([-1000, 100, 100], 1.0, 70, hard=True, limit=127) == [0, 0, 1]
    # Soft reset: 1000 saturates at 127, 127 - 70 = 57, and 12 more stay below the threshold.
    assert neuron([1000, 12, 1], 1.0, 70, hard=False, limit=127) == [1, 0, 1]


@QUICK
@given(
    *[st.tuples(st.integers(1, 4), st.integers(1, 4))] * 2,
    st.booleans(),
    st.sampled_from([1, 4, 15]),
    st.integers(0, 2**31),
)
@example((2, 2), (2, 2), False, 3, 0)
def test_pool(size: tuple[int, int], stride: tuple[int, int], sums: bool, largest: int, seed: int) -> None:
    """Overlapping, gapped, ragged and padded windows; maxima of values of several bits, not only of
    spikes.
    """
    rng = np.random.default_rng(seed)
    inputs = rng.integers(0, largest + 1, (2, 7, 6, 3)).astype(np.uint8)
    padding = (int(rng.integers(0, size[0])), int(rng.integers(0, size[1])))
    expected = naive.pool(inputs, size, stride, padding, sums)
    out = np.full(expected.shape, 99, np.uint8)
    kernels.pool(inputs, size, stride, padding, sums, out)
    assert np.array_equal(out, expected)


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 2**31), st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)), st.booleans(),
)  # fmt: skip
def test_pools_of_currents(seed: int, size: tuple[int, int], stride: tuple[int, int], adding: bool) -> None:
    """Against numpy, window by window: padding adds nothing, and is no place of a maximum."""
    rng = np.random.default_rng(seed)
    padding = (int(rng.integers(0, size[0])), int(rng.integers(0, size[1])))
    height, width = (int(rng.integers(max(1, k - 2 * p), 8)) for k, p in zip(size, padding, strict=True))
    sums = rng.integers(-(2**40), 2**40, (2, height, width, 3)).astype(np.int64)
    if rng.integers(2):
        sums = (sums >> 12).astype(np.int32)
    around = 0 if adding else np.iinfo(np.int64).min
    framed = np.pad(
        sums.astype(np.int64), ((0, 0), *((p, p) for p in padding), (0, 0)), constant_values=around
    )
    windows = np.lib.stride_tricks.sliding_window_view(framed, size, axis=(1, 2))
    windows = windows[:, :: stride[0], :: stride[1]]
    wanted = windows.sum(axis=(-2, -1)) if adding else windows.max(axis=(-2, -1))
    out = np.full(wanted.shape, 9, np.int64)
    kernels.pool_currents(sums, size, stride, padding, adding, out)
    assert np.array_equal(out, wanted)
