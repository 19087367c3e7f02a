"""The page as text: sections, style, script and data in one document, which loads nothing and runs only its own
script.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

_PLACE = re.compile(r"\{\{(\w+)\}\}")


def document(parts: Mapping[str, str], data: Mapping[str, object], pictures: Mapping[int, str]) -> Iterator[str]:
    """The pieces of the page: `parts` is the markup of its sections by name, `data` what the script reads, and
    `pictures` the images that have one, by number."""
    style, script = (_file(name) for name in ("page.css", "page.js"))
    filled = {**parts, "policy": _policy(style, script), "style": style, "script": script}
    for at, piece in enumerate(_PLACE.split(_file("page.html"))):
        if at % 2 == 0:
            yield piece
        elif piece == "data":
            yield safe_json(data)
        elif piece == "pictures":
            yield from _listed(pictures)
        else:
            yield filled[piece]


def safe_json(value: object) -> str:
    """JSON that can stand in a script element: ASCII without an angle bracket or an ampersand, so that no text can end
    the element or be taken for markup."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _listed(pictures: Mapping[int, str]) -> Iterator[str]:
    """One at a time: there may be many megabytes."""
    yield "{"
    for at, (number, picture) in enumerate(pictures.items()):
        yield f'{"," if at else ""}"{number}":"{picture}"'
    yield "}"


def _policy(style: str, script: str) -> str:
    """What the page may do: show pictures that stand in it, and use this style and this script alone."""
    rules = {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": _hash(style),
        "script-src": _hash(script),
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _file(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
