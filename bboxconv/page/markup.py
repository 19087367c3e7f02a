"""Markup from text. Whatever comes from data goes through `text`, or through an attribute of `element`."""

from __future__ import annotations

import html

from bboxconv.errors import printable


def text(value: object) -> str:
    """Any value as text of a page: nothing in it is markup, control characters and lone surrogates are escaped."""
    return html.escape(printable(str(value)))


def element(name: str, *content: str, **attributes: object) -> str:
    """An element with content that is markup already, and attributes that are plain values.

    An underscore in the name of an attribute is a hyphen, at its end nothing: `class_`, `aria_label`. An attribute
    that is None is left out, and one that is True has no value.
    """
    return f"{opening(name, **attributes)}{''.join(content)}</{name}>"


def opening(name: str, **attributes: object) -> str:
    """The opening tag of an element; for one without content it is all of it."""
    given = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items() if value is not None}
    words = [key if value is True else f'{key}="{text(value)}"' for key, value in given.items()]
    return f"<{' '.join([name, *words])}>"


def count(number: int) -> str:
    """A number with commas."""
    return f"{number:,}"


def noun(number: int, one: str, many: str = "") -> str:
    """`1 box`, `2 boxes` where `many` is "boxes"; without it, an s makes it many."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def share(part: int, whole: int) -> str:
    """A part of a whole in per cent; nothing where there is no whole."""
    if not whole:
        return ""
    value = 100 * part / whole
    return "under 0.1 %" if 0 < value < 0.1 else f"{value:.3g} %" if value < 10 else f"{value:.0f} %"
