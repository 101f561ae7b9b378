"""A stream of images on one chip, or on copies of it: latency, throughput, utilisation under an issue policy.

A single image alone shows what an issue policy does to its own delay; a stream shows what it does to a chip
that always has something to compute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from imcsim.base.arrangements import links_between
from imcsim.base.errors import ImcsimError
from imcsim.base.progress import Progress
from imcsim.hardware.config import Hardware
from imcsim.hardware.events import STANDING_EVENTS, Event
from imcsim.hardware.ledger import Stay
from imcsim.inputs import Inputs
from imcsim.network.graph import Network
from imcsim.results.run import Policy
from imcsim.results.stream import StreamArrivals, StreamResult, TileUse
from imcsim.simulation.chip import Chip
from imcsim.simulation.exits import layer_cycles
from imcsim.simulation.simulate import all_work
from imcsim.studies.efficiency import WorkDone, peak
from imcsim.studies.experiment import Experiment, refuse_dynamic_pipeline
from imcsim.studies.programming import programming
from imcsim.studies.settings import CompareOptions
from imcsim.timing import EVENT_INDEX, Timeline, play, play_copies

MOST_COPIES = 256
"""Of a whole chip behind a dispatcher."""

COUNTED_JOBS = 2048
"""Jobs whose counts are completed at a time."""


@dataclass(frozen=True)
class StreamOptions:
    """How images come: as fast as the chip takes them (``closed``), every so often (``periodic``), or at
    random at that rate (``poisson``, by the seed). `images_per_s` is the rate of the last two. `copies`: of
    the whole chip, or package, behind a dispatcher that gives each image to the one that is free earliest.
    """

    arrivals: Literal["closed", "periodic", "poisson"] = "closed"
    images_per_s: float | None = None
    copies: int = 1


def stream(
    network: Network,
    hardware: Hardware,
    inputs: Inputs,
    validation: Inputs | None,
    options: CompareOptions | None = None,
    arriving: StreamOptions | None = None,
    progress: Progress | None = None,
    *,
    policy: Literal["static", "dynamic"] = "dynamic",
) -> StreamResult:
    """Play `inputs` one after the other, in their order. See `compare` for the arguments and errors."""
    options, arriving = options or CompareOptions(), arriving or StreamOptions()
    _check(policy, options, arriving)
    experiment = Experiment.make(
        network, hardware, inputs, validation, options, progress, dynamic=policy == "dynamic"
    )
    return stream_of(experiment, arriving, progress, policy=policy)


def stream_of(
    experiment: Experiment,
    arriving: StreamOptions | None = None,
    progress: Progress | None = None,
    *,
    policy: Literal["static", "dynamic"] = "dynamic",
) -> StreamResult:
    """Play the images of an experiment as a stream, under its own issue policy. Raises ImcsimError when
    the policies do not go together or a rate is missing.
    """
    arriving = arriving or StreamOptions()
    _check(policy, experiment.options, arriving)
    stay, about = experiment.decide(policy)
    chip, options = experiment.chip, experiment.options
    work = all_work(chip, experiment.inputs, options.workers)
    exits = [int(t) for t in stay]
    arrivals = _arrival_cycles(arriving, len(stay), options.seed, chip)
    told = None if progress is None else partial(progress, "stream")
    if arriving.copies == 1:
        line = play(
            chip.placement, chip.config, exits, chip.timing, arrivals=arrivals, work=work, progress=told
        )
    else:
        line = play_copies(
            chip.placement, chip.config, exits, chip.timing, arriving.copies,
            arrivals=arrivals, work=work, progress=told,
        )  # fmt: skip
    return _document(experiment, stay, about, arriving, line)


_MOST_CYCLES = 1 << 50
"""Until the last image arrives, on average: random gaps may be some times as long."""


def _check(policy: str, options: CompareOptions, arriving: StreamOptions) -> None:
    """Refuse what does not go together, before the long work."""
    if policy == "dynamic":
        refuse_dynamic_pipeline(options)
    copies = arriving.copies
    if isinstance(copies, bool) or not isinstance(copies, int) or not 1 <= copies <= MOST_COPIES:
        raise ImcsimError(
            f"{copies!r:.40} copies of a chip cannot be played",
            key="copies",
            fix=f"use 1 to {MOST_COPIES}",
        )
    rate = arriving.images_per_s
    if arriving.arrivals == "closed":
        if rate is not None:
            raise ImcsimError(
                "a closed loop has no rate: each image comes when the chip takes it",
                key="rate",
                fix="use periodic or poisson arrivals",
            )
    elif not isinstance(rate, int | float) or not np.isfinite(rate) or rate <= 0:
        raise ImcsimError(
            "arrivals at a rate need images per second above 0", key="rate", fix="give a rate, as 1000"
        )


def _arrival_cycles(arriving: StreamOptions, images: int, seed: int, chip: Chip) -> list[int] | None:
    if arriving.images_per_s is None:
        return None
    gap_cycles = 1e9 / arriving.images_per_s / chip.config.technology.clock_ns
    if not gap_cycles * images <= _MOST_CYCLES:
        raise ImcsimError(
            f"at {arriving.images_per_s:g} images per second, {images} images come over more cycles than can "
            "be counted",
            key="rate",
            fix="give a higher rate",
        )
    if arriving.arrivals == "periodic":
        return [round(k * gap_cycles) for k in range(images)]
    gaps = np.random.default_rng(seed).exponential(gap_cycles, images)
    return [int(c) for c in np.floor(np.cumsum(gaps) - gaps[0])]


def counts_by_timestep(
    varied: Mapping[Event, NDArray[np.int64]], line: Timeline
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All events of a stream, int64 ``[T, events, layers]``: those that timing counted, and those that follow
    from values; and what of them was cancelled. Some jobs are gone through at a time.

    Of a cancelled job's values its share of the reads counts, rounded down.
    """
    reads = line.count(Event.CROSSBAR_READS) + line.count(Event.SKIPPED_READS)
    timesteps = next(iter(varied.values())).shape[1]
    whole = np.zeros((timesteps, reads.shape[1]), np.int64)
    finished = line.verdict >= 0
    for t in range(timesteps):
        of_t = reads[finished & (line.timestep == t)]
        whole[t] = of_t.max(axis=0) if len(of_t) else reads[line.timestep == t].max(axis=0, initial=0)
    every = np.zeros((timesteps, *line.counts.shape[1:]), np.int64)
    lost = np.zeros_like(every)
    for start in range(0, len(line.image), COUNTED_JOBS):
        some = slice(start, start + COUNTED_JOBS)
        counts, image, timestep = line.counts[some].copy(), line.image[some], line.timestep[some]
        for event, values in varied.items():
            done = values[image, timestep]
            share = done * reads[some] // np.maximum(whole[timestep], 1)
            counts[:, EVENT_INDEX[event]] = np.where(finished[some, None], done, share)
        np.add.at(every, timestep, counts)
        gone = ~finished[some]
        np.add.at(lost, timestep[gone], counts[gone])
    return every, lost


def _powered_cycles(line: Timeline, timesteps: int, copies: int) -> NDArray[np.int64]:
    """The cycles of a stream on all copies, int64 ``[T]``, dealt to timesteps as they took up the chip."""
    taken = np.where(line.verdict >= 0, line.verdict - line.issued, 0)
    ends = np.cumsum(np.bincount(line.timestep, taken, timesteps)) * (copies * line.cycles / taken.sum())
    cycles: NDArray[np.int64] = np.diff(np.rint(ends).astype(np.int64), prepend=0)
    return cycles


def _work(
    chip: Chip,
    stay: Stay,
    line: Timeline,
    every: NDArray[np.int64],
    finished: NDArray[np.int64],
    energy_pj: float,
    copies: int,
) -> WorkDone:
    """What the images made the chip do: counts ``[T, events, layers]``, and the energy of an image."""
    return WorkDone(
        chip=chip,
        stay=stay,
        layers=line.layers,
        totals={event: every[:, k] for event, k in EVENT_INDEX.items()},
        finished={event: finished[:, k] for event, k in EVENT_INDEX.items()},
        layer_cycles=layer_cycles(line.begun, line.ended)[line.verdict >= 0].sum(axis=0),
        energy_pj=energy_pj,
        latency_ns=line.cycles * chip.config.technology.clock_ns / len(stay),
        copies=copies,
    )


def _link_utilisation(chip: Chip, line: Timeline, copies: int) -> float | None:
    """How busy a link between chips is each way, of all of them the mean."""
    package = chip.config.package
    ways = 2 * len(links_between(package.arrangement, package.chips))
    return line.package_cycles / (line.cycles * ways * copies) if ways else None


def _document(
    experiment: Experiment, stay: Stay, policy: Policy, arriving: StreamOptions, line: Timeline
) -> StreamResult:
    chip, images, copies = experiment.chip, len(stay), arriving.copies
    clock = chip.config.technology.clock_ns
    latency = (line.departure - line.arrival) * clock
    makespan = line.cycles * clock
    every, lost = counts_by_timestep(experiment.images.dynamic.ledger.varied, line)
    every[:, EVENT_INDEX[Event.POWERED_CYCLES], -1] = _powered_cycles(line, experiment.timesteps, copies)
    prices = chip.prices()

    def priced(totals: NDArray[np.int64]) -> float:
        return sum(int(c.paid(totals[:, EVENT_INDEX[c.event]]).sum()) * c.energy_pj for c in prices)

    # The power of gated tiles in cancelled work is part of what that work cost.
    standing = np.zeros_like(every)
    for event in STANDING_EVENTS:
        standing[:, EVENT_INDEX[event]] = every[:, EVENT_INDEX[event]] - lost[:, EVENT_INDEX[event]]
    percentiles = tuple(float(p) for p in np.percentile(latency, np.arange(101), method="inverted_cdf"))
    energy = priced(every) / images
    names: dict[int, list[str]] = {}
    for part in chip.placement.parts:
        name = chip.placement.layers[part.stage].stage.name
        if name not in names.setdefault(part.tile, []):
            names[part.tile].append(name)
    links = sum(one.topology.stations for one in chip.placement.chips)
    work = _work(chip, stay, line, every, every - lost, energy, copies)
    return StreamResult(
        meta=experiment.meta(),
        policy=policy,
        arrivals=StreamArrivals(kind=arriving.arrivals, images_per_s=arriving.images_per_s),
        copies=None if copies == 1 else copies,
        **experiment.accuracy(stay),
        **experiment.leaving(stay),
        makespan_ns=makespan,
        latency_ns=float(latency.mean()),
        latency_percentiles_ns=percentiles,
        energy_pj=energy,
        cancelled_energy_pj=priced(lost) / images,
        leakage_energy_pj=priced(standing) / images,
        tiles=tuple(
            TileUse(
                tile=k,
                layers=tuple(names.get(k, ())),
                utilisation=int(line.busy_cycles[k]) / (copies * line.cycles),
            )
            for k in range(chip.placement.tiles)
        ),
        link_utilisation=_link_utilisation(chip, line, copies),
        flits_a_cycle_and_router=line.link_cycles / (line.cycles * links * copies),
        layers=work.layer_costs(),
        efficiency=work.efficiency(),
        programming=programming(chip, work.energy_pj, work.latency_ns, copies),
        peak=peak(chip, copies),
        layer_efficiency=work.layer_efficiency(),
        warnings=experiment.warnings(),
    )
