"""The runs of a comparison beside another network on the same images, an ANN say, as one document."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from imcsim.base.errors import ImcsimError
from imcsim.base.progress import Progress
from imcsim.hardware.config import Hardware
from imcsim.hardware.ledger import Stay
from imcsim.inputs import Inputs
from imcsim.network.graph import Network, Relu
from imcsim.results.against import Against, RunName, SideRun
from imcsim.simulation.simulate import ExitCosts, all_work
from imcsim.studies.breakdown import Breakdown, means
from imcsim.studies.experiment import Experiment
from imcsim.studies.settings import CompareOptions
from imcsim.timing import parse, play

THROUGHPUT_IMAGES = 32
"""Images that follow each other where throughput is measured, at most."""


@dataclass(frozen=True, eq=False)
class OtherNetwork:
    """The other network, and the chip that it has."""

    network: Network
    hardware: Hardware


def other_experiment(
    other: OtherNetwork,
    inputs: Inputs,
    validation: Inputs | None,
    options: CompareOptions,
    progress: Progress | None,
) -> Experiment:
    """The same images in the other network, to its own T max, without early exit.

    Raises ImcsimError for images that do not fit it, and for frames, of which an ANN would see one.
    """
    if other.network.is_ann and inputs.timed:
        raise ImcsimError(
            f"{other.network.name} is a network of activations, which sees one image, not frames",
            key="against",
            fix="use images without an encoding",
        )
    plain = replace(
        options, timesteps=None, threshold=None, thresholds="one", max_loss=None, temperatures="one",
        issue="wait",
    )  # fmt: skip
    try:
        return Experiment.make(
            other.network, other.hardware, inputs, validation, plain, progress, dynamic=False
        )
    except ImcsimError as error:
        raise ImcsimError(
            f"{other.network.name}: {error.message}", file=error.file, line=error.line, key="against",
            fix=error.fix,
        ) from error  # fmt: skip


def against_of(costs: Breakdown, stay: Stay, other: Breakdown) -> Against:
    """Static T max and the dynamic run of `costs`, whose images stay so long, beside static T max of
    `other`.
    """
    network = other.of.chip.network
    full, theirs = (np.full(len(stay), one.of.timesteps, np.int64) for one in (costs, other))
    return Against(
        meta=other.of.meta(),
        kind="ann" if network.is_ann else "snn",
        activation_bits=tuple(node.bits for node in network.nodes if isinstance(node, Relu)),
        runs=(
            _side("static", costs, full, costs.best),
            _side("dynamic", costs, stay, costs.of.images.dynamic),
            _side("against", other, theirs, other.best),
        ),
        components=other.components(theirs, other.best, with_static=False),
        warnings=other.of.warnings(),
    )


def _side(run: RunName, costs: Breakdown, stay: Stay, ran: ExitCosts) -> SideRun:
    """One of the three; static ones are of chips without an exit checker."""
    experiment, rows = costs.of, np.arange(len(stay))
    chip, config = experiment.chip, experiment.chip.config
    energy, latency = ran.energy_pj[rows, stay - 1], ran.latency_ns[rows, stay - 1]
    area = config.area_um2(chip.size)
    if run != "dynamic":
        checks_pj, checks_ns = costs.checker_adds(ran, int(stay[0]))
        energy, latency = energy - checks_pj, latency - checks_ns
        area -= config.checker.area_um2(config) * config.checker.instances(config, chip.size)
    issue = experiment.options.issue if run == "dynamic" else "pipeline"
    few = stay[:THROUGHPUT_IMAGES]
    shown = replace(
        experiment.inputs,
        images=experiment.inputs.images[: len(few)],
        labels=experiment.inputs.labels[: len(few)],
    )
    line = play(
        chip.placement,
        config,
        [int(t) for t in few],
        replace(chip.timing, issue=parse(issue)),
        work=all_work(chip, shown, experiment.options.workers),
    )
    return SideRun(
        run=run,
        network=chip.network.name,
        hardware=experiment.hardware.name,
        **experiment.accuracy(stay),
        mean_timesteps=float(stay.mean()),
        **means(energy, latency),
        area_um2=area,
        images_per_s=len(few) / (line.cycles * config.technology.clock_ns * 1e-9),
    )
