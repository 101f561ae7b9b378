"""What stands around a crossbar besides drivers, multiplexers and converters; figures in periphery.yaml."""

from __future__ import annotations

from imcsim.hardware.estimators import logic, nodes
from imcsim.hardware.estimators.array import Array, supply_v
from imcsim.hardware.estimators.estimate import Cost, Estimate
from imcsim.hardware.estimators.figures import by_node, figures


def write_access(array: Array, sets: int) -> Cost:
    """Row decoder and level shifters of one crossbar: pJ of one row driven in a read, and um2.

    sets: of lines that have level shifters (wordlines, bitlines, source lines).
    """
    shifter, decoder = figures("periphery")["level_shifter"], figures("periphery")["row_decoder"]
    at = min(max(array.node_nm, min(shifter["value"])), max(shifter["value"]))
    energy, shifters_um2 = (nodes.loglog(by_node(shifter, k), at) / shifter["rows"] for k in range(2))
    decoder_um2 = nodes.loglog(by_node(decoder), at) / decoder["rows"]
    area = array.rows * (sets * shifters_um2 + decoder_um2)
    return Cost(
        energy * nodes.energy_ratio(at, array.node_nm),
        area * nodes.area_ratio(at, array.node_nm),
        f"NeuroSim V1.4: level shifters of {sets} sets and decoder, linear in {array.rows} rows"
        f"{nodes.scaling(at, array.node_nm)}",
    )


def sample_and_hold(sample_ff: float, node_nm: float) -> Cost:
    """A column sampled once: C V^2 at the node's supply, and the area of the capacitor."""
    volt, density = supply_v(node_nm), figures("periphery")["capacitor_ff_per_um2"]["value"]
    rule = f"C V^2 of {sample_ff:g} fF at {volt:.3g} V; metal capacitor of {density:g} fF/um2"
    return Cost(sample_ff * volt**2 * 1e-3, sample_ff / density, rule)


def cell_capacitor_ff(array: Array, levels: int) -> Estimate:
    """A level of a cell whose metal capacitor covers the cell, fF."""
    entry = figures("periphery")["metal_capacitor_ff_per_um2"]
    um2 = array.area.value / (array.rows * array.columns)
    rule = f"metal capacitor of {entry['value']:g} fF/um2 over a cell of {um2:.3g} um2, {levels} levels"
    return Estimate(entry["value"] * um2 / levels, rule)


def clamp_energy_pj(bias_ua: float, pulse_ns: float, node_nm: float) -> Estimate:
    """A column held at its virtual ground during one read: bias current, supply and time; uA V ns is fJ."""
    volt = supply_v(node_nm)
    return Estimate(
        bias_ua * volt * pulse_ns * 1e-3, f"{bias_ua:g} uA at {volt:.3g} V for {pulse_ns:.3g} ns", "power"
    )


def clamp_area_um2(node_nm: float) -> Estimate:
    """Area of one clamp, which grows with the node as NeuroSim's current sense amplifier does: both keep a
    column at a voltage and hand its current on.
    """
    entry, amplifier = figures("periphery")["clamp_area_um2"], by_node(figures("adc")["neurosim_sense"], 0)
    at = min(max(node_nm, min(amplifier)), max(amplifier))
    grown = nodes.loglog(amplifier, at) / nodes.loglog(amplifier, entry["node_nm"])
    rule = f"{entry['value']:g} um2 at {entry['node_nm']:g} nm (estimated)"
    if node_nm != entry["node_nm"]:
        rule += f"; to {at:g} nm as the current sense amplifier of NeuroSim V1.4"
    return Estimate(entry["value"] * grown * nodes.area_ratio(at, node_nm), rule + nodes.scaling(at, node_nm))


def row_counter(rows: int, node_nm: float) -> Cost:
    """Counting the driven rows of one read: a tree of full adders, one for each row but one."""
    one = logic.adder(1, node_nm)
    rule = f"{rows - 1} full adders of one bit; {one.rule}"
    return Cost((rows - 1) * one.energy_pj, (rows - 1) * one.area_um2, rule)


def controller(node_nm: float) -> Cost:
    """A tile's controller: pJ of a powered cycle, and um2."""
    sizes = figures("periphery")["controller"]["value"]
    state = logic.register(sizes["flip_flops"], node_nm)
    rule = f"state machine of {sizes['flip_flops']} flip-flops and as much logic; {state.rule}"
    whole = 1 + sizes["gates_share"]
    return Cost(state.energy_pj * whole, state.area_um2 * whole, rule)
