"""What boxes are drawn on: the image, as large as it is to be shown, or a blank canvas in its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

Size = tuple[int, int]
"""Width and height in pixels."""
Status = Literal["drawn", "missing", "broken", "too-large"]

BLANK = (224, 224, 224)
LARGEST_BLANK = 4096
"""Pixels of the longer side of a blank canvas: what annotations say of sizes is not proved by an image."""
_UNKNOWN: Size = (640, 480)
"""The size of an image of which nothing is known."""
_FORMATS = frozenset({"AVIF", "BMP", "DIB", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TGA", "TIFF", "WEBP"})
"""What is opened: others of Pillow's are no photographs, and one of them starts another program."""
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How an image is shown upright, by its orientation."""


@dataclass(frozen=True, slots=True)
class Canvas:
    """A picture to draw on, in RGB, and the size of the image that it shows."""

    picture: Image.Image
    size: Size
    """Of the image in its own pixels, as displayed."""
    status: Status
    jpeg: bool = False
    """Whether the image is a JPEG file."""

    @property
    def scale(self) -> tuple[float, float]:
        """By what to multiply pixels of the image to have those of the picture."""
        return self.picture.width / self.size[0], self.picture.height / self.size[1]


def opened(files: Sequence[Path], known: Size | None, room: Size | None, *, exif: bool) -> Canvas | Status:
    """The first of the files that is an image, or what is wrong with the first one.

    `room` is the size that the picture must fit into; None: the image's own. `known` is the size that the annotations
    give, `exif` whether the image is shown as its orientation says; where the annotations mean it as it is stored, it
    is shown so.
    """
    status: Status = "missing"
    for file in files:
        found = _open(file, known, room, exif=exif)
        if isinstance(found, Canvas):
            return found
        status = found if status == "missing" else status
    return status


def _open(file: Path, known: Size | None, room: Size | None, *, exif: bool) -> Canvas | Status:
    try:
        size = _stored_size(file)
        if size is not None and Image.MAX_IMAGE_PIXELS and size[0] * size[1] > Image.MAX_IMAGE_PIXELS:
            return "too-large"  # before Pillow warns on standard error
        with Image.open(file, formats=_formats()) as image:
            jpeg = image.format in ("JPEG", "MPO")
            stored, orientation = image.size, _orientation(image) if exif else 1
            sideways = orientation in (5, 6, 7, 8)
            if sideways and known == stored != stored[::-1]:
                sideways, orientation = False, 1
            displayed = stored[::-1] if sideways else stored
            shown = fitted(displayed, room)
            image.draft("RGB", shown[::-1] if sideways else shown)
            picture = _plain(image)
            if orientation in _TURNS:
                picture = picture.transpose(_TURNS[orientation])
        return Canvas(_resized(picture, shown), displayed, "drawn", jpeg)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return "too-large"
    except Exception:  # noqa: BLE001 - a decoder raises whatever a broken image leads to
        return "broken"


def _orientation(image: Image.Image) -> int:
    """How an image that was opened is still to be turned: Pillow turns TIFF itself."""
    return 1 if image.format == "TIFF" else int(image.getexif().get(_ORIENTATION, 1))


def _formats() -> list[str]:
    """Those of the formats that this Pillow reads."""
    Image.init()
    return [name for name in Image.OPEN if name in _FORMATS]


def _stored_size(file: Path) -> Size | None:
    import imagesize  # noqa: PLC0415 - as in sizes

    try:
        width, height = imagesize.get(file, exif_rotation=False)
    except Exception:  # noqa: BLE001 - it raises whatever a broken header leads to
        return None
    return (int(width), int(height)) if width > 0 and height > 0 else None


def _plain(image: Image.Image) -> Image.Image:
    """The image in RGB: what is transparent is white, more than 8 bits are brought to the range that is used."""
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        values = np.asarray(image, np.float64)
        low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
        scaled = np.nan_to_num((values - low) * (255 / (high - low) if high > low else 0))
        return Image.fromarray(scaled.astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        colored = image.convert("RGBA")
        white = Image.new("RGBA", colored.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, colored).convert("RGB")
    return image.convert("RGB")


def _resized(picture: Image.Image, size: Size) -> Image.Image:
    if picture.size == size:
        return picture
    if picture.width < size[0]:  # each pixel stays one that can be seen
        return picture.resize(size, Image.Resampling.NEAREST)
    return picture.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)


def fitted(size: Size, room: Size | None) -> Size:
    """The size of a picture of an image of that size: as large as there is room, enlarged by whole numbers alone."""
    if room is None:
        return size
    factor = min(room[0] / size[0], room[1] / size[1])
    factor = float(int(factor)) if factor >= 1 else factor
    return max(round(size[0] * factor), 1), max(round(size[1] * factor), 1)


def blank(size: Size | None, room: Size | None, status: Status) -> Canvas:
    """An empty canvas for an image of that size, not larger than can be made safely."""
    known = size or _UNKNOWN
    most = min(LARGEST_BLANK / max(known), 1.0)
    limited = max(round(known[0] * most), 1), max(round(known[1] * most), 1)
    shown = limited if room is None else fitted(known, room)
    return Canvas(Image.new("RGB", shown, BLANK), known, status)
