"""Neurons as people write them in a layer list: a few words and numbers, with sensible defaults.

=============  =========================================================================================
``leak``       what the membrane keeps of itself in a timestep, 0 to 1; 1 is integrate-and-fire
``tau``        instead of leak, in timesteps: leak is ``1 - 1 / tau``
``plif``       instead of leak: SpikingJelly's learned w, leak is ``1 - sigmoid(w)``
``threshold``  above 0; 1 where not given
``reset``      ``hard`` (default: the membrane becomes 0), ``soft`` (the threshold is taken away), ``none``
``fires``      ``at`` (default: u >= threshold) or ``above`` (u > threshold)
``reset_at``   ``now`` (default: in the timestep of the spike) or ``next``
``input``      ``undecayed`` (default) or ``decayed``: multiplied by ``1 - leak`` (``1 / tau``)
``synapse``    decay of a synaptic current in front of the membrane; none where not given
``reset_to``   what a hard reset makes of the membrane; 0 where not given
``rest``       the potential that the leak pulls towards; `reset_to` where not given
``initial``    the membrane before the first timestep; `reset_to` where not given
``floor``      the membrane never goes below it (sinabs: min_v_mem); ``none`` (default) for no floor
``max_spikes`` spikes in one timestep, at most: 1 (default) to 255; above 1 a neuron fires once for each
               whole threshold in its membrane (sinabs: MultiSpike, MaxSpike)
``refractory`` timesteps after a spike in which the membrane stays as it is and does not fire; default 0
=============  =========================================================================================

A number may also be the name of a tensor with one value, or one per channel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.base.names import suggestion
from imcsim.importers.importing.layers import Fires, Neuron, Number, ReadOptions, Reset, ResetAt
from imcsim.importers.importing.per_neuron import as_number, as_written, bare
from imcsim.network.parameters import MAX_REFRACTORY, MAX_SPIKES

KEYS = (
    "leak", "tau", "plif", "threshold", "reset", "fires", "reset_at", "input", "synapse", "reset_to", "rest",
    "initial", "floor", "max_spikes", "refractory",
)  # fmt: skip
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "reset": ("hard", "soft", "none"),
    "fires": ("at", "above"),
    "reset_at": ("now", "next"),
    "input": ("decayed", "undecayed"),
}
_COUNTS = {"max_spikes": (1, MAX_SPIKES), "refractory": (0, MAX_REFRACTORY)}
_DECAYS = ("leak", "tau", "plif")

_CLAMPED = {"leak": ("beta",), "synapse": ("alpha",)}
"""snnTorch's names of decays, which it clamps to 0 to 1."""

Fail = Callable[[str, str, str | None], ImcsimError]
"""Makes the error for a key: key, message, fix."""


def make_neuron(
    name: str,
    inputs: tuple[str, ...],
    keys: Mapping[str, Any],
    default: Mapping[str, Any],
    options: ReadOptions,
    tensor: Callable[[str, str], NDArray[Any]],
    fail: Fail,
    spiking: bool = True,
) -> Neuron:
    """The layer that `keys`, and `default` for what they leave open, describe; `options` overrule both.

    `tensor(key, name)` gives the tensor that a key names. Raises what `fail` makes, for the first key that is
    wrong.
    """
    check_keys(keys, fail)
    stated = [key for key in _DECAYS if key in keys]
    merged: dict[str, Any] = {k: v for k, v in default.items() if not (stated and k in _DECAYS)} | dict(keys)

    def number(key: str, value: Any) -> Number:
        if isinstance(value, str):
            found = tensor(key, value)
            if found.dtype.kind not in "iuf" or found.size == 0:
                raise fail(key, f"the tensor {value!r} holds no numbers", "name a tensor of numbers")
            written = as_written(found)
            if key in _CLAMPED and value.rpartition(".")[2] in _CLAMPED[key]:
                written = np.clip(written, 0.0, 1.0)  # as snnTorch does whenever it uses them
            return as_number(bare(written))
        return float(value)

    decays = [key for key in _DECAYS if key in merged]
    if len(decays) != 1:
        what = (
            " and ".join(decays) + " say the same thing" if decays else "the leak of the neurons is missing"
        )
        raise fail(decays[1] if decays else "leak", what, "give one of leak, tau and plif")
    value: Any = number(decays[0], merged[decays[0]])
    if decays[0] == "tau":
        if np.any(np.asarray(value) < 1):
            raise fail("tau", "must be at least 1 (timesteps)", "leak is 1 - 1 / tau")
        value = 1.0 - 1.0 / value
    elif decays[0] == "plif":
        with np.errstate(over="ignore"):
            share = 1.0 / (1.0 + np.exp(-np.asarray(value, np.float64)))
        value = as_number(bare(1.0 - as_written(share.astype(np.float32))))
    leak: Number = value
    if np.any(np.asarray(leak) < 0) or np.any(np.asarray(leak) > 1):
        raise fail(decays[0], "the leak must be from 0 to 1", "it is what the membrane keeps of itself")
    synapse = None if merged.get("synapse") is None else number("synapse", merged["synapse"])
    if synapse is not None and (np.any(np.asarray(synapse) < 0) or np.any(np.asarray(synapse) > 1)):
        raise fail("synapse", "must be from 0 to 1", "it is what the current keeps of itself")
    decayed = merged.get("input", "undecayed") == "decayed"
    reset = cast(Reset, options.reset or merged.get("reset", "hard"))
    if "reset_to" in merged and reset != "hard":
        raise fail("reset_to", f"a {reset} reset does not set the membrane to a value", "use reset: hard")
    start = number("reset_to", merged.get("reset_to", 0.0))
    rest = number("rest", merged["rest"]) if "rest" in merged else start
    initial = number("initial", merged["initial"]) if "initial" in merged else start
    floor = None if _none(merged.get("floor")) else number("floor", merged["floor"])
    if not spiking and any(np.any(np.asarray(value)) for value in (start, rest, initial)):
        raise fail("rest", "integrators start at 0 and leak towards 0", "leave rest, initial, reset_to out")
    if not spiking and floor is not None:
        raise fail("floor", "the membranes of integrators have no floor", "say floor: none")
    return Neuron(
        name,
        inputs,
        leak,
        1.0 - leak if decayed else 1.0,
        (1.0 - leak) * (rest - start),
        number("threshold", merged.get("threshold", 1.0)) - start,
        reset,
        cast(Fires, options.fires or merged.get("fires", "at")),
        cast(ResetAt, options.reset_at or merged.get("reset_at", "now")),
        synapse,
        1.0,
        spiking,
        None if floor is None else floor - start,
        initial - start,
        whole("max_spikes", merged.get("max_spikes", 1), fail),
        whole("refractory", merged.get("refractory", 0), fail),
    )


def whole(key: str, value: Any, fail: Fail) -> int:
    """`value` of `max_spikes` or `refractory` as an integer in its bounds; raises what `fail` makes."""
    low, high = _COUNTS[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        raise fail(key, f"must be an integer, not {value!r}"[:120], f"give {low} to {high}")
    if not low <= value <= high:
        raise fail(key, f"must be from {low} to {high}, not {value:g}", "give one of these")
    return int(value)


def _none(value: Any) -> bool:
    return value is None or value == "none"


def check_keys(keys: Mapping[str, Any], fail: Fail) -> None:
    """Raise what `fail` makes for a key that is not known or has a value of the wrong kind."""
    for key, value in keys.items():
        if key not in KEYS:
            fix = suggestion(str(key), KEYS, "use " + ", ".join(KEYS))
            raise fail(str(key), "neurons have no such key", fix)
        choices = _CHOICES.get(key)
        if choices and value not in choices:
            raise fail(key, f"{value!r} is not possible"[:80], "use " + " or ".join(choices))
        if choices or (key in ("synapse", "floor") and value is None):
            continue
        if key in _COUNTS:
            whole(key, value, fail)
            continue
        if not isinstance(value, int | float | str) or isinstance(value, bool):
            raise fail(key, f"must be a number or the name of a tensor, not {value!r}"[:120], "give one")
