"""What is shown to a person, as lines of text: diagnostics, the account of a run, an inspection, the formats.

Pure functions from data to lines; `paint(style, text)` adds colour where a stream has it. Text that comes from data
is escaped, so that a file name cannot drive the terminal. Errors and the last line are never wrapped: logs are
searched.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import TYPE_CHECKING
from unicodedata import combining, east_asian_width

from bboxconv.errors import FIRST_PLACES, Diagnostic, ExitCode, faults, printable
from bboxconv.report import CONVERSIONS, Counts, Inspection, Report, Side

if TYPE_CHECKING:
    from bboxconv.agreement import Agreement
    from bboxconv.page.run import PageReport
    from bboxconv.statistics import Statistics

Paint = Callable[[str, str], str]
"""Style (`error`, `warning`, `note`, `done`, `label`) and text to text."""

LABEL = 10
GLUE = "\xa0"
"""A blank at which lines are not broken; data cannot hold one here, since it is escaped."""
SHOWN_FIELDS = 8
SHOWN_CLASSES = 20


def count(number: int, noun: str) -> str:
    """`1 box`, `2 boxes`, `1,000 categories`."""
    if number == 1:
        return f"1 {noun}"
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun + ("es" if noun[-1] in "xs" else "s")
    return f"{number:,} {plural}"


def size(number: int) -> str:
    """Bytes in the unit that gives 1 to 999 of it: `42.1 kB`."""
    value = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.95:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def diagnostic(found: Diagnostic, paint: Paint, verbose: bool = False) -> list[str]:
    """One kind of finding: what, where it was seen first (`verbose`: wherever that is known), how often, what to
    do.
    """
    places = [str(place) for place in (found.places if verbose else found.places[:FIRST_PLACES])]
    times = f" ({count(found.count, 'time')})" if found.count > 1 else ""
    lines = [f"{paint(found.severity, f'{found.severity}[{found.code}]')}: {printable(found.message)}{times}"]
    lines += [f"  {printable(place)}" for place in places]
    if places and found.count > len(places):
        lines.append(f"  ... and {found.count - len(places):,} more")
    if found.hint:
        lines.append(f"  {paint('label', 'hint')}: {printable(found.hint)}")
    return lines


def diagnostics(
    findings: Iterable[Diagnostic], paint: Paint, verbose: bool = False, hide: Sequence[str] = ()
) -> list[str]:
    """All findings but those of hidden severities: notes first, errors last, next to the line that ends the run. Those
    of one code and one hint that follow each other have the hint once, behind the last.
    """
    rank = {"note": 0, "warning": 1, "error": 2}
    shown = sorted((d for d in findings if d.severity not in hide), key=lambda d: rank[d.severity])
    lines: list[str] = []
    for found, after in zip_longest(shown, shown[1:]):
        told_later = after is not None and (found.code, found.hint) == (after.code, after.hint)
        lines += diagnostic(replace(found, hint="") if told_later else found, paint, verbose)
    return lines


def refusal(findings: Sequence[Diagnostic], command: str, paint: Paint) -> str:
    """The last line of a run that refused its data."""
    after = ", nothing was written" if command in CONVERSIONS else ""
    return f"{paint('error', 'refused')}: {tally(findings)}{after}"


def tally(findings: Sequence[Diagnostic]) -> str:
    """How many errors and warnings there are: `3 errors, 1 warning`."""
    totals = [(sum(d.count for d in findings if d.severity == severity), severity) for severity in ("error", "warning")]
    return ", ".join(count(total, severity) for total, severity in totals if total)


def report(account: Report, width: int, verbose: bool, paint: Paint) -> list[str]:
    """The account of a conversion or validation, without its findings; the result is the last line."""
    lines = sources(account.sources, width, verbose, paint)
    lines += _items("read", _counts(account.read).split(", "), width, paint)
    rejects = [_reasons(account.rejected_images, "image"), _reasons(account.rejected_boxes, "box")]
    lines += row("rejected", "; ".join(reason for reason in rejects if reason), width, paint)
    lines += _items("filled", _fields(account.filled, verbose), width, paint)
    reasons = [_reasons(account.left_out_images, "image"), _reasons(account.left_out_boxes, "box")]
    lines += row("left out", "; ".join(reason for reason in reasons if reason), width, paint)
    lines += _items("lost", _fields(_weightiest(account.lost), verbose), width, paint)
    if verbose:
        lines += _items("switches", [f"{k}={v}" for k, v in account.switches.items()], width, paint)
    if account.next_step:
        lines += row("next", account.next_step, width, paint)
    if account.command == "verify" and account.verify is not None:
        return [*lines, _verified(account, account.verify, paint)]
    if account.verify is not None:
        lines += row("verified", agreement(account.verify), width, paint)
    return [*lines, _converted(account, paint) if account.command in CONVERSIONS else _validated(account, paint)]


def agreement(found: Agreement) -> str:
    """What was compared, and the largest error of a coordinate."""
    error = f"{found.error.pixels:.1g} px" if found.error.pixels else "0 px"
    if found.error.unsized:
        error = f"{found.error.units:.1g} units in the last place"
    return f"{count(found.images, 'image')}, {count(found.boxes, 'box')}, largest error {error}"


def _verified(account: Report, found: Agreement, paint: Paint) -> str:
    target = account.target or Side("", "")
    facts = ", ".join([agreement(found), f"{_formats(account.sources)} -> {target.format}", f"{account.seconds:.1f} s"])
    if found.same:
        return f"{paint('done', 'verified')}: {facts}"
    differences = sum(tally.differ for tally in (*found.unpaired.values(), *found.fields.values()))
    return f"{paint('error', 'different')}: {count(differences, 'difference')}; {facts}"


def _converted(account: Report, paint: Paint) -> str:
    target = account.target or Side("", "")
    formats = f"{_formats(account.sources)} -> {target.format}"
    where = "stdout" if target.path == "-" else printable(target.path)
    if account.dry_run:
        facts = ", ".join([_counts(account.written), formats, where, f"{account.seconds:.1f} s"])
        return f"{paint('done', 'dry run')}: {facts}; nothing was written, space and permissions were not tried"
    files = [count(account.files, "file")] if account.files > 1 else []
    facts = ", ".join(
        [_counts(account.written), formats, where, *files, size(account.bytes), f"{account.seconds:.1f} s"]
    )
    faults = sum(d.count for d in account.findings if d.severity == "error")
    if account.exit_code == ExitCode.SET_ASIDE:
        return f"{paint('warning', 'done')}, {count(faults, 'fault')} set aside: {facts}"
    return f"{paint('done', 'done')}: {facts}"


def _validated(account: Report, paint: Paint) -> str:
    facts = ", ".join([_counts(account.read), _formats(account.sources), f"{account.seconds:.1f} s"])
    found = tally(account.findings)
    if account.exit_code != ExitCode.DONE:
        return f"{paint('error', 'refused')}: {found}; {facts}"
    return f"{paint('done', 'ok')}: {facts}" + (f"; {found}" if found else "")


def inspection(seen: Inspection, verbose: bool, width: int, paint: Paint) -> list[str]:
    """What a data set is: its format and evidence, counts, splits, fields, classes."""
    lines = sources(seen.sources, width, True, paint)
    images = f"{seen.counts.images:,}"
    parts = [(seen.empty_images, "without boxes"), (seen.unannotated_images, "not annotated")]
    detail = ", ".join(f"{number:,} {what}" for number, what in parts if number)
    lines += row("images", f"{images} ({detail})" if detail else images, width, paint)
    lines += row("boxes", f"{seen.counts.boxes:,}, as {seen.box}", width, paint)
    lines += row("classes", f"{seen.counts.categories:,}", width, paint)
    if seen.splits:
        rows = [[name, count(c.images, "image"), count(c.boxes, "box")] for name, c in seen.splits.items()]
        lines += _listed("splits", rows, paint)
    lines += _items("fields", _fields(seen.fields, verbose), width, paint)
    lines += _items("also", seen.header, width, paint)
    if not seen.classes:
        return lines
    limit = len(seen.classes) if verbose else SHOWN_CLASSES
    rows = [["class", "id", "boxes"]]
    rows += [
        [name, "-" if number is None else str(number), f"{boxes:,}"] for name, number, boxes in seen.classes[:limit]
    ]
    first, *others = table(rows, right=(1, 2))
    lines += ["", paint("label", first), *others]
    if len(seen.classes) > limit:
        lines.append(f"... and {len(seen.classes) - limit:,} more, -v lists all")
    return lines


def columns(text: str) -> int:
    """How many columns of a terminal a text takes: two for a wide character, none for one that combines."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def table(rows: Sequence[Sequence[str]], right: Sequence[int] = (), most: int | None = None) -> list[str]:
    """Rows as columns two blanks apart; those numbered in `right` end at one edge. A first cell of more than `most`
    columns moves the rest of its own row alone."""
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(columns, column)) for column in zip(*cells, strict=True)]
    widths[0] = min(widths[0], most or widths[0])
    return [
        "  ".join(
            " " * (w - columns(c)) + c if i in right else c + " " * (w - columns(c))
            for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


def fold(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    """One row of a table as lines, each cell wrapped within its width."""
    columns = [textwrap.wrap(cell, w, break_on_hyphens=False) or [""] for cell, w in zip(cells, widths, strict=True)]
    height = max(len(column) for column in columns)
    padded = [[*column, *[""] * (height - len(column))] for column in columns]
    return [
        "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in zip(*padded, strict=True)
    ]


def sources(sides: Sequence[Side], width: int, evidence: bool, paint: Paint) -> list[str]:
    """What was read, a source beside a label or below it."""
    lines: list[str] = []
    for side in sides:
        split = f" as {side.split}" if side.split else ""
        reason = f" ({side.evidence})" if side.evidence and (evidence or len(sides) == 1) else ""
        lines += row("from" if not lines else "", f"{side.format} {side.path}{split}{reason}", width, paint)
    return lines


def page(made: PageReport, paint: Paint) -> str:
    """What a page has, in one line."""
    found = f"{_counts(made.counts)}, {count(made.thumbnails, 'thumbnail')}"
    same = "" if made.same is None else ", DST agrees" if made.same else ", DST differs"
    where = "stdout" if made.page == "-" else printable(made.page)
    return f"{_done(made.findings, 'done', paint)}: {found}{same}, {where}, {size(made.bytes)}, {made.seconds:.1f} s"


def statistics(found: Statistics, paint: Paint) -> str:
    """The last line of statistics that are not of all that the sources have."""
    counted = f"{count(found.all.images, 'image')}, {count(found.all.boxes, 'box')}"
    return f"{_done(found.findings, 'counted', paint)}: {counted}, {found.seconds:.1f} s"


def _done(findings: Sequence[Diagnostic], done: str, paint: Paint) -> str:
    aside = faults(findings)
    return f"{paint('warning', done)}, {count(aside, 'fault')} set aside" if aside else paint("done", done)


def _formats(sources: Sequence[Side]) -> str:
    return " + ".join(dict.fromkeys(side.format for side in sources))


def _counts(counts: Counts) -> str:
    pairs = ((counts.images, "image"), (counts.boxes, "box"), (counts.categories, "category"))
    return ", ".join(count(number, noun) for number, noun in pairs)


def _weightiest(fields: Mapping[str, int]) -> dict[str, int]:
    """Fields of objects first and extra keys last: what matters must not hide behind `and 6 more`."""
    return dict(sorted(fields.items(), key=lambda pair: 2 if "extra" in pair[0] else not pair[0].startswith("object.")))


def _fields(fields: Mapping[str, int], verbose: bool) -> list[str]:
    pairs = [f"{name} {number:,}" for name, number in fields.items()]
    if verbose or len(pairs) <= SHOWN_FIELDS + 1:
        return pairs
    return [*pairs[:SHOWN_FIELDS], f"and {len(pairs) - SHOWN_FIELDS} more fields (-v lists all)"]


def _reasons(reasons: Mapping[str, int], noun: str) -> str:
    if not reasons:
        return ""
    each = ", ".join(reason if len(reasons) == 1 else f"{reason} {number:,}" for reason, number in reasons.items())
    return f"{count(sum(reasons.values()), noun)}: {each}"


def row(label: str, text: str, width: int, paint: Paint) -> list[str]:
    """A label and its text, wrapped beside it; nothing where there is no text."""
    return _beside(label, printable(text), width, paint)


def _items(label: str, items: Sequence[str], width: int, paint: Paint) -> list[str]:
    """A label and items that are wrapped between, not within."""
    return _beside(label, ", ".join(printable(item).replace(" ", GLUE) for item in items), width, paint)


def _beside(label: str, text: str, width: int, paint: Paint) -> list[str]:
    if not text:
        return []
    room = max(width - LABEL, 20)
    wrapped = textwrap.wrap(text, room, break_on_hyphens=False, break_long_words=False) or [""]
    first, *others = (line.replace(GLUE, " ") for line in wrapped)
    return [paint("label", f"{label:<{LABEL}}") + first, *(" " * LABEL + line for line in others)]


def _listed(label: str, rows: Sequence[Sequence[str]], paint: Paint) -> list[str]:
    first, *others = table(rows)
    return [paint("label", f"{label:<{LABEL}}") + first, *(" " * LABEL + line for line in others)]
