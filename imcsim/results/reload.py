"""What loading weights again takes, on a chip that is smaller than its network (`reload.tiles`)."""

from __future__ import annotations

from imcsim.results.model import Amount, Count, DocumentPart, Positive, derived


class GroupLoad(DocumentPart):
    """A group of layers, and what one load of it takes."""

    layers: tuple[str, ...]
    weight_bits: Count
    """Out of the DRAM."""
    cells: Count
    """Those written; more where layers have copies."""
    time_ns: Amount
    """Until its layers can compute."""


class ReloadCost(DocumentPart):
    """Loads of an image, means over the images of the run that the document is about."""

    tiles: Positive
    timesteps_per_load: Positive
    groups: tuple[GroupLoad, ...]
    blocks: Amount
    """How often an image goes through all groups."""
    energy_pj: Amount
    """Of cells, and of the bits of weights in DRAM and on the link; their way over the chip is not in it."""
    time_ns: Amount
    """In which nothing is computed."""
    energy_share: Amount
    """Of all energy."""
    time_share: Amount
    """Of the latency."""
    method: str
    """How cells are written."""
    endurance_writes: Amount | None
    """Writes after which a cell is worn out; None where cells do not wear."""
    writes: Amount
    """Writes of the cell that is written most."""
    images_until_worn: Amount | None = derived(
        lambda part: (
            None if part.endurance_writes is None or not part.writes else part.endurance_writes / part.writes
        ),
        "is not endurance_writes / writes",
    )
    """Images after which that cell is worn out; nothing is done to spread writes over cells."""
    worn_after_s: Amount | None = derived(
        lambda part: (
            None
            if part.images_until_worn is None or not part.time_share
            else part.images_until_worn * part.time_ns / part.time_share * 1e-9
        ),
        "is not images_until_worn times the latency",
    )
    """How long that takes on a chip that is never idle."""
