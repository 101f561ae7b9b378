"""What makes equal spikes possible where leaks have no exact word: rounding, and ties that stay ties."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import imcsim.hardware
from imcsim.functional.membrane_kernels import _decayed
from imcsim.functional.program.program import build
from imcsim.functional.run import ideal_converters
from imcsim.functional.run import run as play
from imcsim.importers.importing.float_network import FloatNetwork, FloatWeights
from imcsim.importers.importing.float_run import run
from imcsim.importers.importing.per_neuron import as_written
from imcsim.importers.quantising.quantise import quantise
from imcsim.network.graph import LIF
from imcsim.simulation.chip import numerics


@settings(deadline=None)
@given(
    value=st.integers(-(2**55), 2**55 - 1),
    decay=st.integers(0, 2**48),
    narrow=st.integers(0, 2**15),
)
def test_products_of_membranes_and_leaks(value: int, decay: int, narrow: int) -> None:
    """The widest are rounded to the nearest; those of chips are cut, as before."""
    assert _decayed(np.int64(value), np.int64(decay), 48) == (value * decay + 2**47) >> 48
    short = value >> 9
    assert _decayed(np.int64(short), np.int64(narrow), 15) == (short * narrow) >> 15


@pytest.mark.parametrize("leak", [Fraction(2, 3), Fraction(4, 5), Fraction(9, 10), Fraction(1, 7)])
@pytest.mark.parametrize(("fires", "wanted"), [("at", 1), ("above", 0)])
def test_a_tie_is_a_tie(leak: Fraction, fires: str, wanted: int) -> None:
    """The membrane reaches its threshold exactly in the second timestep, in rational arithmetic."""
    first = leak.denominator * 4
    threshold = leak * first + 3
    assert threshold.denominator == 1
    # Two inputs: one in each timestep, worth `first` and 3.
    weights = FloatWeights("fc", ("input",), np.array([[float(first), 3.0]] * 2), np.ones(2), np.zeros(2))
    lif = LIF("out", ("fc",), float(leak), float(threshold), "none", fires)  # type: ignore[arg-type]
    network = FloatNetwork("tie", (2, 1, 1), 1, 1.0, 2, 2, (weights, lif))
    frames = np.array([[[1, 0], [0, 1]]], np.uint8).reshape(1, 2, 2, 1, 1)
    assert run(network, frames, 2, record=["out"]).spikes["out"][0, 1, 0] == wanted
    about = numerics(imcsim.hardware.load("dtsnn_32nm").config).ideal()
    program = build(quantise(network, 8), about)
    spikes = play(program, frames, 2, ideal_converters(program), record={"out"}).recorded["out"]
    assert (spikes[0, 1] == wanted).all()


def test_numbers_as_they_were_written() -> None:
    written = np.array([0.9, 0.3, 0.5, -0.123456, 2.0, 1 / 3])
    found = as_written(written.astype(np.float32))
    np.testing.assert_array_equal(found[:5], written[:5])
    assert found[5] == np.float64(np.float32(1 / 3))
    np.testing.assert_array_equal(as_written(written), written)
