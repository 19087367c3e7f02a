"""Read, convert, count the loss, write: everything between the command line and the formats."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv import classes, classfiles, io, registry, schema, sizes, sources, stages, workers
from bboxconv.boxes import BoxFormat
from bboxconv.codec import Progress, ReadContext, Target, WriteContext, Writes, Written, silent
from bboxconv.errors import BboxconvError, DataError, Diagnostic, ExitCode, Findings, UsageError
from bboxconv.report import Counts, Report, Side
from bboxconv.schema import Category, Dataset, Header
from bboxconv.suggest import did_you_mean

PIPELINE_IN = ("exif",)
"""Options of `--in` that are the pipeline's own."""


@dataclass(frozen=True, slots=True)
class Request:
    """One run, as the command line or the library asks for it. The names are those of the flags."""

    sources: tuple[str, ...]
    """Paths, `split=path`, or `-`."""
    dst: str = ""
    from_: str | None = None
    to: str | None = None
    in_: Mapping[str, str] = field(default_factory=dict)
    out: Mapping[str, str] = field(default_factory=dict)
    box: str | None = None
    classes: Path | None = None
    class_map: tuple[str, ...] = ()
    """`old=new` pairs, or paths of csv or yaml files."""
    include_class: tuple[str, ...] = ()
    exclude_class: tuple[str, ...] = ()
    default_class: str | None = None
    drop_empty: bool = False
    unannotated: Literal["skip", "keep"] = "skip"
    split: tuple[str, ...] = ()
    images: Path | None = None
    image_sizes: str | None = None
    image_size: tuple[int, int] | None = None
    batch_size: int = 4096
    jobs: int = 0
    """Processes; 0: one per core."""
    memory: int = 256 << 20
    on_error: Literal["fail", "skip"] = "fail"
    rejects: Path | None = None
    max_errors: int | None = None
    on_invalid: Literal["keep", "clip", "drop", "fail"] = "keep"
    strict: str | None = None
    """None; `default` (geometry, labels, flags); `all`; or field names with commas."""
    overwrite: bool = False
    dry_run: bool = False


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


@dataclass(slots=True)
class _Account:
    """What is counted as the stream passes."""

    read_images: int = 0
    read_boxes: int = 0
    images: int = 0
    boxes: int = 0
    left_out_images: Counter[str] = field(default_factory=Counter)
    left_out_boxes: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    filled: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)


def open_sources(request: Request, findings: Findings, stack: ExitStack, progress: Progress = silent) -> Opened:
    """Read the headers of all sources and make one of them.

    Raises UsageError for what the request has wrong, DataError for a source of which nothing can be read.
    """
    given = {key: value for key, value in request.in_.items() if key not in PIPELINE_IN}
    opened = sources.resolve(request.sources, request.from_, given, stack)
    if request.split:
        opened = _of_splits(opened, request.split)
    names = classfiles.read_names(request.classes) if request.classes else ()
    class_map = classfiles.read_map(request.class_map)
    datasets = []
    jobs = request.jobs or workers.available()
    faults: list[Diagnostic] = []
    for source in opened:
        context = ReadContext(source.options, findings, progress, request.batch_size, request.memory // len(opened), jobs, names, request.images)
        try:
            datasets.append(source.format.read(source.source, context))
        except DataError as error:  # the other sources are read too: every fault is reported in one run
            faults.extend(error.diagnostics)
        _check_max_errors(request, findings)
    if faults:
        raise DataError([*findings, *faults])
    shown = [source.source.shown for source in opened]
    united, maps = classes.unite([dataset.header for dataset in datasets], findings, shown)
    plan = classes.plan(united, classes=names, class_map=class_map, include=request.include_class, exclude=request.exclude_class)
    categories, default = _with_default(plan.categories, request.default_class)
    index = tuple(_through(plan.index, one) for one in maps)
    sides = tuple(Side(o.source.shown, o.format.INFO.name, o.source.split, o.evidence) for o in opened)
    return Opened(_header(request, datasets, opened, categories), tuple(datasets), tuple(shown), sides, index, default)


def _through(plan: NDArray[np.int32], index: NDArray[np.int32]) -> NDArray[np.int32]:
    return plan[index] if len(index) else index


def _of_splits(opened: list[sources.Opened], wanted: Sequence[str]) -> list[sources.Opened]:
    named = [o for o in opened if o.source.split is not None]
    if len(named) < len(opened):
        return opened  # splits stand in the data: images are chosen as they pass
    kept = [o for o in opened if o.source.split in wanted]
    if not kept:
        known = sorted({str(o.source.split) for o in opened})
        hint = did_you_mean(wanted[0], known) or f"splits: {', '.join(known)}"
        raise UsageError.of("unknown-split", f"there is no split {wanted[0]!r}", hint=hint)
    return kept


def _with_default(categories: tuple[Category, ...], name: str | None) -> tuple[tuple[Category, ...], int | None]:
    if name is None:
        return categories, None
    names = [category.name for category in categories]
    return (categories, names.index(name)) if name in names else ((*categories, Category(name)), len(categories))


def _header(request: Request, datasets: Sequence[Dataset], opened: Sequence[sources.Opened], categories: tuple[Category, ...]) -> Header:
    """The first source's header with everybody's categories; top-level keys that only a later source has are taken from it."""
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
        extra=next((header.extra for header in headers if header.extra is not None), None),
        switches=dict(sorted(switches.items())),
    )


def _sizes_of(request: Request, opened: Opened, stack: ExitStack) -> sizes.SizeTable | None:
    """The table of `--image-sizes`: a csv or Parquet table, or any data set that can be read."""
    if request.image_sizes is None:
        return None
    path = Path(request.image_sizes)
    if not path.exists():
        raise UsageError.of("path-not-found", f"there is no {path}")
    if path.is_file() and io.base_suffix(path) in (".csv", ".tsv", ".txt"):
        return sizes.from_table(path)
    if path.is_file() and io.base_suffix(path) == ".parquet":
        try:
            return sizes.from_table(path)
        except UsageError:
            pass
    other = open_sources(Request((request.image_sizes,), jobs=request.jobs), Findings(), stack)
    return sizes.from_dataset(batch for dataset in other.datasets for batch in dataset)


def stream(
    request: Request, opened: Opened, target: Target | None, account: _Account, findings: Findings, stack: ExitStack
) -> Iterator[pa.RecordBatch]:
    """The batches of all sources, brought to one header and to what the target wants, counted. No target: as they come, in the header's box format."""
    table = _sizes_of(request, opened, stack)
    exif = request.in_.get("exif", "yes") != "no"
    seen_splits: set[str | None] = set()
    for dataset, shown, index in zip(opened.datasets, opened.shown, opened.index, strict=True):
        box = dataset.header.box
        goal = (target.box if target else None) or opened.header.box
        folders = [*([request.images] if request.images else []), *dataset.image_folders]
        for batch in dataset:
            account.read_images += len(batch)
            account.read_boxes += len(schema.flat(batch).rows)
            if request.split:
                seen_splits.update(pc.unique(batch.column("split")).to_pylist())
                batch = _keep(batch, pc.is_in(batch.column("split"), pa.array(request.split)), "split not asked for", account)
            batch, gone = classes.remap(batch, index)
            account.left_out_boxes["class left out"] += gone
            batch, filled = sizes.fill(batch, table, request.image_size, folders, exif)
            account.filled["image.width and image.height"] += filled if target is not None and box.needs_size(goal) else 0
            batch = stages.check_boxes(batch, box, request.on_invalid, findings, account.left_out_boxes, shown)
            if target is not None:
                batch = _fit(batch, box, target, request, opened, account, findings, shown)
                if box.needs_size(goal):
                    batch = _require_sizes(batch, findings, account, shown, with_objects="image.width" not in target.requires)
            batch = stages.convert(batch, box, goal, drawn=target is None or "object.segmentation" in target.carries)
            if target is not None:
                stages.count_lost(batch, target.carries, account.lost)
            account.images += len(batch)
            account.boxes += len(schema.flat(batch).rows)
            _check_max_errors(request, findings)
            yield batch
    unknown = [split for split in request.split if seen_splits and split not in seen_splits]
    if unknown:
        known = sorted(split for split in seen_splits if split is not None)
        raise UsageError.of("unknown-split", f"there is no split {unknown[0]!r}", hint=did_you_mean(unknown[0], known) or f"splits: {', '.join(known)}")


def passing(request: Request, opened: Opened, findings: Findings, stack: ExitStack) -> Iterator[pa.RecordBatch]:
    """The batches of all sources in one box format, for those who count them themselves."""
    return stream(request, opened, None, _Account(), findings, stack)


def _keep(batch: pa.RecordBatch, mask: pa.Array, reason: str, account: _Account) -> pa.RecordBatch:
    """The images where the mask is true; the others and their boxes are counted as left out."""
    keep = mask.fill_null(False).to_numpy(zero_copy_only=False)
    if keep.all():
        return batch
    boxes = int(np.diff(schema.flat(batch).offsets)[~keep].sum())
    account.left_out_images[reason] += int((~keep).sum())
    account.left_out_boxes[reason] += boxes
    return schema.keep_images(batch, keep)


def _fit(
    batch: pa.RecordBatch,
    box: BoxFormat,
    target: Target,
    request: Request,
    opened: Opened,
    account: _Account,
    findings: Findings,
    shown: str,
) -> pa.RecordBatch:
    """What the target cannot take is left out, filled or refused."""
    out = account.left_out_boxes
    if "object.iscrowd" not in target.carries and target.crowd == "drop":
        batch = stages.leave_out(batch, stages.flagged("iscrowd"), "crowd", out)
    if "object.ignore" not in target.carries:
        batch = stages.leave_out(batch, stages.flagged("ignore"), "ignore region", out)
    if "object.rotation" not in target.carries:
        if target.rotated == "drop":
            batch = stages.leave_out(batch, lambda objects: ~stages.lacking("rotation")(objects), "rotated", out)
        batch = stages.unrotate(batch, box, target.rotated, account.changed)
    if "object.bbox" in target.requires:
        batch = stages.leave_out(batch, stages.lacking("bbox"), "without a bbox", out)
    if "object.category" in target.requires:
        batch = _classify(batch, opened.default_class, findings, shown)
    if "unannotated" not in target.carries:
        if request.unannotated == "skip":
            batch = _keep(batch, batch.column("objects").is_valid(), "not annotated", account)
        else:
            objects = schema.flat(batch)
            batch = schema.with_objects(batch, replace(objects, annotated=np.ones(len(batch), np.bool_)))
    if request.drop_empty:
        batch = _keep(batch, pa.array(np.diff(schema.flat(batch).offsets) > 0), "without boxes", account)
    for name in ("file_name", "width", "height"):
        if f"image.{name}" in target.requires and name == "file_name":
            _require_names(batch, findings, shown)
    if "image.width" in target.requires:
        batch = _require_sizes(batch, findings, account, shown, with_objects=False)
    return batch


def _classify(batch: pa.RecordBatch, default: int | None, findings: Findings, shown: str) -> pa.RecordBatch:
    objects = schema.flat(batch)
    column = objects.column("category")
    if not column.null_count:
        return batch
    if default is not None:
        rows = schema.with_columns(objects.rows, {"category": column.fill_null(default)})
        return schema.with_objects(batch, replace(objects, rows=rows))
    absent = np.flatnonzero(stages.lacking("category")(objects))
    for row in absent.tolist():
        findings.add("missing-class", "a box has no class", where=stages.place(batch, objects, row, shown), hint="--default-class NAME gives it one")
    return schema.with_objects(batch, schema.keep_objects(objects, ~stages.lacking("category")(objects)))


def _require_names(batch: pa.RecordBatch, findings: Findings, shown: str) -> None:
    for image in stages.missing(batch, ["file_name"], with_objects=False).tolist():
        findings.add("missing-file-name", "an image has no file name", where=stages.image_place(batch, image, shown))


def _require_sizes(batch: pa.RecordBatch, findings: Findings, account: _Account, shown: str, *, with_objects: bool) -> pa.RecordBatch:
    """Images whose size nobody knows are faults, and left out of what follows."""
    absent = stages.missing(batch, ["width", "height"], with_objects=with_objects)
    for image in absent.tolist():
        findings.add(
            "missing-image-size",
            "the size of an image is needed and nobody gave it",
            where=stages.image_place(batch, image, shown),
            hint="--images DIR reads it from the images, --image-sizes FILE from a table, --image-size WxH says it for all",
        )
    if not len(absent):
        return batch
    keep = np.ones(len(batch), np.bool_)
    keep[absent] = False
    return _keep(batch, pa.array(keep), "without a size", account)


def _check_max_errors(request: Request, findings: Findings) -> None:
    if request.max_errors is not None and findings.errors > request.max_errors:
        raise DataError([*findings, Diagnostic("too-many-errors", f"stopped after more than {request.max_errors} errors (--max-errors)")])


# -- one run


def run(request: Request, progress: Progress = silent, dataset: Dataset | None = None) -> Report:
    """Convert: read the sources, convert, write the destination. A data set that a program has at hand can take the place of the sources.

    Raises UsageError for what the request has wrong, DataError where data is refused (with every diagnostic of the run; nothing is written), OutputError where reading or writing fails.
    """
    began = time.monotonic()
    findings = Findings()
    account = _Account()
    with ExitStack() as stack:
        writer = registry.writer(request.to) if request.to else _writer_for(request.dst)
        options = registry.options_of(dict(request.out), writer.INFO.write_options, "out", writer.INFO.name)
        layout = _layout(writer, request.dst)
        if request.dst != "-":
            io.refuse_existing(Path(request.dst), layout, overwrite=request.overwrite)
        opened = open_sources(request, findings, stack, progress) if dataset is None else _at_hand(dataset)
        header, source_box = opened.header, opened.header.box
        target = _target(writer, header, options, request, layout)
        header = replace(header, box=target.box or header.box)
        context = WriteContext(source_box, options, findings, request.batch_size, request.memory, request.jobs or workers.available(), request.images, request.dst)
        batches = stream(request, opened, target, account, findings, stack)
        written, files, size = _write(request, writer, header, batches, layout, context)
    _lose_header(opened.header, target, account)
    account.filled.update(written.filled)
    refused = findings.errors > 0
    report = _report(request, opened, account, findings, written, time.monotonic() - began, writer)
    report = replace(report, files=files, bytes=size, exit_code=ExitCode.SET_ASIDE if refused else ExitCode.DONE)
    return report


def _at_hand(dataset: Dataset) -> Opened:
    identity = np.arange(len(dataset.header.categories), dtype=np.int32)
    return Opened(dataset.header, (dataset,), ("data set",), (Side("data set", dataset.header.source),), (identity,))


def _writer_for(dst: str) -> Writes:
    if dst == "-":
        raise UsageError.of("stdout-needs-format", "standard output does not say its format", hint="--to FORMAT says it")
    return registry.by_destination(dst)


def _layout(writer: Writes, dst: str) -> Literal["file", "folder"]:
    layout = writer.INFO.layout
    if dst == "-":
        if layout == "folder":
            message = f"{writer.INFO.name} is a folder of files, which standard output cannot be"
            raise UsageError.of("stdout-is-no-folder", message, hint="name a folder")
        return "file"
    if layout == "either":
        path = Path(dst)
        return "folder" if path.is_dir() or dst.endswith("/") or io.base_suffix(path) not in writer.INFO.extensions else "file"
    return layout


def _target(writer: Writes, header: Header, options: Mapping[str, str], request: Request, layout: str) -> Target:
    target = writer.target(header, options)
    if writer.INFO.layout == "either" and layout == "folder":
        target = replace(target, carries=target.carries | {"image.split"})
    if request.box is None:
        return target
    if target.box is not None:
        raise UsageError.of("fixed-box-format", f"{writer.INFO.name} has a box format of its own: {target.box.name}", hint="--box is for Parquet and JSON Lines")
    try:
        return replace(target, box=BoxFormat.parse(request.box))
    except ValueError as error:
        raise UsageError.of("unknown-box-format", str(error)) from error


def _write(
    request: Request, writer: Writes, header: Header, batches: Iterator[pa.RecordBatch], layout: Literal["file", "folder"], context: WriteContext
) -> tuple[Written, int, int]:
    """Write to a staged place and put it where it belongs, once everything is read and nothing is refused."""
    if request.dry_run:
        for _ in batches:
            pass
        _refuse(request, context.findings)
        return Written(), 0, 0
    if request.dst == "-":
        with tempfile.TemporaryDirectory(prefix="bboxconv-") as folder:
            stage = Path(folder) / f"stdout{writer.INFO.extensions[0]}"
            written = writer.write(header, batches, stage, context)
            _refuse(request, context.findings)
            with stage.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer, 1 << 20)
            sys.stdout.buffer.flush()
            return written, 1, stage.stat().st_size
    dst = Path(request.dst)
    with io.staged(dst, layout, overwrite=request.overwrite) as stage:
        written = writer.write(header, batches, stage, context)
        _refuse(request, context.findings)
        files, size = io.size_of(stage)
    return written, files, size


def _refuse(request: Request, findings: Findings) -> None:
    """End the run where there are faults, or set them aside where the user asked for it."""
    if not findings.errors:
        return
    if request.on_error == "fail":
        raise DataError(findings)
    if request.rejects:
        lines = [
            json.dumps({"code": d.code, "message": d.message, "where": place.where, "detail": place.detail}, ensure_ascii=False)
            for d in findings.of("error")
            for place in d.places
        ]
        with io.staged(request.rejects, "file", overwrite=True) as stage:
            stage.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def _lose_header(header: Header, target: Target, account: _Account) -> None:
    """Count what the target does not carry of what is said once."""
    lost = account.lost
    for name, value in (("info", header.info), ("licenses", header.licenses), ("extra", header.extra)):
        if value is not None and name not in target.carries:
            lost[name] += 1
    ids = [category.id for category in header.categories]
    if "category.id" not in target.carries and ids != list(range(len(ids))):
        lost["category.id"] += sum(number is not None for number in ids)
    for name in ("supercategory", "extra"):
        if f"category.{name}" not in target.carries:
            lost[f"category.{name}"] += sum(getattr(category, name) is not None for category in header.categories)


def _report(
    request: Request, opened: Opened, account: _Account, findings: Findings, written: Written, seconds: float, writer: Writes | None = None
) -> Report:
    for message, count in account.changed.items():
        findings.add("changed", message, severity="note", count=count)
    known = {name: value for name, value in opened.header.switches.items()}
    known.update({f"{writer.INFO.name}.{key}": value for key, value in request.out.items()} if writer else {})
    return Report(
        command="convert" if writer else "validate",
        sources=opened.sides,
        target=Side(request.dst, writer.INFO.name) if writer else None,
        read=Counts(account.read_images, account.read_boxes, sum(len(d.header.categories) for d in opened.datasets[:1])),
        written=Counts(account.images, account.boxes, len(opened.header.categories)),
        left_out_images=+account.left_out_images,
        left_out_boxes=+account.left_out_boxes,
        lost=dict(sorted((+account.lost).items())),
        filled=+account.filled,
        findings=tuple(findings),
        switches=dict(sorted(known.items())),
        next_step=written.next_step,
        seconds=seconds,
        dry_run=request.dry_run,
    )


def validate(request: Request, progress: Progress = silent) -> Report:
    """Read everything and report every finding; exit code REFUSED where one is an error.

    Raises UsageError, and DataError where a source cannot be read at all.
    """
    began = time.monotonic()
    findings = Findings()
    account = _Account()
    with ExitStack() as stack:
        opened = open_sources(request, findings, stack, progress)
        names: set[str] = set()
        for batch in stream(request, opened, None, account, findings, stack):
            _check_names(batch, names, findings)
    report = _report(request, opened, account, findings, Written(), time.monotonic() - began)
    return replace(report, exit_code=ExitCode.REFUSED if findings.errors else ExitCode.DONE)


def _check_names(batch: pa.RecordBatch, seen: set[str], findings: Findings) -> None:
    for split, name in zip(batch.column("split").to_pylist(), batch.column("file_name").to_pylist(), strict=True):
        if name is None:
            continue
        key = f"{split or ''}\0{name}"
        if key in seen:
            findings.add("duplicate-file-name", "two images have the same file name", severity="warning", where=name)
        seen.add(key)


def error_report(command: Literal["convert", "validate"], error: BboxconvError) -> Report:
    """The document of a run that was refused."""
    return Report(command=command, exit_code=error.exit_code, findings=error.diagnostics)
