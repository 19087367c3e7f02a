"""Files that name classes: the lists of `--classes` and the renamings of `--class-map`."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bboxconv.errors import UsageError
from bboxconv.io import base_suffix, given_file, open_input

MOST = 1_000_000
"""The highest number of a class in a file of names: a mistyped number must not fill the memory with gaps."""


@dataclass(frozen=True, slots=True)
class _Named:
    name: str
    id: object = None


@dataclass(frozen=True, slots=True)
class _Document:
    categories: list[_Named] | None = None
    names: list[str] | dict[str, str] | None = None


def read_names(path: Path, max_expansion: float | None = None) -> tuple[str, ...]:
    """The class names of a file, in order: what `--classes FILE` takes. Compressed files are read too.

    - `.yaml`, `.yml`: a list, or a mapping of index to name, by itself or below `names:` (data.yaml). Words that
      YAML 1.1 takes for booleans stay words.
    - `.json`: the same, or a COCO file or its list of categories (by id, where all are integers and differ).
    - anything else is text, a name a line; blank lines are skipped, spaces at the end of a line are dropped.

    An index that is not there is named by its number. Raises UsageError where the file cannot be read so, DataError
    where it unpacks to more than `max_expansion` says (`io.open_input`).
    """
    suffix = base_suffix(path)
    if suffix in (".csv", ".tsv", ".parquet", ".xml"):
        raise _refused("class-file", path, "the file is no list of class names", "give a text, yaml or json file")
    text = _text(path, max_expansion)
    if suffix in (".yaml", ".yml"):
        names = _yaml_names(_yaml(text, path, "class-file"), path)
    elif suffix == ".json":
        names = _json_names(text, path)
    else:
        names = [line for line in (line.rstrip() for line in io.StringIO(text, newline=None)) if line]
    if not names:
        raise _refused("class-file", path, "the file holds no class name")
    if not all(names):
        raise _refused("class-file", path, f"class {names.index('')} has an empty name")
    return tuple(names)


def _json_names(text: str, path: Path) -> list[str]:
    try:
        if text.lstrip().startswith("["):
            items = msgspec.json.decode(text, type=list[str | _Named])
        else:
            document = msgspec.json.decode(text, type=_Document)
            if isinstance(document.names, dict) or (document.names is None and document.categories is None):
                return _numbered(document.names or msgspec.json.decode(text, type=dict[str, str]), path)
            items = [*(document.names or document.categories or [])]
    except msgspec.DecodeError as error:
        hint = "a list of names, an object of index to name, or COCO categories"
        raise _refused("class-file", path, str(error), hint) from error
    by_id = {item.id: item.name for item in items if isinstance(item, _Named) and type(item.id) is int}
    if len(by_id) == len(items):
        return [by_id[number] for number in sorted(by_id)]
    return [item.name if isinstance(item, _Named) else item for item in items]


def _yaml_names(value: object, path: Path) -> list[str]:
    if isinstance(value, dict) and "names" in value:
        value = value["names"]
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return value
    if isinstance(value, dict) and all(isinstance(name, str) for name in value.values()):
        return _numbered(value, path)
    raise _refused("class-file", path, "the file is neither a list of names nor a mapping of index to name")


def _numbered(names: Mapping[str, str], path: Path) -> list[str]:
    """Names by index as a list; an index that is not there is named by its number."""
    odd = next(
        (key for key in names if not (key.isascii() and key.isdigit() and len(key) < 10 and int(key) < MOST)), None
    )
    if odd is not None:
        raise _refused("class-file", path, f"{odd!r} is no class index", "names stand below `names:`, by index from 0")
    by_index = {int(key): name for key, name in names.items()}
    return [by_index.get(i, str(i)) for i in range(max(by_index, default=-1) + 1)]


def read_map(entries: Sequence[str], max_expansion: float | None = None) -> dict[str, str]:
    """The renamings of `--class-map`: old name to new name.

    An entry is the path of a file, or `old=new`, cut at the first `=`: a name that holds one needs a file. Files are
    csv (two columns, with or without the header `old,new`), yaml or json (a mapping of old to new).

    Raises UsageError `class-map` for anything else, an empty name, or a name with two different new ones; DataError as
    `read_names`.
    """
    renames: dict[str, str] = {}
    for entry in entries:
        old, equals, new = entry.partition("=")
        for where, before, after in (
            [("", old, new)] if equals and not Path(entry).is_file() else _map_file(Path(entry), max_expansion)
        ):
            if not before or not after:
                hint = f"--exclude-class {before!r} leaves a class out" if before else "write old=new"
                raise UsageError.of(
                    "class-map", f"a class name is empty: {before!r} to {after!r}", where=where, hint=hint
                )
            if renames.setdefault(before, after) != after:
                message = f"{before!r} has two new names: {renames[before]!r} and {after!r}"
                raise UsageError.of("class-map", message, where=where)
    return renames


def _map_file(path: Path, max_expansion: float | None) -> list[tuple[str, str, str]]:
    """The (place, old, new) of a file."""
    suffix = base_suffix(path)
    if suffix not in (".csv", ".yaml", ".yml", ".json"):
        hint = "write old=new, or give a csv, yaml or json file"
        raise UsageError.of("class-map", f"{str(path)!r} is no renaming of a class", hint=hint)
    text = _text(path, max_expansion)
    if suffix == ".csv":
        return _map_rows(text, path)
    if suffix == ".json":
        try:
            pairs = msgspec.json.decode(text, type=dict[str, str])
        except msgspec.DecodeError as error:
            raise _refused("class-map", path, str(error), "an object of old to new names") from error
        return [(str(path), old, new) for old, new in pairs.items()]
    value = _yaml(text, path, "class-map")
    if not isinstance(value, dict) or not all(isinstance(new, str) for new in value.values()):
        raise _refused("class-map", path, "the file is no mapping of old to new names")
    return [(str(path), old, new) for old, new in value.items()]


def _map_rows(text: str, path: Path) -> list[tuple[str, str, str]]:
    reader = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True)
    rows: list[tuple[str, str, str]] = []
    try:
        for row in reader:
            where = f"{path}:{reader.line_num}"
            cells = [cell.rstrip() for cell in row]
            if not any(cells) or (not rows and [cell.lower() for cell in cells] == ["old", "new"]):
                continue
            if len(cells) != 2:
                raise UsageError.of("class-map", f"a row has {len(cells)} columns, not two: old,new", where=where)
            rows.append((where, cells[0], cells[1]))
    except csv.Error as error:
        raise UsageError.of(
            "class-map", f"the file cannot be read: {error}", where=f"{path}:{reader.line_num}"
        ) from error
    return rows


def _text(path: Path, max_expansion: float | None) -> str:
    """The text of a small file, without a byte order mark."""
    try:
        with given_file(path), open_input(path, max_expansion) as file:
            return file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refused("bad-encoding", path, "the file is not UTF-8 text", "save it as UTF-8") from error


def _yaml(text: str, path: Path, code: str) -> object:
    import yaml  # noqa: PLC0415 - 30 ms that few runs need

    try:
        value: object = yaml.load(text, Loader=yaml.BaseLoader)  # BaseLoader keeps every scalar as written
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = str(path) if mark is None else f"{path}:{mark.line + 1}"
        raise UsageError.of(
            code, f"the file is no YAML: {getattr(error, 'problem', None) or error}", where=where
        ) from error
    return value


def _refused(code: str, path: Path, message: str, hint: str = "") -> UsageError:
    return UsageError.of(code, message, where=str(path), hint=hint)
