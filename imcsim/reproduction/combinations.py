"""All choices together: which combination costs least at no loss of accuracy, and what each one adds.

Every combination of loss, accumulation, exit rule, one threshold or one for each timestep, issue policy and
encoder is judged on validation images alone: the least mean of energy x latency with at least as many right
as the base's static T max (the best), or with an accuracy that is held on images that had no part in the
choice (`held`). An issue policy or an encoder that costs no image less than another, whenever it
leaves, cannot win and is passed over. Only the combinations that are reported are then looked at on the test
images.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from imcsim.base.choices import EXIT_RULES, Accumulation, Rule
from imcsim.base.progress import Progress
from imcsim.exits.outputs import exit_timesteps
from imcsim.mapping import Placement
from imcsim.reproduction.decisions import (
    Costs,
    Registers,
    Right,
    Split,
    alike,
    chip_with,
    costs_on,
    figures,
    registers,
    right_of,
    ruled,
    simulated,
    static_figures,
)
from imcsim.reproduction.held import held_choice
from imcsim.reproduction.opponents import Rival, equals
from imcsim.results.figures import Reduction
from imcsim.results.reproduction.figures import Figures, Loss
from imcsim.results.reproduction.ways import Candidate, Choices, Joint, RuleWay, Step, Way
from imcsim.simulation.chip import Chip
from imcsim.studies.experiment import Experiment
from imcsim.studies.registers import Judges

ISSUES = ("wait", "speculate")
"""Issue policies that change what one image at a time costs. Interleaving fills the waiting time of one image
with others: alone, an image takes as long as under ``wait`` and pays for more membranes.
"""
Key = Literal["loss", "accumulation", "rule", "thresholds", "issue", "encoder"]
KEYS: tuple[Key, ...] = get_args(Key)
"""What is chosen, in the order of the tables."""
NAMES = {"rule": "exit rule", "issue": "issue policy"}


class Outputs:
    """What the networks of both losses say of their images; the same on every chip of these networks."""

    def __init__(self, benches: Mapping[Loss, Experiment]) -> None:
        self._benches = benches
        self._needed: dict[tuple[Any, ...], NDArray[np.int64]] = {}
        self._right: dict[tuple[Loss, Split], Right] = {}

    def needed(self, loss: Loss, accumulation: Accumulation, rule: Rule, split: Split) -> NDArray[np.int64]:
        """The smallest register with which each image leaves, ``[images, T]``."""
        key = (loss, accumulation, rule, split)
        if key not in self._needed:
            bench = ruled(self._benches[loss], rule, accumulation)
            self._needed[key] = bench.required(simulated(bench, split)[0])
        return self._needed[key]

    def right(self, loss: Loss, split: Split) -> Right:
        """Whether each image is classified rightly after each timestep, ``[images, T]``."""
        if (loss, split) not in self._right:
            self._right[loss, split] = right_of(self._benches[loss], split)
        return self._right[loss, split]

    def threshold_of(self, loss: Loss, rule: Rule, word: int) -> float:
        """What a register word stands for."""
        return ruled(self._benches[loss], rule, "mean").threshold_of(word)

    def largest(self, loss: Loss, rule: Rule) -> int:
        """The register word for a threshold of 1."""
        return ruled(self._benches[loss], rule, "mean").word_of(1.0)


class Prices:
    """What images cost on one chip under each schedule; each is played once, for networks that are placed
    alike.
    """

    def __init__(self, benches: Mapping[Loss, Experiment], workers: int | None = None) -> None:
        self._benches, self._workers = benches, workers
        self._chips: dict[tuple[str, ...], list[tuple[Placement, Chip]]] = {}
        self._costs: dict[tuple[Any, ...], Costs] = {}

    def costs(self, chosen: Choices, split: Split) -> Costs:
        """Of images under early exit."""
        about = (chosen.loss, chosen.issue, chosen.encoder, chosen.accumulation, chosen.rule)
        if (*about, split) not in self._costs:
            bench = self._benches[chosen.loss]
            chip = self._chip(bench, chosen)
            self._costs[*about, split] = costs_on(chip, bench, split, self._workers)
        return self._costs[*about, split]

    def _chip(self, bench: Experiment, chosen: Choices) -> Chip:
        """The chip under a schedule: with that of a network which is placed alike, where it was played."""
        schedule = (chosen.issue, chosen.encoder, chosen.accumulation, chosen.rule)
        for placement, chip in self._chips.get(schedule, ()):
            if alike(placement, bench.chip.placement):
                return replace(
                    chip,
                    network=bench.chip.network,
                    program=bench.chip.program,
                    converters=bench.chip.converters,
                )
        made = chip_with(bench, *schedule)
        self._chips.setdefault(schedule, []).append((bench.chip.placement, made))
        return made

    def static(self, split: Split) -> Costs:
        """Of static runs of the base."""
        simulation, _ = simulated(self._benches["running"], split)
        return Costs.of(simulation.static)


@dataclass(frozen=True, eq=False)
class Judge:
    """Judges combinations on one chip."""

    outputs: Outputs
    prices: Prices

    def judges(self, chosen: Choices) -> Judges:
        """The validation images under a combination."""
        return Judges(
            self.outputs.needed(chosen.loss, chosen.accumulation, chosen.rule, "validation"),
            self.outputs.right(chosen.loss, "validation"),
            self.prices.costs(chosen, "validation").products,
            self.outputs.largest(chosen.loss, chosen.rule),
            chosen.thresholds,
        )

    def choose(self, chosen: Choices) -> Registers | None:
        """The best registers of a combination by the validation images; None where none lose nothing."""
        return registers(self.judges(chosen), int(self.reference("validation").sum()))

    def reference(self, split: Split) -> NDArray[np.bool_]:
        """Whether each image of a split is right under the base's static T max."""
        return self.outputs.right("running", split)[:, -1]

    def dominated(self, chosen: Choices, everything: Sequence[Choices]) -> bool:
        """Whether another schedule of the same decisions costs no image more, whenever it leaves: that one is
        no worse with any thresholds. Of equal ones the first is kept, and so is the base.
        """
        mine = self.prices.costs(chosen, "validation").products
        here = everything.index(chosen)
        for k, other in enumerate(everything):
            same = other.model_copy(update={"issue": chosen.issue, "encoder": chosen.encoder})
            if k == here or same != chosen or here == 0:
                continue
            theirs = self.prices.costs(other, "validation").products
            if (theirs <= mine).all() and (k < here or bool((theirs < mine).any())):
                return True
        return False

    def figures(self, chosen: Choices, words: Registers, split: Split) -> Figures:
        """What the images of a split do and cost with these registers."""
        needed = self.outputs.needed(chosen.loss, chosen.accumulation, chosen.rule, split)
        return figures(
            self.outputs.right(chosen.loss, split),
            exit_timesteps(needed, words),
            self.prices.costs(chosen, split),
            self.reference(split),
        )

    def static(self, split: Split, timesteps: int) -> Figures:
        """Static runs of the base."""
        return static_figures(self.outputs.right("running", split), self.prices.static(split), timesteps)

    def answers(self, chosen: Choices, words: Registers, split: Split) -> NDArray[np.bool_]:
        """Whether each image of a split is right when it leaves with these registers."""
        needed = self.outputs.needed(chosen.loss, chosen.accumulation, chosen.rule, split)
        right = self.outputs.right(chosen.loss, split)
        found: NDArray[np.bool_] = right[np.arange(len(right)), exit_timesteps(needed, words) - 1]
        return found

    def way(self, label: str, chosen: Choices, words: Registers, rivals: Sequence[Rival] = ()) -> Way:
        """A combination with its registers, on validation and on test images, and beside the cheapest of its
        `rivals` of equal accuracy.
        """
        test = self.figures(chosen, words, "test")
        answers = {split: self.answers(chosen, words, split) for split in get_args(Split)}
        last = self.outputs.right("running", "test").shape[1]
        shown = words[:1] if chosen.thresholds == "one" else words
        return Way(
            label=label,
            choices=chosen,
            threshold=tuple(self.outputs.threshold_of(chosen.loss, chosen.rule, int(w)) for w in shown),
            validation=self.figures(chosen, words, "validation"),
            test=test,
            reduction=Reduction.between(self.static("test", last), test),
            equal=equals(rivals, answers, test),
        )


def base_choices(bench: Experiment) -> Choices:
    """The paper's own: as the experiment of the running-mean loss was made."""
    return Choices(
        loss="running",
        accumulation="mean",
        rule="entropy",
        thresholds="one",
        issue=str(bench.chip.timing.issue),
        encoder=bench.chip.config.encoder.mode,
    )


def combinations(base: Choices, losses: Sequence[Loss]) -> list[Choices]:
    """All of them, the base first; of equals an earlier one wins, so nothing is changed for nothing."""
    values = {
        "loss": losses,
        "accumulation": get_args(Accumulation),
        "rule": EXIT_RULES,
        "thresholds": ("one", "each"),
        "issue": ISSUES,
        "encoder": ("keep", "recompute"),
    }
    ordered = [
        [getattr(base, key), *(value for value in values[key] if value != getattr(base, key))] for key in KEYS
    ]
    return [Choices(**dict(zip(KEYS, some, strict=True))) for some in itertools.product(*ordered)]


def joint(
    judge: Judge,
    base: Choices,
    losses: Sequence[Loss],
    progress: Progress | None = None,
    stage: str = "combinations",
    rivals: Sequence[Rival] = (),
) -> Joint:
    """The best combinations and the ablation; they and the base beside the static runs `rivals`, too."""
    chosen: dict[Choices, Registers | None] = {}

    def choose(one: Choices) -> Registers | None:
        if one not in chosen:
            chosen[one] = judge.choose(one)
        return chosen[one]

    candidates = []
    everything = combinations(base, losses)
    for k, one in enumerate(everything, 1):
        candidates.append(_candidate(judge, one, everything, choose))
        if progress is not None:
            progress(stage, k, len(everything))
    costs = [one.edp_mean_of_products for one in candidates]
    living = [one for one, known in zip(everything, candidates, strict=True) if known.outcome != "dominated"]
    ways = [judge.judges(one) for one in living]
    found = held_choice(ways, judge.reference("validation"), progress, f"{stage} that are held")
    best = everything[int(np.argmin([np.inf if cost is None else cost for cost in costs]))]

    def way(label: str, one: Choices, rivals: Sequence[Rival] = ()) -> Way | None:
        words = choose(one)
        return None if words is None else judge.way(label, one, words, rivals)

    def steps(start: Choices, goal: Choices, label: str) -> tuple[Step, ...]:
        made = []
        for key in KEYS:
            before, after = getattr(base, key), getattr(best, key)
            if before == after:
                continue
            one = start.model_copy(update={key: getattr(goal, key)})
            text = label.format(NAMES.get(key, key))
            made.append(Step(choice=key, base=before, best=after, way=way(text, one)))
        return tuple(made)

    first, last = way("base", base, rivals), way("all", best, rivals)
    assert first is not None  # with a threshold of 0 the base is its static run
    assert last is not None
    held = None if found is None else judge.way("held", living[found.combination], found.words, rivals)
    return Joint(
        base=first,
        best=last,
        held=held,
        alone=steps(base, best, "{} alone"),
        without=steps(best, base, "all without {}"),
        candidates=tuple(candidates),
    )


def _candidate(
    judge: Judge,
    one: Choices,
    everything: Sequence[Choices],
    choose: Callable[[Choices], Registers | None],
) -> Candidate:
    """A combination by its figures on the validation images."""
    if judge.dominated(one, everything):
        return Candidate(choices=one, outcome="dominated")
    words = choose(one)
    if words is None:
        return Candidate(choices=one, outcome="loses_accuracy")
    found = judge.figures(one, words, "validation")
    return Candidate(
        choices=one,
        outcome="judged",
        accuracy=found.accuracy,
        mean_timesteps=found.mean_timesteps,
        edp_mean_of_products=found.edp_mean_of_products,
    )


def rule_ways(outputs: Outputs, prices: Prices, base: Choices, losses: Sequence[Loss]) -> tuple[RuleWay, ...]:
    """Each loss, rule and accumulation with a threshold of its own, chosen at no loss of accuracy against the
    same network's static T max on the validation images.
    """
    found = []
    for loss, rule, accumulation in itertools.product(losses, EXIT_RULES, get_args(Accumulation)):
        one = base.model_copy(update={"loss": loss, "rule": rule, "accumulation": accumulation})
        own = Judge(outputs, prices).judges(one)
        words = registers(own, int(own.right[:, -1].sum()))
        assert words is not None  # at 0 no image exits early
        sides = {}
        for split in get_args(Split):
            right = outputs.right(loss, split)
            stay = exit_timesteps(outputs.needed(loss, accumulation, rule, split), words)
            sides[split] = figures(right, stay, prices.costs(one, split), right[:, -1])
        right = outputs.right(loss, "test")
        full = static_figures(right, prices.costs(one, "test"), right.shape[1])
        found.append(
            RuleWay(
                loss=loss,
                rule=rule,
                accumulation=accumulation,
                threshold=outputs.threshold_of(loss, rule, int(words[0])) if len(words) else 0.0,
                validation=sides["validation"],
                test=sides["test"],
                reduction=Reduction.between(full, sides["test"]),
            )
        )
    return tuple(found)
