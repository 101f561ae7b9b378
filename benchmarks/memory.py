"""Peak memory of a comparison on VGG-16 with 100, 1,000 and 10,000 images.

    python benchmarks/memory.py [--counts 100 1000 10000] [--skip-zero-reads]

Every number of images has a process of its own. Images pass through a few at a time; what stays of each are
its pixels, its counts and its energies. With `--skip-zero-reads` time depends on values, and every image has
a schedule too. The ratio is the memory that is allowed, 2 GiB, over the peak with the most images.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import common
from networks import spiking, vgg16

import imcsim.hardware
import imcsim.inputs
from imcsim.studies.comparison import compare
from imcsim.studies.settings import CompareOptions

ALLOWED_MB = 2**31 / 1e6


def comparison(count: int, quick: bool, skip: bool) -> Callable[[], Any]:
    net = spiking("small", (8, "P", 16, "P")) if quick else vgg16()
    overrides = {"activity.skip_zero_reads": True} if skip else {}
    hardware = imcsim.hardware.load("dtsnn_32nm", overrides)
    held_out = imcsim.inputs.load("cifar10_validation", 16)
    before = common.peak_mb()

    def play() -> float:
        images = imcsim.inputs.load("cifar10_test_all", count)
        compare(net, hardware, images, held_out, CompareOptions(threshold=0.3))
        return before

    return play


def main() -> None:
    parser = common.arguments(__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[100, 1000, 10000], metavar="N")
    parser.add_argument("--skip-zero-reads", action="store_true", help="time depends on values")
    about = parser.parse_args()
    if about.quick:
        about.counts = [2, 20]
    peaks = {}
    with common.Side(comparison, 2, about.quick, about.skip_zero_reads) as side:
        side.run()  # compiles, which takes memory too
    for count in sorted(about.counts):
        with common.Side(comparison, count, about.quick, about.skip_zero_reads) as side:
            seconds, before = side.run()
            peaks[count] = side.peak_mb()
        print(
            f"{count:6,} images: peak {peaks[count]:6,.0f} MB, {before:,.0f} of them before; {seconds:.1f} s"
        )
    few, many = min(peaks), max(peaks)
    if few < many:
        print(f"each image more: {(peaks[many] - peaks[few]) / (many - few) * 1e3:.1f} kB")
    how = ", time depends on values" if about.skip_zero_reads else ""
    common.finish(
        Path(__file__).name,
        f"peak memory, `imcsim compare`, VGG-16, {many:,} images{how}, against the 2 GiB allowed",
        ours=f"{peaks[many]:,.0f} MB",
        theirs=f"{ALLOWED_MB:,.0f} MB",
        ratio=ALLOWED_MB / peaks[many],
        peak=(peaks[many],),
        save=not about.quick,
    )


if __name__ == "__main__":
    main()
