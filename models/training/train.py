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

``--neurons clipped`` trains a teacher: the same layers with a clipped ReLU in place of the spikes, at one
timestep. It learns in a fraction of the time; a spiking network takes its weights (``--init``) and follows
its outputs (``--teacher``, ``--distill``, ``--temperature``). A spiking network teaches as well, its own next
round above all: with ``--teacher-timesteps 4`` every running mean follows the teacher's mean of four.
``--neurons quantised --activation-bits 4`` trains an ANN for the same chip: a clipped ReLU of whole steps,
at one timestep, that can be exported.

``--hold`` keeps the learning rate after its warm-up, for a run without a planned end, and ``--average DECAY``
averages its weights, with the statistics of batch norm measured anew after each epoch: validation,
``--init``, ``--teacher`` and export take the averages. Such a run ends with another that starts from it and
lets the rate fall: ``--init CHECKPOINT --warm 0``.

How a step is computed is chosen by the processor's flags and a trial of a few steps (speed.py), unless
``--precision`` and ``--compile`` say it; a run that starts from another on such a processor takes over its
choice. Beside the checkpoint, curve.csv holds losses, hours and validation accuracies.

A GPU is used when torch sees one: the training images (138 MB) lie on the card and are cropped and flipped
there, and all but the last ``--float-epochs`` epochs compute in bfloat16.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import checkpoints
import cifar10
import numpy as np
import speed
import torch
import torch.nn.functional as F
from architectures import Spiking
from averaging import Average
from options import parse, untrained
from snn import Distillation, loss_of, running_mean
from torch import Tensor, nn

VALIDATION_IMAGES = 5000
SETTLING_IMAGES = 2048
"""Training images that give averaged weights the statistics of their batch norms."""


GREY = 118
"""What a square of ``--cutout`` shows: about the mean of the training images."""


def augment(images: Tensor, generator: torch.Generator, cutout: int = 0) -> Tensor:
    """Random crop after padding by 4, and random horizontal flip, for uint8 ``[B, 3, H, W]``; with `cutout`
    a grey square of that side somewhere, cut off at the edges (DeVries and Taylor, 2017).

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
    shown = padded[index[:, None, None], :, rows[:, :, None], cols[:, None, :]].permute(0, 3, 1, 2)
    if not cutout:
        return shown
    first = torch.randint(-(cutout // 2), height - cutout // 2, (2, batch, 1), generator=generator)
    away = torch.arange(height) - first
    inside = ((away >= 0) & (away < cutout)).to(images.device)
    return shown.masked_fill((inside[0][:, :, None] & inside[1][:, None, :])[:, None], GREY)


def one_cycle(progress: float, peak: float, warm: float = 0.2, hold: bool = False) -> float:
    """Learning rate: linear warm-up, then cosine to zero; with `hold` it stays where it is."""
    if progress < warm:
        return peak * (0.04 + 0.96 * progress / warm)
    if hold:
        return peak
    return peak * 0.5 * (1 + math.cos(math.pi * (progress - warm) / (1 - warm)))


@torch.no_grad()
def evaluate(
    network: Spiking, split: cifar10.Split, timesteps: int, device: torch.device, bfloat16: bool = False
) -> list[float]:
    """Accuracy of the running mean after each timestep."""
    network.eval()
    right = torch.zeros(timesteps)
    for start in range(0, len(split.labels), 250):
        images = pixels(torch.from_numpy(split.images[start : start + 250]).to(device))
        labels = torch.from_numpy(split.labels[start : start + 250]).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
            outputs = network(images, timesteps)
        predicted = running_mean(outputs.float()).argmax(-1)
        right += (predicted == labels).sum(1).cpu()
    return [round(float(r), 6) for r in right / len(split.labels)]


def pixels(images: Tensor) -> Tensor:
    """uint8 images as the network reads them: 0 to 1, with the channels last in memory."""
    return (images.float() / 255).contiguous(memory_format=torch.channels_last)


def start_from(network: Spiking, path: Path) -> dict[str, Any]:
    """Load the weights of the checkpoint at `path`; return what it says of its own training."""
    state = checkpoints.read(path)
    if json.loads(state["plan"]) != network.description():
        raise SystemExit(f"{path}: of another network or width; give the options of its training")
    network.load_state_dict(checkpoints.weights(state))
    return checkpoints.history(state)


class Run:
    """One run of training: the network, its optimiser, and how far it has come."""

    def __init__(self, args: argparse.Namespace):
        self.args, self.schedule = args, args.schedule
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = untrained(args)
        self.lineage: dict[str, Any] = dict.fromkeys(checkpoints.LINEAGE)
        if args.init:
            self.lineage["init"] = start_from(self.network, args.init)
        self._same_images_held_out("init")
        self.network = self.network.to(self.device).to(memory_format=torch.channels_last)
        decay = [p for p in self.network.parameters() if p.dim() > 1]
        plain = [p for p in self.network.parameters() if p.dim() <= 1]
        self.optimiser = torch.optim.SGD(
            [{"params": decay, "weight_decay": args.weight_decay}, {"params": plain}],
            lr=args.lr,
            momentum=0.9,
            nesterov=True,
        )
        self.average = Average(self.network, args.average) if args.average else None
        args.out.mkdir(parents=True, exist_ok=True)
        self.checkpoint = args.out / "checkpoint.pt"
        self.log: list[dict[str, Any]] = []
        self.way: speed.Way | None = None
        self.epoch, self.step, self.total = 0, 0, 0.0
        self.spent = self.core_spent = 0.0
        """Seconds, by the clock and of the processors, that earlier calls spent on this epoch."""
        self.generator_state: Tensor | None = None
        self.noise_state: Tensor | None = None
        if self.checkpoint.exists():
            self.resume()
        if self.epoch < len(self.schedule):
            self.prepare()

    def _same_images_held_out(self, name: str) -> None:
        facts = self.lineage[name]
        other = checkpoints.other_seed(facts, self.args.seed) if facts else None
        if other is not None:
            raise SystemExit(
                f"error: --{name}: {getattr(self.args, name)}: trained with seed {other}, which holds out "
                f"other images: some that seed {self.args.seed} judges by were learned; give --seed {other}"
            )

    def resume(self) -> None:
        state = checkpoints.read(self.checkpoint, self.device)
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.average is not None and "average" in state:
            self.average.network.load_state_dict(state["average"])
            self.average.steps = state["averaged_steps"]
        self.epoch, self.log = state["epoch"], json.loads(state["log"])
        self.way = speed.kept(json.loads(state.get("way", "null")), self.args.precision, self.args.compile)
        if state.get("step"):
            self.step, self.total = state["step"], state["total"]
            self.spent, self.core_spent = state.get("spent", 0.0), state.get("core_spent", 0.0)
            self.generator_state = state["generator"].cpu()
            self.noise_state = state["noise"].cpu() if "noise" in state else None
        print(f"resuming after epoch {self.epoch}, step {self.step}", flush=True)

    def prepare(self) -> None:
        """What a run needs that has epochs left: images, a teacher, and the fastest way to compute a step."""
        args = self.args
        train, self.validation = cifar10.hold_out(
            cifar10.load(args.data, "train"), VALIDATION_IMAGES, args.seed
        )
        self.images = torch.from_numpy(train.images).to(self.device)
        self.labels = torch.from_numpy(train.labels).to(self.device)
        self.steps = len(self.labels) // args.batch
        self.teacher: nn.Module | None = None
        if args.teacher:
            state = checkpoints.read(args.teacher)
            self.lineage["teacher"] = checkpoints.history(state)
            self._same_images_held_out("teacher")
            teacher = checkpoints.network_of(state)
            if teacher.neurons != "lif" and args.teacher_timesteps != 1:
                raise SystemExit(
                    f"error: --teacher-timesteps: {args.teacher}: has no spikes and so one timestep; give 1"
                )
            self.teacher = teacher.to(self.device).to(memory_format=torch.channels_last)
        if self.way is None and self.lineage["init"]:
            self.way = speed.kept(self.lineage["init"]["way"], args.precision, args.compile)
        if self.way is None:
            steps = self.steps * (len(self.schedule) - self.epoch)
            ways = speed.candidates(args.precision, args.compile, self.device, steps)
            pick = torch.arange(args.batch)

            def trial(model: nn.Module, way: speed.Way) -> Tensor:
                x = pixels(self.images[pick.to(self.device)])
                with torch.autocast(self.device.type, torch.bfloat16, enabled=way.bfloat16):
                    outputs = model(x, self.schedule[self.epoch])
                return loss_of(outputs.float(), self.labels[pick.to(self.device)], args.loss)

            self.way = speed.choose(ways, self.network, trial, lambda line: print(line, flush=True))
        print(self.way, flush=True)
        self.model = speed.prepared(self.network, self.way)
        if self.teacher is not None:
            self.teacher = speed.prepared(self.teacher, self.way)

    def keep(self, generator: torch.Generator | None = None) -> None:
        """Write the checkpoint: within an epoch, with the state of its `generator`."""
        assert self.way is not None
        arguments = {k: str(v) for k, v in vars(self.args).items() if v is not None and k != "schedule"}
        state = {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "epoch": self.epoch,
            "log": json.dumps(self.log),
            "arguments": json.dumps(arguments),
            "plan": json.dumps(self.network.description()),
            "way": json.dumps(speed.plain(self.way)),
            **{name: json.dumps(facts) for name, facts in self.lineage.items()},
        }
        if self.average is not None:
            state |= {"average": self.average.state(), "averaged_steps": self.average.steps}
        if generator is not None:
            state |= {"step": self.step, "total": self.total, "generator": generator.get_state()}
            state |= {"spent": self.spent, "core_spent": self.core_spent}
            state["noise"] = torch.get_rng_state()
        checkpoints.save(self.checkpoint, state)

    def batch_loss(self, pick: Tensor, generator: torch.Generator, timesteps: int, bfloat16: bool) -> Tensor:
        x, y = pixels(augment(self.images[pick], generator, self.args.cutout)), self.labels[pick]
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bfloat16):
            outputs = self.model(x, timesteps)
        if self.teacher is None:
            return loss_of(outputs.float(), y, self.args.loss)
        with torch.no_grad(), torch.autocast(self.device.type, torch.bfloat16, enabled=bfloat16):
            taught = running_mean(self.teacher(x, self.args.teacher_timesteps).float())[-1]
        distillation = Distillation(self.args.distill, self.args.temperature)
        return loss_of(outputs.float(), y, self.args.loss, taught, distillation)

    def shown_as_trained(self) -> Iterator[Tensor]:
        """Batches of training images, cropped and flipped as in training, always the same."""
        generator = torch.Generator().manual_seed(self.args.seed)
        order = torch.randperm(len(self.labels), generator=generator)[:SETTLING_IMAGES]
        for pick in order.split(self.args.batch):
            yield pixels(augment(self.images[pick.to(self.device)], generator, self.args.cutout))

    def train_epoch(self) -> None:
        """One epoch, or what is left of it, its validation, its row of the log and its checkpoint."""
        args, epoch, timesteps = self.args, self.epoch, self.schedule[self.epoch]
        began, core_began = time.time() - self.spent, time.process_time() - self.core_spent
        # Order, augmentation and (on a CPU) noise depend on (seed, epoch) alone: a resumed run sees the same.
        generator = torch.Generator().manual_seed(args.seed * 100_003 + epoch)
        torch.manual_seed(args.seed * 100_003 + epoch)  # of the cells' variation
        order = torch.randperm(len(self.labels), generator=generator)
        if self.generator_state is not None:
            generator.set_state(self.generator_state)
        if self.noise_state is not None:
            torch.set_rng_state(self.noise_state)
        assert self.way is not None
        bfloat16 = self.way.bfloat16 and epoch < len(self.schedule) - args.float_epochs
        saved, losses, first = time.time(), list[Tensor](), self.step
        began_here = time.time()
        self.network.train()
        if args.frozen_norms:
            for norm in self.network.modules():
                if isinstance(norm, nn.BatchNorm2d):
                    norm.eval()
        while self.step < self.steps:
            done = (epoch + self.step / self.steps) / len(self.schedule)
            lr = one_cycle(done, args.lr, args.warm, args.hold)
            for group in self.optimiser.param_groups:
                group["lr"] = lr
            pick = order[self.step * args.batch : (self.step + 1) * args.batch].to(self.device)
            loss = self.batch_loss(pick, generator, timesteps, bfloat16)
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            if self.average is not None:
                self.average.take(self.network)
            losses.append(loss.detach())
            self.step += 1
            if self.step % 50 == 0 or self.step == self.steps:
                # Read now and then only: each reading makes the CPU wait for the card.
                for value in torch.stack(losses).tolist():
                    self.total += value
                losses.clear()
                if not np.isfinite(self.total):
                    raise SystemExit("the loss is not finite")
            if self.step % 50 == 0:
                now = time.time()
                seconds, mean = (now - began_here) / (self.step - first), self.total / self.step
                at = f"epoch {epoch + 1} of {len(self.schedule)}, step {self.step} of {self.steps}"
                print(f"{at}, T = {timesteps}: loss {mean:.4f}, {seconds:.2f} s a step", flush=True)
                if now - saved > 60 * args.save_minutes:
                    self.spent, self.core_spent = now - began, time.process_time() - core_began
                    self.keep(generator)
                    saved = now
        self.epoch += 1
        if self.average is not None:
            self.average.settle(self.shown_as_trained(), timesteps)
        row: dict[str, Any] = {"epoch": self.epoch, "timesteps": timesteps}
        row["loss"] = round(self.total / self.steps, 4)
        last = self.epoch == len(self.schedule)
        if self.epoch % args.evaluate_every == 0 or last:
            timesteps_shown = 4 if args.neurons == "lif" else 1
            shown = self.network if self.average is None else self.average.network
            row["validation_accuracy"] = evaluate(
                shown, self.validation, timesteps_shown, self.device, bfloat16 and not last
            )
        row["seconds"] = round(time.time() - began, 1)
        row["core_seconds"] = round(time.process_time() - core_began, 1)
        self.log.append(row)
        print(json.dumps(row), flush=True)
        self.step, self.total, self.spent, self.core_spent = 0, 0.0, 0.0, 0.0
        self.generator_state = self.noise_state = None
        self.keep()
        checkpoints.write_curve(args.out / "curve.csv", self.log)


def main() -> None:
    args = parse(__doc__.split("\n")[0])
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    run = Run(args)
    while run.epoch < len(run.schedule):
        run.train_epoch()


if __name__ == "__main__":
    speed.with_allocator()
    main()
