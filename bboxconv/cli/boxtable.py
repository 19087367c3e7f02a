"""Rows of numbers from one box format to another: the work of `bboxconv boxes`.

Text comes and goes in blocks, npy files block by block, so memory does not grow with the rows. Text rows are numbers
separated by commas, semicolons, tabs or blanks, as the first row has it; the columns beside the box go through as
they are. A first row without a number in the box's place is a header, which gets the names of the new format. Blank
rows and rows that begin with # are left out. A file appears whole or not at all; what went to stdout cannot be taken
back.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
from numpy.lib.format import write_array_header_1_0
from numpy.typing import NDArray

from bboxconv import io
from bboxconv.boxes import BoxFormat, convert_boxes
from bboxconv.errors import DataError, Findings, UsageError
from bboxconv.schema import coordinate_names
from bboxconv.staging import staged
from bboxconv.suggest import for_missing

BLOCK = 4 << 20
"""Bytes of text, or of an npy file, that are converted at a time."""


@dataclass(frozen=True, slots=True)
class Rows:
    """A block of N rows: the boxes (N, 4), the cells before and after them, and the header before the block."""

    boxes: NDArray[np.floating]
    before: Sequence[pa.StringArray] = ()
    after: Sequence[pa.StringArray] = ()
    header: Sequence[str] = ()
    separator: str = ","


def convert(
    src: str,
    dst: str,
    source: str,
    target: str,
    *,
    image_size: tuple[int, int] | None = None,
    column: int = 1,
    max_expansion: float | None = None,
    overwrite: bool = False,
) -> int:
    """Convert the rows of `src` (`-`, a text file, an npy file) into `dst` (the same) and return how many there were.

    source, target: names of box formats; image_size: (w, h) in pixels, needed between pixels and fractions; column:
    where the box begins in a text row, from 1; max_expansion: to how many times its size compressed text may unpack.

    Raises UsageError for unknown names, a missing size or path, an output that exists; DataError naming every row
    that holds no box; OutputError where writing fails.
    """
    old, new = _format("--from", source), _format("--to", target)
    if image_size is None and old.needs_size(new):
        message = f"{old.name} to {new.name} needs the image size"
        raise UsageError.of("missing-image-size", message, hint="--image-size WxH gives it")
    if src != "-" and not Path(src).is_file():
        raise UsageError.of("path-not-found", f"there is no {src}", hint=for_missing(Path(src)))
    blocks = _read_npy(Path(src)) if src.endswith(".npy") else _read_text(src, column - 1, max_expansion)
    converted = (replace(rows, boxes=convert_boxes(rows.boxes, old, new, image_size)) for rows in blocks)
    if dst == "-":
        count = _write_text(converted, sys.stdout.buffer, new, column - 1)
        sys.stdout.buffer.flush()  # before anything says that it is done
        return count
    with staged(Path(dst), "file", overwrite=overwrite) as stage:
        if dst.endswith(".npy"):
            with stage.open("wb") as file:
                return _write_npy(converted, file)
        with io.open_output(stage) as file:
            return _write_text(converted, file, new, column - 1)


def _format(flag: str, name: str) -> BoxFormat:
    try:
        return BoxFormat.parse(name)
    except ValueError as error:
        message, _, known = str(error).partition(" Known: ")
        message, _, near = message.partition(" Did you mean ")
        hint = f"did you mean {near}" if near else f"known: {known}"
        raise UsageError.of("unknown-box-format", f"{flag}: {message.rstrip('.')}", hint=hint) from error


def _read_npy(path: Path) -> Iterator[Rows]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DataError.of("bad-npy", f"the file is no npy array: {error}", where=str(path)) from error
    if array.ndim < 1 or array.shape[-1] != 4 or array.dtype.kind not in "iuf":
        message = f"the array must hold 4 numbers on its last axis, not {array.dtype} {array.shape}"
        raise DataError.of("bad-npy", message, where=str(path))
    flat = array.reshape(-1, 4)
    step = BLOCK // (4 * array.dtype.itemsize)
    for start in range(0, len(flat), step):
        yield Rows(np.asarray(flat[start : start + step]))


def _read_text(src: str, first: int, max_expansion: float | None) -> Iterator[Rows]:
    findings = Findings()
    shown = "stdin" if src == "-" else src
    separator, seen = b"", 0
    header: tuple[str, ...] = ()
    given = nullcontext(sys.stdin.buffer) if src == "-" else io.open_input(Path(src), max_expansion)
    with given as file:
        while lines := file.readlines(BLOCK):
            numbered = [(seen + i, line.strip()) for i, line in enumerate(lines, 1)]
            seen += len(lines)
            rows = [(n, line) for n, line in numbered if line and not line.startswith(b"#")]
            if rows and not separator:
                separator = next((s for s in (b",", b";", b"\t") if s in rows[0][1]), b" ")
                header = _header(_cells(rows[0][1], separator), first)
                rows = rows[1:] if header else rows
            if rows:
                yield _parse(rows, separator, first, header, shown, findings)
                header = ()
    if findings.errors:
        raise DataError(findings)


def _cells(line: bytes, separator: bytes) -> list[str]:
    text = line.decode("utf-8", "backslashreplace")
    return text.split() if separator == b" " else [cell.strip() for cell in text.split(separator.decode())]


def _header(cells: Sequence[str], first: int) -> tuple[str, ...]:
    box = cells[first : first + 4]
    return tuple(cells) if len(box) == 4 and not any(_is_number(cell) for cell in box) else ()


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _parse(
    rows: Sequence[tuple[int, bytes]],
    separator: bytes,
    first: int,
    header: Sequence[str],
    shown: str,
    findings: Findings,
) -> Rows:
    """One block of rows; those that hold no box are findings, and their block is left out."""
    blanks = separator == b" "
    text = b"".join((b" ".join(line.split()) if blanks else line) + b"\n" for _, line in rows)
    columns = len(_cells(rows[0][1], separator))
    kinds = {f"f{i}": pa.float64() if first <= i < first + 4 else pa.string() for i in range(columns)}
    try:
        if columns < first + 4:
            raise pa.ArrowInvalid("too few columns")
        table = pacsv.read_csv(
            pa.BufferReader(text),
            pacsv.ReadOptions(use_threads=False, autogenerate_column_names=True, block_size=len(text)),
            pacsv.ParseOptions(delimiter=separator.decode(), quote_char=False),
            pacsv.ConvertOptions(column_types=kinds, null_values=[], strings_can_be_null=False),
        ).combine_chunks()
    except pa.ArrowInvalid:
        _find_faults(rows, separator, first, columns, shown, findings)
        return Rows(np.empty((0, 4)))
    cells = [column.chunk(0) for column in table.columns]
    numbers = np.stack([column.to_numpy() for column in cells[first : first + 4]], axis=1)
    return Rows(numbers, cells[:first], cells[first + 4 :], header, separator.decode())


def _find_faults(
    rows: Sequence[tuple[int, bytes]], separator: bytes, first: int, columns: int, shown: str, findings: Findings
) -> None:
    want = f"4 numbers from column {first + 1}" if first else "4 numbers"
    for number, line in rows:
        row, where = _cells(line, separator), f"{shown}:{number}"
        if len(row) < first + 4:
            findings.add("bad-row", f"a row must have {want}", where=where, detail=f"{len(row)} columns")
        elif len(row) != columns:
            message = f"a row must have as many columns as the first, {columns}"
            findings.add("bad-row", message, where=where, detail=f"{len(row)} columns")
        else:
            odd = next((cell for cell in row[first : first + 4] if not _is_number(cell)), None)
            if odd is not None:
                findings.add("bad-number", "not a number", where=where, detail=odd or "empty")
    if not findings.errors:  # float() takes more than Arrow does, such as 1_000
        message = "a number is written in an unusual way"
        findings.add("bad-number", message, where=f"{shown}:{rows[0][0]}", detail="in the rows from here on")


def _write_text(blocks: Iterator[Rows], file: BinaryIO, target: BoxFormat, first: int) -> int:
    written = 0
    for rows in blocks:
        if rows.header:
            names = [*rows.header[:first], *coordinate_names(target), *rows.header[first + 4 :]]
            file.write((rows.separator.join(names) + "\n").encode())
        numbers = [pa.array(np.ascontiguousarray(column)).cast(pa.string()) for column in rows.boxes.T]
        lines = pc.binary_join_element_wise(*rows.before, *numbers, *rows.after, rows.separator)
        if len(lines):
            file.write(("\n".join(lines.to_pylist()) + "\n").encode())
        written += len(lines)
    return written


def _write_npy(blocks: Iterator[Rows], file: BinaryIO) -> int:
    """The array, its header written again once the number of rows is known: numpy leaves room there for it to
    grow.
    """
    written, kind = 0, np.dtype(np.float64)
    write_array_header_1_0(file, {"descr": kind.str, "fortran_order": False, "shape": (0, 4)})
    start = file.tell()
    for rows in blocks:
        file.write(np.ascontiguousarray(rows.boxes, dtype=kind).data)
        written += len(rows.boxes)
    file.seek(0)
    write_array_header_1_0(file, {"descr": kind.str, "fortran_order": False, "shape": (written, 4)})
    if file.tell() != start:
        raise AssertionError("the header of the npy file grew")
    return written
