"""What a plug-in is made of: the classes that its parts are of, in one place.

A plug-in is a Python file or an installed package that offers parts by name: exit rules, estimators, models
of cell errors, encodings of inputs. See docs/plugins.md, and examples/plugin for a package with one of each.
The contracts that parts keep stand in `imcsim.plugins.contracts`; ``imcsim plugins check NAME`` runs them.
"""

from __future__ import annotations

from imcsim.exits.numerics import CheckerNumerics
from imcsim.exits.outputs import ClassOutputs
from imcsim.exits.rule import CheckWork, ExitRule, Units, final
from imcsim.functional.nonideal.cell_errors import CellErrors, Programming
from imcsim.hardware.estimators.estimator import EstimatedFigures, Estimator
from imcsim.inputs.encoding import FrameEncoding

__all__ = [
    "CellErrors",
    "CheckWork",
    "CheckerNumerics",
    "ClassOutputs",
    "EstimatedFigures",
    "Estimator",
    "ExitRule",
    "FrameEncoding",
    "Programming",
    "Units",
    "final",
]  # fmt: skip
