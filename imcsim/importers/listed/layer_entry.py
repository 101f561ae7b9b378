"""One mapping of a layer list: typed values, tensors found by name, errors with the line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.base.names import suggestion
from imcsim.base.yamlfile import KeyPath, YamlDocument

Values = NDArray[np.float64]


class Entry:
    """The mapping `data` at `path` of `document`; `used` collects the names of the tensors that are taken."""

    def __init__(
        self,
        document: YamlDocument,
        path: KeyPath,
        data: Any,
        keys: tuple[str, ...],
        tensors: Mapping[str, NDArray[Any]],
        used: set[str],
    ) -> None:
        if not isinstance(data, dict):
            raise document.error(path, "must be a mapping", fix="write `key: value` lines")
        self.document, self.path, self.tensors, self.used = document, path, tensors, used
        self.data: dict[str, Any] = data
        for key in data:
            if key not in keys:
                raise self.unknown((*path, key), key, keys, "key here")

    def fail(self, key: str, message: str, fix: str | None) -> ImcsimError:
        """The error about `key`, with its line."""
        return self.document.error((*self.path, *key.split(".")), message, fix=fix)

    def unknown(self, path: KeyPath, word: Any, known: Iterable[str], what: str) -> ImcsimError:
        """The error about a word that is none of `known`."""
        words = list(known)
        fix = suggestion(word, words, "use one of " + ", ".join(words[:20]))
        message = f"{word!r:.60} is no {what}" if word is not None else f"the {what} is missing"
        return self.document.error(path, message, fix=fix)

    def has(self, key: str) -> bool:
        return key in self.data

    def _typed(self, key: str, kind: Any, what: str) -> Any:
        if key not in self.data:
            raise self.document.error(self.path, f"the key {key!r} is missing", fix="add it")
        value = self.data[key]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise self.fail(key, f"must be {what}, not {value!r:.60}", f"give {what}")
        return value

    def integer(self, key: str) -> int:
        return int(self._typed(key, int, "an integer"))

    def number(self, key: str) -> float:
        return float(self._typed(key, int | float, "a number"))

    def text(self, key: str) -> str:
        return str(self._typed(key, str, "text"))

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._typed(key, list | str, "a list of names")
        names = [value] if isinstance(value, str) else value
        if not all(isinstance(name, str) for name in names):
            raise self.fail(key, "must be a list of names", "write for example [conv1, conv2]")
        return tuple(names)

    def mapping(self, key: str) -> dict[str, Any]:
        return dict(self._typed(key, dict, "a mapping"))

    def section(self, key: str, keys: tuple[str, ...]) -> Entry:
        return Entry(self.document, (*self.path, key), self.mapping(key), keys, self.tensors, self.used)

    def entries(self, key: str, most: int) -> list[Any]:
        found = self._typed(key, list, "a list")
        if not 1 <= len(found) <= most:
            raise self.fail(key, f"has {len(found)} entries; 1 to {most} are read", f"give 1 to {most}")
        return cast(list[Any], found)

    def integers(self, key: str) -> tuple[int, ...]:
        value = self._typed(key, list, "a list of integers")
        if not value or not all(isinstance(n, int) and not isinstance(n, bool) for n in value):
            raise self.fail(key, "must be a list of integers", "write for example [3, 32, 32]")
        return tuple(value)

    def pair(self, key: str, default: tuple[int, int] | None) -> tuple[int, int]:
        """An integer for both axes, or [rows, columns]."""
        if default is not None and key not in self.data:
            return default
        value = self._typed(key, int | list, "an integer or [rows, columns]")
        numbers = [value, value] if isinstance(value, int) else value
        if len(numbers) != 2 or not all(isinstance(n, int) and not isinstance(n, bool) for n in numbers):
            raise self.fail(key, "must be an integer or [rows, columns]", "write for example [3, 3]")
        return numbers[0], numbers[1]

    def values(self, key: str, default: float) -> Values:
        """A number, or the tensor that the key names, as ``[C]`` or ``[1]``."""
        value = self.data.get(key, default)
        if isinstance(value, str):
            return self.tensor(key, value).astype(np.float64).ravel()
        return np.array([self.number(key) if key in self.data else default])

    def tensor(self, key: str, name: str) -> NDArray[Any]:
        """The tensor called `name`, which `key` asks for."""
        if name not in self.tensors:
            listed = ", ".join(list(self.tensors)[:6])
            fix = suggestion(name, self.tensors, f"it holds {listed}")
            raise self.fail(key, f"the file holds no tensor {name[:80]!r}", fix)
        self.used.add(name)
        return self.tensors[name]

    def array(self, key: str, suffix: str) -> Values:
        """The tensor that `key` names, or else the one called ``<prefix>.<suffix>``, as float64."""
        if key in self.data:
            found = self.tensor(key, self.text(key))
        elif "prefix" in self.data:
            found = self.tensor("prefix", f"{self.text('prefix')}.{suffix}")
        else:
            raise self.document.error(
                self.path, f"names no tensor for {key!r}", fix=f"give `prefix` or `{key}`"
            )
        if found.dtype.kind not in "iuf":
            raise self.fail(
                key, f"tensors of {found.dtype} hold no numbers to compute with", "store integers or floats"
            )
        return found.astype(np.float64)

    def optional(self, key: str, suffix: str) -> Values | None:
        """As `array`, and None where the key is not given and there is no such tensor."""
        if key not in self.data and f"{self.data.get('prefix')}.{suffix}" not in self.tensors:
            return None
        return self.array(key, suffix)
