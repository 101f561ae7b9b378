"""Many programmed chips as tables: the ideal chip, the mean over the chips with its spread, and the worst."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from imcsim.base.plurals import counted
from imcsim.report.sampling import shown_timesteps
from imcsim.report.terminal.grid import plain, table
from imcsim.report.terminal.tables import heading, warnings_of
from imcsim.report.units import ENERGY, TIME, Unit, fitting, percent, product
from imcsim.report.units import thresholds as thresholds_text
from imcsim.results.chips.document import ChipsResult
from imcsim.results.chips.spread import Spread
from imcsim.results.chips.summary import DynamicSpread, StaticSpread

NONE = "-"


def chips_report(result: ChipsResult) -> Group:
    """Everything that is said of all chips, in reading order."""
    parts: list[RenderableType] = [
        _heading(result),
        Text(),
        accuracy_table(result),
        Text(),
        _costs(result),
        Text(),
        _early(result),
        *(plain(line) for line in issue_lines(result)),
        *(plain(line) for line in threshold_lines(result)),
        Text(),
        _exits(result),
        Text(),
        _moved(result),
        *warnings_of(result),
    ]
    return Group(*parts)


NAMES = {"dynamic": "own", "dynamic_once": "once"}
"""Where the threshold comes from, in short; `threshold_lines` explains it."""


def names(result: ChipsResult) -> dict[str, str]:
    """How tables and figures call the rules of early exit."""
    if result.dynamic_once is None:
        return {"dynamic": "dynamic"}
    return {policy: f"dynamic, {name}" for policy, name in NAMES.items()}


def _heading(result: ChipsResult) -> Table:
    grid = heading(result.meta)
    grid.add_row(Text("chips"), plain(f"{which_chips(result)}, and an ideal one, all with the same images"))
    return grid


def which_chips(result: ChipsResult) -> str:
    """How many chips there are, and their numbers."""
    numbers = [one.chip for one in result.instances]
    shown = f"number {numbers[0]}" if len(numbers) == 1 else f"numbers {numbers[0]} to {numbers[-1]}"
    if numbers != list(range(result.first_chip, result.first_chip + len(numbers))):
        shown += ", not all of them"
    count = "one programmed chip" if result.chips == 1 else f"{result.chips:,} programmed chips"
    return f"{count}, {shown}"


def _ways(result: ChipsResult) -> list[tuple[str, StaticSpread | DynamicSpread]]:
    """Label and figures of each way to run the chips."""
    ways: list[tuple[str, StaticSpread | DynamicSpread]] = [
        (f"static T={one.timesteps}", one)
        for one in result.static
        if one.timesteps in shown_timesteps(result.meta.timesteps)
    ]
    called = names(result)
    return [*ways, *((called[policy], spreads) for policy, spreads in result.policies())]


def _which(result: ChipsResult, policy: str) -> str:
    return "" if result.dynamic_once is None else NAMES[policy]


def _in_full(over: Spread, text: Callable[[float], str]) -> list[str]:
    """Ideal, mean, its interval, standard deviation, worst, and the chip that is worst."""
    interval = NONE
    if over.mean_low is not None and over.mean_high is not None:
        interval = f"[{text(over.mean_low)}, {text(over.mean_high)}]"
    std = NONE if over.std is None else text(over.std)
    return [text(over.ideal), text(over.mean), interval, std, text(over.worst), str(over.worst_chip)]


def _shortly(over: Spread, text: Callable[[float], str]) -> list[str]:
    """As `_in_full`, without the interval."""
    return [cell for k, cell in enumerate(_in_full(over, text)) if k != 2]


_FULL = ["ideal\nchip", "mean", "95 % interval\nof the mean", "std", "worst", "worst\nchip"]


def _points(value: float) -> str:
    return f"{100 * value:.2f}"


def _over_policies(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], static: int) -> Table:
    """A table with a row for each way to run the chips, so many of them static; the others stand out."""
    grid = table(title, columns, [])
    for number, row in enumerate(rows, 1):
        cells = (plain(cell) for cell in row)
        grid.add_row(*cells, style="bold" if number > static else None, end_section=number == static)
    return grid


def accuracy_table(result: ChipsResult) -> Table:
    """The accuracy over the chips."""
    rows = [[label, *_in_full(one.accuracy, _points)] for label, one in _ways(result)]
    title = f"Accuracy over the chips, % (of {counted(result.meta.images, 'image')} each)"
    return _over_policies(title, ["", *_FULL], rows, result.meta.timesteps)


def _costs(result: ChipsResult) -> Table:
    ways = _ways(result)
    largest = [[max(one.ideal, one.worst) for one in (s.energy_pj, s.latency_ns)] for _, s in ways]
    energy = fitting(ENERGY, (e for e, _ in largest))
    edp = product(energy, fitting(TIME, (ns for _, ns in largest)))
    columns = [""]
    for name in ("energy", "EDP"):
        columns += [f"{name}\nideal", "mean", "std", "worst", "worst\nchip"]
    rows = [
        [label, *_shortly(one.energy_pj, _digits(energy)), *_shortly(one.edp_mean_of_products, _digits(edp))]
        for label, one in ways
    ]
    title = f"Energy, {energy.name}, and EDP, {edp.name}, over the chips (per image; EDP: mean of products)"
    return _over_policies(title, columns, rows, result.meta.timesteps)


def _digits(unit: Unit) -> Callable[[float], str]:
    """As `unit` writes a figure, but a small one with the decimals of one that is about 1."""
    return lambda value: unit(value) if abs(value) >= unit.per_base else f"{value / unit.per_base:.3f}"


def _early(result: ChipsResult) -> Table:
    figures: list[tuple[str, str, Callable[[float], str]]] = [
        ("mean timesteps", "mean_timesteps", lambda value: f"{value:.3f}"),
        ("accuracy lost, points", "accuracy_loss", _points),
        ("EDP saved, %", "edp_reduction", percent),
    ]
    rows = []
    for name, key, text in figures:
        overs = [(_which(result, policy), getattr(spreads, key)) for policy, spreads in result.policies()]
        rows += [[name, which, *_in_full(over, text)] for which, over in overs]
    chosen = result.dynamic.threshold
    if chosen is not None and result.dynamic_once is not None:
        # Neither a high nor a low one is bad, and the one for all is the ideal chip's.
        cells = _in_full(chosen, lambda value: f"{value:.4f}")[:-2]
        rows.append(["threshold", "own", *cells, NONE, NONE])
    title = f"Early exit against {opponent_name(result)} on the same chip"
    return table(title, ["", "", *_FULL], rows, left=2)


def opponent_name(result: ChipsResult) -> str:
    """Static T max with the issue policy that it has. A single timestep has nothing to wait for."""
    last = result.meta.timesteps
    return f"static T={last}" + (f", {result.static_issue}," if last > 1 else "")


def issue_lines(result: ChipsResult) -> list[str]:
    """How the runs are issued, and how to have static runs pipelined."""
    if result.meta.timesteps == 1:
        return []
    line = f"Static runs are issued by {result.static_issue}, dynamic runs by {result.meta.policy}"
    ahead = "; pipelined static runs are compared by --issue speculate"
    return [f"{line}{ahead if result.static_issue == 'wait' else ''}."]


def threshold_lines(result: ChipsResult) -> list[str]:
    about = f"Exit rule {result.rule} on the {result.accumulation} of the outputs, "
    ideal = result.ideal.dynamic
    used = thresholds_text(ideal.threshold if ideal.thresholds is None else ideal.thresholds)
    several = "s" if ideal.thresholds is not None else ""
    if result.validation_images is None:
        return [f"{about}threshold{several} {used}, given by the user: the same on all chips."]
    return [
        f"{about}its threshold{several} chosen on {counted(result.validation_images, 'validation image')}:",
        f"own: on each chip itself; once: on the ideal chip, for all ({used}).",
    ]


def _exits(result: ChipsResult) -> Table:
    columns = ["T", "ideal chip\nimages, %", "right, %"]
    for policy, _ in result.policies():
        columns += [f"{names(result)[policy]}\nimages, % ± std", "right, %"]
    rows = []
    few = shown_timesteps(result.meta.timesteps)
    for at, leave in enumerate(result.dynamic.exits):
        if leave.timesteps not in few and not leave.fraction.mean:
            continue  # of many timesteps those at which somebody exits
        row = [str(leave.timesteps), percent(leave.fraction.ideal), _share(leave.accuracy_ideal)]
        for _, spreads in result.policies():
            one = spreads.exits[at]
            std = "" if one.fraction.std is None else f" ± {percent(one.fraction.std)}"
            row += [percent(one.fraction.mean) + std, _share(one.accuracy)]
        rows.append(row)
    return table("Exits: images that leave at each timestep, and how many of these are right", columns, rows)


def _share(fraction: float | None) -> str:
    return NONE if fraction is None else percent(fraction)


def _moved(result: ChipsResult) -> Table:
    total = result.chips * result.meta.images
    rows = []
    for label, kind in (("earlier", "earlier"), ("later", "later"), ("at the same timestep", "same")):
        for policy, spreads in result.policies():
            count, wrong, lost = (getattr(spreads.moved, kind + end) for end in ("", "_wrong", "_lost"))
            wrongly = percent(wrong / count) if count else NONE
            cells = [f"{count:,}", percent(count / total), f"{wrong:,}", wrongly, f"{lost:,}"]
            rows.append([label, _which(result, policy), *cells])
    columns = ["images leave", "", "images", "%", "of these\nwrong", "of these\nwrong, %"]
    columns += ["wrong here, right\non the ideal chip"]
    of = f"{result.chips:,} chips x {result.meta.images:,}" if result.chips > 1 else "one chip"
    return table(f"Against the ideal chip, of {counted(total, 'image')} ({of})", columns, rows, left=2)
