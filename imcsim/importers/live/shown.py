"""Images as a training script has them - arrays, tensors, a DataLoader, a Dataset - as inputs of a network.

Numbers that were scaled and normalised for a module become the pixels of its network again; what that says is
kept in the network (see `PixelGrid`). Nothing here needs torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.importers.live.network import TorchNetwork
from imcsim.importers.live.pixels import PixelGrid
from imcsim.inputs import Inputs
from imcsim.inputs.data import check_labels, fingerprint
from imcsim.network.graph import Network

FIX = "give (images, labels), a DataLoader, a Dataset, inputs by name or file, or loaded ones"


def inputs_of(given: Any, network: Network, images: int | None, name: str) -> Inputs:
    """`given` as inputs of `network`: the first `images` of it, None for all. `name` is what errors call it.

    (images, labels): arrays or tensors ``[N, C, H, W]``, ``[N, H, W]`` or ``[N, K]``, with one more axis for
    timesteps after the first, or before it; whole numbers are pixel codes, booleans are spikes, real numbers
    are what the module was trained on. A DataLoader gives batches of both, a Dataset one of each.
    Raises ImcsimError for anything else, and for values that are no pixels.
    """
    values, labels, axis = _collected(given, images, name)
    shape = network.input_shape
    if axis is None and values.ndim > 1 and len(values) != len(labels) == values.shape[1]:
        values = values.swapaxes(0, 1)  # time first
    elif axis == 1:
        values = values.swapaxes(0, 1)
    if len(values) != len(labels):
        raise ImcsimError(
            f"there are {len(values)} images but {len(labels)} labels", key=name, fix="give one for each"
        )
    if images is not None and axis is None:
        if not 1 <= images <= len(values):
            raise ImcsimError(
                f"{images} images were asked for, but it holds {len(values)}",
                key=name,
                fix=f"ask for 1 to {len(values)}",
            )
        values, labels = values[:images], labels[:images]
    size = math.prod(shape)
    if values[0].size == size:
        values = values.reshape(len(values), *shape)
    elif values.ndim > 2 and values[0, 0].size == size:
        values = values.reshape(*values.shape[:2], *shape)
    else:
        ours, theirs = " x ".join(map(str, values.shape[1:])), " x ".join(map(str, shape))
        raise ImcsimError(
            f"the images are {ours}, but the network takes {theirs}", key=name, fix=f"give images of {theirs}"
        )
    codes = _codes(values, network, name)
    checked = check_labels(name, labels, len(codes), None)
    spikes = values.dtype == bool
    coding = "frames" if codes.ndim == 5 else "direct"
    return Inputs(
        codes, checked, name, "unknown", fingerprint(codes, checked), network.classes, coding, spikes
    )


def _codes(values: NDArray[Any], network: Network, name: str) -> NDArray[np.uint8]:
    if values.dtype == bool:
        return values.astype(np.uint8)
    if values.dtype.kind in "iu":
        if values.size and (values.min() < 0 or values.max() > 255):
            raise ImcsimError(
                f"pixels go from {values.min()} to {values.max()}, but must be 0 to 255",
                key=name,
                fix="give codes, booleans for spikes, or the real numbers that the module was trained on",
            )
        return np.ascontiguousarray(values.astype(np.uint8))
    grid = grid_of_network(network)
    codes, _ = grid.codes(values.astype(np.float64), 2 if values.ndim == 5 else 1, name)
    return codes


def grid_of_network(network: Network) -> PixelGrid:
    """What the pixels of `network` are worth, where it was trained."""
    if isinstance(network, TorchNetwork) and network.grid is not None:
        return network.grid
    about = network.provenance.get("imported")
    stated = about.get("options") if isinstance(about, dict) else None
    stated = stated if isinstance(stated, dict) else {}
    mean, std = (tuple(float(n) for n in stated.get(key) or ()) for key in ("mean", "std"))
    return PixelGrid(network.input_bits, network.input_scale, mean, std)


# --- collecting


def _collected(
    given: Any, images: int | None, name: str
) -> tuple[NDArray[Any], NDArray[np.int64], int | None]:
    """Values, labels, and where they were collected in batches the axis of images; None otherwise."""
    if isinstance(given, tuple | list) and len(given) == 2 and all(hasattr(one, "shape") for one in given):
        return _array(given[0], name), _array(given[1], name).reshape(-1), None
    if hasattr(given, "dataset") and hasattr(given, "batch_size"):  # a DataLoader
        return _batches(given, images, name)
    if hasattr(given, "__getitem__") and hasattr(given, "__len__") and not hasattr(given, "shape"):
        batched = len(given) and np.ndim(_pair(given[0], name)[1]) > 0
        return _batches(given, images, name) if batched else _items(given, images, name)
    if isinstance(given, Iterable) and not hasattr(given, "shape"):
        return _batches(given, images, name)
    raise ImcsimError(f"cannot be {type(given).__name__}", key=name, fix=FIX)


def _items(given: Any, images: int | None, name: str) -> tuple[NDArray[Any], NDArray[np.int64], int | None]:
    if not len(given):
        raise ImcsimError("it holds no images", key=name, fix=FIX)
    count = len(given) if images is None else images
    if not 1 <= count <= len(given):
        raise ImcsimError(
            f"{count} images were asked for, but it holds {len(given)}",
            key=name,
            fix=f"ask for 1 to {len(given)}",
        )
    values, labels = [], []
    for index in range(count):
        image, label = _pair(given[index], name)
        values.append(_array(image, name))
        labels.append(int(label))
    return _joined(values, name, np.stack), np.asarray(labels, np.int64), 0


def _batches(
    given: Iterable[Any], images: int | None, name: str
) -> tuple[NDArray[Any], NDArray[np.int64], int | None]:
    values: list[NDArray[Any]] = []
    labels: list[NDArray[Any]] = []
    found, axis = 0, 0
    for batch in _until(given, images, labels):
        image, label = _pair(batch, name)
        values.append(_array(image, name))
        labels.append(_array(label, name).reshape(-1))
        found += len(labels[-1])
        axis = 0 if len(values[-1]) == len(labels[-1]) else 1
    if images is not None and found < images:
        raise ImcsimError(
            f"{images} images were asked for, but it holds {found}", key=name, fix=f"ask for 1 to {found}"
        )
    whole = _joined(values, name, lambda pieces: np.concatenate(pieces, axis=axis))
    end = found if images is None else images
    return (whole[:end] if axis == 0 else whole[:, :end]), np.concatenate(labels)[:end], axis


def _until(given: Iterable[Any], images: int | None, labels: list[NDArray[Any]]) -> Iterator[Any]:
    """As many batches as are needed."""
    for batch in given:
        yield batch
        if images is not None and sum(map(len, labels)) >= images:
            return


def _joined(values: list[NDArray[Any]], name: str, join: Any) -> NDArray[Any]:
    if not values:
        raise ImcsimError("it holds no images", key=name, fix=FIX)
    try:
        found: NDArray[Any] = join(values)
    except ValueError:
        raise ImcsimError("its images differ in shape", key=name, fix="give images of one shape") from None
    return found


def _pair(item: Any, name: str) -> tuple[Any, Any]:
    if isinstance(item, dict):
        item = tuple(item.values())
    if not isinstance(item, tuple | list) or len(item) < 2:
        raise ImcsimError(f"it gives {type(item).__name__}, not images with labels", key=name, fix=FIX)
    return item[0], item[1]


def _array(given: Any, name: str) -> NDArray[Any]:
    """A tensor of any device, an array or a picture as an array of numbers."""
    if hasattr(given, "detach"):
        given = given.detach().cpu().numpy()
    found = np.asarray(given)
    if found.dtype.kind not in "biuf":
        raise ImcsimError(f"values of {found.dtype} are no images", key=name, fix=FIX)
    if (
        found.dtype == np.uint8
        and found.ndim == 3
        and found.shape[-1] in (3, 4)
        and hasattr(given, "getbands")
    ):
        found = found.transpose(2, 0, 1)  # a picture of PIL keeps its colours last
    return found


def first_images(given: Any, count: int) -> Any:
    """The first images of what `inputs_of` takes, as they are: an example for `imcsim.from_torch`. None for
    inputs by name, which a module does not take.
    """
    if isinstance(given, str | Path | Inputs):
        return None
    if isinstance(given, tuple | list) and len(given) == 2 and all(hasattr(one, "shape") for one in given):
        return given[0][:count] if len(given[0]) == len(given[1]) else given[0][:, :count]
    itemwise = hasattr(given, "__getitem__") and hasattr(given, "__len__") and not hasattr(given, "dataset")
    if itemwise and len(given) and np.ndim(_pair(given[0], "inputs")[1]) == 0:
        values, _, _ = _items(given, min(count, len(given)), "inputs")
        return values
    if not isinstance(given, Iterable):
        raise ImcsimError(f"cannot be {type(given).__name__}", key="inputs", fix=FIX)
    for batch in given:
        image, label = _pair(batch, "inputs")
        return image[:count] if len(image) == len(label) else image[:, :count]
    raise ImcsimError("it holds no images", key="inputs", fix=FIX)
