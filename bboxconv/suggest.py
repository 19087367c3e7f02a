"""Did-you-mean, for every word that a user may mistype: formats, options, class names, paths."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

NEAR = 0.6
NEAR_PATH = 0.8
"""File names share extensions: they are near only where more of them is alike."""


def nearest(word: str, known: Iterable[str], cutoff: float = NEAR) -> str | None:
    """The known word nearest to `word`, letter case aside; None where none is near."""
    folded: dict[str, str] = {}
    for name in known:
        folded.setdefault(name.casefold(), name)
    near = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=cutoff)
    return folded[near[0]] if near else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?` with the known word nearest to `word`; empty where none is near."""
    near = nearest(word, known)
    return "" if near is None else f"did you mean {near!r}?"


def for_missing(path: Path) -> str:
    """The hint for a path that is not there, or is a file and not a folder: the name that may have been meant, or what
    else is wrong."""
    if any(sign in path.name for sign in "*?["):
        return "no file matches this pattern; leave out the quotes, since it is the shell that knows patterns"
    if path.is_file():
        return "it is a file"
    if path.is_symlink():
        return "it is a link, and leads to nothing"
    parent = path.parent
    if not parent.is_dir():
        return f"there is no folder {parent}"
    try:
        near = nearest(path.name, [child.name for child in parent.iterdir()], NEAR_PATH if path.suffix else NEAR)
    except OSError:  # a folder that may not be listed
        return ""
    return "" if near is None else f"did you mean {str(parent / near)!r}?"
