"""A sweep that computes values once against one that computes everything for each point.

Run: ``python benchmarks/sweep_reuse.py [--images 200] [--quick]``. Both ways give the same results, which is
checked; one process, all its threads.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from pathlib import Path

import common

import imcsim
import imcsim.hardware
from imcsim.results.model import to_json
from imcsim.studies.comparison import compare
from imcsim.studies.loading import Loader
from imcsim.sweeps import Summary, load_spec, sweep


def main() -> None:
    about = common.arguments(__doc__, images=200).parse_args()
    if about.quick:
        about.images = 4
    axes = {
        "noc.flit_bits": [16, 64],
        "adc.preset": [*imcsim.hardware.load("dtsnn_32nm").config.adc.presets][:2],
    }
    axes["threshold"] = [0.1, 0.3]
    if not about.quick:
        axes |= {"noc.flit_bits": [16, 32, 64], "lif.lanes": [16, 64], "threshold": [0.1, 0.2, 0.3]}
    spec = load_spec({"images": about.images, "axes": axes})
    points = list(spec.points())
    warm(spec)

    with tempfile.TemporaryDirectory() as folder:
        summary = Summary()
        begun = time.perf_counter()
        with sweep(spec, Path(folder), workers=1, summary=summary) as store:
            together = time.perf_counter() - begun
            hashes = [row["result_sha256"] for row in store.points()]
            seconds = sorted(row["seconds"] for row in store.points())

    begun = time.perf_counter()
    naive = []
    for point in points:
        shelf, setting = Loader(), point.setting  # nothing is kept from the point before
        result = compare(
            shelf.network(setting), shelf.hardware(setting), shelf.inputs(setting), shelf.validation(setting),
            setting.options,
        )  # fmt: skip
        # a sweep plays no alternatives and no other converters
        result = result.model_copy(update={"ranges": None, "sensitivity": ()})
        naive.append(hashlib.sha256(to_json(result).encode()).hexdigest())
    apart = time.perf_counter() - begun
    assert naive == hashes, "the two ways differ"

    print(f"points: {len(points)}, of {about.images} images; functional runs: {summary.computed}")
    print(f"seconds with reuse: {together:.2f}")
    print(f"seconds without reuse: {apart:.2f}")
    print(f"seconds of a point whose values are there, median: {seconds[len(seconds) // 2]:.4f}")
    print(f"seconds of a point by itself, mean: {apart / len(points):.3f}")
    common.finish(
        Path(__file__).name,
        f"a sweep of {len(points)} points, {about.images} images, values computed once, or for each",
        ours=f"{together:.1f} s",
        theirs=f"{apart:.1f} s",
        ratio=apart / together,
        save=not about.quick,
    )


def warm(spec: imcsim.sweeps.Spec) -> None:
    """Have the kernels compiled or loaded before anything is timed."""
    point = next(spec.points())
    shelf, setting = Loader(), point.setting
    inputs = imcsim.inputs.load(setting.inputs, 2)
    compare(shelf.network(setting), shelf.hardware(setting), inputs, inputs, setting.options)


if __name__ == "__main__":
    main()
