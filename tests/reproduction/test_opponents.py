"""Static opponents of equal accuracy, and ways to choose thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from networks import forward, random_images, vgg_like
from numpy.typing import NDArray

import imcsim.hardware
import imcsim.network
from imcsim.base.errors import ImcsimError
from imcsim.inputs import Inputs
from imcsim.network.graph import Conv2d, Network
from imcsim.reproduction.choosing import BOUNDS, choosing_ways
from imcsim.reproduction.combinations import Judge, Outputs, Prices, base_choices, joint
from imcsim.reproduction.decisions import Costs, Split, right_of
from imcsim.reproduction.opponents import Rival, equals, opponents
from imcsim.reproduction.plan import PaperNetwork, fingerprint, read_subjects, subject
from imcsim.results.reproduction.figures import Figures, Loss, Paired
from imcsim.studies.comparison import compare_of
from imcsim.studies.experiment import Experiment
from imcsim.studies.settings import CompareOptions

ABOUT = PaperNetwork(
    "vgg16", "VGG-16", {"running": "a", "final": "b"}, channels=(4, 6), statics={1: "one", 2: "two"}
)
HARDWARE = imcsim.hardware.load("dtsnn_32nm")
CLASSES = 4


@cache
def network(seed: int) -> Network:
    made = vgg_like(np.random.default_rng(seed), plan=(4, "M", 6), size=8, classes=CLASSES, timesteps=4)
    return replace(made, name=f"random{seed}", provenance={"training": {"seed": 1}})


@cache
def images(split: str, count: int = 30) -> Inputs:
    """Most labels are the first network's own answers."""
    rng = np.random.default_rng(len(split))
    drawn = random_images(rng, network(1).input_shape, count)
    labels = forward(network(1), drawn, 4)[network(1).nodes[-1].name].sum(0).argmax(1).astype(np.int64)
    other = rng.random(count) < 1 / 4
    labels[other] = rng.integers(0, CLASSES, int(other.sum()))
    return Inputs(drawn, labels, split, split, f"{len(split):064x}", CLASSES)  # type: ignore[arg-type]


@cache
def bench(seed: int, timesteps: int | None = None) -> Experiment:
    options = CompareOptions(workers=1, timesteps=timesteps)
    return Experiment.make(network(seed), HARDWARE, images("test"), images("validation"), options, None)


def test_opponents_do_what_comparisons_say_of_them() -> None:
    benches: dict[Loss, Experiment] = {"running": bench(1), "final": bench(2)}
    found = opponents(benches, {2: bench(3, 2)})
    assert len(found) == 2 * (4 + 4 + 1)
    for one in found:
        made = {"running loss": bench(1), "final loss": bench(2), "for T = 2": bench(3, 2)}[one.trained]
        static = next(o for o in compare_of(made).opponents if o.issue == one.issue).static[one.timesteps - 1]
        assert one.network == made.chip.network.name
        assert one.edp == pytest.approx(static.edp_mean_of_products, rel=1e-12)
        assert one.right["test"].mean() == static.accuracy
        assert one.right["validation"].tolist() == right_of(made, "validation")[:, one.timesteps - 1].tolist()
    assert [one.timesteps for one in found if one.trained == "for T = 2"] == [2, 2]


SEEN: Mapping[Split, int] = {"validation": 5000, "test": 4000}


def answers(lost: float, gained: float, split: Split) -> NDArray[np.bool_]:
    """The dynamic run is right on the first nine tenths; this one not on a share `lost` of all images, but on
    a share `gained` of them on which that one is wrong.
    """
    count = SEEN[split]
    right = np.arange(count) < 0.9 * count
    right[: round(lost * count)] = False
    right[round(0.9 * count) : round((0.9 + gained) * count)] = True
    return right


def opponent(name: str, edp: float, lost: float, gained: float = 0.0, issue: str = "wait") -> Rival:
    right = {split: answers(lost, gained, split) for split in SEEN}
    return Rival(name, "for T = 1", 1, issue, right, Costs(np.full(4000, edp), np.ones(4000)))  # type: ignore[arg-type]


def dynamic(energy: float) -> Figures:
    same = Paired(difference=0, low=-0.001, high=0.001, gained=0, lost=0)
    return Figures(
        images=4000, accuracy=0.9, accuracy_low=0.89, accuracy_high=0.91, mean_timesteps=1.5,
        exit_fraction=(0.5, 0.5), energy_pj=energy, latency_ns=1.0, edp_mean_of_products=energy,
        against_static=same,
    )  # fmt: skip


def test_the_cheapest_of_equal_accuracy_is_taken() -> None:
    own = {split: answers(0, 0, split) for split in SEEN}
    every = [
        opponent("dear and better", 9.0, 0.0, 0.02),
        opponent("cheap and worse", 1.0, 0.03),
        opponent("a little worse for sure", 2.0, 0.005),
        opponent("not told apart", 3.0, 0.02, 0.018),
        opponent("pipelined", 2.5, 0.02, 0.018, "pipeline"),
        opponent("as good", 4.0, 0.0),
    ]
    waiting, pipelined = equals(every, own, dynamic(1.5))
    assert (waiting.network, waiting.issue) == ("not told apart", "wait")
    assert (pipelined.network, pipelined.issue) == ("pipelined", "pipeline")
    assert waiting.reduction.edp_mean_of_products == pytest.approx(0.5)
    assert waiting.accuracy == pytest.approx(0.898)
    assert (waiting.test.gained, waiting.test.lost) == (80, 72)
    assert waiting.test.difference == pytest.approx(0.002)
    assert waiting.validation.difference == pytest.approx(-0.002)
    assert not equals(every[1:2], own, dynamic(1.5)), "none is of equal accuracy"


def test_test_labels_choose_no_opponent() -> None:
    own = {split: answers(0, 0, split) for split in SEEN}
    one, other = opponent("a", 1.0, 0.03), opponent("b", 2.0, 0.0)
    (found,) = equals([one, other], own, dynamic(1.0))
    swapped = [
        replace(x, right={**x.right, "test": y.right["test"]}) for x, y in ((one, other), (other, one))
    ]
    (again,) = equals(swapped, own, dynamic(1.0))
    assert found.network == again.network == "b"
    assert found.accuracy > again.accuracy


def test_base_and_best_stand_beside_their_opponents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imcsim.results.reproduction.figures.MARGIN", 1.0)  # few images rule out nothing
    benches: dict[Loss, Experiment] = {"running": bench(1), "final": bench(2)}
    rivals = opponents(benches, {1: bench(3, 1)})
    found = joint(Judge(Outputs(benches), Prices(benches, 1)), base_choices(bench(1)), ("running", "final"),
                  rivals=rivals)  # fmt: skip
    assert [one.issue for one in found.base.equal] == ["wait", "pipeline"]
    assert not any(step.way.equal for step in (*found.alone, *found.without) if step.way)
    own = bench(1)
    stay = own.exits(own.held_out, own.choose())  # type: ignore[arg-type]
    then = right_of(own, "validation")[np.arange(len(stay)), stay - 1]
    for name, way, one in found.equals:
        assert one in way.equal
        (rival,) = [r for r in rivals if (r.network, r.timesteps, r.issue)
                    == (one.network, one.timesteps, one.issue)]  # fmt: skip
        assert one.edp_mean_of_products == pytest.approx(rival.edp)
        assert one.reduction.edp_mean_of_products == pytest.approx(
            1 - way.test.edp_mean_of_products / rival.edp
        )
        if name == "base":
            difference = rival.right["validation"].mean() - then.mean()
            assert one.validation.difference == pytest.approx(difference)


def test_static_bundles_are_read_where_they_are(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 2), ("two", 3)):
        imcsim.network.save(network(seed), tmp_path / name)
    (found,) = read_subjects([ABOUT], tmp_path)
    assert sorted(found.statics) == [2]
    assert found.statics[2].name == "random3"
    without = replace(found, statics={})
    shown = images("test"), images("validation")
    assert fingerprint(found, *shown) != fingerprint(without, *shown)
    nodes = tuple(
        replace(node, weight=np.concatenate([node.weight] * 2)) if isinstance(node, Conv2d) else node
        for node in network(3).nodes
    )
    with pytest.raises(ImcsimError, match="random3"):
        subject(
            replace(ABOUT, channels=(8, 12)), found.networks, HARDWARE, {2: replace(network(3), nodes=nodes)}
        )


def test_every_way_to_choose_is_what_compare_finds_with_it() -> None:
    found = choosing_ways(bench(1))
    assert [one.max_loss for one in found] == [bound for bound in BOUNDS for _ in range(4)]
    for one in found:
        options = replace(
            bench(1).options, thresholds=one.thresholds, temperatures=one.temperatures, max_loss=one.max_loss
        )
        made = compare_of(replace(bench(1), options=options)).dynamic
        given = (made.threshold,) if made.threshold is not None else made.thresholds
        assert given is not None
        assert one.threshold == given or set(one.threshold) == set(given)
        assert (one.test.accuracy, one.test.mean_timesteps) == (made.accuracy, made.mean_timesteps)
        assert one.test.edp_mean_of_products == pytest.approx(made.edp_mean_of_products, rel=1e-12)
        if one.max_loss is None:
            assert one.validation.against_static.difference >= 0
        else:
            assert one.test.mean_timesteps == 4, "so few images rule out nothing"
