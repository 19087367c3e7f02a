"""The columns of a data set and their features: what `datasets` knows of a column beside its Arrow type.

The spelling is the one that versions of `datasets` before and after 4 read alike: every list is a `Sequence`, and
`objects` a plain struct of them (https://huggingface.co/docs/datasets/about_dataset_features).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import pyarrow as pa

from bboxconv import schema

IMAGE_TYPE = pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])
IMAGE_COLUMNS: Mapping[str, str] = {
    "image_id": "id",
    "width": "width",
    "height": "height",
    "video": "video",
    "frame": "frame",
    "extra": "extra",
}
"""The field of an image that each column beside `image` holds."""
OBJECT_COLUMNS = (
    *("id", "area", "bbox", "category", "iscrowd", "difficult", "truncated", "occluded", "score", "track_id"),
    *("shape", "segmentation", "keypoints", "extra"),
)
ALWAYS = frozenset({"image", "image_id", "width", "height", "objects"} | {f"objects.{n}" for n in OBJECT_COLUMNS[:5]})
"""Columns that are there whatever they hold: who trains asks for them."""


def object_type(name: str) -> pa.DataType:
    """The Arrow type of one object's field."""
    if name == "category":
        return pa.int64()  # what a ClassLabel is stored as
    kind = schema.OBJECT.field(name).type
    return pa.string() if pa.types.is_dictionary(kind) else kind


def columns_of(present: frozenset[str]) -> pa.Schema:
    """The columns that there are, of all that `present` names, in their order."""
    inner = [
        pa.field(name, pa.list_(object_type(name)))
        for name in OBJECT_COLUMNS
        if {f"objects.{name}"} & (present | ALWAYS)
    ]
    images = [
        pa.field(name, schema.IMAGE.field(own).type)
        for name, own in IMAGE_COLUMNS.items()
        if {name} & (present | ALWAYS)
    ]
    return pa.schema([pa.field("image", IMAGE_TYPE), *images, pa.field("objects", pa.struct(inner))])


def with_features(kind: pa.Schema, classes: Sequence[str]) -> pa.Schema:
    """The columns with their features in the metadata."""
    features = {field.name: _feature(field.name, field.type, classes) for field in kind}
    document = json.dumps({"info": {"features": features}}, ensure_ascii=False)
    return kind.with_metadata({"huggingface": document})


def _feature(name: str, kind: pa.DataType, classes: Sequence[str]) -> object:
    if name == "image":
        return {"_type": "Image"}
    if pa.types.is_struct(kind):
        return {field.name: _feature(field.name, field.type, classes) for field in kind}
    if pa.types.is_fixed_size_list(kind):
        return {"feature": _feature("", kind.value_type, classes), "length": kind.list_size, "_type": "Sequence"}
    if pa.types.is_list(kind):
        return {"feature": _feature(name, kind.value_type, classes), "_type": "Sequence"}
    if name == "category":
        return {"names": list(classes), "_type": "ClassLabel"}
    return {"dtype": _dtype(kind), "_type": "Value"}


def _dtype(kind: pa.DataType) -> str:
    return {"double": "float64"}.get(str(kind), str(kind))


def card_features(kind: pa.Schema, classes: Sequence[str]) -> list[dict[str, object]]:
    """The features as the front matter of a card lists them."""
    return [{"name": field.name, **_card_feature(field.name, field.type, classes)} for field in kind]


def _card_feature(name: str, kind: pa.DataType, classes: Sequence[str]) -> dict[str, object]:
    if name == "image":
        return {"dtype": "image"}
    if pa.types.is_struct(kind):
        return {"struct": card_features(pa.schema(list(kind)), classes)}
    if pa.types.is_fixed_size_list(kind):
        return {"sequence": _dtype(kind.value_type), "length": kind.list_size}
    if pa.types.is_list(kind):
        inner = _card_feature(name, kind.value_type, classes)
        return {"sequence": inner["dtype"] if set(inner) == {"dtype"} else inner}
    if name == "category":
        return {"dtype": {"class_label": {"names": {str(n): word for n, word in enumerate(classes)}}}}
    return {"dtype": _dtype(kind)}


# -- what a stranger's features say


def class_names(features: object, path: Sequence[str]) -> tuple[str, ...] | None:
    """The names of the ClassLabel of a column, by its path (`objects`, `category`), in features as a schema's metadata
    or a card has them; None where they say none."""
    if not path:
        return next(_labels(features), None)
    if isinstance(features, list) and len(features) == 1 and not _is_card(features):  # a list in old features
        return class_names(features[0], path)
    if isinstance(features, list):
        inner = next((one for one in features if isinstance(one, dict) and one.get("name") == path[0]), None)
        return None if inner is None else class_names(inner, path[1:])
    if not isinstance(features, dict):
        return None
    if path[0] in features and "_type" not in features and "name" not in features:
        return class_names(features[path[0]], path[1:])
    for key in ("feature", "struct", "sequence", "list", "large_list", "dtype"):
        if isinstance(features.get(key), dict | list):
            return class_names(features[key], path)
    return None


def _is_card(features: list[object]) -> bool:
    """Whether a list is that of the columns that a card names."""
    return all(isinstance(one, dict) and isinstance(one.get("name"), str) for one in features)


def _labels(feature: object) -> Iterator[tuple[str, ...]]:
    """The names of the one ClassLabel that a feature is, or is a list of."""
    if isinstance(feature, list) and len(feature) == 1:  # a list in old features
        yield from _labels(feature[0])
    if not isinstance(feature, dict):
        return
    names = feature.get("names") if feature.get("_type") == "ClassLabel" else None
    label = feature.get("class_label")
    if isinstance(label, dict):
        names = label.get("names")
    if isinstance(names, dict):
        names = [names[key] for key in sorted(names, key=_number)]
    if isinstance(names, list):
        yield tuple(str(name) for name in names)
        return
    for key in ("feature", "dtype", "sequence", "list", "large_list"):
        yield from _labels(feature.get(key))


def _number(key: object) -> int:
    return int(cast("str | int", key)) if str(key).isdigit() else 1 << 30


def features_of(kind: pa.Schema) -> object:
    """The features that the metadata of a schema holds; None where it holds none."""
    try:
        document = json.loads((kind.metadata or {}).get(b"huggingface", b"null"))
        return document["info"]["features"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
