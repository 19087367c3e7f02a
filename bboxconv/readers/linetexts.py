"""The text of the objects of an image line, for what is said of those that are set aside."""

from __future__ import annotations

import msgspec

from bboxconv.errors import cut

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])


def object_texts(line: bytes) -> tuple[str, list[bytes]]:
    """The array of the objects of a line that was read, and the text of each, cut."""
    parts = _MEMBERS.decode(line)
    array = "annotations" if "annotations" in parts else "objects"
    listed = bytes(parts[array])
    if listed[:1] == b"{":
        kind, rows = next(iter(_MEMBERS.decode(listed).items()))
        array, listed = f"{array}.{kind}", bytes(rows)
    return f"$.{array}", [cut(bytes(text)) for text in _ELEMENTS.decode(listed)]
