"""COCO JSON: instances, person_keypoints, lists of annotations or results.

Spec: https://cocodataset.org/#format-data and #format-results. Boxes are `[x, y, width, height]` in pixels,
continuous, origin 0.

- Every key at every level survives: those without a column are carried as JSON text in `extra`. Inside an element the
  last of two equal keys wins; at the top level it is an error.
- Categories are put in the order of their ids, which is the order of the class index that trainers use.
- Ids that are no int64 are carried as written; ids are joined by value where they are int64 (1.0 is 1), else by their
  written form.
- An annotation without a bbox whose polygons are known gets their extent as bbox, and shape `polygon`; one with a
  mask or keypoints alone is kept without a bbox.
- A document without `annotations` has images at which nobody looked.
- Written files have `id` (behind the largest), `area` (w times h) and `iscrowd` (0) filled in where the source has
  none: pycocotools needs them, and takes annotation id 0 for "unmatched".
- VOC's difficult, truncated and occluded, scores and track ids are written as keys of the annotation, and read back.

Cannot carry: the difference between images at which nobody looked and images without boxes, rotations.
"""

from __future__ import annotations

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
from bboxconv.codec import (
    EVERYTHING,
    ROTATED,
    FormatInfo,
    Match,
    Option,
    Options,
    ReadContext,
    Source,
    Target,
    WriteContext,
    Written,
    rotated_of,
)
from bboxconv.errors import DataError, UsageError
from bboxconv.formats.coco.categories import Id, name_categories, read_categories
from bboxconv.formats.coco.images import IMAGE_FIELDS, Images, Numbers, images_named, repeated
from bboxconv.formats.coco.write import write_coco
from bboxconv.io import base_suffix
from bboxconv.readers.jsonblocks import ArrayReader
from bboxconv.readers.jsonelements import SKIPPED, Part, reader
from bboxconv.readers.jsonstream import Elements, Member, read_document
from bboxconv.readers.jsonvalues import Field
from bboxconv.schema import Dataset, Header
from bboxconv.splits import SPLIT_NAMES
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

ANNOTATION_FIELDS = (
    Field("id", "id"),
    Field("image_id", "key", required=True),
    Field("category_id", "key"),
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
RESERVED = frozenset(
    [f"image.extra.{one.key}" for one in IMAGE_FIELDS] + [f"object.extra.{one.key}" for one in ANNOTATION_FIELDS]
)
READERS = {"images": reader(IMAGE_FIELDS), "annotations": reader(ANNOTATION_FIELDS), "": reader(ANNOTATION_FIELDS)}
SPLITS = re.compile(r"^(train|val|valid|validation|test)[-_]?(\d{4})?$")
"""Names of splits, with the year that those of COCO have; any other name stands as it is."""
POLYGONS = msgspec.json.Decoder(list[list[float]])
LARGEST = 1e150
"""Beyond this the width or area of an extent would be infinite."""
SMALL = 128 << 20
"""Files below this are read in this process: a pool takes longer to start."""


def detect(path: Path, head: bytes) -> Match | None:
    """A document with `images` or `annotations`, a list of objects with `image_id`, or a folder of `instances_*.json`
    or `*/_annotations.coco.json`."""
    if path.is_dir():
        return _detect_folder(path)
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if re.match(rb"\[\s*\{", text) and re.search(rb'"image_id"\s*:', text):
        return Match(0.9, "a list of objects with image_id")
    if not text.startswith(b"{"):
        return None
    found = [
        key
        for key in ("images", "annotations", "categories", "licenses", "info")
        if re.search(rb'"%s"\s*:\s*[\[{]' % key.encode(), text)
    ]
    inside = re.search(rb'"(image_id|file_name|supercategory|coco_url|category_id)"\s*:', text)
    if {"images", "annotations"} & set(found) and (inside or len(found) > 1):
        return Match(0.95, f"top-level keys {', '.join(found)}")
    return Match(0.6, f"top-level keys {', '.join(found)}") if len(found) > 1 else None


def _detect_folder(path: Path) -> Match | None:
    for pattern, where in (
        ("instances_*.json*", path),
        ("instances_*.json*", path / "annotations"),
        ("*/_annotations.coco.json", path),
    ):
        files = [file for file in sorted(where.glob(pattern)) if base_suffix(file) == ".json"]
        rest = [("", file) for file in sorted(where.glob("instances.json*")) if base_suffix(file) == ".json"]
        if files or rest:
            names = [_split_of(pattern, file) for file in files]
            splits = [SPLITS.sub(_usual, name) for name in names]
            splits = splits if len({*splits}) == len(splits) else names
            parts = (*zip(splits, files, strict=True), *rest)
            return Match(0.9, f"{len(parts)} files {pattern}", parts)
    single = path / "_annotations.coco.json"
    return Match(0.9, single.name, (("", single),)) if single.is_file() else None


def _split_of(pattern: str, file: Path) -> str:
    return file.parent.name if pattern.startswith("*/") else file.name.split(".json")[0].removeprefix("instances_")


def _usual(name: re.Match[str]) -> str:
    return SPLIT_NAMES[name[1]]


@dataclass(slots=True)
class _Document:
    """What the first pass over a file found."""

    images: list[pa.RecordBatch] = field(default_factory=list)
    annotations: Spool | None = None
    members: dict[str, str] = field(default_factory=dict)
    boxes: int = 0
    captions: list[tuple[pa.RecordBatch, str]] = field(default_factory=list)
    """Captions before the first box: passed over, unless boxes follow."""
    results: bool = False


def read(source: Source, context: ReadContext) -> Dataset:
    """Read a COCO file: one pass over the text, then annotations in the order of their images.

    Raises DataError for text that is broken outside of an element, for documents that are no COCO, and for captions,
    which have no boxes; UsageError where `header` names no file.
    """
    document = _first_pass(source, context)
    if document.captions:
        raise DataError.of(
            "no-boxes",
            "a captions file: its annotations have a caption and no bbox",
            where=source.shown,
            hint="the instances_* file of the same images has the boxes",
        )
    header_file = context.options.get("header", "")
    if document.results and header_file:
        known = _header_pass(Path(header_file), context)
        document.images, document.members = known.images, known.members
    categories, category_of = read_categories(
        document.members.pop("categories", "[]"), f"{source.shown}: $.categories", context
    )
    if document.results and not document.images:
        document.images = [images_named(_annotation_batches(document))]
    if document.results and not categories:
        categories, category_of = name_categories(_annotation_batches(document), context.classes)
    images = Images.of(document.images, f"{source.shown}: $.images", context)
    annotated = document.annotations is not None
    grouped = _group(document, images, category_of, source, context)
    info, licenses = document.members.pop("info", None), document.members.pop("licenses", None)
    header = Header(XYWH, categories, info, licenses, jsontext.compose(document.members), "coco")
    return Dataset(
        header, lambda: _batches(images, grouped, source.split, annotated, context.batch_size), images.table.num_rows
    )


def _header_pass(path: Path, context: ReadContext) -> _Document:
    """The document that `--in header` names: all of it but its annotations."""
    if not path.is_file():
        raise UsageError.of(
            "path-not-found", f"there is no file {path}", hint="--in header names a COCO file of the images"
        )
    return _first_pass(Source(path), context, {"images": READERS["images"], "annotations": SKIPPED})


def _first_pass(source: Source, context: ReadContext, readers: Mapping[str, ArrayReader[Part]] = READERS) -> _Document:
    found = _Document()
    counted = {"images": 0, "annotations": 0, "": 0}
    jobs = context.jobs if source.path.stat().st_size > SMALL else 1
    with pool(jobs) as executor:
        for item in read_document(
            source.path, readers, shown=source.shown, executor=executor, jobs=jobs, progress=context.progress
        ):
            if isinstance(item, Member):
                found.members[item.key] = item.text
                continue
            array = f"{source.shown}: $.{item.key}" if item.key else f"{source.shown}: $"
            if readers[item.key] is not SKIPPED:
                _take(found, item, counted[item.key], array, context)
            counted[item.key] += item.value.count
    for key in readers:
        if key and key in found.members:
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
    found.boxes += len(batch) - batch.column("bbox").null_count
    if found.annotations is None:
        found.annotations = Spool(context.memory // 4)
    found.captions.append((batch, array))
    if found.boxes or "caption" not in part.keys:
        for held, place in found.captions:
            found.annotations.append(_complete(held, place, context))
        found.captions.clear()


def _complete(batch: pa.RecordBatch, array: str, context: ReadContext) -> pa.RecordBatch:
    """Annotations without a bbox get the extent of their polygons; those that nothing places are faults. Adds the
    column `shape`."""
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
        elif not batch.column("keypoints")[row].is_valid and not _is_mask(batch.column("segmentation")[row].as_py()):
            keep[row] = False
            where = f"{array}[{batch.column('element')[row].as_py()}]"
            context.findings.add("missing-field", "an annotation has no bbox, polygon, mask or keypoints", where=where)
    batch = batch.set_column(batch.schema.get_field_index("bbox"), "bbox", schema.bbox_array(values, drawn))
    polygon = np.full(len(batch), schema.SHAPES.index("polygon"), np.int8)
    batch = batch.append_column("shape", schema.shape_array(polygon, drawn & ~valid))
    return batch if keep.all() else batch.filter(pa.array(keep))


def _polygon_points(text: str | None) -> NDArray[np.float64] | None:
    """The points (N, 2) of polygons; None where the text is something else."""
    try:
        polygons = POLYGONS.decode(text or "null")
    except (msgspec.DecodeError, RecursionError):
        return None
    points = np.array([number for polygon in polygons for number in polygon])
    even = all(len(polygon) % 2 == 0 for polygon in polygons)
    return points.reshape(-1, 2) if even and len(points) and bool((abs(points) < LARGEST).all()) else None


def _is_mask(text: str | None) -> bool:
    """Whether a segmentation is run-length encoded."""
    return text is not None and text.startswith("{")


def _annotation_batches(document: _Document) -> Iterator[pa.RecordBatch]:
    return iter(document.annotations or ())


def _group(
    document: _Document, images: Images, category_of: Mapping[Id, int], source: Source, context: ReadContext
) -> ByImage:
    """The annotations by image; those whose image or category does not exist are faults."""
    where = f"{source.shown}: $" if document.results else f"{source.shown}: $.annotations"
    plain = {key: index for key, index in category_of.items() if isinstance(key, int)}
    others = {key: index for key, index in category_of.items() if isinstance(key, str)}
    categories = Numbers.of(np.array([*plain], np.int64), np.array([*plain.values()], np.int64), others)
    grouped = ByImage(
        images.table.num_rows,
        document.annotations.size if document.annotations else 0,
        context.memory // 2,
        context.batch_size,
    )
    ids: list[NDArray[np.int64]] = []
    for batch in _annotation_batches(document):
        number = images.numbers.find(batch, "image_id")
        category = categories.find(batch, "category_id")
        given = pc.or_(batch.column("category_id").is_valid(), batch.column("category_id#").is_valid()).to_numpy(
            zero_copy_only=False
        )
        keep = (number >= 0) & ((category >= 0) | ~given)
        for row in np.flatnonzero(~keep).tolist():
            what = "image" if number[row] < 0 else "category"
            key = batch.column(f"{what}_id")[row]
            key = key if key.is_valid else batch.column(f"{what}_id#")[row]
            place = f"{where}[{batch.column('element')[row].as_py()}].{what}_id"
            context.findings.add(
                "orphan-annotation",
                f"the {what} of an annotation does not exist",
                where=place,
                detail=f"{what}_id {key}",
            )
        rows = _objects(batch, category, given)
        ids.append(batch.column("id").drop_null().to_numpy())
        flat = pa.RecordBatch.from_struct_array(rows)
        grouped.add(flat if keep.all() else flat.filter(pa.array(keep)), number[keep])
    _count_duplicates(ids, where, context)
    document.annotations = None
    return grouped


def _count_duplicates(ids: list[NDArray[np.int64]], where: str, context: ReadContext) -> None:
    for number in repeated(ids):
        message = "an annotation id occurs more than once; all are kept"
        context.findings.add("duplicate-annotation-id", message, severity="warning", where=where, detail=f"id {number}")


def _objects(batch: pa.RecordBatch, category: NDArray[np.int64], given: NDArray[np.bool_]) -> pa.StructArray:
    columns = {name: batch.column(name) for name in schema.OBJECT_FIELDS if name in batch.schema.names}
    columns["category"] = pa.array(category.astype(np.int32), mask=~given)
    return schema.object_rows(columns, len(batch))


def _batches(
    images: Images, grouped: ByImage, split: str | None, annotated: bool, size: int
) -> Iterator[pa.RecordBatch]:
    empty = pa.RecordBatch.from_struct_array(schema.object_rows({}, 0))
    for first, last, rows, number in grouped.ranges():
        objects = (rows if rows is not None else empty).to_struct_array()
        for start in range(first, last, size):
            stop = min(last, start + size)
            offsets = np.searchsorted(number, np.arange(start, stop + 1))
            columns = {
                name: images.table[name].slice(start, stop - start).combine_chunks()
                for name in schema.IMAGE_FIELDS
                if name in images.table.column_names
            }
            piece = objects.slice(int(offsets[0]), int(offsets[-1] - offsets[0]))
            batch = schema.image_batch(columns, offsets - offsets[0], piece, np.full(stop - start, annotated))
            yield schema.with_split(batch, split)


def target(header: Header, options: Options) -> Target:
    """Boxes as xywh; every annotation needs a category."""
    return Target(XYWH, INFO.carries, frozenset({"object.category"}), rotated=rotated_of(options), reserved=RESERVED)


def write(header: Header, batches: Iterable[pa.RecordBatch], out: Path, context: WriteContext) -> Written:
    """Write one document; where `out` is a folder, one `instances_{split}.json` for each split."""
    return write_coco(header, batches, out, context)
