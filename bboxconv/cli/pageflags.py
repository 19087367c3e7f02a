"""The flags that `bboxconv report` alone has, as those of flags.py."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bboxconv.cli import flags, usage

Sources = Annotated[
    list[str] | None,
    typer.Argument(metavar="SRC...", help="What to read: a file, a folder, or split=path."),
]
Converted = Annotated[
    str,
    typer.Argument(
        metavar="[DST]", help="What a conversion made of SRC: the last of several, unless it is split=path."
    ),
]
Page = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        callback=usage.path,
        metavar=" FILE.html",
        rich_help_panel=flags.OUTPUT,
        help="The page to write; - for stdout.",
    ),
]
Thumbnails = Annotated[
    str | None,
    typer.Option(
        "--thumbnails",
        metavar=" N",
        rich_help_panel=flags.IMAGES,
        help="How many images get a picture [all up to 1000, else those beside findings].",
    ),
]
Images = Annotated[
    Path | None,
    typer.Option(
        "--images",
        callback=usage.path,
        metavar=" DIR",
        rich_help_panel=flags.IMAGES,
        help="Folder of the images: for pictures and sizes.",
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", rich_help_panel=flags.OUTPUT, help="Replace the page.")]
Json = Annotated[
    bool, typer.Option("--json", rich_help_panel=flags.OUTPUT, help="Write what the page has to stdout as JSON.")
]
