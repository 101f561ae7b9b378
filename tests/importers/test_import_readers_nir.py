"""NIR files written by each framework's own exporter: every spike of every layer and timestep comes back."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import frameworks
import numpy as np
import pytest

from imcsim.base.errors import ImcsimError
from imcsim.importers.folding.fold import Image, fold
from imcsim.importers.importing.float_run import run
from imcsim.importers.importing.layers import Neuron, ReadOptions
from imcsim.importers.importing.read import read

T = 12
MAPS = (1, 8, 8)


def frames(shape: tuple[int, ...], seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, (T, *shape)).astype(np.uint8)


def in_torch(name: str) -> str:
    """The module's own name; SpikingJelly's exporter writes `0` as `_0`."""
    return name.lstrip("_")


def same_spikes(
    framework: str, module: Any, shape: tuple[int, ...], path: Path, options: ReadOptions | None = None
) -> None:
    """Export, read, run both and compare every neuron's output."""
    import torch

    seen = frames(shape)
    theirs = frameworks.play(framework, module, seen)
    file = frameworks.write(framework, module, torch.zeros(1, *shape), path / "net.nir")
    model = read(file, frameworks.stated(framework, options))
    assert model.source["framework"] == framework
    network = fold(model, Image(scale=1.0))
    neurons = [layer for layer in model.layers if isinstance(layer, Neuron)]
    assert len(neurons) == len(theirs)
    spiking = {network.names[n.name]: n.name for n in neurons if n.spiking}
    ours = run(network, seen.reshape(1, T, *network.input_shape), T, record=list(spiking))
    fired = 0
    for node, name in spiking.items():
        wanted = theirs[in_torch(name)].reshape(T, -1)
        np.testing.assert_array_equal(ours.spikes[node][0].reshape(T, -1), wanted, err_msg=name)
        fired += int(0 < wanted.sum() < wanted.size)
    assert fired >= len(spiking) - 1, "the network is too quiet, or too loud, to show a difference"
    if not neurons[-1].spiking:
        np.testing.assert_allclose(ours.outputs[0], theirs[in_torch(neurons[-1].name)], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("reset", "options"),
    [
        ("subtract", None),
        ("zero", ReadOptions(reset="hard")),
        ("none", ReadOptions(reset="none")),
    ],
)
@pytest.mark.parametrize("synapse", [None, 0.25])
def test_snntorch(tmp_path: Path, reset: str, options: ReadOptions | None, synapse: float | None) -> None:
    frameworks.need("snntorch")
    same_spikes("snntorch", frameworks.snntorch_conv(reset, 0.5, synapse), MAPS, tmp_path, options)


def test_what_snntorch_does_not_write_is_asked_for(tmp_path: Path) -> None:
    frameworks.need("snntorch")
    import torch

    file = frameworks.write(
        "snntorch", frameworks.snntorch_conv(), torch.zeros(1, *MAPS), tmp_path / "net.nir"
    )
    asked = "say --reset soft|hard|none --neuron inhibition=no --neuron graded_spikes=1"
    refused(file, "reset_mechanism", "graded_spikes_factor", asked)
    for key, words in (("inhibition", "silence each other"), ("graded_spikes", "a spike is worth 1")):
        neuron = {k: v for k, v in frameworks.SNNTORCH.items() if k != key}
        refused(file, f"say --neuron {key}=", options=ReadOptions(reset="soft", neuron=neuron))
        wrong = {**neuron, key: 0.5}
        refused(file, f"--neuron {key}", words, options=ReadOptions(reset="soft", neuron=wrong))
    said = read(file, ReadOptions(reset="none", reset_at="now", neuron=frameworks.SNNTORCH)).source
    words = "--reset none --reset-at now --neuron inhibition=no --neuron graded_spikes=1"
    assert said["affirmed"] == [
        f"its file does not say what its neurons do: {words} was stated",
        "its file does not say the padding of AvgPool2d (0, which it writes always, is taken)",
    ]


@pytest.mark.parametrize("decay_input", [True, False])
@pytest.mark.parametrize("v_reset", [0.0, -1.0])
def test_spikingjelly(tmp_path: Path, decay_input: bool, v_reset: float) -> None:
    frameworks.need("spikingjelly")
    module = frameworks.spikingjelly_residual(2.0, decay_input, v_reset)
    same_spikes("spikingjelly", module, MAPS, tmp_path)


def test_spikingjelly_soft_reset(tmp_path: Path) -> None:
    """Its exporter refuses soft resets; who sets v_reset to 0 for the export says so with the option."""
    frameworks.need("spikingjelly")
    import torch
    from spikingjelly.activation_based import neuron

    module = frameworks.spikingjelly_residual(2.0, False, 0.0)
    file = frameworks.write("spikingjelly", module, torch.zeros(1, *MAPS), tmp_path / "net.nir")
    for part in module.modules():
        if isinstance(part, neuron.BaseNode):
            part.v_reset = None
            part.reset()
    seen = frames(MAPS)
    theirs = frameworks.play("spikingjelly", module, seen)
    network = fold(read(file, ReadOptions(reset="soft")), Image(scale=1.0))
    ours = run(network, seen[None], T, record=["sn1", "sn2", "out"])
    for name, wanted in theirs.items():
        np.testing.assert_array_equal(ours.spikes[name][0], wanted)


@pytest.mark.parametrize("share", [0.5, 0.25])
def test_norse(tmp_path: Path, share: float) -> None:
    frameworks.need("norse")
    same_spikes("norse", frameworks.norse_dense(share), (12,), tmp_path)
    same_spikes("norse", frameworks.norse_conv(share), MAPS, tmp_path)


@pytest.mark.parametrize("decayed", [True, False])
def test_sinabs(tmp_path: Path, decayed: bool) -> None:
    frameworks.need("sinabs")
    said = frameworks.SINABS | {"input": "decayed" if decayed else "undecayed"}
    options = ReadOptions(neuron=said)
    same_spikes("sinabs", frameworks.sinabs_conv(norm_input=decayed), MAPS, tmp_path, options)


def test_what_sinabs_does_not_write_is_asked_for(tmp_path: Path) -> None:
    frameworks.need("sinabs")
    import torch

    file = frameworks.write("sinabs", frameworks.sinabs_conv(), torch.zeros(1, *MAPS), tmp_path / "net.nir")
    refused(file, "MultiSpike", "min_v_mem", "--neuron max_spikes=... --neuron floor=... --neuron input=...")
    for key in frameworks.SINABS:
        said = {k: v for k, v in frameworks.SINABS.items() if k != key}
        refused(file, f"say --neuron {key}=...", options=ReadOptions(neuron=said))
    said = ReadOptions(neuron=frameworks.SINABS | {"max_spikes": 7, "floor": -1.0}, reset="hard")
    words = "--reset hard --neuron max_spikes=7 --neuron floor=-1 --neuron input=decayed"
    assert read(file, said).source["affirmed"] == [
        f"its file does not say what its neurons do: {words} was stated",
        "its file does not say tau_syn (none is taken)",
    ]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"max_spikes": 0.0}, ("max_spikes", "1 to 255")),
        ({"max_spikes": 2.5}, ("max_spikes", "integer")),
        ({"refractory": -1}, ("refractory", "0 to 4095")),
        ({"floor": "low"}, ("floor", "number")),
        ({"initial": "none"}, ("initial", "number")),
        ({"floor": 0.5}, ("floor", "above")),
        ({"reset_to": 0.5}, ("reset_to", "v_reset")),
        ({"input": "decayed"}, ("input", "sinabs")),
        ({"tau": 2.0}, ("tau", "no place")),
    ],
)
def test_what_cannot_be_said_of_a_file(tmp_path: Path, said: dict[str, Any], words: tuple[str, ...]) -> None:
    file = plain(tmp_path, {"a": affine(), "n": lif()}, CHAIN)
    with pytest.raises(ImcsimError) as caught:
        fold(read(file, ReadOptions(neuron=said)), Image(scale=1.0))
    for word in words:
        assert word in str(caught.value)


# --- plain NIR, written with the nir library


def plain(tmp_path: Path, nodes: dict[str, Any], edges: list[tuple[str, str]], shape: Any = (3,)) -> Path:
    nir = pytest.importorskip("nir", reason="nir is not installed")
    ends = {"in": nir.Input(np.array(shape)), "out": nir.Output(np.array([1]))}
    graph = nir.NIRGraph({**ends, **nodes}, edges, type_check=False)
    nir.write(tmp_path / "plain.nir", graph)
    return tmp_path / "plain.nir"


def lif(count: int = 2, **changes: Any) -> Any:
    nir = pytest.importorskip("nir", reason="nir is not installed")
    values = {"tau": 4e-4, "r": 2.0, "v_leak": 0.5, "v_threshold": 1.5, "v_reset": 0.25} | changes
    return nir.LIF(**{key: np.full(count, value) + np.arange(count) * 0 for key, value in values.items()})


def affine(rows: int = 2, columns: int = 3) -> Any:
    nir = pytest.importorskip("nir", reason="nir is not installed")
    return nir.Affine(np.arange(rows * columns, dtype=float).reshape(rows, columns), np.ones(rows))


CHAIN = [("in", "a"), ("a", "n"), ("n", "out")]


def test_plain_nir_is_euler_with_a_tenth_of_a_millisecond(tmp_path: Path) -> None:
    pytest.importorskip("nir", reason="nir is not installed")
    file = plain(tmp_path, {"a": affine(), "n": lif()}, CHAIN)
    model = read(file)
    assert model.source["framework"] == "nir"
    neuron = model.layers[1]
    assert isinstance(neuron, Neuron)
    # u = v - v_reset: v += 1/4 (v_leak - v + 2 I)
    assert (neuron.leak, neuron.gain, neuron.threshold) == (0.75, 0.5, 1.25)
    assert neuron.drift == pytest.approx(0.25 * (0.5 - 0.25))
    assert (neuron.reset, neuron.reset_at, neuron.fires) == ("hard", "now", "above")
    slower = read(file, ReadOptions(dt=2e-4)).layers[1]
    assert isinstance(slower, Neuron)
    assert slower.leak == 0.5
    said = read(file, ReadOptions(fires="at", reset_at="next")).layers[1]
    assert isinstance(said, Neuron)
    assert (said.fires, said.reset_at) == ("at", "next")


def test_all_other_nodes(tmp_path: Path) -> None:
    nir = pytest.importorskip("nir", reason="nir is not installed")
    one = np.ones(4)
    nodes = {
        "conv": nir.Conv1d(8, np.ones((4, 2, 3)), 1, "same", 1, 1, np.zeros(4)),
        "scale": nir.Scale(np.arange(1.0, 5)[:, None] * np.ones((1, 8))),
        "step": nir.Threshold(np.full((4, 8), 2.0)),
        "flat": nir.Flatten(np.array([4, 8]), 0, -1),
        "fc": nir.Linear(np.ones((4, 32))),
        "cuba": nir.CubaLIF(2e-4 * one, 4e-4 * one, one, 0 * one, one, None, 2.0),
        "if": nir.IF(1e4 * one, one),
        "fc2": nir.Linear(np.ones((4, 4))),
        "li": nir.CubaLI(2e-4 * one, 4e-4 * one, one, 0 * one),
    }
    names = ["in", *nodes, "out"]
    model = read(plain(tmp_path, nodes, list(itertools.pairwise(names)), (2, 8)))
    found = {layer.name: layer for layer in model.layers}
    assert found["conv"].weight.shape == (4, 2, 1, 3)
    assert found["conv"].padding == (0, 1)
    np.testing.assert_array_equal(found["scale"].factor, [1, 2, 3, 4])
    assert (found["step"].leak, found["step"].threshold, found["step"].fires) == (0.0, 2.0, "above")
    cuba = found["cuba"]
    assert (cuba.synapse, cuba.synapse_gain, cuba.leak, cuba.gain) == (0.5, 1.0, 0.75, 0.25)
    assert (found["if"].leak, found["if"].gain) == (1.0, 1.0)
    assert not found["li"].spiking
    assert model.output == "li"


def test_pools_convolutions_and_inner_graphs(tmp_path: Path) -> None:
    nir = pytest.importorskip("nir", reason="nir is not installed")
    inner = nir.NIRGraph(
        {
            "i": nir.Input(np.array([2, 4, 4])),
            "t": nir.Threshold(np.ones((2, 4, 4))),
            "o": nir.Output(np.array([2, 4, 4])),
        },
        [("i", "t"), ("t", "o")],
        type_check=False,
    )
    weight = np.random.default_rng(0).normal(size=(2, 1, 3, 5))
    nodes = {
        "conv": nir.Conv2d(None, weight, (2, 1), (1, 2), (1, 2), 2, np.zeros(2)),
        "pool": nir.AvgPool2d(np.array([2, 3]), np.array([2, 1]), np.array([0, 1])),
        "sub": inner,
        "sum": nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
    }
    file = tmp_path / "g.nir"
    names = ["in", *nodes, "out"]
    ends = {"in": nir.Input(np.array([2, 16, 16])), "out": nir.Output(np.array([1]))}
    graph = nir.NIRGraph({**ends, **nodes}, list(itertools.pairwise(names)), type_check=False)
    data = graph.to_dict()
    data["nodes"]["conv"].pop("input_shape")

    class Shapeless:
        def to_dict(self) -> dict[str, Any]:
            return data

    nir.write(file, Shapeless())
    model = read(file)
    found = {layer.name: layer for layer in model.layers}
    assert list(found) == ["conv", "pool", "sub.t", "sum"]
    conv = found["conv"]
    assert (conv.stride, conv.padding, conv.dilation, conv.groups) == ((2, 1), (1, 2), (1, 2), 2)
    np.testing.assert_array_equal(conv.weight, weight)
    assert (found["pool"].size, found["pool"].padding, found["pool"].kind) == ((2, 3), (0, 1), "average")
    assert found["sub.t"].inputs == ("pool",)
    assert found["sum"].inputs == ("sub.t",)


def refused(file: Path, *words: str, options: ReadOptions | None = None) -> None:
    with pytest.raises(ImcsimError) as caught:
        read(file, options)
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert word in text


def test_feedback_and_unknown_nodes_are_refused_by_name(tmp_path: Path) -> None:
    nir = pytest.importorskip("nir", reason="nir is not installed")
    loop = [*CHAIN, ("a", "back"), ("back", "a")]
    file = plain(tmp_path, {"a": affine(2, 2), "n": lif(), "back": affine(2, 2)}, loop)
    refused(file, "back", "feed back into themselves without neurons")
    delay = {"a": affine(), "n": nir.Delay(np.ones(2))}
    refused(plain(tmp_path, delay, CHAIN), "Delay", " n: ")
    refused(plain(tmp_path, {"a": affine(), "n": lif()}, CHAIN[:2]), " n: ", "nothing reads")
    refused(plain(tmp_path, {"a": affine(), "n": lif()}, [*CHAIN, ("n", "ghost")]), "ghost", "broken")
    refused(plain(tmp_path, {"a": affine(), "n": lif(), "x": lif()}, CHAIN), " x: ")


def test_numbers_that_no_neuron_can_have_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("nir", reason="nir is not installed")
    bad: list[tuple[dict[str, float], str]] = [
        ({"tau": 1e-5}, "--dt"),
        ({"tau": 0.0}, "tau"),
        ({"tau": float("nan")}, "NaN"),
        ({"v_threshold": float("nan")}, "NaN"),
        ({"v_threshold": float("inf")}, "infinite"),
        ({"r": float("inf")}, "infinite"),
    ]
    for changes, word in bad:
        refused(plain(tmp_path, {"a": affine(), "n": lif(**changes)}, CHAIN), word, " n: ")
    file = plain(tmp_path, {"a": affine(), "n": lif()}, CHAIN)
    refused(file, "v_reset", options=ReadOptions(reset="soft"))
    refused(file, "--layers", options=ReadOptions(layers_file=tmp_path / "x.yaml"))
    refused(file, "seconds", options=ReadOptions(dt=-1.0))
    broken = affine()
    broken.weight[0, 0] = np.nan
    refused(plain(tmp_path, {"a": broken, "n": lif()}, CHAIN), "NaN", " a: ")


def test_a_file_that_two_frameworks_may_have_written_is_refused(tmp_path: Path) -> None:
    nir = pytest.importorskip("nir", reason="nir is not installed")
    weights = nir.Affine(np.ones((2, 3), np.float32), np.ones(2, np.float32))
    spiking = nir.IF(np.ones(2, np.float32), np.ones(2, np.float32))
    file = plain(tmp_path, {"a": weights, "n": spiking}, CHAIN)
    refused(file, "norse", "sinabs", "--framework")
    for name, fires in (("norse", "above"), ("sinabs", "at")):
        said = frameworks.SINABS if name == "sinabs" else None
        neuron = read(file, ReadOptions(framework=name, neuron=said)).layers[1]  # type: ignore[arg-type]
        assert isinstance(neuron, Neuron)
        assert (neuron.fires, neuron.gain) == (fires, 1.0)


def test_what_only_one_framework_writes_tells_them_apart(tmp_path: Path) -> None:
    """IF with bare numbers is Norse's (sinabs writes one per neuron); Norse writes no reset potential."""
    nir = pytest.importorskip("nir", reason="nir is not installed")
    single = np.float32
    weights = nir.Affine(np.ones((2, 3), single), np.ones(2, single))

    def framework(neuron: Any) -> str:
        ends = {"in": nir.Input(np.array([3])), "out": nir.Output(np.array([2]))}
        graph = nir.NIRGraph({**ends, "a": weights, "n": neuron}, CHAIN, type_check=False)
        nir.write(tmp_path / "plain.nir", graph, compression=None)  # bare numbers cannot be compressed
        return str(read(tmp_path / "plain.nir").source["framework"])

    assert framework(nir.IF(np.array(1, single), np.array(1, single))) == "norse"
    tau, one, zero = np.full(2, 5e-4, single), np.ones(2, single), np.zeros(2, single)
    assert framework(nir.LIF(tau, one, zero, one, zero - single(0.5))) == "nir"
    assert framework(nir.LIF(tau / 100, one, zero, one, zero)) == "norse"


def test_what_snntorch_writes_for_integrate_and_fire(tmp_path: Path) -> None:
    """beta = 1 gives an infinite tau and R; beta = 0.9 comes back as itself."""
    nir = pytest.importorskip("nir", reason="nir is not installed")
    beta = np.array([1.0, 0.9], np.float32)
    with np.errstate(divide="ignore"):
        tau = np.float32(1e-4) / (1 - beta)
    zero = np.zeros(2, np.float32)
    neurons = nir.LIF(tau, tau / np.float32(1e-4), zero, zero + 1, zero)
    weights = nir.Affine(np.ones((2, 3), np.float32), zero)
    model = read(plain(tmp_path, {"a": weights, "n": neurons}, CHAIN), frameworks.stated("snntorch"))
    assert model.source["framework"] == "snntorch"
    neuron = model.layers[1]
    assert isinstance(neuron, Neuron)
    np.testing.assert_array_equal(neuron.leak, [1.0, 0.9])
    assert neuron.gain == 1.0
