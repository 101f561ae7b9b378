"""Large networks: seconds per image of `imcsim compare`, its peak memory and chip, against PyTorch.

    python benchmarks/large_networks.py [--images 64] [--runs 3] [--only ResNet-18]

ResNet-18 at 224 x 224 with 1,000 classes and VGG-16 at 64 x 64 with 200, at full width and T = 4, on images
of CIFAR-10 that are enlarged. Their weights are random, so no class means anything; each layer's currents are
scaled and shifted until its neurons fire at a usual rate (networks.py), and what came out is printed. The
chip is the default one, with as many tiles as they need and buffers for their longer rows.

Ours: values bit for bit, cycles, energy and EDP of static T = 1 to 4 and of early exit, at a given threshold.
PyTorch: class outputs in floating point, in the way that is fastest (peers.py). By turns, with all cores; a
first turn, which compiles, is not counted, nor is making the network and the images. The row has processor
seconds, user and system, medians over turns; what a comparison costs whatever the number of images (the
layout of ten other chips for the ranges) is in them, and stands beside them.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import common
import numpy as np
from networks import RATE, enlarged, large_vgg16, rates, resnet18
from peers import Way, missing, runner, there, tuned

import imcsim.hardware
import imcsim.inputs
from imcsim.network.graph import Network
from imcsim.studies.comparison import compare
from imcsim.studies.settings import CompareOptions

THRESHOLD, CALIBRATION_IMAGES = 0.3, 4
NETWORKS: dict[str, tuple[Callable[..., Network], int, int, dict[str, Any]]] = {
    "ResNet-18": (
        resnet18, 224, 1000,
        {"tile_buffer.capacity_bytes": 2_000_000, "global_buffer.capacity_bytes": 400_000},
    ),
    "VGG-16": (large_vgg16, 64, 200, {}),
}  # fmt: skip
"""What makes each, its pixels each way, its classes, and the keys of the chip that its rows ask for."""
CHIP = ("tiles", "crossbars", "mm2", "uJ at T = 4", "us at T = 4")
"""What is printed of the chip."""
QUICK = {"ResNet-18": (32, 10, 8), "VGG-16": (32, 10, 8)}
"""Pixels each way, classes, and what channels are divided by."""


def made(name: str, quick: bool) -> tuple[Network, int]:
    """A network and its pixels each way."""
    make, size, classes, _ = NETWORKS[name]
    size, classes, divided = QUICK[name] if quick else (size, classes, 1)
    return make(size, classes, divided), size


def ours(name: str, count: int, quick: bool) -> Callable[[], dict[str, float]]:
    net, size = made(name, quick)
    hardware = imcsim.hardware.load("dtsnn_32nm", NETWORKS[name][3])
    images, held_out = (
        enlarged("cifar10_test", count, size), enlarged("cifar10_validation", CALIBRATION_IMAGES, size)
    )  # fmt: skip

    def play(some: imcsim.inputs.Inputs = images) -> dict[str, float]:
        begun = time.process_time()
        found = compare(net, hardware, some, held_out, CompareOptions(threshold=THRESHOLD))
        spent = time.process_time() - begun
        return {
            "processor s": spent,
            "for one image": alone,
            "tiles": found.meta.hardware.tiles,
            "crossbars": found.meta.hardware.crossbars,
            "mm2": found.meta.hardware.area_um2 / 1e6,
            "uJ at T = 4": found.static[-1].energy_pj / 1e6,
            "us at T = 4": found.static[-1].latency_ns / 1e3,
        }

    alone = 0.0
    few = enlarged("cifar10_test", 1, size)
    play(few)  # compiles
    alone = play(few)["processor s"]
    return play


def theirs(name: str, count: int, quick: bool) -> Callable[[], dict[str, Any]]:
    net, size = made(name, quick)
    images = enlarged("cifar10_test", count, size).images
    way = Way(1, True, True, True) if quick else tuned("PyTorch", net, images, (1, 2, 4))
    run = runner("PyTorch", net, way)

    def play() -> dict[str, Any]:
        begun = time.process_time()
        assert np.isfinite(run(images)).all()
        return {"processor s": time.process_time() - begun, "way": str(way)}

    play()
    return play


def measured(name: str, about: argparse.Namespace) -> None:
    """Print what a network takes, and write its row."""
    net, size = made(name, about.quick)
    fired = list(rates(net, enlarged("cifar10_test", 2, size).images).values())
    turns: dict[str, list[tuple[float, dict[str, Any]]]] = {"ours": [], "PyTorch": []}
    with (
        common.Side(ours, name, about.images, about.quick) as us,
        common.Side(theirs, name, about.images, about.quick) as them,
    ):
        for _ in range(about.runs):
            for side, one in (("ours", us), ("PyTorch", them)):
                time.sleep(common.REST_SECONDS)
                turns[side].append(one.run())
        peaks = us.peak_mb(), them.peak_mb()
    each = {side: statistics.median(s for s, _ in found) / about.images for side, found in turns.items()}
    processor = {
        side: statistics.median(out["processor s"] for _, out in found) / about.images
        for side, found in turns.items()
    }
    chip = turns["ours"][-1][1]
    print(
        f"{name} at {size} x {size}, {net.classes:,} classes, T = {net.timesteps}, random weights: spike "
        f"rates of {100 * min(fired):.1f} to {100 * max(fired):.1f} %, mean of layers "
        f"{100 * statistics.mean(fired):.1f} % (aim {100 * RATE:.0f} %)"
    )
    alone = chip["for one image"]
    print(", ".join(f"{key} {chip[key]:,.4g}" for key in CHIP))
    print(f"PyTorch: {turns['PyTorch'][-1][1]['way']}")
    for side, seconds in each.items():
        print(f"{side:8} {seconds:7.3f} s per image, {processor[side]:7.3f} processor s")
    further = (about.images * processor["ours"] - alone) / max(about.images - 1, 1)
    print(f"a comparison of one image takes {alone:.2f} processor s, each further image {further:.3f}")
    common.finish(
        Path(__file__).name,
        f"`imcsim compare`, {name} at {size} x {size}, {net.classes:,} classes, random weights firing at "
        f"{100 * RATE:.0f} %, T = {net.timesteps}, {chip['tiles']:,} tiles, {about.images} images, processor "
        "time, against PyTorch running them",
        ours=f"{processor['ours']:.3f} s/image",
        theirs=f"{processor['PyTorch']:.3f} s/image",
        ratio=processor["PyTorch"] / processor["ours"],
        peak=peaks,
        save=not about.quick,
    )


def main() -> None:
    parser = common.arguments(__doc__, images=64, runs=3)
    parser.add_argument("--only", choices=NETWORKS, help="this network alone")
    about = parser.parse_args()
    if about.quick:
        about.images, about.runs = 2, 1
    if not there("PyTorch"):
        common.skip(missing("PyTorch"))
    for name in [about.only] if about.only else NETWORKS:
        measured(name, about)


if __name__ == "__main__":
    main()
