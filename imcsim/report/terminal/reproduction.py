"""What `imcsim reproduce` found, in short, for a terminal: the page has the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from rich.console import Group, RenderableType
from rich.text import Text

from imcsim.base.plurals import counted
from imcsim.report.terminal.grid import plain, table
from imcsim.report.units import criterion, percent
from imcsim.results.figures import Reduction
from imcsim.results.reproduction.document import Aim, NetworkPart, Reproduction
from imcsim.results.reproduction.figures import Paired

LABELS = {"narrow": "as trained", "full": "full width*"}
WAYS = {"base": "the paper's rule", "best": "best", "held": "best held"}


def reproduction_report(document: Reproduction) -> Group:
    """The paper's headline beside ours, and which aims are met."""
    meta = document.meta
    parts: list[RenderableType] = [
        Text(
            f"DT-SNN's networks on {meta.hardware}: {counted(meta.images, 'test image')}, one training run "
            "each"
        ),
        Text(
            f"thresholds and choices were made on {counted(meta.validation_images, 'validation image')} alone"
        ),
    ]
    for part in document.networks:
        columns = (
            part.title, "mean\nT", "accuracy, %\n[95 % interval]", "points to static\n[95 % interval]",
            *(f"EDP saved, %\n{LABELS[chip.width]}" for chip in part.chips),
        )  # fmt: skip
        parts += [Text(), table("", columns, _rows(document, part))]
        parts += [plain(line) for line in _verdicts(part)]
        parts += [Text(), _equal(part)]
        parts += [Text(), table("Ways to choose thresholds, as trained", _CHOSEN, _chosen(part), left=3)]
    parts += [Text(), Text("best: the joint choices of loss, rule, thresholds, schedule that save most")]
    if any(chip.joint.held for part in document.networks for chip in part.chips):
        parts.append(Text("best held: those that lose nothing on validation images that did not choose them"))
    parts.append(Text("EDP saved against static T max: mean of products / product of means"))
    if any(not chip.own_spikes for part in document.networks for chip in part.chips):
        parts.append(Text("* costs of the full-width chip with the spikes of the network as trained"))
    return Group(*parts)


def _rows(document: Reproduction, part: NetworkPart) -> Iterator[Sequence[str]]:
    chips, none = part.chips, ("",) * len(part.chips)
    known = {one.key: one for one in document.published}
    timesteps, saved = known.get(f"{part.key}.mean_timesteps"), known.get(f"{part.key}.edp")
    if timesteps is not None and saved is not None:
        edp = (f"{saved.value:g}",) * len(chips)
        yield f"DT-SNN ({timesteps.mark})", f"{timesteps.value:g}", "", "0", *edp
    last, dynamic = chips[0].comparison.static[-1], chips[0].comparison.dynamic
    accuracy = _accuracy(last.accuracy, last.accuracy_low, last.accuracy_high)
    yield f"static T = {last.timesteps}", f"{last.timesteps}", accuracy, "", *none
    yield (
        WAYS["base"], f"{dynamic.mean_timesteps:.3f}",
        _accuracy(dynamic.accuracy, dynamic.accuracy_low, dynamic.accuracy_high),
        _pair(chips[0].against_static), *(_saved(chip.comparison.reduction) for chip in chips),
    )  # fmt: skip
    for at, chip in enumerate(chips):
        for key, way in chip.joint.ways[1:]:
            test = way.test
            yield (
                f"{WAYS[key]}, {LABELS[chip.width]}", f"{test.mean_timesteps:.3f}",
                _accuracy(test.accuracy, test.accuracy_low, test.accuracy_high), _pair(test.against_static),
                *none[:at], _saved(way.reduction), *none[at + 1 :],
            )  # fmt: skip
    yield "cap (T = 1)", "1", "", "", *(_saved(chip.cap) for chip in chips)


_EQUAL = ("", "its\naccuracy, %", "points to it\n[95 % interval]",
          "mean\nT", "EDP saved\n%")  # fmt: skip
_CHOSEN = ("no loss by", "thresholds", "temperatures", "accuracy\n%", "points to static\n[95 % interval]",
           "mean\nT", "EDP saved\n%")  # fmt: skip


def _equal(part: NetworkPart) -> RenderableType:
    """The opponents of each chip and way, below their names."""
    grid = table("Against the cheapest static run of equal accuracy", _EQUAL, [])
    for chip in part.chips:
        for key, rows in groupby(chip.joint.equals, key=itemgetter(0)):
            grid.add_row(f"{WAYS[key]}, {LABELS[chip.width]}")
            for _, way, one in rows:
                opponent = f"  T = {one.timesteps}, {one.issue}, trained {one.trained}"
                accuracy, mean = f"{100 * one.accuracy:.2f}", f"{way.test.mean_timesteps:.3f}"
                grid.add_row(opponent, accuracy, _pair(one.test), mean, _saved(one.reduction))
    return grid


def _chosen(part: NetworkPart) -> Iterator[Sequence[str]]:
    for one in part.choosing:
        scaled = "none" if one.temperatures == "one" else "each"
        yield (
            criterion(one.max_loss), one.thresholds, scaled, f"{100 * one.test.accuracy:.2f}",
            _pair(one.test.against_static), f"{one.test.mean_timesteps:.3f}", _saved(one.reduction),
        )  # fmt: skip


def _saved(change: Reduction) -> str:
    return f"{percent(change.edp_mean_of_products)} / {percent(change.edp_product_of_means)}"


def _accuracy(at: float, low: float, high: float) -> str:
    return f"{100 * at:.2f} [{100 * low:.1f}, {100 * high:.1f}]"


def _pair(pair: Paired) -> str:
    return f"{100 * pair.difference:+.2f} [{100 * pair.low:+.2f}, {100 * pair.high:+.2f}]"


def _verdicts(part: NetworkPart) -> Iterator[str]:
    """One line for each chip and way."""
    for chip in part.chips:
        for way, name in WAYS.items():
            aims = [aim for aim in part.aims if (aim.chip, aim.way) == (chip.width, way)]
            if aims:
                yield f"{name}, {LABELS[chip.width]}: " + "; ".join(_verdict(aim) for aim in aims)


def _verdict(aim: Aim) -> str:
    text = f"mean timesteps at most {aim.aim:g}"
    if aim.key == "edp":
        text = f"EDP {100 * aim.aim:g} % lower"
    return f"{text}: {'met' if aim.met else 'not met'}" + ("" if aim.no_loss else " (accuracy is not held)")
