"""One image of SpikeSim's VGG9 at T = 4, bit-true and to the cycle, from pixels to joules, warm.

    python benchmarks/vgg9_image.py [--runs 9]

Ours plays the image's values through every read, its rows through tiles and mesh, and prices both; weights
stand in their cells, and the placement and the tables of its timing are made, as for all images of a chip.
Beside it, by turns, PyTorch, which runs the network alone; and once our own `reference` timing, which plays
every read as processes. Figures of other simulators are quoted as reported: they were not measured in this
run.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import common
import numpy as np
from networks import rates, vgg9
from peers import Way, missing, runner, there, tuned

import imcsim.hardware
import imcsim.inputs
from imcsim.simulation.chip import make_chip
from imcsim.simulation.simulate import simulate
from imcsim.timing import Issue, Layout, Timing, play

TARGET_SECONDS = 0.2

REPORTED = (
    ("NeuroSim V1.4, its 8-bit VGG-8: the trace of one image, on two such cores", "188 s"),
    ("a SystemC cycle simulator of PIM chips, one image of this VGG9", "21 s"),
)
"""Peers that were timed at another time, as this project's aims state them."""


def whole() -> Callable[[], dict[str, float]]:
    """Values, time and energy of one image, on a chip that is placed and calibrated."""
    net, images = vgg9(), imcsim.inputs.load("cifar10_test", 1)
    chip = make_chip(
        net, imcsim.hardware.load("dtsnn_32nm"), imcsim.inputs.load("cifar10_validation", 16),
        Timing(net.timesteps, Issue()),
    )  # fmt: skip

    layout = Layout(chip.placement, chip.config)

    def turn() -> dict[str, float]:
        line = play(chip.placement, chip.config, [net.timesteps], Timing(net.timesteps), layout=layout)
        found = simulate(chip, images)
        assert int(line.departure[0]) == int(found.static.schedule.departure[0, -1])
        return {
            "latency, us": found.static.latency_ns[0, -1] / 1e3,
            "energy, uJ": found.static.energy_pj[0, -1] / 1e6,
        }

    turn()
    return turn


def reference() -> Callable[[], int]:
    """The timing of one image with every read played."""
    from imcsim.mapping import place

    net, config = vgg9(), imcsim.hardware.load("dtsnn_32nm").config
    placement = place(net, config)

    def turn() -> int:
        line = play(placement, config, [net.timesteps], Timing(net.timesteps, fidelity="reference"))
        return int(line.departure[0])

    return turn


def torch(quick: bool) -> Callable[[], str]:
    net, images = vgg9(), imcsim.inputs.load("cifar10_test", 1).images
    way = Way(1, True, True, True) if quick else tuned("PyTorch", net, images, (1,))
    run = runner("PyTorch", net, way)

    def turn() -> str:
        return f"{way}; outputs to {np.abs(run(images)).max():.3g}"

    turn()
    return turn


def main() -> None:
    about = common.arguments(__doc__, runs=9).parse_args()
    if about.quick:
        about.runs = 1
    if not there("PyTorch"):
        common.skip(missing("PyTorch"))
    with common.Side(whole) as us, common.Side(torch, about.quick) as them:
        turns = common.by_turns({"ours": us.run, "PyTorch": them.run}, about.runs)
        peaks = us.peak_mb(), them.peak_mb()
    if not about.quick:
        with common.Side(reference) as slow:
            turns |= common.by_turns({"reference": slow.run}, 1)
    report(about, turns, peaks)


def report(about: argparse.Namespace, turns: dict[str, common.Turns], peaks: tuple[float, float]) -> None:
    ours, theirs = turns["ours"].median, turns["PyTorch"].median
    fired = rates(vgg9(), 1).values()
    print(f"VGG9, random weights, spike rates {100 * min(fired):.0f} to {100 * max(fired):.0f} %, T = 4")
    print(", ".join(f"{name} {value:.4g}" for name, value in turns["ours"].out.items()))
    print(f"ours, values, time and energy: {ours * 1e3:.1f} ms (median of {about.runs}); "
          f"{'below' if ours < TARGET_SECONDS else 'ABOVE'} {TARGET_SECONDS} s")  # fmt: skip
    print(f"PyTorch, values alone, float: {theirs * 1e3:.1f} ms ({turns['PyTorch'].out})")
    if "reference" in turns:
        print(f"our `reference` timing alone: {turns['reference'].median:.2f} s")
    for who, seconds in REPORTED:
        print(f"reported, not measured here: {who}: {seconds}")
    common.finish(
        Path(__file__).name,
        "one image of VGG9, T = 4, bit-true and to the cycle, against PyTorch running the network",
        ours=f"{ours * 1e3:.1f} ms",
        theirs=f"{theirs * 1e3:.1f} ms",
        ratio=theirs / ours,
        peak=peaks,
        save=not about.quick,
    )


if __name__ == "__main__":
    main()
