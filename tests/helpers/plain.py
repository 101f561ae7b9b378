"""Comparisons without what stands beside them, for tests of the runs themselves: several times as fast."""

from __future__ import annotations

from imcsim.hardware.config import Hardware
from imcsim.inputs import Inputs
from imcsim.network.graph import Network
from imcsim.results.comparison import CompareResult
from imcsim.studies.comparison import compare_of
from imcsim.studies.experiment import Experiment
from imcsim.studies.settings import CompareOptions


def plain_compare(
    network: Network,
    hardware: Hardware,
    inputs: Inputs,
    validation: Inputs | None,
    options: CompareOptions | None = None,
) -> CompareResult:
    """What `compare` gives, but for alternatives of the chip's file, other converters and single images."""
    return compare_of(
        Experiment.make(network, hardware, inputs, validation, options or CompareOptions(), None)
    )
