"""What an expression says, as a tree that is evaluated over whole columns: nothing of it is ever run as a program.

Null is as in SQL: whatever is compared with it is null, which is not true; `and`, `or` and `not` know three values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

Type = Literal["number", "text", "flag"]
Value: TypeAlias = pa.Array | pa.Scalar
"""A column (N,), or one value for all rows."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that stands in the expression; None is null."""

    value: float | int | str | bool | None


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the data."""

    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """Something done with values: `and`, `<`, `+`, `in`, `like` ..."""

    what: str
    arguments: tuple[Node, ...]


Node: TypeAlias = Constant | Column | Call


def columns_of(node: Node) -> frozenset[str]:
    """The columns that an expression looks at."""
    return frozenset(found.name for found in nodes(node) if isinstance(found, Column))


def nodes(node: Node) -> Iterator[Node]:
    """The node and all below it."""
    yield node
    for argument in node.arguments if isinstance(node, Call) else ():
        yield from nodes(argument)


def is_true(node: Node, columns: Mapping[str, pa.Array], length: int) -> pa.BooleanArray:
    """For which rows (N,) an expression is true; there it is neither false nor null."""
    return truth(node, columns, length).fill_null(False)


def truth(node: Node, columns: Mapping[str, pa.Array], length: int) -> pa.BooleanArray:
    """For which rows (N,) an expression is true, false or null."""
    found = _value(node, columns)
    return pa.repeat(_flag(found), length) if isinstance(found, pa.Scalar) else _flag(found)


def _value(node: Node, columns: Mapping[str, pa.Array]) -> Value:
    if isinstance(node, Column):
        return columns[node.name]
    if isinstance(node, Constant):
        return pa.scalar(node.value)
    if node.what in ("in", "like", "matches"):
        column, *others = node.arguments
        return _PATTERNS[node.what](
            _value(column, columns), [other.value for other in others if isinstance(other, Constant)]
        )
    return _FUNCTIONS[node.what](*(_value(argument, columns) for argument in node.arguments))


def _number(value: Value) -> Value:
    return value.cast(pa.float64())


def _arithmetic(function: Callable[[Value, Value], Value]) -> Callable[[Value, Value], Value]:
    return lambda one, other: function(_number(one), _number(other))


def _quotient(one: Value, other: Value) -> Value:
    zero = pc.equal(_number(other), 0.0)
    return pc.divide(_number(one), pc.if_else(zero, pa.scalar(None, pa.float64()), _number(other)))


def _compared(function: Callable[[Value, Value], Value]) -> Callable[[Value, Value], Value]:
    def compare(one: Value, other: Value) -> Value:
        if pa.types.is_null(one.type) or pa.types.is_null(other.type):
            return pc.and_(pc.is_null(one), pa.scalar(None, pa.bool_()))
        return function(one, other)

    return compare


def _flag(value: Value) -> Value:
    return value.cast(pa.bool_())


def _is_in(column: Value, values: list[object]) -> Value:
    known = pa.array([value for value in values if value is not None])
    if not len(known):
        return pc.and_(pc.is_null(column), pa.scalar(None, pa.bool_()))
    if isinstance(column, pa.Scalar):
        column = pa.array([column.as_py()], column.type)
        return _is_in(column, values)[0]
    if pa.types.is_integer(column.type):
        column = column.cast(known.type if pa.types.is_floating(known.type) else pa.int64())
    known = known.cast(column.type)
    if pa.types.is_floating(column.type):  # -0.0 is 0, but not the same bits
        column, known = pc.add(column, 0.0), pc.add(known, 0.0)
    found = pc.is_in(column, known)
    unknown = pc.and_(column.is_null(), True) if len(known) == len(values) else pc.invert(found)
    return pc.if_else(pc.or_(column.is_null(), unknown), pa.scalar(None, pa.bool_()), found)


def _is_like(column: Value, values: list[object]) -> Value:
    """`%` is anything, `_` one character; as in SQL nothing else is special, while Arrow's own knows a backslash."""
    parts = {"%": ".*", "_": "."}
    plain = "".join(
        parts.get(sign) or (sign if sign.isalnum() or sign > "~" or sign < " " else f"\\{sign}")
        for sign in str(values[0])
    )
    return pc.match_substring_regex(column.cast(pa.string()), f"(?s)^{plain}\\z")


def _matches(column: Value, values: list[object]) -> Value:
    return pc.match_substring_regex(column.cast(pa.string()), str(values[0]))


_PATTERNS: Mapping[str, Callable[[Value, list[object]], Value]] = {"in": _is_in, "like": _is_like, "matches": _matches}
_FUNCTIONS: Mapping[str, Callable[..., Value]] = {
    "and": lambda one, other: pc.and_kleene(_flag(one), _flag(other)),
    "or": lambda one, other: pc.or_kleene(_flag(one), _flag(other)),
    "not": lambda value: pc.invert(_flag(value)),
    "is null": pc.is_null,
    "number": lambda value: value.cast(pa.int8()),
    "=": _compared(pc.equal),
    "!=": _compared(pc.not_equal),
    "<": _compared(pc.less),
    "<=": _compared(pc.less_equal),
    ">": _compared(pc.greater),
    ">=": _compared(pc.greater_equal),
    "+": _arithmetic(pc.add),
    "-": _arithmetic(pc.subtract),
    "*": _arithmetic(pc.multiply),
    "/": _quotient,
    "negative": lambda value: pc.negate(_number(value)),
}
