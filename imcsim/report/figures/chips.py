"""Many programmed chips as figures: accuracy against timesteps, one dot a chip; and who leaves when."""

from __future__ import annotations

from matplotlib.figure import Figure

from imcsim.base.progress import Progress
from imcsim.report.figures.drawing import BLUE, GREY, ORANGE, VERMILION, draw, figure, legend
from imcsim.report.sampling import ALL_SHOWN
from imcsim.results.chips.document import ChipsResult

_COLOURS = {"dynamic": BLUE, "dynamic_once": ORANGE}
_THRESHOLDS = {"dynamic": "own threshold", "dynamic_once": "one threshold"}


def render_chips(result: ChipsResult, progress: Progress | None = None) -> dict[str, bytes]:
    """All figures of `result`: file name (``chips_exits.svg``) to file content."""
    return draw(lambda: chips_figures(result), progress=progress)


def chips_figures(result: ChipsResult) -> dict[str, Figure]:
    """All figures of `result` by name."""
    return {"accuracy_timesteps": accuracy_timesteps(result), "exits": exits(result)}


def accuracy_timesteps(result: ChipsResult) -> Figure:
    """Accuracy against mean timesteps: one dot per chip for early exit, static T = 1, 2, ... as mean and
    standard deviation over the chips, and the ideal chip.
    """
    made, (axes,) = figure(height=3.2)
    steps = [one.timesteps for one in result.static]
    axes.plot(
        steps,
        [100 * one.accuracy.ideal for one in result.static],
        color=GREY,
        marker="s",
        markersize=4,
        markerfacecolor="white",
        label="static, ideal chip",
    )
    axes.errorbar(
        steps,
        [100 * one.accuracy.mean for one in result.static],
        yerr=None if result.chips == 1 else [100 * (one.accuracy.std or 0.0) for one in result.static],
        fmt="s-",
        markersize=5.5,  # dots of chips lie inside, not on them
        color=VERMILION,
        elinewidth=0.8,
        linewidth=0.8,
        capsize=2,
        label="static, mean ± std" if result.chips > 1 else "static",
    )
    for policy, _ in result.policies():
        runs = [getattr(one, policy) for one in result.instances]
        axes.plot(
            [run.mean_timesteps for run in runs],
            [100 * run.accuracy for run in runs],
            linestyle="none",
            marker="o" if policy == "dynamic" else "^",
            markersize=4,
            color=_COLOURS[policy],
            markeredgecolor="white",
            markeredgewidth=0.4,
            zorder=4,
            label=f"dynamic, {_threshold(result, policy)}",
        )
    axes.plot(
        [result.ideal.dynamic.mean_timesteps],
        [100 * result.ideal.dynamic.accuracy],
        linestyle="none",
        marker="*",
        markersize=11,
        color="white",
        markeredgecolor="black",
        markeredgewidth=0.7,
        zorder=5,
        label="dynamic, ideal chip",
    )
    axes.set_xlim(0.8, len(steps) + 0.2)
    axes.set_xticks(steps if len(steps) <= 8 else steps[1::2])
    axes.set_xlabel("mean timesteps")
    axes.set_ylabel("accuracy (%)")
    axes.grid(color="0.9")
    # matplotlib lists bars of errors last: the static runs belong together.
    handles = axes.get_legend_handles_labels()[0]
    legend(made, sorted(handles, key=lambda one: not str(one.get_label()).startswith("static")))
    return made


def _threshold(result: ChipsResult, policy: str) -> str:
    return "on each chip" if result.dynamic_once is None else _THRESHOLDS[policy]


def exits(result: ChipsResult) -> Figure:
    """Share of the images that leave at each timestep: the ideal chip, and mean and spread over the chips."""
    made, (axes,) = figure(height=2.5)
    steps = range(1, result.meta.timesteps + 1)
    width = 0.8 / (1 + len(result.policies()))
    left = -width * len(result.policies()) / 2
    ideal = [100 * one.fraction.ideal for one in result.dynamic.exits]
    axes.bar([t + left for t in steps], ideal, width=width, color=GREY, label="ideal chip")
    shares = [one.fraction for _, spreads in result.policies() for one in spreads.exits]
    cut = any(not (one.std or 0.0) <= one.mean <= 1 - (one.std or 0.0) for one in shares)
    for k, (policy, spreads) in enumerate(result.policies(), 1):
        mean = [100 * one.fraction.mean for one in spreads.exits]
        std = [100 * (one.fraction.std or 0.0) for one in spreads.exits]
        ends = [[min(s, m), min(s, 100 - m)] for m, s in zip(mean, std, strict=True)]
        axes.bar(
            [t + left + k * width for t in steps],
            mean,
            width=width,
            color=_COLOURS[policy],
            yerr=[list(end) for end in zip(*ends, strict=True)] if result.chips > 1 else None,
            error_kw={"elinewidth": 0.8, "capsize": 2, "ecolor": "black"}
            | ({"label": "± std, cut at 0 and 100 %" if cut else "± std"} if k == 1 else {}),
            label=_threshold(result, policy),
        )
    if len(steps) <= ALL_SHOWN:
        axes.set_xticks(list(steps))
    axes.set_ylim(0, 102)
    axes.set_xlabel("exit timestep")
    axes.set_ylabel("images (%)" if result.chips == 1 else "images (%), mean")
    legend(made, ncols=4, columnspacing=1)
    return made
