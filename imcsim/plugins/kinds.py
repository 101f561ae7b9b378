"""All kinds of parts, and every part that can be used now."""

from __future__ import annotations

from typing import Any

from imcsim.base.plugins import Kind, Origin
from imcsim.exits import RULES
from imcsim.functional.nonideal.cell_errors import CELL_ERRORS
from imcsim.hardware.estimators.estimator import ESTIMATORS
from imcsim.inputs.encodings import ENCODINGS

ALL: tuple[Kind[Any], ...] = (RULES, ESTIMATORS, CELL_ERRORS, ENCODINGS)


def origins() -> list[Origin]:
    """Where the parts of all plug-ins come from, by kind and name. Raises ImcsimError for a lost package."""
    return [origin for kind in ALL for origin in kind.origins()]
