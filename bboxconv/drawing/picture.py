"""One image with its boxes: from its row to a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import pyarrow as pa
from PIL import Image

from bboxconv.drawing.canvas import Canvas, Size, Status, blank, opened
from bboxconv.drawing.figures import Figure, extent_of, figures_of, skeleton_of
from bboxconv.drawing.fonts import font_for, simpler
from bboxconv.drawing.labels import SMALLEST, draw_labels, placed
from bboxconv.drawing.shapes import draw_figures
from bboxconv.errors import printable
from bboxconv.imagelookup import ImageLookup, without_suffix
from bboxconv.schema import Category, Header


@dataclass(frozen=True, slots=True)
class Style:
    """What all pictures of a run share."""

    header: Header
    names: tuple[str, ...]
    """What each class is called on pictures."""
    skeletons: tuple[tuple[int, ...], ...]
    lookups: dict[str | None, ImageLookup]
    """Where the images of each split are."""
    exif: bool
    room: Size | None
    """What each picture has to fit into; None: it is as large as its image."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an image."""

    status: Status
    jpeg: bool
    boxes: int
    unread: int
    """How many objects have a segmentation or keypoints that cannot be read."""
    differs: str
    """The sizes of the image and of the annotations, where these are not the same."""
    elsewhere: str = ""
    """The file that was taken for the image by the last part of its name alone."""


def shown_names(categories: Sequence[Category]) -> tuple[tuple[str, ...], dict[str, str]]:
    """What each class is called on pictures, and which names have letters that no font at hand has: simpler ones stand
    for these, or else the number of the class for its name."""
    names: list[str] = []
    replaced: dict[str, str] = {}
    for number, category in enumerate(categories):
        name = printable(category.name)
        if font_for(name, SMALLEST) is None:
            plain = simpler(name)
            own = f"#{number if category.id is None else category.id}"
            replaced[name] = own if font_for(plain, SMALLEST) is None else plain
        names.append(replaced.get(name, name))
    return tuple(names), replaced


def skeletons_of(categories: Sequence[Category]) -> tuple[tuple[int, ...], ...]:
    """The joints of each class."""
    return tuple(skeleton_of(category) for category in categories)


def name_of(row: pa.RecordBatch) -> str:
    """The name of an image; its id where it has none."""
    name, number = row.column("file_name")[0].as_py(), row.column("id")[0].as_py()
    return str(name if name is not None else "" if number is None else number)


def drawn(row: pa.RecordBatch, style: Style) -> tuple[Image.Image, Outcome]:
    """Draw the boxes of an image on it, or on a blank canvas."""
    width, height = row.column("width")[0].as_py(), row.column("height")[0].as_py()
    known = (width, height) if width and height and width > 0 and height > 0 else None
    name, split = row.column("file_name")[0].as_py(), row.column("split")[0].as_py()
    lookup = style.lookups.get(split, style.lookups[None])
    found: Canvas | Status = "missing"
    elsewhere = ""
    if name is not None and lookup.roots:
        try:
            files = list(lookup.files(name))
            found = opened(files, known, style.room, exif=style.exif)
            whole = f"/{without_suffix(PurePosixPath(name.replace(chr(92), '/')).as_posix())}"
            if files and not without_suffix(files[0].as_posix()).endswith(whole):
                elsewhere = files[0].name
        except OSError:  # a name that no system takes
            found = "missing"
    if isinstance(found, Canvas):
        canvas, figures = found, _figures(row, style, found.size)
    else:
        figures = _figures(row, style, known or (1, 1))
        size = known or (extent_of(figures) if style.header.box.scale is None else None)
        canvas = blank(size, style.room, found)
        if known is None and style.header.box.scale is not None:
            figures = _figures(row, style, canvas.size)
    draw_figures(canvas, figures)
    draw_labels(canvas, placed(canvas, figures))
    differs = ""
    if canvas.status == "drawn" and known is not None and known != canvas.size:
        differs = f"{canvas.size[0]}x{canvas.size[1]}, annotated as {known[0]}x{known[1]}"
    unread = sum(figure.odd for figure in figures)
    return canvas.picture, Outcome(canvas.status, canvas.jpeg, len(figures), unread, differs, elsewhere)


def _figures(row: pa.RecordBatch, style: Style, size: Size) -> list[Figure]:
    return figures_of(row, style.header, size, style.names, style.skeletons)
