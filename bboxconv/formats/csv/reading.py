"""csv files in blocks of whole rows, each read in any process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from bboxconv import io
from bboxconv.boxes import BoxFormat
from bboxconv.boxgroups import Groups, Left, leave_rows
from bboxconv.boxtables import Reading
from bboxconv.codec import ReadContext, Source, option
from bboxconv.errors import DataError, Findings, Record, UsageError, cut, printable, shortened
from bboxconv.formats.csv import BOX, COLUMNS, DECIMAL, HEADER, INFO
from bboxconv.formats.csv.heading import Heading, columns, has_decimal_commas, heading_of
from bboxconv.readers import lines
from bboxconv.schema import Dataset
from bboxconv.shelf import Shelf
from bboxconv.spool import Spool

_MANY = 32 << 20  # bytes of a file from which on more than one process pays
_LONGEST = 64 << 20  # bytes in which a quote must close
_SAMPLE = 1 << 20  # bytes of a file in which a decimal comma is looked for
_QUOTE = b'"'
AGAIN = "the header stands here again: left out"


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a row: its line in the block, from 1, and its text."""

    line: int
    code: str
    message: str
    detail: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Block:
    """A block of rows, read."""

    left: Left
    faults: tuple[Fault, ...]
    again: tuple[int, ...] = ()
    """The lines on which the header stands once more."""


@dataclass(frozen=True, slots=True)
class Task:
    """Lines, and how they are read; `open_quote`: one of their quotes may not be closed."""

    block: lines.Block
    heading: Heading
    reading: Reading
    shelf: Shelf
    open_quote: bool


def read_csv(source: Source, context: ReadContext) -> Dataset:
    """Read a csv file, see `csv.read`."""
    start = _start(source, context)
    given = option(context.options, COLUMNS)
    heading = heading_of(start, option(context.options, HEADER), source.shown, numbered=bool(given))
    name = option(context.options, BOX)
    box = None if name == "auto" else _box(name)
    found = columns(heading, given, None if box is None else box.kind, source.shown)
    decimal = option(context.options, DECIMAL)
    comma = decimal == "comma" or (decimal == "auto" and heading.separator != ",")
    if decimal == "auto" and not comma and has_decimal_commas(_sample(source, context), heading.separator, found):
        comma = True
        message = "numbers in quotes have a comma, which is taken for the decimal point"
        hint = "--in decimal=point refuses them"
        context.findings.add("decimal-comma", message, severity="note", where=source.shown, hint=hint)
    reading = Reading(found, text=True, comma=comma, trim=heading.spaced)
    if "category" not in found.places and "category_id" not in found.places:
        message = "no column says the class of a box"
        hint = "--in columns=category:NAME names it, --default-class one for all"
        context.findings.add("no-class-column", message, severity="note", where=source.shown, hint=hint)
    if source.path.stat().st_size >= _MANY:
        context.workers.begin()
    spool = Spool(context.memory // 2)
    groups = Groups(reading, source.shown, context, spool)
    skipped = heading.skipped
    position = _end_of(start, skipped)
    befores: list[int] = []
    shelf = spool.shelf(apart=context.workers.apart)

    def tasks() -> Iterator[Task]:
        for block, before, odd in _blocks(source, context, position, skipped):
            befores.append(before)
            yield Task(block, heading, reading, shelf, odd)

    for number, block in enumerate(context.workers.run(read_block, tasks())):
        _tell(block, befores[number], source.shown, context.findings, comma=comma)
        groups.take(block.left)
    return groups.dataset(INFO.name, box, split=source.split)


def _start(source: Source, context: ReadContext) -> bytes:
    """The lines of a file up to the one behind the first that is not blank."""
    line, _, stop = lines.first_line(source.path, context.max_expansion, shown=source.shown)
    if not line:
        raise DataError.of("no-annotations", "the file has no line", where=source.shown)
    with io.open_input(source.path, context.max_expansion, source.shown) as file:
        return file.read(stop) + file.readline(io.HEAD)


def _sample(source: Source, context: ReadContext) -> bytes:
    """The first lines of a file, as many as fit."""
    with io.open_input(source.path, context.max_expansion, source.shown) as file:
        return file.read(_SAMPLE)


def _end_of(start: bytes, number: int) -> int:
    """Where line `number`, from 1, ends."""
    stop = 0
    for _ in range(number):
        stop = start.find(b"\n", stop) + 1 or len(start)
    return stop


def _box(name: str) -> BoxFormat:
    try:
        return BoxFormat.parse(name)
    except ValueError as error:
        raise UsageError.of("bad-option", str(error), where="--in box") from error


def _blocks(
    source: Source, context: ReadContext, position: int, before: int
) -> Iterator[tuple[lines.Block, int, bool]]:
    """Blocks that no quoted cell crosses, the number of lines before each, and whether it has a quote too many: one
    may stand inside a cell that is not quoted."""
    size = source.path.stat().st_size
    total = None if io.compression_of(source.path) else size
    context.progress("reading", position, total, "bytes")
    held: list[tuple[lines.Block, bytes]] = []
    odd = False
    for block in lines.blocks(source.path, position, max_expansion=context.max_expansion, shown=source.shown):
        data = block.read()
        context.progress("reading", len(data), total, "bytes")
        held.append((block, data))
        odd ^= bool(data.count(_QUOTE) & 1)
        if odd and sum(len(part) for _, part in held) < _LONGEST:
            continue
        whole, count = _joined(held)
        yield whole, before, odd
        before, held, odd = before + count, [], False
    if held:
        whole, _ = _joined(held)
        yield whole, before, odd


def _joined(held: Sequence[tuple[lines.Block, bytes]]) -> tuple[lines.Block, int]:
    """Blocks that follow each other as one, and how many lines it has."""
    first, last = held[0][0], held[-1][0]
    data = None if first.data is None else b"".join(part for _, part in held)
    return replace(first, stop=last.stop, data=data), sum(part.count(b"\n") for _, part in held)


def read_block(task: Task) -> Block:
    """Read a block; a task."""
    data = task.block.read()
    names = [f"f{n}" for n in range(len(task.heading.names))]
    ragged: dict[int, int] = {}

    def note(row: pyarrow.csv.InvalidRow) -> str:
        ragged[row.number - 1] = row.actual_columns
        return "skip"

    separator = task.heading.separator
    mark = (b"\n" + separator.encode().join([b"end"] * len(names)) + b"\n") if task.open_quote else b""
    table = _table(data + mark, names, separator, note)
    faults: list[tuple[int, str, str, str]] = []
    if isinstance(table, str):
        faults.append((0, "bad-row", "the rows cannot be read", table))
        table = pa.table([pa.nulls(0, pa.binary())] * len(names), names=names)
    message = f"a row has not the {len(names)} columns of the header"
    faults += [(row, "bad-row", message, f"{count} columns") for row, count in ragged.items()]
    if mark:
        table = _closed(table, ragged, faults)
    records = np.delete(np.arange(len(table) + len(ragged)), [*ragged][: len(ragged)])[: len(table)]
    batch, records = _decoded(table, records, faults)
    batch, records, again = _without_header(batch, records, task.heading.names)
    left = leave_rows(batch, task.reading, task.shelf)
    faults += [(int(records[f.row]), f.code, f.message, f.detail) for f in left.faults]
    faults.sort(key=lambda fault: fault[0])
    places = _places(data) if faults or again else np.zeros((0, 3), np.int64)
    found = tuple(_fault(data, places, *fault) for fault in faults)
    return Block(replace(left, faults=()), found, tuple(int(places[row, 0]) for row in again))


def _fault(data: bytes, places: NDArray[np.int64], row: int, code: str, message: str, detail: str) -> Fault:
    line, start, stop = places[min(row, len(places) - 1)].tolist() if len(places) else (1, 0, 0)
    return Fault(line, code, message, printable(shortened(detail)), cut(data[start:stop].rstrip(b"\r\n")))


def _table(data: bytes, names: Sequence[str], separator: str, note: object) -> pa.Table | str:
    """The cells as bytes, null where empty; or why there are none."""
    if not data.strip(b"\r\n"):
        return pa.table([pa.nulls(0, pa.binary())] * len(names), names=names)
    try:
        return pyarrow.csv.read_csv(
            pa.BufferReader(data),
            pyarrow.csv.ReadOptions(column_names=names, use_threads=False, block_size=len(data) + 1),
            pyarrow.csv.ParseOptions(delimiter=separator, newlines_in_values=True, invalid_row_handler=note),
            pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.binary()),
                null_values=[""],
                strings_can_be_null=True,
                check_utf8=False,
            ),
        )
    except pa.ArrowInvalid as error:
        return str(error).partition("\n")[0]


def _closed(table: pa.Table, ragged: dict[int, int], faults: list[tuple[int, str, str, str]]) -> pa.Table:
    """The table without the mark at its end; where that is gone, an open quote has swallowed it."""
    last = [column[-1].as_py() for column in table.columns] if len(table) else []
    if last and all(cell == b"end" for cell in last):
        return table.slice(0, len(table) - 1)
    count = len(table) + len(ragged)
    for row in [row for row in ragged if row >= count - 1]:  # the row that goes on to the end of the file
        del ragged[row]
        faults[:] = [fault for fault in faults if fault[0] != row]
        count -= 1
    faults.append((count, "open-quote", "a quote is not closed: no row behind it is read", ""))
    return table


def _decoded(
    table: pa.Table, records: NDArray[np.int64], faults: list[tuple[int, str, str, str]]
) -> tuple[pa.RecordBatch, NDArray[np.int64]]:
    """The cells as text; rows that are no UTF-8 are faults."""
    columns = [column.combine_chunks() for column in table.columns]
    bad = np.zeros(len(table), np.bool_)
    made = []
    for column in columns:
        try:
            made.append(column.cast(pa.string()))
        except pa.ArrowInvalid:
            cells = [_utf_8(cell) for cell in column.to_pylist()]
            bad |= [cell is False for cell in cells]
            made.append(pa.array([None if cell is False else cell for cell in cells], pa.string()))
    faults += [(int(records[row]), "bad-encoding", "a cell is not UTF-8", "") for row in np.flatnonzero(bad).tolist()]
    batch = pa.RecordBatch.from_arrays(made, names=table.column_names)
    return (batch.filter(pa.array(~bad)), records[~bad]) if bad.any() else (batch, records)


def _utf_8(cell: bytes | None) -> str | bool | None:
    try:
        return None if cell is None else cell.decode()
    except UnicodeDecodeError:
        return False


def _without_header(
    batch: pa.RecordBatch, records: NDArray[np.int64], names: Sequence[str]
) -> tuple[pa.RecordBatch, NDArray[np.int64], list[int]]:
    """The rows that are not the header once more, as files that were joined have it."""
    same = np.ones(len(batch), np.bool_)
    for column, name in zip(batch.columns, names, strict=True):
        if same.any():
            same &= pa.compute.equal(column, name).fill_null(False).to_numpy(zero_copy_only=False)
    if not same.any():
        return batch, records, []
    return batch.filter(pa.array(~same)), records[~same], records[same].tolist()


def _places(data: bytes) -> NDArray[np.int64]:
    """The line, from 1, and the first and last byte (R, 3) of each row that is not blank."""
    found: list[tuple[int, int, int]] = []
    start, begun, odd, line = 0, 0, False, 0
    first = 1
    for number, text in enumerate(data.split(b"\n"), 1):
        stop = start + len(text) + 1
        line = number
        if not odd:
            begun, first = start, line
        odd ^= bool(text.count(_QUOTE) & 1)
        if not odd and data[begun:stop].strip(b"\r\n"):
            found.append((first, begun, stop))
        start = stop
    if odd:
        found.append((first, begun, len(data)))
    return np.array(found, np.int64).reshape(-1, 3)


def _tell(block: Block, before: int, shown: str, findings: Findings, *, comma: bool) -> None:
    """Report the faults of a block that `before` lines stand before."""
    for fault in block.faults:
        record = Record(shown, before + fault.line, "", fault.raw)
        hint = ""
        if fault.code == "bad-number" and "," in fault.detail and not comma:
            hint = "--in decimal=comma takes a comma for the decimal point"
        findings.add(fault.code, fault.message, record=record, detail=fault.detail, hint=hint, boxes=1)
    for line in block.again:
        findings.add("header-again", AGAIN, severity="warning", where=f"{shown}:{before + line}")
