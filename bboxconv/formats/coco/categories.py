"""The categories of COCO files: read from their array, or named after the ids that a list of results uses."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from bboxconv import jsontext
from bboxconv.codec import ReadContext
from bboxconv.errors import DataError, Record, cut
from bboxconv.readers.jsonvalues import id_of
from bboxconv.schema import Category

Id = int | str
"""As `jsonvalues.id_of` gives it."""

_ROWS = msgspec.json.Decoder(list[msgspec.Raw])
_ROW = msgspec.json.Decoder(dict[str, msgspec.Raw])


def read_categories(text: str, where: str, context: ReadContext) -> tuple[tuple[Category, ...], dict[Id, int]]:
    """The categories in the order of their ids (numbers before texts), and the index of each id; of several with one
    id the first is kept. `where` is the file.

    Raises DataError where the JSON text is no array.
    """
    try:
        rows = _ROWS.decode(text)
    except msgspec.DecodeError as error:
        message = "categories is not an array"
        raise DataError.of("bad-value", message, where=f"{where}: $.categories", detail=str(error)) from error
    found: list[tuple[Id, Category]] = []
    known: set[Id] = set()
    for number, row in enumerate(rows):
        record = Record(where, pointer=f"$.categories[{number}]", raw=cut(bytes(row)))
        pair = _category(bytes(row), record, context)
        if pair is None:
            continue
        if pair[0] in known:
            message, detail = "two categories have the same id; the first is kept", f"id {pair[0]}: {pair[1].name}"
            context.findings.add("duplicate-category-id", message, record=record, detail=detail)
            continue
        known.add(pair[0])
        found.append(pair)
    found.sort(key=lambda pair: _order(pair[0]))
    index = {key: position for position, (key, _) in enumerate(found)}
    names = [category.name for _, category in found]
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        message = "two categories have the same name; both are kept"
        context.findings.add(
            "duplicate-category-name", message, severity="warning", where=f"{where}: $.categories", detail=name
        )
    return tuple(category for _, category in found), index


def _order(key: Id) -> tuple[int, float, str]:
    if isinstance(key, int):
        return (0, key, "")
    return (2, 0, key) if key.startswith('"') else (1, float(key), key)


def _category(text: bytes, record: Record, context: ReadContext) -> tuple[Id, Category] | None:
    """One category from its JSON text, and its id."""
    try:
        texts = {key: bytes(raw).decode() for key, raw in _ROW.decode(text).items()}
    except msgspec.DecodeError as error:
        context.findings.add("bad-value", "a category is not an object", record=record, detail=str(error))
        return None
    try:
        key = id_of(texts.get("id", "null"))
    except ValueError:
        key = None
    if key is None:
        context.findings.add("missing-field", "a category has no id", record=record)
        return None
    if isinstance(key, int):  # else it is carried as written
        texts.pop("id")
    if texts.get("name", "").startswith('"'):
        name = json.loads(texts.pop("name"))
    else:
        name = _name(key)
        message = "a category has no name: its id stands for it"
        context.findings.add("category-without-name", message, severity="warning", where=record.where)
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
