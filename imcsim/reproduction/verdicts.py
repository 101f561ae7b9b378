"""The paper's figures beside ours, and whether what was aimed at is reached."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from imcsim.results.reproduction.document import Aim, OnChip
from imcsim.results.reproduction.figures import Beside, Judged, Paired, PublishedFigure
from imcsim.validate.published import FIGURES, figure

GROWTH_IS_VGG16 = "the paper's figure is VGG-16's"
SPIKES = "spikes of the narrow network"


def published() -> tuple[PublishedFigure, ...]:
    """All published figures."""
    return tuple(PublishedFigure(**asdict(one)) for one in FIGURES)


def beside(network: str, chips: Sequence[OnChip]) -> tuple[Beside, ...]:
    """The published figures that have a counterpart on each chip, in the published unit."""
    return tuple(row for chip in chips for row in _beside(network, chip))


def _beside(network: str, chip: OnChip) -> Iterator[Beside]:
    comparison, own = chip.comparison, "" if chip.own_spikes else SPIKES

    def row(key: str, got: float, *notes: str) -> Beside:
        said = "; ".join(note for note in (*notes, own) if note)
        one = PublishedFigure(**asdict(figure(key)))
        return Beside(published=one, network=network, chip=chip.width, got=float(got), note=said)

    known = {one.key for one in FIGURES}
    if f"{network}.mean_timesteps" in known:
        yield row(f"{network}.mean_timesteps", comparison.dynamic.mean_timesteps)
        saved = comparison.reduction
        yield row(f"{network}.edp", 100 * saved.edp_mean_of_products, "mean of energy x latency")
        yield row(f"{network}.edp", 100 * saved.edp_product_of_means, "mean energy x mean latency")
    law = "" if network == "vgg16" else GROWTH_IS_VGG16
    yield row("cap", 100 * chip.cap.edp_mean_of_products, law)
    growth = {point.timesteps: point for point in chip.growth.points}
    first = growth[1]
    if 8 in growth:
        yield row("energy_t8", growth[8].energy_ratio, law)
        yield row("latency_t8", growth[8].latency_ratio, law)
    yield row("intercept", chip.growth.intercept, law)
    yield row("slope", 1 - chip.growth.intercept, law)
    if 4 in growth:
        product = growth[4].energy_pj * growth[4].latency_ns
        yield row("edp_t4", product / (first.energy_pj * first.latency_ns), law)
    keys = ("share.peripherals", "share.crossbars", "share.rest")
    for key, group in zip(keys, chip.groups, strict=True):
        yield row(key, 100 * group.static_share, f"static T = {comparison.meta.timesteps}")
    yield row("check", comparison.checker.energy_share_of_one_timestep)


def aims(network: str, title: str, chips: Sequence[OnChip]) -> tuple[Aim, ...]:
    """Whether mean timesteps and EDP reach the paper's at no loss of accuracy; none where it has none."""
    if f"{network}.edp" not in {one.key for one in FIGURES}:
        return ()
    found: list[Aim] = []
    for chip in chips:
        dynamic = chip.comparison.dynamic
        found += _aims(
            network, title, chip, "base", dynamic.mean_timesteps,
            chip.comparison.reduction.edp_mean_of_products, chip.against_static,
        )  # fmt: skip
        for name, way in chip.joint.ways[1:]:
            found += _aims(
                network, title, chip, name, way.test.mean_timesteps, way.reduction.edp_mean_of_products,
                way.test.against_static,
            )  # fmt: skip
    return tuple(found)


VERDICTS = {
    "lower": "lower",
    "unclear": "too few images to rule out a loss",
    "equal": "not told apart",
    "higher": "higher",
}
_WAYS = {"base": "the paper's rule", "best": "the best joint choice",
         "held": "the best joint choice that is held"}  # fmt: skip
_WIDTHS = {"narrow": "narrow chip", "full": "full-width chip"}


def _aims(
    network: str,
    title: str,
    chip: OnChip,
    way: Judged,
    timesteps: float,
    saved: float,
    pair: Paired,
) -> Iterator[Aim]:
    no_loss = pair.no_loss
    about = f"{title}, {_WIDTHS[chip.width]}, {_WAYS[way]}"
    most = figure(f"{network}.mean_timesteps").value
    least = figure(f"{network}.edp").value / 100
    for key, aim, got, reached, text in (
        (
            "mean_timesteps", most, timesteps, timesteps <= most,
            f"mean timesteps {timesteps:.3f}, aim at most {most:g}",
        ),
        ("edp", least, saved, saved >= least, f"EDP {_less(saved)}, aim at least {100 * least:g} % lower"),
    ):  # fmt: skip
        met = reached and no_loss
        yield Aim(
            network=network,
            chip=chip.width,
            way=way,
            key=key,  # type: ignore[arg-type]
            text=f"{about}: {text}; accuracy {accuracy_words(pair)}: {'met' if met else 'not met'}",
            aim=aim,
            got=got,
            no_loss=no_loss,
            met=met,
        )


def _less(saved: float) -> str:
    return f"{100 * saved:.1f} % lower" if saved >= 0 else f"{-100 * saved:.1f} % higher"


def accuracy_words(pair: Paired) -> str:
    """The difference to static T max and its interval: ``0.1 points lower (95 % interval ...``."""
    points = 100 * pair.difference
    how = (
        "equal" if not pair.difference else f"{abs(points):.2f} points {'higher' if points > 0 else 'lower'}"
    )
    verdict = VERDICTS[pair.verdict]
    return f"{how} (95 % interval {100 * pair.low:+.2f} to {100 * pair.high:+.2f}; {verdict})"
