"""Merge, split, sample and filter as runs: from a request to its report."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from bboxconv import jsontext, pipeline, staging
from bboxconv.codec import Progress, silent
from bboxconv.errors import Findings, UsageError
from bboxconv.report import Command, Report
from bboxconv.request import Request
from bboxconv.sets.census import Grouping
from bboxconv.sets.filtering import Filtering
from bboxconv.sets.merging import Merging, OnClash
from bboxconv.sets.sampling import Sampling
from bboxconv.sets.splitting import Splitting, checked
from bboxconv.sources import named


def merge(
    request: Request,
    on_clash: OnClash = "error",
    prefixes: tuple[str, ...] = (),
    id_map: Path | None = None,
    progress: Progress = silent,
) -> Report:
    """Make one data set of all sources; `id_map` takes what became of the ids, as csv or Parquet.

    Raises as `pipeline.run`, and DataError `source-name-clash`.
    """
    if prefixes and on_clash != "prefix":
        message = "--prefix is for --on-clash prefix"
        raise UsageError.of("option-conflict", message, hint="--on-clash prefix --prefix a/ --prefix b/")
    if id_map is not None:
        _prove_map(id_map, request)
    merging = Merging(on_clash, prefixes)
    if id_map is None or request.dry_run:
        return _run(request, "merge", merging, progress)
    with ExitStack() as stack:
        within = Path(request.dst).resolve() in id_map.resolve().parents  # a folder that must not exist before
        report = _run(request, "merge", merging, progress) if within else None
        stage = stack.enter_context(staging.staged(id_map, "file", overwrite=request.overwrite))
        report = report or _run(request, "merge", merging, progress)  # after it, so that no data lacks its map
        _write(merging.table(), stage, id_map.suffix.lower())
    return report


def _prove_map(path: Path, request: Request) -> None:
    if path.suffix.lower() not in (".csv", ".parquet"):
        message = f"--id-map takes a file that ends in .csv or .parquet, not {path.name!r}"
        raise UsageError.of("bad-option-value", message)
    data = {Path(source).resolve() for source in (*(named(text)[1] for text in request.sources), request.dst) if source}
    if path.resolve() in data:
        raise UsageError.of("report-is-data", "--id-map names a source or DST", where=str(path))
    staging.refuse_existing(path, "file", overwrite=request.overwrite)


def _write(table: pa.Table, path: Path, suffix: str) -> None:
    if suffix == ".parquet":
        pyarrow.parquet.write_table(table, path)
        return
    with path.open("wb") as file:  # Arrow writes names in quotes, and what was in memory where they are left out
        file.write(",".join(table.column_names).encode() + b"\n")
        for batch in table.to_batches():
            file.write(jsontext.joined(_lines(batch)))


def _lines(batch: pa.RecordBatch) -> pa.StringArray:
    """The rows of a csv file."""
    source = batch.column("source")
    quoted = pc.binary_join_element_wise('"', pc.replace_substring(source, '"', '""'), '"', "")
    source = pc.if_else(pc.match_substring_regex(source, '[",\\r\\n]'), quoted, source)
    others = [batch.column(name).cast(pa.string()) for name in ("kind", "old_id", "new_id")]
    return pc.binary_join_element_wise(pc.binary_join_element_wise(source, *others, ","), "\n", "")


def split(
    request: Request,
    parts: Mapping[str, Fraction],
    seed: int = 0,
    group_by: str | None = None,
    group_regex: str | None = None,
    *,
    stratify: bool = True,
    progress: Progress = silent,
) -> Report:
    """Put every image into a split; `parts` are the part of each, 0.8, 0.1 and 0.1 where there are none.

    Raises as `pipeline.run`.
    """
    grouping = Grouping.of(group_by, group_regex)
    return _run(request, "split", Splitting(checked(parts), seed, grouping, stratify), progress)


def sample(
    request: Request,
    count: int | None = None,
    fraction: Fraction | None = None,
    seed: int = 0,
    *,
    stratify: bool = False,
    progress: Progress = silent,
) -> Report:
    """Choose so many images, or this fraction of them. Raises as `pipeline.run`."""
    return _run(request, "sample", Sampling(count, fraction, seed, stratify), progress)


def filter(request: Request, expression: str, *, keep_empty: bool = False, progress: Progress = silent) -> Report:
    """Keep what the expression is true of. Raises as `pipeline.run`, and UsageError for what is wrong in it."""
    return _run(request, "filter", Filtering(expression, keep_empty), progress)


def _run(request: Request, command: Command, choose: pipeline.Choose, progress: Progress) -> Report:
    report = replace(pipeline.run(request, progress, choose=choose), command=command)
    if report.written.images or not report.left_out_images:
        return report
    findings = Findings()
    message = "no image is left: the output has none"
    findings.add("nothing-left", message, severity="warning", where=request.dst)
    return replace(report, findings=(*report.findings, *findings))
