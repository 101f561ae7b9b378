"""Turn a bundle back into a checkpoint that training can start from.

    python models/training/from_bundle.py --data PATH --bundle models/vgg16_running_cifar10 --network vgg16 \\
        --width 0.75,0.75,0.75,0.5,0.5 --out runs/vgg16_start

A bundle has batch norm folded into scales and biases, and no state of the optimiser. Weights get back the
integers of the bundle, on a step that gives each channel the spread of a fresh layer; batch norm gets the
statistics that training images have at each layer, and the factors that undo them. So the network computes
what the bundle does, and `train.py --init runs/vgg16_start/checkpoint.pt` trains it on.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import checkpoints
import cifar10
import torch
from architectures import NETWORKS, POOLS, Spiking, build, widths
from to_graph import TIMESTEPS, convolutions
from torch import Tensor, nn
from train import VALIDATION_IMAGES, evaluate, pixels

from imcsim.base.errors import ImcsimError
from imcsim.network import Network, bundle

IMAGES = 1000
"""Training images whose statistics batch norm gets."""


@torch.no_grad()
def load_weights(model: Spiking, network: Network, images: Tensor) -> None:
    """Give `model` the weights of `network`, and its batch norms the statistics of `images`, as uint8.

    Raises ValueError where the two have other layers, channels or bits.
    """
    named = {node.name: node for node in network.weighted}
    pairs = list(convolutions(model))
    if set(named) != {name for name, _, _ in pairs} | {"fc"} or network.weight_bits != model.weight_bits:
        raise ValueError("the bundle has other layers or bits; give --network, --width and --weight-bits")
    hooks = []
    for name, conv, norm in pairs:
        node = named[name]
        if node.weight.shape != conv.weight.shape:
            raise ValueError(
                f"{name}: weights {node.weight.shape} in the bundle, {tuple(conv.weight.shape)} here"
            )
        whole = torch.from_numpy(node.weight).float()
        spread = whole.flatten(1).std(1).clamp(min=1e-6) * (3 * whole[0].numel()) ** 0.5
        step = 1 / spread
        conv.weight.copy_(whole * step[:, None, None, None])
        factor = torch.from_numpy(node.scale).float() / step
        bias = torch.from_numpy(node.bias).float()
        hooks.append(norm.register_forward_pre_hook(_statistics_of_input(factor, bias)))
    fc = named["fc"]
    weight = torch.from_numpy(fc.weight).float() * torch.from_numpy(fc.scale).float()[:, None]
    model.classifier.weight.copy_(weight.view_as(model.classifier.weight))
    model.classifier.bias.copy_(torch.from_numpy(fc.bias))
    model.eval()(pixels(images), network.timesteps)
    for hook in hooks:
        hook.remove()


def _statistics_of_input(factor: Tensor, bias: Tensor) -> Any:
    """A hook that sets a batch norm to ``factor x + bias``, with the statistics of the x that it is given."""

    def hook(norm: nn.Module, read: tuple[Tensor]) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        variance, mean = torch.var_mean(read[0], (0, 2, 3))
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_(factor * (variance + norm.eps).sqrt())
        norm.bias.copy_(bias + factor * mean)

    return hook


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", required=True, help="cifar10.npz, its folder, or cifar-10-batches-bin")
    parser.add_argument("--bundle", required=True, type=Path)
    parser.add_argument("--network", choices=NETWORKS, required=True)
    parser.add_argument("--width", default="1", help="as that of train.py")
    parser.add_argument("--pool", choices=sorted(POOLS))
    parser.add_argument("--out", required=True, type=Path, help="folder for the checkpoint")
    args = parser.parse_args()
    network = bundle.load(args.bundle)
    training = network.provenance.get("training", {})
    seed = int(training.get("seed", 1))
    try:
        model = build(args.network, width=widths(args.width), pool=args.pool, weight_bits=network.weight_bits)
    except ValueError as error:
        raise SystemExit(f"error: --width: {error}") from None
    kept, held_out = cifar10.hold_out(cifar10.load(args.data, "train"), VALIDATION_IMAGES, seed)
    try:
        load_weights(model, network, torch.from_numpy(kept.images[:IMAGES]))
    except ValueError as error:
        raise SystemExit(f"error: {args.bundle}: {error}") from None
    args.out.mkdir(parents=True, exist_ok=True)
    arguments = {"weight_bits": str(network.weight_bits), "seed": str(seed)}
    state = {
        "network": model.state_dict(),
        "plan": json.dumps(model.description()),
        "epoch": training.get("epochs", 0),
        "log": "[]",
        "arguments": json.dumps(arguments),
        "bundle": json.dumps(training),
    }
    checkpoints.save(args.out / "checkpoint.pt", state)
    shown = cifar10.Split(held_out.images[:1000], held_out.labels[:1000])
    found = evaluate(model, shown, TIMESTEPS, torch.device("cpu"))
    print(f"{args.out / 'checkpoint.pt'}: accuracy of {len(shown.labels)} validation images {found}")


if __name__ == "__main__":
    try:
        main()
    except ImcsimError as error:
        raise SystemExit(f"error: {error}") from None
