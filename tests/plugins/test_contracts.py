"""Our own parts keep the contracts that plug-ins are held to, and broken parts are told so."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from imcsim.base.nonideal import Drift, Stuck, Variation
from imcsim.base.plugins import Origin
from imcsim.exits import OWN as OWN_RULES
from imcsim.exits.entropy import Entropy
from imcsim.exits.rule import CheckWork, Units
from imcsim.functional.nonideal import DrawnChip
from imcsim.functional.nonideal.cell_errors import CellErrors, Programming
from imcsim.functional.nonideal.programming import programmed
from imcsim.hardware.component import Component
from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.estimators.estimator import EstimatedFigures, Estimator
from imcsim.inputs.encoding import FrameEncoding
from imcsim.inputs.encodings import ENCODINGS
from imcsim.plugins.contracts import CONTRACTS, check
from imcsim.plugins.contracts.cell_errors import cell_errors_contract
from imcsim.plugins.contracts.encodings import encoding_contract
from imcsim.plugins.contracts.estimators import estimator_contract
from imcsim.plugins.contracts.exit_rules import exit_rule_contract
from imcsim.plugins.contracts.finding import Finding
from imcsim.plugins.kinds import ALL


def broken(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.problem is not None]


class OwnComponents(Estimator):
    """Our own components, as an estimator would give their figures."""

    def figures(self, chip: HardwareConfig, block: str) -> EstimatedFigures:
        component: Component = getattr(chip, block)
        return EstimatedFigures(
            source="the component itself",
            energy_pj={str(event): energy for event, energy in component.charges(chip).items()},
            area_um2=component.area_um2(chip),
            leakage_uw=component.leakage_uw(chip),
        )


class OwnCells(CellErrors):
    """Our own models of cells: stuck ones, variation, drift."""

    def __init__(self, **errors: Any) -> None:
        self.errors = errors

    def programmed(self, levels: Any, programming: Programming, draws: np.random.Generator) -> Any:
        chip = DrawnChip(
            int(draws.integers(1 << 31)), 0, programming.largest_level, columns=64, columns_per_adc=8,
            **self.errors,
        )  # fmt: skip
        if "drift" in self.errors:
            time_s = {"time_s": programming.time_s}
            chip = DrawnChip(
                chip.seed, 0, chip.largest_level, 64, 8,
                drift=self.errors["drift"].model_copy(update=time_s),
            )  # fmt: skip
        return programmed(levels, 1, chip, 0).conductance


@pytest.mark.parametrize("name", OWN_RULES)
def test_our_exit_rules_keep_the_contract(name: str) -> None:
    assert broken(exit_rule_contract(OWN_RULES[name], None)) == []


def test_our_components_keep_the_contract_of_estimators() -> None:
    assert broken(estimator_contract(OwnComponents(), None)) == []


@pytest.mark.parametrize(
    "errors",
    [
        {"variation": Variation(kind="lognormal", sigma=0.2)},
        {"variation": Variation(kind="normal", sigma=0.2)},
        {"stuck": Stuck(on_rate=0.01, off_rate=0.05)},
        {"drift": Drift(exponent=0.05, exponent_sigma=0.01)},
    ],
    ids=["lognormal", "normal", "stuck", "drift"],
)
def test_our_cell_errors_keep_the_contract(errors: dict[str, Any]) -> None:
    assert broken(cell_errors_contract(OwnCells(**errors), None)) == []


@pytest.mark.parametrize("name", ENCODINGS.own)
def test_our_encodings_keep_the_contract(name: str) -> None:
    assert broken(encoding_contract(ENCODINGS.own[name], None)) == []


def test_every_kind_has_a_contract_of_clauses_with_sentences() -> None:
    assert set(CONTRACTS) == {kind.kind for kind in ALL}
    ((word, origin, findings),) = check("entropy")
    assert (word, origin) == ("exit rule", None)
    assert len(findings) == 8
    assert all(re.fullmatch(r"[A-Z].*\.", finding.clause) for finding in findings)


# What breaks each clause

RANDOM = np.random.default_rng(0)
"""Random numbers that nobody gave to a part."""

ORIGIN = Origin("exit_rules", "bad", "bad.py", "", "0" * 64, __file__)


def rule(**methods: Any) -> Entropy:
    return type("Bad", (Entropy,), methods)()  # type: ignore[no-any-return]


def _remembers(self: Any, outputs: Any, checker: Any) -> Any:
    self.calls = getattr(self, "calls", 0) + 1
    return np.full(outputs.sums.shape[:2], self.calls)


def _changes(self: Any, outputs: Any, checker: Any) -> Any:
    outputs.sums[:] = 0
    return np.zeros(outputs.sums.shape[:2], np.int64)


def _sees_the_future(self: Any, outputs: Any, checker: Any) -> Any:
    last = np.abs(outputs.sums[:, -1]).max(axis=1)
    return np.repeat(last[:, None], outputs.sums.shape[1], axis=1) % 1000


def _compares_images(self: Any, outputs: Any, checker: Any) -> Any:
    first = np.abs(outputs.sums[..., 0])
    return (first + first.shape[0]) % 1000


@pytest.mark.parametrize(
    ("bad", "clause", "problem"),
    [
        ({"scores": lambda s, o, c: np.full(o.sums.shape[:2], 0.5)}, "Scores are", "expected integers"),
        ({"scores": lambda s, o, c: np.zeros(3, np.int64)}, "Scores are", "expected integers"),
        ({"scores": lambda s, o, c: -np.ones(o.sums.shape[:2], np.int64)}, "Scores are", "the least is 0"),
        ({"scores": _remembers}, "The same outputs", "two calls differ"),
        ({"scores": _changes}, "Scores are", "read-only"),
        ({"scores": _sees_the_future}, "A score follows", "change when timestep 3 is there"),
        ({"scores": _compares_images}, "The scores of an image", "an image alone has other scores"),
        ({"scale": lambda s, k, c: float("nan")}, "Words rise", "cannot convert float NaN"),
        ({"scale": lambda s, k, c: 0.0}, "Words rise", r"word\(1\) is 0"),
        ({"word": lambda s, t, k, c: 1}, "Words rise", r"word\(0\) is 1"),
        ({"word": lambda s, t, k, c: round((1 - t) * 100)}, "Words rise", "word"),
        ({"work": lambda s, k, m: CheckWork(compares=-1)}, "Operations", "at least 0, got -1"),
        ({"work": lambda s, k, m: CheckWork(adds=1000 - k)}, "Operations", "adds falls"),
        ({"cycles": lambda s, k, c, f: 0}, "Operations", "at least 1, got 0"),
        (
            {"units": Units(comparators=1, adders=2, multipliers=1, exp_table=True)},
            "What a check",
            "log_table",
        ),
        ({"scores": lambda s, o, c: 1 // 0}, "Scores are", r"ZeroDivisionError.*"),
    ],
)
def test_a_broken_exit_rule_is_told_how(bad: dict[str, Any], clause: str, problem: str) -> None:
    found = {f.clause: f.problem for f in broken(exit_rule_contract(rule(**bad), ORIGIN))}
    mine = [text for sentence, text in found.items() if sentence.startswith(clause)]
    assert len(mine) == 1, found
    assert re.search(problem, mine[0] or ""), mine


def test_an_error_names_the_line_of_the_part() -> None:
    def scores(self: Any, outputs: Any, checker: Any) -> Any:
        return outputs.no_such_thing

    line = scores.__code__.co_firstlineno + 1
    problem = broken(exit_rule_contract(rule(scores=scores), ORIGIN))[0].problem
    assert problem is not None
    assert problem.startswith(f"{__file__}:{line}: exit rule bad: scores failed: AttributeError: ")


def _growing(chip: HardwareConfig) -> float:
    return 1 / chip.technology.node_nm


class BadEstimator(Estimator):
    blocks = ("adc",)

    def __init__(self, **figures: Any) -> None:
        self.given = {"source": "a test"} | figures

    def figures(self, chip: HardwareConfig, block: str) -> EstimatedFigures:
        given = {k: v(chip) if callable(v) else v for k, v in self.given.items()}
        return EstimatedFigures(**given)


@pytest.mark.parametrize(
    ("figures", "problem"),
    [
        ({"area_um2": -1.0}, "area_um2: expected a number of at least 0, got -1.0"),
        ({"energy_pj": {"conversion": 1.0}}, "there is no 'conversion'; did you mean 'conversions"),
        ({"times": {"read_pulse_ns": 1}}, "there is no 'read_pulse_ns'"),
        ({"times": {"conversion_cycles": 0}}, "conversion_cycles"),
        ({"energy_pj": {"conversions": float("inf")}}, "expected a number"),
        ({"area_um2": 1.0, "source": " "}, "source must say"),
        ({}, "it computes nothing"),
        (
            {"energy_pj": lambda chip: {"conversions": 1 / chip.technology.node_nm}},
            "conversions grows at 32 nm",
        ),
        ({"area_um2": lambda chip: 1 / chip.technology.node_nm}, "the area grows at 32 nm"),
    ],
)
def test_a_broken_estimator_is_told_how(figures: dict[str, Any], problem: str) -> None:
    origin = Origin("estimators", "bad", "bad.py", "", "0" * 64, __file__)
    texts = [finding.problem or "" for finding in broken(estimator_contract(BadEstimator(**figures), origin))]
    assert any(problem in text for text in texts), texts


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (lambda levels, about, draws: levels - 1.0, "of at least 0"),
        (lambda levels, about, draws: levels * np.nan, "a finite amount"),
        (lambda levels, about, draws: levels[:1], "expected numbers"),
        (
            lambda levels, about, draws: np.random.default_rng().random(levels.shape),
            "with the same draws differ",
        ),
        (lambda levels, about, draws: np.zeros(levels.shape), "level 0 conducts 0, 1 0"),
        (lambda levels, about, draws: levels.__iadd__(1), "read-only"),
    ],
)
def test_a_broken_cell_error_is_told_how(model: Any, problem: str) -> None:
    class Bad(CellErrors):
        def programmed(self, levels: Any, programming: Programming, draws: Any) -> Any:
            return model(levels, programming, draws)

    origin = Origin("cell_errors", "bad", "bad.py", "", "0" * 64, __file__)
    texts = [finding.problem or "" for finding in broken(cell_errors_contract(Bad(), origin))]
    assert any(problem in text for text in texts), texts


def _frames(images: Any, timesteps: int, value: Any = 1) -> Any:
    return np.full((len(images), timesteps, *images.shape[1:]), value, np.uint8)


@pytest.mark.parametrize(
    ("frames", "problem"),
    [
        (lambda i, t, s, n: i, "expected uint8"),
        (lambda i, t, s, n: _frames(i, t).astype(float), "expected uint8"),
        (lambda i, t, s, n: _frames(i, t, 2), "spikes are 0 or 1"),
        (lambda i, t, s, n: _frames(i, t, t % 2), "the first 3 of 8 timesteps"),
        (lambda i, t, s, n: _frames(i, t, len(i) % 2), "have other frames"),
        (
            lambda i, t, s, n: np.random.default_rng().integers(0, 2, _frames(i, t).shape).astype(np.uint8),
            "differ",
        ),
    ],
)
def test_a_broken_encoding_is_told_how(frames: Any, problem: str) -> None:
    class Bad(FrameEncoding):
        def frames(self, images: Any, timesteps: int, seed: int, numbers: Any) -> Any:
            return frames(images, timesteps, seed, numbers)

    origin = Origin("encodings", "bad", "bad.py", "", "0" * 64, __file__)
    texts = [finding.problem or "" for finding in broken(encoding_contract(Bad(), origin))]
    assert any(problem in text for text in texts), texts
