"""What the code of each message means: the catalogue behind `bboxconv explain CODE`."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

from bboxconv.errors import UsageError
from bboxconv.report import VERSION
from bboxconv.suggest import did_you_mean


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a message appears, and what to do."""

    cause: str
    remedy: str


CODES: Mapping[str, Explanation] = {
    "bad-command-line": Explanation(
        "The words of the command do not fit together.",
        "See the command's --help; its first lines are examples.",
    ),
}


def explain(code: str) -> Explanation:
    """The explanation of a code; UsageError, with the nearest one, for a word that is none."""
    if code not in CODES:
        hint = did_you_mean(code, CODES) or "bboxconv explain lists all codes"
        raise UsageError.of("unknown-code", f"no message has the code {code}", hint=hint)
    return CODES[code]


def lines(known: Mapping[str, Explanation], width: int) -> list[str]:
    """Explanations as text; many as a list of codes and causes."""
    found = []
    for code, text in known.items():
        found.append(code)
        found += textwrap.wrap(
            text.cause, width, initial_indent="  cause: ", subsequent_indent="         ", break_on_hyphens=False
        )
        found += textwrap.wrap(
            text.remedy, width, initial_indent="  remedy: ", subsequent_indent="          ", break_on_hyphens=False
        )
    return found


def document(known: Mapping[str, Explanation]) -> dict[str, object]:
    """Explanations as plain types, for `--json`."""
    rows = [{"code": code, "cause": text.cause, "remedy": text.remedy} for code, text in known.items()]
    return {"version": VERSION, "command": "explain", "exit_code": 0, "codes": rows}
