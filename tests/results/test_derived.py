"""Figures that follow from others, in documents whose figures contradict each other."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from imcsim.results.model import DocumentPart, derived


class Rate(DocumentPart):
    images: int
    seconds: float
    images_per_s: float = derived(lambda part: part.images / part.seconds, "is not images / seconds")


def test_a_figure_that_cannot_be_computed_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="images_per_s does not follow from the figures beside it"):
        Rate(images=3, seconds=0.0)
    assert Rate(images=3, seconds=1.5).images_per_s == 2.0
