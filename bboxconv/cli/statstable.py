"""The figures of a data set as lines of text: splits side by side, the balance of classes, histograms in characters.

Pure functions from data to lines, as in render.py. Two histograms stand beside each other where the terminal is wide
enough.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from math import isfinite

from bboxconv.cli import render
from bboxconv.cli.render import Paint
from bboxconv.errors import printable
from bboxconv.statistics import ClassCount, Group, Histogram, Statistics

SHOWN_CLASSES = 20
SHOWN_SIZES = 5
SHOWN_NAMES = 10
LONGEST_NAME = 24
"""Characters of a class name that are shown, unless all is asked for."""
LEAST_BAR = 8
WIDEST_BAR = 30
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


def statistics(found: Statistics, verbose: bool, width: int, paint: Paint, marks: Marks) -> list[str]:
    """All that was counted."""
    lines = render.sources(found.sources, width, True, paint)
    lines += render.row("box", found.box, width, paint)
    repeated = [(found.duplicate_images, "image"), (found.duplicate_boxes, "box")]
    told = ", ".join(render.count(number, noun) for number, noun in repeated if number)
    lines += render.row("repeated", told, width, paint)
    lines += ["", *_overview(found, width, paint)]
    if found.classes or found.classless_boxes:
        table = _class_groups if found.by == "class" else _classes
        lines += ["", *table(found, verbose, width, paint, marks)]
    for group in found.splits if found.by == "split" and found.splits else (found.all,):
        lines += ["", paint("label", f"split {printable(group.name)}")] if group is not found.all else []
        lines += ["", *_histograms(group, verbose, width, paint, marks)]
    return lines


def bar(value: int, most: int, room: int, marks: Marks) -> str:
    """A bar as long, of `room` characters, as the value is of the most; not less than the shortest if there is any."""
    steps = len(marks.parts)
    whole, part = divmod(max(round(value * room * steps / most), 1) if value else 0, steps)
    return marks.parts[-1] * whole + (marks.parts[part - 1] if part else "")


def level(value: int, most: int, of: str) -> str:
    """The character for a value: the first for nothing alone, the last for the most."""
    return of[-(-value * (len(of) - 1) // most)] if value else of[0]


def share(number: int, total: int) -> str:
    """A part in per cent, `<1%` where it would round to none; empty where there is nothing."""
    if not number or not total:
        return ""
    return f"{(200 * number + total) // (2 * total)}%" if 200 * number >= total else "<1%"


# -- splits side by side


def _overview(found: Statistics, width: int, paint: Paint) -> list[str]:
    groups = (found.all, *found.splits)
    flags = [name for name, number in found.all.flags.items() if number]
    sizes = [name for name in ("small", "medium", "large") if found.all.boxes]
    sizes += ["unknown"] if found.all.sizes.get("unknown") else []
    rows = [["images", *(cell for group in groups for cell in (f"{group.images:,}", ""))]]
    for label, of in (("without boxes", "empty_images"), ("not annotated", "unannotated_images")):
        if getattr(found.all, of):
            rows.append([f"  {label}", *_cells([(getattr(group, of), group.images) for group in groups])])
    rows.append(["boxes", *(cell for group in groups for cell in (f"{group.boxes:,}", ""))])
    rows.append(["  per image", *(cell for group in groups for cell in (_mean(group), ""))])
    rows += [[f"  {_size_name(name)}", *_cells([(g.sizes.get(name, 0), g.boxes) for g in groups])] for name in sizes]
    rows += [[f"  {name}", *_cells([(g.flags.get(name, 0), g.boxes) for g in groups])] for name in flags]
    if found.classless_boxes:
        rows.append(["  without a class", f"{found.classless_boxes:,}", share(found.classless_boxes, found.all.boxes)])
    rows.append(["classes", *(cell for n in range(len(groups)) for cell in (f"{_used(found, n):,}", ""))])
    if len(found.classes) > _used(found, 0):
        unused = [len(found.classes) - _used(found, number) for number in range(len(groups))]
        rows.append(["  without boxes", *_cells([(number, 0) for number in unused])])
    names = ["all", *(group.name or "(none)" for group in found.splits)]
    heads = ["", *(cell for name in names for cell in (name, ""))] if found.splits else []
    columns = 2 * len(groups) + 1
    rows = [[*row, *[""] * (columns - len(row))] for row in rows]
    first, *others = _side_by_side(([heads] if heads else []) + rows, width)
    return [paint("label", first) if heads else first, *others]


def _size_name(name: str) -> str:
    return {"small": "small, to 32x32", "medium": "medium, to 96x96", "unknown": "of unknown size"}.get(name, name)


def _cells(pairs: Sequence[tuple[int, int]]) -> list[str]:
    return [cell for number, total in pairs for cell in (f"{number:,}", share(number, total))]


def _mean(group: Group) -> str:
    looked_at = group.images - group.unannotated_images
    return f"{group.boxes / looked_at:.1f}" if looked_at else "-"


def _used(found: Statistics, group: int) -> int:
    """How many classes have boxes, at all or, from 1, in a split."""
    if not group:
        return sum(one.boxes > 0 for one in found.classes)
    return sum(one.splits.get(found.splits[group - 1].name, 0) > 0 for one in found.classes)


def _side_by_side(rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """A label and pairs of cells, as many pairs beside each other as fit; the others below."""
    pairs = (len(rows[0]) - 1) // 2
    for together in range(pairs, 0, -1):
        blocks = [
            render.table([[row[0], *row[at : at + 2 * together]] for row in rows], range(1, 2 * together + 1))
            for at in range(1, 2 * pairs + 1, 2 * together)
        ]
        if together == 1 or max(len(line) for block in blocks for line in block) <= width:
            break
    return [line for number, block in enumerate(blocks) for line in ([""] if number else []) + block]


# -- classes


def _classes(found: Statistics, verbose: bool, width: int, paint: Paint, marks: Marks) -> list[str]:
    """The classes, those with most boxes first, with bars; the boxes of each split where there is room."""
    longest = _longest(width, verbose)
    known = [one for one in sorted(found.classes, key=lambda one: -one.boxes) if one.boxes or verbose]
    shown = known if verbose else known[:SHOWN_CLASSES]
    shown += [ClassCount("(no class)", None, found.classless_boxes, 0)] if found.classless_boxes else []
    names = [split.name for split in found.splits] if len(found.splits) > 1 else []
    for splits in (names, []):
        rows = [["class", "boxes", "", "images", *(name or "(none)" for name in splits)]]
        rows += [
            [
                _short(one.name, longest),
                f"{one.boxes:,}",
                share(one.boxes, found.all.boxes),
                f"{one.images:,}" if one.images else "",
                *(f"{one.splits.get(name, 0):,}" if one.splits else "" for name in splits),
            ]
            for one in shown
        ]
        lines = render.table(rows, range(1, len(rows[0])))
        table_width = max(map(len, lines))
        if table_width + 2 + LEAST_BAR <= width:
            break
    most = max((one.boxes for one in shown), default=0)
    room = min(width - table_width - 2, WIDEST_BAR)
    if room >= LEAST_BAR:
        lines[1:] = [
            f"{line:<{table_width}}  {bar(one.boxes, most, room, marks)}".rstrip()
            for line, one in zip(lines[1:], shown, strict=True)
        ]
    lines[0] = paint("label", lines[0])
    left = known[SHOWN_CLASSES:] if not verbose else []
    return lines + _left_out(len(left), sum(one.boxes for one in left)) + ([] if verbose else _unused(found, width))


def _class_groups(found: Statistics, verbose: bool, width: int, paint: Paint, marks: Marks) -> list[str]:
    """The classes with the sizes and shapes of their boxes, each histogram in one line."""
    longest = _longest(width, verbose)
    known = [one for one in sorted(found.groups, key=lambda one: -one.boxes) if one.boxes or verbose]
    shown = known if verbose else known[:SHOWN_CLASSES]
    heads = ["class", "boxes", "images", "small", "med.", "large", "area", "ratio"]
    rows = [
        [
            _short(one.name or "(no class)", longest),
            f"{one.boxes:,}",
            f"{one.images:,}",
            *(share(one.sizes.get(size, 0), one.boxes) for size in ("small", "medium", "large")),
            line_of(one.relative_areas, marks),
            line_of(one.aspect_ratios, marks),
        ]
        for one in shown
    ]
    fits = next((n for n in (8, 7, 6) if max(map(len, render.table([row[:n] for row in [heads, *rows]]))) <= width), 3)
    first, *others = render.table([row[:fits] for row in [heads, *rows]], range(1, min(fits, 6)))
    lines = [paint("label", first), *others]
    left = [] if verbose else known[SHOWN_CLASSES:]
    lines += _left_out(len(left), sum(one.boxes for one in left)) + ([] if verbose else _unused(found, width))
    if fits > 6:
        note = "area: of the image, as below, from nothing to all of it; ratio: from high to wide"
        lines += render.row("", note, width, paint)
    return lines


def _left_out(classes: int, boxes: int) -> list[str]:
    """What a list of classes does not show."""
    return [f"... and {classes:,} more with {render.count(boxes, 'box')}, -v lists all"] if classes else []


def _unused(found: Statistics, width: int) -> list[str]:
    """The names of classes without boxes."""
    names = [_short(one.name, LONGEST_NAME) for one in found.classes if not one.boxes]
    if not names:
        return []
    more = f" and {len(names) - SHOWN_NAMES:,} more" if len(names) > SHOWN_NAMES else ""
    return textwrap.wrap(f"without boxes: {', '.join(names[:SHOWN_NAMES])}{more}", max(width, 20))


def line_of(histogram: Histogram, marks: Marks) -> str:
    """A histogram as one character for each bin."""
    most = max(histogram.counts, default=0)
    return "".join(level(count, most, marks.levels) for count in histogram.counts)


def _longest(width: int, verbose: bool) -> int | None:
    """Characters of a class name that are shown; None: all."""
    return None if verbose else max(8, min(LONGEST_NAME, width - 24))


def _short(name: str, longest: int | None) -> str:
    shown = printable(name)
    return shown if longest is None or len(shown) <= longest else f"{shown[: longest - 3]}..."


# -- histograms


def _histograms(group: Group, verbose: bool, width: int, paint: Paint, marks: Marks) -> list[str]:
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
    pairs = ((panels[0], panels[1]), (panels[2], [*panels[3]]), (panels[4], []))
    for number, (left, right) in enumerate(pairs):
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
