"""Synaptic events a second and memory of imcsim against SANA-FE, a C++ simulator of neuromorphic chips.

    python benchmarks/sanafe_events.py [--memory 8000] [--python sanafe/bin/python]

Both play the same spikes on the same network: unpadded 3 x 3 convolutions (SANA-FE has no others) and a
linear layer, all with neurons, as wide as SANA-FE holds in so many MB. The events and spikes of both must be
the same, or the script fails: it is the same work. Counted is playing one image on a network that is placed
on its chip; ours is bit-true, and to the cycle. SANA-FE uses the timing model and threads with which it is
fastest.

SANA-FE's package puts folders such as ``tests`` beside the others; give it an environment of its own:
``python -m venv sanafe && sanafe/bin/pip install sanafe``, then ``--python sanafe/bin/python``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import common
import numpy as np
from numpy.typing import NDArray

import imcsim.hardware
from imcsim.hardware.events import Event
from imcsim.inputs import Inputs
from imcsim.network.graph import INPUT, LIF, Conv2d, Flatten, Linear, Network, Node
from imcsim.simulation.chip import make_chip
from imcsim.simulation.simulate import simulate
from imcsim.timing import Issue, Timing, play

CLASSES, TIMESTEPS, LEAK = 10, 4, 0.5
INPUT_CHANNELS, INPUT_RATE, LAYERS = 2, 0.15, 3
RATE = 0.10
"""Spikes a neuron and timestep that thresholds are set for."""

EXACT = {"adc.bits": 10, "adc.full_scale": "ideal", "lif.membrane_bits": 32}
"""A chip that neither rounds nor clips: its spikes are those of SANA-FE, which has no converters."""

SIDE = 28
"""Rows and columns of the input."""

BYTES_A_SYNAPSE = 850
"""What SANA-FE 2.2.9 took for each synapse of such networks, measured by this script."""


# --- the network


def network(channels: int, seed: int = 0) -> tuple[Network, NDArray[np.uint8]]:
    """Convolutions over a square map, and its input spikes uint8 ``[1, T, C, H, W]``.

    Weights and thresholds are integers: membranes that halve a few times are exact in both simulators.
    """
    rng, side = np.random.default_rng(seed), SIDE
    spikes = (rng.random((1, TIMESTEPS, INPUT_CHANNELS, side, side)) < INPUT_RATE).astype(np.uint8)
    nodes: list[Node] = []
    last, values = INPUT, spikes[0].astype(np.float64)
    for k in range(LAYERS):
        weight = rng.integers(-7, 8, (channels, values.shape[1], 3, 3)).astype(np.int8)
        windows = np.lib.stride_tricks.sliding_window_view(values, (3, 3), axis=(2, 3))
        current = np.moveaxis(np.tensordot(windows, weight, axes=((1, 4, 5), (1, 2, 3))), -1, 1)
        threshold, values = fired(current)
        ones = np.ones(channels)
        nodes += [
            Conv2d(f"conv{k}", (last,), weight, ones, 0 * ones),
            LIF(f"lif{k}", (f"conv{k}",), LEAK, threshold, "hard", fires="above"),
        ]
        last = f"lif{k}"
    weight = rng.integers(-7, 8, (CLASSES, values[0].size)).astype(np.int8)
    threshold, _ = fired(values.reshape(TIMESTEPS, -1) @ weight.T.astype(np.float64))
    ones = np.ones(CLASSES)
    nodes += [
        Flatten("flatten", (last,)),
        Linear("fc", ("flatten",), weight, ones, 0 * ones),
        LIF("out", ("fc",), LEAK, threshold, "hard", fires="above"),
    ]
    shape = (INPUT_CHANNELS, side, side)
    return Network("events", shape, 1, 1.0, CLASSES, TIMESTEPS, 4, tuple(nodes)), spikes


def fired(current: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """The threshold with which neurons spike at RATE, and their spikes; currents ``[T, ...]``."""
    low, high = 1.0, float(current.max()) * 2
    while True:
        threshold = float(round((low + high) / 2))
        membrane, spikes = np.zeros(current.shape[1:]), np.zeros(current.shape)
        for t, value in enumerate(current):
            membrane = LEAK * membrane + value
            spikes[t] = membrane > threshold
            membrane *= 1 - spikes[t]
        if high - low <= 1.0:
            return threshold, spikes
        low, high = (threshold, high) if spikes.mean() > RATE else (low, threshold)


def synapses(channels: int) -> int:
    """Connections of single neurons."""
    inner, side, total = INPUT_CHANNELS, SIDE, 0
    for _ in range(LAYERS):
        inner, side, total = channels, side - 2, total + 9 * inner * channels * (side - 2) ** 2
    return total + CLASSES * channels * side**2


# --- ours


def ours(channels: int) -> Callable[[], dict[str, int]]:
    net, spikes = network(channels)
    hardware = imcsim.hardware.load("dtsnn_32nm", EXACT)
    inputs = Inputs(spikes, np.zeros(1, np.int64), "spikes", "unknown", "", spikes=True)
    chip = make_chip(net, hardware, inputs, Timing(TIMESTEPS, Issue(), timed=True))

    def run() -> dict[str, int]:
        play(chip.placement, chip.config, [TIMESTEPS], Timing(TIMESTEPS, timed=True))
        found = simulate(chip, inputs)
        totals = found.static.ledger.totals(np.array([TIMESTEPS]))
        return {
            "events": int(totals[Event.SYNAPTIC_OPERATIONS].sum()),
            "fired": int(found.activity.spikes.sum() + spikes.sum()),
        }

    run()  # compiles
    return run


# --- theirs


class SanaFe:
    """SANA-FE's process."""

    def __init__(self, python: str, about: dict[str, Any]) -> None:
        script = Path(__file__).with_name("sanafe_peer.py")
        self._process = subprocess.Popen([python, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=subprocess.DEVNULL, text=True)  # fmt: skip
        self.version = self._asked(about)["version"]

    def _asked(self, question: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(question), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit("SANA-FE ended; try a smaller network (--side, --channels)")
        found: dict[str, Any] = json.loads(answer)
        return found

    def run(self, way: dict[str, Any]) -> tuple[float, dict[str, Any]]:
        found = self._asked(way)
        return found["seconds"], found

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def described(net: Network, spikes: NDArray[np.uint8]) -> dict[str, Any]:
    """What `sanafe_peer.py` reads. Filters run over height, width, inner and outer channels."""
    layers, size = [], net.input_shape[1]
    lifs = [node for node in net.nodes if isinstance(node, LIF)]
    for node, lif in zip(net.weighted, lifs, strict=True):
        about: dict[str, Any] = {"threshold": lif.threshold, "leak": lif.leak}
        if isinstance(node, Conv2d):
            size -= 2
            outer = len(node.weight)
            about |= {
                "kind": "conv", "kernel": 3, "size": size, "channels": outer,
                "neurons": outer * size * size, "weights": node.weight.transpose(2, 3, 1, 0).ravel().tolist(),
            }  # fmt: skip
        else:
            about |= {"kind": "dense", "neurons": len(node.weight), "weights": node.weight.T.ravel().tolist()}
        about["weights"] = [float(weight) for weight in about["weights"]]
        layers.append(about)
    trains = spikes[0].reshape(TIMESTEPS, -1).T.tolist()
    return {"shape": list(net.input_shape), "timesteps": TIMESTEPS, "layers": layers, "spikes": trains}


def has_sanafe(python: str) -> bool:
    code = "import importlib.util, sys; sys.exit(importlib.util.find_spec('sanafe') is None)"
    try:
        return subprocess.run([python, "-c", code], check=False, stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


def main() -> None:
    parser = common.arguments(__doc__, memory=8000, runs=5)
    parser.add_argument("--python", default=sys.executable, help="a Python with SANA-FE (default: this one)")
    about = parser.parse_args()
    if not has_sanafe(about.python):
        common.skip(f"SANA-FE is not installed for {about.python} (pip install sanafe; see --help)")
    if about.quick:
        about.memory, about.runs = 100, 2
    channels = max(c for c in range(1, 513) if c == 1 or synapses(c) * BYTES_A_SYNAPSE <= about.memory * 1e6)
    net, spikes = network(channels)
    threads = sorted({1, common.cores()})
    ways = [{"timing_model": m, "threads": t} for m in ("simple", "detailed") for t in threads]
    theirs = SanaFe(about.python, {**described(net, spikes), "plays": len(ways) + about.runs})
    best = min(ways, key=lambda way: theirs.run(way)[0])
    with common.Side(ours, channels) as us:
        turns = common.by_turns({"ours": us.run, "theirs": lambda: theirs.run(best)}, about.runs)
        peaks = us.peak_mb(), turns["theirs"].out["peak_mb"]
    theirs.close()
    for what in ("events", "fired"):
        if turns["ours"].out[what] != turns["theirs"].out[what]:
            raise SystemExit(f"not the same work: {turns['ours'].out} and {turns['theirs'].out}")
    events, count = turns["ours"].out["events"], synapses(channels)
    rates = {name: events / turn.median for name, turn in turns.items()}
    print(f"network: {LAYERS} convolutions of {channels} channels, {count:,} synapses")
    spiked = turns["ours"].out["fired"]
    print(f"in {TIMESTEPS} timesteps, both: {events:,} synaptic events, {spiked:,} spikes")
    print(f"SANA-FE {theirs.version}: {best}, {peaks[1] / count * 1e6:,.0f} bytes a synapse")
    for name, rate in rates.items():
        print(f"{name:7} {rate / 1e6:9.2f} M synaptic events/s (median of {about.runs})")
    common.finish(
        Path(__file__).name,
        f"synaptic events a second, unpadded convolutions, {count / 1e6:.3g} M synapses, against SANA-FE",
        ours=f"{rates['ours'] / 1e6:.3g} M/s",
        theirs=f"{rates['theirs'] / 1e6:.3g} M/s",
        ratio=rates["ours"] / rates["theirs"],
        peak=peaks,
        save=not about.quick,
    )


if __name__ == "__main__":
    main()
