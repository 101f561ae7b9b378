"""``imcsim import``: from a file to a report in two commands, for every format; and its messages."""

from __future__ import annotations

import doctest
import importlib
import json
from pathlib import Path
from typing import Any

import frameworks
import numpy as np
import pytest
from safetensors_bytes import write_safetensors

import imcsim.inputs
import imcsim.network
from imcsim.base.errors import ImcsimError
from imcsim.commands.cli import main
from imcsim.importers import Image, ReadOptions, import_model

MLP = """\
schema: 1
name: mlp
input: {shape: [1, 4, 4], scale: 0.25}
timesteps: 3
classes: 3
neuron: {tau: 2.0, threshold: 1.0, reset: hard}
layers:
  - kind: flatten
  - {name: fc1, kind: linear, prefix: "1"}
  - {name: bn1, kind: batchnorm, prefix: "2", eps: 0.0}
  - {name: sn1, kind: neuron}
  - {name: fc2, kind: linear, prefix: "4"}
"""


def tensors(seed: int = 0, *, grid: bool = True) -> dict[str, Any]:
    rng = np.random.default_rng(seed)

    def numbers(*shape: int) -> Any:
        found = rng.integers(-4, 5, shape) / 4.0 if grid else rng.normal(0, 0.7, shape)
        return found.astype(np.float32)

    return {
        "1.weight": numbers(8, 16),
        "1.bias": numbers(8),
        "2.weight": rng.choice([0.5, -0.5, 1.0], 8).astype(np.float32),
        "2.bias": np.full(8, 0.75, np.float32),
        "2.running_mean": numbers(8),
        "2.running_var": np.full(8, 4.0, np.float32),
        "2.num_batches_tracked": np.array(7),
        "4.weight": numbers(3, 8),
        "4.bias": numbers(3),
    }


def images_file(path: Path, *shape: int, count: int = 12, bits: int = 2, labels: bool = True) -> Path:
    rng = np.random.default_rng(1)
    images = rng.integers(0, 2**bits, (count, *shape)).astype(np.uint8)
    imcsim.inputs.save(path, images, rng.integers(0, 3, count) if labels else None)
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a state dict, its list of layers and images."""
    safetensors = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")
    monkeypatch.chdir(tmp_path)
    safetensors.save_file(tensors(), "mlp.safetensors")
    safetensors.save_file(tensors(grid=False), "float.safetensors")
    Path("mlp.yaml").write_text(MLP)
    images_file(Path("images.npz"), 1, 4, 4)
    images_file(Path("bare.npz"), 1, 4, 4, labels=False)
    return tmp_path


def run(capsys: Any, *arguments: str, status: int = 0) -> str:
    """Run the command line; its output (stdout, or stderr where it fails)."""
    assert main(arguments) == status, capsys.readouterr().err
    found = capsys.readouterr()
    return str(found.out if status == 0 else found.err)


SAFETENSORS = ("import", "mlp.safetensors", "--layers", "mlp.yaml", "-o", "model")


def test_safetensors_to_a_report_in_two_commands(folder: Path, capsys: Any) -> None:
    text = run(capsys, *SAFETENSORS, "--inputs", "images.npz", "--json", "import.json")
    assert "Imported mlp" in text
    found = json.loads(Path("import.json").read_text())
    assert [layer["equal"] for layer in found["agreement"]["ideal"]["layers"]] == [1.0]
    assert found["agreement"]["ideal"]["same_prediction"] == [1.0] * 3
    assert found["agreement"]["images"] == 12
    assert found["agreement"]["chip"] is None
    assert found["network"]["input"] == {"shape": [1, 4, 4], "bits": 8, "scale": 0.25, "padding": []}
    network = imcsim.network.load("model")
    assert network.sha256 == found["sha256"]
    assert network.timesteps == 3
    imported = network.provenance["imported"]
    assert imported["file"] == "mlp.safetensors"
    assert imported["format"] == "safetensors"
    assert len(imported["sha256"]) == 64
    accuracy = found["agreement"]["float_accuracy"]["per_timestep"]
    assert network.provenance["accuracy"]["float_per_timestep"] == accuracy
    assert network.provenance["accuracy"]["quantised_per_timestep"] == accuracy
    compared = ("compare", "--model", "model", "--inputs", "images.npz", "--threshold", "0.5")
    run(capsys, *compared, "--json", "report.json", "--quiet")
    report = json.loads(Path("report.json").read_text())
    assert report["meta"]["network"]["accuracy_float_per_timestep"] == accuracy
    assert [point["accuracy"] for point in report["static"]] == pytest.approx(accuracy, abs=0.35)


def test_torch_state_dicts(folder: Path, capsys: Any) -> None:
    torch = pytest.importorskip("torch")
    state = {key: torch.from_numpy(np.array(value)) for key, value in tensors().items()}
    torch.save({"state_dict": state}, "mlp.pt")
    run(capsys, "import", "mlp.pt", "--layers", "mlp.yaml", "-o", "model", "--quiet")
    run(capsys, *SAFETENSORS[:-1], "other", "--quiet")
    one, other = imcsim.network.load("model"), imcsim.network.load("other")
    for node, twin in zip(one.weighted, other.weighted, strict=True):
        np.testing.assert_array_equal(node.weight, twin.weight)
        np.testing.assert_array_equal(node.scale, twin.scale)
        np.testing.assert_array_equal(node.bias, twin.bias)
    assert "accuracy" not in one.provenance
    assert one.provenance["imported"]["format"] == "torch"


def test_onnx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    helper, array = onnx.helper, onnx.numpy_helper.from_array
    weights = {
        "w1": rng.integers(-3, 4, (4, 1, 3, 3)) / 4, "b1": rng.integers(-3, 4, 4) / 4,
        "w2": rng.integers(-3, 4, (3, 64)) / 4, "b2": np.zeros(3),
    }  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["s"], "act"),
        helper.make_node("Flatten", ["s"], ["f"], "flat"),
        helper.make_node("Gemm", ["f", "w2", "b2"], ["y"], "fc", transB=1),
    ]
    kinds = [helper.make_tensor_value_info(n, 1, s) for n, s in (("x", [1, 1, 4, 4]), ("y", [1, 3]))]
    stored = [array(value.astype(np.float32), name) for name, value in weights.items()]
    onnx.save(helper.make_model(helper.make_graph(nodes, "net", kinds[:1], kinds[1:], stored)), "net.onnx")
    images_file(Path("images.npz"), 1, 4, 4)
    about = ("--inputs", "images.npz", "--input-scale", "0.25", "--json", "import.json")
    run(capsys, "import", "net.onnx", "-o", "model", "--neuron", "tau=2.0", "--neuron", "threshold=1", *about)
    layers = json.loads(Path("import.json").read_text())["agreement"]["ideal"]["layers"]
    assert [layer["equal"] for layer in layers] == [1.0]
    assert 0 < layers[0]["rate"] < 1
    run(capsys, "compare", "--model", "model", "--inputs", "images.npz", "--threshold", "0.5", "--quiet")


NETWORKS = {
    "snntorch": ("snntorch_conv", (1, 8, 8)),
    "spikingjelly": ("spikingjelly_residual", (1, 8, 8)),
    "norse": ("norse_dense", (12,)),
    "sinabs": ("sinabs_conv", (1, 8, 8)),
}


@pytest.mark.parametrize("framework", NETWORKS)
def test_nir_of_every_framework_in_two_commands(
    framework: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    frameworks.need(framework)
    import torch

    monkeypatch.chdir(tmp_path)
    builder, shape = NETWORKS[framework]
    frameworks.write(framework, getattr(frameworks, builder)(), torch.zeros(1, *shape), Path("net.nir"))
    image = shape if len(shape) == 3 else (3, 2, 2)  # a row of 12 values may come from an image of 12
    images_file(Path("images.npz"), *image, labels=False)
    about = ["--inputs", "images.npz", "--input-scale", "1", "--json", "import.json"]
    about += frameworks.stated_words(framework)
    text = run(capsys, "import", "net.nir", "-o", "model", *about)
    assert framework in text
    layers = json.loads(Path("import.json").read_text())["agreement"]["ideal"]["layers"]
    assert [layer["equal"] for layer in layers] == [1.0] * len(layers)
    images_file(Path("labelled.npz"), *imcsim.network.load("model").input_shape)
    comparing = ("compare", "--model", "model", "--inputs", "labelled.npz", "--threshold", "0.5", "--quiet")
    run(capsys, *comparing, "--json", "compared.json")
    warnings = json.loads(Path("compared.json").read_text())["warnings"]
    for words, asked in {
        "its file does not say what its neurons do: --reset soft --neuron inhibition=no": ("snntorch",),
        "its file does not say what its neurons do: --neuron max_spikes=1": ("sinabs",),
        "its file does not say reset_delay (True is taken: --reset-at now for False), nor the padding": (
            "snntorch",
        ),
        "its file does not say the timestep (0.001 s is taken: --dt), nor v_reset (0 is taken": ("norse",),
    }.items():
        repeated = [line for line in warnings if words in line]
        assert len(repeated) == (framework in asked), "what was affirmed or taken stands in every report"


def test_a_bound_on_spikes_that_is_reached_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """By the import, with how often, and by every report on the network; not where it is large enough."""
    monkeypatch.chdir(tmp_path)
    layers = """
input: {shape: [1, 4, 4], scale: 1.0}
timesteps: 2
neuron: {leak: 1.0, reset: soft, threshold: 1.0, max_spikes: 15}
layers:
  - kind: flatten
  - {name: fc, kind: linear, prefix: fc}
  - {name: sn, kind: neuron}
  - {name: out, kind: linear, prefix: out}
"""
    write_safetensors(Path("net.safetensors"), {"fc.weight": np.eye(3, 16), "out.weight": np.eye(3)})
    images = np.zeros((4, 1, 4, 4), np.uint8)
    images[:, 0, 0, :3] = [[20, 3, 0], [1, 2, 3], [2, 14, 1], [15, 1, 1]]
    imcsim.inputs.save("images.npz", images, np.array([0, 2, 1, 0]))
    for bound, times in ((15, "16.7 %"), (31, None)):
        Path("net.yaml").write_text(layers.replace("15", str(bound)))
        importing = ("import", "net.safetensors", "--layers", "net.yaml", "-o", f"model{bound}")
        text = " ".join(run(capsys, *importing, "--inputs", "images.npz").split())
        assert ("sn fires as often as it may" in text) == (times is not None)
        assert times is None or f"(15 times per timestep) in {times} of neurons" in text
        run(
            capsys, "compare", "--model", f"model{bound}", "--inputs", "images.npz", "--threshold", "0.5",
            "--quiet", "--json", "compared.json",
        )  # fmt: skip
        warnings = json.loads(Path("compared.json").read_text())["warnings"]
        assert any("sn fires as often" in line for line in warnings) == (times is not None)


def test_without_inputs_no_accuracy_is_claimed(folder: Path, capsys: Any) -> None:
    assert "No accuracy is claimed" in run(capsys, *SAFETENSORS)
    text = run(capsys, *SAFETENSORS, "--inputs", "bare.npz")
    assert "they have no labels" in " ".join(text.split())
    assert "accuracy" not in imcsim.network.load("model").provenance


def test_a_chip_beside_the_ideal_one(folder: Path, capsys: Any) -> None:
    text = run(capsys, *SAFETENSORS, "--inputs", "images.npz", "--hardware", "dtsnn_32nm", "--json", "j.json")
    found = json.loads(Path("j.json").read_text())
    assert found["agreement"]["chip"]["hardware"] == "dtsnn_32nm"
    assert found["fixed_point"]["hardware"] == "dtsnn_32nm"
    assert "membranes of 16 bits" in text


def test_a_chip_with_errors_is_said_to_have_them(folder: Path, capsys: Any) -> None:
    options = ("--inputs", "images.npz", "--hardware", "dtsnn_32nm", "--json", "j.json", "--seed", "3")
    found = {}
    for sigma in ("0", "0.5"):
        text = run(capsys, *SAFETENSORS, *options, "--set", f"nonideal.variation.sigma={sigma}")
        assert ("chip 0 of those that seed 3 draws" in " ".join(text.split())) == (sigma == "0.5")
        found[sigma] = json.loads(Path("j.json").read_text())["agreement"]["chip"]
    assert (found["0"]["seed"], found["0.5"]["seed"]) == (None, 3)
    assert found["0"]["layers"] != found["0.5"]["layers"]


def test_spikes_as_inputs_make_a_network_of_one_bit(folder: Path, capsys: Any) -> None:
    args = (*SAFETENSORS, "--inputs", "images.npz", "--encoding", "rate", "--seed", "3")
    assert "the file's scale of pixels is not used" in run(capsys, *args)
    network = imcsim.network.load("model")
    assert (network.input_bits, network.input_scale) == (1, 1.0)
    compared = ("compare", "--model", "model", "--inputs", "images.npz", "--encoding", "rate")
    run(capsys, *compared, "--threshold", "0.5", "--quiet")


def test_rate_encoding_makes_a_network_of_one_bit_without_inputs_too(folder: Path, capsys: Any) -> None:
    assert "1-bit pixels" in run(capsys, *SAFETENSORS, "--encoding", "rate")
    assert imcsim.network.load("model").input_bits == 1


def test_equal_imports_are_equal_bytes(folder: Path, capsys: Any) -> None:
    for name in ("a", "b"):
        arguments = (
            "import",
            "float.safetensors",
            "--layers",
            "mlp.yaml",
            "--inputs",
            "images.npz",
            "-o",
            name,
        )
        run(
            capsys,
            *arguments,
            "--scales",
            "mse",
            "--weight-bits",
            "5",
            "--workers",
            "1" if name == "a" else "2",
        )
    for file in ("network.yaml", "weights.npz"):
        assert Path("a", file).read_bytes() == Path("b", file).read_bytes()
    assert "/" not in str(imcsim.network.load("a").provenance["imported"]["notes"])


@pytest.mark.parametrize("scales", ["max", "percentile", "mse"])
def test_ways_to_choose_scales(scales: str, folder: Path, capsys: Any) -> None:
    arguments = (
        "import",
        "float.safetensors",
        "--layers",
        "mlp.yaml",
        "--inputs",
        "images.npz",
        "-o",
        "model",
    )
    run(
        capsys, *arguments, "--scales", scales, "--weight-bits", "3", "--percentile", "90", "--json", "j.json"
    )
    found = json.loads(Path("j.json").read_text())
    assert found["imported"]["options"]["scales"] == scales
    assert found["quantisation"][0]["error"] > 0
    assert imcsim.network.load("model").weight_bits == 3


def test_normalised_images(folder: Path, capsys: Any) -> None:
    run(capsys, *SAFETENSORS, "--mean", "0.25", "--std", "0.5", "--inputs", "images.npz", "--json", "j.json")
    assert json.loads(Path("j.json").read_text())["agreement"]["ideal"]["layers"][0]["equal"] == 1.0
    bias = [imcsim.network.load("model").weighted[0].bias]
    run(capsys, *SAFETENSORS)
    assert (imcsim.network.load("model").weighted[0].bias != bias).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mlp.safetensors"], "give FILE and -o DIR, or --template"),
        (["missing.nir", "-o", "model"], "missing.nir: there is no such file"),
        (["mlp.safetensors", "-o", "model"], "--layers FILE"),
        ([*SAFETENSORS[1:], "--inputs", "images.npz", "--images", "500"], "500 images were asked for"),
        ([*SAFETENSORS[1:], "--inputs", "nothing"], "there are no inputs 'nothing'"),
        ([*SAFETENSORS[1:], "--input-shape", "1x5x5"], "fc1: its weights take 16 values, but it reads 25"),
        ([*SAFETENSORS[1:], "--input-shape", "big"], "3x32x32"),
        ([*SAFETENSORS[1:], "--mean", "a"], "0.49,0.48,0.45"),
        ([*SAFETENSORS[1:], "--mean", "0.1,0.2"], "the mean has 2 numbers"),
        ([*SAFETENSORS[1:], "--std", "0"], "standard deviation must be"),
        ([*SAFETENSORS[1:], "--input-scale", "-1"], "--input-scale must be a positive number"),
        ([*SAFETENSORS[1:], "--neuron", "tau"], "KEY=VALUE"),
        ([*SAFETENSORS[1:], "--hardware", "dtsnn"], "dtsnn_32nm"),
        ([*SAFETENSORS[1:], "--json", "no/such/folder/x.json"], "its folder does not exist"),
        (["mlp.safetensors", "--layers", "mlp.yaml", "-o", "mlp.yaml"], "this is not a folder"),
        (["mlp.safetensors", "--layers", "mlp.yaml", "-o", "."], "the folder holds other files"),
        ([*SAFETENSORS[1:], "--weight-bits", "17"], "17"),
        ([*SAFETENSORS[1:], "--json", "mlp.safetensors"], "this is the file to import"),
    ],
)  # fmt: skip
def test_messages(arguments: list[str], message: str, folder: Path, capsys: Any) -> None:
    before = sorted(p.name for p in folder.iterdir())
    text = " ".join(run(capsys, "import", *arguments, status=2).split())
    assert message in text
    assert "Traceback" not in text
    assert sorted(p.name for p in folder.iterdir()) == before


def test_a_failed_import_leaves_the_old_network(folder: Path, capsys: Any) -> None:
    run(capsys, *SAFETENSORS, "--quiet")
    before = imcsim.network.load("model").sha256
    run(capsys, *SAFETENSORS, "--input-shape", "1x5x5", status=2)
    assert imcsim.network.load("model").sha256 == before
    run(capsys, *SAFETENSORS, "--name", "other", "--quiet")
    assert imcsim.network.load("model").name == "other"


@pytest.mark.parametrize("name", ["vgg16", "resnet19", "mlp"])
def test_templates_are_printed(name: str, capsys: Any) -> None:
    assert run(capsys, "import", "--template", name).startswith("# ")


def test_as_a_python_function(folder: Path) -> None:
    options = ReadOptions(layers_file=Path("mlp.yaml"))
    imported = import_model("mlp.safetensors", options=options, inputs=imcsim.inputs.load("images.npz"))
    assert imported.agreement is not None
    assert imported.agreement.ideal.layers[0].equal == 1.0
    assert imported.names == {"fc1": "fc1", "sn1": "sn1", "fc2": "fc2"}
    imcsim.network.save(imported.network, "model")
    assert imcsim.network.load("model").provenance == imported.network.provenance
    with pytest.raises(ImcsimError, match="input"):
        import_model("mlp.safetensors", options=options, image=Image(scale=-1.0))


@pytest.mark.parametrize("module", ["importing.importing", "quantising.quantise"])
def test_examples_of_the_docstrings(module: str) -> None:
    pytest.importorskip("safetensors")
    found = doctest.testmod(importlib.import_module(f"imcsim.importers.{module}"))
    assert found.attempted > 3
    assert found.failed == 0


def test_what_no_chip_can_hold_is_refused_with_the_layer(folder: Path, capsys: Any) -> None:
    safetensors = pytest.importorskip("safetensors.numpy")
    huge = tensors()
    huge["1.bias"] = huge["1.bias"] + np.float32(1e30)
    safetensors.save_file(huge, "huge.safetensors")
    text = run(capsys, "import", "huge.safetensors", "--layers", "mlp.yaml", "-o", "model", status=2)
    assert "huge.safetensors: " in text
    assert "60 bits" in text
    assert not Path("model").exists()


def test_the_frames_of_recordings_say_how_many_timesteps(folder: Path, capsys: Any) -> None:
    """Where neither the list nor an option does; long tables are sampled."""
    Path("mlp.yaml").write_text(MLP.replace("timesteps: 3\n", ""))
    frames = np.random.default_rng(2).integers(0, 4, (4, 30, 1, 4, 4)).astype(np.uint8)
    imcsim.inputs.save("frames.npz", frames, np.arange(4) % 3)
    shown = ("import", "mlp.safetensors", "--layers", "mlp.yaml", "--input-bits", "2", "-o", "model")
    text = run(capsys, *shown, "--inputs", "frames.npz")
    assert imcsim.network.load("model").timesteps == 30
    assert "timesteps    30" in text
    for title in ("Classes", "Accuracy"):
        table = text.split(f"{title}, 4 images")[1].split("Accuracy,")[0]
        rows = [line.split()[0] for line in table.splitlines() if line.strip()[:1].isdigit()]
        assert rows == ["1", "2", "5", "10", "20", "30"]
    run(capsys, *shown, "--inputs", "frames.npz", "--timesteps", "7", "--quiet")
    assert imcsim.network.load("model").timesteps == 7
    run(capsys, *shown, "--quiet")
    assert imcsim.network.load("model").timesteps == 4
