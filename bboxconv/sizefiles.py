"""Tables of image sizes: csv and Parquet files with a name, a width and a height in each row."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv.errors import UsageError
from bboxconv.io import BOM, base_suffix, given_file, open_input
from bboxconv.readers.parquetpages import refuse_bomb

LARGEST = 2**31 - 1
NEWLINE = b"\n"
SPELLINGS = {
    "name": (
        *("filename", "file", "image", "imagename", "imagefile", "imagepath", "filepath", "path", "name"),
        *("img", "imgname", "imgpath", "fname"),
    ),
    "width": ("width", "w", "imagewidth", "imgwidth", "imwidth", "imagew", "imgw"),
    "height": ("height", "h", "imageheight", "imgheight", "imheight", "imageh", "imgh"),
    "id": ("imageid",),
}
"""The names of each column in order of preference, without case, space, `_`, `-` and `.`. A plain `id` is not among
them: in a table with a row per box it is the box's."""
HINT = "a size table has the columns filename,width,height"


@dataclass(frozen=True, slots=True)
class SizeRows:
    """The rows of a table: names (N,), sizes (N,) packed as width << 32 | height (0: not given), ids (N,) if any."""

    names: pa.StringArray
    sizes: NDArray[np.int64]
    ids: pa.Int64Array | None
    place: Callable[[int], str]
    """Where a row stands: `a.csv:14`, `a.parquet: row 13`; reads the lines again, so for errors only."""


def read_sizes(path: Path, max_expansion: float | None = None) -> SizeRows:
    """Read a table of sizes; compressed csv is read too, with commas, semicolons or tabs.

    The columns are found by the usual spellings: filename, file_name, image, path ...; width, w ...; height, h ...;
    image_id, which is an id where every row holds an integer, and the name where there is no other. A csv file of
    three columns without a header is name, width, height. Whole numbers may be written `640.0`; an empty or NaN side
    is not given.

    Raises UsageError: `path-not-found`; `bad-size-table` for missing columns and, with its line, a row that cannot be
    read or a side that is no whole number from 1 to 2,147,483,647. Raises DataError where the file unpacks to more than
    `max_expansion` says (`io.open_input`).
    """
    try:
        with given_file(path):
            return (
                _read_parquet(path, max_expansion)
                if base_suffix(path) == ".parquet"
                else _read_csv(path, max_expansion)
            )
    except pa.ArrowInvalid as error:
        raise _refused(str(path), str(error).splitlines()[0], HINT) from error


def _read_parquet(path: Path, max_expansion: float | None) -> SizeRows:
    import pyarrow.parquet as pq  # noqa: PLC0415 - few runs have such a table

    with path.open("rb") as file:
        parquet = pq.ParquetFile(file)
        header = parquet.schema_arrow.names
        found = _columns(header, path)
        names = [header[i] for i in found.values()]
        refuse_bomb(path, names, max_expansion, str(path))
        table = parquet.read(columns=names)
    return _rows({role: table.column(header[i]) for role, i in found.items()}, lambda row: f"{path}: row {row}")


def _read_csv(path: Path, max_expansion: float | None) -> SizeRows:
    import pyarrow.csv as pacsv  # noqa: PLC0415 - as above

    with open_input(path, max_expansion) as file:
        data = file.read().removeprefix(BOM).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    try:
        data.decode()
    except UnicodeDecodeError as error:
        where = f"{path}:{data.count(NEWLINE, 0, error.start) + 1}"
        raise _refused(where, "the file is not UTF-8 text", "save it as UTF-8") from error
    first, _, rest = data.lstrip(NEWLINE).partition(NEWLINE)
    delimiter = max(",;\t", key=first.decode().count)
    header = next(csv.reader([first.decode()], delimiter=delimiter, skipinitialspace=True), [])
    headless = len(header) == 3 and all(_is_number(cell) for cell in header[1:])
    found = {"name": 0, "width": 1, "height": 2} if headless else _columns(header, path)

    def place(row: int) -> str:
        filled = (number for number, line in enumerate(data.split(NEWLINE), 1) if line)
        return f"{path}:{next(islice(filled, row + (0 if headless else 1), None))}"

    faults: list[tuple[int, int]] = []

    def note(row: pacsv.InvalidRow) -> str:
        faults.append((row.number - 1, row.actual_columns))
        return "skip"

    names = [f"f{i}" for i in range(len(header))]
    body = data if headless else rest
    table = pacsv.read_csv(
        pa.BufferReader(
            body if body.strip(NEWLINE) else b"," * (len(header) - 1) + NEWLINE
        ),  # no row at all is refused
        pacsv.ReadOptions(column_names=names, use_threads=False),
        pacsv.ParseOptions(delimiter=delimiter, invalid_row_handler=note),
        pacsv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
    )
    if faults:
        row, columns = faults[0]
        raise _refused(place(row), f"a row has {columns} columns, not {len(header)}", HINT)
    return _rows({role: table.column(i) for role, i in found.items()}, place)


def _rows(columns: Mapping[str, pa.ChunkedArray], place: Callable[[int], str]) -> SizeRows:
    whole = {role: column.combine_chunks() for role, column in columns.items()}
    width, height = (_side(whole[role], role, place) for role in ("width", "height"))
    sizes = np.where((width > 0) & (height > 0), width << 32 | height, 0)
    names = _text(whole["name" if "name" in whole else "id"])
    ids = None if "id" not in whole else _text(whole["id"])
    if ids is not None:
        integers = pc.match_substring_regex(ids, "^-?[0-9]{1,18}$")
        ids = ids.cast(pa.int64()) if pc.all(integers).as_py() else None
    return SizeRows(names, sizes, ids, place)


def _text(column: pa.Array) -> pa.StringArray:
    return pc.utf8_trim_whitespace(column.cast(pa.string()))


def _side(column: pa.Array, role: str, place: Callable[[int], str]) -> NDArray[np.int64]:
    """The numbers of a column; 0 where not given."""
    if pa.types.is_integer(column.type) and not column.null_count:
        given: NDArray[np.integer] = column.to_numpy()
        if not len(given) or 1 <= given.min() <= given.max() <= LARGEST:
            return given.astype(np.int64)
    text = _text(column)
    words = pa.array(["", "nan", "null", "none"])
    absent = pc.is_in(pc.utf8_lower(pc.fill_null(text, "")), value_set=words).to_numpy(zero_copy_only=False)
    whole = pc.match_substring_regex(pc.fill_null(text, ""), r"^[0-9]{1,10}(\.0*)?$").to_numpy(zero_copy_only=False)
    numbers = pc.if_else(pa.array(whole), text, "0").cast(pa.float64()).to_numpy(zero_copy_only=False)
    bad = ~absent & ((numbers < 1) | (numbers > LARGEST))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise _refused(
            place(row), f"{text[row].as_py()!r} is no {role} in pixels", "a whole number from 1 to 2147483647"
        )
    sides: NDArray[np.int64] = numbers.astype(np.int64)
    return sides


def _columns(header: Sequence[str], path: Path) -> dict[str, int]:
    """The position of each column that is there, by its role."""
    plain = [cell.strip().lower().translate(dict.fromkeys(map(ord, " _-."))) for cell in header]
    found = {
        role: plain.index(next(word for word in words if word in plain))
        for role, words in SPELLINGS.items()
        if any(word in plain for word in words)
    }
    lacking = [role for role in ("width", "height") if role not in found]
    if "name" not in found and "id" not in found:
        lacking.insert(0, "filename")
    if lacking:
        seen = ", ".join(repr(cell) for cell in header[:10]) or "nothing"
        raise _refused(str(path), f"the table has no column {' and no '.join(lacking)}; it has {seen}", HINT)
    return found


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _refused(where: str, message: str, hint: str) -> UsageError:
    return UsageError.of("bad-size-table", message, where=where, hint=hint)
