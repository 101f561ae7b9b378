"""What static runs cost as T grows, how the energy splits as the paper splits it, and the most that can be
saved.
"""

from __future__ import annotations

from dataclasses import replace

from imcsim.base.progress import Progress
from imcsim.hardware.accounting import PERIPHERALS
from imcsim.hardware.ledger import charges, energy_pj
from imcsim.inputs import Inputs
from imcsim.inputs.data import fingerprint
from imcsim.network.widen import Factor
from imcsim.results.comparison import CompareResult
from imcsim.results.figures import Reduction
from imcsim.results.reproduction.document import EnergyGroup, Growth, GrowthPoint
from imcsim.simulation.chip import with_timing
from imcsim.simulation.simulate import Simulation, replay, simulate
from imcsim.simulation.values import Values as ValueSource
from imcsim.studies.experiment import Experiment
from imcsim.studies.widened import widened_activity
from imcsim.validate.dtsnn import CROSSBARS, GROUPS, SHARES_AT, Values, curves, intercept
from imcsim.validate.published import figure

_SHARES = ("share.peripherals", "share.crossbars", "share.rest")


def longer(
    bench: Experiment, timesteps: int, images: int, values: ValueSource, progress: Progress | None, stage: str
) -> Simulation:
    """The first `images` test images, run statically to `timesteps`."""
    chip = with_timing(bench.chip, replace(bench.chip.timing, timesteps=timesteps))
    return simulate(
        chip,
        _some(bench, images),
        workers=bench.options.workers,
        progress=progress,
        stage=stage,
        values=values,
    )


def on_wide_chip(simulation: Simulation, narrow: Experiment, wide: Experiment, factor: Factor) -> Simulation:
    """The same images on the wide chip, from what they did on the narrow one."""
    activity = simulation.activity
    timing = replace(wide.chip.timing, timesteps=activity.timesteps)
    grown = widened_activity(activity, narrow.chip.network, factor)
    chip = with_timing(wide.chip, timing)
    return replay(replace(simulation, activity=grown), chip, _some(narrow, activity.images))


def _some(bench: Experiment, images: int) -> Inputs:
    shown = bench.inputs.images[:images]
    labels = bench.inputs.labels[:images]
    return replace(bench.inputs, images=shown, labels=labels, sha256=fingerprint(shown, labels))


def growth(simulation: Simulation) -> Growth:
    """Mean energy and latency of static runs of 1, 2, .. T timesteps, beside the paper's affine law."""
    energy, latency = curves(simulation)
    supposed = _supposed(simulation)
    once, again = figure("intercept").value, figure("slope").value
    return Growth(
        images=simulation.activity.images,
        points=tuple(
            GrowthPoint(
                timesteps=t,
                energy_pj=float(energy[t - 1]),
                latency_ns=float(latency[t - 1]),
                energy_ratio=float(energy[t - 1] / energy[0]),
                latency_ratio=float(latency[t - 1] / latency[0]),
                published_energy_ratio=once + again * t,
                supposed_energy_ratio=float(supposed[t - 1] / supposed[0]),
            )
            for t in range(1, len(energy) + 1)
        ),
        intercept=intercept(energy),
        edp_ratio=_edp_ratio(energy, latency),
        supposed_intercept=intercept(supposed),
        supposed_edp_ratio=_edp_ratio(supposed, latency),
    )


def _supposed(simulation: Simulation) -> Values:
    """Mean energy of the static runs, pJ ``[T]``, if digital peripherals were charged once per inference."""
    chip = simulation.chip
    config = chip.config.model_copy(update={"accounting": "peripherals_once"})
    energy: Values = energy_pj(simulation.static.ledger, charges(config, chip.size)).mean(axis=0)
    return energy


def _edp_ratio(energy: Values, latency: Values) -> float | None:
    """Energy x latency of T = 4 over that of T = 1, as the paper states it."""
    if len(energy) < SHARES_AT:
        return None
    at = SHARES_AT - 1
    return float(energy[at] * latency[at] / (energy[0] * latency[0]))


def groups(comparison: CompareResult) -> tuple[EnergyGroup, ...]:
    """Shares of the paper's three groups of components."""
    names = [component.name for component in comparison.components]
    rest = frozenset(names) - PERIPHERALS - CROSSBARS
    dynamic = {c.name: c.energy_pj for c in comparison.components}
    static = {c.name: c.static_energy_pj or 0.0 for c in comparison.components}
    found = []
    for name, members, key in zip(GROUPS, (PERIPHERALS, CROSSBARS, rest), _SHARES, strict=True):

        def share(energy: dict[str, float], members: frozenset[str] = members) -> float:
            return sum(energy[n] for n in names if n in members) / sum(energy.values())

        found.append(
            EnergyGroup(
                name=name,
                components=tuple(n for n in names if n in members),
                published_share=figure(key).value / 100,
                static_share=share(static),
                dynamic_share=share(dynamic),
            )
        )
    return tuple(found)


def cap(comparison: CompareResult) -> Reduction:
    """Static T = 1 against static T max: no image can leave earlier."""
    return Reduction.between(comparison.static[-1], comparison.static[0])
