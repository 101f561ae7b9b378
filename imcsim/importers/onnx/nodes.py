"""The operators of ONNX (https://onnx.ai/onnx/operators), as layers; others are refused by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.base.plurals import counted
from imcsim.importers.importing.layers import (
    INPUT,
    Neuron,
    Norm,
    ReadFlatten,
    ReadPool,
    ReadRelu,
    Voting,
    Weights,
)
from imcsim.importers.onnx.activations import QuantisedActivations
from imcsim.importers.onnx.operands import Constant, ImageTensor

Values = NDArray[np.float64]
MakeNeuron = Callable[[str, tuple[str, ...], Mapping[str, Any]], Neuron | ReadRelu]

_SAME = ("Identity", "Dropout", "Cast")
_ACTIVATIONS = ("Relu", "Clip")
_LOOPS = ("control flow is not modelled", "export the network without loops")
_INTEGERS = ("it computes with integers", "give the weights through DequantizeLinear instead")
_CURVES = ("this activation has no neurons to stand for it", "export the network with nn.ReLU in its place")
_WHY = {
    **dict.fromkeys(("Loop", "If", "Scan"), _LOOPS),
    **dict.fromkeys(("QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger"), _INTEGERS),
    **dict.fromkeys(("LeakyRelu", "PRelu", "Elu", "Celu", "Selu", "Gelu", "Sigmoid", "Tanh"), _CURVES),
    "ConvTranspose": ("transposed convolutions are not modelled", "train with convolutions"),
    "Softmax": ("it stands before the end of the network", "leave it out: neurons come behind weights"),
    "LogSoftmax": ("it stands before the end of the network", "leave it out: neurons come behind weights"),
}
"""Operators that are refused, why, and what to do."""


class Walk(QuantisedActivations):
    """Goes through the nodes of a graph and makes `layers`; `notes` says what was left out, `affirmed` what
    every report repeats.
    """

    def __init__(
        self,
        path: Path,
        document: Mapping[str, Any],
        arrays: Mapping[str, NDArray[Any]],
        shape: tuple[int, ...] | None,
        neuron: MakeNeuron,
    ) -> None:
        super().__init__(path)
        self.arrays, self.make_neuron = arrays, neuron
        self.notes: list[str] = []
        self.affirmed: list[str] = []
        self.nodes = document["nodes"]
        self.outputs: list[str] = document["outputs"]
        self.known |= {name: Constant(arrays[key]) for name, key in document["constants"].items()}
        self.shape = self._input(document["inputs"], shape)

    def _input(self, inputs: list[dict[str, Any]], shape: tuple[int, ...] | None) -> tuple[int, ...]:
        if len(inputs) != 1:
            names = ", ".join(v["name"] for v in inputs)[:80]
            raise ImcsimError(
                f"the graph has {len(inputs)} inputs: {names}", file=self.path, fix="export one image"
            )
        stated = inputs[0]["shape"]
        if shape is None:
            shape = tuple(stated[1:]) if stated else ()
        if not 1 <= len(shape) <= 3 or any(n < 1 for n in shape):
            raise ImcsimError(
                "the file leaves the shape of the input open",
                file=self.path,
                fix="give --input-shape, as 3x32x32",
            )
        self.known[inputs[0]["name"]] = ImageTensor((INPUT,), shape)
        return shape

    def layers_to_output(self) -> str:
        """Make all layers; returns the name of the last. Raises ImcsimError, naming the node."""
        taken = {INPUT}
        for node in self.nodes:
            if node["name"] in taken:
                node["name"] = f"{node['name']}.{len(taken)}"
            taken.add(node["name"])
            self.node = node
            result = self._result(node["op"])
            for name in node["outputs"][:1]:
                self.known[name] = result
        if len(self.outputs) != 1:
            raise ImcsimError(f"the graph has {len(self.outputs)} outputs", file=self.path, fix="export one")
        end = self.known.get(self.outputs[0])
        if not isinstance(end, ImageTensor) or end.layers == (INPUT,):
            raise ImcsimError(
                "the output does not depend on the image", file=self.path, fix="export the network"
            )
        if len(end.layers) > 1:
            self.layers.append(Norm("output", end.layers, np.ones(1), np.zeros(1)))
            return "output"
        return end.layers[0]

    # --- one node

    def _result(self, op: str) -> Constant | ImageTensor:
        node = self.node
        if not node["standard"]:
            return self._neuron(self._flow(0), {})
        if op == "Constant":
            return self._constant_node()
        if op in _SAME:
            return self._value(0)
        if op == "Transpose":
            values = self._constant(0)
            axes = self._ints("perm") or list(range(values.values.ndim))[::-1]
            if values.scale is not None or sorted(axes) != list(range(values.values.ndim)):
                raise self._wrong("only plain constants are transposed", "export it again")
            return Constant(values.values.transpose(axes))
        self._no_codes()
        if op == "QuantizeLinear":
            return self._quantised()
        if op == "DequantizeLinear":
            value = self._value(0)
            return self._unquantised(value) if isinstance(value, ImageTensor) else self._dequantised()
        if op in _ACTIVATIONS and (clipped := self._before_quantising()) is not None:
            return clipped
        if op in ("Softmax", "LogSoftmax") and node["outputs"] == self.outputs:
            return self._without_softmax(op)
        if op in _ACTIVATIONS:
            return self._neuron(self._flow(0), {})
        if op in ("Greater", "GreaterOrEqual"):
            limit = self._constant(1).real()
            if limit.size != 1:
                raise self._wrong("it compares with more than one number", "use one threshold")
            return self._neuron(
                self._flow(0),
                {"threshold": float(limit.flat[0]), "fires": "above" if op == "Greater" else "at"},
            )
        make = {
            "Conv": self._conv,
            "Gemm": self._gemm,
            "MatMul": self._matmul,
            "Add": self._add,
            "Sub": self._affine,
            "Mul": self._affine,
            "Div": self._affine,
            "BatchNormalization": self._batch_norm,
            "AveragePool": self._pool,
            "MaxPool": self._pool,
            "GlobalAveragePool": self._global_pool,
            "ReduceMean": self._global_pool,
            "Flatten": self._flatten,
            "Reshape": self._flatten,
            "Unsqueeze": self._row_as_map,
            "Squeeze": self._map_as_row,
        }.get(op)
        if make is None:
            raise self._wrong(
                *_WHY.get(op, ("this operator is not modelled", "see docs/import/onnx.md for what is read"))
            )
        return make()

    def _without_softmax(self, op: str) -> ImageTensor:
        name = self.node["name"]
        if op == "LogSoftmax":
            kept = "it takes the same number from all classes, which no exit and no mean over timesteps sees"
            self.notes.append(f"the LogSoftmax at the end ({name}) is left out: {kept}")
        else:
            self.affirmed.append(
                f"the Softmax at the end ({name}) is left out: in a timestep classes keep their order, and "
                "means over timesteps are those of what it reads"
            )
        return self._flow(0)

    def _neuron(self, flow: ImageTensor, stated: Mapping[str, Any]) -> ImageTensor:
        return self._append(self.make_neuron(self.node["name"], flow.layers, stated), flow.shape)

    def _constant_node(self) -> Constant:
        attributes = self.node["attributes"]
        if isinstance(attributes.get("value"), dict):
            return Constant(self.arrays[attributes["value"]["array"]])
        for key in ("value_float", "value_int", "value_floats", "value_ints"):
            if attributes.get(key) is not None:
                made = np.asarray(attributes[key])
                if made.dtype.kind not in "iuf":
                    raise self._wrong(f"the attribute {key} must hold numbers", "export it again")
                return Constant(made)
        raise self._wrong("this constant holds no numbers", "export it again")

    def _dequantised(self) -> Constant:
        values, scale = self._constant(0).values, self._constant(1).real().ravel()
        if scale.size == 0:
            raise self._wrong("there is no scale", "quantise it again")
        if len(self.node["inputs"]) > 2 and np.any(self._constant(2).values != 0):
            raise self._wrong("a zero point other than 0 is not modelled", "quantise symmetrically")
        axis = int(self._int("axis", 1)) % max(values.ndim, 1)
        if values.dtype.kind not in "iu" or np.any(scale <= 0) or self._int("block_size", 0):
            raise self._wrong("it must turn integers into reals with positive scales", "quantise it again")
        if scale.size > 1 and (values.ndim == 0 or axis != 0 or scale.size != len(values)):
            raise self._wrong("the scales must go with the first axis (output channels)", "quantise it again")
        return Constant(values, scale)

    def _conv(self) -> ImageTensor:
        flow, constant = self._flow(0), self._constant(1)
        weight = self._integers(constant)
        one = weight.ndim == 3
        if weight.ndim not in (3, 4) or len(flow.shape) != weight.ndim - 1:
            raise self._wrong(
                f"weights {list(weight.shape)} on an input {list(flow.shape)} are not read", "use 2-D"
            )
        if one:
            weight = weight[:, :, None, :]
        kernel = weight.shape[2:]
        stride, dilation = self._pair("strides", (1, 1), one), self._pair("dilations", (1, 1), one)
        padding = self._pads(one)
        groups = self._int("group", 1)
        if groups < 1 or weight.shape[1] * groups != flow.shape[0]:
            raise self._wrong(
                f"it takes {counted(weight.shape[1] * groups, 'channel')}, not {flow.shape[0]}",
                "export it again",
            )
        bias = self._bias(2, len(weight))
        layer = Weights(
            self.node["name"],
            flow.layers,
            weight,
            bias,
            stride,
            padding,
            dilation,
            groups,
            self._scale(constant),
        )
        extent = tuple(d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True))
        return self._append(layer, (len(weight), *self._windows(flow.shape, extent, stride, padding)))

    def _gemm(self) -> ImageTensor:
        flow, constant = self._row(0), self._constant(1)
        weight, scale = self._integers(constant), self._scale(constant)
        alpha, beta = self._number("alpha", 1.0), self._number("beta", 1.0)
        if self._int("transA", 0) or weight.ndim != 2:
            raise self._wrong("it must multiply a row with a matrix", "export it again")
        if not self._int("transB", 0):
            if constant.scale is not None and constant.scale.size > 1:
                raise self._wrong("the scales must go with the output channels", "use transB=1")
            weight = np.ascontiguousarray(weight.T)
            scale = None if constant.scale is None else np.broadcast_to(constant.scale, (len(weight),)).copy()
        bias = self._bias(2, len(weight))
        if scale is None:
            weight = alpha * weight
        else:
            scale = alpha * scale
        bias = None if bias is None else beta * bias
        return self._linear(flow, weight, bias, scale)

    def _matmul(self) -> ImageTensor:
        flow, constant = self._row(0), self._constant(1)
        weight = self._integers(constant)
        if weight.ndim != 2 or (constant.scale is not None and constant.scale.size > 1):
            raise self._wrong("it must multiply a row with a matrix [in, out]", "export it again")
        scale = None
        if constant.scale is not None:
            scale = np.broadcast_to(constant.scale, (weight.shape[1],)).copy()
        return self._linear(flow, np.ascontiguousarray(weight.T), None, scale)

    def _linear(
        self, flow: ImageTensor, weight: Values, bias: Values | None, scale: Values | None
    ) -> ImageTensor:
        if weight.shape[1] != flow.shape[0]:
            raise self._wrong(
                f"it takes {counted(weight.shape[1], 'value')}, not {flow.shape[0]}", "check --input-shape"
            )
        return self._append(
            Weights(self.node["name"], flow.layers, weight, bias, scale=scale), (len(weight),)
        )

    def _add(self) -> ImageTensor:
        one, two = self._value(0), self._value(1)
        if isinstance(one, ImageTensor) and isinstance(two, ImageTensor):
            if set(one.layers) & set(two.layers):
                raise self._wrong("it adds the same values twice", "multiply by 2 instead")
            if one.shape != two.shape:
                raise self._wrong(f"it adds {list(one.shape)} and {list(two.shape)}", "shapes must be equal")
            return ImageTensor(one.layers + two.layers, one.shape)
        return self._affine()

    def _affine(self) -> ImageTensor:
        """Add, Sub, Mul, Div with a constant: one number, or one per channel."""
        op, values = self.node["op"], (self._value(0), self._value(1))
        swapped = isinstance(values[0], Constant)
        flow, constant = self._flow(1 if swapped else 0), self._constant(0 if swapped else 1)
        number = self._per_channel(constant.real(), flow.shape)
        factor, offset = np.ones(1), np.zeros(1)
        if op == "Mul":
            factor = number
        elif op == "Div":
            if swapped or np.any(number == 0):
                raise self._wrong("it divides by the values or by 0", "export it again")
            factor = 1.0 / number
        elif op == "Sub":
            factor, offset = (-factor, number) if swapped else (factor, -number)
        else:
            offset = number
        return self._append(Norm(self.node["name"], flow.layers, factor, offset), flow.shape)

    def _batch_norm(self) -> ImageTensor:
        flow = self._flow(0)
        weight, bias, mean, variance = (self._constant(i).real().ravel() for i in range(1, 5))
        eps = self._number("epsilon", 1e-5)
        if self._int("training_mode", 0) or not weight.shape == bias.shape == mean.shape == variance.shape:
            raise self._wrong("it must be a batch norm in evaluation", "call model.eval() before the export")
        if np.any(variance + eps <= 0):
            raise self._wrong("its variance is negative", "export it again")
        factor = weight / np.sqrt(variance + eps)
        return self._append(Norm(self.node["name"], flow.layers, factor, bias - mean * factor), flow.shape)

    def _row_as_map(self) -> ImageTensor:
        """What PyTorch puts before a 1-D pool that reads a row for each image."""
        flow = self._row(0)
        if self._axes() not in ([0], [1]):
            raise self._wrong("only a row becomes a map of one channel here", "reshape before the weights")
        return ImageTensor(flow.layers, (1, *flow.shape), of_row=True)

    def _map_as_row(self) -> ImageTensor:
        flow = self._flow(0)
        if not flow.of_row or self._axes() not in ([0], [1]):
            raise self._wrong("only what was a row before becomes one again", "use Flatten")
        return ImageTensor(flow.layers, flow.shape[1:])

    def _axes(self) -> list[int]:
        return self._whole(1) if len(self.node["inputs"]) > 1 else self._ints("axes") or []

    def _votes(self, flow: ImageTensor) -> ImageTensor:
        """An average over neighbours in a row."""
        size, stride = (self._pair(key, None, True)[1] for key in ("kernel_shape", "strides"))
        if self.node["op"] != "AveragePool" or size != stride or self._pads(True) != (0, 0):
            raise self._wrong(
                "of a row it must average groups of neighbours", "pool before flattening, or use whole groups"
            )
        if size < 1 or flow.shape[1] % size:
            raise self._wrong(f"{flow.shape[1]} values do not part into groups of {size}", "use whole groups")
        voted = self._append(Voting(self.node["name"], flow.layers, size), (1, flow.shape[1] // size))
        return ImageTensor(voted.layers, voted.shape, of_row=True)

    def _pool(self) -> ImageTensor:
        flow, one = self._flow(0), len(self._flow(0).shape) == 2
        if flow.of_row:
            return self._votes(flow)
        if len(flow.shape) == 1:
            raise self._wrong(
                "it pools a row of values", "pool before flattening, or list the layers, with kind: voting"
            )
        size = self._pair("kernel_shape", None, one)
        stride, padding = self._pair("strides", (1, 1), one), self._pads(one)
        average = self.node["op"] == "AveragePool"
        if self._int("ceil_mode", 0) or self._pair("dilations", (1, 1), one) != (1, 1):
            raise self._wrong("ceil_mode and dilation of pools are not modelled", "use windows that fit")
        if average and padding != (0, 0) and not self._int("count_include_pad", 0):
            raise self._wrong("padding that does not count is not modelled", "use count_include_pad=True")
        kind: Literal["average", "max"] = "average" if average else "max"
        layer = ReadPool(self.node["name"], flow.layers, kind, size, stride, padding)
        return self._append(layer, (flow.shape[0], *self._windows(flow.shape, size, stride, padding)))

    def _global_pool(self) -> ImageTensor:
        flow = self._flow(0)
        size = (
            (1 if len(flow.shape) == 2 else flow.shape[1], flow.shape[-1]) if len(flow.shape) > 1 else (1, 1)
        )
        if len(flow.shape) == 1:
            raise self._wrong(
                "it averages a row of values", "pool before flattening, or list the layers, with kind: voting"
            )
        shape: tuple[int, ...] = (flow.shape[0], *(1,) * (len(flow.shape) - 1))
        if self.node["op"] == "ReduceMean":
            axes = self._ints("axes") or (self._whole(1) if len(self.node["inputs"]) > 1 else [])
            rank = len(flow.shape) + 1
            if sorted(a % rank for a in axes) != list(range(2, rank)):
                raise self._wrong("only means over rows and columns are modelled", "use an average pool")
        pooled = self._append(ReadPool(self.node["name"], flow.layers, "average", size, size), shape)
        if self.node["op"] == "ReduceMean" and not self._int("keepdims", 1):
            return self._append(ReadFlatten(f"{self.node['name']}.flatten", pooled.layers), (flow.shape[0],))
        return pooled

    def _flatten(self) -> ImageTensor:
        flow = self._flow(0)
        count = math.prod(flow.shape)
        if flow.of_row:
            return ImageTensor(flow.layers, (count,))
        if self.node["op"] == "Reshape":
            wanted = self._whole(1)
            row = len(wanted) == 2 and (wanted[1] in (-1, count) or (len(flow.shape) == 1 and wanted[1] == 0))
            if not row:
                raise self._wrong(f"the shape {wanted[:8]} is not a row for each image", "use Flatten")
        elif self._int("axis", 1) not in (1, -len(flow.shape)):
            raise self._wrong("it must flatten all but the first axis", "use axis 1")
        if len(flow.shape) == 1:
            return flow
        return self._append(ReadFlatten(self.node["name"], flow.layers), (count,))
