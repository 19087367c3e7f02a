"""JSON objects to columns: the fast and the slow way against the standard library's reading of the same text."""

from __future__ import annotations

import json
import math
import re

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bboxconv.errors import Findings
from bboxconv.readers.jsonelements import MAX_KEYS, SKIPPED, Fault, Part, columns_of, reader
from bboxconv.readers.jsonvalues import Field, id_of

FIELDS = (
    Field("id", "id"),
    Field("ref", "key"),
    Field("name", "text"),
    Field("area", "float"),
    Field("width", "size"),
    Field("frame", "number", usual=False),
    Field("flag", "flag"),
    Field("bbox", "box"),
    Field("drawn", "raw"),
    Field("points", "raw", usual=False),
)
READER = reader(FIELDS)
Row = dict[str, object]


def rows_of(part: Part) -> list[Row]:
    """Each element again, from its columns and `extra`."""
    found = []
    for row in part.batch.to_pylist():
        extra = json.loads(row.pop("extra") or "{}")
        del row["element"]
        raw = {key: json.loads(row.pop(key)) for key in ("drawn", "points", "ref#", "id#") if row[key] is not None}
        if "ref#" in raw:
            raw["ref"] = raw.pop("ref#")
        written = raw.pop("id#", None)
        assert written is None or written == extra["id"]
        found.append({key: value for key, value in row.items() if value is not None} | raw | extra)
    return found


def both(elements: list[Row]) -> list[Part]:
    """The elements read in the slow way, and in the fast one where that does not refuse them."""
    slow = READER.slow([json.dumps(element).encode() for element in elements], ())[0]
    try:
        return [slow, READER.fast(json.dumps(elements).encode(), ())[0]]
    except msgspec.MsgspecError:
        return [slow]


NUMBER = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-2, 2)
TEXT = st.text(st.characters(codec="utf-8"))
ANY = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda c: st.lists(c, max_size=3) | st.dictionaries(TEXT, c, max_size=3),
    max_leaves=5,
)
NO_ID = st.none() | NUMBER | TEXT
NO_BOX = st.none() | st.lists(st.floats(-1e300, 1e300) | st.integers(-(2**53), 2**53), min_size=4, max_size=4)
KEYS = [field.key for field in FIELDS if field.key not in ("id", "ref", "bbox")]
ELEMENT = st.builds(
    lambda known, more: {**more, **known},
    st.fixed_dictionaries({}, optional={"id": NO_ID, "ref": NO_ID, "bbox": NO_BOX, **dict.fromkeys(KEYS, ANY)}),
    st.dictionaries(TEXT.filter(lambda key: key not in ("element", "extra")), ANY, max_size=3).map(
        lambda d: {k: v for k, v in d.items() if k not in ("id", "ref", "bbox")}
    ),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(ELEMENT, max_size=4))
@example([{"id": 2**63, "area": 2**53 + 1, "drawn": None, "flag": True, "x": None}])
@example([{"id": 1, "drawn": [1], "points": None, 'q"': {"a": 1}}, {"frame": 0}])
@example([{"frame": -1}, {"frame": -(2**31)}])
@example([{"id": 5, "ref": 1, "name": "a", "area": 1.5, "width": 3, "flag": 1, "bbox": [1, 2, 3, 4], "z": 1, "a": [2]}])
def test_nothing_is_lost_or_changed(elements: list[Row]) -> None:
    """Columns and `extra` together hold every key and value of an object, whatever its types, and both ways agree."""
    parts = both(elements)
    assert [rows_of(part) for part in parts] == [elements] * len(parts)
    assert [part.faults for part in parts] == [()] * len(parts)
    assert all(part.batch == parts[0].batch for part in parts)


def test_usual_elements_take_the_fast_way() -> None:
    """Unknown keys, absent keys, nulls of raw values and integers for floats are usual."""
    elements: list[Row] = [
        {"id": 1, "area": 5, "bbox": [1, 2, 3, 4], "drawn": None, "b": 1},
        {"a": None, "points": [1], "frame": 0},
    ]
    assert len(both(elements)) == 2


def test_keys_without_a_field_are_in_order() -> None:
    """Their order does not tell which element or block had which key first."""
    part, keys = READER.fast(b'[{"z": 1, "a": 2, "m": 3}]', ("m",))
    assert part.batch["extra"].to_pylist() == ['{"a":2,"m":3,"z":1}']
    assert READER.slow([b'{"z": 1, "m": 3, "a": 2}'], ())[0].batch["extra"].to_pylist() == ['{"a":2,"m":3,"z":1}']
    assert set(keys) == {"a", "m", "z"}


def test_keys_that_the_slow_way_met_are_told() -> None:
    """The next block need not find them again; those that no struct can have are not among them, nor more than 64."""
    elements = [b'{"id": true}', b'{"x": 1, "q\\"": 2, "points": [], "name": "a"}']
    assert READER.slow(elements, ("k",))[1] == ("k", "x", "points")
    many = [json.dumps({f"k{i}": 1}).encode() for i in range(200)]
    assert len(READER.slow(many, ())[1]) == MAX_KEYS


def test_too_many_keys_are_left_to_the_slow_way() -> None:
    """No struct grows without bound."""
    with pytest.raises(msgspec.ValidationError):
        READER.fast(json.dumps([{f"k{i}": i} for i in range(MAX_KEYS + 1)]).encode(), ())


@pytest.mark.parametrize(
    "text", [b'[{"name": "\xff"}]', b'[{"x": "\xff"}]', b'[{"\xff": 1}]', b'[{"drawn": "\xff"}]', b'[{"x": "\\ud800"}]']
)
def test_text_that_is_no_utf8_is_left_to_the_slow_way(text: bytes) -> None:
    """The fast way refuses it wherever it stands, and the slow way makes it a fault."""
    with pytest.raises(msgspec.MsgspecError):
        READER.fast(text, ())
    (fault,) = READER.slow([text[1:-1]], ())[0].faults
    assert (fault.code, fault.path) == ("bad-encoding", "")


FAULTS = [
    ('{"id": []}', Fault(1, ".id", "bad-value", "id is no id", "[]")),
    ('{"bbox": [1, 2, 3]}', Fault(1, ".bbox", "bad-value", "bbox is not four numbers", "[1, 2, 3]")),
    ('{"bbox": [1, 2, 3, true]}', Fault(1, ".bbox", "bad-value", "bbox is not four numbers", "[1, 2, 3, true]")),
    (
        '{"bbox": [1, 2, 3, 1e999]}',
        Fault(1, ".bbox", "bad-number", "bbox holds a number that is too large", "[1, 2, 3, 1e999]"),
    ),
    ('{"x": NaN}', Fault(1, "", "bad-number", "a number is not finite, which JSON does not allow", "NaN")),
    ("[1]", Fault(1, "", "bad-value", "an element is not an object")),
    ('{"x": ' + "[" * 5000 + "]" * 5000 + "}", Fault(1, "", "too-deep", "a value is nested too deeply")),
    ('{"x": "\\udc00"}', Fault(1, "", "bad-encoding", "a text holds half of a surrogate pair, which is no character")),
]


@pytest.mark.parametrize(("text", "fault"), FAULTS)
def test_a_fault_costs_one_element_and_says_where(text: str, fault: Fault) -> None:
    """The elements around it are read, under their own numbers."""
    part, _ = READER.slow([b'{"id": 1}', text.encode(), b'{"id": 3}'], ())
    assert (part.faults, part.count) == ((fault,), 3)
    assert part.batch.select(["id", "element"]).to_pylist() == [{"id": 1, "element": 0}, {"id": 3, "element": 2}]
    findings = Findings()
    part.faults[0].report(findings, "a.json", "$.annotations", 100)
    assert [place.where for d in findings for place in d.places] == [f"a.json: $.annotations[101]{fault.path}"]


def test_a_required_field_is_required_in_both_ways() -> None:
    """An element without it, or with a null there, is a fault."""
    strict = reader((Field("id", "id", required=True),))
    with pytest.raises(msgspec.ValidationError):
        strict.fast(b'[{"id": 1}, {}]', ())
    faults = strict.slow([b"{}", b'{"id": null}'], ())[0].faults
    assert [(f.code, f.path) for f in faults] == [("missing-field", ""), ("bad-value", ".id")]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("1.0", 1),
        ("1e2", 100),
        ("-0", 0),
        (str(2**63 - 1), 2**63 - 1),
        ("1.00", 1),
        ("0.1e1", 1),
        ("1.0000000000000000001", "1.0000000000000000001"),
        (str(2**63), str(2**63)),
        (str(-(2**63)), -(2**63)),
        ("9007199254740993.0", "9007199254740993"),
        ("18014398509481984.0", "18014398509481984"),
        ("1.5", "1.5"),
        ("1.50", "1.5"),
        ("-15e-1", "-1.5"),
        ("1e400", "1E+400"),
        ("1e9999999", "1E+9999999"),
        ("10e9999998", "1E+9999999"),
        ("-1.0e-9999999", "-1E-9999999"),
        ("1e9999999999999999999", "1e9999999999999999999"),
        ("9" * 5000, "9" * 5000),
        ('"1"', '"1"'),
        ('"\\u0031"', '"1"'),
        ('"é"', '"\\u00e9"'),
        ("null", None),
    ],
)
def test_ids_as_they_are_joined(text: str, value: object) -> None:
    """Numbers join as numbers where an int64 holds them exactly, others by all of their digits, and texts however they
    are escaped.
    """
    assert id_of(text) == value


@pytest.mark.parametrize("text", ["true", "[]", "{}"])
def test_what_is_no_id(text: str) -> None:
    """A boolean, an array and an object are no ids."""
    with pytest.raises(ValueError, match=re.escape(text)):
        id_of(text)


def test_an_array_that_is_skipped_is_counted() -> None:
    """Nothing is kept of its elements, whatever they are."""
    assert SKIPPED.fast(b'[{"a": 1}, 2, "\xff"]', ("k",)) == (Part(SKIPPED.slow([], ())[0].batch, 3), ("k",))
    with pytest.raises(msgspec.DecodeError):
        SKIPPED.fast(b"[1] 2", ())


def test_columns_of_fields() -> None:
    """A column a field, a second one for what is joined, the element's number and `extra`."""
    assert columns_of((Field("id", "id"), Field("s", "size"))).names == ["id", "id#", "s", "element", "extra"]


def test_a_box_that_is_absent_is_null() -> None:
    """Both ways: null where there is no bbox, the numbers where there is one."""
    text = [b'{"bbox": [1, 2.5, -0.0, 1e-300]}', b"{}"]
    for part in (READER.slow(text, ())[0], READER.fast(b"[" + b",".join(text) + b"]", ())[0]):
        assert part.batch["bbox"].to_pylist() == [[1, 2.5, 0, 1e-300], None]
        assert math.copysign(1, part.batch["bbox"][0][2].as_py()) == -1
