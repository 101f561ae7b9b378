"""The result documents: their sums, their JSON and the accuracy interval."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sample_results import compare_result, run_result, stream_result

from imcsim.base.errors import ImcsimError
from imcsim.results.comparison import CompareResult
from imcsim.results.costs import LayerCost
from imcsim.results.model import to_json
from imcsim.results.run import RunResult
from imcsim.results.statistics import farthest_end, few_images, wilson_interval
from imcsim.results.stream import StreamResult

COMPARED = compare_result(images=200)
RAN = run_result(images=200)
STREAMED = stream_result()


@pytest.mark.parametrize(
    "result",
    [COMPARED, RAN, run_result(kind="static", images=200), STREAMED, stream_result(kind="static")],
)
def test_json_round_trip(result: CompareResult | RunResult | StreamResult) -> None:
    text = to_json(result)
    assert type(result).model_validate_json(text) == result
    assert to_json(type(result).model_validate_json(text)) == text
    # Nothing is said of another network, of loads, of copies of the chip or of links where there are none.
    optional = {
        CompareResult: ("against", "reload", "static_reload"),
        StreamResult: ("copies", "link_utilisation"),
    }
    left_out = {name for name in optional.get(type(result), ()) if getattr(result, name) is None}
    assert list(json.loads(text)) == [name for name in type(result).model_fields if name not in left_out]


def test_same_figures_same_bytes() -> None:
    assert to_json(compare_result(images=200)) == to_json(COMPARED)
    assert to_json(compare_result(images=200, seed=2)) != to_json(COMPARED)


def test_json_is_indented_and_in_declared_order() -> None:
    lines = to_json(COMPARED).splitlines()
    assert lines[:3] == ["{", '  "schema_version": 3,', '  "meta": {']
    assert list(json.loads(to_json(COMPARED))["dynamic"])[:4] == [
        "rule",
        "accumulation",
        "threshold",
        "threshold_source",
    ]
    assert next(iter(json.loads(to_json(COMPARED))["static"][0])) == "timesteps"


def test_documents_are_immutable() -> None:
    with pytest.raises(ValidationError):
        COMPARED.dynamic.energy_pj = 0.0
    assert isinstance(COMPARED.static, tuple)


def test_numpy_scalars_become_plain_numbers() -> None:
    layer = LayerCost(
        name="conv1",
        kind="conv",
        rows=np.int64(27),  # type: ignore[arg-type]
        columns=64,
        crossbars=1,
        tiles=1,
        copies=1,
        energy_pj=np.float64(0.1),
        share=np.float64(0.5),
        spike_rate=None,
    )
    assert json.loads(json.dumps(layer.model_dump())) == layer.model_dump()


def _at(data: Any, path: tuple[str | int, ...]) -> Any:
    for part in path:
        data = data[part]
    return data


@pytest.mark.parametrize(
    ("path", "change", "message"),
    [
        (("dynamic", "energy_pj"), lambda v: 2 * v, "edp_product_of_means is not energy_pj x latency_ns"),
        (("dynamic", "mean_timesteps"), lambda v: v + 0.01, "mean_timesteps does not follow"),
        (("dynamic", "exit_fraction", 0), lambda v: v / 2, "does not sum to 1"),
        (("dynamic", "latency_p50_ns"), lambda v: 1e12, "out of order"),
        (("dynamic", "accuracy_low"), lambda v: 1.0, "outside its own interval"),
        (("dynamic", "validation"), lambda v: None, "validation figures belong to"),
        (("dynamic", "threshold"), lambda v: 1.5, "less than or equal to 1"),
        (("reduction", "energy"), lambda v: v + 1e-6, "reduction.energy is not"),
        (("reduction", "edp_mean_of_products"), lambda v: -v, "reduction.edp_mean_of_products is not"),
        (("static",), lambda v: v[:-1], "static is not the opponent with the least EDP"),
        (("static",), lambda v: v[::-1], "is not the opponent with the least EDP"),
        (("static", 3, "issue"), lambda v: "wait", "static.3.issue is not the opponent"),
        (("reductions", 1, "energy"), lambda v: v / 2, "reductions.1.energy is not"),
        (("opponents",), lambda v: v[:1] * 2, "each issue policy must stand once"),
        (("opponents", 0, "issue"), lambda v: "pipeline", "an opponent has one issue policy"),
        (("opponents", 0, "static"), lambda v: v[:-1], "T = 1, ..., T max"),
        (("opponents", 0, "static"), lambda v: v[::-1], "T = 1, ..., T max"),
        (("opponents", 0, "static", 0, "edp_pj_ns"), lambda v: v * 2, "edp_pj_ns differs"),
        (("components",), lambda v: v[1:], "do not sum to the energy"),
        (("components", 0, "share"), lambda v: v / 2, "share is not its energy over the total"),
        (("components", 0, "static_energy_pj"), lambda v: None, "static energies do not sum"),
        (("components", 0, "actions"), lambda v: [], "its actions do not sum"),
        (("scaling",), lambda v: v[1:], "scaling must hold"),
        (("meta", "seed"), lambda v: math.nan, "seed"),
        (("meta", "hardware", "sha256"), lambda v: "xyz", "pattern"),
        (("checker", "area_um2"), lambda v: math.inf, "finite"),
    ],
)
def test_a_document_whose_sums_disagree_is_refused(
    path: tuple[str | int, ...], change: Any, message: str
) -> None:
    data = json.loads(to_json(COMPARED))
    parent = _at(data, path[:-1])
    parent[path[-1]] = change(parent[path[-1]])
    with pytest.raises(ValidationError, match=message):
        CompareResult.model_validate(data)


@pytest.mark.parametrize(
    ("path", "change", "message"),
    [
        (("throughput_images_per_s",), lambda v: 2 * v, "not images / makespan_ns"),
        (("makespan_ns",), lambda v: 2 * v, "not images / makespan_ns"),
        (("energy_pj",), lambda v: 2 * v, "edp_of_latency is not"),
        (("edp_of_latency",), lambda v: v * (1 + 1e-6), "edp_of_latency is not"),
        (("edp_of_interval",), lambda v: v * (1 + 1e-6), "edp_of_interval is not"),
        (("leakage_energy_pj",), lambda v: 19 * v, "exceed the energy"),
        (("latency_p95_ns",), lambda v: v + 1, "not that of latency_percentiles_ns"),
        (("latency_percentiles_ns",), lambda v: v[::-1], "out of order"),
        (("latency_percentiles_ns",), lambda v: v[:-1], "at least 101"),
        (("mean_timesteps",), lambda v: v + 0.01, "mean_timesteps does not follow"),
        (("exit_fraction",), lambda v: [*v, 0.0], "exit_fraction must have"),
        (("policy", "timesteps"), lambda v: v + 1, "policy.timesteps differs"),
        (("arrivals", "images_per_s"), lambda v: None, "all arrivals but closed"),
        (("arrivals", "kind"), lambda v: "closed", "all arrivals but closed"),
        (("tiles",), lambda v: v[1:], "every tile of the chip"),
        (("accuracy_high",), lambda v: 0.0, "outside its own interval"),
    ],
)
def test_a_stream_whose_figures_disagree_is_refused(
    path: tuple[str | int, ...], change: Any, message: str
) -> None:
    data = json.loads(to_json(STREAMED))
    parent = _at(data, path[:-1])
    parent[path[-1]] = change(parent[path[-1]])
    with pytest.raises(ValidationError, match=message):
        StreamResult.model_validate(data)


def test_a_mean_latency_beyond_the_longest_is_refused() -> None:
    data = json.loads(to_json(STREAMED))
    factor = 1.001 * data["latency_percentiles_ns"][-1] / data["latency_ns"]
    data["latency_ns"] *= factor
    data["edp_of_latency"] *= factor
    with pytest.raises(ValidationError, match="outside the latencies"):
        StreamResult.model_validate(data)


def test_unknown_key_is_refused() -> None:
    data = json.loads(to_json(RAN))
    data["outcome"]["energy"] = 1.0
    with pytest.raises(ValidationError, match=r"outcome.energy"):
        RunResult.model_validate(data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "static"}, "a static policy has no exit rule"),
        ({"rule": None}, "a dynamic policy needs rule"),
        ({"threshold": None}, "a dynamic policy needs rule"),
        ({"threshold_source": "validation"}, "validation figures belong to"),
        ({"timesteps": 3}, r"policy.timesteps differs"),
    ],
)
def test_policy_and_rule_must_agree(change: dict[str, Any], message: str) -> None:
    data = json.loads(to_json(RAN))
    data["policy"] |= change
    with pytest.raises(ValidationError, match=message):
        RunResult.model_validate(data)


# R. G. Newcombe, Stat. Med. 17 (1998) 857-872: the score method without continuity correction.
@pytest.mark.parametrize(
    ("right", "images", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_interval_against_published_values(right: int, images: int, low: float, high: float) -> None:
    assert wilson_interval(right, images) == pytest.approx((low, high), abs=5e-5)


@given(st.data())
def test_wilson_interval_properties(data: st.DataObject) -> None:
    images = data.draw(st.integers(1, 100_000))
    right = data.draw(st.integers(0, images))
    low, high = wilson_interval(right, images)
    accuracy = right / images
    assert 0 <= low <= accuracy <= high <= 1
    assert low < high
    mirrored = wilson_interval(images - right, images)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-12)
    # The definition: an end is a proportion from which the accuracy seen is z standard deviations away.
    for end in (low, high):
        if 1e-6 < end < 1 - 1e-6:
            z = abs(accuracy - end) / math.sqrt(end * (1 - end) / images)
            assert z == pytest.approx(1.959964, rel=1e-4)


@given(st.data())
def test_the_warning_of_few_images_bounds_every_interval(data: st.DataObject) -> None:
    images = data.draw(st.integers(1, 999))
    right = data.draw(st.integers(0, images))
    low, high = wilson_interval(right, images)
    said = few_images(images)
    assert said is not None
    points = float(said.split("up to ")[1].split()[0])
    assert 100 * max(right / images - low, high - right / images) <= points
    assert points - 100 * farthest_end(images) < 0.1 + 1e-9  # no looser than a digit


def test_few_images_reach_far_to_one_side() -> None:
    """One of one right: the lower end is 1 / (1 + z^2). An accuracy of one half reaches less far."""
    assert farthest_end(1) == pytest.approx(1 - 1 / (1 + 1.959964**2), rel=1e-6)
    low, high = wilson_interval(15, 30)
    assert farthest_end(30) > 0.1788 > (high - low) / 2


@pytest.mark.parametrize(("right", "images"), [(0, 0), (-1, 10), (11, 10)])
def test_impossible_accuracies_are_refused(right: int, images: int) -> None:
    with pytest.raises(ImcsimError, match="no accuracy"):
        wilson_interval(right, images)
