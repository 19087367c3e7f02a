"""csv: written text compared whole with files written by hand, tables of others read, every fault with its line."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

import bboxconv
from bboxconv import registry
from bboxconv.codec import ReadContext, Source
from bboxconv.errors import DataError, Findings, UsageError
from bboxconv.formats import csv
from bboxconv.readers import lines
from bboxconv.workers import at_work

GOLDEN = Path(__file__).parent / "golden" / "csv"
TFOD = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
Row = dict[str, Any]


def read(tmp_path: Path, text: str | bytes, name: str = "a.csv", **options: str) -> list[Row]:
    """The images of a csv file with this text, with the names of the classes in place of their numbers."""
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return rows(bboxconv.read(path, from_="csv", in_=options))


def rows(dataset: bboxconv.Dataset) -> list[Row]:
    """The images as plain types: what is null is left out, classes are names."""
    names = [category.name for category in dataset.header.categories]
    found: list[Row] = []
    for image in dataset.to_table().to_pylist():
        objects = [{key: value for key, value in row.items() if value is not None} for row in image.pop("objects")]
        for row in objects:
            if "category" in row:
                row["category"] = names[row["category"]]
        found.append({key: value for key, value in image.items() if value is not None} | {"objects": objects})
    return found


def faults(tmp_path: Path, text: str | bytes, **options: str) -> list[tuple[str, tuple[str, ...]]]:
    """The code and the places of each fault of a csv file with this text."""
    with pytest.raises(DataError) as refused:
        read(tmp_path, text, **options)
    return [
        (found.code, tuple(where.removeprefix(f"{tmp_path}/") for where in found.where))
        for found in refused.value.diagnostics
        if found.severity == "error"
    ]


@pytest.mark.parametrize("layout", ["tfod", "plain", "full"])
def test_written_text(layout: str, tmp_path: Path) -> None:
    """Each layout is the text that was written by hand: whole numbers without a point, the others to the last bit."""
    bboxconv.convert(GOLDEN / "in.jsonl", tmp_path / "a.csv", out={"layout": layout}, on_invalid="keep")
    assert (tmp_path / "a.csv").read_text() == (GOLDEN / f"{layout}.csv").read_text()


@pytest.mark.parametrize("layout", ["tfod", "plain", "full"])
@pytest.mark.parametrize("source", ["coco/instances_train.json", "voc", "yolo"])
def test_written_files_are_verified(layout: str, source: str, tmp_path: Path) -> None:
    """What is written of the sample is read back and is the same, whatever layout."""
    sample = Path(__file__).parents[2] / "examples" / "sample" / source
    report = bboxconv.convert(sample, tmp_path / "a.csv", out={"layout": layout}, verify=True)
    assert report.verify is not None
    assert (report.verify.same, report.boxes > 0) == (True, True)


def test_all_columns_come_back(tmp_path: Path) -> None:
    """The layout `full` gives the images, boxes and fields from which it was written; classes are in the order of
    their ids."""
    wanted = rows(bboxconv.read(GOLDEN / "in.jsonl"))
    found = bboxconv.read(GOLDEN / "full.csv")
    assert rows(found) == wanted
    assert [(category.name, category.id) for category in found.header.categories] == [
        ('owl, "barn"', 3),
        ("raccoon", 7),
    ]


def test_an_image_without_boxes_cannot_be_tfod(tmp_path: Path) -> None:
    """TFOD has no row for an image without boxes: it is counted as left out, and `--strict` refuses that."""
    report = bboxconv.convert(GOLDEN / "in.jsonl", tmp_path / "a.csv", out={"layout": "tfod"})
    assert (report.images, dict(report.left_out_images)) == (1, {"without boxes, which the format cannot show": 1})
    with pytest.raises(DataError, match="image would be lost"):
        bboxconv.convert(GOLDEN / "in.jsonl", tmp_path / "b.csv", out={"layout": "tfod"}, strict="image")
    assert bboxconv.convert(GOLDEN / "in.jsonl", tmp_path / "c.csv").images == 2


def test_boxes_of_other_formats_name_theirs(tmp_path: Path) -> None:
    """Fractions stand in columns of their names, and beside them the format, which is read back."""
    bboxconv.convert(GOLDEN / "in.jsonl", tmp_path / "a.csv", box="cxcywhn")
    text = (tmp_path / "a.csv").read_text().splitlines()
    assert text[0] == "file_name,width,height,split,category,cx,cy,w,h,score,box_format"
    assert all(line.endswith(",cxcywhn") for line in text[1:])
    assert bboxconv.read(tmp_path / "a.csv").header.box.name == "cxcywhn"


def test_tabs_and_decimals(tmp_path: Path) -> None:
    """A .tsv has tabs, and coordinates are rounded where that is asked for."""
    bboxconv.convert(GOLDEN / "in.jsonl", tmp_path / "a.tsv", out={"layout": "tfod", "decimals": "0"})
    assert (tmp_path / "a.tsv").read_text().splitlines()[2] == 'a b.jpg\t650\t417\t"owl, ""barn"""\t0\t1\t30\t40'
    assert [len(image["objects"]) for image in rows(bboxconv.read(tmp_path / "a.tsv"))] == [2]


TWO: list[Row] = [
    {"file_name": "a.jpg", "width": 640, "height": 480, "objects": [
        {"category": "dog", "bbox": [1.5, 2.0, 30.25, 40.0]}, {"category": "cat", "bbox": [5.0, 6.0, 7.0, 8.0]}]},
    {"file_name": "b.jpg", "width": 10, "height": 20, "objects": []},
]  # fmt: skip


BODY = "a.jpg,640,480,dog,1.5,2,30.25,40\na.jpg,640,480,cat,5,6,7,8\nb.jpg,10,20,,,,,\n"
APART = "a.jpg,640,480,dog,1.5,2,30.25,40\nb.jpg,10,20,,,,,\na.jpg,640,480,cat,5,6,7,8"
COMMAS = TFOD.replace(",", ";") + "a.jpg;640;480;dog;1,5;2;30,25;40\na.jpg;640;480;cat;5,0;6;7;8\nb.jpg;10;20;;;;;\n"
QUOTED = """"ymax","XMin","class","Y Min","X_Max","FILENAME","height","Width"
"40","1.5","dog","2","30.25","a.jpg","480","640"
"8","5","cat","6","7","a.jpg","480","640"
"","","","","","b.jpg","20","10"
,,,,,,,
"""


@pytest.mark.parametrize(
    "text",
    [
        TFOD + BODY,
        TFOD + APART,
        "\ufeff" + TFOD + BODY.replace(",20,,,,,", ",20,,nan,NaN,,"),
        (TFOD + BODY).replace("\n", "\r\n"),
        (TFOD + BODY).replace(",", "\t"),
        COMMAS,
        "sep=;\n" + COMMAS.replace("\n", "\n\n"),
        (TFOD + BODY).replace(",", ", "),
        QUOTED,
    ],
    ids=["tfod", "apart", "mark", "crlf", "tabs", "comma", "sep", "blanks", "quoted"],
)
def test_the_same_table_in_many_ways(text: str, tmp_path: Path) -> None:
    """Order of rows and columns, quotes, separators, line ends, marks and decimal commas do not change the boxes."""
    assert read(tmp_path, text) == TWO


def test_six_columns_without_a_header(tmp_path: Path) -> None:
    """keras-retinanet's rows: a path, two corners and a class, `path,,,,,` for an image without boxes."""
    text = "/imgs/1.jpg,837,346,981,456,cow\n/imgs/3.jpg,,,,,\n/imgs/1.jpg,22,5,89,84,bird\n"
    wanted = [
        {"file_name": "/imgs/1.jpg", "objects": [
            {"category": "cow", "bbox": [837, 346, 981, 456]}, {"category": "bird", "bbox": [22, 5, 89, 84]}]},
        {"file_name": "/imgs/3.jpg", "objects": []},
    ]  # fmt: skip
    assert read(tmp_path, text) == wanted
    assert read(tmp_path, text, header="no") == wanted
    more = "1,a.jpg,1,2,3,4\n"
    given = "category:column1,file_name:column2,x1:column3,y1:column4,x2:column5,y2:column6"
    named = read(tmp_path, more, header="no", columns=given)
    assert named == read(tmp_path, "a.jpg,1,2,3,4,1\n")


def test_a_column_with_all_four(tmp_path: Path) -> None:
    """Kaggle's `[x, y, w, h]` is xywh, unless the user says otherwise; an id that is no number is the name."""
    text = "image_id,width,height,bbox,source\n"
    text += 'b6ab77fd7,1024,1024,"[834.0, 222.0, 56.0, 36.0]",usask_1\n0012,1024,1024,,x\n'
    path = tmp_path / "a.csv"
    path.write_text(text)
    found = bboxconv.read(path)
    assert found.header.box.name == "xywh"
    sized = {"width": 1024, "height": 1024}
    assert rows(found) == [
        {"file_name": "b6ab77fd7", **sized, "objects": [{"bbox": [834, 222, 56, 36], "extra": '{"source":"usask_1"}'}]},
        {"file_name": "0012", **sized, "extra": '{"source":"x"}', "objects": []},
    ]
    assert bboxconv.read(path, in_={"box": "xyxy"}).header.box.name == "xyxy"


def test_openimages(tmp_path: Path) -> None:
    """Corners in the order XMin, XMax, YMin, YMax are fractions, and a flag of -1 is unknown."""
    text = (
        "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf\n"
        "000026e7ee790996,freeform,/m/07j7r,1,0.071905,0.145346,0.206591,0.391306,0,-1,0\n"
    )
    path = tmp_path / "a.csv"
    path.write_text(text)
    found = bboxconv.read(path)
    assert found.header.box.name == "xyxyn"
    (image,) = rows(found)
    assert image == {
        "file_name": "000026e7ee790996",
        "objects": [
            {
                "category": "/m/07j7r",
                "bbox": [0.071905, 0.206591, 0.145346, 0.391306],
                "score": 1.0,
                "occluded": 0.0,
                "extra": '{"Source":"freeform","IsGroupOf":0}',
            }
        ],
    }


def test_numbers_to_the_last_bit(tmp_path: Path) -> None:
    """Each number is the float64 nearest to its digits."""
    digits = [
        "0.1",
        "1e-7",
        "123456.78901234567",
        "0.30000000000000004",
        "5e-324",
        "1.7976931348623157e308",
        "+3",
        "7.",
    ]
    (image,) = read(tmp_path, f"file,x1,y1,x2,y2\na,{','.join(digits[:4])}\na,{','.join(digits[4:])}\n")
    assert [number for row in image["objects"] for number in row["bbox"]] == [float(text) for text in digits]


@pytest.mark.parametrize(
    ("classes", "names"),
    [
        (("2", "10", "2"), [("2", 2), ("10", 10)]),
        (("2", "cat", "2"), [("2", None), ("cat", None)]),
        (("02", "1", "02"), [("02", None), ("1", None)]),
    ],
)
def test_classes(classes: tuple[str, ...], names: list[tuple[str, int | None]], tmp_path: Path) -> None:
    """Classes that are numbers are in the order of these, others in code-point order."""
    path = tmp_path / "a.csv"
    path.write_text("file,label,x1,y1,x2,y2\n" + "".join(f"a,{name},1,2,3,4\n" for name in classes))
    header = bboxconv.read(path).header
    assert [(category.name, category.id) for category in header.categories] == names


def test_names_for_class_numbers(tmp_path: Path) -> None:
    """`--classes` names class numbers; one beyond them is a fault."""
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    path = tmp_path / "a.csv"
    path.write_text("file,class_id,x1,y1,x2,y2\na,1,1,2,3,4\n")
    found = bboxconv.read(path, classes=tmp_path / "names.txt")
    assert [category.name for category in found.header.categories] == ["cat", "dog"]
    assert rows(found)[0]["objects"][0]["category"] == "dog"
    path.write_text("file,class_id,x1,y1,x2,y2\na,2,1,2,3,4\n")
    with pytest.raises(DataError, match="unknown-class"):
        bboxconv.read(path, classes=tmp_path / "names.txt")


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("a,1,2,3,4\nb,1,2\n\nc,1,2,3,4,5\n", [("bad-row", ("a.csv:3: 3 columns", "a.csv:5: 6 columns"))]),
        ("a,1,2,3,x\n", [("bad-number", ("a.csv:2: x",))]),
        ("a,1,2,3,inf\n", [("bad-number", ("a.csv:2: inf",))]),
        ("a,1,2,3,1e999\n", [("bad-number", ("a.csv:2: 1e999",))]),
        ("a,1,2,3,0x1\n", [("bad-number", ("a.csv:2: 0x1",))]),
        ("a,1,2,3,=1+1\n", [("bad-number", ("a.csv:2: =1+1",))]),
        ('a,1,2,3,"1,500"\n', [("bad-number", ("a.csv:2: 1,500",))]),
        ('a,1,2,3,"1,5,0"\n', [("bad-number", ("a.csv:2: 1,5,0",))]),
        ("a,1,2,3,1\x00\n", [("bad-number", ("a.csv:2: 1\\x00",))]),
        ("a,1,2,,4\n", [("missing-field", ("a.csv:2",))]),
        (",1,2,3,4\n", [("missing-field", ("a.csv:2",))]),
        ('"a\nb",1,2,3,4\na,1,2,3,x\n', [("bad-number", ("a.csv:4: x",))]),
        ('a,1,2,3,4\n"a,1,2,3,4\nb,1,2,3,4\n', [("open-quote", ("a.csv:3",))]),
        (b"a,1,2,3,4\n\xff,1,2,3,4\n", [("bad-encoding", ("a.csv:3",))]),
    ],
)  # fmt: skip
def test_faults(body: str | bytes, wanted: list[tuple[str, tuple[str, ...]]], tmp_path: Path) -> None:
    """What is no row of a box is a fault with its line, and nothing is taken for another number."""
    text = b"file,x1,y1,x2,y2\n" + (body.encode() if isinstance(body, str) else body)
    assert faults(tmp_path, text) == wanted


def test_sound_rows_are_read_beside_faults(tmp_path: Path) -> None:
    """With `--on-error skip` all other rows are written, and the rejects have the text of the others."""
    path = tmp_path / "a.csv"
    path.write_text('file,x1,y1,x2,y2\na,1,2,3,4\na,1,2,3,x\n"b",5,6,7,8\nc,1\n')
    report = bboxconv.convert(path, tmp_path / "b.jsonl", on_error="skip", rejects=tmp_path / "r.jsonl")
    assert (report.images, report.boxes, dict(report.rejected_boxes)) == (2, 2, {"bad-row": 1, "bad-number": 1})
    assert '"raw": "a,1,2,3,x"' in (tmp_path / "r.jsonl").read_text()
    assert '"line": 5' in (tmp_path / "r.jsonl").read_text()


def test_decimal_commas_in_quotes(tmp_path: Path) -> None:
    """Where commas separate, a comma in a quoted number is the decimal one, and a note says so; what may be thousands
    is refused with the option that takes it, and `decimal=point` refuses all."""
    head = "file,class,x1,y1,x2,y2\n"
    path = tmp_path / "a.csv"
    path.write_text(head + 'a,x,0.5,"1,250","30,5","1000,25"\n')
    found = bboxconv.read(path)
    assert rows(found)[0]["objects"][0]["bbox"] == [0.5, 1.25, 30.5, 1000.25]
    assert [(one.code, one.severity) for one in bboxconv.convert(path, tmp_path / "b.jsonl").findings] == [
        ("decimal-comma", "note")
    ]
    (image,) = read(tmp_path, 'file,class,x1,y1,x2,y2,score\na,x,1,2,3,4,"0,75"\n')
    assert image["objects"][0]["score"] == 0.75
    with pytest.raises(DataError, match="--in decimal=comma"):
        read(tmp_path, head + 'a,x,1,2,"3,5",4\n', decimal="point")
    with pytest.raises(DataError, match="--in decimal=comma"):
        read(tmp_path, head + 'a,x,1,2,"1,250",4\n')
    (image,) = read(tmp_path, head + 'a,x,1,2,"1,250",4\n', decimal="comma")
    assert image["objects"][0]["bbox"] == [1, 2, 1.25, 4]


@pytest.mark.parametrize(("layout", "wanted"), [("tfod", ["image a.jpg"]), ("plain", []), ("full", [])])
def test_images_that_nothing_tells_apart(layout: str, wanted: list[str], tmp_path: Path) -> None:
    """Images of one name in two splits become one to a reader of TFOD, which has no split: a warning names them, from
    however many batches and processes they come."""
    path = tmp_path / "a.csv"
    body = "".join(f"{name},9,9,{split},dog,1,2,3,4\n" for name, split in [("a.jpg", "train"), ("b.jpg", "train")])
    path.write_text(f"file_name,width,height,split,class,x1,y1,x2,y2\n{body}a.jpg,9,9,val,cat,1,2,3,4\n")
    for size in (1, 4096):
        out = tmp_path / f"{size}.csv"
        report = bboxconv.convert(path, out, out={"layout": layout}, batch_size=size)
        found = [place for one in report.findings if one.code == "same-image" for place in one.where]
        assert (found, report.images, report.boxes) == (wanted, 3, 3)


def test_the_largest_ids(tmp_path: Path) -> None:
    """Ids up to the ends of 64 bits are numbers; beyond, and written otherwise, they stay in `extra`."""
    ids = ["9223372036854775807", "-9223372036854775808", "1234567890123456789"]
    others = ["9223372036854775808", "-9223372036854775809", "0000000000000000001"]
    body = "".join(f"a,{number},1,2,3,4\n" for number in ids + others)
    (image,) = read(tmp_path, f"file,box_id,x1,y1,x2,y2\n{body}")
    found = [(row.get("id"), row.get("extra")) for row in image["objects"]]
    assert found == [(int(number), None) for number in ids] + [(None, f'{{"id":"{number}"}}') for number in others]


def test_a_header_in_between(tmp_path: Path) -> None:
    """Where files were joined, the header in between is left out with a warning that names its line."""
    path = tmp_path / "a.csv"
    path.write_text(f"{TFOD}a.jpg,9,9,dog,1,2,3,4\n{TFOD}b.jpg,9,9,dog,1,2,3,4\n")
    report = bboxconv.convert(path, tmp_path / "b.jsonl")
    assert report.images == 2
    assert [(f.code, f.where) for f in report.findings] == [("header-again", (f"{path}:3",))]


def test_sizes_that_differ_are_told(tmp_path: Path) -> None:
    """Two sizes for one image are a warning; the first is taken."""
    path = tmp_path / "a.csv"
    path.write_text(f"{TFOD}a.jpg,90,90,dog,1,2,3,4\na.jpg,91,90,dog,1,2,3,4\n")
    report = bboxconv.convert(path, tmp_path / "b.jsonl")
    assert [(f.code, f.where) for f in report.findings] == [("size-differs", (f"{path}: image a.jpg: 91",))]
    assert rows(bboxconv.read(tmp_path / "b.jsonl"))[0]["width"] == 90


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"", "no-annotations"),
        (b"\n\n", "no-annotations"),
        ("file,x1,y1,x2,y2\n".encode("utf-16"), "bad-encoding"),
        (b"file,x1,y1,x2,y2\ra,1,2,3,4\r", "bad-row"),
        (b"file,x1,y1,x2\n", "missing-column"),
        (b"file,path,x1,y1,x2,y2\n", "ambiguous-columns"),
        (b"file,x1,y1,x2,y2,box_format\na,1,2,3,4,xyxy\na,1,2,3,4,xyxyn\n", "box-format-differs"),
    ],
)
def test_no_table(text: bytes, code: str, tmp_path: Path) -> None:
    """What is no table of boxes is refused by name."""
    with pytest.raises((DataError, UsageError)) as refused:
        read(tmp_path, text)
    assert [found.code for found in refused.value.diagnostics if found.severity == "error"] == [code]


@pytest.mark.parametrize(
    ("name", "text", "weight"),
    [
        ("a.csv", TFOD, 0.95),
        ("labels", TFOD, 0.95),
        ("a.csv", "image,x,y,w,h\n", 0.9),
        ("a.csv", "/d/a.jpg,1,2,3,4,cow\n", 0.6),
        ("a.txt", "/d/a.jpg,1,2,3,4,cow\n", None),
        ("a.csv", "filename,width,height\na.jpg,640,480\n", None),
        ("a.csv", "a.jpg,640,480\n", None),
        ("a.txt", "0 0.5 0.5 0.1 0.1\n", None),
        ("a.csv", "0,0.5,0.5,0.1,0.1,1\n", None),
        ("a.csv", '{"type":"image"}\n', None),
        ("a.csv", "", None),
    ],
)
def test_detection(name: str, text: str, weight: float | None) -> None:
    """Tables of boxes are known by their header, or by their rows and extension; those of sizes, YOLO's rows and JSON
    are not taken for one."""
    found = csv.detect(Path(name), text.encode())
    assert (None if found is None else found.weight) == weight


def test_an_export_of_splits(tmp_path: Path) -> None:
    """Roboflow's folders `train` and `valid` with `_annotations.csv` are splits."""
    for split in ("train", "valid"):
        (tmp_path / "x" / split).mkdir(parents=True)
        (tmp_path / "x" / split / "_annotations.csv").write_text(f"{TFOD}{split}.jpg,9,9,dog,1,2,3,4\n")
    found = bboxconv.read(tmp_path / "x")
    assert [(image["file_name"], image["split"]) for image in rows(found)] == [
        ("train.jpg", "train"),
        ("valid.jpg", "val"),
    ]
    assert registry.detect(Source(tmp_path / "x"))[0].INFO.name == "csv"


@pytest.mark.parametrize("order", ["together", "apart"])
def test_blocks_do_not_show(order: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However small the blocks, the memory and the parts, and on three cores, the images are the same, and quoted line
    ends cross no block."""
    numbers = range(400) if order == "together" else sorted(range(400), key=lambda n: n * 7919 % 400)
    body = "".join(f'"{n // 4}\n,.jpg",640,480,"c{n % 3}",{n}.5,2,{n + 3},4\n' for n in numbers)
    path = tmp_path / "a.csv"
    path.write_text(TFOD + body)
    wanted = rows(bboxconv.read(path))
    assert (len(wanted), sum(len(image["objects"]) for image in wanted)) == (100, 400)
    with gzip.open(tmp_path / "b.csv.gz", "wb") as file:
        file.write(path.read_bytes())
    monkeypatch.setattr("bboxconv.spool.PARTITION", 1 << 10)
    monkeypatch.setattr(lines.blocks, "__defaults__", (0, 100, None))
    with at_work(3) as workers:
        workers.begin()
        for name in ("a.csv", "b.csv.gz"):
            context = ReadContext(batch_size=7, memory=1, workers=workers, findings=Findings())
            found = csv.read(Source(tmp_path / name), context)
            batches = list(found)
            assert max(map(len, batches)) <= 7
            assert rows(found) == wanted


def test_faults_keep_their_lines_over_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line of a fault counts those of all blocks before it."""
    monkeypatch.setattr(lines.blocks, "__defaults__", (0, 50, None))
    body = 'a,1,2,3,4\n"a\n",1,2,3,4\n\n' * 20 + "a,1,2,3,x\n"
    assert faults(tmp_path, "file,x1,y1,x2,y2\n" + body) == [("bad-number", ("a.csv:82: x",))]
