"""The flags of `bboxconv diff` alone, beside those of flags.py."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bboxconv.cli import usage
from bboxconv.cli.flags import FORMATS, IMAGES

COMPARED = "What is the same"

SideA = Annotated[str, typer.Argument(metavar="A", help="A data set: a file, a folder, or - for stdin.")]
SideB = Annotated[str, typer.Argument(metavar="B", help="The one to compare it with.")]
FromSides = Annotated[
    list[str] | None,
    typer.Option(
        "--from",
        "-f",
        metavar=" FORMAT",
        rich_help_panel=FORMATS,
        help="Format of both; given twice, of A and of B; else found by their content.",
    ),
]
InSides = Annotated[
    list[str] | None,
    typer.Option(
        "--in",
        metavar=" KEY=VALUE",
        rich_help_panel=FORMATS,
        help="Option of the format read; a.KEY=VALUE or b.KEY=VALUE is for one side alone.",
    ),
]
SideImages = Annotated[
    Path | None,
    typer.Option(
        "--images",
        callback=usage.path,
        metavar=" DIR",
        rich_help_panel=IMAGES,
        help="Folder of the images, for their sizes: needed where one side has pixels, the other fractions.",
    ),
]
Iou = Annotated[
    str,
    typer.Option(
        "--iou",
        metavar=" IOU",
        rich_help_panel=COMPARED,
        help="The least IoU of two boxes that are taken for one that moved or changed its size or class [0.5].",
    ),
]
Tolerance = Annotated[
    str | None,
    typer.Option(
        "--tolerance",
        metavar=" PIXELS",
        rich_help_panel=COMPARED,
        help="How far an edge may be off in boxes that are the same; else as far as the decimals written explain.",
    ),
]
