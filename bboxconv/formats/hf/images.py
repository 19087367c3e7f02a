"""Rows of strangers' columns as batches of the model."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv import jsontext, schema
from bboxconv.errors import DataError, Findings, Record, shortened
from bboxconv.formats.hf.columns import Columns, Lists, is_list, lists_of
from bboxconv.jsonproof import check_json

Place = Callable[[int], Record]
"""Where a row of a batch stands."""
_LARGEST = 2**31 - 1
_KINDS = ((b"\xff\xd8\xff", "jpg"), (b"\x89PNG", "png"), (b"GIF8", "gif"), (b"BM", "bmp"), (b"RIFF", "webp"))


@dataclass(frozen=True, slots=True)
class Meaning:
    """What rows mean beyond their columns: the index of each class by name and by number, the split."""

    classes: Mapping[int | str, int]
    split: str | None
    pixels: bool = False
    """Whether boxes are taken for pixels because nobody has said what they are."""


@dataclass(frozen=True, slots=True)
class Headers:
    """What the headers of embedded images say, for each row (B,): sizes, 0 where unknown, and the usual ending of such
    a file, nothing where there is no image."""

    widths: NDArray[np.int64]
    heights: NDArray[np.int64]
    endings: Sequence[str]


def batch_of(
    rows: pa.RecordBatch, found: Columns, meaning: Meaning, place: Place, findings: Findings, headers: Headers | None
) -> pa.RecordBatch:
    """The images of some rows. An image whose lists do not fit each other is a fault and left out, and so is an object
    of an unknown class or whose box is not four numbers.

    Raises DataError where boxes or classes are of a type that is none.
    """
    lists = lists_of(rows, found)
    numbers = np.flatnonzero(lists.sound)
    for row in np.flatnonzero(~lists.sound).tolist():
        findings.add(
            "bad-row",
            "the lists of an image have different lengths",
            record=place(row),
            detail=_lengths(rows, found, row),
            hint="each list of objects has one value for each box",
            images=1,
        )
    kept = rows if lists.sound.all() else rows.filter(pa.array(lists.sound))
    batch = schema.image_batch(
        _image_columns(kept, found, meaning, headers, numbers), lists.offsets, _objects(lists, found), lists.annotated
    )
    return _classified(batch, lists, found, meaning, lambda row: place(int(numbers[row])), findings)


def _lengths(rows: pa.RecordBatch, found: Columns, row: int) -> str:
    value = rows.column(found.objects)[row].as_py() if found.objects else rows.slice(row, 1).to_pylist()[0]
    counts = {name: len(one) for name, one in value.items() if isinstance(one, list)}
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _classified(
    batch: pa.RecordBatch, lists: Lists, found: Columns, meaning: Meaning, place: Place, findings: Findings
) -> pa.RecordBatch:
    """The images with boxes and classes, without objects that have a wrong one."""
    objects = schema.flat(batch)
    if not len(objects.rows):
        return batch
    boxes, valid, wrong = _boxes(lists.columns[found.bbox], place)
    known = boxes[np.isfinite(boxes)]
    if meaning.pixels and ((known >= 0) & (known <= 1)).all() and (known % 1 > 0).any():
        message = "all boxes lie between 0 and 1, and are taken for pixels"
        hint = "--in box=xywhn takes them for fractions; xyxyn and cxcywhn are others"
        findings.add("box-format-assumed", message, severity="warning", where=place(0).file, hint=hint)
    count = len(objects.rows)
    category, unknown = np.full(count, -1, np.int64), np.zeros(count, np.bool_)
    if found.category:
        given = lists.columns.get(found.category)
        if given is None or not is_class(given := plain(given)):
            kind = "no list" if given is None else str(given.type)
            raise _wrong(f"classes, in {found.category}, are {kind}: numbers or names are read", place)
        category, unknown = _indices(given, meaning.classes)
    for mask, code, message, hint, values in (
        (wrong, "bad-value", "a box is not four numbers", "", lists.columns[found.bbox]),
        (
            unknown & ~wrong,
            "unknown-class",
            "class is not one of the data set's",
            "the names are those of the features, of the card or of --classes",
            lists.columns.get(found.category, lists.columns[found.bbox]),
        ),
    ):
        image_of = objects.image_of()
        for at in np.flatnonzero(mask).tolist():
            row = int(image_of[at])
            record = place(row)
            inside = f"objects[{at - int(objects.offsets[row])}]"
            pointer = f"{record.pointer}, {inside}" if record.pointer else inside
            where = f"{record.where}: {inside}" if record.line else ""
            findings.add(
                code,
                message,
                where=where,
                record=replace(record, pointer=pointer),
                detail=shortened(repr(values[at].as_py())),
                hint=hint,
                boxes=1,
            )
    columns = {
        "bbox": schema.bbox_array(boxes, valid),
        "category": pa.array(category, pa.int32(), mask=category < 0),
    }
    return schema.with_objects(batch, schema.keep_objects(objects.with_columns(columns), ~(wrong | unknown)))


def _wrong(message: str, place: Place) -> DataError:
    return DataError.of("bad-value", message, where=place(0).file)


def is_class(column: pa.Array) -> bool:
    """Whether a column holds what can be a class: names, or whole numbers of any type."""
    kinds = (pa.types.is_string, pa.types.is_integer, pa.types.is_floating, pa.types.is_null)
    return any(is_kind(column.type) for is_kind in kinds)


def _boxes(column: pa.Array, place: Place) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    """The boxes (N, 4), which there are (N,), and which are not four numbers (N,). Raises DataError where they are no
    lists of numbers."""
    count = len(column)
    values = np.full((count, 4), np.nan)
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    if pa.types.is_null(column.type):
        return values, valid, ~valid & False
    if not is_list(column.type):
        raise _wrong(f"boxes are {column.type}, and no lists of four numbers", place)
    lengths = pc.list_value_length(column).fill_null(0).to_numpy(zero_copy_only=False)
    wrong = valid & (lengths != 4)
    sound = valid & ~wrong
    chosen = column if sound.all() else column.filter(pa.array(sound))
    numbers = plain(pc.list_flatten(chosen))
    try:
        if pa.types.is_string(numbers.type):  # a text is never a number, whatever it spells
            raise pa.ArrowInvalid("text")
        numbers = numbers.cast(pa.float64(), safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise _wrong(f"boxes are lists of {column.type.value_type}, and not of numbers", place) from error
    values[sound] = numbers.to_numpy(zero_copy_only=False).reshape(-1, 4)
    return values, valid, wrong


def _indices(given: pa.Array, classes: Mapping[int | str, int]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The index (N,) of each class, -1 where there is none, and which are unknown (N,). A ClassLabel of -1 is no
    class."""
    unique = given.dictionary_encode()
    places = []
    for name in unique.dictionary.to_pylist():
        key = int(name) if isinstance(name, float) and name.is_integer() else name
        if key is None or key != key:  # NaN is how pandas writes null
            key = -1
        places.append(-1 if key == -1 and key not in classes else classes.get(key, -2))
    codes = unique.indices.fill_null(len(places)).to_numpy(zero_copy_only=False)
    index = np.array([*places, -1], np.int64)[codes]
    return index, index == -2


def plain(column: pa.Array) -> pa.Array:
    """A column without dictionary and in the usual width of texts."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(pa.string()) if pa.types.is_large_string(column.type) else column


# -- fields


def _objects(lists: Lists, found: Columns) -> pa.StructArray:
    """The objects without boxes and classes."""
    count = int(lists.offsets[-1])
    columns, others = _fields(found.object, lists.columns, schema.OBJECT)
    rest = {
        name: column
        for name, column in lists.columns.items()
        if name not in (found.bbox, found.category, *found.object.values())
    }
    columns["extra"] = _extra(columns.get("extra"), others | {name: _json(one) for name, one in rest.items()}, count)
    return schema.object_rows(columns, count)


def _image_columns(
    rows: pa.RecordBatch, found: Columns, meaning: Meaning, headers: Headers | None, numbers: NDArray[np.int64]
) -> dict[str, pa.Array]:
    given = {name: rows.column(name) for name in rows.schema.names if name not in (found.objects, found.bytes)}
    columns, others = _fields(found.image, given, schema.IMAGE)
    for name in ("width", "height"):
        if name in columns:
            odd = pc.less(columns[name], 1).fill_null(False)
            if pc.any(odd).as_py():  # some write 0 for a size that nobody knows
                null = pa.scalar(None, pa.int32())
                others[found.image[name]] = jsontext.numbers(pc.if_else(odd, columns[name], null))
                columns[name] = pc.if_else(odd, null, columns[name])
    used = {*found.image.values()}
    rest = {name: _json(one) for name, one in given.items() if name not in used and _is_scalar(one.type)}
    columns["extra"] = _extra(columns.get("extra"), others | rest, len(rows))
    if found.bytes and "file_name" not in columns:
        columns["file_name"] = plain(pc.struct_field(rows.column(found.bytes), ["path"])).cast(pa.string())
    if headers is not None:
        columns = _from_headers(columns, headers, numbers, len(rows))
    columns["split"] = pa.repeat(pa.scalar(meaning.split, pa.string()), len(rows))
    return columns


def _from_headers(
    columns: dict[str, pa.Array], headers: Headers, numbers: NDArray[np.int64], count: int
) -> dict[str, pa.Array]:
    """The columns with sizes and names that embedded images have, where they have none."""
    columns = dict(columns)
    known = (headers.widths > 0)[numbers]
    null = pa.nulls(count, pa.int32())
    missing = pc.or_(columns.get("width", null).is_null(), columns.get("height", null).is_null())
    for name, sizes in (("width", headers.widths), ("height", headers.heights)):
        measured = pa.array(sizes[numbers], pa.int32(), mask=~known)
        columns[name] = pc.if_else(missing, pc.coalesce(measured, columns.get(name, null)), columns.get(name, null))
    names = columns.get("file_name", pa.nulls(count, pa.string()))
    if names.null_count:
        made = [headers.endings[number] or None for number in numbers.tolist()]
        columns["file_name"] = pc.coalesce(names, pa.array(made, pa.string()))
    return columns


def _is_scalar(kind: pa.DataType) -> bool:
    return not (pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _fields(
    spellings: Mapping[str, str], given: Mapping[str, pa.Array], kind: pa.Schema | pa.StructType
) -> tuple[dict[str, pa.Array], dict[str, pa.StringArray]]:
    """The columns of the model's fields, and as JSON text those that hold something else."""
    columns: dict[str, pa.Array] = {}
    others: dict[str, pa.StringArray] = {}
    for name, own in spellings.items():
        if own not in given:
            continue
        typed = _typed(plain(given[own]), name, kind.field(name).type)
        if typed is None:
            others[own] = _json(given[own])
        else:
            columns[name] = typed
    return columns, others


def _typed(column: pa.Array, name: str, kind: pa.DataType) -> pa.Array | None:
    """A column as the type of a field; None where it is something else."""
    if pa.types.is_null(column.type):
        return schema.null_column(name, len(column)) if kind == schema.SHAPE else pa.nulls(len(column), kind)
    if name in schema.JSON_FIELDS:
        return _json_field(column, name)
    if kind == schema.SHAPE:
        return _shape(column)
    texts = pa.types.is_string(column.type)
    if texts != pa.types.is_string(kind) or is_list(column.type):
        return column.cast(kind) if pa.types.is_string(kind) and pa.types.is_integer(column.type) else None
    try:
        if pa.types.is_boolean(kind) and not pa.types.is_boolean(column.type):
            return pc.not_equal(column, 0)
        return column.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None


def _json_field(column: pa.Array, name: str) -> pa.Array | None:
    if not pa.types.is_string(column.type):
        return None if name == "extra" else _json(column)
    try:
        check_json(column, name)
    except ValueError:
        return None
    return column


def _shape(column: pa.Array) -> pa.Array | None:
    if not pa.types.is_string(column.type):
        return None
    codes = pc.index_in(column, pa.array(schema.SHAPES))
    if codes.null_count > column.null_count:
        return None
    valid = codes.is_valid().to_numpy(zero_copy_only=False)
    return schema.shape_array(codes.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int8), valid)


def _json(column: pa.Array) -> pa.StringArray:
    """Each value as JSON text; null stays null."""
    column = plain(column)
    if pa.types.is_null(column.type):
        return pa.nulls(len(column), pa.string())
    if pa.types.is_boolean(column.type):
        return jsontext.booleans(column)
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return jsontext.numbers(column)
    if pa.types.is_string(column.type):
        return jsontext.strings(column)
    if pa.types.is_temporal(column.type) and not pa.types.is_duration(column.type):
        return jsontext.strings(column.cast(pa.string()))
    texts = [
        None if value is None else msgspec.json.encode(value, enc_hook=str).decode() for value in column.to_pylist()
    ]
    return pa.array(texts, pa.string())


def _extra(given: pa.Array | None, others: Mapping[str, pa.StringArray], count: int) -> pa.Array:
    """An `extra` column of what is one already and of the further columns."""
    others = {name: text for name, text in others.items() if text.null_count < len(text)}
    if not others:
        return pa.nulls(count, pa.string()) if given is None else given
    if given is None:
        return jsontext.extras(others, count)
    whole = jsontext.objects(others, given)
    empty = pc.and_(pc.equal(whole, "{}"), given.is_null())
    return pc.if_else(empty, pa.scalar(None, pa.string()), whole)


# -- embedded images


def headers_of(images: Sequence[bytes | None], names: Sequence[str], place: Place, findings: Findings) -> Headers:
    """What the headers of embedded images say; a warning for bytes that are no image. `names` are what they are called
    where they have no name, without ending."""
    import imagesize  # noqa: PLC0415 - as in sizes

    widths, heights = np.zeros(len(images), np.int64), np.zeros(len(images), np.int64)
    endings = []
    for row, data in enumerate(images):
        ending = next((end for start, end in _KINDS if data and data.startswith(start)), "jpg")
        endings.append(f"{names[row]}.{ending}" if data else "")
        if not data:
            continue
        try:
            width, height = imagesize.get(io.BytesIO(data), exif_rotation=True)
        except Exception:  # noqa: BLE001 - it raises whatever a broken header leads to
            width = height = -1
        if 0 < width <= _LARGEST and 0 < height <= _LARGEST:
            widths[row], heights[row] = width, height
        else:
            message = "the bytes of an image are no image that is known: its size is not"
            findings.add("bad-image", message, severity="warning", record=place(row))
    return Headers(widths, heights, endings)
