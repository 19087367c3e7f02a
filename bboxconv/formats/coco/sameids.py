"""Images that would have the same id in one COCO document: the first has it, the others are left out with their
annotations. That is known once all images are; the text of a batch is made anew only where it has one of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv.errors import Findings
from bboxconv.formats.coco.text import Piece, Rows
from bboxconv.shelf import Shelf
from bboxconv.spool import leave


class _Image(msgspec.Struct):
    """What is read of the text of an image."""

    id: msgspec.Raw
    file_name: object = None


_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])
_IMAGE = msgspec.json.Decoder(_Image)


@dataclass(frozen=True, slots=True)
class SameIds:
    """The ids that several images of a document have, and which of them an image has already."""

    numbers: NDArray[np.int64]
    """Those that are int64, in order (N,)."""
    taken: NDArray[np.bool_]
    """Of each of them (N,)."""
    others: dict[str, bool]
    """Those that are not, as JSON text, and whether they are taken."""

    @classmethod
    def of(cls, numbers: Sequence[NDArray[np.int64]], others: Sequence[str]) -> SameIds:
        """Of all the ids of a document."""
        together = np.sort(np.concatenate(numbers)) if numbers else np.zeros(0, np.int64)
        twice = np.unique(together[1:][together[1:] == together[:-1]])
        texts = {text: False for text, count in Counter(others).items() if count > 1}
        return cls(twice, np.zeros(len(twice), np.bool_), texts)

    def concern(self, numbers: NDArray[np.int64]) -> bool:
        """Whether a batch with these int64 ids may have an image to leave out."""
        return bool(self.others) or bool(len(self.numbers) and np.isin(numbers, self.numbers).any())

    def free(self, text: str) -> bool:
        """Whether no image before has this id, which is taken now."""
        if text in self.others:
            was, self.others[text] = self.others[text], True
            return not was
        try:
            number = int(text)
        except ValueError:
            return True
        if not len(self.numbers) or not self.numbers[0] <= number <= self.numbers[-1]:
            return True
        at = int(np.searchsorted(self.numbers, number))
        if self.numbers[at] != number:
            return True
        was, self.taken[at] = bool(self.taken[at]), True
        return not was


def without_same_ids(piece: Piece, ids: SameIds, shelf: Shelf, name: str, findings: Findings) -> Piece:
    """The piece without the images whose id one before them has, each a fault. `name` is that of the document."""
    keep = np.ones(piece.images.count, np.bool_)
    for row, text in enumerate(_texts(piece.images)):
        image = _IMAGE.decode(text)
        own = bytes(image.id).decode()
        keep[row] = own == "null" or ids.free(own)
        if not keep[row]:
            findings.add(
                "image-id-clash",
                "two images would have the same id in one file: the first has it",
                where=name,
                detail=f"id {own}: {image.file_name}" if isinstance(image.file_name, str) else f"id {own}",
                hint="name a folder: every split gets a file of its own; or `bboxconv merge`: numbers become new ones",
                images=1,
                boxes=int(piece.boxes[row]),
                late=True,
                numbers=(piece.numbers[row],),
            )
    if keep.all():
        return piece
    images, annotations = (
        _kept(piece.images, keep, shelf),
        _kept(piece.annotations, np.repeat(keep, piece.boxes), shelf),
    )
    if annotations.rest is not None and "image" in (batch := annotations.rest.load()).schema.names:
        place = pa.array(np.cumsum(keep) - 1, pa.int32()).take(batch.column("image"))
        batch = batch.set_column(batch.schema.get_field_index("image"), "image", place)
        annotations = replace(annotations, rest=leave([batch], shelf)[0])
    image_ids = None if piece.image_ids is None else piece.image_ids.filter(pa.array(keep))
    filled = {name: counts[keep] for name, counts in piece.filled.items()}
    return replace(
        piece, images=images, annotations=annotations, image_ids=image_ids, boxes=piece.boxes[keep], filled=filled
    )


def _texts(rows: Rows) -> Iterator[bytes]:
    """The JSON text of each row; an id that is still to be found is null."""
    if rows.text is not None:
        yield from map(bytes, _elements(rows))
    elif rows.rest is not None:
        batch = rows.rest.load()
        whole = pc.binary_join_element_wise('{"id":', batch.column("id").fill_null("null"), batch.column("rest"), "")
        yield from (text.encode() for text in whole.to_pylist())


def _elements(rows: Rows) -> list[msgspec.Raw]:
    assert rows.text is not None
    return _ELEMENTS.decode(b"[" + bytes(rows.text.read()).removeprefix(b",") + b"]")


def _kept(rows: Rows, keep: NDArray[np.bool_], shelf: Shelf) -> Rows:
    """The rows where `keep` (N,) is true."""
    count = int(keep.sum())
    if rows.text is not None:
        texts = _elements(rows)
        text = b"".join(b",\n" + bytes(texts[row]) for row in np.flatnonzero(keep).tolist())
        return replace(rows, count=count, text=shelf.leave([text])[0])
    if rows.rest is not None:
        rest = rows.rest.load().filter(pa.array(keep))
        return replace(rows, count=count, rest=leave([rest], shelf)[0], lacking=rest.column("id").null_count)
    return rows
