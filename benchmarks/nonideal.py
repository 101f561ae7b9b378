"""What errors of cells, wires and converters cost: images played on a chip with them, over an ideal chip.

    python benchmarks/nonideal.py [--images 256] [--runs 7]

Each kind of error alone, then differential cells over an ideal chip of those, the chip with all errors, and
last programming variation, whose ratio is the last line.

A chip with errors fires more or less than an ideal one and has more or less to do. So that all sides do the
same work, each step of a network is given what came before it on the ideal chip: the same rows are driven in
the same reads, neurons take the currents of the chip's own cells, and what they fire goes no further. What
the chip's own spikes would be, over those of the ideal chip, stands beside. Times are the least that one
thread computes; all sides take turns in one process. Programming a chip comes once and is shown by itself.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import common
import numpy as np

import imcsim.hardware
import imcsim.inputs
import imcsim.network
from imcsim.functional.program.layers import CrossbarLayer, IntegratorLayer
from imcsim.functional.run import CHUNK_IMAGES, run
from imcsim.functional.steps import TimeBlock, play, reads_again, shown
from imcsim.simulation.chip import program_chip

NETWORK, CHIP, REAL_CHIP = "vgg7_cifar10", "dtsnn_32nm", "dtsnn_32nm_nonideal"
TIMESTEPS = 4
IDEAL, PAIRS = "ideal", "ideal, differential cells"
VARIATION: dict[str, object] = {"nonideal.variation.sigma": 0.2}
READ_NOISE: dict[str, object] = {"nonideal.read_noise.sigma": 0.01}
DIFFERENTIAL: dict[str, object] = {"cells.encoding": "differential"}


@dataclass(frozen=True)
class Kind:
    """A chip, and the ideal one that it is held against."""

    keys: dict[str, object]
    over: str = IDEAL
    chip: str = CHIP


KINDS = {
    "ADC offset and gain": Kind(
        {"nonideal.converter.offset_lsb": 0.5, "nonideal.converter.gain_sigma": 0.005}
    ),
    "ADC noise": Kind({"nonideal.converter.noise_lsb": 0.5}),
    "read noise": Kind(READ_NOISE),
    "IR drop": Kind(
        {
            "nonideal.wires.wordline_ohm": 3.13,
            "nonideal.wires.bitline_ohm": 1.04,
            "nonideal.wires.inactive": "gated",
        }
    ),
    "read noise, differential cells": Kind(DIFFERENTIAL | READ_NOISE, PAIRS),
    "variation, differential cells": Kind(DIFFERENTIAL | VARIATION, PAIRS),
    "all errors of " + REAL_CHIP: Kind(DIFFERENTIAL, PAIRS, REAL_CHIP),
    "variation": Kind(VARIATION),
}


def steps_alone(program: Any, converters: Any, images: Any, ideal: dict[str, Any]) -> Callable[[], Any]:
    """Plays each step on what the ideal chip gives it."""
    again = reads_again(program)

    def turn() -> tuple[float, None]:
        begun = time.process_time()
        for first in range(0, len(images), CHUNK_IMAGES):
            some = slice(first, first + CHUNK_IMAGES)
            values = shown(images[some], TIMESTEPS)
            numbers = np.arange(len(images))[some]
            for step in program.steps:
                out, _ = play(step, values, TimeBlock(0, TIMESTEPS, numbers), converters, again)
                values[step.name] = ideal[step.name][some] if step.name in ideal else out
        return time.process_time() - begun, None

    return turn


def main() -> None:
    about = common.arguments(__doc__, images=256, runs=7).parse_args()
    if about.quick:
        about.images, about.runs = 4, 1
    network = imcsim.network.load(NETWORK)
    images = imcsim.inputs.load("cifar10_test", about.images).images
    held_out = imcsim.inputs.load("cifar10_validation")
    turns, seconds, spikes, values = {}, {}, {}, {}
    for name, kind in {IDEAL: Kind({}), PAIRS: Kind(DIFFERENTIAL, PAIRS), **KINDS}.items():
        config = imcsim.hardware.load(kind.chip, kind.keys).config
        begun = time.perf_counter()
        program, converters = program_chip(network, config, held_out, workers=os.cpu_count())
        seconds[name] = time.perf_counter() - begun
        kept = {step.name for step in program.steps if not isinstance(step, CrossbarLayer | IntegratorLayer)}
        found = run(program, images, TIMESTEPS, converters, record=kept if name in (IDEAL, PAIRS) else set())
        spikes[name] = int(found.spikes.sum())
        values[name] = found.recorded
        turns[name] = steps_alone(program, converters, images, values[kind.over])
    done = common.by_turns(turns, about.runs)
    each = {name: about.images / min(turn.seconds) for name, turn in done.items()}
    print(f"{network.name}, {about.images} images, T = {TIMESTEPS}, one thread, the same work on all chips")
    for name in (IDEAL, PAIRS):
        print(f"{name:32} {each[name]:7.1f} images/s")
    for name, kind in KINDS.items():
        print(
            f"{name:32} {each[name]:7.1f} images/s, {each[kind.over] / each[name]:.2f} times as long as "
            f"{kind.over}, by itself {100 * spikes[name] / spikes[kind.over]:.0f} % of its spikes; "
            f"programmed and calibrated in {seconds[name]:.1f} s"
        )
    for name, kind in KINDS.items():
        common.finish(
            Path(__file__).name,
            f"{NETWORK}, T = {TIMESTEPS}: {name}, how many times as long as an ideal chip",
            ours=f"{each[name]:.1f} images/s",
            theirs=f"{kind.over}: {each[kind.over]:.1f} images/s",
            ratio=each[kind.over] / each[name],
            save=not about.quick,
        )


if __name__ == "__main__":
    main()
