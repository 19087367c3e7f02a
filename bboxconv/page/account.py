"""The account of a conversion, and what was found in a data set, as sections of the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from bboxconv.account import Values, class_of
from bboxconv.agreement import Agreement
from bboxconv.codes import Explanation
from bboxconv.errors import Diagnostic, Place
from bboxconv.page import charts
from bboxconv.page.markup import count, element, noun, text
from bboxconv.report import Report

Shown = Callable[[str], str]
"""Takes what is of this machine alone out of a place or a message."""
_ORDER = ("geometry", "label", "flag", "metadata")
_WORDS = {"error": "Error", "warning": "Warning", "note": "Note"}


def conversion(report: Report, shown: Shown) -> str:
    """What the output has of its sources: whether they agree, and what became of the values of every field."""
    target = report.target
    lost = sum(report.lost.values())
    told = [
        f"{noun(report.read.images, 'image')} and {noun(report.read.boxes, 'box', 'boxes')} were read, "
        f"{noun(report.written.images, 'image')} and {noun(report.written.boxes, 'box', 'boxes')} are what "
        f"{target.format if target else 'the output'} can hold of them.",
        f"{noun(lost, 'value')} of {noun(len(report.lost), 'field')} cannot be carried."
        if lost
        else "Every value is carried.",
    ]
    parts = [element("p", text(line)) for line in told]
    if report.verify is not None:
        parts.insert(0, _verdict(report.verify, shown(target.path) if target else ""))
    differing = [one for one in report.findings if one.code.startswith("verify-")]
    parts += [_finding(one, None, shown, {}) for one in differing]
    for title, reasons in (
        ("Images left out", report.left_out_images),
        ("Boxes left out", report.left_out_boxes),
        ("Images that could not be read", report.rejected_images),
        ("Boxes that could not be read", report.rejected_boxes),
        ("Filled in, as the source has none", report.filled),
    ):
        if reasons:
            parts += [element("h3", text(title)), _reasons(reasons)]
    if report.fields:
        parts += [element("h3", "Fields"), _fields(report.fields, shown)]
    return "".join(parts)


def findings(found: Sequence[Diagnostic], shown: Shown, known: Mapping[str, Explanation]) -> str:
    """Each finding with its first places, what it means, and a place for pictures, which the script fills."""
    if not found:
        return element("p", "Nothing odd was found.", class_="quiet")
    return "".join(_finding(one, at, shown, known) for at, one in enumerate(found))


def _finding(one: Diagnostic, at: int | None, shown: Shown, known: Mapping[str, Explanation]) -> str:
    times = element("span", text(noun(one.count, "time")), class_="times") if one.count > 1 else ""
    head = element(
        "h3",
        element("span", _WORDS[one.severity], class_=f"mark {one.severity}"),
        " ",
        text(shown(one.message)),
        " ",
        times,
    )
    parts = [head, element("p", element("code", text(one.code)), class_="quiet")]
    if one.places:
        lines = [element("li", _place(place, shown)) for place in one.places]
        rest = one.count - len(one.places)
        if rest > 0:
            lines.append(element("li", f"and {rest:,} more", class_="quiet"))
        parts.append(element("ul", *lines, class_="places"))
    if at is not None:
        parts.append(element("div", class_="pictures", data_finding=at))
    told = known.get(one.code)
    if told:
        words = element("p", text(told.cause)) + element("p", text(told.remedy))
        parts.append(element("details", element("summary", "What it means, and what to do"), words))
    return element("article", *parts, class_="finding")


def _place(place: Place, shown: Shown) -> str:
    detail = element("span", text(shown(place.detail)), class_="quiet") if place.detail else ""
    return element("span", text(shown(place.where)), class_="where") + (f" {detail}" if detail else "")


def _verdict(found: Agreement, output: str) -> str:
    pairs = f"{noun(found.images, 'image')} and {noun(found.boxes, 'box', 'boxes')} compared"
    pixels = "of images of unknown size" if found.error.unsized else f"{found.error.pixels:.3g} pixels"
    words = f"{output} agrees with its source." if found.same else f"{output} differs from its source."
    told = f"{pairs}; the largest difference of a coordinate is {pixels}."
    missing, extra = found.unpaired["missing-image"].differ, found.unpaired["extra-image"].differ
    lost = found.unpaired["missing-box"].differ + found.lost_boxes
    added = found.unpaired["extra-box"].differ + found.added_boxes
    if missing or extra or lost or added:
        told += f" Missing: {noun(missing, 'image')}, {noun(lost, 'box', 'boxes')};"
        told += f" only there: {noun(extra, 'image')}, {noun(added, 'box', 'boxes')}."
    mark = element("span", "Same" if found.same else "Different", class_=f"mark {'done' if found.same else 'error'}")
    return element("p", mark, " ", element("strong", text(words)), " ", text(told), class_="verdict")


def _reasons(reasons: Mapping[str, int]) -> str:
    rows = [
        element("tr", element("th", text(reason), scope="row"), element("td", count(number), class_="number"))
        for reason, number in reasons.items()
    ]
    return element("table", *rows, class_="plain narrow")


def _fields(fields: Mapping[str, Values], shown: Shown) -> str:
    """A row for each field, what weighs most first: whose values were lost, then changed, then carried."""
    heads = [element("th", name, scope="col", class_="number") for name in ("lost", "changed", "carried", "values")]
    head = [element("th", "field", scope="col"), *heads, element("td", class_="length")]
    head.append(element("th", "kind", scope="col"))
    order = sorted(fields, key=lambda name: (not fields[name].lost, _ORDER.index(class_of(name)), name))
    rows = [element("tr", *head)]
    for name in order:
        values = fields[name]
        changed = sum(values.changed.values())
        how = ", ".join(f"{word} {number:,}" for word, number in values.changed.items())
        first = element("span", text(name), class_="name")
        if values.places:
            lines = [element("li", text(shown(place))) for place in values.places]
            first = element("details", element("summary", first), element("ul", *lines, class_="places"))
        cells = [
            element("th", first, scope="row"),
            element("td", count(values.lost), class_="number lost" if values.lost else "number"),
            element("td", text(how) if changed else "0", class_="number"),
            element("td", count(values.carried), class_="number"),
            element("td", count(values.count), class_="number"),
            element(
                "td",
                charts.stack([("carried", values.carried), ("changed", changed), ("lost", values.lost)]),
                class_="length",
                aria_hidden="true",
            ),
            element("td", class_of(name)),
        ]
        rows.append(element("tr", *cells))
    return element("div", element("table", *rows, class_="plain"), class_="scroll")
