"""`imcsim import --inputs` of a PyTorch file, over a run of the network that it makes on the same images.

    python benchmarks/import_inputs.py [--images 2] [--runs 5]

ResNet-18 at 224 x 224 with random weights, batch norms that have seen the images, and T = 4, as `torch.save`
writes it. Import reads it, folds and quantises it, plays it with real weights and with integers, and writes
the network; `imcsim run --policy static` then plays that on a chip with room for its rows. Processor time of
whole commands, start and child processes included: the least of several runs of each, by turns, after one.
The ratio is the two runs that an import may take over what it takes.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import common
import numpy as np

TIMES_ALLOWED = 2.0
WIDTHS = (64, 128, 256, 512)
ROOM = ("--set", "tile_buffer.capacity_bytes=2000000", "--set", "global_buffer.capacity_bytes=400000")

HEAD = """\
schema: 1
name: resnet18
input: {{shape: [3, {size}, {size}]}}
timesteps: 4
classes: 10
neuron: {{leak: 0.5, threshold: 1.0, reset: hard, fires: at}}
layers:
  - {{name: conv1, kind: conv2d, prefix: conv1, stride: 2, padding: 3}}
  - {{name: bn1, kind: batchnorm, prefix: bn1}}
  - {{name: sn1, kind: neuron}}
  - {{name: maxpool, kind: maxpool, size: 3, stride: 2, padding: 1}}
"""
BLOCK = """\
  - {{name: {name}.conv1, kind: conv2d, prefix: {name}.conv1,
     inputs: [{before}], stride: {stride}, padding: 1}}
  - {{name: {name}.bn1, kind: batchnorm, prefix: {name}.bn1}}
  - {{name: {name}.sn1, kind: neuron}}
  - {{name: {name}.conv2, kind: conv2d, prefix: {name}.conv2, padding: 1}}
  - {{name: {name}.bn2, kind: batchnorm, prefix: {name}.bn2}}
"""
SHORTCUT = """\
  - {{name: {name}.down, kind: conv2d, prefix: {name}.down, inputs: [{before}], stride: {stride}}}
  - {{name: {name}.down_bn, kind: batchnorm, prefix: {name}.down_bn}}
"""
SUM = """\
  - {{name: {name}.add, kind: add, inputs: [{name}.bn2, {shortcut}]}}
  - {{name: {name}.sn2, kind: neuron}}
"""
TAIL = """\
  - {{name: pool, kind: avgpool, size: {size}}}
  - kind: flatten
  - {{name: fc, kind: linear, prefix: fc}}
"""


def blocks(widths: tuple[int, ...]) -> list[tuple[str, int, int, int]]:
    """Name, channels in, channels out and stride of each residual block."""
    found, before = [], widths[0]
    for stage, width in enumerate(widths, 1):
        for block in (0, 1):
            found.append((f"layer{stage}{block}", before, width, 2 if stage > 1 and block == 0 else 1))
            before = width
    return found


def write(folder: Path, images: int, widths: tuple[int, ...], size: int) -> None:
    """The state dict, its layer list and the images."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    coarse = torch.randint(0, 256, (max(images, 2), 3, size // 8, size // 8)).float()
    pixels = nn.functional.interpolate(coarse, size=(size, size), mode="bilinear").to(torch.uint8)
    np.savez(folder / "images.npz", images=pixels.numpy(), labels=np.arange(len(pixels)))
    state: dict[str, Any] = {}

    def layer(name: str, norm: str, x: Any, outer: int, kernel: int, stride: int) -> Any:
        conv = nn.Conv2d(x.shape[1], outer, kernel, stride, kernel // 2, bias=False)
        made = nn.BatchNorm2d(outer, momentum=None)
        state.update({f"{name}.{key}": value for key, value in conv.state_dict().items()})
        y = made(conv(x))
        state.update({f"{norm}.{key}": value for key, value in made.state_dict().items()})
        return y

    def fired(x: Any) -> Any:
        """One timestep is enough for a batch norm to see usual numbers."""
        return (x >= 1.0).float()

    lines = [HEAD.format(size=size)]
    with torch.no_grad():
        x = fired(layer("conv1", "bn1", pixels / 255, widths[0], 7, 2))
        x, before = nn.functional.max_pool2d(x, 3, 2, 1), "maxpool"
        for name, inner, outer, stride in blocks(widths):
            y = fired(layer(f"{name}.conv1", f"{name}.bn1", x, outer, 3, stride))
            y = layer(f"{name}.conv2", f"{name}.bn2", y, outer, 3, 1)
            lines.append(BLOCK.format(name=name, before=before, stride=stride))
            shortcut = before
            if (inner, stride) != (outer, 1):
                x, shortcut = layer(f"{name}.down", f"{name}.down_bn", x, outer, 1, stride), f"{name}.down_bn"
                lines.append(SHORTCUT.format(name=name, before=before, stride=stride))
            lines.append(SUM.format(name=name, shortcut=shortcut))
            x, before = fired(x + y), f"{name}.sn2"
        state.update({f"fc.{key}": value for key, value in nn.Linear(widths[-1], 10).state_dict().items()})
    lines.append(TAIL.format(size=x.shape[-1]))
    torch.save(state, folder / "resnet18.pt")
    (folder / "resnet18.yaml").write_text("".join(lines), encoding="utf-8")


def seconds(folder: Path, *command: str) -> float:
    """Processor seconds of a command of imcsim, with its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    keeps = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(
        [sys.executable, "-m", "imcsim", *command, "--quiet"], cwd=folder, check=True, env=keeps,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    about = common.arguments(__doc__, images=2, runs=5).parse_args()
    widths, size = (WIDTHS, 224) if not about.quick else ((8, 16, 32, 64), 32)
    try:
        import torch  # noqa: F401
    except ImportError:
        common.skip("torch is not installed")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, about.images, widths, size)
        shown = ("--inputs", "images.npz", "--images", str(about.images))
        imported = ("import", "resnet18.pt", "--layers", "resnet18.yaml", *shown, "-o", "model")
        run = ("run", "--model", "model", "--policy", "static", *shown, *ROOM, "--json", "run.json")
        found: dict[str, list[float]] = {"import": [], "run": []}
        for _ in range(1 if about.quick else about.runs + 1):
            for key, command in (("import", imported), ("run", run)):
                found[key].append(seconds(folder, *command))
    least = {key: min(values[1:] or values) for key, values in found.items()}
    times = least["import"] / least["run"]
    print(f"import {least['import']:.2f} s, run {least['run']:.2f} s: {times:.2f} times as long")
    common.finish(
        Path(__file__).name,
        f"`imcsim import --inputs` of ResNet-18 at 224 x 224, {about.images} images, processor time, against "
        "the two runs of them allowed",
        ours=f"{least['import']:.1f} s",
        theirs=f"{TIMES_ALLOWED * least['run']:.1f} s",
        ratio=TIMES_ALLOWED / times,
        save=not about.quick,
    )


if __name__ == "__main__":
    main()
