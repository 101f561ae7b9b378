"""Guesses at misspelt names: one style, made in one place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import imcsim
from imcsim.base.names import did_you_mean, suggestion


@pytest.mark.parametrize(
    ("word", "otherwise", "said"),
    [
        ("adc.bitz", "", "did you mean 'adc.bits'?"),
        ("ADC.BITS", "", "did you mean 'adc.bits'?"),
        ("quite another", "use adc.bits", "use adc.bits"),
        ("quite another", "", ""),
        (5, "write a word", "write a word"),
        ("x" * 1000, "shorten it", "shorten it"),
    ],
)
def test_the_nearest_name_is_suggested_or_else_what_to_do(word: object, otherwise: str, said: str) -> None:
    assert suggestion(word, ["adc.bits", "noc.flit_bits"], otherwise) == said


def test_all_that_begin_with_a_word_are_suggested_unless_one_is_near() -> None:
    known = ["vgg16_running_cifar10", "vgg7_cifar10", "resnet20"]
    assert suggestion("vgg", known) == "did you mean 'vgg7_cifar10' or 'vgg16_running_cifar10'?"
    assert suggestion("vgg7_cifar1", known) == "did you mean 'vgg7_cifar10'?"


def test_several_names_may_have_been_meant() -> None:
    assert did_you_mean(["a", "b"]) == "did you mean 'a' or 'b'?"


def test_no_other_module_words_a_guess_of_its_own() -> None:
    package = Path(imcsim.__file__).parent
    found = [
        file.relative_to(package).as_posix()
        for file in package.rglob("*.py")
        if re.search(r"[\"']did you mean", file.read_text("utf-8"))
    ]
    assert found == ["base/names.py"]
