"""Members of `extra` under names that a format has for its own: what its reader would take for a value of a column is
one, what it could not read is lost, and where a column has a value already that one is written.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pyarrow as pa

from bboxconv import jsontext, schema
from bboxconv.account import Account
from bboxconv.boxes import BoxFormat, convert_boxes, extent
from bboxconv.codec import Own, Target
from bboxconv.drawn import polygon_points
from bboxconv.stages import image_place, place


def settle(batch: pa.RecordBatch, target: Target, account: Account, shown: str) -> pa.RecordBatch:
    """The batch as the target can write it so that it is read back: its extra keys that are `Target.reserved` stay,
    become values of columns, or are counted as lost."""
    found = _settled("image", batch.column, target, account, lambda row: image_place(batch, row, shown).where)
    batch = schema.with_image_columns(batch, found)
    objects = schema.flat(batch)
    found = _settled("object", objects.column, target, account, lambda row: place(batch, objects, row, shown).where)
    return schema.with_objects(batch, objects.with_columns(found)) if found else batch


def _settled(
    prefix: str, column: Callable[[str], pa.Array], target: Target, account: Account, where: Callable[[int], str]
) -> dict[str, pa.Array]:
    """The columns that change."""
    extra, start = column("extra"), f"{prefix}.extra."
    reserved = {name.removeprefix(start) for name in target.reserved if name.startswith(start)}
    if not reserved or f"{prefix}.extra" not in target.carries or extra.null_count == len(extra):
        return {}
    fields = schema.IMAGE_FIELDS if prefix == "image" else schema.OBJECT_FIELDS
    columns = {key: column(key) for key in reserved.intersection(fields)}
    given: dict[str, dict[int, object]] = {}
    texts: dict[int, str | None] = {}
    for row in jsontext.rows_with(extra, sorted(reserved)):
        members = jsontext.members(extra[row].as_py())
        rest = dict(members)
        for key in reserved.intersection(members):
            value: object = Own.LOST
            if start + key == "object.extra.bbox" and members[key] == "null" and _follows(column, row, target):
                continue
            if key in columns and not columns[key][row].is_valid:
                value = target.takes(start + key, members[key])
                if value is Own.STAYS:
                    continue
            del rest[key]
            if value is not Own.LOST:
                given.setdefault(key, {})[row] = value
            else:
                account.seen[start + key] += 1
                if members[key] == "null" and key in columns:  # of a column that has a value by now, or gets one
                    account.changed[start + key, "filled"] += 1
                else:
                    account.lose(start + key, 1, partial(lambda row: [where(row)], row))
        if len(rest) < len(members):
            texts[row] = jsontext.compose(rest)
    found = {key: _with(columns[key], values) for key, values in given.items()}
    return {**found, "extra": _with(extra, texts)} if texts else found


def _follows(column: Callable[[str], pa.Array], row: int, target: Target) -> bool:
    """Whether a reader gets the box from the polygon, so that the null which the source had for it can stand."""
    if target.box is None or "object.bbox" not in target.fills:
        return False
    points, box = polygon_points(column("segmentation")[row].as_py()), column("bbox")[row].as_py()
    if points is None or box is None:
        return False
    around = convert_boxes(extent(points, [0, len(points)]), BoxFormat("xyxy", target.box.scale), target.box)
    return bool(np.allclose(around[0], box, rtol=1e-12, atol=1e-9))


def _with(column: pa.Array, values: dict[int, object] | dict[int, str | None]) -> pa.Array:
    """A column with other values in some rows."""
    rows = column.to_pylist()
    for row, value in values.items():
        rows[row] = value
    return pa.array(rows, column.type)
