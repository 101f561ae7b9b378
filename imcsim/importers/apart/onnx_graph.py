"""An ONNX file as plain nodes and arrays.

Only the protobuf messages of the onnx library are used; nothing is computed. Sizes are compared with the data
before arrays are made.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import AttributeProto, TensorProto, numpy_helper

from imcsim.base.errors import ImcsimError
from imcsim.importers.apart import Answer

MAX_NODES = 20_000
MAX_BYTES = 1 << 30
_DOMAINS = ("", "ai.onnx", "ai.onnx.ml")
_SHOWN = 200


class _Arrays:
    """The tensors of a file in `folder`; `beside` are the files there that hold data of some."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.found: dict[str, NDArray[Any]] = {}
        self.beside: set[str] = set()
        self.room = MAX_BYTES

    def _from_beside(self, tensor: TensorProto, name: str) -> TensorProto:
        """The tensor with the data that lie in a file beside the model, and nowhere else."""
        about = {_text(entry.key): _text(entry.value) for entry in tensor.external_data}
        location = about.get("location", "")
        file = self.folder / location
        if not location or location.strip(".") == "" or any(c in location for c in "/\\:\0"):
            raise ImcsimError(
                "its data lie in another folder", key=name, fix="save the model and its data in one folder"
            )
        if file.is_symlink() or not file.is_file():
            raise ImcsimError(
                f"its data lie in {location!a:.60}, which is not there",
                key=name,
                fix="put it beside the model",
            )
        size, first = file.stat().st_size, int(about.get("offset", 0))
        length = int(about.get("length", size - first))
        if not (0 <= first <= size and 0 <= length <= min(size - first, self.room)):
            raise ImcsimError(
                f"its data reach beyond the end of {location!a:.60}",
                key=name,
                fix="fetch or write both files again",
            )
        with file.open("rb") as stream:
            stream.seek(first)
            data = stream.read(length)
        self.beside.add(location)
        whole = TensorProto()
        whole.CopyFrom(tensor)
        del whole.external_data[:]
        whole.data_location = TensorProto.DEFAULT
        whole.raw_data = data
        return whole

    def add(self, tensor: TensorProto, name: str) -> str:
        """Keep the tensor; returns its key. Raises ImcsimError where its shape and data disagree."""
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            tensor = self._from_beside(tensor, name)
        if len(tensor.dims) > 8 or any(n < 0 for n in tensor.dims):
            raise ImcsimError(
                f"the shape {list(tensor.dims)[:10]} is not possible", key=name, fix="export again"
            )
        try:
            kind = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))
        except (KeyError, TypeError, ValueError):
            kind = np.dtype(object)
        if kind.kind in "OSU":
            raise ImcsimError("its type is not read", key=name, fix="store floats or integers")
        size = math.prod(tensor.dims) * kind.itemsize
        self.room -= size
        if self.room < 0 or size > 8 * tensor.ByteSize() + 64:
            raise ImcsimError(
                f"the shape {list(tensor.dims)} is larger than its data", key=name, fix="export again"
            )
        value = np.asarray(numpy_helper.to_array(tensor))
        if value.dtype.kind not in "biuf":  # bfloat16 and other small floats of ml_dtypes
            try:
                value = value.astype(np.float32)
            except (TypeError, ValueError):
                raise ImcsimError("its type is not read", key=name, fix="store floats or integers") from None
        key = f"a{len(self.found)}"
        self.found[key] = value
        return key


def read(path: Path) -> Answer:
    """Nodes, constants, inputs and outputs of the ONNX file. Raises ImcsimError and what onnx raises."""
    model = onnx.ModelProto()
    model.ParseFromString(path.read_bytes())
    graph = model.graph
    if not graph.node:
        raise ImcsimError("it holds no graph of ONNX", fix="export it with torch.onnx.export")
    if len(graph.node) > MAX_NODES:
        raise ImcsimError(
            f"it holds {len(graph.node)} nodes; at most {MAX_NODES} are read", fix="export again"
        )
    if model.functions or graph.sparse_initializer:
        raise ImcsimError("functions and sparse weights are not read", fix="export it without them")
    arrays = _Arrays(path.parent)
    constants = {_text(t.name): arrays.add(t, _text(t.name)) for t in graph.initializer}
    nodes = []
    for index, node in enumerate(graph.node):
        inputs, outputs = [_text(one) for one in node.input], [_text(one) for one in node.output]
        name = _text(node.name) or (outputs[0] if outputs else "") or f"{_text(node.op_type)}_{index}"
        attributes: dict[str, Any] = {}
        for attribute in node.attribute:
            attributes[_text(attribute.name)] = _attribute(attribute, name, arrays)
        nodes.append(
            {
                "name": name[:_SHOWN],
                "op": _text(node.op_type)[:_SHOWN],
                "standard": node.domain in _DOMAINS,
                "inputs": inputs,
                "outputs": outputs,
                "attributes": attributes,
            }
        )
    images = [{"name": _text(v.name), "shape": _shape(v)} for v in graph.input]
    return {
        "nodes": nodes,
        "constants": constants,
        "inputs": [image for image in images if image["name"] not in constants],
        "outputs": [_text(v.name) for v in graph.output],
        "beside": sorted(arrays.beside),
    }, arrays.found


def _text(value: str | bytes) -> str:
    """A text, which protobuf gives as bytes where it is no UTF-8."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _attribute(attribute: AttributeProto, node: str, arrays: _Arrays) -> Any:
    match attribute.type:
        case AttributeProto.INT:
            return attribute.i
        case AttributeProto.FLOAT:
            return attribute.f
        case AttributeProto.STRING:
            return attribute.s.decode("utf-8", "replace")[:_SHOWN]
        case AttributeProto.INTS:
            return list(attribute.ints)[:64]
        case AttributeProto.FLOATS:
            return list(attribute.floats)[:64]
        case AttributeProto.TENSOR:
            return {"array": arrays.add(attribute.t, node)}
        case AttributeProto.GRAPH | AttributeProto.GRAPHS:
            raise ImcsimError(
                "control flow is not modelled", key=node, fix="export the network without loops"
            )
    return None


def _shape(value: Any) -> list[int] | None:
    """Sizes of an input; 0 for one that is left open."""
    if not value.type.tensor_type.HasField("shape"):
        return None
    return [int(d.dim_value) if d.HasField("dim_value") else 0 for d in value.type.tensor_type.shape.dim][:8]
