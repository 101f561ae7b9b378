"""SpikeSim's energies by an implementation that is not ours: SpikingJelly's counter on the same spikes."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imcsim.network.graph import INPUT, LIF, Conv2d, Flatten, Linear, Network, Node

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def small(*channels: int) -> Network:
    """Convolutions over 6 x 6 pixels of one bit, and a classifier."""
    rng = np.random.default_rng(4)
    nodes: list[Node] = []
    last, inner = INPUT, 2
    for k, outer in enumerate(channels):
        weight, ones = rng.integers(-7, 8, (outer, inner, 3, 3)).astype(np.int8), np.ones(outer)
        nodes.append(Conv2d(f"conv{k}", (last,), weight, ones, 0 * ones, (1, 1), (1, 1)))
        nodes.append(LIF(f"lif{k}", (f"conv{k}",), 0.5, 3.0, "hard"))
        last, inner = f"lif{k}", outer
    weight = rng.integers(-7, 8, (4, 36 * inner)).astype(np.int8)
    fc = Linear("fc", ("flatten",), weight, np.full(4, 2.0**-8), np.zeros(4))
    nodes += [Flatten("flatten", (last,)), fc]
    return Network("small", (2, 6, 6), 1, 1.0, 4, 2, 4, tuple(nodes))


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module("spikesim_counter")
    sys.modules.pop("spikesim_counter", None)


@pytest.mark.slow  # torch and SpikingJelly take seconds to import
def test_spikingjelly_and_the_chip_agree_by_layer(script: Any) -> None:
    for module in ("torch", "spikingjelly"):
        pytest.importorskip(module, reason=f"{module} is not installed")
    network = small(64, 128)
    table = list(script.rows(network, script.sparse_images(network.input_shape, 2, 0, lit=0.03), 2))
    dense = [row for row in table if row.mode == "dense"]
    event = {(row.layer, row.part): row for row in table if row.mode == "event"}
    assert len(dense) == len({row.layer for row in table})
    assert all(row.ours == pytest.approx(row.spikingjelly, rel=1e-9) for row in dense)
    assert all(row.agrees for row in table), [row for row in table if not row.agrees]
    for (_, part), row in event.items():
        if part == "control":
            assert row.ours == pytest.approx(row.spikingjelly, rel=1e-9)
        if part == "crossbar":
            assert row.ours >= row.spikingjelly * (1 - 1e-9)
    # SpikeSim, and SpikingJelly with it, converts all 64 columns of a crossbar; we do those that are used.
    partial = list(script.rows(small(48), script.sparse_images((2, 6, 6), 1, 0), 1))
    assert 0.8 < partial[0].ours / partial[0].spikingjelly < 1
    assert not partial[0].agrees
    # Some windows were silent, so that the modes differ.
    assert sum(row.ours for row in event.values()) < sum(row.ours for row in dense)


def test_a_program_that_is_not_there_is_named(
    script: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert script.main([]) == 0
    assert capsys.readouterr().out == "torch and spikingjelly not installed: left out\n"
