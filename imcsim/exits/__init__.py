"""Exit rules: what the checker computes to decide whether an image may leave, one file each.

A rule file says everything about its check in one place: the fixed-point arithmetic (which exits there are),
the operations and cycles of a check (what it costs in energy and time) and the units it is built of (what it
costs in area). It writes integers only. Values are computed without knowing the hardware, and the hardware
does not know the functional side, so rules stand below both: `studies` asks a rule for scores, the checker of
`hardware.components.checker` asks it for operations, cycles and units and puts the chip's prices on them.
"""

from __future__ import annotations

from imcsim.base.plugins import Kind
from imcsim.exits.checked import CheckedRule
from imcsim.exits.entropy import Entropy
from imcsim.exits.margin import Margin
from imcsim.exits.max_softmax import MaxSoftmax
from imcsim.exits.rule import ExitRule

OWN: dict[str, ExitRule] = {"entropy": Entropy(), "max_softmax": MaxSoftmax(), "margin": Margin()}
"""The rules that come with the package, by name; the first is the default."""

RULES: Kind[ExitRule] = Kind("exit_rules", ExitRule, OWN)
"""All exit rules: our own, and those of plug-ins."""


def named(name: str) -> ExitRule:
    """The exit rule of this name. Raises ImcsimError where there is none, or where its plug-in is broken.

    What a plug-in's rule returns is checked whenever it is asked.
    """
    if name in OWN:
        return OWN[name]
    rule, origin = RULES.get(name), RULES.origin(name)
    assert origin is not None
    return CheckedRule(rule, origin)
