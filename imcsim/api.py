"""The Python interface: ``imcsim.compare``, ``run``, ``stream`` and ``sweep``, as the commands of that name;
``compare_chips`` is ``imcsim compare --chips``.

Networks, chips and inputs are given by name, by file, or as objects that were loaded before. Results have
``to_frame()``, which needs the extra ``frames``. The keywords are the settings that
`imcsim.studies.settings` declares, spelled out so that an editor completes them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from imcsim.base.choices import Accumulation, Fidelity, InputEncoding, Rule, Temperatures, Thresholds
from imcsim.hardware.config import Hardware
from imcsim.importers.live.entry import from_torch as from_torch
from imcsim.inputs import Inputs
from imcsim.network.graph import Network
from imcsim.results.chips.document import ChipsResult
from imcsim.results.comparison import CompareResult
from imcsim.results.run import RunResult
from imcsim.results.stream import StreamResult
from imcsim.simulation.values import Progress
from imcsim.studies import comparison, streaming
from imcsim.studies.checking import settings_of
from imcsim.studies.chips import comparing
from imcsim.studies.loading import load_given
from imcsim.studies.settings import DEFAULT_HARDWARE, DEFAULT_INPUTS, DEFAULT_MODEL
from imcsim.sweeps import Store, load_spec
from imcsim.sweeps import sweep as run_sweep

Policy = Literal["static", "dynamic"]
ArrivalKind = Literal["closed", "periodic", "poisson"]


def compare(
    model: str | Path | Network = DEFAULT_MODEL,
    hardware: str | Path | Hardware = DEFAULT_HARDWARE,
    inputs: str | Path | Inputs = DEFAULT_INPUTS,
    validation: str | Path | Inputs | None = None,
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
    workers: int | None = None,
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
        issue: Issue policy, when the next timestep enters: wait, pipeline, speculate or interleave:K.
        fidelity: How finely time is played; both agree to the cycle.
        seed: Seed of every random draw.
        chip: Which of the chips that the seed draws is run, where cells, wires or ADCs have errors.
        workers: How many processors work; no result depends on it. None: all there are.
        progress: Called with a stage, how much of it is done and how much there is. None: nobody is told.

    Returns:
        The document that ``imcsim compare --json`` writes: energies in pJ, latencies in ns and EDP in pJ ns,
        means per image.

    Raises:
        ImcsimError: For a value that the command line would refuse, a file that cannot be read, and inputs
            that do not fit the network.

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
    subject = load_given(settings, model, hardware, inputs, validation)
    return comparison.compare(*subject, settings.options, progress)


def compare_chips(
    model: str | Path | Network = DEFAULT_MODEL,
    hardware: str | Path | Hardware = DEFAULT_HARDWARE,
    inputs: str | Path | Inputs = DEFAULT_INPUTS,
    validation: str | Path | Inputs | None = None,
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
        issue: Issue policy, when the next timestep enters: wait, pipeline, speculate or interleave:K.
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
    subject = load_given(settings, model, hardware, inputs, validation)
    return comparing.compare_chips(*subject, settings.options, chips, progress)


def run(
    model: str | Path | Network = DEFAULT_MODEL,
    hardware: str | Path | Hardware = DEFAULT_HARDWARE,
    inputs: str | Path | Inputs = DEFAULT_INPUTS,
    validation: str | Path | Inputs | None = None,
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
        issue: Issue policy, when the next timestep enters: wait, pipeline, speculate or interleave:K.
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
    settings = settings_of(
        overrides=overrides, images=images, encoding=encoding, labels=labels, bin_us=bin_us, plugins=plugins,
        timesteps=timesteps, threshold=threshold, thresholds=thresholds, max_loss=max_loss,
        temperatures=temperatures, rule=rule,
        accumulation=accumulation, issue=issue, fidelity=fidelity, seed=seed, chip=chip, workers=workers,
    )  # fmt: skip
    subject = load_given(settings, model, hardware, inputs, validation)
    return comparison.run(*subject, settings.options, progress, policy=policy)


def stream(
    model: str | Path | Network = DEFAULT_MODEL,
    hardware: str | Path | Hardware = DEFAULT_HARDWARE,
    inputs: str | Path | Inputs = DEFAULT_INPUTS,
    validation: str | Path | Inputs | None = None,
    *,
    policy: Policy = "dynamic",
    arrivals: ArrivalKind = "closed",
    rate: float | None = None,
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
    """Play the inputs as a stream of images on one chip.

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
        issue: Issue policy, when the next timestep enters: wait, pipeline, speculate or interleave:K.
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
    settings = settings_of(
        overrides=overrides, images=images, encoding=encoding, labels=labels, bin_us=bin_us, plugins=plugins,
        timesteps=timesteps, threshold=threshold, thresholds=thresholds, max_loss=max_loss,
        temperatures=temperatures, rule=rule,
        accumulation=accumulation, issue=issue, fidelity=fidelity, seed=seed, chip=chip, workers=workers,
    )  # fmt: skip
    subject = load_given(settings, model, hardware, inputs, validation)
    arriving = streaming.StreamOptions(arrivals, rate)
    return streaming.stream(*subject, settings.options, arriving, progress, policy=policy)


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
        spec: The spec: a YAML file, or a mapping of the same form (see `imcsim.sweeps.spec`).
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
    loaded = load_spec(spec)
    keep = None if out is not None else tempfile.TemporaryDirectory(prefix="imcsim-sweep-")
    folder = keep.name if keep is not None else out
    assert folder is not None
    store = run_sweep(
        loaded, folder, workers=workers, scheduler=scheduler, retry_failed=retry_failed, progress=progress
    )
    store.keep = keep
    return store
