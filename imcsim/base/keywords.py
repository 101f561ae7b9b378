"""Functions that answer a misspelt keyword with the one that was meant."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
from typing import ParamSpec, TypeVar

from imcsim.base.names import suggestion

Given = ParamSpec("Given")
Result = TypeVar("Result")


def known_keywords(function: Callable[Given, Result]) -> Callable[Given, Result]:
    """Let `function` raise a TypeError for a keyword that it does not have which asks whether the nearest one
    was meant, and lists those that there are. Its signature stays as it is.

    >>> @known_keywords
    ... def compare(model: str = "", *, threshold: float = 0.3) -> None: ...
    >>> compare(threshhold=1)
    Traceback (most recent call last):
    TypeError: compare() has no keyword 'threshhold' (did you mean 'threshold'?); it has model, threshold
    """
    by_name = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    known = [
        one.name
        for one in signature(function).parameters.values()
        if one.kind in by_name and one.name != "self"
    ]
    name = function.__qualname__.removesuffix(".__init__")

    @wraps(function)
    def called(*values: Given.args, **keywords: Given.kwargs) -> Result:
        for word in keywords:
            if word not in known:
                guess = suggestion(word, known)
                meant = f" ({guess})" if guess else ""
                raise TypeError(f"{name}() has no keyword {word!r}{meant}; it has {', '.join(known)}")
        return function(*values, **keywords)

    return called
