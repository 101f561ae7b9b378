"""Make a trained network wider: a start for a network that would take long to train from nothing.

    python models/training/widen.py --checkpoint runs/vgg16/checkpoint.pt --out runs/vgg16_wide --times 2

Every channel is kept `times` times (of 1.5, the first half of a layer's channels twice), and what reads it
takes that share of its weight from each copy, so the wide network computes what the narrow one does (Chen,
Goodfellow and Shlens, "Net2Net", ICLR 2016). Copies that are equal would stay equal, so each weight is then
moved by a random number of `--noise` times the deviation of its channel's weights. `train.py --init
runs/vgg16_wide/checkpoint.pt` trains it on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import checkpoints
import torch
from architectures import Plan, ResNetPlan, from_description, scaled, widened_plan, widths
from torch import Tensor


def wider_plan(plan: Any, times: Sequence[float]) -> Plan | ResNetPlan:
    """`plan`, as `description` of a network returns it, with `times` its channels (VGG: of each block).

    Raises ValueError where that is no whole number of channels, or fewer.
    """
    if min(times) < 1:
        raise ValueError(f"{min(times):g} would make a layer narrower")
    if isinstance(plan, list):
        return widened_plan(plan, times)
    if len(times) > 1:
        raise ValueError("give one number; only a VGG has a width for each block")
    blocks = [[scaled(channels, times[0]), stride] for channels, stride in plan["blocks"]]
    return {"stem": scaled(plan["stem"], times[0]), "blocks": blocks, "pool": plan["pool"]}


def widened(
    weights: dict[str, Tensor],
    wide: dict[str, Tensor],
    *,
    noise: float,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """The weights of a network of the shapes of `wide` that computes what `weights` do, if `noise` is 0."""
    last = next(name for name in reversed(weights) if weights[name].dim() == 4)
    channels = len(weights[last]), len(wide[last])  # that the classifier reads, each with all its pixels
    return {
        name: _moved(_repeated(name, tensor, wide[name].shape, channels), noise, generator)
        for name, tensor in weights.items()
    }


def _repeated(name: str, tensor: Tensor, shape: torch.Size, channels: tuple[int, int]) -> Tensor:
    if tensor.dim() == 0:
        return tensor.clone()
    if name == "classifier.weight":
        narrow, wide = channels
        return _reads(tensor.unflatten(1, (narrow, -1)), wide).flatten(1)
    copies = tensor[torch.arange(shape[0]) % len(tensor)]
    return _reads(copies, shape[1]) if tensor.dim() > 1 else copies


def _reads(tensor: Tensor, wide: int) -> Tensor:
    """Weights of `wide` inputs, from those of fewer: each copy of an input has its share of the weight."""
    source = torch.arange(wide) % tensor.shape[1]
    share = 1 / torch.bincount(source)[source]
    return tensor[:, source] * share.view(1, -1, *[1] * (tensor.dim() - 2))


def _moved(tensor: Tensor, noise: float, generator: torch.Generator) -> Tensor:
    if tensor.dim() < 2 or not noise:
        return tensor
    deviation = tensor.flatten(1).std(1).reshape(-1, *[1] * (tensor.dim() - 1))
    return tensor + noise * deviation * torch.randn(tensor.shape, generator=generator)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--checkpoint", required=True, type=Path, help="of the narrow network")
    parser.add_argument("--out", required=True, type=Path, help="folder for the checkpoint of the wide one")
    parser.add_argument(
        "--times", default="2", help="its channels over those of the narrow one, or of each block"
    )
    parser.add_argument("--noise", type=float, default=0.5, help="over the deviation of a channel's weights")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    state = checkpoints.read(args.checkpoint)
    try:
        plan = wider_plan(json.loads(state["plan"]), widths(args.times))
    except ValueError as error:
        raise SystemExit(f"error: --times: {error}") from None
    generator = torch.Generator().manual_seed(args.seed)
    arguments = json.loads(state["arguments"])
    network = from_description(plan, weight_bits=int(arguments["weight_bits"]))
    weights = widened(checkpoints.weights(state), network.state_dict(), noise=args.noise, generator=generator)
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
