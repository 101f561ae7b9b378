"""A mapping that is searched for: copies of layers, shared tiles, placement, sharing of ADCs, types of tile.

What the network computes does not depend on the first four, so the images are computed once, and each mapping
is played by the timing engine and priced like any other chip. Candidates are the mappings that the policies
of ``mapping.replication`` pass through on their way to the budget (see `imcsim.mapping.copies`), each with
tiles of its own or shared, with the placements of the file and ``annealed``, and with half, as many and twice
as many columns per ADC. Where layers can stand on several types of tile, or rows in two orders, all of this
is done for several of those (see `mapping_variants`). So the chip of the file is one of them, a larger budget
only adds to them, and the winner is the best of those that the engine has played.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from imcsim.base.code import code_sha256
from imcsim.base.errors import ImcsimError
from imcsim.base.plurals import counted
from imcsim.base.progress import Progress
from imcsim.base.tile_types import OWN_WORD
from imcsim.hardware.config import Hardware, HardwareConfig
from imcsim.hardware.explain import RefusedPart
from imcsim.hardware.loader import config_hash
from imcsim.inputs import Inputs
from imcsim.mapping import place
from imcsim.mapping.copies import grants
from imcsim.mapping.cut import without_copies
from imcsim.mapping.stages import stage_graph
from imcsim.network.bundle import fingerprint
from imcsim.network.graph import Network
from imcsim.results.mapped import ADCS, Budget, Goal, Mapped, MappingSearch
from imcsim.simulation.chip import with_figures
from imcsim.simulation.simulate import replay
from imcsim.studies.mapping_variants import (
    OnImages,
    Types,
    joined_moves,
    single_moves,
    with_row_order,
)
from imcsim.studies.settings import CompareOptions
from imcsim.studies.tried_mappings import TriedMappings

_MOST_GRANTS = 48
"""Steps of copies that are tried, of each policy."""


def search_mapping(
    network: Network,
    hardware: Hardware,
    inputs: Inputs,
    goal: Goal,
    options: CompareOptions | None = None,
    progress: Progress | None = None,
    folder: str | Path | None = None,
) -> MappingSearch:
    """Find the mapping of `network` with the least of the goal's objective within its budget.

    `inputs` are validation images: with them the exit threshold is chosen, if ``options`` give none, and the
    number of timesteps is measured that copies are weighed by. Mappings that change what the network computes
    (see `mapping_variants`) stay only where as many images are right as on the chip of the file. With a
    `folder` what has been tried is kept there as it goes, and what an earlier search of the same has tried is
    not played again. Raises ImcsimError where no mapping within the budget fits the chip, and where the
    folder holds what another search has tried.
    """
    if hardware.config.reload.present:
        raise ImcsimError(
            "mappings are searched for on chips that hold their network",
            key="reload.tiles",
            fix="set it to network",
        )
    options = options or CompareOptions()
    kept = TriedMappings()
    if folder is not None:
        kept = TriedMappings.of_folder(folder, _about(network, hardware, inputs, options))
    start = OnImages.of(network, hardware, inputs, options, progress)
    budget = goal.budget or Budget(area_mm2=_size(network, start.config).area_mm2)
    search = _Search(network, hardware, inputs, options, progress, kept, goal, budget)
    search.try_all(start, [start.config, *_configs(network, start.config, start.mean)])
    for config in search.variants(start):
        search.try_on(config)
    return search.result(start)


@dataclass(eq=False)
class _Search:
    """What has been tried so far, and what it is tried with."""

    network: Network
    hardware: Hardware
    inputs: Inputs
    options: CompareOptions
    progress: Progress | None
    kept: TriedMappings
    goal: Goal
    budget: Budget
    enough: int = 0
    """Images that are right on the chip of the file: with fewer a mapping is left out."""
    tried: list[Mapped] = field(default_factory=list)
    sizes: list[Mapped] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    less_accurate: int = 0

    def judged(self, config: HardwareConfig) -> OnImages:
        hardware = replace(self.hardware, config=config)
        return OnImages.of(self.network, hardware, self.inputs, self.options, self.progress)

    def try_all(self, judged: OnImages, configs: Sequence[HardwareConfig]) -> None:
        """Play those that are within the budget and new; the very first is the chip of the file."""
        for number, config in enumerate(configs):
            if self.progress is not None:
                self.progress("mappings", number, len(configs))
            first = not self.tried
            try:
                sized = _size(self.network, config)
                self.sizes.append(sized)
                if not self._new(sized) or not (first or self.budget.holds(sized)):
                    continue
                if (found := self.figures(sized, config, lambda: judged)) is not None:
                    self.tried.append(found)
                    self.enough = found.right if first else self.enough
            except ImcsimError as error:
                # It fits neither mesh nor buffers, or locks up; the chip of the file must not.
                if first or error.key is None:
                    raise
        if self.progress is not None:
            self.progress("mappings", len(configs), len(configs))

    def figures(self, sized: Mapped, config: HardwareConfig, judged: Callable[[], OnImages]) -> Mapped | None:
        """What a mapping comes to; kept as soon as it is known. None: it does not fit, or locks up."""
        chip = config_hash(config, config.reference.values(), config.left_out)
        if chip not in self.kept.known:
            try:
                found = _played(judged(), sized, config)
            except ImcsimError:
                if self.tried:
                    self.kept.put(chip, None)
                raise
            self.kept.put(chip, found)
        return self.kept.known[chip]

    def variants(self, start: OnImages) -> Iterator[HardwareConfig]:
        """Chips on which the network computes other values, each to be searched like that of the file."""
        config, kinds = start.config, (OWN_WORD, *start.config.tile_types)
        if self.goal.row_orders:
            for order in ADCS:
                if order != config.cells.row_order:
                    yield with_row_order(config, order)
        types = dict(self.tried[0].tile_types)
        if not types:
            return
        moves: list[tuple[Types, float]] = []
        candidates = list(single_moves(types, kinds))
        for number, one in enumerate(candidates):
            if self.progress is not None:
                self.progress("layers on other tiles", number, len(candidates))
            found = self.move(config.with_mapping(tile_types=one))
            if found is not None:
                moves.append((one, found.figure(self.goal.objective)))
        if self.progress is not None and candidates:
            self.progress("layers on other tiles", len(candidates), len(candidates))
        least = self.tried[0].figure(self.goal.objective)
        for one in joined_moves(types, moves, least, kinds):
            yield config.with_mapping(tile_types=one)

    def move(self, config: HardwareConfig) -> Mapped | None:
        """What the mapping of the file comes to on other tiles; None: it does not fit or loses accuracy."""
        try:
            found = self.figures(_size(self.network, config), config, lambda: self.judged(config))
        except ImcsimError as error:
            if error.key is None:
                raise
            return None
        if found is None:
            return None
        if found.right < self.enough:
            self.less_accurate += 1
            return None
        self.sizes.append(found)
        if self._new(found) and self.budget.holds(found):
            self.tried.append(found)
        return found

    def try_on(self, config: HardwareConfig) -> None:
        """Search the mappings of a chip on which the network computes other values."""
        try:
            judged = self.judged(config)
        except ImcsimError as error:
            if error.key is None:
                raise
            return
        if judged.right < self.enough:
            self.less_accurate += 1
            return
        self.try_all(judged, [config, *_configs(self.network, config, judged.mean)])

    def _new(self, one: Mapped) -> bool:
        key = json.dumps([sorted(one.copies.items()), one.overrides], sort_keys=True)
        new = key not in self.seen
        self.seen.add(key)
        return new

    def result(self, start: OnImages) -> MappingSearch:
        """The best within the budget. Raises ImcsimError where nothing is."""
        within = [one for one in self.tried if self.budget.holds(one)]
        if not within:
            least = min(self.sizes, key=lambda one: one.area_mm2)
            raise ImcsimError(
                f"no mapping of {self.network.name} that was tried stays within {self.budget}: the smallest "
                f"takes {counted(least.tiles, 'tile')}, {counted(least.crossbars, 'crossbar')} and "
                f"{least.area_mm2:.3g} mm2",
                key="budget",
                fix="give a larger one",
            )
        objective = self.goal.objective
        best = min(within, key=lambda one: (one.figure(objective), one.area_mm2, one.crossbars))
        return MappingSearch(
            self.network.name, self.hardware.name, objective, self.budget, len(start.stay), start.accuracy,
            start.mean, self.tried[0], best, tuple(within), self.less_accurate,
        )  # fmt: skip


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
                    yield muxed.with_mapping(share_tiles=share, placement=placement, replication=copies)


def _chains(network: Network, config: HardwareConfig, mean: float) -> Iterator[dict[str, int] | str]:
    """Copies by layer, of every step that the policies take."""
    yield "none"
    unlimited = {"extra_crossbars": 1 << 30, "extra_tiles": None, "extra_area_mm2": None}
    graph = stage_graph(network, config.lif.partial_sum_bits)
    single = without_copies(graph, config)
    for policy in ("latency", "throughput"):
        greedy = config.with_mapping(**unlimited, replication=policy, expected_timesteps=mean)
        steps = grants(single, graph, greedy)
        for _, (layers, _) in zip(range(_MOST_GRANTS), steps, strict=False):
            yield {layer.stage.name: layer.copies for layer in layers if layer.copies > 1}


def _size(network: Network, config: HardwareConfig) -> Mapped:
    """How large the network is on a chip; that does not depend on where tiles stand."""
    placement = place(network, config.with_mapping(placement="rows"))
    types = {layer.stage.name: layer.tile_type or OWN_WORD for layer in placement.layers}
    return Mapped(
        copies={layer.stage.name: layer.copies for layer in placement.layers},
        share_tiles=config.mapping.share_tiles,
        placement=config.mapping.placement,
        columns_per_adc=config.column_mux.columns_per_adc,
        row_order=config.cells.row_order,
        tile_types=types if config.tile_types else {},
        crossbars=placement.crossbars,
        tiles=placement.tiles,
        area_mm2=config.area_um2(placement.size) * 1e-6,
    )


def _played(judged: OnImages, sized: Mapped, config: HardwareConfig) -> Mapped:
    experiment, stay = judged.experiment, judged.stay
    chip = with_figures(experiment.chip, config)
    ran = replay(
        experiment.images, chip, experiment.inputs, workers=experiment.options.workers,
        values=experiment.values,
    ).dynamic  # fmt: skip
    images = np.arange(len(stay))
    energy, latency = ran.energy_pj[images, stay - 1], ran.latency_ns[images, stay - 1]
    interval = 0.0
    for layer, busy in zip(chip.placement.layers, chip.occupancies, strict=True):
        later = busy.stored if layer.stage.keeps_currents(chip.config) else busy.computed
        interval = max(interval, *(busy.computed[name] + (judged.mean - 1) * later[name] for name in later))
    load = chip.config.load_cycles(chip.placement.graph.image_bits)
    return replace(
        sized,
        area_mm2=chip.config.area_um2(chip.size) * 1e-6,
        right=judged.right,
        mean_timesteps=judged.mean,
        energy_pj=float(energy.mean()),
        latency_ns=float(latency.mean()),
        edp_pj_ns=float((energy * latency).mean()),
        interval_ns=max(interval, load) * chip.config.technology.clock_ns,
    )
