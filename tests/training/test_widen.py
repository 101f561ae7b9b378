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


def narrow(network: str, weight_bits: int = 8) -> Any:
    torch.manual_seed(7)
    model = architectures.build(network, width=1 / 16, weight_bits=weight_bits)
    for norm in model.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.running_var.uniform_(0.02, 0.1)
            torch.nn.init.normal_(norm.bias, 0.3, 0.3)
    return model.eval()


def wide(model: Any, times: tuple[float, ...], noise: float) -> Any:
    drawn = torch.Generator().manual_seed(3)
    plan = widen.wider_plan(model.description(), times)
    found = architectures.from_description(plan, weight_bits=model.weight_bits)
    found.load_state_dict(widen.widened(model.state_dict(), found.state_dict(), noise=noise, generator=drawn))
    return found.eval()


@torch.no_grad()
@pytest.mark.parametrize(
    ("network", "times"),
    [
        ("vgg7", (3,)),
        ("vgg16", (2,)),
        ("vgg16", (1.5, 1.5, 2.0, 1.0, 1.25)),
        ("vgg7", (1, 1, 1.5, 1)),
        ("resnet19", (2,)),
        ("resnet19", (1.5,)),
    ],
)
def test_a_widened_network_computes_the_same(network: str, times: tuple[float, ...]) -> None:
    whole = all(float(number).is_integer() for number in times)
    model = narrow(network, 8 if whole else 0)  # shares of a half and of a whole round differently
    images = torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    expected = model(images, 2)
    found = wide(model, times, 0.0)(images, 2)
    # float32 may tip a membrane that lies right at the threshold
    assert torch.isclose(found, expected, atol=1e-4).float().mean() > 0.9
    assert expected.std() > 0.01


def test_noise_moves_every_weight_by_its_share_of_the_deviation() -> None:
    model = narrow("vgg16")
    still, moved = wide(model, (2,), 0.0), wide(model, (2,), 0.5)
    for a, b in zip(still.convs, moved.convs, strict=True):
        move = (b.weight - a.weight).flatten(1).std(1) / a.weight.flatten(1).std(1)
        assert 0.4 < move.mean() < 0.6
    assert torch.equal(still.norms[0].weight, moved.norms[0].weight)


@pytest.mark.parametrize(
    ("network", "times", "fault"),
    [
        ("vgg16", (2, 2), "2 numbers for 5 blocks"),
        ("vgg16", (1.1,), "of 4 channels"),
        ("vgg16", (0.5,), "narrower"),
        ("resnet19", (2, 2), "only a VGG"),
    ],
)
def test_channels_that_cannot_be_kept_are_named(network: str, times: tuple[float, ...], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        widen.wider_plan(narrow(network).description(), times)


def test_a_vgg_has_a_width_for_each_block() -> None:
    by_block = architectures.build("vgg16", width=architectures.widths("0.75,0.75,0.75,0.5,0.5"))
    channels = [len(conv.weight) for conv in by_block.convs]
    assert channels == [48, 48, 96, 96, 192, 192, 192, *[256] * 6]
    with pytest.raises(ValueError, match="one width"):
        architectures.build("resnet19", width=(0.5, 0.5))
    with pytest.raises(ValueError, match="no number"):
        architectures.widths("wide")


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
