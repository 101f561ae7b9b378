"""The joint choice that is held on images which had no part in it, on made-up images whose truth is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imcsim.reproduction.decisions import paired
from imcsim.reproduction.held import SPARES, held_choice
from imcsim.studies.registers import Judges

LARGEST = 1000


def ways(
    images: int, count: int, seed: int, telling: float
) -> tuple[list[Judges], NDArray[np.bool_], NDArray[np.float64]]:
    """So many ways to exit after one of two timesteps, and which images are right after both.

    The later a word lets an image go, the likelier its early answer is another than the late one; how much
    the word tells of that differs from way to way, and is `telling` in the best.
    """
    rng = np.random.default_rng(seed)
    late = rng.random(images) < 0.8
    unsure = rng.random(images)  # what is true; words see it through noise
    early = np.where(rng.random(images) < 0.4 * unsure, rng.random(images) < 0.55, late)
    cost = np.array([[1.0, 2.0]]).repeat(images, 0)
    found = []
    for k in range(count):
        seen = telling * unsure + (1 - telling) * rng.random(images) if k == 0 else rng.random(images)
        words = np.rint(LARGEST * seen).astype(np.int64)
        needed = np.stack([words, np.zeros_like(words)], axis=1)
        found.append(Judges(needed, np.stack([early, late], axis=1), cost, LARGEST, "one"))
    return found, late, unsure


def test_a_choice_among_many_that_know_nothing_is_not_made_by_chance() -> None:
    """By the count the luckiest of 60 senseless ways lets thousands of images go; held ones lose nothing."""
    lost = []
    for seed in range(3):
        every, late, _ = ways(3000, 60, seed, telling=0.0)
        fresh, fresh_late, _ = ways(30000, 60, 100 + seed, telling=0.0)
        found = held_choice(every, late)
        if found is None:
            continue
        answers = fresh[found.combination].answers(found.words)
        lost.append(paired(answers, fresh_late).low)
    assert min(lost, default=0.0) > -0.01


def test_a_way_that_knows_is_found_and_holds_on_other_images() -> None:
    every, late, _ = ways(4000, 5, 1, telling=1.0)
    found = held_choice(every, late)
    assert found is not None
    assert found.combination == 0
    assert found.spare in SPARES
    way = every[0]
    assert way.mean_cost(found.words) < 1.95  # some exit early
    assert way.answers(found.words).sum() >= late.sum() + found.spare * len(late) - 1e-9
    fresh, fresh_late, _ = ways(40000, 1, 2, telling=1.0)
    assert paired(fresh[0].answers(found.words), fresh_late).low > -0.005


def test_few_images_hold_nothing() -> None:
    every, late, _ = ways(60, 5, 1, telling=1.0)
    assert held_choice(every, late) is None


def test_progress_is_told() -> None:
    every, late, _ = ways(1500, 3, 4, telling=1.0)
    told: list[tuple[str, int, int]] = []
    held_choice(every, late, lambda *one: told.append(one), "here")
    assert told == [("here", k, 6) for k in range(1, 7)]
