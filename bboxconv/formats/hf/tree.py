"""Where the files of a data set are, and which split each is of: as the card says, else as names say."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import pyarrow as pa

from bboxconv.codec import Match
from bboxconv.errors import DataError
from bboxconv.formats.hf import KEY, METADATA
from bboxconv.formats.hf.card import configured, read_card
from bboxconv.formats.hf.columns import find_columns
from bboxconv.io import base_suffix, listing
from bboxconv.splits import SPLIT_NAMES, split_rank

Kind = Literal["parquet", "lines"]

_SHARD = re.compile(r"(\w+(?:\.\w+)*)-\d{5}-of-\d{5}(?:-[0-9a-f]+)?\.parquet")
_WORD = re.compile(
    r"(?:^|[^a-z])(train(?:ing)?|val(?:id(?:ation)?)?|dev|eval(?:uation)?|test(?:ing)?)(?=[^a-z]|$)", re.IGNORECASE
)
"""The words that name a split in a file's or a folder's name: https://huggingface.co/docs/hub/datasets-file-names."""
_USUAL = {"training": "train", "dev": "val", "eval": "val", "evaluation": "val", "testing": "test"}
_FOLDERS = 1000
"""Folders that are looked into."""
_ENTRIES = 256
"""Names of a folder that tell whether there is a Parquet file in it."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file with rows."""

    path: Path
    kind: Kind
    split: str | None


@dataclass(frozen=True, slots=True)
class Tree:
    """The files in their order, and the features that a card gives their columns."""

    files: tuple[DataFile, ...]
    features: object = None


def boxes_in(path: Path) -> Match | None:
    """Whether a Parquet file holds a column of boxes; one of bboxconv's own is no business of this format."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - 10 ms, where most folders hold none

    try:
        kind = pq.read_schema(path)
    except (OSError, ValueError, pa.ArrowException):
        return None
    metadata = kind.metadata or {}
    if b"bboxconv" in metadata or find_columns(kind) is None:
        return None
    return Match(0.95, "Parquet with features") if KEY in metadata else Match(0.7, "Parquet with a column of boxes")


def find_files(path: Path, shown: str = "") -> Tree:
    """The files of a folder, or the one file, with what the card beside it says, or that of the folder above.

    Raises DataError where the card of a folder is no YAML.
    """
    if not path.is_dir():
        folder = path.absolute().parent
        cards = [card for place in (folder, folder.parent) if (card := _card_near(place))]
        return Tree((DataFile(path, _kind(path), None),), configured(cards[0])[0] if cards else None)
    card = read_card(path, shown or str(path))
    features, patterns = configured(card)
    if not card:  # the folder of a split, of which the card of all says the classes
        features, _ = configured(_card_near(path.absolute().parent))
    return _tree(path, features, patterns, list(_below(path)))


def first_file(path: Path) -> DataFile | None:
    """A file of a folder, found without looking through folders of very many images; None where none is seen."""
    told = {"configs", "dataset_info"} & _card_near(path).keys()
    below = [folder for folder in listing(path).folders if told or folder == "data" or _WORD.search(folder)]
    for folder in (path, *(path / name for name in sorted(below)[:_FOLDERS])):
        with os.scandir(folder) as entries:
            names = {entry.name for entry in islice(entries, _ENTRIES)}
        found = [folder / name for name in sorted(names) if name.endswith(".parquet")]
        if not found and (folder / METADATA[0]).is_file():
            found = [folder / METADATA[0]]
        if found:
            return DataFile(found[0], _kind(found[0]), None)
    return None


def _card_near(folder: Path) -> dict[str, object]:
    """The card of the folder of a file, which need not be its card: a README that is broken is none."""
    try:
        return read_card(folder, str(folder))
    except DataError:
        return {}


def _tree(path: Path, features: object, patterns: list[tuple[str | None, str]], files: list[Path]) -> Tree:
    there = [(file, file.relative_to(path).as_posix()) for file in files]
    metadata = [(file, name) for file, name in there if file.name in METADATA]
    chosen = [(file, name) for file, name in there if file.name not in METADATA] or metadata
    found = list(_matching(chosen, patterns)) or [DataFile(file, _kind(file), split_of(name)) for file, name in chosen]
    found.sort(key=lambda one: (split_rank(one.split), one.split or "", str(one.path)))
    return Tree(tuple(found), features)


def _below(path: Path) -> Iterator[Path]:
    """The Parquet and metadata files of a folder, its folders, and theirs."""
    waiting, seen = [(path, 0)], 0
    while waiting and seen < _FOLDERS:
        folder, depth = waiting.pop(0)
        seen += 1
        try:
            there = listing(folder)
        except OSError:
            continue
        yield from (folder / name for name in there.ending(".parquet"))
        if (folder / METADATA[0]).is_file():
            yield folder / METADATA[0]
        inner = sorted(name for name in there.folders if not name.startswith((".", "__")))
        if depth < 2:
            waiting += [(folder / name, depth + 1) for name in inner]


def _kind(path: Path) -> Kind:
    return "lines" if base_suffix(path) in (".jsonl", ".ndjson", ".json") else "parquet"


def _matching(files: list[tuple[Path, str]], patterns: list[tuple[str | None, str]]) -> Iterator[DataFile]:
    """The files that a card names, each with its split."""
    taken = set[Path]()
    for split, pattern in patterns:
        match = _glob(pattern)
        for file, name in files:
            if file not in taken and match.fullmatch(name):
                taken.add(file)
                yield DataFile(file, _kind(file), split_of(name) if split is None else SPLIT_NAMES.get(split, split))


def _glob(pattern: str) -> re.Pattern[str]:
    """A pattern of a card as a regular expression: `**` is any folders, `*` any part of a name."""
    text = re.escape(pattern.removeprefix("./"))
    for mark, meaning in ((r"\*\*/", "(?:.*/)?"), (r"\*\*", ".*"), (r"\*", "[^/]*"), (r"\?", "[^/]")):
        text = text.replace(mark, meaning)
    return re.compile(text)


def split_of(name: str) -> str | None:
    """The split that the relative path of a file says: `data/train-00000-of-00001.parquet`, `valid/metadata.jsonl`;
    None where it says none."""
    *folders, file = name.split("/")
    shard = _SHARD.fullmatch(file)
    if shard:
        return SPLIT_NAMES.get(shard[1], shard[1])
    for part in (file.rpartition(".")[0], *reversed(folders)):
        word = _WORD.search(part)
        if word:
            found = word[1].lower()
            return _USUAL.get(found) or SPLIT_NAMES.get(found, found)
    return None


def require_files(tree: Tree, shown: str) -> None:
    """Raises DataError where there is no file."""
    if not tree.files:
        message = "the folder has no Parquet file and no metadata.jsonl"
        raise DataError.of("no-annotations", message, where=shown)
