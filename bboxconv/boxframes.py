"""Boxes in the four columns of a pandas DataFrame: frame in, frame out, with the same index.

Columns in a usual spelling of the box format's numbers are taken by name, in whatever order they stand: some tables
have xmin, xmax, ymin, ymax. Any other four are taken in their order.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias, TypeGuard

import numpy as np
from numpy.typing import NDArray

from bboxconv.boxformat import BoxFormat, Kind

if TYPE_CHECKING:
    import pandas as pd

Floats: TypeAlias = NDArray[np.floating]

# In small letters, without what stands between words.
_SPELLINGS: Mapping[Kind, tuple[str, ...]] = {
    "xyxy": ("x1 y1 x2 y2", "xmin ymin xmax ymax", "left top right bottom"),
    "xywh": ("x y w h", "x y width height", "left top width height", "xmin ymin width height"),
    "cxcywh": ("cx cy w h", "cx cy width height", "xcenter ycenter width height", "x y w h"),
}


def is_frame(given: object) -> TypeGuard[pd.DataFrame]:
    """Whether this is a DataFrame of pandas; pandas is not loaded to find out."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(given, pandas.DataFrame)


def numbers(frame: pd.DataFrame, fmt: BoxFormat) -> Floats:
    """The boxes (N, 4) of a frame, null as NaN; ValueError where it has no four columns of numbers."""
    return _numbers(frame, _order(frame, fmt))


def mapped(frame: object, old: BoxFormat, new: BoxFormat, change: Callable[[Floats], object]) -> pd.DataFrame:
    """The frame with its boxes changed. The columns keep their names as long as the boxes keep their kind, and are
    named by `BoxFormat.columns` else.
    """
    import pandas as pd  # noqa: PLC0415 - slow to import, and loaded already where there is a frame

    assert is_frame(frame)
    order = _order(frame, old)
    names = [frame.columns[i] for i in order] if old.kind == new.kind else list(new.columns)
    return pd.DataFrame(np.asarray(change(_numbers(frame, order))), index=frame.index, columns=names)


def area(frame: object, fmt: BoxFormat, areas: Callable[[Floats], Floats]) -> pd.Series[float]:
    """The areas of the boxes, with the frame's index."""
    import pandas as pd  # noqa: PLC0415 - as in mapped

    assert is_frame(frame)
    return pd.Series(areas(numbers(frame, fmt)), index=frame.index, name="area")


def pairs(first: object, second: object, fmt: BoxFormat, compare: Callable[[object, object], object]) -> object:
    """What is found for each pair of boxes where one or both are frames: a frame with both indices where both are."""
    import pandas as pd  # noqa: PLC0415 - as in mapped

    one, other = (numbers(boxes, fmt) if is_frame(boxes) else boxes for boxes in (first, second))
    found = compare(one, other)
    if is_frame(first) and is_frame(second):
        return pd.DataFrame(np.asarray(found), index=first.index, columns=second.index)
    return found


def _numbers(frame: pd.DataFrame, order: list[int]) -> Floats:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype  # noqa: PLC0415 - as in mapped

    if not len(frame):  # no boxes, of which pandas does not know that they are numbers
        return frame.iloc[:, order].to_numpy(dtype=np.float64)
    for name, dtype in zip(frame.columns, frame.dtypes, strict=True):
        if not is_numeric_dtype(dtype) or is_bool_dtype(dtype):
            raise ValueError(f"boxes must be numbers, not {dtype} as in the column {name!r}")
    values = frame.iloc[:, order].to_numpy()
    if values.dtype.kind not in "iuf":  # integers and floats with nulls among them
        values = frame.iloc[:, order].to_numpy(dtype=np.float64, na_value=np.nan)
    return values


def _order(frame: pd.DataFrame, fmt: BoxFormat) -> list[int]:
    """Where the four numbers of a box stand."""
    if frame.shape[1] != 4:
        names = ", ".join(map(str, frame.columns))
        raise ValueError(
            f"a frame of boxes must have four columns, not {frame.shape[1]} ({names}): choose them, as in "
            f"frame[{list(fmt.columns)}]"
        )
    found = ["".join(letter for letter in str(name).lower() if letter.isalnum()) for name in frame.columns]
    for spelling in _SPELLINGS[fmt.kind]:
        if sorted(spelling.split()) == sorted(found):
            return [found.index(word) for word in spelling.split()]
    return [0, 1, 2, 3]
