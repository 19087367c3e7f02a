"""The library: images with their boxes drawn on them. Pillow is loaded where that is asked for: it is an extra."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING

from bboxconv.codec import Progress, silent
from bboxconv.drawing.account import Drawing, Plan
from bboxconv.errors import UsageError
from bboxconv.picking import Pick
from bboxconv.request import Request

if TYPE_CHECKING:
    from collections.abc import Mapping


def draw(
    src: str | PathLike[str] | Sequence[str | PathLike[str]],
    output: str | PathLike[str],
    *,
    images: str | PathLike[str] | None = None,
    pick: str = "random",
    count: int = 16,
    seed: int = 0,
    each: bool = False,
    from_: str | None = None,
    in_: Mapping[str, str] | None = None,
    split: Sequence[str] = (),
    classes: str | PathLike[str] | None = None,
    include_class: Sequence[str] = (),
    exclude_class: Sequence[str] = (),
    image_sizes: str | PathLike[str] | None = None,
    image_size: tuple[int, int] | None = None,
    batch_size: int = 4096,
    jobs: int = 1,
    max_expansion: float | None = None,
    overwrite: bool = False,
) -> Drawing:
    """Draw the boxes of some images, as `bboxconv draw` does; the options are its flags.

    `output` is a .png or .jpg file, which becomes a contact sheet, or a folder (its name ends with /, it exists as one,
    or `each` is given), which gets a picture for each image. `pick` is `random`, `first`, `worst`, `class=NAME` or
    `finding=CODE`; the other options are as for `bboxconv.convert`.

    Returns what was drawn. Raises UsageError for a call that is wrong, or where Pillow is not installed, DataError
    where there is nothing to draw, and OutputError where reading or writing fails.
    """
    texts = (fspath(src),) if isinstance(src, str | PathLike) else tuple(fspath(one) for one in src)
    request = Request(
        texts,
        dst=fspath(output),
        from_=from_,
        in_=dict(in_ or {}),
        classes=None if classes is None else Path(classes),
        include_class=tuple(include_class),
        exclude_class=tuple(exclude_class),
        split=tuple(split),
        images=None if images is None else Path(images),
        image_sizes=None if image_sizes is None else fspath(image_sizes),
        image_size=image_size,
        batch_size=batch_size,
        jobs=jobs,
        max_expansion=max_expansion,
        overwrite=overwrite,
    )
    if count < 1:
        raise UsageError.of("bad-argument", f"count is a whole number from 1, not {count}")
    return draw_request(request, Plan(Pick.parse(pick), count, seed, each))


def draw_request(request: Request, plan: Plan, progress: Progress = silent) -> Drawing:
    """As `drawing.run.run`. Raises UsageError where Pillow is not installed."""
    try:
        from bboxconv.drawing.run import run  # noqa: PLC0415 - an extra
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "PIL":
            raise
        hint = "pip install 'bboxconv[draw]' installs it"
        raise UsageError.of("missing-library", "this needs Pillow, which is not installed", hint=hint) from error
    return run(request, plan, progress)
