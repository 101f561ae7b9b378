"""Counts in words: one image, but several images."""

from __future__ import annotations


def counted(number: int, noun: str, several: str | None = None) -> str:
    """`number` and the noun in its number; `several` is its plural where that is not the noun and an s.

    >>> counted(1, "image"), counted(1000, "image"), counted(0, "axis", "axes")
    ('1 image', '1,000 images', '0 axes')
    """
    return f"{number:,} {noun if number == 1 else several or noun + 's'}"
