"""The account of loss: what a batch holds minus what the writer carries, by field, and what `--strict` makes of
it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv import jsontext, schema
from bboxconv.codec import Target
from bboxconv.errors import Diagnostic, UsageError
from bboxconv.schema import Header

FieldClass = Literal["geometry", "label", "flag", "metadata"]

CLASSES: Mapping[str, FieldClass] = {
    "object.bbox": "geometry",
    "object.segmentation": "geometry",
    "object.keypoints": "geometry",
    "object.rotation": "geometry",
    "object.category": "label",
    "object.score": "label",
    "object.track_id": "label",
    "object.iscrowd": "flag",
    "object.difficult": "flag",
    "object.ignore": "flag",
    "object.truncated": "flag",
    "object.occluded": "flag",
}
"""The class of each field; every other one is metadata."""

ASKED_BY: Mapping[str, Collection[str]] = {
    "task": ("object.segmentation", "object.keypoints", "object.rotation"),
    "crowd": ("object.iscrowd",),
    "rotated": ("object.rotation",),
    "score": ("object.score",),
}
"""Fields whose loss a user asks for who gives this option of `--out`."""


def count_batch(batch: pa.RecordBatch, target: Target, lost: Counter[str]) -> None:
    """Count every value that the batch holds and the writer does not carry, by field. A flag is lost where it is
    set.
    """
    objects, carries = schema.flat(batch), target.carries
    for prefix, fields, column in (
        ("image", schema.IMAGE_FIELDS, batch.column),
        ("object", schema.OBJECT_FIELDS, objects.column),
    ):
        for name in fields:
            field = f"{prefix}.{name}"
            values = column(name)
            if name == "extra" and field in carries:
                _count_reserved(values, f"{field}.", target.reserved, column, fields, lost)
            if field in carries:
                continue
            if field == "object.shape" and "object.segmentation" in carries:
                drawn = column("segmentation").is_valid()  # what is written is not lost, whatever its name
                values = pc.if_else(drawn, pa.scalar(None, values.type), values)
            if name == "extra":
                _count_keys(values, f"{field}.", carries, lost)
                continue
            if pa.types.is_boolean(values.type):
                count = pc.sum(values).as_py() or 0
            elif name in ("truncated", "occluded"):
                count = pc.sum(pc.not_equal(values, 0)).as_py() or 0
            else:
                count = len(values) - values.null_count
            if count:
                lost[field] += count


def _count_reserved(
    texts: pa.StringArray,
    prefix: str,
    reserved: frozenset[str],
    column: Callable[[str], pa.Array],
    fields: Collection[str],
    lost: Counter[str],
) -> None:
    keys = {key.removeprefix(prefix) for key in reserved if key.startswith(prefix)}
    if not keys or texts.null_count == len(texts):
        return
    for row in jsontext.rows_with(texts, sorted(keys)):
        for key, text in jsontext.members(texts[row].as_py()).items():
            if key in keys and (key not in fields or (text != "null" and column(key)[row].is_valid)):
                lost[prefix + key] += 1


def _count_keys(texts: pa.StringArray, prefix: str, carries: frozenset[str], lost: Counter[str]) -> None:
    counted = texts.drop_null().value_counts()  # many objects say the same, such as their pose
    found: Counter[tuple[str, ...]] = Counter()
    for keys, count in zip(jsontext.keys(counted.field("values")), counted.field("counts").to_pylist(), strict=True):
        found[keys] += count
    for keys, count in found.items():
        for key in keys:
            if prefix + key not in carries:
                lost[prefix + key] += count


def count_header(header: Header, carries: frozenset[str], lost: Counter[str]) -> None:
    """Count what the target does not carry of what is said once."""
    for name, value in (("info", header.info), ("licenses", header.licenses)):
        if value is not None and name not in carries:
            lost[name] += 1
    if header.extra is not None and "extra" not in carries:
        lost.update(f"extra.{key}" for key in jsontext.members(header.extra))
    ids = [category.id for category in header.categories]
    if "category.id" not in carries and ids != list(range(len(ids))):
        lost["category.id"] += sum(number is not None for number in ids)
    for name in ("supercategory", "extra"):
        if f"category.{name}" not in carries:
            lost[f"category.{name}"] += sum(getattr(category, name) is not None for category in header.categories)


def count_overruled(header: Header, index: NDArray[np.int32], kept: Header, lost: Counter[str]) -> None:
    """Count what one of several sources says once and what is not `kept`, as an earlier source says otherwise. `index`:
    the class in `kept` of each class of the source, or -1.
    """
    for name, value, other in (("info", header.info, kept.info), ("licenses", header.licenses, kept.licenses)):
        if value is not None and not _same(value, other):
            lost[name] += 1
    if header.extra is not None and header.extra != kept.extra:
        members = jsontext.members(kept.extra or "{}")
        lost.update(
            f"extra.{key}" for key, text in jsontext.members(header.extra).items() if not _same(text, members.get(key))
        )
    for category, place in zip(header.categories, index.tolist(), strict=True):
        if place < 0 or category.name != kept.categories[place].name:  # left out or renamed, as the user asked
            continue
        for name in ("supercategory", "extra"):
            value = getattr(category, name)
            if value is not None and not _same(value, getattr(kept.categories[place], name)):
                lost[f"category.{name}"] += 1


def _same(text: str, other: str | None) -> bool:
    try:
        return text == other or (other is not None and json.loads(text) == json.loads(other))
    except ValueError:
        return False


def class_of(field: str) -> FieldClass:
    """Geometry, label, flag or metadata."""
    return CLASSES.get(field, "metadata")


def refused(lost: Mapping[str, int], strict: str | None, asked: Collection[str]) -> list[Diagnostic]:
    """What `--strict` refuses of what is lost. `strict`: None; `default`, every class but metadata; `all`; or field
    names with commas. `asked`: the options of `--out` that were given. Raises UsageError for an unknown field.
    """
    if strict is None:
        return []
    known = {"image", "object", "category", "info", "licenses", "extra"}
    for name in strict.split(",") if strict not in ("default", "all") else ():
        part, _, column = name.partition(".")
        fields = {"image": schema.IMAGE_FIELDS, "object": schema.OBJECT_FIELDS}.get(part)
        if part not in known or (column and fields is not None and column.partition(".")[0] not in fields):
            hint = "`bboxconv formats` lists fields as object.score, image.extra; or default, all"
            raise UsageError.of("unknown-field", f"--strict names a field that there is not: {name!r}", hint=hint)
    wanted = {field for option in asked for field in ASKED_BY.get(option, ())}
    found = []
    for field, count in lost.items():
        if not count:
            continue
        named = strict not in ("default", "all") and any(
            field == name or field.startswith(f"{name}.") for name in strict.split(",")
        )
        if strict == "all" or named or (strict == "default" and class_of(field) != "metadata" and field not in wanted):
            found.append(
                Diagnostic(
                    "loss-refused",
                    f"{field} would be lost",
                    count=count,
                    hint="without --strict it is left out and counted",
                )
            )
    return found
