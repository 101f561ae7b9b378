"""Contracts of parts: what every exit rule, estimator, cell error and encoding keeps, ours and a plug-in's.

Our tests hold our own parts to them; ``imcsim plugins check NAME`` holds a plug-in's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from imcsim.base.errors import ImcsimError
from imcsim.base.plugins import Origin
from imcsim.plugins.contracts.cell_errors import cell_errors_contract
from imcsim.plugins.contracts.encodings import encoding_contract
from imcsim.plugins.contracts.estimators import estimator_contract
from imcsim.plugins.contracts.exit_rules import exit_rule_contract
from imcsim.plugins.contracts.finding import Finding
from imcsim.plugins.kinds import ALL

CONTRACTS: dict[str, Callable[[Any, Origin | None], list[Finding]]] = {
    "exit_rules": exit_rule_contract,
    "estimators": estimator_contract,
    "cell_errors": cell_errors_contract,
    "encodings": encoding_contract,
}


def check(name: str) -> list[tuple[str, Origin | None, list[Finding]]]:
    """Hold every part called `name` to its contract: its kind, where it comes from, what was found.

    Raises ImcsimError where there is no such part, and where its plug-in cannot be loaded.
    """
    kinds = [kind for kind in ALL if name in kind.names()]
    if not kinds:
        known = sorted({known for kind in ALL for known in kind.names()})
        raise ImcsimError(f"there is no part {name[:100]!a}", fix=f"known are {', '.join(known)}")
    found = []
    for kind in kinds:
        part, origin = kind.get(name), kind.origin(name)
        found.append((kind.word, origin, CONTRACTS[kind.kind](part, origin)))
    return found
