"""The stream between the sources and a writer: every batch brought to one header and to what the target wants, and
what happens to it counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv import classes, io, loss, schema, sizes, stages
from bboxconv.boxes import BoxFormat
from bboxconv.codec import Target
from bboxconv.errors import Findings, UsageError
from bboxconv.request import Request
from bboxconv.schema import Dataset
from bboxconv.sources import Opened, check_max_errors, open_sources, unknown_split
from bboxconv.suggest import for_missing


@dataclass(slots=True)
class Account:
    """What is counted as the stream passes."""

    read_images: int = 0
    read_boxes: int = 0
    images: int = 0
    boxes: int = 0
    left_out_images: Counter[str] = field(default_factory=Counter)
    left_out_boxes: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    filled: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)


def _sizes_of(request: Request, stack: ExitStack) -> sizes.SizeTable | None:
    """The table of `--image-sizes`: a csv or Parquet table, or any data set that can be read."""
    if request.image_sizes is None:
        return None
    path = Path(request.image_sizes)
    if not path.exists():
        raise UsageError.of("path-not-found", f"--image-sizes: there is no {path}", hint=for_missing(path))
    if path.is_file() and io.base_suffix(path) in (".csv", ".tsv", ".txt"):
        return sizes.from_table(path)
    if path.is_file() and io.base_suffix(path) == ".parquet":
        try:
            return sizes.from_table(path)
        except UsageError:
            pass
    other = open_sources(Request((request.image_sizes,), jobs=request.jobs), Findings(), stack)
    return sizes.from_dataset(batch for dataset in other.datasets for batch in dataset)


def stream(
    request: Request, opened: Opened, target: Target | None, account: Account, findings: Findings, stack: ExitStack
) -> Iterator[pa.RecordBatch]:
    """The batches of all sources, brought to one header and to what the target wants, counted. No target: as they
    come, in the header's box format.
    """
    table = _sizes_of(request, stack)
    seen_splits: set[str | None] = set()
    for dataset, shown, index in zip(opened.datasets, opened.shown, opened.index, strict=True):
        box = dataset.header.box
        goal = (target.box if target else None) or opened.header.box
        sized = _wants_sizes(request, box, goal, target)
        for batch in dataset:
            account.read_images += len(batch)
            account.read_boxes += len(schema.flat(batch).rows)
            if request.split:
                seen_splits.update(pc.unique(batch.column("split")).to_pylist())
                batch = _keep(
                    batch, pc.is_in(batch.column("split"), pa.array(request.split)), "split not asked for", account
                )
            batch, gone = classes.remap(batch, index)
            account.left_out_boxes["class left out"] += gone
            if sized:
                batch = _with_sizes(batch, dataset, table, request, account)
            batch = stages.check_boxes(batch, box, request.on_invalid, findings, account.left_out_boxes, shown)
            if target is not None:
                batch = _fit(batch, box, target, request, opened, account, findings, shown)
                if box.needs_size(goal):
                    batch = _require_sizes(
                        batch, findings, account, shown, with_objects="image.width" not in target.requires
                    )
            batch = stages.convert(batch, box, goal, _drawn(target))
            if target is not None:
                loss.count_batch(batch, target, account.lost)
            account.images += len(batch)
            account.boxes += len(schema.flat(batch).rows)
            check_max_errors(request, findings)
            yield batch
    unknown = [split for split in request.split if seen_splits and split not in seen_splits]
    if unknown:
        known = sorted(split for split in seen_splits if split is not None)
        raise unknown_split(unknown[0], known)


def _with_sizes(
    batch: pa.RecordBatch, dataset: Dataset, table: sizes.SizeTable | None, request: Request, account: Account
) -> pa.RecordBatch:
    """The batch with the sizes of its images, each looked up in the folder of its own split: names may recur in
    others.
    """
    exif = request.in_.get("exif", "yes") != "no"
    splits = batch.column("split").to_pylist()
    edges = [0, *[row for row in range(1, len(splits)) if splits[row] != splits[row - 1]], len(splits)]
    parts = []
    for start, stop in pairwise(edges):
        own = [folder for split, folder in dataset.image_folders if split is None or split == splits[start]]
        folders = [*([request.images] if request.images else []), *own]
        part, filled = sizes.fill(batch.slice(start, stop - start), table, request.image_size, folders, exif)
        account.filled["image.width and image.height"] += filled
        parts.append(part)
    return parts[0] if len(parts) == 1 else pa.concat_batches(parts)


def _wants_sizes(request: Request, box: BoxFormat, goal: BoxFormat, target: Target | None) -> bool:
    """Whether images without a size get one: where the user gave sizes, or pixels are asked for; opening images costs
    time.
    """
    given = request.images is not None or request.image_sizes is not None or request.image_size is not None
    if target is None:
        return given or box.needs_size(goal)
    return (given and "image.width" in target.carries) or box.needs_size(goal) or "image.width" in target.requires


def passing(request: Request, opened: Opened, findings: Findings, stack: ExitStack) -> Iterator[pa.RecordBatch]:
    """The batches of all sources in one box format, for those who count them themselves."""
    return stream(request, opened, None, Account(), findings, stack)


def _drawn(target: Target | None) -> tuple[str, ...]:
    """The drawn fields that the target carries."""
    fields = ("segmentation", "keypoints")
    return fields if target is None else tuple(name for name in fields if f"object.{name}" in target.carries)


def _keep(batch: pa.RecordBatch, mask: pa.Array, reason: str, account: Account) -> pa.RecordBatch:
    """The images where the mask is true; the others and their boxes are counted as left out."""
    keep = mask.fill_null(False).to_numpy(zero_copy_only=False)
    if keep.all():
        return batch
    boxes = int(np.diff(schema.flat(batch).offsets)[~keep].sum())
    account.left_out_images[reason] += int((~keep).sum())
    account.left_out_boxes[reason] += boxes
    return schema.keep_images(batch, keep)


def _fit(
    batch: pa.RecordBatch,
    box: BoxFormat,
    target: Target,
    request: Request,
    opened: Opened,
    account: Account,
    findings: Findings,
    shown: str,
) -> pa.RecordBatch:
    """What the target cannot take is left out, filled or refused."""
    out = account.left_out_boxes
    if target.finite:
        batch = stages.finite(batch, findings, out, shown)
    if "object.iscrowd" not in target.carries and target.crowd == "drop":
        batch = stages.leave_out(batch, stages.flagged("iscrowd"), "crowd", out)
    if "object.ignore" not in target.carries:
        batch = stages.leave_out(batch, stages.flagged("ignore"), "ignore region", out)
    if "object.rotation" not in target.carries:
        if target.rotated == "drop":
            batch = stages.leave_out(batch, lambda objects: ~stages.lacking("rotation")(objects), "rotated", out)
        batch = stages.unrotate(batch, box, target.rotated, account.changed)
    if "object.bbox" in target.requires:
        batch = stages.leave_out(batch, stages.lacking("bbox"), "without a bbox", out)
    if "object.category" in target.requires:
        batch = _classify(batch, opened.default_class, findings, account, shown)
    if "unannotated" not in target.carries:
        if request.unannotated == "skip":
            batch = _keep(batch, batch.column("objects").is_valid(), "not annotated", account)
        else:
            objects = schema.flat(batch)
            batch = schema.with_objects(batch, replace(objects, annotated=np.ones(len(batch), np.bool_)))
    if request.drop_empty:
        batch = _keep(batch, pa.array(np.diff(schema.flat(batch).offsets) > 0), "without boxes", account)
    if "image.file_name" in target.requires:
        batch = _require_names(batch, findings, account, shown)
    if "image.width" in target.requires:
        batch = _require_sizes(batch, findings, account, shown, with_objects=False)
    return batch


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
            where=stages.place(batch, objects, row, shown),
            hint="--default-class NAME gives it one",
        )
    account.left_out_boxes["without a class"] += int(absent.sum())
    return schema.with_objects(batch, schema.keep_objects(objects, ~absent))


def _require_names(batch: pa.RecordBatch, findings: Findings, account: Account, shown: str) -> pa.RecordBatch:
    """Images without a name are faults, and left out of what follows."""
    absent = stages.missing(batch, ["file_name"], with_objects=False)
    hint = "a list of results has no names: --in header=instances.json gives them"
    for image in absent.tolist():
        findings.add(
            "missing-file-name", "an image has no file name", where=stages.image_place(batch, image, shown), hint=hint
        )
    return _without(batch, absent, "without a file name", account)


def _require_sizes(
    batch: pa.RecordBatch, findings: Findings, account: Account, shown: str, *, with_objects: bool
) -> pa.RecordBatch:
    """Images whose size nobody knows are faults, and left out of what follows."""
    absent = stages.missing(batch, ["width", "height"], with_objects=with_objects)
    for image in absent.tolist():
        findings.add(
            "missing-image-size",
            "the size of an image is needed and nobody gave it",
            where=stages.image_place(batch, image, shown),
            hint="--images DIR reads them from the images, --image-sizes FILE from a table; --image-size WxH for all",
        )
    return _without(batch, absent, "without a size", account)


def _without(batch: pa.RecordBatch, absent: NDArray[np.int64], reason: str, account: Account) -> pa.RecordBatch:
    keep = np.ones(len(batch), np.bool_)
    keep[absent] = False
    return _keep(batch, pa.array(keep), reason, account)
