"""Make a trained network wider: a start for a network that would take long to train from nothing.

    python models/training/widen.py --checkpoint runs/vgg16/checkpoint.pt --out runs/vgg16_wide --times 2

Every channel is kept `times` times, and what reads it takes that share of its weight from each copy, so the
wide network computes what the narrow one does (Chen, Goodfellow and Shlens, "Net2Net", ICLR 2016). Copies
that are equal would stay equal, so each weight is then moved by a random number of `--noise` times the
deviation of its channel's weights. `train.py --init runs/vgg16_wide/checkpoint.pt` trains it on.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import checkpoints
import torch
from architectures import Plan, ResNetPlan, from_description
from torch import Tensor

IMAGE_CHANNELS = 3


def wider_plan(plan: Any, times: int) -> Plan | ResNetPlan:
    """`plan`, as `description` of a network returns it, with `times` its channels."""
    if isinstance(plan, list):
        return [item if isinstance(item, str) else item * times for item in plan]
    blocks = [[channels * times, stride] for channels, stride in plan["blocks"]]
    return {"stem": plan["stem"] * times, "blocks": blocks, "pool": plan["pool"]}


def widened(
    weights: dict[str, Tensor], times: int, *, noise: float, generator: torch.Generator
) -> dict[str, Tensor]:
    """The weights of a network of `times` the channels that computes what `weights` do, if `noise` is 0."""
    channels = next(len(tensor) for tensor in reversed(weights.values()) if tensor.dim() == 4)
    return {
        name: _moved(_repeated(name, tensor, times, channels), noise, generator)
        for name, tensor in weights.items()
    }


def _repeated(name: str, tensor: Tensor, times: int, channels: int) -> Tensor:
    if tensor.dim() == 0 or name == "classifier.bias":
        return tensor.clone()
    if name == "classifier.weight":  # reads channels, each with all its pixels
        per_channel = tensor.unflatten(1, (channels, -1))
        return per_channel.repeat(1, times, 1).flatten(1) / times
    if tensor.dim() == 1:
        return tensor.repeat(times)
    if tensor.shape[1] == IMAGE_CHANNELS:
        return tensor.repeat(times, 1, 1, 1)
    return tensor.repeat(times, times, 1, 1) / times


def _moved(tensor: Tensor, noise: float, generator: torch.Generator) -> Tensor:
    if tensor.dim() < 2 or not noise:
        return tensor
    deviation = tensor.flatten(1).std(1).reshape(-1, *[1] * (tensor.dim() - 1))
    return tensor + noise * deviation * torch.randn(tensor.shape, generator=generator)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--checkpoint", required=True, type=Path, help="of the narrow network")
    parser.add_argument("--out", required=True, type=Path, help="folder for the checkpoint of the wide one")
    parser.add_argument("--times", type=int, default=2, help="its channels over those of the narrow one")
    parser.add_argument("--noise", type=float, default=0.5, help="over the deviation of a channel's weights")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    state = checkpoints.read(args.checkpoint)
    plan = wider_plan(json.loads(state["plan"]), args.times)
    generator = torch.Generator().manual_seed(args.seed)
    weights = widened(checkpoints.weights(state), args.times, noise=args.noise, generator=generator)
    arguments = json.loads(state["arguments"])
    from_description(plan, weight_bits=int(arguments["weight_bits"])).load_state_dict(weights)
    args.out.mkdir(parents=True, exist_ok=True)
    kept = {
        "times": args.times,
        "noise": args.noise,
        "seed": args.seed,
        "weight_bits": arguments["weight_bits"],
    }
    wide = {
        "network": weights,
        "plan": json.dumps(plan),
        "epoch": state["epoch"],
        "log": "[]",
        "arguments": json.dumps({name: str(value) for name, value in kept.items()}),
        "init": json.dumps(checkpoints.history(state)),
    }
    checkpoints.save(args.out / "checkpoint.pt", wide)


if __name__ == "__main__":
    main()
