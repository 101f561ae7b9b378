"""Errors of cells by a model of a plug-in: from the levels that cells were to have to those that they have.

A chip's file names the model (``nonideal: {cell_errors: {model: NAME, time_s: ..., parameters: {...}}}``). It
sees the levels after stuck cells; the chip's own variation and drift, where there are any, come after it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.base.names import suggestion
from imcsim.base.nonideal import PluggedErrors
from imcsim.base.plugins import Kind, Origin, blamed


@dataclass(frozen=True)
class Programming:
    """How cells are programmed."""

    largest_level: int
    """Of a cell."""
    time_s: float
    """Since the cell was programmed, when it is used."""
    parameters: Mapping[str, float]
    """All of the model's numbers, by its own names."""


class CellErrors(ABC):
    """A model of what cells conduct after they were programmed."""

    parameters: ClassVar[Mapping[str, float]] = {}
    """The model's numbers by name, with their defaults."""

    @abstractmethod
    def programmed(
        self, levels: NDArray[np.integer[Any]], programming: Programming, draws: np.random.Generator
    ) -> NDArray[np.float64]:
        """What cells conduct, in levels, float64 of the shape of `levels`, finite and at least 0.

        Args:
            levels: What the cells of one layer were to conduct, ``[rows, columns]``, 0 to the largest level;
                not to be changed.
            programming: How they were programmed, and the numbers of the model.
            draws: The layer's own random numbers, from their beginning; nothing else is random.
        """


CELL_ERRORS: Kind[CellErrors] = Kind("cell_errors", CellErrors, {})
"""All models of cell errors by name. Our own stand in this package and have sections of their own."""


@dataclass(frozen=True)
class PluggedCells:
    """A model, with the numbers that a chip gives it, and the hash of the plug-in that it comes from."""

    model: str
    time_s: float
    parameters: tuple[tuple[str, float], ...]
    sha256: str

    @classmethod
    def of(cls, said: PluggedErrors) -> PluggedCells | None:
        """What a chip's file asks for; None where it asks for none.

        Raises ImcsimError for a model that is not there and a parameter that it does not have.
        """
        if not said.model:
            return None
        model, origin = CELL_ERRORS.get(said.model), CELL_ERRORS.origin(said.model)
        known = dict(model.parameters)
        for name in said.parameters:
            if name not in known:
                fix = suggestion(name, known, f"it has {', '.join(known) or 'none'}")
                key = f"nonideal.cell_errors.parameters.{name}"
                raise ImcsimError(f"{said.model} has no such parameter", key=key, fix=fix)
        numbers = {name: float(value) for name, value in {**known, **said.parameters}.items()}
        sha256 = "" if origin is None else origin.sha256
        return cls(said.model, said.time_s, tuple(sorted(numbers.items())), sha256)

    def programmed(
        self, levels: NDArray[np.integer[Any]], largest_level: int, draws: np.random.Generator
    ) -> NDArray[np.float64]:
        """What cells conduct, in levels (see `CellErrors.programmed`)."""
        model, origin = CELL_ERRORS.get(self.model), CELL_ERRORS.origin(self.model)
        about = Programming(largest_level, self.time_s, dict(self.parameters))
        return checked_cells(model, origin, levels, about, draws)


def checked_cells(
    model: CellErrors,
    origin: Origin | None,
    levels: NDArray[np.integer[Any]],
    programming: Programming,
    draws: np.random.Generator,
) -> NDArray[np.float64]:
    """What `model` makes of `levels`. Raises ImcsimError, in a plug-in's name, for what no cell conducts."""
    seen = levels.view()
    seen.flags.writeable = False
    with blamed(origin, "programmed failed"):
        found = np.asarray(model.programmed(seen, programming, draws))
    if origin is None:
        return found
    if found.dtype.kind not in "fiu" or found.shape != levels.shape:
        message = f"expected numbers {list(levels.shape)}, got {found.dtype} {list(found.shape)}"
        raise origin.error(f"programmed: {message}")
    if not (np.isfinite(found).all() and (found >= 0).all()):
        raise origin.error("programmed: a cell conducts a finite amount, of at least 0")
    return found.astype(np.float64)
