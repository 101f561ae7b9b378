"""What was run on what: the head of every result document."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from imcsim.results.model import Amount, Count, DocumentPart, Fraction, Positive, Sha256, without_nothing


class HardwareMeta(DocumentPart):
    """The chip: its configuration and what it came to once the network was placed on it."""

    name: str
    """Of the chip's configuration."""
    sha256: Sha256
    """Hash of the configuration's values."""
    overrides: dict[str, Any] | None = None
    """Values that were laid over the configuration's file, by dotted key; left out where there are none."""
    encoder: Literal["recompute", "keep"]
    """Whether the first layer runs in every timestep or once with its currents stored."""
    clock_ns: Annotated[float, Field(gt=0)]
    """Period of the clock."""
    tiles: Count
    """Tiles that the network takes."""
    crossbars: Count
    """Crossbars that the network takes."""
    area_um2: Amount
    """Of the whole chip."""
    chips: Positive | None = None
    """Chips of a package, which the tiles and the area are of; left out where there is one."""
    accounting: Literal["peripherals_once"] | None = None
    """The hypothesis by which energy is charged; left out where every event is paid for, as on a chip."""

    @model_serializer(mode="wrap")
    def _without_nothing(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_nothing(whole(self), "overrides", "chips", "accounting")


class NetworkMeta(DocumentPart):
    """The trained network. Accuracies are those its own bundle states, None where it states none."""

    name: str
    """Of the network."""
    sha256: Sha256
    """Hash of the bundle; empty for a network made in memory."""
    layers: Count
    """Layers that own crossbars."""
    weights: Count
    """Weights of all these layers."""
    accuracy_float_per_timestep: tuple[Fraction, ...] | None = None
    """After T = 1, 2, ..., before the weights were quantised."""
    accuracy_quantised_per_timestep: tuple[Fraction, ...] | None = None
    """After T = 1, 2, ..., with quantised weights."""


class InputsMeta(DocumentPart):
    """The images that were run."""

    name: str
    """Of the inputs."""
    sha256: Sha256
    """Hash of images and labels."""
    split: Literal["test", "validation", "unknown"]
    """Whether they are test or validation images."""


class PluginMeta(DocumentPart):
    """A part of the simulator that a plug-in added, and that the run used."""

    kind: Literal["exit_rules", "estimators", "cell_errors", "encodings"]
    name: str
    source: str
    """The installed package, or the file."""
    version: str
    """Of the package, or what the file says; empty where it says nothing."""
    sha256: Sha256
    """Hash of the file, or of all files of the package."""

    @property
    def text(self) -> str:
        """The part in a few words: kind, name, where it comes from."""
        kind = self.kind.removesuffix("s").replace("_", " ")
        version = f" {self.version}" if self.version else ""
        return f"{kind} {self.name} of {self.source}{version}, sha256 {self.sha256[:16]}"


class Meta(DocumentPart):
    """What was run on what. There is no date in it."""

    version: str
    """Version of imcsim."""
    seed: Count
    """Of all random draws."""
    images: Positive
    """How many were run."""
    timesteps: Positive
    """T max."""
    fidelity: Literal["reference", "burst"]
    """How finely time was played."""
    policy: str
    """Issue policy: when timestep t + 1 enters the chip."""
    hardware: HardwareMeta
    """The chip."""
    network: NetworkMeta
    """The network."""
    inputs: InputsMeta
    """The images."""
    plugins: tuple[PluginMeta, ...] | None = None
    """Parts of plug-ins that were used; left out where there were none."""

    @model_serializer(mode="wrap")
    def _without_plugins(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_nothing(whole(self), "plugins")
