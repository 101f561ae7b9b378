"""Activations in whole steps in an ONNX graph: QuantizeLinear and DequantizeLinear around them.

A quantised ReLU is written as Relu (or Clip), QuantizeLinear to unsigned codes, perhaps a Clip of the codes
to fewer bits, DequantizeLinear. That is one layer here. A copy of it behind a maximum or a reshape changes
nothing.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from imcsim.importers.importing.layers import INPUT, Layer, ReadFlatten, ReadPool, ReadRelu
from imcsim.importers.onnx.operands import Codes, Constant, ImageTensor, Operands

CODE_BITS = 8
"""Of unsigned codes, as quantisers store them."""

_TAKE_CODES = ("Clip", "DequantizeLinear", "Identity")


class QuantisedActivations(Operands):
    """Makes layers of activations; `nodes` are those of the graph, `layers` those made so far."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.layers: list[Layer] = []
        self.nodes: list[dict[str, Any]] = []

    def _append(self, layer: Layer, shape: tuple[int, ...]) -> ImageTensor:
        self.layers.append(layer)
        return ImageTensor((layer.name,), shape)

    def _no_codes(self) -> None:
        """Raise ImcsimError where an operator computes with codes, which are no real values."""
        read = (self.known.get(name) for name in self.node["inputs"])
        codes = any(isinstance(value, ImageTensor) and value.codes is not None for value in read)
        if codes and self.node["op"] not in _TAKE_CODES:
            raise self._wrong("it computes with integers", "put DequantizeLinear before it")

    def _before_quantising(self) -> ImageTensor | None:
        """What a ReLU or Clip reads, where all that reads it are quantisers, which clip as well; what a Clip
        between quantiser and dequantiser leaves. None where it stands for neurons.
        """
        flow = self._flow(0)
        if flow.codes is not None:
            return self._fewer_bits(flow, flow.codes)
        name = self.node["outputs"][0]
        readers = [node for node in self.nodes if name in node["inputs"]]
        if not readers or any(node["op"] != "QuantizeLinear" for node in readers):
            return None
        top = self._limit(2, "max") if self.node["op"] == "Clip" else None
        return flow if top is None else replace(flow, top=top)

    def _fewer_bits(self, flow: ImageTensor, codes: Codes) -> ImageTensor:
        low, top = self._limit(1, "min"), self._limit(2, "max")
        bits = 0 if top is None else int(top).bit_length()
        if low not in (None, 0.0) or not bits or top != (1 << bits) - 1:
            raise self._wrong("codes are clipped to 0 and a power of two less one", "quantise to whole bits")
        return replace(flow, codes=replace(codes, bits=min(codes.bits, bits)))

    def _limit(self, index: int, attribute: str) -> float | None:
        """A bound of a Clip: an input, or of old files an attribute."""
        inputs = self.node["inputs"]
        if len(inputs) > index and inputs[index]:
            return float(self._constant(index).real().ravel()[0])
        found = self._attribute(attribute, (int, float), "a number")
        return None if found is None else float(found)

    def _quantised(self) -> ImageTensor:
        """Codes of activations: unsigned, with one scale and zero at 0."""
        value = self._value(0)
        if isinstance(value, Constant):
            raise self._wrong("it quantises constants", "store the weights as integers")
        scale, inputs = self._constant(1).real().ravel(), self.node["inputs"]
        zero = self._constant(2).values if len(inputs) > 2 and inputs[2] else None
        if scale.size != 1 or not 0 < scale[0] < math.inf:
            raise self._wrong("it has a scale for each channel", "quantise activations with one scale")
        if zero is not None and (zero.dtype.kind != "u" or np.any(zero != 0)):  # left out, it is such a 0
            raise self._wrong("activations are unsigned here, with a zero point of 0", "quantise a ReLU")
        if value.layers == (INPUT,):
            raise self._wrong("it quantises the image", "leave the image as it is: pixels are whole numbers")
        return replace(value, codes=Codes(float(scale[0]), CODE_BITS))

    def _unquantised(self, flow: ImageTensor) -> ImageTensor:
        codes = flow.codes
        if codes is None:
            raise self._wrong("it reads no quantised values", "export it again")
        if not np.array_equal(self._constant(1).real().ravel(), [codes.step]):
            raise self._wrong("it has another scale than the quantiser before it", "export it again")
        bits, plain = codes.bits, replace(flow, codes=None, top=None)
        # A Clip of real values counts where it is below what the codes can hold.
        if flow.top is not None and flow.top < ((1 << bits) - 0.5) * codes.step:
            steps = round(flow.top / codes.step)
            bits = steps.bit_length()
            if steps != (1 << bits) - 1:
                raise self._wrong(f"it is clipped at {steps} steps", "clip at a power of two less one")
        if self._quantised_before(plain.layers, ReadRelu("", (), bits, codes.step)):
            return plain
        return self._append(ReadRelu(self.node["name"], plain.layers, bits, codes.step), plain.shape)

    def _quantised_before(self, layers: tuple[str, ...], wanted: ReadRelu) -> bool:
        """Whether values are such activations already, or maxima of them."""
        by_name = {layer.name: layer for layer in self.layers}
        layer = by_name.get(layers[0]) if len(layers) == 1 else None
        while isinstance(layer, ReadFlatten) or (isinstance(layer, ReadPool) and layer.kind == "max"):
            layer = by_name.get(layer.inputs[0]) if len(layer.inputs) == 1 else None
        return isinstance(layer, ReadRelu) and layer.step == wanted.step and layer.bits <= wanted.bits
