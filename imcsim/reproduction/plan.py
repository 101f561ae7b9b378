"""Which networks are run, on which chip, with which images."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import imcsim.inputs
import imcsim.network
from imcsim._version import __version__
from imcsim.base.code import code_sha256
from imcsim.base.errors import ImcsimError
from imcsim.base.names import suggestion
from imcsim.hardware.config import Hardware
from imcsim.inputs import Inputs
from imcsim.network.graph import Conv2d, Network
from imcsim.results.model import SCHEMA_VERSION
from imcsim.results.reproduction.figures import Loss
from imcsim.studies.loading import network_sha256
from imcsim.studies.settings import DEFAULT_HARDWARE

INPUTS = "cifar10_test_all"
VALIDATION = "cifar10_validation_all"
VALIDATION_SEED = 1
"""The seed of training with which `VALIDATION` are the images that were held out."""
HARDWARE = DEFAULT_HARDWARE
TIMESTEPS = 4
GROWTH_TIMESTEPS = 8
GROWTH_IMAGES = 256
"""Enough for mean counts at T up to 8: energies differ from image to image by few per cent."""
LOSSES: tuple[Loss, ...] = ("running", "final")

STATIC_TIMESTEPS = (1, 2)
"""T of networks that may come along as static opponents."""

CLASS_NAMES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
"""CIFAR-10's, by label."""


@dataclass(frozen=True)
class PaperNetwork:
    """One of the paper's networks: how it is called, and what its chip needs.

    `bundles` holds a bundle for each loss, `statics` those that were trained for one T alone, by this T,
    which need not be there. `channels` are those of the paper's convolutions, in order: over those of the
    bundle they say how much narrower each layer is. `overrides` are laid over the chip.
    """

    key: str
    title: str
    bundles: Mapping[Loss, str]
    channels: tuple[int, ...]
    overrides: Mapping[str, Any] = field(default_factory=dict)
    statics: Mapping[int, str] = field(default_factory=dict)


NETWORKS = (
    PaperNetwork(
        "vgg16",
        "VGG-16",
        {loss: f"vgg16_{loss}_cifar10" for loss in LOSSES},
        channels=(64, 64, 128, 128, *3 * (256,), *6 * (512,)),
        statics={t: f"vgg16_static{t}_cifar10" for t in STATIC_TIMESTEPS},
    ),
    PaperNetwork(
        "resnet19",
        "ResNet-19",
        {loss: f"resnet19_{loss}_cifar10" for loss in LOSSES},
        # Three stages; the first block of the second and of the third has a shortcut with weights.
        channels=(*7 * (128,), *7 * (256,), *5 * (512,)),
        # At full width a layer needs an input row of 81,920 bits at a time, beside other layers' rows.
        overrides={"tile_buffer.capacity_bytes": 40960},
        statics={t: f"resnet19_static{t}_cifar10" for t in STATIC_TIMESTEPS},
    ),
)
"""In the order of the paper. ResNet-19 is the form in DT-SNN's code: stem of 128 channels, one classifier."""


@dataclass(frozen=True)
class Subject:
    """A network of the paper with its bundles read, its chip and how much narrower its layers are."""

    about: PaperNetwork
    networks: Mapping[Loss, Network]
    hardware: Hardware
    factors: tuple[Fraction, ...]
    """The paper's channels over the bundle's, of each convolution; 1 at full width."""
    statics: Mapping[int, Network] = field(default_factory=dict)
    """Networks that were trained for one T alone, by this T."""

    def by_layer(self, network: Network) -> dict[str, Fraction]:
        """The factors by the names of the convolutions of one of the networks."""
        return {layer.name: times for layer, times in zip(_convolutions(network), self.factors, strict=True)}


def chosen(names: Sequence[str] | None) -> tuple[PaperNetwork, ...]:
    """The networks of these names, in the order of the paper; None: all. Raises ImcsimError."""
    known = {one.key: one for one in NETWORKS}
    if names is None:
        return NETWORKS
    if not names:
        raise ImcsimError("no network is named", key="networks", fix=f"name some of {', '.join(known)}")
    for name in names:
        if name not in known:
            raise ImcsimError(
                f"{name[:100]!a} is none of the paper's networks",
                key="networks",
                fix=suggestion(name, known, f"choose from {', '.join(known)}"),
            )
    return tuple(one for one in NETWORKS if one.key in names)


def read_subjects(wanted: Sequence[PaperNetwork], models: str | Path | None = None) -> list[Subject]:
    """Read the bundles (built-in ones, or those in the folder `models`) and the chips.

    Raises ImcsimError naming all bundles that are missing, or the one that cannot be read or is wider than
    the paper's network.
    """
    names = [name for one in wanted for name in one.bundles.values()]
    missing = [name for name in names if not _is_there(name, models)]
    if missing:
        complete = [one.key for one in wanted if not set(one.bundles.values()) & set(missing)]
        fix = "train and export them as models/README.md says, and name their folder with --models"
        raise ImcsimError(
            f"missing network{'s' if len(missing) > 1 else ''}: {', '.join(missing)}",
            file=models,
            fix=f"--networks {','.join(complete)} can be run; or {fix}" if complete else fix,
        )
    return [_read(one, models) for one in wanted]


def _read(about: PaperNetwork, models: str | Path | None) -> Subject:
    def load(name: str) -> Network:
        return imcsim.network.load(name if models is None else Path(models) / name)

    networks = {loss: load(name) for loss, name in about.bundles.items()}
    statics = {t: load(name) for t, name in about.statics.items() if _is_there(name, models)}
    return subject(about, networks, imcsim.hardware.load(HARDWARE, dict(about.overrides)), statics)


def _is_there(name: str, models: str | Path | None) -> bool:
    return name in imcsim.network.names() if models is None else (Path(models) / name).is_dir()


def subject(
    about: PaperNetwork,
    networks: Mapping[Loss, Network],
    hardware: Hardware,
    statics: Mapping[int, Network] | None = None,
) -> Subject:
    """Raises ImcsimError unless all networks have the paper's layers, none wider than the paper's, and the
    same widths.
    """
    statics = statics or {}
    every = [*networks.values(), *statics.values()]
    factors = {_factors(about, network) for network in every}
    if len(factors) > 1:
        raise ImcsimError(
            f"the networks of {about.title} differ in width",
            key=", ".join(network.name for network in every),
            fix="train all of them at the same width",
        )
    return Subject(about, networks, hardware, factors.pop(), statics)


def _factors(about: PaperNetwork, network: Network) -> tuple[Fraction, ...]:
    layers = _convolutions(network)
    if len(layers) != len(about.channels):
        raise ImcsimError(
            f"it has {len(layers)} convolutions, {about.title} has {len(about.channels)}",
            key=network.name,
            fix=f"train a {about.title}",
        )
    for layer, channels in zip(layers, about.channels, strict=True):
        if len(layer.weight) > channels:
            raise ImcsimError(
                f"{layer.name} has {len(layer.weight)} channels, {about.title} has {channels} there",
                key=network.name,
                fix="train it at a width of 1 or less",
            )
    return tuple(Fraction(c, len(la.weight)) for c, la in zip(about.channels, layers, strict=True))


def _convolutions(network: Network) -> list[Conv2d]:
    return [node for node in network.nodes if isinstance(node, Conv2d)]


def read_images(name: str, count: int | None) -> Inputs:
    """The first `count` images of built-in inputs; None: all. Raises ImcsimError where there are fewer."""
    return imcsim.inputs.load(name, count)


def fingerprint(subject: Subject, inputs: Inputs, validation: Inputs) -> str:
    """SHA-256 over all that a part of the document follows from."""
    said = {
        "schema": SCHEMA_VERSION,
        "version": __version__,
        "code": code_sha256(),
        "networks": {loss: network_sha256(network) for loss, network in subject.networks.items()},
        "statics": {t: network_sha256(network) for t, network in subject.statics.items()},
        "hardware": [subject.hardware.sha256, subject.hardware.name, dict(subject.hardware.overrides)],
        "about": [subject.about.key, subject.about.title, subject.about.channels],
        "inputs": [inputs.name, inputs.sha256],
        "validation": [validation.name, validation.sha256],
        "timesteps": [TIMESTEPS, GROWTH_TIMESTEPS, GROWTH_IMAGES],
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
