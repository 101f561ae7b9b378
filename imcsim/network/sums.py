"""Sums of spikes: an `Add` that no current enters. Weights and pools read it as a value of several bits.

Its sum is made in the tile of the last neurons among its inputs, behind them; all else comes there as it
would come to a residual addition.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from imcsim.network.graph import LIF, Add, Conv2d, Delay, Flatten, Linear, Node, Pool2d, Relu
from imcsim.network.parameters import MAX_ACTIVATION_BITS, is_int, pair


def sums_spikes(node: Node | None, known: Mapping[str, Node]) -> bool:
    """Whether `node` adds spikes alone. `known`: nodes by name."""
    return isinstance(node, Add) and not any(
        isinstance(known.get(name), Conv2d | Linear) for name in node.inputs
    )


def neurons_of_sum(node: Add, known: Mapping[str, Node]) -> str | None:
    """The neurons in whose tiles a sum of spikes is made: the last ones among its inputs.

    None where no neurons are among them, where something else comes of later ones, or where currents are
    pooled before them. `known`: all nodes by name, in their order.
    """
    order = {name: place for place, name in enumerate(known)}
    mine = [name for name in node.inputs if isinstance(known.get(name), LIF)]
    if not mine:
        return None
    last = max(mine, key=order.__getitem__)
    if isinstance(known.get(known[last].inputs[0]), Pool2d):
        return None
    # What the other inputs come of, but for what is delayed, which always is there.
    waiting, seen = [name for name in node.inputs if name != last], set[str]()
    while waiting:
        name = waiting.pop()
        source = known.get(name)
        if isinstance(source, LIF) and order[name] >= order[last]:
            return None
        if name not in seen and isinstance(source, Pool2d | Flatten | Add):
            waiting += source.inputs
        seen.add(name)
    return last


UNBOUNDED = 1 << 30
"""Of a sum that adds what it gave before, again and again."""


def largest_value(node: Node | None, known: Mapping[str, Node]) -> int:
    """The largest value that neurons, pools and sums of their spikes give in a timestep; averages are sums
    until the weights. 1 for anything else, `UNBOUNDED` where a sum comes back to itself through a delay.
    """
    if node is None:
        return 1
    done, opened, waiting = dict[str, int](), set[str](), [node.name]
    while waiting:
        name = waiting[-1]
        source = known.get(name)
        reads = source.inputs if isinstance(source, Pool2d | Flatten | Delay | Add) else ()
        if name not in opened and name not in done:
            opened.add(name)
            waiting += [one for one in reads if one not in opened]
        else:
            waiting.pop()
            done.setdefault(name, _largest(source, [done.get(one, UNBOUNDED) for one in reads]))
    return done[node.name]


def _largest(node: Node | None, read: list[int]) -> int:
    match node:
        case LIF():
            return node.max_spikes if is_int(node.max_spikes) else 1
        case Relu():
            return (1 << min(max(node.bits, 1), MAX_ACTIVATION_BITS)) - 1 if is_int(node.bits) else 1
        case Pool2d():
            sums = node.kind != "max" and pair(node.size, 1)
            return min(read[0] * (math.prod(node.size) if sums else 1), UNBOUNDED)
        case Flatten() | Delay() | Add():
            return min(sum(read), UNBOUNDED)
    return 1
