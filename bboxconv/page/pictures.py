"""Small pictures of images, made on all cores. Pillow makes them, where it is installed."""

from __future__ import annotations

import base64
import importlib.util
import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bboxconv.errors import Findings, printable
from bboxconv.imagelookup import ImageLookup
from bboxconv.workers import Workers

SIDE = 256
"""Pixels of the longer side."""
QUALITY = 70
_TASK = 16
"""Images of one task."""
_BACKGROUND = (255, 255, 255)


@dataclass(frozen=True, slots=True)
class Wanted:
    """An image that is to have a picture: its number in the page, its name and its split."""

    number: int
    name: str
    split: str | None


def available() -> bool:
    """Whether Pillow is installed."""
    return importlib.util.find_spec("PIL") is not None


def pictures(
    wanted: Sequence[Wanted],
    lookup: Callable[[str | None], ImageLookup],
    workers: Workers,
    findings: Findings,
    *,
    exif: bool,
    told: bool,
) -> Iterator[tuple[int, str]]:
    """The number of each image with its picture, a JPEG in base64; none for images that are not there, which is a
    finding where `told`, and for those that cannot be read, which always is one. `lookup` is where the images of a
    split are; `exif`: as displayed."""
    lookups = {split: lookup(split) for split in {one.split for one in wanted}}
    found: list[tuple[Wanted, Path]] = []
    for one in wanted:
        path = next(lookups[one.split].files(one.name), None)
        if path is not None:
            found.append((one, path))
        elif told:
            message = "an image is not in the folder of the images"
            findings.add("image-missing", message, severity="warning", where=printable(one.name))
    paths = [str(path) for _, path in found]
    tasks = (_Shrink(tuple(paths[at : at + _TASK]), exif) for at in range(0, len(paths), _TASK))
    made = (picture for some in workers.run(_shrink, tasks) for picture in some)
    for (one, _), picture in zip(found, made, strict=True):
        if picture is None:
            message = "an image cannot be read: it has no picture"
            findings.add("image-unreadable", message, severity="warning", where=printable(one.name))
        else:
            yield one.number, picture


@dataclass(frozen=True, slots=True)
class _Shrink:
    paths: tuple[str, ...]
    exif: bool


def _shrink(task: _Shrink) -> list[str | None]:
    return [_picture(Path(path), exif=task.exif) for path in task.paths]


def _picture(path: Path, *, exif: bool) -> str | None:
    from PIL import Image, ImageOps  # noqa: PLC0415 - an extra

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # large images and odd metadata are no matter here
            with Image.open(path) as image:
                image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)
                small = ImageOps.exif_transpose(image) if exif else image
                small = small.convert("RGBA") if small.has_transparency_data else small.convert("RGB")
                if small.mode == "RGBA":
                    ground = Image.new("RGB", small.size, _BACKGROUND)
                    ground.paste(small, mask=small.getchannel("A"))
                    small = ground
                data = io.BytesIO()
                small.save(data, "JPEG", quality=QUALITY, optimize=True)
    except Exception:  # noqa: BLE001 - a broken file can end a decoder in any way
        return None
    return base64.b64encode(data.getvalue()).decode("ascii")
