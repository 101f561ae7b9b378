"""What a network is shown: images with labels, packs of them, spikes in frames, events, recorded traces."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.base.names import suggestion
from imcsim.base.resources import data_dirs
from imcsim.inputs.arrays import read_array, read_images
from imcsim.inputs.data import (
    CALIBRATION_IMAGES,
    CALIBRATION_TIMESTEPS,
    SPLITS,
    Inputs,
    Source,
    Split,
    check_count,
    finished,
)
from imcsim.inputs.encodings import DIRECT, encoded, encoding_of, encoding_origin
from imcsim.inputs.events import describe_events, is_events, read_events
from imcsim.inputs.folder import read_folder
from imcsim.inputs.made import MadeFrames
from imcsim.inputs.packs import is_pack, other_pixels, read_pack
from imcsim.inputs.trace import TRACE, load_trace, play_back, read_about
from imcsim.inputs.writer import NpzWriter
from imcsim.network.arrays import names_in_npz, write_npz

__all__ = [
    "CALIBRATION_IMAGES", "CALIBRATION_TIMESTEPS", "SPLITS", "Inputs", "Split", "describe", "encoding_of",
    "encoding_origin", "find", "load", "names", "other_pixels", "paired", "save",
]  # fmt: skip


def names() -> list[str]:
    """Names of the built-in inputs."""
    return sorted(path.stem for path in _built_in())


def load(
    name_or_path: str | Path,
    limit: int | None = None,
    *,
    encoding: str | None = None,
    timesteps: int | None = None,
    seed: int = 0,
    labelled: bool = True,
    shape: tuple[int, int, int] | None = None,
    labels: str | Path | None = None,
    bin_us: int | None = None,
) -> Inputs:
    """Read built-in inputs by name, or a file or folder; only `limit` images where given.

    - ``.npz`` with ``images`` (uint8 or boolean, ``[N, C, H, W]``, or ``[N, T, C, H, W]`` with a frame a
      timestep) and ``labels`` (integers ``[N]``, from 0); it may hold ``split`` (``test``, ``validation`` or
      ``unknown``) and ``classes`` (their number);
    - ``.npz`` with images as JPEG data (see inputs.packs);
    - ``.npy`` with such images; labels in ``<name>.labels.npy`` beside it, or in the file `labels`;
    - a folder of PNG or JPEG images (see inputs.folder), which needs pillow;
    - ``.npz`` with events (see inputs.events), binned into `timesteps` frames, or bins of `bin_us`
      microseconds; `shape` (C, H, W) gives the sensor's size where the file does not;
    - a recorded trace (see imcsim.studies.traces), played as it was recorded.

    `encoding` ``rate`` turns images into random spikes by `seed` over `timesteps` (see inputs.rate), that of
    a plug-in into its own frames; None is ``direct``: the image enters at every timestep. Timed inputs are
    cut to `timesteps` where given. Without `labelled`, labels may be missing. A built-in name wins over a
    file of that name. Raises ImcsimError for
    anything else, and for fewer than `limit` images.

    Args:
        name_or_path: Inputs that come with imcsim, a file or a folder.
        limit: How many are read, from the first on. None: all.
        encoding: How still images enter. None: direct.
        timesteps: Frames of events and of random spikes; the most of other frames. None: as they are.
        seed: Seed of random spikes.
        labelled: Whether labels must be there.
        shape: Channels, height and width of the sensor, where the file does not say.
        labels: A file of labels. None: those with the inputs.
        bin_us: Length of a timestep of events, in microseconds. None: equal parts.
    """
    path = find(name_or_path)
    if timesteps is not None and timesteps < 1:
        raise ImcsimError(f"{timesteps} timesteps were asked for", fix="ask for at least one")
    kind, named = kind_of(path), None if name_or_path in names() else path
    if kind not in ("events", "trace") and bin_us is not None:
        raise ImcsimError("only events are binned", file=path, key="bin_us", fix="leave it out")
    if kind == "trace":
        if labels is not None:
            raise ImcsimError("a trace has its own labels", file=path, fix="leave the file of labels out")
        found = play_back(load_trace(path), limit, labelled=labelled)
        if bin_us is not None and bin_us != found.about.get("bin_us"):
            raise ImcsimError(
                "this trace was not recorded with such timesteps, and is played as it was recorded",
                file=path,
                key="bin_us",
                fix="leave it out",
            )
        if encoding not in (None, DIRECT, encoding_of(found)):
            raise ImcsimError(
                "this trace was recorded with direct encoding, and is played as it was recorded"
                if found.coding == "direct"
                else "this trace holds spikes already",
                file=path,
                fix="leave --encoding out, or give the images that it was recorded from",
            )
        found = replace(found, file=named)
        return found if timesteps is None else found.first(timesteps)
    source, count = _read(
        path, kind, limit, labelled, None if labels is None else Path(labels), timesteps, bin_us, shape
    )
    source.images, name = source.images[:count], path.name if path.is_dir() else path.stem
    source.labels = None if source.labels is None else source.labels[:count]
    if encoding not in (None, DIRECT):
        source = encoded(source, str(encoding), timesteps, seed, name)
    inputs = replace(finished(source, name=name), file=named)
    return inputs if timesteps is None else inputs.first(timesteps)


def _read(
    path: Path,
    kind: str,
    limit: int | None,
    labelled: bool,
    labels: Path | None,
    timesteps: int | None,
    bin_us: int | None,
    shape: tuple[int, int, int] | None,
) -> tuple[Source, int]:
    """What a file or folder holds, and how many of its images are wanted."""
    if kind == "folder":
        source = read_folder(path, labelled=labelled, limit=limit, labels_file=labels)
    elif kind == "pack":
        source = read_pack(path, labelled=labelled, limit=limit, labels_file=labels)
    elif kind == "events":
        if labels is not None:
            raise ImcsimError(
                "labels of events stand in their own file",
                file=path,
                key="labels",
                fix="leave labels out, and store the array labels",
            )
        # Bins of a given length may go beyond the run, to set ADC scales as longer runs do.
        enough = timesteps and (timesteps if bin_us is None else max(timesteps, CALIBRATION_TIMESTEPS))
        source = read_events(
            path, timesteps=enough, bin_us=bin_us, labelled=labelled, limit=limit,
            size=None if shape is None else shape[1:],
        )  # fmt: skip
    else:
        read = read_array if kind == "array" else read_images
        source = read(path, labelled=labelled, labels_file=labels)
        return source, check_count(path, limit, len(source.images))
    return source, len(source.images)


def save(
    path: str | Path,
    images: NDArray[np.uint8] | NDArray[np.bool_],
    labels: NDArray[np.integer[Any]] | None = None,
    *,
    split: Split = "unknown",
    classes: int | None = None,
) -> None:
    """Write images and labels to an ``.npz`` file that `load` reads; equal inputs give equal bytes.

    images ``[N, C, H, W]`` or ``[N, T, C, H, W]``; boolean ones are spikes. Raises ImcsimError where the file
    cannot be written.

    Args:
        path: The file, whose name ends in ``.npz``.
        images: Pixel codes, or booleans for spikes.
        labels: The class of each image, from 0. None: none.
        split: Which part of a data set they are.
        classes: How many classes there are. None: not said.
    """
    stored: dict[str, NDArray[Any]] = {"images": images}
    if labels is not None:
        stored["labels"] = labels.astype("<i8")
    stored["split"] = np.array(split)
    if classes is not None:
        stored["classes"] = np.array(classes, "<i8")
    if images.ndim == 4:
        write_npz(path, stored)
        return
    with NpzWriter(path) as writer:  # frames of few spikes may pack better than a reader lets pass
        for name, array in stored.items():
            if isinstance(array, MadeFrames):
                for block in array.blocks():
                    writer.add(name, block)
            else:
                writer.put(name, array)


def describe(name_or_path: str | Path, *, labels: str | Path | None = None) -> list[tuple[str, str]]:
    """What inputs of any kind are, as lines of name and text. Raises ImcsimError as `load` does.

    Args:
        name_or_path: As for `load`.
        labels: As for `load`.
    """
    path = find(name_or_path)
    if kind_of(path) == "events":
        return describe_events(path)
    inputs = load(name_or_path, labelled=False, labels=labels)
    values, counts = np.unique(inputs.labels, return_counts=True)
    rows = [
        ("images", str(len(inputs.images))),
        ("shape", " x ".join(str(size) for size in inputs.shape)),
        ("split", inputs.split),
        (
            "labels",
            f"{len(values)} different ones, {counts.min()} to {counts.max()} images each"
            if len(values)
            else "none",
        ),
        ("sha256", inputs.sha256),
    ]
    if (problem := other_pixels(inputs)) is not None:
        rows.append(("decoder", problem))
    if inputs.recorded is not None:
        rows.append(("trace of", f"{inputs.name} (imcsim trace info says more)"))
    if inputs.timed:
        rate = f"{float(inputs.images.astype(bool).mean()):.4f} of the values are not 0"
        rows[2:2] = [("frames", f"{inputs.frames}, one per timestep"), ("activity", rate)]
    if encoding_of(inputs) is not None or inputs.coding == "events" or inputs.spikes:
        what = "spikes" if inputs.spikes or inputs.coding == "events" else "pixel codes"
        rows.insert(2, ("values", what + ("" if inputs.coding == "frames" else f", {inputs.coding}")))
    return rows


def paired(name_or_path: str | Path) -> str | None:
    """The built-in validation images that go with built-in test images or with a trace of them, if any do.

    Args:
        name_or_path: As for `load`.
    """
    if isinstance(name_or_path, str) and name_or_path in names():
        partner = name_or_path.replace("_test", "_validation")
        return partner if partner != name_or_path and partner in names() else None
    try:
        path = find(name_or_path)
        if not path.is_file() or kind_of(path) != "trace":
            return None
        name = read_about(path)["validation"]
    except ImcsimError:  # said when the inputs are read
        return None
    return name if name in names() else None


def kind_of(path: Path) -> str:
    if path.is_dir():
        return "folder"
    if path.suffix.lower() == ".npy":
        return "array"
    if path.suffix.lower() in (".png", ".jpg", ".jpeg"):
        raise ImcsimError("this is one image", file=path, fix="name the folder that it is in")
    found = names_in_npz(path)
    if TRACE in found:
        return "trace"
    if is_pack(found):
        return "pack"
    return "events" if is_events(found) else "images"


def _built_in() -> list[Path]:
    return [path for folder in data_dirs("models") for path in (folder / "inputs").glob("*.npz")]


def find(name_or_path: str | Path) -> Path:
    """The file or folder of inputs. Raises ImcsimError where there is none."""
    built_in = {path.stem: path for path in _built_in()}
    if isinstance(name_or_path, str) and name_or_path in built_in:
        return built_in[name_or_path]
    path = Path(name_or_path)
    try:
        found = bool(str(name_or_path)) and path.exists()
    except (OSError, ValueError):  # too long, or with characters no file name has
        found = False
    if found:
        return path
    known = ", ".join(sorted(built_in)) or "none"
    raise ImcsimError(
        f"there are no inputs {str(name_or_path)[:200]!a}",
        fix=suggestion(
            str(name_or_path),
            built_in,
            f"name an .npz or .npy file, a folder of images, or built-in inputs: {known}",
        ),
    )
