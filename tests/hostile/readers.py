"""The readers of files that imcsim has, each with sound files to damage and with what it is used for.

A reader of the campaign may do two things with a file: read it, or refuse it by ImcsimError. `place` puts the
damaged content where the reader looks; `use` reads it and does what a command would do with it.
"""

from __future__ import annotations

import io
import itertools
import json
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import numpy as np
import yaml
from forking import forked_readers as forked_readers
from mutations import (
    as_json,
    as_yaml,
    damaged_array,
    damaged_bytes,
    damaged_npy,
    damaged_npz,
    damaged_png,
    damaged_tree,
    damaged_zip,
)
from networks import random_network
from safetensors_bytes import write_safetensors
from sweep_files import base, write_files, write_spec

import imcsim.hardware
import imcsim.inputs
import imcsim.network
from imcsim.base.errors import ImcsimError
from imcsim.hardware import loader
from imcsim.importers.importing.importing import import_model
from imcsim.importers.importing.layers import ReadOptions
from imcsim.network.arrays import read_npz
from imcsim.simulation import cache
from imcsim.simulation.cache import CachedValues
from imcsim.simulation.values import COMPUTED
from imcsim.studies.experiment import Experiment
from imcsim.studies.settings import CompareOptions


@dataclass(frozen=True)
class Reader:
    """`make` writes what `damage` and `use` need into a folder, once; `damage` writes one damaged file there
    and returns it; `use` reads it. `needs`: a library without which the reader is left out.
    """

    name: str
    make: Callable[[Path], Any]
    damage: Callable[[Random, Any, Path], Path]
    use: Callable[[Path, Any], Any]
    needs: str | None = None
    starts_process: bool = False


class Remembered:
    """A function whose answers are kept: what reads the sound files around a damaged one takes most of a try
    and has its own readers here. Answers that their users change are copied.
    """

    def __init__(self, asked: Callable[..., Any]) -> None:
        self._asked = asked
        self._answers: dict[str, Any] = {}

    def __call__(self, *about: Any, **named: Any) -> Any:
        key = repr((about, named))
        if key not in self._answers:
            self._answers[key] = self._asked(*about, **named)
        answer = self._answers[key]
        if not isinstance(answer, tuple):
            return answer
        return tuple(copy(part) if isinstance(part, dict | list) else part for part in answer)


def _write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


# --- chips, networks, specs


def _chip(folder: Path) -> Any:
    found = []
    for name in imcsim.hardware.names():
        found.append(yaml.safe_load(imcsim.hardware.load(name).path.read_text()))
    return [one for one in found if isinstance(one, dict)]


def _use_chip(path: Path, made: Any) -> None:
    imcsim.hardware.describe(imcsim.hardware.load(path))


_TABLES: dict[str, Any] = {
    "ERT": {
        "version": 0.4,
        "tables": [
            {
                "name": "system.chip.tile[1..8].adc[1..64]",
                "actions": [{"name": "conversions", "arguments": {}, "energy": 0.31}],
            },
            {
                "name": "lif",
                "actions": [{"name": "lif_updates", "energy": 2}, {"name": "leakage", "energy": 0}],
            },
        ],
    },
    "ART": {"version": "0.4", "tables": [{"name": "chip.adc", "area": 412.5}]},
}


def _tables(folder: Path) -> Any:
    (folder / "chip.yaml").write_text("extends: dtsnn_32nm\nname: x\nreference_tables: [damaged.yaml]\n")
    return _TABLES, Remembered(loader.load_config)


def _damage_tables(draw: Random, made: Any, folder: Path) -> Path:
    return _write(folder / "damaged.yaml", as_yaml(draw, damaged_tree(draw, made[0])))


def _use_tables(path: Path, made: Any) -> None:
    with mock.patch.object(loader, "load_config", made[1]):
        chip = imcsim.hardware.load(path.with_name("chip.yaml"))
    imcsim.hardware.describe(chip)


def _network(folder: Path) -> Any:
    network = random_network(np.random.default_rng(5), depth=2, classes=4, timesteps=3)
    imcsim.network.save(network, folder / "sound")
    document = yaml.safe_load((folder / "sound" / "network.yaml").read_text())
    return document, read_npz(folder / "sound" / "weights.npz")


def _damage_network(draw: Random, made: Any, folder: Path) -> Path:
    shutil.copytree(folder / "sound", folder / "net", dirs_exist_ok=True)
    return _write(folder / "net" / "network.yaml", as_yaml(draw, damaged_tree(draw, made[0])))


def _damage_weights(draw: Random, made: Any, folder: Path) -> Path:
    shutil.copytree(folder / "sound", folder / "net", dirs_exist_ok=True)
    return _write(folder / "net" / "weights.npz", damaged_npz(draw, made[1]))


def _use_network(path: Path, made: Any) -> None:
    imcsim.network.describe(imcsim.network.load(path.parent))


def _specs(folder: Path) -> Any:
    write_files(folder)
    return [
        base(axes={"adc.bits": [4, 5], "threshold": [None, 0.3]}, constraints=["adc.bits <= 5"]),
        base(
            zip=[{"inputs": ["test.npz", "test.npz"], "seed": [0, 1]}], set={"noc.flit_bits": 32}, images=20
        ),
        base(axes={"model": ["net"], "chip": [0, 1]}, timesteps=2, issue="pipeline", name="x"),
    ]


def _damage_spec(draw: Random, made: Any, folder: Path) -> Path:
    return _write(folder / "damaged.yaml", as_yaml(draw, damaged_tree(draw, draw.choice(made))))


def _use_spec(path: Path, made: Any) -> None:
    from imcsim.sweeps import load_spec

    spec = load_spec(path)
    list(itertools.islice(spec.points(), 20))


def _searches(folder: Path) -> Any:
    write_files(folder)
    return [
        base(
            axes={"adc.bits": {"range": [3, 8]}, "threshold": [0.2, 0.3]},
            objectives=["energy", "accuracy"],
            constraints=["energy_pj <= 1e9"],
            trials=6,
        ),
        base(axes={"adc.bits": [4, 5], "noc.flit_bits": [16, 32]}, objectives=["edp"], sampler="random"),
    ]


def _use_search(path: Path, made: Any) -> None:
    from imcsim.searches import load_search

    load_search(path)


# --- inputs


def _images(folder: Path) -> Any:
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (6, 1, 4, 4), np.uint8)
    return [
        {"images": images, "labels": np.arange(6) % 4, "split": np.array("test"), "classes": np.array(4)},
        {"images": rng.random((4, 3, 2, 4, 4)) < 0.5, "labels": np.arange(4)},
    ]


def _damage_npz(draw: Random, made: Any, folder: Path) -> Path:
    return _write(folder / "damaged.npz", damaged_npz(draw, draw.choice(made)))


def _use_inputs(path: Path, made: Any) -> None:
    try:
        imcsim.inputs.load(path, labelled=False, timesteps=2)
    finally:
        with suppress(ImcsimError):
            imcsim.inputs.describe(path)


def _arrays(folder: Path) -> Any:
    return np.random.default_rng(1).integers(0, 256, (6, 1, 4, 4), np.uint8), np.arange(6) % 4


def _damage_array(draw: Random, made: Any, folder: Path) -> Path:
    images, labels = made
    which = draw.randrange(2)
    _write(folder / "a.labels.npy", damaged_npy(draw, labels) if which else _sound_npy(labels))
    return _write(folder / "a.npy", _sound_npy(images) if which else damaged_npy(draw, images))


def _sound_npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _use_array(path: Path, made: Any) -> None:
    imcsim.inputs.load(path)


def _pictures(folder: Path) -> Any:
    from PIL import Image

    rng, found = np.random.default_rng(2), []
    for kind, mode in (("PNG", "L"), ("PNG", "RGB"), ("PNG", "P"), ("JPEG", "RGB"), ("JPEG", "L")):
        file = io.BytesIO()
        shape = (5, 4, 3) if mode == "RGB" else (5, 4)
        image = Image.fromarray(rng.integers(0, 256, shape, np.uint8))
        (image.convert("P") if mode == "P" else image).save(file, kind)
        found.append((kind.lower(), file.getvalue()))
    return found


def _damage_picture(draw: Random, made: Any, folder: Path) -> Path:
    place = folder / "pictures"
    shutil.rmtree(place, ignore_errors=True)
    kind, raw = draw.choice(made)
    damaged = damaged_png(draw, raw) if kind == "png" else damaged_bytes(draw, raw)
    return _write(place / "a" / f"x.{kind}", damaged).parents[1]


def _damage_listed(draw: Random, made: Any, folder: Path) -> Path:
    place = folder / "listed"
    shutil.rmtree(place, ignore_errors=True)
    kind, raw = made[0]
    for name in ("a", "b", "c"):
        _write(place / f"{name}.{kind}", raw)
    table = b"file,label\na.png,0\nb.png,1\nc.png,2\n"
    words = (
        b'"',
        b",",
        b"\0",
        b"a.png",
        b"9" * 5000,
        b"-1",
        b"\xff",
        b"x" * 140_000,
        b"\r",
        b"1e9",
        b"../a.png",
    )
    for _ in range(draw.choice((1, 2, 5))):
        at = draw.randrange(len(table))
        table = table[:at] + draw.choice(words) + table[at + draw.choice((0, 1, 5)) :]
    return _write(place / "labels.csv", table).parent


def _use_pictures(path: Path, made: Any) -> None:
    imcsim.inputs.load(path)


def _pack(folder: Path) -> Any:
    from PIL import Image

    rng, headers, scans = np.random.default_rng(3), set(), []
    for _ in range(4):
        file = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(file, "JPEG")
        raw = file.getvalue()
        at = raw.index(b"\xff\xda")
        at += 2 + int.from_bytes(raw[at + 2 : at + 4], "big")
        headers.add(raw[:at])
        scans.append(raw[at:-2])
    from imcsim.inputs.packs import save_pack

    save_pack(folder / "sound.npz", headers.pop(), scans, np.arange(4), classes=4)
    return [read_npz(folder / "sound.npz")]


def _damage_pack(draw: Random, made: Any, folder: Path) -> Path:
    arrays = dict(made[0])
    if draw.random() < 0.5:
        key = draw.choice(("jpeg_header", "scan"))
        raw = damaged_bytes(draw, arrays[key].tobytes())
        arrays[key] = np.frombuffer(raw, np.uint8)
        if key == "scan" and draw.random() < 0.8:
            arrays["offsets"] = np.minimum(arrays["offsets"], len(raw))
            arrays["offsets"][-1] = len(raw)
        file = io.BytesIO()
        np.savez(file, **arrays)
        return _write(folder / "damaged.npz", file.getvalue())
    return _damage_npz(draw, [arrays], folder)


def _events(folder: Path) -> Any:
    rng = np.random.default_rng(4)
    t = np.sort(rng.integers(0, 1000, 40))
    x, y, p = (rng.integers(0, n, 40) for n in (6, 5, 2))
    whole = {"t": t, "x": x, "y": y, "p": p, "sample": np.arange(40) // 10, "labels": np.arange(4)}
    return [whole, {"t": t, "x": x, "y": y, "p": 2 * p - 1, "width": np.array(6), "height": np.array(5)}]


def _trace(folder: Path) -> Any:
    from imcsim.inputs.trace import pack_values

    rng = np.random.default_rng(5)
    values = rng.integers(0, 256, (4, 1, 1, 4, 4), np.uint8)
    spikes = (rng.random((4, 3, 6)) < 0.5).astype(np.uint8)
    labels = np.arange(4)
    from imcsim.inputs.data import fingerprint

    about = {
        "shape": [1, 4, 4], "bits": 8, "timesteps": 3, "coding": "direct", "split": "test", "classes": 4,
        "spikes": False, "ideal": False, "name": "x", "validation": None,
        "sha256": fingerprint(np.ascontiguousarray(values[:, 0]), labels),
        "network": {"name": "n"}, "hardware": {"name": "h"}, "inputs": {"name": "i"},
        "layers": [{"name": "lif", "shape": [6, 1, 1]}], "version": "0.1.0", "seed": 0,
    }  # fmt: skip
    return [
        {
            "trace": np.array(1), "about": np.array(json.dumps(about)), "labels": labels,
            "frames": pack_values(values, 8), "spikes_0": np.packbits(spikes, axis=-1),
        }
    ]  # fmt: skip


def _use_trace(path: Path, made: Any) -> None:
    from imcsim.inputs.trace import load_trace

    trace = load_trace(path)
    dict(trace.spikes)
    _use_inputs(path, made)


# --- trained weights


def _weights(folder: Path) -> Any:
    rng = np.random.default_rng(6)
    tensors = {
        "conv.weight": rng.normal(size=(2, 1, 3, 3)).astype(np.float32),
        "conv.bias": np.zeros(2, np.float32),
        "fc.weight": rng.normal(size=(4, 8)).astype(np.float32),
    }
    raw = write_safetensors(folder / "sound.safetensors", tensors).read_bytes()
    layers: dict[str, Any] = {
        "input": {"shape": [1, 4, 4]},
        "timesteps": 3,
        "neuron": {"tau": 2.0, "threshold": 1.0, "reset": "soft"},
        "layers": [
            {"name": "conv", "kind": "conv2d", "prefix": "conv"},
            {"name": "lif", "kind": "lif"},
            {"name": "flat", "kind": "flatten"},
            {"name": "fc", "kind": "linear", "prefix": "fc"},
        ],
    }
    (folder / "layers.yaml").write_text(json.dumps(layers))
    return raw, layers, tensors


def _damage_safetensors(draw: Random, made: Any, folder: Path) -> Path:
    raw = made[0]
    size = int.from_bytes(raw[:8], "little")
    if draw.random() < 0.6:
        head = as_json(draw, damaged_tree(draw, json.loads(raw[8 : 8 + size])))
        raw = len(head).to_bytes(8, "little") + head + raw[8 + size :]
    else:
        raw = damaged_bytes(draw, raw)
    return _write(folder / "damaged.safetensors", raw)


def _use_listed(path: Path, made: Any) -> None:
    import_model(path, options=ReadOptions(layers_file=path.with_name("layers.yaml")))


def _damage_layers(draw: Random, made: Any, folder: Path) -> Path:
    return _write(folder / "damaged.yaml", as_yaml(draw, damaged_tree(draw, made[1])))


def _use_layers(path: Path, made: Any) -> None:
    import_model(path.with_name("sound.safetensors"), options=ReadOptions(layers_file=path))


def _state_dict(folder: Path) -> Any:
    import torch

    made = _weights(folder)
    file = io.BytesIO()
    torch.save({name: torch.tensor(value) for name, value in made[2].items()}, file)
    return (file.getvalue(), *made)


def _damage_state_dict(draw: Random, made: Any, folder: Path) -> Path:
    def change(name: str, content: bytes) -> bytes:
        if name.endswith("data.pkl") and draw.random() < 0.5:
            bombs = (
                b"cos\nsystem\n(S'touch executed'\ntR.",
                b"cbuiltins\neval\n(S'1'\ntR.",
                b"\x80\x02]\x94.",
            )
            at = draw.randrange(len(content))
            return draw.choice((draw.choice(bombs), content[:at] + draw.choice(bombs)[:-1] + content[at:]))
        return damaged_bytes(draw, content)

    return _write(folder / "damaged.pt", damaged_zip(draw, made[0], change))


def _onnx(folder: Path) -> Any:
    import onnx

    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    rng = np.random.default_rng(7)
    array = onnx.numpy_helper.from_array
    constants = {
        "w": rng.normal(size=(2, 1, 3, 3)), "b": np.zeros(2), "f": rng.normal(size=(4, 8)), "s": np.ones(2),
        "limit": np.ones(1), "q": rng.integers(-8, 8, (4, 8)), "scale": np.full(4, 0.5),
    }  # fmt: skip
    node = helper.make_node
    nodes = [
        node(
            "Conv", ["x", "w", "b"], ["c"], name="conv", strides=[1, 1], pads=[1, 1, 1, 1], dilations=[1, 1]
        ),
        node("BatchNormalization", ["c", "s", "b", "b", "s"], ["n"], name="norm", epsilon=1e-5),
        node("Relu", ["n"], ["r"], name="relu"),
        node("AveragePool", ["r"], ["p"], name="pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", ["p"], ["l"], name="flat", axis=1),
        node("DequantizeLinear", ["q", "scale"], ["qf"], name="dq", axis=0),
        node("Gemm", ["l", "qf"], ["y"], name="fc", transB=1, alpha=1.0, beta=1.0),
    ]
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("x", number, ["N", 1, 4, 4])],
        [helper.make_tensor_value_info("y", number, None)],
        [array(v.astype(np.int8 if k == "q" else np.float32), k) for k, v in constants.items()],
    )  # fmt: skip
    (folder / "layers.yaml").write_text('{"neuron": {"tau": 2.0, "threshold": 1.0, "reset": "soft"}}')
    return helper.make_model(graph).SerializeToString()


_OPS = (
    "Conv", "Gemm", "MatMul", "Add", "Sub", "Mul", "Div", "Relu", "Clip", "Greater", "MaxPool", "AveragePool",
    "GlobalAveragePool", "ReduceMean", "Flatten", "Reshape", "Transpose", "Constant", "DequantizeLinear",
    "BatchNormalization", "Softmax", "Identity", "Loop", "",
)  # fmt: skip
_ATTRIBUTES = (
    "strides", "pads", "dilations", "group", "kernel_shape", "auto_pad", "axis", "axes", "alpha", "beta",
    "transA", "transB", "epsilon", "training_mode", "ceil_mode", "count_include_pad", "keepdims", "perm",
    "value", "value_float", "value_ints", "block_size",
)  # fmt: skip
_ATTRIBUTE_VALUES = (
    0, 1, -1, 2**31, 2**62, -(2**62), 0.0, 1.5, float("nan"), float("inf"), "x", "SAME_UPPER", [0], [1],
    [1, 1], [2, 2], [-1, 1], [2**40, 2**40], [0.5, 1.5], [1] * 100, ["a", "b"], "é" * 50,
)  # fmt: skip


def _damage_onnx(draw: Random, made: Any, folder: Path) -> Path:
    import onnx

    if draw.random() < 0.2:
        return _write(folder / "damaged.onnx", damaged_bytes(draw, made))
    model = onnx.ModelProto.FromString(made)
    graph = model.graph
    for _ in range(draw.choice((1, 1, 2, 3))):
        node = draw.choice(graph.node)
        match draw.randrange(7):
            case 0 | 1:
                name = draw.choice([a.name for a in node.attribute] + [draw.choice(_ATTRIBUTES)])
                kept = [a for a in node.attribute if a.name != name]
                del node.attribute[:]
                node.attribute.extend(kept)
                value: Any = draw.choice(_ATTRIBUTE_VALUES)
                if draw.random() < 0.1:
                    value = onnx.numpy_helper.from_array(damaged_plain(draw))
                node.attribute.append(onnx.helper.make_attribute(name, value))
            case 2:
                node.op_type = draw.choice(_OPS)
            case 3:
                names = [n for one in graph.node for n in (*one.input, *one.output)] + ["x", "", "nowhere"]
                if node.input and draw.random() < 0.7:
                    node.input[draw.randrange(len(node.input))] = draw.choice(names)
                else:
                    del node.input[draw.randrange(len(node.input) + 1) :]
            case 4:
                tensor = draw.choice(graph.initializer)
                tensor.CopyFrom(onnx.numpy_helper.from_array(damaged_plain(draw), tensor.name))
            case 5:
                tensor = draw.choice(graph.initializer)
                tensor.data_type = draw.randrange(25)
                if draw.random() < 0.5:
                    tensor.dims[:] = [draw.choice((0, 1, -1, 3, 2**40)) for _ in range(draw.randrange(5))]
            case _:
                sizes = graph.input[0].type.tensor_type.shape.dim
                if sizes and draw.random() < 0.7:
                    draw.choice(sizes).dim_value = draw.choice((0, 1, -1, 3, 2**31, 2**62))
                else:
                    node.output[0] = draw.choice(("x", "y", "", "w"))
    return _write(folder / "damaged.onnx", model.SerializeToString())


def damaged_plain(draw: Random) -> np.ndarray:
    """A numeric array of some shape."""
    shape = tuple(draw.choice((1, 2, 3, 4, 8, 0)) for _ in range(draw.randrange(6)))
    kind = draw.choice(("f4", "f8", "i8", "i1", "u1", "?"))
    made = np.random.default_rng(draw.randrange(1 << 30)).normal(size=shape) * draw.choice((1, 1e38, 0))
    with np.errstate(all="ignore"):
        return np.asarray(made.astype(kind))


def _use_onnx(path: Path, made: Any) -> None:
    import_model(path, options=ReadOptions(layers_file=path.with_name("layers.yaml")))


def _nir(folder: Path) -> Any:
    import h5py

    rng = np.random.default_rng(8)
    graph: dict[str, dict[str, Any]] = {
        "in": {"type": "Input", "shape": [1, 4, 4]},
        "conv": {
            "type": "Conv2d", "weight": rng.normal(size=(2, 1, 3, 3)), "bias": np.zeros(2), "stride": [1, 1],
            "padding": [1, 1], "dilation": [1, 1], "groups": 1, "input_shape": [4, 4],
        },
        "lif": {
            "type": "LIF", "tau": np.full((2, 4, 4), 0.02), "r": np.ones((2, 4, 4)),
            "v_leak": np.zeros((2, 4, 4)), "v_threshold": np.ones((2, 4, 4)), "v_reset": np.zeros((2, 4, 4)),
        },
        "pool": {"type": "AvgPool2d", "kernel_size": [2, 2], "stride": [2, 2], "padding": [0, 0]},
        "flat": {"type": "Flatten", "start_dim": 0, "end_dim": -1, "input_type": [2, 2, 2]},
        "fc": {"type": "Affine", "weight": rng.normal(size=(4, 8)), "bias": np.zeros(4)},
        "if": {"type": "IF", "r": np.full(4, 1e4), "v_threshold": np.ones(4), "v_reset": np.zeros(4)},
        "out": {"type": "Output", "shape": [4]},
    }  # fmt: skip
    names = list(graph)
    with h5py.File(folder / "sound.nir", "w") as file:
        top = file.create_group("node")
        top["type"] = "NIRGraph"
        top["edges"] = np.array([[a, b] for a, b in itertools.pairwise(names)], h5py.string_dtype())
        for name, fields in graph.items():
            for key, value in fields.items():
                top[f"nodes/{name}/{key}"] = value
    return (folder / "sound.nir").read_bytes()


_NIR_KINDS = (
    "Conv1d", "Conv2d", "LIF", "CubaLIF", "IF", "LI", "Linear", "Affine", "Flatten", "Scale", "Threshold",
    "SumPool2d", "AvgPool2d", "Input", "Output", "NIRGraph", "Delay", "",
)  # fmt: skip
_NIR_FIELDS = (
    "weight", "bias", "tau", "tau_mem", "tau_syn", "r", "v_leak", "v_threshold", "v_reset", "w_in", "stride",
    "padding", "dilation", "groups", "kernel_size", "start_dim", "end_dim", "input_type", "shape", "scale",
)  # fmt: skip


def _damage_nir(draw: Random, made: Any, folder: Path) -> Path:
    import h5py

    if draw.random() < 0.2:
        return _write(folder / "damaged.nir", damaged_bytes(draw, made))
    path = _write(folder / "damaged.nir", made)
    with h5py.File(path, "r+") as file:
        nodes = file["node/nodes"]
        for _ in range(draw.choice((1, 1, 2, 3))):
            node = nodes[draw.choice(list(nodes))]
            match draw.randrange(5):
                case 0:
                    key = "type"
                    value: Any = draw.choice(_NIR_KINDS)
                case 1 | 2 | 3:
                    key = draw.choice([*node, draw.choice(_NIR_FIELDS)])
                    value = draw.choice(
                        (
                            damaged_plain(draw),
                            0,
                            1,
                            -1,
                            2**62,
                            0.0,
                            float("nan"),
                            "same",
                            "x" * 70_000,
                            [1, 2, 3],
                        )
                    )
                    if key in node and node[key].dtype.kind in "iuf" and draw.random() < 0.5:
                        value = damaged_array(draw, np.asarray(node[key][()]))
                        value = value if value.dtype.kind in "biuf" else 1.5
                case _:
                    del file["node/edges"]
                    names = [*nodes, "nowhere", "input"]
                    pairs = [[draw.choice(names), draw.choice(names)] for _ in range(draw.randrange(1, 9))]
                    file["node/edges"] = np.array(pairs, h5py.string_dtype())
                    continue
            if key in node:
                del node[key]
            if draw.random() < 0.9:
                node[key] = value
    return path


def _use_nir(path: Path, made: Any) -> None:
    import_model(path, options=ReadOptions())


# --- results and stores


_ABOUT = {"network": "x", "images": 4}


def _tried(folder: Path) -> Any:
    from imcsim.results.mapped import Mapped
    from imcsim.studies.tried_mappings import FILE, TriedMappings

    kept = TriedMappings.of_folder(folder / "sound", _ABOUT)
    kept.put(
        "a" * 64, Mapped({"conv": 2}, True, "snake", 8, "im2col", {"conv": "small"}, 4, 1, 0.5, 3, 1.5, 9.0)
    )
    kept.put("b" * 64, None)
    return [json.loads(line) for line in (folder / "sound" / FILE).read_text().splitlines()]


def _damage_tried(draw: Random, made: Any, folder: Path) -> Path:
    from imcsim.studies.tried_mappings import FILE, entry_sha256

    lines = [json.dumps(line, sort_keys=True).encode() for line in made]
    at = draw.randrange(len(lines))
    damaged = damaged_tree(draw, made[at])
    if draw.random() < 0.9 and isinstance(damaged, dict) and {"chip", "mapped"} <= set(damaged):
        with suppress(ValueError, RecursionError):
            damaged["sha256"] = entry_sha256({key: damaged[key] for key in ("chip", "mapped")})
    lines[at] = as_json(draw, damaged)
    return _write(folder / "tried" / FILE, b"".join(line + b"\n" for line in lines))


def _use_tried(path: Path, made: Any) -> None:
    """What was read is written again as it was."""
    from imcsim.studies.tried_mappings import TriedMappings

    kept = TriedMappings.of_folder(path.parent, _ABOUT)
    before = kept.known.copy()
    path.unlink()
    kept.put("c" * 64, None)
    if TriedMappings.of_folder(path.parent, _ABOUT).known != {**before, "c" * 64: None}:
        raise AssertionError("not what was read")


def _results(folder: Path) -> Any:
    from sample_results import compare_result, run_result, stream_result

    from imcsim.results.model import to_json

    found = []
    for index, result in enumerate((compare_result(), run_result(), stream_result())):
        text = to_json(result)
        (folder / f"sound{index}.json").write_text(text)
        found.append(json.loads(text))
    return found


def _damage_result(draw: Random, made: Any, folder: Path) -> Path:
    index = draw.randrange(len(made))
    (folder / "which").write_text(str(index))
    return _write(folder / "damaged.json", as_json(draw, damaged_tree(draw, made[index])))


def _use_result(path: Path, made: Any) -> None:
    from imcsim.diffs import diff_results, read_result
    from imcsim.report.terminal.diff import diff_json, diff_report
    from imcsim.report.terminal.tables import console

    read_result(str(path))  # most are refused here, and the sound one need not be read for them
    index = path.with_name("which").read_text()
    found = diff_results(str(path.with_name(f"sound{index}.json")), str(path))
    diff_json(found)
    console(io.StringIO()).print(diff_report(found))


def _part(folder: Path) -> Any:
    import sample_reproduction

    from imcsim.results.reproduction.document import NetworkPart

    document = sample_reproduction.reproduction()
    part = document.networks[0]
    assert isinstance(part, NetworkPart)
    whole = json.loads(part.model_dump_json(by_alias=True))
    # Each kind of entry once or twice; a list of twelve equal ones only takes longer.
    few = {key: whole[key][:2] for key in ("rules", "choosing", "beside", "aims")}
    few |= {"chips": whole["chips"][:1], "losses": []}  # a loss holds the same comparison as a chip
    comparison = few["chips"][0]["comparison"]
    comparison["curve"] = comparison["curve"][:3]
    return part.fingerprint, part.key, whole | few


def _damage_part(draw: Random, made: Any, folder: Path) -> Path:
    from imcsim.reproduction.store import with_hash

    content = as_json(draw, damaged_tree(draw, made[2]))
    content = with_hash(content) if draw.random() < 0.9 else content
    return _write(folder / "parts" / f"{made[1]}.json", content)


def _use_part(path: Path, made: Any) -> None:
    from imcsim.reproduction.store import read_part

    read_part(path.parents[1], made[1], made[0])


def _store(folder: Path) -> Any:
    from imcsim.sweeps import load_spec, sweep

    write_files(folder, images=20)
    # A point that has results and one that failed; more of each only take longer.
    write_spec(folder, base(axes={"adc.bits": [4, 99], "threshold": [0.3]}))
    sweep(load_spec(folder / "spec.yaml"), folder / "sound", workers=1).close()
    with sqlite3.connect(folder / "sound" / "sweep.sqlite") as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        columns = {
            table: [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            for table in ("meta", "points", "results")
        }
        texts = {
            (table, name): [row[0] for row in connection.execute(f'SELECT "{name}" FROM {table}')]
            for table, names in columns.items()
            for name in names
        }
    connection.close()
    chips = Remembered(imcsim.hardware.load)
    return (folder / "sound" / "sweep.sqlite").read_bytes(), columns, texts, chips


_ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"


def _damage_store(draw: Random, made: Any, folder: Path) -> Path:
    raw, columns, texts, _ = made
    place = folder / "damaged"
    shutil.rmtree(place, ignore_errors=True)
    if draw.random() < 0.2:
        return _write(place / "sweep.sqlite", damaged_bytes(draw, raw))
    path = _write(place / "sweep.sqlite", raw)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA ignore_check_constraints=ON")
    connection.execute("PRAGMA synchronous=OFF")
    if draw.random() < 0.8:  # what is changed would all be found by this hash
        connection.execute("UPDATE points SET rows_sha256 = NULL")
    try:
        for _ in range(draw.choice((1, 1, 2, 3))):
            _damage_table(draw, connection, columns, texts)
    except sqlite3.Error:
        pass
    connection.commit()
    connection.close()
    return path


def _damage_table(draw: Random, connection: sqlite3.Connection, columns: Any, texts: Any) -> None:
    table = draw.choice(("meta", "points", "points", "results"))
    column = draw.choice(columns[table])
    match draw.randrange(12):
        case 0:
            connection.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
            connection.execute(
                draw.choice(
                    (
                        f"CREATE VIEW {table} AS SELECT * FROM old_{table}",
                        f"CREATE VIEW {table} AS {_ENDLESS}",
                        f"CREATE TABLE {table} ({column})",
                    )
                )
            )
        case 1:
            connection.execute("DROP VIEW IF EXISTS sweep")
            connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        case 2:
            connection.execute(
                f"DELETE FROM {table} WHERE rowid % 2 = 0" if table == "points" else f"DELETE FROM {table}"
            )
        case 3:
            connection.execute("UPDATE results SET point = point + 100")
        case 4:
            connection.execute("DROP VIEW IF EXISTS sweep")
            connection.execute(f"CREATE TRIGGER x AFTER INSERT ON {table} BEGIN DELETE FROM points; END")
        case 5:
            connection.execute(f"ALTER TABLE {table} ADD COLUMN x AS (zeroblob(1000000000))")
        case 6:
            connection.execute("CREATE TABLE front (point, x, y)")
            connection.execute(
                "INSERT INTO front VALUES (?, ?, ?)", (draw.choice((0, "a", 1.5)), b"\xff", 2**62)
            )
        case 7:
            old = draw.choice(texts[table, column])
            try:
                value: Any = as_json(draw, damaged_tree(draw, json.loads(old))).decode("utf-8", "replace")
            except (TypeError, ValueError):
                value = draw.choice(_CELLS)
            connection.execute(f'UPDATE {table} SET "{column}" = ?', (value,))
        case _:
            value = draw.choice(_CELLS)
            if value == "bytes":
                connection.execute(f"UPDATE {table} SET \"{column}\" = CAST(x'ff80c0' AS TEXT)")
            else:
                connection.execute(f'UPDATE {table} SET "{column}" = ?', (value,))


_CELLS: tuple[Any, ...] = (
    None, 0, 1, -1, 2**62, 1.5, 1e999, -1e999, "", "x", "bytes", b"\xff", "x" * 70_000, "[]", "{}", "null",
    "[1", "[[1]]", '{"a": "b"}', "[1e999]", "1" * 5000, "[" * 5000, '["a"]', "NaN", '{"hardware": 1}',
    "failed", "done",
)  # fmt: skip


def _use_store(path: Path, made: Any) -> None:
    from imcsim.report.site.read import read, with_parts
    from imcsim.sweeps import open_store
    from imcsim.sweeps.repairing import check_store

    with mock.patch.object(imcsim.hardware, "load", made[3]):
        with suppress(ImcsimError), open_store(path.parent) as store:
            _look_at(store)
        list(check_store(path.parent).problems)
        with_parts(read(path.parent), path.parent, (0, 1))


def _look_at(store: Any) -> None:
    """Ask a store for all that it has, whatever it refuses."""
    for look in (
        lambda: list(store.points()),
        lambda: list(store.rows()),
        lambda: list(store.table()),
        lambda: list(store.outcomes()),
        lambda: (store.counts(), store.front()),
        lambda: (store.spec, store.keys, store.planned, store.finished()),
    ):
        with suppress(ImcsimError):
            look()


@dataclass
class _Asking(CachedValues):
    """Keeps what it is asked, beside the values themselves."""

    asked: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)

    def converters(self, *about: Any) -> Any:
        self.asked.append(("converters", about))
        return super().converters(*about)

    def densities(self, *about: Any) -> Any:
        self.asked.append(("densities", about))
        return super().densities(*about)

    def channels(self, *about: Any) -> Any:
        self.asked.append(("channels", about))
        return super().channels(*about)

    def activity(self, *about: Any) -> Any:
        self.asked.append(("activity", about))
        return super().activity(*about)


def _kept(folder: Path) -> Any:
    """The files of an ideal chip and of one with errors and wires, by name."""
    write_files(folder, images=4)
    network, images = imcsim.network.load(folder / "net"), imcsim.inputs.load(folder / "test.npz")
    asked, options = [], CompareOptions(workers=1, threshold=0.3)
    for name, overrides in (
        ("dtsnn_32nm", {}),
        ("dtsnn_32nm_nonideal", {"nonideal.wires.bitline_ohm": 100.0}),
    ):
        values = _Asking(folder / "asked", "0" * 64, {})
        hardware = imcsim.hardware.load(name, overrides)
        Experiment.make(network, hardware, images, None, options, None, values=values)
        asked += values.asked
    found: dict[str, _KeptFile] = {}
    for what, about in asked:
        place = folder / "sound"
        answer = _flat(getattr(CachedValues(place, "0" * 64, {}), what)(*about))
        together = {path.name: path.read_bytes() for path in place.glob("*.npz")}
        for name in together:
            one = found.setdefault(name, _KeptFile(read_npz(place / name), together))
            one.asks.append((what, about, answer))
        shutil.rmtree(place, ignore_errors=True)
    return found


class _Computed:
    """Computes what cannot be taken from a file, once for each thing that is asked: the same comes out."""

    def __init__(self) -> None:
        self.ask = 0
        self._known: dict[tuple[Any, ...], Any] = {}

    def __getattr__(self, what: str) -> Any:
        def answer(*about: Any) -> Any:
            one = about[0]
            piece = (one.timesteps, str(one.at), one.record, one.toggles) if what == "activity" else ()
            key = self.ask, what, piece
            if key not in self._known:
                self._known[key] = getattr(COMPUTED, what)(*about)
            return self._known[key]

        return answer


_COMPUTED = _Computed()


@dataclass
class _KeptFile:
    """A file of kept values: its arrays, the files that are read with it, and what is asked of them, with the
    answer.
    """

    arrays: Any
    together: dict[str, bytes]
    asks: list[tuple[str, tuple[Any, ...], Any]] = field(default_factory=list)


def _flat(value: Any) -> Any:
    """Values in a form that can be compared."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if is_dataclass(value):
        return _flat({one.name: getattr(value, one.name) for one in fields(value)})
    if isinstance(value, Mapping):
        return {key: _flat(part) for key, part in value.items()}
    return value


def _damage_kept(draw: Random, made: Any, folder: Path) -> Path:
    name = draw.choice(sorted(made))
    shutil.rmtree(folder / "damaged", ignore_errors=True)
    for other, content in made[name].together.items():
        if other != name:
            _write(folder / "damaged" / other, content)
    return _write(folder / "damaged" / name, damaged_npz(draw, made[name].arrays))


def _use_kept(path: Path, made: Any) -> None:
    """Whoever finds damaged values, and remembers none, gets those that an undamaged file would give."""
    values = CachedValues(path.parent, "0" * 64, {})
    for what, about, expected in made[path.name].asks:
        _COMPUTED.ask = id(expected)
        with mock.patch.object(cache, "COMPUTED", _COMPUTED):
            answer = getattr(values, what)(*about)
        if _flat(answer) != expected:
            raise AssertionError(f"{what}: other values than those of a sound file")


READERS: tuple[Reader, ...] = (
    Reader("chip YAML", _chip, _damage_spec, _use_chip),
    Reader("reference tables", _tables, _damage_tables, _use_tables),
    Reader("network YAML", _network, _damage_network, _use_network),
    Reader("network weights", _network, _damage_weights, _use_network),
    Reader("images npz", _images, _damage_npz, _use_inputs),
    Reader("images and labels npy", _arrays, _damage_array, _use_array),
    Reader("PNG and JPEG", _pictures, _damage_picture, _use_pictures, "PIL"),
    Reader("labels CSV", _pictures, _damage_listed, _use_pictures, "PIL"),
    Reader("pack", _pack, _damage_pack, _use_inputs, "PIL"),
    Reader("events", _events, _damage_npz, _use_inputs),
    Reader("trace", _trace, _damage_npz, _use_trace),
    Reader("safetensors", _weights, _damage_safetensors, _use_listed),
    Reader("layer list", _weights, _damage_layers, _use_layers),
    Reader("PyTorch", _state_dict, _damage_state_dict, _use_listed, "torch"),
    Reader("ONNX", _onnx, _damage_onnx, _use_onnx, "onnx", True),
    Reader("NIR", _nir, _damage_nir, _use_nir, "h5py", True),
    Reader("sweep spec", _specs, _damage_spec, _use_spec),
    Reader("search spec", _searches, _damage_spec, _use_search, "optuna"),
    Reader("result", _results, _damage_result, _use_result),
    Reader("part of a reproduction", _part, _damage_part, _use_part),
    Reader("store", _store, _damage_store, _use_store),
    Reader("tried mappings", _tried, _damage_tried, _use_tried),
    Reader("kept values", _kept, _damage_kept, _use_kept),
)  # fmt: skip
