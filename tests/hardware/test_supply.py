"""Another supply than the node's: what follows it, and how."""

from __future__ import annotations

import pytest

import imcsim.hardware
from imcsim.base.errors import ImcsimError
from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.estimators.supply import delay_ratio
from imcsim.hardware.events import Event


def chip(volt: float | str, **changes: object) -> HardwareConfig:
    more = {key.replace("__", "."): value for key, value in changes.items()}
    return imcsim.hardware.load("estimated", {"technology.supply_v": volt, **more}).config


NOMINAL, LOWER = chip("nominal"), chip(0.72)


def test_the_node_s_own_supply_changes_nothing() -> None:
    same = chip(0.9)
    for (name, component), (_, other) in zip(same.components(), NOMINAL.components(), strict=True):
        assert component.charges(same) == other.charges(NOMINAL), name
        assert component.leakage_uw(same) == other.leakage_uw(NOMINAL), name
    plain = imcsim.hardware.load("dtsnn_32nm")
    assert imcsim.hardware.load("dtsnn_32nm", {"technology.supply_v": "nominal"}).sha256 == plain.sha256
    assert imcsim.hardware.load("dtsnn_32nm", {"technology.supply_v": 0.9}).sha256 != plain.sha256


@pytest.mark.parametrize(
    ("block", "event"),
    [
        ("wordline_driver", Event.ACTIVE_WORDLINES),
        ("adc", Event.CONVERSIONS),
        ("shift_add", Event.SHIFT_ADDS),
        ("tile_buffer", Event.TILE_BUFFER_READ_BITS),
        ("noc", Event.FLIT_HOPS),
        ("noc", Event.NOC_VALUE_BITS),
        ("state_memory", Event.MEMBRANE_WRITE_BITS),
        ("lif", Event.LIF_UPDATES),
        ("sample_hold", Event.CONVERSIONS),
        ("checker", Event.CHECKER_EXP_LOOKUPS),
    ],
)
def test_switching_goes_with_the_square(block: str, event: Event) -> None:
    low, nominal = (getattr(c, block).charges(c)[event] for c in (LOWER, NOMINAL))
    assert low / nominal == pytest.approx(0.8**2)


def test_currents_and_static_power_are_proportional() -> None:
    low, nominal = (c.clamp.charges(c)[Event.CONVERSIONS] for c in (LOWER, NOMINAL))
    assert low / nominal == pytest.approx(0.8)
    for name in ("adc", "noc", "tile_buffer", "lif"):
        low, nominal = (getattr(c, name).leakage_uw(c) for c in (LOWER, NOMINAL))
        assert low / nominal == pytest.approx(0.8), name
    low, nominal = (c.clock.standing_energy_pj(c) for c in (LOWER, NOMINAL))
    assert low / nominal == pytest.approx(0.8**2)


def test_delays_of_gates_follow_the_alpha_power_law() -> None:
    low, nominal = (chip(v, adc__preset="neurosim_sar").adc for v in (0.72, "nominal"))
    ratio = low.used.time_ns(chip(0.72)) / nominal.used.time_ns(NOMINAL)
    assert ratio == pytest.approx(0.8 / ((0.8 - 0.4) / 0.6) ** 1.3)
    assert delay_ratio(1.0) == 1.0
    # A clamp settles by its own bandwidth.
    assert LOWER.cells.pulse_ns(LOWER) == NOMINAL.cells.pulse_ns(NOMINAL)


def test_given_figures_stay() -> None:
    one = chip(0.72, wordline_driver__row_energy_pj=1.5)
    assert one.wordline_driver.charges(one)[Event.ACTIVE_WORDLINES] == 1.5


def test_a_supply_below_the_threshold_is_refused() -> None:
    with pytest.raises(ImcsimError, match="below the threshold"):
        chip(0.3, adc__preset="neurosim_sar").adc.cycles(chip(0.3, adc__preset="neurosim_sar"))
