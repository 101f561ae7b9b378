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
sys.path.insert(0, str(Path(__file__).parents[1] / "models" / "training"))
export: Any = pytest.importorskip("export")
snn: Any = pytest.importorskip("snn")
cifar10: Any = pytest.importorskip("cifar10")

PLAN: list[int | str] = [4, "M", 6, "M", 6, "M"]


def model(bits: int = 8) -> Any:
    """A small untrained network whose batch norm has negative, tiny and zero factors."""
    torch.manual_seed(3)
    network = snn.SpikingVGG(PLAN, weight_bits=bits)
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
        folded = export.fold(conv, norm, bits)
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
    first = export.fold(network.convs[0], network.norms[0], bits)["weight"]
    assert not first[1].any()
    assert first[0].any()


def test_the_exported_network_is_valid_and_agrees_with_the_trained_one() -> None:
    from imcsim.network import validate

    network = model()
    graph = export.to_network(network, "small")
    validate(graph)
    images = random_images(np.random.default_rng(1), (3, 32, 32), 6)
    ours = export.forward(graph, torch.from_numpy(images), 4).numpy()
    with torch.no_grad():
        theirs = network(torch.from_numpy(images).float() / 255, 4).numpy()
    # float32 may tip a membrane that lies right at the threshold, so a few outputs may differ by a spike
    assert np.mean(np.isclose(ours, theirs, atol=1e-3)) > 0.9
    assert np.std(theirs) > 0.1


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("average", [False, True])
def test_two_implementations_of_the_graph_agree_to_the_bit(residual: bool, average: bool) -> None:
    rng = np.random.default_rng(11)
    for reset in ("hard", "soft"):
        network = random_network(rng, residual=residual, average=average, depth=3, reset=reset)
        images = random_images(rng, network.input_shape, 5)
        ours = forward(network, images, 3)["fc"]
        assert np.array_equal(ours, export.forward(network, torch.from_numpy(images), 3).numpy())


def test_two_implementations_agree_on_the_default_shape() -> None:
    rng = np.random.default_rng(2)
    network = vgg_like(rng, plan=(8, "M", 16, 16, "M", 16))
    images = random_images(rng, (3, 32, 32), 2)
    ours = forward(network, images, 4)["fc"]
    assert np.array_equal(ours, export.forward(network, torch.from_numpy(images), 4).numpy())


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
    assert provenance["command"].endswith("--stages 1:2,4:1 --seed 7 --weight-bits 8 --compile")
    assert (provenance["epochs"], provenance["epochs_planned"], provenance["seed"]) == (2, 3, 7)
