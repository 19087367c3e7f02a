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

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from bboxconv import workers
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
    option,
    rotated_of,
)
from bboxconv.formats.voc import lists
from bboxconv.formats.voc.documents import Task, parse_slice
from bboxconv.formats.voc.write import Style, write_documents
from bboxconv.io import HEAD
from bboxconv.readers.xmlfiles import find, load
from bboxconv.schema import (
    Category,
    Dataset,
    Header,
    flat,
    image_batch,
    keep_images,
    object_rows,
    with_image_columns,
    with_objects,
)
from bboxconv.spool import Spool

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

SLICE = 4096
"""Files that a task reads at most."""
POOL_FROM = 20_000
"""Files from which on a pool of processes pays."""
_ROOT = re.compile(
    r"\ufeff?\s*(?:<\?.*?\?>\s*|<!--.*?-->\s*|<!DOCTYPE[^>\[]*(?:\[.*?\]\s*)?>\s*)*<annotation[\s>]", re.DOTALL
)


def detect(path: Path, head: bytes) -> Match | None:
    """A file whose root is `<annotation>`, or a folder whose first XML files are such."""
    if not path.is_dir():
        weight, what = _looks(head)
        return Match(weight, what) if weight else None
    paths = find(path, depth=4)
    inside = [name for name in paths if f"/{name}".rfind("/Annotations/") >= 0]
    seen = [_looks(load(f"{path}/{name}")[:HEAD]) for name in (inside or paths)[:3]]
    if not seen and (path / "Annotations").is_dir():
        return Match(0.5, "an empty folder Annotations")
    if not seen or not all(weight for weight, _ in seen):
        return None
    folders = {name.rpartition("/")[0] for name in inside or paths}
    where = (
        f" in {min(folders)}"
        if len(folders) == 1 and folders != {""}
        else f" in {len(folders)} folders"
        if len(folders) > 1
        else ""
    )
    count = len(inside or paths)
    return Match(max(seen)[0], f"{count} XML {'file' if count == 1 else 'files'}{where}, {max(seen)[1]}")


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
    """Read a file, a folder or a tree; all of it is parsed before the header is known, so batches wait in a spool."""
    files = lists.list_files(source, context.findings)
    spool = Spool(context.memory)
    slices: list[tuple[str, ...]] = []
    names: list[pa.Array] = []
    rows: list[int] = []
    voc, low, edge, done = False, np.inf, False, 0
    jobs = context.jobs if len(files.paths) >= POOL_FROM else 1
    stems = option(context.options, NAME) == "stem"
    for parsed in workers.run(parse_slice, _tasks(files, source, min(context.batch_size, SLICE), stems), jobs):
        context.findings.merge(parsed.findings)
        rows += (parsed.rows + done).tolist()
        done += parsed.files
        context.progress("reading", parsed.files, len(files.paths), "images")
        voc, low, edge = voc or parsed.voc, min(low, parsed.low), edge or parsed.edge
        if len(parsed.rows):
            spool.append(parsed.batch)
            slices.append(parsed.names)
            names.append(parsed.batch.column("file_name"))
    origin = option(context.options, ORIGIN)
    if origin == "0" and (voc or (low >= 1 and edge)):
        seen = (
            "the files say that they are of a PASCAL VOC data set"
            if voc
            else "coordinates run from 1 to the width or height"
        )
        hint = "--in origin=1 reads them as 1-based inclusive pixels"
        context.findings.add(
            "voc-origin", f"{seen}: boxes are read as written, 0-based", severity="note", where=source.shown, hint=hint
        )
    unique = lists.unique_names(names, rows, files, source, context.findings)
    classes = sorted({name for part in slices for name in part})
    header = Header(
        box=_box(origin),
        categories=tuple(Category(name) for name in classes),
        source=INFO.name,
        switches={"origin": origin, "name": option(context.options, NAME)},
    )
    index = {name: number for number, name in enumerate(classes)}
    missing = lists.unannotated(files, source, context)

    def stream() -> Iterator[pa.RecordBatch]:
        start = 0
        for batch, part in zip(spool, slices, strict=True):
            final = unique[start : start + batch.num_rows] if unique is not None else None
            start += batch.num_rows
            batch = _final(batch, np.array([index[name] for name in part], dtype=np.int32), final)
            if batch.num_rows:
                yield batch
        for at in range(0, len(missing), context.batch_size):
            yield _unseen(missing[at : at + context.batch_size])

    kept = spool.rows if unique is None else sum(name is not None for name in unique)
    return Dataset(header, stream, kept + len(missing))


def _box(origin: str) -> BoxFormat:
    return BoxFormat("xyxy", origin=1, inclusive=True) if origin == "1" else BoxFormat("xyxy")


def _tasks(files: lists.Files, source: Source, size: int, stems: bool) -> Iterator[Task]:
    for at in range(0, len(files.paths), size):
        part = slice(at, at + size)
        yield Task(
            str(source.path), source.shown.rstrip("/"), files.paths[part], files.splits[part], files.others[part], stems
        )


def _final(
    batch: pa.RecordBatch, categories: np.ndarray[tuple[int], np.dtype[np.int32]], names: list[str | None] | None
) -> pa.RecordBatch:
    """A batch with the header's categories and unique names; images without one are left out."""
    objects = flat(batch)
    if len(objects.rows):
        numbers = categories[objects.column("category").to_numpy(zero_copy_only=False)]
        batch = with_objects(batch, objects.with_columns({"category": pa.array(numbers)}))
    if names is None:
        return batch
    batch = with_image_columns(batch, {"file_name": pa.array(names, pa.string())})
    return keep_images(batch, np.array([name is not None for name in names]))


def _unseen(images: list[tuple[str, str, str | None]]) -> pa.RecordBatch:
    """A batch of images at which nobody looked."""
    names, splits, extra = (pa.array(list(column), pa.string()) for column in zip(*images, strict=True))
    offsets = np.zeros(len(images) + 1, dtype=np.int64)
    columns = {"file_name": names, "split": splits, "extra": extra}
    return image_batch(columns, offsets, object_rows({}, 0), np.zeros(len(images), dtype=np.bool_))


def target(header: Header, options: Options) -> Target:
    """Corners in pixels; VOC cannot do without the image's size."""
    return Target(
        box=_box(option(options, ORIGIN)),
        carries=INFO.carries,
        requires=frozenset(["image.file_name", "image.width", "image.height", "object.category", "object.bbox"]),
        crowd=crowd_of(options, CROWD_KEEP),
        rotated=rotated_of(options),
    )


def write(header: Header, batches: Iterable[pa.RecordBatch], out: Path, context: WriteContext) -> Written:
    """Write `Annotations/<name>.xml` for each image and `ImageSets/Main/<split>.txt` for each split."""
    digits = option(context.options, DECIMALS)
    style = Style(None if digits == "full" else int(digits), option(context.options, DEFAULTS) == "yes")
    write_documents(header, batches, out, style, context)
    return Written()
