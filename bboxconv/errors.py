"""What can go wrong and how it is said: diagnostics, their collection, exceptions, exit codes.

Every message has one shape: a stable kebab-case code, a message, the places where it was seen and a hint. The same
code and message seen at many places is one diagnostic with a count and its first five places. `codes.py` explains
each code. Imports nothing of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Literal, Self

Severity = Literal["error", "warning", "note"]
FIRST_PLACES = 5


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
class Diagnostic:
    """One kind of thing that was seen `count` times, with its first places (of a fault: all of them)."""

    code: str
    message: str
    severity: Severity = "error"
    count: int = 1
    places: tuple[Place, ...] = ()
    hint: str = ""

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

    def diagnostic(self) -> Diagnostic:
        return replace(self.first, count=self.count, places=tuple(self.places))


@dataclass(slots=True)
class Findings:
    """Collects what a run sees, grouped by code and message, in order of first sight."""

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
    ) -> None:
        """Count one sight (or `count` of them, first seen at `where`)."""
        places = (Place(where, detail),) if where else ()
        self.merge([Diagnostic(code, message, severity, count, places, hint)])

    def add_each(
        self,
        code: str,
        message: str,
        rows: Sequence[int],
        place: Callable[[int], tuple[str, str]],
        *,
        severity: Severity = "error",
        hint: str = "",
        kept: int = FIRST_PLACES,
    ) -> None:
        """Count one sight for each row, the first `kept` with their places: `place` gives where and detail of a row."""
        for row in rows[:kept]:
            where, detail = place(row)
            self.add(code, message, severity=severity, where=where, detail=detail, hint=hint)
        if len(rows) > kept:
            self.add(code, message, severity=severity, hint=hint, count=len(rows) - kept)

    def merge(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Count the sights of another collection, such as a worker's, after those already here."""
        for new in diagnostics:
            sight = self._seen.get((new.code, new.message))
            if sight is None:
                self._seen[(new.code, new.message)] = _Sight(new, new.count, list(new.places))
                continue
            sight.count += new.count
            # the places of faults are kept whole: records are set aside by them
            if sight.first.severity == "error" or len(sight.places) < FIRST_PLACES:
                sight.places.extend(new.places)

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter([sight.diagnostic() for sight in self._seen.values()])

    def of(self, severity: Severity) -> tuple[Diagnostic, ...]:
        """The diagnostics of one severity."""
        return tuple(d for d in self if d.severity == severity)

    @property
    def errors(self) -> int:
        """How many faults were counted."""
        return sum(sight.count for sight in self._seen.values() if sight.first.severity == "error")


class BboxconvError(Exception):
    """Base of every error that bboxconv raises on purpose; carries its diagnostics and exit code."""

    exit_code = ExitCode.REFUSED

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__(self.diagnostics)

    @classmethod
    def of(cls, code: str, message: str, *, where: str = "", detail: str = "", hint: str = "") -> Self:
        """An error of one diagnostic."""
        return cls([Diagnostic(code, message, places=(Place(where, detail),) if where else (), hint=hint)])

    def __str__(self) -> str:
        lines = []
        for d in self.diagnostics:
            lines.append(f"{d.severity}[{d.code}]: {d.message}" + (f" ({d.count} times)" if d.count > 1 else ""))
            lines.extend(f"  {place}" for place in d.where)
            if d.hint:
                lines.append(f"  hint: {d.hint}")
        return "\n".join(lines)


class DataError(BboxconvError):
    """The data was refused; nothing was written."""


class UsageError(BboxconvError):
    """The command or call was wrong: a missing path, an unknown format, class or option."""

    exit_code = ExitCode.USAGE


class OutputError(BboxconvError):
    """Reading or writing failed: disk full, permission denied."""

    exit_code = ExitCode.IO
