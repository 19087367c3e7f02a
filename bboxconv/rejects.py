"""The records that `--on-error skip` sets aside, on their way into the file of `--rejects`.

They come as lines of JSON, from every process and stage of a run. The file has them by code and message, and within
one in the order of the data: the same for any number of processes and any size of batches. However many there are,
little is held in memory: beyond that they lie in a file without a name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bboxconv.io import staged
from bboxconv.shelf import Left, Unnamed

_HELD = 64 << 10
"""Bytes of the lines of one kind that are held in memory."""


@dataclass(slots=True)
class _Kind:
    """The lines of one code and message: those that lie in the file, and those that do not yet."""

    left: list[Left] = field(default_factory=list)
    held: list[bytes] = field(default_factory=list)
    size: int = 0


@dataclass(slots=True)
class Rejects:
    """Collects lines."""

    _kinds: dict[tuple[str, str], _Kind] = field(default_factory=dict)
    _file: Unnamed | None = None

    def collect(self, code: str, message: str, lines: bytes) -> None:
        """Take lines of one kind, which follow those that were taken before. Raises OutputError where the disk cannot
        take them."""
        kind = self._kinds.setdefault((code, message), _Kind())
        kind.held.append(lines)
        kind.size += len(lines)
        if kind.size < _HELD:
            return
        if self._file is None:
            self._file = Unnamed.open()
        kind.left += self._file.own_shelf.leave([b"".join(kind.held)])
        kind.held, kind.size = [], 0

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all; one that is there is replaced. Raises OutputError where that fails."""
        with staged(path, "file", overwrite=True) as stage, stage.open("wb") as file:
            for _, kind in sorted(self._kinds.items()):
                for left in kind.left:
                    left.copy_to(file)
                file.writelines(kind.held)
