"""What a pickle says, as plain symbols: nothing in it is looked up, called or made.

A pickle is a program for a machine with a stack (`pickletools` of Python describes its codes). This one knows
the codes that ``torch.save`` writes, protocol 2, and follows them without their effects: a function stays a
name, a call stays a record of a name and arguments. So the worst that a hostile file can do here is to be
refused.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from imcsim.base.errors import ImcsimError

MAX_STEPS = 4_000_000
"""Codes that are followed; a state dict of 50,000 tensors has 3,000,000."""

SAVE_AGAIN = "save it again with torch.save(model.state_dict(), FILE)"

_NAMES = re.compile(
    r"torch\.\w+|torch\._utils\._rebuild_\w+|torch\._tensor\._rebuild_from_type_v2|torch\.storage\.\w+Storage"
    r"|torch\.nn\.parameter\.Parameter|torch\.serialization\._get_layout"
    r"|collections\.(OrderedDict|Counter)|builtins\.(set|bytearray|complex)|_codecs\.encode"
)
"""Functions and classes that state dicts, and plain containers beside them, are written with."""

_OF_PYTHON_2 = {"__builtin__": "builtins"}  # how protocol 2 calls modules that have another name today


@dataclass(frozen=True, slots=True, eq=False)
class Name:
    """A function or class, by its module and name."""

    path: str


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """What would come of a function or class `path` with `arguments`."""

    path: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """What lies outside the pickle, under this description."""

    about: Any


def symbols(raw: bytes) -> Any:
    """The object that a pickle describes: numbers, text, lists, tuples, dicts, and symbols of this module.

    Dicts keep the entries whose keys are text. Raises ImcsimError for other codes than those of
    ``torch.save``, functions that no state dict needs, and what is cut off or makes no sense.
    """
    machine = _Machine(raw)
    try:
        for _ in range(MAX_STEPS):
            code = raw[machine.at]
            machine.at += 1
            if code == _STOP:
                return machine.stack.pop()
            if code not in _STEPS:
                raise ValueError(f"the code {bytes([code])!a} is none of a state dict")
            _STEPS[code](machine)
    except (IndexError, KeyError, ValueError, TypeError, struct.error) as error:
        why = str(error) if type(error) is ValueError else "its pickle is cut off or makes no sense"
        raise ImcsimError(f"not a sound PyTorch state dict: {why[:120]}", fix=SAVE_AGAIN) from None
    raise ImcsimError(f"its pickle has more than {MAX_STEPS} steps", fix="is it the right file?")


class _Machine:
    def __init__(self, raw: bytes) -> None:
        self.raw, self.at = raw, 0
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def take(self, count: int) -> bytes:
        """The next bytes."""
        piece = self.raw[self.at : self.at + count]
        if len(piece) != count:
            raise IndexError
        self.at += count
        return piece

    def number(self, form: str) -> Any:
        """The next number, in the notation of `struct`."""
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def line(self) -> str:
        """The text up to the next line break."""
        end = self.raw.index(b"\n", self.at)
        text = self.raw[self.at : end].decode("utf-8")
        self.at = end + 1
        return text

    def push_number(self, form: str) -> None:
        self.stack.append(self.number(form))

    def push_whole(self) -> None:
        self.stack.append(int.from_bytes(self.take(self.number("<B")), "little", signed=True))

    def push_text(self, length: str) -> None:
        self.stack.append(self.take(self.number(length)).decode("utf-8", "surrogatepass"))

    def push_name(self) -> None:
        module, name = self.line(), self.line()
        path = f"{_OF_PYTHON_2.get(module, module)}.{name}"
        if not _NAMES.fullmatch(path):
            shown = "".join(c if c.isprintable() else "?" for c in path.removeprefix("builtins."))[:80]
            raise ImcsimError(
                f"it holds {shown}, which no state dict needs", fix=f"it must hold tensors only; {SAVE_AGAIN}"
            )
        self.stack.append(Name(path))

    def mark(self) -> None:
        self.marks.append(len(self.stack))

    def since_mark(self) -> list[Any]:
        """What was pushed since the last mark, taken from the stack."""
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def make_tuple(self, count: int) -> None:
        self.stack[-count:] = [tuple(self.stack[len(self.stack) - count :])]

    def append(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise TypeError
        target.extend(items)

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not dict or len(items) % 2:
            raise TypeError
        target.update((k, v) for k, v in zip(items[::2], items[1::2], strict=True) if isinstance(k, str))

    def call(self) -> None:
        arguments, called = self.stack.pop(), self.stack.pop()
        if not isinstance(called, Name) or type(arguments) is not tuple:
            raise TypeError
        if called.path != "collections.OrderedDict":
            self.stack.append(Made(called.path, arguments))
            return
        self.stack.append({})
        for pair in arguments[0] if arguments else ():
            self.set_items(list(pair))

    def build(self) -> None:
        """The state that is given to an object: what a dict has beside its entries is of no interest."""
        self.stack.pop()
        if type(self.stack[-1]) is not dict:
            raise TypeError

    def keep(self, form: str) -> None:
        self.memo[self.number(form)] = self.stack[-1]

    def recall(self, form: str) -> None:
        self.stack.append(self.memo[self.number(form)])


_STOP = ord(".")
_STEPS: dict[int, Callable[[_Machine], Any]] = {
    ord(code): step
    for code, step in {
        "\x80": lambda m: m.take(1),  # the protocol
        "c": _Machine.push_name,
        "N": lambda m: m.stack.append(None),
        "\x88": lambda m: m.stack.append(True),
        "\x89": lambda m: m.stack.append(False),
        "K": lambda m: m.push_number("<B"),
        "M": lambda m: m.push_number("<H"),
        "J": lambda m: m.push_number("<i"),
        "G": lambda m: m.push_number(">d"),
        "\x8a": _Machine.push_whole,
        "X": lambda m: m.push_text("<I"),
        "U": lambda m: m.push_text("<B"),
        ")": lambda m: m.stack.append(()),
        "]": lambda m: m.stack.append([]),
        "}": lambda m: m.stack.append({}),
        "(": _Machine.mark,
        "t": lambda m: m.stack.append(tuple(m.since_mark())),
        "\x85": lambda m: m.make_tuple(1),
        "\x86": lambda m: m.make_tuple(2),
        "\x87": lambda m: m.make_tuple(3),
        "a": lambda m: m.append([m.stack.pop()]),
        "e": lambda m: m.append(m.since_mark()),
        "s": lambda m: m.set_items([m.stack.pop(), m.stack.pop()][::-1]),
        "u": lambda m: m.set_items(m.since_mark()),
        "R": _Machine.call,
        "\x81": _Machine.call,
        "b": _Machine.build,
        "Q": lambda m: m.stack.append(Stored(m.stack.pop())),
        "q": lambda m: m.keep("<B"),
        "r": lambda m: m.keep("<I"),
        "h": lambda m: m.recall("<B"),
        "j": lambda m: m.recall("<I"),
    }.items()
}
