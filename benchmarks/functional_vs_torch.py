"""Images a second through full-width VGG-16: bit-true on crossbars, against PyTorch that merely runs it.

    python benchmarks/functional_vs_torch.py [--images 64] [--runs 5] [--layers]

Ours slices weights of 8 bits into cells of 4, and rounds and clips at every read of 64 rows. PyTorch runs the
same network in floating point, with the batch size, threads and order with which it is fastest (see
functional_vs_frameworks.py, which adds other frameworks). ``--layers`` tells, for each layer and one core,
what is computed in which time, and how near that is to what the core can do.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import common
import numba
import numpy as np
from functional_vs_frameworks import measured
from networks import FACTOR, rates, vgg16
from numpy.typing import NDArray
from peers import missing, there

import imcsim.hardware
import imcsim.inputs
from imcsim.functional.crossbars import read_kernels
from imcsim.functional.crossbars.simd import add, load, store, sum_of_rows
from imcsim.functional.program.layers import CrossbarLayer
from imcsim.functional.program.program import build
from imcsim.functional.run import bordered, run
from imcsim.simulation.chip import calibrate, numerics

PEER = "PyTorch"
CONVERSION = 4
"""Operations of an ADC on one column: half a step more, divided, clipped, added up."""

CACHES = {"L1": 1 << 14, "L2": 1 << 18, "beyond": 1 << 26}
"""Bytes of cells that fit well into each cache, and into none."""

WIDTH = read_kernels.WIDE


@numba.njit(nogil=True)
def stream(cells: Any, rows: Any, times: int, sums: Any) -> None:
    """Add up rows of WIDTH cells, as crossbar reads do with nothing between them."""
    for _ in range(times):
        part = sum_of_rows(cells, WIDTH, rows, 0, rows.shape[0], 0, WIDTH)
        store(sums, 0, add(load(sums, 0, WIDTH), part))


def fastest(play: Callable[[], Any], runs: int = 5) -> float:
    """The least seconds that this thread computes for one call, after a first one."""
    play()
    seconds = []
    for _ in range(runs):
        begun = time.thread_time()
        play()
        seconds.append(time.thread_time() - begun)
    return min(seconds)


def roofs() -> dict[str, float]:
    """Additions of cells a second, 1e9, on one core, by where the cells are."""
    rng = np.random.default_rng(0)
    found = {}
    for cache, size in CACHES.items():
        cells = np.zeros(size + 64, np.uint8)
        cells = cells[-cells.ctypes.data % 64 :][:size]
        rows = rng.permutation(size // WIDTH).astype(np.int32)
        times, sums = max((1 << 27) // size, 1), np.zeros(WIDTH, np.uint8)
        seconds = fastest(lambda c=cells, r=rows, t=times, s=sums: stream(c, r, t, s))
        found[cache] = times * size / seconds / 1e9
    return found


def layers(factor: int, count: int) -> None:
    """Print what each layer does, for one image and on one core."""
    net = vgg16(factor)
    program = build(net, numerics(imcsim.hardware.load("dtsnn_32nm").config))
    images = imcsim.inputs.load("cifar10_test", count).images
    converters = calibrate(program, imcsim.inputs.load("cifar10_validation", 16))
    sources = {layer.source for layer in program.crossbar_layers}
    activity = run(program, images, net.timesteps, converters, record=sources)
    roof = roofs()
    print(f"{net.name}, one image, T = {net.timesteps}, one core of {common.processor()}")
    print("one core adds cells at " + ", ".join(f"{rate:.0f} e9/s ({at})" for at, rate in roof.items()))
    print(
        "layer    cells, kB  rows on  rows/read  additions, e6  conversions, e6     ms   e9/s  of L1  of L2"
    )
    whole = 0.0
    for k, layer in enumerate(program.crossbar_layers):
        # A layer that reads the image does the same at every timestep: it is computed once.
        played = 1 if layer.source == "input" else net.timesteps
        driven, read = (
            float(each[:, :played, k].sum()) / count for each in (activity.active_rows, activity.active_reads)
        )
        columns = layer.crossbars.levels.shape[1]
        rows = layer.layout.rows * layer.out_shape[0] * layer.out_shape[1] * layer.planes * played
        seconds = alone(layer, activity.recorded[layer.source][:, :played], converters) / count
        rate = (driven + CONVERSION * read) * columns / seconds / 1e9
        whole += seconds
        print(
            f"{layer.name:8} {layer.crossbars.cells.nbytes / 1e3:9,.0f} {100 * driven / rows:6.1f} % "
            f"{driven / max(read, 1):9.1f} {driven * columns / 1e6:14.2f} {read * columns / 1e6:16.2f} "
            f"{1e3 * seconds:6.2f} {rate:6.1f} "
            + " ".join(f"{100 * rate / roof[cache]:4.0f} %" for cache in ("L1", "L2"))
        )
    begun = time.process_time()
    run(program, images, net.timesteps, converters, workers=1)
    everything = (time.process_time() - begun) / count
    print(f"all crossbars {1e3 * whole:.1f} ms; all steps {1e3 * everything:.1f} ms")


def alone(layer: CrossbarLayer, source: NDArray[np.uint8], converters: Any) -> float:
    """Seconds of one layer's reads."""
    inputs, padding = bordered(layer, source)
    out = np.empty((len(inputs), *layer.out_shape), layer.accumulator)
    shift, largest = converters.shift[layer.name], converters.largest_code
    return fastest(
        lambda: layer.crossbars.read(inputs, layer.planes, shift, largest, layer.stride, padding, out), 3
    )


def main() -> None:
    parser = common.arguments(__doc__, images=64, runs=5, factor=FACTOR)
    parser.add_argument("--layers", action="store_true", help="also tell what each layer does")
    about = parser.parse_args()
    if about.quick:
        about.images, about.runs, about.factor = 2, 1, 1
    if about.layers:
        layers(about.factor, min(about.images, 16))
    if not there(PEER):
        common.skip(missing(PEER))
    turns, peaks = measured(about, [PEER])
    net = vgg16(about.factor)
    print(f"{net.name}, {about.images} images, T = {net.timesteps}; {PEER}: {turns[PEER].out[0]}")
    print("spike rates: " + ", ".join(f"{name} {100 * rate:.1f} %" for name, rate in rates(net).items()))
    each = {name: about.images / turn.median for name, turn in turns.items()}
    print(", ".join(f"{name} {rate:.1f} images/s" for name, rate in each.items()))
    common.finish(
        Path(__file__).name,
        f"VGG-16, T = {net.timesteps}: bit-true on crossbars, against {PEER} that runs it in float",
        ours=f"{each['imcsim']:.1f} images/s",
        theirs=f"{each[PEER]:.1f} images/s",
        ratio=each["imcsim"] / each[PEER],
        peak=(peaks["imcsim"], peaks[PEER]),
        save=not about.quick and about.factor == FACTOR,
    )


if __name__ == "__main__":
    main()
