"""Proof that an imported network spikes as in its framework: every layer, every timestep, every image.

`prove` plays a module in its own framework, exports it with that framework's exporter, imports the file, and
compares its spikes with those of the network before rounding and with those of the network of integers, as
`imcsim.studies.traces.record` gives them with ideal converters.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import frameworks
import numpy as np

import imcsim.hardware
import imcsim.inputs
import imcsim.network
import imcsim.studies.traces
from imcsim.importers import Image, Imported, ReadOptions, import_model
from imcsim.importers.importing.float_run import run
from imcsim.importers.importing.layers import Neuron
from imcsim.network.graph import LIF

CHIP = "dtsnn_32nm"


@dataclass(frozen=True)
class Proof:
    """What was compared. equal: the share of equal spikes of each layer, before and after rounding;
    rates: how often they fire; outputs: float64 ``[N, T, classes]`` of the network before rounding.
    """

    imported: Imported
    float_equal: dict[str, float]
    integer_equal: dict[str, float]
    rates: dict[str, float]
    outputs: np.ndarray
    theirs: dict[str, np.ndarray]


def spikes(shape: Sequence[int], timesteps: int, count: int = 3, seed: int = 0) -> np.ndarray:
    """Random 0/1 frames ``[N, T, ...]``, uint8."""
    return np.random.default_rng(seed).integers(0, 2, (count, timesteps, *shape)).astype(np.uint8)


def images(shape: Sequence[int], count: int = 3, seed: int = 0, bits: int = 8) -> np.ndarray:
    """Random pixel codes ``[N, ...]``, uint8."""
    return np.random.default_rng(seed).integers(0, 2**bits, (count, *shape)).astype(np.uint8)


def in_framework(
    framework: str, module: Any, seen: np.ndarray, timesteps: int, scale: float = 1.0, **play: Any
) -> dict[str, np.ndarray]:
    """What every layer of neurons puts out, ``[N, T, ...]``; `seen` is ``[N, T, ...]`` or ``[N, ...]``."""
    found: dict[str, list[np.ndarray]] = {}
    for one in seen:
        frames = one if play.get("timed", True) else np.repeat(one[None], timesteps, axis=0)
        frameworks.forget(framework, module)
        for name, values in frameworks.play(framework, module, frames * np.float32(scale)).items():
            found.setdefault(name, []).append(values)
    frameworks.forget(framework, module)
    return {name: np.stack(values) for name, values in found.items()}


def compare(
    file: Path,
    theirs: dict[str, np.ndarray],
    seen: np.ndarray,
    timesteps: int,
    shape: tuple[int, ...],
    *,
    timed: bool = True,
    scale: float = 1.0,
    options: ReadOptions | None = None,
    weight_bits: int = 8,
) -> Proof:
    """Import `file` and compare it with what its framework gave."""
    bits = 1 if timed and seen.max() <= 1 else 8
    imported = import_model(file, options=options, weight_bits=weight_bits, image=Image(bits, scale))
    image = imported.network.input_shape
    shown = seen.reshape(len(seen), *((timesteps,) if timed else ()), *image)
    neurons = {n.name: imported.names[n.name] for n in imported.model.layers if isinstance(n, Neuron)}
    spiking = {n.name for n in imported.model.layers if isinstance(n, Neuron) and n.spiking}
    matched = {frameworks.module_name(name): name for name in neurons}
    assert set(matched) == set(theirs), "the file has other neurons than the module"
    real = run(imported.real, shown, timesteps, record=[neurons[name] for name in spiking])
    # As a user would: write the network, load it, record what it does.
    imcsim.network.save(imported.network, file.parent / "model")
    network = imcsim.network.load(str(file.parent / "model"))
    imcsim.inputs.save(file.parent / "seen.npz", shown)
    given = imcsim.inputs.load(str(file.parent / "seen.npz"), labelled=False)
    trace = imcsim.studies.traces.record(
        network,
        imcsim.hardware.load(CHIP),
        given,
        file.parent / "trace.npz",
        timesteps=timesteps,
        layers="all",
        ideal=True,
    )
    before, after, rates = {}, {}, {}
    for module, wanted in theirs.items():
        name = matched[module]
        if name not in spiking:
            continue
        node = network.node(neurons[name])
        assert wanted.max() <= node.max_spikes, f"{name}: more spikes in one timestep than were stated"
        flat = wanted.reshape(len(seen), timesteps, -1)
        before[module] = float((real.spikes[neurons[name]].reshape(flat.shape) == flat).mean())
        after[module] = float((trace.spikes[neurons[name]].reshape(flat.shape) == flat).mean())
        rates[module] = float(flat.mean())
    return Proof(imported, before, after, rates, real.outputs, theirs)


def prove(
    framework: str,
    module: Any,
    shape: tuple[int, ...],
    folder: Path,
    *,
    timesteps: int = 10,
    seen: np.ndarray | None = None,
    timed: bool = True,
    scale: float = 1.0,
    options: ReadOptions | None = None,
    recognised: bool = True,
    weight_bits: int = 8,
    output: str | None = None,
) -> Proof:
    """Play, export, import, compare: all spikes are equal, before and after rounding.

    `recognised`: the file alone tells the framework. `output` names a last layer of integrators, whose values
    are compared too.
    """
    import torch

    seen = spikes(shape, timesteps) if seen is None else seen
    theirs = in_framework(framework, module, seen, timesteps, scale, timed=timed)
    file = frameworks.write(framework, module, torch.zeros(1, *shape), folder / "net.nir")
    frameworks.forget(framework, module)
    proof = compare(
        file,
        theirs,
        seen,
        timesteps,
        shape,
        timed=timed,
        scale=scale,
        options=frameworks.stated(framework, options),
        weight_bits=weight_bits,
    )
    if recognised:
        assert proof.imported.model.source["framework"] == framework
    _all_equal(proof)
    if output is not None:
        wanted = theirs[output].reshape(proof.outputs.shape)
        np.testing.assert_allclose(proof.outputs, wanted, rtol=1e-5, atol=1e-4)
    return proof


def prove_listed(
    framework: str,
    module: Any,
    shape: tuple[int, ...],
    layers: str,
    folder: Path,
    *,
    timesteps: int = 10,
    timed: bool = True,
    seen: np.ndarray | None = None,
) -> Proof:
    """The same for the state dict of `module` and a list of `layers`, for what an exporter cannot write.

    Neurons in the list are called as their modules are.
    """
    import torch

    seen = spikes(shape, timesteps) if seen is None else seen
    theirs = in_framework(framework, module, seen, timesteps, timed=timed)
    torch.save(module.state_dict(), folder / "net.pt")
    (folder / "net.yaml").write_text(layers)
    options = ReadOptions(layers_file=folder / "net.yaml")
    proof = compare(folder / "net.pt", theirs, seen, timesteps, shape, timed=timed, options=options)
    _all_equal(proof)
    return proof


def _all_equal(proof: Proof) -> None:
    assert proof.float_equal == dict.fromkeys(proof.float_equal, 1.0)
    assert proof.integer_equal == dict.fromkeys(proof.integer_equal, 1.0)
    several = max(node.max_spikes for node in proof.imported.network.nodes if isinstance(node, LIF)) > 1
    lively = [name for name, rate in proof.rates.items() if 0.02 < rate < (3 if several else 0.98)]
    assert len(lively) >= len(proof.rates) - 1, f"too quiet or too loud to show a difference: {proof.rates}"


def agreement_as_in_framework(
    framework: str,
    module: Any,
    shape: tuple[int, int, int],
    folder: Path,
    main: Callable[[list[str]], int],
    arguments: Sequence[str] = (),
    *,
    timesteps: int = 6,
    count: int = 24,
) -> dict[str, Any]:
    """What ``imcsim import`` states of ordinary float weights is what the framework itself gives.

    Imports with labelled spikes as inputs in four bits, takes the spikes of the integers from a trace, and
    those before rounding from the framework. Then compares the model. Returns the document of the import.
    """
    import torch

    rng = np.random.default_rng(5)
    seen = spikes(shape, timesteps, count, seed=3)
    theirs = in_framework(framework, module, seen, timesteps)
    last = list(theirs)[-1]
    named = theirs[last].reshape(count, timesteps, -1).cumsum(axis=1).argmax(axis=2)
    labels = np.where(rng.random(count) < 0.7, named[:, -1], rng.integers(0, 3, count))
    imcsim.inputs.save(folder / "seen.npz", seen, labels)
    file = frameworks.write(framework, module, torch.zeros(1, *shape), folder / "net.nir")
    model, inputs, report = str(folder / "model"), str(folder / "seen.npz"), folder / "import.json"
    command = ["import", str(file), "-o", model, "--inputs", inputs, "--weight-bits", "4"]
    command += ["--timesteps", str(timesteps), "--json", str(report), *frameworks.stated_words(framework)]
    assert main([*command, *arguments]) == 0
    found: dict[str, Any] = json.loads(report.read_text())
    recorded = [
        "trace",
        "record",
        "-o",
        str(folder / "t.npz"),
        "--model",
        model,
        "--layers",
        "all",
        "--ideal",
    ]
    assert main([*recorded, "--inputs", inputs, "--hardware", CHIP, "--quiet"]) == 0
    trace = imcsim.studies.traces.load(folder / "t.npz")
    stated = {layer["name"]: layer for layer in found["agreement"]["ideal"]["layers"]}
    assert len(stated) == len(theirs)
    for (module_name, wanted), (name, layer) in zip(theirs.items(), stated.items(), strict=True):
        spiked = trace.spikes[name].reshape(wanted.reshape(count, timesteps, -1).shape)
        wanted = wanted.reshape(spiked.shape)
        # The framework computes in float32: a few spikes in a million may fall otherwise.
        assert abs(layer["equal"] - (spiked == wanted).mean()) < 1e-4, module_name
        assert abs(layer["float_rate"] - wanted.mean()) < 1e-4, module_name
        assert layer["rate"] == float(spiked.mean())
    assert any(layer["equal"] < 1 for layer in stated.values()), "four bits changed nothing"
    float_accuracy = (named == labels[:, None]).mean(axis=0)
    np.testing.assert_allclose(found["agreement"]["float_accuracy"]["per_timestep"], float_accuracy)
    out = next(reversed(stated))
    ours = trace.spikes[out].reshape(count, timesteps, -1).cumsum(axis=1).argmax(axis=2)
    accuracy = found["agreement"]["ideal"]["accuracy"]["per_timestep"]
    np.testing.assert_allclose(accuracy, (ours == labels[:, None]).mean(axis=0))
    compared = ["compare", "--model", model, "--inputs", inputs, "--threshold", "0.3"]
    compared += ["--set", "alternatives.shared=false"]
    assert main([*compared, "--timesteps", str(timesteps), "--quiet"]) == 0
    return found
