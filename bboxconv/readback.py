"""An output read back and compared with what its source gives: both are divided by the names of their images, and
compared a part at a time, so that memory does not grow with the data and the order of images does not matter.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bboxconv import jsontext, registry, schema
from bboxconv.account import Account
from bboxconv.agreement import Agreement, Sight, Tally, shown
from bboxconv.codec import EVERYTHING, Encoding, FormatInfo, Target
from bboxconv.comparison import Rules, Side, compare
from bboxconv.dividing import Parts, Pieces, loaded, number_of_parts
from bboxconv.errors import DataError, Diagnostic, Findings, printable
from bboxconv.flow import Flow, encoded
from bboxconv.jsonsame import same_text
from bboxconv.pairing import keys, usual_splits
from bboxconv.request import Request
from bboxconv.schema import Category, Header
from bboxconv.shelf import Shelf
from bboxconv.sources import Opened, open_sources
from bboxconv.spool import Slip, Spool

_NOBODY = pa.array([], pa.string())


@dataclass(frozen=True, slots=True)
class Divided:
    """A batch that was divided."""

    pieces: Pieces
    own: pa.StringArray
    """What its images that have an id and no name are known by."""
    anonymous: int
    """How many images have neither."""


@dataclass(frozen=True, slots=True)
class Divider:
    """Divides batches into `parts` by the names of their images, without what the target does not carry. Of images
    without a name, other ids than those that are `known` in their split count for none: they were filled in."""

    shelf: Shelf
    parts: int
    target: Target
    known: pa.StringArray | None = None

    def __call__(self, batch: pa.RecordBatch, encoding: Encoding) -> Divided:
        """The images of each part, left on the shelf."""
        nameless = batch.column("file_name").is_null()
        if not nameless.true_count:
            return Divided(self._pieces(batch, encoding), _NOBODY, 0)
        own = self._ids(batch)
        if self.known is not None:
            filled = pc.and_not(nameless, pc.is_in(own, self.known))
            ids = pc.if_else(filled, pa.scalar(None, pa.int64()), batch.column("id"))
            batch = schema.with_image_columns(batch, {"id": ids})
        met = own.filter(nameless)
        return Divided(self._pieces(batch, encoding), met.drop_null(), met.null_count)

    def _ids(self, batch: pa.RecordBatch) -> pa.StringArray:
        """The id of each image, with its split where each has a document of its own, which numbers them anew."""
        ids = batch.column("id").cast(pa.string())
        if "image.split" not in self.target.carries or "image.split" in self.target.fills:
            return ids  # what is filled in is not what the source says, and such ids are not given by split
        return pc.binary_join_element_wise(usual_splits(batch).fill_null(""), ids, "\n")

    def _pieces(self, batch: pa.RecordBatch, encoding: Encoding) -> Pieces:
        names = keys(batch, self.target.unwritten_name).to_pylist()
        part = np.array([zlib.crc32(name.encode()) % self.parts for name in names], np.int64)
        return Pieces.of(_carried(batch, self.target.carries), part, encoding.first, self.shelf)


def _carried(batch: pa.RecordBatch, carries: frozenset[str]) -> pa.RecordBatch:
    """The batch with null in object fields that are not carried; `id` stays, which names an object."""
    objects = schema.flat(batch)
    gone = [
        name
        for name in schema.OBJECT_FIELDS
        if name != "id" and not any(key.startswith(f"object.{name}") for key in carries)
    ]
    empty = {name: schema.null_column(name, len(objects.rows)) for name in gone}
    return schema.with_objects(batch, objects.with_columns(empty)) if empty else batch


@dataclass(frozen=True, slots=True)
class _Pair:
    """One part of both sides: a task."""

    source: tuple[Slip, ...]
    output: tuple[Slip, ...]
    rules: Rules


def _compare(task: _Pair) -> Agreement:
    return compare(_side(task.source), _side(task.output), task.rules)


def _side(slips: Sequence[Slip]) -> Side:
    return Side.of(*loaded(slips, schema.IMAGE))


def read_back(
    flow: Flow, target: Target, account: Account, output: Path, info: FormatInfo, where: str, *, any_box: bool = False
) -> Agreement:
    """Compare an output with what the sources of a run give under its target, which is counted in `account`. `where`
    names the output in messages. `any_box`: a target without a box format of its own has that of the output.

    Raises DataError where the output cannot be read at all, OutputError where the disk cannot hold what waits.
    """
    request, findings, header = flow.request, Findings(), flow.opened.header

    def progress(stage: str, done: int, total: int | None, unit: str) -> None:
        flow.progress("verifying", done, total, unit)

    with ExitStack() as stack:
        opened = _open(request, output, info, findings, stack, flow)
        if any_box and target.box is None and opened is not None:
            target = replace(target, box=opened.header.box)
        box = target.box or header.box
        read = opened.header if opened else replace(header, box=box)
        classes, read_classes = (tuple(one.name for one in side.categories) for side in (header, read))
        rules = Rules(target, box, read.box, classes, read_classes, where)
        _require_comparable(rules)
        parts, known = number_of_parts(output, info), _Known()
        spool = Spool(request.memory)
        divide = Divider(spool.shelf(apart=flow.workers.apart), parts, target)
        batches = encoded(replace(flow, progress=progress), target, account, divide)
        ours = Parts.of(known.pieces(batches), parts, spool)
        if known.anonymous and "image.id" in target.fills:
            divide = replace(divide, known=pa.concat_arrays(known.own))
        theirs = Parts.of((), parts, spool)
        if opened is not None:
            there = Flow(_reading(request, output, info), opened, findings, flow.workers, progress, repeats=False)
            read_batches = encoded(there, _AS_IT_IS, Account(), divide)
            theirs = Parts.of((one.pieces for one in read_batches), parts, spool)
        sides = ((ours.of_part(number), theirs.of_part(number)) for number in range(parts))
        tasks = (_Pair(one, other, rules) for one, other in sides if one or other)
        found = Agreement()
        for part in flow.workers.run(_compare, tasks):
            found.add(part)
    _compare_headers(found, header, read, rules)
    _unreadable(found, findings.of("error"))
    return found


_AS_IT_IS = Target(None, EVERYTHING, finite=False)


def _reading(request: Request, output: Path, info: FormatInfo) -> Request:
    """How the output is read: with the options of reading that those of writing name."""
    options = {
        spec.name: request.out[spec.name]
        for spec in info.read_options
        if spec.name in request.out and spec.accepts(request.out[spec.name])
    }
    return Request(
        (str(output),),
        from_=info.name,
        in_=options,
        batch_size=request.batch_size,
        memory=request.memory,
        max_expansion=request.max_expansion,
    )


def _open(
    request: Request, output: Path, info: FormatInfo, findings: Findings, stack: ExitStack, flow: Flow
) -> Opened | None:
    """The output, opened; None where it holds no image: a folder without files need not be told from a wrong path."""
    registry.reader(info.name)
    try:
        return open_sources(_reading(request, output, info), findings, stack, flow.workers, flow.progress)
    except DataError as error:
        if [found.code for found in error.diagnostics if found.severity == "error"] == ["no-annotations"]:
            return None
        raise


def _require_comparable(rules: Rules) -> None:
    if rules.read.needs_size(rules.box):
        message = f"the output has boxes as {rules.read.name}, and the source gives {rules.box.name}"
        raise DataError.of("verify-differs", message, where=rules.where, hint="--box names the box format of DST")


@dataclass(slots=True)
class _Known:
    """What the images that have an id and no name are known by, and how many have neither."""

    own: list[pa.StringArray] = field(default_factory=lambda: [_NOBODY])
    anonymous: int = 0

    def pieces(self, batches: Iterable[Divided]) -> Iterator[Pieces]:
        """The pieces of each batch, as it is counted."""
        for batch in batches:
            self.own.append(batch.own)
            self.anonymous += batch.anonymous
            yield batch.pieces


def _unreadable(found: Agreement, faults: Iterable[Diagnostic]) -> None:
    """Count what could not be read of the output."""
    for fault in faults:
        places = [Sight(0, at, place.where, f"{fault.message} {place.detail}") for at, place in enumerate(fault.places)]
        found.of("what can be read").add(Tally(differ=fault.count))
        found.of("what can be read").see(places)


def _compare_headers(found: Agreement, header: Header, read: Header, rules: Rules) -> None:
    """Compare what is said once."""
    carries = rules.target.carries
    for name, text, other in (("info", header.info, read.info), ("licenses", header.licenses, read.licenses)):
        if name in carries:
            _said(found, name, text, other, rules)
    ours, theirs = (jsontext.members(text) if text else {} for text in (header.extra, read.extra))
    for key in dict.fromkeys((*ours, *theirs)):
        if {"extra", f"extra.{key}"} & carries and f"extra.{key}" not in rules.target.reserved:
            _said(found, f"extra.{key}", ours.get(key), theirs.get(key), rules)
    named = dict[str, list[Category]]()
    for category in read.categories:
        named.setdefault(category.name, []).append(category)
    for index, category in enumerate(header.categories):
        rest = named.get(category.name)
        if not rest:
            listed = "category.id" in carries  # else a class that no box uses need not be written
            if listed or index in found.used:
                _said(found, "category.name", _text(category.name), None, rules)
            continue
        same = rest.pop(0)
        for name, one, two in (
            ("id", _text(category.id), _text(same.id)),
            ("supercategory", _text(category.supercategory), _text(same.supercategory)),
            ("extra", category.extra, same.extra),
        ):
            if f"category.{name}" in carries:
                _said(found, f"category.{name}", one, two, rules, f", class {printable(category.name)}")


def _text(value: str | int | None) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def _said(found: Agreement, name: str, one: str | None, other: str | None, rules: Rules, of: str = "") -> None:
    if one is None and other is None:
        return
    if one is None and name in rules.target.fills:
        found.of(name).add(Tally(filled=1))
    elif same_text(one, other):
        found.of(name).add(Tally(1))
    else:
        place = Sight(-1, 0, f"{rules.where}{of}", f"{shown(one)} became {shown(other)}")
        found.of(name).add(Tally(differ=1, places=[place]))
