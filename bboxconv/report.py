"""What a run says of itself: one document, for the summary, `--json` and `--report`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from bboxconv.account import Values, class_of
from bboxconv.errors import Diagnostic, ExitCode

if TYPE_CHECKING:
    from bboxconv.agreement import Agreement

Command = Literal["convert", "validate", "verify", "merge", "split", "sample", "filter"]
CONVERSIONS: tuple[Command, ...] = ("convert", "merge", "split", "sample", "filter")
"""The commands that write a data set."""
VERSION = 1
"""Version of the JSON document; it grows when a key changes its meaning or goes."""


@dataclass(frozen=True, slots=True)
class Side:
    """One source, or the destination."""

    path: str
    format: str
    split: str | None = None
    evidence: str = ""
    """Why this format: `--from`, or what detection saw."""

    def as_dict(self) -> dict[str, object]:
        """As plain types; what is empty is left out."""
        pairs = {"path": self.path, "format": self.format, "split": self.split, "evidence": self.evidence}
        return {key: value for key, value in pairs.items() if value}


@dataclass(frozen=True, slots=True)
class Counts:
    """Images, boxes and categories."""

    images: int = 0
    boxes: int = 0
    categories: int = 0

    def as_dict(self) -> dict[str, int]:
        """As plain types."""
        return {"images": self.images, "boxes": self.boxes, "categories": self.categories}


@dataclass(frozen=True, slots=True)
class Report:
    """The account of one conversion or validation.

    It sums: what the sources have is what was read plus what was set aside while reading (`rejected_images`,
    `rejected_boxes`, counted by code); what was read is what was written plus what was left out (`left_out_images`,
    `left_out_boxes`, counted by reason). Of an image that could not be read, its boxes are not known and not counted.
    """

    command: Command
    exit_code: ExitCode = ExitCode.DONE
    sources: tuple[Side, ...] = ()
    target: Side | None = None
    read: Counts = Counts()
    written: Counts = Counts()
    rejected_images: Mapping[str, int] = field(default_factory=dict)
    rejected_boxes: Mapping[str, int] = field(default_factory=dict)
    left_out_images: Mapping[str, int] = field(default_factory=dict)
    left_out_boxes: Mapping[str, int] = field(default_factory=dict)
    fields: Mapping[str, Values] = field(default_factory=dict)
    """What became of the values of every field that occurs (`object.bbox`, `image.extra.license`, `info`)."""
    lost: Mapping[str, int] = field(default_factory=dict)
    """Values that the target does not carry, by field (`object.iscrowd`, `image.extra.license`)."""
    filled: Mapping[str, int] = field(default_factory=dict)
    """Values that the source lacks and the target needs, by field."""
    findings: tuple[Diagnostic, ...] = ()
    switches: Mapping[str, str] = field(default_factory=dict)
    """Every switch of meaning that was in force."""
    next_step: str = ""
    """What the user has still to do, where something is missing."""
    files: int = 0
    bytes: int = 0
    seconds: float = 0.0
    dry_run: bool = False
    verify: Agreement | None = None
    """How far the output agrees with its source, where that was asked for."""

    @property
    def images(self) -> int:
        """Images written (validate: read)."""
        return self.written.images if self.command != "validate" else self.read.images

    @property
    def boxes(self) -> int:
        """Boxes written (validate: read)."""
        return self.written.boxes if self.command != "validate" else self.read.boxes

    @property
    def categories(self) -> int:
        """Categories written (validate: read)."""
        return self.written.categories if self.command != "validate" else self.read.categories

    def as_dict(self) -> dict[str, object]:
        """The document as plain types."""
        return {
            "version": VERSION,
            "command": self.command,
            "exit_code": int(self.exit_code),
            "sources": [side.as_dict() for side in self.sources],
            "target": self.target.as_dict() if self.target else None,
            "read": self.read.as_dict(),
            "written": self.written.as_dict(),
            "rejected": {"images": dict(self.rejected_images), "boxes": dict(self.rejected_boxes)},
            "left_out": {"images": dict(self.left_out_images), "boxes": dict(self.left_out_boxes)},
            "fields": {name: _values(name, values) for name, values in self.fields.items()},
            "lost": dict(self.lost),
            "filled": dict(self.filled),
            "findings": [finding.as_dict() for finding in self.findings],
            "switches": dict(self.switches),
            "next_step": self.next_step,
            "files": self.files,
            "bytes": self.bytes,
            "seconds": round(self.seconds, 3),
            "dry_run": self.dry_run,
            **({"verify": self.verify.as_dict()} if self.verify is not None else {}),
        }


def _values(name: str, values: Values) -> dict[str, object]:
    return {
        "class": class_of(name),
        "count": values.count,
        "carried": values.carried,
        "changed": dict(values.changed),
        "lost": values.lost,
        "places": list(values.places),
    }


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a data set is, as `bboxconv inspect` shows it."""

    sources: tuple[Side, ...]
    counts: Counts
    box: str
    """The box format, by name."""
    splits: Mapping[str, Counts] = field(default_factory=dict)
    classes: tuple[tuple[str, int | None, int], ...] = ()
    """Name, id and number of boxes of each class, in order."""
    fields: Mapping[str, int] = field(default_factory=dict)
    """How many images or objects have a value in each field (`image.width`, `object.segmentation`)."""
    empty_images: int = 0
    unannotated_images: int = 0
    findings: tuple[Diagnostic, ...] = ()
    header: tuple[str, ...] = ()
    """Top-level keys that the data set has beside images, objects and categories."""
    seconds: float = 0.0

    def as_dict(self) -> dict[str, object]:
        """The document as plain types."""
        return {
            "version": VERSION,
            "command": "inspect",
            "sources": [side.as_dict() for side in self.sources],
            "counts": self.counts.as_dict(),
            "box": self.box,
            "splits": {name: counts.as_dict() for name, counts in self.splits.items()},
            "classes": [{"name": name, "id": number, "boxes": boxes} for name, number, boxes in self.classes],
            "fields": dict(self.fields),
            "empty_images": self.empty_images,
            "unannotated_images": self.unannotated_images,
            "header": list(self.header),
            "findings": [finding.as_dict() for finding in self.findings],
            "seconds": round(self.seconds, 3),
        }
