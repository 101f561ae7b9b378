"""What early exit does: when images leave, and static against dynamic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from imcsim.report.figures.drawing import (
    BLUE,
    GREEN,
    GRID,
    HALO,
    INK,
    MOST_VECTORS,
    MUTED,
    ORANGE,
    PURPLE,
    figure,
    legend,
    letter,
    mark_mean,
)
from imcsim.report.page.exhibits import Exhibit
from imcsim.report.sampling import exit_bins
from imcsim.report.site.breakdowns import Choice, label
from imcsim.report.site.study import Parts, Study, StudyPoint
from imcsim.report.units import percent


def exits(chosen: Sequence[Choice], parts: Mapping[int, Parts]) -> list[Exhibit]:
    """When images leave, for each chosen point."""
    shown = [c for c in chosen if parts.get(c[0].index, Parts()).exits and c[0].dynamic][:9]
    if not shown:
        return []
    rows = [
        [point.index, t, share] for point, _ in shown for t, share in enumerate(parts[point.index].exits, 1)
    ]
    return [
        Exhibit(
            "exits", "When images leave",
            "Share of the images that leave at each timestep; the mark at the top is the mean.",
            lambda: _draw_exits(shown, parts), ("point", "timestep", "share_of_images"), rows,
        )
    ]  # fmt: skip


def _draw_exits(shown: Sequence[Choice], parts: Mapping[int, Parts]) -> Figure:
    columns = min(3, len(shown))
    lines = -(-len(shown) // columns)
    made, panels = figure(1.9 * lines + 0.3, lines, columns, wide=columns > 1)
    for panel, choice in zip(panels, shown, strict=False):
        point = choice[0]
        shares = parts[point.index].exits
        bins = exit_bins(shares)
        width = bins[0].last - bins[0].first + 1
        drawn = panel.bar(
            [one.first + (width - 1) / 2 for one in bins], [100 * one.share for one in bins],
            width=0.7 if width == 1 else 0.9 * width, color=BLUE,
        )  # fmt: skip
        if len(shares) <= 10:
            labels = [percent(share) for share in shares]
            panel.bar_label(drawn, labels, padding=1.5, fontsize=6)
        mean = point.shown().mean_timesteps
        named = label(choice, len(shown) == 1)
        mark_mean(panel, mean, "mean" if named else f"mean {mean:.2f}")
        if named:
            panel.set_title(f"{named}, mean {mean:.2f}", fontsize=7, pad=8)
        panel.set_ylim(0, 125)
        panel.set_yticks(range(0, 101, 25))
        panel.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
        panel.set_xlim(0.4, len(shares) + 0.6)
    if len(shown) > 1:
        letter(panels[: len(shown)])
    for panel in panels[len(shown) :]:
        panel.axis("off")
    legend(made, panels[0].get_legend_handles_labels()[0], loc="outside upper right")
    made.supxlabel("exit timestep", fontsize=8)
    made.supylabel("images (%)", fontsize=8)
    return made


def static_dynamic(study: Study, chosen: Sequence[Choice]) -> list[Exhibit]:
    """What early exit changes: chosen points in percent of static T max, and all points."""
    both = [point for point in study.points if point.static and point.dynamic]
    shown = [choice for choice in chosen if choice[0].static and choice[0].dynamic]
    if not both or not shown:
        return []
    marked = {point.index for point, _ in shown}
    rows = []
    for point in both:
        shares = [round(100 * _over(point, name), 4) for name in _COMPARED]
        change = point.shown().accuracy - point.static[-1].accuracy
        rows.append([point.index, int(point.index in marked), *shares, round(100 * change, 4)])
    many = len(both) > 1
    return [
        Exhibit(
            "static_dynamic", "What early exit saves",
            "Dynamic runs against static T max of the same point. "
            + ("Left: the chosen points. Right: all points; up and right is better." if many else ""),
            lambda: _draw_both(both, shown, marked),
            ("point", "chosen", *(f"{title.lower()}_percent" for _, _, title in _COMPARED.values()),
             "accuracy_change_points"), rows,
        )
    ]  # fmt: skip


def _draw_both(both: Sequence[StudyPoint], shown: Sequence[Choice], marked: set[int]) -> Figure:
    many = len(both) > 1
    made, panels = figure(
        max(0.95 + 0.36 * len(shown), 2.5 if many else 1.7), 1, 2 if many else 1, wide=many,
        width_ratios=(1.25, 1) if many else None,
    )  # fmt: skip
    left = panels[0]
    for place, (point, _) in enumerate(shown):
        for k, (name, (colour, mark, title)) in enumerate(_COMPARED.items()):
            share = 100 * _over(point, name)
            y = place + (k - 1.5) * 0.17
            left.plot([0, share], [y, y], color=colour, linewidth=0.8, alpha=0.6)
            left.plot(share, y, color=colour, marker=mark, markersize=3.5, linestyle="none",
                      label=title if place == 0 else None)  # fmt: skip
            if len(shown) == 1:
                left.annotate(f"{share:.1f} %", (share, y), xytext=(5, 0), textcoords="offset points",
                              va="center", fontsize=6.5, path_effects=HALO)  # fmt: skip
    names = [label(choice, len(shown) == 1) for choice in shown]
    left.set_yticks(range(len(shown)), names)
    left.set_ylim(len(shown) - 0.5, -0.5)
    left.tick_params(axis="y", length=0)
    left.axvline(100, color=MUTED, linestyle=":", linewidth=1, zorder=0, label="static T max")
    left.set_xlim(0, max(108, left.get_xlim()[1]))
    left.set_xlabel("dynamic in % of static T max")
    left.grid(axis="x")
    for line in range(1, len(shown)):
        left.axhline(line - 0.5, color=GRID, linewidth=0.7, zorder=0)
    if many:
        right = panels[1]
        for group, colour, size, title in (
            ([p for p in both if p.index not in marked], MUTED, 2.5, "other points"),
            ([p for p in both if p.index in marked], BLUE, 4.5, "chosen points"),
        ):
            if not group:
                continue
            saved = [100 * (1 - _over(p, "edp_pj_ns")) for p in group]
            change = [100 * (p.shown().accuracy - p.static[-1].accuracy) for p in group]
            right.plot(
                saved, change, linestyle="none", marker="o", color=colour, markersize=size,
                alpha=0.5 if colour == MUTED else 1, markeredgewidth=0.5 if colour == BLUE else 0,
                markeredgecolor=INK, label=title, rasterized=len(group) > MOST_VECTORS,
            )  # fmt: skip
        right.axhline(0, color=MUTED, linestyle=":", linewidth=1, zorder=0)
        right.set_xlabel("EDP saved by early exit (%)")
        right.set_ylabel("accuracy change (points)")
        right.margins(0.08)
        right.grid()
        letter(panels)
    legend(made, ncols=7 if many else 3, columnspacing=1, handletextpad=0.3)
    return made


_COMPARED = {
    "energy_pj": (BLUE, "o", "energy"), "latency_ns": (ORANGE, "s", "latency"),
    "edp_pj_ns": (GREEN, "D", "EDP"), "mean_timesteps": (PURPLE, "^", "timesteps"),
}  # fmt: skip


def _over(point: StudyPoint, name: str) -> float:
    """The dynamic figure over that of static T max."""
    whole: float = getattr(point.static[-1], name)
    return getattr(point.shown(), name) / whole if whole else 1.0
