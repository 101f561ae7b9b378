"""Recorded traces: what entered a chip at each timestep, and the spikes of its layers.

A trace is written by `record`, read by `load`, and played wherever inputs are taken: a run on a trace gives
the report of the run that it was recorded from. The file is described in inputs.trace.

>>> import imcsim.hardware, imcsim.inputs, imcsim.network, imcsim.studies.traces, pathlib, tempfile
>>> network, chip = imcsim.network.load("vgg7_cifar10"), imcsim.hardware.load("dtsnn_32nm")
>>> images = imcsim.inputs.load("cifar10_test", limit=2)
>>> file = pathlib.Path(tempfile.mkdtemp()) / "two.npz"
>>> trace = imcsim.studies.traces.record(network, chip, images, file, timesteps=2, layers=["lif1"])
>>> trace.frames.shape, trace.stored_frames, trace.spikes["lif1"].shape
((2, 2, 3, 32, 32), 1, (2, 2, 32, 32, 32))
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from imcsim._version import __version__
from imcsim.base.errors import ImcsimError
from imcsim.base.names import suggestion
from imcsim.base.progress import Progress
from imcsim.functional.in_flight import kept_at_a_time
from imcsim.functional.program.program import build
from imcsim.functional.run import ideal_converters
from imcsim.functional.run import run as play
from imcsim.hardware.config import Hardware
from imcsim.inputs import Inputs
from imcsim.inputs.trace import TRACE, VERSION, Trace, load_trace, pack_values
from imcsim.inputs.writer import NpzWriter
from imcsim.network import shapes
from imcsim.network.arrays import MAX_BYTES
from imcsim.network.graph import LIF, Network
from imcsim.simulation.chip import numerics, program_chip
from imcsim.studies.experiment import fitting

__all__ = ["Trace", "load", "record"]

RECORDED_IMAGES = 32
"""Images whose spikes are held in memory at a time, at most; fewer where it has no room for so many."""


def load(path: str | Path) -> Trace:
    """Read a recorded trace; spikes of layers stay in the file until they are asked for.

    Raises ImcsimError for a file that is none, that is damaged, or that does not fit together.
    """
    return load_trace(path)


def record(
    network: Network,
    hardware: Hardware,
    inputs: Inputs,
    path: str | Path,
    *,
    validation: Inputs | None = None,
    timesteps: int | None = None,
    layers: Sequence[str] | Literal["all"] = (),
    ideal: bool = False,
    paired: str | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    seed: int = 0,
    chip: int = 0,
) -> Trace:
    """Play `inputs` and write what entered at each timestep, and the spikes of the LIF `layers`, to `path`.

    ADC scales are set on `validation`, or on the inputs, as in a run. With `ideal` the ADCs neither round nor
    clip and membranes are as wide as the words of the simulator, so that spikes show the network without the
    chip; else a chip with errors is number `chip` of those that `seed` draws. `timesteps` is the network's
    own by default. `paired` names built-in validation images that go with the inputs. Memory holds some
    images' spikes at a time. The file is written whole or not at all. Raises ImcsimError where inputs do not
    fit, a layer is unknown, or the file would be too large to be read.
    """
    steps = timesteps or network.timesteps
    shown = fitting(inputs, network, steps, labelled=False)
    names = _layers(network, layers)
    maps = {name: _map(network, name) for name in names}
    bits, count = network.input_bits, len(shown.images)
    frames = shown.images if shown.timed else shown.images[:, None]
    size = count * frames.shape[1] * bits * -(-math.prod(shown.shape) // 8)
    planes = {name: network.node(name).max_spikes.bit_length() for name in names}  # type: ignore[union-attr]
    size += sum(count * steps * planes[name] * -(-math.prod(shape) // 8) for name, shape in maps.items())
    if size > MAX_BYTES:
        raise ImcsimError(
            f"the trace would take {size} bytes; at most {MAX_BYTES} are read",
            file=path,
            fix="record fewer images, or name fewer layers",
        )
    about = {
        "version": __version__,
        "name": shown.name,
        "sha256": shown.sha256,
        "split": shown.split,
        "classes": shown.classes,
        "coding": shown.coding,
        "spikes": shown.spikes,
        "inputs": dict(shown.about),
        "validation": paired,
        "timesteps": steps,
        "shape": list(shown.shape),
        "bits": bits,
        "layers": [
            {"name": name, "shape": list(shape)} | ({"bits": planes[name]} if planes[name] > 1 else {})
            for name, shape in maps.items()
        ],
        "network": {"name": network.name, "sha256": network.sha256},
        "hardware": {"name": hardware.name, "sha256": hardware.sha256},
        "ideal": ideal,
    }
    calibration = shown if validation is None else fitting(validation, network, steps, labelled=False)
    # Without layers nothing depends on what the chip computes.
    player = _player(network, hardware, calibration, ideal, workers, (seed, chip)) if names else None
    with NpzWriter(path) as writer:
        writer.put(TRACE, np.array(VERSION, "<i8"))
        writer.put("about", np.array(json.dumps(about)))
        writer.put("labels", shown.labels.astype("<i8"))
        if shown.lead is not None:
            writer.put("lead", pack_values(shown.lead, bits))
        together = RECORDED_IMAGES
        if player is not None:
            together = kept_at_a_time(player[0], shown.shape, shown.timed, names, steps, RECORDED_IMAGES)
        for start in range(0, count, together):
            some = slice(start, start + together)
            writer.add("frames", pack_values(frames[some], bits))
            if player is not None:
                program, converters = player
                recorded = play(
                    program, shown.images[some], steps, converters, workers=workers, record=set(names)
                ).recorded
                for k, name in enumerate(names):
                    # Tiles hold maps channels last; a trace has them first.
                    values = recorded[name].transpose(0, 1, 4, 2, 3)
                    packed = pack_values(values, planes[name])
                    writer.add(f"spikes_{k}", packed if planes[name] > 1 else packed[:, :, 0])
            if progress is not None:
                progress("trace", min(count, start + together), count)
    return load_trace(path)


def _player(
    network: Network,
    hardware: Hardware,
    calibration: Inputs,
    ideal: bool,
    workers: int | None,
    drawn: tuple[int, int],
) -> tuple[Any, Any]:
    """The program that is played, and its converters."""
    if ideal:
        program = build(network, numerics(hardware.config).ideal())
        return program, ideal_converters(program)
    return program_chip(network, hardware.config, calibration, *drawn, workers=workers)


def _layers(network: Network, layers: Sequence[str] | Literal["all"]) -> list[str]:
    """Names of the LIF layers that are recorded, in the network's order."""
    known = [node.name for node in network.nodes if isinstance(node, LIF)]
    if layers == "all":
        return known
    for name in layers:
        if name not in known:
            raise ImcsimError(
                f"there is no LIF layer {name[:60]!a}",
                key="layers",
                fix=suggestion(name, known, "it has " + ", ".join(known)),
            )
    return [name for name in known if name in layers]


def _map(network: Network, name: str) -> tuple[int, int, int]:
    channels, height, width = (*shapes(network)[name], 1, 1)[:3]
    return channels, height, width
