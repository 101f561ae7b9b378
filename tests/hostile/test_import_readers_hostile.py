"""Broken and hostile files: one clear line, in bounded time and memory, and nothing is executed."""

from __future__ import annotations

import json
import pickle
import struct
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forking import ForkedChildren
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors_bytes import write_safetensors

from imcsim.base.errors import ImcsimError
from imcsim.importers import apart
from imcsim.importers.importing.layers import ReadOptions
from imcsim.importers.importing.read import read
from imcsim.importers.torch import symbols
from imcsim.importers.torch.state_dict import tensors
from imcsim.network.arrays import read_npz

SETTINGS = settings(
    deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
FLIPS = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=20)
LIST = "input: {shape: [2, 1, 1]}\nlayers:\n  - {name: a, kind: linear, prefix: a}\n"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Children that hang are stopped after two seconds of computing."""
    monkeypatch.setattr(apart, "CPU_SECONDS", 2.0)


@pytest.fixture(scope="module")
def children() -> Iterator[ForkedChildren]:
    made = ForkedChildren()
    yield made
    made.close()


@pytest.fixture
def forked(children: ForkedChildren, monkeypatch: pytest.MonkeyPatch) -> None:
    """Children are forked, for tests of many files; what begins each anew has tests of single ones."""
    monkeypatch.setattr(apart, "subprocess", children)


@pytest.fixture
def options(tmp_path: Path) -> ReadOptions:
    (tmp_path / "layers.yaml").write_text(LIST)
    return ReadOptions(layers_file=tmp_path / "layers.yaml")


def refused(path: Path, options: ReadOptions | None = None, *words: str) -> str:
    began = time.monotonic()
    with pytest.raises(ImcsimError) as caught:
        read(path, options)
    text = str(caught.value)
    assert "\n" not in text
    assert path.name in text
    for word in words:
        assert word in text, text
    assert time.monotonic() - began < 60
    return text


def flipped(raw: bytes, flips: list[tuple[float, int]], head: int = 0) -> bytes:
    """`raw` with some bytes changed; the first `head` bytes stay, so that the reader is the same."""
    data = bytearray(raw)
    for place, value in flips:
        data[head + int(place * (len(data) - head))] = value
    return bytes(data)


def reads_or_refuses(path: Path, options: ReadOptions | None) -> None:
    began = time.monotonic()
    text = ""
    try:
        read(path, options)
    except ImcsimError as error:
        text = str(error)
    assert "\n" not in text
    assert time.monotonic() - began < 60


# --- any file


@pytest.mark.parametrize("name", ["a.nir", "a.safetensors", "a.pt", "a.onnx", "a.xyz"])
def test_no_file_empty_file_wrong_file(tmp_path: Path, name: str, options: ReadOptions) -> None:
    path = tmp_path / name
    refused(path, options, "no such file")
    path.write_bytes(b"")
    refused(path, options, "empty")
    path.write_bytes(b"hello, world, this is text\n" * 10)
    refused(path, None if name.endswith((".nir", ".onnx")) else options)
    path.unlink()
    path.mkdir()
    refused(path, options, "folder")


def test_a_name_that_is_no_name() -> None:
    with pytest.raises(ImcsimError):
        read("a\0b.nir")


# --- safetensors


def header(path: Path, text: Any, data: bytes = b"") -> Path:
    raw = text if isinstance(text, bytes) else json.dumps(text).encode()
    path.write_bytes(len(raw).to_bytes(8, "little") + raw + data)
    return path


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [1 << 40, 1 << 40], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]},
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 1 << 62]},
        {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [True], "data_offsets": [0, 4]},
        {"dtype": "F99", "shape": [2], "data_offsets": [0, 8]},
        {"dtype": ["F32"], "shape": [2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": 2, "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2]},
        "text",
        {"dtype": "F32", "shape": [1] * 20, "data_offsets": [0, 8]},
    ],
)
def test_safetensors_entries(tmp_path: Path, options: ReadOptions, entry: Any) -> None:
    refused(header(tmp_path / "a.safetensors", {"a.weight": entry}, b"\0" * 8), options, "a.weight")


def test_safetensors_headers(tmp_path: Path, options: ReadOptions) -> None:
    path = tmp_path / "a.safetensors"
    one = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    refused(header(path, {"a": one, "b": one}, b"\0" * 8), options, "overlap")
    refused(header(path, {"a": one}, b"\0" * 9), options, "do not end")
    refused(header(path, b"{" * 100_000), options, "JSON")
    refused(header(path, b'{"a": 1, "a": 2}'), options, "repeated")
    refused(header(path, b"{\xff}"), options, "JSON")
    path.write_bytes((1 << 31).to_bytes(8, "little") + b"{}")
    refused(path, options, "header")


@SETTINGS
@given(flips=FLIPS, cut=st.floats(0.1, 1))
def test_safetensors_fuzz(tmp_path: Path, options: ReadOptions, flips: Any, cut: float) -> None:
    raw = write_safetensors(
        tmp_path / "g.safetensors", {"a.weight": np.ones((3, 2), np.float32)}
    ).read_bytes()
    path = tmp_path / "f.safetensors"
    path.write_bytes(flipped(raw[: int(len(raw) * cut)], flips))
    reads_or_refuses(path, options)


# --- PyTorch


class _Executed:
    """Its pickle calls a function of the standard library."""

    def __init__(self, call: Any, *arguments: Any) -> None:
        self.pair = call, arguments

    def __reduce__(self) -> Any:
        return self.pair


def zipped(path: Path, content: bytes, **options: Any) -> Path:
    with zipfile.ZipFile(path, "w", **options) as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/byteorder", "little")
        archive.writestr("archive/version", "3\n")
    return path


def test_pickle_bombs_are_not_executed(tmp_path: Path, options: ReadOptions) -> None:
    mark = tmp_path / "executed"
    bomb = pickle.dumps({"a": _Executed(Path.touch, mark)}, protocol=2)
    refused(zipped(tmp_path / "bomb.pt", bomb), options, "getattr, which no state dict needs")
    large = pickle.dumps({"a": _Executed(bytearray, 1 << 46)}, protocol=2)
    refused(zipped(tmp_path / "large.pt", large), options, "no state dict")
    assert not mark.exists()


STORED = "(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0000X\3\0\0\0cpuK\6tQ"


def tensor(
    stored: str = STORED, shape: str = "K\3K\2\x86", strides: str = "K\2K\1\x86", at: str = "K\0"
) -> bytes:
    """The pickle of a state dict with one tensor, ``a.weight``."""
    made = f"ctorch._utils\n_rebuild_tensor_v2\n({stored}{at}{shape}{strides}\x89}}tR"
    return f"\x80\2}}X\x08\0\0\0a.weight{made}s.".encode("latin1")


def stored(path: Path, content: bytes, data: bytes = bytes(24), order: str = "little") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/data.pkl", content)
        archive.writestr("net/byteorder", order)
        archive.writestr("net/data/0", data)
    return path


def test_the_sound_pickle_is_sound(tmp_path: Path) -> None:
    """Numbers, strides and the order of bytes, without PyTorch."""
    numbers = np.arange(6, dtype=np.float32)
    path = tmp_path / "a.pt"
    for order, kind in (("little", "<f4"), ("big", ">f4")):
        found = tensors(stored(path, tensor(), numbers.astype(kind).tobytes(), order))
        np.testing.assert_array_equal(found["a.weight"], numbers.reshape(3, 2))
    turned = tensors(stored(path, tensor(shape="K\2K\3\x86", strides="K\1K\2\x86"), numbers.tobytes()))
    np.testing.assert_array_equal(turned["a.weight"], numbers.reshape(3, 2).T)
    assert turned["a.weight"].flags.c_contiguous


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (tensor(at="K\1"), "does not fit its data"),
        (tensor(strides="K\3K\1\x86"), "does not fit its data"),
        (tensor(shape="K\x09K\x09\x86"), "repeats its data"),
        (tensor(shape="J\0\0\0\x80K\2\x86"), "no shape"),  # a negative number
        (tensor(strides="K\1\x85"), "no place"),
        (tensor(at="\x88"), "no place"),  # True
        (tensor(stored="K\1"), "no storage"),
        (tensor(stored=STORED.replace("Float", "QInt8")), "QInt8 are not read"),
        (tensor(stored=STORED.replace("0X", "1X")), "archive"),  # no such member
        (tensor(shape="(" + 9 * "K\1" + "t", strides="(" + 9 * "K\1" + "t"), "9 axes"),
        (tensor()[:-9], "cut off"),
        (tensor()[:-1] + b"0.", "the code b'0'"),
        (b"\x80\2]h\1.", "makes no sense"),  # what was never kept
        (b"\x80\2K\1]s.", "makes no sense"),
        (b"\x80\2\x8a\xff" + b"\xff" * 99, "cut off"),
        (b"\x80\2X\xff\xff\xff\xffa.", "cut off"),
        (b"\x80\2cos\nsystem\nX\5\0\0\0touch\x85R.", "os.system, which no state dict needs"),
        (b"\x80\2c__builtin__\neval\nX\1\0\0\0001\x85R.", "eval, which"),
        (b"\x80\2ctorch\nload\nX\1\0\0\0f\x85R.", "it holds a call of torch.load, not"),
        (b"\x80\2]h.", "cut off"),
        (b"\x80\2u.", "makes no sense"),
    ],
)
def test_pickles_that_lie(tmp_path: Path, options: ReadOptions, content: bytes, word: str) -> None:
    refused(stored(tmp_path / "a.pt", content), options, word)


def test_a_pickle_without_end(tmp_path: Path, options: ReadOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(symbols, "MAX_STEPS", 1000)
    refused(stored(tmp_path / "a.pt", b"\x80\2" + b"]" * 1000 + b"."), options, "more than 1000 steps")


def test_a_directory_of_countless_members(tmp_path: Path, options: ReadOptions) -> None:
    """What zipfile would make an object of each before anybody can count them."""
    path = tmp_path / "a.pt"
    with path.open("wb") as file:
        file.write(b"PK\3\4")
        file.seek(100 << 20)
        file.write(struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 9, 9, 100 << 20, 0, 0))
    refused(path, options, "directory takes 104857600 bytes")
    with pytest.raises(ImcsimError, match="directory takes"):
        read_npz(path)


def test_archives_that_are_no_state_dicts(tmp_path: Path, options: ReadOptions) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    path = tmp_path / "a.pt"
    torch.save({"a.weight": torch.ones(3, 2)}, path, _use_new_zipfile_serialization=False)
    refused(path, options, "old pickle")
    packed = pickle.dumps(["x" * 10_000_000], protocol=2)
    refused(zipped(path, packed, compression=zipfile.ZIP_DEFLATED), options, "packed")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    refused(path, options, "state dict")
    torch.save([1, 2, 3], path)
    refused(path, options, "list")
    torch.save({"a.weight": torch.ones(1).expand(1 << 20, 1 << 20)}, path)
    refused(path, options, "a.weight", "repeats")
    torch.save({"a.weight": torch.ones(2, 2).to_sparse()}, path)
    refused(path, options, "sparse")


@settings(SETTINGS, max_examples=50)
@given(flips=FLIPS, inside=st.booleans())
def test_torch_fuzz(tmp_path: Path, options: ReadOptions, flips: Any, inside: bool) -> None:
    """Bytes change in the archive, or in the pickle of an archive that is sound."""
    path = stored(tmp_path / "f.pt", flipped(tensor(), flips, head=2) if inside else tensor())
    if not inside:
        path.write_bytes(flipped(path.read_bytes(), flips, head=4))
    reads_or_refuses(path, options)


# --- ONNX


def onnx_bytes() -> bytes:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    helper, numbers = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w"], ["y"], name="fc", transB=1)],
        "g",
        [helper.make_tensor_value_info("x", numbers, ["N", 2])],
        [helper.make_tensor_value_info("y", numbers, None)],
        [onnx.numpy_helper.from_array(np.ones((3, 2), np.float32), "w")],
    )
    return bytes(helper.make_model(graph).SerializeToString())


def test_onnx_tensors_that_lie(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    path = tmp_path / "a.onnx"
    for change, word in (("far", "another folder"), ("huge", "larger than its data"), ("text", "type")):
        model = onnx.ModelProto.FromString(onnx_bytes())
        tensor = model.graph.initializer[0]
        if change == "far":
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="/etc/passwd")
        elif change == "huge":
            tensor.dims[:] = [1 << 20, 1 << 20]
        else:
            tensor.data_type = onnx.TensorProto.STRING
        path.write_bytes(model.SerializeToString())
        refused(path, None, word, "w:")


@pytest.mark.parametrize(
    ("about", "word"),
    [
        ({"location": "../w.bin"}, "another folder"),
        ({"location": ".."}, "another folder"),
        ({"location": ""}, "another folder"),
        ({"location": "missing.bin"}, "not there"),
        ({"location": "link.bin"}, "not there"),
        ({"location": "w.bin", "offset": "8", "length": "24"}, "beyond the end"),
        ({"location": "w.bin", "offset": "-8"}, "beyond the end"),
        ({"location": "w.bin", "length": "8"}, "larger than its data"),
        ({"location": "w.bin", "offset": "x"}, "not a sound ONNX file"),
    ],
)
def test_onnx_data_beside_that_lie(tmp_path: Path, about: dict[str, str], word: str) -> None:
    """Only plain files in the folder of the model are read, and only as much as they hold."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    model = onnx.ModelProto.FromString(onnx_bytes())
    tensor = model.graph.initializer[0]
    tensor.dims[:] = [300, 2]  # more than the slack of the check of sizes
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in about.items():
        tensor.external_data.add(key=key, value=value)
    (tmp_path / "w.bin").write_bytes(bytes(24))
    (tmp_path / "link.bin").symlink_to(tmp_path / "w.bin")
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
    refused(tmp_path / "a.onnx", None, word)


@settings(SETTINGS, max_examples=8)
@given(flips=FLIPS)
def test_onnx_fuzz(tmp_path: Path, quick: None, forked: None, flips: Any) -> None:
    path = tmp_path / "f.onnx"
    path.write_bytes(flipped(onnx_bytes(), flips))
    reads_or_refuses(path, None)


# --- NIR


def nir_file(path: Path, change: Any = None) -> Path:
    """A sound NIR file, made with h5py alone; `change` gets the group of the graph."""
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    with h5py.File(path, "w") as file:
        graph = file.create_group("node")
        graph["type"] = "NIRGraph"
        graph["edges"] = np.array([["in", "a"], ["a", "n"], ["n", "out"]], h5py.string_dtype())
        fields: dict[str, dict[str, Any]] = {
            "in": {"type": "Input", "shape": [2]},
            "a": {"type": "Linear", "weight": np.ones((3, 2))},
            "n": {"type": "IF", "r": np.full(3, 1e4), "v_threshold": np.ones(3), "v_reset": np.zeros(3)},
            "out": {"type": "Output", "shape": [3]},
        }
        for name, values in fields.items():
            for key, value in values.items():
                graph[f"nodes/{name}/{key}"] = value
        if change:
            change(h5py, graph)
    return path


def test_the_sound_file_is_sound(tmp_path: Path) -> None:
    assert read(nir_file(tmp_path / "a.nir")).output == "n"


def _external(h5py: Any, graph: Any) -> None:
    del graph["nodes/a/weight"]
    graph["nodes/a/weight"] = h5py.ExternalLink("/etc/passwd", "/x")


def _stored_outside(_h5py: Any, graph: Any) -> None:
    del graph["nodes/a/weight"]
    graph["nodes/a"].create_dataset("weight", (3, 2), "f4", external=[("/etc/passwd", 0, 24)])


def _virtual(h5py: Any, graph: Any) -> None:
    del graph["nodes/a/weight"]
    layout = h5py.VirtualLayout((3, 2), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (3, 2))
    graph["nodes/a"].create_virtual_dataset("weight", layout)


def _soft_loop(h5py: Any, graph: Any) -> None:
    graph["nodes/a/again"] = h5py.SoftLink("/node/nodes/a/again")


def _hard_loop(_h5py: Any, graph: Any) -> None:
    graph["nodes/sub"] = graph


def _bomb(_h5py: Any, graph: Any) -> None:
    del graph["nodes/a/weight"]
    graph["nodes/a"].create_dataset(
        "weight", (1 << 20, 1 << 20), "f8", chunks=(1024, 1024), compression="gzip"
    )


def _text(_h5py: Any, graph: Any) -> None:
    del graph["nodes/a/weight"]
    graph["nodes/a/weight"] = "ones"


def _complex(_h5py: Any, graph: Any) -> None:
    del graph["nodes/a/weight"]
    graph["nodes/a/weight"] = np.ones((3, 2), complex)


def _axes(_h5py: Any, graph: Any) -> None:
    del graph["nodes/a/weight"]
    graph["nodes/a/weight"] = np.ones((1,) * 20)


def _many(_h5py: Any, graph: Any) -> None:
    for index in range(6000):
        graph.create_group(f"nodes/n{index}")


def _no_type(_h5py: Any, graph: Any) -> None:
    del graph["nodes/a/type"]


def _cycle(h5py: Any, graph: Any) -> None:
    del graph["edges"]
    graph["edges"] = np.array([["in", "a"], ["a", "n"], ["a", "a"], ["n", "out"]], h5py.string_dtype())


def _nan(_h5py: Any, graph: Any) -> None:
    graph["nodes/a/weight"][0, 0] = np.nan


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_external, ("a:", "link")),
        (_stored_outside, ("a.weight", "another file")),
        (_virtual, ("a.weight", "another file")),
        (_soft_loop, ("a:", "link")),
        (_hard_loop, ("levels",)),
        (_bomb, ("a.weight", "larger")),
        (_text, ("a:", "weight")),
        (_complex, ("a.weight", "not read")),
        (_axes, ("a.weight", "axes")),
        (_many, ("entries",)),
        (_no_type, ("a:", "type")),
        (_cycle, ("a:", "without neurons")),
        (_nan, ("a:", "NaN")),
    ],
)
def test_nir_files_with_one_thing_wrong(
    tmp_path: Path, forked: None, change: Any, words: tuple[str, ...]
) -> None:
    refused(nir_file(tmp_path / "a.nir", change), None, *words)


def test_cut_nir_files(tmp_path: Path, quick: None) -> None:
    raw = nir_file(tmp_path / "a.nir").read_bytes()
    for share in (0.05, 0.5, 0.99):
        (tmp_path / "cut.nir").write_bytes(raw[: int(share * len(raw))])
        refused(tmp_path / "cut.nir", None, f"cut off, {int(share * len(raw))} of {len(raw)} bytes")


@settings(SETTINGS, max_examples=10)
@given(flips=FLIPS)
def test_nir_fuzz(tmp_path: Path, quick: None, forked: None, flips: Any) -> None:
    path = tmp_path / "f.nir"
    path.write_bytes(flipped(nir_file(tmp_path / "a.nir").read_bytes(), flips, head=8))
    reads_or_refuses(path, None)


@pytest.mark.slow
@settings(SETTINGS, max_examples=300)
@given(flips=FLIPS)
def test_nir_fuzz_longer(tmp_path: Path, quick: None, flips: Any) -> None:
    path = tmp_path / "f.nir"
    path.write_bytes(flipped(nir_file(tmp_path / "a.nir").read_bytes(), flips, head=8))
    reads_or_refuses(path, None)


def test_a_library_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "h5py.py").write_text("raise ModuleNotFoundError('no h5py', name='h5py')")
    path = nir_file(tmp_path / "a.nir")
    monkeypatch.syspath_prepend(hidden)
    refused(path, None, "pip install 'imcsim[nir]'")
