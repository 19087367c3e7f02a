"""The flags of the commands that draw, as flags.py has those of all."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bboxconv.cli import flags, usage

DRAWN = "What is drawn"

PictureOutput = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        metavar=" FILE|FOLDER/",
        rich_help_panel=flags.OUTPUT,
        help="A contact sheet (.png, .jpg), or a folder, which gets a picture for each image.",
    ),
]
DrawnImages = Annotated[
    Path | None,
    typer.Option(
        "--images",
        callback=usage.path,
        metavar=" DIR",
        rich_help_panel=flags.IMAGES,
        help="Folder of the images to draw on; else where the data set has them.",
    ),
]
Pick = Annotated[
    str,
    typer.Option(
        "--pick",
        metavar=" HOW",
        rich_help_panel=DRAWN,
        help="Which images: random, first, worst (most boxes at fault, then most that overlap), class=NAME, "
        "finding=CODE [random].",
    ),
]
PickCount = Annotated[
    str, typer.Option("--count", metavar=" N", rich_help_panel=DRAWN, help="How many images at most [16].")
]
PickSeed = Annotated[
    str,
    typer.Option("--seed", metavar=" N", rich_help_panel=DRAWN, help="Other images for another number [0]."),
]
Each = Annotated[
    bool,
    typer.Option("--each", rich_help_panel=DRAWN, help="Single pictures: the output is a folder, whatever its name."),
]
