"""The command that makes a page to look at in a browser."""
# ruff: noqa: PLC0415 - as in commands.py

from __future__ import annotations

import sys
from dataclasses import replace

import typer

from bboxconv.cli import flags, pageflags, usage
from bboxconv.cli.commands import show_usage
from bboxconv.cli.outcome import settle
from bboxconv.cli.pictures import app as app
from bboxconv.cli.start import make_ready
from bboxconv.errors import ExitCode, UsageError


@app.command(add_help_option=False)
def report(
    context: typer.Context,
    sources: pageflags.Sources = None,
    dst: pageflags.Converted = "",
    page: pageflags.Page = None,
    from_: flags.From = None,
    to: flags.To = None,
    in_: flags.In = None,
    out: flags.Out = None,
    box: flags.Box = None,
    split: flags.Split = None,
    classes: flags.Classes = None,
    images: pageflags.Images = None,
    image_sizes: flags.ImageSizes = None,
    image_size: flags.ImageSize = None,
    thumbnails: pageflags.Thumbnails = None,
    overwrite: pageflags.Overwrite = False,
    json: pageflags.Json = False,
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
    """Write one page for a browser: statistics, findings, all images with their boxes.

    Examples:
      bboxconv report instances.json --images train2017/ -o report.html
      bboxconv report train=train.json val=val.json -o report.html
      bboxconv report instances.json yolo/ -o report.html

    With DST, which a conversion made of SRC, the page says what DST carries and whether it agrees with SRC. The page
    is one file that needs no network.
    """
    words = [*(sources or ()), *([dst] if dst else [])]  # the parser gives a single one to DST
    if not words:
        return show_usage(context)
    look = usage.Look("report", json=json, quiet=quiet, verbose=verbose, color=usage.color(color), debug=debug)

    def work() -> ExitCode:
        if page is None:
            raise UsageError.of("missing-option", "report needs -o FILE.html", hint="for example -o report.html")
        usage.spare_page(page, words)
        given, output = usage.with_output(words)
        asked = usage.converting(
            given, output, from_, to, in_, out, box, split, classes, None, None, None, None, images, image_sizes,
            image_size, False, "skip", "skip", None, "keep", batch_size, jobs, memory, max_expansion,
        )  # fmt: skip
        asked = replace(asked, looks=True)
        most = None if thumbnails is None else usage.whole("--thumbnails", thumbnails, 0)
        if str(page) == "-" and look.json:
            raise UsageError.of("stdout-taken", "--json and -o - both want stdout", hint="name a file: -o report.html")
        make_ready(asked.sources, asked.jobs)
        from bboxconv.cli import render, ui
        from bboxconv.page import run

        with ui.progress(look) as progress:
            if str(page) == "-":
                made = run.to_stream(asked, sys.stdout.buffer, most, progress)
            else:
                made = run.write(asked, page, most, progress, overwrite=overwrite)
        paint = ui.painter(sys.stderr, look.color)
        ui.say(render.diagnostics(made.findings, paint, look.verbose, look.hidden))
        if not look.quiet:
            ui.say([render.page(made, paint)])
        ui.publish(made.as_dict(), look)
        return made.exit_code

    return settle(work, look)
