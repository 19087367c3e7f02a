"""Row groups put together: what pyarrow reads from the whole is what it wrote in the parts."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bboxconv.formats.parquet.footer import MAGIC, cut, moved

OPTIONS: list[dict[str, object]] = [
    {},
    {"compression": "zstd", "write_page_index": True},
    {"use_dictionary": False, "write_statistics": False, "data_page_size": 200},
    {"data_page_version": "2.0", "version": "2.6", "row_group_size": 7},
    {"sorting_columns": [pq.SortingColumn(0)], "store_schema": False},
]


def part(seed: int) -> pa.Table:
    random = np.random.default_rng(seed)
    return pa.table(
        {
            "n": np.arange(seed * 100, seed * 100 + 50),
            "x": pa.array(random.random(50), mask=random.random(50) < 0.3),
            "s": [f"text {i % 7}" * (i % 5) for i in range(50)],
            "l": [[{"a": i, "b": None if i % 3 else [1.5] * i}] * (i % 4) for i in range(50)],
            "m": pa.array([[("k", i)] for i in range(50)], pa.map_(pa.string(), pa.int64())),
            "f": random.random(50) < 0.5,
        }
    )


@pytest.mark.parametrize("options", OPTIONS)
def test_parts_make_a_whole(options: dict[str, object], tmp_path: Path) -> None:
    """Files that were written apart are one file, whatever a footer holds; statistics and page indexes say the same."""
    parts = [part(seed) for seed in range(5)]
    whole: pq.FileMetaData | None = None
    path = tmp_path / "whole.parquet"
    with path.open("wb") as file:
        file.write(MAGIC)
        for table in parts:
            sink = io.BytesIO()
            pq.write_table(table, sink, **options)
            columns, footer = cut(memoryview(sink.getvalue()))
            here = moved(footer, file.tell() - len(MAGIC))
            file.write(columns)
            if whole is None:
                whole = here
            else:
                whole.append_row_groups(here)
        assert whole is not None
        end = io.BytesIO()
        whole.write_metadata_file(end)
        file.write(end.getvalue()[len(MAGIC) :])
    assert pq.read_table(path).equals(pa.concat_tables(parts))
    found = pq.ParquetFile(path)
    at = 0
    for number in range(found.num_row_groups):
        group = found.read_row_group(number)
        assert group["n"].to_pylist() == [n for one in parts for n in one["n"].to_pylist()][at : at + len(group)]
        at += len(group)
        statistics = found.metadata.row_group(number).column(0).statistics
        if statistics is not None:
            assert (statistics.min, statistics.max) == (group["n"][0].as_py(), group["n"][-1].as_py())


def test_every_offset_moves_and_nothing_else() -> None:
    """All that a footer says of a row group stays, but for where its columns begin."""
    sink = io.BytesIO()
    pq.write_table(part(1), sink, write_page_index=True)
    _, footer = cut(memoryview(sink.getvalue()))
    before, after = (moved(footer, by).row_group(0).to_dict() for by in (0, 1 << 40))
    for old, new in zip(before.pop("columns"), after.pop("columns"), strict=True):
        for key in ("data_page_offset", "dictionary_page_offset", "file_offset"):
            assert new.pop(key) == (old[key] and old[key] + (1 << 40)), key
            old.pop(key)
        assert str(old) == str(new)
    assert before == after
