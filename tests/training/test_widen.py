"""A widened network computes what the narrow one does, and noise sets its copies apart."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

torch: Any = pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).parents[2] / "models" / "training"))
architectures: Any = pytest.importorskip("architectures")
checkpoints: Any = pytest.importorskip("checkpoints")
export: Any = pytest.importorskip("export")
widen: Any = pytest.importorskip("widen")


def narrow(network: str) -> Any:
    torch.manual_seed(7)
    model = architectures.build(network, width=1 / 16)
    for norm in model.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.running_var.uniform_(0.02, 0.1)
            torch.nn.init.normal_(norm.bias, 0.3, 0.3)
    return model.eval()


def wide(model: Any, times: int, noise: float) -> Any:
    drawn = torch.Generator().manual_seed(3)
    weights = widen.widened(model.state_dict(), times, noise=noise, generator=drawn)
    found = architectures.from_description(widen.wider_plan(model.description(), times), weight_bits=8)
    found.load_state_dict(weights)
    return found.eval()


@torch.no_grad()
@pytest.mark.parametrize(("network", "times"), [("vgg7", 3), ("vgg16", 2), ("resnet19", 2)])
def test_a_widened_network_computes_the_same(network: str, times: int) -> None:
    model = narrow(network)
    images = torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    expected = model(images, 2)
    found = wide(model, times, 0.0)(images, 2)
    # float32 may tip a membrane that lies right at the threshold
    assert torch.isclose(found, expected, atol=1e-4).float().mean() > 0.9
    assert expected.std() > 0.01


def test_noise_moves_every_weight_by_its_share_of_the_deviation() -> None:
    model = narrow("vgg16")
    still, moved = wide(model, 2, 0.0), wide(model, 2, 0.5)
    for a, b in zip(still.convs, moved.convs, strict=True):
        move = (b.weight - a.weight).flatten(1).std(1) / a.weight.flatten(1).std(1)
        assert 0.4 < move.mean() < 0.6
    assert torch.equal(still.norms[0].weight, moved.norms[0].weight)


def test_the_bundle_says_that_its_start_was_widened(tmp_path: Path, monkeypatch: Any) -> None:
    row = {"epoch": 1, "loss": 0.5, "seconds": 2.0, "core_seconds": 1.0}
    arguments = {"stages": "1:1", "seed": "1", "weight_bits": "8", "network": "vgg16"}
    model = narrow("vgg16")
    state = {"network": model.state_dict(), "plan": json.dumps(model.description()), "epoch": 1}
    state |= {"log": json.dumps([row]), "arguments": json.dumps(arguments)}
    checkpoints.save(tmp_path / "narrow.pt", state)
    options = [
        "--checkpoint",
        str(tmp_path / "narrow.pt"),
        "--out",
        str(tmp_path / "wide"),
        "--noise",
        "0.25",
    ]
    monkeypatch.setattr(sys, "argv", ["widen.py", *options])
    widen.main()
    made = checkpoints.read(tmp_path / "wide" / "checkpoint.pt")
    assert len(made["network"]["convs.0.weight"]) == 8
    facts = {"arguments": arguments, "log": [row], "epoch": 1, "init": checkpoints.history(made)}
    started = export.training_provenance(facts)["started_from"]
    assert "widen.py" in started["command"]
    assert "--times 2 --noise 0.25" in started["command"]
    assert "train.py" in started["started_from"]["command"]
    assert str(tmp_path) not in json.dumps(started)
