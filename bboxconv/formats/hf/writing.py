"""The files of a data set: shards of Parquet, or folders of images with their metadata, and the card.

Which columns there are is known once all rows have been seen, so these are held back, on disk where there are many,
and written in a second pass. Images are read in the second pass alone, some at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from bboxconv.codec import WriteContext
from bboxconv.errors import Findings, printable
from bboxconv.formats.hf.card import SplitSize, card_text
from bboxconv.formats.hf.features import columns_of, with_features
from bboxconv.formats.hf.imagefolder import file_columns, write_folder
from bboxconv.formats.hf.rows import NUMBER, Piece, classes_of
from bboxconv.formats.hf.shards import write_shards
from bboxconv.imagefiles import ImageFiles
from bboxconv.schema import Header
from bboxconv.spool import Slip, Spool

_HELD = 64 << 20
"""Bytes of rows that wait in memory."""
_FIRST = 1000
"""Images, some 10 MB of metadata, of which `datasets` concludes on the types of all."""
_FILLED = frozenset({"image_id", "objects.id", "objects.iscrowd"})
"""Columns that hold a value in the end, whatever they lack."""
_ORDER = ("train", "validation", "test")


@dataclass(slots=True)
class Held:
    """All rows, held back, and what is known of them."""

    spool: Spool = field(default_factory=lambda: Spool(_HELD))
    splits: dict[str, list[Slip]] = field(default_factory=dict)
    names: dict[str, list[pa.Array]] = field(default_factory=dict)
    """The names of the images of each split, where they become files."""
    present: frozenset[str] = frozenset()
    first: dict[str, tuple[int, frozenset[str]]] = field(default_factory=dict)
    """About the first images of each split: how many, and the columns that hold a value."""
    largest: tuple[int, int] = (0, 0)
    areas: int = 0
    without_split: int = 0

    def take(self, piece: Piece, *, names: bool) -> None:
        """Hold the rows of a batch."""
        for rows in piece:
            batch = rows.slip.load()
            self.splits.setdefault(rows.split, []).append(self.spool.keep(batch))
            if names:
                self.names.setdefault(rows.split, []).append(batch.column("image").field("path"))
            self.present |= rows.present
            count, there = self.first.get(rows.split, (0, frozenset()))
            if count < _FIRST:
                self.first[rows.split] = count + len(batch), there | rows.present
            self.largest = max(self.largest[0], rows.largest[0]), max(self.largest[1], rows.largest[1])
            self.areas += rows.filled[0]
            self.without_split += rows.filled[1]

    def ordered(self) -> list[str]:
        """The splits: train, validation, test, then the others."""
        known = [split for split in _ORDER if split in self.splits]
        return known + sorted(self.splits.keys() - set(known))


@dataclass(slots=True)
class Filling:
    """Fills in what rows lack: ids count on behind the largest, and who is no crowd is said not to be one."""

    kind: pa.Schema
    image: int
    object: int
    filled: Counter[str] = field(default_factory=Counter)

    def complete(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows with the columns of `kind` alone, and NUMBER behind them."""
        arrays = {name: batch.column(name) for name in self.kind.names}
        arrays["image_id"], self.image = self._numbered(arrays["image_id"], self.image, "image.id")
        objects = arrays["objects"]
        lists = []
        for one in self.kind.field("objects").type:
            column = objects.field(one.name)
            values = column.values
            if one.name == "id":
                values, self.object = self._numbered(values, self.object, "object.id")
            elif one.name == "iscrowd" and values.null_count:
                self.filled["object.iscrowd"] += values.null_count
                values = values.fill_null(False)
            lists.append(pa.ListArray.from_arrays(column.offsets, values))
        arrays["objects"] = pa.StructArray.from_arrays(
            lists,
            fields=list(self.kind.field("objects").type),
            mask=objects.is_null() if objects.null_count else None,
        )
        columns = [*arrays.values(), batch.column(NUMBER)]
        return pa.RecordBatch.from_arrays(columns, schema=self.kind.append(pa.field(NUMBER, pa.int64())))

    def _numbered(self, ids: pa.Array, last: int, name: str) -> tuple[pa.Array, int]:
        lacking = ids.is_null()
        count = ids.null_count
        if not count:
            return ids, last
        self.filled[name] += count
        new = pc.add(pc.cumulative_sum(lacking.cast(pa.int64())), last)
        return pc.if_else(lacking, new, ids), last + count


def write_tree(
    header: Header, pieces: Iterable[Piece], out: Path, context: WriteContext, images: ImageFiles, metadata: str
) -> Mapping[str, int]:
    """Write all files: shards or, where there is a form of `metadata`, folders of images; the values that were filled
    in, by field."""
    held, folder = Held(), bool(metadata)
    for piece in pieces:
        held.take(piece, names=folder)
    classes, _ = classes_of(header)
    _tell(header, held, context.findings)
    if metadata in ("auto", "jsonl"):
        metadata = _settled(metadata, held, context.findings)
    kind = columns_of(held.present)
    filling = Filling(kind, *held.largest)
    if not held.splits:
        held.splits["train"] = []
    splits: list[SplitSize] = []
    for split in held.ordered():
        batches = _completed(held.splits[split], filling)
        if folder:
            wanted = with_features(file_columns(kind), classes) if metadata == "parquet" else None
            names = held.names.get(split, [])
            splits.append(write_folder(batches, names, wanted, out, split, images, context.findings))
        else:
            splits.append(write_shards(batches, with_features(kind, classes), out, split, images, context))
    text = card_text(splits, kind, classes, folder=folder)
    Path(out, "README.md").write_text(text, encoding="utf-8", newline="\n")
    filled = filling.filled
    filled["object.area"] += held.areas
    filled["image.split"] += held.without_split
    return +filled


def _completed(slips: Iterable[Slip], filling: Filling) -> Iterator[pa.RecordBatch]:
    for slip in slips:
        yield filling.complete(slip.load())


def _tell(header: Header, held: Held, findings: Findings) -> None:
    names = [category.name for category in header.categories]
    for name in sorted(name for name, count in Counter(names).items() if count > 1):
        message = "two classes have the same name: they become one"
        findings.add("duplicate-class", message, severity="warning", where="README.md", detail=printable(name))
    if held.without_split and len(held.splits) > 1:
        message = "an image has no split, and others have: it is written to train"
        count = held.without_split
        findings.add("images-without-split", message, severity="warning", where="train", count=count)


def _settled(metadata: str, held: Held, findings: Findings) -> str:
    """The form of the metadata, jsonl or parquet; JSON leaves open of what type a column is that has no value."""
    odd = {
        split: sorted(held.present - there - {"image_id", "objects.id", "objects.iscrowd"})
        for split, (_, there) in held.first.items()
    }
    for split, missing in odd.items():
        if not missing:
            continue
        detail = ", ".join(missing)
        if metadata == "jsonl":
            findings.add(
                "metadata-types-differ",
                "the first images of a split have no value where others have one: load_dataset may refuse the types",
                severity="warning",
                where=f"{split}/metadata.jsonl",
                detail=detail,
                hint="--out metadata=parquet names the types",
            )
        else:
            findings.add(
                "metadata-types-differ",
                "the first images of a split have no value where others have one: metadata is Parquet, with its types",
                severity="note",
                where=f"{split}/metadata.parquet",
                detail=detail,
            )
    return "parquet" if metadata == "auto" and any(odd.values()) else "jsonl"
