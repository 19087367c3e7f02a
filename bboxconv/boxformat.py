"""What the four numbers of a box mean: its format, which is data, with a name and a JSON form.

y points downwards. Continuous edges with origin 0 are what everything is reasoned in: the PASCAL VOC development kit
numbers pixels from 1, and its xmax, ymax are the last pixels of the box.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from bboxconv.suggest import did_you_mean

Kind = Literal["xyxy", "xywh", "cxcywh"]

ALIASES: Mapping[str, str] = {
    "corner": "xyxy", "center": "cxcywh", "coco": "xywh", "voc": "xyxy", "yolo": "cxcywhn", "albumentations": "xyxyn",
}  # fmt: skip
# What a name's suffix says of (scale, origin, inclusive); any other scale is written as in xyxy/1024.
_SUFFIXES: Mapping[str, tuple[float | None, int, bool]] = {
    "": (None, 0, False), "n": (1, 0, False), "%": (100, 0, False),
    "@1": (None, 1, False), "+0": (None, 0, True), "+1": (None, 1, True),
}  # fmt: skip


# The columns of a table of boxes.
_COLUMNS: Mapping[Kind, tuple[str, str, str, str]] = {
    "xyxy": ("x1", "y1", "x2", "y2"), "xywh": ("x", "y", "w", "h"), "cxcywh": ("cx", "cy", "w", "h"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rotation:
    """How an angle is read: its unit, its sense on the screen, and what stays: the center or the top-left corner."""

    unit: Literal["degree", "radian"]
    sense: Literal["cw", "ccw"]
    pivot: Literal["center", "corner"]

    def __post_init__(self) -> None:
        words = (self.unit, self.sense, self.pivot)
        for word, known in zip(words, (("degree", "radian"), ("cw", "ccw"), ("center", "corner")), strict=True):
            if word not in known:
                raise ValueError(f"rotation must have one of {', '.join(known)}, not {word!r}")


@dataclass(frozen=True, slots=True)
class BoxFormat:
    """What the four numbers of a box mean.

    kind: xyxy (two corners), xywh (top-left corner and size) or cxcywh (centre and size). scale: None for pixels,
    else the number of parts that the image's side is divided into: 1, 100, 1000, 1024. origin: number of the first
    pixel, 0 or 1. inclusive: the second corner is the last pixel of the box (width = x2 - x1 + 1). A width that is
    written out counts those pixels already, so xywh and cxcywh are the same numbers either way.
    rotation: how an angle beside the box is read; the box itself is the unrotated rectangle.

    ValueError: an unknown kind, a scale that is not positive, or an origin or inclusive end on a box without pixels.
    """

    kind: Kind
    scale: float | None = None
    origin: int = 0
    inclusive: bool = False
    rotation: Rotation | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"box kind must be one of {', '.join(get_args(Kind))}, not {self.kind!r}")
        if self.scale is not None and not 0 < self.scale < math.inf:
            raise ValueError(f"scale of a box format must be a positive number or None, not {self.scale!r}")
        if self.origin not in (0, 1):
            raise ValueError(f"origin of a box format must be 0 or 1, not {self.origin!r}")
        if self.inclusive not in (False, True):
            raise ValueError(f"inclusive of a box format must be true or false, not {self.inclusive!r}")
        if self.scale is not None and (self.origin or self.inclusive):
            raise ValueError("origin and inclusive count pixels: a box format with a scale has neither")

    @property
    def name(self) -> str:
        """The format in one word, which `parse` reads back (all but the rotation).

        A suffix says what differs from continuous pixels: `n` fractions, `%` percent, `/1024` parts of the side, `@1`
        pixels numbered from 1, `+1` the same with an inclusive end (VOC devkit), `+0` that from 0 (Supervisely).
        """
        for suffix, meaning in _SUFFIXES.items():
            if meaning == (self.scale, self.origin, self.inclusive):
                return self.kind + suffix
        return f"{self.kind}/{self._plain_scale()}"

    @classmethod
    def parse(cls, name: str) -> BoxFormat:
        """The format called `name`: a name as `BoxFormat.name` gives it, or an alias, else ValueError."""
        word = name.strip().lower()
        word = ALIASES.get(word, word)
        for kind in get_args(Kind):
            suffix = word.removeprefix(kind)
            if word == kind + suffix and suffix in _SUFFIXES:
                return cls(kind, *_SUFFIXES[suffix])
            if word == kind + suffix and re.fullmatch(r"/[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?", suffix):
                return cls(kind, float(suffix[1:]))
        known = [kind + suffix for suffix in [*_SUFFIXES, "/1024"] for kind in get_args(Kind)] + [*ALIASES]
        near = did_you_mean(name.strip(), known)
        hint = f" {near[0].upper()}{near[1:]}" if near else ""
        raise ValueError(f"unknown box format {name!r}.{hint} Known: {', '.join(known)}; / takes any positive number")

    def needs_size(self, target: BoxFormat) -> bool:
        """Whether converting to `target` needs image sizes: one of the two is in pixels, the other is not."""
        return (self.scale is None) != (target.scale is None)

    @property
    def columns(self) -> tuple[str, str, str, str]:
        """The names of the four numbers in a table: x1 y1 x2 y2, x y w h, or cx cy w h."""
        return _COLUMNS[self.kind]

    @property
    def offsets(self) -> tuple[float, float]:
        """What to add to the first and the second pair of numbers to have them continuous with origin 0."""
        return -self.origin, self.inclusive - self.origin if self.kind == "xyxy" else 0

    @property
    def edges(self) -> BoxFormat:
        """The continuous corners, with origin 0, in the same unit."""
        return BoxFormat("xyxy", self.scale)

    def same_numbers(self, target: BoxFormat) -> bool:
        """Whether a box is the same four numbers in both, its rotation left aside."""
        return (self.kind, self.scale, self.offsets) == (target.kind, target.scale, target.offsets)

    def shifts(self, target: BoxFormat) -> tuple[float, float]:
        """What to add to the pairs of numbers in pixels, once they are of the kind of `target`, to have its offsets.

        The change of kind is linear, so the offsets take the same way, and one addition for each number is enough.
        """
        first, second = self.offsets
        size = second - first if self.kind == "xyxy" else second
        center = first if self.kind == "cxcywh" else first + size / 2
        near = center - size / 2
        kept = {"xyxy": (near, near + size), "xywh": (near, size), "cxcywh": (center, size)}[target.kind]
        return kept[0] - target.offsets[0], kept[1] - target.offsets[1]

    def as_dict(self) -> dict[str, object]:
        """Every field in plain types, for JSON metadata; `from_dict` reads it back."""
        return {**asdict(self), "scale": self._plain_scale()}

    def _plain_scale(self) -> float | None:
        return int(self.scale) if self.scale is not None and self.scale == int(self.scale) else self.scale

    @classmethod
    def from_dict(cls, fields: Mapping[str, object]) -> BoxFormat:
        """The format that `as_dict` wrote; only `kind` is required. ValueError for a key or value that is none."""
        try:
            given = dict(fields)
            turn = given.pop("rotation", None)
            rotation = None if turn is None else Rotation(**turn)  # type: ignore[arg-type]  # checked when made
            return cls(**given, rotation=rotation)  # type: ignore[arg-type]
        except TypeError as error:
            raise ValueError(f"not a box format: {dict(fields)!r}") from error
