"""Random chips, networks and work for property tests, drawn through hypothesis so that failures shrink."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from functools import cache
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from played import play

import imcsim.hardware
from imcsim.base.errors import ImcsimError
from imcsim.hardware.config import Hardware, HardwareConfig
from imcsim.mapping import Placement
from imcsim.network import shapes, validate
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
    Pool2d,
    Relu,
)
from imcsim.network.validate import problems
from imcsim.timing import ImageWork, Issue, Timeline, parse

_SMALL = {
    "tile.pes_per_tile": 1, "tile.crossbars_per_pe": 2, "cells.rows": 16, "cells.columns": 16,
    "mapping.replication": "none",
}  # fmt: skip


def package(count: int, **values: Any) -> HardwareConfig:
    """A package of so many small chips, with other values as ``section__key``."""
    given = {key.replace("__", "."): value for key, value in values.items()}
    return imcsim.hardware.load("dtsnn_32nm", _SMALL | {"package.chips": count} | given).config


POLICIES = ("wait", "pipeline", "speculate", "interleave:2", "interleave:3")

KNOBS: dict[str, tuple[Any, ...]] = {
    "technology.logic_leakage_uw_per_um2": (0.0, 0.01),
    "clock.gating": ("none", "idle_tiles"),
    "tile.crossbars_per_pe": (2, 1, 8),
    "tile.pes_per_tile": (2, 1, 4),
    "tile.bus_bits": (256, 64, 8),
    "tile.input_sets": (2, 1, 3),
    "tile.output_rows": (2, 1, 4),
    "mapping.replication": ("none", "balanced", "latency", "throughput"),
    "mapping.extra_crossbars": (0, 16, 1000),
    "mapping.share_tiles": (False, True),
    "mapping.placement": ("path", "rows"),
    "mapping.grouped_layers": ("dense", "diagonal"),
    "encoder.mode": ("keep", "recompute"),
    "cells.rows": (16, 64, 8, 5),
    "cells.columns": (16, 64, 8),
    "cells.parallel_rows": ("all", 4, 7, 1),
    "cells.read_pulse_ns": (7.9, 1.0, 20.0),
    "column_mux.columns_per_adc": (8, 4, 1),
    "adc.conversion_cycles": (1, 3),
    "adder_tree.level_cycles": (1, 3),
    "noc.flit_bits": (32, 4, 128),
    "noc.hop_cycles": (1, 2, 5),
    "noc.topology": ("mesh", "ring", "tree", "concentrated_mesh"),
    "lif.lanes": (32, 4, 1),
    "activation.lanes": ("lif", 5, 1),
    "pooling.lanes": (32, 1),
    "tile_buffer.capacity_bytes": (4096, 512, 128),
    "offchip_link.bits_per_cycle": (64, 3),
    "checker.class_cycles": (1, 4),
    "checker.verdict_cycles": (2, 0, 5),
}
"""What changes times or counts; the first value of each is the one that failures shrink to."""


@cache
def built_in(name: str) -> Hardware:
    """A config that comes with the package."""
    return imcsim.hardware.load(name)


def changed(name: str, values: Mapping[str, Any]) -> HardwareConfig:
    """A built-in config with other values, by dotted key."""
    config = built_in(name).config
    blocks: dict[str, Any] = {}
    for key, value in values.items():
        block, field = key.split(".")
        assert field in type(getattr(config, block)).model_fields, key
        blocks[block] = blocks.get(block, getattr(config, block)).model_copy(update={field: value})
    return config.model_copy(update=blocks)


@st.composite
def chips(draw: st.DrawFn, names: Iterable[str] = ("dtsnn_32nm",), **given: Any) -> HardwareConfig:
    """Any chip; ``given`` fixes knobs (``adc__bits`` stands for ``adc.bits``)."""
    name = draw(st.sampled_from(tuple(names)))
    fixed = {key.replace("__", "."): value for key, value in given.items()}
    if built_in(name).config.cells.row_order == "kernel_position":
        # One crossbar for each kernel position, whatever the kernel.
        fixed["tile.crossbars_per_pe"] = 9
    values = {key: draw(st.sampled_from(options)) for key, options in KNOBS.items() if key not in fixed}
    return changed(name, values | fixed)


@st.composite
def any_network(
    draw: st.DrawFn, max_size: int = 7, timesteps: int = 3, *, activations: bool = False
) -> Network:
    """Convolutions of any kernel, stride, padding, dilation and groups, padded pools that leave rows over,
    residual blocks of two or three branches, synapses, hidden linear layers, one-to-one and all-to-all
    feedback, delays of several timesteps, outputs of neurons and integrators. All weights are 1: times and
    counts depend on shapes alone. With `activations` one timestep of an ANN of the same shapes: no delays,
    and sums at the end.
    """
    height, width = draw(st.integers(2, max_size)), draw(st.integers(2, max_size))
    inner, classes = draw(st.integers(1, 4)), draw(st.integers(2, 4))
    bits = draw(st.sampled_from((1, 3, 8)))
    build = _Shapes(draw, inner, height, width, activations)
    timesteps = 1 if activations else timesteps
    if draw(st.booleans()) or bits == 8:
        for _ in range(draw(st.integers(1, 3))):
            build.anything()
    build.finish(classes)
    shape = (inner, height, width)
    network = Network("any", shape, bits, 2.0**-bits, classes, timesteps, 4, tuple(build.nodes))
    if INPUT not in {name for node in network.nodes[:1] for name in node.inputs if isinstance(node, Flatten)}:
        # A network without layers stands for the smallest of chips.
        broken = next(problems(network), None)
        assume(broken is None or "adds up to" not in broken.message)  # spikes by the hundred
        validate(network)
    return network


def with_own_parameters(network: Network, config: HardwareConfig) -> tuple[Network, HardwareConfig]:
    """The same network with a threshold, or that and a leak, for each neuron of a map, by turns; on a chip
    that keeps them, where there is one.
    """
    if config.lif.kind != "update":
        return network, config
    sizes, nodes = shapes(network), list(network.nodes)
    for k, node in enumerate(nodes):
        if isinstance(node, LIF) and len(sizes[node.name]) == 3:
            each = np.ones(sizes[node.name])
            nodes[k] = replace(node, threshold=each, leak=0.5 * each if k % 2 else node.leak)
    lif = config.lif.model_copy(update={"parameters": "neuron"})
    return replace(network, nodes=tuple(nodes)), config.model_copy(update={"lif": lif})


class _Shapes:
    """Adds nodes one by one and knows the shape of what the last one puts out."""

    def __init__(
        self, draw: st.DrawFn, channels: int, height: int, width: int, activations: bool = False
    ) -> None:
        self.activations = activations
        self.draw, self.channels, self.height, self.width = draw, channels, height, width
        self.nodes: list[Node] = []
        self.last = INPUT
        self.summed = False

    def anything(self) -> None:
        """A convolution, pooled or not, or a residual block."""
        if self.last != INPUT and not self.summed and self.draw(st.booleans()):
            self._residual()
        elif self._adds_spikes():
            self._spikes_added()
        else:
            self._conv(self._later(self.last))
            if self.draw(st.sampled_from((False, False, True))):
                self._pool()
                self.summed = False  # of currents, not of spikes
            self._lif(self.last)
        for _ in range(self.draw(st.integers(0, 2))):
            self._pool()

    def _adds_spikes(self) -> bool:
        """Whether to add spikes, which activations have none of."""
        if self.activations or self.last == INPUT or self.summed:
            return False
        return bool(self.draw(st.sampled_from((False, False, True))))

    def finish(self, classes: int) -> None:
        self._add(Flatten("flatten", (self.last,)))
        inner = self.channels * self.height * self.width
        if self.draw(st.booleans()):
            hidden = self.draw(st.integers(1, 9))
            self._add(self._linear("hidden", inner, hidden))
            self._lif(self.last)
            inner = hidden
            if self.draw(st.sampled_from((False, False, True))):
                size = self.draw(st.integers(1, min(3, hidden)))
                step = self.draw(st.integers(size, 4))
                kind = self.draw(st.sampled_from(("max", "sum")))
                self._add(Pool2d("neighbours", (self.last,), kind, (1, size), (1, step)))
                inner = (hidden - size) // step + 1
        self._add(self._linear("classes", inner, classes))
        output = "sums" if self.activations else self.draw(st.sampled_from(("sums", "spikes", "membranes")))
        if output == "spikes":
            self._lif(self.last)
        elif output == "membranes":
            self._add(LI("membranes", (self.last,), 0.5, self.draw(st.sampled_from((None, 0.5)))))

    def _linear(self, name: str, inner: int, outer: int) -> Linear:
        return Linear(name, (self.last,), np.ones((outer, inner), np.int8), np.ones(outer), np.zeros(outer))

    def _conv(self, source: str) -> str:
        draw = self.draw
        kernel = tuple(draw(st.integers(1, min(3, side))) for side in (self.height, self.width))
        stride = (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
        padding = tuple(draw(st.integers(0, k // 2 + 1)) for k in kernel)
        sides = (self.height, self.width)
        most = (
            2 if k == 1 else min(3, (s + 2 * p - 1) // (k - 1))
            for k, s, p in zip(kernel, sides, padding, strict=True)
        )
        dilation = tuple(draw(st.integers(1, d)) for d in most)
        groups = draw(st.sampled_from([g for g in (1, 2, 3, 4) if self.channels % g == 0]))
        outer = groups * draw(st.integers(1, 9 // groups))
        return self._convolve(source, self.channels, outer, kernel, stride, padding, dilation, groups)

    def _convolve(
        self,
        source: str,
        inner: int,
        outer: int,
        kernel: Any,
        stride: Any,
        padding: Any,
        dilation: Any = (1, 1),
        groups: int = 1,
    ) -> str:
        weight = np.ones((outer, inner // groups, *kernel), np.int8)
        name = f"conv{len(self.nodes)}"
        ones = np.ones(outer)
        conv = Conv2d(name, (source,), weight, ones, 0 * ones, stride, padding, dilation, groups)
        self._add(conv)
        self.channels = outer
        self.height, self.width = (
            (side + 2 * p - k) // s + 1
            for side, p, k, s in zip((self.height, self.width), padding, conv.extent, stride, strict=True)
        )
        self.summed = False
        return name

    def _residual(self) -> None:
        """Two convolutions, and the spikes themselves or a strided convolution past them."""
        source, inner, height, width = self.last, self.channels, self.height, self.width
        strided = self.draw(st.booleans())
        outer, stride = (self.draw(st.integers(1, 6)), (2, 2)) if strided else (inner, (1, 1))
        self._lif(self._convolve(source, inner, outer, (3, 3), stride, (1, 1)))
        inner_spikes = self.last
        main = self._convolve(inner_spikes, outer, outer, (3, 3), (1, 1), (1, 1))
        if strided:
            after = self.height, self.width
            self.height, self.width = height, width
            source = self._convolve(source, inner, outer, (1, 1), stride, (0, 0))
            assert after == (self.height, self.width)
        branches = [main, source if strided else self._later(source)]
        if self.draw(st.booleans()):
            third = self._convolve(inner_spikes, outer, outer, (1, 1), (1, 1), (0, 0))
            branches.insert(self.draw(st.integers(0, 2)), third)
        self._add(Add(f"add{len(self.nodes)}", tuple(branches)))
        self._lif(self.last)

    def _spikes_added(self) -> None:
        """Neurons whose spikes meet those that they came of, or later ones, behind them."""
        source, inner = self.last, self.channels
        self._lif(self._convolve(source, inner, inner, (3, 3), (1, 1), (1, 1)))
        spikes = self.last
        branches = [spikes, self._later(source)]
        if self.draw(st.booleans()):
            branches.reverse()
        self._add(Add(f"sum{len(self.nodes)}", tuple(branches)))

    def _later(self, source: str) -> str:
        """Spikes as they are, or some timesteps later."""
        late = 0 if source == INPUT or self.activations else self.draw(st.sampled_from((0, 0, 0, 1, 2)))
        return self._add(Delay(f"late{len(self.nodes)}", (source,), late)) if late else source

    def _feedback(self, source: str) -> str:
        """Currents with those of the neurons' own spikes of earlier timesteps, or without."""
        kind = self.draw(st.sampled_from(("none", "none", "none", "one to one", "all to all")))
        if kind == "none" or not isinstance(self.nodes[-1], Conv2d | Linear):
            return source
        channels, name = len(self.nodes[-1].weight), f"lif{len(self.nodes) + 2 + (kind == 'all to all')}"
        back = self._add(Delay(f"back{len(self.nodes)}", (name,), self.draw(st.sampled_from((1, 1, 2, 3)))))
        if kind == "all to all" and isinstance(self.nodes[-2], Linear):
            back = self._add(self._linear(f"rec{len(self.nodes)}", channels, channels))
        elif kind == "all to all":
            back = self._convolve(back, channels, channels, (3, 3), (1, 1), (1, 1))
        return self._add(Add(f"add{len(self.nodes)}", (source, back)))

    def _lif(self, source: str) -> None:
        if self.activations:
            # Two pools may add up 81 of them, below 256.
            self._add(Relu(f"relu{len(self.nodes)}", (source,), self.draw(st.sampled_from((1, 2))), 0.5))
            return
        source = self._feedback(source)
        synapse = self.draw(st.sampled_from((None, None, 0.5)))
        several, rests = self.draw(st.sampled_from((1, 1, 2, 6))), self.draw(st.sampled_from((0, 0, 3)))
        self._add(
            LIF(
                f"lif{len(self.nodes)}", (source,), 0.5, 1.0, "hard", synapse=synapse, max_spikes=several,
                refractory=rests,
            )
        )  # fmt: skip

    def _pool(self) -> None:
        sides = (self.height, self.width)
        size: Any = tuple(self.draw(st.integers(1, min(3, side))) for side in sides)
        stride: Any = tuple(self.draw(st.integers(1, 3)) for _ in sides)
        padding: Any = tuple(self.draw(st.integers(0, n - 1)) for n in size)
        kind = self.draw(st.sampled_from(("max", "average", "sum")))
        self._add(Pool2d(f"pool{len(self.nodes)}", (self.last,), kind, size, stride, padding))
        self.height, self.width = (
            (side + 2 * p - n) // s + 1 for side, p, n, s in zip(sides, padding, size, stride, strict=True)
        )
        self.summed |= kind != "max"

    def _add(self, node: Node) -> str:
        self.nodes.append(node)
        self.last = node.name
        return node.name


def random_work(
    rng: np.random.Generator, placement: Placement, images: int, timesteps: int, density: float
) -> list[ImageWork]:
    """Any reads silent and any number of spikes, whole rows and timesteps without one included."""

    def one() -> ImageWork:
        active = {
            layer.stage.index: (
                rng.random(
                    (timesteps, layer.stage.positions, layer.stage.planes * layer.turns, layer.rows.crossbars)
                )
                < density * rng.random((timesteps, 1, 1, 1)).round()
            )
            & (np.arange(layer.stage.planes * layer.turns)[:, None] % layer.turns < layer.rows.turns)
            for layer in placement.layers
        }
        events = {
            edge: rng.binomial(edge.width, density, (timesteps, edge.height, edge.channels)).astype(np.int64)
            for edge in placement.graph.edges
            if edge.node and edge.source >= 0
        }
        for layer in placement.layers:
            if layer.stage.reads_image:
                active[layer.stage.index][:] = active[layer.stage.index][:1]
        return ImageWork(active, events)

    return [one() for _ in range(images)]


@st.composite
def plays(draw: st.DrawFn, timesteps: int = 3, max_images: int = 4) -> dict[str, Any]:
    """Arguments of `play`: exits, issue policy, arrivals."""
    issue = parse(draw(st.sampled_from(POLICIES)))
    images = draw(st.integers(1, max_images))
    exits = [draw(st.integers(1, timesteps)) if issue.exits_early else timesteps for _ in range(images)]
    arrivals: list[int] | None = None
    if draw(st.booleans()):
        gaps = [draw(st.integers(0, 3000)) for _ in range(images)]
        arrivals = [int(n) for n in np.cumsum(gaps)]
    return {"exits": exits, "timesteps": timesteps, "issue": issue, "arrivals": arrivals}


def outcome(placement: Placement, config: HardwareConfig, **settings: Any) -> Timeline | str:
    """The timeline, or what the error says where the chip locks up or cannot hold a window."""
    try:
        return play(placement, config, **settings)
    except ImcsimError as error:
        return f"{error} / {error.key} / {error.fix}"


def assert_same(one: Timeline | str, other: Timeline | str) -> None:
    """Both are the same error, or agree to the cycle and in every count."""
    if isinstance(one, str) or isinstance(other, str):
        assert one == other
        return
    for field in fields(Timeline):
        assert np.array_equal(getattr(one, field.name), getattr(other, field.name)), field.name


def alone(placement: Placement, config: HardwareConfig, timesteps: int, issue: Issue) -> list[int]:
    """Latency in cycles of one image by itself, for each exit."""
    return [play(placement, config, [t], timesteps, issue=issue).cycles for t in range(1, timesteps + 1)]
