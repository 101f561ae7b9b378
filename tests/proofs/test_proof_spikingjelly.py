"""SpikingJelly: its own exporter, our importer, and every spike of every layer and timestep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import frameworks
import proof
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imcsim.commands.cli import main
from imcsim.importers import ReadOptions
from imcsim.importers.listed.templates import template

frameworks.need("spikingjelly")


def lif(threshold: float = 2.0, tau: float = 2.0, decay_input: bool = True, v_reset: Any = 0.0) -> Any:
    from spikingjelly.activation_based import neuron

    return neuron.LIFNode(tau=tau, decay_input=decay_input, v_threshold=threshold, v_reset=v_reset)


def integrate(threshold: float = 3.0, v_reset: Any = 0.0) -> Any:
    from spikingjelly.activation_based import neuron

    return neuron.IFNode(v_threshold=threshold, v_reset=v_reset)


def chain(*parts: Any, seed: int = 0) -> Any:
    from torch import nn

    return frameworks.on_grid(nn.Sequential(*parts), seed)


@pytest.mark.parametrize("tau", [2.0, 1.25, 3.0])
@pytest.mark.parametrize("decay_input", [True, False])
def test_lif(tmp_path: Path, tau: float, decay_input: bool) -> None:
    """tau = 3 keeps two thirds of the membrane, which no word holds: ties are ties all the same."""
    from spikingjelly.activation_based import layer

    module = chain(
        layer.Linear(30, 20), lif(3.0, tau, decay_input), layer.Linear(20, 15), lif(2.0, tau, decay_input),
        layer.Linear(15, 10), lif(1.0, tau, decay_input),
    )  # fmt: skip
    seen = proof.spikes((30,), 12, 12)
    proof.prove("spikingjelly", module, (30,), tmp_path, timesteps=12, seen=seen)


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tau=st.sampled_from([1.5, 2.0, 2.5, 4.0, 5.0, 10.0]),
    seed=st.integers(0, 1000),
    threshold=st.integers(1, 5),
    v_reset=st.sampled_from([0.0, -1.0, 0.5]),
)
def test_any_neuron(tmp_path: Path, tau: float, seed: int, threshold: int, v_reset: float) -> None:
    from spikingjelly.activation_based import layer

    module = chain(
        layer.Linear(12, 9), lif(float(threshold), tau, False, v_reset), layer.Linear(9, 5), seed=seed
    )
    seen = proof.spikes((12,), 8, 6, seed)
    proof.prove("spikingjelly", module, (12,), tmp_path, timesteps=8, seen=seen)


def test_convolutions_of_integrate_and_fire(tmp_path: Path) -> None:
    from spikingjelly.activation_based import layer

    module = chain(
        layer.Conv2d(2, 4, 3, padding=1, bias=False), integrate(4.0), layer.AvgPool2d(2, 2),
        layer.Conv2d(4, 8, 3, padding=2, stride=2, dilation=2), integrate(4.0), layer.AvgPool2d(2, 2),
        layer.Flatten(), layer.Linear(32, 20), integrate(3.0, -1.0), layer.Linear(20, 10), integrate(2.0),
    )  # fmt: skip
    proof.prove("spikingjelly", module, (2, 16, 16), tmp_path)


def test_convolutions_of_rows(tmp_path: Path) -> None:
    from spikingjelly.activation_based import layer

    module = chain(
        layer.Conv1d(2, 4, 3, padding=1), lif(3.0, 2.0, False), layer.Flatten(),
        layer.Linear(64, 10), integrate(2.0),
    )  # fmt: skip
    proof.prove("spikingjelly", module, (2, 16), tmp_path)


@pytest.mark.parametrize("decay_input", [True, False])
def test_a_residual_block(tmp_path: Path, decay_input: bool) -> None:
    module = frameworks.spikingjelly_residual(2.0, decay_input)
    proof.prove("spikingjelly", module, (1, 8, 8), tmp_path)
    seen = proof.images((1, 8, 8))
    proof.prove("spikingjelly", module, (1, 8, 8), tmp_path, seen=seen, timed=False, scale=1 / 64)


@pytest.mark.parametrize(("c_decay", "v_decay"), [(0.5, 0.75), (0.9, 0.8)])
def test_neurons_with_a_current(tmp_path: Path, c_decay: float, v_decay: float) -> None:
    from spikingjelly.activation_based import layer, neuron

    def cuba(threshold: float) -> Any:
        return neuron.CUBALIFNode(c_decay=c_decay, v_decay=v_decay, v_threshold=threshold, v_reset=0.0)

    module = chain(layer.Linear(30, 20), cuba(4.0), layer.Linear(20, 10), cuba(6.0))
    proof.prove("spikingjelly", module, (30,), tmp_path, seen=proof.spikes((30,), 10, 8))


def test_a_file_of_several_timesteps_at_once(tmp_path: Path) -> None:
    """step_mode "m" takes all timesteps in one call; the file of the network is the same."""
    import nir
    import torch
    from spikingjelly.activation_based import functional, layer
    from spikingjelly.activation_based.nir_exchange import export_to_nir

    module = chain(layer.Linear(30, 20), lif(), layer.Linear(20, 10), lif())
    seen = proof.spikes((30,), 10)
    theirs = proof.in_framework("spikingjelly", module, seen, 10)
    functional.set_step_mode(module, "m")
    nir.write(tmp_path / "net.nir", export_to_nir(module, torch.zeros(5, 1, 30)))
    found = proof.compare(tmp_path / "net.nir", theirs, seen, 10, (30,))
    assert set(found.integer_equal.values()) == {1.0}


GROUPS = """\
input: {shape: [2, 10, 10]}
timesteps: 10
neuron: {tau: 2.0, threshold: 3.0, reset: soft, fires: at, input: undecayed}
layers:
  - {name: conv1, kind: conv2d, prefix: "0", groups: 2, dilation: 2}
  - {name: "1", kind: neuron}
  - {name: conv2, kind: conv2d, prefix: "2", groups: 4}
  - {name: bn, kind: batchnorm, prefix: "3", eps: 0.0}
  - {name: "4", kind: neuron, tau: 4.0, input: decayed, threshold: 1.0}
  - {name: pool, kind: maxpool, size: 2}
  - kind: flatten
  - {name: fc, kind: linear, prefix: "7"}
  - {name: "8", kind: neuron, leak: 1.0, threshold: 3.0}
"""


def test_soft_resets_groups_norms_and_largest_spikes(tmp_path: Path) -> None:
    """What the exporter refuses comes as a state dict with a list of layers."""
    import torch
    from spikingjelly.activation_based import layer

    module = chain(
        layer.Conv2d(2, 4, 3, groups=2, dilation=2), lif(3.0, 2.0, False, None),
        layer.Conv2d(4, 4, 3, groups=4), layer.BatchNorm2d(4, eps=0.0), lif(1.0, 4.0, True, None),
        layer.MaxPool2d(2), layer.Flatten(), layer.Linear(16, 10), integrate(3.0, None),
    )  # fmt: skip
    norm = module[3]
    norm.weight.data = torch.tensor([0.5, 1.0, 2.0, 1.0])
    norm.bias.data = torch.tensor([0.25, 1.0, -0.5, 1.0])
    norm.running_mean.data = torch.tensor([1.0, 0.0, -1.0, 2.0])
    norm.running_var.data = torch.tensor([4.0, 1.0, 0.25, 4.0])
    proof.prove_listed("spikingjelly", module, (2, 10, 10), GROUPS, tmp_path)


def test_what_the_import_states_of_float_weights(tmp_path: Path) -> None:
    import torch
    from spikingjelly.activation_based import layer
    from torch import nn

    torch.manual_seed(0)
    module = nn.Sequential(
        layer.Conv2d(2, 6, 3), lif(0.3), layer.AvgPool2d(2), layer.Flatten(), layer.Linear(54, 3), lif(0.1),
    ).eval()  # fmt: skip
    proof.agreement_as_in_framework("spikingjelly", module, (2, 8, 8), tmp_path, main)


def test_the_example_network_by_its_template(tmp_path: Path) -> None:
    """CSNN of conv_fashion_mnist with 4 channels: conv, batch norm, IF, max pool, twice; two dense layers."""
    from spikingjelly.activation_based import neuron
    from torch import nn

    class CSNN(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            fire: Any = lambda: neuron.IFNode(v_threshold=9.0)  # noqa: E731
            self.conv_fc = nn.Sequential(
                nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), fire(), nn.MaxPool2d(2, 2),
                nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), fire(), nn.MaxPool2d(2, 2),
                nn.Flatten(), nn.Linear(196, 64, bias=False), fire(), nn.Linear(64, 10, bias=False), fire(),
            )  # fmt: skip

        def forward(self, x: Any) -> Any:
            return self.conv_fc(x)

    layers = template("spikingjelly_csnn").replace("threshold: 1.0", "threshold: 9.0")
    layers = layers.replace("timesteps: 4", "timesteps: 10").replace("  # scale", "  scale: 1.0\n  # scale")
    for number, place in ((1, 2), (2, 6), (3, 10), (4, 12)):
        layers = layers.replace(f"name: sn{number},", f"name: conv_fc.{place},")
    proof.prove_listed("spikingjelly", frameworks.on_grid(CSNN()), (1, 28, 28), layers, tmp_path)


@pytest.mark.slow
def test_sew_resnet_by_its_template(tmp_path: Path) -> None:
    """SEW-ResNet-18 of few channels: spikes of a block and of its shortcut are added."""
    import torch
    from spikingjelly.activation_based import neuron
    from torch import nn

    def fire() -> Any:
        return neuron.IFNode(v_threshold=4.0)

    class Block(nn.Module):
        def __init__(self, before: int, width: int, stride: int) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
            self.bn1, self.sn1 = nn.BatchNorm2d(width), fire()
            self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
            self.bn2, self.sn2 = nn.BatchNorm2d(width), fire()
            self.downsample = (
                nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width), fire())
                if stride > 1
                else None
            )

        def forward(self, x: Any) -> Any:
            y = self.sn2(self.bn2(self.conv2(self.sn1(self.bn1(self.conv1(x))))))
            return (x if self.downsample is None else self.downsample(x)) + y

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(3, 4, 7, 2, 3, bias=False)
            self.bn1, self.sn1, self.maxpool = nn.BatchNorm2d(4), fire(), nn.MaxPool2d(3, 2, 1)
            for stage, stride in enumerate((1, 2, 2, 2), 1):
                blocks = nn.Sequential(Block(4, 4, stride), Block(4, 4, 1))
                setattr(self, f"layer{stage}", blocks)
            self.avgpool, self.fc = nn.AvgPool2d(2), nn.Linear(4, 10)

        def forward(self, x: Any) -> Any:
            x = self.maxpool(self.sn1(self.bn1(self.conv1(x))))
            x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
            return self.fc(self.avgpool(x).flatten(1))

    layers = (
        template("sew_resnet18").replace("threshold: 1.0", "threshold: 4.0").replace("size: 7", "size: 2")
    )
    layers = layers.replace("3, 224, 224", "3, 64, 64").replace("classes: 1000", "classes: 10")
    layers = layers.replace("timesteps: 4", "timesteps: 4").replace("  # scale", "  scale: 1.0\n  # scale")
    layers = layers.replace("down_sn", "downsample.2")
    module, seen = frameworks.on_grid(Net()), proof.spikes((3, 64, 64), 4, 2)
    theirs = proof.in_framework("spikingjelly", module, seen, 4, timed=True)
    torch.save(module.state_dict(), tmp_path / "net.pt")
    (tmp_path / "net.yaml").write_text(layers)
    options = ReadOptions(layers_file=tmp_path / "net.yaml")
    found = proof.compare(tmp_path / "net.pt", theirs, seen, 4, (3, 64, 64), timed=True, options=options)
    assert set(found.float_equal.values()) == set(found.integer_equal.values()) == {1.0}
    # Weights are held once: 17 convolutions, 3 shortcuts, the classifier.
    assert len(found.imported.network.weighted) == 21
    # Shortcuts of 1 x 1 have few inputs, and are quiet.
    assert sum(0.02 < rate < 0.98 for rate in found.rates.values()) >= 16
