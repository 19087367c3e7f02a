"""The command that draws boxes on images."""
# ruff: noqa: PLC0415 - as in commands.py

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from bboxconv.cli import flags, pictureflags, usage
from bboxconv.cli.commands import show_usage, waits_for_typing
from bboxconv.cli.outcome import settle
from bboxconv.cli.seeing import app as app
from bboxconv.cli.start import make_ready
from bboxconv.errors import ExitCode

if TYPE_CHECKING:
    from bboxconv.drawing.account import Drawing


@app.command(add_help_option=False)
def draw(
    context: typer.Context,
    sources: flags.Sources = None,
    output: pictureflags.PictureOutput = "",
    from_: flags.From = None,
    in_: flags.In = None,
    split: flags.Split = None,
    classes: flags.Classes = None,
    include_class: flags.IncludeClass = None,
    exclude_class: flags.ExcludeClass = None,
    images: pictureflags.DrawnImages = None,
    image_sizes: flags.ImageSizes = None,
    image_size: flags.ImageSize = None,
    pick: pictureflags.Pick = "random",
    count: pictureflags.PickCount = "16",
    seed: pictureflags.PickSeed = "0",
    each: pictureflags.Each = False,
    overwrite: flags.Overwrite = False,
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
    """Draw boxes, polygons, masks and keypoints on images: a contact sheet, or single pictures.

    Examples:
      bboxconv draw instances.json --images train2017/ -o sheet.png
      bboxconv draw yolo/ -o sheet.jpg --pick class=dog --count 64
      bboxconv draw VOCdevkit/ -o pictures/ --pick worst --count 20
      bboxconv draw instances.json -o odd.png --pick finding=box-outside-image

    Where an image is missing or broken, its boxes are drawn on a blank canvas. Crowds are hatched, and so are regions
    to be ignored. Needs Pillow: pip install 'bboxconv[draw]'.
    """
    if not sources or waits_for_typing(sources):
        return show_usage(context)
    usage.spare_data(report, [*sources, output])
    look = usage.Look(
        "draw", json=json, report=report, quiet=quiet, verbose=verbose, color=usage.color(color), debug=debug
    )

    def work() -> ExitCode:
        asked = usage.reading(
            sources, from_, in_, split, classes, images, image_sizes, image_size, batch_size, jobs, memory,
            max_expansion,
        )  # fmt: skip
        asked = replace(
            asked,
            dst=output,
            include_class=tuple(include_class or ()),
            exclude_class=tuple(exclude_class or ()),
            overwrite=overwrite,
        )
        least, start = usage.whole("--count", count, 1), usage.whole("--seed", seed, 0)
        make_ready(asked.sources, asked.jobs)
        from bboxconv.cli import ui
        from bboxconv.drawing.account import Plan
        from bboxconv.picking import Pick
        from bboxconv.pictures import draw_request

        with ui.progress(look) as progress:
            drawing = draw_request(asked, Plan(Pick.parse(pick), least, start, each), progress)
        _show_drawing(drawing, look)
        return drawing.exit_code

    return settle(work, look)


def _show_drawing(drawing: Drawing, look: usage.Look) -> None:
    """The findings, and in one line what was drawn."""
    from bboxconv.cli import render, ui
    from bboxconv.errors import printable

    paint = ui.painter(sys.stderr, look.color)
    ui.say(render.diagnostics(drawing.findings, paint, look.verbose, look.hidden))
    if not look.quiet:
        blank = sum(drawing.blank.values())
        of = f"{len(drawing.images):,} of " if len(drawing.images) < drawing.eligible else ""
        facts = [
            f"{of}{render.count(drawing.eligible, 'image')} ({drawing.pick})",
            render.count(drawing.boxes, "box"),
            *([f"{blank:,} on blank canvases"] if blank else []),
            printable(drawing.output),
            *([render.count(len(drawing.files), "file")] if len(drawing.files) > 1 else []),
            f"{drawing.seconds:.1f} s",
        ]
        faults = sum(found.count for found in drawing.findings if found.severity == "error")
        aside = f", {render.count(faults, 'fault')} set aside" if faults else ""
        ui.say([f"{paint('warning' if faults else 'done', 'drawn')}{aside}: {', '.join(facts)}"])
    ui.publish(drawing.as_dict(), look)
