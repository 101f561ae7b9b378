"""A wide chip with the spikes of a narrow network: what full width costs where a narrow network was trained.

The wide network is the narrow one with every channel k times (`network.widen`), so it computes the same
function; on the chip too, where ADCs are exact and k is a power of two. Placement, time, area and prices are
those of the wide network on its chip. What images do needs no second run. For each image and timestep:

- active rows of a layer are k times the narrow layer's, k of what it reads, and those of a layer that reads
  the image the same;
- levels on active rows grow by its own k once more, for k times the columns (the class outputs are not
  copied);
- spikes, and bits that toggle on a bus, are k times as many; spike rates are the same.

Where k is not whole, some channels stand once more than others. Then these are the means over all choices of
them, rounded to whole numbers, with weights as large as those of other layers.

Outputs, exits and accuracy are the narrow network's own, with its ADC scales: nothing here says how well a
wide network would do if it were trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.functional.run import Activity
from imcsim.inputs import Inputs
from imcsim.network.graph import Network
from imcsim.network.widen import Factor, copies, widen
from imcsim.simulation.chip import depends_on_values, with_timing
from imcsim.simulation.simulate import Simulation, replay
from imcsim.studies.experiment import Experiment


def widened_experiment(experiment: Experiment, factor: Factor) -> Experiment:
    """The experiment of the network with every channel `factor` times (see `widen`), on the chip as large as
    that needs.

    No image is run. The images' activity is that of `experiment`, scaled (see `widened_activity`); outputs
    and who is right are taken over. So is who would exit when: one threshold, given or chosen on the
    validation images, stays the same. Thresholds for each timestep are chosen by what images cost, here on
    the wide chip. The chip's `program` and `converters` stay the narrow network's, which computed the values.
    `Experiment.with_issue`, `compare_of`, `run_of` and `stream_of` take the result as any other.

    Args:
        experiment: The experiment of the narrow network, whose images were run.
        factor: How many times each channel is there, as `widen` takes it.

    Raises:
        ImcsimError: Where the wide network does not fit the chip, where `widen` refuses, where time depends
            on values (address events, skipped reads), as those of single rows are not kept, and for cells,
            wires or converters with errors.
    """
    config = experiment.chip.config
    if depends_on_values(config):
        skips = config.activity.skip_zero_reads
        raise ImcsimError(
            "on this chip time depends on every single value, and only their counts are known for the wide "
            "network",
            key="activity.skip_zero_reads" if skips else "activity.spike_coding",
            fix="set it to false" if skips else "set it to bitmap",
        )
    if config.nonideal.active:
        raise ImcsimError(
            "copies of a channel would have errors of their own, which no narrow network tells",
            key="nonideal",
            fix="use the chip without errors, or run the wide network (imcsim.network.widen)",
        )
    narrow = experiment.chip.network
    wide = widen(narrow, factor)
    chip = with_timing(replace(experiment.chip, network=wide), experiment.chip.timing)

    def scaled(simulation: Simulation, inputs: Inputs) -> Simulation:
        timing = simulation.chip.timing
        itself = replace(simulation, activity=widened_activity(simulation.activity, narrow, factor))
        return replay(itself, chip if timing == chip.timing else with_timing(chip, timing), inputs)

    held_out = None
    if experiment.held_out is not None and experiment.validation is not None:
        held_out = scaled(experiment.held_out, experiment.validation)
    images = scaled(experiment.images, experiment.inputs)
    return replace(experiment, chip=chip, images=images, held_out=held_out)


def widened_activity(activity: Activity, narrow: Network, factor: Factor) -> Activity:
    """What images do in ``widen(narrow, factor)``, from what they do in `narrow`.

    It is what a run of the wide network finds, to the last count, where ADCs are exact, factors are powers
    of two and membranes have no more fraction bits than their thresholds leave room for (with 16 bits that is
    so; very wide ones round thresholds more finely in the wide network). Reads with a row active cannot be
    had from sums over rows: `active_reads` is -1. Recorded values are left out.

    Args:
        activity: What images do in the narrow network.
        narrow: The narrow network.
        factor: How many times each channel stands in the wide one, as for `widen`.
    """
    copied = copies(narrow, factor)
    source = {node.name: copied[node.inputs[0]] for node in narrow.nodes}
    layers, neurons = activity.layers, activity.neuron_layers
    read = [source[name] for name in layers]
    levels = [source[name] * copied[name] for name in layers]
    return replace(
        activity,
        active_rows=_times(activity.active_rows, read),
        active_levels=_times(activity.active_levels, levels),
        active_pulses=None if activity.active_pulses is None else _times(activity.pulses, read),
        active_reads=np.full_like(activity.active_reads, -1),
        spikes=_times(activity.spikes, [copied[name] for name in neurons]),
        recorded={},
        toggles={node: _times(counts, [copied[node]]) for node, counts in activity.toggles.items()},
    )


def _times(counts: NDArray[np.int64], factors: Sequence[Fraction]) -> NDArray[np.int64]:
    """`counts` ``[..., layers]`` times a factor for each layer, or times one, to the nearest whole number."""
    above = np.array([factor.numerator for factor in factors], np.int64)
    below = np.array([factor.denominator for factor in factors], np.int64)
    found: NDArray[np.int64] = (counts * above + below // 2) // below
    return found
