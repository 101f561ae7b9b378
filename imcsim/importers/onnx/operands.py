"""What the operators of an ONNX graph read: constants, values that depend on the image, and attributes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.base.names import shown
from imcsim.base.plurals import counted

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Constant:
    """Numbers of the file; with `scale` (one per channel, or one) they are integers to multiply by it."""

    values: NDArray[Any]
    scale: Values | None = None

    def real(self) -> Values:
        if self.scale is None:
            return self.values.astype(np.float64)
        shape = (-1, *(1,) * (self.values.ndim - 1)) if self.scale.size > 1 else ()
        return np.asarray(self.values * self.scale.reshape(shape), np.float64)


@dataclass(frozen=True)
class Codes:
    """Whole steps of activations, of so many bits."""

    step: float
    bits: int


@dataclass(frozen=True)
class ImageTensor:
    """A tensor that depends on the image: the sum of these layers, and its shape without the batch.

    `of_row`: a row of n values that stands as a map ``[1, n]``, for a pool over it. `codes`: the values are
    between a quantiser and its dequantiser. `top`: where they were clipped before.
    """

    layers: tuple[str, ...]
    shape: tuple[int, ...]
    of_row: bool = False
    codes: Codes | None = None
    top: float | None = None


class Operands:
    """The node at hand (`node`) and what the nodes before it made (`known`, by name of the tensor)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.node: dict[str, Any] = {}
        self.known: dict[str, Constant | ImageTensor] = {}

    def _per_channel(self, values: Values, shape: tuple[int, ...]) -> Values:
        if values.size == 1:
            return values.reshape(1)
        aligned = values.reshape((1,) * max(len(shape) + 1 - values.ndim, 0) + values.shape)
        if aligned.ndim != len(shape) + 1 or aligned.shape[1] != shape[0] or aligned.size != shape[0]:
            raise self._wrong(
                f"a constant of shape {list(values.shape)} is not one number per channel", "export again"
            )
        return aligned.ravel()

    def _value(self, index: int) -> Constant | ImageTensor:
        inputs = self.node["inputs"]
        name = inputs[index] if index < len(inputs) else ""
        if name not in self.known:
            what = f"it reads {name[:80]!r}, which no node before it makes" if name else "an input is missing"
            raise self._wrong(what, "export it again")
        return self.known[name]

    def _flow(self, index: int) -> ImageTensor:
        value = self._value(index)
        if isinstance(value, Constant):
            raise self._wrong("it computes with constants only", "simplify the graph before exporting it")
        return value

    def _row(self, index: int) -> ImageTensor:
        flow = self._flow(index)
        if len(flow.shape) != 1:
            raise self._wrong(f"it reads a map {list(flow.shape)}", "flatten it first")
        return flow

    def _constant(self, index: int) -> Constant:
        value = self._value(index)
        if isinstance(value, ImageTensor):
            raise self._wrong(f"input {index} must be a constant", "export the weights with the model")
        return value

    def _integers(self, constant: Constant) -> Values:
        return constant.values.astype(np.float64)

    def _scale(self, constant: Constant) -> Values | None:
        if constant.scale is None:
            return None
        if constant.values.ndim == 0 or constant.scale.size not in (1, len(constant.values)):
            raise self._wrong("the scales do not go with the output channels", "quantise it again")
        return np.broadcast_to(constant.scale, (len(constant.values),)).copy()

    def _bias(self, index: int, count: int) -> Values | None:
        if len(self.node["inputs"]) <= index or not self.node["inputs"][index]:
            return None
        bias = self._constant(index).real().ravel()
        if bias.size not in (1, count):
            raise self._wrong(
                f"the bias holds {counted(bias.size, 'number')} for {counted(count, 'channel')}",
                "export it again",
            )
        return np.broadcast_to(bias, (count,)).copy() if bias.size == 1 else bias

    def _attribute(self, key: str, kind: type | tuple[type, ...], called: str) -> Any:
        """An attribute of the node, None where it has none. Raises ImcsimError for one of another type."""
        value = self.node["attributes"].get(key)
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            raise self._wrong(f"the attribute {key} must be {called}, not {shown(value)}", "export it again")
        return value

    def _int(self, key: str, default: int) -> int:
        value = self._attribute(key, int, "a whole number")
        return default if value is None else int(value)

    def _number(self, key: str, default: float) -> float:
        value = self._attribute(key, (int, float), "a number")
        if value is not None and not math.isfinite(value):
            raise self._wrong(f"the attribute {key} must be a finite number", "export it again")
        return default if value is None else float(value)

    def _ints(self, key: str) -> list[int] | None:
        value = self._attribute(key, list, "a list of whole numbers")
        if value is not None and not all(type(one) is int for one in value):
            raise self._wrong(f"the attribute {key} must be a list of whole numbers", "export it again")
        return None if value is None else list(value)

    def _whole(self, index: int) -> list[int]:
        """A constant input that lists whole numbers."""
        values = self._constant(index).values.ravel()
        if values.dtype.kind not in "iu":
            raise self._wrong(f"input {index} must hold whole numbers", "export it again")
        return [int(n) for n in values]

    def _pair(self, key: str, default: tuple[int, int] | None, one: bool) -> tuple[int, int]:
        value = self._ints(key)
        if value is None and default is not None:
            return default
        if value is None or len(value) != (1 if one else 2):
            raise self._wrong(f"{key} is missing or has another length", "export it again")
        return (1, int(value[0])) if one else (int(value[0]), int(value[1]))

    def _pads(self, one: bool) -> tuple[int, int]:
        automatic = self._attribute("auto_pad", str, "a text") or "NOTSET"
        if automatic not in ("NOTSET", "VALID", ""):
            raise self._wrong(f"auto_pad {automatic[:20]} is not read", "export it with numbers")
        pads = self._ints("pads") or [0] * (2 if one else 4)
        half = len(pads) // 2
        if len(pads) != (2 if one else 4) or pads[:half] != pads[half:]:
            raise self._wrong(f"the padding {pads[:8]} differs between the two sides", "pad both sides alike")
        return (0, int(pads[0])) if one else (int(pads[0]), int(pads[1]))

    def _windows(
        self,
        shape: tuple[int, ...],
        extent: tuple[int, ...],
        stride: tuple[int, int],
        padding: tuple[int, int],
    ) -> tuple[int, ...]:
        sizes = (1, *shape[1:])[-2:] if len(shape) == 2 else shape[1:]
        if len(sizes) != 2 or min(*stride, *extent) < 1 or min(padding) < 0:
            raise self._wrong("windows of this kind are not possible", "export it again")
        found = [(n + 2 * p - e) // s + 1 for n, e, s, p in zip(sizes, extent, stride, padding, strict=True)]
        if min(found) < 1:
            raise self._wrong(f"its windows are larger than the map {list(shape)}", "check --input-shape")
        return tuple(found[1:]) if len(shape) == 2 else tuple(found)

    def _wrong(self, why: str, fix: str) -> ImcsimError:
        op = self.node["op"]
        return ImcsimError(f"{op}: {why}", file=self.path, key=self.node["name"], fix=fix)
