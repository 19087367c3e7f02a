"""JSON Lines: written text compared whole, hand-written lines read, every fault with its place."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import bboxconv
from bboxconv import schema
from bboxconv.boxformat import BoxFormat, Rotation
from bboxconv.codec import ReadContext, Source, WriteContext
from bboxconv.errors import DataError, Findings, UsageError
from bboxconv.formats import jsonl
from bboxconv.readers import imagelines, lines
from bboxconv.schema import Category, Dataset, Header
from bboxconv.workers import at_work

HEADER = Header(
    BoxFormat("xywh"),
    (Category("cat", 7, "pet", '{"color":[1, 2]}'), Category('a "dog"\n')),
    info='{"year":2017}',
    licenses='[{"id":1}]',
    extra='{"scene":{}}',
    source="coco",
    switches={"origin": "0"},
)


def everything() -> pa.RecordBatch:
    """Three images: every field filled, nobody looked, background."""
    columns = {
        "id": pa.array([1, None], pa.int64()),
        "category": pa.array([1, None], pa.int32()),
        "bbox": schema.bbox_array(np.array([[0.1, -0.0, 1e300, 5.0], [0, 0, 0, 0]]), np.array([True, False])),
        "shape": schema.shape_array(np.array([3, 0], np.int8), np.array([True, False])),
        "score": pa.array([0.30000000000000004, None]),
        "area": pa.array([12.5, None]),
        "iscrowd": pa.array([True, None]),
        "difficult": pa.array([False, None]),
        "ignore": pa.array([True, None]),
        "truncated": pa.array([0.5, None]),
        "occluded": pa.array([2.0, None]),
        "rotation": pa.array([-1.5, None]),
        "track_id": pa.array([2**63 - 1, None], pa.int64()),
        "segmentation": pa.array(["[[1, 2.0, 3,\n4, 5, 6]]", None]),
        "keypoints": pa.array(["[1,2,2]", None]),
        "extra": pa.array(['{"pose":"Left"}', None]),
    }
    images = {
        "id": pa.array([7, None, None], pa.int64()),
        "file_name": pa.array(["a.jpg", 'b"\\.jpg', "null"]),
        "width": pa.array([640, None, 1], pa.int32()),
        "height": pa.array([480, None, 1], pa.int32()),
        "split": pa.array(["train", None, None]),
        "video": pa.array(["v", None, None]),
        "frame": pa.array([3, None, None], pa.int32()),
        "extra": pa.array(['{"license": 1}', None, None]),
    }
    return schema.image_batch(
        images, np.array([0, 2, 2, 2]), schema.object_rows(columns, 2), np.array([True, False, True])
    )


TEXT = (
    '{"type":"dataset","task":"detect","class_names":{"0":"cat","1":"a \\"dog\\"\\n"},"bboxconv":1,"box":"xywh",'
    '"categories":[{"id":7,"name":"cat","supercategory":"pet","extra":{"color":[1, 2]}},{"name":"a \\"dog\\"\\n"}],'
    '"info":{"year":2017},"licenses":[{"id":1}],"extra":{"scene":{}},"source":"coco","switches":{"origin":"0"}}\n'
    '{"type":"image","file":"a.jpg","id":7,"width":640,"height":480,"split":"train","video":"v","frame":3,"objects":['
    '{"id":1,"category":1,"bbox":[0.1,-0.0,1e+300,5],"shape":"polygon","score":0.30000000000000004,"area":12.5,"iscrowd":true,'
    '"difficult":false,"ignore":true,"truncated":0.5,"occluded":2,"rotation":-1.5,"track_id":9223372036854775807,'
    '"segmentation":[[1, 2.0, 3, 4, 5, 6]],"keypoints":[1,2,2],"extra":{"pose":"Left"}},{}],"extra":{"license": 1}}\n'
    '{"type":"image","file":"b\\"\\\\.jpg"}\n'
    '{"type":"image","file":"null","width":1,"height":1,"objects":[]}\n'
)


def written(path: Path, header: Header, *batches: pa.RecordBatch) -> tuple[bytes, Findings]:
    """What the writer makes of some batches."""
    context = WriteContext(header.box, shown=path.name)
    jsonl.write(header, batches, path, context)
    return path.read_bytes(), context.findings


def load(
    path: Path, text: str | bytes, **context: object
) -> tuple[Dataset, pa.Table, list[tuple[str, tuple[str, ...]]]]:
    """The data set, its images and the findings of a file with this text."""
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    settings = ReadContext(**context)  # type: ignore[arg-type]
    dataset = jsonl.read(Source(path, name=path.name), settings)
    table = dataset.to_table()
    return dataset, table, [(d.code, d.where) for d in settings.findings]


def boxes(table: pa.Table) -> list[list[tuple[int | None, list[float] | None]] | None]:
    """Class index and numbers of each object of each image."""
    return [
        None if row is None else [(o["category"], o["bbox"]) for o in row]
        for row in table.column("objects").to_pylist()
    ]


def test_text(tmp_path: Path) -> None:
    """All that the model holds is written in one fixed order, nulls left out, JSON text unquoted and on one line."""
    text, findings = written(tmp_path / "a.jsonl", HEADER, everything())
    assert text.decode() == TEXT
    assert not list(findings)


def test_way_back(tmp_path: Path) -> None:
    """Reading gives header and images again, to the last bit; line ends in JSON text alone become spaces."""
    dataset, table, found = load(tmp_path / "a.jsonl", TEXT)
    assert dataset.header == HEADER
    assert not found
    wanted = everything()
    objects = schema.flat(wanted)
    segmentation = pa.array(["[[1, 2.0, 3, 4, 5, 6]]", None])
    rows = schema.with_columns(objects.rows, {"segmentation": segmentation})
    wanted = schema.with_objects(wanted, schema.Objects(objects.offsets, objects.annotated, rows))
    assert table.equals(pa.Table.from_batches([wanted]))
    signs = np.signbit(schema.boxes_of(schema.flat(table.combine_chunks().to_batches()[0]).rows)[0][0])
    assert signs.tolist() == [False, True, False, False]


def test_slices(tmp_path: Path) -> None:
    """A batch that is a slice of another is written as the images that it holds."""
    text, _ = written(
        tmp_path / "a.jsonl", HEADER, everything().slice(1, 1), everything().slice(2, 1), everything().slice(0, 1)
    )
    head, first, second, third = TEXT.splitlines(keepends=True)
    assert text.decode() == head + second + third + first


def test_no_images(tmp_path: Path) -> None:
    """A data set without images is a header line, and comes back as one."""
    text, _ = written(tmp_path / "a.jsonl", HEADER)
    assert text.decode() == TEXT.splitlines(keepends=True)[0]
    dataset, table, found = load(tmp_path / "a.jsonl", text)
    assert (dataset.header, len(table), found) == (HEADER, 0, [])


def test_rotation_in_the_header(tmp_path: Path) -> None:
    """A box format that its name does not say in full is written as an object and comes back."""
    header = Header(BoxFormat("cxcywh", 100, rotation=Rotation("degree", "cw", "corner")))
    text, _ = written(tmp_path / "a.jsonl", header)
    rotation = '{"unit":"degree","sense":"cw","pivot":"corner"}'
    assert f'"box":{{"kind":"cxcywh","scale":100,"origin":0,"inclusive":false,"rotation":{rotation}}}'.encode() in text
    assert load(tmp_path / "a.jsonl", text)[0].header == header


def test_numbers_that_json_lacks(tmp_path: Path) -> None:
    """NaN and infinity in a bbox are null, which reads as NaN; a score is lost; a warning counts them."""
    values = np.array([[np.nan, 1, np.inf, 2]])
    rows = schema.object_rows({"bbox": schema.bbox_array(values), "score": pa.array([np.nan])}, 1)
    batch = schema.image_batch({"file_name": pa.array(["a"])}, np.array([0, 1]), rows)
    text, findings = written(tmp_path / "a.jsonl", Header(BoxFormat("xywh")), batch)
    assert text.splitlines()[1] == b'{"type":"image","file":"a","objects":[{"bbox":[null,1,null,2],"score":null}]}'
    assert [(d.code, d.severity, d.count) for d in findings] == [("non-finite", "warning", 3)]
    _, table, _ = load(tmp_path / "a.jsonl", text)
    ((category, numbers),) = boxes(table)[0] or []
    assert category is None
    np.testing.assert_array_equal(numbers, [np.nan, 1, np.nan, 2])


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".jsonl.zst"])
def test_compressed(tmp_path: Path, suffix: str) -> None:
    """A name that ends with .gz or .zst is written compressed, and read whatever its name."""
    written(tmp_path / f"a{suffix}", HEADER, everything())
    dataset = jsonl.read(Source(tmp_path / f"a{suffix}"), ReadContext())
    assert (dataset.header, len(dataset.to_table())) == (HEADER, 3)


def test_truncated_compression(tmp_path: Path) -> None:
    """A compressed file that ends too early is refused."""
    whole = gzip.compress(TEXT.encode() + b'{"file":"x"}\n' * 200_000)
    (tmp_path / "a.jsonl.gz").write_bytes(whole[:-2000])
    with pytest.raises(DataError, match="bad-compression"):
        jsonl.read(Source(tmp_path / "a.jsonl.gz"), ReadContext()).to_table()


def test_white_space(tmp_path: Path) -> None:
    """A byte order mark, CRLF, blank lines, spaces and a missing last line end change nothing."""
    odd = "\ufeff\r\n" + TEXT.replace("\n", "\r\n\n  \r\n").replace('"id":7,', '"id" : 7 ,').rstrip()
    dataset, table, found = load(tmp_path / "a.jsonl", odd)
    assert (dataset.header, found) == (HEADER, [])
    assert table.equals(load(tmp_path / "b.jsonl", TEXT)[1])


@pytest.mark.parametrize("packed", [False, True])
def test_blocks(tmp_path: Path, packed: bool) -> None:
    """However long the blocks are, they hold each line once, whole and in order."""
    text = b"\xef\xbb\xbfa\n\n" + b"b" * 50 + b"\nc\nlast"
    path = tmp_path / "a"
    path.write_bytes(gzip.compress(text) if packed else text)
    for size in range(1, 70):
        parts = [block.read() for block in lines.blocks(path, size=size)]
        assert b"".join(parts) == text[3:]
        assert all(part.endswith(b"\n") for part in parts[:-1])
    assert lines.first_line(path) == (b"a", 1, 5)
    assert b"".join(block.read() for block in lines.blocks(path, 5)) == text[5:]


def test_batch_size_and_split(tmp_path: Path) -> None:
    """Batches hold no more images than asked for; a split that the caller names is that of all images."""
    (tmp_path / "a.jsonl").write_text(TEXT)
    dataset = jsonl.read(Source(tmp_path / "a.jsonl", split="val"), ReadContext(batch_size=2))
    assert [len(batch) for batch in dataset] == [2, 1]
    assert dataset.to_table().column("split").to_pylist() == ["val"] * 3


def test_unknown_keys(tmp_path: Path) -> None:
    """Keys that are not of the schema and ids that are no int64 go to `extra` with their text."""
    head = '{"type":"dataset","bboxconv":1,"box":"xywh","categories":[{"name":"cat"}]}\n'
    image = '{"type":"image","file":"a","id":"x1","url":{"a": 1.0},"extra":{"z":0},'
    image += '"objects":[{"id":1.5,"category":0,"note":"\\u00e9","track_id":99999999999999999999}]}\n'
    _, table, found = load(tmp_path / "a.jsonl", head + image)
    assert not found
    row = table.to_pylist()[0]
    assert (row["id"], row["extra"]) == (None, '{"z":0,"id":"x1","url":{"a": 1.0}}')
    assert row["objects"][0]["extra"] == '{"id":1.5,"note":"\\u00e9","track_id":99999999999999999999}'


def test_other_spellings(tmp_path: Path) -> None:
    """Common other names of keys are understood, and so are whole numbers with a point and flags written as numbers."""
    image = '{"file_name":"a","width":640,"height":480.0,'
    image += '"annotations":[{"label":"cat","box":[1,2,3,4],"iscrowd":1,"truncated":true}]}\n'
    dataset, table, found = load(tmp_path / "a.jsonl", image)
    row = table.to_pylist()[0]
    assert (row["file_name"], row["width"], row["height"], row["extra"]) == ("a", 640, 480, None)
    item = row["objects"][0]
    assert (item["bbox"], item["iscrowd"], item["truncated"], item["extra"]) == ([1, 2, 3, 4], True, 1.0, None)
    assert [c.name for c in dataset.header.categories] == ["cat"]
    assert found == [("box-format-assumed", ("a.jsonl",))]


@pytest.mark.parametrize(
    ("member", "pointer"),
    [
        ('"width":"640"', "$.width"),
        ('"frame":"7"', "$.frame"),
        ('"objects":[{"bbox":[1,2,3,"4"]}]', "$.objects[0].bbox"),
        ('"objects":[{},{"score":"0.5"}]', "$.objects[1].score"),
        ('"objects":[{"iscrowd":"1"}]', "$.objects[0].iscrowd"),
        ('"objects":[{"area":"null"}]', "$.objects[0].area"),
        ('"objects":[{"truncated":"0"}]', "$.objects[0].truncated"),
        ('"annotations":{"boxes":[[0,0.5,0.5,0.5,"0.5"]]}', "$.annotations"),
    ],
)
def test_text_is_no_number(tmp_path: Path, member: str, pointer: str) -> None:
    """A text is never taken for the number, the flag or the null that it spells: its line is a fault."""
    head = '{"type":"dataset","bboxconv":1,"box":"cxcywhn","categories":[{"name":"cat"}]}\n'
    text = f'{{"type":"image","file":"a"}}\n{{"type":"image","file":"b",{member}}}\n'
    (tmp_path / "a.jsonl").write_text(head + text)
    findings = Findings()
    dataset = jsonl.read(Source(tmp_path / "a.jsonl"), ReadContext(findings=findings))
    assert dataset.to_table().column("file_name").to_pylist() == ["a"]
    (fault,) = findings
    assert fault.code == "bad-value"
    assert fault.places[0].where.endswith("a.jsonl:3")
    assert fault.places[0].detail.startswith(f"{pointer}: Expected")


def test_names_without_header(tmp_path: Path) -> None:
    """Without a header, class names are put in code-point order whatever block or line they stand in."""
    text = "".join(
        f'{{"file":"{n}","objects":[{{"category":"{c}","bbox":[0,0,1,1]}},{{"category":"b"}}]}}\n'
        for n, c in enumerate("zaéB")
    )
    dataset, table, _ = load(tmp_path / "a.jsonl", text, options={"box": "xyxy"})
    assert dataset.header == Header(
        BoxFormat("xyxy"), tuple(Category(name) for name in ["B", "a", "b", "z", "é"]), source="jsonl"
    )
    assert [[category for category, _ in row or []] for row in boxes(table)] == [[3, 2], [1, 2], [4, 2], [0, 2]]
    assert table.equals(dataset.to_table())


def test_numbers_without_header(tmp_path: Path) -> None:
    """Without a header, class numbers are names in numeric order, or places in the names that the caller gives."""
    text = '{"file":"a","objects":[{"category":10},{"category":2}]}\n'
    dataset, table, _ = load(tmp_path / "a.jsonl", text)
    assert dataset.header.categories == (Category("2", 2), Category("10", 10))
    assert boxes(table) == [[(1, None), (0, None)]]
    dataset, table, found = load(tmp_path / "a.jsonl", text, classes=("x", "y", "z"))
    assert [c.name for c in dataset.header.categories] == ["x", "y", "z"]
    assert boxes(table) == [[(2, None)]]
    assert found[1] == ("unknown-class", ("a.jsonl:1: class 10",))


ULTRALYTICS = (
    '{"type":"dataset","task":"detect","name":"Birds","class_names":{"0":"crow","2":"owl"},"version":3}\n'
    '{"type":"image","file":"a.jpg","url":"https://x/a.jpg","width":640,"height":480,"split":"train",'
    '"annotations":{"boxes":[[0,0.5,0.25,0.1,0.2],[2,1,1,0,0]]}}\n'
    '{"type":"image","file":"b.jpg","split":"val"}\n'
    '{"type":"image","file":"c.jpg","annotations":{"segments":[[2,0.25,0.5,0.75,0.5,0.5,1]],"boxes":[[0,0,0,0,0]]}}\n'
    '{"type":"image","file":"d.jpg","annotations":{"obb":[[0,0,0.5,0.5,0,1,0.5,0.5,1]]}}\n'
)


def test_ultralytics(tmp_path: Path) -> None:
    """Ultralytics' rows are read: boxes as they are, polygons with their extent, no annotations as background."""
    dataset, table, found = load(tmp_path / "a.ndjson", ULTRALYTICS)
    assert not found
    assert dataset.header.box == BoxFormat("cxcywh", 1)
    assert [c.name for c in dataset.header.categories] == ["crow", "1", "owl"]
    assert dataset.header.extra == '{"task":"detect","name":"Birds","version":3}'
    assert boxes(table) == [
        [(0, [0.5, 0.25, 0.1, 0.2]), (2, [1, 1, 0, 0])],
        [],
        [(2, [0.5, 0.75, 0.5, 0.5])],
        [(0, [0.5, 0.5, 1, 1])],
    ]
    rows = table.to_pylist()
    assert [row["extra"] for row in rows] == [
        '{"url":"https://x/a.jpg"}',
        None,
        '{"annotations":{"boxes":[[0.0,0.0,0.0,0.0,0.0]]}}',
        None,
    ]
    assert [(o["shape"], o["segmentation"]) for o in rows[2]["objects"]] == [
        ("polygon", "[[0.25,0.5,0.75,0.5,0.5,1.0]]")
    ]
    assert [o["shape"] for o in rows[3]["objects"]] == ["quad"]
    headless = load(tmp_path / "b.ndjson", ULTRALYTICS.partition("\n")[2])
    assert headless[0].header.box == BoxFormat("cxcywh", 1)
    assert headless[2] == []


def test_faults(tmp_path: Path) -> None:
    """Each line that cannot be read is reported with file, line and reason; all others are read."""
    bad = [
        b'{"type":"image","file":"cut',
        b'{"type":"image","file":"\xff"}',
        b'{"type":"image","file":"r","extra":{"a":"\xff"}}',
        b"[1]",
        b'{"type":"video"}',
        b'{"type":"image","file":"a"} {"type":"image","file":"b"}',
        b'{"type":"image","width":"wide"}',
        b'{"type":"image","objects":[{},{"bbox":[1,2,3]}]}',
        b'{"type":"image","objects":[{"shape":"blob"}]}',
        b'{"type":"image","objects":[{"bbox":[1,2,3,NaN]}]}',
        b'{"type":"image","annotations":{"boxes":[[0,0,0,0,0]]}}',
    ]
    good = b'{"type":"image","file":"good"}'
    head = TEXT.splitlines()[0].encode()
    _, table, found = load(
        tmp_path / "a.jsonl",
        b"\n".join([head, *(line for pair in zip(bad, [good] * len(bad), strict=True) for line in pair)]),
    )
    assert table.column("file_name").to_pylist() == ["good"] * len(bad)
    places = {
        where.split(": ")[0]: (code, where.split(": ", 1)[1]) for code, all_places in found for where in all_places
    }
    codes = [places.get(f"a.jsonl:{2 * n + 2}", ("beyond the first five", ""))[0] for n in range(len(bad))]
    assert codes[:5] == ["bad-json", "bad-encoding", "bad-encoding", "bad-value", "bad-value"]
    assert places["a.jsonl:14"] == ("bad-value", "$.width: Expected `int | null`, got `str`")
    assert places["a.jsonl:16"] == ("bad-value", "$.objects[1].bbox: Expected `array` of length 4")


def test_faults_are_told_once(tmp_path: Path) -> None:
    """Reading the images again does not report the faults again."""
    (tmp_path / "a.jsonl").write_text(TEXT + "{\n")
    context = ReadContext()
    dataset = jsonl.read(Source(tmp_path / "a.jsonl"), context)
    dataset.to_table()
    dataset.to_table()
    assert context.findings.errors == 1


def test_unknown_class(tmp_path: Path) -> None:
    """An object of a class that the header does not have is left out and reported; the others of its image stay."""
    image = (
        '{"file":"a","objects":[{"category":"cat"},{"category":5},{"category":-1},{"category":"cow"},{"category":1}]}'
    )
    _, table, found = load(tmp_path / "a.jsonl", TEXT.splitlines()[0] + "\n\n" + image)
    assert boxes(table) == [[(0, None), (1, None)]]
    assert found == [("unknown-class", ("a.jsonl:3: class 5", "a.jsonl:3: class -1", "a.jsonl:3: class 'cow'"))]


@pytest.mark.parametrize(
    ("head", "code"),
    [
        ('{"type":"dataset","bboxconv":2,"box":"xywh"}', "newer-version"),
        ('{"type":"dataset","bboxconv":1,"box":"boxy"}', "bad-header"),
        ('{"type":"dataset","bboxconv":1}', "bad-header"),
        ('{"type":"dataset","bboxconv":1,"box":"xywh","categories":[{"id":1}]}', "bad-header"),
        ('{"type":"dataset","class_names":{"x":"y"}}', "bad-header"),
        ('{"type":"dataset","class_names":{"999999999":"y"}}', "bad-header"),
        ("", "no-annotations"),
        ("\n \r\n", "no-annotations"),
    ],
)
def test_refused(tmp_path: Path, head: str, code: str) -> None:
    """A header that cannot be read, or a file without a line, is refused as a whole."""
    with pytest.raises(DataError, match=code):
        load(tmp_path / "a.jsonl", head)


def test_bad_option(tmp_path: Path) -> None:
    """A box format that does not exist is an error of usage."""
    with pytest.raises(UsageError, match="bad-option"):
        load(tmp_path / "a.jsonl", '{"file":"a"}', options={"box": "boxy"})


def test_any_number_of_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes read what one reads, faults and their places included."""
    monkeypatch.setattr(jsonl, "_MANY", 0)
    monkeypatch.setattr(lines.blocks, "__defaults__", (0, 300, None))
    text = TEXT + "".join(f'{{"file":"{n}"}}\n' if n % 50 else "{\n" for n in range(200))
    one = load(tmp_path / "a.jsonl", text)
    with at_work(2) as workers:
        two = load(tmp_path / "a.jsonl", text, workers=workers)
    assert one[1].equals(two[1])
    assert (
        one[2] == two[2] == [("bad-json", tuple(f"a.jsonl:{5 + 50 * n}: Input data was truncated" for n in range(4)))]
    )


def test_fast_and_patient_ways_agree() -> None:
    """A block of regular lines gives the same columns when it is decoded line by line."""
    data = TEXT.partition("\n")[2].encode()
    reading = imagelines.Reading({0: 0, 1: 1})
    fast = imagelines.parse((lines.Block("", 1, 1, data), reading))
    slow = imagelines.parse((lines.Block("", 1, 1, b"\n" + data), reading))
    assert fast.batch.equals(slow.batch)


@pytest.mark.parametrize(
    ("name", "head", "weight"),
    [
        ("a.jsonl", TEXT, 1.0),
        ("a", TEXT, 1.0),
        ("a", '\ufeff\n{"type": "image", "file": "a"}\n', 0.8),
        ("a.json", '{"type":"dataset","info":"' + "x" * 100, 1.0),
        ("a.ndjson", '{"file":"a"}\n', 0.6),
        ("a.ndjson", '{"data_row":{},"projects":{}}\n', None),
        ("a.json", '{"images":[],"annotations":[],"type":"instances"}', None),
        ("a.json", '{"images":[{"type":"image"}],"annotations":[', None),
        ("a.json", "[1]", None),
        ("a.json", "", None),
    ],
)
def test_detect(tmp_path: Path, name: str, head: str, weight: float | None) -> None:
    """A first line with a known `type` is JSON Lines, the extension with our keys a hint, a COCO document on one line
    neither.
    """
    (tmp_path / name).write_text(head)
    match = jsonl.detect(tmp_path / name, head.encode())
    assert (match.weight if match else None) == weight


def test_a_size_of_no_pixels_is_no_size(tmp_path: Path) -> None:
    """A width of 0 or below, as some tools write where they do not know it, is kept in `extra`; the image has none."""
    given = tmp_path / "a.jsonl"
    given.write_text('{"file":"a.jpg","width":0,"height":9,"objects":[{"category":"cat","bbox":[1,1,2,2]}]}\n')
    row = bboxconv.read(given, in_={"box": "xywh"}).to_table().to_pylist()[0]
    assert (row["width"], row["height"], row["extra"]) == (None, 9, '{"width":0}')
