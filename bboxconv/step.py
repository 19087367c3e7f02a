"""What becomes of a batch on its way from a source to a target, and the account of it: the same in every process, and
when images are read again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv import classes, loss, ownkeys, schema, sizes, stages
from bboxconv.account import Account
from bboxconv.boxes import BoxFormat
from bboxconv.codec import Target
from bboxconv.errors import Findings
from bboxconv.request import Request
from bboxconv.selection import Selection


@dataclass(slots=True)
class _Rows:
    """Which images of a batch are still there: the row of each, as the batch was read."""

    kept: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of the batches of one source. No target: they stay as they come, in the header's box format."""

    request: Request
    shown: str
    box: BoxFormat
    goal: BoxFormat
    target: Target | None
    index: NDArray[np.int32]
    """The class in the common header of each class of the source, or -1."""
    default_class: int | None
    folders: tuple[tuple[str | None, Path], ...]
    sized: bool
    """Whether images without a size get one."""
    table: sizes.SizeTable | None
    compared: bool
    """Whether the reader looks for ids that occur more than once."""
    selection: Selection | None = None
    """What is made of the images before the target is looked at."""

    def apply(
        self, batch: pa.RecordBatch, account: Account, findings: Findings, numbers: NDArray[np.int64]
    ) -> tuple[pa.RecordBatch, NDArray[np.int64]]:
        """A batch brought to the common header and to what the target wants, and counted; and the row of each of its
        images (B,) in the batch that was given. `numbers` are those of the images given, over all sources."""
        rows = _Rows(np.arange(len(batch)))
        request, box, goal, target = self.request, self.box, self.goal, self.target
        account.read_images += len(batch)
        account.read_boxes += len(schema.flat(batch).rows)
        batch = self._asked_for(batch, account, rows)
        if self.sized:
            batch = self.with_sizes(batch, account)
        if self.selection is not None:
            batch = self._selected(batch, self.selection, numbers, account, findings, rows)
        left_out, looks = account.left_out_boxes, request.looks
        batch = stages.check_boxes(batch, box, request.on_invalid, findings, left_out, self.shown, looks=looks)
        if target is not None:
            batch = self._fit(batch, target, account, findings, rows)
            if box.needs_size(goal):
                inside = "image.width" not in target.requires
                batch = _require_sizes(batch, findings, account, self.shown, rows, with_objects=inside)
            if "object.rotation" not in target.carries:  # of what is written alone, and with its sizes known
                batch = stages.unrotate(batch, box, target.rotated, account)
        clipped = np.zeros(0, np.bool_)
        if request.on_invalid == "clip":
            batch, clipped = stages.clip(batch, box)
        given = batch
        batch = stages.convert(batch, box, goal, _drawn(target))
        stages.count_undrawn(given, batch, findings, account, self.shown)
        if target is not None:
            if target.finite:
                message = f"a box is too large for numbers in {goal.name}"
                batch, kept = stages.finite_boxes(batch, message, findings, account.left_out_boxes, self.shown)
                clipped = clipped[kept] if len(clipped) else clipped
            batch = ownkeys.settle(batch, target, account, self.shown)
            stages.count_changes(batch, box, goal, clipped, target, account.changed)
            loss.count_batch(batch, target, account, self.shown)
            if self.selection is not None:
                self.selection.count(batch, target.carries, account)
        account.images += len(batch)
        account.boxes += len(schema.flat(batch).rows)
        return batch, rows.kept

    def narrow(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, NDArray[np.int64]]:
        """The images and boxes of a batch that are asked for, in the common classes, and the row of each image, as of
        `apply`: what a selection sees, but for the sizes."""
        rows = _Rows(np.arange(len(batch)))
        return self._asked_for(batch, Account(), rows), rows.kept

    def _asked_for(self, batch: pa.RecordBatch, account: Account, rows: _Rows) -> pa.RecordBatch:
        if self.request.split:
            chosen = pc.is_in(batch.column("split"), pa.array(self.request.split))
            batch = _keep(batch, chosen, "split not asked for", account, rows)
        batch, gone = classes.remap(batch, self.index)
        account.left_out_boxes["class left out"] += gone
        return batch

    def _selected(
        self,
        batch: pa.RecordBatch,
        selection: Selection,
        numbers: NDArray[np.int64],
        account: Account,
        findings: Findings,
        rows: _Rows,
    ) -> pa.RecordBatch:
        chosen = selection(batch, numbers[rows.kept], self.box, findings)
        if chosen.batch is not batch:
            gone = len(schema.flat(batch).rows) - len(schema.flat(chosen.batch).rows)
            if gone:
                account.left_out_boxes[chosen.reason] += gone
        return _keep(chosen.batch, pa.array(chosen.keep), chosen.reason, account, rows)

    def with_sizes(self, batch: pa.RecordBatch, account: Account) -> pa.RecordBatch:
        """The batch with the sizes of its images, each looked up in the folder of its own split: names may recur in
        others.
        """
        exif = self.request.in_.get("exif", "yes") != "no"
        splits = batch.column("split").to_pylist()
        edges = [0, *[row for row in range(1, len(splits)) if splits[row] != splits[row - 1]], len(splits)]
        parts = []
        for start, stop in pairwise(edges):
            own = [folder for split, folder in self.folders if split is None or split == splits[start]]
            folders = [*([self.request.images] if self.request.images else []), *own]
            part, filled = sizes.fill(
                batch.slice(start, stop - start), self.table, self.request.image_size, folders, exif
            )
            account.filled["image.width and image.height"] += filled
            parts.append(part)
        return parts[0] if len(parts) == 1 else pa.concat_batches(parts)

    def _fit(
        self, batch: pa.RecordBatch, target: Target, account: Account, findings: Findings, rows: _Rows
    ) -> pa.RecordBatch:
        """What the target cannot take is left out, filled or refused."""
        out = account.left_out_boxes
        if target.finite:
            batch = stages.finite(batch, findings, account, self.shown)
        if "object.iscrowd" not in target.carries and target.crowd == "drop":
            batch = stages.leave_out(batch, stages.flagged("iscrowd"), "crowd", out)
        if "object.ignore" not in target.carries:
            batch = stages.leave_out(batch, stages.flagged("ignore"), "ignore region", out)
        if "object.rotation" not in target.carries and target.rotated == "drop":
            batch = stages.leave_out(batch, lambda objects: ~stages.lacking("rotation")(objects), "rotated", out)
        if "object.bbox" in target.requires:
            batch = stages.leave_out(batch, stages.lacking("bbox"), "without a bbox", out)
        if "object.place" in target.requires:
            batch = stages.leave_out(batch, stages.placeless, "without a bbox, polygon, mask or keypoints", out)
        if "object.category" in target.requires:
            batch = _classify(batch, self.default_class, findings, account, self.shown)
        if target.unfit:
            batch = _without_unfit(batch, target, account, findings, self.shown)
        if "unannotated" not in target.carries:
            if self.request.unannotated == "skip":
                batch = _keep(batch, batch.column("objects").is_valid(), "not annotated", account, rows)
            else:
                objects = schema.flat(batch)
                batch = schema.with_objects(batch, replace(objects, annotated=np.ones(len(batch), np.bool_)))
        if "image.objects" in target.requires:
            reason = "without boxes, which the format cannot show"
            batch = _keep(batch, pa.array(np.diff(schema.flat(batch).offsets) > 0), reason, account, rows)
        if self.request.drop_empty:
            batch = _keep(batch, pa.array(np.diff(schema.flat(batch).offsets) > 0), "without boxes", account, rows)
        if "image.file_name" in target.requires:
            batch = _require_names(batch, findings, account, self.shown, rows)
        if "image.width" in target.requires:
            batch = _require_sizes(batch, findings, account, self.shown, rows, with_objects=False)
        return batch


def _drawn(target: Target | None) -> tuple[str, ...]:
    """The drawn fields that the target carries."""
    fields = ("segmentation", "keypoints")
    return fields if target is None else tuple(name for name in fields if f"object.{name}" in target.carries)


def _keep(batch: pa.RecordBatch, mask: pa.Array, reason: str, account: Account, rows: _Rows) -> pa.RecordBatch:
    """The images where the mask is true; the others and their boxes are counted as left out."""
    keep = mask.fill_null(False).to_numpy(zero_copy_only=False)
    if keep.all():
        return batch
    boxes = int(np.diff(schema.flat(batch).offsets)[~keep].sum())
    account.left_out_images[reason] += int((~keep).sum())
    account.left_out_boxes[reason] += boxes
    rows.kept = rows.kept[keep]
    return schema.keep_images(batch, keep)


def _classify(
    batch: pa.RecordBatch, default: int | None, findings: Findings, account: Account, shown: str
) -> pa.RecordBatch:
    objects = schema.flat(batch)
    column = objects.column("category")
    if not column.null_count:
        return batch
    if default is not None:
        account.filled["object.category"] += column.null_count
        return schema.with_objects(batch, objects.with_columns({"category": column.fill_null(default)}))
    absent = stages.lacking("category")(objects)
    for row in np.flatnonzero(absent).tolist():
        findings.add(
            "missing-class",
            "a box has no class",
            record=stages.place(batch, objects, row, shown),
            hint="--default-class NAME gives it one",
        )
    account.left_out_boxes["without a class"] += int(absent.sum())
    return schema.with_objects(batch, schema.keep_objects(objects, ~absent))


def _without_unfit(
    batch: pa.RecordBatch, target: Target, account: Account, findings: Findings, shown: str
) -> pa.RecordBatch:
    """The batch without the boxes of a class that the target cannot write, each a fault."""
    objects = schema.flat(batch)
    category = objects.column("category")
    bad = pc.is_in(category, pa.array([*target.unfit], pa.int32())).to_numpy(zero_copy_only=False)
    if not bad.any():
        return batch
    for row in np.flatnonzero(bad).tolist():
        record = stages.place(batch, objects, row, shown)
        findings.add("bad-value", target.unfit_why, record=record, detail=target.unfit[category[row].as_py()])
    account.left_out_boxes["bad-value"] += int(bad.sum())
    return schema.with_objects(batch, schema.keep_objects(objects, ~bad))


def _require_names(
    batch: pa.RecordBatch, findings: Findings, account: Account, shown: str, rows: _Rows
) -> pa.RecordBatch:
    """Images without a name are faults, and left out of what follows."""
    absent = stages.missing(batch, ["file_name"], with_objects=False)
    hint = "a list of results has no names: --in header=instances.json gives them"
    for image in absent.tolist():
        findings.add(
            "missing-file-name", "an image has no file name", record=stages.image_place(batch, image, shown), hint=hint
        )
    return _without(batch, absent, "without a file name", account, rows)


def _require_sizes(
    batch: pa.RecordBatch, findings: Findings, account: Account, shown: str, rows: _Rows, *, with_objects: bool
) -> pa.RecordBatch:
    """Images whose size nobody knows are faults, and left out of what follows."""
    absent = stages.missing(batch, ["width", "height"], with_objects=with_objects)
    for image in absent.tolist():
        findings.add(
            "missing-image-size",
            "the size of an image is needed and nobody gave it",
            record=stages.image_place(batch, image, shown),
            hint="--images DIR reads them from the images, --image-sizes FILE from a table; --image-size WxH for all",
        )
    return _without(batch, absent, "without a size", account, rows)


def _without(
    batch: pa.RecordBatch, absent: NDArray[np.int64], reason: str, account: Account, rows: _Rows
) -> pa.RecordBatch:
    keep = np.ones(len(batch), np.bool_)
    keep[absent] = False
    return _keep(batch, pa.array(keep), reason, account, rows)
