"""What a run is asked for: one frozen document, the same for the command line and the library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bboxconv.errors import FIRST_PLACES


@dataclass(frozen=True, slots=True)
class Request:
    """One run, as the command line or the library asks for it. The names are those of the flags."""

    sources: tuple[str, ...]
    """Paths, `split=path`, or `-`."""
    dst: str = ""
    from_: str | None = None
    to: str | None = None
    in_: Mapping[str, str] = field(default_factory=dict)
    out: Mapping[str, str] = field(default_factory=dict)
    box: str | None = None
    classes: Path | None = None
    class_map: tuple[str, ...] = ()
    """`old=new` pairs, or paths of csv or yaml files."""
    include_class: tuple[str, ...] = ()
    exclude_class: tuple[str, ...] = ()
    default_class: str | None = None
    drop_empty: bool = False
    unannotated: Literal["skip", "keep"] = "skip"
    split: tuple[str, ...] = ()
    images: Path | None = None
    image_sizes: str | None = None
    image_size: tuple[int, int] | None = None
    batch_size: int = 4096
    jobs: int = 0
    """Processes; 0: one per core."""
    memory: int = 256 << 20
    max_expansion: float | None = None
    """To how many times its size compressed input may unpack; None: as `unpacking.RATIOS` says, 0: no limit."""
    on_error: Literal["fail", "skip"] = "fail"
    rejects: Path | None = None
    max_errors: int | None = None
    on_invalid: Literal["keep", "clip", "drop", "fail"] = "keep"
    looks: bool = False
    """Whether it is a command that has no --on-invalid, so that advice names one that has."""
    strict: str | None = None
    """None; `default` (no loss of geometry, labels, flags); `all` (no loss, no change); or field names with commas."""
    overwrite: bool = False
    dry_run: bool = False
    verify: bool = False
    """Whether the output is read back and compared before it is put in place."""
    places: int = FIRST_PLACES
    """How many places of each finding are kept."""

    @property
    def listing(self) -> bool:
        """Whether the records that are set aside are listed."""
        return self.rejects is not None and self.on_error == "skip"
