"""Statistics as tables of pandas."""

from __future__ import annotations

from math import nan

import pandas as pd

from bboxconv.statistics import Group, Statistics


def classes_frame(found: Statistics) -> pd.DataFrame:
    """See `Statistics.classes_to_pandas`."""
    names = [split.name for split in found.splits]
    frame = pd.DataFrame(
        {
            "class": pd.Series([one.name for one in found.classes], dtype=object),
            "id": pd.Series([one.id for one in found.classes], dtype="Int64"),
            "boxes": pd.Series([one.boxes for one in found.classes], dtype="int64"),
            "share": [one.boxes / found.all.boxes if found.all.boxes else 0.0 for one in found.classes],
            "images": pd.Series([one.images for one in found.classes], dtype="int64"),
        }
    )
    for name in names:
        frame[f"boxes_{name}"] = pd.Series([one.splits[name] for one in found.classes], dtype="int64")
    return frame


def groups_frame(found: Statistics) -> pd.DataFrame:
    """See `Statistics.groups_to_pandas`."""
    kinds = (("all", (found.all,)), ("split", found.splits), ("class", found.groups))
    return pd.DataFrame([_row(kind, group) for kind, groups in kinds for group in groups])


def _row(kind: str, group: Group) -> dict[str, object]:
    looked_at = group.images - group.unannotated_images
    return {
        "kind": kind,
        "name": group.name,
        "images": group.images,
        "boxes": group.boxes,
        "empty_images": group.empty_images,
        "unannotated_images": group.unannotated_images,
        "boxes_per_image": group.boxes / looked_at if looked_at else nan,
        **group.flags,
        **group.sizes,
    }
