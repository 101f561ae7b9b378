"""All exits of one image from one play of a chip that runs ahead are what a play for each of them gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from networks import random_network
from random_chips import any_network, changed, chips, random_work

from imcsim.base.errors import ImcsimError
from imcsim.hardware.config import HardwareConfig
from imcsim.mapping import Placement, place
from imcsim.simulation import schedule as schedules
from imcsim.simulation.schedule import Schedule, schedule
from imcsim.timing import Layout, Timing, parse
from imcsim.timing.fabric import one_image
from imcsim.timing.fabric.one_image import exits_of, playable

CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
BOTH = ("dtsnn_32nm", "spikesim_65nm")


def played(placement: Placement, config: HardwareConfig, timing: Timing, **about: Any) -> Schedule | str:
    try:
        return schedule(placement, config, timing, workers=1, **about)
    except ImcsimError as error:
        return str(error)


def one_by_one(placement: Placement, config: HardwareConfig, timing: Timing, **about: Any) -> Schedule | str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schedules, "playable", lambda *_: False)
        return played(placement, config, timing, **about)


def same(one: Schedule | str, other: Schedule | str) -> None:
    if isinstance(one, str) or isinstance(other, str):
        assert one == other
        return
    for key in ("departure", "check", "busy_cycles", "layer_cycles"):
        np.testing.assert_array_equal(getattr(one, key), getattr(other, key), err_msg=key)
    assert one.fixed.keys() == other.fixed.keys()
    for a, b in [(one.begun, other.begun), *((one.fixed[e], other.fixed[e]) for e in one.fixed)]:
        np.testing.assert_array_equal(a.longest, b.longest)
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def check_anything(data: st.DataObject) -> None:
    network = data.draw(any_network(max_size=5, timesteps=7))
    skips, coding = data.draw(st.booleans()), data.draw(st.sampled_from(("aer", "bitmap")))
    config = data.draw(chips(BOTH, activity__skip_zero_reads=skips, activity__spike_coding=coding))
    placement, timesteps = place(network, config), data.draw(st.integers(1, 7))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    valued = skips or coding == "aer" or data.draw(st.booleans())
    about: dict[str, Any] = {
        "work": random_work(rng, placement, 2, timesteps, 0.4) if valued else None,
        "dynamic": data.draw(st.booleans()),
        "exits": data.draw(st.none() | st.sets(st.integers(1, timesteps))),
    }
    policy = parse(data.draw(st.sampled_from(("pipeline", "speculate"))))
    timed = config.encoder.mode == "recompute" and data.draw(st.booleans())
    timing = Timing(timesteps, policy, timed=timed)
    same(played(placement, config, timing, **about), one_by_one(placement, config, timing, **about))


@given(st.data())
@settings(deadline=None, max_examples=60, derandomize=True, suppress_health_check=CHECKS)
def test_any_network_chip_and_work(data: st.DataObject) -> None:
    check_anything(data)


@pytest.mark.slow
@given(st.data())
@settings(deadline=None, max_examples=2000, derandomize=False, suppress_health_check=CHECKS)
def test_many_networks_chips_and_works(data: st.DataObject) -> None:
    check_anything(data)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("policy", ["pipeline", "speculate"])
def test_more_timesteps_than_there_was_room_for(policy: str, dynamic: bool) -> None:
    """Links so slow that many timesteps are under way in front of the last layer."""
    config = changed("dtsnn_32nm", {"cells.rows": 8, "encoder.mode": "recompute", "noc.hop_cycles": 9})
    placement = place(random_network(np.random.default_rng(1), residual=True, depth=4, size=6), config)
    timing = Timing(30, parse(policy))
    about: dict[str, Any] = {"dynamic": dynamic}
    same(played(placement, config, timing, **about), one_by_one(placement, config, timing, **about))


@pytest.mark.parametrize("gating", ["none", "idle_tiles"])
def test_the_work_grows_with_the_timesteps(gating: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not with their square: no exit plays what came before it once more."""
    from imcsim.timing.fabric.kernels import cycles

    config = changed("dtsnn_32nm", {"encoder.mode": "recompute", "clock.gating": gating})
    placement = place(random_network(np.random.default_rng(1), size=6), config)
    layout = Layout(placement, config)
    assert playable(layout, Timing(4, parse("pipeline")))
    calls, rows = [0], [0]
    advance, powered = cycles.advance, one_image.powered_cycles

    def swept(table: Any) -> Any:
        rows[0] += len(table)
        return powered(table)

    def counted(*arguments: Any) -> Any:
        calls[0] += 1
        return advance(*arguments)

    monkeypatch.setattr(cycles, "advance", counted)
    monkeypatch.setattr(one_image, "powered_cycles", swept)
    found, found_rows = [], []
    for timesteps in (20, 40, 80):
        calls[0] = rows[0] = 0
        timing = Timing(timesteps, parse("pipeline"))
        _, shorter = exits_of(layout, timing, None, dynamic=False, shown=range(1, timesteps))
        assert len(shorter) == timesteps - 1
        assert (np.diff([run.verdict[-1] for run in shorter]) > 0).all()
        assert max(run.exit - run.first for run in shorter) < 4
        found.append(calls[0])
        found_rows.append(rows[0])
    assert found[2] - found[1] < 2.1 * (found[1] - found[0])
    assert found_rows[2] - found_rows[1] <= 2.1 * (found_rows[1] - found_rows[0])
    assert (found_rows[0] > 0) == (gating == "idle_tiles")
