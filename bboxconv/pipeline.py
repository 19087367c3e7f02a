"""Read, convert, count the loss, write: one run from its request to its report."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from bboxconv import io, loss, registry, staging
from bboxconv.boxes import BoxFormat
from bboxconv.codec import Encodes, Encoding, Progress, Target, WriteContext, Writes, Written, silent
from bboxconv.errors import DataError, ExitCode, Findings, UsageError
from bboxconv.flow import Account, Flow, encoded, stream
from bboxconv.placing import size_of
from bboxconv.report import Counts, Report, Side
from bboxconv.request import Request
from bboxconv.schema import Dataset, Header
from bboxconv.sources import Opened, at_hand, named, open_sources
from bboxconv.staging import Claim, Layout
from bboxconv.suggest import did_you_mean
from bboxconv.workers import Workers, at_work, available


def run(
    request: Request, progress: Progress = silent, dataset: Dataset | None = None, workers: Workers | None = None
) -> Report:
    """Convert: read the sources, convert, write the destination. A data set that a program has at hand can take the
    place of the sources, and `workers` that of those that the run would start, which are the caller's to close.

    Raises UsageError for what the request has wrong, DataError where data is refused (with every diagnostic of the
    run; nothing is written), OutputError where reading or writing fails.
    """
    began = time.monotonic()
    findings = Findings()
    account = Account()
    with ExitStack() as stack:
        writer = registry.writer(request.to) if request.to else _writer_for(request.dst)
        options = registry.options_of(dict(request.out), writer.INFO.write_options, "out", writer.INFO.name)
        layout = _layout(writer, request.dst)
        _spare_data(request)
        box = _box_format(request.box) if request.box is not None else None
        claim = _claim(request, layout, findings, stack)  # first of all that the stack ends: tasks write there
        crew = workers or stack.enter_context(at_work(request.jobs or available()))
        opened = open_sources(request, findings, stack, crew, progress) if dataset is None else at_hand(dataset)
        target = _target(writer, opened.header, options, box, layout)
        header = replace(opened.header, box=target.box or opened.header.box)
        context = WriteContext(
            opened.header.box,
            options,
            findings,
            request.batch_size,
            request.images,
            tuple(folder for one in opened.datasets for folder in one.image_folders),
            request.dst,
        )
        loss.count_header(opened.header, target.carries, account.lost)
        for other, index in zip(opened.datasets, opened.index, strict=True):
            loss.count_overruled(other.header, index, opened.header, account.lost)
        flow = Flow(request, opened, findings, crew, progress)

        def fill(stage: Path) -> Written:
            if request.dry_run:
                return _used_up(encoded(flow, target, account, _discard), Written())
            if isinstance(writer, Encodes):
                encode = writer.encoder(header, stage, context)  # lives until all is assembled: its shelf is its own
                pieces = encoded(flow, target, account, encode)
                return _used_up(pieces, writer.assemble(header, pieces, stage, context))
            batches = stream(flow, target, account)
            return _used_up(batches, writer.write(header, batches, stage, context))

        written, files, size = _write(request, writer, claim, fill, lambda: _refuse(request, findings, account))
    account.filled.update(written.filled)
    report = _report(request, opened, account, findings, written, time.monotonic() - began, writer)
    return replace(report, files=files, bytes=size, exit_code=ExitCode.SET_ASIDE if findings.errors else ExitCode.DONE)


def _spare_data(request: Request) -> None:
    """Raise UsageError where the list of rejects would replace a source or the destination."""
    if request.rejects is None:
        return
    rejects = request.rejects.resolve()
    paths = [Path(path).resolve() for path in (*(named(text)[1] for text in request.sources), request.dst)]
    if rejects in paths or (rejects.exists() and any(path in rejects.parents for path in paths)):
        raise UsageError.of("report-is-data", "--rejects names a source or DST", where=str(request.rejects))


def _writer_for(dst: str) -> Writes:
    if dst == "-":
        raise UsageError.of(
            "stdout-needs-format", "standard output does not say its format", hint="--to FORMAT says it"
        )
    return registry.by_destination(dst)


def _layout(writer: Writes, dst: str) -> Layout:
    layout = writer.INFO.layout
    if dst == "-":
        if layout == "folder":
            message = f"{writer.INFO.name} is a folder of files, which standard output cannot be"
            raise UsageError.of("stdout-is-no-folder", message, hint="name a folder")
        return "file"
    path = Path(dst)
    suffix = io.base_suffix(path)
    if layout == "either":
        layout = "folder" if path.is_dir() or dst.endswith("/") or suffix not in writer.INFO.extensions else "file"
    if layout == "folder" and not path.is_dir() and not dst.endswith("/") and registry.is_file_name(path):
        message = f"{writer.INFO.name} writes a folder here, and the name is that of a {suffix} file"
        raise UsageError.of("output-is-file", message, where=dst, hint=f"name a folder, such as {path.stem}/")
    if layout == "file" and not writer.INFO.compressible and path.suffix.lower() in io.COMPRESSION:
        message = f"{writer.INFO.name} is compressed inside and is not written as {path.suffix}"
        raise UsageError.of("not-compressible", message, where=dst, hint=f"name it {path.stem}")
    return layout


def _target(writer: Writes, header: Header, options: Mapping[str, str], box: BoxFormat | None, layout: str) -> Target:
    target = writer.target(header, options)
    if writer.INFO.layout == "either" and layout == "folder":
        target = replace(target, carries=target.carries | {"image.split"})
    if box is None:
        return target
    if target.box is not None:
        raise UsageError.of(
            "fixed-box-format",
            f"{writer.INFO.name} has a box format of its own: {target.box.name}",
            hint="--box is for Parquet and JSON Lines",
        )
    return replace(target, box=box)


def _box_format(name: str) -> BoxFormat:
    try:
        return BoxFormat.parse(name)
    except ValueError as error:
        known = ("xyxy", "xywh", "cxcywh", "xyxyn", "xywhn", "cxcywhn")
        hint = did_you_mean(name, known) or f"known: {', '.join(known)}"
        raise UsageError.of("unknown-box-format", f"--box: there is no box format {name!r}", hint=hint) from error


def _claim(request: Request, layout: Layout, findings: Findings, stack: ExitStack) -> Claim | None:
    """The destination, ours until the run ends; None where nothing is put in place. Raises as `staging.claimed`."""
    dst = Path(request.dst)
    if request.dst == "-":
        return None
    if request.dry_run:
        staging.refuse_existing(dst, layout, overwrite=request.overwrite)
        return None
    return stack.enter_context(staging.claimed(dst, layout, overwrite=request.overwrite, findings=findings))


def _write(
    request: Request,
    writer: Writes,
    claim: Claim | None,
    fill: Callable[[Path], Written],
    refuse: Callable[[], None],
) -> tuple[Written, int, int]:
    """Fill a staged place and put it where it belongs, once everything is read and `refuse` has not raised."""
    if request.dry_run:
        fill(Path())
        refuse()
        return Written(), 0, 0
    if claim is None:
        with tempfile.TemporaryDirectory(prefix="bboxconv-") as folder:
            stage = Path(folder) / f"stdout{writer.INFO.extensions[0]}"
            written = fill(stage)
            refuse()
            with stage.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer, 1 << 20)
            sys.stdout.buffer.flush()
            return written, 1, stage.stat().st_size
    with claim.filled() as stage:
        written = fill(stage)
        refuse()
        files, size = size_of(stage)
    return written, files, size


def _discard(batch: pa.RecordBatch, encoding: Encoding) -> None:
    """The encoder of a dry run."""


def _used_up(pieces: Iterator[object], written: Written) -> Written:
    """What was written; a writer that leaves anything behind has lost it."""
    if any(piece is not None for piece in pieces):
        raise RuntimeError("the writer ended before its last batch")
    return written


def _refuse(request: Request, findings: Findings, account: Account) -> None:
    """End the run where there are faults, or set them aside where the user asked for it, and where `--strict` refuses
    what is lost.
    """
    crowd = {
        "object.iscrowd": account.left_out_boxes["crowd"],
        "object.ignore": account.left_out_boxes["ignore region"],
    }
    lost = {**account.lost, **{field: account.lost[field] + count for field, count in crowd.items() if count}}
    strict = loss.refused(lost, request.strict, request.out)
    if strict or (findings.errors and request.on_error == "fail"):
        raise DataError([*findings, *strict])
    if findings.errors and request.rejects:
        lines = [
            json.dumps(
                {"code": d.code, "message": d.message, "where": place.where, "detail": place.detail}, ensure_ascii=False
            )
            + "\n"
            for d in findings.of("error")
            for place in d.places
        ]
        with staging.staged(request.rejects, "file", overwrite=True) as stage:
            stage.write_text("".join(lines), encoding="utf-8")


def _report(
    request: Request,
    opened: Opened,
    account: Account,
    findings: Findings,
    written: Written,
    seconds: float,
    writer: Writes | None = None,
) -> Report:
    for message, count in account.changed.items():
        findings.add("rotation-changed", message, severity="note", count=count)
    known = dict(opened.header.switches)
    known.update({f"{writer.INFO.name}.{key}": value for key, value in request.out.items()} if writer else {})
    return Report(
        command="convert" if writer else "validate",
        sources=opened.sides,
        target=Side(request.dst, writer.INFO.name) if writer else None,
        read=Counts(account.read_images, account.read_boxes, opened.read_categories),
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
    account = Account()
    with ExitStack() as stack:
        crew = stack.enter_context(at_work(request.jobs or available()))
        opened = open_sources(request, findings, stack, crew, progress)
        names: set[str] = set()
        for batch in stream(Flow(request, opened, findings, crew, progress), None, account):
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
