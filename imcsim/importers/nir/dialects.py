"""What the neurons of a NIR file do in one timestep, by the framework that wrote it.

NIR states differential equations. It says nothing about the timestep, nor whether a spike needs ``v >= v_th``
or ``v > v_th``, nor how and when the membrane is reset; and each framework writes its own numbers into the
fields. With k the share of the membrane that is renewed in a timestep, one timestep of LIF (and, without
spikes, of LI) is ``v = v + k (v_leak - v + R I)``:

====================  ==========================  =====================================  ======  =============
framework             k                           input of a LIF; of an IF               spike   reset
====================  ==========================  =====================================  ======  =============
nir (Euler, dt 1e-4)  dt / tau                    k R I; dt R I                          v > th  hard, at once
snntorch              dt / tau = 1 - beta         I, since R = tau / dt; I               v > th  soft, next
spikingjelly          dt / tau                    k I, or I where R = tau / dt; I        v >= th hard, at once
norse (dt 1e-3)       dt dt / tau                 k I; I                                 v > th  hard, at once
norse_main (dt 1e-3)  dt / tau                    k I; I                                 v > th  hard, at once
sinabs                1 - exp(-1 / tau)           k I, or I with ``input: undecayed``; I v >= th soft, at once
====================  ==========================  =====================================  ======  =============

Notes on the rows. snnTorch's ``reset_mechanism="zero"`` is hard and at once for Leaky, hard and one
timestep later for Synaptic, RLeaky and RSynaptic; Norse exports ``tau = dt / tau_mem_inv`` though a step
multiplies by ``dt tau_mem_inv``; its main branch exports ``tau = 1 / tau_mem_inv`` and v_reset
(norse/torch/utils/export_nir.py, 065a3b4); sinabs counts tau in timesteps, and its integrators (ExpLeak) take
their input undecayed. CubaLIF has a current in front, ``i = (1 - dt / tau_syn) i + (dt / tau_syn) w_in S``,
and v takes the new i; Norse's jumps by the input itself (``i = i + I`` before v, decay after).

What no field holds is said by the user (`UNSAID`), or is 0, none or one spike. Where the framework's neurons
differ in it, the user must say it: the reset, `inhibition` and `graded_spikes_factor` of snnTorch; of sinabs,
whose neurons fire several times in a timestep by default and whose own reader gives integrate-and-fire
neurons a floor, both of these, and for LIF neurons what their input is multiplied by. What is seldom
anything else than the default (a timestep, Norse's v_reset) is taken, and every report says so (`affirmed`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.importers.importing.layers import Fires, Neuron, ReadOptions, Reset, ResetAt
from imcsim.importers.importing.per_neuron import as_number, as_written, bare
from imcsim.importers.listed.neuron_keys import Fail, check_keys
from imcsim.importers.nir.graph import SPIKING, NirNode

Values = NDArray[np.float64]

INTEGRATORS = ("LI", "I", "CubaLI")
NEURONS = SPIKING + INTEGRATORS
DECAYING = ("LIF", "CubaLIF", "LI", "CubaLI")


@dataclass(frozen=True)
class Dialect:
    """How one framework turns NIR's equations into timesteps. `dt` is in seconds."""

    name: Literal["nir", "snntorch", "spikingjelly", "norse", "norse_main", "sinabs"]
    dt: float
    reset: Reset
    reset_at: ResetAt
    fires: Fires
    decayed_input: bool = True
    """For sinabs: is the input of a LIF multiplied by 1 - alpha (`norm_input`)?"""
    dt_known: bool = False
    """Does the file tell the timestep, or is it the only one that the exporter knows?"""


MOST_NEURONS = 1 << 24
"""Most neurons in one node."""

DEFAULTS: Mapping[str, Dialect] = {
    "nir": Dialect("nir", 1e-4, "hard", "now", "above"),
    "snntorch": Dialect("snntorch", 1e-4, "soft", "next", "above", dt_known=True),
    "spikingjelly": Dialect("spikingjelly", 1e-4, "hard", "now", "at"),
    "norse": Dialect("norse", 1e-3, "hard", "now", "above"),
    "norse_main": Dialect("norse_main", 1e-3, "hard", "now", "above"),
    "sinabs": Dialect("sinabs", 1.0, "soft", "now", "at", dt_known=True),
}


NORSE = ("norse", "norse_main")
"""Norse 1.1.0, and its main branch, which writes tau without the timestep, and v_reset."""

UNSAID = ("input", "floor", "initial", "max_spikes", "refractory", "reset_to")
"""What may be said of the neurons of a NIR file: keys as in a layer list."""

SNNTORCH_UNSAID = ("inhibition", "graded_spikes")
"""What must be said of snnTorch's neurons besides their reset."""


def check_said(file: Path, dialect: Dialect, nodes: Sequence[NirNode], options: ReadOptions) -> None:
    """Raise ImcsimError where `options` say what has no place in this file, or leave open what only the user
    knows.
    """

    def fail(key: str, message: str, fix: str | None) -> ImcsimError:
        return ImcsimError(message, file=file, key=f"--neuron {key}", fix=fix)

    stated, spiking = options.neuron or {}, {node.kind for node in nodes} & set(SPIKING)
    if dialect.name == "snntorch" and spiking:
        _check_snntorch(file, options, fail)
        stated = {key: value for key, value in stated.items() if key not in SNNTORCH_UNSAID}
    said = stated
    wrong = sorted(set(said) - set(UNSAID))
    if wrong:
        raise ImcsimError(
            f"a NIR file has neurons of its own: {wrong[0]!r} has no place",
            file=file,
            fix="what it cannot say are " + ", ".join(UNSAID),
        )
    check_keys(said, fail)
    if "input" in said and dialect.name != "sinabs":
        raise fail("input", "only sinabs leaves open what inputs are multiplied by", "leave it out")
    if "reset_to" in said and dialect.name != "norse":
        raise fail("reset_to", "the file says it: v_reset", "leave it out")
    for key in ("floor", "initial", "reset_to"):
        if isinstance(said.get(key), str) and not (key == "floor" and said[key] == "none"):
            raise fail(key, f"must be a number, not {said[key]!r:.40}", "give a number, as 0.5")
    if dialect.name != "sinabs" or not spiking:
        return
    open_ = [f"--neuron {key}=..." for key in ("max_spikes", "floor") if key not in said]
    open_ += ["--neuron input=..."] if "LIF" in spiking and "input" not in said else []
    if open_:
        raise ImcsimError(
            "sinabs writes neither how often neurons fire per timestep (max_spikes: 1 for SingleSpike; for "
            "MultiSpike, its default, and MaxSpike the most that the chip counts, as 15), nor min_v_mem "
            "(floor: a number, or none), nor norm_input of LIF (input: decayed for True, else undecayed)",
            file=file,
            fix="say " + " ".join(open_),
        )


def _check_snntorch(file: Path, options: ReadOptions, fail: Fail) -> None:
    said = options.neuron or {}
    inhibition, graded = (said.get(key) for key in SNNTORCH_UNSAID)
    if inhibition not in (None, False, "no"):
        raise fail("inhibition", "neurons that silence each other are not modelled", "train without it")
    if graded is not None and (isinstance(graded, bool) or graded != 1):
        why = "graded spikes are not modelled: a spike is worth 1"
        raise fail("graded_spikes", why, "multiply the weights that read them by the factor, and say 1")
    open_ = [] if options.reset is not None else ["--reset soft|hard|none"]
    open_ += ["--neuron inhibition=no"] if inhibition is None else []
    open_ += ["--neuron graded_spikes=1"] if graded is None else []
    if open_:
        raise ImcsimError(
            "snnTorch writes neither reset_mechanism (--reset: soft for 'subtract', its default, hard for "
            "'zero', none for 'none'), nor whether neurons inhibit each other (inhibition=True), nor "
            "graded_spikes_factor",
            file=file,
            fix="say " + " ".join(open_),
        )


def neuron(file: Path, node: NirNode, dialect: Dialect, options: ReadOptions) -> Neuron:
    """The layer that the neuron `node` is in `dialect`, with what `options` say of reset and comparison.

    Raises ImcsimError, naming the node, for values that no such neuron can have.
    """
    get = _getter(file, node)
    if node.kind == "Threshold":
        return Neuron(
            node.name,
            node.reads,
            0.0,
            1.0,
            0.0,
            as_number(get("threshold")),
            fires=options.fires or "above",
        )
    spiking, said = node.kind in SPIKING, options.neuron or {}
    start = get("v_reset") if spiking and "v_reset" in node.fields else np.zeros(1)
    if spiking and "reset_to" in said:
        start = np.full(1, float(said["reset_to"]))
    reset, reset_at = _reset(node, dialect, options)
    if spiking and reset != "hard" and np.any(start != 0):
        raise _refused(
            file, node, f"v_reset is not 0, which a {reset} reset does not use", "export it with v_reset 0"
        )
    leak, gain, pull = _membrane(file, node, dialect, get)
    rest = get("v_leak") if "v_leak" in node.fields else np.zeros(1)
    # Norse starts its membranes at v_leak, the others at v_reset.
    initial = rest - start if dialect.name in NORSE else np.zeros(1)
    if "initial" in said:
        initial = float(said["initial"]) - start
    if not spiking and np.any(initial != 0):
        raise _refused(file, node, "its integrators do not start at 0", "use v_leak 0")
    floor = None if said.get("floor") in (None, "none") or not spiking else float(said["floor"]) - start
    synapse, synapse_gain = _synapse(file, node, dialect, get)
    _in_range(file, node, leak, "membrane")
    if synapse is not None:
        _in_range(file, node, synapse, "synaptic current")
    return Neuron(
        node.name,
        node.reads,
        as_number(leak),
        as_number(gain),
        as_number(pull * (rest - start)),
        as_number(get("v_threshold") - start) if spiking else 1.0,
        reset,
        options.fires or dialect.fires,
        reset_at,
        None if synapse is None else as_number(synapse),
        as_number(synapse_gain),
        spiking,
        None if floor is None else as_number(floor),
        as_number(initial) if spiking else 0.0,
        int(said.get("max_spikes", 1)) if spiking else 1,
        int(said.get("refractory", 0)) if spiking else 0,
    )


def _reset(node: NirNode, dialect: Dialect, options: ReadOptions) -> tuple[Reset, ResetAt]:
    """The reset of `node`: as the options say, else as the framework does by itself."""
    reset = options.reset or dialect.reset
    if options.reset_at is not None:
        return reset, options.reset_at
    if dialect.name == "snntorch" and reset == "hard":  # Leaky clears the membrane before it leaks
        return reset, "next" if node.kind == "CubaLIF" or node.comes_back else "now"
    return (
        reset,
        dialect.reset_at if reset == dialect.reset else "now" if reset == "none" else dialect.reset_at,
    )


def _membrane(
    file: Path, node: NirNode, dialect: Dialect, get: Callable[[str], Values]
) -> tuple[Values, Values, Values]:
    """leak, gain and the share that v_leak pulls with: ``v = leak v + gain I + pull v_leak``."""
    one = np.ones(1)
    if node.kind in ("IF", "I"):
        gain = one if dialect.name in (*NORSE, "sinabs") else dialect.dt * get("r")
        if dialect.name == "spikingjelly":
            gain = _snapped(gain)
        return one, gain, 0 * one
    tau = get("tau_mem" if node.kind.startswith("Cuba") else "tau")
    # snnTorch divides by 1 - beta, also where a learned beta has gone beyond 1.
    if not np.all(tau > 0) and not (dialect.name == "snntorch" and np.all(tau != 0)):
        raise _refused(file, node, "a time constant must be greater than 0", "check tau")
    r = get("r")
    if dialect.name == "sinabs":
        # As sinabs computes it, in float32; its integrators take the input as it is.
        leak = np.exp(-1.0 / tau).astype(np.float32).astype(np.float64)
        share = (np.float32(1) - leak.astype(np.float32)).astype(np.float64)
        decayed = dialect.decayed_input and node.kind == "LIF"
        return leak, (share if decayed else np.ones_like(leak)) * r, share
    if dialect.name in NORSE:
        share = _near_decimal(_norse_dt(dialect) / tau)
        return 1.0 - share, share * r, share
    share = dialect.dt / tau
    with np.errstate(invalid="ignore"):
        gain = np.where(np.isinf(tau) & np.isinf(r), 1.0, r * share)  # snnTorch's beta = 1
    if dialect.name == "nir":
        return 1.0 - share, gain, share
    if dialect.name == "snntorch":
        leak = _beta(share)
        return leak, _near_decimal(gain), 1.0 - leak
    leak = _snapped(1.0 - share)
    return leak, _snapped(gain), _snapped(share)


def _synapse(
    file: Path, node: NirNode, dialect: Dialect, get: Callable[[str], Values]
) -> tuple[Values | None, Values]:
    """Decay of the synaptic current, None where there is none, and what the input is multiplied by."""
    if not node.kind.startswith("Cuba"):
        return None, np.ones(1)
    if dialect.name == "sinabs":
        raise _refused(file, node, "sinabs exports no such neurons", "say --framework")
    tau = get("tau_syn")
    if not np.all(tau > 0) and not (dialect.name == "snntorch" and np.all(tau != 0)):
        raise _refused(file, node, "a time constant must be greater than 0", "check tau_syn")
    w_in = get("w_in") if "w_in" in node.fields else np.ones(1)
    if dialect.name in NORSE:
        return 1.0 - _near_decimal(_norse_dt(dialect) / tau), w_in
    share = dialect.dt / tau
    with np.errstate(invalid="ignore"):
        gain = np.where(np.isinf(tau) & np.isinf(w_in), 1.0, w_in * share)
    if dialect.name == "nir":
        return 1.0 - share, gain
    if dialect.name == "snntorch":
        return _beta(share), _near_decimal(gain)
    return _snapped(1.0 - share), _snapped(gain)


def _norse_dt(dialect: Dialect) -> float:
    """The timestep in the unit of tau: 1.1.0 multiplies tau by dt as it exports it."""
    return dialect.dt if dialect.name == "norse_main" else dialect.dt * dialect.dt


def _in_range(file: Path, node: NirNode, decay: Values, what: str) -> None:
    if not (np.all(decay >= 0) and np.all(decay <= 1)):
        worst = float(decay.min() if decay.min() < 0 else decay.max())
        raise _refused(
            file,
            node,
            f"in this timestep the {what} would keep {worst:.3g} of itself; it must be 0 to 1",
            "give the timestep of the network with --dt, or its framework with --framework",
        )


def _near_decimal(values: Values) -> Values:
    """`values`, computed from float32, as what the user wrote.

    What lies within float32 rounding of a number of six decimals was that number: 0.9 comes back as 0.9,
    though tau has been rounded on the way (see `as_written`); the rest as float32.
    """
    decimal = np.round(values, 6)
    near = np.abs(values - decimal) <= 2e-7 * np.maximum(np.abs(values), 0.1)
    return np.where(near, decimal, values.astype(np.float32).astype(np.float64))


def _beta(share: Values) -> Values:
    """snnTorch's beta or alpha of the share that decays, as a file gives it: ``1 - beta`` and ``dt / (1 -
    beta)`` have been rounded to float32 since. snnTorch clamps it to 0 to 1 whenever it uses it.

    A number of six decimals that is within these roundings was that number; else float32.
    """
    beta = 1.0 - share
    decimal = np.round(beta, 6)
    near = np.abs(beta - decimal) <= 2.0**-24 + 3 * 2.0**-24 * np.abs(share)
    return np.clip(np.where(near, decimal, beta.astype(np.float32).astype(np.float64)), 0.0, 1.0)


def _snapped(values: Values) -> Values:
    """`values`, computed from float64, without the last bits where nine decimals are that close."""
    decimal = np.round(values, 9)
    near = np.abs(values - decimal) <= 1e-15 * np.maximum(1.0, np.abs(values))
    return cast(Values, np.where(near, decimal, values))


def _getter(file: Path, node: NirNode) -> Callable[[str], Values]:
    """Reads a field of the node as float64 of at most three axes; NaN is refused, and so is a shape that
    does not go with the fields read before.
    """
    together: tuple[int, ...] = ()

    def get(field: str) -> Values:
        nonlocal together
        stored = node.array(file, field)
        value = bare(as_written(stored) if field.startswith("v_") else stored.astype(np.float64))
        if value.size == 0 or value.ndim > 3:
            raise _refused(file, node, f"{field} has the shape {list(stored.shape)}", "export it again")
        try:
            together = np.broadcast_shapes(together, value.shape)
        except ValueError:
            why = f"{field} has the shape {list(stored.shape)}, other fields {list(together)}"
            raise _refused(file, node, why, "export it again") from None
        if math.prod(together) > MOST_NEURONS:
            raise _refused(file, node, f"it has more than {MOST_NEURONS} neurons", "export it again")
        if np.isnan(value).any():
            raise _refused(file, node, f"{field} holds NaN", "train or export it again")
        if np.isinf(value).any() and field not in ("r", "tau", "tau_mem", "tau_syn", "w_in"):
            raise _refused(file, node, f"{field} is infinite", "train or export it again")
        return value

    return get


def _refused(file: Path, node: NirNode, why: str, fix: str) -> ImcsimError:
    return ImcsimError(f"{node.kind}: {why}", file=file, key=node.name, fix=fix)


def describe(dialect: Dialect, options: ReadOptions) -> list[str]:
    """What holds of time, reset and comparison: lines for the user."""
    reset = options.reset or dialect.reset
    at = options.reset_at or (
        "by neuron" if dialect.name == "snntorch" and reset == "hard" else dialect.reset_at
    )
    when = {"now": "at once", "next": "one timestep later"}.get(
        at, "at once (Leaky), one timestep later (Synaptic, RLeaky, RSynaptic)"
    )
    fires = {"at": "v >= threshold", "above": "v > threshold"}[options.fires or dialect.fires]
    time = "tau in timesteps" if dialect.name == "sinabs" else f"timestep {dialect.dt:g} s"
    lines = [f"read as {dialect.name}: {time}, spike when {fires}, reset {reset}, {when}"]
    if dialect.name == "snntorch" and reset == "soft" and at == "now":
        lines.append("reset_delay=False: exact unless a membrane stays above its threshold after the reset")
    if dialect.name == "spikingjelly" and options.reset is None:
        lines.append("SpikingJelly exports hard resets only: give --reset soft for v_reset=None")
    return lines


def affirmed(dialect: Dialect, nodes: Sequence[NirNode], options: ReadOptions) -> list[str]:
    """What no NIR file says of its neurons, for every report to repeat: a line of what was stated, and one of
    what was taken.
    """
    words = [
        f"--{key.replace('_', '-')} {value:g}"
        if isinstance(value, float)
        else f"--{key.replace('_', '-')} {value}"
        for key in ("dt", "reset", "reset_at", "fires")
        if (value := getattr(options, key)) is not None
    ]
    words += [
        f"--neuron {key}={value:g}" if isinstance(value, int | float) else f"--neuron {key}={value}"
        for key, value in (options.neuron or {}).items()
    ]
    lines = [f"its file does not say what its neurons do: {' '.join(words)} was stated"] if words else []
    taken = _taken(dialect, {node.kind for node in nodes}, options)
    if taken:
        lines.append(f"its file does not say {', nor '.join(f'{a} ({b})' for a, b in taken)}")
    return lines


def _taken(dialect: Dialect, kinds: set[str], options: ReadOptions) -> list[tuple[str, str]]:
    """What the file leaves open and the user, too; and what was taken for it, with the option."""
    found = []
    if options.dt is None and not dialect.dt_known:
        found.append(("the timestep", f"{dialect.dt:g} s is taken: --dt"))
    spiking = not kinds.isdisjoint(SPIKING)
    match dialect.name:
        case "snntorch":
            if options.reset_at is None and spiking:
                found.append(("reset_delay", "True is taken: --reset-at now for False"))
            if "AvgPool2d" in kinds:
                found.append(("the padding of AvgPool2d", "0, which it writes always, is taken"))
        case "norse" if spiking and "reset_to" not in (options.neuron or {}):
            found.append(("v_reset", "0 is taken: --neuron reset_to"))
        case "sinabs" if kinds & {"LIF", "LI"}:
            found.append(("tau_syn", "none is taken"))
        case "nir" if spiking and (options.reset is None or options.fires is None):
            found.append(("reset and comparison", "hard and above are taken: --reset, --fires"))
    return found
