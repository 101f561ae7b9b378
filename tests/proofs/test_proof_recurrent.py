"""Recurrent networks: snnTorch's RLeaky and RSynaptic by its own exporter, Norse's recurrent cells by their
state dict, NIR graphs with loops and delays; every spike of every layer and timestep.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import frameworks
import numpy as np
import proof
import pytest

from imcsim.base.errors import ImcsimError
from imcsim.importers import ReadOptions, import_model
from imcsim.network.graph import Delay, Linear

RESETS = {"subtract": None, "zero": ReadOptions(reset="hard"), "none": ReadOptions(reset="none")}


def recurrent(kind: str, size: int, reset: str, one_to_one: bool = False, **about: Any) -> Any:
    """RLeaky or RSynaptic with weights on the grid of integers, or one short fraction per neuron."""
    import snntorch as snn
    import torch

    rng = np.random.default_rng(size)
    how: dict[str, Any] = {"all_to_all": not one_to_one, "linear_features": None if one_to_one else size}
    if one_to_one:
        how["V"] = torch.tensor(rng.choice([-2.0, -0.75, 0.5, 1.25], size).astype(np.float32))
    layer = getattr(snn, kind)(
        **about, **how, threshold=frameworks.full(3.0, size), init_hidden=True, reset_mechanism=reset
    )
    if not one_to_one:
        for value in layer.recurrent.parameters():
            value.data = torch.tensor(rng.integers(-2, 2, value.shape).astype(np.float32))
    return layer


def network(kind: str, reset: str, one_to_one: bool, **about: Any) -> Any:
    from torch import nn

    inner = nn.Linear(20, 12), recurrent(kind, 12, reset, one_to_one, **about)
    outer = nn.Linear(12, 6), recurrent(kind, 6, reset, one_to_one, **about)
    rng = np.random.default_rng(4)
    for part in (inner[0], outer[0]):
        for value in part.parameters():
            value.data = value.data.new_tensor(rng.integers(-3, 4, value.shape).astype(np.float32))
    return nn.Sequential(*inner, *outer).eval()


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("one_to_one", [False, True])
@pytest.mark.parametrize(
    ("kind", "about"), [("RLeaky", {"beta": 0.9}), ("RSynaptic", {"alpha": 0.55, "beta": 0.9})]
)
def test_snntorch(tmp_path: Path, kind: str, about: dict[str, float], one_to_one: bool, reset: str) -> None:
    frameworks.need("snntorch")
    module = network(kind, reset, one_to_one, **about)
    seen = proof.spikes((20,), 12, 6, seed=7)
    found = proof.prove(
        "snntorch", module, (20,), tmp_path, timesteps=12, seen=seen, options=RESETS[reset],
    )  # fmt: skip
    nodes = found.imported.network.nodes
    assert sum(isinstance(node, Delay) for node in nodes) == 2
    assert sum(isinstance(node, Linear) for node in nodes) == (2 if one_to_one else 4)
    assert any("comes back a timestep later" in note for note in found.imported.notes)


NORSE = """
input: {shape: [10]}
neuron: {threshold: 2.0, reset: hard, fires: above}
layers:
  - {kind: linear, name: in, weight: l0.input_weights}
  - {kind: delay, name: back, inputs: [l0]}
  - {kind: linear, name: rec, weight: l0.recurrent_weights}
  - {kind: neuron, name: l0, inputs: [in, rec], leak: 0.75, input: decayed, synapse: 0.5}
  - {kind: linear, name: out, prefix: l1}
  - {kind: neuron, name: l2, leak: 0.75, input: decayed, synapse: 0.5}
"""


def test_norse_recurrent_cells(tmp_path: Path) -> None:
    """Norse's exporter knows no recurrent cells; their state dict and a list of layers say the same."""
    frameworks.need("norse")
    import norse.torch as norse
    import torch
    from torch import nn

    about = norse.LIFParameters(
        tau_syn_inv=torch.tensor(500.0), tau_mem_inv=torch.tensor(250.0), v_th=torch.tensor(2.0)
    )
    cell = norse.LIFRecurrentCell(10, 8, p=about, autapses=True)
    rng = np.random.default_rng(0)
    cell.input_weights.data = torch.tensor(rng.integers(-3, 7, (8, 10)).astype(np.float32))
    cell.recurrent_weights.data = torch.tensor(rng.integers(-4, 5, (8, 8)).astype(np.float32))
    last = nn.Linear(8, 4)
    for value in last.parameters():
        value.data = torch.tensor(rng.integers(-2, 6, value.shape).astype(np.float32))

    class Cells(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.l0, self.l1, self.l2 = cell, last, norse.LIFCell(about)

        def forward(self, x: Any, state: Any = None) -> Any:
            first, second = state or (None, None)
            z, first = self.l0(x, first)
            z, second = self.l2(self.l1(z), second)
            return z, (first, second)

    found = proof.prove_listed("norse", Cells().eval(), (10,), NORSE, tmp_path, timesteps=12)
    fed = frameworks.play("norse", Cells().eval(), proof.spikes((10,), 12)[0])
    cell.recurrent_weights.data.zero_()
    alone = frameworks.play("norse", Cells().eval(), proof.spikes((10,), 12)[0])
    assert not np.array_equal(fed["l0"], alone["l0"]), "feedback changes nothing"
    assert set(found.rates) == {"l0", "l2"}


def graph(path: Path, edges: list[tuple[str, str]], delay: float | None = None, **more: Any) -> Path:
    """A NIR file: input, weights `w`, neurons `n`, weights `v` and neurons `m`, and what is given."""
    import nir

    rng = np.random.default_rng(1)

    def neurons(size: int) -> Any:
        one = np.ones(size)
        return nir.LIF(tau=4e-4 * one, r=4 * one, v_leak=0 * one, v_threshold=2.5 * one, v_reset=0 * one)

    def weights(outer: int, inner: int) -> Any:
        return nir.Linear(weight=rng.integers(-2, 5, (outer, inner)).astype(float))

    nodes: dict[str, Any] = {
        "input": nir.Input(input_type=np.array([6])),
        "w": weights(5, 6),
        "n": neurons(5),
        "v": weights(3, 5),
        "m": neurons(3),
        "output": nir.Output(output_type=np.array([3])),
        **{name: weights(*size) for name, size in more.items()},
    }
    if delay is not None:
        nodes["d"] = nir.Delay(delay=np.full(5, delay))
    nir.write(path, nir.NIRGraph(nodes, [("input", "w"), ("w", "n"), ("v", "m"), ("m", "output"), *edges]))
    return path


def euler(seen: np.ndarray, file: Path, back: dict[tuple[str, str], int]) -> dict[str, np.ndarray]:
    """NIR's equations, step by step; `back`: the weights between neurons by their ends, and the timesteps
    that spikes take.
    """
    import nir

    nodes = nir.read(file).nodes
    spikes = {name: np.zeros((len(seen), len(nodes[name].tau))) for name in ("n", "m")}
    v = {name: np.zeros(len(nodes[name].tau)) for name in spikes}
    for t in range(len(seen)):
        for name in spikes:
            current = nodes["w"].weight @ seen[t] if name == "n" else 0
            for (source, ends), late in back.items():
                target, _, through = ends.partition(":")
                if target == name and t >= late:
                    x = spikes[source][t - late]
                    current = current + (x if through == "" else nodes[through].weight @ x)
            v[name] = v[name] + 0.25 * (4 * current - v[name])
            spikes[name][t] = v[name] > nodes[name].v_threshold
            v[name][spikes[name][t] > 0] = 0
    return spikes


LOOPS: dict[str, Any] = {
    "a neuron that reads itself": ([("n", "v"), ("n", "n")], {}, None, {("n", "n"): 1, ("n", "m:v"): 0}),
    "from a later layer": (
        [("n", "v"), ("m", "b"), ("b", "n")], {"b": (5, 3)}, None, {("m", "n:b"): 1, ("n", "m:v"): 0},
    ),
    "a delay within the loop": (
        [("n", "v"), ("n", "d"), ("d", "r"), ("r", "n")], {"r": (5, 5)}, 3e-4,
        {("n", "n:r"): 3, ("n", "m:v"): 0},
    ),
    "a delay on the way": ([("n", "d"), ("d", "v")], {}, 2e-4, {("n", "m:v"): 2}),
    "two loops over one neuron": (
        [("n", "v"), ("n", "r"), ("r", "n"), ("m", "b"), ("b", "n")], {"r": (5, 5), "b": (5, 3)}, None,
        {("n", "n:r"): 1, ("m", "n:b"): 1, ("n", "m:v"): 0},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LOOPS)
def test_loops_and_delays_of_nir(tmp_path: Path, name: str) -> None:
    frameworks.need("snntorch")  # has nir
    edges, more, delay, back = LOOPS[name]
    file = graph(tmp_path / "net.nir", edges, delay, **more)
    seen = proof.spikes((6,), 10, 4, seed=2)
    each = [euler(frames.astype(float), file, back) for frames in seen]
    theirs = {layer: np.stack([one[layer] for one in each]) for layer in ("n", "m")}
    assert 0.02 < theirs["n"].mean() < 0.98
    found = proof.compare(file, theirs, seen, 10, (6,), options=ReadOptions(framework="nir"))
    assert found.float_equal == found.integer_equal == {"n": 1.0, "m": 1.0}


def test_what_is_no_loop_of_neurons_is_refused(tmp_path: Path) -> None:
    frameworks.need("snntorch")
    for edges, more, delay, said in (
        ([("n", "v"), ("w", "r"), ("r", "w")], {"r": (6, 5)}, None, "without neurons that spike: "),
        (
            [("n", "v"), ("n", "d"), ("d", "n")], {}, 2.5e-4,
            "the delay is 2.5 timesteps, which is no whole number",
        ),
        (
            [("n", "v"), ("n", "d"), ("d", "n")], {}, 0.0,
            "its delay is below a timestep, but it closes a loop",
        ),
    ):  # fmt: skip
        file = graph(tmp_path / "net.nir", edges, delay, **more)
        with pytest.raises(ImcsimError) as error:
            import_model(file, options=ReadOptions(framework="nir"))
        assert said in str(error.value)
