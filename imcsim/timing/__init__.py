"""The timing floor: the chip as SimPy processes and resources, in integer cycles.

`play` runs one image and returns its `Timeline`. The fidelity is ``reference``: every crossbar read, every packet and
every check is played.
"""

from imcsim.timing.engine import play
from imcsim.timing.timeline import Timeline

__all__ = ["Timeline", "play"]
