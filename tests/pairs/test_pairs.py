"""Every two formats, over data sets drawn at random: what both carry survives, every value is accounted for, and how
the work is divided does not show.

What is expected follows from `model`, which shares no code with the product; it is given as JSON Lines that `datasets`
writes. A data set goes into the first format, from there into the second, and is read.

`BBOXCONV_EXAMPLES=1000` draws so many for each pair, and others in every run.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import bboxconv
from bboxconv import pipeline, registry
from bboxconv.account import Values
from bboxconv.boxes import BoxFormat
from bboxconv.errors import DataError, ExitCode
from bboxconv.report import Report
from bboxconv.request import Request
from bboxconv.schema import Header
from bboxconv.workers import Workers, at_work

from .datasets import datasets, write_lines
from .model import (
    READERS,
    UNSAFE,
    Account,
    Data,
    Format,
    Numbers,
    clashing_files,
    clashing_ids,
    differences,
    identical,
    odd_splits,
    passed,
    voc_place,
    yolo_name,
    yolo_place,
)

FORMATS = [known.name for known in registry.formats() if known.reads and known.writes]
PAIRS = list(product(FORMATS, FORMATS))
EXAMPLES = int(os.environ.get("BBOXCONV_EXAMPLES", "0"))
SETTINGS = settings(
    max_examples=EXAMPLES or 12,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    report_multiple_bugs=False,
    phases=(Phase.generate,) if os.environ.get("BBOXCONV_NOSHRINK") else (Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
AT_ONCE = st.tuples(st.integers(1, 4) | st.just(4096), st.sampled_from([1, 1 << 28]))
"""Images of a batch, and the memory for data held."""


def numbers_of(box: BoxFormat) -> Numbers:
    return Numbers(**{field.name: getattr(box, field.name) for field in fields(Numbers)})


def format_of(name: str, data: Data) -> Format:
    """What a format declares for a data set."""
    module = registry.writer(name)
    target = module.target(
        Header(BoxFormat(data.form.kind, data.form.scale, data.form.origin, data.form.inclusive)),
        {option.name: option.default for option in module.INFO.write_options},
    )
    assert target.carries == module.INFO.carries
    return Format(
        name,
        None if target.box is None else numbers_of(target.box),
        module.INFO.carries,
        target.requires,
        target.crowd,
        target.decimals,
        target.fills,
        target.reserved,
        target.indexed,
        read=READERS.get(name, lambda data: data),
        **RULES.get(name, {}),
    )


_NO_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|^[ \t]*[\r\n]|[\r\n][ \t]*\Z|^\s*\Z")
"""What XML cannot say as text: characters that are none of it (section 2.2), and line breaks at the ends, which are
layout."""
RULES: dict[str, dict[str, Any]] = {
    "coco": {"clashing": clashing_ids},
    "csv": {"nameless": lambda name: not name},
    "hf": {"apart": True, "clashing": odd_splits},
    "voc": {
        "nameless": lambda name: _NO_XML.search(name) is not None,
        "clashing": partial(clashing_files, ".xml", voc_place),
    },
    "yolo": {"renamed": yolo_name, "clashing": partial(clashing_files, ".txt", yolo_place)},
}


def place(folder: Path, name: str) -> Path:
    """Where a format writes."""
    info = registry.writer(name).INFO
    return folder / ("out" if info.layout == "folder" else f"out{info.extensions[0]}")


def converted(source: Path, data: Data, to: str, out: Path, **options: Any) -> tuple[Data, Report]:
    """A data set in another format, as it must be read from there, and the report; faults are set aside."""
    target = format_of(to, data)
    wanted, account = passed(data, target)
    if account.faults:
        with pytest.raises(DataError) as refused:
            bboxconv.convert(source, out, to=to, **options)
        assert {found.code for found in refused.value.diagnostics if found.severity == "error"} == account.faults
        assert not out.exists()
    report = bboxconv.convert(source, out, to=to, on_error="skip", **options)
    check_account(report, data, account)
    return target.read(wanted), report


def check_account(report: Report, data: Data, account: Account) -> None:
    """What is read is what is written and what is left out, and every value is carried, changed or lost."""
    assert report.exit_code == (ExitCode.SET_ASIDE if account.faults else ExitCode.DONE)
    assert not report.rejected_images and not report.rejected_boxes
    assert (report.read.images, report.read.boxes) == (len(data.images), data.boxes)
    assert (report.images, report.boxes) == (account.images, account.boxes)
    assert report.images + sum(report.left_out_images.values()) == report.read.images
    assert report.boxes + sum(report.left_out_boxes.values()) == report.read.boxes
    assert all(values.carried >= 0 for values in report.fields.values())
    areas = report.filled.get("object.area", 0) - account.filled["object.area"]
    assert 0 <= areas <= account.unsure
    others = Counter({SIZES: report.filled.get(SIZES, 0), "object.area": areas})
    assert _unlike(report.filled, account.filled + others) == {}
    assert _unlike({name: values.count for name, values in report.fields.items()}, account.seen) == {}
    assert _unlike({name: values.lost for name, values in report.fields.items()}, account.lost) == {}
    assert _unlike(report.lost, account.lost) == {}


SIZES = "image.width and image.height"


def _unlike(found: Mapping[str, int], wanted: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    pairs = {name: (found.get(name, 0), wanted.get(name, 0)) for name in {*found, *wanted}}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def has_sizes(name: str) -> bool:
    return "image.width" in registry.writer(name).INFO.carries


def wants_sizes(name: str, data: Data) -> bool:
    """Whether sizes are of any use in a format."""
    form = format_of(name, data).form
    return has_sizes(name) or (form is not None and (form.scale is None) != (data.form.scale is None))


def sized(held: Data, data: Data, renamed: Callable[[str], str], path: Path) -> tuple[Data, Path | None]:
    """A data set with the sizes of its images, and a file that has them; where some are unknown, all are."""
    sizes = {renamed(image["file_name"]): image for image in data.images if image["file_name"] is not None}
    if any(image["width"] is None for image in sizes.values()):
        return held, None
    rows = [{"type": "image", "file": name} | {side: sizes[name][side] for side in SIDES} for name in sizes]
    path.write_text("".join(json.dumps(row) + "\n" for row in ({"type": "dataset"}, *rows)), encoding="utf-8")
    images = tuple({**image, **{side: sizes[image["file_name"]][side] for side in SIDES}} for image in held.images)
    return replace(held, images=images), path


SIDES = ("width", "height")


def check_header(wanted: Data, header: Header) -> None:
    """The classes, in their order, and what is said once."""
    assert numbers_of(header.box) == wanted.form
    for name in ("info", "licenses", "extra"):
        text = getattr(header, name)
        assert identical(getattr(wanted, name), None if text is None else json.loads(text)), name
    found = [
        {name: getattr(category, name) for name in ("name", "id", "supercategory", "extra")}
        for category in header.categories
    ]
    for row in found:
        row["extra"] = row["extra"] and json.loads(row["extra"])
    assert identical(list(wanted.categories), found)


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_what_both_carry_survives(first: str, second: str) -> None:
    """From one format to another and back into memory, every field that both carry is what it was, every other is
    gone or filled in, images and boxes are those that the formats can hold, and the account says all of it."""

    @SETTINGS
    @given(data=datasets(), one=AT_ONCE, other=AT_ONCE, ascii_only=st.booleans())
    def check(data: Data, one: tuple[int, int], other: tuple[int, int], ascii_only: bool) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_lines(data, folder / "given.jsonl", ascii_only)
            middle, last = place(folder / "a", first), place(folder / "b", second)
            held, _ = converted(folder / "given.jsonl", data, first, middle, batch_size=one[0], memory=one[1])
            options: dict[str, Any] = {"batch_size": other[0], "memory": other[1]}
            if not has_sizes(first) and wants_sizes(second, held):
                held, sizes = sized(held, data, RULES.get(first, {}).get("renamed", str), folder / "sizes.jsonl")
                options |= {"image_sizes": sizes} if sizes else {}
            wanted, _ = converted(middle, held, second, last, **options)
            found = bboxconv.read(last, from_=second)
            names = [category.name for category in found.header.categories]
            assert differences(wanted, found.to_table().to_pylist(), numbers_of(found.header.box), names) == []
            check_header(wanted, found.header)

    check()


@pytest.fixture(scope="module")
def crew() -> Iterator[Workers]:
    """Three processes."""
    with at_work(3) as workers:
        workers.begin()
        yield workers


@pytest.mark.parametrize("first", FORMATS)
def test_how_the_work_is_divided_does_not_show(first: str, crew: Workers) -> None:
    """One process with room for all of it, and three that may hold nothing, write the same bytes, account and
    messages from every format to every other; with other batches, the same images."""

    @settings(SETTINGS, max_examples=EXAMPLES or 4)
    @given(data=datasets(), batch=st.integers(1, 3))
    def check(data: Data, batch: int) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_lines(data, folder / "given.jsonl")
            source = place(folder / "source", first)
            bboxconv.convert(folder / "given.jsonl", source, to=first, on_error="skip")
            for second in FORMATS:
                request = Request((str(source),), from_=first, to=second, on_error="skip")
                one, other, small = (place(folder / second / name, second) for name in ("one", "other", "small"))
                report = pipeline.run(replace(request, dst=str(one), jobs=1))
                apart = pipeline.run(replace(request, dst=str(other), memory=1, batch_size=batch), workers=crew)
                alone = pipeline.run(replace(request, dst=str(small), jobs=1, batch_size=batch))
                assert contents(other) == contents(small)
                assert facts(apart, other) == facts(alone, small)
                assert in_order(facts(alone, small)) == in_order(facts(report, one))
                assert rows_in(small, second) == rows_in(one, second)

    check()


def contents(path: Path) -> dict[str, bytes]:
    """The bytes of a file, or of all files of a folder."""
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    return {file.relative_to(path.parent).as_posix(): file.read_bytes() for file in files}


def in_order(facts: dict[str, Any]) -> dict[str, Any]:
    """With findings in an order of their own: they are told as batches are looked at, one step after another."""
    return {**facts, "findings": sorted(facts["findings"], key=json.dumps)}


def facts(report: Report, out: Path) -> dict[str, Any]:
    """What a report says, but for places in the output, bytes and time."""
    own = {name: value for name, value in report.as_dict().items() if name not in ("target", "seconds", "bytes")}
    found: dict[str, Any] = json.loads(json.dumps(own).replace(json.dumps(str(out))[1:-1], "OUT"))
    return found


def rows_in(path: Path, name: str) -> list[Any]:
    return bboxconv.read(path, from_=name).to_table().to_pylist()


FILES = [
    "a.jpg",
    "a.png",
    "a",
    "sub/a.jpg",
    "sub/a.png",
    "A.jpg",
    "a.txt/b.jpg",
    "a.xml/b.jpg",
    "images/a.jpg",
    "b.jpg",
    "./b.png",
    *UNSAFE,
]


@pytest.mark.parametrize("to", FORMATS)
def test_images_that_want_the_same_file(to: str, crew: Workers) -> None:
    """Of images with one file in a format that writes one for each, or with one id in a document, the first is written
    and every other is an error, as is a name that leads elsewhere; nothing is written unless they are to be set aside.
    Then the account is that of the same data without them, value by value, however the work is divided."""

    @settings(SETTINGS, max_examples=EXAMPLES or 15)
    @given(data=datasets(st.sampled_from(FILES), unique=False), batch=st.integers(1, 3))
    def check(data: Data, batch: int) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            given, rest = folder / "given.jsonl", folder / "other.jsonl"
            write_lines(data, given)
            _, report = converted(given, data, to, place(folder / "plain", to))
            files = [file for file in (folder / "plain").rglob("*") if file.is_file() and file.suffix == SUFFIXES[to]]
            assert to == "hf" or len(files) == (report.images if to in ("voc", "yolo") else 1)  # or one for each split
            options: dict[str, Any] = {"image_size": (100, 80), "default_class": "a", "on_invalid": "clip"}
            target = format_of(to, data)
            lenient = replace(target, requires=target.requires - {"object.category", "image.width"})
            sized = tuple({**row, "width": row["width"] or 100, "height": row["height"] or 80} for row in data.images)
            _, account = passed(replace(data, images=sized), lenient)
            kept = tuple(row for at, row in enumerate(data.images) if at not in account.late)
            write_lines(replace(data, images=kept), rest)
            wanted = bboxconv.convert(rest, place(folder / "rest", to), to=to, on_error="skip", **options)
            request = Request((str(given),), to=to, on_error="skip", **options)
            for number, (size, workers) in enumerate(((4096, None), (batch, None), (batch, crew))):
                out = place(folder / str(number), to)
                found = pipeline.run(replace(request, dst=str(out), batch_size=size, jobs=1), workers=workers)
                assert (found.images, found.boxes) == (wanted.images, wanted.boxes)
                assert (found.lost, found.filled) == (wanted.lost, wanted.filled)
                assert {name: _counts(values) for name, values in found.fields.items()} == {
                    name: _counts(values) for name, values in wanted.fields.items()
                }
                for field, values in found.fields.items():
                    shown = {text.replace(str(given), str(rest)) for text in values.places}
                    assert shown <= {*wanted.fields[field].places}

    check()


SUFFIXES = {
    "coco": ".json",
    "csv": ".csv",
    "hf": ".parquet",
    "jsonl": ".jsonl",
    "parquet": ".parquet",
    "voc": ".xml",
    "yolo": ".txt",
}


def _counts(values: Values) -> tuple[int, dict[str, int], int]:
    return values.count, dict(values.changed), values.lost
