"""The contract of estimators, which our own components keep as well."""

from __future__ import annotations

from collections.abc import Iterator

import imcsim.hardware
from imcsim.base.plugins import Origin
from imcsim.hardware.component import Component
from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.estimators.estimator import EstimatedFigures, Estimator, check_figures
from imcsim.plugins.contracts.finding import Finding, findings, hold

NODES_NM = (65.0, 32.0, 22.0)
ROUNDING = 1 + 1e-12
OWN = Origin("estimators", "own", "imcsim", "", "")


def estimator_contract(estimator: Estimator, origin: Origin | None) -> list[Finding]:
    """What every estimator keeps, on the built-in chips and at several nodes; origin: of a plug-in's."""

    def asked(chip: HardwareConfig, component: Component) -> EstimatedFigures:
        found = estimator.figures(chip, component.block)
        check_figures(found, origin or OWN, component, chip)
        return found

    def gives_figures() -> None:
        """Figures are numbers of at least 0, under keys that the component has, with their source."""
        some = False
        for chip, component in _components(estimator):
            found = asked(chip, component)
            some |= bool(found.energy_pj or found.times)
            some |= found.area_um2 is not None or found.leakage_uw is not None
        hold(some, "it computes nothing for any component")

    def repeats() -> None:
        """The same chip has the same figures whenever they are asked for."""
        for chip, component in _components(estimator):
            hold(asked(chip, component) == asked(chip, component), f"two calls differ for {component.block}")

    def leaves_times_valid() -> None:
        """Times are values that the component's block may have."""
        for chip, component in _components(estimator):
            times = asked(chip, component).times
            type(component).model_validate({**component.model_dump(), **times})

    def shrinks() -> None:
        """Energy and area do not grow when the node shrinks."""
        for chip in _chips():
            for name, component in chip.components():
                if estimator.blocks and name not in estimator.blocks:
                    continue
                last: EstimatedFigures | None = None
                for node in NODES_NM:
                    technology = chip.technology.model_copy(update={"node_nm": node})
                    found = asked(chip.model_copy(update={"technology": technology}), component)
                    if last is not None:
                        energy = found.energy_pj.items()
                        larger = [k for k, v in energy if v > last.energy_pj.get(k, v) * ROUNDING]
                        hold(not larger, f"{name}: {', '.join(larger)} grows at {node:g} nm")
                        if found.area_um2 is not None and last.area_um2 is not None:
                            hold(
                                found.area_um2 <= last.area_um2 * ROUNDING,
                                f"{name}: the area grows at {node:g} nm",
                            )
                    last = found

    return findings((gives_figures, repeats, leaves_times_valid, shrinks), origin)


def _chips() -> Iterator[HardwareConfig]:
    for name in imcsim.hardware.names():
        yield imcsim.hardware.load(name).config


def _components(estimator: Estimator) -> Iterator[tuple[HardwareConfig, Component]]:
    for chip in _chips():
        for name, component in chip.components():
            if not estimator.blocks or name in estimator.blocks:
                yield chip, component
