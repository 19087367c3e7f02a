"""The stream between the sources and a writer: every batch brought to one header and to what the target wants, and
what happens to it counted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Generic

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv import classes, loss, ownkeys, schema, sizes, stages
from bboxconv.account import Account
from bboxconv.boxes import BoxFormat
from bboxconv.codec import Encoder, Encoding, P, Progress, Target, silent
from bboxconv.errors import Diagnostic, Findings
from bboxconv.parts import parts_of
from bboxconv.repeats import Seen, leave_identities, tell_repeats
from bboxconv.request import Request
from bboxconv.schema import Part
from bboxconv.shelf import Shared, Shelf, Unnamed, share
from bboxconv.sizesource import size_table
from bboxconv.sources import Opened, unknown_split
from bboxconv.spool import Slip, Spool, leave
from bboxconv.workers import Workers


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of the batches of one source on their way to the target: the same in every process.

    No target: they stay as they come, in the header's box format.
    """

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

    def apply(self, batch: pa.RecordBatch, account: Account, findings: Findings) -> pa.RecordBatch:
        """A batch brought to the common header and to what the target wants, and counted."""
        request, box, goal, target = self.request, self.box, self.goal, self.target
        account.read_images += len(batch)
        account.read_boxes += len(schema.flat(batch).rows)
        if request.split:
            chosen = pc.is_in(batch.column("split"), pa.array(request.split))
            batch = _keep(batch, chosen, "split not asked for", account)
        batch, gone = classes.remap(batch, self.index)
        account.left_out_boxes["class left out"] += gone
        if self.sized:
            batch = self._with_sizes(batch, account)
        batch = stages.check_boxes(batch, box, request.on_invalid, findings, account.left_out_boxes, self.shown)
        if target is not None:
            batch = self._fit(batch, target, account, findings)
            if box.needs_size(goal):
                inside = "image.width" not in target.requires
                batch = _require_sizes(batch, findings, account, self.shown, with_objects=inside)
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
        account.images += len(batch)
        account.boxes += len(schema.flat(batch).rows)
        return batch

    def _with_sizes(self, batch: pa.RecordBatch, account: Account) -> pa.RecordBatch:
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

    def _fit(self, batch: pa.RecordBatch, target: Target, account: Account, findings: Findings) -> pa.RecordBatch:
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
        if "unannotated" not in target.carries:
            if self.request.unannotated == "skip":
                batch = _keep(batch, batch.column("objects").is_valid(), "not annotated", account)
            else:
                objects = schema.flat(batch)
                batch = schema.with_objects(batch, replace(objects, annotated=np.ones(len(batch), np.bool_)))
        if self.request.drop_empty:
            batch = _keep(batch, pa.array(np.diff(schema.flat(batch).offsets) > 0), "without boxes", account)
        if "image.file_name" in target.requires:
            batch = _require_names(batch, findings, account, self.shown)
        if "image.width" in target.requires:
            batch = _require_sizes(batch, findings, account, self.shown, with_objects=False)
        return batch


@dataclass(frozen=True, slots=True)
class _Task(Generic[P]):
    """A part of a source, what becomes of its batches, and how they are encoded (None: they stay batches)."""

    part: Part
    shared: Shared[tuple[Step, Encoder[P] | None]]
    shelf: Shelf
    first: int
    """The number of its first image, over all sources."""
    aside: Shelf | None
    """Where to leave what may occur more than once; None: nobody wants to know."""


@dataclass(frozen=True, slots=True)
class _Done(Generic[P]):
    """What came of a part."""

    pieces: tuple[P, ...]
    slips: tuple[Slip, ...]
    account: Account
    diagnostics: tuple[Diagnostic, ...]
    splits: frozenset[str | None]
    """The splits that were met, where the user asked for some."""
    identities: tuple[tuple[Slip, Slip], ...]


def _do(task: _Task[P]) -> _Done[P]:
    """Read, convert and encode one part, in whatever process."""
    (step, encode), account = task.shared.get(), Account()
    findings = Findings(recording=step.request.listing)
    pieces: list[P] = []
    slips: list[Slip] = []
    splits: set[str | None] = set()
    seen: list[tuple[Slip, Slip]] = []
    for given in task.part(findings):
        encoding = Encoding(findings, task.shelf, task.first + account.read_images)
        if step.request.split:
            splits.update(pc.unique(given.column("split")).to_pylist())
        if task.aside is not None:
            seen.append(leave_identities(given, task.aside, ids=not step.compared))
        batch = step.apply(given, account, findings)
        if encode is None:
            slips += leave([batch], task.shelf)
        else:
            pieces.append(encode(batch, encoding))
    return _Done(tuple(pieces), tuple(slips), account, tuple(findings), frozenset(splits), tuple(seen))


def stream(flow: Flow, target: Target | None, account: Account) -> Iterator[pa.RecordBatch]:
    """The batches of all sources, brought to one header and to what the target wants, counted. No target: as they
    come, in the header's box format.
    """
    each: Iterator[_Done[None]] = _each(flow, target, account, None)
    for done in each:
        for slip in done.slips:
            yield slip.load()


def encoded(flow: Flow, target: Target, account: Account, encode: Encoder[P]) -> Iterator[P]:
    """What is encoded of each batch of all sources, in order."""
    for done in _each(flow, target, account, encode):
        yield from done.pieces


@dataclass(frozen=True, slots=True)
class Flow:
    """What all steps of a run share: the sources, and who does the work."""

    request: Request
    opened: Opened
    findings: Findings
    workers: Workers
    progress: Progress = silent
    repeats: bool = True
    """Whether ids and names that occur more than once are to be told."""


def _each(flow: Flow, target: Target | None, account: Account, encode: Encoder[P] | None) -> Iterator[_Done[P]]:
    """What comes of each part of all sources, in order; it is counted as it is taken."""
    request, opened = flow.request, flow.opened
    table = size_table(request, flow.workers)
    counts = [dataset.images for dataset in opened.datasets]
    total = None if None in counts else sum(count for count in counts if count is not None)
    goal = (target.box if target else None) or opened.header.box
    met: set[str | None] = set()
    shelves = _Shelves(flow.workers)
    counter = _Counter()
    seen: list[Seen] = []
    spool = Spool(request.memory // 8)
    for dataset, shown, index in zip(opened.datasets, opened.shown, opened.index, strict=True):
        box = dataset.header.box
        sized = _wants_sizes(request, box, goal, target)
        folders = dataset.image_folders
        numbered = _numbered(parts_of(dataset, request.batch_size), counter)
        step = Step(
            request, shown, box, goal, target, index, opened.default_class, folders, sized, table, dataset.compared
        )
        shared = share((step, encode), shelves.common())
        aside = spool.shelf(apart=flow.workers.apart) if flow.repeats else None
        tasks = (
            _Task(part, shared, shelf, first, aside) for (part, first), shelf in zip(numbered, shelves, strict=False)
        )
        seen.append(Seen(shown, spool))
        for done in flow.workers.run(_do, tasks):
            seen[-1].take(done.identities)
            account.add(done.account)
            flow.findings.merge(done.diagnostics)
            met |= done.splits
            yield done
            shelves.release()
            flow.progress("writing", done.account.read_images, total, "images")
    tell_repeats(seen, flow.findings)
    unknown = [split for split in request.split if met and split not in met]
    if unknown:
        raise unknown_split(unknown[0], sorted(split for split in met if split is not None))


@dataclass(slots=True)
class _Counter:
    images: int = 0


def _numbered(parts: Iterable[Part], counter: _Counter) -> Iterator[tuple[Part, int]]:
    """Each part and the number of its first image."""
    for part in parts:
        yield part, counter.images
        counter.images += part.images


class _Shelves:
    """A shelf for each task, for as long as what lies on it is needed: tasks under way never share one, and none
    holds more than one of them left."""

    def __init__(self, workers: Workers) -> None:
        self.workers = workers
        self.free: deque[Unnamed] = deque()
        self.used: deque[Unnamed] = deque()
        self.shared: list[Unnamed] = []

    def common(self) -> Shelf:
        """A shelf that stays."""
        if not self.workers.apart:
            return Shelf()
        self.shared.append(Unnamed.open())
        return self.shared[-1].shelf

    def __iter__(self) -> Iterator[Shelf]:
        """The shelf of the next task, and so on."""
        while True:
            if not self.workers.apart:
                yield Shelf()
                continue
            self.used.append(self.free.popleft() if self.free else Unnamed.open())
            yield self.used[-1].shelf

    def release(self) -> None:
        """What the oldest task left is not needed any more."""
        if self.used:
            self.free.append(self.used.popleft())
            self.free[-1].clear()


def _wants_sizes(request: Request, box: BoxFormat, goal: BoxFormat, target: Target | None) -> bool:
    """Whether images without a size get one: where the user gave sizes, or pixels are asked for; opening images costs
    time.
    """
    given = request.images is not None or request.image_sizes is not None or request.image_size is not None
    if target is None:
        return given or box.needs_size(goal)
    return (given and "image.width" in target.carries) or box.needs_size(goal) or "image.width" in target.requires


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


def _require_names(batch: pa.RecordBatch, findings: Findings, account: Account, shown: str) -> pa.RecordBatch:
    """Images without a name are faults, and left out of what follows."""
    absent = stages.missing(batch, ["file_name"], with_objects=False)
    hint = "a list of results has no names: --in header=instances.json gives them"
    for image in absent.tolist():
        findings.add(
            "missing-file-name", "an image has no file name", record=stages.image_place(batch, image, shown), hint=hint
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
            record=stages.image_place(batch, image, shown),
            hint="--images DIR reads them from the images, --image-sizes FILE from a table; --image-size WxH for all",
        )
    return _without(batch, absent, "without a size", account)


def _without(batch: pa.RecordBatch, absent: NDArray[np.int64], reason: str, account: Account) -> pa.RecordBatch:
    keep = np.ones(len(batch), np.bool_)
    keep[absent] = False
    return _keep(batch, pa.array(keep), reason, account)
