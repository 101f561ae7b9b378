"""JSON schemas (draft 2020-12) of the result documents.

They are made from the models when they are asked for: `imcsim schema` prints them, and the build of a wheel
writes them into the package as ``imcsim/data/result.schema.json`` and so on (`hatch_build.py`).
"""

from __future__ import annotations

import ast
import inspect
import json
from itertools import pairwise
from types import ModuleType
from typing import Any, Literal

from pydantic import TypeAdapter

from imcsim.results import (
    against,
    comparison,
    costs,
    efficiency,
    figures,
    meta,
    model,
    outcomes,
    programming,
    ranges,
    run,
    stream,
)
from imcsim.results.chips import document as chips_document
from imcsim.results.chips import one_chip, spread, summary
from imcsim.results.comparison import CompareResult
from imcsim.results.model import SCHEMA_VERSION, DocumentPart
from imcsim.results.reproduction import document as reproduction_document
from imcsim.results.reproduction import figures as reproduction_figures
from imcsim.results.reproduction import ways
from imcsim.results.run import RunResult
from imcsim.results.stream import StreamResult

Kind = Literal["result", "chips", "reproduction"]
KINDS: tuple[Kind, ...] = ("result", "chips", "reproduction")

_MODULES: tuple[ModuleType, ...] = (
    model, meta, figures, outcomes, costs, efficiency, programming, ranges, against, comparison, run, stream,
    one_chip, spread, summary,
    chips_document, reproduction_figures, ways, reproduction_document,
)  # fmt: skip
"""Where the parts are described: those that others are built of first."""

_EVERYWHERE = {
    "schema_version": "Of this kind of document.",
    "meta": "What was run on what.",
    "warnings": "What to bear in mind when reading the figures, in sentences.",
    "accuracy": "Share of the images that are classified rightly.",
    "mean_timesteps": "Timesteps that an image runs, mean over the images.",
    "exit_fraction": "Share of the images that leave at T = 1, 2, ..., T max.",
    "energy_pj": "Mean per image.",
    "latency_ns": "Mean per image.",
    "latency_p50_ns": "Half of the images take no longer.",
    "latency_p95_ns": "95 % of the images take no longer.",
    "latency_p99_ns": "99 % of the images take no longer.",
    "edp_mean_of_products": "Mean over the images of energy x latency, pJ ns.",
    "edp_product_of_means": "Mean energy x mean latency, pJ ns.",
    "threshold_source": "Whether the threshold was chosen on validation images or given.",
}
"""Fields that mean the same in all parts that say nothing else of them."""


def json_schema(kind: Kind) -> dict[str, Any]:
    """The JSON schema of ``result`` (what compare, run and stream write), ``chips`` (compare --chips) or
    ``reproduction``.

    Args:
        kind: Which document.
    """
    for module in _MODULES:
        _describe(module)
    documents: dict[Kind, Any] = {
        "result": CompareResult | RunResult | StreamResult,
        "chips": chips_document.ChipsResult,
        "reproduction": reproduction_document.Reproduction,
    }
    schema = TypeAdapter(documents[kind]).json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": f"imcsim {kind}, schema version {SCHEMA_VERSION}",
    }


def schema_files() -> dict[str, str]:
    """The schema of every kind as JSON text, by the name of its file."""
    return {f"{kind}.schema.json": json.dumps(json_schema(kind), indent=2) + "\n" for kind in KINDS}


def _describe(module: ModuleType) -> None:
    """Let the text below each field of a module's models be its description.

    As pydantic's ``use_attribute_docstrings``, which parses the module once for every model, at import.
    """
    texts: dict[tuple[str, str], str] = {}
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.ClassDef):
            for field, below in pairwise(node.body):
                match field, below:
                    case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(ast.Constant(str(text))):
                        texts[node.name, name] = inspect.cleandoc(text)
    # In the order of the module: parts before the wholes that hold them.
    for part in [
        each for each in vars(module).values() if inspect.isclass(each) and issubclass(each, DocumentPart)
    ]:
        for name, about in part.model_fields.items():
            found = [texts.get((each.__name__, name)) for each in part.__mro__]
            # A part of another module has been described before.
            bases = (b for b in part.__mro__ if issubclass(b, DocumentPart) and name in b.model_fields)
            found += [each.model_fields[name].description for each in bases]
            found.append(_EVERYWHERE.get(name))
            about.description = about.description or next(filter(None, found), None)
        part.model_rebuild(force=True)
