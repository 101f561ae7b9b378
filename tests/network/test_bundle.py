"""Bundles survive the way to disk and back, and everything broken or hostile is refused in one clear line."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import forward, random_images, random_network, vgg_like
from numpy.typing import NDArray

from imcsim import network as nw
from imcsim.base.errors import ImcsimError
from imcsim.network import LI, LIF, Add, Conv2d, Flatten, Linear, Network, Node, Pool2d
from imcsim.network.arrays import read_npz, write_npz

Change = Callable[[dict[str, Node]], None]


def same(one: Network, two: Network) -> bool:
    """Equal in everything that `fingerprint` does not flatten: types of nodes and bits of arrays."""
    return (
        nw.fingerprint(one) == nw.fingerprint(two)
        and [type(n) for n in one.nodes] == [type(n) for n in two.nodes]
        and all(
            np.array_equal(a.weight, b.weight)
            and np.array_equal(a.scale, b.scale)
            and np.array_equal(a.bias, b.bias)
            for a, b in zip(one.weighted, two.weighted, strict=True)
        )
    )


def conv(name: str, source: str, shape: tuple[int, int, int, int], **more: Any) -> Conv2d:
    ones = np.ones(shape[0])
    return Conv2d(
        name, (source,), np.ones(shape, np.int8), ones, 0 * ones, padding=more.pop("padding", (1, 1)), **more
    )


def small() -> Network:
    """Image 1x4x4, two convolutions with a shortcut, a pool and a classifier."""
    nodes = (
        conv("conv1", "input", (2, 1, 3, 3)),
        LIF("lif1", ("conv1",), 0.5, 1.0, "hard"),
        conv("conv2", "lif1", (2, 2, 3, 3)),
        Add("add", ("conv2", "lif1")),
        LIF("lif2", ("add",), 0.5, 1.0, "soft"),
        Pool2d("pool", ("lif2",), "max", (2, 2), (2, 2)),
        Flatten("flatten", ("pool",)),
        Linear("fc", ("flatten",), np.ones((3, 8), np.int8), np.ones(3), np.zeros(3)),
    )
    return Network("small", (1, 4, 4), 8, 1 / 256, 3, 2, 8, nodes)


def changed(name: str, /, **fields: Any) -> Network:
    """`small` with other fields in one node, or in the network where `name` is empty."""
    network = small()
    if not name:
        return replace(network, **fields)
    return replace(network, nodes=tuple(replace(n, **fields) if n.name == name else n for n in network.nodes))


def without(name: str) -> Network:
    network = small()
    return replace(network, nodes=tuple(n for n in network.nodes if n.name != name))


def inserted(*nodes: Node, **inputs: tuple[str, ...]) -> Network:
    """`small` with `nodes` before the classifier and other `inputs` of the nodes named by keyword."""
    old = [replace(n, inputs=inputs.get(n.name, n.inputs)) for n in small().nodes]  # type: ignore[arg-type]
    return replace(small(), nodes=(*old[:-1], *nodes, old[-1]))


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    residual=st.booleans(),
    average=st.booleans(),
    weight_bits=st.integers(2, 16),
    note=st.text(max_size=20),
)
def test_a_bundle_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    residual: bool,
    average: bool,
    weight_bits: int,
    note: str,
) -> None:
    rng = np.random.default_rng(seed)
    network = random_network(rng, residual=residual, average=average, weight_bits=weight_bits, size=6)
    network = replace(
        network, provenance={"note": note, "1e3": ["1e3", "no", "", None, 1e-7, 10**20, {"x": True}]}
    )
    folder = tmp_path_factory.mktemp("bundle") / "net"
    nw.save(network, folder)
    loaded = nw.load(folder)
    assert same(network, loaded)
    assert loaded.provenance == network.provenance
    assert loaded.sha256 == nw.fingerprint(network)
    assert nw.check(folder) == []
    first = [(folder / f).read_bytes() for f in ("network.yaml", "weights.npz")]
    nw.save(loaded, folder)
    assert first == [(folder / f).read_bytes() for f in ("network.yaml", "weights.npz")]


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32), residual=st.booleans(), average=st.booleans(), soft=st.booleans())
def test_random_networks_are_valid_spike_and_have_the_shapes_promised(
    seed: int, residual: bool, average: bool, soft: bool
) -> None:
    rng = np.random.default_rng(seed)
    network = random_network(
        rng, residual=residual, average=average, depth=3, reset="soft" if soft else "hard", channels=8
    )
    nw.validate(network)
    values = forward(network, random_images(rng, network.input_shape, 16), 3)
    shapes = nw.shapes(network)
    assert {n: v.shape[2:] for n, v in values.items()} == {n: s for n, s in shapes.items() if n != "input"}
    rates = [float(values[n.name].mean()) for n in network.nodes if isinstance(n, LIF)]
    assert all(0.03 < rate < 0.5 for rate in rates), rates


def test_the_default_shape_fires_at_moderate_rates_in_every_layer() -> None:
    rng = np.random.default_rng(5)
    network = vgg_like(rng)
    nw.validate(network)
    assert sum(n.weight.size for n in network.weighted) == 3 * 9 * 32 + 9 * (32 * 64 + 64**2 + 64 * 128) + (
        9 * 2 * 128**2 + 2048 * 10
    )
    values = forward(network, random_images(rng, (3, 32, 32), 4), 4)
    assert all(0.05 < values[n.name].mean() < 0.4 for n in network.nodes if isinstance(n, LIF))


def test_the_fingerprint_depends_on_values_and_not_on_types_of_arrays() -> None:
    base = nw.fingerprint(small())
    wide = changed("fc", weight=np.ones((3, 8), np.int64))
    assert nw.fingerprint(wide) == base
    assert nw.fingerprint(changed("fc", bias=np.array([0, 0, 1e-300]))) != base
    assert nw.fingerprint(changed("lif1", leak=0.25)) != base
    assert nw.fingerprint(changed("", provenance={"seed": 1})) != base


def test_shapes_take_stride_padding_and_floors() -> None:
    nodes = (
        conv("c", "input", (2, 1, 3, 5), stride=(2, 3), padding=(1, 0)),
        LIF("l", ("c",), 1.0, 1.0, "hard"),
        Pool2d("p", ("l",), "average", (2, 2), (2, 2)),
        conv("out", "p", (2, 2, 2, 1), padding=(0, 0), stride=(7, 1)),
    )
    network = Network("n", (1, 9, 10), 8, 1.0, 2, 1, 8, nodes)
    assert nw.shapes(network) == {
        "input": (1, 9, 10),
        "c": (2, 5, 2),
        "l": (2, 5, 2),
        "p": (2, 2, 1),
        "out": (2, 1, 1),
    }
    nw.validate(network)


def test_a_linear_layer_may_read_the_image() -> None:
    nodes = (
        Linear("a", ("input",), np.ones((5, 16), np.int8), np.ones(5), np.zeros(5)),
        LIF("l", ("a",), 1.0, 1.0, "hard"),
        Linear("b", ("l",), np.ones((2, 5), np.int8), np.ones(2), np.zeros(2)),
    )
    nw.validate(Network("n", (1, 4, 4), 8, 1.0, 2, 1, 8, nodes))


def test_describe_gives_one_row_a_node_with_its_shape_and_weights() -> None:
    rows = nw.describe(small())
    assert [r.layer for r in rows] == ["input", *(n.name for n in small().nodes)]
    assert rows[3] == ("conv2", "conv2d", "2 x 4 x 4", "36", "3x3 kernel, stride 1, padding 1")
    assert rows[6].detail == "max of 2x2, stride 2"
    each = np.array([0.25, 0.5])
    mixed = changed("lif1", leak=each, reset_at="next", fires="above", synapse=0.125)
    assert nw.describe(mixed)[2].detail == (
        "leak 0.25 to 0.5, threshold 1 (fires above it), hard reset a timestep later, synapse 0.125"
    )
    wide = changed("conv2", dilation=(1, 2), groups=2, weight=np.ones((2, 1, 3, 1), np.int8), padding=(1, 0))
    assert nw.describe(wide)[3][3:] == ("6", "3x1 kernel, stride 1, padding 1x0, dilation 1x2, 2 groups")
    pooled = changed("pool", kind="sum", size=(2, 3), stride=(1, 2), padding=(0, 1))
    pooled = replace(pooled, nodes=pooled.nodes[:6])
    assert nw.describe(pooled)[6].detail == "sum of 2x3, stride 1x2, padding 0x1"


WIDE = np.ones((3, 8), np.int16)
RULES: list[tuple[Network, str]] = [
    (changed("", name="a b"), "name: 'a b' is not a name"),
    (changed("", input_shape=(1, 0, 4)), "input.shape: the shape must be channels"),
    (changed("", input_bits=9), "input.bits: must be an integer from 1 to 8, not 9"),
    (changed("", input_scale=float("nan")), "input.scale: must be a positive number"),
    (changed("", classes=1), "classes: must be an integer from 2"),
    (changed("", timesteps=True), "timesteps: must be an integer from 1 to 4096, not True"),
    (changed("", weight_bits=17), "weight_bits: must be an integer from 1 to 16"),
    (changed("", classes=4), "fc: the output is 3, but there are 4 classes"),
    (changed("", nodes=()), "the network has no nodes"),
    (changed("", provenance={"accuracy": {"float": [0.5, 1.5]}}), "accuracies are numbers from 0 to 1"),
    (changed("conv1", name="input"), "'input' is not a name for a node"),
    (changed("pool", name="../x"), "'../x' is not a name for a node"),
    (changed("lif2", name="lif1"), "lif1: two nodes have this name"),
    (changed("lif1", inputs=("conv1", "conv1")), "reads 2 nodes, but lif takes 1"),
    (changed("add", inputs=("conv2",)), "reads 1 node, but add takes 2 to 8"),
    (
        changed("lif1", inputs=("conv11",)),
        "reads 'conv11', but no node has that name (did you mean 'conv1'?)",
    ),
    (changed("conv2", inputs=("lif2",)), "conv2: reads 'lif2', which comes after it"),
    (changed("conv2", inputs=("conv2",)), "conv2: reads itself"),
    (changed("conv2", inputs=("conv1",)), "reads 'conv1' (conv2d): weights take the image or spikes"),
    (changed("lif2", inputs=("lif1",)), "reads 'lif1' (lif): neurons take currents"),
    (changed("lif1", inputs=("input",)), "reads the image: neurons take currents"),
    (changed("pool", inputs=("add",)), "reads 'add' (add): pools take spikes, or a convolution's currents"),
    (changed("pool", inputs=("conv2",)), "pool: pooled currents are for one layer of neurons"),
    (changed("pool", inputs=("conv2",)), "reads 'pool' (pool2d): only maps of spikes are flattened"),
    (
        inserted(
            Pool2d("one", ("conv2",), "max", (2, 2), (1, 1)), Pool2d("two", ("one",), "max", (2, 2), (1, 1))
        ),
        "two: pools the pooled currents of 'one'",
    ),
    (changed("lif1", floor=0.5), "lif1: floor must not be above 0"),
    (changed("lif1", floor=np.array([-1.0, 0.5])), "lif1: floor must not be above 0"),
    (changed("lif1", floor="low"), "lif1: floor must be a number, not 'low'"),
    (changed("lif1", initial=np.zeros(3)), "lif1: initial has 3 values, but 'conv1' gives 2 channels"),
    (changed("lif1", drift=np.array([0.0, np.nan])), "lif1: drift must be finite for every channel"),
    (changed("lif1", max_spikes=0), "lif1: max_spikes must be an integer from 1 to 255, not 0"),
    (changed("lif1", refractory=-1), "lif1: refractory must be an integer from 0 to 4095, not -1"),
    (changed("lif1", max_spikes=2, fires="above"), "lif1: several spikes per timestep are counted at the"),
    (changed("lif1", refractory=2, reset_at="next"), "lif1: refractory timesteps begin with a reset at once"),
    (changed("flatten", inputs=("add",)), "reads 'add' (add): only maps of spikes are flattened"),
    (changed("add", inputs=("lif1", "lif1")), "add: adds no currents"),
    (
        changed("add", inputs=("conv2", "input")),
        "adds the image: it takes currents, spikes or max-pooled spikes",
    ),
    (
        inserted(
            Pool2d("half", ("lif2",), "average", (5, 5), (2, 2), (1, 1)),
            Pool2d("again", ("half",), "sum", (4, 4), (2, 2), (3, 3)),
        ),
        "again: adds up to 400 spikes; an input of 8 bits holds 255",
    ),
    (
        inserted(
            Pool2d("mean", ("lif1",), "average", (1, 1), (1, 1)),
            Add("more", ("conv2", "mean")),
        ),
        "more: adds 'mean' (pool2d): it takes currents, spikes or max-pooled",
    ),
    (inserted(Add("more", ("add", "conv2"))), "more: adds 'add' (add)"),
    (changed("fc", weight=np.ones((3, 8))), "fc: weights must be integers, not float64"),
    (changed("fc", weight=np.ones((3, 8, 1), np.int8)), "fc: weights must be [Cout, Cin], not [3, 8, 1]"),
    (changed("fc", weight=np.ones((0, 8), np.int8)), "fc: weights must be [Cout, Cin], not [0, 8]"),
    (changed("fc", weight=WIDE * -128), "weights reach 128 in size, beyond the symmetric range of 8 bits"),
    (replace(changed("fc", weight=WIDE * 8), weight_bits=4), "keep them within -7 to 7"),
    (changed("fc", scale=np.zeros(3)), "fc: scale must be positive everywhere"),
    (changed("fc", scale=np.array([1, np.inf, 1])), "fc: scale has numbers that are not finite"),
    (changed("fc", bias=np.array([1, np.nan, 1])), "fc: bias has numbers that are not finite"),
    (changed("fc", bias=np.zeros(2)), "fc: bias must be [3], one number an output, not [2]"),
    (changed("fc", scale=np.ones(3, np.float32)), "fc: scale must be float64, not float32"),
    (changed("conv2", stride=(0, 1)), "conv2: stride must be two integers"),
    (
        changed("conv2", padding=(-1, 1)),
        "conv2: padding must be two integers from 0 to 65536, not (-1, 1)",
    ),
    (
        changed("conv2", weight=np.ones((2, 3, 3, 3), np.int8)),
        "its weights take 3 channels, but 'lif1' gives 2",
    ),
    (
        changed("conv2", weight=np.ones((2, 2, 7, 7), np.int8)),
        "a 7 x 7 kernel does not fit the 4 x 4 map of 'lif1'",
    ),
    (changed("conv2", stride=(2, 2)), "add: adds 2 x 2 x 2 of 'conv2' to 2 x 4 x 4 of 'lif1'"),
    (
        changed("fc", inputs=("pool",)),
        "'pool' gives a 2 x 2 x 2 map, not a row of values (put a flatten node",
    ),
    (changed("fc", weight=np.ones((3, 7), np.int8)), "its weights take 7 values; 'flatten' gives 8"),
    (changed("lif1", leak=1.5), "lif1: leak must lie in [0, 1], not 1.5"),
    (changed("lif1", leak=float("nan")), "lif1: leak must lie in [0, 1]"),
    (changed("lif1", threshold=0.0), "lif1: threshold must be a positive number"),
    (changed("lif1", reset="zero"), "lif1: reset must be 'hard', 'soft' or 'none', not 'zero'"),
    (changed("lif1", fires="over"), "lif1: fires must be 'at' or 'above', not 'over'"),
    (changed("lif1", reset_at="later"), "lif1: reset_at must be 'now' or 'next', not 'later'"),
    (changed("lif1", synapse=-0.1), "lif1: synapse must lie in [0, 1], not -0.1"),
    (changed("lif1", leak=np.array([0.5, 1.5])), "lif1: leak must lie in [0, 1] for every channel"),
    (changed("lif1", leak=np.array([0.5, np.nan])), "lif1: leak must lie in [0, 1] for every channel"),
    (changed("lif1", leak=np.ones((2, 1))), "lif1: leak must be a number, or one per channel, not [2, 1]"),
    (changed("lif1", threshold=np.ones(2, np.float32)), "lif1: threshold must be float64, not float32"),
    (changed("lif1", threshold=np.array([1.0, 0])), "threshold must be a positive number for every channel"),
    (changed("lif1", synapse=np.ones(3)), "lif1: synapse has 3 values, but 'conv1' gives 2 channels"),
    (changed("", input_padding=(1, 2)), "input.padding: must be 1 pixels from 0 to 255, one per channel"),
    (changed("", input_padding=(256,)), "input.padding: must be 1 pixels from 0 to 255, one per channel"),
    (changed("conv2", groups=3), "conv2: groups must divide the 2 output channels, not 3"),
    (changed("conv2", groups=2), "its weights take 2 channels in each of 2 groups, but 'lif1' gives 2"),
    (
        replace(
            changed(
                "conv1",
                weight=np.ones((1 << 14, 1, 1, 1), np.int8),
                scale=np.ones(1 << 14),
                bias=np.zeros(1 << 14),
                groups=1 << 14,
            ),
            input_shape=(1 << 14, 1, 1),
        ),
        "conv1: takes the crossbars of 16384 x 16384 x 1 x 1 weights, whatever its groups",
    ),
    (changed("conv2", dilation=(0, 1)), "conv2: dilation must be two integers from 1"),
    (
        changed("conv2", dilation=(1, 4)),
        "a 3 x 3 kernel with dilation 1 x 4 does not fit the 4 x 4 map of 'lif1'",
    ),
    (changed("pool", kind="median"), "pool: pooling must be 'average', 'max' or 'sum', not 'median'"),
    (changed("pool", stride=(0, 1)), "pool: size and stride must be integers from 1"),
    (changed("pool", stride=2), "pool: size and stride must be integers from 1"),
    (changed("pool", size=(5, 1)), "pool: a window of 5 x 1 does not fit the 4 x 4 map of 'lif2'"),
    (changed("pool", padding=(2, 0)), "pool: padding must be integers from 0 to below the window 2 x 2"),
    (changed("add", inputs=("conv2",) * 9), "reads 9 nodes, but add takes 2 to 8"),
    (
        inserted(LI("li", ("conv2",), 0.5), Flatten("flat2", ("li",))),
        "li: an li node never fires (put it last, or use a lif node)",
    ),
    (changed("add", scale=-1.0), "add: scale must be a positive number"),
    (without("fc"), "flatten: the last node is a flatten (end with the linear"),
    (inserted(Pool2d("spare", ("lif1",), "max", (2, 2), (2, 2))), "spare: nothing reads this node"),
    (changed("", nodes=(conv("c", "input", (3, 1, 4, 4), padding=(0, 0)),)), "c: the output reads the image"),
    (changed("", input_shape=(1, 65536, 65536)), "conv1: puts out 2 x 65536 x 65536 values; at most"),
]


@pytest.mark.parametrize(("network", "message"), RULES, ids=[message[:40] for _, message in RULES])
def test_every_rule_is_told_in_words(network: Network, message: str) -> None:
    assert any(message in str(ImcsimError(p.message, key=p.key, fix=p.fix)) for p in nw.problems(network)), [
        str(p) for p in nw.problems(network)
    ]
    with pytest.raises(ImcsimError):
        nw.validate(network)


def test_what_the_rules_are_tried_on_is_itself_sound() -> None:
    nw.validate(small())


def test_all_problems_of_a_file_are_listed_with_their_lines(tmp_path: Path) -> None:
    nw.save(small(), tmp_path / "n")
    text = (tmp_path / "n/network.yaml").read_text()
    text = (
        text.replace("leak: 0.5", "leak: 2", 1)
        .replace("reset: soft", "reset: gentle")
        .replace("bits: 8", "bits: 20", 1)
    )
    (tmp_path / "n/network.yaml").write_text(text)
    lines = text.split("\n")
    problems = nw.check(tmp_path / "n")
    assert len(problems) == 3
    assert f"network.yaml:{lines.index('- name: lif1') + 1}: lif1: leak must lie in" in problems[1]
    with pytest.raises(ImcsimError, match=r"network\.yaml:6: input\.bits: must be"):
        nw.load(tmp_path / "n")


TEXTS: list[tuple[str, str, str]] = [
    ("timesteps: 2", "timestep: 2", "timestep: this key is not known (did you mean 'timesteps'?)"),
    ("  leak: 0.5\n", "", "the key 'leak' is missing"),
    ("  leak: 0.5", "  leek: 0.5", "did you mean 'leak'?"),
    ("kind: pool2d", "kind: pool", "'pool' is no kind of node (did you mean 'pool2d'?)"),
    ("schema: 1", "schema: 2", "schema 2 is not known"),
    ("schema: 1", "schema: one", "schema: must be an integer, not 'one'"),
    ("threshold: 1.0", "threshold: high", "threshold: must be a number, not 'high'"),
    ("threshold: 1.0", "threshold: .nan", "is not a finite number"),
    ("shape: [1, 4, 4]", "shape: [1, 4]", "input.shape: must be a list of 3 integers"),
    ("shape: [1, 4, 4]", "shape: [1, 4, 4.5]", "input.shape: must be a list of 3 integers"),
    ("inputs: [conv1]", "inputs: conv1", "must be a list of names"),
    ("weight: fc.weight", "weight: fc.weigth", "holds no array 'fc.weigth' (did you mean 'fc.weight'?)"),
    ("bias: fc.bias", "bias: conv1.bias", "no node names the array 'fc.bias'"),
    ("provenance: {}", "provenance: [1]", "provenance: must be a mapping"),
    ("provenance: {}", "provenance: &a [*a, *a]", "the anchor &a is not allowed"),
    ("classes: 3", "classes: 3\nclasses: 3", "the key 'classes' was given before"),
    ("provenance: {}", "provenance: {text: " + "x" * 1_000_001 + "}", "larger than 1000000 bytes"),
    ("inputs: [input]", "inputs: [lif2]", "reads 'lif2', which comes after it"),
    ("nodes:\n", "nodes: 3\nprovenance:\n", "must be a list of nodes"),
]


@pytest.mark.parametrize(("old", "new", "message"), TEXTS, ids=[m[:40] for _, _, m in TEXTS])
def test_broken_descriptions_are_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    nw.save(small(), tmp_path / "n")
    path = tmp_path / "n/network.yaml"
    text = path.read_text()
    assert old in text
    text = text.replace(old, new, 1)
    if new.startswith("nodes: 3"):
        text = text[: text.index("nodes: 3")] + "nodes: 3\n"
    path.write_text(text)
    with pytest.raises(ImcsimError) as caught:
        nw.load(tmp_path / "n")
    assert message in str(caught.value)
    assert "network.yaml" in str(caught.value)
    assert nw.check(tmp_path / "n")[0] == str(caught.value)


def member(dtype: str, shape: str, data: bytes = b"", fortran: str = "False") -> bytes:
    header = f"{{'descr': {dtype}, 'fortran_order': {fortran}, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


def archive(path: Path, *members: tuple[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members:
            file.writestr(name, data)
    return path


def pickled() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], object), allow_pickle=True)
    return buffer.getvalue()


HOSTILE: list[tuple[str, list[tuple[str, bytes]], str]] = [
    ("object array", [("a.npy", pickled())], "a: arrays of 'object' are not read"),
    ("bare pickle", [("a.npy", pickle.dumps([1]))], "a: the member is no numpy array"),
    ("structure", [("a.npy", member("[('x', '<i4')]", "(1,)", b"1234"))], "are not read"),
    ("complex", [("a.npy", member("'<c16'", "(1,)", bytes(16)))], "arrays of 'complex128' are not read"),
    ("huge shape", [("a.npy", member("'<f8'", "(1000000000, 1000000000)"))], "does not fit its data"),
    ("overflow", [("a.npy", member("'<f8'", "(4611686018427387904, 4)"))], "does not fit its data"),
    ("negative", [("a.npy", member("'<f8'", "(-1, -1)", bytes(8)))], "not possible here"),
    ("empty but wide", [("a.npy", member("'<f8'", f"(0, {10**30})"))], ".npz"),
    ("many axes", [("a.npy", member("'<i1'", str((1,) * 40), b"1"))], "not possible here"),
    ("boolean shape", [("a.npy", member("'<i1'", "(True,)", b"1"))], "not possible here"),
    (
        "code as shape",
        [("a.npy", member("'<i1'", "(__import__('os'),)", b"1"))],
        "header of the array is broken",
    ),
    ("deep header", [("a.npy", member("'<i1'", "(" * 5000 + ")" * 5000))], "header of the array is broken"),
    ("long header", [("a.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\x7f")], "header of the array is broken"),
    ("short data", [("a.npy", member("'<i8'", "(3,)", bytes(16)))], "does not fit its data"),
    ("long data", [("a.npy", member("'<i8'", "(3,)", bytes(32)))], "does not fit its data"),
    ("outside", [("../a.npy", member("'<i1'", "(1,)", b"1"))], "is no name of an array"),
    ("no array", [("readme.txt", b"hello")], "is no name of an array"),
    ("zeros", [("a.npy", member("'<i1'", "(50000000,)", bytes(50_000_000)))], "that is no honest file"),
    ("crowd", [(f"a{i}.npy", b"") for i in range(5000)], "it holds 5000 arrays"),
]


@pytest.mark.parametrize(("members", "message"), [h[1:] for h in HOSTILE], ids=[h[0] for h in HOSTILE])
def test_hostile_arrays_are_refused(tmp_path: Path, members: list[tuple[str, bytes]], message: str) -> None:
    path = archive(tmp_path / "x.npz", *members)
    with pytest.raises(ImcsimError) as caught:
        read_npz(path, max_bytes=60_000_000)
    assert message in str(caught.value)
    assert "x.npz" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_archive_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    write_npz(tmp_path / "x.npz", {"a": np.arange(1000), "b": np.arange(1000)})
    assert set(read_npz(tmp_path / "x.npz", max_bytes=20_000)) == {"a", "b"}
    with pytest.raises(ImcsimError, match="it unpacks to 16256 bytes; at most 16000"):
        read_npz(tmp_path / "x.npz", max_bytes=16_000)


def test_a_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    one = member("'<i1'", "(1,)", b"1")
    with pytest.warns(UserWarning, match="Duplicate"):
        path = archive(tmp_path / "x.npz", ("a.npy", one), ("a.npy", one))
    with pytest.raises(ImcsimError, match="twice"):
        read_npz(path)


@pytest.mark.parametrize(
    "array", [np.array(7), np.zeros((0, 3)), np.array("text"), np.array([True]), np.eye(3).T[1:]]
)
@pytest.mark.parametrize("swap", [False, True])
def test_arrays_come_back_in_native_c_order(tmp_path: Path, array: NDArray[Any], swap: bool) -> None:
    stored = array.astype(array.dtype.newbyteorder(">")) if swap else array
    write_npz(tmp_path / "x.npz", {"a": np.asfortranarray(stored) if array.ndim else stored})
    back = read_npz(tmp_path / "x.npz")["a"]
    assert np.array_equal(back, array)
    assert back.shape == array.shape
    assert back.dtype == array.dtype
    assert back.dtype.isnative
    assert back.flags.c_contiguous
    assert back.flags.writeable


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_archives_give_one_line_or_the_same_arrays(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Bytes cut off or changed anywhere: never a traceback, never other numbers."""
    path = tmp_path_factory.mktemp("damaged") / "x.npz"
    arrays: dict[str, NDArray[Any]] = {"a": np.arange(40), "b": np.eye(3)}
    write_npz(path, arrays)
    raw = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        raw = raw[: data.draw(st.integers(0, len(raw) - 1))]
    else:
        place = data.draw(st.integers(0, len(raw) - 1))
        raw[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(raw)
    message, back = "", None
    try:
        back = read_npz(path)
    except ImcsimError as error:
        message = str(error)
    assert "\n" not in message
    if back is not None:
        pairs = zip(back.values(), arrays.values(), strict=True)
        assert all(np.array_equal(one, two) for one, two in pairs)


def test_weights_of_the_wrong_type_or_shape_in_the_file_are_refused(tmp_path: Path) -> None:
    nw.save(small(), tmp_path / "n")
    stored = read_npz(tmp_path / "n/weights.npz")
    for key, value, message in (
        ("fc.weight", stored["fc.weight"] * 0.5, "fc: weights must be integers, not float64"),
        ("fc.weight", stored["fc.weight"][:, :7], "its weights take 7 values"),
        ("fc.bias", np.full(3, np.nan), "fc: bias has numbers that are not finite"),
        ("fc.bias", np.array(["a", "b", "c"]), "fc: bias must be float64, not <U1"),
        ("fc.weight", stored["fc.weight"].astype(np.int64) * 2**40, "beyond the symmetric range"),
        ("extra", np.ones(1), "no node names the array 'extra'"),
    ):
        write_npz(tmp_path / "n/weights.npz", {**stored, key: value})
        with pytest.raises(ImcsimError) as caught:
            nw.load(tmp_path / "n")
        assert message in str(caught.value)


def test_float32_scales_of_other_tools_are_taken_as_they_are(tmp_path: Path) -> None:
    nw.save(small(), tmp_path / "n")
    stored = read_npz(tmp_path / "n/weights.npz")
    stored["fc.scale"] = np.array([0.1, 0.2, 0.3], np.float32)
    write_npz(tmp_path / "n/weights.npz", stored)
    assert np.array_equal(nw.load(tmp_path / "n").weighted[-1].scale, stored["fc.scale"].astype(np.float64))


def test_saving_refuses_what_would_not_load(tmp_path: Path) -> None:
    for network, message in (
        (changed("lif1", leak=2.0), "leak"),
        (changed("", provenance={"a": np.ones(2)}), "provenance.a: provenance holds something"),
        (changed("", provenance={"a": float("nan")}), "provenance holds something"),
        (changed("", provenance={"a": "x" * 1_000_001}), "larger than 1 MB"),
    ):
        with pytest.raises(ImcsimError) as caught:
            nw.save(network, tmp_path / "n")
        assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_saving_never_removes_other_files_and_leaves_nothing_half_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "n"
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    with pytest.raises(ImcsimError, match=r"holds other files \('thesis.txt'\)"):
        nw.save(small(), folder)
    (folder / "thesis.txt").unlink()
    nw.save(small(), folder)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(ImcsimError, match="No space left on device"):
        nw.save(changed("lif1", leak=0.25), folder)
    assert [p.name for p in tmp_path.iterdir()] == ["n"]
    assert same(nw.load(folder), small())


def test_a_network_is_found_by_name_folder_or_description(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nw.save(small(), tmp_path / "models/little")
    (tmp_path / "models/inputs").mkdir()
    monkeypatch.setattr("imcsim.network.bundle.data_dirs", lambda kind: (tmp_path / kind,))
    assert nw.names() == ["little"]
    for place in ("little", tmp_path / "models/little", tmp_path / "models/little/network.yaml"):
        assert same(nw.load(place), small())
    for bad, message in (
        ("litle", "there is no network 'litle' (did you mean 'little'?)"),
        ("zzz", "or a built-in network: little"),
        (tmp_path, "this is no folder with a network.yaml"),
        ("x\0y", "there is no network"),
        ("x" * 5000, "there is no network"),
    ):
        with pytest.raises(ImcsimError) as caught:
            nw.load(bad)
        assert message in str(caught.value)
    (tmp_path / "models/little/weights.npz").unlink()
    with pytest.raises(ImcsimError, match="there is no such file"):
        nw.load("little")


def test_the_example_in_the_documentation_loads(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[2] / "models" / "README.md").read_text(encoding="utf-8")
    example = guide.split("```yaml\n")[1].split("```")[0]
    (tmp_path / "network.yaml").write_text(example, encoding="utf-8")
    arrays: dict[str, NDArray[Any]] = {
        "conv1.weight": np.ones((4, 3, 3, 3), int),
        "fc.weight": np.ones((10, 16), int),
    }
    arrays |= {f"{name}.scale": np.ones(size) for name, size in (("conv1", 4), ("fc", 10))}
    arrays |= {f"{name}.bias": np.zeros(size) for name, size in (("conv1", 4), ("fc", 10))}
    np.savez(tmp_path / "weights.npz", allow_pickle=False, **arrays)
    assert nw.shapes(nw.load(tmp_path))["pool1"] == (4, 2, 2)
