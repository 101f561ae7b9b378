"""Whether a network fits onto a chip: mesh, tile buffers and global buffer, all asked at once."""

from __future__ import annotations

from imcsim.base.errors import ImcsimError
from imcsim.hardware.config import HardwareConfig, MeshConfig
from imcsim.mapping import place
from imcsim.network.graph import Network
from imcsim.timing.wiring import wire

EACH_NAMES_ONE = "each line names a size that would do"
"""What to do about several lines of `too_small`; one line says it itself."""


def too_small(network: Network, config: HardwareConfig) -> list[str]:
    """Every mesh and buffer that is too small for `network`, one line each with a size that would do.

    Returns nothing where the network fits. Raises ImcsimError where layers cannot be cut for the chip's
    crossbars at all.
    """
    found: list[str] = []
    try:
        placement = place(network, config)
    except ImcsimError as error:
        if error.key not in ("mesh.columns", "package.chips") or not config.mesh.columns:
            raise
        found.append(str(error))
        config = config.model_copy(update={"mesh": MeshConfig(columns=0, rows=0)})
        placement = place(network, config)
    try:
        wire(placement, config)
    except ImcsimError as error:
        found.append(str(error))
    held, room = -(-placement.graph.image_bits // 8), config.global_buffer.capacity_bytes
    if held > room:
        found.append(
            f"global_buffer.capacity_bytes: an image takes {held} bytes, the buffer has {room} "
            f"(set it to at least {held})"
        )
    return found
