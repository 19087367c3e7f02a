"""Documents of Pascal VOC that are like the first of their slice: told by its pattern, and as lxml tells them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bboxconv.formats.voc import documents
from bboxconv.formats.voc.alike import alike
from bboxconv.formats.voc.documents import Parsed, Task, parse_slice

COMPACT = (
    "<annotation><filename>{name}.jpg</filename><size><width>10</width><height>20</height></size>{objects}</annotation>",
    "<object><name>{name}</name><bndbox><xmin>{x}</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4.5</ymax></bndbox></object>",
)
LABELIMG = (
    '<annotation verified="yes">\n\t<folder>f</folder>\n\t<filename>{name}.jpg</filename>\n\t<source>\n'
    "\t\t<database>Unknown</database>\n\t</source>\n\t<size>\n\t\t<width>10</width>\n\t\t<height>20</height>\n"
    "\t\t<depth>3</depth>\n\t</size>\n\t<segmented>0</segmented>\n{objects}</annotation>\n",
    "\t<object>\n\t\t<name>{name}</name>\n\t\t<pose>Unspecified</pose>\n\t\t<difficult>0</difficult>\n\t\t<bndbox>\n"
    "\t\t\t<xmin>{x}</xmin>\n\t\t\t<ymin>2</ymin>\n\t\t\t<xmax>3</xmax>\n\t\t\t<ymax>4</ymax>\n\t\t</bndbox>\n"
    "\t</object>\n",
)
DECLARED = (
    '\ufeff<?xml version="1.0" encoding="utf-8"?>\r\n<annotation>\r\n  <filename>{name}.jpg</filename>\r\n  <size>\r\n'
    "    <width>10</width><height>20</height></size>\r\n{objects}</annotation>",
    '<object>\r\n<bndbox><ymax>4</ymax><xmax>3</xmax><ymin>2</ymin><xmin>{x}</xmin></bndbox><note type="json">1'
    "</note><name>{name}</name></object>\r\n",
)
LAYOUTS = pytest.mark.parametrize("layout", [COMPACT, LABELIMG, DECLARED], ids=["compact", "labelimg", "declared"])


def text_of(layout: tuple[str, str], number: int, count: int) -> str:
    """A document of a layout with that many objects."""
    document, one = layout
    objects = "".join(one.format(name=f"class {at % 3}", x=f"{number}.{at}") for at in range(count))
    return document.format(name=number, objects=objects)


def both_ways(root: Path, texts: list[bytes]) -> tuple[Parsed, Parsed]:
    """Documents the fast way, and through lxml."""
    for number, text in enumerate(texts):
        (root / f"{number:05}.xml").write_bytes(text)
    paths = tuple(f"{number:05}.xml" for number in range(len(texts)))
    task = Task(str(root), "src", paths, (None,) * len(paths), ((),) * len(paths), listing=True)
    return parse_slice(task), parse_slice(task, fast=False)


def same(fast: Parsed, slow: Parsed) -> None:
    """Both hold the same, whatever the order of their class names."""
    for left, right in zip(fast.batch.to_pylist(), slow.batch.to_pylist(), strict=True):
        for parsed, row in ((fast, left), (slow, right)):
            for found in row["objects"]:
                found["category"] = parsed.names[found["category"]]
        assert repr(left) == repr(right)
    assert fast.rows.tolist() == slow.rows.tolist()
    assert sorted(fast.findings, key=repr) == sorted(slow.findings, key=repr)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many documents were told by a pattern, each time; the first two of a slice show it."""
    counts: list[int] = []

    def counted(*given: object, told: Callable[..., object] = alike, **more: object) -> object:
        shape = told(*given, **more)
        counts.append(len(shape.counts))  # type: ignore[attr-defined]
        return shape

    monkeypatch.setattr(documents, "alike", counted)
    monkeypatch.setattr(documents, "FIRST", 2)
    monkeypatch.setattr(documents, "PART", 4096)
    return counts


@LAYOUTS
def test_documents_like_the_first_are_told_by_its_pattern(
    tmp_path: Path, told: list[int], layout: tuple[str, str]
) -> None:
    """Whatever number of objects they have, and none; no other way sees them."""
    texts = [text_of(layout, number, count).encode() for number, count in enumerate((2, 3, 0, 1, 2, 7, 0, 4))]
    same(*both_ways(tmp_path, texts))
    assert told == [6]


@LAYOUTS
@pytest.mark.parametrize("put", ["<", ">", "/", " ", "x", "&", "\n", "é", ""])
def test_a_document_with_one_character_changed_is_told_as_lxml_tells_it(
    tmp_path: Path, told: list[int], layout: tuple[str, str], put: str
) -> None:
    """At each place of a document, between two that are unchanged."""
    text = text_of(layout, 5, 2)
    changed = [text[:at] + put + text[at + 1 :] for at in range(len(text))]
    whole = [text_of(layout, number, 2 + number % 2) for number in range(len(text) + 2)]
    texts = [whole[0], *(one for pair in zip(whole[1:], changed, strict=False) for one in pair), whole[-1]]
    same(*both_ways(tmp_path, [one.encode() for one in texts]))
    assert len(told) == 1
    assert told[0] >= len(text)


def test_documents_unlike_the_first_are_told_by_their_own_shape(tmp_path: Path, told: list[int]) -> None:
    """Of another layout, with further leaves, with their children in another order."""
    text, more = text_of(COMPACT, 1, 2), text_of(COMPACT, 1, 3)
    others = [
        text_of(LABELIMG, 2, 2),
        text_of(DECLARED, 2, 2),
        text.replace("</name>", "</name><pose>Left</pose>"),
        text.replace("</name>", "</name><pose>Left</pose>", 1),
        text.replace("<size>", "<folder>f</folder><size>"),
        text.replace("</size>", "</size><segmented>1</segmented>"),
        text.replace("</annotation>", "<segmented>1</segmented></annotation>"),
        text.replace("xmin", "left"),
        text.replace("ymin", "y"),
        text.replace("class 0", "a > b"),
        text.replace("class 0", "]]>"),
        text.replace("1.jpg", "]]>.jpg"),
        text.replace("xmin", "x").replace("xmax", "xmin").replace(">x<", ">xmax<"),
        more.replace("<ymin>2</ymin>", "", 1),
        more + "\n",
        "\n" + more,
        f" {text}",
    ]
    texts = [text, more, *(one for other in others for one in (other, text, more))]
    same(*both_ways(tmp_path, [one.encode() for one in texts]))
    assert told == [2 * len(others)]


@pytest.mark.parametrize("first", [0, 1])
def test_a_first_document_without_two_objects_shows_no_pattern(tmp_path: Path, told: list[int], first: int) -> None:
    """What stands between two objects is not known then."""
    texts = [text_of(COMPACT, number, count).encode() for number, count in enumerate((first, 1, 2, 3))]
    same(*both_ways(tmp_path, texts))
    assert not told


def test_a_slice_in_parts_is_told_in_its_order(
    tmp_path: Path, told: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Documents like the first, others and broken ones, over several parts."""
    monkeypatch.setattr(documents, "PART", 20)
    texts = [text_of(COMPACT, number, number % 5 + 2) for number in range(90)]
    texts[30], texts[31], texts[71] = text_of(LABELIMG, 30, 2), "<annotation>", "<?x?>" + text_of(COMPACT, 71, 1)
    same(*both_ways(tmp_path, [one.encode() for one in texts]))
    assert told == [20, 18, 20, 19, 8]
