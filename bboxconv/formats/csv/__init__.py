"""csv: one row for each box, with the columns of its image beside it.

Spec: RFC 4180, https://www.rfc-editor.org/rfc/rfc4180; the columns are those of the TensorFlow object detection API's
tutorials (TFOD: `filename,width,height,class,xmin,ymin,xmax,ymax`), as github.com/datitran/raccoon_dataset writes them.
Box convention: as the names of the columns say; TFOD is xyxy in pixels, with VOC's numbers. Policies:

- Columns are found by their usual names in any order (see `boxcolumns`); others are carried in `extra`. `--in
  columns=x1:left,category:kind` says what they are. Six columns without a header are keras-retinanet's
  `path,x1,y1,x2,y2,class`; where `columns` is given, they are called column1, column2 ...
- Separators are commas, semicolons, tabs and bars. Beside all but the comma, the decimal point may be a comma; beside
  the comma it may be one in quotes, `"1,5"`, which a note says. `"1,024"` alone may be a thousand and is a fault.
- A row whose box is empty, and its class, id and polygons too, is an image without boxes: `a.jpg,,,,,`. A box without
  one of its numbers is a fault.
- Rows of an image need not stand together; images are in order of first sight, the same file name, id, split, video
  and frame is the same image. An `image_id` that is no integer is the file name, where no column has that.
- Boxes are pixels, or fractions where all numbers lie about between 0 and 1 and some are not whole; a note says so.
  `--in box=NAME` says another format, and so does a column `box_format`.
- Classes are in the order of their ids, where all have one, else in code-point order; numbers are names, unless
  `--classes` gives names for them.
- Numbers are written as the shortest text that reads back to the same bits, whole ones without a point. No text is a
  formula here; a spreadsheet may take `=1+1` for one.
- `layout=plain` has file_name, width, height, split, category, the box and score; `full` every field, JSON text
  included; `tfod` what TFOD has, with a row for each box and none for an image without boxes: that is counted as left
  out. Boxes that are no pixels with origin 0 have their format in a column `box_format`.

It cannot carry whether anybody looked at an image, classes that no box has, supercategories, and what is said of the
whole data set. Class ids, which `full` has beside the names, count as lost: those of classes without boxes are.
"""

# What reads and what writes is imported where that is done: every format is loaded to know what a source is.
# ruff: noqa: PLC0415

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from bboxconv.boxes import BoxFormat
from bboxconv.codec import (
    CROWD_KEEP,
    DECIMALS,
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
    crowd_of,
    encoded,
    option,
    rotated_of,
)
from bboxconv.io import base_suffix, listing
from bboxconv.schema import Dataset, Header
from bboxconv.splits import SPLIT_NAMES

if TYPE_CHECKING:
    from bboxconv.formats.csv.writing import Piece

LAYOUT = Option("layout", "plain", "columns: the usual, TensorFlow's, or all there are", ("plain", "tfod", "full"))
COLUMNS = Option("columns", "", "what columns are, such as x1:left,category:kind", form="FIELD:COLUMN,...")
HEADER = Option("header", "auto", "whether the first row names the columns", ("auto", "yes", "no"))
DECIMAL = Option(
    "decimal", "auto", "decimal sign; auto: a comma too, where none separates, or in quotes", ("auto", "point", "comma")
)
BOX = Option(
    "box",
    "auto",
    "box format; auto: by the columns, pixels unless all numbers lie between 0 and 1",
    pattern="[a-z0-9%/+@.]+",
)
_TFOD = frozenset({"image.file_name", "image.width", "image.height", "object.category", "object.bbox"})
CARRIED = {
    "tfod": _TFOD,
    "plain": _TFOD | {"image.split", "object.score"},
    "full": EVERYTHING
    - {"unannotated", "category.id", "category.supercategory", "category.extra", "info", "licenses", "extra"},
}
REQUIRED = {
    "tfod": _TFOD | {"image.objects"},
    "plain": frozenset({"image.file_name", "object.bbox"}),
    "full": frozenset({"image.file_name", "object.place"}),
}
"""What a row cannot do without. An object without a bbox is told from no object by its class, id, polygons ..."""
INFO = FormatInfo(
    name="csv",
    title="csv, one row a box (TFOD, keras-retinanet and others)",
    spec="https://www.rfc-editor.org/rfc/rfc4180",
    layout="file",
    extensions=(".csv", ".tsv"),
    box="any",
    carries=CARRIED["plain"],
    read_options=(BOX, COLUMNS, HEADER, DECIMAL),
    write_options=(LAYOUT, DECIMALS, CROWD_KEEP, ROTATED),
)
EXPORTED = "_annotations.csv"
"""What Roboflow calls the file of each split."""


def detect(path: Path, head: bytes) -> Match | None:
    """A first row that names an image and a box, or, by the extension, one of a path, four numbers and a class; a
    folder with a Roboflow export."""
    if path.is_dir():
        folders = [path / name for name in sorted(listing(path).folders)]
        files = [folder / EXPORTED for folder in folders if (folder / EXPORTED).is_file()]
        if files:
            names = [SPLIT_NAMES.get(file.parent.name, file.parent.name) for file in files]
            return Match(0.9, f"{len(files)} files */{EXPORTED}", tuple(zip(names, files, strict=True)))
        single = path / EXPORTED
        return Match(0.9, single.name, (("", single),)) if single.is_file() else None
    from bboxconv.formats.csv.heading import evidence

    return evidence(head, sure=base_suffix(path) in INFO.extensions)


def read(source: Source, context: ReadContext) -> Dataset:
    """Read a file: one pass over the text, then its rows in the order of their images.

    Raises DataError where the header cannot be read, or a class number has no name; UsageError where columns are
    missing or ambiguous, and for an option that is wrong.
    """
    from bboxconv.formats.csv.reading import read_csv

    return read_csv(source, context)


def target(header: Header, options: Options) -> Target:
    """The fields of the layout; boxes as they come, in TFOD as corners in pixels."""
    layout = option(options, LAYOUT)
    carries = CARRIED[layout]
    box = BoxFormat("xyxy") if layout == "tfod" else None
    if box is None and header.box.rotation is not None and "object.rotation" not in carries:
        box = replace(header.box, rotation=None)
    digits = option(options, DECIMALS)
    return Target(
        box,
        carries,
        REQUIRED[layout],
        crowd=crowd_of(options, CROWD_KEEP),
        rotated=rotated_of(options),
        decimals=None if digits == "full" else int(digits),
        unfit={index: repr(category.name) for index, category in enumerate(header.categories) if not category.name},
        unfit_why="a class without a name has no text in csv",
    )


def encoder(header: Header, out: Path, context: WriteContext) -> Encoder[Piece]:
    """The rows of a batch."""
    from bboxconv.formats.csv.writing import RowEncoder

    layout, digits = option(context.options, LAYOUT), option(context.options, DECIMALS)
    return RowEncoder(header, layout, digits, _separator(context))


def assemble(header: Header, pieces: Iterable[Piece], out: Path, context: WriteContext) -> Written:
    """Write the names of the columns, and the rows as they come."""
    from bboxconv.formats.csv.writing import write_rows

    write_rows(header, option(context.options, LAYOUT), pieces, out, _separator(context), context.findings)
    return Written()


def _separator(context: WriteContext) -> str:
    """What separates cells: in a file called .tsv, tabs."""
    return "\t" if base_suffix(Path(context.shown)) == ".tsv" else ","


def write(header: Header, batches: Iterable[pa.RecordBatch], out: Path, context: WriteContext) -> Written:
    """Encode and assemble in this process."""
    pieces = encoded(encoder(header, out, context), batches, context.findings)
    return assemble(header, pieces, out, context)
