"""Delays in the layer graph: what may read what, shapes of loops, and files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import recurrent_network

from imcsim.network import (
    LIF,
    Add,
    Delay,
    Flatten,
    Linear,
    Network,
    Node,
    describe,
    load,
    problems,
    save,
    shapes,
)
from imcsim.network.json_schema import json_schema
from imcsim.network.widen import widen


def recurrent(*extra: Node, **changes: Any) -> Network:
    """Six neurons that read their own spikes of the timestep before, through weights."""
    ones = np.ones(6)
    nodes: dict[str, Node] = {
        "back": Delay("back", ("lif",)),
        "fc": Linear("fc", ("input",), np.ones((6, 4), np.int8), ones, 0 * ones),
        "rec": Linear("rec", ("back",), np.ones((6, 6), np.int8), ones, 0 * ones),
        "add": Add("add", ("fc", "rec")),
        "lif": LIF("lif", ("add",), 0.5, 1.0, "soft"),
        "out": Linear("out", ("lif",), np.ones((2, 6), np.int8), np.ones(2), np.zeros(2)),
    }
    for name, values in changes.items():
        nodes[name] = replace(nodes[name], **values)  # type: ignore[type-var]
    return Network("rec", (4, 1, 1), 1, 1.0, 2, 4, 4, (*extra, *nodes.values()))


def test_a_loop_has_the_shape_of_what_it_is_added_to() -> None:
    network = recurrent()
    assert list(problems(network)) == []
    assert shapes(network)["back"] == shapes(network)["lif"] == (6,)
    assert shapes(recurrent_network(np.random.default_rng(0)))["top"] == (4, 4, 4)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"back": {"timesteps": 0}}, "timesteps must be an integer from 1 to 255, not 0"),
        ({"back": {"timesteps": True}}, "timesteps must be an integer from 1 to 255, not True"),
        ({"back": {"weight": float("nan")}}, "weight must be a number, not nan"),
        ({"back": {"weight": np.ones(6)}}, None),
        ({"back": {"weight": np.full(6, 0.5)}}, "rec: reads 'back', whose spikes have a weight of their own"),
        ({"back": {"weight": np.ones(5)}}, "weight has 5 values, but 'lif' gives 6 channels"),
        ({"back": {"inputs": ("lifs",)}}, "back: reads 'lifs', but no node has that name"),
        ({"back": {"inputs": ("back",)}}, "back: reads itself"),
        ({"back": {"inputs": ("fc",)}}, "back: delays 'fc' (linear): a chip keeps spikes"),
        ({"back": {"inputs": ("input",)}}, "back: delays the image: a chip keeps spikes"),
        ({"back": {"inputs": ()}}, "back: reads 0 nodes, but delay takes 1"),
        ({"fc": {"inputs": ("lif",)}}, "feedback passes through a delay node"),
        ({"rec": {"weight": np.ones((6, 5), np.int8)}}, "rec: its weights take 5 values; 'back' gives 6"),
        ({"rec": {"inputs": ("input",)}}, "back: nothing reads this node"),
    ],
)
def test_rules(changes: dict[str, Any], said: str | None) -> None:
    found = [f"{p.key}: {p.message}; {p.fix}" for p in problems(recurrent(**changes))]
    assert (found == []) if said is None else any(said in line for line in found), found


def test_a_loop_without_neurons_is_refused() -> None:
    """A row of values that is made of itself has no shape, whatever stands around it."""
    loop = Delay("late", ("row",)), Flatten("row", ("late",))
    network = recurrent(*loop, rec={"inputs": ("row",)})
    assert any("a loop needs neurons" in str(p.fix) or "a delay" in p.message for p in problems(network))


def test_delays_are_kept_in_files(tmp_path: Path) -> None:
    network = recurrent_network(np.random.default_rng(3))
    save(network, tmp_path / "n")
    again = load(tmp_path / "n")
    for one, other in zip(network.nodes, again.nodes, strict=True):
        if isinstance(one, Delay):
            assert isinstance(other, Delay)
            assert (one.name, one.inputs, one.timesteps) == (other.name, other.inputs, other.timesteps)
            assert np.array_equal(one.weight, other.weight)
    details = {row.layer: row.detail for row in describe(again)}
    assert details["top"].startswith("lif2 ")
    assert "timestep" in details["late"]
    assert "delay" in str(json_schema()["properties"]["nodes"])


def test_copies_of_channels_keep_their_feedback() -> None:
    wide = widen(recurrent(), 2)
    assert shapes(wide)["back"] == shapes(wide)["lif"] == (12,)
    weighed = widen(recurrent_network(np.random.default_rng(1)), 2)
    delays = [
        node for node in weighed.nodes if isinstance(node, Delay) and isinstance(node.weight, np.ndarray)
    ]
    assert delays
    assert all(np.array_equal(d.weight[::2], d.weight[1::2]) for d in delays)  # type: ignore[index]
