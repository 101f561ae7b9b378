"""Images that leave at once and images that stay, with what the network says of them after each timestep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from imcsim.report.figures.drawing import figure
from imcsim.report.page.exhibits import Exhibit
from imcsim.report.page.grids import Bar, Card, enlarged
from imcsim.report.page.page import Section
from imcsim.report.reproduction.wording import file_name
from imcsim.report.units import percent, thresholds
from imcsim.results.reproduction.document import Example, NetworkPart, Reproduction

Pictures = Mapping[int, NDArray[np.uint8]]
"""Pixels of test images by their index, uint8 ``[channels, height, width]``."""


def section(document: Reproduction, pictures: Pictures) -> Section:
    """The section of pictures. Raises ValueError where a picture is missing."""
    parts = [part for part in document.networks if part.examples]
    return Section(
        "examples",
        "Who leaves, who stays",
        _NOTE if parts else "",
        cards=[group for part in parts for group in _groups(document, part, pictures)],
        sheets=[_sheet(document, part, pictures) for part in parts],
    )


_NOTE = (
    "The first images of their kind in the order of the test images, so that nobody picked the good ones. "
    "Bars: the checker’s entropy after each timestep, between 0 and 1, with the class that the network "
    "names then; an image leaves as soon as its entropy is below the threshold, the line."
)


def _groups(
    document: Reproduction, part: NetworkPart, pictures: Pictures
) -> Iterator[tuple[str, list[Card]]]:
    last = part.chips[0].comparison.meta.timesteps
    dynamic = part.chips[0].comparison.dynamic
    limits = dynamic.thresholds if dynamic.threshold is None else dynamic.threshold
    for leaves in dict.fromkeys(one.leaves for one in part.examples):
        mine = [one for one in part.examples if one.leaves == leaves]
        share = percent(dynamic.exit_fraction[leaves - 1])
        wrong = sum(not one.right for one in mine)
        what = f"stay for all {last} timesteps" if leaves == last else f"leave after T = {leaves}"
        yield (
            f"{part.title}: {share} % of the images {what} (threshold {thresholds(limits)}); shown are "
            f"{len(mine) - wrong} right and {wrong} wrong ones",
            [_card(document, part, one, pictures, dynamic.threshold) for one in mine],
        )


def _name(document: Reproduction, label: int) -> str:
    names = document.class_names
    return names[label] if label < len(names) else f"class {label}"


def _card(
    document: Reproduction, part: NetworkPart, one: Example, pictures: Pictures, limit: float | None
) -> Card:
    if one.index not in pictures:
        raise ValueError(f"there is no picture of image {one.index}")
    label, said = _name(document, one.label), _name(document, one.prediction)
    bars = [
        Bar(f"{t}", entropy, f"{entropy:.3f}", _name(document, prediction))
        for t, (entropy, prediction) in enumerate(zip(one.entropy, one.predictions, strict=True), 1)
        if t <= one.leaves
    ]
    return Card(
        f"example_{file_name(part.key)}_{one.index}",
        enlarged(np.asarray(pictures[one.index])),
        f"test image {one.index}: {label}",
        f"{said}: {'right' if one.right else f'wrong, is {label}'}",
        f"test image {one.index}",
        "good" if one.right else "bad",
        bars,
        limit,
    )


def _sheet(document: Reproduction, part: NetworkPart, pictures: Pictures) -> Exhibit:
    return Exhibit(
        f"examples_{file_name(part.key)}",
        f"The images of {part.title} as a figure",
        "",
        lambda: _draw_sheet(document, part, pictures),
        COLUMNS,
        _data(document, part),
        photographs=True,
    )


def _draw_sheet(document: Reproduction, part: NetworkPart, pictures: Pictures) -> Figure:
    columns = 5
    lines = -(-len(part.examples) // columns)
    made, panels = figure(1.75 * lines + 0.15, lines, columns, wide=True)
    for panel, one in zip(panels, part.examples, strict=False):
        pixels = np.asarray(pictures[one.index])
        shown = np.moveaxis(pixels, 0, -1) if len(pixels) == 3 else pixels[0]
        panel.imshow(shown, interpolation="nearest", cmap="gray", vmin=0, vmax=255)
        said = _name(document, one.prediction)
        verdict = said if one.right else f"{said} ({_name(document, one.label)})"
        panel.set_title(f"T = {one.leaves}: {verdict}", fontsize=7)
        panel.set_xlabel(", ".join(f"{h:.3f}" for h in one.entropy[: one.leaves]), fontsize=6)
        panel.set_xticks([])
        panel.set_yticks([])
    for panel in panels[len(part.examples) :]:
        panel.axis("off")
    made.supxlabel("below: entropy after each timestep; above: timesteps and class, in brackets the label",
                   fontsize=7)  # fmt: skip
    return made


COLUMNS = ("network", "index", "label", "timestep", "prediction", "entropy", "leaves_after", "right")


def _data(document: Reproduction, part: NetworkPart) -> list[list[Any]]:
    """What the network says of each picture after every timestep, also those that it does not run."""
    return [
        [part.key, one.index, _name(document, one.label), t, _name(document, prediction), entropy, one.leaves,
         int(one.right)]
        for one in part.examples
        for t, (prediction, entropy) in enumerate(zip(one.predictions, one.entropy, strict=True), 1)
    ]  # fmt: skip
