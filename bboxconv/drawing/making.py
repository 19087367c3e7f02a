"""Pictures of the images that were chosen, drawn on threads: Pillow reads, scales and writes beside Python."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pyarrow as pa

from bboxconv import io, sizes
from bboxconv.drawing.canvas import Size
from bboxconv.drawing.picture import Outcome, Style, drawn, name_of, shown_names, skeletons_of
from bboxconv.drawing.sheet import Tile, save, sheet_of
from bboxconv.errors import Findings, printable
from bboxconv.flow import Flow
from bboxconv.imagelookup import ImageLookup, without_suffix
from bboxconv.io import unsafe_name
from bboxconv.sizesource import size_table
from bboxconv.staging import Claim
from bboxconv.workers import available

_AT_ONCE = 4
"""Threads at most: each holds an image as it is stored."""


def ready(flow: Flow, rows: pa.RecordBatch, room: Size | None) -> tuple[list[pa.RecordBatch], Style]:
    """The rows, one each and with their sizes as far as these are known, and what all pictures share. `room` is what
    each picture has to fit into."""
    request, header, findings = flow.request, flow.opened.header, flow.findings
    exif = request.in_.get("exif", "yes") != "no"
    rows, _ = sizes.fill(rows, size_table(request, flow.workers), request.image_size, [], exif)
    names, replaced = shown_names(header.categories)
    for name, number in replaced.items():
        message = "no font here has all letters of a class: others, or its number, stand for it on pictures"
        findings.add("name-not-shown", message, severity="warning", where=f"{name}: {number}")
    own = [folder for dataset in flow.opened.datasets for folder in dataset.image_folders]
    splits = {None, *rows.column("split").to_pylist()}
    lookups = {split: ImageLookup.of_split(split, flow.request.images, own) for split in splits}
    if not any(lookup.roots for lookup in lookups.values()):
        message = "no folder of images is known: boxes are drawn on blank canvases"
        findings.add("images-not-given", message, severity="note", hint="--images DIR names it")
    style = Style(header, names, skeletons_of(header.categories), lookups, exif, room)
    return [rows.slice(row, 1) for row in range(len(rows))], style


def made(
    claim: Claim, rows: Sequence[pa.RecordBatch], style: Style, flow: Flow
) -> tuple[list[Outcome], tuple[str, ...], int]:
    """Draw all pictures and put them in place: what became of each, the files, and their bytes together."""
    threads = min(flow.request.jobs or available(), len(rows), _AT_ONCE)
    with claim.filled() as stage, ThreadPoolExecutor(threads) as executor:
        try:
            if style.room is None:
                outcomes, files = _singles(executor, rows, style, stage, flow)
            else:
                outcomes, files = _sheet(executor, rows, style, stage, flow)
        except BaseException:  # Ctrl-C too: no picture is begun any more
            executor.shutdown(wait=False, cancel_futures=True)
            raise
        _tell(rows, outcomes, style, flow.findings)
        _, size = io.size_of(stage)
    return outcomes, files, size


def _singles(
    executor: Executor, rows: Sequence[pa.RecordBatch], style: Style, stage: Path, flow: Flow
) -> tuple[list[Outcome], tuple[str, ...]]:
    names = file_names(rows)
    outcomes = []
    for outcome in executor.map(partial(_written, style=style, folder=stage), rows, names):
        outcomes.append(outcome)
        flow.progress("drawing", 1, len(rows), "images")
    return outcomes, tuple(f"{name}{_ending(one)}" for name, one in zip(names, outcomes, strict=True))


def _sheet(
    executor: Executor, rows: Sequence[pa.RecordBatch], style: Style, stage: Path, flow: Flow
) -> tuple[list[Outcome], tuple[str, ...]]:
    tiles, outcomes = [], []
    for row, (picture, outcome) in zip(rows, executor.map(partial(drawn, style=style), rows), strict=True):
        tiles.append(Tile(picture, printable(name_of(row)), _detail(row, outcome, style)))
        outcomes.append(outcome)
        flow.progress("drawing", 1, len(rows), "images")
    output = Path(flow.request.dst)
    save(sheet_of(tiles), stage, jpeg=output.suffix.lower() != ".png")
    return outcomes, (output.name,)


def _written(row: pa.RecordBatch, name: str, style: Style, folder: Path) -> Outcome:
    """Draw one picture into a file."""
    picture, outcome = drawn(row, style)
    path = folder / f"{name}{_ending(outcome)}"
    path.parent.mkdir(parents=True, exist_ok=True)
    save(picture, path, jpeg=outcome.jpeg)
    return outcome


def _ending(outcome: Outcome) -> str:
    """A picture of a JPEG is one, as it would be many times larger else; all others are PNG."""
    return ".jpg" if outcome.jpeg else ".png"


def file_names(rows: Sequence[pa.RecordBatch]) -> list[str]:
    """A name without ending for the picture of each image: its own, behind its split; a number where that is no name
    of a file, and added where several have it."""
    found: list[str] = []
    seen: set[str] = set()
    for number, row in enumerate(rows, 1):
        split = row.column("split")[0].as_py()
        name = without_suffix(name_of(row))
        whole = f"{split}/{name}" if split else name
        base = f"image-{number:04}" if not name or unsafe_name(f"{whole}.png") is not None else whole
        name, again = base, 1
        while name.casefold() in seen:  # some systems take large letters for small ones
            again += 1
            name = f"{base}-{again}"
        seen.add(name.casefold())
        found.append(name)
    return found


def _detail(row: pa.RecordBatch, outcome: Outcome, style: Style) -> str:
    """What stands behind the name of an image on a sheet."""
    annotated = row.column("objects")[0].is_valid
    count = f"{outcome.boxes:,} box{'' if outcome.boxes == 1 else 'es'}" if annotated else "not annotated"
    blank = outcome.status != "drawn" and any(lookup.roots for lookup in style.lookups.values())
    return f" ({count}, {outcome.status.replace('-', ' ')})" if blank else f" ({count})"


def _tell(rows: Sequence[pa.RecordBatch], outcomes: Sequence[Outcome], style: Style, findings: Findings) -> None:
    """Report the images that could not be shown, and what could not be drawn."""
    known = any(lookup.roots for lookup in style.lookups.values())
    for row, outcome in zip(rows, outcomes, strict=True):
        name = printable(name_of(row))
        match outcome.status:
            case "missing" if known:
                message = "an image is not in the folder of the images: a blank canvas stands for it"
                findings.add("image-missing", message, severity="warning", where=name)
            case "broken":
                message = "an image cannot be read: a blank canvas stands for it"
                findings.add("bad-image", message, severity="warning", where=name)
            case "too-large":
                message = "an image has more pixels than Pillow opens safely: a blank canvas stands for it"
                findings.add("image-too-large", message, severity="warning", where=name)
        if outcome.elsewhere and outcome.status == "drawn":
            message = "an image is not in its folder: a file with the last part of its name is drawn on"
            findings.add("image-elsewhere", message, severity="note", where=name, detail=outcome.elsewhere)
        if outcome.differs:
            message = "an image has another size than its annotations say: boxes are drawn as they are"
            findings.add("image-size-differs", message, severity="warning", where=name, detail=outcome.differs)
        if outcome.unread:
            message = "a segmentation or keypoints cannot be read, and are not drawn"
            findings.add("not-drawn", message, severity="warning", where=name, count=outcome.unread)
