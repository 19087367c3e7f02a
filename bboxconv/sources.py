"""The sources of a run: splits, standard input, detection, folders that hold several; and all of them opened under
one header.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bboxconv import classes, classfiles, io, jsontext, registry
from bboxconv.codec import EVERYTHING, Match, Progress, ReadContext, Reads, Source, silent
from bboxconv.errors import DataError, Diagnostic, Findings, TooManyError, UsageError
from bboxconv.passing import passing
from bboxconv.repeats import distinct_categories
from bboxconv.report import Side
from bboxconv.request import Request
from bboxconv.schema import Category, Dataset, Header
from bboxconv.suggest import did_you_mean, for_missing
from bboxconv.workers import Workers

_SPLIT = re.compile(r"([A-Za-z0-9_.-]+)=(.+)", re.DOTALL)


OWN_OPTIONS = ("exif",)
"""Options of `--in` that are not a format's."""


@dataclass(frozen=True, slots=True)
class Found:
    """A source and the format that reads it."""

    format: Reads
    source: Source
    evidence: str
    options: Mapping[str, str]
    given: int = 0
    """The place among the sources of the one that it is, or is a part of."""


def named(text: str) -> tuple[str | None, str]:
    """The split and the path of `split=path`; a path that exists is a path."""
    found = _SPLIT.fullmatch(text)
    return (found[1], found[2]) if found and not Path(text).exists() else (None, text)


def resolve(texts: Sequence[str], from_: str | None, given: Mapping[str, str], stack: ExitStack) -> list[Found]:
    """Every source with its format and options, folders of several sources taken apart. `stack` removes what standard
    input was copied to.

    Raises UsageError for what is missing, unknown or in doubt, DataError for content that no format knows.
    """
    wanted = [named(text) for text in texts]
    missing = [path for _, path in wanted if path != "-" and not Path(path).exists()]
    if missing:
        raise UsageError(
            [Diagnostic("path-not-found", f"there is no {path}", hint=for_missing(Path(path))) for path in missing]
        )
    special = next((path for _, path in wanted if path != "-" and io.is_special(Path(path))), None)
    if special is not None:  # a pipe can be read once, and detection reads before the format does
        message = "the source is a device or a pipe, not a file"
        raise UsageError.of("special-file", message, where=special, hint=io.SPECIAL)
    found: list[Found] = []
    for given_at, (split, path) in enumerate(wanted):
        source = Source(_stdin(from_, stack) if path == "-" else Path(path), split, "<stdin>" if path == "-" else path)
        module, match = _format(source, from_)
        options = _options(module, given)
        parts = match.parts or (("", source.path),)
        for part, file in parts:
            shown = source.shown if file == source.path else str(file)
            found.append(Found(module, Source(file, split or part or None, shown), match.evidence, options, given_at))
    _refuse_unknown(found, given)
    return found


def _format(source: Source, from_: str | None) -> tuple[Reads, Match]:
    if from_ is None:
        return registry.detect(source)
    module = registry.reader(from_)
    match = module.detect(source.path, b"") if source.path.is_dir() else None
    if match is None and source.path.is_dir() and module.INFO.layout != "folder":
        message = f"the folder holds nothing that {module.INFO.name} reads"
        raise DataError.of("unknown-content", message, where=source.shown, hint="name a file")
    return module, Match(1, f"--from {from_}", match.parts if match else ())


def _stdin(from_: str | None, stack: ExitStack) -> Path:
    if from_ is None:
        raise UsageError.of(
            "stdin-needs-format", "standard input does not say its format", hint="--from FORMAT says it"
        )
    module = registry.reader(from_)
    if module.INFO.layout == "folder":
        message = f"{module.INFO.name} is a folder of files, which standard input cannot be"
        raise UsageError.of("stdin-is-no-folder", message, hint="name the folder")
    path = stack.enter_context(passing(f"stdin{module.INFO.extensions[0]}"))
    with path.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file, 1 << 20)
    return path


def _options(module: Reads, given: Mapping[str, str]) -> Mapping[str, str]:
    known = {spec.name for spec in module.INFO.read_options}
    own = {key: value for key, value in given.items() if key in known}
    return registry.options_of(own, module.INFO.read_options, "in", module.INFO.name)


def _refuse_unknown(found: Sequence[Found], given: Mapping[str, str]) -> None:
    """An option must be known to one of the formats that are read."""
    specs = {spec.name: spec for opened in found for spec in opened.format.INFO.read_options}
    unknown = {key: value for key, value in given.items() if key not in specs}
    if unknown:
        registry.options_of(
            unknown, specs.values(), "in", ", ".join(dict.fromkeys(opened.format.INFO.name for opened in found))
        )


@dataclass(frozen=True, slots=True)
class Opened:
    """The sources of a run, opened: one header for all, and what each needs to be brought to it."""

    header: Header
    datasets: tuple[Dataset, ...]
    shown: tuple[str, ...]
    """The name of each source in messages."""
    sides: tuple[Side, ...]
    """The sources as the report names them."""
    index: tuple[NDArray[np.int32], ...]
    """For each source: the index in `header.categories` of each of its categories, -1 where the class is left out."""
    default_class: int | None = None
    read_categories: int = 0
    """How many categories all sources have together."""
    given: tuple[int, ...] = ()
    """For each source: the place, among those that were named, of the one that it is, or is a part of."""


def open_sources(
    request: Request,
    findings: Findings,
    stack: ExitStack,
    workers: Workers,
    progress: Progress = silent,
    carried: Callable[[str], frozenset[str]] = lambda source: EVERYTHING,
    wanted: frozenset[str] = EVERYTHING,
) -> Opened:
    """Read the headers of all sources and make one of them. `stack` removes what standard input was copied to;
    `carried` says which fields come to be written of a source of that format, `wanted` those that are looked at.

    Raises UsageError for what the request has wrong, DataError for a source of which nothing can be read.
    """
    given = {key: value for key, value in request.in_.items() if key not in OWN_OPTIONS}
    if request.images is not None and not request.images.is_dir():
        hint = for_missing(request.images)
        raise UsageError.of("path-not-found", f"--images: there is no folder {request.images}", hint=hint)
    opened = resolve(request.sources, request.from_, given, stack)
    if request.split:
        opened = _of_splits(opened, request.split)
    names = classfiles.read_names(request.classes, request.max_expansion) if request.classes else ()
    class_map = classfiles.read_map(request.class_map, request.max_expansion)
    datasets = []
    faults: list[Diagnostic] = []
    for source in opened:
        context = ReadContext(
            source.options,
            findings,
            progress,
            request.batch_size,
            request.memory // len(opened),
            workers,
            names,
            request.images,
            carried(source.format.INFO.name),
            request.max_expansion,
            wanted,
        )
        try:
            dataset = source.format.read(source.source, context)
            if not dataset.compared:
                header = distinct_categories(dataset.header, source.source.shown, findings)
                dataset = replace(dataset, header=header)
            datasets.append(dataset)
        except TooManyError:
            raise
        except DataError as error:  # the other sources are read too: every fault is reported in one run
            faults.extend(error.diagnostics)
    if faults:
        raise DataError([*findings, *faults])
    shown = [source.source.shown for source in opened]
    united, maps = classes.unite([dataset.header for dataset in datasets], findings, shown)
    plan = classes.plan(
        united, classes=names, class_map=class_map, include=request.include_class, exclude=request.exclude_class
    )
    categories, default = _with_default(plan.categories, request.default_class)
    index = tuple(_through(plan.index, one) for one in maps)
    sides = tuple(Side(o.source.shown, o.format.INFO.name, o.source.split, o.evidence) for o in opened)
    return Opened(
        _header(request, datasets, opened, categories),
        tuple(datasets),
        tuple(shown),
        sides,
        index,
        default,
        len(united),
        tuple(source.given for source in opened),
    )


def _through(plan: NDArray[np.int32], index: NDArray[np.int32]) -> NDArray[np.int32]:
    return plan[index] if len(index) else index


def _of_splits(opened: list[Found], wanted: Sequence[str]) -> list[Found]:
    named = [o for o in opened if o.source.split is not None]
    if len(named) < len(opened):
        return opened  # splits stand in the data: images are chosen as they pass
    known = sorted({str(o.source.split) for o in opened})
    unknown = [split for split in wanted if split not in known]
    if unknown:
        raise unknown_split(unknown[0], known)
    return [o for o in opened if o.source.split in wanted]


def unknown_split(name: str, known: Sequence[str]) -> UsageError:
    """The error for a split that was asked for and is none of the known ones."""
    hint = did_you_mean(name, known) or (f"splits: {', '.join(known)}" if known else "the data has no splits")
    return UsageError.of("unknown-split", f"there is no split {name!r}", hint=hint)


def _with_default(categories: tuple[Category, ...], name: str | None) -> tuple[tuple[Category, ...], int | None]:
    if name is None:
        return categories, None
    names = [category.name for category in categories]
    return (categories, names.index(name)) if name in names else ((*categories, Category(name)), len(categories))


def _header(
    request: Request, datasets: Sequence[Dataset], opened: Sequence[Found], categories: tuple[Category, ...]
) -> Header:
    """The first source's header with everybody's categories; top-level keys that only a later source has are taken
    from it.
    """
    switches: dict[str, str] = {}
    for dataset, source in zip(datasets, opened, strict=True):
        switches.update(dataset.header.switches)
        switches.update({f"{source.format.INFO.name}.{key}": value for key, value in source.options.items() if value})
    if request.on_invalid != "keep":
        switches["on-invalid"] = request.on_invalid
    first = datasets[0].header
    headers = [dataset.header for dataset in datasets]
    return replace(
        first,
        categories=categories,
        info=next((header.info for header in headers if header.info is not None), None),
        licenses=next((header.licenses for header in headers if header.licenses is not None), None),
        extra=_merged([header.extra for header in headers if header.extra is not None]),
        switches=dict(sorted(switches.items())),
    )


def _merged(extras: Sequence[str]) -> str | None:
    """The top-level keys of all sources; of a key that several have, the first one's value."""
    if len(set(extras)) < 2:
        return extras[0] if extras else None
    merged: dict[str, str] = {}
    for extra in extras:
        merged = {**merged, **{key: text for key, text in jsontext.members(extra).items() if key not in merged}}
    return jsontext.compose(merged)


def at_hand(dataset: Dataset) -> Opened:
    """A data set that a program has at hand, as a source."""
    count = len(dataset.header.categories)
    side = Side("data set", dataset.header.source)
    identity = np.arange(count, dtype=np.int32)
    return Opened(dataset.header, (dataset,), ("data set",), (side,), (identity,), read_categories=count)
