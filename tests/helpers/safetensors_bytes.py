"""Writes safetensors files without the library, by the description of the format."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

_NAMES = {"float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64", "int8": "I8", "bool": "BOOL"}


def write_safetensors(path: Path, tensors: Mapping[str, Any]) -> Path:
    """Write `tensors` to `path`; returns it."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, value in tensors.items():
        array = np.ascontiguousarray(value)
        raw = array.tobytes()
        header[name] = {
            "dtype": _NAMES[str(array.dtype)],
            "shape": list(np.shape(value)),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path
