"""Another supply than the nominal one of the node, for which the estimators' figures stand.

With x the supply over the nominal one: energies of switching go with x^2 (C V^2), currents at a given bias
and static power with x, and delays of gates with ``x / ((x - v) / (1 - v))^a``, the alpha-power law (Sakurai
and Newton, IEEE JSSC 25(2), 1990) with the threshold v as a share of the nominal supply. The figures stand in
``hardware/figures/supply.yaml``.
"""

from __future__ import annotations

from dataclasses import replace

from imcsim.base.errors import ImcsimError
from imcsim.hardware.estimators.array import supply_v
from imcsim.hardware.estimators.estimate import Estimate
from imcsim.hardware.estimators.figures import figures


def at_supply(estimate: Estimate, volt: float, node_nm: float) -> Estimate:
    """The estimate at a supply of `volt`.

    Raises ImcsimError below the threshold of the node's transistors.
    """
    nominal = supply_v(node_nm)
    if not estimate.follows or volt == nominal:
        return estimate
    ratio = volt / nominal
    factor = {"energy": ratio**2, "power": ratio}.get(estimate.follows)
    if factor is None:
        factor = delay_ratio(ratio)
    rule = f"{estimate.rule}; to {volt:g} V from {nominal:.3g} V"
    return replace(estimate, value=estimate.value * factor, rule=rule)


def delay_ratio(ratio: float) -> float:
    """Delay of gates at so many times the nominal supply, over that at the nominal one."""
    law = figures("supply")["delay"]["value"]
    share = float(law["threshold_share"])
    if ratio <= share:
        raise ImcsimError(
            f"a supply of {ratio:.2f} times the node's nominal one is below the threshold of its transistors",
            key="technology.supply_v",
            fix=f"use more than {share:g} times the nominal supply",
        )
    return float(ratio / ((ratio - share) / (1 - share)) ** law["alpha"])
