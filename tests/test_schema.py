"""The accessor: slices and nulls of a batch never shift a box."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from helpers import batch, dataset

from bboxconv import schema

IMAGES = [
    {"file_name": "a", "objects": [{"id": 1, "bbox": [1.0, 2, 3, 4]}, {"id": 2, "bbox": None}]},
    {"file_name": "b", "objects": None},
    {"file_name": "c", "objects": []},
    {"file_name": "d", "objects": [{"id": 3, "bbox": [5.0, 6, 7, 8]}]},
]


def test_boxes_come_with_their_offsets_and_validity() -> None:
    """A null box is NaN and invalid; an image without objects has an empty range."""
    objects = schema.flat(batch(IMAGES))
    values, valid = schema.boxes_of(objects.rows)
    assert objects.offsets.tolist() == [0, 2, 2, 2, 3]
    assert objects.annotated.tolist() == [True, False, True, True]
    assert valid.tolist() == [True, False, True]
    assert values[[0, 2]].tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert np.isnan(values[1]).all()
    assert objects.image_of().tolist() == [0, 0, 3]


def test_a_slice_has_the_boxes_of_its_own_images() -> None:
    """Slicing a batch and taking it apart gives the same as taking it apart and slicing."""
    objects = schema.flat(batch(IMAGES).slice(2, 2))
    assert objects.offsets.tolist() == [0, 0, 1]
    assert schema.boxes_of(objects.rows)[0].tolist() == [[5, 6, 7, 8]]
    assert objects.column("id").to_pylist() == [3]


def test_a_filtered_batch_has_the_boxes_of_its_own_images() -> None:
    """Filtering images keeps each box with its image."""
    kept = schema.keep_images(batch(IMAGES), np.array([False, True, True, True]))
    assert schema.flat(kept).column("id").to_pylist() == [3]
    assert schema.flat(kept).annotated.tolist() == [False, True, True]


def test_a_batch_put_together_again_is_the_same() -> None:
    """flat and with_objects are inverse, null lists included."""
    first = batch(IMAGES)
    assert schema.with_objects(first, schema.flat(first)).equals(first)
    assert (
        schema.with_objects(first.slice(1, 3), schema.flat(first.slice(1, 3))).to_pylist()
        == first.slice(1, 3).to_pylist()
    )


def test_objects_that_are_left_out_leave_their_image() -> None:
    """keep_objects never loses an image."""
    objects = schema.flat(batch(IMAGES))
    kept = schema.keep_objects(objects, np.array([False, True, False]))
    assert kept.offsets.tolist() == [0, 1, 1, 1, 1]
    assert kept.column("id").to_pylist() == [2]


def test_a_data_set_is_an_arrow_stream() -> None:
    """Any reader of the Arrow C stream interface takes a data set."""
    data = dataset(IMAGES, batch_size=2)
    assert pa.table(data).equals(data.to_table())
    assert data.to_table().num_rows == 4
