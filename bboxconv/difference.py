"""What `bboxconv diff` finds: plain data, for the terminal and `--json`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from bboxconv.errors import Diagnostic, ExitCode
from bboxconv.report import Counts, Side

VERSION = 1
"""Version of the JSON document; it grows when a key changes its meaning or goes."""


@dataclass(frozen=True, slots=True)
class Example:
    """One image, class or box that differs; what one side does not have is None."""

    image: str = ""
    split: str | None = None
    class_a: str | None = None
    class_b: str | None = None
    box_a: tuple[float, float, float, float] | None = None
    box_b: tuple[float, float, float, float] | None = None
    iou: float | None = None
    value_a: str | None = None
    """Of a field, or of the size of an image."""
    value_b: str | None = None

    def as_dict(self) -> dict[str, object]:
        """As plain types; what is empty is left out."""
        pairs = {
            "image": self.image,
            "split": self.split,
            "class_a": self.class_a,
            "class_b": self.class_b,
            "box_a": _finite(self.box_a),
            "box_b": _finite(self.box_b),
            "iou": None if self.iou is None else round(self.iou, 6),
            "value_a": self.value_a,
            "value_b": self.value_b,
        }
        return {key: value for key, value in pairs.items() if value not in (None, "")}


def _finite(box: tuple[float, float, float, float] | None) -> list[float | None] | None:
    return None if box is None else [number if math.isfinite(number) else None for number in box]


@dataclass(frozen=True, slots=True)
class Change:
    """One kind of difference: how often, and the first examples."""

    count: int = 0
    compared: int | None = None
    """Of a field: how many values both sides have."""
    boxes: int | None = None
    """Of images and classes: how many boxes they have."""
    first: tuple[Example, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """As plain types; what does not apply is left out."""
        found: dict[str, object] = {"count": self.count}
        if self.compared is not None:
            found["compared"] = self.compared
        if self.boxes is not None:
            found["boxes"] = self.boxes
        if self.first:
            found["first"] = [example.as_dict() for example in self.first]
        return found


@dataclass(frozen=True, slots=True)
class Content:
    """One of the two data sets."""

    sources: tuple[Side, ...]
    counts: Counts
    box: str
    """The box format, by name."""
    decimals: int | None
    """How many decimals its boxes are written with; None: as many as floats have."""

    def as_dict(self) -> dict[str, object]:
        """As plain types."""
        return {
            "sources": [side.as_dict() for side in self.sources],
            "counts": self.counts.as_dict(),
            "box": self.box,
            "decimals": self.decimals,
        }


@dataclass(frozen=True, slots=True)
class Difference:
    """How two data sets differ."""

    a: Content
    b: Content
    box: str
    """The box format of the examples: `xyxy`, in pixels, or `xyxyn`, where both sides have fractions of the image."""
    iou: float
    """The least IoU of boxes that are taken for one."""
    tolerance: float | None
    """How far, in pixels, an edge may be off; None: as far as the decimals of both sides explain."""
    paired_images: int = 0
    same_boxes: int = 0
    largest: float = 0.0
    """The largest distance of two edges of a box that is the same, in the unit of `box`."""
    images: Mapping[str, Change] = field(default_factory=dict)
    """`only_in_a`, `only_in_b`, and of those in both `size`, `split`, `unannotated`: what differs there."""
    classes: Mapping[str, Change] = field(default_factory=dict)
    """`only_in_a`, `only_in_b`: classes that have boxes, and whose name the other side does not know."""
    boxes: Mapping[str, Change] = field(default_factory=dict)
    """Of the images in both: `moved`, `resized`, `reclassified`, `removed` (in a alone), `added` (in b alone)."""
    fields: Mapping[str, Change] = field(default_factory=dict)
    """Of the boxes that were paired, the fields that both sides have: `iscrowd`, `difficult` ..."""
    findings: tuple[Diagnostic, ...] = ()
    seconds: float = 0.0

    @property
    def differences(self) -> int:
        """How many images, classes, boxes and values of fields differ."""
        groups = (self.images, self.classes, self.boxes, self.fields)
        return sum(change.count for group in groups for change in group.values())

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    @property
    def exit_code(self) -> ExitCode:
        """What a run of the command line ends with."""
        return ExitCode.DONE if self.same else ExitCode.DIFFERENT

    def as_dict(self) -> dict[str, object]:
        """The document as plain types."""
        return {
            "version": VERSION,
            "command": "diff",
            "exit_code": int(self.exit_code),
            "same": self.same,
            "differences": self.differences,
            "a": self.a.as_dict(),
            "b": self.b.as_dict(),
            "box": self.box,
            "iou": self.iou,
            "tolerance": self.tolerance,
            "largest": self.largest if math.isfinite(self.largest) else None,
            "images": {"paired": self.paired_images, **_changes(self.images)},
            "classes": _changes(self.classes),
            "boxes": {"same": self.same_boxes, **_changes(self.boxes)},
            "fields": _changes(self.fields),
            "findings": [finding.as_dict() for finding in self.findings],
            "seconds": round(self.seconds, 3),
        }


def _changes(changes: Mapping[str, Change]) -> dict[str, object]:
    return {name: change.as_dict() for name, change in changes.items()}
