"""The images of COCO files, and how annotations find theirs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv.codec import ReadContext
from bboxconv.readers.jsonelements import columns_of
from bboxconv.readers.jsonvalues import Field

IMAGE_FIELDS = (
    Field("id", "id", required=True),
    Field("file_name", "text"),
    Field("width", "size"),
    Field("height", "size"),
    Field("video", "text", usual=False),
    Field("frame", "number", usual=False),
)


def repeated(ids: Sequence[NDArray[np.int64]]) -> list[int]:
    """The ids that occur more than once, in order, of columns of ids."""
    together = np.sort(np.concatenate(ids)) if ids else np.zeros(0, np.int64)
    found: list[int] = np.unique(together[1:][together[1:] == together[:-1]]).tolist()
    return found


def images_named(annotations: Iterable[pa.RecordBatch]) -> pa.RecordBatch:
    """The images that results speak of, in the order in which they are first named."""
    schema_ = columns_of(IMAGE_FIELDS)
    seen: dict[tuple[int | None, str | None], None] = {}
    for batch in annotations:
        pairs = (
            pa.table([batch.column("image_id"), batch.column("image_id#")], names=["a", "b"])
            .group_by(["a", "b"], use_threads=False)
            .aggregate([])
        )
        seen.update(dict.fromkeys(zip(pairs["a"].to_pylist(), pairs["b"].to_pylist(), strict=True)))
    columns: dict[str, list[object]] = {
        "id": [a for a, _ in seen],
        "id#": [b for _, b in seen],
        "element": list(range(len(seen))),
    }
    columns["extra"] = [None if text is None else f'{{"id":{text}}}' for text in columns["id#"]]
    return pa.RecordBatch.from_arrays(
        [pa.array(columns.get(f.name, [None] * len(seen)), f.type) for f in schema_], schema=schema_
    )


@dataclass(frozen=True, slots=True)
class Numbers:
    """The number of an image or a category by its id."""

    ids: NDArray[np.int64]
    """Ids that are int64, in order."""
    numbers: NDArray[np.int64]
    others: Mapping[str, int]

    @classmethod
    def of(cls, ids: NDArray[np.int64], numbers: NDArray[np.int64], others: Mapping[str, int]) -> Numbers:
        """From ids that are int64 and their numbers, both (N,), and the numbers of the other ids."""
        order = np.argsort(ids, kind="stable")
        return cls(ids[order], numbers[order], others)

    def find(self, batch: pa.RecordBatch, name: str) -> NDArray[np.int64]:
        """The number (B,) of what each row of a batch names in a column, -1 where there is none."""
        ids, others = batch.column(name), batch.column(name + "#")
        values = ids.fill_null(0).to_numpy(zero_copy_only=False)
        found = np.full(len(values), -1, np.int64)
        if len(self.ids):
            places = np.minimum(np.searchsorted(self.ids, values), len(self.ids) - 1)
            found = np.where(self.ids[places] == values, self.numbers[places], -1)
        if ids.null_count:
            for row in np.flatnonzero(ids.is_null().to_numpy(zero_copy_only=False)).tolist():
                found[row] = self.others.get(others[row].as_py(), -1)
        return found


@dataclass(frozen=True, slots=True)
class Images:
    """The images of a document and how to find the number of one by its id."""

    table: pa.Table
    numbers: Numbers
    """The number of the image of each id."""

    @classmethod
    def of(cls, batches: list[pa.RecordBatch], where: str, context: ReadContext) -> Images:
        """Put the images together; entries that repeat an id are faults, those that repeat an image are left out."""
        table = pa.Table.from_batches(batches, schema=columns_of(IMAGE_FIELDS)).combine_chunks()
        keys = pc.coalesce(table["id"].cast(pa.string()), table["id#"]).combine_chunks()
        if pc.count_distinct(keys).as_py() != len(keys):
            table = table.filter(pa.array(_first_entries(table, keys.to_pylist(), where, context)))
        valid = table["id"].is_valid().to_numpy()
        others = {table["id#"][row].as_py(): row for row in np.flatnonzero(~valid).tolist()}
        return cls(table, Numbers.of(table["id"].drop_null().to_numpy(), np.flatnonzero(valid), others))


def _first_entries(table: pa.Table, keys: list[str], where: str, context: ReadContext) -> list[bool]:
    first: dict[str, str | None] = {}
    keep: list[bool] = []
    for key, name, element in zip(keys, table["file_name"].to_pylist(), table["element"].to_pylist(), strict=True):
        keep.append(key not in first)
        if key not in first:
            first[key] = name
        elif first[key] == name:
            context.findings.add(
                "duplicate-image",
                "an image is listed twice; the first entry is kept",
                severity="warning",
                where=f"{where}[{element}]",
                detail=f"id {key}",
            )
        else:
            detail = f"id {key}: {first[key]} and {name}"
            context.findings.add(
                "duplicate-image-id", "two images have the same id", where=f"{where}[{element}]", detail=detail
            )
    return keep
