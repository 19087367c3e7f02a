"""What is in a data set: counts by split, class and field, for `bboxconv inspect`."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass

import pyarrow as pa

from bboxconv import jsontext, schema
from bboxconv.account import Account
from bboxconv.codec import Encoding, Progress, silent
from bboxconv.errors import Findings
from bboxconv.flow import Flow, encoded
from bboxconv.report import Counts, Inspection
from bboxconv.request import Request
from bboxconv.sources import open_sources
from bboxconv.tally import BOXES, EMPTY, FIRST_CLASS, IMAGES, UNANNOTATED, Outline, Sums, outline
from bboxconv.workers import at_work, available


@dataclass(frozen=True, slots=True)
class _Look:
    """Counts what is in a batch of so many categories."""

    categories: int

    def __call__(self, batch: pa.RecordBatch, encoding: Encoding) -> tuple[Outline, Counter[str]]:
        objects = schema.flat(batch)
        fields: Counter[str] = Counter()
        for name in schema.IMAGE_FIELDS:
            fields[f"image.{name}"] += len(batch) - batch.column(name).null_count
        for name in schema.OBJECT_FIELDS:
            fields[f"object.{name}"] += len(objects.rows) - objects.column(name).null_count
        return outline(batch, objects, self.categories), fields


def inspect(request: Request, progress: Progress = silent) -> Inspection:
    """Read a data set once and count what is in it.

    Raises UsageError for what the request has wrong, DataError where a source cannot be read at all.
    """
    began = time.monotonic()
    findings = Findings()
    fields: Counter[str] = Counter()
    with ExitStack() as stack:
        workers = stack.enter_context(at_work(request.jobs or available()))
        opened = open_sources(request, findings, stack, workers, progress)
        header = opened.header
        categories = len(header.categories)
        sums = Sums(FIRST_CLASS + categories + 1)
        flow = Flow(request, opened, findings, workers, progress, as_read=True)
        for found, seen in encoded(flow, None, Account(), _Look(categories)):
            sums.add(found.splits, found.counts)
            fields.update(seen)
    total = sums.all()
    members = [name for name, text in (("info", header.info), ("licenses", header.licenses)) if text is not None]
    members += list(jsontext.members(header.extra)) if header.extra else []
    return Inspection(
        sources=opened.sides,
        counts=Counts(int(total[IMAGES]), int(total[BOXES]), categories),
        box=header.box.name,
        splits={
            split or "": Counts(int(row[IMAGES]), int(row[BOXES]), categories)
            for split, row in sums.rows.items()
            if split or len(sums.rows) > 1
        },
        classes=tuple((c.name, c.id, int(n)) for c, n in zip(header.categories, total[FIRST_CLASS:-1], strict=True)),
        fields=+fields,
        empty_images=int(total[EMPTY]),
        unannotated_images=int(total[UNANNOTATED]),
        findings=tuple(findings),
        header=tuple(members),
        seconds=time.monotonic() - began,
    )
