"""Pascal VOC: one XML file per image, after the development kit of the VOC challenges.

Specification: http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html (sections 4 and 8.4).

Box convention: corners in pixels, taken as they are written: width = xmax - xmin. The kit itself numbers pixels from
1 and its xmax, ymax are the last pixels of the box; `origin=1` reads and writes that.

- A source is one XML file, a folder of them (with sub-folders), a tree with `Annotations/`, or a folder of such
  trees; images come in the code-point order of their paths.
- An image is called what `<filename>` says; by the XML's stem where that is missing or has no extension, or
  everywhere with `name=stem`. Where names are not unique, those in sub-folders get their folder.
- `ImageSets/Main/*.txt` are the splits; the kit's class lists (`aeroplane_train.txt`, rows of a name and 1, 0 or -1)
  are not. In several lists: train, val, test win, the others go to `extra.splits`. Without lists, folders called
  train, val, valid or test are splits. A list restricts nothing; what it names and has no XML file becomes an image
  at which nobody looked.
- Classes are the names found, in code-point order. A class that no box uses has no place in VOC.
- `difficult` 0 or 1, `truncated` and `occluded` as numbers are columns; other text in them, `pose`, `parts`, and
  every further element or attribute go to `extra` and are written back. Values that XML text cannot say, from other
  formats, are written as JSON in elements marked `type="json"`.
- Numbers are kept as they are, decimals too, and integers are written as integers. A size of 0 is an unknown one.
- What is unknown is not written; `defaults=yes` writes the pose, truncated and difficult that labelImg writes, for
  scripts that fail without them.
- An image without objects is an image without boxes.

Not carried: ids, scores, areas, crowd and ignore flags, rotation, tracks, segmentation, keypoints, supercategories,
info and licenses.
"""

# What reads and what writes is imported where that is done: every format is loaded to know what a source is.
# ruff: noqa: PLC0415

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from bboxconv.boxes import BoxFormat
from bboxconv.codec import (
    CROWD_KEEP,
    DECIMALS,
    ORIGIN,
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
    crowd_of,
    encoded,
    option,
    rotated_of,
)
from bboxconv.io import HEAD, read_small
from bboxconv.parts import of_parts
from bboxconv.schema import Category, Dataset, Header, Part, flat
from bboxconv.spool import Spool
from bboxconv.workers import give_back

if TYPE_CHECKING:
    from bboxconv.formats.voc import lists
    from bboxconv.formats.voc.documents import Task
    from bboxconv.formats.voc.slices import Left, Unseen
    from bboxconv.formats.voc.writing import DocumentWriter, Piece

NAME = Option(
    "name", "filename", "image names: what <filename> says, or the name of the XML file", ("filename", "stem")
)
DEFAULTS = Option(
    "defaults", "no", "write pose Unspecified, truncated 0 and difficult 0 where they are not known", ("no", "yes")
)

INFO = FormatInfo(
    name="voc",
    title="Pascal VOC XML",
    spec="http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html",
    layout="folder",
    extensions=(".xml",),
    box="xyxy",
    carries=frozenset(f"image.{name}" for name in ("file_name", "width", "height", "split", "extra"))
    | frozenset(f"object.{name}" for name in ("category", "bbox", "difficult", "truncated", "occluded", "extra")),
    aliases=("pascal-voc", "pascal_voc", "pascalvoc"),
    read_options=(ORIGIN, NAME),
    write_options=(ORIGIN, DECIMALS, CROWD_KEEP, ROTATED, DEFAULTS),
)

_DEFAULTED = frozenset({"object.truncated", "object.difficult", "object.extra.pose"})

SLICE = 4096
"""Files that a task reads at most."""
MANY = 10_000
"""Files below which starting processes takes longer than they save."""
_ROOT = re.compile(
    r"\ufeff?\s*(?:<\?.*?\?>\s*|<!--.*?-->\s*|<!DOCTYPE[^>\[]*(?:\[.*?\]\s*)?>\s*)*<annotation[\s>]", re.DOTALL
)


def detect(path: Path, head: bytes) -> Match | None:
    """A file whose root is `<annotation>`, or a folder with such among its first XML files: what the others
    are, reading says."""
    if not path.is_dir():
        weight, what = _looks(head)
        return Match(weight, what) if weight else None
    from bboxconv.readers.xmlfolders import by_folder

    everywhere = list(by_folder(path, depth=4))
    if not everywhere:
        return Match(0.5, "an empty folder Annotations") if (path / "Annotations").is_dir() else None
    from bboxconv.formats.voc.lists import is_tree

    found = [(prefix, names) for prefix, names in everywhere if is_tree(prefix)] or everywhere
    first = sorted(prefix + name for prefix, names in found for name in names[:3])[:3]
    seen = [_looks(_head(f"{path}/{name}")) for name in first]
    if not any(weight for weight, _ in seen):
        return None
    only = found[0][0].rstrip("/")
    where = f" in {len(found)} folders" if len(found) > 1 else f" in {only}" if only else ""
    count = sum(len(names) for _, names in found)
    return Match(max(seen)[0], f"{count} XML {'file' if count == 1 else 'files'}{where}, {max(seen)[1]}")


def _head(path: str) -> bytes:
    """The beginning of a small file; nothing where it cannot be read, which reading reports."""
    try:
        return read_small(path)[:HEAD]
    except OSError:
        return b""


def _looks(head: bytes) -> tuple[float, str]:
    wide = head[:2] in (b"\xff\xfe", b"\xfe\xff")
    text = head.decode("utf-16" if wide else "utf-8", "replace")
    if not _ROOT.match(text):
        return 0.0, ""
    if "<bndbox" in text:
        return 1.0, "<annotation> with <bndbox>"
    if "<polygon" in text:  # LabelMe's own XML has the same root
        return 0.0, ""
    return (0.9, "<annotation> with <size>") if "<size" in text or "<filename" in text else (0.5, "<annotation>")


def read(source: Source, context: ReadContext) -> Dataset:
    """Read a file, a folder or a tree; all of it is parsed before the header is known, so batches are held."""
    from bboxconv.formats.voc import lists
    from bboxconv.formats.voc.slices import leave_slice

    files = lists.list_files(source, context.findings)
    give_back(len(files.paths))
    if len(files.paths) >= MANY:
        context.workers.begin()
    spool = Spool(context.memory)
    shelf = spool.shelf(apart=context.workers.apart)
    left: list[Left] = []
    begins: list[int] = []
    done = 0
    stems = option(context.options, NAME) == "stem"
    tasks = (
        (task, shelf)
        for task in _tasks(files, source, min(context.batch_size, SLICE), stems, context.findings.recording)
    )
    for found in context.workers.run(leave_slice, tasks):
        context.findings.merge(found.diagnostics)
        begins.append(done)
        done += found.files
        context.progress("reading", found.files, len(files.paths), "images")
        left.append(found.held(spool))
    origin = option(context.options, ORIGIN)
    if origin == "0":
        _note_origin(left, source, context)
    rows = (begin + row for begin, found in zip(begins, left, strict=True) for row in found.rows.tolist())
    unique = lists.unique_names([found.file_names for found in left], rows, files)
    if unique is not None:
        _tell_repeated(left, begins, unique, files, source, context)
    classes = sorted({name for found in left for name in found.names})
    header = Header(
        box=_box(origin),
        categories=tuple(Category(name) for name in classes),
        source=INFO.name,
        switches={"origin": origin, "name": option(context.options, NAME)},
    )
    missing = lists.unannotated(files, source, context)
    parts = list(_parts(left, classes, unique, missing, context.batch_size))
    kept = spool.rows if unique is None else sum(name is not None for name in unique)
    return of_parts(header, lambda: parts, context.findings, kept + len(missing))


def _tell_repeated(
    left: Sequence[Left],
    begins: Sequence[int],
    unique: Sequence[str | None],
    files: lists.Files,
    source: Source,
    context: ReadContext,
) -> None:
    start = 0
    for found, begin in zip(left, begins, strict=True):
        gone = [row for row in range(found.slip.rows) if unique[start + row] is None]
        boxes = np.diff(flat(found.slip.load()).offsets) if gone else ()
        for row in gone:
            name = found.file_names[row].as_py()
            lists.tell_repeated(begin + int(found.rows[row]), name, int(boxes[row]), files, source, context.findings)
        start += found.slip.rows


def _note_origin(left: Sequence[Left], source: Source, context: ReadContext) -> None:
    voc = any(found.voc for found in left)
    low = min((found.low for found in left), default=np.inf)
    if voc or (low >= 1 and any(found.edge for found in left)):
        seen = (
            "the files say that they are of a PASCAL VOC data set"
            if voc
            else "coordinates run from 1 to the width or height"
        )
        hint = "--in origin=1 reads them as 1-based inclusive pixels"
        message = f"{seen}: boxes are read as written, 0-based"
        context.findings.add("voc-origin", message, severity="note", where=source.shown, hint=hint)


def _box(origin: str) -> BoxFormat:
    return BoxFormat("xyxy", origin=1, inclusive=True) if origin == "1" else BoxFormat("xyxy")


def _tasks(files: lists.Files, source: Source, size: int, stems: bool, listing: bool) -> Iterator[Task]:
    from bboxconv.formats.voc.documents import Task

    for at in range(0, len(files.paths), size):
        part = slice(at, at + size)
        splits = files.splits(part)
        yield Task(
            str(source.path),
            source.shown.rstrip("/"),
            files.paths[part],
            tuple(of[0] if of else None for of in splits),
            tuple(of[1:] for of in splits),
            stems,
            listing,
        )


def _parts(
    left: Sequence[Left],
    classes: Sequence[str],
    unique: Sequence[str | None] | None,
    missing: Sequence[Unseen],
    size: int,
) -> Iterator[Part]:
    """The images of all slices, then those at which nobody looked."""
    from bboxconv.formats.voc.slices import SlicePart, UnseenPart

    index = {name: number for number, name in enumerate(classes)}
    start = 0
    for found in left:
        stop = start + found.slip.rows
        names = None if unique is None else tuple(unique[start:stop])
        yield SlicePart(found.slip, tuple(index[name] for name in found.names), names)
        start = stop
    for at in range(0, len(missing), size):
        yield UnseenPart(tuple(missing[at : at + size]))


def target(header: Header, options: Options) -> Target:
    """Corners in pixels; VOC cannot do without the image's size."""
    from bboxconv.formats.voc.writing import nameless

    return Target(
        box=_box(option(options, ORIGIN)),
        carries=INFO.carries,
        requires=frozenset(["image.file_name", "image.width", "image.height", "object.category", "object.bbox"]),
        crowd=crowd_of(options, CROWD_KEEP),
        rotated=rotated_of(options),
        decimals=_digits(options),
        floats=True,
        fills=_DEFAULTED if option(options, DEFAULTS) == "yes" else frozenset(),
        unfit={number: repr(one.name) for number, one in enumerate(header.categories) if nameless(one.name)},
        unfit_why="a class name is empty, has a line break at an end, or holds a character that XML cannot",
    )


def _digits(options: Options) -> int | None:
    """Digits after the point; None: all."""
    digits = option(options, DECIMALS)
    return None if digits == "full" else int(digits)


def encoder(header: Header, out: Path, context: WriteContext) -> DocumentWriter:
    """Writes `Annotations/<name>.xml` for each image of a batch."""
    from bboxconv.formats.voc.writing import DocumentWriter, Style

    style = Style(_digits(context.options), option(context.options, DEFAULTS) == "yes")
    return DocumentWriter.of(header, out, style, context.shown or str(out))


def assemble(header: Header, pieces: Iterable[Piece], out: Path, context: WriteContext) -> Written:
    """Write `ImageSets/Main/<split>.txt` for each split, once the documents are there."""
    from bboxconv.formats.voc.writing import write_lists

    return Written(size=write_lists(pieces, encoder(header, out, context), context.findings))


def write(header: Header, batches: Iterable[pa.RecordBatch], out: Path, context: WriteContext) -> Written:
    """Encode and assemble in this process."""
    return assemble(header, encoded(encoder(header, out, context), batches, context.findings), out, context)
