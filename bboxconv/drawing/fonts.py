"""Fonts for what people call their classes: Pillow's own, which every installation has, and for other scripts those of
the system.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from PIL import ImageFont, features

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_OTHERS = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "NotoSansCJK-Regular.ttc",
    "NotoSansArabic-Regular.ttf",
    "NotoSansHebrew-Regular.ttf",
    "NotoSansDevanagari-Regular.ttf",
    "NotoSansThai-Regular.ttf",
    "wqy-microhei.ttc",
    "DroidSansFallbackFull.ttf",
    "Arial Unicode.ttf",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "msyh.ttc",
    "malgun.ttf",
    "segoeui.ttf",
)
"""Fonts that systems have under these names, the first that has all letters of a text is taken."""
_SIMPLER = {
    "ß": "ss", "ẞ": "SS", "ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th",
    "Þ": "Th", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "\u0131": "i", "ħ": "h", "Ħ": "H", "ŋ": "n", "Ŋ": "N",
}  # fmt: skip
_ABSENT = "\U0010ffff"
"""A character that no font has."""


def simpler(text: str) -> str:
    """The text without accents, and with Latin letters that many fonts lack as those that are usual in their place."""
    parts = unicodedata.normalize("NFKD", "".join(_SIMPLER.get(letter, letter) for letter in text))
    return "".join(letter for letter in parts if not unicodedata.combining(letter))


def font_for(text: str, size: int) -> Font | None:
    """A font of that size, in pixels, that has every letter of the text; None where no font at hand has."""
    if _from_the_right(text) and not features.check("raqm"):
        return None  # letters would stand in the wrong order
    for number in range(len(_OTHERS) + 1):
        font = _font(number, size)
        if font is not None and all(_has(number, letter) for letter in text):
            return font
    return None


@lru_cache(maxsize=256)
def _font(number: int, size: int) -> Font | None:
    """Pillow's own font, or one of the system, where it is there."""
    if number == 0:
        return ImageFont.load_default(size) if features.check("freetype2") else ImageFont.load_default()
    if not features.check("freetype2") or not _is_there(number):
        return None
    return ImageFont.truetype(_OTHERS[number - 1], size)


@lru_cache(maxsize=len(_OTHERS))
def _is_there(number: int) -> bool:
    """Whether the system has a font: it looks through all its folders for it."""
    try:
        ImageFont.truetype(_OTHERS[number - 1], 12)
    except (OSError, ValueError):
        return False
    return True


@lru_cache(maxsize=4096)
def _has(number: int, letter: str) -> bool:
    """Whether a font has a letter: it does not look like one that it does not have."""
    font = _font(number, 16)
    if font is None:
        return False
    if isinstance(font, ImageFont.ImageFont):  # the small one of an installation without FreeType
        return letter.isascii()
    return letter.isspace() or _look(font, letter) != _look(font, _ABSENT)


def _look(font: ImageFont.FreeTypeFont, letter: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(letter)
    return mask.size, bytes(mask)


def _from_the_right(text: str) -> bool:
    return any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in text)


def width_of(font: Font, text: str) -> float:
    """How wide a text is, in pixels."""
    return font.getlength(text)


def height_of(font: Font) -> tuple[int, int]:
    """How far letters of a font reach above and below the line, in pixels."""
    if isinstance(font, ImageFont.FreeTypeFont):
        return font.getmetrics()
    return int(font.getbbox("Ag")[3]), 0


def shortened(text: str, font: Font, room: float, *, middle: bool = False) -> str:
    """As much of a text as there is room for, with a mark where some is missing: at its end, or in its middle, where a
    name is told from others by both ends."""
    if width_of(font, text) <= room:
        return text
    low, high = 0, len(text)
    while low < high:  # the most letters that fit
        kept = (low + high + 1) // 2
        low, high = (kept, high) if width_of(font, _cut(text, kept, middle=middle)) <= room else (low, kept - 1)
    return _cut(text, low, middle=middle) if low else ""


def _cut(text: str, kept: int, *, middle: bool) -> str:
    if not middle:
        return text[:kept].rstrip() + "..."
    before = kept // 2
    return text[:before] + "..." + text[len(text) - (kept - before) :]
