"""Train a spiking network on CIFAR-10, quantisation-aware, on CPU or GPU.

    python models/training/train.py --data PATH --out runs/vgg7
    python models/training/train.py --data PATH --out runs/vgg16 --network vgg16 --width 0.25 --loss final

The loss is the mean over timesteps of the cross-entropy of the running-mean output (``--loss running``,
DT-SNN, DAC 2023), or that of the running mean after the last timestep alone (``--loss final``). Training goes
through stages of growing T (``--stages 1:12,2:18,4:5``: timesteps:epochs) under one one-cycle learning rate.
``--init CHECKPOINT`` starts from the weights of another run: at T = 1 the losses are equal, so one run at
T = 1 serves both. ``--variation SIGMA`` trains for cells that vary (see variation.py); with ``--init`` a
trained network is made ready for such chips. Batch norm then takes the statistics of each batch, and so of
each draw of the cells, which suits chips whose neurons are calibrated one by one; with ``--frozen-norms`` it
keeps those it has. 5,000 images are held out of the training set for validation; the last epoch is taken, so
nothing is selected on validation or test images. A checkpoint is written after every epoch and every
``--save-minutes`` within one, and the same command resumes from it.

A GPU is used when torch sees one: the training images (138 MB) lie on the card and are cropped and flipped
there, and all but the last ``--float-epochs`` epochs compute in bfloat16.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import cifar10
import numpy as np
import torch
import torch.nn.functional as F
from architectures import NETWORKS, POOLS, Spiking, build
from snn import LOSSES, loss_of, running_mean
from torch import Tensor
from variation import ENCODINGS, CellVariation

VALIDATION_IMAGES = 5000


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Random crop after padding by 4, and random horizontal flip, for uint8 ``[B, 3, H, W]``.

    The few random numbers are drawn on the CPU, so a GPU sees the same crops; pixels stay where they are.
    """
    batch, _, height, width = images.shape
    padded = F.pad(images, (4, 4, 4, 4))
    rows = torch.randint(0, 9, (batch, 1), generator=generator) + torch.arange(height)
    cols = torch.randint(0, 9, (batch, 1), generator=generator) + torch.arange(width)
    flip = torch.rand(batch, generator=generator) < 0.5
    cols = torch.where(flip[:, None], cols.flip(1), cols)
    rows, cols = rows.to(images.device), cols.to(images.device)
    index = torch.arange(batch, device=images.device)
    return padded[index[:, None, None], :, rows[:, :, None], cols[:, None, :]].permute(0, 3, 1, 2)


def one_cycle(progress: float, peak: float, warm: float = 0.2) -> float:
    """Learning rate: linear warm-up, then cosine to zero."""
    if progress < warm:
        return peak * (0.04 + 0.96 * progress / warm)
    return peak * 0.5 * (1 + math.cos(math.pi * (progress - warm) / (1 - warm)))


@torch.no_grad()
def evaluate(network: Spiking, split: cifar10.Split, timesteps: int, device: torch.device) -> list[float]:
    """Accuracy of the running mean after each timestep."""
    network.eval()
    right = torch.zeros(timesteps)
    for start in range(0, len(split.labels), 250):
        images = torch.from_numpy(split.images[start : start + 250]).to(device).float() / 255
        labels = torch.from_numpy(split.labels[start : start + 250]).to(device)
        predicted = running_mean(network(images, timesteps)).argmax(-1)
        right += (predicted == labels).sum(1).cpu()
    return [round(float(r), 6) for r in right / len(split.labels)]


def save(path: Path, state: dict[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def start_from(network: Spiking, path: Path) -> str:
    """Load the weights of the checkpoint at `path`; return, as JSON, what it says of its own training."""
    state = torch.load(path, weights_only=True, map_location="cpu")
    if json.loads(state["plan"]) != network.description():
        raise SystemExit(f"{path}: of another network or width; give the options of its training")
    network.load_state_dict(state["network"])
    kept = {key: json.loads(state[key]) for key in ("arguments", "log")}
    kept["init"] = json.loads(state.get("init", "null"))
    return json.dumps({**kept, "epoch": state["epoch"]})


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, help="cifar10.npz, its folder, or cifar-10-batches-bin")
    parser.add_argument("--out", required=True, type=Path, help="folder for checkpoint and log")
    parser.add_argument("--network", choices=NETWORKS, default="vgg7")
    parser.add_argument("--width", type=float, default=1.0, help="times the channels of every layer")
    parser.add_argument("--pool", choices=sorted(POOLS), help="2x2 pools (vgg7: max, others: average)")
    parser.add_argument("--loss", choices=LOSSES, default="running")
    parser.add_argument("--init", type=Path, help="checkpoint whose weights to start from")
    parser.add_argument("--stages", default="1:12,2:18,4:5", help="timesteps:epochs, in order")
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--weight-decay", type=float, default=5e-4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--weight-bits", type=int, default=8)
    parser.add_argument("--variation", type=float, default=0.0, help="sigma over mu of the cells (0: none)")
    parser.add_argument("--encoding", choices=ENCODINGS, default="differential", help="of weights in cells")
    parser.add_argument("--cell-bits", type=int, default=4)
    parser.add_argument("--on-off-ratio", type=float, default=10.0, help="conductance of cells on over off")
    parser.add_argument("--frozen-norms", action="store_true", help="batch norm keeps its statistics")
    parser.add_argument("--float-epochs", type=int, default=2, help="last epochs without bfloat16")
    parser.add_argument("--evaluate-every", type=int, default=3, help="epochs between validations")
    parser.add_argument("--save-minutes", type=float, default=4, help="between checkpoints within an epoch")
    parser.add_argument("--compile", action="store_true", help="use torch.compile (faster on CPU)")
    parser.add_argument("--threads", type=int, default=0)
    return parser.parse_args()


def main() -> None:
    args = parse()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    stages = [tuple(int(n) for n in s.split(":")) for s in args.stages.split(",")]
    schedule = [timesteps for timesteps, epochs in stages for _ in range(epochs)]
    try:
        network = build(args.network, width=args.width, pool=args.pool, weight_bits=args.weight_bits)
    except ValueError as error:
        raise SystemExit(f"error: --width: {error}") from None
    if args.variation:
        if not args.weight_bits:
            raise SystemExit("error: --variation: weights in cells are whole numbers; give --weight-bits")
        try:
            network.variation = CellVariation(
                args.variation, args.encoding, args.cell_bits, args.on_off_ratio
            )
        except ValueError as error:
            raise SystemExit(f"error: {error}") from None
    if args.frozen_norms and not args.init:
        raise SystemExit("error: --frozen-norms: batch norm has no statistics to keep; give --init")
    init = start_from(network, args.init) if args.init else "null"
    network = network.to(device).to(memory_format=torch.channels_last)
    decay = [p for p in network.parameters() if p.dim() > 1]
    plain = [p for p in network.parameters() if p.dim() <= 1]
    optimiser = torch.optim.SGD(
        [{"params": decay, "weight_decay": args.weight_decay}, {"params": plain}],
        lr=args.lr,
        momentum=0.9,
        nesterov=True,
    )
    args.out.mkdir(parents=True, exist_ok=True)
    checkpoint, log = args.out / "checkpoint.pt", []
    start, first_step, total, generator_state, noise_state = 0, 0, 0.0, None, None
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True, map_location=device)
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        start, log = state["epoch"], json.loads(state["log"])
        if state.get("step"):
            first_step, total = state["step"], state["total"]
            generator_state = state["generator"].cpu()
            noise_state = state["noise"].cpu() if "noise" in state else None
        print(f"resuming after epoch {start}, step {first_step}", flush=True)
    if start >= len(schedule):
        return
    train, val = cifar10.hold_out(cifar10.load(args.data, "train"), VALIDATION_IMAGES, args.seed)
    # A change of T must not make torch compile for any T: that is slower than one program for each.
    model = torch.compile(network, dynamic=False) if args.compile else network

    def keep(epoch: int, step: int = 0, generator: torch.Generator | None = None) -> None:
        state = {
            "network": network.state_dict(),
            "optimiser": optimiser.state_dict(),
            "epoch": epoch,
            "log": json.dumps(log),
            "arguments": json.dumps({k: str(v) for k, v in vars(args).items() if v is not None}),
            "plan": json.dumps(network.description()),
            "init": init,
        }
        if generator is not None:
            state |= {"step": step, "total": total, "generator": generator.get_state()}
            state["noise"] = torch.get_rng_state()
        save(checkpoint, state)

    images, labels = torch.from_numpy(train.images).to(device), torch.from_numpy(train.labels).to(device)
    steps = len(labels) // args.batch
    for epoch in range(start, len(schedule)):
        began, timesteps = time.time(), schedule[epoch]
        # Order, augmentation and (on a CPU) noise depend on (seed, epoch) alone: a resumed run sees the same.
        generator = torch.Generator().manual_seed(args.seed * 100_003 + epoch)
        torch.manual_seed(args.seed * 100_003 + epoch)  # of the cells' variation
        order = torch.randperm(len(labels), generator=generator)
        if generator_state is not None:
            generator.set_state(generator_state)
        if noise_state is not None:
            torch.set_rng_state(noise_state)
        half = epoch < len(schedule) - args.float_epochs
        saved, losses = began, list[Tensor]()
        network.train()
        if args.frozen_norms:
            for norm in network.modules():
                if isinstance(norm, torch.nn.BatchNorm2d):
                    norm.eval()
        for step in range(first_step, steps):
            lr = one_cycle((epoch + step / steps) / len(schedule), args.lr)
            for group in optimiser.param_groups:
                group["lr"] = lr
            pick = order[step * args.batch : (step + 1) * args.batch].to(device)
            x = augment(images[pick], generator).float() / 255
            x = x.contiguous(memory_format=torch.channels_last)
            y = labels[pick]
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                outputs = model(x, timesteps)
            loss = loss_of(outputs.float(), y, args.loss)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.detach())
            if step % 50 == 49 or step + 1 == steps:
                # Read now and then only: each reading makes the CPU wait for the card.
                for value in torch.stack(losses).tolist():
                    total += value
                losses.clear()
                if not np.isfinite(total):
                    raise SystemExit("the loss is not finite")
            if step % 50 == 49:
                now = time.time()
                seconds, mean = (now - began) / (step + 1 - first_step), total / (step + 1)
                where = f"epoch {epoch + 1} of {len(schedule)}, step {step + 1} of {steps}, T = {timesteps}"
                print(f"{where}: loss {mean:.4f}, {seconds:.2f} s a step", flush=True)
                if now - saved > 60 * args.save_minutes:
                    keep(epoch, step + 1, generator)
                    saved = now
        row = {"epoch": epoch + 1, "timesteps": timesteps, "loss": round(total / steps, 4)}
        if (epoch + 1) % args.evaluate_every == 0 or epoch + 1 == len(schedule):
            row["validation_accuracy"] = evaluate(network, val, 4, device)
        row["seconds"] = round(time.time() - began, 1)
        log.append(row)
        print(json.dumps(row), flush=True)
        first_step, total, generator_state, noise_state = 0, 0.0, None, None
        keep(epoch + 1)


if __name__ == "__main__":
    main()
