"""All about one of the paper's networks: its images are run once, everything else follows from that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imcsim.base.progress import Progress
from imcsim.hardware.ledger import Stay
from imcsim.inputs import Inputs
from imcsim.reproduction.choosing import choosing_ways
from imcsim.reproduction.combinations import Judge, Outputs, Prices, base_choices, joint, rule_ways
from imcsim.reproduction.decisions import paired
from imcsim.reproduction.exact import checker_agreement
from imcsim.reproduction.examples import examples
from imcsim.reproduction.growth import cap, groups, growth, longer, on_wide_chip
from imcsim.reproduction.opponents import opponents
from imcsim.reproduction.plan import (
    GROWTH_IMAGES,
    GROWTH_TIMESTEPS,
    TIMESTEPS,
    VALIDATION,
    VALIDATION_SEED,
    Subject,
)
from imcsim.reproduction.store import VALUES, ValuesInPieces
from imcsim.reproduction.verdicts import aims, beside
from imcsim.results.comparison import CompareResult
from imcsim.results.ranges import StaticIssue
from imcsim.results.reproduction.document import NetworkPart, OnChip, TrainedNetwork
from imcsim.results.reproduction.figures import Loss, Paired, Width, width_words
from imcsim.simulation.simulate import Simulation
from imcsim.studies.comparison import compare_of
from imcsim.studies.decider import right_after
from imcsim.studies.experiment import Experiment
from imcsim.studies.loading import network_sha256
from imcsim.studies.settings import CompareOptions
from imcsim.studies.widened import widened_experiment

Benches = Mapping[Loss, Experiment]
PAPERS_WAY: tuple[StaticIssue, ...] = ("wait",)
"""How the paper's static runs issue their timesteps."""


@dataclass(frozen=True, eq=False)
class _Played:
    """What was played on one chip: the networks of both losses, and those trained for one T, by this T."""

    width: Width
    benches: Benches
    statics: Mapping[int, Experiment]


def network_part(
    subject: Subject,
    inputs: Inputs,
    validation: Inputs,
    fingerprint: str,
    folder: Path,
    workers: int | None = None,
    progress: Progress | None = None,
) -> NetworkPart:
    """Run a network's images, or take up what `folder` holds of them, and decide, price and compare.

    Raises ImcsimError where images, network and chip do not fit each other.
    """
    about = subject.about
    benches: dict[Loss, Experiment] = {}
    stores = {}
    for loss, network in subject.networks.items():
        stores[loss] = ValuesInPieces(folder / VALUES, network_sha256(network))
        benches[loss] = Experiment.make(
            network, subject.hardware, inputs, validation,
            CompareOptions(timesteps=TIMESTEPS, workers=workers),
            _named(progress, f"{about.title}, {loss} loss"), values=stores[loss],
        )  # fmt: skip
    statics = {
        t: Experiment.make(
            network, subject.hardware, inputs, validation, CompareOptions(timesteps=t, workers=workers),
            _named(progress, f"{about.title}, trained for T = {t}"),
            values=ValuesInPieces(folder / VALUES, network_sha256(network)),
        )
        for t, network in subject.statics.items()
    }  # fmt: skip
    base = benches["running"]
    long = longer(
        base, GROWTH_TIMESTEPS, GROWTH_IMAGES, stores["running"], progress,
        f"{about.title}, T = {GROWTH_TIMESTEPS}",
    )  # fmt: skip
    outputs, prices = Outputs(benches), Prices(benches, workers)
    trained = {loss: _trained(loss, bench) for loss, bench in benches.items()}
    own = trained["running"].comparison
    on = _Played("narrow", benches, statics)
    chips = [_on_chip(subject, on, own, outputs, prices, long, progress)]
    if max(subject.factors) > 1:
        wide = {loss: _widened(subject, bench) for loss, bench in benches.items()}
        factors = subject.by_layer(base.chip.network)
        grown = on_wide_chip(long, base, wide["running"], factors)
        costs = compare_of(wide["running"], PAPERS_WAY)
        fewer = {t: _widened(subject, bench) for t, bench in statics.items()}
        on = _Played("full", wide, fewer)
        chips.append(_on_chip(subject, on, costs, outputs, Prices(wide, workers), grown, progress))
    choice = base.choose()
    threshold = own.dynamic.threshold
    assert threshold is not None
    return NetworkPart(
        key=about.key,
        title=about.title,
        fingerprint=fingerprint,
        chips=tuple(chips),
        losses=tuple(trained.values()),
        choosing=choosing_ways(base),
        rules=rule_ways(outputs, prices, base_choices(base), tuple(benches)),
        examples=examples(base, base.exits(base.images, choice)),
        checker=checker_agreement(
            base.images.activity.outputs, base.inputs.labels, threshold, base.chip.program.numerics.checker
        ),
        beside=beside(about.key, chips),
        aims=aims(about.key, about.title, chips),
        warnings=tuple(
            dict.fromkeys(
                [*_remarks(subject, validation), *(w for c in chips for w in c.comparison.warnings)]
            )
        ),
    )


def _widened(subject: Subject, bench: Experiment) -> Experiment:
    return widened_experiment(bench, subject.by_layer(bench.chip.network))


def _on_chip(
    subject: Subject,
    on: _Played,
    comparison: CompareResult,
    outputs: Outputs,
    prices: Prices,
    long: Simulation,
    progress: Progress | None,
) -> OnChip:
    width, benches = on.width, on.benches
    bench = benches["running"]
    stay = bench.exits(bench.images, bench.choose())
    base = base_choices(bench)
    own = width == "narrow"
    channels = tuple(float(1 / factor) for factor in subject.factors)
    trained = width_words(channels)
    return OnChip(
        width=width,
        title=f"{trained}, as trained" if own else f"full width, with the spike rates of {trained}",
        channels=channels if own else (1.0,) * len(channels),
        own_spikes=own,
        comparison=comparison,
        against_static=_against_static(bench, stay),
        growth=growth(long),
        groups=groups(comparison),
        cap=cap(comparison),
        joint=joint(
            Judge(outputs, prices), base, tuple(benches), progress,
            f"{subject.about.title}, {width} chip: choices", opponents(benches, on.statics),
        ),
    )  # fmt: skip


def _remarks(subject: Subject, validation: Inputs) -> Iterator[str]:
    """What of the chip is not as its file has it, and networks that have seen the validation images."""
    overrides = subject.hardware.overrides
    if overrides:
        said = ", ".join(f"{key} = {value}" for key, value in overrides.items())
        yield f"{subject.about.title} runs on {subject.hardware.name} with {said}"
    for network in (*subject.networks.values(), *subject.statics.values()):
        training = network.provenance.get("training")
        seed = training.get("seed") if isinstance(training, Mapping) else None
        if validation.name == VALIDATION and seed not in (None, VALIDATION_SEED):
            yield f"{network.name} was trained with seed {seed}, which holds out other validation images"


def _trained(loss: Loss, bench: Experiment) -> TrainedNetwork:
    return TrainedNetwork(
        loss=loss,
        comparison=compare_of(bench, PAPERS_WAY),
        against_static=_against_static(bench, bench.exits(bench.images, bench.choose())),
        provenance=dict(bench.chip.network.provenance),
    )


def _against_static(bench: Experiment, stay: Stay) -> Paired:
    right = right_after(bench.images, bench.inputs)
    return paired(right[np.arange(len(stay)), stay - 1], right[:, -1])


def _named(progress: Progress | None, name: str) -> Progress | None:
    """Progress whose stages say what they belong to."""
    if progress is None:
        return None
    return lambda stage, done, total: progress(f"{name}: {stage}", done, total)
