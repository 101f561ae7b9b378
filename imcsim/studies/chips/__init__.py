"""Many programmed chips of one design: what errors of cells, wires and converters do to early exit.

What runs chips is loaded when it is first asked for: documents are read without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imcsim.studies.chips.comparing import Stopped as Stopped
    from imcsim.studies.chips.comparing import compare_chips as compare_chips
    from imcsim.studies.chips.comparing import compare_chips_of as compare_chips_of

_LATER = ("Stopped", "compare_chips", "compare_chips_of")


def __getattr__(name: str) -> Any:
    if name in _LATER:
        from imcsim.studies.chips import comparing

        return getattr(comparing, name)
    raise AttributeError(f"module 'imcsim.studies.chips' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LATER])
