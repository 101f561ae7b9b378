"""The same networks in PyTorch, snnTorch and SpikingJelly: floating point, evaluation mode, no gradients.

Each peer does what suits it best. Currents of the first convolution, which are the same at every timestep,
are computed once. A peer runs layer by layer over all timesteps at once, or timestep by timestep; `tuned`
looks for the batch size, order and layout with which it is fastest.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import Any

import numpy as np
from common import cores
from numpy.typing import NDArray

from imcsim.network.graph import INPUT, LIF, Add, Conv2d, Flatten, Linear, Network, Node, Pool2d

PEERS = {"PyTorch": "torch", "snnTorch": "snntorch", "SpikingJelly": "spikingjelly"}
"""Peers and the modules that they need."""


@dataclass(frozen=True)
class Way:
    """How a peer runs: images at a time, whether all timesteps go through a layer together, whether channels
    stand last in memory, and whether cores have a batch each or all work on one.
    """

    batch: int
    together: bool
    channels_last: bool
    apart: bool

    def __str__(self) -> str:
        order = "layer by layer" if self.together else "timestep by timestep"
        layout = "channels last" if self.channels_last else "channels first"
        share = "a batch for each core" if self.apart else "all cores on a batch"
        return f"batch {self.batch}, {share}, {order}, {layout}"


def there(peer: str) -> bool:
    """Whether a peer is installed."""
    return importlib.util.find_spec("torch") is not None and importlib.util.find_spec(PEERS[peer]) is not None


def missing(peer: str) -> str:
    return f"{peer} is not installed (pip install {PEERS[peer]})"


def runner(peer: str, network: Network, way: Way) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """A function from images uint8 ``[N, C, H, W]`` to class outputs float32 ``[N, T, K]``."""
    import torch

    torch.set_num_threads(1 if way.apart else cores())
    layout = torch.channels_last if way.channels_last else torch.contiguous_format
    layers = [(_module(node, network, layout), node, read) for node, read in _last_readers(network)]
    run = _layer_by_layer if way.together else _step_by_step
    workers = cores() if way.apart else 1
    free: SimpleQueue[Any] = SimpleQueue()  # neurons, which keep membranes, for each worker
    for _ in range(workers):
        free.put(_neurons(peer, network, way))
    pool = ThreadPoolExecutor(workers)

    def batch(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        neurons = free.get()
        with torch.inference_mode():
            some = torch.from_numpy(images).float() * network.input_scale
            neurons.reset()
            out = run(layers, neurons, some.contiguous(memory_format=layout), network.timesteps).numpy()
        free.put(neurons)
        found: NDArray[np.float32] = out
        return found

    def play(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        batches = [images[start : start + way.batch] for start in range(0, len(images), way.batch)]
        return np.concatenate(list(pool.map(batch, batches)))

    return play


def _last_readers(network: Network) -> Iterator[tuple[Node, list[str]]]:
    """Each layer, and what no layer after it reads."""
    last = {name: node.name for node in network.nodes for name in node.inputs}
    for node in network.nodes:
        yield node, [name for name, reader in last.items() if reader == node.name]


def _layer_by_layer(layers: Any, neurons: Any, image: Any, timesteps: int) -> Any:
    """Class outputs ``[N, T, K]``; values are ``[T * N, ...]`` once neurons have fired."""
    count, first, values = len(image), True, {INPUT: image}
    for module, node, read in layers:
        several = [values[name] for name in node.inputs]
        if isinstance(node, LIF):
            (x,) = several
            current = x.expand(timesteps, *x.shape) if first else x.unflatten(0, (timesteps, count))
            values[node.name], first = neurons.all_steps(node.name, current), False
        else:
            values[node.name] = module(*several)
        del several
        for name in read:
            del values[name]
    (x,) = values.values()
    return x.unflatten(0, (timesteps, count)).transpose(0, 1)


def _step_by_step(layers: Any, neurons: Any, image: Any, timesteps: int) -> Any:
    import torch

    split = next(k for k, (_, node, _) in enumerate(layers) if isinstance(node, LIF))
    still = {INPUT: image}
    for module, node, _ in layers[:split]:
        still[node.name] = module(*(still[name] for name in node.inputs))
    outputs = []
    for _ in range(timesteps):
        values = dict(still)
        for module, node, read in layers[split:]:
            several = [values[name] for name in node.inputs]
            made = neurons.one_step(node.name, *several) if isinstance(node, LIF) else module(*several)
            values[node.name] = made
            del several
            for name in read:
                del values[name]
        outputs.append(made)
    return torch.stack(outputs, 1)


def _summed(node: Add, network: Network) -> Callable[..., Any]:
    """A sum of currents and of spikes, each of which adds `scale`."""
    known = {one.name: one for one in network.nodes}
    scales = [1.0 if isinstance(known[name], Conv2d | Linear | Add) else node.scale for name in node.inputs]

    def added(first: Any, *others: Any) -> Any:
        total = first if scales[0] == 1.0 else first * scales[0]
        for scale, other in zip(scales[1:], others, strict=True):
            total = total.add(other, alpha=scale)
        return total

    return added


def _module(node: Node, network: Network, layout: Any) -> Any:
    """A layer without neurons as a module of PyTorch; None for neurons."""
    import torch

    match node:
        case Add():
            return _summed(node, network)
        case Conv2d():
            outer, inner, *kernel = node.weight.shape
            made: Any = torch.nn.Conv2d(inner * node.groups, outer, kernel, node.stride, node.padding,
                                        node.dilation, node.groups)  # fmt: skip
        case Linear():
            made = torch.nn.Linear(*node.weight.shape[::-1])
        case Pool2d(kind="max"):
            return torch.nn.MaxPool2d(node.size, node.stride, node.padding)
        case Pool2d(kind="average"):
            return torch.nn.AvgPool2d(node.size, node.stride, node.padding)
        case Flatten():
            return torch.nn.Flatten()
        case LIF(reset="hard", fires="at", reset_at="now", synapse=None, leak=float(), threshold=float()):
            return None
        case _:
            raise ValueError(f"no peer of {node.name}")
    weight = node.weight * node.scale.reshape(-1, *[1] * (node.weight.ndim - 1))
    made.weight.data = torch.from_numpy(weight.astype(np.float32))
    made.bias.data = torch.from_numpy(node.bias.astype(np.float32))
    return made.eval().to(memory_format=layout)


def _neurons(peer: str, network: Network, way: Way) -> Any:
    nodes = [node for node in network.nodes if isinstance(node, LIF)]
    return {"PyTorch": _Plain, "snnTorch": _SnnTorch, "SpikingJelly": _SpikingJelly}[peer](nodes, way)


class _Plain:
    """Neurons written in PyTorch; membranes are changed in place."""

    def __init__(self, nodes: list[LIF], way: Way) -> None:
        self.about = {node.name: (node.leak, node.threshold) for node in nodes}
        self.membranes: dict[str, Any] = {}

    def reset(self) -> None:
        self.membranes.clear()

    def one_step(self, name: str, current: Any) -> Any:
        leak, threshold = self.about[name]
        membrane = self.membranes.get(name)
        membrane = current.clone() if membrane is None else membrane.mul_(leak).add_(current)
        spikes = membrane >= threshold
        self.membranes[name] = membrane.masked_fill_(spikes, 0.0)
        return spikes.to(current.dtype)

    def all_steps(self, name: str, currents: Any) -> Any:
        import torch

        return torch.cat([self.one_step(name, current) for current in currents])


class _SnnTorch:
    """snnTorch's `Leaky`, reset to zero at once."""

    def __init__(self, nodes: list[LIF], way: Way) -> None:
        import snntorch

        self.made = {
            node.name: snntorch.Leaky(
                node.leak, node.threshold, reset_mechanism="zero", reset_delay=False
            ).eval()
            for node in nodes
        }
        self.membranes: dict[str, Any] = {}

    def reset(self) -> None:
        self.membranes = {name: leaky.reset_mem() for name, leaky in self.made.items()}

    def one_step(self, name: str, current: Any) -> Any:
        spikes, self.membranes[name] = self.made[name](current, self.membranes[name])
        return spikes

    def all_steps(self, name: str, currents: Any) -> Any:
        import torch

        return torch.cat([self.one_step(name, current) for current in currents])


class _SpikingJelly:
    """SpikingJelly's `LIFNode`, in single or multi-step mode; its leak is ``1 - 1 / tau``."""

    def __init__(self, nodes: list[LIF], way: Way) -> None:
        from spikingjelly.activation_based import neuron

        mode = "m" if way.together else "s"
        self.made = {}
        for node in nodes:
            assert isinstance(node.leak, float)
            self.made[node.name] = neuron.LIFNode(
                tau=1 / (1 - node.leak), decay_input=False, v_threshold=node.threshold, v_reset=0.0,
                step_mode=mode,
            ).eval()  # fmt: skip

    def reset(self) -> None:
        for lif in self.made.values():
            lif.reset()

    def one_step(self, name: str, current: Any) -> Any:
        return self.made[name](current)

    def all_steps(self, name: str, currents: Any) -> Any:
        return self.made[name](currents).flatten(0, 1)


def tuned(
    peer: str, network: Network, images: NDArray[np.uint8], batches: Sequence[int] = (1, 4, 8, 16, 32, 64)
) -> Way:
    """The fastest way of a peer on `images`: first order and layout, then the size of a batch, then who works
    on it.
    """
    batches = [size for size in batches if size * cores() <= len(images)] or [1]
    best = Way(batches[len(batches) // 2], True, False, False)
    for key, options in (
        ("together", (True, False)), ("channels_last", (True, False)), ("apart", (True, False)),
        ("batch", batches), ("apart", (True, False)),
    ):  # fmt: skip
        ways = [replace(best, **{key: option}) for option in options]
        best = min(ways, key=lambda way: _seconds(peer, network, images, way))
    return best


def _seconds(peer: str, network: Network, images: NDArray[np.uint8], way: Way) -> float:
    """Seconds an image; every core has a batch to do."""
    play = runner(peer, network, way)
    some = images[: max(way.batch, 4) * cores()]
    play(some[: way.batch])
    times = []
    for _ in range(2):
        begun = time.perf_counter()
        play(some)
        times.append(time.perf_counter() - begun)
    return min(times) / len(some)
