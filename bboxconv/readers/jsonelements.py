"""JSON objects of one kind to Arrow columns: a declaration of their fields, a fast way for what is usual and a slow
one that takes anything.

What has no field, and what does not fit its field but can be carried (an explicit null, a text where a number is
usual), goes to the `extra` column as JSON text under its own key, keys in order: which block met a key first must not
show. What cannot be read at all is a fault, which costs that object alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as with_default
from functools import lru_cache, partial
from itertools import chain
from typing import TypeVar

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv import jsontext
from bboxconv.errors import Findings, Record, cut
from bboxconv.readers.jsonblocks import ArrayReader, Keys, elements_of
from bboxconv.readers.jsonvalues import EXACT, Field, Kind, put
from bboxconv.schema import BBOX, bbox_array

T = TypeVar("T")
U = TypeVar("U")
MAX_KEYS = 64
"""Beyond this many keys without a field, objects are read one by one: no struct grows without bound."""

_TYPES: Mapping[Kind, object] = {
    "id": int,
    "key": int,
    "text": str,
    "float": float,
    "size": int,
    "number": int,
    "flag": int,
    "box": tuple[float, float, float, float],
    "raw": msgspec.Raw,
}
_ARROW: Mapping[Kind, pa.DataType] = {
    "id": pa.int64(),
    "key": pa.int64(),
    "text": pa.string(),
    "float": pa.float64(),
    "size": pa.int32(),
    "number": pa.int32(),
    "flag": pa.bool_(),
    "box": BBOX,
    "raw": pa.string(),
}
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NO_BOX = (math.nan,) * 4
_ABSENT = pa.scalar(None, pa.string())


@dataclass(frozen=True, slots=True)
class Fault:
    """Why one element was left out: its number in the block, the path below it, and what is wrong."""

    element: int
    path: str
    code: str
    message: str
    detail: str = ""
    raw: bytes = with_default(default=b"", compare=False)
    """The text of the element, cut."""

    def report(self, findings: Findings, file: str, array: str, first: int, *, images: int = 0, boxes: int = 0) -> None:
        """Add the fault to the findings; `array` is `$.annotations`, `first` the number of the block's first
        element, and so many images or boxes are left out for it."""
        record = Record(file, pointer=f"{array}[{first + self.element}]{self.path}", raw=self.raw)
        findings.add(self.code, self.message, record=record, detail=self.detail, images=images, boxes=boxes)


@dataclass(frozen=True, slots=True)
class Part:
    """The elements of one block: `batch` has the columns of `columns_of` for those that could be read, `count` is how
    many there were in all."""

    batch: pa.RecordBatch
    count: int
    faults: tuple[Fault, ...] = ()
    keys: Keys = ()
    text: bytes | Sequence[bytes] = b""
    """The text of the list, or of each element."""

    def raws(self, numbers: Sequence[int]) -> list[bytes]:
        """The text of the elements of these numbers, cut."""
        elements = elements_of(self.text) if isinstance(self.text, bytes) else self.text
        return [cut(elements[number]) for number in numbers]


def columns_of(fields: Sequence[Field]) -> pa.Schema:
    """The columns of a block: one a field, a second one (`key#`) for ids that are no int64 (see `id_of`), `element`
    (the number in the block) and `extra`."""
    columns: list[pa.Field] = []
    for field in fields:
        columns.append(pa.field(field.key, _ARROW[field.kind]))
        if field.kind in ("id", "key"):
            columns.append(pa.field(field.key + "#", pa.string()))
    return pa.schema([*columns, pa.field("element", pa.int64()), pa.field("extra", pa.string())])


def reader(fields: tuple[Field, ...]) -> ArrayReader[Part]:
    """How a top-level array of such objects is read, for `jsonstream.read_document`."""
    return ArrayReader(partial(_fast, fields), partial(_slow, fields))


def then(first: ArrayReader[Part], finish: Callable[[Part], U]) -> ArrayReader[U]:
    """The reader whose value is what `finish`, a top-level function, makes of that of `first`."""
    return ArrayReader(partial(_then, first.fast, finish), partial(_then, first.slow, finish))


def _then(
    read: Callable[[T, Keys], tuple[Part, Keys]], finish: Callable[[Part], U], text: T, keys: Keys
) -> tuple[U, Keys]:
    part, keys = read(text, keys)
    return finish(part), keys


def _skip(text: bytes, keys: Keys) -> tuple[Part, Keys]:
    return _skip_slow(_LIST.decode(text), keys)


def _skip_slow(elements: Sequence[object], keys: Keys) -> tuple[Part, Keys]:
    return Part(_batch((), {}, 0), len(elements)), keys


SKIPPED: ArrayReader[Part] = ArrayReader(_skip, _skip_slow)
"""How an array is read of which nothing is wanted: its elements are counted."""


@lru_cache(maxsize=256)
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
            key = message.removeprefix("Object contains unknown field `").rsplit("` - at `", 1)[0]
            if key == message or not _possible(key) or len(keys) >= MAX_KEYS:
                raise
            keys = (*keys, key)
        except UnicodeDecodeError as error:
            raise msgspec.ValidationError(str(error)) from error
    try:
        return replace(_part(fields, elements, keys, names), text=text), keys
    except (OverflowError, pa.ArrowInvalid, UnicodeError) as error:
        raise msgspec.ValidationError(str(error)) from error


def _possible(key: str) -> bool:
    """Whether a struct can have a field of that name."""
    return not any(c in '"\\' or c < " " for c in key)


def _part(fields: tuple[Field, ...], elements: Sequence[msgspec.Struct], keys: Keys, names: Mapping[str, str]) -> Part:
    columns: dict[str, pa.Array] = {}
    extra: dict[str, pa.Array] = {}
    values = _values(elements, names)
    for field in fields:
        if field.key in values:
            column = _column(field.kind, values[field.key])
            if field.required and column.null_count:
                raise msgspec.ValidationError(f"an object has no {field.key}")
            if field.kind == "raw":
                nothing = pc.equal(column, "null")
                if pc.any(nothing).as_py():
                    extra[field.key] = pc.if_else(nothing, column, _ABSENT)
                    column = pc.if_else(nothing, _ABSENT, column)
            columns[field.key] = column
    known = {field.key for field in fields}
    extra.update({key: _raw(values[key]) for key in keys if key not in known})
    columns["extra"] = jsontext.extras(dict(sorted(extra.items())), len(elements))
    columns["element"] = pa.array(np.arange(len(elements)))
    return Part(_batch(fields, columns, len(elements)), len(elements), (), keys)


def _values(elements: Sequence[msgspec.Struct], names: Mapping[str, str]) -> dict[str, Sequence[object]]:
    """The values of each key: of one list of all, in half the time of asking each object for each key."""
    every = list(chain.from_iterable(map(msgspec.structs.astuple, elements)))
    return {key: every[number :: len(names)] for number, key in enumerate(names)}


def _batch(fields: Sequence[Field], columns: Mapping[str, pa.Array], length: int) -> pa.RecordBatch:
    schema = columns_of(fields)
    return pa.RecordBatch.from_arrays(
        [columns[f.name] if f.name in columns else pa.nulls(length, f.type) for f in schema], schema=schema
    )


def _column(kind: Kind, values: Sequence[object]) -> pa.Array:
    """The values of one field; raises ValidationError, or what Arrow raises, where one does not fit."""
    if kind == "box":
        return _boxes(values)
    if kind == "raw":
        return _raw(values)
    if kind == "flag":
        numbers = _integers(values, pa.int8())
        if pc.any(pc.and_kleene(pc.not_equal(numbers, 0), pc.not_equal(numbers, 1))).as_py():
            raise msgspec.ValidationError("a flag is neither 0 nor 1")
        return numbers.cast(pa.bool_())
    array = pa.array(values, _ARROW[kind]) if kind in ("text", "float") else _integers(values, _ARROW[kind])
    if kind == "size" and pc.any(pc.less(array, 1)).as_py():
        raise msgspec.ValidationError("a size is not above 0")
    if kind == "float" and pc.any(pc.greater_equal(pc.abs(array), float(EXACT))).as_py():
        raise msgspec.ValidationError("a number may have been rounded")
    return array


def _integers(values: Sequence[object], kind: pa.DataType) -> pa.Array:
    """Integers, in half the time of Arrow where none is null."""
    try:
        return pa.array(np.fromiter(values, kind.to_pandas_dtype(), len(values)))
    except TypeError:
        return pa.array(values, kind)


def _boxes(values: Sequence[object]) -> pa.Array:
    try:
        return bbox_array(_corners(values))
    except TypeError:  # one is null: to look for it first would cost every block
        valid = np.fromiter((value is not None for value in values), np.bool_, len(values))
        return bbox_array(_corners([_NO_BOX if value is None else value for value in values]), valid)


def _corners(values: Sequence[object]) -> NDArray[np.float64]:
    flat: Iterable[float] = chain.from_iterable(values)  # type: ignore[arg-type]
    return np.fromiter(flat, np.float64, len(values) * 4).reshape(-1, 4)


def _raw(values: Sequence[object]) -> pa.Array:
    """Raw JSON to text in one join; the cast proves that it is UTF-8, which the decoder does not."""
    try:
        return _joined(values)
    except TypeError:  # as above
        text = _joined([b"" if value is None else value for value in values])
        return pc.if_else(pa.array([value is not None for value in values]), text, _ABSENT)


def _joined(values: Sequence[object]) -> pa.StringArray:
    present: Sequence[msgspec.Raw] = values  # type: ignore[assignment]
    offsets = np.zeros(len(values) + 1, np.int32)
    np.cumsum(np.fromiter(map(len, present), np.int32, len(values)), out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(present))]
    return pa.Array.from_buffers(pa.binary(), len(values), buffers).cast(pa.string())


def _slow(fields: tuple[Field, ...], elements: Sequence[bytes], keys: Keys) -> tuple[Part, Keys]:
    rows: list[dict[str, object]] = []
    faults: list[Fault] = []
    met = dict.fromkeys(keys)
    for number, element in enumerate(elements):
        row = _element(fields, element, number, met)
        if isinstance(row, Fault):
            faults.append(replace(row, raw=cut(element)))
        else:
            rows.append({**row, "element": number})
    columns = {
        f.name: bbox_array(
            np.array([_NO_BOX if row.get(f.name) is None else row[f.name] for row in rows]).reshape(-1, 4),
            _present(rows, f.name),
        )
        if f.type == BBOX
        else pa.array([row.get(f.name) for row in rows], f.type)
        for f in columns_of(fields)
    }
    usual = {field.key for field in fields if field.usual}
    keys = tuple(key for key in met if key not in usual and _possible(key))[:MAX_KEYS]
    return Part(_batch(fields, columns, len(rows)), len(elements), tuple(faults), keys, elements), keys


def _present(rows: Sequence[Mapping[str, object]], name: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.fromiter((row.get(name) is not None for row in rows), np.bool_, len(rows))


class _NonFiniteError(ValueError):
    """A NaN or an Infinity, which JSON does not have."""


def _refuse(constant: str) -> float:
    raise _NonFiniteError(constant)


def _element(fields: tuple[Field, ...], element: bytes, number: int, met: dict[str, None]) -> dict[str, object] | Fault:
    """One object, whatever it holds: a row, or why it cannot be read. Its keys are added to `met`."""
    row: dict[str, object] = {}
    extra: dict[str, str] = {}
    try:
        element.decode("utf-8")
        raws = {key: bytes(raw).decode() for key, raw in _OBJECT.decode(element).items()}
        met.update(dict.fromkeys(raws))
        for field in fields:
            text = raws.pop(field.key, None)
            if text is None:
                if field.required:
                    return Fault(number, "", "missing-field", f"an element has no {field.key}")
                continue
            fault = put(field, text, row, extra)
            if fault:
                return Fault(number, f".{field.key}", *fault)
    except UnicodeDecodeError:
        return Fault(number, "", "bad-encoding", "the text is not UTF-8")
    except msgspec.ValidationError:
        return Fault(number, "", "bad-value", "an element is not an object")
    except RecursionError:
        return Fault(number, "", "too-deep", "a value is nested too deeply")
    except msgspec.DecodeError as error:
        return _malformed(element, number, str(error))
    row["extra"] = jsontext.compose(dict(sorted({**extra, **raws}.items())))
    return row


def _malformed(element: bytes, number: int, error: str) -> Fault:
    """What is wrong with text that the decoder refuses; the standard library reads a little more than JSON."""
    try:
        value = json.loads(element, parse_constant=_refuse)
        json.dumps(value, ensure_ascii=False).encode()
    except _NonFiniteError as constant:
        return Fault(number, "", "bad-number", "a number is not finite, which JSON does not allow", str(constant))
    except UnicodeEncodeError:
        message = "a text holds half of a surrogate pair, which is no character"
        return Fault(number, "", "bad-encoding", message)
    except (ValueError, RecursionError):
        pass
    return Fault(number, "", "bad-json", "an element is no JSON", error)
