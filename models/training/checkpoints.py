"""Checkpoints of train.py: plain data and tensors, read without unpickling anything else."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import torch
from architectures import Spiking, from_description

LINEAGE = ("init", "teacher")
"""The runs that a run builds on: the one whose weights it starts from, the one whose outputs it follows."""


def save(path: Path, state: dict[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def read(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """The checkpoint at `path`; its tensors lie on `device`."""
    state: dict[str, Any] = torch.load(path, weights_only=True, map_location=device)
    return state


def history(state: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint says of its own training and of the runs that it builds on."""
    kept = {
        key: json.loads(state.get(key, "null")) for key in ("arguments", "log", "way", "bundle", *LINEAGE)
    }
    return {**kept, "epoch": state["epoch"]}


def other_seed(facts: dict[str, Any], seed: int) -> int | None:
    """A seed other than `seed` with which a run of this history was trained; None if there is none.

    Images are held out by the seed, so a run with another one would be judged on images that this one has
    learned.
    """
    arguments = facts.get("arguments") or {}
    if "stages" in arguments and int(arguments["seed"]) != seed:
        return int(arguments["seed"])
    if (bundle := facts.get("bundle")) and int(bundle.get("seed", seed)) != seed:
        return int(bundle["seed"])
    found = (other_seed(facts[name], seed) for name in LINEAGE if facts.get(name))
    return next((other for other in found if other is not None), None)


def weights(state: dict[str, Any]) -> dict[str, torch.Tensor]:
    """What a checkpoint is used with: its averaged weights where it has some, else those of its last step."""
    found: dict[str, torch.Tensor] = state["average"] if "average" in state else state["network"]
    return found


def network_of(state: dict[str, Any]) -> Spiking:
    """The network of a checkpoint, with its weights, in eval mode."""
    arguments = json.loads(state["arguments"])
    network = from_description(json.loads(state["plan"]), weight_bits=int(arguments["weight_bits"]))
    network.neurons = arguments.get("neurons", "lif")
    network.activation_bits = int(arguments.get("activation_bits", 4))
    network.load_state_dict(weights(state))
    return network.eval()


def write_curve(path: Path, log: list[dict[str, Any]]) -> None:
    """A table of `log`, one row per epoch, with the hours since the run began and validation accuracies."""
    timesteps = max((len(row.get("validation_accuracy", [])) for row in log), default=0)
    names = [f"validation_accuracy_{t}" for t in range(1, timesteps + 1)]
    hours = core_hours = 0.0
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["epoch", "timesteps", "loss", "hours", "core_hours", *names])
        for row in log:
            hours += row["seconds"] / 3600
            core_hours += row.get("core_seconds", 0.0) / 3600
            found = row.get("validation_accuracy", [])
            blank = [""] * (timesteps - len(found))
            spent = [f"{hours:.4f}", f"{core_hours:.4f}"]
            table.writerow([row["epoch"], row["timesteps"], row["loss"], *spent, *found, *blank])
