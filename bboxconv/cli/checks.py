"""The commands to check with what a run wrote and said, beside those of commands.py."""
# ruff: noqa: PLC0415 - as there

from __future__ import annotations

import sys

import typer

from bboxconv.cli import flags, usage
from bboxconv.cli.commands import app as app
from bboxconv.cli.commands import show_usage, waits_for_typing
from bboxconv.cli.outcome import settle
from bboxconv.cli.start import make_ready
from bboxconv.errors import ExitCode, UsageError


@app.command(add_help_option=False)
def verify(
    context: typer.Context,
    sources: flags.Sources = None,
    dst: flags.Output = "",
    from_: flags.From = None,
    to: flags.To = None,
    in_: flags.In = None,
    out: flags.Out = None,
    box: flags.Box = None,
    split: flags.Split = None,
    classes: flags.Classes = None,
    class_map: flags.ClassMap = None,
    include_class: flags.IncludeClass = None,
    exclude_class: flags.ExcludeClass = None,
    default_class: flags.DefaultClass = None,
    images: flags.ReadImages = None,
    image_sizes: flags.ImageSizes = None,
    image_size: flags.ImageSize = None,
    drop_empty: flags.DropEmpty = False,
    unannotated: flags.Unannotated = "skip",
    on_error: flags.OnError = "fail",
    max_errors: flags.MaxErrors = None,
    on_invalid: flags.OnInvalid = "keep",
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
    """Compare an output with its sources, box by box; exit 1 where they differ.

    Examples:
      bboxconv verify instances.json boxes.parquet
      bboxconv verify train=train.json val=val.json yolo/
      bboxconv verify instances.json voc/ --out decimals=0

    Give the flags with which DST was converted. What DST cannot carry, and what its stated precision rounds, is no
    difference.
    """
    if (not sources and not dst) or waits_for_typing(sources or [dst]):
        return show_usage(context)
    usage.spare_data(report, [*(sources or ()), dst])
    look = usage.Look(
        "verify", json=json, report=report, quiet=quiet, verbose=verbose, color=usage.color(color), debug=debug
    )

    def work() -> ExitCode:
        if not sources:
            hint = f"bboxconv verify SRC {dst}"
            raise UsageError.of("missing-argument", "verify needs a source and an output", hint=hint)
        asked = usage.converting(
            sources, dst, from_, to, in_, out, box, split, classes, class_map, include_class, exclude_class,
            default_class, images, image_sizes, image_size, drop_empty, unannotated, on_error, max_errors, on_invalid,
            batch_size, jobs, memory, max_expansion,
        )  # fmt: skip
        make_ready(asked.sources, asked.jobs)
        from bboxconv import pipeline
        from bboxconv.cli import ui

        with ui.progress(look) as progress:
            account = pipeline.verify(asked, progress)
        ui.show_report(account, look)
        return account.exit_code

    return settle(work, look)


@app.command(add_help_option=False)
def schema(
    context: typer.Context,
    name: flags.SchemaName = "report",
    color: flags.Color = "auto",
    debug: flags.Debug = False,
    help_: flags.Help = False,
) -> int:
    """Print the JSON Schema of a document that bboxconv writes.

    Examples:
      bboxconv schema report > report.schema.json
    """
    look = usage.Look("schema", color=usage.color(color), debug=debug)

    def work() -> ExitCode:
        from pathlib import Path

        import bboxconv

        if name != "report":
            raise UsageError.of("unknown-schema", f"there is no schema {name!r}", hint="schemas: report")
        folder = Path(bboxconv.__file__).parent / "schemas"
        sys.stdout.write((folder / "report.json").read_text(encoding="utf-8"))
        return ExitCode.DONE

    return settle(work, look)
