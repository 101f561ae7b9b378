"""What every part of a result document is: immutable, checked, and complete.

Energies are in pJ per image and latencies in ns per image, means over the inputs unless the name says
otherwise; shares and accuracies are fractions of one. A figure that follows from others of its part is
declared with `derived`: it is computed when the document is built, and a file that states another one is
refused. Sums that no document can compute (components against the total, exits against the mean timesteps)
are checked. So whoever reads a document may trust it. Nothing in it depends on when or where it was made:
same inputs and seed, same bytes. Sequences are tuples: a document is immutable all through.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

SCHEMA_VERSION = 1
"""The `schema_version` of every document."""

RELATIVE_TOLERANCE = 1e-9
"""How far two sums of the same figures may differ: the order of summation, nothing else."""

Fraction = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0)]
Share = Amount  # a quotient of two sums: rounding may take it a hair above one
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Sha256 = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]


class _Derivation:
    """How a derived figure is computed, and what is said of a file that states another one.

    It stands in the place of the field's default, so that who builds a document leaves the figure out.
    """

    def __init__(self, compute: Callable[[Any], Any], otherwise: str) -> None:
        self.compute, self.otherwise = compute, otherwise

    def __call__(self) -> None:
        return None


def derived(compute: Callable[[Any], Any], otherwise: str) -> Any:
    """A field that follows from the other fields of its part.

    compute: gives the figure from the part; derived fields declared above it have their values by then.
    otherwise: the rest of the sentence that begins with the name of a stated figure that differs, as
    "is not energy_pj x latency_ns". Figures may differ by the order of summation (`RELATIVE_TOLERANCE`).
    """
    return Field(default_factory=_Derivation(compute, otherwise))


class DocumentPart(BaseModel):
    """A part of a result document."""

    # Built when first used, and described only in the schema: a run begins sooner.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    @model_validator(mode="after")
    def _derive(self) -> Self:
        for name, derivation in _derivations(type(self)):
            try:
                value = derivation.compute(self)
            except (ArithmeticError, LookupError, TypeError):  # of a file whose figures contradict each other
                raise ValueError(f"{name} does not follow from the figures beside it") from None
            if name in self.model_fields_set:
                where = _difference(getattr(self, name), value, name)
                require(where is None, f"{where} {derivation.otherwise}")
            else:
                self.__dict__[name] = value
                self.__pydantic_fields_set__.add(name)
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Its JSON schema; a derived figure stands in every file that is written."""
        schema = handler(core_schema)
        about = handler.resolve_ref_schema(schema)
        written = {*about.get("required", ()), *(name for name, _ in _derivations(cls))}
        if written:
            about["required"] = [name for name in cls.model_fields if name in written]
        return schema


@functools.cache
def _derivations(model: type[DocumentPart]) -> tuple[tuple[str, _Derivation], ...]:
    """The derived fields of a model, in the order of their declaration."""
    fields = ((name, field.default_factory) for name, field in model.model_fields.items())
    return tuple((name, made) for name, made in fields if isinstance(made, _Derivation))


def _difference(stated: Any, computed: Any, name: str) -> str | None:
    """The first place, as ``reduction.energy``, at which a stated figure is not the computed one; None where
    there is none.
    """
    if isinstance(stated, DocumentPart) and isinstance(computed, DocumentPart):
        parts = ((key, getattr(stated, key), getattr(computed, key)) for key in type(stated).model_fields)
    elif isinstance(stated, tuple) and isinstance(computed, tuple) and len(stated) == len(computed):
        parts = ((str(k), *both) for k, both in enumerate(zip(stated, computed, strict=True)))
    elif isinstance(stated, float) and isinstance(computed, float):
        return None if same(stated, computed) else name
    else:
        return None if stated == computed else name
    return next(filter(None, (_difference(a, b, f"{name}.{key}") for key, a, b in parts)), None)


def same(a: float, b: float) -> bool:
    """Whether two figures are one but for the order of summation."""
    return math.isclose(a, b, rel_tol=RELATIVE_TOLERANCE, abs_tol=RELATIVE_TOLERANCE)


def close(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether all figures of two parts of one kind are one but for the order of summation."""
    return all(_difference(one[name], other[name], name) is None for name in one)


def require(condition: bool, message: str) -> None:
    """Refuse a document that contradicts itself."""
    if not condition:
        raise ValueError(message)


def without_nothing(written: dict[str, Any], *keys: str) -> dict[str, Any]:
    """What is written of a part: `keys` are left out where they have no value."""
    return {name: value for name, value in written.items() if name not in keys or value is not None}


def to_json(document: DocumentPart, indent: int = 2) -> str:
    """The document as JSON text: fields as declared, floats by repr, indented, one final newline.

    Args:
        document: A result.
        indent: Spaces by which each level is indented.
    """
    return json.dumps(document.model_dump(), indent=indent, allow_nan=False) + "\n"
