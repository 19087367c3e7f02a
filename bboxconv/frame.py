"""A data set as one pandas frame, one tidy row for each box."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from bboxconv.boxrows import box_rows, row_schema
from bboxconv.headerjson import box_text
from bboxconv.schema import Dataset

if TYPE_CHECKING:
    import pandas as pd

_LEFT_OUT = frozenset({"image", "image_extra", "video", "frame", "annotated", "object", "category_index"})


def boxes_frame(dataset: Dataset) -> pd.DataFrame:
    """All boxes of a data set, one row each, in the order of the data set.

    Columns: `image_id`, `file_name`, `width`, `height`, `split`; `id` (of the box), `category` (class name),
    `category_id`; the four numbers as float64 in the header's box format, named by it (x1 y1 x2 y2, x y w h, or cx cy
    w h); then `shape`, `score`, `area` and the other fields of schema.OBJECT. Ids, sizes and flags are of pandas'
    nullable types, so that an id stays an integer beside a missing one; classes, splits and shapes are categoricals,
    the classes in the header's order with those that no box has; JSON fields are text. An image without boxes has no
    row, an object without a bbox has NaN. `attrs` names the box format.
    """
    import pandas as pd  # noqa: PLC0415 - slow to import, and only this function needs it

    nullable = {pa.int64(): pd.Int64Dtype(), pa.int32(): pd.Int32Dtype(), pa.bool_(): pd.BooleanDtype()}
    kind = row_schema(dataset.header)
    batches = (box_rows(batch, dataset.header) for batch in dataset)
    table = pa.Table.from_batches([batch.filter(batch.column("object")) for batch in batches], schema=kind)
    table = table.drop_columns([name for name in kind.names if name in _LEFT_OUT])
    table = table.rename_columns(["id" if name == "box_id" else name for name in table.column_names])
    split = table.schema.get_field_index("split")
    table = table.set_column(split, "split", table.column("split").dictionary_encode())
    frame: pd.DataFrame = table.to_pandas(types_mapper=nullable.get)
    frame.attrs["bboxconv"] = {"box": box_text(dataset.header.box)}  # `from_pandas` takes it from there
    return frame
