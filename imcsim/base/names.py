"""What error messages have in common: guesses at misspelt names, and values shown briefly."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

_LONGEST_WORD = 100
_LONGEST_SHOWN = 60
_SHORTEST_BEGINNING = 3
_MOST_GUESSES = 4


def nearest(word: str, known: Iterable[str], *, likeness: float = 0.6) -> str | None:
    """The name in `known` that looks most like `word`, else the shortest that begins with it, else None.

    Upper and lower case, ``-`` and ``_`` count as the same. Words of more than 100 characters get no guess.
    Of two words, `likeness` is the least share of their letters that stand in both in the same order.
    """
    return next(iter(_alike(word, known, likeness)), None)


def suggestion(word: object, known: Iterable[str], otherwise: str = "") -> str:
    """The fix for an unknown name: ``did you mean 'adc.bits'?`` for the nearest, or for those that begin with
    it, else `otherwise`.
    """
    close = _alike(word, known) if isinstance(word, str) else []
    return did_you_mean(close[:_MOST_GUESSES]) if close else otherwise


def did_you_mean(names: Iterable[str]) -> str:
    """The question whether one of these names was meant: ``did you mean 'adc.bits' or 'dac.bits'?``."""
    *others, last = map(repr, names)
    return f"did you mean {', '.join(others)}{' or ' if others else ''}{last}?"


def shown(value: Any) -> str:
    """`value`, as read from a file, in one short line of plain words."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            return "the text " + repr(
                value if len(value) <= _LONGEST_SHOWN else value[:_LONGEST_SHOWN] + "..."
            )
        case dict():
            return "a section"
        case list():
            return "a list of one entry" if len(value) == 1 else f"a list of {len(value)} entries"
        case _:
            text = " ".join(repr(value).split())
            return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "..."


def refusal(detail: Mapping[str, Any]) -> str:
    """What is wrong with a value, from one of the errors of pydantic: in our words, without its prefixes."""
    match detail["type"]:
        case "value_error" | "assertion_error":
            return str(detail["ctx"]["error"]) or "the value is refused"
        case "missing":
            return "the key is missing"
        case "extra_forbidden":
            return "unknown key"
        case _:
            return str(detail["msg"]).replace("Input should be", "expected")


def _alike(word: str, known: Iterable[str], likeness: float = 0.6) -> list[str]:
    """The name that looks most like a word, else those that begin with it, the shortest first."""
    if len(word) > _LONGEST_WORD:
        return []
    by_plain = {_plain(name): name for name in sorted(known)}
    close = difflib.get_close_matches(_plain(word), by_plain, n=1, cutoff=likeness)
    if not close and len(word) >= _SHORTEST_BEGINNING:
        close = sorted((name for name in by_plain if name.startswith(_plain(word))), key=len)
    return [by_plain[one] for one in close]


def _plain(word: str) -> str:
    return word.casefold().replace("-", "_")
