"""An import as a document of plain types, for ``--json``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from imcsim._version import __version__
from imcsim.importers.importing.importing import Imported
from imcsim.network.describe import describe

SCHEMA = 1


def to_document(imported: Imported, folder: str, sha256: str) -> dict[str, Any]:
    """What was read, decided and measured; `folder` and `sha256` are the bundle's."""
    network, about = imported.network, imported.network.provenance["imported"]
    return {
        "schema": SCHEMA,
        "version": __version__,
        "model": folder,
        "sha256": sha256,
        "imported": dict(about),
        "network": {
            "name": network.name,
            "input": {
                "shape": list(network.input_shape),
                "bits": network.input_bits,
                "scale": network.input_scale,
                "padding": list(network.input_padding),
            },
            "classes": network.classes,
            "timesteps": network.timesteps,
            "weight_bits": network.weight_bits,
            "nodes": [row._asdict() for row in describe(network)],
        },
        "quantisation": [asdict(layer) for layer in imported.layers],
        "fixed_point": {
            "hardware": imported.hardware,
            "layers": [asdict(word) for word in imported.words],
        },
        "agreement": None if imported.agreement is None else asdict(imported.agreement),
    }
