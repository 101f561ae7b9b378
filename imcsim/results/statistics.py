"""Intervals of accuracies and means, as the documents state them: all of them are 95 % intervals."""

from __future__ import annotations

import functools
import math

from imcsim.base.errors import ImcsimError
from imcsim.base.plurals import counted

NORMAL_975 = 1.959963984540054
"""The 97.5 % point of the normal distribution: 95 % intervals reach so many standard deviations. Written out,
since `statistics.NormalDist` misses the nearest float by two units in the last place.
"""


FEW_IMAGES = 1000
"""Images below which accuracies, and fronts of them, say little."""


def few_images(images: int) -> str | None:
    """A sentence on accuracies of so few images; None where there are enough.

    The interval is that of one chip: means over chips have another, which does not follow from the images.
    """
    if images >= FEW_IMAGES:
        return None
    points = math.ceil(1000 * farthest_end(images)) / 10  # a bound: rounded up
    return (
        f"accuracy on {counted(images, 'image')} is uncertain: on one chip its 95 % interval reaches up to "
        f"{points:.1f} points to one side; use {FEW_IMAGES:,} or more"
    )


@functools.cache
def farthest_end(images: int) -> float:
    """How far the 95 % interval of an accuracy on so many images may reach to one side: the most of all
    accuracies that there can be. The intervals of few images are lopsided, and the widest does not reach
    farthest.
    """
    intervals = ((right / images, wilson_interval(right, images)) for right in range(images + 1))
    return max(end for p, (low, high) in intervals for end in (p - low, high - p))


def few_images_sentence(images: int | None) -> str:
    """What `few_images` says, as a sentence for captions and pages; nothing where it says nothing."""
    few = None if images is None else few_images(images)
    return f"{few[0].upper()}{few[1:]}." if few else ""


def wilson_interval(right: int, images: int) -> tuple[float, float]:
    """The 95 % interval of an accuracy of `right` out of `images`, as two fractions.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference, J. Am. Stat.
    Assoc. 22 (1927) 209-212; z = 1.959964 is the 97.5 % point of the normal distribution. Unlike p +- z s it
    stays within [0, 1] and does not shrink to a point at an accuracy of 0 or 1.

    Args:
        right: Images that were classified rightly.
        images: All of them, at least one.

    Raises:
        ImcsimError: Unless 0 <= right <= images and images >= 1.
    """
    if images < 1 or not 0 <= right <= images:
        raise ImcsimError(
            f"no accuracy can be {right} right out of {images} images",
            fix="give 0 to as many as there are images, of which there is at least one",
        )
    z = NORMAL_975
    p = right / images
    centre = p + z * z / (2 * images)
    spread = z * math.sqrt(p * (1 - p) / images + z * z / (4 * images * images))
    scale = 1 + z * z / images
    # Rounding must not push an end past 0, past 1 or past the accuracy itself.
    return max(0.0, min(p, (centre - spread) / scale)), min(1.0, max(p, (centre + spread) / scale))


def paired_interval(gained: int, lost: int, images: int) -> tuple[float, float]:
    """The 95 % interval of the difference of two accuracies on the same images, as two fractions.

    The adjusted Wald interval: one image is added to each kind on which the two differ. Source: D. G. Bonett
    and R. M. Price, J. Educ. Behav. Stat. 37 (2012) 479-488.

    Args:
        gained: Images that only the first run classifies rightly.
        lost: Those that only the second does.
        images: All images.
    """
    up, down = (gained + 1) / (images + 2), (lost + 1) / (images + 2)
    spread = NORMAL_975 * math.sqrt((up + down - (up - down) ** 2) / (images + 2))
    difference = (gained - lost) / images
    # Rounding must not push an end past the difference itself.
    return max(-1.0, min(difference, up - down - spread)), min(1.0, max(difference, up - down + spread))


@functools.cache
def student_975(freedom: int) -> float:
    """The 97.5 % point of Student's t with `freedom` degrees of freedom, to 1e-9 of itself.

    M. Abramowitz and I. A. Stegun, "Handbook of mathematical functions", 1964: the expansion about the normal
    distribution, 26.7.5, and up to 100 degrees, where it is too coarse, the point at which the share within
    +-t, 26.7.3 and 26.7.4, is 95 %.

    Args:
        freedom: Degrees of freedom, at least 1.
    """
    z = NORMAL_975
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    expanded = z + math.fsum(term / freedom**k for k, term in enumerate(terms, 1))
    if freedom > 100:
        return expanded
    low, high = z, 2 * expanded
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _share_within(middle, freedom) < 0.95 else (low, middle)
    return (low + high) / 2


def _share_within(t: float, freedom: int) -> float:
    """How much of Student's t lies within +-t: a finite sum in the cosine of ``atan(t / sqrt(freedom))``."""
    angle = math.atan(t / math.sqrt(freedom))
    cosine, odd = math.cos(angle), freedom % 2
    total, term = 0.0, cosine if odd else 1.0
    for k in range(1 + odd, freedom, 2):
        total += term
        term *= cosine**2 * k / (k + 1)
    total *= math.sin(angle)
    return 2 / math.pi * (angle + total) if odd else total
