"""What a policy costs, and where: the figures and breakdowns of a result document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.exits.outputs import exit_timesteps
from imcsim.hardware.events import CHECKER_EVENTS, STANDING_EVENTS, Event
from imcsim.hardware.ledger import Charge, Stay
from imcsim.results.comparison import (
    CurvePoint,
    SensitivityPoint,
    StaticPoint,
    best_static,
)
from imcsim.results.costs import Action, CheckerCost, ComponentCost
from imcsim.results.figures import Reduction
from imcsim.results.ranges import StaticIssue
from imcsim.simulation.simulate import ExitCosts
from imcsim.studies.decider import Choice, right_after
from imcsim.studies.experiment import Experiment
from imcsim.studies.other_runs import Repeated
from imcsim.timing.link_times import check_cycles

CURVE_POINTS = 60


@dataclass(frozen=True, eq=False)
class Breakdown:
    """Costs of the images of an experiment."""

    of: Experiment
    opponents: Mapping[StaticIssue, ExitCosts]
    """Static runs under each issue policy that is tried."""

    # --- what it costs

    def _sums(self, stay: Stay, ran: ExitCosts) -> dict[str, float]:
        """Means over the images."""
        rows = np.arange(len(stay))
        return means(ran.energy_pj[rows, stay - 1], ran.latency_ns[rows, stay - 1])

    def measured(self, stay: Stay, ran: ExitCosts) -> dict[str, Any]:
        """The figures of a run, as the result document names them."""
        latency = ran.latency_ns[np.arange(len(stay)), stay - 1]
        # a percentile is the latency of an image, not a mixture of two
        p50, p95, p99 = np.percentile(latency, [50, 95, 99], method="inverted_cdf")
        return {
            **self.of.accuracy(stay),
            **self.of.leaving(stay),
            "latency_p50_ns": float(p50),
            "latency_p95_ns": float(p95),
            "latency_p99_ns": float(p99),
            "cancelled_energy_pj": self._priced(ran.ledger.cancelled(stay)) / len(stay),
            **self._sums(stay, ran),
        }

    @property
    def best(self) -> ExitCosts:
        """The static runs under the issue policy that suits T max best (see `best_static`)."""
        return self.opponents[self.best_issue]

    @property
    def best_issue(self) -> StaticIssue:
        """The issue policy that suits static runs of T max best."""
        points = [self.static(self.of.timesteps, issue) for issue in self.opponents]
        return best_static(points).issue

    def static(self, timesteps: int, issue: StaticIssue) -> StaticPoint:
        """All images for `timesteps` timesteps; the checker works as in the dynamic run."""
        stay = np.full(len(self.of.inputs.labels), timesteps, np.int64)
        ran = self.opponents[issue]
        sums = self._sums(stay, ran)
        energy, latency = self.checker_adds(ran, timesteps)
        return StaticPoint(
            timesteps=timesteps,
            issue=issue,
            **self.of.accuracy(stay),
            energy_without_checker_pj=sums["energy_pj"] - energy,
            latency_without_checker_ns=sums["latency_ns"] - latency,
            **sums,
        )

    def checker_adds(self, ran: ExitCosts, timesteps: int) -> tuple[float, float]:
        """Mean energy (pJ) and latency (ns) that the checker adds to a static run: its work, its leakage, and
        everybody's leakage while it works.
        """
        played, at = ran.schedule, timesteps - 1
        energy = 0.0
        for charge in self.of.chip.prices():
            if charge.event == Event.POWERED_CYCLES:
                cycles = played.departure if charge.component == "checker" else played.check
                energy += charge.energy_pj * float(cycles[:, 0 if charge.once else at].mean())
            elif charge.event in CHECKER_EVENTS and charge.event in played.fixed:
                energy += charge.energy_pj * float(played.fixed[charge.event].totals()[:, at].mean())
        return energy, float(played.check[:, at].mean()) * self.of.chip.config.technology.clock_ns

    def _priced(self, totals: Mapping[Event, NDArray[np.int64]]) -> float:
        """Energy of counts, pJ."""
        return sum(
            int(c.paid(totals[c.event]).sum()) * c.energy_pj
            for c in self.of.chip.prices()
            if c.event in totals
        )

    def components(self, stay: Stay, ran: ExitCosts, *, with_static: bool) -> tuple[ComponentCost, ...]:
        """The energy breakdown by component and action, means over the images."""
        images, config = len(stay), self.of.chip.config
        totals = ran.ledger.totals(stay)
        full = np.full(images, self.of.timesteps, np.int64)
        static = self.best.ledger.totals(full) if with_static else {}
        prices = self.of.chip.prices()
        whole = self._priced(totals) / images
        rows = []
        for name, _ in config.components_of(self.of.chip.size):
            mine = [c for c in prices if c.component == name and c.event in totals]
            actions = tuple(_action(name, of, totals, images) for of in _by_event(mine))
            energy = sum(a.energy_pj for a in actions)
            size = self.of.chip.size
            rows.append(
                ComponentCost(
                    name=name,
                    energy_pj=energy,
                    share=energy / whole if whole else 0.0,
                    static_energy_pj=sum(
                        int(c.paid(static[c.event]).sum()) * c.energy_pj / images for c in mine
                    )
                    if with_static
                    else None,
                    area_um2=config.component_area_um2(name, size),
                    count=config.instances_of(name, size),
                    actions=actions,
                )
            )
        return tuple(rows)

    def checker(self, stay: Stay, ran: ExitCosts) -> CheckerCost:
        """One check: its energy, cycles and area, and its share of an average timestep of a run."""
        config, counted = self.of.chip.config, ran.schedule.fixed
        energy = sum(
            charge.energy_pj * int(counted[charge.event].totals()[0, 0])
            for charge in self.of.chip.prices()
            if charge.event in CHECKER_EVENTS and charge.event in counted
        )
        timestep = self._sums(stay, ran)["energy_pj"] / float(stay.mean())
        return CheckerCost(
            energy_share_of_one_timestep=energy / timestep if timestep else 0.0,
            energy_pj_per_check=energy,
            cycles_per_check=check_cycles(self.of.chip.placement, config),
            area_um2=config.checker.area_um2(config),
        )

    def curve(self, choice: Choice) -> tuple[CurvePoint, ...]:
        """The reported images at other thresholds, the same for all timesteps; nothing is chosen here.

        The threshold of `choice` is one of them, unless timesteps have thresholds of their own.
        """
        needed = self.of.required(self.of.images)
        largest = self.of.word_of(1.0)
        spread = np.quantile(needed[:, 0], np.linspace(0, 1, CURVE_POINTS), method="inverted_cdf")
        used = None if choice.threshold is None else self.of.word_of(choice.threshold)
        words = {0, largest, *(() if used is None else (used,))} | {int(w) for w in spread if w <= largest}
        right = right_after(self.of.images, self.of.inputs)
        points = []
        for word in sorted(words):
            stay = exit_timesteps(needed, word)
            points.append(
                CurvePoint(
                    threshold=self.of.threshold_of(word)
                    if choice.threshold is None or word != used
                    else choice.threshold,
                    accuracy=float(right[np.arange(len(stay)), stay - 1].mean()),
                    mean_timesteps=float(stay.mean()),
                    **self._sums(stay, self.of.images.dynamic),
                )
            )
        return tuple(points)

    def sensitivity(self, repeated: Repeated) -> tuple[SensitivityPoint, ...]:
        """The comparison with every ADC preset of the config: its energy, area and time; values stay the
        same. Static runs have the issue policy that suits the preset in use.
        """
        stated, stay, used = self.of.chip.stated, repeated.stay, self.best_issue
        full = np.full(len(stay), self.of.timesteps, np.int64)
        points = []
        for name, tried in repeated.tried.presets:
            changed, runs = tried.config, repeated.runs(tried)
            static = self._sums(full, runs.static(used))
            dynamic = self._sums(stay, runs.dynamic)
            points.append(
                SensitivityPoint(
                    name=name,
                    used=name == stated.adc.preset,
                    conversion_energy_pj=changed.adc.conversion_energy_pj(changed),
                    static_energy_pj=static["energy_pj"],
                    dynamic_energy_pj=dynamic["energy_pj"],
                    reduction=Reduction.between(static, dynamic),
                )
            )
        return tuple(points)


def _by_event(charges: Sequence[Charge]) -> list[list[Charge]]:
    """Charges of a component, those together that tiles of several types pay for the same event."""
    found: dict[Event, list[Charge]] = {}
    for charge in charges:
        found.setdefault(charge.event, []).append(charge)
    return list(found.values())


def _action(
    component: str, charges: Sequence[Charge], totals: Mapping[Event, NDArray[np.int64]], images: int
) -> Action:
    """What an event costs a component, of all types of tile: a mean price where these differ."""
    event = charges[0].event
    count = sum(int(c.counted(totals[event]).sum()) for c in charges) / images
    energy = sum(int(c.paid(totals[event]).sum()) * c.energy_pj / images for c in charges)
    return Action(
        name=_standing(component) if event in STANDING_EVENTS else str(event),
        count=count,
        energy_pj_each=charges[0].energy_pj if len(charges) == 1 or not count else energy / count,
        energy_pj=energy,
    )


def _standing(component: str) -> str:
    """What a component pays for being powered."""
    return {"clock": "clock", "controller": "control"}.get(component, "leakage")


def means(energy_pj: NDArray[np.float64], latency_ns: NDArray[np.float64]) -> dict[str, Any]:
    """Means over images, float64 ``[images]`` each, as results name them."""
    return {
        "energy_pj": float(energy_pj.mean()),
        "latency_ns": float(latency_ns.mean()),
        "edp_mean_of_products": float((energy_pj * latency_ns).mean()),
    }
