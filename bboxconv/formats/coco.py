"""COCO JSON: instances, person_keypoints, lists of annotations or results.

Spec: https://cocodataset.org/#format-data and #format-results. Boxes are `[x, y, width, height]` in pixels, continuous, origin 0.

- Every key at every level survives: those without a column are carried as JSON text in `extra`. Inside an element the last of two equal keys wins; at the top level it is an error.
- Categories are put in the order of their ids, which is the order of the class index that trainers use.
- Ids that are no int64 are carried as written; ids are joined by value where they are int64, else by their written form.
- An annotation without a bbox whose polygons are known gets their extent as bbox, and shape `polygon`.
- A document without `annotations` has images at which nobody looked.
- Written files have `id`, `area` (w times h) and `iscrowd` (0) filled in where the source has none: pycocotools needs them, and takes annotation id 0 for "unmatched".
- VOC's difficult, truncated and occluded, scores and track ids are written as keys of the annotation, and read back.

Cannot carry: the difference between images at which nobody looked and images without boxes, rotations.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv import jsontext, schema
from bboxconv.boxes import BoxFormat, convert_boxes, extent
from bboxconv.cocowrite import write_coco
from bboxconv.codec import EVERYTHING, ROTATED, FormatInfo, Match, Option, Options, ReadContext, Source, Target, WriteContext, Written
from bboxconv.errors import DataError
from bboxconv.jsonelements import Field, Part, columns_of, reader
from bboxconv.jsonstream import Elements, Member, read_document
from bboxconv.schema import Category, Dataset, Header
from bboxconv.spool import ByImage, Spool
from bboxconv.workers import pool

HEADER = Option("header", "", "a COCO file with the images and categories that a list of results speaks of")
XYWH = BoxFormat("xywh")

INFO = FormatInfo(
    name="coco",
    title="COCO JSON",
    spec="https://cocodataset.org/#format-data",
    layout="either",
    extensions=(".json",),
    box="xywh",
    carries=EVERYTHING - {"unannotated", "object.rotation", "object.shape", "image.split"},
    aliases=("coco-json", "coco_instances"),
    read_options=(HEADER,),
    write_options=(ROTATED,),
)

IMAGE_FIELDS = (
    Field("id", "id", required=True),
    Field("file_name", "text"),
    Field("width", "size"),
    Field("height", "size"),
    Field("video", "text", usual=False),
    Field("frame", "size", usual=False),
)
ANNOTATION_FIELDS = (
    Field("id", "id"),
    Field("image_id", "id", required=True),
    Field("category_id", "id"),
    Field("bbox", "box"),
    Field("area", "float"),
    Field("iscrowd", "flag"),
    Field("segmentation", "raw"),
    Field("keypoints", "raw", usual=False),
    Field("score", "float", usual=False),
    Field("ignore", "flag", usual=False),
    Field("difficult", "flag", usual=False),
    Field("truncated", "float", usual=False),
    Field("occluded", "float", usual=False),
    Field("track_id", "id", usual=False),
)
READERS = {"images": reader(IMAGE_FIELDS), "annotations": reader(ANNOTATION_FIELDS), "": reader(ANNOTATION_FIELDS)}
SPLITS = re.compile(r"(train|val|valid|validation|test)(?=$|[^a-z])")
SMALL = 16 << 20
"""Files below this are read in this process: a pool takes longer to start."""


def detect(path: Path, head: bytes) -> Match | None:
    """A document with `images` or `annotations`, a list of objects with `image_id`, or a folder of `instances_*.json` or `*/_annotations.coco.json`."""
    if path.is_dir():
        return _detect_folder(path)
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"[") and re.match(rb'\[\s*\{[^{}]*"image_id"\s*:', text):
        return Match(0.9, "a list of objects with image_id")
    if not text.startswith(b"{"):
        return None
    found = [key for key in ("images", "annotations", "categories", "licenses", "info") if re.search(rb'"%s"\s*:\s*[\[{]' % key.encode(), text)]
    inside = re.search(rb'"(image_id|file_name|supercategory|coco_url|category_id)"\s*:', text)
    if {"images", "annotations"} & set(found) and (inside or len(found) > 1):
        return Match(0.95, f"top-level keys {', '.join(found)}")
    return Match(0.6, f"top-level keys {', '.join(found)}") if len(found) > 1 else None


def _detect_folder(path: Path) -> Match | None:
    for pattern, where in (("instances_*.json*", path), ("instances_*.json*", path / "annotations"), ("*/_annotations.coco.json", path)):
        parts = tuple((_split_of(pattern, file), file) for file in sorted(where.glob(pattern)))
        if parts:
            return Match(0.9, f"{len(parts)} files {pattern}", parts)
    single = path / "_annotations.coco.json"
    return Match(0.9, single.name, (("", single),)) if single.is_file() else None


def _split_of(pattern: str, file: Path) -> str:
    name = file.parent.name if pattern.startswith("*/") else file.name.split(".")[0].removeprefix("instances_")
    found = SPLITS.match(name)
    return {"valid": "val", "validation": "val"}.get(found[1], found[1]) if found else name


@dataclass(slots=True)
class _Document:
    """What the first pass over a file found."""

    images: list[pa.RecordBatch] = field(default_factory=list)
    annotations: Spool | None = None
    members: dict[str, str] = field(default_factory=dict)
    boxes: int = 0
    captions: bool = False
    results: bool = False


def read(source: Source, context: ReadContext) -> Dataset:
    """Read a COCO file: one pass over the text, then annotations in the order of their images.

    Raises DataError for text that is broken outside of an element, for documents that are no COCO, and for captions, which have no boxes.
    """
    document = _first_pass(source, context)
    if document.captions and not document.boxes:
        raise DataError.of(
            "no-boxes", "a captions file: its annotations have a caption and no bbox", where=source.shown, hint="the instances_* file of the same images has the boxes"
        )
    header_file = context.options.get("header", "")
    if document.results and header_file:
        known = _first_pass(Source(Path(header_file)), context, only=("images",))
        document.images, document.members = known.images, known.members
    categories, category_of = _categories(document.members.pop("categories", None), source, context)
    if document.results and not document.images:
        document.images = [_images_named(document)]
    if document.results and not categories:
        categories, category_of = _categories_named(document, context)
    images = _Images.of(document.images, f"{source.shown}: $.images", context)
    annotated = document.annotations is not None
    grouped = _group(document, images, category_of, source, context)
    info, licenses = document.members.pop("info", None), document.members.pop("licenses", None)
    header = Header(XYWH, categories, info, licenses, jsontext.compose(document.members), "coco")
    return Dataset(header, lambda: _batches(images, grouped, source.split, annotated, context.batch_size), images.table.num_rows)


def _first_pass(source: Source, context: ReadContext, only: tuple[str, ...] = ("images", "annotations", "")) -> _Document:
    found = _Document()
    counted = {"images": 0, "annotations": 0, "": 0}
    jobs = context.jobs if source.path.stat().st_size > SMALL else 1
    with pool(jobs) as executor:
        readers = {key: READERS[key] for key in only}
        for item in read_document(source.path, readers, shown=source.shown, executor=executor, jobs=jobs, progress=context.progress):
            if isinstance(item, Member):
                found.members[item.key] = item.text
                continue
            array = f"{source.shown}: $.{item.key}" if item.key else f"{source.shown}: $"
            _take(found, item, counted[item.key], array, context)
            counted[item.key] += item.value.count
    for key in only:
        if key in found.members:
            raise DataError.of("bad-value", f"{key} is not an array", where=f"{source.shown}: $.{key}")
    if not found.images and found.annotations is None:
        raise DataError.of("not-coco", "neither images nor annotations: this is no COCO file", where=source.shown)
    return found


def _take(found: _Document, item: Elements[Part], first: int, array: str, context: ReadContext) -> None:
    part = item.value
    for fault in part.faults:
        fault.report(context.findings, array, first)
    column = part.batch.schema.get_field_index("element")
    batch = part.batch.set_column(column, "element", pc.add(part.batch.column("element"), first))
    if item.key == "images":
        found.images.append(batch)
        return
    found.results |= item.key == ""
    found.captions |= "caption" in part.keys
    found.boxes += len(batch) - batch.column("bbox").null_count
    if found.annotations is None:
        found.annotations = Spool(context.memory // 4)
    if found.captions and not found.boxes:
        return
    found.annotations.append(_complete(batch, array, context))


def _complete(batch: pa.RecordBatch, array: str, context: ReadContext) -> pa.RecordBatch:
    """Annotations without a bbox get the extent of their polygons; those that have neither are faults. Adds the column `shape`."""
    boxes = batch.column("bbox")
    if not boxes.null_count:
        return batch.append_column("shape", schema.null_column("shape", len(batch)))
    values, valid = schema.boxes_of(pa.StructArray.from_arrays([boxes], names=["bbox"]))
    values, keep = values.copy(), np.ones(len(batch), np.bool_)
    drawn = valid.copy()
    for row in np.flatnonzero(~valid).tolist():
        points = _polygon_points(batch.column("segmentation")[row].as_py())
        if points is not None:
            values[row] = convert_boxes(extent(points, [0, len(points)]), "xyxy", XYWH)
            drawn[row] = True
        elif not batch.column("keypoints")[row].is_valid:
            keep[row] = False
            where = f"{array}[{batch.column('element')[row].as_py()}]"
            context.findings.add("missing-field", "an annotation has no bbox and no polygon to take it from", where=where)
    batch = batch.set_column(batch.schema.get_field_index("bbox"), "bbox", schema.bbox_array(values, drawn))
    polygon = np.full(len(batch), schema.SHAPES.index("polygon"), np.int8)
    batch = batch.append_column("shape", schema.shape_array(polygon, drawn & ~valid))
    return batch if keep.all() else batch.filter(pa.array(keep))


def _polygon_points(text: str | None) -> NDArray[np.float64] | None:
    try:
        polygons = json.loads(text or "null")
        flat = [number for polygon in polygons for number in polygon] if isinstance(polygons, list) else []
        points = np.array(flat, np.float64)
    except (TypeError, ValueError):
        return None
    return points.reshape(-1, 2) if len(points) >= 2 and len(points) % 2 == 0 else None


def _written(number: object) -> str:
    return str(number) if isinstance(number, int) and not isinstance(number, bool) and -(1 << 63) <= number < 1 << 63 else json.dumps(number)


def _categories(text: str | None, source: Source, context: ReadContext) -> tuple[tuple[Category, ...], dict[str, int]]:
    """The categories in the order of their ids, and the index of each id by its written form."""
    where = f"{source.shown}: $.categories"
    try:
        rows = msgspec.json.decode(text or "[]", type=list[dict[str, msgspec.Raw]])
    except msgspec.DecodeError as error:
        raise DataError.of("bad-value", "categories is not an array of objects", where=where, detail=str(error)) from error
    found: list[tuple[int | float | str, Category]] = []
    for number, row in enumerate(rows):
        texts = {key: bytes(raw).decode("utf-8", "replace") for key, raw in row.items()}
        values = {key: json.loads(texts.pop(key, "null")) for key in ("id", "name")}
        if values["id"] is None or isinstance(values["id"], bool | list | dict):
            context.findings.add("missing-field", "a category has no id", where=f"{where}[{number}]")
            continue
        name = values["name"] if isinstance(values["name"], str) else str(values["id"])
        if not isinstance(values["name"], str):
            context.findings.add("category-without-name", "a category has no name: its id stands for it", severity="warning", where=f"{where}[{number}]")
        parent = texts.get("supercategory", "")
        if parent.startswith('"'):
            parent = json.loads(texts.pop("supercategory"))
        key = values["id"]
        plain = isinstance(key, int) and -(1 << 63) <= key < 1 << 63
        extra = texts if plain else {"id": json.dumps(key), **texts}
        found.append((key, Category(name, key if plain else None, parent if "supercategory" not in texts and parent else None, jsontext.compose(extra))))
    found.sort(key=lambda pair: (0, pair[0], "") if isinstance(pair[0], int | float) else (1, 0, str(pair[0])))
    index: dict[str, int] = {}
    for position, (key, category) in enumerate(found):
        if _written(key) in index:
            context.findings.add("duplicate-category-id", "two categories have the same id", where=where, detail=f"id {key}: {category.name}")
        index.setdefault(_written(key), position)
    names = [category.name for _, category in found]
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        context.findings.add("duplicate-category-name", "two categories have the same name; both are kept", severity="warning", where=where, detail=name)
    return tuple(category for _, category in found), index


def _annotation_batches(document: _Document) -> Iterator[pa.RecordBatch]:
    return iter(document.annotations or ())


def _images_named(document: _Document) -> pa.RecordBatch:
    """The images that results speak of, in the order in which they are first named."""
    schema_ = columns_of(IMAGE_FIELDS)
    seen: dict[tuple[int | None, str | None], None] = {}
    for batch in _annotation_batches(document):
        pairs = pa.table([batch.column("image_id"), batch.column("image_id#")], names=["a", "b"]).group_by(["a", "b"], use_threads=False).aggregate([])
        seen.update(dict.fromkeys(zip(pairs["a"].to_pylist(), pairs["b"].to_pylist(), strict=True)))
    columns: dict[str, list[object]] = {"id": [a for a, _ in seen], "id#": [b for _, b in seen], "element": list(range(len(seen)))}
    columns["extra"] = [None if text is None else f'{{"id":{text}}}' for text in columns["id#"]]
    return pa.RecordBatch.from_arrays([pa.array(columns.get(f.name, [None] * len(seen)), f.type) for f in schema_], schema=schema_)


def _categories_named(document: _Document, context: ReadContext) -> tuple[tuple[Category, ...], dict[str, int]]:
    """The categories that results speak of: their ids are their names, unless `--classes` has as many."""
    ids: set[int] = set()
    for batch in _annotation_batches(document):
        ids.update(pc.unique(batch.column("category_id").drop_null()).to_pylist())
    ordered = sorted(ids)
    named = len(context.classes) == len(ordered)
    categories = tuple(Category(context.classes[i] if named else str(number), number) for i, number in enumerate(ordered))
    return categories, {str(number): i for i, number in enumerate(ordered)}


@dataclass(frozen=True, slots=True)
class _Images:
    """The images of a document and how to find the number of one by its id."""

    table: pa.Table
    ids: NDArray[np.int64]
    """Ids that are int64, in order."""
    numbers: NDArray[np.int64]
    """The number of the image of each."""
    written: Mapping[str, int]
    """The number of the image of each other id."""

    @classmethod
    def of(cls, batches: list[pa.RecordBatch], where: str, context: ReadContext) -> _Images:
        """Put the images together; entries that repeat an id are faults, those that repeat an image are left out."""
        table = pa.Table.from_batches(batches, schema=columns_of(IMAGE_FIELDS)).combine_chunks()
        keys = pc.coalesce(table["id"].cast(pa.string()), table["id#"]).combine_chunks()
        if pc.count_distinct(keys).as_py() != len(keys):
            table = table.filter(pa.array(_first_entries(table, keys.to_pylist(), where, context)))
        valid = table["id"].is_valid().to_numpy()
        rows = np.flatnonzero(valid)
        ids = table["id"].drop_null().to_numpy()
        order = np.argsort(ids, kind="stable")
        others = {table["id#"][row].as_py(): row for row in np.flatnonzero(~valid).tolist()}
        return cls(table, ids[order], rows[order], others)

    def number_of(self, ids: pa.Array, written: pa.Array) -> NDArray[np.int64]:
        """The number (N,) of the image of each id, -1 where there is none."""
        return _find(ids, written, self.ids, self.numbers, self.written)


def _find(ids: pa.Array, written: pa.Array, known: NDArray[np.int64], numbers: NDArray[np.int64], others: Mapping[str, int]) -> NDArray[np.int64]:
    values = ids.fill_null(0).to_numpy(zero_copy_only=False)
    found = np.full(len(values), -1, np.int64)
    if len(known):
        places = np.minimum(np.searchsorted(known, values), len(known) - 1)
        found = np.where(known[places] == values, numbers[places], -1)
    if ids.null_count:
        for row in np.flatnonzero(ids.is_null().to_numpy(zero_copy_only=False)).tolist():
            found[row] = others.get(written[row].as_py(), -1)
    return found


def _first_entries(table: pa.Table, keys: list[str], where: str, context: ReadContext) -> list[bool]:
    first: dict[str, str | None] = {}
    keep: list[bool] = []
    for key, name, element in zip(keys, table["file_name"].to_pylist(), table["element"].to_pylist(), strict=True):
        keep.append(key not in first)
        if key not in first:
            first[key] = name
        elif first[key] == name:
            context.findings.add("duplicate-image", "an image is listed twice; the first entry is kept", severity="warning", where=f"{where}[{element}]", detail=f"id {key}")
        else:
            detail = f"id {key}: {first[key]} and {name}"
            context.findings.add("duplicate-image-id", "two images have the same id", where=f"{where}[{element}]", detail=detail)
    return keep


def _group(document: _Document, images: _Images, category_of: Mapping[str, int], source: Source, context: ReadContext) -> ByImage:
    """The annotations by image; those whose image or category does not exist are faults."""
    where = f"{source.shown}: $" if document.results else f"{source.shown}: $.annotations"
    numeric = sorted((int(key), index) for key, index in category_of.items() if key.lstrip("-").isdigit() and abs(int(key)) < 1 << 63)
    known = np.array([key for key, _ in numeric], np.int64)
    indices = np.array([index for _, index in numeric], np.int64)
    grouped = ByImage(images.table.num_rows, document.annotations.size if document.annotations else 0, context.memory // 2, context.batch_size)
    ids: list[NDArray[np.int64]] = []
    for batch in _annotation_batches(document):
        number = images.number_of(batch.column("image_id"), batch.column("image_id#"))
        category = _find(batch.column("category_id"), batch.column("category_id#"), known, indices, category_of)
        given = pc.or_(batch.column("category_id").is_valid(), batch.column("category_id#").is_valid()).to_numpy(zero_copy_only=False)
        keep = (number >= 0) & ((category >= 0) | ~given)
        for row in np.flatnonzero(~keep).tolist():
            what = "image" if number[row] < 0 else "category"
            key = batch.column(f"{what}_id")[row].as_py() or batch.column(f"{what}_id#")[row].as_py()
            place = f"{where}[{batch.column('element')[row].as_py()}].{what}_id"
            context.findings.add("orphan-annotation", f"an annotation names a {what} that does not exist", where=place, detail=f"{what}_id {key}")
        rows = _objects(batch, category, given)
        ids.append(batch.column("id").drop_null().to_numpy())
        flat = pa.RecordBatch.from_struct_array(rows)
        grouped.add(flat if keep.all() else flat.filter(pa.array(keep)), number[keep])
    _count_duplicates(ids, where, context)
    document.annotations = None
    return grouped


def _count_duplicates(ids: list[NDArray[np.int64]], where: str, context: ReadContext) -> None:
    together = np.sort(np.concatenate(ids)) if ids else np.zeros(0, np.int64)
    for repeated in np.unique(together[1:][together[1:] == together[:-1]]).tolist():
        message = "an annotation id occurs more than once; all are kept"
        context.findings.add("duplicate-annotation-id", message, severity="warning", where=where, detail=f"id {repeated}")


def _objects(batch: pa.RecordBatch, category: NDArray[np.int64], given: NDArray[np.bool_]) -> pa.StructArray:
    columns = {name: batch.column(name) for name in schema.OBJECT_FIELDS if name in batch.schema.names}
    columns["category"] = pa.array(category.astype(np.int32), mask=~given)
    return schema.object_rows(columns, len(batch))


def _batches(images: _Images, grouped: ByImage, split: str | None, annotated: bool, size: int) -> Iterator[pa.RecordBatch]:
    empty = pa.RecordBatch.from_struct_array(schema.object_rows({}, 0))
    for first, last, rows, number in grouped.ranges():
        objects = (rows if rows is not None else empty).to_struct_array()
        for start in range(first, last, size):
            stop = min(last, start + size)
            offsets = np.searchsorted(number, np.arange(start, stop + 1))
            columns = {name: images.table[name].slice(start, stop - start).combine_chunks() for name in schema.IMAGE_FIELDS if name in images.table.column_names}
            if split is not None:
                columns["split"] = pa.array([split] * (stop - start), pa.string())
            piece = objects.slice(int(offsets[0]), int(offsets[-1] - offsets[0]))
            yield schema.image_batch(columns, offsets - offsets[0], piece, np.full(stop - start, annotated))


def target(header: Header, options: Options) -> Target:
    """Boxes as xywh; every annotation needs a category."""
    return Target(XYWH, INFO.carries, frozenset({"object.category"}), rotated=options.get("rotated", "envelope"))  # type: ignore[arg-type]


def write(header: Header, batches: Iterable[pa.RecordBatch], out: Path, context: WriteContext) -> Written:
    """Write one document; where `out` is a folder, one `instances_{split}.json` for each split."""
    return write_coco(header, batches, out, context)
