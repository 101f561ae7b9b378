"""Values that a user's own commands keep from one run to the next, so that the same images are played once.

What images do depends on the network, the images and the keys of a chip that change values; a run with
another clock, other prices or another threshold takes them up. They lie in the user's own cache, under the
conditions that hold for compiled kernels (`base.compiled.places`): nobody else can write there. They are
bounded in size: what was used longest ago goes first. Names and contents are those of `simulation.cache`:
the sources are part of each name, and a file that is damaged is as if it were not there.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from imcsim.base.compiled.places import made_private, users_cache, writable_by_others
from imcsim.functional.activity import Activity
from imcsim.network import Network, fingerprint
from imcsim.simulation.cache import Arrays, CachedValues
from imcsim.simulation.values import COMPUTED, ActivityRequest, Values

VARIABLE = "IMCSIM_VALUES"
"""The variable of the environment that names another folder, or says `OFF`: nothing is kept or taken up."""

OFF = "off"
VALUES = "imcsim-values"

MOST_BYTES = 1 << 28
"""Of all files together."""

LARGEST_BYTES = MOST_BYTES // 4
"""Of one run; more is not kept."""


def folder_of_values() -> Path | None:
    """Where values are kept, whether or not there is a folder yet; None where nothing is kept."""
    chosen = os.environ.get(VARIABLE)
    if chosen == OFF:
        return None
    parent = Path(chosen) if chosen else users_cache()
    return None if parent is None else parent / VALUES


def kept_values(network: Network, source: Values = COMPUTED) -> Values:
    """Values of a network that are kept between runs, and those of `source` where none are; these alone where
    there is no private place.
    """
    folder = folder_of_values()
    if folder is None or writable_by_others(folder.parent) or not made_private(folder):
        return source
    made_by = platform.python_version(), platform.machine(), metadata.version("numpy")
    return KeptValues(folder, " ".join((network.sha256 or fingerprint(network), *made_by)), {}, source=source)


@dataclass
class KeptValues(CachedValues):
    """Counts and outputs of whole runs, and ADC scales, in a folder of bounded size."""

    def activity(self, request: ActivityRequest) -> Activity:
        some = request.at != slice(None) or request.inputs.picked is not None
        chip = request.program.numerics.nonideal
        # Recorded values are large, and a model of a plug-in may do what it likes.
        if some or request.record or (chip is not None and chip.cell_errors is not None):
            return self.source.activity(request)
        return super().activity(request)

    def _read(self, path: Path, *, remember: bool = True) -> Arrays | None:
        found = super()._read(path, remember=remember)
        if found is not None:
            with suppress(OSError):
                os.utime(path)  # it was used just now
        return found

    def _write(self, path: Path, arrays: Arrays, *, remember: bool = True) -> None:
        if sum(array.nbytes for array in arrays.values()) <= LARGEST_BYTES:
            super()._write(path, arrays, remember=remember)
            _make_room(self.folder)


def _make_room(folder: Path) -> None:
    """Remove what was used longest ago until the rest is small enough; what a killed process left, too."""
    room = MOST_BYTES
    for _, size, path in sorted(_files(folder), reverse=True):
        room -= size
        if room < 0:
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _files(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """When each file of a folder was last used, its size, its path."""
    with suppress(OSError):
        for path in folder.iterdir():
            with suppress(OSError):
                about = path.stat()
                yield about.st_mtime, about.st_size, path
