"""Draw: one run from its request to pictures in place."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from bboxconv import codes, staging
from bboxconv.choosing import choose, places_for
from bboxconv.codec import Progress, silent
from bboxconv.drawing.account import Drawing, Plan
from bboxconv.drawing.making import made, ready
from bboxconv.drawing.picture import name_of
from bboxconv.drawing.sheet import MOST, room_of
from bboxconv.errors import FIRST_PLACES, DataError, Diagnostic, ExitCode, Findings, UsageError
from bboxconv.flow import Flow
from bboxconv.picking import Chosen
from bboxconv.request import Request
from bboxconv.sources import open_sources
from bboxconv.workers import at_work, available


def run(request: Request, plan: Plan, progress: Progress = silent) -> Drawing:
    """Choose images, draw their boxes, and put the pictures in place.

    Raises UsageError for what the request has wrong, DataError where nothing can be drawn, OutputError where reading or
    writing fails.
    """
    began = time.monotonic()
    folder = _is_folder(request, plan)
    if plan.pick.how == "finding":
        codes.explain(plan.pick.value)
    request = replace(request, places=places_for(plan.pick))
    findings = Findings(kept=request.places)
    with ExitStack() as stack:
        layout: staging.Layout = "folder" if folder else "file"
        claim = stack.enter_context(
            staging.claimed(Path(request.dst), layout, overwrite=request.overwrite, findings=findings)
        )
        workers = stack.enter_context(at_work(request.jobs or available()))
        opened = open_sources(request, findings, stack, workers, progress)
        flow = Flow(request, opened, findings, workers, progress)
        chosen = choose(flow, plan.pick, plan.count, plan.seed)
        if not len(chosen.rows):
            raise _nothing(plan, findings, chosen)
        room = None if folder else room_of(min(plan.count, len(chosen.rows)))
        rows, style = ready(flow, chosen.rows, room)
        workers.close()  # drawing needs the memory that they held
        outcomes, files, size = made(claim, rows, style, flow)
    return Drawing(
        sources=opened.sides,
        output=request.dst,
        pick=plan.pick.spelled,
        seed=plan.seed,
        images=tuple(name_of(row) for row in rows),
        files=files,
        boxes=sum(one.boxes for one in outcomes),
        eligible=chosen.eligible,
        read=chosen.images,
        blank=dict(sorted(Counter(one.status for one in outcomes if one.status != "drawn").items())),
        bytes=size,
        findings=tuple(replace(found, places=found.places[:FIRST_PLACES]) for found in findings),
        exit_code=ExitCode.SET_ASIDE if findings.errors else ExitCode.DONE,
        seconds=time.monotonic() - began,
    )


def _is_folder(request: Request, plan: Plan) -> bool:
    """Whether the output is a folder of single pictures. Raises UsageError where it is none, and no picture."""
    path = Path(request.dst)
    if not request.dst or request.dst == "-":
        hint = "for example -o sheet.png, or -o pictures/ for single pictures"
        raise UsageError.of("missing-option", "draw needs -o FILE or -o FOLDER/", hint=hint)
    picture = path.suffix.lower() in (".png", ".jpg", ".jpeg")
    if request.dst.endswith("/") or path.is_dir():
        return True
    if plan.each:
        if picture:
            message = "--each draws single pictures into a folder, and the name is that of a picture"
            raise UsageError.of("output-is-file", message, where=request.dst, hint=f"name a folder: -o {path.stem}/")
        return True
    if not picture:
        hint = f"-o {path.stem or 'sheet'}.png; a folder of single pictures ends with /: -o {request.dst}/"
        raise UsageError.of("unknown-picture", "a sheet is written as .png or .jpg", where=request.dst, hint=hint)
    if plan.count > MOST:
        hint = "-o FOLDER/ draws single pictures, as many as there are"
        raise UsageError.of("bad-option-value", f"a sheet has at most {MOST:,} pictures: --count is more", hint=hint)
    return False


def _nothing(plan: Plan, findings: Findings, chosen: Chosen) -> DataError:
    """Why there is nothing to draw, with all that was found."""
    errors = findings.of("error")
    if plan.pick.how == "class":
        message, hint = f"no image has a box of the class {plan.pick.value!r}", ""
    elif plan.pick.how == "finding":
        found = sorted({one.code for one in findings})
        message = f"no image is named in a finding {plan.pick.value}"
        hint = f"findings here: {', '.join(found)}" if found else "the data set has no findings"
    elif chosen.images:
        message, hint = "no image was chosen", "--count says how many are drawn"
    else:
        message, hint = "the data set has no images", ""
    return DataError([*errors, Diagnostic("nothing-to-draw", message, hint=hint)])
