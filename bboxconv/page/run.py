"""From a data set, and an output of a conversion, to the page about them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

from bboxconv import pipeline
from bboxconv.account import Account
from bboxconv.codec import EVERYTHING, Progress, Target, silent
from bboxconv.codes import catalogue
from bboxconv.counting import collect
from bboxconv.errors import Diagnostic, ExitCode, Findings, UsageError, exit_code_of
from bboxconv.flow import Flow, encoded
from bboxconv.imagelookup import ImageLookup
from bboxconv.page import account, overview
from bboxconv.page.data import ODD, READ, Images, Pack, column
from bboxconv.page.document import document
from bboxconv.page.links import Numbers, images_of
from bboxconv.page.markup import element, noun, text
from bboxconv.page.pictures import Wanted, available, pictures
from bboxconv.palette import color
from bboxconv.report import VERSION, Counts, Report, Side
from bboxconv.request import Request
from bboxconv.sources import Opened, named, open_sources
from bboxconv.staging import staged
from bboxconv.statistics import Statistics
from bboxconv.workers import at_work
from bboxconv.workers import available as cores

MOST = 1000
"""Up to so many images, each has a picture unasked."""
BESIDE = 6
"""Pictures beside a finding."""


@dataclass(frozen=True, slots=True)
class PageReport:
    """What a page has, and where it is."""

    page: str
    sources: tuple[Side, ...]
    target: Side | None
    counts: Counts
    thumbnails: int
    findings: tuple[Diagnostic, ...]
    same: bool | None
    """Whether the output agrees with its source; None where none was given."""
    bytes: int
    seconds: float

    @property
    def exit_code(self) -> ExitCode:
        """What a run of the command line ends with."""
        return exit_code_of(self.findings)

    def as_dict(self) -> dict[str, object]:
        """The document as plain types."""
        return {
            "version": VERSION,
            "command": "report",
            "exit_code": int(self.exit_code),
            "sources": [side.as_dict() for side in self.sources],
            "target": self.target.as_dict() if self.target else None,
            "page": self.page,
            "counts": self.counts.as_dict(),
            "thumbnails": self.thumbnails,
            "same": self.same,
            "findings": [finding.as_dict() for finding in self.findings],
            "bytes": self.bytes,
            "seconds": round(self.seconds, 3),
        }


def write(
    request: Request, page: Path, thumbnails: int | None = None, progress: Progress = silent, *, overwrite: bool = False
) -> PageReport:
    """Write the page about the sources of a request, and about its destination where it names one. Raises as
    `bboxconv.report_page`."""
    began = time.monotonic()
    with staged(page, "file", overwrite=overwrite) as stage:
        made = _make(request, thumbnails, progress)
        with stage.open("wb") as file:
            size = _put(made, file)
    return _report(str(page), made, size, time.monotonic() - began)


def to_stream(
    request: Request, stream: BinaryIO, thumbnails: int | None = None, progress: Progress = silent
) -> PageReport:
    """As `write`, to a stream."""
    began = time.monotonic()
    made = _make(request, thumbnails, progress)
    size = _put(made, stream)
    stream.flush()
    return _report("-", made, size, time.monotonic() - began)


def _put(made: _Made, stream: BinaryIO) -> int:
    return sum(stream.write(piece.encode()) for piece in _pieces(made))


def _report(page: str, made: _Made, size: int, seconds: float) -> PageReport:
    compared = made.compared
    return PageReport(
        page=page,
        sources=made.opened.sides,
        target=compared.target if compared else None,
        counts=Counts(len(made.images), made.images.boxes, len(made.opened.header.categories)),
        thumbnails=len(made.pictures),
        findings=made.findings,
        same=compared.verify.same if compared and compared.verify else None,
        bytes=size,
        seconds=seconds,
    )


def _compare(request: Request, progress: Progress) -> Report:
    """The account of what the destination has of the sources. Their faults are findings of the page."""
    return pipeline.verify(replace(request, on_error="skip"), progress)


@dataclass(frozen=True, slots=True)
class _Made:
    """All that the page is made of."""

    request: Request
    statistics: Statistics
    compared: Report | None
    opened: Opened
    images: Images
    findings: tuple[Diagnostic, ...]
    concerned: tuple[Numbers, ...]
    """The images of each finding."""
    pictures: Mapping[int, str]


def _make(request: Request, thumbnails: int | None, progress: Progress) -> _Made:
    """Count, compare, read all images, and make the pictures that are wanted of them."""
    if "-" in request.sources:
        message = "a page takes several readings, and standard input can be read once"
        raise UsageError.of("special-file", message, where="<stdin>", hint="name a file")
    statistics = collect(request, progress)
    compared = _compare(request, progress) if request.dst else None
    findings = Findings()
    exif = request.in_.get("exif", "yes") != "no"
    with ExitStack() as stack:
        workers = stack.enter_context(at_work(request.jobs or cores()))
        opened = open_sources(request, findings, stack, workers, progress, lambda source: READ, READ)
        own = tuple(folder for one in opened.datasets for folder in one.image_folders)
        folders = (((None, request.images),) if request.images else ()) + own
        flow = Flow(request, opened, findings, workers, progress)
        as_it_is = Target(None, EVERYTHING, finite=False)
        pack = Pack(opened.header.box, folders, exif)
        images = Images.of(encoded(flow, as_it_is, Account(), pack))
        told = _told(findings, statistics)
        shown: dict[int, str] = {}
        if folders and available():
            wanted = _wanted(images, thumbnails, images_of(told, images))
            lookup = partial(ImageLookup.of_split, images=request.images, folders=own)
            asked = request.images is not None
            shown = dict(pictures(wanted, lookup, workers, findings, exif=exif, told=asked))
        elif folders and (request.images is not None or thumbnails):
            message = "there are no pictures: Pillow, which makes them, is not installed"
            findings.add("missing-library", message, severity="warning", hint="pip install 'bboxconv[draw]'")
    told = _told(findings, statistics)
    return _Made(request, statistics, compared, opened, images, told, tuple(images_of(told, images)), shown)


def _told(findings: Findings, statistics: Statistics) -> tuple[Diagnostic, ...]:
    """All findings, errors first; those that were met in both readings once."""
    seen = {(one.code, one.message): one for one in (*statistics.findings, *findings)}
    rank = {"error": 0, "warning": 1, "note": 2}
    return tuple(sorted(seen.values(), key=lambda one: (rank[one.severity], one.code, one.message)))


def _wanted(images: Images, thumbnails: int | None, concerned: Sequence[Numbers]) -> list[Wanted]:
    """The images that get a picture: all where they are few, else those beside findings, and so many as are asked
    for, evenly spread."""
    total = len(images)
    most = MOST if thumbnails is None else thumbnails
    if total <= most:
        chosen = list(range(total))
    else:
        beside = dict.fromkeys(number for numbers in concerned for number in numbers[:BESIDE].tolist())
        spread = () if thumbnails is None else (at * total // thumbnails for at in range(thumbnails))
        chosen = sorted([*dict.fromkeys((*beside, *spread))][: most if thumbnails is not None else None])
    names, splits = images.names(), images.splits()
    picked = ((number, names[number].as_py(), splits[number].as_py()) for number in chosen)
    return [Wanted(number, name, split) for number, name, split in picked if name is not None]


def _pieces(made: _Made) -> Iterator[str]:
    """The page."""
    statistics, compared = made.statistics, made.compared
    shown = _without_places(made.request)
    sides = [shown(side.path) + (f" as {side.split}" if side.split else "") for side in made.opened.sides]
    formats = " + ".join(dict.fromkeys(side.format for side in made.opened.sides))
    given = [Path(named(source)[1]).name for source in made.request.sources]
    title = given[0] or "data set" if len(given) == 1 else f"{len(given)} data sets"
    parts = {
        "title": text(title),
        "sources": text(f"{formats}: {', '.join(sides)}"),
        "overview": overview.overview(statistics),
        "classes": overview.classes(statistics),
        "conversion_link": element("a", "Conversion", href="#conversion") if compared else "",
        "conversion": "",
        "findings_count": text(len(made.findings)),
        "findings": account.findings(made.findings, shown, catalogue()),
        "images_count": text(noun(len(made.images), "image")),
    }
    if compared:
        body = account.conversion(compared, shown)
        parts["conversion"] = element("section", element("h2", "Conversion"), body, id="conversion")
    yield from document(parts, _data(made), made.pictures)


def _data(made: _Made) -> dict[str, object]:
    """What the script reads."""
    categories = made.opened.header.categories
    filters = [
        {"name": one.code, "about": one.message, "images": column(numbers)}
        for one, numbers in zip(made.findings, made.concerned, strict=True)
    ]
    for name, words in ODD.items():
        numbers = made.images.odd(name)
        if words and len(numbers):
            filters.append({"name": words, "about": "", "images": column(numbers)})
    return {
        **made.images.columns(),
        "class_names": [one.name for one in categories],
        "colors": [color(at) for at in range(len(categories))],
        "filters": filters,
        "beside": BESIDE,
    }


def _without_places(request: Request) -> Callable[[str], str]:
    """Takes the folders of this machine out of a text: of absolute paths that the user gave, the last part stays."""
    given = [named(source)[1] for source in request.sources]
    given += [str(path) for path in (request.dst, request.images, request.image_sizes, request.classes) if path]
    absolute = {Path(path) for path in given if Path(path).is_absolute()}
    heads = sorted({f"{str(path.parent).rstrip('/')}/" for path in absolute}, key=len, reverse=True)

    def shown(words: str) -> str:
        for head in heads:
            words = words.replace(head, "") if head != "/" else words
        return words

    return shown
