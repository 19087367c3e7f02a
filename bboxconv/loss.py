"""The account of loss: what a batch holds minus what the writer carries, by field, and what `--strict` makes of
it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from functools import partial
from itertools import islice, pairwise
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv import jsontext, schema, stages
from bboxconv.account import Account, class_of
from bboxconv.codec import Target
from bboxconv.errors import FIRST_PLACES, Diagnostic, UsageError
from bboxconv.schema import Header

Places: TypeAlias = Callable[[list[int]], list[str]]
"""Where rows stand."""
ASKED_BY: Mapping[str, Collection[str]] = {
    "task": ("object.segmentation", "object.keypoints", "object.rotation"),
    "crowd": ("object.iscrowd",),
    "rotated": ("object.rotation",),
    "score": ("object.score",),
}
"""Fields whose loss a user asks for who gives this option of `--out`."""
LEFT_OUT: Mapping[str, str] = {
    "crowd": "object.iscrowd",
    "ignore region": "object.ignore",
    "without a bbox": "object",
    "without a bbox, polygon, mask or keypoints": "object",
    "not annotated": "image",
    "without boxes, which the format cannot show": "image",
}
"""What is lost where the target has no place for a box or an image, by the reason for which it is left out. For the
other reasons the user, or a fault, is the cause."""


_LONG_NUMBER = r"[0-9][eE][-+]?[0-9]{3}|[0-9][0-9.]{15}"
"""What the text of a number holds that may not be that of a float."""


def count_batch(batch: pa.RecordBatch, target: Target, account: Account, shown: str) -> None:
    """Count every value that the batch holds, by field, and those that the writer does not carry. A flag is lost where
    it is set.
    """
    objects, carries = schema.flat(batch), target.carries

    def images(rows: list[int]) -> list[str]:
        return [stages.image_place(batch, row, shown).where for row in rows]

    def boxes(rows: list[int]) -> list[str]:
        return [stages.place(batch, objects, row, shown).where for row in rows]

    for prefix, fields, column, places in (
        ("image", schema.IMAGE_FIELDS, batch.column, images),
        ("object", schema.OBJECT_FIELDS, objects.column, boxes),
    ):
        for name in fields:
            field = f"{prefix}.{name}"
            values = column(name)
            if values.null_count == len(values):
                continue
            if name == "extra":
                _count_extra(values, field, target, account, places)
                continue
            account.seen[field] += len(values) - values.null_count
            if field in carries:
                continue
            lost = values.is_valid()
            if field == "object.shape" and "object.segmentation" in carries:  # what is written is not lost,
                lost = pc.and_not(lost, column("segmentation").is_valid())  # whatever its name
            if pa.types.is_boolean(values.type):
                lost = values.fill_null(False)
            elif name in ("truncated", "occluded"):
                lost = pc.not_equal(values, 0).fill_null(False)
            count = pc.sum(lost).as_py() or 0
            if count:
                account.lose(field, count, partial(_first, lost, places))


def _first(mask: pa.BooleanArray, places: Places) -> list[str]:
    return places(np.flatnonzero(mask.to_numpy(zero_copy_only=False))[:FIRST_PLACES].tolist())


def _count_extra(
    texts: pa.StringArray,
    field: str,
    target: Target,
    account: Account,
    places: Places,
) -> None:
    """Count the keys of JSON objects."""
    counted = texts.drop_null().value_counts()  # many objects say the same, such as their pose
    shapes: Counter[tuple[str, ...]] = Counter()
    for keys, count in zip(jsontext.keys(counted.field("values")), counted.field("counts").to_pylist(), strict=True):
        shapes[keys] += count
    found: Counter[str] = Counter()
    for keys, count in shapes.items():
        for key in keys:
            found[key] += count
    for key, count in found.items():
        account.seen[f"{field}.{key}"] += count
        if field not in target.carries and f"{field}.{key}" not in target.carries:
            account.lose(f"{field}.{key}", count, partial(_with_key, texts, key, places))
    if target.floats and field in target.carries:
        _count_numbers(counted, field, account)


def _count_numbers(counted: pa.StructArray, field: str, account: Account) -> None:
    """Count the extra keys with numbers that are not those of a float."""
    likely = counted.filter(pc.match_substring_regex(counted.field("values"), _LONG_NUMBER))
    for text, count in zip(likely.field("values").to_pylist(), likely.field("counts").to_pylist(), strict=True):
        for key, value in jsontext.members(text).items():
            with suppress(RecursionError):  # written as it stands
                if how := jsontext.beyond_floats(value):
                    account.changed[f"{field}.{key}", how] += count


def _with_key(texts: pa.StringArray, key: str, places: Places) -> list[str]:
    likely = pc.match_substring(texts, json.dumps(key, ensure_ascii=False)).fill_null(False)
    rows = np.flatnonzero(likely.to_numpy(zero_copy_only=False)).tolist()
    return places(list(islice((row for row in rows if key in jsontext.members(texts[row].as_py())), FIRST_PLACES)))


def count_header(header: Header, target: Target, account: Account) -> None:
    """Count what is said once, and what the target does not carry of it: a key that the target takes for its own is
    lost, unless it writes one itself. Ids that become places among the categories are not lost where they were in that
    order: each class is still the same one.
    """
    seen, lost, carries = account.seen, account.lost, target.carries
    own = target.reserved - target.fills
    for name, value in (("info", header.info), ("licenses", header.licenses)):
        if value is not None:
            seen[name] += 1
            lost[name] += name not in carries
    for key in jsontext.members(header.extra) if header.extra is not None else ():
        seen[f"extra.{key}"] += 1
        lost[f"extra.{key}"] += "extra" not in carries or f"extra.{key}" in own
    ids = [category.id for category in header.categories if category.id is not None]
    seen["category.id"] += len(ids)
    if "category.id" not in carries and ids != list(range(len(header.categories))):
        in_order = target.indexed and all(one < two for one, two in pairwise(ids))
        if in_order and len(ids) == len(header.categories):
            account.changed["category.id", "remapped"] += len(ids)
        else:
            lost["category.id"] += len(ids)
    for name in ("supercategory", "extra"):
        count = sum(getattr(category, name) is not None for category in header.categories)
        seen[f"category.{name}"] += count
        if f"category.{name}" not in carries:
            lost[f"category.{name}"] += count


def count_overruled(header: Header, index: NDArray[np.int32], kept: Header, account: Account) -> None:
    """Count what one of several sources says once and what is not `kept`, as an earlier source says otherwise, and its
    classes that have another name there. `index`: the class in `kept` of each class of the source, or -1.
    """
    lost: Counter[str] = Counter()
    for name, value, other in (("info", header.info, kept.info), ("licenses", header.licenses, kept.licenses)):
        if value is not None and not _same(value, other):
            lost[name] += 1
    if header.extra is not None and header.extra != kept.extra:
        members = jsontext.members(kept.extra or "{}")
        lost.update(
            f"extra.{key}" for key, text in jsontext.members(header.extra).items() if not _same(text, members.get(key))
        )
    for category, place in zip(header.categories, index.tolist(), strict=True):
        if place < 0:  # left out, as the user asked
            continue
        account.seen["category.name"] += 1
        if category.name != kept.categories[place].name:
            account.changed["category.name", "renamed"] += 1
            continue
        for name in ("supercategory", "extra"):
            value = getattr(category, name)
            if value is not None and not _same(value, getattr(kept.categories[place], name)):
                lost[f"category.{name}"] += 1
    account.seen.update(lost)
    account.lost.update(lost)


def _same(text: str, other: str | None) -> bool:
    try:
        return text == other or (other is not None and jsontext.value(text) == jsontext.value(other))
    except ValueError:
        return False


def refused(account: Account, strict: str | None, asked: Collection[str]) -> list[Diagnostic]:
    """What `--strict` refuses of what became of the values. `strict`: None; `default`, the loss of every class but
    metadata; `all`, any loss and any change; or field names with commas, of which it is the same. Coordinates in
    another notation are no change. `asked`: the options of `--out` that were given. Raises UsageError for an unknown
    field.
    """
    if strict is None:
        return []
    names = strict.split(",") if strict not in ("default", "all") else ()
    known = {"image", "object", "category", "info", "licenses", "extra"}
    for name in names:
        part, _, column = name.partition(".")
        fields = {"image": schema.IMAGE_FIELDS, "object": schema.OBJECT_FIELDS}.get(part)
        if part not in known or (column and fields is not None and column.partition(".")[0] not in fields):
            hint = "`bboxconv formats` lists fields as object.score, image.extra; or default, all"
            raise UsageError.of("unknown-field", f"--strict names a field that there is not: {name!r}", hint=hint)
    wanted = {field for option in asked for field in ASKED_BY.get(option, ())}

    def refuses(field: str, *, changed: bool) -> bool:
        if strict == "default":
            return not changed and class_of(field) != "metadata" and field not in wanted
        return strict == "all" or any(field == name or field.startswith(f"{name}.") for name in names)

    lost = +account.lost
    for reason, count in (+account.left_out_boxes + account.left_out_images).items():
        if reason in LEFT_OUT:
            lost[LEFT_OUT[reason]] += count
    found = []
    for (field, how), count in (+account.changed).items():
        if field == "object.rotation":  # the box is written without it
            lost[field] += count
        elif not (how == "converted" and class_of(field) == "geometry") and refuses(field, changed=True):
            found.append(_refusal(f"{field} would be changed: {how}", count, "changed"))
    return [_refusal(f"{f} would be lost", n, "left out") for f, n in lost.items() if refuses(f, changed=False)] + found


def _refusal(message: str, count: int, done: str) -> Diagnostic:
    return Diagnostic("loss-refused", message, count=count, hint=f"without --strict it is {done} and counted")
