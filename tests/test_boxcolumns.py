"""What columns of tables mean, by the names that people and tools give them."""

from __future__ import annotations

import pytest

from bboxconv.boxcolumns import columns_of
from bboxconv.errors import UsageError


@pytest.mark.parametrize(
    ("names", "kind", "box", "fields"),
    [
        # datitran/raccoon_dataset
        ("filename,width,height,class,xmin,ymin,xmax,ymax", "xyxy", "xmin,ymin,xmax,ymax",
         {"file_name": "filename", "width": "width", "height": "height", "category": "class"}),
        # OpenImages V6, whose corners stand in another order
        ("ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated", "xyxy",
         "XMin,YMin,XMax,YMax",
         {"image_id": "ImageID", "category": "LabelName", "score": "Confidence", "occluded": "IsOccluded",
          "truncated": "IsTruncated"}),
        # VoTT
        ("image,xmin,ymin,xmax,ymax,label", "xyxy", "xmin,ymin,xmax,ymax", {"file_name": "image", "category": "label"}),
        # Kaggle's global wheat detection
        ("image_id,width,height,bbox,source", None, "bbox",
         {"image_id": "image_id", "width": "width", "height": "height"}),
        ("Image Path,Left,Top,Right,Bottom,Name", "xyxy", "Left,Top,Right,Bottom",
         {"file_name": "Image Path", "category": "Name"}),
        ("img,bbox_x,bbox_y,bbox_width,bbox_height,image_width,image_height,class", "xywh",
         "bbox_x,bbox_y,bbox_width,bbox_height",
         {"file_name": "img", "width": "image_width", "height": "image_height", "category": "class"}),
        ("image,x,y,width,height,label", "xywh", "x,y,width,height", {"file_name": "image", "category": "label"}),
        ("image,left,top,width,height,label", "xywh", "left,top,width,height",
         {"file_name": "image", "category": "label"}),
        ("path,x_min,y_min,x_max,y_max,category-name,track.id", "xyxy", "x_min,y_min,x_max,y_max",
         {"file_name": "path", "category": "category-name", "track_id": "track.id"}),
        ("file,x_center,y_center,w,h,class_id,conf", "cxcywh", "x_center,y_center,w,h",
         {"file_name": "file", "category_id": "class_id", "score": "conf"}),
        ("image,x0,y0,x1,y1", "xyxy", "x0,y0,x1,y1", {"file_name": "image"}),
        # what a sure name says, one that may say it does not
        ("filename,path,name,label,x1,y1,x2,y2,w,h", "xyxy", "x1,y1,x2,y2",
         {"file_name": "filename", "category": "label"}),
    ],
)  # fmt: skip
def test_usual_names(names: str, kind: str | None, box: str, fields: dict[str, str]) -> None:
    """Columns are known by the names that tools and data sets give them, whatever case and separators."""
    listed = names.split(",")
    found = columns_of(listed)
    assert found.kind == kind
    assert [listed[place] for place in found.box] == box.split(",")
    assert {field: listed[place] for field, place in found.places.items()} == fields


@pytest.mark.parametrize(
    ("names", "message", "hint"),
    [
        ("path,image,x1,y1,x2,y2", "several columns could be file_name: 'path'; 'image'",
         "say which: --in columns=file_name:path, in Python columns={'file_name': 'path'}"),
        ("filename,class,label,x1,y1,x2,y2", "several columns could be category: 'class'; 'label'",
         "say which: --in columns=category:class, in Python columns={'category': 'class'}"),
        ("filename,x,y,w,h,cx,cy", "several columns could be the box: 'x, y, w, h'; 'cx, cy, w, h'",
         "say which with columns, or with the box format: --in box=NAME, in Python box=NAME"),
        ("filename,x1,y1,x2,y2,bbox", "several columns could be the box: 'x1, y1, x2, y2'; 'bbox'",
         "say which with columns, or with the box format: --in box=NAME, in Python box=NAME"),
        ("filename,x1,xmin,y1,x2,y2", "several columns could be x1: 'x1'; 'xmin'",
         "say which: --in columns=x1:x1, in Python columns={'x1': 'x1'}"),
    ],
)  # fmt: skip
def test_doubt_is_an_error(names: str, message: str, hint: str) -> None:
    """Where several columns could be one field, all of them are named."""
    with pytest.raises(UsageError) as refused:
        columns_of(names.split(","), where="a.csv")
    (found,) = refused.value.diagnostics
    assert (found.code, found.message, found.hint, found.where) == ("ambiguous-columns", message, hint, ("a.csv",))


def test_the_caller_says_which() -> None:
    """A mapping overrules names, and a kind of box chooses between two sets of columns."""
    names = ["path", "image", "x", "y", "w", "h", "cx", "cy", "species"]
    found = columns_of(names, {"file_name": "image", "category": "species"}, "cxcywh")
    assert found.places == {"file_name": 1, "category": 8}
    assert (found.kind, found.box, found.others) == ("cxcywh", (6, 7, 4, 5), (0, 2, 3))
    given = {"file_name": "a", "y1": "b", "x2": "c", "y2": "d"}
    assert columns_of(["a", "left", "b", "c", "d"], given).box == (1, 2, 3, 4)


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ({"clas": "x1"}, "columns: there is no field 'clas'", "did you mean 'category'?"),
        ({"x1": "lft"}, "columns: there is no column 'lft'", "did you mean 'left'?"),
    ],
)
def test_a_mapping_must_name_what_there_is(given: dict[str, str], message: str, hint: str) -> None:
    """A field or a column that there is not is refused with the nearest one."""
    with pytest.raises(UsageError) as refused:
        columns_of(["file", "left", "top", "right", "bottom"], given)
    (found,) = refused.value.diagnostics
    assert (found.code, found.message) == ("unknown-column", message)
    assert hint in found.hint or found.hint.startswith("fields: ")


@pytest.mark.parametrize("names", ["filename,width,height", "name,width,height,x,y", "xmin,ymin,xmax,ymax,class", ""])
def test_no_table_of_boxes(names: str) -> None:
    """A table that does not say an image and a box is refused, and its columns are listed."""
    with pytest.raises(UsageError) as refused:
        columns_of(names.split(","))
    assert {found.code for found in refused.value.diagnostics} == {"missing-column"}
