"""Images per second of one run whose images a Dask cluster plays (`imcsim compare --scheduler`).

    python benchmarks/cluster.py [--images 400] [--workers 1 2]

Each cluster is a LocalCluster of so many processes here. Images are played by it alone; the chip is made
before. The first row is this process without a cluster, with one thread. Nothing is kept between runs.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import common

import imcsim.hardware
import imcsim.inputs
import imcsim.network
from imcsim.simulation.chip import make_chip
from imcsim.simulation.values import COMPUTED, ActivityRequest, Values
from imcsim.sweeps.shared_images import shared_values
from imcsim.timing import Issue, Timing

MODELS = ("vgg7_cifar10", "vgg16_running_cifar10")


def playing(model: str, images: int) -> Callable[[Values], float]:
    """What plays so many images of a network, and says in how many seconds."""
    network = imcsim.network.load(model)
    shown = imcsim.inputs.load("cifar10_test", images)
    held_out = imcsim.inputs.load("cifar10_validation", 32)
    chip = make_chip(
        network, imcsim.hardware.load("dtsnn_32nm"), held_out, Timing(network.timesteps, Issue())
    )

    def seconds(values: Values) -> float:
        begun = time.perf_counter()
        values.activity(ActivityRequest(chip.program, chip.converters, shown, network.timesteps, workers=1))
        return time.perf_counter() - begun

    return seconds


def main() -> None:
    parser = common.arguments(__doc__, images=400, runs=3)
    parser.add_argument("--workers", type=int, nargs="+", default=list(range(1, common.cores() + 1)))
    about = parser.parse_args()
    if about.quick:
        about.images, about.runs, about.workers = 16, 1, [1]
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        common.skip("dask.distributed is not installed")
        return
    print("| network | workers | images per second | processor time, ms per image |\n|---|--:|--:|--:|")
    for model in MODELS:
        play = playing(model, about.images)

        def turns(values: Values, used: Callable[[], float], play: Callable[[Values], float] = play) -> str:
            play(values)  # workers load kernels and unpack the program
            before = used()
            seconds = statistics.median(play(values) for _ in range(about.runs))
            each = 1e3 * (used() - before) / (about.runs * about.images)
            return f"{about.images / seconds:.1f} | {each:.2f}"

        print(f"| `{model}` | no cluster, one thread | {turns(COMPUTED, time.process_time)} |", flush=True)
        for workers in about.workers:
            with (
                LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster,
                Client(cluster, set_as_default=False) as client,
                shared_values(cluster.scheduler_address) as values,
            ):

                def used(client: Any = client) -> float:
                    """By this process, in which the scheduler is, and the workers."""
                    return time.process_time() + sum(client.run(time.process_time).values())

                print(f"| `{model}` | {workers} | {turns(values, used)} |", flush=True)
    print(f"\nMeasured on: {common.machine()}.")


if __name__ == "__main__":
    main()
