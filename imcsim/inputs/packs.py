"""A pack: many small images as JPEG data in one ``.npz`` file, a tenth of their size as pixels.

Small images of one size and quality share their whole JPEG header, so it is stored once:

- ``jpeg_header`` uint8: from the marker SOI to the end of the segment SOS;
- ``scan`` uint8: the entropy-coded data of all images, one after the other, without their markers EOI;
- ``offsets`` integers ``[N + 1]``: where the data of each image begin, and where the last ones end;
- ``crc32`` uint32 ``[N]``, may be missing: of each image's pixels, uint8 ``[C, H, W]``, as they were when the
  pack was written;
- ``labels``, ``split`` and ``classes`` as in files of pixels.

The standard (ITU-T T.81) does not settle the inverse transform and the widening of colour to the last bit, so
another decoder may give slightly other pixels. Then ``crc32`` differs: images are read all the same, and
`Inputs.about` says how many differ (``other_pixels``), and the ``decoder``.
"""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Iterable, Sequence
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import NO_MEMORY, ImcsimError
from imcsim.inputs.arrays import check_names, labels_in, read_classes, read_split
from imcsim.inputs.data import Inputs, Source, Split, check_count, check_labels, check_room
from imcsim.inputs.folder import CHANNELS, MAX_PIXELS, need_pillow
from imcsim.network.arrays import read_npz, roomy, write_npz

NEEDED = ("jpeg_header", "scan", "offsets")
MEMBERS = (*NEEDED, "crc32", "labels", "split", "classes")
MAX_HEADER_BYTES = 1 << 16

_SOI, _SOS, _EOI = b"\xff\xd8", 0xDA, b"\xff\xd9"
_FIRST_RESTART, _LAST_RESTART = 0xD0, 0xD7
_AGAIN = "write it again with imcsim.inputs.packs.save_pack"

Bytes = NDArray[np.uint8]


def is_pack(names: Iterable[str]) -> bool:
    """Whether an ``.npz`` file with arrays of these names is a pack."""
    return NEEDED[0] in names


def read_pack(path: Path, *, labelled: bool, limit: int | None, labels_file: Path | None) -> Source:
    """The first `limit` images of a pack (all without it), uint8 ``[N, C, H, W]``, grey or RGB.

    Only these are decoded: about 15,000 images of 32 x 32 pixels a second. Raises ImcsimError, naming the
    array, for a file that does not fit together, and for an image that is no JPEG.
    """
    stored = read_npz(path)
    check_names(path, stored, MEMBERS)
    wanted = (*NEEDED, "labels") if labelled and labels_file is None else NEEDED
    for key in wanted:
        if key not in stored:
            raise ImcsimError(f"it holds no array {key!r}", file=path, fix=_AGAIN)
    header = _row(path, stored, "jpeg_header").tobytes()
    scan, offsets = _row(path, stored, "scan"), _offsets(path, stored["offsets"], stored["scan"].size)
    held = len(offsets) - 1
    _check_markers(path, header, scan, offsets)
    sums = stored.get("crc32")
    if sums is not None and (sums.dtype != np.uint32 or sums.shape != (held,)):
        raise ImcsimError(
            f"must be uint32 [{held}], not {sums.dtype} {list(sums.shape)}",
            file=path,
            key="crc32",
            fix=_AGAIN,
        )
    classes, split = read_classes(path, stored.get("classes")), read_split(path, stored.get("split"))
    labels = labels_in(path, stored, held, classes, labels_file)
    count = check_count(path, limit, held)
    images = _decode(path, header, scan.data, offsets[: count + 1].tolist())
    return Source(
        path,
        images,
        None if labels is None else labels[:count],
        split,
        classes,
        about={} if sums is None else _other_pixels(images, sums[:count]),
    )


def save_pack(
    path: str | Path,
    jpeg_header: bytes,
    scans: Sequence[bytes],
    labels: NDArray[np.integer[Any]] | None = None,
    *,
    split: Split = "unknown",
    classes: int | None = None,
) -> None:
    """Write a pack of images that share a JPEG header; their data (`scans`) are copied, never coded anew.

    Equal arguments give equal bytes. Raises ImcsimError where an image cannot be decoded or the file cannot
    be written.
    """
    path = Path(path)
    scan = np.frombuffer(b"".join(scans), np.uint8)
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in scans], dtype="<i8")])
    stored: dict[str, NDArray[Any]] = {
        "jpeg_header": np.frombuffer(jpeg_header, np.uint8),
        "scan": scan,
        "offsets": _offsets(path, offsets, scan.size),
        "split": np.array(split),
    }
    _check_markers(path, jpeg_header, scan, offsets)
    stored["crc32"] = _sums(_decode(path, jpeg_header, scan.data, offsets.tolist()))
    if labels is not None:
        stored["labels"] = check_labels(path, labels, len(scans), classes)
    if classes is not None:
        stored["classes"] = np.array(classes, "<i8")
    write_npz(path, stored)


def other_pixels(inputs: Inputs) -> str | None:
    """A warning where images were decoded to other pixels than when their pack was written."""
    if "other_pixels" not in inputs.about:
        return None
    return (
        f"{inputs.about['other_pixels']} JPEG images of {inputs.name} have other pixels here "
        f"({inputs.about.get('decoder')}) than where they were packed: figures may differ a little"
    )


def _row(path: Path, stored: dict[str, NDArray[Any]], key: str) -> Bytes:
    row = stored[key]
    if row.dtype != np.uint8 or row.ndim != 1:
        raise ImcsimError(
            f"must be uint8 [bytes], not {row.dtype} {list(row.shape)}", file=path, key=key, fix=_AGAIN
        )
    return row


def _offsets(path: Path, offsets: NDArray[Any], size: int) -> NDArray[np.int64]:
    """Offsets that rise from 0 to `size`, at least one image apart."""
    if offsets.dtype.kind not in "iu" or offsets.ndim != 1:
        raise ImcsimError(
            f"must be integers [N + 1], not {offsets.dtype} {list(offsets.shape)}",
            file=path,
            key="offsets",
            fix=_AGAIN,
        )
    if len(offsets) < 2:
        raise ImcsimError("there is no image in it", file=path, key="offsets", fix=_AGAIN)
    # Compared, not subtracted: differences of unsigned or huge numbers wrap around.
    if offsets[0] != 0 or offsets[-1] != size or not (offsets[1:] > offsets[:-1]).all():
        raise ImcsimError(
            f"must rise from 0 to {size}, the size of scan", file=path, key="offsets", fix=_AGAIN
        )
    return offsets.astype(np.int64)


def _check_markers(path: Path, header: bytes, scan: Bytes, offsets: NDArray[np.int64]) -> None:
    """Raise ImcsimError unless the header starts the one scan of an image, and each image's data stay in it.

    A second frame or scan hidden in an image's data could have another size, or take very long to decode.
    """
    if len(header) > MAX_HEADER_BYTES or not _leads_to_a_scan(header):
        raise ImcsimError(
            "is no JPEG header from marker SOI to the end of segment SOS",
            file=path,
            key="jpeg_header",
            fix=_AGAIN,
        )
    at = np.flatnonzero(scan == 0xFF)  # begins a marker, but before 0 (a data byte 255) or a restart
    after = np.append(scan, np.uint8(_EOI[1]))[at + 1]
    sound = (after == 0) | ((after >= _FIRST_RESTART) & (after <= _LAST_RESTART))
    sound &= ~np.isin(at + 1, offsets)
    if not sound.all():
        image = int(np.searchsorted(offsets, at[~sound][0], "right")) - 1
        raise ImcsimError(
            f"the data of image {image} (from 0) are no JPEG scan: there is a marker in them",
            file=path,
            key="scan",
            fix=_AGAIN,
        )


def _leads_to_a_scan(header: bytes) -> bool:
    """Whether these are SOI and whole segments, of which the last one, and no other, is SOS."""
    at = len(_SOI) if header.startswith(_SOI) else len(header)
    while at + 4 <= len(header) and header[at] == 0xFF:
        marker, length = header[at + 1], int.from_bytes(header[at + 2 : at + 4])
        at += 2 + length
        if marker == _SOS:
            return at == len(header)
    return False


def _decode(path: Path, header: bytes, scan: memoryview, offsets: list[int]) -> Bytes:
    """Pixels uint8 ``[N, C, H, W]`` of the images that lie between `offsets`."""
    pillow: Any = need_pillow(path)
    images: Bytes | None = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # sizes are checked here, by a lower limit than pillow's
        for k, (start, end) in enumerate(pairwise(offsets)):
            try:
                jpeg = BytesIO(b"".join((header, scan[start:end], _EOI)))
                with pillow.open(jpeg, formats=["JPEG"]) as image:
                    if images is None:
                        images = _room(path, image, len(offsets) - 1)
                    pixels = np.asarray(image)
                    images[k] = pixels.transpose(2, 0, 1) if pixels.ndim == 3 else pixels[None]
            except ImcsimError:
                raise
            except MemoryError:
                raise ImcsimError("there is not enough memory to read it", file=path, fix=NO_MEMORY) from None
            except Exception as error:  # what decoders raise on hostile data has no common class
                text = (str(error).splitlines() or [type(error).__name__])[0][:120]
                raise ImcsimError(
                    f"image {k} (from 0) is no sound JPEG image: {text}", file=path, key="scan", fix=_AGAIN
                ) from None
    assert images is not None  # there is an image at least
    return images


def _room(path: Path, image: Any, count: int) -> Bytes:
    """An array for `count` images like this one, whose size is checked before any is unpacked."""
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ImcsimError(
            f"images are {width} x {height} pixels; at most {MAX_PIXELS} are read",
            file=path,
            key="jpeg_header",
            fix="is it the right file?",
        )
    if image.mode not in CHANNELS:
        raise ImcsimError(
            f"images have mode {image.mode[:20]}", file=path, key="jpeg_header", fix="store grey or RGB ones"
        )
    shape = (count, CHANNELS[image.mode], height, width)
    check_room(path, count * CHANNELS[image.mode] * height * width, "the images")
    return roomy(shape)


def _sums(images: Bytes) -> NDArray[np.uint32]:
    return np.array([zlib.crc32(image.data) for image in images], "<u4")


def _other_pixels(images: Bytes, sums: NDArray[np.uint32]) -> dict[str, Any]:
    """How many images were decoded to other pixels than when the pack was written, and by what."""
    count = int(np.count_nonzero(_sums(images) != sums))
    if not count:
        return {}
    import PIL
    from PIL import features

    kind = "libjpeg_turbo" if features.check("libjpeg_turbo") else "jpg"
    return {
        "other_pixels": count,
        "decoder": f"pillow {PIL.__version__}, {kind.replace('_', '-')} {features.version(kind)}",
    }
