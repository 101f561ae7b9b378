"""Figures for tests of what stands beside them: each is drawn once, which is several times as fast."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from matplotlib.figure import Figure

from imcsim.report.figures import drawing
from imcsim.report.figures.drawing import Format


def draw_roughly(patch: pytest.MonkeyPatch) -> None:
    """Draw SVG files alone, without a layout: PDF and PNG files hold nothing but their first bytes."""
    patch.setattr(drawing, "_files", _rough)


def _rough(figure: Figure, formats: Iterable[Format], *about: Any) -> dict[Format, bytes]:
    figure.set_layout_engine(None)
    svg = drawing._bytes(figure, "svg", *about)
    files: dict[Format, bytes] = {"svg": svg, "pdf": b"%PDF-", "png": b"\x89PNG"}
    return {kind: files[kind] for kind in formats}
