"""The timing floor: the chip as SimPy processes and resources, in integer cycles.

`play` runs images and returns their `Timeline`, in one of two fidelities that agree to the cycle:
``reference`` plays every crossbar read, ``burst`` (the default) a row of reads at once.
"""

from imcsim.timing.dispatch import play_copies
from imcsim.timing.fabric.layout import Layout
from imcsim.timing.image_work import ImageWork
from imcsim.timing.issue import Issue, Timing, parse
from imcsim.timing.occupancy import RESOURCES, Occupancy, Resource, occupancies
from imcsim.timing.player import play
from imcsim.timing.recorder import Recorder, Slice
from imcsim.timing.timeline import EVENT_INDEX, EVENTS, Timeline, layer_names

__all__ = [
    "EVENTS",
    "EVENT_INDEX",
    "RESOURCES",
    "ImageWork",
    "Issue",
    "Layout",
    "Occupancy",
    "Recorder",
    "Resource",
    "Slice",
    "Timeline",
    "Timing",
    "layer_names",
    "occupancies",
    "parse",
    "play",
    "play_copies",
]
