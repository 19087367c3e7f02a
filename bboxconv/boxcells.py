"""The cells of a column of any Arrow type, as the fields of boxes: numbers, integers, flags, texts, JSON.

Text comes from csv files, the other types from data frames. Every function takes a column (N,) and gives one, with
nulls where nothing is said, and which cells (N,) say something else than they may.
"""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv import jsontext, schema

Mask = NDArray[np.bool_]
_NOTHING = pa.array(["", "nan", "na", "n/a", "<na>", "null", "none"])
"""What stands for no number, in lower case."""
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_INTEGER = r"^(0|-?[1-9][0-9]{0,18})$"
_LONG = r"^-?[0-9]{19}$"
_JSON_NUMBER = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$"
_PART = r"[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?"
_FOUR = r"^[\[({\s]*" + r"(?:\s*[,;]\s*|\s+)".join(f"(?P<n{n}>{_PART})" for n in range(4)) + r"[\])}\s]*$"
_FLAGS = pa.array(["1", "true", "yes", "t", "y", "1.0", "0", "false", "no", "f", "n", "0.0"])
_TRUE = 6  # so many of them say yes
_NO_TEXT = pa.scalar(None, pa.string())


def stored(column: pa.Array) -> pa.Array:
    """The column without what Arrow wraps around it: extension types, dictionaries, large and view texts."""
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if pa.types.is_dictionary(column.type):
        return stored(column.dictionary).take(column.indices)
    return column.cast(pa.string()) if _is_text(column.type) and column.type != pa.string() else column


def _is_text(kind: pa.DataType) -> bool:
    views = pa.types.is_string_view(kind) or pa.types.is_binary_view(kind)
    plain = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return bool(views or plain or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _all(length: int, value: bool) -> Mask:
    return np.full(length, value, np.bool_)


def _mask(column: pa.Array) -> Mask:
    found: Mask = column.fill_null(False).to_numpy(zero_copy_only=False)
    return found


def texts(column: pa.Array, *, trim: bool = False) -> pa.StringArray:
    """Each cell as text, null where it is empty; whole numbers without a point."""
    column = stored(column)
    if pa.types.is_floating(column.type):
        column = jsontext.numbers(pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column))
    text = column.cast(pa.string())
    if trim:
        text = pc.utf8_trim_whitespace(text)
    return pc.if_else(pc.equal(text, ""), _NO_TEXT, text)


def numbers(column: pa.Array, *, comma: bool = False) -> tuple[pa.DoubleArray, Mask]:
    """Each cell as the nearest float64; NaN is no number, and text must be a finite one. `comma`: the decimal point
    of text is a comma."""
    column = stored(column)
    if pa.types.is_null(column.type):
        return pa.nulls(len(column), pa.float64()), _all(len(column), False)
    if not pa.types.is_string(column.type):
        try:
            values = column.cast(pa.float64(), safe=False)
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
            return pa.nulls(len(column), pa.float64()), column.is_valid().to_numpy(zero_copy_only=False)
        return pc.if_else(pc.is_nan(values), pa.scalar(None, pa.float64()), values), _all(len(column), False)
    try:
        values = (pc.replace_substring(column, ",", ".") if comma else column).cast(pa.float64())
        if pc.all(pc.is_finite(values)).as_py() is not False:
            return values, _all(len(column), False)
    except pa.ArrowInvalid:
        pass
    text = pc.utf8_trim_whitespace(column)
    text = pc.if_else(pc.is_in(pc.utf8_lower(text), value_set=_NOTHING), _NO_TEXT, text)
    if comma:
        text = pc.replace_substring(text, ",", ".", max_replacements=1)
    sound = pc.if_else(pc.match_substring_regex(text, _NUMBER), text, _NO_TEXT)
    try:
        values = pc.utf8_ltrim(sound, "+").cast(pa.float64())
    except pa.ArrowInvalid:  # beyond the largest
        values = pa.array([None if cell is None else float(cell) for cell in sound.to_pylist()], pa.float64())
    values = pc.if_else(pc.is_finite(values), values, pa.scalar(None, pa.float64()))
    return values, _mask(pc.and_(text.is_valid(), values.is_null()))


def integers(column: pa.Array) -> tuple[pa.Int64Array, Mask]:
    """Each cell that is an int64 as such; text only as it would be written."""
    column = stored(column)
    if pa.types.is_integer(column.type):
        try:
            return column.cast(pa.int64()), _all(len(column), False)
        except pa.ArrowInvalid:
            column = column.cast(pa.string())
    text = texts(column)
    sound = pc.match_substring_regex(text, _INTEGER)
    long = _mask(pc.match_substring_regex(text, _LONG))
    if long.any():  # which of these an int64 holds, Python knows
        held = [-(2**63) <= int(cell) < 2**63 for cell in text.filter(pa.array(long)).to_pylist()]
        fits = np.ones(len(text), np.bool_)
        fits[long] = held
        sound = pc.and_(sound, pa.array(fits))
    return pc.if_else(sound, text, _NO_TEXT).cast(pa.int64()), _mask(pc.invert(sound))


def whole(column: pa.Array, *, least: int, most: int, comma: bool = False) -> tuple[pa.Int32Array, Mask]:
    """Each cell as a whole number between two; text may say `640.0`."""
    values, bad = numbers(column, comma=comma)
    floats = values.fill_null(least).to_numpy(zero_copy_only=False)
    with np.errstate(invalid="ignore"):
        sound = (floats >= least) & (floats <= most) & (floats == np.floor(floats))
    given = values.is_valid().to_numpy(zero_copy_only=False)
    return pa.array(np.where(sound, floats, 0).astype(np.int32), mask=~(sound & given)), bad | ~sound


def flags(column: pa.Array) -> tuple[pa.BooleanArray, Mask]:
    """Each cell as a flag: 1 and 0, true and false, yes and no."""
    column = stored(column)
    if pa.types.is_boolean(column.type):
        return column, _all(len(column), False)
    text = pc.utf8_lower(texts(column, trim=True))
    text = pc.if_else(pc.is_in(text, value_set=_NOTHING), _NO_TEXT, text)
    place = pc.index_in(text, value_set=_FLAGS)
    return pc.less(place, _TRUE), _mask(pc.and_(place.is_null(), text.is_valid()))


def shapes(column: pa.Array) -> tuple[pa.DictionaryArray, Mask]:
    """Each cell as one of schema.SHAPES."""
    text = texts(column)
    place = pc.index_in(text, value_set=pa.array(schema.SHAPES))
    valid = place.is_valid().to_numpy(zero_copy_only=False)
    codes = place.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int8)
    return schema.shape_array(codes, valid), _mask(pc.and_(text.is_valid(), place.is_null()))


def four(column: pa.Array, *, comma: bool = False) -> tuple[list[pa.DoubleArray], Mask]:
    """The four numbers of each cell, which is a list, or text such as `[1, 2, 3, 4]`."""
    column = stored(column)
    kind = column.type
    if pa.types.is_null(kind):
        return [pa.nulls(len(column), pa.float64())] * 4, _all(len(column), False)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        sound = pc.equal(pc.list_value_length(column), 4).fill_null(False)
        kept = pc.if_else(sound, column, pa.scalar(None, kind))
        parts = [
            numbers(pc.list_element(kept, n)) if len(kept) else (pa.nulls(0, pa.float64()), None) for n in range(4)
        ]
        return [part for part, _ in parts], _mask(pc.and_not(column.is_valid(), sound))
    try:
        text = texts(column, trim=True)
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):  # structs, bytes
        return [pa.nulls(len(column), pa.float64())] * 4, column.is_valid().to_numpy(zero_copy_only=False)
    text = pc.if_else(pc.is_in(pc.utf8_lower(text), value_set=_NOTHING), _NO_TEXT, text)
    found = pc.extract_regex(text, _FOUR)
    split = [numbers(pc.struct_field(found, n)) for n in range(4)]
    odd = np.logical_or.reduce([bad for _, bad in split])
    return [part for part, _ in split], odd | _mask(pc.and_(text.is_valid(), found.is_null()))


def json_texts(column: pa.Array, *, text: bool) -> pa.StringArray:
    """Each cell as JSON text; `text`: cells came as text, of which numbers are numbers."""
    column = stored(column)
    kind = column.type
    if pa.types.is_null(kind):
        return pa.nulls(len(column), pa.string())
    if pa.types.is_string(kind):
        given = pc.if_else(pc.equal(column, ""), _NO_TEXT, column) if text else column
        quoted = jsontext.strings(given.fill_null(""))
        written = pc.if_else(given.is_valid(), quoted, _NO_TEXT)
        return pc.if_else(pc.match_substring_regex(given, _JSON_NUMBER), given, written) if text else written
    if pa.types.is_boolean(kind):
        return jsontext.booleans(column)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return jsontext.numbers(column, on_non_finite="null")
    if pa.types.is_nested(kind):
        cells = column.to_pylist()
        return pa.array([None if cell is None else json.dumps(cell, default=str) for cell in cells], pa.string())
    return pc.if_else(column.is_valid(), jsontext.strings(column.cast(pa.string()).fill_null("")), _NO_TEXT)
