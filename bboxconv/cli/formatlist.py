"""The formats as text and as data, for `bboxconv formats`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from bboxconv.cli import render
from bboxconv.codec import EVERYTHING, FormatInfo, Option
from bboxconv.errors import UsageError, printable
from bboxconv.registry import Listing
from bboxconv.report import VERSION
from bboxconv.suggest import did_you_mean

LOST_SHOWN = 6
COLUMNS = (8, 10, 8, 6, 14)
HEAD = ("format", "does", "box", "layout", "extensions", "cannot carry")


def named(name: str, listings: Sequence[Listing]) -> Listing:
    """The format of that name or alias; UsageError where there is none."""
    for listing in listings:
        if name == listing.name or (listing.info and name in listing.info.aliases):
            return listing
    known = [word for listing in listings for word in (listing.name, *(listing.info.aliases if listing.info else ()))]
    hint = did_you_mean(name, known) or "bboxconv formats lists them"
    raise UsageError.of("unknown-format", f"there is no format {name!r}", hint=hint)


def lost(info: FormatInfo) -> list[str]:
    """The fields that the format cannot carry, in the order of the model."""
    return sorted(EVERYTHING - info.carries)


def overview(listings: Iterable[Listing], width: int, paint: render.Paint) -> list[str]:
    """One row for each format."""
    widths = [*COLUMNS, max(width - sum(COLUMNS) - 2 * len(COLUMNS), 24)]
    first, *others = render.fold(HEAD, widths)
    lines = [paint("label", first), *others]
    for listing in listings:
        info = listing.info
        if info is None:
            lines.append(_broken(listing, paint))
            continue
        missing = lost(info)
        more = f", and {len(missing) - LOST_SHOWN} more" if len(missing) > LOST_SHOWN else ""
        loses = (", ".join(missing[:LOST_SHOWN]) + more or "nothing") if listing.writes else "-"
        cells = (listing.name, _does(listing), info.box, info.layout, " ".join(info.extensions), loses)
        lines += render.fold(cells, widths)
    return [*lines, "", "bboxconv formats NAME shows a format whole: what it loses, its options."]


def details(listing: Listing, width: int, paint: render.Paint) -> list[str]:
    """All that is known of one format."""
    info = listing.info
    if info is None:
        return [_broken(listing, paint)]
    rows = [
        ("format", f"{listing.name}: {info.title}"),
        ("aliases", ", ".join(info.aliases)),
        ("does", _does(listing)),
        ("layout", info.layout),
        ("files", " ".join(info.extensions)),
        ("box", info.box),
        ("loses", (", ".join(lost(info)) or "nothing") if listing.writes else ""),
        ("spec", info.spec),
        ("from", listing.distribution),
    ]
    lines = [line for label, text in rows for line in render.row(label, text, width, paint)]
    for title, options in (("--in", info.read_options), ("--out", info.write_options)):
        lines += ["", paint("label", f"{title} options")] if options else []
        for option in options:
            values = "|".join(option.choices) or option.form
            lines.append(
                f"  {option.name}={values} [{option.default}]" if option.default else f"  {option.name}={values}"
            )
            lines += [" " * 6 + line for line in textwrap.wrap(option.help, max(width - 6, 20), break_on_hyphens=False)]
    return lines


def document(listings: Iterable[Listing]) -> dict[str, object]:
    """The formats as plain types, for `--json`."""
    return {
        "version": VERSION,
        "command": "formats",
        "exit_code": 0,
        "formats": [_as_dict(listing) for listing in listings],
    }


def _broken(listing: Listing, paint: render.Paint) -> str:
    return f"{listing.name}  {paint('error', 'error')}: {printable(listing.error)} ({listing.distribution})"


def _does(listing: Listing) -> str:
    return " ".join(word for word, able in (("read", listing.reads), ("write", listing.writes)) if able)


def _as_dict(listing: Listing) -> dict[str, object]:
    info = listing.info
    if info is None:
        return {"name": listing.name, "provider": listing.distribution, "error": listing.error}
    return {
        "name": listing.name,
        "title": info.title,
        "aliases": list(info.aliases),
        "read": listing.reads,
        "write": listing.writes,
        "layout": info.layout,
        "extensions": list(info.extensions),
        "box": info.box,
        "cannot_carry": lost(info) if listing.writes else [],
        "read_options": [_option(option) for option in info.read_options],
        "write_options": [_option(option) for option in info.write_options],
        "spec": info.spec,
        "provider": listing.distribution,
    }


def _option(option: Option) -> dict[str, object]:
    return {
        "name": option.name,
        "default": option.default,
        "help": option.help,
        "choices": list(option.choices),
        "pattern": option.pattern,
    }
