"""pandas, Polars and DuckDB read both layouts of our Parquet and our csv, without a line of ours, and see the source's
boxes; and what they hold is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bboxconv
from bboxconv.report import Report

Convert = Callable[..., Report]
Load = Callable[[Path], Any]
Boxes = dict[str, list[list[float]]]
Rows = list[dict[str, Any]]

SOURCES = ["coco_mini/instances_val2017.json", "coco_mini/person_keypoints_val2017.json", "taco/annotations.json"]


def pandas_rows(path: Path) -> Rows:
    """The rows of a Parquet file through pandas."""
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    rows: Rows = pandas.read_parquet(path).astype(object).to_dict("records")
    return rows


def polars_rows(path: Path) -> Rows:
    """The rows of a Parquet file through Polars."""
    polars = pytest.importorskip("polars", reason="Polars is not installed (extra: peers)")
    rows: Rows = polars.read_parquet(path).to_dicts()
    return rows


def duckdb_rows(path: Path) -> Rows:
    """The rows of a Parquet file through DuckDB."""
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed (extra: peers)")
    result = duckdb.execute("select * from read_parquet(?)", [str(path)])
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


READERS = pytest.mark.parametrize(
    "rows_of", [pandas_rows, polars_rows, duckdb_rows], ids=["pandas", "polars", "duckdb"]
)


def boxes_of(data: dict[str, Any]) -> Boxes:
    """The boxes of a COCO file in its order, by file name."""
    files = {image["id"]: image["file_name"] for image in data["images"]}
    boxes: Boxes = {file: [] for file in files.values()}
    for annotation in data["annotations"]:
        boxes[files[annotation["image_id"]]].append([float(value) for value in annotation["bbox"]])
    return boxes


@READERS
@pytest.mark.parametrize("source", SOURCES)
def test_one_row_per_image(
    real: Path, tmp_path: Path, convert: Convert, load: Load, source: str, rows_of: Callable[[Path], Rows]
) -> None:
    """The default layout has a row for each image with a list of its boxes, to the last bit and possibly empty."""
    data = load(real / source)
    convert(real / source, tmp_path / "boxes.parquet")
    rows = rows_of(tmp_path / "boxes.parquet")
    found = {row["file_name"]: [list(item["bbox"]) for item in row["objects"]] for row in rows}
    assert len(rows) == len(data["images"])
    assert found == boxes_of(data)
    sizes = {row["file_name"]: (row["width"], row["height"], row["id"]) for row in rows}
    assert sizes == {image["file_name"]: (image["width"], image["height"], image["id"]) for image in data["images"]}
    rank = {category["id"]: index for index, category in enumerate(data["categories"])}
    classes = sorted(rank[a["category_id"]] for a in data["annotations"])
    assert sorted(int(item["category"]) for row in rows for item in row["objects"]) == classes


@READERS
@pytest.mark.parametrize("source", SOURCES)
def test_one_row_per_box(
    real: Path, tmp_path: Path, convert: Convert, load: Load, source: str, rows_of: Callable[[Path], Rows]
) -> None:
    """`--out layout=boxes` has a row for each box with columns of numbers, and one of nulls for an empty image."""
    data = load(real / source)
    convert(real / source, tmp_path / "boxes.parquet", out={"layout": "boxes"})
    rows = rows_of(tmp_path / "boxes.parquet")
    wanted = boxes_of(data)
    found: Boxes = {}
    for row in rows:
        box = [row[name] for name in ("x", "y", "w", "h")]
        missing = [value is None or value != value for value in box]  # pandas has NaN for null
        assert len(set(missing)) == 1
        found.setdefault(row["file_name"], []).extend([] if missing[0] else [box])
    assert found == wanted
    assert len(rows) == len(data["annotations"]) + sum(not boxes for boxes in wanted.values())


def test_sql(real: Path, tmp_path: Path, convert: Convert, load: Load) -> None:
    """A question to the boxes layout in SQL needs no function: boxes per class, and images without one."""
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed (extra: peers)")
    data = load(real / "coco_mini/person_keypoints_val2017.json")
    convert(real / "coco_mini/person_keypoints_val2017.json", tmp_path / "boxes.parquet", out={"layout": "boxes"})
    columns = "category, count(*), min(x), max(x + w), sum(area)"
    query = f"select {columns} from read_parquet(?) where x is not null group by category"
    name, count, left, right, area = duckdb.execute(query, [str(tmp_path / "boxes.parquet")]).fetchone()
    boxes = [a["bbox"] for a in data["annotations"]]
    assert (name, count) == ("person", 118)
    assert (left, right) == (min(b[0] for b in boxes), max(b[0] + b[2] for b in boxes))
    assert area == pytest.approx(sum(a["area"] for a in data["annotations"]))
    empty = duckdb.execute(
        "select count(*) from read_parquet(?) where x is null", [str(tmp_path / "boxes.parquet")]
    ).fetchone()
    assert empty == (40,)


def test_polars_unnests(real: Path, tmp_path: Path, convert: Convert, load: Load) -> None:
    """The images layout opens in Polars into a row for each box, and its bbox is an array of four."""
    polars = pytest.importorskip("polars", reason="Polars is not installed (extra: peers)")
    data = load(real / "coco_mini/instances_val2017.json")
    convert(real / "coco_mini/instances_val2017.json", tmp_path / "boxes.parquet")
    frame = polars.scan_parquet(tmp_path / "boxes.parquet").select("file_name", "objects").explode("objects").collect()
    boxes = frame["objects"].struct.field("bbox")
    assert boxes.dtype == polars.Array(polars.Float64, 4)
    # every image of this file has a box; Polars leaves empty lists out of explode since version 2
    assert boxes.arr.get(2).sum() == pytest.approx(sum(a["bbox"][2] for a in data["annotations"]))
    assert len(frame) == 624


@pytest.mark.parametrize("layout", ["images", "boxes"])
def test_pandas_frame_of_a_file(real: Path, tmp_path: Path, convert: Convert, layout: str) -> None:
    """pandas reads a split column and integer sizes, whatever the layout."""
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    sources = [f"{split}={real}/coco_mini/instances_{split}2017.json" for split in ("train", "val")]
    convert(sources, tmp_path / "boxes.parquet", out={"layout": layout})
    frame = pandas.read_parquet(tmp_path / "boxes.parquet")
    images = frame.drop_duplicates("file_name")
    assert images["split"].astype(str).value_counts().to_dict() == {"train": 80, "val": 79}
    assert [str(images[name].dtype) for name in ("width", "height")] == ["int32", "int32"]


def test_polars_and_duckdb_take_a_data_set(real: Path) -> None:
    """A data set that was read goes to Polars and DuckDB through the Arrow C stream, without a file."""
    polars = pytest.importorskip("polars", reason="Polars is not installed (extra: peers)")
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed (extra: peers)")
    dataset = bboxconv.read(real / "bccd/Annotations")
    frame = polars.DataFrame(dataset)
    assert (len(frame), frame["objects"].list.len().sum()) == (364, 4888)
    stream = dataset.to_table()
    count = duckdb.execute("select count(*), sum(len(objects)) from stream where width = 640").fetchone()
    assert count == (364, 4888)
    assert len(stream) == 364


@pytest.mark.parametrize("layout", ["plain", "full"])
@pytest.mark.parametrize("source", SOURCES)
def test_csv(real: Path, tmp_path: Path, convert: Convert, load: Load, source: str, layout: str) -> None:
    """pandas, Polars and DuckDB read the csv and see each box to the last bit, and a row of nulls for an empty
    image."""
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    polars = pytest.importorskip("polars", reason="Polars is not installed (extra: peers)")
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed (extra: peers)")
    data, path = load(real / source), tmp_path / "boxes.csv"
    convert(real / source, path, out={"layout": layout})
    columns = ["file_name", "x", "y", "w", "h"]
    query = f"select {', '.join(columns)} from read_csv(?, header = true, sample_size = -1)"
    tables: list[list[Any]] = [
        pandas.read_csv(path, dtype=str)[columns].values.tolist(),
        [list(row) for row in polars.read_csv(path, infer_schema_length=None).select(columns).rows()],
        [list(row) for row in duckdb.execute(query, [str(path)]).fetchall()],
    ]
    for rows in tables:
        found: Boxes = {}
        for name, *box in rows:
            missing = [value is None or value != value for value in box]
            assert len(set(missing)) == 1
            found.setdefault(name, []).extend([] if missing[0] else [[float(value) for value in box]])
        assert found == boxes_of(data)


@pytest.mark.parametrize("held", ["pandas", "polars", "duckdb", "arrow"])
@pytest.mark.parametrize("source", SOURCES)
def test_what_they_hold_is_written(real: Path, tmp_path: Path, load: Load, source: str, held: str) -> None:
    """A frame of boxes goes through each of them and is written: the boxes of the source, by image and class."""
    polars = pytest.importorskip("polars", reason="Polars is not installed (extra: peers)")
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed (extra: peers)")
    data = load(real / source)
    frame = bboxconv.read(real / source).to_pandas()
    tables: dict[str, Callable[[], Any]] = {
        "pandas": lambda: frame,
        "polars": lambda: polars.from_pandas(frame),
        "duckdb": lambda: duckdb.from_df(frame).project("*"),
        "arrow": lambda: polars.from_pandas(frame).to_arrow(),
    }
    report = bboxconv.write(tables[held](), tmp_path / "a.json")
    written = load(tmp_path / "a.json")
    assert report.boxes == len(data["annotations"])
    assert boxes_of(written) == {name: boxes for name, boxes in boxes_of(data).items() if boxes}
    classes = [{c["id"]: c["name"] for c in document["categories"]} for document in (data, written)]
    by_id = [{a["id"]: a for a in document["annotations"]} for document in (data, written)]
    assert by_id[0].keys() == by_id[1].keys()
    assert all(classes[0][a["category_id"]] == classes[1][by_id[1][i]["category_id"]] for i, a in by_id[0].items())


def test_images_of_polars_and_duckdb_are_written(real: Path, tmp_path: Path, load: Load) -> None:
    """Rows of images that Polars filters and DuckDB selects are written, with the classes and the box format said."""
    polars = pytest.importorskip("polars", reason="Polars is not installed (extra: peers)")
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed (extra: peers)")
    path = real / "coco_mini/instances_val2017.json"
    dataset = bboxconv.read(path)
    names = [category.name for category in dataset.header.categories]
    wide = {image["file_name"] for image in load(path)["images"] if image["width"] == 640}
    wanted = {name: boxes for name, boxes in boxes_of(load(path)).items() if name in wide}
    images = dataset.to_table()
    tables = [polars.DataFrame(dataset).filter(polars.col("width") == 640), duckdb.sql("from images where width = 640")]
    for number, table in enumerate(tables):
        bboxconv.write(table, tmp_path / f"{number}.json", box="xywh", classes=names)
        assert boxes_of(load(tmp_path / f"{number}.json")) == wanted
    assert len(images) == len(dataset.to_table())
