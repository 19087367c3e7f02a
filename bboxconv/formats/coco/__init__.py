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

# What reads and what writes is imported where that is done: every format is loaded to know what a source is.
# ruff: noqa: PLC0415

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from bboxconv.boxes import BoxFormat
from bboxconv.codec import (
    EVERYTHING,
    ROTATED,
    Encoder,
    FormatInfo,
    Match,
    Option,
    Options,
    ReadContext,
    Source,
    Target,
    WriteContext,
    Written,
    encoded,
    option,
    rotated_of,
)
from bboxconv.io import base_suffix, listing
from bboxconv.jsontext import members
from bboxconv.schema import Dataset, Header
from bboxconv.splits import SPLIT_NAMES

if TYPE_CHECKING:
    from bboxconv.formats.coco.text import Texts

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

FILLED = frozenset({"image.id", "category.id", *(f"object.{name}" for name in ("id", "area", "iscrowd", "bbox"))})
"""Values that a document gets where the source has none: `bbox` is the extent of a polygon."""
SPLITS = re.compile(r"^(train|val|valid|validation|test)[-_]?(\d{4})?$")
"""Names of splits, with the year that those of COCO have; any other name stands as it is."""


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
    keys = ("images", "annotations", "categories", "licenses", "info")
    found = [key for key in keys if re.search(rb'"%s"\s*:\s*[\[{]' % key.encode(), text)]
    with suppress(ValueError, RecursionError):  # an object of one line: what is inside of it is not at the top
        whole = members(text.partition(b"\n")[0])
        found = [key for key in found if key in whole]
    inside = re.search(rb'"(image_id|file_name|supercategory|coco_url|category_id)"\s*:', text)
    if {"images", "annotations"} & set(found) and (inside or len(found) > 1):
        return Match(0.95, f"top-level keys {', '.join(found)}")
    return Match(0.6, f"top-level keys {', '.join(found)}") if len(found) > 1 else None


def _detect_folder(path: Path) -> Match | None:
    exported, folders = "_annotations.coco.json", [path / name for name in sorted(listing(path).folders)]
    for pattern, files, rest in (
        ("instances_*.json*", _called("instances_", path), _called("instances.", path)),
        ("instances_*.json*", _called("instances_", path / "annotations"), _called("instances.", path / "annotations")),
        (f"*/{exported}", [file for file in (folder / exported for folder in folders) if file.is_file()], []),
    ):
        if files or rest:
            names = [_split_of(pattern, file) for file in files]
            splits = [SPLITS.sub(_usual, name) for name in names]
            splits = splits if len({*splits}) == len(splits) else names
            parts = (*zip(splits, files, strict=True), *(("", file) for file in rest))
            return Match(0.9, f"{len(parts)} files {pattern}", parts)
    single = path / exported
    return Match(0.9, single.name, (("", single),)) if single.is_file() else None


def _called(start: str, folder: Path) -> list[Path]:
    """The JSON files of a folder whose names start so."""
    names = listing(folder).starting(start) if folder.is_dir() else ()
    return [folder / name for name in names if base_suffix(Path(name)) == ".json"]


def _split_of(pattern: str, file: Path) -> str:
    return file.parent.name if pattern.startswith("*/") else file.name.split(".json")[0].removeprefix("instances_")


def _usual(name: re.Match[str]) -> str:
    return SPLIT_NAMES[name[1]]


def read(source: Source, context: ReadContext) -> Dataset:
    """Read a COCO file: one pass over the text, then annotations in the order of their images.

    Raises DataError for text that is broken outside of an element, for documents that are no COCO, and for captions,
    which have no boxes; UsageError where `header` names no file.
    """
    from bboxconv.formats.coco.reading import read_coco

    return read_coco(source, context, XYWH, option(context.options, HEADER))


def target(header: Header, options: Options) -> Target:
    """Boxes as xywh; every annotation needs a category."""
    from bboxconv.formats.coco.ownkeys import FIELDS, taken
    from bboxconv.formats.coco.writing import TOP_KEYS

    return Target(
        XYWH,
        INFO.carries,
        frozenset({"object.category", "object.place"}),
        rotated=rotated_of(options),
        reserved=frozenset((*(f"extra.{key}" for key in TOP_KEYS), *FIELDS)),
        takes=taken,
        fills=FILLED,
    )


def encoder(header: Header, out: Path, context: WriteContext) -> Encoder[Texts]:
    """The text of the images and annotations of a batch, but for ids that are still to be found."""
    from bboxconv.formats.coco.text import Kind
    from bboxconv.shelf import Unnamed

    shelf = Unnamed.open(out if out.is_dir() else out.parent, shared=True).shelf
    return Kind.of(header, shelf, by_split=out.is_dir()).encode


def assemble(header: Header, pieces: Iterable[Texts], out: Path, context: WriteContext) -> Written:
    """Write one document; where `out` is a folder, one `instances_{split}.json` for each split."""
    from bboxconv.formats.coco.writing import write_coco

    return write_coco(header, pieces, out, context)


def write(header: Header, batches: Iterable[pa.RecordBatch], out: Path, context: WriteContext) -> Written:
    """Encode and assemble in this process."""
    pieces = encoded(encoder(header, out, context), batches, context.findings)
    return assemble(header, pieces, out, context)
