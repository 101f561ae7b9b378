"""All of `imcsim compare` on VGG-16, against PyTorch's time to run the same images through the same network.

    python benchmarks/compare_vs_torch.py [--images 1000] [--runs 3] [--peer snnTorch]

Ours: values bit for bit, to T = 4, cycles, energy and EDP of static T = 1 .. 4 and of early exit, the
curve over thresholds, all tables. PyTorch: class outputs at T = 1 .. 4, floating point. Both have all cores,
and have run before; reading images and weights is not counted. The threshold is given; with `--choose` it is
chosen on as many validation images, which both sides then run as well.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import common
import numpy as np
from networks import FACTOR, vgg16
from peers import PEERS, Way, missing, runner, there, tuned

import imcsim.hardware
import imcsim.inputs
from imcsim.studies.comparison import compare
from imcsim.studies.settings import CompareOptions

THRESHOLD = 0.3
TUNING_IMAGES = 64


def shown(name: str, count: int) -> imcsim.inputs.Inputs:
    """So many CIFAR-10 images, `name` test or validation."""
    return imcsim.inputs.load(f"cifar10_{name}" if count <= 1000 else f"cifar10_{name}_all", count)


def ours(factor: int, count: int, choose: bool) -> Callable[[], Any]:
    net, hardware = vgg16(factor), imcsim.hardware.load("dtsnn_32nm")
    images, held_out = shown("test", count), shown("validation", count if choose else 16)
    options = CompareOptions(threshold=None if choose else THRESHOLD)

    def play(some: imcsim.inputs.Inputs = images) -> dict[str, float]:
        found = compare(net, hardware, some, held_out, options)
        first, last = found.static[0], found.static[-1]
        return {
            "mean T": found.dynamic.mean_timesteps,
            "energy at T = 1, uJ": first.energy_pj / 1e6,
            "energy at T max, uJ": last.energy_pj / 1e6,
            "EDP saved": found.reduction.edp_mean_of_products,
        }

    play(shown("test", 2))  # compiles
    return play


def theirs(peer: str, factor: int, count: int, choose: bool, quick: bool) -> Callable[[], Any]:
    net = vgg16(factor)
    images = shown("test", count).images
    if choose:
        images = np.concatenate([images, shown("validation", count).images])
    more = shown("test", 2 if quick else TUNING_IMAGES).images
    way = Way(1, True, True, True) if quick else tuned(peer, net, more)
    play = runner(peer, net, way)

    def turn() -> str:
        play(images)
        return str(way)

    play(more)
    return turn


def main() -> None:
    parser = common.arguments(__doc__, images=1000, runs=3, factor=FACTOR)
    parser.add_argument("--peer", choices=PEERS, default="PyTorch")
    parser.add_argument("--choose", action="store_true", help="choose the threshold on validation images")
    about = parser.parse_args()
    if about.quick:
        about.images, about.runs, about.factor = 4, 1, 1
    if not there(about.peer):
        common.skip(missing(about.peer))
    with (
        common.Side(ours, about.factor, about.images, about.choose) as us,
        common.Side(theirs, about.peer, about.factor, about.images, about.choose, about.quick) as them,
    ):
        turns = common.by_turns({"imcsim": us.run, about.peer: them.run}, about.runs)
        report(about, turns, (us.peak_mb(), them.peak_mb()))


def report(about: argparse.Namespace, turns: dict[str, common.Turns], peaks: tuple[float, float]) -> None:
    us, them = turns["imcsim"], turns[about.peer]
    net = vgg16(about.factor)
    print(f"{net.name}, {about.images:,} images, T = {net.timesteps}; {about.peer}: {them.out}")
    print(", ".join(f"{name} {value:.4g}" for name, value in us.out.items()))
    for name, turn in turns.items():
        print(f"{name:13} {turn.median:8.2f} s   {about.images / turn.median:8.1f} images/s")
    more = ", threshold chosen on as many others" if about.choose else ""
    common.finish(
        Path(__file__).name,
        f"`imcsim compare`, VGG-16, {about.images:,} images{more}, against {about.peer} running them, T = 4",
        ours=f"{us.median:.1f} s",
        theirs=f"{them.median:.1f} s",
        ratio=them.median / us.median,
        peak=peaks,
        save=not about.quick and about.factor == FACTOR,
    )


if __name__ == "__main__":
    main()
