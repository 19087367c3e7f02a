"""The words of a command line: values as text to values, and the parser's complaints in our own shape."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from bboxconv.arguments import ON_ERROR, ON_INVALID, UNANNOTATED
from bboxconv.errors import BboxconvError, UsageError
from bboxconv.request import Request
from bboxconv.suggest import did_you_mean

if TYPE_CHECKING:
    from fractions import Fraction

    from bboxconv.codec import FormatInfo

Word = TypeVar("Word", bound=str)
COLORS = ("auto", "always", "never")

UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
UNITS |= {f"{u}ib": UNITS[u] for u in "kmgt"} | {f"{u}b": 1000**power for power, u in enumerate("kmgt", 1)}


class Parameter(Protocol):
    """What is used of an option or argument of the parser."""

    opts: list[str]
    name: str | None
    metavar: str | None
    help: str | None
    hidden: bool
    rich_help_panel: str | None
    param_type_name: str
    is_flag: bool
    count: bool
    required: bool
    nargs: int
    _runtime_param: object


@dataclass(frozen=True, slots=True)
class Look:
    """How a run is to be shown."""

    command: str = ""
    json: bool = False
    report: Path | None = None
    quiet: int = 0
    verbose: bool = False
    color: str = "auto"
    debug: bool = False

    @property
    def hidden(self) -> tuple[str, ...]:
        """The severities that are not shown."""
        return ("note", "warning") if self.quiet > 1 else ("note",) if self.quiet else ()


def bad_value(flag: str, value: str, want: str, hint: str = "") -> BboxconvError:
    """The error for a value that a flag does not take."""
    return UsageError.of("bad-option-value", f"{flag} takes {want}, not {value!r}", hint=hint)


def choice(flag: str, value: str, known: Sequence[Word]) -> Word:
    """One of the known words; UsageError for another."""
    if value not in known:
        raise bad_value(flag, value, f"{', '.join(known[:-1])} or {known[-1]}", did_you_mean(value, known))
    return known[known.index(value)]


def color(value: str) -> str:
    """What `--color` says; UsageError for an unknown word."""
    return choice("--color", value, COLORS)


def whole(flag: str, value: str, least: int) -> int:
    """A whole number of at least `least`; UsageError for anything else."""
    if not (value.isascii() and value.isdecimal()) or int(value) < least:
        raise bad_value(flag, value, f"a whole number from {least}")
    return int(value)


def real(flag: str, value: str, least: float, most: float, want: str) -> float:
    """A number from `least` to `most`; UsageError that says `want` for anything else."""
    if re.fullmatch(r"[0-9]*\.?[0-9]+(e[+-]?[0-9]+)?|[0-9]+\.", value, re.ASCII | re.IGNORECASE):
        number = float(value)
        if least <= number <= most:
            return number
    raise bad_value(flag, value, want)


def part(flag: str, value: str) -> Fraction:
    """A part of a whole, from `0.8` or `1/3`; UsageError for anything else."""
    from fractions import Fraction  # noqa: PLC0415 - loads decimal, which few commands need

    if not re.fullmatch(r"[0-9]{0,9}\.?[0-9]{1,15}|[0-9]{1,9}/[1-9][0-9]{0,8}", value, re.ASCII) or Fraction(value) > 1:
        raise bad_value(flag, value, "a part from 0 to 1, such as 0.8 or 1/3")
    return Fraction(value)


def amount(flag: str, value: str) -> int:
    """Bytes from `256MiB`, `1GB`, `512M` (binary, as in GNU tools) or a bare number; UsageError for anything else."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([a-z]*)", value.strip().lower(), re.ASCII)
    if match is None or match[2] not in UNITS or float(match[1]) <= 0:
        raise bad_value(flag, value, "an amount such as 256MiB or 1GB")
    return int(float(match[1]) * UNITS[match[2]])


def sides(flag: str, value: str) -> tuple[int, int]:
    """Width and height in pixels from `640x480`; UsageError for anything else."""
    match = re.fullmatch(r"([1-9][0-9]{0,8})[xX]([1-9][0-9]{0,8})", value, re.ASCII)
    if match is None:
        raise bad_value(flag, value, "WIDTHxHEIGHT in pixels, such as 640x480")
    return int(match[1]), int(match[2])


def pairs(flag: str, values: Sequence[str]) -> dict[str, str]:
    """Options of a format from `key=value` words; UsageError for a word without `=` or a key given twice."""
    found: dict[str, str] = {}
    for word in values:
        key, sign, value = word.partition("=")
        if not sign or not key:
            raise bad_value(flag, word, "key=value", "bboxconv formats NAME lists the keys")
        if found.setdefault(key, value) != value:
            raise UsageError.of("option-given-twice", f"{flag} {key} is given twice, as {found[key]!r} and {value!r}")
    return found


def spare_data(report: Path | None, paths: Sequence[str]) -> None:
    """Raise UsageError where `--report` would write over a source or the destination."""
    words = [*paths, *(path.partition("=")[2] for path in paths)]
    if report is not None and report.exists() and not report.is_file() and not report.is_dir():
        message = "--report names a device or a pipe, which is never replaced"
        raise UsageError.of("special-file", message, where=str(report), hint="--json writes to stdout")
    if report is not None and report.resolve() in {Path(word).resolve() for word in words if word}:
        raise UsageError.of("report-is-data", "--report names a source or DST", where=str(report))


def with_output(words: Sequence[str]) -> tuple[Sequence[str], str]:
    """The sources, and the output that is the last of several words, unless it is `split=path`."""
    last = words[-1]
    is_split = re.fullmatch(r"[A-Za-z0-9_.-]+=.+", last, re.DOTALL) and not Path(last).exists()
    return (words, "") if len(words) == 1 or is_split else (words[:-1], last)


def spare_page(page: Path, paths: Sequence[str]) -> None:
    """Raise UsageError where a page would replace a source or the output of a conversion."""
    words = [*paths, *(path.partition("=")[2] for path in paths)]
    if page.resolve() in {Path(word).resolve() for word in words if word}:
        raise UsageError.of("report-is-data", "-o names a source or DST", where=str(page))


def spare_terminal(written: FormatInfo) -> None:
    """Raise UsageError where binary data would go to a terminal; a format that is not compressed is text."""
    if not written.compressible:
        hint = f"name a file, such as boxes{written.extensions[0]}, or pipe it to a program"
        raise UsageError.of("stdout-is-terminal", f"{written.name} is binary, and stdout is a terminal", hint=hint)


def reading(
    sources: Sequence[str],
    from_: str | None,
    in_: Sequence[str] | None,
    split: Sequence[str] | None,
    classes: Path | None,
    images: Path | None,
    image_sizes: str | None,
    image_size: str | None,
    batch_size: str,
    jobs: str,
    memory: str,
    max_expansion: str | None,
) -> Request:
    """What is asked of a command that only reads."""
    return Request(
        sources=tuple(sources),
        from_=from_,
        in_=pairs("--in", in_ or ()),
        split=tuple(split or ()),
        classes=classes,
        images=images,
        image_sizes=image_sizes,
        image_size=None if image_size is None else sides("--image-size", image_size),
        batch_size=whole("--batch-size", batch_size, 1),
        jobs=whole("--jobs", jobs, 0),
        memory=amount("--memory", memory),
        max_expansion=None if max_expansion is None else whole("--max-expansion", max_expansion, 0),
        looks=True,
    )


def converting(
    sources: Sequence[str],
    dst: str,
    from_: str | None,
    to: str | None,
    in_: Sequence[str] | None,
    out: Sequence[str] | None,
    box: str | None,
    split: Sequence[str] | None,
    classes: Path | None,
    class_map: Sequence[str] | None,
    include_class: Sequence[str] | None,
    exclude_class: Sequence[str] | None,
    default_class: str | None,
    images: Path | None,
    image_sizes: str | None,
    image_size: str | None,
    drop_empty: bool,
    unannotated: str,
    on_error: str,
    max_errors: str | None,
    on_invalid: str,
    batch_size: str,
    jobs: str,
    memory: str,
    max_expansion: str | None,
) -> Request:
    """What is asked of a command that converts: all that changes what the output says."""
    read = reading(
        sources, from_, in_, split, classes, images, image_sizes, image_size, batch_size, jobs, memory, max_expansion
    )
    return replace(
        read,
        dst=dst,
        to=to,
        out=pairs("--out", out or ()),
        box=box,
        class_map=tuple(class_map or ()),
        include_class=tuple(include_class or ()),
        exclude_class=tuple(exclude_class or ()),
        default_class=default_class,
        drop_empty=drop_empty,
        unannotated=choice("--unannotated", unannotated, UNANNOTATED),
        on_error=choice("--on-error", on_error, ON_ERROR),
        max_errors=None if max_errors is None else whole("--max-errors", max_errors, 1),
        on_invalid=choice("--on-invalid", on_invalid, ON_INVALID),
        looks=False,
    )


def path(value: str | None) -> Path | None:
    """The path that a flag names."""
    return None if value is None else Path(value)


class _AsWritten:
    """Takes values as the parser gives them: texts, lists of texts, flags and counts."""

    def coerce(self, value: object, param: Parameter, ctx: object) -> object:
        """The value; nothing is an empty list where there may be several."""
        several = getattr(param, "multiple", False) or param.nargs == -1
        return () if value is None and several else value


def keep_as_written(params: Iterable[Parameter]) -> None:
    """Let no parameter be converted: typer imports pydantic for that, even for text, which takes 100 ms. A version of
    it that does not know this converts them to the same.
    """
    for param in params:
        param._runtime_param = _AsWritten()


def arguments(argv: Sequence[str]) -> list[str]:
    """The arguments, with the optional value of `--strict` made explicit: the parser has no such flag."""
    end = argv.index("--") if "--" in argv else len(argv)
    return ["--strict=default" if word == "--strict" else word for word in argv[:end]] + list(argv[end:])


def complaint(error: Exception, commands: Sequence[str], params: Sequence[Parameter], path: str) -> BboxconvError:
    """What the parser says of a command line, as our error.

    The classes are told apart by name, and the words are ours: the parser's classes and words change with its
    versions.
    """
    hint = f"{path} --help shows what it takes"
    flag = str(getattr(error, "option_name", "") or "")
    text = str(getattr(error, "message", "") or error)
    match type(error).__name__:
        case "NoSuchOption":
            flags = [flag for param in params for flag in param.opts]
            return UsageError.of("unknown-option", f"no option {flag}", hint=did_you_mean(flag, flags) or hint)
        case "BadOptionUsage" if "argument" in text:
            return UsageError.of("missing-value", f"{flag} needs a value", hint=hint)
        case "BadOptionUsage":
            return UsageError.of("bad-option-value", f"{flag} takes no value", hint=hint)
    unknown = re.match(r"No such command '(.*?)'\.", text)
    if unknown:
        word = unknown[1]
        return UsageError.of("unknown-command", f"no command {word}", hint=did_you_mean(word, commands) or hint)
    extra = re.match(r"Got unexpected extra argument\S* \((.*)\)", text)
    if extra:
        return UsageError.of("extra-argument", f"too many arguments: {extra[1]}", hint=hint)
    return UsageError.of("bad-command-line", text.rstrip("."), hint=hint)
