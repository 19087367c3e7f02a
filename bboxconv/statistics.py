"""What `bboxconv stats` finds: plain data, for the terminal, `--json` and the page of `bboxconv report`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING

from bboxconv.errors import Diagnostic, ExitCode, exit_code_of
from bboxconv.report import Side

if TYPE_CHECKING:
    import pandas as pd

VERSION = 1
"""Version of the JSON document; it grows when a key changes its meaning or goes."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many values lie between each edge and the next, the lower one included."""

    edges: tuple[float, ...]
    """N + 1 rising numbers; the first may be -inf and the last inf."""
    counts: tuple[int, ...]
    """N counts."""

    def as_dict(self) -> dict[str, object]:
        """As plain types; an edge that is infinite is null."""
        edges = [(int(edge) if edge == int(edge) else edge) if isfinite(edge) else None for edge in self.edges]
        return {"edges": edges, "counts": list(self.counts)}


@dataclass(frozen=True, slots=True)
class Group:
    """The figures of some boxes and their images: of all, of a split, or of a class."""

    name: str
    """The split or the class; empty for all, and for images in no split."""
    images: int = 0
    boxes: int = 0
    empty_images: int = 0
    """Images at which somebody looked, and that have no box."""
    unannotated_images: int = 0
    flags: Mapping[str, int] = field(default_factory=dict)
    """How many boxes have iscrowd, difficult, ignore, truncated, occluded set."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    """How many boxes are small, medium and large as COCO has them (below 32 * 32 and 96 * 96 square pixels, by the
    `area` that is given, as in its evaluation, else by that of the box), and `unknown` where pixels are not known."""
    boxes_per_image: Histogram = Histogram((), ())
    """Of the images at which somebody looked; of a class, of the images that have it."""
    relative_areas: Histogram = Histogram((), ())
    """Of the area of the box in that of its image. A box without area is in the first bin, one of which it is not
    known in none."""
    aspect_ratios: Histogram = Histogram((), ())
    """Of width to height of the boxes, in pixels; of those that have an area."""
    positions: tuple[tuple[int, ...], ...] = ()
    """How many centers of boxes lie in each cell of a grid over the image, rows from the top; outside it, in none."""
    image_sizes: Mapping[str, int] = field(default_factory=dict)
    """How many images have each size, `640x480`, the commonest first, at most 20; `others` for the rest, `unknown`
    where there is none. Not of a class."""

    def as_dict(self) -> dict[str, object]:
        """As plain types."""
        return {
            "name": self.name,
            "images": self.images,
            "boxes": self.boxes,
            "empty_images": self.empty_images,
            "unannotated_images": self.unannotated_images,
            "flags": dict(self.flags),
            "sizes": dict(self.sizes),
            "boxes_per_image": self.boxes_per_image.as_dict(),
            "relative_areas": self.relative_areas.as_dict(),
            "aspect_ratios": self.aspect_ratios.as_dict(),
            "positions": [list(row) for row in self.positions],
            "image_sizes": dict(self.image_sizes),
        }


@dataclass(frozen=True, slots=True)
class ClassCount:
    """A class, and how much there is of it."""

    name: str
    id: int | None
    boxes: int
    images: int
    splits: Mapping[str, int] = field(default_factory=dict)
    """Its boxes in each split; empty where there are none."""

    def as_dict(self) -> dict[str, object]:
        """As plain types."""
        pairs = {"name": self.name, "id": self.id, "boxes": self.boxes, "images": self.images}
        return {**pairs, "splits": dict(self.splits)}


@dataclass(frozen=True, slots=True)
class Statistics:
    """What is in a data set."""

    sources: tuple[Side, ...]
    box: str
    """The box format, by name; with commas where sources differ."""
    all: Group
    splits: tuple[Group, ...] = ()
    """Side by side; empty where there are none."""
    classes: tuple[ClassCount, ...] = ()
    """In the order of the header."""
    groups: tuple[Group, ...] = ()
    """By class, where that was asked for, in the order of the header; the last, without a name, is of boxes without a
    class, if there are any."""
    duplicate_images: int = 0
    """Images whose name and split another one has already."""
    duplicate_boxes: int = 0
    """Boxes that are the same, class and numbers, as another before them in their image."""
    findings: tuple[Diagnostic, ...] = ()
    seconds: float = 0.0
    classless_boxes: int = 0
    """Boxes without a class."""
    by: str = ""
    """What was asked for: `class`, `split` or nothing."""

    @property
    def exit_code(self) -> ExitCode:
        """What a run of the command line ends with."""
        return exit_code_of(self.findings)

    def as_dict(self) -> dict[str, object]:
        """The document as plain types."""
        return {
            "version": VERSION,
            "command": "stats",
            "exit_code": int(self.exit_code),
            "sources": [side.as_dict() for side in self.sources],
            "box": self.box,
            "by": self.by,
            "all": self.all.as_dict(),
            "splits": [group.as_dict() for group in self.splits],
            "classes": [one.as_dict() for one in self.classes],
            "groups": [group.as_dict() for group in self.groups],
            "classless_boxes": self.classless_boxes,
            "duplicate_images": self.duplicate_images,
            "duplicate_boxes": self.duplicate_boxes,
            "findings": [finding.as_dict() for finding in self.findings],
            "seconds": round(self.seconds, 3),
        }

    def classes_to_pandas(self) -> pd.DataFrame:
        """One row for each class, in the order of the header.

        Columns: `class`, `id` (nullable), `boxes`, `share` (of all boxes), `images`, and `boxes_` with the name of
        each split.
        """
        from bboxconv.statisticsframes import classes_frame  # noqa: PLC0415 - pandas is loaded where it is asked for

        return classes_frame(self)

    def groups_to_pandas(self) -> pd.DataFrame:
        """One row for all, for each split and, where they were asked for, for each class.

        Columns: `kind` (all, split or class), `name`, `images`, `boxes`, `empty_images`, `unannotated_images`,
        `boxes_per_image` (of the images at which somebody looked), the flags, and `small`, `medium`, `large`,
        `unknown`.
        """
        from bboxconv.statisticsframes import groups_frame  # noqa: PLC0415 - as above

        return groups_frame(self)
