"""The build of a wheel: the JSON schemas of result documents are made from their models and put into it."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class SchemaHook(BuildHookInterface[Any]):
    """Writes ``imcsim/data/result.schema.json`` and so on into the wheel; a checkout stays as it is."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return  # `imcsim schema` makes them when it is asked
        sys.path.insert(0, self.root)
        try:
            from imcsim.results.schemas import schema_files
        finally:
            sys.path.remove(self.root)
        self.folder = tempfile.TemporaryDirectory()
        for name, text in schema_files().items():
            path = Path(self.folder.name) / name
            path.write_text(text, encoding="utf-8")
            build_data["force_include"][str(path)] = f"imcsim/data/{name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if version != "editable":
            self.folder.cleanup()
