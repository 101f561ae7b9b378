"""Tables and figures of runs over many timesteps: sampled and binned, so that they can be read."""

from __future__ import annotations

import math
from io import StringIO
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_results import compare_result

from imcsim.report.figures import comparison as figures
from imcsim.report.sampling import ALL_SHOWN, MOST_BINS, exit_bins, shown_timesteps
from imcsim.report.terminal.tables import compare_report, console
from imcsim.report.units import thresholds


@given(st.integers(1, 4096))
def test_shown_timesteps_begin_at_one_end_at_the_last_and_are_few(last: int) -> None:
    shown = shown_timesteps(last)
    assert shown[0] == 1
    assert shown[-1] == last
    assert list(shown) == sorted(set(shown))
    assert len(shown) <= ALL_SHOWN
    assert last > ALL_SHOWN or shown == tuple(range(1, last + 1))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=500))
def test_bins_hold_every_timestep_once(shares: list[float]) -> None:
    bins = exit_bins(shares)
    assert len(bins) <= MOST_BINS
    assert bins[0].first == 1
    assert bins[-1].last == len(shares)
    assert all(one.last + 1 == other.first for one, other in pairwise(bins))
    assert math.fsum(one.share for one in bins) == pytest.approx(math.fsum(shares))
    if len(shares) <= ALL_SHOWN:
        assert [one.share for one in bins] == shares


def test_a_report_of_a_hundred_timesteps_is_as_long_as_one_of_sixteen() -> None:
    lengths = {}
    for timesteps in (16, 100):
        text = StringIO()
        console(text).print(compare_report(compare_result(timesteps=timesteps)))
        lengths[timesteps] = len(text.getvalue().splitlines())
    assert lengths[100] <= lengths[16]
    assert " 96-100 " in text.getvalue()
    assert "T=100, wait" in text.getvalue()
    assert "T=33, wait" not in text.getvalue()


def test_bars_of_a_hundred_timesteps_are_bins() -> None:
    made = figures.exit_histogram([0.01] * 100, 50.5)
    (axes,) = made.axes
    assert len(axes.patches) == 20
    assert {round(bar.get_height(), 9) for bar in axes.patches} == {5.0}
    assert axes.get_xlabel() == "exit timestep, 5 in a bar"
    few = figures.exit_histogram([0.25] * 4, 2.5)
    assert [bar.get_x() + bar.get_width() / 2 for bar in few.axes[0].patches] == [1, 2, 3, 4]


def test_many_thresholds_are_shortened() -> None:
    assert thresholds([0.5] * 3) == "0.5, 0.5, 0.5"
    assert thresholds([k / 99 for k in range(99)]) == "0, 0.0101, 0.0202, ..., 0.9899 (99)"
