"""One JSON value to the column of its field: what fits, what is carried as text instead, and what is a fault."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Literal

from bboxconv.errors import shortened

Kind = Literal["id", "key", "text", "float", "size", "number", "flag", "box", "raw"]
"""id: int64, or else its written form; key: the id of something else; text: string; float; size: int32 above 0;
number: int32; flag: 0 or 1, true or false; box: four numbers; raw: any JSON, kept as text."""

_LIMIT = 1 << 63
EXACT = 1 << 53
"""From here on not every integer is a float64."""


@dataclass(frozen=True, slots=True)
class Field:
    """A key and what its value is. Fields that are not `usual` cost nothing where they do not occur."""

    key: str
    kind: Kind
    usual: bool = True
    required: bool = False


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) < 4000 else math.inf  # int() refuses more: its time grows with their square


_decode = json.JSONDecoder(parse_int=_integer).decode
_decode_exactly = json.JSONDecoder(parse_int=_integer, parse_float=Decimal).decode
"""As json.loads with these, which makes a decoder at each call: that takes longer than to decode a value."""


def id_of(text: str) -> int | str | None:
    """An id as it is joined: its number where it is an int64, or a float without a fraction up to where those are exact
    (1.0 is 1); else another text for each number, whatever zeros or exponent it is written with, and that of a string
    without regard to how it is escaped; None where it is null.

    Raises ValueError where the JSON text is no id.
    """
    try:
        value = _decode_exactly(text)
    except InvalidOperation:  # an exponent of 19 digits
        return text
    if value is None:
        return None
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, bool | list | dict):
        raise ValueError(text)
    if isinstance(value, Decimal):
        whole = value.copy_abs() <= EXACT and value == value.to_integral_value()  # abs() would round
        return int(value) if whole else _digits_of(value)
    return int(value) if -_LIMIT <= value < _LIMIT else text


def _digits_of(value: Decimal) -> str:
    """A number to the last digit that is no zero."""
    sign, digits, power = value.as_tuple()
    assert isinstance(power, int)  # JSON has no other
    figures = "".join(map(str, digits)).rstrip("0")
    return str(Decimal((sign, tuple(map(int, figures)), power + len(digits) - len(figures))))


def put(field: Field, text: str, row: dict[str, object], extra: dict[str, str]) -> tuple[str, str, str] | None:
    """Put one value into its column, or into `extra` where it does not fit; a code, message and detail where it is a
    fault."""
    if text == "null":
        if field.required:
            return ("bad-value", f"{field.key} is no id", text)
        extra[field.key] = text
        return None
    if field.kind == "raw":
        row[field.key] = text
        return None
    shown = shortened(text)
    if field.kind in ("id", "key"):
        return _id(field, text, shown, row, extra)
    value = _decode(text)
    if field.kind == "box":
        return _box(field, value, shown, row)
    number = not isinstance(value, bool) and isinstance(value, int | float) and abs(value) < math.inf
    least = 1 if field.kind == "size" else -(1 << 31)
    if field.kind == "flag" and (value in (0, 1)) and not isinstance(value, float):
        row[field.key] = bool(value)
    elif field.kind == "float" and number and _fits(value):
        row[field.key] = float(value)
    elif field.kind in ("size", "number") and number and value == value // 1 and least <= value < 1 << 31:
        row[field.key] = int(value)
    elif field.kind == "text" and isinstance(value, str):
        row[field.key] = value
    else:
        extra[field.key] = text
    return None


def _fits(value: int | float) -> bool:
    """Whether a number is a float64 to the last digit."""
    return isinstance(value, float) or (abs(value) < 1 << 1023 and float(value) == value)


def _id(
    field: Field, text: str, shown: str, row: dict[str, object], extra: dict[str, str]
) -> tuple[str, str, str] | None:
    try:
        value = id_of(text)
    except ValueError:
        return ("bad-value", f"{field.key} is no id", shown)
    if isinstance(value, int):
        row[field.key] = value
        return None
    row[field.key + "#"] = value
    if field.kind == "id":
        extra[field.key] = text
    return None


def _box(field: Field, value: object, shown: str, row: dict[str, object]) -> tuple[str, str, str] | None:
    if not isinstance(value, list) or len(value) != 4:
        return ("bad-value", f"{field.key} is not four numbers", shown)
    if any(isinstance(number, bool) or not isinstance(number, int | float) for number in value):
        return ("bad-value", f"{field.key} is not four numbers", shown)
    try:
        numbers = [float(number) for number in value]
    except OverflowError:
        numbers = [math.inf]
    if not all(map(math.isfinite, numbers)):
        return ("bad-number", f"{field.key} holds a number that is too large", shown)
    row[field.key] = numbers
    return None
