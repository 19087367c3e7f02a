"""Columns of JSON text that somebody else wrote, proved to be JSON before they are used or written: a text such as
`],"x":[` would else add members of its own to what is written.
"""

from __future__ import annotations

import secrets

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from bboxconv.errors import shortened
from bboxconv.jsontext import joined

_KEY = f"k{secrets.token_hex(8)}"
"""A key that no text can hold on purpose: between two texts it shows that each ends where it should."""
_PROOF: msgspec.json.Decoder[list[msgspec.Struct]] = msgspec.json.Decoder(
    list[msgspec.defstruct("_Proof", [(_KEY, msgspec.Raw)], forbid_unknown_fields=True, gc=False)]  # type: ignore[misc]
)
_VALUE = msgspec.json.Decoder(msgspec.Raw)
_AT_ONCE = 1 << 14


def check_json(texts: pa.StringArray, name: str) -> None:
    """Raises ValueError where a text of the column `name` is no JSON value or, in an `extra`, no object."""
    given = texts.drop_null()
    if not len(given):
        return
    if name == "extra":
        _check_objects(given)
    for start in range(0, len(given), _AT_ONCE):
        part = given.slice(start, _AT_ONCE)
        if not _proved(part):
            raise ValueError(_first_fault(part, name))


def _check_objects(texts: pa.StringArray) -> None:
    """Raises ValueError where a text does not stand in braces: members are put in and taken off between them."""
    bare = pc.invert(pc.and_(pc.starts_with(texts, "{"), pc.ends_with(texts, "}")))
    if pc.any(bare).as_py():
        raise ValueError(f"extra is no JSON object: {shortened(texts.filter(bare)[0].as_py())!r}")


def _proved(texts: pa.StringArray) -> bool:
    """Whether each text is one JSON value: all are decoded as the members of as many objects."""
    whole = joined(pc.binary_join_element_wise(f'{{"{_KEY}":', texts, "},", ""))
    try:
        return len(_PROOF.decode(b"".join((b"[", whole[:-1], b"]")))) == len(texts)
    except (msgspec.DecodeError, RecursionError):
        return False


def _first_fault(texts: pa.StringArray, name: str) -> str:
    """What is wrong with the first text that is no JSON value."""
    for text in texts.to_pylist():
        try:
            _VALUE.decode(text)
        except msgspec.DecodeError as error:
            return f"{name} is not JSON: {shortened(text)!r}: {error}"
        except RecursionError:
            return f"{name} is nested too deeply"
    return f"{name} is not JSON"
