"""JSON objects of one kind to Arrow columns: a declaration of their fields, a fast way for what is usual and a slow one that takes anything.

What has no field, and what does not fit its field but can be carried (an explicit null, a text where a number is usual), goes to the `extra` column as JSON text under its own key. What cannot be read at all is a
fault, which costs that object alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain
from typing import Literal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bboxconv import jsontext
from bboxconv.errors import Findings
from bboxconv.jsonstream import ArrayReader, Keys
from bboxconv.schema import BBOX, bbox_array

Kind = Literal["id", "text", "float", "size", "flag", "box", "raw"]
"""id: int64, or else its written form; text: string; float; size: int32 above 0; flag: 0 or 1, true or false; box: four numbers; raw: any JSON, kept as text."""

MAX_KEYS = 64
"""Beyond this many keys without a field, objects are read one by one: no struct grows without bound."""

_TYPES: Mapping[Kind, object] = {
    "id": int,
    "text": str,
    "float": float,
    "size": int,
    "flag": int,
    "box": tuple[float, float, float, float],
    "raw": msgspec.Raw,
}
_ARROW: Mapping[Kind, pa.DataType] = {
    "id": pa.int64(),
    "text": pa.string(),
    "float": pa.float64(),
    "size": pa.int32(),
    "flag": pa.bool_(),
    "box": BBOX,
    "raw": pa.string(),
}
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NO_BOX = (math.nan,) * 4
_LIMIT = 1 << 63


@dataclass(frozen=True, slots=True)
class Field:
    """A key and what its value is. Fields that are not `usual` cost nothing where they do not occur."""

    key: str
    kind: Kind
    usual: bool = True
    required: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """Why one element was left out: its number in the block, the path below it, and what is wrong."""

    element: int
    path: str
    code: str
    message: str
    detail: str = ""

    def report(self, findings: Findings, array: str, first: int) -> None:
        """Add the fault to the findings; `array` is `file.json: $.annotations`, `first` the number of the block's first element."""
        findings.add(self.code, self.message, where=f"{array}[{first + self.element}]{self.path}", detail=self.detail)


@dataclass(frozen=True, slots=True)
class Part:
    """The elements of one block: `batch` has the columns of `columns_of` for those that could be read, `count` is how many there were in all."""

    batch: pa.RecordBatch
    count: int
    faults: tuple[Fault, ...] = ()
    keys: Keys = ()


def columns_of(fields: Sequence[Field]) -> pa.Schema:
    """The columns of a block: one a field, a second one (`key#`) for the written form of ids that are no int64, `element` (the number in the block) and `extra`."""
    columns: list[pa.Field] = []
    for field in fields:
        columns.append(pa.field(field.key, _ARROW[field.kind]))
        if field.kind == "id":
            columns.append(pa.field(field.key + "#", pa.string()))
    return pa.schema([*columns, pa.field("element", pa.int64()), pa.field("extra", pa.string())])


def reader(fields: tuple[Field, ...]) -> ArrayReader[Part]:
    """How a top-level array of such objects is read, for `jsonstream.read_document`."""
    return ArrayReader(partial(_fast, fields), partial(_slow, fields))


@cache
def _struct(fields: tuple[Field, ...], keys: Keys) -> tuple[msgspec.json.Decoder[list[msgspec.Struct]], dict[str, str]]:
    """A decoder for objects with the usual fields and these further keys, and the attribute of each key."""
    kinds = {field.key: field.kind for field in fields}
    present = [field.key for field in fields if field.usual] + list(keys)
    names = {key: f"f{number}" for number, key in enumerate(present)}
    defined = msgspec.defstruct(
        "Element",
        [(name, _TYPES[kinds.get(key, "raw")], None) for key, name in names.items()],
        rename={name: key for key, name in names.items()},
        forbid_unknown_fields=True,
        gc=False,
    )
    return msgspec.json.Decoder(list[defined]), names  # type: ignore[valid-type]


def _fast(fields: tuple[Field, ...], text: bytes, keys: Keys) -> tuple[Part, Keys]:
    while True:
        decoder, names = _struct(fields, keys)
        try:
            elements = decoder.decode(text)
            break
        except msgspec.ValidationError as error:
            message = str(error)
            if not message.startswith("Object contains unknown field `") or len(keys) >= MAX_KEYS:
                raise
            keys = (*keys, message.removeprefix("Object contains unknown field `").rsplit("` - at `", 1)[0])
    columns: dict[str, pa.Array] = {}
    for field in fields:
        if field.key in names:
            name = names[field.key]
            values = [getattr(element, name) for element in elements]
            if field.required and None in values:
                raise msgspec.ValidationError(f"an object has no {field.key}")
            columns[field.key] = _column(field.kind, values)
    known = {field.key for field in fields}
    extra = {key: _raw([getattr(element, names[key]) for element in elements]) for key in keys if key not in known}
    columns["extra"] = jsontext.extras(extra, len(elements))
    columns["element"] = pa.array(np.arange(len(elements)))
    return Part(_batch(fields, columns, len(elements)), len(elements), (), keys), keys


def _batch(fields: Sequence[Field], columns: Mapping[str, pa.Array], length: int) -> pa.RecordBatch:
    schema = columns_of(fields)
    return pa.RecordBatch.from_arrays([columns[f.name] if f.name in columns else pa.nulls(length, f.type) for f in schema], schema=schema)


def _column(kind: Kind, values: list[object]) -> pa.Array:
    """The values of one field; raises ValidationError where one does not fit."""
    try:
        if kind == "box":
            return _boxes(values)
        if kind == "raw":
            return _raw(values)
        if kind == "flag":
            numbers = pa.array(values, pa.int8())
            if pc.any(pc.and_kleene(pc.not_equal(numbers, 0), pc.not_equal(numbers, 1))).as_py():
                raise msgspec.ValidationError("a flag is neither 0 nor 1")
            return numbers.cast(pa.bool_())
        array = pa.array(values, _ARROW[kind])
        if kind == "size" and pc.any(pc.less(array, 1)).as_py():
            raise msgspec.ValidationError("a size is not above 0")
        return array
    except (OverflowError, pa.ArrowInvalid, UnicodeError) as error:
        raise msgspec.ValidationError(str(error)) from error


def _boxes(values: Sequence[object]) -> pa.Array:
    valid = None
    if None in values:
        valid = np.fromiter((value is not None for value in values), np.bool_, len(values))
        values = [_NO_BOX if value is None else value for value in values]
    flat: Iterable[float] = chain.from_iterable(values)  # type: ignore[arg-type]
    return bbox_array(np.fromiter(flat, np.float64, len(values) * 4).reshape(-1, 4), valid)


def _raw(values: Sequence[object]) -> pa.Array:
    """Raw JSON to text in one join; the cast proves that it is UTF-8, which the decoder does not."""
    absent = None in values
    present: Sequence[msgspec.Raw] = [b"" if value is None else value for value in values] if absent else values  # type: ignore[assignment, misc]
    offsets = np.zeros(len(values) + 1, np.int32)
    np.cumsum(np.fromiter(map(len, present), np.int32, len(values)), out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(present))]
    text = pa.Array.from_buffers(pa.binary(), len(values), buffers).cast(pa.string())
    if not absent:
        return text
    valid = pa.array([value is not None for value in values])
    return pc.if_else(valid, text, pa.scalar(None, pa.string()))


def _slow(fields: tuple[Field, ...], elements: Sequence[bytes], keys: Keys) -> tuple[Part, Keys]:
    rows: list[dict[str, object]] = []
    faults: list[Fault] = []
    for number, element in enumerate(elements):
        row = _element(fields, element, number)
        if isinstance(row, Fault):
            faults.append(row)
        else:
            rows.append({**row, "element": number})
    columns = {
        f.name: bbox_array(np.array([_NO_BOX if row.get(f.name) is None else row[f.name] for row in rows]).reshape(-1, 4), _present(rows, f.name))
        if f.type == BBOX
        else pa.array([row.get(f.name) for row in rows], f.type)
        for f in columns_of(fields)
    }
    return Part(_batch(fields, columns, len(rows)), len(elements), tuple(faults), keys), keys


def _present(rows: Sequence[Mapping[str, object]], name: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.fromiter((row.get(name) is not None for row in rows), np.bool_, len(rows))


class _NonFinite(ValueError):
    """A NaN or an Infinity, which JSON does not have."""


def _refuse(constant: str) -> float:
    raise _NonFinite(constant)


def _element(fields: tuple[Field, ...], element: bytes, number: int) -> dict[str, object] | Fault:
    """One object, whatever it holds: a row, or why it cannot be read."""
    try:
        element.decode("utf-8")
        raws = {key: bytes(raw).decode() for key, raw in _OBJECT.decode(element).items()}
    except UnicodeDecodeError:
        return Fault(number, "", "bad-encoding", "the text is not UTF-8")
    except msgspec.ValidationError:
        return Fault(number, "", "bad-value", "an element is not an object")
    except RecursionError:
        return Fault(number, "", "too-deep", "a value is nested too deeply")
    except msgspec.DecodeError as error:
        try:
            json.loads(element, parse_constant=_refuse)
        except _NonFinite as constant:
            return Fault(number, "", "bad-number", "a number is not finite, which JSON does not allow", str(constant))
        except (ValueError, RecursionError):
            pass
        return Fault(number, "", "bad-json", "an element is no JSON", str(error))
    row: dict[str, object] = {}
    extra: dict[str, str] = {}
    for field in fields:
        text = raws.pop(field.key, None)
        if text is None:
            if field.required:
                return Fault(number, "", "missing-field", f"an element has no {field.key}")
            continue
        fault = _value(field, text, row, extra)
        if fault:
            return Fault(number, f".{field.key}", *fault)
    row["extra"] = jsontext.compose({**extra, **raws})
    return row


def _value(field: Field, text: str, row: dict[str, object], extra: dict[str, str]) -> tuple[str, str, str] | None:
    """Put one value into its column, or into `extra` where it does not fit; a code, message and detail where it is a fault."""
    if field.kind == "raw":
        row[field.key] = text
        return None
    value = json.loads(text)
    shown = text if len(text) <= 60 else text[:57] + "..."
    if field.kind == "box":
        return _box(field, value, shown, row, extra)
    number = not isinstance(value, bool) and isinstance(value, int | float)
    if field.kind == "id":
        if (value is None and field.required) or isinstance(value, bool | list | dict):
            return ("bad-value", f"{field.key} is no id", shown)
        if number and value == value // 1 and -_LIMIT <= value < _LIMIT and (isinstance(value, int) or abs(value) <= 1 << 53):
            row[field.key] = int(value)
        elif value is None:
            extra[field.key] = text
        else:
            row[field.key + "#"] = text
            if not field.required:
                extra[field.key] = text
    elif field.kind == "flag" and (value in (0, 1)) and not isinstance(value, float):
        row[field.key] = bool(value)
    elif field.kind == "float" and number and abs(value) < math.inf and float(value) == value:
        row[field.key] = float(value)
    elif field.kind == "size" and number and value == value // 1 and 0 < value < 1 << 31:
        row[field.key] = int(value)
    elif field.kind == "text" and isinstance(value, str):
        row[field.key] = value
    else:
        extra[field.key] = text
    return None


def _box(field: Field, value: object, shown: str, row: dict[str, object], extra: dict[str, str]) -> tuple[str, str, str] | None:
    if value is None:
        extra[field.key] = "null"
        return None
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
