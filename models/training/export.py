"""Turn a checkpoint of train.py into a bundle for imcsim, and pick the images that are shipped with it.

    python models/training/export.py --data PATH --checkpoint runs/vgg7/checkpoint.pt --name vgg7_cifar10

Batch norm is folded into a scale and a bias for each output channel, in float64; weights become the integers
that training already rounded them to. Accuracies are measured for every timestep, on the test images and on
the held-out validation images, for the network as trained (float32) and for the bundle (integer weights,
float64), and are written into its provenance.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cifar10
import numpy as np
import torch
import torch.nn.functional as F
from snn import LEAK, THRESHOLD, SpikingVGG, running_mean, weight_scale
from torch import Tensor
from train import VALIDATION_IMAGES, evaluate

from imcsim import inputs
from imcsim.errors import ImcsimError
from imcsim.network import (
    INPUT,
    LIF,
    Add,
    Conv2d,
    Flatten,
    Linear,
    Network,
    Node,
    Pool2d,
    bundle,
    validate,
)

TIMESTEPS = 4
SHIPPED_PER_CLASS = 100
CHUNK = 250
SMALLEST_SCALE = 1e-12


def to_integers(weight: Tensor, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Integer weights, and their float64 step for each output channel: the very grid of training."""
    scale = weight_scale(weight, bits)
    integers = (weight / scale).round()  # in float32, as in training, so that ties fall the same way
    return integers.to(torch.int16).numpy(), scale.flatten().double().numpy()


def fold(conv: torch.nn.Conv2d, norm: torch.nn.BatchNorm2d, bits: int) -> dict[str, np.ndarray]:
    """Weight, scale > 0 and bias of a convolution with the batch norm that follows it.

    A negative batch-norm factor turns the signs of the integers; one of next to nothing gives zero weights.
    """
    weight, step = to_integers(conv.weight.detach(), bits)
    mean, variance = norm.running_mean.double().numpy(), norm.running_var.double().numpy()
    gamma, beta = norm.weight.detach().double().numpy(), norm.bias.detach().double().numpy()
    factor = gamma / np.sqrt(variance + norm.eps)
    scale = np.abs(factor) * step
    dead = scale < SMALLEST_SCALE
    sign = np.where(dead, 0, np.sign(factor)).astype(np.int16)
    return {
        "weight": weight * sign[:, None, None, None],
        "scale": np.where(dead, 1.0, scale),
        "bias": beta - factor * mean,
    }


def to_network(model: SpikingVGG, name: str) -> Network:
    """The layer graph of a trained network (in eval mode, on the CPU)."""
    bits, nodes, last = model.weight_bits, list[Node](), INPUT
    convs = pools = 0
    for item in model.plan:
        if item == "M":
            pools += 1
            nodes.append(Pool2d(f"pool{pools}", (last,), "max", 2, 2))
        else:
            folded = fold(model.convs[convs], model.norms[convs], bits)
            convs += 1
            nodes.append(Conv2d(f"conv{convs}", (last,), **folded, padding=(1, 1)))
            nodes.append(LIF(f"lif{convs}", (f"conv{convs}",), LEAK, THRESHOLD, "hard"))
        last = nodes[-1].name
    weight, scale = to_integers(model.classifier.weight.detach(), bits)
    bias = model.classifier.bias.detach().double().numpy()
    nodes += [Flatten("flatten", (last,)), Linear("fc", ("flatten",), weight, scale, bias)]
    classes = len(bias)
    return Network(name, (3, 32, 32), 8, 1 / 255, classes, TIMESTEPS, bits, tuple(nodes))


@torch.no_grad()
def forward(network: Network, images: Tensor, timesteps: int) -> Tensor:
    """Class outputs ``[T, N, K]`` of a bundle for uint8 images, in float64, by the equations of its nodes."""
    membranes: dict[str, Tensor] = {}
    outputs = []
    pixels = images.double()
    kept: dict[str, Tensor] = {}  # the sums over the image are the same at every timestep
    for _ in range(timesteps):
        values: dict[str, Tensor] = {}
        for node in network.nodes:
            x = [pixels if name == INPUT else values[name] for name in node.inputs]
            match node:
                case Conv2d() | Linear():
                    current = kept.get(node.name)
                    if current is None:
                        current = _current(node, x[0], network.input_scale)
                    if INPUT in node.inputs:
                        kept[node.name] = current
                    values[node.name] = current
                case LIF():
                    membrane = node.leak * membranes.get(node.name, torch.zeros_like(x[0])) + x[0]
                    spikes = (membrane >= node.threshold).double()
                    down = membrane if node.reset == "hard" else node.threshold
                    membranes[node.name] = membrane - down * spikes
                    values[node.name] = spikes
                case Pool2d():
                    pool = F.avg_pool2d if node.kind == "average" else F.max_pool2d
                    values[node.name] = pool(x[0], node.size, node.stride)
                case Flatten():
                    values[node.name] = x[0].flatten(1)
                case Add():
                    direct = [isinstance(network.node(name), LIF | Pool2d) for name in node.inputs]
                    values[node.name] = sum(
                        v * node.scale if d else v for v, d in zip(x, direct, strict=True)
                    )
        outputs.append(values[network.nodes[-1].name])
    return torch.stack(outputs)


def _current(node: Conv2d | Linear, x: Tensor, input_scale: float) -> Tensor:
    """``scale * sum(weight * x) + bias``; the sums are over integers, hence exact."""
    weight = torch.from_numpy(node.weight.astype(np.float64))
    scale, bias = torch.from_numpy(node.scale), torch.from_numpy(node.bias)
    if INPUT in node.inputs:
        scale = scale * input_scale
    if isinstance(node, Linear):
        return F.linear(x.flatten(1), weight) * scale + bias
    return F.conv2d(x, weight, None, node.stride, node.padding) * scale[:, None, None] + bias[:, None, None]


def quantised_accuracy(network: Network, split: cifar10.Split) -> list[float]:
    """Accuracy of the running mean of the bundle's outputs after each timestep."""
    right = torch.zeros(TIMESTEPS)
    for start in range(0, len(split.labels), CHUNK):
        images = torch.from_numpy(split.images[start : start + CHUNK])
        labels = torch.from_numpy(split.labels[start : start + CHUNK])
        predicted = running_mean(forward(network, images, TIMESTEPS)).argmax(-1)
        right += (predicted == labels).sum(1)
    return [round(float(r), 6) for r in right / len(split.labels)]


def balanced(split: cifar10.Split, per_class: int) -> cifar10.Split:
    """The first `per_class` images of each class, interleaved: every ten in a row hold each class once."""
    rows = [np.flatnonzero(split.labels == k)[:per_class] for k in range(len(cifar10.CLASSES))]
    pick = np.stack(rows, axis=1).ravel()
    return cifar10.Split(split.images[pick], split.labels[pick])


def read_checkpoint(path: Path) -> tuple[SpikingVGG, dict[str, Any]]:
    """The trained network in eval mode, and the rest of the checkpoint with its texts parsed."""
    state = torch.load(path, weights_only=True, map_location="cpu")
    arguments, log = json.loads(state["arguments"]), json.loads(state["log"])
    bits = int(arguments["weight_bits"])
    if not 2 <= bits <= 16:
        raise SystemExit(
            f"{path}: trained with {bits} weight bits; a bundle takes 2 to 16 (see train.py --weight-bits)"
        )
    model = SpikingVGG(json.loads(state["plan"]), weight_bits=bits)
    model.load_state_dict(state["network"])
    return model.eval(), {"arguments": arguments, "log": log, "epoch": state["epoch"]}


def training_provenance(facts: dict[str, Any]) -> dict[str, Any]:
    """How the network was trained, without the paths of the machine that did it."""
    arguments = facts["arguments"]
    flags = {k: v for k, v in arguments.items() if k not in ("data", "out", "threads", "compile")}
    command = "python models/training/train.py --data PATH --out FOLDER " + " ".join(
        f"--{key.replace('_', '-')} {value}" for key, value in flags.items()
    )
    command += " --compile" if arguments.get("compile") == "True" else ""
    planned = sum(int(stage.split(":")[1]) for stage in arguments["stages"].split(","))
    return {
        "command": command,
        "seed": int(arguments["seed"]),
        "epochs": facts["epoch"],
        "epochs_planned": planned,
        "last_loss": facts["log"][-1]["loss"] if facts["log"] else None,
        "seconds": round(sum(row["seconds"] for row in facts["log"]), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, help="cifar10.npz, its folder, or cifar-10-batches-bin")
    parser.add_argument("--checkpoint", required=True, type=Path)
    parser.add_argument("--name", default="vgg7_cifar10", help="name of the bundle")
    parser.add_argument("--out", default=Path("models"), type=Path, help="folder for bundle and inputs")
    parser.add_argument("--evaluate", type=int, default=0, metavar="N", help="only N images a split (0: all)")
    parser.add_argument("--threads", type=int, default=0)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)

    model, facts = read_checkpoint(args.checkpoint)
    training = training_provenance(facts)
    if training["epochs"] < training["epochs_planned"]:
        print(
            f"note: the checkpoint is of epoch {training['epochs']} of {training['epochs_planned']}",
            flush=True,
        )
    train, test = cifar10.load(args.data, "train"), cifar10.load(args.data, "test")
    fingerprints = {"train": cifar10.fingerprint(train), "test": cifar10.fingerprint(test)}
    _, validation = cifar10.hold_out(train, VALIDATION_IMAGES, training["seed"])

    network = to_network(model, args.name)
    validate(network)
    accuracy: dict[str, Any] = {}
    for prefix, split in (("", test), ("validation_", validation)):
        if args.evaluate:
            split = cifar10.Split(split.images[: args.evaluate], split.labels[: args.evaluate])
        accuracy[f"{prefix}images"] = len(split.labels)
        accuracy[f"{prefix}float_per_timestep"] = evaluate(model, split, TIMESTEPS, torch.device("cpu"))
        accuracy[f"{prefix}quantised_per_timestep"] = quantised_accuracy(network, split)
        print(json.dumps(accuracy), flush=True)
    data = {"name": "CIFAR-10", "pixels": cifar10.layout(args.data), "sha256": fingerprints}
    network = replace(network, provenance={"data": data, "training": training, "accuracy": accuracy})
    bundle.save(network, args.out / args.name)

    (args.out / "inputs").mkdir(parents=True, exist_ok=True)
    for split_name, split in (("test", test), ("validation", validation)):
        chosen = balanced(split, SHIPPED_PER_CLASS)
        path = args.out / "inputs" / f"cifar10_{split_name}.npz"
        inputs.save(path, chosen.images, chosen.labels, split=split_name, classes=len(cifar10.CLASSES))
        print(f"{path}: {len(chosen.labels)} images", flush=True)
    print(f"{args.out / args.name}: {bundle.fingerprint(network)}")


if __name__ == "__main__":
    try:
        main()
    except ImcsimError as error:
        raise SystemExit(f"error: {error}") from None
