"""The fixed-point checker against an exact one."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from imcsim.base.plurals import counted
from imcsim.report.figures.drawing import BLUE, GREEN, MUTED, ORANGE, figure, legend
from imcsim.report.page.exhibits import Exhibit
from imcsim.report.page.grids import Cell, Grid
from imcsim.report.page.tables import Column
from imcsim.report.reproduction.wording import file_name
from imcsim.report.units import percent
from imcsim.results.reproduction.document import CheckerSize, NetworkPart, Reproduction


def agreements(document: Reproduction) -> list[Exhibit]:
    """For each network how often a checker in fixed point decides otherwise than an exact one."""
    return [_agreement(part) for part in document.networks if part.checker.sizes]


def _used(part: NetworkPart) -> CheckerSize:
    sizes = part.checker.sizes
    return next((size for size in sizes if size.used), sizes[0])


def _series(part: NetworkPart) -> list[CheckerSize]:
    """Both tables together where that was tried, by size; else the first of the series."""
    sizes = part.checker.sizes
    kind = "tables" if any(size.varied == "tables" for size in sizes) else sizes[0].varied
    return sorted((size for size in sizes if size.varied == kind), key=lambda size: size.table_bytes)


def _agreement(part: NetworkPart) -> Exhibit:
    agreed, used = part.checker, _used(part)
    rows = [
        [s.varied, s.exp_entries, s.log_entries, s.table_bits, s.fraction_bits, s.table_bytes, int(s.used),
         s.decisions_differ, s.exits_differ, s.predictions_differ, s.accuracy, s.mean_timesteps]
        for s in agreed.sizes
    ]  # fmt: skip
    return Exhibit(
        f"agreement_{file_name(part.key)}",
        f"{part.title}: with the chip’s tables {used.decisions_differ:,} of {agreed.decisions:,} decisions "
        f"differ from exact ones, and {used.predictions_differ:,} of {agreed.images:,} predictions",
        "Softmax and entropy through tables of fixed-point words against float64, same threshold "
        f"({agreed.threshold:.4g}) and class outputs, {counted(agreed.images, 'test image')}, both tables "
        "of one "
        f"size. The chip’s own have {used.exp_entries:,} (exp) and {used.log_entries:,} (log) entries of "
        f"{used.table_bits} bits. Below the break of the axis: none.",
        lambda: _draw_agreement(part),
        ("varied", "exp_entries", "log_entries", "table_bits", "fraction_bits", "table_bytes", "used",
         "decisions_differ", "exits_differ", "predictions_differ", "accuracy", "mean_timesteps"),
        rows,
    )  # fmt: skip


def _draw_agreement(part: NetworkPart) -> Figure:
    agreed, sizes = part.checker, _series(part)
    made, (axes,) = figure(2.9)
    width = [size.table_bytes for size in sizes]
    least = 100 / agreed.decisions
    series = (
        ("decisions", BLUE, "o", 9, [100 * s.decisions_differ / agreed.decisions for s in sizes]),
        ("images that leave elsewhere", ORANGE, "s", 6,
         [100 * s.exits_differ / agreed.images for s in sizes]),
        ("predictions", GREEN, "D", 3, [100 * s.predictions_differ / agreed.images for s in sizes]),
    )  # fmt: skip
    for name, colour, mark, size, shares in series:  # shares are often the same: each shows behind the next
        axes.plot(width, shares, color=colour, marker=mark, label=name, markersize=size, linewidth=size / 2)
    own = next((size for size in sizes if size.used), None)
    if own is not None:
        axes.axvline(own.table_bytes, color=MUTED, linestyle=":", linewidth=1.2, zorder=0,
                     label=f"the chip’s own, {own.table_bytes:,} bytes")  # fmt: skip
    ticks = [size.table_bytes for size in sizes if not size.used]
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks], rotation=45 if len(ticks) > 6 else 0)
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x", which="minor", length=0)
    axes.set_yscale("symlog", linthresh=least)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    highest = max(max(shares) for *_, shares in series)
    axes.set_ylim(-0.3 * least, max(2 * highest, 2 * least))
    axes.set_xlabel("bytes of both tables")
    axes.set_ylabel("differ from an exact checker (%)")
    axes.grid()
    legend(made, columnspacing=1, handletextpad=0.5)
    return made


_VARIED = {"tables": "both tables", "exp_entries": "exp table", "log_entries": "log table",
           "table_bits": "bits of a word", "fraction_bits": "bits of the fraction"}  # fmt: skip


def agreement_grids(document: Reproduction) -> list[Grid]:
    """For each network every size that was tried."""
    columns = [Column("varied", "varied", "", False), Column("exp", "exp", "entries"),
               Column("log", "log", "entries"), Column("bits", "word", "bits"),
               Column("fraction", "fraction", "bits"), Column("bytes", "tables", "bytes"),
               Column("decisions", "decisions", "differ"), Column("exits", "exits", "differ"),
               Column("predictions", "predictions", "differ"), Column("accuracy", "accuracy", "%"),
               Column("mean_timesteps", "mean T")]  # fmt: skip
    found = []
    for part in document.networks:
        agreed = part.checker
        if not agreed.sizes:
            continue
        rows = [_size_row(size) for size in _telling(part)]
        small = [s for s in _telling(part) if _agrees(part, s)]
        least = min(small, key=lambda s: s.table_bytes, default=None)
        title = (
            f"tables of {least.table_bytes:,} bytes move at most one image in a thousand"
            if least is not None
            else "every size tried moves more than one image in a thousand"
        )
        found.append(
            Grid(f"agreement_{file_name(part.key)}_table", f"{part.title}: {title}", columns, rows,
                 ("varied", "exp_entries", "log_entries", "table_bits", "fraction_bits", "table_bytes",
                  "decisions_differ", "exits_differ", "predictions_differ", "accuracy", "mean_timesteps"),
                 [[s.varied, s.exp_entries, s.log_entries, s.table_bits, s.fraction_bits, s.table_bytes,
                   s.decisions_differ, s.exits_differ, s.predictions_differ, s.accuracy, s.mean_timesteps]
                  for s in agreed.sizes],
                 f"Of {agreed.decisions:,} decisions and {agreed.images:,} images. The exact checker: "
                 f"accuracy {percent(agreed.exact_accuracy, 2)} %, mean T "
                 f"{agreed.exact_mean_timesteps:.3f}. Bold: the chip’s own. Of one size alone, only the "
                 "smallest that moves at most one image in a thousand; the "
                 "CSV has all.", wide=True)
        )  # fmt: skip
    return found


def _agrees(part: NetworkPart, size: CheckerSize) -> bool:
    return max(size.exits_differ, size.predictions_differ) <= 0.001 * part.checker.images


def _telling(part: NetworkPart) -> list[CheckerSize]:
    """Both tables at every size; of one size alone the smallest that is as good as exact."""
    sizes = part.checker.sizes
    found = [size for size in sizes if size.varied == "tables"]
    for kind in dict.fromkeys(size.varied for size in sizes if size.varied != "tables"):
        found += [size for size in sizes if size.varied == kind and _agrees(part, size)][:1]
    return found


def _size_row(size: CheckerSize) -> Sequence[Cell | str]:
    texts = [_VARIED[size.varied] + (" (the chip’s own)" if size.used else ""), f"{size.exp_entries:,}",
             f"{size.log_entries:,}", str(size.table_bits), str(size.fraction_bits), f"{size.table_bytes:,}",
             f"{size.decisions_differ:,}", f"{size.exits_differ:,}", f"{size.predictions_differ:,}",
             percent(size.accuracy, 2), f"{size.mean_timesteps:.3f}"]  # fmt: skip
    return [Cell(text, tone="strong" if size.used else "") for text in texts]
