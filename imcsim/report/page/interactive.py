"""A part of a page that a script of its own moves, from data that the page holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup


@dataclass(frozen=True)
class Interactive:
    """A part of a page. Without a script it shows its `html` as it is.

    The script finds the part by ``[data-part="NAME"]``, and in it ``script[data-held]`` with `data` as JSON,
    compressed; ``window.imcsimPage`` has ``unpacked(element)``, the text of such an element, and
    ``save(name, blob)``. css and js hold nothing that came from outside.
    """

    name: str
    html: Markup
    css: str
    js: str
    data: Any
