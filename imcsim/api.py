"""The Python interface: ``imcsim.compare``, ``run``, ``stream`` and ``sweep``, as the commands of that name;
``compare_chips`` is ``imcsim compare --chips``.

Networks, chips and inputs are given by name, by file, or as objects that were loaded before; or as a training
script has them: a live PyTorch module in the place of a network (`from_torch` makes one of it, with the first
inputs as its example), and ``(images, labels)`` as arrays or tensors, a DataLoader or a Dataset in the place
of inputs. Whole numbers are pixel codes, booleans spikes, real numbers what the module was trained on. A
mapping in the place of a chip holds overrides, ``{"extends": "dtsnn_32nm", "adc.bits": 5}``.

Results have a short ``repr``, are a table with a figure in notebooks, and have ``to_frame()`` (which needs
the extra ``frames``), ``to_latex()``, ``plot()`` and ``save()``; `load_result` reads what was saved. The
keywords are the settings that `imcsim.studies.settings` declares, spelled out so that an editor completes
them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import imcsim.hardware
import imcsim.inputs
import imcsim.network
from imcsim.base.choices import Accumulation, Fidelity, InputEncoding, Rule, Temperatures, Thresholds
from imcsim.base.errors import ImcsimError
from imcsim.base.frames import frame
from imcsim.base.keywords import known_keywords
from imcsim.base.presented import present_with
from imcsim.base.progress import Progress
from imcsim.diffs.reading import load_result as load_result
from imcsim.hardware.config import Hardware
from imcsim.importers.live.entry import from_torch as from_torch
from imcsim.importers.live.network import TorchNetwork
from imcsim.importers.live.shown import first_images, inputs_of
from imcsim.inputs import Inputs
from imcsim.network.graph import Network
from imcsim.report.notebook import NotebookPresenter
from imcsim.results.chips.document import ChipsResult
from imcsim.results.comparison import CompareResult
from imcsim.results.run import RunResult
from imcsim.results.stream import StreamResult
from imcsim.studies import comparison, streaming
from imcsim.studies.against import OtherNetwork
from imcsim.studies.checking import check_choice, settings_of
from imcsim.studies.chips import comparing
from imcsim.studies.loading import check_given, load_given
from imcsim.studies.settings import DEFAULT_HARDWARE, DEFAULT_INPUTS, DEFAULT_MODEL, RunSettings
from imcsim.sweeps import Store, load_spec
from imcsim.sweeps import sweep as run_sweep
from imcsim.sweeps.shared_images import shared_values

present_with(NotebookPresenter())

EXAMPLE_IMAGES = 16
"""Images on which a live module and its network are compared, where a run is given the module itself."""

Policy = Literal["static", "dynamic"]
ArrivalKind = Literal["closed", "periodic", "poisson"]


@known_keywords
def compare(
    model: str | Path | Network | Any = DEFAULT_MODEL,
    hardware: str | Path | Hardware | Mapping[str, object] = DEFAULT_HARDWARE,
    inputs: str | Path | Inputs | Any = DEFAULT_INPUTS,
    validation: str | Path | Inputs | Any | None = None,
    *,
    overrides: Mapping[str, object] | None = None,
    images: int | None = None,
    encoding: InputEncoding | None = None,
    labels: str | Path | None = None,
    bin_us: int | None = None,
    plugins: tuple[str, ...] = (),
    timesteps: int | None = None,
    threshold: float | tuple[float, ...] | None = None,
    thresholds: Thresholds = "one",
    max_loss: float | None = None,
    temperatures: Temperatures = "one",
    rule: Rule = "entropy",
    accumulation: Accumulation = "mean",
    issue: str = "wait",
    fidelity: Fidelity = "burst",
    seed: int = 0,
    chip: int = 0,
    against: str | Path | Network | Any | None = None,
    against_hardware: str | Path | Hardware | Mapping[str, object] | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> CompareResult:
    """Compare static T = 1 .. T max with early exit, on one chip.

    Args:
        model: Trained network, by name or folder.
        hardware: Chip, by name or file.
        inputs: Images, events or a trace to run, by name, file or folder.
        validation: Other images, on which the ADCs are calibrated and the threshold is chosen. None: built-in
            ones that go with the inputs, such as cifar10_validation.
        overrides: Other values for keys of the chip, as adc.bits=5.
        images: How many of the inputs are run, from the first on. None: all of them.
        encoding: Images enter as they are at every timestep (direct), as random spikes (rate), or by an
            encoding of a plug-in. None: direct.
        labels: Labels of inputs that hold none: .npy, or .csv for a folder of images. None: none.
        bin_us: Length of a timestep of events, in microseconds. None: each recording in equal parts.
        plugins: Files of plug-ins, which add exit rules, estimators, models of cell errors and encodings.
        timesteps: T max, the most timesteps that an image runs. None: the network's own.
        threshold: Exit threshold, 0 to 1, or T max - 1 of them: one for each timestep after which an image
            may exit early. None: chosen on the validation images.
        thresholds: Choose one threshold for all timesteps, or one for each: cheaper, but it fits the
            validation images more closely, their chance too.
        max_loss: Loss of accuracy against T max that chosen thresholds must rule out, as a share of the
            images (0.005: half a point), by a 95 % bound that is cross-fitted on the validation images.
            None: as many validation images right as with T max.
        temperatures: Divide the mean outputs that the exit rule sees by 1 (one), or by a temperature for each
            timestep, fitted on the validation images.
        rule: Exit rule, what decides that an image may exit early: entropy, max_softmax, margin, or one of a
            plug-in.
        accumulation: How the outputs of the timesteps so far are combined.
        issue: Issue policy, when the next timestep enters: wait, speculate, interleave:K, or pipeline, which
            has no early exit.
        fidelity: How finely time is played; both agree to the cycle.
        seed: Seed of every random draw.
        chip: Which of the chips that the seed draws is run, where cells, wires or ADCs have errors.
        against: Another network on the same images, side by side: an ANN (relu nodes), or a spiking one at
            its T max. None: no other.
        against_hardware: The chip of the other network. None: that of this one.
        workers: How many processors work; no result depends on it. None: all there are.
        scheduler: Address of a Dask scheduler, whose cluster plays the images instead, with the same result
            (extra ``cluster``). None: no cluster.
        progress: Called with a stage, how much of it is done and how much there is. None: nobody is told.

    Returns:
        The document that ``imcsim compare --json`` writes: energies in pJ, latencies in ns and EDP in pJ ns,
        means per image.

    Raises:
        ImcsimError: For a value that the command line would refuse, a file that cannot be read, inputs that
            do not fit the network, and a cluster that is not there.

    >>> import imcsim
    >>> imcsim.compare(images=10, threshold=0.3, overrides={"adc.bits": 5}).dynamic.mean_timesteps <= 4
    True
    """
    settings = settings_of(
        overrides=overrides, images=images, encoding=encoding, labels=labels, bin_us=bin_us, plugins=plugins,
        timesteps=timesteps, threshold=threshold, thresholds=thresholds, max_loss=max_loss,
        temperatures=temperatures, rule=rule,
        accumulation=accumulation, issue=issue, fidelity=fidelity, seed=seed, chip=chip, workers=workers,
    )  # fmt: skip
    subject = _loaded(settings, model, hardware, inputs, validation)
    other = _other(against, against_hardware, subject[1], inputs)
    if scheduler is None:
        return comparison.compare(*subject, settings.options, progress, other)
    with shared_values(scheduler) as values:
        return comparison.compare(*subject, settings.options, progress, other, values)


@known_keywords
def compare_chips(
    model: str | Path | Network | Any = DEFAULT_MODEL,
    hardware: str | Path | Hardware | Mapping[str, object] = DEFAULT_HARDWARE,
    inputs: str | Path | Inputs | Any = DEFAULT_INPUTS,
    validation: str | Path | Inputs | Any | None = None,
    *,
    chips: int = 20,
    overrides: Mapping[str, object] | None = None,
    images: int | None = None,
    encoding: InputEncoding | None = None,
    labels: str | Path | None = None,
    bin_us: int | None = None,
    plugins: tuple[str, ...] = (),
    timesteps: int | None = None,
    threshold: float | tuple[float, ...] | None = None,
    thresholds: Thresholds = "one",
    max_loss: float | None = None,
    temperatures: Temperatures = "one",
    rule: Rule = "entropy",
    accumulation: Accumulation = "mean",
    issue: str = "wait",
    fidelity: Fidelity = "burst",
    seed: int = 0,
    chip: int = 0,
    workers: int | None = None,
    progress: Progress | None = None,
) -> ChipsResult:
    """Do what `compare` does on many programmed chips of one design, and on the ideal one.

    Args:
        model: Trained network, by name or folder.
        hardware: Chip, by name or file.
        inputs: Images, events or a trace to run, by name, file or folder.
        validation: Other images, on which the ADCs are calibrated and the threshold is chosen. None: built-in
            ones that go with the inputs, such as cifar10_validation.
        chips: How many programmed chips are run, with the numbers from chip on.
        overrides: Other values for keys of the chip, as adc.bits=5.
        images: How many of the inputs are run, from the first on. None: all of them.
        encoding: Images enter as they are at every timestep (direct), as random spikes (rate), or by an
            encoding of a plug-in. None: direct.
        labels: Labels of inputs that hold none: .npy, or .csv for a folder of images. None: none.
        bin_us: Length of a timestep of events, in microseconds. None: each recording in equal parts.
        plugins: Files of plug-ins, which add exit rules, estimators, models of cell errors and encodings.
        timesteps: T max, the most timesteps that an image runs. None: the network's own.
        threshold: Exit threshold, 0 to 1, or T max - 1 of them: one for each timestep after which an image
            may exit early. None: chosen on the validation images.
        thresholds: Choose one threshold for all timesteps, or one for each: cheaper, but it fits the
            validation images more closely, their chance too.
        max_loss: Loss of accuracy against T max that chosen thresholds must rule out, as a share of the
            images (0.005: half a point), by a 95 % bound that is cross-fitted on the validation images.
            None: as many validation images right as with T max.
        temperatures: Divide the mean outputs that the exit rule sees by 1 (one), or by a temperature for each
            timestep, fitted on the validation images.
        rule: Exit rule, what decides that an image may exit early: entropy, max_softmax, margin, or one of a
            plug-in.
        accumulation: How the outputs of the timesteps so far are combined.
        issue: Issue policy, when the next timestep enters: wait, speculate, interleave:K, or pipeline, which
            has no early exit.
        fidelity: How finely time is played; both agree to the cycle.
        seed: Seed of every random draw.
        chip: Which of the chips that the seed draws is run, where cells, wires or ADCs have errors.
        workers: How many processors work; no result depends on it. None: all there are.
        progress: Called with a stage, how much of it is done and how much there is. None: nobody is told.

    Returns:
        Mean, spread and worst chip of every figure, and which images exit earlier or later than on the ideal
        chip.

    Raises:
        ImcsimError: For a value that the command line would refuse, a file that cannot be read, and inputs
            that do not fit the network.
        imcsim.studies.chips.Stopped: When Ctrl-C interrupts it after some chips; this KeyboardInterrupt has
            their result.

    >>> import imcsim
    >>> varied = {"nonideal.variation.sigma": 0.02}
    >>> found = imcsim.compare_chips(chips=2, images=10, threshold=0.3, overrides=varied)
    >>> [one.chip for one in found.instances], found.dynamic.moved.images
    ([0, 1], 20)
    """
    settings = settings_of(
        overrides=overrides, images=images, encoding=encoding, labels=labels, bin_us=bin_us, plugins=plugins,
        timesteps=timesteps, threshold=threshold, thresholds=thresholds, max_loss=max_loss,
        temperatures=temperatures, rule=rule,
        accumulation=accumulation, issue=issue, fidelity=fidelity, seed=seed, chip=chip, workers=workers,
    )  # fmt: skip
    subject = _loaded(settings, model, hardware, inputs, validation)
    return comparing.compare_chips(*subject, settings.options, chips, progress)


@known_keywords
def run(
    model: str | Path | Network | Any = DEFAULT_MODEL,
    hardware: str | Path | Hardware | Mapping[str, object] = DEFAULT_HARDWARE,
    inputs: str | Path | Inputs | Any = DEFAULT_INPUTS,
    validation: str | Path | Inputs | Any | None = None,
    *,
    policy: Policy = "dynamic",
    overrides: Mapping[str, object] | None = None,
    images: int | None = None,
    encoding: InputEncoding | None = None,
    labels: str | Path | None = None,
    bin_us: int | None = None,
    plugins: tuple[str, ...] = (),
    timesteps: int | None = None,
    threshold: float | tuple[float, ...] | None = None,
    thresholds: Thresholds = "one",
    max_loss: float | None = None,
    temperatures: Temperatures = "one",
    rule: Rule = "entropy",
    accumulation: Accumulation = "mean",
    issue: str = "wait",
    fidelity: Fidelity = "burst",
    seed: int = 0,
    chip: int = 0,
    workers: int | None = None,
    progress: Progress | None = None,
) -> RunResult:
    """Run one policy on one chip: what it costs, and where.

    Args:
        model: Trained network, by name or folder.
        hardware: Chip, by name or file.
        inputs: Images, events or a trace to run, by name, file or folder.
        validation: Other images, on which the ADCs are calibrated and the threshold is chosen. None: built-in
            ones that go with the inputs, such as cifar10_validation.
        policy: Early exit (dynamic), or always T max timesteps (static).
        overrides: Other values for keys of the chip, as adc.bits=5.
        images: How many of the inputs are run, from the first on. None: all of them.
        encoding: Images enter as they are at every timestep (direct), as random spikes (rate), or by an
            encoding of a plug-in. None: direct.
        labels: Labels of inputs that hold none: .npy, or .csv for a folder of images. None: none.
        bin_us: Length of a timestep of events, in microseconds. None: each recording in equal parts.
        plugins: Files of plug-ins, which add exit rules, estimators, models of cell errors and encodings.
        timesteps: T max, the most timesteps that an image runs. None: the network's own.
        threshold: Exit threshold, 0 to 1, or T max - 1 of them: one for each timestep after which an image
            may exit early. None: chosen on the validation images.
        thresholds: Choose one threshold for all timesteps, or one for each: cheaper, but it fits the
            validation images more closely, their chance too.
        max_loss: Loss of accuracy against T max that chosen thresholds must rule out, as a share of the
            images (0.005: half a point), by a 95 % bound that is cross-fitted on the validation images.
            None: as many validation images right as with T max.
        temperatures: Divide the mean outputs that the exit rule sees by 1 (one), or by a temperature for each
            timestep, fitted on the validation images.
        rule: Exit rule, what decides that an image may exit early: entropy, max_softmax, margin, or one of a
            plug-in.
        accumulation: How the outputs of the timesteps so far are combined.
        issue: Issue policy, when the next timestep enters: wait, speculate, interleave:K, or pipeline, which
            has no early exit.
        fidelity: How finely time is played; both agree to the cycle.
        seed: Seed of every random draw.
        chip: Which of the chips that the seed draws is run, where cells, wires or ADCs have errors.
        workers: How many processors work; no result depends on it. None: all there are.
        progress: Called with a stage, how much of it is done and how much there is. None: nobody is told.

    Returns:
        The document that ``imcsim run --json`` writes: energies in pJ, latencies in ns and EDP in pJ ns,
        means per image.

    Raises:
        ImcsimError: For a value that the command line would refuse, a file that cannot be read, and inputs
            that do not fit the network.

    >>> import imcsim
    >>> imcsim.run(images=10, policy="static", timesteps=2).outcome.mean_timesteps
    2.0
    """
    check_choice("policy", policy, Policy)
    settings = settings_of(
        overrides=overrides, images=images, encoding=encoding, labels=labels, bin_us=bin_us, plugins=plugins,
        timesteps=timesteps, threshold=threshold, thresholds=thresholds, max_loss=max_loss,
        temperatures=temperatures, rule=rule,
        accumulation=accumulation, issue=issue, fidelity=fidelity, seed=seed, chip=chip, workers=workers,
    )  # fmt: skip
    subject = _loaded(settings, model, hardware, inputs, validation)
    return comparison.run(*subject, settings.options, progress, policy=policy)


@known_keywords
def stream(
    model: str | Path | Network | Any = DEFAULT_MODEL,
    hardware: str | Path | Hardware | Mapping[str, object] = DEFAULT_HARDWARE,
    inputs: str | Path | Inputs | Any = DEFAULT_INPUTS,
    validation: str | Path | Inputs | Any | None = None,
    *,
    policy: Policy = "dynamic",
    arrivals: ArrivalKind = "closed",
    rate: float | None = None,
    copies: int = 1,
    overrides: Mapping[str, object] | None = None,
    images: int | None = None,
    encoding: InputEncoding | None = None,
    labels: str | Path | None = None,
    bin_us: int | None = None,
    plugins: tuple[str, ...] = (),
    timesteps: int | None = None,
    threshold: float | tuple[float, ...] | None = None,
    thresholds: Thresholds = "one",
    max_loss: float | None = None,
    temperatures: Temperatures = "one",
    rule: Rule = "entropy",
    accumulation: Accumulation = "mean",
    issue: str = "wait",
    fidelity: Fidelity = "burst",
    seed: int = 0,
    chip: int = 0,
    workers: int | None = None,
    progress: Progress | None = None,
) -> StreamResult:
    """Play the inputs as a stream of images on one chip, or on copies of it.

    Args:
        model: Trained network, by name or folder.
        hardware: Chip, by name or file.
        inputs: Images, events or a trace to run, by name, file or folder.
        validation: Other images, on which the ADCs are calibrated and the threshold is chosen. None: built-in
            ones that go with the inputs, such as cifar10_validation.
        policy: Early exit (dynamic), or always T max timesteps (static).
        arrivals: Images come as the chip takes them (closed), at regular intervals (periodic), or at random
            (poisson).
        rate: Images per second of periodic and poisson arrivals; closed has None.
        copies: How many copies of the whole chip, or package, there are behind a dispatcher, which gives each
            image to the one that is free earliest.
        overrides: Other values for keys of the chip, as adc.bits=5.
        images: How many of the inputs are run, from the first on. None: all of them.
        encoding: Images enter as they are at every timestep (direct), as random spikes (rate), or by an
            encoding of a plug-in. None: direct.
        labels: Labels of inputs that hold none: .npy, or .csv for a folder of images. None: none.
        bin_us: Length of a timestep of events, in microseconds. None: each recording in equal parts.
        plugins: Files of plug-ins, which add exit rules, estimators, models of cell errors and encodings.
        timesteps: T max, the most timesteps that an image runs. None: the network's own.
        threshold: Exit threshold, 0 to 1, or T max - 1 of them: one for each timestep after which an image
            may exit early. None: chosen on the validation images.
        thresholds: Choose one threshold for all timesteps, or one for each: cheaper, but it fits the
            validation images more closely, their chance too.
        max_loss: Loss of accuracy against T max that chosen thresholds must rule out, as a share of the
            images (0.005: half a point), by a 95 % bound that is cross-fitted on the validation images.
            None: as many validation images right as with T max.
        temperatures: Divide the mean outputs that the exit rule sees by 1 (one), or by a temperature for each
            timestep, fitted on the validation images.
        rule: Exit rule, what decides that an image may exit early: entropy, max_softmax, margin, or one of a
            plug-in.
        accumulation: How the outputs of the timesteps so far are combined.
        issue: Issue policy, when the next timestep enters: wait, speculate, interleave:K, or pipeline, which
            has no early exit.
        fidelity: How finely time is played; both agree to the cycle.
        seed: Seed of every random draw.
        chip: Which of the chips that the seed draws is run, where cells, wires or ADCs have errors.
        workers: How many processors work; no result depends on it. None: all there are.
        progress: Called with a stage, how much of it is done and how much there is. None: nobody is told.

    Returns:
        The document that ``imcsim stream --json`` writes: throughput in images per second, latencies in ns,
        energies in pJ per image, utilisation as shares.

    Raises:
        ImcsimError: For a value that the command line would refuse, a file that cannot be read, and inputs
            that do not fit the network. For arrivals and a rate that do not go together.

    >>> import imcsim
    >>> found = imcsim.stream(images=10, threshold=0.3, issue="speculate")
    >>> found.latency_p50_ns <= found.latency_p99_ns <= found.makespan_ns
    True
    """
    check_choice("policy", policy, Policy)
    check_choice("arrivals", arrivals, ArrivalKind)
    settings = settings_of(
        overrides=overrides, images=images, encoding=encoding, labels=labels, bin_us=bin_us, plugins=plugins,
        timesteps=timesteps, threshold=threshold, thresholds=thresholds, max_loss=max_loss,
        temperatures=temperatures, rule=rule,
        accumulation=accumulation, issue=issue, fidelity=fidelity, seed=seed, chip=chip, workers=workers,
    )  # fmt: skip
    subject = _loaded(settings, model, hardware, inputs, validation)
    arriving = streaming.StreamOptions(arrivals, rate, copies)
    return streaming.stream(*subject, settings.options, arriving, progress, policy=policy)


def _written(spec: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """`spec` with the objects in it as files beside `folder`, which other processes read."""
    found = dict(spec)
    model = found.get("model")
    if isinstance(model, Network):
        target = folder.with_name(folder.name + ".model")
        imcsim.network.save(model, target)
        found["model"] = str(target)
    for key in ("inputs", "validation"):
        given = found.get(key)
        if given is None or isinstance(given, str | Path):
            continue
        if not isinstance(given, Inputs):
            network = model if isinstance(model, Network) else imcsim.network.load(model or DEFAULT_MODEL)
            given = inputs_of(given, network, found.get("images"), key)
        target = folder.with_name(f"{folder.name}.{key}.npz")
        shown = given.images.astype(bool) if given.spikes else given.images
        imcsim.inputs.save(target, shown, given.labels, split=given.split, classes=given.classes)
        found[key] = str(target)
    return found


def _loaded(
    settings: RunSettings,
    model: Any,
    hardware: str | Path | Hardware | Mapping[str, object],
    inputs: Any,
    validation: Any,
) -> tuple[Network, Hardware, Inputs, Inputs | None]:
    """What a run is made of, from whatever form it was given in."""
    if isinstance(hardware, Mapping):
        changes = dict(_dotted(hardware))
        base = changes.pop("extends", DEFAULT_HARDWARE)
        settings = settings.changed({"overrides": changes | dict(settings.overrides)})
        hardware = base if isinstance(base, Path) else str(base)
    if _is_module(model):
        model = _from_inputs(model, inputs, settings)
    given = [one for one in (inputs, validation) if not isinstance(one, str | Path | Inputs | None)]
    if given and not isinstance(model, Network):
        model = imcsim.network.load(model)
    if not isinstance(inputs, str | Path | Inputs):
        inputs = inputs_of(inputs, model, settings.images, "inputs")
        settings = settings.changed({"images": None})
    if not isinstance(validation, str | Path | Inputs | None):
        validation = inputs_of(validation, model, None, "validation")
    return load_given(settings, model, hardware, inputs, validation)


def _other(
    model: Any,
    hardware: str | Path | Hardware | Mapping[str, object] | None,
    same: Hardware,
    inputs: Any,
) -> OtherNetwork | None:
    """The other network of a comparison, on a chip of its own or on the `same` one."""
    if model is None:
        if hardware is not None:
            fix = "give against, the network that it runs"
            raise ImcsimError("this is the chip of another network", key="against_hardware", fix=fix)
        return None
    if _is_module(model):
        model = _from_inputs(model, inputs, settings_of())
    check_given("against", model, Network)
    if not isinstance(hardware, Mapping | None):
        check_given("against_hardware", hardware, Hardware)
    network = model if isinstance(model, Network) else imcsim.network.load(model)
    if isinstance(hardware, Mapping):
        changes = dict(_dotted(hardware))
        base = changes.pop("extends", DEFAULT_HARDWARE)
        chip = imcsim.hardware.load(base if isinstance(base, Path) else str(base), changes)
    elif hardware is None or isinstance(hardware, Hardware):
        chip = hardware or same
    else:
        chip = imcsim.hardware.load(hardware)
    return OtherNetwork(network, chip)


def _dotted(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Nested mappings as dotted keys: ``{"adc": {"bits": 5}}`` is ``{"adc.bits": 5}``."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _dotted(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


class Monitor:
    """Tells after each epoch what a network in training costs on a chip, and how right it is.

    Args:
        inputs: (images, labels), a DataLoader or a Dataset, as `compare` takes them; they are read once.
        hardware: The chip, as `compare` takes it.
        threshold: Exit threshold, 0 to 1.
        images: How many of the inputs are run.
        timesteps: T max, for a module that computes one timestep when it is called.
        make: Makes a network of a module, where ``from_torch(module, example, timesteps=timesteps)`` does not
            suffice: called with the module and the example.
        log: Called with each row: ``wandb.log``, or the ``log_dict`` of Lightning.

    Early exit is on. Its ``rows`` are dicts with epoch, accuracy, mean_timesteps, energy_pj, latency_ns and
    edp_pj_ns (means per image; EDP is the mean of products), and equal_spikes, the smallest share of a layer
    before quantisation.

    >>> import imcsim, numpy as np
    >>> digits = np.random.default_rng(0).integers(0, 256, (8, 3, 32, 32)), np.arange(8)
    >>> monitor = imcsim.Monitor(digits, threshold=0.3, images=8)
    >>> row = monitor(imcsim.network.load("vgg7_cifar10"))
    >>> sorted(row)
    ['accuracy', 'edp_pj_ns', 'energy_pj', 'epoch', 'latency_ns', 'mean_timesteps']
    """

    @known_keywords
    def __init__(
        self,
        inputs: Any,
        hardware: str | Path | Hardware | Mapping[str, object] = DEFAULT_HARDWARE,
        *,
        threshold: float = 0.3,
        images: int = 200,
        timesteps: int | None = None,
        make: Callable[[Any, Any], Network] | None = None,
        log: Callable[[dict[str, float]], object] | None = None,
    ) -> None:
        self.inputs, self.hardware, self.threshold, self.images = inputs, hardware, threshold, images
        self.timesteps, self.make, self.log = timesteps, make, log
        self.rows: list[dict[str, float]] = []
        self._example = first_images(inputs, EXAMPLE_IMAGES)
        self._shown: Inputs | None = None

    def __call__(self, model: Any, epoch: int | None = None) -> dict[str, float]:
        """The row of an epoch, which is kept in ``rows`` and logged.

        Args:
            model: The module in training, or a network.
            epoch: Its number. None: epochs are counted from 0.

        Raises:
            ImcsimError: As `from_torch` and `run` do.
        """
        network = model
        if not isinstance(model, Network):
            network = (
                from_torch(model, self._example, timesteps=self.timesteps)
                if self.make is None
                else self.make(model, self._example)
            )
        if self._shown is None:
            self._shown = inputs_of(self.inputs, network, self.images, "inputs")
        found = run(network, self.hardware, self._shown, threshold=self.threshold).outcome
        row: dict[str, float] = {
            "epoch": len(self.rows) if epoch is None else epoch,
            "accuracy": found.accuracy,
            "mean_timesteps": found.mean_timesteps,
            "energy_pj": found.energy_pj,
            "latency_ns": found.latency_ns,
            "edp_pj_ns": found.edp_mean_of_products,
        }
        if isinstance(network, TorchNetwork) and network.check is not None:
            row["equal_spikes"] = network.check.equal
        self.rows.append(row)
        if self.log is not None:
            self.log(row)
        return row

    def to_frame(self) -> Any:
        """The rows as a pandas data frame. Raises ImcsimError where pandas is missing."""
        return frame(self.rows)


def _is_module(model: Any) -> bool:
    """Whether `model` is a module of PyTorch; asked without loading it."""
    return any(kind.__module__ == "torch.nn.modules.module" for kind in type(model).__mro__)


def _from_inputs(model: Any, inputs: Any, settings: RunSettings) -> Network:
    """The network of a live module, with the first inputs as its example."""
    example = first_images(inputs, EXAMPLE_IMAGES)
    if example is None:
        fix = "make it one: imcsim.from_torch(model, example)"
        raise ImcsimError("a live module needs inputs as its script has them", key="model", fix=fix)
    return from_torch(model, example, timesteps=settings.options.timesteps)


@known_keywords
def sweep(
    spec: str | Path | Mapping[str, Any],
    out: str | Path | None = None,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    retry_failed: bool = False,
    progress: Progress | None = None,
) -> Store:
    """Run every point of a sweep.

    The processes do not run the caller's script, which needs no ``if __name__ == "__main__"``. A point that
    fails is a row of the store, with what went wrong.

    Args:
        spec: The spec: a YAML file, or a mapping of the same form (see `imcsim.sweeps.spec`), in which model,
            inputs and validation may be objects too: they are written beside the folder of the sweep.
        out: Folder of the sweep, in which a stopped sweep goes on. None: a temporary one, which goes when the
            store is closed.
        workers: Processes on this machine; no row depends on it. None: one for each processor.
        scheduler: Address of a Dask scheduler, whose cluster runs the points instead (extra ``cluster``).
        retry_failed: Run points again that failed before.
        progress: Called with a stage, how much of it is done and how much there is. None: nobody is told.

    Returns:
        The store, with ``points()``, ``rows()`` and ``to_frame()``.

    Raises:
        ImcsimError: For a spec that is not sound, and for a folder that holds another sweep.

    >>> import imcsim
    >>> spec = {"images": 10, "threshold": 0.3, "axes": {"adc.bits": [4, 5]}}
    >>> with imcsim.sweep(spec, workers=1) as store:
    ...     [row["axes"] for row in store.points()]
    [{'adc.bits': 4}, {'adc.bits': 5}]
    """
    keep = None if out is not None else tempfile.TemporaryDirectory(prefix="imcsim-sweep-")
    folder = Path(keep.name) / "sweep" if keep is not None else Path(str(out))
    loaded = load_spec(_written(spec, folder) if isinstance(spec, Mapping) else spec)
    store = run_sweep(
        loaded, folder, workers=workers, scheduler=scheduler, retry_failed=retry_failed, progress=progress
    )
    store.keep = keep
    return store
