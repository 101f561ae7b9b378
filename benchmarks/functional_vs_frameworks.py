"""Images a second through VGG-16: bit-true on crossbars, against frameworks that merely run the network.

    python benchmarks/functional_vs_frameworks.py [--images 64] [--runs 5] [--peers PyTorch snnTorch ...]

Ours slices weights of 8 bits into cells of 4, and rounds and clips at every read of 64 rows. Peers run the
same network in floating point, in evaluation mode, without gradients, with the batch size, threads and order
with which each is fastest. Every side has a process of its own and all cores; the ratio is against the
fastest.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import common
import numpy as np
from networks import FACTOR, rates, vgg16
from peers import PEERS, Way, missing, runner, there, tuned

import imcsim.hardware
import imcsim.inputs
from imcsim.functional.program.program import build
from imcsim.functional.run import run
from imcsim.simulation.chip import calibrate, numerics

TUNING_IMAGES = 64


def ours(factor: int, count: int) -> Callable[[], Any]:
    net = vgg16(factor)
    program = build(net, numerics(imcsim.hardware.load("dtsnn_32nm").config))
    images = imcsim.inputs.load("cifar10_test", count).images
    converters = calibrate(program, imcsim.inputs.load("cifar10_validation", 16))
    run(program, images[:2], net.timesteps, converters)  # compiles

    def play() -> float:
        return float(run(program, images, net.timesteps, converters).active_rows.sum())

    return play


def theirs(peer: str, factor: int, count: int, quick: bool) -> Callable[[], Any]:
    net = vgg16(factor)
    images = imcsim.inputs.load("cifar10_test", max(count, 2)).images
    more = imcsim.inputs.load("cifar10_test", 2 if quick else TUNING_IMAGES).images
    way = Way(1, True, True, True) if quick else tuned(peer, net, more)
    play = runner(peer, net, way)
    images = images[:count]

    def turn() -> tuple[str, float]:
        return str(way), float(np.abs(play(images)).sum())

    turn()
    return turn


def measured(about: Any, found: list[str]) -> tuple[dict[str, common.Turns], dict[str, float]]:
    """Turns and peak memory, MB, of imcsim and of peers that there are."""
    sides = {"imcsim": common.Side(ours, about.factor, about.images)}
    try:
        for peer in found:
            sides[peer] = common.Side(theirs, peer, about.factor, about.images, about.quick)
        turns = common.by_turns({name: side.run for name, side in sides.items()}, about.runs)
        return turns, {name: side.peak_mb() for name, side in sides.items()}
    finally:
        for side in sides.values():
            side.close()


def main() -> None:
    parser = common.arguments(__doc__, images=64, runs=5, factor=FACTOR)
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    about = parser.parse_args()
    if about.quick:
        about.images, about.runs, about.factor = 2, 1, 1
    found = [peer for peer in about.peers if there(peer)]
    for peer in about.peers:
        if peer not in found:
            print(f"left out: {missing(peer)}")
    if not found:
        common.skip("there is no peer")
    turns, peaks = measured(about, found)
    report(about, found, turns, peaks)


def report(about: Any, found: list[str], turns: dict[str, common.Turns], peaks: dict[str, float]) -> None:
    net = vgg16(about.factor)
    fired = rates(net).values()
    print(f"{net.name}, {about.images} images, T = {net.timesteps}")
    print(f"spike rates of layers, lowest to highest: {100 * min(fired):.0f} to {100 * max(fired):.0f} %")
    each = {name: about.images / turn.median for name, turn in turns.items()}
    for name, rate in each.items():
        way = turns[name].out[0] if name in found else "bit-true, 64-row reads, 4-bit cells"
        print(f"{name:13} {rate:8.1f} images/s   peak {peaks[name]:6,.0f} MB   {way}")
    fastest = max(found, key=lambda peer: each[peer])
    common.finish(
        Path(__file__).name,
        "VGG-16, T = 4: bit-true on crossbars, against the fastest framework that runs it in float",
        ours=f"{each['imcsim']:.1f} images/s",
        theirs=f"{each[fastest]:.1f} images/s ({fastest})",
        ratio=each["imcsim"] / each[fastest],
        peak=(peaks["imcsim"], peaks[fastest]),
        save=not about.quick and about.factor == FACTOR,
    )


if __name__ == "__main__":
    main()
