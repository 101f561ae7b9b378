"""Batch norm set anew on a chip with errors: what its neurons must be, for the currents that it has.

A channel's digital sum x has the mean m0 and the standard deviation s0 on the chip that was to be, and m1, s1
on this one. Batch norm whose statistics are estimated anew shows the neuron ``(x - m1) s0 / s1 + m0`` in
place of x. Here batch norm is folded into threshold and bias, and no multiplier stands between crossbar and
neuron. But a neuron that sees all currents, its threshold and its bias multiplied by one number fires alike,
whatever its leak, synapse and reset, as long as it does not saturate. So, with ``g = s1 / s0``:

    threshold' = g threshold        bias' = g (bias + m0) - m1

In a residual addition each crossbar layer b has a batch norm of its own. The main one has no multiplier and
gives g; side branches have one already, which takes up the rest. With c_b membrane counts to a count of b:

    multiplier_b' = (g s0_b / s1_b) multiplier_b, and g multiplier_b for branches that are no crossbar layers
    bias' = g bias + sum_b c_b (g m0_b - (g s0_b / s1_b) m1_b)

Class outputs that are the sums of a crossbar layer have a multiplier and a bias for each class, and so have
the activations of a ReLU for each channel; these take up the same: ``multiplier' = multiplier s0 / s1``, and
the mean moves to m0. Class outputs have no batch norm, but exits ask how sure they look, and they would look
less sure with every current that is lost.

So the remedy costs no hardware: words that each channel has anyway get other values. Statistics are taken
layer by layer, each with the earlier layers set anew already, over all calibration images and timesteps, with
the ADC scales that the chip has. Source: errors of memory cells made good through batch norm's parameters:
Joshi et al., "Accurate deep neural network inference using computational phase-change memory", Nature
Communications 11, 2020; the algebra of folded neurons is our own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.functional.program.layers import ActivationLayer, Branch, NeuronLayer, Program, Step
from imcsim.functional.program.membranes import MAX_BRANCH_BITS, MAX_SHIFT, side_branch
from imcsim.functional.run import CHUNK_IMAGES, begun_again, run
from imcsim.functional.steps import Converters, TimeBlock, last_readers, play, reads_again, shown

SMALLEST_SPREAD = 0.125
"""Counts of a digital sum: a channel that spreads less is as good as constant."""

LARGEST_STRETCH = 16.0
"""A channel that spreads so many times wider or narrower than it was to is taken for broken, not scaled."""

LARGEST_PRODUCT_BITS = 62

LARGEST_VALUE = 255
"""Of values that are neither sums of crossbars nor spikes."""


@dataclass(frozen=True, eq=False)
class Channels:
    """Sums of each channel of a crossbar layer: mean and standard deviation, as they were to be and as they
    are; float64 ``[C]``, in counts.
    """

    designed_mean: NDArray[np.float64]
    designed_spread: NDArray[np.float64]
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]

    @property
    def stretch(self) -> NDArray[np.float64]:
        """How many times as wide as they were to be sums spread; 1 where a channel is silent or as good as
        constant on one of the chips, or looks broken.
        """
        known = np.minimum(self.designed_spread, self.spread) >= SMALLEST_SPREAD
        ratio = np.divide(self.spread, self.designed_spread, out=np.ones_like(self.spread), where=known)
        return np.where((ratio >= 1 / LARGEST_STRETCH) & (ratio <= LARGEST_STRETCH), ratio, 1.0)


Moments = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Mean and standard deviation of each channel."""


def channels(
    real: Program,
    designed: Program,
    converters: Converters,
    images: NDArray[np.uint8],
    timesteps: int,
    workers: int | None = None,
) -> dict[str, Channels]:
    """Statistics of each crossbar layer that enters hidden neurons or is the class output, over `images`.

    These are as for `run.calibrated_converters`.
    real: the chip with its errors, whose neurons are set anew as its layers are played. designed: the one
    that it was to be. Both have the ADC scales `converters`. The result does not depend on `workers`.
    Raises ImcsimError as `recalibrated` does.
    """
    images = begun_again(images, timesteps)
    plain = _moments(designed, converters, images, timesteps, workers, lambda step, _: step)

    def joined(found: Mapping[str, Moments]) -> dict[str, Channels]:
        return {name: Channels(*plain[name], *moments) for name, moments in found.items()}

    def anew(step: Step, found: Mapping[str, Moments]) -> Step:
        return _set_anew(step, real, joined(found)) if _hidden(step, real) else step

    return joined(_moments(real, converters, images, timesteps, workers, anew))


def recalibrated(program: Program, found: Mapping[str, Channels]) -> Program:
    """`program` with its hidden neurons, and the scale and bias of class outputs, set anew.

    The mean of every channel is set right, which is safe also where all sums are the same; its scale only
    where it has one on both chips (see `Channels.stretch`). Class outputs are those of a crossbar layer;
    neurons and integrators that are class outputs stay: they keep a state, and what goes into them has no
    batch norm. A channel whose threshold grows beyond what leaves its membrane room for four of them gets
    fewer fraction bits. Raises ImcsimError where a bias or a branch needs more than 60 bits.
    """
    steps = tuple(
        _set_anew(step, program, found) if _hidden(step, program) else step for step in program.steps
    )
    program = replace(program, steps=steps)
    return _outputs_anew(program, found[program.output]) if program.output in found else program


def measured_layers(program: Program) -> tuple[str, ...]:
    """The crossbar layers that enter hidden neurons, or are the class output, in order."""
    entering = {name for step in program.steps if _hidden(step, program) for name in _sources(step)}
    entering.add(program.output)
    return tuple(layer.name for layer in program.crossbar_layers if layer.name in entering)


def _hidden(step: Step, program: Program) -> bool:
    return isinstance(step, NeuronLayer | ActivationLayer) and step.name != program.output


def _moments(
    program: Program,
    converters: Converters,
    images: NDArray[np.uint8],
    timesteps: int,
    workers: int | None,
    prepared: Callable[[Step, Mapping[str, Moments]], Step],
) -> dict[str, Moments]:
    """Play all images through one step before the next one begins; each step is first `prepared` with what
    is known by then.
    """
    wanted = measured_layers(program)
    if program.feedback:
        return _moments_with_feedback(program, converters, images, timesteps, workers, prepared)
    threads = workers or os.cpu_count() or 1
    size = max(min(CHUNK_IMAGES, -(-len(images) // threads)), 1)
    pieces = [np.arange(first, min(first + size, len(images))) for first in range(0, len(images), size)]
    values = [shown(images[piece], timesteps) for piece in pieces]
    needed, again, found = last_readers(program), reads_again(program), dict[str, Moments]()

    def played(step: Step, place: int, k: int) -> list[Moments]:
        mine = values[k]
        made, _ = play(step, mine, TimeBlock(0, timesteps, pieces[k]), converters, again)
        mine[step.name] = made
        for name in [name for name in mine if needed.get(name, -1) <= place]:
            del mine[name]
        if step.name not in wanted:
            return []
        # Of each image by itself, so that it does not matter which images are played together.
        return [(one.mean((0, 1, 2), np.float64), one.var((0, 1, 2), np.float64)) for one in made]

    with ThreadPoolExecutor(max_workers=threads) as pool:
        for place, step in enumerate(program.steps):
            if len(found) == len(wanted):
                break
            ready = prepared(step, found)
            jobs = [pool.submit(played, ready, place, k) for k in range(len(pieces))]
            each = [moments for job in jobs for moments in job.result()]
            if each:
                means, variances = (np.stack(parts) for parts in zip(*each, strict=True))
                found[step.name] = means.mean(0), np.sqrt(variances.mean(0) + means.var(0))
    return found


def _moments_with_feedback(
    program: Program,
    converters: Converters,
    images: NDArray[np.uint8],
    timesteps: int,
    workers: int | None,
    prepared: Callable[[Step, Mapping[str, Moments]], Step],
) -> dict[str, Moments]:
    """`_moments` where spikes come back to earlier steps: the whole program is played for every step. What
    comes back to a step is of neurons that are not yet set anew.
    """
    found: dict[str, Moments] = {}
    for place, step in enumerate(program.steps):
        ready = prepared(step, found)
        steps = (*program.steps[:place], ready, *program.steps[place + 1 :])
        program = replace(program, steps=steps)
        if step.name in measured_layers(program):
            sums = run(program, images, timesteps, converters, workers=workers, record={step.name})
            values = sums.recorded[step.name].astype(np.float64)
            found[step.name] = values.mean((0, 1, 2, 3)), values.std((0, 1, 2, 3))
    return found


def _sources(step: Step) -> tuple[str, ...]:
    if not isinstance(step, NeuronLayer | ActivationLayer):
        return (step.source,)
    return tuple(branch.source for branch in step.branches) or (step.main,)


def _set_anew(step: Step, program: Program, found: Mapping[str, Channels]) -> Step:
    """Neurons for the currents that the chip has."""
    if isinstance(step, ActivationLayer):
        return _activations_anew(step, program, found)
    assert isinstance(step, NeuronLayer)
    stretch = found[step.main].stretch
    main = next((b for b in step.branches if b.source == step.main), None)
    main = main or Branch(step.main, np.int64(1) << step.left, step.right)
    moved, kept = (stretch - 1) * step.bias, {}
    for branch in step.branches or (main,):
        worth = branch.multiplier * np.exp2(-branch.right.astype(np.float64))
        kept[branch.source] = stretch
        if branch.source in found:
            one = found[branch.source]
            kept[branch.source] = stretch / one.stretch
            # A sum of pooled currents moves by what all of them move by.
            worth = worth * step.pooled.elements
            moved = moved + worth * (stretch * one.designed_mean - kept[branch.source] * one.mean)
    # Of each channel, or of each neuron.
    designed = step.threshold.reshape(-1, len(stretch))
    threshold = np.maximum(designed + np.rint((stretch - 1) * designed), 1)
    # Fraction bits that go, so that a larger threshold leaves as much room as the designed one.
    most = 3 + step.max_spikes
    over = np.where(stretch > 1, np.ceil(np.log2(most * threshold.max(axis=0) / step.limit)), 0)
    fewer = np.maximum(over, 0).astype(np.int64)
    coarser = np.exp2(-fewer.astype(np.float64))
    if np.abs((step.bias + moved) * coarser).max() >= 2.0**MAX_BRANCH_BITS:
        raise ImcsimError(
            "a bias that is calibrated on the chip needs more than 60 bits",
            key=step.name,
            fix="use nonideal.neurons.calibrated_on: ideal, or smaller errors",
        )
    fraction = np.rint(np.log2(main.multiplier)).astype(np.int64) - main.right - fewer
    left, right = np.maximum(fraction, 0), np.clip(-fraction, 0, MAX_SHIFT)
    largest = {layer.name: layer.largest_sum for layer in program.crossbar_layers}
    largest |= {layer.name: layer.max_spikes for layer in program.steps if isinstance(layer, NeuronLayer)}
    branches = tuple(
        Branch(main.source, np.int64(1) << left, right)
        if branch.source == main.source
        else _scaled(
            branch, kept[branch.source] * coarser, largest.get(branch.source, LARGEST_VALUE), step.name
        )
        for branch in step.branches
    )
    shifts = {"branches": branches} if branches else {"left": left, "right": right}
    # Large words are not taken through floating point where they stay as they are.
    exactly = step.bias + np.rint(np.where(fewer == 0, moved, 0)).astype(np.int64)
    bias = np.where(fewer == 0, exactly, np.rint((step.bias + moved) * coarser).astype(np.int64))
    threshold = np.maximum(np.rint(threshold * coarser), 1).astype(np.int64).reshape(-1)
    levels = {
        key: np.rint(words * stretch * coarser).clip(-step.limit - 1, step.limit).astype(np.int64)
        for key in ("floor", "initial", "drift")
        if len(words := getattr(step, key))
    }
    return replace(step, threshold=threshold, bias=bias, **shifts, **levels)


def _activations_anew(step: ActivationLayer, program: Program, found: Mapping[str, Channels]) -> Step:
    """Activations for the currents that the chip has: each multiplier takes up its channel's stretch."""
    largest = {layer.name: layer.largest_sum for layer in program.crossbar_layers}
    bias, reach = step.bias.astype(np.float64), np.zeros(step.bias.shape)
    multipliers = {}
    for name, multiplier in [(b.source, b.multiplier) for b in step.branches] or [
        (step.main, step.multiplier)
    ]:
        if name in found:
            one = found[name]
            scaled = np.rint(multiplier / one.stretch).astype(np.int64)
            bias = bias + (multiplier * one.designed_mean - scaled * one.mean) * step.pooled.elements
            multiplier = scaled
        multipliers[name] = multiplier
        reach = reach + multiplier.astype(np.float64) * largest.get(name, LARGEST_VALUE)
    if max(float(reach.max()), float(np.abs(bias).max())) >= 2.0**LARGEST_PRODUCT_BITS:
        raise ImcsimError(
            f"activations that are calibrated on the chip need more than {LARGEST_PRODUCT_BITS} bits",
            key=step.name,
            fix="use nonideal.neurons.calibrated_on: ideal, or smaller errors",
        )
    return replace(
        step,
        multiplier=multipliers[step.main],
        bias=step.bias + np.rint(bias - step.bias).astype(np.int64),
        branches=tuple(replace(b, multiplier=multipliers[b.source]) for b in step.branches),
    )


def _outputs_anew(program: Program, one: Channels) -> Program:
    """The multiplier and bias of class outputs for the sums that the chip has."""
    multiplier = np.rint(program.out_multiplier / one.stretch).astype(np.int64)
    largest = {layer.name: layer.largest_sum for layer in program.crossbar_layers}[program.output]
    if largest * int(multiplier.max()) >= 1 << LARGEST_PRODUCT_BITS:
        raise ImcsimError(
            f"class outputs that are calibrated on the chip need more than {LARGEST_PRODUCT_BITS} bits",
            key=program.output,
            fix="use nonideal.neurons.calibrated_on: ideal, or smaller errors",
        )
    worth = np.exp2(-float(program.out_right))
    moved = worth * (program.out_multiplier * one.designed_mean - multiplier * one.mean)
    return replace(
        program, out_multiplier=multiplier, out_bias=program.out_bias + np.rint(moved).astype(np.int64)
    )


def _scaled(branch: Branch, factor: NDArray[np.float64], largest: int, neurons: str) -> Branch:
    """A side branch, of values of `largest` at most, times `factor`, ``[C]``."""
    worth = branch.multiplier * np.exp2(-branch.right.astype(np.float64))
    other = side_branch(branch.source, worth * factor, largest, neurons)
    same = factor == 1
    return Branch(
        branch.source,
        np.where(same, branch.multiplier, other.multiplier),
        np.where(same, branch.right, other.right),
    )
