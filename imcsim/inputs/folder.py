"""A folder of PNG or JPEG images: a sub-folder for each class, or ``labels.csv`` beside the images."""

from __future__ import annotations

import csv
import warnings
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import NO_MEMORY, ImcsimError, cannot_read
from imcsim.base.files import read_ordinary
from imcsim.base.names import suggestion
from imcsim.inputs.arrays import read_labels
from imcsim.inputs.data import Source, check_count, check_labels, check_room
from imcsim.inputs.made import MAX_MADE_BYTES
from imcsim.network.arrays import roomy

SUFFIXES = (".png", ".jpg", ".jpeg")
OTHERS = (".txt", ".md", ".csv", ".json", ".yaml", ".yml", ".db", ".npy")
"""Files that may lie beside the images without being any."""

LABELS = "labels.csv"
MAX_PIXELS = 1 << 24
MAX_FILES = 1_000_000
MAX_CSV_BYTES = 100_000_000
CHANNELS = {"L": 1, "RGB": 3}


def read_folder(path: Path, *, labelled: bool, limit: int | None, labels_file: Path | None) -> Source:
    """Images uint8 ``[N, C, H, W]``, grey (1 channel) or colour (3), all of one size.

    With sub-folders, these are the classes, numbered in the order of their names, and images follow each
    other as in an image folder of other tools: by class, then by name. `limit` takes as many from each class
    as it can, so that a few of them still show every class. Without sub-folders the order is that of
    ``labels.csv`` (columns ``file`` and ``label``), or of the names. Raises ImcsimError, naming the file, for
    an image that is broken, too large or unlike the first one.
    """
    files, labels, classes = _listing(path, labelled, labels_file)
    count = check_count(path, limit, len(files))
    chosen = np.arange(len(files))
    if count < len(files) and labels is not None and any(p.parent != path for p in files):
        chosen = np.sort(_in_turn(labels)[:count])
    chosen = chosen[:count]
    images = _read_all(path, [files[k] for k in chosen])
    return Source(
        path, images, None if labels is None else labels[chosen], "unknown", classes, indices=chosen
    )  # fmt: skip


def _in_turn(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions, the first image of each class before the second of any."""
    seen: Counter[int] = Counter()
    rank = np.empty(len(labels), np.int64)
    for k, label in enumerate(labels.tolist()):
        rank[k] = seen[label]
        seen[label] += 1
    return np.lexsort((labels, rank))


def _listing(
    path: Path, labelled: bool, labels_file: Path | None
) -> tuple[list[Path], NDArray[np.int64] | None, int | None]:
    """Images in their order, their labels, and the number of classes if the folder tells."""
    entries = _entries(path)
    folders = [e for e in entries if e.is_dir()]
    images = [e for e in entries if _is_image(e)]
    if folders and images:
        raise ImcsimError(
            "holds images and sub-folders",
            file=path,
            fix=f"make a sub-folder for each class, or put all images in one folder with {LABELS}",
        )
    if folders:
        if labels_file is not None:
            raise ImcsimError(
                "its sub-folders are the classes", file=path, fix="leave the file of labels out"
            )
        per_class = [[f for f in _entries(folder) if _is_image(f)] for folder in folders]
        for folder, files in zip(folders, per_class, strict=True):
            if not files:
                raise ImcsimError("holds no PNG or JPEG images", file=folder, fix="remove the folder")
        labels = np.repeat(np.arange(len(folders)), [len(files) for files in per_class]).astype(np.int64)
        return [f for files in per_class for f in files], labels, max(2, len(folders))
    if not images:
        raise ImcsimError("holds no PNG or JPEG images", file=path, fix="name a folder of images")
    if labels_file is not None and labels_file.suffix.lower() == ".npy":
        return images, read_labels(labels_file, len(images), None), None
    table = path / LABELS if labels_file is None else labels_file
    if labels_file is None and not table.is_file():
        if not labelled:
            return images, None, None
        raise ImcsimError(
            "there are no labels for these images",
            file=path,
            fix=f"make a sub-folder for each class, or add {LABELS} with columns file and label",
        )
    return _from_table(path, images, table)


def _entries(path: Path) -> list[Path]:
    """What a folder holds, by name, hidden files left out. Raises ImcsimError for files of no use."""
    try:
        found = sorted(e for e in path.iterdir() if not e.name.startswith("."))
    except OSError as error:
        raise cannot_read(path, error, "the folder") from None
    if len(found) > MAX_FILES:
        raise ImcsimError(
            f"holds {len(found)} files; at most {MAX_FILES} are read",
            file=path,
            fix="put some in a folder of their own, or store them as one .npz file",
        )
    for entry in found:
        if not entry.is_dir() and not _is_image(entry) and entry.suffix.lower() not in OTHERS:
            raise ImcsimError(
                "this is no PNG or JPEG image", file=entry, fix="convert it, or move it elsewhere"
            )
    return found


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file()


def _from_table(
    folder: Path, images: list[Path], table: Path
) -> tuple[list[Path], NDArray[np.int64], int | None]:
    """Images and labels in the order of a CSV file. Names of classes are numbered in their order."""
    try:
        text = read_ordinary(table, MAX_CSV_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise cannot_read(table, error) from None
    except UnicodeDecodeError:
        raise ImcsimError("is not UTF-8 text", file=table, fix="save it as UTF-8") from None
    except ValueError as error:
        raise ImcsimError(str(error), file=table, fix="is it the right file?") from None
    try:
        rows = [row for row in csv.reader(text.splitlines()) if row]
    except csv.Error as error:
        raise ImcsimError(f"is no CSV file: {error}", file=table, fix="write lines as cat.png,3") from None
    if not rows or [cell.strip() for cell in rows[0]] != ["file", "label"]:
        raise ImcsimError("its first line must be file,label", file=table, line=1, fix="write it")
    known = {image.name: image for image in images}
    files, words = [], []
    for line, row in enumerate(rows[1:], 2):
        if len(row) != 2 or row[0].strip() not in known:
            raise ImcsimError(
                f"there is no image {row[0][:60]!a} in the folder"
                if len(row) == 2
                else "must hold a file and a label",
                file=table,
                line=line,
                fix=suggestion(row[0], known, "name a file of the folder, once")
                if len(row) == 2
                else "write it as cat.png,3",
            )
        files.append(known.pop(row[0].strip()))
        words.append(row[1].strip())
    if known:
        raise ImcsimError("has no label", file=min(known.values()), fix=f"add it to {table.name}")
    if not files:
        raise ImcsimError("lists no image", file=table, fix="add a line for each image")
    if all(word.isascii() and word.isdigit() and len(word) < 10 for word in words):
        return files, check_labels(table, np.array([int(w) for w in words]), len(files), None), None
    names = sorted(set(words))
    return files, np.array([names.index(word) for word in words], np.int64), max(2, len(names))


def _read_all(folder: Path, files: list[Path]) -> NDArray[np.uint8]:
    pillow = need_pillow(folder)
    images: NDArray[np.uint8] | None = None
    mode = ""
    for k, file in enumerate(files):
        found, pixels = _read(pillow, file)
        if images is None:
            mode = found
            check_room(folder, len(files) * pixels.size, "the images", MAX_MADE_BYTES)
            images = roomy((len(files), *pixels.shape))
        if found != mode:
            raise ImcsimError(
                f"is {_called(found)}, but {files[0].name} is {_called(mode)}",
                file=file,
                fix="make all images grey, or all RGB",
            )
        if pixels.shape != images.shape[1:]:
            ours, first = (f"{s[1]} x {s[2]}" for s in (pixels.shape, images.shape[1:]))
            raise ImcsimError(
                f"is {ours} pixels, but {files[0].name} is {first} (rows x columns)",
                file=file,
                fix="bring all images to one size",
            )
        images[k] = pixels
    assert images is not None  # `files` is never empty
    return images


def _called(mode: str) -> str:
    return "grey" if mode == "L" else mode


def need_pillow(path: Path) -> ModuleType:
    """PIL.Image. Raises ImcsimError, naming the images at `path`, where pillow is missing."""
    try:
        import PIL.Image
    except ImportError:
        raise ImcsimError(
            "reading images needs pillow", file=path, fix="pip install 'imcsim[images]'"
        ) from None
    return PIL.Image


def _read(pillow: Any, file: Path) -> tuple[str, NDArray[np.uint8]]:
    """Mode and pixels ``[C, H, W]`` of one image. Its size is checked before it is unpacked."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # sizes are checked here, by a lower limit than pillow's
            with pillow.open(file, formats=["PNG", "JPEG"]) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise ImcsimError(
                        f"is {width} x {height} pixels; at most {MAX_PIXELS} are read",
                        file=file,
                        fix="is it the right file?",
                    )
                mode = "RGB" if image.mode == "P" and "transparency" not in image.info else image.mode
                mode = "L" if mode == "1" else mode
                if mode not in CHANNELS:
                    raise ImcsimError(
                        f"has mode {mode[:20]}", file=file, fix="save it as grey or RGB, 8 bits, no alpha"
                    )
                image.load()
                pixels = np.asarray(image.convert(mode), np.uint8)
    except ImcsimError:
        raise
    except MemoryError:
        raise ImcsimError("there is not enough memory to read it", file=file, fix=NO_MEMORY) from None
    except Exception as error:  # what decoders raise on hostile files has no common class
        text = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise ImcsimError(
            f"not a sound PNG or JPEG image: {text}", file=file, fix="save it again, or remove it"
        ) from None
    return mode, np.ascontiguousarray(pixels.reshape(height, width, CHANNELS[mode]).transpose(2, 0, 1))
