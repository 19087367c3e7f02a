"""The image files of a data set, found in the folders where they may lie, and copied or linked into an output."""

# Strings, not Path: an object for each of 100,000 files costs as much as reading the file.
# ruff: noqa: PTH103, PTH211

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from bboxconv.codec import WriteContext
from bboxconv.errors import Findings, UsageError, printable
from bboxconv.io import unsafe_name


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """Where images are. `how` they come into the output: none, copy, link, or as a format does it."""

    how: str
    folders: tuple[tuple[str | None, Path], ...]
    """Where the image files of each split (None: of all) may lie, the first one first."""

    @classmethod
    def of(cls, how: str, context: WriteContext) -> ImageFiles:
        """In the folder that the user named, and where the sources have theirs.

        Raises UsageError where images are asked for and no folder is known.
        """
        if how != "none" and context.images is None and not context.image_folders:
            raise UsageError.of(
                "images-missing", f"--out images={how} needs the folder of the images", hint="--images DIR"
            )
        given = ((None, context.images),) if context.images is not None else ()
        return cls(how, (*given, *context.image_folders))

    def find(self, name: str, split: str | None, findings: Findings) -> Path | None:
        """The file of an image; None, and a warning, where it is in no folder. A name that leads out of the folders
        names none."""
        folders = [folder for one, folder in self.folders if one is None or one == split]
        if unsafe_name(f"{split}/{name}" if split else name) is None:
            candidates = (
                path
                for folder in folders
                for path in ((folder / split / name, folder / name) if split else (folder / name,))
            )
            for path in candidates:
                if path.is_file():
                    return path
        message = "an image is not in the folder of the images"
        findings.add("image-missing", message, severity="warning", where=printable(name))
        return None

    def place(self, name: str, split: str | None, target: str, findings: Findings) -> None:
        """Put an image there, as a copy or a link; a fault where another file stands there."""
        source = self.find(name, split, findings)
        if source is None:
            return
        os.makedirs(target.rpartition("/")[0], exist_ok=True)
        if os.path.lexists(target):
            findings.add("file-clash", "two images would write the same image file", where=printable(name))
        elif self.how == "copy":
            shutil.copyfile(source, target)
        else:
            os.symlink(source.resolve(), target)
