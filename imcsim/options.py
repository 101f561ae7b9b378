"""What a comparison or a run may be told, apart from the network, the hardware and the inputs."""

from __future__ import annotations

from dataclasses import dataclass

from imcsim.choices import Accumulation, Fidelity, Rule


@dataclass(frozen=True)
class CompareOptions:
    """Settings of `compare` and `run`.

    `timesteps` is T max (None: the network's own). `threshold` lies in [0, 1] (None: it is chosen on
    validation images). `seed` feeds every random draw. `workers` is the number of processes (None: one for
    each processor); it never changes a result. `issue` is an issue policy (``wait``, ``speculate``, ..., see
    timing.issue), `fidelity` that of the timing; both fidelities agree to the cycle.
    """

    timesteps: int | None = None
    threshold: float | None = None
    rule: Rule = "entropy"
    accumulation: Accumulation = "mean"
    seed: int = 0
    workers: int | None = None
    issue: str = "wait"
    fidelity: Fidelity = "burst"
