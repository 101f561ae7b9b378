"""A mapping that is searched for: copies of layers, shared tiles, placement and sharing of ADCs.

What the network computes does not depend on any of these, so the images are computed once, and each mapping
is played by the timing engine and priced like any other chip. Candidates are the mappings that the policies
of ``mapping.replication`` pass through on their way to the budget (see `imcsim.mapping.copies`), each with
tiles of its own or shared, with the placements of the file and ``annealed``, and with half, as many and twice
as many columns per ADC. So the chip of the file is one of them, a larger budget only adds to them, and the
winner is the best of those that the engine has played.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from imcsim.base.code import code_sha256
from imcsim.base.errors import ImcsimError
from imcsim.hardware.config import Hardware, HardwareConfig
from imcsim.hardware.explain import RefusedPart
from imcsim.hardware.loader import config_hash
from imcsim.inputs import Inputs
from imcsim.mapping import place
from imcsim.mapping.copies import grants
from imcsim.mapping.cut import without_copies
from imcsim.mapping.placement import Placement
from imcsim.mapping.stages import stage_graph
from imcsim.network.bundle import fingerprint
from imcsim.network.graph import Network
from imcsim.results.mapped import Budget, Mapped, MappingSearch, Objective
from imcsim.simulation.chip import with_figures
from imcsim.simulation.simulate import replay
from imcsim.simulation.values import Progress
from imcsim.studies.experiment import Experiment
from imcsim.studies.settings import CompareOptions
from imcsim.studies.tried_mappings import TriedMappings
from imcsim.timing import occupancies

_MOST_GRANTS = 48
"""Steps of copies that are tried, of each policy."""


def search_mapping(
    network: Network,
    hardware: Hardware,
    inputs: Inputs,
    objective: Objective,
    budget: Budget | None = None,
    options: CompareOptions | None = None,
    progress: Progress | None = None,
    folder: str | Path | None = None,
) -> MappingSearch:
    """Find the mapping of `network` with the least `objective` within `budget`.

    `inputs` are validation images: with them the exit threshold is chosen, if ``options`` give none, and the
    number of timesteps is measured that copies are weighed by. Without a budget the area of the chip as it
    stands in its file is the limit. With a `folder` what has been tried is kept there as it goes, and what an
    earlier search of the same has tried is not played again. Raises ImcsimError where no mapping within the
    budget fits the chip, and where the folder holds what another search has tried.
    """
    options = options or CompareOptions()
    kept = TriedMappings()
    if folder is not None:
        kept = TriedMappings.of_folder(folder, _about(network, hardware, inputs, options))
    experiment = Experiment.make(network, hardware, inputs, inputs, options, progress)
    choice = experiment.choose()
    stay = experiment.exits(experiment.images, choice)
    mean = float(stay.mean())
    right = experiment.accuracy(stay)["accuracy"]
    given_config = experiment.chip.stated
    given = _sized(experiment.chip.placement, given_config)
    limits = budget or Budget(area_mm2=given.area_mm2)
    tried: list[Mapped] = []
    sizes: list[Mapped] = []
    seen = set()
    candidates = [given_config, *_configs(network, given_config, mean)]
    for number, config in enumerate(candidates):
        if progress is not None:
            progress("mappings", number, len(candidates))
        chip = None
        try:
            sized = _sized(place(network, _quickly_placed(config)), config)
            key = tuple(sorted(sized.copies.items())), *list(sized.overrides.values())[1:]
            sizes.append(sized)
            if key in seen or (not limits.holds(sized) and number > 0):
                continue
            seen.add(key)
            chip = config_hash(config, config.reference.values(), config.left_out)
            if chip not in kept.known:
                kept.put(chip, _played(experiment, sized, config, stay))
            if (known := kept.known[chip]) is not None:
                tried.append(known)
        except ImcsimError as error:
            # It fits neither mesh nor buffers, or locks up; the chip of the file must not.
            if number == 0:
                raise
            if error.key is None:
                raise
            if chip is not None:
                kept.put(chip, None)
    if progress is not None:
        progress("mappings", len(candidates), len(candidates))
    within = [one for one in tried if limits.holds(one)]
    if not within:
        least = min(sizes, key=lambda one: one.area_mm2)
        raise ImcsimError(
            f"no mapping of {network.name} that was tried stays within {limits}: the smallest takes "
            f"{least.tiles} tiles, {least.crossbars} crossbars and {least.area_mm2:.3g} mm2",
            key="budget",
            fix="give a larger one",
        )
    best = min(within, key=lambda one: (one.figure(objective), one.area_mm2, one.crossbars))
    return MappingSearch(
        network.name, hardware.name, objective, limits, len(stay), right, mean, tried[0], best, tuple(within)
    )


def _about(network: Network, hardware: Hardware, inputs: Inputs, options: CompareOptions) -> dict[str, Any]:
    """What the figures of a mapping depend on besides its chip. The objective and the budget do not count."""
    return {
        "network": fingerprint(network),
        "hardware": hardware.sha256,
        "inputs": inputs.sha256,
        "images": len(inputs.images),
        "options": repr(replace(options, workers=None)),
        "code": code_sha256(),
    }


def _configs(network: Network, config: HardwareConfig, mean: float) -> Iterator[HardwareConfig]:
    """The chips that are tried, the quickest to find first."""
    columns, shared = config.column_mux.columns_per_adc, config.mapping.share_tiles
    for per_adc in (columns, columns * 2, columns // 2):
        if per_adc == 0 or config.cells.columns % per_adc:
            continue
        mux = config.column_mux.model_copy(update={"columns_per_adc": per_adc})
        muxed = config.model_copy(update={"column_mux": mux})
        try:
            for kind in config.tile_types:
                muxed.of_type(kind)
        except RefusedPart:
            continue  # not for the columns of that type
        chains = list(_chains(network, muxed, mean))
        for share in (shared, not shared):
            for placement in dict.fromkeys((config.mapping.placement, "annealed")):
                for copies in chains:
                    values = {"share_tiles": share, "placement": placement, "replication": copies}
                    mapping = config.mapping.model_copy(update=values)
                    yield muxed.model_copy(update={"mapping": mapping})


def _chains(network: Network, config: HardwareConfig, mean: float) -> Iterator[dict[str, int] | str]:
    """Copies by layer, of every step that the policies take."""
    yield "none"
    unlimited = {"extra_crossbars": 1 << 30, "extra_tiles": None, "extra_area_mm2": None}
    graph = stage_graph(network, config.lif.partial_sum_bits)
    single = without_copies(graph, config)
    for policy in ("latency", "throughput"):
        mapping = config.mapping.model_copy(
            update={**unlimited, "replication": policy, "expected_timesteps": mean}
        )
        steps = grants(single, graph, config.model_copy(update={"mapping": mapping}))
        for _, (layers, _) in zip(range(_MOST_GRANTS), steps, strict=False):
            yield {layer.stage.name: layer.copies for layer in layers if layer.copies > 1}


def _quickly_placed(config: HardwareConfig) -> HardwareConfig:
    """The chip with tiles row by row: how large it is does not depend on where they stand."""
    return config.model_copy(update={"mapping": config.mapping.model_copy(update={"placement": "rows"})})


def _sized(placement: Placement, config: HardwareConfig) -> Mapped:
    return Mapped(
        copies={layer.stage.name: layer.copies for layer in placement.layers},
        share_tiles=config.mapping.share_tiles,
        placement=config.mapping.placement,
        columns_per_adc=config.column_mux.columns_per_adc,
        crossbars=placement.crossbars,
        tiles=placement.tiles,
        area_mm2=config.area_um2(placement.size) * 1e-6,
    )


def _played(experiment: Experiment, sized: Mapped, config: HardwareConfig, stay: Any) -> Mapped:
    chip = with_figures(experiment.chip, config)
    ran = replay(
        experiment.images, chip, experiment.inputs, workers=experiment.options.workers,
        values=experiment.values,
    ).dynamic  # fmt: skip
    images = np.arange(len(stay))
    energy, latency = ran.energy_pj[images, stay - 1], ran.latency_ns[images, stay - 1]
    further = float(stay.mean()) - 1
    interval = 0.0
    for layer, busy in zip(chip.placement.layers, occupancies(chip.placement, chip.config), strict=True):
        keeps = layer.stage.reads_image and chip.config.encoder.mode == "keep"
        later = busy.stored if keeps else busy.computed
        interval = max(interval, *(busy.computed[name] + further * later[name] for name in later))
    load = chip.config.load_cycles(chip.placement.graph.image_bits)
    return replace(
        sized,
        area_mm2=chip.config.area_um2(chip.size) * 1e-6,
        energy_pj=float(energy.mean()),
        latency_ns=float(latency.mean()),
        edp_pj_ns=float((energy * latency).mean()),
        interval_ns=max(interval, load) * chip.config.technology.clock_ns,
    )
