"""Public functions answer a misspelt keyword with the one that was meant, and stay inspectable."""

from __future__ import annotations

import doctest
import inspect
from collections.abc import Callable
from typing import Any

import pytest

import imcsim
import imcsim.api
import imcsim.base.keywords

FUNCTIONS: list[Callable[..., Any]] = [
    imcsim.compare, imcsim.compare_chips, imcsim.run, imcsim.stream, imcsim.sweep, imcsim.from_torch,
    imcsim.load_result, imcsim.Monitor,
]  # fmt: skip


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_a_misspelt_keyword_is_answered_with_those_that_there_are(function: Callable[..., Any]) -> None:
    known = list(inspect.signature(function).parameters)
    for word in known:
        with pytest.raises(TypeError) as caught:
            function(**{word + "q": 1})
        said = str(caught.value)
        assert said.startswith(f"{function.__name__}() has no keyword '{word}q' (did you mean '{word}'?)")
        assert said.endswith("; it has " + ", ".join(known))
    with pytest.raises(TypeError, match=r"has no keyword 'zzz'; it has"):
        function(zzz=1)


def test_all_public_functions_are_tried() -> None:
    assert {one.__name__ for one in FUNCTIONS} == set(imcsim.__all__)


def test_signatures_keep_their_defaults_and_annotations() -> None:
    parameters = inspect.signature(imcsim.compare).parameters
    assert parameters["threshold"].default is None
    assert parameters["issue"].default == "wait"
    assert parameters["threshold"].kind is inspect.Parameter.KEYWORD_ONLY
    assert inspect.signature(imcsim.compare).return_annotation == "CompareResult"
    assert inspect.getsourcefile(inspect.unwrap(imcsim.compare)) == inspect.getsourcefile(imcsim.api)


def test_other_mistakes_stay_pythons_own() -> None:
    with pytest.raises(TypeError, match="positional argument"):
        imcsim.from_torch()  # type: ignore[call-arg]


def test_the_example_runs() -> None:
    found = doctest.testmod(imcsim.base.keywords)
    assert (found.failed, found.attempted) == (0, 2)
