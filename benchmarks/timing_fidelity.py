"""How much faster `burst` timing is than `reference` on the default network, and that both say the same.

    python benchmarks/timing_fidelity.py [--runs 5] [--timesteps 4] [--hardware NAME] [--model NAME]

Prints the median seconds of alternating runs of one image.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import common
import numpy as np

import imcsim.hardware
import imcsim.network
from imcsim.base.choices import Fidelity
from imcsim.mapping import place
from imcsim.timing import Timeline, Timing, play


def main() -> None:
    parser = common.arguments(__doc__, runs=5, timesteps=4)
    parser.add_argument("--hardware", default="dtsnn_32nm")
    parser.add_argument("--model", default="vgg7_cifar10")
    args = parser.parse_args()
    if args.quick:
        args.runs, args.timesteps = 1, 1

    config = imcsim.hardware.load(args.hardware).config
    placement = place(imcsim.network.load(args.model), config)

    def run(fidelity: Fidelity) -> tuple[float, Timeline]:
        began = time.perf_counter()
        line = play(placement, config, [args.timesteps], Timing(args.timesteps, fidelity=fidelity))
        return time.perf_counter() - began, line

    run("burst")  # compiles
    seconds: dict[Fidelity, list[float]] = {"reference": [], "burst": []}
    for _ in range(args.runs):
        slow, whole = run("reference")
        fast, burst = run("burst")
        seconds["reference"].append(slow)
        seconds["burst"].append(fast)
        if not (np.array_equal(whole.verdict, burst.verdict) and np.array_equal(whole.counts, burst.counts)):
            raise SystemExit("the two fidelities disagree")
    for fidelity, times in seconds.items():
        print(f"{fidelity:10} {statistics.median(times) * 1e3:9.2f} ms (median of {args.runs})")
    print(f"cycles to the last verdict, both: {int(whole.verdict[-1])}")
    slow, fast = (statistics.median(seconds[fidelity]) for fidelity in ("reference", "burst"))
    common.finish(
        Path(__file__).name,
        f"`burst` against `reference` timing, {args.model}, one image, T = {args.timesteps}",
        ours=f"{fast * 1e3:.3g} ms",
        theirs=f"{slow * 1e3:,.0f} ms",
        ratio=slow / fast,
        save=not args.quick,
    )


if __name__ == "__main__":
    main()
