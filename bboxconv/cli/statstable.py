"""The figures of a data set as lines of text: splits side by side, the balance of classes, and histograms.

Pure functions from data to lines, as in render.py.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from bboxconv.cli import render
from bboxconv.cli.histograms import Marks, bar, histograms, line_of
from bboxconv.cli.render import Paint
from bboxconv.errors import printable
from bboxconv.statistics import ClassCount, Group, Statistics

SHOWN_CLASSES = 20
SHOWN_NAMES = 10
LONGEST_NAME = 24
"""Characters of a class name that are shown, unless all is asked for."""
LEAST_BAR = 8
WIDEST_BAR = 30


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
        lines += ["", *histograms(group, verbose, width, paint, marks)]
    return lines


def share(number: int, total: int) -> str:
    """A part in per cent, `<1%` where it would round to none; empty where there is nothing."""
    if not number or not total:
        return ""
    return f"{(200 * number + total) // (2 * total)}%" if 200 * number >= total else "<1%"


# -- splits side by side


def _overview(found: Statistics, width: int, paint: Paint) -> list[str]:
    """A column for all and for each split, of what occurs at all."""
    groups = (found.all, *found.splits)
    images, boxes = [group.images for group in groups], [group.boxes for group in groups]
    empty, unseen = [group.empty_images for group in groups], [group.unannotated_images for group in groups]
    used = [_used(found, number) for number in range(len(groups))]
    rows = [_row("images", images)]
    rows += [_row("  without boxes", empty, images)] if empty[0] else []
    rows += [_row("  not annotated", unseen, images)] if unseen[0] else []
    rows.append(_row("boxes", boxes))
    rows.append(["  per image", *(cell for group in groups for cell in (_mean(group), ""))])
    for name, label in _SIZES.items():
        if found.all.boxes and (name != "unknown" or found.all.sizes[name]):
            rows.append(_row(f"  {label}", [group.sizes[name] for group in groups], boxes))
    for name, number in found.all.flags.items():
        rows += [_row(f"  {name}", [group.flags[name] for group in groups], boxes)] if number else []
    if found.classless_boxes:
        more = [""] * (2 * len(found.splits))
        rows.append([*_row("  without a class", [found.classless_boxes], boxes), *more])
    rows.append(_row("classes", used))
    unused = [len(found.classes) - number for number in used]
    rows += [_row("  without boxes", unused)] if unused[0] else []
    if not found.splits:
        return _side_by_side(rows, width)
    names = ["all", *(group.name or "(none)" for group in found.splits)]
    first, *others = _side_by_side([["", *(cell for name in names for cell in (name, ""))], *rows], width)
    return [paint("label", first), *others]


_SIZES = {"small": "small, to 32x32", "medium": "medium, to 96x96", "large": "large", "unknown": "of unknown size"}


def _row(label: str, numbers: Sequence[int], totals: Sequence[int] = ()) -> list[str]:
    """A number for each group and, of totals, what part it is."""
    parts = map(share, numbers, totals) if totals else [""] * len(numbers)
    return [label, *(cell for number, part in zip(numbers, parts, strict=True) for cell in (f"{number:,}", part))]


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
    longest = None if verbose else _longest(width)
    known = [one for one in sorted(found.classes, key=lambda one: -one.boxes) if one.boxes or verbose]
    shown = known if verbose else known[:SHOWN_CLASSES]
    if found.classless_boxes:
        shown = [*shown, ClassCount("(no class)", None, found.classless_boxes, 0)]
    names = [split.name for split in found.splits] if len(found.splits) > 1 else []
    usual = _longest(width)
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
        usual = _longest(width)
        lines, table_width = render.table(rows, range(1, len(rows[0])), usual), _width(rows, usual)
        if table_width + 2 + LEAST_BAR <= width:
            break
    most = max((one.boxes for one in shown), default=0)
    room = min(width - table_width - 2, WIDEST_BAR)
    if room >= LEAST_BAR:
        lines[1:] = [
            f"{line}{' ' * (table_width - render.columns(line))}  {bar(one.boxes, most, room, marks)}".rstrip()
            for line, one in zip(lines[1:], shown, strict=True)
        ]
    lines[0] = paint("label", lines[0])
    left = known[SHOWN_CLASSES:] if not verbose else []
    return lines + _left_out(len(left), sum(one.boxes for one in left)) + ([] if verbose else _unused(found, width))


def _class_groups(found: Statistics, verbose: bool, width: int, paint: Paint, marks: Marks) -> list[str]:
    """The classes with the sizes and shapes of their boxes, each histogram in one line."""
    longest = None if verbose else _longest(width)
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
    usual = _longest(width)
    fits = next((n for n in (8, 7, 6) if _width([row[:n] for row in [heads, *rows]], usual) <= width), 3)
    first, *others = render.table([row[:fits] for row in [heads, *rows]], range(1, min(fits, 6)), usual)
    lines = [paint("label", first), *others]
    left = [] if verbose else known[SHOWN_CLASSES:]
    lines += _left_out(len(left), sum(one.boxes for one in left)) + ([] if verbose else _unused(found, width))
    if fits > 6:
        note = "area: of the image, as below, from nothing to all of it; ratio: from high to wide"
        lines += render.row("", note, width, paint)
    return lines


def _width(rows: Sequence[Sequence[str]], usual: int) -> int:
    """Columns of a table but for its rows with a longer name than usual."""
    return max(map(render.columns, render.table([row for row in rows if render.columns(row[0]) <= usual])))


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


def _longest(width: int) -> int:
    """Columns that a class name has."""
    return max(8, min(LONGEST_NAME, width - 24))


def _short(name: str, longest: int | None) -> str:
    """A class name in so many columns, or whole; one without visible characters is quoted."""
    shown = printable(name) if name.strip() else repr(name)
    if longest is None or render.columns(shown) <= longest:
        return shown
    while render.columns(shown) > longest - 3:
        shown = shown[:-1]
    return f"{shown}..."
