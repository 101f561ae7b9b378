"""What was computed is kept in the folder of the results, so that a run that was cut short goes on.

Values of images (spikes, outputs) are kept some images at a time, and each network's part of the document
when it is whole. Files are written whole or not at all, with a hash over what they hold; one that is damaged
is as if it were not there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from imcsim._version import __version__
from imcsim.base.errors import ImcsimError, cannot_write
from imcsim.base.files import new_folders, read_ordinary, write_through, written_whole
from imcsim.functional.run import Activity, concatenate
from imcsim.inputs import Inputs
from imcsim.results.model import to_json
from imcsim.results.reproduction.document import NetworkPart
from imcsim.simulation.cache import CachedValues, digest
from imcsim.simulation.values import ActivityRequest

_LARGEST_PART = 1 << 26
_END = b"}\n"
VALUES = "values"
"""The folder of values inside that of the results."""
PARTS = "parts"
KEPT_IMAGES = 500
"""Images whose values go into one file: the most that an interruption costs."""


class ValuesInPieces(CachedValues):
    """Values of one network, kept in `folder` some images at a time."""

    def __init__(self, folder: Path, network_sha256: str) -> None:
        super().__init__(folder / __version__, network_sha256, {})

    def activity(self, request: ActivityRequest) -> Activity:
        """All images of the inputs. `at` and `record` belong to chips whose time depends on values."""
        if request.record or request.at != slice(None):
            raise ImcsimError(
                "values are kept in pieces for chips whose time does not depend on them",
                key="activity",
                fix="leave skip_zero_reads false and spike_coding bitmap",
            )
        images, progress = len(request.inputs.images), request.progress
        pieces = []
        for piece, start in _pieces(request.inputs):

            def heard(stage: str, done: int, of: int, start: int = start) -> None:
                if progress is not None:
                    progress(stage, start + done, images)

            pieces.append(super().activity(replace(request, inputs=piece, progress=heard)))
            heard(request.stage, len(piece.images), images)
        return pieces[0] if len(pieces) == 1 else concatenate(pieces)


def _pieces(inputs: Inputs) -> Iterator[tuple[Inputs, int]]:
    """Some images at a time, and the number of the first."""
    for start in range(0, len(inputs.images), KEPT_IMAGES):
        at = slice(start, start + KEPT_IMAGES)
        images = inputs.images[at]
        # The hash says which images these are as well as their pixels would, and need not be computed again.
        piece = digest("piece", inputs.sha256, start, len(images))
        numbers = inputs.numbers[at]
        yield replace(inputs, images=images, labels=inputs.labels[at], sha256=piece, picked=numbers), start


def read_part(folder: Path, key: str, fingerprint: str) -> NetworkPart | None:
    """A network's part from an earlier run; None where there is none that follows from the same things."""
    try:
        raw = read_ordinary(folder / PARTS / f"{key}.json", _LARGEST_PART)
        document = raw[len(with_hash(b"")) - len(_END) : -len(_END)]
        if raw != with_hash(document):
            return None
        part = NetworkPart.model_validate_json(document)
    except (OSError, ValueError):  # the latter is what pydantic raises too
        return None
    return part if part.fingerprint == fingerprint else None


def with_hash(document: bytes) -> bytes:
    """A part's document as it is kept: in a JSON object, beside its hash."""
    return b'{"sha256": "%s",\n"part": %s%s' % (sha256(document).hexdigest().encode(), document, _END)


def write_part(folder: Path, part: NetworkPart) -> None:
    """Keep a network's part. Raises ImcsimError where it cannot be written."""
    path = folder / PARTS / f"{part.key}.json"
    try:
        with new_folders(path.parent), written_whole(path) as temporary:
            write_through(temporary, with_hash(to_json(part, indent=1).encode()))
    except OSError as error:
        raise cannot_write(path, error) from error
