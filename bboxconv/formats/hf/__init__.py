"""Hugging Face `datasets`: Parquet shards or a folder of images with `metadata.jsonl`, as `load_dataset` opens them.

Spec: https://huggingface.co/docs/datasets/object_detection and
https://huggingface.co/docs/hub/datasets-image. Box convention: xywh in pixels, as COCO has it; the spec leaves that to
custom. Policies:

- `layout=parquet`: `data/{split}-00000-of-0000N.parquet`, a row for each image, `objects` a struct of lists. The
  features stand in the metadata of the schema as versions of `datasets` before and after 4 read them: a struct of
  `Sequence`s. (A `Sequence` of a struct is a struct of lists to some versions and a list of structs to others.)
- `images=embed` puts the bytes of the images into the column `image`; otherwise it has their path alone.
- `layout=imagefolder`: `{split}/metadata.jsonl` with the same columns, and the images beside it (`images=copy|link`).
  There JSON has no place for the features: classes are numbers, and the card names them. `datasets` takes the types
  from the first lines of each split, and refuses such as differ, as where one split alone has scores: then, or with
  `metadata=parquet`, the file is metadata.parquet, which has the features (`datasets` reads it since 3.4).
- Splits are named as the hub does: val is `validation`, and images without a split are in `train`.
- README.md, the dataset card, says where the splits are and what the classes are called.
- `id`, `image_id` (behind the largest), `area` (w times h) and `iscrowd` (false) are filled in.
  Fields without any value have no column. Polygons, keypoints and extra keys are JSON text.
- Two classes of one name become one class: a ClassLabel has each name once.
- Read are both, what `datasets` itself writes, and what is found elsewhere: lists of structs, `categories`, `label`,
  `category_id`, classes by name or number, boxes of another format with `--in box=`. Sizes come from `width` and
  `height`, else from the embedded image.

It cannot carry ids and supercategories of classes, info, licenses, rotation (boxes are written as their envelope) and
regions to ignore, which are left out.
"""

# What reads and what writes is imported where that is done: every format is loaded to know what a source is.
# ruff: noqa: PLC0415

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from bboxconv.boxes import BoxFormat
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
    encoded,
    option,
    rotated_of,
)
from bboxconv.errors import UsageError
from bboxconv.parts import regrouped
from bboxconv.schema import Dataset, Header

if TYPE_CHECKING:
    from bboxconv.formats.hf.rows import Piece, RowEncoder

XYWH = BoxFormat("xywh")
BOX = Option("box", "auto", "box format, which such files do not say; auto: xywh", pattern="[a-z0-9%/+@.]+")
LAYOUT = Option(
    "layout", "parquet", "Parquet shards, or a folder of images with metadata.jsonl", ("parquet", "imagefolder")
)
IMAGES = Option(
    "images",
    "none",
    "the images of --images: embedded in Parquet, or in an imagefolder copied or linked",
    ("none", "embed", "copy", "link"),
)
METADATA_OUT = Option(
    "metadata",
    "auto",
    "of layout=imagefolder: metadata.jsonl, or metadata.parquet; auto: jsonl, unless its types would differ",
    ("auto", "jsonl", "parquet"),
)
INFO = FormatInfo(
    name="hf",
    title="Hugging Face datasets: Parquet shards or an image folder",
    spec="https://huggingface.co/docs/datasets/object_detection",
    layout="folder",
    extensions=(".hf",),
    box="xywh",
    carries=EVERYTHING
    - {"info", "licenses", "extra", "object.rotation", "object.ignore"}
    - {"category.id", "category.supercategory", "category.extra"},
    aliases=("huggingface", "hugging-face"),
    compressible=False,
    read_options=(BOX,),
    write_options=(LAYOUT, IMAGES, METADATA_OUT, ROTATED),
)
FILLED = frozenset({"image.id", "image.split", "object.id", "object.area", "object.iscrowd"})
"""Values that an image or an object gets where the source has none."""
KEY = b"huggingface"
"""The key of a schema's metadata that has the features."""
METADATA = ("metadata.jsonl", "metadata.parquet")
"""The names of the file that says what is in the images of a folder."""
_START = re.compile(rb'\{.*"(?:objects|bbox|bboxes|annotations)"\s*:\s*[\[{]', re.DOTALL)


def detect(path: Path, head: bytes) -> Match | None:
    """Parquet with features or a column of boxes, metadata.jsonl, or a folder of such files."""
    folder, line = path.is_dir(), head.partition(b"\n")[0]
    if not folder and not head.startswith(b"PAR1"):
        named = path.name in METADATA and b"file_name" in line
        return Match(0.9, f"{path.name} with file_name") if named else None
    from bboxconv.formats.hf.tree import boxes_in, first_file

    if not folder:
        return boxes_in(path)
    first = first_file(path)
    if first is None:
        return None
    if first.kind == "parquet":
        found = boxes_in(first.path)
        return found and Match(found.weight, f"{first.path.relative_to(path)}: {found.evidence}", found.parts)
    with first.path.open("rb") as file:
        line = file.readline(1 << 16)
    if _START.match(line.lstrip()):
        return Match(0.9, f"{first.path.relative_to(path)} with objects")
    return Match(0.3, f"{first.path.relative_to(path)} without objects in its first line")


def read(source: Source, context: ReadContext) -> Dataset:
    """Read a folder, or one file of it.

    Raises DataError where there is no file, where one is broken or has no boxes, or where splits name their classes
    differently; UsageError for an option `box` that is no box format.
    """
    from bboxconv.formats.hf.reading import read_tree

    return read_tree(source, context, _box(context))


def _box(context: ReadContext) -> BoxFormat | None:
    name = option(context.options, BOX)
    if name == "auto":
        return None
    try:
        return BoxFormat.parse(name)
    except ValueError as error:
        raise UsageError.of("bad-option", str(error), where="--in box") from error


def target(header: Header, options: Options) -> Target:
    """Boxes as xywh in pixels; each object needs a class and a box."""
    folder = option(options, LAYOUT) == "imagefolder"
    requires = {"object.category", "object.bbox"} | ({"image.file_name"} if folder else set())
    return Target(
        XYWH,
        INFO.carries,
        frozenset(requires),
        rotated=rotated_of(options),
        finite=folder,
        fills=FILLED,
        indexed=True,
    )


def encoder(header: Header, out: Path, context: WriteContext) -> RowEncoder:
    """The rows of a batch, by split.

    Raises UsageError where images are to come in a way that the layout does not have, or their folder is not given.
    """
    from bboxconv.formats.hf.rows import RowEncoder, classes_of
    from bboxconv.imagefiles import ImageFiles

    layout, images = option(context.options, LAYOUT), option(context.options, IMAGES)
    fits = {"parquet": ("none", "embed"), "imagefolder": ("none", "copy", "link")}[layout]
    if images not in fits:
        other = "imagefolder" if layout == "parquet" else "parquet"
        message = f"--out images={images} does not go with layout={layout}"
        raise UsageError.of("option-conflict", message, hint=f"images={'|'.join(fits)}, or layout={other}")
    ImageFiles.of(images, context)
    _, index = classes_of(header)
    return RowEncoder(tuple(index), layout == "imagefolder")


def assemble(header: Header, pieces: Iterable[Piece], out: Path, context: WriteContext) -> Written:
    """Write the shards, or the folders of images, and the card."""
    from bboxconv.formats.hf.writing import write_tree
    from bboxconv.imagefiles import ImageFiles

    images = option(context.options, IMAGES)
    files = ImageFiles.of(images, context)
    folder = option(context.options, LAYOUT) == "imagefolder"
    metadata = option(context.options, METADATA_OUT) if folder else ""
    filled = write_tree(header, pieces, out, context, files, metadata)
    if images != "none":
        return Written(filled)
    shown = context.shown.rstrip("/")
    step = (
        f"put the images into the folders of {shown}/, beside the metadata (--images DIR --out images=link does it)"
        if folder
        else "load_dataset opens it without the images, of which it has the names: "
        "cast_column('image', Image(decode=False)) (--images DIR --out images=embed puts them in)"
    )
    return Written(filled, next_step=step)


def write(header: Header, batches: Iterable[pa.RecordBatch], out: Path, context: WriteContext) -> Written:
    """Encode and assemble in this process."""
    groups = regrouped(batches, context.batch_size)
    return assemble(header, encoded(encoder(header, out, context), groups, context.findings), out, context)
