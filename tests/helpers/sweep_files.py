"""A small network with images, in files, for sweeps that tests run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from networks import forward, random_images, random_network

import imcsim.hardware
import imcsim.inputs
import imcsim.network
from imcsim.results.comparison import CompareResult
from imcsim.studies.comparison import compare_of
from imcsim.studies.experiment import Experiment
from imcsim.studies.loading import Loader
from imcsim.sweeps import SweepPoint, load_spec, sweep

CLASSES = 4


def write_files(folder: Path, *, seed: int = 5, name: str = "net", images: int = 40) -> None:
    """``net``, ``test.npz`` and ``held.npz`` in `folder`; most labels are what the network sees."""
    rng = np.random.default_rng(seed)
    network = random_network(rng, depth=2, classes=CLASSES, timesteps=3)
    imcsim.network.save(network, folder / name)
    for part, split in (("test", "test"), ("held", "validation")):
        shown = random_images(rng, network.input_shape, images)
        labels = forward(network, shown, 3)[network.nodes[-1].name].sum(0).argmax(1)
        labels = np.where(rng.random(images) < 0.3, rng.integers(0, CLASSES, images), labels)
        imcsim.inputs.save(
            folder / f"{part}.npz", shown, labels.astype(np.int64), split=split, classes=CLASSES
        )  # type: ignore[arg-type]


def base(**more: Any) -> dict[str, Any]:
    """A spec over these files."""
    return {"model": "net", "inputs": "test.npz", "validation": "held.npz", **more}


def write_spec(folder: Path, spec: dict[str, Any], name: str = "spec.yaml") -> Path:
    import yaml

    path = folder / name
    path.write_text(yaml.safe_dump(spec, sort_keys=False))
    return path


def made(folder: Path, spec: dict[str, Any]) -> Path:
    """`folder` with the files and the spec."""
    write_files(folder)
    write_spec(folder, spec)
    return folder


def whole_table(files: Path, out: Path) -> bytes:
    """The table of a sweep in `out` that nothing stopped."""
    sweep(load_spec(files / "spec.yaml"), out, workers=1).close()
    return (out / "table.csv").read_bytes()


def loaded(point: SweepPoint) -> tuple[Any, ...]:
    """Network, chip, inputs, validation inputs and options of a point, read for it alone."""
    shelf, setting = Loader(), point.setting
    return (
        shelf.network(setting), imcsim.hardware.load(setting.hardware, dict(setting.overrides) or None),
        shelf.inputs(setting), shelf.validation(setting), setting.options,
    )  # fmt: skip


def alone(point: SweepPoint) -> CompareResult:
    """The comparison of a point by itself: everything is read and computed for it. Neither alternatives nor
    other converters are played, as in a sweep: see `as_a_point`.
    """
    return compare_of(Experiment.make(*loaded(point), None))


def as_a_point(result: CompareResult) -> CompareResult:
    """The comparison as a sweep makes it, which plays no other converters and no alternatives."""
    return result.model_copy(update={"ranges": None, "sensitivity": ()})
