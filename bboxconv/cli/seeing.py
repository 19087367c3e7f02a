"""The commands to see what is in data sets: statistics, and the difference of two."""
# ruff: noqa: PLC0415 - as in commands.py

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Literal

import typer

from bboxconv.cli import diffflags, flags, usage
from bboxconv.cli.checks import app as app
from bboxconv.cli.commands import show_usage, waits_for_typing
from bboxconv.cli.outcome import settle
from bboxconv.cli.start import make_ready
from bboxconv.errors import ExitCode, UsageError


@app.command(add_help_option=False)
def stats(
    context: typer.Context,
    sources: flags.Sources = None,
    from_: flags.From = None,
    in_: flags.In = None,
    split: flags.Split = None,
    classes: flags.Classes = None,
    images: flags.ReadImages = None,
    image_sizes: flags.ImageSizes = None,
    image_size: flags.ImageSize = None,
    report: flags.ReportFile = None,
    json: flags.Json = False,
    batch_size: flags.BatchSize = "4096",
    jobs: flags.Jobs = "0",
    memory: flags.Memory = "256MiB",
    max_expansion: flags.MaxExpansion = None,
    by: flags.By = "",
    quiet: flags.Quiet = 0,
    verbose: flags.Verbose = False,
    color: flags.Color = "auto",
    debug: flags.Debug = False,
    help_: flags.Help = False,
) -> int:
    """Count what is in a data set: classes, sizes, shapes and places of boxes, splits side by side.

    Examples:
      bboxconv stats instances.json
      bboxconv stats train=train.json val=val.json --by class
      bboxconv stats yolo/ --images yolo/images --json > stats.json

    Sizes in pixels of boxes in fractions need the sizes of the images.
    """
    if not sources or waits_for_typing(sources):
        return show_usage(context)
    usage.spare_data(report, sources)
    look = usage.Look(
        "stats", json=json, report=report, quiet=quiet, verbose=verbose, color=usage.color(color), debug=debug
    )

    def work() -> ExitCode:
        grouped: Literal["", "class", "split"] = usage.choice("--by", by, ("class", "split")) if by else ""
        asked = usage.reading(
            sources, from_, in_, split, classes, images, image_sizes, image_size, batch_size, jobs, memory,
            max_expansion,
        )  # fmt: skip
        make_ready(asked.sources, asked.jobs)
        from bboxconv import counting
        from bboxconv.cli import ui

        with ui.progress(look) as progress:
            found = counting.collect(asked, progress, grouped)
        ui.show_statistics(found, look)
        return found.exit_code

    return settle(work, look)


@app.command(add_help_option=False)
def diff(
    context: typer.Context,
    a: diffflags.SideA = "",
    b: diffflags.SideB = "",
    from_: diffflags.FromSides = None,
    in_: diffflags.InSides = None,
    split: flags.Split = None,
    classes: flags.Classes = None,
    images: diffflags.SideImages = None,
    image_sizes: flags.ImageSizes = None,
    image_size: flags.ImageSize = None,
    iou: diffflags.Iou = "0.5",
    tolerance: diffflags.Tolerance = None,
    report: flags.ReportFile = None,
    json: flags.Json = False,
    batch_size: flags.BatchSize = "4096",
    jobs: flags.Jobs = "0",
    memory: flags.Memory = "256MiB",
    max_expansion: flags.MaxExpansion = None,
    quiet: flags.Quiet = 0,
    verbose: flags.Verbose = False,
    color: flags.Color = "auto",
    debug: flags.Debug = False,
    help_: flags.Help = False,
) -> int:
    """Compare two data sets in any formats: images, classes, boxes; exit 4 where they differ.

    Examples:
      bboxconv diff before.json after.json
      bboxconv diff instances.json yolo/ --iou 0.7
      bboxconv diff VOCdevkit/ boxes.csv --tolerance 1 --json

    Images are paired by name and split, boxes by class and IoU, whatever their order. What the decimals of the coarser
    side round is no difference. Scores, areas, polygons, keypoints and extra keys are not compared.
    """
    if not a or waits_for_typing([a, b]):
        return show_usage(context)
    usage.spare_data(report, [a, b])
    look = usage.Look(
        "diff", json=json, report=report, quiet=quiet, verbose=verbose, color=usage.color(color), debug=debug
    )

    def work() -> ExitCode:
        if not b:
            raise UsageError.of("missing-argument", "diff needs two data sets", hint=f"bboxconv diff {a} B")
        formats = list(from_ or ())
        if len(formats) > 2:
            raise UsageError.of("option-given-twice", "--from is given more than twice: once for both, or for A and B")
        first, second = (formats[0], formats[-1]) if formats else (None, None)
        asked = usage.reading(
            [a], first, in_, split, classes, images, image_sizes, image_size, batch_size, jobs, memory, max_expansion
        )
        least = usage.real("--iou", iou, 1e-9, 1.0, "a number above 0, at most 1")
        off = None if tolerance is None else usage.real("--tolerance", tolerance, 0.0, 1e9, "a number of pixels")
        make_ready([a, b], asked.jobs)
        from bboxconv import diffing
        from bboxconv.cli import difftable, render, ui

        with ui.progress(look) as progress:
            other = replace(asked, sources=(b,), from_=second)
            found = diffing.diff(asked, other, iou=least, tolerance=off, progress=progress)
        if not look.json:
            ui.say(difftable.lines(found, ui.width(sys.stdout), ui.painter(sys.stdout, look.color)), sys.stdout)
        sys.stdout.flush()
        paint = ui.painter(sys.stderr, look.color)
        ui.say(render.diagnostics(found.findings, paint, look.verbose, look.hidden))
        ui.publish(found.as_dict(), look)
        return found.exit_code

    return settle(work, look)
