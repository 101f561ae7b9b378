"""Layer lists drafted from a state dict's names and shapes, and what snnTorch's tensors say of neurons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors_bytes import write_safetensors

from imcsim.base.errors import ImcsimError
from imcsim.commands.cli import main
from imcsim.importers import ReadOptions, import_model
from imcsim.importers.listed.drafted import draft
from imcsim.importers.nir.dialects import _beta
from imcsim.network.graph import LIF

RNG = np.random.default_rng(0)


def weights(*shape: int) -> Any:
    return RNG.integers(-3, 4, shape).astype(np.float32)


def conv_net() -> dict[str, Any]:
    """conv, batch norm, (neuron), conv, (neuron), (flatten), linear, in nn.Sequential."""
    norm = {"weight": 1, "bias": 0, "running_mean": 0, "running_var": 1}
    return {
        "0.weight": weights(4, 1, 3, 3),
        "0.bias": weights(4),
        **{f"1.{key}": np.full(4, value, np.float32) for key, value in norm.items()},
        "1.num_batches_tracked": np.array(3),
        "3.weight": weights(8, 4, 3, 3),
        "10.weight": weights(10, 8 * 36),
    }


def test_a_draft_has_every_weight_and_norm_in_order() -> None:
    tensors = conv_net()
    for order in (tensors, dict(sorted(tensors.items()))):
        lines = draft(order, "net.pt", "net").splitlines()
        kinds = [line.split("kind: ")[1].split(",")[0].split("}")[0] for line in lines if "kind: " in line]
        assert kinds[:7] == ["conv2d", "batchnorm", "neuron", "conv2d", "neuron", "flatten", "linear"]
        assert any('prefix: "10"' in line and "288 to 10" in line for line in lines)
        assert "classes: 10" in lines


def test_a_draft_is_read_once_its_marks_are_filled_in(tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "net.safetensors"
    write_safetensors(file, {name: t for name, t in conv_net().items() if t.ndim})
    assert main(["import", "--template", str(file)]) == 0
    text = capsys.readouterr().out
    assert "shape: [1, 0, 0]" in text
    (tmp_path / "net.yaml").write_text(text.replace("[1, 0, 0]", "[1, 6, 6]"))
    imported = import_model(file, options=ReadOptions(layers_file=tmp_path / "net.yaml"))
    assert [len(node.weight) for node in imported.network.weighted] == [4, 8, 10]
    assert sum(isinstance(node, LIF) for node in imported.network.nodes) == 2


def snntorch_net(**change: Any) -> dict[str, Any]:
    def one(value: float) -> Any:
        return np.array(value, np.float32)

    found = {"fc1.weight": weights(4, 5), "fc2.weight": weights(3, 4), "lif2.alpha": one(0.5)}
    for name, reset in (("lif1", 1), ("lif2", 0)):
        found |= {
            f"{name}.beta": one(0.9), f"{name}.threshold": one(2.0), f"{name}.graded_spikes_factor": one(1.0),
            f"{name}.reset_mechanism_val": one(reset),
        }  # fmt: skip
    return {**found, **{key.replace("__", "."): one(value) for key, value in change.items()}}


def test_snntorch_says_its_neurons(tmp_path: Path) -> None:
    file, listed = tmp_path / "net.safetensors", tmp_path / "net.yaml"
    write_safetensors(file, snntorch_net())
    net = snntorch_net()
    ordered = [name for part in ("fc1", "lif1", "fc2", "lif2") for name in net if name.startswith(part)]
    text = draft({name: net[name] for name in ordered}, "net", "net")
    listed.write_text(text.replace("[5]", "[5, 1, 1]"))
    options = ReadOptions(layers_file=listed)
    imported = import_model(file, options=options)
    one, two = (node for node in imported.network.nodes if isinstance(node, LIF))
    assert (one.leak, one.threshold, one.reset, one.reset_at, one.fires) == (0.9, 2.0, "hard", "now", "above")
    assert (two.synapse, two.reset, two.reset_at) == (0.5, "soft", "next")
    assert not any("no layer uses" in note for note in imported.notes)
    write_safetensors(file, snntorch_net(lif1__beta=1.25, lif2__beta=-0.5))  # learned, and clamped in use
    leaks = [n.leak for n in import_model(file, options=options).network.nodes if isinstance(n, LIF)]
    assert leaks == [1.0, 0.0]
    write_safetensors(file, snntorch_net(lif1__graded_spikes_factor=0.5))
    with pytest.raises(ImcsimError, match=r"lif1\.graded_spikes_factor.*a factor that is not 1"):
        import_model(file, options=options)


def test_what_has_no_weights_is_not_drafted(tmp_path: Path) -> None:
    with pytest.raises(ImcsimError, match="no weights"):
        draft({"a.running_mean": np.zeros(3)}, "a.pt", "a")


def test_every_beta_of_six_decimals_comes_back() -> None:
    """As snnTorch writes it in float32: ``tau = dt / (1 - beta)``; beyond 0 to 1 it clamps."""
    beta = np.arange(0, 1_000_000) / 1e6
    one, dt = np.float32(1), np.float32(1e-4)
    tau = (dt / (one - beta.astype(np.float32))).astype(np.float64)
    assert np.array_equal(_beta(1e-4 / tau), beta)
    assert _beta(1e-4 / np.array([np.inf, -2e-4, 5e-5])).tolist() == [1.0, 1.0, 0.0]
