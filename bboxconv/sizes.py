"""Sizes of images that the annotations do not give: from a table, from another data set, or from the images
themselves.

Sizes are (width, height) in pixels, as displayed: the EXIF orientations 5 to 8 swap the stored ones (JEITA CP-3451,
tag 274), as annotation tools show such images turned. Within this module both are packed into one int64, width in the
upper half, and 0 stands for an unknown size: equal sizes are then equal numbers.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv.errors import UsageError
from bboxconv.imagelookup import ImageLookup
from bboxconv.imagenames import FORMS, form
from bboxconv.schema import IMAGE, with_image_columns
from bboxconv.sizefiles import LARGEST, read_sizes

Sizes = NDArray[np.int64]

_NEAR = 4
"""How many rows of the table to look through for each name: more take longer than a dict of all."""


@dataclass(frozen=True, slots=True)
class SizeTable:
    """Known sizes by file name and by image id; `from_table` and `from_dataset` build one."""

    names: pa.StringArray
    """Distinct names (N,), in order."""
    sizes: Sizes
    """Their sizes (N,)."""
    ids: tuple[pa.Int64Array, Sizes] | None = None
    """Distinct ids (M,) and their sizes (M,)."""
    _known_ids: dict[int | None, int] = field(default_factory=dict)
    _tiers: dict[int, Mapping[str | None, int]] = field(default_factory=dict)
    """By form of the name, each built when it is first needed: a dict answers a batch in a millisecond, where
    `index_in` would hash the whole table again (0.24 s for a million names)."""

    def lookup(self, names: pa.StringArray) -> tuple[pa.Int32Array, pa.Int32Array]:
        """Widths and heights (B,) of the images of these names, null where unknown.

        The whole name decides; failing that the name without the extension of an image, the last part of the name,
        and that part without extension, in this order, each only where all rows that match agree on the size.
        """
        return _unpacked(self.packed(names))

    def lookup_ids(self, ids: pa.Int64Array) -> tuple[pa.Int32Array, pa.Int32Array]:
        """Widths and heights (B,) of the images of these ids, null where unknown."""
        return _unpacked(self.packed_ids(ids))

    def packed(self, names: pa.StringArray) -> Sizes:
        """As `lookup`, packed."""
        found = self._near(names)
        for tier in range(FORMS):
            missing = np.flatnonzero(found == 0)
            if len(missing) == 0 or len(self.names) == 0:
                break
            known = self._tier(tier)
            wanted = form(names.take(pa.array(missing)), tier).to_pylist()
            found[missing] = list(map(known.get, wanted, repeat(0)))
        return found

    def _near(self, names: pa.StringArray) -> Sizes:
        """The sizes of names that are whole in the table and stand close together there, as those of some images in
        order do; 0 for all where the table between them is too long to be looked through for each batch."""
        found = np.zeros(len(names), np.int64)
        if names.null_count == len(names):
            return found
        names = form(names, 0)
        ends = pc.min_max(names).as_py()
        start = bisect_left(self.names, ends["min"], key=pa.StringScalar.as_py)
        stop = bisect_right(self.names, ends["max"], start, key=pa.StringScalar.as_py)
        if stop - start <= _NEAR * len(names):
            at = pc.index_in(names, value_set=self.names.slice(start, stop - start))
            there = at.is_valid().to_numpy(zero_copy_only=False)
            found[there] = self.sizes[start + at.drop_null().to_numpy()]
        return found

    def packed_ids(self, ids: pa.Int64Array) -> Sizes:
        """As `lookup_ids`, packed."""
        if self.ids is not None and not self._known_ids and len(ids):
            self._known_ids.update(zip(self.ids[0].to_pylist(), self.ids[1].tolist(), strict=True))
        return np.array([self._known_ids.get(number, 0) for number in ids.to_pylist()], np.int64)

    def _tier(self, tier: int) -> Mapping[str | None, int]:
        if tier not in self._tiers:
            keys, sizes, _ = _agreed(form(self.names, tier), self.sizes)
            self._tiers[tier] = dict(zip(keys.to_pylist(), sizes.tolist(), strict=True))
        return self._tiers[tier]


def from_table(path: Path, max_expansion: float | None = None) -> SizeTable:
    """The sizes of a csv or Parquet file, such as `--image-sizes` names; `read_sizes` says which columns.

    Raises UsageError: `path-not-found`, `bad-size-table`, or `size-conflict` where one name has two sizes;
    DataError as `read_sizes`.
    """
    rows = read_sizes(path, max_expansion)
    known = rows.sizes != 0
    sizes = rows.sizes[known]
    names = form(rows.names.filter(pa.array(known)), 0)
    keys, values, conflicts = _agreed(names, sizes)
    if len(conflicts):
        name = conflicts[0].as_py()
        at = np.flatnonzero(pc.equal(names, name).to_numpy(zero_copy_only=False))
        second = at[np.flatnonzero(sizes[at] != sizes[at[0]])[0]]
        text = " and ".join(f"{size >> 32}x{size & 0xFFFFFFFF}" for size in (int(sizes[at[0]]), int(sizes[second])))
        where = rows.place(int(np.flatnonzero(known)[second]))
        raise UsageError.of("size-conflict", f"{name!r} has two sizes: {text}", where=where)
    return SizeTable(keys, values, None if rows.ids is None else _by_id(rows.ids.filter(pa.array(known)), sizes))


def from_dataset(batches: Iterable[pa.RecordBatch]) -> SizeTable:
    """The sizes in any stream of batches of `schema.IMAGE`. A name or id with two sizes is as if it were not
    there.
    """
    columns = ["file_name", "width", "height", "id"]
    parts = [pa.RecordBatch.from_arrays([batch.column(name) for name in columns], columns) for batch in batches]
    table = pa.Table.from_batches(parts, schema=pa.schema([IMAGE.field(name) for name in columns])).combine_chunks()
    sizes = _packed(table.column("width"), table.column("height"))
    names, values, _ = _agreed(form(table.column("file_name").combine_chunks(), 0), sizes)
    return SizeTable(names, values, _by_id(table.column("id").combine_chunks(), sizes))


def from_images(names: pa.StringArray, folders: Sequence[Path], *, exif: bool) -> tuple[pa.Int32Array, pa.Int32Array]:
    """Widths and heights (B,) from the headers of the images of these names; null where no readable image is found.

    Each folder is searched for the name and for its last part, and so are the folders where images stand beside
    labels: `images` for `labels`, `JPEGImages` for `Annotations`, and an `images` folder in it or next to it. A name
    without the extension of an image takes the one image that has it as its stem. `exif`: sizes as displayed;
    False: as stored.
    """
    return _unpacked(_image_sizes(names, folders, exif))


def fill(
    batch: pa.RecordBatch,
    table: SizeTable | None,
    fixed: tuple[int, int] | None,
    folders: Sequence[Path],
    exif: bool,
) -> tuple[pa.RecordBatch, int]:
    """The batch with widths and heights where it has none, and how many images got one.

    They come from the table by name (by id where the image has no name), else from `fixed` (width, height), else from
    the images in `folders`. What the batch says already stays, even if it disagrees.
    """
    width, height = batch.column("width"), batch.column("height")
    if not width.null_count and not height.null_count:
        return batch, 0
    missing = np.flatnonzero(pc.or_(width.is_null(), height.is_null()).to_numpy(zero_copy_only=False))
    names = batch.column("file_name").take(pa.array(missing))
    found = np.zeros(len(missing), np.int64)
    if table is not None:
        found = table.packed(names)
        unnamed = np.flatnonzero((found == 0) & names.is_null().to_numpy(zero_copy_only=False))
        found[unnamed] = table.packed_ids(batch.column("id").take(pa.array(missing[unnamed])))
    if fixed is not None:
        found[found == 0] = fixed[0] << 32 | fixed[1]
    left = np.flatnonzero(found == 0)
    if len(left) and folders:
        found[left] = _image_sizes(names.take(pa.array(left)), folders, exif)
    sizes = np.zeros(len(batch), np.int64)
    sizes[missing] = found
    widths, heights = _unpacked(sizes)
    columns = {"width": pc.coalesce(width, widths), "height": pc.coalesce(height, heights)}
    return with_image_columns(batch, columns), int(np.count_nonzero(found))


# -- packed sizes


def _packed(width: pa.ChunkedArray, height: pa.ChunkedArray) -> Sizes:
    """Sizes of two columns; 0 where one is null or no size."""
    sides = [column.fill_null(0).to_numpy().astype(np.int64) for column in (width, height)]
    return np.where((sides[0] > 0) & (sides[1] > 0), sides[0] << 32 | sides[1], 0)


def _unpacked(sizes: Sizes) -> tuple[pa.Int32Array, pa.Int32Array]:
    unknown = sizes == 0
    return pa.array(sizes >> 32, pa.int32(), mask=unknown), pa.array(sizes & 0xFFFFFFFF, pa.int32(), mask=unknown)


def _agreed(keys: pa.Array, sizes: Sizes) -> tuple[pa.Array, Sizes, pa.Array]:
    """The distinct keys, in order, whose rows all have one known size, those sizes, and the keys with several."""
    given = sizes != 0
    if not keys.null_count and given.all():
        ordered, same_order = _ordered(keys, sizes)
        if not pc.any(pc.equal(ordered[1:], ordered[:-1])).as_py():
            return ordered, same_order, keys.slice(0, 0)  # as nearly always: no groups to be made
    known = pa.table({"key": keys, "size": pa.array(sizes)}).filter(pa.array(given))
    groups = known.drop_null().group_by("key", use_threads=False).aggregate([("size", "min"), ("size", "max")])
    same = pc.equal(groups.column("size_min"), groups.column("size_max"))
    agreed = groups.filter(same)
    return (
        *_ordered(agreed.column("key").combine_chunks(), agreed.column("size_min").to_numpy()),
        groups.filter(pc.invert(same)).column("key").combine_chunks(),
    )


def _ordered(keys: pa.Array, sizes: Sizes) -> tuple[pa.Array, Sizes]:
    order = pc.sort_indices(keys)
    return keys.take(order), sizes[order.to_numpy()]


def _by_id(ids: pa.Array, sizes: Sizes) -> tuple[pa.Int64Array, Sizes]:
    keys, values, _ = _agreed(ids, sizes)
    return keys, values


# -- headers of images


def _image_sizes(names: pa.StringArray, folders: Sequence[Path], exif: bool) -> Sizes:
    lookup = ImageLookup.of(folders)
    return np.array([0 if name is None else _size(name, lookup, exif) for name in names.to_pylist()], np.int64)


def _size(name: str, lookup: ImageLookup, exif: bool) -> int:
    """The packed size of the first readable image of this name; 0 where there is none."""
    for path in lookup.files(name):
        import imagesize  # noqa: PLC0415 - it loads what reads addresses, which few need

        width, height = imagesize.get(path, exif_rotation=exif)  # a str could be taken for an address
        if 0 < width <= LARGEST and 0 < height <= LARGEST:
            return int(width) << 32 | int(height)
    return 0
