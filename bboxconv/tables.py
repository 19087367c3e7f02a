"""Data sets of data frames and of Arrow streams: tables of boxes, or of images with their boxes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bboxconv import boxcells, headerjson, jsontext, schema
from bboxconv.boxcolumns import columns_of
from bboxconv.boxes import BoxFormat
from bboxconv.boxgroups import Groups, leave_rows
from bboxconv.boxtables import Reading
from bboxconv.codec import ReadContext
from bboxconv.errors import DataError, Findings, Record, UsageError
from bboxconv.jsonproof import check_json
from bboxconv.schema import Category, Dataset, Header
from bboxconv.shelf import Shelf
from bboxconv.spool import Spool

if TYPE_CHECKING:
    import pandas as pd

BATCH = 1 << 16
"""Rows of boxes that are read at once."""
IMAGES = 4096
"""Images of a batch."""
FRAME, STREAM = "data frame", "Arrow stream"


class ArrowStream(Protocol):
    """Whatever hands over its rows through the Arrow C stream interface."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The stream, as a capsule."""
        ...


def from_pandas(
    frame: pd.DataFrame,
    *,
    box: str | BoxFormat | None = None,
    classes: Sequence[str] | None = None,
    columns: Mapping[str, str] | None = None,
) -> Dataset:
    """The data set of a data frame with one row for each box.

    Columns are found by their usual names, whatever their case and separators: file_name, image, path, ImageID ...;
    class, label, category ...; xmin ymin xmax ymax, x1 y1 x2 y2, left top right bottom; x y w h, bbox_x ...; cx cy w h;
    one column `bbox` of four numbers; width, height; image_id, score, iscrowd, split ...; all others are carried in
    `extra`. `columns` says it of some fields, such as `{"x1": "left", "category": "species"}`. `box` is the box format
    (`"xyxy"`, `"cxcywhn"` ...) where the names do not say it: else numbers are pixels, or fractions where all of them
    lie about between 0 and 1 and some are not whole; a column with all four numbers is xywh. `classes` are the names of
    the classes in their order, or of class numbers; else they are in the order of a categorical, of their ids where
    all have one, or in code-point order.

    Images are in order of first sight. A row whose box is null, and its class, id and polygons too, is an image without
    boxes. What `Dataset.to_pandas` gives comes back equal; images without boxes have no row there. Levels of the index
    that have a name are columns too.

    Raises UsageError where columns are missing or ambiguous, with the candidates, and DataError for rows that cannot
    be read.
    """
    import pandas as pd  # noqa: PLC0415 - slow to import, and only this function needs it

    if not isinstance(frame, pd.DataFrame):
        raise UsageError.of("no-table", f"a pandas DataFrame is needed, not {type(frame).__name__}")
    named = frame.set_axis([str(name) for name in frame.columns], axis=1)
    named = _with_index(named)
    form = _box(box)
    found = columns_of(list(named.columns), columns, None if form is None else form.kind, where=FRAME)
    declared = list(classes or ())
    place = found.places.get("category")
    if place is not None and not declared and isinstance(named.dtypes.iloc[place], pd.CategoricalDtype):
        declared = [str(name) for name in named.iloc[:, place].cat.categories]
    if form is None:
        form = _said(frame.attrs, named, found.box, found.kind)
    try:
        # a name for each column, as Arrow refuses equal ones: those that are no field may be
        table = pa.Table.from_pandas(named.set_axis(_unlike(named.columns), axis=1), preserve_index=False)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        detail = "; ".join(str(part) for part in error.args)
        message = "a column holds values of several types, or of one that Arrow does not have"
        hint = "make each column of one type, such as frame[name].astype(str) or astype(float)"
        raise UsageError.of("no-table", message, where=FRAME, detail=detail, hint=hint) from error
    reading = Reading(found)
    return _of_rows(table.to_batches(BATCH), reading, form, tuple(classes or ()), declared, FRAME)


def _with_index(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with the levels of its index that have a name, as `set_index` leaves them, as columns in front."""
    levels = [n for n, name in enumerate(frame.index.names) if name is not None and str(name) not in frame.columns]
    return frame.reset_index(level=levels).rename(columns=str) if levels else frame


def _unlike(names: Iterable[str]) -> list[str]:
    """The names, of which equal ones have a number behind."""
    made: dict[str, None] = {}
    for name in names:
        new, number = name, 1
        while new in made:
            new, number = f"{name}.{number}", number + 1
        made[new] = None
    return list(made)


def _said(
    attrs: Mapping[object, object], frame: pd.DataFrame, places: Sequence[int], kind: str | None
) -> BoxFormat | None:
    """The box format that `Dataset.to_pandas` left beside the frame, unless the boxes are others by now."""
    said = attrs.get("bboxconv")
    if not isinstance(said, Mapping) or "box" not in said or len(places) != 4:
        return None
    try:
        box = headerjson.box_of(str(said["box"]))
    except ValueError:
        return None
    numbers = [frame.dtypes.iloc[place].kind in "iuf" for place in places]
    if box.kind != kind or not all(numbers):
        return None
    largest = np.nanmax(np.abs(frame.iloc[:, list(places)].to_numpy(np.float64, na_value=np.nan)), initial=0.0)
    return None if box.scale is not None and largest > 2 * box.scale else box


def of_table(
    table: pd.DataFrame | ArrowStream,
    *,
    box: str | BoxFormat | None = None,
    classes: Sequence[str] | None = None,
    columns: Mapping[str, str] | None = None,
) -> Dataset:
    """The data set of a data frame or of a stream; raises as `from_pandas`."""
    if type(table).__module__.partition(".")[0] == "pandas":
        return from_pandas(cast("pd.DataFrame", table), box=box, classes=classes, columns=columns)
    return from_arrow(table, box=box, classes=classes, columns=columns)


def from_arrow(
    table: ArrowStream,
    *,
    box: str | BoxFormat | None = None,
    classes: Sequence[str] | None = None,
    columns: Mapping[str, str] | None = None,
) -> Dataset:
    """The data set of anything with `__arrow_c_stream__`: a pyarrow Table, a Polars frame, a DuckDB relation.

    Rows with a column `objects` of structs with a `bbox` are images, as `schema.IMAGE` has them; their header is that
    which `Dataset.to_table` and our Parquet files have in the metadata of the schema, else `box` and `classes` say it.
    They are taken as they come. Other rows are boxes, as `from_pandas` takes them.

    Raises as `from_pandas`.
    """
    if not hasattr(table, "__arrow_c_stream__"):
        message = f"a data set, or a table with __arrow_c_stream__, is needed, not {type(table).__name__}"
        hint = "bboxconv.read gives a data set, bboxconv.from_pandas too; a LazyFrame is one after collect()"
        raise UsageError.of("no-table", message, hint=hint)
    reader = pa.RecordBatchReader.from_stream(table)
    form = _box(box)
    if _has_images(reader.schema):
        header = _header(reader.schema, form, classes)
        opened = [reader]
        return Dataset(header, lambda: _images(header, _again(table, opened)))
    found = columns_of(reader.schema.names, columns, None if form is None else form.kind, where=STREAM)
    batches = (piece for batch in reader for piece in schema.pieces(batch, BATCH))
    return _of_rows(batches, Reading(found), form, tuple(classes or ()), list(classes or ()), STREAM)


def _box(box: str | BoxFormat | None) -> BoxFormat | None:
    if box is None or isinstance(box, BoxFormat):
        return box
    try:
        return BoxFormat.parse(box)
    except ValueError as error:
        raise UsageError.of("unknown-box-format", str(error), where="box") from error


def _of_rows(
    batches: Iterable[pa.RecordBatch],
    reading: Reading,
    box: BoxFormat | None,
    classes: tuple[str, ...],
    declared: Sequence[str],
    shown: str,
) -> Dataset:
    """The data set of rows of boxes."""
    findings = Findings()
    context = ReadContext(findings=findings, classes=classes, batch_size=IMAGES)
    groups = Groups(reading, shown, context, Spool(context.memory))
    before = 0
    for batch in batches:
        left = leave_rows(batch, reading, Shelf())
        for fault in left.faults:
            record = Record(shown, pointer=f"row {before + fault.row}")
            findings.add(fault.code, fault.message, record=record, detail=fault.detail, boxes=1)
        groups.take(left)
        before += len(batch)
    if findings.errors:
        raise DataError(findings)
    dataset = groups.dataset("", box, declared)
    unknown = [category.name for category in dataset.header.categories[len(classes) :]] if classes else []
    if unknown:
        hint = f"classes: {', '.join(classes[:20])}"
        message = "a class is none of those given"
        raise DataError.of("unknown-class", message, where=shown, detail=repr(unknown[0]), hint=hint)
    return dataset


# -- images


def _has_images(kind: pa.Schema) -> bool:
    at = kind.get_field_index("objects")
    if at < 0:
        return False
    lists = kind.field(at).type
    nested = pa.types.is_list(lists) or pa.types.is_large_list(lists)
    return bool(nested and pa.types.is_struct(lists.value_type) and lists.value_type.get_field_index("bbox") >= 0)


def _header(kind: pa.Schema, box: BoxFormat | None, classes: Sequence[str] | None) -> Header:
    text = (kind.metadata or {}).get(b"bboxconv")
    if text is not None:
        header = headerjson.header_of(jsontext.members(text), STREAM)
        return header if box is None or box == header.box else _conflict(header, box)
    if box is None or classes is None:
        lacking = "box and classes" if box is None and classes is None else "box" if box is None else "classes"
        message = f"a table of images does not say its box format and classes: {lacking} must be given"
        hint = 'box="xywh", classes=["person", "dog"]'
        raise UsageError.of("no-header", message, where=STREAM, hint=hint)
    return Header(box, tuple(map(Category, classes)))


def _conflict(header: Header, box: BoxFormat) -> Header:
    message = f"the table says that its boxes are {header.box.name}, not {box.name}"
    raise UsageError.of("option-conflict", message, where=STREAM, hint="leave box out")


def _again(table: ArrowStream, opened: list[pa.RecordBatchReader]) -> Iterator[pa.RecordBatch]:
    """The batches of a table, from its beginning where it can be read again: first those of the reader that is open, as
    DuckDB has one at a time."""
    yield from opened.pop() if opened else pa.RecordBatchReader.from_stream(table)


def _images(header: Header, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Batches of `schema.IMAGE` of those that come, in pieces."""
    before = 0
    for batch in batches:
        where = f"{STREAM}: rows {before} to {before + max(0, len(batch) - 1)}"
        before += len(batch)
        for piece in schema.pieces(batch, IMAGES):
            try:
                yield image_batch(piece, header)
            except (ValueError, pa.ArrowException) as error:
                message = "the rows are no images"
                raise DataError.of("bad-table", message, where=where, detail=str(error).partition("\n")[0]) from error


def image_batch(batch: pa.RecordBatch, header: Header) -> pa.RecordBatch:
    """A batch of `schema.IMAGE` of one with columns of its names, of whatever types hold the same. Other columns, and
    fields of objects, go to `extra`. Raises ValueError for values that the model cannot hold."""
    named = {name: batch.column(n) for n, name in enumerate(batch.schema.names)}
    lists = named.pop("objects")
    columns = _typed(named, schema.IMAGE, len(batch))
    lists = lists.cast(pa.list_(lists.type.value_type))
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    rows = lists.flatten()
    if rows.null_count:
        raise ValueError("an object is null")
    fields = {field.name: pc.struct_field(rows, n) for n, field in enumerate(rows.type)}
    boxes = _bbox(fields.pop("bbox"))
    shape, odd = boxcells.shapes(fields.pop("shape")) if "shape" in fields else (None, np.zeros(0))
    if odd.any():
        raise ValueError(f"a shape is none of {', '.join(schema.SHAPES)}")
    objects = _typed(fields, pa.schema(list(schema.OBJECT)), len(rows))
    objects |= {"bbox": boxes} | ({} if shape is None else {"shape": shape})
    if "category" in objects:
        bounds = pc.min_max(objects["category"]).as_py()
        if bounds["min"] is not None and not 0 <= bounds["min"] <= bounds["max"] < len(header.categories):
            raise ValueError(f"a category is none of the {len(header.categories)} classes: {bounds}")
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    annotated = lists.is_valid().to_numpy(zero_copy_only=False)
    return schema.image_batch(columns, offsets, schema.object_rows(objects, len(rows)), annotated)


def _typed(columns: Mapping[str, pa.Array], kind: pa.Schema, length: int) -> dict[str, pa.Array]:
    """The columns that the model has in its types, the others in `extra`."""
    made: dict[str, pa.Array] = {}
    others: dict[str, pa.Array] = {}
    for name, column in columns.items():
        if name not in kind.names:
            others[name] = boxcells.json_texts(column, text=False)
            continue
        stored = boxcells.stored(column)
        if name in schema.JSON_FIELDS and pa.types.is_nested(stored.type):
            stored = boxcells.json_texts(stored, text=False)
        made[name] = stored.cast(kind.field(name).type)
        if name in schema.JSON_FIELDS:
            check_json(made[name], name)
    if others:
        given = made.get("extra", pa.nulls(length, pa.string()))
        joined = jsontext.objects(others, given)
        made["extra"] = pc.if_else(pc.equal(joined, "{}"), pa.scalar(None, pa.string()), joined)
    return made


def _bbox(column: pa.Array) -> pa.FixedSizeListArray:
    """Lists of four numbers as boxes; four nulls are no box. Raises ValueError where there are not four."""
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    kept = column.filter(pa.array(valid)) if not valid.all() else column
    if not pc.all(pc.equal(pc.list_value_length(kept), 4)).as_py() and len(kept):
        raise ValueError("a bbox is not four numbers")
    flat = pc.list_flatten(kept).cast(pa.float64())
    given = flat.is_valid().to_numpy(zero_copy_only=False).reshape(-1, 4).any(axis=1)
    values = np.full((len(column), 4), np.nan)
    values[valid] = flat.fill_null(np.nan).to_numpy(zero_copy_only=False).reshape(-1, 4)
    valid = valid.copy()
    valid[valid] = given
    return schema.bbox_array(values, valid)
