"""What a comparison of an output with its source found: counts, the largest coordinate error, and how far each field
agrees. Comparisons of parts are added up, in any order.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bboxconv.errors import FIRST_PLACES, BboxconvError, DataError, Diagnostic, Place, printable, shortened

MESSAGES: Mapping[str, tuple[str, str]] = {
    "missing-image": ("verify-missing-image", "an image of the source is not in the output"),
    "extra-image": ("verify-extra-image", "the output has an image that the source does not have"),
    "missing-box": ("verify-missing-box", "a box of the source is not in the output"),
    "extra-box": ("verify-extra-box", "the output has a box that the source does not have"),
}
"""The code and the message for images and boxes that have no partner."""
_HINT = "convert again; or give the options with which it was written"


@dataclass(frozen=True, slots=True, order=True)
class Sight:
    """One place of a difference; the numbers of its image and its object order them."""

    image: int
    row: int
    where: str
    detail: str = ""


@dataclass(slots=True)
class Tally:
    """How many values agree, how many do not, and where first. `filled`: values that the format needs and the source
    lacks."""

    equal: int = 0
    differ: int = 0
    filled: int = 0
    places: list[Sight] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Count another part."""
        self.equal += other.equal
        self.differ += other.differ
        self.filled += other.filled
        self.places = sorted([*self.places, *other.places])[:FIRST_PLACES]

    def see(self, places: Iterable[Sight]) -> None:
        """Keep the first places."""
        self.add(Tally(places=list(places)))

    def as_dict(self) -> dict[str, object]:
        """As plain types; what is empty is left out."""
        found: dict[str, object] = {"equal": self.equal, "differ": self.differ}
        if self.filled:
            found["filled"] = self.filled
        if self.places:
            found["first"] = [{"where": place.where, "detail": place.detail} for place in self.places]
        return found


@dataclass(frozen=True, slots=True)
class Error:
    """The largest difference of a coordinate that both sides have."""

    units: float = 0.0
    """In units of the last place: of the last decimal where these are stated, else of the float."""
    pixels: float = 0.0
    unsized: bool = False
    """Whether a coordinate differed in an image whose size nobody knows: that is in no `pixels`."""

    def larger(self, other: Error) -> Error:
        """The larger of each."""
        return Error(
            max(self.units, other.units), max(self.pixels, other.pixels), unsized=self.unsized or other.unsized
        )


@dataclass(slots=True)
class Agreement:
    """How far an output agrees with its source."""

    images: int = 0
    """Pairs of images; `boxes` are pairs of boxes."""
    boxes: int = 0
    lost_boxes: int = 0
    """Boxes of images that are missing."""
    added_boxes: int = 0
    """Boxes of images that the output has on its own."""
    error: Error = Error()
    unpaired: dict[str, Tally] = field(default_factory=lambda: {name: Tally() for name in MESSAGES})
    fields: dict[str, Tally] = field(default_factory=dict)
    used: set[int] = field(default_factory=set)
    """The classes of the source that have a box."""

    def add(self, other: Agreement) -> None:
        """Count another part."""
        self.images += other.images
        self.boxes += other.boxes
        self.lost_boxes += other.lost_boxes
        self.added_boxes += other.added_boxes
        self.error = self.error.larger(other.error)
        for name, tally in other.unpaired.items():
            self.unpaired[name].add(tally)
        for name, tally in other.fields.items():
            self.of(name).add(tally)
        self.used |= other.used

    def of(self, name: str) -> Tally:
        """The tally of a field."""
        return self.fields.setdefault(name, Tally())

    @property
    def same(self) -> bool:
        """Whether nothing differs by more than the target's precision explains."""
        return not any(tally.differ for tally in (*self.unpaired.values(), *self.fields.values()))

    def excuse(self, images: int) -> None:
        """Forgive up to so many missing images, which the writer left out and reported."""
        missing = self.unpaired["missing-image"]
        if missing.differ <= images:
            self.unpaired["missing-image"] = Tally()

    def diagnostics(self) -> list[Diagnostic]:
        """A fault for each kind of difference."""
        found = [(*message, self.unpaired[name]) for name, message in MESSAGES.items()]
        found += [
            ("verify-differs", f"{name} is not that of the source", tally)
            for name, tally in sorted(self.fields.items())
        ]
        differing = [(code, text, tally) for code, text, tally in found if tally.differ]
        return [
            Diagnostic(
                code,
                text,
                count=tally.differ,
                places=tuple(Place(place.where, place.detail) for place in tally.places),
                hint=_HINT if number == len(differing) else "",
            )
            for number, (code, text, tally) in enumerate(differing, 1)
        ]

    def as_dict(self) -> dict[str, object]:
        """As plain types, for `--json` and `--report`."""
        lost, gained = self.unpaired["missing-box"].differ, self.unpaired["extra-box"].differ
        return {
            "same": self.same,
            "images": {
                "compared": self.images,
                "missing": self.unpaired["missing-image"].differ,
                "extra": self.unpaired["extra-image"].differ,
            },
            "boxes": {
                "compared": self.boxes,
                "missing": lost + self.lost_boxes,
                "extra": gained + self.added_boxes,
            },
            "largest_error": {
                "pixels": None if self.error.unsized else finite(self.error.pixels),
                "units_in_last_place": finite(self.error.units),
            },
            "fields": {name: tally.as_dict() for name, tally in sorted(self.fields.items())},
        }


def finite(number: float) -> float | None:
    """The number, or None where JSON has none for it."""
    return number if math.isfinite(number) else None


def shown(value: object) -> str:
    """A value as a message quotes it."""
    return "nothing" if value is None else shortened(printable(str(value)))


def refuse(agreement: Agreement, findings: Iterable[Diagnostic]) -> None:
    """Raise DataError where an output is not what its source gives."""
    if agreement.same:
        return
    error: BboxconvError = DataError([*findings, *agreement.diagnostics()])
    error.details = {"verify": agreement.as_dict()}
    raise error
