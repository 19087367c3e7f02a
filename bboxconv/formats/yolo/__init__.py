"""YOLO: one text file per image with rows `class cx cy w h`, and a data.yaml with class names and splits.

Specification: https://docs.ultralytics.com/datasets/detect/ (segment, pose, obb beside it); darknet's trees are read
too. Boxes are centre and size as fractions of the image (cxcywhn). The image's size stands nowhere.

- A row of 5 columns is a box, of 6 a box and its score, of an odd number from 7 up a polygon whose extent is the box;
  rows that fit `kpt_shape` have keypoints. `--in task=` says otherwise.
- An image without a label file, or with an empty one, is an image without boxes, as it is to the format's owner.
- The extension of an image that is not there is unknown: `.jpg` is assumed.
- Labels stand where the rightmost folder `images` of the image's path is `labels`; where there is none, beside the
  image.
- Rows that cannot be read are left out and reported; coordinates beyond the image stay what they are.
- data.yaml is written without `path`: trainers then look from its own folder. `val` is required; where it has no
  image, it names those of train, and splits that name the same folder are read once.
- A folder `images` inside a file name is left out when writing: the owner would look for labels beside the rightmost
  one.

It carries the file name, the split, the class and the box; scores, polygons and keypoints by option. It cannot carry
ids, sizes, flags, tracks, areas or whether anybody looked at an image.
"""

# What reads and what writes is imported where that is done: every format is loaded to know what a source is.
# ruff: noqa: PLC0415

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from bboxconv.boxes import BoxFormat
from bboxconv.codec import (
    CROWD_DROP,
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
from bboxconv.formats.yolo.config import MOST_CLASSES, find_yaml, is_config, looks_like_config
from bboxconv.jsontext import members
from bboxconv.parts import Held, of_parts
from bboxconv.readers.textfiles import numbers_of, rows_of, sample
from bboxconv.schema import Category, Dataset, Header, Part
from bboxconv.spool import Spool
from bboxconv.workers import give_back

if TYPE_CHECKING:
    from bboxconv.formats.yolo.rows import Task
    from bboxconv.formats.yolo.tree import Tree
    from bboxconv.formats.yolo.writing import LabelWriter, Piece

BOX = BoxFormat("cxcywh", 1.0)
TASK_IN = Option("task", "auto", "what rows of more than 6 columns are", ("auto", "detect", "segment", "obb", "pose"))
TASK_OUT = Option(
    "task",
    "auto",
    "rows of boxes, polygons, corners, boxes with keypoints, or as drawn; auto: as drawn from YOLO, else boxes",
    ("auto", "detect", "segment", "obb", "pose", "mixed"),
)
DECIMALS = Option(
    "decimals",
    "auto",
    "digits after the point; auto: all if the source has fractions, else 6",
    pattern="auto|full|[0-9]|1[0-7]",
    form="auto|full|0..17",
)
SCORE = Option(
    "score",
    "auto",
    "the score as a sixth column of box rows, which trainers refuse; auto: if the source is YOLO",
    ("auto", "no", "yes"),
)
IMAGES = Option(
    "images",
    "none",
    "put the images of --images beside the labels: as copies, or as symbolic links",
    ("none", "copy", "link"),
)
CARRIES = frozenset({"image.file_name", "image.split", "object.category", "object.bbox"})

INFO = FormatInfo(
    name="yolo",
    title="YOLO text files with data.yaml (Ultralytics, darknet)",
    spec="https://docs.ultralytics.com/datasets/detect/",
    layout="folder",
    extensions=(".yaml", ".yml"),
    box="cxcywhn",
    carries=CARRIES,
    aliases=("ultralytics", "yolov5", "yolov8", "yolo11"),
    read_options=(TASK_IN,),
    write_options=(TASK_OUT, DECIMALS, SCORE, CROWD_DROP, ROTATED, IMAGES),
)

UNWRITTEN = r"(?s)^(?:.*/)?images/|([^/])\.[^./]*$"
"""What of an image's name its label file does not have: a folder `images`, and the extension."""

_SLICE = 2_048


def detect(path: Path, head: bytes) -> Match | None:
    """A YAML file with names and splits; a folder with one, or whose text files hold rows of numbers."""
    if not path.is_dir():
        if path.suffix.lower() in (".yaml", ".yml") and looks_like_config(head):
            return Match(0.95, "YAML with names and train or val")
        return None
    config = find_yaml(path)
    if config is not None and is_config(config):
        return Match(0.95, f"{config.name} with names and train or val")
    joined, name = sample(str(path))
    rows = rows_of(joined)
    values = [numbers_of(rows.tokens.slice(begin, end - begin)) for begin, end in pairwise(rows.offsets)]
    fits = sum(len(row) >= 5 and row[0] >= 0 and row[0] % 1 == 0 and bool((abs(row[1:]) <= 2).all()) for row in values)
    if not fits or 2 * fits < len(values):
        return None
    return Match(0.8 if "labels" in name.split("/")[:-1] else 0.6, f"{name} has rows of a class number and fractions")


def read(source: Source, context: ReadContext) -> Dataset:
    """Read a data.yaml, its folder, or a folder of label files.

    Raises DataError where there are no label files, or none of the splits of data.yaml exists.
    """
    from bboxconv.formats.yolo.pairs import MANY
    from bboxconv.formats.yolo.rows import Labels, leave_labels
    from bboxconv.formats.yolo.tree import find_tree

    tree = find_tree(source, context)
    for part in tree.parts:
        give_back(len(part.names))
    names = tree.names if tree.names is not None else context.classes or None
    switches = {"task": option(context.options, TASK_IN)}
    classes = MOST_CLASSES if names is None else len(names)
    images = sum(len(part.names) for part in tree.parts)

    def tasks() -> Iterator[Task]:
        return _tasks(tree, source, context, switches["task"], classes)

    def parts() -> Iterator[Part]:
        return (Labels(task, context.batch_size) for task in tasks())

    if images >= MANY:
        context.workers.begin()
    held: list[Part] = []
    if names is None:
        spool = Spool(context.memory)
        shelf = spool.shelf(apart=context.workers.apart)
        top = -1
        for left in context.workers.run(leave_labels, ((task, shelf) for task in tasks())):
            context.findings.merge(left.diagnostics)
            context.progress("reading", left.slip.rows, images, "images")
            held.append(Held(spool.take(left.slip), context.batch_size))
            top = max(top, left.top)
        names = tuple(str(number) for number in range(top + 1))
    header = Header(
        BOX, tuple(Category(name) for name in names), extra=tree.config.extra, source="yolo", switches=switches
    )
    for name in sorted(name for name, count in Counter(names).items() if count > 1):
        message = "two classes have the same name; both are kept"
        context.findings.add("duplicate-category-name", message, severity="warning", where=source.shown, detail=name)
    folders = tuple((source.split or part.split, part.folder) for part in tree.parts)
    return of_parts(header, (lambda: held) if held else parts, context.findings, images, folders)


def _tasks(tree: Tree, source: Source, context: ReadContext, task: str, classes: int) -> Iterator[Task]:
    from bboxconv.formats.yolo.rows import Task, some

    step = min(context.batch_size, 2 * _SLICE)
    step *= max(1, _SLICE // step)
    for part in tree.parts:
        for begin in range(0, len(part.names), step):
            names = tuple(part.names[begin : begin + step])
            yield Task(
                names,
                some(part.labels, begin, names),
                source.split or part.split,
                task,
                tree.config.keypoints,
                classes,
                tree.base,
                tree.shown,
                context.findings.recording,
            )


def target(header: Header, options: Options) -> Target:
    """Centre and size in fractions; what is carried depends on the task."""
    task = _task(header, options)
    carries = CARRIES
    if task in ("segment", "obb", "mixed"):
        carries |= {"object.segmentation", "object.shape"}
    elif task == "pose":
        carries |= {"object.keypoints"}
    if task in ("detect", "mixed") and _score(header, options):
        carries |= {"object.score"}
    if header.source == "yolo":
        carries |= {"extra"}
    requires = frozenset({"image.file_name", "object.category", "object.bbox"})
    return Target(
        BOX,
        carries,
        requires,
        crowd_of(options, CROWD_DROP),
        rotated_of(options),
        reserved=frozenset({"extra.kpt_shape"}),
        decimals=_digits(header.box, options),
        fills=carries & {"object.segmentation", "object.shape", "object.keypoints"}
        | ({"extra.kpt_shape"} if task == "pose" else set()),
        redraws="corners" if task == "obb" else "polygon" if task in ("segment", "mixed") else "",
        indexed=True,
        unwritten_name=UNWRITTEN,
    )


def _digits(source: BoxFormat, options: Options) -> int | None:
    """Digits after the point; None: all."""
    decimals = option(options, DECIMALS)
    if decimals == "auto":
        return 6 if source.scale is None else None
    return None if decimals == "full" else int(decimals)


def _task(header: Header, options: Options) -> str:
    """What rows to write: what comes from YOLO goes back as it was."""
    task = option(options, TASK_OUT)
    if task != "auto":
        return task
    if header.source != "yolo":
        return "detect"
    return "pose" if header.extra and "kpt_shape" in members(header.extra) else "mixed"


def _score(header: Header, options: Options) -> bool:
    score = option(options, SCORE)
    return score == "yes" or (score == "auto" and header.source == "yolo")


def encoder(header: Header, out: Path, context: WriteContext) -> LabelWriter:
    """Writes labels/<split>/<name>.txt for each image of a batch.

    Raises UsageError where images are asked for and their folder is not given.
    """
    from bboxconv.formats.yolo.writing import label_writer

    task, digits = _task(header, context.options), _digits(context.source_box, context.options)
    score, images = _score(header, context.options), option(context.options, IMAGES)
    return label_writer(header, out, context, task=task, digits=digits, score=score, images=images)


def assemble(header: Header, pieces: Iterable[Piece], out: Path, context: WriteContext) -> Written:
    """Write data.yaml, once the labels are there.

    Raises UsageError where keypoints are asked for and there are none.
    """
    from bboxconv.formats.yolo.writing import write_tree

    size = write_tree(header, pieces, out, encoder(header, out, context), context.findings)
    if option(context.options, IMAGES) != "none":
        return Written()
    return Written(
        size=size,
        next_step=f"put the images under {context.shown.rstrip('/')}/images/, as data.yaml names them "
        "(--images DIR --out images=link does it)",
    )


def write(header: Header, batches: Iterable[pa.RecordBatch], out: Path, context: WriteContext) -> Written:
    """Encode and assemble in this process."""
    return assemble(header, encoded(encoder(header, out, context), batches, context.findings), out, context)
