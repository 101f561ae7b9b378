"""A bundle becomes a network to train on: it computes the same, and its weights stay on the bundle's grid."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch: Any = pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).parents[2] / "models" / "training"))
architectures: Any = pytest.importorskip("architectures")
checkpoints: Any = pytest.importorskip("checkpoints")
cifar10: Any = pytest.importorskip("cifar10")
export: Any = pytest.importorskip("export")
from_bundle: Any = pytest.importorskip("from_bundle")
to_graph: Any = pytest.importorskip("to_graph")


def trained(network: str) -> Any:
    """A small network with statistics, factors of both signs, and one channel without weights."""
    torch.manual_seed(12)
    model = architectures.build(network, width=1 / 16)
    for norm in model.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.running_mean.normal_(0, 0.1)
            norm.running_var.uniform_(0.05, 0.3)
            torch.nn.init.normal_(norm.weight, 1, 0.3)
            torch.nn.init.normal_(norm.bias, 0.4, 0.3)
    with torch.no_grad():
        norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        norms[1].weight[:2] = torch.tensor([-0.8, 0.0])
    return model.eval()


@pytest.mark.parametrize("network", ["vgg16", "resnet19"])
def test_a_network_made_from_a_bundle_computes_what_the_bundle_does(network: str) -> None:
    model = trained(network)
    graph = to_graph.to_network(model, "small")
    images = torch.from_numpy(np.random.default_rng(2).integers(0, 256, (6, 3, 32, 32), np.uint8))
    again = architectures.build(network, width=1 / 16)
    from_bundle.load_weights(again, graph, images)
    back = to_graph.to_network(again.eval(), "small")
    for before, after in zip(graph.weighted, back.weighted, strict=True):
        assert np.array_equal(before.weight, after.weight), before.name
        live = np.any(before.weight.reshape(len(before.weight), -1), axis=1)
        assert np.allclose(before.scale[live], after.scale[live], rtol=1e-5)
        assert np.allclose(before.bias, after.bias, atol=1e-4)
    ours = to_graph.forward(back, images, 4).numpy()
    theirs = to_graph.forward(graph, images, 4).numpy()
    # float32 may tip a membrane that lies right at the threshold
    assert np.mean(np.isclose(ours, theirs, atol=1e-3)) > 0.9
    assert np.std(theirs) > 0.01


def test_batch_norm_gets_the_statistics_that_its_input_has() -> None:
    model, again = trained("vgg16"), architectures.build("vgg16", width=1 / 16)
    images = torch.from_numpy(np.random.default_rng(3).integers(0, 256, (8, 3, 32, 32), np.uint8))
    from_bundle.load_weights(again, to_graph.to_network(model, "small"), images)
    seen = again.convolve(again.convs[0], images.float() / 255)
    assert torch.allclose(again.norms[0].running_mean, seen.mean((0, 2, 3)), atol=1e-5)
    assert torch.allclose(again.norms[0].running_var, seen.var((0, 2, 3)), rtol=1e-4)
    shipped = again.convs[0].weight.flatten(1).std(1)
    assert torch.allclose(shipped, torch.full_like(shipped, (3 * 27) ** -0.5), rtol=1e-3)


def test_another_network_than_the_bundles_is_refused() -> None:
    graph = to_graph.to_network(trained("vgg16"), "small")
    images = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    with pytest.raises(ValueError, match="conv1: weights"):
        from_bundle.load_weights(architectures.build("vgg16", width=0.125), graph, images)
    with pytest.raises(ValueError, match="other layers or bits"):
        from_bundle.load_weights(architectures.build("resnet19", width=1 / 16), graph, images)
    with pytest.raises(ValueError, match="other layers or bits"):
        from_bundle.load_weights(architectures.build("vgg16", width=1 / 16, weight_bits=4), graph, images)


@pytest.mark.parametrize("width", ["wide", "0.5,0.5", "0.001"])
def test_a_width_that_fits_no_network_is_named(width: str, tmp_path: Path, monkeypatch: Any) -> None:
    model = Path(__file__).parents[2] / "models" / "vgg16_running_cifar10"
    options = ["--data", "none", "--bundle", str(model), "--network", "vgg16", "--width", width]
    monkeypatch.setattr(sys, "argv", ["from_bundle.py", *options, "--out", str(tmp_path)])
    with pytest.raises(SystemExit, match="--width"):
        from_bundle.main()


def test_what_is_trained_on_from_a_bundle_says_how_the_bundle_was_trained() -> None:
    earlier = {"command": "python models/training/train.py --stages 1:24", "epochs": 24}
    start = {"arguments": {"weight_bits": "8", "seed": "1"}, "log": [], "epoch": 24, "bundle": earlier}
    row = {"epoch": 1, "loss": 0.5, "seconds": 2.0, "core_seconds": 1.0}
    arguments = {"stages": "1:1", "seed": "1", "weight_bits": "8", "network": "vgg16"}
    facts = {"arguments": arguments, "log": [row], "epoch": 1, "init": json.loads(json.dumps(start))}
    provenance = export.training_provenance(facts)
    assert provenance["started_from"] == earlier
    assert provenance["command"].endswith("--init CHECKPOINT")
