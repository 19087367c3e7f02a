"""Image sizes from tables, data sets and the headers of images."""

from __future__ import annotations

import gzip
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import bboxconv
from bboxconv.errors import BboxconvError, UsageError
from bboxconv.schema import image_batch, object_rows
from bboxconv.sizes import SizeTable, fill, from_dataset, from_images, from_table

WHOLE = "  hint: a whole number from 1 to 2147483647"
COLUMNS = "  hint: a size table has the columns filename,width,height"
Pairs = list[tuple[int | None, int | None]]


def pairs(sizes: tuple[pa.Int32Array, pa.Int32Array]) -> Pairs:
    """Widths and heights side by side."""
    assert [column.type for column in sizes] == [pa.int32(), pa.int32()]
    return list(zip(*(column.to_pylist() for column in sizes), strict=True))


def looked_up(table: SizeTable, *names: str | None) -> Pairs:
    """The sizes of some names."""
    return pairs(table.lookup(pa.array(names, pa.string())))


def images(**columns: list[str | int | None]) -> pa.RecordBatch:
    """A batch of images without boxes."""
    kinds = {"file_name": pa.string(), "width": pa.int32(), "height": pa.int32(), "id": pa.int64()}
    arrays = {name: pa.array(values, kinds[name]) for name, values in columns.items()}
    length = len(next(iter(arrays.values())))
    return image_batch(arrays, np.zeros(length + 1, np.int64), object_rows({}, 0))


def png(width: int, height: int) -> bytes:
    """The start of a PNG file: signature and IHDR (W3C PNG, 5.2 and 11.2.1)."""
    ihdr = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + ihdr + struct.pack(">I", zlib.crc32(ihdr))


def jpeg(width: int, height: int, orientation: int) -> bytes:
    """The start of a JPEG file: SOI, APP1 with the Exif tag 274 (orientation), SOF0 (ITU-T T.81, B.2.2)."""
    tiff = b"MM\0*" + struct.pack(">I", 8) + struct.pack(">HHHIHHI", 1, 274, 3, 1, orientation, 0, 0)
    exif = b"Exif\0\0" + tiff
    frame = struct.pack(">BHHB", 8, height, width, 3) + b"\1\x22\0\2\x11\1\3\x11\1"
    segments = [(b"\xff\xe1", exif), (b"\xff\xc0", frame)]
    return (
        b"\xff\xd8" + b"".join(mark + struct.pack(">H", len(body) + 2) + body for mark, body in segments) + b"\xff\xd9"
    )


class TestTable:
    """`--image-sizes` with a csv or Parquet file."""

    @pytest.mark.parametrize(
        "text",
        [
            b"filename,width,height\na.jpg,640,480\nb.jpg,1,2\n",
            b"\xef\xbb\xbfFile_Name;class;Image Width;IMAGE-HEIGHT\r\na.jpg;x;640;480\r\n\r\nb.jpg;y;1.0;2.0\r\n",
            b"h\tw\timage\n480\t640\ta.jpg\n2\t1\tb.jpg",
            b"\na.jpg,640,480\nb.jpg,1,2",
            b'path,w,h\n"a.jpg", 640, 480\na.jpg,640,480\nb.jpg,1,2\nc.jpg,,3\nd.jpg,NaN,nan\n',
            gzip.compress(b"name,w,h\na.jpg,640,480\nb.jpg,1,2\n"),
        ],
    )
    def test_usual_spellings(self, tmp_path: Path, text: bytes) -> None:
        """Columns are found by the usual spellings in any order, with commas, semicolons or tabs, or without a
        header.
        """
        path = tmp_path / "sizes.csv"
        path.write_bytes(text)
        assert looked_up(from_table(path), "b.jpg", "a.jpg", "c.jpg", "d.jpg", None) == [
            (1, 2),
            (640, 480),
            (None, None),
            (None, None),
            (None, None),
        ]

    @pytest.mark.parametrize("kind", [pa.int64(), pa.uint16(), pa.float64(), pa.string()])
    def test_parquet(self, tmp_path: Path, kind: pa.DataType) -> None:
        """Parquet columns of any numeric type or of text are read; a null is a size that is not given."""
        path = tmp_path / "sizes.parquet"
        widths, heights = pa.array([640, None]).cast(kind), pa.array([480, 5]).cast(kind)
        pq.write_table(pa.table({"file_name": ["a", "b"], "x": [[1], []], "width": widths, "height": heights}), path)
        assert looked_up(from_table(path), "a", "b") == [(640, 480), (None, None)]

    def test_image_ids(self, tmp_path: Path) -> None:
        """A table by image id serves images by id and, as a name, by the stem of their file."""
        path = tmp_path / "sizes.csv"
        path.write_text("image_id,width,height\n7,640,480\n8,1,2\n")
        table = from_table(path)
        assert pairs(table.lookup_ids(pa.array([8, None, 9, 7]))) == [(1, 2), (None, None), (None, None), (640, 480)]
        assert looked_up(table, "train/7.jpg") == [(640, 480)]

    def test_ids_that_are_no_integers_are_names(self, tmp_path: Path) -> None:
        """Image ids of letters, as Open Images has, are names of files without extension."""
        path = tmp_path / "sizes.csv"
        path.write_text("ImageID,Width,Height\n000a1249af2bc5f0,640,480\n")
        assert looked_up(from_table(path), "000a1249af2bc5f0.jpg") == [(640, 480)]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (b"name,w,h\n\na,1,2\n\nb,x,2\n", "'x' is no width in pixels\n  {}:5\n" + WHOLE),
            (b"name,w,h\r\na,1,2\r\nb,1,?\r\n", "'?' is no height in pixels\n  {}:3\n" + WHOLE),
            (b"a,1,-2\n", "'-2' is no height in pixels\n  {}:1\n" + WHOLE),
            (b"a,1,2\nb,0,2", "'0' is no width in pixels\n  {}:2\n" + WHOLE),
            (b"a,1,2147483648", "'2147483648' is no height in pixels\n  {}:1\n" + WHOLE),
            (b"a,99999999999999999999,1", "'99999999999999999999' is no width in pixels\n  {}:1\n" + WHOLE),
            (b"a,640.5,1", "'640.5' is no width in pixels\n  {}:1\n" + WHOLE),
            (b"name,w,h\na,1\n", "a row has 2 columns, not 3\n  {}:2\n" + COLUMNS),
            (
                b"name,breite,h\na,1,2\n",
                "the table has no column width; it has 'name', 'breite', 'h'\n  {}\n" + COLUMNS,
            ),
            (
                b"",
                "the table has no column filename and no width and no height; it has nothing\n  {}\n" + COLUMNS,
            ),
            (b"name,w,h\na,1,2\n\xff,1,2\n", "the file is not UTF-8 text\n  {}:3\n  hint: save it as UTF-8"),
        ],
    )
    def test_what_is_refused(self, tmp_path: Path, text: bytes, message: str) -> None:
        """A table that lacks a column or holds a side that is no size is refused with the line."""
        path = tmp_path / "sizes.csv"
        path.write_bytes(text)
        with pytest.raises(UsageError) as caught:
            from_table(path)
        assert str(caught.value) == "error[bad-size-table]: " + message.format(path)

    def test_a_side_in_parquet_has_a_row(self, tmp_path: Path) -> None:
        """A faulty side in a Parquet file is refused with its row."""
        path = tmp_path / "sizes.parquet"
        pq.write_table(pa.table({"name": ["a", "b"], "w": [1, -1], "h": [1, 1]}), path)
        with pytest.raises(UsageError) as caught:
            from_table(path)
        assert caught.value.diagnostics[0].where == (f"{path}: row 1",)

    def test_two_sizes_of_one_name(self, tmp_path: Path) -> None:
        """A name with two sizes is refused with the line of the second."""
        path = tmp_path / "sizes.csv"
        path.write_text("name,w,h\na,1,2\nb,,\na,1,2\na,2,1\n")
        with pytest.raises(UsageError) as caught:
            from_table(path)
        assert str(caught.value) == f"error[size-conflict]: 'a' has two sizes: 1x2 and 2x1\n  {path}:5"

    def test_a_missing_file_and_a_broken_one(self, tmp_path: Path) -> None:
        """A file that is missing, or is no Parquet, is a usage error."""
        path = tmp_path / "sizes.parquet"
        for code in ("path-not-found", "bad-size-table"):
            with pytest.raises(UsageError) as caught:
                from_table(path)
            assert [(d.code, d.where) for d in caught.value.diagnostics] == [(code, (str(path),))]
            path.write_bytes(b"no parquet at all")

    def test_an_empty_table_knows_nothing(self, tmp_path: Path) -> None:
        """A header without rows is a table without sizes."""
        path = tmp_path / "sizes.csv"
        path.write_text("name,w,h\n")
        assert looked_up(from_table(path), "a") == [(None, None)]


class TestLookup:
    """Which name matches which."""

    TABLE = from_dataset(
        [
            images(file_name=["x/a.jpg", "y/a.jpg", "x/b.png"], width=[1, 2, 3], height=[10, 20, 30], id=[1, 2, 3]),
            images(file_name=["d\\e.v1.JPG", None, "f.jpg"], width=[4, 5, None], height=[40, 50, 60], id=[4, 5, 6]),
        ]
    )

    @pytest.mark.parametrize(
        ("name", "size"),
        [
            ("y/a.jpg", (2, 20)),  # whole
            ("x\\a.jpg", (1, 10)),
            ("y/a", (2, 20)),  # without extension
            ("y/a.png", (2, 20)),
            ("z/b.png", (3, 30)),  # last part
            ("z/b.txt", (None, None)),
            ("b", (3, 30)),  # last part without extension
            ("/data/e.v1", (4, 40)),
            ("e", (None, None)),  # ".v1" is no extension of an image
            ("a.jpg", (None, None)),  # two sizes
            ("f.jpg", (None, None)),  # no width
        ],
    )
    def test_from_the_whole_name_to_the_stem(self, name: str, size: tuple[int | None, int | None]) -> None:
        """The whole name decides, then looser forms, each only where it gives one size."""
        assert looked_up(self.TABLE, name) == [size]

    def test_by_id(self) -> None:
        """Images are found by id too, those without a size are not."""
        assert pairs(self.TABLE.lookup_ids(pa.array([6, 5, 1]))) == [(None, None), (5, 50), (1, 10)]

    def test_two_sizes_of_one_name_in_data_are_none(self) -> None:
        """A name or id that a data set gives twice with different sizes is not used; with equal sizes it is."""
        table = from_dataset(
            [images(file_name=["a", "a", "b", "b"], width=[1, 2, 3, 3], height=[1, 1, 3, 3], id=[1, 1, 2, 2])]
        )
        assert looked_up(table, "a", "b") == [(None, None), (3, 3)]
        assert pairs(table.lookup_ids(pa.array([1, 2]))) == [(None, None), (3, 3)]

    def test_no_batch_knows_nothing(self) -> None:
        """A data set without images has no size for anything."""
        assert looked_up(from_dataset([]), "a") == [(None, None)]
        assert looked_up(from_dataset([images(file_name=[])])) == []


class TestImages:
    """Sizes from the headers of images."""

    def found(self, *names: str | None, folder: Path, exif: bool = True) -> Pairs:
        """The sizes of the images of these names in a folder."""
        return pairs(from_images(pa.array(names, pa.string()), [folder], exif=exif))

    def test_name_then_last_part(self, tmp_path: Path) -> None:
        """An image is found by its name below the folder, else by the last part of it."""
        (tmp_path / "sub").mkdir()
        (tmp_path / "sub/a.png").write_bytes(png(640, 480))
        (tmp_path / "a.png").write_bytes(png(1, 2))
        assert self.found("sub/a.png", "a.png", "other/a.png", "b.png", None, "", folder=tmp_path) == [
            (640, 480),
            (1, 2),
            (1, 2),
            (None, None),
            (None, None),
            (None, None),
        ]

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_exif_orientation(self, tmp_path: Path, orientation: int) -> None:
        """Orientations 5 to 8 turn the image on its side; `exif=False` gives the stored size."""
        (tmp_path / "a.jpg").write_bytes(jpeg(640, 480, orientation))
        assert self.found("a.jpg", folder=tmp_path) == [(480, 640) if orientation >= 5 else (640, 480)]
        assert self.found("a.jpg", folder=tmp_path, exif=False) == [(640, 480)]

    @pytest.mark.parametrize(
        ("labels", "stored"),
        [
            ("labels/train", "images/train"),
            ("labels/x/labels", "labels/x/images"),
            ("train/labels", "train/images"),
            ("VOC2007/Annotations", "VOC2007/JPEGImages"),
            ("annotations", "images"),
            ("train", "train/images"),
        ],
    )
    def test_images_beside_labels(self, tmp_path: Path, labels: str, stored: str) -> None:
        """Images are found in the folder that stands beside the labels."""
        (tmp_path / labels).mkdir(parents=True)
        (tmp_path / stored).mkdir(parents=True)
        (tmp_path / stored / "a.png").write_bytes(png(640, 480))
        assert self.found("a.png", folder=tmp_path / labels) == [(640, 480)]

    def test_a_name_without_extension(self, tmp_path: Path) -> None:
        """A stem takes the one image of that stem, whatever else has it, and nothing where there are two."""
        for name in ("a.v1.PNG", "b.png", "b.jpg"):
            (tmp_path / name).write_bytes(png(640, 480))
        (tmp_path / "a.v1.txt").write_text("0 0 0 0 0")
        assert self.found("a.v1", "b", "c", "sub/a.v1", folder=tmp_path) == [
            (640, 480),
            (None, None),
            (None, None),
            (640, 480),
        ]

    def test_files_that_are_no_images(self, tmp_path: Path) -> None:
        """A broken image, a folder, a pipe and an image beyond 32 bits have no size."""
        (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff")
        (tmp_path / "empty.jpg").write_bytes(b"")
        (tmp_path / "folder.jpg").mkdir()
        os.mkfifo(tmp_path / "pipe.jpg")
        (tmp_path / "huge.png").write_bytes(png(2**31, 1))
        names = ("broken.jpg", "empty.jpg", "folder.jpg", "pipe.jpg", "huge.png")
        assert self.found(*names, folder=tmp_path) == [(None, None)] * 5

    def test_names_do_not_lead_out_of_the_folder(self, tmp_path: Path) -> None:
        """A name that leads out of the folder, or an absolute one, is looked for by its last part alone."""
        (tmp_path / "in").mkdir()
        (tmp_path / "out.png").write_bytes(png(1, 2))
        (tmp_path / "both.png").write_bytes(png(1, 2))
        (tmp_path / "in/both.png").write_bytes(png(640, 480))
        names = ("../out.png", str(tmp_path / "out.png"), "../both.png", "x\0.png", "http://localhost/out.png")
        assert self.found(*names, folder=tmp_path / "in") == [
            (None, None),
            (None, None),
            (640, 480),
            (None, None),
            (None, None),
        ]


class TestFill:
    """Sizes that a batch lacks."""

    def test_table_then_fixed_size(self) -> None:
        """What the batch has stays; the rest comes by name, by id where there is no name, and then from the fixed
        size.
        """
        table = from_dataset([images(file_name=["a", "b", None], width=[1, 2, 3], height=[10, 20, 30], id=[1, 2, 3])])
        batch = images(
            file_name=["a", "b", None, "z", "a"],
            id=[9, 9, 3, 1, 9],
            width=[7, None, None, None, None],
            height=[7, None, None, None, 8],
        )
        filled, count = fill(batch, table, (640, 480), [], True)
        assert count == 4
        assert filled["width"].to_pylist() == [7, 2, 3, 640, 1]
        assert filled["height"].to_pylist() == [7, 20, 30, 480, 8]
        assert filled.schema == batch.schema
        assert filled.drop_columns(["width", "height"]).equals(batch.drop_columns(["width", "height"]))

    def test_images_come_last(self, tmp_path: Path) -> None:
        """Headers of images are read where the table has no size, and what nobody knows stays null."""
        for name in ("a.png", "b.png"):
            (tmp_path / name).write_bytes(png(640, 480))
        table = from_dataset([images(file_name=["a.png"], width=[1], height=[2])])
        filled, count = fill(images(file_name=["a.png", "b.png", "c.png", None]), table, None, [tmp_path], True)
        assert count == 2
        assert filled["width"].to_pylist() == [1, 640, None, None]
        assert filled["height"].to_pylist() == [2, 480, None, None]

    def test_the_exif_switch_is_handed_on(self, tmp_path: Path) -> None:
        """`exif` False gives sizes as stored."""
        (tmp_path / "a.jpg").write_bytes(jpeg(640, 480, 6))
        for exif, width in ((True, 480), (False, 640)):
            filled, _ = fill(images(file_name=["a.jpg"]), None, None, [tmp_path], exif)
            assert filled["width"].to_pylist() == [width]

    def test_a_slice_is_filled_as_a_slice(self) -> None:
        """A slice of a batch gets the sizes of its own images."""
        table = from_dataset([images(file_name=["a", "b"], width=[1, 2], height=[1, 2])])
        filled, count = fill(images(file_name=["a", "b", "c"]).slice(1, 2), table, None, [], True)
        assert (count, filled["width"].to_pylist()) == (1, [2, None])

    def test_a_batch_with_every_size_is_handed_back(self) -> None:
        """Where nothing is missing nothing is done."""
        batch = images(file_name=["a"], width=[1], height=[1])
        assert fill(batch, None, (2, 2), [], True) == (batch, 0)
        assert fill(batch, None, (2, 2), [], True)[0] is batch


@pytest.mark.parametrize("order", ["as in the table", "sorted", "apart"])
def test_sizes_do_not_depend_on_where_names_stand(tmp_path: Path, order: str) -> None:
    """Every name has its own size, whether the names of a batch stand together in the table or far apart."""
    rng = np.random.default_rng(3)
    known = {f"{number:04}\u00e9.jpg": (1 + number, 9_000 - number) for number in rng.permutation(3_000).tolist()}
    rows = [(name, *size) for name, size in known.items()]
    path = tmp_path / "sizes.parquet"
    pq.write_table(pa.table(dict(zip(("file_name", "width", "height"), zip(*rows, strict=True), strict=True))), path)
    table = from_table(path)
    names = [*known] if order == "as in the table" else sorted(known)
    names = names[::50] if order == "apart" else names
    for start in range(0, len(names), 100):
        some = [*names[start : start + 100], None, "none.jpg"]
        wanted = [known.get(name or "", (None, None)) for name in some]
        assert looked_up(table, *some) == wanted
    assert looked_up(table, None) == [(None, None)]


@pytest.mark.parametrize(
    ("source", "codes"),
    [('{"images": [', ("truncated-json",)), ('{"images": [], "annotations": []}', ("read-failed", "path-not-found"))],
)
def test_a_table_that_cannot_be_looked_for(tmp_path: Path, source: str, codes: tuple[str, ...]) -> None:
    """Its name is too long for a file, which some Pythons take for one that is not there; sources are told first."""
    (tmp_path / "a.json").write_text(source)
    table = tmp_path / ("x" * 300 + ".csv")
    with pytest.raises(BboxconvError) as caught:
        bboxconv.convert(tmp_path / "a.json", tmp_path / "b.jsonl", from_="coco", image_sizes=table)
    assert [found.code for found in caught.value.diagnostics if found.code in codes]
    assert len(caught.value.diagnostics) == 1
