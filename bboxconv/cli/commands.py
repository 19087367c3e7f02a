"""The commands. Each reads its flags into a request, hands it to the pipeline and returns an exit code.

What a command needs is imported inside it: `--help`, `--version` and completion load neither pyarrow, pandas nor rich.
"""
# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from bboxconv.cli import flags, usage
from bboxconv.cli.outcome import settle
from bboxconv.cli.start import make_ready
from bboxconv.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from bboxconv.request import Request

app = typer.Typer(
    name="bboxconv", add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, add_help_option=False
)


@app.callback(invoke_without_command=True)
def bboxconv(
    context: typer.Context,
    version: flags.Version = False,
    script: flags.Completion = None,
    help_: flags.Help = False,
) -> int:
    """Convert object-detection annotations from any format to any other, with an account of what is lost on the way.

    Examples:
      bboxconv convert instances.json boxes.parquet
      bboxconv convert train=train.json val=val.json yolo/
      bboxconv inspect VOCdevkit/
      bboxconv formats
    """
    return ExitCode.DONE if context.invoked_subcommand else show_usage(context)


@app.command(add_help_option=False)
def convert(
    context: typer.Context,
    sources: flags.Sources = None,
    dst: flags.Destination = "",
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
    images: flags.Images = None,
    image_sizes: flags.ImageSizes = None,
    image_size: flags.ImageSize = None,
    drop_empty: flags.DropEmpty = False,
    unannotated: flags.Unannotated = "skip",
    on_error: flags.OnError = "fail",
    rejects: flags.Rejects = None,
    max_errors: flags.MaxErrors = None,
    on_invalid: flags.OnInvalid = "keep",
    strict: flags.Strict = None,
    overwrite: flags.Overwrite = False,
    dry_run: flags.DryRun = False,
    verify: flags.Verify = False,
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
    """Convert annotations from one format to another.

    Examples:
      bboxconv convert instances.json boxes.parquet
      bboxconv convert VOCdevkit/ coco/ --to coco
      bboxconv convert train=train.json val=val.json yolo/
      bboxconv convert labels/ boxes.jsonl --image-size 640x480
      cat a.json | bboxconv convert - - --from coco --to jsonl

    Formats are inferred: the sources' from their content, DST's from its name. What DST cannot carry is counted, field
    by field, on stderr.
    """
    if (not sources and not dst) or waits_for_typing(sources or [dst]):
        return show_usage(context)
    usage.spare_data(report, [*(sources or ()), dst])
    look = usage.Look(
        "convert", json=json, report=report, quiet=quiet, verbose=verbose, color=usage.color(color), debug=debug
    )

    def request() -> Request:
        asked = usage.converting(
            sources or (), dst, from_, to, in_, out, box, split, classes, class_map, include_class, exclude_class,
            default_class, images, image_sizes, image_size, drop_empty, unannotated, on_error, max_errors, on_invalid,
            batch_size, jobs, memory, max_expansion,
        )  # fmt: skip
        return replace(asked, rejects=rejects, strict=strict, overwrite=overwrite, dry_run=dry_run, verify=verify)

    def work() -> ExitCode:
        if not sources:
            hint = f"bboxconv convert {dst} DST"
            raise UsageError.of("missing-argument", "convert needs a source and a destination", hint=hint)
        asked = request()
        make_ready(asked.sources, asked.jobs)
        from bboxconv import pipeline, registry
        from bboxconv.cli import ui

        if asked.dst == "-" and look.json:
            raise UsageError.of(
                "stdout-taken", "--json and DST - both want stdout", hint="--report FILE takes the account"
            )
        if asked.dst == "-" and asked.to and sys.stdout.isatty():
            usage.spare_terminal(registry.writer(asked.to).INFO)
        with ui.progress(look) as progress:
            account = pipeline.run(asked, progress)
        ui.show_report(account, look)
        return account.exit_code

    return settle(work, look)


@app.command(add_help_option=False)
def inspect(
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
    quiet: flags.Quiet = 0,
    verbose: flags.Verbose = False,
    color: flags.Color = "auto",
    debug: flags.Debug = False,
    help_: flags.Help = False,
) -> int:
    """Show what a data set is: format and evidence, counts, splits, fields, classes, odd things.

    Examples:
      bboxconv inspect instances.json
      bboxconv inspect VOCdevkit/ --json
    """
    if not sources or waits_for_typing(sources):
        return show_usage(context)
    usage.spare_data(report, sources)
    look = usage.Look(
        "inspect", json=json, report=report, quiet=quiet, verbose=verbose, color=usage.color(color), debug=debug
    )

    def work() -> ExitCode:
        asked = usage.reading(
            sources, from_, in_, split, classes, images, image_sizes, image_size, batch_size, jobs, memory,
            max_expansion,
        )  # fmt: skip
        make_ready(asked.sources, asked.jobs)
        from bboxconv import inspection
        from bboxconv.cli import ui

        with ui.progress(look) as progress:
            seen = inspection.inspect(asked, progress)
        ui.show_inspection(seen, look)
        return ExitCode.DONE

    return settle(work, look)


@app.command(add_help_option=False)
def validate(
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
    quiet: flags.Quiet = 0,
    verbose: flags.Verbose = False,
    color: flags.Color = "auto",
    debug: flags.Debug = False,
    help_: flags.Help = False,
) -> int:
    """Find every fault in a data set; exit 1 where there are errors.

    Examples:
      bboxconv validate instances.json
      bboxconv validate yolo/ --json > findings.json
    """
    if not sources or waits_for_typing(sources):
        return show_usage(context)
    usage.spare_data(report, sources)
    look = usage.Look(
        "validate", json=json, report=report, quiet=quiet, verbose=verbose, color=usage.color(color), debug=debug
    )

    def work() -> ExitCode:
        asked = usage.reading(
            sources, from_, in_, split, classes, images, image_sizes, image_size, batch_size, jobs, memory,
            max_expansion,
        )  # fmt: skip
        make_ready(asked.sources, asked.jobs)
        from bboxconv import pipeline
        from bboxconv.cli import ui

        with ui.progress(look) as progress:
            account = pipeline.validate(asked, progress)
        ui.show_report(account, look)
        return account.exit_code

    return settle(work, look)


@app.command(add_help_option=False)
def formats(
    context: typer.Context,
    name: flags.FormatName = None,
    json: flags.Json = False,
    color: flags.Color = "auto",
    debug: flags.Debug = False,
    help_: flags.Help = False,
) -> int:
    """List the formats: read, write, box format, extensions, what each cannot carry.

    Examples:
      bboxconv formats
      bboxconv formats yolo
      bboxconv formats --json
    """
    look = usage.Look("formats", json=json, color=usage.color(color), debug=debug)

    def work() -> ExitCode:
        from bboxconv import registry
        from bboxconv.cli import formatlist, ui

        listings = registry.formats()
        if name is not None:
            listings = [formatlist.named(name, listings)]
        if look.json:
            ui.publish(formatlist.document(listings), look)
        else:
            paint, width = ui.painter(sys.stdout, look.color), ui.width(sys.stdout)
            ui.say(
                formatlist.overview(listings, width, paint)
                if name is None
                else formatlist.details(listings[0], width, paint),
                sys.stdout,
            )
        return ExitCode.DONE

    return settle(work, look)


@app.command(add_help_option=False)
def boxes(
    context: typer.Context,
    src: flags.RowsIn = "-",
    dst: flags.RowsOut = "-",
    from_: flags.FromBox = None,
    to: flags.ToBox = None,
    image_size: flags.BoxImageSize = None,
    column: flags.Column = "1",
    max_expansion: flags.MaxExpansion = None,
    overwrite: flags.Overwrite = False,
    quiet: flags.Quiet = 0,
    color: flags.Color = "auto",
    debug: flags.Debug = False,
    help_: flags.Help = False,
) -> int:
    """Convert rows of numbers from one box format to another.

    Examples:
      echo 10 20 110 70 | bboxconv boxes --from corner --to center
      bboxconv boxes labels.txt --column 2 --from yolo --to voc --image-size 640x480
      bboxconv boxes boxes.npy boxes.csv --from xywh --to xyxy
    """
    if waits_for_typing([src]):
        return show_usage(context)
    look = usage.Look("boxes", quiet=quiet, color=usage.color(color), debug=debug)

    def work() -> ExitCode:
        if from_ is None or to is None:
            raise UsageError.of(
                "missing-option",
                f"boxes needs {'--from' if from_ is None else '--to'} BOX",
                hint="for example --from corner --to center",
            )
        from bboxconv.cli import boxtable, render, ui

        sides = None if image_size is None else usage.sides("--image-size", image_size)
        rows = boxtable.convert(
            src,
            dst,
            from_,
            to,
            image_size=sides,
            column=usage.whole("--column", column, 1),
            max_expansion=None if max_expansion is None else usage.whole("--max-expansion", max_expansion, 0),
            overwrite=overwrite,
        )
        if not look.quiet:
            where = "stdout" if dst == "-" else dst
            paint = ui.painter(sys.stderr, look.color)
            ui.say([f"{paint('done', 'done')}: {render.count(rows, 'box')}, {from_} -> {to}, {where}"])
        return ExitCode.DONE

    return settle(work, look)


@app.command(add_help_option=False)
def explain(
    context: typer.Context,
    code: flags.Code = None,
    json: flags.Json = False,
    color: flags.Color = "auto",
    debug: flags.Debug = False,
    help_: flags.Help = False,
) -> int:
    """Say what the code of a message means: its cause and its remedy.

    Examples:
      bboxconv explain output-exists
    """
    look = usage.Look("explain", json=json, color=usage.color(color), debug=debug)

    def work() -> ExitCode:
        from bboxconv import codes
        from bboxconv.cli import ui

        known = codes.catalogue() if code is None else {code: codes.explain(code)}
        if look.json:
            ui.publish(codes.document(known), look)
        else:
            ui.say(codes.lines(known, ui.width(sys.stdout)), sys.stdout)
        return ExitCode.DONE

    return settle(work, look)


def show_usage(context: typer.Context) -> int:
    """Show the help of a command that was called without what it needs."""
    sys.stderr.write(flags.help_of(context))
    return ExitCode.USAGE


def waits_for_typing(paths: Sequence[str]) -> bool:
    """Whether a path is standard input, and that is a terminal."""
    return "-" in paths and sys.stdin.isatty()
