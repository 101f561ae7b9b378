"""The one exception that reaches a user: what is wrong, where, and how to mend it."""

from __future__ import annotations

from pathlib import Path


class ImcsimError(Exception):
    """A problem with what the user gave us.

    `message` says what is wrong, `file` and `line` where, `key` names the setting or array,
    `fix` says what to do. The command line prints it without a traceback and exits with 2.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | Path | None = None,
        line: int | None = None,
        key: str | None = None,
        fix: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.file = file
        self.line = line
        self.key = key
        self.fix = fix

    def __str__(self) -> str:
        place = "" if self.file is None else f"{self.file}:"
        if self.line is not None:
            place += f"{self.line}:"
        parts = [p for p in (place, f"{self.key}:" if self.key else "", self.message) if p]
        text = " ".join(parts)
        return f"{text} ({self.fix})" if self.fix else text
