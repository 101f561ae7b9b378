"""Writing a network's weights into a chip, as results name it."""

from __future__ import annotations

from imcsim.hardware.programming import cell_writing, cells_at_once
from imcsim.results.programming import ProgrammingCost
from imcsim.simulation.chip import Chip


def programming(
    chip: Chip, inference_energy_pj: float, inference_ns: float, copies: int = 1
) -> ProgrammingCost:
    """What all cells, thresholds and biases of a chip take, beside what an inference on it takes; of so many
    copies of it, which are written at the same time.
    """
    config = chip.config
    one = cell_writing(config)
    shared = config.write_access.shared_by
    types = {layer.tile_type for layer in chip.placement.layers}
    cells = [config.of_type(kind).cells for kind in types]
    in_crossbar = max(one.rows * one.columns for one in cells)
    return ProgrammingCost(
        method=one.method,
        source=one.source,
        cells=copies
        * sum(
            layer.stage.rows * (layer.stage.out_channels // layer.stage.groups) * layer.slices * layer.copies
            for layer in chip.placement.layers
        ),
        cells_in_turn=min(shared, chip.placement.crossbars) * in_crossbar,
        cells_at_once=cells_at_once(config),
        pulses=one.pulses,
        pulse_ns=one.pulse_ns,
        pulse_energy_pj=one.pulse_energy_pj,
        verify_ns=one.verify_ns,
        verify_energy_pj=one.verify_energy_pj,
        parameters_energy_pj=copies * config.parameter_store.writing_pj(config, chip.size),
        inference_energy_pj=inference_energy_pj,
        inference_ns=inference_ns,
    )
