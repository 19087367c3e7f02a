"""Inputs of cases.md that git cannot keep as plain text: bytes that are no text, compressed and binary files, links,
pipes, names that are not UTF-8, deep nesting. Each function makes one in an empty folder and returns its path.
"""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import bboxconv

Maker = Callable[[Path], Path]
MAKERS: dict[tuple[str, str], Maker] = {}
APART: set[tuple[str, str]] = set()
"""Cases that could hang or end the process that reads them."""

COCO = (
    '{"images":[{"id":1,"file_name":"a.jpg","width":100,"height":80},\n'
    '{"id":2,"file_name":"b.jpg","width":100,"height":80}],\n'
    '"annotations":[{"id":1,"image_id":1,"category_id":1,"bbox":[1,2,3,4]},\n'
    '{"id":2,"image_id":2,"category_id":1,"bbox":[5,6,7,8],"note":"plain"}],\n'
    '"categories":[{"id":1,"name":"cat"}]}\n'
)
VOC = (
    "<annotation>\n<filename>{}.jpg</filename>\n<size><width>100</width><height>80</height></size>\n"
    "<object><name>cat</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>4</xmax><ymax>6</ymax></bndbox></object>\n"
    "</annotation>\n"
)
ROW = "0 0.5 0.5 0.2 0.2\n"
YAML = "train: images/train\nval: images/train\nnames: [cat]\n"
HEADER = '{"type":"dataset","bboxconv":1,"box":"xywh","categories":[{"id":1,"name":"cat"}]}\n'
LINE = '{"type":"image","file":"NAME.jpg","width":100,"height":80,"objects":[{"category":0,"bbox":[5,6,7,8]}]}\n'
LINES = HEADER + LINE.replace("NAME", "a") + LINE.replace("NAME", "b")
DEEP = 200_000
BOMB = 64 << 20
"""Bytes that a bomb has when it is unpacked; a thousandth of that on disk."""


def _as(format_: str, name: str, make: Maker, *, apart: bool = False) -> None:
    MAKERS[format_, name] = make
    if apart:
        APART.add((format_, name))


def _bytes(format_: str, name: str, file: str, data: bytes, *, apart: bool = False) -> None:
    """A case that is one file."""

    def make(folder: Path) -> Path:
        (folder / file).write_bytes(data)
        return folder / file

    _as(format_, name, make, apart=apart)


def _tree(format_: str, name: str, files: dict[str, bytes], also: Maker | None = None, *, apart: bool = False) -> None:
    """A case that is a folder of files, and what `also` adds."""

    def make(folder: Path) -> Path:
        for file, data in files.items():
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        if also is not None:
            also(folder)
        return folder

    _as(format_, name, make, apart=apart)


def zstd(data: bytes) -> bytes:
    """Data as a zstd frame."""
    return bytes(pa.compress(data, "zstd", asbytes=True))


def fifo(name: str) -> Maker:
    """Adds a pipe that nobody writes to."""

    def make(folder: Path) -> Path:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(folder / name)
        return folder / name

    return make


def link(name: str, to: str) -> Maker:
    """Adds a symbolic link."""

    def make(folder: Path) -> Path:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(to)
        return folder / name

    return make


def _coco() -> None:
    def odd(name: str, old: str, new: bytes) -> None:
        _bytes("coco", name, f"{name}.json", COCO.encode().replace(old.encode(), new))

    _bytes("coco", "utf-16", "a.json", COCO.encode("utf-16"))
    _bytes("coco", "utf-16-undetected", "a.json", COCO.encode("utf-16"))
    _bytes("coco", "utf-16-be-without-mark", "a.json", COCO.encode("utf-16-be"))
    _bytes("coco", "utf-32", "a.json", COCO.encode("utf-32"))
    odd("latin-1", "b.jpg", b"caf\xe9.jpg")
    odd("latin-1-in-a-key-of-the-top", '"categories"', b'"caf\xe9":1,"categories"')
    odd("latin-1-in-a-class", '"cat"', b'"caf\xe9"')
    odd("latin-1-in-a-note", "plain", b"caf\xe9")
    odd("utf-8-overlong", "b.jpg", b"\xc0\xafb.jpg")
    odd("utf-8-surrogate", "b.jpg", b"\xed\xa0\x80b.jpg")
    odd("nul-bytes", "b.jpg", b"b\0.jpg")
    odd("quotes-deep-in-text", "plain", b'},{\\"bbox\\":[1,2,3,4]}],[' * 100)
    deep = b"[" * DEEP + b"]" * DEEP
    _bytes("coco", "depth-at-the-top", "a.json", COCO.encode().replace(b"{", b'{"info":' + deep + b",", 1), apart=True)
    _bytes("coco", "depth-in-an-element", "a.json", COCO.encode().replace(b'"plain"', deep), apart=True)
    odd("depth-500", '"plain"', b"[" * 500 + b"1" + b"]" * 500)
    packed, small = gzip.compress(COCO.encode()), zstd(COCO.encode())
    _bytes("coco", "gzip", "a.json.gz", packed)
    _bytes("coco", "zstd", "a.json.zst", small)
    half = COCO.encode()[:200], COCO.encode()[200:]
    _bytes("coco", "gzip-in-two-members", "a.json.gz", gzip.compress(half[0]) + gzip.compress(half[1]))
    _bytes("coco", "gzip-cut", "a.json.gz", packed[:-20])
    _bytes("coco", "gzip-damaged", "a.json.gz", packed[:-6] + b"\1\2" + packed[-4:])
    _bytes("coco", "gzip-trailing-garbage", "a.json.gz", packed + b"garbage")
    _bytes("coco", "gzip-in-gzip", "a.json.gz", gzip.compress(packed))
    _bytes("coco", "gzip-empty", "a.json.gz", gzip.compress(b""))
    _bytes("coco", "zstd-cut", "a.json.zst", small[:-10])
    bomb = b" " * BOMB
    _packed_bomb("coco", "gzip-bomb", "a.json.gz", lambda: gzip.compress(COCO.encode()[:-2] + bomb + b"}"))
    _packed_bomb("coco", "zstd-bomb", "a.json.zst", lambda: zstd(COCO.encode()[:-2] + bomb + b"}"))
    _packed_bomb(
        "coco",
        "gzip-bomb-in-a-value",
        "a.json.gz",
        lambda: gzip.compress(COCO.encode()[:-2] + b',"info":"' + bomb + b'"}'),
    )
    _bytes("coco", "zip", "a.json.zip", _zip())
    _bytes("coco", "tar-gz", "a.tar.gz", _tar())
    _as("coco", "fifo", fifo("a.json"))
    _as("coco", "device-zero", link("a.json", "/dev/zero"), apart=True)
    _as("coco", "link-to-a-device", link("a.json", "/dev/null"))
    _as("coco", "link-loop", link("a.json", "a.json"))
    _as("coco", "link-dangling", link("a.json", "nowhere.json"))

    def linked(folder: Path) -> Path:
        (folder / "there.json").write_text(COCO)
        return link("a.json", "there.json")(folder)

    _as("coco", "link-to-a-file", linked)
    _bytes("coco", "name-not-utf-8", os.fsdecode(b"caf\xe9.json"), COCO.encode())
    _bytes(
        "coco",
        "name-of-the-file-with-escapes",
        "\x1b[31mred\n.json",
        COCO.encode().replace(b'"image_id":2', b'"image_id":9'),
    )


def _packed_bomb(format_: str, name: str, file: str, data: Callable[[], bytes]) -> None:
    """A bomb is made when it is asked for."""

    def make(folder: Path) -> Path:
        (folder / file).write_bytes(data())
        return folder / file

    _as(format_, name, make, apart=True)


def _zip() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../instances.json", COCO)
    return data.getvalue()


def _tar() -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        member = tarfile.TarInfo("../../instances.json")
        member.size = len(COCO)
        archive.addfile(member, io.BytesIO(COCO.encode()))
    return data.getvalue()


def _voc() -> None:
    first = {"a.xml": VOC.format("a").encode()}
    second = VOC.format("b").encode()

    def tree(name: str, more: dict[str, bytes], also: Maker | None = None, *, apart: bool = False) -> None:
        _tree("voc", name, {**first, **more}, also, apart=apart)

    deep = b"<x>" * DEEP + b"</x>" * DEEP
    tree("depth", {"b.xml": second.replace(b"<object>", deep + b"<object>")}, apart=True)
    tree("text-of-11-mb", {"b.xml": second.replace(b"<name>cat", b"<name>" + b"c" * (11 << 20))}, apart=True)
    many = b"".join(b' k%d="v"' % n for n in range(5000))
    tree("attributes-many", {"b.xml": second.replace(b"<object>", b"<x" + many + b"/><object>")})
    lists = {"Annotations/a.xml": first["a.xml"], "ImageSets/Main/train.txt": b"a\ncaf\xe9\n"}
    _tree("voc", "list-not-utf-8", lists)
    _tree("voc", "no-files", {"readme.md": b"nothing here\n"})
    tree("file-name-not-utf-8", {os.fsdecode(b"caf\xe9.xml"): second})
    tree("file-name-with-escapes", {"\x1b[31mred\n.xml": b"broken"})
    tree("fifo", {}, fifo("b.xml"))
    tree("link-to-a-device", {}, link("b.xml", "/dev/zero"), apart=True)
    tree("link-dangling", {}, link("b.xml", "nowhere.xml"))
    tree("link-to-itself", {}, link("b.xml", "b.xml"))
    tree("links-to-files", {"there/b.txt": second}, link("b.xml", "there/b.txt"))
    tree("link-loop", {"x/b.xml": second}, link("x/y", ".."))
    tree("folder-called-xml", {"x.xml/b.xml": second})
    tree("folders-deep", {"x/" * 40 + "b.xml": second})
    _tree("voc", "fifo-among-the-lists", {"Annotations/a.xml": first["a.xml"]}, fifo("ImageSets/Main/train.txt"))


def _yolo() -> None:
    first = {"labels/a.txt": ROW.encode(), "classes.txt": b"cat\n"}

    def tree(name: str, more: dict[str, bytes], also: Maker | None = None, *, apart: bool = False) -> None:
        _tree("yolo", name, {**first, **more}, also, apart=apart)

    tree("file-utf-16", {"labels/b.txt": ROW.encode("utf-16")})
    tree("file-latin-1", {"labels/b.txt": b"caf\xe9 0.5 0.5 0.2 0.2\n"})
    tree("file-nul", {"labels/b.txt": b"0 0.5\x00 0.5 0.2 0.2\n"})
    tree("file-binary", {"labels/b.txt": b"\xff\xd8\xff\xe0\x00\x10JFIF 1 2 3 4\n\x00\x01\n"})
    tree("row-of-a-million-columns", {"labels/b.txt": b"0 " + b"0.5 " * 999_999 + b"\n"})

    def config(name: str, data: bytes, *, apart: bool = False) -> None:
        files = {"labels/train/a.txt": ROW.encode(), "data.yaml": data}
        _tree("yolo", name, files, apart=apart)

    config("yaml-depth", YAML.encode() + b"x: " + b"[" * 20_000 + b"]" * 20_000 + b"\n", apart=True)
    config("yaml-utf-16", YAML.encode("utf-16"))
    config("yaml-latin-1", YAML.encode().replace(b"cat", b"caf\xe9"))
    config("yaml-nul", YAML.encode().replace(b"cat", b"c\0at"))
    tree("classes-latin-1", {"classes.txt": b"caf\xe9\n"})
    tree("label-name-not-utf-8", {os.fsdecode(b"labels/caf\xe9.txt"): ROW.encode()})
    tree("label-name-with-escapes", {"labels/\x1b[31mred\n.txt": b"0 0.5\n"})
    tree("label-name-newline", {"labels/line\nbreak.txt": ROW.encode()})
    tree("fifo", {}, fifo("labels/b.txt"))
    tree("link-to-a-device", {}, link("labels/b.txt", "/dev/zero"), apart=True)
    tree("link-dangling", {}, link("labels/b.txt", "nowhere.txt"))
    tree("links-to-files", {"there/b": ROW.encode()}, link("labels/b.txt", "../there/b"))
    tree("link-loop", {}, link("labels/x", ".."))
    tree("folder-called-txt", {"labels/x.txt/README.md": b""})
    tree("yaml-fifo", {}, fifo("data.yaml"))
    _tree("yolo", "classes-fifo", {"labels/a.txt": ROW.encode()}, fifo("classes.txt"))


def _jsonl() -> None:
    def odd(name: str, data: bytes, file: str = "a.jsonl", *, apart: bool = False) -> None:
        _bytes("jsonl", name, file, data, apart=apart)

    odd("utf-16", LINES.encode("utf-16"))
    odd("latin-1", LINES.encode().replace(b"b.jpg", b"caf\xe9.jpg"))
    odd("nul-bytes", LINES.encode().replace(b"b.jpg", b"b\0.jpg"))
    deep = b',"x":' + b"[" * DEEP + b"]" * DEEP + b"}\n"
    odd("depth", LINES.encode()[:-2] + deep, apart=True)
    odd("gzip", gzip.compress(LINES.encode()), "a.jsonl.gz")
    odd("gzip-cut", gzip.compress(LINES.encode())[:-20], "a.jsonl.gz")
    odd("zstd-cut", zstd(LINES.encode())[:-10], "a.jsonl.zst")
    _packed_bomb("jsonl", "gzip-bomb", "a.jsonl.gz", lambda: gzip.compress(LINES.encode() + b" " * BOMB))
    _as("jsonl", "fifo", fifo("a.jsonl"))


TABLE = b"filename,class,xmin,ymin,xmax,ymax\na.jpg,cat,1,2,30,40\nb.jpg,dog,5,6,70,80\n"
"""csv of two images with a box each."""


def _csv() -> None:
    def odd(name: str, data: bytes, file: str = "a.csv") -> None:
        _bytes("csv", name, file, data)

    odd("utf-16", TABLE.decode().encode("utf-16"))
    odd("latin-1", TABLE.replace(b"b.jpg", b"caf\xe9.jpg"))
    odd("nul-in-a-number", TABLE.replace(b",5,", b",5\0,"))
    odd("nul-in-a-name", TABLE.replace(b"b.jpg", b"b\0.jpg"))
    odd("gzip", gzip.compress(TABLE), "a.csv.gz")
    odd("gzip-cut", gzip.compress(TABLE)[:-20], "a.csv.gz")
    odd("field-huge", TABLE.replace(b"dog", b"d" * (6 << 20)))
    _packed_bomb("csv", "gzip-bomb", "a.csv.gz", lambda: gzip.compress(TABLE + b"\n" * BOMB))
    _as("csv", "fifo", fifo("a.csv"))


Change = Callable[[list[dict[str, Any]]], object]


def _table(folder: Path, *, layout: str = "images") -> pa.Table:
    """The table that bboxconv writes of two images with a box each."""
    (folder / "source.jsonl").write_text(LINES)
    bboxconv.convert(folder / "source.jsonl", folder / "source.parquet", out={"layout": layout})
    table = pq.read_table(folder / "source.parquet")
    for name in ("source.jsonl", "source.parquet"):
        (folder / name).unlink()
    return table


def _rows(name: str, change: Change) -> None:
    """A Parquet file whose rows were changed."""

    def make(folder: Path) -> Path:
        table = _table(folder)
        rows = table.to_pylist()
        change(rows)
        pq.write_table(pa.Table.from_pylist(rows, table.schema), folder / "a.parquet")
        return folder / "a.parquet"

    _as("parquet", name, make)


def _file(name: str, change: Callable[[pa.Table], pa.Table], *, layout: str = "images") -> None:
    """A Parquet file whose columns or metadata were changed."""

    def make(folder: Path) -> Path:
        pq.write_table(change(_table(folder, layout=layout)), folder / "a.parquet")
        return folder / "a.parquet"

    _as("parquet", name, make)


def _raw(name: str, change: Callable[[bytes], bytes]) -> None:
    """A Parquet file whose bytes were changed."""

    def make(folder: Path) -> Path:
        pq.write_table(_table(folder), folder / "a.parquet", compression="none")
        data = (folder / "a.parquet").read_bytes()
        (folder / "a.parquet").write_bytes(change(data))
        return folder / "a.parquet"

    _as("parquet", name, make, apart=True)


def _header(old: str, new: str) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        metadata = {key: text.replace(old.encode(), new.encode()) for key, text in table.schema.metadata.items()}
        assert metadata != table.schema.metadata
        return table.replace_schema_metadata(metadata)

    return change


def _value_bomb(folder: Path) -> Path:
    """A page of 64 MiB in a file of a few kB."""
    table = _table(folder)
    texts = pa.array([None, '{"x":"' + " " * BOMB + '"}'])
    table = table.set_column(table.column_names.index("extra"), table.schema.field("extra"), texts)
    pq.write_table(table, folder / "a.parquet", compression="zstd", use_dictionary=False, write_statistics=False)
    return folder / "a.parquet"


def _hidden_bomb(folder: Path) -> Path:
    """The same, but that the footer says 2 MB."""
    path = _value_bomb(folder)
    group = pq.read_metadata(path).row_group(0)
    size = max(group.column(number).total_uncompressed_size for number in range(group.num_columns))
    data = path.read_bytes()
    for said in (size, group.total_byte_size):
        assert data.count(_varint(said)) == 1
        data = data.replace(_varint(said), _varint(2_000_000))
    path.write_bytes(data)
    assert pq.read_metadata(path).row_group(0).total_byte_size == 2_000_000
    return path


def _varint(number: int) -> bytes:
    """A number as Thrift's compact protocol writes it."""
    rest, out = number << 1, bytearray()
    while rest > 127:
        out.append(rest & 127 | 128)
        rest >>= 7
    return bytes([*out, rest])


def _rows_bomb(folder: Path) -> Path:
    """A million images that are all the same take no room: their columns are runs of one value, in one page."""
    kind = _table(folder).schema
    columns = [pa.nulls(1_000_000, field.type) for field in kind]
    columns[kind.get_field_index("file_name")] = pa.repeat("a.jpg", 1_000_000)
    table = pa.Table.from_arrays(columns, schema=kind)
    long = {"max_rows_per_page": len(table)} if "max_rows_per_page" in signature(pq.write_table).parameters else {}
    pq.write_table(table, folder / "a.parquet", compression="zstd", **long)
    return folder / "a.parquet"


def _overlapping(folder: Path) -> Path:
    """A footer that says of a column that it is longer than the file."""
    pq.write_table(_table(folder), folder / "a.parquet", compression="none")
    group = pq.read_metadata(folder / "a.parquet").row_group(0)
    size = max(group.column(number).total_compressed_size for number in range(group.num_columns))
    data = (folder / "a.parquet").read_bytes()
    (folder / "a.parquet").write_bytes(data.replace(_varint(size), _varint(8_000)))
    return folder / "a.parquet"


def _parquet() -> None:
    def object_(name: str, key: str, value: object) -> None:
        _rows(name, lambda rows: rows[1]["objects"][0].update({key: value}))

    def image(name: str, key: str, value: object) -> None:
        _rows(name, lambda rows: rows[1].update({key: value}))

    _bytes("parquet", "not-parquet", "a.parquet", b"a,b\n1,2\n")
    _bytes("parquet", "not-parquet-by-option", "a.parquet", b"a,b\n1,2\n")
    _bytes("parquet", "empty", "a.parquet", b"")
    _raw("cut", lambda data: data[:-50])
    _raw("footer-length-wrong", lambda data: data[:-8] + b"\xff\xff\xff\x7f" + data[-4:])
    _raw("pages-damaged", lambda data: data[:4] + b"\xff" * 200 + data[204:])

    def another(folder: Path) -> Path:
        pq.write_table(pa.table({"x": [1, 2]}), folder / "a.parquet")
        return folder / "a.parquet"

    _as("parquet", "of-another-program", another)
    _as("parquet", "bomb-in-a-value", _value_bomb, apart=True)
    _as("parquet", "bomb-that-the-footer-hides", _hidden_bomb, apart=True)
    _as("parquet", "bomb-of-rows", _rows_bomb, apart=True)
    _as("parquet", "columns-one-over-the-other", _overlapping)
    _file("header-not-json", _header('{"', "{{"))
    _file("header-newer", _header('"bboxconv":1', '"bboxconv":99'))
    _file("header-box-unknown", _header('"xywh"', '"abcd"'))
    _file("column-missing", lambda table: table.drop_columns(["file_name"]))
    _file(
        "column-of-another-type",
        lambda table: table.set_column(
            table.column_names.index("file_name"), "file_name", pa.array([1, 2], pa.int64())
        ),
    )
    _file("no-rows", lambda table: table.slice(0, 0))
    _file("rows-out-of-order", lambda table: table.take(pa.array([1, 0])), layout="boxes")
    object_("category-beyond", "category", 9)
    object_("category-negative", "category", -1)
    object_("category-null", "category", None)
    object_("box-null", "bbox", None)
    object_("box-nan", "bbox", [float("nan"), 6.0, 7.0, 8.0])
    object_("box-nan-to-coco", "bbox", [float("nan"), 6.0, 7.0, 8.0])
    object_("box-infinite-to-yolo", "bbox", [float("inf"), 6.0, 7.0, 8.0])
    object_("box-overflow-to-voc", "bbox", [1e308, 6.0, 1e308, 8.0])
    object_("segmentation-not-json", "segmentation", '],"x":[')
    object_("segmentation-not-json-to-coco", "segmentation", '],"x":[')
    image("extra-not-json", "extra", "not json")
    image("name-parent-to-voc", "file_name", "../../x.jpg")
    image("name-absolute-to-yolo", "file_name", "/bboxconv-canary/x.jpg")
    image("name-nul-to-voc", "file_name", "a\0b.jpg")
    image("name-null-to-voc", "file_name", None)
    image("name-escape", "file_name", "\x1b[31mred.jpg")
    image("name-twice-to-yolo", "file_name", "a.jpg")
    image("split-parent-to-yolo", "split", "../../x")
    image("size-negative", "width", -5)
    _rows("id-twice-to-coco", lambda rows: [row.update(id=1) for row in rows])

    def binary(table: pa.Table) -> pa.Table:
        names = pa.StringArray.from_buffers(
            2, pa.py_buffer(b"\0\0\0\0\5\0\0\0\x0a\0\0\0"), pa.py_buffer(b"a.jpg\xff.jpg")
        )
        return table.set_column(table.column_names.index("file_name"), table.schema.field("file_name"), names)

    _file("text-not-utf-8", binary)

    def two(folder: Path) -> Path:
        pq.write_table(_table(folder), folder / "a.parquet")
        pq.write_table(_header('"cat"', '"dog"')(_table(folder)), folder / "b.parquet")
        return folder

    _as("parquet", "folder-of-two-headers", two)

    def piped(folder: Path) -> Path:
        pq.write_table(_table(folder), folder / "a.parquet")
        os.mkfifo(folder / "b.parquet")
        return folder

    _as("parquet", "folder-with-a-fifo", piped)


for _add in (_coco, _voc, _yolo, _jsonl, _csv, _parquet):
    _add()
