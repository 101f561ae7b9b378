"""The export of a trained network: folding keeps its values, and the shipped images are balanced."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import forward, random_images, random_network, vgg_like

torch: Any = pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).parents[2] / "models" / "training"))
export: Any = pytest.importorskip("export")
to_graph: Any = pytest.importorskip("to_graph")
architectures: Any = pytest.importorskip("architectures")
snn: Any = pytest.importorskip("snn")
train: Any = pytest.importorskip("train")
checkpoints: Any = pytest.importorskip("checkpoints")
cifar10: Any = pytest.importorskip("cifar10")

PLAN: list[int | str] = [4, "M", 6, "M", 6, "M"]


def model(bits: int = 8) -> Any:
    """A small untrained network whose batch norm has negative, tiny and zero factors."""
    torch.manual_seed(3)
    network = architectures.SpikingVGG(PLAN, weight_bits=bits)
    for norm in network.norms:
        norm.running_mean.normal_(0, 0.3)
        norm.running_var.uniform_(0.2, 2)
        torch.nn.init.normal_(norm.weight, 0, 2)
        torch.nn.init.normal_(norm.bias, 0.5, 0.5)
    with torch.no_grad():
        network.norms[0].weight[:2] = torch.tensor([-1.5, 0.0])
        network.norms[1].weight[0] = 1e-20
    return network.eval()


@pytest.mark.parametrize("bits", [3, 8])
def test_folded_layers_give_the_currents_of_the_trained_ones(bits: int) -> None:
    network = model(bits)
    for conv, norm in zip(network.convs, network.norms, strict=True):
        folded = to_graph.fold(conv, norm, bits)
        assert (folded["scale"] > 0).all()
        assert np.abs(folded["weight"]).max() <= 2 ** (bits - 1) - 1
        x = torch.rand(2, conv.in_channels, 6, 6)
        with torch.no_grad():
            want = norm(torch.nn.functional.conv2d(x, network.quantised(conv.weight), padding=1)).numpy()
        sums = torch.nn.functional.conv2d(
            x.double(), torch.from_numpy(folded["weight"]).double(), padding=1
        ).numpy()
        got = folded["scale"][:, None, None] * sums + folded["bias"][:, None, None]
        assert np.allclose(got, want, atol=1e-4)
    first = to_graph.fold(network.convs[0], network.norms[0], bits)["weight"]
    assert not first[1].any()
    assert first[0].any()


def test_the_exported_network_is_valid_and_agrees_with_the_trained_one() -> None:
    from imcsim.network import validate

    network = model()
    graph = to_graph.to_network(network, "small")
    validate(graph)
    images = random_images(np.random.default_rng(1), (3, 32, 32), 6)
    ours = to_graph.forward(graph, torch.from_numpy(images), 4).numpy()
    with torch.no_grad():
        theirs = network(torch.from_numpy(images).float() / 255, 4).numpy()
    # float32 may tip a membrane that lies right at the threshold, so a few outputs may differ by a spike
    assert np.mean(np.isclose(ours, theirs, atol=1e-3)) > 0.9
    assert np.std(theirs) > 0.1


@pytest.mark.parametrize(("network", "width", "bits"), [("vgg7", 0.125, 3), ("resnet19", 0.03125, 2)])
def test_activations_are_exported_as_they_were_trained(network: str, width: float, bits: int) -> None:
    from imcsim.network import Relu, validate

    torch.manual_seed(0)
    trained = architectures.build(network, width=width)
    trained.neurons, trained.activation_bits = "quantised", bits
    trained.eval()
    graph = to_graph.to_network(trained, "small")
    validate(graph)
    assert graph.timesteps == 1
    assert {node.bits for node in graph.nodes if isinstance(node, Relu)} == {bits}
    images = random_images(np.random.default_rng(1), (3, 32, 32), 4)
    ours = to_graph.forward(graph, torch.from_numpy(images), 1).numpy()
    with torch.no_grad():
        theirs = trained(torch.from_numpy(images).float() / 255, 1).numpy()
    # float32 may tip a current that lies right between two steps
    assert np.mean(np.isclose(ours, theirs, atol=1e-2)) > 0.8
    assert np.std(theirs) > 0


def test_the_gradient_of_activations_is_that_of_the_clipped_ramp() -> None:
    current = torch.tensor([-0.3, 0.05, 0.11, 1.0, 2.95, 3.2], requires_grad=True)
    codes = snn.quantised(current, 4)
    assert torch.allclose(codes, torch.tensor([0.0, 0.0, 0.2, 1.0, 3.0, 3.0]))
    codes.sum().backward()
    assert current.grad is not None
    assert current.grad.tolist() == [0, 1, 1, 1, 1, 0]


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("average", [False, True])
def test_two_implementations_of_the_graph_agree_to_the_bit(residual: bool, average: bool) -> None:
    rng = np.random.default_rng(11)
    for reset in ("hard", "soft"):
        network = random_network(rng, residual=residual, average=average, depth=3, reset=reset)
        images = random_images(rng, network.input_shape, 5)
        ours = forward(network, images, 3)["fc"]
        assert np.array_equal(ours, to_graph.forward(network, torch.from_numpy(images), 3).numpy())


def test_two_implementations_agree_on_the_default_shape() -> None:
    rng = np.random.default_rng(2)
    network = vgg_like(rng, plan=(8, "M", 16, 16, "M", 16))
    images = random_images(rng, (3, 32, 32), 2)
    ours = forward(network, images, 4)["fc"]
    assert np.array_equal(ours, to_graph.forward(network, torch.from_numpy(images), 4).numpy())


def test_any_ten_images_in_a_row_of_ten_hold_each_class_once() -> None:
    rng = np.random.default_rng(4)
    labels = rng.permutation(np.repeat(np.arange(10), 7))
    images = np.arange(70, dtype=np.uint8).reshape(70, 1, 1, 1)
    chosen = export.balanced(cifar10.Split(images, labels), 5)
    assert chosen.labels.reshape(5, 10).tolist() == [list(range(10))] * 5
    for k in range(10):
        mine = chosen.images[chosen.labels == k].ravel()
        assert mine.tolist() == np.flatnonzero(labels == k)[:5].tolist()


def test_a_checkpoint_is_read_without_unpickling_and_its_paths_stay_behind(tmp_path: Path) -> None:
    network = model()
    arguments = {"data": "secret/place", "out": "other", "stages": "1:2,4:1", "seed": "7", "weight_bits": "8"}
    row = {"epoch": 3, "loss": 0.5, "seconds": 2.0}
    state = {
        "network": network.state_dict(),
        "epoch": 2,
        "log": json.dumps([row]),
        "plan": json.dumps(PLAN),
        "arguments": json.dumps({**arguments, "compile": "True", "threads": "0"}),
    }
    torch.save(state, tmp_path / "c.pt")
    loaded, facts = export.read_checkpoint(tmp_path / "c.pt")
    assert torch.equal(loaded.classifier.weight, network.classifier.weight)
    provenance = export.training_provenance(facts)
    assert "secret" not in json.dumps(provenance)
    assert provenance["command"].endswith("--stages 1:2,4:1 --seed 7 --weight-bits 8 --compile yes")
    assert (provenance["epochs"], provenance["epochs_planned"], provenance["seed"]) == (2, 3, 7)


def liven(norms: Any) -> None:
    """Batch norms that let a network of random weights spike at moderate rates, layer after layer."""
    for norm in norms:
        norm.running_mean.normal_(0, 0.1)
        norm.running_var.uniform_(0.05, 0.3)
        torch.nn.init.normal_(norm.weight, 1, 0.3)
        torch.nn.init.normal_(norm.bias, 0.3, 0.3)


def resnet(pool: str = "average") -> Any:
    """A small untrained residual network with every kind of shortcut."""
    torch.manual_seed(5)
    plan = {"stem": 4, "blocks": [[4, 1], [6, 1], [6, 2], [8, 2]], "pool": pool}
    network = architectures.SpikingResNet(plan)
    liven(m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d))
    return network.eval()


def averaging_vgg() -> Any:
    torch.manual_seed(6)
    network = architectures.SpikingVGG([4, 4, "A", 6, "A", 6, "A"])
    liven(network.norms)
    return network.eval()


def max_resnet() -> Any:
    return resnet("max")


@pytest.mark.parametrize("make", [resnet, max_resnet, averaging_vgg])
def test_averages_and_shortcuts_are_exported_as_trained(make: Any) -> None:
    from imcsim.functional.program.numerics import Numerics
    from imcsim.functional.program.program import build
    from imcsim.functional.run import ideal_converters, run
    from imcsim.network import validate

    network = make()
    graph = to_graph.to_network(network, "small")
    validate(graph)
    images = random_images(np.random.default_rng(7), (3, 32, 32), 4)
    with torch.no_grad():
        theirs = network(torch.from_numpy(images).float() / 255, 4).numpy()
    ours = to_graph.forward(graph, torch.from_numpy(images), 4).numpy()
    assert np.mean(np.isclose(ours, theirs, atol=1e-3)) > 0.9
    assert np.std(theirs) > 0.03
    assert np.abs(theirs[1:] - theirs[:-1]).max() > 0.01  # membranes carry over to the next timestep

    program = build(graph, Numerics(64, "im2col", "offset", 4, 6, "ideal", 100.0, 16).ideal())
    played = run(program, images, 4, ideal_converters(program), workers=1)
    assert np.mean(np.isclose(played.outputs.transpose(1, 0, 2) / 4096, ours, atol=2e-3)) > 0.9


# Weights, multiply-accumulates and neurons of one timestep, from the layer lists of the paper's code:
# 313.2 M and 2,285 M multiply-accumulates.
SIZES = {"vgg16": (14_715_584, 313_201_664, 276_480), "resnet19": (12_558_720, 2_285_245_440, 1_441_792)}


@pytest.mark.parametrize("name", SIZES)
def test_networks_at_full_width_have_the_sizes_of_the_paper(name: str) -> None:
    from imcsim.network import LIF, shapes

    graph = to_graph.to_network(architectures.build(name).eval(), name)
    size = {node: int(np.prod(shape)) for node, shape in shapes(graph).items()}
    weights = sum(node.weight.size for node in graph.weighted)
    macs = sum(node.weight[0].size * size[node.name] for node in graph.weighted)
    neurons = sum(size[node.name] for node in graph.nodes if isinstance(node, LIF))
    assert (weights, macs, neurons) == SIZES[name]


def test_width_scales_every_layer_and_must_leave_whole_channels() -> None:
    full = {"vgg16": architectures.build("vgg16"), "resnet19": architectures.build("resnet19")}
    for name, network in full.items():
        quarter = architectures.build(name, width=0.25)
        assert type(quarter) is type(network)
        for narrow, wide in zip(quarter.parameters(), network.parameters(), strict=True):
            assert narrow.shape[0] in (wide.shape[0] // 4, 10)
        copy = architectures.from_description(json.loads(json.dumps(quarter.description())), weight_bits=8)
        copy.load_state_dict(quarter.state_dict())
    with pytest.raises(ValueError, match="channels"):
        architectures.build("vgg16", width=0.3)
    assert architectures.build("vgg7").plan == [32, "M", 64, 64, "M", 128, 128, "M", 128]


def test_the_losses_are_cross_entropies_of_running_means_and_agree_at_one_timestep() -> None:
    rng = np.random.default_rng(9)
    outputs, labels = rng.normal(size=(3, 4, 5)), rng.integers(0, 5, 4)

    def cross_entropy(logits: np.ndarray) -> float:
        exps = np.exp(logits)
        return float(-np.log(exps[np.arange(4), labels] / exps.sum(1)).mean())

    each = [cross_entropy(outputs[:t].mean(0)) for t in (1, 2, 3)]
    as_torch = torch.from_numpy(outputs), torch.from_numpy(labels)
    assert float(snn.loss_of(*as_torch, "running")) == pytest.approx(np.mean(each))
    assert float(snn.loss_of(*as_torch, "final")) == pytest.approx(each[-1])
    first = as_torch[0][:1], as_torch[1]
    assert float(snn.loss_of(*first, "final")) == pytest.approx(float(snn.loss_of(*first, "running")))


@pytest.fixture
def tiny_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set in the binary layout: 130 random training images, 10 of them held out."""
    rng = np.random.default_rng(10)
    folder = tmp_path / "data"
    folder.mkdir()
    for name, each in [("test_batch.bin", 1)] + [(f"data_batch_{k}.bin", 2 + (k <= 3)) for k in range(1, 6)]:
        rows = rng.integers(0, 256, (10 * each, 3073), dtype=np.uint8)
        rows[:, 0] = np.tile(np.arange(10), each)
        rows.tofile(folder / name)
    monkeypatch.setattr(train, "VALIDATION_IMAGES", 10)
    return folder


def trained(monkeypatch: pytest.MonkeyPatch, data: Path, out: Path, *options: str) -> dict[str, Any]:
    """What train.py leaves in `out`, run in this process."""
    flags = ["--network", "vgg7", "--width", "0.125", "--pool", "average", "--batch", "2", "--lr", "0.01"]
    flags += ["--save-minutes", "0", "--evaluate-every", "9", "--data", str(data), "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["train.py", *flags, *options])
    train.main()
    state: dict[str, Any] = torch.load(out / "checkpoint.pt", weights_only=True)
    return state


@pytest.mark.slow
def test_a_run_that_is_cut_off_within_an_epoch_ends_with_the_same_weights(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = ("--stages", "1:1,2:1", "--loss", "final", "--variation", "0.1", "--average", "0.9")
    whole = trained(monkeypatch, tiny_data, tmp_path / "whole", *stages)
    save = checkpoints.save

    def save_and_stop(path: Path, state: dict[str, Any]) -> None:
        save(path, state)
        if state["epoch"] == 1 and state.get("step"):
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints, "save", save_and_stop)
    with pytest.raises(KeyboardInterrupt):
        trained(monkeypatch, tiny_data, tmp_path / "cut", *stages)
    monkeypatch.setattr(checkpoints, "save", save)
    half = torch.load(tmp_path / "cut" / "checkpoint.pt", weights_only=True)
    assert (half["epoch"], half["step"]) == (1, 50)
    resumed = trained(monkeypatch, tiny_data, tmp_path / "cut", *stages)
    assert resumed["epoch"] == 2
    for name, value in whole["network"].items():
        assert torch.equal(value, resumed["network"][name]), name
        assert torch.equal(whole["average"][name], resumed["average"][name]), name
    assert [row["loss"] for row in json.loads(resumed["log"])] == [
        row["loss"] for row in json.loads(whole["log"])
    ]
    again = trained(monkeypatch, tiny_data, tmp_path / "cut", *stages)  # finished: nothing more happens
    assert again["log"] == resumed["log"]


@pytest.mark.slow
def test_a_run_that_starts_from_another_keeps_its_weights_and_says_so(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = trained(monkeypatch, tiny_data, tmp_path / "first", "--stages", "1:1")
    start = ("--init", str(tmp_path / "first" / "checkpoint.pt"), "--stages", "2:1", "--lr", "0")
    then = trained(monkeypatch, tiny_data, tmp_path / "then", *start)
    for name, value in first["network"].items():
        assert ("running_" in name or "num_batches" in name) or torch.equal(value, then["network"][name])
    frozen = trained(monkeypatch, tiny_data, tmp_path / "frozen", *start, "--frozen-norms")
    assert all(torch.equal(value, frozen["network"][name]) for name, value in first["network"].items())
    _, facts = export.read_checkpoint(tmp_path / "then" / "checkpoint.pt")
    provenance = export.training_provenance(facts)
    assert str(tmp_path) not in json.dumps(provenance)
    assert "--init CHECKPOINT" in provenance["command"]
    assert "--network vgg7 --width 0.125" in provenance["started_from"]["command"]
    assert provenance["started_from"]["epochs"] == 1
    with pytest.raises(SystemExit, match="of another network or width"):
        trained(monkeypatch, tiny_data, tmp_path / "wider", *start, "--width", "0.25")


def test_a_network_is_exported_for_the_timesteps_of_its_last_epochs() -> None:
    assert export.trained_for({"arguments": {"stages": "1:8,2:3,4:3"}}) == 4
    assert export.trained_for({"arguments": {"stages": "1:8"}}) == 1
