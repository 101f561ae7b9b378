"""Sections of a YAML document whose keys are known: values come out with their type checked."""

from __future__ import annotations

from typing import Any, cast

from imcsim.base.errors import ImcsimError
from imcsim.base.names import suggestion
from imcsim.base.yamlfile import KeyPath, YamlDocument

_LIKE = {"an integer": "a whole number, as 3", "a number": "a number, as 0.5", "text": "a word"}


class YamlSection:
    """One mapping of the document whose keys are known; values come out with their type checked."""

    def __init__(
        self, document: YamlDocument, path: KeyPath, keys: tuple[str, ...], optional: tuple[str, ...] = ()
    ) -> None:
        self.document, self.path = document, path
        data = document.data
        for part in path:
            data = data[part]
        if not isinstance(data, dict):
            raise document.error(path, "must be a mapping", fix="write `key: value` lines")
        self.data: dict[str, Any] = data
        for key in data:
            if key not in keys:
                raise self.error(
                    key,
                    "this key is not known",
                    suggestion(key, keys, "use " + ", ".join(keys)),
                )
        for key in keys:
            if key not in data and key not in optional:
                raise document.error(path, f"the key {key!r} is missing", fix="add it")

    def error(self, key: str, message: str, fix: str | None = None) -> ImcsimError:
        return self.document.error((*self.path, key), message, fix=fix)

    def integer(self, key: str) -> int:
        return int(self._typed(key, int, "an integer"))

    def number(self, key: str) -> float:
        return float(self._typed(key, int | float, "a number"))

    def text(self, key: str) -> str:
        return str(self._typed(key, str, "text"))

    def integers(self, key: str, count: int | None = None) -> tuple[int, ...]:
        value = self.data[key]
        if (
            not isinstance(value, list)
            or (count is not None and len(value) != count)
            or not all(isinstance(n, int) and not isinstance(n, bool) for n in value)
        ):
            raise self.error(
                key,
                f"must be a list of {'' if count is None else f'{count} '}integers",
                f"write for example [{', '.join(['1'] * (count or 2))}]",
            )
        return tuple(value)

    def pair(self, key: str) -> tuple[int, int]:
        """Rows and columns; one integer stands for both."""
        if isinstance(self.data[key], list):
            return cast("tuple[int, int]", self.integers(key, 2))
        value = self.integer(key)
        return value, value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.data[key]
        if not isinstance(value, list) or not all(isinstance(n, str) for n in value):
            raise self.error(key, "must be a list of names", "write for example [conv1]")
        return tuple(value)

    def _typed(self, key: str, kind: Any, what: str) -> Any:
        value = self.data[key]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise self.error(key, f"must be {what}, not {value!r}"[:200], fix=f"write {_LIKE[what]}")
        return value
