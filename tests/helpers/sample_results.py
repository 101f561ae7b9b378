"""Result documents for the tests of results, reports and the command line.

Their figures are made up from a seed, but they hang together as real ones do: energies are counts times
energies per action, every image's energy is affine in the timestep at which it leaves, and all means are
taken over those images.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.results.comparison import (
    CompareResult,
    CurvePoint,
    Dynamic,
    Opponent,
    ScalingPoint,
    SensitivityPoint,
    StaticPoint,
)
from imcsim.results.costs import Action, CheckerCost, ComponentCost, LayerCost
from imcsim.results.efficiency import Efficiency, LayerEfficiency, PeakEfficiency
from imcsim.results.figures import Reduction, ValidationFigures
from imcsim.results.meta import HardwareMeta, InputsMeta, Meta, NetworkMeta
from imcsim.results.programming import ProgrammingCost
from imcsim.results.run import Outcome, Policy, RunResult
from imcsim.results.statistics import wilson_interval
from imcsim.results.stream import StreamArrivals, StreamResult, TileUse

Times = NDArray[np.int64]

# component: instances, area of all, and for each action: events once per image, events a timestep, pJ each
COMPONENTS: dict[str, tuple[int, float, dict[str, tuple[float, float, float]]]] = {
    "input buffer": (1, 41_000.0, {"load": (3_072, 0, 330.0)}),
    "crossbar": (3_600, 94_371.8, {"read": (40_000, 154_112, 0.54)}),
    "adc": (28_800, 8_179_200.0, {"conversion": (500_000, 4_860_000, 0.1)}),
    "shift-and-add": (28_800, 1_728_000.0, {"add": (500_000, 4_860_000, 0.021)}),
    "column mux": (28_800, 51_000.0, {"switch": (100_000, 900_000, 0.094)}),
    "tile buffer": (57, 4_731_000.0, {"read": (3_000, 30_000, 5.1), "write": (1_000, 9_000, 5.9)}),
    "accumulator": (57, 600_000.0, {"add": (20_000, 600_000, 0.11)}),
    "lif": (570, 390_000.0, {"update": (0, 276_490, 0.9)}),
    "noc": (15, 2_250_000.0, {"hop": (2_000, 24_000, 4.0)}),
    "checker": (1, 6_300.0, {"check": (0, 1, 26.0)}),
    "leakage": (1, 0.0, {"cycle": (0, 4_584, 7.5)}),
}
CYCLES = 4_584
CHECK_CYCLES = 41


def _energies_pj(name: str, times: Times) -> NDArray[np.float64]:
    """Energy of component `name` for images that leave at `times`."""
    actions = COMPONENTS[name][2].values()
    return np.asarray(sum((once + each * times) * pj for once, each, pj in actions), dtype=np.float64)


def _cost(times: Times, *, checker: bool = True) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    names = [name for name in COMPONENTS if checker or name != "checker"]
    cycles = (CYCLES + (CHECK_CYCLES if checker else 0)) * times
    return np.sum([_energies_pj(name, times) for name in names], axis=0), cycles.astype(np.float64)


def _components(times: Times, static: Times | None) -> tuple[ComponentCost, ...]:
    total = float(_cost(times)[0].mean())
    components = []
    for name, (count, area_um2, actions) in COMPONENTS.items():
        energy_pj = float(_energies_pj(name, times).mean())
        mean = float(times.mean())
        events = {action: once + each * mean for action, (once, each, _) in actions.items()}
        components.append(
            ComponentCost(
                name=name,
                energy_pj=energy_pj,
                share=energy_pj / total,
                static_energy_pj=None if static is None else float(_energies_pj(name, static).mean()),
                area_um2=area_um2,
                count=count,
                actions=tuple(
                    Action(name=a, count=n, energy_pj_each=actions[a][2], energy_pj=n * actions[a][2])
                    for a, n in events.items()
                ),
            )
        )
    return tuple(components)


def _layers(energy_pj: float) -> tuple[LayerCost, ...]:
    shapes = [
        (27, 128),
        (576, 128),
        (576, 256),
        (1152, 256),
        (1152, 512),
        (2304, 512),
        (4608, 1024),
        (512, 20),
    ]
    weights = np.array([rows * columns for rows, columns in shapes], dtype=np.float64)
    shares = weights / weights.sum()
    return tuple(
        LayerCost(
            name="fc" if i == len(shapes) else f"conv{i}",
            kind="linear" if i == len(shapes) else "conv 3x3",
            rows=rows,
            columns=columns,
            crossbars=-(-rows // 64) * -(-columns // 64),
            tiles=-(-(-(-rows // 64) * -(-columns // 64)) // 64),
            copies=1,
            energy_pj=float(share) * energy_pj,
            share=float(share),
            spike_rate=None if i == len(shapes) else 0.21 - 0.02 * i,
        )
        for i, ((rows, columns), share) in enumerate(zip(shapes, shares, strict=True), 1)
    )


def _checker() -> CheckerCost:
    one = float(_cost(np.array([1]))[0][0] - _cost(np.array([0]))[0][0])
    return CheckerCost(
        energy_share_of_one_timestep=26.0 / one,
        energy_pj_per_check=26.0,
        cycles_per_check=CHECK_CYCLES,
        area_um2=6_300.0,
    )


def _area_um2() -> float:
    return sum(area for _, area, _ in COMPONENTS.values())


def _efficiency(mean_timesteps: float, energy_pj: float, latency_ns: float) -> Efficiency:
    """Of a network with a million weights, each used ten times per timestep; one input in ten is 1."""
    return Efficiency(
        energy_pj=energy_pj,
        latency_ns=latency_ns,
        area_um2=_area_um2(),
        weight_bits=8,
        operations=2e7 * mean_timesteps,
        synaptic_operations=1e6 * mean_timesteps,
        accumulates=0.9e6 * mean_timesteps,
        multiply_accumulates=1e5,
        dense_multiply_accumulates=1e7,
        accumulate_pj=0.9,
        multiply_accumulate_pj=4.6,
        naive_node_nm=45.0,
    )


def _peak() -> PeakEfficiency:
    return PeakEfficiency(energy_pj=5e4, latency_ns=8.0, area_um2=_area_um2(), weight_bits=8, operations=3e6)


def _programming(energy_pj: float, latency_ns: float) -> ProgrammingCost:
    return ProgrammingCost(
        method="rram", source="made up", cells=1_000_000, cells_in_turn=32_768, cells_at_once=1, pulses=8.5,
        pulse_ns=1000.0, pulse_energy_pj=62.0, verify_ns=9.0, verify_energy_pj=2.0, parameters_energy_pj=41.0,
        inference_energy_pj=energy_pj, inference_ns=latency_ns,
    )  # fmt: skip


def _layer_efficiency(
    components: tuple[ComponentCost, ...], whole: Efficiency
) -> tuple[LayerEfficiency, ...]:
    """Two layers that share all but the leakage."""
    work = {c.name: c.energy_pj for c in components if c.name != "leakage"}
    rest = {c.name: c.energy_pj for c in components if c.name == "leakage"}
    layers = [
        LayerEfficiency(
            name=name,
            operations=share * whole.operations,
            synaptic_operations=share * whole.synaptic_operations,
            skipped_reads=0.25 * share,
            energy_pj_by_component={part: share * pj for part, pj in work.items()},
            latency_ns=share * whole.latency_ns,
            busy_ns={bound: 0.8 * share * whole.latency_ns, "mesh": 0.1 * share * whole.latency_ns},
            cells_used=0.9,
        )
        for name, share, bound in (("conv1", 0.75, "adc"), ("fc", 0.25, "crossbar"))
    ]
    static = LayerEfficiency(
        name="static", operations=0.0, synaptic_operations=0.0, skipped_reads=0.0,
        energy_pj_by_component=rest, latency_ns=None, busy_ns={}, cells_used=None,
    )  # fmt: skip
    return (*layers, static)


def _meta(images: int, timesteps: int, issue: str = "wait") -> Meta:
    return Meta(
        version="0.1.0",
        seed=0,
        images=images,
        timesteps=timesteps,
        fidelity="burst",
        policy=issue,
        hardware=HardwareMeta(
            name="dtsnn_32nm",
            sha256="ab" * 32,
            encoder="keep",
            clock_ns=1.0,
            tiles=57,
            crossbars=3_600,
            area_um2=_area_um2(),
        ),
        network=NetworkMeta(
            name="vgg7_cifar10",
            sha256="cd" * 32,
            layers=8,
            weights=4_600_000,
            accuracy_float_per_timestep=None,
            accuracy_quantised_per_timestep=(0.84, 0.878, 0.888, 0.892),
        ),
        inputs=InputsMeta(name="cifar10_test", sha256="ef" * 32, split="test"),
    )


class _Images:
    """`images` made-up images: how sure the network is of each at each timestep, and whether it is right."""

    def __init__(self, images: int, timesteps: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        hardness = rng.beta(0.5, 2.2, size=images)
        self.timesteps = timesteps
        t = np.arange(1, timesteps + 1)
        self.doubt = hardness[:, None] / t**0.35
        self.right = rng.random(images)[:, None] > np.minimum(0.9, 0.02 + 0.45 * self.doubt)

    def exits(self, threshold: float) -> Times:
        below = self.doubt < threshold
        return np.where(below.any(axis=1), below.argmax(axis=1) + 1, self.timesteps).astype(np.int64)

    def right_at(self, times: Times) -> int:
        return int(self.right[np.arange(len(times)), times - 1].sum())


def _measured(images: _Images, times: Times) -> dict[str, Any]:
    energy_pj, latency_ns = _cost(times)
    right = images.right_at(times)
    low, high = wilson_interval(right, len(times))
    share = np.bincount(times, minlength=images.timesteps + 1)[1:] / len(times)
    p50, p95, p99 = np.percentile(latency_ns, [50, 95, 99])
    return {
        "accuracy": right / len(times),
        "accuracy_low": low,
        "accuracy_high": high,
        "mean_timesteps": float(times.mean()),
        "exit_fraction": tuple(share.tolist()),
        "energy_pj": float(energy_pj.mean()),
        "latency_ns": float(latency_ns.mean()),
        "latency_p50_ns": float(p50),
        "latency_p95_ns": float(p95),
        "latency_p99_ns": float(p99),
        "edp_mean_of_products": float((energy_pj * latency_ns).mean()),
        "edp_product_of_means": float(energy_pj.mean() * latency_ns.mean()),
        "cancelled_energy_pj": 0.0,
    }


def compare_result(
    *, images: int = 1000, timesteps: int = 4, threshold: float = 0.25, given: bool = False, seed: int = 1
) -> CompareResult:
    """A comparison of made-up images; the threshold counts as chosen on validation images unless `given`."""
    drawn = _Images(images, timesteps, seed)
    static = []
    for t in range(1, timesteps + 1):
        point = _measured(drawn, np.full(images, t))
        without_pj, without_ns = _cost(np.full(images, t), checker=False)
        static.append(
            StaticPoint(
                timesteps=t,
                issue="wait",
                edp_pj_ns=point["edp_mean_of_products"],
                energy_without_checker_pj=float(without_pj.mean()),
                latency_without_checker_ns=float(without_ns.mean()),
                **{k: v for k, v in point.items() if k in StaticPoint.model_fields},
            )
        )
    ahead = tuple(_ahead(point) for point in static)
    times = drawn.exits(threshold)
    measured = _measured(drawn, times)
    seen = ValidationFigures(images=1000, accuracy_static=0.893, accuracy_dynamic=0.892, mean_timesteps=1.43)
    dynamic = Dynamic(
        rule="entropy",
        accumulation="mean",
        threshold=threshold,
        threshold_source="given" if given else "validation",
        validation=None if given else seen,
        **measured,
    )
    last = ahead[-1]
    curve = []
    for step in range(0, 21):
        point = _measured(drawn, drawn.exits(step / 20))
        curve.append(
            CurvePoint(
                threshold=step / 20, **{k: v for k, v in point.items() if k in CurvePoint.model_fields}
            )
        )
    components = _components(times, np.full(images, timesteps))
    efficiency = _efficiency(dynamic.mean_timesteps, dynamic.energy_pj, dynamic.latency_ns)
    one_pj, one_ns = _cost(np.array([1]))
    scaling = []
    for t in range(1, 9):
        energy_pj, latency_ns = _cost(np.array([t]))
        scaling.append(
            ScalingPoint(
                timesteps=t,
                energy_ratio=float(energy_pj[0] / one_pj[0]),
                latency_ratio=float(latency_ns[0] / one_ns[0]),
            )
        )
    return CompareResult(
        meta=_meta(images, timesteps),
        opponents=(Opponent(issue="wait", static=tuple(static)), Opponent(issue="pipeline", static=ahead)),
        dynamic=dynamic,
        reduction=Reduction(
            energy=1 - dynamic.energy_pj / last.energy_pj,
            latency=1 - dynamic.latency_ns / last.latency_ns,
            edp_mean_of_products=1 - dynamic.edp_mean_of_products / last.edp_mean_of_products,
            edp_product_of_means=1 - dynamic.edp_product_of_means / last.edp_product_of_means,
        ),
        components=components,
        layers=_layers(dynamic.energy_pj),
        checker=_checker(),
        efficiency=efficiency,
        static_efficiency=_efficiency(timesteps, last.energy_pj, last.latency_ns),
        peak=_peak(),
        programming=_programming(efficiency.energy_pj, efficiency.latency_ns),
        layer_efficiency=_layer_efficiency(components, efficiency),
        curve=tuple(curve),
        scaling=tuple(scaling),
        sensitivity=tuple(_sensitivity(last, dynamic)),
        warnings=("the inputs are fewer than 2,000 images: the interval is wide",),
    )


def _ahead(point: StaticPoint) -> StaticPoint:
    """A static run whose timesteps enter without waiting for the checker, at the same energy."""
    shorter = 1 - 0.3 * (1 - 1 / point.timesteps)
    fields = point.model_dump(exclude={"edp_pj_ns", "edp_product_of_means"})
    for key in ("latency_ns", "latency_without_checker_ns", "edp_mean_of_products"):
        fields[key] *= shorter
    return StaticPoint(**fields | {"issue": "pipeline"})


def _sensitivity(last: StaticPoint, dynamic: Dynamic) -> Iterator[SensitivityPoint]:
    """The run itself, and one whose energies are three times as large."""
    for name, used, factor in (("sar", True, 1.0), ("flash", False, 3.0)):
        yield SensitivityPoint(
            name=name,
            used=used,
            conversion_energy_pj=0.2 * factor,
            static_energy_pj=last.energy_pj * factor,
            dynamic_energy_pj=dynamic.energy_pj * factor,
            reduction=Reduction(
                energy=1 - dynamic.energy_pj / last.energy_pj,
                latency=1 - dynamic.latency_ns / last.latency_ns,
                edp_mean_of_products=1 - dynamic.edp_mean_of_products / last.edp_mean_of_products,
                edp_product_of_means=1 - dynamic.edp_product_of_means / last.edp_product_of_means,
            ),
        )


def run_result(*, kind: str = "dynamic", images: int = 1000, timesteps: int = 4, seed: int = 1) -> RunResult:
    """One policy on the same made-up images."""
    drawn = _Images(images, timesteps, seed)
    if kind == "static":
        policy = Policy(kind="static", timesteps=timesteps)
        times = np.full(images, timesteps)
    else:
        policy = Policy(
            kind="dynamic",
            timesteps=timesteps,
            rule="margin",
            accumulation="sum",
            threshold=0.25,
            threshold_source="given",
        )
        times = drawn.exits(0.25)
    measured = _measured(drawn, times)
    components = _components(times, None)
    efficiency = _efficiency(measured["mean_timesteps"], measured["energy_pj"], measured["latency_ns"])
    return RunResult(
        meta=_meta(images, timesteps),
        policy=policy,
        outcome=Outcome(
            components=components,
            layers=_layers(float(_cost(times)[0].mean())),
            checker=None if kind == "static" else _checker(),
            efficiency=efficiency,
            peak=_peak(),
            programming=_programming(efficiency.energy_pj, efficiency.latency_ns),
            layer_efficiency=_layer_efficiency(components, efficiency),
            **measured,
        ),
    )


def stream_result(*, kind: str = "dynamic", images: int = 200, timesteps: int = 4) -> StreamResult:
    """The same images one after the other: Poisson arrivals where they leave early (and some work is
    cancelled), else a closed loop.
    """
    alone = run_result(kind=kind, images=images, timesteps=timesteps)
    outcome, dynamic = alone.outcome, kind == "dynamic"
    share = np.array(outcome.exit_fraction)
    times = np.repeat(np.arange(1, timesteps + 1), np.rint(share * images).astype(int))
    stay_ns = np.random.default_rng(3).permutation(_cost(times)[1])
    gap_ns = 1.3 * stay_ns.mean() if dynamic else 0.0
    arrival_ns = np.arange(images) * gap_ns
    departure_ns = np.zeros(images)
    for k in range(images):
        departure_ns[k] = max(arrival_ns[k], departure_ns[k - 1] if k else 0.0) + stay_ns[k]
    latency_ns = departure_ns - arrival_ns if dynamic else stay_ns
    makespan_ns = float(departure_ns[-1])
    percentiles = np.percentile(latency_ns, np.arange(101), method="inverted_cdf").tolist()
    cancelled_pj = 0.1 * outcome.energy_pj if dynamic else 0.0
    energy_pj = outcome.energy_pj + cancelled_pj
    layers = [("conv1",), ("conv2",), ("conv2",), ("conv3", "fc")]
    efficiency = _efficiency(outcome.mean_timesteps, energy_pj, makespan_ns / images)
    more = energy_pj / outcome.energy_pj
    scaled = tuple(c.model_copy(update={"energy_pj": more * c.energy_pj}) for c in outcome.components)
    return StreamResult(
        meta=_meta(images, timesteps, "speculate" if dynamic else "pipeline"),
        policy=alone.policy,
        arrivals=StreamArrivals(kind="poisson", images_per_s=1e9 / gap_ns)
        if dynamic
        else StreamArrivals(kind="closed", images_per_s=None),
        accuracy=outcome.accuracy,
        accuracy_low=outcome.accuracy_low,
        accuracy_high=outcome.accuracy_high,
        mean_timesteps=outcome.mean_timesteps,
        exit_fraction=outcome.exit_fraction,
        makespan_ns=makespan_ns,
        throughput_images_per_s=images / (makespan_ns * 1e-9),
        latency_ns=float(latency_ns.mean()),
        latency_p50_ns=percentiles[50],
        latency_p95_ns=percentiles[95],
        latency_p99_ns=percentiles[99],
        latency_percentiles_ns=tuple(percentiles),
        energy_pj=energy_pj,
        cancelled_energy_pj=cancelled_pj,
        leakage_energy_pj=0.05 * energy_pj,
        edp_of_latency=energy_pj * float(latency_ns.mean()),
        edp_of_interval=energy_pj * makespan_ns / images,
        tiles=tuple(
            TileUse(tile=k, layers=layers[k] if k < 4 else (), utilisation=0.9 / (k + 1)) for k in range(57)
        ),
        flits_a_cycle_and_router=0.02,
        layers=outcome.layers,
        efficiency=efficiency,
        peak=_peak(),
        programming=_programming(efficiency.energy_pj, efficiency.latency_ns),
        layer_efficiency=_layer_efficiency(scaled, efficiency),
    )
