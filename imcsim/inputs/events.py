"""Events ``(t, x, y, p)`` of an event camera, binned into a frame for each timestep.

A file holds ``t`` (microseconds), ``x``, ``y`` and ``p`` of all events, with ``sample`` (which recording an
event belongs to, from 0; one recording where it is missing), ``labels`` (one a recording), and may hold
``width``, ``height``, ``split`` and ``classes``. Polarity gives two channels: 0 for p of 0 or -1, 1 for p of
1. Counts are clipped to 1: a frame holds spikes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.base.choices import MAX_TIMESTEPS
from imcsim.base.errors import ImcsimError
from imcsim.base.names import suggestion
from imcsim.inputs.arrays import read_classes, read_split
from imcsim.inputs.data import Source, check_count, check_labels, check_room
from imcsim.inputs.made import MAX_MADE_BYTES, MadeFrames, Make, made_later
from imcsim.network.arrays import read_npz

COLUMNS = ("t", "x", "y", "p")
OPTIONAL = ("sample", "labels", "width", "height", "split", "classes")
MAX_EVENTS = 12_000_000
"""In one file: each takes about 40 bytes while it is read, and 17 until it stands in a frame."""
MAX_SIDE = 1 << 13
MAX_TIME_US = 1 << 50
_WORDS: Mapping[str, type[np.signedinteger[Any]]] = {
    "t": np.int64, "x": np.int16, "y": np.int16, "p": np.int8, "sample": np.int32,
}  # fmt: skip
"""Words that hold all that a column may say: events are many, and the larger part of what a file takes."""
_NO_TIMESTEPS = "events need a number of timesteps to be binned into"


def is_events(names: list[str]) -> bool:
    """Whether an ``.npz`` file with arrays of these names holds events."""
    return sum(name in COLUMNS for name in names) >= 2


def read_events(
    path: Path,
    *,
    timesteps: int | None,
    bin_us: int | None,
    labelled: bool,
    limit: int | None,
    size: tuple[int, int] | None,
) -> Source:
    """Frames ``[N, T, 2, H, W]`` of 0 and 1.

    Without `bin_us` the time from a recording's first event to its last is cut into `timesteps` equal bins;
    with it bin k holds the events from ``k * bin_us`` to ``(k + 1) * bin_us`` after the first event, later
    ones are left out. The sensor has the file's ``height`` and ``width``, else `size`, else what the events
    need. Raises ImcsimError for anything that does not fit together.
    """
    stored = _stored(path)
    if timesteps is None or not 1 <= timesteps <= MAX_TIMESTEPS:
        raise ImcsimError(_NO_TIMESTEPS, file=path, fix=f"give timesteps, 1 to {MAX_TIMESTEPS}")
    if bin_us is not None and not 1 <= bin_us <= MAX_TIME_US:
        raise ImcsimError(
            "a bin must last at least one microsecond", key="bin_us", fix=f"give 1 to {MAX_TIME_US}"
        )
    t, x, y, p = (_narrow(_whole(path, key, stored.pop(key)), _WORDS[key]) for key in COLUMNS)
    sample: NDArray[Any] = np.zeros(len(t), np.int32)
    if "sample" in stored:
        sample = _narrow(_whole(path, "sample", stored.pop("sample")), _WORDS["sample"])
    for key, column in (("x", x), ("y", y), ("p", p), ("sample", sample)):
        if len(column) != len(t):
            raise ImcsimError(
                f"there are {len(t)} times but {len(column)} of {key}",
                file=path,
                key=key,
                fix="store one for each event",
            )
    if len(t) and (t.max() > MAX_TIME_US or t.min() < -MAX_TIME_US):
        raise ImcsimError(
            f"times go beyond {MAX_TIME_US} microseconds",
            file=path,
            key="t",
            fix="store times in microseconds, from the first event on",
        )
    if not np.isin(p, (-1, 0, 1)).all():
        raise ImcsimError(
            "polarities must be 0 or 1 (or -1 and 1)",
            file=path,
            key="p",
            fix="store 0 for darker and 1 for brighter",
        )
    recordings = _recordings(path, sample, stored.get("labels"), labelled)
    classes = read_classes(path, stored.get("classes"))
    labels = None
    if "labels" in stored:
        labels = check_labels(path, stored["labels"], recordings, classes)
    height = _side(path, "height", y, stored.get("height"), None if size is None else size[0])
    width = _side(path, "width", x, stored.get("width"), None if size is None else size[1])
    count = check_count(path, limit, recordings)
    on, found = p > 0, len(t)
    del p
    if count < recordings:
        mine = sample < count
        t, x, y, on, sample = t[mine], x[mine], y[mine], on[mine], sample[mine]
    events = Events(t, x, y, on, sample, count)
    shape = (count, timesteps, 2, height, width)
    check_room(path, math.prod(shape), "the frames", MAX_MADE_BYTES)
    frames: Any = (
        MadeFrames(shape, events.maker(shape, bin_us), largest=1)
        if made_later(math.prod(shape))
        else bin_events(events, shape, bin_us)
    )
    about = {"bin_us": bin_us, "events": found}
    split = read_split(path, stored.get("split"))
    mine_labels = None if labels is None else labels[:count]
    return Source(path, frames, mine_labels, split, classes, "events", True, about)


@dataclass(frozen=True, eq=False)
class Events:
    """Times, places, polarities and recordings of events, one each; and how many recordings there are."""

    t: NDArray[Any]
    x: NDArray[Any]
    y: NDArray[Any]
    on: NDArray[np.bool_]
    sample: NDArray[Any]
    recordings: int

    def maker(self, shape: tuple[int, int, int, int, int], bin_us: int | None) -> Make:
        """Makes frames of `shape` ``(N, T, 2, H, W)`` of some recordings."""
        columns: list[NDArray[Any]] = [self.t, self.x, self.y, self.on, self.sample]
        if (np.diff(self.sample) < 0).any():
            order = np.argsort(self.sample, kind="stable")
            columns = [column[order] for column in columns]
        t, x, y, on, sample = columns
        starts = np.searchsorted(sample, np.arange(self.recordings + 1))

        def make(places: NDArray[np.int64], timesteps: int) -> NDArray[np.uint8]:
            frames = np.empty((len(places), timesteps, *shape[2:]), np.uint8)
            for k, place in enumerate(places.tolist()):
                at = slice(starts[place], starts[place + 1])
                one = Events(t[at], x[at], y[at], on[at], np.zeros(at.stop - at.start, np.int32), 1)
                frames[k] = bin_events(one, (1, *shape[1:]), bin_us, timesteps)[0]
            return frames

        return make


def bin_events(
    events: Events, shape: tuple[int, int, int, int, int], bin_us: int | None, first: int | None = None
) -> NDArray[np.uint8]:
    """Frames uint8 of `shape` ``(N, T, 2, H, W)``: 1 where at least one event falls into a bin. With `first`
    only so many of the T bins.
    """
    t, sample = events.t, events.sample
    begin = np.full(shape[0], np.iinfo(np.int64).max)
    end = np.full(shape[0], np.iinfo(np.int64).min)
    np.minimum.at(begin, sample, t)
    np.maximum.at(end, sample, t)
    since = t - begin[sample]
    # A recording of one microsecond lasts as long, so that its last event falls into the last bin.
    bins = since // bin_us if bin_us else since * shape[1] // (end[sample] - begin[sample] + 1)
    timesteps = shape[1] if first is None else first
    inside = bins < timesteps
    frames = np.zeros((shape[0], timesteps, *shape[2:]), np.uint8)
    at = (sample, bins, events.on.astype(np.int64), events.y, events.x)
    frames[tuple(axis[inside] for axis in at)] = 1
    return frames


def describe_events(path: Path) -> list[tuple[str, str]]:
    """What the file says, without binning it."""
    stored = _stored(path)
    t = _whole(path, "t", stored["t"])
    samples = _whole(path, "sample", stored["sample"]) if "sample" in stored else np.zeros(1, np.int64)
    labels = stored.get("labels")
    if labels is not None:
        labels = check_labels(path, labels, labels.size, None)
    count = int(samples.max(initial=-1)) + 1 if labels is None else len(labels)
    sides = []
    for key, column in (("height", "y"), ("width", "x")):
        sides.append(
            str(_side(path, key, _whole(path, column, stored[column]), stored.get(key), None))
            + ("" if key in stored else " (seen)")
        )
    span = int(t.max()) - int(t.min()) if len(t) else 0
    return [
        ("kind", "events (t, x, y, p)"),
        ("recordings", str(count)),
        ("events", str(len(t))),
        ("sensor", " x ".join(sides)),
        ("times", f"{span} us from the first event to the last"),
        ("labels", "none" if labels is None else f"{len(np.unique(labels))} different ones"),
        ("frames", "are made when it is used: events are binned into the timesteps of the run"),
    ]


def _stored(path: Path) -> dict[str, NDArray[Any]]:
    stored = read_npz(path)
    for key in stored:
        if key not in COLUMNS + OPTIONAL:
            fix = suggestion(key, COLUMNS + OPTIONAL, "remove it")
            raise ImcsimError("event files hold no such array", file=path, key=key, fix=fix)
    for key in COLUMNS:
        if key not in stored:
            fix = "store t, x, y and p; or are these images? Then store `images` and `labels`"
            raise ImcsimError(f"it holds no array {key!r}", file=path, fix=fix)
    return stored


def _whole(path: Path, key: str, values: NDArray[Any]) -> NDArray[np.int64]:
    """A column of whole numbers."""
    if values.ndim != 1 or values.dtype.kind not in "biuf":
        raise ImcsimError(
            f"must be whole numbers [events], not {values.dtype} {list(values.shape)}",
            file=path,
            key=key,
            fix="store one integer for each event",
        )
    if len(values) > MAX_EVENTS:
        raise ImcsimError(
            f"there are {len(values)} events; at most {MAX_EVENTS} are read",
            file=path,
            key=key,
            fix="write some recordings into a file of their own",
        )
    if values.dtype.kind == "f" and not (np.isfinite(values).all() and (values == np.rint(values)).all()):
        raise ImcsimError(
            "must be whole numbers",
            file=path,
            key=key,
            fix="store np.round(t * 1e6).astype(np.int64) for seconds" if key == "t" else "store np.int64",
        )
    if len(values) and (int(values.max()) >= 2**63 or int(values.min()) < -(2**63)):
        raise ImcsimError("holds numbers beyond 64 bits", file=path, key=key, fix="store np.int64")
    return values.astype(np.int64)


def _narrow(values: NDArray[np.int64], kind: type[np.signedinteger[Any]]) -> NDArray[Any]:
    """The same numbers in words of a kind that holds all that a file may say; as they are beyond that."""
    limits = np.iinfo(kind)
    fits = not len(values) or (limits.min <= values.min() and values.max() <= limits.max)
    return values.astype(kind, copy=False) if fits else values


def _recordings(path: Path, sample: NDArray[Any], labels: NDArray[Any] | None, labelled: bool) -> int:
    if labels is None and labelled:
        raise ImcsimError(
            "it holds no array 'labels'", file=path, fix="store a label for each recording of `sample`"
        )
    lowest, highest = (int(sample.min()), int(sample.max())) if len(sample) else (0, -1)
    if lowest < 0:
        raise ImcsimError(
            "recordings are numbered from 0", file=path, key="sample", fix="number them 0, 1, 2, ..."
        )
    count = highest + 1 if labels is None or labels.ndim != 1 else len(labels)
    if highest >= count or (labels is None and highest >= len(sample)):
        raise ImcsimError(
            f"there is no recording {highest}",
            file=path,
            key="sample",
            fix="number recordings from 0, and store a label for each",
        )
    if count == 0:
        raise ImcsimError("there is no event in it", file=path, key="t", fix="is it the right file?")
    return count


def _side(path: Path, key: str, seen: NDArray[Any], stated: NDArray[Any] | None, wanted: int | None) -> int:
    """Rows or columns of the sensor."""
    lowest, highest = (int(seen.min()), int(seen.max())) if len(seen) else (0, 0)
    if stated is not None:
        if stated.ndim != 0 or stated.dtype.kind not in "iu" or not 1 <= int(stated) <= MAX_SIDE:
            raise ImcsimError(
                f"must be one integer from 1 to {MAX_SIDE}",
                file=path,
                key=key,
                fix="store the rows and columns of the sensor, as np.array(128)",
            )
        side = int(stated)
    else:
        side = wanted if wanted is not None and highest < wanted else highest + 1
    axis = "y" if key == "height" else "x"
    if lowest < 0 or highest >= side or side > MAX_SIDE:
        raise ImcsimError(
            f"places go from {lowest} to {highest}, but must lie in 0 to {min(side, MAX_SIDE) - 1}",
            file=path,
            key=axis,
            fix="number rows and columns from 0, and store the sensor's height and width",
        )
    return side
