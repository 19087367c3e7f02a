"""The words of an expression: numbers, texts, names and signs, each with its place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from bboxconv.errors import UsageError, shortened

LONGEST = 10_000
"""Characters that an expression may have."""
KEYWORDS = ("and", "or", "not", "in", "like", "matches", "between", "is", "null", "true", "false")
Kind = Literal["number", "text", "name", "keyword", "sign", "end"]

_WORD = re.compile(
    r"""\s*(?:
    (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?(?![0-9A-Za-z_]))
    |(?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<sign><=|>=|<>|!=|==|[=<>()+\-*/,])
    |(?P<end>\Z))""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Word:
    """A word of an expression. `text` is what it says: a keyword in small letters, a text without its quotes."""

    kind: Kind
    text: str
    place: int
    """How many characters stand before it."""


def words(expression: str) -> list[Word]:
    """The words of an expression, an `end` behind them.

    Raises UsageError where it is too long, or something in it is no word.
    """
    if len(expression) > LONGEST:
        message = f"the expression has {len(expression):,} characters, of {LONGEST:,} that it may have"
        raise UsageError.of("bad-expression", message, hint="a csv or Parquet file can be queried with DuckDB")
    found: list[Word] = []
    at = 0
    while not found or found[-1].kind != "end":
        match = _WORD.match(expression, at)
        if match is None:
            at += len(expression[at:]) - len(expression[at:].lstrip())
            raise _no_word(expression, at)
        found.append(_word(match))
        at = match.end()
    return found


def _word(match: re.Match[str]) -> Word:
    group = match.lastgroup
    assert group is not None
    text, place = match[group], match.start(group)
    if group == "text":
        return Word("text", text[1:-1].replace(text[0] * 2, text[0]), place)
    if group == "name":
        return Word("keyword", text.lower(), place) if text.lower() in KEYWORDS else Word("name", text, place)
    return Word("number" if group == "number" else "sign" if group == "sign" else "end", text, place)


def _no_word(expression: str, at: int) -> UsageError:
    sign = expression[at]
    if sign in "'\"":
        return mistake(expression, at, "a text does not end", f"a {sign} within it is written twice")
    if sign == ".":
        return mistake(expression, at, "a column has no parts", "columns are named by one word")
    return mistake(expression, at, f"{sign!r} means nothing here")


def mistake(expression: str, at: int, message: str, hint: str = "") -> UsageError:
    """The error for what stands `at` a place of an expression."""
    where = f"at character {at + 1}: {shortened(expression[at:])}" if at < len(expression) else "at the end"
    hint = hint or "for example: category in ('dog', 'cat') and area > 1000 and not iscrowd"
    return UsageError.of("bad-expression", f"the expression cannot be read: {message}", where=where, hint=hint)
