"""What the neurons of each framework do, read from the attributes of their modules.

The words are those of a layer list (`imcsim.importers.listed.neuron_keys`), so that a neuron means one thing
wherever it comes from. A module of the user's own gets them by a rule: a mapping from these words to numbers,
or to the names of the module's attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.base.names import suggestion
from imcsim.importers.importing.layers import Neuron, ReadOptions, ReadRelu
from imcsim.importers.importing.per_neuron import as_number, as_written, bare
from imcsim.importers.listed.neuron_keys import KEYS, make_neuron

Time = Literal["none", "first", "second"]
Rules = Mapping[type, Mapping[str, Any]]


@dataclass(frozen=True)
class About:
    """A module of neurons: `keys` as in a layer list, arrays allowed.

    gain: what inputs are multiplied by, where `keys` cannot say it. factor: what one spike is worth. time:
    the dimension of its inputs that is time. keeps: the module keeps its membranes, unless they are passed to
    it. reset: puts the membranes to where a sequence starts. notes: what the user should know. activation:
    bits and step of activations, which are no neurons. recurrent: the module through which their own spikes
    of the timestep before come back.
    """

    framework: str
    keys: Mapping[str, Any]
    gain: Any = None
    factor: float = 1.0
    spiking: bool = True
    time: Time = "none"
    keeps: bool = True
    reset: Callable[[], object] | None = None
    notes: tuple[str, ...] = field(default=())
    activation: tuple[int, float] | None = None
    recurrent: Any = None


class Unknown(Exception):
    """Why a module of neurons has no counterpart, and what helps."""

    def __init__(self, reason: str, fix: str | None = None) -> None:
        super().__init__(reason)
        self.reason, self.fix = reason, fix


def about(module: Any, rules: Rules, max_spikes: int | None) -> About | None:
    """What `module` is; None for one that is no layer of neurons. Raises Unknown where it has no
    counterpart.
    """
    for kind, keys in rules.items():
        if isinstance(module, kind):
            return _own(module, keys)
    origin = type(module).__mro__
    for kind in origin:
        package = kind.__module__.split(".")[0]
        found = _FRAMEWORKS.get(package)
        if found is not None:
            return found(module, kind.__name__, max_spikes)
    return None


# --- the user's own

_MORE = ("time", "spiking", "factor")
_ACTIVATION = ("bits", "step")
"""What a rule says of activations in whole steps (a clipped ReLU); nothing else goes with it."""


def _own(module: Any, keys: Mapping[str, Any]) -> About:
    if not set(keys).isdisjoint(_ACTIVATION):
        return _own_activation(module, keys)
    for key in keys:
        if key not in (*KEYS, *_MORE):
            fix = suggestion(str(key), (*KEYS, *_MORE), "use " + ", ".join((*KEYS, *_MORE)))
            raise Unknown(f"its rule has a key {key!r:.40}, which neurons do not have", fix)
    found: dict[str, Any] = {}
    for key, value in keys.items():
        if key in _MORE:
            continue
        named = isinstance(value, str) and key not in ("reset", "fires", "reset_at", "input")
        if named and not (key == "floor" and value == "none"):
            if not hasattr(module, value):
                raise Unknown(
                    f"it has no attribute {value!r:.60}, which its rule names for {key!r}",
                    "name an attribute of the module",
                )
            value = getattr(module, value)
        found[key] = value
    time = keys.get("time", "none")
    if time not in ("none", "first", "second"):
        raise Unknown(
            f"time is {time!r:.40} in its rule", "use none, first or second: the dimension that is time"
        )
    reset = getattr(module, "reset", None)
    return About(
        "torch", found, factor=float(keys.get("factor", 1.0)), spiking=bool(keys.get("spiking", True)),
        time=cast(Time, time), reset=reset if callable(reset) else None,
    )  # fmt: skip


def _own_activation(module: Any, keys: Mapping[str, Any]) -> About:
    if set(keys) != set(_ACTIVATION):
        raise Unknown(
            f"its rule has {', '.join(sorted(map(str, keys)))}",
            "activations have bits and step, and these alone",
        )
    found = []
    for key in _ACTIVATION:
        value = keys[key]
        if isinstance(value, str):
            if not hasattr(module, value):
                raise Unknown(
                    f"it has no attribute {value!r:.60}, which its rule names for {key!r}",
                    "name an attribute of the module",
                )
            value = getattr(module, value)
        numbers = array(value)
        if numbers.size != 1:
            raise Unknown(f"its {key} are {numbers.size} numbers", "use one for all channels")
        found.append(float(numbers.flat[0]))
    bits, step = found
    if bits != int(bits):
        raise Unknown(f"its activations have {bits:g} bits", "bits are whole")
    return About("torch", {}, activation=(int(bits), step))


# --- snnTorch


def _snntorch(module: Any, kind: str, max_spikes: int | None) -> About | None:
    if not hasattr(module, "reset_mechanism") or not hasattr(module, "threshold"):
        return None
    kind = type(module).__name__
    recurrent = kind in ("RLeaky", "RSynaptic")
    if not recurrent and kind not in ("Leaky", "Synaptic", "Lapicque"):
        raise Unknown(
            f"neurons of snnTorch's {kind} have no counterpart",
            "use Leaky, Lapicque, Synaptic, RLeaky or RSynaptic",
        )
    if module.inhibition:
        raise Unknown("it inhibits all neurons but one (inhibition=True)", "train without")
    if module.state_quant:
        raise Unknown("it rounds its membranes (state_quant)", "leave it out: the chip has its own words")
    reset = {"subtract": "soft", "zero": "hard", "none": "none"}[module.reset_mechanism]
    notes: tuple[str, ...] = ()
    if not getattr(module, "reset_delay", True):
        reset_at = "now"
        if reset == "soft":
            notes = ("reset_delay=False: exact unless a membrane stays above its threshold after the reset",)
    else:  # Leaky and Lapicque clear the membrane before it leaks
        at_once = reset == "hard" and kind in ("Leaky", "Lapicque")
        reset_at = "now" if at_once or reset == "none" else "next"
    keys: dict[str, Any] = {
        "threshold": module.threshold, "reset": reset, "reset_at": reset_at, "fires": "above",
    }  # fmt: skip
    gain = None
    if kind == "Lapicque":
        share = array(module.time_step) / (array(module.R) * array(module.C))
        keys["leak"] = 1.0 - share
        gain = array(module.R) * share
    else:
        keys["leak"] = np.clip(array(module.beta), 0.0, 1.0)
    if kind in ("Synaptic", "RSynaptic"):
        keys["synapse"] = np.clip(array(module.alpha), 0.0, 1.0)
    factor = array(module.graded_spikes_factor)
    if factor.size != 1:
        raise Unknown(
            "its spikes are worth different amounts (graded_spikes_factor)", "use one for all neurons"
        )
    return About(
        "snntorch", keys, gain, float(factor.flat[0]), reset=module.reset_mem, notes=notes,
        recurrent=module.recurrent if recurrent else None,
    )  # fmt: skip


# --- SpikingJelly


def _spikingjelly(module: Any, kind: str, max_spikes: int | None) -> About | None:
    origin = type(module).__module__
    if ".neuron" not in origin:
        return None
    name = type(module).__name__
    if name in ("NonSpikingIFNode", "NonSpikingLIFNode"):
        leak = {"tau": module.tau, "input": "decayed"} if "LIF" in name else {"leak": 1.0}
        return About("spikingjelly", leak, spiking=False, time="first", keeps=False)
    if name not in ("IFNode", "LIFNode", "ParametricLIFNode", "CUBALIFNode", "SimpleIFNode", "SimpleLIFNode"):
        if not hasattr(module, "v_threshold"):
            return None
        raise Unknown(
            f"neurons of SpikingJelly's {name} have no counterpart",
            "use IFNode, LIFNode, ParametricLIFNode or CUBALIFNode",
        )
    keys: dict[str, Any] = {"threshold": module.v_threshold, "fires": "at"}
    if module.v_reset is None:
        keys["reset"] = "soft"
    else:
        keys |= {"reset": "hard", "reset_to": module.v_reset}
    if name == "CUBALIFNode":
        keys |= {"leak": module.v_decay, "synapse": module.c_decay, "rest": 0.0}
        if module.v_reset:
            keys["initial"] = module.v_reset
    elif name in ("IFNode", "SimpleIFNode"):
        keys["leak"] = 1.0
    else:
        if name == "ParametricLIFNode":
            keys["plif"] = module.w
        else:
            keys["tau"] = module.tau
        keys["input"] = "decayed" if module.decay_input else "undecayed"
        if module.v_reset and name == "SimpleLIFNode":
            raise Unknown("a SimpleLIFNode with another v_reset than 0 has no counterpart", "use LIFNode")
    return About(
        "spikingjelly", keys, time="first" if module.step_mode == "m" else "none", reset=module.reset
    )


# --- Norse


def _norse(module: Any, kind: str, max_spikes: int | None) -> About | None:
    parameters = getattr(module, "p", None)
    if parameters is None or not hasattr(module, "state_fallback"):
        return None
    name = type(module).__name__
    base = name.removesuffix("Cell")
    if base not in ("LIF", "LIFBox", "IAF", "LI", "LIBox"):
        fix = "use LIFCell, LIFBoxCell, IAFCell, LICell or LIBoxCell"
        raise Unknown(f"neurons of Norse's {name} have no counterpart", fix)
    dt, spiking = float(module.dt), not base.startswith("LI") or base.startswith("LIF")
    keys: dict[str, Any] = {"leak": 1.0}
    if base != "IAF":
        share = dt * array(parameters.tau_mem_inv)
        keys = {"leak": 1.0 - share, "input": "decayed"}
        if spiking:
            keys |= {"rest": parameters.v_leak, "initial": parameters.v_leak}
        elif np.any(array(parameters.v_leak) != 0):
            raise Unknown("its integrators leak towards another potential than 0", "use v_leak 0")
    if base in ("LIF", "LI"):
        keys["synapse"] = 1.0 - dt * array(parameters.tau_syn_inv)
    if spiking:
        keys |= {
            "threshold": parameters.v_th, "reset": "hard", "reset_to": parameters.v_reset, "fires": "above",
        }  # fmt: skip
        how = getattr(getattr(parameters, "reset_method", None), "__name__", "reset_value")
        if how == "reset_subtract":
            keys["reset"] = "soft"
            del keys["reset_to"]
        elif how != "reset_value":
            raise Unknown(f"its reset method {how} has no counterpart", "use reset_value or reset_subtract")
    return About(
        "norse", keys, spiking=spiking, time="none" if name.endswith("Cell") else "first", keeps=False
    )


# --- sinabs


def _sinabs(module: Any, kind: str, max_spikes: int | None) -> About | None:
    if not hasattr(module, "spike_fn"):
        if type(module).__name__ in ("SpikingMaxPooling2dLayer", "NeuromorphicReLU", "Img2SpikeLayer"):
            raise Unknown(f"sinabs's {type(module).__name__} has no counterpart", "use LIF, IAF and pools")
        return None
    name = type(module).__name__.removesuffix("Squeeze")
    if name not in ("LIF", "IAF", "ExpLeak"):
        raise Unknown(f"neurons of sinabs's {type(module).__name__} have no counterpart", "use LIF or IAF")
    alpha = array(module.alpha_mem_calculated)
    keys: dict[str, Any] = {"leak": alpha, "input": "decayed" if module.norm_input else "undecayed"}
    synapse = module.alpha_syn_calculated
    gain = None
    if synapse is not None:  # the current decays after the input has entered: i = alpha (i + I)
        keys["synapse"] = array(synapse)
        gain = array(synapse) * (1.0 - alpha if module.norm_input else 1.0)
    if module.min_v_mem is not None:
        keys["floor"] = module.min_v_mem
    if module.spike_fn is None:
        if module.min_v_mem is not None:
            raise Unknown("the membranes of its integrators have a floor (min_v_mem)", "leave it out")
        return About("sinabs", keys, gain, spiking=False, time="second", reset=module.reset_states)
    keys |= {"threshold": module.spike_threshold, "fires": "at"}
    keys["max_spikes"] = _most(module.spike_fn, max_spikes)
    subtracts = type(module.reset_fn).__name__ == "MembraneSubtract"
    if subtracts and module.reset_fn.subtract_value is not None and np.any(
        array(module.reset_fn.subtract_value) != array(module.spike_threshold)
    ):  # fmt: skip
        raise Unknown("its reset takes away another value than the threshold", "leave subtract_value out")
    if not subtracts and getattr(module.reset_fn, "reset_value", None) != 0:
        raise Unknown("its reset has no counterpart", "use MembraneSubtract(), or MembraneReset() to 0")
    keys["reset"] = "soft" if subtracts else "hard"
    return About("sinabs", keys, gain, time="second", reset=module.reset_states)


def _most(spike_fn: Any, max_spikes: int | None) -> int:
    """Spikes per timestep, at most."""
    name = getattr(spike_fn, "__name__", type(spike_fn).__name__)
    if name == "SingleSpike":
        return 1
    limit = getattr(spike_fn, "max_num_spikes_per_bin", None)
    if limit is not None:
        return int(limit)
    if name not in ("MultiSpike", "MaxSpike"):
        raise Unknown(
            f"its spike function {name} has no counterpart", "use SingleSpike, MaxSpike or MultiSpike"
        )
    if max_spikes is None:
        raise Unknown(
            "it fires without a bound (MultiSpike, the default of sinabs), but the chip counts in words",
            "say max_spikes, as max_spikes=15; or use MaxSpike or SingleSpike",
        )
    return max_spikes


_FRAMEWORKS: Mapping[str, Callable[[Any, str, int | None], About | None]] = {
    "snntorch": _snntorch, "spikingjelly": _spikingjelly, "norse": _norse, "sinabs": _sinabs,
}  # fmt: skip


# --- to layers


def array(value: Any) -> NDArray[np.float64]:
    """A number, or a tensor of any device, in float64 as it was written (see `as_written`)."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    return as_written(np.asarray(value))


def to_neuron(name: str, source: tuple[str, ...], found: About, axes: int) -> Neuron | ReadRelu:
    """The layer `name` of what `found` says; `axes` is how many its values have for one image.

    Raises ImcsimError for numbers that no neuron can have.
    """
    if found.activation is not None:
        return ReadRelu(name, source, *found.activation)
    arrays: dict[str, NDArray[Any]] = {}
    keys: dict[str, Any] = {}
    for key, value in found.keys.items():
        if isinstance(value, str | int | float) or value is None:
            keys[key] = value
            continue
        numbers = array(value)
        while numbers.ndim > axes and numbers.shape[0] == 1:
            numbers = numbers[0]
        arrays[key], keys[key] = numbers, key

    def fail(key: str, message: str, fix: str | None) -> ImcsimError:
        return ImcsimError(f"{key}: {message}" if key else message, key=name, fix=fix)

    made = make_neuron(name, source, keys, {}, ReadOptions(), lambda key, _: arrays[key], fail, found.spiking)
    if found.gain is None:
        return made
    about_it = dict(vars(made)) | {"gain": as_number(bare(np.asarray(found.gain, np.float64)))}
    return Neuron(**about_it)
