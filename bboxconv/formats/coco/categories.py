"""The categories of COCO files: read from their array, or named after the ids that a list of results uses."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from bboxconv import jsontext
from bboxconv.codec import ReadContext
from bboxconv.errors import DataError
from bboxconv.readers.jsonvalues import id_of
from bboxconv.schema import Category

Id = int | str
"""As `jsonvalues.id_of` gives it."""

_ROWS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


def read_categories(text: str, where: str, context: ReadContext) -> tuple[tuple[Category, ...], dict[Id, int]]:
    """The categories in the order of their ids (numbers before texts), and the index of each id.

    Raises DataError where the JSON text is no array of objects.
    """
    try:
        rows = _ROWS.decode(text)
    except msgspec.DecodeError as error:
        message = "categories is not an array of objects"
        raise DataError.of("bad-value", message, where=where, detail=str(error)) from error
    found: list[tuple[Id, Category]] = []
    for number, row in enumerate(rows):
        pair = _category({key: bytes(raw).decode() for key, raw in row.items()}, f"{where}[{number}]", context)
        if pair is not None:
            found.append(pair)
    found.sort(key=lambda pair: _order(pair[0]))
    index: dict[Id, int] = {}
    for position, (key, category) in enumerate(found):
        if index.setdefault(key, position) != position:
            detail = f"id {key}: {category.name}"
            context.findings.add("duplicate-category-id", "two categories have the same id", where=where, detail=detail)
    names = [category.name for _, category in found]
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        message = "two categories have the same name; both are kept"
        context.findings.add("duplicate-category-name", message, severity="warning", where=where, detail=name)
    return tuple(category for _, category in found), index


def _order(key: Id) -> tuple[int, float, str]:
    if isinstance(key, int):
        return (0, key, "")
    return (2, 0, key) if key.startswith('"') else (1, float(key), key)


def _category(texts: dict[str, str], where: str, context: ReadContext) -> tuple[Id, Category] | None:
    """One category from its members' JSON text, and its id."""
    try:
        key = id_of(texts.get("id", "null"))
    except ValueError:
        key = None
    if key is None:
        context.findings.add("missing-field", "a category has no id", where=where)
        return None
    if isinstance(key, int):  # else it is carried as written
        texts.pop("id")
    if texts.get("name", "").startswith('"'):
        name = json.loads(texts.pop("name"))
    else:
        name = _name(key)
        message = "a category has no name: its id stands for it"
        context.findings.add("category-without-name", message, severity="warning", where=where)
        texts.pop("name", None)
    parent = json.loads(texts.pop("supercategory")) if texts.get("supercategory", "").startswith('"') else None
    return key, Category(name, key if isinstance(key, int) else None, parent, jsontext.compose(texts))


def name_categories(
    annotations: Iterable[pa.RecordBatch], names: Sequence[str]
) -> tuple[tuple[Category, ...], dict[Id, int]]:
    """The categories that annotations use, in the order of their ids, and the index of each id: the ids are their
    names, unless there are as many `names`."""
    ids: set[Id] = set()
    for batch in annotations:
        for column in ("category_id", "category_id#"):
            ids.update(pc.unique(batch.column(column).drop_null()).to_pylist())
    ordered = sorted(ids, key=_order)
    named = list(names) if len(names) == len(ordered) else [_name(key) for key in ordered]
    categories = tuple(
        Category(name, key) if isinstance(key, int) else Category(name, extra=jsontext.compose({"id": key}))
        for key, name in zip(ordered, named, strict=True)
    )
    return categories, {key: position for position, key in enumerate(ordered)}


def _name(key: Id) -> str:
    return str(json.loads(key)) if isinstance(key, str) and key.startswith('"') else str(key)
