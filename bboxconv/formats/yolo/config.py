"""YOLO's data.yaml: class names, splits and their paths, read without anything that YAML 1.1 makes of plain words.

Every scalar is a word first: `no`, `2020-01-01` and `1:30` are class names. Tags have no effect, and an alias of
anything but a scalar is refused, so that no small file can become a large one.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bboxconv.errors import DataError, Findings, printable
from bboxconv.io import listing
from bboxconv.splits import SPLIT_NAMES

if TYPE_CHECKING:
    import yaml

NAME_LISTS = ("classes.txt", "obj.names", "classes.names", "predefined_classes.txt")
MOST_CLASSES = 1 << 16
_KNOWN = frozenset({*SPLIT_NAMES, "path", "names", "nc"})
_DRIVE = re.compile(r"[A-Za-z]:")
_NUMBER = re.compile(r"[0-9]{1,9}")
"""What is a number here: Python would take the digits of other scripts too, and refuses thousands of them."""

Plain = str | list["Plain"] | dict[str, "Plain"]


@dataclass(frozen=True, slots=True)
class Config:
    """What a data.yaml says. `names` is None where it has none; `splits` holds the paths of each split as written."""

    names: tuple[str, ...] | None = None
    path: str = ""
    splits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    keypoints: tuple[int, int] | None = None
    """Number of keypoints and of numbers for each, 2 or 3 (`kpt_shape`)."""
    extra: str | None = None
    """JSON text of an object: every other key."""


def find_yaml(folder: Path) -> Path | None:
    """The data.yaml of a folder: of that name, or the one YAML file with `names` or `nc` and a split."""
    for name in ("data.yaml", "data.yml"):
        if (folder / name).is_file():
            return folder / name
    known = [(end, listing(folder).ending(end)) for end in (".yaml", ".yml")] if folder.is_dir() else []
    named = sorted(name for end, names in known for name in names if name.endswith(end))
    likely = [folder / name for name in named if is_config(folder / name)]
    return likely[0] if len(likely) == 1 else None


def is_config(path: Path) -> bool:
    """Whether a file begins as a data.yaml does."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return looks_like_config(file.read(1 << 16))


def looks_like_config(head: bytes) -> bool:
    """Whether the beginning of a file has the keys of a data.yaml."""
    classes = re.search(rb"^[\"']?(names|nc)[\"']?\s*:", head, re.MULTILINE)
    return classes is not None and re.search(rb"^[\"']?(train|val)[\"']?\s*:", head, re.MULTILINE) is not None


def load_config(path: Path, shown: str, findings: Findings) -> Config:
    """Read a data.yaml.

    Raises DataError (bad-yaml) where it is no mapping, or its names are neither a list nor a mapping of words.
    """
    document = _load(path, shown)
    names = _names(document, shown, findings)
    splits: dict[str, tuple[str, ...]] = {}
    extra: dict[str, Plain] = {}
    for key, value in document.items():
        split = SPLIT_NAMES.get(key) or (key if value == f"images/{key}" else None)
        if split is None:
            if key not in _KNOWN:
                extra[key] = value
            continue
        entries = [e for e in (value if isinstance(value, list) else [value]) if isinstance(e, str) and not _is_null(e)]
        if entries:
            splits[split] = (*splits.get(split, ()), *entries)
    root = document.get("path", "")
    shape = document.get("kpt_shape")
    keypoints = None
    if (
        isinstance(shape, list)
        and [s for s in shape if isinstance(s, str) and _NUMBER.fullmatch(s)] == shape
        and len(shape) == 2
    ):
        keypoints = (int(str(shape[0])), int(str(shape[1])))
        if keypoints[0] < 1 or keypoints[1] not in (2, 3):
            keypoints = None
    if shape is not None and keypoints is None:
        findings.add("bad-value", "kpt_shape is not [number of keypoints, 2 or 3]", where=shown)
    text = (
        json.dumps({k: _typed(v) for k, v in extra.items()}, ensure_ascii=False, separators=(",", ":"))
        if extra
        else None
    )
    return Config(names, root if isinstance(root, str) and not _is_null(root) else "", splits, keypoints, text)


def _load(path: Path, shown: str) -> dict[str, Plain]:
    import yaml  # noqa: PLC0415 - every format is loaded to know what a source is, and few sources have YAML

    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        text = path.read_bytes().decode("utf-8-sig")
        scalars: set[str] = set()
        for event in yaml.parse(text, Loader=loader):
            if isinstance(event, yaml.ScalarEvent) and event.anchor:
                scalars.add(event.anchor)
            elif isinstance(event, yaml.AliasEvent) and event.anchor not in scalars:
                line = f":{event.start_mark.line + 1}" if event.start_mark else ""
                raise DataError.of("bad-yaml", "an alias of a list or mapping is not read", where=f"{shown}{line}")
        root = yaml.compose(text, Loader=loader)
        pairs = root.value if isinstance(root, yaml.MappingNode) else []
        named = [value.value for key, value in pairs if key.value == "names" and isinstance(value, yaml.MappingNode)]
        for mapping in (pairs, *named):
            if twice := _repeated(mapping):
                raise DataError.of("bad-yaml", "a key stands twice", where=shown, detail=printable(twice))
        document = yaml.load(text, Loader=loader)
    except UnicodeDecodeError as error:
        raise DataError.of("bad-encoding", "the file is not UTF-8", where=shown) from error
    except (yaml.YAMLError, RecursionError, TypeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{shown}:{mark.line + 1}" if mark else shown
        raise DataError.of(
            "bad-yaml", f"not YAML: {printable(str(getattr(error, 'problem', '') or error))}", where=where
        ) from error
    if not isinstance(document, dict):
        raise DataError.of("bad-yaml", "the document is not a mapping", where=shown)
    return document


def _repeated(pairs: Sequence[tuple[yaml.Node, yaml.Node]]) -> str | None:
    """A key that stands twice in a mapping."""
    counts = Counter(key.value for key, _ in pairs if isinstance(key.value, str))
    return next((key for key, count in counts.items() if count > 1), None)


def _names(document: Mapping[str, Plain], shown: str, findings: Findings) -> tuple[str, ...] | None:
    count = document.get("nc")
    number = int(count) if isinstance(count, str) and _NUMBER.fullmatch(count) else MOST_CLASSES + 1
    given = document.get("names", "")
    if isinstance(given, str) and _is_null(given):
        return None
    if isinstance(given, list):
        given = {str(i): name for i, name in enumerate(given)}
    if not isinstance(given, dict) or not all(isinstance(name, str) for name in given.values()):
        raise DataError.of("bad-yaml", "names is neither a list nor a mapping of words", where=shown)
    wrong = next((key for key in given if not (_NUMBER.fullmatch(key) and int(key) < MOST_CLASSES)), None)
    if wrong is not None:
        raise DataError.of(
            "bad-yaml",
            f"a key of names is not a class number below {MOST_CLASSES}",
            where=f"{shown}: {printable(wrong)}",
        )
    by_number = {int(key): str(name) for key, name in given.items()}
    if number <= MOST_CLASSES and number != len(given):
        findings.add(
            "bad-value",
            "nc is not the number of names; the names count",
            severity="warning",
            where=shown,
            detail=f"nc: {number}, names: {len(given)}",
        )
    return tuple(by_number.get(i, str(i)) for i in range(max(by_number, default=-1) + 1))


def _is_null(text: str) -> bool:
    return text in ("", "~", "null", "Null", "NULL")


def _typed(value: Plain) -> object:
    """A value with its numbers, truth values and nulls, where JSON writes them in the same way."""
    if isinstance(value, dict):
        return {key: _typed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_typed(inner) for inner in value]
    try:
        plain = json.loads(value, parse_constant=str)
    except (ValueError, RecursionError):
        return value
    return plain if isinstance(plain, int | float | None) else value


def locate(entry: str, root: Path, beside: Path, findings: Findings, shown: str) -> Path | None:
    """The folder or list that an entry of data.yaml means; None where there is none.

    It is looked for below `root`; then, without leading `../` and without leading parts (another machine's folders),
    beside the file. A folder of images counts as there when its folder of labels is.
    """
    plain = root / entry
    if "\0" in entry:
        return None
    if _there(plain):
        return Path(os.path.normpath(plain))
    parts = [part for part in re.split(r"[\\/]", entry) if part not in ("", ".", "..") and not _DRIVE.fullmatch(part)]
    for start in range(len(parts)):
        rest = parts[start:]
        if len(parts) > 1 and rest in (["images"], ["labels"]):  # every split would be found there
            break
        candidate = beside.joinpath(*rest)
        if _there(candidate):
            message = "a path of data.yaml does not exist; looked for beside it"
            findings.add(
                "path-not-found-looked-beside",
                message,
                severity="note",
                where=shown,
                detail=f"{printable(entry)} -> {'/'.join(rest)}",
            )
            return candidate
    return None


def _there(path: Path) -> bool:
    labels = labels_for(str(path))
    return os.path.isfile(path) or is_folder(path) or (labels != str(path) and is_folder(labels))  # noqa: PTH113


def is_folder(path: Path | str) -> bool:
    """Whether there is a folder: not where a name is too long for one, which a Path does not say without raising."""
    return os.path.isdir(path)  # noqa: PTH112


def labels_for(folder: str) -> str:
    """The folder of labels for a folder of images: its rightmost part `images` becomes `labels`; the folder itself
    where there is none.
    """
    head, found, tail = f"{folder}/".rpartition("/images/")
    return f"{head}/labels/{tail}".rstrip("/") if found else folder


def read_names(folders: list[Path], findings: Findings, shown: str) -> tuple[str, ...] | None:
    """Class names from classes.txt, obj.names or a data.yaml in the first of the folders that has one."""
    for folder in folders:
        for name in NAME_LISTS:
            if (folder / name).is_file():
                try:
                    lines = (folder / name).read_bytes().decode("utf-8-sig").splitlines()
                except UnicodeDecodeError as error:
                    raise DataError.of("bad-encoding", "the file is not UTF-8", where=name) from error
                while lines and not lines[-1].strip():
                    lines.pop()
                return tuple(line.strip() or str(i) for i, line in enumerate(lines))
        config = find_yaml(folder)
        if config is not None:
            names = load_config(config, config.name, Findings()).names
            if names is not None:
                findings.add(
                    "class-names-from",
                    "class names are taken from a data.yaml nearby",
                    severity="note",
                    where=shown,
                    detail=config.name,
                )
                return names
    return None
