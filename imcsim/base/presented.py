"""Results as notebooks and scripts show them: one line, a table with a figure, LaTeX, files.

How each is made stands above the results, with the other reports. `imcsim.api` says so by `present_with`; a
result that is read without it knows its numbers alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from imcsim.base.errors import ImcsimError
from imcsim.base.frames import Framed


class Presenter(Protocol):
    """What shows results."""

    def brief(self, result: Any) -> str:
        """One line."""

    def html(self, result: Any) -> str:
        """The main table with a figure."""

    def latex(self, result: Any) -> str:
        """The main table, for booktabs."""

    def figures(self, result: Any) -> tuple[str, ...]:
        """The names of the figures, the main one first."""

    def plot(self, result: Any, name: str | None) -> Any:
        """A figure of matplotlib."""

    def write(self, result: Any, path: Path) -> None:
        """A JSON file, or a folder with tables and figures."""


_presenters: list[Presenter] = []


def present_with(presenter: Presenter) -> None:
    """Let `presenter` show all results of this process."""
    _presenters[:] = [presenter]


def _presenter() -> Presenter:
    if not _presenters:
        raise ImcsimError("nothing here shows results", fix="import imcsim.api first")
    return _presenters[0]


class Presented(Framed):
    """A result that can be shown."""

    def __repr__(self) -> str:
        return _presenters[0].brief(self) if _presenters else f"<{type(self).__name__}>"

    def __str__(self) -> str:
        return repr(self)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return _presenter().html(self)

    def to_latex(self) -> str:
        r"""The main table as a ``tabular`` with the rules of booktabs (``\usepackage{booktabs}``)."""
        return _presenter().latex(self)

    @property
    def figures(self) -> tuple[str, ...]:
        """The names that `plot` knows, the main figure first."""
        return _presenter().figures(self)

    def plot(self, name: str | None = None) -> Any:
        """One of the `figures` as a ``matplotlib.figure.Figure``.

        Args:
            name: Which of them. None: the first.

        Raises:
            ImcsimError: For another name.
        """
        return _presenter().plot(self, name)

    def save(self, path: str | Path) -> None:
        """Write the result: to a ``.json`` file, or to a folder with CSV tables and figures too, as ``--out``
        does; `imcsim.load_result` reads both.

        Args:
            path: The file, or the folder, which is made if need be.

        Raises:
            ImcsimError: Where it cannot be written.
        """
        _presenter().write(self, Path(path))
