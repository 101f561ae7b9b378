"""The images of a comparison on chips with other figures, each of which is played once at most.

Values stay as they are. Prices are a pure function of the ledger, so that where only these differ nothing is
played; else time is, or a chip that is laid out otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from imcsim.hardware.ledger import Stay, energy_pj
from imcsim.results.ranges import StaticIssue
from imcsim.simulation.chip import Chip, with_figures
from imcsim.simulation.simulate import ExitCosts, Simulation, issued, replay
from imcsim.studies.experiment import Experiment
from imcsim.studies.other_chips import AllTried, Tried
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
class Repeated:
    """A comparison on the chips that it tries. stay: timesteps of each image in the dynamic run.

    opponents: the static runs on the chip itself.
    """

    experiment: Experiment
    stay: Stay
    opponents: Opponents
    tried: AllTried
    _runs: dict[Tried, OtherRuns] = field(default_factory=dict)

    def runs(self, one: Tried) -> OtherRuns:
        """The runs on a chip that differs from the chip's own config in nothing that changes values.

        Raises ImcsimError where there is no such chip.
        """
        if one not in self._runs:
            self._runs[one] = self._played(one)
        return self._runs[one]

    @property
    def area_um2(self) -> float:
        """Of the chip itself."""
        chip = self.experiment.chip
        return chip.config.area_um2(chip.size)

    def _played(self, one: Tried) -> OtherRuns:
        if one.config == self.experiment.chip.stated:
            return OtherRuns(self.experiment.images.dynamic, self.area_um2, dict(self.opponents))
        return self._repriced(one.made) if one.same_time and one.made else self._replayed(one)

    def _repriced(self, chip: Chip) -> OtherRuns:
        """The same counts with other prices."""

        def priced(ran: ExitCosts) -> ExitCosts:
            return replace(ran, energy_pj=energy_pj(ran.ledger, chip.prices()))

        statics = {issue: priced(ran) for issue, ran in self.opponents.items()}
        area = chip.config.area_um2(chip.size)
        return OtherRuns(priced(self.experiment.images.dynamic), area, statics)

    def _replayed(self, one: Tried) -> OtherRuns:
        """The same values in another time, or on a chip that is laid out otherwise."""
        of = self.experiment
        chip = one.made or with_figures(of.chip, one.config, exits=set(self.stay.tolist()))
        images = replay(of.images, chip, of.inputs, values=of.values)
        return OtherRuns(images.dynamic, chip.config.area_um2(chip.size), {}, images, of)
