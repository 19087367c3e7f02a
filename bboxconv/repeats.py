"""What a data set has twice: ids of images and objects, and file names; found over all sources of a run without holding
more than numbers.

Each task leaves the ids of its objects and, of its images, the ids and a number made of split and name. At the end
the numbers are compared, so many at once as fit; the names themselves lie in a spool, and only those of repeated
numbers are looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv import schema
from bboxconv.duplicates import SEPARATOR, hashes, repeated
from bboxconv.errors import FIRST_PLACES, Findings
from bboxconv.schema import Category, Header
from bboxconv.shelf import Shelf
from bboxconv.spool import Slip, Spool, leave


def leave_identities(batch: pa.RecordBatch, shelf: Shelf, *, ids: bool) -> tuple[Slip, Slip]:
    """Leave what to compare of the images of a batch and, where `ids` says so, of its objects."""
    splits = batch.column("split").fill_null("")
    keys = pc.binary_join_element_wise(splits, batch.column("file_name"), SEPARATOR)
    codes = hashes(splits).to_numpy()
    own = batch.column("id") if ids else pa.nulls(len(batch), pa.int64())
    images = pa.RecordBatch.from_arrays([own, _in_split(own, codes), hashes(keys), keys], ["id", "own", "hash", "key"])
    column = pa.nulls(0, pa.int64())
    if ids:
        objects = schema.flat(batch)
        column, codes = objects.column("id"), np.repeat(codes, np.diff(objects.offsets))
    else:
        codes = codes[:0]
    there = column.is_valid()
    found = [column.filter(there), _in_split(column, codes).filter(there)]
    objects_left = pa.RecordBatch.from_arrays(found, ["id", "own"])
    left, own_left = leave([images, objects_left], shelf)
    return left, own_left


def _in_split(ids: pa.Int64Array, codes: NDArray[np.int64]) -> pa.Int64Array:
    """A number for each id and split, of which `codes` has one; without a split, the id."""
    return pc.bit_wise_xor(ids, pa.array(codes, pa.int64()))


@dataclass(slots=True)
class Seen:
    """What was left of one source."""

    shown: str
    spool: Spool
    images: list[Slip] = field(default_factory=list)
    objects: list[Slip] = field(default_factory=list)

    def take(self, found: Sequence[tuple[Slip, Slip]]) -> None:
        """Hold what a task left."""
        for images, objects in found:
            self.images.append(self.spool.take(images))
            self.objects.append(self.spool.take(objects))


def tell_repeats(sources: Sequence[Seen], findings: Findings) -> None:
    """Report what occurs more than once: ids within a source and split, names over all sources. All are kept."""
    for source in sources:
        for slips, code, what in (
            (source.images, "duplicate-image-id", "an image id"),
            (source.objects, "duplicate-annotation-id", "an annotation id"),
        ):
            found = repeated(slips, "own")
            message = f"{what} occurs more than once; all are read"
            shown = _least_ids(slips, found)
            for number in shown:
                findings.add(code, message, severity="warning", where=source.shown, detail=f"id {number}")
            if len(found) > len(shown):
                findings.add(code, message, severity="warning", count=len(found) - len(shown))
    left = [(source.shown, slip) for source in sources for slip in source.images]
    again = repeated([slip for _, slip in left], "hash")
    if len(again):
        _tell_names(left, again, findings)


def _least_ids(slips: Sequence[Slip], again: NDArray[np.int64]) -> list[int]:
    """The least of the ids that are repeated, as many as are shown."""
    least = np.zeros(0, np.int64)
    for slip in slips if len(again) else ():
        batch = slip.load()
        ids = batch.column("id").filter(pc.is_in(batch.column("own"), pa.array(again))).to_numpy()
        least = np.unique(np.concatenate((least, ids)))[:FIRST_PLACES]
    return [int(number) for number in least]


def _tell_names(slips: Sequence[tuple[str, Slip]], again: NDArray[np.int64], findings: Findings) -> None:
    """Report each image whose name one before it has; that numbers are equal does not prove it."""
    known: set[str] = set()
    for shown, slip in slips:
        batch = slip.load()
        for key in batch.filter(pc.is_in(batch.column("hash"), pa.array(again))).column("key").to_pylist():
            if key in known:
                where = f"{shown}: image {key.partition(SEPARATOR)[2]}"
                message = "two images have the same file name; both are kept"
                findings.add("duplicate-file-name", message, severity="warning", where=where)
            known.add(key)


def distinct_categories(header: Header, shown: str, findings: Findings) -> Header:
    """The header with an id at one category alone, which is the first that has it; repeated ids and names are
    reported."""
    ids: set[int] = set()
    names: set[str] = set()
    categories: list[Category] = []
    for one in header.categories:
        if one.name in names:
            message = "two categories have the same name; both are kept"
            findings.add("duplicate-category-name", message, severity="warning", where=shown, detail=one.name)
        if one.id is not None and one.id in ids:
            message = "two categories have the same id; both are kept, the second without it"
            detail = f"id {one.id}: {one.name}"
            findings.add("duplicate-category-id", message, severity="warning", where=shown, detail=detail)
        categories.append(replace(one, id=None) if one.id in ids else one)
        names.add(one.name)
        if one.id is not None:
            ids.add(one.id)
    return replace(header, categories=tuple(categories))
