"""The library: convert files, read data sets as Arrow batches, write them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict

import pyarrow as pa

from bboxconv import pipeline
from bboxconv.account import Account
from bboxconv.arguments import ON_ERROR, ON_INVALID, UNANNOTATED, one_of, sides, whole, words
from bboxconv.boxes import BoxFormat
from bboxconv.errors import DataError, Findings, UsageError
from bboxconv.flow import Flow, stream
from bboxconv.report import Report
from bboxconv.request import Request
from bboxconv.schema import Dataset
from bboxconv.sources import open_sources
from bboxconv.tables import ArrowStream, of_table
from bboxconv.workers import Workers, available

if TYPE_CHECKING:
    import pandas as pd

Sources = str | PathLike[str] | Sequence[str | PathLike[str]]


def _texts(sources: Sources) -> tuple[str, ...]:
    if isinstance(sources, str | PathLike):
        return (fspath(sources),)
    return tuple(fspath(source) for source in sources)


def _path(path: str | PathLike[str] | None) -> Path | None:
    return None if path is None else Path(path)


def convert(
    src: Sources,
    dst: str | PathLike[str],
    *,
    from_: str | None = None,
    to: str | None = None,
    in_: Mapping[str, str] | None = None,
    out: Mapping[str, str] | None = None,
    box: str | None = None,
    classes: str | PathLike[str] | None = None,
    class_map: Sequence[str] | Mapping[str, str] = (),
    include_class: str | Sequence[str] = (),
    exclude_class: str | Sequence[str] = (),
    default_class: str | None = None,
    drop_empty: bool = False,
    unannotated: Literal["skip", "keep"] = "skip",
    split: str | Sequence[str] = (),
    images: str | PathLike[str] | None = None,
    image_sizes: str | PathLike[str] | None = None,
    image_size: tuple[int, int] | None = None,
    batch_size: int = 4096,
    jobs: int = 1,
    memory: int = 256 << 20,
    max_expansion: float | None = None,
    on_error: Literal["fail", "skip"] = "fail",
    rejects: str | PathLike[str] | None = None,
    max_errors: int | None = None,
    on_invalid: Literal["keep", "clip", "drop", "fail"] = "keep",
    strict: str | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
    verify: bool = False,
) -> Report:
    """Convert annotations from one format to another, as `bboxconv convert` does; the options are its flags.

    `src` is a path, `split=path`, or several of them; `dst` a path. `from_` and `to` name formats, where content and
    name do not say them. `in_` and `out` are options of the formats, such as `{"task": "segment"}`, which
    `bboxconv formats NAME` lists; the other options are explained by `bboxconv convert --help`. `image_size` is
    (width, height) in pixels; `jobs` 0 is one process for each core; `memory` is in bytes; `max_expansion` is to how
    many times its size compressed input may unpack, 0 for no limit; `strict` is `"default"` (no loss of geometry,
    labels or flags), `"all"` (no loss and no change of any field, but for coordinates in another notation) or field
    names with commas (none of those); `verify` reads the output back and compares it with the sources before it is put
    in place.

    Returns the account of what was read, written, left out and lost. Raises UsageError for a call that is wrong,
    DataError where the data is refused (its `diagnostics` say why; nothing is written) and OutputError where reading
    or writing fails.
    """
    request = _request(
        src, dst, from_, to, in_, out, box, classes, class_map, include_class, exclude_class, default_class, drop_empty,
        unannotated, split, images, image_sizes, image_size, batch_size, jobs, memory, max_expansion, on_error,
        max_errors, on_invalid,
    )  # fmt: skip
    more = replace(request, rejects=_path(rejects), strict=strict, overwrite=overwrite, dry_run=dry_run, verify=verify)
    return pipeline.run(more)


def verify(
    src: Sources,
    dst: str | PathLike[str],
    *,
    from_: str | None = None,
    to: str | None = None,
    in_: Mapping[str, str] | None = None,
    out: Mapping[str, str] | None = None,
    box: str | None = None,
    classes: str | PathLike[str] | None = None,
    class_map: Sequence[str] | Mapping[str, str] = (),
    include_class: str | Sequence[str] = (),
    exclude_class: str | Sequence[str] = (),
    default_class: str | None = None,
    drop_empty: bool = False,
    unannotated: Literal["skip", "keep"] = "skip",
    split: str | Sequence[str] = (),
    images: str | PathLike[str] | None = None,
    image_sizes: str | PathLike[str] | None = None,
    image_size: tuple[int, int] | None = None,
    batch_size: int = 4096,
    jobs: int = 1,
    memory: int = 256 << 20,
    max_expansion: float | None = None,
    on_error: Literal["fail", "skip"] = "fail",
    max_errors: int | None = None,
    on_invalid: Literal["keep", "clip", "drop", "fail"] = "keep",
) -> Report:
    """Compare an output with what its sources give, as `bboxconv verify` does; the options are those with which
    `convert` wrote it.

    Returns a report whose `verify` says how far they agree; its `exit_code` is REFUSED where they differ by more than
    the target's precision explains. Raises UsageError for a call that is wrong and DataError where a side cannot be
    read.
    """
    request = _request(
        src, dst, from_, to, in_, out, box, classes, class_map, include_class, exclude_class, default_class, drop_empty,
        unannotated, split, images, image_sizes, image_size, batch_size, jobs, memory, max_expansion, on_error,
        max_errors, on_invalid,
    )  # fmt: skip
    return pipeline.verify(request)


def _request(
    src: Sources,
    dst: str | PathLike[str],
    from_: str | None,
    to: str | None,
    in_: Mapping[str, str] | None,
    out: Mapping[str, str] | None,
    box: str | None,
    classes: str | PathLike[str] | None,
    class_map: Sequence[str] | Mapping[str, str],
    include_class: str | Sequence[str],
    exclude_class: str | Sequence[str],
    default_class: str | None,
    drop_empty: bool,
    unannotated: Literal["skip", "keep"],
    split: str | Sequence[str],
    images: str | PathLike[str] | None,
    image_sizes: str | PathLike[str] | None,
    image_size: tuple[int, int] | None,
    batch_size: int,
    jobs: int,
    memory: int,
    max_expansion: float | None,
    on_error: Literal["fail", "skip"],
    max_errors: int | None,
    on_invalid: Literal["keep", "clip", "drop", "fail"],
) -> Request:
    """All that changes what an output says. Raises UsageError for a value that an option does not take."""
    one_of("unannotated", unannotated, UNANNOTATED)
    one_of("on_error", on_error, ON_ERROR)
    one_of("on_invalid", on_invalid, ON_INVALID)
    pairs = [f"{old}={new}" for old, new in class_map.items()] if isinstance(class_map, Mapping) else words(class_map)
    return Request(
        sources=_texts(src),
        dst=fspath(dst),
        from_=from_,
        to=to,
        in_=dict(in_ or {}),
        out=dict(out or {}),
        box=box,
        classes=_path(classes),
        class_map=tuple(pairs),
        include_class=words(include_class),
        exclude_class=words(exclude_class),
        default_class=default_class,
        drop_empty=drop_empty,
        unannotated=unannotated,
        split=words(split),
        images=_path(images),
        image_sizes=None if image_sizes is None else fspath(image_sizes),
        image_size=sides(image_size),
        batch_size=whole("batch_size", batch_size, 1),
        jobs=whole("jobs", jobs, 0),
        memory=whole("memory", memory, 1),
        max_expansion=max_expansion,
        on_error=on_error,
        max_errors=None if max_errors is None else whole("max_errors", max_errors, 1),
        on_invalid=on_invalid,
    )


class Options(TypedDict, total=False):
    """The options of `convert`, for whoever converts in another way."""

    from_: str | None
    to: str | None
    in_: Mapping[str, str] | None
    out: Mapping[str, str] | None
    box: str | None
    classes: str | PathLike[str] | None
    class_map: Sequence[str] | Mapping[str, str]
    include_class: Sequence[str]
    exclude_class: Sequence[str]
    default_class: str | None
    drop_empty: bool
    unannotated: Literal["skip", "keep"]
    split: Sequence[str]
    images: str | PathLike[str] | None
    image_sizes: str | PathLike[str] | None
    image_size: tuple[int, int] | None
    batch_size: int
    jobs: int
    memory: int
    max_expansion: float | None
    on_error: Literal["fail", "skip"]
    rejects: str | PathLike[str] | None
    max_errors: int | None
    on_invalid: Literal["keep", "clip", "drop", "fail"]
    strict: str | None
    overwrite: bool
    dry_run: bool
    verify: bool


def request_of(src: Sources, dst: str | PathLike[str], options: Options) -> Request:
    """What `convert` would be asked for with these options. Raises TypeError for others."""
    unknown = options.keys() - Options.__annotations__.keys()
    if unknown:
        raise TypeError(f"unexpected keyword arguments: {', '.join(sorted(unknown))}")
    request = _request(
        src,
        dst,
        options.get("from_"),
        options.get("to"),
        options.get("in_"),
        options.get("out"),
        options.get("box"),
        options.get("classes"),
        options.get("class_map", ()),
        options.get("include_class", ()),
        options.get("exclude_class", ()),
        options.get("default_class"),
        options.get("drop_empty", False),
        options.get("unannotated", "skip"),
        options.get("split", ()),
        options.get("images"),
        options.get("image_sizes"),
        options.get("image_size"),
        options.get("batch_size", 4096),
        options.get("jobs", 1),
        options.get("memory", 256 << 20),
        options.get("max_expansion"),
        options.get("on_error", "fail"),
        options.get("max_errors"),
        options.get("on_invalid", "keep"),
    )
    return replace(
        request,
        rejects=_path(options.get("rejects")),
        strict=options.get("strict"),
        overwrite=options.get("overwrite", False),
        dry_run=options.get("dry_run", False),
        verify=options.get("verify", False),
    )


def read(
    src: Sources,
    *,
    from_: str | None = None,
    in_: Mapping[str, str] | None = None,
    classes: str | PathLike[str] | None = None,
    images: str | PathLike[str] | None = None,
    batch_size: int = 4096,
    jobs: int = 1,
    max_expansion: float | None = None,
) -> Dataset:
    """Open a data set: its header, and its images as an iterable of pyarrow RecordBatches of `schema.IMAGE`, at most
    `batch_size` images each.

    `src` is a path, `split=path`, or several of them. Boxes are in `header.box`, as the (first) source wrote them.
    `max_expansion` is as for `convert`.
    Raises UsageError for a call that is wrong and DataError where the data has a fault: those that are found while
    reading the header at once, the others when the batches are iterated.
    """
    request = Request(
        _texts(src),
        from_=from_,
        in_=dict(in_ or {}),
        classes=_path(classes),
        images=_path(images),
        batch_size=whole("batch_size", batch_size, 1),
        jobs=whole("jobs", jobs, 0),
        max_expansion=max_expansion,
    )
    findings, stack, workers = Findings(), ExitStack(), Workers(request.jobs or available())
    try:
        opened = open_sources(request, findings, stack, workers)
        _refuse(findings)
    except BaseException:
        workers.close()
        stack.close()
        raise

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            with nullcontext(stack):  # what standard input was copied to stays as long as it can be read
                yield from stream(Flow(request, opened, findings, workers), None, Account())
        finally:
            workers.close()
        _refuse(findings)

    total = [dataset.images for dataset in opened.datasets]
    known = None if None in total else sum(count for count in total if count is not None)
    folders = tuple(folder for dataset in opened.datasets for folder in dataset.image_folders)
    return Dataset(opened.header, batches, known, folders)


def _refuse(findings: Findings) -> None:
    if findings.errors:
        raise DataError(findings)


def write(
    dataset: Dataset | pd.DataFrame | ArrowStream,
    dst: str | PathLike[str],
    *,
    to: str | None = None,
    out: Mapping[str, str] | None = None,
    box: str | BoxFormat | None = None,
    classes: Sequence[str] | None = None,
    columns: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> Report:
    """Write a data set that `read` gave, or that a program made, in the format that `to` or the name of `dst` says.

    It may be a pandas DataFrame too, and anything with `__arrow_c_stream__`: a pyarrow Table or RecordBatchReader, a
    Polars DataFrame, a DuckDB relation. Rows are boxes, as `from_pandas` takes them, or images, as `schema.IMAGE` has
    them. `box`, `classes` and `columns` then say what the table does not: the box format of its numbers, the names of
    its classes, and what its columns are, such as `{"x1": "left"}`.

    Returns and raises as `convert`.
    """
    if not isinstance(dataset, Dataset):
        dataset = of_table(dataset, box=box, classes=classes, columns=columns)
    elif (box, classes, columns) != (None, None, None):
        message = "box, classes and columns are for tables: a data set says its own"
        raise UsageError.of("option-conflict", message, hint="bboxconv.convert has options that change them")
    return pipeline.run(Request((), fspath(dst), to=to, out=dict(out or {}), overwrite=overwrite), dataset=dataset)
