"""Writing COCO documents: the text of images and annotations stays in an unnamed file, where it was encoded, until all
of it is there: images stand first, and ids that the source lacks are numbered from behind the largest that it has.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv import jsontext
from bboxconv.codec import WriteContext, Written
from bboxconv.errors import DataError, Findings
from bboxconv.formats.coco.sameids import SameIds, without_same_ids
from bboxconv.formats.coco.text import Piece, Rows, Texts, category_ids
from bboxconv.io import open_output, unsafe_name
from bboxconv.schema import Header
from bboxconv.shelf import Left, Unnamed
from bboxconv.spool import leave

TOP_KEYS = ("info", "licenses", "images", "annotations", "categories")
"""The keys of a document that are not those of the data set's `extra`."""


def write_coco(header: Header, pieces: Iterable[Texts], out: Path, context: WriteContext) -> Written:
    """Write one document to the file `out`, or one for each split into the folder `out`."""
    filled = Counter(dict.fromkeys(_FILLED, 0))
    head = _head(header, category_ids(header.categories, filled))
    documents: dict[str | None, _Document] = {}
    refused: dict[str, list[tuple[int, int, Sequence[int]]]] = {}
    """Of splits that cannot name a file, the images and boxes of each piece, and what the images are known by."""
    folder = out.is_dir()
    try:
        if not folder:
            documents[None] = _Document.begin(out, head)
        for parts in pieces:
            for piece in parts:
                split = piece.split
                if split is not None and split not in documents and _unsafe(split):
                    counts = piece.images.count, piece.annotations.count, piece.numbers
                    refused.setdefault(split, []).append(counts)
                    continue
                if split not in documents:
                    name = f"instances_{split}.json" if split else "instances.json"
                    documents[split] = _Document.begin(out / name, head)
                documents[split].take(piece)
        if not documents:
            documents[None] = _Document.begin(out / "instances.json", head)
        for document in documents.values():
            document.end(context.findings)
            for piece in document.pieces:
                filled.update({name: int(values.sum()) for name, values in piece.filled.items()})
        for split, left_out in refused.items():
            images, boxes, numbers = zip(*left_out, strict=True)
            context.findings.add(
                "unsafe-name",
                f"a split cannot be part of a file name: it {_unsafe(split)}",
                where=repr(split),
                images=sum(images),
                boxes=sum(boxes),
                late=True,
                numbers=[*chain(*numbers)],
            )
    finally:
        for document in documents.values():
            document.close()
    return Written({name: count for name, count in filled.items() if count})


_FILLED = ("category.id", "image.id", "object.id", "object.area", "object.iscrowd")
"""The fields that get a value where the source has none, in the order in which they are told."""
_NONE = np.zeros(0, np.int64)
_BESIDE = 2
"""Threads that make texts."""


@dataclass(slots=True)
class _Ids:
    """The ids of one kind that a document has: the next free one, and all of them."""

    name: str
    next: int = 1
    numbers: list[NDArray[np.int64]] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    def meet(self, rows: Rows, *, keep: bool) -> None:
        """Ids that the source has: what is numbered stands behind them."""
        if len(rows.numbers):
            self.next = max(self.next, int(rows.numbers.max()) + 1)
        if keep:
            self.numbers.append(rows.numbers)
            self.others.extend(rows.others)

    def take(self, count: int) -> int:
        """The first of so many numbers that no id has yet. Raises DataError where no int64 is left."""
        if count and self.next + count > 1 << 63:
            raise DataError.of("bad-value", "no number is left for an id behind the largest", where=self.name)
        self.next += count
        return self.next - count


def _completed(texts: pa.StringArray, first: int) -> pa.StringArray:
    """The texts of ids, those that are null numbered from `first` on."""
    count = texts.null_count
    if not count:
        return texts
    found = jsontext.numbers(pa.array(first + np.arange(count)))  # 2**63 as a bound would make floats of all
    return found if count == len(texts) else pc.replace_with_mask(texts, texts.is_null(), found)


@dataclass(slots=True)
class _Document:
    """One file being written: its pieces are collected, and written once all ids are known."""

    path: Path
    file: BinaryIO
    kept: Unnamed
    pieces: list[Piece] = field(default_factory=list)
    image_ids: _Ids = field(default_factory=lambda: _Ids("image.id"))
    annotation_ids: _Ids = field(default_factory=lambda: _Ids("object.id"))
    found: list[pa.StringArray | None] = field(default_factory=list)
    """The ids of the images of each piece, where some had to be found."""

    @classmethod
    def begin(cls, path: Path, head: bytes) -> _Document:
        file = open_output(path)
        file.write(head)
        return cls(path, file, Unnamed.open(path.parent))

    def take(self, piece: Piece) -> None:
        self.image_ids.meet(piece.images, keep=True)
        self.annotation_ids.meet(piece.annotations, keep=False)
        self.pieces.append(replace(piece, images=self._light(piece.images), annotations=self._light(piece.annotations)))

    def _light(self, rows: Rows) -> Rows:
        """Rows without what is in memory."""
        text, rest = rows.text, rows.rest
        if text is not None and text.data is not None:
            text = self.kept.own_shelf.leave([text.data])[0]
        if rest is not None and rest.left is None:
            rest = leave([rest.load()], self.kept.own_shelf)[0]
        return replace(rows, numbers=_NONE, others=(), text=text, rest=rest)

    def end(self, findings: Findings) -> None:
        """Write all images and all annotations, and close the document."""
        same = SameIds.of(self.image_ids.numbers, self.image_ids.others)
        for at, numbers in enumerate(self.image_ids.numbers):
            if same.concern(numbers):
                shelf = self.kept.own_shelf
                self.pieces[at] = without_same_ids(self.pieces[at], same, shelf, self.path.name, findings)
        self._write(self._texts_of_images())
        self.file.write(b'\n],\n"annotations": [')
        self._write(self._texts_of_annotations())
        self.file.write(b"\n]}\n")
        self.file.close()

    def close(self) -> None:
        """Let go of the file, however the run ends."""
        self.file.close()

    def _write(self, texts: Iterator[Callable[[], Left]]) -> None:
        """Write the texts of rows: each is made beside the writing of those before."""
        skip = 1  # no comma before the first
        with ThreadPoolExecutor(_BESIDE) as beside:
            waiting = deque(beside.submit(make) for make in islice(texts, _BESIDE))
            while waiting:
                text = waiting.popleft().result()
                waiting.extend(beside.submit(make) for make in islice(texts, 1))
                text.copy_to(self.file, skip if text.size else 0)
                skip = 0 if text.size else skip

    def _texts_of_images(self) -> Iterator[Callable[[], Left]]:
        for piece in self.pieces:
            ids = piece.image_ids
            self.found.append(None if ids is None else _completed(ids, self.image_ids.take(ids.null_count)))
            yield partial(_text, piece.images, self.found[-1], None, 0)

    def _texts_of_annotations(self) -> Iterator[Callable[[], Left]]:
        for piece, image_ids in zip(self.pieces, self.found, strict=True):
            yield partial(
                _text, piece.annotations, None, image_ids, self.annotation_ids.take(piece.annotations.lacking)
            )


def _text(rows: Rows, ids: pa.StringArray | None, image_ids: pa.StringArray | None, first: int) -> Left:
    """The text of rows; `ids`: their own, where they are known, else those that are lacking are numbered from `first`
    on; `image_ids`: those of the images of the batch."""
    if rows.text is not None:
        return rows.text
    if rows.rest is None or not rows.count:
        return Left(0, b"")
    batch = rows.rest.load()
    own = _completed(batch.column("id"), first) if ids is None else ids
    image: tuple[str | pa.StringArray, ...] = ()
    if "image" in batch.schema.names:
        assert image_ids is not None
        image = (',"image_id":', image_ids.take(batch.column("image")))
    lines = pc.binary_join_element_wise(',\n{"id":', own, *image, batch.column("rest"), "")
    text = jsontext.joined(lines)
    return Left(len(text), text)


def _head(header: Header, category_ids: pa.StringArray) -> bytes:
    extra = jsontext.members(header.extra) if header.extra else {}
    members = {
        "info": header.info,
        "licenses": header.licenses,
        **{key: text for key, text in extra.items() if key not in TOP_KEYS},
    }
    rows = []
    for category, number in zip(header.categories, category_ids.to_pylist(), strict=True):
        extra = jsontext.members(category.extra) if category.extra else {}
        parts = {"id": number, "name": json.dumps(category.name, ensure_ascii=False)}
        if category.supercategory is not None:
            parts["supercategory"] = json.dumps(category.supercategory, ensure_ascii=False)
        rows.append(
            jsontext.compose({**parts, **{key: text for key, text in extra.items() if key not in parts}}) or "{}"
        )
    members["categories"] = "[" + "".join(f"\n{row}," for row in rows).removesuffix(",") + "\n]"
    texts = [f"{json.dumps(key, ensure_ascii=False)}: {text},\n" for key, text in members.items() if text is not None]
    return ("{" + "".join(texts) + '"images": [').encode()


def _unsafe(split: str) -> str | None:
    """Why a split cannot be part of a file name; None where it can."""
    return "holds a slash" if "/" in split else unsafe_name(split)
