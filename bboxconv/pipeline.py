"""Read, convert, count the loss, write: one run from its request to its report."""

from __future__ import annotations

import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

from bboxconv import io, loss, recount, registry, staging
from bboxconv.account import Account
from bboxconv.boxes import BoxFormat
from bboxconv.codec import Encodes, Encoding, Progress, Source, Target, WriteContext, Writes, Written, silent
from bboxconv.errors import DataError, ExitCode, Findings, UsageError
from bboxconv.flow import Flow, encoded, stream
from bboxconv.passing import passing
from bboxconv.rejects import Rejects
from bboxconv.report import Counts, Report, Side
from bboxconv.request import Request
from bboxconv.schema import Dataset, Header
from bboxconv.sources import Opened, at_hand, named, open_sources
from bboxconv.staging import Claim, Layout
from bboxconv.suggest import did_you_mean, for_missing
from bboxconv.workers import Workers, at_work, available

if TYPE_CHECKING:
    from bboxconv.agreement import Agreement


class Choose(Protocol):
    """What makes another data set of the sources than they are: it may look at them before they are converted, adds
    what is to be told to the findings of the flow, and raises where it cannot be done."""

    def __call__(self, flow: Flow, target: Target, /) -> Flow:
        """The flow with what becomes of the images of each source."""
        ...


def run(
    request: Request,
    progress: Progress = silent,
    dataset: Dataset | None = None,
    workers: Workers | None = None,
    choose: Choose | None = None,
) -> Report:
    """Convert: read the sources, convert, write the destination. A data set that a program has at hand can take the
    place of the sources, and `workers` that of those that the run would start, which are the caller's to close.
    `choose` says what becomes of the images first.

    Raises UsageError for what the request has wrong, DataError where data is refused (with every diagnostic of the
    run; nothing is written), OutputError where reading or writing fails.
    """
    began = time.monotonic()
    rejects = Rejects()
    findings = Findings(request.listing, rejects.collect, request.max_errors)
    account = Account()
    with ExitStack() as stack:
        writer = registry.writer(request.to) if request.to else _writer_for(request.dst)
        options = registry.options_of(dict(request.out), writer.INFO.write_options, "out", writer.INFO.name)
        layout = _layout(writer, request.dst)
        if request.verify and request.dry_run:
            raise UsageError.of("option-conflict", "--dry-run writes nothing that --verify could read back")
        _spare_data(request)
        box = _box_format(request.box) if request.box is not None else None
        claim = _claim(request, layout, findings, stack)  # first of all that the stack ends: tasks write there
        crew = workers or stack.enter_context(at_work(request.jobs or available()))
        carried = _carried(writer, options)
        opened = (
            open_sources(request, findings, stack, crew, progress, carried) if dataset is None else at_hand(dataset)
        )
        target = _target(writer, opened.header, options, box, layout)
        header = replace(opened.header, box=target.box or opened.header.box)
        flow = Flow(request, opened, findings, crew, progress)
        if choose is not None:
            flow = choose(flow, target)
        context = WriteContext(
            opened.header.box,
            options,
            findings,
            request.batch_size,
            request.images,
            flow.image_folders,
            request.dst,
        )
        loss.count_header(opened.header, target, account)
        for other, index in zip(opened.datasets, opened.index, strict=True):
            loss.count_overruled(other.header, index, opened.header, account)

        def fill(stage: Path) -> Written:
            if request.dry_run:
                return _used_up(encoded(flow, target, account, _discard), Written())
            if isinstance(writer, Encodes):
                encode = writer.encoder(header, stage, context)  # lives until all is assembled: its shelf is its own
                pieces = encoded(flow, target, account, encode)
                return _used_up(pieces, writer.assemble(header, pieces, stage, context))
            batches = stream(flow, target, account)
            return _used_up(batches, writer.write(header, batches, stage, context))

        agreements: list[Agreement] = []

        def settle(stage: Path) -> None:
            if request.on_error == "skip" and isinstance(writer, Encodes):
                recount.take_back(flow, target, _left_out(findings), account)
            _refuse(request, findings, account)
            if request.verify:
                from bboxconv import agreement, readback  # noqa: PLC0415 - few runs compare

                ours = replace(request, max_expansion=0)  # what this run wrote may be read, however small it became
                again = replace(flow, request=ours, findings=Findings(), repeats=False)  # all was told
                agreements.append(readback.read_back(again, target, Account(), stage, writer.INFO, request.dst))
                agreements[0].excuse(_not_written(findings))
                agreement.refuse(agreements[0], findings)
            if request.rejects and request.listing:
                rejects.write(request.rejects)
            if workers is None:
                crew.close()  # putting many files in place needs the memory that they held

        written, files, size = _write(request, writer, claim, fill, settle)
    account.filled.update(written.filled)
    report = _report(request, opened, account, findings, written, time.monotonic() - began, writer)
    code = ExitCode.SET_ASIDE if findings.errors else ExitCode.DONE
    return replace(report, files=files, bytes=size, exit_code=code, verify=next(iter(agreements), None))


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
            hint="--box is for csv, Parquet and JSON Lines",
        )
    return replace(target, box=box)


def _carried(writer: Writes, options: Mapping[str, str]) -> Callable[[str], frozenset[str]]:
    """Which fields the writer carries of a source of a format, before its header is known."""
    return lambda source: writer.target(Header(BoxFormat("xywh"), source=source), options).carries


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
    settle: Callable[[Path], None],
) -> tuple[Written, int, int]:
    """Fill a staged place and put it where it belongs, once everything is read and `settle` has not raised."""
    if request.dry_run:
        fill(Path())
        settle(Path())
        return Written(), 0, 0
    if claim is None:
        with passing(f"stdout{writer.INFO.extensions[0]}") as stage:
            written = fill(stage)
            settle(stage)
            with stage.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer, 1 << 20)
            sys.stdout.buffer.flush()
            return written, 1, stage.stat().st_size
    with claim.filled() as stage:
        written = fill(stage)
        settle(stage)
        files, size = written.size or io.size_of(stage)
    return written, files, size


def _discard(batch: pa.RecordBatch, encoding: Encoding) -> None:
    """The encoder of a dry run."""


def _used_up(pieces: Iterator[object], written: Written) -> Written:
    """What was written; a writer that leaves anything behind has lost it."""
    if any(piece is not None for piece in pieces):
        raise RuntimeError("the writer ended before its last batch")
    return written


def _refuse(request: Request, findings: Findings, account: Account) -> None:
    """End the run where there are faults, unless the user wants them set aside, and where `--strict` refuses what
    became of the values.
    """
    strict = loss.refused(account, request.strict, request.out)
    if strict or (findings.errors and request.on_error == "fail"):
        raise DataError([*findings, *strict])


def _not_written(findings: Findings) -> int:
    """How many images the writer left out, each with a fault of its own."""
    return sum(fault.images for fault in findings.of("error") if fault.late)


def _left_out(findings: Findings) -> list[int]:
    """What the images are known by that the writer left out when their values had been counted."""
    return [number for fault in findings.of("error") if fault.late for number in fault.numbers]


def _report(
    request: Request,
    opened: Opened,
    account: Account,
    findings: Findings,
    written: Written,
    seconds: float,
    writer: Writes | None = None,
) -> Report:
    for how, words in (("envelope", "their envelope"), ("unrotated", "if not turned")):
        if account.changed["object.rotation", how]:
            count = account.changed["object.rotation", how]
            findings.add("rotation-changed", f"rotated boxes written as {words}", severity="note", count=count)
    rejected_images, rejected_boxes = _settle(findings, account)
    known = dict(opened.header.switches)
    known.update({f"{writer.INFO.name}.{key}": value for key, value in request.out.items()} if writer else {})
    return Report(
        command="convert" if writer else "validate",
        sources=opened.sides,
        target=Side(request.dst, writer.INFO.name) if writer else None,
        read=Counts(account.read_images, account.read_boxes, opened.read_categories),
        written=Counts(account.images, account.boxes, len(opened.header.categories)),
        rejected_images=rejected_images,
        rejected_boxes=rejected_boxes,
        left_out_images=+account.left_out_images,
        left_out_boxes=+account.left_out_boxes,
        fields=account.fields() if writer else {},
        lost=dict(sorted((+account.lost).items())),
        filled=+account.filled,
        findings=tuple(findings),
        switches=dict(sorted(known.items())),
        next_step=written.next_step,
        seconds=seconds,
        dry_run=request.dry_run,
    )


def verify(request: Request, progress: Progress = silent) -> Report:
    """Compare DST with what the sources give, converted by the same request; exit code REFUSED where they differ.

    Raises UsageError, and DataError where a side cannot be read, or the sources have faults.
    """
    from bboxconv.readback import read_back  # noqa: PLC0415 - other commands do not compare

    began = time.monotonic()
    findings, account = Findings(), Account()
    with ExitStack() as stack:
        if not Path(request.dst).exists():
            hint = for_missing(Path(request.dst))
            raise UsageError.of("path-not-found", f"there is no {request.dst}", hint=hint)
        writer = registry.writer(request.to) if request.to else _writer_of(request.dst)
        options = registry.options_of(dict(request.out), writer.INFO.write_options, "out", writer.INFO.name)
        box = _box_format(request.box) if request.box is not None else None
        crew = stack.enter_context(at_work(request.jobs or available()))
        opened = open_sources(request, findings, stack, crew, progress, _carried(writer, options))
        target = _target(writer, opened.header, options, box, _layout(writer, request.dst))
        flow = Flow(request, opened, findings, crew, progress)
        output = Path(request.dst)
        found = read_back(flow, target, account, output, writer.INFO, request.dst, any_box=True)
        found.excuse(_not_written(findings))
    _refuse(request, findings, account)
    findings.merge(found.diagnostics())
    report = _report(request, opened, account, findings, Written(), time.monotonic() - began, writer)
    code = ExitCode.DONE if found.same else ExitCode.REFUSED
    return replace(report, command="verify", exit_code=code, verify=found)


def _writer_of(dst: str) -> Writes:
    """The format of an output that exists: by its name, else by its content."""
    try:
        return registry.by_destination(dst)
    except UsageError:
        return registry.writer(registry.detect(Source(Path(dst)))[0].INFO.name)


def _settle(findings: Findings, account: Account) -> tuple[Counter[str], Counter[str]]:
    """The images and boxes that were set aside while reading, by code; those that were left out when writing move from
    written to left out."""
    images: Counter[str] = Counter()
    boxes: Counter[str] = Counter()
    for found in findings:
        (account.left_out_images if found.late else images)[found.code] += found.images
        (account.left_out_boxes if found.late else boxes)[found.code] += found.boxes
        if found.late:
            account.images -= found.images
            account.boxes -= found.boxes
    return +images, +boxes


def validate(request: Request, progress: Progress = silent) -> Report:
    """Read everything and report every finding; exit code REFUSED where one is an error.

    Raises UsageError, and DataError where a source cannot be read at all.
    """
    began = time.monotonic()
    findings = Findings(limit=request.max_errors)
    account = Account()
    with ExitStack() as stack:
        crew = stack.enter_context(at_work(request.jobs or available()))
        opened = open_sources(request, findings, stack, crew, progress)
        for _ in stream(Flow(request, opened, findings, crew, progress, as_read=True), None, account):
            pass
    report = _report(request, opened, account, findings, Written(), time.monotonic() - began)
    return replace(report, exit_code=ExitCode.REFUSED if findings.errors else ExitCode.DONE)
