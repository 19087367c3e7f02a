"""Histograms in characters, of the figures of a data set.

Pure functions from data to lines, as in render.py. Two histograms stand beside each other where the terminal is wide
enough.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from math import isfinite

from bboxconv.cli import render
from bboxconv.cli.render import Paint
from bboxconv.statistics import Group, Histogram

SHOWN_SIZES = 5
PANEL = 38
"""Columns of a histogram that has another beside it."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What bars and shades are made of."""

    parts: str
    """Of a bar, from the shortest to a whole character."""
    shades: str
    """From nothing to the most."""
    levels: str
    """From nothing to the most, on a line."""


BLOCKS = Marks("▏▎▍▌▋▊▉█", " ░▒▓█", " ▁▂▃▄▅▆▇█")
PLAIN = Marks("#", " .:*#", " _.-=+*%#")


def marks_for(encoding: str) -> Marks:
    """Blocks where an encoding has them."""
    try:
        "".join((BLOCKS.parts, BLOCKS.shades, BLOCKS.levels)).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return PLAIN
    return BLOCKS


def bar(value: int, most: int, room: int, marks: Marks) -> str:
    """A bar as long, of `room` characters, as the value is of the most; not less than the shortest if there is any."""
    steps = len(marks.parts)
    whole, part = divmod(max(round(value * room * steps / most), 1) if value else 0, steps)
    return marks.parts[-1] * whole + (marks.parts[part - 1] if part else "")


def level(value: int, most: int, of: str) -> str:
    """The character for a value: the first for nothing alone, the last for the most."""
    return of[-(-value * (len(of) - 1) // most)] if value else of[0]


def line_of(histogram: Histogram, marks: Marks) -> str:
    """A histogram as one character for each bin."""
    most = max(histogram.counts, default=0)
    return "".join(level(count, most, marks.levels) for count in histogram.counts)


def histograms(group: Group, verbose: bool, width: int, paint: Paint, marks: Marks) -> list[str]:
    """All histograms of a group."""
    room = PANEL if width >= 2 * PANEL + 2 else min(width, 60)
    sizes = {name: count for name, count in group.image_sizes.items() if name != "unknown"}
    shown = dict(list(sizes.items())[: len(sizes) if verbose else SHOWN_SIZES])
    if len(sizes) > len(shown):
        shown["others"] = shown.get("others", 0) + sum(sizes.values()) - sum(shown.values())
    per_image = dict(zip(_whole_names(group.boxes_per_image.edges), group.boxes_per_image.counts, strict=True))
    areas = dict(zip(_area_names(group.relative_areas.edges), group.relative_areas.counts, strict=True))
    ratios = dict(zip(_ratio_names(group.aspect_ratios), group.aspect_ratios.counts, strict=True))
    panels = [
        _panel("boxes per image", per_image, group.images, "not annotated", room, paint, marks),
        _panel("box area, of the image", areas, group.boxes, "not known", room, paint, marks),
        _panel("aspect ratio, width:height", ratios, group.boxes, "not known", room, paint, marks),
        _positions(group, room, paint, marks),
        _panel("image sizes", shown, group.images, "not known", room, paint, marks),
    ]
    if room != PANEL:
        return [line for number, panel in enumerate(panels) for line in ([""] if number else []) + panel]
    lines: list[str] = []
    nothing: list[str] = []
    for number, (left, right) in enumerate(zip_longest(panels[::2], panels[1::2], fillvalue=nothing)):
        lines += [""] if number else []
        for one, other in zip_longest(left, right, fillvalue=""):
            lines.append(f"{_padded(one, PANEL + 2)}{other}".rstrip())
    return lines


def _padded(text: str, columns: int) -> str:
    """Text that may have colour, with blanks up to so many columns."""
    plain, at = 0, 0
    while at < len(text):
        if text[at] == "\x1b":
            at = text.index("m", at) + 1
            continue
        plain, at = plain + 1, at + 1
    return text + " " * (columns - plain)


def _panel(
    title: str, counts: Mapping[str, int], total: int, rest: str, room: int, paint: Paint, marks: Marks
) -> list[str]:
    """A histogram: names, bars, counts; last how many of all are in none of its bins."""
    lines = [paint("label", title)]
    missing = total - sum(counts.values())
    numbers = [f"{count:,}" for count in counts.values()]
    label = max(map(len, [*counts, rest if missing else ""]), default=0)
    column = max(map(len, [*numbers, f"{missing:,}"]), default=0)
    most = max(counts.values(), default=0)
    length = room - label - column - 4
    for (name, count), number in zip(counts.items(), numbers, strict=True):
        drawn = bar(count, most, length, marks) if length > 0 else ""
        lines.append(f"  {name:>{label}} {number:>{column}} {drawn}".rstrip())
    if missing > 0:
        lines.append(f"  {rest:>{label}} {missing:>{column},}")
    return lines


def _positions(group: Group, room: int, paint: Paint, marks: Marks) -> list[str]:
    """Where the centers of boxes lie in the image, in shades."""
    most = max((count for row in group.positions for count in row), default=0)
    lines = [paint("label", "centers of boxes in the image")]
    lines += ["  |" + "".join(2 * level(count, most, marks.shades) for count in row) + "|" for row in group.positions]
    if most:
        lines.append(f"  {marks.shades[-1]} up to {render.count(most, 'box')} in a cell")
    missing = group.boxes - sum(map(sum, group.positions))
    return [*lines, f"  {missing:,} outside or not known"] if missing else lines


def _whole_names(edges: Sequence[float]) -> list[str]:
    names = []
    for low, high in pairwise(edges):
        if not isfinite(high):
            names.append(f"{low:.0f} or more")
        else:
            names.append(f"{low:.0f}" if high - low == 1 else f"{low:.0f} to {high - 1:.0f}")
    return names


def _area_names(edges: Sequence[float]) -> list[str]:
    return [
        f"{100 * low:g} to {100 * high:g}%" if isfinite(high) else f"{100 * low:g}% or more"
        for low, high in pairwise(edges)
    ]


def _ratio_names(histogram: Histogram) -> list[str]:
    """The middle of each bin, on the scale of its edges: 1:2, 1:1, 1.4:1."""
    inner = histogram.edges[1:-1]
    if not inner:
        return []
    step = inner[1] / inner[0]
    middles = [inner[0] / step**0.5, *(edge * step**0.5 for edge in inner)]
    names = [f"{middle:.2g}:1" if middle >= 0.999 else f"1:{1 / middle:.2g}" for middle in middles]
    return [f"to {names[0]}", *names[1:-1], f"from {names[-1]}"]
