"""Sweeps: many points of hardware, networks, inputs and exit policies, in one store.

`load_spec` reads a spec, `sweep` runs it, `open_store` reads what it wrote.
"""

from imcsim.sweeps.plan import Plan, make_plan
from imcsim.sweeps.spec import Spec, SweepAxis, SweepPoint, load_spec
from imcsim.sweeps.store import Store, open_store
from imcsim.sweeps.sweeping import Summary, sweep

__all__ = [
    "Plan",
    "Spec",
    "Store",
    "Summary",
    "SweepAxis",
    "SweepPoint",
    "load_spec",
    "make_plan",
    "open_store",
    "sweep",
]
