"""Turn a checkpoint of train.py into a bundle for imcsim, and pick the images that are shipped with it.

    python models/training/export.py --data PATH --checkpoint runs/vgg7/checkpoint.pt --name vgg7_cifar10

`to_graph.py` folds batch norm and makes the layer graph. Accuracies are measured for every timestep, on the
test images and on the held-out validation images, for the network as trained (float32) and for the bundle
(integer weights, float64), and are written into its provenance.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import checkpoints
import cifar10
import numpy as np
import torch
from architectures import Spiking
from snn import running_mean
from to_graph import forward, to_network
from train import VALIDATION_IMAGES, evaluate

from imcsim import inputs
from imcsim.base.errors import ImcsimError
from imcsim.network import Network, bundle, validate

SHIPPED_PER_CLASS = 100
NOT_OF_THE_RUN = ("data", "out", "init", "teacher", "threads", "precision", "compile", "save_minutes")
"""Arguments of train.py that are paths or do not change the weights, or are written another way."""
OF_TEACHER = ("distill", "temperature")
"""Arguments that change nothing without a teacher."""
OF_VARIATION = ("variation", "encoding", "cell_bits", "on_off_ratio")
"""Arguments that change nothing without a variation."""
CHUNK = 250


def quantised_accuracy(network: Network, split: cifar10.Split) -> list[float]:
    """Accuracy of the running mean of the bundle's outputs after each timestep."""
    right = torch.zeros(network.timesteps)
    for start in range(0, len(split.labels), CHUNK):
        images = torch.from_numpy(split.images[start : start + CHUNK])
        labels = torch.from_numpy(split.labels[start : start + CHUNK])
        predicted = running_mean(forward(network, images, network.timesteps)).argmax(-1)
        right += (predicted == labels).sum(1)
    return [round(float(r), 6) for r in right / len(split.labels)]


def balanced(split: cifar10.Split, per_class: int) -> cifar10.Split:
    """The first `per_class` images of each class, interleaved: every ten in a row hold each class once."""
    rows = [np.flatnonzero(split.labels == k)[:per_class] for k in range(len(cifar10.CLASSES))]
    pick = np.stack(rows, axis=1).ravel()
    return cifar10.Split(split.images[pick], split.labels[pick])


def read_checkpoint(path: Path) -> tuple[Spiking, dict[str, Any]]:
    """The trained network in eval mode, and what its checkpoint says of its training."""
    state = checkpoints.read(path)
    facts = checkpoints.history(state)
    bits = int(facts["arguments"]["weight_bits"])
    if not 2 <= bits <= 16:
        raise SystemExit(
            f"{path}: trained with {bits} weight bits; a bundle takes 2 to 16 (see train.py --weight-bits)"
        )
    if facts["arguments"].get("neurons", "lif") in ("clipped", "relu"):
        raise SystemExit(f"{path}: of a teacher without spikes; export a network that was trained from it")
    return checkpoints.network_of(state), facts


def trained_for(facts: dict[str, Any]) -> int:
    """The timesteps of a run's last epochs, which its network is meant to be run for."""
    return int(facts["arguments"]["stages"].split(",")[-1].split(":")[0])


def training_provenance(facts: dict[str, Any]) -> dict[str, Any]:
    """How the network was trained, without the paths of the machine that did it."""
    if facts.get("bundle"):  # training went on from a bundle, which says so itself
        return facts["bundle"]
    arguments = facts["arguments"]
    if "times" in arguments:  # no training: a start that widen.py made
        widened = " ".join(f"--{key} {arguments[key]}" for key in ("times", "noise", "seed"))
        command = f"python models/training/widen.py --checkpoint CHECKPOINT --out FOLDER {widened}"
        return {"command": command, "started_from": training_provenance(facts["init"])}
    left_out = set(NOT_OF_THE_RUN)
    left_out |= set() if float(arguments.get("variation", 0)) else set(OF_VARIATION)
    left_out |= set() if facts.get("teacher") else set(OF_TEACHER)
    left_out |= set() if arguments.get("neurons") == "quantised" else {"activation_bits"}
    flags = {k: v for k, v in arguments.items() if k not in left_out and v != "False"}
    command = "python models/training/train.py --data PATH --out FOLDER " + " ".join(
        f"--{key.replace('_', '-')}" + ("" if value == "True" else f" {value}")
        for key, value in flags.items()
    )
    command += " --init CHECKPOINT" if facts.get("init") else ""
    command += " --teacher CHECKPOINT" if facts.get("teacher") else ""
    computed = facts.get("way") or {}
    if computed:
        command += f" --precision {'bfloat16' if computed['bfloat16'] else 'float32'}"
        command += f" --compile {'yes' if computed['compiled'] else 'no'}"
    elif arguments.get("compile") == "True":  # of a checkpoint from before the choice was kept
        command += " --compile yes"
    planned = sum(int(stage.split(":")[1]) for stage in arguments["stages"].split(","))
    provenance = {
        "command": command,
        "seed": int(arguments["seed"]),
        "epochs": facts["epoch"],
        "epochs_planned": planned,
        "last_loss": facts["log"][-1]["loss"] if facts["log"] else None,
        "seconds": round(sum(row["seconds"] for row in facts["log"]), 1),
    }
    if computed:
        provenance["core_seconds"] = round(sum(row.get("core_seconds", 0) for row in facts["log"]), 1)
        provenance["processor"] = computed["processor"]
    for name, key in (("init", "started_from"), ("teacher", "taught_by")):
        if facts.get(name):
            provenance[key] = training_provenance(facts[name])
    return provenance


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

    network = replace(to_network(model, args.name), timesteps=trained_for(facts))
    validate(network)
    accuracy: dict[str, Any] = {}
    for prefix, split in (("", test), ("validation_", validation)):
        if args.evaluate:
            split = cifar10.Split(split.images[: args.evaluate], split.labels[: args.evaluate])
        accuracy[f"{prefix}images"] = len(split.labels)
        accuracy[f"{prefix}float_per_timestep"] = evaluate(
            model, split, network.timesteps, torch.device("cpu")
        )
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
