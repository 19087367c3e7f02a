"""What a COCO reader makes of extra keys that are written beside its own, under a name that it knows."""

from __future__ import annotations

from bboxconv.codec import Own
from bboxconv.formats.coco.annotations import ANNOTATION_FIELDS
from bboxconv.formats.coco.images import IMAGE_FIELDS
from bboxconv.readers.jsonvalues import put

FIELDS = {
    **{f"image.extra.{one.key}": one for one in IMAGE_FIELDS},
    **{f"object.extra.{one.key}": one for one in ANNOTATION_FIELDS},
}


def taken(name: str, text: str) -> object:
    """The value of the column, or what becomes of a member that is none: a text stays where a number is usual, a list
    is no id. Boxes and what is drawn are lost: nobody knows their unit."""
    field = FIELDS[name]
    row: dict[str, object] = {}
    extra: dict[str, str] = {}
    if field.kind in ("box", "raw") and text != "null":
        return Own.LOST
    try:
        fault = put(field, text, row, extra)
    except (ValueError, RecursionError):
        return Own.LOST
    if fault is not None:
        return Own.LOST
    return Own.STAYS if field.key in extra else row[field.key]
