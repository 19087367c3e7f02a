"""JSON text in columns: what the standard library reads back."""

from __future__ import annotations

import json
import math
import struct

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bboxconv import jsontext


def texts(column: list[str | None]) -> pa.StringArray:
    return pa.array(column, pa.string())


@given(
    st.lists(
        st.tuples(
            *[st.none() | st.sampled_from(["1", '"x"', "[1, 2]", "null"])] * 3,
            st.sampled_from([None, "{}", '{"z":1}', '{"y": {"a": 1}, "z": 2}']),
        )
    )
)
def test_objects_hold_the_keys_that_are_there(rows: list[tuple[str | None, ...]]) -> None:
    """Every value under its key, a null nowhere, the extra members behind; in the order of the columns."""
    columns = {key: texts([row[n] for row in rows]) for n, key in enumerate(["a", 'b"', "c"])}
    found = jsontext.objects(columns, texts([row[3] for row in rows])).to_pylist()
    for row, text in zip(rows, found, strict=True):
        wanted = {
            key: json.loads(value) for key, value in zip(["a", 'b"', "c"], row, strict=False) if value is not None
        }
        wanted |= json.loads(row[3] or "{}")
        assert json.loads(text) == wanted
        assert list(json.loads(text)) == list(wanted)


@given(
    st.lists(
        st.tuples(
            *[st.none() | st.sampled_from(["1", '"x"', "[1, 2]", "null"])] * 2,
            st.sampled_from([None, "{}", '{"z":1}', '{"y": {"a": 1}, "z": 2}']),
        ),
        min_size=1,
    )
)
def test_tails_follow_a_first_member(rows: list[tuple[str | None, ...]]) -> None:
    """Behind a first member the pieces make whole objects: columns, texts for all rows and texts in pieces."""
    columns: dict[str, jsontext.Texts] = {key: texts([row[n] for row in rows]) for n, key in enumerate(["a", 'b"'])}
    numbers = texts([str(number) for number in range(len(rows))])
    columns |= {"one": "0", "box": ("[", numbers, ",", numbers, "]")}
    pieces = jsontext.tails(columns, texts([row[2] for row in rows]))
    found = pc.binary_join_element_wise('{"first":', numbers, *pieces, "").to_pylist()
    for number, (row, text) in enumerate(zip(rows, found, strict=True)):
        wanted = {key: json.loads(value) for key, value in zip(["a", 'b"'], row, strict=False) if value is not None}
        wanted = {"first": number, **wanted, "one": 0, "box": [number, number], **json.loads(row[2] or "{}")}
        assert json.loads(text) == wanted
        assert list(json.loads(text)) == list(wanted)


@pytest.mark.parametrize("lacking", [0, 1, 2])
def test_a_column_without_a_null_needs_no_comma_of_others(lacking: int) -> None:
    """Whichever column is full, commas stand between members only."""
    columns = {key: texts(["1", "2"] if n == lacking else [None, "3"]) for n, key in enumerate("abc")}
    assert [json.loads(t) for t in jsontext.objects(columns).to_pylist()] == [
        {"abc"[lacking]: 1},
        {key: 2 if n == lacking else 3 for n, key in enumerate("abc")},
    ]


@given(st.lists(st.floats() | st.none()))
def test_numbers_read_back_to_the_same_bits(values: list[float | None]) -> None:
    """The shortest text of each number; what JSON does not have is null."""
    for value, text in zip(values, jsontext.numbers(pa.array(values, pa.float64())).to_pylist(), strict=True):
        if value is None:
            assert text is None
        elif not math.isfinite(value):
            assert text == "null"
        else:
            assert struct.pack("d", float(json.loads(text))) == struct.pack("d", value)


def test_fractions_are_written_as_other_numbers() -> None:
    """Rounded numbers from 0 to 1 have the shortest text that reads back, for whatever number of digits."""
    for digits in range(8):
        values = np.arange(10 ** min(digits, 6) + 1) / 10 ** min(digits, 6)
        found = jsontext.decimals(values, digits)
        assert found.equals(jsontext.numbers(pa.array(values)))
        near = values + np.random.default_rng(digits).uniform(-0.49, 0.49, len(values)) / 10**digits
        near = np.where((near < 0) | (near > 1), values, near)
        assert jsontext.decimals(near, digits).equals(jsontext.numbers(pa.array(np.round(near, digits) + 0.0)))
        assert jsontext.decimals(np.array([-0.0, -1e-9, 0.5]), digits)[:2].to_pylist() == ["0", "0"]
    assert jsontext.decimals(np.array([0.25, 1e308, np.nan]), 6).to_pylist() == ["0.25", "1e+308", "null"]
    assert jsontext.decimals(np.array([0.25, -0.125, 3.0]), 6).to_pylist() == ["0.25", "-0.125", "3"]
    assert jsontext.decimals(np.array([0.25, 1.0000014]), 6).to_pylist() == ["0.25", "1.000001"]


def test_whole_numbers_are_written_as_beside_others() -> None:
    """The text of a number is the same whether or not all others of its column are whole."""
    for size in range(23):
        for value in (10.0**size, -(10.0**size), 10.0**size - 1, 3.0, 0.0, -0.0):
            alone = jsontext.numbers(pa.array([value, None, 7.0]))
            beside = jsontext.numbers(pa.array([value, None, 0.5]))
            assert alone[:2].to_pylist() == beside[:2].to_pylist()
    assert jsontext.numbers(pa.array([123456789.0], pa.float32())).to_pylist() == ["123456790"]


def test_hundredths_are_written_as_the_standard_library_does() -> None:
    """Columns of hundredths, which are looked up, have the text of any other; so have those with one number that is
    none, is negative, too large, missing or not finite."""
    hundredths = np.arange(102_400) / 100
    assert jsontext.numbers(pa.array(hundredths)).to_pylist() == [shortest(value) for value in hundredths.tolist()]
    for odd in (0.1 + 0.2, 1024.0, 1024.01, -0.01, -0.0, 1e-7, 1e300, math.nextafter(1.15, 2), None, math.inf):
        column = [*hundredths[:5000].tolist(), odd]
        assert jsontext.numbers(pa.array(column)).to_pylist() == [shortest(value) for value in column]


def shortest(value: float | None) -> str | None:
    """The text of a number by the standard library; whole ones without a point."""
    if value is None or not math.isfinite(value):
        return None if value is None else "null"
    return repr(value).removesuffix(".0").replace("e-0", "e-") if math.copysign(1, value) > 0 or value else "-0.0"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])) | st.none()))
def test_strings_are_json_strings(values: list[str | None]) -> None:
    """Quotes, backslashes and control characters are escaped, everything else stands as it is."""
    found = jsontext.strings(pa.array(values, pa.string())).to_pylist()
    assert [None if text is None else json.loads(text) for text in found] == values


def test_members_and_compose_are_inverse() -> None:
    """The text of each member is carried as it was written."""
    text = '{"a": [1,  2], "b":{"c" :1e5}, "é":"\\u0041"}'
    assert jsontext.members(text) == {"a": "[1,  2]", "b": '{"c" :1e5}', "é": '"\\u0041"'}
    assert jsontext.members(jsontext.compose(jsontext.members(text)) or "") == jsontext.members(text)
    assert jsontext.compose({}) is None


def test_extras_are_null_where_there_is_nothing() -> None:
    """A row without any member has no extra, and no column at all gives nulls."""
    assert jsontext.extras({"a": texts(["1", None])}, 2).to_pylist() == ['{"a":1}', None]
    assert jsontext.extras({}, 2).to_pylist() == [None, None]


def test_joined_texts_are_their_bytes() -> None:
    """Slices, empty columns and multi-byte characters."""
    column = texts(["a", "é", "", "xyz"])
    assert bytes(jsontext.joined(column)) == "aéxyz".encode()
    assert bytes(jsontext.joined(column.slice(1, 2))) == "é".encode()
    assert bytes(jsontext.joined(texts([]))) == b""
