"""What errors of cells and wires do to early exit: many programmed chips over sigma, crossbar size and time.

    python benchmarks/nonideal_study.py [--docs docs] [--only sigma crossbar ...] [--chips 8] [--images 500]

Each point runs static T = 1 .. 4 and dynamic timesteps on that many chips, and on the ideal one, with
thresholds chosen on validation images: for each chip on itself, and once for all on the ideal chip. Rows go
into nonideal_study.csv when their point is ready; points that it holds already, with the same version,
revision, network, chip and images, are not run again, so a study that was stopped goes on. With ``--docs``
the tables of nonideal.md and its figures follow. ``--redraw`` makes them from the file alone.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import common
from nonideal_figures import draw_figures, with_tables

import imcsim
import imcsim.hardware
import imcsim.inputs
import imcsim.network
from imcsim.base.nonideal import NonIdeal
from imcsim.report.files import write_contents, write_text
from imcsim.results.chips.document import ChipsResult, DynamicSpread
from imcsim.results.chips.spread import Spread, spread
from imcsim.studies.chips import compare_chips
from imcsim.studies.settings import CompareOptions

CSV = common.FOLDER / "nonideal_study.csv"
PAGE = "nonideal.md"

CHIP, REAL_CHIP = "dtsnn_32nm", "dtsnn_32nm_nonideal"
NETWORK, FINE_TUNED = "vgg7_cifar10", "vgg7_variation_cifar10"
INPUTS, VALIDATION = "cifar10_test", "cifar10_validation"

REVISION = 1
"""Goes up when a change of the models changes results: rows of before are then run again."""

SIGMAS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3)
CROSSBARS = (32, 64, 128, 256)
TIMES_S = (1.0, 1e2, 1e4, 1e6, 3.15e8)
"""Up to ten years."""
PCM_TIMES_S = (20.0, *TIMES_S[1:])

FINITE = {"nonideal.on_off.finite": True, "nonideal.on_off.reference_column": True}
"""Cells at level 0 conduct a tenth of R_on (20 and 200 kOhm), and a reference column takes that off."""
ANEW = {"nonideal.neurons.calibrated_on": "chip"}
DIFFERENTIAL = {"cells.encoding": "differential"}
PCM = {
    "nonideal.drift.exponent": 0.049,
    "nonideal.drift.exponent_sigma": 0.008,
    "nonideal.drift.reference_time_s": 20,
}
"""Phase-change memory: IBM Analog Hardware Acceleration Kit, released code, ``PCMLikeNoiseModel``: mean and
spread of the exponent at large conductances, time from 20 s on (code). Its small conductances drift up to
twice as fast; here all levels have one exponent.
"""

SUMMARY = ("ideal", "mean", "std", "mean_low", "mean_high", "worst")
FIGURES = ("accuracy", "mean_timesteps", "energy_pj", "edp_pj_ns", "edp_reduction", "threshold")
MOVED = tuple(f"{way}{end}" for way in ("earlier", "later", "same") for end in ("", "_wrong", "_lost"))
COLUMNS = (
    "figure", "series", "x", "network", "chips", "images", "validation_images", "policy", "timesteps",
    *(f"{name}_{end}" for name in FIGURES for end in SUMMARY), *MOVED, "version", "settings",
)  # fmt: skip

Row = dict[str, str]


# --- what is run


@dataclass(frozen=True)
class Point:
    """One place in a figure: a network on a chip."""

    figure: str
    series: str
    x: str
    hardware: str = CHIP
    overrides: Mapping[str, object] = field(default_factory=dict)
    network: str = NETWORK

    @property
    def place(self) -> tuple[str, str, str]:
        return self.figure, self.series, self.x


def sigma(fine_tuned: str) -> list[Point]:
    """Normal variation alone."""
    series: tuple[tuple[str, str, dict[str, object]], ...] = (
        ("offset", NETWORK, {"cells.encoding": "offset"}),
        ("two's complement", NETWORK, {"cells.encoding": "twos_complement"}),
        ("differential", NETWORK, {**DIFFERENTIAL}),
        ("differential, on/off 10", NETWORK, {**DIFFERENTIAL, **FINITE}),
        ("fine-tuned, on/off 10", fine_tuned, {**DIFFERENTIAL, **FINITE}),
    )
    return [
        Point(
            "sigma", name, f"{value:g}", CHIP,
            {**keys, "nonideal.variation.kind": "normal", "nonideal.variation.sigma": value}, network,
        )
        for name, network, keys in series
        for value in SIGMAS
    ]  # fmt: skip


def crossbar(fine_tuned: str) -> list[Point]:
    """Wires of the real chip alone, and with cells at level 0 that load them. Nothing is left to chance."""
    wires = imcsim.hardware.load(REAL_CHIP).config.nonideal.wires.model_dump(mode="json")
    keys = {f"nonideal.wires.{key}": value for key, value in wires.items()}
    offset = {"cells.encoding": "offset"}
    series: tuple[tuple[str, dict[str, object]], ...] = (
        ("differential", {**DIFFERENTIAL}),
        ("differential, on/off 10", {**DIFFERENTIAL, **FINITE}),
        ("differential, on/off 10, neurons anew", {**DIFFERENTIAL, **FINITE, **ANEW}),
        ("offset", {**offset}),
        ("offset, neurons anew", {**offset, **ANEW}),
    )
    return [
        Point(
            "crossbar", name, str(size), CHIP,
            {**keys, **about, "cells.rows": size, "cells.columns": size},
        )
        for name, about in series
        for size in CROSSBARS
    ]  # fmt: skip


def drift(fine_tuned: str) -> list[Point]:
    """Drift alone, of the real chip's cells and of phase-change memory."""
    real = imcsim.hardware.load(REAL_CHIP).config.nonideal.drift
    rram = {f"nonideal.drift.{key}": getattr(real, key) for key in ("exponent", "exponent_sigma")}
    series: tuple[tuple[str, dict[str, object], Sequence[float]], ...] = (
        ("RRAM", rram, TIMES_S),
        ("PCM", PCM, PCM_TIMES_S),
        ("PCM, neurons anew", {**PCM, **ANEW}, PCM_TIMES_S),
    )
    return [
        Point("drift", name, f"{time_s:g}", CHIP, {**DIFFERENTIAL, **keys, "nonideal.drift.time_s": time_s})
        for name, keys, times in series
        for time_s in times
    ]


SCALES: tuple[tuple[str, dict[str, object]], ...] = (
    ("ADC covers all sums", {"adc.full_scale": "ideal"}),
    ("ADC per layer", {}),
    ("ADC per layer and chip", {"nonideal.converter.calibrated_on": "chip"}),
)


def remedies(fine_tuned: str) -> list[Point]:
    """All errors of the real chip: ADC scales, neurons set anew, fine-tuning, alone and together.

    No step is smaller than a level, and with 8 bits all are that small, whatever a chip's currents; so scales
    are tried with 5 bits, too.
    """
    both, anew = (("", {}), (", neurons anew", ANEW)), ((", neurons anew", ANEW),)
    series: tuple[tuple[str, str, dict[str, object], Any], ...] = (
        ("as trained", NETWORK, {}, both),
        ("fine-tuned", fine_tuned, {}, both),
        ("as trained, ADC of 5 bits", NETWORK, {"adc.bits": 5}, anew),
    )
    return [
        Point("remedies", name, f"{scale}{neurons}", REAL_CHIP, {**keys, **remedy, **bits}, network)
        for name, network, bits, ways in series
        for neurons, remedy in ways
        for scale, keys in SCALES
    ]


STUDIES: dict[str, Callable[[str], list[Point]]] = {
    "sigma": sigma, "crossbar": crossbar, "drift": drift, "remedies": remedies,
}  # fmt: skip


def chance(errors: NonIdeal) -> bool:
    """Whether one chip with these errors differs from another."""
    sizes = (
        *errors.variation.sigmas(1), errors.stuck.on_rate, errors.stuck.off_rate, errors.read_noise.sigma,
        errors.converter.offset_lsb, errors.converter.gain_sigma, errors.converter.noise_lsb,
        errors.drift.exponent_sigma * (errors.drift.time_s > errors.drift.reference_time_s),
    )  # fmt: skip
    return any(sizes)


# --- running it


@dataclass(frozen=True)
class Bench:
    """What all points share."""

    chips: int
    images: int | None
    validation_images: int | None
    seed: int = 0
    workers: int | None = None

    def rows(self, point: Point, kept: Sequence[Row] = ()) -> list[Row]:
        """The rows of a point; those of `kept` where they are of the same settings."""
        network = imcsim.network.load(point.network)
        hardware = imcsim.hardware.load(point.hardware, dict(point.overrides))
        shown = imcsim.inputs.load(INPUTS, limit=self.images)
        held_out = imcsim.inputs.load(VALIDATION, limit=self.validation_images)
        chips = self.chips if chance(hardware.config.nonideal) else 1
        about = (
            imcsim.__version__, REVISION, network.sha256, hardware.sha256, shown.sha256, held_out.sha256,
            len(shown.labels), len(held_out.labels), chips, self.seed,
        )  # fmt: skip
        settings = hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]
        mine = [row for row in kept if row["settings"] == settings and place(row) == point.place]
        if mine:
            return mine
        options = CompareOptions(seed=self.seed, workers=self.workers)
        result = compare_chips(network, hardware, shown, held_out, options, chips)
        common_cells = {
            "figure": point.figure, "series": point.series, "x": point.x, "network": point.network,
            "chips": chips, "images": len(shown.labels), "validation_images": len(held_out.labels),
            "version": imcsim.__version__, "settings": settings,
        }  # fmt: skip
        return [written({**common_cells, **cells}) for cells in policies(result)]


def policies(result: ChipsResult) -> list[dict[str, Any]]:
    """Cells of each static T, and of both ways to choose the threshold of dynamic timesteps."""
    found: list[dict[str, Any]] = []
    numbers = [one.chip or 0 for one in result.instances]

    def saved(t: int) -> Spread:
        each = [
            1 - one.static[t].edp_mean_of_products / one.static[-1].edp_mean_of_products
            for one in (result.ideal, *result.instances)
        ]
        return spread(each[0], each[1:], numbers, larger_is_better=True)

    for t, static in enumerate(result.static):
        alike = spread(t + 1, [t + 1] * len(numbers), numbers)
        found.append(
            {
                "policy": "static", "timesteps": t + 1, **summary("accuracy", static.accuracy),
                **summary("mean_timesteps", alike), **summary("energy_pj", static.energy_pj),
                **summary("edp_pj_ns", static.edp_mean_of_products), **summary("edp_reduction", saved(t)),
            }
        )  # fmt: skip
    for policy, dynamic in (("dynamic", result.dynamic), ("dynamic_once", result.dynamic_once)):
        assert dynamic is not None
        found.append({"policy": policy, "timesteps": len(result.static), **dynamic_cells(dynamic)})
    return found


def dynamic_cells(dynamic: DynamicSpread) -> dict[str, Any]:
    assert dynamic.threshold is not None
    return {
        **summary("accuracy", dynamic.accuracy),
        **summary("mean_timesteps", dynamic.mean_timesteps),
        **summary("energy_pj", dynamic.energy_pj),
        **summary("edp_pj_ns", dynamic.edp_mean_of_products),
        **summary("edp_reduction", dynamic.edp_reduction),
        **summary("threshold", dynamic.threshold),
        **dynamic.moved.model_dump(),
    }


def summary(name: str, of: Spread) -> dict[str, float | None]:
    return {f"{name}_{end}": getattr(of, end) for end in SUMMARY}


# --- the file


def place(row: Row) -> tuple[str, str, str]:
    return row["figure"], row["series"], row["x"]


def written(cells: Mapping[str, Any]) -> Row:
    """Cells as text, empty where there is no figure."""

    def text(value: Any) -> str:
        return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)

    return {name: text(cells.get(name)) for name in COLUMNS}


def read(path: Path = CSV) -> list[Row]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(rows: Sequence[Row], path: Path = CSV) -> None:
    lines = [",".join(COLUMNS), *(",".join(quoted(row[name]) for name in COLUMNS) for row in rows)]
    write_text("\n".join(lines) + "\n", path)


def quoted(text: str) -> str:
    return f'"{text}"' if "," in text else text


def merged(rows: Sequence[Row], new: Sequence[Row]) -> list[Row]:
    """`rows` with `new` in place of those of the same point, in the order of the studies."""
    places = {place(row) for row in new}
    order = [point.place for plan in STUDIES.values() for point in plan(FINE_TUNED)]
    whole = [row for row in rows if place(row) not in places] + list(new)
    known = [row for row in whole if place(row) in order]
    return sorted(known, key=lambda row: order.index(place(row)))


def main() -> None:
    parser = common.arguments(__doc__, chips=8, images=500, seed=0)
    parser.add_argument("--validation-images", type=int, default=500, metavar="N")
    parser.add_argument("--workers", type=int, metavar="N")
    parser.add_argument("--only", nargs="+", choices=STUDIES, default=list(STUDIES))
    parser.add_argument("--fine-tuned", default=FINE_TUNED, metavar="NAME", help="the fine-tuned network")
    parser.add_argument("--again", action="store_true", help="run points that the file holds, too")
    parser.add_argument("--redraw", action="store_true", help="run nothing: tables and figures of the file")
    parser.add_argument("--docs", type=Path, help=f"folder of {PAGE} and figures/")
    about = parser.parse_args()
    save = not (about.quick or about.no_save)
    rows = read() if save or about.redraw else []
    if not about.redraw:
        rows = study(about, rows, save)
    drawn = draw_figures([row for row in rows if row["figure"] in about.only])
    if about.docs is not None:
        write_contents(about.docs / "figures", drawn)
        page = (about.docs / PAGE).read_text(encoding="utf-8")
        write_text(with_tables(page, rows), about.docs / PAGE)


def study(about: argparse.Namespace, rows: list[Row], save: bool) -> list[Row]:
    """Run what is asked for; the rows of before, and those that are new."""
    bench = Bench(about.chips, about.images, about.validation_images, about.seed, about.workers)
    if about.quick:
        bench = Bench(2, 4, 8, about.seed, about.workers)
    for name in about.only:
        points = STUDIES[name](about.fine_tuned)
        if about.quick:
            points = [one for one in points if one.x in (points[0].x, points[-1].x)]
        begun = time.perf_counter()
        for point in points:
            if point.network not in imcsim.network.names() and not Path(point.network).is_dir():
                print(f"{' / '.join(point.place)}: left out, there is no network {point.network}")
                continue
            since = time.perf_counter()
            found = bench.rows(point, () if about.again else rows)
            rows = merged(rows, found)
            if save:
                write(rows)
            print(
                f"{' / '.join(point.place)}: {told(found)}, {time.perf_counter() - since:.1f} s", flush=True
            )
        print(f"{name}: {time.perf_counter() - begun:.0f} s")
    return rows


def told(rows: Sequence[Row]) -> str:
    """One line of what came out."""
    last, own = rows[-3], rows[-2]
    accuracies = [100 * float(row["accuracy_mean"]) for row in (last, own)]
    return (
        f"{own['chips']} chips, static T = {last['timesteps']} {accuracies[0]:.1f} %, "
        f"dynamic {accuracies[1]:.1f} % in {float(own['mean_timesteps_mean']):.2f} timesteps"
    )


if __name__ == "__main__":
    main()
