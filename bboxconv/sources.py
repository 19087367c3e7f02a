"""What the user names as sources, as things to read: splits, standard input, detection, folders that hold several."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bboxconv import registry
from bboxconv.codec import Match, Reads, Source
from bboxconv.errors import Diagnostic, UsageError

_SPLIT = re.compile(r"([A-Za-z0-9_.-]+)=(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Opened:
    """A source and the format that reads it."""

    format: Reads
    source: Source
    evidence: str
    options: Mapping[str, str]


def named(text: str) -> tuple[str | None, str]:
    """The split and the path of `split=path`; a path that exists is a path."""
    found = _SPLIT.fullmatch(text)
    return (found[1], found[2]) if found and not Path(text).exists() else (None, text)


def resolve(texts: Sequence[str], from_: str | None, given: Mapping[str, str], stack: ExitStack) -> list[Opened]:
    """Every source with its format and options, folders of several sources taken apart. `stack` removes what standard input was copied to.

    Raises UsageError for what is missing, unknown or in doubt, DataError for content that no format knows.
    """
    wanted = [named(text) for text in texts]
    missing = [path for _, path in wanted if path != "-" and not Path(path).exists()]
    if missing:
        raise UsageError([Diagnostic("path-not-found", f"there is no {path}") for path in missing])
    found: list[Opened] = []
    for split, path in wanted:
        source = Source(_stdin(from_, stack) if path == "-" else Path(path), split, "<stdin>" if path == "-" else path)
        module, match = _format(source, from_)
        options = _options(module, given)
        parts = match.parts or (("", source.path),)
        for part, file in parts:
            shown = source.shown if file == source.path else str(file)
            found.append(Opened(module, Source(file, split or part or None, shown), match.evidence, options))
    _refuse_unknown(found, given)
    return found


def _format(source: Source, from_: str | None) -> tuple[Reads, Match]:
    if from_ is None:
        return registry.detect(source)
    module = registry.reader(from_)
    match = module.detect(source.path, b"") if source.path.is_dir() else None
    return module, Match(1, f"--from {from_}", match.parts if match else ())


def _stdin(from_: str | None, stack: ExitStack) -> Path:
    if from_ is None:
        raise UsageError.of("stdin-needs-format", "standard input does not say its format", hint="--from FORMAT says it")
    module = registry.reader(from_)
    if module.INFO.layout == "folder":
        message = f"{module.INFO.name} is a folder of files, which standard input cannot be"
        raise UsageError.of("stdin-is-no-folder", message, hint="name the folder")
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bboxconv-"))
    path = Path(folder) / f"stdin{module.INFO.extensions[0]}"
    with path.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file, 1 << 20)
    return path


def _options(module: Reads, given: Mapping[str, str]) -> Mapping[str, str]:
    known = {spec.name for spec in module.INFO.read_options}
    own = {key: value for key, value in given.items() if key in known}
    return registry.options_of(own, module.INFO.read_options, "in", module.INFO.name)


def _refuse_unknown(found: Sequence[Opened], given: Mapping[str, str]) -> None:
    """An option must be known to one of the formats that are read."""
    specs = {spec.name: spec for opened in found for spec in opened.format.INFO.read_options}
    unknown = {key: value for key, value in given.items() if key not in specs}
    if unknown:
        registry.options_of(unknown, specs.values(), "in", ", ".join(dict.fromkeys(opened.format.INFO.name for opened in found)))
