"""JSON text in Arrow columns: numbers, strings and objects written for a whole column in a few calls, and their
members read back.

JSON text is carried as it was written; it is parsed only where units change or a writer needs what is inside.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, TypeAlias

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

WHOLE = 1 << 52
"""From here on every float64 is a whole number."""
_SHORT = 1e10
"""From here on whole numbers are shorter with an exponent."""
_PIXELS = 1024
"""Below this the text of hundredths is looked up: 100,000 texts, made in 6 ms."""
_MANY = 4096
"""Numbers of a column from which on that pays."""
Texts: TypeAlias = pa.StringArray | str | Sequence[pa.StringArray | str]
"""A text for each row; one for all; or what they are put together from, none of it null."""
_DECODER = msgspec.json.Decoder(dict[str, msgspec.Raw])
_DECODERS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


def members(text: str | bytes) -> dict[str, str]:
    """The members of a JSON object, each as its JSON text.

    Raises msgspec.DecodeError where the text is no JSON object.
    """
    return {key: bytes(raw).decode() for key, raw in _DECODER.decode(text).items()}


def keys(texts: pa.StringArray) -> list[tuple[str, ...]]:
    """The keys of each of many JSON objects. None may be null.

    Raises msgspec.DecodeError where a text is no JSON object.
    """
    whole = pc.binary_join(pa.ListArray.from_arrays(pa.array([0, len(texts)], pa.int32()), texts), ",")
    return [tuple(found) for found in _DECODERS.decode(b"[" + whole[0].as_buffer().to_pybytes() + b"]")]


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) < 4000 else digits  # int() refuses more: its time grows with their square


def _float(digits: str) -> float | str:
    number = float(digits)
    return number if math.isfinite(number) else digits


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")


_VALUE = json.JSONDecoder(parse_int=_integer, parse_float=_float, parse_constant=_refuse)


def value(text: str) -> Any:  # noqa: ANN401 - what JSON can say
    """What a JSON text says, as Python objects that can be written as JSON again: a number beyond those of a float, or
    of thousands of digits, is its text.

    Raises ValueError where it is no JSON, RecursionError where it is nested too deeply.
    """
    return _VALUE.decode(text)


def _is_exactly(digits: str, number: float) -> bool:
    """Whether a float, in its shortest text, is the number that was written."""
    try:
        return Decimal(digits) == Decimal(repr(number))
    except InvalidOperation:  # an exponent beyond all
        return False


def beyond_floats(text: str) -> str:
    """What `value` makes of the numbers of a JSON text: `converted` where one becomes text, `rounded` where one is not
    that of the text to its last digit, else nothing."""
    found: list[str] = []

    def number(digits: str) -> None:
        given = _float(digits)
        if isinstance(given, str):
            found.append("converted")
        elif not _is_exactly(digits, given):
            found.append("rounded")

    def whole(digits: str) -> None:
        if isinstance(_integer(digits), str):
            found.append("converted")

    json.loads(text, parse_float=number, parse_int=whole)
    return min(found, default="")


def compose(parts: Mapping[str, str]) -> str | None:
    """A JSON object from its members' JSON texts; None where there are none."""
    if not parts:
        return None
    return "{" + ",".join(f"{json.dumps(key, ensure_ascii=False)}:{text}" for key, text in parts.items()) + "}"


def numbers(values: pa.Array, *, on_non_finite: str = "null") -> pa.StringArray:
    """Each number as the shortest JSON text that reads back to the same bits (integers without a point); null stays
    null. JSON has no NaN and Infinity: they become `on_non_finite`.
    """
    if not pa.types.is_floating(values.type):
        return values.cast(pa.string())
    plain = values.fill_null(0.0).to_numpy(zero_copy_only=False)
    negative_zero = (plain == 0) & np.signbit(plain)
    if plain.dtype == np.float64 and (np.abs(plain) < _SHORT).all() and not negative_zero.any():
        mask = None if not values.null_count else values.is_null().to_numpy(zero_copy_only=False)
        whole = plain.astype(np.int64)
        if (whole == plain).all():  # the same text in a ninth of the time
            return pa.array(whole, mask=mask).cast(pa.string())
        if len(plain) >= _MANY and plain.min() >= 0 and plain.max() < _PIXELS:  # as COCO writes boxes: in a sixth
            cents = np.rint(plain * 100).astype(np.int32)
            if (cents / 100 == plain).all():
                return _hundredths().take(pa.array(cents, mask=mask))
    text = values.cast(pa.string())
    odd = ~np.isfinite(plain)
    if odd.any():
        text = pc.if_else(pa.array(odd), pa.scalar(on_non_finite), text)
    if negative_zero.any():  # "-0" reads back as the integer 0
        text = pc.if_else(pa.array(negative_zero), pa.scalar("-0.0"), text)
    return text


@lru_cache(maxsize=1)
def _hundredths() -> pa.StringArray:
    """The text of each hundredth below `_PIXELS`: 0, 0.01 and so on."""
    return pa.array(np.arange(100 * _PIXELS) / 100).cast(pa.string())


def decimals(values: NDArray[np.floating], digits: int) -> pa.StringArray:
    """Each number rounded to `digits` after the point, without trailing zeros."""
    if digits <= 6 and values.dtype == np.float64 and len(values) and values.min() >= 0 and values.max() <= 1:
        return _fractions(np.rint(values * 10.0**digits).astype(np.int32) * 10 ** (6 - digits))
    large = np.abs(values) >= WHOLE
    if large.any():  # they have no decimals, and rounding would multiply them out of range
        return numbers(pa.array(np.where(large, values, np.round(np.where(large, 0.0, values), digits)) + 0.0))
    return numbers(pa.array(np.round(values, digits) + 0.0))


def _fractions(millionths: NDArray[np.int32]) -> pa.StringArray:
    """Numbers from 0 to 1, given in millionths, as text: of the first three digits and the last three, each looked up,
    which takes half the time of making the text of a number."""
    first, last = np.divmod(millionths, 1000)
    starts, ends = _thousandths()
    start = starts.take(pa.array(np.where(last == 0, first + 1000, first)))
    return pc.binary_join_element_wise(start, ends.take(pa.array(last)), "")


@lru_cache(maxsize=1)
def _thousandths() -> tuple[pa.StringArray, pa.StringArray]:
    """0.000 to 0.999 as something follows, then 0 to 1 as nothing does; and what follows, without trailing zeros."""
    whole = [f"0.{number:03}" for number in range(1000)]
    alone = ["0", *(text.rstrip("0") for text in whole[1:]), "1"]
    return pa.array([*whole, *alone]), pa.array([f"{number:03}".rstrip("0") for number in range(1000)])


def strings(values: pa.Array) -> pa.StringArray:
    """Each string as a JSON string; null stays null."""
    quoted = pc.binary_join_element_wise('"', values, '"', "")
    characters = np.frombuffer(joined(values), np.uint8)
    if not any(
        found.any() for found in (characters < 0x20, characters == 0x22, characters == 0x5C, characters == 0x7F)
    ):
        return quoted  # the pattern takes ten times as long
    odd = pc.match_substring_regex(values, r'["\\\x00-\x1f\x7f]')
    written = pa.array(
        [None if s is None else json.dumps(s, ensure_ascii=False) for s in values.filter(odd).to_pylist()], pa.string()
    )
    return pc.replace_with_mask(quoted, odd.fill_null(False), written)


def booleans(values: pa.Array, *, true: str = "true", false: str = "false") -> pa.StringArray:
    """Each flag as JSON text; null stays null."""
    return pc.if_else(values, true, false)


def boxes(texts: Sequence[pa.StringArray], valid: pa.Array) -> pa.StringArray:
    """JSON arrays from the columns of their elements; null where not `valid`."""
    joined = pc.binary_join_element_wise("[", pc.binary_join_element_wise(*texts, ","), "]", "")
    return pc.if_else(valid, joined, pa.scalar(None, pa.string()))


def objects(columns: Mapping[str, pa.StringArray], extra: pa.StringArray | None = None) -> pa.StringArray:
    """JSON objects from columns of JSON text: a null is a key that is left out. The members of `extra` (JSON objects
    or null) follow. Without any member the object is `{}`.
    """
    held = {key: text for key, text in columns.items() if text.null_count < len(text)}
    # commas stand on the outer sides of a key that all rows have: then one join makes the whole text
    anchor = next((key for key, text in held.items() if not text.null_count), None)
    parts: list[str | pa.StringArray] = []
    before = anchor is not None
    for key, text in held.items():
        name = f"{json.dumps(key, ensure_ascii=False)}:"
        if key == anchor:
            parts += [name, text]
            before = False
        elif before:
            parts.append(pc.binary_join_element_wise(name, text, ",", ""))
        else:
            parts.append(pc.binary_join_element_wise(f",{name}", text, ""))
    if extra is not None and extra.null_count < len(extra):
        parts.append(_inside(extra))
    first = next(iter(columns.values()), extra)
    assert first is not None
    if anchor is not None:
        return pc.binary_join_element_wise("{", *parts, "}", "", null_handling="replace", null_replacement="")
    none = pa.repeat("", len(first))
    body = pc.binary_join_element_wise(none, *parts, "", null_handling="replace", null_replacement="")
    return pc.binary_join_element_wise("{", pc.utf8_slice_codeunits(body, 1), "}", "")


def tails(columns: Mapping[str, Texts], extra: pa.StringArray) -> list[pa.StringArray | str]:
    """What follows the first member in the text of JSON objects, as the pieces that one join puts together: every
    further member with a comma before it, a null left out, the members of `extra`, and the brace.
    """
    pieces: list[pa.StringArray | str] = [""]

    def put(piece: pa.StringArray | str) -> None:
        if isinstance(piece, str) and isinstance(pieces[-1], str):
            pieces[-1] += piece
        else:
            pieces.append(piece)

    for key, given in columns.items():
        name = f",{json.dumps(key)}:"
        for piece in (given,) if isinstance(given, str | pa.StringArray) else given:
            if isinstance(piece, str) or not piece.null_count:
                put(name)
                put(piece)
            elif piece.null_count < len(piece):
                put(pc.binary_join_element_wise(name, piece, "").fill_null(""))
            name = ""
    if extra.null_count < len(extra):
        put(_inside(extra).fill_null(""))
    put("}")
    return pieces


def _inside(extra: pa.StringArray) -> pa.StringArray:
    """The members of JSON objects with a comma before them; null where there are none."""
    inside = pc.utf8_slice_codeunits(pc.if_else(pc.equal(extra, "{}"), pa.scalar(None, pa.string()), extra), 1, -1)
    return pc.binary_join_element_wise(",", inside, "")


def extras(columns: Mapping[str, pa.StringArray], length: int) -> pa.StringArray:
    """An `extra` column from columns of JSON text: as `objects`, and null where an object would have no member."""
    present = {key: column for key, column in columns.items() if column.null_count < len(column)}
    if not present:
        return pa.nulls(length, pa.string())
    written = objects(present)
    return pc.if_else(pc.equal(written, "{}"), pa.scalar(None, pa.string()), written)


def rows_with(texts: pa.StringArray, keys: Sequence[str]) -> list[int]:
    """The numbers of the rows whose JSON text may have one of these keys (plain words), at whatever depth; the others
    have none of them.
    """
    likely = pc.match_substring_regex(texts, '"(?:' + "|".join(keys) + r')"\s*:').fill_null(False)
    rows: list[int] = np.flatnonzero(likely.to_numpy(zero_copy_only=False)).tolist()
    return rows


def joined(texts: pa.StringArray) -> memoryview:
    """The bytes of all texts one behind the other, without a copy. None may be null."""
    offsets, data = texts.buffers()[1:]
    if data is None:
        return memoryview(b"")
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return memoryview(data)[int(ends[0]) : int(ends[-1])]
