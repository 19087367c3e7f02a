"""Pascal VOC: reading, writing, and the way between them."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bboxconv
from bboxconv.boxes import BoxFormat
from bboxconv.codec import ReadContext, Source, WriteContext
from bboxconv.errors import DataError, Findings
from bboxconv.formats import voc
from bboxconv.formats.voc import documents
from bboxconv.formats.voc.documents import Task, parse_slice
from bboxconv.readers.xmlfiles import parse, to_json, written
from bboxconv.readers.xmlfolders import by_folder
from bboxconv.schema import Category, Dataset, Header, bbox_array, image_batch, object_rows
from bboxconv.workers import at_work

REAL = Path(os.environ.get("BBOXCONV_REAL_DATA", Path(__file__).parents[3] / "shared" / "data"))
SAMPLE = Path(__file__).parents[2] / "examples" / "sample" / "voc"
real_data = pytest.mark.skipif(not REAL.is_dir(), reason=f"no real data at {REAL}")

OBJECT = "<object><name>{name}</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox></object>"
DOCUMENT = (
    "<annotation><filename>a.jpg</filename><size><width>10</width><height>20</height></size>{inside}</annotation>"
)


def read(path: Path, split: str | None = None, **options: str) -> tuple[Dataset, Findings]:
    """A source called `src`, read with these options."""
    context = ReadContext(options=options)
    return voc.read(Source(path, split, "src"), context), context.findings


def read_text(folder: Path, text: str | bytes, **options: str) -> tuple[list[dict], list[dict], Findings]:
    """Images and objects of one document in the file a.xml."""
    (folder / "a.xml").write_bytes(text.encode() if isinstance(text, str) else text)
    dataset, findings = read(folder, **options)
    images = dataset.to_table().to_pylist()
    return images, [found for image in images for found in image["objects"]], findings


def tree(root: Path, files: dict[str, str]) -> Path:
    """Files below a folder."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def find(root: Path) -> list[str]:
    """The XML files below a folder, in order."""
    return sorted(prefix + name for prefix, names in by_folder(root) for name in names)


def doc(filename: str = "", *names: str) -> str:
    """A document with an object of each name."""
    return (
        f"<annotation><filename>{filename}</filename>{''.join(OBJECT.format(name=name) for name in names)}</annotation>"
    )


def faults(findings: Findings) -> list[tuple[str, str]]:
    """Code and place of everything found."""
    return [(finding.code, str(place)) for finding in findings for place in finding.places]


def dataset(images: list[dict], categories: tuple[str, ...] = ("cat", "dog")) -> Dataset:
    """Images with `objects` as dicts of the object columns."""
    found = [row for image in images for row in image.get("objects", [])]
    offsets = np.cumsum([0] + [len(image.get("objects", [])) for image in images])
    boxes = np.array([row["bbox"] for row in found], dtype=np.float64).reshape(-1, 4)
    kinds = {
        "category": pa.int32(),
        "truncated": pa.float64(),
        "occluded": pa.float64(),
        "difficult": pa.bool_(),
        "extra": pa.string(),
    }
    columns = {key: pa.array([row.get(key) for row in found], kind) for key, kind in kinds.items()}
    rows = object_rows({**columns, "bbox": bbox_array(boxes)}, len(found))
    kinds = {
        "file_name": pa.string(),
        "width": pa.int32(),
        "height": pa.int32(),
        "split": pa.string(),
        "extra": pa.string(),
    }
    batch = image_batch(
        {key: pa.array([image.get(key) for image in images], kind) for key, kind in kinds.items()}, offsets, rows
    )
    header = Header(BoxFormat("xyxy"), tuple(Category(name) for name in categories), source="voc")
    return Dataset(header, lambda: iter([batch]))


def write(data: Dataset, out: Path, **options: str) -> Findings:
    """A data set, written with these options."""
    out.mkdir(exist_ok=True)
    context = WriteContext(source_box=data.header.box, options=options, shown="out")
    voc.write(data.header, data, out, context)
    return context.findings


IMAGE = {"file_name": "a.jpg", "width": 10, "height": 20}


# Reading


def test_sample_holds_what_its_page_says() -> None:
    """Every oddity V1 to V12 of examples/sample is read as its page states."""
    data, findings = read(SAMPLE)
    assert [category.name for category in data.header.categories] == [
        "bench",
        "bicycle",
        "delivery van",
        "dog",
        "fruit stall",
        "person",
    ]
    images = {image["file_name"]: image for image in data.to_table().to_pylist()}
    assert faults(findings) == []
    names = [
        "crossing_01.jpg",
        "crossing_02.jpg",
        "hall_01",
        "hall_02.jpg",
        "harbour_01.jpg",
        "harbour_02.jpg",
        "stall_01.jpg",
        "stall_02.jpg",
    ]
    assert list(images) == names
    assert [images[name]["split"] for name in names] == [
        "train",
        "val",
        "train",
        "val",
        "train",
        "val",
        "train",
        "train",
    ]
    assert sum(len(image["objects"]) for image in images.values()) == 14
    assert images["crossing_01.jpg"]["objects"] == []
    assert [found["bbox"] for found in images["crossing_02.jpg"]["objects"]] == [
        [50, 200, 190, 330],
        [95, 90, 170, 310],
    ]
    stall = images["stall_01.jpg"]
    assert json.loads(stall["extra"]) == {
        "@verified": "yes",
        "folder": "market",
        "source": {
            "database": "Hill Street Market Database",
            "annotation": "Hill Street 2026",
            "image": "invented",
            "flickrid": "0",
        },
        "owner": {"flickrid": "nobody", "name": "Zoë Müller"},
        "depth": 3,
        "segmented": 1,
        "splits": ["trainval"],
    }
    keys = ("truncated", "occluded", "difficult", "extra")
    assert [[found[key] for key in keys] for found in stall["objects"]] == [
        [0.0, 1.0, False, '{"pose":"Frontal"}'],
        [1.0, 0.0, False, '{"pose":"Left"}'],
    ]
    assert json.loads(images["stall_02.jpg"]["objects"][0]["extra"]) == {
        "pose": "Right",
        "parts": [
            {"name": "head", "bndbox": {"xmin": "138", "ymin": "62", "xmax": "182", "ymax": "118"}},
            {"name": "hand", "bndbox": {"xmin": "101", "ymin": "240", "xmax": "124", "ymax": "266"}},
        ],
    }
    assert images["harbour_01.jpg"]["objects"][0]["bbox"] == [120.5, 402.25, 210.75, 480]
    assert images["harbour_01.jpg"]["objects"][0]["difficult"] is True
    assert json.loads(images["harbour_02.jpg"]["extra"])["depth"] == ""
    assert [images["hall_02.jpg"]["objects"][0][key] for key in keys] == [None, None, None, None]
    assert {found["iscrowd"] for image in images.values() for found in image["objects"]} == {None}


@real_data
def test_raccoon_equals_its_csv() -> None:
    """The 200 files hold the same sizes, classes and boxes as the csv that their author published."""
    data, _ = read(REAL / "raccoon")
    got = sorted(
        (
            image["file_name"],
            image["width"],
            image["height"],
            data.header.categories[found["category"]].name,
            *found["bbox"],
        )
        for image in data.to_table().to_pylist()
        for found in image["objects"]
    )
    with (REAL / "raccoon" / "raccoon_labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    sides = ("xmin", "ymin", "xmax", "ymax")
    want = sorted(
        (r["filename"], int(r["width"]), int(r["height"]), r["class"], *(float(r[side]) for side in sides))
        for r in rows
    )
    assert len(got) == 217
    assert got == want


@real_data
def test_bccd_is_complete() -> None:
    """364 images in three splits, 4,888 boxes of three classes, as counted from the files."""
    data, findings = read(REAL / "bccd")
    images = data.to_table().to_pylist()
    classes = [category.name for category in data.header.categories]
    assert classes == ["Platelets", "RBC", "WBC"]
    found = [classes[row["category"]] for image in images for row in image["objects"]]
    assert {name: found.count(name) for name in classes} == {"Platelets": 361, "RBC": 4155, "WBC": 372}
    for split in ("train", "val", "test"):
        rows = (REAL / "bccd" / "ImageSets" / "Main" / f"{split}.txt").read_text().split()
        assert sorted(image["file_name"][:-4] for image in images if image["split"] == split) == sorted(rows)
    assert [finding.code for finding in findings] == ["voc-origin"]


NUMBERS = (
    *(
        "1.5",
        "-3",
        " 7 ",
        "+4",
        "1e2",
        ".5",
        "5.",
        "0.1234567890123456789",
        "1.2.3",
        "-",
        "",
        "nan",
        "inf",
        "1,5",
        "0x1F",
        "1_0",
    ),
    *("9" * 30, "9" * 400),
)
FLAGS = ("0", "1", "0.5", "2", "-1", "yes", "", " 1 ", "nan")
FLAGGED = OBJECT.format(name="cat").replace("<bndbox>", "<{tag}>{text}</{tag}><bndbox>")
BACKWARDS = (
    "<object><bndbox><ymax>4</ymax><xmax>3</xmax><ymin>2</ymin><xmin>1</xmin></bndbox>"
    "<difficult>1</difficult><name>c</name></object>"
)
FOLDER = "<folder>f</folder><filename>b\\c.png</filename><path>/x/é.jpg</path>"
SOURCE = (
    "<source><database>The VOC2007 Database</database><image>flickr</image></source><owner><name> x </name></owner>"
)
VARIANTS = [
    DOCUMENT.format(inside=OBJECT.format(name="cat")),
    DOCUMENT.format(inside=""),
    "\ufeff" + DOCUMENT.format(inside=OBJECT.format(name="Zoë")),
    "<?xml version='1.0' encoding='UTF-8'?>\r\n" + DOCUMENT.format(inside=OBJECT.format(name="cat") + "\r\n"),
    DOCUMENT.format(inside="<!-- " + OBJECT.format(name="ghost") + " -->" + OBJECT.format(name="cat")),
    DOCUMENT.format(inside=OBJECT.format(name="<![CDATA[a<b]]>")),
    DOCUMENT.format(inside=OBJECT.format(name="cats &amp; dogs &#228;")),
    DOCUMENT.format(inside=OBJECT.format(name="\n\tcat\n\t")),
    DOCUMENT.format(inside=OBJECT.format(name=" cat ")),
    DOCUMENT.format(inside=OBJECT.format(name=" ")),
    DOCUMENT.format(inside=OBJECT.format(name="cat</name><name>dog")),
    DOCUMENT.format(inside=OBJECT.format(name="cat</name><pose>Left</pose><pose>Right</pose><name>dog")),
    DOCUMENT.format(inside=OBJECT.format(name="cat").replace("<xmin>1</xmin>", "<xmin>1</xmin><xmin>9</xmin>")),
    DOCUMENT.format(inside=OBJECT.format(name="cat").replace("<xmin>1</xmin>", "")),
    *(DOCUMENT.format(inside=OBJECT.format(name="cat").replace("<xmin>1<", f"<xmin>{number}<")) for number in NUMBERS),
    *(
        DOCUMENT.format(inside=FLAGGED.format(tag=tag, text=text))
        for tag in ("truncated", "difficult", "occluded")
        for text in FLAGS
    ),
    DOCUMENT.format(inside=BACKWARDS),
    DOCUMENT.format(inside="<object><name>cat</name></object>"),
    DOCUMENT.format(inside="<wrap>" + OBJECT.format(name="cat") + "</wrap>"),
    DOCUMENT.format(inside=OBJECT.format(name="cat").replace("<object>", '<object id="7">')),
    DOCUMENT.format(inside=OBJECT.format(name="cat").replace("</bndbox>", "<angle>3</angle></bndbox>")),
    DOCUMENT.format(inside=OBJECT.format(name="cat") + "<segmented>0</segmented>"),
    DOCUMENT.format(inside="<segmented>0</segmented>" + OBJECT.format(name="cat")),
    DOCUMENT.format(inside="<segmented>007</segmented>" + OBJECT.format(name="cat")),
    DOCUMENT.format(inside="").replace("<width>10</width>", "<width>0</width>"),
    DOCUMENT.format(inside="").replace("<width>10</width>", "<width>640.0</width><depth>3</depth>"),
    DOCUMENT.format(inside="").replace("<width>10</width>", "<width>640.5</width><depth/>"),
    DOCUMENT.format(inside="").replace("<width>10</width>", "<width>999999999</width>"),
    DOCUMENT.format(inside="").replace("<filename>a.jpg</filename>", ""),
    DOCUMENT.format(inside="").replace("<filename>a.jpg</filename>", FOLDER),
    DOCUMENT.format(inside="").replace("<size>", SOURCE + "<size>"),
    DOCUMENT.format(inside="").replace("<size>", "<source><database>a</database><database>b</database></source><size>"),
    DOCUMENT.format(inside="").replace("<size>", "<source><a><b>deep</b></a></source><size>"),
    DOCUMENT.format(inside="").replace("<annotation>", '<annotation verified="yes">'),
    DOCUMENT.format(inside="").replace("<annotation>", '<annotation verified="yes" by="me">'),
    DOCUMENT.format(inside=OBJECT.format(name="]]>")),
    DOCUMENT.format(inside=OBJECT.format(name="a\x0bb")),
    DOCUMENT.format(inside=OBJECT.format(name="a\x00b")),
    DOCUMENT.format(inside=OBJECT.format(name="a\x01b")),
    DOCUMENT.format(inside=OBJECT.format(name="a\uffffb")),
    DOCUMENT.format(inside=OBJECT.format(name="cat"))[:-5],
    DOCUMENT.format(inside=OBJECT.format(name="cat")) + "<more/>",
    "",
    "<annotations/>",
]


def both_ways(root: Path, paths: list[str]) -> tuple[documents.Parsed, documents.Parsed]:
    """Documents the fast way, and through lxml."""
    task = Task(str(root), "src", tuple(paths), ("train",) * len(paths), (("all",),) * len(paths))
    return parse_slice(task), parse_slice(task, fast=False)


def same(fast: documents.Parsed, slow: documents.Parsed) -> None:
    """Both hold the same, whatever the order of their class names."""

    def plain(parsed: documents.Parsed) -> list[dict]:
        rows = parsed.batch.to_pylist()
        return [
            {**row, "objects": [{**found, "category": parsed.names[found["category"]]} for found in row["objects"]]}
            for row in rows
        ]

    assert plain(fast) == plain(slow)
    assert fast.rows.tolist() == slow.rows.tolist()
    assert sorted(fast.findings, key=repr) == sorted(slow.findings, key=repr)
    assert (fast.voc, fast.low, fast.edge, set(fast.names)) == (slow.voc, slow.low, slow.edge, set(slow.names))


@pytest.mark.parametrize("number", range(len(VARIANTS)))
def test_both_ways_agree_on_each_variant(tmp_path: Path, number: int) -> None:
    """A document gives the same the fast way and through lxml, between others as well."""
    usual = DOCUMENT.format(inside=OBJECT.format(name="cat") * 2)
    tree(tmp_path, {"a.xml": usual, "c.xml": usual})
    (tmp_path / "b.xml").write_bytes(VARIANTS[number].encode())
    same(*both_ways(tmp_path, ["b.xml"]))
    same(*both_ways(tmp_path, ["a.xml", "b.xml", "c.xml"]))


def test_both_ways_agree_on_all_variants_at_once(tmp_path: Path) -> None:
    """Documents of every kind in one slice do not disturb each other."""
    for number, text in enumerate(VARIANTS):
        (tmp_path / f"{number:03}.xml").write_bytes(text.encode())
    same(*both_ways(tmp_path, find(tmp_path)))


def leaf(tag: str, text: str = "t", attribute: str = "") -> str:
    """An element with text alone."""
    return f"<{tag}{attribute}>{text}</{tag}>"


JSON = ' type="json"'
JSON_TEXTS = (
    "3",
    "-0",
    "007",
    "1.50",
    "1e5",
    "null",
    "[1, 2]",
    "{&quot;a&quot;: &quot;&amp;lt;&quot;}",
    '"\\ud800"',
    "NaN",
    "x",
    "",
)
LEAVES = [
    leaf("license", text, JSON) for text in JSON_TEXTS
] + [
    leaf("coco_url", "http://a.example/?b=1&amp;c=&lt;&gt;&quot;&apos;"),
    leaf("note", "&amp;lt;&amp;amp;"),
    leaf("note", "&#65;"),
    leaf("note", "&amp"),
    leaf("note", "a > b"),
    leaf("note", "a ]]> b"),
    leaf("note", "\n"),
    leaf("note", "a\tb"),
    leaf("note", 'say "\\" \x7f é \u2028'),
    leaf("note", "\ufffe"),
    leaf("note", ""),
    leaf("note", " "),
    leaf("note") + leaf("note", "u"),
    leaf("note") + leaf("note", "3", JSON),
    leaf("note", "3", " type='json'"),
    leaf("note", "3", ' type="text"'),
    leaf("note", "3", ' type="json" id="7"'),
    leaf("Z_1.-"),
    leaf("a:b"),
    leaf("é"),
    "<note/>",
    "<note>t</note >",
    "<note>t</Note>",
    "<!-- x -->",
    "<?x y?>",
    "between",
    *(leaf(tag, "3") for tag in ("extra", "part", "parts", "splits", "depth", "segmented", "name", "width", "xmin")),
    *(leaf(tag, "3") for tag in ("size", "source", "owner", "object", "bndbox", "annotation", "folder", "filename")),
    *(leaf(tag, "3", JSON) for tag in ("extra", "part", "splits", "depth", "segmented", "name", "filename", "size")),
    leaf("extra", "{&quot;@type&quot;: 1}", JSON),
    leaf("source", leaf("database", "PASCAL VOC &amp; more") + leaf("depth", "3")),
    leaf("source", leaf("database", '"VOC"', JSON)),
    leaf("source", leaf("id", "3", JSON) + " " + leaf("url", "&lt;")),
    leaf("owner", leaf("name") + leaf("name")),
    leaf("size", leaf("depth", "3")),
    "<source></source>",
    "<source> </source>",
]  # fmt: skip
NAMED = "<name>a &amp; b</name>"
BOX = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3.5</xmax><ymax>4</ymax></bndbox>"
BOXES = (BOX, "<bndbox><ymin>2</ymin><ymax>4</ymax><xmax>1e1</xmax><xmin>.5</xmin></bndbox>")


@pytest.mark.parametrize("text", LEAVES)
@pytest.mark.parametrize("where", ["first", "rest", "last", "source", "size", "object", "end of object", "bndbox"])
def test_both_ways_agree_on_leaves_everywhere(tmp_path: Path, text: str, where: str) -> None:
    """An element of whatever kind, at every place of a document, gives the same the fast way and through lxml."""
    held = {place: text if place == where else "" for place in ("first", "rest", "last", "source", "size", "object")}
    held |= {place: text if place == where else "" for place in ("end of object", "bndbox")}
    found = (
        f"<object>{NAMED}{held['object']}{BOX.replace('</b', held['bndbox'] + '</b')}{held['end of object']}</object>"
    )
    document = (
        f"<annotation>\n\t{held['first']}<filename>a.jpg</filename><source>{leaf('database')}{held['source']}</source>"
        f"<size><width>10</width>{held['size']}<height>20</height></size>{held['rest']}{found * 2}{held['last']}"
        "</annotation>\n"
    )
    tree(tmp_path, {"a.xml": DOCUMENT.format(inside=OBJECT.format(name="cat")), "c.xml": DOCUMENT.format(inside="")})
    (tmp_path / "b.xml").write_bytes(document.encode())
    same(*both_ways(tmp_path, ["a.xml", "b.xml", "c.xml"]))


MEMBERS = st.sampled_from([*LEAVES, "<segmented>0</segmented>", "<pose>Left</pose>", "<folder>f</folder>"])
FLAG = st.builds(leaf, st.sampled_from(["truncated", "difficult", "occluded"]), st.sampled_from(FLAGS))
FOUND = st.tuples(
    st.just(NAMED), st.sampled_from(BOXES), *[st.just("") | st.just("\n\t") | FLAG | MEMBERS] * 2
).flatmap(st.permutations)
SIZE = "<size>\n<width>10</width><height>20</height><depth>3</depth></size>"
PARTS = st.one_of(MEMBERS, FOUND.map(lambda parts: leaf("object", "".join(parts))), st.just(SIZE), st.just("\r\n\t "))
START = st.sampled_from(
    ["<annotation>", '<annotation verified="yes">', "\ufeff<?xml version='1.0'?>\n<annotation>", " <a>"]
)
WHOLE = st.builds(lambda start, parts: start + "".join(parts) + "</annotation>", START, st.lists(PARTS, max_size=5))


@st.composite
def faulty(draw: st.DrawFn) -> str:
    """A document of which a piece is left out or stands twice."""
    text = draw(WHOLE)
    start, stop = sorted((draw(st.integers(0, len(text))), draw(st.integers(0, len(text)))))
    return draw(st.sampled_from([text[:start] + text[stop:], text[:stop] + text[start:]]))


@settings(deadline=None)
@given(st.lists(WHOLE | faulty(), min_size=1, max_size=4))
def test_both_ways_agree_on_any_documents(texts: list[str]) -> None:
    """Documents of parts in any number and order, some of them broken, give the same the fast way and through lxml."""
    with TemporaryDirectory() as folder:
        for number, text in enumerate(texts):
            Path(folder, f"{number}.xml").write_bytes(text.encode())
        same(*both_ways(Path(folder), find(Path(folder))))


def test_documents_written_from_coco_are_read_the_fast_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What COCO says of images and of objects, numbers, addresses and all, does not need lxml when it is read back."""
    image = {
        "license": 3,
        "coco_url": "http://a.example/b.jpg?c=1&d=<2>",
        "date_captured": "2013-11-14 17:02:34",
        "flickr_url": None,
        "score": 0.5,
        "tags": ["a", ["b"]],
    }
    own = {"track": 7, "note": 'a "b" & c'}
    rows = [{"category": at, "bbox": [1, 2, 3.5, 4], "extra": json.dumps(own)} for at in (0, 1)]
    images = [{**IMAGE, "file_name": f"{at}.jpg", "extra": json.dumps(image), "objects": rows[at:]} for at in range(3)]
    write(dataset(images, ("cat & dog", "dog")), tmp_path / "out")
    paths = find(tmp_path / "out")
    same(*both_ways(tmp_path / "out", paths))
    monkeypatch.setattr(documents, "document", None)
    batch = as_read(tmp_path / "out", paths).batch.to_pylist()
    assert [json.loads(row["extra"]) for row in batch] == [image] * 3
    assert [json.loads(found["extra"]) for row in batch for found in row["objects"]] == [own] * 3


@pytest.mark.parametrize("others", [(), ("trainval", "all")])
def test_usual_documents_never_reach_lxml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, others: tuple[str, ...]
) -> None:
    """Objects with children in any order, with flags and without, are read the fast way."""
    frame = FOLDER + SOURCE + leaf("segmented", "0")
    texts = [
        DOCUMENT.format(inside=""),
        DOCUMENT.format(inside=BACKWARDS + OBJECT.format(name="cat")),
        DOCUMENT.format(inside=FLAGGED.format(tag="pose", text="Left") + OBJECT.format(name="&lt;")),
        f'<?xml version="1.0"?><annotation verified="no">{frame}{OBJECT.format(name="Zoë")}</annotation>',
    ]
    tree(tmp_path, {f"{number}.xml": text for number, text in enumerate(texts)})
    paths = find(tmp_path)
    task = Task(str(tmp_path), "src", tuple(paths), ("train",) * 4, (others,) * 4)
    slow = parse_slice(task, fast=False)
    monkeypatch.setattr(documents, "document", None)
    same(parse_slice(task), slow)


@real_data
@pytest.mark.parametrize("name", ["bccd", "raccoon", "labelformat"])
def test_both_ways_agree_on_real_data(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real files give the same both ways, and the usual ones never reach lxml."""
    paths = find(REAL / name)
    fast, slow = both_ways(REAL / name, paths)
    same(fast, slow)
    monkeypatch.setattr(documents, "document", None)
    assert len(as_read(REAL / name, paths).rows) == len(paths)


def as_read(root: Path, paths: list[str]) -> documents.Parsed:
    """Documents as they are read."""
    return parse_slice(Task(str(root), "src", tuple(paths), ("train",) * len(paths), ((),) * len(paths)))


def test_utf16_and_declared_encodings_are_honoured(tmp_path: Path) -> None:
    """UTF-16 with a byte order mark, and Latin-1 where the document declares it."""
    text = DOCUMENT.format(inside=OBJECT.format(name="Zoë"))
    for data in (text.encode("utf-16"), b'<?xml version="1.0" encoding="ISO-8859-1"?>' + text.encode("latin-1")):
        (tmp_path / "a.xml").write_bytes(data)
        data_set, findings = read(tmp_path)
        assert [category.name for category in data_set.header.categories] == ["Zoë"]
        assert faults(findings) == []


@pytest.mark.parametrize(
    ("declared", "use"),
    [
        ("<!ENTITY a 'aaaa'>", "&a;"),
        ("<!ENTITY x SYSTEM 'file:///etc/passwd'>", "&x;"),
        ("<!ENTITY % p SYSTEM 'http://localhost:9/x'>", "cat"),
    ],
)
def test_entities_are_refused(tmp_path: Path, declared: str, use: str) -> None:
    """A document that declares entities is an error, whether they are used or not; nothing is expanded or fetched."""
    images, _, findings = read_text(
        tmp_path, f"<!DOCTYPE annotation [{declared}]>" + DOCUMENT.format(inside=OBJECT.format(name=use))
    )
    assert images == []
    assert faults(findings) == [("bad-xml", "src/a.xml:1")]


def test_broken_xml_names_its_line_and_the_rest_is_read(tmp_path: Path) -> None:
    """A file that is cut off is one error with its line; other files are read."""
    tree(tmp_path, {"a.xml": "<annotation>\n<filename>a.jpg</filename>\n<obj", "b.xml": doc("b.jpg", "cat")})
    data, findings = read(tmp_path)
    assert data.to_table()["file_name"].to_pylist() == ["b.jpg"]
    [(code, place)] = faults(findings)
    assert code == "bad-xml"
    assert place.startswith("src/a.xml:3: ")


def test_faulty_objects_are_left_out_with_their_line(tmp_path: Path) -> None:
    """No name, no box, a missing corner and a number that is none: each an error at its line, the good object
    stays.
    """
    good = OBJECT.format(name="cat")
    lines = [
        "<annotation><filename>a.jpg</filename>",
        good.replace("<name>cat</name>", ""),
        "<object><name>dog</name></object>",
        good.replace("<ymax>4</ymax>", ""),
        good.replace("<xmin>1<", "<xmin>one<"),
        good.replace("<xmin>1<", "<xmin>nan<"),
        good + "</annotation>",
    ]
    _, objects, findings = read_text(tmp_path, "\n".join(lines))
    assert [found["bbox"] for found in objects] == [[1, 2, 3, 4]]
    assert faults(findings) == [
        ("missing-field", "src/a.xml:2"),
        ("missing-field", "src/a.xml:3: 'dog'"),
        ("missing-field", "src/a.xml:4: no <ymax>"),
        ("bad-number", "src/a.xml:5: xmin is 'one'"),
        ("bad-number", "src/a.xml:6: xmin is 'nan'"),
    ]


def test_deep_nesting_is_an_error(tmp_path: Path) -> None:
    """Two hundred elements in each other are refused, not a crash."""
    images, _, findings = read_text(tmp_path, DOCUMENT.format(inside="<a>" * 200 + "</a>" * 200))
    assert images == []
    assert [code for code, _ in faults(findings)] == ["bad-xml"]


@pytest.mark.parametrize(
    ("filename", "path", "want"),
    [
        ("b.jpg", "a.xml", "b.jpg"),
        ("b", "a.xml", "a"),
        ("", "a.b.xml", "a.b"),
        ("sub/a", "sub/a.xml", "sub/a"),
        ("d\\b.jpg", "a.xml", "d/b.jpg"),
        (".jpg", "a.xml", "a"),
    ],
)
def test_image_names(tmp_path: Path, filename: str, path: str, want: str) -> None:
    """The name is <filename>, or the XML's stem where it is missing or has no extension."""
    data, _ = read(tree(tmp_path, {path: doc(filename)}))
    assert data.to_table()["file_name"].to_pylist() == [want]


def test_stem_names_on_request(tmp_path: Path) -> None:
    """name=stem calls images by the XML's name, with the extension of <filename>."""
    data, _ = read(tree(tmp_path, {"a.xml": doc("x.png"), "b.xml": doc("x.png")}), name="stem")
    assert data.to_table()["file_name"].to_pylist() == ["a.png", "b.png"]


def test_folders_make_names_unique(tmp_path: Path) -> None:
    """The same name in two folders gets the folders; names that are unique by themselves do not."""
    data, findings = read(tree(tmp_path, {"one/a.xml": doc("a.jpg", "dog"), "two/a.xml": doc("a.jpg", "cat")}))
    assert data.to_table()["file_name"].to_pylist() == ["one/a.jpg", "two/a.jpg"]
    assert faults(findings) == []
    names = [
        data.header.categories[row["category"]].name
        for image in data.to_table().to_pylist()
        for row in image["objects"]
    ]
    assert names == ["dog", "cat"]


def test_one_image_in_two_files_is_an_error(tmp_path: Path) -> None:
    """Two XML files in one folder that name the same image: an error, and the first stays."""
    data, findings = read(tree(tmp_path, {"a.xml": doc("x.jpg", "cat"), "b.xml": doc("x.jpg", "dog")}))
    assert [len(image["objects"]) for image in data.to_table().to_pylist()] == [1]
    assert data.images == 1
    assert faults(findings) == [("duplicate-image", "src/b.xml: 'x.jpg'")]


def test_image_sets(tmp_path: Path) -> None:
    """Split lists give splits and class lists do not; val wins; a listed image without XML is unannotated."""
    data, findings = read(
        tree(
            tmp_path,
            {
                "VOC2007/Annotations/a.xml": doc("a.jpg"),
                "VOC2007/Annotations/b.xml": doc("b.jpg"),
                "VOC2007/Annotations/image 1.xml": doc("image 1.jpg"),
                "VOC2007/ImageSets/Main/trainval.txt": "a\r\nb\r\n",
                "VOC2007/ImageSets/Main/val.txt": "b\n\n",
                "VOC2007/ImageSets/Main/fold.txt": "image 1\n",
                "VOC2007/ImageSets/Main/cat_val.txt": "b  1\na -1\n",
                "VOC2007/ImageSets/Main/test.txt": "c\nd\n",
                "VOC2007/JPEGImages/d.png": "",
                "VOC2012/Annotations/e.xml": doc("e.jpg"),
            },
        )
    )
    rows = [
        (image["file_name"], image["split"], image["extra"], image["objects"]) for image in data.to_table().to_pylist()
    ]
    assert rows == [
        ("a.jpg", "trainval", None, []),
        ("b.jpg", "val", '{"splits":["trainval"]}', []),
        ("image 1.jpg", "fold", None, []),
        ("e.jpg", None, None, []),
        ("c.jpg", "test", None, None),
        ("d.png", "test", None, None),
    ]
    assert data.images == 6
    assert [(finding.code, finding.severity, finding.count) for finding in findings] == [
        ("missing-annotation", "note", 2),
        ("image-extension-assumed", "note", 1),
    ]


@pytest.mark.parametrize(
    "name",
    [" a.jpg", "a\u2028b.jpg", "a\x85.jpg", "a\u00a0.jpg", "\ufeffa.jpg", "Annotations/a.jpg", "x/Annotations/y/a.jpg"],
)
def test_lists_name_images_as_they_are_called(tmp_path: Path, name: str) -> None:
    """The split of an image comes back whatever characters its name has and whatever its folder is called."""
    write(dataset([{**IMAGE, "file_name": name, "split": "train"}]), tmp_path / "out")
    data, findings = read(tmp_path / "out")
    assert [(row["file_name"], row["split"]) for row in data.to_table().to_pylist()] == [(name, "train")]
    assert faults(findings) == []


@pytest.mark.parametrize(
    ("split", "splits", "lists"),
    [
        ("train", ["val", "all"], ["all", "train", "val"]),
        ("train", [], ["train"]),
        ("train", ["b", "a"], ["train"]),
        ("train", ["train"], ["train"]),
        ("val", ["train"], ["val"]),
        ("train", ["../x"], ["train"]),
        ("train", [".x"], ["train"]),
        ("train", [""], ["train"]),
        ("train", ["x/y"], ["train"]),
        ("train", ["x", 1], ["train"]),
        (None, ["val"], []),
    ],
)
def test_further_splits_are_lists_or_stay_what_they_are(
    tmp_path: Path, split: str | None, splits: list[object], lists: list[str]
) -> None:
    """Further splits of an image are lists where these say the same; else they are kept in its document."""
    extra = json.dumps({"splits": splits})
    findings = write(dataset([{**IMAGE, "split": split, "extra": extra}]), tmp_path / "out")
    assert faults(findings) == []
    assert sorted(path.stem for path in tmp_path.rglob("*.txt")) == lists
    (row,) = read(tmp_path / "out")[0].to_table().to_pylist()
    assert (row["split"], json.loads(row["extra"])) == (split, {"splits": splits})


def test_split_folders_and_given_split(tmp_path: Path) -> None:
    """Folders called train and valid are splits; a split that the user gives wins over all."""
    tree(tmp_path, {"train/a.xml": doc("a.jpg"), "valid/b.xml": doc("b.jpg")})
    assert read(tmp_path)[0].to_table()["split"].to_pylist() == ["train", "val"]
    assert read(tmp_path, split="test")[0].to_table()["split"].to_pylist() == ["test", "test"]


def test_single_file(tmp_path: Path) -> None:
    """A path of one XML file is a data set of one image."""
    data, _ = read(tree(tmp_path, {"a.xml": doc("", "cat")}) / "a.xml", split="val")
    assert [(image["file_name"], image["split"], len(image["objects"])) for image in data.to_table().to_pylist()] == [
        ("a", "val", 1)
    ]


def test_no_xml_is_refused(tmp_path: Path) -> None:
    """A folder without XML files cannot be read."""
    with pytest.raises(DataError, match="no-annotations"):
        read(tmp_path)


def test_empty_tree_is_an_empty_data_set(tmp_path: Path) -> None:
    """A tree whose Annotations folder is empty has no images, and is what an empty data set is written as."""
    write(dataset([]), tmp_path / "out")
    data, findings = read(tmp_path / "out")
    assert (data.images, data.to_table().num_rows, data.header.categories, faults(findings)) == (0, 0, (), [])


def test_hidden_files_and_litter(tmp_path: Path) -> None:
    """Hidden names below the top are images; hidden folders at the top and what systems leave behind are not."""
    names = ("Annotations/.a.xml", "Annotations/.b/c.xml", ".git/d.xml", "__MACOSX/e.xml", "Annotations/._f.xml")
    data, _ = read(tree(tmp_path, dict.fromkeys((*names, "Annotations/.ipynb_checkpoints/g.xml"), doc())))
    assert data.to_table()["file_name"].to_pylist() == [".a", "c"]


def test_origin(tmp_path: Path) -> None:
    """A VOC database is noted once; origin=1 reads the same numbers as 1-based inclusive pixels without a note."""
    text = DOCUMENT.format(
        inside="<source><database>The VOC2007 Database</database></source>" + OBJECT.format(name="cat")
    )
    tree(tmp_path, {"a.xml": text, "b.xml": text.replace("a.jpg", "b.jpg")})
    data, findings = read(tmp_path)
    assert data.header.box == BoxFormat("xyxy")
    assert [(finding.code, finding.severity, finding.count) for finding in findings] == [("voc-origin", "note", 1)]
    data, findings = read(tmp_path, origin="1")
    assert data.header.box == BoxFormat("xyxy", origin=1, inclusive=True)
    assert data.to_table()["objects"].to_pylist()[0][0]["bbox"] == [1, 2, 3, 4]
    assert faults(findings) == []


def test_result_does_not_depend_on_batches_or_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any batch size and a pool of two processes give the same images; batches keep to the size."""
    monkeypatch.setattr(voc, "MANY", 0)
    tree(tmp_path, {f"{n:05}.xml": doc(f"{n}.jpg", f"c{n % 7}") for n in range(2000)})
    (tmp_path / "00003.xml").write_text(doc("3.jpg", "a &amp; b"))
    want = read(tmp_path)[0]
    with at_work(2) as workers:
        got = voc.read(Source(tmp_path), ReadContext(batch_size=300, workers=workers, memory=1))
    assert got.to_table().equals(want.to_table())
    assert got.header == want.header
    assert {batch.num_rows for batch in got} <= {300, 200}
    assert got.to_table().equals(want.to_table())


# Writing


FULL = """\
<annotation verified="yes">
	<folder>f</folder>
	<filename>sub/a.b &amp; c.jpg</filename>
	<source>
		<database>&lt;db&gt;</database>
	</source>
	<size>
		<width>10</width>
		<height>20</height>
		<depth>3</depth>
	</size>
	<segmented>0</segmented>
	<license type="json">3</license>
	<extra type="json">{&quot;my key&quot;: null, &quot;object&quot;: &quot;x&quot;}</extra>
	<object>
		<name>dog</name>
		<pose>Left</pose>
		<truncated>0.25</truncated>
		<difficult>1</difficult>
		<occluded>1</occluded>
		<bndbox>
			<xmin>1</xmin>
			<ymin>2.5</ymin>
			<xmax>3</xmax>
			<ymax>4.123456789012345</ymax>
		</bndbox>
		<part>
			<name>head</name>
			<bndbox>
				<xmin>1</xmin>
			</bndbox>
		</part>
		<note>a</note>
		<note>b</note>
	</object>
	<object>
		<name>c&lt;t</name>
		<difficult>2</difficult>
		<bndbox>
			<xmin>-1</xmin>
			<ymin>0</ymin>
			<xmax>1e+20</xmax>
			<ymax>0</ymax>
			<angle>3</angle>
		</bndbox>
	</object>
</annotation>
"""


def full() -> Dataset:
    """An image with a value in every field that VOC carries, and one without boxes."""
    image_extra = {
        "@verified": "yes",
        "folder": "f",
        "source": {"database": "<db>"},
        "depth": 3,
        "segmented": 0,
        "license": 3,
        "my key": None,
        "object": "x",
        "splits": ["trainval"],
    }
    first = {"pose": "Left", "parts": [{"name": "head", "bndbox": {"xmin": "1"}}], "note": ["a", "b"]}
    objects = [
        {"category": 1, "bbox": [1, 2.5, 3, 4.123456789012345], "truncated": 0.25, "difficult": True, "occluded": 1}
        | {"extra": json.dumps(first)},
        {"category": 0, "bbox": [-1, 0, 1e20, 0], "extra": '{"difficult":"2","bndbox":{"angle":"3"}}'},
    ]
    image = {
        "file_name": "sub/a.b & c.jpg",
        "width": 10,
        "height": 20,
        "split": "train",
        "objects": objects,
        "extra": json.dumps(image_extra),
    }
    return dataset([image, {**IMAGE, "split": "val"}], ("c<t", "dog"))


def test_written_text_is_exact(tmp_path: Path) -> None:
    """The document of an image with everything and of one without boxes, and the lists of the splits, byte for
    byte.
    """
    assert faults(write(full(), tmp_path / "out")) == []
    out = tmp_path / "out"
    files = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    assert files == [
        "Annotations/a.xml",
        "Annotations/sub/a.b & c.xml",
        *(f"ImageSets/Main/{s}.txt" for s in ("train", "trainval", "val")),
    ]
    assert (out / files[1]).read_bytes().decode() == FULL
    assert (out / files[0]).read_bytes().decode() == (
        "<annotation>\n\t<filename>a.jpg</filename>\n\t<size>\n\t\t<width>10</width>\n\t\t<height>20</height>\n\t</size>\n</annotation>\n"
    )
    assert [(out / name).read_bytes().decode() for name in files[2:]] == ["sub/a.b & c\n", "sub/a.b & c\n", "a\n"]


def test_written_reads_back(tmp_path: Path) -> None:
    """What is written reads back: names, numbers, flags, splits and extra, values of other formats included."""
    data = full()
    write(data, tmp_path / "out")
    again, findings = read(tmp_path / "out")
    assert faults(findings) == []

    def plain(source: Dataset) -> list[dict]:
        rows = sorted(source.to_table().to_pylist(), key=lambda row: row["file_name"])
        for part in [*rows, *(found for row in rows for found in row["objects"])]:
            part["extra"] = json.loads(part["extra"] or "null")
        return rows

    assert plain(again) == plain(data)
    assert [category.name for category in again.header.categories] == ["c<t", "dog"]


@pytest.mark.parametrize(
    "path",
    [SAMPLE, *(REAL / name for name in ("bccd", "raccoon", "labelformat/PascalVOC"))],
    ids=lambda path: path.name,
)
def test_real_data_round_trip(tmp_path: Path, path: Path) -> None:
    """Reading, writing and reading again gives the same table and header."""
    if not path.is_dir():
        pytest.skip(f"no real data at {path}")
    data, _ = read(path)
    assert faults(write(data, tmp_path / "out")) == []
    again, _ = read(tmp_path / "out")
    assert again.to_table().equals(data.to_table())
    assert again.header == data.header


def test_defaults_and_decimals(tmp_path: Path) -> None:
    """defaults=yes writes what is not known as labelImg does; decimals=0 writes whole numbers."""
    data = dataset([{**IMAGE, "objects": [{"category": 0, "bbox": [0.6, 1, 2.4, 3], "truncated": 1}]}])
    write(data, tmp_path / "out", defaults="yes", decimals="0")
    text = (tmp_path / "out" / "Annotations" / "a.xml").read_text()
    assert (
        "\t\t<name>cat</name>\n\t\t<pose>Unspecified</pose>\n\t\t<truncated>1</truncated>\n\t\t<difficult>0</difficult>\n\t\t<bndbox>\n"
        in text
    )
    assert "<xmin>1</xmin>\n\t\t\t<ymin>1</ymin>\n\t\t\t<xmax>2</xmax>\n\t\t\t<ymax>3</ymax>" in text


def test_target_follows_origin() -> None:
    """origin=1 asks for the devkit's 1-based inclusive pixels; VOC needs names, sizes, classes and boxes."""
    header = Header(BoxFormat("xywh"))
    assert voc.target(header, {}).box == BoxFormat("xyxy")
    wanted = voc.target(header, {"origin": "1", "crowd": "drop", "rotated": "drop"})
    assert (wanted.box, wanted.crowd, wanted.rotated) == (BoxFormat("xyxy", origin=1, inclusive=True), "drop", "drop")
    assert wanted.requires == {"image.file_name", "image.width", "image.height", "object.category", "object.bbox"}


def test_clash_is_an_error_that_names_both(tmp_path: Path) -> None:
    """a.jpg and a.png would write the same file: an error with both names, and the first stays."""
    findings = write(dataset([IMAGE, {**IMAGE, "file_name": "a.png"}]), tmp_path / "out")
    assert faults(findings) == [("file-clash", "out/Annotations/a.xml: a.jpg and a.png")]
    assert "a.jpg" in (tmp_path / "out" / "Annotations" / "a.xml").read_text()


@pytest.mark.parametrize("name", ["../a.jpg", "/a.jpg", "C:/a.jpg", "a\\b.jpg", "a\nb.jpg"])
def test_unsafe_names_are_left_out(tmp_path: Path, name: str) -> None:
    """A name that leads out of the folder, or would break a list, is an error and writes nothing."""
    findings = write(dataset([{**IMAGE, "file_name": name, "split": "train"}]), tmp_path / "out")
    assert [code for code, _ in faults(findings)] == ["unsafe-name"]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_unsafe_split_writes_no_list(tmp_path: Path) -> None:
    """A split whose name is no file name is an error."""
    findings = write(dataset([{**IMAGE, "split": "../x"}]), tmp_path / "out")
    assert [code for code, _ in faults(findings)] == ["unsafe-name"]
    assert sorted(path.name for path in tmp_path.rglob("*.txt")) == []


def test_class_that_xml_cannot_hold(tmp_path: Path) -> None:
    """Each box of a class whose name XML cannot say is an error, and left out; such a class without boxes is none, as
    it is not written."""
    categories = [{"name": name} for name in ("a\x00", "dog", "\n", "a\n", "\ufffe")]
    rows = [{"category": number, "bbox": [1, 2, 3, 4]} for number in (0, 1, 3)]
    head = {"type": "dataset", "bboxconv": 1, "box": "xyxy", "categories": categories}
    image = {"type": "image", "file": "a.jpg", "width": 9, "height": 9, "objects": rows}
    source = tmp_path / "a.jsonl"
    source.write_text(f"{json.dumps(head)}\n{json.dumps(image)}\n")
    report = bboxconv.convert(source, tmp_path / "out", to="voc", on_error="skip", verify=True)
    (fault,) = (found for found in report.findings if found.severity == "error")
    where = f"{source}: image a.jpg, object"
    assert (fault.code, fault.count) == ("bad-value", 2)
    assert fault.where == (rf"{where} 0: 'a\x00'", rf"{where} 2: 'a\n'")
    assert (report.boxes, report.left_out_boxes) == (1, {"bad-value": 2})
    assert {report.fields[f"object.{name}"].count for name in ("bbox", "category")} == {1}
    again, _ = read(tmp_path / "out")
    assert [category.name for category in again.header.categories] == ["dog"]


@pytest.mark.parametrize(
    "value",
    ["x", "", " x ", "a\nb", "\x00", 3, 1.5, True, None, [], ["a"], ["a", "b"], [1, [2]], {}, {"a": "b"},
     {"a": ["x", "y"], "@id": "7"},
     {"#text": "t"}, {"#text": "t", "@a": "b"}, {"no name": 1}, {"@type": "json", "#text": "3"}, {"a": {"b": None}},
     {"{ns}a": "x"}, {"²": "x"}, "<&>\"'"],
)  # fmt: skip
def test_any_json_survives_as_xml(value: object) -> None:
    """Every JSON value reads back from the element that is written for it."""
    findings = Findings()
    root = parse(f"<r>{written('e', value)}</r>".encode(), "x", findings)  # type: ignore[arg-type]
    assert root is not None, faults(findings)
    got = to_json(root)
    assert got == {"e": value}


# Detection


def test_detection(tmp_path: Path) -> None:
    """A file or folder of <annotation> is VOC, with the evidence; other XML is not."""
    one = doc("a.jpg", "cat")
    match = voc.detect(tmp_path / "a.xml", one.encode())
    assert match is not None
    assert (match.weight, match.evidence) == (1.0, "<annotation> with <bndbox>")
    assert voc.detect(tmp_path / "a.xml", b"<?xml version='1.0'?>\n<annotations><image/></annotations>") is None
    assert voc.detect(tmp_path / "a.json", b'{"images": []}') is None
    assert voc.detect(tmp_path, b"") is None
    found = voc.detect(tree(tmp_path / "v", {"Annotations/a.xml": one, "Annotations/b.xml": one}), b"")
    assert found is not None
    assert found.evidence == "2 XML files in Annotations, <annotation> with <bndbox>"
    assert voc.detect(tree(tmp_path / "c", {"a.xml": "<annotations/>"}), b"") is None


def test_the_first_documents_of_all_folders_decide(tmp_path: Path) -> None:
    """One of the first three by their paths, in whatever folder, must be VOC: one odd file hides no data set; folders
    outside of Annotations do not count."""
    files = {f"{folder}/Annotations/{name}.xml": doc(f"{name}.jpg", "cat") for folder in "ba" for name in "21"}
    found = voc.detect(tree(tmp_path / "two", files), b"")
    assert found is not None and found.evidence == "4 XML files in 2 folders, <annotation> with <bndbox>"
    other = {"0.xml": "<note/>", **files}
    assert voc.detect(tree(tmp_path / "outside", other), b"") == found
    odd = {f"a/Annotations/0{number}.xml": "<note/>" for number in range(3)}
    assert voc.detect(tree(tmp_path / "third", {**files, **odd}), b"") is None
    odd.popitem()
    assert voc.detect(tree(tmp_path / "fourth", {**files, **odd}), b"") is not None


def test_left_over_copies_of_macos_are_no_documents(tmp_path: Path) -> None:
    """`._a.xml` beside `a.xml` is what an archive of macOS leaves; it is passed over."""
    root = tree(tmp_path, {"Annotations/a.xml": doc("a.jpg", "cat"), "Annotations/._a.xml": "\0\5\26\7"})
    assert find(root) == ["Annotations/a.xml"]
