"""What the columns of a table of boxes mean, by their names.

Names are compared without case, space, `_`, `-`, `.` and `/`, and those of coordinates without the word for a box
before them (`bbox_x`, `image/object/bbox/xmin`). The spellings are those of TensorFlow's csv, OpenImages, VoTT,
Kaggle, CVAT, torchvision, pandas frames of COCO and of `Dataset.to_pandas`.

- A sure spelling (`filename`) wins over one that may mean something else (`path`); two of the same rank are an error.
- `width` and `height` are the image's, unless the box would be without a size.
- Where `x0` stands, `x1` is the other corner.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bboxconv.boxformat import Kind
from bboxconv.errors import Diagnostic, Place, UsageError
from bboxconv.suggest import did_you_mean

_SPELLINGS: Mapping[str, tuple[str, str]] = {
    "file_name": (
        "filename imagename imagefile imagefilename imagepath filepath imgname imgfile imgpath fname",
        "image img path file uri imageuri",
    ),
    "image_id": ("imageid imgid", ""),
    "width": ("imagewidth imgwidth imwidth imagew imgw", "width"),
    "height": ("imageheight imgheight imheight imageh imgh", "height"),
    "split": ("split subset imageset", "set partition"),
    "video": ("video videoid videoname", ""),
    "frame": ("frame frameid frameindex framenumber", ""),
    "image_extra": ("imageextra", ""),
    "id": ("annotationid annid boxid bboxid objectid instanceid", "id"),
    "category": ("category categoryname class classname label labelname", "name"),
    "category_id": ("categoryid classid labelid", ""),
    "score": ("score confidence conf probability prob", ""),
    "area": ("area", ""),
    "iscrowd": ("iscrowd crowd", ""),
    "difficult": ("difficult isdifficult", ""),
    "ignore": ("ignore isignore ignored", ""),
    "truncated": ("truncated istruncated truncation", ""),
    "occluded": ("occluded isoccluded occlusion", ""),
    "rotation": ("rotation angle", ""),
    "track_id": ("trackid track", ""),
    "shape": ("shape", ""),
    "segmentation": ("segmentation", ""),
    "keypoints": ("keypoints", ""),
    "extra": ("extra", ""),
    "box_format": ("boxformat bboxformat", ""),
}
"""What each field is called: surely, and perhaps."""
_COORDINATES: Mapping[str, tuple[str, str]] = {
    "x1": ("x1 xmin minx left xtl xleft", ""), "y1": ("y1 ymin miny top ytl ytop", ""),
    "x2": ("x2 xmax maxx right xbr xright", ""), "y2": ("y2 ymax maxy bottom ybr ybottom", ""),
    "x": ("x", "x1 xmin minx left xtl"), "y": ("y", "y1 ymin miny top ytl"),
    "cx": ("cx xcenter centerx xcentre centrex xc", ""), "cy": ("cy ycenter centery ycentre centrey yc", ""),
    "w": ("w", "width"), "h": ("h", "height"),
}  # fmt: skip
KINDS: Mapping[Kind, tuple[str, str, str, str]] = {
    "xyxy": ("x1", "y1", "x2", "y2"), "xywh": ("x", "y", "w", "h"), "cxcywh": ("cx", "cy", "w", "h"),
}  # fmt: skip
_WHOLE = ("bbox", "box", "boundingbox")
FIELDS = (*_SPELLINGS, *_COORDINATES, "bbox")
"""What `columns` may give a column for."""
_PREFIX = re.compile(r"^(?:imageobject)?(?:boundingbox|bbox|bbx|box|bb|rect)(?=.)")
_SEPARATORS = re.compile(r"[\s_\-./]")


@dataclass(frozen=True, slots=True)
class Columns:
    """The place in the table of each field that has a column, and what its boxes are."""

    places: Mapping[str, int]
    """By field, coordinates not among them."""
    box: tuple[int, ...]
    """The places of the four numbers, in the order of the kind; of one column with all four; none at all."""
    kind: Kind | None
    """None: nothing says it (one column with all four)."""
    names: tuple[str, ...]
    """The names of all columns."""

    @property
    def others(self) -> tuple[int, ...]:
        """The places of the columns that are no field."""
        known = {*self.places.values(), *self.box}
        return tuple(place for place in range(len(self.names)) if place not in known)


def plain(name: str) -> str:
    """A name as it is compared."""
    return _SEPARATORS.sub("", name).lower()


def columns_of(
    names: Sequence[str], given: Mapping[str, str] | None = None, kind: Kind | None = None, *, where: str = ""
) -> Columns:
    """What the columns of these names are. `given` says it of some fields (`{"x1": "left"}`); `kind` is the kind of
    the boxes, where the caller knows it; `where` is the table in messages.

    Raises UsageError: `ambiguous-columns` where several columns could be one field, with their names;
    `missing-column` where no column says the image or a box has no complete set of columns; `unknown-column` where
    `given` names a field or column that there is not.
    """
    given = given or {}
    _check(given, names, where)
    chosen = {field: names.index(name) for field, name in given.items()}
    free = {place: plain(name) for place, name in enumerate(names) if place not in chosen.values()}
    boxes, box_kind = _box(chosen, free, names, kind, where)
    free = {place: word for place, word in free.items() if place not in boxes}
    places = {field: place for field, place in chosen.items() if field in _SPELLINGS}
    problems: list[Diagnostic] = []
    for field, ranks in _SPELLINGS.items():
        if field in places:
            continue
        for spellings in ranks:
            found = [place for place, word in free.items() if word in spellings.split()]
            if len(found) > 1:
                problems.append(_ambiguous(field, [names[place] for place in found], where))
            if found:
                places[field] = found[0]
                break
    if problems:
        raise UsageError(problems)
    if "file_name" not in places and "image_id" not in places:
        raise _missing("no column says the image of a box", names, "file_name", where)
    return Columns(places, boxes, box_kind, tuple(names))


def _check(given: Mapping[str, str], names: Sequence[str], where: str) -> None:
    for field, name in given.items():
        if field not in FIELDS:
            hint = did_you_mean(field, FIELDS) or f"fields: {', '.join(FIELDS)}"
            raise UsageError.of("unknown-column", f"columns: there is no field {field!r}", where=where, hint=hint)
        if names.count(name) != 1:
            hint = did_you_mean(name, names) or f"columns: {_listed(names)}"
            how = "no column" if name not in names else "more than one column"
            raise UsageError.of("unknown-column", f"columns: there is {how} {name!r}", where=where, hint=hint)


def _box(
    chosen: Mapping[str, int], free: Mapping[int, str], names: Sequence[str], kind: Kind | None, where: str
) -> tuple[tuple[int, ...], Kind | None]:
    """The places of the four numbers, or of one column with all, and the kind."""
    words = {place: _PREFIX.sub("", word) for place, word in free.items()}
    if {"x0", "y0"} <= {*words.values()}:
        moved = {"x0": "x1", "y0": "y1", "x1": "x2", "y1": "y2"}
        words = {place: moved.get(word, word) for place, word in words.items()}
    corners = _set("xyxy", chosen, free, words, loose=False)
    found = {one: _set(one, chosen, free, words, loose=kind == one or not all(corners)) for one in KINDS}
    whole = [one for one, places in found.items() if all(places) and kind in (None, one)]
    boxed = [place for place, word in free.items() if word in _WHOLE]
    if "bbox" in chosen:
        return (chosen["bbox"],), kind
    asked = any(field in chosen for one in whole for field in KINDS[one])
    if len(whole) + len(boxed if not asked else ()) > 1 and whole:
        sets = [", ".join(names[place] for part in found[one] for place in part) for one in whole]
        sets += [names[place] for place in boxed]
        raise UsageError([_ambiguous("the box", sets, where)])
    if whole:
        for field, part in zip(KINDS[whole[0]], found[whole[0]], strict=True):
            if len(part) > 1:
                raise UsageError([_ambiguous(field, [names[place] for place in part], where)])
        return tuple(part[0] for part in found[whole[0]]), whole[0]
    if len(boxed) > 1:
        raise UsageError([_ambiguous("bbox", [names[place] for place in boxed], where)])
    if not boxed:
        raise _missing("no columns say the box", names, ", ".join(KINDS[kind or "xyxy"]), where)
    return (boxed[0],), kind


def _set(
    kind: Kind, chosen: Mapping[str, int], free: Mapping[int, str], words: Mapping[int, str], *, loose: bool
) -> tuple[list[int], ...]:
    """The places that may be each of the four numbers. `loose`: a plain `width` may be the box's, and `xmin` the
    corner beside which its size stands."""
    found = []
    for field in KINDS[kind]:
        sure, perhaps = _COORDINATES[field]
        places = [place for place, word in words.items() if word in sure.split() or word in perhaps.split()]
        own = [place for place in places if words[place] in sure.split() or words[place] != free[place]]
        if field in ("x", "y"):
            own = [place for place in places if words[place] in sure.split()]
        found.append([chosen[field]] if field in chosen else own or (places if loose else []))
    return tuple(found)


def _ambiguous(field: str, candidates: Sequence[str], where: str) -> Diagnostic:
    listed = "; ".join(repr(name) for name in candidates)
    hint = (
        f"say which: {_given(field, candidates[0])}"
        if field in FIELDS
        else "say which with columns, or with the box format: --in box=NAME, in Python box=NAME"
    )
    return Diagnostic(
        "ambiguous-columns",
        f"several columns could be {field}: {listed}",
        places=(Place(where),) if where else (),
        hint=hint,
    )


def _missing(message: str, names: Sequence[str], field: str, where: str) -> UsageError:
    first = field.partition(",")[0]
    hint = f"the table has {_listed(names)}; say which is {field}: {_given(first, 'NAME')}"
    return UsageError.of("missing-column", message, where=where, hint=hint)


def _given(field: str, name: str) -> str:
    return f"--in columns={field}:{name}, in Python columns={{{field!r}: {name!r}}}"


def _listed(names: Sequence[str]) -> str:
    return (", ".join(repr(name) for name in names[:20]) or "no column") + (", ..." if len(names) > 20 else "")
