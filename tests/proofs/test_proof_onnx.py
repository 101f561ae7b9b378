"""ONNX as PyTorch exports it: neurons in the place of activations, every spike of every timestep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import frameworks
import numpy as np
import proof
import pytest

from imcsim.importers import Image, ReadOptions, import_model
from imcsim.importers.importing.float_run import run
from imcsim.importers.importing.layers import Neuron

LEAK, THRESHOLD, T = 0.5, 4.0, 10


@pytest.mark.parametrize("dynamo", [False, True])
def test_neurons_in_the_place_of_activations(tmp_path: Path, dynamo: bool) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("onnx", reason="onnx is not installed")
    nn = torch.nn

    class Net(nn.Module):  # type: ignore[name-defined,misc]
        """A shortcut of spikes, a pool, and a LogSoftmax at the end; `fires` stands for all activations."""

        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.conv2 = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
            self.fc1, self.fc2 = nn.Linear(48, 12), nn.Linear(12, 4)
            self.fires: Any = lambda _place, x: torch.relu(x)

        def forward(self, x: Any) -> Any:
            one = self.fires(0, self.conv1(x))
            two = self.fires(1, self.conv2(one) + one)
            row = nn.functional.avg_pool2d(two, 2).flatten(1)
            return nn.functional.log_softmax(self.fc2(self.fires(2, self.fc1(row))), dim=1)

    net = frameworks.on_grid(Net(), seed=3)
    file = tmp_path / "net.onnx"
    try:
        torch.onnx.export(net, (torch.zeros(1, 1, 8, 8),), file, dynamo=dynamo, verbose=False)
    except (ImportError, ModuleNotFoundError) as error:
        pytest.skip(f"torch.onnx.export: {error}")
    said = ReadOptions(neuron={"leak": LEAK, "threshold": THRESHOLD, "reset": "soft"})
    imported = import_model(file, options=said, image=Image(1, 1.0))
    names = [imported.names[n.name] for n in imported.model.layers if isinstance(n, Neuron)]
    seen = proof.spikes((1, 8, 8), T, 4)
    ours = run(imported.real, seen, T, record=names)

    membranes: dict[int, Any] = {}
    wanted: list[list[Any]] = [[], [], []]

    def fires(place: int, current: Any) -> Any:
        membrane = LEAK * membranes.get(place, 0.0) + current
        spikes = (membrane >= THRESHOLD).float()
        membranes[place] = membrane - THRESHOLD * spikes
        wanted[place].append(spikes.numpy())
        return spikes

    net.fires = fires
    with torch.no_grad():
        for frame in torch.tensor(seen.astype(np.float32)).unbind(1):
            net(frame)
    for name, theirs in zip(names, wanted, strict=True):
        spikes = np.stack(theirs, axis=1)
        np.testing.assert_array_equal(ours.spikes[name].reshape(spikes.shape), spikes, err_msg=name)
        assert 0.05 < spikes.mean() < 0.95
