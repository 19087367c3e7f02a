"""The commands to see what is in data sets: statistics, and the difference of two."""

from __future__ import annotations

from typing import Literal

import typer

from bboxconv.cli import flags, usage
from bboxconv.cli.checks import app as app
from bboxconv.cli.commands import show_usage, waits_for_typing
from bboxconv.cli.outcome import settle
from bboxconv.cli.start import make_ready
from bboxconv.errors import ExitCode


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
        return ExitCode.DONE

    return settle(work, look)
