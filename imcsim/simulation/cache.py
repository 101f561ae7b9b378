"""Values that are computed once and kept in files, by what they depend on and by nothing else.

ADC scales depend on the network, the keys of the config that change values, and the calibration images.
What images do depends on the network, those keys, the ADC scales and the images; a run to T max holds all
shorter ones. Keys of a chip with errors have its seed and number among them; what else calibration images set
on such a chip (wires, neurons) counts too. Each file's name is a hash over these. Files are written whole or
not at all, with a checksum; one that cannot be read or written, or holds something else, is as if it were
not there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, astuple, dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.base.code import code_sha256
from imcsim.base.errors import ImcsimError
from imcsim.base.files import new_folders
from imcsim.functional.program.numerics import Numerics
from imcsim.functional.program.program import ActivationLayer, CrossbarLayer, NeuronLayer, Program
from imcsim.functional.recalibration import Channels, measured_layers
from imcsim.functional.run import Activity, Converters, concatenate, with_steps
from imcsim.inputs import Inputs
from imcsim.inputs.writer import NpzWriter
from imcsim.network.arrays import read_npz
from imcsim.simulation.simulate import WORK_IMAGES
from imcsim.simulation.value_keys import as_plain_data, telling
from imcsim.simulation.values import COMPUTED, ActivityRequest, Nodes, Values

_COUNTS = ("active_rows", "active_levels", "active_reads", "spikes", "outputs")
_PULSES = "active_pulses"
"""Only where inputs drive rows in pulses."""
_MAX_KEPT = 4

Arrays = dict[str, NDArray[Any]]


def value_numerics(numerics: Numerics) -> dict[str, Any]:
    """What of the numerics changes values; the checker's tables only change who leaves when."""
    about = asdict(numerics)
    about["checker"] = {"fraction_bits": numerics.checker.fraction_bits}
    if numerics.input_drive == "bits":
        del about["input_drive"]  # so do those of chips that drive bit by bit
    if numerics.rescale_bits == Numerics.rescale_bits:
        del about["rescale_bits"]
    del about["types"], about["assignment"]
    if numerics.types:  # values of chips with tiles of one type keep the names that they had
        about["types"] = {name: value_numerics(one) for name, one in numerics.types}
        about["assignment"] = asdict(numerics.assignment)
    if numerics.nonideal is None:
        del about["nonideal"]  # values of ideal chips keep the names that they had
    else:
        about["nonideal"] = as_plain_data(telling(numerics.nonideal))
    return about


def _calibrated(program: Program) -> str | None:
    """A hash over what calibration images have set besides ADC scales: cells behind wires, for which the
    current of whole rows stands here, and words of neurons and class outputs. None where they have set
    nothing else.
    """
    chip, hashed = program.numerics.nonideal, hashlib.sha256()
    if chip is None or (chip.wires.ideal and not chip.neurons_recalibrated):
        return None
    for step in program.steps:
        words: list[NDArray[Any]] = []
        if isinstance(step, CrossbarLayer):
            words = [step.crossbars.row_levels]
        elif isinstance(step, NeuronLayer):
            words = [step.threshold, step.bias, step.left, step.right]
        elif isinstance(step, ActivationLayer):
            words = [step.multiplier, step.bias, step.right]
        if isinstance(step, NeuronLayer | ActivationLayer):
            words += [word for branch in step.branches for word in (branch.multiplier, branch.right)]
        for word in words:
            hashed.update(np.ascontiguousarray(word).tobytes())
    for word in (program.out_multiplier, program.out_bias):
        hashed.update(np.ascontiguousarray(word).tobytes())
    return hashed.hexdigest()


def digest(*parts: Any) -> str:
    """A short hash over plain data and the code that values follow from."""
    about = json.dumps((code_sha256(), *parts), sort_keys=True)
    return hashlib.sha256(about.encode()).hexdigest()[:32]


_CHECKSUM = "checksum"


def _checksum(arrays: Arrays) -> bytes:
    """A hash over names, types, shapes and values."""
    hashed = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        hashed.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        hashed.update(np.ascontiguousarray(array).tobytes())
    return hashed.digest()


@dataclass(frozen=True)
class LongestRun:
    """The inputs whose run serves others too: their hash, and the timesteps that are run."""

    inputs_sha256: str
    timesteps: int


@dataclass
class RecentFiles:
    """The last few files that were read, in memory; several threads may share one."""

    _kept: dict[Path, Any] = field(default_factory=dict)
    _lock: Any = field(default_factory=Lock)

    def get(self, path: Path) -> Any:
        with self._lock:
            return self._kept.get(path)

    def put(self, path: Path, value: Any) -> None:
        with self._lock:
            self._kept[path] = value
            while len(self._kept) > _MAX_KEPT:
                self._kept.pop(next(iter(self._kept)))


@dataclass
class CachedValues:
    """Values of one network (see `values.Values`), kept in `folder`.

    `longest` tells, by the hash of inputs as a run shows them, which run holds theirs. `computed` counts what
    had to be computed, `reused` what was found.
    """

    folder: Path
    network_sha256: str
    longest: Mapping[str, LongestRun]
    memory: RecentFiles = field(default_factory=RecentFiles)
    computed: int = 0
    reused: int = 0
    source: Values = COMPUTED
    """Where values come from that are not kept."""

    def converters(self, program: Program, calibration: Inputs, workers: int | None) -> Converters:
        numerics = program.numerics
        if not numerics.calibrates:
            return self.source.converters(program, calibration, workers)  # nothing is run for these
        key = digest("scales", self.network_sha256, value_numerics(numerics), calibration.calibration_sha256)
        path = self.folder / f"scales-{key}.npz"
        names = [layer.name for layer in program.crossbar_layers]
        found = self._read(path)
        if found is not None and set(found) == {str(k) for k in range(len(names))}:
            self.reused += 1
            shift = {name: found[str(k)] for k, name in enumerate(names)}
            return with_steps(program, shift)
        fresh = self.source.converters(program, calibration, workers)
        self.computed += 1
        self._write(path, {str(k): fresh.shift[name] for k, name in enumerate(names)})
        return fresh

    def densities(self, program: Program, calibration: Inputs, workers: int | None) -> dict[str, float]:
        about = self.network_sha256, value_numerics(program.numerics), calibration.calibration_sha256
        path = self.folder / f"active-{digest('active', *about)}.npz"
        names = [layer.name for layer in program.crossbar_layers]
        found = self._read(path)
        if found is not None and set(found) == {"active"} and found["active"].shape == (len(names),):
            return dict(zip(names, found["active"].tolist(), strict=True))
        fresh = self.source.densities(program, calibration, workers)
        self._write(path, {"active": np.array([fresh[name] for name in names], np.float64)})
        return fresh

    def channels(
        self,
        real: Program,
        designed: Program,
        converters: Converters,
        calibration: Inputs,
        workers: int | None,
    ) -> dict[str, Channels]:
        about = self._about(real, converters), calibration.calibration_sha256
        path = self.folder / f"channels-{digest('channels', *about)}.npz"
        widths = {layer.name: len(layer.unit) for layer in real.crossbar_layers}
        names = measured_layers(real)
        shapes = {str(k): (4, widths[name]) for k, name in enumerate(names)}
        found = self._read(path)
        if found is not None and {k: kept.shape for k, kept in found.items()} == shapes:
            return {name: Channels(*found[str(k)]) for k, name in enumerate(names)}
        fresh = self.source.channels(real, designed, converters, calibration, workers)
        self._write(path, {str(k): np.stack(astuple(fresh[name])) for k, name in enumerate(names)})
        return fresh

    def _about(self, program: Program, converters: Converters) -> tuple[Any, ...]:
        """What values depend on besides inputs and timesteps."""
        shift = {name: steps.tolist() for name, steps in converters.shift.items()}
        about = self.network_sha256, value_numerics(program.numerics), shift, converters.largest_code
        calibrated = _calibrated(program)
        return about if calibrated is None else (*about, calibrated)

    def activity(self, request: ActivityRequest) -> Activity:
        inputs, timesteps, at, record = request.inputs, request.timesteps, request.at, request.record
        run = self.longest.get(inputs.sha256, LongestRun(inputs.sha256, timesteps))
        if run.timesteps < timesteps:
            run = LongestRun(inputs.sha256, timesteps)
        about = self._about(request.program, request.converters)
        path = self.folder / f"run-{digest(*about, run.inputs_sha256, run.timesteps)}.npz"
        first = path.with_name(_part(path, at)) if record else None
        whole = self._activity(path, request.program, request.toggles)
        if request.lasting is not None and (whole is None or record):
            self.computed += 1
            return self.source.activity(request)  # some of a run does not serve others
        kept = None if first is None else self._recorded(first, record)
        if at.start and (whole is None or kept is None):
            # All parts are made with the first one; this one got lost since.
            self.computed += 1
            return self.source.activity(replace(request, progress=None))
        if whole is None or (first is not None and kept is None):
            # A run over timed inputs that is cut short here would not serve the longer one.
            shown = run.timesteps if not inputs.timed or inputs.frames == run.timesteps else timesteps
            target = path if shown == run.timesteps else None
            whole, kept = self._run(replace(request, timesteps=shown), target)
            self.computed += 1
        else:
            self.reused += 1
        return _cut(whole, at, timesteps, kept or {}, record)

    def _run(self, request: ActivityRequest, path: Path | None) -> tuple[Activity, Arrays | None]:
        """All images of a request; recorded values go to files part by part, and those of the images that
        were asked for are returned. Without `path` nothing is kept.
        """
        kept = None
        if request.record:
            activities = []
            together = WORK_IMAGES if request.at.stop is None else request.at.stop - (request.at.start or 0)
            for start in range(0, len(request.inputs.images), together):
                piece = slice(start, start + together)
                done = self.source.activity(replace(request, at=piece, progress=None))
                if path is not None:
                    part = path.with_name(_part(path, piece))
                    self._write(part, _packed(done.recorded), remember=False)
                if start == (request.at.start or 0):
                    kept = done.recorded
                activities.append(replace(done, recorded={}))
            whole = concatenate(activities)
        else:
            whole = self.source.activity(replace(request, at=slice(None)))
        if path is not None:
            arrays: Arrays = {name: getattr(whole, name) for name in _counted(whole)}
            nodes = sorted(whole.toggles)
            arrays["toggled"] = np.array(nodes, dtype=np.str_) if nodes else np.zeros(0, "<U1")
            arrays |= {f"toggles{k}": whole.toggles[node] for k, node in enumerate(nodes)}
            self._write(path, arrays)
        return whole, kept

    def _activity(self, path: Path, program: Program, toggles: Nodes) -> Activity | None:
        """The kept activity; None where there is none, or one without the toggles."""
        found = self._read(path)
        if found is None or not {*_COUNTS, "toggled"} <= set(found):
            return None
        nodes = [str(name) for name in found["toggled"]]
        if not toggles <= set(nodes):
            return None
        return Activity(
            layers=tuple(layer.name for layer in program.crossbar_layers),
            neuron_layers=tuple(layer.name for layer in program.neuron_layers),
            recorded={},
            toggles={node: found[f"toggles{k}"] for k, node in enumerate(nodes) if node in toggles},
            **{name: found[name] for name in (*_COUNTS, _PULSES) if name in found},
        )

    def _recorded(self, path: Path, record: Nodes) -> Arrays | None:
        found = self._read(path, remember=False)
        if found is None:
            return None
        names = [str(name) for name in found.get("nodes", ())]
        kept = {name: _unpacked(found, k) for k, name in enumerate(names) if name in record}
        return kept if set(kept) == record else None

    def _read(self, path: Path, *, remember: bool = True) -> Arrays | None:
        held: Arrays | None = self.memory.get(path)
        if held is not None:
            if not path.exists():  # a worker of a cluster outlives the folders of sweeps
                self._write(path, held, remember=False)
            return held
        try:
            if not path.exists():
                return None
            found = read_npz(path)
        except (ImcsimError, OSError):  # damaged: it is computed anew
            return None
        checksum = found.pop(_CHECKSUM, None)
        if checksum is None or checksum.tobytes() != _checksum(found):  # not what was written
            return None
        if remember:
            self.memory.put(path, found)
        return found

    def _write(self, path: Path, arrays: Arrays, *, remember: bool = True) -> None:
        """Store arrays; without room for them there is no file, and the sweep's own store says so."""
        with suppress(ImcsimError, OSError), new_folders(path.parent), NpzWriter(path) as writer:
            for name, array in arrays.items():
                writer.put(name, array)
            writer.put(_CHECKSUM, np.frombuffer(_checksum(arrays), np.uint8))
        if remember:
            self.memory.put(path, arrays)


def _part(path: Path, at: slice) -> str:
    """The file of the recorded values of some images, as many as were played together."""
    start = at.start or 0
    many = "" if at.stop is None or at.stop - start == WORK_IMAGES else f"-{at.stop - start}"
    return f"{path.stem}-from{start}{many}.npz"


def _counted(whole: Activity) -> tuple[str, ...]:
    """The counts that an activity has."""
    return _COUNTS if whole.active_pulses is None else (*_COUNTS, _PULSES)


def _cut(whole: Activity, at: slice, timesteps: int, kept: Arrays, record: Nodes) -> Activity:
    """The images `at` and the first timesteps of an activity."""
    shown = (at, slice(timesteps))
    counts: dict[str, Any] = {
        name: np.ascontiguousarray(getattr(whole, name)[shown]) for name in _counted(whole)
    }
    return replace(
        whole,
        **counts,
        recorded={name: kept[name][:, :timesteps] for name in record},
        toggles={node: np.ascontiguousarray(flips[shown]) for node, flips in whole.toggles.items()},
    )


def _packed(recorded: Arrays) -> Arrays:
    """Recorded arrays as stored: spikes as bits."""
    names = sorted(recorded)
    stored: Arrays = {"nodes": np.array(names, dtype=np.str_)}
    for k, name in enumerate(names):
        values = recorded[name]
        if values.dtype == np.uint8 and values.size and int(values.max()) <= 1:
            stored[f"shape{k}"] = np.array(values.shape, np.int64)
            stored[f"bits{k}"] = np.packbits(values.reshape(-1))
        else:
            stored[f"value{k}"] = np.ascontiguousarray(values)
    return stored


def _unpacked(found: Arrays, k: int) -> NDArray[Any]:
    if f"value{k}" in found:
        return found[f"value{k}"]
    shape = tuple(int(n) for n in found[f"shape{k}"])
    bits: NDArray[Any] = np.unpackbits(found[f"bits{k}"], count=int(np.prod(shape)))
    return bits.reshape(shape)
