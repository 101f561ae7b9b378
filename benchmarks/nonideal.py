"""What errors of cells, wires and converters cost: images played on a chip with them, over an ideal chip.

    python benchmarks/nonideal.py [--images 256] [--runs 7]

Each kind of error alone, then the chip with all of them, and last programming variation, whose ratio is the
last line. A chip that fires less has less to do: shares of the ideal chip's spikes stand beside. Times are
the least that one thread computes; all sides take turns in one process. Programming a chip comes once and is
shown by itself.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import common

import imcsim.hardware
import imcsim.inputs
import imcsim.network
from imcsim.functional.run import run
from imcsim.simulate import program_chip

NETWORK, CHIP, REAL_CHIP = "vgg7_cifar10", "dtsnn_32nm", "dtsnn_32nm_nonideal"
TIMESTEPS = 4
KINDS: dict[str, dict[str, object]] = {
    "ADC offset and gain": {"converter.offset_lsb": 0.5, "converter.gain_sigma": 0.005},
    "ADC noise": {"converter.noise_lsb": 0.5},
    "read noise": {"read_noise.sigma": 0.01},
    "IR drop": {"wires.wordline_ohm": 3.13, "wires.bitline_ohm": 1.04, "wires.inactive": "gated"},
    "all errors of " + REAL_CHIP: {},
    "variation": {"variation.sigma": 0.02},
}
"""A spread of 2 %, with which the network still works: spike rates are those of an ideal chip, about."""


def played(play: Callable[[], Any]) -> Callable[[], tuple[float, Any]]:
    def turn() -> tuple[float, Any]:
        begun = time.process_time()
        out = play()
        return time.process_time() - begun, out

    return turn


def main() -> None:
    about = common.arguments(__doc__, images=256, runs=7).parse_args()
    if about.quick:
        about.images, about.runs = 4, 1
    network = imcsim.network.load(NETWORK)
    images = imcsim.inputs.load("cifar10_test", about.images).images
    held_out = imcsim.inputs.load("cifar10_validation")
    sides, seconds = {}, {}
    for name, keys in {"ideal": {}, **KINDS}.items():
        overrides = {f"nonideal.{key}": value for key, value in keys.items()}
        chip = REAL_CHIP if REAL_CHIP in name else CHIP
        config = imcsim.hardware.load(chip, overrides).config
        begun = time.perf_counter()
        program, converters = program_chip(network, config, held_out, workers=os.cpu_count())
        seconds[name] = time.perf_counter() - begun
        run(program, images[:1], TIMESTEPS, converters, workers=1)  # compiled by now

        def play(program: Any = program, converters: Any = converters) -> Any:
            return run(program, images, TIMESTEPS, converters, workers=1)

        sides[name] = played(play)
    turns = common.by_turns(sides, about.runs)
    each = {name: about.images / min(turn.seconds) for name, turn in turns.items()}
    print(f"{network.name}, {about.images} images, T = {TIMESTEPS}, one thread")
    whole = turns["ideal"].out.spikes.sum()
    spikes = {name: 100 * turn.out.spikes.sum() / whole for name, turn in turns.items()}
    for name, rate in each.items():
        print(
            f"{name:32} {rate:7.1f} images/s, {each['ideal'] / rate:.2f} times as long, "
            f"{spikes[name]:.0f} % of the spikes; programmed and calibrated in {seconds[name]:.1f} s"
        )
    for name in KINDS:
        common.finish(
            Path(__file__).name,
            f"{NETWORK}, T = {TIMESTEPS}: {name}, how many times as long as an ideal chip",
            ours=f"{each[name]:.1f} images/s, {spikes[name]:.0f} % of the spikes",
            theirs=f"ideal: {each['ideal']:.1f} images/s",
            ratio=each["ideal"] / each[name],
            save=not about.quick,
        )


if __name__ == "__main__":
    main()
