"""The first row of a csv file: what separates cells, what the columns are called, and whether it is a header."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from bboxconv.boxcolumns import Columns, columns_of
from bboxconv.boxformat import Kind
from bboxconv.codec import Match
from bboxconv.errors import DataError, UsageError
from bboxconv.io import BOM

SEPARATORS = ",;\t|"
RETINANET = ("path", "x1", "y1", "x2", "y2", "class")
TFOD = frozenset({"filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"})
_NUMBER = re.compile(r"\s*[+-]?([0-9]+[.,]?[0-9]*|[.,][0-9]+)([eE][+-]?[0-9]+)?\s*")
_COMMA = re.compile(r"\s*[+-]?[0-9]*,[0-9]+\s*")
_THOUSANDS = re.compile(r"\s*[+-]?[1-9][0-9]{0,2}(,[0-9]{3})+\s*")
_QUOTED_COMMA = re.compile(rb'"\s*[+-]?[0-9]*,[0-9]+\s*"')
_EXCEL = re.compile(rb"sep=(.)\r?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Heading:
    """What the first row says. `skipped` lines stand before the first row of boxes."""

    separator: str
    names: tuple[str, ...]
    skipped: int
    spaced: bool
    """A blank stands behind each separator."""


def heading_of(start: bytes, header: str = "auto", shown: str = "", *, numbered: bool = False) -> Heading:
    """The heading of a file that begins with these lines, the last of them whole. `header` is yes, no or auto.
    `numbered`: without one, columns are `column1` and so on.

    Raises DataError where the text is no UTF-8, or its lines do not end with LF.
    """
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        hint = "save it as UTF-8"
        raise DataError.of("bad-encoding", "the file is UTF-16: text is UTF-8", where=shown, hint=hint)
    lines = start.removeprefix(BOM).split(b"\n")
    number = next((n for n, line in enumerate(lines) if line.strip()), len(lines) - 1)
    excel = _EXCEL.fullmatch(lines[number])
    if excel and number + 1 < len(lines):
        number += 1
    raw = lines[number].removesuffix(b"\r")
    if b"\r" in raw:
        hint = "save it with LF or CRLF at the end of lines"
        raise DataError.of("bad-row", "lines end with CR alone", where=f"{shown}:1", hint=hint)
    try:
        line = raw.decode()
        given = excel[1].decode() if excel else ""
    except UnicodeDecodeError as error:
        where = f"{shown}:{number + 1}"
        raise DataError.of("bad-encoding", "the header is not UTF-8", where=where, hint="save it as UTF-8") from error
    separator = given or max(SEPARATORS, key=line.count)
    cells = _cells(line, separator)
    bare = header == "no" or (header == "auto" and _is_row(cells))
    spaced = len(cells) > 1 and all(cell.startswith(" ") for cell in cells[1:])
    if bare:
        places = tuple(f"column{n + 1}" for n in range(len(cells)))
        names = RETINANET if len(cells) == len(RETINANET) and not numbered else places
        return Heading(separator, names, number, spaced)
    names = tuple(cell.strip() for cell in cells)
    return Heading(separator, (names[0].lstrip("#").lstrip(), *names[1:]), number + 1, spaced)


def _cells(line: str, separator: str) -> list[str]:
    with suppress(csv.Error):
        return next(csv.reader([line], delimiter=separator), [""]) or [""]
    return line.split(separator)


def _is_row(cells: list[str]) -> bool:
    """Whether these are the cells of keras-retinanet: a path, four numbers and a class, or a path alone."""
    if len(cells) != len(RETINANET) or not cells[0].strip() or _NUMBER.fullmatch(cells[0]):
        return False
    box = cells[1:5]
    return all(_NUMBER.fullmatch(cell) for cell in box) or not any(cell.strip() for cell in cells[1:])


def evidence(head: bytes, *, sure: bool) -> Match | None:
    """Whether a file that begins so is a table of boxes; `sure`: its name says that it is csv."""
    if head.lstrip()[:1] in (b"{", b"[", b"<", b"") or b"\n" not in head + b"\n" * sure:
        return None
    try:
        heading = heading_of(head.partition(b"\n")[0] if head.count(b"\n") == 1 else head)
    except DataError:
        return None
    if heading.names == RETINANET and heading.skipped == 0:
        return Match(0.6, "rows of a path, four numbers and a class") if sure else None
    try:
        columns_of(heading.names)
    except UsageError as error:
        if error.diagnostics[0].code == "ambiguous-columns":  # the reader says which
            return Match(0.6, "a header with several columns for one field") if sure else None
        return None
    if {*heading.names} == TFOD:
        return Match(0.95, "the header of TFOD csv")
    return Match(0.9 if sure else 0.8, f"a header with an image and a box: {','.join(heading.names)[:60]}")


def has_decimal_commas(rows: bytes, separator: str, found: Columns) -> bool:
    """Whether a number of a box or a score in these rows has a decimal comma, as in `"1,5"`. `"1,024"` is none: it may
    be a thousand and more."""
    if not _QUOTED_COMMA.search(rows) or len(found.box) != 4:
        return False
    places = [*found.box, *(found.places[name] for name in ("score", "area") if name in found.places)]
    text = rows.decode(errors="replace").splitlines()
    with suppress(csv.Error):
        for cells in csv.reader(text, delimiter=separator):
            numbers = [cells[place] for place in places if place < len(cells)]
            if any(_COMMA.fullmatch(cell) and not _THOUSANDS.fullmatch(cell) for cell in numbers):
                return True
    return False


def columns(heading: Heading, given: str, kind: Kind | None, shown: str) -> Columns:
    """The columns of a file; `given` is the option `columns`. Raises UsageError as `columns_of`."""
    chosen: Mapping[str, str] = {}
    if given:
        pairs = [part.partition(":") for part in given.split(",")]
        chosen = {field.strip(): name.strip() for field, _, name in pairs}
    return columns_of(heading.names, chosen, kind, where=shown)
