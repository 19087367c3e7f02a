"""The sizes of images that `--image-sizes` names."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from bboxconv import io, sizes
from bboxconv.errors import Findings, UsageError
from bboxconv.request import Request
from bboxconv.sources import open_sources
from bboxconv.suggest import for_missing
from bboxconv.workers import Workers

_TABLES = (".csv", ".tsv", ".txt", ".parquet")


def size_table(request: Request, workers: Workers) -> sizes.SizeTable | None:
    """The table of `--image-sizes`: a csv or Parquet table, or any data set that can be read; None without it."""
    if request.image_sizes is None:
        return None
    path = Path(request.image_sizes)
    with io.given_file(path):
        there = path.exists()
    if not there:
        raise UsageError.of("path-not-found", f"--image-sizes: there is no {path}", hint=for_missing(path))
    if path.is_file() and io.base_suffix(path) in _TABLES:
        try:
            return sizes.from_table(path, request.max_expansion)
        except UsageError:
            if io.base_suffix(path) != ".parquet":
                raise
    with ExitStack() as stack:
        asked = Request((request.image_sizes,), max_expansion=request.max_expansion)
        other = open_sources(asked, Findings(), stack, workers)
        return sizes.from_dataset(batch for dataset in other.datasets for batch in dataset)
