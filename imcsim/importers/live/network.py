"""A network that came from a module, with what is known of how well it stands for it."""

from __future__ import annotations

from dataclasses import dataclass

from imcsim.base.plurals import counted
from imcsim.importers.importing.agreement import Agreement
from imcsim.importers.live.checking import ModuleCheck
from imcsim.importers.live.pixels import PixelGrid
from imcsim.network.describe import describe
from imcsim.network.graph import Network


@dataclass(frozen=True, eq=False, repr=False)
class TorchNetwork(Network):
    """A `Network` that `imcsim.from_torch` made."""

    check: ModuleCheck | None = None
    """The module against the network before quantisation."""
    quantised: Agreement | None = None
    """The network before against after quantisation, on the same images."""
    notes: tuple[str, ...] = ()
    """What was read, and what was decided."""
    grid: PixelGrid | None = None
    """What pixels are worth, in which tensors are turned into inputs."""

    @property
    def equal_spikes(self) -> dict[str, float]:
        """The share of spikes equal to the module's, before quantisation, by the name of the module."""
        return {} if self.check is None else {layer.module: layer.equal for layer in self.check.layers}

    def __repr__(self) -> str:
        shape = " x ".join(str(size) for size in self.input_shape)
        lines = [
            f"{self.name}: {shape} inputs of {counted(self.input_bits, 'bit')}, "
            f"{counted(self.classes, 'class', 'classes')}, "
            f"T = {self.timesteps}, weights of {counted(self.weight_bits, 'bit')}"
        ]
        for row in describe(self):
            lines.append("  " + "  ".join(str(part) for part in row if str(part)))
        if self.check is not None:
            lines.append(self.check.sentence())
        return "\n".join(lines)
