"""Charts as SVG inside the page: bars beside the rows of a table, histograms, a grid of positions. Each has a title
and a description for who hears the page, and its numbers in a table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bboxconv.page.markup import count, element, share, text
from bboxconv.statistics import Histogram

_WIDTH, _HEIGHT = 420, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 18, 10, 26
_LABELS = 8
"""How many labels fit below a histogram."""
_CELL = 24


@dataclass(frozen=True, slots=True)
class Bar:
    """A row of a chart of bars."""

    name: str
    value: int
    note: str = ""
    """What stands behind the number."""
    color: str = ""
    """That of a class, beside its name."""


def bars(title: str, heads: Sequence[str], rows: Sequence[Bar], *, most: int = 0) -> str:
    """A table whose rows have bars, the longest for `most`, or for the largest value. `heads` name the columns: name,
    number, and note, if there are notes."""
    top = max(most, *(row.value for row in rows), 1)
    notes = any(row.note for row in rows)
    head = [element("th", text(heads[0]), scope="col"), element("td", class_="length"), _head(heads[1])]
    lines = [element("tr", *head, *([_head(heads[2])] if notes else []))]
    for row in rows:
        swatch = _swatch(row.color) if row.color else ""
        name = element("span", text(row.name), class_="name", title=row.name)
        cells = [
            element("th", element("span", swatch, name, class_="label"), scope="row"),
            element("td", _length(row.value / top), class_="length", aria_hidden="true"),
            element("td", count(row.value), class_="number"),
        ]
        lines.append(element("tr", *cells, *([element("td", text(row.note), class_="number")] if notes else [])))
    caption = element("caption", text(title), class_="unseen")
    return element("table", caption, *lines, class_="bars")


def stack(parts: Sequence[tuple[str, int]]) -> str:
    """One bar of several parts, each with the name of its kind as its class; what it says stands in a table."""
    whole = sum(value for _, value in parts)
    drawn, start = [], 0.0
    for kind, value in parts:
        if value and whole:
            width = 100 * value / whole
            title = element("title", text(f"{kind}: {value:,} ({share(value, whole)})"))
            drawn.append(
                element("rect", title, x=f"{start:.3f}%", width=f"{width:.3f}%", height="100%", class_=f"part {kind}")
            )
            start += width
    return element("svg", *drawn, class_="stack", width="100%", height="10", aria_hidden="true")


def histogram(
    title: str, of: str, values: Histogram, shown: Callable[[float], str], *, whole_numbers: bool = False
) -> str:
    """A histogram with its numbers behind it. `of` says what is counted, `shown` writes an edge; `whole_numbers`: bins
    of one number are called by it."""
    bins = _trimmed(values)
    if not bins:
        return ""
    names = [_bin_name(low, high, shown, whole_numbers) for low, high, _ in bins]
    total = sum(number for _, _, number in bins)
    fullest = max(range(len(bins)), key=lambda at: bins[at][2])
    about = f"{total:,} {of}; the most, {bins[fullest][2]:,}, at {names[fullest]}."
    ticks = _ticks(max(number for _, _, number in bins))
    top = ticks[-1]
    across, down = (_WIDTH - _LEFT - _RIGHT) / len(bins), _HEIGHT - _TOP - _BOTTOM
    base = _HEIGHT - _BOTTOM
    drawn = []
    for tick in ticks:
        y = _short(base - down * tick / top)
        drawn.append(element("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y, y2=y, class_="rule"))
        drawn.append(element("text", text(_compact(tick)), x=_LEFT - 6, y=y, class_="tick left"))
    for at, (_, _, number) in enumerate(bins):
        tall = down * number / top
        title_of = element("title", text(f"{names[at]}: {number:,} ({share(number, total)})"))
        box = {"x": _short(_LEFT + at * across), "width": _short(across), "y": _TOP, "height": down}
        drawn.append(element("rect", title_of, class_="hit", **box))
        box = {"x": _short(_LEFT + at * across + 1), "width": _short(max(across - 2, 1))}
        drawn.append(element("rect", class_="bar", y=_short(base - tall), height=_short(tall), rx=1.5, **box))
    drawn += _labels(bins, names, shown, across, whole_numbers)
    rows = [(name, number) for name, (_, _, number) in zip(names, bins, strict=True)]
    return _figure(title, about, f"0 0 {_WIDTH} {_HEIGHT}", drawn, _numbers(rows, of))


def positions(title: str, grid: Sequence[Sequence[int]]) -> str:
    """A grid over the image, darker where more boxes have their center."""
    top = max((max(row, default=0) for row in grid), default=0)
    if not top:
        return ""
    total = sum(map(sum, grid))
    drawn = []
    for y, row in enumerate(grid):
        for x, number in enumerate(row):
            told = element("title", text(f"row {y + 1}, column {x + 1}: {number:,} ({share(number, total)})"))
            place = {"x": x * _CELL, "y": y * _CELL, "width": _CELL - 1, "height": _CELL - 1}
            drawn.append(element("rect", told, class_="cell", fill_opacity=_short(0.05 + 0.95 * number / top), **place))
    best = max((number, -y, -x) for y, row in enumerate(grid) for x, number in enumerate(row))
    about = f"{total:,} boxes; the most, {best[0]:,}, in row {1 - best[1]} and column {1 - best[2]} of the image."
    width = max(map(len, grid))
    heads = element("tr", element("td"), *(element("th", str(x + 1), scope="col") for x in range(width)))
    rows = [
        element("tr", element("th", str(y + 1), scope="row"), *(element("td", count(n), class_="number") for n in row))
        for y, row in enumerate(grid)
    ]
    table = element("table", heads, *rows, class_="plain")
    return _figure(title, about, f"0 0 {width * _CELL} {len(grid) * _CELL}", drawn, table, "chart grid")


def _figure(title: str, about: str, view: str, drawn: Sequence[str], table: str, kind: str = "chart") -> str:
    # A label by the words themselves: the page needs no ids, which could be those of something else.
    inside = [element("title", text(title)), element("desc", text(about)), *drawn]
    picture = element("svg", *inside, viewBox=view, role="img", aria_label=f"{title}. {about}")
    numbers = element("details", element("summary", "Numbers"), element("div", table, class_="scroll"))
    return element("figure", element("figcaption", text(title)), picture, numbers, class_=kind)


def _numbers(rows: Sequence[tuple[str, int]], of: str) -> str:
    head = element("tr", element("th", "from, to", scope="col"), _head(of))
    lines = [
        element("tr", element("th", text(name), scope="row"), element("td", count(n), class_="number"))
        for name, n in rows
    ]
    return element("table", head, *lines, class_="plain")


def _labels(
    bins: Sequence[tuple[float, float, int]],
    names: Sequence[str],
    shown: Callable[[float], str],
    across: float,
    whole_numbers: bool,
) -> list[str]:
    """What stands below: each bin by its name where all are short, else the edges between them."""
    y = _HEIGHT - _BOTTOM + 16
    step = -(-len(bins) // _LABELS)
    if whole_numbers:
        return [
            element("text", text(names[at]), x=_short(_LEFT + (at + 0.5) * across), y=y, class_="tick")
            for at in range(0, len(bins), step)
        ]
    edges = [low for low, _, _ in bins] + [bins[-1][1]]
    return [
        element("text", text(shown(edges[at])), x=_short(_LEFT + at * across), y=y, class_="tick")
        for at in range(0, len(edges), step)
        if math.isfinite(edges[at])
    ]


def _trimmed(values: Histogram) -> list[tuple[float, float, int]]:
    """The bins as low, high and number, without the empty ones at both ends."""
    bins = list(zip(values.edges, values.edges[1:], values.counts, strict=False))
    full = [at for at, (_, _, number) in enumerate(bins) if number]
    return bins[full[0] : full[-1] + 1] if full else []


def _bin_name(low: float, high: float, shown: Callable[[float], str], whole_numbers: bool) -> str:
    if whole_numbers and math.isfinite(high):
        last = math.ceil(high) - 1
        return shown(low) if last <= low else f"{shown(low)}-{shown(last)}"
    if not math.isfinite(high):
        return f"{shown(low)} and more"
    if not math.isfinite(low):
        return f"under {shown(high)}"
    return f"{shown(low)} to {shown(high)}"


def _ticks(most: int) -> list[int]:
    """Round numbers from 0 to beyond the most, few of them."""
    size = 10 ** max(len(str(most)) - 1, 0)
    steps = (step * size // 10 for step in (1, 2, 5, 10, 20, 50, 100))
    step = next(step for step in (*(max(s, 1) for s in steps), most) if step * 4 >= most)
    return list(range(0, (-(-most // step)) * step + 1, step))


def _compact(number: int) -> str:
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if number >= size:
            return f"{number / size:g}{unit}"
    return str(number)


def _short(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")


def _head(name: str) -> str:
    return element("th", text(name), scope="col", class_="number")


def _length(part: float) -> str:
    track = element("rect", width="100%", height="100%", rx=3, class_="track")
    drawn = element("rect", width=f"{max(100 * part, 0):.3f}%", height="100%", rx=3, class_="bar")
    return element("svg", track, drawn, width="100%", height="10")


def _swatch(color: str) -> str:
    square = element("rect", width=12, height=12, rx=3, fill=color)
    return element("svg", square, class_="swatch", width=12, height=12, aria_hidden="true")
