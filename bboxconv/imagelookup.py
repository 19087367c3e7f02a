"""Image files by name, in the folders where they may lie."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from bboxconv.imagenames import SUFFIX
from bboxconv.io import unsafe_name


@dataclass(frozen=True, slots=True)
class ImageLookup:
    """Where image files are found by name, as `from_images` says."""

    roots: tuple[Path, ...]
    _stems: dict[Path, dict[str, Path | None]] = field(default_factory=dict)

    @classmethod
    def of(cls, folders: Sequence[Path]) -> ImageLookup:
        """In these folders, the first one first."""
        return cls(tuple(root for folder in folders for root in dict.fromkeys(_beside(folder)) if root.is_dir()))

    @classmethod
    def of_split(
        cls, split: str | None, images: Path | None, folders: Sequence[tuple[str | None, Path]]
    ) -> ImageLookup:
        """Of the images of a split: in the folder that the user named, and where the sources have those of each split
        (None: of all)."""
        given = [] if images is None else [images]
        within = [folder / split for folder in given if split and unsafe_name(split) is None]
        return cls.of([*within, *given, *[folder for one, folder in folders if one is None or one == split]])

    def files(self, name: str) -> Iterator[Path]:
        """The files that the image may be, the likeliest first."""
        name = name.replace("\\", "/")
        last = PurePosixPath(name).name
        inner = [last] if unsafe_name(name) is not None else list(dict.fromkeys((name, last)))
        for root in self.roots:
            for path in (root / part for part in inner if part and "\0" not in part):
                found: Path | None = path
                if SUFFIX.search(path.name) is None:
                    found = _stems(path.parent, self._stems).get(path.name)
                if found is not None and found.is_file():  # a pipe would wait for its writer
                    yield found


def _beside(folder: Path) -> Iterator[Path]:
    """The folders where the images of a folder may stand."""
    yield folder
    parts = folder.absolute().parts
    for labels, images in (("labels", "images"), ("Annotations", "JPEGImages")):
        if labels in parts:
            last = len(parts) - 1 - parts[::-1].index(labels)  # only the rightmost one stands for the images
            yield Path(*parts[:last], images, *parts[last + 1 :])
    yield folder / "images"
    yield folder.absolute().parent / "images"


def without_suffix(name: str) -> str:
    """A name without the extension of an image."""
    return SUFFIX.sub("", name)


def _stems(folder: Path, stems: dict[Path, dict[str, Path | None]]) -> dict[str, Path | None]:
    """The images of a folder by stem, None where a stem has several; listed once."""
    if folder not in stems:
        found: dict[str, Path | None] = {}
        if folder.is_dir():
            with os.scandir(folder) as entries:
                for entry in entries:
                    stem = without_suffix(entry.name)
                    if stem != entry.name:
                        found[stem] = None if stem in found else Path(entry.path)
        stems[folder] = found
    return stems[folder]
