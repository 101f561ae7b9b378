"""Timelines of full-width VGG-16, one an image, where time depends on the data: images a second.

    python benchmarks/timing_vgg16.py [--images 32] [--runs 3] [--others 1]

Silent reads are skipped and spikes travel as addresses, so every image takes its own time. Ours: the compiled
chip of `burst` timing, all images, each to T = 4. Theirs: the same chip as SimPy processes, one event a row,
packet and link (as `burst` was played before, and still is where somebody records it), `--others` images.
Both say the same, to the cycle and in every count. Processor time, one thread each. Making the work of each
image from its spikes is counted for both; computing the spikes is not. Dynamic: each image only until it
leaves, by the entropy rule at the threshold that `imcsim reproduce` chose for it on validation images.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import common
import numpy as np
from networks import vgg16

import imcsim.hardware
import imcsim.inputs
from imcsim.exits.entropy import Entropy
from imcsim.exits.outputs import ClassOutputs, exit_timesteps
from imcsim.functional.program.program import build
from imcsim.functional.run import run
from imcsim.mapping import place
from imcsim.simulation.chip import calibrate, numerics
from imcsim.simulation.counts import image_work, recorded_nodes
from imcsim.timing import ImageWork, Layout, Timeline, Timing, play
from imcsim.timing.processes.chip import ProcessEngine

TEST_IMAGES = 10_000
THRESHOLD = 0.30017
"""Of vgg16_quarter, entropy of the mean, chosen on 5,000 validation images by `imcsim reproduce`."""
CHIP = {"activity.skip_zero_reads": True, "activity.spike_coding": "aer"}


def main() -> None:
    parser = common.arguments(__doc__, images=32, runs=3, others=1, factor=4)
    about = parser.parse_args()
    if about.quick:
        about.images, about.runs, about.factor = 2, 1, 1
    network, config = vgg16(about.factor), imcsim.hardware.load("dtsnn_32nm", CHIP).config
    timesteps = network.timesteps
    program, placement = build(network, numerics(config)), place(network, config)
    converters = calibrate(program, imcsim.inputs.load("cifar10_validation", 16))
    images = imcsim.inputs.load("cifar10_test", about.images).images
    nodes = recorded_nodes(program, placement)
    activity = run(program, images, timesteps, converters, record=nodes)
    recorded, checker = activity.recorded, program.numerics.checker
    needed = Entropy().required(ClassOutputs.of(activity.outputs, "mean"), checker)
    exits = exit_timesteps(needed, Entropy().word(THRESHOLD, program.classes, checker))
    began = time.perf_counter()
    layout = Layout(placement, config)
    print(f"{network.name}: {placement.tiles} tiles, {len(placement.parts)} parts; tables made once, in "
          f"{(time.perf_counter() - began) * 1e3:.0f} ms")  # fmt: skip

    def ours(image: ImageWork, until: int = timesteps) -> Timeline:
        return play(placement, config, [until], Timing(until), work=[image], layout=layout)

    def theirs(image: ImageWork) -> Timeline:
        chip = ProcessEngine(placement, config, [timesteps], Timing(timesteps), work=[image])
        return chip.run()

    def all_of_them(threads: int = 1, *, leaving: bool = False) -> tuple[float, list[Timeline]]:
        clock = time.process_time if threads == 1 else time.perf_counter
        began, lines = clock(), list[Timeline]()
        stay = exits if leaving else np.full(len(exits), timesteps)
        with ThreadPoolExecutor(threads) as pool:
            for until in np.unique(stay):
                seen = {name: value[stay == until][:, :until] for name, value in recorded.items()}
                work = image_work(program, placement, seen)
                lines += pool.map(ours, work, [int(until)] * len(work))
        return clock() - began, lines

    def some_of_them() -> tuple[float, list[Timeline]]:
        began = time.process_time()
        work = image_work(program, placement, {k: v[: about.others] for k, v in recorded.items()})
        lines = [theirs(image) for image in work]
        return time.process_time() - began, lines

    all_of_them()  # compiles
    turns = common.by_turns({"ours": all_of_them, "theirs": some_of_them}, about.runs)
    for one, other in zip(turns["ours"].out, turns["theirs"].out, strict=False):
        for field in ("verdict", "counts", "busy_cycles"):
            if not np.array_equal(getattr(one, field), getattr(other, field)):
                raise SystemExit(f"the two disagree: {field}")
    work = image_work(program, placement, recorded)
    for until in range(1, timesteps + 1):
        began = time.thread_time()
        for image in work:
            ours(image, until)
        took = (time.thread_time() - began) / len(work)
        print(f"to T = {until}: {took * 1e3:6.2f} ms of one core an image")
    rate = about.images / turns["ours"].median
    before = about.others / turns["theirs"].median
    for leaving, mean in ((False, timesteps), (True, float(exits.mean()))):
        took = min(all_of_them(common.cores(), leaving=leaving)[0] for _ in range(about.runs))
        whole = about.images / took
        print(
            f"{'dynamic' if leaving else 'static'}, {mean:.2f} timesteps: {whole:.0f} images a second on "
            f"{common.cores()} cores, wall clock: {TEST_IMAGES:,} test images in {TEST_IMAGES / whole:.0f} s"
        )
    common.finish(
        Path(__file__).name,
        f"timelines of full-width VGG-16 to T = {timesteps}, one an image, against SimPy processes",
        ours=f"{rate:.1f} images/s",
        theirs=f"{before:.2f} images/s",
        ratio=rate / before,
        peak=[common.peak_mb()],
        save=not about.quick,
    )


if __name__ == "__main__":
    main()
