"""Rows of YOLO label files to batches, some thousand files at a time: no Python object per row but for faulty
ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv import jsontext
from bboxconv.boxes import convert_boxes, extent
from bboxconv.errors import Diagnostic, Findings, Record, printable
from bboxconv.readers.textfiles import Joined, Rows, numbers_of, ranges, read_joined, rows_of, table_of
from bboxconv.schema import SHAPES, bbox_array, flat, image_batch, keep_images, object_rows, pieces, shape_array
from bboxconv.shelf import Shelf
from bboxconv.spool import Slip, leave

NONE, BOX, POLYGON, QUAD, POINTS = 0, 1, 2, 3, 4
"""What a row is, by its number of columns; POINTS is a box with keypoints."""


@dataclass(frozen=True, slots=True)
class Stems:
    """The label files of images that all have one of their own stem below a folder: of a million, no path is held."""

    folder: str
    names: Sequence[str]

    def __iter__(self) -> Iterator[str]:
        return (f"{self.folder}/{name.rpartition('.')[0]}.txt" for name in self.names)

    def __getitem__(self, row: int) -> str:
        return f"{self.folder}/{self.names[row].rpartition('.')[0]}.txt"


Paths: TypeAlias = Sequence[str] | Stems


def some(labels: Paths, begin: int, names: Sequence[str]) -> Paths:
    """Of the label files of all images those of some: `names`, from `begin` on."""
    if isinstance(labels, Stems):
        return replace(labels, names=names)  # names that are sent with them are sent once
    return labels[begin : begin + len(names)]


@dataclass(frozen=True, slots=True)
class Task:
    """Some images of one split, in order. `labels` are paths, "" where an image has none."""

    names: tuple[str, ...]
    labels: Paths
    split: str | None
    task: str
    keypoints: tuple[int, int] | None
    classes: int
    """How many classes there are: numbers from here on are faults."""
    base: str
    shown: str
    """The folder `base` as the user wrote it."""
    listing: bool = False
    """Whether every fault is named with its text."""


@dataclass(frozen=True, slots=True)
class Labels:
    """The images of a task, as a part."""

    task: Task
    size: int

    @property
    def images(self) -> int:
        """How many images there are."""
        return len(self.task.names)

    def __call__(self, findings: Findings) -> Iterator[pa.RecordBatch]:
        """Their batches."""
        return pieces(batch_of(self.task, findings), self.size)


@dataclass(frozen=True, slots=True)
class Left:
    """The batch of a task, left on a shelf; its highest class, or -1; and what was seen."""

    slip: Slip
    top: int
    diagnostics: tuple[Diagnostic, ...]


def leave_labels(given: tuple[Task, Shelf]) -> Left:
    """Read the label files of some images whose classes have no names; a task."""
    task, shelf = given
    findings = Findings(task.listing)
    batch = batch_of(task, findings)
    top = pc.max(flat(batch).column("category")).as_py()
    return Left(leave([batch], shelf)[0], -1 if top is None else top, tuple(findings))


def batch_of(task: Task, findings: Findings) -> pa.RecordBatch:
    """Read the label files of some images. Faulty rows and unreadable files are left out and reported."""
    joined = read_joined(task.labels)
    found = _boxes(joined, task) or _rows(joined, task, findings)
    count = len(found.file)
    offsets = np.zeros(len(task.names) + 1, dtype=np.int64)
    np.cumsum(np.bincount(found.file, minlength=len(task.names)), out=offsets[1:])
    for file, why in joined.failed.items():
        message = "a label file cannot be read; its image is left out"
        findings.add("unreadable-file", message, record=Record(_shown(task, file)), detail=why, images=1)
    if 2 * found.large > count:
        hint = "YOLO's numbers are fractions of the image's size"
        message = "most rows hold numbers above 2: they are pixels, not fractions"
        findings.add("pixels-not-fractions", message, severity="warning", count=found.large, hint=hint)
    images = {
        "file_name": pa.array(task.names, pa.string()),
        "split": pa.repeat(pa.scalar(task.split, pa.string()), len(task.names)),
    }
    batch = image_batch(images, offsets, object_rows(found.columns, count))
    failed = np.isin(np.arange(len(task.names)), tuple(joined.failed)) if joined.failed else None
    return batch if failed is None else keep_images(batch, ~failed)


@dataclass(frozen=True, slots=True)
class _Found:
    """The objects (N,) of a task."""

    file: NDArray[np.int64]
    """The image of each."""
    columns: dict[str, pa.Array]
    large: int
    """How many have a box with a number above 2."""


def _boxes(joined: Joined, task: Task) -> _Found | None:
    """Rows that all are a class and a box without a fault, as nearly always; None where one is anything else."""
    if task.task == "pose" or (table := table_of(joined, 5)) is None:
        return None
    (number, *sides), file = table
    boxes = np.stack(sides, axis=-1)
    if not ((number >= 0) & (number < task.classes)).all() or not np.isfinite(boxes).all():
        return None
    category = number.astype(np.int32)
    if not (category == number).all():
        return None
    return _Found(file, {"category": pa.array(category), "bbox": bbox_array(boxes)}, _large(boxes))


def _large(boxes: NDArray[np.float64]) -> int:
    return int((np.abs(boxes) > 2).any(axis=1).sum()) if len(boxes) and (boxes.max() > 2 or boxes.min() < -2) else 0


def _rows(joined: Joined, task: Task, findings: Findings) -> _Found:
    """Rows of any kind; what is wrong with them is reported."""
    rows = rows_of(joined)
    values = numbers_of(rows.tokens)
    first, counts = rows.offsets[:-1], np.diff(rows.offsets)
    kinds = _kinds(counts, task)
    good = _check(task, joined, rows, values, kinds, findings)
    kinds, begins, lengths = kinds[good], first[good], counts[good] - 1
    columns = {"category": pa.array(values[begins].astype(np.int32))}
    columns |= _geometry(values, kinds, begins + 1, lengths, task)
    box_rows = (kinds == BOX) | (kinds == POINTS)
    return _Found(rows.file[good], columns, _large(values[begins[box_rows, None] + np.arange(1, 5)]))


def _kinds(counts: NDArray[np.int64], task: Task) -> NDArray[np.int8]:
    """What each row is, by its number of columns."""
    kinds = np.zeros(len(counts), dtype=np.int8)
    if task.task != "pose":
        kinds[(counts == 5) | (counts == 6)] = BOX
    if task.task in ("auto", "segment"):
        kinds[(counts >= 7) & (counts % 2 == 1)] = POLYGON
    if task.task == "obb":
        kinds[counts == 9] = QUAD
    if task.task in ("auto", "pose") and task.keypoints is not None:
        kinds[counts == 5 + task.keypoints[0] * task.keypoints[1]] = POINTS
    elif task.task == "pose":
        kinds[(counts > 5) & ((counts % 3 == 2) | (counts % 2 == 1))] = POINTS
    return kinds


def _check(
    task: Task, joined: Joined, rows: Rows, values: NDArray[np.float64], kinds: NDArray[np.int8], findings: Findings
) -> NDArray[np.bool_]:
    """Which rows can be read; the others are reported, each for its first fault."""
    first, counts = rows.offsets[:-1], np.diff(rows.offsets)
    number = values[first]
    bad_columns = kinds == NONE
    bad_numbers = np.logical_or.reduceat(np.isnan(values), first) if len(first) else np.zeros(0, dtype=np.bool_)
    with np.errstate(invalid="ignore"):
        fraction = number != np.floor(number)
        unknown = (number < 0) | (number >= task.classes)
    faulty = bad_columns | bad_numbers | fraction | unknown

    bad = np.flatnonzero(faulty)
    lines = (
        dict(zip(bad.tolist(), joined.lines(rows.file[bad], rows.place[bad]).tolist(), strict=True)) if len(bad) else {}
    )

    def report(code: str, message: str, which: NDArray[np.bool_], detail: str, hint: str = "") -> None:
        def place(row: int) -> tuple[Record, str]:
            file, start = int(rows.file[row]), int(rows.place[row])
            tokens = range(int(rows.offsets[row]), int(rows.offsets[row + 1]))
            odd = next((t for t in tokens if np.isnan(values[t])), tokens[0])
            record = Record(_shown(task, file), lines[row], raw=joined.row(start))
            return record, detail.format(token=rows.token(odd), count=counts[row])

        findings.add_each(code, message, np.flatnonzero(which).tolist(), place, hint=hint, boxes=1)

    if faulty.any():
        report("bad-number", "a value in a row is not a finite number", bad_numbers, "{token}")
        rest = ~bad_numbers
        report(
            "bad-row",
            f"a row has a number of columns that task={task.task} does not have",
            rest & bad_columns,
            "{count} columns",
            _hint(task),
        )
        rest &= ~bad_columns
        report("bad-value", "a class number is not whole", rest & fraction, "{token}")
        report("unknown-class", "a class number has no name", rest & ~fraction & unknown, "class {token}")
    return np.asarray(~faulty, np.bool_)


def _hint(task: Task) -> str:
    return "keypoints need kpt_shape in data.yaml" if task.keypoints is None else ""


def _shown(task: Task, file: int) -> str:
    path = task.labels[file]
    inside = path[len(task.base) + 1 :] if path.startswith(task.base + "/") else ""
    return printable((f"{task.shown}/{inside}" if task.shown else inside) if inside else path)


def _geometry(
    values: NDArray[np.float64],
    kinds: NDArray[np.int8],
    begins: NDArray[np.int64],
    lengths: NDArray[np.int64],
    task: Task,
) -> dict[str, pa.Array]:
    """The columns of N rows, the numbers of which begin at `begins`, without the class."""
    columns: dict[str, pa.Array] = {}
    boxes = np.empty((len(kinds), 4), dtype=np.float64)
    plain = (kinds == BOX) | (kinds == POINTS)
    boxes[plain] = values[begins[plain, None] + np.arange(4)]
    scored = (kinds == BOX) & (lengths == 5)
    if scored.any():
        columns["score"] = pa.array(values[np.where(scored, begins + 4, 0)], mask=~scored)
    drawn = ~plain
    if drawn.any():
        numbers = values[ranges(begins[drawn], lengths[drawn])]
        offsets = np.concatenate(([0], np.cumsum(lengths[drawn])))
        boxes[drawn] = convert_boxes(extent(numbers.reshape(-1, 2), offsets // 2), "xyxyn", "cxcywhn")
        texts = _arrays(jsontext.numbers(pa.array(numbers)), offsets)
        columns["segmentation"] = _spread(pc.binary_join_element_wise("[", texts, "]", ""), drawn)
        columns["shape"] = shape_array(
            np.where(kinds == QUAD, SHAPES.index("quad"), SHAPES.index("polygon")).astype(np.int8), drawn
        )
    points = kinds == POINTS
    if points.any():
        columns["keypoints"] = _spread(_keypoints(values, begins[points] + 4, lengths[points] - 4, task), points)
    columns["bbox"] = bbox_array(boxes)
    return columns


def _keypoints(
    values: NDArray[np.float64], begins: NDArray[np.int64], lengths: NDArray[np.int64], task: Task
) -> pa.StringArray:
    """JSON arrays x, y, v for each keypoint. Two numbers for each have no v: 2, or 0 where a point is none (0, 0 or
    negative).
    """
    size = np.where(lengths % 3 == 0, 3, 2) if task.keypoints is None else np.full(len(lengths), task.keypoints[1])
    numbers = values[ranges(begins, lengths)]
    texts = jsontext.numbers(pa.array(numbers))
    pairs = np.repeat(size == 2, lengths)
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    if pairs.any():
        inside = np.arange(len(numbers)) - np.repeat(offsets[:-1], lengths)
        second = np.flatnonzero(pairs & (inside % 2 == 1))
        x, y = numbers[second - 1], numbers[second]
        none = ((x == 0) & (y == 0)) | (x < 0) | (y < 0)
        seen = pc.if_else(pa.array(none), ",0", ",2")
        written = texts.take(pa.array(second))
        mask = np.zeros(len(numbers), dtype=np.bool_)
        mask[second] = True
        texts = pc.replace_with_mask(texts, pa.array(mask), pc.binary_join_element_wise(written, seen, ""))
    return _arrays(texts, offsets)


def _arrays(texts: pa.StringArray, offsets: NDArray[np.int64]) -> pa.StringArray:
    """JSON arrays of the texts between each two offsets."""
    lists = pa.LargeListArray.from_arrays(pa.array(offsets), texts)
    return pc.binary_join_element_wise("[", pc.binary_join(lists, ","), "]", "")


def _spread(texts: pa.StringArray, where: NDArray[np.bool_]) -> pa.StringArray:
    """The texts at the rows where `where` is True, in order; null elsewhere."""
    if where.all():
        return texts
    return texts.take(pa.array(np.cumsum(where) - 1, mask=~where))
