"""Lines of JSON that are one image each: decoded in blocks into columns.

A block is decoded at once where every line is as bboxconv or Ultralytics writes it. Where one is not, the lines of
that block are decoded one by one, those that differ key by key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from typing import Annotated, Literal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bboxconv import schema
from bboxconv.boxes import convert_boxes, extent
from bboxconv.errors import cut
from bboxconv.jsontext import compose, members
from bboxconv.readers.lines import Block
from bboxconv.readers.linetexts import object_texts
from bboxconv.schema import SHAPES, Shape

Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Size = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
Number = float | None
NULL = msgspec.Raw(b"null")


class ObjectLine(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """An object of an image line: the fields of schema.OBJECT."""

    id: Int64 | None = None
    category: Int64 | str | None = None
    bbox: tuple[Number, Number, Number, Number] | None = None
    shape: Shape | None = None
    score: float | None = None
    area: float | None = None
    iscrowd: bool | None = None
    difficult: bool | None = None
    ignore: bool | None = None
    truncated: float | None = None
    occluded: float | None = None
    rotation: float | None = None
    track_id: Int64 | None = None
    segmentation: msgspec.Raw = NULL
    keypoints: msgspec.Raw = NULL
    extra: msgspec.Raw = NULL


class ImageLine(msgspec.Struct, forbid_unknown_fields=True, rename={"file_name": "file"}, gc=False):
    """An image line: the fields of schema.IMAGE, or Ultralytics' rows in place of objects."""

    type: Literal["image"] = "image"
    file_name: str | None = None
    id: Int64 | None = None
    width: Size | None = None
    height: Size | None = None
    split: str | None = None
    video: str | None = None
    frame: Int32 | None = None
    objects: list[ObjectLine] | None = None
    annotations: dict[str, list[list[float]]] | None = None
    extra: msgspec.Raw = NULL


@dataclass(frozen=True, slots=True)
class Reading:
    """How lines are read. `classes` gives the index of each class by name or number; None where that is not known
    yet: the category column then indexes `Part.classes`."""

    classes: Mapping[int | str, int] | None = None
    rows: bool = False
    """Whether Ultralytics' rows may occur: the box format is cxcywhn."""
    background: bool = False
    """Whether an image that names no objects has none, instead of nobody having looked."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that cannot be read, in this line of its block (from 1)."""

    line: int
    code: str
    message: str
    detail: str
    raw: bytes = b""
    """The text of the line, or of the object, cut."""
    pointer: str = ""
    """Where the object stands in its line, where it is an object alone."""


@dataclass(frozen=True, slots=True)
class Part:
    """What a block of lines held: a batch in schema.IMAGE, and what could not be read."""

    batch: pa.RecordBatch
    faults: tuple[Fault, ...]
    classes: tuple[int | str, ...]
    """The classes in order of first sight."""


class _BadValueError(ValueError):
    """A value that is JSON and not what its key asks for."""


_LINE = msgspec.json.Decoder(ImageLine)
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])
_OTHER_IMAGE_KEYS = {"file_name": "file"}
_OTHER_OBJECT_KEYS = {"label": "category", "class": "category", "class_name": "category", "box": "bbox"}
_STRICT = frozenset({"type", "id", "track_id", "category", "file_name", "split", "video", "shape"})
"""Where a number is not taken for another kind: `7.0` is no id, and `1` no name."""
_IDS = frozenset({"id", "track_id"})
_NO_ID = (b"[", b"{", b"t", b"f")
"""How a value begins that no format takes for an id."""
_SIZES = frozenset({"width", "height"})
"""As for ids, what the column cannot hold is kept in `extra`: some write 0 for a size that nobody knows."""
_LEVELS = frozenset({"truncated", "occluded"})
_FLAGS = {b"true": b"1", b"false": b"0"}
_NO_BOX = (np.nan,) * 4

Decoder = msgspec.json.Decoder[object]
Keys = Mapping[str, tuple[str, Decoder, Decoder]]


def _keys(kind: type[msgspec.Struct], others: Mapping[str, str]) -> Keys:
    """The attribute of each key of a line, the decoder of its values, and that of values with a text in them, which is
    never taken for a number; `extra` left out."""
    known = {
        field.encode_name: (field.name, Decoder(field.type, strict=field.name in _STRICT), Decoder(field.type))
        for field in msgspec.structs.fields(kind)
        if field.name != "extra"
    }
    return known | {other: known[key] for other, key in others.items()}


_IMAGE_KEYS = _keys(ImageLine, _OTHER_IMAGE_KEYS)
_OBJECT_KEYS = _keys(ObjectLine, _OTHER_OBJECT_KEYS)


def parse(task: tuple[Block, Reading]) -> Part:
    """The images of a block of lines; a task for `workers.run`. A line that cannot be read is left out and is a
    fault."""
    block, reading = task
    data = block.read()
    count = data.count(b"\n") + (not data.endswith(b"\n"))
    try:
        images = _LINE.decode_lines(data)
        alone = b"\r" in data and data.count(b"\r") > data.count(b"\r\n")  # which it takes for the end of a line
        if len(images) == count and not alone:  # else there are blank lines, or one object stands on two of them
            for image in images:
                if image.annotations is not None:
                    _read_rows(image, reading)
            return _part(images, range(1, count + 1), data, reading, [])
    except (ValueError, RecursionError):  # msgspec's, those of UTF-8 and Arrow's are ValueErrors
        pass
    return _one_by_one(data, reading)


def _malformed(line: bytes, number: int, error: str) -> Fault:
    """What is wrong with a line that the decoder refuses: JSON may name half of a surrogate pair, text may not."""
    try:
        json.dumps(json.loads(line), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        message = "a text holds half of a surrogate pair, which is no character"
        return Fault(number, "bad-encoding", message, error, cut(line))
    except (ValueError, RecursionError):
        pass
    return Fault(number, "bad-json", "line is not JSON", error, cut(line))


def _one_by_one(data: bytes, reading: Reading) -> Part:
    faults: list[Fault] = []
    images: list[ImageLine] = []
    numbers: list[int] = []
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line or line.isspace():
            continue
        try:
            line.decode()  # msgspec does not look into raw values
            image = _image(line)
            if image.annotations is not None:
                _read_rows(image, reading)
            images.append(image)
            numbers.append(number)
        except UnicodeDecodeError as error:
            faults.append(Fault(number, "bad-encoding", "line is not UTF-8", str(error), cut(line)))
        except (msgspec.ValidationError, _BadValueError) as error:
            faults.append(Fault(number, "bad-value", "value is not of its kind", str(error), cut(line)))
        except RecursionError:
            faults.append(Fault(number, "too-deep", "a value is nested too deeply", "", cut(line)))
        except msgspec.DecodeError as error:
            faults.append(_malformed(line, number, str(error)))
    return _part(images, numbers, data, reading, faults)


def _image(line: bytes) -> ImageLine:
    """A line whose keys or values may be others than `ImageLine` has."""
    parts = _MEMBERS.decode(line)
    if bytes(parts.get("annotations", NULL))[:1] == b"[":
        parts["objects"] = parts.pop("annotations")
    objects = _ELEMENTS.decode(parts.pop("objects", NULL)) if bytes(parts.get("objects", NULL)) != b"null" else None
    image = ImageLine(**_attributes(parts, _IMAGE_KEYS, "$"))  # type: ignore[arg-type]  # each through its decoder
    if objects is not None:
        image.objects = [
            ObjectLine(**_attributes(_MEMBERS.decode(text), _OBJECT_KEYS, f"$.objects[{index}]"))  # type: ignore[arg-type]
            for index, text in enumerate(objects)
        ]
    return image


def _attributes(parts: Mapping[str, msgspec.Raw], keys: Keys, where: str) -> dict[str, object]:
    """The attributes of a line or an object from its members; what has no attribute becomes a member of `extra`."""
    values: dict[str, object] = {}
    extra: dict[str, str] = {}
    given = NULL
    for key, raw in parts.items():
        text = bytes(raw)
        name, *decoders = keys.get(key, ("",))
        if key == "extra" and text[:1] in (b"{", b"n"):
            given = raw
        elif not decoders or name in values:
            extra[key] = text.decode()
        else:
            try:
                values[name] = decoders[b'"' in text].decode(_FLAGS.get(text, text) if name in _LEVELS else text)
            except msgspec.ValidationError as error:
                kept = text[:1] not in _NO_ID if name in _IDS else name in _SIZES and text.lstrip(b"-").isdigit()
                if not kept:
                    raise _BadValueError(f"{where}.{key}: {error}") from error
                extra[key] = text.decode()
    values["extra"] = _added(given, extra)
    return values


def _added(extra: msgspec.Raw, more: dict[str, str]) -> msgspec.Raw:
    """An `extra`, an object or null, with further members; the same text where there are none."""
    if not more:
        return extra
    before = members(bytes(extra)) if bytes(extra) != b"null" else {}
    return msgspec.Raw((compose(before | more) or "").encode())


def _read_rows(image: ImageLine, reading: Reading) -> None:
    """Ultralytics' rows to objects. Their owner reads the first key and no other; what stands under others is kept in
    `extra`."""
    if not reading.rows:
        raise _BadValueError("$.annotations: rows of Ultralytics in a file whose boxes are not cxcywhn")
    if image.objects is not None:
        raise _BadValueError("$.annotations: beside objects")
    kind, rows = next(iter((image.annotations or {}).items()), ("boxes", []))
    others = {key: value for key, value in (image.annotations or {}).items() if key != kind}
    if others:
        image.extra = _added(image.extra, {"annotations": msgspec.json.encode(others).decode()})
    if kind not in ("boxes", "segments", "obb"):
        raise _BadValueError(f"$.annotations.{kind}: only boxes, segments and obb are read")
    for index, row in enumerate(rows):
        fits = (
            len(row) == 5
            if kind == "boxes"
            else len(row) == 9
            if kind == "obb"
            else len(row) >= 7 and len(row) % 2 == 1
        )
        if not fits or not row[0].is_integer():
            raise _BadValueError(f"$.annotations.{kind}[{index}]: a class number and {len(row) - 1} numbers")
    if kind == "boxes":
        image.objects = [ObjectLine(category=int(c), bbox=(x, y, w, h)) for c, x, y, w, h in rows]
        return
    ends = np.cumsum([0] + [len(row) // 2 for row in rows])
    points = np.fromiter(chain.from_iterable(row[1:] for row in rows), np.float64).reshape(-1, 2)
    boxes = convert_boxes(extent(points, ends), "xyxyn", "cxcywhn").tolist()
    shape: Shape = "quad" if kind == "obb" else "polygon"
    image.objects = [
        ObjectLine(
            category=int(row[0]), bbox=tuple(box), shape=shape, segmentation=msgspec.Raw(msgspec.json.encode([row[1:]]))
        )
        for row, box in zip(rows, boxes, strict=True)
    ]


def _part(
    images: Sequence[ImageLine], numbers: Sequence[int], data: bytes, reading: Reading, faults: list[Fault]
) -> Part:
    """Images, each from the line of that number of the data, as columns. Raises ValueError where JSON text is not
    UTF-8 or an `extra` is no object."""
    lists = [image.objects for image in images]
    objects = list(chain.from_iterable(items for items in lists if items))
    offsets = np.cumsum([0] + [len(items) if items else 0 for items in lists], dtype=np.int64)
    annotated = np.array([items is not None or reading.background for items in lists], np.bool_)
    category, classes = _categories(objects, reading)
    columns = {
        field.name: _column(objects, field)
        for field in schema.OBJECT
        if field.name not in ("category", "bbox", "shape")
    }
    columns |= {"category": category, "bbox": _boxes(objects), "shape": _shapes(objects)}
    rows = schema.object_rows(columns, len(objects))
    batch = schema.image_batch(
        {name: _column(images, schema.IMAGE.field(name)) for name in schema.IMAGE_FIELDS}, offsets, rows, annotated
    )
    unknown = pc.equal(category, -1).fill_null(False).to_numpy(zero_copy_only=False)
    if unknown.any():
        held = schema.flat(batch)
        texts = data.split(b"\n")
        image_of = held.image_of()
        for image in dict.fromkeys(image_of[unknown].tolist()):
            first, last = int(held.offsets[image]), int(held.offsets[image + 1])
            array, given = object_texts(texts[numbers[image] - 1])
            for row in (first + np.flatnonzero(unknown[first:last])).tolist():
                message, detail = "class is not one of the data set's", f"class {objects[row].category!r}"
                pointer = f"{array}[{row - first}]"
                faults.append(Fault(numbers[image], "unknown-class", message, detail, given[row - first], pointer))
        batch = schema.with_objects(batch, schema.keep_objects(held, ~unknown))
    return Part(batch, tuple(faults), classes)


def _categories(objects: Sequence[ObjectLine], reading: Reading) -> tuple[pa.Array, tuple[int | str, ...]]:
    """The category column, -1 where a class is unknown, and the classes that were seen."""
    seen = [item.category for item in objects]
    classes = tuple(name for name in dict.fromkeys(seen) if name is not None)
    known = reading.classes
    indices: dict[int | str | None, int | None] = {
        name: index if known is None else known.get(name, -1) for index, name in enumerate(classes)
    }
    indices[None] = None
    return pa.array([indices[name] for name in seen], pa.int32()), classes


def _boxes(objects: Sequence[ObjectLine]) -> pa.FixedSizeListArray:
    boxes = [item.bbox for item in objects]
    valid = np.array([box is not None for box in boxes], np.bool_)
    values = np.array([_NO_BOX if box is None else box for box in boxes], np.float64)  # numpy reads None as NaN
    return schema.bbox_array(values.reshape(-1, 4), valid)


def _shapes(objects: Sequence[ObjectLine]) -> pa.DictionaryArray:
    codes = np.array([-1 if item.shape is None else SHAPES.index(item.shape) for item in objects], np.int8)
    return schema.shape_array(np.maximum(codes, 0), codes >= 0)


def _column(records: Sequence[msgspec.Struct], field: pa.Field) -> pa.Array:
    """One attribute of all records as an Arrow column."""
    values = map(attrgetter(field.name), records)
    if field.name not in schema.JSON_FIELDS:
        return pa.array(list(values), field.type)
    column = pa.array(
        [None if value is NULL else bytes(value) for value in values], pa.string()
    )  # raises where it is not UTF-8
    null = pc.equal(column, "null")
    if pc.any(null).as_py():
        column = pc.if_else(null, pa.scalar(None, pa.string()), column)
    if field.name == "extra" and not pc.all(pc.starts_with(column, "{")).as_py() and column.null_count < len(column):
        raise ValueError("extra is not an object")
    return column
