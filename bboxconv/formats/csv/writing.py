"""Boxes as rows of csv: all columns made text in a few calls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from bboxconv import io, jsontext
from bboxconv.boxes import BoxFormat
from bboxconv.boxrows import box_rows
from bboxconv.codec import Encoding
from bboxconv.duplicates import SEPARATOR, hashes, repeated
from bboxconv.errors import Findings, printable
from bboxconv.headerjson import box_text
from bboxconv.schema import Header, coordinate_names
from bboxconv.shelf import Left
from bboxconv.spool import Slip, Spool, leave

_LARGE = 4 << 20
"""Bytes of a batch from which on it is written in halves: its text stands in memory several times."""
_QUOTED = '[",;\\t|\\r\\n]|^\\s|\\s$|^$'
_BEFORE = {
    "tfod": {"filename": "file_name", "width": "width", "height": "height", "class": "category"},
    "plain": {name: name for name in ("file_name", "width", "height", "split", "category")},
    "full": {
        **{name: name for name in ("image_id", "file_name", "width", "height", "split", "video", "frame")},
        "image_extra": "image_extra",
        "id": "box_id",
        "category": "category",
        "category_id": "category_id",
    },
}
_BEHIND = {
    "tfod": (),
    "plain": ("score",),
    "full": (
        *("shape", "score", "area", "iscrowd", "difficult", "ignore", "truncated", "occluded", "rotation"),
        *("track_id", "segmentation", "keypoints", "extra"),
    ),
}
_CORNERS = {"x1": "xmin", "y1": "ymin", "x2": "xmax", "y2": "ymax"}


def columns_of(header: Header, layout: str) -> dict[str, str]:
    """The name of each column, and which column of `boxrows` it is; `box_format` is none of them."""
    box = {_CORNERS[name] if layout == "tfod" else name: name for name in coordinate_names(header.box)}
    named: Mapping[str, str] = {} if header.box == BoxFormat(header.box.kind) else {"box_format": "box_format"}
    return {**_BEFORE[layout], **box, **{name: name for name in _BEHIND[layout]}, **named}


_KEY = ("file_name", "split", "video", "frame", "image_id")
"""The columns by which a reader tells images apart."""
_IMAGE_ID = {"image_id": "id"}
_HELD = 4 << 20
"""Bytes of names that stay in memory."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows as text, and what the images are told apart by: `key`, and `hash`, a number made of it."""

    texts: tuple[Left, ...]
    keys: Slip


@dataclass(frozen=True, slots=True)
class RowEncoder:
    """Makes rows of each batch."""

    header: Header
    layout: str
    decimals: str
    separator: str = ","

    def __call__(self, batch: pa.RecordBatch, encoding: Encoding) -> Piece:
        """The rows of a batch."""
        keys = image_keys(batch, self.layout)
        table = pa.RecordBatch.from_arrays([hashes(keys), keys], ["hash", "key"])
        return Piece(self.texts(batch, encoding), leave([table], encoding.shelf)[0])

    def texts(self, batch: pa.RecordBatch, encoding: Encoding) -> tuple[Left, ...]:
        """The rows, in one text or several."""
        if batch.nbytes > _LARGE and len(batch) > 1:
            half = len(batch) // 2
            return (*self.texts(batch.slice(0, half), encoding), *self.texts(batch.slice(half), encoding))
        if not len(batch):
            return ()
        rows = box_rows(batch, self.header, texts_once=True)
        cells = []
        for name, source in columns_of(self.header, self.layout).items():
            if name == "box_format":
                cells.append(pa.repeat(_box_format(self.header), len(rows)))
            else:
                cells.append(self.cells(rows.column(source), coordinate=source in coordinate_names(self.header.box)))
        whole = pc.binary_join_element_wise(*cells, self.separator, null_handling="replace", null_replacement="")
        return tuple(encoding.shelf.leave([jsontext.joined(pc.binary_join_element_wise(whole, "\n", ""))]))

    def cells(self, column: pa.Array, *, coordinate: bool) -> pa.StringArray:
        """A column as text, null where the cell is empty."""
        kind = column.type
        if pa.types.is_dictionary(kind):
            return _quoted(column.dictionary).take(column.indices)
        if pa.types.is_string(kind):
            return _quoted(column)
        if pa.types.is_boolean(kind):
            return jsontext.booleans(column, true="1", false="0")
        if coordinate and self.decimals != "full":
            values = column.fill_null(0.0).to_numpy(zero_copy_only=False)
            text = jsontext.decimals(values, int(self.decimals))
            return pc.if_else(column.is_valid(), text, pa.scalar(None, pa.string()))
        return jsontext.numbers(column)


def image_keys(batch: pa.RecordBatch, layout: str) -> pa.StringArray:
    """What is written of each image that tells it from others, the name first."""
    fields = [_IMAGE_ID.get(name, name) for name in _KEY if name in _BEFORE[layout].values()]
    parts = [batch.column(name).cast(pa.string()).fill_null("") for name in fields]
    return pc.binary_join_element_wise(*parts, SEPARATOR)


def _quoted(texts: pa.StringArray) -> pa.StringArray:
    """Each text as a cell: in quotes where it has a separator, a quote, a line end, or a blank at an end."""
    odd = pc.match_substring_regex(texts, _QUOTED)
    if not pc.any(odd).as_py():
        return texts
    inside = pc.replace_substring(texts, '"', '""')
    return pc.if_else(odd, pc.binary_join_element_wise('"', inside, '"', ""), texts)


def _box_format(header: Header) -> pa.StringScalar:
    """The cell that names the box format: its name, or JSON text where that does not say all."""
    text = box_text(header.box)
    return _quoted(pa.array([text if text.startswith("{") else header.box.name]))[0]


def write_rows(
    header: Header, layout: str, pieces: Iterable[Piece], out: Path, separator: str, findings: Findings
) -> None:
    """Write a file of the names of the columns and of encoded rows; without any, one says the box format alone, where
    that has a column. A warning names each image that a reader takes for one before it."""
    names = columns_of(header, layout)
    spool = Spool(_HELD)
    keys: list[Slip] = []
    with io.open_output(out) as file:
        file.write((separator.join(names) + "\n").encode())
        bare = "box_format" in names
        for piece in pieces:
            keys.append(spool.keep(piece.keys.load()))
            for text in piece.texts:
                text.copy_to(file)
                bare = False
        if bare:
            file.write(f"{separator * (len(names) - 1)}{_box_format(header).as_py()}\n".encode())
    _tell_same(keys, layout, findings)


def _tell_same(keys: Sequence[Slip], layout: str, findings: Findings) -> None:
    again = repeated(keys, "hash")
    if not len(again):
        return
    known: set[str] = set()
    for slip in keys:
        batch = slip.load()
        for key in batch.filter(pc.is_in(batch.column("hash"), pa.array(again))).column("key").to_pylist():
            if key in known:
                findings.add(
                    "same-image",
                    "nothing in the file tells an image from another of the same name: a reader takes them for one",
                    severity="warning",
                    where=f"image {printable(key.partition(SEPARATOR)[0])}",
                    hint="--out layout=full keeps splits and ids" if layout != "full" else "",
                )
            known.add(key)
