"""What is asked of drawing, and what came of it: plain data, for the summary and `--json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bboxconv.errors import Diagnostic, ExitCode
from bboxconv.picking import Pick
from bboxconv.report import Side

VERSION = 1
"""Version of the JSON document; it grows when a key changes its meaning or goes."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be drawn, beside the request, whose `dst` is the output."""

    pick: Pick
    count: int
    seed: int
    each: bool
    """Single pictures, whatever the name of the output."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """What was drawn, and of what."""

    sources: tuple[Side, ...]
    output: str
    """As the user wrote it."""
    pick: str
    seed: int
    images: tuple[str, ...]
    """The names of those drawn, in their order; of one without a name its id."""
    files: tuple[str, ...]
    """Where they are: one name for all of a sheet, else one for each, below the output."""
    boxes: int
    """How many objects they have together."""
    eligible: int
    """How many images could have been chosen; for `first`, which looks no further, how many were."""
    read: int
    """How many images were looked at."""
    blank: Mapping[str, int] = field(default_factory=dict)
    """How many were drawn on blank canvases, by why: missing, broken, too-large."""
    bytes: int = 0
    findings: tuple[Diagnostic, ...] = ()
    exit_code: ExitCode = ExitCode.DONE
    seconds: float = 0.0

    def as_dict(self) -> dict[str, object]:
        """The document as plain types."""
        return {
            "version": VERSION,
            "command": "draw",
            "exit_code": int(self.exit_code),
            "sources": [side.as_dict() for side in self.sources],
            "output": self.output,
            "pick": self.pick,
            "seed": self.seed,
            "images": list(self.images),
            "files": list(self.files),
            "boxes": self.boxes,
            "eligible": self.eligible,
            "read": self.read,
            "blank": dict(self.blank),
            "bytes": self.bytes,
            "findings": [finding.as_dict() for finding in self.findings],
            "seconds": round(self.seconds, 3),
        }
