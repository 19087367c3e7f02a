"""The quick ways of writing Pascal VOC say what the slow ones say."""

from __future__ import annotations

import json

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from bboxconv.clashes import all_usual
from bboxconv.codec import Encoding
from bboxconv.errors import Findings
from bboxconv.formats.voc.said import Said, free_elements, said_of
from bboxconv.formats.voc.writing import _safe_stem, _safe_stems
from bboxconv.io import plain_path, unsafe_name

NAMES = st.text("abA._/- 1nulcoé\n\\", max_size=12) | st.sampled_from(
    ["nul.jpg", "a/con", "COM1.x/y", "a.b/c", "a.b/c.d", ".a", "a/.b", "a..b", "x." * 1500, "a/" * 1200 + "b"]
)
KEYS = st.sampled_from(["url", "a b", "%s", "depth", "splits", "extra", "@by", "é", "_0"]) | st.text(max_size=3)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)  # JSON has no others
VALUES = st.text() | NUMBERS | st.booleans() | st.none() | st.lists(st.text(max_size=2), max_size=2)


@settings(max_examples=500, deadline=None)
@given(st.lists(NAMES, min_size=1, max_size=3))
def test_names_of_a_column_are_judged_as_each_by_itself(names: list[str]) -> None:
    """The document of each image, and its fault; none of what passes for usual is unsafe."""
    column, each = Findings(), Findings()
    stems = _safe_stems(pa.array(names), [1] * len(names), "out", Encoding(column, first=7))
    assert stems == [_safe_stem(name, 1, "out", Encoding(each, first=7), row) for row, name in enumerate(names)]
    assert repr(list(column)) == repr(list(each))
    assert [fault.numbers for fault in column] == [fault.numbers for fault in each]
    if all_usual(pa.array(names)):
        assert [(unsafe_name(name), plain_path(name)) for name in names] == [(None, name) for name in names]


def test_usual_names_pass_as_a_column() -> None:
    """Those of a data set's pictures, in folders or not."""
    assert all_usual(pa.array(["000000000139.jpg", "train/a-b_c.d e.PNG", "2007_000027"]))
    assert not any(all_usual(pa.array(["a.jpg", name])) for name in ("", "/a", "a\\b", "..", "a/../b", "con.jpg", "a/"))


@settings(max_examples=1000, deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=4), st.booleans())
def test_members_through_a_format_are_the_same_elements(members: dict[str, object], ascii_only: bool) -> None:
    """Or they are left to what takes any."""
    text = json.dumps(members, ensure_ascii=ascii_only)
    quick, said = free_elements(text), said_of(text, "image", "\t")
    assert quick is None or said == Said({}, "", "", "", "", quick, ())


def test_texts_and_integers_of_free_names_go_through_a_format() -> None:
    """As the images of COCO have them."""
    text = '{"coco_url":"http://a/b?c=d","license":1,"100%":"x"}'
    assert free_elements(text) is None
    assert free_elements(text.replace("100%", "share")) == (
        '\t<coco_url>http://a/b?c=d</coco_url>\n\t<license type="json">1</license>\n\t<share>x</share>\n'
    )
    assert free_elements('{"a":"b & c"}') is None
