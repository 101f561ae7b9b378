"""From a file with trained weights to a network, with proof of what the way there did to it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from imcsim import hardware as chips
from imcsim._version import __version__
from imcsim.base.errors import ImcsimError
from imcsim.base.plurals import counted
from imcsim.base.progress import Progress
from imcsim.functional.program.numerics import Numerics
from imcsim.functional.program.program import Program, build
from imcsim.importers.folding.fold import fold
from imcsim.importers.importing.agreement import Agreement, ComparedChip, agree
from imcsim.importers.importing.float_network import FloatNetwork
from imcsim.importers.importing.image import Image
from imcsim.importers.importing.layers import ReadModel, ReadOptions
from imcsim.importers.importing.read import read
from imcsim.importers.quantising.fixed_point import FixedPoint, fixed_point, words_of
from imcsim.importers.quantising.quantise import LayerQuantisation, quantise_layers
from imcsim.importers.quantising.scales import Scales
from imcsim.inputs import Inputs
from imcsim.network.graph import Network
from imcsim.simulation.chip import numerics, program_chip

DEFAULT_HARDWARE = "dtsnn_32nm"
"""The chip whose word widths are stated where none is named."""

LIBRARIES = {"nir": ("h5py",), "onnx": ("onnx",)}
"""Libraries that read a format; their versions go into the provenance."""


@dataclass(frozen=True)
class NetworkOrigin:
    """Where a network comes from: a line for each in its provenance, and the file, where there is one."""

    stated: dict[str, Any]
    file: Path | None = None

    @staticmethod
    def of_file(path: str | Path, kind: str) -> NetworkOrigin:
        """A file of that format."""
        path = Path(path)
        return NetworkOrigin({"file": path.name, "sha256": _sha256(path), "versions": _versions(kind)}, path)


@dataclass(frozen=True, eq=False)
class Imported:
    """A network and how it came about.

    `real` is the network before rounding, `notes` what the file leaves open and what was decided, `layers`
    what rounding did to weights, `words` the fixed-point words on the chip `hardware`; `agreement` is None
    where no inputs were given.
    """

    network: Network
    model: ReadModel
    real: FloatNetwork
    layers: tuple[LayerQuantisation, ...]
    hardware: str
    words: tuple[FixedPoint, ...]
    agreement: Agreement | None

    @property
    def notes(self) -> tuple[str, ...]:
        """One line each."""
        return (*(str(note) for note in self.model.source.get("notes", ())), *self.real.notes, *self.affirmed)

    @property
    def affirmed(self) -> tuple[str, ...]:
        """What holds because the user says so, and where it was seen not to hold: every report repeats it."""
        stated = tuple(str(line) for line in self.model.source.get("affirmed", ()))
        layers = () if self.agreement is None else self.agreement.ideal.layers
        return stated + tuple(
            f"{layer.name} fires as often as it may ({counted(layer.bound, 'time')} per timestep) in "
            f"{100 * layer.at_bound:.3g} % of neurons and timesteps of {self.agreement.inputs}: what would "
            "fire more often is held back"
            for layer in layers
            if layer.at_bound and self.agreement is not None
        )

    @property
    def names(self) -> dict[str, str]:
        """The node that holds the values of a layer of the file, by the layer's name."""
        return dict(self.real.names)


def import_model(
    path: str | Path,
    *,
    inputs: Inputs | None = None,
    hardware: chips.Hardware | None = None,
    weight_bits: int = 8,
    scales: Scales = "max",
    percentile: float = 99.9,
    options: ReadOptions | None = None,
    image: Image | None = None,
    seed: int = 0,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Imported:
    """Read a NIR, safetensors, PyTorch or ONNX file as a network of integers.

    `inputs` are images on which the network is compared before and after rounding, and on which ``mse``
    scales are chosen; they may lack labels. `hardware` is a chip to compare on too; where its cells, wires or
    converters have errors it is the first one that `seed` draws. `options` say what the file leaves open,
    `image` what its pixels are worth. Nothing is written: see `imcsim.network.save`.
    Raises ImcsimError, with file and layer, for whatever cannot be read, represented or run.

    >>> import tempfile
    >>> import numpy as np
    >>> import imcsim.network
    >>> from imcsim.importers import ReadOptions, import_model
    >>> from safetensors.numpy import save_file
    >>> folder = Path(tempfile.mkdtemp())
    >>> weights = np.array([[0.5, -0.25], [0.75, 0.5]], np.float32)
    >>> save_file({"fc.weight": weights}, folder / "net.safetensors")
    >>> listed = '''
    ... input: {shape: [2, 1, 1]}
    ... neuron: {leak: 0.5, threshold: 1.0, reset: soft}
    ... layers:
    ...   - {name: fc, kind: linear, prefix: fc}
    ...   - {name: sn, kind: neuron}
    ... '''
    >>> _ = (folder / "net.yaml").write_text(listed)
    >>> options = ReadOptions(layers_file=folder / "net.yaml")
    >>> imported = import_model(folder / "net.safetensors", options=options)
    >>> imported.network.node("fc").weight.tolist()
    [[2, -1], [3, 2]]
    >>> imcsim.network.save(imported.network, folder / "model")
    """
    model = read(path, options)
    return convert(
        model,
        NetworkOrigin.of_file(path, str(model.source.get("format", "unknown"))),
        inputs=inputs,
        hardware=hardware,
        weight_bits=weight_bits,
        scales=scales,
        percentile=percentile,
        options=options,
        image=image,
        seed=seed,
        workers=workers,
        progress=progress,
    )


def convert(
    model: ReadModel,
    origin: NetworkOrigin,
    *,
    inputs: Inputs | None = None,
    hardware: chips.Hardware | None = None,
    weight_bits: int = 8,
    scales: Scales = "max",
    percentile: float = 99.9,
    options: ReadOptions | None = None,
    image: Image | None = None,
    seed: int = 0,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Imported:
    """`import_model` for layers that were read before, from `origin`."""
    path, options, image = origin.file, options or ReadOptions(), image or Image()
    shape, said = options.input_shape, list[str]()
    if inputs is not None and shape is None and len(model.input_shape) == 1:
        shape = inputs.shape  # a row of values says nothing of the image that it came from
    if inputs is not None and image.bits is None and _spikes(inputs):
        if image.scale is None and model.source.get("input_scale") not in (None, 1.0):
            said.append("the inputs are spikes: each is worth 1, the file's scale of pixels is not used")
        image = replace(image, bits=1, scale=1.0 if image.scale is None else image.scale)
    if inputs is not None and scales == "mse":
        said.append("scales were chosen on the images that are compared: quote accuracies on others")
    try:
        real = fold(model, image, options.timesteps, shape)
        real = replace(real, notes=(*real.notes, *said))
        calibration = None if inputs is None else inputs.first(real.timesteps).images
        if inputs is not None:
            inputs.require(shape=real.input_shape, bits=real.input_bits, classes=real.classes)
        quantised = quantise_layers(real, weight_bits, scales, percentile, calibration)
    except ImcsimError as error:
        raise _in_file(error, path, inputs) from None
    network = quantised.network
    chip = hardware if hardware is not None else chips.load(DEFAULT_HARDWARE)
    words, ideal = _words(network, path, numerics(chip.config), stated=hardware is not None)
    agreement = None
    if inputs is not None:
        played = None
        if hardware is not None:
            config, erring = hardware.config, hardware.config.nonideal.active
            played = ComparedChip(
                hardware.name,
                lambda network, shown: program_chip(network, config, shown, seed, workers=workers),
                seed if erring else None,
            )
        agreement = agree(real, network, inputs, ideal, played, workers=workers, progress=progress)
    imported = Imported(network, model, real, quantised.layers, chip.name, words, agreement)
    about = _provenance(imported, origin, options, image, (weight_bits, scales, percentile))
    return replace(imported, network=replace(network, provenance=about))


def _spikes(inputs: Inputs) -> bool:
    return inputs.spikes or (inputs.timed and int(inputs.images.max()) <= 1)


def _in_file(error: ImcsimError, path: Path | None, inputs: Inputs | None) -> ImcsimError:
    """`error` with the name of the file, unless it is about the inputs."""
    if path is None or error.file is not None or (inputs is not None and error.key == inputs.name):
        return error
    return ImcsimError(error.message, file=path, line=error.line, key=error.key, fix=error.fix)


def _words(
    network: Network, path: Path | None, about: Numerics, *, stated: bool
) -> tuple[tuple[FixedPoint, ...], Program]:
    """Fixed-point words on a chip, and the program of wide words; a network that no chip can hold is refused.

    Where the chip was not `stated` and its words are too narrow, there are none to show.
    """
    try:
        ideal = build(network, about.ideal())
        words_of(network, ideal)
        try:
            return fixed_point(network, about), ideal
        except ImcsimError:
            if stated:
                raise
            return (), ideal
    except ImcsimError as error:
        raise _in_file(error, path, None) from None


def _provenance(
    imported: Imported,
    origin: NetworkOrigin,
    options: ReadOptions,
    image: Image,
    about: tuple[int, Scales, float],
) -> dict[str, Any]:
    source = imported.model.source
    kind = str(source.get("format", "unknown"))
    weight_bits, scales, percentile = about
    stated: dict[str, Any] = {
        key: value.name if isinstance(value, Path) else list(value) if isinstance(value, tuple) else value
        for key, value in (vars(options) | vars(image)).items()
        if value not in (None, (), "auto")
    }
    stated |= {"weight_bits": weight_bits, "scales": scales}
    if scales == "percentile":
        stated["percentile"] = percentile
    found: dict[str, Any] = {
        "imported": {
            **origin.stated,
            "format": kind,
            "framework": str(source.get("framework", "unknown")),
            "options": stated,
            "versions": {"imcsim": __version__, **origin.stated["versions"]},
            "notes": [_line(note) for note in imported.notes],
        }
    }
    if imported.affirmed:
        found["imported"]["affirmed"] = [_line(note) for note in imported.affirmed]
    renamed = {_line(layer): node for layer, node in imported.names.items() if layer != node}
    if renamed:
        found["imported"]["renamed"] = renamed
    agreement = imported.agreement
    if agreement is not None:
        accuracy = agreement.provenance()
        if accuracy is not None:
            found["accuracy"] = accuracy
        found["imported"]["equal_spikes"] = {
            layer.name: round(layer.equal, 6) for layer in agreement.ideal.layers
        }
    return found


def _line(text: str) -> str:
    """`text` in printable characters, of bounded length."""
    return "".join(c if c.isprintable() else "?" for c in text)[:400]


def _versions(kind: str) -> dict[str, str]:
    versions = {}
    for name in LIBRARIES.get(kind, ()):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
