"""What becomes of a batch of the data model on its way into mini-batches."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv import classes, schema, stages
from bboxconv.account import Account
from bboxconv.boxes import convert_boxes
from bboxconv.errors import Findings
from bboxconv.minibatch.columns import Columns, images_of, offsets_of
from bboxconv.schema import Objects
from bboxconv.step import Step

Rows = NDArray[np.int64]
"""Numbers of boxes (N,) in a batch, or the image of each."""
FIELDS = frozenset(
    [f"image.{name}" for name in ("id", "file_name", "width", "height", "split")]
    + [f"object.{name}" for name in ("category", "bbox", "iscrowd", "difficult", "ignore", "rotation")]
)
"""The fields that are looked at."""
FEW = frozenset({"image.split", "object.ignore"})
"""The fields that `chosen` looks at."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """Makes columns of the batches of one source. `step` knows the source, its classes and where sizes are found."""

    step: Step
    categories: int
    crowd: bool
    difficult: bool
    empty: bool
    """Whether crowd boxes, difficult boxes and images without boxes stay."""
    dtype: str

    def splits(self, batch: pa.RecordBatch) -> set[str | None]:
        """The splits of a batch, where some were asked for."""
        return set(pc.unique(batch.column("split")).to_pylist()) if self.step.request.split else set()

    def chosen(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The images of the splits that were asked for, without those that nobody looked at."""
        request = self.step.request
        if request.unannotated == "skip":
            batch = schema.keep_images(batch, batch.column("objects").is_valid().to_numpy(zero_copy_only=False))
        if request.split:
            wanted = np.isin(batch.column("split").to_numpy(zero_copy_only=False), request.split)
            batch = schema.keep_images(batch, wanted)
        return batch

    def __call__(self, batch: pa.RecordBatch, findings: Findings) -> Columns:
        """The images of a batch, boxes in the format that was asked for. What they lack is added to the findings."""
        step, request = self.step, self.step.request
        batch, _ = classes.remap(self.chosen(batch), step.index)
        if step.sized and (batch.column("width").null_count or batch.column("height").null_count):
            batch = step.with_sizes(batch, Account())
        if request.on_invalid != "keep":
            batch = stages.check_boxes(batch, step.box, request.on_invalid, findings, Counter(), step.shown)
        if request.on_invalid == "clip":
            batch, _ = stages.clip(batch, step.box)
        batch = stages.unrotate(batch, step.box, "envelope", Account())
        objects, sizes = schema.flat(batch), _sizes(batch)
        image, rows = objects.image_of(), np.flatnonzero(~self._left_out(objects))
        rows = self._with_size(batch, rows, image, sizes, findings)
        labels = self._labels(batch, objects, rows, findings)
        image = image.take(rows)
        boxes = self._boxes(batch, objects, rows, sizes.take(image, axis=0), findings)
        lengths = np.bincount(image, minlength=len(batch))
        names = pa.concat_arrays([batch.column("file_name")])  # to be held without what it is a part of
        ids = batch.column("id").fill_null(-1).to_numpy()
        found = Columns(names, ids, sizes, offsets_of(lengths), images_of(lengths), boxes, labels)
        return found if self.empty else found.taken(np.flatnonzero(lengths))

    def _left_out(self, objects: Objects) -> NDArray[np.bool_]:
        left_out = stages.lacking("bbox")(objects) | stages.flagged("ignore")(objects)
        for name, stays in (("iscrowd", self.crowd), ("difficult", self.difficult)):
            if not stays:
                left_out |= stages.flagged(name)(objects)
        return left_out

    def _with_size(
        self, batch: pa.RecordBatch, rows: Rows, image: Rows, sizes: NDArray[np.int64], findings: Findings
    ) -> Rows:
        """The boxes whose image has a size, where one is needed. Images without are faults, unless they have no
        boxes."""
        step = self.step
        if not step.box.needs_size(step.goal) or sizes.all():
            return rows
        known = np.asarray(sizes.all(axis=1))[image[rows]]
        other = replace(step.box, kind=step.goal.kind, rotation=None).name
        for number in np.unique(image[rows[~known]]).tolist():
            findings.add(
                "missing-image-size",
                f"boxes in {step.goal.name} need the size of the image, and nobody gave it",
                record=stages.image_place(batch, number, step.shown),
                hint=f'box="{other}" needs none; image_sizes=FILE gives sizes from a table, images=FOLDER from the '
                "images, image_size=(width, height) one for all",
            )
        return rows[known]

    def _labels(self, batch: pa.RecordBatch, objects: Objects, rows: Rows, findings: Findings) -> NDArray[np.int64]:
        """The class of each box; one without, or of a class outside the header, is a fault."""
        default, column = self.step.default_class, objects.column("category")
        filled = column.fill_null(-1 if default is None else default)
        labels: NDArray[np.int64] = filled.to_numpy().take(rows).astype(np.int64)
        for row in rows[(labels < 0) | (labels >= self.categories)].tolist():
            record = stages.place(batch, objects, row, self.step.shown)
            if column[row].is_valid:
                message = f"a class is not one of the {self.categories} of the header"
                findings.add("unknown-class", message, record=record, detail=f"class {column[row].as_py()}")
            else:
                hint = "default_class=NAME gives it one"
                findings.add("missing-class", "a box has no class", record=record, hint=hint)
        return labels

    def _boxes(
        self, batch: pa.RecordBatch, objects: Objects, rows: Rows, sizes: NDArray[np.int64], findings: Findings
    ) -> NDArray[np.floating]:
        """The boxes in the format that was asked for; one that is not finite there is a fault."""
        box, goal = self.step.box, self.step.goal
        values = schema.boxes_of(objects.rows)[0].take(rows, axis=0)
        with np.errstate(over="ignore"):
            found = convert_boxes(values, box, goal, sizes if box.needs_size(goal) else None)
            found = found.astype(self.dtype, copy=False)
        finite = np.isfinite(found)
        for row in [] if finite.all() else rows[~finite.all(axis=1)].tolist():  # the first is thirty times as fast
            record = stages.place(batch, objects, row, self.step.shown)
            findings.add("bad-number", f"a box is no finite numbers in {goal.name}", record=record)
        return found


def _sizes(batch: pa.RecordBatch) -> NDArray[np.int64]:
    """(B, 2) width and height, 0 where unknown."""
    return np.column_stack([batch.column(name).fill_null(0).to_numpy() for name in ("width", "height")]).astype(
        np.int64
    )
