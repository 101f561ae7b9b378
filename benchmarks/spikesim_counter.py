"""SpikeSim's energies twice: by SpikingJelly's `SpikeSimCounter`, and by the chip `spikesim_65nm`.

    python benchmarks/spikesim_counter.py [--quick] [--no-save]

No speed is measured. Both get the same network and the same spikes: the inputs of each convolution are those
that imcsim's values are, and SpikingJelly counts what its own convolutions do with them. ``dense`` charges
every PE cycle, as SpikeSim's released estimator does; ``event`` leaves out what is silent, which the chip
does with ``activity.skip_zero_reads``. The table, by layer and part, goes into spikesim_counter.csv:

- ``ours``: what the chip is charged.
- ``ours_by_their_rule``: what our counts give where SpikingJelly charges by another rule. Its event mode
  charges crossbars by active row and neurons at positions with a spike below them; SpikeSim, and so the
  chip, charges a whole crossbar once it is driven, and neurons with each PE cycle.

The script fails unless SpikingJelly's figure is ours in dense mode, and ours by its rule in event mode.
"""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import imcsim.hardware
from imcsim.hardware.events import Event
from imcsim.hardware.ledger import charges
from imcsim.inputs import Inputs
from imcsim.network.graph import Conv2d, Network
from imcsim.simulation.chip import Chip, make_chip
from imcsim.simulation.simulate import Simulation, simulate
from imcsim.simulation.values import COMPUTED, ActivityRequest
from imcsim.timing import Issue, Timing
from imcsim.validate.networks import spikesim_vgg9
from imcsim.validate.spikesim import TRUE_POOLS

TABLE = Path(__file__).with_name("spikesim_counter.csv")
MODES = ("dense", "event")
PARTS = {
    "control": (
        "tile_buffer", "pe_buffer", "htree", "global_buffer", "adc", "column_mux", "shift_add", "adder_tree",
        "registers",
    ),
    "crossbar": ("cells",),
    "neuron": ("lif",),
}  # fmt: skip
"""Our components by the parts in which SpikingJelly's event mode sums up."""
TOLERANCE = 1e-9
LIT = 0.05
"""Of the image's pixels; so few that windows stay silent."""


@dataclass(frozen=True)
class Row:
    """One part of one layer: pJ for all images and timesteps."""

    mode: str
    layer: str
    part: str
    spikingjelly: float
    ours: float
    ours_by_their_rule: float

    @property
    def agrees(self) -> bool:
        """Whether SpikingJelly's figure follows from our counts."""
        return math.isclose(self.spikingjelly, self.ours_by_their_rule, rel_tol=TOLERANCE)


def missing() -> str | None:
    """What is not installed, in words."""
    absent = [name for name in ("torch", "spikingjelly") if importlib.util.find_spec(name) is None]
    return f"{' and '.join(absent)} not installed: left out" if absent else None


def sparse_images(shape: tuple[int, int, int], count: int, seed: int, lit: float = LIT) -> Inputs:
    """Images of one bit with few pixels at 1."""
    images = (np.random.default_rng(seed).random((count, *shape)) < lit).astype(np.uint8)
    return Inputs(images, np.zeros(count, np.int64), "sparse", "unknown", "", 10)


def rows(network: Network, inputs: Inputs, timesteps: int) -> Iterator[Row]:
    """Every part of every convolution, in both modes."""
    for mode in MODES:
        hardware = imcsim.hardware.load("spikesim_65nm", {"activity.skip_zero_reads": mode == "event"})
        chip = make_chip(network, hardware, inputs, Timing(timesteps, Issue()))
        simulation = simulate(chip, inputs)
        theirs = counted(chip, spikes(chip, inputs, timesteps), mode)
        for k, placed in enumerate(chip.placement.layers):
            name = placed.stage.name
            if name not in theirs:
                continue
            found, ours = theirs[name], of_layer(simulation, k + 1)
            if mode == "dense":
                whole = sum(ours.values())
                yield Row(mode, name, "PE cycles", found["total_pj"], whole, whole)
                continue
            keys = {"control": "patch_control_pj", "crossbar": "xbar_pj", "neuron": "neuron_pj"}
            rule = by_their_rule(simulation, k, spikes(chip, inputs, timesteps)[name])
            for part, key in keys.items():
                yield Row(mode, name, part, found[key], ours[part], rule.get(part, ours[part]))


def spikes(chip: Chip, inputs: Inputs, timesteps: int) -> dict[str, NDArray[np.uint8]]:
    """What each layer reads, uint8 ``[images, T, H, W, C]``."""
    sources = {layer.name: layer.source for layer in chip.program.crossbar_layers}
    wanted = frozenset(sources.values())
    request = ActivityRequest(chip.program, chip.converters, inputs, timesteps, record=wanted)
    recorded = COMPUTED.activity(request).recorded
    return {name: recorded[source] for name, source in sources.items()}


def counted(chip: Chip, read: dict[str, NDArray[np.uint8]], mode: Any) -> dict[str, dict[str, float]]:
    """SpikingJelly's energies of each convolution, pJ by its parts."""
    import torch
    from spikingjelly.activation_based.op_counter.spikesim import SpikeSimEnergyConfig, SpikeSimEnergyProfiler

    found = {}
    for node in chip.network.weighted:
        if not isinstance(node, Conv2d):
            continue
        outer, inner, *kernel = node.weight.shape
        conv = torch.nn.Conv2d(inner, outer, tuple(kernel), node.stride, node.padding, bias=False)
        conv.eval()
        profiler = SpikeSimEnergyProfiler(config=SpikeSimEnergyConfig(activity_mode=mode))
        with profiler, torch.no_grad():
            for step in np.moveaxis(read[node.name], 1, 0):
                conv(torch.from_numpy(np.ascontiguousarray(step.transpose(0, 3, 1, 2), np.float32)))
        (parts,) = profiler.get_report().energy_by_component["by_stage"].values()
        found[node.name] = parts
    return found


def of_layer(simulation: Simulation, layer: int) -> dict[str, float]:
    """What a layer of the ledger is charged, pJ by part, over all images of a static run."""
    totals, chip = _totals(simulation), simulation.chip
    found = dict.fromkeys(PARTS, 0.0)
    for charge in charges(chip.config, chip.size):
        count = int(totals[charge.event][:, layer].sum()) if charge.event in totals else 0
        part = next((name for name, members in PARTS.items() if charge.component in members), None)
        if part is None:
            if count and charge.energy_pj:
                raise SystemExit(f"{charge.component} belongs to no part of SpikeSim's PE cycle")
            continue
        found[part] += count * charge.energy_pj
    return found


def by_their_rule(simulation: Simulation, index: int, read: NDArray[np.uint8]) -> dict[str, float]:
    """Crossbars by active row and neurons by position with a spike below, from our counts and prices."""
    totals, chip = _totals(simulation), simulation.chip
    layer, config = chip.placement.layers[index], chip.config
    # A crossbar of 64 rows costs 8 phases; a row its share, and the rows that a narrow layer leaves empty.
    phases = config.column_mux.columns_per_adc
    row_pj = config.cells.read_energy_pj * phases / min(config.cells.rows, read.shape[-1])
    driven = int(totals[Event.ACTIVE_WORDLINES][:, index + 1].sum())
    lif = next(c for c in charges(config, chip.size) if c.component == "lif" and c.energy_pj)
    sites = _sites(simulation, index, read)
    return {
        "crossbar": driven * row_pj,
        "neuron": sites * layer.blocks * layer.columns * lif.energy_pj,
    }


def _sites(simulation: Simulation, index: int, read: NDArray[np.uint8]) -> int:
    """Positions, over all images and timesteps, with a spike in their window."""
    stage = simulation.chip.placement.layers[index].stage
    (ky, kx), (sy, sx) = stage.kernel, stage.stride
    pad = simulation.chip.network.weighted[index].padding
    lit = np.pad(read.any(axis=-1), ((0, 0), (0, 0), (pad[0],) * 2, (pad[1],) * 2))
    windows = np.lib.stride_tricks.sliding_window_view(lit, (ky, kx), axis=(2, 3))[:, :, ::sy, ::sx]
    return int(windows.any(axis=(4, 5)).sum())


def _totals(simulation: Simulation) -> dict[Event, NDArray[np.int64]]:
    ledger = simulation.static.ledger
    return ledger.totals(np.full(ledger.images, ledger.timesteps, np.int64))


def main(arguments: list[str]) -> int:
    """Print the table; write it unless told otherwise."""
    if (absent := missing()) is not None:
        print(absent)
        return 0
    network = spikesim_vgg9(TRUE_POOLS)
    quick = "--quick" in arguments
    table = list(rows(network, sparse_images(network.input_shape, 1 if quick else 4, 0), 1 if quick else 5))
    columns = [field.name for field in fields(Row)]
    lines = [",".join([*columns, "ratio"])]
    for row in table:
        ratio = row.ours / row.spikingjelly if row.spikingjelly else math.nan
        lines.append(",".join([*map(str, astuple(row)), f"{ratio:.6g}"]))
        print(f"{row.mode:6} {row.layer:6} {row.part:10} {row.spikingjelly:18,.3f} {row.ours:18,.3f} "
              f"{row.ours_by_their_rule:18,.3f} {ratio:8.4f}")  # fmt: skip
    for mode in MODES:
        theirs = sum(row.spikingjelly for row in table if row.mode == mode)
        ours = sum(row.ours for row in table if row.mode == mode)
        print(f"{mode}: SpikingJelly {theirs:,.3f} pJ, ours {ours:,.3f} pJ, ratio {ours / theirs:.6f}")
    if not quick and "--no-save" not in arguments:
        TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    wrong = [row for row in table if not row.agrees]
    for row in wrong:
        print(f"unexplained: {row}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
