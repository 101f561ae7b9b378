"""`from_torch`: a live module as a network of integers, with the proof that it is the same."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.importers.importing.image import Image, image_shape
from imcsim.importers.importing.importing import NetworkOrigin, convert
from imcsim.importers.importing.layers import ReadOptions
from imcsim.importers.importing.read import check_model
from imcsim.importers.live.checking import LEAST_EQUAL, ModuleCheck, check
from imcsim.importers.live.layers import to_model
from imcsim.importers.live.network import TorchNetwork
from imcsim.importers.live.pixels import EXACT, PixelGrid, grid_of
from imcsim.importers.live.playing import Asked, Played, play
from imcsim.importers.quantising.scales import Scales
from imcsim.inputs import Inputs
from imcsim.inputs.data import fingerprint
from imcsim.network.graph import Network


@dataclass(frozen=True)
class Wanted:
    """What network is wanted: how weights become integers, as in ``imcsim import``, the shape of the images,
    its name, and whether what differs is affirmed.
    """

    weight_bits: int = 8
    scales: Scales = "max"
    percentile: float = 99.9
    input_shape: tuple[int, ...] | None = None
    name: str | None = None
    affirm: bool = False


def import_module(module: Any, example: Any, asked: Asked, image: Image, wanted: Wanted) -> TorchNetwork:
    """See `imcsim.from_torch`."""
    module, example = _unwrapped(module), _tensor(module, example)
    played = play(module, example, asked)
    codes, grid, off = _codes(played, example, image)
    notes: list[str] = []
    if off > EXACT * max(1.0, float(example.abs().max())):
        notes.append(
            f"the example was rounded to pixels of {grid.bits} bits, by {off:.3g} at most; both were "
            "shown the pixels"
        )
        played = play(module, _back(played, example, codes, grid), asked)
    return _converted(module, played, (codes, grid), notes, wanted)


def _converted(
    module: Any, played: Played, seen: tuple[NDArray[np.uint8], PixelGrid], notes: list[str], wanted: Wanted
) -> TorchNetwork:
    codes, grid = seen
    kind = type(module).__name__
    framework = next(
        (layer.about.framework for layer in played.tracer.neurons if layer.about.framework != "torch"),
        "torch",
    )
    affirmed = _readout(played, wanted.affirm, notes)
    for layer in played.tracer.neurons:
        notes += [f"{layer.path}: {note}" for note in layer.about.notes]
    source: dict[str, Any] = {
        "format": "live", "framework": framework, "notes": notes, "affirmed": affirmed,
        "timesteps": played.timesteps,
    }  # fmt: skip
    abouts = [layer.about for layer in played.tracer.neurons]
    model = to_model(wanted.name or kind, played.output, abouts, source)
    check_model(None, model)
    shape = wanted.input_shape or model.input_shape
    shown = codes.reshape(*codes.shape[: codes.ndim - len(model.input_shape)], *image_shape(shape))
    inputs = Inputs(
        shown, np.empty(0, np.int64), "the example", "unknown", fingerprint(shown, np.empty(0, np.int64))
    )
    imported = convert(
        model,
        NetworkOrigin({"module": kind, "versions": _versions(framework)}),
        inputs=inputs,
        weight_bits=wanted.weight_bits,
        scales=wanted.scales,
        percentile=wanted.percentile,
        options=ReadOptions(input_shape=wanted.input_shape, timesteps=played.timesteps, name=wanted.name),
        image=grid.image(),
    )
    nodes = imported.names
    spikes = {
        nodes[layer.node.name]: (layer.node.name, np.stack(layer.spikes, axis=1))
        for layer in played.tracer.neurons
        if layer.node.name in nodes
    }
    found = check(imported.real, shown, played.timesteps, spikes, played.outputs.argmax(axis=1))
    _judge(kind, found, wanted.affirm)
    network = imported.network
    return TorchNetwork(
        **_fields(network, _with_check(network.provenance, found)),
        check=found,
        quantised=imported.agreement,
        notes=(found.sentence(), *imported.notes),
        grid=grid,
    )


def _fields(network: Network, provenance: Mapping[str, Any]) -> dict[str, Any]:
    return {**vars(network), "provenance": provenance}


def _with_check(provenance: Mapping[str, Any], found: ModuleCheck) -> dict[str, Any]:
    """`provenance` with what the check found; every report repeats differences."""
    about = dict(provenance["imported"])
    about["equal_to_module"] = {layer.node: round(layer.equal, 9) for layer in found.layers}
    if found.start is not None:
        about["affirmed"] = [*about.get("affirmed", ()), f"before quantisation {found.sentence()}"]
    return {**provenance, "imported": about}


def _judge(kind: str, found: ModuleCheck, affirm: bool) -> None:
    """Refuse a network that does something else than its module, unless that was affirmed."""
    if found.start is None:
        return
    if found.equal < LEAST_EQUAL and not affirm:
        raise ImcsimError(
            f"the network does something else than the module: {found.sentence()}",
            key=kind,
            fix="is a layer of neurons not what its module says? affirm=True goes on, and reports repeat it",
        )
    if found.equal < LEAST_EQUAL:
        warnings.warn(f"{kind}: {found.sentence()}", stacklevel=4)


def _readout(played: Played, affirm: bool, notes: list[str]) -> list[str]:
    """What is said of how the module decides."""
    if played.readout == "last":
        said = (
            "the module decides by its last timestep alone; here the outputs of all timesteps are accumulated"
        )
        if not affirm:
            raise ImcsimError(
                said, key=type(played.tracer.module).__name__,
                fix="decide by the mean or sum over timesteps, or say affirm=True, which reports repeat",
            )  # fmt: skip
        return [said]
    if played.readout == "sum":
        notes.append("the module adds its outputs up: accumulation='sum' does so before the exit rule")
    return []


def _codes(played: Played, example: Any, image: Image) -> tuple[NDArray[np.uint8], PixelGrid, float]:
    """The example as pixels, ``[N, (T,) ...]``, and how far they are off."""
    array, timed = _sorted(played, example)
    grid = grid_of(array, image, timed)
    codes, off = grid.codes(array, 2 if timed else 1, "example")
    return codes, grid, off


def _order(played: Played) -> tuple[list[int], list[int], int, bool]:
    """The sizes of the example's axes one by one, the order in which they are images, time, one image, how
    many are images, and whether there is time.
    """
    features = played.tracer.graph.image.features or ()
    axes = [axis for dim in played.dims for axis in dim]
    inside = [axis for axis in features if axis.size > 1]
    time = [n for n, axis in enumerate(axes) if axis.role == "time"]
    images = [n for n, axis in enumerate(axes) if axis not in inside and n not in time]
    order = images + time + [axes.index(axis) for axis in inside]
    return [axis.size for axis in axes], order, len(images), bool(time)


def _sorted(played: Played, example: Any) -> tuple[NDArray[np.float64], bool]:
    sizes, order, images, timed = _order(played)
    features = played.tracer.graph.image.features or ()
    array = example.detach().cpu().numpy().astype(np.float64).reshape(sizes).transpose(order)
    lead = (math.prod(array.shape[:images]), *(array.shape[images : images + 1] if timed else ()))
    return array.reshape(*lead, *(axis.size for axis in features)), timed


def _back(played: Played, example: Any, codes: NDArray[np.uint8], grid: PixelGrid) -> Any:
    """The example made of pixels."""
    sizes, order, _, timed = _order(played)
    values = grid.values(codes, 2 if timed else 1)
    turned = values.reshape([sizes[n] for n in order]).transpose(np.argsort(order))
    return torch.as_tensor(turned.reshape(tuple(example.shape)), dtype=example.dtype, device=example.device)


def _unwrapped(module: Any) -> Any:
    """The module inside torch.compile and DataParallel."""
    if not isinstance(module, torch.nn.Module):
        raise ImcsimError(
            f"cannot be {type(module).__name__}",
            key="model",
            fix="give a torch.nn.Module, or use imcsim import",
        )
    for inner in ("_orig_mod", "module"):
        if type(module).__name__ in ("OptimizedModule", "DataParallel", "DistributedDataParallel"):
            module = getattr(module, inner, module)
    return module


def _tensor(module: Any, example: Any) -> Any:
    """The example on the module's device, in the module's type."""
    if isinstance(example, tuple | list) and example and hasattr(example[0], "shape"):
        example = example[0]  # a batch of a DataLoader: images and labels
    found = torch.as_tensor(example)
    like = next((p for p in module.parameters() if p.is_floating_point()), None)
    if found.numel() == 0:
        raise ImcsimError("it holds no values", key="example", fix="give a batch of inputs")
    kind = torch.get_default_dtype() if like is None else like.dtype
    return found.detach().to(device=None if like is None else like.device, dtype=kind)


def _versions(framework: str) -> dict[str, str]:
    found = {}
    for name in ("torch", framework):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
