"""How the figures were made: published figures beside ours, chips, fingerprints, training, differences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from imcsim.base.plurals import counted
from imcsim.report.page.grids import Cell, Grid
from imcsim.report.page.tables import Column
from imcsim.report.reproduction.decisions import LOSSES
from imcsim.report.reproduction.wording import (
    MARKS,
    chip_names,
    file_name,
    main_chip,
    own_notes,
    published_cell,
    value_text,
    width_name,
)
from imcsim.report.units import AREA, fitting, pretty
from imcsim.results.reproduction.document import NetworkPart, Reproduction

HASH = 12
"""Letters of a fingerprint that stand on the page; the data has all."""


def beside_grids(document: Reproduction) -> list[Grid]:
    """For each network every published figure that has a counterpart here, with its source."""
    return [_beside(part) for part in document.networks if part.beside]


def _beside(part: NetworkPart) -> Grid:
    widths = {chip.width: k for k, chip in enumerate(part.chips)}
    lines: dict[tuple[str, str], list[Cell | str]] = {}
    for one in part.beside:
        published = one.published
        note = "; ".join(own_notes(one))
        key = (published.key, note)
        if key not in lines:
            lines[key] = [Cell(published.name, below="; ".join(filter(None, (note, published.source)))),
                          *[""] * len(part.chips), published_cell(published)]  # fmt: skip
        lines[key][1 + widths[one.chip]] = value_text(one.got, published.unit, ours=True)
    columns = [Column("figure", "", "", False), *(Column(n, n) for n in chip_names(part)),
               Column("published", "published")]  # fmt: skip
    data = [[b.published.key, b.published.name, b.chip, b.got, b.published.value, b.published.unit,
             b.published.mark, b.published.source, b.note] for b in part.beside]  # fmt: skip
    return Grid(
        f"beside_{file_name(part.key)}", f"{part.title}: {len(lines)} published figures beside ours", columns,
        list(lines.values()),
        ("key", "figure", "chip", "ours", "published", "unit", "mark", "source", "note"), data,
        f"{counted(part.chips[0].comparison.meta.images, 'test image')}, growth with T on "
        f"{main_chip(part).growth.images:,} of them.",
    )  # fmt: skip


def marks_grid(document: Reproduction) -> Grid:
    """What the marks mean, and how many of the published figures have each."""
    count = {mark: sum(one.mark == mark for one in document.published) for mark in MARKS}
    return Grid(
        "marks", "Marks: how sure a published figure is",
        [Column("mark", "mark", "", False), Column("meaning", "meaning", "", False), Column("n", "figures")],
        [[mark, meaning, str(count[mark])] for mark, meaning in MARKS.items()],
        ("mark", "meaning", "figures"), [[mark, meaning, count[mark]] for mark, meaning in MARKS.items()],
    )  # fmt: skip


def chip_grids(document: Reproduction) -> list[Grid]:
    """For each network its chips."""
    return [_chips(part) for part in document.networks]


def _chips(part: NetworkPart) -> Grid:
    metas = [chip.comparison.meta for chip in part.chips]
    area = fitting(AREA, [m.hardware.area_um2 for m in metas])
    rows: list[list[Cell | str]] = [
        ["what it is", *(chip.title for chip in part.chips)],
        ["configuration", *(m.hardware.name for m in metas)],
        ["laid over it", *(_overrides(m.hardware.overrides) for m in metas)],
        ["network", *(m.network.name for m in metas)],
        ["weights", *(f"{m.network.weights:,}" for m in metas)],
        ["tiles", *(f"{m.hardware.tiles:,}" for m in metas)],
        ["crossbars", *(f"{m.hardware.crossbars:,}" for m in metas)],
        [f"area, {pretty(area)}", *(area(m.hardware.area_um2) for m in metas)],
        ["encoder", *(m.hardware.encoder for m in metas)],
        ["clock, ns", *(f"{m.hardware.clock_ns:g}" for m in metas)],
        ["issue policy", *(m.policy for m in metas)],
        ["fingerprint of the chip", *(m.hardware.sha256[:HASH] for m in metas)],
    ]
    data = [
        [chip.width, chip.title, " ".join(f"{share:g}" for share in chip.channels), m.hardware.name,
         m.hardware.sha256, m.network.name, m.network.sha256, m.network.weights, m.hardware.tiles,
         m.hardware.crossbars, m.hardware.area_um2, m.hardware.encoder, m.hardware.clock_ns, m.policy, m.seed,
         part.fingerprint]
        for chip, m in zip(part.chips, metas, strict=True)
    ]  # fmt: skip
    return Grid(
        f"chips_{file_name(part.key)}",
        f"{part.title}: {metas[-1].hardware.crossbars:,} crossbars in {metas[-1].hardware.tiles:,} tiles at "
        f"{width_name(main_chip(part))}",
        [Column("fact", "", "", False), *(Column(n, n, "", False) for n in chip_names(part))],
        rows,
        ("chip", "title", "channels", "hardware", "hardware_sha256", "network", "network_sha256", "weights",
         "tiles", "crossbars", "area_um2", "encoder", "clock_ns", "issue", "seed", "part_fingerprint"),
        data,
        f"Fingerprint of all that this part follows from: {part.fingerprint[:HASH]}. Inputs "
        f"{metas[0].inputs.name}: {metas[0].inputs.sha256[:HASH]}.",
    )  # fmt: skip


def _overrides(overrides: Mapping[str, Any] | None) -> str:
    return ", ".join(f"{key} = {value}" for key, value in (overrides or {}).items()) or "nothing"


def training_grids(document: Reproduction) -> list[Grid]:
    """For each network what its bundles say of their data and training."""
    return [_training(part) for part in document.networks if part.losses]


def _training(part: NetworkPart) -> Grid:
    said = [dict(_flat(one.provenance)) for one in part.losses]
    keys = list(dict.fromkeys(key for facts in said for key in facts))
    metas = [one.comparison.meta.network for one in part.losses]
    rows: list[list[Cell | str]] = [
        ["bundle", *(m.name for m in metas)],
        ["fingerprint", *(m.sha256[:HASH] for m in metas)],
    ]
    for key in keys:
        rows.append([key, *(facts.get(key, "") for facts in said)])
    epochs = " and ".join(_epochs(one.provenance) for one in part.losses)
    return Grid(
        f"training_{file_name(part.key)}",
        f"{part.title}: trained {epochs} epochs" if epochs.strip(" and") else f"{part.title}: training",
        [Column("fact", "", "", False),
         *(Column(one.loss, LOSSES[one.loss], "", False) for one in part.losses)],
        rows,
        ("loss", "network", "sha256", "key", "value"),
        [[one.loss, m.name, m.sha256, key, facts.get(key, "")]
         for one, m, facts in zip(part.losses, metas, said, strict=True) for key in keys],
        "As the bundles state it.",
        wide=True,
    )  # fmt: skip


def _epochs(provenance: Mapping[str, Any]) -> str:
    """Epochs of a bundle, with those of what it started from."""
    training = provenance.get("training")
    if not isinstance(training, Mapping) or "epochs" not in training:
        return ""
    before = training.get("started_from")
    first = _epochs({"training": before}) if isinstance(before, Mapping) else ""
    return f"{first} + {training['epochs']}" if first else str(training["epochs"])


def _flat(facts: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Nested facts as dotted keys and texts; fingerprints are cut."""
    for key, value in facts.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}.")
        elif isinstance(value, list | tuple):
            yield name, ", ".join(f"{v:.4f}" if isinstance(v, float) else str(v) for v in value)
        elif isinstance(value, str) and "sha256" in name:
            yield name, value[:HASH]
        else:
            yield name, str(value)


def _share(channels: Sequence[float]) -> str:
    """`0.5`, or `0.5 to 0.75 (by layer)`."""
    least, most = min(channels), max(channels)
    return f"{least:g}" if least == most else f"{least:g} to {most:g} (by layer)"


def differences(document: Reproduction) -> list[str]:
    """Where ours is not the paper's, and why, as far as the document says."""
    meta, said = document.meta, []
    for part in document.networks:
        narrow, main = part.chips[0], main_chip(part)
        if min(narrow.channels) < 1:
            text = (
                f"{part.title} was trained with {_share(narrow.channels)} of the paper’s channels, so its "
                "accuracy is not that of the paper’s network."
            )
            if not main.own_spikes:
                text += (
                    f" The {width_name(main)} chip holds the same function with every channel repeated: its "
                    "energy, latency and area are those of the paper’s shapes, its spikes per layer those "
                    "of the narrow network."
                )
            said.append(text)
        if over := narrow.comparison.meta.hardware.overrides:
            said.append(f"{part.title}: the chip is {meta.hardware} but for {_overrides(over)}.")
    if meta.seeds == 1:
        said.append("Every network was trained once, with one seed: how far seeds scatter is not shown.")
    else:
        said.append(f"Every network was trained with {meta.seeds} seeds.")
    pixels = {str(data.get("pixels"))
              for part in document.networks for one in part.losses
              for data in (one.provenance.get("data"),)
              if isinstance(data, Mapping) and data.get("pixels")}  # fmt: skip
    if pixels:
        said.append(f"Pixels of the images: {', '.join(sorted(pixels))}.")
    said.append(
        f"Thresholds and choices follow from {counted(meta.validation_images, 'validation image')}, which "
        f"were held out of training; nothing was selected on the {counted(meta.images, 'test image')}."
    )
    said.append(
        "The paper gives one EDP and does not say whether it is the mean of the images’ products of energy "
        "and latency or the product of the means. Both stand here; the aims are judged by the mean of "
        "products."
    )
    return said
