"""Rules for the parameters of a node: what each of them may be, whatever stands around the node."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from imcsim.network.graph import LI, LIF, OWN, Add, Conv2d, Delay, Flatten, Linear, Node, Pool2d, Relu
from imcsim.network.sizes import show

Text = tuple[str, str | None]
"""What is wrong, and what would mend it."""

MAX_SIZE = 1 << 16

MAX_SPIKES = 255
"""Spikes of a neuron in one timestep: weights read values of 8 bits."""

MAX_ACTIVATION_BITS = 8
"""Of an activation: weights read values of 8 bits."""

MAX_REFRACTORY = 4095
"""Timesteps: one less than the most that a network may run."""

MAX_DELAY = 255
"""Timesteps: a chip keeps all the spikes of so many."""


def about_parameters(node: Node, weight_bits: int) -> Iterator[Text]:
    match node:
        case Conv2d() | Linear():
            own = node.weight_bits
            if own is not None and not (is_int(own) and 1 <= own <= 16):
                yield f"weight_bits must be an integer from 1 to 16, not {own!r}", None
            else:
                yield from _about_weights(node, weight_bits if own is None else own)
            if isinstance(node, Conv2d) and node.weight.ndim == 4:
                if not pair(node.stride, 1):
                    yield f"stride must be two integers from 1 to {MAX_SIZE}, not {node.stride!r}", None
                if not pair(node.padding, 0):
                    yield f"padding must be two integers from 0 to {MAX_SIZE}, not {node.padding!r}", None
                if not pair(node.dilation, 1):
                    yield f"dilation must be two integers from 1 to {MAX_SIZE}, not {node.dilation!r}", None
                outputs = node.weight.shape[0]
                if not is_int(node.groups) or node.groups < 1 or outputs % node.groups:
                    yield (
                        f"groups must divide the {outputs} output channels, not {node.groups!r}",
                        "one group is a plain convolution",
                    )
        case LIF():
            yield from _about_decay("leak", node.leak)
            yield from _about_threshold(node.threshold)
            if node.synapse is not None:
                yield from _about_decay("synapse", node.synapse)
            for key, words in _WORDS.items():
                if getattr(node, key) not in words:
                    listed = ", ".join(map(repr, words[:-1])) + f" or {words[-1]!r}"
                    yield f"{key} must be {listed}, not {getattr(node, key)!r}", None
            yield from _about_more(node)
        case LI():
            yield from _about_decay("leak", node.leak)
            if node.synapse is not None:
                yield from _about_decay("synapse", node.synapse)
        case Relu():
            if not is_int(node.bits) or not 1 <= node.bits <= MAX_ACTIVATION_BITS:
                yield f"bits must be an integer from 1 to {MAX_ACTIVATION_BITS}, not {node.bits!r}", None
            if not positive(node.step):
                yield f"step must be a positive number, not {node.step!r}", None
        case Pool2d():
            if node.kind not in ("average", "max", "sum"):
                yield f"pooling must be 'average', 'max' or 'sum', not {node.kind!r}", None
            if not pair(node.size, 1) or not pair(node.stride, 1):
                yield f"size and stride must be integers from 1 to {MAX_SIZE}, or pairs of them", None
            elif not pair(node.padding, 0) or any(
                p >= s for p, s in zip(node.padding, node.size, strict=True)
            ):
                yield f"padding must be integers from 0 to below the window {show(node.size)}", None
        case Add():
            if not positive(node.scale):
                yield f"scale must be a positive number, not {node.scale!r}", None
        case Delay():
            if not is_int(node.timesteps) or not 1 <= node.timesteps <= MAX_DELAY:
                yield f"timesteps must be an integer from 1 to {MAX_DELAY}, not {node.timesteps!r}", None
            yield from _about_any("weight", node.weight)
        case Flatten():
            pass


_WORDS = {"reset": ("hard", "soft", "none"), "fires": ("at", "above"), "reset_at": ("now", "next")}


def _about_decay(key: str, value: Any) -> Iterator[Text]:
    fix = "1 keeps the membrane, 0 forgets it" if key == "leak" else "1 keeps the current, 0 forgets it"
    if isinstance(value, np.ndarray):
        yield from _about_array(key, value)
        if value.dtype == np.float64 and not ((value >= 0) & (value <= 1)).all():
            yield f"{key} must lie in [0, 1] for every channel", fix
    elif not number(value) or not 0 <= value <= 1:
        yield f"{key} must lie in [0, 1], not {value!r}", fix


def _about_threshold(value: Any) -> Iterator[Text]:
    if isinstance(value, np.ndarray):
        yield from _about_array("threshold", value)
        if value.dtype == np.float64 and not ((value > 0) & (value <= 1e300)).all():
            yield "threshold must be a positive number for every channel", None
    elif not positive(value):
        yield f"threshold must be a positive number, not {value!r}", None


def _about_more(node: LIF) -> Iterator[Text]:
    """What a neuron may have besides leak, threshold, reset and synapse."""
    for key in ("floor", "initial", "drift"):
        value = getattr(node, key)
        if value is not None:
            yield from _about_any(key, value)
    floor = node.floor
    if (
        floor is not None
        and (isinstance(floor, np.ndarray) or number(floor))
        and np.any(np.asarray(floor) > 0)
    ):
        yield "floor must not be above 0", "a hard reset puts the membrane to 0, below it"
    for key, low, high in (("max_spikes", 1, MAX_SPIKES), ("refractory", 0, MAX_REFRACTORY)):
        value = getattr(node, key)
        if not is_int(value) or not low <= value <= high:
            yield f"{key} must be an integer from {low} to {high}, not {value!r}", None
    if is_int(node.max_spikes) and node.max_spikes > 1 and (node.fires != "at" or node.reset_at != "now"):
        yield (
            "several spikes per timestep are counted at the threshold and reset at once",
            "use fires: at and reset_at: now",
        )
    if is_int(node.refractory) and node.refractory > 0 and node.reset_at != "now":
        yield "refractory timesteps begin with a reset at once", "use reset_at: now"


def _about_any(key: str, value: Any) -> Iterator[Text]:
    """A number of any sign, or one per channel."""
    if isinstance(value, np.ndarray):
        yield from _about_array(key, value)
        if value.dtype == np.float64 and not (np.abs(value) <= 1e300).all():
            yield f"{key} must be finite for every channel", None
    elif not number(value):
        yield f"{key} must be a number, not {value!r}", None


def _about_array(key: str, value: np.ndarray[Any, Any]) -> Iterator[Text]:
    if value.ndim not in ((1, 3) if key in OWN else (1,)) or not value.size:
        fix = "neurons of a map may have one each, [C, H, W]" if key in OWN else None
        yield f"{key} must be a number, or one per channel, not {list(value.shape)}", fix
    elif value.dtype != np.float64:
        yield f"{key} must be float64, not {value.dtype}", None


def _about_weights(node: Conv2d | Linear, bits: int) -> Iterator[Text]:
    axes = "[Cout, Cin, kH, kW]" if isinstance(node, Conv2d) else "[Cout, Cin]"
    weight = node.weight
    if weight.ndim != axes.count(",") + 1 or 0 in weight.shape:
        yield f"weights must be {axes}, not {list(weight.shape)}", None
        return
    if weight.dtype.kind not in "iu":
        yield f"weights must be integers, not {weight.dtype}", "divide them by their scale and round"
    elif is_int(bits) and 1 <= bits <= 16:
        largest = max(int(weight.max()), -int(weight.min()))
        limit = max(2 ** (bits - 1) - 1, 1)
        if bits == 1 and not (np.abs(weight.astype(np.int64)) == 1).all():
            yield "weights of 1 bit are -1 or 1", "raise weight_bits to 2 for zeros"
        elif largest > limit:
            yield (
                f"weights reach {largest} in size, beyond the symmetric range of {bits} bits",
                f"keep them within -{limit} to {limit} or raise weight_bits",
            )
    for key, values in (("scale", node.scale), ("bias", node.bias)):
        if values.shape != weight.shape[:1]:
            yield f"{key} must be [{weight.shape[0]}], one number an output, not {list(values.shape)}", None
        elif values.dtype != np.float64:
            yield f"{key} must be float64, not {values.dtype}", None
        elif not np.isfinite(values).all():
            yield f"{key} has numbers that are not finite", "was the training run sound?"
        elif key == "scale" and not (values > 0).all():
            yield (
                "scale must be positive everywhere",
                "move signs into the weights; use zero weights for zero",
            )


def is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 1e300


def positive(value: Any) -> bool:
    return number(value) and value > 0


def pair(values: Any, low: int) -> bool:
    return (
        isinstance(values, tuple)
        and len(values) == 2
        and all(is_int(v) and low <= v <= MAX_SIZE for v in values)
    )


def is_shape(shape: Any) -> bool:
    return (
        isinstance(shape, tuple) and len(shape) == 3 and all(is_int(n) and 1 <= n <= MAX_SIZE for n in shape)
    )
