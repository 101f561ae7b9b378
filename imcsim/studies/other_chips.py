"""The chips with other figures that a comparison is repeated on: other ADC presets, and the alternatives.

None of them needs values, so that they are laid out, and their time is played, while the images are.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from imcsim.base.errors import ImcsimError
from imcsim.hardware.alternatives import Alternative, alternatives_of, same_time
from imcsim.hardware.config import HardwareConfig
from imcsim.results.ranges import StaticIssue
from imcsim.simulation.chip import Chip, depends_on_values, nonideal, numerics, with_figures, with_prices
from imcsim.simulation.simulate import plays_anew
from imcsim.studies.settings import CompareOptions
from imcsim.timing import parse

AHEAD_TIMESTEPS = 16
"""Up to so many chips are played ahead: who interrupts waits for no longer play than of these."""


def check_values(chip: Chip, changed: HardwareConfig, options: CompareOptions) -> None:
    """Raise ImcsimError for a chip that is to be played anew and would have other values, or other time with
    other values.
    """
    if depends_on_values(chip.config):
        raise ImcsimError("on a chip whose time depends on values only prices are tried", fix="try a price")
    drawn = (nonideal(config, options.seed, options.chip) for config in (chip.stated, changed))
    if (
        numerics(changed) != numerics(chip.stated)
        or changed.activity != chip.stated.activity
        or next(drawn) != next(drawn)
    ):
        raise ImcsimError("it would change values", fix="give it as a chip of its own")


@dataclass(frozen=True, eq=False)
class Tried:
    """A chip with other figures. made: the chip; None where its time could not be played ahead."""

    config: HardwareConfig
    same_time: bool
    """Whether it is known to differ from the chip itself in prices only."""
    made: Chip | None = None


@dataclass(frozen=True, eq=False)
class AllTried:
    """The chips with each ADC preset, and the alternatives, or why there is no such chip. Equal ones are the
    same object.
    """

    presets: tuple[tuple[str, Tried], ...]
    alternatives: tuple[tuple[Alternative, Tried | ImcsimError], ...]


class OtherChips:
    """The chips with other figures, which are made while the images are played.

    `opponents` are the issue policies of the static runs. Used as a context, it leaves off what has not been
    begun at its end.
    """

    def __init__(self, opponents: Sequence[StaticIssue], options: CompareOptions) -> None:
        self._opponents, self._options = opponents, options
        self._stopped = False
        self._job: Future[AllTried] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped = True

    def begin(self, chip: Chip) -> None:
        """Make them from now on, beside what else is done, unless there is one worker only."""
        if (self._options.workers or os.cpu_count() or 1) > 1:
            pool = ThreadPoolExecutor(max_workers=1)
            self._job = pool.submit(self._tried, chip)
            pool.shutdown(wait=False)

    def of(self, chip: Chip) -> AllTried:
        """All of them."""
        return self._tried(chip) if self._job is None else self._job.result()

    def _tried(self, chip: Chip) -> AllTried:
        stated, ahead = chip.stated, chip.dynamic is not None and not chip.timing.issue.runs_ahead
        ahead = ahead and chip.timing.timesteps <= AHEAD_TIMESTEPS
        if ahead:
            self._play(chip, exits=None)
        _price(chip)
        _ = chip.occupancies
        found: list[Tried] = []

        def tried(changed: HardwareConfig) -> Tried:
            for one in found:
                if one.config == changed:
                    return one
            same = same_time(stated, changed, chip.placement.reach)
            made = with_prices(chip, changed) if same else None
            if ahead and not same and not self._stopped:
                with suppress(ImcsimError):  # it is raised where the chip is asked for
                    check_values(chip, changed, self._options)
                    made = with_figures(chip, changed)
                    self._play(made, exits=())
            if made is not None:
                _price(made)
            found.append(Tried(changed, same, made))
            return found[-1]

        presets = [
            (name, tried(stated.model_copy(update={"adc": stated.adc.model_copy(update={"preset": name})})))
            for name in stated.adc.presets
        ]
        alternatives: list[tuple[Alternative, Tried | ImcsimError]] = []
        for one in alternatives_of(stated):
            try:
                alternatives.append((one, tried(one.of(stated))))
            except ImcsimError as error:
                alternatives.append((one, error))
        return AllTried(tuple(presets), tuple(alternatives))

    def _play(self, chip: Chip, exits: Sequence[int] | None) -> None:
        """Play the static runs that `issued` will ask for."""
        for issue in map(parse, self._opponents):
            if plays_anew(chip, issue):
                chip.issued(issue, dynamic=False, exits=exits)


def _price(chip: Chip) -> None:
    """Work out what it will be asked for: a chip keeps its prices and areas."""
    chip.prices()
    chip.config.area_um2(chip.size)
