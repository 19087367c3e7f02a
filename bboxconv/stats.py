"""What is in a data set: counts by split, class and field, for `bboxconv inspect`."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import ExitStack

import numpy as np

from bboxconv import jsontext, schema
from bboxconv.account import Account
from bboxconv.codec import Progress, silent
from bboxconv.errors import Findings
from bboxconv.flow import Flow, stream
from bboxconv.report import Counts, Inspection
from bboxconv.request import Request
from bboxconv.sources import open_sources
from bboxconv.workers import at_work, available


def inspect(request: Request, progress: Progress = silent) -> Inspection:
    """Read a data set once and count what is in it.

    Raises UsageError for what the request has wrong, DataError where a source cannot be read at all.
    """
    began = time.monotonic()
    findings = Findings()
    splits: dict[str, list[int]] = {}
    fields: Counter[str] = Counter()
    images = boxes = empty = unannotated = 0
    with ExitStack() as stack:
        workers = stack.enter_context(at_work(request.jobs or available()))
        opened = open_sources(request, findings, stack, workers, progress)
        header = opened.header
        per_class = np.zeros(len(header.categories), np.int64)
        for batch in stream(Flow(request, opened, findings, workers, progress), None, Account()):
            objects = schema.flat(batch)
            lengths = np.diff(objects.offsets)
            images += len(batch)
            boxes += len(objects.rows)
            empty += int(((lengths == 0) & objects.annotated).sum())
            unannotated += int((~objects.annotated).sum())
            per_class += np.bincount(
                objects.column("category").drop_null().to_numpy(), minlength=len(per_class)
            ).astype(np.int64)
            for name in schema.IMAGE_FIELDS:
                fields[f"image.{name}"] += len(batch) - batch.column(name).null_count
            for name in schema.OBJECT_FIELDS:
                fields[f"object.{name}"] += len(objects.rows) - objects.column(name).null_count
            for split, mask in schema.by_split(batch):
                counts = splits.setdefault(split or "", [0, 0])
                counts[0] += int(mask.sum())
                counts[1] += int(lengths[mask].sum())
    members = [name for name, text in (("info", header.info), ("licenses", header.licenses)) if text is not None]
    members += list(jsontext.members(header.extra)) if header.extra else []
    categories = len(header.categories)
    return Inspection(
        sources=opened.sides,
        counts=Counts(images, boxes, categories),
        box=header.box.name,
        splits={
            name: Counts(n_images, n_boxes, categories)
            for name, (n_images, n_boxes) in splits.items()
            if name or len(splits) > 1
        },
        classes=tuple((c.name, c.id, int(n)) for c, n in zip(header.categories, per_class, strict=True)),
        fields=+fields,
        empty_images=empty,
        unannotated_images=unannotated,
        findings=tuple(findings),
        header=tuple(members),
        seconds=time.monotonic() - began,
    )
