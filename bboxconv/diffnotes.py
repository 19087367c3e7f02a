"""What a comparison of two data sets says beside their difference: how names were taken, and which classes differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bboxconv.difference import Change, Example
from bboxconv.difftally import Found
from bboxconv.errors import FIRST_PLACES, Findings
from bboxconv.schema import Header

_FORMS = {
    1: "images are paired by their names without extension",
    2: "images are paired by the last part of their names",
    3: "images are paired by the last part of their names, without extension",
}
"""By the forms of `imagenames.form`."""


def note_names(found: Found, findings: Findings) -> None:
    """Say which images were paired though their names differ."""
    for form, message in _FORMS.items():
        tally = found.tallies.get(f"forms.{form}")
        if tally is None:
            continue
        for _, _, example in tally.first:
            detail = f"{example.value_a} is {example.value_b}"
            findings.add("diff-image-name", message, severity="note", where="image", detail=detail)
        if tally.count > len(tally.first):
            findings.add("diff-image-name", message, severity="note", count=tally.count - len(tally.first))


def only_here(names: Sequence[Sequence[str]], counts: Sequence[Mapping[str, int]]) -> dict[str, Change]:
    """The classes of each side that have boxes, and that the other side does not know, in their order."""
    found = {}
    for side, key in enumerate(("only_in_a", "only_in_b")):
        alone = [name for name in dict.fromkeys(names[side]) if counts[side][name] and name not in names[1 - side]]
        examples = (Example(class_b=name) if side else Example(class_a=name) for name in alone[:FIRST_PLACES])
        found[key] = Change(len(alone), None, sum(counts[side][name] for name in alone), tuple(examples))
    return found


def note_classes(headers: Sequence[Header], counts: Sequence[Mapping[str, int]], findings: Findings) -> None:
    """Say which classes differ in a way that changes no box."""
    names = [list(dict.fromkeys(category.name for category in header.categories)) for header in headers]
    for side, letter in enumerate("ab"):
        for name in names[side]:
            if name not in names[1 - side] and not counts[side][name]:
                message = f"a class without boxes is known to {letter} alone"
                findings.add("diff-class-unused", message, severity="note", where="class", detail=name)
    folded = {name.casefold(): name for name in names[1] if name not in names[0]}
    for name in names[0]:
        other = folded.get(name.casefold())
        if other is not None and name not in names[1]:
            message = "names of classes differ in case alone: they are different classes"
            findings.add("diff-class-case", message, severity="note", where="class", detail=f"{name!r} and {other!r}")
    common = [[name for name in side if name in names[1 - n]] for n, side in enumerate(names)]
    if common[0] != common[1] and all(map(_ordered, headers)):
        message = "the classes stand in another order; they are compared by name"
        first = next(pair for pair in zip(*common, strict=True) if pair[0] != pair[1])
        findings.add(
            "diff-class-order",
            message,
            severity="note",
            where="class",
            detail="{!r} stands where {!r} does".format(*first),
        )


def _ordered(header: Header) -> bool:
    """Whether the order of the classes says anything: formats without a list of them give the names in theirs."""
    names = [category.name for category in header.categories]
    return any(category.id is not None for category in header.categories) or names != sorted(names)
