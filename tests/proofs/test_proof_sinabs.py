"""sinabs: its own exporter, our importer, and every spike of every layer and timestep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import frameworks
import numpy as np
import proof
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imcsim.commands.cli import main
from imcsim.importers import ReadOptions

frameworks.need("sinabs")

SINGLE = ReadOptions(neuron=frameworks.SINABS)
UNDECAYED = ReadOptions(neuron=frameworks.SINABS | {"input": "undecayed"})


COMMAND = [word for key, value in frameworks.SINABS.items() for word in ("--neuron", f"{key}={value}")]


def once() -> dict[str, Any]:
    """At most one spike a timestep, as on a chip."""
    import sinabs.activation as sa

    return {"batch_size": 1, "spike_fn": sa.SingleSpike}


def iaf(threshold: float) -> Any:
    import sinabs.layers as sl
    import torch

    return sl.IAFSqueeze(spike_threshold=torch.tensor(threshold), **once())


def lif(tau: float, threshold: float, *shape: int, **about: Any) -> Any:
    import sinabs.layers as sl

    full = frameworks.full
    return sl.LIFSqueeze(
        tau_mem=full(tau, *shape), spike_threshold=full(threshold, *shape), **once(), **about
    )


def chain(*parts: Any, seed: int = 0) -> Any:
    from torch import nn

    return frameworks.on_grid(nn.Sequential(*parts), seed)


@pytest.mark.parametrize("tau", [2.0, 20.0, float(1 / np.log(2))])
@pytest.mark.parametrize("norm_input", [True, False])
def test_lif(tmp_path: Path, tau: float, norm_input: bool) -> None:
    from torch import nn

    module = chain(
        nn.Linear(30, 20), lif(tau, 1.0, 20, norm_input=norm_input),
        nn.Linear(20, 10), lif(tau, 0.5, 10, norm_input=norm_input),
    )  # fmt: skip
    options = SINGLE if norm_input else UNDECAYED
    proof.prove("sinabs", module, (30,), tmp_path, seen=proof.spikes((30,), 10, 10), options=options)


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tau=st.integers(2, 60), seed=st.integers(0, 1000), norm_input=st.booleans())
def test_any_decay(tmp_path: Path, tau: int, seed: int, norm_input: bool) -> None:
    from torch import nn

    layer = lif(tau / 2, 0.5, 9, norm_input=norm_input)
    seen = proof.spikes((12,), 8, 6, seed)
    options = SINGLE if norm_input else UNDECAYED
    module = chain(nn.Linear(12, 9), layer, nn.Linear(9, 5), seed=seed)
    proof.prove("sinabs", module, (12,), tmp_path, timesteps=8, seen=seen, options=options)


def test_convolutions_of_integrate_and_fire(tmp_path: Path) -> None:
    """Two channels of events; sum pools are what only sinabs writes, so the file is recognised."""
    import sinabs.layers as sl
    from torch import nn

    module = chain(
        nn.Conv2d(2, 4, 3, stride=2, bias=False), iaf(4.0), sl.SumPool2d(2),
        nn.Conv2d(4, 8, 3, padding=1), iaf(3.0), sl.SumPool2d(2), nn.Flatten(), nn.Linear(32, 10), iaf(5.0),
    )  # fmt: skip
    proof.prove("sinabs", module, (2, 18, 18), tmp_path, options=SINGLE)


def test_dense_integrate_and_fire(tmp_path: Path) -> None:
    from torch import nn

    module = chain(nn.Linear(30, 20), iaf(4.0), nn.Linear(20, 10), iaf(4.0))
    proof.prove(
        "sinabs", module, (30,), tmp_path, options=ReadOptions(framework="sinabs", neuron=frameworks.SINABS)
    )


def test_groups_dilation_and_rows(tmp_path: Path) -> None:
    from torch import nn

    grouped = chain(
        nn.Conv2d(2, 4, 3, groups=2, dilation=2), lif(5.0, 1.0, 4, 8, 8), nn.Flatten(),
        nn.Linear(256, 10), lif(5.0, 0.5, 10),
    )  # fmt: skip
    proof.prove("sinabs", grouped, (2, 12, 12), tmp_path, options=SINGLE)
    rows = chain(
        nn.Conv1d(2, 4, 3, padding=1), lif(5.0, 0.5, 4, 16), nn.Flatten(),
        nn.Linear(64, 10), lif(5.0, 0.5, 10),
    )  # fmt: skip
    proof.prove("sinabs", rows, (2, 16), tmp_path, options=SINGLE)


def test_hard_resets(tmp_path: Path) -> None:
    import sinabs.activation as sa
    from torch import nn

    about = {"reset_fn": sa.MembraneReset()}
    module = chain(
        nn.Linear(30, 20), lif(10.0, 0.5, 20, **about), nn.Linear(20, 10), lif(10.0, 0.25, 10, **about)
    )
    proof.prove(
        "sinabs", module, (30,), tmp_path, options=ReadOptions(reset="hard", neuron=frameworks.SINABS)
    )


def test_integrators_at_the_end(tmp_path: Path) -> None:
    import sinabs.layers as sl
    from torch import nn

    last = sl.ExpLeakSqueeze(tau_mem=frameworks.full(5.0, 10), batch_size=1)
    module = chain(nn.Linear(30, 20), lif(10.0, 1.0, 20), nn.Linear(20, 10), last)
    proof.prove("sinabs", module, (30,), tmp_path, output="3", options=SINGLE)


def test_images_of_eight_bits(tmp_path: Path) -> None:
    from torch import nn

    module = chain(nn.Conv2d(1, 4, 3), iaf(1.0), nn.Flatten(), nn.Linear(144, 10), lif(10.0, 1.0, 10))
    seen = proof.images((1, 8, 8))
    proof.prove("sinabs", module, (1, 8, 8), tmp_path, seen=seen, timed=False, scale=1 / 256, options=SINGLE)


def several(threshold: float, spikes: int | None = None, **about: Any) -> Any:
    """Integrate-and-fire neurons that fire once for each whole threshold, or `spikes` times at most."""
    import sinabs.activation as sa
    import sinabs.layers as sl
    import torch

    fire = sa.MultiSpike if spikes is None else sa.MaxSpike(spikes)
    return sl.IAFSqueeze(spike_threshold=torch.tensor(threshold), batch_size=1, spike_fn=fire, **about)


@pytest.mark.parametrize(("floor", "spikes"), [(None, None), (-3.0, None), (0.0, None), (-3.0, 3), (None, 2)])
def test_several_spikes_per_timestep(tmp_path: Path, floor: float | None, spikes: int | None) -> None:
    """MultiSpike and MaxSpike with subtractive reset, through sum pools, with and without min_v_mem; frames
    of events that count up to 5. MultiSpike stays below the bound that is stated for it.
    """
    import sinabs.layers as sl
    from torch import nn

    module = chain(
        nn.Conv2d(2, 4, 3, stride=2, bias=False), several(12.0, spikes, min_v_mem=floor), sl.SumPool2d(2),
        nn.Conv2d(4, 4, 3, padding=1), several(40.0, spikes, min_v_mem=floor), nn.Flatten(),
        nn.Linear(64, 10), several(40.0, spikes, min_v_mem=floor),
    )  # fmt: skip
    seen = np.random.default_rng(2).integers(0, 6, (3, 10, 2, 18, 18)).astype(np.uint8)
    said = {"max_spikes": spikes or 31, "floor": "none" if floor is None else floor}
    options = ReadOptions(neuron=said)
    found = proof.prove("sinabs", module, (2, 18, 18), tmp_path, seen=seen, options=options)
    most = max(values.max() for values in found.theirs.values())
    assert most == spikes if spikes is not None else 3 < most < 31


@pytest.mark.parametrize("reset", ["soft", "hard"])
def test_leaky_neurons_that_fire_several_times(tmp_path: Path, reset: Any) -> None:
    """With a decay, a floor, and either reset; every spike counts in the layer behind."""
    import sinabs.activation as sa
    import sinabs.layers as sl
    from torch import nn

    full = frameworks.full
    fn = sa.MembraneReset() if reset == "hard" else sa.MembraneSubtract()
    module = chain(
        nn.Linear(30, 20),
        sl.LIFSqueeze(tau_mem=full(3.0, 20), spike_threshold=full(1.0, 20), batch_size=1, reset_fn=fn,
                      spike_fn=sa.MultiSpike, min_v_mem=-0.5),
        nn.Linear(20, 10),
        sl.LIFSqueeze(tau_mem=full(5.0, 10), spike_threshold=full(2.0, 10), batch_size=1, reset_fn=fn,
                      spike_fn=sa.MultiSpike, min_v_mem=-0.5),
    )  # fmt: skip
    said = {"max_spikes": 15, "floor": -0.5, "input": "decayed"}
    options = ReadOptions(reset=reset, neuron=said)
    found = proof.prove("sinabs", module, (30,), tmp_path, seen=proof.spikes((30,), 10, 10), options=options)
    assert max(values.max() for values in found.theirs.values()) > 2


RESIDUAL = """\
input: {shape: [1, 8, 8]}
timesteps: 10
neuron: {leak: 1.0, threshold: 5.0, reset: soft, fires: at}
layers:
  - {name: c1, kind: conv2d, prefix: c1, padding: 1}
  - {name: l1, kind: neuron}
  - {name: c2, kind: conv2d, prefix: c2, padding: 1}
  - {name: sum, kind: add, inputs: [c2, l1]}
  - {name: l2, kind: neuron}
  - kind: flatten
  - {name: fc, kind: linear, prefix: fc}
  - {name: l3, kind: neuron}
"""


def test_a_residual_block(tmp_path: Path) -> None:
    import sinabs.layers as sl
    from torch import nn

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c1, self.l1 = nn.Conv2d(1, 4, 3, padding=1), iaf(5.0)
            self.c2, self.l2 = nn.Conv2d(4, 4, 3, padding=1, bias=False), iaf(5.0)
            self.merge, self.flat = sl.Merge(), nn.Flatten()
            self.fc, self.l3 = nn.Linear(256, 10), iaf(5.0)

        def forward(self, x: Any) -> Any:
            first = self.l1(self.c1(x))
            return self.l3(self.fc(self.flat(self.l2(self.merge(self.c2(first), first)))))

    proof.prove_listed("sinabs", frameworks.on_grid(Residual()), (1, 8, 8), RESIDUAL, tmp_path)


def test_what_the_import_states_of_float_weights(tmp_path: Path) -> None:
    import torch
    from torch import nn

    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(2, 6, 3), lif(3.0, 0.1, 6, 6, 6), nn.Flatten(), nn.Linear(216, 3), lif(3.0, 0.05, 3)
    ).eval()
    proof.agreement_as_in_framework("sinabs", module, (2, 8, 8), tmp_path, main, COMMAND)
