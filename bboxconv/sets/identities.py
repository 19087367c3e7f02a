"""The ids and the file names that several sources have, found without holding more of them than these: whatever the
sources have lies in a spool, and is compared some at a time, as in `repeats`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv import schema
from bboxconv.duplicates import SEPARATOR, hashes, repeated
from bboxconv.flow import Flow, looked
from bboxconv.sets.light import light
from bboxconv.shelf import Shelf
from bboxconv.spool import Slip, Spool, leave

_LOOKED_AT = frozenset({"image.id", "image.file_name", "image.split", "object.id", "object.category"})
KINDS = ("image", "annotation")


def _see(shelf: Shelf, by_split: bool, batch: pa.RecordBatch, numbers: NDArray[np.int64]) -> tuple[Slip, Slip]:
    """Leave the ids of images and of annotations, and a number and the text of each name."""
    keys = batch.column("file_name")
    if by_split:
        keys = pc.binary_join_element_wise(batch.column("split").fill_null(""), keys, SEPARATOR)
    images = pa.RecordBatch.from_arrays([batch.column("id"), hashes(keys), keys], ["id", "hash", "key"])
    objects = pa.RecordBatch.from_arrays([schema.flat(batch).column("id").drop_null()], ["id"])
    left, objects_left = leave([images, objects], shelf)
    return left, objects_left


@dataclass(slots=True)
class Identities:
    """What was left of each of S sources."""

    slips: dict[str, list[list[Slip]]] = field(default_factory=dict)
    """Of each of KINDS, by source."""

    @classmethod
    def of(cls, flow: Flow, *, by_split: bool) -> Identities:
        """Of all sources of a run, which are looked at once. `by_split`: names in different splits are different."""
        spool = Spool(flow.request.memory // 8)
        look = partial(_see, spool.shelf(apart=flow.workers.apart), by_split)
        found = cls({kind: [[] for _ in flow.opened.datasets] for kind in KINDS})
        for source, slips in looked(light(flow, _LOOKED_AT), look):
            for kind, slip in zip(KINDS, slips, strict=True):
                found.slips[kind][source].append(spool.take(slip))
        return found

    def taken(self, kind: str) -> list[NDArray[np.int64]]:
        """The ids of each source, rising, that a source before it has."""
        sources = self.slips[kind]
        again = repeated([slip for slips in sources for slip in slips], "id")
        free = np.ones(len(again), np.bool_)
        found = []
        for slips in sources:
            has = self._has(slips, "id", again)
            found.append(again[has & ~free])
            free &= ~has
        return found

    def free(self, kind: str, count: int) -> int | None:
        """The first of so many numbers that follow each other and that no source has: above all ids that other tools
        hold as well, if need be above all; None where there are none."""
        slips = [slip for slips in self.slips[kind] for slip in slips]
        for limit in (1 << 31, 1 << 53, (1 << 63) - 1):
            first = 1
            for slip in slips:
                ids = slip.load().column("id")
                highest = pc.max(ids.filter(pc.less(ids, limit))).as_py()
                first = first if highest is None else max(first, highest + 1)
            if first + count <= limit:
                return first
        return None

    @staticmethod
    def _has(slips: Sequence[Slip], name: str, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of these numbers (N,), which rise, a source has."""
        has = np.zeros(len(numbers), np.bool_)
        for slip in slips if len(numbers) else ():
            own = slip.load().column(name).drop_null().to_numpy()
            at = np.searchsorted(numbers, own)
            at = at[(at < len(numbers)) & (numbers[np.minimum(at, len(numbers) - 1)] == own)]
            has[at] = True
        return has

    def same_names(self, given: Sequence[int]) -> list[tuple[str, int, int]]:
        """Each name that several of the sources that were named have, and two of these: the first, and the one that
        comes next. `given` is the number of that one for each source."""
        slips = [(number, slip) for number, slips in zip(given, self.slips["image"], strict=True) for slip in slips]
        again = repeated([slip for _, slip in slips], "hash")
        first: dict[str, int] = {}
        found: dict[str, tuple[int, int]] = {}
        for number, slip in slips if len(again) else ():
            batch = slip.load()
            for key in batch.filter(pc.is_in(batch.column("hash"), pa.array(again))).column("key").to_pylist():
                if first.setdefault(key, number) != number:
                    found.setdefault(key, (first[key], number))
        return [(key.rpartition(SEPARATOR)[2], one, other) for key, (one, other) in found.items()]
