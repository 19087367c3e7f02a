"""Parquet: both layouts to the last bit and back, the same bytes from any batches, every refusal."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers import batch as made

from bboxconv import schema
from bboxconv.boxes import BoxFormat
from bboxconv.codec import ReadContext, Source, WriteContext
from bboxconv.errors import DataError, Findings
from bboxconv.formats import parquet
from bboxconv.schema import Category, Dataset, Header

HEADER = Header(
    BoxFormat("xywh"),
    (Category("cat", 7, "pet", '{"color": [1]}'), Category("dog"), Category("cat", 9)),
    info='{"year": 2017}',
    extra='{"scene": {}}',
    source="coco",
    switches={"origin": "0"},
)
LAYOUTS = pytest.mark.parametrize("layout", ["images", "boxes"])


def everything() -> pa.RecordBatch:
    """Five images: every field filled and an object of nulls, nobody looked, background, odd numbers, nobody
    looked.
    """
    box = np.array([[0.1, -0.0, 1e300, 5.0], [0, 0, 0, 0], [np.nan, np.inf, 3, 4]])
    some = np.array([True, False, True])
    columns = {
        "id": pa.array([1, None, 2**63 - 1], pa.int64()),
        "category": pa.array([1, None, 2], pa.int32()),
        "bbox": schema.bbox_array(box, some),
        "shape": schema.shape_array(np.array([3, 0, 10], np.int8), some),
        "score": pa.array([0.30000000000000004, None, np.nan], from_pandas=False),
        "area": pa.array([12.5, None, 0.0]),
        "iscrowd": pa.array([True, None, False]),
        "difficult": pa.array([False, None, None]),
        "ignore": pa.array([True, None, None]),
        "truncated": pa.array([0.5, None, None]),
        "occluded": pa.array([2.0, None, None]),
        "rotation": pa.array([-1.5, None, None]),
        "track_id": pa.array([5, None, None], pa.int64()),
        "segmentation": pa.array(["[[1, 2.0,\n 3]]", None, '"é"']),
        "keypoints": pa.array(["[1,2,2]", None, None]),
        "extra": pa.array(['{"pose":"Left"}', None, None]),
    }
    images = {
        "id": pa.array([7, None, None, 8, None], pa.int64()),
        "file_name": pa.array(["a.jpg", "b", "c", "d", None]),
        "width": pa.array([640, None, 1, None, None], pa.int32()),
        "height": pa.array([480, None, 1, None, None], pa.int32()),
        "split": pa.array(["train", None, "val", None, None]),
        "video": pa.array(["v", None, None, None, None]),
        "frame": pa.array([3, None, None, None, None], pa.int32()),
        "extra": pa.array(['{"license": 1}', None, None, None, None]),
    }
    looked = np.array([True, False, True, True, False])
    return schema.image_batch(images, np.array([0, 2, 2, 2, 3, 3]), schema.object_rows(columns, 3), looked)


def written(
    path: Path, *batches: pa.RecordBatch, layout: str = "images", size: int = 4096, header: Header = HEADER
) -> bytes:
    """The bytes that the writer makes of some batches."""
    parquet.write(header, batches, path, WriteContext(header.box, options={"layout": layout}, batch_size=size))
    return path.read_bytes()


def load(path: Path, size: int = 4096) -> Dataset:
    """The data set of a file."""
    return parquet.read(Source(path, name=path.name), ReadContext(batch_size=size))


def same(table: pa.Table, *batches: pa.RecordBatch) -> bool:
    """Whether two lots of images are the same to the last bit, in text, as Arrow takes no NaN for another."""
    other = pa.Table.from_batches(batches, schema=schema.IMAGE)
    return table.schema == other.schema and repr(table.to_pylist()) == repr(other.to_pylist())


@LAYOUTS
@pytest.mark.parametrize("size", [1, 2, 4096])
def test_way_back(tmp_path: Path, layout: str, size: int) -> None:
    """Both layouts give header and images again: nulls, NaN, empty and absent lists, text as it was."""
    written(tmp_path / "a.parquet", everything(), everything(), layout=layout, size=size)
    dataset = load(tmp_path / "a.parquet", size)
    assert dataset.header == HEADER
    assert same(dataset.to_table(), everything(), everything())
    assert same(dataset.to_table(), everything(), everything())  # and again
    assert max(map(len, dataset)) <= size
    assert same(load(tmp_path / "a.parquet", 3).to_table(), everything(), everything())


@LAYOUTS
@pytest.mark.parametrize(("compression", "codec"), [("snappy", "SNAPPY"), ("none", "UNCOMPRESSED"), ("zstd", "ZSTD")])
def test_compression(tmp_path: Path, layout: str, compression: str, codec: str) -> None:
    """Every column is compressed as `compression` says, and what is read back is the same."""
    options = {"layout": layout, "compression": compression}
    context = WriteContext(HEADER.box, options=options, batch_size=2)
    parquet.write(HEADER, [everything(), everything()], tmp_path / "a.parquet", context)
    footer = pq.read_metadata(tmp_path / "a.parquet")
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    assert {group.column(number).compression for group in groups for number in range(group.num_columns)} == {codec}
    assert same(load(tmp_path / "a.parquet").to_table(), everything(), everything())


@LAYOUTS
def test_nothing(tmp_path: Path, layout: str) -> None:
    """A data set without images is a file with a header."""
    written(tmp_path / "a.parquet", layout=layout)
    dataset = load(tmp_path / "a.parquet")
    assert (dataset.header, len(dataset.to_table())) == (HEADER, 0)


@LAYOUTS
def test_bytes_do_not_depend_on_batches(tmp_path: Path, layout: str) -> None:
    """The same images in batches of any length give the same bytes, in row groups of the size asked for."""
    many = [everything()] * 4
    whole = pa.Table.from_batches(many).combine_chunks().to_batches()[0]
    wanted = written(tmp_path / "a.parquet", *many, layout=layout, size=8)
    assert written(tmp_path / "b.parquet", whole, layout=layout, size=8) == wanted
    assert written(tmp_path / "c.parquet", *(whole.slice(n, 1) for n in range(20)), layout=layout, size=8) == wanted
    footer = pq.read_metadata(tmp_path / "a.parquet")
    groups = [pq.ParquetFile(tmp_path / "a.parquet").read_row_group(n) for n in range(footer.num_row_groups)]
    assert [len(group if layout == "images" else set(group["image"].to_pylist())) for group in groups] == [8, 8, 4]


def test_columns_of_images(tmp_path: Path) -> None:
    """The default layout has the columns of the model; the box format is in field and footer, JSON columns are
    text.
    """
    written(tmp_path / "a.parquet", everything())
    table = pq.read_table(tmp_path / "a.parquet")
    assert table.column_names == schema.IMAGE.names
    assert [field.name for field in table.schema.field("objects").type.value_type] == list(schema.OBJECT_FIELDS)
    assert [item["bbox"] for item in table["objects"].to_pylist()[0]] == [[0.1, -0.0, 1e300, 5.0], [None] * 4]
    item = table.schema.field("objects").type.value_type
    assert item.field("bbox").metadata == {b"box": b"xywh"}
    assert item.field("segmentation").metadata == table.schema.field("extra").metadata == {b"content": b"json"}
    assert json.loads(table.schema.metadata[b"bboxconv"]) == {
        "bboxconv": 1,
        "box": "xywh",
        "categories": [
            {"id": 7, "name": "cat", "supercategory": "pet", "extra": {"color": [1]}},
            {"name": "dog"},
            {"id": 9, "name": "cat"},
        ],
        "info": {"year": 2017},
        "extra": {"scene": {}},
        "source": "coco",
        "switches": {"origin": "0"},
        "layout": "images",
    }
    column = pq.read_metadata(tmp_path / "a.parquet").row_group(0).column(1)
    assert (column.compression, column.is_stats_set) == ("ZSTD", True)


@pytest.mark.parametrize(("kind", "names"), [("xywh", "x y w h"), ("xyxy", "x1 y1 x2 y2"), ("cxcywh", "cx cy w h")])
def test_columns_of_boxes(tmp_path: Path, kind: str, names: str) -> None:
    """The other layout has a row for each box with named numbers, and one for an image without objects."""
    header = Header(BoxFormat.parse(kind), HEADER.categories)
    written(tmp_path / "a.parquet", everything(), layout="boxes", header=header)
    table = pq.read_table(tmp_path / "a.parquet")
    first = [
        "image",
        "image_id",
        "file_name",
        "width",
        "height",
        "split",
        "video",
        "frame",
        "image_extra",
        "annotated",
        "object",
    ]
    rest = "shape score area iscrowd difficult ignore truncated occluded rotation track_id segmentation keypoints extra"
    assert table.column_names == [
        *first,
        "box_id",
        "category",
        "category_index",
        "category_id",
        *names.split(),
        *rest.split(),
    ]
    assert table.schema.field(names.split()[0]).metadata == {b"box": kind.encode()}
    columns = ["image", "file_name", "annotated", "object", "category", "category_index", "category_id"]
    assert list(zip(*(table[name].to_pylist() for name in columns), strict=True)) == [
        (0, "a.jpg", True, True, "dog", 1, None),
        (0, "a.jpg", True, True, None, None, None),
        (1, "b", False, False, None, None, None),
        (2, "c", True, False, None, None, None),
        (3, "d", True, True, "cat", 2, 9),
        (4, None, False, False, None, None, None),
    ]
    assert table[names.split()[2]].to_pylist() == [1e300, None, None, None, 3, None]


@LAYOUTS
def test_columns_in_another_order(tmp_path: Path, layout: str) -> None:
    """Columns are found by name; other widths of text and further columns do no harm; images may pass row groups."""
    written(tmp_path / "a.parquet", everything(), layout=layout)
    table = pq.read_table(tmp_path / "a.parquet").append_column(
        "more", pa.array([0] * (5 if layout == "images" else 6))
    )
    table = table.select(table.column_names[::-1])
    place = table.column_names.index("file_name")
    table = table.set_column(place, "file_name", table["file_name"].cast(pa.large_string()))
    pq.write_table(table, tmp_path / "b.parquet", row_group_size=1)
    assert same(load(tmp_path / "b.parquet").to_table(), everything())


def test_split(tmp_path: Path) -> None:
    """A split that the caller names is that of all images."""
    written(tmp_path / "a.parquet", everything())
    dataset = parquet.read(Source(tmp_path / "a.parquet", split="test"), ReadContext())
    assert dataset.to_table()["split"].to_pylist() == ["test"] * 5


@LAYOUTS
def test_folder(tmp_path: Path, layout: str) -> None:
    """A folder is read file by file in the order of the names; one with other classes is refused."""
    written(tmp_path / "b.parquet", everything().slice(2), layout=layout)
    written(tmp_path / "a.parquet", everything().slice(0, 2), layout=layout)
    (tmp_path / "notes.txt").write_text("x")
    assert same(load(tmp_path).to_table(), everything())
    match = parquet.detect(tmp_path, b"")
    assert match is not None
    assert match.weight == 1.0
    written(tmp_path / "c.parquet", header=Header(BoxFormat("xyxy")))
    with pytest.raises(DataError, match=f"header-differs.*\n  {tmp_path.name}/c.parquet"):
        load(tmp_path)


def test_foreign_file(tmp_path: Path) -> None:
    """A Parquet file that bboxconv did not write is refused with that reason."""
    pq.write_table(pa.table({"x": [1]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="not-bboxconv-parquet"):
        load(tmp_path / "a.parquet")
    match = parquet.detect(tmp_path / "a.parquet", b"PAR1")
    assert match is not None
    assert match.weight == 0.3


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_truncated_file(tmp_path: Path, keep: int) -> None:
    """A file that ends too early is refused, not taken for a small one."""
    path = tmp_path / "a.parquet"
    path.write_bytes(written(path, everything())[:keep])
    with pytest.raises(DataError, match=r"bad-parquet.*\n  a.parquet: "):
        load(path).to_table()


def test_damaged_pages(tmp_path: Path) -> None:
    """Damage behind a good footer is found when the images are read."""
    path = tmp_path / "a.parquet"
    data = bytearray(written(path, everything()))
    data[4:200] = bytes(196)
    path.write_bytes(data)
    with pytest.raises(DataError, match="bad-parquet"):
        load(path).to_table()


def lie(path: Path, table: pa.Table, layout: str) -> None:
    """Write a table under the footer of a good file."""
    written(path, everything(), layout=layout)
    footer = {b"bboxconv": pq.read_metadata(path).metadata[b"bboxconv"]}
    pq.write_table(table.replace_schema_metadata(footer), path)


@LAYOUTS
def test_lying_footer(tmp_path: Path, layout: str) -> None:
    """Columns that are missing or of another type, and rows of one image that stand apart, are a clear error."""
    path = tmp_path / "a.parquet"
    written(path, everything(), layout=layout)
    good = pq.read_table(path)
    lie(path, good.drop_columns(["width"]), layout)
    with pytest.raises(DataError, match="column 'width' is missing"):
        load(path).to_table()
    place = good.column_names.index("width")
    lie(path, good.set_column(place, "width", pa.array(["wide"] * len(good))), layout)
    with pytest.raises(DataError, match="columns are not those that bboxconv writes"):
        load(path).to_table()
    if layout == "boxes":
        lie(path, good.take([0, 2, 1, 3, 4, 5]), layout)
        with pytest.raises(DataError, match="do not stand together"):
            load(path).to_table()
        lie(
            path,
            good.set_column(good.column_names.index("category_index"), "category_index", pa.array([3] * 6)),
            layout,
        )
        with pytest.raises(DataError, match="not one of the 3 of the header"):
            load(path).to_table()


def test_later_version(tmp_path: Path) -> None:
    """A file of a later version is refused with the advice to upgrade."""
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": [1]}).replace_schema_metadata({"bboxconv": '{"bboxconv":2}'}), path)
    with pytest.raises(DataError, match="newer-version"):
        load(path)


def test_detect(tmp_path: Path) -> None:
    """Our key in the footer is proof; what is no Parquet is none."""
    path = tmp_path / "a"
    head = written(path, everything())[:64]
    match = parquet.detect(path, head)
    assert match is not None
    assert (match.weight, match.evidence) == (1.0, "Parquet with the footer key bboxconv")
    path.write_bytes(b"PAR1 and no more")
    broken = parquet.detect(path, b"PAR1 and no more")
    assert broken is not None
    assert broken.weight == 0.5
    path.write_text("{}")
    assert parquet.detect(path, b"{}") is None
    (tmp_path / "folder").mkdir()
    assert parquet.detect(tmp_path / "folder", b"") is None


def test_what_was_read_is_held_once(tmp_path: Path) -> None:
    """Once a row group is read nothing of its pages is held beside it; and a large one comes in batches."""
    texts = [json.dumps(np.random.default_rng(row).random(100).tolist()) for row in range(2000)]
    batch = made([{"id": row, "objects": [{"segmentation": text}]} for row, text in enumerate(texts)])
    written(tmp_path / "a.parquet", batch)
    del batch
    before = pa.total_allocated_bytes()
    dataset = load(tmp_path / "a.parquet", 2000)
    assert dataset.parts is not None
    batches = next(iter(dataset.parts()))(Findings())
    found = next(batches)
    assert found.nbytes > 4_000_000
    assert pa.total_allocated_bytes() - before < 1.2 * found.nbytes
    assert [len(one) for one in load(tmp_path / "a.parquet", 700)] == [700, 700, 600]
