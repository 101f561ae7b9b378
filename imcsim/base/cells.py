"""Cells of comma-separated values that no spreadsheet computes."""

from __future__ import annotations

from typing import Any

_COMPUTED = ("=", "+", "-", "@", "\t", "\r")


def csv_cell(value: Any) -> Any:
    """`value` as a cell: a text that a spreadsheet would take for a formula gets an apostrophe in front.

    Numbers stay as they are, negative ones too, also where they come as text.

    >>> [csv_cell(value) for value in ("=1+1", "-2.5", "-x", -2.5, None, "tile 3")]
    ["'=1+1", '-2.5', "'-x", -2.5, None, 'tile 3']
    """
    if not isinstance(value, str) or not value.startswith(_COMPUTED):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value
