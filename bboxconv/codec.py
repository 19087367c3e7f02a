"""What a format is: a module that satisfies `Format`, and the plain data that it hands over.

A format module holds `INFO`, `detect`, and `read` or `target` and `write`, or all of them; a format that only reads
has no `write`, and the other way round. It says what it carries and in which box format its numbers stand; it holds
no arithmetic on coordinates, counts no loss and prints nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, TypeVar, runtime_checkable

import pyarrow as pa

from bboxconv.boxes import BoxFormat
from bboxconv.errors import Findings
from bboxconv.schema import IMAGE_FIELDS, OBJECT_FIELDS, Dataset, Header
from bboxconv.shelf import Shelf
from bboxconv.workers import Workers

P = TypeVar("P")
Crowd = Literal["keep", "drop"]
Rotated = Literal["envelope", "unrotated", "drop"]
Options = Mapping[str, str]
"""The options of one side, as `--in` and `--out` give them, completed with their defaults."""

EVERYTHING = frozenset(
    [f"image.{name}" for name in IMAGE_FIELDS]
    + [f"object.{name}" for name in OBJECT_FIELDS]
    + ["category.id", "category.supercategory", "category.extra", "info", "licenses", "extra", "unannotated"]
)
"""Every field that a format can carry. `image.extra` is all extra keys, `image.extra.pose` is one. `unannotated` is
the difference between an image at which nobody looked and one without boxes.
"""


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a format, given as `--in name=value` or `--out name=value`."""

    name: str
    default: str
    help: str
    choices: tuple[str, ...] = ()
    pattern: str = ""
    """A regular expression that the whole value must match, where there are no choices."""
    form: str = "TEXT"
    """How such a value is written, for people: `full|0..17`."""

    def accepts(self, value: str) -> bool:
        """Whether the value is a legal one."""
        if self.choices:
            return value in self.choices
        return not self.pattern or re.fullmatch(self.pattern, value) is not None


@dataclass(frozen=True, slots=True)
class FormatInfo:
    """What is known of a format without running it."""

    name: str
    title: str
    spec: str
    layout: Literal["file", "folder", "either"]
    """What a destination is; either: one file, or a folder with a file for each split."""
    extensions: tuple[str, ...]
    box: str
    """The box format in words for `bboxconv formats`, such as `xywh` or `any`."""
    carries: frozenset[str]
    """The fields that its writer carries with default options; EVERYTHING minus this is what it cannot carry."""
    aliases: tuple[str, ...] = ()
    compressible: bool = True
    """Whether a file of the format may be read and written as .gz and .zst."""
    read_options: tuple[Option, ...] = ()
    write_options: tuple[Option, ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """What `detect` saw. `weight` is 0 to 1: 1 a file that says its format, 0.5 a likely shape. `parts` are the
    (split, path) of a folder that holds several sources of this format.
    """

    weight: float
    evidence: str
    parts: tuple[tuple[str, Path], ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """One thing to read: a path that exists, the split that the user or the folder gave it, and the name to show in
    messages.
    """

    path: Path
    split: str | None = None
    name: str = ""

    @property
    def shown(self) -> str:
        """The name to show in messages: as the user wrote it."""
        return self.name or str(self.path)


class Progress(Protocol):
    """Told what has been done: `done` more units (bytes for one file, images for folders) of `total`, in the stage of
    that name.
    """

    def __call__(self, stage: str, done: int, total: int | None, unit: str, /) -> None:
        """Count what is done."""


def silent(stage: str, done: int, total: int | None, unit: str) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True, slots=True)
class ReadContext:
    """What a reader is given beside its source.

    A reader that meets something it cannot read adds an error to `findings`, leaves that record out and reads on: the
    caller refuses the data afterwards, or sets the records aside. The error names the record (`errors.Record`) with
    its text, and says how many images or boxes are left out for it.
    """

    options: Options = field(default_factory=dict)
    findings: Findings = field(default_factory=Findings)
    progress: Progress = silent
    batch_size: int = 4096
    memory: int = 256 << 20
    workers: Workers = field(default_factory=Workers)
    classes: tuple[str, ...] = ()
    """Names for class numbers, where the source has numbers alone."""
    images: Path | None = None
    """The folder of the images, where the user named one."""
    carried: frozenset[str] = EVERYTHING
    """The fields that come to be written. Of `object.segmentation` and `object.keypoints`, if they are not, a reader
    need keep no more than that there is one: it is counted, and not looked into."""
    max_expansion: float | None = None
    """To how many times its size compressed input may unpack, as `io.open_input` takes it."""
    wanted: frozenset[str] = EVERYTHING
    """The fields that anybody looks at: a reader that can leave out the others gives null for them."""


class Own(Enum):
    """What becomes of a member of `extra` under the name of a column without a value, if it is no value of that."""

    STAYS = "stays"
    LOST = "lost"


def stays(name: str, text: str) -> object:
    """Every member of `extra` can stand where it is."""
    return Own.STAYS


@dataclass(frozen=True, slots=True)
class Target:
    """What a writer wants, given the header and its options; the pipeline converts, fills and counts accordingly."""

    box: BoxFormat | None
    """The box format that it writes; None: as it comes."""
    carries: frozenset[str]
    requires: frozenset[str] = frozenset()
    """Fields that must not be null: of `image.file_name`, `image.width`, `image.height`, `object.category`,
    `object.bbox`; `object.place` is a bbox, polygons, a mask or keypoints, `image.objects` at least one object:
    images without boxes are left out.
    """
    crowd: Crowd = "keep"
    """What becomes of crowd boxes where `object.iscrowd` is not carried."""
    rotated: Rotated = "envelope"
    """What becomes of rotated boxes where `object.rotation` is not carried."""
    reserved: frozenset[str] = frozenset()
    """Extra keys (`object.extra.image_id`) that have a meaning of their own in the format: they cannot be carried
    where the column of that name has a value, or there is none; `takes` says what becomes of the others."""
    takes: Callable[[str, str], object] = stays
    """What a reader of the format makes of such a member, of its name (`object.extra.score`) and its JSON text: the
    value of the column, or what `Own` says. A function that can be pickled."""
    finite: bool = True
    """Whether numbers must be finite: a NaN is no text that other tools read."""
    floats: bool = False
    """Whether numbers with a point or an exponent in extra keys are written as those of a float: others are rounded,
    or become text."""
    decimals: int | None = None
    """Digits after the point of written coordinates; None: all."""
    fills: frozenset[str] = frozenset()
    """Fields that are written with a value where the source has none."""
    redraws: Literal["", "polygon", "corners"] = ""
    """Whether a polygon is written in place of its box, which then is read as its extent; corners: one of four points
    alone."""
    indexed: bool = False
    """Whether a class is written as its place among the categories, in place of its id."""
    unwritten_name: str = ""
    """A regular expression (RE2): what of a file name is not written. Its first group stays."""
    unfit: Mapping[int, str] = field(default_factory=dict)
    """Classes that cannot be written, by index, and how messages show each. A box of one is a fault, and left out."""
    unfit_why: str = ""
    """The message of this fault."""


@dataclass(frozen=True, slots=True)
class WriteContext:
    """What a writer is given beside its batches. `source_box` is the box format that the numbers had in the source;
    the batches stand in `header.box`, which is `Target.box`.
    """

    source_box: BoxFormat
    options: Options = field(default_factory=dict)
    findings: Findings = field(default_factory=Findings)
    batch_size: int = 4096
    images: Path | None = None
    """The folder of the images, where the user named one."""
    image_folders: tuple[tuple[str | None, Path], ...] = ()
    """Where the sources have the images of each split (None: of all)."""
    shown: str = ""
    """The destination as the user wrote it, for messages."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a writer says when it is done."""

    filled: Mapping[str, int] = field(default_factory=dict)
    """Values that the source lacks and the format needs, by field (`object.id`)."""
    next_step: str = ""
    """What the user has still to do before the output is of use."""
    size: tuple[int, int] | None = None
    """How many files there are and their bytes together, where the writer has counted them; None: they are looked up,
    which takes long where there are many."""


class Detects(Protocol):
    """The part of a format that every module has."""

    INFO: FormatInfo

    def detect(self, path: Path, head: bytes) -> Match | None:
        """Whether this path is of the format. `head` is the first 64 kB of a file, decompressed; empty for a
        folder.
        """
        ...


@runtime_checkable
class Reads(Detects, Protocol):
    """A format that reads."""

    def read(self, source: Source, context: ReadContext) -> Dataset:
        """Read a source. The header is complete on return; batches come as the data set is iterated.

        Raises DataError where nothing of the source can be read.
        """
        ...


@runtime_checkable
class Writes(Detects, Protocol):
    """A format that writes."""

    def target(self, header: Header, options: Options) -> Target:
        """What the writer wants for this header under these options."""
        ...

    def write(self, header: Header, batches: Iterable[pa.RecordBatch], out: Path, context: WriteContext) -> Written:
        """Write all batches to `out`, a staged path that does not exist yet (layout folder: an empty folder)."""
        ...


@dataclass(frozen=True, slots=True)
class Encoding:
    """What an encoder is given beside a batch."""

    findings: Findings
    shelf: Shelf = field(default_factory=Shelf)
    """Where to leave what is large."""
    first: int = 0
    """The number of its first image, as images are read: where some were left out before, it is less in the end."""
    box: BoxFormat | None = None
    """The box format in which its boxes stand, where the flow gave it."""

    def number(self, row: int) -> int:
        """What the image in a row of the batch is known by, for the fault that leaves it out after all: of its
        `numbers`, with `late`, so that the values of the image are not counted as written."""
        return self.first + row


Encoder: TypeAlias = Callable[[pa.RecordBatch, Encoding], P]
"""Makes of a batch what is written of it: a picklable function, called in any process and for batches in any order."""


@runtime_checkable
class Encodes(Writes, Protocol[P]):
    """A format that writes on all cores: batches are encoded where they were read, and then assembled in order."""

    def encoder(self, header: Header, out: Path, context: WriteContext) -> Encoder[P]:
        """What encodes batches, for the staged path `out`. It is kept until all is assembled."""
        ...

    def assemble(self, header: Header, pieces: Iterable[P], out: Path, context: WriteContext) -> Written:
        """Write what was encoded of each batch, in order. A piece that lies on a shelf is read before the next is
        asked for."""
        ...


def encoded(encode: Encoder[P], batches: Iterable[pa.RecordBatch], findings: Findings) -> Iterator[P]:
    """What is encoded of each batch, in this process: with it `write` is made of the two functions of `Encodes`."""
    first = 0
    for batch in batches:
        yield encode(batch, Encoding(findings, first=first))
        first += len(batch)


CROWD_KEEP = Option("crowd", "keep", "crowd boxes: written as plain boxes, or left out", ("keep", "drop"))
CROWD_DROP = Option("crowd", "drop", "crowd boxes: left out, or written as plain boxes", ("keep", "drop"))
ROTATED = Option(
    "rotated",
    "envelope",
    "rotated boxes: their envelope, their unrotated rectangle, or nothing",
    ("envelope", "unrotated", "drop"),
)
ORIGIN = Option(
    "origin", "0", "1: boxes are 1-based inclusive pixels, as the PASCAL VOC devkit writes them", ("0", "1")
)
DECIMALS = Option(
    "decimals", "full", "digits after the point of written coordinates", pattern="full|[0-9]|1[0-7]", form="full|0..17"
)


def option(options: Options, spec: Option) -> str:
    """The value of an option, or its default."""
    return options.get(spec.name, spec.default)


def crowd_of(options: Options, spec: Option) -> Crowd:
    """The value of CROWD_KEEP or CROWD_DROP."""
    return "drop" if option(options, spec) == "drop" else "keep"


def rotated_of(options: Options) -> Rotated:
    """The value of ROTATED."""
    value = option(options, ROTATED)
    return "drop" if value == "drop" else "unrotated" if value == "unrotated" else "envelope"
