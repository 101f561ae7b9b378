"""A config as an object: what is known of it, and what its copies know."""

from __future__ import annotations

import copy
import pickle

from imcsim.hardware import load


def test_figures_of_a_chip_are_not_those_of_its_copy() -> None:
    """What was computed once for a config serves no other, however it was made from it."""
    config = load("dtsnn_32nm").config
    whole = config.tile_area_um2()
    assert config.figures
    smaller = config.model_copy(update={"technology": config.technology.model_copy(update={"node_nm": 16.0})})
    assert smaller.tile_area_um2() < whole
    assert config.tile_area_um2() == whole
    for same in (pickle.loads(pickle.dumps(config)), copy.deepcopy(config), config.model_copy()):
        assert same == config
        assert same.tile_area_um2() == whole
