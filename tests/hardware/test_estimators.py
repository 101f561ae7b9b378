"""Estimators: published figures come out, and what lies between and beyond them behaves."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imcsim.base.errors import ImcsimError
from imcsim.hardware.estimators import adc, array, logic, memory, nodes, periphery, wires
from imcsim.hardware.estimators.figures import figures
from imcsim.hardware.estimators.leakage import logic_leakage_uw_per_um2
from imcsim.hardware.quantity import MARKS

NODES = st.floats(min_value=7, max_value=180)
RATE_HZ = 1e9


# Nodes


@pytest.mark.parametrize(
    ("from_nm", "to_nm", "published"),
    [(45, 32, 0.46), (65, 32, 0.31), (65, 45, 0.66), (90, 65, 0.53), (32, 7, 0.13), (180, 7, 0.0032)],
)
def test_area_ratios_agree_with_the_paper_s_two_digits(
    from_nm: float, to_nm: float, published: float
) -> None:
    assert nodes.area_ratio(from_nm, to_nm) == pytest.approx(published, rel=0.035)


def test_energy_ratios_follow_the_polynomials() -> None:
    # a V^2 + b V + c at 1.1 V (65 nm) and 0.9 V (32 nm), written out.
    at_65 = 3.755 * 1.1**2 - 4.398 * 1.1 + 1.975
    at_32 = 0.8367 * 0.9**2 - 0.4341 * 0.9 + 0.1701
    assert nodes.energy_ratio(65, 32) == pytest.approx(at_32 / at_65)


@settings(deadline=None, max_examples=40)
@given(NODES, NODES, NODES)
def test_scaling_over_a_third_node_is_scaling(a: float, b: float, c: float) -> None:
    for ratio in (nodes.area_ratio, nodes.energy_ratio):
        assert ratio(a, b) * ratio(b, c) == pytest.approx(ratio(a, c))
        assert ratio(a, a) == pytest.approx(1)


@settings(deadline=None, max_examples=40)
@given(NODES, NODES)
def test_a_smaller_node_is_smaller_and_cheaper(a: float, b: float) -> None:
    small, large = sorted((a, b))
    assert nodes.area_ratio(large, small) <= 1 + 1e-12
    assert nodes.energy_ratio(large, small) <= 1 + 1e-12


@pytest.mark.parametrize("node", [6.9, 250.0])
def test_nodes_beyond_the_table_are_refused(node: float) -> None:
    with pytest.raises(ImcsimError, match="7 to 180 nm") as caught:
        nodes.area_ratio(node, 32)
    assert caught.value.key == "technology.node_nm"


def test_a_line_in_the_logarithms_is_a_power_law() -> None:
    points = {2.0: 3 * 2**1.7, 5.0: 3 * 5**1.7, 9.0: 3 * 9**1.7}
    for x in (0.5, 2.0, 3.3, 7.0, 40.0):
        assert nodes.loglog(points, x) == pytest.approx(3 * x**1.7)


# Converters


@pytest.mark.parametrize(
    ("bits", "node", "published"), [(4, 32, 0.92), (8, 32, 1.71), (4, 65, 3.50), (8, 65, 6.49)]
)
def test_the_survey_fit_gives_its_published_figures(bits: int, node: float, published: float) -> None:
    assert adc.survey_fit(bits, RATE_HZ, node).cost.energy_pj == pytest.approx(published, rel=0.005)
    # Up to 1 GS/s the resolution bounds it, so slower is not cheaper.
    assert adc.survey_fit(bits, 1e7, node).cost.energy_pj == pytest.approx(published, rel=0.005)


def test_the_survey_fit_s_area_is_its_equation() -> None:
    cost = adc.survey_fit(8, 1.2e9, 32).cost
    area = math.exp(1.346 + 0.993 * math.log(32) + 0.181 * math.log(1.2e9) + 0.299 * math.log(cost.energy_pj))
    assert cost.area_um2 == pytest.approx(area, rel=0.01)


def test_the_survey_fit_s_energy_grows_with_the_rate_above_its_corner() -> None:
    """Both bounds meet at exp((85.474 - 3.22051 b) / 2.8719) Hz; above it energy goes like f^0.661."""
    corner = math.exp((85.4739 - 3.22051 * 8) / 2.8719)
    slow, at, fast = (adc.survey_fit(8, f * corner, 32).cost.energy_pj for f in (0.5, 1.0, 4.0))
    assert slow == pytest.approx(at, rel=1e-3)
    assert fast / at == pytest.approx(4 ** (2.8719 / 10 * math.log(10)), rel=1e-3)


@pytest.mark.parametrize(
    ("bits", "node", "pj", "um2"),
    [
        (4, 32, 0.0671, 223),
        (8, 32, 0.161, 382),
        (8, 65, 0.503, 1575),
        (6, 130, 0.812, 4992),
        (8, 7, 0.0156, 47.9),
    ],
)  # fmt: skip
def test_neurosim_s_sar_is_as_run(bits: int, node: float, pj: float, um2: float) -> None:
    """Figures that NeuroSim prints, of which the estimator has coefficients only."""
    found = adc.neurosim_sar(bits, node)
    assert found.cost.energy_pj == pytest.approx(pj, rel=0.01)
    assert found.cost.area_um2 == pytest.approx(um2, rel=0.005)
    assert found.time_ns == bits + 1


@pytest.mark.parametrize(
    ("bits", "node", "pj", "ns"),
    [(4, 32, 0.0386, 1.27), (8, 32, 0.893, 2.30), (4, 65, 0.128, 1.78), (6, 32, 0.169, 1.31)],
)
def test_neurosim_s_flash_is_as_run_and_near_it_between(bits: int, node: float, pj: float, ns: float) -> None:
    found = adc.neurosim_flash(bits, node)
    exact = bits in (4, 8)
    assert found.cost.energy_pj == pytest.approx(pj, rel=1e-6 if exact else 0.15)
    assert found.time_ns == pytest.approx(ns, rel=1e-6 if exact else 0.35)


def test_a_ramp_takes_a_step_for_each_code_but_one() -> None:
    one, four = adc.neurosim_sense(1, 32), adc.neurosim_sense(4, 32)
    assert (one.time_ns, one.cost.area_um2) == (1.29, 19.2)
    assert one.cost.energy_pj == pytest.approx(3.17e-3 * 1.29)
    assert four.time_ns == pytest.approx(15 * 1.29)
    counter = 2 * 15 * logic.register(1, 32).energy_pj
    assert four.cost.energy_pj == pytest.approx(one.cost.energy_pj + counter)


def test_isaac_s_converter_by_bits() -> None:
    for bits, energy, area in ((4, 0.79, 361), (8, 1.667, 1200), (10, 2.38, 3002)):
        cost = adc.isaac(bits, 32).cost
        assert (cost.energy_pj, cost.area_um2) == (energy, area)


def test_kull_s_converter_is_as_measured_and_follows_the_survey() -> None:
    measured = adc.kull(8, 32)
    assert (measured.cost.energy_pj, measured.cost.area_um2) == (2.55, 1500)
    assert measured.cost.energy_pj * 1e3 == pytest.approx(3060 * measured.time_ns, rel=1e-3)  # 3.06 mW
    fit = (
        adc.survey_fit(6, 1e9 / 0.8333, 22).cost.energy_pj
        / adc.survey_fit(8, 1e9 / 0.8333, 32).cost.energy_pj
    )
    assert adc.kull(6, 22).cost.energy_pj == pytest.approx(2.55 * fit)


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(["survey_fit", "neurosim_sar", "neurosim_flash", "neurosim_sense", "isaac", "kull"]),
    st.integers(1, 13),
    st.floats(7, 179),
    st.floats(1e6, 5e9),
)
def test_more_bits_a_larger_node_or_a_higher_rate_never_cost_less(
    model: str, bits: int, node: float, rate: float
) -> None:
    def cost(bits: int, rate: float, node: float) -> tuple[float, float, float]:
        rule = getattr(adc, model)
        found = rule(bits, rate, node) if model == "survey_fit" else rule(bits, node)
        return found.cost.energy_pj, found.cost.area_um2, 0.0 if model == "survey_fit" else found.time_ns

    here = cost(bits, rate, node)
    assert min(here[:2]) > 0
    others = [cost(bits, rate, node * 1.005), cost(bits, rate * 1.5, node)]
    others.append(cost(bits + 1, rate, node))
    for other in others:
        assert all(o >= h * (1 - 1e-12) for o, h in zip(other, here, strict=True))


def test_the_best_published_converter_gets_dearer_with_bits_and_rate() -> None:
    assert adc.best_energy_pj(2.9, 1e9) is None
    assert adc.best_energy_pj(8, 1e5) is None
    for effective in (3.0, 6.24, 6.6, 7.6, 9.0):
        for rate in (1e6, 1e8, 1e9):
            here = adc.best_energy_pj(effective, rate)
            assert here is not None
            assert (adc.best_energy_pj(effective + 0.7, rate) or 0) >= here
            assert (adc.best_energy_pj(effective, 4 * rate) or 0) >= here
    assert adc.best_energy_pj(6.62, 1.2e9) == 1.11


def test_sources_spread_as_wide_as_the_facts_say() -> None:
    energies = [
        adc.neurosim_flash(4, 32).cost.energy_pj,
        adc.neurosim_sar(4, 32).cost.energy_pj,
        adc.isaac(4, 32).cost.energy_pj,
        adc.survey_fit(4, RATE_HZ, 32).cost.energy_pj,
    ]
    assert energies == sorted(energies)
    assert 15 < energies[-1] / energies[0] < 25


def test_every_figure_of_an_estimator_has_a_mark_and_a_source() -> None:
    for name in ("adc", "array", "memory", "leakage", "wires", "periphery"):
        for key, entry in figures(name).items():
            assert entry["mark"] in MARKS, key
            assert len(entry["source"]) > 10, key
            assert "value" in entry, key


# Logic


def test_logic_is_aladdin_s_at_its_node_and_width() -> None:
    adder, product = logic.adder(32, 40), logic.multiplier(32, 32, 40)
    assert (adder.energy_pj, adder.area_um2) == pytest.approx((0.21, 278))
    assert (product.energy_pj, product.area_um2) == pytest.approx((12.68, 6350))
    bit, comparator = logic.register(1, 40), logic.comparator(32, 40)
    assert (bit.energy_pj, bit.area_um2) == pytest.approx((0.009, 5.98))
    assert (comparator.energy_pj, comparator.area_um2) == pytest.approx((0.0295, 71))


def test_logic_grows_with_bits_linearly_or_with_their_product() -> None:
    for unit in (logic.adder, logic.comparator, logic.register):
        assert unit(24, 32).energy_pj == pytest.approx(3 * unit(8, 32).energy_pj)
        assert unit(24, 32).area_um2 == pytest.approx(3 * unit(8, 32).area_um2)
    assert logic.multiplier(16, 8, 32).energy_pj == pytest.approx(logic.multiplier(32, 32, 32).energy_pj / 8)


def test_costs_add_up_and_name_every_rule_once() -> None:
    both = logic.adder(16, 32) + logic.adder(16, 32) + logic.register(16, 32)
    assert both.energy_pj == pytest.approx(
        2 * logic.adder(16, 32).energy_pj + logic.register(16, 32).energy_pj
    )
    assert both.rule.count("adder of 16 bits") == 1
    assert both.rule.count("Stillmaker") == 1
    assert "register of 16 bits" in both.rule


# Memory, wires, analog


CACTI = [
    # node, bytes, bits of a word, pJ read, pJ written, um2: single runs, of which the closed form is a fit
    (32, 2048, 64, 1.08, 3.13, 3407), (32, 8192, 64, 3.44, 4.27, 13287), (32, 65536, 64, 11.6, 10.8, 118820),
    (32, 8192, 16, 1.52, 1.73, 13287), (22, 2048, 64, 0.481, 1.31, 1607), (22, 8192, 64, 1.59, 1.77, 6265),
    (45, 2048, 64, 1.97, 5.71, 6736), (65, 8192, 64, 11.1, 14.7, 54811), (90, 65536, 64, 46, 88.5, 838830),
]  # fmt: skip


@pytest.mark.parametrize(("node", "size", "width", "read", "write", "um2"), CACTI)
def test_the_closed_form_of_memories_is_near_the_runs_that_it_was_fitted_to(
    node: float, size: int, width: int, read: float, write: float, um2: float
) -> None:
    found = memory.SramMacro(size * 8, width, node)
    assert 0.57 < found.read_pj / read < 1.75
    assert 0.6 < found.write_pj / write < 1.4
    assert found.area_um2 == pytest.approx(um2, rel=0.35)


def test_the_closed_form_of_memories_written_out() -> None:
    bits, width = 65_536, 64
    root = math.sqrt(bits)
    found = memory.SramMacro(bits, width, 32)
    assert found.read_pj == pytest.approx(
        0.00517 * root + 9.289e-5 * width * root + 0.001958 * width**2 / root
    )
    assert found.write_pj == pytest.approx(
        0.0720 + 0.00270 * width + 0.00354 * root + 1.969e-4 * width * root
    )
    assert found.area_um2 == pytest.approx(0.2136 * bits + 0.480 * root + 0.0461 * width**2)
    below = memory.SramMacro(bits, width, 14)
    at_22 = memory.SramMacro(bits, width, 22)
    assert below.read_pj == pytest.approx(at_22.read_pj * nodes.energy_ratio(22, 14))
    both = memory.SramMacro(bits, width, 32, two_ports=True)
    assert (both.read_pj / found.read_pj, both.area_um2 / found.area_um2) == pytest.approx((1.33, 2.08))


@settings(deadline=None, max_examples=40)
@given(st.integers(11, 21), st.sampled_from([16, 32, 64, 128]), st.floats(7, 178), st.booleans())
def test_larger_or_wider_memories_and_larger_nodes_never_cost_less(
    log_bits: int, width: int, node: float, two_ports: bool
) -> None:
    def cost(bits: int, width: int, node: float) -> tuple[float, float, float]:
        found = memory.SramMacro(bits, width, node, two_ports)
        return found.read_pj, found.write_pj, found.area_um2

    bits = max(1 << log_bits, 16 * width)
    here = cost(bits, width, node)
    assert min(here) > 0
    others = (cost(bits, width * 2, node), cost(bits, width, node * 1.01), cost(16 * bits, width, node))
    for other in others:
        assert all(o >= h * (1 - 1e-12) for o, h in zip(other, here, strict=True))


def test_register_files_cost_less_at_a_smaller_node() -> None:
    found = memory.register_file(32)
    assert (found.area.value, found.read.value * 64, found.write.value * 64) == (2.65, 0.0903, 0.151)
    for small, large in ((7, 10), (10, 14), (14, 22), (22, 32), (32, 45), (45, 65), (65, 90), (90, 130)):
        a, b = memory.register_file(small), memory.register_file(large)
        assert a.area.value < b.area.value
        assert a.read.value < b.read.value
        assert a.write.value < b.write.value


def test_memories_leak_more_when_warm() -> None:
    for node in (90, 65, 45, 32, 22, 7):
        cold, warm, hot = (memory.sram_leakage_uw_per_byte(node, k).value for k in (300, 330, 360))
        assert 0 < cold < warm < hot
    assert memory.sram_leakage_uw_per_byte(32, 330).value == pytest.approx(16.7e-12 * 8 * 1e6)


def test_leakage_of_logic_has_three_sources_in_order() -> None:
    for node in (130, 65, 40, 32, 22, 14, 7):
        low, middle, high = (
            logic_leakage_uw_per_um2(level, node, 300).value for level in ("low", "middle", "high")
        )
        assert 0 < low < middle < high
    assert logic_leakage_uw_per_um2("middle", 40, 330).value == pytest.approx(8.09e-3)
    assert logic_leakage_uw_per_um2("low", 32, 360).value == pytest.approx(0.0254e-3 * 5.9)
    assert logic_leakage_uw_per_um2("high", 32, 330).value == pytest.approx(19.6e-3 * 1.63)
    at_14, at_22 = (logic_leakage_uw_per_um2("high", node, 300).value for node in (14, 22))
    assert at_14 / at_22 == pytest.approx(0.0537 / 0.0307)


def test_wires_and_routers_are_the_published_ones() -> None:
    assert wires.wire_energy_pj_per_mm("repeated", 32).value == 0.201
    assert wires.wire_energy_pj_per_mm("cacti", 65).value == 0.498
    assert wires.router(256, 32).energy_pj == pytest.approx(20.74)
    assert wires.router(32, 32).area_um2 == pytest.approx(37_500)
    assert wires.bus_area_um2(256, 32).value == pytest.approx(15_000)


@pytest.mark.parametrize("node", [130, 90, 65, 45, 32, 22, 14, 10, 7])
def test_a_bare_wire_is_half_c_v_squared_and_repeaters_cost_more(node: float) -> None:
    bare, repeated, cacti = (
        wires.wire_energy_pj_per_mm(kind, node).value for kind in ("bare", "repeated", "cacti")
    )
    assert bare == pytest.approx(0.5 * 0.2 * array.supply_v(node) ** 2, rel=0.01)
    assert bare < repeated
    assert bare < cacti


@pytest.mark.parametrize("levels", [1, 2, 3, 4])
def test_a_clock_tree_s_wire_is_that_of_its_hs(levels: int) -> None:
    """An H over a square of side s is two uprights and a bar of s / 2; each end carries a half-size H."""
    side_um, length, hs, half = 1000.0, 0.0, 1, 1.0
    for _ in range(levels):
        length += hs * 3 * half / 2
        hs, half = hs * 4, half / 2
    assert wires.clock_tree_mm(side_um**2, 4**levels) == pytest.approx(length)
    assert wires.clock_cycle_pj(side_um**2, 4**levels, 0.1).value == pytest.approx(2 * length * 0.1)


def test_a_tile_of_one_pe_needs_no_clock_tree() -> None:
    assert wires.clock_cycle_pj(1e6, 1, 0.1).value == 0


# Arrays


def crossbar(rows: int = 64, columns: int = 64, node: float = 32.0) -> array.Array:
    return array.Array(rows, columns, 4, 12, node, 20_000, 200_000, rows)


@pytest.mark.parametrize(
    ("node", "wordline_ff", "wordline_ohm", "bitline_ff", "bitline_ohm", "um2"),
    [(130, 74.2, 41, 23.1, 14, 3323), (65, 39.8, 59, 12.2, 20, 831), (32, 16.4, 114, 6.0, 38, 201.3),
     (22, 10.3, 165, 4.1, 55, 95.2)],
)  # fmt: skip
def test_lines_of_a_crossbar_are_its_cells_and_wires(
    node: float, wordline_ff: float, wordline_ohm: float, bitline_ff: float, bitline_ohm: float, um2: float
) -> None:
    """Worked out apart from this program, for 64 x 64 cells of 20 kOhm."""
    found = crossbar(node=node)
    assert found.wordline_ff == pytest.approx(wordline_ff, rel=0.01)
    assert found.wordline_ohm == pytest.approx(wordline_ohm, rel=0.02)
    assert found.bitline_ff == pytest.approx(bitline_ff, rel=0.02)
    assert found.bitline_ohm == pytest.approx(bitline_ohm, rel=0.03)
    assert found.area.value == pytest.approx(um2, rel=0.001)


def test_a_column_and_its_multiplexer_have_the_resistance_of_half_the_rows() -> None:
    """32 cells at 20 kOhm and as many at 200 kOhm share one column, each behind 5 kOhm."""
    assert crossbar().column_ohm == pytest.approx(1 / (32 / 25_000 + 32 / 205_000))
    assert crossbar().mux_ohm == pytest.approx(174, rel=0.01)


def test_a_read_settles_to_half_a_step() -> None:
    """A first-order step response is off by half of one of 2^b steps after the settling time."""
    found, bits = crossbar(), 8
    settling = found.read_time(bits, 10, 1.0).value - found.wordline_rise_ns
    assert math.exp(-settling / found.settling_tau_ns(10, 1.0)) == pytest.approx(0.5 / 2**bits)
    feedback = 10 / (10 + found.bitline_ff)
    clamp = 1 / (2 * math.pi * 1.0 * feedback)
    rc = (found.mux_ohm * 10 + found.bitline_ohm * (found.bitline_ff / 2 + 10)) * 1e-6
    assert found.settling_tau_ns(10, 1.0) == pytest.approx(clamp + rc)


@settings(deadline=None, max_examples=40)
@given(st.integers(8, 512), st.integers(8, 512), st.integers(1, 10), st.floats(7, 130), st.floats(0.1, 4))
def test_larger_arrays_more_bits_and_slower_clamps_read_slower(
    rows: int, columns: int, bits: int, node: float, ghz: float
) -> None:
    here = crossbar(rows, columns, node).read_time(bits, 10, ghz).value
    assert crossbar(rows, 2 * columns, node).read_time(bits, 10, ghz).value > here
    assert crossbar(rows, columns, node).read_time(bits + 1, 10, ghz).value > here
    assert crossbar(rows, columns, node).read_time(bits, 10, ghz / 2).value > here
    # More rows, of which as many are driven at once; and all of them at once: the multiplexer is wider then,
    # which only in small arrays gives more back than the longer bitline takes.
    more = replace(crossbar(2 * rows, columns, node), at_once=rows)
    assert more.read_time(bits, 10, ghz).value > here
    if rows >= 32 and ghz <= 1:
        assert crossbar(2 * rows, columns, node).read_time(bits, 10, ghz).value > here


@settings(deadline=None, max_examples=40)
@given(st.integers(8, 512), st.integers(1, 8), st.floats(7, 130))
def test_fewer_rows_at_once_need_a_smaller_multiplexer(rows: int, turns: int, node: float) -> None:
    """Half of the rows that may be driven at once carry a column's current; lines are those of all rows."""
    whole = crossbar(rows * turns, 64, node)
    some = replace(whole, at_once=rows)
    assert some.column_ohm == pytest.approx(turns * whole.column_ohm)
    assert some.mux_ohm == pytest.approx(turns * whole.mux_ohm)
    assert (some.bitline_ff, some.wordline_ff) == (whole.bitline_ff, whole.wordline_ff)
    assert some.multiplexer(8).area_um2 <= whole.multiplexer(8).area_um2


@settings(deadline=None, max_examples=40)
@given(st.integers(8, 512), st.integers(8, 512), st.floats(7, 129))
def test_drivers_multiplexers_and_arrays_of_a_smaller_node_cost_less(
    rows: int, columns: int, node: float
) -> None:
    here, larger = crossbar(rows, columns, node), crossbar(rows, columns, node * 1.01)
    for a, b in ((here.driver(), larger.driver()), (here.multiplexer(8), larger.multiplexer(8))):
        assert a.energy_pj <= b.energy_pj * (1 + 1e-12)
        assert a.area_um2 <= b.area_um2 * (1 + 1e-12)
    assert here.area.value < larger.area.value


def test_drivers_and_multiplexers_are_as_run() -> None:
    """21 fJ a driven row: 13.3 of the wordline at 0.9 V, 7.8 of its switch; multiplexers at 156 Ohm."""
    assert crossbar().driver().energy_pj == pytest.approx(16.4e-3 * 0.81 + 0.501 / 64, rel=0.001)
    at_156 = array.Array(64, 64, 4, 12, 32, 20_000 * 156 / 174.08, 200_000 * 156 / 174.08, 64)
    assert at_156.mux_ohm == pytest.approx(156, rel=0.001)
    assert at_156.multiplexer(8).energy_pj == pytest.approx(0.0593 / 8, rel=0.03)
    assert at_156.multiplexer(8).area_um2 == pytest.approx(132 / 8, rel=0.03)


# Periphery


def test_what_stands_around_a_crossbar_is_as_run_or_written_out() -> None:
    access = periphery.write_access(crossbar(), 3)
    assert access.energy_pj == pytest.approx(0.429 / 64)
    assert access.area_um2 == pytest.approx(3 * 1418 + 64 * 339 / 128)
    sample = periphery.sample_and_hold(10, 32)
    assert (sample.energy_pj, sample.area_um2) == pytest.approx((10e-3 * 0.81, 10 / 1.7))
    assert periphery.clamp_energy_pj(20, 8, 32).value == pytest.approx(0.144)
    counter = periphery.row_counter(64, 40)
    assert (counter.energy_pj, counter.area_um2) == pytest.approx((63 * 0.21 / 32, 63 * 278 / 32))
    assert periphery.controller(40).energy_pj == pytest.approx(2 * 200 * 0.009)


@settings(deadline=None, max_examples=40)
@given(st.integers(8, 512), st.floats(7, 129))
def test_more_rows_or_a_larger_node_never_make_the_periphery_cheaper(rows: int, node: float) -> None:
    def costs(rows: int, node: float) -> list[float]:
        parts = (
            periphery.write_access(crossbar(rows, 64, node), 3),
            periphery.row_counter(rows, node),
            periphery.sample_and_hold(10, node),
            periphery.controller(node),
        )
        return [f for part in parts for f in (part.energy_pj, part.area_um2)]

    for other in (costs(rows, node * 1.01), costs(2 * rows, node)):
        assert all(o >= h * (1 - 1e-12) for o, h in zip(other, costs(rows, node), strict=True))
