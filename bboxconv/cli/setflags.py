"""The flags of the commands that make data sets of others, beside those of `convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bboxconv.cli import usage

SET = "The new data set"

Into = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", metavar=" OUT", rich_help_panel=SET, help="What to write: a file, a folder, or - for stdout."
    ),
]
Seed = Annotated[
    str,
    typer.Option(
        "--seed",
        metavar=" N",
        rich_help_panel=SET,
        help="Another number gives another choice; the same one the same [0].",
    ),
]
OnClash = Annotated[
    str,
    typer.Option(
        "--on-clash",
        metavar=" error|prefix",
        rich_help_panel=SET,
        help="Images of one name in several sources: refused (error), or all names get the name of their source before "
        "them (prefix).",
    ),
]
Prefix = Annotated[
    list[str] | None,
    typer.Option(
        "--prefix",
        metavar=" TEXT",
        rich_help_panel=SET,
        help="What --on-clash prefix puts before the names, such as a/; once for each source, in their order.",
    ),
]
IdMap = Annotated[
    Path | None,
    typer.Option(
        "--id-map",
        callback=usage.path,
        metavar=" FILE",
        rich_help_panel=SET,
        help="Write which ids became which, as csv or Parquet.",
    ),
]
Train = Annotated[
    str | None,
    typer.Option("--train", metavar=" PART", rich_help_panel=SET, help="The part of the images for train [0.8]."),
]
Val = Annotated[
    str | None,
    typer.Option("--val", metavar=" PART", rich_help_panel=SET, help="The part for val [0.1]."),
]
Test = Annotated[
    str | None,
    typer.Option("--test", metavar=" PART", rich_help_panel=SET, help="The part for test [0.1]."),
]
GroupBy = Annotated[
    str | None,
    typer.Option(
        "--group-by",
        metavar=" KEY",
        rich_help_panel=SET,
        help="Keep images together that have the same video, folder or extra.KEY.",
    ),
]
GroupRegex = Annotated[
    str | None,
    typer.Option(
        "--group-regex",
        metavar=" REGEX",
        rich_help_panel=SET,
        help="Keep images together in whose names this finds the same; its first group counts, where it has one.",
    ),
]
NoStratify = Annotated[
    bool,
    typer.Option(
        "--no-stratify", rich_help_panel=SET, help="Do not look at the classes; else each split has its share."
    ),
]
Count = Annotated[
    str | None, typer.Option("--count", "-n", metavar=" N", rich_help_panel=SET, help="Choose so many images.")
]
Fraction = Annotated[
    str | None,
    typer.Option(
        "--fraction", metavar=" PART", rich_help_panel=SET, help="Choose this part of the images, such as 0.1."
    ),
]
Stratify = Annotated[
    bool, typer.Option("--stratify", rich_help_panel=SET, help="Let every class have the same share as in SRC.")
]
KeepEmpty = Annotated[
    bool,
    typer.Option(
        "--keep-empty",
        rich_help_panel=SET,
        help="Keep images that lose all their boxes; else they are left out, as they would pass for background.",
    ),
]
Source = Annotated[
    str | None,
    typer.Argument(metavar="SRC", help="What to read: a file, a folder, split=path, or - for stdin."),
]
Expression = Annotated[
    str, typer.Argument(metavar="EXPRESSION", help="What is true of the boxes, or the images, to keep.")
]
