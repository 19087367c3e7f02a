"""Slices of documents, parsed and left by one task, and their images, given by another once all classes are known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bboxconv.errors import Diagnostic, Findings
from bboxconv.formats.voc.documents import Task, parse_slice
from bboxconv.schema import (
    flat,
    image_batch,
    keep_images,
    object_rows,
    with_image_columns,
    with_objects,
)
from bboxconv.shelf import Shelf
from bboxconv.spool import Slip, Spool, leave

Unseen = tuple[str, str, str | None]
"""Name, split and extra of an image at which nobody looked."""


@dataclass(frozen=True, slots=True)
class Left:
    """What a task found in a slice of documents, and left of it; see `documents.Parsed`."""

    slip: Slip
    file_names: pa.StringArray
    names: tuple[str, ...]
    rows: NDArray[np.int16]
    files: int
    diagnostics: tuple[Diagnostic, ...]
    voc: bool
    low: float
    edge: bool

    def held(self, spool: Spool) -> Left:
        """The slice with its images held."""
        return replace(self, slip=spool.take(self.slip), diagnostics=())


def leave_slice(given: tuple[Task, Shelf]) -> Left:
    """Parse a slice of documents; a task."""
    task, shelf = given
    parsed = parse_slice(task)
    slip = leave([parsed.batch], shelf)[0]
    file_names = parsed.batch.column("file_name")
    return Left(
        slip,
        file_names,
        parsed.names,
        parsed.rows.astype(np.int16),
        parsed.files,
        parsed.findings,
        parsed.voc,
        parsed.low,
        parsed.edge,
    )


@dataclass(frozen=True, slots=True)
class SlicePart:
    """The images of a slice, as a part: `categories` are those of its names, `file_names` what images are called
    where they are not unique as they stand (None: an image is left out)."""

    slip: Slip
    categories: tuple[int, ...]
    file_names: tuple[str | None, ...] | None

    @property
    def images(self) -> int:
        """How many images there are at most."""
        return self.slip.rows

    def __call__(self, findings: Findings) -> Iterator[pa.RecordBatch]:
        """One batch, if there is an image."""
        batch = self.slip.load()
        objects = flat(batch)
        if len(objects.rows):
            index = np.array(self.categories, dtype=np.int32)
            numbers = index[objects.column("category").to_numpy(zero_copy_only=False)]
            batch = with_objects(batch, objects.with_columns({"category": pa.array(numbers)}))
        if self.file_names is not None:
            batch = with_image_columns(batch, {"file_name": pa.array(self.file_names, pa.string())})
            batch = keep_images(batch, np.array([name is not None for name in self.file_names], np.bool_))
        if batch.num_rows:
            yield batch


@dataclass(frozen=True, slots=True)
class UnseenPart:
    """Images at which nobody looked, as a part."""

    unseen: tuple[Unseen, ...]

    @property
    def images(self) -> int:
        """How many images there are."""
        return len(self.unseen)

    def __call__(self, findings: Findings) -> Iterator[pa.RecordBatch]:
        """One batch."""
        names, splits, extra = (pa.array(list(column), pa.string()) for column in zip(*self.unseen, strict=True))
        offsets = np.zeros(len(self.unseen) + 1, dtype=np.int64)
        columns = {"file_name": names, "split": splits, "extra": extra}
        yield image_batch(columns, offsets, object_rows({}, 0), np.zeros(len(self.unseen), dtype=np.bool_))
