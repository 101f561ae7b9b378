"""One kind of part: those that come with imcsim, and those that plug-ins add."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import RLock
from typing import Any, Generic, TypeVar, cast

from imcsim.base.errors import ImcsimError
from imcsim.base.names import suggestion
from imcsim.base.plugins import files, packages
from imcsim.base.plugins.origin import Origin, blamed, within

Part = TypeVar("Part")

_lock = RLock()


def forget() -> None:
    """Offer no parts of files any more, and look for installed packages anew."""
    files.drop()
    packages.drop()


class Kind(Generic[Part]):
    """One kind of part.

    kind: one of `KINDS`. base: the class that its parts must be instances of; a plug-in may give the class of
    a part in the place of the part. own: the parts that come with imcsim.
    """

    def __init__(self, kind: str, base: type[Any], own: Mapping[str, Part]) -> None:
        self.kind, self.base, self.own = kind, base, dict(own)
        self._parts: dict[Origin, Part] = {}

    @property
    def word(self) -> str:
        """What one part of this kind is called, such as "exit rule"."""
        return self.kind.removesuffix("s").replace("_", " ")

    def names(self) -> list[str]:
        """All names: first those that come with imcsim, in their order, then those of plug-ins, sorted."""
        others = set(files.offers(self.kind)) | set(packages.installed(self.kind))
        return [*self.own, *sorted(others - set(self.own))]

    def get(self, name: str) -> Part:
        """The part of this name. Raises ImcsimError where there is none, or where its plug-in is broken."""
        if name in self.own:
            return self.own[name]
        origin, given = self._found(name)
        with _lock:
            if origin not in self._parts:
                self._parts[origin] = self._part(origin, given)
            return self._parts[origin]

    def origin(self, name: str) -> Origin | None:
        """Where the part of this name comes from; None for one that comes with imcsim. Raises as `get`."""
        return None if name in self.own else self._found(name)[0]

    def origins(self) -> list[Origin]:
        """Where all parts that plug-ins add come from, by name; also those that an own part hides."""
        found = []
        for name in sorted(set(files.offers(self.kind)) | set(packages.installed(self.kind))):
            found.append(self._found(name)[0])
        return found

    def _found(self, name: str) -> tuple[Origin, Callable[[], object]]:
        """Origin of a plug-in's part, and a function that loads what the plug-in gives for it."""
        offers = files.offers(self.kind).get(name, [])
        if len({origin.sha256 for origin, _ in offers}) > 1:  # copies of one file are one plug-in
            places = " and ".join(origin.place for origin, _ in offers)
            raise ImcsimError(f"two plug-ins offer it: {places}", key=f"{self.word} {name}", fix="give one")
        if offers:
            origin, given = offers[0]
            return origin, lambda: given
        entry = packages.installed(self.kind).get(name)
        if entry is None:
            known = self.names()
            fix = suggestion(name, known, f"known are {', '.join(known) or 'none'}")
            message = f"there is no {self.word} {name[:100]!a}"
            raise ImcsimError(message, fix=f"{fix}; --plugin FILE adds others")
        return packages.origin_of(self.kind, entry), entry.load

    def _part(self, origin: Origin, load: Callable[[], object]) -> Part:
        with blamed(origin, "cannot be loaded"):
            given = load()
            made = given() if isinstance(given, type) else given
        if not isinstance(made, self.base):
            name = self.base.__name__
            article = "an" if name[0] in "AEIOU" else "a"
            message = f"expected {article} {name}, got {type(made).__name__}"
            file, line = _defined(given, origin)
            raise origin.error(message, line, file)
        return cast(Part, made)


def _defined(thing: object, origin: Origin) -> tuple[str, int | None]:
    """The file and line in which something is defined, as near as that can be told."""
    target = cast(Any, thing if inspect.isclass(thing) or inspect.isroutine(thing) else type(thing))
    try:
        file, line = inspect.getsourcefile(target), inspect.getsourcelines(target)[1]
    except (OSError, TypeError):
        file, line = None, None
    if file is not None and within(file, origin.place):
        return file, line
    return origin.place, files.line_of(origin.place, origin.kind) if Path(origin.place).is_file() else None
