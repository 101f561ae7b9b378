"""The mappings that a search has tried, one a line of a file, so that a search that was stopped goes on.

The first line says what is searched: the network, the chip of the file, the images, the options that change a
figure, and the code. A line is written as soon as its mapping has been played; a last line that was cut off
is played again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from imcsim.base.errors import ImcsimError
from imcsim.base.files import written_whole
from imcsim.results.mapped import Mapped

FILE = "tried.jsonl"


@dataclass
class TriedMappings:
    """Mappings by the hash of their chip. None: one that does not fit, or locks up. Without a file they are
    kept for one search alone.
    """

    path: Path | None = None
    known: dict[str, Mapped | None] = field(default_factory=dict)

    @classmethod
    def of_folder(cls, folder: str | Path, about: Mapping[str, Any]) -> TriedMappings:
        """Those of a folder, which is made if there is none.

        Raises ImcsimError where it holds those of another search.
        """
        path, head = Path(folder) / FILE, json.dumps(dict(about), sort_keys=True)
        lines = path.read_text("utf-8").split("\n") if path.exists() else []
        whole, cut = lines[:-1], lines[-1:] != [""]
        if whole and whole[0] != head:
            raise ImcsimError(
                "it holds what another search has tried", file=path, fix="give another folder, or delete it"
            )
        known = dict(_read(path, number, line) for number, line in enumerate(whole[1:], 2))
        path.parent.mkdir(parents=True, exist_ok=True)
        if not whole or cut:
            with written_whole(path) as temporary:
                temporary.write_text("".join(f"{line}\n" for line in whole or [head]), "utf-8")
        return cls(path, known)

    def put(self, chip_sha256: str, mapped: Mapped | None) -> None:
        """Keep a mapping."""
        self.known[chip_sha256] = mapped
        if self.path is not None:
            values = None if mapped is None else asdict(mapped)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"chip": chip_sha256, "mapped": values}) + "\n")


def _read(path: Path, number: int, line: str) -> tuple[str, Mapped | None]:
    try:
        entry = json.loads(line)
        return str(entry["chip"]), None if entry["mapped"] is None else Mapped(**entry["mapped"])
    except (ValueError, TypeError, KeyError):
        raise ImcsimError(
            "this line is none that a search wrote", file=path, line=number, fix="delete the line"
        ) from None
