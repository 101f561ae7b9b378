"""Neurons of live modules whose spikes come back to them: snnTorch's RLeaky and RSynaptic, spike by spike."""

from __future__ import annotations

from typing import Any

import frameworks
import numpy as np
import pytest

import imcsim
from imcsim.base.errors import ImcsimError
from imcsim.network.graph import Delay

torch: Any = pytest.importorskip("torch")
nn = torch.nn


def frames(*shape: int) -> Any:
    return torch.tensor(np.random.default_rng(0).integers(0, 2, shape).astype(np.float32))


def net(kind: str, reset: str, how: str, *, hidden: bool = True) -> Any:
    """A layer of neurons with feedback behind a convolution, or behind a row; then a classifier."""
    import snntorch as snn

    about: dict[str, Any] = {"beta": 0.5, "reset_mechanism": reset, "init_hidden": hidden}
    about |= {"alpha": 0.25} if kind == "RSynaptic" else {}
    if how == "linear":
        about["linear_features"] = 12
    elif how == "conv":
        about |= {"conv2d_channels": 3, "kernel_size": 3}
    else:
        about |= {"all_to_all": False, "V": torch.full((1,), -0.25)}

    class Net(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(64, 12) if how == "linear" else nn.Conv2d(1, 3, 3, padding=1)
            self.back = getattr(snn, kind)(**about)
            self.fc = nn.Linear(12 if how == "linear" else 192, 4)
            self.out = snn.Leaky(beta=0.9, init_hidden=True)
            self.state: tuple[Any, ...] = ()

        def forward(self, x: Any) -> Any:
            current = self.first(x.flatten(1) if how == "linear" else x)
            if hidden:
                spikes = self.back(current)
            else:
                spikes, *state = self.back(current, *self.state)
                self.state = (spikes, *state)
            return self.out(self.fc(spikes.flatten(1)))

    torch.manual_seed(1)
    made = Net()
    with torch.no_grad():
        made.first.weight.mul_(3)
        made.fc.weight.mul_(3)
    return made


@pytest.mark.parametrize("kind", ["RLeaky", "RSynaptic"])
@pytest.mark.parametrize(
    ("reset", "how"), [("subtract", "linear"), ("zero", "conv"), ("zero", "one"), ("none", "linear")]
)
def test_feedback_of_snntorch(kind: str, reset: str, how: str) -> None:
    frameworks.need("snntorch")
    found = imcsim.from_torch(net(kind, reset, how), frames(5, 6, 1, 8, 8), time_axis=0)
    assert found.check is not None
    assert found.check.equal == 1.0, found.check.sentence()
    assert found.check.same_prediction == 1.0
    assert all(layer.rate > 0.005 for layer in found.check.layers)
    assert [node.timesteps for node in found.nodes if isinstance(node, Delay)] == [1]


def test_feedback_with_states_in_the_users_hands() -> None:
    frameworks.need("snntorch")
    found = imcsim.from_torch(
        net("RLeaky", "zero", "linear", hidden=False), frames(5, 6, 1, 8, 8), time_axis=0
    )
    assert found.check is not None
    assert found.check.equal == 1.0, found.check.sentence()


def test_other_feedback_is_refused_by_name() -> None:
    frameworks.need("snntorch")
    module = net("RLeaky", "zero", "linear")
    module.back.recurrent = nn.Sequential(nn.Linear(12, 12))
    with pytest.raises(ImcsimError, match="feedback through a Sequential"):
        imcsim.from_torch(module, frames(5, 6, 1, 8, 8), time_axis=0)


def test_recurrent_cells_of_norse_are_refused_by_name() -> None:
    frameworks.need("norse")
    import norse.torch as norse

    module = norse.SequentialState(
        nn.Flatten(), nn.Linear(64, 12), norse.LIFRecurrentCell(12, 12), nn.Linear(12, 4), norse.LICell()
    )
    with pytest.raises(ImcsimError, match="Norse's LIFRecurrentCell have no counterpart"):
        imcsim.from_torch(module, frames(6, 1, 8, 8), timesteps=3)
