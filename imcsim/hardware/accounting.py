"""Which events an inference pays for: all of them, or a guess of how DT-SNN's paper counts.

``every_event`` is what a chip takes. ``peripherals_once`` is a hypothesis: DT-SNN's energy grows 4.9 times
from T = 1 to T = 8 while its latency grows 8 times, and it would if its digital peripherals were charged in
the first timestep of an image only. Nothing on a chip works so.
"""

from __future__ import annotations

from typing import Literal

Accounting = Literal["every_event", "peripherals_once"]

PERIPHERALS = frozenset(
    {
        "wordline_driver", "shift_add", "adder_tree", "registers", "pe_buffer", "tile_buffer",
        "global_buffer", "accumulator", "row_counter", "output_store",
    }
)  # fmt: skip
"""Components that are DT-SNN's digital peripherals: input switching, buffers, accumulators."""

HYPOTHESIS = (
    "accounting is peripherals_once: digital peripherals are charged in the first timestep of an image only, "
    "a hypothesis about DT-SNN's paper; a chip takes more energy than these figures say"
)
"""What every report of such a chip says."""
