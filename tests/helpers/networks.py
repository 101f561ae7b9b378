"""Small random networks for tests, and a plain forward pass that they are tuned with.

Weights are random; scale and bias of every layer are set from the currents that random images cause, so that
neurons fire at moderate rates whatever the depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from imcsim.network.graph import (
    INPUT,
    LI,
    LIF,
    Add,
    Conv2d,
    Delay,
    Flatten,
    Linear,
    Network,
    Node,
    PerChannel,
    Pool2d,
)
from imcsim.network.sizes import shapes

Values = NDArray[np.float64]
PLAN: tuple[int | str, ...] = (32, "M", 64, 64, "M", 128, 128, "M", 128)
TUNING_IMAGES = 4


def random_images(rng: np.random.Generator, shape: tuple[int, int, int], count: int) -> NDArray[np.uint8]:
    """Images ``uint8 [count, C, H, W]`` with large smooth patches and some noise, as photographs have."""
    channels, height, width = shape
    coarse = rng.integers(0, 256, (count, channels, -(-height // 4), -(-width // 4)))
    patches = coarse.repeat(4, axis=2).repeat(4, axis=3)[:, :, :height, :width]
    images: NDArray[np.uint8] = np.clip(patches + rng.integers(-20, 21, patches.shape), 0, 255).astype(
        np.uint8
    )
    return images


def forward(network: Network, images: NDArray[np.uint8], timesteps: int) -> dict[str, Values]:
    """Outputs ``[T, N, ...]`` of every node in float64, straight from the equations of the graph."""
    values: dict[str, Values] = {}
    image = images.astype(np.float64) * network.input_scale
    for _ in range(timesteps if any(isinstance(node, Delay) for node in network.nodes) else 1):
        # With feedback each pass has one more timestep right, since delays are at least one timestep long.
        for node in network.nodes:
            values[node.name] = _node(node, values, image, timesteps, network)
    return values


def random_network(
    rng: np.random.Generator,
    *,
    residual: bool = False,
    classes: int = 4,
    size: int = 8,
    average: bool = False,
    channels: int = 6,
    depth: int = 2,
    timesteps: int = 3,
    weight_bits: int = 4,
    leak: float = 0.5,
    reset: Literal["hard", "soft"] = "hard",
    in_channels: int = 2,
) -> Network:
    """`depth` stages of convolution, neurons and a pool (the last one unpooled), then a classifier.

    With `residual`, stages after the first add a shortcut: the spikes themselves where sizes allow, else a
    strided 1x1 convolution. `size` is the image's height and width.
    """
    builder = _Builder(rng, (in_channels, size, size), classes, timesteps, weight_bits, leak, reset)
    last, width = builder.conv("conv1", INPUT, in_channels, channels), channels
    last = builder.lif("lif1", last)
    for stage in range(2, depth + 1):
        if residual:
            strided = bool(rng.integers(2)) and size >= 2
            last, width = builder.block(stage, last, width, strided)
            size = -(-size // 2) if strided else size
            continue
        if size >= 4:
            last = builder.pool(f"pool{stage - 1}", last, "average" if average else "max")
            size //= 2
        wider = width + int(rng.integers(0, 4))
        last = builder.lif(f"lif{stage}", builder.conv(f"conv{stage}", last, width, wider))
        width = wider
    if average and residual and size >= 2:
        last, size = builder.pool("pool", last, "average"), size // 2
    return builder.finish("random", last, width * size * size)


def mixed_network(
    rng: np.random.Generator,
    *,
    output: Literal["linear", "lif", "li"] = "linear",
    size: int = 7,
    classes: int = 4,
    timesteps: int = 4,
    weight_bits: int = 4,
) -> Network:
    """Everything that the graph can say: dilated, grouped and depthwise convolutions, any neurons and pools,
    an addition of three branches, a border around the image, and any output.
    """
    builder = _Builder(rng, (2, size, size + 1), classes, timesteps, weight_bits, 0.5, "hard")
    if rng.integers(2):
        builder.network = replace(builder.network, input_padding=tuple(rng.integers(0, 256, 2).tolist()))

    def dilation() -> tuple[int, int]:
        return int(rng.integers(1, 4)), int(rng.integers(1, 3))

    first = builder.conv("conv1", INPUT, 2, 4, stride=int(rng.integers(1, 3)), dilation=dilation())
    pooled = builder.any_pool("pool1", builder.any_lif("lif1", first))
    deep = builder.conv("depthwise", pooled, 4, 8, dilation=dilation(), groups=4)
    spikes = builder.any_lif("lif2", builder.any_pool("currents", deep) if rng.integers(2) else deep)
    inner = builder.any_lif("lif3", builder.conv("grouped", spikes, 8, 6, groups=2))
    main = builder.conv("main", inner, 6, 8, spread=0.3, dilation=dilation())
    side = builder.conv("side", spikes, 8, 8, kernel=1, spread=0.3)
    builder._add(Add("add", (main, spikes, side), 0.5))
    last = builder.any_lif("lif4", "add")
    if rng.integers(2):
        last = builder.any_pool("pool2", last)
    flat = builder.values[last][0, 0].size
    network = builder.finish("mixed", last, flat)
    if output != "linear":
        builder.output(output, "fc")
        network = replace(network, nodes=builder.network.nodes)
    return network


def recurrent_network(
    rng: np.random.Generator,
    *,
    output: Literal["linear", "lif", "li"] = "lif",
    size: int = 4,
    classes: int = 3,
    timesteps: int = 6,
) -> Network:
    """Feedback from every layer's own spikes and from later ones, one-to-one and through weights, over one to
    three timesteps; and a branch that is late.
    """
    builder = _Builder(rng, (2, size, size), classes, timesteps, 4, 0.5, "hard")

    def late() -> int:
        return int(rng.integers(1, 4))

    def with_feedback(name: str, source: str, *more: str) -> str:
        back = builder.delay(f"{name}.back", name, late(), source, rng.integers(0, 2))
        if np.all(np.equal(builder.network.node(back).weight, 1)):  # type: ignore[union-attr]
            back = builder.untuned(f"{name}.rec", back)
        builder._add(Add(f"{name}.add", (source, back, *more)))
        return builder.any_lif(name, f"{name}.add")

    first = builder.conv("conv1", INPUT, 2, 4)
    top = builder.delay("top", "lif2", late(), first, 0)  # of a layer that comes later
    spikes = with_feedback("lif1", first, builder.untuned("down", top))
    pooled = builder._add(Pool2d("pool", (spikes,), "max", (3, 3), (1, 1), (1, 1)))
    delayed = builder.delay("late", pooled, late(), first, 1)
    main = builder.conv("conv2", spikes, 4, 4)
    last = with_feedback("lif2", main, delayed)
    flat = builder._add(Flatten("flat", (last,)))
    ones = np.ones(5)
    fc = builder._tuned(
        Linear("fc1", (flat,), builder._weights((5, 4 * size * size)), ones, 0 * ones), 0.25, 1.0
    )
    last = with_feedback("lif3", fc)
    network = builder.finish("recurrent", last, 5)
    if output != "linear":
        builder.output(output, "fc")
        network = replace(network, nodes=builder.network.nodes)
    return network


def vgg_like(
    rng: np.random.Generator,
    *,
    plan: Sequence[int | str] = PLAN,
    size: int = 32,
    classes: int = 10,
    timesteps: int = 4,
    weight_bits: int = 8,
    average: bool = False,
) -> Network:
    """The default network with random weights; `plan` lists output channels and ``M`` for a 2x2 pool."""
    builder = _Builder(rng, (3, size, size), classes, timesteps, weight_bits, 0.5, "hard")
    last, width, convs, pools = INPUT, 3, 0, 0
    for item in plan:
        if isinstance(item, str):
            pools, size = pools + 1, size // 2
            last = builder.pool(f"pool{pools}", last, "average" if average else "max")
            continue
        convs += 1
        last = builder.lif(f"lif{convs}", builder.conv(f"conv{convs}", last, width, item))
        width = item
    return builder.finish("vgg_like", last, width * size * size)


class _Builder:
    """Adds nodes one by one and keeps what they put out for a few images, to tune the next one by."""

    def __init__(
        self,
        rng: np.random.Generator,
        shape: tuple[int, int, int],
        classes: int,
        timesteps: int,
        weight_bits: int,
        leak: float,
        reset: Literal["hard", "soft"],
    ) -> None:
        self.rng, self.leak, self.reset = rng, leak, reset
        self.network = Network("random", shape, 8, 2.0**-8, classes, timesteps, weight_bits, ())
        self.image = random_images(rng, shape, TUNING_IMAGES).astype(np.float64) * self.network.input_scale
        self.values: dict[str, Values] = {}

    def conv(
        self,
        name: str,
        source: str,
        inner: int,
        outer: int,
        kernel: int = 3,
        stride: int = 1,
        spread: float = 0.6,
        dilation: tuple[int, int] = (1, 1),
        groups: int = 1,
    ) -> str:
        pad = (kernel // 2 * dilation[0], kernel // 2 * dilation[1])
        weight = self._weights((outer, inner // groups, kernel, kernel))
        ones = np.ones(outer)
        return self._tuned(
            Conv2d(name, (source,), weight, ones, 0 * ones, (stride, stride), pad, dilation, groups),
            0.25,
            spread,
        )

    def lif(self, name: str, source: str, **more: Any) -> str:
        return self._add(replace(LIF(name, (source,), self.leak, 1.0, self.reset), **more))

    def any_lif(self, name: str, source: str) -> str:
        """Neurons of any kind, with short binary fractions."""
        rng, channels = self.rng, self.values[source].shape[2]

        def some(options: Sequence[float]) -> PerChannel:
            return rng.choice(options, channels) if rng.integers(2) else float(rng.choice(options))

        # Several spikes are counted at the threshold, and these and refractory timesteps reset at once.
        # Levels lie off the grid of the currents, so that no membrane meets its threshold by chance.
        off = 2.0**-23
        several, rests = int(rng.choice([1, 1, 2, 3, 7])), int(rng.choice([0, 0, 1, 2]))
        return self.lif(
            name,
            source,
            floor=some([off - 0.5, 0.0, off - 1.25]) if rng.integers(2) else None,
            initial=some([0.0, 0.5 + off, off - 0.25]) if rng.integers(2) else 0.0,
            drift=some([0.0, 0.125 + off, off - 0.125]) if rng.integers(2) else 0.0,
            max_spikes=several,
            refractory=rests,
            leak=some([0.0, 0.25, 0.5, 0.75, 0.875, 1.0]),
            threshold=some([0.75, 1.0, 1.25]),
            reset=rng.choice(["hard", "soft", "none"]).item(),
            fires="at" if several > 1 else rng.choice(["at", "above"]).item(),
            reset_at="now" if several > 1 or rests else rng.choice(["now", "next"]).item(),
            synapse=some([0.0, 0.5, 0.25]) if rng.integers(2) else None,
        )

    def delay(self, name: str, source: str, timesteps: int, like: str, weighed: Any) -> str:
        """The spikes of `source`, of the shape of `like`; `weighed` channel by channel, with any sign."""
        shape = self.values[like].shape
        weight = self.rng.choice([-0.5, -0.25, 0.25, 0.75], shape[2]) if weighed else 1.0
        self.network = replace(
            self.network, nodes=(*self.network.nodes, Delay(name, (source,), timesteps, weight))
        )
        self.values[name] = np.zeros(shape)  # what layers are tuned with
        return name

    def untuned(self, name: str, source: str) -> str:
        """A layer of small weights, which keeps the shape of what it reads."""
        shape = self.values[source].shape[2:]
        inner, scale = shape[0], np.full(shape[0], 2.0**-6)
        if len(shape) == 1:
            return self._add(Linear(name, (source,), self._weights((inner, inner)), scale, 0 * scale))
        weight = self._weights((inner, inner, 3, 3))
        return self._add(Conv2d(name, (source,), weight, scale, 0 * scale, padding=(1, 1)))

    def any_pool(self, name: str, source: str) -> str:
        rng, (height, width) = self.rng, self.values[source].shape[3:]
        size = (min(int(rng.integers(1, 4)), height), min(int(rng.integers(1, 3)), width))
        node = Pool2d(
            name,
            (source,),
            rng.choice(["average", "max", "sum"]).item(),
            size,
            (int(rng.integers(1, 3)), int(rng.integers(1, 3))),
            (int(rng.integers(0, size[0])), int(rng.integers(0, size[1]))),
        )
        return self._add(node)

    def pool(self, name: str, source: str, kind: Literal["average", "max"]) -> str:
        return self._add(Pool2d(name, (source,), kind, (2, 2), (2, 2)))

    def block(self, stage: int, source: str, width: int, strided: bool) -> tuple[str, int]:
        """A residual block; returns its output and width."""
        names = [f"block{stage}.{part}" for part in ("conv1", "lif1", "conv2", "shortcut", "add", "lif2")]
        outer, stride = (width + 2, 2) if strided else (width, 1)
        inner = self.lif(names[1], self.conv(names[0], source, width, outer, stride=stride))
        main = self.conv(names[2], inner, outer, outer, spread=0.3)
        if strided:
            source = self.conv(names[3], source, width, outer, kernel=1, stride=2, spread=0.3)
        self._add(Add(names[4], (main, source), 1.0 if strided else float(self.rng.choice([0.5, 0.75]))))
        return self.lif(names[5], names[4]), outer

    def output(self, kind: Literal["lif", "li"], source: str) -> None:
        """Neurons or integrators behind the classifier."""
        if kind == "lif":
            self.any_lif("out", source)
        else:
            self._add(LI("out", (source,), 0.75, 0.5 if self.rng.integers(2) else None))

    def finish(self, name: str, last: str, inner: int) -> Network:
        flat = self._add(Flatten("flatten", (last,)))
        ones = np.ones(self.network.classes)
        self._tuned(Linear("fc", (flat,), self._weights((len(ones), inner)), ones, 0 * ones), 0.0, 2.0)
        return replace(self.network, name=name)

    def _weights(self, shape: tuple[int, ...]) -> NDArray[np.integer[Any]]:
        limit = 2 ** (self.network.weight_bits - 1) - 1
        return self.rng.integers(-limit, limit + 1, shape).astype(np.int8 if limit < 128 else np.int16)

    def _tuned(self, node: Conv2d | Linear, mean: float, spread: float) -> str:
        """Add `node` with scale and bias such that each output has this mean and spread over the images."""
        current = _node(node, self.values, self.image, self.network.timesteps, self.network)
        axes = (0, 1, *range(3, current.ndim))
        scale = spread / np.maximum(current.std(axes), 0.1)
        bias = mean - scale * current.mean(axes)
        # Short binary fractions, as is the value of a pixel: sums of such numbers are exact in any order.
        scale, bias = np.maximum(np.round(scale * 2**20), 1) / 2**20, np.round(bias * 2**20) / 2**20
        return self._add(replace(node, scale=scale, bias=bias))

    def _add(self, node: Node) -> str:
        self.values[node.name] = _node(node, self.values, self.image, self.network.timesteps, self.network)
        self.network = replace(self.network, nodes=(*self.network.nodes, node))
        return node.name


def _node(node: Node, values: dict[str, Values], image: Values, timesteps: int, network: Network) -> Values:
    if isinstance(node, Delay):
        return _delayed(node, values, len(image), timesteps, network)
    read = [
        values[name] if name != INPUT else np.broadcast_to(image, (timesteps, *image.shape))
        for name in node.inputs
    ]
    x = read[0]
    match node:
        case Conv2d():
            (top, left), (down, right) = node.padding, node.stride
            border = np.zeros(x.shape[2])
            if node.inputs[0] == INPUT and network.input_padding:
                border = np.array(network.input_padding) * network.input_scale
            shape = (*x.shape[:3], x.shape[3] + 2 * top, x.shape[4] + 2 * left)
            padded = np.broadcast_to(border[:, None, None], shape).copy()
            padded[..., top : top + x.shape[3], left : left + x.shape[4]] = x
            windows = np.lib.stride_tricks.sliding_window_view(padded, node.extent, axis=(3, 4))
            windows = windows[:, :, :, ::down, ::right, :: node.dilation[0], :: node.dilation[1]]
            inner, outer = node.weight.shape[1], len(node.weight) // node.groups
            total = np.concatenate(
                [
                    np.einsum(
                        "tnchwyx,ocyx->tnohw",
                        windows[:, :, g * inner : (g + 1) * inner],
                        node.weight[g * outer : (g + 1) * outer].astype(np.float64),
                        optimize=True,
                    )
                    for g in range(node.groups)
                ],
                axis=2,
            )
            return np.asarray(total * node.scale[:, None, None] + node.bias[:, None, None])
        case Linear():
            return x.reshape(*x.shape[:2], -1) @ node.weight.T.astype(np.float64) * node.scale + node.bias
        case LIF():
            return _spikes(node, x)
        case LI():
            v, out = np.zeros(x.shape[1:]), np.zeros(x.shape)
            for t, current in enumerate(_filtered(node.synapse, x)):
                v = _each(node.leak, x) * v + current
                out[t] = v
            return out
        case Pool2d() if x.ndim == 3:
            starts = range(0, x.shape[2] - node.size[1] + 1, node.stride[1])
            of_row = {"average": np.mean, "sum": np.sum, "max": np.max}[node.kind]
            return np.stack([of_row(x[:, :, k : k + node.size[1]], axis=2) for k in starts], axis=2)
        case Pool2d():
            currents = isinstance(network.node(node.inputs[0]), Conv2d)
            around = -np.inf if currents and node.kind == "max" else 0.0
            framed = np.pad(x, ((0, 0),) * 3 + tuple((p, p) for p in node.padding), constant_values=around)
            windows = np.lib.stride_tricks.sliding_window_view(framed, node.size, axis=(3, 4))
            windows = windows[:, :, :, :: node.stride[0], :: node.stride[1]]
            pools = {"average": np.mean, "sum": np.sum, "max": np.max}
            return np.asarray(pools[node.kind](windows, axis=(-2, -1)))
        case Flatten():
            return x.reshape(*x.shape[:2], -1)
        case Add():
            total: Any = 0
            for name, v in zip(node.inputs, read, strict=True):
                before = network.node(name)
                if isinstance(before, Delay):
                    v = v * _each(before.weight, v)
                total = total + (v * node.scale if isinstance(before, LIF | Pool2d | Add) else v)
            return np.asarray(total)


def _delayed(node: Delay, values: dict[str, Values], images: int, timesteps: int, network: Network) -> Values:
    """What is known so far of the spikes of some timesteps before."""
    out = np.zeros((timesteps, images, *shapes(network)[node.name]))
    if node.inputs[0] in values:
        out[node.timesteps :] = values[node.inputs[0]][: max(timesteps - node.timesteps, 0)]
    return out


def _spikes(node: LIF, x: Values) -> Values:
    """Spikes of neurons whose currents are `x`, from the equations of the graph."""
    leak, threshold = _each(node.leak, x), _each(node.threshold, x)
    u, spike, spikes = (
        np.zeros(x.shape[1:]) + _each(node.initial, x),
        np.zeros(x.shape[1:]),
        np.zeros(x.shape),
    )
    rests = np.zeros(x.shape[1:], int)
    for t, current in enumerate(_filtered(node.synapse, x)):
        before = u
        u = leak * u + current + _each(node.drift, x)
        if node.reset_at == "next" and node.reset != "none":
            u = u * (1 - spike) if node.reset == "hard" else u - threshold * spike
        if node.floor is not None:
            u = np.maximum(u, _each(node.floor, x))
        u[rests > 0] = before[rests > 0]
        spike = (u > threshold if node.fires == "above" else u >= threshold).astype(np.float64)
        if node.max_spikes > 1:
            spike = spike * np.minimum(u // threshold, node.max_spikes)
        spike[rests > 0] = 0
        rests = np.where(spike > 0, node.refractory, rests - (rests > 0))
        if node.reset_at == "now" and node.reset != "none":
            u = u * (spike == 0) if node.reset == "hard" else u - threshold * spike
        spikes[t] = spike
    return spikes


def _filtered(synapse: PerChannel | None, x: Values) -> Values:
    """Synaptic currents ``[T, N, C, ...]``."""
    if synapse is None:
        return x
    currents, flowing = np.zeros(x.shape), np.zeros(x.shape[1:])
    for t, current in enumerate(x):
        flowing = _each(synapse, x) * flowing + current
        currents[t] = flowing
    return currents


def _each(value: PerChannel, x: Values) -> Any:
    """A number, or one per channel over the places of ``[N, C, ...]``."""
    return value.reshape(-1, *[1] * (x.ndim - 3)) if isinstance(value, np.ndarray) else value
