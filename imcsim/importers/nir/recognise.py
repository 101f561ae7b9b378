"""Which framework wrote a NIR file: seen from what its exporter puts into the fields, or not at all.

- snnTorch: float32 (float64 in networks with feedback, which no other exporter writes); ``r = tau / 1e-4``
  (and ``w_in = tau_syn / 1e-4``).
- SpikingJelly: float32 weights but float64 neurons, one value in each array; ``v_leak = v_reset``; r is 1 or
  ``tau / dt``; an IF has ``r = 1 / dt``.
- Norse: float32; r = 1; ``tau = dt / tau_mem_inv``, far below a timestep of NIR's own equations; no pools, no
  flattening.
- sinabs: float32; r = 1; tau in timesteps, so about 1 and more; one value per neuron in an IF; no CubaLIF.
- Norse's main branch: float32; r = 1; tau = 1 / tau_mem_inv in seconds, so a millisecond and more, where
  1.1.0 writes a thousandth of that. Files written by hand may hold the same.

A file that fits none is read by NIR's own equations; one that fits several is refused, with the option that
says which.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.importers.nir.dialects import DECAYING, DEFAULTS, NEURONS
from imcsim.importers.nir.graph import FEEDBACK, NirGraph, NirNode

_LAYERS = {
    "snntorch": {"Conv2d", "AvgPool2d", "Linear", "Affine", "Flatten", "LIF", "CubaLIF"},
    "spikingjelly": {"Conv1d", "Conv2d", "AvgPool2d", "Linear", "Affine", "Flatten", "LIF", "IF", "CubaLIF"},
    "norse": {"Conv2d", "Affine", "LIF", "IF", "LI", "CubaLIF"},
    "sinabs": {"Conv1d", "Conv2d", "SumPool2d", "Affine", "Flatten", "LIF", "IF", "LI"},
}
"""The nodes that each exporter can write."""

_SHORTEST_TAU_NIR = DEFAULTS["nir"].dt  # below it a forward Euler step of 1e-4 s has no meaning
_LONGEST_TAU_NORSE = 1e-3  # a thousandth of the membrane renewed in a timestep
_SHORTEST_TAU_SINABS = 0.2  # timesteps; as seconds it would be 2000 timesteps of NIR


def recognise(file: Path, graph: NirGraph) -> str:
    """The framework whose exporter wrote `graph`, or ``nir``. Raises ImcsimError where several may have."""
    neurons = [node for node in graph.nodes if node.kind in NEURONS]
    kinds = {node.kind for node in graph.nodes} - {FEEDBACK}
    if not neurons or "Threshold" in kinds:
        return "nir"
    fits: dict[str, Callable[[NirNode], bool]] = {
        # It writes the neurons of a network with feedback in float64.
        "snntorch": _snntorch_recurrent if graph.feeds_back else _snntorch,
        "spikingjelly": _spikingjelly,
        "norse": _norse,
        "sinabs": _sinabs,
    }
    found = [
        name
        for name, fit in fits.items()
        if kinds <= _LAYERS[name]
        and (name == "snntorch" or not graph.feeds_back)
        and _weights_float32(graph)
        and all(fit(node) for node in neurons)
    ]
    if "norse" in found:
        slow = [n for n in neurons if n.kind != "IF" and not np.all(_tau(n) < _SHORTEST_TAU_NIR)]
        if slow and len(slow) == sum(n.kind != "IF" for n in neurons):
            found += ["nir", "norse_main"] if _seconds(neurons) else ["nir"]
    elif not found and _norse_main(graph, kinds, neurons):
        found += ["nir", "norse_main"]
    if len(found) < 2:
        return found[0] if found else "nir"
    raise ImcsimError(
        f"the file does not say which framework's neurons it holds; it may be {' or '.join(sorted(found))}",
        file=file,
        fix="say --framework " + "|".join(sorted(found)),
    )


def _norse_main(graph: NirGraph, kinds: set[str], neurons: list[NirNode]) -> bool:
    """Whether Norse's main branch may have written `graph`. It traces modules, and knows no feedback."""
    return (
        not graph.feeds_back
        and kinds <= _LAYERS["norse"] | {"Linear"}
        and _weights_float32(graph)
        and all(_all_of(node, "float32") and _is(_field(node, "r"), 1.0) for node in neurons)
        and _seconds(neurons)
    )


def _seconds(neurons: list[NirNode]) -> bool:
    """Whether there are time constants, all of at least a timestep of Norse, in seconds."""
    decaying = [node for node in neurons if node.kind in DECAYING]
    return bool(decaying) and all(np.all(_tau(node) >= DEFAULTS["norse_main"].dt) for node in decaying)


def _tau(node: NirNode) -> NDArray[np.float64]:
    value = node.fields.get("tau_mem" if node.kind.startswith("Cuba") else "tau", np.ones(1))
    return np.asarray(value, np.float64) if isinstance(value, np.ndarray) else np.ones(1)


def _field(node: NirNode, name: str) -> NDArray[np.float64] | None:
    value = node.fields.get(name)
    return value.astype(np.float64) if isinstance(value, np.ndarray) and value.dtype.kind in "iuf" else None


def _weights_float32(graph: NirGraph) -> bool:
    values = [node.fields[key] for node in graph.nodes for key in ("weight", "bias") if key in node.fields]
    return all(isinstance(value, np.ndarray) and value.dtype == np.float32 for value in values)


def _all_of(node: NirNode, dtype: str) -> bool:
    return all(v.dtype == dtype for v in node.fields.values() if isinstance(v, np.ndarray))


def _is(value: NDArray[np.float64] | None, wanted: NDArray[np.float64] | float) -> bool:
    if value is None:
        return False
    with np.errstate(invalid="ignore"):
        try:
            return bool(np.allclose(value, wanted, rtol=1e-5, atol=0.0))
        except ValueError:  # shapes that do not go together
            return False


def _snntorch(node: NirNode) -> bool:
    return _all_of(node, "float32") and _snntorch_recurrent(node)


def _snntorch_recurrent(node: NirNode) -> bool:
    dt = DEFAULTS["snntorch"].dt
    if node.kind == "LIF":
        return _is(_field(node, "r"), _tau(node) / dt)
    if node.kind == "CubaLIF":
        syn = _field(node, "tau_syn")
        return (
            _is(_field(node, "r"), _tau(node) / dt)
            and syn is not None
            and _is(_field(node, "w_in"), syn / dt)
        )
    return False


def _spikingjelly(node: NirNode) -> bool:
    arrays = [v for v in node.fields.values() if isinstance(v, np.ndarray)]
    if not _all_of(node, "float64") or any(v.ndim == 0 or np.unique(v).size != 1 for v in arrays):
        return False
    r = _field(node, "r")
    if r is None:
        return False
    if node.kind == "IF":
        return bool(r.flat[0] > 1)
    if node.kind == "LIF":
        leak, reset = _field(node, "v_leak"), _field(node, "v_reset")
        if leak is None or reset is None or not _is(leak, reset):
            return False
        return _is(r, 1.0) or bool(r.flat[0] > 1)
    return node.kind == "CubaLIF" and bool(r.flat[0] >= 1)


def _norse(node: NirNode) -> bool:
    if not _all_of(node, "float32") or not _is(_field(node, "r"), 1.0):
        return False
    if "v_reset" in node.fields and not _is(_field(node, "v_reset"), 0.0):  # never written
        return False
    if node.kind == "CubaLIF":
        syn = _field(node, "tau_syn")
        if syn is None or not np.all(syn <= _LONGEST_TAU_NORSE) or not _is(_field(node, "w_in"), 1.0):
            return False
    return node.kind == "IF" or bool(np.all(_tau(node) <= _LONGEST_TAU_NORSE))


def _sinabs(node: NirNode) -> bool:
    if not _all_of(node, "float32") or not _is(_field(node, "r"), 1.0):
        return False
    if node.kind == "IF":  # its exporter writes one value per neuron, never a bare number
        return all(v.ndim > 0 for v in node.fields.values() if isinstance(v, np.ndarray))
    return bool(np.all(_tau(node) >= _SHORTEST_TAU_SINABS))
