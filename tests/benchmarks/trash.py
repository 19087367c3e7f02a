"""Where outputs go after a run: aside first, deleted when the benchmark ends or the disk is nearly full.

ext4 does not give out the inode of a file that was deleted in the last minutes, and looks at each such inode again
for every file it makes: after 7,000 files have been deleted, making as many takes up to twenty times as long. A
benchmark that deletes what a tool wrote measures that in the next one, and so does one that starts soon after the end
of another.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

RESERVE = 0.1  # of the disk's bytes and inodes, below which the trash is emptied at once
SETTLED = 360  # seconds after which ext4 gives a deleted file's inode out again


class Trash:
    """A folder on the disk of the outputs; what is taken there is renamed, which costs nothing."""

    def __init__(self, folder: Path, tell: Callable[[str], None]) -> None:
        self.folder, self.tell = folder, tell
        self.stamp = folder.with_name("emptied")
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.stamp.exists() and time.time() - self.stamp.stat().st_mtime < SETTLED:
            tell(
                f"files were deleted in the last {SETTLED} s: what makes many files may be measured as slower than it is"
            )

    def take(self, path: Path | None) -> None:
        """Move a file or a folder away, if it is there."""
        if path is None or not path.exists():
            return
        path.rename(self.folder / str(time.time_ns()))
        disk = os.statvfs(self.folder)
        if disk.f_bavail < RESERVE * disk.f_blocks or (disk.f_files and disk.f_favail < RESERVE * disk.f_files):
            self.tell("the disk is nearly full: outputs are deleted, what makes many files may be slow for minutes")
            self.empty()

    def empty(self) -> None:
        shutil.rmtree(self.folder)
        self.folder.mkdir()
        self.stamp.touch()
