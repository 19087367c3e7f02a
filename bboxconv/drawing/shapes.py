"""Boxes, polygons, masks and keypoints on a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw

from bboxconv.drawing.canvas import Canvas
from bboxconv.drawing.figures import Figure, Points
from bboxconv.palette import color

Color = tuple[int, int, int]

CLASSLESS: Color = (64, 64, 64)
"""The color of objects without a class."""
_FILL = 90
"""How dense polygons and masks are filled, of 255."""
_HATCH = 150
_DARK, _LIGHT = (0, 0, 0, 90), (255, 255, 255, 110)
"""The thin line along each line, by which it is seen on every ground."""
_MANY = 500
"""Figures from which on polygons are lines alone: fillings that lie on each other show nothing, and take long."""
_REACH = 4.0
"""Sides of the picture beyond which a line is not followed."""


def color_of(category: int | None) -> Color:
    """The color of a class."""
    if category is None:
        return CLASSLESS
    red, green, blue = ImageColor.getrgb(color(category))[:3]
    return red, green, blue


def ink_on(ground: Color) -> Color:
    """Black or white, whichever is in stronger contrast to the ground, as WCAG 2 has it."""
    red, green, blue = (_linear(value / 255) for value in ground)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return (0, 0, 0) if (luminance + 0.05) ** 2 > 0.05 * 1.05 else (255, 255, 255)


def _linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


def _casing(own: Color) -> tuple[int, int, int, int]:
    return _DARK if ink_on(own) == (0, 0, 0) else _LIGHT


def line_width(size: tuple[int, int]) -> int:
    """The width of lines on a picture of that size."""
    return max(1, round(math.sqrt(size[0] * size[1]) / 240))


def draw_figures(canvas: Canvas, figures: Sequence[Figure]) -> None:
    """Draw all of them, in their order: fillings first, then lines, then keypoints."""
    picture, width = canvas.picture, line_width(canvas.picture.size)
    pen = ImageDraw.Draw(picture, "RGBA")
    many = len(figures) > _MANY
    for figure in figures:
        if not many or figure.hatched:
            _fill(picture, pen, figure, canvas.scale, width)
    for figure in figures:
        for ring in figure.polygons if figure.turned is None else (*figure.polygons, figure.turned):
            points = _corners(ring * canvas.scale, picture.size)
            own = color_of(figure.category)
            _outline(pen, points, picture.size, own, width, dashed=figure.hatched, cased=not many)
        if figure.outlined and figure.box is not None:
            edges = pixels(figure.box, canvas)
            _box(pen, edges, picture.size, color_of(figure.category), width, dashed=figure.hatched)
    for figure in figures:
        if figure.keypoints is not None:
            _keypoints(pen, figure, canvas.scale, width)


def pixels(box: tuple[float, float, float, float], canvas: Canvas) -> tuple[int, int, int, int]:
    """The first and last pixels, left, top, right, bottom, of a box on the picture, at least one; far outside it, they
    are just outside."""
    (across, down), (wide, high) = canvas.scale, canvas.picture.size
    far = max(wide, high)
    edges = box[0] * across, box[1] * down, box[2] * across, box[3] * down
    left, top, right, bottom = (round(min(max(edge, -far), 2 * far)) for edge in edges)
    return left, top, max(right - 1, left), max(bottom - 1, top)


def _fill(
    picture: Image.Image, pen: ImageDraw.ImageDraw, figure: Figure, scale: tuple[float, float], width: int
) -> None:
    """What is inside of polygons and masks, lightly; the place of a crowd hatched."""
    own = color_of(figure.category)
    if figure.mask is not None:
        _fill_mask(picture, figure.mask.pixels(), own, width, hatched=figure.hatched)
    elif figure.hatched:
        rings = list(figure.polygons)
        if not rings and figure.turned is not None:
            rings = [figure.turned]
        elif not rings and figure.box is not None:
            left, top, right, bottom = figure.box
            rings = [np.array([[left, top], [right, top], [right, bottom], [left, bottom]])]
        region = Image.new("L", picture.size)
        inside = ImageDraw.Draw(region)
        for ring in rings:
            inside.polygon(_corners(ring * scale, picture.size), fill=255)
        _hatch(picture, region, (0, 0), own, width)
    else:
        for polygon in figure.polygons:
            if len(polygon) > 2:
                pen.polygon(_corners(polygon * scale, picture.size), fill=(*own, _FILL))


def _fill_mask(picture: Image.Image, mask: NDArray[np.bool_], own: Color, width: int, *, hatched: bool) -> None:
    """A mask, which covers the whole picture whatever its size, filled or hatched, with a line around it."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return
    across, down = picture.width / mask.shape[1], picture.height / mask.shape[0]
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    at = math.floor(left * across), math.floor(top * down)
    size = max(math.ceil(right * across) - at[0], 1), max(math.ceil(bottom * down) - at[1], 1)
    part = Image.fromarray(mask[top:bottom, left:right].astype(np.uint8) * 255)
    region = part.resize(size, Image.Resampling.BILINEAR).point(lambda value: 255 if value > 127 else 0)
    if hatched:
        _hatch(picture, region, at, own, width)
    else:
        picture.paste(own, (*at, at[0] + size[0], at[1] + size[1]), region.point(lambda value: value * _FILL // 255))
    inside = np.pad(np.asarray(region) > 0, width)
    core = inside.copy()
    for axis in (0, 1):
        for step in (-width, width):
            core &= np.roll(inside, step, axis=axis)
    edge = (inside & ~core)[width:-width, width:-width]
    picture.paste(own, (*at, at[0] + size[0], at[1] + size[1]), Image.fromarray(edge.astype(np.uint8) * 255))


def _hatch(picture: Image.Image, region: Image.Image, at: tuple[int, int], own: Color, width: int) -> None:
    """Lines across a region, `at` its top left corner, which run on from one region to the next."""
    inside = region.getbbox()
    if inside is None:
        return
    left, top, right, bottom = inside
    row, column = np.ogrid[top + at[1] : bottom + at[1], left + at[0] : right + at[0]]
    place = (row + column) % (6 * width + 2)
    lines = np.where(place < width, _HATCH, 0).astype(np.uint8)
    lines[np.asarray(region.crop(inside)) == 0] = 0
    picture.paste(own, (left + at[0], top + at[1], right + at[0], bottom + at[1]), Image.fromarray(lines))


def _box(
    pen: ImageDraw.ImageDraw,
    edges: tuple[int, int, int, int],
    size: tuple[int, int],
    own: Color,
    width: int,
    *,
    dashed: bool,
) -> None:
    """The outline of a box: its line lies inside, so that what it encloses is what is meant."""
    left, top, right, bottom = edges
    thick = min(width, (right - left) // 2 + 1, (bottom - top) // 2 + 1)
    around = max(width // 3, 1)
    for step in range(1, around + 1):
        pen.rectangle((left - step, top - step, right + step, bottom + step), outline=_casing(own))
    if width > 2 and min(right - left, bottom - top) > 4 * width:
        pen.rectangle((left + thick, top + thick, right - thick, bottom - thick), outline=_casing(own))
    if not dashed:
        pen.rectangle((left, top, right, bottom), outline=own, width=thick)
        return
    half = (thick - 1) / 2
    across, down = (left + half, right - half), (top + half, bottom - half)
    corners = np.array([[across[0], down[0]], [across[1], down[0]], [across[1], down[1]], [across[0], down[1]]])
    _dashes(pen, corners, size, own, thick)


def _outline(
    pen: ImageDraw.ImageDraw,
    points: list[tuple[float, float]],
    size: tuple[int, int],
    own: Color,
    width: int,
    *,
    dashed: bool,
    cased: bool,
) -> None:
    """The outline of a polygon in pixels of the picture."""
    closed = [*points, points[0]]
    if cased:
        pen.line(closed, fill=_casing(own), width=width + 2 * max(width // 3, 1), joint="curve")
    if dashed:
        _dashes(pen, np.array(points), size, own, width)
    else:
        pen.line(closed, fill=own, width=width, joint="curve")


def _dashes(pen: ImageDraw.ImageDraw, ring: Points, size: tuple[int, int], own: Color, width: int) -> None:
    """A closed line of dashes as long as the gaps, which are white."""
    length = 4 * width + 2
    for start, end in pairwise(np.concatenate((ring, ring[:1]))):
        run = float(np.hypot(*(end - start)))
        begin, stop = _visible(start, end, size)
        pen.line((*(start + (end - start) * begin), *(start + (end - start) * stop)), fill="white", width=width)
        if run == 0:
            continue
        first = int(begin * run // (2 * length))
        for number in range(first, math.ceil(stop * run / (2 * length))):
            near, far = number * 2 * length / run, min((number * 2 + 1) * length / run, 1.0)
            pen.line((*(start + (end - start) * near), *(start + (end - start) * far)), fill=own, width=width)


def _visible(start: Points, end: Points, size: tuple[int, int]) -> tuple[float, float]:
    """Which part of a line may be seen, as fractions of it: no dash is made for the rest."""
    low, high = 0.0, 1.0
    for axis in (0, 1):
        step = float(end[axis] - start[axis])
        for edge, sign in ((-64.0, 1.0), (size[axis] + 64.0, -1.0)):
            distance = (edge - float(start[axis])) * sign
            along = step * sign
            if along > 0:
                low = max(low, distance / along)
            elif along < 0:
                high = min(high, distance / along)
            elif distance > 0:
                return 0.0, 0.0
    return (low, high) if low < high else (0.0, 0.0)


def _corners(ring: Points, size: tuple[int, int]) -> list[tuple[float, float]]:
    """Points of a ring, those far outside the picture nearer."""
    far = max(size) * _REACH
    return [(x, y) for x, y in np.clip(ring, -far, far).tolist()]


def _keypoints(pen: ImageDraw.ImageDraw, figure: Figure, scale: tuple[float, float], width: int) -> None:
    """The joints of a skeleton, and a dot for each keypoint: full where it is seen, a ring where it is hidden."""
    assert figure.keypoints is not None
    own = color_of(figure.category)
    points = figure.keypoints[:, :2] * scale
    labelled = figure.keypoints[:, 2] > 0
    for first, second in figure.skeleton:
        if max(first, second) < len(points) and labelled[first] and labelled[second]:
            line = (*points[first].tolist(), *points[second].tolist())
            pen.line(line, fill=_casing(own), width=width + 2)
            pen.line(line, fill=own, width=width)
    radius = max(2.0, 1.6 * width)
    for (x, y), seen in zip(points.tolist(), figure.keypoints[:, 2].tolist(), strict=True):
        if seen > 0:
            around = (x - radius, y - radius, x + radius, y + radius)
            pen.ellipse((x - radius - 1, y - radius - 1, x + radius + 1, y + radius + 1), fill=(0, 0, 0, 160))
            pen.ellipse(around, fill=own if seen >= 2 else (255, 255, 255), outline=own, width=max(round(width / 2), 1))
