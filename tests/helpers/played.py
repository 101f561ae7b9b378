"""`imcsim.timing.play` for tests, which vary one thing at a time: how images are played, as keywords."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import imcsim.timing
from imcsim.base.choices import Fidelity
from imcsim.hardware.config import HardwareConfig
from imcsim.mapping import Placement
from imcsim.timing import Issue, Timeline, Timing


def play(
    placement: Placement,
    config: HardwareConfig,
    exits: Sequence[int],
    timesteps: int,
    *,
    issue: Issue | None = None,
    fidelity: Fidelity = "burst",
    mean: bool = True,
    timed: bool = False,
    **about: Any,
) -> Timeline:
    """Play images of at most `timesteps` timesteps; `about` goes on to `imcsim.timing.play`."""
    timing = Timing(timesteps, issue or Issue(), fidelity, mean, timed)
    return imcsim.timing.play(placement, config, exits, timing, **about)
