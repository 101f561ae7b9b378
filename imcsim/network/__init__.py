"""Networks: the layer graph, its rules, and the bundle that keeps it in files."""

from imcsim.network.bundle import check, check_target, fingerprint, load, names, save
from imcsim.network.describe import describe
from imcsim.network.graph import (
    INPUT,
    LI,
    LIF,
    Add,
    Conv2d,
    Delay,
    Flatten,
    Linear,
    Network,
    Node,
    Pool2d,
    Relu,
)
from imcsim.network.sizes import shapes
from imcsim.network.validate import problems, validate

__all__ = [
    "INPUT",
    "LI",
    "LIF",
    "Add",
    "Conv2d",
    "Delay",
    "Flatten",
    "Linear",
    "Network",
    "Node",
    "Pool2d",
    "Relu",
    "check",
    "check_target",
    "describe",
    "fingerprint",
    "load",
    "names",
    "problems",
    "save",
    "shapes",
    "validate",
]
