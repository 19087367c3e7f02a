"""The statistics of a data set as sections of the page."""

from __future__ import annotations

import math
from collections.abc import Mapping

from bboxconv.page import charts
from bboxconv.page.charts import Bar
from bboxconv.page.markup import count, element, noun, share, text
from bboxconv.palette import color
from bboxconv.statistics import Group, Statistics

_SHOWN = 20
"""How many classes stand there at once; the others are behind a click."""


def overview(found: Statistics) -> str:
    """The figures of the whole data set, and charts of how they are spread."""
    group = found.all
    parts = [_facts(found)]
    if found.splits:
        parts += [element("h3", "Splits"), _splits(found.splits)]
    drawn = [
        charts.histogram("Boxes in an image", "images", group.boxes_per_image, _plain, whole_numbers=True),
        charts.histogram("Size of a box, as a part of its image", "boxes", group.relative_areas, _percent),
        charts.histogram("Width to height of a box", "boxes", group.aspect_ratios, _ratio),
        charts.positions("Where the centers of boxes lie", group.positions),
        _listed("Size of a box: small to 32 x 32 pixels, medium to 96 x 96", "size", group.sizes, group.boxes),
        _listed("Sizes of images", "pixels", group.image_sizes, group.images),
        _listed("Flags of boxes", "flag", group.flags, group.boxes),
    ]
    return "".join([*parts, element("div", *drawn, class_="charts")])


def classes(found: Statistics) -> str:
    """How many boxes each class has, the commonest first."""
    order = sorted(enumerate(found.classes), key=lambda pair: (-pair[1].boxes, pair[0]))
    rows = [Bar(one.name, one.boxes, noun(one.images, "image"), color(at)) for at, one in order]
    if not rows:
        return element("p", "There are no classes.", class_="quiet")
    heads, most = ("class", "boxes", "in"), rows[0].value
    unused = sum(not row.value for row in rows)
    about = f"The commonest of {noun(len(rows), 'class', 'classes')} has {share(rows[0].value, found.all.boxes)} "
    about += "of all boxes" + (f"; {noun(unused, 'has none', 'have none')}." if unused else ".")
    parts = [element("p", text(about), class_="quiet")] if found.all.boxes else []
    parts.append(charts.bars("Boxes of each class", heads, rows[:_SHOWN], most=most))
    if rest := rows[_SHOWN:]:
        table = charts.bars("Boxes of the other classes", heads, rest, most=most)
        parts.append(element("details", element("summary", f"{noun(len(rest), 'more class', 'more classes')}"), table))
    return "".join(parts)


def _facts(found: Statistics) -> str:
    group = found.all
    looked = group.images - group.unannotated_images
    unused = sum(not one.boxes for one in found.classes)
    mean = f"{group.boxes / looked:.1f} in an image" if looked else ""
    rows = [
        ("Images", group.images, _without(group.empty_images, "has no box", "have no box", "each has a box")),
        ("Boxes", group.boxes, mean),
        ("Classes", len(found.classes), _without(unused, "has no box", "have no box", "each has a box")),
    ]
    for name, number in (
        ("Not annotated", group.unannotated_images),
        ("Images twice", found.duplicate_images),
        ("Boxes twice", found.duplicate_boxes),
    ):
        if number:
            rows.append((name, number, ""))
    cells = [
        element(
            "div", element("dt", text(name)), element("dd", count(number)), element("dd", text(note), class_="quiet")
        )
        for name, number, note in rows
    ]
    return element("dl", *cells, class_="facts")


def _without(number: int, one: str, many: str, none: str) -> str:
    return noun(number, one, many) if number else none


def _splits(splits: tuple[Group, ...]) -> str:
    names = ("split", "images", "boxes", "boxes an image", "without boxes", "small", "medium", "large")
    heads = [element("th", name, scope="col", class_="number" if at else None) for at, name in enumerate(names)]
    head = element("tr", *heads, element("td", class_="length"))
    rows = []
    for group in splits:
        sizes = [(name, group.sizes.get(name, 0)) for name in ("small", "medium", "large")]
        known = sum(value for _, value in sizes)
        cells = [
            count(group.images),
            count(group.boxes),
            f"{group.boxes / group.images:.1f}" if group.images else "",
            f"{count(group.empty_images)}",
            *(share(value, known) for _, value in sizes),
        ]
        rows.append(
            element(
                "tr",
                element("th", text(group.name or "(no split)"), scope="row"),
                *(element("td", text(cell), class_="number") for cell in cells),
                element("td", charts.stack(sizes), class_="length", aria_hidden="true"),
            )
        )
    return element("div", element("table", head, *rows, class_="plain"), class_="scroll")


def _listed(title: str, head: str, values: Mapping[str, int], whole: int) -> str:
    """A card with bars; nothing where there is nothing to count."""
    rows = [Bar(name, value, share(value, whole)) for name, value in values.items() if value]
    if not rows:
        return ""
    table = charts.bars(title, (head, "number", "share"), rows)
    return element("figure", element("figcaption", text(title)), table, class_="chart")


def _plain(value: float) -> str:
    return f"{value:,.3g}" if abs(value) < 1000 or not math.isfinite(value) else f"{value:,.0f}"


def _ratio(value: float) -> str:
    """Width to height as people say it: 1:2.4, 1.7:1."""
    if not 0 < value < math.inf:
        return _plain(value)
    return f"{value:.2g}:1" if value >= 1 else f"1:{1 / value:.2g}"


def _percent(value: float) -> str:
    return f"{100 * value:.3g} %"
