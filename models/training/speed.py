"""How a training step is computed fastest here: which precision, and whether compiled.

bfloat16 halves the time of convolutions where the processor multiplies in it, and makes them 6 to 10 times
as slow where it does not; compiling fuses batch norm and neurons into a few passes over memory, but takes a
minute of its own. So candidates are named by the processor's flags and timed for a few steps on a copy of the
network.
"""

from __future__ import annotations

import copy
import ctypes.util
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

PRECISIONS = ("auto", "float32", "bfloat16")
COMPILE = ("auto", "yes", "no")
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
"""Flags of processors that multiply in bfloat16 (x86: the first two, Arm: the last)."""
WORTH_A_TRIAL = 2000
"""Steps of a stage below which a trial, and the minute of compiling, cost more than they can save."""
TRIAL_STEPS, WARM_STEPS = 10, 2


@dataclass(frozen=True)
class Way:
    """How the steps of a run are computed."""

    bfloat16: bool
    compiled: bool

    def __str__(self) -> str:
        return (
            f"{'bfloat16' if self.bfloat16 else 'float32'}, {'compiled' if self.compiled else 'not compiled'}"
        )


def has_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor multiplies in bfloat16, as far as its flags say."""
    try:
        text = cpuinfo.read_text(encoding="utf-8")
    except OSError:
        return False
    flags = (line.split(":", 1) for line in text.splitlines() if line.startswith(("flags", "Features")))
    return any(BFLOAT16_FLAGS & set(value.split()) for _, value in flags)


def candidates(precision: str, compiled: str, device: torch.device, steps: int) -> list[Way]:
    """The ways to try for a run of `steps` steps, the likeliest first; only one where there is no choice."""
    fast = device.type == "cuda" or has_bfloat16()
    halves = [fast] if precision == "auto" else [precision == "bfloat16"]
    if precision == "auto" and fast and device.type == "cpu" and steps >= WORTH_A_TRIAL:
        halves.append(False)
    if compiled == "auto":
        compiles = [True, False] if steps >= WORTH_A_TRIAL else [False]
    else:
        compiles = [compiled == "yes"]
    return [Way(half, compiles_) for compiles_ in compiles for half in halves]


def choose(
    ways: list[Way], network: nn.Module, step: Callable[[nn.Module, Way], Tensor], say: Callable[[str], None]
) -> Way:
    """The way of `ways` whose steps are quickest, tried on copies of `network`; `step` gives a batch's loss.

    Times are those of the processors (on a GPU: of the clock): other work on the machine does not decide.
    """
    if len(ways) == 1:
        return ways[0]
    clock = time.perf_counter if next(network.parameters()).is_cuda else time.process_time
    generator = torch.get_rng_state()
    seconds = {}
    for way in ways:
        trial = prepared(copy.deepcopy(network), way)
        taken = []
        for _ in range(WARM_STEPS + TRIAL_STEPS):
            trial.zero_grad()
            began = clock()
            step(trial, way).backward()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            taken.append(clock() - began)
        seconds[way] = sorted(taken[WARM_STEPS:])[TRIAL_STEPS // 2]
        say(f"{way}: {seconds[way]:.3f} s a step on {torch.get_num_threads()} of {os.cpu_count()} processors")
    torch.set_rng_state(generator)
    return min(ways, key=seconds.__getitem__)


def prepared(network: nn.Module, way: Way) -> nn.Module:
    """`network` as `way` runs it: the parameters stay those of `network`."""
    # A change of T must not make torch compile for any T: that is slower than one program for each.
    return torch.compile(network, dynamic=False) if way.compiled else network  # type: ignore[return-value]


def plain(way: Way) -> dict[str, Any]:
    """`way` as a checkpoint keeps it, with the processor that it was chosen on."""
    return {"bfloat16": way.bfloat16, "compiled": way.compiled, "processor": processor()}


def kept(facts: dict[str, Any] | None, precision: str, compiled: str) -> Way | None:
    """The way of a checkpoint's `facts`, if chosen on such a processor and within what the options allow."""
    if not facts or facts["processor"] != processor():
        return None
    way = Way(facts["bfloat16"], facts["compiled"])
    allowed = precision in ("auto", "bfloat16" if way.bfloat16 else "float32")
    return way if allowed and compiled in ("auto", "yes" if way.compiled else "no") else None


def allocator() -> str | None:
    """The name of an allocator that keeps freed memory for the next step, if one is installed."""
    names = ("tcmalloc_minimal", "tcmalloc", "jemalloc")
    return next(filter(None, map(ctypes.util.find_library, names)), None)


def with_allocator() -> None:
    """Start this program anew with that allocator, unless it was given one."""
    found = allocator()
    if found and "LD_PRELOAD" not in os.environ and sys.platform == "linux":
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, "LD_PRELOAD": found})


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The name of what computes here."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    try:
        text = cpuinfo.read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name")]
    name = names[0] if names else platform.machine()
    return f"{name} with bfloat16" if has_bfloat16(cpuinfo) else name
