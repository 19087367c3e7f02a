"""The example data is what examples/sample/README.md and examples/README.md say. Read without bboxconv, on
purpose.
"""

from __future__ import annotations

import json
import re
import struct
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from lxml import etree

EXAMPLES = Path(__file__).parents[1] / "examples"
SAMPLE = EXAMPLES / "sample"
VOC = SAMPLE / "voc"
YOLO = SAMPLE / "yolo"


def coco_text(split: str) -> str:
    """The text of one COCO file."""
    return (SAMPLE / "coco" / f"instances_{split}.json").read_text(encoding="utf-8")


def coco(split: str) -> dict[str, Any]:
    """One COCO file as the standard library reads it."""
    document: dict[str, Any] = json.loads(coco_text(split))
    return document


def annotation(split: str, number: int) -> dict[str, Any]:
    """The annotation with this id."""
    (found,) = (item for item in coco(split)["annotations"] if item["id"] == number)
    return dict(found)


def image(split: str, number: int) -> dict[str, Any]:
    """The image with this id."""
    (found,) = (item for item in coco(split)["images"] if item["id"] == number)
    return dict(found)


def voc(stem: str) -> etree._Element:
    """The root element of one XML file."""
    return etree.parse(VOC / "Annotations" / f"{stem}.xml").getroot()


def voc_list(name: str) -> list[str]:
    """The stems of one image set."""
    return (VOC / "ImageSets" / "Main" / f"{name}.txt").read_text().split()


def yolo_names() -> dict[int, str]:
    """The classes of data.yaml."""
    names: dict[int, str] = yaml.safe_load((YOLO / "data.yaml").read_text(encoding="utf-8"))["names"]
    return names


def yolo_images(split: str = "") -> list[Path]:
    """The image files of one split, or of both."""
    return sorted(path for path in (YOLO / "images" / split).rglob("*") if path.suffix in {".png", ".jpg"})


def yolo_label(path: Path) -> Path:
    """The label file that belongs to an image, whether it exists or not."""
    return YOLO / "labels" / path.relative_to(YOLO / "images").with_suffix(".txt")


def yolo_rows(name: str) -> list[list[str]]:
    """The rows of one label file, as words."""
    return [line.split() for line in (YOLO / "labels" / f"{name}.txt").read_text().splitlines()]


def yolo_boxes(split: str = "") -> list[list[str]]:
    """The rows of all label files of one split, or of both."""
    labels = (YOLO / "labels" / split).rglob("*.txt")
    return [line.split() for path in labels for line in path.read_text().splitlines()]


def stored_size(path: Path) -> tuple[int, int, int]:
    """Width, height and EXIF orientation (1 where there is none) from the bytes of a PNG or JPEG file."""
    data = path.read_bytes()
    if data.startswith(b"\x89PNG"):
        width, height = struct.unpack(">II", data[16:24])
        return width, height, 1
    offset, orientation = 2, 1
    while True:
        marker, length = struct.unpack(">HH", data[offset : offset + 4])
        if marker == 0xFFE1:  # after "Exif\0\0": big-endian TIFF header, one entry
            tag, kind, count, orientation = struct.unpack(">HHIH", data[offset + 20 : offset + 30])
            assert (tag, kind, count) == (0x0112, 3, 1)
        if marker in (0xFFC0, 0xFFC2):
            height, width = struct.unpack(">HH", data[offset + 5 : offset + 9])
            return width, height, orientation
        offset += 2 + length


def decode_counts(text: str) -> list[int]:
    """COCO's compressed RLE (maskApi.c): 5 bits a character; from the fourth count on, the difference to two
    before.
    """
    counts: list[int] = []
    position = 0
    while position < len(text):
        value = shift = 0
        more = True
        while more:
            bits = ord(text[position]) - 48
            value |= (bits & 0x1F) << shift
            more, position, shift = bool(bits & 0x20), position + 1, shift + 5
        if bits & 0x10:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
    return counts


def assert_rle_fits(split: str, number: int, counts: list[int]) -> None:
    """The counts fill the image of the annotation, and every second one adds up to its area."""
    item = annotation(split, number)
    owner = image(split, item["image_id"])
    assert item["segmentation"]["size"] == [owner["height"], owner["width"]]
    assert sum(counts) == owner["height"] * owner["width"]
    assert sum(counts[1::2]) == item["area"]


# The page and the files


def page_rows(page: Path) -> list[list[str]]:
    """The cells of every table row of a Markdown page."""
    lines = page.read_text(encoding="utf-8").splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("|")]


def test_every_oddity_on_the_page_has_a_test() -> None:
    """Each key of the page's tables (C1, V1, Y1 ...) is the name of a test here, and the other way round."""
    keys = [row[0] for row in page_rows(SAMPLE / "README.md") if re.fullmatch(r"\s*[CVY]\d+", row[0])]
    tests = [match[1].upper() for name in globals() if (match := re.match(r"test_([cvy]\d+)_", name))]
    assert len(set(keys)) == len(keys)
    assert sorted(keys) == sorted(tests)


def test_the_counts_of_the_page() -> None:
    """The page's first table is what the files hold."""
    stated = {
        row[0].strip(): [int(cell) for cell in row[1:]]
        for row in page_rows(SAMPLE / "README.md")
        if len(row) == 6 and row[1].isdigit()
    }
    actual = {}
    for split in ("train", "val"):
        document = coco(split)
        images = {item["id"] for item in document["images"]}
        boxes = document["annotations"]
        actual[f"coco/instances_{split}.json"] = [
            len(images),
            len(images - {item["image_id"] for item in boxes}),
            len(boxes),
            len(document["categories"]),
            len({item["category_id"] for item in boxes}),
        ]
    trees = [etree.parse(path).getroot() for path in (VOC / "Annotations").glob("*.xml")]
    names = [tag.text for tree in trees for tag in tree.iterfind("object/name")]
    empty = [tree for tree in trees if tree.find("object") is None]
    actual["voc"] = [len(trees), len(empty), len(names), len(set(names)), len(set(names))]
    without = [path for path in yolo_images() if not yolo_label(path).exists() or not yolo_label(path).read_text()]
    classes = {row[0] for row in yolo_boxes()}
    actual["yolo"] = [len(yolo_images()), len(without), len(yolo_boxes()), len(yolo_names()), len(classes)]
    assert actual == stated


def test_the_counts_per_split() -> None:
    """The sentence below the table is true: crowd boxes, and images and boxes per split of VOC and YOLO."""
    assert [item["id"] for item in coco("train")["annotations"] if item["iscrowd"]] == [900, 901]
    assert not [item["id"] for item in coco("val")["annotations"] if item["iscrowd"]]
    voc_counts = {
        s: (len(voc_list(s)), sum(len(voc(n).findall("object")) for n in voc_list(s))) for s in ("train", "val")
    }
    assert voc_counts == {"train": (5, 8), "val": (3, 6)}
    yolo_counts = {split: (len(yolo_images(split)), len(yolo_boxes(split))) for split in ("train", "val")}
    assert yolo_counts == {"train": (6, 9), "val": (2, 3)}


def test_the_sample_is_small() -> None:
    """The whole sample takes less than 200 kB, and an image file less than 400 bytes."""
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file()) < 200_000
    assert max(path.stat().st_size for path in yolo_images()) < 400


@pytest.mark.parametrize("split", ["train", "val"])
def test_pycocotools_loads_it(split: str, capsys: pytest.CaptureFixture[str]) -> None:
    """pycocotools indexes every image and annotation, and every mask has the size of its image and the area
    stated.
    """
    coco_module = pytest.importorskip("pycocotools.coco")
    mask = pytest.importorskip("pycocotools.mask")
    loaded = coco_module.COCO(SAMPLE / "coco" / f"instances_{split}.json")
    document = coco(split)
    assert len(loaded.imgs) == len(document["images"])
    assert len(loaded.anns) == len(document["annotations"])
    for item in document["annotations"]:
        if item.get("segmentation"):
            encoded = loaded.annToRLE(item)
            owner = loaded.imgs[item["image_id"]]
            assert encoded["size"] == [owner["height"], owner["width"]]
        if isinstance(item.get("segmentation"), dict):
            assert mask.area(encoded) == item["area"]
            assert mask.toBbox(encoded).tolist() == item["bbox"]


@pytest.mark.parametrize("split", ["train", "val"])
def test_coco_is_sound(split: str) -> None:
    """Ids are unique and resolve, and no box but train 88 passes the edge of its image or is empty."""
    document = coco(split)
    images = {item["id"]: item for item in document["images"]}
    categories = {item["id"] for item in document["categories"]}
    assert len(images) == len(document["images"])
    assert len({item["id"] for item in document["annotations"]}) == len(document["annotations"])
    outside = []
    for item in document["annotations"]:
        x, y, width, height = item["bbox"]
        owner = images[item["image_id"]]
        assert item["category_id"] in categories
        assert width > 0 and height > 0
        if x < 0 or y < 0 or x + width > owner["width"] or y + height > owner["height"]:
            outside.append(item["id"])
    assert outside == ([88] if split == "train" else [])


# coco


def test_c1_category_ids_have_gaps() -> None:
    """Category ids are 3 to 90 with gaps, unsorted in train, in another order in val, with the same meaning."""
    train, val = ([(item["id"], item["name"]) for item in coco(split)["categories"]] for split in ("train", "val"))
    assert sorted(number for number, _ in train) == [3, 7, 18, 29, 44, 90]
    assert train != sorted(train) and train != val and sorted(train) == sorted(val)


def test_c2_names_with_space_and_accent() -> None:
    """One name has a space, one has an é: raw in train, escaped in val; every category has a supercategory."""
    names = {item["name"] for item in coco("train")["categories"]}
    assert {"fruit stall", "café table"} <= names
    assert "café table" in coco_text("train") and "caf\\u00e9 table" in coco_text("val")
    assert coco_text("val").isascii()
    assert all(item["supercategory"] for split in ("train", "val") for item in coco(split)["categories"])


def test_c3_a_category_without_boxes() -> None:
    """No box is a hot air balloon."""
    for split in ("train", "val"):
        used = {item["category_id"] for item in coco(split)["annotations"]}
        assert [item["name"] for item in coco(split)["categories"] if item["id"] not in used] == ["hot air balloon"]


def test_c4_keypoints() -> None:
    """Persons have 5 keypoints and a skeleton from 1; three boxes carry them, with num_keypoints that agrees."""
    for split in ("train", "val"):
        (person,) = (item for item in coco(split)["categories"] if "keypoints" in item)
        assert person["name"] == "person" and len(person["keypoints"]) == 5
        assert {joint for bone in person["skeleton"] for joint in bone} == {1, 2, 3, 4, 5}
    carriers = {item["id"]: item for item in coco("train")["annotations"] if "keypoints" in item}
    assert sorted(carriers) == [12, 311, 1999]
    assert all(len(item["keypoints"]) == 15 for item in carriers.values())
    assert all(item["num_keypoints"] == sum(v > 0 for v in item["keypoints"][2::3]) for item in carriers.values())
    assert not any(carriers[1999]["keypoints"])


def test_c5_images_without_annotations() -> None:
    """Three images of train and one of val have no annotation."""
    for split, expected in (("train", [4001, 4002, 4003]), ("val", [23])):
        used = {item["image_id"] for item in coco(split)["annotations"]}
        assert [item["id"] for item in coco(split)["images"] if item["id"] not in used] == expected


def test_c6_uncompressed_crowd() -> None:
    """Annotation 900 is a crowd whose list of counts fills its image and gives its area."""
    item = annotation("train", 900)
    assert item["iscrowd"] == 1
    assert_rle_fits("train", 900, item["segmentation"]["counts"])


def test_c7_compressed_masks() -> None:
    """Train 901 (crowd) and val 3104 (no crowd) have counts as a string that decodes to image size and area."""
    for split, number, crowd in (("train", 901, 1), ("val", 3104, 0)):
        item = annotation(split, number)
        assert item["iscrowd"] == crowd
        assert_rle_fits(split, number, decode_counts(item["segmentation"]["counts"]))


def test_c8_kinds_of_segmentation() -> None:
    """Two polygons in one annotation, an empty list, and none at all; a polygon's extent is the box."""
    assert len(annotation("train", 501)["segmentation"]) == 2
    assert annotation("train", 311)["segmentation"] == []
    assert "segmentation" not in annotation("train", 77)
    for split in ("train", "val"):
        for item in coco(split)["annotations"]:
            if isinstance(item.get("segmentation"), list) and item["segmentation"]:
                points = [(p[i], p[i + 1]) for p in item["segmentation"] for i in range(0, len(p), 2)]
                (left, right), (top, bottom) = ((min(axis), max(axis)) for axis in zip(*points, strict=True))
                assert item["bbox"] == [left, top, right - left, bottom - top]


def test_c9_annotation_order() -> None:
    """Annotations of train are sorted neither by id nor by image, and their ids have gaps."""
    items = coco("train")["annotations"]
    ids, images = [item["id"] for item in items], [item["image_id"] for item in items]
    assert ids != sorted(ids) and max(ids) - min(ids) >= len(ids)
    changes = sum(a != b for a, b in pairwise(images))
    assert changes >= len(set(images))


def test_c10_ids_beyond_float() -> None:
    """Two ids of train cannot be held by a float64."""
    big = [
        item["id"]
        for key in ("images", "annotations")
        for item in coco("train")[key]
        if int(float(item["id"])) != item["id"]
    ]
    assert big == [9007199254740993, 9007199254740995]


def test_c11_unknown_keys() -> None:
    """Keys that COCO does not define stand at the top, in images, categories and annotations."""
    assert "scene_annotations" in coco("train") and "reviewed" in coco("val")
    assert image("train", 1007)["weather"] == "fog" and image("train", 1003)["camera"]["lens"] == [24, 70]
    assert [item["name"] for item in coco("train")["categories"] if "color" in item] == ["fruit stall"]
    keys = Counter(key for item in coco("train")["annotations"] for key in item)
    assert (keys["attributes"], keys["track"], keys["note"]) == (1, 1, 1)


def test_c12_explicit_null() -> None:
    """Image 1011 has date_captured, and it is null."""
    assert image("train", 1011)["date_captured"] is None


def test_c13_file_names() -> None:
    """File names have sub-folders, spaces, several dots, a ß and an upper-case extension, and no two share a stem."""
    names = [item["file_name"] for item in coco("train")["images"]]
    expected = [
        "market/morning.v1.2.jpg",
        "straße/ecke.01.png",
        "market/back lane/crossing at noon.jpeg",
        "square_c.JPG",
    ]
    assert set(expected) <= set(names)
    every = [item["file_name"] for split in ("train", "val") for item in coco(split)["images"]]
    assert len({name.rpartition(".")[0] for name in every}) == len(every) == 16


def test_c14_numbers() -> None:
    """Boxes are written with 17 to 25 digits, with an exponent, and as integers and floats."""
    text = coco_text("train")
    written = r'"bbox": \[101\.3000000000000113686838, 57\.123456789012344, 148\.09999999999997, 190\.00000000000003\]'
    assert re.search(r'"id": 500,.*' + written, text)
    assert re.search(r'"id": 89,.*"bbox": \[2\.35e\+2, 260, 140, 95\]', text)
    assert {type(value) for item in coco("train")["annotations"] for value in item["bbox"]} == {int, float}


def test_c15_a_box_past_the_edge() -> None:
    """Box 88 ends 15.75 pixels to the right of its image."""
    item = annotation("train", 88)
    assert item["bbox"][0] + item["bbox"][2] == image("train", item["image_id"])["width"] + 15.75


def test_c16_area_and_score() -> None:
    """Annotation 310 has the area of its polygon, and 80 has a score; all have area and iscrowd."""
    item = annotation("train", 310)
    assert item["area"] != item["bbox"][2] * item["bbox"][3]
    assert [a["id"] for a in coco("train")["annotations"] if "score" in a] == [80]
    assert all({"area", "iscrowd"} <= set(a) for split in ("train", "val") for a in coco(split)["annotations"])


def test_c17_info_and_licenses() -> None:
    """Both files have the same info and the same two licenses, and every image names one of them."""
    assert coco("train")["info"] == coco("val")["info"]
    assert coco("train")["licenses"] == coco("val")["licenses"]
    assert [item["id"] for item in coco("train")["licenses"]] == [1, 2]
    assert {item["license"] for item in coco("train")["images"]} == {1, 2}


def test_c18_compact_and_annotations_first() -> None:
    """The val file begins with the annotations and is one line without spaces between tokens or a newline."""
    assert list(coco("val"))[:3] == ["annotations", "images", "categories"]
    assert coco_text("val") == json.dumps(coco("val"), separators=(",", ":"))


# voc


def test_v1_flags() -> None:
    """stall_01 has pose, truncated and occluded with both values, and difficult after the box."""
    objects = voc("stall_01").findall("object")
    flags = [[item.findtext(tag) for tag in ("pose", "truncated", "occluded")] for item in objects]
    assert flags == [["Frontal", "0", "1"], ["Left", "1", "0"]]
    assert all([child.tag for child in item][-2:] == ["bndbox", "difficult"] for item in objects)


def test_v2_provenance() -> None:
    """stall_01 has source, owner and segmented, and an attribute on its root."""
    root = voc("stall_01")
    assert root.findtext("source/annotation") == "Hill Street 2026"
    assert root.findtext("owner/name") == "Zoë Müller"
    assert root.findtext("segmented") == "1"
    assert root.items() == [("verified", "yes")]


def test_v3_crlf() -> None:
    """stall_02 alone has CRLF, at every line, and alone begins with an XML declaration."""
    for path in (VOC / "Annotations").glob("*.xml"):
        data = path.read_bytes()
        odd = path.stem == "stall_02"
        assert data.count(b"\r\n") == (data.count(b"\n") if odd else 0)
        assert data.startswith(b"<?xml") == odd


def test_v4_parts() -> None:
    """The person of stall_02 has a head and a hand with boxes."""
    person = voc("stall_02").find("object[name='person']")
    assert person is not None
    parts = [(part.findtext("name"), part.find("bndbox/xmax") is not None) for part in person.iterfind("part")]
    assert parts == [("head", True), ("hand", True)]


def test_v5_no_object() -> None:
    """crossing_01 has a size and no object."""
    assert voc("crossing_01").find("object") is None and voc("crossing_01").findtext("size/width") == "640"


def test_v6_order_of_corners() -> None:
    """crossing_02 writes the corners in two orders that are not xmin, ymin, xmax, ymax."""
    orders = [[child.tag for child in item] for item in voc("crossing_02").iterfind("object/bndbox")]
    assert orders == [["xmin", "xmax", "ymin", "ymax"], ["ymax", "xmax", "ymin", "xmin"]]


def test_v7_comment() -> None:
    """crossing_02 has a comment with an object in it."""
    (comment,) = voc("crossing_02").iterchildren(etree.Comment)
    assert "<object>" in (comment.text or "")


def test_v8_decimals() -> None:
    """harbour_01 has decimals and integers in one box, and a difficult object."""
    values = [[child.text for child in item] for item in voc("harbour_01").iterfind("object/bndbox")]
    assert values == [["120.5", "402.25", "210.75", "480"], ["300.125", "350", "560", "470.5"]]
    assert [tag.text for tag in voc("harbour_01").iterfind("object/difficult")] == ["1", "0"]


def test_v9_empty_depth_and_space() -> None:
    """harbour_02 has an empty depth element and a class name with a space."""
    assert b"<depth/>" in (VOC / "Annotations" / "harbour_02.xml").read_bytes()
    assert voc("harbour_02").findtext("object/name") == "delivery van"


def test_v10_filename_without_extension() -> None:
    """hall_01 alone names its image without an extension."""
    names = [voc(stem).findtext("filename") or "" for stem in voc_list("trainval")]
    assert [name for name in names if "." not in name] == ["hall_01"]


def test_v11_missing_flags() -> None:
    """Two objects of hall_02 have neither pose nor truncated nor difficult."""
    bare = [item for item in voc("hall_02").iterfind("object") if {child.tag for child in item} == {"name", "bndbox"}]
    assert len(bare) == 2


def test_v12_image_sets() -> None:
    """train and val share no image, and together they are trainval and the XML files."""
    train, val = voc_list("train"), voc_list("val")
    assert not set(train) & set(val)
    stems = sorted(path.stem for path in (VOC / "Annotations").glob("*.xml"))
    assert sorted(train + val) == sorted(voc_list("trainval")) == stems


def test_voc_boxes_are_inside() -> None:
    """Every VOC box has a positive size and lies inside its image, and touches no edge."""
    for stem in voc_list("trainval"):
        width, height = (float(voc(stem).findtext(f"size/{tag}") or 0) for tag in ("width", "height"))
        for item in voc(stem).iterfind("object/bndbox"):
            left, top, right, bottom = (float(item.findtext(tag) or 0) for tag in ("xmin", "ymin", "xmax", "ymax"))
            assert 1 < left < right < width and 1 < top < bottom < height


# yolo


def test_y1_data_yaml() -> None:
    """Names are a dict from 0, and the paths are relative and exist."""
    document = yaml.safe_load((YOLO / "data.yaml").read_text(encoding="utf-8"))
    assert document["names"] == {0: "person", 1: "bicycle", 2: "fruit stall", 3: "café table", 4: "dog"}
    assert (document["path"], document["train"], document["val"]) == (".", "images/train", "images/val")
    assert (YOLO / "images/train").is_dir() and (YOLO / "images/val").is_dir()


def test_y2_polygon_row() -> None:
    """stall_b has a box row and a row of 5 points, and no other file has a polygon."""
    assert [len(row) for row in yolo_rows("train/stall_b")] == [5, 11]
    assert sorted(len(row) for row in yolo_boxes())[-2:] == [6, 11]


def test_y3_score() -> None:
    """harbour_a has a row with a score and a row without."""
    assert [len(row) for row in yolo_rows("val/harbour_a")] == [6, 5]
    assert yolo_rows("val/harbour_a")[0][5] == "0.8125"


def test_y4_empty_label_file() -> None:
    """One label file has no bytes."""
    assert [path.stem for path in (YOLO / "labels").rglob("*.txt") if not path.stat().st_size] == ["empty_square"]


def test_y5_image_without_label_file() -> None:
    """One image has no label file, and every label file has an image."""
    labels = {yolo_label(path) for path in yolo_images()}
    files = set((YOLO / "labels").rglob("*.txt"))
    assert [path.stem for path in labels - files] == ["not_labelled"]
    assert files < labels


def test_y6_exif_orientation() -> None:
    """phone_upright is stored as 64 x 40 with orientation 6; no other image has one."""
    sizes = {path.stem: stored_size(path) for path in yolo_images()}
    assert sizes.pop("phone_upright") == (64, 40, 6)
    assert {orientation for _, _, orientation in sizes.values()} == {1}


def test_y7_name_and_digits() -> None:
    """One label file has a space and two dots in its name, numbers of 6 and 16 digits, and no newline at the end."""
    text = (YOLO / "labels" / "train" / "crossing.v2 noon.txt").read_text()
    assert text == "1 0.333333 0.625000 0.200000 0.500000\n0 0.3333333333333333 0.45 0.1 0.7"


def test_y8_whole_image() -> None:
    """harbour_b lies in a sub-folder and its one box is the whole image."""
    assert yolo_rows("val/quay/harbour_b") == [["0", "0.5", "0.5", "1", "1"]]


def test_y9_sizes_differ() -> None:
    """No two images have the same size."""
    sizes = [stored_size(path)[:2] for path in yolo_images()]
    assert len(set(sizes)) == len(sizes) == 8


def test_yolo_boxes_are_inside() -> None:
    """Every coordinate of a row is a fraction, every class has a name, and no box passes the edge of its image."""
    for number, *values in yolo_boxes():
        assert int(number) in yolo_names()
        assert all(0 <= float(value) <= 1 for value in values)
        if len(values) < 6:
            x, y, width, height = (float(value) for value in values[:4])
            assert width / 2 <= x <= 1 - width / 2
            assert height / 2 <= y <= 1 - height / 2


# broken


def test_broken_coco_has_three_faults() -> None:
    """Annotation 11 has an unknown category, 12 a box of three numbers, 13 an unknown image; the others are sound."""
    document = json.loads((EXAMPLES / "broken" / "coco_three_faults.json").read_text())
    images, categories = ({item["id"] for item in document[key]} for key in ("images", "categories"))
    faults = {
        item["id"]: (item["category_id"] in categories, len(item["bbox"]), item["image_id"] in images)
        for item in document["annotations"]
    }
    sound = (True, 4, True)
    assert faults == {10: sound, 11: (False, 4, True), 12: (True, 3, True), 13: (True, 4, False), 14: sound}


def test_broken_yolo_has_one_bad_row() -> None:
    """Line 2 of bad_row.txt has a word in place of a number."""
    lines = (EXAMPLES / "broken" / "yolo" / "bad_row.txt").read_text().splitlines()
    assert [bool(re.fullmatch(r"\d+( [\d.]+){4}", line)) for line in lines] == [True, False, True]


def test_broken_xml_is_cut_off() -> None:
    """cut_off.xml is well formed up to its end in line 14."""
    with pytest.raises(etree.XMLSyntaxError) as caught:
        etree.parse(EXAMPLES / "broken" / "cut_off.xml")
    assert caught.value.lineno == 14
