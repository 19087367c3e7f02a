"""The steps between a reader and a writer: functions from batch to batch, vectorised over the flattened boxes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain, pairwise

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv import schema
from bboxconv.account import Account
from bboxconv.boxes import BoxFormat, clip_boxes, convert_boxes, convert_points, degenerate, outside, rotated_envelope
from bboxconv.codec import Target
from bboxconv.drawn import is_mask, polygon_points
from bboxconv.errors import FIRST_PLACES, Findings, Record, printable, shortened
from bboxconv.schema import Objects

Rows = NDArray[np.bool_]
ROUNDING = 2e-6
"""How far a box that was written with six decimals may pass an edge by rounding alone, as a part of the image."""


def sizes_of(batch: pa.RecordBatch, image_of: NDArray[np.int64]) -> NDArray[np.float64]:
    """The size (N, 2) in pixels of the image of each object, NaN where it is unknown."""
    columns = [
        batch.column(name).cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
        for name in ("width", "height")
    ]
    return np.stack(columns, axis=-1)[image_of]


def place(batch: pa.RecordBatch, objects: Objects, row: int, shown: str) -> Record:
    """Where an object stands: its source, its image, and its id, or its number where it has none."""
    image = int(np.searchsorted(objects.offsets, row, side="right")) - 1
    number = row - int(objects.offsets[image])
    identity = objects.column("id")[row].as_py()
    own = f"object {number}" if identity is None else f"id {identity}"
    return Record(shown, pointer=f"{image_place(batch, image, shown).pointer}, {own}")


def image_place(batch: pa.RecordBatch, image: int, shown: str) -> Record:
    """Where an image stands: its source and name, or its id."""
    name = batch.column("file_name")[image].as_py()
    return Record(shown, pointer=f"image {name if name is not None else batch.column('id')[image].as_py()}")


def check_boxes(
    batch: pa.RecordBatch,
    box: BoxFormat,
    on_invalid: str,
    findings: Findings,
    left_out: Counter[str],
    shown: str,
    looks: bool = False,
) -> pa.RecordBatch:
    """Count boxes that pass an edge of their image or have no area; keep or drop them, or make them faults. Those
    that are to be clipped are kept: `clip` follows, once it is known which are written. `looks` is as in Request."""
    advice = f"{'bboxconv convert ' if looks else ''}--on-invalid clip, drop or fail treats them otherwise"
    hint = advice if on_invalid == "keep" else ""
    objects = schema.flat(batch)
    if not len(objects.rows):
        return batch
    values, valid = schema.boxes_of(objects.rows)
    sizes = None if box.scale is not None else sizes_of(batch, objects.image_of())
    passing = outside(values, box, sizes, tolerance=ROUNDING * box.scale if box.scale else 0.0) & valid
    flat = degenerate(values, box) & valid
    for code, rows, message in (
        ("box-outside-image", passing, "a box passes an edge of its image"),
        ("box-without-area", flat, "a box has no width or no height"),
    ):
        _report_boxes(batch, objects, rows, code, message, on_invalid, findings, shown, hint)
    if on_invalid == "clip" and passing.any():
        clipped = clip_boxes(values, box, sizes)
        gone = degenerate(clipped, box) & valid & ~flat
        message = "a box outside its image was clipped to no width or no height"
        _report_boxes(batch, objects, gone, "box-without-area", message, on_invalid, findings, shown, hint)
    if on_invalid in ("drop", "fail") and (passing | flat).any():
        left_out["box-outside-image"] += int((passing & ~flat).sum())
        left_out["box-without-area"] += int(flat.sum())
        return schema.with_objects(batch, schema.keep_objects(objects, ~(passing | flat)))
    return batch


def clip(batch: pa.RecordBatch, box: BoxFormat) -> tuple[pa.RecordBatch, Rows]:
    """The batch with its boxes cut at the edges of their images, and which (N,) were."""
    objects = schema.flat(batch)
    values, valid = schema.boxes_of(objects.rows)
    sizes = None if box.scale is not None else sizes_of(batch, objects.image_of())
    passing = outside(values, box, sizes, tolerance=ROUNDING * box.scale if box.scale else 0.0) & valid
    if not passing.any():
        return batch, passing
    inside = np.where(passing[:, None], clip_boxes(values, box, sizes), values)
    return schema.with_objects(batch, objects.with_columns({"bbox": schema.bbox_array(inside, valid)})), passing


def count_changes(
    batch: pa.RecordBatch,
    source: BoxFormat,
    goal: BoxFormat,
    clipped: Rows,
    target: Target,
    changed: Counter[tuple[str, str]],
) -> None:
    """Count how the geometry of a batch, which is in `goal` now, was changed; each value under one way."""
    objects = schema.flat(batch)
    values, valid = schema.boxes_of(objects.rows)
    left = valid & ~clipped if len(clipped) else valid
    changed["object.bbox", "clipped"] += int(valid.sum() - left.sum())
    if target.decimals is not None:
        with np.errstate(over="ignore", invalid="ignore"):  # a number that large has no decimals
            nearest = np.round(values, target.decimals)
        rounded = left & (np.isfinite(nearest) & (nearest != values)).any(axis=1)
        changed["object.bbox", "rounded"] += int(rounded.sum())
        left = left & ~rounded
    if source == goal:
        return
    changed["object.bbox", "converted"] += int(left.sum())
    if (source.scale, source.origin, source.inclusive) != (goal.scale, goal.origin, goal.inclusive):
        for name in ("segmentation", "keypoints"):
            if f"object.{name}" in target.carries:
                column = objects.column(name)
                changed[f"object.{name}", "converted"] += len(column) - column.null_count


def _report_boxes(
    batch: pa.RecordBatch,
    objects: Objects,
    rows: Rows,
    code: str,
    message: str,
    on_invalid: str,
    findings: Findings,
    shown: str,
    hint: str,
) -> None:
    clipped = "clipped" if code == "box-outside-image" else "kept"
    done = {"keep": "kept", "clip": clipped, "drop": "left out", "fail": "refused"}[on_invalid]
    bad = np.flatnonzero(rows).tolist()
    findings.add_each(
        code,
        f"{message}: {done}",
        bad,
        lambda row: (place(batch, objects, row, shown), str(objects.column("bbox")[row].as_py())),
        severity="error" if on_invalid == "fail" else "warning",
        hint=hint,
    )


def leave_out(
    batch: pa.RecordBatch, mask: Callable[[Objects], Rows], reason: str, left_out: Counter[str]
) -> pa.RecordBatch:
    """The batch without the objects where `mask` is True, counted under `reason`."""
    objects = schema.flat(batch)
    if not len(objects.rows):
        return batch
    rows = mask(objects)
    count = int(rows.sum())
    if not count:
        return batch
    left_out[reason] += count
    return schema.with_objects(batch, schema.keep_objects(objects, ~rows))


def flagged(name: str) -> Callable[[Objects], Rows]:
    """The objects whose flag of that name is set."""

    def mask(objects: Objects) -> Rows:
        column = objects.column(name)
        if column.null_count == len(column):
            return np.zeros(len(column), np.bool_)
        return np.asarray(column.fill_null(False).to_numpy(zero_copy_only=False))

    return mask


def lacking(name: str) -> Callable[[Objects], Rows]:
    """The objects that have no value in that field."""
    return lambda objects: ~schema.given(objects.column(name))


def placeless(objects: Objects) -> Rows:
    """The objects that have neither a bbox nor polygons, a mask or keypoints."""
    bare = lacking("bbox")(objects)
    if bare.any():
        bare &= lacking("keypoints")(objects)
        for row in np.flatnonzero(bare).tolist():
            text = objects.column("segmentation")[row].as_py()
            bare[row] = not is_mask(text) and polygon_points(text) is None
    return bare


def finite(batch: pa.RecordBatch, findings: Findings, account: Account, shown: str) -> pa.RecordBatch:
    """The batch without boxes that hold a NaN or an infinity, which are faults; elsewhere such a number is lost: it
    becomes null.
    """
    batch, _ = finite_boxes(batch, "a box holds a number that is not finite", findings, account.left_out_boxes, shown)
    objects = schema.flat(batch)
    columns: dict[str, pa.Array] = {}
    for name in ("score", "area", "truncated", "occluded", "rotation"):
        column = objects.column(name)
        odd = pc.invert(pc.is_finite(column)).fill_null(False)
        count = pc.sum(odd).as_py() or 0
        if count:
            message = f"{name} is not finite: it is left out"
            findings.add("non-finite", message, severity="warning", where=shown, count=count)
            columns[name] = pc.if_else(odd, pa.scalar(None, pa.float64()), column)
            account.seen[f"object.{name}"] += count
            account.lose(f"object.{name}", count, partial(_first, batch, objects, odd, shown))
    return schema.with_objects(batch, objects.with_columns(columns)) if columns else batch


def finite_boxes(
    batch: pa.RecordBatch, message: str, findings: Findings, left_out: Counter[str], shown: str
) -> tuple[pa.RecordBatch, Rows]:
    """The batch without boxes that hold a NaN or an infinity, each of which is a fault with this message, and which
    (N,) stay."""
    objects = schema.flat(batch)
    values, valid = schema.boxes_of(objects.rows)
    bad = valid & ~np.isfinite(values).all(axis=1)
    if not bad.any():
        return batch, ~bad
    for row in np.flatnonzero(bad).tolist():
        findings.add("bad-number", message, record=place(batch, objects, row, shown))
    left_out["not finite"] += int(bad.sum())
    return schema.with_objects(batch, schema.keep_objects(objects, ~bad)), ~bad


def _first(batch: pa.RecordBatch, objects: Objects, mask: pa.Array, shown: str) -> list[str]:
    rows = np.flatnonzero(mask.to_numpy(zero_copy_only=False))[:FIRST_PLACES].tolist()
    return [place(batch, objects, row, shown).where for row in rows]


def unrotate(batch: pa.RecordBatch, box: BoxFormat, how: str, account: Account) -> pa.RecordBatch:
    """Rotated boxes for a target without rotation: their envelope, or their rectangle as if it were not turned."""
    objects = schema.flat(batch)
    angles = objects.column("rotation")
    if angles.null_count == len(angles) or box.rotation is None:
        return batch
    account.seen["object.rotation"] += len(angles) - angles.null_count
    account.changed["object.rotation", how] += len(angles) - angles.null_count
    columns: dict[str, pa.Array] = {"rotation": schema.null_column("rotation", len(angles))}
    if how == "envelope":
        values, valid = schema.boxes_of(objects.rows)
        turned = rotated_envelope(
            values, angles.fill_null(0.0).to_numpy(zero_copy_only=False), box, sizes_of(batch, objects.image_of())
        )
        columns["bbox"] = schema.bbox_array(turned, valid)
    return schema.with_objects(batch, objects.with_columns(columns))


def convert(
    batch: pa.RecordBatch, source: BoxFormat, target: BoxFormat, drawn: Sequence[str] = ("segmentation", "keypoints")
) -> pa.RecordBatch:
    """The batch with its boxes in `target`, and with them the `drawn` fields where units change: null where these are
    no points, which would be taken for points of the other unit. Where both formats are the same no arithmetic runs.
    """
    if source == target:
        return batch
    objects = schema.flat(batch)
    if not len(objects.rows):
        return batch
    values, valid = schema.boxes_of(objects.rows)
    sizes = sizes_of(batch, objects.image_of()) if source.needs_size(target) else None
    columns: dict[str, pa.Array] = {"bbox": schema.bbox_array(convert_boxes(values, source, target, sizes), valid)}
    if (source.scale, source.origin, source.inclusive) != (target.scale, target.origin, target.inclusive):
        moved = {"segmentation": _polygons, "keypoints": _keypoints}
        columns |= {name: _points(objects.column(name), moved[name], source, target, sizes) for name in drawn}
    return schema.with_objects(batch, objects.with_columns(columns))


_POLYGONS = msgspec.json.Decoder(list[list[float]])
_KEYPOINTS = msgspec.json.Decoder(list[float])

_AT_ONCE = 2048
"""Objects whose points are Python numbers at a time: these take many times the room of their text."""

Change = Callable[[NDArray[np.float64], NDArray[np.int64]], NDArray[np.floating]]
"""Points (M, 2) and the object (M,) of each to points in other units."""


def _points(
    texts: pa.StringArray,
    moved: Callable[[Mapping[int, str], Change], dict[int, str]],
    source: BoxFormat,
    target: BoxFormat,
    sizes: NDArray[np.float64] | None,
) -> pa.StringArray:
    """A column of drawn points in other units; null where a text is no points."""
    if texts.null_count == len(texts):
        return texts

    def change(points: NDArray[np.float64], rows: NDArray[np.int64]) -> NDArray[np.floating]:
        return convert_points(points, source, target, None if sizes is None else sizes[rows])

    found = texts.to_pylist()
    for start in range(0, len(found), _AT_ONCE):
        given = {row: text for row, text in enumerate(found[start : start + _AT_ONCE], start) if text is not None}
        known = moved(given, change)
        for row in given:
            found[row] = known.get(row)
    return pa.array(found, pa.string())


def _polygons(texts: Mapping[int, str], change: Change) -> dict[int, str]:
    """Polygons in other units; masks, which are pixels whatever the unit of boxes, stay."""
    drawn: dict[int, list[list[float]]] = {}
    result = {row: text for row, text in texts.items() if is_mask(text)}
    for row, text in texts.items():
        try:
            polygons = _POLYGONS.decode(text)
        except msgspec.DecodeError:
            continue
        if not any(len(polygon) % 2 for polygon in polygons):
            drawn[row] = polygons
    lengths = [sum(map(len, polygons)) // 2 for polygons in drawn.values()]
    flat = np.fromiter(chain.from_iterable(chain.from_iterable(drawn.values())), np.float64)
    rows = np.repeat(np.array([*drawn], np.int64), lengths)
    points = change(flat.reshape(-1, 2), rows)
    beyond = _beyond(points, rows)
    numbers, start = points.reshape(-1).tolist(), 0
    for row, polygons in drawn.items():
        parts = []
        for polygon in polygons:
            parts.append(numbers[start : start + len(polygon)])
            start += len(polygon)
        if row not in beyond:
            result[row] = msgspec.json.encode(parts).decode()
    return result


def _beyond(points: NDArray[np.floating], rows: NDArray[np.int64]) -> set[int]:
    """The objects of which a point (M, 2) is beyond all numbers: JSON would have null for it."""
    return set(rows[~np.isfinite(points).all(axis=1)].tolist())


def _keypoints(texts: Mapping[int, str], change: Change) -> dict[int, str]:
    """Triples x, y, v in other units; a point that is not labelled (v = 0) keeps its zeros."""
    drawn: dict[int, list[float]] = {}
    for row, text in texts.items():
        try:
            triples = _KEYPOINTS.decode(text)
        except msgspec.DecodeError:
            continue
        if len(triples) % 3 == 0:
            drawn[row] = triples
    lengths = [len(triples) // 3 for triples in drawn.values()]
    flat = np.fromiter(chain.from_iterable(drawn.values()), np.float64).reshape(-1, 3)
    rows = np.repeat(np.array([*drawn], np.int64), lengths)
    labelled = flat[:, 2] != 0
    flat[labelled, :2] = change(flat[labelled, :2], rows[labelled])
    beyond = _beyond(flat, rows)
    numbers = flat.reshape(-1).tolist()
    numbers[2::3] = [int(v) if v == v // 1 else v for v in numbers[2::3]]
    ends = np.cumsum([0, *lengths]) * 3
    return {
        row: msgspec.json.encode(numbers[start:stop]).decode()
        for row, (start, stop) in zip(drawn, pairwise(ends.tolist()), strict=True)
        if row not in beyond
    }


def count_undrawn(
    before: pa.RecordBatch, after: pa.RecordBatch, findings: Findings, account: Account, shown: str
) -> None:
    """Count what was drawn before a conversion and could not be converted: it is lost."""
    if before is after:
        return
    objects, converted = schema.flat(before), schema.flat(after)
    for name in ("segmentation", "keypoints"):
        given, kept = objects.column(name), converted.column(name)
        count = kept.null_count - given.null_count
        if not count:
            continue
        gone = pc.and_(given.is_valid(), kept.is_null())
        rows = np.flatnonzero(gone.to_numpy(zero_copy_only=False)).tolist()
        findings.add_each(
            "not-drawn",
            f"{name} is not made of points: it cannot be brought to other units and is left out",
            rows,
            lambda row, column=given: (place(before, objects, row, shown), printable(shortened(column[row].as_py()))),  # type: ignore[misc]
            severity="warning",
        )
        account.seen[f"object.{name}"] += count
        account.lose(f"object.{name}", count, partial(_first, before, objects, gone, shown))


def missing(batch: pa.RecordBatch, names: Sequence[str], *, with_objects: bool) -> NDArray[np.int64]:
    """The numbers of the images that lack one of the columns; with_objects: of those that have objects."""
    found = np.zeros(len(batch), np.bool_)
    for name in names:
        found |= ~schema.given(batch.column(name))
    if with_objects:
        found &= np.diff(schema.flat(batch).offsets) > 0
    return np.flatnonzero(found)
