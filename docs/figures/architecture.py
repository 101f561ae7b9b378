"""Draws docs/figures/architecture.png: the floors of the package and the way of an image through them.

python docs/figures/architecture.py docs/figures/architecture.png
"""

from __future__ import annotations

import sys

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

FLOORS = [
    ("commands, api", "what a user calls"),
    ("report", "tables, figures, pages"),
    ("searches, reproduction", "many sweeps and studies"),
    ("sweeps, validate, importers, diffs", "many points, other files"),
    ("studies", "compare, stream, timeline, trace, chips"),
    ("simulation", "joins values, placement and time"),
    ("timing", "when: SimPy, compiled fabric"),
    ("functional | mapping", "values (numba) | where"),
    ("inputs", "images, events, traces"),
    ("network", "layers with integer weights"),
    ("hardware", "the chip's file, components, prices"),
    ("exits | results", "exit rules; the documents"),
    ("base", "errors, files, compiled kernels"),
]
VERBS = [
    ("run", "network x images x numerics", "trace: spikes, logits, active rows"),
    ("place", "network x hardware", "placement: layers on crossbars and tiles"),
    ("lower", "trace x placement", "integer work for each tile"),
    ("simulate", "work x hardware x issue policy", "ledger: counts and cycles"),
    ("price", "ledger x hardware", "report: joules, seconds, um2"),
]
BLUE, GREY, INK = "#0072b2", "#e9edf1", "#222222"


def draw() -> Figure:
    """The figure, 7.2 inches wide: floors on the left, the five verbs on the right."""
    figure = Figure(figsize=(7.2, 4.6), dpi=160)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, 7.2)
    axes.set_ylim(0, 4.6)
    axes.axis("off")
    axes.text(0.15, 4.42, "Floors: imports run downwards only", fontsize=9, weight="bold", color=INK)
    for row, (name, what) in enumerate(FLOORS):
        bottom = 4.06 - row * 0.325
        axes.add_patch(
            FancyBboxPatch(
                (0.15, bottom), 3.55, 0.26, boxstyle="round,pad=0,rounding_size=0.04", fc=GREY, ec="none"
            )
        )
        axes.text(0.23, bottom + 0.13, name, fontsize=7, va="center", color=INK, weight="bold")
        axes.text(3.64, bottom + 0.13, what, fontsize=6.5, va="center", ha="right", color=INK)
    axes.text(3.95, 4.42, "Five verbs: one image's way", fontsize=9, weight="bold", color=INK)
    for row, (verb, takes, gives) in enumerate(VERBS):
        bottom = 3.62 - row * 0.86
        axes.add_patch(
            FancyBboxPatch(
                (3.95, bottom),
                3.1,
                0.62,
                boxstyle="round,pad=0,rounding_size=0.05",
                fc="white",
                ec=BLUE,
                lw=1,
            )
        )
        axes.text(4.05, bottom + 0.31, verb, fontsize=9, va="center", color=BLUE, weight="bold")
        axes.text(4.85, bottom + 0.42, takes, fontsize=6.5, va="center", color=INK)
        axes.text(4.85, bottom + 0.18, gives, fontsize=6.5, va="center", color=INK, style="italic")
        if row + 1 < len(VERBS):
            axes.annotate(
                "", (5.5, bottom - 0.23), (5.5, bottom - 0.01), arrowprops={"arrowstyle": "->", "color": BLUE}
            )
    return figure


def main() -> None:
    figure = draw()
    FigureCanvasAgg(figure).print_png(sys.argv[1], metadata={"Software": None})


if __name__ == "__main__":
    main()
