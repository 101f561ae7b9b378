"""Networks of activations from ONNX files and live modules: the codes are those of the file or module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import imcsim
from imcsim.base.errors import ImcsimError
from imcsim.commands.cli import main
from imcsim.importers.importing.importing import import_model
from imcsim.importers.importing.layers import ReadOptions
from imcsim.inputs import Inputs
from imcsim.network.graph import Add, Network, Relu

CLASSES = 3


def shown(count: int = 6, shape: tuple[int, ...] = (2, 8, 8)) -> Inputs:
    images = np.random.default_rng(3).integers(0, 256, (count, *shape)).astype(np.uint8)
    return Inputs(images, np.zeros(count, np.int64), "images", "unknown", "3" * 64, CLASSES)


# --- ONNX


def constants() -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(1)
    return {
        "w1": rng.normal(0, 0.3, (4, 2, 3, 3)).astype(np.float32),
        "b1": rng.normal(0.2, 0.3, 4).astype(np.float32),
        "w2": rng.normal(0, 0.3, (4, 4, 3, 3)).astype(np.float32),
        "fc": rng.normal(0, 0.2, (CLASSES, 64)).astype(np.float32),
        "s1": np.float32(0.125),
        "s2": np.float32(0.0625),
        "zero": np.uint8(0),
        "low": np.uint8(0),
        "top4": np.uint8(15),
        "top7": np.uint8(100),
        "real_top": np.float32(0.0625 * 31),
        "odd_top": np.float32(0.0625 * 30),
        "none": np.float32(0),
        "signed": np.int8(0),
        "many": np.full(4, 0.1, np.float32),
    }


def node(op: str, inputs: str, output: str, **attributes: Any) -> Any:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")

    read = [name if name != "-" else "" for name in inputs.split()]
    return onnx.helper.make_node(op, read, [output], name=f"{op}.{output}", **attributes)


def file_of(tmp_path: Path, nodes: list[Any]) -> Path:
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    made = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", 2, 8, 8])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants().items()],
    )
    onnx.save(helper.make_model(made), tmp_path / "net.onnx")
    return tmp_path / "net.onnx"


def quantised_graph(*, middle: str = "Relu", copy: bool = True) -> list[Any]:
    """Two convolutions with 4-bit and wider activations; quantised again behind the pool with `copy`."""
    pad = {"pads": [1, 1, 1, 1]}
    nodes = [
        node("Conv", "x w1 b1", "c1", **pad),
        node("Relu", "c1", "r1"),
        node("QuantizeLinear", "r1 s1 zero", "q1"),
        node("Clip", "q1 low top4", "k1"),
        node("DequantizeLinear", "k1 s1 zero", "a1"),
        node("MaxPool", "a1", "p1", kernel_shape=[2, 2], strides=[2, 2]),
    ]
    last = "p1"
    if copy:
        nodes += [node("QuantizeLinear", "p1 s1 zero", "q2"), node("DequantizeLinear", "q2 s1 zero", "a2")]
        last = "a2"
    nodes += [node("Conv", f"{last} w2", "c2", **pad)]
    nodes += [node("Clip", "c2 none real_top", "r2") if middle == "Clip" else node("Relu", "c2", "r2")]
    nodes += [
        node("QuantizeLinear", "r2 s2 zero", "q3"),
        node("DequantizeLinear", "q3 s2 zero", "a3"),
        node("Flatten", "a3", "f"),
        node("Gemm", "f fc", "y", transB=1),
    ]
    return nodes


def expected(images: NDArray[np.uint8], top: int) -> NDArray[np.float64]:
    """The graph by hand, in numpy."""
    numbers = constants()

    def convolved(x: NDArray[Any], weight: NDArray[Any]) -> NDArray[Any]:
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        seen = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
        return np.einsum("nchwyx,ocyx->nohw", seen, weight.astype(np.float64))

    x = convolved(images / 255, numbers["w1"]) + numbers["b1"][:, None, None]
    x = np.clip(np.rint(x / 0.125), 0, 15) * 0.125
    x = x.reshape(len(x), 4, 4, 2, 4, 2).max((3, 5))
    x = np.clip(np.rint(convolved(x, numbers["w2"]) / 0.0625), 0, top) * 0.0625
    return np.asarray(x.reshape(len(x), -1) @ numbers["fc"].T.astype(np.float64))


@pytest.mark.parametrize(("middle", "bits"), [("Relu", 8), ("Clip", 5)])
@pytest.mark.parametrize("copy", [True, False])
def test_onnx_quantisers_are_activations(tmp_path: Path, middle: str, bits: int, copy: bool) -> None:
    inputs = shown()
    path = file_of(tmp_path, quantised_graph(middle=middle, copy=copy))
    found = import_model(path, inputs=inputs, weight_bits=8)
    assert [(n.bits, n.step) for n in found.network.nodes if isinstance(n, Relu)] == [
        (4, 0.125),
        (bits, 0.0625),
    ]
    assert (found.network.timesteps, found.network.is_ann) == (1, True)
    from imcsim.importers.importing.float_run import run

    outputs = run(found.real, inputs.images, 1).outputs[:, 0]
    np.testing.assert_allclose(outputs, expected(inputs.images, (1 << bits) - 1), rtol=1e-9)
    assert found.agreement is not None
    assert [layer.name for layer in found.agreement.ideal.layers] == [
        n.name for n in found.network.nodes if isinstance(n, Relu)
    ]
    assert all(layer.equal > 0.9 for layer in found.agreement.ideal.layers)


def test_onnx_activations_that_the_user_describes(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w1 b1", "c1", pads=[1, 1, 1, 1]),
        node("Relu", "c1", "r1"),
        node("MaxPool", "r1", "p1", kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", "p1", "f"),
        node("Gemm", "f fc", "y", transB=1),
    ]
    path = file_of(tmp_path, nodes)
    found = import_model(path, options=ReadOptions(neuron={"bits": 3, "step": 0.25}))
    assert [(n.bits, n.step) for n in found.network.nodes if isinstance(n, Relu)] == [(3, 0.25)]
    command = [
        "import",
        str(path),
        "--neuron",
        "bits=3",
        "--neuron",
        "step=0.25",
        "-o",
        str(tmp_path / "net"),
    ]
    assert main([*command, "--quiet"]) == 0
    assert imcsim.network.load(tmp_path / "net").is_ann
    for keys, says in (
        ({"bits": 3}, "step"), ({"bits": 3, "step": 0.1, "leak": 1.0}, "leak"),
        ({"bits": 2.5, "step": 1}, "bits"),
        ({"bits": 9, "step": 0.1}, "9 bits"), ({"bits": 3, "step": -1}, "steps of -1"),
    ):  # fmt: skip
        with pytest.raises(ImcsimError, match=says):
            import_model(path, options=ReadOptions(neuron=keys))
    with pytest.raises(ImcsimError, match="one timestep, not 4"):
        import_model(path, options=ReadOptions(neuron={"bits": 3, "step": 0.25}, timesteps=4))


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"QuantizeLinear.q1": ("QuantizeLinear", "r1 many zero", "q1")}, "one scale"),
        ({"QuantizeLinear.q1": ("QuantizeLinear", "r1 s1 signed", "q1")}, "unsigned"),
        ({"DequantizeLinear.a1": ("DequantizeLinear", "k1 s2 zero", "a1")}, "another scale"),
        ({"Clip.k1": ("Clip", "q1 low top7", "k1")}, "power of two"),
        ({"Relu.r2": ("Clip", "c2 none odd_top", "r2")}, "clipped at 30 steps"),
        ({"DequantizeLinear.a3": ("Identity", "q3", "a3")}, "computes with integers"),
        ({"Relu.r2": ("Sigmoid", "c2", "r2")}, "Sigmoid"),
        ({"Relu.r2": ("Tanh", "c2", "r2")}, "Tanh"),
    ],
)
def test_onnx_refuses_other_activations_by_name(tmp_path: Path, changed: dict[str, Any], says: str) -> None:
    pytest.importorskip("onnx")
    ((name, made),) = changed.items()
    nodes = [node(*made) if one.name == name else one for one in quantised_graph()]
    with pytest.raises(ImcsimError, match=says):
        import_model(file_of(tmp_path, nodes))


# --- live modules


def module(*, residual: bool = False, average: bool = False, bits: int = 3) -> Any:
    torch: Any = pytest.importorskip("torch")
    nn = torch.nn

    class QuantReLU(nn.Module):  # type: ignore[misc]
        def __init__(self, bits: int, step: float) -> None:
            super().__init__()
            self.bits = bits
            self.step = nn.Parameter(torch.tensor(step))

        def forward(self, x: Any) -> Any:
            return torch.clamp(torch.round(x / self.step), 0, 2**self.bits - 1) * self.step

    class Net(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.norm = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4)
            self.act1, self.act2 = QuantReLU(bits, 0.11), QuantReLU(bits, 0.07)
            self.conv2 = nn.Conv2d(4, 4, 3, padding=1)
            self.pool = nn.AvgPool2d(2) if average else nn.MaxPool2d(2)
            self.fc = nn.Linear(64, CLASSES)
            self.norm.running_mean.normal_(0, 0.1)
            self.norm.running_var.uniform_(0.2, 0.6)

        def forward(self, x: Any) -> Any:
            x = self.act1(self.norm(self.conv1(x)))
            y = self.conv2(x)
            x = self.act2(y + x if residual else y)
            return self.fc(self.pool(x).flatten(1))

    torch.manual_seed(2)
    made = Net()
    made.rule = {QuantReLU: {"bits": "bits", "step": "step"}}
    return made


def relus(network: Network) -> list[tuple[int, float]]:
    return [(node.bits, round(node.step, 6)) for node in network.nodes if isinstance(node, Relu)]


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("average", [False, True])
def test_live_modules_with_a_rule(residual: bool, average: bool) -> None:
    net = module(residual=residual, average=average)
    torch: Any = pytest.importorskip("torch")
    images = torch.tensor(shown().images / 255, dtype=torch.float32)
    found = imcsim.from_torch(net, images, rules=net.rule)
    assert found.check is not None
    assert found.check.equal == 1.0, found.check.sentence()
    assert found.check.same_prediction == 1.0
    assert relus(found) == [(3, 0.11), (3, 0.07)]
    assert found.timesteps == 1
    if residual:
        assert any(isinstance(node, Add) for node in found.nodes)
        # The identity enters the addition as it is, without weights of its own.
        assert len(found.weighted) == 3
    outcome = imcsim.run(found, inputs=shown(), policy="static", workers=1).outcome
    assert outcome.energy_pj > 0


def test_live_modules_are_refused_by_name() -> None:
    torch: Any = pytest.importorskip("torch")
    nn = torch.nn
    net = module()
    images = torch.tensor(shown().images / 255, dtype=torch.float32)
    with pytest.raises(ImcsimError, match="one timestep, not 4"):
        imcsim.from_torch(net, images, rules=net.rule, timesteps=4)
    ((kind, _),) = net.rule.items()
    for rule, says in (
        ({"bits": "bits"}, "bits and step"),
        ({"bits": "bits", "step": "nothing"}, "no attribute 'nothing'"),
        ({"bits": 2.5, "step": "step"}, "2.5 bits"),
        ({"bits": 9, "step": "step"}, "9 bits"),
        ({"bits": 3, "step": "step", "leak": 1.0}, "these alone"),
    ):
        with pytest.raises(ImcsimError, match=says):
            imcsim.from_torch(net, images, rules={kind: rule})
    for other, says in ((nn.Sigmoid(), "sigmoid"), (nn.Tanh(), "tanh"), (nn.ReLU(), "a rule")):
        net.act2 = other
        with pytest.raises(ImcsimError, match=says):
            imcsim.from_torch(net, images, rules=net.rule)


def test_a_rule_of_other_steps_is_found_out() -> None:
    net = module()
    torch: Any = pytest.importorskip("torch")
    images = torch.tensor(shown().images / 255, dtype=torch.float32)
    ((kind, _),) = net.rule.items()
    with pytest.raises(ImcsimError, match="does something else than the module"):
        imcsim.from_torch(net, images, rules={kind: {"bits": 2, "step": "step"}})
