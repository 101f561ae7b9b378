"""What DT-SNN says of its networks and its chip: each figure once, with how sure it is and where it stands.

Marks are those of `hardware.quantity.MARKS`. A derived figure says from what it was derived.
"""

from __future__ import annotations

from dataclasses import dataclass

PAPER = "DT-SNN, DAC 2023"
_FROM_GROWTH = f"{PAPER}: 4.9x at T = 8"


@dataclass(frozen=True)
class Published:
    """A published figure. `key` is how code names it, `name` how a table does; `unit` is empty for a plain
    number, ``%`` for per cent, ``x`` for a ratio.
    """

    key: str
    name: str
    value: float
    unit: str
    mark: str
    source: str


FIGURES = (
    Published(
        "vgg16.mean_timesteps", "mean timesteps at the accuracy of static T = 4, VGG-16, CIFAR-10", 1.46, "",
        "paper", f"{PAPER} (that the network is VGG-16 is inferred)",
    ),
    Published(
        "vgg16.edp", "EDP saved against static T = 4, VGG-16, CIFAR-10", 80, "%", "paper",
        f"{PAPER} (that the network is VGG-16 is inferred)",
    ),
    Published(
        "resnet19.mean_timesteps", "mean timesteps at the accuracy of static T = 4, ResNet-19, CIFAR-10",
        1.27, "", "paper", PAPER,
    ),
    Published("resnet19.edp", "EDP saved against static T = 4, ResNet-19, CIFAR-10", 84, "%", "paper", PAPER),
    Published("latency_t8", "latency at T = 8 over T = 1", 8, "x", "paper", PAPER),
    Published("energy_t8", "energy at T = 8 over T = 1", 4.9, "x", "paper", PAPER),
    Published("intercept", "intercept of E(T) / E(1)", 0.443, "", "derived", _FROM_GROWTH),
    Published("slope", "slope of E(T) / E(1)", 0.557, "", "derived", _FROM_GROWTH),
    Published("edp_t4", "EDP at T = 4 over T = 1", 10.69, "x", "derived", _FROM_GROWTH),
    Published(
        "cap", "most EDP that leaving early can save against static T = 4", 90.6, "%", "derived",
        f"{_FROM_GROWTH}, 1 - EDP(1) / EDP(4)",
    ),
    Published("share.peripherals", "share of digital peripherals", 45, "%", "paper", PAPER),
    Published("share.crossbars", "share of crossbars and ADCs", 25, "%", "paper", PAPER),
    Published("share.rest", "share of the rest", 30, "%", "paper", PAPER),
    Published("check", "a check over one timestep", 2e-5, "", "est", PAPER),
)  # fmt: skip


def figure(key: str) -> Published:
    """The figure of that key. Raises KeyError."""
    return _BY_KEY[key]


_BY_KEY = {one.key: one for one in FIGURES}
