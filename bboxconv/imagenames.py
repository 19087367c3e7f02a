"""The forms in which the names of images are compared, where two sides write them otherwise."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

SUFFIX = re.compile(
    r"\.(avif|bmp|dib|dng|gif|hei[cf]|j2k|jfif|jp2|jpe?g?|jpf|jxl|mpo|p[bfgnp]m|png|svg|tga|tiff?|webp)$", re.IGNORECASE
)
"""The extension of an image."""
FORMS = 4


def form(names: pa.StringArray, tier: int) -> pa.StringArray:
    """The names in the form that is compared, of FORMS: whole; without the extension of an image; last part; last part
    without extension."""
    names = pc.replace_substring(names, "\\", "/")
    if tier >= 2:
        names = pc.replace_substring_regex(names, "(?s)^.*/", "")
    if tier in (1, 3):
        names = pc.replace_substring_regex(names, f"(?i){SUFFIX.pattern}", "")
    return names
