"""Names of splits: what data sets call them, what they are called here, and their order."""

from __future__ import annotations

from collections.abc import Mapping

SPLIT_NAMES: Mapping[str, str] = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
"""The usual names, and what they are called here; any other stands as it is."""
_ORDER = ("train", "val", "test")


def split_rank(split: str | None) -> int:
    """The order of splits, and which wins where an image is in several: train, val, test, others, none."""
    return len(_ORDER) + 1 if split is None else _ORDER.index(split) if split in _ORDER else len(_ORDER)
