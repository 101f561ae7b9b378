"""SANA-FE in a process of its own, under any Python that has it; `sanafe_events.py` starts and asks it.

Reads one line of JSON that describes a network, its input spikes and how often they are played; then plays
them once for every line, and answers each with a line of JSON. Needs nothing but SANA-FE and the standard
library.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

CORE_NEURONS = 1024
FREE = "0.0"


def architecture(cores: int, inputs: int) -> str:
    """A chip with as many cores as are needed: neurons on `cores`, input spikes on the others."""
    inner = -(-inputs // CORE_NEURONS)
    tiles = [_tile(k, "neurons") for k in range(cores)] + [_tile(cores + k, "inputs") for k in range(inner)]
    head = f"""architecture:
  name: chip
  attributes: {{topology: mesh, width: {len(tiles)}, height: 1, link_buffer_size: 16}}
  tile:
"""
    return head + "".join(tiles)


def _tile(number: int, kind: str) -> str:
    name, model = ("lif", "leaky_integrate_fire")
    if kind == "inputs":
        name, model = f"input[0..{CORE_NEURONS - 1}]", "input"
    soma = f"{{name: '{name}', attributes: {{model: {model}, {_free('neuron')}}}}}"
    hops = ", ".join(f"{what}_{to}_hop: {FREE}" for what in ("energy", "latency") for to in _SIDES)
    return f"""    - name: tile{number}
      attributes: {{{hops}}}
      core:
        - name: core{number}
          attributes: {{buffer_position: soma, max_neurons_supported: {CORE_NEURONS}}}
          axon_in: [{{name: in, attributes: {{energy_message_in: {FREE}, latency_message_in: 16.0e-9}}}}]
          synapse: [{{name: weights, attributes: {{model: current_based, energy_process_spike: {FREE}, latency_process_spike: 3.0e-9}}}}]
          dendrite: [{{name: sums, attributes: {{model: accumulator, energy_update: {FREE}, latency_update: {FREE}}}}}]
          soma: [{soma}]
          axon_out: [{{name: out, attributes: {{energy_message_out: {FREE}, latency_message_out: 5.0e-9}}}}]
"""  # noqa: E501


_SIDES = ("north", "east", "south", "west")


def _free(what: str) -> str:
    names = (f"access_{what}", f"update_{what}", "spike_out")
    return ", ".join(f"{kind}_{name}: {FREE}" for kind in ("energy", "latency") for name in names)


def build(about: dict[str, Any]) -> tuple[Any, Any]:
    """The chip's description and the network, placed on it layer by layer."""
    import sanafe

    channels, height, width = about["shape"]
    layers = about["layers"]
    counts = [layer["neurons"] for layer in layers]
    cores = sum(-(-count // CORE_NEURONS) for count in counts)
    inputs = channels * height * width
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "chip.yaml")
        file.write_text(architecture(cores, inputs), encoding="utf-8")
        arch = sanafe.load_arch(file)
    net = sanafe.Network()
    group = net.create_neuron_group("input", inputs)
    places = [core for tile in arch.tiles for core in tile.cores]
    for k, neuron in enumerate(group):
        # A reset clears membranes, but inputs go on with their spikes: one play after the other.
        train = [bool(spike) for spike in about["spikes"][k]] + [False] * len(layers)
        train *= about["plays"]
        neuron.set_attributes(soma_hw_name=f"input[{k % CORE_NEURONS}]", model_attributes={"spikes": train})
        neuron.map_to_core(places[cores + k // CORE_NEURONS])
    shape, used = (channels, height, width), 0
    for number, layer in enumerate(layers):
        model = {
            "threshold": layer["threshold"], "reset": 0.0, "reset_mode": "hard", "leak_decay": layer["leak"],
            "force_update": True,
        }  # fmt: skip
        made = net.create_neuron_group(
            f"layer{number}", layer["neurons"], model_attributes=model, soma_hw_name="lif"
        )
        weights = {"w": layer["weights"]}
        if layer["kind"] == "conv":
            kernel, outer = layer["kernel"], layer["channels"]
            group.connect_neurons_conv2d(
                made, weights, shape[2], shape[1], shape[0], kernel, kernel, outer, 1, 1
            )
            shape = (outer, layer["size"], layer["size"])
        else:
            group.connect_neurons_dense(made, weights)
        for k, neuron in enumerate(made):
            neuron.map_to_core(places[used + k // CORE_NEURONS])
        used += -(-layer["neurons"] // CORE_NEURONS)
        group = made
    return arch, net


def main() -> None:
    # What SANA-FE prints while it runs is not an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    import sanafe

    about = json.loads(sys.stdin.readline())
    arch, net = build(about)
    chip = sanafe.SpikingChip(arch)
    chip.load(net)
    print(json.dumps({"version": version("sanafe")}), file=answers, flush=True)
    for line in sys.stdin:
        way = json.loads(line)
        chip.reset()
        begun = time.perf_counter()
        # A spike reaches the next layer with the next timestep.
        found = chip.sim(
            about["timesteps"] + len(about["layers"]), timing_model=way["timing_model"],
            processing_threads=way["threads"], perf_trace=True,
        )  # fmt: skip
        seconds = time.perf_counter() - begun
        counts = {"events": found["spikes"], "fired": found["neurons_fired"]}
        answer = {"seconds": seconds, **counts, "peak_mb": _peak_mb()}
        print(json.dumps(answer), file=answers, flush=True)


def _peak_mb() -> float:
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


if __name__ == "__main__":
    main()
