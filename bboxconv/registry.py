"""Which formats there are: entry points of the group `bboxconv.formats`, ours and third parties' alike; detection by
content, destination by name.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import cast

from bboxconv import io
from bboxconv.codec import Detects, FormatInfo, Match, Option, Reads, Source, Writes
from bboxconv.errors import DataError, Diagnostic, OutputError, UsageError
from bboxconv.io import base_suffix, head
from bboxconv.suggest import did_you_mean, nearest

GROUP = "bboxconv.formats"
SURE = 0.85
"""A match of this weight is no guess."""
UTF_16 = "convert it, for example with iconv -f UTF-16 -t UTF-8"
DOUBT = 0.15
"""Two matches whose weights differ by less are a doubt that only the user can settle."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A format as it is installed; `error` says why it cannot be used."""

    point: EntryPoint
    info: FormatInfo | None = None
    error: str = ""
    reads: bool = False
    writes: bool = False

    @property
    def name(self) -> str:
        """The name under which it is registered."""
        return self.point.name

    @property
    def distribution(self) -> str:
        """The name and version of what provides it."""
        return _distribution(self.point)


def _points() -> tuple[EntryPoint, ...]:
    return _scan(tuple(sys.path))


@cache
def _scan(places: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """The entry points of what is installed in these places: looking costs some 30 ms, and happens for every
    format.
    """
    found = entry_points(group=GROUP)
    times = Counter(point.name for point in found)
    return tuple(sorted(found, key=lambda point: (point.name, _distribution(point) if times[point.name] > 1 else "")))


def _distribution(point: EntryPoint) -> str:
    """Its name and version, for messages: to know them its metadata is parsed as a mail is, for which much is
    loaded."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else "unknown distribution"


def names() -> tuple[str, ...]:
    """The names of all formats; loads none of them."""
    return tuple(dict.fromkeys(point.name for point in _points()))


@cache
def _load(point: EntryPoint) -> Detects | str:
    """The module behind an entry point, or what is wrong with it."""
    try:
        module = point.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything; the others go on working
        return f"{type(error).__name__}: {error}"
    info = getattr(module, "INFO", None)
    if not isinstance(info, FormatInfo):
        return "it has no INFO of type bboxconv.codec.FormatInfo"
    if info.name != point.name:
        return f"its INFO is named {info.name}, its entry point {point.name}"
    if not callable(getattr(module, "detect", None)) or not (_reads(module) or _writes(module)):
        return "it has no detect, or neither read nor target and write"
    return cast(Detects, module)


def _reads(module: object) -> bool:
    return callable(getattr(module, "read", None))


def _writes(module: object) -> bool:
    return callable(getattr(module, "write", None)) and callable(getattr(module, "target", None))


def formats() -> list[Listing]:
    """Every format that is installed, the broken ones with their error."""
    points = _points()
    twice = Counter(point.name for point in points)
    found = []
    for point in points:
        loaded = _load(point)
        if twice[point.name] > 1:
            others = ", ".join(_distribution(other) for other in points if other.name == point.name)
            found.append(Listing(point, error=f"the name is provided more than once: {others}"))
        elif isinstance(loaded, str):
            found.append(Listing(point, error=loaded))
        else:
            found.append(Listing(point, loaded.INFO, reads=_reads(loaded), writes=_writes(loaded)))
    return found


def _find(name: str) -> Detects:
    """The format of a name or an alias.

    Raises UsageError where there is none, with the name that may have been meant, or where its plugin is broken.
    """
    wanted = name.lower()
    listing = next((found for found in formats() if found.name.lower() == wanted), None)
    if listing is None:
        listing = next((found for found in formats() if found.info and wanted in found.info.aliases), None)
    if listing is None:
        known = names()
        hint = did_you_mean(wanted, known) or f"known formats: {', '.join(known)}"
        raise UsageError.of("unknown-format", f"there is no format {name!r}", hint=hint)
    if listing.error:
        hint = "uninstall one of them, or ask its authors"
        raise UsageError.of(
            "broken-plugin",
            f"the format {listing.name!r} cannot be used: {listing.error}",
            where=listing.distribution,
            hint=hint,
        )
    point = next(point for point in _points() if point.name == listing.name)
    return cast(Detects, _load(point))


def reader(name: str) -> Reads:
    """The format of that name, which must read."""
    module = _find(name)
    if not _reads(module):
        raise UsageError.of("cannot-read", f"the format {module.INFO.name!r} can be written but not read")
    return cast(Reads, module)


def writer(name: str) -> Writes:
    """The format of that name, which must write."""
    module = _find(name)
    if not _writes(module):
        raise UsageError.of("cannot-write", f"the format {module.INFO.name!r} can be read but not written")
    return cast(Writes, module)


def detect(source: Source) -> tuple[Reads, Match]:
    """The format of a source by its content.

    Raises DataError where no format knows it, UsageError where two do, or where a folder holds data sets of several
    formats.
    """
    try:
        start = head(source.path)
    except OSError as error:
        if error.errno is None:  # the decompressor's: the file was read
            message = f"the compressed file cannot be read: {error}"
            raise DataError.of("bad-compression", message, where=source.shown) from error
        raise OutputError.of("read-failed", f"cannot read: {error.strerror or error}", where=source.shown) from error
    found = _matches(source.path, start)
    if not found:
        if start.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise DataError.of("bad-encoding", "the file is UTF-16: text is UTF-8", where=source.shown, hint=UTF_16)
        what = "folder" if source.path.is_dir() else "file"
        empty = not source.path.is_dir() and not start
        message = "the file is empty" if empty else f"no format recognises this {what}"
        broken = [f"{listing.name} cannot be used: {listing.error}; " for listing in formats() if listing.error]
        hint = (
            "".join(broken + _files_inside(source.path))
            + "--from FORMAT says what it is; `bboxconv formats` lists them"
        )
        raise DataError.of("unknown-content", message, where=source.shown, hint=hint)
    best, module = found[0]
    evidence = [f"{other.INFO.name}: {match.evidence}" for match, other in found if best.weight - match.weight < DOUBT]
    message, hint = "more than one format fits", "--from FORMAT says which"
    if len(evidence) == 1 and source.path.is_dir():
        evidence += _inside(source.path, module)
        message, hint = "the folder holds data sets of several formats", "name one of them, or say --from FORMAT"
    if len(evidence) > 1:
        detail = "; ".join(evidence[:4])
        raise UsageError.of("ambiguous-format", message, where=source.shown, detail=detail, hint=hint)
    return cast(Reads, module), best


def _matches(path: Path, start: bytes) -> list[tuple[Match, Detects]]:
    """What each format sees in a path, the best match first."""
    found = []
    for module in [_find(known.name) for known in formats() if known.reads]:
        try:
            match = module.detect(path, start)
        except Exception:  # noqa: BLE001 - one format's mistake must not stop the others; --from still reaches it
            continue
        if match is not None:
            found.append((match, module))
    return sorted(found, key=lambda pair: -pair[0].weight)


def _files_inside(path: Path) -> list[str]:
    """What a folder that nobody knows has in it, where one of its files is known."""
    files = [path / name for name in io.listing(path).files[:32]] if path.is_dir() else []
    for file in files:
        matches = _matches(file, head(file))
        if matches and matches[0][0].weight >= SURE:
            return [f"{file.name} in it is {matches[0][1].INFO.name}: name that file; "]
    return []


def _inside(folder: Path, module: Detects) -> list[str]:
    """The sub-folders that are surely a data set of another format than the folder itself seems to be."""
    found = []
    for child in (folder / name for name in sorted(io.listing(folder).folders)[:64]):
        matches = _matches(child, b"")
        if matches and matches[0][0].weight >= SURE and matches[0][1].INFO.name != module.INFO.name:
            found.append(f"{matches[0][1].INFO.name}: {child.name}/")
    return found


def by_destination(dst: str) -> Writes:
    """The format that the name of a destination says: by its extension, or by a word of a folder's name (`yolo/`,
    `street-voc`, `voc2012`).

    Raises UsageError where it says none, or more than one.
    """
    path = Path(dst)
    suffix = base_suffix(path)
    usable = [(listing.name, listing.info) for listing in formats() if listing.info and listing.writes]
    by_suffix = [name for name, info in usable if suffix and suffix in info.extensions and not dst.endswith("/")]
    if len(by_suffix) == 1:
        return writer(by_suffix[0])
    words = set(re.split(r"[^a-z0-9]+", path.name.lower()))
    words |= {word.rstrip("0123456789") for word in words}
    by_word = [name for name, info in usable if ({name} | set(info.aliases)) & words]
    if not by_suffix and len(by_word) == 1:
        return writer(by_word[0])
    if not by_suffix and len(by_word) > 1:
        message = f"the name of the destination holds those of several formats: {', '.join(by_word)}"
        raise UsageError.of("unknown-target", message, where=dst, hint="--to FORMAT says which")
    known = sorted({extension for _, info in usable for extension in info.extensions})
    near = nearest(suffix, known) if suffix and suffix not in known else None
    hint = (f"did you mean {near!r}? " if near else "") + (
        f"--to FORMAT says it, or a name such as boxes.parquet or yolo/ (extensions: {' '.join(known)})"
    )
    raise UsageError.of("unknown-target", "the destination does not say its format", where=dst, hint=hint)


def is_file_name(path: Path) -> bool:
    """Whether a name has the extension of a format that is one file."""
    infos = [listing.info for listing in formats() if listing.info and listing.info.layout != "folder"]
    return base_suffix(path) in {extension for info in infos for extension in info.extensions}


def options_of(given: dict[str, str], known: Iterable[Option], side: str, format_name: str) -> dict[str, str]:
    """The options of one format, completed with their defaults.

    Raises UsageError for an unknown key, with the one that may have been meant, or for a value that is not allowed.
    """
    specs = {spec.name: spec for spec in known}
    problems = []
    for key, value in given.items():
        if key not in specs:
            hint = did_you_mean(key, specs) or (
                f"{format_name} has {', '.join(specs)}" if specs else f"{format_name} has no options"
            )
            problems.append(
                Diagnostic("unknown-option", f"{format_name} has no option {key!r} for --{side}", hint=hint)
            )
        elif not specs[key].accepts(value):
            allowed = f"allowed: {', '.join(specs[key].choices)}" if specs[key].choices else specs[key].help
            hint = did_you_mean(value, specs[key].choices) or allowed
            problems.append(Diagnostic("bad-option", f"{value!r} is no value of --{side} {key}", hint=hint))
    if problems:
        raise UsageError(problems)
    return {spec.name: given.get(spec.name, spec.default) for spec in specs.values()}
