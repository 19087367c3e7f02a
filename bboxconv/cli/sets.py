"""The commands that make data sets of others: united, split, sampled and filtered."""
# ruff: noqa: PLC0415 - as in commands.py

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import typer

from bboxconv.cli import flags, setflags, usage
from bboxconv.cli.reporting import app as app
from bboxconv.cli.sharing import Given, converts, run

if TYPE_CHECKING:
    from bboxconv.codec import Progress
    from bboxconv.report import Report
    from bboxconv.request import Request
    from bboxconv.sets.merging import OnClash


@app.command(add_help_option=False)
@converts
def merge(
    context: typer.Context,
    sources: flags.Sources = None,
    output: setflags.Into = None,
    on_clash: setflags.OnClash = "error",
    prefix: setflags.Prefix = None,
    id_map: setflags.IdMap = None,
    **given: Unpack[Given],
) -> int:
    """Make one data set of several: the same name is the same class, and ids that clash become new ones.

    Examples:
      bboxconv merge ours.json theirs.json -o all.json
      bboxconv merge voc/ coco/ -o all/ --to yolo --on-clash prefix
      bboxconv merge a.json b.json -o all.json --id-map ids.csv
    """

    def work(asked: Request, progress: Progress) -> Report:
        from bboxconv.sets import running

        clash: OnClash = usage.choice("--on-clash", on_clash, ("error", "prefix"))
        return running.merge(asked, clash, tuple(prefix or ()), id_map, progress)

    return run(context, sources or (), output, given, work, (id_map,))


@app.command(add_help_option=False)
@converts
def split(
    context: typer.Context,
    source: flags.Sources = None,
    output: setflags.Into = None,
    train: setflags.Train = None,
    val: setflags.Val = None,
    test: setflags.Test = None,
    seed: setflags.Seed = "0",
    group_by: setflags.GroupBy = None,
    group_regex: setflags.GroupRegex = None,
    no_stratify: setflags.NoStratify = False,
    **given: Unpack[Given],
) -> int:
    """Divide a data set into train, val and test, each with its share of every class.

    Examples:
      bboxconv split all.json -o yolo/ --to yolo
      bboxconv split all.json -o coco/ --train 0.8 --val 0.2 --seed 1
      bboxconv split frames.json -o coco/ --group-by video
      bboxconv split frames.json -o coco/ --group-regex '^(.*)_[0-9]+'

    Groups of images, such as the frames of a video, stay together. What cannot be as it was asked for is said.
    """

    def work(asked: Request, progress: Progress) -> Report:
        from bboxconv.sets import running

        parts = {
            name: usage.part(f"--{name}", part)
            for name, part in (("train", train), ("val", val), ("test", test))
            if part is not None
        }
        number = usage.whole("--seed", seed, 0)
        return running.split(asked, parts, number, group_by, group_regex, stratify=not no_stratify, progress=progress)

    return run(context, source or (), output, given, work)


@app.command(add_help_option=False)
@converts
def sample(
    context: typer.Context,
    source: flags.Sources = None,
    output: setflags.Into = None,
    count: setflags.Count = None,
    fraction: setflags.Fraction = None,
    seed: setflags.Seed = "0",
    stratify: setflags.Stratify = False,
    **given: Unpack[Given],
) -> int:
    """Choose some images of a data set at random.

    Examples:
      bboxconv sample instances.json -o small.json -n 1000
      bboxconv sample instances.json -o tenth.json --fraction 0.1 --stratify
    """

    def work(asked: Request, progress: Progress) -> Report:
        from bboxconv.sets import running

        number = None if count is None else usage.whole("--count", count, 1)
        part = None if fraction is None else usage.part("--fraction", fraction)
        return running.sample(asked, number, part, usage.whole("--seed", seed, 0), stratify=stratify, progress=progress)

    return run(context, source or (), output, given, work)


@app.command(add_help_option=False)
@converts
def filter(
    context: typer.Context,
    source: setflags.Source = None,
    expression: setflags.Expression = "",
    output: setflags.Into = None,
    keep_empty: setflags.KeepEmpty = False,
    **given: Unpack[Given],
) -> int:
    """Keep the boxes, or the images, of which an expression is true.

    Examples:
      bboxconv filter a.json "category in ('dog', 'cat')" -o pets.json
      bboxconv filter a.json "area > 32*32 and not iscrowd" -o large.json
      bboxconv filter a.json "width >= 640 and boxes > 2" -o some.json

    Of an image: file_name, width, height, split, video, frame, image_id, boxes (how many it has). Of a box: category,
    x1, y1, x2, y2, box_width, box_height, area, relative_area, aspect_ratio, score, iscrowd, difficult, ignore,
    truncated, occluded, rotation, shape, track_id, id. Sizes are pixels.

    As in SQL: = != < <= > >= + - * /, and, or, not, in (...), between, like 'a%', matches 'REGEX', is null; what is
    compared with null is not true. An image that loses all its boxes is left out; with an expression of columns of
    images alone, images are kept whole.
    """

    def work(asked: Request, progress: Progress) -> Report:
        from bboxconv.sets import running

        return running.filter(asked, expression, keep_empty=keep_empty, progress=progress)

    return run(context, (source,) if source is not None else (), output, given, work)
