"""State dicts, safetensors and ONNX: weights and graphs come back as they were; the lists of layers."""

from __future__ import annotations

import hashlib
import itertools
import json
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from safetensors_bytes import write_safetensors

from imcsim.base.errors import ImcsimError
from imcsim.functional.program.numerics import Numerics
from imcsim.functional.program.program import build
from imcsim.functional.run import ideal_converters
from imcsim.functional.run import run as run_integers
from imcsim.importers.folding.fold import Image, fold
from imcsim.importers.importing.float_run import run
from imcsim.importers.importing.layers import (
    Neuron,
    Norm,
    ReadFlatten,
    ReadModel,
    ReadOptions,
    ReadPool,
    Weights,
)
from imcsim.importers.importing.read import read
from imcsim.importers.listed.templates import TEMPLATES, template
from imcsim.importers.quantising.quantise import quantise
from imcsim.importers.torch.state_dict import tensors as tensors_of

NUMERICS = Numerics(16, "im2col", "offset", 2, 5, "ideal", 100.0, 24)
RANDOM = np.random.default_rng(0)


def listed(tmp_path: Path, text: str, tensors: dict[str, Any], **options: Any) -> ReadModel:
    layers = tmp_path / "layers.yaml"
    layers.write_text(text)
    weights = write_safetensors(tmp_path / "net.safetensors", tensors)
    return read(weights, ReadOptions(layers_file=layers, **options))


def refused(words: tuple[str, ...], call: Any, *args: Any, **options: Any) -> None:
    with pytest.raises(ImcsimError) as caught:
        call(*args, **options)
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert word in text, text


def random_tensors(text: str, width: int = 4) -> dict[str, Any]:
    """Tensors of narrow layers for a list: `width` channels, with the pools and strides of the list."""
    document = yaml.safe_load(text)
    channels, rows, _ = document["input"]["shape"]
    shapes: dict[str, tuple[int, int]] = {"input": (channels, rows)}
    before, found = "input", {}
    for index, layer in enumerate(document["layers"]):
        name, source = layer.get("name", str(index)), layer.get("inputs", [before])[0]
        count, size = shapes[source]
        prefix, kind = layer.get("prefix"), layer["kind"]
        if kind == "conv2d":
            kernel = 3 if layer.get("padding") else 1
            found[f"{prefix}.weight"] = RANDOM.normal(size=(width, count, kernel, kernel)).astype(np.float32)
            count, size = width, size // layer.get("stride", 1)
        elif kind == "batchnorm":
            for key in ("weight", "bias", "running_mean", "running_var"):
                found[f"{prefix}.{key}"] = RANDOM.uniform(0.5, 1.5, count).astype(np.float32)
            found[f"{prefix}.num_batches_tracked"] = np.array(7)
        elif kind in ("avgpool", "maxpool"):
            size //= layer["size"]
        elif kind == "flatten":
            count, size = count * size * size, 1
        elif kind == "linear":
            last = [one for one in document["layers"] if one["kind"] == "linear"][-1]
            outputs = 10 if layer is last else width
            found[f"{prefix}.weight"] = RANDOM.normal(size=(outputs, count)).astype(np.float32)
            found[f"{prefix}.bias"] = RANDOM.normal(size=outputs).astype(np.float32)
            count = outputs
        shapes[name] = (count, size)
        before = name
    return found


@pytest.mark.parametrize(
    ("name", "weighted"),
    [("mlp", 2), ("vgg16", 14), ("resnet19", 22), ("snntorch_tutorial", 3), ("spikingjelly_csnn", 4)],
)
def test_templates_read_and_run(tmp_path: Path, name: str, weighted: int) -> None:
    text = template(name)
    model = listed(tmp_path, text, random_tensors(text))
    assert sum(isinstance(layer, Weights) for layer in model.layers) == weighted
    assert (model.source["timesteps"], model.source["classes"]) == (4, 10)
    assert len(model.source["notes"]) == 1, "every tensor is used"
    network = fold(model, Image())
    images = RANDOM.integers(0, 256, (1, *network.input_shape)).astype(np.uint8)
    assert run(network, images, 2).outputs.shape == (1, 2, 10)


def test_template_names() -> None:
    assert list(TEMPLATES) == [
        "vgg16",
        "resnet19",
        "mlp",
        "snntorch_tutorial",
        "spikingjelly_csnn",
        "sew_resnet18",
    ]
    refused(("vgg16",), template, "vgg_16")


NEURONS = [
    {"leak": 0.75, "reset_to": -0.5, "rest": -0.25, "initial": 0.25, "floor": -1.0},
    {"leak": 0.75, "reset_to": -0.5, "rest": -0.25, "initial": 0.25, "floor": -1.0, "synapse": 0.5},
    {"leak": 0.5, "reset_to": 0.25, "threshold": 0.75},  # starts and rests where it is reset to
    {"leak": 1.0, "initial": 0.5, "reset": "soft"},  # as QCFS conversion starts: at half the threshold
    {"leak": 1.0, "floor": -0.5, "reset": "soft", "max_spikes": 3},
    {"leak": 0.5, "refractory": 2, "synapse": 0.5, "input": "decayed"},
    {"leak": 0.5, "refractory": 1, "reset": "soft", "max_spikes": 2, "rest": 0.5},
    {"tau": 2.0, "floor": "none", "max_spikes": 1, "rest": 0.25},
]


@pytest.mark.parametrize("keys", NEURONS)
def test_what_neurons_may_be(tmp_path: Path, keys: dict[str, Any]) -> None:
    """Neuron by neuron in the membrane's own terms, against the network before and after rounding."""
    weight = np.random.default_rng(1).integers(-3, 4, (20, 6)) / 4.0
    text = f"""
input: {{shape: [6, 1, 1], scale: 1.0}}
timesteps: 12
neuron: {json.dumps(keys)}
layers:
  - {{name: fc, kind: linear, prefix: fc}}
  - {{name: sn, kind: neuron}}
"""
    model = listed(tmp_path, text, {"fc.weight": weight.astype(np.float32)})
    seen = np.random.default_rng(2).integers(0, 2, (3, 12, 6, 1, 1)).astype(np.uint8)
    network = fold(model, Image(bits=1))
    ours = run(network, seen, 12, record=["sn"]).spikes["sn"]

    threshold, start = keys.get("threshold", 1.0), keys.get("reset_to", 0.0)
    leak = keys.get("leak", 0.5)
    rest, floor = keys.get("rest", start), keys.get("floor", "none")
    expected = np.zeros(ours.shape, np.uint8)
    for n, c in itertools.product(range(3), range(20)):
        u, i, rests = keys.get("initial", start), 0.0, 0
        for t in range(12):
            current = float(weight[c] @ seen[n, t, :, 0, 0])
            i = keys["synapse"] * i + current if "synapse" in keys else current
            if rests:
                rests -= 1
                continue
            u = rest + leak * (u - rest) + (0.5 if keys.get("input") == "decayed" else 1.0) * i
            u = u if floor == "none" else max(u, floor)
            spikes = int(u >= threshold) and min(int(u // threshold), keys.get("max_spikes", 1))
            expected[n, t, c] = spikes
            if spikes:
                u = u - spikes * threshold if keys.get("reset") == "soft" else start
                rests = keys.get("refractory", 0)
    assert 0.05 < (expected > 0).mean() < 0.9
    assert np.array_equal(ours, expected)
    integers = quantise(network, 4)
    program = build(integers, NUMERICS.ideal())
    activity = run_integers(program, seen, 12, ideal_converters(program), workers=1, record={"sn"})
    assert np.array_equal(activity.recorded["sn"].reshape(expected.shape), expected)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"reset": "soft", "reset_to": 0.5}, ("reset_to", "soft")),
        ({"max_spikes": 256}, ("max_spikes", "255")),
        ({"max_spikes": "few"}, ("max_spikes", "integer")),
        ({"refractory": 1.5}, ("refractory", "integer")),
        ({"floor": 0.5}, ("floor",)),
        ({"reset_to": 1.0}, ("threshold",)),
    ],
)
def test_what_neurons_may_not_be(tmp_path: Path, keys: dict[str, Any], words: tuple[str, ...]) -> None:
    text = f"""
input: {{shape: [2, 1, 1]}}
neuron: {json.dumps({"leak": 0.5} | keys)}
layers:
  - {{name: fc, kind: linear, prefix: fc}}
  - {{name: sn, kind: neuron}}
"""

    def whole() -> None:
        fold(listed(tmp_path, text, {"fc.weight": np.ones((3, 2), np.float32)}), Image())

    refused(words, whole)


def test_every_key_of_a_list(tmp_path: Path) -> None:
    tensors = {
        "c.weight": RANDOM.normal(size=(4, 1, 3, 3)).astype(np.float32),
        "c.bias": np.arange(4.0),
        "q": RANDOM.integers(-8, 8, (6, 2, 1, 1)).astype(np.int8),
        "q.scale": RANDOM.uniform(0.1, 1, 6).astype(np.float32),
        "n.weight": np.full(6, 2.0),
        "n.bias": np.full(6, 3.0),
        "n.running_mean": np.full(6, 1.0),
        "n.running_var": np.full(6, 4.0 - 1e-3),
        "sn.v_threshold": np.arange(1.0, 7.0),
        "sn.w": np.array(0.0),
        "fc": RANDOM.normal(size=(3, 24)),
    }
    text = """
input: {shape: [4, 9, 9], scale: 0.5}
neuron: {leak: 0.5, reset: soft, fires: above, reset_at: next, input: decayed, synapse: 0.25}
layers:
  - {name: c, kind: conv2d, prefix: c, stride: [2, 1], padding: [1, 1], dilation: [1, 2], groups: 4}
  - kind: neuron
  - {name: p, kind: maxpool, size: [1, 3], stride: [2, 2], padding: [0, 1]}
  - {name: q, kind: conv2d, weight: q, scale: q.scale, groups: 2}
  - {name: n, kind: tdbn, prefix: n, eps: 1.0e-3, alpha: 0.5, threshold: 4.0}
  - {name: twice, kind: scale, factor: 2.0, offset: 1.0}
  - {name: more, kind: add, inputs: [n, twice]}
  - {name: sn, kind: lif, plif: sn.w, threshold: sn.v_threshold, input: undecayed}
  - {name: mean, kind: avgpool, size: [1, 2]}
  - {name: flat, kind: flatten}
  - {name: fc, kind: linear, weight: fc}
  - {name: out, kind: li, tau: 4.0}
"""
    found = {layer.name: layer for layer in listed(tmp_path, text, tensors).layers}
    c, q, n, sn, out = (found[name] for name in ("c", "q", "n", "sn", "out"))
    assert (c.stride, c.padding, c.dilation, c.groups) == ((2, 1), (1, 1), (1, 2), 4)
    first = found["neuron1"]
    assert (first.leak, first.gain, first.synapse) == (0.5, 0.5, 0.25)
    assert (first.reset, first.fires, first.reset_at) == ("soft", "above", "next")
    assert (found["p"].kind, found["p"].size, found["p"].stride, found["p"].padding) == (
        "max",
        (1, 3),
        (2, 2),
        (0, 1),
    )
    np.testing.assert_array_equal(q.weight, tensors["q"])
    np.testing.assert_allclose(q.scale, tensors["q.scale"])
    # (x - 1) / 2 * (0.5 * 4) * 2 + 3
    np.testing.assert_allclose(n.factor, 2.0)
    np.testing.assert_allclose(n.offset, 1.0)
    assert sn.inputs == ("n", "twice")
    assert (sn.leak, sn.gain) == (0.5, 1.0)
    np.testing.assert_array_equal(sn.threshold, np.arange(1.0, 7.0))
    assert (out.leak, out.gain, out.spiking) == (0.75, 0.25, False)
    overruled = listed(tmp_path, text, tensors, reset="hard", fires="at", reset_at="now", name="other")
    assert overruled.name == "other"
    assert all(
        (x.reset, x.fires, x.reset_at) == ("hard", "at", "now")
        for x in overruled.layers
        if isinstance(x, Neuron)
    )


@pytest.mark.parametrize(
    "called", ["a.weight_scale", "a.weight.scale", "a.weight_scales", "a.scale", "a.scales"]
)
def test_integers_find_their_scale_by_its_usual_names(tmp_path: Path, called: str) -> None:
    integers = RANDOM.integers(-127, 128, (3, 2)).astype(np.int8)
    scale = np.array([[0.5], [0.25], [2.0]], np.float32)
    (layer,) = listed(tmp_path, GOOD, {"a.weight": integers, called: scale}).layers
    np.testing.assert_array_equal(layer.scale, scale.ravel())
    np.testing.assert_array_equal(layer.weight, integers)
    (layer,) = listed(tmp_path, GOOD, {"a.weight": integers / 2, called: scale}).layers
    assert layer.scale is None
    refused(("2 scales", "3 channels"), listed, tmp_path, GOOD, {"a.weight": integers, called: scale[:2]})


GOOD = "input: {shape: [2, 1, 1]}\nneuron: {tau: 2.0}\nlayers:\n  - {name: a, kind: linear, prefix: a}\n"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("prefix: a", "prefix: b"), ("no tensor 'b.weight'", "layers.yaml:4")),
        (("kind: linear", "kind: liner"), ("'liner'", "did you mean 'linear'", ":4")),
        (("kind: linear", "kind: conv2d"), ("4 axes",)),
        (("prefix: a", "prefix: a, strides: 2"), ("strides", ":4")),
        (("tau: 2.0", "tau: 0.5"), ()),
        (("tau: 2.0", "taus: 2.0"), ("taus", "tau", ":2")),
        (("tau: 2.0", "tau: 2.0, reset: medium"), ("medium", "hard or soft")),
        (("shape: [2, 1, 1]", "shape: 2"), ("shape", ":1")),
        (("shape: [2, 1, 1]", "shape: [2, 0, 1]"), ("[2, 0, 1]",)),
        (("name: a", "name: a, inputs: [z]"), ("'z'",)),
        (("name: a", "name: input"), ("'input'",)),
        (("layers:", "layer:"), ("layers",)),
        (("prefix: a", "prefix: a, scale: 0.5"), ("integers",)),
        (("prefix: a}", "prefix: a}\n  - {kind: neuron, leak: 1.5}"), ("0 to 1",)),
        (("prefix: a}", "prefix: a}\n  - {kind: neuron, leak: 1, tau: 2}"), ("the same thing",)),
        (("prefix: a}", "prefix: a}\n  - {kind: avgpool, size: 0}"), ("size",)),
    ],
)
def test_mistakes_in_a_list(tmp_path: Path, change: tuple[str, str], words: tuple[str, ...]) -> None:
    tensors = {"a.weight": RANDOM.normal(size=(3, 2))}
    assert listed(tmp_path, GOOD, tensors).output == "a"
    if words:
        refused(words, listed, tmp_path, GOOD.replace(*change), tensors)


def test_what_a_list_cannot_help(tmp_path: Path) -> None:
    weights = write_safetensors(tmp_path / "net.safetensors", {"a.weight": np.ones((3, 2))})
    refused(("--layers", "--template"), read, weights)
    refused(("--framework",), read, weights, ReadOptions(layers_file=weights, framework="norse"))
    nan = {"a.weight": np.full((3, 2), np.nan)}
    refused(("a:", "NaN"), listed, tmp_path, GOOD, nan)
    assert (
        "b.weight"
        in listed(tmp_path, GOOD, {"a.weight": np.ones((3, 2)), "b.weight": np.ones(1)}).source["notes"][1]
    )


@pytest.mark.parametrize("wrap", [None, "model_state_dict"])
def test_state_dicts_of_torch(tmp_path: Path, wrap: str | None) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    layer = torch.nn.Linear(2, 3).bfloat16()
    state: dict[str, Any] = {f"module.a.{key}": value for key, value in layer.state_dict().items()}
    state["module.steps"] = torch.tensor(5)
    if wrap:
        state = {"epoch": 3, "optimizer": {"lr": 0.1, "state": {}}, wrap: state}
    torch.save(state, tmp_path / "net.pt")
    (tmp_path / "layers.yaml").write_text(GOOD)
    model = read(tmp_path / "net.pt", ReadOptions(layers_file=tmp_path / "layers.yaml"))
    weights = model.layers[0]
    assert isinstance(weights, Weights)
    np.testing.assert_array_equal(weights.weight, layer.weight.detach().float().numpy())
    assert weights.bias is not None


def test_state_dicts_are_read_as_torch_reads_them(tmp_path: Path) -> None:
    """Views, parameters, attributes of tensors, all types, and what checkpoints hold besides."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    base = torch.arange(24.0).reshape(4, 6)
    part = torch.nn.Parameter(torch.ones(2))
    part.note = "text"
    kinds = (torch.float64, torch.float16, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
    state = {
        "view": torch.nn.Parameter(base[1:, ::2]), "turned": base.T, "one": torch.tensor(3), "part": part,
        "none": torch.zeros(0, 3), "repeated": torch.ones(3).expand(2, 3)[:1], "bool": base > 5,
        "bfloat16": base.bfloat16() + 0.1, "uint16": torch.tensor([1, 65535], dtype=torch.uint16),
        **{str(kind).removeprefix("torch."): base.to(kind) for kind in kinds},
    }  # fmt: skip
    checkpoint = {
        "epoch": 300, "loss": 0.5, "large": 1 << 100, "bytes": b"abc", "set": {1, 2}, "complex": 1 + 2j,
        "size": base.size(), "device": base.device, "type": base.dtype, "none": None, "pair": (1, True),
        "optimizer": torch.optim.Adam([part]).state_dict(), "state_dict": state,
    }  # fmt: skip
    torch.save(checkpoint, tmp_path / "net.pt")
    found = tensors_of(tmp_path / "net.pt")
    assert list(found) == list(state)
    for name, value in state.items():
        wanted = (value.float() if value.dtype == torch.bfloat16 else value).detach().numpy()
        np.testing.assert_array_equal(found[name], wanted)
        assert found[name].dtype == wanted.dtype


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda torch: {"a": torch.ones(2).to(torch.complex64)}, ("a:", "ComplexFloat")),
        (
            lambda torch: {"a": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)},
            ("a:", "quantised"),
        ),
        (lambda torch: {"a": torch.ones(2, device="meta")}, ("a:", "empty tensors")),
        (lambda torch: {"a": torch.ones(2).to(torch.float8_e5m2)}, ("a:", "float8_e5m2")),
        (lambda torch: {"a": torch._neg_view(torch.ones(3))}, ("a:", "negated")),
        (lambda torch: torch.ones(2), ("holds a tensor",)),
        (lambda torch: {"a": 1}, ("no state dict",)),
        (lambda torch: torch.nn.Linear(2, 2), ("torch.nn.modules.linear.Linear", "state_dict()")),
    ],
)  # fmt: skip
def test_what_is_no_plain_state_dict(tmp_path: Path, make: Any, words: tuple[str, ...]) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(make(torch), tmp_path / "net.pt")
    refused(words, tensors_of, tmp_path / "net.pt")


def test_files_that_end_early_say_so(tmp_path: Path) -> None:
    """Not that their layers should be listed."""
    weights = write_safetensors(tmp_path / "net.safetensors", {"a.weight": np.ones((30, 20))})
    raw = weights.read_bytes()
    weights.write_bytes(raw[:-100])
    refused(("a.weight", "cut off, 4700 of 4800"), read, weights)
    weights.write_bytes(raw[:20])
    refused(("cut off within its header",), read, weights)
    archive = tmp_path / "net.pt"
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr("net/data.pkl", bytes(500))
    refused(("list its layers",), read, archive)
    archive.write_bytes(archive.read_bytes()[:-30])
    refused(("cut off", "its end is missing"), read, archive)
    pytest.importorskip("onnx", reason="onnx is not installed")
    file = graph(tmp_path, [node("Conv", "x w", "y")], CONSTANTS)
    file.write_bytes(file.read_bytes()[:-50])
    refused(("net.onnx", "cut off or damaged", "fetch or write it again"), read, file, SAID)


# --- ONNX


def graph(tmp_path: Path, nodes: list[Any], constants: dict[str, Any], shape: Any = ("N", 2, 8, 8)) -> Path:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    helper = onnx.helper
    made = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(made), tmp_path / "net.onnx")
    return tmp_path / "net.onnx"


def node(op: str, inputs: str, output: str, **attributes: Any) -> Any:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    return onnx.helper.make_node(op, inputs.split(), [output], name=f"{op}.{output}", **attributes)


CONSTANTS = {
    "w": RANDOM.normal(size=(4, 2, 3, 3)).astype(np.float32),
    "wq": RANDOM.integers(-8, 8, (4, 4, 1, 1)).astype(np.int8),
    "s": RANDOM.uniform(0.1, 1, 4).astype(np.float32),
    "b": RANDOM.normal(size=4).astype(np.float32),
    "v": RANDOM.uniform(1, 2, 4).astype(np.float32),
    "fc": RANDOM.normal(size=(64, 5)).astype(np.float32),
    "fb": RANDOM.normal(size=5).astype(np.float32),
    "row": np.array([0, -1]),
    "half": np.float32(0.5),
}
SAID = ReadOptions(neuron={"tau": 2.0, "threshold": 0.75})


def test_onnx_layers(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w", "c", pads=[1, 1, 1, 1]),
        node("BatchNormalization", "c b b b v", "n", epsilon=1e-3),
        node("Relu", "n", "s1"),
        node("DequantizeLinear", "wq s", "wd", axis=0),
        node("Conv", "s1 wd b", "c2"),
        node("Dropout", "s1", "same"),
        node("Add", "c2 same", "sum"),
        node("Fire", "sum", "s2", domain="of.mine"),
        node("AveragePool", "s2", "p", kernel_shape=[2, 2], strides=[2, 2]),
        node("Reshape", "p row", "f"),
        node("MatMul", "f fc", "m"),
        node("Add", "m fb", "z"),
        node("Softmax", "z", "y"),
    ]
    model = read(graph(tmp_path, nodes, CONSTANTS), SAID)
    kinds = [Weights, Norm, Neuron, Weights, Neuron, ReadPool, ReadFlatten, Weights, Norm]
    assert [type(layer) for layer in model.layers] == kinds
    assert model.input_shape == (2, 8, 8)
    conv, norm, _, quantised, neuron, _, _, matrix, offset = model.layers
    np.testing.assert_array_equal(conv.weight, CONSTANTS["w"])
    factor = CONSTANTS["b"] / np.sqrt(CONSTANTS["v"].astype(float) + np.float32(1e-3))
    np.testing.assert_allclose(norm.factor, factor, rtol=1e-6)
    np.testing.assert_allclose(norm.offset, CONSTANTS["b"] * (1 - factor), rtol=1e-6)
    np.testing.assert_array_equal(quantised.weight, CONSTANTS["wq"])
    np.testing.assert_allclose(quantised.scale, CONSTANTS["s"])
    assert neuron.inputs == ("Conv.c2", "Relu.s1")
    assert (neuron.leak, neuron.threshold) == (0.5, 0.75)
    np.testing.assert_array_equal(matrix.weight, CONSTANTS["fc"].T)
    np.testing.assert_array_equal(offset.offset, CONSTANTS["fb"])
    assert "Softmax" in model.source["affirmed"][0], "means over timesteps are others: every report says so"


def test_onnx_weights_beside_the_file(tmp_path: Path) -> None:
    """As today's exporters write by default: all weights in one file beside, and a LogSoftmax at the end."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    nodes = [
        node("Conv", "x w b", "c", pads=[1, 1, 1, 1]),
        node("Relu", "c", "s"),
        node("AveragePool", "s", "p", kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", "p", "f"),
        node("Gemm", "f fc fb", "z"),
        node("LogSoftmax", "z", "y"),
    ]
    file = graph(tmp_path, nodes, CONSTANTS)
    whole = read(file, SAID)
    apart = tmp_path / "apart"
    apart.mkdir()
    onnx.save(
        onnx.load(file), apart / "net.onnx", save_as_external_data=True, location="net.onnx.data",
        size_threshold=0,
    )  # fmt: skip
    model = read(apart / "net.onnx", SAID)
    for one, other in zip(model.layers, whole.layers, strict=True):
        assert type(one) is type(other)
        if isinstance(one, Weights):
            np.testing.assert_array_equal(one.weight, other.weight)
            np.testing.assert_array_equal(one.bias, other.bias)
    sha256 = hashlib.sha256((apart / "net.onnx.data").read_bytes()).hexdigest()
    assert f"weights come from net.onnx.data, beside the file (sha256 {sha256})" in model.source["notes"]
    assert any("LogSoftmax at the end" in note for note in model.source["notes"])
    onnx.save(onnx.load(file), apart / "whole.onnx")  # PyTorch writes an empty file beside small networks
    (apart / "whole.onnx.data").touch()
    assert [type(one) for one in read(apart / "whole.onnx", SAID).layers] == [
        type(one) for one in whole.layers
    ]
    (apart / "net.onnx.data").unlink()
    refused(("net.onnx.data", "not there"), read, apart / "net.onnx", SAID)


def test_onnx_neurons_one_by_one(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w b", "c", pads=[0, 1, 0, 1], strides=[2, 1]),
        node("Relu", "c", "s1"),
        node("GreaterOrEqual", "s1 half", "g"),
        node("Cast", "g", "t", to=1),
        node("GlobalAveragePool", "t", "p"),
        node("Flatten", "p", "y"),
    ]
    file = graph(tmp_path, nodes, CONSTANTS)
    text = "neuron: {leak: 1.0}\nneurons:\n  Relu.s1: {threshold: 3.0}\ntimesteps: 6\nclasses: 4\n"
    (tmp_path / "n.yaml").write_text(text)
    model = read(file, ReadOptions(layers_file=tmp_path / "n.yaml"))
    one, two = (layer for layer in model.layers if isinstance(layer, Neuron))
    assert (one.threshold, two.threshold, two.fires) == (3.0, 0.5, "at")
    pool = next(layer for layer in model.layers if isinstance(layer, ReadPool))
    assert pool.size == (3, 8)
    assert model.source["timesteps"] == 6
    refused(("Relu.s1", "neuron"), read, file)
    (tmp_path / "n.yaml").write_text(text.replace("Relu.s1", "Relu.s9"))
    refused(("Relu.s9", "Relu.s1", ":3"), read, file, ReadOptions(layers_file=tmp_path / "n.yaml"))


@pytest.mark.parametrize(
    ("op", "inputs", "attributes", "words"),
    [
        ("Conv", "x w", {"pads": [1, 1, 0, 0]}, ("padding", "both sides")),
        ("Conv", "x w", {"auto_pad": "SAME_UPPER"}, ("auto_pad",)),
        ("Conv", "x w", {"group": 2}, ("channels",)),
        ("Conv", "x nowhere", {}, ("nowhere",)),
        ("QLinearConv", "x w", {}, ("DequantizeLinear",)),
        ("QuantizeLinear", "x half", {}, ("quantises the image",)),
        ("Loop", "x", {}, ("control flow",)),
        ("LSTM", "x w", {}, ("not modelled",)),
        ("LeakyRelu", "x", {}, ("no neurons", "nn.ReLU")),
        ("AveragePool", "x", {"kernel_shape": [2, 2], "ceil_mode": 1}, ("ceil_mode",)),
        ("AveragePool", "x", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}, ("count_include_pad",)),
        ("MaxPool", "x", {"kernel_shape": [20, 2]}, ("larger than the map",)),
        ("Gemm", "x fc", {}, ("flatten",)),
        ("Reshape", "x row3", {}, ("not a row",)),
        ("Add", "x x", {}, ("twice",)),
        ("Mul", "x fb", {}, ("one number per channel",)),
    ],
)
def test_onnx_refuses_by_name(
    tmp_path: Path, op: str, inputs: str, attributes: dict[str, Any], words: tuple[str, ...]
) -> None:
    constants = CONSTANTS | {"row3": np.array([0, 2, 64])}
    file = graph(tmp_path, [node(op, inputs, "y", **attributes)], constants)
    refused((*words, f"{op}.y", op), read, file, SAID)


def test_onnx_averages_in_a_row(tmp_path: Path) -> None:
    """PyTorch makes a map of a row before a 1-D pool, and a row of it afterwards: votes."""
    zero = {"zero": np.array([0])}
    nodes = [
        node("Flatten", "x", "f"),
        node("Unsqueeze", "f zero", "u"),
        node("AveragePool", "u", "p", kernel_shape=[4], strides=[4]),
        node("Squeeze", "p zero", "r"),
        node("MatMul", "r fc", "y"),
    ]
    model = read(graph(tmp_path, nodes, CONSTANTS | zero, ("N", 4, 8, 8)), SAID)
    images = RANDOM.integers(0, 256, (3, 4, 8, 8)).astype(np.uint8)
    wanted = images.reshape(3, 64, 4).mean(axis=2) @ CONSTANTS["fc"].astype(np.float64)
    outputs = run(fold(model, Image(scale=1.0)), images, 1).outputs[:, 0]
    np.testing.assert_allclose(outputs, wanted, rtol=1e-12)
    nodes[2] = node("AveragePool", "u", "p", kernel_shape=[4], strides=[2])
    refused(("AveragePool.p", "groups of neighbours"), read, graph(tmp_path, nodes, CONSTANTS | zero), SAID)
    row = [nodes[0], node("AveragePool", "f", "y", kernel_shape=[4], strides=[4])]
    refused(
        ("AveragePool.y", "before flattening", "kind: voting"), read, graph(tmp_path, row, CONSTANTS), SAID
    )


def test_onnx_open_shapes_and_several_inputs(tmp_path: Path) -> None:
    file = graph(tmp_path, [node("Conv", "x w", "y")], CONSTANTS, ("N", 2, "H", "W"))
    refused(("--input-shape",), read, file, SAID)
    assert read(file, ReadOptions(input_shape=(2, 8, 8))).output == "Conv.y"


@pytest.mark.parametrize("dynamo", [False, True])
def test_what_torch_exports(tmp_path: Path, dynamo: bool) -> None:
    """The exporters of PyTorch itself, the second being its default, where their dependencies are installed;
    outputs are compared.
    """
    torch = pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("onnx", reason="onnx is not installed")
    nn = torch.nn
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 5),
        nn.LogSoftmax(1),
    ).eval()
    file = tmp_path / "net.onnx"
    try:
        torch.onnx.export(net, (torch.zeros(1, 2, 8, 8),), file, dynamo=dynamo, verbose=False)
    except (ImportError, ModuleNotFoundError) as error:
        pytest.skip(f"torch.onnx.export: {error}")
    assert (tmp_path / "net.onnx.data").exists() == dynamo
    network = fold(read(file), Image(scale=1.0))
    images = RANDOM.integers(0, 2, (3, 2, 8, 8)).astype(np.uint8)
    with torch.no_grad():
        wanted = net[:-1](torch.tensor(images).float()).numpy()
    np.testing.assert_allclose(run(network, images, 1).outputs[:, 0], wanted, atol=1e-5)
