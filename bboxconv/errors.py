"""What can go wrong and how it is said: diagnostics, their collection, exceptions, exit codes.

Every message has one shape: a stable kebab-case code, a message, the places where it was seen and a hint. The same
code and message seen at many places is one diagnostic with a count and its first five places. `codes.py` explains
each code. Imports nothing of ours.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Literal, Self

Severity = Literal["error", "warning", "note"]
FIRST_PLACES = 5
MOST_RAW = 2000
"""Bytes of a record's text that are kept; a mark says how many there were."""


class ExitCode(IntEnum):
    """What a run of the command line ends with; documented in the README and in `--help`."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    SET_ASIDE = 3
    DIFFERENT = 4
    BUG = 70
    IO = 74
    HUNG_UP = 129
    INTERRUPTED = 130
    TERMINATED = 143


def printable(text: str) -> str:
    """Text from a file as it may be shown on a terminal: control characters and lone surrogates are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii") for c in text)


def shortened(text: str) -> str:
    """Text of a file as it may be quoted: 60 characters at most."""
    return text if len(text) <= 60 else text[:57] + "..."


@dataclass(frozen=True, slots=True)
class Place:
    """One place where something was seen: `a.json: $.annotations[37].bbox`, `a.xml:14`, `labels/a.txt:3`."""

    where: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.detail}" if self.detail else self.where


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a source that cannot be used: its file, the line (from 1) or the pointer (`$.annotations[37].bbox`)
    where it stands, and its text as it stands there (see `cut`), where that is known."""

    file: str
    line: int = 0
    pointer: str = ""
    raw: bytes | None = None

    @property
    def where(self) -> str:
        """The place as messages show it."""
        if self.line:
            return f"{self.file}:{self.line}"
        return f"{self.file}: {self.pointer}" if self.pointer else self.file


def cut(text: bytes) -> bytes:
    """As much of a text as a list of rejects can want, so that no more of it is sent or held."""
    return text if len(text) <= MOST_RAW else _marked(text)


def _marked(text: bytes) -> bytes:
    stop = MOST_RAW
    while stop > MOST_RAW - 4 and text[stop] & 0xC0 == 0x80:  # a character is not cut in two
        stop -= 1
    return text[:stop] + f"... ({len(text):,} bytes)".encode()


def _reject(code: str, message: str, where: str, detail: str, record: Record | None) -> bytes:
    """A line of `--rejects`: bytes of `raw` that are no UTF-8 are written as backslash, x and two digits."""
    at = record or Record("")
    row = {
        "file": at.file or None,
        "line": at.line or None,
        "pointer": at.pointer or None,
        "where": where,
        "code": code,
        "message": message,
        "detail": detail,
        "raw": None if at.raw is None else at.raw.decode("utf-8", "backslashreplace"),
    }
    try:
        return (json.dumps(row, ensure_ascii=False) + "\n").encode()
    except UnicodeEncodeError:  # the name of a file is no text
        return (json.dumps(row) + "\n").encode()


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One kind of thing that was seen `count` times, with its first places."""

    code: str
    message: str
    severity: Severity = "error"
    count: int = 1
    places: tuple[Place, ...] = ()
    hint: str = ""
    images: int = 0
    """How many images were left out for it."""
    boxes: int = 0
    """How many boxes were left out for it, those of such images among them where they are known."""
    late: bool = False
    """These had been read, and were left out when writing."""
    numbers: tuple[int, ...] = field(default=(), compare=False, repr=False)
    """What such images are known by: `codec.Encoding.number` of each. Their values, which had been counted, are taken
    back."""
    rejects: bytes = field(default=b"", compare=False, repr=False)
    """The lines of `--rejects` that a task has made, on their way to the process that collects them."""

    @property
    def where(self) -> tuple[str, ...]:
        """The first places as text."""
        return tuple(str(place) for place in self.places[:FIRST_PLACES])

    def as_dict(self) -> dict[str, object]:
        """The diagnostic as plain types, for `--json` and `--report`."""
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "count": self.count,
            "places": [{"where": p.where, "detail": p.detail} if p.detail else {"where": p.where} for p in self.places],
            "hint": self.hint,
        }


@dataclass(slots=True)
class _Sight:
    """A diagnostic that is still growing."""

    first: Diagnostic
    count: int
    places: list[Place]
    images: int
    boxes: int
    numbers: list[int] = field(default_factory=list)
    rejects: list[bytes] = field(default_factory=list)

    def diagnostic(self) -> Diagnostic:
        return replace(
            self.first,
            count=self.count,
            places=tuple(self.places),
            images=self.images,
            boxes=self.boxes,
            numbers=tuple(self.numbers),
            rejects=b"".join(self.rejects),
        )


Collect = Callable[[str, str, bytes], None]
"""Takes the code, the message and the lines of `--rejects` for records that were set aside."""


@dataclass(slots=True)
class Findings:
    """Collects what a run sees, grouped by code and message, in order of first sight: counts and first places."""

    recording: bool = False
    """Whether faults are also made lines of `--rejects`, for `collect`, or for whom these findings are sent to."""
    collect: Collect | None = None
    limit: int | None = None
    """How many faults there may be."""
    kept: int = FIRST_PLACES
    """How many places of each diagnostic are kept."""
    _seen: dict[tuple[str, str], _Sight] = field(default_factory=dict)

    def add(
        self,
        code: str,
        message: str,
        *,
        severity: Severity = "error",
        where: str = "",
        detail: str = "",
        hint: str = "",
        count: int = 1,
        record: Record | None = None,
        images: int = 0,
        boxes: int = 0,
        late: bool = False,
        numbers: Sequence[int] = (),
    ) -> None:
        """Count one sight (or `count` of them, first seen at `where`, or where the `record` stands)."""
        where = where or (record.where if record else "")
        places = (Place(where, detail),) if where else ()
        lines = b""
        if self.recording and severity == "error":
            lines = _reject(code, message, where, detail, record)
        own = tuple(numbers)
        self.merge([Diagnostic(code, message, severity, count, places, hint, images, boxes, late, own, lines)])

    def add_each(
        self,
        code: str,
        message: str,
        rows: Sequence[int],
        place: Callable[[int], tuple[Record | str, str]],
        *,
        severity: Severity = "error",
        hint: str = "",
        boxes: int = 0,
    ) -> None:
        """Count one sight for each row, with the first places: `place` gives record (or where) and detail of a row.
        Each sight costs so many `boxes`."""
        known = len(rows) if self.recording and severity == "error" else self.kept
        for row in rows[:known]:
            at, detail = place(row)
            where, record = (at, None) if isinstance(at, str) else ("", at)
            self.add(
                code, message, severity=severity, where=where, detail=detail, hint=hint, record=record, boxes=boxes
            )
        if rest := len(rows[known:]):
            self.merge([Diagnostic(code, message, severity, rest, (), hint, boxes=rest * boxes)])

    def merge(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Count the sights of another collection, such as a worker's, after those already here.

        Raises TooManyError where there are more faults than the limit.
        """
        for new in diagnostics:
            sight = self._seen.get((new.code, new.message))
            if sight is None:
                first = replace(new, numbers=(), rejects=b"")
                sight = self._seen[(new.code, new.message)] = _Sight(first, 0, [], 0, 0)
            sight.count += new.count
            sight.images += new.images
            sight.boxes += new.boxes
            sight.numbers += new.numbers
            if len(sight.places) < self.kept:
                sight.places.extend(new.places[: self.kept - len(sight.places)])
            if self.recording and new.severity == "error":
                lines = new.rejects or b"".join(_reject(new.code, new.message, *_said(p), None) for p in new.places)
                if self.collect is None:
                    sight.rejects.append(lines)
                else:
                    self.collect(new.code, new.message, lines)
        if self.limit is not None and self.errors > self.limit:
            message = f"stopped after {self.errors:,} errors: --max-errors is {self.limit:,}"
            raise TooManyError([*self, Diagnostic("too-many-errors", message)])

    @contextmanager
    def deaf(self) -> Iterator[None]:
        """Count nothing meanwhile: what is read again is seen again."""
        seen, limit, collect = self._seen, self.limit, self.collect
        self._seen, self.limit, self.collect = {}, None, lambda *_: None
        try:
            yield
        finally:
            self._seen, self.limit, self.collect = seen, limit, collect

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter([sight.diagnostic() for sight in self._seen.values()])

    def of(self, severity: Severity) -> tuple[Diagnostic, ...]:
        """The diagnostics of one severity."""
        return tuple(d for d in self if d.severity == severity)

    @property
    def errors(self) -> int:
        """How many faults were counted."""
        return sum(sight.count for sight in self._seen.values() if sight.first.severity == "error")


def faults(findings: Iterable[Diagnostic]) -> int:
    """How many faults there are: records that could not be used as they are."""
    return sum(found.count for found in findings if found.severity == "error")


def exit_code_of(findings: Iterable[Diagnostic]) -> ExitCode:
    """What a look at data ends with: SET_ASIDE where there are faults, as what is shown is without them."""
    return ExitCode.SET_ASIDE if faults(findings) else ExitCode.DONE


def _said(place: Place) -> tuple[str, str]:
    return place.where, place.detail


class BboxconvError(Exception):
    """Base of every error that bboxconv raises on purpose; carries its diagnostics and exit code."""

    exit_code = ExitCode.REFUSED
    details: Mapping[str, object] = {}
    """What the JSON document of the run says beside the diagnostics."""

    def __init__(self, diagnostics: Iterable[Diagnostic] | str) -> None:
        """`diagnostics` may be text: torch's DataLoader raises anew what a worker raised, with its text alone."""
        self.diagnostics = () if isinstance(diagnostics, str) else tuple(diagnostics)
        super().__init__(diagnostics if isinstance(diagnostics, str) else self.diagnostics)

    @classmethod
    def of(cls, code: str, message: str, *, where: str = "", detail: str = "", hint: str = "") -> Self:
        """An error of one diagnostic."""
        return cls([Diagnostic(code, message, places=(Place(where, detail),) if where else (), hint=hint)])

    def __str__(self) -> str:
        lines = [text for text in self.args if isinstance(text, str)]
        for d in self.diagnostics:
            lines.append(f"{d.severity}[{d.code}]: {d.message}" + (f" ({d.count} times)" if d.count > 1 else ""))
            lines.extend(f"  {place}" for place in d.where)
            if d.hint:
                lines.append(f"  hint: {d.hint}")
        return "\n".join(lines)


class DataError(BboxconvError):
    """The data was refused; nothing was written."""


class TooManyError(DataError):
    """There are more faults than the user wants to wait for."""


class UsageError(BboxconvError):
    """The command or call was wrong: a missing path, an unknown format, class or option."""

    exit_code = ExitCode.USAGE


class OutputError(BboxconvError):
    """Reading or writing failed: disk full, permission denied."""

    exit_code = ExitCode.IO
