"""Plays images on a placed chip, in the fidelity that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from imcsim.base.choices import Fidelity
from imcsim.hardware.config import HardwareConfig
from imcsim.mapping import Placement
from imcsim.timing.fabric.chip import FabricEngine, Stuck
from imcsim.timing.fabric.layout import Layout
from imcsim.timing.image_work import ImageWork
from imcsim.timing.issue import Arrivals, Issue
from imcsim.timing.processes.chip import ProcessEngine
from imcsim.timing.recorder import Recorder
from imcsim.timing.timeline import Timeline


def play(
    placement: Placement,
    config: HardwareConfig,
    exits: Sequence[int],
    timesteps: int,
    *,
    issue: Issue | None = None,
    arrivals: Arrivals | None = None,
    work: Sequence[ImageWork] | None = None,
    mean: bool = True,
    fidelity: Fidelity = "burst",
    progress: Callable[[int, int], None] | None = None,
    timed: bool = False,
    recorder: Recorder | None = None,
    layout: Layout | None = None,
) -> Timeline:
    """Play images that leave after ``exits[i]`` (1 to T) of at most `timesteps` timesteps.

    `issue` says when timesteps and images enter (``wait``), `arrivals` when images come (closed loop). `work`
    is needed where the config makes time depend on values. With `mean` the checker multiplies each class
    output by a stored 1/t. `timed`: every timestep has a frame of its own, which is brought onto the chip
    then; the encoder must recompute. Both fidelities return the same timeline. `progress` is told, whenever
    an image leaves, how many have left and how many there are. `recorder` is told of all work; of what tiles
    do inside in the ``reference`` fidelity only. Raises ImcsimError when the chip locks up, naming the
    buffers that are full.
    """
    issue, arrivals = issue or Issue(), arrivals or Arrivals()
    if fidelity == "burst" and recorder is None:
        try:
            chip = layout or Layout(placement, config)
            return FabricEngine(chip, exits, timesteps, issue, arrivals, work, mean, progress, timed).run()
        except Stuck:
            progress = None
    return ProcessEngine(
        placement, config, exits, timesteps, issue, arrivals, work, mean, fidelity, progress, timed, recorder
    ).run()
