"""What `bboxconv stats` finds: plain data, for the terminal, `--json` and the page of `bboxconv report`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bboxconv.errors import Diagnostic
from bboxconv.report import Side

VERSION = 1
"""Version of the JSON document; it grows when a key changes its meaning or goes."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many values lie between each edge and the next, the lower one included."""

    edges: tuple[float, ...]
    """N + 1 rising numbers; the first may be -inf and the last inf."""
    counts: tuple[int, ...]
    """N counts."""


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
    """How many boxes are small, medium and large as COCO has them (below 32 * 32 and 96 * 96 square pixels), and
    `unknown` where pixels are not known."""
    boxes_per_image: Histogram = Histogram((), ())
    relative_areas: Histogram = Histogram((), ())
    """Of the area of the box in that of its image."""
    aspect_ratios: Histogram = Histogram((), ())
    """Of width to height of the boxes."""
    positions: tuple[tuple[int, ...], ...] = ()
    """How many centers of boxes lie in each cell of a grid over the image, rows from the top."""
    image_sizes: Mapping[str, int] = field(default_factory=dict)
    """How many images have each size, `640x480`, the commonest first, at most 20; `others` for the rest."""


@dataclass(frozen=True, slots=True)
class ClassCount:
    """A class, and how much there is of it."""

    name: str
    id: int | None
    boxes: int
    images: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """What is in a data set."""

    sources: tuple[Side, ...]
    box: str
    """The box format, by name."""
    all: Group
    splits: tuple[Group, ...] = ()
    """Side by side; empty where there are none."""
    classes: tuple[ClassCount, ...] = ()
    """In the order of the header."""
    groups: tuple[Group, ...] = ()
    """By class, where that was asked for."""
    duplicate_images: int = 0
    """Images whose name and split another one has already."""
    duplicate_boxes: int = 0
    """Boxes that are the same, class and numbers, as another of their image."""
    findings: tuple[Diagnostic, ...] = ()
    seconds: float = 0.0
