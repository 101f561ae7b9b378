"""One clause of a contract, and whether a part keeps it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from imcsim.base.errors import ImcsimError
from imcsim.base.plugins import Origin, blamed


@dataclass(frozen=True)
class Finding:
    """clause: what is asked, as a sentence. problem: how it is broken, None where it is kept."""

    clause: str
    problem: str | None = None


class BrokenContractError(Exception):
    """A clause is not kept; the message says how."""


def hold(condition: object, problem: str) -> None:
    """Say that a clause is broken unless `condition` holds."""
    if not condition:
        raise BrokenContractError(problem)


def findings(clauses: Iterable[Callable[[], None]], origin: Origin | None) -> list[Finding]:
    """Try the clauses one by one; the sentence of each is its docstring."""
    found = []
    for clause in clauses:
        text = " ".join((clause.__doc__ or clause.__name__).split())
        try:
            with blamed(origin):
                try:
                    clause()
                except BrokenContractError as broken:
                    found.append(Finding(text, str(broken)))
                    continue
        except ImcsimError as error:
            found.append(Finding(text, str(error)))
            continue
        found.append(Finding(text))
    return found
