"""`bboxconv.report_page`: the page, for a program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path

from bboxconv.page.run import PageReport, write
from bboxconv.request import Request


def report_page(
    src: str | PathLike[str] | Sequence[str | PathLike[str]],
    page: str | PathLike[str],
    *,
    dst: str | PathLike[str] | None = None,
    from_: str | None = None,
    to: str | None = None,
    in_: Mapping[str, str] | None = None,
    out: Mapping[str, str] | None = None,
    box: str | None = None,
    split: Sequence[str] = (),
    classes: str | PathLike[str] | None = None,
    images: str | PathLike[str] | None = None,
    image_sizes: str | PathLike[str] | None = None,
    image_size: tuple[int, int] | None = None,
    thumbnails: int | None = None,
    batch_size: int = 4096,
    jobs: int = 1,
    memory: int = 256 << 20,
    max_expansion: float | None = None,
    overwrite: bool = False,
) -> PageReport:
    """Write a page about a data set, as `bboxconv report` does; the options are its flags.

    `src` is a path, `split=path`, or several of them; `page` the HTML file to write. `dst` is what a conversion made
    of `src`, by `to`, `out` and `box` where its name does not say them: the page then has the account of what it
    carries. `thumbnails` is how many images get a picture: None is all where there are at most 1,000, else those
    beside findings. The other options are those of `bboxconv.convert`. `image_size` is (width, height) in pixels;
    `jobs` 0 is one process for each core; `memory` is in bytes.

    Returns what the page has. Raises UsageError for a call that is wrong, DataError where a side cannot be read at all
    or the two cannot be compared, and OutputError where reading or writing fails.
    """
    paths = (src,) if isinstance(src, str | PathLike) else src
    request = Request(
        tuple(fspath(path) for path in paths),
        dst="" if dst is None else fspath(dst),
        from_=from_,
        to=to,
        in_=in_ or {},
        out=out or {},
        box=box,
        split=tuple(split),
        classes=None if classes is None else Path(classes),
        images=None if images is None else Path(images),
        image_sizes=None if image_sizes is None else fspath(image_sizes),
        image_size=image_size,
        batch_size=batch_size,
        jobs=jobs,
        memory=memory,
        max_expansion=max_expansion,
    )
    return write(request, Path(page), thumbnails, overwrite=overwrite)
