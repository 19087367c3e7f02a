"""Labels: placed where they cover as little as can be, inside the picture, and drawn so that they can be read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import ImageDraw

from bboxconv.drawing.canvas import Canvas
from bboxconv.drawing.figures import Figure
from bboxconv.drawing.fonts import Font, font_for, height_of, shortened, width_of
from bboxconv.drawing.shapes import Color, color_of, ink_on, line_width, pixels

SMALLEST = 11
"""Pixels of letters at least: smaller ones are not read."""
_MOST = 400
"""Labels on a picture at most."""
_SMALL = 3.0
"""How many times a label a box is, at most, of which it matters how much of it the label covers."""
_WIDE, _NARROWEST = 0.4, 64
"""The part of the width of a picture that a label takes at most, and the pixels that it may take on a small one."""
_COVERED, _COVERED_BY_FIRST = 0.2, 0.4
"""The part of a picture that labels may cover: that is full; for classes that are not named yet."""


@dataclass(frozen=True, slots=True)
class Label:
    """A text on a ground, and the pixels that it takes: left, top, right, bottom, the last two behind it."""

    text: str
    font: Font
    ground: Color
    box: tuple[int, int, int, int]


def letter_size(size: tuple[int, int]) -> int:
    """The size of letters on a picture of that size, in pixels."""
    return max(SMALLEST, round(math.sqrt(size[0] * size[1]) / 48))


def placed(canvas: Canvas, figures: Sequence[Figure]) -> list[Label]:
    """The labels of figures that come the largest first.

    Every class is named before any is named again. A label stands where it covers no other one, and as little as can be
    of small boxes; it is left out where there is no such place, or where labels cover too much of the picture already.
    """
    picture = canvas.picture.size
    size, padding = letter_size(picture), max(1, letter_size(picture) // 6)
    boxes = np.array([pixels(one.box, canvas) if one.box else (0, 0, 0, 0) for one in figures], np.float64)
    boxes = boxes.reshape(-1, 4) + np.array([0, 0, 1, 1])
    visible = np.clip(boxes, 0, (*picture, *picture))
    found: list[Label] = []
    taken = np.zeros((0, 4))
    named: set[int | None] = set()
    left_over = picture[0] * picture[1] * _COVERED_BY_FIRST, picture[0] * picture[1] * _COVERED
    covering = 0
    for number in _order(figures):
        figure = figures[number]
        font = font_for(figure.name, size)
        if font is None:  # left to whoever names classes: see `sheet.names_of`
            continue
        room = min(max(picture[0] * _WIDE, _NARROWEST), picture[0])
        text = shortened(figure.name, font, room - 2 * padding)
        above, below = height_of(font)
        shape = math.ceil(width_of(font, text)) + 2 * padding, above + below + 2 * (padding // 2)
        area = shape[0] * shape[1]
        if not text or shape[0] > picture[0] or shape[1] > picture[1]:
            continue
        if found and covering + area > left_over[figure.category in named]:
            continue
        places = _places(visible[number], _on(canvas, figure.top), shape, line_width(picture), picture)
        places = places[~(_overlaps(places, taken) > 0).any(axis=1)]
        if not len(places):
            continue
        best = int(np.argmin(_hidden(places, visible, area) + 0.02 * np.arange(len(places))))
        left, top, right, bottom = (int(edge) for edge in places[best])
        found.append(Label(text, font, color_of(figure.category), (left, top, right, bottom)))
        taken = np.concatenate((taken, places[best : best + 1]))
        named.add(figure.category)
        covering += area
        if len(found) == _MOST:
            break
    return found


def _order(figures: Sequence[Figure]) -> list[int]:
    """The first figure of each class, then the others."""
    seen: set[int | None] = set()
    firsts = []
    for number, figure in enumerate(figures):
        if figure.category not in seen:
            seen.add(figure.category)
            firsts.append(number)
    first = set(firsts)
    return firsts + [number for number in range(len(figures)) if number not in first]


def _on(canvas: Canvas, point: tuple[float, float] | None) -> tuple[float, float] | None:
    """A point of the image as one of the picture, if it can be seen."""
    if point is None:
        return None
    x, y = point[0] * canvas.scale[0], point[1] * canvas.scale[1]
    return (x, y) if 0 <= x <= canvas.picture.width and 0 <= y <= canvas.picture.height else None


def _places(
    box: NDArray[np.float64],
    tip: tuple[float, float] | None,
    shape: tuple[int, int],
    line: int,
    picture: tuple[int, int],
) -> NDArray[np.float64]:
    """Where a label may stand (K, 4), the best first: above the tip of what has no box, above its box, in it, below it,
    beside it; inside the picture."""
    left, top, right, bottom = box
    wide, high = shape
    first = [] if tip is None else [(tip[0] - wide / 2, tip[1] - high - line), (tip[0] - wide / 2, tip[1] + line)]
    corners = np.array(
        [
            *first,
            (left, top - high), (left, top), (left, bottom), (right - wide, top - high), (left, bottom - high),
            (right - wide, bottom), (right - wide, top), (right - wide, bottom - high), (right + line, top),
            (left - wide - line, top), ((left + right - wide) / 2, (top + bottom - high) / 2),
        ]
    )  # fmt: skip
    corners = np.floor(np.clip(corners, 0, (picture[0] - wide, picture[1] - high)))
    return np.hstack([corners, corners + np.array(shape)])


def _overlaps(places: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much (K, N) of each place (K, 4) lies in each of the others (N, 4)."""
    low = np.maximum(places[:, None, :2], others[None, :, :2])
    high = np.minimum(places[:, None, 2:], others[None, :, 2:])
    sides = np.maximum(high - low, 0)
    return np.asarray(sides[..., 0] * sides[..., 1])


def _hidden(places: NDArray[np.float64], boxes: NDArray[np.float64], area: int) -> NDArray[np.float64]:
    """How many small boxes (K,) a label would cover at each place, in parts of them."""
    sides = boxes[:, 2:] - boxes[:, :2]
    areas = sides[:, 0] * sides[:, 1]
    small = (areas > 0) & (areas <= _SMALL * area)
    return np.asarray((_overlaps(places, boxes[small]) / areas[small]).sum(axis=1))


def draw_labels(canvas: Canvas, labels: Sequence[Label]) -> None:
    """Draw them: a ground in the color of the class, and on it letters that are dark or light."""
    pen = ImageDraw.Draw(canvas.picture)
    size = letter_size(canvas.picture.size)
    padding = max(1, size // 6)
    for label in labels:
        left, top, right, bottom = label.box
        pen.rectangle((left, top, right - 1, bottom - 1), fill=label.ground)
        at = left + padding, top + padding // 2
        pen.text(at, label.text, fill=ink_on(label.ground), font=label.font)
