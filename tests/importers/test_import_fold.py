"""Folding is exact: the folded network against torch, which evaluates the layers of the file one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imcsim.base.errors import ImcsimError
from imcsim.importers.folding.fold import fold
from imcsim.importers.importing.float_network import FloatNetwork, FloatWeights
from imcsim.importers.importing.float_run import run
from imcsim.importers.importing.image import Image
from imcsim.importers.importing.layers import Layer, Neuron, Norm, ReadFlatten, ReadModel, ReadPool, Weights
from imcsim.network.graph import LI, LIF, Add, Pool2d

torch = pytest.importorskip("torch", reason="torch is not installed")
nnf = torch.nn.functional

T = 4
BITS = Image(bits=1)


def evaluate(model: ReadModel, images: Any, timesteps: int = T, image: Image = BITS) -> dict[str, Any]:
    """Every layer as written, in torch and float64: values ``[N, T, ...]`` by name."""
    scale = image.scale if image.scale is not None else 1.0 / (2**image.bits - 1)
    x = torch.from_numpy(np.asarray(images, np.float64)) * scale
    channels = (1, -1, 1, 1)
    if image.mean:
        x = x - torch.tensor(image.mean, dtype=torch.float64).reshape(channels)
    if image.std:
        x = x / torch.tensor(image.std, dtype=torch.float64).reshape(channels)
    x = x.reshape(len(x), *model.input_shape)
    values: dict[str, list[Any]] = {"input": [x] * timesteps}
    for layer in model.layers:
        read = [sum(values[name][t] for name in layer.inputs) for t in range(timesteps)]
        values[layer.name] = _layer(layer, read)
    return {name: torch.stack(frames, 1).numpy() for name, frames in values.items()}


def _array(value: Any, like: Any) -> Any:
    array = torch.as_tensor(np.asarray(value, np.float64))
    if array.ndim == 1 and array.numel() > 1:
        array = array.reshape(-1, *(1,) * (like.ndim - 2))
    return array if array.ndim else array.reshape(())


def _layer(layer: Layer, read: list[Any]) -> list[Any]:
    match layer:
        case Weights():
            weight = torch.from_numpy(layer.weight)
            if layer.scale is not None:
                weight = weight * torch.from_numpy(layer.scale).reshape(-1, *(1,) * (weight.ndim - 1))
            bias = None if layer.bias is None else torch.from_numpy(layer.bias)
            if weight.ndim == 2:
                return [nnf.linear(x.reshape(len(x), -1), weight, bias) for x in read]
            about = (layer.stride, layer.padding, layer.dilation, layer.groups)
            return [nnf.conv2d(x, weight, bias, *about) for x in read]
        case Norm():
            return [_array(layer.factor, x) * x + _array(layer.offset, x) for x in read]
        case ReadPool():
            size, about = layer.size, (layer.stride, layer.padding)
            if read[0].ndim == 2:  # a row: torch's pools of one dimension
                rows = _layer(layer, [x[:, None, None] for x in read])
                return [x[:, 0, 0] for x in rows]
            if layer.kind == "max":
                return [nnf.max_pool2d(x, size, *about) for x in read]
            many = size[0] * size[1] if layer.kind == "sum" else 1
            return [many * nnf.avg_pool2d(x, size, *about) for x in read]
        case ReadFlatten():
            return [x.flatten(1) for x in read]
        case Neuron():
            return _neuron(layer, read)


def _neuron(layer: Neuron, read: list[Any]) -> list[Any]:
    leak, gain, drift, threshold, synapse_gain = (
        _array(v, read[0]) for v in (layer.leak, layer.gain, layer.drift, layer.threshold, layer.synapse_gain)
    )
    current = membrane = fired = torch.zeros_like(read[0])
    out = []
    for x in read:
        if layer.synapse is None:
            current = synapse_gain * x
        else:
            current = _array(layer.synapse, x) * current + synapse_gain * x
        membrane = leak * membrane + gain * current + drift
        if not layer.spiking:
            out.append(membrane)
            continue
        if layer.reset_at == "next":
            membrane = _reset(layer, membrane, threshold, fired)
        fired = (membrane >= threshold if layer.fires == "at" else membrane > threshold).double()
        if layer.reset_at == "now":
            membrane = _reset(layer, membrane, threshold, fired)
        out.append(fired)
    return out


def _reset(layer: Neuron, membrane: Any, threshold: Any, fired: Any) -> Any:
    if layer.reset == "none":
        return membrane
    return membrane * (1 - fired) if layer.reset == "hard" else membrane - threshold * fired


def neuron(name: str, source: str | tuple[str, ...], **more: Any) -> Neuron:
    inputs = (source,) if isinstance(source, str) else source
    about: dict[str, Any] = {"leak": 0.5, "gain": 1.0, "drift": 0.0, "threshold": 1.0} | more
    return Neuron(name, inputs, **about)


def model(layers: list[Layer], shape: tuple[int, ...], output: str | None = None, **source: Any) -> ReadModel:
    return ReadModel("net", shape, tuple(layers), output or layers[-1].name, source)


class Dyadic:
    """Random numbers with short binary fractions: sums and products of them are exact."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def __call__(self, *shape: int, size: int = 8, parts: int = 8) -> Any:
        return self.rng.integers(-size, size + 1, shape) / parts

    def positive(self, *shape: int) -> Any:
        return self.rng.choice([0.25, 0.5, 0.75, 1.0, 1.5, 2.0], shape)

    def images(self, count: int, *shape: int, bits: int = 1) -> Any:
        return self.rng.integers(0, 2**bits, (count, *shape)).astype(np.uint8)


def check(model: ReadModel, images: Any, image: Image = BITS, *, exact: bool = True) -> FloatNetwork:
    """Fold, run, and compare every neuron's spikes and the output with torch's."""
    network = fold(model, image)
    wanted = evaluate(model, images, image=image)
    spiking = [
        la.name for la in model.layers if isinstance(la, Neuron) and la.spiking and la.name in network.names
    ]
    found = run(network, images, T, record={network.names[name] for name in spiking})
    for name in spiking:
        spikes = found.spikes[network.names[name]]
        np.testing.assert_array_equal(spikes.reshape(wanted[name].shape), wanted[name], err_msg=name)
        assert 0 < wanted[name].mean() < 1, f"{name} tests nothing"
    output = wanted[model.output].reshape(len(images), T, -1)
    if exact:
        np.testing.assert_array_equal(found.outputs, output)
    else:
        np.testing.assert_allclose(found.outputs, output, rtol=1e-9, atol=1e-9)
    return network


def weights_of(network: FloatNetwork, name: str) -> FloatWeights:
    return next(node for node in network.weighted if node.name == name)


def test_batch_norm_goes_into_the_weights_before_it() -> None:
    draw = Dyadic(1)
    factor = np.array([0.5, -0.75, 0.0, 2.0])
    layers = [
        Weights("conv", ("input",), draw(4, 2, 3, 3), draw(4), padding=(1, 1)),
        Norm("bn", ("conv",), factor, np.array([0.5, 1.0, 1.5, -0.25])),
        neuron("lif", "bn"),
        ReadFlatten("flat", ("lif",)),
        Weights("fc", ("flat",), draw(3, 64), draw(3)),
    ]
    net = check(model(layers, (2, 4, 4)), draw.images(5, 2, 4, 4))
    assert len(net.nodes) == 4
    conv = weights_of(net, "conv")
    assert (conv.scale > 0).all()
    assert (conv.weight[2] == 0).all()
    assert conv.bias[2] == 1.5
    np.testing.assert_array_equal(conv.weight[0], layers[0].weight[0])  # the numbers of the file stay


@pytest.mark.parametrize("reset", ["hard", "soft", "none"])
@pytest.mark.parametrize("reset_at", ["now", "next"])
@pytest.mark.parametrize("fires", ["at", "above"])
def test_gains_drifts_and_numbers_for_each_channel(reset: str, reset_at: str, fires: str) -> None:
    draw = Dyadic(2)
    lif = neuron(
        "lif", "conv", leak=np.array([0.5, 0.75, 1.0, 0.0]), gain=np.array([0.5, 0.25, 1.0, -1.0]),
        drift=np.array([0.25, 0.0, -0.125, 0.5]), threshold=draw.positive(4), reset=reset, reset_at=reset_at,
        fires=fires,
    )  # fmt: skip
    layers = [
        Weights("conv", ("input",), draw(4, 2, 3, 3), draw(4)),
        lif,
        Weights("out", ("lif",), draw(3, 4, 2, 2), None),
        neuron("last", "out", synapse=0.5, synapse_gain=0.5, gain=0.5, reset=reset, threshold=0.25),
    ]
    check(model(layers, (2, 4, 4)), draw.images(6, 2, 4, 4))


def test_numbers_for_each_neuron_that_are_one_a_channel() -> None:
    draw = Dyadic(3)
    leak = np.repeat([0.5, 0.25], 16).reshape(2, 4, 4)
    layers = [
        Weights("conv", ("input",), draw(2, 1, 3, 3), draw(2), padding=(1, 1)),
        neuron("lif", "conv", leak=leak, threshold=np.full((2, 4, 4), 0.5), gain=4 * leak),
        ReadFlatten("flat", ("lif",)),
        Weights("fc", ("flat",), draw(3, 32), None),
        neuron("out", "fc", leak=np.array([0.5, 0.5, 0.5]), threshold=np.array([0.25, 0.5, 1.0])),
    ]
    net = check(model(layers, (1, 4, 4)), draw.images(5, 1, 4, 4))
    lif, out = (node for node in net.nodes if isinstance(node, LIF))
    assert np.array_equal(lif.leak, [0.5, 0.25])
    assert lif.threshold == 0.5
    assert out.leak == 0.5
    uneven = leak.copy()
    uneven[0, 1, 2] = 0.75
    own = check(
        model([layers[0], neuron("lif", "conv", leak=uneven, threshold=0.25), *layers[2:]], (1, 4, 4)),
        draw.images(5, 1, 4, 4),
    )
    assert np.array_equal(next(node for node in own.nodes if isinstance(node, LIF)).leak, uneven)
    assert any("lif has a leak for each neuron" in note for note in own.notes)
    with pytest.raises(ImcsimError, match="lif: its floor differs between the neurons of a channel"):
        fold(model([layers[0], neuron("lif", "conv", floor=-uneven), *layers[2:]], (1, 4, 4)))


@given(
    st.integers(0, 10**6), st.sampled_from([1, 2, 4]), st.integers(1, 2), st.integers(1, 2), st.integers(0, 2)
)
@settings(max_examples=15, deadline=None)
def test_convolutions(seed: int, groups: int, stride: int, dilation: int, pad: int) -> None:
    draw = Dyadic(seed)
    layers = [
        Weights(
            "conv",
            ("input",),
            draw(8, 4 // groups, 3, 2),
            draw(8),
            (stride, 1),
            (pad, pad and 1),
            (dilation, dilation),
            groups,
        ),
        Norm("bn", ("conv",), draw(8), draw(8)),
    ]
    found = check(classified(draw, layers, (4, 8, 8)), draw.images(2, 4, 8, 8))
    assert found.nodes[0].groups == groups  # type: ignore[union-attr]


def classified(draw: Dyadic, layers: list[Layer], shape: tuple[int, ...]) -> ReadModel:
    """`layers`, then neurons and a classifier."""
    last = layers[-1].name
    values = evaluate(model(layers, shape), np.zeros((1, *shape)), 1)[last]
    tail = [
        neuron("lif", last, threshold=0.25),
        ReadFlatten("flat", ("lif",)),
        Weights("fc", ("flat",), draw(3, values.size), None),
    ]
    return model([*layers, *tail], shape)


@pytest.mark.parametrize("kind", ["average", "sum", "max"])
def test_pools_of_spikes_and_scales_after_them(kind: Any) -> None:
    draw = Dyadic(5)
    scale = np.full(4, 0.5) if kind == "max" else np.array([0.5, 1.0, -2.0, 0.0])
    layers = [
        Weights("conv", ("input",), draw(4, 2, 3, 3), draw(4), padding=(1, 1)),
        neuron("lif", "conv"),
        Norm("scale", ("lif",), scale, np.zeros(1)),
        ReadPool("pool", ("scale",), kind, (2, 3), (2, 1), (1, 0)),
        Norm("bn", ("pool",), draw(4), draw(4)),
        ReadFlatten("flat", ("bn",)),
        Weights("fc", ("flat",), draw(3, 4 * 4 * 4), draw(3)),
    ]
    net = check(model(layers, (2, 6, 6)), draw.images(4, 2, 6, 6), exact=kind != "average")
    assert sum(isinstance(node, Pool2d) for node in net.nodes) == 1


def test_averages_of_averages_are_one_pool() -> None:
    draw = Dyadic(6)
    layers = [
        Weights("conv", ("input",), draw(2, 1, 3, 3), np.array([0.5, 0.25]), padding=(1, 1)),
        neuron("lif", "conv"),
        ReadPool("pool1", ("lif",), "average", (2, 2), (2, 2)),
        ReadPool("pool2", ("pool1",), "average", (2, 2), (1, 1)),
        ReadFlatten("flat", ("pool2",)),
        Weights("fc", ("flat",), draw(3, 18), draw(3)),
    ]
    net = check(model(layers, (1, 8, 8)), draw.images(4, 1, 8, 8))
    pools = [node for node in net.nodes if isinstance(node, Pool2d)]
    assert [(p.size, p.stride) for p in pools] == [((4, 4), (2, 2))]


@pytest.mark.parametrize("padding", [(0, 0), (1, 0)])
@pytest.mark.parametrize("kind", ["average", "sum", "max"])
def test_currents_are_pooled_before_neurons(kind: Any, padding: tuple[int, int]) -> None:
    """A batch norm before the pool and a scale after it go into the weights; a maximum ignores padding."""
    draw = Dyadic(7)
    layers = [
        Weights("conv", ("input",), draw(4, 1, 3, 3), draw(4), (2, 1), (1, 1), (1, 2), groups=2),
        Norm("bn", ("conv",), draw(4), draw(4)),
        ReadPool("pool", ("bn",), kind, (2, 2), (2, 2), padding),
        Norm("after", ("pool",), np.abs(draw(4)) + 0.5, np.zeros(4) if any(padding) else draw(4)),
        neuron("lif", "after", threshold=0.25),
        ReadFlatten("flat", ("lif",)),
        Weights("fc", ("flat",), draw(3, 24 if any(padding) else 16), draw(3)),
    ]
    net = check(model(layers, (2, 8, 6)), draw.images(6, 2, 8, 6))
    assert [node.name for node in net.nodes] == ["conv", "pool", "lif", "flat", "fc"]


@pytest.mark.parametrize("kind", ["average", "sum"])
def test_pooled_currents_before_weights_become_one_convolution(kind: Any) -> None:
    draw = Dyadic(7)
    layers = [
        Weights("conv", ("input",), draw(4, 1, 3, 3), draw(4), (2, 1), (1, 1), (1, 2), groups=2),
        Norm("bn", ("conv",), draw(4), draw(4)),
        ReadPool("pool", ("bn",), kind, (2, 2), (2, 2)),
        Weights("point", ("pool",), draw(4, 4, 1, 1), draw(4)),
        neuron("lif", "point", threshold=0.25),
        ReadFlatten("flat", ("lif",)),
        Weights("fc", ("flat",), draw(3, 16), draw(3)),
    ]
    net = check(model(layers, (2, 8, 6)), draw.images(6, 2, 8, 6))
    assert [node.name for node in net.nodes] == ["point", "lif", "flat", "fc"]
    assert any("pool pools the currents of conv" in note for note in net.notes)


def test_what_is_pooled_for_two_readers_is_computed_for_each() -> None:
    """Neurons behind a pool, neurons on the same currents, a sum of pooled currents, pooled class outputs."""
    draw = Dyadic(3)
    layers = [
        Weights("conv", ("input",), draw(4, 2, 3, 3), draw(4), padding=(1, 1)),
        ReadPool("pool", ("conv",), "max", (2, 2), (2, 2)),
        neuron("lif", "pool", threshold=0.25),
        neuron("wide", "conv", threshold=0.5),
        ReadPool("mean", ("conv",), "average", (2, 2), (2, 2)),
        Weights("on", ("lif",), draw(4, 4, 1, 1), draw(4)),
        neuron("both", ("on", "mean"), threshold=0.5),
        Weights("three", ("wide",), draw(4, 4, 2, 2), draw(4), (2, 2)),
        neuron("last", ("both", "three"), threshold=1.0),
        Weights("vote", ("last",), draw(3, 4, 1, 1), draw(3)),
        ReadPool("out", ("vote",), "max", (4, 3), (4, 3)),
    ]
    net = check(model(layers, (2, 8, 6)), draw.images(6, 2, 8, 6))
    pools = {node.name: node.inputs for node in net.nodes if isinstance(node, Pool2d)}
    assert set(pools) == {"pool", "out"}, "an average that is added becomes a convolution"
    assert isinstance(net.nodes[-1], LI)


@given(st.integers(0, 10**6), st.integers(1, 2), st.integers(1, 2), st.integers(1, 2), st.integers(1, 2))
@settings(max_examples=15, deadline=None)
def test_two_convolutions_without_neurons(seed: int, s1: int, s2: int, d1: int, d2: int) -> None:
    draw = Dyadic(seed)
    layers = [
        Weights("a", ("input",), draw(4, 1, 3, 2), draw(4), (s1, s1), (1, 1), (d1, 1), groups=2),
        Norm("bn", ("a",), draw(4), draw(4)),
        Weights("b", ("bn",), draw(6, 2, 2, 3), draw(6), (s2, 1), (0, 0), (d2, 1), groups=2),
    ]
    found = check(classified(draw, layers, (2, 13, 12)), draw.images(2, 2, 13, 12))
    assert [node.name for node in found.weighted] == ["b", "fc"]


def test_rows_without_neurons_and_normalised_inputs_of_weights() -> None:
    draw = Dyadic(8)
    layers = [
        Norm("before", ("input",), draw(6), draw(6)),
        Weights("a", ("before",), draw(5, 6), draw(5)),
        Weights("b", ("a",), draw(4, 5), draw(4)),
        neuron("lif", "b", threshold=0.25),
        Norm("between", ("lif",), draw(4), draw(4)),
        Weights("c", ("between",), draw(3, 4), None),
        Norm("after", ("c",), draw(3), draw(3)),
    ]
    net = check(model(layers, (6,)), draw.images(8, 6, 1, 1))
    assert [node.name for node in net.nodes] == ["b", "lif", "c"]


def test_residual_addition_with_identity_and_projection() -> None:
    draw = Dyadic(9)
    layers = [
        Weights("stem", ("input",), draw(4, 2, 3, 3), draw(4), padding=(1, 1)),
        neuron("lif0", "stem"),
        Weights("conv1", ("lif0",), draw(4, 4, 3, 3), draw(4), padding=(1, 1)),
        Norm("bn1", ("conv1",), draw.positive(4), draw(4)),
        neuron("lif1", ("bn1", "lif0"), gain=0.5),
        Weights("conv2", ("lif1",), draw(6, 4, 3, 3), draw(6), (2, 2), (1, 1)),
        Weights("short", ("lif1",), draw(6, 4, 1, 1), draw(6), (2, 2)),
        neuron("lif2", ("conv2", "short", "conv2"), gain=0.5),
        ReadFlatten("flat", ("lif2",)),
        Weights("fc", ("flat",), draw(3, 24), draw(3)),
    ]
    net = check(model(layers, (2, 4, 4)), draw.images(8, 2, 4, 4))
    adds = [node for node in net.nodes if isinstance(node, Add)]
    assert [add.inputs for add in adds] == [("conv1", "lif0"), ("conv2", "short")]
    assert [add.scale for add in adds] == [0.5, 1.0]
    np.testing.assert_array_equal(weights_of(net, "conv2").scale, np.ones(6))  # added twice, half the gain


def test_identity_with_a_factor_for_each_channel_gets_a_layer() -> None:
    draw = Dyadic(10)
    layers = [
        Weights("stem", ("input",), draw(4, 2, 1, 1), draw(4)),
        neuron("lif0", "stem"),
        Weights("conv", ("lif0",), draw(4, 4, 1, 1), draw(4)),
        neuron("lif1", ("conv", "lif0"), gain=np.array([0.5, 1.0, -1.0, 0.25]), threshold=0.5),
        Weights("out", ("lif1",), draw(3, 4, 2, 2), None),
    ]
    net = check(model(layers, (2, 2, 2)), draw.images(8, 2, 2, 2))
    add = next(node for node in net.nodes if isinstance(node, Add))
    assert add.inputs == ("conv", "lif1.identity")
    assert any("identity layer" in note for note in net.notes)


def test_spikes_that_are_added_before_weights() -> None:
    """SEW residual blocks: the sum of two spike trains enters a convolution."""
    draw = Dyadic(11)
    layers = [
        Weights("stem", ("input",), draw(4, 2, 3, 3), draw(4), padding=(1, 1)),
        neuron("lif0", "stem"),
        Weights("conv1", ("lif0",), draw(4, 4, 3, 3), draw(4), padding=(1, 1)),
        neuron("lif1", "conv1"),
        Weights("conv2", ("lif0", "lif1"), draw(3, 4, 3, 3), draw(3), padding=(1, 1)),
        neuron("lif2", "conv2"),
        ReadPool("pool", ("lif2", "lif2"), "average", (4, 4), (4, 4)),
        ReadFlatten("flat", ("pool",)),
        Weights("fc", ("flat",), draw(3, 3), draw(3)),
    ]
    net = check(model(layers, (2, 4, 4)), draw.images(8, 2, 4, 4))
    assert any("conv2 reads a sum of 2 layers" in note for note in net.notes)
    # Its weights are held once, behind the sum.
    assert [node.name for node in net.weighted] == ["stem", "conv1", "conv2", "fc"]
    add = next(node for node in net.nodes if isinstance(node, Add))
    assert set(add.inputs) == {"lif0", "lif1"}


def test_pools_of_rows() -> None:
    """Averages of a row, overlapping ones too, are part of the weights behind them; maxima are nodes."""
    draw = Dyadic(17)
    layers = [
        ReadFlatten("flat", ("input",)),
        Weights("fc1", ("flat",), draw(9, 8), draw(9)), neuron("lif1", "fc1"),
        ReadPool("most", ("lif1",), "max", (1, 2), (1, 2)),
        Weights("fc2", ("most",), draw(8, 4), draw(8)), neuron("lif2", "fc2"),
        ReadPool("mean", ("lif2",), "average", (1, 4), (1, 2), (0, 1)),
        Weights("fc3", ("mean",), draw(3, 4), draw(3)),
    ]  # fmt: skip
    net = check(model(layers, (2, 2, 2)), draw.images(8, 2, 2, 2))
    pools = [node for node in net.nodes if isinstance(node, Pool2d)]
    assert [(pool.kind, pool.size, pool.stride) for pool in pools] == [("max", (1, 2), (1, 2))]
    assert [node.weight.shape for node in net.weighted] == [(9, 8), (8, 4), (3, 8)]


@pytest.mark.parametrize(
    ("pool", "said"),
    [
        (ReadPool("most", ("lif",), "max", (1, 3), (1, 2)), "its windows of neighbouring values overlap"),
        (
            ReadPool("most", ("fc",), "max", (1, 3), (1, 3)),
            "the maximum of a row of other values than spikes",
        ),
        (ReadPool("most", ("lif",), "max", (2, 2), (2, 2)), "it pools a row of values, not a map"),
    ],
)
def test_maxima_of_rows_that_no_tile_takes(pool: ReadPool, said: str) -> None:
    draw = Dyadic(18)
    layers = [
        ReadFlatten("flat", ("input",)),
        Weights("fc", ("flat",), draw(9, 8), draw(9)), neuron("lif", "fc"),
        pool,
        Weights("out", ("most",), draw(3, 4), draw(3)),
    ]  # fmt: skip
    with pytest.raises(ImcsimError, match=said):
        fold(model(layers, (2, 2, 2)))


def test_sums_that_no_tile_can_make_keep_weights_for_each() -> None:
    """Spikes with other factors, and a second sum beside the same neurons."""
    draw = Dyadic(11)
    layers = [
        Weights("stem", ("input",), draw(4, 2, 1, 1), draw(4)),
        neuron("lif0", "stem"),
        Weights("conv1", ("lif0",), draw(4, 4, 1, 1), draw(4)),
        neuron("lif1", "conv1"),
        Norm("half", ("lif0",), np.full(4, 0.5), np.zeros(4)),
        Weights("conv2", ("half", "lif1"), draw(4, 4, 1, 1), draw(4)),
        neuron("lif2", "conv2"),
        Weights("fc", ("lif2",), draw(3, 4, 4, 4), draw(3)),
    ]
    net = check(model(layers, (2, 4, 4)), draw.images(8, 2, 4, 4))
    assert [node.name for node in net.weighted] == ["stem", "conv1", "conv2", "conv2.2", "fc"]
    assert any("weights are stored once for each" in note for note in net.notes)


def test_larger_sums_are_made_of_smaller_ones() -> None:
    """Three blocks: each tile adds its spikes to the sum that came before."""
    draw = Dyadic(13)
    layers = [Weights("conv0", ("input",), draw(4, 2, 1, 1), draw(4)), neuron("lif0", "conv0")]
    for k in (1, 2, 3):
        before = tuple(f"lif{n}" for n in range(k))
        layers += [Weights(f"conv{k}", before, draw(4, 4, 1, 1), draw(4)), neuron(f"lif{k}", f"conv{k}")]
    last = ("lif0", "lif1", "lif2", "lif3")
    layers += [ReadPool("pool", last, "average", (4, 4), (4, 4)), ReadFlatten("flat", ("pool",))]
    layers += [Weights("fc", ("flat",), draw(3, 4), draw(3))]
    net = check(model(layers, (2, 4, 4)), draw.images(8, 2, 4, 4))
    sums = {node.name: node.inputs for node in net.nodes if isinstance(node, Add)}
    assert sums == {
        "lif1.sum": ("lif0", "lif1"), "lif2.sum": ("lif1.sum", "lif2"), "lif3.sum": ("lif2.sum", "lif3")
    }  # fmt: skip
    assert len(net.weighted) == 5


def test_neurons_on_the_image_and_two_layers_in_a_row() -> None:
    draw = Dyadic(12)
    layers = [
        neuron("encoder", "input", leak=0.75, threshold=0.75, gain=0.5),
        neuron("second", "encoder", leak=0.5, threshold=1.25),
        ReadFlatten("flat", ("second",)),
        Weights("fc", ("flat",), draw(5, 8), draw(5)),
        neuron("third", "fc"),
        neuron("fourth", "third", threshold=1.5, leak=0.75),
    ]
    image = Image(bits=8, scale=2.0**-7)
    net = check(model(layers, (2, 2, 2)), draw.images(8, 2, 2, 2, bits=8), image)
    assert [node.name for node in net.weighted] == [
        "encoder.identity",
        "second.identity",
        "fc",
        "fourth.identity",
    ]


def test_neurons_on_a_flattened_map() -> None:
    draw = Dyadic(13)
    layers = [
        Weights("conv", ("input",), draw(2, 1, 2, 2), draw(2)),
        ReadFlatten("flat", ("conv",)),
        neuron("lif", "flat", leak=np.repeat([0.5, 0.25], 9)),
        Weights("fc", ("lif",), draw(3, 18), draw(3)),
    ]
    net = check(model(layers, (1, 4, 4)), draw.images(8, 1, 4, 4))
    assert [node.name for node in net.nodes] == ["conv", "lif", "flat", "fc"]


def test_one_dimensional_convolutions_and_rows() -> None:
    draw = Dyadic(14)
    weight = draw(4, 2, 1, 3)
    layers = [
        Weights("conv", ("input",), weight, draw(4), (1, 2), (0, 1)),
        neuron("lif", "conv"),
        ReadFlatten("flat", ("lif",)),
        Weights("fc", ("flat",), draw(3, 16), draw(3)),
    ]
    torch_model = model(layers, (2, 1, 8))
    net = check(torch_model, draw.images(8, 2, 1, 8))
    assert fold(model(layers, (2, 8)), BITS).input_shape == net.input_shape == (2, 1, 8)


@pytest.mark.parametrize("pad", [0, 1])
def test_mean_and_deviation_of_the_image(pad: int) -> None:
    """Codes of the mean around the image stand for the zeros of the normalised one."""
    draw = Dyadic(15)
    image = Image(bits=8, scale=2.0**-8, mean=(0.5, 0.25), std=(0.5, 0.25))
    layers = [
        Weights("conv", ("input",), draw(4, 2, 3, 3), draw(4), padding=(pad, pad)),
        neuron("lif", "conv"),
        ReadPool("pool", ("lif",), "average", (2, 2), (2, 2)),
        ReadFlatten("flat", ("pool",)),
        Weights("fc", ("flat",), draw(3, 4 * (1 + pad) ** 2), draw(3)),
    ]
    net = check(model(layers, (2, 4, 4)), draw.images(8, 2, 4, 4, bits=8), image)
    assert net.input_padding == ((128.0, 64.0) if pad else ())


def test_integrators_at_the_end_and_scales_after_them() -> None:
    draw = Dyadic(16)
    layers = [
        Weights("fc1", ("input",), draw(8, 6), draw(8)),
        neuron("lif", "fc1"),
        Weights("fc2", ("lif",), draw(3, 8), draw(3)),
        neuron("li", "fc2", leak=np.array([0.5, 0.75, 1.0]), gain=0.5, spiking=False, synapse=0.5),
        Norm("scale", ("li",), np.array([0.5, -1.0, 2.0]), np.zeros(3)),
    ]
    net = check(model(layers, (6,)), draw.images(8, 6, 1, 1))
    assert isinstance(net.nodes[-1], LI)
    with pytest.raises(ImcsimError, match="more: reads 'li', leaky integrators"):
        fold(model([*layers[:4], Weights("more", ("li",), draw(3, 3), None)], (6,)))
    with pytest.raises(ImcsimError, match="shift: reads 'li', leaky integrators"):
        fold(model([*layers[:4], Norm("shift", ("li",), np.ones(3), np.ones(3))], (6,)))


def test_outputs_of_every_kind() -> None:
    draw = Dyadic(17)
    fc1, lif = Weights("fc1", ("input",), draw(8, 6), draw(8)), neuron("lif", "fc1")
    fc2, fc3 = Weights("fc2", ("lif",), draw(3, 8), draw(3)), Weights("fc3", ("lif",), draw(3, 8), draw(3))
    out = neuron("out", "fc2")
    check(model([fc1, lif, fc2, out], (6,)), draw.images(8, 6, 1, 1))
    summed = check(
        model([fc1, lif, fc2, fc3, Norm("sum", ("fc2", "fc3"), np.ones(1), np.zeros(1))], (6,)),
        draw.images(8, 6, 1, 1),
    )
    assert isinstance(summed.nodes[-1], LI)
    scaled = check(
        model([fc1, lif, fc2, out, Norm("scale", ("out",), draw(3), draw(3))], (6,)), draw.images(8, 6, 1, 1)
    )
    assert scaled.weighted[-1].name == "scale.identity"
    conv, voting = (
        Weights("conv", ("input",), draw(3, 1, 3, 3), draw(3)),
        ReadPool("pool", ("lif",), "average", (2, 2), (2, 2)),
    )
    pooled = model(
        [conv, neuron("lif", "conv", threshold=0.5), voting, ReadFlatten("flat", ("pool",))], (1, 4, 4)
    )
    assert check(pooled, draw.images(8, 1, 4, 4)).classes == 3


def test_weights_that_two_readers_scale_differently_are_stored_twice() -> None:
    draw = Dyadic(18)
    layers = [
        Weights("fc", ("input",), draw(4, 6), draw(4)),
        neuron("a", "fc"),
        neuron("b", "fc", gain=0.5),
        neuron("c", "fc"),
        Weights("out", ("a", "b", "c"), draw(3, 4), None),
    ]
    net = check(model(layers, (6,)), draw.images(8, 6, 1, 1))
    assert [node.name for node in net.weighted if node.name.startswith("fc")] == ["fc", "fc.2"]


def test_layers_that_the_output_does_not_need_are_left_out() -> None:
    draw = Dyadic(19)
    layers = [
        Weights("fc", ("input",), draw(4, 6), draw(4)),
        neuron("lif", "fc"),
        Weights("probe", ("lif",), draw(2, 4), None),
        Weights("0", ("lif",), draw(3, 4), None),
    ]
    net = check(model(layers, (6,)), draw.images(8, 6, 1, 1))
    assert net.names == {"fc": "fc", "lif": "lif", "0": "fc0"}
    assert any("left out" in note and "probe" in note for note in net.notes)


NAN = float("nan")
CONV = Weights("conv", ("input",), np.ones((2, 1, 3, 3)), None, padding=(1, 1))
REFUSED: list[tuple[str, str, list[Layer]]] = [
    ("fc", "it has one output", [ReadFlatten("f", ("input",)), Weights("fc", ("f",), np.ones((1, 16)))]),
    ("lif", "leak is 1.25 a timestep", [CONV, neuron("lif", "conv", leak=1.25)]),
    ("lif", "leak is -0.5 a timestep", [CONV, neuron("lif", "conv", leak=-0.5)]),
    ("lif", "threshold lies 0 above", [CONV, neuron("lif", "conv", threshold=0.0)]),
    ("lif", "its gain holds NaN", [CONV, neuron("lif", "conv", gain=NAN)]),
    ("lif", "drifts", [CONV, neuron("lif", "conv", synapse=0.5, drift=1.0, spiking=False)]),
    (
        "conv",
        "its weight holds NaN",
        [Weights("conv", ("input",), np.full((2, 1, 3, 3), NAN)), neuron("lif", "conv")],
    ),
    ("bn", "its factor holds NaN", [CONV, Norm("bn", ("conv",), np.array([np.inf]), np.zeros(1))]),
    ("bn", "its factor has 3 numbers", [CONV, Norm("bn", ("conv",), np.ones(3), np.zeros(1))]),
    (
        "on",
        "reads the maxima of currents (pool)",
        [
            CONV,
            ReadPool("pool", ("conv",), "max", (2, 2), (2, 2)),
            Weights("on", ("pool",), np.ones((1, 4, 1, 1))),
            neuron("lif", "on"),
        ],
    ),
    (
        "lif",
        "turns its maximum into a minimum",
        [
            CONV,
            ReadPool("pool", ("conv",), "max", (2, 2), (2, 2)),
            Norm("bn", ("pool",), np.full(1, -1.0), np.zeros(1)),
            neuron("lif", "bn"),
        ],
    ),
    (
        "lif",
        "whose padding has no such offset",
        [
            CONV,
            ReadPool("pool", ("conv",), "average", (2, 2), (2, 2), (1, 1)),
            Norm("bn", ("pool",), np.ones(1), np.ones(1)),
            neuron("lif", "bn"),
        ],
    ),
    ("pool", "maximum over the image", [ReadPool("pool", ("input",), "max", (2, 2), (2, 2))]),
    (
        "next",
        "pads the currents of 'conv'",
        [CONV, Weights("next", ("conv",), np.ones((2, 2, 3, 3)), None, padding=(1, 1))],
    ),
    (
        "fc",
        "a fully connected layer reads a 2 x 4 x 4 map",
        [CONV, neuron("lif", "conv"), Weights("fc", ("lif",), np.ones((3, 32)))],
    ),
    (
        "fc",
        "its weights take 30 values, but it reads 32",
        [CONV, neuron("lif", "conv"), ReadFlatten("f", ("lif",)), Weights("fc", ("f",), np.ones((3, 30)))],
    ),
    (
        "next",
        "take 5 channels, but it reads 2",
        [CONV, neuron("lif", "conv"), Weights("next", ("lif",), np.ones((2, 5, 3, 3)))],
    ),
    (
        "next",
        "9 x 9 window does not fit",
        [CONV, neuron("lif", "conv"), Weights("next", ("lif",), np.ones((2, 2, 9, 9)))],
    ),
    (
        "next",
        "pads values that were shifted",
        [
            CONV,
            neuron("lif", "conv"),
            Norm("bn", ("lif",), np.ones(2), np.ones(2)),
            Weights("next", ("bn",), np.ones((2, 2, 3, 3)), None, padding=(1, 1)),
        ],
    ),
    ("lif", "the output is a 2 x 4 x 4 map", [CONV, neuron("lif", "conv")]),
    ("lif", "reads 'missing'", [CONV, neuron("lif", "missing")]),
]


@pytest.mark.parametrize(("name", "reason", "layers"), REFUSED, ids=[f"{r[0]}-{r[1][:24]}" for r in REFUSED])
def test_refused_by_name(name: str, reason: str, layers: list[Layer]) -> None:
    with pytest.raises(ImcsimError) as caught:
        fold(model(layers, (1, 4, 4), file="net.nir"), BITS)
    assert caught.value.key == name
    assert reason in str(caught.value)
    assert str(caught.value).startswith("net.nir: ")
    assert "\n" not in str(caught.value)
