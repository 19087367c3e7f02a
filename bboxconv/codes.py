"""What the code of each message means: the catalogue behind `bboxconv explain CODE`, kept in codes.txt.

An entry of codes.txt is a code, then an indented line with the cause and one with the remedy.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bboxconv.errors import UsageError
from bboxconv.report import VERSION
from bboxconv.suggest import did_you_mean


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a message appears, and what to do."""

    cause: str
    remedy: str


def catalogue() -> dict[str, Explanation]:
    """Every code with its explanation, in the order of the alphabet."""
    text = Path(__file__).with_name("codes.txt").read_text(encoding="utf-8")
    entries = (entry.splitlines() for entry in text.strip().split("\n\n"))
    return {code: Explanation(cause.strip(), remedy.strip()) for code, cause, remedy in entries}


def explain(code: str) -> Explanation:
    """The explanation of a code; UsageError, with the nearest one, for a word that is none."""
    known = catalogue()
    if code not in known:
        hint = did_you_mean(code, known) or "bboxconv explain lists all codes"
        raise UsageError.of("unknown-code", f"no message has the code {code!r}", hint=hint)
    return known[code]


def lines(known: Mapping[str, Explanation], width: int) -> list[str]:
    """Explanations as text, wrapped."""
    found = []
    for code, text in known.items():
        found.append(code)
        for label, words in (("cause", text.cause), ("remedy", text.remedy)):
            start = f"  {label + ':':<8}"
            found += textwrap.wrap(
                words, width, initial_indent=start, subsequent_indent=" " * 10, break_on_hyphens=False
            )
    return found


def document(known: Mapping[str, Explanation]) -> dict[str, object]:
    """Explanations as plain types, for `--json`."""
    rows = [{"code": code, "cause": text.cause, "remedy": text.remedy} for code, text in known.items()]
    return {"version": VERSION, "command": "explain", "exit_code": 0, "codes": rows}
