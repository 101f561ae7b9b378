"""Copies of a whole chip behind a dispatcher: which image goes where, and when."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from networks import random_network, vgg_like
from random_chips import POLICIES, assert_same, changed

from imcsim.base.errors import ImcsimError
from imcsim.hardware.config import HardwareConfig
from imcsim.mapping import Placement, place
from imcsim.network.graph import Network
from imcsim.timing import Timeline, Timing, parse, play, play_copies

NET = random_network(np.random.default_rng(4), size=4, channels=3, depth=2, timesteps=3)
CHIP = changed("dtsnn_32nm", {"cells.rows": 16})
PLACED = place(NET, CHIP)


def copies_of(
    number: int,
    exits: list[int],
    policy: str = "wait",
    *,
    fidelity: str = "burst",
    placed: Placement = PLACED,
    config: HardwareConfig = CHIP,
    **about: Any,
) -> Timeline:
    timing = Timing(3, parse(policy), fidelity)  # type: ignore[arg-type]
    return play_copies(placed, config, exits, timing, number, **about)


def exits_of(rng: np.random.Generator, images: int, policy: str) -> list[int]:
    return [3] * images if policy == "pipeline" else [int(n) for n in rng.integers(1, 4, images)]


@pytest.mark.parametrize("policy", POLICIES)
def test_one_copy_is_the_chip_itself(policy: str) -> None:
    exits = exits_of(np.random.default_rng(1), 7, policy)
    cycles = [0, 10, 20, 2000, 2001, 2002, 9000]
    for arrivals in (None, cycles):
        plain = play(PLACED, CHIP, exits, Timing(3, parse(policy)), arrivals=arrivals)
        assert_same(plain, copies_of(1, exits, policy, arrivals=arrivals))


@pytest.mark.parametrize("seed", range(3))
def test_each_image_goes_to_the_copy_that_is_free_earliest(seed: int) -> None:
    """Under `wait` an image takes as long as it does alone, so that a list says who is free when."""
    rng = np.random.default_rng(seed)
    exits = exits_of(rng, 12, "wait")
    alone = {t: play(PLACED, CHIP, [t], Timing(3)).cycles for t in (1, 2, 3)}
    for arrivals in (None, [int(n) for n in np.cumsum(rng.integers(0, 900, 12))]):
        line = copies_of(3, exits, arrivals=arrivals)
        free, begins, ends = [0, 0, 0], [], []
        for image, exit_after in enumerate(exits):
            copy = min(range(3), key=lambda k: free[k])
            begins.append(max(free[copy], 0 if arrivals is None else arrivals[image]))
            ends.append(begins[-1] + alone[exit_after])
            free[copy] = ends[-1]
        assert line.departure.tolist() == ends
        assert [int(line.issued[line.image == k].min()) for k in range(12)] == begins
        assert line.arrival.tolist() == (begins if arrivals is None else arrivals)


@pytest.mark.parametrize("policy", POLICIES)
def test_copies_share_the_work(policy: str) -> None:
    exits = [3] * 8
    one, two, eight = (copies_of(n, exits, policy) for n in (1, 2, 8))
    assert two.cycles < 0.75 * one.cycles
    # Eight copies have an image each, which takes as long as it does alone.
    assert eight.cycles == play(PLACED, CHIP, [3], Timing(3, parse(policy))).cycles
    assert eight.busy_cycles.tolist() == (8 * copies_of(1, [3], policy).busy_cycles).tolist()
    for line in (one, two, eight):
        assert sorted(line.image[line.verdict >= 0].tolist()) == sorted([*range(8)] * 3)
    assert (two.counts.sum(axis=0) == one.counts.sum(axis=0)).all()


def test_more_copies_than_images() -> None:
    line = copies_of(4, [2])
    assert_same(line, copies_of(1, [2]))


@given(
    st.integers(2, 3),
    st.sampled_from(POLICIES),
    st.lists(st.integers(0, 3000), min_size=1, max_size=5),
    st.booleans(),
    st.integers(0, 99),
)
@settings(deadline=None, max_examples=15, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_fidelities_agree(number: int, policy: str, gaps: list[int], closed: bool, seed: int) -> None:
    exits = exits_of(np.random.default_rng(seed), len(gaps), policy)
    arrivals = None if closed else [int(n) for n in np.cumsum(gaps)]
    assert_same(
        *(
            copies_of(number, exits, policy, fidelity=kind, arrivals=arrivals)
            for kind in ("reference", "burst")
        )
    )


def test_copies_of_a_package_hear_of_progress() -> None:
    net: Network = vgg_like(np.random.default_rng(0), plan=(4, "M", 8), size=6, classes=3, timesteps=3)
    config = changed("dtsnn_32nm", {"cells.rows": 16, "package.chips": 2})
    placed = place(net, config)
    told: list[tuple[int, int]] = []
    lines = [
        copies_of(2, [1, 2, 3, 1], "speculate", fidelity=kind, placed=placed, config=config, **more)
        for kind, more in (("reference", {}), ("burst", {"progress": lambda *n: told.append(n)}))
    ]
    assert_same(*lines)
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert lines[0].package_cycles > 0


def test_a_lock_up_is_said_whichever_copy_it_is() -> None:
    from test_fidelity import shortcut_past

    config = changed("dtsnn_32nm", {"tile_buffer.capacity_bytes": 256, "tile.output_rows": 1})
    placed = place(shortcut_past(5), config)
    for kind in ("reference", "burst"):
        with pytest.raises(ImcsimError, match="locks up at cycle"):
            copies_of(2, [2, 2, 2], fidelity=kind, placed=placed, config=config)
