"""A contact sheet: pictures in rows, each with its name, on one ground; and pictures as files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from bboxconv.drawing.fonts import font_for, height_of, shortened, simpler, width_of

WIDTH = 1920
"""Pixels that a sheet is wide, about, as long as its pictures are not too small."""
SMALLEST, LARGEST = 240, 960
"""Pixels of the room of a picture."""
MOST = 1000
"""Pictures on a sheet: more are not looked at, and would not be one picture that programs open."""
_GAP = 12
_LETTERS = 13
_GROUND, _INK = (255, 255, 255), (48, 48, 48)
_QUALITY = 90


@dataclass(frozen=True, slots=True)
class Tile:
    """A picture, and what stands below it: a name, which may be shortened, and a detail."""

    picture: Image.Image
    name: str
    detail: str


def columns_of(count: int) -> int:
    """How many pictures stand in a row."""
    return max(math.ceil(math.sqrt(count)), 1)


def room_of(count: int) -> tuple[int, int]:
    """The room (width, height) of each of so many pictures."""
    side = min(max((WIDTH - _GAP) // columns_of(count) - _GAP, SMALLEST), LARGEST)
    return side, side


def sheet_of(tiles: Sequence[Tile]) -> Image.Image:
    """All pictures on one sheet, row by row."""
    columns, (room, _) = columns_of(len(tiles)), room_of(len(tiles))
    rows = [tiles[start : start + columns] for start in range(0, len(tiles), columns)]
    below = _LETTERS * 2
    heights = [max(tile.picture.height for tile in row) + below for row in rows]
    width = columns * (room + _GAP) + _GAP
    sheet = Image.new("RGB", (width, sum(heights) + _GAP * (len(rows) + 1)), _GROUND)
    pen = ImageDraw.Draw(sheet)
    top = _GAP
    for row, height in zip(rows, heights, strict=True):
        for column, tile in enumerate(row):
            left = _GAP + column * (room + _GAP)
            at = left + (room - tile.picture.width) // 2, top + height - below - tile.picture.height
            sheet.paste(tile.picture, at)
            _caption(pen, tile, left, top + height - below, room)
        top += height + _GAP
    return sheet


def _caption(pen: ImageDraw.ImageDraw, tile: Tile, left: int, top: int, room: int) -> None:
    name, font = tile.name, font_for(tile.name + tile.detail, _LETTERS)
    if font is None:
        name = simpler(name).encode("ascii", "replace").decode()
        font = font_for(name + tile.detail, _LETTERS)
    if font is not None:
        text = shortened(name, font, room - width_of(font, tile.detail), middle=True) + tile.detail
        space = (room - math.ceil(width_of(font, text))) // 2
        pen.text((left + space, top + (2 * _LETTERS - sum(height_of(font))) // 2), text, fill=_INK, font=font)


def save(picture: Image.Image, path: Path, *, jpeg: bool) -> None:
    """Write a picture. The same picture gives the same bytes."""
    if jpeg:
        picture.save(path, "JPEG", quality=_QUALITY, subsampling=0)
    else:
        picture.save(path, "PNG", compress_level=3)
