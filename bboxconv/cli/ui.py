"""The streams: colour, widths, machine documents, progress. Only this module uses rich, and only where work is
long.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TextIO

from bboxconv.cli import render
from bboxconv.cli.usage import Look
from bboxconv.errors import BboxconvError, Diagnostic, ExitCode, OutputError
from bboxconv.report import CONVERSIONS, VERSION, Inspection, Report

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from bboxconv.statistics import Statistics

STYLES: Mapping[str, str] = {
    "error": "\x1b[1;31m",
    "warning": "\x1b[1;33m",
    "note": "\x1b[1;36m",
    "done": "\x1b[1;32m",
    "label": "\x1b[1m",
}
WIDEST = 80
BAR_AFTER = 0.5
"""Seconds before a bar appears: short work shows none, and does not pay for loading it."""
BAR_EVERY = 0.1
LINE_EVERY = 10.0
"""Seconds between the plain lines of a log."""
SOONEST_RATE = 0.1
"""Seconds of work before it has a rate."""
WRITING = "writing"


def colored(stream: TextIO, choice: str) -> bool:
    """Whether this stream gets colour: `--color`, then NO_COLOR, FORCE_COLOR, TERM=dumb, then if it is a terminal."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def painter(stream: TextIO, choice: str) -> render.Paint:
    """What adds colour to text for this stream, or nothing."""
    if not colored(stream, choice):
        return lambda style, text: text
    return lambda style, text: f"{STYLES[style]}{text}\x1b[0m"


def width(stream: TextIO) -> int:
    """Columns to wrap at: COLUMNS, or the terminal's, never more than 80; 80 where there is no terminal."""
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given) > 0:
        return min(int(given), WIDEST)
    try:
        return min(os.get_terminal_size(stream.fileno()).columns or WIDEST, WIDEST)
    except (OSError, ValueError):
        return WIDEST


def say(lines: Iterable[str], stream: TextIO | None = None) -> None:
    """Write lines to stderr, or to another stream."""
    (stream or sys.stderr).write("".join(f"{line}\n" for line in lines))


def as_json(document: Mapping[str, object], *, pretty: bool) -> str:
    """A document as JSON text with a line end. Unprintable characters are escaped: they could drive a terminal."""
    separators = None if pretty else (",", ":")
    text = json.dumps(document, ensure_ascii=False, indent=2 if pretty else None, separators=separators)
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text) + "\n"


def publish(document: Mapping[str, object], look: Look) -> None:
    """Give the document to stdout (`--json`) and to a file (`--report`), there whole or not at all.

    Raises OutputError where the file cannot be written.
    """
    if look.report is not None:
        from bboxconv.staging import staged  # noqa: PLC0415 - loads pyarrow, as the report of a run has done

        try:
            with staged(look.report, "file", overwrite=True) as stage:
                stage.write_text(as_json(document, pretty=True), encoding="utf-8")
        except BboxconvError as error:  # the run itself may have ended well, and has another code
            told = [replace(d, message=d.message.replace("write:", "write the report:")) for d in error.diagnostics]
            raise OutputError(told) from error
    if look.json:
        sys.stdout.write(as_json(document, pretty=sys.stdout.isatty()))


def show_report(account: Report, look: Look) -> None:
    """The findings and the account of a run."""
    paint = painter(sys.stderr, look.color)
    say(render.diagnostics(account.findings, paint, look.verbose, look.hidden))
    lines = render.report(account, width(sys.stderr), look.verbose, paint)
    if not look.quiet:
        say(lines if account.command in CONVERSIONS or look.verbose else lines[-1:])
    elif account.exit_code == ExitCode.REFUSED:
        say(lines[-1:] if account.command == "verify" else [render.refusal(account.findings, account.command, paint)])
    publish(account.as_dict(), look)


def show_inspection(seen: Inspection, look: Look) -> None:
    """What a data set is, on stdout, and the odd things seen, on stderr."""
    paint = painter(sys.stdout, look.color)
    lines = [] if look.json else render.inspection(seen, look.verbose, width(sys.stdout), paint)
    _show_seen(lines, seen.findings, seen.as_dict(), look)


def show_statistics(found: Statistics, look: Look) -> None:
    """The figures of a data set, on stdout, and the odd things seen, on stderr."""
    from bboxconv.cli import histograms, statstable  # noqa: PLC0415 - of this command alone

    paint, marks = painter(sys.stdout, look.color), histograms.marks_for(sys.stdout.encoding or "")
    lines = [] if look.json else statstable.statistics(found, look.verbose, width(sys.stdout), paint, marks)
    told = [render.statistics(found, painter(sys.stderr, look.color))] if found.exit_code and not look.quiet else []
    _show_seen(lines, found.findings, found.as_dict(), look, told)


def _show_seen(
    lines: Sequence[str],
    findings: Sequence[Diagnostic],
    document: Mapping[str, object],
    look: Look,
    last: Sequence[str] = (),
) -> None:
    say(lines, sys.stdout)
    sys.stdout.flush()
    say([*render.diagnostics(findings, painter(sys.stderr, look.color), look.verbose, look.hidden), *last])
    publish(document, look)


def show_failure(error: BboxconvError, look: Look) -> None:
    """What went wrong, for the person and, where asked for, for the machine."""
    paint = painter(sys.stderr, look.color)
    say(render.diagnostics(error.diagnostics, paint, look.verbose, look.hidden))
    if error.exit_code == ExitCode.REFUSED:
        say([render.refusal(error.diagnostics, look.command, paint)])
    document = failure(error.exit_code, [d.as_dict() for d in error.diagnostics], look.command)
    publish({**document, **error.details}, look)


def failure(code: ExitCode, findings: Sequence[Mapping[str, object]], command: str) -> dict[str, object]:
    """The document of a run that ended before it had an account."""
    return {"version": VERSION, "command": command, "exit_code": int(code), "findings": list(findings)}


@dataclass(slots=True)
class Stage:
    """How far one stage is: `reading` of one source, or `writing`."""

    name: str
    total: int | None
    started: float
    done: int = 0


@dataclass(slots=True)
class Ticker:
    """Progress as the pipeline reports it: a bar on a terminal, else a plain line every ten seconds, or nothing.

    Where a format is written while it is read, the bar is that of the reading: both end together.
    """

    animate: bool
    bar: Bar | None = None
    task: TaskID | None = None
    stages: dict[str, Stage] = field(default_factory=dict)
    last: Stage | None = None
    drawn: Stage | None = None
    interleaved: bool = False
    shown: float = field(default_factory=time.monotonic)

    def __call__(self, stage: str, done: int, total: int | None, unit: str) -> None:
        """`done` more units of `total` in this stage; cheap when called often."""
        now = time.monotonic()
        state = self.stages.get(stage)
        if state is None or state.total != total or (total is not None and state.done >= total):
            state = self.stages[stage] = Stage(stage, total, now)
        state.done += done
        self.interleaved |= self.last is not None and self.last.name == WRITING != stage
        self.last = state
        if stage == WRITING and self.interleaved:
            return
        pause = LINE_EVERY if not self.animate else BAR_AFTER if self.bar is None else BAR_EVERY
        finished = self.bar is not None and state.done == total
        if now - self.shown < pause and not finished:
            return
        self.shown = now
        if self.animate:
            self._move(state, unit, now - state.started)
        else:
            say([plain_line(stage, state.done, total, unit, now - state.started)])

    def _move(self, state: Stage, unit: str, seconds: float) -> None:
        if self.bar is None:
            self.bar = _bar()
            self.bar.start()
        text = amount(state.done, state.total, unit, seconds) + ahead(state.done, state.total, seconds)
        if self.task is None or self.drawn is not state:
            for old in self.bar.task_ids:
                self.bar.remove_task(old)
            self.drawn = state
            self.task = self.bar.add_task(state.name, total=state.total, completed=state.done, amount=text)
        self.bar.update(self.task, completed=state.done, total=state.total, amount=text)

    def close(self) -> None:
        """Take the bar away."""
        if self.bar is not None:
            self.bar.stop()


def amount(done: int, total: int | None, unit: str, seconds: float) -> str:
    """`1.2 MB of 3.4 MB, 1.2 MB/s`, `12,345 of 118,287 images, 4,115 images/s`; no rate before there is one."""
    rate = done / seconds if seconds >= SOONEST_RATE else 0.0
    if unit == "bytes":
        of, speed = render.size, f", {render.size(int(rate))}/s" if rate else ""
        return f"{of(done)}{speed}" if total is None else f"{of(done)} of {of(total)}{speed}"
    so_far = f"{done:,}" if total is None else f"{done:,} of {total:,}"
    return f"{so_far} {unit}" + (f", {rate:,.0f} {unit}/s" if rate else "")


def ahead(done: int, total: int | None, seconds: float) -> str:
    """`, ETA 0:12` at the rate so far; nothing before there is one."""
    if total is None or not 0 < done <= total or seconds < SOONEST_RATE:
        return ""
    left = math.ceil((total - done) * seconds / done)
    hours, rest = divmod(left, 3600)
    return f", ETA {hours}:{rest // 60:02}:{rest % 60:02}" if hours else f", ETA {rest // 60}:{rest % 60:02}"


def plain_line(stage: str, done: int, total: int | None, unit: str, seconds: float) -> str:
    """One line of progress for a log."""
    share = f" ({done * 100 // total}%)" if total else ""
    return f"{stage}{share}: {amount(done, total, unit, seconds)}"


def _bar() -> Bar:
    from rich.console import Console  # noqa: PLC0415 - loaded only for work that is long and watched
    from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415

    console = Console(stderr=True, no_color=not colored(sys.stderr, "auto"), highlight=False)
    done = TextColumn("{task.fields[amount]}", markup=False)
    columns = (TextColumn("{task.description}"), BarColumn(14), done)
    return Progress(*columns, console=console, transient=True)


def nothing(stage: str, done: int, total: int | None, unit: str) -> None:
    """Progress that nobody wants to see."""


@contextmanager
def progress(look: Look) -> Iterator[Ticker | Callable[[str, int, int | None, str], None]]:
    """Progress on stderr while the block runs, cleared at its end."""
    if look.quiet:
        yield nothing
        return
    terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    ticker = Ticker(animate=terminal and not look.verbose)
    try:
        yield ticker
    finally:
        ticker.close()
