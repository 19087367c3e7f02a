"""Arguments of the library's functions, as callers give them, to values that can be used."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Literal

from bboxconv.errors import UsageError
from bboxconv.suggest import did_you_mean

UNANNOTATED: tuple[Literal["skip", "keep"], ...] = ("skip", "keep")
ON_ERROR: tuple[Literal["fail", "skip"], ...] = ("fail", "skip")
ON_INVALID: tuple[Literal["keep", "clip", "drop", "fail"], ...] = ("keep", "clip", "drop", "fail")


def whole(name: str, value: object, least: int) -> int:
    """A number that was given, of Python or numpy; UsageError where it is no whole number from `least` on."""
    try:
        number = None if isinstance(value, bool) else index(value)  # type: ignore[arg-type]  # TypeError says it
    except TypeError:
        number = None
    if number is None or number < least:
        raise UsageError.of("bad-argument", f"{name} must be a whole number from {least} on, not {value!r}")
    return number


def one_of(name: str, value: str, known: Sequence[str]) -> None:
    """Raises UsageError for a word that is none of those known."""
    if value not in known:
        hint = did_you_mean(str(value), known)
        raise UsageError.of("bad-argument", f"{name} must be one of {', '.join(known)}, not {value!r}", hint=hint)


def sides(image_size: object) -> tuple[int, int] | None:
    """Width and height in pixels, None where none were given; UsageError for anything else."""
    if image_size is None:
        return None
    if isinstance(image_size, str) or not isinstance(image_size, Sequence) or len(image_size) != 2:
        raise UsageError.of("bad-argument", f"image_size must be (width, height), not {image_size!r}")
    return whole("image_size", image_size[0], 1), whole("image_size", image_size[1], 1)


def words(value: str | Sequence[str]) -> tuple[str, ...]:
    """Several words; one that was given alone is itself, and not its letters."""
    return (value,) if isinstance(value, str) else tuple(value)
