"""Norse: its own exporter, our importer, and every spike of every layer and timestep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import frameworks
import proof
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imcsim.base.errors import ImcsimError
from imcsim.commands.cli import main
from imcsim.importers import ReadOptions, import_model
from imcsim.network.graph import LIF

frameworks.need("norse")
DT = 0.001


def box(share: float, threshold: float, *shape: int, reset_to: float = 0.0) -> Any:
    """`share` of the membrane is renewed in a timestep."""
    import norse.torch as norse
    import torch

    zero = torch.zeros(shape)
    inverse = frameworks.full(share / DT, *shape)
    start = frameworks.full(reset_to, *shape)
    return norse.LIFBoxCell(norse.LIFBoxParameters(inverse, zero, frameworks.full(threshold, *shape), start))


def cuba(share: float, current: float, threshold: float, *shape: int) -> Any:
    import norse.torch as norse
    import torch

    full, zero = frameworks.full, torch.zeros(shape)
    return norse.LIFCell(
        norse.LIFParameters(
            full(current / DT, *shape), full(share / DT, *shape), zero, full(threshold, *shape), zero
        )
    )


def iaf(threshold: float, *shape: int) -> Any:
    import norse.torch as norse
    import torch

    return norse.IAFCell(norse.IAFParameters(frameworks.full(threshold, *shape), torch.zeros(shape)))


def integrators(share: float, *shape: int) -> Any:
    import norse.torch as norse
    import torch

    return norse.LIBoxCell(norse.LIBoxParameters(frameworks.full(share / DT, *shape), torch.zeros(shape)))


def chain(*parts: Any, seed: int = 0) -> Any:
    import norse.torch as norse

    return frameworks.on_grid(norse.SequentialState(*parts), seed)


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
def test_lif(tmp_path: Path, share: float) -> None:
    from torch import nn

    module = chain(nn.Linear(30, 20), box(share, 1.0, 20), nn.Linear(20, 10), box(share, 0.5, 10))
    proof.prove("norse", module, (30,), tmp_path, seen=proof.spikes((30,), 10, 12))


@pytest.mark.parametrize("current", [None, 0.25])
def test_leaks_towards_another_potential_than_the_reset(tmp_path: Path, current: float | None) -> None:
    """v_leak is in the file and is where Norse starts; v_reset is not, and has to be stated."""
    import norse.torch as norse
    from torch import nn

    full = frameworks.full

    def neurons(*shape: int) -> Any:
        fields = (full(0.5 / DT, *shape), full(0.25, *shape), full(1.0, *shape), full(-0.5, *shape))
        if current is None:
            return norse.LIFBoxCell(norse.LIFBoxParameters(*fields))
        return norse.LIFCell(norse.LIFParameters(full(current / DT, *shape), *fields))

    module = chain(nn.Linear(30, 20), neurons(20), nn.Linear(20, 10), neurons(10))
    options = ReadOptions(neuron={"reset_to": -0.5})
    seen = proof.spikes((30,), 10, 12)
    found = proof.prove("norse", module, (30,), tmp_path, seen=seen, options=options)
    hidden = next(n for n in found.imported.network.nodes if isinstance(n, LIF))
    assert (hidden.threshold, hidden.initial) == (1.5, 0.75)
    assert (hidden.drift != 0) == (current is not None), "without a synapse the drift is a bias"
    affirmed = found.imported.network.provenance["imported"]["affirmed"]
    assert affirmed == [
        "its file does not say what its neurons do: --neuron reset_to=-0.5 was stated",
        "its file does not say the timestep (0.001 s is taken: --dt)",
    ]


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_neurons_with_a_current_and_integrators(tmp_path: Path, share: float) -> None:
    from torch import nn

    module = chain(
        nn.Linear(30, 20, bias=False), cuba(share, 0.2, 1.0, 20),
        nn.Linear(20, 10), cuba(share, 0.25, 1.0, 10), nn.Linear(10, 5), integrators(share, 5),
    )  # fmt: skip
    proof.prove("norse", module, (30,), tmp_path, seen=proof.spikes((30,), 10, 8), output="5")


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.integers(2, 40).map(lambda n: n / 50), seed=st.integers(0, 1000))
def test_any_decay(tmp_path: Path, share: float, seed: int) -> None:
    from torch import nn

    module = chain(nn.Linear(12, 9), box(share, 0.5, 9), nn.Linear(9, 5), seed=seed)
    seen = proof.spikes((12,), 8, 6, seed)
    proof.prove("norse", module, (12,), tmp_path, timesteps=8, seen=seen)


def test_integrate_and_fire(tmp_path: Path) -> None:
    """sinabs writes the same file for other neurons: who exported it has to be said."""
    from torch import nn

    module = chain(nn.Linear(30, 20), iaf(4.0, 20), nn.Linear(20, 10), iaf(4.0, 10))
    proof.prove("norse", module, (30,), tmp_path, options=ReadOptions(framework="norse"))


def test_convolutions_with_strides_groups_and_dilation(tmp_path: Path) -> None:
    from torch import nn

    proof.prove("norse", frameworks.norse_conv(0.1), (1, 8, 8), tmp_path)
    module = chain(
        nn.Conv2d(2, 4, 3, padding=1, groups=2), box(0.5, 2.0, 4, 8, 8),
        nn.Conv2d(4, 4, 3, groups=4, dilation=2), box(0.5, 2.0, 4, 4, 4),
        nn.Conv2d(4, 5, 4), box(0.5, 1.0, 5, 1, 1),
    )  # fmt: skip
    proof.prove("norse", module, (2, 8, 8), tmp_path)


def test_a_threshold_and_a_decay_for_each_neuron(tmp_path: Path) -> None:
    import norse.torch as norse
    import torch
    from torch import nn

    zero = torch.zeros(20)
    decays = torch.tensor([0.125, 0.25, 0.5, 0.75] * 5) / DT
    each = norse.LIFBoxParameters(decays, zero, torch.arange(1.0, 21.0) / 8, zero)
    module = chain(nn.Linear(30, 20), norse.LIFBoxCell(each), nn.Linear(20, 10), box(0.1, 0.5, 10))
    proof.prove("norse", module, (30,), tmp_path)


def test_parameters_of_one_number(tmp_path: Path) -> None:
    """The defaults of Norse; nir.write compresses no single numbers, so the file is written without."""
    import nir
    import norse.torch as norse
    from torch import nn

    module = chain(
        nn.Linear(30, 20, bias=False), norse.LIFCell(), nn.Linear(20, 10, bias=False), norse.LIFCell()
    )
    seen = proof.spikes((30,), 10)
    theirs = proof.in_framework("norse", module, seen, 10)
    import torch

    nir.write(tmp_path / "net.nir", norse.to_nir(module, torch.zeros(30)), compression=None)
    found = proof.compare(tmp_path / "net.nir", theirs, seen, 10, (30,))
    assert found.imported.model.source["framework"] == "norse"
    assert set(found.integer_equal.values()) == {1.0}
    assert all(rate > 0.02 for rate in found.rates.values())


def test_images_of_eight_bits(tmp_path: Path) -> None:
    from torch import nn

    module = chain(nn.Linear(30, 20), box(0.1, 30.0, 20), nn.Linear(20, 10), box(0.1, 0.5, 10))
    proof.prove("norse", module, (30,), tmp_path, seen=proof.images((30,)), timed=False)


RESIDUAL = """\
input: {shape: [1, 8, 8]}
timesteps: 10
neuron: {leak: 0.9, input: decayed, threshold: 0.5, reset: hard, fires: above}
layers:
  - {name: c1, kind: conv2d, prefix: c1, padding: 1}
  - {name: l1, kind: neuron}
  - {name: c2, kind: conv2d, prefix: c2, padding: 1}
  - {name: sum, kind: add, inputs: [c2, l1]}
  - {name: l2, kind: neuron}
  - {name: pool, kind: sumpool, size: 2}
  - kind: flatten
  - {name: fc, kind: linear, prefix: fc}
  - {name: l3, kind: neuron}
"""


def test_a_residual_block_and_a_sum_pool(tmp_path: Path) -> None:
    """Norse's exporter writes neither: a state dict with a list of layers."""
    import torch
    from torch import nn

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c1, self.l1 = nn.Conv2d(1, 4, 3, padding=1), box(0.1, 0.5, 4, 8, 8)
            self.c2, self.l2 = nn.Conv2d(4, 4, 3, padding=1, bias=False), box(0.1, 0.5, 4, 8, 8)
            self.fc, self.l3 = nn.Linear(64, 10), box(0.1, 0.5, 10)

        def forward(self, x: Any, state: Any = None) -> Any:
            one, two, three = state or (None, None, None)
            first, one = self.l1(self.c1(x), one)
            second, two = self.l2(self.c2(first) + first, two)
            pooled = 4 * torch.nn.functional.avg_pool2d(second, 2)
            third, three = self.l3(self.fc(pooled.flatten(1)), three)
            return third, (one, two, three)

    proof.prove_listed("norse", frameworks.on_grid(Residual()), (1, 8, 8), RESIDUAL, tmp_path)


def test_what_the_import_states_of_float_weights(tmp_path: Path) -> None:
    import torch
    from torch import nn

    torch.manual_seed(0)
    module = chain(nn.Conv2d(2, 6, 3), box(0.3, 0.1, 6, 6, 6), nn.Conv2d(6, 3, 6), box(0.3, 0.05, 3, 1, 1))
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            part.reset_parameters()
    proof.agreement_as_in_framework("norse", module, (2, 8, 8), tmp_path, main)


@pytest.mark.parametrize("reset_to", [0.0, -0.25])
def test_the_main_branch_writes_seconds_and_the_reset(tmp_path: Path, reset_to: float) -> None:
    """Norse after 1.1.0 leaves the timestep out of tau, and writes v_reset: the user says that it is its
    file.
    """
    import nir
    import torch
    from torch import nn

    module = chain(
        nn.Linear(30, 20), box(0.2, 1.0, 20, reset_to=reset_to), nn.Linear(20, 12), cuba(0.5, 0.25, 1.0, 12),
        nn.Linear(12, 10), box(0.5, 0.5, 10, reset_to=reset_to),
    )  # fmt: skip
    seen = proof.spikes((30,), 12, 12)
    theirs = proof.in_framework("norse", module, seen, 12, 1.0, timed=True)
    file = frameworks.write("norse", module, torch.zeros(1, 30), tmp_path / "net.nir")
    graph = nir.read(file)
    for node in graph.nodes.values():
        for key in ("tau", "tau_mem", "tau_syn"):
            if hasattr(node, key):
                setattr(node, key, (getattr(node, key) / DT).astype("float32"))
        if isinstance(node, nir.LIF):
            node.v_reset = torch.full(node.v_threshold.shape, reset_to).numpy()
    nir.write(file, graph)
    options = ReadOptions(framework="norse_main")
    found = proof.compare(
        file, theirs, seen, 12, (30,), timed=True, scale=1.0, options=options, weight_bits=8
    )
    assert found.imported.model.source["framework"] == "norse_main"
    proof._all_equal(found)
    with pytest.raises(ImcsimError, match="the file says it: v_reset"):
        import_model(file, options=ReadOptions(framework="norse_main", neuron={"reset_to": 0.5}))
    with pytest.raises(ImcsimError, match="nir or norse_main") as asked:
        import_model(file, options=ReadOptions(timesteps=4))
    assert asked.value.fix == "say --framework nir|norse_main"
