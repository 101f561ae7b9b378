"""The images of a comparison on chips with other figures, each of which is played once at most.

Values stay as they are. Prices are a pure function of the ledger, so that where only these differ nothing is
played; else time is, or a chip that is laid out otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from imcsim.hardware.alternatives import same_time
from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.ledger import Stay, charges, energy_pj
from imcsim.results.ranges import StaticIssue
from imcsim.simulation.chip import with_figures
from imcsim.simulation.simulate import ExitCosts, Simulation, issued, replay
from imcsim.studies.experiment import Experiment
from imcsim.timing import parse

Opponents = Mapping[StaticIssue, ExitCosts]
"""Static runs by their issue policy."""


@dataclass(eq=False)
class OtherRuns:
    """Dynamic and static runs on a chip: known for the exit timesteps of the images, static ones for T max.

    `images` stand for static runs that are not known yet.
    """

    dynamic: ExitCosts
    area_um2: float
    known: dict[StaticIssue, ExitCosts]
    images: Simulation | None = None
    of: Experiment | None = None

    def static(self, issue: StaticIssue) -> ExitCosts:
        """The static runs under an issue policy."""
        if issue not in self.known:
            assert self.images is not None
            assert self.of is not None
            self.known[issue] = issued(
                self.images, parse(issue), self.of.inputs, dynamic=False, values=self.of.values, exits=()
            )
        return self.known[issue]


@dataclass(eq=False)
class OtherChips:
    """Chips that a comparison is repeated on. stay: timesteps of each image in the dynamic run.

    opponents: the static runs on the chip itself.
    """

    experiment: Experiment
    stay: Stay
    opponents: Opponents
    _tried: list[tuple[HardwareConfig, OtherRuns]] = field(default_factory=list)
    _asked: tuple[HardwareConfig, bool] | None = None
    """The chip that was last asked of, and whether it has the same time."""

    def same_time(self, changed: HardwareConfig) -> bool:
        """Whether a chip is known to differ from the chip itself in prices only."""
        if self._asked is None or self._asked[0] is not changed:
            chip = self.experiment.chip
            self._asked = changed, same_time(chip.stated, changed, chip.placement.reach)
        return self._asked[1]

    def runs(self, changed: HardwareConfig) -> OtherRuns:
        """The runs on a chip that differs from the chip's own config in nothing that changes values.

        Raises ImcsimError where there is no such chip.
        """
        for config, runs in self._tried:
            if config == changed:
                return runs
        chip = self.experiment.chip
        if changed == chip.stated:
            images = self.experiment.images
            runs = OtherRuns(images.dynamic, chip.config.area_um2(chip.size), dict(self.opponents))
        elif self.same_time(changed):
            runs = self._repriced(changed)
        else:
            runs = self._replayed(changed)
        self._tried.append((changed, runs))
        return runs

    def _repriced(self, changed: HardwareConfig) -> OtherRuns:
        """The same counts with other prices."""
        chip = self.experiment.chip
        config = changed.with_exit_rule(chip.timing.rule).model_copy(update={"encoder": chip.config.encoder})
        prices = charges(config, chip.size)

        def priced(ran: ExitCosts) -> ExitCosts:
            return replace(ran, energy_pj=energy_pj(ran.ledger, prices))

        statics = {issue: priced(ran) for issue, ran in self.opponents.items()}
        return OtherRuns(priced(self.experiment.images.dynamic), config.area_um2(chip.size), statics)

    def _replayed(self, changed: HardwareConfig) -> OtherRuns:
        """The same values in another time, or on a chip that is laid out otherwise."""
        one = self.experiment
        chip = with_figures(one.chip, changed, exits=set(self.stay.tolist()))
        images = replay(one.images, chip, one.inputs, values=one.values)
        return OtherRuns(images.dynamic, chip.config.area_um2(chip.size), {}, images, one)
