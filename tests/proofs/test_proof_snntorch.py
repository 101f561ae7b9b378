"""snnTorch: its own exporter, our importer, and every spike of every layer and timestep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import frameworks
import numpy as np
import proof
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imcsim.commands.cli import main
from imcsim.importers import ReadOptions
from imcsim.importers.listed.templates import template

frameworks.need("snntorch")

RESETS = {"subtract": None, "zero": ReadOptions(reset="hard"), "none": ReadOptions(reset="none")}


def leaky(*shape: int, beta: Any = 0.9, threshold: float = 2.0, **about: Any) -> Any:
    import snntorch as snn

    decay = frameworks.full(beta, *shape) if isinstance(beta, float) else beta
    return snn.Leaky(beta=decay, threshold=frameworks.full(threshold, *shape), init_hidden=True, **about)


def synaptic(*shape: int, alpha: float, beta: float, threshold: float, reset: str) -> Any:
    import snntorch as snn

    return snn.Synaptic(
        alpha=frameworks.full(alpha, *shape),
        beta=frameworks.full(beta, *shape),
        threshold=frameworks.full(threshold, *shape),
        init_hidden=True,
        reset_mechanism=reset,
    )


def chain(*parts: Any, seed: int = 0) -> Any:
    from torch import nn

    return frameworks.on_grid(nn.Sequential(*parts), seed)


def dense(beta: float, seed: int = 0, **about: Any) -> Any:
    from torch import nn

    return chain(
        nn.Linear(30, 40), leaky(40, beta=beta, threshold=3.0, **about),
        nn.Linear(40, 20), leaky(20, beta=beta, threshold=5.0, **about),
        nn.Linear(20, 10), leaky(10, beta=beta, threshold=3.0, output=True, **about), seed=seed,
    )  # fmt: skip


@pytest.mark.parametrize("beta", [0.8, 0.9])
@pytest.mark.parametrize("reset", RESETS)
def test_leaky(tmp_path: Path, reset: str, beta: float) -> None:
    """0.8 and 0.9 have no binary fraction; their membranes meet integer thresholds exactly all the same."""
    seen = proof.spikes((30,), 12, 12, seed=int(100 * beta))
    module = dense(beta, reset_mechanism=reset)
    proof.prove("snntorch", module, (30,), tmp_path, timesteps=12, seen=seen, options=RESETS[reset])


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    beta=st.integers(1, 99).map(lambda n: n / 100),
    seed=st.integers(0, 1000),
    reset=st.sampled_from(sorted(RESETS)),
    threshold=st.integers(1, 6),
)
def test_any_decay(tmp_path: Path, beta: float, seed: int, reset: str, threshold: int) -> None:
    from torch import nn

    module = chain(
        nn.Linear(12, 9),
        leaky(9, beta=beta, threshold=float(threshold), reset_mechanism=reset),
        nn.Linear(9, 6),
        seed=seed,
    )
    seen = proof.spikes((12,), 8, 6, seed)
    proof.prove("snntorch", module, (12,), tmp_path, timesteps=8, seen=seen, options=RESETS[reset])


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize(("alpha", "beta"), [(0.5, 0.5), (0.9, 0.8)])
def test_synaptic(tmp_path: Path, reset: str, alpha: float, beta: float) -> None:
    from torch import nn

    about = {"alpha": alpha, "beta": beta, "threshold": 9.0, "reset": reset}
    module = chain(nn.Linear(30, 20), synaptic(20, **about), nn.Linear(20, 10), synaptic(10, **about))  # type: ignore[arg-type]
    seen = proof.spikes((30,), 10, 8)
    proof.prove("snntorch", module, (30,), tmp_path, seen=seen, options=RESETS[reset])


def test_convolutions_with_strides_groups_dilation_and_pools(tmp_path: Path) -> None:
    """Two channels of events; grouped, depthwise and dilated convolutions."""
    from torch import nn

    module = chain(
        nn.Conv2d(2, 4, 5, stride=2), leaky(4, 7, 7, threshold=4.0),
        nn.Conv2d(4, 8, 3, padding=1, groups=2, bias=False), leaky(8, 7, 7),
        nn.Conv2d(8, 8, 3, groups=8, dilation=2), leaky(8, 3, 3, threshold=3.0),
        nn.AvgPool2d(2, stride=1), nn.Flatten(), nn.Linear(32, 10), leaky(10),
    )  # fmt: skip
    proof.prove("snntorch", module, (2, 18, 18), tmp_path)


@pytest.mark.parametrize(("scale", "threshold"), [(1.0, 300.0), (1 / 256, 1.0), (1 / 255, 1.0)])
def test_images_of_eight_bits(tmp_path: Path, scale: float, threshold: float) -> None:
    from torch import nn

    module = chain(
        nn.Conv2d(1, 4, 5), leaky(4, 12, 12, threshold=threshold),
        nn.AvgPool2d(2), nn.Flatten(), nn.Linear(144, 10), leaky(10),
    )  # fmt: skip
    seen = proof.images((1, 16, 16))
    proof.prove("snntorch", module, (1, 16, 16), tmp_path, seen=seen, timed=False, scale=scale)


def test_images_of_digits(tmp_path: Path) -> None:
    from torch import nn

    parts = nn.Flatten(), nn.Linear(784, 50), leaky(50, threshold=9.0), nn.Linear(50, 10), leaky(10)
    proof.prove("snntorch", chain(*parts), (1, 28, 28), tmp_path, timesteps=5)


def test_a_decay_for_each_neuron_and_for_each_channel(tmp_path: Path) -> None:
    import torch
    from torch import nn

    decays = torch.tensor(np.linspace(0.1, 0.95, 20), dtype=torch.float32)
    parts = nn.Linear(30, 20), leaky(20, beta=decays, learn_beta=True), nn.Linear(20, 10), leaky(10)
    proof.prove("snntorch", chain(*parts), (30,), tmp_path)
    channels = torch.tensor([0.25, 0.5, 0.8, 0.9])[:, None, None].expand(4, 6, 6).contiguous()
    convolved = chain(
        nn.Conv2d(1, 4, 3), leaky(4, 6, 6, beta=channels), nn.Flatten(), nn.Linear(144, 10), leaky(10)
    )
    proof.prove("snntorch", convolved, (1, 8, 8), tmp_path)


def test_a_reset_without_delay(tmp_path: Path) -> None:
    hard = ReadOptions(reset="hard", reset_at="now")
    module = dense(0.9, reset_mechanism="zero", reset_delay=False)
    proof.prove("snntorch", module, (30,), tmp_path, options=hard)


def test_other_equations_give_other_spikes(tmp_path: Path) -> None:
    """The proof would see a wrong comparison, a wrong reset and a wrong time of the reset."""
    import torch

    seen = proof.spikes((30,), 10, 6)
    module = dense(0.5)
    theirs = proof.in_framework("snntorch", module, seen, 10)
    file = frameworks.write("snntorch", module, torch.zeros(1, 30), tmp_path / "net.nir")
    for wrong in (ReadOptions(fires="at"), ReadOptions(reset="hard"), ReadOptions(reset_at="now")):
        options = frameworks.stated("snntorch", wrong)
        found = proof.compare(file, theirs, seen, 10, (30,), options=options)
        assert min(found.float_equal.values()) < 1
        assert min(found.integer_equal.values()) < 1


RESIDUAL = """\
input: {shape: [1, 8, 8]}
timesteps: 10
neuron: {leak: 0.8, threshold: 3.0, reset: soft, reset_at: next, fires: above}
layers:
  - {name: c1, kind: conv2d, prefix: c1, padding: 1}
  - {name: l1, kind: neuron, leak: l1.beta, threshold: l1.threshold}
  - {name: c2, kind: conv2d, prefix: c2, padding: 1}
  - {name: sum, kind: add, inputs: [c2, l1]}
  - {name: l2, kind: neuron}
  - kind: flatten
  - {name: fc, kind: linear, prefix: fc}
  - {name: l3, kind: neuron}
"""


def test_a_residual_block(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """snnTorch's exporter loses additions, so the weights come as a state dict; its file is refused."""
    import torch
    from torch import nn

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c1, self.l1 = nn.Conv2d(1, 4, 3, padding=1), leaky(4, 8, 8, beta=0.8, threshold=3.0)
            self.c2, self.l2 = (
                nn.Conv2d(4, 4, 3, padding=1, bias=False),
                leaky(4, 8, 8, beta=0.8, threshold=3.0),
            )
            self.flat, self.fc, self.l3 = nn.Flatten(), nn.Linear(256, 10), leaky(10, beta=0.8, threshold=3.0)

        def forward(self, x: Any) -> Any:
            first = self.l1(self.c1(x))
            return self.l3(self.fc(self.flat(self.l2(self.c2(first) + first))))

    module = frameworks.on_grid(Residual())
    proof.prove_listed("snntorch", module, (1, 8, 8), RESIDUAL, tmp_path)
    frameworks.write("snntorch", module, torch.zeros(1, 1, 8, 8), tmp_path / "net.nir")
    assert main(["import", str(tmp_path / "net.nir"), "-o", str(tmp_path / "x")]) == 2
    assert "the exporter lost an addition" in " ".join(capsys.readouterr().err.split())


def test_what_the_import_states_of_float_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch
    from torch import nn

    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(2, 6, 3), leaky(6, 6, 6, threshold=0.5), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(54, 3), leaky(3, threshold=0.2),
    ).eval()  # fmt: skip
    found = proof.agreement_as_in_framework("snntorch", module, (2, 8, 8), tmp_path, main)
    text = " ".join(capsys.readouterr().out.split())
    assert "snntorch" in text
    for layer in found["agreement"]["ideal"]["layers"]:
        assert f"{100 * layer['equal']:.6g}" in text


TUTORIAL = """\
input: {{shape: [1, 20, 20]}}
timesteps: 10
neuron: {{leak: 0.5, threshold: {threshold}, reset: soft, fires: above, reset_at: next}}
layers:
  - {{name: conv1, kind: conv2d, prefix: conv1}}
  - {{kind: {pool}, size: 2}}
  - {{name: lif1, kind: neuron}}
  - {{name: conv2, kind: conv2d, prefix: conv2}}
  - {{kind: {pool}, size: [2, 3], stride: [1, 2], padding: [1, 0]}}
  - {{name: lif2, kind: neuron}}
  - kind: flatten
  - {{name: fc, kind: linear, prefix: fc}}
  - {{name: lif3, kind: neuron}}
"""


@pytest.mark.parametrize("pool", ["maxpool", "avgpool"])
def test_pools_between_convolutions_and_neurons(tmp_path: Path, pool: str) -> None:
    """The order of snnTorch's tutorial on convolutional networks: conv, pool, Leaky; the second pool with
    padding, and windows that overlap.
    """
    from torch import nn

    class Tutorial(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            make: Any = nn.MaxPool2d if pool == "maxpool" else nn.AvgPool2d
            about: Any = {"beta": 0.5, "threshold": 8.0}
            self.conv1, self.pool1, self.lif1 = nn.Conv2d(1, 4, 5), make(2), leaky(4, 8, 8, **about)
            self.conv2, self.pool2 = nn.Conv2d(4, 6, 5), make((2, 3), (1, 2), (1, 0))
            self.lif2, self.flat = leaky(6, 5, 1, **about), nn.Flatten()
            self.fc, self.lif3 = nn.Linear(30, 10), leaky(10, **about)

        def forward(self, x: Any) -> Any:
            x = self.lif2(self.pool2(self.conv2(self.lif1(self.pool1(self.conv1(x))))))
            return self.lif3(self.fc(self.flat(x)))

    module = frameworks.on_grid(Tutorial())
    layers = TUTORIAL.format(pool=pool, threshold=8.0)
    found = proof.prove_listed("snntorch", module, (1, 20, 20), layers, tmp_path)
    kinds = [type(node).__name__ for node in found.imported.network.nodes]
    assert kinds == ["Conv2d", "Pool2d", "LIF"] * 2 + ["Flatten", "Linear", "LIF"]


def test_the_tutorial_by_its_template(tmp_path: Path) -> None:
    """Conv, max pool, Leaky, twice, and a dense layer, at full size."""
    import torch.nn.functional as nnf
    from torch import nn

    class Tutorial(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            about: Any = {"beta": 0.5, "threshold": 16.0}
            self.conv1, self.lif1 = nn.Conv2d(1, 12, 5), leaky(12, 12, 12, **about)
            self.conv2, self.lif2 = nn.Conv2d(12, 64, 5), leaky(64, 4, 4, **about)
            self.fc1, self.lif3 = nn.Linear(64 * 4 * 4, 10), leaky(10, **about)

        def forward(self, x: Any) -> Any:
            first = self.lif1(nnf.max_pool2d(self.conv1(x), 2))
            second = self.lif2(nnf.max_pool2d(self.conv2(first), 2))
            return self.lif3(self.fc1(second.flatten(1)))

    layers = template("snntorch_tutorial").replace("threshold: 1.0", "threshold: 16.0")
    layers = layers.replace("timesteps: 4", "timesteps: 5").replace("  # scale", "  scale: 1.0\n  # scale")
    proof.prove_listed("snntorch", frameworks.on_grid(Tutorial()), (1, 28, 28), layers, tmp_path, timesteps=5)
