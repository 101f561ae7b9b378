"""Plays images on a placed chip, in the fidelity that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from imcsim.hardware.config import HardwareConfig
from imcsim.mapping import Placement
from imcsim.timing.engine import refuse_loads
from imcsim.timing.fabric.chip import FabricEngine, FabricStalled
from imcsim.timing.fabric.layout import Layout
from imcsim.timing.image_work import ImageWork
from imcsim.timing.issue import Timing
from imcsim.timing.processes.chip import ProcessEngine
from imcsim.timing.recorder import Recorder
from imcsim.timing.timeline import Timeline


def play(
    placement: Placement,
    config: HardwareConfig,
    exits: Sequence[int],
    timing: Timing,
    *,
    arrivals: Sequence[int] | None = None,
    work: Sequence[ImageWork] | None = None,
    progress: Callable[[int, int], None] | None = None,
    recorder: Recorder | None = None,
    layout: Layout | None = None,
) -> Timeline:
    """Play images until the last one has exited, and return when everything happened and how often.

    Args:
        placement, config: the chip.
        exits: for each image the timestep after which it exits, 1 to T max.
        timing: how they are played. Timed inputs need an encoder that recomputes.
        arrivals: the cycle at which each image comes; None lets each come when the chip can take it.
        work: what each image makes the chip do, needed where the config lets time depend on values.
        progress: is told, whenever an image exits, how many have and how many there are.
        recorder: is told of all work; of what tiles do inside in the ``reference`` fidelity only.
        layout: the chip's, where it has been made before; plays share it.

    Both fidelities return the same timeline. Raises ImcsimError when the chip locks up, naming the buffers
    that are full.
    """
    refuse_loads(placement)
    if timing.fidelity == "burst" and recorder is None:
        try:
            made = layout or Layout(placement, config)
            return FabricEngine(made, exits, timing, arrivals, work, progress).run()
        except FabricStalled:
            progress = None
    return ProcessEngine(placement, config, exits, timing, arrivals, work, progress, recorder).run()
