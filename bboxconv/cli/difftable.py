"""The difference of two data sets as lines of text: counts, then the first examples of each kind, then the verdict."""

from __future__ import annotations

from collections.abc import Mapping

from bboxconv.cli.render import Paint, count, row
from bboxconv.difference import Change, Content, Difference, Example
from bboxconv.errors import printable

IMAGES = {
    "only_in_a": "only in a",
    "only_in_b": "only in b",
    "size": "of another size",
    "split": "in another split",
    "unannotated": "annotated on one side alone",
}
BOXES = {
    "moved": "moved",
    "resized": "resized",
    "reclassified": "reclassified",
    "removed": "removed",
    "added": "added",
}


def lines(found: Difference, width: int, paint: Paint) -> list[str]:
    """What differs, as lines; the verdict is the last."""
    shown = _side("a", found.a, width, paint) + _side("b", found.b, width, paint)
    parts = [f"{found.paired_images:,} in both", *_counted(found.images, IMAGES)]
    shown += row("images", ", ".join(parts), width, paint)
    shown += row("classes", ", ".join(_counted(found.classes, IMAGES)), width, paint)
    same = f"{found.same_boxes:,} the same"
    if found.largest:
        same += f" (at most {_largest(found)} apart)"
    shown += row("boxes", ", ".join([same, *_counted(found.boxes, BOXES)]), width, paint)
    flags = [f"{key} {c.count:,} of {c.compared or 0:,}" for key, c in found.fields.items() if c.count]
    shown += row("fields", ", ".join(flags), width, paint)
    other = {found.a.box, found.b.box} != {found.box}
    for group, words in ((found.images, IMAGES), (found.classes, IMAGES), (found.boxes, BOXES), (found.fields, {})):
        what = "images " if group is found.images else "classes " if group is found.classes else ""
        for key, change in group.items():
            if change.count:
                form = found.box if other and any(one.box_a or one.box_b for one in change.first) else ""
                shown += _examples(what + words.get(key, f"{key} differs"), change, form, paint)
    images, boxes = count(found.paired_images, "image"), count(found.same_boxes, "box")
    if found.same:
        return [*shown, f"{paint('done', 'the same')}: {images}, {boxes}, {found.seconds:.1f} s"]
    verdict = f"{paint('error', 'different')}: {count(found.differences, 'difference')}"
    return [*shown, "", f"{verdict}; {images} in both, {boxes} the same, {found.seconds:.1f} s"]


def _side(name: str, side: Content, width: int, paint: Paint) -> list[str]:
    shown = []
    for number, source in enumerate(side.sources):
        split = f" as {source.split}" if source.split else ""
        label = name if not number else ""
        shown += row(label, f"{source.format} {source.path}{split} ({source.evidence})", width, paint)
    decimals = "full floats" if side.decimals is None else "integers" if not side.decimals else ""
    written = decimals or count(side.decimals or 0, "decimal")
    pairs = ((side.counts.images, "image"), (side.counts.boxes, "box"), (side.counts.categories, "class"))
    counts = ", ".join(count(number, noun) for number, noun in pairs)
    return shown + row("", f"{counts}; boxes as {side.box}, {written}", width, paint)


def _counted(changes: Mapping[str, Change], words: Mapping[str, str]) -> list[str]:
    return [
        f"{change.count:,} {words[key]}" + (f" ({count(change.boxes, 'box')})" if change.boxes else "")
        for key, change in changes.items()
        if change.count
    ]


def _largest(found: Difference) -> str:
    return f"{found.largest:.2g} px" if found.box == "xyxy" else f"{found.largest:.2g} of the side"


def _examples(title: str, change: Change, form: str, paint: Paint) -> list[str]:
    """`form` is the box format of the examples, where that is not the one of both sides."""
    shown = ["", f"{paint('label', title)} ({change.count:,}{f', shown as {form}' if form else ''})"]
    shown += [f"  {_example(one)}" for one in change.first]
    if change.count > len(change.first):
        shown.append(f"  ... and {change.count - len(change.first):,} more")
    return shown


def _example(one: Example) -> str:
    classes = [name for name in dict.fromkeys((one.class_a, one.class_b)) if name is not None]
    words = [" -> ".join(classes)]
    boxes = [_box(box) for box in dict.fromkeys((one.box_a, one.box_b)) if box is not None]
    if one.value_a is not None and one.value_b is not None:
        words += [*boxes[:1], f"{one.value_a} -> {one.value_b}"]
    else:
        words.append(" -> ".join(boxes))
        words += [] if one.iou is None else [f"IoU {one.iou:.2f}"]
    said = ", ".join(word for word in words if word)
    image = f"{one.split}: {one.image}" if one.split else one.image
    return printable(f"{image}: {said}" if image and said else image or said)


def _box(box: tuple[float, float, float, float]) -> str:
    return "[" + ", ".join(f"{number:.6g}" for number in box) + "]"
