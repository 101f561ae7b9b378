"""Converters by bits, rate and node; each rule takes energy, area and time of one converter from one source.

The figures stand in ``hardware/figures/adc.yaml``.

``survey_fit``: the published fit of the Murmann ADC survey (Andrulis et al., arXiv 2404.06553). The best
Schreier figure of merit falls with the rate and is bounded by the resolution::

    FOM_dB = min(213.781 - 2.8719 ln f_Hz, 128.307 + 3.22051 bits)
    SNDR_dB = 20 bits log10 2 + 10 log10 1.5
    E_pJ = 1/2 10^((SNDR - FOM) / 10) exp(26.0496 + 1.88004 ln node_nm - 2.82913 ln bits - 1.47020)
    A_um2 = exp(1.346 + 0.993 ln node_nm + 0.181 ln f_Hz + 0.299 ln E_pJ)

Below 4 bits, where nothing was fitted and the equations rise again, a converter costs what one of 4 bits
does.

``neurosim_sar``: NeuroSim V1.4's closed form: ``bits + 1`` clocks of 1 ns at ``a bits + b`` uW, with a and b
of each node; the area grows by 0.38 of that of one bit for each further one (equal gate areas). The current
of the column, which NeuroSim charges to the converter, is left out: cells are charged by themselves.

``neurosim_flash``: NeuroSim V1.4's current-mode comparators with their encoder, run for 4 and 8 bits at each
node; straight lines of the logarithms between (derived: its energy doubles by the bit); beyond 22 and 130 nm
energy and area by Stillmaker and Baas at the same time.

``neurosim_sense``: NeuroSim V1.4's current sense amplifier; several bits by a ramp of ``2^bits - 1`` steps
with a counter and a latch for each column (derived: the amplifier draws its power once, the counter's low
bits toggle at each step).

``isaac``: the SAR of ISAAC (ISCA 2016), other bits after Saberi et al. 2011; other nodes by Stillmaker and
Baas. ``kull``: the SAR of Kull et al., ISSCC 2013, as measured; other bits and nodes by the ratio of the
survey's fit (derived).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from imcsim.hardware.estimators import logic, nodes
from imcsim.hardware.estimators.estimate import Cost, Estimate
from imcsim.hardware.estimators.figures import by_node, figures


@dataclass(frozen=True)
class Conversion:
    """One converter: what a conversion costs and how long it takes, from one source.

    gates: whether the time is that of its circuits, not one that is asked of it.
    """

    cost: Cost
    time_ns: float
    gates: bool = True

    @property
    def time(self) -> Estimate:
        return Estimate(self.time_ns, self.cost.rule, "delay" if self.gates else "")


def survey_fit(bits: int, rate_hz: float, node_nm: float) -> Conversion:
    """The best converter of this rate that the survey lets expect.

    Args:
        bits: of the converter, taken as effective ones.
        rate_hz: conversions per second.
        node_nm: technology node.
    """
    fit, least = figures("adc")["survey_fit"]["value"], figures("adc")["survey_fit"]["for_bits"][0]
    asked, bits = bits, max(bits, least)  # below, its equations would rise again
    at_rate, at_bits, (e0, e_node, e_bits, e1) = fit["merit_at_rate"], fit["merit_at_bits"], fit["energy"]
    merit_db = min(at_rate[0] - at_rate[1] * math.log(rate_hz), at_bits[0] + at_bits[1] * bits)
    sndr_db = 20 * bits * math.log10(2) + 10 * math.log10(1.5)
    trend = e0 + e_node * math.log(node_nm) - e_bits * math.log(bits)
    energy = 0.5 * 10 ** ((sndr_db - merit_db) / 10) * math.exp(trend - e1)
    a0, a_node, a_rate, a_energy = fit["area"]
    area = math.exp(
        a0 + a_node * math.log(node_nm) + a_rate * math.log(rate_hz) + a_energy * math.log(energy)
    )
    below = f", for {asked} too" if asked < bits else ""
    rule = (
        f"fit of the Murmann survey (arXiv 2404.06553): {bits} bits{below}, {rate_hz / 1e9:g} GS/s, "
        f"{node_nm:g} nm"
    )
    return Conversion(Cost(energy, area, rule), 1e9 / rate_hz, gates=False)


def neurosim_sar(bits: int, node_nm: float) -> Conversion:
    """NeuroSim's SAR, its own fixed part."""
    entry = figures("adc")["neurosim_sar"]
    a, b, first = (nodes.loglog(by_node(entry, k), node_nm) for k in range(3))
    time = (bits + 1) * entry["bit_ns"]
    energy = (a * bits + b) * time * 1e-3
    area = first * (1 + entry["area_of_a_further_bit"] * (bits - 1))
    return Conversion(Cost(energy, area, f"NeuroSim V1.4 SAR: {bits} bits, {node_nm:g} nm"), time)


def neurosim_flash(bits: int, node_nm: float) -> Conversion:
    """NeuroSim's flash converter: as many comparators as there are steps."""
    entry = figures("adc")["neurosim_flash"]
    at = min(max(node_nm, min(entry["value"])), max(entry["value"]))
    energy, time, area = (
        _between_bits(nodes.loglog(by_node(entry, k, 0), at), nodes.loglog(by_node(entry, k, 1), at), bits)
        for k in range(3)
    )
    cost = Cost(
        energy * nodes.energy_ratio(at, node_nm),
        area * nodes.area_ratio(at, node_nm),
        f"NeuroSim V1.4 flash: {bits} bits, {at:g} nm{nodes.scaling(at, node_nm)}",
    )
    return Conversion(cost, time)


def neurosim_sense(bits: int, node_nm: float) -> Conversion:
    """NeuroSim's sense amplifier, one bit at once or several by a ramp."""
    entry = figures("adc")["neurosim_sense"]
    area, step_ns, power_uw = (nodes.loglog(by_node(entry, k), node_nm) for k in range(3))
    rule = f"NeuroSim V1.4 sense amplifier: {node_nm:g} nm"
    one = Cost(power_uw * step_ns * 1e-3, area, rule)
    if bits == 1:
        return Conversion(one, step_ns)
    steps = (1 << bits) - 1
    latch, counting = logic.register(bits, node_nm), logic.register(1, node_nm)
    ramp = Cost(2 * steps * counting.energy_pj, latch.area_um2, f"ramp of {steps} steps; {latch.rule}")
    return Conversion(one + ramp, steps * step_ns)


def isaac(bits: int, node_nm: float) -> Conversion:
    """ISAAC's SAR."""
    entry = figures("adc")["isaac"]
    energy, area = _isaac(bits)
    at = entry["node_nm"]
    cost = Cost(
        energy * nodes.energy_ratio(at, node_nm),
        area * nodes.area_ratio(at, node_nm),
        f"ISAAC, ISCA 2016, Saberi et al. 2011: {bits} bits{nodes.scaling(at, node_nm)}",
    )
    return Conversion(cost, entry["conversion_ns"])


def kull(bits: int, node_nm: float) -> Conversion:
    """The SAR of Kull et al. as measured; by the survey's trend for other bits and nodes."""
    entry = figures("adc")["kull"]
    (energy, area), rate = entry["value"], 1e9 / entry["conversion_ns"]
    rule = "Kull et al., ISSCC 2013, as measured: 8 bits, 32 nm, 1.2 GS/s"
    if (bits, node_nm) != (entry["bits"], entry["node_nm"]):
        here = survey_fit(bits, rate, node_nm).cost
        there = survey_fit(entry["bits"], rate, entry["node_nm"]).cost
        energy *= here.energy_pj / there.energy_pj
        area *= here.area_um2 / there.area_um2
        rule += f"; to {bits} bits and {node_nm:g} nm by the fit of the Murmann survey (arXiv 2404.06553)"
    return Conversion(Cost(energy, area, rule), entry["conversion_ns"])


def best_energy_pj(effective_bits: float, rate_hz: float) -> float | None:
    """Energy of the best published converter of at least these effective bits and this rate.

    Returns None where the survey has no such converter, or knows none: below 3 bits.
    """
    entry = figures("adc")["best_energy"]
    rows = [bits for bits in entry["value"] if bits <= effective_bits]
    columns = [k for k, rate in enumerate(entry["rates_hz"]) if rate <= rate_hz * (1 + 1e-9)]
    if not rows or not columns:
        return None
    return float(entry["value"][max(rows)][columns[-1]])


def effective_bits(bits: int) -> float:
    """Effective bits that a converter of `bits` nominal ones usually has."""
    lost = figures("adc")["lost_bits"]["value"]
    return bits - float(lost[min(max(bits, min(lost)), max(lost))])


def _between_bits(four: float, eight: float, bits: int) -> float:
    return float(four * (eight / four) ** ((bits - 4) / 4))


def _isaac(bits: int) -> tuple[float, float]:
    """From the table; beyond it by the ratio of its last two rows."""
    table = figures("adc")["isaac"]["value"]
    low, high = min(table), max(table)
    if low <= bits <= high:
        return float(table[bits][0]), float(table[bits][1])
    end, inner = (low, low + 1) if bits < low else (high, high - 1)
    steps = abs(bits - end)
    energy, area = (
        last * (last / before) ** steps for last, before in zip(table[end], table[inner], strict=True)
    )
    return energy, area
