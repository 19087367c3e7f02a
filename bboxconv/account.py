"""What becomes of the images, the boxes and the values of every field on their way through a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from bboxconv.errors import FIRST_PLACES

FieldClass = Literal["geometry", "label", "flag", "metadata"]

CLASSES: Mapping[str, FieldClass] = {
    "object": "geometry",
    "object.bbox": "geometry",
    "object.segmentation": "geometry",
    "object.keypoints": "geometry",
    "object.rotation": "geometry",
    "object.category": "label",
    "object.score": "label",
    "object.track_id": "label",
    "object.iscrowd": "flag",
    "object.difficult": "flag",
    "object.ignore": "flag",
    "object.truncated": "flag",
    "object.occluded": "flag",
}
"""The class of each field; every other one is metadata."""


def class_of(field: str) -> FieldClass:
    """Geometry, label, flag or metadata."""
    return CLASSES.get(field, "metadata")


@dataclass(frozen=True, slots=True)
class Values:
    """What became of the values of one field: what was neither changed nor lost was carried as it stood."""

    count: int
    changed: Mapping[str, int] = field(default_factory=dict)
    """How many were changed, by how: converted, clipped, rounded, renamed, remapped, filled (an explicit null that got
    a value), envelope, unrotated. No value is in two."""
    lost: int = 0
    places: tuple[str, ...] = ()
    """The first that were lost."""

    @property
    def carried(self) -> int:
        """How many came through as they stood."""
        return self.count - sum(self.changed.values()) - self.lost


@dataclass(slots=True)
class Account:
    """What is counted as the stream passes. `seen`, `changed` and `lost` are of the values of what is written; what
    is left out is counted with its image or box."""

    read_images: int = 0
    read_boxes: int = 0
    images: int = 0
    boxes: int = 0
    left_out_images: Counter[str] = field(default_factory=Counter)
    left_out_boxes: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    """Values by field."""
    lost: Counter[str] = field(default_factory=Counter)
    filled: Counter[str] = field(default_factory=Counter)
    changed: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Values by field and how they were changed."""
    places: dict[str, list[str]] = field(default_factory=dict)
    """The first places of what is lost, by field."""

    def add(self, other: Account) -> None:
        """Count what another process has counted."""
        for name in ("read_images", "read_boxes", "images", "boxes"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("left_out_images", "left_out_boxes", "seen", "lost", "filled", "changed"):
            getattr(self, name).update(getattr(other, name))
        for name, places in other.places.items():
            known = self.places.setdefault(name, [])
            known += places[: FIRST_PLACES - len(known)]

    def take_back(self, other: Account) -> None:
        """Count the values of images no more that were left out when all had been counted."""
        for name in ("seen", "lost", "filled", "changed"):
            getattr(self, name).subtract(getattr(other, name))
        for name, places in other.places.items():
            for place in places:
                with suppress(ValueError):  # these are the first of theirs, not of all
                    self.places[name].remove(place)

    def lose(self, name: str, count: int, rows: Callable[[], list[str]]) -> None:
        """Count values that are lost; `rows` gives the first places."""
        self.lost[name] += count
        known = self.places.setdefault(name, [])
        if len(known) < FIRST_PLACES:
            known += rows()[: FIRST_PLACES - len(known)]

    def fields(self) -> dict[str, Values]:
        """What became of the values of every field that occurs, in order of the names."""
        changed: dict[str, dict[str, int]] = {}
        for (name, how), count in sorted(self.changed.items()):
            if count:
                changed.setdefault(name, {})[how] = count
        names = sorted({name for name, count in (self.seen + self.lost).items() if count} | {*changed})
        return {
            name: Values(self.seen[name], changed.get(name, {}), self.lost[name], tuple(self.places.get(name, ())))
            for name in names
        }
