"""The dataset card: README.md, whose front matter says where the splits are and what the columns hold.

Spec: https://huggingface.co/docs/hub/datasets-manual-configuration and the `dataset_info` that `push_to_hub` writes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from bboxconv.errors import DataError
from bboxconv.formats.hf.features import card_features

_LONGEST = 4 << 20
"""Bytes of a card that are read: a front matter with thousands of classes has some 100 kB."""
_FRONT = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*\r?$", re.DOTALL | re.MULTILINE)
_BREAKS = "\x85\u2028\u2029"
"""What ends a line in YAML, so that it is written as an escape."""


@dataclass(frozen=True, slots=True)
class SplitSize:
    """A split, the number of its images, the bytes that they unpack to, and those of their files."""

    split: str
    images: int
    bytes: int
    packed: int
    boxes: int = 0


def card_text(splits: Sequence[SplitSize], kind: pa.Schema, classes: Sequence[str], *, folder: bool) -> str:
    """The card of a data set with these columns."""
    import yaml  # noqa: PLC0415 - 15 ms, as its other users have it

    info: dict[str, object] = {"features": card_features(kind, classes)}
    if not folder:  # of a folder of images `datasets` counts those that are there
        info["splits"] = [{"name": one.split, "num_bytes": one.bytes, "num_examples": one.images} for one in splits]
        info["download_size"] = sum(one.packed for one in splits)
        info["dataset_size"] = sum(one.bytes for one in splits)
    files = [
        {"split": one.split, "path": f"{one.split}/**" if folder else f"data/{one.split}-*.parquet"} for one in splits
    ]
    document = {
        "task_categories": ["object-detection"],
        "dataset_info": info,
        "configs": [{"config_name": "default", "data_files": files}],
    }
    plain = not any(mark in name for name in classes for mark in _BREAKS)
    front = yaml.safe_dump(document, sort_keys=False, allow_unicode=plain, width=1 << 30)
    return f"---\n{front}---\n{_body(splits, classes)}"


def _body(splits: Sequence[SplitSize], classes: Sequence[str]) -> str:
    lines = ["# Object detection data set", ""]
    lines += ["Boxes (`objects.bbox`) are `[x, y, width, height]` in pixels, from the top left corner.", ""]
    lines += ["| split | images | boxes |", "|---|---|---|"]
    lines += [f"| {one.split} | {one.images} | {one.boxes} |" for one in splits]
    if classes:
        lines += ["", "| `objects.category` | class |", "|---|---|"]
        lines += [f"| {number} | {_cell(name)} |" for number, name in enumerate(classes)]
    return "\n".join(lines) + "\n"


def _cell(name: str) -> str:
    text = "".join(f"\\{mark}" if mark in "\\`*_[]<>|&" else mark for mark in name)
    return re.sub(r"\s+", " ", text)


def read_card(folder: Path, shown: str) -> dict[str, object]:
    """The front matter of a folder's card; nothing where there is none.

    Raises DataError where it is no YAML.
    """
    path = folder / "README.md"
    if not path.is_file():
        return {}
    with path.open("rb") as file:
        text = file.read(_LONGEST).decode("utf-8", "replace")
    found = _FRONT.match(text)
    if found is None:
        return {}
    import yaml  # noqa: PLC0415 - as above

    try:
        document = yaml.load(found[1], Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        detail = " ".join(str(error).split())
        where = f"{shown.rstrip('/')}/README.md"
        raise DataError.of("bad-yaml", "the front matter is not YAML", where=where, detail=detail) from error
    return document if isinstance(document, dict) else {}


def configured(card: dict[str, object]) -> tuple[object, list[tuple[str | None, str]]]:
    """The features of the default configuration, and its files: split and pattern of each."""
    chosen = _default(card.get("configs"))
    info = card.get("dataset_info")
    infos = [one for one in (info if isinstance(info, list) else [info]) if isinstance(one, dict)]
    name = chosen.get("config_name", "default")
    known = next((one for one in infos if one.get("config_name", "default") == name), infos[0] if infos else {})
    files = chosen.get("data_files")
    patterns: list[tuple[str | None, str]] = []
    for one in files if isinstance(files, list) else [files]:
        split, paths = (one.get("split"), one.get("path")) if isinstance(one, dict) else (None, one)
        for path in paths if isinstance(paths, list) else [paths]:
            if isinstance(path, str):
                patterns.append((split if isinstance(split, str) else None, path))
    return known.get("features"), patterns


def _default(configs: object) -> dict[str, object]:
    known = [one for one in (configs if isinstance(configs, list) else []) if isinstance(one, dict)]
    for one in known:
        if one.get("default") or one.get("config_name") == "default":
            return one
    return known[0] if known else {}
