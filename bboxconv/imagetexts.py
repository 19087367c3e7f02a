"""Lines of JSON that are one image each: written from columns."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bboxconv import jsontext, schema


def texts(batch: pa.RecordBatch) -> pa.StringArray:
    """The line of each image of a batch, without its end: fixed order of keys, null left out."""
    objects = schema.flat(batch)
    items = jsontext.objects({name: _text(objects.column(name), name) for name in schema.OBJECT_FIELDS})
    mask = None if objects.annotated.all() else pa.array(~objects.annotated)
    listed = pc.binary_join(pa.ListArray.from_arrays(pa.array(objects.offsets, pa.int32()), items, mask=mask), ",")
    listed = pc.binary_join_element_wise("[", listed, "]", "")
    columns = {name: _text(batch.column(name), name) for name in schema.IMAGE_FIELDS}
    file, extra = columns.pop("file_name"), columns.pop("extra")
    whole = jsontext.objects(
        {"type": pa.repeat('"image"', len(batch)), "file": file, **columns, "objects": listed, "extra": extra}
    )
    text = whole.buffers()[2].to_pybytes()  # bytes are searched ten times faster than a column
    for end in "\n", "\r":  # these stand only between the tokens of JSON text
        if end.encode() in text:
            whole = pc.replace_substring(whole, end, " ")
    return whole


def non_finite(batch: pa.RecordBatch) -> int:
    """How many numbers of a batch are NaN or infinite, for which JSON has no text."""
    rows = schema.flat(batch).rows
    boxes, valid = schema.boxes_of(rows)
    columns = [rows.field(field.name) for field in schema.OBJECT if pa.types.is_floating(field.type)]
    odd = sum(pc.sum(pc.invert(pc.is_finite(column))).as_py() or 0 for column in columns)
    return odd + int(np.count_nonzero(~np.isfinite(boxes[valid])))


def _text(column: pa.Array, name: str) -> pa.StringArray:
    """A column as JSON text, null where the key is left out."""
    if name in schema.JSON_FIELDS:
        return column
    if name == "bbox":
        numbers, _ = schema.boxes_of(pa.StructArray.from_arrays([column], ["bbox"]))
        return jsontext.boxes([jsontext.numbers(pa.array(part)) for part in numbers.T], column.is_valid())
    if pa.types.is_boolean(column.type):
        return jsontext.booleans(column)
    if pa.types.is_string(column.type) or pa.types.is_dictionary(column.type):
        return jsontext.strings(column.cast(pa.string()))
    return jsontext.numbers(column)
