"""Networks from live modules: every spike is the module's, whatever way its code is written in."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import frameworks
import numpy as np
import pytest

import imcsim
from imcsim.base.errors import ImcsimError
from imcsim.importers.live.network import TorchNetwork
from imcsim.inputs import Inputs
from imcsim.inputs.data import fingerprint
from imcsim.network.graph import LI, LIF, Pool2d, kind

torch: Any = pytest.importorskip("torch")
nn, nnf = torch.nn, torch.nn.functional


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Random weights may leave a layer silent."""
    torch.manual_seed(1)


def frames(*shape: int, seed: int = 0) -> Any:
    """Random spikes."""
    return torch.tensor(np.random.default_rng(seed).integers(0, 2, shape).astype(np.float32))


def proved(module: Any, example: Any, **about: Any) -> TorchNetwork:
    """The network of `module`, which spikes as the module does, in every layer, and says the same."""
    found = imcsim.from_torch(module, example, **about)
    assert found.check is not None
    assert found.check.equal == 1.0, found.check.sentence()
    assert found.check.same_prediction == 1.0
    assert all(0.01 < layer.rate < 0.99 or layer.rate > 1 for layer in found.check.layers)
    spiking = [node for node in found.nodes if isinstance(node, LIF)]
    assert len(spiking) == len(found.check.layers)
    return found


SPIKES = {"bits": 1, "scale": 1.0}


# --- snnTorch


@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
@pytest.mark.parametrize("synapse", [None, 0.25])
def test_snntorch_hidden_states(reset: str, synapse: float | None) -> None:
    """One timestep a call, membranes in the module; frames along time_axis, or one image again and again."""
    frameworks.need("snntorch")
    module = frameworks.snntorch_conv(reset, synapse=synapse)
    assert proved(module, frames(5, 6, 1, 8, 8), time_axis=0).timesteps == 5
    assert proved(module, frames(6, 1, 8, 8), timesteps=4, **SPIKES).timesteps == 4


def looping(how: str) -> Any:
    """A residual network whose forward goes through time, and puts its outputs together as `how` says."""
    import snntorch as snn

    class Loop(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.norm = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4)
            self.lif1 = snn.Leaky(beta=0.8, threshold=3.0)
            self.conv2 = nn.Conv2d(4, 4, 3, padding=1, bias=False)
            self.lif2 = self.lif1 if how == "shared" else snn.Leaky(beta=0.8, threshold=3.0)
            self.fc = nn.Linear(64, 20 if "vote" in how else 10)
            reset = "none" if how == "membranes" else "subtract"
            self.lif3 = snn.Leaky(beta=0.8, threshold=4.0, reset_mechanism=reset)

        def forward(self, x: Any) -> Any:
            steps, count = (len(x), x.shape[1]) if x.ndim == 5 else (5, len(x))
            mem1, mem2, mem3 = (lif.init_leaky() for lif in (self.lif1, self.lif2, self.lif3))
            spikes, membranes = [], []
            filled, added = torch.zeros(steps, count, 10), torch.zeros(count, 10)
            for t in range(steps):
                spk1, mem1 = self.lif1(self.norm(self.conv1(x[t] if x.ndim == 5 else x)), mem1)
                spk2, mem2 = self.lif2(self.conv2(spk1) + spk1, mem2)
                pooled = nnf.avg_pool2d(spk2, 2)
                spk3, mem3 = self.lif3(self.fc(pooled.view(pooled.size(0), -1)), mem3)
                spikes.append(spk3)
                membranes.append(mem3)
                if how == "filled":
                    filled[t] = spk3
                if how == "added in place":
                    added += spk3
            stacked = torch.stack(spikes)
            return {
                "stacked": lambda: stacked,
                "shared": lambda: stacked,
                "membranes": lambda: torch.stack(membranes),
                "dictionary": lambda: {"mem": stacked * 2, "spk": stacked},
                "mean": lambda: stacked.mean(0),
                "sum": lambda: sum(spikes),
                "filled": lambda: filled,
                "added in place": lambda: added,
                "vote by view": lambda: stacked.mean(0).view(-1, 10, 2).mean(-1),
                "vote across": lambda: stacked.view(steps, -1, 2, 10).sum(2),
                "vote by pool": lambda: nnf.avg_pool1d(stacked.mean(0).unsqueeze(1), 2, 2).squeeze(1),
                "last": lambda: spikes[-1],
                "first": lambda: spikes[0],
                "weighed": lambda: spikes[0] + 2 * spikes[1],
                "softmax": lambda: stacked.mean(0).softmax(-1),
                "constant": lambda: torch.ones(count, 10),
            }[how]()

    return frameworks.on_grid(Loop())


WAYS = [
    "stacked", "shared", "membranes", "mean", "sum", "filled", "added in place", "vote by view",
    "vote across", "vote by pool",
]  # fmt: skip


@pytest.mark.parametrize("how", WAYS)
def test_time_loops_residual_additions_and_what_outputs_are_made_of(how: str) -> None:
    frameworks.need("snntorch")
    module = looping(how)
    static = proved(module, frames(6, 1, 8, 8), **SPIKES)
    timed = proved(module, frames(5, 6, 1, 8, 8))
    expected = ["conv2d", "lif", "conv2d", "add", "lif", "pool2d", "flatten", "linear", "lif"]
    if how == "membranes":
        expected[-1] = "li"
    expected += ["linear"] if how == "vote across" else []
    for network in (static, timed):
        assert [kind(node) for node in network.nodes] == expected
        assert network.timesteps == 5
        assert network.votes == (2 if how in ("vote by view", "vote by pool") else 1)
        assert network.input_shape == (1, 8, 8)
    assert any("accumulation='sum'" in note for note in static.notes) == (how in ("sum", "added in place"))


def test_what_is_named_as_the_output() -> None:
    frameworks.need("snntorch")
    assert proved(looping("dictionary"), frames(5, 6, 1, 8, 8), output="spk").timesteps == 5
    with pytest.raises(ImcsimError, match="gives no 'logits'"):
        imcsim.from_torch(looping("dictionary"), frames(5, 6, 1, 8, 8), output="logits")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("last", "decides by its last timestep alone"),
        ("first", "decides by timestep 1 of 5"),
        ("weighed", "values of different timesteps"),
        ("softmax", "computes a softmax"),
        ("constant", "does not depend on its inputs"),
    ],
)
def test_decisions_that_the_chip_does_not_make(how: str, message: str) -> None:
    frameworks.need("snntorch")
    with pytest.raises(ImcsimError, match=message):
        imcsim.from_torch(looping(how), frames(5, 6, 1, 8, 8))


def test_what_is_affirmed_is_repeated() -> None:
    frameworks.need("snntorch")
    found = imcsim.from_torch(looping("last"), frames(5, 6, 1, 8, 8), affirm=True)
    (line,) = found.provenance["imported"]["affirmed"]
    assert "last timestep alone" in line


# --- SpikingJelly, Norse, sinabs


@pytest.mark.parametrize("decays", [True, False])
@pytest.mark.parametrize("v_reset", [0.0, None, -0.5])
def test_spikingjelly_in_both_modes(decays: bool, v_reset: float | None) -> None:
    frameworks.need("spikingjelly")
    from spikingjelly.activation_based import functional

    module = frameworks.spikingjelly_residual(2.0, decays, v_reset)
    single = proved(module, frames(4, 6, 1, 8, 8), time_axis=0)
    functional.set_step_mode(module, "m")
    multi = proved(module, frames(4, 6, 1, 8, 8))
    assert [kind(node) for node in single.nodes] == [kind(node) for node in multi.nodes]
    assert "add" in [kind(node) for node in multi.nodes]


def spikingjelly_whole() -> Any:
    """As its tutorials are: an encoder outside time, a SEW block that adds spikes to spikes, votes."""
    from spikingjelly.activation_based import functional, layer, neuron

    class Whole(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4))
            self.first = neuron.ParametricLIFNode(init_tau=2.0, decay_input=False, v_threshold=4.0)
            self.conv, self.second = layer.Conv2d(4, 4, 3, padding=1), neuron.IFNode(v_threshold=6.0)
            parts = layer.Conv2d(4, 2, 3, stride=2), neuron.IFNode(v_threshold=5.0), layer.Flatten()
            votes = layer.Linear(18, 20), neuron.IFNode(v_threshold=3.0), layer.VotingLayer(4)
            self.rest = nn.Sequential(*parts, *votes)
            for part in (self.first, self.conv, self.second, self.rest):
                functional.set_step_mode(part, "m")

        def forward(self, x: Any) -> Any:
            spikes = self.first(self.encoder(x).unsqueeze(0).repeat(4, 1, 1, 1, 1))
            return self.rest(self.second(self.conv(spikes)) + spikes).mean(0)

    return frameworks.on_grid(Whole(), seed=3)


def test_spikingjelly_encoders_sums_of_spikes_and_votes() -> None:
    frameworks.need("spikingjelly")
    found = proved(spikingjelly_whole(), frames(6, 1, 8, 8), **SPIKES)
    assert found.classes == 5
    assert found.votes == 4
    assert [kind(node) for node in found.nodes].count("conv2d") >= 3


def test_sums_of_spikes_keep_their_weights_once() -> None:
    """SEW blocks, one after the other; maxima over neighbouring neurons of a row."""
    frameworks.need("spikingjelly")
    from spikingjelly.activation_based import functional, layer, neuron

    def fire(threshold: float) -> Any:
        return neuron.IFNode(v_threshold=threshold)

    class Blocks(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.first = layer.Conv2d(1, 4, 3, padding=1), fire(3.0)
            self.conv1, self.second = layer.Conv2d(4, 4, 3, padding=1), fire(6.0)
            self.conv2, self.third = layer.Conv2d(4, 4, 3, padding=1), fire(9.0)
            self.fc1, self.fourth = layer.Linear(4 * 16, 12), fire(6.0)
            self.most, self.fc2, self.last = nn.MaxPool1d(3), layer.Linear(4, 3), fire(2.0)
            functional.set_step_mode(self, "s")

        def forward(self, image: Any) -> Any:
            outputs = []
            for _ in range(4):
                x = self.first(self.stem(image))
                x = self.second(self.conv1(x)) + x
                x = nn.functional.avg_pool2d(self.third(self.conv2(x)) + x, 2)
                x = self.fourth(self.fc1(x.flatten(1)))
                outputs.append(self.last(self.fc2(self.most(x))))
            return torch.stack(outputs).mean(0)

    found = proved(frameworks.on_grid(Blocks(), seed=4), frames(6, 1, 8, 8), **SPIKES)
    kinds = [kind(node) for node in found.nodes]
    # Three convolutions and two matrices, as in the module, and two sums.
    assert (kinds.count("conv2d"), kinds.count("linear"), kinds.count("add")) == (3, 2, 2)
    pools = [node for node in found.nodes if isinstance(node, Pool2d)]
    assert [(pool.kind, pool.size) for pool in pools] == [("average", (2, 2)), ("max", (1, 3))]


def test_other_neurons_of_the_frameworks() -> None:
    """Lapicque; a current in front of the membrane; integrators that give a list of timesteps."""
    frameworks.need("snntorch")
    import snntorch as snn

    first = snn.Lapicque(beta=False, R=2.0, C=2.5, threshold=3.0, init_hidden=True)
    parts = nn.Linear(12, 10), first, nn.Linear(10, 5), snn.Leaky(0.5, threshold=3.0, init_hidden=True)
    proved(frameworks.on_grid(nn.Sequential(*parts)), frames(8, 12), timesteps=5, **SPIKES)
    frameworks.need("spikingjelly")
    from spikingjelly.activation_based import layer, neuron

    current = neuron.CUBALIFNode(c_decay=0.5, v_decay=0.75, v_threshold=4.0)
    parts = layer.Linear(12, 10), current, layer.Linear(10, 5), neuron.IFNode(v_threshold=3.0)
    proved(frameworks.on_grid(nn.Sequential(*parts)), frames(8, 12), timesteps=5, **SPIKES)


def test_norse_sequences_and_lifted_ones() -> None:
    frameworks.need("norse")
    import norse.torch as norse

    example = frames(5, 6, 1, 8, 8)
    stepped = proved(frameworks.norse_conv(), example, time_axis=0)
    lifted = proved(norse.Lift(frameworks.norse_conv()), example)
    assert [kind(node) for node in stepped.nodes] == [kind(node) for node in lifted.nodes]
    dense = proved(frameworks.norse_dense(), frames(6, 12), timesteps=5, **SPIKES)
    assert isinstance(dense.nodes[-1], LI)


def sinabs_squeezed(images: int | None, timesteps: int | None) -> Any:
    import sinabs.activation as sa
    import sinabs.layers as sl

    about: dict[str, Any] = {"batch_size": images, "num_timesteps": timesteps}
    once = sl.IAFSqueeze(spike_threshold=torch.tensor(4.0), spike_fn=sa.SingleSpike, **about)
    often = sl.LIFSqueeze(
        tau_mem=2.0, tau_syn=3.0, spike_threshold=2.0, min_v_mem=-1.0, norm_input=True, **about
    )
    parts = nn.Conv2d(1, 2, 3, padding=1), once, sl.SumPool2d(2), nn.Flatten(), nn.Linear(32, 5), often
    return frameworks.on_grid(nn.Sequential(*parts))


@pytest.mark.parametrize(("images", "timesteps"), [(3, 5), (3, None), (None, 5)])
def test_sinabs_squeezed(images: int | None, timesteps: int | None) -> None:
    """Images and timesteps are one axis; synapses, floors, several spikes per timestep, sum pools."""
    frameworks.need("sinabs")
    module = sinabs_squeezed(images, timesteps)
    found = proved(module, frames(15, 1, 8, 8), max_spikes=15)
    assert found.timesteps == 5
    assert found.check is not None
    assert found.check.images == 3
    with pytest.raises(ImcsimError, match="fires without a bound"):
        imcsim.from_torch(module, frames(15, 1, 8, 8))


def test_sinabs_with_an_axis_for_time() -> None:
    frameworks.need("sinabs")
    import sinabs.activation as sa
    import sinabs.layers as sl

    spiking = sl.IAF(spike_fn=sa.SingleSpike, spike_threshold=torch.tensor(3.0))
    first = sl.FlattenTime(), nn.Conv2d(1, 2, 3, padding=1), sl.UnflattenTime(3), spiking
    second = sl.FlattenTime(), nn.Flatten(), nn.Linear(128, 5), sl.UnflattenTime(3), sl.ExpLeak(tau_mem=4.0)
    found = proved(frameworks.on_grid(nn.Sequential(*first, *second)), frames(3, 5, 1, 8, 8))
    assert isinstance(found.nodes[-1], LI)


# --- plain PyTorch


class OwnLIF(nn.Module):  # type: ignore[misc]
    """Neurons as people write them; the membrane is kept until `reset`."""

    def __init__(self, decay: float, v_th: float) -> None:
        super().__init__()
        self.decay, self.v_th, self.membrane = nn.Parameter(torch.tensor(decay)), v_th, None

    def forward(self, x: Any) -> Any:
        before = torch.zeros_like(x) if self.membrane is None else self.membrane
        membrane = self.decay * before + x
        spikes = (membrane >= self.v_th).float()
        self.membrane = membrane - spikes * self.v_th
        return spikes

    def reset(self) -> None:
        self.membrane = None


RULE = {"leak": "decay", "threshold": "v_th", "reset": "soft"}


def own() -> Any:
    parts = nn.Flatten(), nn.Linear(64, 20), OwnLIF(0.5, 3.0), nn.Linear(20, 10), OwnLIF(0.75, 2.0)
    return frameworks.on_grid(nn.Sequential(*parts))


def test_the_users_own_neurons_by_a_rule() -> None:
    found = proved(own(), frames(6, 1, 8, 8), timesteps=6, rules={OwnLIF: RULE}, **SPIKES)
    assert [node.leak for node in found.nodes if isinstance(node, LIF)] == [0.5, 0.75]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({**RULE, "reset": "hard"}, r"start to differ at timestep \d+ in '4'"),
        ({**RULE, "threshold": "theta"}, r"2 \(OwnLIF\).*no attribute 'theta'"),
        ({**RULE, "treshold": 1.0}, "did you mean 'threshold'"),
        (None, r"no layer of neurons was met"),
    ],
)
def test_rules_that_are_wrong(rule: dict[str, Any] | None, message: str) -> None:
    rules = {} if rule is None else {OwnLIF: rule}
    with pytest.raises(ImcsimError, match=message):
        imcsim.from_torch(own(), frames(6, 1, 8, 8), timesteps=6, rules=rules, **SPIKES)


# --- what is refused, and by which name


class Between(nn.Module):  # type: ignore[misc]
    """A layer of neurons on both sides of what `function` does."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.first, self.lif1 = nn.Linear(12, 12), OwnLIF(0.5, 2.0)
        self.odd = Doing(function)
        self.second, self.lif2 = nn.Linear(12, 5), OwnLIF(0.5, 2.0)

    def forward(self, x: Any) -> Any:
        return self.lif2(self.second(self.odd(self.lif1(self.first(x)))))


class Doing(nn.Module):  # type: ignore[misc]
    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Any) -> Any:
        return self.function(x)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (torch.sigmoid, r"odd \(Doing\).*a sigmoid"),
        (torch.tanh, r"odd \(Doing\).*a tanh"),
        (torch.relu, r"odd \(Doing\).*a rectifier"),
        (lambda x: x * x, r"odd \(Doing\).*multiplies values of two layers"),
        (lambda x: torch.cat([x[:, :6], x[:, 6:]], 1), r"odd \(Doing\).*a part of the values"),
        (lambda x: x + torch.rand_like(x), r"odd \(Doing\).*random numbers"),
        (lambda x: nnf.layer_norm(x, (12,)), r"odd \(Doing\).*a layer norm"),
        (lambda x: x.roll(1, 1), r"odd \(Doing\).*computes roll"),
    ],
)
def test_operations_without_counterpart_are_refused_with_the_modules_path(
    function: Callable[[Any], Any], message: str
) -> None:
    with pytest.raises(ImcsimError, match=message):
        imcsim.from_torch(
            frameworks.on_grid(Between(function)), frames(4, 12), timesteps=3, rules={OwnLIF: RULE}, **SPIKES
        )


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x,
        lambda x: 2 * x - 0.5,
        lambda x: (1 - x) / 4,
        lambda x: x + x,
        lambda x: x.unsqueeze(1).transpose(1, 2).reshape(-1, 12),
        lambda x: x * torch.linspace(0.5, 2, 12),
        lambda x: x.clone().mul_(0.5),
        lambda x: nnf.dropout(x, 0.5, training=False),
        lambda x: torch.stack([x.detach()]).squeeze(0),
    ],
)
def test_arithmetic_and_views_are_followed(function: Callable[[Any], Any]) -> None:
    proved(frameworks.on_grid(Between(function)), frames(8, 12), timesteps=3, rules={OwnLIF: RULE}, **SPIKES)


def test_statistics_that_nothing_reads_do_not_matter() -> None:
    seen = []

    def counting(x: Any) -> Any:
        seen.append(float(torch.sigmoid(x).max()))
        return x

    proved(frameworks.on_grid(Between(counting)), frames(8, 12), timesteps=3, rules={OwnLIF: RULE}, **SPIKES)
    assert len(seen) == 3


def test_feedback_is_refused() -> None:
    class Feedback(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.lif = nn.Linear(12, 5), OwnLIF(0.5, 2.0)

        def forward(self, x: Any) -> Any:
            out, spikes = [], 0
            for _ in range(4):
                spikes = self.lif(self.fc(x) + spikes)
                out.append(spikes)
            return torch.stack(out)

    with pytest.raises(ImcsimError, match=r"lif \(OwnLIF\).*at timestep 1"):
        imcsim.from_torch(frameworks.on_grid(Feedback()), frames(4, 12), rules={OwnLIF: RULE}, **SPIKES)


# --- the module afterwards, inputs, and what the network is for


def test_the_module_is_as_before() -> None:
    module = own().train()
    module[1].eval()
    before = {key: value.clone() for key, value in module.state_dict().items()}
    proved(module, frames(6, 1, 8, 8), timesteps=3, rules={OwnLIF: RULE}, **SPIKES)
    assert [part.training for part in module] == [True, False, True, True, True]
    assert module[2].membrane is None
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())


def test_pixels_that_were_normalised() -> None:
    """mean and std are folded into the first layer; the border that padding leaves is the mean's."""
    codes = np.random.default_rng(0).integers(0, 256, (4, 3, 8, 8))
    mean, std = (0.5, 0.25, 0.125), (0.5, 0.25, 1.0)
    pixels = (codes / 255 - np.array(mean)[:, None, None]) / np.array(std)[:, None, None]
    example = torch.tensor(pixels.astype(np.float32))
    parts = nn.Conv2d(3, 4, 3), OwnLIF(0.5, 0.5), nn.Flatten(), nn.Linear(144, 10), OwnLIF(0.5, 0.2)
    module = nn.Sequential(*parts)
    about: dict[str, Any] = {"timesteps": 3, "rules": {OwnLIF: RULE}}
    found = proved(module, example, mean=mean, std=std, **about)
    assert not any("rounded to pixels" in note for note in found.notes)
    with pytest.raises(ImcsimError, match="they are no pixels"):
        imcsim.from_torch(module, example, **about)
    rounded = proved(module, torch.rand(4, 3, 8, 8), **about)
    assert any("rounded to pixels" in note for note in rounded.notes)


def test_a_comparison_of_the_network_of_a_module() -> None:
    images = np.random.default_rng(1).integers(0, 256, (20, 1, 8, 8)).astype(np.uint8)
    labels = np.arange(20, dtype=np.int64) % 10
    shown = Inputs(images, labels, "digits", "test", fingerprint(images, labels), 10)
    module = own()
    example = torch.tensor(images[:8] / 255, dtype=torch.float32)
    network = proved(module, example, timesteps=4, rules={OwnLIF: RULE})
    assert network.input_shape == (1, 8, 8)
    found = imcsim.compare(network, inputs=shown, validation=shown, threshold=0.5)
    assert len(found.static) == 4
    assert 1 <= found.dynamic.mean_timesteps <= 4
    assert found.dynamic.energy_pj > 0
    text = repr(network)
    assert "all spikes are equal" in text
    assert text.count("\n") < 12


def test_the_package_imports_no_torch() -> None:
    code = (
        "import sys, imcsim, imcsim.api; dir(imcsim); imcsim.from_torch; "
        "assert 'torch' not in sys.modules, 'torch'\n"
        "sys.modules['torch'] = None\n"
        "try:\n    imcsim.from_torch(None, None)\n"
        "except imcsim.base.errors.ImcsimError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "live modules need torch" in done.stdout
