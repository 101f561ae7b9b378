"""An import as tables: what was read and taken, what rounding did, and how well both networks agree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from imcsim.base.plurals import counted
from imcsim.importers.importing.agreement import AccuracyOverTime, Agreement, IntegerAgreement
from imcsim.importers.importing.importing import Imported
from imcsim.network.describe import describe
from imcsim.report.sampling import shown_timesteps
from imcsim.report.terminal.grid import plain, table
from imcsim.report.units import number, percent

_FRAMEWORKS = {
    "snntorch": "snnTorch",
    "spikingjelly": "SpikingJelly",
    "norse": "Norse",
    "norse_main": "Norse (main branch)",
}
"""How frameworks write their own names."""


def import_report(imported: Imported, folder: str) -> Group:
    """Everything about an import, in reading order."""
    network, about = imported.network, imported.network.provenance["imported"]
    shape = " x ".join(map(str, network.input_shape))
    pixels = "spikes, each" if network.input_bits == 1 else f"pixels of {network.input_bits} bits, code 1 is"
    rows = [
        ("file", str(about["file"])),
        ("format", str(about["format"])),
        ("equations", _equations(about)),
        ("input", f"{shape} {pixels} worth {network.input_scale:g}"),
        ("classes", str(network.classes)),
        ("timesteps", str(network.timesteps)),
        ("weights", f"{network.weight_bits} bits, scales by {about['options']['scales']}"),
        ("written to", folder),
    ]
    parts: list[RenderableType] = [Text(f"Imported {network.name}", style="bold"), _pairs(rows), Text()]
    if imported.notes:
        notes = [("-", note) for note in imported.notes]
        parts += [Text("Notes", style="bold"), _pairs(notes, gap=1), Text()]
    columns = ["layer", "kind", "shape", "weights", "detail"]
    parts += _titled("Layers", table("", columns, list(describe(network)), left=5))
    parts += _quantisation(imported)
    if imported.words:
        parts += _words(imported)
    if imported.agreement is None:
        parts.append(
            plain("No accuracy is claimed: give --inputs to compare with the network before rounding.")
        )
    else:
        parts += _agreement(imported.agreement)
    return Group(*parts)


def _titled(title: str, grid: Table) -> list[RenderableType]:
    """A title that may be longer than its table is wide."""
    grid.title = None
    return [Text.assemble((plain(title).plain, "bold")), grid]


def _equations(about: dict[str, Any]) -> str:
    """Where the neurons' equations come from: a framework, or what the user wrote."""
    framework = about["framework"]
    if framework == "nir":
        return "as NIR states them, one Euler step a timestep"
    if framework != "list":
        return f"as {_FRAMEWORKS.get(framework, framework)} computes them"
    return f"as written in {about['options'].get('layers_file', '--neuron')}"


def _pairs(rows: Iterable[tuple[str, str]], gap: int = 3) -> Table:
    """Words with a text each; long texts go on below themselves."""
    grid = Table.grid(padding=(0, gap, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for row in rows:
        grid.add_row(*(plain(cell) for cell in row))
    return grid


def _quantisation(imported: Imported) -> list[RenderableType]:
    columns = ["layer", "weights", "channels", "exact\nchannels", "all zero", "rms error\nof the others"]
    rows = [
        [
            layer.name,
            f"{layer.weights:,}",
            str(layer.channels),
            str(layer.exact),
            str(layer.dead),
            f"{percent(layer.error, 2)} %" if layer.exact < layer.channels else "none",
        ]
        for layer in imported.layers
    ]
    return _titled(f"Weights in {imported.network.weight_bits} bits", table("", columns, rows))


def _words(imported: Imported) -> Iterator[RenderableType]:
    columns = ["layer", "fraction\nbits", "threshold\noff by", "bias\noff by", "leak\noff by"]
    rows = []
    for word in imported.words:
        low, high = word.fraction_bits
        threshold = "" if word.threshold_error is None else _share(word.threshold_error)
        rows.append(
            [
                word.name,
                str(low) if low == high else f"{low} to {high}",
                threshold,
                _share(word.bias_error),
                _share(word.leak_error),
            ]
        )
    width, leak = imported.words[0].membrane_bits, imported.words[0].leak_fraction_bits
    yield from _titled(f"Fixed point on {imported.hardware}", table("", columns, rows))
    text = f"Words: membranes of {width} bits, leaks of {leak} fraction bits; 1 ppm is 0.0001 %."
    if any(word.fraction_bits[0] < 0 for word in imported.words):
        text += " Fraction bits below 0: so many last bits of the sums are dropped."
    yield from (plain(text), Text())


def _share(value: float) -> str:
    return (
        "0" if value == 0 else f"{number(value * 1e6, 3)} ppm" if value < 1e-3 else f"{percent(value, 2)} %"
    )


def _agreement(found: Agreement) -> Iterator[RenderableType]:
    images = f"{counted(found.images, 'image')} of {found.inputs}"
    sides = [side for side in (found.ideal, found.chip) if side is not None]
    columns = ["layer", "spike rate\nfloat"]
    for side in sides:
        columns += [f"spike rate\n{_name(side)}", f"equal, %\n{_name(side)}"]
    rows = []
    for index, layer in enumerate(found.ideal.layers):
        row = [layer.name, number(layer.float_rate)]
        for side in sides:
            row += [number(side.layers[index].rate), _exactly(side.layers[index].equal)]
        rows.append(row)
    if rows:
        yield from _titled(f"Spikes, {images}", table("", columns, rows))
        text = "Equal: the share of neurons and timesteps in which it did what the float network did."
        yield from (plain(text), Text())
    chip = found.chip
    if chip is not None and chip.seed is not None:
        text = f"{chip.hardware} has errors (nonideal): it is chip 0 of those that seed {chip.seed} draws."
        yield from (plain(text), Text())
    accuracies = [("float", found.float_accuracy), *((_name(s), s.accuracy) for s in sides)]
    known = [(name, accuracy) for name, accuracy in accuracies if accuracy is not None]
    columns = ["T"] + [f"class as float, %\n{_name(side)}" for side in sides]
    title = f"Classes, {images}" + ("" if known else "; they have no labels")
    rows = [
        [str(t), *(_exactly(side.same_prediction[t - 1]) for side in sides)]
        for t in shown_timesteps(found.timesteps)
    ]
    yield from _titled(title, table("", columns, rows))
    if known:
        columns = ["T"] + [f"accuracy, %\n{name}" for name, _ in known]
        shown = shown_timesteps(found.timesteps)
        rows = [[str(t), *(_accuracy(side, t - 1) for _, side in known)] for t in shown]
        yield from _titled(f"Accuracy, {images}, with 95 % intervals", table("", columns, rows))


def _name(side: IntegerAgreement) -> str:
    return "quantised" if side.hardware is None else side.hardware


def _exactly(share: float) -> str:
    """A percentage that says 100 only of all."""
    return "100" if share == 1 else f"{min(100 * share, 99.9999):.4f}"


def _accuracy(accuracy: AccuracyOverTime, t: int) -> str:
    low, high = (f"{100 * side[t]:.1f}" for side in (accuracy.low, accuracy.high))
    return f"{100 * accuracy.per_timestep[t]:.2f} [{low}, {high}]"
