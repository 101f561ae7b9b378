"""A document of `imcsim reproduce` for the tests of its page: figures made up as in `sample_results`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sample_results import compare_result

from imcsim.reproduction.verdicts import aims, beside, published
from imcsim.results.comparison import CompareResult
from imcsim.results.figures import Reduction
from imcsim.results.reproduction.document import (
    CheckerAgreement,
    CheckerSize,
    EnergyGroup,
    Example,
    Growth,
    GrowthPoint,
    NetworkPart,
    OnChip,
    Reproduction,
    ReproductionMeta,
    TrainedNetwork,
)
from imcsim.results.reproduction.figures import Figures, Loss, Paired, Width
from imcsim.results.reproduction.ways import (
    Candidate,
    Choices,
    ChosenBy,
    EqualStatic,
    Joint,
    RuleWay,
    Step,
    Way,
)

IMAGES = 1000
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def _paired(gained: int, lost: int) -> Paired:
    difference = (gained - lost) / IMAGES
    half = 1.96 * (gained + lost + 2) ** 0.5 / IMAGES
    return Paired(
        difference=difference, low=difference - half, high=difference + half, gained=gained, lost=lost
    )


def _figures(result: CompareResult, gained: int, lost: int, factor: float = 1.0) -> Figures:
    d = result.dynamic
    return Figures(
        images=result.meta.images,
        accuracy=d.accuracy,
        accuracy_low=d.accuracy_low,
        accuracy_high=d.accuracy_high,
        mean_timesteps=d.mean_timesteps,
        exit_fraction=d.exit_fraction,
        energy_pj=d.energy_pj * factor,
        latency_ns=d.latency_ns,
        edp_mean_of_products=d.edp_mean_of_products * factor,
        edp_product_of_means=d.edp_product_of_means * factor,
        against_static=_paired(gained, lost),
    )


def _change(result: CompareResult, factor: float = 1.0) -> Reduction:
    r = result.reduction
    return Reduction(
        energy=1 - (1 - r.energy) * factor,
        latency=r.latency,
        edp_mean_of_products=1 - (1 - r.edp_mean_of_products) * factor,
        edp_product_of_means=1 - (1 - r.edp_product_of_means) * factor,
    )


BASE = Choices(
    loss="running", accumulation="mean", rule="entropy", thresholds="one", issue="wait", encoder="keep"
)


def _equal(result: CompareResult, issue: Any) -> EqualStatic:
    static = result.static[2]
    return EqualStatic(
        network="vgg16_static2_cifar10",
        trained="for T = 2",
        timesteps=2,
        issue=issue,
        accuracy=static.accuracy,
        accuracy_low=static.accuracy_low,
        accuracy_high=static.accuracy_high,
        energy_pj=static.energy_pj,
        latency_ns=static.latency_ns,
        edp_mean_of_products=static.edp_mean_of_products,
        validation=_paired(5, 6),
        test=_paired(8, 7),
        reduction=Reduction.between(static, result.dynamic),
    )


def _way(label: str, result: CompareResult, factor: float, **changed: Any) -> Way:
    choices = BASE.model_copy(update=changed)
    return Way(
        label=label,
        choices=choices,
        threshold=(0.25,) if choices.thresholds == "one" else (0.3, 0.25, 0.2),
        validation=_figures(result, 4, 6, factor),
        test=_figures(result, 5, 7, factor),
        reduction=_change(result, factor),
        equal=tuple(_equal(result, issue) for issue in ("wait", "pipeline"))
        if label in ("base", "all")
        else (),
    )


def _joint(result: CompareResult) -> Joint:
    best = {"rule": "margin", "thresholds": "each", "issue": "speculate"}
    parts = {"rule": 0.97, "thresholds": 0.93, "issue": 0.9}
    whole = float(np.prod(list(parts.values())))
    judged = {"accuracy": 0.89, "mean_timesteps": 1.4}
    ends = (("wait", "judged"), ("speculate", "loses_accuracy"), ("interleave:2", "dominated"))
    candidates = [
        Candidate(
            choices=BASE.model_copy(update={"rule": rule, "issue": issue}),
            outcome=outcome,  # type: ignore[arg-type]
            **judged if outcome == "judged" else {},  # type: ignore[arg-type]
            edp_mean_of_products=result.dynamic.edp_mean_of_products if outcome == "judged" else None,
        )
        for rule in ("entropy", "margin")
        for issue, outcome in ends
    ]
    steps = {
        key: Step(
            choice=key,  # type: ignore[arg-type]
            base=str(getattr(BASE, key)),
            best=value,
            way=_way(f"{key} alone", result, parts[key], **{key: value}) if key != "issue" else None,
        )
        for key, value in best.items()
    }
    without = {
        key: step.model_copy(
            update={
                "way": _way(
                    f"all without {key}",
                    result,
                    whole / parts[key],
                    **{k: v for k, v in best.items() if k != key},
                )
            }
        )
        for key, step in steps.items()
    }
    return Joint(
        base=_way("base", result, 1.0),
        best=_way("all", result, whole, **best),
        alone=tuple(steps.values()),
        without=tuple(without.values()),
        candidates=tuple(candidates),
    )


def _chip(width: Width, result: CompareResult) -> OnChip:
    own = width == "narrow"
    first, last = result.static[0], result.static[-1]
    shares = {"digital peripherals": 0.45, "crossbars and ADCs": 0.25, "the rest": 0.3}
    names = [c.name for c in result.components]
    return OnChip(
        width=width,
        title="quarter width, as trained"
        if own
        else "full width, with the spike rates of the quarter-width network",
        channels=(0.25 if own else 1.0,),
        own_spikes=own,
        comparison=result,
        against_static=_paired(5, 9),
        growth=Growth(
            images=256,
            points=tuple(
                GrowthPoint(
                    timesteps=p.timesteps,
                    energy_pj=p.energy_ratio * first.energy_pj,
                    latency_ns=p.latency_ratio * first.latency_ns,
                    energy_ratio=p.energy_ratio,
                    latency_ratio=p.latency_ratio,
                    published_energy_ratio=0.443 + 0.557 * p.timesteps,
                    supposed_energy_ratio=0.3 + 0.7 * p.energy_ratio,
                )
                for p in result.scaling
            ),
            intercept=0.2,
            edp_ratio=14.0,
            supposed_intercept=0.44,
            supposed_edp_ratio=11.0,
        ),
        groups=tuple(
            EnergyGroup(
                name=name,
                components=tuple(names[k::3]),
                published_share=share,
                static_share=own_share,
                dynamic_share=own_share,
            )
            for k, ((name, share), own_share) in enumerate(
                zip(shares.items(), (0.52, 0.31, 0.17), strict=True)
            )
        ),
        cap=Reduction(
            energy=1 - first.energy_pj / last.energy_pj,
            latency=1 - first.latency_ns / last.latency_ns,
            edp_mean_of_products=1 - first.edp_mean_of_products / last.edp_mean_of_products,
            edp_product_of_means=1 - first.edp_product_of_means / last.edp_product_of_means,
        ),
        joint=_joint(result),
    )


def _trained(loss: Loss, result: CompareResult, hostile: str) -> TrainedNetwork:
    return TrainedNetwork(
        loss=loss,
        comparison=result,
        against_static=_paired(3, 8),
        provenance={
            "data": {"name": "CIFAR-10", "pixels": f"JPEG copies{hostile}", "sha256": {"train": "ab" * 32}},
            "training": {"command": "python models/training/train.py --seed 1", "epochs": 60, "seed": 1,
                         "started_from": {"epochs": 30}},
            "accuracy": {"float_per_timestep": [0.841, 0.878, 0.888, 0.892]},
        },
    )  # fmt: skip


def _checker(result: CompareResult) -> CheckerAgreement:
    sizes = []
    for varied, entries in [("tables", n) for n in (8, 16, 32, 64, 128, 256)] + [("table_bits", 256)]:
        sizes.append(
            CheckerSize(
                exp_entries=entries,
                log_entries=entries,
                table_bits=12,
                fraction_bits=8,
                table_bytes=entries * 3,
                used=entries == 256,
                varied=varied,  # type: ignore[arg-type]
                decisions_differ=max(0, 400 // entries - 2),
                exits_differ=max(0, 200 // entries - 1),
                predictions_differ=max(0, 40 // entries - 1),
                accuracy=0.89,
                mean_timesteps=1.43,
            )
        )
    return CheckerAgreement(
        images=IMAGES,
        decisions=3 * IMAGES,
        threshold=0.25,
        exact_accuracy=0.891,
        exact_mean_timesteps=1.431,
        sizes=tuple(sizes),
    )


def _examples(seed: int) -> tuple[Example, ...]:
    rng = np.random.default_rng(seed)
    made = []
    for k in range(8):
        leaves = 1 if k < 5 else 4
        label = int(rng.integers(10))
        wrong = k in (4, 6)
        entropy = (0.02, 0.01, 0.01, 0.0) if leaves == 1 else (0.8, 0.6, 0.5, 0.31)
        made.append(
            Example(
                index=10 * k,
                label=label,
                predictions=((label + wrong) % 10,) * 4,
                entropy=entropy,
                leaves=leaves,
            )
        )
    return tuple(made)


def _rules(result: CompareResult) -> tuple[RuleWay, ...]:
    return tuple(
        RuleWay(
            loss=loss,  # type: ignore[arg-type]
            rule=rule,  # type: ignore[arg-type]
            accumulation=accumulation,  # type: ignore[arg-type]
            threshold=0.1 * (k + 1),
            validation=_figures(result, 2, 3, 1 - 0.01 * k),
            test=_figures(result, 4, 4 + k, 1 - 0.01 * k),
            reduction=_change(result, 1 - 0.01 * k),
        )
        for loss in ("running", "final")
        for k, (rule, accumulation) in enumerate(
            (r, a) for r in ("entropy", "max_softmax", "margin") for a in ("mean", "sum")
        )
    )


def _choosing(result: CompareResult) -> tuple[ChosenBy, ...]:
    return tuple(
        ChosenBy(
            thresholds=kind,  # type: ignore[arg-type]
            temperatures="each" if kind == "each" else "one",
            max_loss=bound,
            threshold=(0.25,) if kind == "one" else (0.3, 0.25, 0.2),
            validation=_figures(result, 3, 3, factor),
            test=_figures(result, 4, 6, factor),
            reduction=_change(result, factor),
        )
        for kind in ("one", "each")
        for bound, factor in ((None, 1.0), (0.005, 0.9))
    )


def _part(key: str, title: str, seed: int, hostile: str) -> NetworkPart:
    result = compare_result(seed=seed, threshold=0.25)
    chips = (_chip("narrow", result), _chip("full", result))
    final = compare_result(seed=seed + 1, threshold=0.1)
    return NetworkPart(
        key=key,
        title=title + hostile,
        fingerprint="0f" * 32,
        chips=chips,
        losses=(_trained("running", result, hostile), _trained("final", final, hostile)),
        rules=_rules(result),
        choosing=_choosing(result),
        examples=_examples(seed),
        checker=_checker(result),
        beside=beside(key, chips),
        aims=aims(key, title + hostile, chips),
        warnings=(f"a warning{hostile}",),
    )


def reproduction(networks: int = 2, hostile: str = "") -> Reproduction:
    """Made-up figures of one or two networks; `hostile` is added to every name that comes from outside."""
    known = (("vgg16", "VGG-16"), ("resnet19", "ResNet-19"))[:networks]
    return Reproduction(
        meta=ReproductionMeta(
            version="0.1.0",
            command=f"imcsim reproduce --images {IMAGES} --out page{hostile}",
            hardware=f"dtsnn_32nm{hostile}",
            inputs="cifar10_test_all",
            validation="cifar10_validation_all",
            images=IMAGES,
            validation_images=500,
        ),
        class_names=tuple(name + hostile for name in CLASSES),
        networks=tuple(_part(key, title, k + 1, hostile) for k, (key, title) in enumerate(known)),
        published=published(),
    )


def pictures() -> dict[int, NDArray[np.uint8]]:
    """Noise for every example."""
    rng = np.random.default_rng(0)
    return {10 * k: rng.integers(0, 256, (3, 32, 32), dtype=np.uint8) for k in range(8)}


__all__ = ["pictures", "reproduction"]
