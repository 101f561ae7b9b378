"""A training step of VGG-16 at quarter width, T = 4, against the step it replaced: images per core-second.

    python benchmarks/training_step.py [--network-width 0.25] [--timesteps 4] [--batch 128] [--runs 5]

The step it replaced went through the timesteps one by one and left their gradient to autograd, in bfloat16,
compiled. Ours is one function over all timesteps with its gradient written out, in bfloat16 where the
processor has it, and with tcmalloc or jemalloc where one is installed. One thread; seconds are those of the
processor, so that a machine that is shared measures the same. `--all` times every way.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import common

TRAINING = common.FOLDER.parent / "models" / "training"
WARM = 3


def steps(
    width: float, timesteps: int, batch: int, bfloat16: bool, compiled: bool, plain: bool
) -> Callable[[int], float]:
    """A function that takes a number of steps and returns the processor seconds of the median one."""
    sys.path.insert(0, str(TRAINING))
    import architectures
    import snn
    import speed
    import torch
    from torch import Tensor

    class Spike(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, distance: Tensor) -> Tensor:
            ctx.save_for_backward(distance)
            return (distance >= 0).to(distance.dtype)

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Tensor:
            (distance,) = ctx.saved_tensors
            return grads[0] * torch.clamp(1 - distance.abs(), min=0)

    def one_by_one(current: Tensor, timesteps: int) -> Tensor:
        currents = current.unflatten(0, (timesteps, -1))
        membrane, spikes = torch.zeros_like(currents[0]), []
        for t in range(timesteps):
            membrane = snn.LEAK * membrane + currents[t]
            spike = Spike.apply(membrane - snn.THRESHOLD)
            membrane = membrane * (1 - spike.detach())
            spikes.append(spike)
        return torch.cat(spikes)

    torch.set_num_threads(1)
    torch.manual_seed(1)
    network = architectures.build("vgg16", width=width).to(memory_format=torch.channels_last)
    if plain:
        architectures.lif = one_by_one
    model = speed.prepared(network, speed.Way(bfloat16, compiled))
    optimiser = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    images = torch.rand(batch, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(batch) % 10

    def step() -> float:
        began = time.process_time()
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            outputs = model(images, timesteps)
        optimiser.zero_grad()
        snn.loss_of(outputs.float(), labels, "running").backward()
        optimiser.step()
        return time.process_time() - began

    for _ in range(WARM):
        step()
    return lambda count: sorted(step() for _ in range(count))[count // 2]


def main() -> None:
    parser = common.arguments(__doc__, timesteps=4, batch=128, runs=5)
    parser.add_argument("--network-width", type=float, default=0.25)
    parser.add_argument("--all", action="store_true", help="both precisions, compiled and not")
    about = parser.parse_args()
    try:
        import torch  # noqa: F401
    except ImportError:
        common.skip("torch is not installed")
    sys.path.insert(0, str(TRAINING))
    import speed

    width, timesteps, batch = about.network_width, about.timesteps, about.batch
    if about.quick:
        width, timesteps, batch, about.runs = 0.0625, 2, 8, 1
    half, compiled = speed.has_bfloat16(), not about.quick
    ways = {"ours": (half, compiled, False), "before": (not about.quick, compiled, True)}
    if about.all:
        for bfloat16 in (True, False):
            for compiles in (True, False):
                name = str(speed.Way(bfloat16, compiles))
                ways |= {name: (bfloat16, compiles, False), f"{name}, before": (bfloat16, compiles, True)}
    allocator = speed.allocator()
    sides: dict[str, common.Side] = {}
    kept = os.environ.pop("LD_PRELOAD", None) or allocator
    for name, way in ways.items():
        if kept and way[2] is False:
            os.environ["LD_PRELOAD"] = kept
        sides[name] = common.Side(steps, width, timesteps, batch, *way)
        os.environ.pop("LD_PRELOAD", None)
    found = {name: [] for name in sides}  # type: dict[str, list[float]]
    for _ in range(about.runs):
        for name, side in sides.items():
            found[name].append(side.run(3 if not about.quick else 1)[1])
    rates = {name: batch / sorted(seconds)[len(seconds) // 2] for name, seconds in found.items()}
    for name, rate in rates.items():
        print(f"{name:36} {rate:8.1f} images per core-second")
    print(f"allocator of ours: {Path(kept).name if kept else 'that of the system'}")
    peaks = [sides["ours"].peak_mb(), sides["before"].peak_mb()]
    for side in sides.values():
        side.close()
    way = speed.Way(half, compiled)
    common.finish(
        Path(__file__).name,
        f"training step, VGG-16 at {width:g} of its width, T = {timesteps} ({way}), "
        "against the step before (bfloat16, compiled, one timestep after the other)",
        ours=f"{rates['ours']:.0f} images per core-second",
        theirs=f"{rates['before']:.0f} images per core-second",
        ratio=rates["ours"] / rates["before"],
        peak=peaks,
        save=not about.quick,
    )


if __name__ == "__main__":
    main()
