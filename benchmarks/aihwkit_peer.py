"""Cells with errors twice: IBM's aihwkit, and imcsim, on the same network with the same errors.

    python benchmarks/aihwkit_peer.py [--quick] [--no-save] [--images 50] [--chips 3]

Both have differential cells of 7 bits, a programming error of 10 % of each conductance, converters of 8 bits
with noise of half a step (the noise of a read), and crossbars of 64 rows. aihwkit gets one analog layer for
the positive and one for the negative weights of a layer, so that each column has a converter of its own, as
on our chip; a code below 0, and one of a read without a row, is 0 as there; input bits of the image are read
one by one.

- ``currents``: a crossbar of a trained layer, driven by random spikes. Without errors both must be the same,
  to the bit. With errors, the mean and the standard deviation of what is off are compared.
- ``read noise``: of cells that all have one level, of which 20 are driven; aihwkit gets it as noise of its
  outputs.
- ``accuracy``: the trained network on several chips, images and spikes through all layers.

A difference is judged by its standard error over chips: more than `LIMIT` of them, and the script fails. The
table goes into aihwkit_peer.csv. CrossSim is no package of the registry and is left out. Speed is images per
second of each on the machine as it was, with its load.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import imcsim.hardware
import imcsim.inputs
import imcsim.network
from imcsim.exits.outputs import predictions
from imcsim.inputs import Inputs
from imcsim.network.graph import INPUT, LIF, Conv2d, Linear, Network, Pool2d
from imcsim.simulation.chip import Chip, make_chip
from imcsim.simulation.simulate import simulate
from imcsim.timing import Issue, Timing

TABLE = Path(__file__).with_name("aihwkit_peer.csv")
SIGMA, NOISE_LSB, READ_NOISE, ROWS = 0.1, 0.5, 0.02, 64
DRIVEN = 20
LIMIT = 4.0
IDEAL = {"cells.encoding": "differential", "cells.cell_bits": 7, "adc.bits": 8, "adc.full_scale": "ideal"}
NETWORK = "vgg7_cifar10"


@dataclass(frozen=True)
class Row:
    """One figure of both; `z` is their difference in standard errors."""

    what: str
    figure: str
    ours: float
    aihwkit: float
    z: float

    @property
    def agrees(self) -> bool:
        """Whether they differ by no more than chance."""
        return abs(self.z) <= LIMIT


def missing() -> list[str]:
    """What is left out, in words."""
    absent = [name for name in ("torch", "aihwkit") if importlib.util.find_spec(name) is None]
    words = [f"{' and '.join(absent)} not installed: left out"] if absent else []
    return [*words, "CrossSim is no package of the registry: left out"]


# --- aihwkit


def analog(bound: float, noise: float, sigma: float) -> Any:
    """aihwkit's config of a tile whose converters clip at `bound` levels, with 255 steps from 0 on."""
    from aihwkit.inference.converter.conductance import SinglePairConductanceConverter
    from aihwkit.inference.noise.base import BaseNoiseModel
    from aihwkit.simulator.configs import TorchInferenceRPUConfig
    from aihwkit.simulator.parameters.enums import BoundManagementType, NoiseManagementType
    from aihwkit.simulator.parameters.io import IOParameters
    from aihwkit.simulator.parameters.mapping import MappingParameter

    class Relative(BaseNoiseModel):
        """Each conductance is programmed with an error of `sigma` of itself."""

        def apply_programming_noise_to_conductance(self, g_target: Any) -> Any:
            import torch

            return (g_target * (1 + sigma * torch.randn_like(g_target))).clamp(min=0)

        def generate_drift_coefficients(self, g_target: Any) -> Any:
            return g_target * 0

        def apply_drift_noise_to_conductance(self, g_prog: Any, nu_drift: Any, t_inference: float) -> Any:
            return g_prog

    config = TorchInferenceRPUConfig()
    config.mapping = MappingParameter(
        weight_scaling_omega=0.0, max_input_size=ROWS, max_output_size=0, learn_out_scaling=False
    )
    config.forward = IOParameters(
        inp_bound=-1, inp_res=-1, out_bound=bound, out_res=1 / 510, out_noise=noise,
        noise_management=NoiseManagementType.NONE, bound_management=BoundManagementType.NONE,
    )  # fmt: skip
    config.noise_model = Relative(SinglePairConductanceConverter())
    config.drift_compensation = None
    return config


class AnalogPair:
    """A layer of aihwkit on crossbars of `ROWS` rows: positive weights less negative ones, in weight steps.

    Rows stand in the order of our crossbars. aihwkit's converters know negative numbers; ours do not, and
    take no code where no row is driven: both is done here to what its tiles give.
    """

    def __init__(self, node: Conv2d | Linear, step: float, sigma: float, noise_lsb: float) -> None:
        import torch
        from aihwkit.nn import AnalogLinear

        torch.set_grad_enabled(False)
        self.node = node
        columns = node.weight if isinstance(node, Linear) else node.weight.transpose(0, 2, 3, 1)
        matrix = torch.from_numpy(np.ascontiguousarray(columns.reshape(len(columns), -1), np.float32))
        self.blocks = []
        for block in matrix.split(ROWS, dim=1):
            halves = []
            for sign in (1, -1):
                plain = torch.nn.Linear(block.shape[1], len(block), bias=False)
                plain.weight.data = (sign * block).clamp(min=0).contiguous()
                config = analog(255 * step, noise_lsb * step, sigma)
                layer = AnalogLinear.from_digital(plain, config).eval()
                # A block without weights of this sign has nothing to program.
                if sigma and plain.weight.any():
                    layer.program_analog_weights()
                halves.append(layer)
            self.blocks.append(halves)

    def __call__(self, x: Any) -> Any:
        import torch

        node, shape = self.node, x.shape
        if isinstance(node, Conv2d):
            kernel = node.weight.shape[2:]
            x = torch.nn.functional.unfold(x, kernel, padding=node.padding, stride=node.stride)
            x = x.unflatten(1, (shape[1], -1)).transpose(1, 2).flatten(1, 2).transpose(1, 2).flatten(0, 1)
        total = 0.0
        for part, (more, less) in zip(x.split(ROWS, dim=1), self.blocks, strict=True):
            driven = part.any(dim=1, keepdim=True)
            total = total + (more(part).clamp(min=0) - less(part).clamp(min=0)) * driven
        if isinstance(node, Linear):
            return total
        side = math.isqrt(len(total) // shape[0])
        return total.unflatten(0, (shape[0], -1)).transpose(1, 2).unflatten(2, (side, side))


# --- the same crossbar


def crossbar(network: Network) -> Network:
    """The first 64 rows of a layer of the network as a layer of its own, with binary inputs."""
    weight = network.weighted[2].weight.reshape(len(network.weighted[2].weight), -1)[:, :ROWS]
    ones = np.ones(len(weight))
    fc = Linear("fc", (INPUT,), np.ascontiguousarray(weight), ones, 0 * ones)
    return Network("crossbar", (1, 8, 8), 1, 1.0, len(weight), 1, 8, (fc,))


def chip_of(network: Network, inputs: Inputs, timesteps: int, number: int, **errors: Any) -> Chip:
    """Our chip of that number."""
    hardware = imcsim.hardware.load("dtsnn_32nm", IDEAL | errors)
    return make_chip(network, hardware, inputs, Timing(timesteps, Issue()), number=number, workers=1)


def errors(sigma: float, noise_lsb: float) -> dict[str, Any]:
    """Our keys of a programming error and a converter's noise."""
    return {"nonideal.variation.sigma": sigma, "nonideal.converter.noise_lsb": noise_lsb}


def ours(network: Network, inputs: Inputs, number: int, **about: Any) -> NDArray[np.float64]:
    """Class outputs of one timestep, in weight steps."""
    chip = chip_of(network, inputs, 1, number, **about)
    return simulate(chip, inputs, workers=1).activity.outputs[:, 0].astype(np.float64)


def currents(network: Network, chips: int, images: int) -> list[Row]:
    """A crossbar driven by random spikes, on several chips of each program."""
    import torch

    shown = crossbar(network)
    spikes = (np.random.default_rng(0).random((images, 1, 8, 8)) < 0.3).astype(np.uint8)
    inputs = Inputs(spikes, np.zeros(images, np.int64), "spikes", "unknown", "", shown.classes)
    exact = spikes.reshape(images, -1).astype(np.float64) @ shown.weighted[0].weight.T
    chip = chip_of(shown, inputs, 1, 0)
    step = float(1 << int(chip.converters.shift["fc"][0]))
    plain = ours(shown, inputs, 0)
    # Class outputs are fixed-point numbers; the ideal chip tells what one weight step is in them.
    unit = float(np.median(np.abs(plain[np.abs(exact) > 10 * step] / exact[np.abs(exact) > 10 * step])))
    unit = 2.0 ** round(math.log2(unit))
    x = torch.from_numpy(spikes.reshape(images, -1).astype(np.float32))
    theirs = AnalogPair(shown.weighted[0], step, 0.0, 0.0)(x).numpy()
    apart = np.abs(plain / unit - theirs) / step
    # A sum halfway between two codes is rounded up by us, to the even code by aihwkit.
    half = (exact_halves(shown.weighted[0].weight, spikes, step)).any(axis=0)
    rows = [
        Row(
            "currents",
            "no errors: steps apart",
            0.0,
            float(apart[~half].max()),
            0.0 if apart[~half].max() < 1e-3 else math.inf,
        )
    ]
    torch.manual_seed(1)
    about = errors(SIGMA, NOISE_LSB)
    mine = [ours(shown, inputs, k, **about) / unit / step - exact / step for k in range(chips)]
    others = [
        AnalogPair(shown.weighted[0], step, SIGMA, NOISE_LSB)(x).numpy() / step - exact / step
        for _ in range(chips)
    ]
    rows += [
        compared("currents", "mean error, steps", mine, others, np.mean),
        compared("currents", "standard deviation of the error, steps", mine, others, np.std),
    ]
    return rows


def exact_halves(weight: NDArray[Any], spikes: NDArray[Any], step: float) -> NDArray[np.bool_]:
    """Where a column's sum is halfway between two codes, ``[2, images, K]``."""
    flat = spikes.reshape(len(spikes), -1).astype(np.int64)
    sums = np.stack([flat @ np.maximum(sign * weight.T.astype(np.int64), 0) for sign in (1, -1)])
    halves: NDArray[np.bool_] = (2 * sums) % (2 * int(step)) == int(step)
    return halves


def read_noise(chips: int, images: int) -> list[Row]:
    """Cells of one level, each of which is off by a share of it from read to read.

    Of `DRIVEN` rows the sum is off by so much times the root of their number: aihwkit gets that as the noise
    of its outputs, as its tiles of PyTorch have no noise of weights.
    """
    import torch
    from aihwkit.nn import AnalogLinear

    weight = np.full((16, ROWS), 127, np.int8)
    ones = np.ones(16)
    shown = Network("level", (1, 8, 8), 1, 1.0, 16, 1, 8, (Linear("fc", (INPUT,), weight, ones, 0 * ones),))
    drawn = np.random.default_rng(2).random((images, ROWS)).argsort(axis=1) < DRIVEN
    spikes = drawn.astype(np.uint8).reshape(images, 1, 8, 8)
    inputs = Inputs(spikes, np.zeros(images, np.int64), "spikes", "unknown", "", 16)
    exact = spikes.reshape(images, -1).astype(np.float64) @ weight.T
    about = {"nonideal.read_noise.sigma": READ_NOISE}
    step = float(1 << int(chip_of(shown, inputs, 1, 0).converters.shift["fc"][0]))
    plain = ours(shown, inputs, 0)
    unit = 2.0 ** round(math.log2(float(np.median(plain / exact))))
    mine = [ours(shown, inputs, k, **about) / unit / step - exact / step for k in range(chips)]
    x, others = torch.from_numpy(spikes.reshape(images, -1).astype(np.float32)), []
    torch.manual_seed(3)
    for _ in range(chips):
        linear = torch.nn.Linear(ROWS, 16, bias=False)
        linear.weight.data = torch.from_numpy(weight.astype(np.float32))
        config = analog(255 * step, READ_NOISE * 127 * math.sqrt(DRIVEN), 0.0)
        others.append(AnalogLinear.from_digital(linear, config).eval()(x).numpy() / step - exact / step)
    return [compared("read noise", "standard deviation of the error, steps", mine, others, np.std)]


def compared(
    what: str,
    figure: str,
    mine: Sequence[NDArray[Any]],
    others: Sequence[NDArray[Any]],
    of: Callable[[NDArray[Any]], Any],
) -> Row:
    """A statistic of each chip, its mean over chips, and the difference in standard errors."""
    a, b = ([float(of(one)) for one in side] for side in (mine, others))
    spread = math.sqrt(float(np.var(a, ddof=1)) / len(a) + float(np.var(b, ddof=1)) / len(b))
    gap = float(np.mean(a) - np.mean(b))
    return Row(what, figure, float(np.mean(a)), float(np.mean(b)), gap / spread if spread else 0.0)


# --- the whole network


def accuracy(network: Network, images: int, chips: int) -> list[Row]:
    """Right answers at T max on several chips of each, and images per second."""
    inputs = imcsim.inputs.load("cifar10_test").first(network.timesteps)
    some = Inputs(
        inputs.images[:images], inputs.labels[:images], inputs.name, inputs.split, "", inputs.classes
    )
    about = errors(SIGMA, NOISE_LSB)
    mine, others, seconds = [], [], [0.0, 0.0]
    for number in range(chips):
        chip = chip_of(network, some, network.timesteps, number, **about)
        began = time.perf_counter()
        outputs = simulate(chip, some, workers=1).activity.outputs
        seconds[0] += time.perf_counter() - began
        mine.append(predictions(outputs)[:, -1] == some.labels)
        steps = {name: 1 << int(shift[0]) for name, shift in chip.converters.shift.items()}
        played, took = played_by_aihwkit(network, some.images, steps, number)
        seconds[1] += took
        others.append(played.argmax(axis=1) == some.labels)
    right = [float(np.mean(side)) for side in (mine, others)]
    # The same images: what chips of a program have right differs by their errors alone.
    row = compared("accuracy", f"share right, {images} images, {chips} chips", mine, others, np.mean)
    spread = math.sqrt(sum(r * (1 - r) for r in right) / (images * chips))
    rate = [images * chips / s for s in seconds]
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    return [
        Row(row.what, row.figure, *right, (right[0] - right[1]) / spread if spread else 0.0),
        Row("speed", f"images per second, one thread, {load:.1f} processes for each core", *rate, 0.0),
    ]


def played_by_aihwkit(
    network: Network, images: NDArray[np.uint8], steps: dict[str, int], seed: int
) -> tuple[NDArray[np.float32], float]:
    """Sums of the class outputs over all timesteps, and the seconds that they took."""
    import torch

    torch.manual_seed(100 + seed)
    torch.set_num_threads(1)
    layers = {
        node.name: AnalogPair(node, steps[node.name], SIGMA, NOISE_LSB)
        for node in network.nodes
        if isinstance(node, Conv2d | Linear)
    }
    began = time.perf_counter()
    pixels = torch.from_numpy(images.astype(np.int64))
    membranes: dict[str, Any] = {}
    total: Any = 0.0
    kept: Any = None
    for _ in range(network.timesteps):
        x: Any = None
        for node in network.nodes:
            if isinstance(node, Conv2d | Linear):
                if x is None:
                    if kept is None:
                        planes = [layers[node.name]((pixels >> b & 1).float()) * 2.0**b
                                  for b in range(network.input_bits)]  # fmt: skip
                        kept = sum(planes[1:], planes[0]) * network.input_scale
                    sums = kept
                else:
                    sums = layers[node.name](x)
                shape = (-1, 1, 1) if isinstance(node, Conv2d) else (-1,)
                scale, bias = (
                    torch.from_numpy(v.astype(np.float32)).reshape(shape) for v in (node.scale, node.bias)
                )
                x = sums * scale + bias
            elif isinstance(node, LIF):
                membrane = membranes.get(node.name, torch.zeros_like(x)) * node.leak + x
                x = (membrane >= node.threshold).float()
                membranes[node.name] = membrane * (1 - x)
            elif isinstance(node, Pool2d):
                x = torch.nn.functional.max_pool2d(x, node.size, node.stride)
            else:
                x = x.flatten(1)
        total = total + x
    return total.numpy(), time.perf_counter() - began


def main(arguments: Sequence[str]) -> int:
    """Print the table; write it unless told otherwise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--no-save", action="store_true")
    parser.add_argument("--images", type=int, default=50)
    parser.add_argument("--chips", type=int, default=3)
    given = parser.parse_args(arguments)
    absent = missing()
    for line in absent:
        print(line)
    if len(absent) > 1:
        return 0
    network = imcsim.network.load(NETWORK)
    table = currents(network, 4 if given.quick else 30, 20 if given.quick else 100)
    table += read_noise(4 if given.quick else 30, 20 if given.quick else 100)
    if not given.quick:
        table += accuracy(network, given.images, given.chips)
    for row in table:
        print(f"{row.what:11} {row.figure:55} {row.ours:12.5g} {row.aihwkit:12.5g} {row.z:7.2f}")
    if not given.quick and not given.no_save:
        with TABLE.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([field.name for field in fields(Row)])
            writer.writerows(astuple(row) for row in table)
    wrong = [row for row in table if not row.agrees]
    for row in wrong:
        print(f"more than chance: {row}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
