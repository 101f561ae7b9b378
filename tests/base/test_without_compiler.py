"""Kernels as plain Python, where numba is told not to compile: they say what their machine code does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

READS = """
import numpy as np
from test_kernels import Case
for seed, (channels, rows, encoding, order) in enumerate(
    [(3, 7, "offset", "im2col"), (67, 40, "differential", "kernel_position"),
     (2, 5, "twos_complement", "im2col")]):
    case = Case({
        "height": 4, "width": 3, "channels": channels, "out": 3, "kernel": (2, 2), "stride": (1, 2),
        "pad": (1, 0), "dilation": (1, 1), "rows": rows, "order": order, "encoding": encoding,
        "weight_bits": 8, "cell_bits": 4, "planes": 2, "density": 0.4, "seed": seed})
    shift = np.arange(len(case.factor))
    out, counts = case.compiled(shift, 15, np.int64)
    plain = case.plain(shift, 15)
    assert np.array_equal(out, plain.sums)
    expected = [plain.active_rows, plain.active_levels, plain.active_reads]
    assert np.array_equal(counts.T, expected)
"""

WHEEL = """
import numpy as np
from networks import random_network
from random_chips import assert_same, changed, random_work
from imcsim.mapping import place
from played import play
from imcsim.timing import parse
network = random_network(np.random.default_rng(2), residual=True, depth=2, size=4)
for more in ({}, {"activity.skip_zero_reads": True, "activity.spike_coding": "aer"}):
    config = changed("dtsnn_32nm", {"cells.rows": 8, **more})
    placement = place(network, config)
    work = random_work(np.random.default_rng(3), placement, 3, 2, 0.3)
    about = {"issue": parse("pipeline"), "work": work}
    burst = play(placement, config, [2, 1, 2], 2, **about)
    assert_same(burst, play(placement, config, [2, 1, 2], 2, fidelity="reference", **about))
"""

NEURONS = """
import test_kernels as t
for name in ("test_leak_rounds_towards_minus_infinity", "test_membrane_saturates", "test_bus_toggles_by_hand",
             "test_converter_rounds_halves_up_and_clips"):
    getattr(t, name)()
"""


@pytest.mark.parametrize("code", [READS, WHEEL, NEURONS], ids=["reads", "wheel", "neurons"])
def test_plain_kernels(code: str) -> None:
    paths = os.pathsep.join([str(TESTS / "functional"), str(TESTS / "helpers"), str(TESTS.parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={**os.environ, "PYTHONPATH": paths, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
