"""Constraints of a spec: simple expressions over keys, read by Python's parser and judged by hand.

Comparisons, arithmetic (``+ - * / // %``), ``and``, ``or``, ``not``, ``in``, numbers, texts, lists, dotted
keys. Nothing else is understood, and nothing is ever evaluated as code.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_LONGEST = 500
_LARGEST = 10**30

_ARITHMETIC: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_COMPARISONS: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda one, others: one in others,
    ast.NotIn: lambda one, others: one not in others,
}
_NAMED = {"true": True, "false": False, "null": None, "none": None}


class BadConstraint(ValueError):
    """What is wrong with a constraint, in words."""


@dataclass(frozen=True)
class Constraint:
    """An expression, and the dotted keys that it reads."""

    text: str
    keys: tuple[str, ...]
    _tree: ast.expr

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether it is true of `values`, by dotted key. Raises BadConstraint where it has no answer."""
        try:
            return bool(_value(self._tree, values))
        except (TypeError, ZeroDivisionError, OverflowError) as error:
            raise BadConstraint(f"{self.text!r} has no answer: {error}") from None

    def violation(self, values: Mapping[str, Any]) -> float:
        """How far it is from being true: 0 where it holds; of one ``<``, ``<=``, ``>`` or ``>=`` the
        distance of its sides over the larger one; 1 for anything else. Raises BadConstraint as `holds`.
        """
        if self.holds(values):
            return 0.0
        match self._tree:
            case ast.Compare(
                left=left, ops=[ast.Lt() | ast.LtE() | ast.Gt() | ast.GtE()], comparators=[right]
            ):
                one, other = float(_value(left, values)), float(_value(right, values))
                return max(abs(one - other) / max(abs(one), abs(other), 1e-300), 1e-12)
        return 1.0


def parse_constraint(text: str) -> Constraint:
    """Read an expression such as ``adc.bits <= 6 and cells.rows % 32 == 0``. Raises BadConstraint."""
    if len(text) > _LONGEST:
        raise BadConstraint(f"longer than {_LONGEST} characters")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise BadConstraint(f"{text!r} is no expression") from None
    keys: list[str] = []
    _check(tree, keys)
    return Constraint(text, tuple(dict.fromkeys(keys)), tree)


def _check(node: ast.AST, keys: list[str]) -> None:
    match node:
        case ast.Name() | ast.Attribute():
            key = _dotted(node)
            if key.lower() not in _NAMED:
                keys.append(key)
        case ast.Constant(value=bool() | int() | float() | str() | None):
            pass
        case ast.BoolOp(values=parts) | ast.List(elts=parts) | ast.Tuple(elts=parts):
            for part in parts:
                _check(part, keys)
        case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.UAdd(), operand=inner):
            _check(inner, keys)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            _check(left, keys)
            _check(right, keys)
        case ast.Compare(left=left, ops=ops, comparators=others) if all(type(o) in _COMPARISONS for o in ops):
            for part in (left, *others):
                _check(part, keys)
        case _:
            raise BadConstraint(f"{ast.unparse(node)!r} is not understood")


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    raise BadConstraint(f"{ast.unparse(node)!r} is not a key")


def _value(node: ast.AST, values: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name() | ast.Attribute():
            key = _dotted(node)
            return values[key] if key in values else _NAMED[key.lower()]
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            return [_value(part, values) for part in parts]
        case ast.BoolOp(op=ast.And(), values=parts):
            return all(_value(part, values) for part in parts)
        case ast.BoolOp(values=parts):
            return any(_value(part, values) for part in parts)
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            return not _value(inner, values)
        case ast.UnaryOp(op=sign, operand=inner):
            number = _number(_value(inner, values))
            return -number if isinstance(sign, ast.USub) else number
        case ast.BinOp(left=left, op=op, right=right):
            return _number(
                _ARITHMETIC[type(op)](_number(_value(left, values)), _number(_value(right, values)))
            )
        case ast.Compare(left=left, ops=ops, comparators=others):
            one = _value(left, values)
            for how, other in zip(ops, (_value(part, values) for part in others), strict=True):
                if not _COMPARISONS[type(how)](one, other):
                    return False
                one = other
            return True
    raise BadConstraint("not understood")


def _number(value: Any) -> Any:
    """Arithmetic is for numbers of sane size only: text times a million would fill the memory."""
    if not isinstance(value, int | float) or abs(value) > _LARGEST:
        raise TypeError(f"{value!r:.40} is no number")
    return value
