"""The flags of the command line, declared once. Values stay text here; usage.py reads them: errors have one shape."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, cast

import typer

from bboxconv.cli import helptext, usage

FORMATS = "Formats"
CLASSES = "Classes"
IMAGES = "Images and sizes"
FAULTS = "Faults and loss"
OUTPUT = "Output"
WORK = "Work"
SHOWN = "What is shown"


def show_help(context: typer.Context, wanted: bool) -> None:
    """Write the help of this command to stdout and exit."""
    if wanted and not context.resilient_parsing:
        sys.stdout.write(help_of(context))
        raise typer.Exit


def help_of(context: typer.Context) -> str:
    """The help of the command of this context."""
    command = context.command
    commands = getattr(command, "commands", {})
    about = {name: (sub.help or "").split("\n\n")[0].replace("\n", " ").rstrip(".") for name, sub in commands.items()}
    params = cast("list[usage.Parameter]", command.params)
    return helptext.page(context.command_path, command.help or "", params, about, helptext.columns())


def show_version(wanted: bool) -> None:
    """Write name and version to stdout and exit."""
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - slow to load

        sys.stdout.write(f"bboxconv {version('bboxconv')}\n")
        raise typer.Exit


def show_script(shell: str | None) -> None:
    """Write the completion script of a shell to stdout and exit."""
    if shell is not None:
        from bboxconv.cli.completion import SCRIPTS  # noqa: PLC0415 - wanted once

        sys.stdout.write(SCRIPTS[usage.choice("--completion", shell, tuple(SCRIPTS))])
        raise typer.Exit


Help = Annotated[
    bool, typer.Option("--help", "-h", is_eager=True, callback=show_help, help="Show this help.", rich_help_panel=SHOWN)
]

Sources = Annotated[
    list[str] | None,
    typer.Argument(metavar="SRC...", help="What to read: a file, a folder, split=path, or - for stdin."),
]
Destination = Annotated[str, typer.Argument(metavar="DST", help="What to write: a file, a folder, or - for stdout.")]

From = Annotated[
    str | None,
    typer.Option(
        "--from",
        "-f",
        metavar=" FORMAT",
        rich_help_panel=FORMATS,
        help="Format of the sources; else found by their content.",
    ),
]
To = Annotated[
    str | None,
    typer.Option(
        "--to",
        "-t",
        metavar=" FORMAT",
        rich_help_panel=FORMATS,
        help="Format of DST; else found by its name.",
    ),
]
In = Annotated[
    list[str] | None,
    typer.Option(
        "--in",
        metavar=" KEY=VALUE",
        rich_help_panel=FORMATS,
        help="Option of the format read; 'bboxconv formats NAME' lists them.",
    ),
]
Out = Annotated[
    list[str] | None,
    typer.Option(
        "--out",
        metavar=" KEY=VALUE",
        rich_help_panel=FORMATS,
        help="Option of the format written.",
    ),
]
Box = Annotated[
    str | None,
    typer.Option(
        "--box",
        metavar=" BOX",
        rich_help_panel=FORMATS,
        help="Box format to write, where the format takes any (csv, Parquet, JSON Lines): "
        "xyxy, xywh, cxcywh, xyxyn ...",
    ),
]
Split = Annotated[
    list[str] | None,
    typer.Option("--split", metavar=" NAME", rich_help_panel=FORMATS, help="Read this split only; may be given again."),
]

Classes = Annotated[
    Path | None,
    typer.Option(
        "--classes",
        callback=usage.path,
        metavar=" FILE",
        rich_help_panel=CLASSES,
        help="Class names, one a line, or a data.yaml: pins their order.",
    ),
]
ClassMap = Annotated[
    list[str] | None,
    typer.Option(
        "--class-map",
        metavar=" OLD=NEW",
        rich_help_panel=CLASSES,
        help="Rename or merge a class; or a csv or yaml file of such pairs.",
    ),
]
IncludeClass = Annotated[
    list[str] | None,
    typer.Option(
        "--include-class", metavar=" NAME", rich_help_panel=CLASSES, help="Keep only this class; may be given again."
    ),
]
ExcludeClass = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude-class", metavar=" NAME", rich_help_panel=CLASSES, help="Leave this class out; may be given again."
    ),
]
DefaultClass = Annotated[
    str | None,
    typer.Option("--default-class", metavar=" NAME", rich_help_panel=CLASSES, help="Class of boxes that have none."),
]

Images = Annotated[
    Path | None,
    typer.Option(
        "--images",
        callback=usage.path,
        metavar=" DIR",
        rich_help_panel=IMAGES,
        help="Folder of the images: for sizes, and for --out images=copy or link.",
    ),
]
ReadImages = Annotated[
    Path | None,
    typer.Option(
        "--images",
        callback=usage.path,
        metavar=" DIR",
        rich_help_panel=IMAGES,
        help="Folder of the images: for their sizes.",
    ),
]
ImageSizes = Annotated[
    str | None,
    typer.Option(
        "--image-sizes",
        metavar=" FILE",
        rich_help_panel=IMAGES,
        help="Image sizes from a csv, Parquet, or any data set that bboxconv reads.",
    ),
]
ImageSize = Annotated[
    str | None,
    typer.Option(
        "--image-size", metavar=" WxH", rich_help_panel=IMAGES, help="Size of every image that has none, in pixels."
    ),
]
DropEmpty = Annotated[
    bool, typer.Option("--drop-empty", rich_help_panel=IMAGES, help="Leave out images without boxes.")
]
Unannotated = Annotated[
    str,
    typer.Option(
        "--unannotated",
        metavar=" skip|keep",
        rich_help_panel=IMAGES,
        help="Images at which nobody looked: left out (skip), or written as images without boxes.",
    ),
]

OnError = Annotated[
    str,
    typer.Option(
        "--on-error",
        metavar=" fail|skip",
        rich_help_panel=FAULTS,
        help="Records that cannot be read: refuse all (fail), or set them aside and write the rest, exit 3.",
    ),
]
Rejects = Annotated[
    Path | None,
    typer.Option(
        "--rejects",
        callback=usage.path,
        metavar=" FILE.jsonl",
        rich_help_panel=FAULTS,
        help="Where to list the records set aside.",
    ),
]
MaxErrors = Annotated[
    str | None,
    typer.Option("--max-errors", metavar=" N", rich_help_panel=FAULTS, help="Give up after N faults."),
]
MaxExpansion = Annotated[
    str | None,
    typer.Option(
        "--max-expansion",
        metavar=" RATIO",
        rich_help_panel=FAULTS,
        help="Refuse compressed input that unpacks to more than RATIO times its size; 0: never [gzip 250, zstd 2500].",
    ),
]
OnInvalid = Annotated[
    str,
    typer.Option(
        "--on-invalid",
        metavar=" keep|clip|drop|fail",
        rich_help_panel=FAULTS,
        help="Boxes outside their image, or of no size: kept and counted (keep), cut at the edge, left out, refused.",
    ),
]
Strict = Annotated[
    str | None,
    typer.Option(
        "--strict",
        metavar="[=all|FIELD,...]",
        rich_help_panel=FAULTS,
        help="Refuse to lose geometry, labels or flags; all: to lose or change any field; or the fields named.",
    ),
]

Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        rich_help_panel=OUTPUT,
        help="Replace what bboxconv wrote there before; no other file is touched.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", rich_help_panel=OUTPUT, help="Do everything but write.")]
Verify = Annotated[
    bool,
    typer.Option(
        "--verify",
        rich_help_panel=OUTPUT,
        help="Read the output back and compare it with the sources before it is put in place.",
    ),
]
Output = Annotated[str, typer.Argument(metavar="DST", help="What was written: a file or a folder.")]
ReportFile = Annotated[
    Path | None,
    typer.Option(
        "--report",
        callback=usage.path,
        metavar=" FILE",
        rich_help_panel=OUTPUT,
        help="Write the account of the run as JSON.",
    ),
]
Json = Annotated[
    bool, typer.Option("--json", rich_help_panel=OUTPUT, help="Write the account of the run to stdout as JSON.")
]

BatchSize = Annotated[
    str,
    typer.Option(
        "--batch-size", metavar=" N", rich_help_panel=WORK, help="Images held, flushed and grouped together [4096]."
    ),
]
Jobs = Annotated[
    str, typer.Option("--jobs", "-j", metavar=" N", rich_help_panel=WORK, help="Processes; 0 is one per core [0].")
]
Memory = Annotated[
    str,
    typer.Option(
        "--memory",
        metavar=" SIZE",
        rich_help_panel=WORK,
        help="Budget for data held, such as 512MiB or 1GB; beyond it, data goes to disk [256MiB].",
    ),
]

Quiet = Annotated[
    int,
    typer.Option(
        "--quiet", "-q", count=True, rich_help_panel=SHOWN, help="No progress and no summary; -qq: no warnings."
    ),
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", rich_help_panel=SHOWN, help="Every place, field and switch; no progress bar.")
]
Color = Annotated[
    str,
    typer.Option(
        "--color",
        metavar=" auto|always|never",
        rich_help_panel=SHOWN,
        help="Colour [auto: terminals only; NO_COLOR and FORCE_COLOR count].",
    ),
]
Debug = Annotated[
    bool, typer.Option("--debug", rich_help_panel=SHOWN, help="Show the traceback of an unexpected error.")
]

Version = Annotated[
    bool,
    typer.Option("--version", is_eager=True, callback=show_version, rich_help_panel=SHOWN, help="Show the version."),
]
Completion = Annotated[
    str | None,
    typer.Option(
        "--completion",
        is_eager=True,
        callback=show_script,
        metavar=" bash|zsh|fish",
        rich_help_panel=SHOWN,
        help='Show the completion script of a shell; eval "$(bboxconv --completion bash)" sets it up.',
    ),
]

FormatName = Annotated[
    str | None, typer.Argument(metavar="[NAME]", help="Show all of one format: what it loses, its options.")
]
Code = Annotated[
    str | None, typer.Argument(metavar="[CODE]", help="The word in brackets of a message; without it, all are listed.")
]
SchemaName = Annotated[str, typer.Argument(metavar="[NAME]", help="report: what --json and --report write.")]
RowsIn = Annotated[
    str, typer.Argument(metavar="[SRC]", help="Rows of numbers: a text or npy file, or - for stdin [-].")
]
RowsOut = Annotated[str, typer.Argument(metavar="[DST]", help="A text or npy file, or - for stdout [-].")]
FromBox = Annotated[
    str | None,
    typer.Option(
        "--from",
        "-f",
        metavar=" BOX",
        rich_help_panel=FORMATS,
        help="Box format of the rows: xyxy, xywh, cxcywh, with n for fractions; corner, center, voc, yolo ...",
    ),
]
ToBox = Annotated[
    str | None, typer.Option("--to", "-t", metavar=" BOX", rich_help_panel=FORMATS, help="Box format to write.")
]
BoxImageSize = Annotated[
    str | None,
    typer.Option(
        "--image-size",
        metavar=" WxH",
        rich_help_panel=FORMATS,
        help="Image size in pixels; needed between pixels and fractions.",
    ),
]
Column = Annotated[
    str,
    typer.Option(
        "--column",
        metavar=" N",
        rich_help_panel=FORMATS,
        help="Where the four numbers begin in a row; other columns stay [1].",
    ),
]
